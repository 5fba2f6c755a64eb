//! BFD control packets (RFC 5880 section 4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       My Discriminator                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      Your Discriminator                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Desired Min TX Interval                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                   Required Min RX Interval                    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 Required Min Echo RX Interval                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Auth Type   |   Auth Len    |    Authentication Data...     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! [`Packet::parse`] makes those checks of section 6.8.6 that need no session. Nothing here allocates.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::DecodeError;
use crate::flags::flags;
use crate::reader::Reader;
use crate::writer::patch;

/// The version of the protocol.
pub const VERSION: u8 = 1;
/// The UDP port of control packets over one hop (RFC 5881 section 4).
pub const CONTROL_PORT: u16 = 3784;
/// The UDP port of echo packets (RFC 5881 section 4).
pub const ECHO_PORT: u16 = 3785;
/// The UDP port of control packets over several hops (RFC 5883 section 5).
pub const MULTIHOP_PORT: u16 = 4784;
/// The size of the mandatory section in bytes.
pub const MANDATORY_SECTION: usize = 24;
/// The size of the longest packet, one with a SHA-1 hash, in bytes.
pub const MAX_PACKET: usize = 52;
/// The longest password in bytes (section 4.2).
pub const MAX_PASSWORD: usize = 16;

/// Where the length stands.
const LENGTH_AT: usize = 3;
/// Where the length of the authentication section stands.
const AUTH_LENGTH_AT: usize = 25;
/// Where the digest stands.
const DIGEST_AT: usize = 32;
/// Authentication present.
const AUTH_BIT: u8 = 0x04;
/// Reserved for point-to-multipoint.
const MULTIPOINT_BIT: u8 = 0x01;

/// A control packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The mandatory section.
    pub control: Control,
    /// The authentication section.
    pub auth: Option<Auth<'a>>,
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet at the start of a UDP payload.
    ///
    /// # Errors
    /// When section 6.8.6 has it discarded before a session is looked for.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload, 0);
        let [first, second, mult, length] = *reader.array()?;
        if first >> 5 != VERSION {
            return Err(Malformed::BadVersion(first >> 5));
        }
        let authenticated = second & AUTH_BIT != 0;
        let (stated, least) = (usize::from(length), if authenticated { 26 } else { 24 });
        let bytes = payload
            .get(..stated)
            .filter(|_| stated >= least)
            .ok_or(Malformed::BadLength { length, have: payload.len() })?;
        let detect_mult = NonZeroU8::new(mult).ok_or(Malformed::ZeroDetectMult)?;
        if second & MULTIPOINT_BIT != 0 {
            return Err(Malformed::Multipoint);
        }
        let control = Control {
            diagnostic: Diagnostic(first & 0x1f),
            state: State::from_bits(second >> 6),
            flags: Flags(second).without(Flags(!Flags::KNOWN)),
            detect_mult,
            my_discriminator: Discriminator::new(reader.u32()?)
                .ok_or(Malformed::ZeroMyDiscriminator)?,
            your_discriminator: Discriminator::new(reader.u32()?),
            desired_min_tx: Interval(reader.u32()?),
            required_min_rx: Interval(reader.u32()?),
            required_min_echo_rx: Interval(reader.u32()?),
        };
        let section = bytes.get(MANDATORY_SECTION..).filter(|_| authenticated);
        Ok(Self { control, auth: section.map(Auth::parse).transpose()?, bytes })
    }

    /// What a digest covers, in three parts: the packet up to the digest, the digest, and what follows it. A sender and a
    /// receiver compute the digest with the padded key in the place of the second (sections 6.7.3 and 6.7.4).
    #[must_use]
    pub fn around_digest(&self) -> (&'a [u8], &'a [u8], &'a [u8]) {
        let length = match self.auth {
            Some(Auth::Digest { digest, .. }) => digest.len(),
            Some(Auth::Password { .. } | Auth::Unknown { .. }) | None => 0,
        };
        let (head, tail) = self.bytes.split_at_checked(DIGEST_AT).unwrap_or((self.bytes, &[]));
        let (digest, rest) = tail.split_at_checked(length).unwrap_or((tail, &[]));
        (head, digest, rest)
    }
}

/// The mandatory section of a control packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// Why the sender's session changed its state last.
    pub diagnostic: Diagnostic,
    /// The state of the sender's session.
    pub state: State,
    /// Poll, Final, and what the sender is capable of or wants.
    pub flags: Flags,
    /// How many of the sender's packets must be missing in a row.
    pub detect_mult: NonZeroU8,
    /// The sender's name for the session.
    pub my_discriminator: Discriminator,
    /// The receiver's name for the session, if the sender knows it.
    pub your_discriminator: Option<Discriminator>,
    /// The sender would like to send no faster than this.
    pub desired_min_tx: Interval,
    /// The sender can receive no faster than this; zero: it wants no periodic packets.
    pub required_min_rx: Interval,
    /// The sender can loop echo packets back no faster than this; zero: not at all.
    pub required_min_echo_rx: Interval,
}

impl Control {
    /// The packet, ready to be sent. What `auth` holds beyond the longest password or digest there is is cut off.
    #[must_use]
    pub fn emit(&self, auth: Option<&Auth<'_>>) -> Datagram {
        let mut packet = Datagram { bytes: [0; MAX_PACKET], length: 0 };
        let authenticated = if auth.is_some() { AUTH_BIT } else { 0 };
        let flags = (self.flags.0 & Flags::KNOWN) | authenticated;
        packet.push(&[
            (VERSION << 5) | (self.diagnostic.0 & 0x1f),
            (self.state.bits() << 6) | flags,
            self.detect_mult.get(),
            0,
        ]);
        packet.push(&self.my_discriminator.get().to_be_bytes());
        packet.push(&self.your_discriminator.map_or(0, Discriminator::get).to_be_bytes());
        for interval in [self.desired_min_tx, self.required_min_rx, self.required_min_echo_rx] {
            packet.push(&interval.0.to_be_bytes());
        }
        match auth {
            None => {}
            Some(Auth::Password { key_id, password }) => {
                packet.push(&[AuthType::SIMPLE_PASSWORD.0, 0, *key_id]);
                packet.push(password.get(..MAX_PASSWORD).unwrap_or(password));
            }
            Some(Auth::Digest { kind, key_id, sequence, digest }) => {
                packet.push(&[kind.0, 0, *key_id, 0]);
                packet.push(&sequence.to_be_bytes());
                packet.push(digest);
            }
            Some(Auth::Unknown { kind, data }) => {
                packet.push(&[kind.0, 0]);
                packet.push(data);
            }
        }
        let length = packet.length;
        patch(&mut packet.bytes, LENGTH_AT, &[length]);
        if auth.is_some() {
            let section = usize::from(length).saturating_sub(MANDATORY_SECTION);
            let section = u8::try_from(section).unwrap_or(u8::MAX);
            patch(&mut packet.bytes, AUTH_LENGTH_AT, &[section]);
        }
        packet
    }
}

/// The authentication section of a control packet. What its values are worth is for the receiver to judge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Auth<'a> {
    /// A password in clear (section 4.2).
    Password {
        /// Which of the configured passwords this is.
        key_id: u8,
        /// The password, 1 to 16 bytes.
        password: &'a [u8],
    },
    /// A keyed digest over the packet (sections 4.3 and 4.4).
    Digest {
        /// How the digest was made: one of the four types that have one.
        kind: AuthType,
        /// Which of the configured keys it was made with.
        key_id: u8,
        /// Against replays.
        sequence: u32,
        /// As many bytes as the type says.
        digest: &'a [u8],
    },
    /// A type that this codec does not know.
    Unknown {
        /// The type.
        kind: AuthType,
        /// What follows the section's length.
        data: &'a [u8],
    },
}

impl<'a> Auth<'a> {
    fn parse(section: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(section, MANDATORY_SECTION);
        let [kind, length] = *reader.array()?;
        let kind = AuthType(kind);
        let wrong = Malformed::BadAuthLength { kind, length, have: section.len() };
        let whole = section.get(..usize::from(length)).ok_or(wrong)?;
        match (kind, kind.digest_length()) {
            (AuthType::SIMPLE_PASSWORD, _) => match whole {
                [_, _, key_id, password @ ..] if (1..=MAX_PASSWORD).contains(&password.len()) => {
                    Ok(Self::Password { key_id: *key_id, password })
                }
                _ => Err(wrong),
            },
            (_, Some(size)) => match whole {
                // The reserved byte is ignored.
                [_, _, key_id, _, s0, s1, s2, s3, digest @ ..] if digest.len() == size => {
                    let sequence = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
                    Ok(Self::Digest { kind, key_id: *key_id, sequence, digest })
                }
                _ => Err(wrong),
            },
            (_, None) => match whole {
                [_, _, data @ ..] => Ok(Self::Unknown { kind, data }),
                _ => Err(wrong),
            },
        }
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> AuthType {
        match self {
            Self::Password { .. } => AuthType::SIMPLE_PASSWORD,
            Self::Digest { kind, .. } | Self::Unknown { kind, .. } => *kind,
        }
    }
}

/// Everything but the password, which is nobody's business.
impl fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { key_id, .. } => write!(f, "Password {{ key_id: {key_id} }}"),
            Self::Digest { kind, key_id, sequence, digest } => f
                .debug_struct("Digest")
                .field("kind", kind)
                .field("key_id", key_id)
                .field("sequence", sequence)
                .field("digest", digest)
                .finish(),
            Self::Unknown { kind, data } => {
                f.debug_struct("Unknown").field("kind", kind).field("data", data).finish()
            }
        }
    }
}

/// An authentication type (section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AuthType(pub u8);

impl AuthType {
    /// Simple Password.
    pub const SIMPLE_PASSWORD: Self = Self(1);
    /// Keyed MD5.
    pub const KEYED_MD5: Self = Self(2);
    /// Meticulous Keyed MD5.
    pub const METICULOUS_KEYED_MD5: Self = Self(3);
    /// Keyed SHA1.
    pub const KEYED_SHA1: Self = Self(4);
    /// Meticulous Keyed SHA1.
    pub const METICULOUS_KEYED_SHA1: Self = Self(5);

    /// The length of the digest in bytes, of the types that have one.
    #[must_use]
    pub const fn digest_length(self) -> Option<usize> {
        match self {
            Self::KEYED_MD5 | Self::METICULOUS_KEYED_MD5 => Some(16),
            Self::KEYED_SHA1 | Self::METICULOUS_KEYED_SHA1 => Some(20),
            _ => None,
        }
    }
}

impl fmt::Display for AuthType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SIMPLE_PASSWORD => f.write_str("simple-password"),
            Self::KEYED_MD5 => f.write_str("keyed-md5"),
            Self::METICULOUS_KEYED_MD5 => f.write_str("meticulous-keyed-md5"),
            Self::KEYED_SHA1 => f.write_str("keyed-sha1"),
            Self::METICULOUS_KEYED_SHA1 => f.write_str("meticulous-keyed-sha1"),
            Self(number) => write!(f, "type-{number}"),
        }
    }
}

/// The states of a session (section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// Held down by the administrator, which says nothing about the path.
    AdminDown,
    /// Nothing is heard, or the session has just begun.
    Down,
    /// The remote system is heard; it has not said that it hears us.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a session changed its state (section 4.1).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    /// No diagnostic.
    pub const NONE: Self = Self(0);
    /// Nothing was received for the detection time.
    pub const DETECTION_TIME_EXPIRED: Self = Self(1);
    /// Echo packets did not come back.
    pub const ECHO_FAILED: Self = Self(2);
    /// The remote system said that its session is down.
    pub const NEIGHBOR_SIGNALED_DOWN: Self = Self(3);
    /// The forwarding plane was reset.
    pub const FORWARDING_PLANE_RESET: Self = Self(4);
    /// The path is known to be down.
    pub const PATH_DOWN: Self = Self(5);
    /// A path joined to this one is down.
    pub const CONCATENATED_PATH_DOWN: Self = Self(6);
    /// The administrator's doing.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
    /// A path joined to this one is down in the other direction.
    pub const REVERSE_CONCATENATED_PATH_DOWN: Self = Self(8);
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::NONE => "none",
            Self::DETECTION_TIME_EXPIRED => "control detection time expired",
            Self::ECHO_FAILED => "echo function failed",
            Self::NEIGHBOR_SIGNALED_DOWN => "neighbor signaled session down",
            Self::FORWARDING_PLANE_RESET => "forwarding plane reset",
            Self::PATH_DOWN => "path down",
            Self::CONCATENATED_PATH_DOWN => "concatenated path down",
            Self::ADMINISTRATIVELY_DOWN => "administratively down",
            Self::REVERSE_CONCATENATED_PATH_DOWN => "reverse concatenated path down",
            Self(number) => return write!(f, "diagnostic {number}"),
        })
    }
}

flags! {
    /// The flags of a control packet. That a packet is authenticated follows from its section, and the multipoint bit must be
    /// zero: neither is here.
    Flags {
        /// The sender asks for a packet with Final.
        POLL = 0x20, "P";
        /// The answer to a Poll.
        FINAL = 0x10, "F";
        /// BFD lives on when the sender's control plane does not.
        CONTROL_PLANE_INDEPENDENT = 0x08, "C";
        /// The sender asks for no periodic packets.
        DEMAND = 0x02, "D";
    }
}

impl Flags {
    /// The bits of all flags.
    const KNOWN: u8 = 0x3a;
}

/// A system's name for a session, never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Discriminator(NonZeroU32);

impl Discriminator {
    /// `None` for zero, which stands for "unknown" on the wire.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An interval as BFD counts them, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Interval(pub u32);

impl Interval {
    /// No interval.
    pub const ZERO: Self = Self(0);
    /// The least between packets while a session is not Up (section 6.8.3).
    pub const SECOND: Self = Self(1_000_000);

    /// Whole microseconds, at most 71 minutes.
    #[must_use]
    pub fn from_duration(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))
    }

    /// The interval as a duration.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_micros(self.0.into())
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ZERO {
            return f.write_str("0s");
        }
        fmt::Debug::fmt(&self.as_duration(), f)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A finished packet, in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    bytes: [u8; MAX_PACKET],
    length: u8,
}

impl Datagram {
    /// Appends what fits.
    fn push(&mut self, field: &[u8]) {
        let at = usize::from(self.length);
        let field = field.get(..MAX_PACKET.saturating_sub(at)).unwrap_or(field);
        patch(&mut self.bytes, at, field);
        self.length = self.length.saturating_add(u8::try_from(field.len()).unwrap_or(u8::MAX));
    }
}

impl Deref for Datagram {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why a packet is discarded before a session is looked for (section 6.8.6). Each is counted under its
/// [`name`](Self::name).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Malformed {
    /// The payload ends inside the mandatory section.
    #[error(transparent)]
    Truncated(#[from] DecodeError),
    /// The version is not 1.
    #[error("BFD version {0}, not 1")]
    BadVersion(u8),
    /// The length is below the least there is, or above what arrived.
    #[error("packet length {length}, but {have} bytes arrived")]
    BadLength {
        /// The length the packet states.
        length: u8,
        /// The length of the UDP payload.
        have: usize,
    },
    /// Detect Mult is zero.
    #[error("the detection multiplier is zero")]
    ZeroDetectMult,
    /// The multipoint bit is set.
    #[error("the multipoint bit is set")]
    Multipoint,
    /// My Discriminator is zero.
    #[error("the sender's discriminator is zero")]
    ZeroMyDiscriminator,
    /// The authentication section's length does not fit its type or the packet.
    #[error("authentication of {kind}, {length} bytes long, with {have} bytes left")]
    BadAuthLength {
        /// The type.
        kind: AuthType,
        /// The length the section states.
        length: u8,
        /// The bytes left for it.
        have: usize,
    },
}

impl Malformed {
    /// The name of the counter of packets dropped for this reason.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Truncated(_) => "truncated",
            Self::BadVersion(_) => "bad-version",
            Self::BadLength { .. } => "bad-length",
            Self::ZeroDetectMult => "zero-detect-mult",
            Self::Multipoint => "multipoint",
            Self::ZeroMyDiscriminator => "zero-my-discriminator",
            Self::BadAuthLength { .. } => "bad-auth-length",
        }
    }
}
