//! The rules one at a time, on topologies small enough to draw.

use std::collections::BTreeMap;

use bugle_spf::{
    Edge, EdgeChange, Fallback, FirstHop, Graph, MAX_PATH, NodeChange, NodeKey, NodeKind,
    NodeUpdate, Spf, SpfCounts, SpfKind, SpfRun,
};

const R1: NodeKey = NodeKey(1);
const R2: NodeKey = NodeKey(2);
const R3: NodeKey = NodeKey(3);
const R4: NodeKey = NodeKey(4);
const LAN: NodeKey = NodeKey(100);
const LAN2: NodeKey = NodeKey(101);

fn edge(to: NodeKey, cost: u32, tag: u32) -> Edge {
    Edge { to, cost, tag }
}

fn router(key: NodeKey, edges: &[Edge]) -> NodeUpdate<'_> {
    NodeUpdate { key, kind: NodeKind::Router, no_transit: false, edges }
}

fn network(graph: &mut Graph, key: NodeKey, members: &[NodeKey]) {
    let edges: Vec<_> = members.iter().map(|&to| edge(to, 0, 0)).collect();
    graph.apply(NodeUpdate { key, kind: NodeKind::Network, no_transit: false, edges: &edges });
}

fn via(link: u32, router: NodeKey) -> FirstHop {
    FirstHop { link, router: Some(router) }
}

fn on(link: u32) -> FirstHop {
    FirstHop { link, router: None }
}

/// A calculation, and the routes it found: the distance and the first hops of each node.
struct Routes(Spf, BTreeMap<NodeKey, (u32, Vec<FirstHop>)>);

fn routes(graph: &Graph, root: NodeKey) -> Routes {
    let mut spf = Spf::new();
    spf.run(graph, root);
    let route = |key: NodeKey| {
        let node = graph.node(key)?;
        let hops = spf.first_hops(spf.nexthops(node)).to_vec();
        Some((key, (spf.distance(node)?, hops)))
    };
    let found = [R1, R2, R3, R4, LAN, LAN2].into_iter().filter_map(route).collect();
    Routes(spf, found)
}

impl Routes {
    fn to(&self, key: NodeKey) -> Option<(u32, &[FirstHop])> {
        self.1.get(&key).map(|(distance, hops)| (*distance, hops.as_slice()))
    }
}

#[test]
fn the_root_is_at_distance_zero_without_nexthops() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[]));
    assert_eq!(routes(&graph, R1).to(R1), Some((0, &[][..])));
}

#[test]
fn nothing_is_reachable_from_a_root_that_is_not_there() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[]));
    assert_eq!(routes(&graph, R2).1.len(), 0);
}

#[test]
fn a_link_named_by_one_end_only_is_not_used() {
    let mut graph = Graph::new();
    assert!(graph.apply(router(R1, &[edge(R2, 1, 7)])).is_empty());
    assert!(graph.apply(router(R2, &[])).is_empty());
    assert_eq!(routes(&graph, R1).to(R2), None);
}

#[test]
fn naming_a_neighbour_back_makes_both_directions_live() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 7)]));
    let changes = graph.apply(router(R2, &[edge(R1, 2, 8)]));
    let live = |from, to, tag, cost| EdgeChange { from, to, tag, old: None, new: Some(cost) };
    assert_eq!(changes[..], [live(R2, R1, 8, 2), live(R1, R2, 7, 1)]);
    assert!(graph.apply(router(R2, &[edge(R1, 2, 8)])).is_empty(), "said twice is not news");
}

#[test]
fn a_change_of_cost_is_one_change_of_one_direction() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 7)]));
    graph.apply(router(R2, &[edge(R1, 2, 8)]));
    let changes = graph.apply(router(R1, &[edge(R2, 5, 7)]));
    let expected = EdgeChange { from: R1, to: R2, tag: 7, old: Some(1), new: Some(5) };
    assert_eq!(changes[..], [expected]);
}

#[test]
fn a_change_of_transit_reports_the_edges_out_of_the_node() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 7)]));
    graph.apply(router(R2, &[edge(R1, 2, 8)]));
    let changes = graph.apply(NodeUpdate { no_transit: true, ..router(R2, &[edge(R1, 2, 8)]) });
    let expected = EdgeChange { from: R2, to: R1, tag: 8, old: Some(2), new: Some(2) };
    assert_eq!(changes[..], [expected]);

    let changes = graph.apply(router(R2, &[edge(R1, 3, 8)]));
    let expected = EdgeChange { new: Some(3), ..expected };
    assert_eq!(changes[..], [expected], "a change of cost besides is not reported twice");

    graph.apply(router(R3, &[edge(R2, 1, 9)]));
    let edges = [edge(R1, 3, 8), edge(R3, 1, 9)];
    let changes = graph.apply(NodeUpdate { no_transit: true, ..router(R2, &edges) });
    assert_eq!(changes.iter().filter(|change| change.old == change.new).count(), 1);
    assert_eq!(changes.len(), 3);
}

#[test]
fn parallel_links_of_equal_cost_are_all_first_hops() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 5, 1), edge(R2, 5, 2), edge(R2, 6, 3)]));
    graph.apply(router(R2, &[edge(R1, 5, 1)]));
    let found = routes(&graph, R1);
    assert_eq!(found.to(R2), Some((5, &[via(1, R2), via(2, R2)][..])));
}

#[test]
fn an_attached_network_has_no_router_and_its_routers_are_their_own_first_hops() {
    let mut graph = Graph::new();
    for (at, key) in (1..).zip([R1, R2, R3]) {
        graph.apply(router(key, &[edge(LAN, 10, at)]));
    }
    network(&mut graph, LAN, &[R1, R2, R3]);
    let found = routes(&graph, R1);
    assert_eq!(found.to(LAN), Some((10, &[on(1)][..])));
    assert_eq!(found.to(R2), Some((10, &[via(1, R2)][..])));
    assert_eq!(found.to(R3), Some((10, &[via(1, R3)][..])));
}

#[test]
fn a_network_behind_a_router_is_reached_through_that_router() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 3, 7)]));
    graph.apply(router(R2, &[edge(R1, 3, 7), edge(LAN, 10, 8)]));
    graph.apply(router(R3, &[edge(LAN, 10, 9)]));
    network(&mut graph, LAN, &[R2, R3]);
    let found = routes(&graph, R1);
    assert_eq!(found.to(LAN), Some((13, &[via(7, R2)][..])));
    assert_eq!(found.to(R3), Some((13, &[via(7, R2)][..])));
}

/// RFC 2328 section 16.1 (3): a router reached at the same distance directly and across a network needs the network to
/// join the tree first.
#[test]
fn equal_paths_across_a_network_and_a_direct_link_are_both_found() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(LAN, 10, 1), edge(R2, 10, 2)]));
    graph.apply(router(R2, &[edge(LAN, 10, 1), edge(R1, 10, 2)]));
    network(&mut graph, LAN, &[R1, R2]);
    let found = routes(&graph, R1);
    assert_eq!(found.to(R2), Some((10, &[via(1, R2), via(2, R2)][..])));
}

#[test]
fn two_interfaces_on_one_network_are_two_first_hops() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(LAN, 10, 1), edge(LAN, 10, 2)]));
    graph.apply(router(R2, &[edge(LAN, 10, 1)]));
    network(&mut graph, LAN, &[R1, R2]);
    let found = routes(&graph, R1);
    assert_eq!(found.to(LAN), Some((10, &[on(1), on(2)][..])));
    assert_eq!(found.to(R2), Some((10, &[via(1, R2), via(2, R2)][..])));
}

#[test]
fn an_overloaded_router_is_reached_but_not_crossed() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 1), edge(R3, 100, 2)]));
    let edges = [edge(R1, 1, 1), edge(R3, 1, 3)];
    graph.apply(NodeUpdate { no_transit: true, ..router(R2, &edges) });
    graph.apply(router(R3, &[edge(R1, 100, 2), edge(R2, 1, 3)]));
    let found = routes(&graph, R1);
    assert_eq!(found.to(R2), Some((1, &[via(1, R2)][..])));
    assert_eq!(found.to(R3), Some((100, &[via(2, R3)][..])));
    assert_eq!(routes(&graph, R2).to(R3).map(|route| route.0), Some(1), "as the root it is");
}

#[test]
fn an_overloaded_router_does_not_pass_on_first_hops_at_equal_cost_either() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 1), edge(R3, 1, 2), edge(R3, 1, 3)]));
    let edges = [edge(R1, 1, 1), edge(R4, 1, 4)];
    graph.apply(NodeUpdate { no_transit: true, ..router(R2, &edges) });
    graph.apply(router(R3, &[edge(R1, 1, 2), edge(LAN, 1, 5)]));
    graph.apply(router(R4, &[edge(R1, 2, 6), edge(R2, 1, 4), edge(LAN, 1, 5)]));
    graph.apply(router(R1, &[edge(R2, 1, 1), edge(R3, 1, 2), edge(R3, 1, 3), edge(R4, 2, 6)]));
    network(&mut graph, LAN, &[R3, R4]);
    let expected = [via(2, R3), via(3, R3), via(6, R4)];
    assert_eq!(routes(&graph, R1).to(R4), Some((2, &expected[..])));
}

#[test]
fn a_path_longer_than_the_maximum_does_not_count() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, MAX_PATH, 1)]));
    graph.apply(router(R2, &[edge(R1, 1, 1), edge(R3, 1, 2)]));
    graph.apply(router(R3, &[edge(R2, u32::MAX, 2)]));
    assert_eq!(routes(&graph, R1).to(R2).map(|route| route.0), Some(MAX_PATH));
    assert_eq!(routes(&graph, R1).to(R3), None);
    assert_eq!(routes(&graph, R3).to(R2), None);
}

/// With an IS-IS metric of 0 each of two neighbours could think that the other is as close to everything as itself.
#[test]
fn neighbours_at_no_cost_do_not_send_packets_to_each_other() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 0, 1), edge(R3, 10, 2)]));
    graph.apply(router(R2, &[edge(R1, 0, 1), edge(R3, 10, 3)]));
    graph.apply(router(R3, &[edge(R1, 10, 2), edge(R2, 10, 3)]));
    assert_eq!(routes(&graph, R1).to(R3), Some((10, &[via(2, R3)][..])));
    assert_eq!(routes(&graph, R2).to(R3), Some((10, &[via(3, R3)][..])));
    assert_eq!(routes(&graph, R1).to(R2), Some((0, &[via(1, R2)][..])));
}

#[test]
fn equal_sets_of_first_hops_have_equal_ids() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 1), edge(R3, 1, 2)]));
    graph.apply(router(R2, &[edge(R1, 1, 1), edge(R4, 1, 3), edge(LAN, 1, 5)]));
    graph.apply(router(R3, &[edge(R1, 1, 2), edge(R4, 1, 4), edge(LAN, 1, 5)]));
    graph.apply(router(R4, &[edge(R2, 1, 3), edge(R3, 1, 4)]));
    network(&mut graph, LAN, &[R2, R3]);
    let Routes(spf, found) = routes(&graph, R1);
    assert_eq!(found[&R4].1, [via(1, R2), via(2, R3)]);
    let set = |key| graph.node(key).map(|node| spf.nexthops(node));
    assert_eq!(set(R4), set(LAN));
    assert_ne!(set(R4), set(R2));
}

#[test]
fn an_index_is_used_again_and_its_new_owner_counts_as_changed() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 1), edge(R3, 1, 2)]));
    graph.apply(router(R2, &[edge(R1, 1, 1)]));
    for spoke in 10..30 {
        graph.apply(router(NodeKey(spoke), &[]));
    }
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let mut updated = spf.clone();
    let index = graph.node(R2);

    graph.remove(R2);
    graph.apply(router(R3, &[edge(R1, 1, 2)]));
    assert_eq!(graph.node(R3), index);
    assert_eq!(graph.len(), 22);
    spf.run(&graph, R1);
    assert_eq!(updated.update(&graph, R1).kind, SpfKind::Incremental);
    for spf in [spf, updated] {
        let changed: Vec<_> =
            spf.changed().iter().map(|change| (change.key, change.node)).collect();
        assert_eq!(changed, [(R3, index), (R2, None)]);
    }
}

#[test]
fn a_node_that_has_moved_to_another_index_has_not_changed() {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(R2, 1, 1)]));
    graph.apply(router(R2, &[edge(R1, 1, 1)]));
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let index = graph.node(R2);

    graph.remove(R2);
    graph.apply(router(R3, &[]));
    graph.apply(router(R2, &[edge(R1, 1, 1)]));
    assert_ne!(graph.node(R2), index);
    spf.run(&graph, R1);
    assert_eq!(spf.changed(), []);
}

#[test]
fn a_node_that_has_moved_out_of_reach_is_reported_where_it_is_now() {
    for calculate in [Spf::run, Spf::update] {
        let mut graph = chain(20);
        let mut spf = Spf::new();
        spf.run(&graph, R1);
        let (last, index) = (NodeKey(29), graph.node(NodeKey(29)));
        graph.remove(last);
        graph.apply(router(R2, &[]));
        graph.apply(router(last, &[]));
        assert_ne!(graph.node(last), index);
        calculate(&mut spf, &graph, R1);
        assert_eq!(spf.changed(), [NodeChange { key: last, node: graph.node(last) }]);
    }
}

/// Sets that have gone out of use are swept out now and then, which must not look like a change of those in use.
#[test]
fn a_link_that_keeps_changing_its_name_leaves_the_others_unchanged() {
    for calculate in [Spf::run, Spf::update] {
        let mut graph = chain(16);
        let mut spf = Spf::new();
        for tag in 100..5000 {
            graph.apply(router(R1, &[edge(R2, 1, tag), edge(FIRST, 1, 1)]));
            graph.apply(router(R2, &[edge(R1, 1, 1)]));
            calculate(&mut spf, &graph, R1);
            if tag > 100 {
                let changed: Vec<_> = spf.changed().iter().map(|change| change.key).collect();
                assert_eq!(changed, [R2]);
            }
            let [two, chained] =
                [R2, FIRST].map(|key| graph.node(key).map(|node| spf.nexthops(node)));
            let hops = |set: Option<_>| set.map(|set| spf.first_hops(set));
            assert_eq!(hops(two), Some(&[via(tag, R2)][..]));
            assert_eq!(hops(chained), Some(&[via(1, FIRST)][..]));
            assert!(two.is_some_and(|set| set.index() < 2000), "{two:?}");
        }
    }
}

/// The first router of a [`chain`].
const FIRST: NodeKey = NodeKey(10);

/// R1 and a chain of so many routers behind it.
fn chain(routers: u64) -> Graph {
    let mut graph = Graph::new();
    graph.apply(router(R1, &[edge(FIRST, 1, 1)]));
    for at in 0..routers {
        let key = NodeKey(FIRST.0 + at);
        let before = if at == 0 { R1 } else { NodeKey(key.0 - 1) };
        graph.apply(router(key, &[edge(before, 1, 1), edge(NodeKey(key.0 + 1), 1, 1)]));
    }
    graph
}

/// The kind of a run, and how many nodes it looked at.
fn effort(run: SpfRun) -> (SpfKind, usize) {
    (run.kind, run.nodes_visited)
}

#[test]
fn an_update_without_changes_looks_at_nothing() {
    let graph = chain(20);
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    assert_eq!(spf.changed().len(), 21);
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 0));
    assert_eq!(spf.changed(), []);
}

#[test]
fn an_update_looks_at_what_is_behind_the_change_only() {
    let mut graph = chain(40);
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let [near, end] = [47, 48].map(NodeKey);
    graph.apply(router(near, &[edge(NodeKey(46), 1, 1), edge(end, 7, 1)]));
    // The two routers at the end of the chain.
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 2));
    assert_eq!(spf.changed().len(), 2);
    assert_eq!(graph.node(end).and_then(|node| spf.distance(node)), Some(45));

    graph.apply(router(NodeKey(46), &[edge(NodeKey(45), 1, 1)]));
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 4));
    assert_eq!(graph.node(end).and_then(|node| spf.distance(node)), None);
}

#[test]
fn a_link_that_no_shortest_path_crosses_changes_at_the_cost_of_its_ends() {
    let mut graph = chain(80);
    let mut spf = Spf::new();
    let far =
        |cost, detour| [edge(NodeKey(82), cost, 1), edge(NodeKey(84), 1, 1), edge(R2, detour, 1)];
    graph.apply(router(R2, &[edge(NodeKey(83), 100, 1)]));
    graph.apply(router(NodeKey(82), &[edge(NodeKey(81), 1, 1), edge(NodeKey(83), 1, 1)]));
    graph.apply(router(NodeKey(83), &far(1, 100)));
    spf.run(&graph, R1);
    // That which moves now does not move later.
    graph.apply(router(NodeKey(82), &[edge(NodeKey(81), 1, 1), edge(NodeKey(83), 2, 1)]));
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 8));

    graph.apply(router(R2, &[edge(NodeKey(83), 200, 1)]));
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 1));
    assert_eq!(spf.changed(), []);
    // Nobody gets anywhere by a link towards the root.
    graph.apply(router(NodeKey(83), &far(5, 100)));
    assert_eq!(effort(spf.update(&graph, R1)), (SpfKind::Incremental, 1));
}

#[test]
fn a_node_that_has_changed_often_is_looked_at_once() {
    let mut graph = chain(20);
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let (near, end) = (NodeKey(28), NodeKey(29));
    let mut edges_visited = |changes| {
        for cost in (2..).take(changes) {
            graph.apply(router(near, &[edge(NodeKey(27), 1, 1), edge(end, cost, 1)]));
        }
        let run = spf.update(&graph, R1);
        assert_eq!(run.nodes_changed, 1);
        graph.apply(router(near, &[edge(NodeKey(27), 1, 1), edge(end, 1, 1)]));
        spf.update(&graph, R1);
        run.edges_visited
    };
    assert_eq!(edges_visited(30), edges_visited(1));
}

/// A network and a router at the same distance have different ranks, which tells parents from children. One that has become
/// the other has the wrong rank, until it gets its own.
#[test]
fn a_network_that_becomes_a_router_keeps_nothing_in_the_tree() {
    for (turned, other) in [(LAN, LAN2), (LAN2, LAN)] {
        let mut graph = chain(20);
        graph.apply(router(R1, &[edge(LAN, 10, 1), edge(LAN2, 10, 2)]));
        network(&mut graph, turned, &[R1]);
        network(&mut graph, other, &[R1, turned]);
        let mut spf = Spf::new();
        spf.run(&graph, R1);
        graph.apply(router(turned, &[edge(other, 0, 3)]));
        graph.apply(router(R1, &[]));
        assert_eq!(spf.update(&graph, R1).kind, SpfKind::Incremental);
        for key in [LAN, LAN2] {
            assert_eq!(graph.node(key).and_then(|node| spf.distance(node)), None);
        }
    }
}

#[test]
fn another_root_at_the_index_of_the_last_and_one_of_another_kind_are_new_roots() {
    let mut graph = chain(20);
    let mut spf = Spf::new();
    graph.apply(router(FIRST, &[]));
    spf.run(&graph, R1);
    let index = graph.node(R1);
    graph.remove(R1);
    graph.apply(router(R2, &[]));
    assert_eq!(graph.node(R2), index);
    assert_eq!(spf.update(&graph, R2).kind, SpfKind::Fallback(Fallback::NewRoot));
    assert_eq!(spf.changed().len(), 2);

    network(&mut graph, R2, &[]);
    assert_eq!(graph.node(R2), index);
    assert_eq!(spf.update(&graph, R2).kind, SpfKind::Fallback(Fallback::NewRoot));
}

/// R1 reaches the beginning of the chain by R2 and R3; the distance stays, one of the first hops goes.
#[test]
fn a_first_hop_lost_upstream_is_lost_all_the_way_down() {
    let mut graph = chain(20);
    graph.apply(router(R1, &[edge(R2, 1, 2), edge(R3, 1, 3)]));
    for key in [R2, R3] {
        graph.apply(router(key, &[edge(R1, 1, 1), edge(NodeKey(25), 1, 1)]));
    }
    let middle = [24, 26, 2, 3].map(|key| edge(NodeKey(key), 1, 1));
    graph.apply(router(NodeKey(25), &middle));
    // Enough other routers for an update to be worth while.
    let spokes: Vec<_> = (100..200).map(|key| edge(NodeKey(key.into()), 1, key)).collect();
    for spoke in &spokes {
        graph.apply(router(spoke.to, &[edge(R1, 1, 1)]));
    }
    graph.apply(router(R1, &[&spokes[..], &[edge(R2, 1, 2), edge(R3, 1, 3)]].concat()));
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let end = graph.node(NodeKey(29)).expect("it is there");
    assert_eq!(spf.first_hops(spf.nexthops(end)), [via(2, R2), via(3, R3)]);

    graph.apply(router(R3, &[edge(R1, 1, 1)]));
    let run = spf.update(&graph, R1);
    assert_eq!((run.kind, run.nodes_changed), (SpfKind::Incremental, 20));
    assert_eq!(spf.first_hops(spf.nexthops(end)), [via(2, R2)]);
    assert_eq!(spf.distance(end), Some(6));
}

/// Half the first hops of the whole chain go, across a network or over a link; hardly any of its routers leaves the tree.
#[test]
fn a_lost_link_of_the_root_with_much_behind_it_is_left_to_a_full_run() {
    let ways = [edge(LAN, 1, 2), edge(R3, 1, 3)];
    for left in ways {
        let mut graph = chain(80);
        graph.apply(router(R1, &ways));
        network(&mut graph, LAN, &[R1, R2]);
        graph.apply(router(R2, &[edge(LAN, 1, 1), edge(FIRST, 1, 1)]));
        graph.apply(router(R3, &[edge(R1, 1, 1), edge(FIRST, 1, 1)]));
        graph.apply(router(FIRST, &[2, 3, 11].map(|key| edge(NodeKey(key), 1, 1))));
        let mut spf = Spf::new();
        spf.run(&graph, R1);
        let end = graph.node(NodeKey(89)).expect("it is there");
        assert_eq!(spf.first_hops(spf.nexthops(end)), [via(2, R2), via(3, R3)]);

        graph.apply(router(R1, &[left]));
        assert_eq!(spf.update(&graph, R1).kind, SpfKind::Fallback(Fallback::ManyNodes));
        assert_eq!(spf.first_hops(spf.nexthops(end)).len(), 1);
    }
}

#[test]
fn a_node_that_is_back_where_it_once_was_unreached_has_not_changed() {
    let mut graph = chain(20);
    let links_to = |peer| [edge(FIRST, 1, 1), edge(peer, 1, 2)];
    graph.apply(router(R2, &[]));
    graph.apply(router(R3, &[edge(R1, 1, 1)]));
    graph.apply(router(R1, &links_to(R3)));
    let mut spf = Spf::new();
    spf.run(&graph, R1);
    let alone = graph.node(R2);

    // It comes to the place of the other router, the last that became free.
    graph.remove(R2);
    graph.remove(R3);
    graph.apply(router(R2, &[edge(R1, 1, 1)]));
    graph.apply(router(R1, &links_to(R2)));
    assert_eq!(spf.update(&graph, R1).kind, SpfKind::Incremental);
    assert_ne!(graph.node(R2), alone);

    graph.remove(R2);
    graph.apply(router(R3, &[]));
    graph.apply(router(R2, &[edge(R1, 1, 1)]));
    spf.update(&graph, R1);
    assert_eq!(graph.node(R2), alone);
    assert_eq!(spf.changed(), []);
}

#[test]
fn every_fallback_is_counted_with_its_reason() {
    let mut graph = chain(20);
    let mut spf = Spf::new();
    let mut update = |graph: &Graph, root| spf.update(graph, root).kind;
    assert_eq!(update(&graph, R2), SpfKind::Fallback(Fallback::NewRoot), "there is no such node");
    assert_eq!(update(&graph, R1), SpfKind::Fallback(Fallback::NewRoot));
    assert_eq!(update(&graph, R1), SpfKind::Incremental);

    graph.apply(router(FIRST, &[edge(R1, 1, 1)]));
    assert_eq!(update(&graph, R1), SpfKind::Fallback(Fallback::ManyNodes));

    for cost in 0..200 {
        graph.apply(router(R1, &[edge(FIRST, cost, 1)]));
    }
    assert_eq!(update(&graph, R1), SpfKind::Fallback(Fallback::ManyChanges));

    graph.remove(R1);
    assert_eq!(update(&graph, R1), SpfKind::Fallback(Fallback::NewRoot));
    spf.run(&graph, R1);
    let expected =
        SpfCounts { full: 1, incremental: 1, new_root: 3, many_changes: 1, many_nodes: 1 };
    assert_eq!(spf.counts(), expected);
}
