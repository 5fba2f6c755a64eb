//! A virtual machine that moves between two hypervisors, watched from a client behind the spine.
//!
//! ```text
//! client ---- spine ---- hypervisor a ---- tap0: the machine
//!                  \---- hypervisor b ---- tap0: the machine
//! ```
//!
//! The machine is plugged in at both places all the time; a move is what tells routing that it is now at the other one. With bugle
//! that is `host add` at the new hypervisor and nothing else. With FRR and BIRD, which announce the kernel's routes, it is adding
//! the host route at the new hypervisor and deleting it at the old one, without delay between them.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use bugle_types::{Mac, Prefix};

use crate::contender::{BUGLE_HOSTS, Make};
use crate::error::{LabError, Result};
use crate::fib::{Change, FibWatch, RouteEditor};
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::{Interface, Ospf};
use crate::probe::{Outage, Probe};
use crate::router::Router;
use crate::vm::{Placement, Vm};

/// The machine that moves.
pub const VM: Vm =
    Vm { address: Ipv4Addr::new(10, 100, 0, 9), mac: Mac([0x52, 0x54, 0x00, 0x00, 0x00, 0x09]) };

/// How long a move may take until it is given up.
pub const GIVE_UP: Duration = Duration::from_secs(15);

/// How long traffic flows before a move, and after the spine's kernel has followed it.
const LEAD: Duration = Duration::from_millis(50);

/// Packets a second.
const RATE: u32 = 1000;

/// The port of the machine on each hypervisor.
const TAP: &str = "tap0";

/// One spine, two hypervisors, a client, and the machine.
#[derive(Debug)]
pub struct MoveLab {
    lab: Lab,
    client: Node,
    spine: Node,
    spine_router: Router,
    hypervisors: [Hypervisor; 2],
    watch: FibWatch,
    /// Where the machine is.
    place: usize,
}

#[derive(Debug)]
struct Hypervisor {
    placement: Placement,
    router: Router,
    editor: RouteEditor,
    /// Its address on the link to the spine: the spine's next hop.
    uplink: Ipv4Addr,
}

/// What one move took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Until the call that told routing had returned.
    pub told: Duration,
    /// Until the spine's kernel sent to the new place alone; `None` if it still did not after 15 s.
    pub rerouted: Option<Duration>,
    /// What traffic of 1,000 packets a second suffered.
    pub outage: Outage,
}

impl MoveLab {
    /// Builds the lab and starts the daemons.
    ///
    /// # Errors
    /// If a daemon is not installed or does not start.
    pub fn start(hypervisors: Make, spine: Make) -> Result<Self> {
        let lab = Lab::new("move")?;
        let client = lab.node("client")?;
        let spine_node = lab.node("spine")?;
        let hosts = [lab.node("a")?, lab.node("b")?];
        let access = lab.link(&client, &spine_node)?;
        client.ip(&format!("route add default via {}", access.b.address))?;

        let mut spine_interfaces = vec![Interface::passive(&access.b.interface)];
        let mut uplinks = Vec::new();
        for host in &hosts {
            let link = lab.link(&spine_node, host)?;
            spine_interfaces.push(Interface::point_to_point(&link.a.interface));
            uplinks.push(link.b);
        }
        let ospf = Ospf::new(Ipv4Addr::new(192, 0, 2, 1), spine_interfaces);
        let spine_router = spine.start(&lab, &spine_node, &ospf, "")?;

        let mut started = Vec::new();
        for (number, (host, uplink)) in (2..).zip(hosts.into_iter().zip(uplinks)) {
            let placement = VM.place(&lab, &host, TAP)?;
            let mut ospf = Ospf::new(
                Ipv4Addr::new(192, 0, 2, number),
                vec![Interface::point_to_point(&uplink.interface)],
            );
            ospf.redistribute_kernel = true;
            let router = hypervisors.start(&lab, &host, &ospf, BUGLE_HOSTS)?;
            let editor = RouteEditor::new(&host, TAP)?;
            started.push(Hypervisor { placement, router, editor, uplink: uplink.address });
        }
        let hypervisors = <[Hypervisor; 2]>::try_from(started).map_err(|_| {
            LabError::Unexpected { what: "building a lab".into(), found: "not two hosts".into() }
        })?;
        let prefix = prefix();
        let watch = FibWatch::start(&spine_node, move |changed| changed == prefix)?;
        Ok(Self { lab, client, spine: spine_node, spine_router, hypervisors, watch, place: 0 })
    }

    /// Waits for the adjacencies, and for the spine to route to the machine at the first hypervisor.
    ///
    /// # Errors
    /// If that takes more than a minute.
    pub fn converge(&mut self) -> Result<()> {
        const MINUTE: Duration = Duration::from_secs(60);
        self.lab.wait_for(MINUTE, "the spine's adjacencies", || {
            self.spine_router.full_neighbors() == 2
        })?;
        let [first, _] = &self.hypervisors;
        first.claim()?;
        self.rerouted(Instant::now() + MINUTE)
            .map(drop)
            .ok_or_else(|| self.lab.timeout(MINUTE, "the spine to route to the first hypervisor"))
    }

    /// Moves the machine to the other hypervisor.
    ///
    /// # Errors
    /// If routing could not be told, or a daemon has died. That routing did not follow is no error, but a result.
    pub fn move_machine(&mut self) -> Result<Move> {
        let [a, b] = &self.hypervisors;
        let (old, new) = if self.place == 0 { (a, b) } else { (b, a) };
        let guests = [&a.placement.guest, &b.placement.guest];
        let probe = Probe::start(&self.client, VM.address, RATE, &guests)?;
        thread::sleep(LEAD);
        self.watch.forget();

        let start = new.claim()?;
        old.release()?;
        let told = start.elapsed();
        self.place = 1 - self.place;
        let rerouted = self.rerouted(start + GIVE_UP).map(|at| at.duration_since(start));
        if rerouted.is_none()
            && let Some(found) = self.died()
        {
            return Err(LabError::Unexpected { what: "a move".into(), found });
        }
        thread::sleep(LEAD);
        Ok(Move { told, rerouted, outage: probe.stop().outage(start, self.place) })
    }

    /// How one of the daemons ended, if one did.
    fn died(&mut self) -> Option<String> {
        let [a, b] = &mut self.hypervisors;
        [&mut self.spine_router, &mut a.router, &mut b.router].into_iter().find_map(Router::died)
    }

    /// Waits until the spine's kernel sends to the machine's place alone.
    fn rerouted(&mut self, deadline: Instant) -> Option<Instant> {
        let wanted = self.hypervisors.get(self.place)?.uplink;
        loop {
            let change = self.watch.next(deadline)?;
            if change.present && self.gateways(&change) == [wanted] {
                return Some(change.at);
            }
        }
    }

    /// Where a changed route leads. The kernel tells only the nexthop object's number where its compatibility mode is off.
    fn gateways(&self, change: &Change) -> Vec<Ipv4Addr> {
        match change.nexthop_id {
            Some(_) if change.gateways.is_empty() => {
                self.spine.gateways(&change.prefix.to_string()).unwrap_or_default()
            }
            _ => change.gateways.clone(),
        }
    }
}

impl Hypervisor {
    /// Tells routing that the machine is here. When it was told.
    fn claim(&self) -> Result<Instant> {
        match &self.router {
            Router::Frr(_) | Router::Bird(_) => self.editor.add(VM.address),
            Router::Bugle(bugled) => bugled.add_host(VM.address, TAP, VM.mac),
        }
    }

    /// Tells routing that the machine has left. bugle needs not be told.
    fn release(&self) -> Result<()> {
        match &self.router {
            Router::Frr(_) | Router::Bird(_) => self.editor.delete(VM.address).map(drop),
            Router::Bugle(_) => Ok(()),
        }
    }
}

fn prefix() -> Prefix {
    Prefix::host(VM.address.into())
}
