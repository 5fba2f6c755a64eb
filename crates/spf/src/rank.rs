//! The order in which nodes join the shortest-path tree.

use crate::graph::NodeKind;

/// The cost of the longest path that counts. A node that no cheaper path reaches is unreachable.
///
/// This is `MAX_PATH_METRIC` of RFC 5305 section 3.4. OSPF states no limit for paths within an area, and costs of 16 bits
/// do not come near this one.
pub const MAX_PATH: u32 = 0xFE00_0000;

/// A node's place in the order: by distance; then by the number of zero-cost steps out of routers at that distance; then
/// networks before routers (RFC 2328 section 16.1 (3)).
///
/// Every step raises the rank, even one that costs nothing. So when a node joins the tree, all its parents have, and the set
/// of paths of lowest rank has no cycle. The only links without cost that the protocols need, from a network to its routers,
/// do not count as steps, so every equal-cost path that RFC 2328 demands is found. Elsewhere (an IS-IS metric of 0) the
/// paths with fewer free steps are preferred, which keeps two routers joined by a free link from sending packets to each
/// other, and makes the result depend on the topology alone.
///
/// Distance in the upper 33 bits, room for the sum of two 32-bit costs; free steps in the next 30; the lowest bit is set
/// for a router.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank(u64);

const ROUTER: u64 = 1;
const FREE_STEP: u64 = 2;
const COST_SHIFT: u32 = 31;

impl Rank {
    /// The rank of a node that is not reached; larger than that of any node that is.
    pub(crate) const UNREACHED: Self = Self((MAX_PATH as u64 + 1) << COST_SHIFT);

    /// The rank of the root.
    pub(crate) fn root(kind: NodeKind) -> Self {
        Self(u64::from(kind == NodeKind::Router))
    }

    /// The rank of a node of kind `kind`, reached from this one over an edge of cost `cost`.
    pub(crate) fn step(self, cost: u32, kind: NodeKind) -> Self {
        let free = if cost == 0 { (self.0 & ROUTER) * FREE_STEP } else { 0 };
        let router = u64::from(kind == NodeKind::Router);
        Self((self.0 & !ROUTER) + (u64::from(cost) << COST_SHIFT) + free + router)
    }

    /// Whether this is the rank of a router.
    pub(crate) fn is_router(self) -> bool {
        self.0 & ROUTER != 0
    }

    /// The distance from the root; `None` if the node is not reached.
    pub(crate) fn distance(self) -> Option<u32> {
        if self >= Self::UNREACHED {
            return None;
        }
        u32::try_from(self.0 >> COST_SHIFT).ok()
    }

    /// The rank as a number, in the same order.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::NodeKind::{Network, Router};
    use super::*;

    #[test]
    fn a_network_precedes_a_router_at_the_same_distance() {
        let root = Rank::root(Router);
        assert!(root.step(5, Network) < root.step(5, Router));
        assert!(root.step(5, Router) < root.step(6, Network));
    }

    #[test]
    fn every_step_raises_the_rank() {
        for from in [Rank::root(Router), Rank::root(Router).step(7, Network)] {
            for (cost, kind) in [(0, Router), (1, Router), (1, Network), (u32::MAX, Router)] {
                assert!(from.step(cost, kind) > from, "{from:?} {cost} {kind:?}");
            }
        }
        assert!(Rank::root(Router).step(0, Network) > Rank::root(Router));
    }

    #[test]
    fn a_network_reaches_its_routers_on_a_par_with_a_direct_link() {
        let root = Rank::root(Router);
        assert_eq!(root.step(5, Network).step(0, Router), root.step(5, Router));
    }

    #[test]
    fn a_free_step_out_of_a_router_ranks_behind_a_path_without_one() {
        let root = Rank::root(Router);
        assert!(root.step(5, Router).step(0, Router) > root.step(5, Router));
        assert_eq!(root.step(5, Router).step(0, Router).distance(), Some(5));
    }

    #[test]
    fn a_path_longer_than_the_maximum_does_not_reach() {
        let root = Rank::root(Router);
        assert_eq!(root.step(MAX_PATH, Router).distance(), Some(MAX_PATH));
        assert_eq!(root.step(MAX_PATH, Router).step(1, Network).distance(), None);
        assert_eq!(root.step(MAX_PATH, Router).step(u32::MAX, Router).distance(), None);
    }
}
