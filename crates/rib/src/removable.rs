//! What whoever watches a router may do about its end without asking: remove the single objects that lead to it, as the kernel does itself
//! when a link loses its carrier. Their groups go on with what is left, whatever else this engine and its driver are busy with.

use std::collections::{BTreeMap, BTreeSet};

use bugle_types::Nexthop;

use crate::fib::{NexthopId, Removable};
use crate::links::Links;
use crate::nexthops::{Lost, Nexthops};
use crate::object::SetId;

/// How many routes on one group may go away with a router that is removed.
pub(crate) const FEW: usize = if cfg!(test) { 1 } else { 64 };
/// And on how many groups.
const FEW_GROUPS: usize = 4;

impl Nexthops {
    /// The single objects to remove when a router does not answer any more, by the router: all groups that have one have another
    /// member too, and go on with that. Nearly all: a few routes may lead there alone, and are lost either way.
    pub(crate) fn removable(&self) -> Removable {
        let (mut alone, mut replaced) = (BTreeMap::<SetId, usize>::new(), BTreeSet::new());
        for (_, object) in &self.objects {
            let mut members = object.inside.all();
            match (members.next(), members.next()) {
                (Some(member), None) => {
                    let groups = if object.routes > FEW { FEW_GROUPS + 1 } else { 1 };
                    *alone.entry(member).or_default() += groups;
                }
                (Some(first), Some(second)) => {
                    replaced.extend([first, second].into_iter().chain(members));
                }
                _ => {}
            }
        }
        let mut removable = Removable::new();
        let mut kept = BTreeSet::new();
        for (index, object) in &self.objects {
            let set = SetId(u32::try_from(index).unwrap_or(u32::MAX));
            let (Some(id), Some(Nexthop { ifindex, gateway: Some(gateway), .. })) =
                (object.id, object.at)
            else {
                continue;
            };
            if alone.get(&set).is_some_and(|groups| *groups > FEW_GROUPS) || object.routes > 0 {
                kept.insert((ifindex, gateway));
            } else if replaced.contains(&set) {
                removable.entry((ifindex, gateway)).or_default().push(id);
            }
        }
        removable.retain(|router, _| !kept.contains(router));
        removable
    }

    /// Whether that may be another than when this was asked last.
    pub(crate) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// Somebody has removed these single objects. Returns what went with them, or `None` if they were not there.
    pub(crate) fn removed(&mut self, ids: &[NexthopId], links: &Links) -> Option<Lost> {
        let held = |id: &NexthopId| self.by_id.get(id).copied();
        let there = |set: &SetId| self.is_there(*set) && !self.is_a_group(*set);
        let sets = ids.iter().filter_map(held).filter(there).collect();
        self.singles_lost(sets, links)
    }
}
