//! A forwarding table that does and refuses what Linux does and refuses.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bugle_rib::Protocol;
use bugle_rib::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId};

use crate::digest::Digest;

/// The prefixes that a network can have routes to, numbered: all kernels share this.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    sorted: Vec<Prefix>,
    /// Where there may be a default route.
    default: Option<u32>,
    places: HashMap<Prefix, u32, BuildHasherDefault<Digest>>,
}

impl Prefixes {
    pub(crate) fn new(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        let mut sorted: Vec<Prefix> = prefixes.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let default = sorted.first().filter(|first| first.length() == 0).map(|_| 0);
        let places = (0..).zip(&sorted).map(|(place, &prefix)| (prefix, place)).collect();
        Self { sorted, default, places }
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Prefix> + use<'_> {
        self.sorted.iter().copied()
    }

    /// Where a route of a protocol stands; `None` for other routes.
    pub(crate) fn place(&self, key: &RouteKey) -> Option<Place> {
        let rank = (0..).zip(METRICS).find(|&(_, metric)| metric == key.metric)?.0;
        let number = self.number(key.prefix).filter(|_| key.table == TableId::MAIN)?;
        Some(Place(number << 1 | rank))
    }

    /// The number of a prefix, if it is known.
    pub(crate) fn number(&self, prefix: Prefix) -> Option<u32> {
        self.places.get(&prefix).copied()
    }

    fn key(&self, place: Place) -> RouteKey {
        let (number, rank) = place.parts();
        RouteKey { table: TableId::MAIN, prefix: self.sorted[number], metric: METRICS[rank] }
    }
}

/// The number of a prefix, and in the lowest bit the rank of the route to it among [`METRICS`]: a word, for there are many changes at
/// once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(u32);

impl Place {
    const fn parts(self) -> (usize, usize) {
        ((self.0 >> 1) as usize, (self.0 & 1) as usize)
    }
}

/// The metrics of the routes that protocols may have to a prefix: the kernel takes the lowest there is.
const METRICS: [u32; 2] = [Protocol::Ospf.kernel_metric(), Protocol::Isis.kernel_metric()];

/// What an operation changed, for whoever watches packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Changed {
    Nothing,
    Route(Prefix),
    /// Whatever used a nexthop object.
    Many,
}

/// An interface as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) up: bool,
    /// The network it is on; none where virtual machines are.
    pub(crate) network: Option<Prefix>,
}

#[derive(Clone, Debug)]
struct Object {
    what: What,
    /// How many routes use it.
    routes: u32,
}

#[derive(Clone, Debug)]
enum What {
    Single(Nexthop),
    Group(Group),
}

impl Object {
    const fn new(what: What) -> Self {
        Self { what, routes: 0 }
    }

    fn has_member(&self, id: NexthopId) -> bool {
        matches!(&self.what, What::Group(group) if group.all().any(|member| member == id))
    }
}

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way<'a> {
    /// No route.
    None,
    /// Dropped on purpose.
    Dropped,
    Single(Nexthop),
    Group(&'a Group),
}

/// One router's forwarding table. It outlives the router's speaker, as the kernel's does.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    devices: BTreeMap<IfIndex, Device>,
    objects: BTreeMap<NexthopId, Object>,
    prefixes: Arc<Prefixes>,
    /// The protocols' routes to known prefixes, by rank, each packed in a word: there are as many as routers times prefixes. Without
    /// any of a rank there is nothing.
    packed: [Vec<Packed>; METRICS.len()],
    others: BTreeMap<RouteKey, RouteTarget>,
    neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
}

/// A route's target in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Packed(u32);

impl Packed {
    const NONE: Self = Self(0);
    const BLACKHOLE: Self = Self(1);

    fn new(target: RouteTarget) -> Self {
        match target {
            RouteTarget::Blackhole => Self::BLACKHOLE,
            RouteTarget::Nexthop(id) => Self(id.0),
        }
    }

    fn get(self) -> Option<RouteTarget> {
        match self {
            Self::NONE => None,
            Self::BLACKHOLE => Some(RouteTarget::Blackhole),
            Self(id) => Some(RouteTarget::Nexthop(NexthopId(id))),
        }
    }
}

impl Kernel {
    pub(crate) fn new(
        devices: impl IntoIterator<Item = (IfIndex, Device)>,
        prefixes: &Arc<Prefixes>,
    ) -> Self {
        Self {
            devices: devices.into_iter().collect(),
            objects: BTreeMap::new(),
            prefixes: Arc::clone(prefixes),
            packed: METRICS.map(|_| Vec::new()),
            others: BTreeMap::new(),
            neighbors: BTreeMap::new(),
        }
    }

    /// Adds an interface.
    pub(crate) fn add_device(&mut self, ifindex: IfIndex, device: Device) {
        self.devices.insert(ifindex, device);
    }

    /// Carries out an operation, or says why not.
    pub(crate) fn carry_out(&mut self, op: &FibOp) -> Result<Changed, &'static str> {
        match op {
            FibOp::PutNexthop { id, nexthop } => self.put_nexthop(*id, *nexthop),
            FibOp::PutGroup { id, group } => self.put_group(*id, group),
            FibOp::DelNexthop { id } => Ok(self.delete_object(*id)),
            FibOp::PutRoute { key, target } => {
                self.can_use(*target)?;
                Ok(self.set_route(*key, Some(*target)))
            }
            FibOp::DelRoute { key } => Ok(self.set_route(*key, None)),
            FibOp::PutNeighbor { ifindex, address, mac } => {
                if !self.devices.contains_key(ifindex) {
                    return Err("Cannot find device");
                }
                self.neighbors.insert((*ifindex, *address), *mac);
                Ok(Changed::Nothing)
            }
            FibOp::DelNeighbor { ifindex, address } => {
                self.neighbors.remove(&(*ifindex, *address));
                Ok(Changed::Nothing)
            }
        }
    }

    /// Puts or deletes a protocol's route to a known prefix, or says why not.
    pub(crate) fn lead(
        &mut self,
        place: Place,
        target: Option<RouteTarget>,
    ) -> Result<Changed, &'static str> {
        target.map_or(Ok(()), |target| self.can_use(target))?;
        Ok(self.set_known(place, target))
    }

    /// The operation that [`lead`](Self::lead) carries out.
    pub(crate) fn leading(&self, place: Place, target: Option<RouteTarget>) -> FibOp {
        let key = self.prefixes.key(place);
        target.map_or(FibOp::DelRoute { key }, |target| FibOp::PutRoute { key, target })
    }

    /// Sets whether an interface can be used. If not, the kernel deletes the nexthop objects on it, with their routes, and tells
    /// nobody.
    pub(crate) fn set_up(&mut self, ifindex: IfIndex, up: bool) {
        let Some(device) = self.devices.get_mut(&ifindex) else { return };
        device.up = up;
        if up {
            return;
        }
        let on_it = |object: &Object| matches!(object.what, What::Single(nexthop) if nexthop.ifindex == ifindex);
        let gone: Vec<NexthopId> =
            self.objects.iter().filter(|(_, object)| on_it(object)).map(|(&id, _)| id).collect();
        for id in gone {
            self.delete_object(id);
        }
    }

    /// The ports of all virtual machines but these are gone, and with them their routes and neighbour entries.
    pub(crate) fn forget_other_hosts(&mut self, here: &[Ipv4Addr]) {
        let is_here = |address| matches!(address, IpAddr::V4(host) if here.contains(&host));
        let metric = Protocol::Host.kernel_metric();
        let gone: Vec<RouteKey> = self.others.keys().copied().collect();
        for key in gone.into_iter().filter(|key| key.metric == metric) {
            if !is_here(key.prefix.address()) {
                self.set_route(key, None);
            }
        }
        self.neighbors.retain(|&(_, address), _| is_here(address));
    }

    /// What there is, as a speaker that starts reads it.
    pub(crate) fn snapshot(&self) -> FibSnapshot {
        let mut snapshot = FibSnapshot::default();
        for (&id, object) in &self.objects {
            match &object.what {
                What::Single(nexthop) => snapshot.nexthops.push((id, *nexthop)),
                What::Group(group) => snapshot.groups.push((id, group.clone())),
            }
        }
        snapshot.routes = self.routes().map(|(key, target)| (key, Some(target))).collect();
        snapshot.neighbors =
            self.neighbors.iter().map(|(&(ifindex, at), &mac)| (ifindex, at, mac)).collect();
        snapshot
    }

    /// All routes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (RouteKey, RouteTarget)> + use<'_> {
        let packed = METRICS.into_iter().zip(&self.packed).flat_map(|(metric, packed)| {
            self.prefixes.iter().zip(packed).filter_map(move |(prefix, packed)| {
                Some((RouteKey { table: TableId::MAIN, prefix, metric }, packed.get()?))
            })
        });
        packed.chain(self.others.iter().map(|(&key, &target)| (key, target)))
    }

    /// The route with this key.
    pub(crate) fn route(&self, key: &RouteKey) -> Option<RouteTarget> {
        match self.prefixes.place(key) {
            Some(place) => {
                let (number, rank) = place.parts();
                self.known(number, rank)
            }
            None => self.others.get(key).copied(),
        }
    }

    /// The number of a host's prefix, the same in all kernels.
    pub(crate) fn number(&self, host: Ipv4Addr) -> Option<u32> {
        self.prefixes.number(Prefix::host(host.into()))
    }

    /// Where packets to a host of this number go. Networks do not count, but for the default route: no host is in one.
    pub(crate) fn lookup(&self, host: Ipv4Addr, number: Option<u32>) -> Way<'_> {
        let prefix = Prefix::host(host.into());
        let metric = Protocol::Host.kernel_metric();
        let own = self.others.get(&RouteKey { table: TableId::MAIN, prefix, metric }).copied();
        let known = |number: Option<u32>| {
            let number = number? as usize;
            (0..METRICS.len()).find_map(|rank| self.known(number, rank))
        };
        let found = own.or_else(|| known(number)).or_else(|| known(self.prefixes.default));
        found.map_or(Way::None, |target| self.way(target))
    }

    /// A protocol's route to a known prefix.
    fn known(&self, number: usize, rank: usize) -> Option<RouteTarget> {
        self.packed[rank].get(number)?.get()
    }

    /// Where a route leads.
    pub(crate) fn way(&self, target: RouteTarget) -> Way<'_> {
        let RouteTarget::Nexthop(id) = target else { return Way::Dropped };
        match self.objects.get(&id).map(|object| &object.what) {
            None => Way::None,
            Some(What::Single(nexthop)) => Way::Single(*nexthop),
            Some(What::Group(group)) => Way::Group(group),
        }
    }

    /// The nexthop of a single object.
    pub(crate) fn nexthop(&self, id: NexthopId) -> Option<Nexthop> {
        match self.objects.get(&id)?.what {
            What::Single(nexthop) => Some(nexthop),
            What::Group(_) => None,
        }
    }

    /// Objects that no route and no group uses.
    pub(crate) fn useless_objects(&self) -> usize {
        let in_group = |id| self.objects.values().any(|object| object.has_member(id));
        self.objects.iter().filter(|&(&id, object)| object.routes == 0 && !in_group(id)).count()
    }

    fn put_nexthop(&mut self, id: NexthopId, nexthop: Nexthop) -> Result<Changed, &'static str> {
        let Some(device) = self.devices.get(&nexthop.ifindex) else {
            return Err("Nexthop device not found");
        };
        if !device.up {
            return Err("Nexthop device is not up");
        }
        if let Some(gateway) = nexthop.gateway
            && !device.network.is_some_and(|network| network.contains(gateway))
        {
            return Err("Nexthop has invalid gateway");
        }
        match self.objects.get_mut(&id).map(|object| &mut object.what) {
            Some(What::Group(_)) => Err("Can not replace a nexthop group with a nexthop"),
            Some(What::Single(old)) => {
                let same = std::mem::replace(old, nexthop) == nexthop;
                Ok(if same { Changed::Nothing } else { Changed::Many })
            }
            None => {
                self.objects.insert(id, Object::new(What::Single(nexthop)));
                Ok(Changed::Nothing)
            }
        }
    }

    fn put_group(&mut self, id: NexthopId, group: &Group) -> Result<Changed, &'static str> {
        if group.members.is_empty() {
            return Err("Group has no members");
        }
        if group.all().any(|member| self.nexthop(member).is_none()) {
            return Err("Invalid nexthop id in group");
        }
        match self.objects.get_mut(&id).map(|object| &mut object.what) {
            Some(What::Single(_)) => Err("Can not replace a nexthop with a nexthop group"),
            Some(What::Group(old)) => {
                // Who stands by bears no packets.
                let same = old.members == group.members;
                old.clone_from(group);
                Ok(if same { Changed::Nothing } else { Changed::Many })
            }
            None => {
                self.objects.insert(id, Object::new(What::Group(group.clone())));
                Ok(Changed::Nothing)
            }
        }
    }

    /// Deletes an object; what used it goes too: routes, membership of groups, and groups without members.
    fn delete_object(&mut self, id: NexthopId) -> Changed {
        let Some(object) = self.objects.remove(&id) else { return Changed::Nothing };
        let mut changed = Changed::Nothing;
        if object.routes > 0 {
            let packed = Packed::new(RouteTarget::Nexthop(id));
            for slot in self.packed.iter_mut().flatten().filter(|slot| **slot == packed) {
                *slot = Packed::NONE;
            }
            self.others.retain(|_, target| *target != RouteTarget::Nexthop(id));
            changed = Changed::Many;
        }
        if matches!(object.what, What::Single(_)) {
            let mut empty = Vec::new();
            for (&number, object) in
                self.objects.iter_mut().filter(|(_, other)| other.has_member(id))
            {
                let What::Group(group) = &mut object.what else { continue };
                changed = Changed::Many;
                let mut left =
                    group.members.iter().copied().filter(|&member| member != id).peekable();
                let standby = group.standby.filter(|&standby| standby != id);
                // Who stands by bears the traffic when nobody else is left.
                *group = if left.peek().is_some() {
                    Group { members: left.collect(), standby }
                } else {
                    Group { members: standby.into_iter().collect(), standby: None }
                };
                if group.members.is_empty() {
                    empty.push(number);
                }
            }
            for group in empty {
                self.delete_object(group);
            }
        }
        changed
    }

    fn can_use(&self, target: RouteTarget) -> Result<(), &'static str> {
        match target {
            RouteTarget::Nexthop(id) if !self.objects.contains_key(&id) => {
                Err("Nexthop id does not exist")
            }
            RouteTarget::Nexthop(_) | RouteTarget::Blackhole => Ok(()),
        }
    }

    fn set_route(&mut self, key: RouteKey, target: Option<RouteTarget>) -> Changed {
        if let Some(place) = self.prefixes.place(&key) {
            return self.set_known(place, target);
        }
        let old = match target {
            Some(target) => self.others.insert(key, target),
            None => self.others.remove(&key),
        };
        self.replaced(key.prefix, old, target)
    }

    fn set_known(&mut self, place: Place, target: Option<RouteTarget>) -> Changed {
        let (number, rank) = place.parts();
        let packed = &mut self.packed[rank];
        if packed.is_empty() && target.is_some() {
            packed.resize(self.prefixes.iter().len(), Packed::NONE);
        }
        let new = target.map_or(Packed::NONE, Packed::new);
        let held = packed.get_mut(number);
        let old = held.and_then(|held| std::mem::replace(held, new).get());
        self.replaced(self.prefixes.key(place).prefix, old, target)
    }

    /// A route leads elsewhere than before: objects are used more or less.
    fn replaced(
        &mut self,
        prefix: Prefix,
        old: Option<RouteTarget>,
        new: Option<RouteTarget>,
    ) -> Changed {
        if old == new {
            return Changed::Nothing;
        }
        for (target, more) in [(old, false), (new, true)] {
            if let Some(RouteTarget::Nexthop(id)) = target
                && let Some(object) = self.objects.get_mut(&id)
            {
                object.routes =
                    if more { object.routes + 1 } else { object.routes.saturating_sub(1) };
            }
        }
        Changed::Route(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: IfIndex = IfIndex(1);
    const DOWN: IfIndex = IfIndex(2);
    const OTHER: IfIndex = IfIndex(3);

    fn id(n: u32) -> NexthopId {
        NexthopId(NexthopId::RANGE.start() + n)
    }

    fn kernel() -> Kernel {
        let network = "10.0.0.0/24".parse().ok();
        let device = |up| Device { up, network };
        let prefixes = Arc::new(Prefixes::new(["10.100.0.1/32".parse().unwrap()]));
        Kernel::new([(UP, device(true)), (DOWN, device(false)), (OTHER, device(true))], &prefixes)
    }

    fn put(n: u32, ifindex: IfIndex, gateway: &str) -> FibOp {
        let nexthop = Nexthop::via(ifindex, gateway.parse().unwrap());
        FibOp::PutNexthop { id: id(n), nexthop }
    }

    fn group(n: u32, members: &[u32]) -> FibOp {
        let members = members.iter().map(|&member| id(member)).collect();
        FibOp::PutGroup { id: id(n), group: Group { members, standby: None } }
    }

    fn lookup(kernel: &Kernel) -> Way<'_> {
        let host = "10.100.0.1".parse().unwrap();
        kernel.lookup(host, kernel.number(host))
    }

    fn key(prefix: &str) -> RouteKey {
        let metric = Protocol::Ospf.kernel_metric();
        RouteKey { table: TableId::MAIN, prefix: prefix.parse().unwrap(), metric }
    }

    fn route(prefix: &str, n: u32) -> FibOp {
        FibOp::PutRoute { key: key(prefix), target: RouteTarget::Nexthop(id(n)) }
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        let mut kernel = kernel();
        for op in [put(0, UP, "10.0.0.2"), put(1, OTHER, "10.0.0.3"), group(2, &[0, 1])] {
            assert!(kernel.carry_out(&op).is_ok(), "{op:?}");
        }
        for op in [
            put(3, DOWN, "10.0.0.2"),
            put(3, IfIndex(9), "10.0.0.2"),
            put(3, UP, "10.0.1.2"),
            put(2, UP, "10.0.0.2"),
            group(0, &[1]),
            group(3, &[]),
            group(3, &[7]),
            group(3, &[2]),
            route("10.100.0.1/32", 3),
        ] {
            assert!(kernel.carry_out(&op).is_err(), "{op:?}");
        }
        assert!(kernel.carry_out(&FibOp::DelNexthop { id: id(9) }).is_ok());
    }

    #[test]
    fn a_carrier_that_goes_takes_objects_routes_and_empty_groups_with_it() {
        let mut kernel = kernel();
        // One prefix is among those that were known, the other is not.
        let (known, other) = ("10.100.0.1/32", "10.9.0.0/24");
        for op in [
            put(0, UP, "10.0.0.2"),
            put(1, OTHER, "10.0.0.3"),
            group(2, &[0, 1]),
            route(known, 2),
            route(other, 0),
        ] {
            kernel.carry_out(&op).unwrap();
        }
        assert_eq!((kernel.routes().count(), kernel.useless_objects()), (2, 0));
        kernel.set_up(UP, false);
        assert_eq!(kernel.route(&key(other)), None);
        let target = kernel.route(&key(known)).unwrap();
        let left = Group { members: [id(1)].into(), standby: None };
        assert_eq!(kernel.way(target), Way::Group(&left));
        kernel.set_up(OTHER, false);
        assert_eq!(kernel.routes().count(), 0);
        assert_eq!(kernel.snapshot(), FibSnapshot::default());
    }

    #[test]
    fn who_stands_by_bears_the_traffic_when_nobody_else_is_left() {
        let mut kernel = kernel();
        let standby = Some(id(1));
        let group = Group { members: [id(0)].into(), standby };
        for op in [
            put(0, UP, "10.0.0.2"),
            put(1, OTHER, "10.0.0.3"),
            FibOp::PutGroup { id: id(2), group },
            route("10.100.0.1/32", 2),
        ] {
            kernel.carry_out(&op).unwrap();
        }
        kernel.set_up(UP, false);
        let left = Group { members: standby.into_iter().collect(), standby: None };
        assert_eq!(lookup(&kernel), Way::Group(&left));
    }

    #[test]
    fn what_changes_nothing_for_packets_is_told_apart() {
        let mut kernel = kernel();
        let mut carry_out = |op| kernel.carry_out(&op).unwrap();
        carry_out(put(0, UP, "10.0.0.2"));
        carry_out(put(1, OTHER, "10.0.0.3"));
        assert_eq!(carry_out(put(1, OTHER, "10.0.0.3")), Changed::Nothing);
        carry_out(group(2, &[0]));
        let guarded = Group { members: [id(0)].into(), standby: Some(id(1)) };
        assert_eq!(carry_out(FibOp::PutGroup { id: id(2), group: guarded }), Changed::Nothing);
        assert_eq!(carry_out(group(2, &[0, 1])), Changed::Many);
    }

    #[test]
    fn a_changed_object_changes_many_routes_and_a_changed_route_itself() {
        let mut kernel = kernel();
        kernel.carry_out(&put(0, UP, "10.0.0.2")).unwrap();
        let prefix = key("10.100.0.1/32").prefix;
        let op = route("10.100.0.1/32", 0);
        assert_eq!(kernel.carry_out(&op), Ok(Changed::Route(prefix)));
        assert_eq!(kernel.carry_out(&op), Ok(Changed::Nothing));
        assert_eq!(kernel.carry_out(&put(0, OTHER, "10.0.0.3")), Ok(Changed::Many));
        assert_eq!(kernel.carry_out(&FibOp::DelNexthop { id: id(0) }), Ok(Changed::Many));
        assert_eq!(lookup(&kernel), Way::None);
    }
}
