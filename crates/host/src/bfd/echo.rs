//! The echo function on the wire (RFC 5881 section 4): packets to ourselves by way of the neighbour, whose kernel forwards them.
//!
//! They go out by a raw socket that is connected to the neighbour, with a header of ours: the kernel sends them where the socket is
//! connected to, whatever address the header has. What comes back is from ourselves and to ourselves, which a kernel takes for
//! forged (`accept_local`); so a packet socket takes it before the kernel looks.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bugle_bfd::io::{ECHO_PACKET, TTL};
use bugle_types::{IfIndex, Time};
use bugle_wire::bfd::ECHO_PORT;
use bugle_wire::checksum;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, bind, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use smallvec::SmallVec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::receive::{Inlet, Message, Room};
use super::send::TOS;
use crate::clock::Clock;
use crate::ipv4::strip_header;
use crate::socket::{
    JUMP_IF_EQUAL, LOAD_U8, LOAD_U16, NOTHING, RETURN, enlarge_buffers, link_address,
};

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const IPV6_HEADER: usize = 40;

/// Where echo packets come back: an interface, and the address of ours that they are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) ifindex: IfIndex,
    pub(super) local: IpAddr,
}

/// Takes what comes back.
pub(super) struct Receiver {
    pub(super) place: Place,
    inlet: Inlet,
}

/// Opens the socket for what comes back. It may take as long as the kernel takes to let all its processors know, as it does when the
/// socket is closed: do both where nothing is in a hurry.
///
/// # Errors
/// If there is no such interface, or the process may not: it takes the capability `NET_RAW`.
pub(super) fn open(place: Place) -> io::Result<Socket> {
    let ether_type = if place.local.is_ipv4() { libc::ETH_P_IP } else { libc::ETH_P_IPV6 };
    let protocol = u16::try_from(ether_type).map_err(|_| io::ErrorKind::InvalidInput)?.to_be();
    let protocol = Protocol::from(i32::from(protocol));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    socket.attach_filter(&NOTHING)?;
    bind(socket.as_raw_fd(), &link_address(place.ifindex)?)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // For what somebody on the link forges all the same.
    enlarge_buffers(&socket);
    match place.local {
        IpAddr::V4(local) => socket.attach_filter(&ipv4_filter(local.to_bits()))?,
        IpAddr::V6(local) => {
            // As the kernel loads it.
            let word = |shift: u32| u32::try_from(local.to_bits() >> shift & 0xFFFF_FFFF);
            let word = |shift| word(shift).unwrap_or_default();
            socket.attach_filter(&ipv6_filter([96, 64, 32, 0].map(word)))?;
        }
    }
    Ok(socket)
}

impl Receiver {
    pub(super) fn new(place: Place, socket: Socket, now: Time) -> Self {
        Self { place, inlet: Inlet { socket: Arc::new(socket), drained: now } }
    }

    /// Its socket, which takes time to close.
    pub(super) fn into_socket(self) -> Arc<Socket> {
        self.inlet.socket
    }

    /// Hands in what came back: when it was taken, when it came, and what it says. All that came before the time returned has been.
    ///
    /// # Errors
    /// If the socket has an error to tell; it stays of use.
    pub(super) fn drain(
        &mut self,
        room: &mut Room,
        clock: &Clock,
        mut hand_in: impl FnMut(Time, Time, &[u8]),
    ) -> io::Result<Time> {
        let mut take = |message: &Message<'_>, taken, received: &dyn Fn(Duration) -> Time| {
            let bytes = message.iovs().next().and_then(payload);
            if let (Some(stamp), Some(bytes)) = (stamp(message), bytes) {
                hand_in(taken, received(stamp), bytes);
            }
        };
        match self.inlet.drain(room, clock, &mut take) {
            // The interface was down. That nothing came back meanwhile is for the session to judge.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            result => result?,
        }
        Ok(self.inlet.drained)
    }
}

/// The socket by which a session's echo packets go out.
///
/// # Errors
/// As of [`open`].
pub(super) fn sender(place: Place) -> io::Result<Socket> {
    let domain = if place.local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_nonblocking(true)?;
    socket.bind_device_by_index_v4(std::num::NonZeroU32::new(place.ifindex.0))?;
    Ok(socket)
}

/// An echo packet from and to `local`, headers and all.
pub(super) fn datagram(
    local: IpAddr,
    source_port: u16,
    packet: &[u8; ECHO_PACKET],
) -> SmallVec<[u8; 64]> {
    let length = u16::try_from(UDP_HEADER + packet.len()).unwrap_or(u16::MAX);
    let mut udp: SmallVec<[u8; UDP_HEADER + ECHO_PACKET]> = SmallVec::new();
    for field in [source_port, ECHO_PORT, length, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend_from_slice(packet);
    let mut datagram = SmallVec::new();
    match local {
        IpAddr::V4(local) => {
            let total = 20 + length;
            let [high, low] = total.to_be_bytes();
            // The kernel numbers it, and adds the checksum; UDP needs none (RFC 768).
            datagram.extend([0x45, TOS, high, low, 0, 0, 0, 0, TTL, UDP, 0, 0]);
            datagram.extend(local.octets());
            datagram.extend(local.octets());
        }
        IpAddr::V6(local) => {
            let [high, low] = length.to_be_bytes();
            let [class, flow] = (0x6000 | u16::from(TOS) << 4).to_be_bytes();
            datagram.extend([class, flow, 0, 0, high, low, UDP, TTL]);
            datagram.extend(local.octets());
            datagram.extend(local.octets());
            let pseudo = [0, 0, high, low, 0, 0, 0, UDP];
            let sum = checksum::internet(&[&local.octets(), &local.octets(), &pseudo, &udp]);
            // Zero would mean that there is none (RFC 8200 section 8.1).
            let sum = if sum == 0 { u16::MAX } else { sum };
            udp.iter_mut().skip(6).zip(sum.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
        }
    }
    datagram.extend(udp);
    datagram
}

/// What a UDP packet holds, its IP header in front of it.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let udp = match packet.first()? >> 4 {
        4 => strip_header(packet)?.payload,
        _ => packet.get(IPV6_HEADER..)?,
    };
    let length = usize::from(u16::from_be_bytes(udp.get(4..6)?.try_into().ok()?));
    udp.get(UDP_HEADER..length)
}

/// The kernel's time of arrival, by the wall clock.
fn stamp(message: &Message<'_>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|control| {
        let ControlMessageOwned::ScmTimestampns(time) = control else { return None };
        Some(TimeSpec::into(time))
    })
}

const LOAD_U32: u16 = 0x20;
/// From behind the IPv4 header.
const LOAD_U16_BEHIND: u16 = 0x48;
const LOAD_IPV4_HEADER_LENGTH: u16 = 0xB1;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const JUMP_IF_NOT_LESS: u16 = 0x35;
/// Enough of the packet.
const TAKE: SockFilter = SockFilter::new(RETURN, 0, 0, 0xFFFF);
const LEAVE: SockFilter = SockFilter::new(RETURN, 0, 0, 0);

/// The least TTL of what comes back: the neighbour's kernel takes one off, other hardware may not. Nobody farther away can send that.
const LEAST_TTL: u32 = TTL as u32 - 1;

/// Lets through UDP packets to the echo port from and to this address, which the neighbour sent back; all others must not fill the socket.
/// Programs for the kernel's classic BPF machine begin at the IP header.
const fn ipv4_filter(local: u32) -> [SockFilter; 15] {
    [
        SockFilter::new(LOAD_U32, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 12, local),
        SockFilter::new(LOAD_U32, 0, 0, 16),
        SockFilter::new(JUMP_IF_EQUAL, 0, 10, local),
        SockFilter::new(LOAD_U8, 0, 0, 8),
        SockFilter::new(JUMP_IF_NOT_LESS, 0, 8, LEAST_TTL),
        SockFilter::new(LOAD_U8, 0, 0, 9),
        SockFilter::new(JUMP_IF_EQUAL, 0, 6, UDP as u32),
        SockFilter::new(LOAD_U16, 0, 0, 6),
        // More fragments to come, or not the first.
        SockFilter::new(JUMP_IF_ANY_BIT, 4, 0, 0x3FFF),
        SockFilter::new(LOAD_IPV4_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_U16_BEHIND, 0, 0, 2),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, ECHO_PORT as u32),
        TAKE,
        LEAVE,
    ]
}

const fn ipv6_filter(local: [u32; 4]) -> [SockFilter; 24] {
    let [first, second, third, fourth] = local;
    [
        SockFilter::new(LOAD_U32, 0, 0, 8),
        SockFilter::new(JUMP_IF_EQUAL, 0, 21, first),
        SockFilter::new(LOAD_U32, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 19, second),
        SockFilter::new(LOAD_U32, 0, 0, 16),
        SockFilter::new(JUMP_IF_EQUAL, 0, 17, third),
        SockFilter::new(LOAD_U32, 0, 0, 20),
        SockFilter::new(JUMP_IF_EQUAL, 0, 15, fourth),
        SockFilter::new(LOAD_U32, 0, 0, 24),
        SockFilter::new(JUMP_IF_EQUAL, 0, 13, first),
        SockFilter::new(LOAD_U32, 0, 0, 28),
        SockFilter::new(JUMP_IF_EQUAL, 0, 11, second),
        SockFilter::new(LOAD_U32, 0, 0, 32),
        SockFilter::new(JUMP_IF_EQUAL, 0, 9, third),
        SockFilter::new(LOAD_U32, 0, 0, 36),
        SockFilter::new(JUMP_IF_EQUAL, 0, 7, fourth),
        SockFilter::new(LOAD_U8, 0, 0, 7),
        SockFilter::new(JUMP_IF_NOT_LESS, 0, 5, LEAST_TTL),
        SockFilter::new(LOAD_U8, 0, 0, 6),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, UDP as u32),
        SockFilter::new(LOAD_U16, 0, 0, 42),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, ECHO_PORT as u32),
        TAKE,
        LEAVE,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_packet_is_from_and_to_ourselves_and_says_what_it_said() {
        let packet = *b"0123456789abcdef";
        for local in ["192.0.2.1", "2001:db8::1"] {
            let local: IpAddr = local.parse().unwrap();
            let datagram = datagram(local, 50_000, &packet);
            assert_eq!(payload(&datagram), Some(&packet[..]));
            let (udp, ttl) = match local {
                IpAddr::V4(local) => {
                    let taken = strip_header(&datagram).unwrap();
                    assert_eq!((taken.src, taken.dst), (local, local));
                    (taken.payload, datagram[8])
                }
                IpAddr::V6(local) => {
                    let both = [local.octets(), local.octets()].concat();
                    assert_eq!(&datagram[8..40], both);
                    // A checksum over what has the right one is zero.
                    let (udp, pseudo) = (&datagram[40..], [0, 0, 0, 24, 0, 0, 0, UDP]);
                    assert_eq!(checksum::internet(&[&both, &pseudo, udp]), 0);
                    (udp, datagram[7])
                }
            };
            assert_eq!(ttl, 255);
            assert_eq!(udp[..4], [50_000_u16.to_be_bytes(), 3785_u16.to_be_bytes()].concat());
            for short in 0..datagram.len() {
                assert_eq!(payload(&datagram[..short]), None);
            }
        }
    }
}
