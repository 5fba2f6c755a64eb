//! What the engine is told, and what it asks for.

use std::net::IpAddr;

use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId, VrfId};

use crate::fib::{FibOp, FibSnapshot, NexthopId, Removable, RouteKey};
use crate::route::{Protocol, RouteChange};

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Debug)]
pub enum Input {
    /// The deadline has come.
    Tick,
    /// A protocol's routes changed.
    Routes {
        /// The VRF.
        vrf: VrfId,
        /// The protocol.
        protocol: Protocol,
        /// The changes, each prefix once. What one event changed belongs together: routes that go the same way before and after it
        /// are moved by one change to their nexthop object.
        changes: Vec<RouteChange>,
    },
    /// A protocol ended in a VRF: all its routes there are withdrawn.
    Clear {
        /// The VRF.
        vrf: VrfId,
        /// The protocol.
        protocol: Protocol,
    },
    /// The VRF's routing table in the kernel became known or changed; `None`: it went. Routes are remembered meanwhile.
    Vrf {
        /// The VRF.
        vrf: VrfId,
        /// Its table, which no other VRF has.
        table: Option<TableId>,
    },
    /// A neighbour entry is wanted; `None`: no more.
    Neighbor {
        /// The link.
        ifindex: IfIndex,
        /// The neighbour's address.
        address: IpAddr,
        /// Its link-layer address.
        mac: Option<Mac>,
    },
    /// A link came up or went down. Usable is what is set up and has a carrier; an interface never heard of is not.
    Link {
        /// The interface.
        ifindex: IfIndex,
        /// Whether packets can pass.
        usable: bool,
    },
    /// A router on a link can be reached, or not: BFD says so, or whoever watches it. Until somebody does, it can. Routes through
    /// it are led to their other nexthops or their backup at once, with a change for each nexthop object and none for a route.
    Reachable {
        /// The link.
        ifindex: IfIndex,
        /// The router's address on it.
        address: IpAddr,
        /// Whether packets arrive there.
        reachable: bool,
    },
    /// Whoever found out that a router does not answer any more has removed these objects that lead to it, as
    /// [`Output::Removable`] told. That it cannot be reached comes next.
    Removed(Vec<NexthopId>),
    /// An interface was deleted.
    LinkGone(IfIndex),
    /// What the kernel holds of ours, in answer to [`Output::ReadFib`].
    Snapshot(FibSnapshot),
    /// The kernel refused a change.
    Failed {
        /// The change.
        op: FibOp,
        /// The kernel's reason.
        reason: String,
    },
    /// The kernel, or somebody else, touched something of ours, or notifications about that were lost.
    Disturbed,
    /// Somebody else replaced the route of this key. It may be one of ours: a [`Event::Replaced`] tells if it was, and it is put back.
    Replaced(RouteKey),
    /// Every protocol has computed its routes once: what a previous run left and nobody wants can go.
    Sweep,
    /// The daemon stops: delete everything of ours, and install nothing any more. Is not sent if routes are to be retained.
    Flush,
}

/// Something the driver is asked to do. The order counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Change the forwarding table.
    Fib(FibOp),
    /// The same at once, since traffic is led round a failure, or back: before whatever was asked for earlier and concerns other
    /// nexthop objects. A [`Queue`](crate::Queue) does that.
    Divert(FibOp),
    /// Read what all tables hold of ours, and all nexthop objects and neighbours of ours, after every change that was
    /// polled before this was carried out; answer with [`Input::Snapshot`].
    ReadFib,
    /// From now on these objects may be removed from the forwarding table when a router does not answer any more, without asking; tell
    /// of it by [`Input::Removed`]. Never mind if nobody does.
    Removable(Removable),
    /// Something worth telling.
    Event(Event),
}

/// Something worth telling. Logs, metrics and the API are adapters over events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A snapshot was compared with what should be there.
    Compared {
        /// Routes found.
        found: usize,
        /// Changes it took to put things right, or to clear away what a previous run left.
        changes: u64,
    },
    /// The kernel refused a change. Told for the first one until the forwarding table has been read again.
    Failed {
        /// The change.
        op: FibOp,
        /// The kernel's reason.
        reason: String,
    },
    /// Another program put a route of its own in the place of ours. Told for the first one until the forwarding table has been read
    /// again, which puts ours back.
    Replaced {
        /// The route.
        key: RouteKey,
    },
    /// A route was taken for a withdrawal, because a gateway is of another address family than the prefix.
    MixedFamilies {
        /// The VRF.
        vrf: VrfId,
        /// The destination.
        prefix: Prefix,
        /// The protocol that offered it.
        protocol: Protocol,
        /// The nexthop at fault.
        nexthop: Nexthop,
    },
    /// A VRF was left without a table, because another has it. Give each VRF a table of its own.
    TableTaken {
        /// The VRF.
        vrf: VrfId,
        /// The table.
        table: TableId,
        /// The VRF that has it.
        by: VrfId,
    },
}

/// Why [`Rib::deadline`](crate::Rib::deadline) asks for a tick.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The forwarding table is to be read.
    ReadFib,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Prefixes with a route.
    pub routes: usize,
    /// Routes in the kernel, as far as known.
    pub installed: usize,
    /// Single nexthop objects in the kernel.
    pub nexthops: usize,
    /// Groups in the kernel.
    pub groups: usize,
    /// Neighbour entries in the kernel.
    pub neighbors: usize,
    /// Routes that a previous run left and nobody has claimed yet.
    pub unclaimed: usize,
    /// Changes asked of the kernel since the start.
    pub ops: u64,
    /// Changes the kernel refused since the start.
    pub failures: u64,
    /// Routes of ours that other programs replaced, since the start.
    pub replaced: u64,
}
