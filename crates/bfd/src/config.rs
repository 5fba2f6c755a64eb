//! What a client asks of a session.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use bugle_wire::bfd::{AuthType, Interval, MAX_PASSWORD};
use thiserror::Error;

/// The fastest interval that a session may have.
pub const MIN_INTERVAL: Interval = Interval(1_000);

/// The slowest interval that a session may have.
pub const MAX_INTERVAL: Interval = Interval(3_600_000_000);

/// The intervals that every implementation should support, from its fastest on (RFC 7419 section 3). All of them, and any
/// other whole number of microseconds from [`MIN_INTERVAL`] on, can be had.
pub const COMMON_INTERVALS: [Interval; 6] = [
    Interval(3_300),
    Interval(10_000),
    Interval(20_000),
    Interval(50_000),
    Interval(100_000),
    Interval::SECOND,
];

/// How a session runs: a named profile of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Send no faster than this (`bfd.DesiredMinTxInterval` while Up).
    pub tx: Interval,
    /// Receive no faster than this (`bfd.RequiredMinRxInterval`).
    pub rx: Interval,
    /// How many of our packets the remote system must miss in a row (`bfd.DetectMult`).
    pub multiplier: NonZeroU8,
    /// Do not send before the remote system does (RFC 5880 section 6.1).
    pub passive: bool,
    /// Say that BFD lives on when the control plane does not (the C bit).
    pub control_plane_independent: bool,
    /// Keep the session in `AdminDown`.
    pub admin_down: bool,
    /// The echo function.
    pub echo: EchoProfile,
    /// How packets are authenticated.
    pub auth: Option<Arc<Authentication>>,
}

impl Profile {
    /// An active asynchronous session without echo and authentication.
    ///
    /// # Errors
    /// When an interval or the multiplier is out of range.
    pub fn new(tx: Duration, rx: Duration, multiplier: u8) -> Result<Self, ProfileError> {
        Ok(Self {
            tx: interval("tx", tx)?,
            rx: interval("rx", rx)?,
            multiplier: NonZeroU8::new(multiplier).ok_or(ProfileError::Multiplier)?,
            passive: false,
            control_plane_independent: false,
            admin_down: false,
            echo: EchoProfile::default(),
            auth: None,
        })
    }

    /// The detection time that these settings lead to when both ends have them.
    #[must_use]
    pub fn detection_time(&self) -> Duration {
        self.tx.max(self.rx).as_duration() * self.multiplier.get().into()
    }
}

/// The echo function (RFC 5880 section 6.4), each direction by itself; zero: off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EchoProfile {
    /// Send echo packets no faster than this, if the remote system loops them back.
    pub tx: Interval,
    /// Tell the remote system that this one loops its echo packets back, no faster than this.
    pub rx: Interval,
}

/// Settings that no session can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// An interval is too short or too long.
    #[error("{name} = {found:?}: give an interval from 1ms to 1h")]
    Interval {
        /// Which.
        name: &'static str,
        /// What was given.
        found: Duration,
    },
    /// The multiplier is zero.
    #[error("multiplier = 0: give a number from 1 to 255")]
    Multiplier,
}

fn interval(name: &'static str, found: Duration) -> Result<Interval, ProfileError> {
    if !(MIN_INTERVAL.as_duration()..=MAX_INTERVAL.as_duration()).contains(&found) {
        return Err(ProfileError::Interval { name, found });
    }
    Ok(Interval::from_duration(found))
}

/// A client's wish for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address to send from.
    pub local: IpAddr,
    /// The interface is a point-to-point link: packets are taken from any source address (RFC 5881 section 6).
    pub point_to_point: bool,
    /// Over several hops, packets that arrive with a smaller TTL are discarded; over one hop it must be 255 (RFC 5881 section
    /// 5).
    pub min_ttl: u8,
    /// How the session runs.
    pub profile: Profile,
}

/// One authentication type, and the keys in use (RFC 5880 section 6.7). The first key is sent with, all are accepted: to
/// change a key, add the new one everywhere, move it to the front everywhere, take the old one out.
#[derive(PartialEq, Eq)]
pub struct Authentication {
    kind: AuthType,
    first: Key,
    others: Vec<Key>,
}

/// A password or key, by its ID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: u8,
    bytes: [u8; MAX_SECRET],
    length: usize,
}

/// The longest secret in bytes: that of SHA-1.
const MAX_SECRET: usize = 20;

impl Authentication {
    /// Authentication of this type with these keys: their IDs, and their bytes.
    ///
    /// # Errors
    /// When the type is unknown, or a key does not fit it.
    pub fn new<'a>(
        kind: AuthType,
        keys: impl IntoIterator<Item = (u8, &'a [u8])>,
    ) -> Result<Self, AuthenticationError> {
        let longest = match kind {
            AuthType::SIMPLE_PASSWORD => MAX_PASSWORD,
            _ => kind.digest_length().ok_or(AuthenticationError::UnknownType(kind))?,
        };
        let mut all: Vec<Key> = Vec::new();
        for (id, secret) in keys {
            if secret.is_empty() || secret.len() > longest {
                return Err(AuthenticationError::KeyLength { id, kind, longest });
            }
            if all.iter().any(|key| key.id == id) {
                return Err(AuthenticationError::DuplicateKeyId(id));
            }
            let mut bytes = [0; MAX_SECRET];
            bytes.iter_mut().zip(secret).for_each(|(slot, byte)| *slot = *byte);
            all.push(Key { id, bytes, length: secret.len() });
        }
        let mut keys = all.into_iter();
        let first = keys.next().ok_or(AuthenticationError::NoKey)?;
        Ok(Self { kind, first, others: keys.collect() })
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> AuthType {
        self.kind
    }

    /// The key to send with.
    pub(crate) const fn first(&self) -> &Key {
        &self.first
    }

    /// The key of this ID.
    pub(crate) fn key(&self, id: u8) -> Option<&Key> {
        std::iter::once(&self.first).chain(&self.others).find(|key| key.id == id)
    }
}

impl Key {
    /// The secret as it was given.
    pub(crate) fn secret(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// The secret, padded with zeros.
    pub(crate) const fn padded(&self) -> &[u8; MAX_SECRET] {
        &self.bytes
    }
}

/// Everything but the secrets.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = std::iter::once(&self.first).chain(&self.others).map(|key| key.id);
        write!(f, "{}, keys {:?}", self.kind, ids.collect::<Vec<_>>())
    }
}

/// Keys that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthenticationError {
    /// RFC 5880 does not define the type.
    #[error("authentication {0} is unknown: give one of the five types of RFC 5880")]
    UnknownType(AuthType),
    /// There is no key.
    #[error("authentication without a key: give at least one")]
    NoKey,
    /// Two keys have the same ID.
    #[error("key id {0} is given twice: give each key an id of its own")]
    DuplicateKeyId(u8),
    /// A key is empty or too long.
    #[error("key id {id}: give {kind} a key of 1 to {longest} bytes")]
    KeyLength {
        /// The key's ID.
        id: u8,
        /// The type.
        kind: AuthType,
        /// The longest key it has, in bytes.
        longest: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_takes_every_common_interval_and_nothing_out_of_range() {
        for interval in COMMON_INTERVALS.map(Interval::as_duration) {
            let profile = Profile::new(interval, interval, 255).unwrap();
            assert_eq!(profile.tx.as_duration(), interval);
            assert_eq!(profile.detection_time(), interval * 255);
        }
        let (short, fine) = (Duration::from_micros(999), Duration::from_millis(10));
        assert_eq!(
            Profile::new(short, fine, 3).unwrap_err().to_string(),
            "tx = 999µs: give an interval from 1ms to 1h"
        );
        assert!(Profile::new(fine, Duration::from_secs(3601), 3).is_err());
        assert_eq!(Profile::new(fine, fine, 0), Err(ProfileError::Multiplier));
    }

    #[test]
    fn keys_fit_their_type_and_are_not_shown() {
        let new = |kind, keys: &[(u8, &'static [u8])]| Authentication::new(kind, keys.to_vec());
        let (long, longer) = ([b'x'; 16], [b'x'; 20]);
        for (kind, secret, fits) in [
            (AuthType::SIMPLE_PASSWORD, &long[..], true),
            (AuthType::SIMPLE_PASSWORD, &longer[..17], false),
            (AuthType::METICULOUS_KEYED_MD5, &longer[..17], false),
            (AuthType::KEYED_SHA1, &longer[..], true),
            (AuthType::KEYED_SHA1, &[], false),
        ] {
            assert_eq!(Authentication::new(kind, [(1, secret)]).is_ok(), fits, "{kind}");
        }
        let keys: [(u8, &[u8]); 2] = [(7, b"topsecret"), (1, b"topsecret")];
        let auth = new(AuthType::KEYED_SHA1, &keys).unwrap();
        assert_eq!(format!("{auth:?}"), "keyed-sha1, keys [7, 1]");
        assert_eq!((auth.first().id, auth.key(1).map(Key::secret)), (7, Some(&b"topsecret"[..])));
        assert_eq!(new(AuthType::KEYED_SHA1, &[]), Err(AuthenticationError::NoKey));
        assert_eq!(new(AuthType(9), &keys), Err(AuthenticationError::UnknownType(AuthType(9))));
        assert_eq!(
            new(AuthType::KEYED_SHA1, &[keys[0], keys[0]]),
            Err(AuthenticationError::DuplicateKeyId(7))
        );
    }
}
