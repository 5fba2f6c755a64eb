//! Our own LSAs (RFC 2328 sections 12.4, 13.4, 14.1; RFC 6987).

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{Event, ExternalRoute, Input, InterfaceConfig, NetworkType};
use bugle_types::IfIndex;
use bugle_wire::ospf::{
    Body, DdFlags, Lsa, LsaBody, LsaHeader, LsaKey, LsaType, MAX_AGE, RouterFlags, RouterLink,
    RouterLinkKind, SequenceNumber, network_body, router_body, summary_body,
};

use crate::bench::{
    Bench, E2, FIRST, OWN, Peer, Says, Sent, external_lsa, header, interface, ip, key, link, lsa,
    millis, neighbor_lsa, network_lsa, peer, peer_id, router_lsa_nth, secs, stub, to_router,
};

const P2P: NetworkType = NetworkType::PointToPoint;
const LAN: NetworkType = NetworkType::Broadcast;
const HOST: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 9);

fn own_id() -> Ipv4Addr {
    Ipv4Addr::from(OWN.0)
}

fn router_key() -> LsaKey {
    key(LsaType::ROUTER, own_id(), OWN)
}

fn host_key() -> LsaKey {
    key(LsaType::AS_EXTERNAL, HOST, OWN)
}

fn advertise(bench: &mut Bench, metric: u32) {
    bench.input(Input::Host(HOST, Some(ExternalRoute { metric, type2: true, tag: 7 })));
}

fn nth(header: LsaHeader) -> i32 {
    header.sequence.0 - SequenceNumber::INITIAL.0 + 1
}

/// The links of our router-LSA as the database has it.
fn links(bench: &Bench) -> Vec<RouterLink> {
    let state = bench.ospf.state();
    let (_, stored) = state.database().find(|(key, _)| key.lsa == router_key()).unwrap();
    let body = match Lsa::parse(stored.bytes()).unwrap().body() {
        Ok(LsaBody::Router(body)) => Some(body),
        Ok(_) | Err(_) => None,
    };
    let body = body.unwrap();
    assert_eq!(body.flags, RouterFlags::E);
    body.links.collect()
}

/// With a neighbour that is Full on each of so many point-to-point links, for some seconds.
fn amid(neighbors: u8) -> (Bench, Vec<Peer>) {
    let mut bench = Bench::new();
    let peers: Vec<Peer> = (0..neighbors).map(|n| peer(u32::from(n) + 1, n + 2)).collect();
    for &peer in &peers {
        bench.up(peer.ifindex.0, P2P);
        bench.join(peer, &[neighbor_lsa(peer, RouterFlags::NONE, &[])]);
    }
    bench.run_for(secs(5));
    bench.take();
    (bench, peers)
}

#[test]
fn point_to_point_links_are_described_when_full_and_their_networks_always() {
    let mut bench = Bench::new();
    let with_stub =
        InterfaceConfig { stubs: vec!["10.50.0.0/24".parse().unwrap()], ..interface(1, P2P) };
    bench.configure(with_stub, 1);
    bench.up(2, P2P);
    bench.configure(
        InterfaceConfig { prefix_length: 32, cost: 7, ..interface(3, NetworkType::Passive) },
        3,
    );
    bench.configure(InterfaceConfig { cost: 7, ..interface(4, NetworkType::Passive) }, 4);
    let first = peer(1, 2);
    bench.meet(peer(2, 3));
    bench.join(first, &[]);
    assert_eq!(
        links(&bench),
        [
            to_router(first.id, ip("10.0.1.1"), 10),
            stub("10.0.1.0/24", 10),
            stub("10.50.0.0/24", 10),
            stub("10.0.2.0/24", 10),
            stub("10.0.3.1/32", 0),
            stub("10.0.4.0/24", 7),
        ]
    );
}

#[test]
fn a_lan_is_a_stub_network_until_we_are_full_with_its_designated_router() {
    let mut bench = Bench::new();
    bench.up(2, P2P);
    bench.join(peer(2, 9), &[]);
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
    bench.run_for(secs(2));
    assert_eq!(links(&bench)[0], stub("10.0.1.0/24", 10));
    let dr = Peer { dr: ip("10.0.1.2"), bdr: ip("10.0.1.3"), ..peer(1, 2) };
    let bdr = Peer { dr: ip("10.0.1.2"), bdr: ip("10.0.1.3"), ..peer(1, 3) };
    bench.meet(dr);
    bench.join(bdr, &[]);
    bench.run_for(secs(2));
    assert_eq!(links(&bench)[0], stub("10.0.1.0/24", 10), "the backup does not count");
    bench.exchange(dr, &[]);
    bench.run_for(secs(2));
    assert_eq!(links(&bench)[0], link(RouterLinkKind::Transit, dr.address, ip("10.0.1.1"), 10));
    assert!(!bench.database().contains_key(&key(LsaType::NETWORK, dr.address, OWN)));
}

#[test]
fn the_designated_router_lists_who_is_full_and_is_silent_when_alone() {
    let mut bench = Bench::new();
    bench.up(2, P2P);
    bench.join(peer(2, 9), &[]);
    bench.up(1, LAN);
    bench.run_for(secs(5));
    let network = key(LsaType::NETWORK, ip("10.0.1.1"), OWN);
    assert!(!bench.database().contains_key(&network));
    assert_eq!(links(&bench)[0], stub("10.0.1.0/24", 10));
    let peers = [2, 3].map(|n| Peer { dr: ip("10.0.1.1"), bdr: ip("10.0.1.2"), ..peer(1, n) });
    bench.join(peers[0], &[]);
    bench.meet(peers[1]);
    bench.run_for(secs(2));
    let listed = |bench: &Bench| -> Vec<u8> {
        let state = bench.ospf.state();
        let (_, stored) = state.database().find(|(key, _)| key.lsa == network).unwrap();
        stored.bytes()[20..].to_vec()
    };
    let mask = Ipv4Addr::new(255, 255, 255, 0);
    assert_eq!(listed(&bench), network_body(mask, &[OWN, peers[0].id]));
    assert_eq!(links(&bench)[0], link(RouterLinkKind::Transit, ip("10.0.1.1"), ip("10.0.1.1"), 10));
    bench.exchange(peers[1], &[]);
    bench.run_for(secs(2));
    assert_eq!(listed(&bench), network_body(mask, &[OWN, peers[0].id, peers[1].id]));
    bench.alive.retain(|peer| peer.ifindex == IfIndex(2));
    bench.run_for(secs(8));
    assert!(!bench.database().contains_key(&network));
    assert_eq!(links(&bench)[0], stub("10.0.1.0/24", 10));
}

#[test]
fn a_stub_router_advertises_links_at_the_largest_metric_and_networks_as_they_are() {
    let mut bench = Bench::with(|config| config.stub_router = true);
    bench.up(1, P2P);
    let first = peer(1, 2);
    bench.join(first, &[neighbor_lsa(first, RouterFlags::NONE, &[stub("10.9.0.0/24", 1)])]);
    bench.run_for(secs(1));
    let largest = [to_router(first.id, ip("10.0.1.1"), 0xffff), stub("10.0.1.0/24", 10)];
    assert_eq!(links(&bench), largest);
    assert_eq!(bench.routes[&"10.9.0.0/24".parse().unwrap()].cost, 11, "our own paths cost less");
    let mut config = bench.ospf.state().config().clone();
    config.stub_router = false;
    bench.run_for(secs(1));
    bench.input(Input::Config(config));
    assert_eq!(links(&bench)[0], to_router(first.id, ip("10.0.1.1"), 10));
}

#[test]
fn what_we_no_longer_say_is_flushed_whatever_it_is() {
    let (mut bench, peers) = amid(2);
    bench.run_for(secs(10));
    let any = Ipv4Addr::UNSPECIFIED;
    let left_behind = [
        lsa(key(LsaType::NETWORK, ip("10.77.0.1"), OWN), 9, &network_body(any, &[OWN])),
        lsa(key(LsaType::SUMMARY_NETWORK, ip("10.7.0.0"), OWN), 9, &summary_body(any, 1)),
        lsa(key(LsaType::SUMMARY_ASBR, ip("10.7.0.1"), OWN), 9, &summary_body(any, 1)),
        external_lsa(OWN, "10.100.0.9/32", Says { nth: 9, ..E2 }),
        lsa(key(LsaType::OPAQUE_LINK, ip("3.0.0.0"), OWN), 9, &[0; 4]),
        lsa(key(LsaType::OPAQUE_AREA, ip("1.0.0.1"), OWN), 9, &[0; 4]),
        lsa(key(LsaType::OPAQUE_AS, ip("4.0.0.0"), OWN), 9, &[0; 4]),
        // Our id in the wrong place: nobody else may flush it.
        lsa(key(LsaType::ROUTER, ip("10.7.0.1"), OWN), 9, &router_body(RouterFlags::NONE, &[])),
    ];
    for lsa in &left_behind {
        let key = header(lsa).key;
        bench.mute = true;
        bench.take();
        bench.receive(peers[0], &peers[0].update(std::slice::from_ref(lsa)));
        let sent = bench.instances(1, key);
        assert!(sent[0].1.is_max_age(), "{key}");
        assert_eq!(sent[0].1.sequence, header(lsa).sequence, "{key}");
        assert_eq!(bench.instances(2, key).len(), usize::from(key.ls_type != LsaType::OPAQUE_LINK));
        bench.mute = false;
        bench.run_for(secs(1));
        assert!(!bench.database().contains_key(&key), "{key}");
    }
    assert_eq!(bench.database().len(), 3);
}

#[test]
fn a_network_lsa_of_our_address_under_another_router_id_is_flushed() {
    let (mut bench, peers) = amid(2);
    let former = network_lsa(ip("10.0.2.1"), peer_id(200), 4, &[peer_id(200), peers[1].id]);
    bench.flood(peers[0], std::slice::from_ref(&former));
    bench.run_for(secs(1));
    assert!(!bench.database().contains_key(&header(&former).key));
    // The same if the address becomes ours later.
    let former = network_lsa(ip("10.0.9.1"), peer_id(200), 4, &[peer_id(200), peers[1].id]);
    bench.flood(peers[0], std::slice::from_ref(&former));
    bench.run_for(secs(1));
    assert!(bench.database().contains_key(&header(&former).key));
    bench.up(9, LAN);
    bench.run_for(secs(1));
    assert!(!bench.database().contains_key(&header(&former).key));
}

#[test]
fn a_newer_instance_of_ours_is_outdone_at_once_and_goes_no_further() {
    let (mut bench, peers) = amid(2);
    let forged = router_lsa_nth(OWN, 50, RouterFlags::NONE, &[stub("10.66.0.0/24", 1)]);
    bench.receive(peers[0], &peers[0].update(&[forged]));
    for ifindex in [1, 2] {
        let sent: Vec<i32> =
            bench.instances(ifindex, router_key()).iter().map(|&(_, lsa)| nth(lsa)).collect();
        assert_eq!(sent, [51], "interface {ifindex}");
    }
    assert_eq!(links(&bench).len(), 4);
    assert!(bench.events.iter().any(|e| matches!(e, Event::SelfOriginatedReceived { .. })));
}

#[test]
fn somebody_who_floods_our_lsas_again_and_again_does_not_keep_us_from_outdoing_them() {
    let (mut bench, peers) = amid(2);
    let mut forged = 50;
    for _ in 0..30 {
        forged = forged.max(nth(bench.database()[&router_key()])) + 1;
        let lsa = router_lsa_nth(OWN, forged, RouterFlags::NONE, &[]);
        bench.receive(peers[0], &peers[0].update(&[lsa]));
        bench.run_for(millis(333));
    }
    let ours = bench.instances(2, router_key());
    assert!(ours.iter().filter(|(_, lsa)| lsa.length > 24).count() >= 9, "{}", ours.len());
    bench.run_for(secs(2));
    assert_eq!(links(&bench).len(), 4);
}

#[test]
fn another_router_with_our_router_id_that_is_no_neighbour_is_told_of_and_an_old_lsa_of_ours_is_not()
{
    let (mut bench, peers) = amid(2);
    bench.run_for(secs(20));
    let told = |bench: &Bench| {
        bench.events.iter().filter(|e| matches!(e, Event::DuplicateRouterId(OWN))).count()
    };
    let answer = |bench: &mut Bench| {
        let next = nth(bench.database()[&router_key()]) + 1;
        let lsa = router_lsa_nth(OWN, next, RouterFlags::NONE, &[]);
        bench.receive(peers[0], &peers[0].update(&[lsa]));
        bench.run_for(secs(2));
    };
    for _ in 0..2 {
        answer(&mut bench);
    }
    let next = nth(bench.database()[&router_key()]) + 1;
    let flushed = router_lsa_nth(OWN, next, RouterFlags::NONE, &[]);
    bench.receive(peers[0], &peers[0].update_aged(&[flushed], MAX_AGE));
    bench.run_for(secs(2));
    assert_eq!((told(&bench), bench.ospf.state().is_duplicated()), (0, false));
    for _ in 0..40 {
        answer(&mut bench);
    }
    assert_eq!((told(&bench), bench.ospf.state().is_duplicated()), (2, true), "once a minute");
    bench.run_for(secs(60));
    assert!(!bench.ospf.state().is_duplicated());
}

#[test]
fn a_flush_of_what_we_still_say_is_undone() {
    let (mut bench, peers) = amid(2);
    advertise(&mut bench, 10);
    bench.run_for(secs(3));
    let flushed = external_lsa(OWN, "10.100.0.9/32", Says { nth: 2, ..E2 });
    bench.receive(peers[0], &peers[0].update_aged(&[flushed], MAX_AGE));
    bench.run_for(secs(2));
    let header = bench.database()[&host_key()];
    assert!(!header.is_max_age());
    assert_eq!(nth(header), 3);
}

#[test]
fn the_first_change_goes_out_at_once_and_the_next_a_second_later_merged() {
    let (mut bench, _) = amid(1);
    let start = bench.now;
    for metric in [10, 11, 12] {
        advertise(&mut bench, metric);
        bench.run_for(millis(100));
    }
    bench.run_for(secs(3));
    let sent: Vec<(Duration, i32)> = bench
        .instances(1, host_key())
        .iter()
        .map(|&(at, lsa)| (at.since(start), nth(lsa)))
        .collect();
    let interval = bench.ospf.state().config().min_ls_interval;
    assert_eq!(sent, [(Duration::ZERO, 1), (interval, 2)]);
}

#[test]
fn with_nobody_to_hear_changes_do_not_wait() {
    let mut bench = Bench::new();
    bench.up(1, P2P);
    advertise(&mut bench, 10);
    advertise(&mut bench, 11);
    assert_eq!(nth(bench.database()[&host_key()]), 2);
}

#[test]
fn a_link_costs_at_least_one() {
    let mut bench = Bench::new();
    bench.configure(InterfaceConfig { cost: 0, ..interface(1, P2P) }, 1);
    let first = peer(1, 2);
    bench.join(first, &[]);
    assert_eq!(links(&bench)[0], to_router(first.id, ip("10.0.1.1"), 1));
}

#[test]
fn neighbors_that_do_not_hear_do_not_keep_news_from_those_that_do() {
    let (mut bench, peers) = amid(3);
    advertise(&mut bench, 10);
    bench.run_for(secs(3));
    // Two do not acknowledge any more, out of step with each other; the third does.
    bench.mute = true;
    for (metric, wait) in [(11, 1_500), (12, 1_530)] {
        advertise(&mut bench, metric);
        let header = bench.database()[&host_key()];
        bench.receive(peers[2], &peers[2].ack(&[header]));
        bench.run_for(millis(wait));
        // One asks again and again besides.
        bench.receive(peers[1], &peers[1].request(&[host_key()]));
    }
    bench.take();
    let start = bench.now;
    advertise(&mut bench, 13);
    assert_eq!(bench.instances(3, host_key())[0].0, start);
}

#[test]
fn an_lsa_is_refreshed_in_time_and_unchanged() {
    let (mut bench, _) = amid(1);
    advertise(&mut bench, 10);
    let first = bench.database()[&host_key()];
    bench.run_for(secs(1_600));
    assert_eq!(bench.database()[&host_key()].sequence, first.sequence);
    bench.run_for(secs(220));
    let second = bench.database()[&host_key()];
    assert_eq!((nth(second), second.length), (2, first.length));
}

#[test]
fn a_host_that_comes_back_counts_on_from_its_last_sequence_number() {
    let (mut bench, _) = amid(1);
    advertise(&mut bench, 10);
    bench.run_for(secs(2));
    bench.input(Input::Host(HOST, None));
    bench.run_for(secs(2));
    assert!(!bench.database().contains_key(&host_key()));
    bench.run_for(secs(100));
    advertise(&mut bench, 10);
    assert_eq!(nth(bench.database()[&host_key()]), 2);
}

#[test]
fn after_a_restart_the_first_router_lsa_has_the_first_link_and_counts_on() {
    let mut bench = Bench::new();
    let before = router_lsa_nth(OWN, 33, RouterFlags::NONE, &[stub("10.66.0.0/24", 1)]);
    let peers = [peer(1, 2), peer(2, 3)];
    for peer in peers {
        bench.up(peer.ifindex.0, P2P);
        bench.meet(peer);
        bench.receive(peer, &peer.description(FIRST, 5, &[]));
    }
    // Both neighbours describe what they have of us, and one is loaded before the other.
    for peer in peers {
        bench.receive(peer, &peer.description(DdFlags::MASTER, 6, &[header(&before)]));
    }
    bench.take();
    bench.receive(peers[0], &peers[0].update(std::slice::from_ref(&before)));
    assert_eq!(bench.state(peers[0]), NeighborState::Full);
    assert_eq!(nth(bench.database()[&router_key()]), 34);
    assert_eq!(links(&bench)[0], to_router(peers[0].id, ip("10.0.1.1"), 10));
    assert_eq!(bench.state(peers[1]), NeighborState::Full, "ours is newer than what it described");
    bench.run_for(secs(2));
    assert_eq!(nth(bench.database()[&router_key()]), 35);
    assert_eq!(links(&bench).len(), 4);
}

#[test]
fn stopping_before_the_first_adjacency_does_not_wait_for_it() {
    let mut bench = Bench::new();
    let before = router_lsa_nth(OWN, 33, RouterFlags::NONE, &[]);
    let missing = external_lsa(peer_id(50), "10.100.0.1/32", E2);
    let first = peer(1, 2);
    bench.up(1, P2P);
    bench.meet(first);
    bench.receive(first, &first.description(FIRST, 5, &[]));
    let described = [header(&before), header(&missing)];
    bench.receive(first, &first.description(DdFlags::MASTER, 6, &described));
    bench.receive(first, &first.update(std::slice::from_ref(&before)));
    assert_eq!(bench.state(first), NeighborState::Loading);
    assert!(bench.database().contains_key(&router_key()));
    bench.input(Input::Shutdown);
    assert!(bench.database()[&router_key()].is_max_age());
    bench.receive(first, &first.update(&[missing]));
    bench.run_for(secs(2));
    assert!(bench.ospf.is_stopped());
}

#[test]
fn stopping_flushes_everything_until_it_is_acknowledged_and_says_goodbye() {
    let (mut bench, peers) = amid(1);
    advertise(&mut bench, 10);
    bench.run_for(secs(3));
    bench.mute = true;
    bench.take();
    bench.input(Input::Shutdown);
    let flushed: Vec<LsaKey> = bench
        .sent
        .iter()
        .flat_map(Sent::updated)
        .filter(LsaHeader::is_max_age)
        .map(|lsa| lsa.key)
        .collect();
    assert_eq!(flushed, [host_key(), router_key()]);
    // While that is under way nothing new is said.
    advertise(&mut bench, 11);
    bench.run_for(secs(3));
    assert!(!bench.ospf.is_stopped());
    assert_eq!(bench.instances(1, host_key()).len(), 3, "sent again and again");
    let headers = [bench.database()[&host_key()], bench.database()[&router_key()]];
    bench.take();
    bench.receive(peers[0], &peers[0].ack(&headers));
    assert!(bench.ospf.is_stopped());
    let last = bench.sent[0].body();
    assert!(matches!(last, Body::Hello(hello) if hello.neighbors.is_empty()));
    assert!(bench.ospf.state().interfaces().next().is_none());
}

#[test]
fn what_a_previous_run_said_holds_until_there_was_time_to_say_it_again() {
    let mut bench = Bench::new();
    let before = router_lsa_nth(OWN, 33, RouterFlags::NONE, &[stub("10.66.0.0/24", 1)]);
    let host = external_lsa(OWN, "10.100.0.9/32", Says { nth: 4, ..E2 });
    let gone = external_lsa(OWN, "10.100.0.8/32", Says { nth: 4, ..E2 });
    let missing = external_lsa(peer_id(50), "10.100.0.1/32", E2);
    let first = peer(1, 2);
    bench.up(1, P2P);
    bench.meet(first);
    bench.receive(first, &first.description(FIRST, 5, &[]));
    let described = [&before, &host, &gone, &missing].map(|lsa| header(lsa));
    bench.receive(first, &first.description(DdFlags::MASTER, 6, &described));
    // It would have been refreshed by now, and the exchange takes its time.
    bench.receive(first, &first.update_aged(&[before, host, gone.clone()], 1_790));
    bench.run_for(secs(20));
    assert_eq!(bench.state(first), NeighborState::Loading);
    assert!(bench.database().values().all(|lsa| !lsa.is_max_age()));
    bench.receive(first, &first.update(&[missing]));
    assert_eq!(bench.state(first), NeighborState::Full);
    bench.run_for(secs(9));
    advertise(&mut bench, 10);
    assert_eq!(nth(bench.database()[&host_key()]), 5);
    assert!(bench.database().contains_key(&header(&gone).key));
    bench.run_for(secs(2));
    assert!(!bench.database().contains_key(&header(&gone).key));
    assert_eq!(nth(bench.database()[&router_key()]), 34);
}

#[test]
fn a_neighbor_that_starts_over_keeps_its_link_for_two_seconds() {
    let (mut bench, peers) = amid(2);
    let first = peers[0];
    let linked = |bench: &Bench| links(bench)[0] == to_router(first.id, ip("10.0.1.1"), 10);
    bench.receive(first, &first.description(FIRST, 2_000, &[]));
    assert_eq!(bench.state(first), NeighborState::ExStart);
    bench.run_for(millis(1_900));
    assert!(linked(&bench));
    bench.run_for(millis(200));
    assert!(!linked(&bench));
    bench.exchange(first, &[]);
    bench.run_for(secs(2));
    assert!(linked(&bench));
    // In time nobody else hears of it.
    bench.take();
    bench.receive(first, &first.description(FIRST, 3_000, &[]));
    bench.run_for(secs(1));
    bench.exchange(first, &[]);
    bench.run_for(secs(3));
    assert!(linked(&bench));
    assert!(bench.instances(2, router_key()).is_empty());
    // One that does not hear us any more loses it at once.
    bench.receive(first, &first.hello(&[]));
    assert!(!linked(&bench));
}

#[test]
fn what_is_to_be_sent_again_and_flushed_at_the_same_time_is_flushed() {
    let (mut bench, _) = amid(1);
    let retransmit = interface(1, P2P).retransmit;
    assert_eq!(bench.ospf.state().config().min_ls_interval, retransmit, "by default");
    bench.mute = true;
    advertise(&mut bench, 10);
    bench.input(Input::Host(HOST, None));
    bench.take();
    bench.run_for(retransmit);
    let sent: Vec<bool> =
        bench.instances(1, host_key()).iter().map(|(_, lsa)| lsa.is_max_age()).collect();
    assert_eq!(sent, [true]);
}
