//! An interface that leads out of the world, to real routers.

use std::net::Ipv4Addr;

use bugle_speaker::config::{IsisInterface, LinkType, OspfInterface};
use bugle_speaker::{Config, Input};
use bugle_types::{Address, IfIndex, Link, Mac, NamePattern, Prefix, Time};

use crate::kernel::Device;
use crate::machine::Incoming;
use crate::medium::Packet;
use crate::network::NodeId;
use crate::world::World;

/// Its number on the router that has it; far from those of the router's links.
pub(crate) const OUT: IfIndex = IfIndex(1_000_000);
/// Its name there, whatever the device's.
const OUT_NAME: &str = "out0";

/// An interface of one router that is a device of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// The router.
    pub node: NodeId,
    /// What kind of link the device is on.
    pub link: LinkType,
    /// The cost of sending there.
    pub cost: u16,
    /// The device's address.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub prefix_length: u8,
    /// The other end's address, if the device was given one.
    pub peer: Option<Ipv4Addr>,
    /// The device's MTU.
    pub mtu: u32,
    /// The device's Ethernet address, without which it speaks no IS-IS.
    pub mac: Option<Mac>,
}

/// What is beyond the door, and the clock there.
pub trait Outside {
    /// Sends out what was sent until `now`, and waits until `until` at the latest, or until packets have come in. Returns the
    /// time, and those.
    fn exchange(&mut self, now: Time, sent: Vec<Packet>, until: Time) -> (Time, Vec<Packet>);

    /// Whether it is enough.
    fn is_over(&self, now: Time) -> bool;
}

impl Door {
    /// What the router's kernel knows of it.
    fn device(&self) -> Device {
        Device { up: true, network: Prefix::new(self.address.into(), self.prefix_length) }
    }

    /// What the router's daemon is told of it.
    pub(crate) fn inputs(&self) -> [Input<'static>; 2] {
        let link = Link {
            ifindex: OUT,
            name: OUT_NAME.to_owned(),
            admin_up: true,
            carrier: true,
            loopback: false,
            mtu: self.mtu,
            mac: self.mac,
            master: None,
            vrf_table: None,
        };
        let address = Address {
            ifindex: OUT,
            local: self.address.into(),
            prefix_length: self.prefix_length,
            peer: self.peer.map(Into::into),
        };
        [Input::Link(link), Input::Address(address)]
    }

    /// Has the router speak its protocols there, with the timers that it has elsewhere.
    pub(crate) fn configure(&self, config: &mut Config) {
        let Ok(name) = OUT_NAME.parse::<NamePattern>() else { return };
        for ospf in config.vrfs.values_mut().filter_map(|vrf| vrf.ospf.as_mut()) {
            let alike = ospf.interfaces.first().cloned();
            let alike = alike.unwrap_or_else(|| OspfInterface::new(name.clone()));
            let (link, cost) = (self.link, self.cost);
            ospf.interfaces.push(OspfInterface { name: name.clone(), link, cost, ..alike });
        }
        for isis in config.vrfs.values_mut().filter_map(|vrf| vrf.isis.as_mut()) {
            let alike = isis.interfaces.first().cloned();
            let alike = alike.unwrap_or_else(|| IsisInterface::new(name.clone()));
            let (link, metric) = (self.link, self.cost.into());
            isis.interfaces.push(IsisInterface { name: name.clone(), link, metric, ..alike });
        }
    }
}

impl World {
    /// Opens a door: its router speaks there from now on. There is one door at a time.
    pub fn attach(&mut self, door: Door) {
        let node = door.node;
        self.kernels[node.index()].add_device(OUT, door.device());
        let inputs = door.inputs();
        self.door = Some(door);
        let config = Input::Config(Box::new(self.config(node)));
        for input in std::iter::once(config).chain(inputs) {
            self.tell(node, input);
        }
    }

    /// A packet comes in through the door.
    pub fn receive(&mut self, packet: Packet) {
        let Some(node) = self.door.as_ref().map(|door| door.node) else { return };
        self.push(node, self.now(), Incoming::Packet { ifindex: OUT, packet });
    }

    /// Takes the packets that have gone out through the door.
    pub fn take_sent(&mut self) -> Vec<Packet> {
        std::mem::take(&mut self.sent)
    }
}
