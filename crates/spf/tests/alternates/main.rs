//! Loop-free alternates against RFC 5286's inequalities, each distance calculated naively, and against packets that walk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod figures;
#[path = "../oracle/mod.rs"]
mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use bugle_spf::{
    Alternate, AlternateRules, Alternates, Attachment, Edge, FirstHop, Graph, NodeKey, NodeKind,
    Protection, Spf,
};
use oracle::{Advertisement, Route, Topology};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const ROOT: NodeKey = NodeKey(0);
/// Keys below this are routers, the others networks.
const ROUTERS: u32 = 8;
const NETWORKS: u32 = 3;
/// Links of this cost are costed out.
const MAX_COST: u32 = 50;

/// A network, and what others are told of the root.
#[derive(Clone, Debug)]
struct Net {
    topology: Topology,
    advertised_cost: Option<u32>,
}

fn router() -> impl Strategy<Value = NodeKey> {
    (0..ROUTERS).prop_map(|node| NodeKey(node.into()))
}

fn node() -> impl Strategy<Value = NodeKey> {
    (0..ROUTERS + NETWORKS).prop_map(|node| NodeKey(node.into()))
}

fn net() -> impl Strategy<Value = Net> {
    let cost = || prop_oneof![20 => 1..5_u32, 4 => 5..40_u32, 1 => Just(0), 1 => Just(MAX_COST)];
    let link = (router(), node(), 0..3_u32, cost(), cost(), any::<bool>());
    let links = prop::collection::vec(link, 6..32);
    let overloaded = prop::collection::vec(prop::bool::weighted(0.08), 8);
    let advertised = prop_oneof![2 => Just(None), 1 => Just(Some(MAX_COST)), 1 => Just(Some(7))];
    (links, overloaded, advertised).prop_map(|(links, overloaded, advertised_cost)| {
        let mut topology = Topology::default();
        for (key, no_transit) in (0..).map(NodeKey).zip(overloaded) {
            let node = Advertisement { kind: NodeKind::Router, no_transit, edges: Vec::new() };
            topology.0.insert(key, node);
        }
        for (a, b, tag, there, back, same) in links {
            let network = b.0 >= ROUTERS.into();
            let back = if network {
                0
            } else if same {
                there
            } else {
                back
            };
            for (from, to, cost) in [(a, b, there), (b, a, back)] {
                let new = || Advertisement {
                    kind: NodeKind::Network,
                    no_transit: false,
                    edges: Vec::new(),
                };
                let node = topology.0.entry(from).or_insert_with(new);
                // A tag names one link of a router.
                let tag = tag + 3 * u32::try_from(to.0).unwrap();
                node.edges.retain(|edge| edge.tag != tag);
                node.edges.push(Edge { to, cost, tag });
            }
        }
        Net { topology, advertised_cost }
    })
}

/// All distances and first hops, as every router calculates them.
struct World {
    /// What others see.
    seen: BTreeMap<NodeKey, BTreeMap<NodeKey, Route>>,
    /// The root's own.
    own: BTreeMap<NodeKey, Route>,
}

type Destination = Vec<(NodeKey, u32)>;

impl Net {
    fn as_others_see_it(&self) -> Topology {
        let mut seen = self.topology.clone();
        for edge in &mut seen.0.get_mut(&ROOT).unwrap().edges {
            edge.cost = self.advertised_cost.unwrap_or(edge.cost);
        }
        seen
    }

    fn world(&self) -> World {
        let seen = self.as_others_see_it();
        let routes = seen.0.keys().map(|&key| (key, seen.routes(key))).collect();
        World { seen: routes, own: self.topology.routes(ROOT) }
    }

    /// The tree without one link of the root.
    fn without(&self, link: u32) -> BTreeMap<NodeKey, Route> {
        let mut rest = self.topology.clone();
        rest.0.get_mut(&ROOT).unwrap().edges.retain(|edge| edge.tag != link);
        rest.routes(ROOT)
    }

    /// The ways out of the root: what they cost, and the network they lead across.
    fn hops(&self) -> BTreeMap<FirstHop, (u32, Option<NodeKey>)> {
        let live = self.topology.live_edges();
        let mut hops = BTreeMap::new();
        for (&(_, to, link), &cost) in live.iter().filter(|((from, _, _), _)| *from == ROOT) {
            if self.topology.0[&to].kind == NodeKind::Router {
                hops.insert(FirstHop { link, router: Some(to) }, (cost, None));
                continue;
            }
            for (&(_, router, _), _) in live.iter().filter(|((from, _, _), _)| *from == to) {
                if router != ROOT {
                    hops.insert(FirstHop { link, router: Some(router) }, (cost, Some(to)));
                }
            }
        }
        hops
    }

    /// RFC 5286 section 3.5.
    fn is_costed_out(&self, hop: FirstHop, cost: u32, network: Option<NodeKey>) -> bool {
        let neighbor = hop.router.unwrap();
        let live = self.topology.live_edges();
        let back = live
            .iter()
            .filter(|((from, to, _), _)| *from == neighbor && *to == network.unwrap_or(ROOT));
        let reverse = back.map(|(_, &cost)| cost).min();
        cost >= MAX_COST
            || reverse.is_none_or(|reverse| reverse >= MAX_COST)
            || self.topology.0[&neighbor].no_transit
    }

    /// The alternates by the inequalities.
    fn alternates(&self, world: &World, to: &Destination, lost: &[FirstHop]) -> Vec<Alternate> {
        let hops = self.hops();
        let through = |from, node| {
            let there = Some(world.seen[&from].get(&node)?.0);
            let only_ends = self.topology.0[&node].no_transit;
            let rest = to.iter().filter(|(end, _)| *end == node || !only_ends);
            let rest = rest.filter_map(|(end, cost)| Some(world.seen[&node].get(end)?.0 + cost));
            Some(there? + rest.min()?)
        };
        let distance = |from| nearest(&world.seen[&from], to).unwrap_or(u32::MAX);
        let own = nearest(&world.own, to).unwrap();
        let mut found = Vec::new();
        for (&hop, &(cost, network)) in &hops {
            let neighbor = hop.router.unwrap();
            if lost.contains(&hop) || self.is_costed_out(hop, cost, network) {
                continue;
            }
            let avoids = |node| through(neighbor, node).is_none_or(|by| distance(neighbor) < by);
            if !avoids(ROOT) || nearest(&world.seen[&neighbor], to).is_none() {
                continue;
            }
            // Nobody knows how an overloaded router reaches what others advertise too.
            let overloaded = |end: &NodeKey| to.len() > 1 && self.topology.0[end].no_transit;
            let of_overloaded = to.iter().filter(|(end, _)| overloaded(end)).copied().collect();
            if nearest(&world.seen[&neighbor], &of_overloaded) == Some(distance(neighbor)) {
                continue;
            }
            let node = lost.iter().all(|lost| avoids(lost.router.unwrap()));
            let link =
                lost.iter().all(|lost| lost.link != hop.link && hops[lost].1.is_none_or(avoids));
            let protects = match (link, node) {
                (true, true) => Protection::LinkAndNode,
                (false, true) => Protection::Node,
                (true, false) => Protection::Link,
                (false, false) => continue,
            };
            let cost = cost + distance(neighbor);
            let one_link = lost.iter().all(|other| other.link == lost[0].link);
            let post_convergence =
                one_link && nearest(&self.without(lost[0].link), to) == Some(cost);
            let downstream = distance(neighbor) < own;
            found.push(Alternate { hop, cost, protects, post_convergence, downstream });
        }
        found
    }
}

fn nearest(routes: &BTreeMap<NodeKey, Route>, to: &Destination) -> Option<u32> {
    to.iter().filter_map(|(end, cost)| Some(routes.get(end)?.0 + cost)).min()
}

/// The first hops of all shortest paths.
fn primaries(routes: &BTreeMap<NodeKey, Route>, to: &Destination) -> BTreeSet<FirstHop> {
    let best = nearest(routes, to);
    to.iter()
        .filter(|(end, cost)| routes.get(end).map(|route| route.0 + cost) == best)
        .filter_map(|(end, _)| routes.get(end))
        .flat_map(|route| route.1.iter().copied())
        .collect()
}

/// Everything that a packet may pass that stands at `at`, when every router sends it on by any of its shortest paths.
fn walk(net: &Net, world: &World, to: &Destination, at: NodeKey) -> BTreeSet<NodeKey> {
    let mut passed = BTreeSet::new();
    let mut waiting = vec![at];
    let seen = net.as_others_see_it().live_edges();
    while let Some(at) = waiting.pop() {
        let here = nearest(&world.seen[&at], to).unwrap();
        if !passed.insert(at) || to.iter().any(|&(end, cost)| end == at && cost == here) {
            continue;
        }
        for hop in primaries(&world.seen[&at], to) {
            let across = seen.keys().find(|(from, _, tag)| *from == at && *tag == hop.link);
            let &(_, end, _) = across.unwrap();
            let network = net.topology.0[&end].kind == NodeKind::Network;
            passed.extend(network.then_some(end));
            waiting.extend(hop.router);
        }
    }
    passed
}

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        node().prop_map(|node| vec![(node, 0)]),
        prop::collection::vec((node(), 0..8_u32), 1..4),
    ]
}

/// Of each kind of protection, and of failures that have none, how many `check` has seen.
#[derive(Default, Debug)]
struct Seen {
    kinds: BTreeMap<Option<Protection>, u32>,
    /// Several primaries were lost, several nodes advertise it.
    several: (u32, u32),
}

fn check(net: &Net, destinations: Vec<Destination>, seen: &mut Seen) -> Result<(), TestCaseError> {
    let mut graph = Graph::new();
    for (&key, node) in &net.topology.0 {
        graph.apply(node.update(key));
    }
    let mut spf = Spf::new();
    spf.update(&graph, ROOT);
    let rules = AlternateRules { advertised_cost: net.advertised_cost, max_cost: MAX_COST };
    let mut alternates = Alternates::new();
    let steps = alternates.start(&graph, ROOT, rules, |_| true);
    for left in (0..steps).rev() {
        prop_assert!(!alternates.is_current(&graph));
        prop_assert_eq!(alternates.step(&graph), left);
    }
    prop_assert!(alternates.is_current(&graph));
    let hops: Vec<_> = alternates.hops().collect();
    prop_assert_eq!(hops, net.hops().into_keys().collect::<Vec<_>>());

    let world = net.world();
    for mut to in destinations {
        to.retain(|(node, _)| net.topology.0.contains_key(node));
        let primaries = primaries(&world.own, &to);
        if primaries.iter().any(|hop| hop.router.is_none()) {
            continue;
        }
        let attach = |&(key, cost)| Attachment { node: graph.node(key).unwrap(), cost };
        let attachments: Vec<_> = to.iter().map(attach).collect();
        // Each of them alone, and all together.
        let mut cases: Vec<Vec<_>> = primaries.iter().map(|&hop| vec![hop]).collect();
        cases.push(primaries.into_iter().collect());
        for lost in cases.into_iter().filter(|lost| !lost.is_empty()) {
            let expected = net.alternates(&world, &to, &lost);
            let found: Vec<_> = alternates.all(&graph, &spf, &attachments, &lost).collect();
            prop_assert_eq!(&found, &expected, "to {:?} without {:?}", to, lost);

            let best = alternates.best(&graph, &spf, &attachments, &lost);
            prop_assert_eq!(best.is_some(), !found.is_empty());
            *seen.kinds.entry(best.map(|best| best.protects)).or_default() += 1;
            seen.several.0 += u32::from(lost.len() > 1);
            seen.several.1 += u32::from(to.len() > 1);
            for Alternate { hop, protects, .. } in found {
                let passed = walk(net, &world, &to, hop.router.unwrap());
                prop_assert!(!passed.contains(&ROOT), "{:?} to {:?} by {:?}", hop, to, passed);
                for lost in &lost {
                    let node = passed.contains(&lost.router.unwrap());
                    prop_assert!(!node || protects == Protection::Link);
                    let (_, network) = net.hops()[lost];
                    let network = network.is_some_and(|network| passed.contains(&network));
                    prop_assert!(!network || protects == Protection::Node);
                }
                prop_assert!(protects <= best.unwrap().protects);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4 * ProptestConfig::default().cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn alternates_are_those_of_the_inequalities_and_no_packet_comes_back(
        net in net(),
        destinations in prop::collection::vec(destination(), 1..8),
    ) {
        check(&net, destinations, &mut Seen::default())?;
    }
}

/// Without this, the property above could hold because there is nothing to find.
#[test]
fn networks_of_every_kind_are_tried() {
    let mut runner = TestRunner::deterministic();
    let mut seen = Seen::default();
    for _ in 0..500 {
        let cases = (net(), prop::collection::vec(destination(), 4));
        let (net, destinations) = cases.new_tree(&mut runner).unwrap().current();
        check(&net, destinations, &mut seen).unwrap();
    }
    let kinds =
        [None, Some(Protection::Link), Some(Protection::Node), Some(Protection::LinkAndNode)];
    assert!(
        kinds.iter().all(|kind| seen.kinds.get(kind).is_some_and(|&seen| seen >= 10)),
        "{seen:?}"
    );
    assert!(seen.several.0 > 20 && seen.several.1 > 100, "{seen:?}");
}
