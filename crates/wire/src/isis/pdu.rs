//! PDUs (ISO 10589 section 9).

use std::fmt;

use super::header::{self, PduType};
use super::lsp::{Lsp, LspEntry};
use super::tlv::{TlvCode, Tlvs};
use super::tlv_body::TlvBody;
use super::{CircuitType, Level, LspId, NodeId, SystemId};
use crate::error::DecodeError;
use crate::reader::Reader;

/// A decoded PDU, borrowing the bytes it came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pdu<'a> {
    /// What it says.
    pub body: PduBody<'a>,
    /// The number of area addresses the sender's area may have; zero stands for three.
    pub max_areas: u8,
    /// The whole PDU as it came, which is what a digest covers.
    pub bytes: &'a [u8],
}

impl<'a> Pdu<'a> {
    /// Decodes the payload of a frame. What follows the PDU is link-layer padding, and ignored.
    ///
    /// The TLVs of Hellos and sequence numbers PDUs are known to fit from then on; those of an LSP are not looked at before
    /// [`Lsp::tlvs`]. Neither are checksums nor digests.
    ///
    /// # Errors
    /// When the PDU does not have the structure of its type.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (header::Common { pdu_type, max_areas, bytes }, reader) = header::read(bytes)?;
        let body = match pdu_type {
            PduType::LanHello(level) => LanHello::read(level, reader).map(PduBody::LanHello),
            PduType::P2pHello => P2pHello::read(reader).map(PduBody::P2pHello),
            PduType::Lsp(level) => Lsp::read(level, reader, bytes).map(PduBody::Lsp),
            PduType::Csnp(level) => Csnp::read(level, reader).map(PduBody::Csnp),
            PduType::Psnp(level) => Psnp::read(level, reader).map(PduBody::Psnp),
        }?;
        Ok(Self { body, max_areas, bytes })
    }
}

impl fmt::Debug for Pdu<'_> {
    /// Leaves the bytes out, among which a password may be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdu").field("body", &self.body).field("max_areas", &self.max_areas).finish()
    }
}

/// What a PDU says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PduBody<'a> {
    /// Types 15 and 16.
    LanHello(LanHello<'a>),
    /// Type 17.
    P2pHello(P2pHello<'a>),
    /// Types 18 and 20.
    Lsp(Lsp<'a>),
    /// Types 24 and 25.
    Csnp(Csnp<'a>),
    /// Types 26 and 27.
    Psnp(Psnp<'a>),
}

impl PduBody<'_> {
    /// The PDU's type.
    #[must_use]
    pub const fn pdu_type(&self) -> PduType {
        match self {
            Self::LanHello(hello) => PduType::LanHello(hello.level),
            Self::P2pHello(_) => PduType::P2pHello,
            Self::Lsp(lsp) => PduType::Lsp(lsp.header().level),
            Self::Csnp(csnp) => PduType::Csnp(csnp.level),
            Self::Psnp(psnp) => PduType::Psnp(psnp.level),
        }
    }
}

/// Finds neighbours on a LAN and keeps them (ISO 10589 sections 9.5 and 9.6).
///
/// ```text
///                 +-+-+-+-+-+-+-+-+
///                 | Reserved  |Typ|
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                    Source ID  (six octets)                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         Holding Time          |          PDU Length           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |R|  Priority   |             LAN ID  (seven octets)            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanHello<'a> {
    /// The level it belongs to.
    pub level: Level,
    /// What the sender says of itself and its circuit.
    pub fields: LanHelloFields,
    /// The rest.
    pub tlvs: Tlvs<'a>,
}

/// The part of a Hello on a LAN that has a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanHelloFields {
    /// The levels the sender uses the circuit for.
    pub circuit_type: CircuitType,
    /// The sender.
    pub source: SystemId,
    /// Seconds of silence after which the sender is to be given up.
    pub holding_time: u16,
    /// The sender's rank in the election of the designated intermediate system, at most 127.
    pub priority: u8,
    /// The pseudonode of the LAN as the sender sees it.
    pub lan_id: NodeId,
}

impl<'a> LanHello<'a> {
    fn read(level: Level, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let circuit_type = CircuitType::from_octet(reader.u8()?);
        let source = SystemId(*reader.array()?);
        let holding_time = reader.u16()?;
        let _length = reader.u16()?;
        let priority = reader.u8()? & MAX_PRIORITY;
        let lan_id = NodeId::read(&mut reader)?;
        let fields = LanHelloFields { circuit_type, source, holding_time, priority, lan_id };
        Ok(Self { level, fields, tlvs: Tlvs::parse(reader)? })
    }
}

/// The largest priority; the bit above is reserved.
pub(super) const MAX_PRIORITY: u8 = 0x7f;

/// Finds the neighbour on a point-to-point circuit and keeps it (ISO 10589 section 9.7).
///
/// ```text
///                 +-+-+-+-+-+-+-+-+
///                 | Reserved  |Typ|
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                    Source ID  (six octets)                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         Holding Time          |          PDU Length           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | Local Circuit |
/// +-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P2pHello<'a> {
    /// What the sender says of itself and its circuit.
    pub fields: P2pHelloFields,
    /// The rest.
    pub tlvs: Tlvs<'a>,
}

/// The part of a Hello on a point-to-point circuit that has a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P2pHelloFields {
    /// The levels the sender uses the circuit for.
    pub circuit_type: CircuitType,
    /// The sender.
    pub source: SystemId,
    /// Seconds of silence after which the sender is to be given up.
    pub holding_time: u16,
    /// The sender's number for the circuit.
    pub circuit_id: u8,
}

impl<'a> P2pHello<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let circuit_type = CircuitType::from_octet(reader.u8()?);
        let source = SystemId(*reader.array()?);
        let holding_time = reader.u16()?;
        let _length = reader.u16()?;
        let circuit_id = reader.u8()?;
        let fields = P2pHelloFields { circuit_type, source, holding_time, circuit_id };
        Ok(Self { fields, tlvs: Tlvs::parse(reader)? })
    }
}

/// Lists every LSP of a range of the database (ISO 10589 sections 9.10 and 9.11).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          PDU Length           |  Source ID  (seven octets)    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                  Start LSP ID  (eight octets)                 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                   End LSP ID  (eight octets)                  |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Csnp<'a> {
    /// The level of the database.
    pub level: Level,
    /// The sender; the pseudonode number is zero.
    pub source: NodeId,
    /// The first LSP ID of the range.
    pub start: LspId,
    /// The last LSP ID of the range.
    pub end: LspId,
    /// The rest: the entries, and authentication.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Csnp<'a> {
    fn read(level: Level, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let _length = reader.u16()?;
        Ok(Self {
            level,
            source: NodeId::read(&mut reader)?,
            start: LspId::read(&mut reader)?,
            end: LspId::read(&mut reader)?,
            tlvs: read_listing(reader)?,
        })
    }

    /// The LSPs listed, in the order of the list.
    pub fn entries(&self) -> impl Iterator<Item = LspEntry> + use<'a> {
        entries(self.tlvs)
    }
}

/// Lists some LSPs, to acknowledge or to request them (ISO 10589 sections 9.12 and 9.13).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          PDU Length           |  Source ID  (seven octets)    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Psnp<'a> {
    /// The level of the database.
    pub level: Level,
    /// The sender; the pseudonode number is zero.
    pub source: NodeId,
    /// The rest: the entries, and authentication.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Psnp<'a> {
    fn read(level: Level, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let _length = reader.u16()?;
        Ok(Self { level, source: NodeId::read(&mut reader)?, tlvs: read_listing(reader)? })
    }

    /// The LSPs listed, in the order of the list.
    pub fn entries(&self) -> impl Iterator<Item = LspEntry> + use<'a> {
        entries(self.tlvs)
    }
}

/// The TLVs of a sequence numbers PDU, whose LSP entries are known to be whole: a list cut short would have LSPs flooded
/// that the sender has.
fn read_listing(reader: Reader<'_>) -> Result<Tlvs<'_>, DecodeError> {
    let tlvs = Tlvs::parse(reader)?;
    tlvs.of(TlvCode::LSP_ENTRIES).try_for_each(|tlv| tlv.body().map(drop))?;
    Ok(tlvs)
}

fn entries(tlvs: Tlvs<'_>) -> impl Iterator<Item = LspEntry> {
    tlvs.of(TlvCode::LSP_ENTRIES)
        .filter_map(
            |tlv| if let Ok(TlvBody::LspEntries(list)) = tlv.body() { Some(list) } else { None },
        )
        .flatten()
}
