//! What is copied out of BFD on its thread, and turned into answers elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bugle_api::model::{BfdSession, Metric};
use bugle_bfd::config::Authentication;
use bugle_bfd::io::TTL;
use bugle_bfd::{Client, Discard, Hop, Session, Stats};
use bugle_host::BfdView;
use bugle_speaker::config::{BfdPeer, PeerStart};
use bugle_speaker::{Absence, Speaker};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{Diagnostic, Interval, State};

use crate::look::micros;
use crate::metrics::{Sample, counter, gauge, single};

/// All there was to see of BFD; by default what there is without sessions.
#[derive(Default)]
pub(crate) struct Seen {
    sessions: Vec<Session>,
    stats: Stats,
    now: Time,
    realtime: bool,
    takeovers: u64,
}

impl Seen {
    /// Copies it.
    pub(crate) fn at(view: &BfdView<'_>) -> Self {
        Self {
            sessions: view.sessions.sessions().cloned().collect(),
            stats: *view.sessions.stats(),
            now: view.now,
            realtime: view.realtime.is_ok(),
            takeovers: view.takeovers,
        }
    }
}

/// What BFD knows by number only, or not at all.
pub(crate) struct Names {
    /// Peers without a session, and why, by the VRF's name.
    absent: Vec<(String, BfdPeer, Absence)>,
    vrfs: BTreeMap<VrfId, String>,
    interfaces: BTreeMap<IfIndex, String>,
}

impl Names {
    /// The names of VRFs and of interfaces.
    pub(crate) fn of(speaker: &Speaker) -> Self {
        let state = speaker.state();
        let vrfs = state.vrfs().map(|vrf| (vrf.id(), vrf.name().to_string())).collect();
        let named = |(ifindex, name): (IfIndex, &str)| (ifindex, name.to_owned());
        let absent = state.vrfs().flat_map(|vrf| {
            let name = vrf.name().to_string();
            let mut peers = vrf.absent_bfd_peers();
            std::iter::from_fn(move || peers.next())
                .map(move |(peer, why)| (name.clone(), peer.clone(), why))
        });
        let absent = absent.collect();
        Self { interfaces: state.interface_names().map(named).collect(), vrfs, absent }
    }

    fn vrf(&self, id: VrfId) -> String {
        self.vrfs.get(&id).cloned().unwrap_or_default()
    }

    fn interface(&self, ifindex: IfIndex) -> String {
        let named = self.interfaces.get(&ifindex);
        named.cloned().unwrap_or_else(|| format!("#{}", ifindex.0))
    }
}

/// The sessions of a VRF, or of all.
pub(crate) fn describe(seen: &Seen, names: &Names, vrf: Option<&str>) -> Vec<BfdSession> {
    let described = seen.sessions.iter().map(|session| describe_one(session, seen, names));
    let absent = names.absent.iter();
    let absent = absent.map(|(vrf, peer, why)| describe_absent(vrf, peer, *why, seen));
    described.chain(absent).filter(|session| vrf.is_none_or(|vrf| session.vrf == vrf)).collect()
}

/// A peer without a session, as the session that has not begun.
fn describe_absent(vrf: &str, peer: &BfdPeer, why: Absence, seen: &Seen) -> BfdSession {
    let (interface, local, min_ttl) = match &peer.start {
        PeerStart::Interface { name, local } => (Some(name.clone()), *local, TTL),
        PeerStart::Multihop { local, min_ttl } => (None, Some(*local), *min_ttl),
    };
    let unspecified = match peer.address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    BfdSession {
        vrf: vrf.to_owned(),
        interface,
        address: peer.address,
        local: local.unwrap_or(unspecified),
        state: State::Down.to_string(),
        absent: Some(why.to_string()),
        remote_state: State::Down.to_string(),
        diagnostic: Diagnostic::NONE.to_string(),
        remote_diagnostic: Diagnostic::NONE.to_string(),
        clients: vec![Client::Static.to_string()],
        discriminator: String::new(),
        remote_discriminator: None,
        tx_us: None,
        detection_us: None,
        multiplier: 0,
        remote_multiplier: 0,
        min_ttl,
        last_packet_us: None,
        echo_us: None,
        echo_round_trip_us: None,
        auth: None,
        received: 0,
        sent: 0,
        discarded: 0,
        ups: 0,
        downs: 0,
        realtime: seen.realtime,
        stalls: seen.stats.stalls,
        longest_stall_us: micros(seen.stats.longest_stall),
    }
}

fn describe_one(session: &Session, seen: &Seen, names: &Names) -> BfdSession {
    let Seen { stats, now, realtime, .. } = seen;
    let (path, remote, counts) = (session.path(), session.remote(), session.stats());
    let interval = |interval: Interval| micros(interval.as_duration());
    let profile = &session.settings().profile;
    BfdSession {
        vrf: names.vrf(path.vrf),
        interface: match path.hop {
            Hop::Single(ifindex) => Some(names.interface(ifindex)),
            Hop::Multi(_) => None,
        },
        address: path.remote,
        local: session.settings().local,
        state: session.state().to_string(),
        absent: None,
        remote_state: remote.state.to_string(),
        diagnostic: session.diagnostic().to_string(),
        remote_diagnostic: remote.diagnostic.to_string(),
        clients: session.clients().map(|client| client.to_string()).collect(),
        discriminator: session.id().to_string(),
        remote_discriminator: remote.discriminator.map(|name| name.to_string()),
        tx_us: session.transmit_interval().map(interval),
        detection_us: remote.discriminator.map(|_| micros(session.detection_time())),
        multiplier: profile.multiplier.get(),
        remote_multiplier: remote.detect_mult.get(),
        min_ttl: match path.hop {
            Hop::Single(_) => TTL,
            Hop::Multi(_) => session.settings().min_ttl,
        },
        last_packet_us: session.last_received().map(|last| micros(now.since(last))),
        echo_us: session.echo_interval().map(interval),
        echo_round_trip_us: session.echo_round_trip().map(micros),
        auth: profile.auth.as_deref().map(Authentication::kind).map(|kind| kind.to_string()),
        received: counts.received,
        sent: counts.sent,
        discarded: counts.discarded,
        ups: counts.ups,
        downs: counts.downs,
        realtime: *realtime,
        stalls: stats.stalls,
        longest_stall_us: micros(stats.longest_stall),
    }
}

/// What BFD counts.
pub(crate) fn metrics(seen: &Seen) -> Vec<Metric> {
    let Stats { received, sent, echoes_received, echoes_sent, stalls, longest_stall, .. } =
        seen.stats;
    let states = State::ALL.map(|state| {
        let count = seen.sessions.iter().filter(|session| session.state() == state).count();
        (vec![("state", state.to_string())], u64::try_from(count).unwrap_or(u64::MAX))
    });
    let discards = Discard::ALL.map(|reason| -> Sample {
        (vec![("reason", reason.name().to_owned())], seen.stats.discarded(reason))
    });
    let downs = seen.sessions.iter().map(|session| session.stats().downs).sum();
    vec![
        gauge("bfd_sessions", "BFD sessions by state", states.into()),
        counter("bfd_session_downs", "Times that sessions which exist left Up", single(downs)),
        counter("bfd_packets_received", "Control packets taken", single(received)),
        counter("bfd_packets_sent", "Control packets sent", single(sent)),
        counter("bfd_echoes_received", "Echo packets that came back", single(echoes_received)),
        counter("bfd_echoes_sent", "Echo packets sent", single(echoes_sent)),
        counter("bfd_discards", "Packets discarded by reason", discards.into()),
        counter("bfd_stalls", "Times that BFD was not scheduled in time", single(stalls)),
        counter("bfd_takeovers", "Turns that BFD's second thread took", single(seen.takeovers)),
        gauge(
            "bfd_longest_stall_microseconds",
            "The longest that BFD was late",
            single(micros(longest_stall)),
        ),
        gauge("bfd_realtime", "Whether BFD has real-time priority", single(seen.realtime.into())),
    ]
}
