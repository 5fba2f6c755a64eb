//! The capture format of blocks: sections, the interfaces of each, and packets that name an interface.

use bugle_types::Time;

use super::{CaptureError, Endian, LinkType, Packet, size};
use crate::error::DecodeError;
use crate::reader::Reader;

/// How every section, and so every file, begins; the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The types of the blocks read; others are skipped.
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The options of an interface that are read.
const TIMESTAMP_RESOLUTION: u16 = 9;
const TIMESTAMP_OFFSET: u16 = 14;

/// The blocks of a pcapng file.
///
/// ```text
/// block:     type, total length, contents padded to 32 bits, total length again
/// section:   byte-order magic, version (2 + 2), section length (8), options
/// interface: link type (2), reserved (2), snapshot length, options
/// packet:    interface, time (upper, lower), captured length, original length, bytes, options
/// ```
#[derive(Clone, Debug)]
pub(super) struct Blocks<'a> {
    reader: Reader<'a>,
    endian: Endian,
    /// The interfaces of the current section; a packet names one by its position.
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    /// The most bytes captured of a packet; zero for no limit.
    snapshot_length: u32,
    /// Units of a timestamp in a second.
    resolution: u128,
    /// Seconds to add to a timestamp.
    offset: i64,
}

/// A block without its frame of type and lengths.
#[derive(Clone, Copy)]
struct Block<'a> {
    at: usize,
    kind: u32,
    contents: Reader<'a>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        // The first block is a section header, which sets the byte order.
        Self { reader: Reader::new(file, 0), endian: Endian::Little, interfaces: Vec::new() }
    }

    pub(super) fn next_packet(&mut self) -> Result<Option<Packet<'a>>, CaptureError> {
        while !self.reader.rest().is_empty() {
            let block = self.next_block()?;
            match block.kind {
                INTERFACE_DESCRIPTION => {
                    self.interfaces.push(Interface::read(self.endian, block.contents)?);
                }
                ENHANCED_PACKET | OBSOLETE_PACKET => return self.packet(block).map(Some),
                SIMPLE_PACKET => return self.simple_packet(block).map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    fn next_block(&mut self) -> Result<Block<'a>, CaptureError> {
        let at = self.reader.at();
        if self.reader.rest().starts_with(&SECTION_HEADER) {
            self.begin_section(at)?;
        }
        let kind = self.endian.u32(&mut self.reader)?;
        let length = self.endian.u32(&mut self.reader)?;
        // Twelve bytes of every block are its frame.
        let contents = size(length)
            .checked_sub(12)
            .filter(|contents| contents.is_multiple_of(4))
            .ok_or(CaptureError::BadBlockLength { at, length })?;
        let contents_at = self.reader.at();
        let contents = Reader::new(self.reader.take(contents)?, contents_at);
        if self.endian.u32(&mut self.reader)? != length {
            return Err(CaptureError::BadBlockLength { at, length });
        }
        Ok(Block { at, kind, contents })
    }

    /// Takes the byte order from the section header at the cursor, without moving it, and forgets the interfaces of the
    /// section before.
    fn begin_section(&mut self, at: usize) -> Result<(), CaptureError> {
        let mut ahead = self.reader;
        ahead.take(8)?;
        self.endian = match ahead.array()? {
            [0x1a, 0x2b, 0x3c, 0x4d] => Endian::Big,
            [0x4d, 0x3c, 0x2b, 0x1a] => Endian::Little,
            _ if at == 0 => return Err(CaptureError::UnknownFormat),
            _ => return Err(CaptureError::BadBlockLength { at, length: 0 }),
        };
        self.interfaces.clear();
        Ok(())
    }

    fn packet(&self, block: Block<'a>) -> Result<Packet<'a>, CaptureError> {
        let Block { at, kind, mut contents } = block;
        let number = if kind == OBSOLETE_PACKET {
            let number = self.endian.u16(&mut contents)?;
            let _drops = self.endian.u16(&mut contents)?;
            u32::from(number)
        } else {
            self.endian.u32(&mut contents)?
        };
        let interface = self.interface(at, number)?;
        let mut word = || self.endian.u32(&mut contents);
        let (upper, lower, captured, original_length) = (word()?, word()?, word()?, word()?);
        Ok(Packet {
            timestamp: interface.time(u64::from(upper) << 32 | u64::from(lower)),
            link_type: interface.link_type,
            bytes: contents.take(size(captured))?,
            original_length,
        })
    }

    /// A packet without a time, of the first interface.
    fn simple_packet(&self, block: Block<'a>) -> Result<Packet<'a>, CaptureError> {
        let Block { at, mut contents, .. } = block;
        let interface = self.interface(at, 0)?;
        let original_length = self.endian.u32(&mut contents)?;
        let captured = match interface.snapshot_length {
            0 => original_length,
            limit => original_length.min(limit),
        };
        Ok(Packet {
            timestamp: Time::ZERO,
            link_type: interface.link_type,
            bytes: contents.take(size(captured))?,
            original_length,
        })
    }

    fn interface(&self, at: usize, number: u32) -> Result<Interface, CaptureError> {
        self.interfaces
            .get(size(number))
            .copied()
            .ok_or(CaptureError::UnknownInterface { at, interface: number })
    }
}

impl Interface {
    fn read(endian: Endian, mut contents: Reader<'_>) -> Result<Self, DecodeError> {
        let link_type = LinkType(endian.u16(&mut contents)?);
        let _reserved = endian.u16(&mut contents)?;
        let snapshot_length = endian.u32(&mut contents)?;
        let mut interface = Self { link_type, snapshot_length, resolution: 1_000_000, offset: 0 };
        while !contents.rest().is_empty() {
            let code = endian.u16(&mut contents)?;
            let length = usize::from(endian.u16(&mut contents)?);
            let at = contents.at();
            let mut value = Reader::new(contents.take(length.next_multiple_of(4))?, at);
            match code {
                TIMESTAMP_RESOLUTION => interface.resolution = resolution(value.u8()?),
                TIMESTAMP_OFFSET => interface.offset = endian.u64(&mut value)?.cast_signed(),
                _ => {}
            }
        }
        Ok(interface)
    }

    /// A timestamp of this interface since the Unix epoch.
    fn time(&self, units: u64) -> Time {
        let nanos = u128::from(units)
            .saturating_mul(1_000_000_000)
            .checked_div(self.resolution)
            .and_then(|nanos| i128::try_from(nanos).ok())
            .unwrap_or(i128::MAX)
            .saturating_add(i128::from(self.offset).saturating_mul(1_000_000_000));
        Time::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

/// Units in a second: a power of ten, or of two if the upper bit is set.
fn resolution(exponent: u8) -> u128 {
    let base: u128 = if exponent & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(u32::from(exponent & 0x7f)).unwrap_or(u128::MAX)
}
