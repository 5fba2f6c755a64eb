//! The packet socket through which IS-IS is spoken on one circuit (ISO 10589 section 8.4.8: straight over 802.2, without IP).

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use bugle_types::{IfIndex, Mac};
use bugle_wire::isis::frame::{ETHERTYPE_LARGE, Frame, MAX_802_3_LENGTH, OSI_LLC};
use bugle_wire::isis::{ALL_ISS, ALL_L1_ISS, ALL_L2_ISS, NLPID_ISIS, emit_frame};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{LinkAddr, bind, recvfrom, setsockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::socket::{
    JUMP_IF_EQUAL, LOAD_U8, LOAD_U16, NOTHING, RETURN, enlarge_buffers, link_address,
};

/// A packet socket bound to one interface, which lets nothing through but frames of IS-IS that arrive there.
#[derive(Debug)]
pub struct IsisSocket {
    socket: Socket,
    ifindex: IfIndex,
}

/// What came of an attempt to receive.
#[derive(Debug)]
pub enum Received<'a> {
    /// A PDU in its frame; what padded it to the least size of an Ethernet frame is gone.
    Frame(Frame<'a>),
    /// A frame that ends too early.
    Malformed,
    /// Nothing: wait until the socket is readable.
    Nothing,
}

impl IsisSocket {
    /// Opens the socket on an interface with this MTU and joins `AllL1ISs`, `AllL2ISs` and `AllISs`. When the MTU grows beyond
    /// 1,500 octets, or shrinks to that, another one is needed.
    ///
    /// # Errors
    /// If there is no such interface, or the process may not: it takes the capability `NET_RAW`.
    pub fn open(ifindex: IfIndex, mtu: u32) -> io::Result<Self> {
        // Frames with a length come under a number of their own; those with a type would, too, but then two sockets were
        // needed. Where none can come, the filter does not have to look at all other traffic of the interface.
        let protocol =
            if mtu > u32::from(MAX_802_3_LENGTH) { libc::ETH_P_ALL } else { libc::ETH_P_802_2 };
        let protocol = u16::try_from(protocol).map_err(|_| io::ErrorKind::InvalidInput)?.to_be();
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
        socket.attach_filter(&NOTHING)?;
        // Without a protocol in the address, the socket keeps its own.
        bind(socket.as_raw_fd(), &link_address(ifindex)?)?;
        enlarge_buffers(&socket);
        socket.set_nonblocking(true)?;
        for group in [ALL_L1_ISS, ALL_L2_ISS, ALL_ISS] {
            join(&socket, ifindex, group)?;
        }
        socket.attach_filter(&FILTER)?;
        Ok(Self { socket, ifindex })
    }

    /// Sends a PDU in a frame of its own.
    ///
    /// # Errors
    /// If the frame cannot be sent now, or is longer than the interface can send.
    pub fn send(&self, source: Mac, destination: Mac, pdu: &[u8]) -> io::Result<()> {
        let frame = emit_frame(destination, source, pdu);
        (&self.socket).write(&frame).map(drop)
    }

    /// Receives a frame into `buffer`.
    ///
    /// # Errors
    /// If the socket is of no use any more, or the interface went down.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Received<'a>> {
        loop {
            let (length, from) = match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), buffer) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(Received::Nothing),
                Err(error) => return Err(error.into()),
            };
            // What came in the moment between the socket and its first filter.
            if from.is_some_and(|from| from.ifindex() != self.ifindex.0 as usize) {
                continue;
            }
            let frame = buffer.get(..length).map(Frame::parse);
            return Ok(match frame {
                Some(Ok(frame)) => Received::Frame(frame),
                Some(Err(_)) | None => Received::Malformed,
            });
        }
    }
}

impl AsFd for IsisSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn join(socket: &Socket, ifindex: IfIndex, group: Mac) -> io::Result<()> {
    let mut address = [0; 8];
    address[..6].copy_from_slice(&group.0);
    let request = libc::packet_mreq {
        mr_ifindex: ifindex.0.cast_signed(),
        mr_type: MEMBERSHIP_MULTICAST,
        mr_alen: 6,
        mr_address: address,
    };
    Ok(setsockopt(socket, AddMembership, &request)?)
}

/// `PACKET_MR_MULTICAST`
const MEMBERSHIP_MULTICAST: u16 = 0;

/// The socket option by which a packet socket joins a group; it leaves when it is closed.
#[derive(Debug, Clone, Copy)]
struct AddMembership;

nix::setsockopt_impl!(
    AddMembership,
    libc::SOL_PACKET,
    libc::PACKET_ADD_MEMBERSHIP,
    libc::packet_mreq,
    nix::sys::socket::sockopt::SetStruct<'_, libc::packet_mreq>
);

/// The filter, a program for the kernel's classic BPF machine: what was sent to this machine, without VLAN tag (with one it
/// belongs to another interface), of a stated length or of the type that stands for one that cannot be stated, with the
/// logical link control of OSI network protocols (ISO 8802-2) and the discriminator of IS-IS (ISO 10589 section 9.3).
const FILTER: [SockFilter; 16] = [
    SockFilter::new(LOAD_U8, 0, 0, PACKET_TYPE),
    SockFilter::new(JUMP_IF_AT_LEAST, 13, 0, PACKET_OTHERHOST),
    SockFilter::new(LOAD_U8, 0, 0, VLAN_TAG_PRESENT),
    SockFilter::new(JUMP_IF_EQUAL, 0, 11, 0),
    SockFilter::new(LOAD_U16, 0, 0, 12),
    SockFilter::new(JUMP_IF_EQUAL, 1, 0, ETHERTYPE_LARGE as u32),
    SockFilter::new(JUMP_IF_ABOVE, 8, 0, MAX_802_3_LENGTH as u32),
    SockFilter::new(LOAD_U16, 0, 0, 14),
    SockFilter::new(JUMP_IF_EQUAL, 0, 6, (OSI_LLC[0] as u32) << 8 | OSI_LLC[1] as u32),
    SockFilter::new(LOAD_U8, 0, 0, 16),
    SockFilter::new(JUMP_IF_EQUAL, 0, 4, OSI_LLC[2] as u32),
    SockFilter::new(LOAD_U8, 0, 0, 17),
    SockFilter::new(JUMP_IF_EQUAL, 0, 2, NLPID_ISIS as u32),
    SockFilter::new(LOAD_LENGTH, 0, 0, 0),
    SockFilter::new(RETURN_ACCUMULATOR, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, 0),
];

const LOAD_LENGTH: u16 = 0x80;
const JUMP_IF_ABOVE: u16 = 0x25;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN_ACCUMULATOR: u16 = 0x16;
/// Where what the kernel knows of a packet can be loaded from (`SKF_AD_OFF`).
const METADATA: u32 = 0xFFFF_F000;
/// To us, to all, to a group, and from here on: to somebody else, or from us.
const PACKET_TYPE: u32 = METADATA + 4;
const PACKET_OTHERHOST: u32 = 3;
const VLAN_TAG_PRESENT: u32 = METADATA + 48;
