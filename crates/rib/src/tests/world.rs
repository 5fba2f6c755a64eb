//! An engine with its simulated kernel, and an oracle that computes anew what should be there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId, Time, VrfId};

use super::sim_fib::{Led, Object, SimFib};
use crate::fib::{FibOp, FibSnapshot, NexthopId, Removable, RouteKey, RouteTarget};
use crate::{Event, Input, Output, Protocol, Queue, Rib, Route, RouteChange};

pub(super) const LINKS: u32 = 3;

/// Routes that may go with a router: one on each of a few groups that have no other member.
const MOST_LOST: usize = 4;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Route {
        vrf: u32,
        protocol: usize,
        prefix: usize,
        hops: Option<Vec<usize>>,
        backup: Option<usize>,
    },
    /// One event gives several prefixes the same path.
    Routes {
        vrf: u32,
        prefixes: BTreeSet<usize>,
        hops: Vec<usize>,
        backup: Option<usize>,
    },
    Reach {
        hop: usize,
        reachable: bool,
    },
    /// Whoever watches the router removes the objects that lead to it, and then tells of that; and that it is dead, if it is.
    Removed {
        hop: usize,
        dead: bool,
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
pub(super) enum Change {
    Up,
    CarrierLost,
    SetDown,
    Gone,
}

/// What an engine in lockstep with the kernel never sees.
#[derive(Clone, Debug)]
pub(super) enum Chaos {
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

pub(super) fn prefixes() -> [Prefix; 6] {
    ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::1/128", "2001:db8::/64"]
        .map(|text| text.parse().unwrap())
}

/// Two gateways on each link, and the link itself.
pub(super) fn nexthop(prefix: Prefix, index: usize) -> Nexthop {
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

pub(super) fn mac(index: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, index])
}

pub(super) fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

/// A route's nexthops, and the backup.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Way {
    pub(super) hops: BTreeSet<Nexthop>,
    pub(super) backup: Option<Nexthop>,
}

impl Way {
    fn new(hops: BTreeSet<Nexthop>, backup: Option<Nexthop>) -> Self {
        let backup = backup.filter(|backup| !hops.is_empty() && !hops.contains(backup));
        Self { hops, backup }
    }

    fn route(&self) -> Route {
        let nexthops = self.hops.iter().copied().collect();
        Route { metric: 7, nexthops, backup: self.backup }
    }

    /// What the kernel goes over to by itself when the link goes.
    fn standby(&self) -> Option<Nexthop> {
        let links: BTreeSet<_> = self.hops.iter().map(|hop| hop.ifindex).collect();
        self.backup.filter(|backup| links.len() == 1 && !links.contains(&backup.ifindex))
    }

    fn is_group(&self) -> bool {
        self.hops.len() > 1
            || self.hops.iter().any(|hop| hop.gateway.is_some() || self.backup.is_some())
    }
}

/// What was told to the engine.
#[derive(Default)]
pub(super) struct Oracle {
    pub(super) offers: BTreeMap<(VrfId, Prefix, Protocol), Way>,
    pub(super) unreachable: BTreeSet<(IfIndex, IpAddr)>,
    pub(super) tables: BTreeMap<VrfId, TableId>,
    pub(super) neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
    pub(super) without_standby: bool,
}

impl Oracle {
    /// The best offer of each prefix.
    pub(super) fn selected(&self) -> BTreeMap<(VrfId, Prefix), (Protocol, &Way)> {
        let mut best = BTreeMap::new();
        for ((vrf, prefix, protocol), way) in &self.offers {
            let entry = best.entry((*vrf, *prefix)).or_insert((*protocol, way));
            if protocol.distance() < entry.0.distance() {
                *entry = (*protocol, way);
            }
        }
        best
    }

    /// What the kernel should hold, and where each route should lead.
    pub(super) fn wanted(&self, up: &BTreeSet<IfIndex>) -> BTreeMap<RouteKey, Led> {
        let mut wanted = BTreeMap::new();
        for ((vrf, prefix), (protocol, way)) in self.selected() {
            let Some(&table) = self.tables.get(&vrf) else { continue };
            let led = self.led(way, up);
            if led.0.is_empty() && !way.hops.is_empty() {
                continue;
            }
            wanted.insert(RouteKey { table, prefix, metric: protocol.kernel_metric() }, led);
        }
        wanted
    }

    /// Where packets should go now, and what should stand by.
    pub(super) fn led(&self, way: &Way, up: &BTreeSet<IfIndex>) -> Led {
        let now = self.now(way, up);
        let can = |hop: &Nexthop| {
            !self.without_standby && up.contains(&hop.ifindex) && !now.contains(hop)
        };
        let standby = way.standby().filter(can);
        (now, standby)
    }

    /// The best that is left.
    fn now(&self, way: &Way, up: &BTreeSet<IfIndex>) -> BTreeSet<Nexthop> {
        let usable = |hop: &Nexthop| up.contains(&hop.ifindex);
        let alive = |hop: &Nexthop| {
            let unreachable =
                hop.gateway.is_some_and(|at| self.unreachable.contains(&(hop.ifindex, at)));
            usable(hop) && !unreachable
        };
        let backup: BTreeSet<Nexthop> = way.backup.into_iter().collect();
        let some = |hops: &BTreeSet<Nexthop>, test: &dyn Fn(&Nexthop) -> bool| -> BTreeSet<_> {
            hops.iter().copied().filter(test).collect()
        };
        [some(&way.hops, &alive), some(&backup, &alive), some(&way.hops, &usable)]
            .into_iter()
            .find(|left| !left.is_empty())
            .unwrap_or_else(|| some(&backup, &usable))
    }

    /// The objects that the kernel needs for that: the single ones, and the groups.
    pub(super) fn objects(&self, up: &BTreeSet<IfIndex>) -> (usize, usize) {
        let mut objects = BTreeSet::new();
        for ((vrf, _), (_, way)) in self.selected() {
            let (now, standby) = self.led(way, up);
            if now.is_empty() || !self.tables.contains_key(&vrf) {
                continue;
            }
            objects.insert((way.clone(), false));
            let members = now.into_iter().chain(standby).filter(|_| way.is_group());
            let parts = members.map(|hop| Way::new(BTreeSet::from([hop]), None));
            objects.extend(parts.map(|way| (way, true)));
        }
        let groups = objects.iter().filter(|(way, is_part)| way.is_group() && !is_part).count();
        (objects.len() - groups, groups)
    }
}

/// An engine and its kernel.
pub(super) struct World {
    pub(super) rib: Rib,
    pub(super) fib: SimFib,
    pub(super) oracle: Oracle,
    pub(super) now: Time,
    /// In lockstep the kernel never refuses anything.
    pub(super) lockstep: bool,
    pub(super) refuse: usize,
    /// What was asked of the kernel and is still to be done.
    pub(super) queue: Queue,
    /// How much of that the kernel does after each input.
    pub(super) speed: usize,
    pub(super) slowness: usize,
    /// Snapshots on the way, with the steps they still take.
    pub(super) on_the_way: Vec<(usize, FibSnapshot)>,
    pub(super) ops: usize,
    /// What the kernel was asked for, in lockstep.
    pub(super) log: Vec<FibOp>,
    /// Objects came to a path that others stood for already, so there can be more than needed; as when the kernel refuses
    /// something, or has something else.
    pub(super) turned: bool,
    /// Routes that the engine asked to delete.
    pub(super) deleted: BTreeSet<RouteKey>,
    /// What may be removed without asking.
    pub(super) removable: Removable,
    /// What the engine told.
    pub(super) events: Vec<Event>,
}

impl World {
    pub(super) fn new(lockstep: bool) -> Self {
        let mut world = Self {
            rib: Rib::new(),
            fib: SimFib::default(),
            oracle: Oracle::default(),
            now: Time::from_secs(1000),
            lockstep,
            refuse: 0,
            queue: Queue::default(),
            speed: usize::MAX,
            slowness: 0,
            on_the_way: Vec::new(),
            ops: 0,
            log: Vec::new(),
            events: Vec::new(),
            turned: false,
            deleted: BTreeSet::new(),
            removable: Removable::new(),
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

    pub(super) fn tell(&mut self, input: Input) {
        self.rib.handle(self.now, input);
        let mut failed = Vec::new();
        while let Some(output) = self.rib.poll_output() {
            match output {
                Output::Fib(op) => self.queue.push(op),
                Output::Divert(op) => self.queue.divert(op),
                Output::ReadFib => {
                    self.work(usize::MAX, &mut failed);
                    self.on_the_way.push((self.slowness, self.fib.snapshot()));
                }
                Output::Removable(removable) => self.removable = removable,
                Output::Event(event) => self.events.push(event),
            }
        }
        self.work(self.speed, &mut failed);
        for (op, reason) in failed {
            self.tell(Input::Failed { op, reason });
        }
        self.deliver();
    }

    /// Has the kernel do up to so much of what waits.
    fn work(&mut self, changes: usize, failed: &mut Vec<(FibOp, String)>) {
        for _ in 0..changes {
            let Some(op) = self.queue.pop() else { return };
            self.ops += 1;
            if self.lockstep {
                self.log.push(op.clone());
            }
            if let FibOp::DelRoute { key } = &op {
                self.deleted.insert(*key);
            }
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
    }

    pub(super) fn deliver(&mut self) {
        while let Some(index) = self.on_the_way.iter().position(|(steps, _)| *steps == 0) {
            let (_, snapshot) = self.on_the_way.remove(index);
            self.tell(Input::Snapshot(snapshot));
        }
    }

    pub(super) fn link(&mut self, link: u32, change: Change) {
        let ifindex = IfIndex(link);
        // What the kernel was asked for before the link changed cannot be blamed for it.
        self.work(usize::MAX, &mut Vec::new());
        match change {
            Change::Up => {
                self.fib.up.insert(ifindex);
                self.tell(Input::Link { ifindex, usable: true });
            }
            Change::CarrierLost => {
                self.fib.carrier_lost(ifindex);
                self.tell(Input::Link { ifindex, usable: false });
            }
            Change::SetDown => {
                self.fib.set_down(ifindex);
                self.tell(Input::Link { ifindex, usable: false });
            }
            Change::Gone => {
                self.fib.set_down(ifindex);
                self.oracle.unreachable.retain(|(on, _)| *on != ifindex);
                self.tell(Input::LinkGone(ifindex));
            }
        }
    }

    /// From now on the kernel is an old one, if nothing was put into it yet.
    pub(super) fn without_standby(&mut self, without: bool) {
        (self.fib.without_standby, self.oracle.without_standby) = (without, without);
        self.tell(Input::Disturbed);
        self.step(Step::Wait(2000));
    }

    pub(super) fn vrf(&mut self, vrf: u32, table: Option<u32>) {
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

    pub(super) fn step(&mut self, step: Step) {
        for (steps, _) in &mut self.on_the_way {
            *steps = steps.saturating_sub(1);
        }
        self.deliver();
        match step {
            Step::Route { vrf, protocol, prefix, hops, backup } => {
                let (vrf, protocol) = (VrfId(vrf), Protocol::ALL[protocol]);
                let change = self.change(vrf, protocol, prefix, hops, backup);
                self.tell(Input::Routes { vrf, protocol, changes: vec![change] });
            }
            Step::Routes { vrf, prefixes, hops, backup } => {
                self.turned = true;
                let (vrf, protocol) = (VrfId(vrf), Protocol::Ospf);
                let changes = prefixes
                    .into_iter()
                    .map(|prefix| self.change(vrf, protocol, prefix, Some(hops.clone()), backup))
                    .collect();
                self.tell(Input::Routes { vrf, protocol, changes });
            }
            Step::Reach { hop, reachable } => {
                for prefix in [prefixes()[0], prefixes()[4]] {
                    let Nexthop { ifindex, gateway: Some(address) } = nexthop(prefix, hop) else {
                        continue;
                    };
                    if reachable {
                        self.oracle.unreachable.remove(&(ifindex, address));
                    } else {
                        self.oracle.unreachable.insert((ifindex, address));
                    }
                    self.tell(Input::Reachable { ifindex, address, reachable });
                }
            }
            Step::Removed { hop, dead } => {
                for prefix in [prefixes()[0], prefixes()[4]] {
                    self.remove(nexthop(prefix, hop));
                }
                if dead {
                    self.step(Step::Reach { hop, reachable: false });
                }
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

    /// The objects that lead to a router are removed, as the engine told that they may be.
    fn remove(&mut self, hop: Nexthop) {
        let router = hop.gateway.map(|gateway| (hop.ifindex, gateway));
        let Some(ids) = router.and_then(|router| self.removable.get(&router)).cloned() else {
            return;
        };
        if self.lockstep {
            // What the kernel was asked for before cannot be blamed for it.
            self.work(usize::MAX, &mut Vec::new());
        }
        let before = self.fib.routes.len();
        for id in &ids {
            self.fib.remove_object(*id);
        }
        assert!(!self.lockstep || before <= self.fib.routes.len() + MOST_LOST, "{ids:?}");
        self.tell(Input::Removed(ids));
    }

    /// Tells the oracle of a route; returns what to tell the engine.
    fn change(
        &mut self,
        vrf: VrfId,
        protocol: Protocol,
        prefix: usize,
        hops: Option<Vec<usize>>,
        backup: Option<usize>,
    ) -> RouteChange {
        let (key, prefix) = ((vrf, prefixes()[prefix], protocol), prefixes()[prefix]);
        let backup = backup.map(|index| nexthop(prefix, index));
        let Some(hops) = hops else {
            self.oracle.offers.remove(&key);
            return (prefix, None);
        };
        let nexthops: Arc<[Nexthop]> =
            hops.into_iter().map(|index| nexthop(prefix, index)).collect();
        let way = Way::new(nexthops.iter().copied().collect(), backup);
        self.oracle.offers.insert(key, way);
        (prefix, Some(Route { metric: 7, nexthops, backup }))
    }

    /// The engine dies and a new one is told the same.
    pub(super) fn restart(&mut self) {
        self.turned = true;
        self.oracle.unreachable.clear();
        self.rib = Rib::new();
        self.on_the_way.clear();
        for link in self.fib.up.clone() {
            self.tell(Input::Link { ifindex: link, usable: true });
        }
        for (vrf, table) in self.oracle.tables.clone() {
            self.tell(Input::Vrf { vrf, table: Some(table) });
        }
        for ((vrf, prefix, protocol), way) in self.oracle.offers.clone() {
            let changes = vec![(prefix, Some(way.route()))];
            self.tell(Input::Routes { vrf, protocol, changes });
        }
        for ((ifindex, address), mac) in self.oracle.neighbors.clone() {
            self.tell(Input::Neighbor { ifindex, address, mac: Some(mac) });
        }
    }

    pub(super) fn chaos(&mut self, chaos: &Chaos) {
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
                    0 if !members.is_empty() => Object::Group(members, None),
                    1 if !members.is_empty() => Object::Other(members),
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
    pub(super) fn settle(&mut self) {
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
        for _ in 0..60 {
            let Some((at, _)) = self.rib.deadline() else { return };
            self.now = at.max(self.now);
            self.tell(Input::Tick);
        }
        panic!("the engine does not come to rest");
    }

    /// At rest the kernel holds exactly what the oracle says, in no more objects than needed.
    pub(super) fn assert_in_order(&self) {
        let wanted = self.oracle.wanted(&self.fib.up);
        let there: BTreeMap<_, _> =
            self.fib.routes.iter().map(|(key, to)| (*key, self.fib.resolve(*to))).collect();
        assert_eq!(there, wanted);

        let (singles, groups) = self.oracle.objects(&self.fib.up);
        let counters = self.rib.state().counters();
        let is_group = |object: &&Object| !matches!(object, Object::Single(_));
        let ours = self.fib.ours().count();
        let groups_there = self.fib.ours().filter(|(_, object)| is_group(object)).count();
        assert_eq!((counters.nexthops, counters.groups), (ours - groups_there, groups_there));
        if self.turned || !self.lockstep {
            for (id, _) in self.fib.ours() {
                assert!(self.fib.is_used(*id), "{id:?} is of no use");
            }
        } else {
            assert_eq!((ours - groups_there, groups_there), (singles, groups));
        }

        assert_eq!(counters.routes, self.oracle.selected().len());
        assert_eq!(counters.installed, wanted.len());
        assert_eq!(counters.unclaimed, 0);

        for (vrf, prefix) in self.oracle.selected().keys() {
            let (protocol, way) = self.oracle.selected()[&(*vrf, *prefix)];
            let shown =
                self.rib.state().routes(*vrf).find(|route| route.prefix == *prefix).unwrap();
            assert_eq!(shown.protocol, protocol);
            assert!(shown.nexthops.iter().eq(&way.hops));
            assert_eq!(shown.backup, way.backup);
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
