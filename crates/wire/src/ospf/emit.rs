//! Finished packets, from values and iterators.
//!
//! Each function fills in the packet's length, and its checksum where the header's authentication uses one. A digest is not
//! part of the packet: who authenticates cryptographically computes it over the finished packet and appends it.
//!
//! No packet outgrows [`MAX_PACKET`]: elements that would not fit are left out. Keeping to the
//! interface's MTU is the caller's part.

use bugle_types::RouterId;

use super::packet::{AUTHENTICATION_AT, CHECKSUM_AT, LENGTH_AT, VERSION};
use super::{
    DdFlags, Element, Header, HelloFields, LSA_HEADER, LsaHeader, LsaKey, MAX_PACKET, Options,
    PACKET_HEADER, PacketType,
};
use crate::checksum;
use crate::writer::patch;

/// A Hello packet.
#[must_use]
pub fn emit_hello(
    header: &Header,
    hello: &HelloFields,
    neighbors: impl IntoIterator<Item = RouterId>,
) -> Vec<u8> {
    let neighbors = neighbors.into_iter();
    let mut packet =
        begin(header, PacketType::Hello, room::<RouterId>(&neighbors).saturating_add(20));
    packet.extend_from_slice(&hello.mask.octets());
    packet.extend_from_slice(&hello.hello_interval.to_be_bytes());
    packet.extend_from_slice(&[hello.options.0, hello.priority]);
    packet.extend_from_slice(&hello.dead_interval.to_be_bytes());
    packet.extend_from_slice(&hello.dr.octets());
    packet.extend_from_slice(&hello.bdr.octets());
    extend(&mut packet, neighbors);
    finish(header, packet)
}

/// A Database Description packet.
#[must_use]
pub fn emit_database_description(
    header: &Header,
    mtu: u16,
    options: Options,
    flags: DdFlags,
    sequence: u32,
    headers: impl IntoIterator<Item = LsaHeader>,
) -> Vec<u8> {
    let headers = headers.into_iter();
    let room = room::<LsaHeader>(&headers).saturating_add(8);
    let mut packet = begin(header, PacketType::DatabaseDescription, room);
    packet.extend_from_slice(&mtu.to_be_bytes());
    packet.extend_from_slice(&[options.0, flags.0]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    extend(&mut packet, headers);
    finish(header, packet)
}

/// A Link State Request packet.
#[must_use]
pub fn emit_link_state_request(header: &Header, keys: impl IntoIterator<Item = LsaKey>) -> Vec<u8> {
    let keys = keys.into_iter();
    let mut packet = begin(header, PacketType::LinkStateRequest, room::<LsaKey>(&keys));
    extend(&mut packet, keys);
    finish(header, packet)
}

/// A Link State Acknowledgment packet.
#[must_use]
pub fn emit_link_state_ack(
    header: &Header,
    headers: impl IntoIterator<Item = LsaHeader>,
) -> Vec<u8> {
    let headers = headers.into_iter();
    let mut packet = begin(header, PacketType::LinkStateAck, room::<LsaHeader>(&headers));
    extend(&mut packet, headers);
    finish(header, packet)
}

/// Builds a Link State Update packet, one LSA at a time.
#[derive(Clone, Debug)]
pub struct UpdateBuilder {
    header: Header,
    packet: Vec<u8>,
    count: u32,
}

impl UpdateBuilder {
    /// A packet with no LSA yet.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self::with_room(header, 0)
    }

    /// The same with room set aside for so many octets of LSAs.
    #[must_use]
    pub fn with_room(header: &Header, lsas: usize) -> Self {
        let mut packet = begin(header, PacketType::LinkStateUpdate, lsas.saturating_add(4));
        packet.extend_from_slice(&[0; 4]);
        Self { header: *header, packet, count: 0 }
    }

    /// Appends a copy of `lsa`, a whole LSA's bytes, with its age set to `age`. Returns whether it was taken: not if it is
    /// no LSA or the packet would outgrow [`MAX_PACKET`].
    pub fn push(&mut self, lsa: &[u8], age: u16) -> bool {
        let fits = self.packet.len().saturating_add(lsa.len()) <= MAX_PACKET;
        let Some((_, rest)) = lsa.split_first_chunk::<2>().filter(|_| fits) else {
            return false;
        };
        if lsa.len() < LSA_HEADER {
            return false;
        }
        self.packet.extend_from_slice(&age.to_be_bytes());
        self.packet.extend_from_slice(rest);
        self.count = self.count.saturating_add(1);
        true
    }

    /// The packet's length so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packet.len()
    }

    /// The number of LSAs so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether there is no LSA yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The finished packet.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        patch(&mut self.packet, PACKET_HEADER, &self.count.to_be_bytes());
        finish(&self.header, self.packet)
    }
}

/// How many octets some elements take, as far as is known before they come.
fn room<T: Element>(elements: &impl Iterator<Item = T>) -> usize {
    elements.size_hint().0.saturating_mul(T::SIZE)
}

/// A packet's header, its length and checksum still zero, with room for a body of so many octets: many packets are far shorter than
/// the longest, and a flood keeps many of them on their way.
fn begin(header: &Header, packet_type: PacketType, body: usize) -> Vec<u8> {
    let (auth_type, authentication) = header.auth.to_wire();
    let mut packet = Vec::with_capacity(body.saturating_add(PACKET_HEADER).min(MAX_PACKET));
    packet.extend_from_slice(&[VERSION, packet_type.number(), 0, 0]);
    packet.extend_from_slice(&header.router_id.0.to_be_bytes());
    packet.extend_from_slice(&header.area.0.to_be_bytes());
    packet.extend_from_slice(&[0; 2]);
    packet.extend_from_slice(&auth_type.to_be_bytes());
    packet.extend_from_slice(&authentication);
    packet
}

/// Appends as many elements as fit a packet.
fn extend<T: Element>(packet: &mut Vec<u8>, elements: impl IntoIterator<Item = T>) {
    let room = MAX_PACKET.saturating_sub(packet.len()).checked_div(T::SIZE).unwrap_or(0);
    elements.into_iter().take(room).for_each(|element| element.encode(packet));
}

/// Fills in the length, then the checksum.
fn finish(header: &Header, mut packet: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    patch(&mut packet, LENGTH_AT, &length.to_be_bytes());
    if header.auth.is_checksummed() {
        let head = packet.get(..AUTHENTICATION_AT).unwrap_or_default();
        let body = packet.get(PACKET_HEADER..).unwrap_or_default();
        let checksum = checksum::internet(&[head, body]);
        patch(&mut packet, CHECKSUM_AT, &checksum.to_be_bytes());
    }
    packet
}
