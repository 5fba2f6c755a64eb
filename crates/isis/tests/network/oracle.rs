//! Routes against an oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_isis::CircuitKind;
use bugle_types::{IfIndex, Prefix, Rng};
use bugle_wire::isis::Level;

use crate::common::World;

const INFINITY: u32 = u32::MAX;

/// Links by metric: pairs, and LANs of more.
struct Plan {
    systems: usize,
    segments: Vec<(Vec<usize>, u32)>,
}

impl Plan {
    /// The distance of every pair: Bellman and Ford, over the members of every segment.
    fn distances(&self, lost: &BTreeSet<usize>) -> Vec<Vec<u32>> {
        let mut distances = vec![vec![INFINITY; self.systems]; self.systems];
        for (from, row) in distances.iter_mut().enumerate() {
            row[from] = 0;
            for _ in 0..self.systems {
                for (index, (members, metric)) in self.segments.iter().enumerate() {
                    if lost.contains(&index) {
                        continue;
                    }
                    let least = members.iter().map(|&member| row[member]).min().unwrap();
                    for &member in members {
                        row[member] = row[member].min(least.saturating_add(*metric));
                    }
                }
            }
        }
        distances
    }

    /// What every system should reach the network of another by: the metric, and the circuits of the next hops.
    fn routes(
        &self,
        lost: &BTreeSet<usize>,
        from: usize,
        to: usize,
    ) -> Option<(u32, BTreeSet<u32>)> {
        let distances = self.distances(lost);
        let total = distances[from][to];
        if total == INFINITY {
            return None;
        }
        let mut circuits = BTreeSet::new();
        for (index, (members, metric)) in self.segments.iter().enumerate() {
            let through = |&member: &usize| {
                member != from && distances[member][to].saturating_add(*metric) == total
            };
            if !lost.contains(&index) && members.contains(&from) && members.iter().any(through) {
                circuits.insert(u32::try_from(index).unwrap() + 1);
            }
        }
        Some((total, circuits))
    }
}

fn check(world: &World, plan: &Plan, lost: &BTreeSet<usize>, networks: &BTreeMap<usize, Prefix>) {
    for from in 0..plan.systems {
        for (&to, network) in networks.iter().filter(|&(&to, _)| to != from) {
            let found = world.routes[from].get(network).map(|route| {
                let circuits = route.nexthops.iter().map(|hop| hop.ifindex.0).collect();
                (route.metric - 1, circuits)
            });
            assert_eq!(found, plan.routes(lost, from, to), "from {from} to {to}");
        }
    }
}

#[test]
fn routes_are_those_of_an_oracle_through_failures_and_repairs() {
    for seed in 0..8 {
        let mut rng = Rng::new(seed);
        let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
        let systems = 7;
        let mut plan = Plan { systems, segments: Vec::new() };
        for system in 1..systems {
            let metric = 1 + u32::try_from(below(4)).unwrap();
            plan.segments.push((vec![below(system), system], metric));
        }
        for _ in 0..4 {
            let (a, b) = (below(systems), below(systems));
            if a != b {
                plan.segments.push((vec![a, b], 1 + u32::try_from(below(4)).unwrap()));
            }
        }
        let lan: BTreeSet<usize> = (0..3).map(|_| below(systems)).collect();
        if lan.len() == 3 {
            plan.segments.push((lan.into_iter().collect(), 2));
        }
        let mut world = World::new(systems, seed);
        for (members, metric) in &plan.segments {
            let p2p = members.len() == 2;
            let kind = if p2p { CircuitKind::PointToPoint } else { CircuitKind::Broadcast };
            world.join(members, kind, *metric);
        }
        let networks: BTreeMap<usize, Prefix> = (0..systems)
            .map(|system| {
                let segment = world.join(&[system], CircuitKind::Passive, 1);
                (system, world.circuit_config(system, segment).networks().next().unwrap())
            })
            .collect();
        world.run_for(Duration::from_secs(15));
        let mut lost = BTreeSet::new();
        check(&world, &plan, &lost, &networks);
        for _ in 0..6 {
            let index = below(plan.segments.len());
            let (members, _) = plan.segments[index].clone();
            let ifindex = IfIndex(u32::try_from(index).unwrap() + 1);
            let repaired = lost.remove(&index);
            for &member in &members {
                let config = repaired.then(|| world.circuit_config(member, index));
                world.input_circuit(member, ifindex, config);
            }
            if !repaired {
                lost.insert(index);
            }
            world.run_for(Duration::from_secs(15));
            check(&world, &plan, &lost, &networks);
            for system in 1..systems {
                let reached = plan.distances(&lost)[0][system] != INFINITY;
                let equal = world.database(system, Level::L2) == world.database(0, Level::L2);
                assert!(!reached || equal, "seed {seed}");
            }
        }
    }
}
