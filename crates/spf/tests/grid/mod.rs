//! The network that is measured.

use bugle_spf::{
    AlternateRules, Alternates, Attachment, Edge, Graph, NodeIdx, NodeKey, NodeKind, NodeUpdate,
    Spf,
};
use bugle_types::Rng;

/// Whose paths are calculated.
pub(crate) const ROOT: NodeKey = NodeKey(0);

/// A link between two nodes, of equal cost in both directions.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    pub(crate) ends: [u32; 2],
    pub(crate) cost: u32,
}

/// A square grid, with one chord between random nodes for every eight nodes, of random costs; the root in one corner, and
/// behind the opposite one, at the end of the last link, a leaf.
pub(crate) struct Net {
    side: u32,
    pub(crate) links: Vec<Link>,
    edges: Vec<Vec<Edge>>,
    pub(crate) graph: Graph,
}

impl Net {
    pub(crate) fn new(side: u32, max_cost: u32) -> Self {
        let mut rng = Rng::new(1);
        let squares = side * side;
        let mut links = Vec::new();
        for node in 0..squares {
            let east = (node % side + 1 < side).then_some(node + 1);
            let south = (node + side < squares).then_some(node + side);
            let chord = (node % 8 == 0).then(|| below(&mut rng, squares));
            for peer in [east, south, chord].into_iter().flatten() {
                links.push(Link { ends: [node, peer], cost: 1 + below(&mut rng, max_cost) });
            }
        }
        links.push(Link { ends: [squares - 1, squares], cost: 10 });

        let mut edges = vec![Vec::new(); squares as usize + 1];
        for (tag, Link { ends: [a, b], cost }) in (0..).zip(&links) {
            edges[*a as usize].push(Edge { to: key(*b), cost: *cost, tag });
            edges[*b as usize].push(Edge { to: key(*a), cost: *cost, tag });
        }
        let mut net = Self { side, links, edges, graph: Graph::new() };
        for node in 0..=squares {
            net.apply(node);
        }
        net
    }

    fn apply(&mut self, node: u32) {
        let edges = &self.edges[node as usize];
        let (key, kind) = (key(node), NodeKind::Router);
        self.graph.apply(NodeUpdate { key, kind, no_transit: false, edges });
    }

    /// Both ends of a link advertise it at its cost, or at a higher one.
    pub(crate) fn advertise(&mut self, link: usize, raise: bool) {
        let Link { ends, cost } = self.links[link];
        for end in ends {
            for edge in &mut self.edges[end as usize] {
                if edge.tag as usize == link {
                    edge.cost = if raise { cost + 1000 } else { cost };
                }
            }
            self.apply(end);
        }
    }

    /// Calculates what alternates are told by.
    pub(crate) fn find_trees(&self, alternates: &mut Alternates) {
        let rules = AlternateRules { advertised_cost: None, max_cost: u32::MAX };
        alternates.start(&self.graph, ROOT, rules, |_| true);
        while alternates.step(&self.graph) > 0 {}
    }

    /// How many nodes have an alternate.
    pub(crate) fn protected(&self, spf: &Spf, alternates: &Alternates) -> usize {
        let all = (0..=self.side * self.side).filter_map(|node| self.graph.node(key(node)));
        let protected = |&node: &NodeIdx| {
            let lost = spf.first_hops(spf.nexthops(node));
            alternates.best(&self.graph, spf, &[Attachment { node, cost: 0 }], lost).is_some()
        };
        all.filter(protected).count()
    }

    /// The link to the leaf.
    pub(crate) fn leaf_link(&self) -> usize {
        self.links.len() - 1
    }

    /// The link at least half-way to the farthest node that leads to the most nodes.
    pub(crate) fn core_link(&self, spf: &Spf) -> usize {
        let farthest =
            (0..=self.side * self.side).filter_map(|node| self.distance(spf, node)).max();
        self.busiest_link(spf, |near| 2 * near >= farthest.unwrap_or(0))
    }

    /// The link of the root that leads to the most nodes.
    pub(crate) fn root_link(&self, spf: &Spf) -> usize {
        self.busiest_link(spf, |near| near == 0)
    }

    /// Of the links whose nearer end is at a distance that will do, the one that leads to the most nodes in a tree of
    /// shortest paths.
    fn busiest_link(&self, spf: &Spf, will_do: impl Fn(u32) -> bool) -> usize {
        let mut parents = vec![None; self.edges.len()];
        for (at, &Link { ends: [a, b], cost }) in self.links.iter().enumerate() {
            for (from, to) in [(a, b), (b, a)] {
                if let (Some(near), Some(far)) = (self.distance(spf, from), self.distance(spf, to))
                    && near + cost == far
                {
                    parents[to as usize] = Some((near, from, at));
                }
            }
        }
        let mut farthest_first: Vec<_> = (0..=self.side * self.side).collect();
        farthest_first.sort_unstable_by_key(|&node| std::cmp::Reverse(self.distance(spf, node)));
        let mut nodes_behind = vec![1_u32; self.edges.len()];
        let mut busiest = (0, 0);
        for node in farthest_first {
            let Some((near, parent, link)) = parents[node as usize] else { continue };
            let behind = nodes_behind[node as usize];
            nodes_behind[parent as usize] += behind;
            if will_do(near) {
                busiest = busiest.max((behind, link));
            }
        }
        busiest.1
    }

    fn distance(&self, spf: &Spf, node: u32) -> Option<u32> {
        spf.distance(self.graph.node(key(node))?)
    }

    /// Random links.
    pub(crate) fn any_links(&self, many: usize) -> Vec<usize> {
        let mut rng = Rng::new(2);
        let all = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        (0..many).map(|_| below(&mut rng, all) as usize).collect()
    }
}

/// A random number below `bound`.
fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(0)
}

fn key(node: u32) -> NodeKey {
    NodeKey(u64::from(node))
}
