//! `[bfd.NAME]`: named profiles of BFD sessions; `[[vrf.NAME.bfd.peer]]`: sessions by themselves.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bugle_bfd::{Authentication, EchoProfile, Profile};
use bugle_wire::bfd::{AuthType, Interval};
use serde::{Deserialize, Serialize};

use super::key::{KeyFileError, read_secret};

/// `[bfd.NAME]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BfdProfile {
    /// `tx`: send no faster than this, `1ms` to `1h`. Default: `300ms`.
    pub tx: Duration,
    /// `rx`: receive no faster than this, `1ms` to `1h`. Default: `300ms`.
    pub rx: Duration,
    /// `multiplier`: how many of our packets in a row the neighbour must miss, 1 to 255. Default: 3.
    pub multiplier: u8,
    /// `passive`: do not send before the neighbour does. Default: `false`.
    pub passive: bool,
    /// `shutdown`: keep the sessions administratively down; what relies on them goes on without. Default: `false`.
    pub shutdown: bool,
    /// `echo-tx`: send echo packets no faster than this, if the neighbour loops them back (RFC 5880 section 6.4), `1ms` to `1h`. Default:
    /// send none.
    pub echo_tx: Option<Duration>,
    /// `echo-rx`: let the neighbour send echo packets, no faster than this, which the kernel loops back, `1ms` to `1h`. Default:
    /// it may not.
    pub echo_rx: Option<Duration>,
    /// `auth`: how packets are authenticated: the first key is sent with, all are accepted. Default: not at all.
    pub auth: Vec<BfdKey>,
}

impl Default for BfdProfile {
    fn default() -> Self {
        Self {
            tx: Duration::from_millis(300),
            rx: Duration::from_millis(300),
            multiplier: 3,
            passive: false,
            shutdown: false,
            echo_tx: None,
            echo_rx: None,
            auth: Vec::new(),
        }
    }
}

impl BfdProfile {
    /// The profile as sessions take it; `None` if it was not checked.
    pub(crate) fn profile(&self) -> Option<Profile> {
        let keys = || self.auth.iter().map(|key| (key.id, &*key.secret.0));
        let auth = self.auth.first().map(|first| Authentication::new(first.kind.number(), keys()));
        let echo =
            |interval: Option<Duration>| interval.map_or(Interval::ZERO, Interval::from_duration);
        Some(Profile {
            echo: EchoProfile { tx: echo(self.echo_tx), rx: echo(self.echo_rx) },
            passive: self.passive,
            admin_down: self.shutdown,
            auth: auth.transpose().ok()?.map(Arc::new),
            ..Profile::new(self.tx, self.rx, self.multiplier).ok()?
        })
    }
}

/// `[[vrf.NAME.bfd.peer]]`: a session that the file asks for, and nobody else has to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BfdPeer {
    /// `address`: the other end. Required.
    pub address: IpAddr,
    /// `interface`, or `multihop`: how the path begins.
    pub start: PeerStart,
    /// `profile`: the NAME of a `[bfd.NAME]`. Default: that of an empty table.
    pub profile: Option<String>,
}

/// How the path to a peer begins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum PeerStart {
    /// `interface`: the peer is one hop away on this interface (RFC 5881).
    Interface {
        /// The interface's name.
        name: String,
        /// `local`: the address to send from. Default: the interface's that shares the peer's network.
        local: Option<IpAddr>,
    },
    /// `multihop = true`: the peer may be several hops away (RFC 5883).
    Multihop {
        /// `local`: the address to send from. Required.
        local: IpAddr,
        /// `min-ttl`: packets that arrive with less are discarded. Default: 254, one router between.
        min_ttl: u8,
    },
}

impl PeerStart {
    /// What `min-ttl` is unless the file says otherwise, as in FRR.
    pub(super) const MIN_TTL: u8 = 254;
}

/// One key: `{ type = "keyed-sha1", key-id = 1, key-file = "/etc/bugle/bfd.key" }`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BfdKey {
    /// `type`: the same for all keys of a profile. Required.
    pub kind: BfdAuth,
    /// `key-id`: tells the keys apart. Default: 1.
    pub id: u8,
    /// `key-file`: where the key is, an absolute path; line ends behind it do not belong to it. Required.
    pub file: PathBuf,
    /// What the file holds.
    pub(super) secret: Secret,
}

impl BfdKey {
    pub(super) fn load<E>(
        &mut self,
        read: &mut impl FnMut(&Path) -> Result<Vec<u8>, E>,
    ) -> Result<(), KeyFileError<E>> {
        let secret = read_secret(&self.file, read)?;
        if let Err(source) = Authentication::new(self.kind.number(), [(self.id, &*secret)]) {
            return Err(KeyFileError::NoBfdKey { path: self.file.clone(), source });
        }
        self.secret = Secret(secret);
        Ok(())
    }
}

/// `type` of authentication (RFC 5880 section 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BfdAuth {
    /// `simple-password`: a password in clear.
    SimplePassword,
    /// `keyed-md5`
    KeyedMd5,
    /// `meticulous-keyed-md5`
    MeticulousKeyedMd5,
    /// `keyed-sha1`
    KeyedSha1,
    /// `meticulous-keyed-sha1`
    MeticulousKeyedSha1,
}

impl BfdAuth {
    /// All types, by their names in the file.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("simple-password", Self::SimplePassword),
        ("keyed-md5", Self::KeyedMd5),
        ("meticulous-keyed-md5", Self::MeticulousKeyedMd5),
        ("keyed-sha1", Self::KeyedSha1),
        ("meticulous-keyed-sha1", Self::MeticulousKeyedSha1),
    ];

    /// The type on the wire.
    const fn number(self) -> AuthType {
        match self {
            Self::SimplePassword => AuthType::SIMPLE_PASSWORD,
            Self::KeyedMd5 => AuthType::KEYED_MD5,
            Self::MeticulousKeyedMd5 => AuthType::METICULOUS_KEYED_MD5,
            Self::KeyedSha1 => AuthType::KEYED_SHA1,
            Self::MeticulousKeyedSha1 => AuthType::METICULOUS_KEYED_SHA1,
        }
    }
}

/// What a key file holds. A recording gets another of the same length, which makes no difference to what the speaker does.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "usize", from = "usize")]
pub(super) struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<Secret> for usize {
    fn from(secret: Secret) -> Self {
        secret.0.len()
    }
}

impl From<usize> for Secret {
    fn from(length: usize) -> Self {
        // No key is longer, whatever a recording says.
        Self(vec![b'*'; length.min(32)])
    }
}
