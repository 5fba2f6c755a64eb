//! The candidate list.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::NodeIdx;
use crate::rank::Rank;

#[derive(Clone, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Rank, NodeIdx)>>,
}

impl Queue {
    pub(crate) fn push(&mut self, rank: Rank, node: NodeIdx) {
        self.heap.push(Reverse((rank, node)));
    }
    pub(crate) fn pop(&mut self) -> Option<(Rank, NodeIdx)> {
        self.heap.pop().map(|Reverse(x)| x)
    }
}
