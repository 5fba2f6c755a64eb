//! The raw socket through which OSPF is spoken on one interface (RFC 2328 appendix A.1).

use std::io::{self, IoSlice, Read};
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use bugle_types::IfIndex;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::ipv4::strip_header;
use crate::socket::{NOTHING, enlarge_buffers};

pub use crate::ipv4::Packet;

/// OSPF's IP protocol number.
const PROTOCOL: i32 = 89;
/// IP precedence "internetwork control".
const TOS: u32 = 0xC0;
const ALL_SPF_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 5);
const ALL_D_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 6);
/// A socket bound to one interface. One for all would stop working at 20 interfaces (`igmp_max_memberships`), and would not
/// know reliably where a packet arrived.
#[derive(Debug)]
pub struct OspfSocket {
    socket: Socket,
    ifindex: IfIndex,
}

/// What came of an attempt to receive.
#[derive(Debug)]
pub enum Received<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// A datagram that is no IPv4 packet.
    Malformed,
    /// Nothing: wait until the socket is readable.
    Nothing,
}

impl OspfSocket {
    /// Opens the socket and joins AllSPFRouters.
    ///
    /// # Errors
    /// If there is no such interface, or the process may not: it takes the capability `NET_RAW`.
    pub fn open(ifindex: IfIndex) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(PROTOCOL)))?;
        socket.attach_filter(&NOTHING)?;
        let index = NonZeroU32::new(ifindex.0).ok_or(io::ErrorKind::InvalidInput)?;
        socket.bind_device_by_index_v4(Some(index))?;
        enlarge_buffers(&socket);
        socket.set_nonblocking(true)?;
        socket.set_ttl_v4(1)?;
        socket.set_multicast_ttl_v4(1)?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_all_v4(false)?;
        socket.set_tos_v4(TOS)?;
        let socket = Self { socket, ifindex };
        socket.join(ALL_SPF_ROUTERS)?;
        socket.socket.detach_filter()?;
        Ok(socket)
    }

    /// Joins or leaves AllDRouters.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn set_all_d_routers(&self, join: bool) -> io::Result<()> {
        let group = InterfaceIndexOrAddress::Index(self.ifindex.0);
        let result = if join {
            self.join(ALL_D_ROUTERS)
        } else {
            self.socket.leave_multicast_v4_n(&ALL_D_ROUTERS, &group)
        };
        match result {
            // Already so.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EADDRINUSE | libc::EADDRNOTAVAIL)) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn join(&self, group: Ipv4Addr) -> io::Result<()> {
        let interface = InterfaceIndexOrAddress::Index(self.ifindex.0);
        self.socket.join_multicast_v4_n(&group, &interface)
    }

    /// Sends the payload of an IP packet; the kernel fragments it if it must.
    ///
    /// # Errors
    /// If the packet cannot be sent now.
    pub fn send(&self, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: self.ifindex.0.cast_signed(),
            ipi_spec_dst: in_addr(src),
            ipi_addr: in_addr(Ipv4Addr::UNSPECIFIED),
        };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let [a, b, c, d] = dst.octets();
        let to = SockaddrIn::new(a, b, c, d, 0);
        let payload = [IoSlice::new(payload)];
        sendmsg(self.socket.as_raw_fd(), &payload, &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// Receives a packet into `buffer`.
    ///
    /// # Errors
    /// If the socket is of no use any more, or the interface went down.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Received<'a>> {
        let length = match (&self.socket).read(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Received::Nothing);
            }
            Err(error) => return Err(error),
        };
        Ok(match buffer.get(..length).and_then(strip_header) {
            Some(packet) => Received::Packet(packet),
            None => Received::Malformed,
        })
    }
}

impl AsFd for OspfSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from(address).to_be() }
}
