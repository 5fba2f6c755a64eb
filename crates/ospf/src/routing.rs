//! The routing table (RFC 2328 sections 11 and 16).
//!
//! LSAs are taken apart once, when they are installed: router- and network-LSAs into the graph, every prefix into an index by
//! prefix. A change of topology runs SPF and then looks again at the prefixes of the nodes that changed; a change of
//! prefixes alone looks at these prefixes only and runs no SPF.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use bugle_spf::{Edge, FirstHop, Graph, NexthopSetId, NodeKey, NodeKind, NodeUpdate, Spf, SpfRun};
use bugle_types::{IfIndex, Nexthop, Prefix, RouterId};
use bugle_wire::ospf::{
    ExternalLsa, LS_INFINITY, LsaBody, LsaKey, LsaType, RouterFlags, RouterLinkKind,
};

use crate::flood::DbKey;
use crate::instance::Ospf;
use crate::io::{Event, Output, PathType, Rival, Route};
use crate::neighbor::NeighborState;

/// A link of this router as the root of its own tree: at its real cost, even while others are told MaxLinkMetric.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RootLink(Edge);

impl RootLink {
    /// To the neighbour on a point-to-point link.
    pub(crate) fn router(ifindex: IfIndex, router: RouterId, cost: u16) -> Self {
        Self::to(ifindex, router_node(router), cost)
    }

    /// To the network of a LAN, named by its DR's address.
    pub(crate) fn network(ifindex: IfIndex, dr: Ipv4Addr, cost: u16) -> Self {
        Self::to(ifindex, network_node(dr), cost)
    }

    fn to(ifindex: IfIndex, to: NodeKey, cost: u16) -> Self {
        Self(Edge { to, cost: cost.into(), tag: ifindex.0.into() })
    }
}

/// Names a router in the graph.
fn router_node(router: RouterId) -> NodeKey {
    NodeKey(router.0.into())
}

/// Names a transit network in the graph, by the address of its DR (section 16.1).
fn network_node(dr: Ipv4Addr) -> NodeKey {
    NodeKey(1 << 32 | u64::from(u32::from(dr)))
}

/// An AS-external-LSA of another router.
#[derive(Debug, Clone, Copy)]
struct External {
    router: RouterId,
    type2: bool,
    metric: u32,
    forwarding: Ipv4Addr,
    tag: u32,
}

/// What is known of a watched host by whoever watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Untold,
    Told(Option<Rival>),
}

/// Where a set of shortest paths leads.
#[derive(Debug, Clone)]
enum Paths {
    /// To something on one of our own links.
    Connected,
    /// Through these, sorted; never empty.
    Via(Arc<[Nexthop]>),
    /// Nowhere: no neighbour with such a name is known.
    Unresolved,
}

/// A path to a router or prefix before it becomes a route.
struct Candidate {
    cost: u32,
    sets: Vec<NexthopSetId>,
}

impl Candidate {
    /// Merges an equal-cost path, or replaces a longer one.
    fn merge(best: &mut Option<Self>, cost: u32, sets: &[NexthopSetId]) {
        match best {
            Some(held) if held.cost < cost => {}
            Some(held) if held.cost == cost => held.sets.extend_from_slice(sets),
            Some(_) | None => *best = Some(Self { cost, sets: sets.to_vec() }),
        }
    }
}

/// The routing table and what it is computed from.
#[derive(Default)]
pub struct Routing {
    root: Option<NodeKey>,
    graph: Graph,
    spf: Spf,
    /// The last run.
    last_run: SpfRun,
    /// The graph changed since the last run.
    topology_changed: bool,
    /// Nodes whose LSA is gone: removed after the next run, so that their place is not reused before it.
    departed: Vec<NodeKey>,
    /// What each node advertises, and the same by prefix.
    node_prefixes: BTreeMap<NodeKey, Vec<(Prefix, u32)>>,
    intra: BTreeMap<Prefix, Vec<(NodeKey, u32)>>,
    flags: BTreeMap<RouterId, RouterFlags>,
    /// Summary-LSAs: by prefix, the border routers and their metrics.
    summaries: BTreeMap<Prefix, Vec<(RouterId, u32)>>,
    /// ASBR-summary-LSAs: by AS boundary router, the border routers and their metrics.
    boundaries: BTreeMap<RouterId, Vec<(RouterId, u32)>>,
    externals: BTreeMap<Prefix, Vec<External>>,
    routes: BTreeMap<Prefix, Route>,
    watches: BTreeMap<Ipv4Addr, Watch>,
    /// Prefixes to look at again.
    dirty: BTreeSet<Prefix>,
    everything_dirty: bool,
    watches_dirty: bool,
    /// What each set of the last run resolves to, by its id.
    resolved: Vec<Option<Paths>>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing")
            .field("routes", &self.routes.len())
            .field("nodes", &self.graph.len())
            .finish_non_exhaustive()
    }
}

impl Routing {
    /// The routes, by prefix. A route without next hops is to a network of our own.
    pub fn routes(&self) -> impl Iterator<Item = (Prefix, &Route)> {
        self.routes.iter().map(|(&prefix, route)| (prefix, route))
    }

    /// The route to exactly this prefix.
    #[must_use]
    pub fn route(&self, prefix: Prefix) -> Option<&Route> {
        self.routes.get(&prefix)
    }

    /// What the last run of SPF did.
    #[must_use]
    pub fn last_run(&self) -> SpfRun {
        self.last_run
    }

    /// The cost of the shortest path to a router of the area, as of the last run of SPF.
    #[must_use]
    pub fn distance(&self, router: RouterId) -> Option<u32> {
        self.node(router_node(router)).map(|(distance, _)| distance)
    }

    /// Routers and networks in the graph.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.graph.len()
    }

    /// Starts or ends watching what others advertise for a host.
    pub(crate) fn watch(&mut self, address: Ipv4Addr, on: bool) {
        if on {
            self.watches.entry(address).or_insert(Watch::Untold);
            self.dirty.insert(Prefix::host(address.into()));
        } else {
            self.watches.remove(&address);
        }
    }

    /// Neighbours' addresses changed: every next hop is to be looked up again.
    pub(crate) fn resolve_again(&mut self) {
        self.resolved.clear();
        self.everything_dirty = true;
    }

    /// The links of this router changed.
    pub(crate) fn set_root(&mut self, router_id: RouterId, links: &[RootLink]) {
        let root = router_node(router_id);
        self.root = Some(root);
        let edges: Vec<Edge> = links.iter().map(|link| link.0).collect();
        self.set_node(root, NodeKind::Router, &edges);
    }

    fn set_node(&mut self, key: NodeKey, kind: NodeKind, edges: &[Edge]) {
        self.departed.retain(|&departed| departed != key);
        let changes = self.graph.apply(NodeUpdate { key, kind, no_transit: false, edges });
        self.topology_changed |= !changes.is_empty();
    }

    /// The LSA is gone: the node loses its edges now, and its place after the next run.
    fn unset_node(&mut self, key: NodeKey, kind: NodeKind) {
        if self.graph.node(key).is_some() {
            self.set_node(key, kind, &[]);
            self.departed.push(key);
        }
    }

    /// An LSA changed: `body` is what it says now, `None` if it is gone or at MaxAge.
    fn on_lsa(&mut self, own_id: RouterId, key: LsaKey, body: Option<&LsaBody<'_>>) {
        match key.ls_type {
            LsaType::ROUTER => self.on_router_lsa(own_id, key, body),
            LsaType::NETWORK => self.on_network_lsa(key, body),
            LsaType::SUMMARY_NETWORK | LsaType::SUMMARY_ASBR
                if key.advertising_router != own_id =>
            {
                self.on_summary_lsa(key, body);
            }
            LsaType::AS_EXTERNAL if key.advertising_router != own_id => {
                self.on_external_lsa(key, body);
            }
            _ => {}
        }
    }

    fn on_router_lsa(&mut self, own_id: RouterId, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let router = key.advertising_router;
        // A router-LSA describes its own originator (section 12.4.1); anything else is an attack (CVE-2013-0149).
        if key.link_state_id != Ipv4Addr::from(router.0) {
            return;
        }
        let node = router_node(router);
        let Some(LsaBody::Router(lsa)) = body else {
            self.flags.remove(&router);
            self.set_prefixes(node, Vec::new());
            if router != own_id {
                self.unset_node(node, NodeKind::Router);
            }
            return;
        };
        let mut edges = Vec::new();
        let mut prefixes = Vec::new();
        for link in lsa.links.clone() {
            let metric = u32::from(link.metric);
            let to = match link.kind {
                RouterLinkKind::PointToPoint => router_node(link.id.into()),
                RouterLinkKind::Transit => network_node(link.id),
                RouterLinkKind::Stub => {
                    prefixes.extend(Prefix::from_mask(link.id, link.data).map(|p| (p, metric)));
                    continue;
                }
                // Virtual links exist in the backbone of a router with several areas only.
                RouterLinkKind::Virtual | RouterLinkKind::Unknown(_) => continue,
            };
            edges.push(Edge { to, cost: metric, tag: u64::from(u32::from(link.data)) });
        }
        if self.flags.insert(router, lsa.flags) != Some(lsa.flags) {
            self.mark_advertised_by(&BTreeSet::from([router]));
        }
        self.set_prefixes(node, prefixes);
        if router != own_id {
            self.set_node(node, NodeKind::Router, &edges);
        }
    }

    fn on_network_lsa(&mut self, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let node = network_node(key.link_state_id);
        let Some(LsaBody::Network(lsa)) = body else {
            self.set_prefixes(node, Vec::new());
            self.unset_node(node, NodeKind::Network);
            return;
        };
        let edges: Vec<Edge> = lsa
            .routers
            .iter()
            .map(|router| Edge { to: router_node(router), cost: 0, tag: 0 })
            .collect();
        let prefix = Prefix::from_mask(key.link_state_id, lsa.mask);
        self.set_prefixes(node, prefix.map(|prefix| (prefix, 0)).into_iter().collect());
        self.set_node(node, NodeKind::Network, &edges);
    }

    /// Replaces the prefixes that a node advertises.
    fn set_prefixes(&mut self, node: NodeKey, prefixes: Vec<(Prefix, u32)>) {
        let old = self.node_prefixes.get(&node).map_or(&[][..], Vec::as_slice);
        if old == prefixes {
            return;
        }
        for &(prefix, _) in old {
            if let Some(nodes) = self.intra.get_mut(&prefix) {
                nodes.retain(|&(advertiser, _)| advertiser != node);
                if nodes.is_empty() {
                    self.intra.remove(&prefix);
                }
            }
            self.dirty.insert(prefix);
        }
        for &(prefix, cost) in &prefixes {
            self.intra.entry(prefix).or_default().push((node, cost));
            self.dirty.insert(prefix);
        }
        if prefixes.is_empty() {
            self.node_prefixes.remove(&node);
        } else {
            self.node_prefixes.insert(node, prefixes);
        }
    }

    fn on_summary_lsa(&mut self, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let border = key.advertising_router;
        let summary = match body {
            Some(LsaBody::Summary(lsa)) => Some(lsa),
            _ => None,
        };
        let metric = summary.map(|lsa| lsa.metric).filter(|&metric| metric < LS_INFINITY);
        if key.ls_type == LsaType::SUMMARY_ASBR {
            let boundary = RouterId::from(key.link_state_id);
            set_advertiser(&mut self.boundaries, boundary, border, metric);
            self.mark_advertised_by(&BTreeSet::from([boundary]));
            return;
        }
        // A flushed LSA has no body to tell the mask: every prefix that this border router gave this address goes.
        let stale: Vec<Prefix> = prefixes_at(key.link_state_id)
            .filter(|prefix| {
                self.summaries
                    .get(prefix)
                    .is_some_and(|borders| borders.iter().any(|&(b, _)| b == border))
            })
            .collect();
        for prefix in stale {
            set_advertiser(&mut self.summaries, prefix, border, None);
            self.dirty.insert(prefix);
        }
        if let Some(prefix) = summary.and_then(|lsa| Prefix::from_mask(key.link_state_id, lsa.mask))
        {
            set_advertiser(&mut self.summaries, prefix, border, metric);
            self.dirty.insert(prefix);
        }
    }

    fn on_external_lsa(&mut self, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let router = key.advertising_router;
        let stale: Vec<Prefix> = prefixes_at(key.link_state_id)
            .filter(|prefix| {
                self.externals
                    .get(prefix)
                    .is_some_and(|externals| externals.iter().any(|e| e.router == router))
            })
            .collect();
        for prefix in stale {
            if let Some(externals) = self.externals.get_mut(&prefix) {
                externals.retain(|external| external.router != router);
                if externals.is_empty() {
                    self.externals.remove(&prefix);
                }
            }
            self.dirty.insert(prefix);
        }
        let Some(LsaBody::External(lsa)) = body else { return };
        let ExternalLsa { mask, type2, metric, forwarding, tag } = *lsa;
        if metric >= LS_INFINITY {
            return;
        }
        let Some(prefix) = Prefix::from_mask(key.link_state_id, mask) else { return };
        let external = External { router, type2, metric, forwarding, tag };
        self.externals.entry(prefix).or_default().push(external);
        self.dirty.insert(prefix);
    }

    /// Marks every prefix whose route may depend on the paths to these routers.
    fn mark_advertised_by(&mut self, routers: &BTreeSet<RouterId>) {
        if routers.is_empty() {
            return;
        }
        let summaries = self
            .summaries
            .iter()
            .filter(|(_, borders)| borders.iter().any(|(border, _)| routers.contains(border)));
        self.dirty.extend(summaries.map(|(&prefix, _)| prefix));
        let mut boundaries = routers.clone();
        boundaries.extend(
            self.boundaries
                .iter()
                .filter(|(_, borders)| borders.iter().any(|(border, _)| routers.contains(border)))
                .map(|(&boundary, _)| boundary),
        );
        let externals = self.externals.iter().filter(|(_, externals)| {
            externals
                .iter()
                .any(|e| boundaries.contains(&e.router) || !e.forwarding.is_unspecified())
        });
        self.dirty.extend(externals.map(|(&prefix, _)| prefix));
    }

    /// Runs SPF (section 16.1), and marks what depends on the nodes that changed.
    fn run(&mut self) -> SpfRun {
        self.topology_changed = false;
        let Some(root) = self.root else { return SpfRun::default() };
        let run = self.spf.run(&self.graph, root);
        self.last_run = run;
        self.resolved.clear();
        let changed: Vec<NodeKey> = self.spf.changed().iter().map(|change| change.key).collect();
        let mut routers = BTreeSet::new();
        for node in changed {
            if let Some(prefixes) = self.node_prefixes.get(&node) {
                self.dirty.extend(prefixes.iter().map(|&(prefix, _)| prefix));
            }
            if let Ok(router) = u32::try_from(node.0) {
                let border = self
                    .flags
                    .get(&RouterId(router))
                    .is_none_or(|f| f.contains(RouterFlags::B) || f.contains(RouterFlags::E));
                if border {
                    routers.insert(RouterId(router));
                }
            }
        }
        self.mark_advertised_by(&routers);
        for node in std::mem::take(&mut self.departed) {
            self.graph.remove(node);
        }
        run
    }

    /// Distance and next hops of a node as of the last run.
    fn node(&self, key: NodeKey) -> Option<(u32, NexthopSetId)> {
        let node = self.graph.node(key)?;
        Some((self.spf.distance(node)?, self.spf.nexthops(node)))
    }

    /// The path to a border router (section 16.2 (4)) or, with the E bit, to an AS boundary router of this area.
    fn border_path(&self, router: RouterId, flag: RouterFlags) -> Option<(u32, NexthopSetId)> {
        self.flags.get(&router).filter(|flags| flags.contains(flag))?;
        self.node(router_node(router))
    }

    /// The path to an AS boundary router: within the area, else through a border router (section 16.4 (3)).
    fn boundary_path(&self, router: RouterId) -> Option<Candidate> {
        if let Some((cost, set)) = self.border_path(router, RouterFlags::E) {
            return Some(Candidate { cost, sets: vec![set] });
        }
        self.best_border(self.boundaries.get(&router)?)
    }

    /// The best paths through border routers that advertise something.
    fn best_border(&self, borders: &[(RouterId, u32)]) -> Option<Candidate> {
        let mut best = None;
        for &(border, metric) in borders {
            if let Some((cost, set)) = self.border_path(border, RouterFlags::B) {
                Candidate::merge(&mut best, cost.saturating_add(metric), &[set]);
            }
        }
        best
    }

    /// Intra-area paths (section 16.1): the networks and stub networks of the area.
    fn intra_path(&self, prefix: Prefix) -> Option<Candidate> {
        let mut best = None;
        for &(node, cost) in self.intra.get(&prefix)? {
            if let Some((distance, set)) = self.node(node) {
                Candidate::merge(&mut best, distance.saturating_add(cost), &[set]);
            }
        }
        best
    }

    /// The best that reachable others advertise for a host.
    #[must_use]
    pub fn rival(&self, address: Ipv4Addr) -> Option<Rival> {
        let externals = self.externals.get(&Prefix::host(address.into()))?;
        let reachable = || externals.iter().filter(|e| self.boundary_path(e.router).is_some());
        let metric = |external: &External| if external.type2 { external.metric } else { 0 };
        let best = reachable().min_by_key(|e| (metric(e), std::cmp::Reverse(e.router)))?;
        Some(Rival { router: best.router, metric: metric(best), count: reachable().count() })
    }

    /// The route to the most specific network of the AS that holds an address.
    fn internal_route(&self, address: Ipv4Addr) -> Option<(Prefix, &Route)> {
        prefixes_at(address).find_map(|prefix| {
            let route = self.routes.get(&prefix)?;
            (route.path <= PathType::InterArea).then_some((prefix, route))
        })
    }
}

/// The prefixes that hold an address, the longest first. An LSA's link state id is one of its prefix's addresses: host bits may
/// be set in it (appendix E).
fn prefixes_at(id: Ipv4Addr) -> impl Iterator<Item = Prefix> {
    (0..=32).rev().filter_map(move |length| Prefix::new(id.into(), length))
}

/// Sets or removes one advertiser of something.
fn set_advertiser<K: Ord + Copy>(
    index: &mut BTreeMap<K, Vec<(RouterId, u32)>>,
    key: K,
    router: RouterId,
    metric: Option<u32>,
) {
    let advertisers = index.entry(key).or_default();
    advertisers.retain(|&(advertiser, _)| advertiser != router);
    advertisers.extend(metric.map(|metric| (router, metric)));
    if advertisers.is_empty() {
        index.remove(&key);
    }
}

impl Ospf {
    /// SPF's time has come.
    pub(crate) fn run_spf(&mut self) {
        let asked = self.spf_asked.take().unwrap_or(self.now);
        let run = self.routing.run();
        self.stats.spf_runs += 1;
        self.routing.watches_dirty = true;
        let prefixes = self.routing.dirty.len();
        self.event(Event::SpfRun {
            asked,
            nodes: run.nodes_visited,
            changed: run.nodes_changed,
            prefixes,
        });
    }

    /// Brings the routing table up to date with the LSAs that changed in this step, and with SPF if it ran.
    pub(crate) fn update_routes(&mut self) {
        for key in std::mem::take(&mut self.changed) {
            self.take_lsa_apart(key);
        }
        if self.routing.topology_changed && self.spf_asked.is_none() {
            self.spf_asked = Some(self.now);
            self.backoff.trigger(self.now);
        }
        let mut dirty = std::mem::take(&mut self.routing.dirty);
        if std::mem::take(&mut self.routing.everything_dirty) {
            dirty.extend(self.routing.routes.keys().copied());
            dirty.extend(self.routing.intra.keys().copied());
            dirty.extend(self.routing.summaries.keys().copied());
            dirty.extend(self.routing.externals.keys().copied());
            self.routing.watches_dirty = true;
        }
        let mut changes = Vec::new();
        self.update_prefixes(&dirty, &mut changes);
        if !changes.is_empty() {
            self.out.push_back(Output::Routes(changes));
        }
        self.update_rivals(&dirty);
    }

    fn take_lsa_apart(&mut self, key: DbKey) {
        let stored = self.db.lookup(&key).filter(|(entry, _)| !self.dying.contains(entry));
        let body = stored.and_then(|(_, stored)| stored.lsa()?.body().ok());
        self.routing.on_lsa(self.config.router_id, key.lsa, body.as_ref());
    }

    /// Recomputes prefixes, internal ones first: forwarding addresses are looked up among their routes.
    fn update_prefixes(
        &mut self,
        dirty: &BTreeSet<Prefix>,
        changes: &mut Vec<(Prefix, Option<Route>)>,
    ) {
        let mut internal_changed = false;
        let mut external = Vec::new();
        for &prefix in dirty {
            let route = self.internal_path(prefix);
            if route.is_none() {
                external.push(prefix);
                let was_internal = self
                    .routing
                    .routes
                    .get(&prefix)
                    .is_some_and(|route| route.path <= PathType::InterArea);
                if was_internal {
                    internal_changed = true;
                    self.set_route(prefix, None, changes);
                }
                continue;
            }
            internal_changed |= self.set_route(prefix, route, changes);
        }
        if internal_changed {
            let forwarded = self.routing.externals.iter().filter(|(prefix, externals)| {
                !dirty.contains(prefix) && externals.iter().any(|e| !e.forwarding.is_unspecified())
            });
            external.extend(forwarded.map(|(&prefix, _)| prefix));
        }
        for prefix in external {
            if self.internal_path(prefix).is_none() {
                let route = self.external_path(prefix);
                self.set_route(prefix, route, changes);
            }
        }
        // A prefix may have gone and come back within this step: the last word counts.
        if changes.len() > dirty.len() {
            let last: BTreeMap<Prefix, Option<Route>> = changes.drain(..).collect();
            changes.extend(last);
        }
    }

    fn set_route(
        &mut self,
        prefix: Prefix,
        route: Option<Route>,
        changes: &mut Vec<(Prefix, Option<Route>)>,
    ) -> bool {
        let old = self.routing.routes.get(&prefix);
        if old == route.as_ref() {
            return false;
        }
        let was_visible = old.is_some_and(|route| !route.nexthops.is_empty());
        let now_visible = route.clone().filter(|route| !route.nexthops.is_empty());
        if was_visible || now_visible.is_some() {
            changes.push((prefix, now_visible));
        }
        match route {
            Some(route) => self.routing.routes.insert(prefix, route),
            None => self.routing.routes.remove(&prefix),
        };
        true
    }

    /// The intra-area or inter-area route to a prefix (section 11: these are preferred to external ones).
    fn internal_path(&mut self, prefix: Prefix) -> Option<Route> {
        if let Some(candidate) = self.routing.intra_path(prefix)
            && let Some(route) = self.route(PathType::IntraArea, &candidate)
        {
            return Some(route);
        }
        // Section 16.2.
        let borders = self.routing.summaries.get(&prefix)?;
        let candidate = self.routing.best_border(borders)?;
        self.route(PathType::InterArea, &candidate)
    }

    /// The AS external route to a prefix (section 16.4).
    fn external_path(&mut self, prefix: Prefix) -> Option<Route> {
        let externals = self.routing.externals.get(&prefix)?.clone();
        let mut best: Option<Route> = None;
        for external in externals {
            let Some(path) = self.forwarding_path(&external) else { continue };
            let (kind, cost, type2_metric) = if external.type2 {
                (PathType::External2, path.cost, external.metric)
            } else {
                (PathType::External1, path.cost.saturating_add(external.metric), 0)
            };
            let route = Route {
                path: kind,
                cost,
                type2_metric,
                tag: external.tag,
                nexthops: path.nexthops,
            };
            // (6) (a), (b), (c): the type, the type 2 metric, then the distance.
            let rank = |route: &Route| (route.path, route.type2_metric, route.cost);
            match &mut best {
                Some(held) if rank(held) < rank(&route) => {}
                Some(held) if rank(held) == rank(&route) => {
                    let mut nexthops: Vec<Nexthop> =
                        held.nexthops.iter().chain(route.nexthops.iter()).copied().collect();
                    self.limit(&mut nexthops);
                    held.nexthops = nexthops.into();
                }
                Some(_) | None => best = Some(route),
            }
        }
        best
    }

    /// The path to where an external route is to be forwarded (section 16.4 (3)).
    fn forwarding_path(&mut self, external: &External) -> Option<Route> {
        if external.forwarding.is_unspecified() {
            let candidate = self.routing.boundary_path(external.router)?;
            return self
                .route(PathType::External1, &candidate)
                .filter(|route| !route.nexthops.is_empty());
        }
        self.routing.boundary_path(external.router)?;
        let own = self.interfaces.values().any(|i| i.config.address == external.forwarding);
        if own {
            return None;
        }
        let (_, route) = self.routing.internal_route(external.forwarding)?;
        let mut route = route.clone();
        if route.nexthops.is_empty() {
            // On one of our own networks: straight to the forwarding address.
            let address = external.forwarding.into();
            let (&ifindex, _) = self
                .interfaces
                .iter()
                .find(|(_, i)| i.config.network().is_some_and(|n| n.contains(address)))?;
            route.nexthops = Arc::new([Nexthop::via(ifindex, address)]);
        }
        Some(route)
    }

    /// Makes a route of equal-cost paths; `None` if none of them leads anywhere.
    fn route(&mut self, path: PathType, candidate: &Candidate) -> Option<Route> {
        let route =
            |nexthops| Route { path, cost: candidate.cost, type2_metric: 0, tag: 0, nexthops };
        if let [set] = candidate.sets[..] {
            return match self.resolve(set) {
                Paths::Connected => Some(route(Arc::new([]))),
                Paths::Via(nexthops) => Some(route(nexthops)),
                Paths::Unresolved => None,
            };
        }
        let mut nexthops = Vec::new();
        for &set in &candidate.sets {
            match self.resolve(set) {
                Paths::Connected => return Some(route(Arc::new([]))),
                Paths::Via(via) => nexthops.extend_from_slice(&via),
                Paths::Unresolved => {}
            }
        }
        if nexthops.is_empty() {
            return None;
        }
        self.limit(&mut nexthops);
        Some(route(nexthops.into()))
    }

    /// Sorts next hops, drops repetitions, and keeps as many as are allowed.
    fn limit(&self, nexthops: &mut Vec<Nexthop>) {
        nexthops.sort_unstable();
        nexthops.dedup();
        nexthops.truncate(self.config.max_paths.max(1));
    }

    /// What a set of first hops means in interfaces and gateways (section 16.1.1).
    fn resolve(&mut self, set: NexthopSetId) -> Paths {
        if let Some(Some(paths)) = self.routing.resolved.get(set.index()) {
            return paths.clone();
        }
        let hops = self.routing.spf.first_hops(set);
        let paths = if set == NexthopSetId::EMPTY || hops.iter().any(|hop| hop.router.is_none()) {
            Paths::Connected
        } else {
            let mut nexthops: Vec<Nexthop> =
                hops.iter().filter_map(|&hop| self.first_hop_nexthop(hop)).collect();
            self.limit(&mut nexthops);
            if nexthops.is_empty() { Paths::Unresolved } else { Paths::Via(nexthops.into()) }
        };
        let resolved = &mut self.routing.resolved;
        if resolved.len() <= set.index() {
            resolved.resize(set.index() + 1, None);
        }
        resolved[set.index()] = Some(paths.clone());
        paths
    }

    /// The gateway is the neighbour's address on that link, as its Hellos come from it.
    fn first_hop_nexthop(&self, hop: FirstHop) -> Option<Nexthop> {
        let ifindex = IfIndex(u32::try_from(hop.link).ok()?);
        let neighbor = self.neighbors_on(ifindex).find(|neighbor| {
            Some(router_node(neighbor.router_id)) == hop.router
                && neighbor.state >= NeighborState::TwoWay
        })?;
        Some(Nexthop::via(ifindex, neighbor.address.into()))
    }

    /// Reports what others advertise for watched hosts, where it changed.
    fn update_rivals(&mut self, dirty: &BTreeSet<Prefix>) {
        let addresses: Vec<Ipv4Addr> = if std::mem::take(&mut self.routing.watches_dirty) {
            self.routing.watches.keys().copied().collect()
        } else if self.routing.watches.is_empty() {
            return;
        } else {
            dirty
                .iter()
                .filter(|prefix| prefix.is_host())
                .filter_map(|prefix| prefix.ipv4())
                .filter(|address| self.routing.watches.contains_key(address))
                .collect()
        };
        for address in addresses {
            let rival = self.routing.rival(address);
            if let Some(known) = self.routing.watches.get_mut(&address)
                && *known != Watch::Told(rival)
            {
                *known = Watch::Told(rival);
                self.out.push_back(Output::Rival(address, rival));
            }
        }
    }
}
