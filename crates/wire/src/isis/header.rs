//! The eight octets that begin every PDU (ISO 10589 section 9.4), and the PDU length.

use super::consts::{
    CSNP_HEADER, LAN_HELLO_HEADER, LSP_HEADER, NLPID_ISIS, P2P_HELLO_HEADER, PSNP_HEADER,
};
use super::id::Level;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// The type of a PDU, and the level it belongs to where it has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PduType {
    /// Finds neighbours on a LAN and keeps them.
    LanHello(Level),
    /// Finds the neighbour on a point-to-point circuit and keeps it.
    P2pHello,
    /// Describes a node.
    Lsp(Level),
    /// Lists a range of the database, complete.
    Csnp(Level),
    /// Lists some LSPs, to acknowledge or to request them.
    Psnp(Level),
}

impl PduType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::LanHello(Level::L1),
        Self::LanHello(Level::L2),
        Self::P2pHello,
        Self::Lsp(Level::L1),
        Self::Lsp(Level::L2),
        Self::Csnp(Level::L1),
        Self::Csnp(Level::L2),
        Self::Psnp(Level::L1),
        Self::Psnp(Level::L2),
    ];

    /// The type of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|pdu_type| pdu_type.number() == number)
    }

    /// The type's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::LanHello(Level::L1) => 15,
            Self::LanHello(Level::L2) => 16,
            Self::P2pHello => 17,
            Self::Lsp(Level::L1) => 18,
            Self::Lsp(Level::L2) => 20,
            Self::Csnp(Level::L1) => 24,
            Self::Csnp(Level::L2) => 25,
            Self::Psnp(Level::L1) => 26,
            Self::Psnp(Level::L2) => 27,
        }
    }

    /// The type's name, for people and for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LanHello(Level::L1) => "l1-lan-hello",
            Self::LanHello(Level::L2) => "l2-lan-hello",
            Self::P2pHello => "p2p-hello",
            Self::Lsp(Level::L1) => "l1-lsp",
            Self::Lsp(Level::L2) => "l2-lsp",
            Self::Csnp(Level::L1) => "l1-csnp",
            Self::Csnp(Level::L2) => "l2-csnp",
            Self::Psnp(Level::L1) => "l1-psnp",
            Self::Psnp(Level::L2) => "l2-psnp",
        }
    }

    /// The size of the fixed header, in bytes.
    #[must_use]
    pub const fn header_length(self) -> usize {
        match self {
            Self::LanHello(_) => LAN_HELLO_HEADER,
            Self::P2pHello => P2P_HELLO_HEADER,
            Self::Lsp(_) => LSP_HEADER,
            Self::Csnp(_) => CSNP_HEADER,
            Self::Psnp(_) => PSNP_HEADER,
        }
    }

    /// The offset of the PDU length.
    pub(super) const fn length_at(self) -> usize {
        match self {
            Self::LanHello(_) | Self::P2pHello => 17,
            Self::Lsp(_) | Self::Csnp(_) | Self::Psnp(_) => COMMON_HEADER,
        }
    }
}

/// What all PDUs begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'a> {
    pub(super) pdu_type: PduType,
    pub(super) max_areas: u8,
    /// The whole PDU, without what follows it.
    pub(super) bytes: &'a [u8],
}

/// Reads what all PDUs begin with; returns with it a reader of what follows, to the end of the PDU.
pub(super) fn read(bytes: &[u8]) -> Result<(Common<'_>, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(bytes, 0);
    let &[
        discriminator,
        header_length,
        version,
        id_length,
        type_octet,
        pdu_version,
        _reserved,
        max_areas,
    ] = reader.array::<COMMON_HEADER>()?;
    if discriminator != NLPID_ISIS {
        return Err(DecodeErrorKind::NotIsis(discriminator).at(0));
    }
    for (at, version) in [(2, version), (5, pdu_version)] {
        if version != VERSION {
            return Err(DecodeErrorKind::BadIsisVersion(version).at(at));
        }
    }
    // Zero stands for six.
    if !matches!(id_length, 0 | 6) {
        return Err(DecodeErrorKind::BadIdLength(id_length).at(3));
    }
    let number = type_octet & TYPE_MASK;
    let pdu_type = PduType::from_number(number).ok_or_else(|| unknown_type(number))?;
    let expected = u8::try_from(pdu_type.header_length()).unwrap_or(u8::MAX);
    if header_length != expected {
        return Err(DecodeErrorKind::BadHeaderLength { length: header_length, expected }.at(1));
    }
    let length_at = pdu_type.length_at();
    let mut ahead = Reader::new(bytes, 0);
    ahead.take(length_at)?;
    let length = usize::from(ahead.u16()?);
    let pdu = bytes
        .get(..length)
        .filter(|_| length >= pdu_type.header_length())
        .ok_or_else(|| DecodeErrorKind::BadLength { length, have: bytes.len() }.at(length_at))?;
    let mut rest = Reader::new(pdu, 0);
    rest.take(COMMON_HEADER)?;
    Ok((Common { pdu_type, max_areas, bytes: pdu }, rest))
}

/// The refusal of a PDU of this type.
pub(super) const fn unknown_type(number: u8) -> DecodeError {
    DecodeErrorKind::UnknownPacketType(number).at(4)
}

/// Begins a PDU of a type; its length is still zero.
pub(super) fn begin(pdu_type: PduType) -> Vec<u8> {
    let header_length = u8::try_from(pdu_type.header_length()).unwrap_or(u8::MAX);
    let mut pdu = Vec::with_capacity(1500);
    pdu.extend_from_slice(&[
        NLPID_ISIS,
        header_length,
        VERSION,
        0,
        pdu_type.number(),
        VERSION,
        0,
        0,
    ]);
    pdu
}

/// The version of the protocol, which stands in each PDU twice.
const VERSION: u8 = 1;
/// The size of what all PDUs begin with, in bytes.
const COMMON_HEADER: usize = 8;
/// The bits of the fifth octet that are the type; the others are reserved.
const TYPE_MASK: u8 = 0x1f;
