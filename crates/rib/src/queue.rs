//! Changes that wait to be made.

use std::collections::{BTreeMap, VecDeque};

use crate::fib::{FibOp, Group, NexthopId};

/// Changes to the forwarding table that wait to be made, in the order in which they were asked for. But a
/// [diversion](crate::Output::Divert) goes before whatever concerns no object of its own: traffic is led round a failure at once, however much
/// waits.
///
/// So a route is still put after the object that it names, and an object deleted after the routes have left it: a diversion
/// deletes nothing, and passes neither the making of its objects nor another change to them.
#[derive(Debug, Default)]
pub struct Queue {
    changes: VecDeque<FibOp>,
    /// How many at the front are diversions.
    diversions: usize,
    /// How many of the changes concern an object.
    concerned: BTreeMap<NexthopId, usize>,
}

impl Queue {
    /// Queues a change behind all others.
    pub fn push(&mut self, op: FibOp) {
        for id in concerns(&op) {
            *self.concerned.entry(id).or_default() += 1;
        }
        self.changes.push_back(op);
    }

    /// Queues a diversion behind other diversions and the last change to an object that it concerns.
    pub fn divert(&mut self, op: FibOp) {
        let mut after = self.diversions;
        if concerns(&op).any(|id| self.concerned.contains_key(&id)) {
            let last = self.changes.iter().rposition(|other| op.shares_object(other));
            after = after.max(last.map_or(0, |last| last + 1));
        }
        self.diversions += usize::from(after == self.diversions);
        for id in concerns(&op) {
            *self.concerned.entry(id).or_default() += 1;
        }
        self.changes.insert(after, op);
    }

    /// How many changes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The change that is so many behind the next one.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&FibOp> {
        self.changes.get(at)
    }

    /// The changes, the next one first.
    pub fn iter(&self) -> impl Iterator<Item = &FibOp> {
        self.changes.iter()
    }

    /// Takes the next change.
    pub fn pop(&mut self) -> Option<FibOp> {
        let op = self.changes.pop_front()?;
        self.diversions = self.diversions.saturating_sub(1);
        for id in concerns(&op) {
            if let Some(count) = self.concerned.get_mut(&id) {
                *count -= 1;
                if *count == 0 {
                    self.concerned.remove(&id);
                }
            }
        }
        Some(op)
    }

    /// Gives up room for more than so many changes, if it is not used.
    pub fn shrink_to(&mut self, room: usize) {
        self.changes.shrink_to(room);
    }
}

impl FibOp {
    /// Whether both changes make, change, delete or name as a member one nexthop object. A route that names it does not mind where it
    /// leads.
    #[must_use]
    pub fn shares_object(&self, other: &Self) -> bool {
        concerns(self).any(|id| concerns(other).any(|of_other| of_other == id))
    }
}

fn concerns(op: &FibOp) -> impl Iterator<Item = NexthopId> {
    let (id, group) = match op {
        FibOp::PutNexthop { id, .. } | FibOp::DelNexthop { id } => (Some(*id), None),
        FibOp::PutGroup { id, group } => (Some(*id), Some(group)),
        FibOp::PutRoute { .. }
        | FibOp::DelRoute { .. }
        | FibOp::PutNeighbor { .. }
        | FibOp::DelNeighbor { .. } => (None, None),
    };
    id.into_iter().chain(group.into_iter().flat_map(Group::all))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bugle_types::{IfIndex, Nexthop, Prefix, TableId};
    use proptest::prelude::*;

    use super::*;
    use crate::fib::{RouteKey, RouteTarget};

    fn id() -> impl Strategy<Value = NexthopId> {
        (0..5_u32).prop_map(NexthopId)
    }

    fn put_object() -> impl Strategy<Value = FibOp> {
        let nexthop = (0..3_u32).prop_map(|link| Nexthop { ifindex: IfIndex(link), gateway: None });
        let members = prop::collection::btree_set(id(), 1..3);
        prop_oneof![
            2 => (id(), nexthop).prop_map(|(id, nexthop)| FibOp::PutNexthop { id, nexthop }),
            1 => (id(), members, prop::option::of(id())).prop_map(|(id, members, standby)| {
                let members = members.into_iter().collect();
                FibOp::PutGroup { id, group: Group { members, standby } }
            }),
        ]
    }

    fn change() -> impl Strategy<Value = FibOp> {
        let key = (0..9_u8).prop_map(|host| {
            let prefix = Prefix::new([10, 0, 0, host].into(), 32).unwrap();
            RouteKey { table: TableId(254), prefix, metric: 110 }
        });
        prop_oneof![
            3 => put_object(),
            1 => id().prop_map(|id| FibOp::DelNexthop { id }),
            4 => (key, id()).prop_map(|(key, id)| {
                FibOp::PutRoute { key, target: RouteTarget::Nexthop(id) }
            }),
        ]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(FibOp),
        Divert(FibOp),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => change().prop_map(Step::Push),
            2 => put_object().prop_map(Step::Divert),
            3 => Just(Step::Pop),
        ]
    }

    fn ids(op: &FibOp) -> BTreeSet<NexthopId> {
        concerns(op).collect()
    }

    proptest! {
        /// Whoever comes later goes first only as a diversion, and only past what concerns other objects.
        #[test]
        fn only_a_diversion_overtakes_and_only_what_concerns_no_object_of_its_own(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let mut queue = Queue::default();
            // What waits, by when it came, and whether it is a diversion.
            let mut waiting: Vec<(FibOp, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(op) => {
                        queue.push(op.clone());
                        waiting.push((op, false));
                    }
                    Step::Divert(op) => {
                        queue.divert(op.clone());
                        waiting.push((op, true));
                    }
                    Step::Pop => {
                        let Some(op) = queue.pop() else {
                            prop_assert!(waiting.is_empty());
                            continue;
                        };
                        // Of changes that are alike the first goes first.
                        let at = waiting.iter().position(|(other, _)| *other == op).unwrap();
                        let (_, diverts) = waiting.remove(at);
                        let free = |(other, _): &(FibOp, bool)| ids(other).is_disjoint(&ids(&op));
                        prop_assert!(at == 0 || diverts);
                        prop_assert!(waiting[..at].iter().all(free));
                        // Nothing else is done while a diversion could be.
                        let mut before: BTreeSet<NexthopId> = ids(&op);
                        for (other, other_diverts) in &waiting {
                            let held = !ids(other).is_disjoint(&before);
                            prop_assert!(diverts || at > 0 || held || !other_diverts);
                            before.extend(ids(other));
                        }
                    }
                }
                prop_assert_eq!(queue.len(), waiting.len());
                let concerned = waiting.iter().flat_map(|(op, _)| ids(op));
                let counted = queue.concerned.keys().copied();
                prop_assert!(concerned.collect::<BTreeSet<_>>().into_iter().eq(counted));
            }
        }
    }
}
