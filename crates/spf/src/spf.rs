//! The shortest-path tree from one root (RFC 2328 section 16.1, first stage), with all equal-cost paths.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::adjacency::Arc;
use crate::graph::{Graph, NodeIdx, NodeKey, NodeKind};
use crate::nexthop::{FirstHop, NexthopSetId, NexthopSets};
use crate::queue::Queue;
use crate::rank::Rank;

/// The shortest paths from a root, as of the last [`update`](Self::update) or [`run`](Self::run).
///
/// One `Spf` serves one root in one graph and is kept: it knows what changed since the run before.
#[derive(Clone)]
pub struct Spf {
    pub(crate) nodes: Vec<NodeState>,
    /// Which node had each index in the run before.
    pub(crate) keys: Vec<Option<NodeKey>>,
    /// Where the root was in the run before, if it was there.
    pub(crate) root: Option<NodeIdx>,
    /// How much of the graph's journal that run knew.
    pub(crate) read: u64,
    /// The nodes that an update may change, as they were before it.
    pub(crate) touched: Vec<(NodeIdx, NodeState)>,
    pub(crate) sets: NexthopSets,
    pub(crate) candidates: Queue,
    /// The sets that a node's parents pass on.
    inherited: Vec<NexthopSetId>,
    changed: Vec<NodeChange>,
    counts: SpfCounts,
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpfRun {
    /// How it went about it.
    pub kind: SpfKind,
    /// Nodes whose paths were worked out: in a full run all that can be reached, the root included; in an incremental one
    /// those that the changes may affect, whether they can be reached or not.
    pub nodes_visited: usize,
    /// Live edges looked at.
    pub edges_visited: usize,
    /// Nodes whose distance or nexthops are not what they were.
    pub nodes_changed: usize,
}

/// How a run went about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpfKind {
    /// All paths were calculated afresh, as [`Spf::run`] does.
    #[default]
    Full,
    /// [`Spf::update`] calculated the paths that changes of the graph may affect.
    Incremental,
    /// [`Spf::update`] had to calculate all paths afresh.
    Fallback(Fallback),
}

impl SpfKind {
    /// A word for it: `full`, `incremental`, or the reason of a fallback.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Fallback(Fallback::NewRoot) => "new-root",
            Self::Fallback(Fallback::ManyChanges) => "many-changes",
            Self::Fallback(Fallback::ManyNodes) => "many-nodes",
        }
    }
}

/// Why [`Spf::update`] calculated all paths afresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// There are no paths from this root yet: it is the first run, or the root is another, has been replaced, or has gone.
    NewRoot,
    /// More changes than the graph keeps track of, which is at least as many as it has nodes.
    ManyChanges,
    /// More than an eighth of the nodes may lose their paths, or a link of the root is lost with much behind it.
    ManyNodes,
}

/// How many runs there have been of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpfCounts {
    /// [`SpfKind::Full`].
    pub full: u64,
    /// [`SpfKind::Incremental`].
    pub incremental: u64,
    /// [`Fallback::NewRoot`].
    pub new_root: u64,
    /// [`Fallback::ManyChanges`].
    pub many_changes: u64,
    /// [`Fallback::ManyNodes`].
    pub many_nodes: u64,
}

impl SpfCounts {
    fn count(&mut self, kind: SpfKind) {
        let of_kind = match kind {
            SpfKind::Full => &mut self.full,
            SpfKind::Incremental => &mut self.incremental,
            SpfKind::Fallback(Fallback::NewRoot) => &mut self.new_root,
            SpfKind::Fallback(Fallback::ManyChanges) => &mut self.many_changes,
            SpfKind::Fallback(Fallback::ManyNodes) => &mut self.many_nodes,
        };
        *of_kind += 1;
    }
}

/// A node whose distance or nexthops are not what they were before the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeChange {
    /// Which node.
    pub key: NodeKey,
    /// Where it is; `None` if it has left the graph.
    pub node: Option<NodeIdx>,
}

/// What is known of a node.
#[derive(Clone, Copy)]
pub(crate) struct NodeState {
    pub(crate) rank: Rank,
    pub(crate) nexthops: NexthopSetId,
    /// It is a candidate whose nexthops are to be taken from all its parents: some of them pass on others than these, or, in
    /// an update, may do so.
    pub(crate) merge: bool,
    /// It is among [`Spf::touched`].
    pub(crate) touched: bool,
    /// Its rank is not what it was before the update.
    pub(crate) moved: bool,
}

impl NodeState {
    pub(crate) const UNREACHED: Self = Self::reached(Rank::UNREACHED, NexthopSetId::EMPTY);

    const fn reached(rank: Rank, nexthops: NexthopSetId) -> Self {
        Self { rank, nexthops, merge: false, touched: false, moved: false }
    }

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
            keys: Vec::new(),
            root: None,
            read: 0,
            touched: Vec::new(),
            sets: NexthopSets::new(),
            candidates: Queue::new(),
            inherited: Vec::new(),
            changed: Vec::new(),
            counts: SpfCounts::default(),
        }
    }

    /// Brings the shortest paths from `root` up to date with all changes of `graph` since the last run. If there is no such
    /// node, nothing can be reached.
    ///
    /// The result, [`changed`](Self::changed) included, is that of [`run`](Self::run); only what the changes may affect is
    /// calculated, unless there is a reason for a [`Fallback`].
    pub fn update(&mut self, graph: &Graph, root: NodeKey) -> SpfRun {
        self.sweep();
        let run = self
            .follow(graph, root)
            .unwrap_or_else(|reason| self.calculate(graph, root, SpfKind::Fallback(reason)));
        self.finish(graph, run)
    }

    /// Calculates all shortest paths from `root` afresh. If there is no such node, nothing can be reached.
    ///
    /// Paths that cost more than [`MAX_PATH`](crate::MAX_PATH) do not count.
    pub fn run(&mut self, graph: &Graph, root: NodeKey) -> SpfRun {
        self.sweep();
        let run = self.calculate(graph, root, SpfKind::Full);
        self.finish(graph, run)
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
    /// need a second look. A node that cannot be reached is the same as one that is not there. The order means nothing.
    #[must_use]
    pub fn changed(&self) -> &[NodeChange] {
        &self.changed
    }

    /// How many runs there have been, by kind.
    #[must_use]
    pub fn counts(&self) -> SpfCounts {
        self.counts
    }

    /// Forgets sets of nexthops that are no longer in use, if they may be many.
    fn sweep(&mut self) {
        self.sets.sweep(self.nodes.iter_mut().map(|node| &mut node.nexthops));
    }

    /// Calculates all paths afresh, and compares them with those before.
    fn calculate(&mut self, graph: &Graph, root: NodeKey, kind: SpfKind) -> SpfRun {
        let unreached = vec![NodeState::UNREACHED; graph.slots()];
        let mut previous = std::mem::replace(&mut self.nodes, unreached);
        self.root = graph.node(root);
        let mut run = SpfRun { kind, ..SpfRun::default() };
        if let Some(root) = self.root {
            self.grow(graph, root, &mut run);
        }
        self.keys.resize(self.nodes.len(), None);
        previous.resize(self.nodes.len(), NodeState::UNREACHED);
        self.compare(graph, (0..).map(NodeIdx).zip(previous));
        run
    }

    /// Notes what there is to remember of a run.
    fn finish(&mut self, graph: &Graph, run: SpfRun) -> SpfRun {
        self.read = graph.journal().end();
        self.touched.shrink_to(64);
        self.counts.count(run.kind);
        SpfRun { nodes_changed: self.changed.len(), ..run }
    }

    /// Grows the tree from `root` until no candidate is left.
    fn grow(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) {
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
            if !is_crossed(graph, root, node) {
                continue;
            }
            let arcs = graph.out_of().arcs(node);
            run.edges_visited += arcs.len();
            let nexthops = self.nodes[node.index()].nexthops;
            if node == root {
                for (arc, tag) in graph.links(root) {
                    let nexthops = self.first_hop(graph, tag, arc.peer());
                    self.relax(rank, arc, nexthops);
                }
            } else if !rank.is_router() && self.sets.is_attached(nexthops) {
                for arc in arcs {
                    let nexthops = self.inherit(graph, node, arc.peer());
                    self.relax(rank, *arc, nexthops);
                }
            } else {
                for arc in arcs {
                    self.relax(rank, *arc, nexthops);
                }
            }
        }
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
                *state = NodeState::reached(rank, nexthops);
                self.candidates.push(rank, node);
            }
        }
    }

    /// The nexthops of all shortest paths to `node`, whose parents have all joined the tree.
    pub(crate) fn merge(&mut self, graph: &Graph, root: NodeIdx, node: NodeIdx) -> NexthopSetId {
        let rank = self.nodes[node.index()].rank;
        let mut inherited = std::mem::take(&mut self.inherited);
        inherited.clear();
        let kind = graph.kind(node);
        let mut from_root = false;
        for arc in graph.into().arcs(node) {
            let parent = arc.peer();
            if self.nodes[parent.index()].rank.step(arc.cost, kind) != rank {
                continue;
            }
            if parent == root {
                from_root = true;
            } else if is_crossed(graph, root, parent) {
                inherited.push(self.inherit(graph, parent, node));
            }
        }
        if from_root {
            let start = self.nodes[root.index()].rank;
            for (arc, tag) in graph.links(root) {
                if arc.peer() == node && start.step(arc.cost, kind) == rank {
                    inherited.push(self.first_hop(graph, tag, node));
                }
            }
        }
        let union = self.sets.union(&mut inherited);
        self.inherited = inherited;
        union
    }

    /// The nexthops of a neighbour of the root over the edge `tag`: RFC 2328 section 16.1.1.
    fn first_hop(&mut self, graph: &Graph, tag: u32, node: NodeIdx) -> NexthopSetId {
        let router = graph.key(node).filter(|_| graph.kind(node) == NodeKind::Router);
        self.sets.single(FirstHop { link: tag, router })
    }

    /// The nexthops that `node` gets from `parent`, which is not the root: RFC 2328 section 16.1.1.
    pub(crate) fn inherit(
        &mut self,
        graph: &Graph,
        parent: NodeIdx,
        node: NodeIdx,
    ) -> NexthopSetId {
        let nexthops = self.nodes[parent.index()].nexthops;
        if graph.kind(parent) == NodeKind::Router || !self.sets.is_attached(nexthops) {
            return nexthops;
        }
        match graph.key(node).filter(|_| graph.kind(node) == NodeKind::Router) {
            Some(router) => self.sets.across(nexthops, router),
            None => nexthops,
        }
    }

    /// Finds which of the nodes in `before`, which has each index once at most, differ from what they were.
    pub(crate) fn compare(
        &mut self,
        graph: &Graph,
        before: impl Iterator<Item = (NodeIdx, NodeState)>,
    ) {
        self.changed.clear();
        // Nodes that have come or gone, or done both and so have another index now.
        let mut arrived = Vec::new();
        let mut departed = BTreeMap::new();
        for (node, before) in before {
            let key = graph.key(node);
            let old_key = std::mem::replace(&mut self.keys[node.index()], key);
            let same_key = key == old_key;
            if same_key && self.nodes[node.index()].route() == before.route() {
                continue;
            }
            // Of a node without edges nobody hears that it has gone: only where one was reached the old key holds.
            match (key, before.route()) {
                (Some(key), Some(_)) if same_key => {
                    self.changed.push(NodeChange { key, node: Some(node) });
                }
                (_, old_route) => {
                    arrived.extend(key.map(|key| (key, node)));
                    departed.extend(old_key.zip(old_route));
                }
            }
        }
        for (key, node) in arrived {
            if self.nodes[node.index()].route() != departed.remove(&key) {
                self.changed.push(NodeChange { key, node: Some(node) });
            }
        }
        // They have left, or are back where nothing has led to them yet.
        let departed = departed.into_keys().map(|key| NodeChange { key, node: graph.node(key) });
        self.changed.extend(departed);
    }
}

/// Whether paths from `root` may lead on from `node`.
pub(crate) fn is_crossed(graph: &Graph, root: NodeIdx, node: NodeIdx) -> bool {
    node == root || !graph.no_transit(node)
}
