//! Interfaces and addresses as they change, and changes to what is ours that we did not make.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bugle_types::{Address, IfIndex, Link};
use socket2::{SockFilter, SockRef};

use crate::PROTOCOL;
use crate::decode;
use crate::error::NetlinkError;
use crate::netlink::{Received, messages};
use crate::numbers::{
    IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS, RTM_DELADDR, RTM_DELLINK, RTM_DELNEXTHOP, RTM_DELROUTE,
    RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEXTHOP, RTM_NEWROUTE,
    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
    RTNLGRP_NEXTHOP,
};
use crate::socket::{DumpRequest, Dumper, NetlinkSocket, is_overrun};

/// Something that happened to an interface, or to what is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MonitorEvent {
    /// Notifications may have been lost: everything that exists follows, then [`Synced`](Self::Synced).
    Resync,
    /// An interface exists or changed.
    Link(Link),
    /// An interface was deleted.
    LinkGone(IfIndex),
    /// An interface has an address that can be used.
    Address(Address),
    /// An address was removed, or is a duplicate (RFC 4862 section 5.4).
    AddressGone(Address),
    /// Every interface and address that exists has been told.
    Synced,
    /// Somebody else deleted a route or nexthop object of ours.
    Disturbed,
}

/// Tells what happens to interfaces and addresses, and to our routes by other hands.
///
/// The kernel says nothing when it deletes nexthop objects and routes because an interface lost its carrier or was shut: after
/// such a [`MonitorEvent::Link`] only a [`snapshot`](crate::snapshot()) tells what is left.
pub struct Monitor {
    socket: NetlinkSocket,
    events: VecDeque<MonitorEvent>,
}

impl Monitor {
    /// Starts to listen, in the network namespace of the calling thread. The first events are [`MonitorEvent::Resync`], all
    /// that exists, and [`MonitorEvent::Synced`]. Changes that the sockets of these ports made ([`crate::Injector::port`]) are
    /// not told.
    ///
    /// # Errors
    ///
    /// If there is no socket to be had, or the kernel will not list its interfaces and addresses.
    pub fn open(ours: &[u32]) -> Result<Self, NetlinkError> {
        let groups = [
            RTNLGRP_LINK,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
            RTNLGRP_NEXTHOP,
        ];
        let socket = NetlinkSocket::open(&groups).map_err(NetlinkError::Open)?;
        SockRef::from(&socket).attach_filter(&filter(ours)).map_err(NetlinkError::Open)?;
        socket.set_non_blocking().map_err(NetlinkError::Open)?;
        let mut monitor = Self { socket, events: VecDeque::new() };
        monitor.resync()?;
        Ok(monitor)
    }

    /// The next event, or `None` until the socket is readable again. Reads everything the socket holds, so it suits
    /// edge-triggered readiness.
    ///
    /// # Errors
    ///
    /// If the socket cannot be read, or if notifications were lost and the kernel will not list its interfaces; calling
    /// [`resync`](Self::resync) later is then the remedy.
    pub fn poll_event(&mut self) -> Result<Option<MonitorEvent>, NetlinkError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.socket.receive() {
                Ok(datagram) => {
                    let understood = messages(datagram).all(|message| {
                        message.map(|message| self.events.extend(event(message))).is_ok()
                    });
                    if !understood {
                        self.resync()?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_overrun(&error) || error.kind() == io::ErrorKind::InvalidData => {
                    self.resync()?;
                }
                Err(error) => return Err(NetlinkError::Receive(error)),
            }
        }
    }

    /// Has everything told from the start, as after lost notifications.
    ///
    /// # Errors
    ///
    /// If the kernel will not list its interfaces and addresses.
    pub fn resync(&mut self) -> Result<(), NetlinkError> {
        self.discard_notifications()?;
        let mut dumper = Dumper::open()?;
        let links = DumpRequest {
            what: "interfaces",
            kind: RTM_GETLINK,
            fixed: &[0; 16],
            filter: Some((IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)),
        };
        let addresses =
            DumpRequest { what: "addresses", kind: RTM_GETADDR, fixed: &[0; 8], filter: None };
        let links = dumper.dump(&links, decode::link)?;
        let addresses = dumper.dump(&addresses, usable_address)?;
        self.events.clear();
        self.events.push_back(MonitorEvent::Resync);
        self.events.extend(links.into_iter().map(MonitorEvent::Link));
        self.events.extend(addresses.into_iter().map(MonitorEvent::Address));
        self.events.push_back(MonitorEvent::Synced);
        Ok(())
    }

    /// Empties the socket: what it holds is older than the list about to be read, and may lack its end.
    fn discard_notifications(&mut self) -> Result<(), NetlinkError> {
        loop {
            match self.socket.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error)
                    if !is_overrun(&error)
                        && !matches!(
                            error.kind(),
                            io::ErrorKind::Interrupted | io::ErrorKind::InvalidData
                        ) =>
                {
                    return Err(NetlinkError::Receive(error));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a notification means.
fn event(message: Received<'_>) -> Option<MonitorEvent> {
    let payload = message.payload;
    match message.kind {
        RTM_NEWLINK => {
            decode::link_index(payload)?;
            decode::link(payload).map(MonitorEvent::Link)
        }
        RTM_DELLINK => decode::link_index(payload).map(MonitorEvent::LinkGone),
        RTM_NEWADDR => decode::interface_address(payload).map(|(address, usable)| {
            if usable { MonitorEvent::Address(address) } else { MonitorEvent::AddressGone(address) }
        }),
        RTM_DELADDR => decode::interface_address(payload)
            .map(|(address, _)| MonitorEvent::AddressGone(address)),
        RTM_DELROUTE => decode::route(payload).map(|_| MonitorEvent::Disturbed),
        RTM_DELNEXTHOP => decode::nexthop_id(payload).map(|_| MonitorEvent::Disturbed),
        _ => None,
    }
}

fn usable_address(payload: &[u8]) -> Option<Address> {
    decode::interface_address(payload).filter(|(_, usable)| *usable).map(|(address, _)| address)
}

/// A classic BPF program that lets the kernel drop, before they cost us a wake-up, all notifications of routes and nexthop
/// objects but deletions of ours by others. BPF loads are big-endian; netlink is in host order.
fn filter(ours: &[u32]) -> Vec<SockFilter> {
    const LOAD_U32: u16 = 0x20;
    const LOAD_U16: u16 = 0x28;
    const LOAD_U8: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const TYPE: u32 = 4;
    const PORT: u32 = 12;
    // In struct rtmsg and struct nhmsg, behind the message header.
    const ROUTE_PROTOCOL: u32 = 16 + 5;
    const NEXTHOP_PROTOCOL: u32 = 16 + 2;

    let load = |code, at| SockFilter::new(code, 0, 0, at);
    let skip = |value, if_equal, else_| SockFilter::new(JUMP_IF_EQUAL, if_equal, else_, value);
    let skip_type = |kind: u16, if_equal| skip(u32::from(kind.to_be()), if_equal, 0);
    let protocol = u32::from(PROTOCOL);
    let ports = u8::try_from(ours.len()).unwrap_or(u8::MAX);
    let mut program = vec![
        load(LOAD_U16, TYPE),
        skip_type(RTM_NEWROUTE, 11 + ports),
        skip_type(RTM_NEWNEXTHOP, 10 + ports),
        skip_type(RTM_DELROUTE, 2),
        skip_type(RTM_DELNEXTHOP, 4),
        // Interfaces and addresses.
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        load(LOAD_U8, ROUTE_PROTOCOL),
        skip(protocol, 3, 0),
        SockFilter::new(RETURN, 0, 0, 0),
        load(LOAD_U8, NEXTHOP_PROTOCOL),
        skip(protocol, 0, 2 + ports),
        load(LOAD_U32, PORT),
    ];
    let to_the_end = (1..=ports).rev();
    program.extend(to_the_end.zip(ours).map(|(steps, port)| skip(port.to_be(), steps, 0)));
    program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program
}
