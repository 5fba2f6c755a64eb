//! Shortest paths by definition, without regard to speed: what the calculation must agree with.

use std::collections::{BTreeMap, BTreeSet};

use bugle_spf::{Edge, FirstHop, MAX_PATH, NodeKey, NodeKind, NodeUpdate};

/// What every node advertises.
#[derive(Clone, Default, Debug)]
pub(crate) struct Topology(pub(crate) BTreeMap<NodeKey, Advertisement>);

/// What one node advertises.
#[derive(Clone, Debug)]
pub(crate) struct Advertisement {
    pub(crate) kind: NodeKind,
    pub(crate) no_transit: bool,
    pub(crate) edges: Vec<Edge>,
}

impl Advertisement {
    pub(crate) fn update(&self, key: NodeKey) -> NodeUpdate<'_> {
        NodeUpdate { key, kind: self.kind, no_transit: self.no_transit, edges: &self.edges }
    }
}

/// A live edge: from, to, tag.
pub(crate) type EdgeName = (NodeKey, NodeKey, u32);

/// The distance and the first hops of a node that can be reached.
pub(crate) type Route = (u32, BTreeSet<FirstHop>);

/// A path's cost, then its number of zero-cost steps other than those from a network to a router.
type Weight = (u64, u64);

impl Topology {
    /// The live edges and their costs.
    pub(crate) fn live_edges(&self) -> BTreeMap<EdgeName, u32> {
        let mut live = BTreeMap::<EdgeName, u32>::new();
        for (&from, node) in &self.0 {
            for edge in &node.edges {
                let Some(peer) = self.0.get(&edge.to) else { continue };
                let networks = node.kind == NodeKind::Network && peer.kind == NodeKind::Network;
                let back = peer.edges.iter().any(|back| back.to == from);
                if from != edge.to && !networks && back {
                    let cost = live.entry((from, edge.to, edge.tag)).or_insert(edge.cost);
                    *cost = edge.cost.min(*cost);
                }
            }
        }
        live
    }

    /// The routes from `root` to all nodes that can be reached.
    pub(crate) fn routes(&self, root: NodeKey) -> BTreeMap<NodeKey, Route> {
        if !self.0.contains_key(&root) {
            return BTreeMap::new();
        }
        let usable: Vec<_> = self
            .live_edges()
            .into_iter()
            .filter(|((from, _, _), _)| *from == root || !self.0[from].no_transit)
            .collect();

        // Bellman-Ford.
        let mut best = BTreeMap::<NodeKey, Weight>::from([(root, (0, 0))]);
        repeat_until_stable(|| {
            let mut stable = true;
            for &((from, to, _), cost) in &usable {
                let Some(&weight) = best.get(&from) else { continue };
                let weight = self.lengthen(weight, from, to, cost);
                let better = best.get(&to).is_none_or(|&known| weight < known);
                if weight.0 <= u64::from(MAX_PATH) && better {
                    best.insert(to, weight);
                    stable = false;
                }
            }
            stable
        });

        // The first hops of all paths along which every step is on a shortest path.
        let mut hops = BTreeMap::<NodeKey, BTreeSet<FirstHop>>::new();
        repeat_until_stable(|| {
            let mut stable = true;
            for &((from, to, tag), cost) in &usable {
                let (Some(&near), Some(&far)) = (best.get(&from), best.get(&to)) else { continue };
                if self.lengthen(near, from, to, cost) != far {
                    continue;
                }
                let router = (self.0[&to].kind == NodeKind::Router).then_some(to);
                let passed_on: BTreeSet<_> = if from == root {
                    [FirstHop { link: tag, router }].into()
                } else {
                    let of_parent = hops.get(&from).cloned().unwrap_or_default();
                    let first = |hop: FirstHop| FirstHop { router: hop.router.or(router), ..hop };
                    of_parent.into_iter().map(first).collect()
                };
                let known = hops.entry(to).or_default();
                stable &= passed_on.is_subset(known);
                known.extend(passed_on);
            }
            stable
        });

        best.into_iter()
            .filter_map(|(key, (cost, _))| {
                let cost = u32::try_from(cost).ok()?;
                Some((key, (cost, hops.remove(&key).unwrap_or_default())))
            })
            .collect()
    }

    fn lengthen(&self, weight: Weight, from: NodeKey, to: NodeKey, cost: u32) -> Weight {
        let into_router =
            self.0[&from].kind == NodeKind::Network && self.0[&to].kind == NodeKind::Router;
        (weight.0 + u64::from(cost), weight.1 + u64::from(cost == 0 && !into_router))
    }
}

fn repeat_until_stable(mut round: impl FnMut() -> bool) {
    while !round() {}
}
