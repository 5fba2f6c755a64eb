//! The kernel's forwarding table: watching it change, and changing it at a known instant.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bugle_types::Prefix;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{LabError, Result};
use crate::node::Node;

/// The multicast groups of route changes (linux/rtnetlink.h).
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// Room for the notifications of some 100,000 routes, at about a kilobyte each.
const RECEIVE_BUFFER: usize = 256 << 20;

/// How often a watcher looks whether it should end.
const STOP_POLL: u16 = 100;

/// A change of a route in a node's main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When the watcher had read the kernel's notification.
    pub at: Instant,
    /// The destination.
    pub prefix: Prefix,
    /// Whether the route is there now.
    pub present: bool,
    /// The gateways of an IPv4 route, in order; none for a route to the link itself.
    pub gateways: Vec<Ipv4Addr>,
    /// The nexthop object the route uses, if it uses one.
    pub nexthop_id: Option<u32>,
    /// The route's priority among those to the same prefix; the lowest wins.
    pub metric: u32,
}

/// Watches the routes of a node.
#[derive(Debug)]
pub struct FibWatch {
    changes: Receiver<Change>,
    /// Changes that were read while another was waited for.
    waiting: VecDeque<Change>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FibWatch {
    /// Starts to watch the routes for which `wanted` holds.
    ///
    /// # Errors
    /// If the kernel refuses the socket.
    pub fn start(node: &Node, wanted: impl Fn(Prefix) -> bool + Send + 'static) -> Result<Self> {
        let socket = listen(node, &[RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE])?;
        let (sender, changes) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || watch(&socket, &wanted, &sender, &stop))
        };
        Ok(Self { changes, waiting: VecDeque::new(), stop, thread: Some(thread) })
    }

    /// Forgets every change seen so far.
    pub fn forget(&mut self) {
        self.waiting.clear();
        while self.changes.try_recv().is_ok() {}
    }

    /// The next change of `prefix` that was not returned yet; changes of other prefixes are kept. `None` if there is none
    /// until `deadline`.
    pub fn next_change(&mut self, prefix: Prefix, deadline: Instant) -> Option<Change> {
        if let Some(position) = self.waiting.iter().position(|change| change.prefix == prefix) {
            return self.waiting.remove(position);
        }
        loop {
            let change = self.receive(deadline)?;
            if change.prefix == prefix {
                return Some(change);
            }
            self.waiting.push_back(change);
        }
    }

    /// The next change of any prefix; `None` if there is none until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> Option<Change> {
        self.waiting.pop_front().or_else(|| self.receive(deadline))
    }

    fn receive(&self, deadline: Instant) -> Option<Change> {
        self.changes.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

impl Drop for FibWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Adds and deletes host routes in a node, without the milliseconds that starting `ip` takes.
#[derive(Debug)]
pub struct RouteEditor {
    socket: Socket,
    ifindex: u32,
}

impl RouteEditor {
    /// An editor of routes out of `interface`.
    ///
    /// # Errors
    /// If there is no such interface, or the kernel refuses the socket.
    pub fn new(node: &Node, interface: &str) -> Result<Self> {
        let socket = node
            .enter(|| {
                let mut socket = Socket::new(NETLINK_ROUTE)?;
                socket.bind_auto()?;
                socket.connect(&SocketAddr::new(0, 0))?;
                Ok::<_, std::io::Error>(socket)
            })?
            .map_err(LabError::io(format!("editing the routes of {}", node.name())))?;
        Ok(Self { socket, ifindex: node.ifindex(interface)? })
    }

    /// What `ip route add ADDRESS dev INTERFACE` does. When it was asked for.
    ///
    /// # Errors
    /// The kernel's, such as that the route exists.
    pub fn add(&self, address: impl Into<IpAddr>) -> Result<Instant> {
        let address = address.into();
        let message = RouteNetlinkMessage::NewRoute(self.route(address));
        self.transact(message, NLM_F_CREATE | NLM_F_EXCL, &format!("adding the route to {address}"))
    }

    /// What `ip route delete ADDRESS dev INTERFACE` does. When it was asked for.
    ///
    /// # Errors
    /// The kernel's, such as that there is no such route.
    pub fn delete(&self, address: impl Into<IpAddr>) -> Result<Instant> {
        let address = address.into();
        let message = RouteNetlinkMessage::DelRoute(self.route(address));
        self.transact(message, 0, &format!("deleting the route to {address}"))
    }

    fn route(&self, address: IpAddr) -> RouteMessage {
        let mut route = RouteMessage::default();
        let (family, length, destination) = match address {
            IpAddr::V4(v4) => (AddressFamily::Inet, 32, RouteAddress::Inet(v4)),
            IpAddr::V6(v6) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(v6)),
        };
        route.header.address_family = family;
        route.header.destination_prefix_length = length;
        route.header.table = RouteHeader::RT_TABLE_MAIN;
        route.header.protocol = RouteProtocol::Boot;
        route.header.scope = RouteScope::Link;
        route.header.kind = RouteType::Unicast;
        route.attributes =
            vec![RouteAttribute::Destination(destination), RouteAttribute::Oif(self.ifindex)];
        route
    }

    fn transact(&self, message: RouteNetlinkMessage, flags: u16, what: &str) -> Result<Instant> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let sent = Instant::now();
        self.socket.send(&bytes, 0).map_err(LabError::io(what))?;
        let (answer, _kernel) = self.socket.recv_from_full().map_err(LabError::io(what))?;
        let unexpected = |found: String| LabError::Unexpected { what: what.to_owned(), found };
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
            .map_err(|error| unexpected(error.to_string()))?;
        let NetlinkPayload::Error(error) = answer.payload else {
            return Err(unexpected(format!("{:?}", answer.payload)));
        };
        if error.code.is_none() { Ok(sent) } else { Err(LabError::io(what)(error.to_io())) }
    }
}

/// The watcher's thread.
fn watch(
    socket: &Socket,
    wanted: &dyn Fn(Prefix) -> bool,
    changes: &Sender<Change>,
    stop: &AtomicBool,
) {
    let mut buffer = Vec::with_capacity(1 << 16);
    while !stop.load(Ordering::Relaxed) {
        if !readable(socket.as_fd()) {
            continue;
        }
        loop {
            buffer.clear();
            if socket.recv(&mut buffer, 0).is_err() {
                break;
            }
            let at = Instant::now();
            for change in parse(&buffer, at).into_iter().filter(|change| wanted(change.prefix)) {
                if changes.send(change).is_err() {
                    return;
                }
            }
        }
    }
}

/// A socket for the notifications of these groups.
pub(crate) fn listen(node: &Node, groups: &[u32]) -> Result<Socket> {
    node.enter(|| {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok::<_, std::io::Error>(socket)
    })?
    .map_err(LabError::io(format!("watching the kernel of {}", node.name())))
}

/// Waits for a notification, or until it is time to look whether the watch has ended.
pub(crate) fn readable(socket: BorrowedFd<'_>) -> bool {
    let mut sockets = [PollFd::new(socket, PollFlags::POLLIN)];
    poll(&mut sockets, PollTimeout::from(STOP_POLL)).is_ok_and(|ready| ready > 0)
}

/// The route changes of one datagram of the kernel.
fn parse(mut bytes: &[u8], at: Instant) -> Vec<Change> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else {
            break;
        };
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let NetlinkPayload::InnerMessage(message) = message.payload else { continue };
        if let RouteNetlinkMessage::NewRoute(route) = message {
            changes.extend(change(&route, true, at));
        } else if let RouteNetlinkMessage::DelRoute(route) = message {
            changes.extend(change(&route, false, at));
        }
    }
    changes
}

fn change(route: &RouteMessage, present: bool, at: Instant) -> Option<Change> {
    let header = &route.header;
    let mut address = if header.address_family == AddressFamily::Inet {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else if header.address_family == AddressFamily::Inet6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        return None;
    };
    if header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let mut gateways: Vec<_> = route.attributes.iter().filter_map(gateway_of).collect();
    let (mut nexthop_id, mut metric) = (None, 0);
    for attribute in &route.attributes {
        if let RouteAttribute::Destination(RouteAddress::Inet(destination)) = attribute {
            address = (*destination).into();
        } else if let RouteAttribute::Destination(RouteAddress::Inet6(destination)) = attribute {
            address = (*destination).into();
        } else if let RouteAttribute::MultiPath(legs) = attribute {
            let attributes = legs.iter().flat_map(|leg| &leg.attributes);
            gateways.extend(attributes.filter_map(gateway_of));
        } else if let RouteAttribute::NhId(id) = attribute {
            nexthop_id = Some(*id);
        } else if let RouteAttribute::Priority(priority) = attribute {
            metric = *priority;
        }
    }
    gateways.sort_unstable();
    let prefix = Prefix::new(address, header.destination_prefix_length)?;
    Some(Change { at, prefix, present, gateways, nexthop_id, metric })
}

fn gateway_of(attribute: &RouteAttribute) -> Option<Ipv4Addr> {
    if let RouteAttribute::Gateway(RouteAddress::Inet(gateway)) = attribute {
        return Some(*gateway);
    }
    None
}
