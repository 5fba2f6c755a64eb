//! Backups of routes (RFC 5286), and new routes that wait (RFC 8333).

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::{
    AlternatesConfig, Config, Coverage, Input, InterfaceConfig, NetworkType, Protection,
};
use bugle_types::{IfIndex, Nexthop, RouterId};
use bugle_wire::ospf::{RouterFlags, RouterLink, RouterLinkKind};

use crate::bench::{
    Bench, E2, OWN, Peer, Says, external_lsa, interface, ip, link, millis, network_lsa, peer,
    peer_id, prefix, router_lsa, router_lsa_nth, secs, stub, summary_lsa, to_router,
};

const P2P: NetworkType = NetworkType::PointToPoint;
const ABR: RouterFlags = RouterFlags(3);
const PLAIN: RouterFlags = RouterFlags::NONE;

/// A link between two routers, with its cost in both directions. The first router is this one, 0, or has neighbours on interfaces
/// of their own numbers.
type Wire = (u8, u8, u16);

fn id(n: u8) -> RouterId {
    if n == 0 { OWN } else { peer_id(n + 1) }
}

/// The links that router `n` advertises.
fn links(n: u8, wires: &[Wire]) -> Vec<RouterLink> {
    wires
        .iter()
        .flat_map(|&(a, b, cost)| [(a, b, cost), (b, a, cost)])
        .filter(|(from, _, _)| *from == n)
        .map(|(_, to, cost)| to_router(id(to), Ipv4Addr::new(10, n, to, 1), cost))
        .collect()
}

/// A network of routers, of which all that are joined to this one are its neighbours. Router `n` has the stub network 10.9.n.0/24
/// and these flags.
struct Net {
    bench: Bench,
    peers: Vec<Peer>,
}

impl Net {
    fn new(wires: &[Wire], flags: RouterFlags, more: &[Vec<u8>]) -> Self {
        Self::with(wires, flags, more, |_| {})
    }

    fn with(
        wires: &[Wire],
        flags: RouterFlags,
        more: &[Vec<u8>],
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut bench = Bench::with(change);
        let mut routers: Vec<u8> = wires.iter().flat_map(|wire| [wire.0, wire.1]).collect();
        routers.sort_unstable();
        routers.dedup();
        let mut lsas = more.to_vec();
        for &n in routers.iter().filter(|n| **n != 0) {
            let mut links = links(n, wires);
            links.push(stub(&format!("10.9.{n}.0/24"), 0));
            lsas.push(router_lsa(id(n), flags, &links));
        }
        let mut peers = Vec::new();
        for &(_, n, cost) in wires.iter().filter(|wire| wire.0 == 0) {
            let ifindex = u32::from(n);
            bench.configure(InterfaceConfig { cost, ..interface(ifindex, P2P) }, ifindex);
            bench.join(peer(ifindex, n + 1), &lsas);
            peers.push(peer(ifindex, n + 1));
        }
        bench.run_for(secs(3));
        bench.changes.clear();
        Self { bench, peers }
    }

    /// The backup of a route, and what it is good for.
    fn backup(&self, text: &str) -> Option<(u32, Protection)> {
        let backup = self.bench.routes[&prefix(text)].backup?;
        Some((backup.nexthop.ifindex.0, backup.protects))
    }

    /// The interfaces of a route's next hops.
    fn out_of(&self, text: &str) -> Vec<u32> {
        self.bench.routes[&prefix(text)].nexthops.iter().map(|hop| hop.ifindex.0).collect()
    }

    fn coverage(&self) -> Coverage {
        self.bench.ospf.state().routing().coverage()
    }

    /// How many routes are held back.
    fn held(&self) -> usize {
        self.bench.ospf.state().routing().held().map_or(0, |(_, count)| count)
    }

    fn fail(&mut self, ifindex: u32) {
        self.bench.input(Input::Interface(IfIndex(ifindex), None));
        self.bench.run_for(millis(1));
    }

    fn flood(&mut self, from: u8, lsas: &[Vec<u8>]) {
        let peer = self.peers.iter().find(|peer| peer.id == id(from)).copied();
        self.bench.flood(peer.unwrap(), lsas);
    }
}

/// Two neighbours, 1 and 2, that a third router joins: 1 is nearer.
const SQUARE: [Wire; 4] = [(0, 1, 10), (0, 2, 10), (1, 3, 10), (2, 3, 15)];

#[test]
fn routes_go_out_before_their_backups_are_looked_for_and_then_only_what_changed() {
    let mut net = Net::new(&SQUARE, PLAIN, &[]);
    assert_eq!(net.backup("10.9.3.0/24"), Some((2, Protection::LinkAndNode)));
    assert_eq!(net.backup("10.9.1.0/24"), None, "2 reaches it through us");
    // The path over 2 becomes the better one.
    let better = [(2, 0, 10), (2, 3, 1)];
    let mut of_2 = links(2, &better);
    of_2.push(stub("10.9.2.0/24", 0));
    net.flood(2, &[router_lsa_nth(id(2), 2, PLAIN, &of_2)]);
    assert_eq!((net.out_of("10.9.3.0/24"), net.backup("10.9.3.0/24")), (vec![2], None));
    net.bench.changes.clear();
    net.bench.run_for(secs(1));
    assert_eq!(net.backup("10.9.3.0/24"), Some((1, Protection::LinkAndNode)));
    let told: Vec<_> = net.bench.changes.iter().flatten().map(|(prefix, _)| *prefix).collect();
    // 2 reaches 1 without us now.
    assert_eq!(told, [prefix("10.9.1.0/24"), prefix("10.9.3.0/24")]);
}

#[test]
fn a_change_far_away_that_changes_no_route_tells_nothing() {
    let mut net = Net::new(&SQUARE, PLAIN, &[]);
    let mut of_3 = links(3, &[(3, 1, 20), (3, 2, 20)]);
    of_3.push(stub("10.9.3.0/24", 0));
    net.flood(1, &[router_lsa_nth(id(3), 2, PLAIN, &of_3)]);
    net.bench.run_for(secs(1));
    assert!(net.bench.changes.is_empty(), "{:?}", net.bench.changes);
}

#[test]
fn a_host_that_comes_later_has_its_backup_from_the_start() {
    let mut net = Net::new(&SQUARE, ABR, &[]);
    net.flood(1, &[external_lsa(id(3), "10.100.0.9/32", E2)]);
    assert_eq!(net.backup("10.100.0.9/32"), Some((2, Protection::LinkAndNode)));
    net.bench.run_for(secs(1));
    assert_eq!(net.bench.changes.len(), 1);
}

#[test]
fn every_kind_of_path_has_a_backup() {
    let says = |type2, metric| Says { type2, metric, ..E2 };
    let by = id(3);
    let forwarding = Says { forwarding: ip("10.9.3.7"), ..E2 };
    let lsas = [
        summary_lsa(by, "10.50.0.0/16", 5),
        external_lsa(by, "10.51.0.0/16", says(false, 5)),
        external_lsa(by, "10.52.0.0/16", says(true, 5)),
        external_lsa(id(1), "10.53.0.0/16", forwarding),
    ];
    let net = Net::new(&SQUARE, ABR, &lsas);
    for network in ["10.9.3.0/24", "10.50.0.0/16", "10.51.0.0/16", "10.52.0.0/16", "10.53.0.0/16"] {
        assert_eq!(net.out_of(network), [1], "{network}");
        assert_eq!(net.backup(network), Some((2, Protection::LinkAndNode)), "{network}");
    }
}

#[test]
fn a_prefix_of_several_routers_is_protected_by_the_way_to_any_of_them() {
    let says = |metric| Says { metric, ..E2 };
    let e1 = |metric| Says { type2: false, metric, ..E2 };
    let [one, two] = [id(1), id(2)];
    let lsas = [
        // Both count, for their metrics are equal; 2 has it itself.
        external_lsa(one, "10.60.0.0/16", says(5)),
        external_lsa(two, "10.60.0.0/16", says(5)),
        // Nobody goes to 2, whatever the distance.
        external_lsa(one, "10.61.0.0/16", says(5)),
        external_lsa(two, "10.61.0.0/16", says(6)),
        // 2 goes to itself, for 8 instead of 20 and 1.
        external_lsa(one, "10.62.0.0/16", e1(1)),
        external_lsa(two, "10.62.0.0/16", e1(8)),
        summary_lsa(one, "10.63.0.0/16", 1),
        summary_lsa(two, "10.63.0.0/16", 8),
    ];
    let net = Net::new(&[(0, 1, 10), (0, 2, 11)], ABR, &lsas);
    let both = Some((2, Protection::LinkAndNode));
    assert_eq!(net.backup("10.60.0.0/16"), both);
    assert_eq!(net.backup("10.61.0.0/16"), None);
    assert_eq!(net.backup("10.62.0.0/16"), both);
    assert_eq!(net.backup("10.63.0.0/16"), both);
}

#[test]
fn a_stub_router_with_two_uplinks_has_a_backup_for_everything() {
    let far = [(0, 1, 10), (0, 2, 20), (1, 3, 1000), (2, 3, 1000)];
    let stub = Net::with(&far, PLAIN, &[], |config| config.stub_router = true);
    let coverage = stub.coverage();
    assert_eq!((coverage.routes(), coverage.unprotected), (3, 0), "{coverage:?}");
    let transit = Net::new(&far, PLAIN, &[]);
    assert_eq!(transit.coverage().unprotected, 2);
}

#[test]
fn a_neighbour_that_is_a_stub_router_is_no_backup() {
    // What it advertises, and what we say the link to it costs.
    for (theirs, ours, protected) in [(30, 30, true), (65_535, 30, false), (30, 65_535, false)] {
        let of_2 = [to_router(OWN, ip("10.2.0.1"), theirs), to_router(id(3), ip("10.2.3.1"), 1)];
        let wires = [(0, 1, 10), (1, 3, 10)];
        let mut bench = Bench::new();
        let mut of_3 = links(3, &wires);
        of_3.extend([to_router(id(2), ip("10.3.2.1"), 1), stub("10.9.3.0/24", 0)]);
        let lsas = [
            router_lsa(id(1), PLAIN, &links(1, &wires)),
            router_lsa(id(2), PLAIN, &of_2),
            router_lsa(id(3), PLAIN, &of_3),
        ];
        for (n, cost) in [(1, 10), (2, ours)] {
            let ifindex = u32::from(n);
            bench.configure(InterfaceConfig { cost, ..interface(ifindex, P2P) }, ifindex);
            bench.join(peer(ifindex, n + 1), &lsas);
        }
        bench.run_for(secs(1));
        let route = &bench.routes[&prefix("10.9.3.0/24")];
        assert_eq!(route.nexthops[0].ifindex, IfIndex(1));
        assert_eq!(route.backup.is_some(), protected, "{theirs} {ours}: {route:?}");
    }
}

#[test]
fn next_hops_on_several_links_stand_in_for_each_other() {
    let net = Net::new(&[(0, 1, 10), (0, 2, 10), (1, 3, 10), (2, 3, 10)], PLAIN, &[]);
    assert_eq!(net.out_of("10.9.3.0/24"), [1, 2]);
    assert_eq!(net.backup("10.9.3.0/24"), None);
    let coverage = net.coverage();
    assert_eq!((coverage.ecmp, coverage.link, coverage.unprotected), (1, 0, 2), "{coverage:?}");
}

#[test]
fn behind_a_lan_the_backup_avoids_the_lan() {
    let mut bench = Bench::new();
    bench.configure(
        InterfaceConfig { priority: 0, cost: 5, ..interface(1, NetworkType::Broadcast) },
        1,
    );
    bench.configure(InterfaceConfig { cost: 15, ..interface(2, P2P) }, 2);
    let dr = Peer { dr: ip("10.0.1.2"), ..peer(1, 2) };
    let other = Peer { dr: dr.dr, priority: 0, ..peer(1, 3) };
    let to_lan = |peer: Peer| link(RouterLinkKind::Transit, dr.address, peer.address, 5);
    let [two, three] = [dr.id, other.id];
    let lsas = [
        network_lsa(dr.address, two, 1, &[two, three, OWN]),
        router_lsa(two, PLAIN, &[to_lan(dr), to_router(peer_id(9), ip("10.2.9.1"), 5)]),
        // It is a neighbour twice.
        router_lsa(
            three,
            PLAIN,
            &[
                to_lan(other),
                to_router(OWN, ip("10.0.2.3"), 15),
                to_router(peer_id(9), ip("10.3.9.1"), 8),
            ],
        ),
        router_lsa(
            peer_id(9),
            PLAIN,
            &[
                to_router(two, ip("10.9.2.1"), 5),
                to_router(three, ip("10.9.3.1"), 8),
                stub("10.9.9.0/24", 0),
            ],
        ),
    ];
    bench.join(dr, &lsas);
    bench.meet(other);
    bench.join(peer(2, 3), &lsas);
    bench.run_for(secs(3));
    let route = &bench.routes[&prefix("10.9.9.0/24")];
    assert_eq!(*route.nexthops, [Nexthop::via(IfIndex(1), dr.address.into())]);
    let backup = route.backup.unwrap();
    assert_eq!(backup.nexthop, Nexthop::via(IfIndex(2), ip("10.0.2.3").into()));
    assert_eq!(backup.protects, Protection::LinkAndNode);
}

#[test]
fn alternates_can_be_turned_off_and_on() {
    let mut net = Net::with(&SQUARE, PLAIN, &[], |config| config.alternates = None);
    assert_eq!(net.backup("10.9.3.0/24"), None);
    let mut config = net.bench.ospf.state().config().clone();
    for (alternates, backup) in
        [(Some(AlternatesConfig::default()), Some((2, Protection::LinkAndNode))), (None, None)]
    {
        config.alternates = alternates;
        net.bench.input(Input::Config(config.clone()));
        net.bench.run_for(secs(1));
        assert_eq!(net.backup("10.9.3.0/24"), backup);
    }
}

#[test]
fn where_there_are_virtual_links_there_are_no_backups() {
    let mut net = Net::new(&SQUARE, PLAIN, &[]);
    let mut of_3 = links(3, &SQUARE);
    let virtual_link = link(RouterLinkKind::Virtual, Ipv4Addr::from(id(1).0), ip("10.3.1.1"), 7);
    of_3.extend([stub("10.9.3.0/24", 0), virtual_link]);
    for (nth, backup) in [(2, None), (3, Some((2, Protection::LinkAndNode)))] {
        net.flood(1, &[router_lsa_nth(id(3), nth, PLAIN, &of_3)]);
        net.bench.run_for(secs(1));
        assert_eq!(net.backup("10.9.3.0/24"), backup);
        of_3.pop();
    }
}

/// RFC 5286, figure 5: the link to 1 fails; 2 is where routing will go, 3 the alternate, 4 the destination.
const FIGURE_5: [Wire; 6] = [(0, 1, 1), (0, 2, 1), (0, 3, 10), (1, 4, 1), (2, 4, 10), (3, 4, 10)];
const TO: &str = "10.9.4.0/24";

fn figure_5() -> Net {
    let net = Net::new(&FIGURE_5, PLAIN, &[]);
    assert_eq!((net.out_of(TO), net.backup(TO)), (vec![1], Some((3, Protection::LinkAndNode))));
    net
}

/// What a router advertises in its second instance, without one of its links.
fn without(n: u8, to: u8) -> Vec<u8> {
    let rest = FIGURE_5.map(|(a, b, cost)| {
        if [a, b] == [to, n] || [a, b] == [n, to] { (a, a, cost) } else { (a, b, cost) }
    });
    let mut links = links(n, &rest);
    links.push(stub(&format!("10.9.{n}.0/24"), 0));
    router_lsa_nth(id(n), 2, PLAIN, &links)
}

#[test]
fn a_protected_route_waits_on_its_backup_while_others_go_out_at_once() {
    let mut net = figure_5();
    assert_eq!(net.backup("10.9.1.0/24"), None);
    net.fail(1);
    assert_eq!((net.out_of(TO), net.out_of("10.9.1.0/24")), (vec![3], vec![2]));
    assert_eq!(net.held(), 1);
    net.bench.run_for(millis(1990));
    assert_eq!(net.out_of(TO), [3]);
    net.bench.run_for(millis(10));
    assert_eq!((net.out_of(TO), net.held()), (vec![2], 0));
}

#[test]
fn the_far_end_tells_the_same_and_does_not_end_the_wait() {
    let mut net = figure_5();
    net.fail(1);
    net.flood(2, &[without(1, 0)]);
    net.bench.run_for(secs(1));
    assert_eq!(net.out_of(TO), [3]);
}

#[test]
fn any_other_change_of_topology_ends_the_wait() {
    let mut net = figure_5();
    net.fail(1);
    net.bench.run_for(millis(100));
    // The router behind the link has failed, not the link alone.
    net.flood(2, &[without(4, 1)]);
    net.bench.run_for(millis(500));
    assert_eq!((net.out_of(TO), net.held()), (vec![2], 0));
}

#[test]
fn a_change_of_the_prefix_ends_its_wait() {
    let mut net = Net::new(&FIGURE_5, ABR, &[external_lsa(id(4), "10.100.0.9/32", E2)]);
    net.fail(1);
    assert_eq!((net.out_of("10.100.0.9/32"), net.out_of(TO)), (vec![3], vec![3]));
    net.flood(2, &[external_lsa(id(4), "10.100.0.9/32", Says { nth: 2, metric: 7, ..E2 })]);
    assert_eq!((net.out_of("10.100.0.9/32"), net.out_of(TO)), (vec![2], vec![3]));
}

#[test]
fn what_only_the_far_end_says_is_acted_on_at_once() {
    let mut net = figure_5();
    // Packets still leave by the link, so nothing carries them meanwhile.
    net.flood(2, &[without(1, 0)]);
    net.bench.run_for(millis(50));
    assert_eq!((net.out_of(TO), net.held()), (vec![2], 0));
}

#[test]
fn without_a_delay_nothing_waits() {
    let mut net = Net::with(&FIGURE_5, PLAIN, &[], |config| {
        config.alternates = Some(AlternatesConfig { microloop_delay: Duration::ZERO });
    });
    net.fail(1);
    assert_eq!(net.out_of(TO), [2]);
}

#[test]
fn a_route_whose_new_next_hop_did_not_depend_on_the_link_does_not_wait() {
    // Past 1 both ways: by 2, where routing goes, and by 3, which avoids 1 as well and is the alternate.
    let wires = [(0, 1, 1), (0, 2, 1), (0, 3, 10), (1, 4, 1), (2, 1, 1), (3, 4, 10)];
    let mut net = Net::new(&wires, PLAIN, &[]);
    assert_eq!(net.backup(TO), Some((3, Protection::LinkAndNode)));
    net.fail(1);
    assert_eq!((net.out_of(TO), net.held()), (vec![2], 0));
}

#[test]
fn a_second_failure_ends_the_wait_and_starts_none() {
    let mut net = figure_5();
    net.fail(1);
    net.fail(3);
    net.bench.run_for(millis(50));
    assert_eq!((net.out_of(TO), net.held()), (vec![2], 0));
}
