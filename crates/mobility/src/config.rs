//! The settings of one VRF's hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{Mac, NamePattern, Prefix, RouterId, SystemId};
use serde::{Deserialize, Serialize};

/// The settings of one VRF's hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostsConfig {
    /// This router's identity, as others that hear of it by OSPF see it in [`Others`](crate::Others): it decides ties.
    pub router_id: RouterId,
    /// The same, as those that hear of it by IS-IS see it.
    pub system_id: SystemId,
    /// The interfaces that hosts can be behind.
    pub ports: Vec<NamePattern>,
    /// Where hosts' addresses must lie; anywhere if empty.
    pub prefixes: Vec<Prefix>,
    /// What frames alone can do.
    pub mode: Mode,
    /// The metric of a host that rests.
    pub metric: u32,
    /// How much lower than all others a host that just came is advertised. 1 where metrics are compared as they are (OSPF
    /// type 2 externals), more than any path costs where they add up.
    pub step: u32,
    /// At most so many hosts.
    pub max_hosts: usize,
    /// What hosts can be advertised in.
    pub carried: Families,
    /// When moves are too many.
    pub damping: Damping,
    /// Hosts declared in the configuration: pinned.
    pub statics: BTreeMap<IpAddr, StaticHost>,
}

impl Default for HostsConfig {
    /// No ports, any address, `registered`, metric 10,000 and step 1, 4,096 hosts, IPv4 only.
    fn default() -> Self {
        Self {
            router_id: RouterId::default(),
            system_id: SystemId::default(),
            ports: Vec::new(),
            prefixes: Vec::new(),
            mode: Mode::Registered,
            metric: 10_000,
            step: 1,
            max_hosts: 4096,
            carried: Families { ipv4: true, ipv6: false },
            damping: Damping::default(),
            statics: BTreeMap::new(),
        }
    }
}

/// What frames alone can do. Registrations and the configuration can always claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A frame can only activate an address that is bound to its port and its MAC address.
    Registered,
    /// A frame claims the address that it shows.
    Learned,
}

/// The address families that some protocol advertises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// When an address that keeps moving is taken for a duplicate, as in RFC 7432 section 15.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Damping {
    /// The move that is one too many.
    pub moves: usize,
    /// The time within which moves count.
    pub window: Duration,
    /// How long the address stays frozen, if nobody unfreezes it before.
    pub recovery: Duration,
}

impl Default for Damping {
    /// 5 moves in 180 s, 30 minutes.
    fn default() -> Self {
        Self { moves: 5, window: Duration::from_secs(180), recovery: Duration::from_secs(30 * 60) }
    }
}

/// Where a host declared in the configuration is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StaticHost {
    /// The interface it is behind; without one, and without a MAC address, the host is only advertised.
    pub port: Option<String>,
    /// Its link-layer address.
    pub mac: Option<Mac>,
}
