//! Networks of instances in virtual time: adjacency, flooding, origination, restarts, routes against an oracle.

mod common;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{Event, ExternalRoute, Input, Mismatch, NetworkType, PathType, Rival};
use bugle_spf::SpfKind;
use bugle_types::{IfIndex, Prefix, Rng, Time};
use common::{World, router_id};

const P2P: NetworkType = NetworkType::PointToPoint;
const LAN: NetworkType = NetworkType::Broadcast;
const HOST: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 9);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn host_route(metric: u32) -> ExternalRoute {
    ExternalRoute { metric, type2: true, tag: 0 }
}

fn host_prefix() -> Prefix {
    Prefix::host(HOST.into())
}

fn chain(length: usize, seed: u64) -> World {
    let mut world = World::new(length, seed);
    for router in 1..length {
        world.join(&[router - 1, router], P2P, 10);
    }
    world
}

/// The metric of a router's route to the host, and the first gateway.
fn host_metric(world: &World, router: usize) -> Option<u32> {
    world.routes[router].get(&host_prefix()).map(bugle_ospf::Route::metric)
}

#[test]
fn two_routers_become_full_and_exchange_routes() {
    let mut world = chain(3, 1);
    let took = world.run_until(secs(3), "all Full", |w| w.full_neighbors(1) == 2);
    assert!(took < secs(2), "{took:?}");
    world.run_for(secs(3));
    assert_eq!(world.database(0), world.database(2));
    let far: Prefix = "10.0.1.0/24".parse().unwrap();
    let route = &world.routes[0][&far];
    assert_eq!((route.path, route.cost), (PathType::IntraArea, 20));
    assert_eq!(route.nexthops[0].gateway, Some("10.0.0.2".parse().unwrap()));
}

#[test]
fn a_lan_elects_and_every_router_reaches_every_other() {
    let mut world = World::new(5, 7);
    world.join(&[0, 1, 2, 3, 4], LAN, 10);
    world.join(&[4], NetworkType::Passive, 3);
    world.run_for(secs(20));
    for router in 0..5 {
        let expected = if router >= 3 { 4 } else { 2 };
        assert_eq!(world.full_neighbors(router), expected, "router {router}");
        assert_eq!(world.database(router), world.database(0));
    }
    let stub: Prefix = "10.0.1.0/24".parse().unwrap();
    assert_eq!(world.routes[0][&stub].cost, 13);
    assert_eq!(world.routes[0][&stub].nexthops[0].gateway, Some("10.0.0.5".parse().unwrap()));
}

#[test]
fn the_designated_router_dies_and_the_backup_takes_over() {
    let mut world = World::new(4, 3);
    world.join(&[0, 1, 2, 3], LAN, 10);
    world.join(&[0], NetworkType::Passive, 3);
    world.run_for(secs(20));
    world.kill(3);
    world.run_for(secs(20));
    for router in 0..3 {
        assert_eq!(world.full_neighbors(router), 2);
        let interface = world.routers[router].state().interfaces().next().unwrap().1;
        assert_eq!(interface.dr, "10.0.0.3".parse::<Ipv4Addr>().unwrap());
    }
    assert_eq!(world.routes[1][&"10.0.1.0/24".parse().unwrap()].cost, 13);
}

#[test]
fn a_host_is_known_everywhere_as_fast_as_packets_travel() {
    let mut world = chain(20, 5);
    world.run_for(secs(10));
    world.input(0, Input::Host(HOST, Some(host_route(10_000))));
    let took =
        world.run_until(secs(1), "far router has the host", |w| host_metric(w, 19).is_some());
    assert!(took <= Duration::from_micros(19 * 50 + 500), "{took:?}");
    let spf_runs: Vec<u64> = (0..20).map(|r| world.routers[r].state().stats().spf_runs).collect();
    world.input(0, Input::Host(HOST, None));
    world.run_for(secs(3));
    assert!((1..20).all(|r| host_metric(&world, r).is_none()));
    let after: Vec<u64> = (0..20).map(|r| world.routers[r].state().stats().spf_runs).collect();
    assert_eq!(spf_runs, after, "a host's coming and going runs no SPF");
}

#[test]
fn the_lowest_metric_wins_and_rivals_are_reported() {
    let mut world = chain(3, 9);
    world.run_for(secs(5));
    world.input(0, Input::Watch(HOST, true));
    world.input(0, Input::Host(HOST, Some(host_route(10_000))));
    world.run_for(secs(1));
    world.input(2, Input::Host(HOST, Some(host_route(9_999))));
    world.run_for(secs(1));
    let rival = Rival { router: router_id(2), metric: Some(9_999), count: 1 };
    assert_eq!(world.rivals[0].get(&HOST), Some(&Some(rival)));
    assert_eq!(host_metric(&world, 1), Some(9_999));
    world.input(2, Input::Host(HOST, None));
    world.run_for(secs(2));
    assert_eq!(world.rivals[0].get(&HOST), Some(&None));
    assert_eq!(host_metric(&world, 1), Some(10_000));
}

#[test]
fn one_lsa_is_never_sent_twice_within_a_second() {
    let mut world = chain(2, 11);
    world.run_for(secs(5));
    let mut rng = Rng::new(4);
    for _ in 0..200 {
        let route =
            (rng.below(3) > 0).then(|| host_route(1_000 + u32::try_from(rng.below(50)).unwrap()));
        world.input(0, Input::Host(HOST, route));
        world.run_for(Duration::from_millis(rng.below(400)));
    }
    let key = world.originations[0].keys().find(|key| key.link_state_id == HOST).copied().unwrap();
    let times = &world.originations[0][&key];
    assert!(times.len() > 10);
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= secs(1)), "{times:?}");
    // The last word is what everybody ends with.
    world.input(0, Input::Host(HOST, Some(host_route(77))));
    world.run_for(secs(3));
    assert_eq!(host_metric(&world, 1), Some(77));
}

#[test]
fn a_restarted_router_takes_up_its_sequence_numbers_and_flushes_what_it_no_longer_wants() {
    let mut world = chain(3, 13);
    world.run_for(secs(5));
    let kept = Ipv4Addr::new(10, 100, 0, 1);
    for _ in 0..3 {
        world.input(0, Input::Host(HOST, Some(host_route(10_000))));
        world.input(0, Input::Host(kept, Some(host_route(10_000))));
        world.run_for(secs(2));
        world.input(0, Input::Host(HOST, Some(host_route(9_000))));
        world.input(0, Input::Host(kept, Some(host_route(9_000))));
        world.run_for(secs(2));
    }
    world.kill(0);
    world.run_for(secs(1));
    world.restart(0);
    world.input(0, Input::Host(kept, Some(host_route(10_000))));
    let took = world.run_until(secs(8), "Full again", |w| w.full_neighbors(0) == 1);
    assert!(took < secs(3), "{took:?}");
    assert!(
        host_metric(&world, 2).is_some(),
        "what a previous run advertised is left alone at first"
    );
    world.run_for(secs(11));
    assert_eq!(world.database(0), world.database(2));
    assert_eq!(host_metric(&world, 2), None, "the host that is gone was flushed");
    let kept_route = &world.routes[2][&Prefix::host(kept.into())];
    assert_eq!(kept_route.metric(), 10_000);
    assert_eq!(world.routes[2][&"10.0.0.0/24".parse().unwrap()].cost, 20);
}

#[test]
fn shutting_down_leaves_nothing_behind_and_neighbours_know_at_once() {
    let mut world = chain(3, 17);
    world.run_for(secs(5));
    world.input(0, Input::Host(HOST, Some(host_route(10_000))));
    world.run_for(secs(2));
    world.input(0, Input::Shutdown);
    let took = world.run_until(secs(3), "stopped", |w| w.routers[0].is_stopped());
    assert!(took < secs(2), "{took:?}");
    world.run_for(Duration::from_millis(10));
    assert_eq!(world.full_neighbors(1), 1);
    assert_eq!(host_metric(&world, 2), None);
    world.run_for(secs(3));
    let ours = world.database(2).keys().filter(|k| k.advertising_router == router_id(0)).count();
    assert_eq!(ours, 0);
}

#[test]
fn the_sequence_number_wraps_around() {
    use bugle_wire::ospf::{
        ExternalLsa, LsaKey, LsaType, Options, SequenceNumber, UpdateBuilder, build_lsa,
        external_body,
    };
    let mut world = chain(3, 19);
    world.run_for(secs(5));
    world.input(0, Input::Host(HOST, Some(host_route(10_000))));
    world.run_for(secs(3));
    // Somebody plays back our LSA with the last sequence number there is.
    let key = LsaKey {
        ls_type: LsaType::AS_EXTERNAL,
        link_state_id: HOST,
        advertising_router: router_id(0),
    };
    let body = external_body(&ExternalLsa {
        mask: Ipv4Addr::BROADCAST,
        type2: true,
        metric: 5,
        forwarding: Ipv4Addr::UNSPECIFIED,
        tag: 0,
    });
    let lsa = build_lsa(Options::E, key, SequenceNumber::MAX, 1, &body);
    let header = bugle_wire::ospf::Header {
        router_id: router_id(1),
        area: bugle_types::AreaId::BACKBONE,
        auth: bugle_wire::ospf::Auth::Null,
    };
    let mut update = UpdateBuilder::new(&header);
    assert!(update.push(&lsa, 1));
    let bytes = update.finish();
    let (src, dst) = ("10.0.0.2".parse().unwrap(), Ipv4Addr::new(224, 0, 0, 5));
    world.input(0, Input::Packet { ifindex: IfIndex(1), src, dst, bytes: &bytes });
    world.run_for(secs(8));
    assert_eq!(host_metric(&world, 2), Some(10_000));
    let sequence = world.database(2)[&key].0;
    assert!(sequence < 0, "it started over: {sequence:#x}");
    assert_eq!(world.database(0), world.database(2));
}

#[test]
fn lsas_are_refreshed_before_they_age_and_age_out_without_their_originator() {
    let mut world = chain(3, 23);
    world.run_for(secs(5));
    world.input(0, Input::Host(HOST, Some(host_route(10_000))));
    world.run_for(secs(4_000));
    assert_eq!(host_metric(&world, 2), Some(10_000), "refreshed");
    world.kill(0);
    world.run_for(secs(10));
    assert_eq!(host_metric(&world, 2), None, "unreachable");
    assert!(world.database(2).keys().any(|key| key.link_state_id == HOST), "not yet aged out");
    world.run_for(secs(3_700));
    assert!(!world.database(2).keys().any(|key| key.link_state_id == HOST), "aged out");
    assert_eq!(world.database(1), world.database(2));
}

#[test]
fn differences_in_configuration_are_named() {
    type Change = fn(&mut bugle_ospf::InterfaceConfig);
    let cases: [(&str, NetworkType, Change); 4] = [
        ("hello-interval-mismatch", P2P, |c| c.hello = Duration::from_secs(2)),
        ("dead-interval-mismatch", P2P, |c| c.dead = Duration::from_secs(8)),
        ("mask-mismatch", LAN, |c| c.prefix_length = 25),
        ("mtu-mismatch", P2P, |c| c.mtu = 9_000),
    ];
    for (name, network_type, change) in cases {
        let mut world = World::new(2, 29);
        let segment = world.join(&[0, 1], network_type, 10);
        let mut config = world.interface_config(1, segment);
        change(&mut config);
        world.set_interface(1, IfIndex(1), Some(config));
        world.run_for(secs(15));
        let mut told = Vec::new();
        for (_, event) in &world.events[0] {
            if let Event::Mismatch { mismatch, .. } = event {
                told.push(mismatch.name());
            }
        }
        assert_eq!(told, [name]);
        assert_eq!(world.full_neighbors(0), 0);
        let interface = world.routers[0].state().interfaces().next().unwrap().1.clone();
        assert!(interface.drops[name] > 1, "{name}: {:?}", interface.drops);
    }
}

#[test]
fn a_duplicate_router_id_is_named() {
    let mut world = World::new(2, 31);
    let twin = bugle_ospf::Config::new(router_id(0), bugle_types::AreaId::BACKBONE);
    world.routers[1] = bugle_ospf::Ospf::new(twin, 5);
    world.join(&[0, 1], P2P, 10);
    world.run_for(secs(5));
    assert!(world.events[0].iter().any(|(_, event)| matches!(
        event,
        Event::Mismatch { mismatch: Mismatch::DuplicateRouterId(_), .. }
    )));
}

#[test]
fn a_far_change_costs_a_router_what_is_behind_it() {
    let mut world = chain(20, 43);
    world.run_for(secs(10));
    let before = world.routers[0].state().routing().distance(router_id(19)).unwrap();
    let mut config = world.interface_config(18, 18);
    config.cost += 7;
    world.set_interface(18, IfIndex(19), Some(config));
    world.run_for(secs(5));
    let state = world.routers[0].state();
    assert_eq!(state.routing().distance(router_id(19)), Some(before + 7));
    let run = state.routing().last_run();
    assert_eq!(run.kind, SpfKind::Incremental);
    assert_eq!((run.nodes_visited, run.nodes_changed), (1, 1));
    assert!(state.routing().spf_counts().incremental > 0);
}

#[test]
fn equal_cost_paths_are_all_used() {
    let mut world = World::new(4, 37);
    for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        world.join(&[a, b], P2P, 10);
    }
    world.run_for(secs(5));
    world.input(3, Input::Host(HOST, Some(host_route(10_000))));
    world.run_for(secs(1));
    assert_eq!(world.routes[0][&host_prefix()].nexthops.len(), 2);
    world.set_segment(0, false);
    world.run_for(secs(6));
    assert_eq!(world.routes[0][&host_prefix()].nexthops.len(), 1);
}

/// Distances by definition, over the links whose routers are alive.
fn distances(links: &[(usize, usize, u16)], routers: usize, root: usize) -> Vec<Option<u32>> {
    let mut distance = vec![None; routers];
    distance[root] = Some(0);
    for _ in 0..routers {
        for &(a, b, cost) in links {
            for (from, to) in [(a, b), (b, a)] {
                if let Some(base) = distance[from] {
                    let through = base + u32::from(cost);
                    if distance[to].is_none_or(|known| known > through) {
                        distance[to] = Some(through);
                    }
                }
            }
        }
    }
    distance
}

#[test]
fn random_networks_under_loss_settle_on_equal_databases_and_right_routes() {
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let routers = 4 + usize::try_from(rng.below(5)).unwrap();
        let mut world = World::new(routers, seed);
        world.loss = 10;
        let mut links = Vec::new();
        for router in 1..routers {
            let peer = usize::try_from(rng.below(router as u64)).unwrap();
            links.push((peer, router, 1 + u16::try_from(rng.below(20)).unwrap()));
        }
        for _ in 0..routers {
            let a = usize::try_from(rng.below(routers as u64)).unwrap();
            let b = usize::try_from(rng.below(routers as u64)).unwrap();
            if a != b {
                links.push((a, b, 1 + u16::try_from(rng.below(20)).unwrap()));
            }
        }
        for &(a, b, cost) in &links {
            world.join(&[a, b], P2P, cost);
        }
        world.run_for(secs(15));
        // Hosts come and go, a link fails silently, a router restarts, all under loss.
        for step in 0..20 {
            let router = usize::try_from(rng.below(routers as u64)).unwrap();
            let host = Ipv4Addr::new(10, 100, 0, u8::try_from(rng.below(6)).unwrap());
            let route = (rng.below(2) == 0).then(|| host_route(1_000 + step));
            world.input(router, Input::Host(host, route));
            world.run_for(Duration::from_millis(rng.below(800)));
        }
        let broken = usize::try_from(rng.below(links.len() as u64)).unwrap();
        world.set_segment(broken, false);
        world.run_for(secs(3));
        world.kill(routers - 1);
        world.run_for(secs(2));
        world.restart(routers - 1);
        world.run_for(secs(10));
        world.set_segment(broken, true);
        world.run_for(secs(20));
        world.loss = 0;
        world.run_for(secs(25));

        let mut advertised: BTreeMap<usize, u32> = BTreeMap::new();
        for router in 0..routers {
            world.input(router, Input::Host(HOST, Some(host_route(50))));
            advertised.insert(router, 50);
        }
        world.run_for(secs(3));
        for router in 0..routers {
            assert_eq!(world.database(router), world.database(0), "seed {seed} router {router}");
            let state = world.routers[router].state();
            assert!(state.neighbors().all(|n| n.state == NeighborState::Full), "seed {seed}");
            assert!(state.neighbors().all(|n| n.retransmit_count() == 0 && n.request_count() == 0));
            let distance = distances(&links, routers, router);
            for (segment, &(a, b, cost)) in links.iter().enumerate() {
                let prefix =
                    Prefix::new(Ipv4Addr::new(10, 0, u8::try_from(segment).unwrap(), 0).into(), 24);
                let expected =
                    [a, b].iter().filter_map(|&end| distance[end]).min().unwrap() + u32::from(cost);
                match world.routes[router].get(&prefix.unwrap()) {
                    Some(route) => {
                        assert_eq!(route.cost, expected, "seed {seed}: {router} to {prefix:?}");
                    }
                    None => {
                        assert!(a == router || b == router, "seed {seed}: {router} to {prefix:?}");
                    }
                }
            }
            let nearest = (0..routers).filter(|&r| r != router).filter_map(|r| distance[r]).min();
            let route = &world.routes[router][&host_prefix()];
            assert_eq!((route.metric(), Some(route.cost)), (50, nearest));
        }
    }
}

#[test]
fn a_router_that_joins_a_lan_does_not_displace_its_designated_router() {
    let mut world = World::new(4, 47);
    let lan = world.join(&[0, 1, 2, 3], LAN, 10);
    // The last has the highest id, and comes late.
    world.kill(3);
    world.run_for(secs(20));
    world.restart(3);
    world.run_for(secs(20));
    for router in 0..4 {
        let interface = &world.interface(router, lan);
        assert_eq!((interface.dr, interface.bdr), (lan_address(2), lan_address(1)));
    }
}

fn lan_address(router: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, router + 1)
}

/// A segment as the oracle sees it: a LAN or not, and the cost that each member gives it.
struct Link {
    lan: bool,
    costs: BTreeMap<usize, u16>,
}

/// The shortest distances from a router to all routers and, behind them, to the LANs.
fn lan_distances(links: &[Link], routers: usize, root: usize) -> Vec<Option<u32>> {
    let mut distance: Vec<Option<u32>> = vec![None; routers + links.len()];
    distance[root] = Some(0);
    for _ in 0..distance.len() {
        let mut offer = |from: usize, to: usize, cost: u16| {
            if let Some(through) = distance[from].map(|base| base + u32::from(cost))
                && distance[to].is_none_or(|known| known > through)
            {
                distance[to] = Some(through);
            }
        };
        for (segment, link) in links.iter().enumerate() {
            for (&from, &cost) in &link.costs {
                if link.lan {
                    offer(from, routers + segment, cost);
                    offer(routers + segment, from, 0);
                    continue;
                }
                for &to in link.costs.keys().filter(|&&to| to != from) {
                    offer(from, to, cost);
                }
            }
        }
    }
    distance
}

#[test]
fn random_lans_under_loss_and_change_settle_on_equal_databases_and_right_routes() {
    for seed in 100..116 {
        let mut rng = Rng::new(seed);
        let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
        let routers = 5 + below(4);
        let mut world = World::new(routers, seed);
        world.loss = 10;
        // One LAN of some, and everybody else attached to somebody before, by a LAN or a point-to-point link.
        let mut links: Vec<Link> = Vec::new();
        let mut attach = |world: &mut World, members: &[usize], lan: bool| {
            world.join(members, if lan { LAN } else { P2P }, 10);
            links.push(Link { lan, costs: members.iter().map(|&member| (member, 10)).collect() });
        };
        let first: Vec<usize> = (0..3 + below(routers - 3)).collect();
        attach(&mut world, &first, true);
        for router in first.len()..routers {
            let other = below(router);
            attach(&mut world, &[other, router], below(2) == 0);
        }
        attach(&mut world, &[0, routers - 1], below(2) == 0);
        world.run_for(secs(10));
        for step in 0..25u32 {
            let router = below(routers);
            let segment = below(links.len());
            match below(6) {
                0 | 1 => {
                    let host = Ipv4Addr::new(10, 100, 0, u8::try_from(below(6)).unwrap());
                    let route = (below(2) == 0).then(|| host_route(1_000 + step));
                    world.input(router, Input::Host(host, route));
                }
                2 => {
                    world.set_segment(segment, false);
                    world.run_for(secs(below(8) as u64));
                    world.set_segment(segment, true);
                }
                3 => {
                    if below(2) == 0 {
                        world.input(router, Input::Shutdown);
                        world.run_for(secs(2));
                    }
                    world.kill(router);
                    world.run_for(secs(below(8) as u64));
                    world.restart(router);
                }
                4 | 5 => {
                    let members: Vec<usize> = links[segment].costs.keys().copied().collect();
                    let member = members[below(members.len())];
                    let cost = u16::try_from(1 + below(30)).unwrap();
                    links[segment].costs.insert(member, cost);
                    let mut config = world.interface_config(member, segment);
                    config.cost = cost;
                    // The first member can always be the designated router.
                    let least = usize::from(member == members[0]);
                    config.priority = u8::try_from(least + below(3)).unwrap();
                    let ifindex = IfIndex(u32::try_from(segment).unwrap() + 1);
                    if below(3) == 0 {
                        world.set_interface(member, ifindex, None);
                        world.run_for(secs(1));
                    }
                    world.set_interface(member, ifindex, Some(config));
                }
                _ => {}
            }
            world.run_for(Duration::from_millis(below(1_500) as u64));
        }
        world.run_for(secs(30));
        world.loss = 0;
        world.run_for(secs(30));
        for router in 0..routers {
            let what = format!("seed {seed} router {router}");
            assert_eq!(world.database(router), world.database(0), "{what}");
            let state = world.routers[router].state();
            assert!(state.neighbors().all(|n| n.retransmit_count() == 0), "{what}");
            assert!(state.neighbors().all(|n| n.request_count() == 0), "{what}");
            let distance = lan_distances(&links, routers, router);
            for (segment, link) in links.iter().enumerate() {
                let (one, _) = link.costs.first_key_value().unwrap();
                if !link.costs.contains_key(&router) {
                    let network = Ipv4Addr::new(10, 0, u8::try_from(segment).unwrap(), 0);
                    let through =
                        |(&end, &cost): (&usize, &u16)| Some(distance[end]? + u32::from(cost));
                    let expected = link.costs.iter().filter_map(through).min();
                    let route = world.routes[router].get(&Prefix::new(network.into(), 24).unwrap());
                    assert_eq!(route.map(|route| route.cost), expected, "{what} to {network}");
                } else if link.lan {
                    let (ours, its) =
                        (world.interface(router, segment), world.interface(*one, segment));
                    assert_eq!((ours.dr, ours.bdr), (its.dr, its.bdr), "{what} on {segment}");
                    assert!(!ours.dr.is_unspecified());
                }
            }
        }
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = || {
        let mut world = chain(5, 41);
        world.loss = 5;
        world.run_for(secs(10));
        world.input(0, Input::Host(HOST, Some(host_route(10_000))));
        world.run_for(secs(10));
        world.events
    };
    assert_eq!(run(), run());
}

#[test]
fn any_bytes_are_survived() {
    let mut world = chain(2, 43);
    world.run_for(secs(5));
    let mut rng = Rng::new(8);
    let (src, dst) = ("10.0.0.2".parse().unwrap(), Ipv4Addr::new(224, 0, 0, 5));
    for round in 0..20_000 {
        let length = usize::try_from(rng.below(120)).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
        // Most get as far as the body: right version, type, length, area, sender; authentication null, checksum right.
        if length >= 24 && round % 8 > 0 {
            bytes[0] = 2;
            bytes[1] = 1 + bytes[1] % 5;
            bytes[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            bytes[4..8].copy_from_slice(&router_id(1).0.to_be_bytes());
            bytes[8..24].fill(0);
            let sum = bytes.chunks(2).fold(0u32, |sum, pair| {
                sum + u32::from(pair[0]) * 256 + u32::from(pair.get(1).copied().unwrap_or(0))
            });
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
            bytes[12..14].copy_from_slice(&sum.to_be_bytes());
        }
        world.input(0, Input::Packet { ifindex: IfIndex(1), src, dst, bytes: &bytes });
    }
    world.run_for(secs(20));
    assert_eq!(world.full_neighbors(0), 1);
    assert_eq!(world.now.since(Time::ZERO).as_secs(), 26);
}
