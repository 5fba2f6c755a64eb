//! From a captured packet to its IPv4 datagram or IS-IS PDU.

use std::net::Ipv4Addr;

use bugle_types::Mac;
use thiserror::Error;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::isis::NLPID_ISIS;
use crate::isis::frame::{ETHERTYPE_LARGE, osi_payload};
use crate::reader::Reader;

/// What kind of link a packet was captured on, by the number that capture files use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing machine's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet, with or without VLAN tags.
    pub const ETHERNET: Self = Self(1);
    /// PPP.
    pub const PPP: Self = Self(9);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// Raw IP.
    pub const RAW: Self = Self(101);
    /// Cisco's HDLC.
    pub const C_HDLC: Self = Self(104);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    /// Numbers that some systems write for [`Self::RAW`].
    const RAW_ALIASES: [Self; 2] = [Self(12), Self(14)];

    /// The link type in the lower half of a word.
    pub(super) const fn from_word(word: u32) -> Self {
        let [_, _, upper, lower] = word.to_be_bytes();
        Self(u16::from_be_bytes([upper, lower]))
    }
}

/// A whole IPv4 datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4<'a> {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// The octet of DSCP and ECN.
    pub tos: u8,
    /// The hops it may still take.
    pub ttl: u8,
    /// The number of the protocol of the payload.
    pub protocol: u8,
    /// What it carries, without link-layer padding.
    pub payload: &'a [u8],
}

/// An IS-IS PDU on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isis<'a> {
    /// Who sent it and for whom it is, on links that have addresses: source, then destination.
    pub addresses: Option<(Mac, Mac)>,
    /// The PDU, perhaps with link-layer padding behind it.
    pub payload: &'a [u8],
}

/// Why a captured packet gives no IPv4 datagram, or no IS-IS PDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// The link type is not known.
    #[error("unknown link type {0}")]
    UnknownLinkType(u16),
    /// Something other than IPv4.
    #[error("not IPv4")]
    NotIpv4,
    /// Something other than IS-IS.
    #[error("not IS-IS")]
    NotIsis,
    /// The packet ends within a header, or before the end of the datagram: the capture may have cut it short.
    #[error("cut short at byte {}: {}", .0.at, .0.kind)]
    Truncated(#[from] DecodeError),
    /// The IPv4 header's lengths contradict each other.
    #[error("bad IPv4 header: {header} bytes of {total}")]
    BadHeader {
        /// The length the header states for itself, in bytes.
        header: usize,
        /// The length it states for the datagram, in bytes.
        total: usize,
    },
    /// A fragment. Fragments are not put together.
    #[error("fragment at offset {offset} of datagram {identification:#06x}")]
    Fragment {
        /// Which datagram it belongs to.
        identification: u16,
        /// Where in it, in bytes.
        offset: u16,
    },
}

/// The IPv4 datagram in a packet.
pub(super) fn ipv4(link_type: LinkType, bytes: &[u8]) -> Result<Ipv4<'_>, Refusal> {
    let mut reader = Reader::new(bytes, 0);
    if is_ipv4(link_type, &mut reader)? { datagram(reader) } else { Err(Refusal::NotIpv4) }
}

/// The IS-IS PDU in a packet.
pub(super) fn isis(link_type: LinkType, bytes: &[u8]) -> Result<Isis<'_>, Refusal> {
    let mut reader = Reader::new(bytes, 0);
    let mut addresses = None;
    let payload = match link_type {
        LinkType::ETHERNET => {
            let destination = Mac(*reader.array()?);
            addresses = Some((Mac(*reader.array()?), destination));
            let ethertype = ethertype(&mut reader)?;
            osi(osi_payload(ethertype, 12, reader))?
        }
        LinkType::LINUX_SLL => {
            reader.take(14)?;
            sll(ethertype(&mut reader)?, reader)?
        }
        LinkType::LINUX_SLL2 => {
            let protocol = reader.u16()?;
            reader.take(18)?;
            sll(protocol, reader)?
        }
        LinkType::C_HDLC => {
            reader.take(2)?;
            if reader.u16()? != C_HDLC_OSI {
                return Err(Refusal::NotIsis);
            }
            // The octet of padding before OSI protocols is not always there, and is filled with anything.
            match reader.rest() {
                pdu @ [NLPID_ISIS, ..] => pdu,
                padded => padded.get(1..).unwrap_or_default(),
            }
        }
        LinkType::PPP | LinkType::PPP_HDLC if ppp_protocol(&mut reader)? == PPP_OSI => {
            reader.rest()
        }
        LinkType(_) => return Err(Refusal::NotIsis),
    };
    match payload {
        [NLPID_ISIS, ..] => Ok(Isis { addresses, payload }),
        _ => Err(Refusal::NotIsis),
    }
}

/// The payload of a "cooked" packet, which names 802.2 frames by a protocol of their own.
fn sll(protocol: u16, reader: Reader<'_>) -> Result<&[u8], Refusal> {
    // Of the length that a frame had nothing is left.
    let ethertype = if protocol == SLL_802_2 { ETHERTYPE_LARGE } else { protocol };
    osi(osi_payload(ethertype, 0, reader))
}

/// Tells another protocol from a frame that is cut short.
fn osi(payload: Result<&[u8], DecodeError>) -> Result<&[u8], Refusal> {
    use DecodeErrorKind::{BadEthertype, BadLlc};
    payload.map_err(|error| {
        let is_other = matches!(error.kind, BadEthertype(_) | BadLlc(..));
        if is_other { Refusal::NotIsis } else { Refusal::Truncated(error) }
    })
}

const SLL_802_2: u16 = 0x0004;
const C_HDLC_OSI: u16 = 0xfefe;
const PPP_OSI: u16 = 0x0023;
const ETHERTYPE_IPV4: u16 = 0x0800;
/// The Ethertypes of VLAN tags: 802.1Q, 802.1ad, and what was used before it.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const PPP_IPV4: u16 = 0x0021;
const AF_INET: u32 = 2;

/// Reads past the link layer's header; says whether IPv4 follows.
fn is_ipv4(link_type: LinkType, reader: &mut Reader<'_>) -> Result<bool, Refusal> {
    match link_type {
        LinkType::ETHERNET => {
            reader.take(12)?;
            Ok(ethertype(reader)? == ETHERTYPE_IPV4)
        }
        LinkType::LINUX_SLL => {
            reader.take(14)?;
            Ok(ethertype(reader)? == ETHERTYPE_IPV4)
        }
        LinkType::LINUX_SLL2 => {
            let protocol = reader.u16()?;
            reader.take(18)?;
            Ok(protocol == ETHERTYPE_IPV4)
        }
        LinkType::NULL => {
            let family = reader.u32()?;
            Ok(family == AF_INET || family.swap_bytes() == AF_INET)
        }
        LinkType::LOOP => Ok(reader.u32()? == AF_INET),
        LinkType::C_HDLC => {
            reader.take(2)?;
            Ok(reader.u16()? == ETHERTYPE_IPV4)
        }
        LinkType::PPP | LinkType::PPP_HDLC => Ok(ppp_protocol(reader)? == PPP_IPV4),
        LinkType::RAW | LinkType::IPV4 => Ok(true),
        raw if LinkType::RAW_ALIASES.contains(&raw) => Ok(true),
        LinkType(unknown) => Err(Refusal::UnknownLinkType(unknown)),
    }
}

/// The Ethertype behind any VLAN tags.
fn ethertype(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    loop {
        let ethertype = reader.u16()?;
        if !VLAN_TAGS.contains(&ethertype) {
            return Ok(ethertype);
        }
        let _tag = reader.u16()?;
    }
}

/// PPP's protocol, behind the address and control bytes that may have been left out; one byte if it is odd (RFC 1661).
fn ppp_protocol(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    if let [0xff, 0x03, ..] = reader.rest() {
        reader.take(2)?;
    }
    let first = reader.u8()?;
    if first & 1 == 1 {
        return Ok(u16::from(first));
    }
    Ok(u16::from_be_bytes([first, reader.u8()?]))
}

/// The datagram at the cursor (RFC 791).
fn datagram(reader: Reader<'_>) -> Result<Ipv4<'_>, Refusal> {
    let mut header = reader;
    let version = header.u8()?;
    let header_length = usize::from(version & 0x0f).saturating_mul(4);
    if version >> 4 != 4 {
        return Err(Refusal::NotIpv4);
    }
    let tos = header.u8()?;
    let total = usize::from(header.u16()?);
    let identification = header.u16()?;
    let fragment = header.u16()?;
    let ttl = header.u8()?;
    let protocol = header.u8()?;
    let _checksum = header.u16()?;
    let (source, destination) = (header.ipv4()?, header.ipv4()?);
    let payload_length = total
        .checked_sub(header_length)
        .filter(|_| header_length >= 20)
        .ok_or(Refusal::BadHeader { header: header_length, total })?;
    // More fragments follow, or others come before.
    if fragment & 0x3fff != 0 {
        return Err(Refusal::Fragment { identification, offset: (fragment & 0x1fff) << 3 });
    }
    let mut whole = reader;
    whole.take(header_length)?;
    Ok(Ipv4 { source, destination, tos, ttl, protocol, payload: whole.take(payload_length)? })
}
