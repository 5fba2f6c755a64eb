//! What a VRF's protocols ask of BFD, and what becomes of it (RFC 5882 sections 4 and 10).
//!
//! OSPF has a session when a neighbour is heard and hears us (2-Way), as FRR does; IS-IS when it says so (RFC 6213). It is kept for
//! RouterDeadInterval, or the holding time, after that has ended: so long a session that failed can be looked at, and is there
//! at once if the neighbour comes back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_bfd::io::TTL;
use bugle_bfd::{self as bfd, Client, Hop, Path};
use bugle_isis::{BfdState, CircuitConfig, CircuitKind};
use bugle_ospf::neighbor::{NeighborEvent, NeighborState};
use bugle_ospf::{InterfaceConfig, NetworkType};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::State;

use crate::io::Output;

/// How the interfaces that want sessions want them: for each version of IP, of which settings name an address.
pub(crate) type Wanted = BTreeMap<IfIndex, Vec<bfd::Settings>>;

/// The sessions that one protocol of a VRF has asked for.
#[derive(Debug)]
pub(crate) struct Sessions {
    client: Client,
    wanted: Wanted,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing.
    Nothing,
    /// The path is there again.
    Restored,
    /// The path has failed, and no neighbour was known at its end: so goes a session that the peer takes away because it has heard of
    /// the last failure only now.
    FailedUnused,
    /// The path has failed.
    Failed,
}

impl Sessions {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, wanted: BTreeMap::new(), by_path: BTreeMap::new(), device: None }
    }

    /// How sessions are to run on each interface from now on. Sessions of other interfaces end; their paths are returned, which may be
    /// used again.
    pub(crate) fn configure(
        &mut self,
        wanted: Wanted,
        device: Option<IfIndex>,
        mut order: impl FnMut(Output),
    ) -> Vec<Path> {
        (self.wanted, self.device) = (wanted, device);
        let mut ended = Vec::new();
        let (client, wanted) = (self.client, &self.wanted);
        self.by_path.retain(|&path, session| {
            let Some(settings) = settings_for(path, wanted) else {
                order(release(client, path));
                ended.extend(session.failed.then_some(path));
                return false;
            };
            if session.settings != *settings {
                session.settings = settings.clone();
                order(request(client, path, settings, device));
            }
            true
        });
        ended
    }

    /// A neighbour of OSPF changed its state. Whether its path may be used again although it had failed.
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
                order(release(self.client, path));
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
        let Some(settings) = settings_for(path, &self.wanted) else { return };
        if let Some(session) = self.by_path.get_mut(&path) {
            session.until = None;
            return;
        }
        let settings = settings.clone();
        order(request(self.client, path, &settings, self.device));
        let session = Session { settings, state: State::Down, failed: false, until: None };
        self.by_path.insert(path, session);
    }

    /// A session is of use until then, unless it is asked for again.
    pub(crate) fn leave(&mut self, path: Path, until: Time) {
        if let Some(session) = self.by_path.get_mut(&path) {
            session.until = Some(until);
        }
    }

    /// A session that there may have been before is in this state.
    pub(crate) fn on_joined(&mut self, client: Client, path: Path, state: State) {
        if let Some(session) = self.by_path.get_mut(&path).filter(|_| client == self.client) {
            session.state = state;
        }
    }

    /// A session changed its state.
    pub(crate) fn on_change(&mut self, change: &bfd::Change) -> Verdict {
        let Some(session) = self.by_path.get_mut(&change.path) else { return Verdict::Nothing };
        session.state = change.to;
        if change.is_failure_for(self.client) {
            session.failed = true;
            let used = session.until.is_none();
            return if used { Verdict::Failed } else { Verdict::FailedUnused };
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
                order(release(self.client, path));
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

    /// Whether the path has failed, and nothing has been heard of it since.
    pub(crate) fn has_failed(&self, path: Path) -> bool {
        self.by_path.get(&path).is_some_and(|session| session.failed)
    }

    /// The protocol has found the neighbour again, whatever BFD says. Whether BFD had lost it.
    pub(crate) fn forgive(&mut self, path: Path) -> bool {
        self.by_path.get_mut(&path).is_some_and(|session| std::mem::take(&mut session.failed))
    }
}

/// The path to a neighbour.
pub(crate) fn path(vrf: VrfId, ifindex: IfIndex, neighbor: impl Into<IpAddr>) -> Path {
    Path { vrf, hop: Hop::Single(ifindex), remote: neighbor.into() }
}

/// What an interface wants of its sessions.
pub(crate) fn settings(profile: &bfd::Profile, interface: &InterfaceConfig) -> bfd::Settings {
    bfd::Settings {
        local: interface.address.into(),
        point_to_point: interface.network_type == NetworkType::PointToPoint,
        min_ttl: TTL,
        profile: profile.clone(),
    }
}

/// What a circuit wants of its sessions: one for each version of IP. IPv6 is spoken between link-local addresses (RFC 5308 section 3).
pub(crate) fn circuit_settings(
    profile: &bfd::Profile,
    circuit: &CircuitConfig,
) -> Vec<bfd::Settings> {
    let ipv4 = circuit.ipv4.first().map(|&(address, _)| IpAddr::from(address));
    let locals = ipv4.into_iter().chain(circuit.link_local.map(IpAddr::from));
    let settings = |local| bfd::Settings {
        local,
        point_to_point: circuit.kind == CircuitKind::PointToPoint,
        min_ttl: TTL,
        profile: profile.clone(),
    };
    locals.map(settings).collect()
}

/// A change as IS-IS takes it.
pub(crate) fn isis_state(change: &bfd::Change) -> BfdState {
    match (change.to, change.cause) {
        (State::Up, _) => BfdState::Up,
        (State::AdminDown, _) | (_, bfd::Cause::Received(State::AdminDown)) => BfdState::AdminDown,
        (State::Down | State::Init, _) => BfdState::Down,
    }
}

fn settings_for(path: Path, wanted: &Wanted) -> Option<&bfd::Settings> {
    let Hop::Single(ifindex) = path.hop else { return None };
    let same_version = |s: &&bfd::Settings| s.local.is_ipv4() == path.remote.is_ipv4();
    wanted.get(&ifindex)?.iter().find(same_version)
}

fn request(
    client: Client,
    path: Path,
    settings: &bfd::Settings,
    device: Option<IfIndex>,
) -> Output {
    let settings = Box::new(settings.clone());
    Output::RequestBfd { client, path, settings, device }
}

fn release(client: Client, path: Path) -> Output {
    Output::ReleaseBfd { client, path }
}
