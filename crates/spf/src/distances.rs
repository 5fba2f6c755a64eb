//! Distances alone, from any node: a small calculation for the many trees that alternates are told by.

use crate::graph::{Graph, NodeIdx};
use crate::queue::Queue;
use crate::rank::Rank;
use crate::spf::is_crossed;

/// The distance of each node from where the calculation began, by index.
#[derive(Clone)]
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

    /// The distances from `start`, which may be overloaded, on paths that do not lead on from `closed`.
    pub(crate) fn grow(&mut self, graph: &Graph, start: NodeIdx, closed: NodeIdx) -> Distances {
        self.ranks.clear();
        self.ranks.resize(graph.slots(), Rank::UNREACHED);
        self.offer(start, Rank::root(graph.kind(start)));
        while let Some((rank, node)) = self.candidates.pop() {
            let crossed = is_crossed(graph, start, node) && node != closed;
            if !crossed || rank != self.ranks[node.index()] {
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
