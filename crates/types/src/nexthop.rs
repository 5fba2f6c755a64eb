//! Where a packet goes next.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::IfIndex;

/// One leg of a route: out of an interface, to a gateway or straight to the destination.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Nexthop {
    /// The outgoing interface.
    pub ifindex: IfIndex,
    /// The router to hand the packet to; `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
}

impl Nexthop {
    /// Through a router.
    #[must_use]
    pub const fn via(ifindex: IfIndex, gateway: IpAddr) -> Self {
        Self { ifindex, gateway: Some(gateway) }
    }

    /// Directly on the link.
    #[must_use]
    pub const fn on_link(ifindex: IfIndex) -> Self {
        Self { ifindex, gateway: None }
    }
}

impl fmt::Display for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gateway {
            Some(gateway) => write!(f, "via {gateway} dev {}", self.ifindex.0),
            None => write!(f, "dev {}", self.ifindex.0),
        }
    }
}
