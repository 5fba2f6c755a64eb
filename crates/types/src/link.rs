//! Network interfaces as the kernel describes them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{IfIndex, Mac, TableId};

/// An interface of this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The kernel's number.
    pub ifindex: IfIndex,
    /// The name; it can change while the number stays.
    pub name: String,
    /// Set up by the administrator.
    pub admin_up: bool,
    /// The link below works.
    pub carrier: bool,
    /// A loopback interface.
    pub loopback: bool,
    /// The largest IP packet, in octets.
    pub mtu: u32,
    /// The link-layer address, where there is a 48-bit one.
    pub mac: Option<Mac>,
    /// The bridge or VRF device that this interface belongs to.
    pub master: Option<IfIndex>,
    /// The routing table, if this is a VRF device.
    pub vrf_table: Option<TableId>,
}

impl Link {
    /// Whether packets can pass.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.admin_up && self.carrier
    }
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The interface.
    pub ifindex: IfIndex,
    /// The local address.
    pub local: IpAddr,
    /// Bits of the network part.
    pub prefix_length: u8,
    /// The other end's address, if the interface was given one (`peer` in iproute2).
    pub peer: Option<IpAddr>,
}
