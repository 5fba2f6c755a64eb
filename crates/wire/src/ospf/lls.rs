//! Link-local signalling (RFC 5613).

use super::tlv::Tlvs;
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
        let block = Self { bytes };
        block.tlvs().are_whole().then_some(block)
    }

    /// The whole block, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The triplets in order: type 1 is extended options and flags, type 2 cryptographic authentication.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'a> {
        Tlvs::new(self.bytes.get(4..).unwrap_or_default())
    }
}
