//! The area's routers and networks, and the shortest paths to them (RFC 2328 section 16.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bugle_spf::{
    Attachment, Edge, FirstHop, Graph, Happened, NexthopSetId, NodeIdx, NodeKey, NodeKind,
    NodeUpdate, Spf, SpfRun,
};
use bugle_types::{IfIndex, PackedMap, Prefix4, RouterId};
use bugle_wire::ospf::{LsaKey, NetworkLsa, RouterFlags, RouterLink, RouterLinkKind};
use smallvec::SmallVec;

use super::Candidate;
use crate::content::Content;

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
        Self(Edge { to, cost: cost.into(), tag: ifindex.0 })
    }
}

/// Names a router in the graph.
pub(super) fn router_node(router: RouterId) -> NodeKey {
    NodeKey(router.0.into())
}

/// Names a transit network in the graph, by the address of its DR (section 16.1).
fn network_node(dr: Ipv4Addr) -> NodeKey {
    NodeKey(1 << 32 | u64::from(u32::from(dr)))
}

/// The router that a node stands for; `None` for a network.
pub(super) fn router_of(node: NodeKey) -> Option<RouterId> {
    u32::try_from(node.0).ok().map(RouterId)
}

/// A router, and what it says: as it stands in the database, so that it is not held twice.
struct Router {
    flags: RouterFlags,
    content: Arc<Content>,
}

impl Router {
    /// Its stub networks and what they cost, in any order.
    fn stubs(&self) -> impl Iterator<Item = (Prefix4, u32)> {
        self.content.router().into_iter().flat_map(|lsa| lsa.links).filter_map(stub)
    }
}

/// The prefix and the cost of a link to a stub network.
fn stub(link: RouterLink) -> Option<(Prefix4, u32)> {
    let prefix = || Some((Prefix4::from_mask(link.id, link.data)?, link.metric.into()));
    (link.kind == RouterLinkKind::Stub).then(prefix)?
}

/// The graph, the shortest-path tree, and what hangs off its nodes.
#[derive(Default)]
pub(super) struct Topology {
    root: Option<NodeKey>,
    pub(super) graph: Graph,
    pub(super) spf: Spf,
    pub(super) last_run: SpfRun,
    /// The graph changed, and nobody has asked yet.
    changed: bool,
    happened: Happened,
    /// Nodes whose LSA is gone: removed after the next run, so that their place is not reused before it.
    departed: Vec<NodeKey>,
    /// The router-LSAs as they were taken apart last.
    routers: BTreeMap<RouterId, Router>,
    /// The prefixes of networks.
    networks: BTreeMap<NodeKey, Box<[(Prefix4, u32)]>>,
    /// What either advertise, by prefix.
    intra: PackedMap<(Prefix4, NodeKey), u32>,
    /// How many of these are hosts' prefixes, as of loopback interfaces. Without any, those of others need not be looked for.
    intra_hosts: usize,
    /// Routers that advertise virtual links.
    with_virtual_links: BTreeSet<RouterId>,
    /// Who is at which end of a link.
    ends: Ends,
}

/// The routers whose links have an address. To know one address all links are looked at; when that was done several times for one
/// graph, as when many hosts are found after a restart, they are put in order once.
#[derive(Default)]
struct Ends {
    ordered: OnceLock<Box<[(u32, RouterId)]>>,
    /// How often all links were looked at.
    walks: AtomicUsize,
}

/// So many addresses are looked for before the links are put in order.
const WALKS: usize = 8;

impl Ends {
    fn at(&self, graph: &Graph, address: u32) -> SmallVec<[RouterId; 2]> {
        if self.ordered.get().is_none() {
            let walks = self.walks.fetch_add(1, Ordering::Relaxed) + 1;
            if walks <= WALKS {
                return graph.nodes_with_tag(address).filter_map(router_of).collect();
            }
        }
        let ordered = self.ordered.get_or_init(|| {
            let ends = graph.tags().filter_map(|(tag, node)| Some((tag, router_of(node)?)));
            let mut ends: Vec<_> = ends.collect();
            ends.sort_unstable();
            ends.dedup();
            ends.into()
        });
        let first = ordered.partition_point(|&(tag, _)| tag < address);
        let ends = ordered.iter().skip(first).take_while(|&&(tag, _)| tag == address);
        ends.map(|&(_, router)| router).collect()
    }
}

impl Topology {
    /// The links of this router changed.
    pub(super) fn set_root(&mut self, router_id: RouterId, links: &[RootLink]) {
        let root = router_node(router_id);
        self.root = Some(root);
        let edges: Vec<Edge> = links.iter().map(|link| link.0).collect();
        self.set_node(root, NodeKind::Router, &edges);
    }

    /// This router.
    pub(super) fn root(&self) -> Option<NodeKey> {
        self.root
    }

    /// Whether some router of the area advertises a virtual link.
    pub(super) fn has_virtual_links(&self) -> bool {
        !self.with_virtual_links.is_empty()
    }

    /// Whether the graph changed since this was last asked, or since the last run.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What happened to the graph since the last run.
    pub(super) fn take_happened(&mut self) -> Happened {
        std::mem::take(&mut self.happened)
    }

    /// A router-LSA changed; `None`: it is gone. Whether that changes what kind of router it is.
    pub(super) fn on_router_lsa(
        &mut self,
        own_id: RouterId,
        key: LsaKey,
        content: Option<&Arc<Content>>,
        dirty: &mut Vec<Prefix4>,
    ) -> bool {
        let router = key.advertising_router;
        // A router-LSA describes its own originator (section 12.4.1); anything else is an attack (CVE-2013-0149).
        if key.link_state_id != Ipv4Addr::from(router.0) {
            return false;
        }
        let node = router_node(router);
        self.with_virtual_links.remove(&router);
        let old = self.routers.remove(&router);
        let old_stubs = old.iter().flat_map(Router::stubs).collect();
        let Some((content, lsa)) = content.and_then(|content| Some((content, content.router()?)))
        else {
            self.set_prefixes(node, old_stubs, Vec::new(), dirty);
            if router != own_id {
                self.unset_node(node, NodeKind::Router);
            }
            return old.is_some();
        };
        let mut edges = Vec::new();
        let mut stubs = Vec::new();
        for link in lsa.links.clone() {
            let to = match link.kind {
                RouterLinkKind::PointToPoint => router_node(link.id.into()),
                RouterLinkKind::Transit => network_node(link.id),
                RouterLinkKind::Stub => {
                    stubs.extend(stub(link));
                    continue;
                }
                // Virtual links exist in the backbone of a router with several areas only.
                RouterLinkKind::Virtual => {
                    self.with_virtual_links.insert(router);
                    continue;
                }
                RouterLinkKind::Unknown(_) => continue,
            };
            let (cost, tag) = (link.metric.into(), u32::from(link.data));
            edges.push(Edge { to, cost, tag });
        }
        self.set_prefixes(node, old_stubs, stubs, dirty);
        if router != own_id {
            self.set_node(node, NodeKind::Router, &edges);
        }
        self.routers.insert(router, Router { flags: lsa.flags, content: Arc::clone(content) });
        old.map(|old| old.flags) != Some(lsa.flags)
    }

    /// The network-LSAs with this DR's address changed. There is more than one if the DR had another router id before (section
    /// 13.4), and until the one it left behind is gone both count: a member without a link back is no member anyway.
    pub(super) fn on_network_lsas(
        &mut self,
        dr: Ipv4Addr,
        lsas: &[NetworkLsa<'_>],
        dirty: &mut Vec<Prefix4>,
    ) {
        let node = network_node(dr);
        let prefixes: Vec<(Prefix4, u32)> =
            lsas.iter().filter_map(|lsa| Some((Prefix4::from_mask(dr, lsa.mask)?, 0))).collect();
        let old = self.networks.remove(&node).unwrap_or_default();
        self.set_prefixes(node, old.into(), prefixes.clone(), dirty);
        if lsas.is_empty() {
            self.unset_node(node, NodeKind::Network);
            return;
        }
        self.networks.insert(node, prefixes.into());
        let edges: Vec<Edge> = lsas
            .iter()
            .flat_map(|lsa| lsa.routers)
            .map(|router| Edge { to: router_node(router), cost: 0, tag: 0 })
            .collect();
        self.set_node(node, NodeKind::Network, &edges);
    }

    fn set_node(&mut self, key: NodeKey, kind: NodeKind, edges: &[Edge]) {
        self.ends = Ends::default();
        self.departed.retain(|&departed| departed != key);
        let changes = self.graph.apply(NodeUpdate { key, kind, no_transit: false, edges });
        self.changed |= !changes.is_empty();
        let local = self.root == Some(key);
        changes.iter().for_each(|change| self.happened.note(self.root, local, change));
    }

    /// The LSA is gone: the node loses its edges now, and its place after the next run.
    fn unset_node(&mut self, key: NodeKey, kind: NodeKind) {
        if self.graph.node(key).is_some() {
            self.set_node(key, kind, &[]);
            self.departed.push(key);
        }
    }

    /// Replaces the prefixes that a node advertises. Of one that it advertises twice, the lower cost counts.
    fn set_prefixes(
        &mut self,
        node: NodeKey,
        mut old: Vec<(Prefix4, u32)>,
        mut new: Vec<(Prefix4, u32)>,
        dirty: &mut Vec<Prefix4>,
    ) {
        for prefixes in [&mut old, &mut new] {
            prefixes.sort_unstable();
            prefixes.dedup_by_key(|(prefix, _)| *prefix);
        }
        if old == new {
            return;
        }
        for stub in old.iter().filter(|stub| new.binary_search(stub).is_err()) {
            let old = self.intra.remove(&(stub.0, node));
            self.intra_hosts -= usize::from(old.is_some() && stub.0.is_host());
        }
        for stub in new.iter().filter(|stub| old.binary_search(stub).is_err()) {
            let old = self.intra.insert((stub.0, node), stub.1);
            self.intra_hosts += usize::from(old.is_none() && stub.0.is_host());
        }
        dirty.extend(old.iter().chain(&new).map(|(prefix, _)| *prefix));
    }

    /// Runs SPF. Returns the nodes whose distance or next hops changed.
    pub(super) fn run(&mut self) -> Vec<NodeKey> {
        self.changed = false;
        let Some(root) = self.root else { return Vec::new() };
        self.last_run = self.spf.update(&self.graph, root);
        let changed = self.spf.changed().iter().map(|change| change.key).collect();
        for node in std::mem::take(&mut self.departed) {
            self.graph.remove(node);
        }
        changed
    }

    /// The nodes that prefixes depend on and that are reached by one of these first hops.
    pub(super) fn nodes_through(&self, hops: &BTreeSet<FirstHop>) -> Vec<NodeKey> {
        let through = |&node: &NodeKey| {
            let set = self.node(node).map_or(NexthopSetId::EMPTY, |(_, set)| set);
            self.spf.first_hops(set).iter().any(|hop| hops.contains(hop))
        };
        let routers = self.routers.keys().map(|&router| router_node(router));
        self.networks.keys().copied().chain(routers).filter(through).collect()
    }

    /// Distance and next hops of a node as of the last run.
    pub(super) fn node(&self, key: NodeKey) -> Option<(u32, NexthopSetId)> {
        let node = self.graph.node(key)?;
        Some((self.spf.distance(node)?, self.spf.nexthops(node)))
    }

    /// Whether there was a path to a node in the last run.
    pub(super) fn is_reached(&self, node: NodeIdx) -> bool {
        self.spf.distance(node).is_some()
    }

    /// The path to a router whose router-LSA has this flag.
    pub(super) fn path_to(
        &self,
        router: RouterId,
        flag: RouterFlags,
    ) -> Option<(u32, NexthopSetId)> {
        self.routers.get(&router).filter(|router| router.flags.contains(flag))?;
        self.node(router_node(router))
    }

    /// Whether a router may be one that other LSAs than its router-LSA count from; one whose router-LSA is gone may have been.
    pub(super) fn may_be_border(&self, router: RouterId) -> bool {
        let is_border =
            |flags: RouterFlags| flags.contains(RouterFlags::B) || flags.contains(RouterFlags::E);
        self.routers.get(&router).is_none_or(|router| is_border(router.flags))
    }

    /// Intra-area paths to the networks and stub networks of the area.
    pub(super) fn intra_path(&self, prefix: Prefix4) -> Option<Candidate> {
        if prefix.is_host() && self.intra_hosts == 0 {
            return None;
        }
        let mut best = None;
        let nodes = (prefix, NodeKey(0))..=(prefix, NodeKey(u64::MAX));
        for ((_, node), &cost) in self.intra.range(nodes) {
            if let Some((distance, set)) = self.node(node) {
                Candidate::merge(&mut best, distance.saturating_add(cost), &[set]);
            }
        }
        best
    }

    /// The other routers whose own an address is: the id, the address of a link, or a stub network by itself.
    pub(super) fn routers_with(&self, address: Ipv4Addr) -> impl Iterator<Item = RouterId> {
        let prefix = Prefix4::host(address);
        let id = Some(RouterId::from(address)).filter(|id| self.routers.contains_key(id));
        let stubs = self.intra.range((prefix, NodeKey(0))..=(prefix, NodeKey(u64::MAX)));
        let stubs = stubs.filter_map(|((_, key), _)| router_of(key));
        let links = self.ends.at(&self.graph, address.into());
        let root = self.root.and_then(router_of);
        id.into_iter().chain(stubs).chain(links).filter(move |&router| Some(router) != root)
    }

    /// The addresses that a router says are its own.
    pub(super) fn addresses_of(&self, router: RouterId) -> impl Iterator<Item = Ipv4Addr> {
        let lsa = self.routers.get(&router).and_then(|router| router.content.router());
        let links = lsa.into_iter().flat_map(|lsa| lsa.links).filter_map(|link| match link.kind {
            RouterLinkKind::PointToPoint | RouterLinkKind::Transit => Some(link.data),
            RouterLinkKind::Stub => stub(link)
                .filter(|(prefix, _)| prefix.is_host())
                .map(|(prefix, _)| prefix.address()),
            RouterLinkKind::Virtual | RouterLinkKind::Unknown(_) => None,
        });
        links.chain([Ipv4Addr::from(router.0)])
    }

    /// Where a prefix of the area is attached, whatever the distance.
    pub(super) fn attachments(&self, prefix: Prefix4) -> impl Iterator<Item = Attachment> {
        let nodes = (prefix, NodeKey(0))..=(prefix, NodeKey(u64::MAX));
        self.intra
            .range(nodes)
            .filter_map(|((_, key), &cost)| Some(Attachment { node: self.graph.node(key)?, cost }))
    }

    /// What a router with this flag advertises at this cost is attached to it.
    pub(super) fn attachment(
        &self,
        router: RouterId,
        flag: RouterFlags,
        cost: u32,
    ) -> Option<Attachment> {
        self.routers.get(&router).filter(|router| router.flags.contains(flag))?;
        Some(Attachment { node: self.graph.node(router_node(router))?, cost })
    }

    /// The networks and stub networks of the area, each as often as it is advertised.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix4> {
        self.intra.keys().map(|(prefix, _)| prefix)
    }

    /// The networks and stub networks that a node advertises.
    pub(super) fn prefixes_of(&self, node: NodeKey) -> impl Iterator<Item = Prefix4> {
        let router = router_of(node).and_then(|router| self.routers.get(&router));
        let stubs = router.into_iter().flat_map(Router::stubs);
        let network = self.networks.get(&node).into_iter().flatten().copied();
        stubs.chain(network).map(|(prefix, _)| prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Routers in a ring; the link to the next one has the number of the router as its address.
    fn ring(routers: u32) -> Topology {
        let mut topology = Topology::default();
        for router in 0..routers {
            let links = [((router + 1) % routers, router), ((router + routers - 1) % routers, 7)];
            let edges = links.map(|(to, tag)| Edge { to: NodeKey(to.into()), cost: 1, tag });
            topology.set_node(NodeKey(router.into()), NodeKind::Router, &edges);
        }
        topology
    }

    #[test]
    fn all_links_are_looked_at_a_few_times_however_many_addresses_are_asked_for() {
        let mut topology = ring(1000);
        for round in 0..3 {
            for address in (0..10_000).chain([7, 500]) {
                let found: BTreeSet<RouterId> = topology.routers_with(address.into()).collect();
                let all = topology.graph.nodes_with_tag(address).filter_map(router_of);
                assert_eq!(found, all.collect(), "{address} in round {round}");
            }
            assert_eq!(topology.ends.walks.load(Ordering::Relaxed), WALKS + 1);
            // Another graph: another answer.
            let edge = Edge { to: NodeKey(1), cost: 1, tag: 5000 + round };
            topology.set_node(NodeKey(0), NodeKind::Router, &[edge]);
        }
    }
}
