//! A small network of speakers in virtual time, each with a kernel of its own, for the tests of this crate.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bugle_rib::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};
use bugle_speaker::record::Recorder;
use bugle_speaker::{Config, Event, HostChange, HostRefusal, Input, Output, Speaker};
use bugle_types::{Address, IfIndex, Link, Mac, Nexthop, Time};

/// A forwarding table that refuses what the kernel refuses.
#[derive(Clone, Default)]
pub(crate) struct Kernel {
    pub(crate) nexthops: BTreeMap<NexthopId, Nexthop>,
    pub(crate) groups: BTreeMap<NexthopId, Group>,
    pub(crate) routes: BTreeMap<RouteKey, RouteTarget>,
    pub(crate) neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
}

impl Kernel {
    fn carry_out(&mut self, op: FibOp) -> Result<(), String> {
        match op {
            FibOp::PutNexthop { id, nexthop } => {
                self.nexthops.insert(id, nexthop);
            }
            FibOp::PutGroup { id, group } => {
                if group.all().any(|member| !self.nexthops.contains_key(&member)) {
                    return Err("member does not exist".into());
                }
                self.groups.insert(id, group);
            }
            FibOp::DelNexthop { id } => {
                self.nexthops.remove(&id);
                self.groups.remove(&id);
                self.routes.retain(|_, target| *target != RouteTarget::Nexthop(id));
            }
            FibOp::PutRoute { key, target } => {
                if let RouteTarget::Nexthop(id) = target
                    && !self.nexthops.contains_key(&id)
                    && !self.groups.contains_key(&id)
                {
                    return Err("nexthop does not exist".into());
                }
                self.routes.insert(key, target);
            }
            FibOp::DelRoute { key } => {
                self.routes.remove(&key);
            }
            FibOp::PutNeighbor { ifindex, address, mac } => {
                self.neighbors.insert((ifindex, address), mac);
            }
            FibOp::DelNeighbor { ifindex, address } => {
                self.neighbors.remove(&(ifindex, address));
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> FibSnapshot {
        FibSnapshot {
            nexthops: self.nexthops.iter().map(|(&id, &nexthop)| (id, nexthop)).collect(),
            groups: self.groups.iter().map(|(&id, group)| (id, group.clone())).collect(),
            routes: self.routes.iter().map(|(&key, &target)| (key, Some(target))).collect(),
            neighbors: self.neighbors.iter().map(|(&(i, a), &mac)| (i, a, mac)).collect(),
            ..FibSnapshot::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.nexthops.is_empty() && self.neighbors.is_empty()
    }

    /// Where packets to a host go: the nexthops of the best route to its /32.
    pub(crate) fn lookup(&self, host: Ipv4Addr) -> Way {
        let best = self
            .routes
            .iter()
            .filter(|(key, _)| key.prefix.is_host() && key.prefix.contains(host.into()))
            .min_by_key(|(key, _)| key.metric);
        match best {
            None => Way::None,
            Some((_, RouteTarget::Blackhole)) => Way::Dropped,
            Some((_, RouteTarget::Nexthop(id))) => Way::Nexthops(match self.groups.get(id) {
                Some(group) => group.members.iter().map(|id| self.nexthops[id]).collect(),
                None => vec![self.nexthops[id]],
            }),
        }
    }
}

/// Where packets to a host go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    None,
    Dropped,
    Nexthops(Vec<Nexthop>),
}

/// A packet on its way: when it arrives, in which order, and where.
type Delivery = (Time, u64, usize, IfIndex, Ipv4Addr, Ipv4Addr, Vec<u8>);

/// What a machine did, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Neighbor,
    Route(RouteKey),
    Sent,
}

pub(crate) struct Machine {
    pub(crate) speaker: Speaker,
    recorder: Recorder,
    /// What the speaker was told since it was started.
    pub(crate) recording: String,
    pub(crate) kernel: Kernel,
    pub(crate) events: Vec<Event>,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) replies: BTreeMap<u64, Result<(), HostRefusal>>,
    links: BTreeMap<IfIndex, (Link, Vec<Address>)>,
    sockets: BTreeSet<IfIndex>,
    config: Config,
    alive: bool,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) machines: Vec<Machine>,
    /// Pairs of interfaces joined by a wire.
    wires: BTreeMap<(usize, IfIndex), (usize, IfIndex)>,
    queue: BinaryHeap<Reverse<Delivery>>,
    sequence: u64,
    request: u64,
    /// What a kernel has to say to what it was asked for.
    answers: VecDeque<Input<'static>>,
}

pub(crate) fn spine_config(router_id: &str) -> String {
    format!(
        "router-id = \"{router_id}\"
         [vrf.default.ospf]
         stub-router = false
         [[vrf.default.ospf.interface]]
         name = \"eth*\"
         type = \"point-to-point\"
         hello = \"1s\"
         dead = \"4s\"
        "
    )
}

pub(crate) fn hypervisor_config(router_id: &str) -> String {
    format!(
        "router-id = \"{router_id}\"
         [[vrf.default.ospf.interface]]
         name = \"eth*\"
         type = \"point-to-point\"
         hello = \"1s\"
         dead = \"4s\"
         [vrf.default.hosts]
         ports = [\"tap*\"]
         prefixes = [\"10.100.0.0/16\"]
        "
    )
}

impl World {
    /// Machine 0 is a spine, to which the others, hypervisors with a `tap0`, are joined.
    pub(crate) fn star(hypervisors: usize) -> Self {
        let mut world = Self {
            now: Time::from_secs(100),
            machines: Vec::new(),
            wires: BTreeMap::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            request: 0,
            answers: VecDeque::new(),
        };
        world.add(&spine_config("192.0.2.100"));
        for index in 1..=hypervisors {
            let machine = world.add(&hypervisor_config(&format!("192.0.2.{index}")));
            let n = u32::try_from(index).unwrap();
            let octet = u8::try_from(index).unwrap();
            world.link(0, n, &format!("eth{n}"), Some(Ipv4Addr::new(10, 0, octet, 1)));
            world.link(machine, 1, "eth0", Some(Ipv4Addr::new(10, 0, octet, 2)));
            world.link(machine, 2, "tap0", None);
            world.wires.insert((0, IfIndex(n)), (machine, IfIndex(1)));
            world.wires.insert((machine, IfIndex(1)), (0, IfIndex(n)));
        }
        for machine in 0..world.machines.len() {
            world.start(machine);
        }
        world
    }

    fn add(&mut self, config: &str) -> usize {
        let config = Config::parse(config).unwrap_or_else(|errors| panic!("{errors}"));
        let (recorder, recording) = Recorder::new(1, self.now);
        self.machines.push(Machine {
            speaker: Speaker::new(1, self.now),
            recorder,
            recording,
            kernel: Kernel::default(),
            events: Vec::new(),
            deeds: Vec::new(),
            replies: BTreeMap::new(),
            links: BTreeMap::new(),
            sockets: BTreeSet::new(),
            config,
            alive: false,
        });
        self.machines.len() - 1
    }

    fn link(&mut self, machine: usize, ifindex: u32, name: &str, address: Option<Ipv4Addr>) {
        let ifindex = IfIndex(ifindex);
        let link = Link {
            ifindex,
            name: name.to_owned(),
            admin_up: true,
            carrier: true,
            loopback: false,
            mtu: 1500,
            mac: Some(Mac([2, 0, 0, 0, 0, u8::try_from(ifindex.0).unwrap()])),
            master: None,
            vrf_table: None,
        };
        let addresses = address.map(|local| Address {
            ifindex,
            local: local.into(),
            prefix_length: 24,
            peer: None,
        });
        self.machines[machine].links.insert(ifindex, (link, addresses.into_iter().collect()));
    }

    /// Starts a machine's speaker, with no memory but the kernel's.
    pub(crate) fn start(&mut self, index: usize) {
        self.restart_with(index, |_| ());
    }

    /// The same, with something that happens before the machine's interfaces have been reported.
    pub(crate) fn restart_with(&mut self, index: usize, early: impl FnOnce(&mut Self)) {
        self.reset(index);
        self.input(index, Input::Config(Box::new(self.machines[index].config.clone())));
        early(self);
        self.report(index);
    }

    /// The same, with something that happens after that, but before there is a configuration.
    pub(crate) fn restart_unconfigured(&mut self, index: usize, early: impl FnOnce(&mut Self)) {
        self.reset(index);
        self.report(index);
        self.run_for(Duration::from_millis(5));
        early(self);
        self.run_for(Duration::from_millis(5));
        self.input(index, Input::Config(Box::new(self.machines[index].config.clone())));
    }

    fn reset(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let seed = u64::try_from(index).unwrap() + self.now.as_nanos();
        machine.speaker = Speaker::new(seed, self.now);
        (machine.recorder, machine.recording) = Recorder::new(seed, self.now);
        machine.alive = true;
        machine.sockets.clear();
    }

    /// Tells a machine's speaker of all its interfaces.
    fn report(&mut self, index: usize) {
        let links: Vec<_> = self.machines[index].links.values().cloned().collect();
        self.input(index, Input::Resync);
        for (link, addresses) in links {
            self.input(index, Input::Link(link));
            for address in addresses {
                self.input(index, Input::Address(address));
            }
        }
        self.input(index, Input::Synced);
    }

    /// Kills a machine's speaker without a word; its kernel goes on.
    pub(crate) fn kill(&mut self, index: usize) {
        self.machines[index].alive = false;
    }

    /// Cuts a hypervisor's wire to the spine. Nobody is told.
    pub(crate) fn cut(&mut self, index: usize) {
        if let Some(end) = self.wires.remove(&(index, IfIndex(1))) {
            self.wires.remove(&end);
        }
    }

    /// Changes an interface.
    pub(crate) fn set_link(&mut self, index: usize, ifindex: u32, change: impl FnOnce(&mut Link)) {
        let (link, _) = self.machines[index].links.get_mut(&IfIndex(ifindex)).unwrap();
        change(link);
        let link = link.clone();
        if !link.is_up() {
            // As the kernel does: what was on the interface is deleted, and nobody is told.
            let kernel = &mut self.machines[index].kernel;
            let gone: Vec<_> = kernel
                .nexthops
                .iter()
                .filter(|(_, nexthop)| nexthop.ifindex == link.ifindex)
                .map(|(&id, _)| id)
                .collect();
            for id in gone {
                kernel.carry_out(FibOp::DelNexthop { id }).unwrap();
            }
        }
        self.input(index, Input::Link(link));
    }

    pub(crate) fn configure(&mut self, index: usize, config: &str) {
        let config = Config::parse(config).unwrap_or_else(|errors| panic!("{errors}"));
        self.machines[index].config = config.clone();
        self.input(index, Input::Config(Box::new(config)));
    }

    pub(crate) fn host(&mut self, index: usize, change: HostChange) -> Result<(), HostRefusal> {
        self.tell(index, change);
        self.machines[index].replies.remove(&self.request).unwrap()
    }

    /// Asks for a change without waiting for the answer.
    pub(crate) fn tell(&mut self, index: usize, change: HostChange) {
        self.request += 1;
        let request = self.request;
        self.input(index, Input::Host { request, change });
    }

    /// The answers that nobody has taken.
    pub(crate) fn answers(&self, index: usize) -> Vec<Result<(), HostRefusal>> {
        self.machines[index].replies.values().cloned().collect()
    }

    pub(crate) fn input(&mut self, index: usize, input: Input<'_>) {
        self.handle(index, input);
        while let Some(answer) = self.answers.pop_front() {
            self.handle(index, answer);
        }
    }

    fn handle(&mut self, index: usize, input: Input<'_>) {
        let machine = &mut self.machines[index];
        machine.recording += &machine.recorder.told(self.now, &input);
        machine.speaker.handle(self.now, input);
        while let Some(output) = self.machines[index].speaker.poll_output() {
            self.machines[index].recorder.asked(&output);
            self.carry_out(index, output);
        }
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let now = self.now;
        let machine = &mut self.machines[index];
        match output {
            Output::OpenOspf(ifindex) => assert!(machine.sockets.insert(ifindex)),
            Output::CloseOspf(ifindex) => assert!(machine.sockets.remove(&ifindex)),
            Output::AllDRouters { .. }
            | Output::Removable(_)
            | Output::RequestBfd { .. }
            | Output::ReleaseBfd { .. }
            | Output::OpenIsis { .. }
            | Output::CloseIsis(_)
            | Output::SendIsis { .. } => {}
            Output::SendOspf { ifindex, src, dst, bytes } => {
                assert!(machine.sockets.contains(&ifindex), "sent where no socket is open");
                machine.deeds.push(Deed::Sent);
                if let Some(&(peer, port)) = self.wires.get(&(index, ifindex)) {
                    self.sequence += 1;
                    let at = now + Duration::from_micros(50);
                    let delivery = (at, self.sequence, peer, port, src, dst, bytes);
                    self.queue.push(Reverse(delivery));
                }
            }
            Output::Fib(op) | Output::Divert(op) => {
                if let FibOp::PutNeighbor { .. } = &op {
                    machine.deeds.push(Deed::Neighbor);
                } else if let FibOp::PutRoute { key, .. } = &op {
                    machine.deeds.push(Deed::Route(*key));
                }
                if let Err(reason) = machine.kernel.carry_out(op.clone()) {
                    self.answers.push_back(Input::FibFailed { op, reason });
                }
            }
            Output::ReadFib => {
                self.answers.push_back(Input::Fib(machine.kernel.snapshot()));
            }
            Output::Reply { request, result } => {
                machine.replies.insert(request, result);
            }
            Output::Event(event) => machine.events.push(event),
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let wake = (0..self.machines.len())
                .filter(|&index| self.machines[index].alive)
                .filter_map(|index| Some((self.machines[index].speaker.deadline()?.0, index)))
                .min();
            let delivery = self.queue.peek().map(|Reverse((at, ..))| *at);
            let next = [wake.map(|(at, _)| at), delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= end) else { break };
            self.now = self.now.max(next);
            if delivery == Some(next) {
                let Some(Reverse((_, _, index, ifindex, src, dst, bytes))) = self.queue.pop()
                else {
                    break;
                };
                if self.machines[index].alive && self.machines[index].sockets.contains(&ifindex) {
                    self.input(index, Input::Ospf { ifindex, src, dst, bytes: &bytes });
                }
            } else if let Some((_, index)) = wake {
                self.input(index, Input::Tick);
            }
        }
        self.now = end;
    }

    /// Runs until `condition` holds; how long that took. Panics after `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !condition(self) {
            assert!(self.now < start + limit, "{what} did not come true within {limit:?}");
            self.run_for(Duration::from_micros(100));
        }
        self.now.since(start)
    }

    /// The metric with which a machine's database has another one advertise a host.
    pub(crate) fn advertised(&self, viewer: usize, host: Ipv4Addr) -> BTreeMap<String, u32> {
        let state = self.machines[viewer].speaker.state();
        let ospf = state.vrf("default").unwrap().ospf().unwrap();
        ospf.database()
            .filter(|(key, _)| key.lsa.link_state_id == host)
            .filter(|(_, lsa)| lsa.age(self.now) < 3600)
            .filter_map(|(key, lsa)| {
                let body = lsa.lsa()?.body().ok()?;
                let bugle_wire::ospf::LsaBody::External(external) = body else { return None };
                Some((key.lsa.advertising_router.to_string(), external.metric))
            })
            .collect()
    }
}

pub(crate) fn add(host: Ipv4Addr) -> HostChange {
    HostChange::Add {
        vrf: "default".into(),
        address: host.into(),
        port: Some("tap0".into()),
        mac: Some(Mac([0x52, 0x54, 0, 0, 0, 9])),
        candidate: false,
    }
}

pub(crate) fn remove(host: Ipv4Addr) -> HostChange {
    HostChange::Remove { vrf: "default".into(), address: host.into() }
}
