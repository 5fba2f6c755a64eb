//! Nexthop objects: each path once, and what the kernel holds of it.
//!
//! An [`Object`] stands for one [`Path`]: nowhere (packets are dropped, the kernel has no object), a host on a link of ours (a
//! single object), or routers (a group of single objects, which are `Object`s of their own, be it one router only). It lives
//! while a route wants it, another object names it, or the kernel holds it. In the kernel it exists only while an installed route
//! uses it.
//!
//! **Failover.** A group does without the members that are out of reach, and leads to its path's backup if that leaves none, which
//! moves all its routes in one change. What an object leads to in the kernel is therefore noted apart from what it stands for, and
//! [`Nexthops::refresh_all`] brings the one in line with the other.
//!
//! The kernel deletes a device's objects without a word when the carrier goes, and takes them out of their groups. A backup
//! on another link is a member that stands by: it bears the traffic from that moment. What is left without any member goes, and the
//! routes on it. So an object that is lost gets a new [`Epoch`] when it is put again, and a route installed in another epoch is
//! known to be gone without visiting it: losing a link costs the same for ten routes and for a million.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use bugle_types::{IfIndex, Nexthop};
use slab::Slab;
use smallvec::SmallVec;

use crate::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteTarget};
use crate::links::Links;
use crate::object::{Epoch, Inside, Kernel, Object, Path, SetId};
use crate::ops::Ops;
use crate::removable::FEW;

/// All nexthop objects.
#[derive(Debug)]
pub(crate) struct Nexthops {
    pub(crate) objects: Slab<Object>,
    /// The objects of each path, the longest standing first: several, when one came to a path that another stands for.
    by_path: BTreeMap<Path, SmallVec<[SetId; 2]>>,
    pub(crate) by_id: BTreeMap<NexthopId, SetId>,
    /// Objects that may have become useless since the last [`collect`](Self::collect).
    idle: BTreeSet<SetId>,
    /// The id to try next: one that was freed rests as long as possible.
    cursor: u32,
    epoch: Epoch,
    /// The kernel's groups have no members that stand by.
    without_standby: bool,
    /// [`removable`](Self::removable) may give another answer than when it was asked last.
    pub(crate) is_stale: bool,
}

/// What the kernel deleted with a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) routes: usize,
    /// Some of them can be put again at once.
    pub(crate) can_return: bool,
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
            without_standby: false,
            is_stale: false,
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

    /// How many routes and groups want the object.
    pub(crate) fn wanted(&self, set: SetId) -> usize {
        self.objects.get(set.index()).map_or(0, |object| object.wanted)
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
    pub(crate) fn bind(&mut self, set: SetId) {
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.routes += 1;
            self.is_stale |= object.is_group && object.routes == FEW + 1;
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

    /// The kernel has deleted everything on a link. Returns what went, or `None` if nothing was there.
    pub(crate) fn link_lost(&mut self, ifindex: IfIndex, links: &Links) -> Option<Lost> {
        let on_link = self.select(|object| {
            object.kernel != Kernel::Nothing && object.at.is_some_and(|at| at.ifindex == ifindex)
        });
        let mut lost = self.singles_lost(on_link, links);
        // What was led elsewhere when the kernel had deleted it already was made anew, without its routes. Nobody can tell.
        for set in self.select(|object| object.before.contains(&ifindex)) {
            let epoch = self.next_epoch();
            let Some(object) = self.objects.get_mut(set.index()) else { continue };
            object.before.remove(&ifindex);
            if !object.before.is_empty() || !matches!(object.kernel, Kernel::This(_)) {
                continue;
            }
            object.kernel = Kernel::This(epoch);
            let lost = lost.get_or_insert_default();
            lost.can_return = true;
            lost.routes += std::mem::take(&mut object.routes);
            self.idle.insert(set);
        }
        lost
    }

    /// The kernel has single objects no more, and its groups do without.
    pub(crate) fn singles_lost(&mut self, sets: Vec<SetId>, links: &Links) -> Option<Lost> {
        let mut lost = None;
        for set in sets {
            self.vanished(set, lost.get_or_insert_default());
        }
        for set in self.select(|object| !object.inside.is_empty()) {
            let Some(object) = self.objects.get(set.index()) else { continue };
            let mut inside = object.inside.clone();
            inside.retain(|member| self.is_right(member));
            if inside.is_empty() {
                let can_return = !self.members_now(object, links).is_empty();
                let lost = lost.get_or_insert_default();
                lost.can_return |= can_return;
                self.vanished(set, lost);
            } else if let Some(object) = self.objects.get_mut(set.index()) {
                self.is_stale |= object.inside != inside;
                object.inside = inside;
            }
        }
        lost
    }

    /// Whether routes want something on a link that is not in the kernel.
    pub(crate) fn wants(&self, ifindex: IfIndex) -> bool {
        self.objects.iter().any(|(_, object)| {
            object.wanted > 0 && object.kernel == Kernel::Nothing && object.is_on(ifindex)
        })
    }

    /// Leads everything in use to where it should lead, as links and routers are now: first what packets take.
    pub(crate) fn refresh_all(&mut self, links: &Links, ops: &mut Ops) {
        let mut astray = self.select(|object| {
            object.is_used()
                && matches!(object.kernel, Kernel::This(_))
                && !self.is_in_line(object, links)
        });
        astray.sort_by_key(|set| {
            self.objects.get(set.index()).is_some_and(|object| {
                self.is_same(&object.inside.active, &self.members_now(object, links).active)
            })
        });
        for set in astray {
            self.put(set, links, ops);
        }
    }

    /// Lets an object that [can](Self::can_turn) stand for another path. All routes that are installed on it follow.
    pub(crate) fn turn(&mut self, set: SetId, path: &Path, links: &Links, ops: &mut Ops) {
        self.rename(set, path);
        if self.objects.get(set.index()).is_some_and(|object| !self.is_in_line(object, links)) {
            self.put(set, links, ops);
        }
    }

    /// Whether an object in the kernel can [`turn`](Self::turn) to a path: a single object cannot become a group nor a group a
    /// single object, nor can either drop packets.
    pub(crate) fn can_turn(&self, set: SetId, path: &Path, links: &Links) -> bool {
        let Some(object) = self.objects.get(set.index()) else { return false };
        object.id.is_some()
            && matches!(object.kernel, Kernel::This(_))
            && object.is_group == path.is_group()
            && path.hops.iter().any(|hop| links.is_alive(*hop))
    }

    /// The object that the kernel holds under `id`, if it can stand for the path of `set` as it is: routes that were found on
    /// it can stay.
    pub(crate) fn claim(&mut self, id: NexthopId, set: SetId, links: &Links) -> Option<SetId> {
        let found = *self.by_id.get(&id)?;
        let (object, wanted) = (self.objects.get(found.index())?, self.objects.get(set.index())?);
        if found == set
            || object.is_odd
            || object.is_group != wanted.is_group
            || !matches!(object.kernel, Kernel::This(_))
        {
            return None;
        }
        if self.is_listed(found) {
            return (object.path == wanted.path).then_some(found);
        }
        let alike = if object.is_group {
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

    /// Compares with what the kernel holds. No route is bound afterwards: routes are compared next.
    pub(crate) fn reconcile(&mut self, found: &FibSnapshot) {
        let ours = |id: &NexthopId| NexthopId::RANGE.contains(&id.0);
        let mut singles: BTreeMap<_, _> =
            found.nexthops.iter().copied().filter(|(id, _)| ours(id)).collect();
        let mut groups: BTreeMap<_, _> = found
            .groups
            .iter()
            .map(|(id, group)| (*id, group))
            .filter(|(id, _)| ours(id))
            .collect();
        let others: BTreeMap<_, _> =
            found.others.iter().map(|(id, ids)| (*id, ids)).filter(|(id, _)| ours(id)).collect();
        self.without_standby = found.without_standby;
        for (index, object) in &mut self.objects {
            object.routes = 0;
            self.idle.insert(SetId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
        for set in self.select(|object| !object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            if groups.contains_key(&id) || others.contains_key(&id) {
                self.give_up_id(set);
                continue;
            }
            let hop = singles.remove(&id);
            let Some(object) = self.objects.get_mut(set.index()) else { continue };
            object.at = hop;
            match hop {
                Some(hop) if object.path.hops.contains(&hop) => {
                    self.arrived(set);
                }
                Some(_) => self.set_kernel(set, Kernel::SomethingElse),
                None => self.set_kernel(set, Kernel::Nothing),
            }
        }
        let named = groups.values().flat_map(|group| group.all());
        let parts: BTreeSet<NexthopId> =
            named.chain(others.values().flat_map(|ids| ids.iter().copied())).collect();
        for (id, nexthop) in singles {
            let path = Path::new(&Arc::from([nexthop]), None);
            self.adopt(id, Object { at: Some(nexthop), ..Object::new(path.clone(), false) });
            if path.is_group() || parts.contains(&id) {
                self.make_part(id);
            }
        }

        // Every single object that the kernel holds has its record now, so members can be told by their ids.
        for set in self.select(|object| object.is_group && object.id.is_some()) {
            let Some(id) = self.id_of(set) else { continue };
            match groups.remove(&id) {
                Some(group) => {
                    let inside = self.resolve(group);
                    let path = self.path(set).cloned();
                    let is_choice = |member: SetId| {
                        let hop = self.hop(member);
                        path.iter().flat_map(Path::choices).any(|choice| Some(choice) == hop)
                    };
                    if self.is_sound(group, &inside) && inside.all().all(is_choice) {
                        self.arrived(set);
                    } else {
                        self.set_kernel(set, Kernel::SomethingElse);
                    }
                    self.fill(set, inside);
                }
                None if self.by_id.get(&id) != Some(&set) || others.contains_key(&id) => {
                    self.give_up_id(set);
                }
                None => self.set_kernel(set, Kernel::Nothing),
            }
        }
        for (id, group) in groups {
            self.adopt_group(id, group, false);
        }
        for (id, members) in others {
            self.adopt_group(id, &Group { members: members.clone(), standby: None }, true);
        }
        for (_, object) in &mut self.objects {
            object.found = object.kernel != Kernel::Nothing;
            object.before.clear();
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
        let groups: Vec<SetId> =
            self.idle.iter().copied().filter(|set| self.is_a_group(*set)).collect();
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

    /// The object that a new route to a path uses.
    fn natural(&self, path: &Path) -> Option<SetId> {
        let sets = self.by_path.get(path)?;
        sets.iter().copied().find(|set| self.is_right(*set)).or_else(|| sets.first().copied())
    }

    /// The object for a path that has none yet.
    fn intern(&mut self, path: &Path) -> SetId {
        let set = self.insert(Object::new(path.clone(), path.is_group()));
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

    /// Takes in a group that the kernel holds under `id`.
    fn adopt_group(&mut self, id: NexthopId, group: &Group, is_odd: bool) {
        let inside = self.resolve(group);
        let hop = |set: SetId| self.hop(set);
        let hops: Arc<[Nexthop]> = inside.active.iter().copied().filter_map(hop).collect();
        let path = Path::new(&hops, inside.standby.and_then(hop));
        let is_odd = is_odd || !self.is_sound(group, &inside);
        let members = inside.all().collect();
        let set = self.adopt(id, Object { members, is_odd, ..Object::new(path, true) });
        self.fill(set, inside);
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

    /// Gives a group the members that it names.
    fn name_members(&mut self, set: SetId) {
        let Some(object) = self.objects.get(set.index()) else { return };
        if !object.is_group {
            return;
        }
        let path = object.path.clone();
        let members: Box<[SetId]> =
            path.choices().map(|hop| self.object_for(&Path::part(hop))).collect();
        self.named(&members);
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.members = members;
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
        for member in std::mem::take(&mut object.members) {
            if let Some(object) = self.objects.get_mut(member.index()) {
                object.named = object.named.saturating_sub(1);
                self.idle.insert(member);
            }
        }
    }

    /// The objects that a group's ids stand for, in the order of their nexthops.
    fn resolve(&self, group: &Group) -> Inside {
        let held = |id: &NexthopId| {
            self.by_id.get(id).copied().filter(|&set| self.is_right(set) && !self.is_a_group(set))
        };
        let mut active: Vec<SetId> = group.members.iter().filter_map(held).collect();
        active.sort_unstable_by_key(|set| (self.hop(*set), *set));
        Inside { active, standby: group.standby.as_ref().and_then(held) }
    }

    /// Whether a group in the kernel has single objects of ours as members, and none twice.
    fn is_sound(&self, group: &Group, inside: &Inside) -> bool {
        let hops: BTreeSet<Option<Nexthop>> = inside.all().map(|set| self.hop(set)).collect();
        hops.len() == group.all().count()
    }

    /// What a single object stands for.
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

    /// Whether packets go the same ways through these members as through those, now and when a link is lost.
    fn is_alike(&self, inside: &Inside, other: &Inside) -> bool {
        self.is_same(&inside.active, &other.active)
            && self.is_same(inside.standby.as_slice(), other.standby.as_slice())
    }

    /// Whether these objects have the same nexthops as those.
    fn is_same(&self, sets: &[SetId], others: &[SetId]) -> bool {
        sets.iter().map(|set| self.hop(*set)).eq(others.iter().map(|set| self.hop(*set)))
    }

    /// The members that a group should have now, in the order of their nexthops.
    fn members_now(&self, object: &Object, links: &Links) -> Inside {
        let (hops, backup) = object
            .members
            .split_at(object.members.len() - usize::from(object.path.backup.is_some()));
        let all_that = |sets: &[SetId], test: &dyn Fn(Nexthop) -> bool| -> Vec<SetId> {
            sets.iter().copied().filter(|set| self.hop(*set).is_some_and(test)).collect()
        };
        let alive = |hop: Nexthop| links.is_alive(hop);
        let usable = |hop: Nexthop| links.is_usable(hop.ifindex);
        let active = [all_that(hops, &alive), all_that(backup, &alive), all_that(hops, &usable)]
            .into_iter()
            .find(|members| !members.is_empty())
            .unwrap_or_else(|| all_that(backup, &usable));
        let may_stand_by = |hop| !self.without_standby && object.path.standby() == Some(hop);
        let standby = all_that(backup, &|hop| usable(hop) && may_stand_by(hop)).first().copied();
        Inside { standby: standby.filter(|standby| !active.contains(standby)), active }
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
        let before = object.at.replace(nexthop).map(|at| at.ifindex);
        object.led_elsewhere(before.into_iter().collect(), &BTreeSet::from([nexthop.ifindex]));
        Some((RouteTarget::Nexthop(id), self.arrived(set)))
    }

    fn put_group(
        &mut self,
        set: SetId,
        links: &Links,
        ops: &mut Ops,
    ) -> Option<(RouteTarget, Epoch)> {
        let inside = self.members_now(self.objects.get(set.index())?, links);
        if inside.is_empty() {
            return None;
        }
        for member in inside.all() {
            self.ensure(member, links, ops)?;
        }
        let members = inside.active.iter().filter_map(|member| self.id_of(*member)).collect();
        let standby = inside.standby.and_then(|member| self.id_of(member));
        let id = self.id(set)?;
        ops.push(FibOp::PutGroup { id, group: Group { members, standby } });
        let epoch = self.arrived(set);
        self.fill(set, inside);
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
    fn fill(&mut self, set: SetId, inside: Inside) {
        let links = |inside: &Inside| -> BTreeSet<IfIndex> {
            inside.all().filter_map(|member| Some(self.hop(member)?.ifindex)).collect()
        };
        let now = links(&inside);
        let before = self.objects.get(set.index()).map(|object| links(&object.inside));
        self.empty(set);
        for member in inside.all() {
            if let Some(member) = self.objects.get_mut(member.index()) {
                member.groups += 1;
            }
        }
        if let Some(object) = self.objects.get_mut(set.index()) {
            object.led_elsewhere(before.unwrap_or_default(), &now);
            object.inside = inside;
            self.is_stale = true;
        }
    }

    /// The kernel's group has no members.
    fn empty(&mut self, set: SetId) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        for member in std::mem::take(&mut object.inside).all() {
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
    }

    fn set_kernel(&mut self, set: SetId, kernel: Kernel) {
        let Some(object) = self.objects.get_mut(set.index()) else { return };
        self.is_stale |= object.is_group;
        object.kernel = kernel;
        if kernel == Kernel::Nothing {
            object.at = None;
            object.before.clear();
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

    pub(crate) fn is_a_group(&self, set: SetId) -> bool {
        self.objects.get(set.index()).is_some_and(|object| object.is_group)
    }

    /// The kernel holds something under the object's id.
    pub(crate) fn is_there(&self, set: SetId) -> bool {
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
    object.path.hops.first().copied().filter(|hop| links.is_usable(hop.ifindex))
}
