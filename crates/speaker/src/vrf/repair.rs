//! What BFD finds out about the paths to neighbours, what is done about it, and how far that has got.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_bfd as bfd;
use bugle_isis as isis;
use bugle_isis::AdjacencyState;
use bugle_ospf as ospf;
use bugle_ospf::neighbor::NeighborState;
use bugle_rib as rib;
use bugle_types::{IfIndex, Mac, Time};
use bugle_wire::bfd::State;

use super::{Context, Vrf};
use crate::bfd::{self as sessions, Sessions, Verdict};
use crate::event::{Event, Failure, Repair, RepairStep, What};
use crate::io::Output;

impl Vrf {
    /// Has the paths to OSPF's neighbours on these interfaces watched by BFD, and no others.
    pub(crate) fn set_bfd(
        &mut self,
        cx: &mut Context<'_>,
        profiles: &BTreeMap<IfIndex, bfd::Profile>,
        device: Option<IfIndex>,
    ) {
        let settings = profiles.iter().filter_map(|(&ifindex, profile)| {
            let interface = self.interfaces.get(&ifindex)?;
            Some((ifindex, vec![sessions::settings(profile, interface)]))
        });
        let restored =
            self.bfd.configure(settings.collect(), device, |output| cx.out.push_back(output));
        for path in restored {
            set_reachable(cx, path, true);
        }
        let states = self.ospf.iter().flat_map(|ospf| ospf.state().neighbors());
        for neighbor in states.filter(|n| n.state >= NeighborState::TwoWay) {
            let path = sessions::path(self.id, neighbor.id.ifindex, neighbor.address);
            self.bfd.ask(path, |output| cx.out.push_back(output));
        }
    }

    /// Has the paths to the neighbours of IS-IS on these circuits watched by BFD as far as it asks for that, and no others.
    pub(crate) fn set_isis_bfd(
        &mut self,
        cx: &mut Context<'_>,
        profiles: &BTreeMap<IfIndex, bfd::Profile>,
        device: Option<IfIndex>,
    ) {
        let settings = profiles.iter().filter_map(|(&ifindex, profile)| {
            Some((ifindex, sessions::circuit_settings(profile, self.circuits.get(&ifindex)?)))
        });
        let restored =
            self.isis_bfd.configure(settings.collect(), device, |output| cx.out.push_back(output));
        for path in restored {
            set_reachable(cx, path, true);
        }
    }

    /// Has these paths watched by BFD because the configuration says so, and no others.
    pub(crate) fn set_bfd_peers(
        &mut self,
        cx: &mut Context<'_>,
        wanted: BTreeMap<bfd::Path, bfd::Settings>,
        device: Option<IfIndex>,
    ) {
        self.bfd_peers.configure(wanted, device, |output| cx.out.push_back(output));
    }

    /// IS-IS wants a path watched, or has no use for that any more.
    pub(super) fn watch_for_isis(
        &mut self,
        cx: &mut Context<'_>,
        (ifindex, peer): (IfIndex, IpAddr),
        wanted: bool,
    ) {
        let path = sessions::path(self.id, ifindex, peer);
        if !wanted {
            let hold =
                |circuit: &isis::CircuitConfig| circuit.hello * circuit.hold_multiplier.into();
            let hold = self.circuits.get(&ifindex).map(hold).unwrap_or_default();
            return self.isis_bfd.leave(path, cx.now + hold);
        }
        self.isis_bfd.ask(path, |output| cx.out.push_back(output));
        if self.isis_bfd.state(path) == Some(State::Up) {
            self.tell_isis(cx.now, path, isis::BfdState::Up);
        }
    }

    /// A client joined a session, which may have been there before.
    pub(crate) fn on_bfd_joined(
        &mut self,
        now: Time,
        client: bfd::Client,
        path: bfd::Path,
        state: State,
    ) {
        self.bfd.on_joined(client, path, state);
        self.isis_bfd.on_joined(client, path, state);
        if client == bfd::Client::Isis && state == State::Up {
            self.tell_isis(now, path, isis::BfdState::Up);
        }
    }

    fn tell_isis(&mut self, now: Time, path: bfd::Path, state: isis::BfdState) {
        if let (Some(isis), bfd::Hop::Single(ifindex)) = (&mut self.isis, path.hop) {
            isis.handle(now, isis::Input::Bfd { ifindex, peer: path.remote, state });
        }
    }

    /// A session changed its state. Whether the path to a neighbour has failed, and with it the adjacency.
    pub(crate) fn on_bfd(&mut self, cx: &mut Context<'_>, at: Time, change: &bfd::Change) -> bool {
        match self.bfd.on_change(change).max(self.isis_bfd.on_change(change)) {
            Verdict::Nothing => {}
            Verdict::Restored => set_reachable(cx, change.path, true),
            Verdict::FailedUnused => set_reachable(cx, change.path, false),
            Verdict::Failed => {
                if let bfd::Hop::Single(ifindex) = change.path.hop {
                    self.begin_repair(cx, ifindex, Failure::Path(change.path.remote), at);
                }
                set_reachable(cx, change.path, false);
                return true;
            }
        }
        self.tell_isis(cx.now, change.path, sessions::isis_state(change));
        false
    }

    /// A path has failed, and traffic goes round it as far as that is prepared: the adjacency ends.
    pub(crate) fn end_adjacency(&mut self, cx: &mut Context<'_>, change: &bfd::Change) {
        let path = change.path;
        self.repaired(cx, RepairStep::Diverted);
        if let (Some(ospf), bfd::Hop::Single(ifindex), IpAddr::V4(address)) =
            (&mut self.ospf, path.hop, path.remote)
            && self.bfd.has_failed(path)
        {
            ospf.handle(cx.now, ospf::Input::Unreachable { ifindex, address });
        }
        self.tell_isis(cx.now, path, sessions::isis_state(change));
    }

    /// The neighbour of IS-IS that a path leads to.
    pub(crate) fn station(&self, path: &bfd::Path) -> Option<Mac> {
        let mut adjacencies = self.isis.as_ref()?.state().adjacencies();
        let found = adjacencies.find(|adjacency| {
            bfd::Hop::Single(adjacency.id.ifindex) == path.hop
                && match path.remote {
                    IpAddr::V4(address) => adjacency.ipv4.contains(&address),
                    IpAddr::V6(address) => adjacency.ipv6.contains(&address),
                }
        });
        found.map(|adjacency| adjacency.source)
    }

    /// Gives up sessions whose time has come.
    pub(crate) fn tick_bfd(&mut self, cx: &mut Context<'_>) {
        for sessions in [&mut self.bfd, &mut self.isis_bfd] {
            for path in sessions.on_tick(cx.now, |output| cx.out.push_back(output)) {
                set_reachable(cx, path, true);
            }
        }
    }

    /// When to do so next.
    pub(crate) fn bfd_deadline(&self) -> Option<Time> {
        [&self.bfd, &self.isis_bfd].into_iter().filter_map(Sessions::deadline).min()
    }

    /// A failure was found out at this time: the steps of its repair are told.
    pub(crate) fn begin_repair(
        &mut self,
        cx: &mut Context<'_>,
        ifindex: IfIndex,
        of: Failure,
        at: Time,
    ) {
        let interface = Some(cx.machine.name(ifindex));
        let repair = Repair { of, step: RepairStep::Detected };
        let vrf = Some(cx.name.to_string());
        let what = What::Repair(repair);
        let event = Event { time: at, vrf, interface: interface.clone(), what };
        cx.out.push_back(Output::Event(event));
        self.repair = Some((interface, repair));
    }

    /// A step of the repair under way, if there is one, was done: it is told if it is the next one or a later one.
    pub(crate) fn repaired(&mut self, cx: &mut Context<'_>, step: RepairStep) {
        let Some((interface, repair)) = &mut self.repair else { return };
        if step <= repair.step {
            return;
        }
        repair.step = step;
        cx.tell(interface.clone(), What::Repair(*repair));
        if step == RepairStep::Installed {
            self.repair = None;
        }
    }

    /// Whether routes were computed for a repair, and are to be installed.
    pub(crate) fn is_computed(&self) -> bool {
        self.repair.as_ref().is_some_and(|(_, repair)| repair.step == RepairStep::Computed)
    }

    /// What the events of IS-IS mean for BFD, and for the repair that is under way.
    pub(super) fn on_isis_event(&mut self, cx: &mut Context<'_>, event: &isis::Event) {
        match *event {
            isis::Event::Adjacency { ifindex, source, to: AdjacencyState::Up, .. } => {
                let states = self.isis.iter().flat_map(|isis| isis.state().adjacencies());
                let neighbor = states.filter(|a| a.id.ifindex == ifindex && a.source == source);
                for address in neighbor.flat_map(|a| {
                    let ipv4 = a.ipv4.iter().copied().map(IpAddr::from);
                    ipv4.chain(a.ipv6.iter().copied().map(IpAddr::from))
                }) {
                    let path = sessions::path(self.id, ifindex, address);
                    // As with OSPF: BFD keeps no adjacency from forming but where RFC 6213 says so.
                    if self.isis_bfd.forgive(path) {
                        set_reachable(cx, path, true);
                    }
                }
            }
            isis::Event::Adjacency { to: AdjacencyState::Down, .. } => {
                self.repaired(cx, RepairStep::AdjacencyDown);
            }
            isis::Event::Originated { .. } => self.repaired(cx, RepairStep::Flooded),
            isis::Event::SpfRun { .. } => self.repaired(cx, RepairStep::Computed),
            isis::Event::Adjacency { to: AdjacencyState::Initializing, .. }
            | isis::Event::DesignatedIs { .. }
            | isis::Event::Mismatch { .. }
            | isis::Event::Dropped { .. }
            | isis::Event::Purged { .. }
            | isis::Event::SelfOriginatedReceived { .. }
            | isis::Event::DuplicateSystemId { .. }
            | isis::Event::Overflow { .. } => {}
        }
    }

    /// What OSPF's events mean for BFD, and for the repair that is under way.
    pub(super) fn on_ospf_event(&mut self, cx: &mut Context<'_>, event: &ospf::Event) {
        match *event {
            ospf::Event::NeighborState { ifindex, address, from, to, cause, .. } => {
                let path = sessions::path(self.id, ifindex, address);
                let dead = self.interfaces.get(&ifindex).map(|config| config.dead);
                let until = cx.now + dead.unwrap_or_default();
                let out = &mut *cx.out;
                let restored = self.bfd.on_neighbor(path, (from, to), cause, until, |output| {
                    out.push_back(output);
                });
                if restored {
                    set_reachable(cx, path, true);
                }
                if to == NeighborState::Down {
                    self.repaired(cx, RepairStep::AdjacencyDown);
                }
            }
            ospf::Event::SpfRun { .. } => self.repaired(cx, RepairStep::Computed),
            ospf::Event::InterfaceState { .. }
            | ospf::Event::DesignatedRouter { .. }
            | ospf::Event::Mismatch { .. }
            | ospf::Event::Dropped { .. }
            | ospf::Event::Originated { .. }
            | ospf::Event::SelfOriginatedReceived { .. }
            | ospf::Event::DuplicateRouterId(_) => {}
        }
    }
}

/// Traffic may, or may not, be sent along a path.
fn set_reachable(cx: &mut Context<'_>, path: bfd::Path, reachable: bool) {
    let bfd::Hop::Single(ifindex) = path.hop else { return };
    let address = path.remote;
    cx.rib.handle(cx.now, rib::Input::Reachable { ifindex, address, reachable });
}
