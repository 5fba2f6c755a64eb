//! Nexthop objects: each set of nexthops once, and what the kernel holds of it.
//!
//! An [`Object`] stands for one set: nobody (packets are dropped, the kernel has no object), one nexthop (a single object), or
//! several (a group of single objects, which are `Object`s of their own). It lives while a route wants it, a group names it,
//! or the kernel holds it. In the kernel it exists only while an installed route uses it.
//!
//! The kernel deletes a device's objects and the routes on them without a word when the carrier goes. So an object
//! that is lost gets a new [`Epoch`] when it is put again, and a route installed in another epoch is known to be gone
//! without visiting it: losing a link costs the same for ten routes and for a million.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use bugle_types::{IfIndex, Nexthop};
use slab::Slab;

use crate::fib::{FibOp, NexthopId, RouteTarget};
use crate::ops::Ops;

/// Names an [`Object`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SetId(u32);

impl SetId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One existence of an object in the kernel, from a put to its loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epoch(NonZeroU32);

impl Epoch {
    /// Of the object that needs none in the kernel.
    const ALWAYS: Self = Self(NonZeroU32::MIN);
}

#[derive(Debug)]
struct Object {
    /// Sorted.
    hops: Arc<[Nexthop]>,
    /// A group's single objects. A group found in the kernel may be odd: a member less, or one twice.
    members: Box<[SetId]>,
    is_group: bool,
    /// Kept across losses, so that nobody else gets it while this object may come back.
    id: Option<NexthopId>,
    kernel: Kernel,
    /// A group's members in the kernel, which removes the dead ones.
    inside: Vec<SetId>,
    /// Routes that lead here, installed or not.
    wanted: usize,
    /// Groups that have this as a member, in the kernel or not.
    named: usize,
    /// Routes installed on this.
    routes: usize,
    /// Groups in the kernel that hold this.
    groups: usize,
    /// The last snapshot showed it.
    found: bool,
}

/// What the kernel holds under an object's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kernel {
    Nothing,
    This(Epoch),
    /// Something else of the same kind, which a put replaces.
    SomethingElse,
}

impl Object {
    fn new(hops: Arc<[Nexthop]>, members: Box<[SetId]>, is_group: bool) -> Self {
        let kernel = if hops.is_empty() && !is_group {
            Kernel::This(Epoch::ALWAYS)
        } else {
            Kernel::Nothing
        };
        Self {
            hops,
            members,
            is_group,
            id: None,
            kernel,
            inside: Vec::new(),
            wanted: 0,
            named: 0,
            routes: 0,
            groups: 0,
            found: false,
        }
    }

    fn target(&self) -> RouteTarget {
        self.id.map_or(RouteTarget::Blackhole, RouteTarget::Nexthop)
    }

    fn is_used(&self) -> bool {
        self.routes > 0 || self.groups > 0
    }

    fn is_on(&self, ifindex: IfIndex) -> bool {
        self.hops.iter().any(|hop| hop.ifindex == ifindex)
    }
}

/// All nexthop objects.
#[derive(Debug)]
pub(crate) struct Nexthops {
    objects: Slab<Object>,
    by_hops: BTreeMap<Arc<[Nexthop]>, SetId>,
    by_id: BTreeMap<NexthopId, SetId>,
    /// Objects that may have become useless since the last [`collect`](Self::collect).
    idle: BTreeSet<SetId>,
    /// The id to try next: one that was freed rests as long as possible.
    cursor: u32,
    epoch: Epoch,
}

impl Nexthops {
    pub(crate) fn new() -> Self {
        Self {
            objects: Slab::new(),
            by_hops: BTreeMap::new(),
            by_id: BTreeMap::new(),
            idle: BTreeSet::new(),
            cursor: *NexthopId::RANGE.start(),
            epoch: Epoch::ALWAYS,
        }
    }

    /// The object for a set of nexthops, in whatever order; one more route wants it.
    pub(crate) fn acquire(&mut self, hops: &Arc<[Nexthop]>) -> SetId {
        let set = self.object_for(hops);
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.wanted += 1;
        }
        set
    }
    /// One route less wants the object.
    pub(crate) fn release(&mut self, set: SetId) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.wanted = object.wanted.saturating_sub(1);
            self.idle.insert(set);
        }
    }

    /// The nexthops of a set, sorted.
    pub(crate) fn hops(&self, set: SetId) -> &[Nexthop] {
        self.objects.get(set.index()).map_or(&[], |object| &object.hops)
    }

    /// Whether what was installed in `epoch` is still there.
    pub(crate) fn is_current(&self, set: SetId, epoch: Epoch) -> bool {
        self.objects.get(set.index()).is_some_and(|object| object.kernel == Kernel::This(epoch))
    }

    /// Sees to it that the kernel holds the object. `None`: it cannot, because no link of it is usable or all ids are taken.
    pub(crate) fn ensure(
        &mut self,
        set: SetId,
        usable: &BTreeSet<IfIndex>,
        ops: &mut Ops,
    ) -> Option<(RouteTarget, Epoch)> {
        let object = self.objects.get(set.index())?;
        // Nobody saw to a group without routes when a link of it returned.
        let shrunk = object.routes == 0 && object.inside.len() < object.members.len();
        if let Kernel::This(epoch) = object.kernel
            && !shrunk
        {
            return Some((object.target(), epoch));
        }
        if object.is_group {
            return self.put_group(set, usable, ops);
        }
        let nexthop = *object.hops.first()?;
        if !usable.contains(&nexthop.ifindex) {
            return None;
        }
        let id = self.id(set)?;
        ops.push(FibOp::PutNexthop { id, nexthop });
        Some((RouteTarget::Nexthop(id), self.arrived(set)))
    }

    /// One more route is installed on the object.
    pub(crate) fn bind(&mut self, set: SetId) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.routes += 1;
        }
    }

    /// The route installed in `epoch` leads here no more.
    pub(crate) fn unbind(&mut self, set: SetId, epoch: Epoch) {
        if let Some(object) = self.objects.get_mut(set.index())
            && object.kernel == Kernel::This(epoch)
        {
            object.routes = object.routes.saturating_sub(1);
            self.idle.insert(set);
        }
    }

    /// The kernel has deleted everything on a link. Returns how many routes went, or `None` if nothing was there.
    pub(crate) fn link_lost(&mut self, ifindex: IfIndex) -> Option<usize> {
        let mut lost = None;
        for set in self.select(|object| {
            !object.is_group && object.kernel != Kernel::Nothing && object.is_on(ifindex)
        }) {
            *lost.get_or_insert(0) += self.vanished(set);
        }
        for set in self.select(|object| !object.inside.is_empty()) {
            let Some(object) = self.objects.get(set.index()) else { continue };
            let (alive, dead): (Vec<_>, Vec<_>) =
                object.inside.iter().partition(|member| self.is_right(**member));
            if alive.is_empty() {
                *lost.get_or_insert(0) += self.vanished(set);
            } else if !dead.is_empty()
                && let Some(object) = self.objects.get_mut(set.index())
            {
                object.inside = alive;
            }
        }
        lost
    }

    /// A link can be used: groups get back their members on it. Returns whether more is wanted on it: then routes should be
    /// gone through.
    pub(crate) fn link_usable(
        &mut self,
        ifindex: IfIndex,
        usable: &BTreeSet<IfIndex>,
        ops: &mut Ops,
    ) -> bool {
        let more = self.objects.iter().any(|(_, object)| {
            object.wanted > 0 && object.kernel == Kernel::Nothing && object.is_on(ifindex)
        });
        for set in self.select(|object| {
            object.is_group
                && object.routes > 0
                && object.is_on(ifindex)
                && object.inside.len() < object.members.len()
        }) {
            self.put_group(set, usable, ops);
        }
        more
    }

    /// Compares with what the kernel holds. No route is bound afterwards: routes are compared next.
    pub(crate) fn reconcile(
        &mut self,
        nexthops: &[(NexthopId, Nexthop)],
        groups: &[(NexthopId, Box<[NexthopId]>)],
    ) {
        let ours = |id: &NexthopId| NexthopId::RANGE.contains(&id.0);
        let mut singles: BTreeMap<_, _> =
            nexthops.iter().copied().filter(|(id, _)| ours(id)).collect();
        let mut groups: BTreeMap<_, _> =
            groups.iter().map(|(id, ids)| (*id, ids)).filter(|(id, _)| ours(id)).collect();
        for (index, object) in &mut self.objects {
            object.routes = 0;
            self.idle.insert(SetId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
        for set in self.select(|object| !object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            if groups.contains_key(&id) {
                self.give_up_id(set);
                continue;
            }
            match singles.remove(&id) {
                Some(hop) if self.hops(set) == [hop] => self.confirm(set),
                Some(_) => self.set_kernel(set, Kernel::SomethingElse),
                None => self.set_kernel(set, Kernel::Nothing),
            }
        }
        for (id, nexthop) in singles {
            self.adopt(id, Object::new([nexthop].into(), Box::default(), false), true);
        }

        // Every single object that the kernel holds has its record now, so members can be told by their ids.
        for set in self.select(|object| object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            match groups.remove(&id) {
                Some(ids) => {
                    let inside = self.resolve(ids);
                    if inside.len() == ids.len() && inside == self.right_members(set) {
                        self.confirm(set);
                    } else {
                        self.set_kernel(set, Kernel::SomethingElse);
                    }
                    self.fill(set, inside);
                }
                None if self.by_id.get(&id) != Some(&set) => self.give_up_id(set),
                None => self.set_kernel(set, Kernel::Nothing),
            }
        }
        for (id, ids) in groups {
            let members = self.resolve(ids);
            let hops: Arc<[Nexthop]> =
                members.iter().flat_map(|member| self.hops(*member)).copied().collect();
            let regular = members.len() == ids.len()
                && hops.len() > 1
                && hops.is_sorted_by(|a, b| a < b)
                && members.iter().all(|&member| self.stands_for_itself(member));
            self.adopt(id, Object::new(hops, members.into(), true), regular);
        }
        for (_, object) in &mut self.objects {
            object.found = object.kernel != Kernel::Nothing;
        }
    }

    /// Whether the kernel holds an object of this id.
    pub(crate) fn holds(&self, id: NexthopId) -> bool {
        self.by_id.get(&id).is_some_and(|&set| self.is_there(set))
    }

    /// Marks every object as perhaps useless.
    pub(crate) fn suspect_all(&mut self) {
        self.idle = self.select(|_| true).into_iter().collect();
    }

    /// Deletes what is used no more, groups before their members; what was found stays while `keep_found`.
    pub(crate) fn collect(&mut self, keep_found: bool, ops: &mut Ops) {
        for groups in [true, false] {
            // Deleting a group can leave its members without use: they are looked at in the second round.
            for set in std::mem::take(&mut self.idle) {
                let Some(object) = self.objects.get(set.index()) else { continue };
                if object.is_group != groups {
                    self.idle.insert(set);
                } else if !(object.is_used() || keep_found && object.found) {
                    self.discard(set, ops);
                }
            }
        }
        self.idle.clear();
    }

    /// How many single objects and groups the kernel holds.
    pub(crate) fn count(&self) -> (usize, usize) {
        let there = || {
            self.objects
                .iter()
                .map(|(_, object)| object)
                .filter(|object| object.id.is_some() && object.kernel != Kernel::Nothing)
        };
        let groups = there().filter(|object| object.is_group).count();
        (there().count() - groups, groups)
    }

    /// The object for a set of nexthops, in whatever order.
    fn object_for(&mut self, hops: &Arc<[Nexthop]>) -> SetId {
        match self.by_hops.get(&**hops) {
            Some(&set) => set,
            None if hops.is_sorted_by(|a, b| a < b) => self.intern(Arc::clone(hops)),
            None => {
                let sorted: BTreeSet<Nexthop> = hops.iter().copied().collect();
                let sorted: Arc<[Nexthop]> = sorted.into_iter().collect();
                match self.by_hops.get(&*sorted) {
                    Some(&set) => set,
                    None => self.intern(sorted),
                }
            }
        }
    }

    /// The object for a sorted set that has none yet.
    fn intern(&mut self, hops: Arc<[Nexthop]>) -> SetId {
        let is_group = hops.len() > 1;
        let members: Box<[SetId]> = if is_group {
            hops.iter().map(|hop| self.object_for(&Arc::from([*hop]))).collect()
        } else {
            Box::default()
        };
        self.name(&members);
        let set = self.insert(Object::new(Arc::clone(&hops), members, is_group));
        self.by_hops.insert(hops, set);
        set
    }

    /// Takes in what the kernel holds under `id`. If it is `regular`, as ours would be, it comes to stand for its set,
    /// unless another object does.
    fn adopt(&mut self, id: NexthopId, object: Object, regular: bool) {
        let twin = self.by_hops.get(&object.hops).copied();
        let set = match twin {
            Some(set) if regular && !self.is_there(set) => set,
            _ => {
                let hops = Arc::clone(&object.hops);
                self.name(&object.members);
                let set = self.insert(object);
                if regular && twin.is_none() {
                    self.by_hops.insert(hops, set);
                }
                set
            }
        };
        if let Some(old) = self.id_of(set) {
            self.by_id.remove(&old);
        }
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.id = Some(id);
        }
        self.by_id.insert(id, set);
        self.confirm(set);
        self.fill(set, self.right_members(set));
    }

    fn insert(&mut self, object: Object) -> SetId {
        let set = SetId(u32::try_from(self.objects.insert(object)).unwrap_or(u32::MAX));
        self.idle.insert(set);
        set
    }

    /// A group has these members.
    fn name(&mut self, members: &[SetId]) {
        for member in members {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.named += 1;
            }
        }
    }

    /// Whether this is the object that its own set leads to.
    fn stands_for_itself(&self, set: SetId) -> bool {
        self.by_hops.get(self.hops(set)) == Some(&set)
    }

    /// The objects that some ids stand for, in the order of their nexthops.
    fn resolve(&self, ids: &[NexthopId]) -> Vec<SetId> {
        let mut sets: Vec<SetId> = ids
            .iter()
            .filter_map(|id| self.by_id.get(id).copied())
            .filter(|&set| self.is_right(set))
            .collect();
        sets.sort_unstable_by(|a, b| (self.hops(*a), a).cmp(&(self.hops(*b), b)));
        sets
    }

    /// The members of a group that the kernel holds.
    fn right_members(&self, set: SetId) -> Vec<SetId> {
        let members = self.objects.get(set.index()).map_or(&[][..], |object| &object.members);
        members.iter().copied().filter(|&member| self.is_right(member)).collect()
    }

    fn put_group(
        &mut self,
        set: SetId,
        usable: &BTreeSet<IfIndex>,
        ops: &mut Ops,
    ) -> Option<(RouteTarget, Epoch)> {
        let members = self.objects.get(set.index())?.members.clone();
        let ids: Box<[NexthopId]> = members
            .iter()
            .filter_map(|&member| match self.ensure(member, usable, ops)? {
                (RouteTarget::Nexthop(id), _) => Some(id),
                (RouteTarget::Blackhole, _) => None,
            })
            .collect();
        if ids.is_empty() {
            return None;
        }
        let id = self.id(set)?;
        ops.push(FibOp::PutGroup { id, members: ids });
        let epoch = match self.objects.get(set.index())?.kernel {
            Kernel::This(epoch) => epoch,
            Kernel::Nothing | Kernel::SomethingElse => self.arrived(set),
        };
        self.fill(set, self.right_members(set));
        Some((RouteTarget::Nexthop(id), epoch))
    }

    /// The kernel holds the object from now on.
    fn arrived(&mut self, set: SetId) -> Epoch {
        self.epoch = Epoch(self.epoch.0.checked_add(1).unwrap_or(NonZeroU32::MIN));
        self.set_kernel(set, Kernel::This(self.epoch));
        self.epoch
    }

    /// A snapshot shows the object: it goes on as it was, or exists from now on.
    fn confirm(&mut self, set: SetId) {
        if !self.is_right(set) {
            self.arrived(set);
        }
    }

    /// The kernel's group has these members.
    fn fill(&mut self, set: SetId, inside: Vec<SetId>) {
        self.empty(set);
        for member in &inside {
            if let Some(member) = self.objects.get_mut(member.index()) {
                member.groups += 1;
            }
        }
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.inside = inside;
        }
    }

    /// The kernel's group has no members.
    fn empty(&mut self, set: SetId) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        for member in std::mem::take(&mut object.inside) {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.groups = object.groups.saturating_sub(1);
                self.idle.insert(member);
            }
        }
    }

    /// The object went away by itself; returns how many routes went with it.
    fn vanished(&mut self, set: SetId) -> usize {
        self.set_kernel(set, Kernel::Nothing);
        let Some(object) = self.objects.get_mut(set.index()) else { return 0 };
        // Groups that held it let it go as well: `link_lost` takes it out of them.
        object.groups = 0;
        std::mem::take(&mut object.routes)
    }

    fn set_kernel(&mut self, set: SetId, kernel: Kernel) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        object.kernel = kernel;
        self.idle.insert(set);
        if !matches!(kernel, Kernel::This(_)) {
            self.empty(set);
        }
    }

    fn discard(&mut self, set: SetId, ops: &mut Ops) {
        if self.is_there(set)
            && let Some(id) = self.id_of(set)
        {
            ops.push(FibOp::DelNexthop { id });
            self.set_kernel(set, Kernel::Nothing);
        }
        if self.objects.get(set.index()).is_none_or(|o| o.wanted > 0 || o.named > 0) {
            return;
        }
        self.give_up_id(set);
        let object = self.objects.remove(set.index());
        if self.by_hops.get(&object.hops) == Some(&set) {
            self.by_hops.remove(&object.hops);
        }
        for &member in &object.members {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.named = object.named.saturating_sub(1);
                self.idle.insert(member);
            }
        }
    }

    /// The kernel holds the object, and nothing else under its id.
    fn is_right(&self, set: SetId) -> bool {
        self.objects.get(set.index()).is_some_and(|o| matches!(o.kernel, Kernel::This(_)))
    }

    /// The kernel holds something under the object's id.
    fn is_there(&self, set: SetId) -> bool {
        self.objects.get(set.index()).is_some_and(|object| object.kernel != Kernel::Nothing)
    }

    fn id_of(&self, set: SetId) -> Option<NexthopId> {
        self.objects.get(set.index())?.id
    }

    /// The object's id; a free one if it has none.
    fn id(&mut self, set: SetId) -> Option<NexthopId> {
        let object = self.objects.get_mut(set.index())?;
        if object.id.is_none() {
            let (first, last) = (*NexthopId::RANGE.start(), *NexthopId::RANGE.end());
            let id = (self.cursor..=last)
                .chain(first..self.cursor)
                .map(NexthopId)
                .find(|id| !self.by_id.contains_key(id))?;
            self.cursor = if id.0 == last { first } else { id.0 + 1 };
            object.id = Some(id);
            self.by_id.insert(id, set);
        }
        object.id
    }

    /// The object has no id any more, since something else has it or the object ends.
    fn give_up_id(&mut self, set: SetId) {
        self.set_kernel(set, Kernel::Nothing);
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        if let Some(id) = object.id.take()
            && self.by_id.get(&id) == Some(&set)
        {
            self.by_id.remove(&id);
        }
    }

    fn select(&self, mut filter: impl FnMut(&Object) -> bool) -> Vec<SetId> {
        self.objects
            .iter()
            .filter(|(_, object)| filter(object))
            .filter_map(|(index, _)| u32::try_from(index).ok().map(SetId))
            .collect()
    }
}
