//! A device of this machine as the door of a simulated network.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use bugle_host::ospf::Received;
use bugle_host::{Clock, OspfSocket};
use bugle_inject::{Monitor, MonitorEvent, NetlinkError};
use bugle_sim::{Door, NodeId, Outside, Packet};
use bugle_speaker::config::LinkType;
use bugle_types::{Address, Link, Time};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use thiserror::Error;

/// The largest IP packet.
const LARGEST_PACKET: usize = 65_535;

/// Why a device cannot be attached.
#[derive(Debug, Error)]
pub(crate) enum AttachError {
    /// The kernel's netlink cannot be used.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is no such device.
    #[error("there is no device {0}; `ip link` lists those there are")]
    NoDevice(String),
    /// It has no IPv4 address.
    #[error("{0} has no IPv4 address to speak OSPF from: ip address add ADDRESS/LENGTH dev {0}")]
    NoAddress(String),
    /// No socket.
    #[error("cannot speak OSPF on {device}: {source}; it takes root, or the capability NET_RAW")]
    Socket {
        /// The device.
        device: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A network of real routers, and the clock on the wall.
pub(crate) struct Attached {
    socket: OspfSocket,
    clock: Clock,
    /// When the door was opened, by the clock of the world.
    opened: Option<Time>,
    enough: Option<Duration>,
    buffer: Box<[u8]>,
}

impl Attached {
    /// Attaches `device` to a router of the simulated network, for so long or for ever.
    pub(crate) fn open(
        device: &str,
        node: NodeId,
        link: LinkType,
        cost: u16,
        enough: Option<Duration>,
    ) -> Result<(Door, Self), AttachError> {
        let (found, local, known) = look_up(device)?;
        let failed = |source| AttachError::Socket { device: device.to_owned(), source };
        let socket = OspfSocket::open(found.ifindex).map_err(failed)?;
        if link == LinkType::Broadcast {
            socket.set_all_d_routers(true).map_err(failed)?;
        }
        let peer = known.peer.and_then(ipv4);
        let (prefix_length, mtu) = (known.prefix_length, found.mtu);
        let door = Door { node, link, cost, address: local, prefix_length, peer, mtu };
        let buffer = vec![0; LARGEST_PACKET].into();
        Ok((door, Self { socket, clock: Clock::start(), opened: None, enough, buffer }))
    }

    fn receive(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        loop {
            match self.socket.receive(&mut self.buffer) {
                Ok(Received::Packet(packet)) => {
                    let bytes = packet.payload.into();
                    packets.push(Packet { src: packet.src, dst: packet.dst, bytes });
                }
                Ok(Received::Malformed) => {}
                // What is wrong with a device that went down shows in its packets' absence.
                Ok(Received::Nothing) | Err(_) => return packets,
            }
        }
    }
}

impl Outside for Attached {
    fn exchange(&mut self, now: Time, sent: Vec<Packet>, until: Time) -> (Time, Vec<Packet>) {
        for packet in sent {
            // One that is lost is sent again, as on any link.
            let _ = self.socket.send(packet.src, packet.dst, &packet.bytes);
        }
        if self.opened.is_none() {
            (self.clock, self.opened) = (Clock::start(), Some(now));
        }
        let opened = self.opened.unwrap_or(now);
        let time = |clock: &Clock| opened + clock.now().since(Time::ZERO);
        let wait = TimeSpec::from_duration(until.since(time(&self.clock)));
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        // An interruption is as good as a packet: the caller comes back.
        let _ = ppoll(&mut fds, Some(wait), None);
        (time(&self.clock), self.receive())
    }

    fn is_over(&self, now: Time) -> bool {
        self.opened.zip(self.enough).is_some_and(|(opened, enough)| now >= opened + enough)
    }
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The device, its first IPv4 address, and what else is known of that.
fn look_up(device: &str) -> Result<(Link, Ipv4Addr, Address), AttachError> {
    let mut monitor = Monitor::open(0)?;
    let (mut found, mut addresses) = (None, Vec::new());
    loop {
        match monitor.poll_event()? {
            Some(MonitorEvent::Link(link)) if link.name == device => found = Some(link),
            Some(MonitorEvent::Address(address)) => addresses.push(address),
            Some(MonitorEvent::Synced) | None => break,
            Some(_) => {}
        }
    }
    let link = found.ok_or_else(|| AttachError::NoDevice(device.to_owned()))?;
    let mut of_link = addresses.into_iter().filter(|address| address.ifindex == link.ifindex);
    let first = of_link.find_map(|address| Some((ipv4(address.local)?, address)));
    let (local, address) = first.ok_or_else(|| AttachError::NoAddress(device.to_owned()))?;
    Ok((link, local, address))
}
