//! Shortest paths on a grid with chords: a full run beside petgraph's Dijkstra on the same graph, and updates after changes of
//! several kinds. Afterwards a table gives what each takes of a full run, as medians of this run.
//!
//! petgraph finds distances only. Ours finds all equal-cost first hops too, and what changed.

#[path = "../tests/grid/mod.rs"]
mod grid;

use std::hint::black_box;
use std::time::Duration;

use bugle_spf::{Alternates, Edge, Graph, NodeKey, NodeKind, NodeUpdate, Spf};
use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use grid::{Link, Net, ROOT};
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = grids, lans
}
criterion_main!(benches);

fn grids(c: &mut Criterion) {
    let tables: Vec<_> =
        [(32, 100), (100, 100), (316, 100), (100, 1)].map(|(side, max)| grid(c, side, max)).into();
    tables.iter().for_each(Table::print);
}

/// A full run and updates on a grid.
fn grid(c: &mut Criterion, side: u32, max_cost: u32) -> Table {
    let mut net = Net::new(side, max_cost);
    let title =
        format!("{} nodes, {} arcs, costs up to {max_cost}", net.graph.len(), 2 * net.links.len());
    let mut group = c.benchmark_group(format!("grid/{}-nodes-cost-{max_cost}", net.graph.len()));
    let mut table = Table { title, rows: Vec::new() };

    let mut spf = Spf::new();
    let visited = spf.run(&net.graph, ROOT).nodes_visited;
    table.row(&mut group, "full run", || (timed(|| spf.run(black_box(&net.graph), ROOT)), visited));
    let theirs = petgraph(&net);
    table.row(&mut group, "petgraph's dijkstra", || {
        let all = || dijkstra(black_box(&theirs), NodeIndex::new(0), None, |edge| *edge.weight());
        (timed(all), visited)
    });

    let cases = [
        ("far leaf", vec![net.leaf_link()]),
        ("core link", vec![net.core_link(&spf)]),
        ("link of the root", vec![net.root_link(&spf)]),
        ("100 links", net.any_links(100)),
    ];
    for (name, links) in cases {
        let mut raise = true;
        table.row(&mut group, name, || {
            for &link in &links {
                net.advertise(link, raise);
            }
            raise = !raise;
            let mut visited = 0;
            let took = timed(|| visited = spf.update(black_box(&net.graph), ROOT).nodes_visited);
            (took, visited)
        });
        // What the next case starts from.
        for &link in &links {
            net.advertise(link, false);
        }
        spf.update(&net.graph, ROOT);
    }
    let mut alternates = Alternates::new();
    table.row(&mut group, "trees of alternates", || {
        (timed(|| net.find_trees(black_box(&mut alternates))), visited)
    });
    table.row(&mut group, "alternate of every node", || {
        (timed(|| net.protected(&spf, black_box(&alternates))), visited)
    });
    group.finish();
    table
}

/// A root on a LAN with all others, each of which has its own link to the root of another LAN.
fn lans(c: &mut Criterion) {
    let mut group = c.benchmark_group("two-lans");
    for routers in [10, 1000] {
        let graph = two_lans(routers);
        let mut spf = Spf::new();
        group.bench_function(BenchmarkId::new("full run", routers), |b| {
            b.iter(|| spf.run(black_box(&graph), ROOT));
        });
    }
    group.finish();
}

/// What was measured on one graph: the full run first.
struct Table {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    median: Duration,
    /// How many nodes a run looked at, on average.
    visited: usize,
}

impl Table {
    /// Measures one thing: `once` says how long it took and how many nodes it looked at.
    fn row(
        &mut self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &'static str,
        mut once: impl FnMut() -> (Duration, usize),
    ) {
        let mut samples = Vec::new();
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let first = samples.len();
                samples.extend((0..times).map(|_| once()));
                samples[first..].iter().map(|sample| sample.0).sum()
            });
        });
        samples.sort_unstable();
        let Some(&(median, _)) = samples.get(samples.len() / 2) else { return };
        let visited = samples.iter().map(|sample| sample.1).sum::<usize>() / samples.len();
        self.rows.push(Row { name, median, visited });
    }

    #[expect(clippy::print_stdout, reason = "this is what one runs it for")]
    fn print(&self) {
        println!("\n{}", self.title);
        let Some(full) = self.rows.first() else { return };
        for Row { name, median, visited } in &self.rows {
            let percent = 100.0 * median.as_secs_f64() / full.median.as_secs_f64();
            println!("  {name:<20} {median:>10.1?} {percent:>8.2} %  {visited:>6} nodes");
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = WallTime.start();
    black_box(work());
    WallTime.end(start)
}

fn petgraph(net: &Net) -> DiGraph<(), u32> {
    let mut graph = DiGraph::new();
    let of: Vec<_> = (0..net.graph.len()).map(|_| graph.add_node(())).collect();
    for &Link { ends: [a, b], cost } in &net.links {
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
        let edges: Vec<_> = (0..).zip(on).map(|(tag, &to)| Edge { to, cost: 10, tag }).collect();
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
