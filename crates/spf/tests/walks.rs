//! On graphs of hundreds of nodes, walked for as long as one likes, updates agree with full runs.
//!
//! `PROPTEST_CASES` sets how many walks there are.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use bugle_spf::{Edge, FirstHop, Graph, NodeIdx, NodeKey, NodeKind, Spf, SpfKind, SpfRun};
use bugle_types::Rng;
use oracle::{Advertisement, Topology};
use proptest::prelude::*;

/// A network whose shape and changes are drawn from a seed.
struct Walk {
    rng: Rng,
    routers: u64,
    networks: u64,
    max_cost: u32,
    topology: Topology,
    graph: Graph,
    /// The nodes that the graph does not know the latest of.
    stale: BTreeSet<NodeKey>,
}

const ROOT: NodeKey = NodeKey(0);

impl Walk {
    fn new(seed: u64, routers: u64, networks: u64, max_cost: u32) -> Self {
        let mut walk = Self {
            rng: Rng::new(seed),
            routers,
            networks,
            max_cost,
            topology: Topology::default(),
            graph: Graph::new(),
            stale: BTreeSet::new(),
        };
        for router in (0..routers).map(NodeKey) {
            // A tree, lest most of it be out of reach.
            let peer = NodeKey(walk.rng.below(router.0.max(1)));
            walk.connect(router, peer);
        }
        for _ in 0..2 * (routers + networks) {
            walk.connect_any();
        }
        walk
    }

    /// Changes the topology in one way.
    fn step(&mut self) {
        match self.rng.below(100) {
            0..45 => self.connect_any(),
            45..85 => {
                let from = self.any();
                let Some(node) = self.topology.0.get_mut(&from) else { return };
                if !node.edges.is_empty() {
                    let edges = u32::try_from(node.edges.len()).unwrap_or(u32::MAX);
                    node.edges.swap_remove(below(&mut self.rng, edges) as usize);
                }
                self.stale.insert(from);
            }
            85..95 => {
                let key = self.any();
                if let Some(node) = self.topology.0.get_mut(&key) {
                    node.no_transit = !node.no_transit && self.rng.below(2) == 0;
                }
                self.stale.insert(key);
            }
            95..97 => {
                let key = self.any();
                if key != ROOT {
                    self.topology.0.remove(&key);
                }
                self.stale.insert(key);
            }
            // What a router says of itself goes and comes back.
            97..99 => {
                let key = self.any();
                self.graph.remove(key);
                self.stale.insert(key);
            }
            _ => {
                for key in (self.routers..self.routers + self.networks).map(NodeKey) {
                    let router = self.any_router();
                    self.connect(router, key);
                }
            }
        }
    }

    fn connect_any(&mut self) {
        let (a, b) = (self.any_router(), self.any());
        self.connect(a, b);
    }

    fn connect(&mut self, a: NodeKey, b: NodeKey) {
        let tag = u32::from(self.rng.below(20) == 19);
        for (from, to) in [(a, b), (b, a)] {
            let kind = if from.0 < self.routers { NodeKind::Router } else { NodeKind::Network };
            let free = kind == NodeKind::Network || self.rng.below(50) == 0;
            let cost = if free { 0 } else { 1 + below(&mut self.rng, self.max_cost) };
            let new = || Advertisement { kind, no_transit: false, edges: Vec::new() };
            let node = self.topology.0.entry(from).or_insert_with(new);
            node.edges.retain(|edge| (edge.to, edge.tag) != (to, tag));
            node.edges.push(Edge { to, cost, tag });
            self.stale.insert(from);
        }
    }

    fn any(&mut self) -> NodeKey {
        NodeKey(self.rng.below(self.routers + self.networks))
    }

    fn any_router(&mut self) -> NodeKey {
        NodeKey(self.rng.below(self.routers))
    }

    /// Tells the graph of all that it does not know yet.
    fn publish(&mut self) {
        for key in std::mem::take(&mut self.stale) {
            match self.topology.0.get(&key) {
                Some(node) => self.graph.apply(node.update(key)),
                None => self.graph.remove(key),
            };
        }
    }

    /// The distance and first hops of every node that can be reached.
    fn routes(&self, spf: &Spf) -> BTreeMap<NodeKey, (u32, BTreeSet<FirstHop>)> {
        let route = |&key: &NodeKey| {
            let node = self.graph.node(key)?;
            let hops = spf.first_hops(spf.nexthops(node));
            Some((key, (spf.distance(node)?, hops.iter().copied().collect())))
        };
        self.topology.0.keys().filter_map(route).collect()
    }
}

/// A random number below `bound`.
fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(bound.into())).unwrap_or(0)
}

/// What the last run changed, in order.
fn changed(spf: &Spf) -> Vec<(NodeKey, Option<NodeIdx>)> {
    let mut changed: Vec<_> =
        spf.changed().iter().map(|change| (change.key, change.node)).collect();
    changed.sort_unstable();
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_update_finds_what_a_full_run_finds(
        seed in any::<u64>(),
        routers in 2..150_u64,
        networks in 0..20_u64,
        max_cost in prop::sample::select(vec![1, 3, 1000]),
        // Of the number of changes between two updates.
        max_batch in prop_oneof![5 => 1..4_u64, 1 => 1..100_u64],
    ) {
        let mut walk = Walk::new(seed, routers, networks, max_cost);
        let (mut full, mut updated) = (Spf::new(), Spf::new());
        for _ in 0..50 {
            walk.publish();
            let run = full.run(&walk.graph, ROOT);
            let update = updated.update(&walk.graph, ROOT);
            prop_assert_eq!(update.nodes_changed, run.nodes_changed);
            if update.kind != SpfKind::Incremental {
                prop_assert_eq!(SpfRun { kind: SpfKind::Full, ..update }, run);
            }
            prop_assert_eq!(changed(&updated), changed(&full));
            prop_assert_eq!(walk.routes(&updated), walk.routes(&full));
            for _ in 0..=walk.rng.below(max_batch) {
                walk.step();
            }
        }
        walk.publish();
        updated.update(&walk.graph, ROOT);
        prop_assert_eq!(walk.routes(&updated), walk.topology.routes(ROOT));
    }
}

/// Without this, the property above could hold of full runs only.
#[test]
fn most_single_changes_are_followed() {
    let mut walk = Walk::new(1, 100, 10, 3);
    let mut spf = Spf::new();
    let mut visited = 0;
    for _ in 0..1000 {
        walk.publish();
        let run = spf.update(&walk.graph, ROOT);
        if run.kind == SpfKind::Incremental {
            visited += run.nodes_visited;
        }
        walk.step();
    }
    let counts = spf.counts();
    assert_eq!((counts.full, counts.new_root, counts.many_changes), (0, 1, 0), "{counts:?}");
    assert!(counts.many_nodes < 100, "{counts:?}");
    assert!(visited < 15 * 1000, "{visited}");
}
