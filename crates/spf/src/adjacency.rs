//! Growable arrays of live edges, one span for each node, all in one pool.

use std::ops::Range;

use crate::graph::{NodeIdx, NodeKind};

/// One live edge as one of its ends sees it: the node at the other end, and what the edge costs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Arc {
    /// The peer's index, and in the lowest bit its kind, which spares the calculation a look at the peer.
    peer: u32,
    /// The cost of the edge in its own direction, whichever end holds this arc.
    pub(crate) cost: u32,
}

impl Arc {
    /// An arc whose other end is `peer`.
    pub(crate) fn new(peer: NodeIdx, kind: NodeKind, cost: u32) -> Self {
        Self { peer: peer.0 << 1 | u32::from(kind == NodeKind::Router), cost }
    }

    /// The node at the other end.
    pub(crate) fn peer(self) -> NodeIdx {
        NodeIdx(self.peer >> 1)
    }

    /// What the node at the other end is.
    pub(crate) fn kind(self) -> NodeKind {
        if self.peer & 1 == 0 { NodeKind::Network } else { NodeKind::Router }
    }
}

/// The live edges out of every node, or into every node. Within a node their order means nothing.
#[derive(Clone, Default)]
pub(crate) struct Adjacency {
    spans: Vec<Span>,
    arcs: Vec<Arc>,
    /// Parallel to `arcs`, and apart from them because the calculation rarely asks for it.
    tags: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: usize,
    len: u32,
    capacity: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start..self.start + self.len as usize
    }
}

impl Adjacency {
    /// Makes room for one more node, without edges.
    pub(crate) fn add_node(&mut self) {
        self.spans.push(Span::default());
    }

    /// The edges of `node`.
    pub(crate) fn arcs(&self, node: NodeIdx) -> &[Arc] {
        &self.arcs[self.spans[node.index()].range()]
    }

    /// The tags of the edges of `node`, in the order of [`arcs`](Self::arcs).
    pub(crate) fn tags(&self, node: NodeIdx) -> &[u64] {
        &self.tags[self.spans[node.index()].range()]
    }

    /// Makes room for `edges` edges of `node` in all.
    ///
    /// The first time exactly that much, for most nodes keep the number of edges they have first, and the calculation is
    /// the faster the less memory it looks at. Later the room at least doubles, so that what spans leave behind when they
    /// move never exceeds what they cover.
    pub(crate) fn reserve(&mut self, node: NodeIdx, edges: u32) {
        let old = self.spans[node.index()];
        if edges <= old.capacity {
            return;
        }
        let capacity = edges.max(old.capacity.saturating_mul(2));
        let start = self.arcs.len();
        self.arcs.extend_from_within(old.range());
        self.tags.extend_from_within(old.range());
        self.arcs.resize(start + capacity as usize, Arc::default());
        self.tags.resize(start + capacity as usize, 0);
        self.spans[node.index()] = Span { start, len: old.len, capacity };
    }

    /// Adds an edge to `node`.
    pub(crate) fn insert(&mut self, node: NodeIdx, arc: Arc, tag: u64) {
        self.reserve(node, self.spans[node.index()].len + 1);
        let span = &mut self.spans[node.index()];
        span.len += 1;
        let at = span.range().end - 1;
        self.arcs[at] = arc;
        self.tags[at] = tag;
    }

    /// Sets the cost of the edge `tag` between `node` and `peer`, if there is one.
    pub(crate) fn set_cost(&mut self, node: NodeIdx, peer: NodeIdx, tag: u64, cost: u32) {
        if let Some(at) = self.find(node, peer, tag) {
            self.arcs[at].cost = cost;
        }
    }

    /// Removes the edge `tag` between `node` and `peer`, if there is one.
    pub(crate) fn remove(&mut self, node: NodeIdx, peer: NodeIdx, tag: u64) {
        if let Some(at) = self.find(node, peer, tag) {
            let span = &mut self.spans[node.index()];
            let last = span.range().end - 1;
            span.len -= 1;
            self.arcs.swap(at, last);
            self.tags.swap(at, last);
        }
    }

    fn find(&self, node: NodeIdx, peer: NodeIdx, tag: u64) -> Option<usize> {
        let range = self.spans[node.index()].range();
        range.into_iter().find(|&at| self.arcs[at].peer() == peer && self.tags[at] == tag)
    }
}

#[cfg(test)]
mod tests {
    use bugle_types::Rng;

    use super::*;

    #[test]
    fn edges_survive_growth_and_removal() {
        const NODES: u32 = 20;
        let mut rng = Rng::new(1);
        let mut adjacency = Adjacency::default();
        let mut model = vec![Vec::<(u32, u32, u64)>::new(); NODES as usize];
        (0..NODES).for_each(|_| adjacency.add_node());
        for tag in 0..20_000 {
            let node = u32::try_from(rng.below(u64::from(NODES))).unwrap();
            let edges = &mut model[node as usize];
            // Each node grows to some size, then shrinks to nothing, and so on.
            if (tag / 700 + u64::from(node)) % 2 == 0 {
                let peer = u32::try_from(rng.below(5)).unwrap();
                adjacency.insert(NodeIdx(node), Arc::new(NodeIdx(peer), NodeKind::Router, 0), tag);
                adjacency.set_cost(NodeIdx(node), NodeIdx(peer), tag, node);
                edges.push((peer, node, tag));
            } else if !edges.is_empty() {
                let at = usize::try_from(rng.below(edges.len() as u64)).unwrap();
                let (peer, _, tag) = edges.swap_remove(at);
                adjacency.remove(NodeIdx(node), NodeIdx(peer), tag);
            }
        }
        for (node, edges) in (0..).map(NodeIdx).zip(&mut model) {
            let arcs = adjacency.arcs(node).iter().zip(adjacency.tags(node));
            let mut found: Vec<_> = arcs.map(|(arc, &tag)| (arc.peer().0, arc.cost, tag)).collect();
            found.sort_unstable();
            edges.sort_unstable();
            assert_eq!(&found, edges);
        }
    }
}
