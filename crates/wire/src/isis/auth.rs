//! Authentication: passwords (ISO 10589), HMAC-MD5 (RFC 5304) and the HMACs of RFC 5310.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::header::{self, Common, PduType};
use super::lsp::{CHECKSUM_AT, LIFETIME_AT};
use super::tlv::{Tlv, TlvCode, Tlvs};
use super::tlv_body::TlvBody;
use crate::error::DecodeError;
use crate::reader::Reader;
use crate::writer::patch;

/// What an authentication TLV holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// 1: a password, for everybody to read.
    Cleartext(&'a [u8]),
    /// 54: the HMAC-MD5 of the PDU (RFC 5304).
    HmacMd5(&'a [u8; 16]),
    /// 3: an HMAC of the PDU by the algorithm of a key (RFC 5310).
    Cryptographic {
        /// Which of the keys.
        key_id: u16,
        /// The HMAC.
        digest: &'a [u8],
    },
    /// Anything else.
    Unknown {
        /// The type.
        kind: u8,
        /// What follows it.
        value: &'a [u8],
    },
}

impl<'a> Authentication<'a> {
    pub(super) fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let authentication = match reader.u8()? {
            CLEARTEXT => return Ok(Self::Cleartext(reader.rest())),
            HMAC_MD5 => Self::HmacMd5(reader.array()?),
            CRYPTOGRAPHIC => {
                return Ok(Self::Cryptographic { key_id: reader.u16()?, digest: reader.rest() });
            }
            kind => return Ok(Self::Unknown { kind, value: reader.rest() }),
        };
        reader.end().map(|()| authentication)
    }
}

impl fmt::Debug for Authentication<'_> {
    /// Leaves the password out, so that no log shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleartext(_) => f.write_str("Cleartext"),
            Self::HmacMd5(_) => f.write_str("HmacMd5"),
            Self::Cryptographic { key_id, .. } => write!(f, "Cryptographic({key_id})"),
            Self::Unknown { kind, .. } => write!(f, "Unknown({kind})"),
        }
    }
}

/// The types of authentication.
const CLEARTEXT: u8 = 1;
const CRYPTOGRAPHIC: u8 = 3;
const HMAC_MD5: u8 = 54;

/// How a key authenticates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Algorithm {
    /// The key itself is sent.
    Cleartext,
    /// HMAC-MD5, without a key ID (RFC 5304).
    HmacMd5,
    /// HMAC-SHA-1 (RFC 5310).
    HmacSha1,
    /// HMAC-SHA-224 (RFC 5310).
    HmacSha224,
    /// HMAC-SHA-256 (RFC 5310).
    HmacSha256,
    /// HMAC-SHA-384 (RFC 5310).
    HmacSha384,
    /// HMAC-SHA-512 (RFC 5310).
    HmacSha512,
}

impl Algorithm {
    /// The type of the authentication TLV.
    const fn kind(self) -> u8 {
        match self {
            Self::Cleartext => CLEARTEXT,
            Self::HmacMd5 => HMAC_MD5,
            Self::HmacSha1
            | Self::HmacSha224
            | Self::HmacSha256
            | Self::HmacSha384
            | Self::HmacSha512 => CRYPTOGRAPHIC,
        }
    }
}

/// A key that PDUs are authenticated with.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    algorithm: Algorithm,
    id: u16,
    /// The password, or what the HMAC is keyed with.
    secret: Vec<u8>,
}

/// A secret that is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    /// There is nothing in it.
    #[error("the key is empty; give it at least one character")]
    Empty,
    /// It does not fit the TLV that sends it in clear text.
    #[error("a password of {0} octets does not fit a TLV; 254 are the most")]
    TooLong(usize),
}

impl Key {
    /// The key of an algorithm made from a secret. The ID tells keys of RFC 5310 apart, the others do not send it.
    ///
    /// # Errors
    /// When the secret is empty, or a password too long to be sent.
    pub fn new(algorithm: Algorithm, id: u16, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        // A key longer than the digest is hashed (RFC 5310 section 3.3). A shorter one is filled up with zeros, as HMAC does.
        let secret = match algorithm {
            Algorithm::Cleartext if secret.len() > 254 => {
                return Err(KeyError::TooLong(secret.len()));
            }
            Algorithm::Cleartext | Algorithm::HmacMd5 => secret.to_vec(),
            Algorithm::HmacSha1 => at_most_a_digest::<Sha1>(secret),
            Algorithm::HmacSha224 => at_most_a_digest::<Sha224>(secret),
            Algorithm::HmacSha256 => at_most_a_digest::<Sha256>(secret),
            Algorithm::HmacSha384 => at_most_a_digest::<Sha384>(secret),
            Algorithm::HmacSha512 => at_most_a_digest::<Sha512>(secret),
        };
        Ok(Self { algorithm, id, secret })
    }

    /// How it authenticates.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its ID.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// The bytes that its TLV takes of a PDU.
    #[must_use]
    pub fn tlv_length(&self) -> usize {
        let before = match self.algorithm.kind() {
            CRYPTOGRAPHIC => 5,
            _ => 3_usize,
        };
        before.saturating_add(self.value_length())
    }

    /// The length of a digest, or of the password.
    fn value_length(&self) -> usize {
        match self.algorithm {
            Algorithm::Cleartext => self.secret.len(),
            Algorithm::HmacMd5 => 16,
            Algorithm::HmacSha1 => 20,
            Algorithm::HmacSha224 => 28,
            Algorithm::HmacSha256 => 32,
            Algorithm::HmacSha384 => 48,
            Algorithm::HmacSha512 => 64,
        }
    }

    /// Appends the key's TLV, its digest still to be computed: [`sign`] does.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let length = self.tlv_length();
        let end = out.len().saturating_add(length);
        let kind = self.algorithm.kind();
        // Never more than 255: a password is at most 254 octets.
        let value_length = u8::try_from(length.saturating_sub(2)).unwrap_or(u8::MAX);
        out.extend_from_slice(&[TlvCode::AUTHENTICATION.0, value_length, kind]);
        if kind == CRYPTOGRAPHIC {
            out.extend_from_slice(&self.id.to_be_bytes());
        }
        out.resize(end, 0);
    }

    /// What stands in the TLV of a PDU with all that is covered: the digest, or the password.
    fn value(&self, covered: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Cleartext => self.secret.clone(),
            Algorithm::HmacMd5 => hmac::<Hmac<Md5>>(&self.secret, covered),
            Algorithm::HmacSha1 => hmac::<Hmac<Sha1>>(&self.secret, covered),
            Algorithm::HmacSha224 => hmac::<Hmac<Sha224>>(&self.secret, covered),
            Algorithm::HmacSha256 => hmac::<Hmac<Sha256>>(&self.secret, covered),
            Algorithm::HmacSha384 => hmac::<Hmac<Sha384>>(&self.secret, covered),
            Algorithm::HmacSha512 => hmac::<Hmac<Sha512>>(&self.secret, covered),
        }
    }
}

impl fmt::Debug for Key {
    /// Leaves the secret out, so that no log shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why a PDU does not authenticate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AuthError {
    /// It carries no authentication TLV.
    #[error("not authenticated")]
    Missing,
    /// It carries several.
    #[error("authenticated more than once")]
    Repeated,
    /// The TLV, or the PDU around it, does not decode.
    #[error("malformed authentication: {0}")]
    Malformed(#[from] DecodeError),
    /// No key is of this type.
    #[error("authentication of type {0}, for which there is no key")]
    WrongType(u8),
    /// No key has this ID.
    #[error("there is no key {0}")]
    UnknownKey(u16),
    /// The password or digest is wrong.
    #[error("wrong password or digest")]
    Mismatch,
}

impl AuthError {
    /// The name of the counter of PDUs dropped for this reason.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "auth-missing",
            Self::Repeated => "auth-repeated",
            Self::Malformed(_) => "auth-malformed",
            Self::WrongType(_) => "auth-wrong-type",
            Self::UnknownKey(_) => "auth-unknown-key",
            Self::Mismatch => "auth-mismatch",
        }
    }
}

/// The key that a whole PDU authenticates with. Several keys may be good at a time, so that they can be changed one system
/// after another (RFC 5304 section 2).
///
/// The remaining lifetime and checksum of an LSP do not matter. Passwords and digests are compared in constant time.
///
/// # Errors
/// When it authenticates with none of them.
pub fn verify<'k>(pdu: &[u8], keys: &'k [Key]) -> Result<&'k Key, AuthError> {
    let (Common { pdu_type, bytes, .. }, tlv) = authentication_tlv(pdu)?;
    let TlvBody::Authentication(authentication) = tlv.body()? else {
        return Err(AuthError::Missing);
    };
    let (kind, key_id, value) = match authentication {
        Authentication::Cleartext(password) => (CLEARTEXT, None, password),
        Authentication::HmacMd5(digest) => (HMAC_MD5, None, &digest[..]),
        Authentication::Cryptographic { key_id, digest } => (CRYPTOGRAPHIC, Some(key_id), digest),
        Authentication::Unknown { kind, .. } => return Err(AuthError::WrongType(kind)),
    };
    let mut of_kind = keys.iter().filter(|key| key.algorithm.kind() == kind).peekable();
    if of_kind.peek().is_none() {
        return Err(AuthError::WrongType(kind));
    }
    let mut candidates = of_kind.filter(|key| key_id.is_none_or(|id| id == key.id)).peekable();
    if let (Some(id), None) = (key_id, candidates.peek()) {
        return Err(AuthError::UnknownKey(id));
    }
    let covered = covered(bytes, pdu_type, kind, tlv.at(), value.len());
    candidates
        .find(|key| value.len() == key.value_length() && key.value(&covered).ct_eq(value).into())
        .ok_or(AuthError::Mismatch)
}

/// Computes the digest of a finished PDU whose TLVs begin with those of [`Key::encode`].
pub(super) fn sign(pdu: &mut [u8], pdu_type: PduType, key: &Key) {
    let at = pdu_type.header_length().saturating_add(2);
    let kind = key.algorithm.kind();
    let value = key.value(&covered(pdu, pdu_type, kind, at, key.value_length()));
    patch(pdu, at.saturating_add(value_offset(kind)), &value);
}

/// The one authentication TLV of a PDU.
fn authentication_tlv(pdu: &[u8]) -> Result<(Common<'_>, Tlv<'_>), AuthError> {
    let (common, _) = header::read(pdu)?;
    let mut reader = Reader::new(common.bytes, 0);
    reader.take(common.pdu_type.header_length())?;
    let mut tlvs = Tlvs::parse(reader)?.of(TlvCode::AUTHENTICATION);
    let tlv = tlvs.next().ok_or(AuthError::Missing)?;
    if tlvs.next().is_some() {
        return Err(AuthError::Repeated);
    }
    Ok((common, tlv))
}

/// Where in the value of an authentication TLV the digest or password begins.
const fn value_offset(kind: u8) -> usize {
    if kind == CRYPTOGRAPHIC { 3 } else { 1 }
}

/// What a digest covers: the PDU, with the digest and what changes on the way replaced (RFC 5304 section 2; RFC 5310
/// sections 3.3 and 3.4). The TLV's value begins at `at`; `length` is that of the digest.
fn covered(pdu: &[u8], pdu_type: PduType, kind: u8, at: usize, length: usize) -> Vec<u8> {
    const APAD: [u8; 4] = [0x87, 0x8f, 0xe1, 0xf3];
    let mut covered = pdu.to_vec();
    if let PduType::Lsp(_) = pdu_type {
        patch(&mut covered, LIFETIME_AT, &[0; 2]);
        patch(&mut covered, CHECKSUM_AT, &[0; 2]);
    }
    let start = at.saturating_add(value_offset(kind));
    let digest = covered.iter_mut().skip(start).take(length);
    let pad = if kind == CRYPTOGRAPHIC { APAD } else { [0; 4] };
    digest.zip(pad.into_iter().cycle()).for_each(|(octet, pad)| *octet = pad);
    covered
}

/// A secret, or its hash if that is shorter (RFC 5310 section 3.3).
fn at_most_a_digest<D: Digest>(secret: &[u8]) -> Vec<u8> {
    if secret.len() > <D as Digest>::output_size() {
        D::digest(secret).to_vec()
    } else {
        secret.to_vec()
    }
}

fn hmac<M: Mac + KeyInit>(secret: &[u8], covered: &[u8]) -> Vec<u8> {
    // An HMAC takes keys of any length. No digest at all matches none that is sent.
    M::new_from_slice(secret)
        .map(|mac| mac.chain_update(covered).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}
