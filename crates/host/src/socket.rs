//! What raw sockets have in common.

use std::io;

use bugle_types::IfIndex;
use nix::sys::socket::{LinkAddr, setsockopt, sockopt};
use socket2::{SockFilter, Socket};

/// What the kernel may queue while the driver is busy: a full table from a neighbour, of which a datagram of 1,500 octets
/// takes some 2,300.
pub(crate) const RECEIVE_BUFFER: usize = 8 << 20;
const SEND_BUFFER: usize = 2 << 20;

// Instructions of the kernel's classic BPF machine.
pub(crate) const LOAD_U8: u16 = 0x30;
pub(crate) const LOAD_U16: u16 = 0x28;
pub(crate) const JUMP_IF_EQUAL: u16 = 0x15;
/// Ends a program, taking as many octets of the packet as it says.
pub(crate) const RETURN: u16 = 0x06;

/// The filter of a socket that is not bound yet: else it would take in packets from every interface.
pub(crate) const NOTHING: [SockFilter; 1] = [SockFilter::new(RETURN, 0, 0, 0)];

/// Beyond the system's limit where that is permitted, else up to it.
pub(crate) fn enlarge_buffers(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    if setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
    }
}

/// The address of an interface for sockets of the link layer. It names no protocol: bound to it, a socket keeps its own.
pub(crate) fn link_address(ifindex: IfIndex) -> io::Result<LinkAddr> {
    nix::ifaddrs::getifaddrs()?
        .filter_map(|interface| interface.address?.as_link_addr().copied())
        .find(|address| address.ifindex() == ifindex.0 as usize)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}
