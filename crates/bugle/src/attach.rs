//! A device of this machine as the door of a simulated network.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use bugle_host::isis::Received as ReceivedFrame;
use bugle_host::ospf::Received;
use bugle_host::{Clock, IsisSocket, OspfSocket};
use bugle_inject::{Monitor, MonitorEvent, NetlinkError};
use bugle_sim::{Door, Envelope, NodeId, Outside, Packet, Protocols};
use bugle_speaker::config::LinkType;
use bugle_types::{Address, Link, Time};
use bugle_wire::isis::frame::Frame;
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
    #[error("{0} has no IPv4 address to speak from: ip address add ADDRESS/LENGTH dev {0}")]
    NoAddress(String),
    /// No socket.
    #[error("cannot speak on {device}: {source}; it takes root, or the capability NET_RAW")]
    Socket {
        /// The device.
        device: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A network of real routers, and the clock on the wall.
pub(crate) struct Attached {
    ospf: Option<OspfSocket>,
    isis: Option<IsisSocket>,
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
        protocols: Protocols,
        link: LinkType,
        cost: u16,
        enough: Option<Duration>,
    ) -> Result<(Door, Self), AttachError> {
        let (found, local, known) = look_up(device)?;
        let failed = |source| AttachError::Socket { device: device.to_owned(), source };
        let ospf = protocols.ospf().then(|| OspfSocket::open(found.ifindex));
        let ospf = ospf.transpose().map_err(failed)?;
        let isis = protocols.isis().then(|| IsisSocket::open(found.ifindex, found.mtu));
        let isis = isis.transpose().map_err(failed)?;
        if let Some(ospf) = ospf.as_ref().filter(|_| link == LinkType::Broadcast) {
            ospf.set_all_d_routers(true).map_err(failed)?;
        }
        let peer = known.peer.and_then(ipv4);
        let (prefix_length, mtu, mac) = (known.prefix_length, found.mtu, found.mac);
        let door = Door { node, link, cost, address: local, prefix_length, peer, mtu, mac };
        let buffer = vec![0; LARGEST_PACKET].into();
        Ok((door, Self { ospf, isis, clock: Clock::start(), opened: None, enough, buffer }))
    }

    /// What is wrong with a device that went down shows in its packets' absence.
    fn receive(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(ospf) = &self.ospf {
            match ospf.receive(&mut self.buffer) {
                Ok(Received::Packet(packet)) => {
                    let envelope = Envelope::Ospf { src: packet.src, dst: packet.dst };
                    packets.push(Packet { envelope, bytes: packet.payload.into() });
                }
                Ok(Received::Malformed) => {}
                Ok(Received::Nothing) | Err(_) => break,
            }
        }
        while let Some(isis) = &self.isis {
            match isis.receive(&mut self.buffer) {
                Ok(ReceivedFrame::Frame(Frame { source, destination, payload })) => {
                    let envelope = Envelope::Isis { source, destination };
                    packets.push(Packet { envelope, bytes: payload.into() });
                }
                Ok(ReceivedFrame::Malformed) => {}
                Ok(ReceivedFrame::Nothing) | Err(_) => break,
            }
        }
        packets
    }

    /// Sends a packet out. One that is lost is sent again, as on any link.
    fn send(&self, packet: &Packet) {
        match packet.envelope {
            Envelope::Ospf { src, dst } => {
                let _ = self.ospf.as_ref().map(|ospf| ospf.send(src, dst, &packet.bytes));
            }
            Envelope::Isis { source, destination } => {
                let _ =
                    self.isis.as_ref().map(|isis| isis.send(source, destination, &packet.bytes));
            }
        }
    }
}

impl Outside for Attached {
    fn exchange(&mut self, now: Time, sent: Vec<Packet>, until: Time) -> (Time, Vec<Packet>) {
        for packet in sent {
            self.send(&packet);
        }
        if self.opened.is_none() {
            (self.clock, self.opened) = (Clock::start(), Some(now));
        }
        let opened = self.opened.unwrap_or(now);
        let time = |clock: &Clock| opened + clock.now().since(Time::ZERO);
        let wait = TimeSpec::from_duration(until.since(time(&self.clock)));
        let fds = [self.ospf.as_ref().map(AsFd::as_fd), self.isis.as_ref().map(AsFd::as_fd)];
        let fds = fds.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = fds.collect();
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
    let mut monitor = Monitor::open(&[])?;
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
