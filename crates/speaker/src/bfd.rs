//! What a VRF's OSPF asks of BFD, and what becomes of it (RFC 5882 sections 4 and 10.1).
//!
//! A session is asked for when a neighbour is heard and hears us (2-Way), as FRR does, and kept for RouterDeadInterval after
//! that has ended: so long a session that failed can be looked at, and is there at once if the neighbour comes back.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bugle_bfd::{self as bfd, Client, Hop, Path};
use bugle_ospf::neighbor::{NeighborEvent, NeighborState};
use bugle_ospf::{InterfaceConfig, NetworkType};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::State;

use crate::io::Output;

/// The sessions that one VRF has asked for.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// How the interfaces that want sessions want them.
    wanted: BTreeMap<IfIndex, bfd::Settings>,
    by_path: BTreeMap<Path, Session>,
    /// The VRF's device, if it has one.
    device: Option<IfIndex>,
}

#[derive(Debug)]
struct Session {
    settings: bfd::Settings,
    state: State,
    /// It failed, and nothing has been heard of the path since: nothing is sent that way.
    failed: bool,
    /// When to give it up, unless the neighbour comes back.
    until: Option<Time>,
}

/// What a change of a session means for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The path has failed.
    Failed,
    /// The path is there again.
    Restored,
    /// Nothing.
    Nothing,
}

impl Sessions {
    /// How sessions are to run on each interface from now on. Sessions of other interfaces end; their paths are returned, which may be
    /// used again.
    pub(crate) fn configure(
        &mut self,
        wanted: BTreeMap<IfIndex, bfd::Settings>,
        device: Option<IfIndex>,
        mut order: impl FnMut(Output),
    ) -> Vec<Path> {
        (self.wanted, self.device) = (wanted, device);
        let mut ended = Vec::new();
        let wanted = &self.wanted;
        self.by_path.retain(|&path, session| {
            let Some(settings) = interface(path).and_then(|ifindex| wanted.get(&ifindex)) else {
                order(release(path));
                ended.extend(session.failed.then_some(path));
                return false;
            };
            if session.settings != *settings {
                session.settings = settings.clone();
                order(request(path, settings, device));
            }
            true
        });
        ended
    }

    /// A neighbour changed its state. Whether its path may be used again although it had failed.
    pub(crate) fn on_neighbor(
        &mut self,
        path: Path,
        (from, to): (NeighborState, NeighborState),
        cause: NeighborEvent,
        until: Time,
        mut order: impl FnMut(Output),
    ) -> bool {
        if to >= NeighborState::TwoWay {
            if from < NeighborState::TwoWay {
                self.ask(path, order);
            }
            // Whatever BFD says, OSPF has found the neighbour again: a session that does not come up keeps no adjacency from
            // forming (RFC 5882 section 4.1).
            return to == NeighborState::Full && self.forgive(path);
        }
        let Some(session) = self.by_path.get_mut(&path) else { return false };
        match cause {
            // The interface is gone, or nothing has been heard for as long already.
            NeighborEvent::KillNbr | NeighborEvent::InactivityTimer => {
                let failed = session.failed;
                self.by_path.remove(&path);
                order(release(path));
                failed
            }
            NeighborEvent::HelloReceived
            | NeighborEvent::TwoWayReceived
            | NeighborEvent::NegotiationDone
            | NeighborEvent::ExchangeDone
            | NeighborEvent::BadLsReq
            | NeighborEvent::LoadingDone
            | NeighborEvent::AdjOk
            | NeighborEvent::SeqNumberMismatch
            | NeighborEvent::OneWayReceived
            | NeighborEvent::LlDown => {
                session.until = Some(until);
                false
            }
        }
    }

    /// Has a session to a neighbour if one is wanted.
    pub(crate) fn ask(&mut self, path: Path, mut order: impl FnMut(Output)) {
        let Some(settings) = interface(path).and_then(|ifindex| self.wanted.get(&ifindex)) else {
            return;
        };
        if let Some(session) = self.by_path.get_mut(&path) {
            session.until = None;
            return;
        }
        let settings = settings.clone();
        order(request(path, &settings, self.device));
        let session = Session { settings, state: State::Down, failed: false, until: None };
        self.by_path.insert(path, session);
    }

    /// A session changed its state.
    pub(crate) fn on_change(&mut self, change: &bfd::Change) -> Verdict {
        let Some(session) = self.by_path.get_mut(&change.path) else { return Verdict::Nothing };
        session.state = change.to;
        if change.is_failure_for(Client::Ospf) {
            session.failed = true;
            return Verdict::Failed;
        }
        if change.to == State::Up && std::mem::take(&mut session.failed) {
            return Verdict::Restored;
        }
        Verdict::Nothing
    }

    /// When a session is to be given up.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.by_path.values().filter_map(|session| session.until).min()
    }

    /// Gives up the sessions of neighbours that have not come back. Their paths are returned, which may be used again.
    pub(crate) fn on_tick(&mut self, now: Time, mut order: impl FnMut(Output)) -> Vec<Path> {
        let mut ended = Vec::new();
        self.by_path.retain(|&path, session| {
            let keep = session.until.is_none_or(|until| until > now);
            if !keep {
                order(release(path));
                ended.extend(session.failed.then_some(path));
            }
            keep
        });
        ended
    }

    /// The state of the session to a neighbour, if there is one.
    pub(crate) fn state(&self, path: Path) -> Option<State> {
        self.by_path.get(&path).map(|session| session.state)
    }

    fn forgive(&mut self, path: Path) -> bool {
        self.by_path.get_mut(&path).is_some_and(|session| std::mem::take(&mut session.failed))
    }
}

/// The path to a neighbour of OSPF.
pub(crate) fn path(vrf: VrfId, ifindex: IfIndex, neighbor: Ipv4Addr) -> Path {
    Path { vrf, hop: Hop::Single(ifindex), remote: neighbor.into() }
}

/// What an interface wants of its sessions.
pub(crate) fn settings(profile: &bfd::Profile, interface: &InterfaceConfig) -> bfd::Settings {
    bfd::Settings {
        local: interface.address.into(),
        point_to_point: interface.network_type == NetworkType::PointToPoint,
        profile: profile.clone(),
    }
}

fn interface(path: Path) -> Option<IfIndex> {
    match path.hop {
        Hop::Single(ifindex) => Some(ifindex),
        Hop::Multi(_) => None,
    }
}

fn request(path: Path, settings: &bfd::Settings, device: Option<IfIndex>) -> Output {
    let settings = Box::new(settings.clone());
    Output::RequestBfd { client: Client::Ospf, path, settings, device }
}

fn release(path: Path) -> Output {
    Output::ReleaseBfd { client: Client::Ospf, path }
}
