//! The decision process: from LSPs to routes (ISO 10589 section 7.2; RFC 1195 section 3.10; RFC 5302).
//!
//! LSPs are taken apart once, when they are installed: links into the graphs, prefixes into an index by prefix. A change of links
//! runs SPF and then looks again at the prefixes of the nodes that changed; a change of prefixes alone looks at these prefixes only
//! and runs no SPF.
//!
//! | Module | Holds |
//! |---|---|
//! | `content` | what one LSP says |
//! | `level` | what a level's database says |
//! | `topology` | one graph and its shortest paths |
//! | `backup` | loop-free alternates, RFC 5286, and new routes that wait, RFC 8333 |
//! | `nexthop` | interfaces and gateways |
//! | `rival` | what others advertise for watched prefixes |

mod backup;
mod content;
mod level;
mod nexthop;
mod rival;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bugle_lsdb::{BackoffState, Watches};
use bugle_spf::{Coverage, FirstHop, NexthopSetId, NodeKey};
use bugle_types::{Prefix, SharedMap, SystemId, Time};
use bugle_wire::isis::{AreaAddress, Level, Lsp, LspId, NodeId, TopologyId};
use smallvec::SmallVec;

use crate::config::{MOST_AREAS, Tags};
use crate::database::StoredLsp;
use crate::fragment::PrefixItem;
use crate::instance::Isis;
use crate::io::{Event, Output, PathType, Rival, Route};
use crate::level::PerLevel;
use backup::Backups;
use content::{Content, Says};
pub(crate) use level::LevelRouting;
use nexthop::Resolved;

/// Names a node in the graphs.
pub(crate) fn node_key(node: NodeId) -> NodeKey {
    NodeKey(LspId { node, fragment: 0 }.as_u64())
}

/// The node of a name.
pub(crate) fn node_id(key: NodeKey) -> NodeId {
    let [system @ .., pseudonode, _] = key.0.to_be_bytes();
    NodeId { system: SystemId(system), pseudonode }
}

/// The prefixes that an LSP says something of.
pub(crate) fn prefixes_in(lsp: Lsp<'_>, ipv6: TopologyId) -> Vec<Prefix> {
    Content::of(lsp, ipv6).prefixes.into_iter().map(|(prefix, _)| prefix).collect()
}

/// The best path to a prefix before it becomes a route.
struct Candidate {
    path: PathType,
    metric: u32,
    /// The distance to the advertiser, where the metric does not hold it.
    distance: u32,
    tags: Tags,
    sets: SmallVec<[(Level, NexthopSetId); 4]>,
}

impl Candidate {
    fn rank(&self) -> (PathType, u32, u32) {
        (self.path, self.metric, self.distance)
    }

    /// Merges an equal path, or replaces a worse one.
    fn merge(best: &mut Option<Self>, other: Self) {
        match best {
            Some(held) if held.rank() < other.rank() => {}
            Some(held) if held.rank() == other.rank() => held.sets.extend(other.sets),
            Some(_) | None => *best = Some(other),
        }
    }
}

/// The routing table.
#[derive(Default)]
pub(crate) struct Routing {
    routes: SharedMap<Prefix, Route>,
    watches: Watches<Prefix, Option<Rival>>,
    /// Prefixes to look at again, in any order and perhaps more than once.
    dirty: Vec<Prefix>,
    everything_dirty: bool,
    watches_dirty: bool,
    /// Neighbours by their addresses on links to us, unless these have just changed.
    neighbors: Option<BTreeMap<IpAddr, SystemId>>,
    /// First hops whose neighbour is not what it was.
    stale_hops: BTreeSet<FirstHop>,
    /// Links of LANs of which that holds for all first hops, by the numbers that these have.
    stale_links: BTreeSet<u32>,
    /// What sets of next hops mean.
    resolved: PerLevel<Resolved>,
    backups: Backups,
    coverage: PerLevel<Coverage>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

impl Routing {
    /// The routes, by prefix.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (Prefix, &Route)> {
        self.routes.iter().map(|(prefix, route)| (prefix, &**route))
    }

    /// The route to exactly this prefix.
    pub(crate) fn route(&self, prefix: Prefix) -> Option<&Route> {
        self.routes.get(&prefix).map(|route| &**route)
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// How many routes of a level have somewhere to go at once when a link or a neighbour fails.
    pub(crate) fn coverage(&self, level: Level) -> Coverage {
        self.coverage[level]
    }

    /// When the search for alternates goes on, if it does.
    pub(crate) fn backup_due(&self) -> Option<Time> {
        self.backups.due()
    }

    /// Sets the route to a prefix; whether it is another than before.
    fn set_route(&mut self, prefix: Prefix, route: Option<Route>) -> bool {
        let old = self.routes.get(&prefix).map(|route| &**route);
        if old == route.as_ref() {
            return false;
        }
        if let Some(old) = old {
            self.coverage[old.path.level()].remove(&old.nexthops, old.backup);
        }
        if let Some(new) = &route {
            self.coverage[new.path.level()].add(&new.nexthops, new.backup);
        }
        match route {
            Some(route) => self.routes.insert(prefix, route),
            None => self.routes.remove(&prefix),
        }
        true
    }
}

impl Isis {
    /// SPF's time has come at a level.
    pub(crate) fn run_spf(&mut self, level: Level) {
        let state = &mut self.levels[level];
        let asked = state.spf_asked.take().unwrap_or(self.now);
        let delay = self.config.alternates.as_ref().map(|config| config.microloop_delay);
        let changed = state.routing.run(self.now, delay, &mut self.routing.dirty);
        let run = state.routing.last_run();
        let unstable = state.backoff.state(self.now) == BackoffState::LongWait;
        let next_spf = if unstable { self.config.spf.long } else { Duration::ZERO };
        self.routing.backups.ask(self.now, next_spf);
        self.routing.resolved[level].clear();
        self.mark_nodes(level, &changed);
        // The nearest way out of the area may be another.
        self.routing.dirty.extend(defaults());
        self.routing.watches_dirty = true;
        self.stats.spf_runs += 1;
        // Each fragment's are in order already, which a stable sort makes use of.
        self.routing.dirty.sort();
        self.routing.dirty.dedup();
        let prefixes = self.routing.dirty.len();
        let (kind, nodes, changed) = (run.kind, run.nodes_visited, run.nodes_changed);
        self.event(Event::SpfRun { level, asked, kind, nodes, changed, prefixes });
        if self.is_border() {
            // Which areas are this one, and whether others can be reached, may have changed.
            self.links_changed();
        }
    }

    /// The addresses of this system's area (section 7.2.11), those of systems that cannot be reached left out: the lowest three.
    pub(crate) fn area_addresses(&self) -> Vec<AreaAddress> {
        let mut areas: BTreeSet<AreaAddress> = self.config.areas().iter().copied().collect();
        if self.config.levels.includes(Level::L1) {
            areas.extend(self.levels.l1.routing.areas());
        }
        areas.into_iter().take(MOST_AREAS).collect()
    }

    /// When new routes of a level that are held back go out, and how many they are.
    pub(crate) fn held(&self, level: Level) -> Option<(Time, usize)> {
        self.levels[level].routing.held()
    }

    /// The time of routes that were held back has come.
    pub(crate) fn on_microloop_timer(&mut self) {
        for level in Level::ALL {
            self.levels[level].routing.release(self.now, &mut self.routing.dirty);
        }
    }

    /// Brings the routing table up to date with the LSPs that changed in this step, and with SPF if it ran.
    pub(crate) fn update_routes(&mut self) {
        for level in Level::ALL {
            for id in std::mem::take(&mut self.changed[level]) {
                self.take_apart(level, id);
            }
            if std::mem::take(&mut self.levels[level].routing.areas_changed) && self.is_border() {
                self.links_changed();
            }
            let state = &mut self.levels[level];
            if state.routing.take_change() {
                state.spf_asked.get_or_insert(self.now);
                state.backoff.trigger(self.now);
                self.routing.backups.forget();
            }
        }
        // Where routes through a lost neighbour go, the run that is due will tell: until then they stay, lest they be taken away
        // and come back.
        if Level::ALL.into_iter().all(|level| self.levels[level].spf_asked.is_none()) {
            self.mark_stale_hops();
        }
        if std::mem::take(&mut self.routing.everything_dirty) {
            self.routing.backups.ask(self.now, Duration::ZERO);
            let Routing { routes, dirty, .. } = &mut self.routing;
            dirty.extend(routes.keys());
            for level in Level::ALL {
                dirty.extend(self.levels[level].routing.prefixes());
            }
            dirty.extend(defaults());
            self.routing.watches_dirty = true;
        }
        let mut dirty = std::mem::take(&mut self.routing.dirty);
        dirty.sort();
        dirty.dedup();
        let mut changes = Vec::new();
        for &prefix in &dirty {
            let route = self.best_route(prefix).map(|route| self.protect(prefix, route));
            if self.routing.set_route(prefix, route.clone()) {
                changes.push((prefix, route));
            }
        }
        for level in Level::ALL {
            self.levels[level].routing.settle();
        }
        if self.is_border() {
            for &prefix in &dirty {
                self.advertise(prefix);
            }
        }
        self.bring_capabilities();
        if !changes.is_empty() {
            self.out.push_back(Output::Routes(changes));
        }
        self.update_rivals(&dirty);
    }

    /// The route to a prefix is to be looked at again.
    pub(crate) fn routes_again(&mut self, prefix: Prefix) {
        self.routing.dirty.push(prefix);
    }

    /// Every LSP is to be taken apart again.
    pub(crate) fn take_everything_apart(&mut self) {
        for level in Level::ALL {
            let ids = self.levels[level].db.iter().map(|(_, stored)| stored.entry(self.now).id);
            let ids: Vec<LspId> = ids.collect();
            self.changed[level].extend(ids);
        }
    }

    fn take_apart(&mut self, level: Level, id: LspId) {
        let own = self.config.system_id;
        // What this system says of hosts gives it no routes, and of its links it knows.
        if id.fragment != 0 && id.node == NodeId::of_system(own) {
            return;
        }
        let ipv6 = self.config.ipv6_topology.id();
        let state = &mut self.levels[level];
        let stored = state.db.find(id).map(|(_, stored)| stored).filter(|lsp| !lsp.is_dead());
        let lsp: Option<Lsp<'_>> = stored.and_then(StoredLsp::lsp);
        state.routing.set_lsp(own, id, lsp, ipv6, &mut self.routing.dirty);
        if id.fragment == 0 {
            // The attached bit may have changed.
            self.routing.dirty.extend(defaults());
        }
    }

    /// Marks every prefix whose route may depend on the paths to these nodes.
    fn mark_nodes(&mut self, level: Level, nodes: &[NodeKey]) {
        for &node in nodes {
            self.routing.dirty.extend(self.levels[level].routing.prefixes_of(node));
        }
    }

    /// Marks what is reached through neighbours that are not what they were.
    fn mark_stale_hops(&mut self) {
        let hops = std::mem::take(&mut self.routing.stale_hops);
        let links = std::mem::take(&mut self.routing.stale_links);
        if hops.is_empty() && links.is_empty() {
            return;
        }
        let is_stale = |hop: &FirstHop| hops.contains(hop) || links.contains(&hop.link);
        self.routing.backups.ask(self.now, Duration::ZERO);
        for level in Level::ALL {
            self.routing.resolved[level].clear();
            let nodes = self.levels[level].routing.nodes_through(is_stale);
            self.mark_nodes(level, &nodes);
        }
        self.routing.dirty.extend(defaults());
    }

    /// The best route to a prefix. A network of this system's own circuits has none: the kernel knows the way.
    fn best_route(&mut self, prefix: Prefix) -> Option<Route> {
        if self.connected.contains(&prefix) {
            return None;
        }
        let topology = self.topology_of(prefix);
        let mut best = None;
        for level in self.config.levels.levels() {
            for (_, says, distance, set) in self.levels[level].routing.advertisers(prefix, topology)
            {
                let path = path_type(level, says);
                let (metric, distance) = if says.external {
                    (says.metric, distance)
                } else {
                    (says.metric.saturating_add(distance), 0)
                };
                let sets = SmallVec::from_iter([(level, set)]);
                let tags = says.attributes.as_ref().map_or(Tags::NONE, |said| said.tags());
                let candidate = Candidate { path, metric, distance, tags, sets };
                Candidate::merge(&mut best, candidate);
            }
        }
        if prefix.length() == 0 && self.follows_attached() {
            for (metric, set) in self.levels.l1.routing.attached(topology) {
                let path = PathType::Attached;
                let sets = SmallVec::from_iter([(Level::L1, set)]);
                let candidate = Candidate { path, metric, distance: 0, tags: Tags::NONE, sets };
                Candidate::merge(&mut best, candidate);
            }
        }
        self.route_along(prefix.is_ipv4(), &best?)
    }

    /// Whether the way out of the area is the nearest attached system: not for one that takes part in level 2.
    fn follows_attached(&self) -> bool {
        self.config.attached.follow && !self.config.levels.includes(Level::L2)
    }

    /// The best advertisement of a prefix at a level, with the cost of the path to it, for those who bring it to another level. What
    /// has been leaked down goes nowhere.
    pub(crate) fn advertised(&self, level: Level, prefix: Prefix) -> Option<PrefixItem> {
        let topology = self.topology_of(prefix);
        let advertisers = self.levels[level].routing.advertisers(prefix, topology);
        let (_, _, metric, says) = advertisers
            .filter(|(_, says, _, _)| !says.down)
            .map(|(system, says, distance, _)| {
                let metric = says.metric.saturating_add(if says.external { 0 } else { distance });
                (says.external, system, metric, says)
            })
            .min_by_key(|&(external, system, metric, _)| (external, metric, system))?;
        let Says { flags, attributes, .. } = says.clone();
        Some(PrefixItem { metric, flags, attributes, down: false })
    }
}

/// The kind of path of an advertisement (RFC 5302 section 3.2; RFC 7775 section 3: what was leaked down within level 2, too).
fn path_type(level: Level, says: &Says) -> PathType {
    match (says.down, level, says.external) {
        (true, _, false) => PathType::Down,
        (true, _, true) => PathType::DownExternal,
        (false, Level::L1, false) => PathType::Level1,
        (false, Level::L2, false) => PathType::Level2,
        (false, Level::L1, true) => PathType::Level1External,
        (false, Level::L2, true) => PathType::Level2External,
    }
}

/// The default routes, which depend on more than on who advertises them.
fn defaults() -> impl Iterator<Item = Prefix> {
    let ipv4 = Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let ipv6 = Prefix::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 0);
    ipv4.into_iter().chain(ipv6)
}
