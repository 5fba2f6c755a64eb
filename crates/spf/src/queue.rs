//! The candidate list (RFC 2328 section 16.1).

use crate::graph::NodeIdx;
use crate::rank::Rank;

/// A radix heap: a priority queue for ranks that never fall below the last one popped, as Dijkstra's algorithm has them.
///
/// A candidate waits in the bucket numbered by the highest bit in which its rank differs from the last one popped; the
/// lowest bucket in use holds the smallest ranks. A pop spreads that bucket over lower ones. On the benchmark's graphs SPF
/// takes about 0.6 of the time it takes with a binary or a 4-ary heap. There is no decrease-key: who pops checks that the
/// rank is still the node's.
#[derive(Clone)]
pub(crate) struct Queue {
    buckets: [Vec<(Rank, NodeIdx)>; BUCKETS],
    /// The buckets that are not empty, as bits.
    occupied: u64,
    /// The last rank popped; zero if none since the queue was empty.
    last: u64,
}

/// One for each bit of a rank that can differ, and one for equal ranks: the highest bit is zero up to [`Rank::UNREACHED`].
const BUCKETS: usize = 64;

impl Queue {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self { buckets: std::array::from_fn(|_| Vec::new()), occupied: 0, last: 0 }
    }

    /// Adds a candidate. Its rank is below [`Rank::UNREACHED`], and not below the last one popped since the queue was empty.
    #[inline]
    pub(crate) fn push(&mut self, rank: Rank, node: NodeIdx) {
        let bucket = (u64::BITS - (rank.bits() ^ self.last).leading_zeros()) as usize;
        self.buckets[bucket].push((rank, node));
        self.occupied |= 1 << bucket;
    }

    /// Takes a candidate of the smallest rank.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Rank, NodeIdx)> {
        match self.occupied.trailing_zeros() as usize {
            0 => {}
            BUCKETS => {
                self.last = 0;
                return None;
            }
            lowest => self.spread(lowest),
        }
        let popped = self.buckets[0].pop();
        if self.buckets[0].is_empty() {
            self.occupied &= !1;
        }
        popped
    }

    /// Drops all candidates.
    pub(crate) fn clear(&mut self) {
        self.buckets.iter_mut().for_each(Vec::clear);
        self.occupied = 0;
        self.last = 0;
    }

    /// Moves the candidates in `bucket`, the lowest in use, to lower ones: those of the smallest rank to the lowest of all.
    fn spread(&mut self, bucket: usize) {
        let mut candidates = std::mem::take(&mut self.buckets[bucket]);
        self.occupied &= !(1 << bucket);
        self.last = candidates.iter().map(|(rank, _)| rank.bits()).min().unwrap_or(self.last);
        for (rank, node) in candidates.drain(..) {
            self.push(rank, node);
        }
        self.buckets[bucket] = candidates;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bugle_types::Rng;

    use super::*;
    use crate::graph::NodeKind;

    #[test]
    fn candidates_come_out_in_the_order_of_their_ranks() {
        let mut rng = Rng::new(1);
        let mut queue = Queue::new();
        for max_cost in [1, 3, 100, u64::from(u32::MAX)] {
            let mut model = BTreeSet::new();
            let mut last = Rank::root(NodeKind::Router);
            for node in (0..5000).map(NodeIdx) {
                let cost = u32::try_from(rng.below(max_cost)).unwrap();
                let kind = [NodeKind::Router, NodeKind::Network][usize::from(rng.below(2) == 0)];
                let rank = last.step(cost, kind);
                if rank < Rank::UNREACHED {
                    queue.push(rank, node);
                    model.insert((rank, node));
                }
                if node.0 > 100
                    && rng.below(3) == 0
                    && let Some(popped) = queue.pop()
                {
                    assert_eq!(Some(popped.0), model.first().map(|least| least.0));
                    assert!(model.remove(&popped));
                    last = popped.0;
                }
            }
            while let Some(popped) = queue.pop() {
                assert_eq!(Some(popped.0), model.first().map(|least| least.0));
                assert!(model.remove(&popped));
            }
            assert!(model.is_empty());
        }
    }
}
