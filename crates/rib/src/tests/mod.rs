//! Random lives of the engine against a simulated kernel and an oracle that computes anew what should be there.

mod sim_fib;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId, Time, VrfId};
use proptest::prelude::*;

use self::sim_fib::{Object, SimFib};
use crate::fib::{FibOp, FibSnapshot, NexthopId, RouteKey, RouteTarget};
use crate::{Input, Output, Protocol, Rib, Route};

const LINKS: u32 = 3;
const MAX_STEPS: usize = 60;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Route {
        vrf: u32,
        protocol: usize,
        prefix: usize,
        hops: Option<Vec<usize>>,
    },
    Clear {
        vrf: u32,
        protocol: usize,
    },
    Vrf {
        vrf: u32,
        table: Option<u32>,
    },
    Neighbor {
        link: u32,
        host: u8,
        mac: Option<u8>,
    },
    Link {
        link: u32,
        change: Change,
    },
    Sweep,
    Restart,
    /// The clock moves on by so many milliseconds.
    Wait(u64),
    Chaos(Chaos),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Up,
    Down,
    Gone,
}

/// What an engine in lockstep with the kernel never sees.
#[derive(Clone, Debug)]
enum Chaos {
    /// The carrier flaps and nobody is told.
    SilentFlap(u32),
    /// The link changes; the engine is told at the end.
    UntoldLink(u32, bool),
    /// Somebody deletes one of our routes, objects or neighbours.
    Vandal(usize),
    /// Somebody adds something that looks like ours.
    Intruder(u16),
    /// The kernel refuses the next so many changes.
    Refuse(usize),
    /// Snapshots are answered late by so many steps.
    SlowReads(usize),
}

fn prefixes() -> [Prefix; 6] {
    ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::1/128", "2001:db8::/64"]
        .map(|text| text.parse().unwrap())
}

/// Two gateways on each link, and the link itself.
fn nexthop(prefix: Prefix, index: usize) -> Nexthop {
    let link = IfIndex(u32::try_from(index).unwrap() % LINKS + 1);
    let gateway = match (index / LINKS as usize, prefix.is_ipv4()) {
        (0, true) => Some("192.0.2.1"),
        (1, true) => Some("192.0.2.2"),
        (0, false) => Some("fe80::1"),
        (1, false) => Some("fe80::2"),
        _ => None,
    };
    Nexthop { ifindex: link, gateway: gateway.map(|text| text.parse().unwrap()) }
}

fn mac(index: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, index])
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

/// What was told to the engine.
#[derive(Default)]
struct Oracle {
    offers: BTreeMap<(VrfId, Prefix, Protocol), BTreeSet<Nexthop>>,
    tables: BTreeMap<VrfId, TableId>,
    neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
}

impl Oracle {
    /// The best offer of each prefix.
    fn selected(&self) -> BTreeMap<(VrfId, Prefix), (Protocol, &BTreeSet<Nexthop>)> {
        let mut best = BTreeMap::new();
        for ((vrf, prefix, protocol), hops) in &self.offers {
            let entry = best.entry((*vrf, *prefix)).or_insert((*protocol, hops));
            if protocol.distance() < entry.0.distance() {
                *entry = (*protocol, hops);
            }
        }
        best
    }

    /// What the kernel should hold: each route with the whole set and the part of it on usable links.
    fn wanted(
        &self,
        up: &BTreeSet<IfIndex>,
    ) -> BTreeMap<RouteKey, (&BTreeSet<Nexthop>, BTreeSet<Nexthop>)> {
        let mut wanted = BTreeMap::new();
        for ((vrf, prefix), (protocol, hops)) in self.selected() {
            let Some(&table) = self.tables.get(&vrf) else { continue };
            let alive: BTreeSet<_> =
                hops.iter().copied().filter(|hop| up.contains(&hop.ifindex)).collect();
            if !alive.is_empty() || hops.is_empty() {
                let metric = protocol.kernel_metric();
                wanted.insert(RouteKey { table, prefix, metric }, (hops, alive));
            }
        }
        wanted
    }
}

/// An engine and its kernel.
struct World {
    rib: Rib,
    fib: SimFib,
    oracle: Oracle,
    /// Tables that the engine was told of since it started; others it does not know to read.
    told: BTreeSet<TableId>,
    now: Time,
    /// In lockstep the kernel never refuses anything.
    lockstep: bool,
    refuse: usize,
    slowness: usize,
    /// Snapshots on the way, with the steps they still take.
    on_the_way: Vec<(usize, FibSnapshot)>,
    ops: usize,
}

impl World {
    fn new(lockstep: bool) -> Self {
        let mut world = Self {
            rib: Rib::new(),
            fib: SimFib::default(),
            oracle: Oracle::default(),
            told: BTreeSet::new(),
            now: Time::from_secs(1000),
            lockstep,
            refuse: 0,
            slowness: 0,
            on_the_way: Vec::new(),
            ops: 0,
        };
        for link in 1..=LINKS {
            world.link(link, Change::Up);
        }
        // Another daemon's, which an intruder's group can name.
        let theirs = nexthop(prefixes()[0], 0);
        world.fib.objects.insert(NexthopId(1), Object::Single(theirs));
        for vrf in 0..2 {
            world.vrf(vrf, Some(100 + vrf));
        }
        world
    }

    fn tell(&mut self, input: Input) {
        if let Input::Vrf { table: Some(table), .. } = &input {
            self.told.insert(*table);
        }
        self.rib.handle(self.now, input);
        let mut failed = Vec::new();
        while let Some(output) = self.rib.poll_output() {
            match output {
                Output::Fib(op) => {
                    self.ops += 1;
                    let result = match self.refuse.checked_sub(1) {
                        Some(left) => {
                            self.refuse = left;
                            Err("refused".to_owned())
                        }
                        None => self.fib.apply(&op),
                    };
                    if let Err(reason) = result {
                        assert!(!self.lockstep, "{op:?}: {reason}");
                        failed.push((op, reason));
                    }
                }
                Output::ReadFib(tables) => {
                    self.on_the_way.push((self.slowness, self.fib.snapshot(&tables)));
                }
                Output::Event(_) => {}
            }
        }
        for (op, reason) in failed {
            self.tell(Input::Failed { op, reason });
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some(index) = self.on_the_way.iter().position(|(steps, _)| *steps == 0) {
            let (_, snapshot) = self.on_the_way.remove(index);
            self.tell(Input::Snapshot(snapshot));
        }
    }

    fn link(&mut self, link: u32, change: Change) {
        let ifindex = IfIndex(link);
        match change {
            Change::Up => {
                self.fib.up.insert(ifindex);
                self.tell(Input::Link { ifindex, usable: true });
            }
            Change::Down => {
                self.fib.carrier_lost(ifindex);
                self.tell(Input::Link { ifindex, usable: false });
            }
            Change::Gone => {
                self.fib.interface_gone(ifindex);
                self.tell(Input::LinkGone(ifindex));
            }
        }
    }

    fn vrf(&mut self, vrf: u32, table: Option<u32>) {
        let (vrf, table) = (VrfId(vrf), table.map(TableId));
        let free = |table: &TableId| {
            !self.oracle.tables.iter().any(|(by, taken)| *by != vrf && taken == table)
        };
        match table.filter(free) {
            Some(table) => self.oracle.tables.insert(vrf, table),
            None => self.oracle.tables.remove(&vrf),
        };
        self.tell(Input::Vrf { vrf, table });
    }

    fn step(&mut self, step: Step) {
        for (steps, _) in &mut self.on_the_way {
            *steps = steps.saturating_sub(1);
        }
        self.deliver();
        match step {
            Step::Route { vrf, protocol, prefix, hops } => {
                let (vrf, protocol) = (VrfId(vrf), Protocol::ALL[protocol]);
                let prefix = prefixes()[prefix];
                let nexthops: Option<Arc<[Nexthop]>> =
                    hops.map(|hops| hops.into_iter().map(|index| nexthop(prefix, index)).collect());
                let key = (vrf, prefix, protocol);
                match &nexthops {
                    Some(hops) => {
                        self.oracle.offers.insert(key, hops.iter().copied().collect());
                    }
                    None => {
                        self.oracle.offers.remove(&key);
                    }
                }
                let route = nexthops.map(|nexthops| Route { metric: 7, nexthops });
                self.tell(Input::Routes { vrf, protocol, changes: vec![(prefix, route)] });
            }
            Step::Clear { vrf, protocol } => {
                let (vrf, protocol) = (VrfId(vrf), Protocol::ALL[protocol]);
                self.oracle.offers.retain(|(v, _, p), _| (*v, *p) != (vrf, protocol));
                self.tell(Input::Clear { vrf, protocol });
            }
            Step::Vrf { vrf, table } => self.vrf(vrf, table),
            Step::Neighbor { link, host, mac: index } => {
                let (ifindex, address, mac) = (IfIndex(link), address(host), index.map(mac));
                match mac {
                    Some(mac) => self.oracle.neighbors.insert((ifindex, address), mac),
                    None => self.oracle.neighbors.remove(&(ifindex, address)),
                };
                self.tell(Input::Neighbor { ifindex, address, mac });
            }
            Step::Link { link, change } => self.link(link, change),
            Step::Sweep => self.tell(Input::Sweep),
            Step::Restart => self.restart(),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.tell(Input::Tick);
            }
            Step::Chaos(chaos) => self.chaos(&chaos),
        }
    }

    /// The engine dies and a new one is told the same.
    fn restart(&mut self) {
        self.rib = Rib::new();
        self.told.clear();
        self.on_the_way.clear();
        for link in self.fib.up.clone() {
            self.tell(Input::Link { ifindex: link, usable: true });
        }
        for (vrf, table) in self.oracle.tables.clone() {
            self.tell(Input::Vrf { vrf, table: Some(table) });
        }
        for ((vrf, prefix, protocol), hops) in self.oracle.offers.clone() {
            let route = Route { metric: 7, nexthops: hops.into_iter().collect() };
            self.tell(Input::Routes { vrf, protocol, changes: vec![(prefix, Some(route))] });
        }
        for ((ifindex, address), mac) in self.oracle.neighbors.clone() {
            self.tell(Input::Neighbor { ifindex, address, mac: Some(mac) });
        }
    }

    fn chaos(&mut self, chaos: &Chaos) {
        match *chaos {
            Chaos::SilentFlap(link) => {
                if self.fib.up.contains(&IfIndex(link)) {
                    self.fib.carrier_lost(IfIndex(link));
                    self.fib.up.insert(IfIndex(link));
                }
            }
            Chaos::UntoldLink(link, true) => {
                self.fib.up.insert(IfIndex(link));
            }
            Chaos::UntoldLink(link, false) => self.fib.carrier_lost(IfIndex(link)),
            Chaos::Vandal(choice) => {
                let objects: Vec<_> = self.fib.ours().map(|(id, _)| *id).collect();
                let routes: Vec<_> = self.fib.routes.keys().copied().collect();
                let neighbors: Vec<_> = self.fib.neighbors.keys().copied().collect();
                let all = objects.len() + routes.len() + neighbors.len();
                let choice = choice % all.max(1);
                if let Some(id) = objects.get(choice) {
                    self.fib.remove_object(*id);
                } else if let Some(key) = routes.get(choice - objects.len()) {
                    self.fib.routes.remove(key);
                } else if let Some(key) = neighbors.get(choice - objects.len() - routes.len()) {
                    self.fib.neighbors.remove(key);
                }
            }
            Chaos::Intruder(choice) => {
                let id = NexthopId(NexthopId::RANGE.start() + u32::from(choice % 16));
                let prefix = prefixes()[usize::from(choice) % 6];
                let hop = nexthop(prefix, usize::from(choice / 16) % 9);
                if !self.fib.up.contains(&hop.ifindex) {
                    return;
                }
                self.fib.remove_object(id);
                let members: BTreeSet<_> =
                    self.fib.singles().take(usize::from(choice / 5 % 4)).collect();
                let object = match choice % 5 {
                    0 if !members.is_empty() => Object::Group(members),
                    _ => Object::Single(hop),
                };
                self.fib.objects.insert(id, object);
                let protocol = Protocol::ALL[usize::from(choice) % 3];
                let metric = protocol.kernel_metric();
                let table = TableId(100 + u32::from(choice) % 2);
                let key = RouteKey { table, prefix, metric };
                self.fib.routes.insert(key, RouteTarget::Nexthop(id));
                self.fib.neighbors.insert((hop.ifindex, address(9)), mac(9));
            }
            Chaos::Refuse(count) => self.refuse = count,
            Chaos::SlowReads(steps) => self.slowness = steps,
        }
    }

    /// Calm returns: the engine is told the truth and has its way until it asks for nothing more.
    fn settle(&mut self) {
        self.refuse = 0;
        self.slowness = 0;
        for (steps, _) in &mut self.on_the_way {
            *steps = 0;
        }
        self.deliver();
        for link in 1..=LINKS {
            let usable = self.fib.up.contains(&IfIndex(link));
            self.tell(Input::Link { ifindex: IfIndex(link), usable });
        }
        if !self.lockstep {
            self.tell(Input::Disturbed);
        }
        for _ in 0..20 {
            let Some((at, _)) = self.rib.deadline() else { return };
            self.now = at.max(self.now);
            self.tell(Input::Tick);
        }
        panic!("the engine does not come to rest");
    }

    /// At rest the kernel holds exactly what the oracle says, in no more objects than needed.
    fn assert_in_order(&self) {
        let wanted = self.oracle.wanted(&self.fib.up);
        let there: BTreeMap<_, _> = self
            .fib
            .routes
            .iter()
            .filter(|(key, _)| self.told.contains(&key.table))
            .map(|(key, to)| (*key, self.fib.resolve(*to)))
            .collect();
        let alive: BTreeMap<_, _> =
            wanted.iter().map(|(key, (_, hops))| (*key, hops.clone())).collect();
        assert_eq!(there, alive);

        let sets: BTreeSet<_> = wanted.values().map(|(set, _)| *set).collect();
        let singles: BTreeSet<_> = alive.values().flatten().collect();
        let groups = sets.iter().filter(|set| set.len() > 1).count();
        let is_group = |object: &&Object| matches!(object, Object::Group(_));
        assert_eq!(self.fib.ours().filter(|(_, object)| is_group(object)).count(), groups);
        assert_eq!(self.fib.ours().count(), groups + singles.len());

        let counters = self.rib.state().counters();
        assert_eq!(counters.routes, self.oracle.selected().len());
        assert_eq!(counters.installed, there.len());
        assert_eq!((counters.nexthops, counters.groups), (singles.len(), groups));
        assert_eq!(counters.unclaimed, 0);

        for (vrf, prefix) in self.oracle.selected().keys() {
            let (protocol, hops) = self.oracle.selected()[&(*vrf, *prefix)];
            let shown =
                self.rib.state().routes(*vrf).find(|route| route.prefix == *prefix).unwrap();
            assert_eq!(shown.protocol, protocol);
            assert!(shown.nexthops.iter().eq(hops));
            let metric = protocol.kernel_metric();
            let installed = self.oracle.tables.get(vrf).is_some_and(|table| {
                there.contains_key(&RouteKey { table: *table, prefix: *prefix, metric })
            });
            assert_eq!(shown.installed, installed);
        }

        for (key, mac) in &self.oracle.neighbors {
            if self.fib.up.contains(&key.0) {
                assert_eq!(self.fib.neighbors.get(key), Some(mac));
            }
        }
        assert!(self.fib.neighbors.keys().all(|key| self.oracle.neighbors.contains_key(key)));
    }
}

fn route_step() -> impl Strategy<Value = Step> {
    let hops = prop::option::weighted(0.8, prop::collection::vec(0..9usize, 0..4));
    (0..2u32, 0..3usize, 0..6usize, hops).prop_map(|(vrf, protocol, prefix, hops)| Step::Route {
        vrf,
        protocol,
        prefix,
        hops,
    })
}

fn told_step() -> impl Strategy<Value = Step> {
    let change =
        prop_oneof![3 => Just(Change::Up), 2 => Just(Change::Down), 1 => Just(Change::Gone)];
    prop_oneof![
        12 => route_step(),
        1 => (0..2u32, 0..3usize).prop_map(|(vrf, protocol)| Step::Clear { vrf, protocol }),
        2 => (0..2u32, prop::option::weighted(0.8, 100..103u32))
            .prop_map(|(vrf, table)| Step::Vrf { vrf, table }),
        3 => (1..=LINKS, 0..3u8, prop::option::of(0..3u8))
            .prop_map(|(link, host, mac)| Step::Neighbor { link, host, mac }),
        5 => (1..=LINKS, change).prop_map(|(link, change)| Step::Link { link, change }),
        2 => (0..5000u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

fn chaos_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..=LINKS).prop_map(Chaos::SilentFlap),
        3 => (1..=LINKS, any::<bool>()).prop_map(|(link, up)| Chaos::UntoldLink(link, up)),
        4 => any::<usize>().prop_map(Chaos::Vandal),
        3 => any::<u16>().prop_map(Chaos::Intruder),
        2 => (1..5usize).prop_map(Chaos::Refuse),
        1 => (0..6usize).prop_map(Chaos::SlowReads),
    ]
    .prop_map(Step::Chaos)
}

fn steps(chaos: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = if chaos {
        prop_oneof![3 => told_step(), 1 => chaos_step()].boxed()
    } else {
        told_step().boxed()
    };
    prop::collection::vec(step, 0..MAX_STEPS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn in_lockstep_every_change_is_legal_and_the_kernel_holds_what_is_wanted(
        steps in steps(false),
    ) {
        let mut world = World::new(true);
        for step in steps {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn whatever_happens_behind_its_back_the_kernel_is_repaired(steps in steps(true)) {
        let mut world = World::new(false);
        for step in steps {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn a_restart_that_finds_what_it_wants_changes_nothing(steps in steps(true)) {
        let mut world = World::new(false);
        for step in steps {
            world.step(step);
        }
        world.tell(Input::Sweep);
        // A group that is short of a member cannot be told from another one.
        for link in 1..=LINKS {
            world.link(link, Change::Up);
        }
        world.settle();
        world.assert_in_order();
        let (before, ops) = (world.fib.clone(), world.ops);
        world.restart();
        world.tell(Input::Sweep);
        world.settle();
        prop_assert_eq!(world.ops, ops);
        prop_assert_eq!(world.fib, before);
    }

    #[test]
    fn until_the_sweep_a_restart_deletes_no_route_that_it_finds(
        before in steps(false),
        after in prop::collection::vec(route_step(), 0..20),
    ) {
        let mut world = World::new(true);
        for step in before {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        let found = world.fib.routes.clone();
        world.oracle.offers.clear();
        world.oracle.neighbors.clear();
        world.restart();
        world.settle();
        let mut touched = BTreeSet::new();
        for step in after {
            if let Step::Route { prefix, .. } = &step {
                touched.insert(prefixes()[*prefix]);
            }
            world.step(step);
        }
        for (key, target) in found {
            if !touched.contains(&key.prefix) {
                prop_assert_eq!(world.fib.routes.get(&key), Some(&target));
            }
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn nothing_of_ours_is_left_after_a_flush(
        steps in steps(true),
        after in steps(false),
        sweep in any::<bool>(),
    ) {
        let mut world = World::new(false);
        for step in steps {
            world.step(step);
        }
        if sweep {
            world.tell(Input::Sweep);
        }
        world.tell(Input::Flush);
        for step in after {
            if !matches!(step, Step::Restart) {
                world.step(step);
            }
        }
        world.settle();
        prop_assert_eq!(world.fib.ours().count(), 0);
        prop_assert!(!world.fib.routes.keys().any(|key| world.told.contains(&key.table)));
        prop_assert!(world.fib.neighbors.is_empty());
    }
}

fn quiet_world() -> World {
    let mut world = World::new(true);
    world.tell(Input::Sweep);
    world
}

fn offer(world: &mut World, prefix: usize, protocol: usize, hops: Option<&[usize]>) {
    world.step(Step::Route { vrf: 0, protocol, prefix, hops: hops.map(<[usize]>::to_vec) });
}

#[test]
fn the_next_best_protocol_steps_in_before_the_best_goes() {
    let mut world = quiet_world();
    for (protocol, hop) in [(2, 2), (1, 1), (0, 0)] {
        offer(&mut world, 0, protocol, Some(&[hop]));
    }
    let mut ops = Vec::new();
    let changes = vec![(prefixes()[0], None)];
    world.rib.handle(world.now, Input::Routes { vrf: VrfId(0), protocol: Protocol::Host, changes });
    while let Some(output) = world.rib.poll_output() {
        ops.push(output);
    }
    let kinds: Vec<_> = ops
        .iter()
        .map(|output| match output {
            Output::Fib(FibOp::PutNexthop { .. }) => "put nexthop",
            Output::Fib(FibOp::PutRoute { key, .. }) if key.metric == 110 => "put ospf route",
            Output::Fib(FibOp::DelRoute { key }) if key.metric == 10 => "delete host route",
            Output::Fib(FibOp::DelNexthop { .. }) => "delete nexthop",
            Output::Fib(_) | Output::ReadFib(_) | Output::Event(_) => "something else",
        })
        .collect();
    assert_eq!(kinds, ["put nexthop", "put ospf route", "delete host route", "delete nexthop"]);
}

#[test]
fn a_change_of_metric_alone_is_no_business_of_the_kernel() {
    let mut world = quiet_world();
    offer(&mut world, 0, 1, Some(&[0, 1]));
    let ops = world.ops;
    let route =
        Route { metric: 8, nexthops: [1, 0, 1].map(|hop| nexthop(prefixes()[0], hop)).into() };
    let changes = vec![(prefixes()[0], Some(route))];
    world.tell(Input::Routes { vrf: VrfId(0), protocol: Protocol::Ospf, changes });
    assert_eq!(world.ops, ops);
    assert_eq!(world.rib.state().routes(VrfId(0)).next().unwrap().metric, 8);
}

#[test]
fn losing_a_link_asks_for_no_change_and_its_return_for_everything() {
    let mut world = quiet_world();
    for prefix in 0..4 {
        offer(&mut world, prefix, 1, Some(&[0]));
    }
    let ops = world.ops;
    world.link(1, Change::Down);
    assert_eq!(world.ops, ops);
    assert_eq!(world.rib.state().counters().installed, 0);
    world.link(1, Change::Up);
    assert_eq!(world.ops, ops + 5, "one nexthop, four routes");
    world.settle();
    world.assert_in_order();
}

#[test]
fn a_group_that_lost_a_member_gets_it_back_in_one_change() {
    let mut world = quiet_world();
    for prefix in 0..4 {
        offer(&mut world, prefix, 1, Some(&[0, 1]));
    }
    world.link(1, Change::Down);
    let ops = world.ops;
    world.link(1, Change::Up);
    assert_eq!(world.ops, ops + 2, "the nexthop and the group, no route");
    world.settle();
    world.assert_in_order();
}

#[test]
fn a_gateway_of_the_wrong_family_withdraws_the_route() {
    let mut world = quiet_world();
    offer(&mut world, 0, 1, Some(&[0]));
    let route = Route { metric: 1, nexthops: [nexthop(prefixes()[4], 0)].into() };
    let changes = vec![(prefixes()[0], Some(route))];
    world.tell(Input::Routes { vrf: VrfId(0), protocol: Protocol::Ospf, changes });
    assert!(world.fib.routes.is_empty());
    assert_eq!(world.rib.state().routes(VrfId(0)).count(), 0);
}

#[test]
fn nothing_is_put_before_the_first_snapshot() {
    let mut world = World { slowness: 3, ..World::new(true) };
    world.rib = Rib::new();
    world.link(1, Change::Up);
    world.vrf(0, Some(100));
    let ops = world.ops;
    offer(&mut world, 0, 1, Some(&[0]));
    world.step(Step::Neighbor { link: 1, host: 1, mac: Some(1) });
    assert_eq!(world.ops, ops);
    world.slowness = 0;
    world.step(Step::Wait(0));
    assert_eq!(world.ops, ops + 3, "neighbour, nexthop and route");
}

#[test]
fn a_storm_of_failures_asks_for_one_read() {
    let mut rib = Rib::new();
    let now = Time::from_secs(1);
    rib.handle(now, Input::Snapshot(FibSnapshot::default()));
    for id in 0..1000 {
        let op = FibOp::DelNexthop { id: NexthopId(NexthopId::RANGE.start() + id) };
        rib.handle(now, Input::Failed { op, reason: "ENOENT".into() });
    }
    let (at, _) = rib.deadline().unwrap();
    rib.handle(at, Input::Tick);
    let outputs: Vec<_> = std::iter::from_fn(|| rib.poll_output()).collect();
    let reads = outputs.iter().filter(|output| matches!(output, Output::ReadFib(_))).count();
    let events = outputs.iter().filter(|output| matches!(output, Output::Event(_))).count();
    assert_eq!((reads, events), (1, 2), "one read; the comparison and the first failure are told");
    assert_eq!(rib.state().counters().failures, 1000);
}
