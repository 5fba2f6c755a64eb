//! Link-state advertisements as flooding sees them: a key, an instance, and bytes (RFC 2328 sections 12.1 and A.4.1).

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::net::Ipv4Addr;

use bugle_types::RouterId;

use super::lsa_body::LsaBody;
use super::{DO_NOT_AGE, Element, LSA_HEADER, MAX_AGE, MAX_AGE_DIFF, Options};
use crate::checksum;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// The type of an LSA, which decides how far it is flooded and how its body reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsaType(pub u8);

impl LsaType {
    /// A router and its links, throughout one area.
    pub const ROUTER: Self = Self(1);
    /// A transit network and the routers on it, throughout one area.
    pub const NETWORK: Self = Self(2);
    /// A destination in another area, throughout one area.
    pub const SUMMARY_NETWORK: Self = Self(3);
    /// An AS boundary router in another area, throughout one area.
    pub const SUMMARY_ASBR: Self = Self(4);
    /// A destination outside the AS, throughout the AS less its stub areas and NSSAs.
    pub const AS_EXTERNAL: Self = Self(5);
    /// A destination outside the AS, throughout one NSSA (RFC 3101).
    pub const NSSA: Self = Self(7);
    /// Application data, on one link (RFC 5250).
    pub const OPAQUE_LINK: Self = Self(9);
    /// Application data, throughout one area (RFC 5250).
    pub const OPAQUE_AREA: Self = Self(10);
    /// Application data, throughout the AS less its stub areas and NSSAs (RFC 5250).
    pub const OPAQUE_AS: Self = Self(11);

    /// The name of the type, for people; `None` for a type this crate does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ROUTER => "router",
            Self::NETWORK => "network",
            Self::SUMMARY_NETWORK => "summary-network",
            Self::SUMMARY_ASBR => "summary-asbr",
            Self::AS_EXTERNAL => "as-external",
            Self::NSSA => "nssa",
            Self::OPAQUE_LINK => "opaque-link",
            Self::OPAQUE_AREA => "opaque-area",
            Self::OPAQUE_AS => "opaque-as",
            _ => return None,
        })
    }
}

impl fmt::Display for LsaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "type-{}", self.0),
        }
    }
}

impl fmt::Debug for LsaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identifies an LSA among all LSAs; its instances share it (RFC 2328 section 12.1).
///
/// It is also the element of a Link State Request, where the type takes four bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LsaKey {
    /// The type.
    pub ls_type: LsaType,
    /// What is described; its meaning depends on the type.
    pub link_state_id: Ipv4Addr,
    /// The router that originated the LSA.
    pub advertising_router: RouterId,
}

impl fmt::Display for LsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} by {}", self.ls_type, self.link_state_id, self.advertising_router)
    }
}

/// Orders the instances of an LSA; a signed number that only grows (RFC 2328 section 12.1.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub i32);

impl SequenceNumber {
    /// The first instance's.
    pub const INITIAL: Self = Self(-0x7fff_ffff);
    /// The last; after it the LSA must be flushed before it can start anew.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// The following instance's; `None` after [`Self::MAX`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The header that begins every LSA: enough to identify it and to tell its instances apart (RFC 2328 section A.4.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |            LS age             |    Options    |    LS type    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Link State ID                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     Advertising Router                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     LS sequence number                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         LS checksum           |             length            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LsaHeader {
    /// Seconds since the LSA was originated, with [`DO_NOT_AGE`] where it stands still.
    pub age: u16,
    /// What the described part of the network is capable of.
    pub options: Options,
    /// Which LSA this is.
    pub key: LsaKey,
    /// Which instance of it.
    pub sequence: SequenceNumber,
    /// The Fletcher checksum of everything but the age.
    pub checksum: u16,
    /// The length in bytes of the whole LSA, this header included.
    pub length: u16,
}

impl LsaHeader {
    /// Which of two instances of an LSA is newer: `Greater` if this one is (RFC 2328 section 13.1; RFC 1793 section 2.2).
    #[must_use]
    pub fn recency(&self, other: &Self) -> Ordering {
        let age = |header: &Self| (header.age & !DO_NOT_AGE).min(MAX_AGE);
        let (mine, theirs) = (age(self), age(other));
        self.sequence
            .cmp(&other.sequence)
            .then(self.checksum.cmp(&other.checksum))
            .then((mine == MAX_AGE).cmp(&(theirs == MAX_AGE)))
            .then_with(|| {
                let apart = mine.abs_diff(theirs) > MAX_AGE_DIFF;
                if apart { Reverse(mine).cmp(&Reverse(theirs)) } else { Ordering::Equal }
            })
    }

    /// Whether this instance asks to be removed: its age, standing still or not, is [`MAX_AGE`].
    #[must_use]
    pub const fn is_max_age(&self) -> bool {
        self.age & !DO_NOT_AGE >= MAX_AGE
    }

    /// The header that these bytes are: any are one.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; LSA_HEADER]) -> Self {
        let [a0, a1, options, ls_type, i0, i1, i2, i3, r0, r1, r2, r3, rest @ ..] = *bytes;
        let [s0, s1, s2, s3, c0, c1, l0, l1] = rest;
        Self {
            age: u16::from_be_bytes([a0, a1]),
            options: Options(options),
            key: LsaKey {
                ls_type: LsaType(ls_type),
                link_state_id: Ipv4Addr::new(i0, i1, i2, i3),
                advertising_router: RouterId(u32::from_be_bytes([r0, r1, r2, r3])),
            },
            sequence: SequenceNumber(i32::from_be_bytes([s0, s1, s2, s3])),
            checksum: u16::from_be_bytes([c0, c1]),
            length: u16::from_be_bytes([l0, l1]),
        }
    }

    /// Says which field is cut short, as every decoder does.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            age: reader.u16()?,
            options: Options(reader.u8()?),
            key: LsaKey {
                ls_type: LsaType(reader.u8()?),
                link_state_id: reader.ipv4()?,
                advertising_router: RouterId(reader.u32()?),
            },
            sequence: SequenceNumber(reader.u32()?.cast_signed()),
            checksum: reader.u16()?,
            length: reader.u16()?,
        })
    }
}

/// A view of one whole LSA. Flooding passes on [`bytes`](Self::bytes) as they came, whatever is in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lsa<'a> {
    header: LsaHeader,
    bytes: &'a [u8],
}

impl<'a> Lsa<'a> {
    /// The LSA that is `bytes`, no more and no less.
    ///
    /// # Errors
    /// When its header is cut short or states another length.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let lsa = Self::read(&mut reader)?;
        match reader.rest().len() {
            0 => Ok(lsa),
            rest => Err(DecodeErrorKind::TrailingBytes(rest).at(reader.at())),
        }
    }

    /// The LSA at the front of `reader`.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut ahead = *reader;
        let header = LsaHeader::read(&mut ahead)?;
        let (length, have) = (usize::from(header.length), reader.rest().len());
        if length < LSA_HEADER || length > have {
            // The length field is the header's last.
            let at = reader.at().saturating_add(LSA_HEADER - 2);
            return Err(DecodeErrorKind::BadLsaLength { length, have }.at(at));
        }
        Ok(Self { header, bytes: reader.take(length)? })
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> LsaHeader {
        self.header
    }

    /// Which LSA this is.
    #[must_use]
    pub const fn key(&self) -> LsaKey {
        self.header.key
    }

    /// The whole LSA, header included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the checksum is right (RFC 2328 section 12.1.7). The age is not covered; a checksum of zero is never right.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        self.header.checksum != 0 && self.bytes.get(2..).is_some_and(checksum::fletcher_ok)
    }

    /// What the LSA says.
    ///
    /// # Errors
    /// When the body does not have the structure of its type, or the type is not known.
    pub fn body(&self) -> Result<LsaBody<'a>, DecodeError> {
        let mut reader = Reader::new(self.bytes, 0);
        reader.take(LSA_HEADER)?;
        LsaBody::parse(self.header.key.ls_type, reader)
    }
}

impl Element for LsaHeader {
    const SIZE: usize = LSA_HEADER;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes, 0))
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.age.to_be_bytes());
        out.extend_from_slice(&[self.options.0, self.key.ls_type.0]);
        out.extend_from_slice(&self.key.link_state_id.octets());
        out.extend_from_slice(&self.key.advertising_router.0.to_be_bytes());
        out.extend_from_slice(&self.sequence.0.to_be_bytes());
        out.extend_from_slice(&self.checksum.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
    }
}

impl Element for LsaKey {
    const SIZE: usize = 12;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let at = reader.at();
        let ls_type = reader.u32()?;
        let ls_type =
            u8::try_from(ls_type).map_err(|_| DecodeErrorKind::LsTypeOutOfRange(ls_type).at(at))?;
        Ok(Self {
            ls_type: LsaType(ls_type),
            link_state_id: reader.ipv4()?,
            advertising_router: RouterId(reader.u32()?),
        })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u32::from(self.ls_type.0).to_be_bytes());
        out.extend_from_slice(&self.link_state_id.octets());
        out.extend_from_slice(&self.advertising_router.0.to_be_bytes());
    }
}

impl Element for RouterId {
    const SIZE: usize = 4;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes, 0).u32().map(Self)
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn header(sequence: i32, checksum: u16, age: u16) -> LsaHeader {
        LsaHeader {
            age,
            options: Options::E,
            key: LsaKey {
                ls_type: LsaType::ROUTER,
                link_state_id: Ipv4Addr::new(1, 1, 1, 1),
                advertising_router: RouterId(0x0101_0101),
            },
            sequence: SequenceNumber(sequence),
            checksum,
            length: 36,
        }
    }

    #[test]
    fn recency_follows_rfc_2328_section_13_1_in_order() {
        let newer_first = [
            // The higher sequence number, as a signed number; nothing else matters then.
            (header(2, 0, 3600), header(1, 9, 0)),
            (header(1, 0, 3600), header(SequenceNumber::INITIAL.0, 9, 0)),
            // Then the higher checksum.
            (header(1, 9, 3000), header(1, 8, 3600)),
            (header(1, 0x8000, 0), header(1, 0x7fff, 0)),
            // Then the one that alone is MaxAge.
            (header(1, 9, 3600), header(1, 9, 3599)),
            (header(1, 9, 3600), header(1, 9, 0)),
            (header(1, 9, DO_NOT_AGE | MAX_AGE), header(1, 9, 0)),
            // Then the younger, if they are more than MaxAgeDiff apart.
            (header(1, 9, 0), header(1, 9, 901)),
            (header(1, 9, DO_NOT_AGE), header(1, 9, 901)),
        ];
        for (newer, older) in newer_first {
            assert_eq!(newer.recency(&older), Ordering::Greater, "{newer:?} {older:?}");
            assert_eq!(older.recency(&newer), Ordering::Less, "{newer:?} {older:?}");
        }
        let same = [
            (header(1, 9, 0), header(1, 9, 900)),
            (header(1, 9, 1), header(1, 9, DO_NOT_AGE | 1)),
            (header(1, 9, 3600), header(1, 9, 3600)),
            // An age beyond MaxAge is no more than MaxAge.
            (header(1, 9, 3600), header(1, 9, 7200)),
        ];
        for (a, b) in same {
            assert_eq!(a.recency(&b), Ordering::Equal, "{a:?} {b:?}");
            assert_eq!(b.recency(&a), Ordering::Equal, "{a:?} {b:?}");
        }
    }

    #[test]
    fn sequence_numbers_run_from_initial_to_max() {
        assert_eq!(SequenceNumber::INITIAL.to_string(), "0x80000001");
        assert_eq!(SequenceNumber::INITIAL.next(), Some(SequenceNumber(-0x7fff_fffe)));
        assert_eq!(SequenceNumber(-1).next(), Some(SequenceNumber(0)));
        assert_eq!(SequenceNumber::MAX.next(), None);
        assert!(SequenceNumber::INITIAL < SequenceNumber::MAX);
    }
}
