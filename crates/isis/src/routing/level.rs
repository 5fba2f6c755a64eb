//! What a level's database says, in the form that routes are computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_spf::{
    Attachment, Edge, FirstHop, NexthopSetId, NodeKey, NodeKind, NodeUpdate, SpfCounts, SpfRun,
};
use bugle_types::{PackedMap, Prefix, SystemId, Time};
use bugle_wire::isis::{AreaAddress, Level, Lsp, LspId, NodeId, TopologyId};

use super::content::{Content, Says};
use super::topology::Topology;
use super::{node_id, node_key, path_type};
use crate::capability::Capability;
use crate::database::fragments_of;
use crate::io::Route;

/// One level.
#[derive(Default)]
pub(crate) struct LevelRouting {
    root: Option<NodeKey>,
    standard: Topology,
    /// That of IPv6, where it has its own.
    ipv6: Topology,
    lsps: BTreeMap<LspId, Content>,
    /// Those who advertise a prefix stand together, in their order, so that nothing depends on which LSP came first.
    prefixes: PackedMap<(Prefix, LspId), Says>,
    /// The LSPs that say something of routers for the whole domain.
    capable: BTreeSet<LspId>,
    /// What they say may have changed, or who can be reached.
    pub(crate) capabilities_changed: bool,
    /// Systems may name other areas than before.
    pub(super) areas_changed: bool,
}

impl std::fmt::Debug for LevelRouting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LevelRouting").field("lsps", &self.lsps.len()).finish_non_exhaustive()
    }
}

impl LevelRouting {
    /// The links of this system, and whether it is overloaded: others then have no path through it.
    pub(crate) fn set_root(
        &mut self,
        root: NodeKey,
        overloaded: bool,
        links: &[(TopologyId, Edge)],
    ) {
        self.root = Some(root);
        for topology in [TopologyId::STANDARD, TopologyId::IPV6] {
            let edges = links.iter().filter(|(of, _)| *of == topology);
            let edges: Vec<Edge> = edges.map(|&(_, edge)| edge).collect();
            self.topology_mut(topology).set_root(root, overloaded, &edges);
        }
    }

    /// An LSP changed; `None`: it is gone, or dead. The prefixes of which something else is said are added to `dirty`.
    pub(super) fn set_lsp(
        &mut self,
        own: SystemId,
        id: LspId,
        lsp: Option<Lsp<'_>>,
        ipv6: TopologyId,
        dirty: &mut Vec<Prefix>,
    ) {
        let mut new = lsp.map(|lsp| Content::of(lsp, ipv6));
        // Pseudonodes have no prefixes, and this system's give no routes.
        if let Some(content) = &mut new
            && (id.node.is_pseudonode() || id.node.system == own)
        {
            content.prefixes.clear();
        }
        let old = self.lsps.remove(&id);
        let empty = Content::default();
        let (before, after) = (old.as_ref().unwrap_or(&empty), new.as_ref().unwrap_or(&empty));
        for (prefix, says) in &before.prefixes {
            let now = after.prefixes.binary_search_by_key(prefix, |(prefix, _)| *prefix);
            let now = now.ok().and_then(|place| after.prefixes.get(place));
            if now.is_none() {
                self.prefixes.remove(&(*prefix, id));
            }
            if now.is_none_or(|(_, now)| now != says) {
                dirty.push(*prefix);
            }
        }
        for (prefix, says) in &after.prefixes {
            if self.prefixes.insert((*prefix, id), says.clone()).is_none() {
                dirty.push(*prefix);
            }
        }
        if before.capabilities != after.capabilities {
            self.capabilities_changed = true;
            self.capable.remove(&id);
            self.capable.extend((!after.capabilities.is_empty()).then_some(id));
        }
        self.areas_changed |= before.areas != after.areas;
        let same = old.is_some() == new.is_some()
            && (before.flags, &before.edges, &before.topologies)
                == (after.flags, &after.edges, &after.topologies);
        if let Some(content) = new {
            self.lsps.insert(id, content);
        }
        if !same && self.root != Some(node_key(id.node)) {
            self.update_node(id.node);
        }
    }

    /// Brings the graphs in line with what a node's LSPs say.
    fn update_node(&mut self, node: NodeId) {
        let key = node_key(node);
        let kind = if node.is_pseudonode() { NodeKind::Network } else { NodeKind::Router };
        let fragments: Vec<&Content> =
            self.lsps.range(fragments_of(node)).map(|(_, content)| content).collect();
        // Section 7.2.5: without fragment zero the others do not count.
        let zero = self.lsps.get(&LspId { node, fragment: 0 });
        let mut updates = Vec::new();
        for topology in [TopologyId::STANDARD, TopologyId::IPV6] {
            // RFC 5120 section 3: what pseudonodes say holds for every topology.
            let of = if node.is_pseudonode() { TopologyId::STANDARD } else { topology };
            let update = zero.and_then(|zero| zero.in_topology(of)).map(|(overloaded, _)| {
                let edges = fragments.iter().flat_map(|content| &content.edges);
                let edges: Vec<Edge> =
                    edges.filter(|(in_, _)| *in_ == of).map(|&(_, edge)| edge).collect();
                (overloaded && !node.is_pseudonode(), edges)
            });
            updates.push((topology, update));
        }
        for (topology, update) in updates {
            let graph = self.topology_mut(topology);
            match update {
                Some((no_transit, edges)) => {
                    graph.set(NodeUpdate { key, kind, no_transit, edges: &edges });
                }
                None => graph.unset(key, kind),
            }
        }
    }

    /// Whether a topology changed since this was last asked.
    pub(super) fn take_change(&mut self) -> bool {
        let standard = self.standard.take_change();
        self.ipv6.take_change() || standard
    }

    /// Runs SPF in every topology. Returns the nodes that are reached otherwise than before; prefixes whose routes wait no longer
    /// are added to `released`.
    pub(super) fn run(
        &mut self,
        now: Time,
        microloop_delay: Option<Duration>,
        released: &mut Vec<Prefix>,
    ) -> Vec<NodeKey> {
        let mut changed = self.standard.run(now, microloop_delay, released);
        changed.extend(self.ipv6.run(now, microloop_delay, released));
        changed.sort_unstable();
        changed.dedup();
        self.capabilities_changed |= !changed.is_empty();
        changed
    }

    /// When new routes that are held back go out, and how many they are.
    pub(super) fn held(&self) -> Option<(Time, usize)> {
        let held = [self.standard.delay.held(), self.ipv6.delay.held()];
        held.into_iter().flatten().reduce(|(one, n), (other, m)| (one.min(other), n + m))
    }

    /// Routes whose time has come wait no longer: their prefixes are added to `released`.
    pub(super) fn release(&mut self, now: Time, released: &mut Vec<Prefix>) {
        for topology in [&mut self.standard, &mut self.ipv6] {
            if topology.delay.held().is_some_and(|(due, _)| due <= now) {
                released.extend(topology.delay.release());
            }
        }
    }

    /// The routes that a failure changed are known.
    pub(super) fn settle(&mut self) {
        self.standard.delay.settle();
        self.ipv6.delay.settle();
    }

    /// Who advertises a prefix, and how: those that can be reached, with distance and next hops.
    pub(super) fn advertisers(
        &self,
        prefix: Prefix,
        topology: TopologyId,
    ) -> impl Iterator<Item = (SystemId, &Says, u32, NexthopSetId)> {
        let range = (prefix, LspId::MIN)..=(prefix, LspId::MAX);
        let graph = self.topology(topology);
        self.prefixes.range(range).filter_map(move |((_, id), says)| {
            let (distance, set) = graph.node(node_key(id.node))?;
            Some((id.node.system, says, distance, set))
        })
    }

    /// Where a prefix is attached for those who come to a route of the same kind, whatever the distance.
    pub(super) fn attachments(
        &self,
        level: Level,
        prefix: Prefix,
        topology: TopologyId,
        route: &Route,
    ) -> impl Iterator<Item = Attachment> {
        let range = (prefix, LspId::MIN)..=(prefix, LspId::MAX);
        let graph = &self.topology(topology).graph;
        self.prefixes.range(range).filter_map(move |((_, id), says)| {
            let same = path_type(level, says) == route.path;
            // Of external metrics the lowest counts, whatever the distance.
            let counts = same && (!says.external || says.metric == route.metric);
            let cost = if says.external { 0 } else { says.metric };
            Some(Attachment { node: graph.node(node_key(id.node)).filter(|_| counts)?, cost })
        })
    }

    /// Where the way out of the area is attached.
    pub(super) fn attached_nodes(&self, topology: TopologyId) -> impl Iterator<Item = Attachment> {
        let graph = &self.topology(topology).graph;
        self.systems().filter_map(move |(key, content)| {
            let attached = content.in_topology(topology).is_some_and(|(_, attached)| attached);
            let node = graph.node(key).filter(|_| attached && Some(key) != self.root)?;
            Some(Attachment { node, cost: 0 })
        })
    }

    /// The prefixes that a node advertises.
    pub(super) fn prefixes_of(&self, node: NodeKey) -> impl Iterator<Item = Prefix> {
        let fragments = self.lsps.range(fragments_of(node_id(node)));
        fragments.flat_map(|(_, content)| content.prefixes.iter().map(|(prefix, _)| *prefix))
    }

    /// Every prefix that is advertised, as often as it is.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.prefixes.keys().map(|(prefix, _)| prefix)
    }

    /// The nodes that are reached by such a first hop.
    pub(super) fn nodes_through(&self, is_one: impl Fn(&FirstHop) -> bool) -> Vec<NodeKey> {
        let zeros = self.lsps.keys().filter(|id| id.fragment == 0 && !id.node.is_pseudonode());
        let nodes = zeros.map(|id| node_key(id.node));
        nodes
            .filter(|&node| {
                self.standard.is_through(node, &is_one) || self.ipv6.is_through(node, &is_one)
            })
            .collect()
    }

    /// The nearest systems that lead out of the area (section 7.2.9.1): the distance, and the next hops to each.
    pub(super) fn attached(&self, topology: TopologyId) -> Vec<(u32, NexthopSetId)> {
        let mut nearest: Vec<(u32, NexthopSetId)> = Vec::new();
        for (key, content) in self.systems() {
            let attached = content.in_topology(topology).is_some_and(|(_, attached)| attached);
            let Some((distance, set)) = self.topology(topology).node(key).filter(|_| attached)
            else {
                continue;
            };
            if Some(key) == self.root || nearest.first().is_some_and(|held| held.0 < distance) {
                continue;
            }
            if nearest.first().is_some_and(|held| held.0 > distance) {
                nearest.clear();
            }
            nearest.push((distance, set));
        }
        nearest
    }

    /// Whether a system of an area other than these can be reached (section 7.2.9.2).
    pub(crate) fn reaches_other_areas(&self, topology: TopologyId, areas: &[AreaAddress]) -> bool {
        self.systems().any(|(key, content)| {
            Some(key) != self.root
                && content.areas.iter().any(|area| !areas.contains(area))
                && self.topology(topology).node(key).is_some()
        })
    }

    /// The areas that systems which can be reached are in.
    pub(super) fn areas(&self) -> impl Iterator<Item = AreaAddress> {
        let reached = self.systems().filter(|(key, _)| self.standard.node(*key).is_some());
        reached.flat_map(|(_, content)| content.areas.iter().copied())
    }

    /// The systems of the level, by their fragment zero.
    fn systems(&self) -> impl Iterator<Item = (NodeKey, &Content)> {
        let zeros = self.lsps.iter().filter(|(id, _)| id.fragment == 0 && !id.node.is_pseudonode());
        zeros.map(|(id, content)| (node_key(id.node), content))
    }

    /// What systems that can be reached say of routers for the whole domain, but for this one; each system's in order.
    pub(crate) fn capabilities(
        &self,
        own: SystemId,
    ) -> impl Iterator<Item = (SystemId, &Capability)> {
        let others = self.capable.iter().filter(move |id| id.node.system != own);
        let reached = others.filter(|id| {
            let key = node_key(id.node);
            self.standard.node(key).is_some() || self.ipv6.node(key).is_some()
        });
        reached.flat_map(|id| {
            let content = self.lsps.get(id).into_iter();
            let said = content.flat_map(|content| &content.capabilities);
            said.map(|capability| (id.node.system, capability))
        })
    }

    /// The topologies in which a pseudonode joins a system: each names the other, the pseudonode in the standard topology for all.
    pub(crate) fn joined(&self, pseudonode: NodeId, system: NodeId) -> BTreeSet<TopologyId> {
        let links = |from: NodeId, to: NodeId| {
            let edges = self.lsps.range(fragments_of(from)).flat_map(|(_, content)| &content.edges);
            edges.filter(move |(_, edge)| edge.to == node_key(to)).map(|&(topology, _)| topology)
        };
        let is_named = links(pseudonode, system).next().is_some();
        links(system, pseudonode).filter(|_| is_named).collect()
    }

    /// The name that a system gives itself (RFC 5301).
    pub(crate) fn hostname(&self, system: SystemId) -> Option<&str> {
        let mut fragments = self.lsps.range(fragments_of(NodeId::of_system(system)));
        fragments.find_map(|(_, content)| content.hostname.as_deref())
    }

    /// The cost of the shortest path to a node, as of the last run.
    pub(crate) fn distance(&self, topology: TopologyId, node: NodeId) -> Option<u32> {
        self.topology(topology).node(node_key(node)).map(|(distance, _)| distance)
    }

    /// What the last run of SPF did in the standard topology.
    pub(crate) fn last_run(&self) -> SpfRun {
        self.standard.last_run()
    }

    /// How many runs there have been in the standard topology, by kind.
    pub(crate) fn spf_counts(&self) -> SpfCounts {
        self.standard.counts()
    }

    /// Systems and LANs in the standard topology.
    pub(crate) fn nodes(&self) -> usize {
        self.standard.len()
    }

    pub(super) fn topology(&self, topology: TopologyId) -> &Topology {
        if topology.is_standard() { &self.standard } else { &self.ipv6 }
    }

    pub(super) fn topology_mut(&mut self, topology: TopologyId) -> &mut Topology {
        if topology.is_standard() { &mut self.standard } else { &mut self.ipv6 }
    }
}
