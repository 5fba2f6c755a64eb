//! Adjacencies: the state machines, Hellos received (ISO 10589 section 8; RFC 5303).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use bugle_types::{IfIndex, Mac, SystemId, Time};
use bugle_wire::isis::{AreaAddress, CircuitType, Level, NodeId, TopologyId};

/// Names an adjacency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdjacencyId {
    /// The circuit.
    pub ifindex: IfIndex,
    /// On a LAN the level: there are two adjacencies with a system of both. On a point-to-point circuit none.
    pub level: Option<Level>,
    /// On a LAN the neighbour's address on it. On a point-to-point circuit all zeros: there is one neighbour.
    pub snpa: Mac,
}

/// The states of an adjacency (ISO 10589 section 8; RFC 5303 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdjacencyState {
    /// There is none, or not any more.
    Down,
    /// The neighbour is heard; whether it hears this system is not known.
    Initializing,
    /// Both hear each other.
    Up,
}

impl fmt::Display for AdjacencyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Down => "Down",
            Self::Initializing => "Initializing",
            Self::Up => "Up",
        })
    }
}

/// Why an adjacency changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A Hello was received, by which the neighbour hears this system, or begins to.
    Hello,
    /// The neighbour does not hear this system any more, or another one in its place.
    OneWay,
    /// The neighbour fell silent for its holding time.
    HoldingTimeExpired,
    /// BFD says that the path does not carry packets.
    BfdDown,
    /// The path carries packets, says BFD, for which the adjacency waited (RFC 6213).
    BfdUp,
    /// The neighbour is configured otherwise than before.
    Reconfigured,
    /// Another system is in the neighbour's place.
    Replaced,
    /// The circuit went down, or its settings changed.
    CircuitDown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hello => "hello",
            Self::OneWay => "one-way",
            Self::HoldingTimeExpired => "holding-time-expired",
            Self::BfdDown => "bfd-down",
            Self::BfdUp => "bfd-up",
            Self::Reconfigured => "reconfigured",
            Self::Replaced => "replaced",
            Self::CircuitDown => "circuit-down",
        })
    }
}

/// A neighbour on a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjacency {
    /// Its name.
    pub id: AdjacencyId,
    /// The neighbour.
    pub system: SystemId,
    /// Its address on the link.
    pub source: Mac,
    /// The state.
    pub state: AdjacencyState,
    /// When it got into that state.
    pub since: Time,
    /// The levels the adjacency is used for.
    pub levels: CircuitType,
    /// Seconds of silence after which the neighbour is given up.
    pub holding_time: u16,
    /// The neighbour's number for a point-to-point circuit, where it says it (RFC 5303).
    pub circuit: Option<u32>,
    /// The neighbour's rank in the election on a LAN.
    pub priority: u8,
    /// The LAN's pseudonode as the neighbour sees it.
    pub lan_id: NodeId,
    /// The neighbour's areas.
    pub areas: Vec<AreaAddress>,
    /// Its IPv4 addresses on the circuit.
    pub ipv4: Vec<Ipv4Addr>,
    /// Its IPv6 link-local addresses on the circuit.
    pub ipv6: Vec<Ipv6Addr>,
    /// The network protocols it speaks, by their identifiers.
    pub protocols: Vec<u8>,
    /// The topologies it takes part in.
    pub topologies: Vec<TopologyId>,
}
