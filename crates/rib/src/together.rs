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

/// How many of an object's routes go one way, by the majority vote of Boyer and Moore: what is told of it is no less than the
/// truth if it is the way of more than half.
#[derive(Debug)]
struct Vote {
    path: Path,
    lead: usize,
    voters: usize,
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
        let (turns, sets) = self.turns(vrf, protocol, changes);
        if turns.is_empty() {
            return;
        }
        // Who goes along, in the order of the table.
        let mut movers: Vec<(Prefix, SetId)> = changes
            .iter()
            .zip(sets)
            .filter_map(|((prefix, route), set)| {
                let (route, set) = (route.as_ref()?, set?);
                turns.get(&set)?.is(&route.nexthops, route.backup).then_some((*prefix, set))
            })
            .collect();
        movers.sort_unstable();
        movers.dedup();
        let mut moving: BTreeMap<SetId, usize> = BTreeMap::new();
        for (_, set) in &movers {
            *moving.entry(*set).or_default() += 1;
        }
        // Mostly all do: then nobody needs to be looked for.
        let all_move = turns.keys().all(|set| moving.get(set) == Some(&self.shadow.wanted(*set)));

        for set in turns.keys() {
            self.shadow.retire(*set);
        }
        for (at, table) in self.tables.iter_mut().filter(|_| !all_move) {
            let mut rest = movers.iter().peekable();
            table.leave(&mut self.shadow, |set, by, prefix| {
                if !turns.contains_key(&set) {
                    return false;
                }
                while rest.next_if(|(mover, _)| *mover < prefix).is_some() {}
                (*at, by) != (vrf, protocol)
                    || rest.peek().is_none_or(|(mover, _)| *mover != prefix)
            });
        }
        for (set, path) in &turns {
            self.shadow.turn(*set, path);
        }
    }

    /// The objects to turn, and to which path; and for each change, the object that it leaves, if its route is in the kernel.
    fn turns(
        &self,
        vrf: VrfId,
        protocol: Protocol,
        changes: &[RouteChange],
    ) -> (BTreeMap<SetId, Path>, Vec<Option<SetId>>) {
        let Some(table) = self.tables.get(&vrf) else { return Default::default() };
        let sets: Vec<Option<SetId>> = changes
            .iter()
            .map(|(prefix, _)| table.installed_on(*prefix, protocol, &self.shadow))
            .collect();
        let mut votes: BTreeMap<SetId, Vote> = BTreeMap::new();
        for ((_, route), set) in changes.iter().zip(&sets) {
            let (Some(set), Some(route)) = (*set, route) else { continue };
            let vote = votes.entry(set).or_insert_with(|| Vote {
                path: Path::new(&route.nexthops, route.backup),
                lead: 0,
                voters: 0,
            });
            if vote.path.is(&route.nexthops, route.backup) {
                vote.lead += 1;
                vote.voters += 1;
            } else if let Some(lead) = vote.lead.checked_sub(1) {
                vote.lead = lead;
            } else {
                *vote = Vote { path: Path::new(&route.nexthops, route.backup), lead: 1, voters: 1 };
            }
        }
        let turns = votes
            .into_iter()
            .filter(|(set, vote)| {
                vote.voters >= FEWEST
                    && vote.voters * 2 > self.shadow.routes(*set)
                    && self.shadow.path(*set) != Some(&vote.path)
                    && self.shadow.can_turn(*set, &vote.path)
            })
            .map(|(set, vote)| (set, vote.path))
            .collect();
        (turns, sets)
    }
}
