//! What there is to see: a borrowed view for show commands, the API and metrics.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bugle_isis as isis;
use bugle_mobility as mobility;
use bugle_ospf as ospf;
use bugle_rib::{Counters, SelectedRoute};
use bugle_types::{IfIndex, RouterId, TableId, Time, VrfId};

use crate::config::{BfdPeer, Config, VrfName};
use crate::event::Failure;
use crate::peers::{self, Absence};
use crate::speaker::Speaker;
use crate::vrf::Vrf;

/// A borrowed view of the speaker.
#[derive(Debug, Clone, Copy)]
pub struct State<'a>(&'a Speaker);

/// A borrowed view of one VRF.
#[derive(Debug, Clone, Copy)]
pub struct VrfState<'a> {
    speaker: &'a Speaker,
    name: &'a VrfName,
    vrf: &'a Vrf,
}

impl Speaker {
    /// What there is to see.
    #[must_use]
    pub fn state(&self) -> State<'_> {
        State(self)
    }
}

impl<'a> State<'a> {
    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        &self.0.config
    }

    /// The time of the last input.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.now()
    }

    /// When the speaker was made.
    #[must_use]
    pub fn started(&self) -> Time {
        self.0.started()
    }

    /// The identity in force: the one configured, else the highest address of a loopback.
    #[must_use]
    pub fn router_id(&self) -> Option<RouterId> {
        self.0.router_id()
    }

    /// The VRFs, `default` first.
    pub fn vrfs(&self) -> impl Iterator<Item = VrfState<'a>> + use<'a> {
        let speaker = self.0;
        speaker.vrfs.iter().map(move |(name, vrf)| VrfState { speaker, name, vrf })
    }

    /// The VRF called `name`.
    #[must_use]
    pub fn vrf(&self, name: &str) -> Option<VrfState<'a>> {
        self.vrfs().find(|vrf| vrf.name().as_str() == name)
    }

    /// The name of an interface; its number in words if it is gone.
    #[must_use]
    pub fn interface_name(&self, ifindex: IfIndex) -> String {
        self.0.machine.name(ifindex)
    }

    /// The names of all interfaces.
    pub fn interface_names(&self) -> impl Iterator<Item = (IfIndex, &'a str)> + use<'a> {
        self.0.machine.links.values().map(|link| (link.ifindex, link.name.as_str()))
    }

    /// How much there is in the forwarding table.
    #[must_use]
    pub fn fib(&self) -> Counters {
        self.0.rib.state().counters()
    }
}

impl<'a> VrfState<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a VrfName {
        self.name
    }

    /// The kernel's table; `None` while its VRF device does not exist.
    #[must_use]
    pub fn table(&self) -> Option<TableId> {
        self.vrf.table
    }

    /// The OSPF instance, if one runs.
    #[must_use]
    pub fn ospf(&self) -> Option<ospf::State<'a>> {
        self.vrf.ospf.as_ref().map(ospf::Ospf::state)
    }

    /// The IS-IS instance, if one runs.
    #[must_use]
    pub fn isis(&self) -> Option<isis::State<'a>> {
        self.vrf.isis.as_ref().map(isis::Isis::state)
    }

    /// The peers of `[[vrf.NAME.bfd.peer]]` that have no session, and why.
    pub fn absent_bfd_peers(&self) -> impl Iterator<Item = (&'a BfdPeer, Absence)> + use<'a> {
        let (speaker, name) = (self.speaker, self.name);
        let config = speaker.config.vrfs.get(name);
        config.into_iter().flat_map(|config| peers::absent(&speaker.machine, (name, config)))
    }

    /// The state of the BFD session that watches the path to a neighbour of OSPF; `None` if none does.
    #[must_use]
    pub fn bfd_state(
        &self,
        ifindex: IfIndex,
        neighbor: Ipv4Addr,
    ) -> Option<bugle_wire::bfd::State> {
        self.vrf.bfd.state(crate::bfd::path(self.vrf.id, ifindex, neighbor))
    }

    /// The state of the BFD session that watches the path to a neighbour of IS-IS; where there is one for each version of IP, of the one
    /// that is further. `None` if none does.
    #[must_use]
    pub fn isis_bfd_state(&self, neighbor: &isis::Adjacency) -> Option<bugle_wire::bfd::State> {
        let ipv4 = neighbor.ipv4.iter().copied().map(IpAddr::from);
        let addresses = ipv4.chain(neighbor.ipv6.iter().copied().map(IpAddr::from));
        let path = |address| crate::bfd::path(self.vrf.id, neighbor.id.ifindex, address);
        addresses.filter_map(|address| self.vrf.isis_bfd.state(path(address))).max()
    }

    /// How often the path to a neighbour's address has failed without a quiet time between two failures.
    #[must_use]
    pub fn neighbor_flaps(&self, ifindex: IfIndex, neighbor: IpAddr) -> u32 {
        let subject = (ifindex, Failure::Path(neighbor));
        self.speaker.damper.flaps(subject).map_or(0, |flaps| flaps.count)
    }

    /// How often the link of an interface has failed without a quiet time between two failures.
    #[must_use]
    pub fn link_flaps(&self, ifindex: IfIndex) -> u32 {
        self.speaker.damper.flaps((ifindex, Failure::Link)).map_or(0, |flaps| flaps.count)
    }

    /// The paths from an interface that are held down, and until when.
    pub fn held_neighbors(
        &self,
        ifindex: IfIndex,
    ) -> impl Iterator<Item = (IpAddr, Time)> + use<'a> {
        self.speaker.damper.held().filter_map(move |(subject, until)| match subject {
            (of, Failure::Path(neighbor)) if of == ifindex => Some((neighbor, until)),
            _ => None,
        })
    }

    /// The interfaces that OSPF would run on if they did not flap, and until when they are held down.
    #[must_use]
    pub fn held_interfaces(&self) -> Vec<(IfIndex, ospf::InterfaceConfig, Time)> {
        let config = self.speaker.config.vrfs.get(self.name);
        let wanted = config.map(|config| self.speaker.machine.ospf_interfaces(self.name, config));
        self.held_links(wanted.unwrap_or_default())
    }

    /// The circuits that IS-IS would run on if they did not flap, and until when they are held down.
    #[must_use]
    pub fn held_circuits(&self) -> Vec<(IfIndex, isis::CircuitConfig, Time)> {
        let config = self.speaker.config.vrfs.get(self.name);
        let wanted = config.map(|config| self.speaker.machine.isis_circuits(self.name, config));
        self.held_links(wanted.unwrap_or_default())
    }

    /// Which of these are held down because their link flaps, and until when.
    fn held_links<C>(&self, mut wanted: BTreeMap<IfIndex, C>) -> Vec<(IfIndex, C, Time)> {
        let held = self.speaker.damper.held().filter(|((_, of), _)| *of == Failure::Link);
        held.filter_map(|((ifindex, _), until)| Some((ifindex, wanted.remove(&ifindex)?, until)))
            .collect()
    }

    /// Its number, by which BFD knows it.
    #[must_use]
    pub fn id(&self) -> VrfId {
        self.vrf.id
    }

    /// When OSPF next computes routes, if it is going to.
    #[must_use]
    pub fn spf_due(&self) -> Option<Time> {
        self.ospf().and_then(|ospf| ospf.spf_due())
    }

    /// The hosts.
    pub fn hosts(&self) -> impl Iterator<Item = mobility::HostView<'a>> + use<'a> {
        self.vrf.mobility.state().hosts()
    }

    /// What others advertise for an address, in whichever protocol.
    #[must_use]
    pub fn rival(&self, address: IpAddr) -> Option<mobility::Others> {
        self.vrf.rival(address)
    }

    /// The best routes, by prefix.
    pub fn routes(&self) -> impl Iterator<Item = SelectedRoute<'a>> + use<'a> {
        self.speaker.rib.state().routes(self.vrf.id)
    }

    /// The best route to the most specific prefix that holds an address.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<SelectedRoute<'a>> {
        self.routes()
            .filter(|route| route.prefix.contains(address))
            .max_by_key(|route| route.prefix.length())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bugle_rib::fib::FibSnapshot;
    use bugle_types::{Link, Mac};

    use super::*;
    use crate::io::Input;

    const CONFIG: &str = "
        [link-damping]
        after = 1
        initial = \"2s\"
        [vrf.default.isis]
        net = \"49.0001.0000.0000.0001.00\"
        [[vrf.default.isis.interface]]
        name = \"eth*\"
    ";

    #[test]
    fn a_circuit_of_a_link_that_flaps_is_held_down_and_says_so() {
        let mut now = Time::from_secs(1);
        let mut speaker = Speaker::new(7, now);
        let link = |carrier| {
            Input::Link(Link {
                ifindex: IfIndex(2),
                name: "eth0".to_owned(),
                admin_up: true,
                carrier,
                loopback: false,
                mtu: 1500,
                mac: Some(Mac([2, 0, 0, 0, 0, 1])),
                master: None,
                vrf_table: None,
            })
        };
        let config = Config::parse(CONFIG).expect("it is a configuration");
        let start = [
            Input::Config(Box::new(config)),
            link(true),
            Input::Synced,
            Input::Fib(FibSnapshot::default()),
        ];
        let mut tell = |now: Time, input| {
            speaker.handle(now, input);
            while speaker.poll_output().is_some() {}
            let state = speaker.state();
            let vrf = state.vrf(&VrfName::default().to_string()).expect("it is always there");
            let held = vrf.held_circuits();
            let held: Vec<_> =
                held.into_iter().map(|(_, config, until)| (config.name, until)).collect();
            (vrf.isis().map_or(0, |isis| isis.circuits().count()), held)
        };
        for input in start {
            tell(now, input);
        }
        // The first failure is free.
        for _ in 0..2 {
            now += Duration::from_secs(10);
            assert_eq!(tell(now, link(true)), (1, Vec::new()));
            tell(now, link(false));
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(tell(now, link(true)), (0, vec![("eth0".to_owned(), until)]));
        assert_eq!(tell(until, Input::Tick), (1, Vec::new()));
    }
}
