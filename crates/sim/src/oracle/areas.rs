//! What IS-IS should make of the network: level 1 within areas, level 2 between them (RFC 1195 section 3.2, RFC 5302).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bugle_isis::claim_metric;
use bugle_rib::Protocol;
use bugle_types::{Nexthop, Prefix};
use bugle_wire::isis::Level;

use super::{Expected, Graph, Parts, REST};
use crate::network::{Borders, NodeId};
use crate::world::World;

/// Who advertises each prefix, and at which metric.
type Advertised = BTreeMap<Prefix, Vec<(usize, u32)>>;

/// The distance of every vertex from a router, and the next hops.
type Paths = (Vec<Option<u32>>, Vec<BTreeSet<Nexthop>>);

/// Two levels, and what those who take part in both tell one of the other.
#[derive(Debug)]
pub(crate) struct Areas {
    level_1: Graph,
    level_2: Graph,
    within: Advertised,
    /// In level 2: with what was brought up from level 1.
    between: Advertised,
    /// What was leaked down to level 1.
    down: Advertised,
    /// Who leads out of an area, if level 1 is told no more than that.
    attached: Vec<(usize, u32)>,
}

impl Areas {
    pub(super) fn new(world: &World, is_alive: &dyn Fn(NodeId) -> bool) -> Self {
        let graph = |level| {
            Graph::new(world, Protocol::Isis, &move |node| {
                let takes_part = is_alive(node) && world.network.levels(node).includes(level);
                let area = world.network.routers[node.index()].area.unwrap_or(1);
                // Level 2 does not care for areas.
                takes_part.then_some(if level == Level::L1 { area } else { 0 })
            })
        };
        let (level_1, level_2) = (graph(Level::L1), graph(Level::L2));
        let (within, between) = (level_1.advertised(), level_2.advertised());
        let (down, attached) = (Advertised::new(), Vec::new());
        let mut areas = Self { level_1, level_2, within, between, down, attached };
        let borders: Vec<usize> = (0..areas.level_1.takes_part.len())
            .filter(|&router| areas.level_1.takes_part[router] && areas.level_2.takes_part[router])
            .collect();
        // What a border says of its own networks and hosts it says in both levels.
        let mut up = Vec::new();
        for &border in &borders {
            let paths = areas.level_1.paths(border);
            for (&prefix, advertisers) in &areas.within {
                if let Some((metric, _)) = best(advertisers, &paths, border)
                    && !areas.is_own(prefix, border)
                {
                    up.push((prefix, (border, metric)));
                }
            }
        }
        for (prefix, advertiser) in up {
            areas.between.entry(prefix).or_default().push(advertiser);
        }
        if world.network.borders == Borders::Attached {
            // One that carries no traffic is no way out.
            let mut leading_out = borders;
            leading_out.retain(|&b| !world.network.routers[b].stub && areas.leaves_area(world, b));
            areas.attached = leading_out.into_iter().map(|border| (border, 0)).collect();
            return areas;
        }
        let mut down = Advertised::new();
        for &border in &borders {
            let (near, far) = (areas.level_1.paths(border), areas.level_2.paths(border));
            for (&prefix, advertisers) in &areas.between {
                let Some((metric, _)) = best(advertisers, &far, border) else { continue };
                let within = areas.within.get(&prefix);
                let inside = within.and_then(|advertisers| best(advertisers, &near, border));
                // The area's own way is preferred; but of hosts it is told if there is a better one.
                let leaks = inside.is_none_or(|(inside, _)| prefix.is_host() && metric < inside);
                if leaks && !areas.is_own(prefix, border) {
                    down.entry(prefix).or_default().push((border, metric));
                }
            }
        }
        areas.down = down;
        areas
    }

    /// What a router can reach, its own networks and hosts included. To hosts of its own it may have been told a way, which is behind
    /// its own.
    pub(super) fn reached(&self, root: usize) -> BTreeMap<Prefix, Expected> {
        let (near, far) = (self.level_1.paths(root), self.level_2.paths(root));
        let mut found = BTreeMap::new();
        // In the order of preference (RFC 5302 section 3.2).
        for (advertised, paths, graph) in [
            (&self.within, &near, &self.level_1),
            (&self.between, &far, &self.level_2),
            (&self.down, &near, &self.level_1),
        ] {
            if !graph.takes_part[root] {
                continue;
            }
            for (&prefix, advertisers) in advertised {
                let own = advertisers.iter().find(|(by, _)| *by == root);
                // To networks of its own there is no route, even if there is a cheaper way.
                let connected = own.filter(|_| !prefix.is_host() || !self.is_host(prefix));
                let expected = match (connected, best(advertisers, paths, root), own) {
                    (None, Some((metric, nexthops)), _) => Expected { metric, nexthops },
                    (Some(&(_, metric)), ..) | (None, None, Some(&(_, metric))) => {
                        Expected { metric, nexthops: Vec::new() }
                    }
                    (None, None, None) => continue,
                };
                let held = found.entry(prefix).or_insert_with(|| expected.clone());
                if held.nexthops.is_empty() && self.is_host(prefix) {
                    *held = expected;
                }
            }
        }
        if self.level_1.takes_part[root]
            && !self.level_2.takes_part[root]
            && let Some((metric, nexthops)) = best(&self.attached, &near, root)
        {
            let default = Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            found.extend(default.map(|default| (default, Expected { metric, nexthops })));
        }
        found
    }

    /// Whether a border reaches a router of another area in level 2 (ISO 10589 section 7.2.9.2).
    fn leaves_area(&self, world: &World, border: usize) -> bool {
        let area = |router: usize| world.network.routers[router].area;
        let (distances, _) = self.level_2.paths(border);
        (0..self.level_2.takes_part.len())
            .any(|other| distances[other].is_some() && area(other) != area(border))
    }

    /// Who should have the same database, by level.
    pub(super) fn databases(&self) -> Vec<(&'static str, Parts)> {
        vec![("level 1", self.level_1.parts()), ("level 2", self.level_2.parts())]
    }

    fn is_host(&self, prefix: Prefix) -> bool {
        self.level_1.hosts.contains_key(&prefix) || self.level_2.hosts.contains_key(&prefix)
    }

    /// Whether a router that takes part in level 2 says of itself that it has a prefix.
    fn is_own(&self, prefix: Prefix, router: usize) -> bool {
        self.level_2.is_own(prefix, router)
    }
}

impl Graph {
    /// What routers say of their own networks and hosts.
    fn advertised(&self) -> Advertised {
        let mut advertised = self.networks.clone();
        for (&prefix, &router) in &self.hosts {
            advertised.entry(prefix).or_default().push((router, claim_metric(REST)));
        }
        advertised
    }

    fn is_own(&self, prefix: Prefix, router: usize) -> bool {
        let networks = self.networks.get(&prefix).into_iter().flatten();
        self.hosts.get(&prefix) == Some(&router)
            || networks.into_iter().any(|(by, _)| *by == router)
    }
}

/// The metric of the best that others than `root` advertise, and where it leads.
fn best(
    advertisers: &[(usize, u32)],
    (distances, hops): &Paths,
    root: usize,
) -> Option<(u32, Vec<Nexthop>)> {
    let others = || advertisers.iter().filter(|(by, _)| *by != root);
    let metric = |&(by, metric): &(usize, u32)| Some(distances[by]? + metric);
    let least = others().filter_map(metric).min()?;
    let nearest = others().filter(|advertiser| metric(advertiser) == Some(least));
    let nexthops: BTreeSet<Nexthop> = nearest.flat_map(|&(by, _)| &hops[by]).copied().collect();
    Some((least, nexthops.into_iter().collect()))
}
