//! Authentication of control packets (RFC 5880 section 6.7).

use bugle_wire::bfd::{Auth, AuthType, Control, Datagram, Packet};
use md5::Md5;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::config::{Authentication, Key};
use crate::io::Discard;

/// The sequence numbers of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequences {
    /// `bfd.XmitAuthSeq`.
    xmit: u32,
    /// `bfd.RcvAuthSeq`, if `bfd.AuthSeqKnown` is 1.
    received: Option<u32>,
}

impl Sequences {
    pub(crate) const fn new(random: u32) -> Self {
        Self { xmit: random, received: None }
    }

    /// Sets `bfd.AuthSeqKnown` to 0, so that a system that restarted is heard again.
    pub(crate) const fn forget(&mut self) {
        self.received = None;
    }

    /// The finished packet. `changed`: it says something else than the one before.
    pub(crate) fn seal(
        &mut self,
        control: &Control,
        auth: Option<&Authentication>,
        changed: bool,
    ) -> Datagram {
        let Some(auth) = auth else { return control.emit(None) };
        let (kind, key) = (auth.kind(), auth.first());
        let Some(length) = kind.digest_length() else {
            return control.emit(Some(&Auth::Password { key_id: key.id, password: key.secret() }));
        };
        if changed || is_meticulous(kind) {
            self.xmit = self.xmit.wrapping_add(1);
        }
        let with = |digest: &[u8]| {
            control.emit(Some(&Auth::Digest { kind, key_id: key.id, sequence: self.xmit, digest }))
        };
        let padded = key.padded().get(..length).unwrap_or_default();
        let hash = hash(kind, &[&with(padded)]);
        with(hash.get(..length).unwrap_or_default())
    }

    /// Checks a packet, in the order of sections 6.8.6 and 6.7.2 to 6.7.4, but that the sequence number is not believed
    /// before the digest is.
    pub(crate) fn verify(
        &mut self,
        packet: &Packet<'_>,
        auth: Option<&Authentication>,
    ) -> Result<(), Discard> {
        let (section, auth) = match (packet.auth, auth) {
            (None, None) => return Ok(()),
            (Some(_), None) => return Err(Discard::AuthUnexpected),
            (None, Some(_)) => return Err(Discard::AuthMissing),
            (Some(section), Some(auth)) => (section, auth),
        };
        if section.kind() != auth.kind() {
            return Err(Discard::AuthType);
        }
        match section {
            Auth::Password { key_id, password } => {
                let key = auth.key(key_id).ok_or(Discard::AuthKey)?;
                let equal = bool::from(key.secret().ct_eq(password));
                if equal { Ok(()) } else { Err(Discard::AuthDigest) }
            }
            Auth::Digest { kind, key_id, sequence, digest } => {
                let key = auth.key(key_id).ok_or(Discard::AuthKey)?;
                let window = 3 * u32::from(packet.control.detect_mult.get());
                let first = u32::from(is_meticulous(kind));
                let fresh = self
                    .received
                    .is_none_or(|last| (first..=window).contains(&sequence.wrapping_sub(last)));
                if !fresh {
                    return Err(Discard::AuthSequence);
                }
                if !digest_matches(kind, key, packet, digest) {
                    return Err(Discard::AuthDigest);
                }
                self.received = Some(sequence);
                Ok(())
            }
            Auth::Unknown { .. } => Err(Discard::AuthType),
        }
    }
}

const fn is_meticulous(kind: AuthType) -> bool {
    matches!(kind, AuthType::METICULOUS_KEYED_MD5 | AuthType::METICULOUS_KEYED_SHA1)
}

fn digest_matches(kind: AuthType, key: &Key, packet: &Packet<'_>, digest: &[u8]) -> bool {
    let (head, _, rest) = packet.around_digest();
    let padded = key.padded().get(..digest.len()).unwrap_or_default();
    let expected = hash(kind, &[head, padded, rest]);
    expected.get(..digest.len()).is_some_and(|expected| bool::from(expected.ct_eq(digest)))
}

/// The hash of the concatenation of `parts`, padded with zeros.
fn hash(kind: AuthType, parts: &[&[u8]]) -> [u8; 20] {
    fn of<H: Digest>(parts: &[&[u8]]) -> [u8; 20] {
        let hash = parts.iter().fold(H::new(), H::chain_update).finalize();
        let mut padded = [0; 20];
        padded.iter_mut().zip(hash.iter()).for_each(|(slot, byte)| *slot = *byte);
        padded
    }
    match kind {
        AuthType::KEYED_MD5 | AuthType::METICULOUS_KEYED_MD5 => of::<Md5>(parts),
        _ => of::<Sha1>(parts),
    }
}
