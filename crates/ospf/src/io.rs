//! What an instance is told, and what it asks for.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bugle_spf::{Backup, SpfKind};
use bugle_types::{IfIndex, Nexthop, Prefix, RouterId, Time};
use bugle_wire::ospf::{LsaKey, SequenceNumber};

use crate::config::{Config, InterfaceConfig};
use crate::interface::InterfaceState;
use crate::neighbor::{NeighborEvent, NeighborState};

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// New settings; the router id and the area stay what they were.
    Config(Config),
    /// An interface came up or changed its settings; `None`: it went down or OSPF does not run on it any more.
    Interface(IfIndex, Option<InterfaceConfig>),
    /// A packet arrived: the IP payload.
    Packet {
        /// Where it arrived.
        ifindex: IfIndex,
        /// The IP source.
        src: Ipv4Addr,
        /// The IP destination.
        dst: Ipv4Addr,
        /// The OSPF packet.
        bytes: &'a [u8],
    },
    /// A lower layer says that a neighbour cannot be reached any more (`LLDown`, RFC 2328 section 10.2).
    Unreachable {
        /// The interface.
        ifindex: IfIndex,
        /// The neighbour's address.
        address: Ipv4Addr,
    },
    /// Advertise a host as an AS-external-LSA for its /32, or stop doing so.
    Host(Ipv4Addr, Option<ExternalRoute>),
    /// The same for many hosts: their LSAs go out together, in as few packets as possible.
    Hosts(Vec<(Ipv4Addr, Option<ExternalRoute>)>),
    /// Report what others advertise for this /32, now and whenever it changes; or stop.
    Watch(Ipv4Addr, bool),
    /// Flush everything of ours and say goodbye. Done when [`Ospf::is_stopped`](crate::Ospf::is_stopped).
    Shutdown,
}

/// How a host outside OSPF is advertised (RFC 2328 section 12.4.4). The forwarding address is 0.0.0.0: packets
/// come to this router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalRoute {
    /// The metric, below [`bugle_wire::ospf::LS_INFINITY`].
    pub metric: u32,
    /// Type 2: the metric counts for more than any path inside the AS.
    pub type2: bool,
    /// The external route tag.
    pub tag: u32,
}

/// Something the driver is asked to do, in the order polled.
#[derive(Debug)]
pub enum Output {
    /// Send a packet: the IP payload.
    Send {
        /// The interface to send on.
        ifindex: IfIndex,
        /// The IP source.
        src: Ipv4Addr,
        /// The IP destination.
        dst: Ipv4Addr,
        /// The OSPF packet.
        bytes: Vec<u8>,
    },
    /// Join or leave 224.0.0.6 (AllDRouters) on an interface.
    AllDRouters {
        /// The interface.
        ifindex: IfIndex,
        /// Join, or leave.
        join: bool,
    },
    /// The routing table changed.
    Routes(Vec<(Prefix, Option<Route>)>),
    /// What others advertise for a watched host changed.
    Rival(Ipv4Addr, Option<Rival>),
    /// Something worth telling.
    Event(Event),
}

/// A route of the routing table (RFC 2328 section 11).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The kind of path; lower is preferred.
    pub path: PathType,
    /// The cost; of a type 2 external path, the cost inside the AS.
    pub cost: u32,
    /// The external metric of a type 2 path.
    pub type2_metric: u32,
    /// The external route tag.
    pub tag: u32,
    /// The equal-cost next hops, sorted.
    pub nexthops: Arc<[Nexthop]>,
    /// Where packets go when all next hops fail at once. Next hops on several links have none, as they stand in for each other.
    pub backup: Option<Backup>,
}

impl Route {
    /// The one number that operators know as the route's metric.
    #[must_use]
    pub fn metric(&self) -> u32 {
        if self.path == PathType::External2 { self.type2_metric } else { self.cost }
    }
}

/// The path types of RFC 2328 section 11, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathType {
    /// Within the area.
    IntraArea,
    /// Through an area border router.
    InterArea,
    /// External, metric comparable to costs.
    External1,
    /// External, metric larger than any cost.
    External2,
}

impl fmt::Display for PathType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IntraArea => "intra-area",
            Self::InterArea => "inter-area",
            Self::External1 => "external-1",
            Self::External2 => "external-2",
        })
    }
}

/// What other reachable routers advertise for a watched host, and which of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// The router whose own address it is, or the one with the lowest metric, the highest router id among equals.
    pub router: RouterId,
    /// Its type 2 metric; 0 for a type 1 metric, which every router prefers; `None` if it is an address of the router's own.
    pub metric: Option<u32>,
    /// How many other routers advertise it; 1 if it is a router's own.
    pub count: usize,
}

/// Something worth telling. Logs, metrics and the API are adapters over events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An interface changed its state.
    InterfaceState {
        /// The interface.
        ifindex: IfIndex,
        /// The state before.
        from: InterfaceState,
        /// The state now.
        to: InterfaceState,
    },
    /// The designated routers of a network changed.
    DesignatedRouter {
        /// The interface.
        ifindex: IfIndex,
        /// The DR's address, 0.0.0.0 if there is none.
        dr: Ipv4Addr,
        /// The BDR's address, 0.0.0.0 if there is none.
        bdr: Ipv4Addr,
    },
    /// A neighbour changed its state.
    NeighborState {
        /// The interface.
        ifindex: IfIndex,
        /// The neighbour.
        router_id: RouterId,
        /// Its address.
        address: Ipv4Addr,
        /// The state before.
        from: NeighborState,
        /// The state now.
        to: NeighborState,
        /// What caused it.
        cause: NeighborEvent,
    },
    /// A neighbour is configured differently, which keeps an adjacency from forming. Told once for each disagreement.
    Mismatch {
        /// The interface.
        ifindex: IfIndex,
        /// The neighbour's address.
        source: Ipv4Addr,
        /// What differs.
        mismatch: Mismatch,
    },
    /// Packets or LSAs are being dropped. Told at the first, second, fourth, eighth ... of each reason.
    Dropped {
        /// The interface.
        ifindex: IfIndex,
        /// The sender.
        source: Ipv4Addr,
        /// The reason: the name of the counter.
        reason: &'static str,
        /// The details of this one.
        detail: String,
        /// How many were dropped for this reason on this interface.
        count: u64,
    },
    /// An LSA of ours went out.
    Originated {
        /// The LSA.
        key: LsaKey,
        /// Its sequence number.
        sequence: SequenceNumber,
        /// It is being withdrawn.
        flushed: bool,
    },
    /// An old LSA of ours came back, or that of another router with our router id.
    SelfOriginatedReceived {
        /// The LSA.
        key: LsaKey,
        /// The sequence number that came.
        sequence: SequenceNumber,
    },
    /// Another router, which need not be a neighbour, uses our router id: our description of this router has come back again and
    /// again. Told once a minute at most.
    DuplicateRouterId(RouterId),
    /// The shortest-path tree was computed.
    SpfRun {
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
    /// The network mask (RFC 2328 section 10.5).
    Mask {
        /// Ours.
        ours: Ipv4Addr,
        /// Theirs.
        theirs: Ipv4Addr,
    },
    /// HelloInterval, in seconds.
    HelloInterval {
        /// Ours.
        ours: u16,
        /// Theirs.
        theirs: u16,
    },
    /// RouterDeadInterval, in seconds.
    DeadInterval {
        /// Ours.
        ours: u32,
        /// Theirs.
        theirs: u32,
    },
    /// The area.
    Area {
        /// Ours.
        ours: bugle_types::AreaId,
        /// Theirs.
        theirs: bugle_types::AreaId,
    },
    /// The area type: a stub area's Hellos have the E bit clear.
    AreaType,
    /// The packets of the one whose MTU is larger may not fit, and the other rejects its database descriptions (section 10.6). In
    /// octets.
    Mtu {
        /// Ours.
        ours: u16,
        /// Theirs.
        theirs: u16,
    },
    /// The authentication type (appendix D).
    Authentication,
    /// The neighbour has our router id.
    DuplicateRouterId(RouterId),
    /// The neighbour's address is not in the interface's network.
    Subnet {
        /// The interface's network.
        ours: Prefix,
    },
}

impl Mismatch {
    /// A short name: the drop counter's.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mask { .. } => "mask-mismatch",
            Self::HelloInterval { .. } => "hello-interval-mismatch",
            Self::DeadInterval { .. } => "dead-interval-mismatch",
            Self::Area { .. } => "area-mismatch",
            Self::AreaType => "area-type-mismatch",
            Self::Mtu { .. } => "mtu-mismatch",
            Self::Authentication => "authentication-mismatch",
            Self::DuplicateRouterId(_) => "duplicate-router-id",
            Self::Subnet { .. } => "subnet-mismatch",
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask { ours, theirs } => write!(f, "network mask: ours {ours}, theirs {theirs}"),
            Self::HelloInterval { ours, theirs } => {
                write!(f, "hello interval: ours {ours} s, theirs {theirs} s")
            }
            Self::DeadInterval { ours, theirs } => {
                write!(f, "dead interval: ours {ours} s, theirs {theirs} s")
            }
            Self::Area { ours, theirs } => write!(f, "area: ours {ours}, theirs {theirs}"),
            Self::AreaType => write!(f, "area type: theirs is a stub area or NSSA, ours is not"),
            Self::Mtu { ours, theirs } => write!(f, "MTU: ours {ours}, theirs {theirs}"),
            Self::Authentication => write!(f, "authentication: theirs is not ours (none)"),
            Self::DuplicateRouterId(id) => write!(f, "router id {id} is ours too"),
            Self::Subnet { ours } => write!(f, "sender's address is not in {ours}"),
        }
    }
}
