//! Which interfaces the protocols run on, and how: the configuration applied to what the machine has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bugle_isis::{CircuitConfig, CircuitKind};
use bugle_ospf::{InterfaceConfig, NetworkType};
use bugle_types::{Address, IfIndex, Link, Prefix, TableId};

use crate::config::{LinkType, Vrf, VrfName};
use crate::vrf::circuit;

/// The machine's interfaces and their addresses, as last reported.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) links: BTreeMap<IfIndex, Link>,
    /// In the order in which they were added: the first is the primary one.
    addresses: Vec<Address>,
}

impl Machine {
    pub(crate) fn add_address(&mut self, address: Address) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    pub(crate) fn remove_address(&mut self, address: Address) {
        self.addresses.retain(|&known| known != address);
    }

    pub(crate) fn remove_link(&mut self, ifindex: IfIndex) {
        self.links.remove(&ifindex);
        self.addresses.retain(|address| address.ifindex != ifindex);
    }

    /// Forgets addresses that a resynchronisation did not report again.
    pub(crate) fn retain_addresses(&mut self, reported: &BTreeSet<Address>) {
        self.addresses.retain(|address| reported.contains(address));
    }

    /// An interface's name; its number in words if it is gone.
    pub(crate) fn name(&self, ifindex: IfIndex) -> String {
        self.links.get(&ifindex).map_or_else(|| format!("#{}", ifindex.0), |link| link.name.clone())
    }

    /// The interface called `name`.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// Every address of the machine.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|address| address.local)
    }

    /// The first and the last address of each IPv4 network that the machine is in: the network's own, and that of broadcasts.
    pub(crate) fn ends_of_networks(&self) -> impl Iterator<Item = IpAddr> {
        let networks = self.addresses.iter().filter(|address| address.peer.is_none());
        let networks = networks.filter(|address| address.prefix_length <= 30);
        let networks = networks.filter_map(|a| Prefix::new(a.local, a.prefix_length));
        networks.filter_map(|network| Some((network.ipv4()?, network.mask()?))).flat_map(
            |(first, mask)| {
                [first.into(), Ipv4Addr::from(u32::from(first) | !u32::from(mask)).into()]
            },
        )
    }

    /// Our address on an interface for a peer there: the one that is asked for, or the first that shares a network with it.
    pub(crate) fn local_address(
        &self,
        ifindex: IfIndex,
        peer: IpAddr,
        asked_for: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let shares = |address: &Address| {
            let network = Prefix::new(address.local, address.prefix_length);
            address.peer == Some(peer) || network.is_some_and(|network| network.contains(peer))
        };
        let fits = |address: &&Address| {
            asked_for.map_or_else(|| shares(address), |local| address.local == local)
        };
        let mut here = self.addresses.iter().filter(|address| address.ifindex == ifindex);
        here.find(fits).map(|address| address.local)
    }

    /// The kernel's table of a VRF: the main one, the one given, or that of the VRF device of this name.
    pub(crate) fn table(&self, name: &VrfName, vrf: &Vrf) -> Option<TableId> {
        if name.is_default() {
            return Some(vrf.table.unwrap_or(TableId::MAIN));
        }
        vrf.table.or_else(|| self.by_name(name.as_str())?.vrf_table)
    }

    /// The device of a VRF, if it has one.
    pub(crate) fn vrf_device(&self, name: &VrfName) -> Option<IfIndex> {
        let device = self.by_name(name.as_str())?;
        (!name.is_default() && device.vrf_table.is_some()).then_some(device.ifindex)
    }

    /// Whether an interface belongs to a VRF: to its VRF device where there is one; else it belongs to whichever VRF's
    /// patterns name it.
    pub(crate) fn belongs(&self, link: &Link, name: &VrfName) -> bool {
        let enslaved_to = link
            .master
            .and_then(|master| self.links.get(&master))
            .filter(|master| master.vrf_table.is_some());
        match enslaved_to {
            Some(device) => device.name == name.as_str(),
            None if link.vrf_table.is_some() => link.name == name.as_str(),
            None => {
                name.is_default()
                    || self.by_name(name.as_str()).is_none_or(|l| l.vrf_table.is_none())
            }
        }
    }

    /// What OSPF is to run on in a VRF.
    pub(crate) fn ospf_interfaces(
        &self,
        name: &VrfName,
        vrf: &Vrf,
    ) -> BTreeMap<IfIndex, InterfaceConfig> {
        let Some(ospf) = &vrf.ospf else { return BTreeMap::new() };
        let applies = |link: &Link| {
            if !self.may_speak(link, name, vrf) {
                return None;
            }
            let block = ospf.interface(&link.name)?;
            let mut v4 =
                self.addresses.iter().filter(|a| a.ifindex == link.ifindex).filter_map(|a| match a
                    .local
                {
                    IpAddr::V4(v4) if !v4.is_loopback() => Some((v4, a)),
                    IpAddr::V4(_) | IpAddr::V6(_) => None,
                });
            let (address, primary) = v4.next()?;
            // With a peer address the two ends share no network: the link is unnumbered.
            let prefix_length = if primary.peer.is_some() { 32 } else { primary.prefix_length };
            let stubs = v4.filter_map(|(v4, a)| Prefix::new(v4.into(), a.prefix_length)).collect();
            let network_type = match block.link {
                _ if link.loopback => NetworkType::Passive,
                LinkType::PointToPoint => NetworkType::PointToPoint,
                LinkType::Broadcast => NetworkType::Broadcast,
                LinkType::Passive => NetworkType::Passive,
            };
            let config = InterfaceConfig {
                name: link.name.clone(),
                address,
                prefix_length,
                stubs,
                mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
                network_type,
                cost: block.cost,
                hello: block.hello,
                dead: block.dead,
                retransmit: block.retransmit,
                priority: block.priority,
                mtu_ignore: block.mtu_ignore,
            };
            Some((link.ifindex, config))
        };
        self.links.values().filter_map(applies).collect()
    }

    /// What IS-IS is to run on in a VRF.
    pub(crate) fn isis_circuits(
        &self,
        name: &VrfName,
        vrf: &Vrf,
    ) -> BTreeMap<IfIndex, CircuitConfig> {
        let Some(isis) = &vrf.isis else { return BTreeMap::new() };
        let applies = |link: &Link| {
            if !self.may_speak(link, name, vrf) {
                return None;
            }
            let block = isis.interface(&link.name)?;
            let mut config = circuit(&link.name, link.mac.unwrap_or_default(), isis, block);
            if link.loopback {
                config.kind = CircuitKind::Passive;
            } else if link.mac.is_none() && config.kind != CircuitKind::Passive {
                // There are no frames without addresses.
                return None;
            }
            config.mtu = u16::try_from(link.mtu).unwrap_or(u16::MAX);
            for address in self.addresses.iter().filter(|a| a.ifindex == link.ifindex) {
                match address.local {
                    // With a peer address the two ends share no network.
                    IpAddr::V4(v4) if !v4.is_loopback() => {
                        let length =
                            if address.peer.is_some() { 32 } else { address.prefix_length };
                        config.ipv4.push((v4, length));
                    }
                    IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                        config.link_local.get_or_insert(v6);
                    }
                    IpAddr::V6(v6) if !v6.is_loopback() => {
                        config.ipv6.push((v6, address.prefix_length));
                    }
                    IpAddr::V4(_) | IpAddr::V6(_) => {}
                }
            }
            Some((link.ifindex, config))
        };
        self.links.values().filter_map(applies).collect()
    }

    /// Whether a VRF's protocols may be spoken on an interface at all: never towards VMs, whatever the patterns say.
    fn may_speak(&self, link: &Link, name: &VrfName, vrf: &Vrf) -> bool {
        link.is_up() && !vrf.hosts.is_port(&link.name) && self.belongs(link, name)
    }

    /// The highest IPv4 address on a loopback interface that is not of 127.0.0.0/8: the default router id.
    pub(crate) fn loopback_address(&self) -> Option<Ipv4Addr> {
        self.addresses
            .iter()
            .filter(|address| self.links.get(&address.ifindex).is_some_and(|link| link.loopback))
            .filter_map(|address| match address.local {
                IpAddr::V4(v4) if !v4.is_loopback() => Some(v4),
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            })
            .max()
    }
}
