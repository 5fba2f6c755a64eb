//! Routes as protocols offer them.

use std::fmt;
use std::sync::Arc;

use bugle_types::{Nexthop, Prefix};

/// Where a route comes from. The order is the preference: the first is taken, whatever the metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// A virtual machine on this host.
    Host,
    /// OSPF.
    Ospf,
    /// IS-IS.
    Isis,
}

impl Protocol {
    /// All protocols, the most preferred first.
    pub const ALL: [Self; 3] = [Self::Host, Self::Ospf, Self::Isis];

    /// The administrative distance: among several protocols' routes to one prefix the lowest is taken.
    #[must_use]
    pub const fn distance(self) -> u8 {
        match self {
            Self::Host => 0,
            Self::Ospf => 110,
            Self::Isis => 115,
        }
    }

    /// The kernel's metric (`RTA_PRIORITY`) of this protocol's routes. FRR uses 20 and BIRD 32, so routes of all of them
    /// can stand side by side in one table and none replaces another's.
    #[must_use]
    pub const fn kernel_metric(self) -> u32 {
        match self {
            Self::Host => 10,
            Self::Ospf => 110,
            Self::Isis => 115,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Ospf => "ospf",
            Self::Isis => "isis",
        })
    }
}

/// One protocol's route to a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The protocol's own metric: shown, not compared across protocols, not the kernel's.
    pub metric: u32,
    /// Where packets go, shared equally. Without any they are dropped silently, without the ICMP error that would end TCP
    /// sessions. Gateways are of the prefix's address family.
    pub nexthops: Arc<[Nexthop]>,
    /// Where packets go as soon as no nexthop can be reached, before the protocol has computed anything: a loop-free alternate
    /// (RFC 5286). On a link of its own it stands by in the kernel, which goes over to it by itself.
    pub backup: Option<Nexthop>,
}

/// A prefix and its new route; `None` withdraws it.
pub type RouteChange = (Prefix, Option<Route>);

/// The route chosen for a prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectedRoute<'a> {
    /// The destination.
    pub prefix: Prefix,
    /// Where the route comes from.
    pub protocol: Protocol,
    /// The protocol's metric.
    pub metric: u32,
    /// Where packets go, sorted; empty if they are dropped.
    pub nexthops: &'a [Nexthop],
    /// Where they go instead when none of those can be reached.
    pub backup: Option<Nexthop>,
    /// The kernel has it, as far as known. It has not if all its links are down, or its VRF has no table.
    pub installed: bool,
}
