//! The world: routers, what joins them, and time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bugle_ospf::LsaPool;
use bugle_rib::fib::{FibOp, RouteTarget};
use bugle_speaker::{Config, HostChange, Input, Speaker};
use bugle_types::{Address, IfIndex, Link, Mac, Prefix, Rng, Time};
use rayon::prelude::*;

use crate::digest::Digest;
use crate::door::{Door, OUT};
use crate::judge::Judge;
use crate::kernel::{Changed, Device, Kernel, Place, Prefixes};
use crate::machine::{Arrival, Asked, Effect, Incoming, Machine, Sent, Work};
use crate::medium::{Delivery, Medium, Packet, Quality};
use crate::network::{Borders, Network, NodeId, Port, SegmentId, TAP, TAP_NAME};
use crate::settings::{Protocols, Timers};
use crate::tally::Tally;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Routers and segments.
    pub network: Network,
    /// Where each virtual machine is at the start.
    pub hosts: BTreeMap<Ipv4Addr, NodeId>,
    /// Every address that a virtual machine ever has.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Who sends packets to whom: flows that are watched, by destination.
    pub flows: Vec<(NodeId, Ipv4Addr)>,
    /// Links, where they are not given their own quality.
    pub quality: Quality,
    /// What routers speak.
    pub protocols: Protocols,
    /// The protocols' timers.
    pub timers: Timers,
    /// How long routers take.
    pub work: Work,
    /// How long the kernel takes for each operation.
    pub install: Duration,
    /// Routers start within this time.
    pub start_within: Duration,
    /// Everything random comes from here.
    pub seed: u64,
}

/// A network of speakers in virtual time.
///
/// Time goes on in windows as long as the shortest latency: within one, nothing that happens at one router can be felt at
/// another, so routers run side by side; between windows what they asked for is carried out in the order of time. The outcome
/// depends on the plan and its seed, and not on how many threads there are.
#[derive(Debug)]
pub struct World {
    pub(crate) network: Network,
    pub(crate) protocols: Protocols,
    pub(crate) timers: Timers,
    pub(crate) machines: Vec<Machine>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) medium: Medium,
    pub(crate) judge: Judge,
    pub(crate) tally: Tally,
    pub(crate) refusals: Vec<String>,
    /// When a daemon last started.
    pub(crate) last_start: Time,
    /// Daemons that were asked to stop: they take no orders.
    stopping: BTreeSet<NodeId>,
    now: Time,
    lookahead: Duration,
    /// When each router has something to do, or had meant to have, and the same by router as it is. The first is never out of date.
    wakes: BinaryHeap<Reverse<(Time, NodeId)>>,
    wake_of: Vec<Option<Time>>,
    install: Duration,
    /// When each kernel has done what was asked of it.
    kernel_free: Vec<Time>,
    jobs: BinaryHeap<Reverse<Job>>,
    order: u64,
    seeds: Rng,
    digest: Digest,
    deliveries: Vec<Delivery>,
    /// Routers have the same LSAs.
    pool: LsaPool,
    pub(crate) door: Option<Door>,
    /// What has gone out through it.
    pub(crate) sent: Vec<Packet>,
}

/// Something that a kernel is still to do.
#[derive(Debug)]
struct Job {
    at: Time,
    order: u64,
    node: NodeId,
    op: KernelOp,
}

#[derive(Debug)]
enum KernelOp {
    Route(Place, Option<RouteTarget>),
    Fib(Box<FibOp>),
    Read,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// With fewer routers than this to run, handing them to other threads costs more than it saves.
const WORTH_SHARING: usize = 8;

impl World {
    /// A world in which every daemon has started.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let within = plan.start_within;
        let mut world = Self::before(plan);
        world.start_all(within);
        world
    }

    /// A world in which nothing has started yet.
    pub(crate) fn before(plan: Plan) -> Self {
        let Plan { network, hosts, addresses, flows, .. } = plan;
        let mut seeds = Rng::new(plan.seed);
        let medium = Medium::new(&network, plan.quality, seeds.next_u64());
        let networks = medium.segments().filter_map(|segment| {
            let (port, _) = medium.ports(segment).next()?;
            port.network()
        });
        let all = addresses.iter().map(|&address| Prefix::host(address.into()));
        let default = Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let default = default.into_iter().filter(|_| network.borders == Borders::Attached);
        let prefixes = Arc::new(Prefixes::new(networks.chain(all).chain(default)));
        let count = network.routers.len();
        // A stub router is no transit: with OSPF the last one there is, with IS-IS none at all.
        let transit = network.routers.iter().map(|router| !router.stub || plan.protocols.ospf());
        let kernels = (0..count).map(NodeId::at).map(|node| {
            let devices = medium
                .ports_of(node)
                .map(|(_, port, _)| (port.ifindex, Device { up: true, network: port.network() }));
            let tap = (TAP, Device { up: true, network: None });
            Kernel::new(devices.chain([tap]), &prefixes)
        });
        let mut world = Self {
            protocols: plan.protocols,
            timers: plan.timers,
            machines: (0..count).map(|_| Machine::new(plan.work, &prefixes)).collect(),
            kernels: kernels.collect(),
            judge: Judge::new(transit.collect(), hosts, flows),
            tally: Tally::default(),
            refusals: Vec::new(),
            last_start: Time::ZERO,
            stopping: BTreeSet::new(),
            now: Time::ZERO,
            lookahead: medium.lookahead(),
            wakes: BinaryHeap::new(),
            wake_of: vec![None; count],
            install: plan.install,
            kernel_free: vec![Time::ZERO; count],
            jobs: BinaryHeap::new(),
            order: 0,
            seeds,
            digest: Digest::new(),
            deliveries: Vec::new(),
            pool: LsaPool::default(),
            door: None,
            sent: Vec::new(),
            network,
            medium,
        };
        world.judge.begin(&world.kernels, &world.medium);
        world
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// A hash over everything that happened: equal for equal plans and equal deeds.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = self.digest;
        for machine in &self.machines {
            digest.write_u64(machine.digest());
        }
        digest.finish()
    }

    /// Lives until `end`: everything before it has happened then, and nothing at it.
    pub fn run_until(&mut self, end: Time) {
        if self.next().is_some_and(|start| start < end) {
            // On one of the threads that share the work: to hand over to them and wait at every window would cost more.
            rayon::scope(|_| self.live_until(end));
        }
        self.now = self.now.max(end);
    }

    fn live_until(&mut self, end: Time) {
        while let Some(start) = self.next().filter(|&start| start < end) {
            let until = (start + self.lookahead).min(end);
            let mut active = Vec::new();
            while let Some(&Reverse((at, node))) = self.wakes.peek()
                && at < until
            {
                self.wake_of[node.index()] = None;
                self.drop_stale_wakes();
                active.push(node);
            }
            active.sort_unstable();
            let mut machines = Vec::with_capacity(active.len());
            let mut rest = self.machines.iter_mut();
            let mut passed = 0;
            for node in &active {
                machines.extend(rest.nth(node.index() - passed));
                passed = node.index() + 1;
            }
            if machines.len() < WORTH_SHARING {
                for machine in machines {
                    machine.run(until);
                }
            } else {
                machines.into_par_iter().with_max_len(1).for_each(|machine| machine.run(until));
            }
            self.carry_out(&active, until);
        }
    }

    /// When something happens next.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        let job = self.jobs.peek().map(|Reverse(job)| job.at);
        [self.wakes.peek().map(|Reverse((at, _))| *at), job].into_iter().flatten().min()
    }

    /// Whether a router's daemon runs.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.machines[node.index()].speaker.is_some()
    }

    /// A router's daemon starts, with no memory but its kernel's, and the virtual machines on it are registered again.
    pub fn start(&mut self, node: NodeId) {
        let seed = self.seeds.next_u64();
        self.stopping.remove(&node);
        self.last_start = self.now;
        self.machines[node.index()]
            .start(Speaker::new(seed, self.now).with_pool(self.pool.clone()));
        let config = self.config(node);
        let mut inputs = vec![Input::Config(Box::new(config)), Input::Resync, Input::Link(tap())];
        for (_, port, condition) in self.medium.ports_of(node) {
            inputs.push(Input::Link(link_of(port, condition.carrier)));
            inputs.push(Input::Address(Address {
                ifindex: port.ifindex,
                local: port.address.into(),
                prefix_length: port.prefix_length,
                peer: None,
            }));
        }
        inputs.extend(self.door_of(node).into_iter().flat_map(Door::inputs));
        inputs.push(Input::Synced);
        for input in inputs {
            self.machines[node.index()].handle(self.now, input);
        }
        for host in self.judge.hosts_on(node) {
            self.machines[node.index()].handle(self.now, add_host(host));
        }
        self.settle(node);
    }

    /// A router's daemon dies without a word. Its kernel goes on forwarding.
    pub fn crash(&mut self, node: NodeId) {
        self.stopping.remove(&node);
        // Nobody but the daemon kept the routes to machines whose ports have gone.
        let here = self.judge.hosts_on(node);
        self.kernels[node.index()].forget_other_hosts(&here);
        self.judge.node_changed(self.now, node, &self.kernels, &self.medium);
        self.machines[node.index()].stop();
        self.settle(node);
    }

    /// A router's daemon is asked to stop: it says goodbye. It counts as dead once it is [`crash`](Self::crash)ed.
    pub fn shut_down(&mut self, node: NodeId) {
        self.stopping.insert(node);
        self.machines[node.index()].handle(self.now, Input::Shutdown);
        self.settle(node);
    }

    /// A virtual machine is on this router from now on, or nowhere. The router that it comes to is told, and the one that it
    /// leaves if `announced`.
    pub fn place(&mut self, host: Ipv4Addr, node: Option<NodeId>, announced: bool) {
        let from = self.judge.place(self.now, host, node, &self.kernels, &self.medium);
        if let Some(node) = node.filter(|node| !self.stopping.contains(node)) {
            self.machines[node.index()].handle(self.now, add_host(host));
            self.settle(node);
        }
        let Some(from) = from.filter(|&from| Some(from) != node) else { return };
        if !self.is_alive(from) || self.stopping.contains(&from) {
            // Its port goes with it, and with the port what the kernel had there.
            let here = self.judge.hosts_on(from);
            self.kernels[from.index()].forget_other_hosts(&here);
            self.judge.node_changed(self.now, from, &self.kernels, &self.medium);
        } else if announced {
            let vrf = "default".to_owned();
            let change = HostChange::Remove { vrf, address: host.into() };
            let request = u32::from(host).into();
            self.machines[from.index()].handle(self.now, Input::Host { request, change });
            self.settle(from);
        }
    }

    /// Changes the condition of a port. A carrier that comes or goes is told to kernel and daemon.
    pub(crate) fn set_port(
        &mut self,
        segment: SegmentId,
        node: NodeId,
        change: impl FnOnce(&mut crate::medium::Condition),
    ) {
        let carrier_changed = self.medium.set(segment, node, change);
        let Some((port, condition)) =
            self.medium.ports(segment).find(|(port, _)| port.node == node)
        else {
            return;
        };
        if carrier_changed {
            self.kernels[node.index()].set_up(port.ifindex, condition.carrier);
            if !condition.carrier {
                self.machines[node.index()].drop_packets(port.ifindex);
            }
            let link = Input::Link(link_of(port, condition.carrier));
            self.machines[node.index()].handle(self.now, link);
            self.settle(node);
        }
        self.judge.node_changed(self.now, node, &self.kernels, &self.medium);
    }

    /// Changes the quality of every segment.
    pub fn set_quality(&mut self, change: impl Fn(&mut Quality)) {
        self.medium.set_quality(change);
    }

    fn start_all(&mut self, within: Duration) {
        let nanos = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        let mut starts: Vec<(Time, NodeId)> = (0..self.machines.len())
            .map(|index| (Time::from_nanos(self.seeds.below(nanos)), NodeId::at(index)))
            .collect();
        starts.sort_unstable();
        for (at, node) in starts {
            self.run_until(at);
            self.start(node);
        }
    }

    /// Tells a router something at once.
    pub(crate) fn tell(&mut self, node: NodeId, input: Input<'_>) {
        self.machines[node.index()].handle(self.now, input);
        self.settle(node);
    }

    fn door_of(&self, node: NodeId) -> Option<&Door> {
        self.door.as_ref().filter(|door| door.node == node)
    }

    pub(crate) fn config(&self, node: NodeId) -> Config {
        let router = &self.network.routers[node.index()];
        let lans: Vec<IfIndex> = self
            .medium
            .ports_of(node)
            .filter(|(segment, ..)| self.network.segments[segment.index()].lan.is_some())
            .map(|(_, port, _)| port.ifindex)
            .collect();
        let costs = self
            .medium
            .ports_of(node)
            .map(|(_, port, _)| (port_name(port.ifindex), port.cost, lans.contains(&port.ifindex)));
        let areas = (self.network.levels(node), self.network.borders);
        let mut config = self.timers.config(self.protocols, node, router, areas, costs);
        if let Some(door) = self.door_of(node) {
            door.configure(&mut config);
        }
        config
    }

    /// Carries out what a router asked for at once, between windows.
    fn settle(&mut self, node: NodeId) {
        // What takes the kernel a while is due later.
        self.carry_out(&[node], self.now);
    }

    /// Carries out what routers asked for, in the order of time, and what kernels have done by then.
    fn carry_out(&mut self, active: &[NodeId], until: Time) {
        // Each router's are in order already.
        let mut order: BinaryHeap<Reverse<(Time, NodeId)>> = active
            .iter()
            .filter_map(|&node| Some(Reverse((self.machines[node.index()].asked.next()?, node))))
            .collect();
        while let Some(Reverse((at, node))) = order.pop() {
            let mut asked = std::mem::take(&mut self.machines[node.index()].asked);
            while let Some(effect) = asked.pop(at) {
                self.work_until(at);
                self.carry_out_one(at, node, effect, &mut asked);
            }
            match asked.next() {
                Some(at) => order.push(Reverse((at, node))),
                None => asked.shrink(),
            }
            self.machines[node.index()].asked = asked;
        }
        self.work_until(until);
        for &node in active {
            self.wake(node);
        }
        for delivery in std::mem::take(&mut self.deliveries) {
            let Delivery { at, node, ifindex, packet } = delivery;
            self.push(node, at, Incoming::Packet { ifindex, packet });
        }
    }

    fn carry_out_one(&mut self, at: Time, node: NodeId, effect: Effect, asked: &mut Asked) {
        match effect {
            Effect::Send => {
                let Some(Sent { ifindex, packet }) = asked.sent.pop_front() else { return };
                self.tally.sent(at, &packet);
                if ifindex == OUT {
                    return self.sent.push(packet);
                }
                self.medium.send(at, (node, ifindex), packet, &mut self.deliveries);
            }
            Effect::Routes(count) => {
                for (place, target) in asked.routes.drain(..count as usize) {
                    self.work_until(at);
                    self.ask_kernel(at, node, KernelOp::Route(place, target));
                }
            }
            Effect::Fib(op) => self.ask_kernel(at, node, KernelOp::Fib(op)),
            Effect::ReadFib => self.ask_kernel(at, node, KernelOp::Read),
            Effect::SpfRun => self.tally.spf_run(at, node),
            Effect::Refused(refused) => {
                let (request, reason) = *refused;
                let host = Ipv4Addr::from(u32::try_from(request).unwrap_or_default());
                // One that has left meanwhile may be refused.
                if self.judge.host(host) == Some(node) {
                    let name = self.network.name(node);
                    self.refusals.push(format!("{at}: {name} refused {host}: {reason}"));
                }
            }
        }
    }

    fn ask_kernel(&mut self, at: Time, node: NodeId, op: KernelOp) {
        self.order += 1;
        let free = &mut self.kernel_free[node.index()];
        let mut done = at.max(*free);
        match op {
            KernelOp::Route(..) | KernelOp::Fib(_) => done += self.install,
            KernelOp::Read => {}
        }
        *free = done;
        let job = Job { at: done, order: self.order, node, op };
        if done > at { self.jobs.push(Reverse(job)) } else { self.kernel_does(job) }
    }

    /// What kernels have done by `until`, they have done.
    fn work_until(&mut self, until: Time) {
        while self.jobs.peek().is_some_and(|Reverse(job)| job.at < until) {
            if let Some(Reverse(job)) = self.jobs.pop() {
                self.kernel_does(job);
            }
        }
    }

    fn kernel_does(&mut self, job: Job) {
        let Job { at, node, op, .. } = job;
        match op {
            KernelOp::Read => {
                let snapshot = self.kernels[node.index()].snapshot();
                // An answer comes later than anything that the daemon may have done meanwhile.
                self.push(node, at + self.lookahead, Incoming::Snapshot(Box::new(snapshot)));
            }
            KernelOp::Route(place, target) => {
                let done = self.kernels[node.index()].lead(place, target);
                let op = |kernel: &Kernel| kernel.leading(place, target);
                self.kernel_did(at, node, done, op);
            }
            KernelOp::Fib(op) => {
                let done = self.kernels[node.index()].carry_out(&op);
                self.kernel_did(at, node, done, |_| *op);
            }
        }
    }

    fn kernel_did(
        &mut self,
        at: Time,
        node: NodeId,
        done: Result<Changed, &'static str>,
        op: impl FnOnce(&Kernel) -> FibOp,
    ) {
        match done {
            Ok(changed) => {
                self.tally.fib_op(at);
                self.judge.kernel_changed(at, node, changed, &self.kernels, &self.medium);
            }
            Err(reason) => {
                let name = self.network.name(node);
                let op = op(&self.kernels[node.index()]);
                self.refusals.push(format!("{at}: {name}: {reason}: {op:?}"));
                let refused = Incoming::Refused { op: Box::new(op), reason };
                self.push(node, at + self.lookahead, refused);
            }
        }
    }

    pub(crate) fn push(&mut self, node: NodeId, at: Time, what: Incoming) {
        self.order += 1;
        self.machines[node.index()].push(Arrival { at, order: self.order, what });
        if self.wake_of[node.index()].is_none_or(|wake| at < wake) {
            self.wake(node);
        }
    }

    /// Notes when a router has something to do.
    fn wake(&mut self, node: NodeId) {
        let next = self.machines[node.index()].next().map(|at| at.max(self.now));
        if std::mem::replace(&mut self.wake_of[node.index()], next) != next {
            self.wakes.extend(next.map(|at| Reverse((at, node))));
            self.drop_stale_wakes();
        }
    }

    fn drop_stale_wakes(&mut self) {
        while let Some(&Reverse((at, node))) = self.wakes.peek()
            && self.wake_of[node.index()] != Some(at)
        {
            self.wakes.pop();
        }
    }
}

fn add_host(host: Ipv4Addr) -> Input<'static> {
    let [_, a, b, c] = host.octets();
    let change = HostChange::Add {
        vrf: "default".to_owned(),
        address: host.into(),
        port: Some(TAP_NAME.to_owned()),
        mac: Some(Mac([0x52, 0x54, 0, a, b, c])),
        candidate: false,
    };
    Input::Host { request: u32::from(host).into(), change }
}

fn tap() -> Link {
    Link {
        ifindex: TAP,
        name: TAP_NAME.to_owned(),
        admin_up: true,
        carrier: true,
        loopback: false,
        mtu: 1500,
        mac: Some(Mac([2, 0, 0x5e, 0, 1, 1])),
        master: None,
        vrf_table: None,
    }
}

fn port_name(ifindex: IfIndex) -> String {
    format!("eth{}", ifindex.0)
}

fn link_of(port: Port, carrier: bool) -> Link {
    let [a, b, c, d] = port.address.octets();
    Link {
        ifindex: port.ifindex,
        name: port_name(port.ifindex),
        admin_up: true,
        carrier,
        loopback: false,
        mtu: 1500,
        mac: Some(Mac([2, 0, a, b, c, d])),
        master: None,
        vrf_table: None,
    }
}
