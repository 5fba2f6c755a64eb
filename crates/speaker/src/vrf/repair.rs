//! What BFD finds out about the paths to OSPF's neighbours, what is done about it, and how far that has got.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_bfd as bfd;
use bugle_ospf as ospf;
use bugle_ospf::neighbor::NeighborState;
use bugle_rib as rib;
use bugle_types::{IfIndex, Time};

use super::{Context, Vrf};
use crate::bfd::{self as sessions, Verdict};
use crate::event::{Event, Failure, Repair, RepairStep, What};
use crate::io::Output;

impl Vrf {
    /// Has the paths to the neighbours on these interfaces watched by BFD, and no others.
    pub(crate) fn set_bfd(
        &mut self,
        cx: &mut Context<'_>,
        profiles: &BTreeMap<IfIndex, bfd::Profile>,
        device: Option<IfIndex>,
    ) {
        let settings = profiles.iter().filter_map(|(&ifindex, profile)| {
            Some((ifindex, sessions::settings(profile, self.interfaces.get(&ifindex)?)))
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

    /// A session changed its state. Whether a path has failed, to which traffic is not to be sent any more.
    pub(crate) fn on_bfd(&mut self, cx: &mut Context<'_>, at: Time, change: &bfd::Change) -> bool {
        match self.bfd.on_change(change) {
            Verdict::Nothing => false,
            Verdict::Restored => {
                set_reachable(cx, change.path, true);
                false
            }
            Verdict::Failed => {
                if let bfd::Hop::Single(ifindex) = change.path.hop {
                    self.begin_repair(cx, ifindex, Failure::Path(change.path.remote), at);
                }
                set_reachable(cx, change.path, false);
                true
            }
        }
    }

    /// A path has failed, and traffic goes round it as far as that is prepared: the adjacency ends.
    pub(crate) fn end_adjacency(&mut self, cx: &mut Context<'_>, path: bfd::Path) {
        self.repaired(cx, RepairStep::Diverted);
        if let (Some(ospf), bfd::Hop::Single(ifindex), IpAddr::V4(address)) =
            (&mut self.ospf, path.hop, path.remote)
        {
            ospf.handle(cx.now, ospf::Input::Unreachable { ifindex, address });
        }
    }

    /// Gives up sessions whose time has come.
    pub(crate) fn tick_bfd(&mut self, cx: &mut Context<'_>) {
        for path in self.bfd.on_tick(cx.now, |output| cx.out.push_back(output)) {
            set_reachable(cx, path, true);
        }
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
            | ospf::Event::SelfOriginatedReceived { .. } => {}
        }
    }
}

/// Traffic may, or may not, be sent along a path.
fn set_reachable(cx: &mut Context<'_>, path: bfd::Path, reachable: bool) {
    let bfd::Hop::Single(ifindex) = path.hop else { return };
    let address = path.remote;
    cx.rib.handle(cx.now, rib::Input::Reachable { ifindex, address, reachable });
}
