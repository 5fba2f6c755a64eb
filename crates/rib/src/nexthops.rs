//! Nexthop objects: each path once, and what the kernel holds of it.
//!
//! An [`Object`] stands for one [`Path`]: nowhere (packets are dropped, the kernel has no object), one nexthop (a single
//! object), or several (a group of single objects, which are `Object`s of their own). It lives while a route wants it, another
//! object names it, or the kernel holds it. In the kernel it exists only while an installed route uses it.
//!
//! **Failover.** A path can have a backup. A single object is re-pointed there when its nexthop is out of reach, which moves all
//! its routes in one change; a group does without the members that are out of reach. What an object leads to in the kernel is
//! therefore noted apart from what it stands for, and [`Nexthops::refresh_all`] brings the one in line with the other.
//!
//! The kernel deletes a device's objects and the routes on them without a word when the carrier goes. So an object
//! that is lost gets a new [`Epoch`] when it is put again, and a route installed in another epoch is known to be gone
//! without visiting it: losing a link costs the same for ten routes and for a million.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use bugle_types::{IfIndex, Nexthop};
use slab::Slab;
use smallvec::SmallVec;

use crate::fib::{FibOp, NexthopId, RouteTarget};
use crate::links::Links;
use crate::object::{Epoch, Kernel, Object, Path, Rank, SetId};
use crate::ops::Ops;

/// All nexthop objects.
#[derive(Debug)]
pub(crate) struct Nexthops {
    objects: Slab<Object>,
    /// The objects of each path, the longest standing first: several, when one came to a path that another stands for.
    by_path: BTreeMap<Path, SmallVec<[SetId; 2]>>,
    by_id: BTreeMap<NexthopId, SetId>,
    /// Objects that may have become useless since the last [`collect`](Self::collect).
    idle: BTreeSet<SetId>,
    /// The id to try next: one that was freed rests as long as possible.
    cursor: u32,
    epoch: Epoch,
}

/// What the kernel deleted with a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) routes: usize,
    pub(crate) spares: usize,
    /// Some of them may be there all the same, and can be put again at once.
    pub(crate) in_doubt: bool,
}

impl Nexthops {
    pub(crate) fn new() -> Self {
        Self {
            objects: Slab::new(),
            by_path: BTreeMap::new(),
            by_id: BTreeMap::new(),
            idle: BTreeSet::new(),
            cursor: *NexthopId::RANGE.start(),
            epoch: Epoch::ALWAYS,
        }
    }

    /// The object for a path; one more route wants it.
    pub(crate) fn acquire(&mut self, path: &Path) -> SetId {
        let set = self.object_for(path);
        self.hold(set);
        set
    }

    /// One more route wants the object.
    pub(crate) fn hold(&mut self, set: SetId) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.wanted += 1;
        }
    }

    /// One route less wants the object.
    pub(crate) fn release(&mut self, set: SetId) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.wanted = object.wanted.saturating_sub(1);
            self.idle.insert(set);
        }
    }

    /// What an object stands for.
    pub(crate) fn path(&self, set: SetId) -> Option<&Path> {
        self.objects.get(set.index()).map(|object| &object.path)
    }

    /// How many routes are installed on an object, if it is in the kernel.
    pub(crate) fn routes(&self, set: SetId) -> usize {
        self.objects.get(set.index()).map_or(0, |object| object.routes)
    }

    /// The object of the second route that an object's routes want beside them.
    pub(crate) fn spare(&self, set: SetId) -> Option<SetId> {
        self.objects.get(set.index())?.spare
    }

    /// Whether the kernel holds a single object, or could.
    pub(crate) fn can_lead(&self, set: SetId, links: &Links) -> bool {
        let object = self.objects.get(set.index());
        object
            .is_some_and(|o| matches!(o.kernel, Kernel::This(_)) || single_now(o, links).is_some())
    }

    /// What routes on an object lead to, if the kernel holds it.
    pub(crate) fn target(&self, set: SetId) -> Option<RouteTarget> {
        let object = self.objects.get(set.index())?;
        matches!(object.kernel, Kernel::This(_)).then(|| object.target())
    }

    /// Whether what was installed in `epoch` is still there.
    pub(crate) fn is_current(&self, set: SetId, epoch: Epoch) -> bool {
        self.objects.get(set.index()).is_some_and(|object| object.kernel == Kernel::This(epoch))
    }

    /// Sees to it that the kernel holds the object. `None`: it cannot, because no link of it is usable or all ids are taken.
    pub(crate) fn ensure(
        &mut self,
        set: SetId,
        links: &Links,
        ops: &mut Ops,
    ) -> Option<(RouteTarget, Epoch)> {
        let object = self.objects.get(set.index())?;
        // Nobody saw to an object without routes when a link or a router went or returned.
        if let Kernel::This(epoch) = object.kernel
            && (object.is_used() || self.is_in_line(object, links))
        {
            return Some((object.target(), epoch));
        }
        self.put(set, links, ops)
    }

    /// One more route is installed on the object.
    pub(crate) fn bind(&mut self, set: SetId, rank: Rank) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            *object.count(rank) += 1;
        }
    }

    /// The route installed in `epoch` leads here no more.
    pub(crate) fn unbind(&mut self, set: SetId, epoch: Epoch, rank: Rank) {
        if let Some(object) = self.objects.get_mut(set.index())
            && object.kernel == Kernel::This(epoch)
        {
            let count = object.count(rank);
            *count = count.saturating_sub(1);
            self.idle.insert(set);
        }
    }

    /// The kernel has deleted everything on a link. Returns what went, or `None` if nothing was there.
    pub(crate) fn link_lost(&mut self, ifindex: IfIndex) -> Option<Lost> {
        let mut lost = None;
        for set in self.select(|object| {
            object.kernel != Kernel::Nothing && object.at.is_some_and(|at| at.ifindex == ifindex)
        }) {
            self.vanished(set, lost.get_or_insert_default());
        }
        for set in self.select(|object| !object.inside.is_empty()) {
            let Some(object) = self.objects.get(set.index()) else { continue };
            let (alive, dead): (Vec<_>, Vec<_>) =
                object.inside.iter().partition(|member| self.is_right(**member));
            if alive.is_empty() {
                self.vanished(set, lost.get_or_insert_default());
            } else if !dead.is_empty()
                && let Some(object) = self.objects.get_mut(set.index())
            {
                object.inside = alive;
            }
        }
        // What was led elsewhere when the kernel had deleted it already was made anew, without its routes. Nobody can tell.
        for set in self.select(|object| {
            object.before == Some(ifindex) && matches!(object.kernel, Kernel::This(_))
        }) {
            let epoch = self.next_epoch();
            let Some(object) = self.objects.get_mut(set.index()) else { continue };
            object.kernel = Kernel::This(epoch);
            let lost = lost.get_or_insert_default();
            lost.in_doubt = true;
            lost.routes += std::mem::take(&mut object.routes);
            lost.spares += std::mem::take(&mut object.spares);
            self.idle.insert(set);
        }
        for (_, object) in &mut self.objects {
            object.before = object.before.filter(|before| *before != ifindex);
        }
        lost
    }

    /// Whether something is wanted on a link, by a route or as its spare, and not in the kernel.
    pub(crate) fn wants(&self, ifindex: IfIndex) -> bool {
        self.objects.iter().any(|(_, object)| {
            (object.wanted > 0 || object.named > 0)
                && object.kernel == Kernel::Nothing
                && object.is_on(ifindex)
        })
    }

    /// Leads everything in use to where it should lead, as links and routers are now: first what takes the kernel some
    /// microseconds, then the groups, which take some tens.
    pub(crate) fn refresh_all(&mut self, links: &Links, ops: &mut Ops) {
        for groups in [false, true] {
            let astray = self.select(|object| {
                object.is_group == groups
                    && object.is_used()
                    && matches!(object.kernel, Kernel::This(_))
                    && !self.is_in_line(object, links)
            });
            for set in astray {
                self.put(set, links, ops);
            }
        }
    }

    /// Lets an object that [can](Self::can_turn) stand for another path. All routes that are installed on it follow.
    pub(crate) fn turn(&mut self, set: SetId, path: &Path, links: &Links, ops: &mut Ops) {
        self.rename(set, path);
        if self.objects.get(set.index()).is_some_and(|object| !self.is_in_line(object, links)) {
            self.put(set, links, ops);
        }
    }

    /// Whether an object in the kernel can [`turn`](Self::turn) to a path: a single object cannot become a group, nor can
    /// either drop packets.
    pub(crate) fn can_turn(&self, set: SetId, path: &Path, links: &Links) -> bool {
        let Some(object) = self.objects.get(set.index()) else { return false };
        object.id.is_some()
            && matches!(object.kernel, Kernel::This(_))
            && (object.is_group || path.hops.len() == 1)
            && path.hops.iter().any(|hop| links.is_alive(*hop))
    }

    /// The object that the kernel holds under `id`, if it can stand for the path of `set` as it is: routes that were found on
    /// it can stay.
    pub(crate) fn claim(&mut self, id: NexthopId, set: SetId, links: &Links) -> Option<SetId> {
        let found = *self.by_id.get(&id)?;
        let (object, wanted) = (self.objects.get(found.index())?, self.objects.get(set.index())?);
        if found == set || object.is_odd || !matches!(object.kernel, Kernel::This(_)) {
            return None;
        }
        if self.is_listed(found) {
            return (object.path == wanted.path).then_some(found);
        }
        let alike = object.is_group == wanted.is_group
            && if object.is_group {
                self.is_alike(&object.inside, &self.members_now(wanted, links))
            } else {
                object.at.is_some() && object.at == single_now(wanted, links)
            };
        if !alike && object.path != wanted.path {
            return None;
        }
        let path = wanted.path.clone();
        self.rename(found, &path);
        Some(found)
    }

    /// Compares with what the kernel holds. No route is bound afterwards: routes are compared next. `parts` are objects known
    /// for a group's member or for a spare by what leads to them.
    pub(crate) fn reconcile(
        &mut self,
        nexthops: &[(NexthopId, Nexthop)],
        groups: &[(NexthopId, Box<[NexthopId]>)],
        parts: &BTreeSet<NexthopId>,
    ) {
        let ours = |id: &NexthopId| NexthopId::RANGE.contains(&id.0);
        let mut singles: BTreeMap<_, _> =
            nexthops.iter().copied().filter(|(id, _)| ours(id)).collect();
        let mut groups: BTreeMap<_, _> =
            groups.iter().map(|(id, ids)| (*id, ids)).filter(|(id, _)| ours(id)).collect();
        for (index, object) in &mut self.objects {
            object.routes = 0;
            object.spares = 0;
            object.before = None;
            self.idle.insert(SetId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
        for set in self.select(|object| !object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            if groups.contains_key(&id) {
                self.give_up_id(set);
                continue;
            }
            let hop = singles.remove(&id);
            let Some(object) = self.objects.get_mut(set.index()) else { continue };
            object.at = hop;
            match hop {
                Some(hop) if object.path.choices().any(|choice| choice == hop) => {
                    self.arrived(set);
                }
                Some(_) => self.set_kernel(set, Kernel::SomethingElse),
                None => self.set_kernel(set, Kernel::Nothing),
            }
        }
        for (id, nexthop) in singles {
            let path = Path::new(&Arc::from([nexthop]), None);
            self.adopt(id, Object { at: Some(nexthop), ..Object::new(path, false) });
        }
        for id in parts {
            self.make_part(*id);
        }

        // Every single object that the kernel holds has its record now, so members can be told by their ids.
        for set in self.select(|object| object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            match groups.remove(&id) {
                Some(ids) => {
                    let inside = self.resolve(ids);
                    let choices: BTreeSet<Nexthop> =
                        self.path(set).into_iter().flat_map(Path::choices).collect();
                    let right = inside.is_sorted_by(|a, b| self.hop(*a) < self.hop(*b))
                        && inside
                            .iter()
                            .all(|m| self.hop(*m).is_some_and(|hop| choices.contains(&hop)));
                    if right && inside.len() == ids.len() {
                        self.arrived(set);
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
                members.iter().filter_map(|member| self.hop(*member)).collect();
            let is_odd = members.len() != ids.len()
                || hops.len() != members.len()
                || !hops.is_sorted_by(|a, b| a < b);
            let object = Object {
                is_odd,
                members: members.clone().into(),
                ..Object::new(Path::new(&hops, None), true)
            };
            let set = self.adopt(id, object);
            self.fill(set, members);
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
        let is_group = |set: &SetId| self.objects.get(set.index()).is_some_and(|o| o.is_group);
        let groups: Vec<SetId> = self.idle.iter().copied().filter(is_group).collect();
        for set in groups {
            self.collect_one(set, keep_found, ops);
        }
        // What an object names can be left without use by its end: it comes in here.
        while let Some(set) = self.idle.pop_first() {
            self.collect_one(set, keep_found, ops);
        }
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

    fn collect_one(&mut self, set: SetId, keep_found: bool, ops: &mut Ops) {
        self.idle.remove(&set);
        if self.objects.get(set.index()).is_some_and(|o| !(o.is_used() || keep_found && o.found)) {
            self.discard(set, ops);
        }
    }

    /// The object for a path.
    fn object_for(&mut self, path: &Path) -> SetId {
        self.natural(path).unwrap_or_else(|| self.intern(path))
    }

    /// The object that a new route to a path uses: one of the kind that the path asks for.
    fn natural(&self, path: &Path) -> Option<SetId> {
        let is_group = path.hops.len() > 1;
        let mut sets = self.by_path.get(path)?.iter().copied().filter(|set| {
            self.objects.get(set.index()).is_some_and(|object| object.is_group == is_group)
        });
        let first = sets.next()?;
        if self.is_right(first) {
            return Some(first);
        }
        Some(sets.find(|set| self.is_right(*set)).unwrap_or(first))
    }

    /// The object for a path that has none yet.
    fn intern(&mut self, path: &Path) -> SetId {
        let set = self.insert(Object::new(path.clone(), path.hops.len() > 1));
        self.list(set);
        self.name_members(set);
        set
    }

    /// Takes in what the kernel holds under `id`. No new route uses it until one that was found on it claims it.
    fn adopt(&mut self, id: NexthopId, object: Object) -> SetId {
        self.named(&object.members);
        let set = self.insert(Object { id: Some(id), ..object });
        self.by_id.insert(id, set);
        self.arrived(set);
        set
    }

    /// What was found under `id` is a part: the one that is waited for, if there is one.
    fn make_part(&mut self, id: NexthopId) {
        let Some(found) = self.by_id.get(&id).copied() else { return };
        let Some(at) = self.objects.get(found.index()).and_then(|object| object.at) else { return };
        if self.is_listed(found) {
            return;
        }
        let part = Path::part(at);
        let Some(waiting) = self.natural(&part).filter(|set| !self.is_there(*set)) else {
            return self.rename(found, &part);
        };
        self.give_up_id(found);
        self.give_up_id(waiting);
        if let Some(object) = self.objects.get_mut(waiting.index()) {
            (object.id, object.at) = (Some(id), Some(at));
        }
        self.by_id.insert(id, waiting);
        self.arrived(waiting);
    }

    fn insert(&mut self, object: Object) -> SetId {
        let set = SetId(u32::try_from(self.objects.insert(object)).unwrap_or(u32::MAX));
        self.idle.insert(set);
        set
    }

    /// The object stands for another path from now on.
    fn rename(&mut self, set: SetId, path: &Path) {
        self.retire(set);
        self.forget_members(set);
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.path = path.clone();
        }
        self.list(set);
        self.name_members(set);
    }

    /// The object is one of its path's.
    fn list(&mut self, set: SetId) {
        let Some(path) = self.path(set).cloned() else { return };
        self.by_path.entry(path).or_default().push(set);
    }

    /// Whether new routes may use the object.
    fn is_listed(&self, set: SetId) -> bool {
        let sets = self.path(set).and_then(|path| self.by_path.get(path));
        sets.is_some_and(|sets| sets.contains(&set))
    }

    /// The object is not one of its path's any more: new routes to it use another.
    pub(crate) fn retire(&mut self, set: SetId) {
        let Some(object) = self.objects.get(set.index()) else { return };
        if let Some(sets) = self.by_path.get_mut(&object.path) {
            sets.retain(|other| *other != set);
            if sets.is_empty() {
                self.by_path.remove(&object.path);
            }
        }
    }

    /// Gives an object the others that it names: a group's members, and the spare.
    fn name_members(&mut self, set: SetId) {
        let Some(object) = self.objects.get(set.index()) else { return };
        let (path, is_group) = (object.path.clone(), object.is_group);
        let members: Box<[SetId]> = if is_group {
            path.choices().map(|hop| self.object_for(&Path::part(hop))).collect()
        } else {
            Box::default()
        };
        let spare = path.spare().map(|hop| self.object_for(&Path::part(hop)));
        self.named(&members);
        self.named(spare.as_slice());
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.members = members;
            object.spare = spare;
        }
    }

    /// An object names these.
    fn named(&mut self, members: &[SetId]) {
        for member in members {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.named += 1;
            }
        }
    }

    /// The object names no others any more.
    fn forget_members(&mut self, set: SetId) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        let members = std::mem::take(&mut object.members);
        let spare = object.spare.take();
        for member in members.into_iter().chain(spare) {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.named = object.named.saturating_sub(1);
                self.idle.insert(member);
            }
        }
    }

    /// The objects that some ids stand for, in the order of their nexthops.
    fn resolve(&self, ids: &[NexthopId]) -> Vec<SetId> {
        let mut sets: Vec<SetId> = ids
            .iter()
            .filter_map(|id| self.by_id.get(id).copied())
            .filter(|&set| self.is_right(set))
            .collect();
        sets.sort_unstable_by_key(|set| (self.hop(*set), *set));
        sets
    }

    /// What a single object stands for in the first place.
    fn hop(&self, set: SetId) -> Option<Nexthop> {
        self.objects.get(set.index())?.path.hops.first().copied()
    }

    /// Whether an object in the kernel leads to where it should, or cannot.
    fn is_in_line(&self, object: &Object, links: &Links) -> bool {
        if !object.is_group {
            let now = single_now(object, links);
            return now.is_none() || object.at == now;
        }
        let now = self.members_now(object, links);
        now.is_empty() || self.is_alike(&object.inside, &now)
    }

    /// Whether packets go the same ways through these members as through those.
    fn is_alike(&self, members: &[SetId], others: &[SetId]) -> bool {
        members.iter().map(|set| self.hop(*set)).eq(others.iter().map(|set| self.hop(*set)))
    }

    /// The members that a group should have now, in the order of their nexthops.
    fn members_now(&self, object: &Object, links: &Links) -> Vec<SetId> {
        let (hops, backup) = object
            .members
            .split_at(object.members.len() - usize::from(object.path.backup.is_some()));
        let all_that = |sets: &[SetId], test: &dyn Fn(Nexthop) -> bool| -> Vec<SetId> {
            sets.iter().copied().filter(|set| self.hop(*set).is_some_and(test)).collect()
        };
        let alive = |hop: Nexthop| links.is_alive(hop);
        let usable = |hop: Nexthop| links.is_usable(hop.ifindex);
        [all_that(hops, &alive), all_that(backup, &alive), all_that(hops, &usable)]
            .into_iter()
            .find(|members| !members.is_empty())
            .unwrap_or_else(|| all_that(backup, &usable))
    }

    /// Puts an object where it should lead.
    fn put(&mut self, set: SetId, links: &Links, ops: &mut Ops) -> Option<(RouteTarget, Epoch)> {
        if self.objects.get(set.index())?.is_group {
            return self.put_group(set, links, ops);
        }
        let nexthop = single_now(self.objects.get(set.index())?, links)?;
        let id = self.id(set)?;
        ops.push(FibOp::PutNexthop { id, nexthop });
        let object = self.objects.get_mut(set.index())?;
        if let Some(at) = object.at.replace(nexthop)
            && at.ifindex != nexthop.ifindex
        {
            object.before = Some(at.ifindex);
        }
        Some((RouteTarget::Nexthop(id), self.arrived(set)))
    }

    fn put_group(
        &mut self,
        set: SetId,
        links: &Links,
        ops: &mut Ops,
    ) -> Option<(RouteTarget, Epoch)> {
        let members = self.members_now(self.objects.get(set.index())?, links);
        let mut ids = Vec::with_capacity(members.len());
        for member in &members {
            if let (RouteTarget::Nexthop(id), _) = self.ensure(*member, links, ops)? {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return None;
        }
        let id = self.id(set)?;
        ops.push(FibOp::PutGroup { id, members: ids.into() });
        let epoch = self.arrived(set);
        self.fill(set, members);
        Some((RouteTarget::Nexthop(id), epoch))
    }

    /// The kernel holds the object from now on, or as before.
    fn arrived(&mut self, set: SetId) -> Epoch {
        if let Some(Kernel::This(epoch)) = self.objects.get(set.index()).map(|o| o.kernel) {
            return epoch;
        }
        let epoch = self.next_epoch();
        self.set_kernel(set, Kernel::This(epoch));
        epoch
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0.checked_add(1).unwrap_or(NonZeroU32::MIN));
        self.epoch
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

    /// The object went away by itself, and the routes on it.
    fn vanished(&mut self, set: SetId, lost: &mut Lost) {
        self.set_kernel(set, Kernel::Nothing);
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        // Groups that held it let it go as well: `link_lost` takes it out of them.
        object.groups = 0;
        lost.routes += std::mem::take(&mut object.routes);
        lost.spares += std::mem::take(&mut object.spares);
    }

    fn set_kernel(&mut self, set: SetId, kernel: Kernel) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        object.kernel = kernel;
        if kernel == Kernel::Nothing {
            object.at = None;
        }
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
            self.idle.remove(&set);
        }
        if self.objects.get(set.index()).is_none_or(|o| o.wanted > 0 || o.named > 0) {
            return;
        }
        self.give_up_id(set);
        self.retire(set);
        self.forget_members(set);
        self.idle.remove(&set);
        self.objects.remove(set.index());
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

/// What a single object should lead to now.
fn single_now(object: &Object, links: &Links) -> Option<Nexthop> {
    let choices = || object.path.choices();
    choices()
        .find(|hop| links.is_alive(*hop))
        .or_else(|| choices().find(|hop| links.is_usable(hop.ifindex)))
}
