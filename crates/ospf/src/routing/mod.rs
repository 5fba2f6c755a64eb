//! The routing table (RFC 2328 sections 11 and 16).
//!
//! LSAs are taken apart once, when they are installed: router- and network-LSAs into the graph, every prefix into an index by
//! prefix. A change of topology runs SPF and then looks again at the prefixes of the nodes that changed; a change of
//! prefixes alone looks at these prefixes only and runs no SPF.
//!
//! | Module | Holds | RFC 2328 |
//! |---|---|---|
//! | `topology` | the graph, SPF, intra-area paths | 16.1 |
//! | `nexthop` | interfaces and gateways | 16.1.1 |
//! | `inter_area` | paths through border routers | 16.2 |
//! | `external` | external paths | 16.4 |
//! | `rival` | what others say of watched hosts | |
//! | `backup` | loop-free alternates, RFC 5286 | |
//! | `advertised` | what LSAs say about prefixes, by prefix and by router | appendix E |

mod advertised;
mod backup;
mod external;
mod inter_area;
mod nexthop;
mod rival;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_lsdb::{BackoffState, Watches};
use bugle_spf::{Coverage, FirstHop, LocalDelay, NexthopSetId, NodeKey, SpfCounts, SpfRun};
use bugle_types::{Prefix, Prefix4, RouterId, SharedMap, Time};
use bugle_wire::ospf::{LsaBody, LsaKey, LsaType, NetworkLsa};
use smallvec::SmallVec;

use crate::database::{DbKey, StoredLsa, seek};
use crate::instance::Ospf;
use crate::io::{Event, Output, PathType, Rival, Route};
use advertised::{Advertised, Advertiser};
use backup::Backups;
use external::Details;
use nexthop::Paths;
pub(crate) use topology::RootLink;
use topology::{Topology, router_node, router_of};

/// A path to a router or prefix before it becomes a route.
struct Candidate {
    cost: u32,
    sets: SmallVec<[NexthopSetId; 4]>,
}

impl Candidate {
    /// Merges an equal-cost path, or replaces a longer one.
    fn merge(best: &mut Option<Self>, cost: u32, sets: &[NexthopSetId]) {
        match best {
            Some(held) if held.cost < cost => {}
            Some(held) if held.cost == cost => held.sets.extend_from_slice(sets),
            Some(_) | None => *best = Some(Self { cost, sets: sets.into() }),
        }
    }
}

/// The routing table and what it is computed from.
#[derive(Default)]
pub struct Routing {
    topology: Topology,
    /// Summary-LSAs of border routers: their metrics.
    summaries: Advertised,
    /// ASBR-summary-LSAs: by AS boundary router, the border routers and their metrics.
    boundaries: BTreeMap<RouterId, Vec<(RouterId, u32)>>,
    /// AS-external-LSAs of other routers: their metrics, with the E bit.
    externals: Advertised,
    /// What else those say that say more than most.
    details: BTreeMap<(Prefix4, Advertiser), Details>,
    routes: SharedMap<Prefix4, Route>,
    watches: Watches<Ipv4Addr, Option<Rival>>,
    /// Of watched addresses: the routers that say it is their own.
    owners: BTreeMap<Ipv4Addr, Vec<RouterId>>,
    /// Prefixes to look at again, in any order and perhaps more than once.
    dirty: Vec<Prefix4>,
    everything_dirty: bool,
    watches_dirty: bool,
    /// First hops whose neighbour is not what it was.
    stale_hops: BTreeSet<FirstHop>,
    /// What each set of the last run resolves to, by its id.
    resolved: Vec<Option<Paths>>,
    backups: Backups,
    coverage: Coverage,
    delay: LocalDelay<Prefix4, Route>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing")
            .field("routes", &self.routes.len())
            .field("nodes", &self.nodes())
            .finish_non_exhaustive()
    }
}

impl Routing {
    /// The routes, by prefix. A route without next hops is to a network of our own.
    pub fn routes(&self) -> impl Iterator<Item = (Prefix, &Route)> {
        self.routes.iter().map(|(prefix, route)| (prefix.into(), &**route))
    }

    /// The route to exactly this prefix.
    #[must_use]
    pub fn route(&self, prefix: Prefix) -> Option<&Route> {
        self.routes.get(&Prefix4::try_from(prefix).ok()?).map(|route| &**route)
    }

    /// What the last run of SPF did.
    #[must_use]
    pub fn last_run(&self) -> SpfRun {
        self.topology.last_run
    }

    /// How many runs of SPF were incremental, and how many were not for which reason.
    #[must_use]
    pub fn spf_counts(&self) -> SpfCounts {
        self.topology.spf.counts()
    }

    /// The cost of the shortest path to a router of the area, as of the last run of SPF.
    #[must_use]
    pub fn distance(&self, router: RouterId) -> Option<u32> {
        self.topology.node(router_node(router)).map(|(distance, _)| distance)
    }

    /// How many routes have somewhere to go at once when a link or a neighbour fails.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// When new routes that are held back go out, and how many they are.
    #[must_use]
    pub fn held(&self) -> Option<(Time, usize)> {
        self.delay.held()
    }

    /// The time of those that were held back has come.
    pub(crate) fn release(&mut self) {
        self.dirty.extend(self.delay.release());
    }

    /// When the search for alternates goes on, if it does.
    pub(crate) fn backup_due(&self) -> Option<Time> {
        self.backups.due()
    }

    /// Routers and networks in the graph.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.topology.graph.len()
    }

    /// The links of this router changed.
    pub(crate) fn set_root(&mut self, router_id: RouterId, links: &[RootLink]) {
        self.topology.set_root(router_id, links);
    }

    /// An LSA other than a network-LSA changed; `None`: it is gone or at MaxAge.
    fn on_lsa(&mut self, own_id: RouterId, key: LsaKey, stored: Option<&StoredLsa>) {
        let router = key.advertising_router;
        let body = stored.and_then(|stored| stored.lsa()?.body().ok());
        let body = body.as_ref();
        match key.ls_type {
            LsaType::ROUTER => {
                let content = stored.map(StoredLsa::content);
                let mut watched = self.watched_of(router);
                let another = self.topology.on_router_lsa(own_id, key, content, &mut self.dirty);
                watched.extend(self.watched_of(router));
                for address in watched {
                    self.seek_owners(address);
                }
                if another {
                    self.mark_advertised_by(router);
                }
            }
            // Sections 16.2 (2), 16.4 (2): our own give no routes.
            _ if router == own_id => {}
            LsaType::SUMMARY_NETWORK | LsaType::SUMMARY_ASBR => self.on_summary_lsa(key, body),
            LsaType::AS_EXTERNAL => self.on_external_lsa(key, body),
            _ => {}
        }
    }

    /// Marks every prefix whose route may depend on the paths to these nodes.
    fn mark_nodes(&mut self, nodes: &[NodeKey]) {
        for &node in nodes {
            self.dirty.extend(self.topology.prefixes_of(node));
            if let Some(router) = router_of(node)
                && self.topology.may_be_border(router)
            {
                self.mark_advertised_by(router);
            }
        }
    }

    /// Marks every prefix whose route may depend on the path to a border or boundary router.
    fn mark_advertised_by(&mut self, router: RouterId) {
        self.dirty.extend(self.summaries.by_router(router));
        self.dirty.extend(self.externals.by_router(router));
        for (&boundary, borders) in &self.boundaries {
            if borders.iter().any(|&(border, _)| border == router) {
                self.dirty.extend(self.externals.by_router(boundary));
            }
        }
    }

    /// Marks what is reached through neighbours that are not what they were.
    fn mark_stale_hops(&mut self, now: Time) {
        if self.stale_hops.is_empty() {
            return;
        }
        self.backups.ask(now, Duration::ZERO);
        let hops = std::mem::take(&mut self.stale_hops);
        self.resolved.clear();
        let nodes = self.topology.nodes_through(&hops);
        self.mark_nodes(&nodes);
    }
}

impl Routing {
    /// The prefixes to look at again, in order.
    fn take_dirty(&mut self) -> Vec<Prefix4> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    /// Sets the route to a prefix; whether it is another than before.
    fn set_route(
        &mut self,
        prefix: Prefix4,
        route: Option<Route>,
        changes: &mut Vec<RouteChange>,
    ) -> bool {
        let old = self.routes.get(&prefix).map(|route| &**route);
        if old == route.as_ref() {
            return false;
        }
        if let Some(old) = old {
            self.coverage.remove(&old.nexthops, old.backup);
        }
        if let Some(new) = &route {
            self.coverage.add(&new.nexthops, new.backup);
        }
        let was_visible = old.is_some_and(|route| !route.nexthops.is_empty());
        let now_visible = route.clone().filter(|route| !route.nexthops.is_empty());
        if was_visible || now_visible.is_some() {
            changes.push((prefix.into(), now_visible));
        }
        match route {
            Some(route) => self.routes.insert(prefix, route),
            None => self.routes.remove(&prefix),
        }
        true
    }
}

/// A prefix and its new route; `None`: it has none any more.
type RouteChange = (Prefix, Option<Route>);

impl Ospf {
    /// SPF's time has come.
    pub(crate) fn run_spf(&mut self) {
        let asked = self.spf_asked.take().unwrap_or(self.now);
        let happened = self.routing.topology.take_happened();
        let changed = self.routing.topology.run();
        let complete = self.routing.backups.is_complete();
        let delay = self.config.alternates.as_ref().map(|config| config.microloop_delay);
        let delay = delay.filter(|delay| complete && !delay.is_zero());
        let released = self.routing.delay.on_spf(happened, self.now, delay);
        self.routing.dirty.extend(released);
        self.routing.resolved.clear();
        let unstable = self.backoff.state(self.now) == BackoffState::LongWait;
        let next_spf = if unstable { self.config.spf.long } else { Duration::ZERO };
        self.routing.backups.ask(self.now, next_spf);
        self.routing.mark_nodes(&changed);
        self.routing.watches_dirty = true;
        self.stats.spf_runs += 1;
        let run = self.routing.last_run();
        let prefixes = self.routing.take_dirty();
        let count = prefixes.len();
        self.routing.dirty = prefixes;
        self.event(Event::SpfRun {
            asked,
            kind: run.kind,
            nodes: run.nodes_visited,
            changed: run.nodes_changed,
            prefixes: count,
        });
    }

    /// Brings the routing table up to date with the LSAs that changed in this step, and with SPF if it ran.
    pub(crate) fn update_routes(&mut self) {
        let mut lsas = std::mem::take(&mut self.changed);
        lsas.sort_unstable();
        lsas.dedup();
        for key in lsas {
            self.take_lsa_apart(key);
        }
        if self.routing.topology.take_change() {
            self.spf_asked.get_or_insert(self.now);
            self.routing.backups.forget();
            self.backoff.trigger(self.now);
        }
        // Where routes through a lost neighbour go, the run that is due will tell: until then they stay, lest they be taken away
        // and come back.
        if self.spf_asked.is_none() {
            self.routing.mark_stale_hops(self.now);
        }
        if std::mem::take(&mut self.routing.everything_dirty) {
            self.routing.backups.ask(self.now, Duration::ZERO);
            let Routing { routes, topology, summaries, externals, dirty, .. } = &mut self.routing;
            dirty.extend(routes.keys());
            dirty.extend(topology.prefixes());
            dirty.extend(summaries.prefixes());
            dirty.extend(externals.prefixes());
            self.routing.watches_dirty = true;
        }
        let dirty = self.routing.take_dirty();
        let changes = self.update_prefixes(&dirty);
        self.routing.delay.settle();
        if !changes.is_empty() {
            self.out.push_back(Output::Routes(changes));
        }
        self.update_rivals(&dirty);
    }

    fn take_lsa_apart(&mut self, key: DbKey) {
        let live = |stored: &StoredLsa| !stored.is_dead(self.now);
        if key.lsa.ls_type == LsaType::NETWORK {
            let lsas: Vec<NetworkLsa<'_>> = seek(&self.db, &self.sought, key.by_any_router())
                .filter(|(_, _, stored)| live(stored))
                .filter_map(|(_, _, stored)| {
                    let LsaBody::Network(lsa) = stored.lsa()?.body().ok()? else { return None };
                    Some(lsa)
                })
                .collect();
            let Routing { topology, dirty, .. } = &mut self.routing;
            topology.on_network_lsas(key.lsa.link_state_id, &lsas, dirty);
            return;
        }
        let stored = self.db.lookup(&key).map(|(_, stored)| stored).filter(|stored| live(stored));
        let had_virtual_links = self.routing.topology.has_virtual_links();
        self.routing.on_lsa(self.config.router_id, key.lsa, stored);
        if self.routing.topology.has_virtual_links() != had_virtual_links {
            self.routing.backups.ask(self.now, Duration::ZERO);
        }
    }

    /// Recomputes prefixes, internal ones first: forwarding addresses are looked up among their routes. Returns what changed, by
    /// prefix.
    fn update_prefixes(&mut self, dirty: &[Prefix4]) -> Vec<RouteChange> {
        let mut changes = Vec::new();
        let mut internal_changed = false;
        let mut external = Vec::new();
        for &prefix in dirty {
            let route = self.internal_path(prefix);
            let was = self.routing.routes.get(&prefix).map(|route| route.path);
            if route.is_none() {
                external.push(prefix);
            }
            if route.is_some() || was.is_some_and(|path| path <= PathType::InterArea) {
                let route = route.map(|route| self.protect(prefix, route));
                internal_changed |= self.routing.set_route(prefix, route, &mut changes);
            }
        }
        if internal_changed {
            let forwarded = self.routing.forwarded();
            let others: Vec<Prefix4> =
                forwarded.filter(|prefix| dirty.binary_search(prefix).is_err()).collect();
            for prefix in others {
                if self.internal_path(prefix).is_none() {
                    external.push(prefix);
                }
            }
        }
        for prefix in external {
            let route = self.external_path(prefix).map(|route| self.protect(prefix, route));
            self.routing.set_route(prefix, route, &mut changes);
        }
        // Of a prefix that lost its internal route, what came of it last.
        changes.sort_by_key(|(prefix, _)| *prefix);
        changes.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        changes
    }

    /// The intra-area or inter-area route to a prefix (section 11: these are preferred to external ones).
    fn internal_path(&mut self, prefix: Prefix4) -> Option<Route> {
        if let Some(candidate) = self.routing.topology.intra_path(prefix)
            && let Some(route) = self.route(PathType::IntraArea, &candidate)
        {
            return Some(route);
        }
        let candidate = self.routing.inter_path(prefix)?;
        self.route(PathType::InterArea, &candidate)
    }
}
