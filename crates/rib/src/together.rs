//! Many routes moved by one change.
//!
//! A topology change moves all prefixes behind some router from one path to another. They share a nexthop object, so the object
//! itself is turned to the new path: one change for the kernel, and the last prefix follows as soon as the first. The few
//! that stay behind on the old path get another object before.

use std::collections::BTreeMap;

use bugle_types::{Prefix, VrfId};

use crate::object::{Path, SetId};
use crate::rib::Rib;
use crate::route::{Protocol, RouteChange};

/// Fewer routes are moved one by one.
const FEWEST: usize = 4;

/// Changes in a row whose routes leave one object for the same path. There are few where many routes change: prefixes that come from one
/// router stand together.
#[derive(Debug)]
struct Run<'a> {
    set: SetId,
    path: Path,
    changes: &'a [RouteChange],
}

impl Rib {
    /// Turns the objects from which most routes go the same way.
    pub(crate) fn change_together(
        &mut self,
        vrf: VrfId,
        protocol: Protocol,
        changes: &[RouteChange],
    ) {
        if changes.len() < FEWEST {
            return;
        }
        let mut runs = self.runs(vrf, protocol, changes);
        let turns = self.turns(&runs);
        if turns.is_empty() {
            return;
        }
        // Who goes along.
        runs.retain(|run| turns.get(&run.set) == Some(&run.path));
        for set in turns.keys() {
            self.shadow.retire(*set);
        }
        if !self.all_move(&turns, &runs, changes) {
            let mut movers: Vec<Prefix> = runs.iter().flat_map(Run::prefixes).collect();
            movers.sort_unstable();
            for (at, table) in &mut self.tables {
                let mut rest = movers.iter().peekable();
                table.leave(&mut self.shadow, |set, by, prefix| {
                    if !turns.contains_key(&set) {
                        return false;
                    }
                    while rest.next_if(|mover| **mover < prefix).is_some() {}
                    (*at, by) != (vrf, protocol)
                        || rest.peek().is_none_or(|mover| **mover != prefix)
                });
            }
        }
        for (set, path) in &turns {
            self.shadow.turn(*set, path);
        }
    }

    /// The changes of routes that are in the kernel, in their order.
    fn runs<'a>(&self, vrf: VrfId, protocol: Protocol, changes: &'a [RouteChange]) -> Vec<Run<'a>> {
        let Some(table) = self.tables.get(&vrf) else { return Vec::new() };
        let mut runs: Vec<Run<'a>> = Vec::new();
        // Where the last run began, if the change before this one is part of it.
        let mut begun = None;
        for (at, (prefix, route)) in changes.iter().enumerate() {
            let set = table.installed_on(*prefix, protocol, &self.shadow);
            let (Some(set), Some(route)) = (set, route) else {
                begun = None;
                continue;
            };
            match (begun, runs.last_mut()) {
                (Some(start), Some(run))
                    if run.set == set && run.path.is(&route.nexthops, route.backup) =>
                {
                    run.changes = changes.get(start..=at).unwrap_or_default();
                }
                _ => {
                    begun = Some(at);
                    let path = Path::new(&route.nexthops, route.backup);
                    runs.push(Run { set, path, changes: changes.get(at..=at).unwrap_or_default() });
                }
            }
        }
        runs
    }

    /// The objects to turn, and to which path.
    fn turns(&self, runs: &[Run<'_>]) -> BTreeMap<SetId, Path> {
        let mut votes: BTreeMap<(SetId, &Path), usize> = BTreeMap::new();
        for run in runs {
            *votes.entry((run.set, &run.path)).or_default() += run.changes.len();
        }
        votes
            .into_iter()
            .filter(|((set, path), voters)| {
                *voters >= FEWEST
                    && *voters * 2 > self.shadow.routes(*set)
                    && self.shadow.path(*set) != Some(*path)
                    && self.shadow.can_turn(*set, path)
            })
            .map(|((set, path), _)| (set, path.clone()))
            .collect()
    }

    /// Whether no route stays behind on an object that turns, as is mostly so: then nobody needs to be looked for.
    fn all_move(
        &self,
        turns: &BTreeMap<SetId, Path>,
        movers: &[Run<'_>],
        changes: &[RouteChange],
    ) -> bool {
        let mut moving: BTreeMap<SetId, usize> = BTreeMap::new();
        for run in movers {
            *moving.entry(run.set).or_default() += run.changes.len();
        }
        let none_twice = changes.is_sorted_by(|(one, _), (next, _)| one < next);
        none_twice && turns.keys().all(|set| moving.get(set) == Some(&self.shadow.wanted(*set)))
    }
}

impl Run<'_> {
    fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.changes.iter().map(|(prefix, _)| *prefix)
    }
}
