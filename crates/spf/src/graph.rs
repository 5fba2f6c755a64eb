//! The topology: routers and transit networks joined by directed edges.
//!
//! A protocol feeds it one node at a time, as it learns router-LSAs, network-LSAs and LSPs, in any order. A node may name
//! neighbours that are not there yet, or never will be.
//!
//! An edge is **live**, and so can be part of a path, only while the node at its far end names the near one too (RFC 2328
//! section 16.1 (2)(b)). That is checked here, when a node changes, so that the calculation sees live edges only. An edge
//! from a node to itself, or between two networks, is never live.

use std::collections::BTreeMap;
use std::mem;

use smallvec::SmallVec;

use crate::adjacency::{Adjacency, Arc};
use crate::journal::Journal;

/// Names a node. The protocol chooses the numbers; to this crate they are opaque.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeKey(pub u64);

/// Where a node is in its [`Graph`]: a small number, for tables indexed by node.
///
/// Once a node has been removed, its index may be given to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIdx(pub(crate) u32);

impl NodeIdx {
    /// The index as a number.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeKind {
    /// A router.
    Router,
    /// A transit network (IS-IS: a pseudonode).
    Network,
}

/// One edge out of a node, as the node advertises it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The node at the far end.
    pub to: NodeKey,
    /// What crossing it costs in this direction; zero is allowed.
    ///
    /// The protocol leaves out edges that must not be used, such as those of the maximum metric in IS-IS (RFC 5305 section 3);
    /// a link of maximum metric in OSPF (RFC 6987) is an ordinary expensive one.
    pub cost: u32,
    /// The protocol's name for the link. Parallel links are separate edges, told apart by their tags; of edges that agree in
    /// `to` and `tag` the cheapest counts.
    pub tag: u32,
}

/// All that one node advertises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeUpdate<'a> {
    /// Which node.
    pub key: NodeKey,
    /// What it stands for. Giving a known key another kind replaces the node.
    pub kind: NodeKind,
    /// It may be reached but not crossed, except by paths that start at it (the overload bit of IS-IS).
    pub no_transit: bool,
    /// Its edges, in any order.
    pub edges: &'a [Edge],
}

/// A live edge appeared, disappeared or changed its cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EdgeChange {
    /// The node it leaves.
    pub from: NodeKey,
    /// The node it enters.
    pub to: NodeKey,
    /// The name of the link.
    pub tag: u32,
    /// Its cost before; `None` if it was not live.
    pub old: Option<u32>,
    /// Its cost now; `None` if it is not live. Equal to `old` if only `no_transit` of the node it leaves has changed.
    pub new: Option<u32>,
}

/// The topology of one area or level.
#[derive(Clone, Default)]
pub struct Graph {
    index: BTreeMap<NodeKey, NodeIdx>,
    nodes: Vec<Node>,
    /// All that each node advertises, live or not, by `(to, tag, cost)`; apart from the rest, which the calculation reads.
    advertised: Vec<Vec<Edge>>,
    /// Indices that belong to no node.
    free: Vec<NodeIdx>,
    out_of: Adjacency,
    into: Adjacency,
    journal: Journal,
}

#[derive(Clone, Copy)]
struct Node {
    key: NodeKey,
    kind: NodeKind,
    no_transit: bool,
    /// `false` while the index is free.
    present: bool,
}

impl Graph {
    /// A graph without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node, or replaces all that is known of it. Returns what that did to live edges, those of its neighbours
    /// included. If nothing, no path has changed: a new calculation is needed only if the node is the root and new.
    pub fn apply(&mut self, update: NodeUpdate<'_>) -> SmallVec<[EdgeChange; 4]> {
        let mut changes = match self.node(update.key) {
            Some(node) if self.kind(node) != update.kind => self.remove(update.key),
            _ => SmallVec::new(),
        };
        let Some(node) = self.node(update.key).or_else(|| self.add(update.key, update.kind)) else {
            return changes;
        };
        let mut edges = update.edges.to_vec();
        edges.sort_unstable_by_key(|edge| (edge.to, edge.tag, edge.cost));
        self.set_edges(node, update.key, edges, &mut changes);
        self.set_no_transit(node, update.key, update.no_transit, &mut changes);
        changes
    }

    /// Removes a node. Returns what that did to live edges; nothing if there is no such node.
    pub fn remove(&mut self, key: NodeKey) -> SmallVec<[EdgeChange; 4]> {
        let mut changes = SmallVec::new();
        let Some(node) = self.node(key) else {
            return changes;
        };
        self.set_edges(node, key, Vec::new(), &mut changes);
        self.index.remove(&key);
        self.nodes[node.index()].present = false;
        self.free.push(node);
        changes
    }

    /// Where the node called `key` is; `None` if it has not been added or has been removed.
    #[must_use]
    pub fn node(&self, key: NodeKey) -> Option<NodeIdx> {
        self.index.get(&key).copied()
    }

    /// The name of the node at `node`; `None` if there is none.
    #[must_use]
    pub fn key(&self, node: NodeIdx) -> Option<NodeKey> {
        self.nodes.get(node.index()).filter(|node| node.present).map(|node| node.key)
    }

    /// The nodes that advertise an edge with this tag, live or not. Looks at every edge there is.
    pub fn nodes_with_tag(&self, tag: u32) -> impl Iterator<Item = NodeKey> {
        let nodes = self.nodes.iter().zip(&self.advertised);
        let tagged = nodes.filter(move |(_, edges)| edges.iter().any(|edge| edge.tag == tag));
        tagged.map(|(node, _)| node.key)
    }

    /// The tags of all edges, with the nodes that advertise them.
    pub fn tags(&self) -> impl Iterator<Item = (u32, NodeKey)> {
        let nodes = self.nodes.iter().zip(&self.advertised);
        nodes.flat_map(|(node, edges)| edges.iter().map(|edge| (edge.tag, node.key)))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// What the calculation needs.
impl Graph {
    /// One more than the largest index that any node has had.
    pub(crate) fn slots(&self) -> usize {
        self.nodes.len()
    }

    /// What the node at `node` stands for.
    pub(crate) fn kind(&self, node: NodeIdx) -> NodeKind {
        self.nodes[node.index()].kind
    }

    /// Whether only paths that start at `node` may leave it.
    pub(crate) fn no_transit(&self, node: NodeIdx) -> bool {
        self.nodes[node.index()].no_transit
    }

    /// The live edges out of every node.
    pub(crate) fn out_of(&self) -> &Adjacency {
        &self.out_of
    }

    /// The live edges into every node.
    pub(crate) fn into(&self) -> &Adjacency {
        &self.into
    }

    /// The live edges out of one node, with their tags.
    pub(crate) fn links(&self, node: NodeIdx) -> impl Iterator<Item = (Arc, u32)> {
        let key = self.nodes[node.index()].key;
        let edges = self.advertised[node.index()].chunk_by(|a, b| a.to == b.to);
        edges
            .filter_map(move |edges| {
                let peer = self.peer(node, edges.first()?.to)?;
                (!self.advertised_towards(peer, key).is_empty()).then_some((peer, edges))
            })
            .flat_map(|(peer, edges)| {
                // Of parallel edges of one tag the first is the cheapest.
                let edges = edges.chunk_by(|a, b| a.tag == b.tag).filter_map(|same| same.first());
                let kind = self.kind(peer);
                edges.map(move |edge| (Arc::new(peer, kind, edge.cost), edge.tag))
            })
    }

    /// The nodes that live edges enter of which something has changed, `no_transit` of the node they leave included.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Graph {
    /// Makes an isolated node; `None` if there are more than an index can tell apart.
    fn add(&mut self, key: NodeKey, kind: NodeKind) -> Option<NodeIdx> {
        let new = Node { key, kind, no_transit: false, present: true };
        let node = if let Some(node) = self.free.pop() {
            self.nodes[node.index()] = new;
            node
        } else {
            // An arc keeps the peer's kind beside its index, in one word.
            let node =
                u32::try_from(self.nodes.len()).ok().filter(|&node| node <= u32::MAX >> 1)?;
            self.nodes.push(new);
            self.advertised.push(Vec::new());
            self.out_of.add_node();
            self.into.add_node();
            NodeIdx(node)
        };
        self.index.insert(key, node);
        Some(node)
    }

    /// Notes that `node` may be reached otherwise than before.
    fn note(&mut self, node: NodeIdx) {
        self.journal.push(node, self.nodes.len());
    }

    /// Replaces what `node` advertises by `new`, which is sorted by `(to, tag, cost)`.
    fn set_edges(
        &mut self,
        node: NodeIdx,
        key: NodeKey,
        new: Vec<Edge>,
        changes: &mut SmallVec<[EdgeChange; 4]>,
    ) {
        let old = mem::take(&mut self.advertised[node.index()]);
        let room = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.out_of.reserve(node, room);
        self.into.reserve(node, room);
        for (before, after) in pairs(&old, &new, |edge| edge.to) {
            // Of a router with many links mostly one has changed.
            if before == after {
                continue;
            }
            let Some(peer) =
                before.iter().chain(after).next().and_then(|edge| self.peer(node, edge.to))
            else {
                continue;
            };
            let back = self.advertised_towards(peer, key);
            if back.is_empty() {
                continue;
            }
            self.set_live(node, peer, before, after, changes);
            // The edges back are live while this node names the peer.
            match (before.is_empty(), after.is_empty()) {
                (true, false) => self.set_live(peer, node, &[], &back, changes),
                (false, true) => self.set_live(peer, node, &back, &[], changes),
                _ => {}
            }
        }
        self.advertised[node.index()] = new;
    }

    /// The node called `to`, if there is one and edges between it and `node` can be live.
    fn peer(&self, node: NodeIdx, to: NodeKey) -> Option<NodeIdx> {
        let peer = self.node(to)?;
        let networks = self.kind(node) == NodeKind::Network && self.kind(peer) == NodeKind::Network;
        (peer != node && !networks).then_some(peer)
    }

    /// What `node` advertises towards `to`.
    fn advertised_towards(&self, node: NodeIdx, to: NodeKey) -> SmallVec<[Edge; 2]> {
        let edges = &self.advertised[node.index()];
        let start = edges.partition_point(|edge| edge.to < to);
        edges[start..].iter().copied().take_while(|edge| edge.to == to).collect()
    }

    /// Replaces the live edges `before` from one node to another by `after`; both are sorted by tag, and
    /// of those that share one the first, the cheapest, counts.
    fn set_live(
        &mut self,
        from: NodeIdx,
        to: NodeIdx,
        before: &[Edge],
        after: &[Edge],
        changes: &mut SmallVec<[EdgeChange; 4]>,
    ) {
        let (Some(from_key), Some(to_key)) = (self.key(from), self.key(to)) else {
            return;
        };
        for (before, after) in pairs(before, after, |edge| edge.tag) {
            let (old, new) = (before.first(), after.first());
            let Some(tag) = old.or(new).map(|edge| edge.tag) else {
                continue;
            };
            let (old, new) = (old.map(|edge| edge.cost), new.map(|edge| edge.cost));
            match (old, new) {
                (None, Some(cost)) => {
                    self.out_of.insert(from, Arc::new(to, self.kind(to), cost));
                    self.into.insert(to, Arc::new(from, self.kind(from), cost));
                }
                (Some(cost), None) => {
                    self.out_of.remove(from, to, cost);
                    self.into.remove(to, from, cost);
                }
                (Some(old), Some(new)) if old != new => {
                    self.out_of.set_cost(from, to, old, new);
                    self.into.set_cost(to, from, old, new);
                }
                _ => continue,
            }
            self.note(to);
            changes.push(EdgeChange { from: from_key, to: to_key, tag, old, new });
        }
    }

    /// Opens or closes `node` to transit, and reports the live edges out of it that are not in `changes` already.
    fn set_no_transit(
        &mut self,
        node: NodeIdx,
        key: NodeKey,
        no_transit: bool,
        changes: &mut SmallVec<[EdgeChange; 4]>,
    ) {
        if mem::replace(&mut self.nodes[node.index()].no_transit, no_transit) == no_transit {
            return;
        }
        let known = changes.len();
        let live: Vec<(Arc, u32)> = self.links(node).collect();
        for (arc, tag) in live {
            self.note(arc.peer());
            let Some(to) = self.key(arc.peer()) else {
                continue;
            };
            let reported =
                |change: &EdgeChange| (change.from, change.to, change.tag) == (key, to, tag);
            if !changes[..known].iter().any(reported) {
                let cost = Some(arc.cost);
                changes.push(EdgeChange { from: key, to, tag, old: cost, new: cost });
            }
        }
    }
}

/// The runs of equal `key` in two slices sorted by it, side by side: one of a pair is empty if only the other has the key.
fn pairs<'a, K: Ord + Copy>(
    mut old: &'a [Edge],
    mut new: &'a [Edge],
    key: impl Fn(&Edge) -> K,
) -> impl Iterator<Item = (&'a [Edge], &'a [Edge])> {
    std::iter::from_fn(move || {
        let least = old.first().map(&key).into_iter().chain(new.first().map(&key)).min()?;
        let (old_run, old_rest) = old.split_at(run_length(old, &least, &key));
        let (new_run, new_rest) = new.split_at(run_length(new, &least, &key));
        (old, new) = (old_rest, new_rest);
        Some((old_run, new_run))
    })
}

fn run_length<K: Ord>(edges: &[Edge], value: &K, key: impl Fn(&Edge) -> K) -> usize {
    edges.iter().take_while(|edge| key(edge) == *value).count()
}
