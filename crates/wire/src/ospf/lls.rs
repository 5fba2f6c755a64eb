//! Link-local signalling (RFC 5613).

use crate::checksum;
use crate::reader::Reader;

/// The block of type-length-value triplets that may follow a Hello or Database Description packet.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |            Checksum           |   Length in 32-bit words      |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |             Type              |   Length of the value         |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                 Value, padded to 32 bits  ...                 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lls<'a> {
    bytes: &'a [u8],
}

/// One triplet of an [`Lls`] block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LlsTlv<'a> {
    /// Its type: 1 for extended options and flags, 2 for cryptographic authentication.
    pub kind: u16,
    /// Its value, without the padding.
    pub value: &'a [u8],
}

impl<'a> Lls<'a> {
    /// The block at the front of `bytes`, if there is a whole and undamaged one. A damaged block is ignored while the packet
    /// it follows is processed (RFC 5613 section 2.2), hence no error.
    ///
    /// The checksum is not used where packets are authenticated cryptographically.
    pub(super) fn parse(bytes: &'a [u8], checksummed: bool) -> Option<Self> {
        let mut reader = Reader::new(bytes, 0);
        let _checksum = reader.u16().ok()?;
        let words = reader.u16().ok()?;
        let bytes = bytes.get(..usize::from(words).checked_mul(4)?)?;
        if words == 0 || (checksummed && checksum::internet(&[bytes]) != 0) {
            return None;
        }
        // Every triplet must fit; the iterator ends early only on one that does not.
        let block = Self { bytes };
        let mut tlvs = block.tlvs();
        tlvs.by_ref().for_each(drop);
        tlvs.reader.rest().is_empty().then_some(block)
    }

    /// The whole block, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The triplets in order.
    #[must_use]
    pub fn tlvs(&self) -> LlsTlvs<'a> {
        LlsTlvs { reader: Reader::new(self.bytes.get(4..).unwrap_or_default(), 4) }
    }
}

/// The triplets of an [`Lls`] block.
#[derive(Clone, Debug)]
pub struct LlsTlvs<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for LlsTlvs<'a> {
    type Item = LlsTlv<'a>;

    fn next(&mut self) -> Option<LlsTlv<'a>> {
        let mut reader = self.reader;
        let kind = reader.u16().ok()?;
        let length = usize::from(reader.u16().ok()?);
        let value = reader.take(length.next_multiple_of(4)).ok()?.get(..length)?;
        self.reader = reader;
        Some(LlsTlv { kind, value })
    }
}
