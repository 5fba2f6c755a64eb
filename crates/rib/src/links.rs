//! Which links bear packets, and which nexthops on them are known to be out of reach.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bugle_types::{IfIndex, Nexthop};

/// What is known of links and of the routers on them.
#[derive(Debug, Default)]
pub(crate) struct Links {
    usable: BTreeSet<IfIndex>,
    unreachable: BTreeSet<(IfIndex, IpAddr)>,
}

impl Links {
    /// A link can be used, or not any more. Returns whether that is new.
    pub(crate) fn set_usable(&mut self, ifindex: IfIndex, usable: bool) -> bool {
        if usable { self.usable.insert(ifindex) } else { self.usable.remove(&ifindex) }
    }

    /// A router can be reached, or not any more. Returns whether that is new.
    pub(crate) fn set_reachable(&mut self, at: (IfIndex, IpAddr), reachable: bool) -> bool {
        if reachable { self.unreachable.remove(&at) } else { self.unreachable.insert(at) }
    }

    /// An interface is gone for good, and whoever was on it.
    pub(crate) fn forget(&mut self, ifindex: IfIndex) {
        self.usable.remove(&ifindex);
        self.unreachable.retain(|(on, _)| *on != ifindex);
    }

    /// Whether the kernel would take anything on this link.
    pub(crate) fn is_usable(&self, ifindex: IfIndex) -> bool {
        self.usable.contains(&ifindex)
    }

    /// Whether packets arrive, as far as known.
    pub(crate) fn is_alive(&self, hop: Nexthop) -> bool {
        self.is_usable(hop.ifindex)
            && hop.gateway.is_none_or(|gateway| !self.unreachable.contains(&(hop.ifindex, gateway)))
    }
}
