//! Ways out of the root, and interned sets of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::graph::NodeKey;

/// The first step of a shortest path (RFC 2328 section 16.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FirstHop {
    /// The tag of the edge by which the path leaves the root.
    pub link: u32,
    /// The first router after the root: the neighbour at the far end of a point-to-point link, or the one reached across
    /// a network that the root is attached to. `None` if the path ends at that network: its addresses are on the link.
    pub router: Option<NodeKey>,
}

/// Stands for a set of [`FirstHop`]s. Two ids from one calculation are equal exactly if the sets are.
///
/// A set in use keeps its id from one run to the next, except when many that are not in use have piled up: hold on to
/// what [`Spf::first_hops`](crate::Spf::first_hops) gives, not to ids of earlier runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NexthopSetId(u32);

impl NexthopSetId {
    /// The set without members: that of the root, and of what cannot be reached.
    pub const EMPTY: Self = Self(0);

    /// The id as a number. Ids are small: tables can be indexed by them.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The sets seen so far, each kept once, and the unions of them already made.
#[derive(Clone)]
pub(crate) struct NexthopSets {
    sets: Vec<Arc<[FirstHop]>>,
    ids: BTreeMap<Arc<[FirstHop]>, NexthopSetId>,
    /// By the sets united, in order and without repetition.
    unions: BTreeMap<Box<[NexthopSetId]>, NexthopSetId>,
    /// How many sets the last sweep left.
    kept: usize,
    scratch: Vec<FirstHop>,
}

impl NexthopSets {
    /// Holds the empty set only.
    pub(crate) fn new() -> Self {
        let mut sets = Self {
            sets: Vec::new(),
            ids: BTreeMap::new(),
            unions: BTreeMap::new(),
            kept: 1,
            scratch: Vec::new(),
        };
        sets.intern(&[]);
        sets
    }

    /// The members of `set`, in order.
    pub(crate) fn members(&self, set: NexthopSetId) -> &[FirstHop] {
        self.sets.get(set.index()).map_or(&[], |members| members)
    }

    /// The members of each set, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[FirstHop]> {
        self.sets.iter().map(|members| &**members)
    }

    /// The set of one member.
    pub(crate) fn single(&mut self, hop: FirstHop) -> NexthopSetId {
        self.intern(&[hop])
    }

    /// Whether `set` has a member that ends at a network: then whoever owns it is a network attached to the root.
    pub(crate) fn is_attached(&self, set: NexthopSetId) -> bool {
        self.members(set).iter().any(|hop| hop.router.is_none())
    }

    /// The set of a router reached across a network whose set is `network`: on the links that the network is on, the
    /// router is the first.
    pub(crate) fn across(&mut self, network: NexthopSetId, router: NodeKey) -> NexthopSetId {
        let mut hops = std::mem::take(&mut self.scratch);
        hops.clear();
        hops.extend(
            self.members(network)
                .iter()
                .map(|hop| FirstHop { router: hop.router.or(Some(router)), ..*hop }),
        );
        self.intern_scratch(hops)
    }

    /// The union of `parts`, which it leaves in order and without repetition.
    pub(crate) fn union(&mut self, parts: &mut Vec<NexthopSetId>) -> NexthopSetId {
        parts.sort_unstable();
        parts.dedup();
        if let [only] = parts[..] {
            return only;
        }
        if let Some(&known) = self.unions.get(parts.as_slice()) {
            return known;
        }
        let mut hops = std::mem::take(&mut self.scratch);
        hops.clear();
        hops.extend(parts.iter().flat_map(|&part| self.members(part)));
        let union = self.intern_scratch(hops);
        self.unions.insert(parts.as_slice().into(), union);
        union
    }

    /// Forgets the sets that `in_use` does not name and renumbers the rest, if the former may outnumber the latter.
    pub(crate) fn sweep<'a>(&mut self, in_use: impl Iterator<Item = &'a mut NexthopSetId>) {
        if self.sets.len().max(self.unions.len()) <= 1024 + 4 * self.kept {
            return;
        }
        let mut swept = Self::new();
        let mut renumbered = vec![None; self.sets.len()];
        for set in in_use {
            let Some(known) = renumbered.get_mut(set.index()) else { continue };
            *set = *known.get_or_insert_with(|| swept.intern(self.members(*set)));
        }
        swept.kept = swept.sets.len();
        *self = swept;
    }

    /// The id of the set of `hops`, which may be in any order and repeat; keeps the buffer for the next time.
    fn intern_scratch(&mut self, mut hops: Vec<FirstHop>) -> NexthopSetId {
        hops.sort_unstable();
        hops.dedup();
        let set = self.intern(&hops);
        self.scratch = hops;
        set
    }

    /// The id of the set of `hops`, which are in order and do not repeat.
    fn intern(&mut self, hops: &[FirstHop]) -> NexthopSetId {
        if let Some(&known) = self.ids.get(hops) {
            return known;
        }
        // There is no memory for as many sets as an id can number.
        let set = NexthopSetId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        let hops: Arc<[FirstHop]> = hops.into();
        self.sets.push(Arc::clone(&hops));
        self.ids.insert(hops, set);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(link: u32, router: u64) -> FirstHop {
        FirstHop { link, router: Some(NodeKey(router)) }
    }

    #[test]
    fn the_empty_set_is_the_first() {
        let mut sets = NexthopSets::new();
        assert_eq!(sets.union(&mut Vec::new()), NexthopSetId::EMPTY);
        assert_eq!(sets.members(NexthopSetId::EMPTY), []);
    }

    #[test]
    fn equal_sets_have_one_id_however_they_came_about() {
        let mut sets = NexthopSets::new();
        let (a, b, c) = (sets.single(via(1, 1)), sets.single(via(2, 2)), sets.single(via(3, 3)));
        let ab = sets.union(&mut vec![b, a]);
        let bc = sets.union(&mut vec![b, c, b]);
        let abc = sets.union(&mut vec![c, a, b]);
        assert_eq!(sets.union(&mut vec![ab, bc]), abc);
        assert_eq!(sets.union(&mut vec![bc, a]), abc);
        assert_eq!(sets.union(&mut vec![a, a]), a);
        assert_eq!(sets.members(abc), [via(1, 1), via(2, 2), via(3, 3)]);
    }

    #[test]
    fn a_union_is_made_once() {
        let mut sets = NexthopSets::new();
        let (a, b) = (sets.single(via(1, 1)), sets.single(via(2, 2)));
        for mut parts in [vec![a, b], vec![b, a], vec![a, b, a]] {
            sets.union(&mut parts);
        }
        sets.union(&mut vec![a, a]);
        assert_eq!(sets.unions.len(), 1);
    }

    #[test]
    fn a_router_across_a_network_is_first_on_the_links_of_the_network_only() {
        let mut sets = NexthopSets::new();
        let attached = sets.single(FirstHop { link: 2, router: None });
        let behind = sets.single(via(1, 5));
        let network = sets.union(&mut vec![attached, behind]);
        assert!(sets.is_attached(network) && !sets.is_attached(behind));
        let router = sets.across(network, NodeKey(9));
        assert_eq!(sets.members(router), [via(1, 5), via(2, 9)]);
    }

    #[test]
    fn a_sweep_keeps_what_is_in_use() {
        let mut sets = NexthopSets::new();
        let mut used = vec![NexthopSetId::EMPTY];
        for link in 0..5000 {
            let set = sets.single(via(link, link.into()));
            if link % 100 == 99 {
                used.push(set);
            }
        }
        sets.sweep(used.iter_mut());
        assert_eq!(sets.sets.len(), 51);
        assert_eq!(used[0], NexthopSetId::EMPTY);
        for (link, &set) in (99..).step_by(100).zip(&used[1..]) {
            assert_eq!(sets.members(set), [via(link, link.into())]);
        }
    }
}
