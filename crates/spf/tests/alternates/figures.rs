//! The figures of RFC 5286, and rules one by one. S calculates; small letters are networks.

use bugle_spf::{
    Alternate, AlternateRules, Alternates, Attachment, Edge, FirstHop, Graph, NodeKey, NodeKind,
    NodeUpdate, Protection, Spf,
};

const RULES: AlternateRules = AlternateRules { advertised_cost: None, max_cost: 65_535 };
const S: NodeKey = key('S');

/// A link: its ends, its costs in both directions.
type Link = (char, char, u32, u32);

struct Figure {
    graph: Graph,
    spf: Spf,
    alternates: Alternates,
}

const fn key(name: char) -> NodeKey {
    NodeKey(name as u64)
}

/// The link to it.
fn link(end: char) -> u32 {
    end.into()
}

/// The neighbour at the far end of the only link there.
fn via(router: char) -> FirstHop {
    across(router, router)
}

/// A router across a network.
fn across(network: char, router: char) -> FirstHop {
    FirstHop { link: link(network), router: Some(key(router)) }
}

fn figure(links: &[Link], overloaded: &str, rules: AlternateRules) -> Figure {
    let mut graph = Graph::new();
    let mut names: Vec<char> = links.iter().flat_map(|link| [link.0, link.1]).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let edges: Vec<Edge> = links
            .iter()
            .flat_map(|&(a, b, there, back)| [(a, b, there), (b, a, back)])
            .filter(|(from, _, _)| *from == name)
            .map(|(_, to, cost)| Edge { to: key(to), cost, tag: link(to) })
            .collect();
        let network = name.is_ascii_lowercase();
        let kind = if network { NodeKind::Network } else { NodeKind::Router };
        let no_transit = overloaded.contains(name);
        graph.apply(NodeUpdate { key: key(name), kind, no_transit, edges: &edges });
    }
    let mut spf = Spf::new();
    spf.update(&graph, S);
    let mut alternates = Alternates::new();
    alternates.start(&graph, S, rules, |_| true);
    while alternates.step(&graph) > 0 {}
    Figure { graph, spf, alternates }
}

impl Figure {
    fn attachments(&self, to: &[(char, u32)]) -> Vec<Attachment> {
        let at = |&(name, cost): &(char, u32)| Attachment {
            node: self.graph.node(key(name)).unwrap(),
            cost,
        };
        to.iter().map(at).collect()
    }

    fn best(&self, to: &[(char, u32)], lost: &[FirstHop]) -> Option<Alternate> {
        self.alternates.best(&self.graph, &self.spf, &self.attachments(to), lost)
    }

    /// What each alternate protects against.
    fn all(&self, to: char, lost: FirstHop) -> Vec<(FirstHop, Protection)> {
        let to = self.attachments(&[(to, 0)]);
        let all = self.alternates.all(&self.graph, &self.spf, &to, &[lost]);
        all.map(|alternate| (alternate.hop, alternate.protects)).collect()
    }
}

#[test]
fn figure_1_a_neighbour_whose_path_leads_back_is_no_alternate() {
    let links =
        |cost| [('S', 'E', 5, 5), ('S', 'N', 8, 8), ('E', 'D', 4, 4), ('N', 'D', cost, cost)];
    let near = figure(&links(3), "", RULES);
    let found = near.best(&[('D', 0)], &[via('E')]).unwrap();
    assert_eq!((found.hop, found.cost), (via('N'), 11));
    assert_eq!(found.protects, Protection::LinkAndNode);
    assert!(found.post_convergence && found.downstream);
    let far = figure(&links(30), "", RULES);
    assert_eq!(far.best(&[('D', 0)], &[via('E')]), None);
    // At 17 the paths are equal, and nobody knows which it takes.
    assert_eq!(figure(&links(17), "", RULES).best(&[('D', 0)], &[via('E')]), None);
    assert!(figure(&links(16), "", RULES).best(&[('D', 0)], &[via('E')]).is_some());
}

#[test]
fn figure_3_behind_a_broadcast_link_the_alternate_avoids_the_network() {
    let links = |cost| {
        let lan = [('S', 'p', 5, 0), ('N', 'p', 5, 0), ('E', 'p', 5, 0)];
        let others = [('S', 'N', 15, 15), ('N', 'D', cost, cost), ('E', 'D', 5, 5)];
        [&lan[..], &others[..]].concat()
    };
    let (lan, direct) = (across('p', 'N'), via('N'));
    let found = figure(&links(8), "", RULES).all('D', across('p', 'E'));
    // The same neighbour, but across the network that fails.
    assert_eq!(found, [(direct, Protection::LinkAndNode), (lan, Protection::Node)]);
    // Its shortest path leads across the network.
    assert_eq!(figure(&links(11), "", RULES).all('D', across('p', 'E')), []);
}

#[test]
fn figure_4_each_of_several_primaries_has_alternates_of_its_own() {
    let links = [
        ('N', 'S', 20, 20),
        ('S', 'p', 5, 0),
        ('F', 'p', 5, 0),
        ('G', 'p', 5, 0),
        ('S', 'H', 3, 3),
        ('H', 'G', 2, 2),
        ('N', 'A', 20, 20),
        ('F', 'A', 10, 10),
        ('G', 'B', 10, 10),
        ('A', 'D', 2, 2),
        ('B', 'D', 2, 2),
    ];
    let figure = figure(&links, "", RULES);
    let [n, e1, e2, e3] = [via('N'), across('p', 'F'), across('p', 'G'), via('H')];
    let (link, node, both) = (Protection::Link, Protection::Node, Protection::LinkAndNode);
    assert_eq!(figure.all('D', e1), [(e3, both), (n, both), (e2, node)]);
    assert_eq!(figure.all('D', e2), [(e3, link), (n, both), (e1, node)]);
    assert_eq!(figure.all('D', e3), [(n, both), (e1, both), (e2, both)]);
    // Of what avoids both, the other primary is where routing goes, and downstream.
    assert_eq!(figure.best(&[('D', 0)], &[e1]).unwrap().hop, e3);
    assert_eq!(figure.best(&[('D', 0)], &[e2]).unwrap().hop, n);
    // The network fails with both routers on it.
    assert_eq!(figure.best(&[('D', 0)], &[e1, e2]).unwrap().hop, n);
}

#[test]
fn figure_6_a_prefix_of_two_routers_is_protected_by_the_way_to_the_other() {
    let links = [
        ('S', 'C', 5, 5),
        ('S', 'E', 5, 5),
        ('S', 'A', 8, 8),
        ('C', 'E', 5, 5),
        ('A', 'B', 5, 5),
        ('B', 'F', 5, 5),
    ];
    let figure = figure(&links, "", RULES);
    let alone = figure.best(&[('E', 5)], &[via('E')]).unwrap();
    assert_eq!((alone.hop, alone.protects), (via('C'), Protection::Link));
    let both = figure.best(&[('E', 5), ('F', 7)], &[via('E')]).unwrap();
    assert_eq!((both.hop, both.protects), (via('A'), Protection::LinkAndNode));
}

#[test]
fn a_neighbour_does_not_reach_a_prefix_of_the_root_through_the_root() {
    let links = [('S', 'E', 1, 1), ('S', 'N', 1, 1), ('E', 'N', 1, 1)];
    let figure = figure(&links, "", RULES);
    assert!(figure.best(&[('E', 1)], &[via('E')]).is_some());
    // The root has it too, and is as near to the neighbour.
    assert_eq!(figure.best(&[('E', 1), ('S', 1)], &[via('E')]), None);
}

#[test]
fn a_stub_router_with_two_uplinks_has_an_alternate_for_everything() {
    // Two leaves that are far from each other, by way of a spine.
    let links =
        [('S', 'A', 10, 10), ('S', 'B', 20, 20), ('A', 'C', 100, 100), ('B', 'C', 100, 100)];
    let transit = figure(&links, "", RULES);
    assert_eq!(transit.best(&[('A', 0)], &[via('A')]), None);
    let stub = figure(&links, "", AlternateRules { advertised_cost: Some(65_535), ..RULES });
    for (to, primary, alternate) in [('A', 'A', 'B'), ('B', 'B', 'A'), ('C', 'A', 'B')] {
        let found = stub.best(&[(to, 0)], &[via(primary)]).unwrap();
        assert_eq!(found.hop, via(alternate));
        assert!(found.post_convergence);
        let node = to != primary;
        assert_eq!(found.protects == Protection::LinkAndNode, node);
    }
}

#[test]
fn overloaded_routers_and_links_costed_out_lead_to_no_alternate() {
    let links =
        |out, back| [('S', 'E', 1, 1), ('S', 'N', out, back), ('E', 'D', 1, 1), ('N', 'D', 1, 1)];
    let protected = |figure: Figure| figure.best(&[('D', 0)], &[via('E')]).is_some();
    assert!(protected(figure(&links(65_534, 65_534), "", RULES)));
    assert!(!protected(figure(&links(1, 65_535), "", RULES)));
    assert!(!protected(figure(&links(65_535, 1), "", RULES)));
    assert!(!protected(figure(&links(1, 1), "N", RULES)));
    // One that is overloaded itself sends nobody back.
    assert!(protected(figure(
        &[('S', 'E', 1, 1), ('S', 'N', 1, 1), ('E', 'N', 9, 9), ('E', 'D', 1, 1)],
        "S",
        RULES
    )));
}

#[test]
fn what_avoids_the_neighbour_is_preferred_to_where_routing_goes_and_that_to_what_is_cheap() {
    // By A: cheapest, but past E. By B: past E neither.
    let links = [
        ('S', 'E', 1, 1),
        ('S', 'A', 5, 5),
        ('S', 'B', 20, 20),
        ('A', 'E', 1, 1),
        ('E', 'D', 1, 1),
        ('B', 'D', 5, 5),
    ];
    let found = figure(&links, "", RULES).best(&[('D', 0)], &[via('E')]).unwrap();
    assert_eq!((found.hop, found.post_convergence), (via('B'), false));
    // Where routing goes and elsewhere, both past nothing.
    let links = [
        ('S', 'E', 1, 1),
        ('E', 'D', 1, 1),
        ('S', 'A', 8, 8),
        ('S', 'B', 9, 9),
        ('A', 'D', 2, 2),
        ('B', 'D', 2, 2),
    ];
    let found = figure(&links, "", RULES).best(&[('D', 0)], &[via('E')]).unwrap();
    assert_eq!((found.hop, found.post_convergence), (via('A'), true));
    // Equal in everything but the name.
    let links = [
        ('S', 'E', 1, 1),
        ('E', 'D', 1, 1),
        ('S', 'A', 9, 9),
        ('S', 'B', 9, 9),
        ('A', 'D', 2, 2),
        ('B', 'D', 2, 2),
    ];
    let found = figure(&links, "", RULES).best(&[('D', 0)], &[via('E')]).unwrap();
    assert_eq!(found.hop, via('A'));
}

#[test]
fn what_is_not_allowed_is_no_alternate() {
    let links = [('S', 'E', 5, 5), ('S', 'N', 8, 8), ('E', 'D', 4, 4), ('N', 'D', 3, 3)];
    let Figure { graph, spf, mut alternates } = figure(&links, "", RULES);
    let steps = alternates.start(&graph, S, RULES, |hop| hop != via('N'));
    // The trees of both.
    assert_eq!(steps, 2);
    while alternates.step(&graph) > 0 {}
    let to = [Attachment { node: graph.node(key('D')).unwrap(), cost: 0 }];
    assert_eq!(alternates.best(&graph, &spf, &to, &[via('E')]), None);
}

#[test]
fn a_change_of_the_graph_ends_what_is_known() {
    let links = [('S', 'E', 5, 5), ('S', 'N', 8, 8), ('E', 'D', 4, 4), ('N', 'D', 3, 3)];
    let Figure { mut graph, spf, alternates } = figure(&links, "", RULES);
    assert!(alternates.is_current(&graph));
    let to = [Attachment { node: graph.node(key('D')).unwrap(), cost: 0 }];
    graph.remove(key('E'));
    assert!(!alternates.is_current(&graph));
    assert_eq!(alternates.best(&graph, &spf, &to, &[via('E')]), None);
}
