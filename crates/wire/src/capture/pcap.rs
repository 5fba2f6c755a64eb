//! The classic capture format: a header, then records.

use bugle_types::Time;

use super::{CaptureError, Endian, LinkType, Packet, size};
use crate::reader::Reader;

/// The records of a pcap file.
///
/// ```text
/// file:   magic, version (2 + 2), zone, accuracy, snapshot length, link type: seven words less one
/// record: seconds, fraction, captured length, original length: four words; then the bytes captured
/// ```
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    reader: Reader<'a>,
    endian: Endian,
    /// Nanoseconds in a unit of a record's fraction.
    fraction: u64,
    link_type: LinkType,
}

impl<'a> Records<'a> {
    /// Reads the file's header.
    pub(super) fn new(file: &'a [u8]) -> Result<Self, CaptureError> {
        let mut reader = Reader::new(file, 0);
        let (endian, fraction) = match *reader.array().map_err(|_| CaptureError::UnknownFormat)? {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Endian::Big, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Endian::Little, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Endian::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Endian::Little, 1),
            _ => return Err(CaptureError::UnknownFormat),
        };
        reader.take(16)?;
        // The upper half says whether frames end in a check sequence; what follows a datagram is ignored anyway.
        let link_type = LinkType::from_word(endian.u32(&mut reader)?);
        Ok(Self { reader, endian, fraction, link_type })
    }

    pub(super) fn next_packet(&mut self) -> Result<Option<Packet<'a>>, CaptureError> {
        if self.reader.rest().is_empty() {
            return Ok(None);
        }
        let mut word = || self.endian.u32(&mut self.reader);
        let (seconds, fraction, captured, original_length) = (word()?, word()?, word()?, word()?);
        let nanos = u64::from(seconds)
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(fraction).saturating_mul(self.fraction));
        Ok(Some(Packet {
            timestamp: Time::from_nanos(nanos),
            link_type: self.link_type,
            bytes: self.reader.take(size(captured))?,
            original_length,
        }))
    }
}
