//! PDUs in Ethernet frames: behind 802.2 logical link control, with a length or with the type for frames that no length
//! can state.

use bugle_types::Mac;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// A PDU in its frame.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                  Destination  (six octets)                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                    Source  (six octets)                       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |    Length, or 0x8870          |  DSAP  0xfe   |  SSAP  0xfe   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | Control 0x03  |  PDU  ...
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whom it is for.
    pub destination: Mac,
    /// Who sent it.
    pub source: Mac,
    /// The PDU, perhaps with padding behind it, which [`Pdu::parse`](super::Pdu::parse) leaves off.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Decodes a frame without VLAN tag and check sequence, as a packet socket gives it.
    ///
    /// # Errors
    /// When it is not the frame of an OSI network protocol, or not a whole one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let destination = Mac(*reader.array()?);
        let source = Mac(*reader.array()?);
        let at = reader.at();
        let ethertype = reader.u16()?;
        Ok(Self { destination, source, payload: osi_payload(ethertype, at, reader)? })
    }
}

/// The frame of a PDU: 802.3 if its length can be stated, else of type 0x8870. Frames shorter than Ethernet's minimum are for
/// the interface to pad.
#[must_use]
pub fn emit_frame(destination: Mac, source: Mac, pdu: &[u8]) -> Vec<u8> {
    let length = pdu.len().saturating_add(OSI_LLC.len());
    let ethertype = u16::try_from(length)
        .ok()
        .filter(|&length| length <= MAX_802_3_LENGTH)
        .unwrap_or(ETHERTYPE_LARGE);
    let mut frame = Vec::with_capacity(length.saturating_add(14));
    frame.extend_from_slice(&destination.0);
    frame.extend_from_slice(&source.0);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(&OSI_LLC);
    frame.extend_from_slice(pdu);
    frame
}

/// The largest length of an 802.3 frame's payload. What is above is an Ethertype, or nothing at all up to 1535.
pub const MAX_802_3_LENGTH: u16 = 1500;
/// The Ethertype of 802.2 frames that are longer (draft-ietf-isis-ext-eth; IEEE 802.1AC annex C).
pub const ETHERTYPE_LARGE: u16 = 0x8870;
/// Logical link control of OSI network protocols: source and destination service access point, unnumbered information.
pub const OSI_LLC: [u8; 3] = [0xfe, 0xfe, 0x03];

/// What follows a length or type field, at the offset `at`, behind the logical link control of OSI network protocols.
pub(crate) fn osi_payload(
    ethertype: u16,
    at: usize,
    mut reader: Reader<'_>,
) -> Result<&[u8], DecodeError> {
    let mut llc = match ethertype {
        ETHERTYPE_LARGE => reader,
        length if length <= MAX_802_3_LENGTH => {
            let start = reader.at();
            Reader::new(reader.take(usize::from(length))?, start)
        }
        _ => return Err(DecodeErrorKind::BadEthertype(ethertype).at(at)),
    };
    let llc_at = llc.at();
    match *llc.array()? {
        OSI_LLC => Ok(llc.rest()),
        [dsap, ssap, control] => Err(DecodeErrorKind::BadLlc(dsap, ssap, control).at(llc_at)),
    }
}
