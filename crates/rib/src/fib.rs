//! The forwarding table as the kernel holds it: the changes asked of it, and what is found in it.
//!
//! These types are the seam between the pure side, which decides, and whoever holds a forwarding table: the Linux kernel
//! (`bugle-inject`) or a simulated one. They name no netlink constant.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId};
use serde::{Deserialize, Serialize};

/// Names a nexthop object or group in the forwarding table. bugle uses ids in [`NexthopId::RANGE`] only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NexthopId(pub u32);

impl NexthopId {
    /// The ids that belong to bugle; every other id is another daemon's and is never touched.
    pub const RANGE: std::ops::RangeInclusive<u32> = 0x4275_0000..=0x4275_FFFF;
}

/// For each router on a link, by its address there, the single nexthop objects that lead to it, where removing them leads no more than a
/// few routes nowhere: whoever finds out that it does not answer any more can remove them at once.
pub type Removable = BTreeMap<(IfIndex, IpAddr), Vec<NexthopId>>;

/// Identifies one route in the forwarding table: the kernel keeps one per table, prefix and metric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RouteKey {
    /// The routing table.
    pub table: TableId,
    /// The destination.
    pub prefix: Prefix,
    /// The priority among routes to the same destination; the lowest wins.
    pub metric: u32,
}

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RouteTarget {
    /// Through a nexthop object or group.
    Nexthop(NexthopId),
    /// Dropped without an ICMP error, which would kill TCP sessions.
    Blackhole,
}

/// The single nexthop objects that a group spreads packets over, all of one address family.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// Those that get packets, in equal shares.
    pub members: Box<[NexthopId]>,
    /// One that gets none as long as there is another: the kernel goes over to it by itself when the links of all others are lost.
    /// Not where a table is [`without_standby`](FibSnapshot::without_standby).
    pub standby: Option<NexthopId>,
}

impl Group {
    /// All that are named, the one that stands by last.
    pub fn all(&self) -> impl Iterator<Item = NexthopId> + use<'_> {
        self.members.iter().copied().chain(self.standby)
    }
}

/// One change asked of the forwarding table. Each is idempotent: putting replaces, deleting what is gone succeeds.
///
/// Order matters: a nexthop goes in before the group or route that names it, and out after it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FibOp {
    /// Create a nexthop object, or re-point it and with it every route that uses it.
    PutNexthop {
        /// The object.
        id: NexthopId,
        /// What it stands for.
        nexthop: Nexthop,
    },
    /// Create or replace a group of nexthop objects.
    PutGroup {
        /// The group; it shares its number space with nexthop objects.
        id: NexthopId,
        /// Its members.
        group: Group,
    },
    /// Delete a nexthop object or group. The kernel deletes routes that still use it. It takes a nexthop object out of its groups,
    /// whose other members bear the traffic at once, and deletes a group that has none left.
    DelNexthop {
        /// The object or group.
        id: NexthopId,
    },
    /// Add or replace a route.
    PutRoute {
        /// Which route.
        key: RouteKey,
        /// Where it leads.
        target: RouteTarget,
    },
    /// Delete a route.
    DelRoute {
        /// Which route.
        key: RouteKey,
    },
    /// Add or replace a permanent neighbour entry (ARP or ND).
    PutNeighbor {
        /// The link.
        ifindex: IfIndex,
        /// The neighbour's IP address.
        address: IpAddr,
        /// Its link-layer address.
        mac: Mac,
    },
    /// Delete a neighbour entry.
    DelNeighbor {
        /// The link.
        ifindex: IfIndex,
        /// The neighbour's IP address.
        address: IpAddr,
    },
}

/// What a forwarding table holds of bugle's: read at the start (adoption), after lost notifications and after carrier
/// events, when the kernel may have deleted objects without saying so.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FibSnapshot {
    /// Single nexthop objects in [`NexthopId::RANGE`].
    pub nexthops: Vec<(NexthopId, Nexthop)>,
    /// Groups in [`NexthopId::RANGE`].
    pub groups: Vec<(NexthopId, Group)>,
    /// Groups in that range of a kind that is never put: they can be deleted, not replaced. With what they name.
    pub others: Vec<(NexthopId, Box<[NexthopId]>)>,
    /// Groups have no member that stands by: this forwarding table knows no such thing (Linux before 5.13).
    pub without_standby: bool,
    /// Routes that carry bugle's protocol number; `None` leads somewhere bugle never sends a route.
    pub routes: Vec<(RouteKey, Option<RouteTarget>)>,
    /// Permanent neighbour entries that carry bugle's protocol number.
    pub neighbors: Vec<(IfIndex, IpAddr, Mac)>,
}
