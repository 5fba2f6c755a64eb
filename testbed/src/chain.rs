//! A chain of routers at whose first a virtual machine lives: tells routing of host routes, and sees them arrive at the last.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bugle_types::{Mac, Prefix};

use crate::contender::{BUGLE_HOSTS, Make};
use crate::error::{LabError, Result};
use crate::fib::{FibWatch, RouteEditor};
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::{Interface, Ospf};
use crate::router::Router;
use crate::vm::{Placement, Vm};

/// The machine whose port the host routes lead to.
const VM: Vm = Vm { address: host_address(0), mac: MAC };
const MAC: Mac = Mac([0x52, 0x54, 0x00, 0x00, 0x01, 0x00]);

/// The machine's port.
const TAP: &str = "tap0";

/// Routers in a row.
#[derive(Debug)]
pub struct Chain {
    lab: Lab,
    routers: Vec<Router>,
    editor: RouteEditor,
    watch: FibWatch,
    _placement: Placement,
}

/// The address of a host route's machine, 10.100.1.0 and up.
#[must_use]
pub const fn host_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 100, 1, number)
}

impl Chain {
    /// Starts one router of each make, linked in this order, and waits until every one has its adjacencies.
    ///
    /// # Errors
    /// If a daemon is not installed or does not start, or adjacencies take more than a minute.
    pub fn start(makes: &[Make]) -> Result<Self> {
        const MINUTE: Duration = Duration::from_secs(60);
        let lab = Lab::new("chain")?;
        let mut nodes: Vec<Node> = Vec::new();
        let mut interfaces: Vec<Vec<Interface>> = Vec::new();
        for position in 0..makes.len() {
            let node = lab.node(&format!("r{position}"))?;
            let mut own = Vec::new();
            if let (Some(previous), Some(theirs)) = (nodes.last(), interfaces.last_mut()) {
                let link = lab.link(previous, &node)?;
                theirs.push(Interface::point_to_point(&link.a.interface));
                own.push(Interface::point_to_point(&link.b.interface));
            }
            nodes.push(node);
            interfaces.push(own);
        }
        let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else {
            return Err(LabError::Unexpected { what: "a chain".into(), found: "no router".into() });
        };
        let placement = VM.place(&lab, first, TAP)?;
        let editor = RouteEditor::new(first, TAP)?;
        let hosts: Prefix = Prefix::new(host_address(0).into(), 24).ok_or_else(|| {
            LabError::Unexpected { what: "a prefix".into(), found: "none".into() }
        })?;
        let watch = FibWatch::start(last, move |prefix| prefix.is_host() && hosts.covers(prefix))?;
        let mut routers = Vec::new();
        for (number, ((node, own), make)) in (1..).zip(nodes.iter().zip(&interfaces).zip(makes)) {
            let mut ospf = Ospf::new(Ipv4Addr::new(192, 0, 2, number), own.clone());
            let origin = number == 1;
            ospf.redistribute_kernel = origin;
            routers.push(make.start(&lab, node, &ospf, if origin { BUGLE_HOSTS } else { "" })?);
        }
        for (router, own) in routers.iter().zip(&interfaces) {
            lab.wait_for(MINUTE, "the adjacencies of a chain", || {
                router.full_neighbors() == own.len()
            })?;
        }
        Ok(Self { lab, routers, editor, watch, _placement: placement })
    }

    /// The lab.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Tells the first router of a host, and waits until the kernel of the last routes to it; `None` if it still does not after
    /// `within`.
    ///
    /// # Errors
    /// If the router refuses.
    pub fn add(&mut self, number: u8, within: Duration) -> Result<Option<Duration>> {
        let address = host_address(number);
        let start = match self.routers.first() {
            Some(Router::Bugle(bugled)) => bugled.add_host(address, TAP, MAC)?,
            Some(Router::Frr(_) | Router::Bird(_)) | None => self.editor.add(address)?,
        };
        Ok(self.seen(address, true, start, within))
    }

    /// Tells the first router that a host is gone, and waits until the kernel of the last has no route to it.
    ///
    /// # Errors
    /// If the router refuses.
    pub fn remove(&mut self, number: u8, within: Duration) -> Result<Option<Duration>> {
        let address = host_address(number);
        let start = match self.routers.first() {
            Some(Router::Bugle(bugled)) => bugled.remove_host(address)?,
            Some(Router::Frr(_) | Router::Bird(_)) | None => self.editor.delete(address)?,
        };
        Ok(self.seen(address, false, start, within))
    }

    fn seen(
        &mut self,
        address: Ipv4Addr,
        present: bool,
        start: Instant,
        within: Duration,
    ) -> Option<Duration> {
        let prefix = Prefix::host(address.into());
        loop {
            let change = self.watch.next_change(prefix, start + within)?;
            if change.present == present {
                return Some(change.at.duration_since(start));
            }
        }
    }
}
