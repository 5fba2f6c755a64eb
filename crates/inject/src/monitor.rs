//! Interfaces and addresses as they change, and changes to what is ours that we did not make.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bugle_rib::Protocol;
use bugle_rib::fib::{NexthopId, RouteKey, RouteTarget};
use bugle_types::{Address, IfIndex, Link};
use socket2::{SockFilter, SockRef};

use crate::PROTOCOL;
use crate::decode;
use crate::error::NetlinkError;
use crate::netlink::{Received, messages};
use crate::numbers::{
    IFLA_EXT_MASK, NHA_ID, NLM_F_REPLACE, RTA_PRIORITY, RTEXT_FILTER_SKIP_STATS, RTM_DELADDR,
    RTM_DELLINK, RTM_DELNEXTHOP, RTM_DELROUTE, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK,
    RTM_NEWNEXTHOP, RTM_NEWROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK, RTNLGRP_NEXTHOP,
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
    /// Somebody else deleted a route of ours, or deleted or replaced a nexthop object with an id of ours.
    Disturbed,
    /// Somebody else replaced a route whose key may be one of ours: the kernel does not say whose it was.
    RouteReplaced(RouteKey),
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
        RTM_NEWROUTE => match decode::route(payload) {
            // It is ours, and the kernel tells of it since somebody replaced its nexthop object (`nexthop_compat_mode`).
            Some((_, Some(RouteTarget::Nexthop(_)))) => Some(MonitorEvent::Disturbed),
            Some(_) | None => decode::route_key(payload).map(MonitorEvent::RouteReplaced),
        },
        RTM_DELROUTE => decode::route(payload).map(|_| MonitorEvent::Disturbed),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
            decode::nexthop_id(payload).map(|_| MonitorEvent::Disturbed)
        }
        _ => None,
    }
}

fn usable_address(payload: &[u8]) -> Option<Address> {
    decode::interface_address(payload).filter(|(_, usable)| *usable).map(|(address, _)| address)
}

/// A classic BPF program that lets the kernel drop, before they cost us a wake-up, all notifications of routes and nexthop
/// objects but those of what others deleted of ours, or replaced and may be ours: the route has a metric of ours, the object an
/// id. BPF loads are big-endian; netlink is in host order.
fn filter(ours: &[u32]) -> Vec<SockFilter> {
    const LOAD_U32: u16 = 0x20;
    const LOAD_U16: u16 = 0x28;
    const LOAD_U8: u16 = 0x30;
    const LOAD_NUMBER: u16 = 0x00;
    const LOAD_NUMBER_X: u16 = 0x01;
    const LOAD_U32_BEHIND_X: u16 = 0x40;
    const COPY_TO_X: u16 = 0x07;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const TAKE: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
    const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
    const TYPE: u32 = 4;
    const FLAGS: u32 = 6;
    const PORT: u32 = 12;
    // In struct rtmsg and struct nhmsg, behind the message header.
    const ROUTE_PROTOCOL: u32 = 16 + 5;
    const ROUTE_ATTRIBUTES: u32 = 16 + 12;
    const NEXTHOP_ATTRIBUTES: u32 = 16 + 8;
    // The part that all ids of ours have in common.
    const RANGE_MASK: u32 = !(*NexthopId::RANGE.start() ^ *NexthopId::RANGE.end());
    // SKF_AD_OFF + SKF_AD_NLATTR of linux/filter.h: where the attribute X is, looked for from the accumulator's offset on; or 0.
    const FIND_ATTRIBUTE: u32 = 0xFFFF_F000 + 12;

    let load = |code, at| SockFilter::new(code, 0, 0, at);
    let if_equal = |value, then: SockFilter| [SockFilter::new(JUMP_IF_EQUAL, 0, 1, value), then];
    let if_type = |kind: u16, then: SockFilter| if_equal(u32::from(kind.to_be()), then);
    // The type is loaded, and still is behind the block, whose end is not passed.
    let of_type = |kind: u16, block: Vec<SockFilter>| {
        let rest = u8::try_from(block.len()).unwrap_or(u8::MAX);
        let mut program = vec![SockFilter::new(JUMP_IF_EQUAL, 0, rest, u32::from(kind.to_be()))];
        program.extend(block);
        program
    };
    let load_attribute = |kind: u16, attributes| {
        [
            load(LOAD_NUMBER_X, u32::from(kind)),
            load(LOAD_NUMBER, attributes),
            load(LOAD_U32, FIND_ATTRIBUTE),
            load(COPY_TO_X, 0),
            load(LOAD_U32_BEHIND_X, 4),
        ]
    };
    let replaced = || {
        let is_set = SockFilter::new(JUMP_IF_ANY_BIT, 1, 0, u32::from(NLM_F_REPLACE.to_be()));
        vec![load(LOAD_U16, FLAGS), is_set, DROP]
    };
    let [of_our_protocol, take] = if_equal(u32::from(PROTOCOL), TAKE);
    let route_deleted = vec![load(LOAD_U8, ROUTE_PROTOCOL), of_our_protocol, take, DROP];
    let mut route_replaced = replaced();
    route_replaced.extend(load_attribute(RTA_PRIORITY, ROUTE_ATTRIBUTES));
    for protocol in Protocol::ALL {
        route_replaced.extend(if_equal(protocol.kernel_metric().to_be(), TAKE));
    }
    route_replaced.push(DROP);
    // By the id: what another program made with one of ours has its protocol, and may bear our routes.
    let with_our_id = || {
        let mut program = Vec::from(load_attribute(NHA_ID, NEXTHOP_ATTRIBUTES));
        program.push(SockFilter::new(AND, 0, 0, RANGE_MASK.to_be()));
        program.extend(if_equal(NexthopId::RANGE.start().to_be(), TAKE));
        program.push(DROP);
        program
    };
    let mut nexthop_replaced = replaced();
    nexthop_replaced.extend(with_our_id());

    let mut program = vec![load(LOAD_U16, TYPE)];
    for kind in [RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR] {
        program.extend(if_type(kind, TAKE));
    }
    program.push(load(LOAD_U32, PORT));
    for port in ours {
        program.extend(if_equal(port.to_be(), DROP));
    }
    program.push(load(LOAD_U16, TYPE));
    program.extend(of_type(RTM_NEWROUTE, route_replaced));
    program.extend(of_type(RTM_DELROUTE, route_deleted));
    program.extend(of_type(RTM_NEWNEXTHOP, nexthop_replaced));
    program.extend(of_type(RTM_DELNEXTHOP, with_our_id()));
    program.push(DROP);
    program
}
