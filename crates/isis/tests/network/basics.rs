//! Links, LANs and hosts.

use std::time::Duration;

use bugle_isis::{CircuitKind, Event, Input, PathType, PduCounts, Rival, claim_metric, claim_of};
use bugle_wire::isis::{Level, PduType};

use crate::common::{World, host, prefix, system_id};

pub(crate) const P2P: CircuitKind = CircuitKind::PointToPoint;
const LAN: CircuitKind = CircuitKind::Broadcast;
const HOST: &str = "10.100.0.9/32";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn chain(length: usize, seed: u64) -> World {
    let mut world = World::new(length, seed);
    for system in 1..length {
        world.join(&[system - 1, system], P2P, 10);
    }
    world
}

fn metric(world: &World, system: usize, text: &str) -> Option<u32> {
    world.routes[system].get(&prefix(text)).map(|route| route.metric)
}

#[test]
fn three_systems_come_up_and_exchange_routes() {
    let mut world = chain(3, 1);
    let took = world.run_until(secs(3), "all up", |w| w.up(1) == 2 && w.up(0) + w.up(2) == 2);
    assert!(took < secs(1), "{took:?}");
    world.run_for(secs(3));
    assert_eq!(world.database(0, Level::L2).len(), 3);
    assert_eq!(world.database(0, Level::L2), world.database(2, Level::L2));
    let route = &world.routes[0][&prefix("10.0.1.0/24")];
    assert_eq!((route.path, route.metric), (PathType::Level2, 20));
    assert_eq!(route.nexthops[0].gateway, Some("10.0.0.2".parse().unwrap()));
    let route = &world.routes[0][&prefix("2001:db8:0:2::/64")];
    assert_eq!(route.metric, 20);
    assert_eq!(route.nexthops[0].gateway, Some("fe80::1:2".parse().unwrap()));
    assert_eq!(world.systems[0].state().hostname(system_id(2)), Some("host-2"));
    assert!(world.systems[0].state().in_step());
}

#[test]
fn a_lan_elects_and_every_system_reaches_every_other() {
    let mut world = World::new(5, 7);
    world.join(&[0, 1, 2, 3, 4], LAN, 10);
    world.join(&[4], CircuitKind::Passive, 3);
    world.run_for(secs(20));
    for system in 0..5 {
        assert_eq!(world.up(system), 4, "system {system}");
        assert_eq!(world.database(system, Level::L2), world.database(0, Level::L2));
    }
    // The pseudonode beside the systems.
    assert_eq!(world.database(0, Level::L2).len(), 6);
    assert_eq!(metric(&world, 0, "10.0.1.0/24"), Some(13));
    let route = &world.routes[0][&prefix("10.0.1.0/24")];
    assert_eq!(route.nexthops[0].gateway, Some("10.0.0.5".parse().unwrap()));
}

#[test]
fn who_is_not_heard_on_a_lan_is_reached_through_the_designated_system() {
    let mut world = World::new(4, 8);
    world.join(&[0, 1, 2, 3], LAN, 10);
    world.join(&[1], CircuitKind::Passive, 3);
    world.run_for(secs(20));
    let gateways = |world: &World| {
        ["10.0.1.0/24", "2001:db8:0:2::/64"].map(|network| {
            let route = world.routes[0].get(&prefix(network));
            route.map(|route| (route.metric, route.nexthops[0].gateway.unwrap().to_string()))
        })
    };
    let through = |system: usize| {
        [format!("10.0.0.{}", system + 1), format!("fe80::1:{}", system + 1)]
            .map(|gateway| Some((13, gateway)))
    };
    assert_eq!(gateways(&world), through(1));
    world.deaf.insert([0, 1]);
    world.run_for(secs(10));
    assert_eq!((world.up(0), world.up(1), world.up(3)), (2, 2, 3));
    assert_eq!(gateways(&world), through(3), "3 is designated");
    world.kill(3);
    world.run_for(secs(20));
    assert_eq!(gateways(&world), through(2), "2 has taken over");
    world.deaf.clear();
    world.run_for(secs(10));
    assert_eq!(gateways(&world), through(1));
    // Whom the designated system does not hear its pseudonode does not name.
    world.deaf.insert([1, 2]);
    world.run_for(secs(20));
    assert_eq!(gateways(&world), [None, None]);
}

#[test]
fn the_designated_system_dies_and_another_takes_over() {
    let mut world = World::new(4, 3);
    world.join(&[0, 1, 2, 3], LAN, 10);
    world.join(&[0], CircuitKind::Passive, 3);
    world.run_for(secs(20));
    let lan_id = |world: &World, system: usize| {
        let circuit = world.systems[system].state().circuits().next().unwrap().1;
        circuit.lan_id.l2.map(|id| id.system)
    };
    assert_eq!(lan_id(&world, 0), Some(system_id(3)));
    world.kill(3);
    world.run_for(secs(20));
    for system in 0..3 {
        assert_eq!((world.up(system), lan_id(&world, system)), (2, Some(system_id(2))));
    }
    assert_eq!(metric(&world, 1, "10.0.1.0/24"), Some(13));
}

#[test]
fn a_host_is_known_everywhere_as_fast_as_pdus_travel() {
    let mut world = chain(20, 5);
    world.run_for(secs(10));
    let runs = |world: &World| -> Vec<u64> {
        (0..20).map(|system| world.systems[system].state().stats().spf_runs).collect()
    };
    let before = runs(&world);
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(10_000)))));
    let took =
        world.run_until(secs(1), "the far system has the host", |w| metric(w, 19, HOST).is_some());
    assert!(took <= Duration::from_micros(19 * 50 + 500), "{took:?}");
    assert_eq!(metric(&world, 19, HOST), Some(claim_metric(10_000) + 190));
    // The second change soon afterwards waits ten milliseconds.
    world.input(0, Input::Host(prefix(HOST), None));
    let took = world
        .run_until(secs(1), "the host is gone", |w| (1..20).all(|s| metric(w, s, HOST).is_none()));
    assert!(took <= Duration::from_millis(12), "{took:?}");
    assert_eq!(before, runs(&world), "a host's coming and going runs no SPF");
}

#[test]
fn an_lsp_is_told_with_the_hosts_of_which_it_says_something_else() {
    let mut world = chain(2, 5);
    world.run_for(secs(10));
    world.events[0].clear();
    for (route, advertised) in [(Some(host(5)), true), (Some(host(4)), true), (None, false)] {
        world.input(0, Input::Host(prefix(HOST), route));
        world.run_for(secs(3));
        let told: Vec<_> = std::mem::take(&mut world.events[0])
            .into_iter()
            .filter_map(|(_, event)| {
                let Event::Originated { hosts, .. } = event else { return None };
                Some(hosts)
            })
            .collect();
        assert_eq!(told, [[(prefix(HOST), advertised)]]);
    }
}

#[test]
fn hellos_are_not_answered_for_ever_while_bfd_keeps_an_adjacency_from_coming_up() {
    let mut world = World::new(2, 5);
    world.recording = true;
    world.join_with(&[0, 1], P2P, 10, |circuit| circuit.bfd = true);
    world.run_for(secs(10));
    // One a second of each, and those that answered the first.
    assert!((20..30).contains(&world.sent.len()), "{}", world.sent.len());
    assert_eq!(world.up(0), 0);
}

#[test]
fn of_two_claims_that_are_equal_the_higher_system_id_is_named() {
    let mut world = chain(3, 9);
    world.run_for(secs(5));
    world.input(1, Input::Watch(prefix(HOST), true));
    for system in [2, 0] {
        world.input(system, Input::Host(prefix(HOST), Some(host(claim_metric(10_000)))));
        world.run_for(secs(1));
        let rival = world.rivals[1][&prefix(HOST)].unwrap();
        assert_eq!(rival.system, system_id(2));
    }
    let rival = world.rivals[1][&prefix(HOST)].unwrap();
    assert_eq!((rival.metric, rival.count), (Some(claim_metric(10_000)), 2));
    // Both are reached, side by side.
    assert_eq!(world.routes[1][&prefix(HOST)].nexthops.len(), 2);
}

#[test]
fn pdus_are_counted_by_type() {
    let mut world = chain(2, 5);
    world.run_for(secs(10));
    let [one, other] = [0, 1].map(|system: usize| world.systems[system].state().stats());
    for pdu in PduType::ALL {
        assert_eq!(one.sent_by_type.of(pdu), other.received_by_type.of(pdu), "{pdu:?}");
        let spoken = matches!(pdu, PduType::P2pHello | PduType::Lsp(Level::L2));
        assert!(!spoken || one.sent_by_type.of(pdu) > 0, "{pdu:?}");
    }
    let all = |counts: PduCounts| PduType::ALL.map(|pdu| counts.of(pdu)).iter().sum::<u64>();
    assert_eq!((all(one.sent_by_type), all(one.received_by_type)), (one.sent, one.received));
}

#[test]
fn the_lowest_claim_wins_wherever_it_is_and_rivals_are_reported() {
    let mut world = chain(3, 9);
    world.run_for(secs(5));
    world.input(0, Input::Watch(prefix(HOST), true));
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(10_000)))));
    world.run_for(secs(1));
    world.input(2, Input::Host(prefix(HOST), Some(host(claim_metric(9_999)))));
    world.run_for(secs(1));
    let rival = Rival { system: system_id(2), metric: Some(claim_metric(9_999)), count: 1 };
    assert_eq!(world.rivals[0].get(&prefix(HOST)), Some(&Some(rival)));
    assert_eq!(metric(&world, 1, HOST).map(claim_of), Some(9_999));
    world.input(2, Input::Host(prefix(HOST), None));
    world.run_for(secs(2));
    assert_eq!(world.rivals[0].get(&prefix(HOST)), Some(&None));
    assert_eq!(metric(&world, 1, HOST).map(claim_of), Some(10_000));
}

#[test]
fn a_thousand_hosts_are_spread_over_fragments_and_all_arrive() {
    let mut world = chain(2, 11);
    world.run_for(secs(5));
    for number in 0..1000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a64_0000 + number);
        let host = bugle_types::Prefix::host(address.into());
        world.input(0, Input::Host(host, Some(crate::common::host(claim_metric(10_000)))));
    }
    world.run_for(secs(3));
    let routes = world.routes[1].keys().filter(|prefix| prefix.is_host()).count();
    assert_eq!(routes, 1000);
    let fragments = world.database(1, Level::L2).len();
    assert!((8..=16).contains(&fragments), "{fragments}");
}
