//! What an instance is told, and what it asks for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bugle_spf::{Backup, SpfKind};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix, SystemId, Time};
use bugle_wire::isis::{AreaAddress, CircuitType, Level, LspId, NodeId, SequenceNumber};

use crate::adjacency::{AdjacencyState, Cause};
use crate::config::{CircuitConfig, Config, Tags};

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// New settings; the system ID stays what it was.
    Config(Box<Config>),
    /// A circuit came up or changed its settings; `None`: it went down or IS-IS does not run on it any more.
    Circuit(IfIndex, Option<Box<CircuitConfig>>),
    /// A PDU arrived.
    Pdu {
        /// Where it arrived.
        ifindex: IfIndex,
        /// The sender's address on the link.
        source: Mac,
        /// The PDU, from its first octet (0x83) on: what follows the frame's logical link control. Padding behind it is left off.
        bytes: &'a [u8],
    },
    /// Advertise a host's /32 or /128, or stop doing so. Longer networks are advertised like hosts.
    Host(Prefix, Option<HostRoute>),
    /// The same for many hosts at once, which go out in few LSPs.
    Hosts(Vec<(Prefix, Option<HostRoute>)>),
    /// Report what others advertise for this prefix, now and whenever it changes; or stop.
    Watch(Prefix, bool),
    /// A session asked for by [`Output::Bfd`] changed its state.
    Bfd {
        /// The circuit.
        ifindex: IfIndex,
        /// The neighbour's address.
        peer: IpAddr,
        /// The state now.
        state: BfdState,
    },
    /// Purge everything of ours and say goodbye. Done when [`Isis::is_stopped`](crate::Isis::is_stopped).
    Shutdown,
}

/// The state of a BFD session as a client sees it (RFC 5882).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BfdState {
    /// Both systems hear each other.
    Up,
    /// They do not.
    Down,
    /// One of them has been told not to watch, which says nothing about the path (RFC 5882 section 3.2).
    AdminDown,
}

/// How a host is advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRoute {
    /// The metric of the prefix, below [`bugle_wire::isis::MAX_PATH_METRIC`]; see [`claim_metric`].
    pub metric: u32,
}

/// The difference between two claims of a host: more than any path costs, so that every system prefers the lower claim, wherever it
/// is.
pub const CLAIM_STEP: u32 = 1 << 18;

/// The metric that a host's claim is advertised with. Claims are small numbers of which the lowest wins; those above 16,000 count
/// as 16,000.
#[must_use]
pub const fn claim_metric(claim: u32) -> u32 {
    let claim = if claim > 16_000 { 16_000 } else { claim };
    claim * CLAIM_STEP
}

/// The claim that a metric stands for, even with the cost of a path added on the way between two levels.
#[must_use]
pub const fn claim_of(metric: u32) -> u32 {
    metric / CLAIM_STEP
}

/// Something the driver is asked to do, in the order polled.
#[derive(Debug)]
pub enum Output {
    /// Send a PDU.
    Send {
        /// The interface to send on.
        ifindex: IfIndex,
        /// Whom to: always a group.
        destination: Mac,
        /// The PDU, to be framed with the logical link control of OSI network protocols
        /// ([`bugle_wire::isis::emit_frame`]).
        bytes: Vec<u8>,
    },
    /// The routing table changed.
    Routes(Vec<(Prefix, Option<Route>)>),
    /// What others advertise for a watched prefix changed.
    Rival(Prefix, Option<Rival>),
    /// Watch the path to a neighbour with BFD, or do so no more.
    Bfd {
        /// The circuit.
        ifindex: IfIndex,
        /// The neighbour's address, IPv6 ones link-local.
        peer: IpAddr,
        /// This system's address.
        local: IpAddr,
        /// Watch, or stop.
        wanted: bool,
    },
    /// Something worth telling.
    Event(Event),
}

/// A route of the routing table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The kind of path; lower is preferred.
    pub path: PathType,
    /// The cost of the path and the prefix together.
    pub metric: u32,
    /// The administrative tags.
    pub tags: Tags,
    /// The equal-cost next hops, sorted.
    pub nexthops: Arc<[Nexthop]>,
    /// Where packets go when all next hops fail at once. Next hops on several links have none, as they stand in for each other.
    pub backup: Option<Backup>,
}

/// The kinds of paths in the order of preference (RFC 5302 section 3.2, RFC 7775 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathType {
    /// Within the area.
    Level1,
    /// Within level 2, or brought there from another area.
    Level2,
    /// Leaked from level 2 down to level 1.
    Down,
    /// Within the area; the metric, an external one, counts for more than the path.
    Level1External,
    /// Within level 2; likewise.
    Level2External,
    /// Leaked down; likewise.
    DownExternal,
    /// The default route to the nearest attached system.
    Attached,
}

impl PathType {
    /// The level whose computation finds such a path.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Level2 | Self::Level2External => Level::L2,
            Self::Level1
            | Self::Level1External
            | Self::Down
            | Self::DownExternal
            | Self::Attached => Level::L1,
        }
    }
}

impl fmt::Display for PathType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Level1 => "level-1",
            Self::Level2 => "level-2",
            Self::Down => "inter-area",
            Self::Level1External => "level-1-external",
            Self::Level2External => "level-2-external",
            Self::DownExternal => "inter-area-external",
            Self::Attached => "attached",
        })
    }
}

/// What other reachable systems advertise for a watched prefix, and which of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// The neighbour whose own address it is, or the system with the lowest metric, the highest system ID among equals.
    pub system: SystemId,
    /// The metric it advertises, without that of the path; see [`claim_of`]. `None` if it is an address of the neighbour's own.
    pub metric: Option<u32>,
    /// How many other systems advertise the prefix; 1 if it is a neighbour's own.
    pub count: usize,
}

/// Something worth telling. Logs, metrics and the API are adapters over events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An adjacency changed its state.
    Adjacency {
        /// The circuit.
        ifindex: IfIndex,
        /// The neighbour.
        system: SystemId,
        /// Its address on the link.
        source: Mac,
        /// The levels it is, or was, used for.
        levels: CircuitType,
        /// The state before.
        from: AdjacencyState,
        /// The state now.
        to: AdjacencyState,
        /// What caused it.
        cause: Cause,
    },
    /// The designated intermediate system of a LAN changed.
    DesignatedIs {
        /// The circuit.
        ifindex: IfIndex,
        /// The level.
        level: Level,
        /// The LAN's pseudonode; `None` if nobody is elected.
        lan_id: Option<NodeId>,
    },
    /// A neighbour is configured differently, which keeps an adjacency from forming. Told once for each disagreement.
    Mismatch {
        /// The circuit.
        ifindex: IfIndex,
        /// The sender.
        source: Mac,
        /// What differs.
        mismatch: Mismatch,
    },
    /// PDUs are being dropped. Told at the first, second, fourth, eighth ... of each reason.
    Dropped {
        /// The circuit.
        ifindex: IfIndex,
        /// The sender.
        source: Mac,
        /// The reason: the name of the counter.
        reason: &'static str,
        /// The details of this one.
        detail: String,
        /// How many were dropped for this reason on this circuit.
        count: u64,
    },
    /// An LSP of ours went out.
    Originated {
        /// The level.
        level: Level,
        /// The LSP.
        id: LspId,
        /// Its sequence number.
        sequence: SequenceNumber,
        /// Hosts of which it says something else than before, and whether it advertises them.
        hosts: Vec<(Prefix, bool)>,
        /// It is being purged.
        purged: bool,
    },
    /// An LSP was purged by somebody else.
    Purged {
        /// The level.
        level: Level,
        /// The LSP.
        id: LspId,
        /// Who began it, if it says so (RFC 6232).
        originator: Option<SystemId>,
    },
    /// An old LSP of ours came back, or that of another system with our system ID.
    SelfOriginatedReceived {
        /// The level.
        level: Level,
        /// The LSP.
        id: LspId,
        /// The sequence number that came.
        sequence: SequenceNumber,
    },
    /// Another system, which need not be a neighbour, uses our system ID: our description of this system has come back again and
    /// again. Told once a minute at most.
    DuplicateSystemId {
        /// The level.
        level: Level,
        /// The system ID.
        system: SystemId,
    },
    /// There is more to advertise than 256 fragments hold: what does not fit is left out.
    Overflow {
        /// The level.
        level: Level,
    },
    /// The shortest-path tree was computed.
    SpfRun {
        /// The level.
        level: Level,
        /// When it was asked for first.
        asked: Time,
        /// How it went about it.
        kind: SpfKind,
        /// Nodes whose paths were worked out: in a full run all in the tree.
        nodes: usize,
        /// Nodes whose distance or next hops changed.
        changed: usize,
        /// Prefixes looked at afterwards.
        prefixes: usize,
    },
}

/// A disagreement between neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// Level 1, and no area in common (ISO 10589 section 8.2.5.2).
    Area {
        /// One of theirs.
        theirs: Option<AreaAddress>,
    },
    /// No level in common.
    Level {
        /// Ours.
        ours: CircuitType,
        /// Theirs.
        theirs: CircuitType,
    },
    /// Hellos say that the other's circuit carries other sizes than ours. In bytes of a PDU.
    Mtu {
        /// Ours.
        ours: u16,
        /// Theirs, as far as their padding tells.
        theirs: u16,
    },
    /// Areas may have another number of addresses (ISO 10589 section 9.4).
    MaxAreas(u8),
    /// The neighbour authenticates otherwise; the name of the reason.
    Authentication(&'static str),
    /// The neighbour has our system ID.
    DuplicateSystemId(SystemId),
    /// The neighbour takes a point-to-point circuit for a LAN, or the other way round.
    CircuitKind,
    /// No topology in common (RFC 5120 section 3).
    Topology,
}

impl Mismatch {
    /// A short name: the drop counter's.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Area { .. } => "area-mismatch",
            Self::Level { .. } => "level-mismatch",
            Self::Mtu { .. } => "mtu-mismatch",
            Self::MaxAreas(_) => "max-areas-mismatch",
            Self::Authentication(_) => "authentication-mismatch",
            Self::DuplicateSystemId(_) => "duplicate-system-id",
            Self::CircuitKind => "circuit-kind-mismatch",
            Self::Topology => "topology-mismatch",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Area { theirs: Some(theirs) } => {
                write!(f, "area: theirs is {theirs}, which is none of ours")
            }
            Self::Area { theirs: None } => f.write_str("area: they name none"),
            Self::Level { ours, theirs } => write!(f, "level: ours {ours}, theirs {theirs}"),
            Self::Mtu { ours, theirs } => {
                write!(f, "MTU: PDUs of {ours} bytes fit here, of {theirs} there")
            }
            Self::MaxAreas(theirs) => {
                write!(f, "maximum area addresses: ours 3, theirs {theirs}")
            }
            Self::Authentication(reason) => write!(f, "authentication: {reason}"),
            Self::DuplicateSystemId(id) => write!(f, "system id {id} is ours too"),
            Self::CircuitKind => f.write_str(
                "circuit type: one takes this for a LAN, one for a point-to-point circuit",
            ),
            Self::Topology => f.write_str("topology: none in common"),
        }
    }
}
