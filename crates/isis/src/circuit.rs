//! Circuits.

use std::collections::BTreeMap;

use bugle_types::Mac;
use bugle_wire::isis::NodeId;

use crate::config::CircuitConfig;
use crate::io::Mismatch;
use crate::level::PerLevel;

/// A circuit that is up.
#[derive(Debug, Clone)]
pub struct Circuit {
    /// Its settings.
    pub config: CircuitConfig,
    /// The number of the circuit in LAN IDs, unique on this system among LANs.
    pub number: u8,
    /// The pseudonode of the LAN at each level; `None` where nobody is elected.
    pub lan_id: PerLevel<Option<NodeId>>,
    /// What was dropped here, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Neighbours that are configured differently, by address.
    pub mismatches: BTreeMap<Mac, Mismatch>,
}
