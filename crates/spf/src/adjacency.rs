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

/// The live edges out of every node, or into every node. Within a node their order means nothing. Tags are not here: the calculation
/// asks for those of the root only.
#[derive(Clone, Default)]
pub(crate) struct Adjacency {
    spans: Vec<Span>,
    arcs: Vec<Arc>,
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
        let end = start + capacity as usize;
        if end > self.arcs.capacity() {
            // Doubling would leave a quarter of it unused on average.
            self.arcs.reserve_exact(end - start + start / 8);
        }
        self.arcs.extend_from_within(old.range());
        self.arcs.resize(end, Arc::default());
        self.spans[node.index()] = Span { start, len: old.len, capacity };
    }

    /// Adds an edge to `node`.
    pub(crate) fn insert(&mut self, node: NodeIdx, arc: Arc) {
        self.reserve(node, self.spans[node.index()].len + 1);
        let span = &mut self.spans[node.index()];
        span.len += 1;
        let at = span.range().end - 1;
        self.arcs[at] = arc;
    }

    /// Sets the cost of an edge between `node` and `peer` that costs `old`, if there is one.
    pub(crate) fn set_cost(&mut self, node: NodeIdx, peer: NodeIdx, old: u32, new: u32) {
        if let Some(at) = self.find(node, peer, old) {
            self.arcs[at].cost = new;
        }
    }

    /// Removes an edge between `node` and `peer` that costs `cost`, if there is one.
    pub(crate) fn remove(&mut self, node: NodeIdx, peer: NodeIdx, cost: u32) {
        if let Some(at) = self.find(node, peer, cost) {
            let span = &mut self.spans[node.index()];
            let last = span.range().end - 1;
            span.len -= 1;
            self.arcs.swap(at, last);
        }
    }

    fn find(&self, node: NodeIdx, peer: NodeIdx, cost: u32) -> Option<usize> {
        let range = self.spans[node.index()].range();
        range.into_iter().find(|&at| self.arcs[at].peer() == peer && self.arcs[at].cost == cost)
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
        let mut model = vec![Vec::<(u32, u32)>::new(); NODES as usize];
        (0..NODES).for_each(|_| adjacency.add_node());
        for step in 0..20_000_u32 {
            let node = u32::try_from(rng.below(u64::from(NODES))).unwrap();
            let edges = &mut model[node as usize];
            // Each node grows to some size, then shrinks to nothing, and so on.
            if (step / 700 + node).is_multiple_of(2) {
                let peer = u32::try_from(rng.below(5)).unwrap();
                let cost = u32::try_from(rng.below(3)).unwrap();
                adjacency.insert(NodeIdx(node), Arc::new(NodeIdx(peer), NodeKind::Router, 9));
                adjacency.set_cost(NodeIdx(node), NodeIdx(peer), 9, cost);
                edges.push((peer, cost));
            } else if !edges.is_empty() {
                let at = usize::try_from(rng.below(edges.len() as u64)).unwrap();
                let (peer, cost) = edges.swap_remove(at);
                adjacency.remove(NodeIdx(node), NodeIdx(peer), cost);
            }
        }
        for (node, edges) in (0..).map(NodeIdx).zip(&mut model) {
            let arcs = adjacency.arcs(node).iter();
            let mut found: Vec<_> = arcs.map(|arc| (arc.peer().0, arc.cost)).collect();
            found.sort_unstable();
            edges.sort_unstable();
            assert_eq!(&found, edges);
        }
    }
}
