//! What the kernel is believed to hold, and the changes that take it from there to where it should be.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_types::{IfIndex, Mac};

use crate::fib::{FibOp, FibSnapshot, NexthopId, Removable, RouteKey, RouteTarget};
use crate::links::Links;
use crate::neighbors::Neighbors;
use crate::nexthops::{Lost, Nexthops};
use crate::object::{Epoch, Path, SetId};
use crate::ops::Ops;

/// How far the life of the forwarding table has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stage {
    /// What was found stays, whether wanted or not.
    Adopting,
    /// Nothing stays that is not wanted.
    Swept,
    /// Nothing stays.
    Flushed,
}

/// The forwarding table in our belief: objects and neighbours, and the routes that nobody wants (yet). Where a wanted
/// route stands is noted with the route itself.
#[derive(Debug)]
pub(crate) struct Shadow {
    pub(crate) ops: Ops,
    stage: Stage,
    /// A snapshot has been taken. Before that, our ids would collide with those of a previous run.
    read: bool,
    nexthops: Nexthops,
    neighbors: Neighbors,
    /// Routes found that no wanted route has claimed; `None` leads somewhere we never send a route.
    strays: BTreeMap<RouteKey, Option<RouteTarget>>,
    links: Links,
    installed: usize,
}

impl Shadow {
    pub(crate) fn new() -> Self {
        Self {
            ops: Ops::default(),
            stage: Stage::Adopting,
            read: false,
            nexthops: Nexthops::new(),
            neighbors: Neighbors::default(),
            strays: BTreeMap::new(),
            links: Links::default(),
            installed: 0,
        }
    }

    /// See [`Nexthops::acquire`].
    pub(crate) fn acquire(&mut self, path: &Path) -> SetId {
        self.nexthops.acquire(path)
    }

    /// See [`Nexthops::hold`].
    pub(crate) fn hold(&mut self, set: SetId) {
        self.nexthops.hold(set);
    }

    /// See [`Nexthops::release`].
    pub(crate) fn release(&mut self, set: SetId) {
        self.nexthops.release(set);
    }

    /// See [`Nexthops::path`].
    pub(crate) fn path(&self, set: SetId) -> Option<&Path> {
        self.nexthops.path(set)
    }

    /// See [`Nexthops::routes`].
    pub(crate) fn routes(&self, set: SetId) -> usize {
        self.nexthops.routes(set)
    }

    /// See [`Nexthops::wanted`].
    pub(crate) fn wanted(&self, set: SetId) -> usize {
        self.nexthops.wanted(set)
    }

    /// See [`Nexthops::can_turn`].
    pub(crate) fn can_turn(&self, set: SetId, path: &Path) -> bool {
        self.is_open() && self.nexthops.can_turn(set, path, &self.links)
    }

    /// See [`Nexthops::retire`].
    pub(crate) fn retire(&mut self, set: SetId) {
        self.nexthops.retire(set);
    }

    /// See [`Nexthops::turn`].
    pub(crate) fn turn(&mut self, set: SetId, path: &Path) {
        self.nexthops.turn(set, path, &self.links, &mut self.ops);
    }

    /// Whether a route put in `epoch` is still there.
    pub(crate) fn is_current(&self, set: SetId, epoch: Epoch) -> bool {
        self.nexthops.is_current(set, epoch)
    }

    /// Whether a snapshot has been taken.
    pub(crate) const fn is_read(&self) -> bool {
        self.read
    }

    /// Whether anything may be put.
    pub(crate) fn is_open(&self) -> bool {
        self.read && self.stage < Stage::Flushed
    }

    /// Leads `key` to `set`, or to an object alike that it was found to lead to; `None` if that cannot be now.
    pub(crate) fn put_route(&mut self, key: RouteKey, set: SetId) -> Option<(SetId, Epoch)> {
        if !self.is_open() {
            return None;
        }
        let set = match self.strays.get(&key) {
            Some(Some(RouteTarget::Nexthop(id))) => {
                self.nexthops.claim(*id, set, &self.links).unwrap_or(set)
            }
            _ => set,
        };
        let (target, epoch) = self.nexthops.ensure(set, &self.links, &mut self.ops)?;
        if self.strays.remove(&key) != Some(Some(target)) {
            self.ops.push(FibOp::PutRoute { key, target });
        }
        self.nexthops.bind(set);
        self.installed += 1;
        Some((set, epoch))
    }

    /// Deletes the route at `key`, put in `epoch` and still there.
    pub(crate) fn del_route(&mut self, key: RouteKey, set: SetId, epoch: Epoch) {
        self.ops.push(FibOp::DelRoute { key });
        self.forget_route(set, epoch);
    }

    /// The route put in `epoch`, and still there until now, was replaced.
    pub(crate) fn forget_route(&mut self, set: SetId, epoch: Epoch) {
        self.nexthops.unbind(set, epoch);
        self.installed = self.installed.saturating_sub(1);
    }

    /// Asks for a neighbour entry, or for none.
    pub(crate) fn want_neighbor(&mut self, ifindex: IfIndex, address: IpAddr, mac: Option<Mac>) {
        let can_put = self.is_open() && self.links.is_usable(ifindex);
        self.neighbors.want(ifindex, address, mac, can_put, &mut self.ops);
    }

    /// A link can be used. Returns whether routes should be gone through.
    pub(crate) fn link_usable(&mut self, ifindex: IfIndex) -> bool {
        if !self.links.set_usable(ifindex, true) || !self.is_open() {
            return false;
        }
        let wants = self.nexthops.wants(ifindex);
        self.neighbors.link_usable(ifindex, &mut self.ops);
        self.refresh();
        wants
    }

    /// A link cannot be used: the kernel has deleted what was on it. Returns what was, if anything.
    pub(crate) fn link_lost(&mut self, ifindex: IfIndex, interface_gone: bool) -> Option<Lost> {
        if interface_gone {
            self.links.forget(ifindex);
        } else {
            self.links.set_usable(ifindex, false);
        }
        self.neighbors.link_lost(ifindex, interface_gone);
        let lost = self.nexthops.link_lost(ifindex, &self.links)?;
        self.installed = self.installed.saturating_sub(lost.routes);
        self.forget_strays();
        Some(lost)
    }

    /// Routes that nobody has claimed went with their objects.
    fn forget_strays(&mut self) {
        let nexthops = &self.nexthops;
        self.strays.retain(|_, target| match target {
            Some(RouteTarget::Nexthop(id)) => nexthops.holds(*id),
            Some(RouteTarget::Blackhole) | None => true,
        });
    }

    /// See [`Nexthops::removed`].
    pub(crate) fn removed(&mut self, ids: &[NexthopId]) -> Option<Lost> {
        let lost = self.nexthops.removed(ids, &self.links)?;
        self.installed = self.installed.saturating_sub(lost.routes);
        self.forget_strays();
        Some(lost)
    }

    /// What is [removable](Nexthops::removable), if that may have changed since this was asked last.
    pub(crate) fn removable(&mut self) -> Option<Removable> {
        self.nexthops.take_stale().then(|| self.nexthops.removable())
    }

    /// A router on a link can be reached, or not: what leads there is led elsewhere, or back.
    pub(crate) fn set_reachable(&mut self, ifindex: IfIndex, address: IpAddr, reachable: bool) {
        if self.links.set_reachable((ifindex, address), reachable) {
            self.refresh();
        }
    }

    /// See [`Nexthops::refresh_all`].
    pub(crate) fn refresh(&mut self) {
        if self.is_open() {
            let before = self.ops.waiting();
            self.nexthops.refresh_all(&self.links, &mut self.ops);
            self.ops.hasten(before);
        }
    }

    /// Takes a snapshot for the truth. Every route in it is a stray until it is put again: no wanted route may count as
    /// installed any more.
    pub(crate) fn reconcile(&mut self, snapshot: FibSnapshot) {
        self.read = true;
        self.installed = 0;
        self.nexthops.reconcile(&snapshot);
        self.neighbors.reconcile(&snapshot.neighbors);
        self.strays = snapshot.routes.into_iter().collect();
    }

    /// Enters a later stage.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
        self.nexthops.suspect_all();
    }

    /// Brings all neighbours in line with what is wanted, and deletes stray routes if they may go.
    pub(crate) fn tidy(&mut self) {
        if !self.read {
            return;
        }
        self.neighbors.settle(&self.links, self.stage, &mut self.ops);
        if self.stage > Stage::Adopting {
            for key in std::mem::take(&mut self.strays).into_keys() {
                self.ops.push(FibOp::DelRoute { key });
            }
        }
    }

    /// Deletes objects that no route uses any more. Comes last, after the routes have left them.
    pub(crate) fn collect(&mut self) {
        self.nexthops.collect(self.stage == Stage::Adopting, &mut self.ops);
    }

    /// What is believed to be there; the rest of the counters is zero.
    pub(crate) fn counters(&self) -> crate::Counters {
        let (nexthops, groups) = self.nexthops.count();
        crate::Counters {
            installed: self.installed,
            nexthops,
            groups,
            neighbors: self.neighbors.count(),
            unclaimed: self.strays.len(),
            ops: self.ops.count,
            ..crate::Counters::default()
        }
    }
}
