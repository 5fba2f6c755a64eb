//! What the engine is told, and what it asks for.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{Datagram, Diagnostic, Discriminator, Malformed, State};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::machine::Cause;

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Debug)]
pub enum Input<'a> {
    /// The deadline has come, and every packet that the kernel received before `drained` has been handed in.
    ///
    /// A session is declared down only for silence before `drained`: what is still in a socket may be the sign of life.
    Tick {
        /// The clock when the driver began to read its sockets until they were empty; the end of time if it has none.
        drained: Time,
    },
    /// A UDP payload arrived on the port for control packets, over one hop or several.
    Control(Arrival<'a>),
    /// A UDP payload arrived on the echo port. Only what this system sent is of interest.
    Echo {
        /// When the kernel received it.
        received: Time,
        /// The UDP payload.
        bytes: &'a [u8],
    },
    /// A client wants a session, or wants it differently.
    Request {
        /// Who.
        client: Client,
        /// Between which systems.
        path: Path,
        /// How.
        settings: Settings,
    },
    /// A client has no use for a session any more.
    Release {
        /// Who.
        client: Client,
        /// Between which systems.
        path: Path,
    },
    /// Release every session. Done when [`Bfd::is_stopped`](crate::Bfd::is_stopped).
    Shutdown,
}

/// A packet, and what the kernel knows about it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// When the kernel received it, on the clock of `now`; what lies after `now` counts as now. A kernel that knows the wall
    /// clock only must not have it mistaken when that is set: no packet is older than the last time its socket was empty.
    pub received: Time,
    /// The VRF it arrived in.
    pub vrf: VrfId,
    /// The UDP port it arrived on: 3784 is for one hop, from this interface, 4784 for several, to this address.
    pub hop: Hop,
    /// The IP source.
    pub source: IpAddr,
    /// The TTL or hop limit it arrived with.
    pub ttl: u8,
    /// The UDP payload.
    pub bytes: &'a [u8],
}

/// What a session watches: the path between two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    /// The VRF.
    pub vrf: VrfId,
    /// How the path begins.
    pub hop: Hop,
    /// The remote system's address.
    pub remote: IpAddr,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vrf, hop, remote } = self;
        match hop {
            Hop::Single(ifindex) => write!(f, "{remote} on interface {}", ifindex.0)?,
            Hop::Multi(local) => write!(f, "{remote} from {local}")?,
        }
        if *vrf == VrfId::DEFAULT { Ok(()) } else { write!(f, " in VRF {}", vrf.0) }
    }
}

/// One hop or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hop {
    /// One hop, on this interface (RFC 5881).
    Single(IfIndex),
    /// Several hops, from this address of ours (RFC 5883).
    Multi(IpAddr),
}

/// Who asks for sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Client {
    /// OSPF.
    Ospf,
    /// IS-IS.
    Isis,
    /// Routes of the configuration, which have no liveness detection of their own.
    Static,
}

impl Client {
    /// Whether the client finds out by itself, if later, that a neighbour is gone. Such a client does nothing when BFD is
    /// administratively down (RFC 5882 section 3.2).
    #[must_use]
    pub const fn has_own_liveness(self) -> bool {
        match self {
            Self::Ospf | Self::Isis => true,
            Self::Static => false,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ospf => "ospf",
            Self::Isis => "isis",
            Self::Static => "static",
        })
    }
}

/// Something the driver is asked to do, in the order polled. Nothing in it is on the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Prepare to send for a session; again if the addresses change.
    Open(Endpoint),
    /// Nothing more is sent for the session.
    Close(Discriminator),
    /// Send a control packet to the session's remote system.
    Send {
        /// The session.
        session: Discriminator,
        /// The UDP payload.
        packet: Datagram,
    },
    /// Send an echo packet: to UDP port 3785 of our own address, by way of the session's remote system.
    Echo {
        /// The session.
        session: Discriminator,
        /// The UDP payload.
        packet: [u8; ECHO_PACKET],
    },
    /// Something worth telling.
    Event(Event),
}

/// The size of our echo packets in bytes.
pub const ECHO_PACKET: usize = 16;

/// Where a session's packets go from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The session.
    pub session: Discriminator,
    /// The path. Its hop says which UDP port the packets go to, and whether they must leave by a certain interface.
    pub path: Path,
    /// The IP source.
    pub local: IpAddr,
    /// The UDP source port, one for each session (RFC 5881 section 4). If it is taken, any other from 49152 on will do.
    pub source_port: u16,
}

/// The TTL or hop limit that every packet is sent with, and must arrive with over one hop (RFC 5881 section 5).
pub const TTL: u8 = 255;

/// Something worth telling. Logs, metrics and the API are adapters over events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A session changed its state.
    Changed(Change),
    /// A client joined a session, which is in this state.
    Joined {
        /// Who.
        client: Client,
        /// The path.
        path: Path,
        /// The state.
        state: State,
    },
    /// Packets are being discarded. Told at the first, second, fourth, eighth ... of each reason.
    Discarded {
        /// The reason.
        reason: Discard,
        /// The sender; `None` for echo packets, which come from ourselves.
        source: Option<IpAddr>,
        /// How many were discarded for this reason.
        count: u64,
    },
    /// This system did not do its part in time. Told at the first, second, fourth, eighth ...
    Stalled {
        /// How late it was.
        late: Duration,
        /// How often this happened.
        count: u64,
    },
}

/// A change of a session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The session.
    pub session: Discriminator,
    /// The path.
    pub path: Path,
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// What caused it.
    pub cause: Cause,
    /// Our diagnostic now.
    pub diagnostic: Diagnostic,
    /// The state the remote system reported last.
    pub remote_state: State,
    /// The diagnostic the remote system reported last.
    pub remote_diagnostic: Diagnostic,
    /// When the last packet was received.
    pub last_received: Option<Time>,
    /// The detection time that was agreed on.
    pub detection_time: Duration,
}

impl Change {
    /// Whether a client must take the path for failed (RFC 5882 sections 3.2 and 4.2).
    ///
    /// A session that leaves Up has failed, unless an administrator, here or there, took it down: then only a client
    /// without liveness detection of its own must not rely on the path any more.
    #[must_use]
    pub fn is_failure_for(&self, client: Client) -> bool {
        let administrative =
            self.to == State::AdminDown || self.cause == Cause::Received(State::AdminDown);
        self.from == State::Up && !(administrative && client.has_own_liveness())
    }
}

/// Why a packet is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Discard {
    /// It ends inside the mandatory section.
    Truncated,
    /// Its version is not 1.
    BadVersion,
    /// Its length cannot be.
    BadLength,
    /// Its detection multiplier is zero.
    ZeroDetectMult,
    /// Its multipoint bit is set.
    Multipoint,
    /// Its sender's discriminator is zero.
    ZeroMyDiscriminator,
    /// The length of its authentication section cannot be.
    BadAuthLength,
    /// It came over one hop with a TTL that says otherwise, or over more hops than the session's settings allow.
    Ttl,
    /// It names a session that does not exist.
    UnknownDiscriminator,
    /// It names a session on another path: in another VRF, over one hop and not several, or in another IP version.
    OtherPath,
    /// It names no session, although its sender is in a state in which it knows ours.
    NoDiscriminator,
    /// It names no session, and there is none with its sender.
    NoSession,
    /// It is authenticated, and the session is not.
    AuthUnexpected,
    /// It is not authenticated, and the session is.
    AuthMissing,
    /// It is authenticated by another type.
    AuthType,
    /// It is authenticated with a key we do not have.
    AuthKey,
    /// Its sequence number is old, or far in the future: a replay, or the sender restarted.
    AuthSequence,
    /// Its digest or password is wrong.
    AuthDigest,
    /// The session is in `AdminDown`.
    AdminDown,
    /// An echo packet that was not sent from here, not recently, or has come back before.
    UnknownEcho,
}

impl Discard {
    /// All reasons, in order.
    pub const ALL: [Self; 20] = [
        Self::Truncated,
        Self::BadVersion,
        Self::BadLength,
        Self::ZeroDetectMult,
        Self::Multipoint,
        Self::ZeroMyDiscriminator,
        Self::BadAuthLength,
        Self::Ttl,
        Self::UnknownDiscriminator,
        Self::OtherPath,
        Self::NoDiscriminator,
        Self::NoSession,
        Self::AuthUnexpected,
        Self::AuthMissing,
        Self::AuthType,
        Self::AuthKey,
        Self::AuthSequence,
        Self::AuthDigest,
        Self::AdminDown,
        Self::UnknownEcho,
    ];

    /// The name of the counter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadVersion => "bad-version",
            Self::BadLength => "bad-length",
            Self::ZeroDetectMult => "zero-detect-mult",
            Self::Multipoint => "multipoint",
            Self::ZeroMyDiscriminator => "zero-my-discriminator",
            Self::BadAuthLength => "bad-auth-length",
            Self::Ttl => "ttl",
            Self::UnknownDiscriminator => "unknown-discriminator",
            Self::OtherPath => "other-path",
            Self::NoDiscriminator => "no-discriminator",
            Self::NoSession => "no-session",
            Self::AuthUnexpected => "auth-unexpected",
            Self::AuthMissing => "auth-missing",
            Self::AuthType => "auth-type",
            Self::AuthKey => "auth-key",
            Self::AuthSequence => "auth-sequence",
            Self::AuthDigest => "auth-digest",
            Self::AdminDown => "admin-down",
            Self::UnknownEcho => "unknown-echo",
        }
    }
}

impl From<Malformed> for Discard {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Truncated(_) => Self::Truncated,
            Malformed::BadVersion(_) => Self::BadVersion,
            Malformed::BadLength { .. } => Self::BadLength,
            Malformed::ZeroDetectMult => Self::ZeroDetectMult,
            Malformed::Multipoint => Self::Multipoint,
            Malformed::ZeroMyDiscriminator => Self::ZeroMyDiscriminator,
            Malformed::BadAuthLength { .. } => Self::BadAuthLength,
        }
    }
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Control packets taken.
    pub received: u64,
    /// Control packets sent.
    pub sent: u64,
    /// Echo packets that came back.
    pub echoes_received: u64,
    /// Echo packets sent.
    pub echoes_sent: u64,
    /// How often this system was late by [`STALL`](crate::STALL) or more.
    pub stalls: u64,
    /// The longest it was late.
    pub longest_stall: Duration,
    discarded: [u64; Discard::ALL.len()],
}

impl Stats {
    /// How many packets were discarded for this reason.
    #[must_use]
    pub fn discarded(&self, reason: Discard) -> u64 {
        self.discarded.get(reason as usize).copied().unwrap_or_default()
    }

    /// Counts a packet, and says how many there were.
    pub(crate) fn count_discard(&mut self, reason: Discard) -> u64 {
        let Some(count) = self.discarded.get_mut(reason as usize) else { return 0 };
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_and_a_name_of_its_own() {
        let mut stats = Stats::default();
        for (place, reason) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert_eq!((stats.count_discard(reason), stats.discarded(reason)), (1, 1));
        }
        let names: std::collections::BTreeSet<_> = Discard::ALL.map(Discard::name).into();
        assert_eq!(names.len(), Discard::ALL.len());
    }
}
