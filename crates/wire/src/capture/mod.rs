//! Reading capture files: pcap and pcapng, of either byte order, down to the IPv4 datagrams and IS-IS PDUs in them.
//!
//! | Module | Holds |
//! |---|---|
//! | `pcap` | the classic format, with times in microseconds or nanoseconds |
//! | `pcapng` | the format of blocks and interfaces |
//! | [`link`] | what lies between a captured packet and its IPv4 datagram or IS-IS PDU |
//!
//! ```
//! # fn show(file: &[u8]) -> Result<(), bugle_wire::capture::CaptureError> {
//! for packet in bugle_wire::capture::packets(file)? {
//!     let packet = packet?;
//!     match packet.ipv4() {
//!         Ok(datagram) => println!("{}: from {}", packet.timestamp, datagram.source),
//!         Err(refusal) => println!("{}: {refusal}", packet.timestamp),
//!     }
//! }
//! # Ok(())
//! # }
//! # assert!(show(b"not a capture").is_err());
//! ```

use bugle_types::Time;
use thiserror::Error;

use crate::error::DecodeError;
use crate::reader::Reader;

pub mod link;
mod pcap;
mod pcapng;

pub use link::{Ipv4, Isis, LinkType, Refusal};

/// One captured packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// When it was captured, since the Unix epoch.
    pub timestamp: Time,
    /// What kind of link it was captured on, and so how its bytes begin.
    pub link_type: LinkType,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Its length in bytes on the link; more than was captured if the capture cuts packets short.
    pub original_length: u32,
}

impl<'a> Packet<'a> {
    /// The IPv4 datagram in it.
    ///
    /// # Errors
    /// When there is none, or not a whole one.
    pub fn ipv4(&self) -> Result<Ipv4<'a>, Refusal> {
        link::ipv4(self.link_type, self.bytes)
    }

    /// The IS-IS PDU in it.
    ///
    /// # Errors
    /// When there is none, or not a whole one.
    pub fn isis(&self) -> Result<Isis<'a>, Refusal> {
        link::isis(self.link_type, self.bytes)
    }
}

/// A file that cannot be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CaptureError {
    /// The file is of another format.
    #[error("neither a pcap nor a pcapng file")]
    UnknownFormat,
    /// The file ends inside something.
    #[error("at byte {}: the file is cut short: {}", .0.at, .0.kind)]
    Truncated(#[from] DecodeError),
    /// A block of a pcapng file has a length that cannot be.
    #[error("at byte {at}: a block of {length} bytes cannot be")]
    BadBlockLength {
        /// The offset of the block in the file.
        at: usize,
        /// The length it states.
        length: u32,
    },
    /// A packet of a pcapng file belongs to an interface that the file does not describe.
    #[error("at byte {at}: interface {interface} is not described")]
    UnknownInterface {
        /// The offset of the packet's block in the file.
        at: usize,
        /// The interface's number.
        interface: u32,
    },
}

/// The packets of a capture file.
///
/// # Errors
/// When it is no capture file, or ends within its header.
pub fn packets(file: &[u8]) -> Result<Packets<'_>, CaptureError> {
    let format = match file.first_chunk() {
        Some(&pcapng::SECTION_HEADER) => Format::Pcapng(pcapng::Blocks::new(file)),
        _ => Format::Pcap(pcap::Records::new(file)?),
    };
    Ok(Packets { format, broken: false })
}

/// The packets of a capture file in order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    format: Format<'a>,
    broken: bool,
}

#[derive(Clone, Debug)]
enum Format<'a> {
    Pcap(pcap::Records<'a>),
    Pcapng(pcapng::Blocks<'a>),
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let packet = match &mut self.format {
            Format::Pcap(records) => records.next_packet(),
            Format::Pcapng(blocks) => blocks.next_packet(),
        };
        self.broken = packet.is_err();
        packet.transpose()
    }
}

/// The byte order of the machine that wrote a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Endian {
    Big,
    Little,
}

impl Endian {
    fn u16(self, reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
        let bytes = *reader.array()?;
        Ok(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u32(self, reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
        let bytes = *reader.array()?;
        Ok(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }

    fn u64(self, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
        let bytes = *reader.array()?;
        Ok(match self {
            Self::Big => u64::from_be_bytes(bytes),
            Self::Little => u64::from_le_bytes(bytes),
        })
    }
}

/// A length in bytes as the machine counts them.
fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
