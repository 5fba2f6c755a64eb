//! The shortest-path tree from one root (RFC 2328 section 16.1, first stage), with all equal-cost paths.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::adjacency::Arc;
use crate::graph::{Graph, NodeIdx, NodeKey, NodeKind};
use crate::nexthop::{FirstHop, NexthopSetId, NexthopSets};
use crate::queue::Queue;
use crate::rank::Rank;

/// The shortest paths from a root, as of the last [`run`](Self::run).
///
/// One `Spf` serves one root in one graph and is kept: it reuses its memory, and knows what changed since the run before.
#[derive(Clone)]
pub struct Spf {
    nodes: Vec<NodeState>,
    /// The run before, to be compared with.
    previous: Vec<NodeState>,
    /// Which node had each index in that run.
    keys: Vec<Option<NodeKey>>,
    sets: NexthopSets,
    candidates: Queue,
    /// The sets that a node's parents pass on.
    inherited: Vec<NexthopSetId>,
    changed: Vec<NodeChange>,
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpfRun {
    /// Nodes that can be reached, the root included.
    pub nodes_visited: usize,
    /// Live edges looked at.
    pub edges_visited: usize,
    /// Nodes whose distance or nexthops are not what they were.
    pub nodes_changed: usize,
}

/// A node whose distance or nexthops are not what they were before the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeChange {
    /// Which node.
    pub key: NodeKey,
    /// Where it is; `None` if it has left the graph.
    pub node: Option<NodeIdx>,
}

#[derive(Clone, Copy)]
struct NodeState {
    rank: Rank,
    nexthops: NexthopSetId,
    /// Parents that pass on other nexthops than these have been found.
    merge: bool,
}

impl NodeState {
    const UNREACHED: Self =
        Self { rank: Rank::UNREACHED, nexthops: NexthopSetId::EMPTY, merge: false };

    /// What the world sees of it.
    fn route(self) -> Option<(u32, NexthopSetId)> {
        self.rank.distance().map(|distance| (distance, self.nexthops))
    }
}

impl Default for Spf {
    fn default() -> Self {
        Self::new()
    }
}

impl Spf {
    /// No run yet: nothing can be reached.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            previous: Vec::new(),
            keys: Vec::new(),
            sets: NexthopSets::new(),
            candidates: Queue::new(),
            inherited: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Calculates all shortest paths from `root` afresh. If there is no such node, nothing can be reached.
    ///
    /// Paths that cost more than [`MAX_PATH`](crate::MAX_PATH) do not count.
    pub fn run(&mut self, graph: &Graph, root: NodeKey) -> SpfRun {
        self.sets.sweep(self.nodes.iter_mut().map(|node| &mut node.nexthops));
        std::mem::swap(&mut self.nodes, &mut self.previous);
        self.nodes.clear();
        self.nodes.resize(graph.slots(), NodeState::UNREACHED);
        let mut run = graph.node(root).map_or_else(SpfRun::default, |root| self.grow(graph, root));
        self.compare(graph);
        run.nodes_changed = self.changed.len();
        run
    }

    /// The cost of the shortest paths to `node`; `None` if it cannot be reached.
    #[must_use]
    pub fn distance(&self, node: NodeIdx) -> Option<u32> {
        self.nodes.get(node.index())?.rank.distance()
    }

    /// The first hops of all shortest paths to `node`; empty for the root, and if it cannot be reached.
    #[must_use]
    pub fn nexthops(&self, node: NodeIdx) -> NexthopSetId {
        self.nodes.get(node.index()).map_or(NexthopSetId::EMPTY, |node| node.nexthops)
    }

    /// The members of `set`, in order, without repetition.
    #[must_use]
    pub fn first_hops(&self, set: NexthopSetId) -> &[FirstHop] {
        self.sets.members(set)
    }

    /// The nodes whose distance or nexthops differ from what they were before the last run: only routes to their prefixes
    /// need a second look. A node that cannot be reached is the same as one that is not there.
    #[must_use]
    pub fn changed(&self) -> &[NodeChange] {
        &self.changed
    }

    /// Grows the tree from `root` until no candidate is left.
    fn grow(&mut self, graph: &Graph, root: NodeIdx) -> SpfRun {
        let mut run = SpfRun::default();
        let rank = Rank::root(graph.kind(root));
        self.nodes[root.index()].rank = rank;
        self.candidates.push(rank, root);
        while let Some((rank, node)) = self.candidates.pop() {
            // A cheaper path has been found since, and the node has joined the tree by it.
            if rank != self.nodes[node.index()].rank {
                continue;
            }
            run.nodes_visited += 1;
            if self.nodes[node.index()].merge {
                self.nodes[node.index()].nexthops = self.merge(graph, root, node);
            }
            if graph.no_transit(node) && node != root {
                continue;
            }
            let arcs = graph.out_of().arcs(node);
            run.edges_visited += arcs.len();
            let nexthops = self.nodes[node.index()].nexthops;
            if node == root || (!rank.is_router() && self.sets.is_attached(nexthops)) {
                for (arc, &tag) in arcs.iter().zip(graph.out_of().tags(node)) {
                    let nexthops = self.inherit(graph, root, node, tag, arc.peer());
                    self.relax(rank, *arc, nexthops);
                }
            } else {
                for arc in arcs {
                    self.relax(rank, *arc, nexthops);
                }
            }
        }
        run
    }

    /// Offers the node at the far end of `arc` the path over it: RFC 2328 section 16.1 (2)(d).
    fn relax(&mut self, rank: Rank, arc: Arc, nexthops: NexthopSetId) {
        let node = arc.peer();
        let state = &mut self.nodes[node.index()];
        let rank = rank.step(arc.cost, arc.kind());
        match rank.cmp(&state.rank) {
            Ordering::Greater => {}
            Ordering::Equal => state.merge |= state.nexthops != nexthops,
            Ordering::Less => {
                *state = NodeState { rank, nexthops, merge: false };
                self.candidates.push(rank, node);
            }
        }
    }

    /// The nexthops of all shortest paths to `node`, whose parents have all joined the tree.
    fn merge(&mut self, graph: &Graph, root: NodeIdx, node: NodeIdx) -> NexthopSetId {
        let rank = self.nodes[node.index()].rank;
        let mut inherited = std::mem::take(&mut self.inherited);
        inherited.clear();
        for (arc, &tag) in graph.into().arcs(node).iter().zip(graph.into().tags(node)) {
            let parent = arc.peer();
            let tight = self.nodes[parent.index()].rank.step(arc.cost, graph.kind(node)) == rank;
            if tight && (parent == root || !graph.no_transit(parent)) {
                inherited.push(self.inherit(graph, root, parent, tag, node));
            }
        }
        let union = self.sets.union(&mut inherited);
        self.inherited = inherited;
        union
    }

    /// The nexthops that `node` gets from `parent` over the edge `tag`: RFC 2328 section 16.1.1.
    fn inherit(
        &mut self,
        graph: &Graph,
        root: NodeIdx,
        parent: NodeIdx,
        tag: u64,
        node: NodeIdx,
    ) -> NexthopSetId {
        let router = graph.key(node).filter(|_| graph.kind(node) == NodeKind::Router);
        if parent == root {
            return self.sets.single(FirstHop { link: tag, router });
        }
        let nexthops = self.nodes[parent.index()].nexthops;
        match router {
            Some(router)
                if graph.kind(parent) == NodeKind::Network && self.sets.is_attached(nexthops) =>
            {
                self.sets.across(nexthops, router)
            }
            _ => nexthops,
        }
    }

    /// Finds what differs from the previous run.
    fn compare(&mut self, graph: &Graph) {
        self.changed.clear();
        self.keys.resize(self.nodes.len(), None);
        self.previous.resize(self.nodes.len(), NodeState::UNREACHED);
        // Nodes that have come or gone, or done both and so have another index now.
        let mut arrived = Vec::new();
        let mut departed = BTreeMap::new();
        for (node, (now, before)) in (0..).map(NodeIdx).zip(self.nodes.iter().zip(&self.previous)) {
            let key = graph.key(node);
            let old_key = std::mem::replace(&mut self.keys[node.index()], key);
            if key != old_key {
                arrived.extend(key.map(|key| (key, node)));
                departed.extend(old_key.zip(before.route()));
            } else if let Some(key) = key
                && now.route() != before.route()
            {
                self.changed.push(NodeChange { key, node: Some(node) });
            }
        }
        for (key, node) in arrived {
            if self.nodes[node.index()].route() != departed.remove(&key) {
                self.changed.push(NodeChange { key, node: Some(node) });
            }
        }
        self.changed.extend(departed.into_keys().map(|key| NodeChange { key, node: None }));
    }
}
