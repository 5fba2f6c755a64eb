//! A forwarding table that behaves like the kernel's and minds the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bugle_types::{IfIndex, Mac, Nexthop};

use crate::Protocol;
use crate::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Object {
    Single(Nexthop),
    Group(BTreeSet<NexthopId>, Option<NexthopId>),
    /// A group of another kind.
    Other(BTreeSet<NexthopId>),
}

/// Where packets go, and where the kernel sends them by itself when that is lost.
pub(crate) type Led = (BTreeSet<Nexthop>, Option<Nexthop>);

/// The part of the kernel's tables that carries our protocol number, and all nexthop objects.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SimFib {
    pub(crate) objects: BTreeMap<NexthopId, Object>,
    pub(crate) routes: BTreeMap<RouteKey, RouteTarget>,
    pub(crate) neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
    pub(crate) up: BTreeSet<IfIndex>,
    /// As an old kernel, which lets no member stand by.
    pub(crate) without_standby: bool,
}

impl SimFib {
    /// Carries out a change as the kernel would, or refuses it. Deleting what is gone, or a nexthop in use, is an error
    /// too: the kernel would not mind, but nobody should ask.
    pub(crate) fn apply(&mut self, op: &FibOp) -> Result<(), String> {
        assert_ours(op);
        match op {
            FibOp::PutNexthop { id, nexthop } => {
                check(self.up.contains(&nexthop.ifindex), "carrier is down")?;
                let single = matches!(self.objects.get(id), None | Some(Object::Single(_)));
                check(single, "is a group")?;
                self.objects.insert(*id, Object::Single(*nexthop));
            }
            FibOp::PutGroup { id, group } => {
                check(!group.members.is_empty(), "empty group")?;
                check(!(self.without_standby && group.standby.is_some()), "invalid attribute")?;
                let alike = matches!(self.objects.get(id), None | Some(Object::Group(..)));
                check(alike, "is no group, or of a different type")?;
                for member in group.all() {
                    let single = matches!(self.objects.get(&member), Some(Object::Single(_)));
                    check(single, "a member is no single nexthop")?;
                }
                let all: BTreeSet<_> = group.all().collect();
                check(all.len() == group.all().count(), "a member is there twice")?;
                let families = all.iter().filter_map(|id| self.gateway(*id)).map(|g| g.is_ipv4());
                check(families.collect::<BTreeSet<_>>().len() < 2, "mixed address families")?;
                let members = group.members.iter().copied().collect();
                self.objects.insert(*id, Object::Group(members, group.standby));
            }
            FibOp::DelNexthop { id } => {
                let used = self.is_used(*id);
                let existed = self.remove_object(*id);
                check(!used, "a route or a group uses the nexthop")?;
                check(existed, "no such nexthop")?;
            }
            FibOp::PutRoute { key, target } => {
                if let RouteTarget::Nexthop(id) = target {
                    check(self.objects.contains_key(id), "the nexthop does not exist")?;
                }
                self.routes.insert(*key, *target);
            }
            FibOp::DelRoute { key } => {
                check(self.routes.remove(key).is_some(), "no such route")?;
            }
            FibOp::PutNeighbor { ifindex, address, mac } => {
                check(self.up.contains(ifindex), "link is down")?;
                self.neighbors.insert((*ifindex, *address), *mac);
            }
            // Nobody can know whether the entry survived the link's going down.
            FibOp::DelNeighbor { ifindex, address } => {
                self.neighbors.remove(&(*ifindex, *address));
            }
        }
        Ok(())
    }

    /// The carrier goes: without a word, everything on the link does as well, except permanent neighbours.
    pub(crate) fn carrier_lost(&mut self, ifindex: IfIndex) {
        self.up.remove(&ifindex);
        let on_link = |object: &Object| matches!(object, Object::Single(n) if n.ifindex == ifindex);
        let dead: Vec<_> =
            self.objects.iter().filter(|(_, o)| on_link(o)).map(|(id, _)| *id).collect();
        for id in dead {
            self.remove_object(id);
        }
    }

    /// The interface is set down or deleted: permanent neighbours go, too.
    pub(crate) fn set_down(&mut self, ifindex: IfIndex) {
        self.carrier_lost(ifindex);
        self.neighbors.retain(|(on, _), _| *on != ifindex);
    }

    /// Removes an object as the kernel does: out of its groups, empty groups with it, and the routes on all of them.
    pub(crate) fn remove_object(&mut self, id: NexthopId) -> bool {
        let existed = self.objects.remove(&id).is_some();
        let mut dead = vec![id];
        for (group, object) in &mut self.objects {
            let members = match object {
                Object::Single(_) => continue,
                Object::Group(members, standby) => {
                    members.remove(&id);
                    *standby = standby.filter(|standby| *standby != id);
                    if members.is_empty() {
                        members.extend(standby.take());
                    }
                    members
                }
                Object::Other(members) => {
                    members.remove(&id);
                    members
                }
            };
            if members.is_empty() {
                dead.push(*group);
            }
        }
        for id in dead {
            self.objects.remove(&id);
            self.routes.retain(|_, target| *target != RouteTarget::Nexthop(id));
        }
        existed
    }

    /// Whether a route or a group leads to an object.
    pub(crate) fn is_used(&self, id: NexthopId) -> bool {
        let names = |object: &Object| match object {
            Object::Single(_) => false,
            Object::Group(ids, standby) => ids.contains(&id) || *standby == Some(id),
            Object::Other(ids) => ids.contains(&id),
        };
        self.routes.values().any(|target| *target == RouteTarget::Nexthop(id))
            || self.objects.values().any(names)
    }

    /// Nexthop objects in our range.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (&NexthopId, &Object)> {
        self.objects.iter().filter(|(id, _)| NexthopId::RANGE.contains(&id.0))
    }

    /// The ids of single nexthops, another daemon's among them.
    pub(crate) fn singles(&self) -> impl Iterator<Item = NexthopId> {
        let single = |object: &Object| matches!(object, Object::Single(_));
        self.objects.iter().filter(move |(_, object)| single(object)).map(|(id, _)| *id)
    }

    pub(crate) fn snapshot(&self) -> FibSnapshot {
        let mut snapshot =
            FibSnapshot { without_standby: self.without_standby, ..FibSnapshot::default() };
        for (id, object) in self.ours() {
            match object {
                Object::Single(nexthop) => snapshot.nexthops.push((*id, *nexthop)),
                Object::Group(ids, standby) => {
                    let members = ids.iter().copied().collect();
                    snapshot.groups.push((*id, Group { members, standby: *standby }));
                }
                Object::Other(ids) => snapshot.others.push((*id, ids.iter().copied().collect())),
            }
        }
        snapshot.routes = self.routes.iter().map(|(key, target)| (*key, Some(*target))).collect();
        snapshot.neighbors =
            self.neighbors.iter().map(|((link, address), mac)| (*link, *address, *mac)).collect();
        snapshot
    }

    /// Where a target leads; the empty set drops packets.
    pub(crate) fn resolve(&self, target: RouteTarget) -> Led {
        let RouteTarget::Nexthop(id) = target else { return Led::default() };
        let hop = |id: &NexthopId| match self.objects[id] {
            Object::Single(nexthop) => Some(nexthop),
            Object::Group(..) | Object::Other(_) => None,
        };
        match &self.objects[&id] {
            Object::Single(nexthop) => (BTreeSet::from([*nexthop]), None),
            Object::Group(ids, standby) => {
                (ids.iter().filter_map(hop).collect(), standby.as_ref().and_then(hop))
            }
            Object::Other(ids) => (ids.iter().filter_map(hop).collect(), None),
        }
    }

    fn gateway(&self, id: NexthopId) -> Option<IpAddr> {
        match self.objects.get(&id)? {
            Object::Single(nexthop) => nexthop.gateway,
            Object::Group(..) | Object::Other(_) => None,
        }
    }
}

fn check(rule: bool, broken: &str) -> Result<(), String> {
    if rule { Ok(()) } else { Err(broken.to_owned()) }
}

/// Another daemon's nexthops and routes cannot be named.
fn assert_ours(op: &FibOp) {
    let ours = |id: &NexthopId| NexthopId::RANGE.contains(&id.0);
    let metrics = Protocol::ALL.map(Protocol::kernel_metric);
    match op {
        FibOp::PutNexthop { id, .. } | FibOp::DelNexthop { id } => assert!(ours(id)),
        FibOp::PutGroup { id, group } => assert!(ours(id) && group.all().all(|id| ours(&id))),
        FibOp::PutRoute { key, target } => {
            assert!(metrics.contains(&key.metric));
            if let RouteTarget::Nexthop(id) = target {
                assert!(ours(id));
            }
        }
        FibOp::DelRoute { key } => assert!(metrics.contains(&key.metric)),
        FibOp::PutNeighbor { .. } | FibOp::DelNeighbor { .. } => {}
    }
}
