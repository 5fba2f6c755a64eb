//! Full SPF on a grid with chords, beside petgraph's Dijkstra on the same graph.
//!
//! petgraph finds distances only. Ours finds all equal-cost first hops too, and what changed.

use std::hint::black_box;

use bugle_spf::{Edge, Graph, NodeKey, NodeKind, NodeUpdate, Spf};
use bugle_types::Rng;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};

criterion_group!(benches, full);
criterion_main!(benches);

fn full(c: &mut Criterion) {
    for (side, max_cost) in [(32, 100), (100, 100), (316, 100), (100, 1)] {
        let links = grid_with_chords(side, max_cost);
        let nodes = side * side;
        let name = format!("full/{nodes}-nodes-{}-arcs-cost-{max_cost}", 2 * links.len());
        let mut group = c.benchmark_group(name);

        let graph = ours(nodes, &links);
        let mut spf = Spf::new();
        group.bench_function("bugle", |b| b.iter(|| spf.run(black_box(&graph), NodeKey(0))));

        let graph = theirs(nodes, &links);
        group.bench_function("petgraph", |b| {
            b.iter(|| dijkstra(black_box(&graph), NodeIndex::new(0), None, |edge| *edge.weight()));
        });
        group.finish();
    }
    lan(c);
}

/// A root on a LAN with all others, each of which has its own link to the root of another LAN.
fn lan(c: &mut Criterion) {
    let mut group = c.benchmark_group("full");
    for routers in [10, 1000] {
        let graph = two_lans(routers);
        let mut spf = Spf::new();
        group.bench_function(BenchmarkId::new("two-lans", routers), |b| {
            b.iter(|| spf.run(black_box(&graph), NodeKey(0)));
        });
    }
    group.finish();
}

/// A link between two nodes, of equal cost in both directions.
type Link = (u32, u32, u32);

/// A square grid, with one chord between random nodes for every eight nodes, of random costs up to `max_cost`.
fn grid_with_chords(side: u32, max_cost: u32) -> Vec<Link> {
    let mut rng = Rng::new(1);
    let mut links = Vec::new();
    for node in 0..side * side {
        let east = (node % side + 1 < side).then_some(node + 1);
        let south = (node + side < side * side).then_some(node + side);
        let chord = (node % 8 == 0).then(|| below(&mut rng, side * side));
        for peer in [east, south, chord].into_iter().flatten() {
            links.push((node, peer, 1 + below(&mut rng, max_cost)));
        }
    }
    links
}

/// A random number below `bound`.
fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(0)
}

fn key(node: u32) -> NodeKey {
    NodeKey(u64::from(node))
}

fn ours(nodes: u32, links: &[Link]) -> Graph {
    let mut edges = vec![Vec::new(); nodes as usize];
    for (tag, &(a, b, cost)) in (0..).zip(links) {
        edges[a as usize].push(Edge { to: key(b), cost, tag });
        edges[b as usize].push(Edge { to: key(a), cost, tag });
    }
    let mut graph = Graph::new();
    for (key, edges) in (0..).map(NodeKey).zip(&edges) {
        graph.apply(NodeUpdate { key, kind: NodeKind::Router, no_transit: false, edges });
    }
    graph
}

fn theirs(nodes: u32, links: &[Link]) -> DiGraph<(), u32> {
    let mut graph = DiGraph::new();
    let of: Vec<_> = (0..nodes).map(|_| graph.add_node(())).collect();
    for &(a, b, cost) in links {
        graph.add_edge(of[a as usize], of[b as usize], cost);
        graph.add_edge(of[b as usize], of[a as usize], cost);
    }
    graph
}

/// `routers` routers, all on two LANs: the first is on one only, so that all the others are ways to the second.
fn two_lans(routers: u64) -> Graph {
    let lans = [NodeKey(1_000_000), NodeKey(1_000_001)];
    let mut graph = Graph::new();
    for router in 0..routers {
        let on = if router == 0 { &lans[..1] } else { &lans };
        let edges: Vec<_> = on.iter().map(|&to| Edge { to, cost: 10, tag: to.0 }).collect();
        let (key, kind) = (NodeKey(router), NodeKind::Router);
        graph.apply(NodeUpdate { key, kind, no_transit: false, edges: &edges });
    }
    for (key, first) in lans.into_iter().zip([0, 1]) {
        let edges: Vec<_> =
            (first..routers).map(|to| Edge { to: NodeKey(to), cost: 0, tag: 0 }).collect();
        let kind = NodeKind::Network;
        graph.apply(NodeUpdate { key, kind, no_transit: false, edges: &edges });
    }
    graph
}
