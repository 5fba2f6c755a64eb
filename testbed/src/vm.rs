//! A virtual machine that may be at several hypervisors: one IP and MAC address, a namespace at each place.

use std::net::Ipv4Addr;

use bugle_types::Mac;

use crate::error::Result;
use crate::lab::{Lab, veth};
use crate::node::Node;

/// The guests' default gateway: the hypervisor they are at, wherever that is.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The gateway's Ethernet address, the same at every hypervisor, so that a guest that moved need not learn another.
pub const GATEWAY_MAC: Mac = Mac([0x02, 0x00, 0x5e, 0x00, 0x01, 0x01]);

/// A virtual machine's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vm {
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// A virtual machine at one hypervisor.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The guest's namespace.
    pub guest: Node,
    /// The hypervisor.
    pub hypervisor: Node,
    /// The hypervisor's port of the guest.
    pub tap: String,
}

impl Vm {
    /// Plugs the virtual machine into `hypervisor`: its port is there, the hypervisor knows its Ethernet address on that port,
    /// and no route leads to it yet.
    ///
    /// The same machine may be at several hypervisors at once; packets reach the one the network routes to.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn place(&self, lab: &Lab, hypervisor: &Node, tap: &str) -> Result<Placement> {
        let guest = lab.node(&format!("{tap}-at-{}", hypervisor.name()))?;
        veth(hypervisor, tap, &guest, "eth0")?;
        let Self { address, mac } = self;
        hypervisor.ip(&format!("link set {tap} address {GATEWAY_MAC} up"))?;
        hypervisor.ip(&format!("neigh replace {address} lladdr {mac} dev {tap} nud permanent"))?;
        guest.ip(&format!("link set eth0 address {mac} up"))?;
        guest.ip(&format!("addr add {address}/32 dev eth0"))?;
        guest.ip(&format!("route add {GATEWAY} dev eth0"))?;
        guest
            .ip(&format!("neigh replace {GATEWAY} lladdr {GATEWAY_MAC} dev eth0 nud permanent"))?;
        guest.ip(&format!("route add default via {GATEWAY} dev eth0"))?;
        Ok(Placement { guest, hypervisor: hypervisor.clone(), tap: tap.to_owned() })
    }
}
