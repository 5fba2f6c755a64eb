//! A small network of instances in virtual time, for the tests of this crate.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on may panic")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::interface::Interface;
use bugle_ospf::{Config, Event, Input, InterfaceConfig, NetworkType, Ospf, Output, Rival, Route};
use bugle_types::{AreaId, IfIndex, Prefix, Rng, RouterId, Time};
use bugle_wire::ospf::{LsaKey, Packet};

/// Where a packet is going to arrive.
type Delivery = (usize, IfIndex, Ipv4Addr, Ipv4Addr, Vec<u8>);

/// A LAN or a point-to-point link: everything sent on it reaches every other member.
struct Segment {
    members: Vec<(usize, IfIndex)>,
    up: bool,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) routers: Vec<Ospf>,
    pub(crate) routes: Vec<BTreeMap<Prefix, Route>>,
    pub(crate) rivals: Vec<BTreeMap<Ipv4Addr, Option<Rival>>>,
    pub(crate) events: Vec<Vec<(Time, Event)>>,
    /// Every LSA instance that each router sent first, with the time: to check how often it touches one LSA.
    pub(crate) originations: Vec<BTreeMap<LsaKey, Vec<Time>>>,
    segments: Vec<Segment>,
    configs: BTreeMap<(usize, IfIndex), InterfaceConfig>,
    alive: BTreeSet<usize>,
    groups: BTreeSet<(usize, IfIndex)>,
    queue: BinaryHeap<Reverse<(Time, u64, Delivery)>>,
    sequence: u64,
    rng: Rng,
    /// Percent of packets lost.
    pub(crate) loss: u64,
    pub(crate) latency: Duration,
}

pub(crate) fn router_id(index: usize) -> RouterId {
    RouterId(0x0101_0100 + u32::try_from(index).unwrap() + 1)
}

impl World {
    pub(crate) fn new(routers: usize, seed: u64) -> Self {
        let mut world = Self {
            now: Time::from_secs(1),
            routers: Vec::new(),
            routes: vec![BTreeMap::new(); routers],
            rivals: vec![BTreeMap::new(); routers],
            events: vec![Vec::new(); routers],
            originations: vec![BTreeMap::new(); routers],
            segments: Vec::new(),
            configs: BTreeMap::new(),
            alive: (0..routers).collect(),
            groups: BTreeSet::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            rng: Rng::new(seed),
            loss: 0,
            latency: Duration::from_micros(50),
        };
        for index in 0..routers {
            let router = world.fresh(index);
            world.routers.push(router);
        }
        world
    }

    fn fresh(&mut self, index: usize) -> Ospf {
        let mut config = Config::new(router_id(index), AreaId::BACKBONE);
        config.stub_router = false;
        Ospf::new(config, self.rng.next_u64())
    }

    /// Joins routers by a point-to-point link (two of them) or a LAN.
    pub(crate) fn join(
        &mut self,
        members: &[usize],
        network_type: NetworkType,
        cost: u16,
    ) -> usize {
        let segment = self.segments.len();
        let ifindex = IfIndex(u32::try_from(segment).unwrap() + 1);
        self.segments.push(Segment {
            members: members.iter().map(|&router| (router, ifindex)).collect(),
            up: true,
        });
        for (position, &router) in members.iter().enumerate() {
            let network = 0x0a00_0000 + (u32::try_from(segment).unwrap() << 8);
            let config = InterfaceConfig {
                name: format!("seg{segment}"),
                address: Ipv4Addr::from(network + u32::try_from(position).unwrap() + 1),
                prefix_length: 24,
                stubs: Vec::new(),
                mtu: 1500,
                network_type,
                cost,
                hello: Duration::from_secs(1),
                dead: Duration::from_secs(4),
                retransmit: Duration::from_millis(1050),
                priority: 1,
                mtu_ignore: false,
            };
            self.set_interface(router, ifindex, Some(config));
        }
        segment
    }

    pub(crate) fn interface_config(&self, router: usize, segment: usize) -> InterfaceConfig {
        self.configs[&(router, IfIndex(u32::try_from(segment).unwrap() + 1))].clone()
    }

    /// A router's interface on a segment.
    pub(crate) fn interface(&self, router: usize, segment: usize) -> Interface {
        let ifindex = IfIndex(u32::try_from(segment).unwrap() + 1);
        let mut interfaces = self.routers[router].state().interfaces();
        interfaces.find(|&(index, _)| index == ifindex).unwrap().1.clone()
    }

    pub(crate) fn set_interface(
        &mut self,
        router: usize,
        ifindex: IfIndex,
        config: Option<InterfaceConfig>,
    ) {
        match &config {
            Some(config) => self.configs.insert((router, ifindex), config.clone()),
            None => self.configs.remove(&(router, ifindex)),
        };
        self.input(router, Input::Interface(ifindex, config));
    }

    /// Lets a segment lose everything, or work again. Nobody is told.
    pub(crate) fn set_segment(&mut self, segment: usize, up: bool) {
        self.segments[segment].up = up;
    }

    /// Kills a router without a word.
    pub(crate) fn kill(&mut self, router: usize) {
        self.alive.remove(&router);
        self.routes[router].clear();
    }

    /// Starts a killed router again, with no memory.
    pub(crate) fn restart(&mut self, router: usize) {
        let mut config = Config::new(router_id(router), AreaId::BACKBONE);
        config.stub_router = false;
        config.listen_first = true;
        self.routers[router] = Ospf::new(config, self.rng.next_u64());
        self.routes[router].clear();
        self.rivals[router].clear();
        self.originations[router].clear();
        self.groups.retain(|&(member, _)| member != router);
        self.alive.insert(router);
        let interfaces: Vec<_> = self
            .configs
            .iter()
            .filter(|((owner, _), _)| *owner == router)
            .map(|((_, ifindex), config)| (*ifindex, config.clone()))
            .collect();
        for (ifindex, config) in interfaces {
            self.input(router, Input::Interface(ifindex, Some(config)));
        }
    }

    pub(crate) fn input(&mut self, router: usize, input: Input<'_>) {
        self.routers[router].handle(self.now, input);
        self.drain(router);
    }

    fn drain(&mut self, router: usize) {
        while let Some(output) = self.routers[router].poll_output() {
            match output {
                Output::Send { ifindex, src, dst, bytes } => {
                    Packet::parse(&bytes).expect("what is sent can be parsed");
                    self.transmit(router, ifindex, src, dst, &bytes);
                }
                Output::AllDRouters { ifindex, join: true } => {
                    self.groups.insert((router, ifindex));
                }
                Output::AllDRouters { ifindex, join: false } => {
                    self.groups.remove(&(router, ifindex));
                }
                Output::Routes(changes) => {
                    for (prefix, route) in changes {
                        match route {
                            Some(route) => {
                                assert!(!route.nexthops.is_empty());
                                self.routes[router].insert(prefix, route);
                            }
                            None => {
                                assert!(self.routes[router].remove(&prefix).is_some(), "{prefix}");
                            }
                        }
                    }
                }
                Output::Rival(address, rival) => {
                    self.rivals[router].insert(address, rival);
                }
                Output::Event(event) => {
                    if let Event::Originated { key, .. } = &event {
                        self.originations[router].entry(*key).or_default().push(self.now);
                    }
                    self.events[router].push((self.now, event));
                }
            }
        }
    }

    fn transmit(
        &mut self,
        from: usize,
        ifindex: IfIndex,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        bytes: &[u8],
    ) {
        let segment = &self.segments[ifindex.0 as usize - 1];
        if !segment.up {
            return;
        }
        let all_d_routers = Ipv4Addr::new(224, 0, 0, 6);
        for &(router, port) in segment.members.clone().iter().filter(|&&(router, _)| router != from)
        {
            let Some(config) = self.configs.get(&(router, port)) else { continue };
            if !dst.is_multicast() && dst != config.address {
                continue;
            }
            if dst == all_d_routers && !self.groups.contains(&(router, port)) {
                continue;
            }
            if self.rng.below(100) < self.loss {
                continue;
            }
            self.sequence += 1;
            let jitter = if self.loss == 0 { 0 } else { self.rng.below(400_000) };
            let at = self.now + self.latency + Duration::from_nanos(jitter);
            let delivery = (router, port, src, dst, bytes.to_vec());
            self.queue.push(Reverse((at, self.sequence, delivery)));
        }
    }

    /// Lets `duration` pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let wake = self
                .alive
                .iter()
                .filter_map(|&router| Some((self.routers[router].deadline()?.0, router)))
                .min();
            let delivery = self.queue.peek().map(|Reverse((at, ..))| *at);
            let next = [wake.map(|(at, _)| at), delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= end) else { break };
            self.now = self.now.max(next);
            if delivery == Some(next) {
                let Some(Reverse((_, _, (router, ifindex, src, dst, bytes)))) = self.queue.pop()
                else {
                    break;
                };
                if self.alive.contains(&router) && self.configs.contains_key(&(router, ifindex)) {
                    self.input(router, Input::Packet { ifindex, src, dst, bytes: &bytes });
                }
            } else if let Some((_, router)) = wake {
                self.input(router, Input::Tick);
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

    /// The LSAs that a router's database holds, with sequence number and checksum: equal databases give equal digests.
    pub(crate) fn database(&self, router: usize) -> BTreeMap<LsaKey, (i32, u16)> {
        self.routers[router]
            .state()
            .database()
            .map(|(key, lsa)| {
                let header = lsa.header(self.now);
                (key.lsa, (header.sequence.0, header.checksum))
            })
            .collect()
    }

    pub(crate) fn full_neighbors(&self, router: usize) -> usize {
        self.routers[router]
            .state()
            .neighbors()
            .filter(|n| n.state == bugle_ospf::neighbor::NeighborState::Full)
            .count()
    }
}
