//! BFD sessions that the configuration asks for by themselves (`[[vrf.NAME.bfd.peer]]`). Nobody acts on what they find out; it is
//! shown, told and counted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_bfd::io::TTL;
use bugle_bfd::{Client, Hop, Path, Settings};
use bugle_types::{IfIndex, VrfId};

use crate::config::{BfdPeer, BfdProfile, PeerStart, Vrf, VrfName};
use crate::io::Output;
use crate::ports::Machine;

/// Why a peer that the configuration names has no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Absence {
    /// The interface is not there.
    #[error("there is no such interface")]
    NoInterface,
    /// The interface belongs to the device of another VRF.
    #[error("the interface belongs to another VRF")]
    OtherVrf,
    /// None of our addresses on the interface shares a network with the peer, and none is given.
    #[error("the interface has no address in the peer's network")]
    NoNetwork,
    /// The address to send from is not there.
    #[error("we do not have the local address")]
    NotOurs,
}

/// The sessions of a VRF that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_path: BTreeMap<Path, Settings>,
    device: Option<IfIndex>,
}

impl Peers {
    /// Has these sessions from now on, and no others.
    pub(crate) fn configure(
        &mut self,
        wanted: BTreeMap<Path, Settings>,
        device: Option<IfIndex>,
        mut order: impl FnMut(Output),
    ) {
        let client = Client::Static;
        for &path in self.by_path.keys().filter(|path| !wanted.contains_key(path)) {
            order(Output::ReleaseBfd { client, path });
        }
        for (&path, settings) in &wanted {
            if self.device != device || self.by_path.get(&path) != Some(settings) {
                let settings = Box::new(settings.clone());
                order(Output::RequestBfd { client, path, settings, device });
            }
        }
        (self.by_path, self.device) = (wanted, device);
    }
}

/// The sessions that can be had: their interfaces and our addresses are there.
pub(crate) fn wanted(
    machine: &Machine,
    (id, name, config): (VrfId, &VrfName, &Vrf),
    profiles: &BTreeMap<String, BfdProfile>,
) -> BTreeMap<Path, Settings> {
    let session = |peer: &BfdPeer| {
        let (hop, local, min_ttl) = start(machine, name, peer).ok()?;
        let profile = match &peer.profile {
            Some(name) => profiles.get(name)?.profile()?,
            None => BfdProfile::default().profile()?,
        };
        let settings = Settings { local, point_to_point: false, min_ttl, profile };
        Some((Path { vrf: id, hop, remote: peer.address }, settings))
    };
    config.bfd_peers.iter().filter_map(session).collect()
}

/// The peers that have no session, and why.
pub(crate) fn absent<'a>(
    machine: &'a Machine,
    (name, config): (&'a VrfName, &'a Vrf),
) -> impl Iterator<Item = (&'a BfdPeer, Absence)> + use<'a> {
    config.bfd_peers.iter().filter_map(move |peer| {
        let absence = start(machine, name, peer).err()?;
        Some((peer, absence))
    })
}

/// How the path to a peer begins on this machine: with our address, and the least TTL that packets arrive with.
fn start(machine: &Machine, name: &VrfName, peer: &BfdPeer) -> Result<(Hop, IpAddr, u8), Absence> {
    match &peer.start {
        PeerStart::Interface { name: interface, local } => {
            let link = machine.by_name(interface).ok_or(Absence::NoInterface)?;
            if !machine.belongs(link, name) {
                return Err(Absence::OtherVrf);
            }
            let found = machine.local_address(link.ifindex, peer.address, *local);
            let nothing = if local.is_some() { Absence::NotOurs } else { Absence::NoNetwork };
            Ok((Hop::Single(link.ifindex), found.ok_or(nothing)?, TTL))
        }
        PeerStart::Multihop { local, min_ttl } => {
            let ours = machine.addresses().any(|address| address == *local);
            if ours { Ok((Hop::Multi(*local), *local, *min_ttl)) } else { Err(Absence::NotOurs) }
        }
    }
}

#[cfg(test)]
mod tests {
    use bugle_types::{Address, Link, Time};
    use bugle_wire::bfd::Interval;

    use super::Absence::{NoInterface, NoNetwork, NotOurs};
    use super::*;
    use crate::{Config, Input, Speaker};

    const PEERS: &str = "[fib]\nenabled = false\n[bfd.fast]\ntx = '10ms'\n\
         [[vrf.default.bfd.peer]]\naddress = '192.0.2.2'\ninterface = 'eth0'\nprofile = 'fast'\n\
         [[vrf.default.bfd.peer]]\naddress = '198.51.100.7'\nlocal = '192.0.2.1'\nmultihop = true\nmin-ttl = 250\n\
         [[vrf.default.bfd.peer]]\naddress = 'fe80::2'\ninterface = 'eth0'\n\
         [[vrf.default.bfd.peer]]\naddress = '203.0.113.1'\ninterface = 'eth0'\n";

    fn link(number: u32, name: &str) -> Input<'static> {
        Input::Link(Link {
            ifindex: IfIndex(number),
            name: name.to_owned(),
            mac: None,
            mtu: 1500,
            admin_up: true,
            carrier: true,
            loopback: false,
            master: None,
            vrf_table: None,
        })
    }

    fn address(number: u32, local: &str, prefix_length: u8) -> Address {
        Address {
            ifindex: IfIndex(number),
            local: local.parse().unwrap(),
            prefix_length,
            peer: None,
        }
    }

    /// What is asked of BFD: a peer, with its settings if a session is wanted.
    fn orders(speaker: &mut Speaker, input: Input<'_>) -> Vec<(Path, Option<Settings>)> {
        speaker.handle(Time::from_secs(1), input);
        let order = |output| {
            if let Output::RequestBfd { client: Client::Static, path, settings, .. } = output {
                return Some((path, Some(*settings)));
            }
            let Output::ReleaseBfd { client: Client::Static, path } = output else { return None };
            Some((path, None))
        };
        std::iter::from_fn(|| speaker.poll_output()).filter_map(order).collect()
    }

    fn config(text: &str) -> Input<'static> {
        Input::Config(Box::new(Config::parse(text).unwrap()))
    }

    #[test]
    fn peers_have_sessions_while_their_interface_and_our_address_are_there() {
        let speaker = &mut Speaker::new(1, Time::ZERO);
        assert_eq!(orders(speaker, config(PEERS)), []);
        assert_eq!(orders(speaker, Input::Synced), []);
        assert_eq!(orders(speaker, link(3, "eth0")), []);
        let begun = orders(speaker, Input::Address(address(3, "192.0.2.1", 24)));
        let [(single, Some(one)), (multi, Some(several))] = &begun[..] else { panic!("{begun:?}") };
        let ours: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!((single.hop, one.local, one.min_ttl), (Hop::Single(IfIndex(3)), ours, 255));
        assert_eq!((multi.hop, several.local, several.min_ttl), (Hop::Multi(ours), ours, 250));
        assert_eq!((one.profile.tx, several.profile.tx), (Interval(10_000), Interval(300_000)));
        // A link-local peer has a session of its own.
        let begun = orders(speaker, Input::Address(address(3, "fe80::1", 64)));
        assert!(matches!(&begun[..], [(path, Some(_))] if path.remote.is_ipv6()), "{begun:?}");
        // A reload changes what it changes.
        let slower = orders(speaker, config(&PEERS.replace("10ms", "20ms")));
        assert!(matches!(&slower[..], [(path, Some(_))] if path == single), "{slower:?}");
        let fewer = PEERS.replace("250", "251").replace("203.0.113.1", "203.0.113.2");
        assert_eq!(orders(speaker, config(&fewer)).len(), 2);
        // Where the address goes, the sessions go.
        let gone = orders(speaker, Input::AddressGone(address(3, "192.0.2.1", 24)));
        assert_eq!(gone, [(*single, None), (*multi, None)]);
        let gone = orders(speaker, config("[fib]\nenabled = false\n"));
        assert!(matches!(&gone[..], [(path, None)] if path.remote.is_ipv6()), "{gone:?}");
    }

    #[test]
    fn a_peer_without_a_session_says_why() {
        let text = "[fib]\nenabled = false\n\
             [[vrf.default.bfd.peer]]\naddress = '192.0.2.2'\ninterface = 'eth0'\n\
             [[vrf.default.bfd.peer]]\naddress = '192.0.2.2'\ninterface = 'eth9'\n\
             [[vrf.default.bfd.peer]]\naddress = '203.0.113.1'\ninterface = 'eth0'\n\
             [[vrf.default.bfd.peer]]\naddress = '192.0.2.3'\nlocal = '192.0.2.9'\ninterface = 'eth0'\n\
             [[vrf.default.bfd.peer]]\naddress = '198.51.100.7'\nlocal = '192.0.2.9'\nmultihop = true\n";
        let speaker = &mut Speaker::new(1, Time::ZERO);
        for input in [config(text), Input::Synced, link(3, "eth0")] {
            orders(speaker, input);
        }
        let reasons = |speaker: &Speaker| -> Vec<Absence> {
            let state = speaker.state();
            state.vrf("default").unwrap().absent_bfd_peers().map(|(_, reason)| reason).collect()
        };
        let none = [NoNetwork, NoInterface, NoNetwork, NotOurs, NotOurs];
        assert_eq!(reasons(speaker), none);
        orders(speaker, Input::Address(address(3, "192.0.2.1", 24)));
        assert_eq!(reasons(speaker), none[1..]);
    }

    #[test]
    fn nothing_is_left_of_peers_at_the_end_or_without_their_vrf() {
        let text =
            format!("{PEERS}[[vrf.red.bfd.peer]]\naddress = '192.0.2.3'\ninterface = 'eth0'\n");
        let speaker = &mut Speaker::new(1, Time::ZERO);
        orders(speaker, link(3, "eth0"));
        orders(speaker, Input::Address(address(3, "192.0.2.1", 24)));
        orders(speaker, Input::Synced);
        assert_eq!(orders(speaker, config(&text)).len(), 3);
        let gone = orders(speaker, config(PEERS));
        assert!(matches!(&gone[..], [(_, None)]), "{gone:?}");
        let gone = orders(speaker, Input::Shutdown);
        assert!(matches!(&gone[..], [(_, None), (_, None)]), "{gone:?}");
    }
}
