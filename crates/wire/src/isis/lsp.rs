//! Link State PDUs as flooding sees them: an ID, an instance, and bytes (ISO 10589 sections 7.3 and 9.8).

use std::cmp::Ordering;
use std::fmt;

use super::header::{self, PduType};
use super::tlv::Tlvs;
use super::{LSP_HEADER, Level, LspFlags, LspId, SequenceNumber};
use crate::checksum;
use crate::error::DecodeError;
use crate::list::Element;
use crate::reader::Reader;
use crate::writer::patch;

/// The offsets of fields in an LSP.
pub(super) const LIFETIME_AT: usize = 10;
pub(super) const LSP_ID_AT: usize = 12;
pub(super) const CHECKSUM_AT: usize = 24;

/// The header that begins every LSP: enough to identify it and to tell its instances apart.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     0x83      |  Length  27   |  Version  1   | ID Length 0|6 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |R|R|R| 18 | 20 |  Version  1   |   Reserved    | Max. areas 0|3|
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          PDU Length           |      Remaining Lifetime       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            LSP ID                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            LSP ID                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Sequence Number                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |           Checksum            |P|  ATT  |O|Typ|   TLVs  ...
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LspHeader {
    /// The level whose database it belongs to.
    pub level: Level,
    /// Which LSP this is, and which instance of it.
    pub entry: LspEntry,
    /// What kind of system it describes.
    pub flags: LspFlags,
    /// The length in bytes of the whole LSP, this header included.
    pub length: u16,
}

/// An instance of an LSP, as sequence numbers PDUs list them (ISO 10589 section 9.10).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |      Remaining Lifetime       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            LSP ID                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            LSP ID                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Sequence Number                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |           Checksum            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LspEntry {
    /// Seconds before it expires; zero if it has been purged.
    pub lifetime: u16,
    /// Which LSP.
    pub id: LspId,
    /// Which instance of it.
    pub sequence: SequenceNumber,
    /// The Fletcher checksum of everything that follows the lifetime.
    pub checksum: u16,
}

/// How an instance of an LSP relates to another (ISO 10589 sections 7.3.16.2 to 7.3.16.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Recency {
    /// It is superseded by the other.
    Older,
    /// It is the same.
    Same,
    /// It supersedes the other.
    Newer,
    /// Of the same sequence number, but another LSP: one is of the system's previous life. Both must go.
    Confused,
}

impl LspEntry {
    /// How this instance relates to another of the same LSP.
    ///
    /// The higher sequence number is newer; then an expired instance is newer than a living one. Two living instances that
    /// differ only in their checksums are confused.
    #[must_use]
    pub fn recency(&self, other: &Self) -> Recency {
        let rank = |entry: &Self| (entry.sequence, entry.lifetime == 0);
        match rank(self).cmp(&rank(other)) {
            Ordering::Less => Recency::Older,
            Ordering::Greater => Recency::Newer,
            Ordering::Equal if self.lifetime == 0 || self.checksum == other.checksum => {
                Recency::Same
            }
            Ordering::Equal => Recency::Confused,
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            lifetime: reader.u16()?,
            id: LspId::read(reader)?,
            sequence: SequenceNumber(reader.u32()?),
            checksum: reader.u16()?,
        })
    }
}

impl Element for LspEntry {
    const SIZE: usize = 16;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes, 0))
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lifetime.to_be_bytes());
        out.extend_from_slice(&self.id.octets());
        out.extend_from_slice(&self.sequence.0.to_be_bytes());
        out.extend_from_slice(&self.checksum.to_be_bytes());
    }
}

/// A view of one whole LSP. Flooding passes on [`bytes`](Self::bytes) as they came, whatever is in them, with a new
/// remaining lifetime ([`set_lifetime`]).
///
/// Only the header is decoded to begin with: enough to decide whether the LSP is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lsp<'a> {
    header: LspHeader,
    bytes: &'a [u8],
}

impl<'a> Lsp<'a> {
    /// The LSP at the start of `bytes`. What follows it is link-layer padding, and ignored.
    ///
    /// # Errors
    /// When `bytes` are no LSP, or not a whole one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (common, reader) = header::read(bytes)?;
        let PduType::Lsp(level) = common.pdu_type else {
            return Err(header::unknown_type(common.pdu_type.number()));
        };
        Self::read(level, reader, common.bytes)
    }

    /// The LSP that is `bytes`, whose common header has been read.
    pub(super) fn read(
        level: Level,
        mut reader: Reader<'a>,
        bytes: &'a [u8],
    ) -> Result<Self, DecodeError> {
        let length = reader.u16()?;
        let header = LspHeader {
            level,
            entry: LspEntry::read(&mut reader)?,
            flags: LspFlags(reader.u8()?),
            length,
        };
        Ok(Self { header, bytes })
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> LspHeader {
        self.header
    }

    /// Which LSP this is, and which instance.
    #[must_use]
    pub const fn entry(&self) -> LspEntry {
        self.header.entry
    }

    /// The whole LSP, header included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether this takes the LSP out of every database: its remaining lifetime is zero.
    #[must_use]
    pub const fn is_purge(&self) -> bool {
        self.header.entry.lifetime == 0
    }

    /// Whether the checksum is right (ISO 10589 section 7.3.11). The lifetime is not covered; a checksum of zero is never
    /// right. A purge's always is: its contents may be gone (section 7.3.16.4).
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        let covered = self.bytes.get(LSP_ID_AT..).unwrap_or_default();
        self.is_purge() || self.header.entry.checksum != 0 && checksum::fletcher_ok(covered)
    }

    /// What the LSP says.
    ///
    /// # Errors
    /// When the TLVs do not fit the LSP to the byte.
    pub fn tlvs(&self) -> Result<Tlvs<'a>, DecodeError> {
        let mut reader = Reader::new(self.bytes, 0);
        reader.take(LSP_HEADER)?;
        Tlvs::parse(reader)
    }
}

impl fmt::Debug for Lsp<'_> {
    /// Leaves the bytes out, among which a password may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lsp").field("header", &self.header).field("tlvs", &self.tlvs()).finish()
    }
}

/// Writes a remaining lifetime, in seconds, into the bytes of an LSP. Neither its checksum nor its digest covers it.
pub fn set_lifetime(lsp: &mut [u8], lifetime: u16) {
    patch(lsp, LIFETIME_AT, &lifetime.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recency_follows_iso_10589_section_7_3_16() {
        let entry = |sequence, lifetime, checksum| LspEntry {
            lifetime,
            id: LspId::MIN,
            sequence: SequenceNumber(sequence),
            checksum,
        };
        let newer_first = [
            (entry(2, 1, 1), entry(1, 0, 9)),
            (entry(2, 0, 1), entry(1, 9, 9)),
            (entry(0x8000_0000, 1, 1), entry(0x7fff_ffff, 1, 1)),
            (entry(1, 0, 1), entry(1, 900, 1)),
            (entry(1, 0, 0), entry(1, 900, 1)),
            (entry(1, 900, 1), entry(0, 0, 0)),
        ];
        for (newer, older) in newer_first {
            assert_eq!(newer.recency(&older), Recency::Newer, "{newer:?} {older:?}");
            assert_eq!(older.recency(&newer), Recency::Older, "{newer:?} {older:?}");
        }
        for (a, b) in [
            (entry(1, 900, 1), entry(1, 1, 1)),
            (entry(1, 0, 1), entry(1, 0, 2)),
            (entry(1, 0, 0), entry(1, 0, 2)),
        ] {
            assert_eq!(a.recency(&b), Recency::Same, "{a:?} {b:?}");
            assert_eq!(b.recency(&a), Recency::Same, "{a:?} {b:?}");
        }
        assert_eq!(entry(1, 900, 1).recency(&entry(1, 900, 2)), Recency::Confused);
        assert_eq!(entry(1, 1, 2).recency(&entry(1, 900, 1)), Recency::Confused);
    }
}
