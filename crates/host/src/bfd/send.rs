//! The sockets that a session's packets go out by: one for control packets, with a source port of its own, and one for echo packets
//! while there are any.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;

use bugle_bfd::io::{ECHO_PACKET, TTL};
use bugle_bfd::{Endpoint, Hop};
use bugle_types::IfIndex;
use bugle_wire::bfd::{CONTROL_PORT, MULTIHOP_PORT};
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use super::echo::{self, Place};

/// IP precedence "internetwork control", as of the protocols that rely on BFD.
pub(super) const TOS: u8 = 0xC0;
/// The first source port that RFC 5881 section 4 allows.
const FIRST_PORT: u16 = 49_152;
/// Source ports tried beside the one asked for.
const PORTS: u16 = 1_024;

/// Where a session's packets go out.
pub(super) struct Sender {
    pub(super) endpoint: Endpoint,
    device: Option<IfIndex>,
    /// None if it could not be opened; it is tried again with each packet.
    socket: Option<Socket>,
    /// The same for echo packets.
    echo: Option<Socket>,
}

impl Sender {
    pub(super) fn new(endpoint: Endpoint, device: Option<IfIndex>) -> Self {
        Self { endpoint, device, socket: None, echo: None }
    }

    /// Sends a control packet, now or never.
    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        send(&mut self.socket, || open(&self.endpoint, self.device), packet)
    }

    /// Sends an echo packet, now or never.
    pub(super) fn send_echo(&mut self, packet: &[u8; ECHO_PACKET]) -> io::Result<()> {
        let Endpoint { path, local, source_port, .. } = self.endpoint;
        let Hop::Single(ifindex) = path.hop else { return Ok(()) };
        let open = || {
            let socket = echo::sender(Place { ifindex, local })?;
            socket.connect(&address(path.remote, 0, ifindex.0).into())?;
            Ok(socket)
        };
        send(&mut self.echo, open, &echo::datagram(local, source_port, packet))
    }
}

/// Sends a packet by the socket that there is, or by a new one.
fn send(
    slot: &mut Option<Socket>,
    open: impl FnOnce() -> io::Result<Socket>,
    packet: &[u8],
) -> io::Result<()> {
    let socket = match slot {
        Some(socket) => socket,
        None => slot.insert(open()?),
    };
    let result = match socket.send(packet) {
        // That is the answer to an earlier packet; this one has not gone out.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.send(packet),
        result => result,
    };
    match result {
        Ok(_) => Ok(()),
        Err(error) => {
            // The interface may be gone for good, or the address have moved to another.
            let lasting = [libc::ENODEV, libc::ENXIO, libc::EINVAL, libc::EADDRNOTAVAIL];
            if error.raw_os_error().is_some_and(|errno| lasting.contains(&errno)) {
                *slot = None;
            }
            Err(error)
        }
    }
}

fn open(endpoint: &Endpoint, device: Option<IfIndex>) -> io::Result<Socket> {
    let Endpoint { path, local, source_port, .. } = *endpoint;
    let domain = if local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if local.is_ipv4() {
        socket.set_ttl_v4(TTL.into())?;
        socket.set_tos_v4(TOS.into())?;
    } else {
        socket.set_unicast_hops_v6(TTL.into())?;
        socket.set_tclass_v6(TOS.into())?;
    }
    // Nothing is received here.
    socket.set_recv_buffer_size(0)?;
    let (interface, port) = match path.hop {
        Hop::Single(ifindex) => (Some(ifindex), CONTROL_PORT),
        Hop::Multi(_) => (device, MULTIHOP_PORT),
    };
    if let Some(interface) = interface.and_then(|interface| NonZeroU32::new(interface.0)) {
        // The option is the socket's, whatever its version of IP.
        socket.bind_device_by_index_v4(Some(interface))?;
    }
    let scope = interface.map_or(0, |interface| interface.0);
    let beyond = source_port.saturating_sub(FIRST_PORT);
    let ports = (0..PORTS).map(|step| FIRST_PORT + (beyond.wrapping_add(step) & 0x3FFF));
    for port in ports {
        match socket.bind(&address(local, port, scope).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => {
                result?;
                break;
            }
        }
    }
    socket.connect(&address(path.remote, port, scope).into())?;
    Ok(socket)
}

/// A socket's address; a link-local one is good on one link only.
fn address(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, port),
        IpAddr::V6(v6) => {
            let scope = if v6.is_unicast_link_local() { scope } else { 0 };
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
    }
}
