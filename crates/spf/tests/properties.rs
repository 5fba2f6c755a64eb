//! Whatever happens to a graph, the calculation agrees with the oracle.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use bugle_spf::{Edge, Graph, MAX_PATH, NodeKey, NodeKind, Spf};
use oracle::{Advertisement, EdgeName, Route, Topology};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A link, of the cost it has in each direction.
    Connect { a: NodeKey, b: NodeKey, tag: u32, costs: (u32, u32) },
    /// One node no longer advertises its links to another.
    Forget { from: NodeKey, to: NodeKey },
    /// A node replaces all its edges.
    Replace { node: NodeKey, edges: Vec<Edge> },
    /// A node's overload bit changes.
    Overload { node: NodeKey },
    /// A router becomes a network or the reverse.
    Turn { node: NodeKey },
    /// A node goes.
    Remove { node: NodeKey },
}

/// Keys below this are routers, at first.
const NETWORKS: u64 = 8;

fn key() -> impl Strategy<Value = NodeKey> {
    (0..NETWORKS + 4).prop_map(NodeKey)
}

fn cost() -> impl Strategy<Value = u32> {
    prop_oneof![
        12 => 1..4_u32,
        3 => Just(0),
        3 => 1..1000_u32,
        1 => prop::sample::select(vec![65_535, MAX_PATH - 1, MAX_PATH, MAX_PATH + 1, u32::MAX]),
    ]
}

fn edge() -> impl Strategy<Value = Edge> {
    (key(), cost(), 0..3_u32).prop_map(|(to, cost, tag)| Edge { to, cost, tag })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (key(), key(), 0..3_u32, (cost(), cost()))
            .prop_map(|(a, b, tag, costs)| Step::Connect { a, b, tag, costs }),
        3 => (key(), key()).prop_map(|(from, to)| Step::Forget { from, to }),
        1 => (key(), prop::collection::vec(edge(), 0..8))
            .prop_map(|(node, edges)| Step::Replace { node, edges }),
        2 => key().prop_map(|node| Step::Overload { node }),
        1 => key().prop_map(|node| Step::Turn { node }),
        2 => key().prop_map(|node| Step::Remove { node }),
    ]
}

/// Does `step` to the topology, and returns the nodes whose advertisements it may have changed.
fn perform(topology: &mut Topology, step: &Step) -> Vec<NodeKey> {
    match step {
        &Step::Connect { a, b, tag, costs } => {
            for (from, to, cost) in [(a, b, costs.0), (b, a, costs.1)] {
                let node = topology.0.entry(from).or_insert_with(|| new_node(from));
                // A network gives no cost, most of the time.
                let free = node.kind == NodeKind::Network && cost < 100;
                let cost = if free { 0 } else { cost };
                node.edges.retain(|edge| (edge.to, edge.tag) != (to, tag));
                node.edges.push(Edge { to, cost, tag });
            }
            vec![a, b]
        }
        Step::Forget { from, to } => {
            if let Some(node) = topology.0.get_mut(from) {
                node.edges.retain(|edge| edge.to != *to);
            }
            vec![*from]
        }
        Step::Replace { node, edges } => {
            topology.0.entry(*node).or_insert_with(|| new_node(*node)).edges.clone_from(edges);
            vec![*node]
        }
        Step::Overload { node } => {
            if let Some(node) = topology.0.get_mut(node) {
                node.no_transit = !node.no_transit;
            }
            vec![*node]
        }
        Step::Turn { node } => {
            if let Some(node) = topology.0.get_mut(node) {
                node.kind = match node.kind {
                    NodeKind::Router => NodeKind::Network,
                    NodeKind::Network => NodeKind::Router,
                };
            }
            vec![*node]
        }
        Step::Remove { node } => {
            topology.0.remove(node);
            vec![*node]
        }
    }
}

fn new_node(key: NodeKey) -> Advertisement {
    let kind = if key.0 < NETWORKS { NodeKind::Router } else { NodeKind::Network };
    Advertisement { kind, no_transit: false, edges: Vec::new() }
}

/// The graph under test, and the live edges according to the changes it has reported.
#[derive(Default)]
struct Observed {
    graph: Graph,
    live: BTreeMap<EdgeName, u32>,
}

impl Observed {
    /// Tells the graph what `node` advertises now; returns whether it reports a change.
    fn update(&mut self, topology: &Topology, node: NodeKey) -> bool {
        let changes = match topology.0.get(&node) {
            Some(advertisement) => self.graph.apply(advertisement.update(node)),
            None => self.graph.remove(node),
        };
        for change in &changes {
            let name = (change.from, change.to, change.tag);
            let known = match change.new {
                Some(cost) => self.live.insert(name, cost),
                None => self.live.remove(&name),
            };
            assert_eq!(known, change.old, "{change:?}");
        }
        !changes.is_empty()
    }
}

fn routes(
    graph: &Graph,
    spf: &Spf,
    keys: impl IntoIterator<Item = NodeKey>,
) -> BTreeMap<NodeKey, Route> {
    let mut routes = BTreeMap::new();
    for key in keys {
        let Some(node) = graph.node(key) else { continue };
        assert_eq!(graph.key(node), Some(key));
        let hops = spf.first_hops(spf.nexthops(node));
        assert!(hops.is_sorted_by(|a, b| a < b), "{hops:?}");
        match spf.distance(node) {
            Some(distance) => {
                routes.insert(key, (distance, hops.iter().copied().collect()));
            }
            None => assert_eq!(hops, []),
        }
    }
    routes
}

fn all_keys() -> impl Iterator<Item = NodeKey> {
    (0..NETWORKS + 4).map(NodeKey)
}

proptest! {
    #![proptest_config(ProptestConfig {
        // PROPTEST_CASES sets how many there are.
        cases: 4 * ProptestConfig::default().cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn after_every_step_both_calculations_find_the_routes_of_the_oracle(
        steps in prop::collection::vec(step(), 1..60),
        batches in prop::collection::vec(prop_oneof![4 => 1..4_usize, 1 => 1..100_usize], 60),
        root in key(),
    ) {
        let mut topology = Topology::default();
        let mut observed = Observed::default();
        let (mut full, mut updated) = (Spf::new(), Spf::new());
        let mut before = BTreeMap::new();
        let mut steps = steps.into_iter().peekable();
        for batch in batches {
            if steps.peek().is_none() {
                break;
            }
            let mut edges_changed = false;
            for step in steps.by_ref().take(batch) {
                for node in perform(&mut topology, &step) {
                    edges_changed |= observed.update(&topology, node);
                }
            }
            prop_assert_eq!(&observed.live, &topology.live_edges());
            prop_assert_eq!(observed.graph.len(), topology.0.len());

            let run = full.run(&observed.graph, root);
            let update = updated.update(&observed.graph, root);
            let expected = topology.routes(root);
            prop_assert_eq!(&routes(&observed.graph, &full, all_keys()), &expected);
            prop_assert_eq!(&routes(&observed.graph, &updated, all_keys()), &expected);
            prop_assert_eq!(run.nodes_visited, expected.len());

            let differing: BTreeSet<_> =
                all_keys().filter(|key| before.get(key) != expected.get(key)).collect();
            for (run, spf) in [(run, &full), (update, &updated)] {
                let changed: BTreeSet<_> = spf.changed().iter().map(|change| change.key).collect();
                prop_assert_eq!(&changed, &differing);
                prop_assert_eq!(run.nodes_changed, differing.len());
                prop_assert_eq!(spf.changed().len(), differing.len(), "each once");
                for change in spf.changed() {
                    prop_assert_eq!(change.node, observed.graph.node(change.key));
                }
            }
            // Only the root itself can come or go without an edge.
            prop_assert!(edges_changed || differing.iter().all(|&key| key == root));
            before = expected;
        }
    }

    #[test]
    fn the_order_of_construction_does_not_matter(
        steps in prop::collection::vec(step(), 1..60),
        order in Just((0..NETWORKS + 4).map(NodeKey).collect::<Vec<_>>()).prop_shuffle(),
        root in key(),
    ) {
        let mut topology = Topology::default();
        let mut grown = Observed::default();
        for step in &steps {
            for node in perform(&mut topology, step) {
                grown.update(&topology, node);
            }
        }
        let mut built = Observed::default();
        for &key in &order {
            built.update(&topology, key);
        }
        let (mut of_grown, mut of_built) = (Spf::new(), Spf::new());
        of_grown.run(&grown.graph, root);
        of_built.run(&built.graph, root);
        prop_assert_eq!(
            routes(&grown.graph, &of_grown, all_keys()),
            routes(&built.graph, &of_built, all_keys())
        );
    }
}
