//! Finished PDUs, from values and the TLVs of a [`TlvBuilder`](super::TlvBuilder).
//!
//! Each function fills in the PDU's length and, of an LSP, its checksum. With a key it puts an authentication TLV before the
//! others and computes the digest; what room that takes, [`Key::tlv_length`] says.
//!
//! No PDU outgrows [`MAX_PDU`]: TLVs that would not fit are left out. Keeping to the circuit's MTU is the caller's part.

use super::auth::{self, Key};
use super::header::{self, PduType};
use super::lsp::{CHECKSUM_AT, LSP_ID_AT, LspEntry};
use super::pdu::{LanHelloFields, MAX_PRIORITY, P2pHelloFields};
use super::{Level, LspFlags, LspId, MAX_PDU, NodeId, SequenceNumber};
use crate::checksum;
use crate::list::Element;
use crate::writer::patch;

/// A Hello for a LAN.
#[must_use]
pub fn emit_lan_hello(
    level: Level,
    hello: &LanHelloFields,
    tlvs: &[u8],
    key: Option<&Key>,
) -> Vec<u8> {
    let pdu_type = PduType::LanHello(level);
    let mut pdu = header::begin(pdu_type);
    pdu.push(hello.circuit_type.octet());
    pdu.extend_from_slice(&hello.source.0);
    pdu.extend_from_slice(&hello.holding_time.to_be_bytes());
    pdu.extend_from_slice(&[0, 0, hello.priority.min(MAX_PRIORITY)]);
    hello.lan_id.encode(&mut pdu);
    finish(pdu_type, pdu, tlvs, key)
}

/// A Hello for a point-to-point circuit.
#[must_use]
pub fn emit_p2p_hello(hello: &P2pHelloFields, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
    let mut pdu = header::begin(PduType::P2pHello);
    pdu.push(hello.circuit_type.octet());
    pdu.extend_from_slice(&hello.source.0);
    pdu.extend_from_slice(&hello.holding_time.to_be_bytes());
    pdu.extend_from_slice(&[0, 0, hello.circuit_id]);
    finish(PduType::P2pHello, pdu, tlvs, key)
}

/// The part of an LSP that its originator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LspFields {
    /// Seconds before it expires; zero in a purge.
    pub lifetime: u16,
    /// Which LSP.
    pub id: LspId,
    /// Which instance of it.
    pub sequence: SequenceNumber,
    /// What kind of system it describes.
    pub flags: LspFlags,
}

/// An LSP; a purge, if its lifetime is zero. Nobody needs a purge's checksum, but it is right, too.
#[must_use]
pub fn emit_lsp(level: Level, lsp: &LspFields, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
    let pdu_type = PduType::Lsp(level);
    let mut pdu = header::begin(pdu_type);
    pdu.extend_from_slice(&[0; 2]);
    let &LspFields { lifetime, id, sequence, flags } = lsp;
    LspEntry { lifetime, id, sequence, checksum: 0 }.encode(&mut pdu);
    pdu.push(flags.0);
    let mut pdu = finish(pdu_type, pdu, tlvs, key);
    let covered = pdu.get(LSP_ID_AT..).unwrap_or_default();
    let checksum = checksum::fletcher(covered, CHECKSUM_AT.saturating_sub(LSP_ID_AT));
    patch(&mut pdu, CHECKSUM_AT, &checksum.to_be_bytes());
    pdu
}

/// A Complete Sequence Numbers PDU; its entries are among the TLVs.
#[must_use]
pub fn emit_csnp(
    level: Level,
    source: NodeId,
    start: LspId,
    end: LspId,
    tlvs: &[u8],
    key: Option<&Key>,
) -> Vec<u8> {
    let pdu_type = PduType::Csnp(level);
    let mut pdu = header::begin(pdu_type);
    pdu.extend_from_slice(&[0; 2]);
    source.encode(&mut pdu);
    pdu.extend_from_slice(&start.octets());
    pdu.extend_from_slice(&end.octets());
    finish(pdu_type, pdu, tlvs, key)
}

/// A Partial Sequence Numbers PDU; its entries are among the TLVs.
#[must_use]
pub fn emit_psnp(level: Level, source: NodeId, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
    let pdu_type = PduType::Psnp(level);
    let mut pdu = header::begin(pdu_type);
    pdu.extend_from_slice(&[0; 2]);
    source.encode(&mut pdu);
    finish(pdu_type, pdu, tlvs, key)
}

/// Appends the TLVs, fills in the length and computes the digest.
fn finish(pdu_type: PduType, mut pdu: Vec<u8>, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
    if let Some(key) = key {
        key.encode(&mut pdu);
    }
    pdu.extend_from_slice(whole_tlvs(tlvs, MAX_PDU.saturating_sub(pdu.len())));
    let length = u16::try_from(pdu.len()).unwrap_or(u16::MAX);
    patch(&mut pdu, pdu_type.length_at(), &length.to_be_bytes());
    if let Some(key) = key {
        auth::sign(&mut pdu, pdu_type, key);
    }
    pdu
}

/// As many TLVs as `room` bytes hold.
fn whole_tlvs(tlvs: &[u8], room: usize) -> &[u8] {
    if tlvs.len() <= room {
        return tlvs;
    }
    let mut end = 0_usize;
    while let Some([_, length, ..]) = tlvs.get(end..) {
        let next = end.saturating_add(2).saturating_add(usize::from(*length));
        if next > room {
            break;
        }
        end = next;
    }
    tlvs.get(..end).unwrap_or_default()
}
