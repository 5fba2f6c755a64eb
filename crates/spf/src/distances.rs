//! Distances alone, from any node: a small calculation for the many trees that alternates are told by.

use crate::graph::{Graph, NodeIdx};
use crate::queue::Queue;
use crate::rank::Rank;

/// The distance of each node from where the calculation began, by index.
#[derive(Clone, Default)]
pub(crate) struct Distances(Box<[u32]>);

impl Distances {
    /// The distance of `node`; `None` if no path leads there.
    pub(crate) fn to(&self, node: NodeIdx) -> Option<u32> {
        self.0.get(node.index()).copied().filter(|&distance| distance != FAR)
    }
}

const FAR: u32 = u32::MAX;

/// The memory of a calculation, kept for the next.
#[derive(Clone)]
pub(crate) struct Growth {
    ranks: Vec<Rank>,
    candidates: Queue,
}

impl Growth {
    pub(crate) fn new() -> Self {
        Self { ranks: Vec::new(), candidates: Queue::new() }
    }

    /// The distances from `start`, on paths that do not lead on from `closed`. `first_step` says what an edge out of `start`
    /// costs, by its tag and what the graph has for it; `None`: it is not there.
    pub(crate) fn grow(
        &mut self,
        graph: &Graph,
        start: NodeIdx,
        closed: Option<NodeIdx>,
        first_step: impl Fn(u64, u32) -> Option<u32>,
    ) -> Distances {
        self.ranks.clear();
        self.ranks.resize(graph.slots(), Rank::UNREACHED);
        let rank = Rank::root(graph.kind(start));
        self.ranks[start.index()] = rank;
        for (arc, &tag) in graph.out_of().arcs(start).iter().zip(graph.out_of().tags(start)) {
            if let Some(cost) = first_step(tag, arc.cost) {
                self.offer(arc.peer(), rank.step(cost, arc.kind()));
            }
        }
        while let Some((rank, node)) = self.candidates.pop() {
            let passed =
                rank == self.ranks[node.index()] && !graph.no_transit(node) && closed != Some(node);
            if !passed {
                continue;
            }
            for arc in graph.out_of().arcs(node) {
                self.offer(arc.peer(), rank.step(arc.cost, arc.kind()));
            }
        }
        Distances(self.ranks.iter().map(|rank| rank.distance().unwrap_or(FAR)).collect())
    }

    fn offer(&mut self, node: NodeIdx, rank: Rank) {
        let known = &mut self.ranks[node.index()];
        if rank < *known {
            *known = rank;
            self.candidates.push(rank, node);
        }
    }
}
