//! A small network of instances in virtual time, for the tests of this crate.

#![expect(clippy::expect_used, reason = "a test that cannot go on may panic")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bugle_isis::{
    AdjacencyState, CircuitConfig, CircuitKind, Config, Event, HostRoute, Input, Isis, Output,
    Rival, Route,
};
use bugle_types::{IfIndex, Mac, Prefix, Rng, SystemId, Time};
use bugle_wire::isis::{CircuitType, Level, LspId, Pdu};

/// Where a PDU is going to arrive.
type Delivery = (usize, IfIndex, Mac, Vec<u8>);

/// A LAN or a point-to-point link: everything sent on it reaches every other member.
struct Segment {
    members: Vec<(usize, IfIndex)>,
    up: bool,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) systems: Vec<Isis>,
    pub(crate) routes: Vec<BTreeMap<Prefix, Route>>,
    /// Prefixes that had a route, and for a moment at least had none.
    pub(crate) missed: Vec<BTreeSet<Prefix>>,
    pub(crate) rivals: Vec<BTreeMap<Prefix, Option<Rival>>>,
    pub(crate) events: Vec<Vec<(Time, Event)>>,
    /// BFD sessions asked for.
    pub(crate) sessions: Vec<BTreeSet<(IfIndex, std::net::IpAddr)>>,
    /// What each system was told to be.
    pub(crate) configs: Vec<Config>,
    segments: Vec<Segment>,
    circuits: BTreeMap<(usize, IfIndex), CircuitConfig>,
    alive: BTreeSet<usize>,
    queue: BinaryHeap<Reverse<(Time, u64, Delivery)>>,
    sequence: u64,
    rng: Rng,
    /// Percent of PDUs lost.
    pub(crate) loss: u64,
    pub(crate) latency: Duration,
    /// Systems that do not hear each other, whatever joins them.
    pub(crate) deaf: BTreeSet<[usize; 2]>,
    /// PDUs longer than this do not arrive.
    pub(crate) largest: usize,
    /// What everybody sent, for tests that look at it.
    pub(crate) sent: Vec<(Time, usize, Vec<u8>)>,
    pub(crate) recording: bool,
}

pub(crate) fn system_id(index: usize) -> SystemId {
    let [high, low] = (u16::try_from(index).unwrap() + 1).to_be_bytes();
    SystemId([0, 0, 0, 0, high, low])
}

pub(crate) fn mac(system: usize, ifindex: IfIndex) -> Mac {
    let [a, b] = u16::try_from(system).unwrap().to_be_bytes();
    let [.., c, d] = ifindex.0.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

pub(crate) fn host(metric: u32) -> HostRoute {
    HostRoute { metric }
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

impl World {
    /// Systems of level 2 in one area.
    pub(crate) fn new(systems: usize, seed: u64) -> Self {
        let configs = (0..systems).map(|index| {
            let mut config = Config::new(system_id(index), "49.0001".parse().unwrap());
            config.overload = false;
            config.hostname = Some(format!("host-{index}"));
            config.router_id =
                Some(Ipv4Addr::new(192, 0, 2, u8::try_from(index % 250).unwrap() + 1));
            config
        });
        Self::of(configs.collect(), seed)
    }

    pub(crate) fn of(configs: Vec<Config>, seed: u64) -> Self {
        let systems = configs.len();
        let mut rng = Rng::new(seed);
        Self {
            now: Time::from_secs(1),
            systems: configs.iter().map(|c| Isis::new(c.clone(), rng.next_u64())).collect(),
            routes: vec![BTreeMap::new(); systems],
            missed: vec![BTreeSet::new(); systems],
            rivals: vec![BTreeMap::new(); systems],
            events: vec![Vec::new(); systems],
            sessions: vec![BTreeSet::new(); systems],
            configs,
            segments: Vec::new(),
            circuits: BTreeMap::new(),
            alive: (0..systems).collect(),
            queue: BinaryHeap::new(),
            sequence: 0,
            rng,
            loss: 0,
            latency: Duration::from_micros(50),
            deaf: BTreeSet::new(),
            largest: usize::MAX,
            sent: Vec::new(),
            recording: false,
        }
    }

    /// Joins systems by a point-to-point link (two of them), a LAN, or lets one have a passive circuit.
    pub(crate) fn join(&mut self, members: &[usize], kind: CircuitKind, metric: u32) -> usize {
        self.join_with(members, kind, metric, |_| {})
    }

    pub(crate) fn join_with(
        &mut self,
        members: &[usize],
        kind: CircuitKind,
        metric: u32,
        adjust: impl Fn(&mut CircuitConfig),
    ) -> usize {
        let segment = self.segments.len();
        let ifindex = IfIndex(u32::try_from(segment).unwrap() + 1);
        self.segments.push(Segment {
            members: members.iter().map(|&system| (system, ifindex)).collect(),
            up: true,
        });
        for (position, &system) in members.iter().enumerate() {
            let mut config = CircuitConfig::new(&format!("seg{segment}"), mac(system, ifindex));
            config.kind = kind;
            config.metric = metric;
            config.levels = CircuitType::L1_L2;
            let network = 0x0a00_0000 + (u32::try_from(segment).unwrap() << 8);
            let host = u32::try_from(position).unwrap() + 1;
            config.ipv4 = vec![(Ipv4Addr::from(network + host), 24)];
            let low = u128::from(ifindex.0) << 16 | u128::from(host);
            config.link_local = Some(Ipv6Addr::from(0xfe80_u128 << 112 | low));
            let global = 0x2001_0db8_u128 << 96 | u128::from(ifindex.0) << 64 | u128::from(host);
            config.ipv6 = vec![(Ipv6Addr::from(global), 64)];
            adjust(&mut config);
            self.set_circuit(system, ifindex, Some(config));
        }
        segment
    }

    pub(crate) fn circuit_config(&self, system: usize, segment: usize) -> CircuitConfig {
        self.circuits[&(system, IfIndex(u32::try_from(segment).unwrap() + 1))].clone()
    }

    pub(crate) fn set_circuit(
        &mut self,
        system: usize,
        ifindex: IfIndex,
        config: Option<CircuitConfig>,
    ) {
        match &config {
            Some(config) => self.circuits.insert((system, ifindex), config.clone()),
            None => self.circuits.remove(&(system, ifindex)),
        };
        self.input(system, Input::Circuit(ifindex, config.map(Box::new)));
    }

    /// A circuit's carrier comes or goes; what it was configured to be is remembered.
    pub(crate) fn input_circuit(
        &mut self,
        system: usize,
        ifindex: IfIndex,
        config: Option<CircuitConfig>,
    ) {
        self.input(system, Input::Circuit(ifindex, config.map(Box::new)));
    }

    /// Lets a segment lose everything, or work again. Nobody is told.
    pub(crate) fn set_segment(&mut self, segment: usize, up: bool) {
        self.segments[segment].up = up;
    }

    /// Kills a system without a word.
    pub(crate) fn kill(&mut self, system: usize) {
        self.alive.remove(&system);
        self.routes[system].clear();
    }

    /// Starts a killed system again, with no memory.
    pub(crate) fn restart(&mut self, system: usize) {
        let mut config = self.configs[system].clone();
        config.listen_first = true;
        self.systems[system] = Isis::new(config, self.rng.next_u64());
        self.routes[system].clear();
        self.rivals[system].clear();
        self.events[system].clear();
        self.sessions[system].clear();
        self.alive.insert(system);
        let circuits: Vec<_> = self
            .circuits
            .iter()
            .filter(|((owner, _), _)| *owner == system)
            .map(|((_, ifindex), config)| (*ifindex, config.clone()))
            .collect();
        for (ifindex, config) in circuits {
            self.input(system, Input::Circuit(ifindex, Some(Box::new(config))));
        }
    }

    pub(crate) fn input(&mut self, system: usize, input: Input<'_>) {
        self.systems[system].handle(self.now, input);
        self.drain(system);
    }

    fn drain(&mut self, system: usize) {
        while let Some(output) = self.systems[system].poll_output() {
            match output {
                Output::Send { ifindex, destination, bytes } => {
                    assert_eq!(destination.0[0] & 1, 1, "a group");
                    Pdu::parse(&bytes).expect("what is sent can be parsed");
                    if self.recording {
                        self.sent.push((self.now, system, bytes.clone()));
                    }
                    self.transmit(system, ifindex, &bytes);
                }
                Output::Routes(changes) => {
                    for (prefix, route) in changes {
                        if let Some(route) = route {
                            assert!(!route.nexthops.is_empty());
                            self.routes[system].insert(prefix, route);
                        } else {
                            self.missed[system].insert(prefix);
                            assert!(self.routes[system].remove(&prefix).is_some(), "{prefix}");
                        }
                    }
                }
                Output::Rival(prefix, rival) => {
                    self.rivals[system].insert(prefix, rival);
                }
                Output::Bfd { ifindex, peer, wanted, .. } => {
                    let changed = if wanted {
                        self.sessions[system].insert((ifindex, peer))
                    } else {
                        self.sessions[system].remove(&(ifindex, peer))
                    };
                    assert!(changed, "{peer} is wanted once, and given back once");
                }
                Output::Event(event) => self.events[system].push((self.now, event)),
            }
        }
    }

    fn transmit(&mut self, from: usize, ifindex: IfIndex, bytes: &[u8]) {
        let segment = &self.segments[ifindex.0 as usize - 1];
        if !segment.up || bytes.len() > self.largest {
            return;
        }
        for &(system, port) in segment.members.clone().iter().filter(|&&(member, _)| member != from)
        {
            if !self.circuits.contains_key(&(system, port)) || self.rng.below(100) < self.loss {
                continue;
            }
            if self.deaf.contains(&[system.min(from), system.max(from)]) {
                continue;
            }
            self.sequence += 1;
            let jitter = if self.loss == 0 { 0 } else { self.rng.below(400_000) };
            let at = self.now + self.latency + Duration::from_nanos(jitter);
            let delivery = (system, port, mac(from, ifindex), bytes.to_vec());
            self.queue.push(Reverse((at, self.sequence, delivery)));
        }
    }

    /// Lets `duration` pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut idle = 0;
        loop {
            let wake = self
                .alive
                .iter()
                .filter_map(|&system| Some((self.systems[system].deadline()?.0, system)))
                .min();
            let delivery = self.queue.peek().map(|Reverse((at, ..))| *at);
            let next = [wake.map(|(at, _)| at), delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= end) else { break };
            idle = if next <= self.now { idle + 1 } else { 0 };
            assert!(idle < 100_000, "time stands still: {wake:?}");
            self.now = self.now.max(next);
            if delivery == Some(next) {
                let Some(Reverse((_, _, (system, ifindex, source, bytes)))) = self.queue.pop()
                else {
                    break;
                };
                if self.alive.contains(&system) && self.circuits.contains_key(&(system, ifindex)) {
                    self.input(system, Input::Pdu { ifindex, source, bytes: &bytes });
                }
            } else if let Some((_, system)) = wake {
                self.input(system, Input::Tick);
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
            self.run_for(Duration::from_micros(500));
        }
        self.now.since(start)
    }

    /// The living LSPs that a system's database holds, with sequence number and checksum: equal databases give equal digests.
    pub(crate) fn database(&self, system: usize, level: Level) -> BTreeMap<LspId, (u32, u16)> {
        self.systems[system]
            .state()
            .database(level)
            .filter(|lsp| !lsp.is_dead())
            .map(|lsp| {
                let entry = lsp.entry(self.now);
                (entry.id, (entry.sequence.0, entry.checksum))
            })
            .collect()
    }

    pub(crate) fn up(&self, system: usize) -> usize {
        let adjacencies = self.systems[system].state().adjacencies();
        adjacencies.filter(|adjacency| adjacency.state == AdjacencyState::Up).count()
    }
}
