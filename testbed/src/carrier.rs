//! When a kernel says that an interface lost its carrier.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkFlags;
use netlink_sys::Socket;

use crate::error::Result;
use crate::fib;
use crate::node::Node;

/// The multicast group of interfaces (linux/rtnetlink.h).
const RTNLGRP_LINK: u32 = 1;

/// Watches an interface until its carrier is lost.
#[derive(Debug)]
pub struct CarrierWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<Instant>>,
}

impl CarrierWatch {
    /// Starts to watch.
    ///
    /// # Errors
    /// If there is no such interface, or the kernel refuses the socket.
    pub fn start(node: &Node, interface: &str) -> Result<Self> {
        let ifindex = node.ifindex(interface)?;
        let socket = fib::listen(node, &[RTNLGRP_LINK])?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || watch(&socket, ifindex, &stop))
        };
        Ok(Self { stop, thread })
    }

    /// Ends the watch: when the kernel's notification of the loss had been read, if there was one.
    #[must_use]
    pub fn stop(self) -> Option<Instant> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().flatten()
    }
}

fn watch(socket: &Socket, ifindex: u32, stop: &AtomicBool) -> Option<Instant> {
    let mut buffer = Vec::with_capacity(1 << 16);
    while !stop.load(Ordering::Relaxed) {
        if !fib::readable(socket.as_fd()) {
            continue;
        }
        buffer.clear();
        socket.recv(&mut buffer, 0).ok()?;
        let at = Instant::now();
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&buffer).ok()?;
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = message.payload
        else {
            continue;
        };
        if link.header.index == ifindex && !link.header.flags.contains(LinkFlags::LowerUp) {
            return Some(at);
        }
    }
    None
}
