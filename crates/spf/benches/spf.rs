//! Shortest paths on a grid with chords: a full run beside petgraph's Dijkstra on the same graph, and updates after changes of
//! several kinds. Afterwards a table gives what each takes of a full run, as medians of this run.
//!
//! petgraph finds distances only. Ours finds all equal-cost first hops too, and what changed.

use std::hint::black_box;
use std::time::Duration;

use bugle_spf::{Edge, Graph, NodeKey, NodeKind, NodeUpdate, Spf};
use bugle_types::Rng;
use criterion::measurement::{Measurement, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
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

const ROOT: NodeKey = NodeKey(0);

fn grids(c: &mut Criterion) {
    let tables: Vec<_> =
        [(32, 100), (100, 100), (316, 100), (100, 1)].map(|(side, max)| grid(c, side, max)).into();
    tables.iter().for_each(Table::print);
}

/// A full run and updates on a grid.
fn grid(c: &mut Criterion, side: u32, max_cost: u32) -> Table {
    let mut net = Net::new(side, max_cost);
    let title = format!("{} nodes, {} arcs, costs up to {max_cost}", net.nodes(), net.arcs());
    let mut group = c.benchmark_group(format!("grid/{}-nodes-cost-{max_cost}", net.nodes()));
    let mut table = Table { title, rows: Vec::new() };

    let mut spf = Spf::new();
    let visited = spf.run(&net.graph, ROOT).nodes_visited;
    table.row(&mut group, "full run", || (timed(|| spf.run(black_box(&net.graph), ROOT)), visited));
    let theirs = net.petgraph();
    table.row(&mut group, "petgraph's dijkstra", || {
        let all = || dijkstra(black_box(&theirs), NodeIndex::new(0), None, |edge| *edge.weight());
        (timed(all), visited)
    });

    let cases = [
        ("far leaf", vec![net.links.len() - 1]),
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

/// A link between two nodes, of equal cost in both directions.
#[derive(Clone, Copy)]
struct Link {
    ends: [u32; 2],
    cost: u32,
}

/// A square grid, with one chord between random nodes for every eight nodes, of random costs; the root in one corner, and
/// behind the opposite one, at the end of the last link, a leaf.
struct Net {
    side: u32,
    links: Vec<Link>,
    edges: Vec<Vec<Edge>>,
    graph: Graph,
}

impl Net {
    fn new(side: u32, max_cost: u32) -> Self {
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

    fn nodes(&self) -> usize {
        self.graph.len()
    }

    fn arcs(&self) -> usize {
        2 * self.links.len()
    }

    fn apply(&mut self, node: u32) {
        let edges = &self.edges[node as usize];
        let (key, kind) = (key(node), NodeKind::Router);
        self.graph.apply(NodeUpdate { key, kind, no_transit: false, edges });
    }

    /// Both ends of a link advertise it at its cost, or at a higher one.
    fn advertise(&mut self, link: usize, raise: bool) {
        let Link { ends, cost } = self.links[link];
        for end in ends {
            for edge in &mut self.edges[end as usize] {
                if edge.tag == link as u64 {
                    edge.cost = if raise { cost + 1000 } else { cost };
                }
            }
            self.apply(end);
        }
    }

    /// The link at least half-way to the farthest node that leads to the most nodes.
    fn core_link(&self, spf: &Spf) -> usize {
        let farthest =
            (0..=self.side * self.side).filter_map(|node| self.distance(spf, node)).max();
        self.busiest_link(spf, |near| 2 * near >= farthest.unwrap_or(0))
    }

    /// The link of the root that leads to the most nodes.
    fn root_link(&self, spf: &Spf) -> usize {
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

    fn any_links(&self, many: usize) -> Vec<usize> {
        let mut rng = Rng::new(2);
        let all = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        (0..many).map(|_| below(&mut rng, all) as usize).collect()
    }

    fn petgraph(&self) -> DiGraph<(), u32> {
        let mut graph = DiGraph::new();
        let of: Vec<_> = self.edges.iter().map(|_| graph.add_node(())).collect();
        for &Link { ends: [a, b], cost } in &self.links {
            graph.add_edge(of[a as usize], of[b as usize], cost);
            graph.add_edge(of[b as usize], of[a as usize], cost);
        }
        graph
    }
}

/// A random number below `bound`.
fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(0)
}

fn key(node: u32) -> NodeKey {
    NodeKey(u64::from(node))
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
