//! Type-length-value triplets, as link-local signalling and most opaque LSAs hold them.

use crate::reader::Reader;

/// One triplet.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |             Type              |   Length of the value         |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                 Value, padded to 32 bits  ...                 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlv<'a> {
    /// Its type.
    pub kind: u16,
    /// Its value, without the padding.
    pub value: &'a [u8],
}

/// Triplets in order. They end early at one that does not fit.
#[derive(Clone, Debug)]
pub struct Tlvs<'a> {
    reader: Reader<'a>,
}

impl<'a> Tlvs<'a> {
    /// The triplets in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes, 0) }
    }

    /// Whether the bytes are triplets to the last.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        let mut tlvs = self.clone();
        tlvs.by_ref().for_each(drop);
        tlvs.reader.rest().is_empty()
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let mut reader = self.reader;
        let kind = reader.u16().ok()?;
        let length = usize::from(reader.u16().ok()?);
        let value = reader.take(length.next_multiple_of(4)).ok()?.get(..length)?;
        self.reader = reader;
        Some(Tlv { kind, value })
    }
}
