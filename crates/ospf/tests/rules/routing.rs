//! The routing table (RFC 2328 section 16, appendix E).

use std::net::Ipv4Addr;

use bugle_ospf::{Config, Input, InterfaceConfig, NetworkType, PathType, Rival};
use bugle_types::{AreaId, IfIndex};
use bugle_wire::ospf::{
    Body, LS_INFINITY, LsaType, RouterFlags, RouterLink, RouterLinkKind, summary_body,
};

use crate::bench::{
    Bench, E2, OWN, Peer, Says, external_lsa, interface, ip, key, link, lsa, millis, neighbor_lsa,
    network_lsa, peer, peer_id, prefix, router_lsa, router_lsa_nth, secs, stub, summary_lsa,
    to_router,
};

const P2P: NetworkType = NetworkType::PointToPoint;
const LAN: NetworkType = NetworkType::Broadcast;
/// An area border router that is also an AS boundary router.
const ABR: RouterFlags = RouterFlags(3);
const ASBR: RouterFlags = RouterFlags::E;
const PLAIN: RouterFlags = RouterFlags::NONE;

/// Two neighbours on point-to-point links 1 and 2 of cost 10, with these flags and, besides the link to us, these links.
fn between(flags: [RouterFlags; 2], links: [&[RouterLink]; 2]) -> (Bench, [Peer; 2]) {
    let mut bench = Bench::new();
    let peers = [peer(1, 2), peer(2, 3)];
    let lsas: Vec<Vec<u8>> = (0..2).map(|n| neighbor_lsa(peers[n], flags[n], links[n])).collect();
    for peer in peers {
        bench.up(peer.ifindex.0, P2P);
        bench.join(peer, &lsas);
    }
    bench.run_for(secs(2));
    (bench, peers)
}

#[test]
fn a_changed_host_leaves_the_prefixes_that_hold_it() {
    let first = peer(1, 2);
    let covering = ["0.0.0.0/0", "10.0.0.0/8", "10.100.0.0/16"];
    let mut lsas = vec![neighbor_lsa(first, ASBR, &[])];
    lsas.extend(covering.map(|text| external_lsa(first.id, text, E2)));
    lsas.push(external_lsa(first.id, "10.100.0.9/32", E2));
    let mut bench = Bench::beside(first, &lsas);
    assert_eq!(bench.routes.len(), 4);
    bench.run_for(secs(2));
    let change = external_lsa(first.id, "10.100.0.9/32", Says { nth: 2, metric: 5, ..E2 });
    bench.flood(first, &[change]);
    assert_eq!(bench.routes[&prefix("10.100.0.9/32")].metric(), 5);
    assert_eq!(bench.routes.len(), 4, "{:?}", bench.routes.keys());
    let host = external_lsa(first.id, "10.100.0.9/32", Says { nth: 2, metric: 5, ..E2 });
    bench.receive(first, &first.update_aged(&[host], 3600));
    let left: Vec<String> = bench.routes.keys().map(ToString::to_string).collect();
    assert_eq!(left, covering);
}

#[test]
fn routers_are_known_by_their_ids_their_links_and_their_loopbacks_and_hosts_are_not() {
    let (first, far) = (peer(1, 2), peer_id(9));
    let links = [
        to_router(OWN, first.address, 10),
        to_router(far, ip("10.5.0.1"), 10),
        stub("192.0.2.77/32", 0),
        stub("10.8.0.0/24", 5),
    ];
    let lsas = [
        router_lsa(first.id, ASBR, &links),
        router_lsa(far, PLAIN, &[to_router(first.id, ip("10.5.0.2"), 10)]),
        external_lsa(first.id, "10.100.0.9/32", E2),
    ];
    let bench = Bench::beside(first, &lsas);
    let rival = |address| bench.ospf.state().routing().rival(address);
    let own = |router| Some(Rival { router, metric: None, count: 1 });
    assert_eq!(["10.5.0.1", "192.0.2.77"].map(|text| rival(ip(text))), [own(first.id); 2]);
    assert_eq!([ip("10.5.0.2"), Ipv4Addr::from(far.0)].map(rival), [own(far); 2]);
    assert_eq!(rival(ip("10.100.0.9")).map(|rival| rival.metric), Some(Some(20)));
    assert_eq!(["10.8.0.1", "10.8.0.0", "0.0.0.0"].map(|text| rival(ip(text))), [None; 3]);
}

#[test]
fn whose_own_a_watched_address_is_follows_the_router_lsas_and_whether_their_routers_are_reached() {
    let (first, far) = (peer(1, 2), peer_id(9));
    let there = to_router(far, ip("10.5.0.1"), 10);
    let back = to_router(first.id, ip("10.5.0.2"), 10);
    let far_lsa =
        |nth, stubs: &[RouterLink]| router_lsa_nth(far, nth, PLAIN, &[&[back], stubs].concat());
    let lsas = [neighbor_lsa(first, PLAIN, &[there]), far_lsa(1, &[stub("192.0.2.78/32", 0)])];
    let mut bench = Bench::beside(first, &lsas);
    let [link, loopback] = ["10.5.0.2", "192.0.2.77"].map(ip);
    for address in [link, loopback] {
        bench.input(Input::Watch(address, true));
    }
    let own = Some(Rival { router: far, metric: None, count: 1 });
    assert_eq!([link, loopback].map(|address| bench.rivals[&address]), [own, None]);
    for (lsa, expected) in [
        (far_lsa(2, &[stub("192.0.2.77/32", 0)]), [own, own]),
        (far_lsa(3, &[]), [own, None]),
        // Nobody can reach the router any more, though its LSA is there.
        (router_lsa_nth(first.id, 2, PLAIN, &[to_router(OWN, first.address, 10)]), [None, None]),
    ] {
        bench.run_for(secs(2));
        bench.flood(first, &[lsa]);
        bench.run_for(secs(1));
        assert_eq!([link, loopback].map(|address| bench.rivals[&address]), expected);
    }
}

#[test]
fn a_changed_summary_leaves_the_prefixes_that_hold_it() {
    let first = peer(1, 2);
    let mut lsas = vec![neighbor_lsa(first, ABR, &[])];
    lsas.extend(["0.0.0.0/0", "10.7.0.0/16"].map(|text| summary_lsa(first.id, text, 5)));
    lsas.push(summary_lsa(first.id, "10.7.3.0/24", 5));
    let mut bench = Bench::beside(first, &lsas);
    let route = &bench.routes[&prefix("10.7.3.0/24")];
    assert_eq!((route.path, route.cost), (PathType::InterArea, 15));
    let gone = summary_lsa(first.id, "10.7.3.0/24", 5);
    bench.receive(first, &first.update_aged(&[gone], 3600));
    assert_eq!(bench.routes.len(), 2, "{:?}", bench.routes.keys());
}

#[test]
fn host_bits_in_the_id_tell_prefixes_of_one_address_apart() {
    let first = peer(1, 2);
    let wide = external_lsa(first.id, "10.100.0.0/16", E2);
    let narrow = Says { id: Some(ip("10.100.0.255")), metric: 7, ..E2 };
    let narrow = external_lsa(first.id, "10.100.0.0/24", narrow);
    let lsas = [neighbor_lsa(first, ASBR, &[]), wide.clone(), narrow];
    let mut bench = Bench::beside(first, &lsas);
    assert_eq!(bench.routes.len(), 2);
    bench.receive(first, &first.update_aged(&[wide], 3600));
    assert_eq!(bench.routes[&prefix("10.100.0.0/24")].metric(), 7);
    assert_eq!(bench.routes.len(), 1);
}

#[test]
fn a_prefix_advertised_twice_by_one_router_stays_while_one_of_them_does() {
    let first = peer(1, 2);
    let again = Says { id: Some(ip("10.100.0.255")), metric: 7, ..E2 };
    let (one, two) = (
        external_lsa(first.id, "10.100.0.0/16", E2),
        external_lsa(first.id, "10.100.0.0/16", again),
    );
    let lsas = [neighbor_lsa(first, ASBR, &[]), one, two.clone()];
    let mut bench = Bench::beside(first, &lsas);
    assert_eq!(bench.routes[&prefix("10.100.0.0/16")].metric(), 7);
    bench.receive(first, &first.update_aged(&[two], 3600));
    assert_eq!(bench.routes[&prefix("10.100.0.0/16")].metric(), 20);
}

#[test]
fn an_external_lsa_may_change_its_mask() {
    let first = peer(1, 2);
    let lsas = [neighbor_lsa(first, ASBR, &[]), external_lsa(first.id, "10.100.0.0/16", E2)];
    let mut bench = Bench::beside(first, &lsas);
    bench.run_for(secs(2));
    let id = Some(ip("10.100.0.0"));
    bench.flood(first, &[external_lsa(first.id, "10.96.0.0/12", Says { nth: 2, id, ..E2 })]);
    let routes: Vec<String> = bench.routes.keys().map(ToString::to_string).collect();
    assert_eq!(routes, ["10.96.0.0/12"]);
}

#[test]
fn the_end_of_a_stale_network_lsa_does_not_end_the_network() {
    // The designated router had another router id before, lower or higher, and left this behind.
    for former in [peer_id(1), peer_id(200)] {
        let mut bench = Bench::new();
        bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
        let dr = Peer { dr: ip("10.0.1.2"), ..peer(1, 2) };
        let to_lan = link(RouterLinkKind::Transit, dr.address, dr.address, 10);
        let lsas = [
            router_lsa(dr.id, PLAIN, &[to_lan, stub("10.9.0.0/24", 1)]),
            network_lsa(dr.address, dr.id, 1, &[dr.id, OWN]),
            network_lsa(dr.address, former, 1, &[former, OWN]),
        ];
        bench.join(dr, &lsas);
        bench.run_for(secs(1));
        assert_eq!(bench.gateways("10.9.0.0/24"), [dr.address]);
        bench.receive(dr, &dr.update_aged(&lsas[2..], 3600));
        bench.run_for(secs(1));
        assert_eq!(bench.gateways("10.9.0.0/24"), [dr.address]);
        bench.receive(dr, &dr.update_aged(&lsas[1..2], 3600));
        bench.run_for(secs(1));
        assert!(bench.gateways("10.9.0.0/24").is_empty());
    }
}

#[test]
fn a_router_on_a_lan_is_a_next_hop_as_long_as_we_hear_each_other_even_without_adjacency() {
    let mut bench = Bench::new();
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
    let dr = Peer { dr: ip("10.0.1.2"), ..peer(1, 2) };
    let other = Peer { priority: 0, dr: ip("10.0.1.2"), ..peer(1, 3) };
    let to_lan = |peer: Peer| link(RouterLinkKind::Transit, dr.address, peer.address, 10);
    let lsas = [
        router_lsa(dr.id, PLAIN, &[to_lan(dr)]),
        router_lsa(other.id, PLAIN, &[to_lan(other), stub("10.9.0.0/24", 1)]),
        network_lsa(dr.address, dr.id, 1, &[dr.id, other.id, OWN]),
    ];
    bench.join(dr, &lsas);
    bench.run_for(secs(1));
    assert!(bench.gateways("10.9.0.0/24").is_empty(), "we do not hear it");
    let runs = bench.ospf.state().stats().spf_runs;
    bench.meet(other);
    assert_eq!(bench.state(other), bugle_ospf::neighbor::NeighborState::TwoWay);
    assert_eq!(bench.gateways("10.9.0.0/24"), [other.address]);
    bench.alive.pop();
    bench.run_for(secs(5));
    assert!(bench.gateways("10.9.0.0/24").is_empty());
    assert_eq!(bench.ospf.state().stats().spf_runs, runs, "the topology did not change");
}

#[test]
fn type_1_beats_type_2_and_the_lower_metric_wins() {
    let (mut bench, [first, second]) = between([ASBR, ASBR], [&[], &[]]);
    let e1 = Says { type2: false, metric: 5_000, ..E2 };
    bench.flood(first, &[external_lsa(first.id, "10.100.0.1/32", E2)]);
    bench.flood(second, &[external_lsa(second.id, "10.100.0.1/32", e1)]);
    let route = &bench.routes[&prefix("10.100.0.1/32")];
    assert_eq!((route.path, route.cost), (PathType::External1, 5_010));
    assert_eq!(bench.gateways("10.100.0.1/32"), [second.address]);
    // Type 2 metrics before distances.
    bench.flood(first, &[external_lsa(first.id, "10.100.0.2/32", Says { metric: 19, ..E2 })]);
    bench.flood(second, &[external_lsa(second.id, "10.100.0.2/32", E2)]);
    assert_eq!(bench.gateways("10.100.0.2/32"), [first.address]);
    // Equal metrics: the nearer, and both if they are equally near.
    for router in [first, second] {
        bench.flood(router, &[external_lsa(router.id, "10.100.0.3/32", E2)]);
    }
    assert_eq!(bench.gateways("10.100.0.3/32"), [first.address, second.address]);
    bench.configure(InterfaceConfig { cost: 11, ..interface(1, P2P) }, 1);
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.100.0.3/32"), [second.address]);
    // Type 1: the sum of both.
    bench.flood(first, &[external_lsa(first.id, "10.100.0.4/32", Says { metric: 1, ..e1 })]);
    bench.flood(second, &[external_lsa(second.id, "10.100.0.4/32", Says { metric: 2, ..e1 })]);
    assert_eq!(bench.gateways("10.100.0.4/32"), [first.address, second.address]);
}

#[test]
fn a_metric_of_infinity_is_no_route() {
    let (mut bench, [first, second]) = between([ABR, ABR], [&[], &[]]);
    let unreachable = Says { metric: LS_INFINITY, ..E2 };
    bench.flood(first, &[external_lsa(first.id, "10.100.0.1/32", unreachable)]);
    bench.flood(second, &[summary_lsa(second.id, "10.7.0.0/16", LS_INFINITY)]);
    assert!(bench.routes.keys().all(|p| p.length() == 24), "{:?}", bench.routes.keys());
}

#[test]
fn an_as_boundary_router_of_another_area_is_reached_through_the_nearest_border_router() {
    let (mut bench, [first, second]) = between([ABR, ABR], [&[], &[]]);
    let far = peer_id(99);
    let far_id = Ipv4Addr::from(far.0);
    bench.flood(first, &[external_lsa(far, "10.100.0.1/32", E2)]);
    assert!(bench.gateways("10.100.0.1/32").is_empty());
    let boundary = |by, nth, metric| {
        lsa(
            key(LsaType::SUMMARY_ASBR, far_id, by),
            nth,
            &summary_body(Ipv4Addr::UNSPECIFIED, metric),
        )
    };
    bench.flood(first, &[boundary(first.id, 1, 30)]);
    let route = bench.routes[&prefix("10.100.0.1/32")].clone();
    assert_eq!((route.path, route.type2_metric, route.cost), (PathType::External2, 20, 40));
    bench.flood(second, &[boundary(second.id, 1, 30)]);
    assert_eq!(bench.gateways("10.100.0.1/32"), [first.address, second.address]);
    bench.configure(InterfaceConfig { cost: 11, ..interface(2, P2P) }, 2);
    bench.run_for(secs(2));
    assert_eq!(bench.gateways("10.100.0.1/32"), [first.address]);
    bench.flood(first, &[boundary(first.id, 2, LS_INFINITY)]);
    assert_eq!(bench.gateways("10.100.0.1/32"), [second.address]);
    let gone = boundary(second.id, 1, 30);
    bench.receive(second, &second.update_aged(&[gone], 3600));
    assert!(bench.gateways("10.100.0.1/32").is_empty());
}

#[test]
fn summaries_count_from_border_routers_only_and_externals_from_boundary_routers_only() {
    let (mut bench, [first, second]) = between([PLAIN, ABR], [&[], &[]]);
    for router in [first, second] {
        bench.flood(router, &[summary_lsa(router.id, "10.7.0.0/16", 5)]);
        bench.flood(router, &[external_lsa(router.id, "10.100.0.1/32", E2)]);
    }
    assert_eq!(bench.gateways("10.7.0.0/16"), [second.address]);
    assert_eq!(bench.gateways("10.100.0.1/32"), [second.address]);
    let links = [to_router(OWN, first.address, 10)];
    bench.flood(first, &[router_lsa_nth(first.id, 2, ABR, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.7.0.0/16"), [first.address, second.address]);
    assert_eq!(bench.gateways("10.100.0.1/32"), [first.address, second.address]);
}

#[test]
fn intra_area_beats_inter_area_beats_external() {
    let (mut bench, [first, second]) = between([ABR, ABR], [&[], &[]]);
    let e1 = Says { type2: false, metric: 1, ..E2 };
    bench.flood(second, &[external_lsa(second.id, "10.7.0.0/16", e1)]);
    assert_eq!(bench.routes[&prefix("10.7.0.0/16")].path, PathType::External1);
    bench.flood(second, &[summary_lsa(second.id, "10.7.0.0/16", 1_000)]);
    assert_eq!(bench.routes[&prefix("10.7.0.0/16")].path, PathType::InterArea);
    let links = [to_router(OWN, first.address, 10), stub("10.7.0.0/16", 60_000)];
    bench.flood(first, &[router_lsa_nth(first.id, 2, ABR, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.routes[&prefix("10.7.0.0/16")].path, PathType::IntraArea);
    let links = [to_router(OWN, first.address, 10)];
    bench.flood(first, &[router_lsa_nth(first.id, 3, ABR, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.routes[&prefix("10.7.0.0/16")].path, PathType::InterArea);
    let summary = summary_lsa(second.id, "10.7.0.0/16", 1_000);
    bench.receive(second, &second.update_aged(&[summary], 3600));
    assert_eq!(bench.routes[&prefix("10.7.0.0/16")].path, PathType::External1);
}

#[test]
fn a_forwarding_address_is_reached_by_internal_routes_or_not_at_all() {
    let (mut bench, [first, second]) = between([ASBR, ASBR], [&[], &[stub("10.8.0.0/24", 5)]]);
    let to = |forwarding: &str| Says { forwarding: ip(forwarding), ..E2 };
    bench.flood(first, &[external_lsa(first.id, "10.100.0.1/32", to("10.8.0.7"))]);
    assert_eq!(bench.gateways("10.100.0.1/32"), [second.address], "not to the advertiser");
    assert_eq!(bench.routes[&prefix("10.100.0.1/32")].cost, 15);
    bench.flood(first, &[external_lsa(first.id, "10.100.0.2/32", to("172.16.0.1"))]);
    assert!(bench.gateways("10.100.0.2/32").is_empty(), "no route to it");
    bench.flood(first, &[external_lsa(first.id, "172.16.0.0/16", E2)]);
    bench.flood(first, &[external_lsa(first.id, "10.100.0.5/32", to("172.16.0.1"))]);
    assert!(bench.gateways("10.100.0.5/32").is_empty(), "an external route does not count");
    bench.flood(first, &[external_lsa(first.id, "10.100.0.3/32", to("10.0.2.200"))]);
    assert_eq!(bench.gateways("10.100.0.3/32"), [ip("10.0.2.200")], "straight to it");
    bench.flood(first, &[external_lsa(first.id, "10.100.0.4/32", to("10.0.2.1"))]);
    assert!(bench.gateways("10.100.0.4/32").is_empty(), "it is our own address");
    // The internal route to the forwarding address goes, and comes back.
    let links = [to_router(OWN, second.address, 10)];
    bench.flood(second, &[router_lsa_nth(second.id, 2, ASBR, &links)]);
    bench.run_for(secs(1));
    assert!(bench.gateways("10.100.0.1/32").is_empty());
    let links = [to_router(OWN, second.address, 10), stub("10.8.0.0/24", 6)];
    bench.flood(second, &[router_lsa_nth(second.id, 3, ASBR, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.routes[&prefix("10.100.0.1/32")].cost, 16);
}

/// An external prefix that a router of the area advertises at distance 500, and one of another area at 30.
fn near_in_another_area(area: AreaId) -> (Bench, [Peer; 2]) {
    let mut bench = Bench::with(|config: &mut Config| config.area = area);
    let [first, second] = [Peer { area, ..peer(1, 2) }, Peer { area, ..peer(2, 3) }];
    bench.configure(InterfaceConfig { cost: 500, ..interface(1, P2P) }, 1);
    bench.up(2, P2P);
    bench.join(first, &[neighbor_lsa(first, ASBR, &[])]);
    bench.join(second, &[neighbor_lsa(second, ABR, &[])]);
    bench.run_for(secs(2));
    let far = peer_id(99);
    let far_key = key(LsaType::SUMMARY_ASBR, Ipv4Addr::from(far.0), second.id);
    let boundary = lsa(far_key, 1, &summary_body(Ipv4Addr::UNSPECIFIED, 20));
    let advertised = |by| external_lsa(by, "10.100.0.1/32", E2);
    bench.flood(second, &[boundary, advertised(far)]);
    bench.flood(first, &[advertised(first.id)]);
    (bench, [first, second])
}

#[test]
fn an_intra_area_path_to_the_boundary_router_is_preferred_outside_the_backbone() {
    let (bench, [first, _]) = near_in_another_area(AreaId(7));
    assert_eq!(bench.gateways("10.100.0.1/32"), [first.address]);
    let (bench, [_, second]) = near_in_another_area(AreaId::BACKBONE);
    assert_eq!(bench.gateways("10.100.0.1/32"), [second.address]);
}

#[test]
fn parallel_links_to_one_neighbor_are_both_used() {
    let mut bench = Bench::new();
    let [first, second] = [peer(1, 2), Peer { id: peer_id(2), ..peer(2, 3) }];
    let links = [to_router(OWN, second.address, 10), stub("10.9.0.0/24", 1)];
    let lsas = [neighbor_lsa(first, PLAIN, &links)];
    for peer in [first, second] {
        bench.up(peer.ifindex.0, P2P);
        bench.join(peer, &lsas);
    }
    bench.run_for(secs(2));
    assert_eq!(bench.gateways("10.9.0.0/24"), [first.address, second.address]);
    bench.input(Input::Interface(IfIndex(1), None));
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [second.address]);
}

#[test]
fn an_unnumbered_link_has_its_index_as_data_and_leads_to_the_neighbors_address() {
    let mut bench = Bench::new();
    let unnumbered =
        InterfaceConfig { address: ip("172.31.0.1"), prefix_length: 32, ..interface(1, P2P) };
    bench.configure(unnumbered, 1);
    let far = Peer { address: ip("172.31.0.2"), ..peer(1, 2) };
    let links = [to_router(OWN, ip("0.0.0.5"), 10), stub("172.31.0.2/32", 0)];
    bench.join(far, &[router_lsa(far.id, PLAIN, &links)]);
    bench.run_for(secs(2));
    let mask = bench.sent.iter().find_map(|sent| match sent.body() {
        Body::Hello(hello) => Some(hello.fields.mask),
        Body::DatabaseDescription(_)
        | Body::LinkStateRequest(_)
        | Body::LinkStateUpdate(_)
        | Body::LinkStateAck(_) => None,
    });
    assert_eq!(mask, Some(Ipv4Addr::UNSPECIFIED));
    assert_eq!(bench.gateways("172.31.0.2/32"), [far.address]);
    let own = key(LsaType::ROUTER, ip("10.10.10.10"), OWN);
    let expected = router_lsa(OWN, ASBR, &[to_router(far.id, ip("0.0.0.1"), 10)]);
    let state = bench.ospf.state();
    let (_, stored) = state.database().find(|(key, _)| key.lsa == own).unwrap();
    assert_eq!(stored.bytes()[20..], expected[20..]);
}

#[test]
fn a_link_counts_only_if_the_far_end_has_one_back() {
    let first = peer(1, 2);
    let far = peer_id(50);
    let to_far = neighbor_lsa(first, PLAIN, &[to_router(far, ip("10.5.0.1"), 1)]);
    let one_way = router_lsa(far, PLAIN, &[stub("10.9.0.0/24", 1)]);
    let mut bench = Bench::beside(first, &[to_far, one_way]);
    bench.run_for(secs(2));
    assert!(bench.gateways("10.9.0.0/24").is_empty());
    let links = [to_router(first.id, ip("10.5.0.2"), 1), stub("10.9.0.0/24", 1)];
    bench.flood(first, &[router_lsa_nth(far, 2, PLAIN, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [first.address]);
}

#[test]
fn a_router_lsa_under_another_routers_name_is_not_believed() {
    let first = peer(1, 2);
    let far = peer_id(50);
    let victim = [to_router(first.id, ip("10.5.0.2"), 1), stub("10.9.0.0/24", 1)];
    let lsas = [
        neighbor_lsa(first, PLAIN, &[to_router(far, ip("10.5.0.1"), 1)]),
        router_lsa(far, PLAIN, &victim),
    ];
    let mut bench = Bench::beside(first, &lsas);
    bench.run_for(secs(2));
    // CVE-2013-0149: the id is the victim's, the advertising router is not, or the other way round.
    for (id, by) in [(far, peer_id(66)), (peer_id(66), far)] {
        let forged = key(LsaType::ROUTER, Ipv4Addr::from(id.0), by);
        let body = bugle_wire::ospf::router_body(PLAIN, &[stub("10.66.0.0/24", 1)]);
        bench.flood(first, &[lsa(forged, 9, &body)]);
    }
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [first.address]);
    assert!(bench.gateways("10.66.0.0/24").is_empty());
}

#[test]
fn a_network_of_ours_is_no_route_whoever_else_advertises_it() {
    let (mut bench, [first, _]) = between([ABR, PLAIN], [&[], &[stub("10.0.1.0/24", 1)]]);
    bench.flood(first, &[external_lsa(first.id, "10.0.2.0/24", E2)]);
    bench.flood(first, &[summary_lsa(first.id, "10.0.2.0/24", 1)]);
    assert!(bench.gateways("10.0.1.0/24").is_empty());
    assert!(bench.gateways("10.0.2.0/24").is_empty());
}

#[test]
fn a_failed_link_moves_routes_and_does_not_take_them_away_first() {
    let (mut bench, [first, second]) = between([ASBR, ASBR], [&[], &[]]);
    let hosts = ["10.100.0.1/32", "10.100.0.2/32"];
    bench.flood(first, &hosts.map(|text| external_lsa(first.id, text, E2)));
    // The second neighbour has a longer way to the first.
    let to_first = [to_router(first.id, ip("10.6.0.1"), 10), to_router(OWN, second.address, 10)];
    let to_second = [to_router(second.id, ip("10.6.0.2"), 10), to_router(OWN, first.address, 10)];
    bench.flood(first, &[router_lsa_nth(first.id, 2, ASBR, &to_second)]);
    bench.flood(second, &[router_lsa_nth(second.id, 2, ASBR, &to_first)]);
    bench.run_for(secs(5));
    assert_eq!(bench.gateways(hosts[0]), [first.address]);
    bench.changes.clear();
    bench.input(Input::Interface(IfIndex(1), None));
    bench.run_for(millis(500));
    for host in hosts {
        assert_eq!(bench.gateways(host), [second.address]);
        let changes: Vec<_> =
            bench.changes.iter().flatten().filter(|(p, _)| *p == prefix(host)).collect();
        assert_eq!(changes.len(), 1, "{changes:?}");
    }
}

#[test]
fn the_route_does_not_depend_on_the_order_of_arrival() {
    let routes = |order: [usize; 2]| {
        let (mut bench, peers) = between([ASBR, ASBR], [&[], &[]]);
        for n in order {
            let says = Says { tag: 100 + u32::try_from(n).unwrap(), ..E2 };
            bench.flood(peers[n], &[external_lsa(peers[n].id, "10.100.0.1/32", says)]);
        }
        bench.routes
    };
    assert_eq!(routes([0, 1]), routes([1, 0]));
}

#[test]
fn every_change_of_topology_keeps_the_back_off_from_calming_down() {
    let first = peer(1, 2);
    let mut bench = Bench::with(|config| {
        config.spf.long = secs(5);
        config.spf.holddown = secs(10);
        config.spf.time_to_learn = millis(500);
    });
    bench.up(1, P2P);
    bench.join(first, &[neighbor_lsa(first, PLAIN, &[])]);
    let far = peer_id(50);
    let mut nth = 1;
    let mut change = |bench: &mut Bench| {
        nth += 1;
        let metric = u16::try_from(nth).unwrap();
        let near = [to_router(OWN, first.address, 10), to_router(far, ip("10.5.0.1"), metric)];
        let back = [to_router(first.id, ip("10.5.0.2"), 1)];
        bench.flood(
            first,
            &[router_lsa_nth(far, nth, PLAIN, &back), router_lsa_nth(first.id, nth, PLAIN, &near)],
        );
    };
    bench.run_for(secs(20));
    change(&mut bench);
    bench.run_for(secs(1));
    change(&mut bench);
    let runs = bench.ospf.state().stats().spf_runs;
    bench.run_for(secs(4));
    change(&mut bench);
    assert_eq!(bench.ospf.state().stats().spf_runs, runs, "a run is pending");
    bench.run_for(secs(8));
    assert_eq!(bench.ospf.state().stats().spf_runs, runs + 1);
    assert_eq!(bench.ospf.state().backoff(), bugle_lsdb::BackoffState::LongWait);
    bench.run_for(secs(3));
    assert_eq!(bench.ospf.state().backoff(), bugle_lsdb::BackoffState::Quiet);
}

#[test]
fn a_stub_router_elsewhere_is_the_last_resort() {
    let far = peer_id(50);
    let through = |metric| [to_router(far, ip("10.5.0.1"), metric)];
    let (mut bench, [first, second]) =
        between([PLAIN, PLAIN], [&through(0xffff), &through(60_000)]);
    let back = [to_router(first.id, ip("10.5.0.2"), 1), to_router(second.id, ip("10.6.0.2"), 1)];
    let links = [&back[..], &[stub("10.9.0.0/24", 1)]].concat();
    bench.flood(first, &[router_lsa(far, PLAIN, &links)]);
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [second.address]);
    bench.input(Input::Interface(IfIndex(2), None));
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [first.address]);
    assert_eq!(bench.routes[&prefix("10.9.0.0/24")].cost, 10 + 0xffff + 1);
}

#[test]
fn lsas_of_ours_give_no_routes() {
    let first = peer(1, 2);
    let mut bench = Bench::beside(first, &[neighbor_lsa(first, ABR, &[])]);
    let route = bugle_ospf::ExternalRoute { metric: 1, type2: true, tag: 0 };
    bench.input(Input::Host(ip("10.100.0.9"), Some(route)));
    bench.run_for(secs(1));
    assert!(bench.routes.is_empty(), "{:?}", bench.routes);
}
