//! BFD: on LANs, for two topologies, wanted late, answered never (RFC 6213, RFC 5882 section 4).

use std::net::IpAddr;
use std::time::Duration;

use bugle_isis::{
    AdjacencyState, BfdState, Cause, CircuitConfig, CircuitKind, Event, Input, Ipv6Topology,
    claim_metric,
};
use bugle_types::IfIndex;

use crate::common::{World, host, prefix, system_id};

const P2P: CircuitKind = CircuitKind::PointToPoint;
const LAN: CircuitKind = CircuitKind::Broadcast;
const HOST: &str = "10.100.0.9/32";
const HOST6: &str = "2001:db8:100::9/128";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Tells a system of the sessions it asked for, those with these neighbours.
fn tell(world: &mut World, system: usize, state: BfdState, of: impl Fn(IpAddr) -> bool) {
    let sessions = world.sessions[system].iter().copied().filter(|(_, peer)| of(*peer));
    for (ifindex, peer) in sessions.collect::<Vec<_>>() {
        world.input(system, Input::Bfd { ifindex, peer, state });
    }
}

fn all(world: &mut World, state: BfdState) {
    for system in 0..world.systems.len() {
        tell(world, system, state, |_| true);
    }
}

/// Systems of two topologies, with BFD; the last one has a host by each version of IP.
fn watched(kind: CircuitKind, count: usize, topology: Ipv6Topology) -> World {
    let mut world = World::new(count, 51);
    for system in 0..count {
        let mut config = world.configs[system].clone();
        config.ipv6_topology = topology;
        world.configs[system] = config.clone();
        world.input(system, Input::Config(Box::new(config)));
    }
    let members: Vec<usize> = (0..count).collect();
    world.join_with(&members, kind, 10, |circuit| circuit.bfd = true);
    for text in [HOST, HOST6] {
        world.input(count - 1, Input::Host(prefix(text), Some(host(claim_metric(5)))));
    }
    world
}

/// Whether a system has routes to the two hosts.
fn routes(world: &World, system: usize) -> [bool; 2] {
    [HOST, HOST6].map(|text| world.routes[system].contains_key(&prefix(text)))
}

fn set_bfd(world: &mut World, system: usize, bfd: bool) {
    let config = CircuitConfig { bfd, ..world.circuit_config(system, 0) };
    world.set_circuit(system, IfIndex(1), Some(config));
}

/// Why adjacencies of a system that were up ended.
fn ends(world: &World, system: usize) -> Vec<Cause> {
    let events = world.events[system].iter();
    let ended = events.filter_map(|(_, event)| {
        let &Event::Adjacency { from: AdjacencyState::Up, cause, .. } = event else { return None };
        Some(cause)
    });
    ended.collect()
}

#[test]
fn on_a_lan_bfd_ends_and_holds_down_the_adjacency_of_one_neighbour_only() {
    // The lost neighbour is the designated system, and is not.
    for lost in [2, 0] {
        let mut world = watched(LAN, 3, Ipv6Topology::Standard);
        world.run_for(secs(10));
        assert_eq!(world.sessions[1].len(), 4, "two neighbours, by two versions of IP");
        assert_eq!(world.up(1), 0, "RFC 6213 section 3.2: not before BFD is up");
        all(&mut world, BfdState::Up);
        world.run_for(secs(10));
        assert_eq!([0, 1, 2].map(|system| world.up(system)), [2; 3]);
        assert_eq!(routes(&world, 1), [true; 2]);

        let other = 2 - lost;
        let position = u8::try_from(lost).unwrap() + 1;
        let of_lost = |peer: IpAddr| match peer {
            IpAddr::V4(address) => address.octets()[3] == position,
            IpAddr::V6(address) => address.octets()[15] == position,
        };
        tell(&mut world, 1, BfdState::Down, of_lost);
        assert_eq!(world.up(1), 1);
        assert_eq!(ends(&world, 1), [Cause::BfdDown]);
        world.run_for(secs(20));
        assert_eq!([1, lost, other].map(|system| world.up(system)), [1, 1, 2]);
        let left = |system: usize| {
            let state = world.systems[system].state();
            let up = state.adjacencies().filter(|a| a.state == AdjacencyState::Up);
            up.map(|adjacency| adjacency.system).collect::<Vec<_>>()
        };
        assert_eq!((left(1), left(lost)), (vec![system_id(other)], vec![system_id(other)]));

        all(&mut world, BfdState::Up);
        world.run_for(secs(10));
        assert_eq!([0, 1, 2].map(|system| world.up(system)), [2; 3]);
        assert_eq!(routes(&world, 1), [true; 2]);
    }
}

#[test]
fn of_two_topologies_only_the_one_whose_path_fails_is_lost() {
    for (kind, count) in [(P2P, 2), (LAN, 2), (LAN, 3)] {
        for (fails, left) in [("IPv6", [true, false]), ("IPv4", [false, true])] {
            let of_family = |peer: IpAddr| peer.is_ipv6() == (fails == "IPv6");
            let mut world = watched(kind, count, Ipv6Topology::Own);
            world.run_for(secs(10));
            // One topology is enough for the adjacency, and only that one is used.
            for system in 0..count {
                tell(&mut world, system, BfdState::Up, |peer| !of_family(peer));
            }
            world.run_for(secs(10));
            assert_eq!(world.up(0), count - 1);
            assert_eq!(routes(&world, 0), left, "{kind:?} {count} {fails}");
            all(&mut world, BfdState::Up);
            world.run_for(secs(10));
            assert_eq!(routes(&world, 0), [true; 2], "{kind:?} {count} {fails}");

            world.events.iter_mut().for_each(Vec::clear);
            for system in 0..count {
                tell(&mut world, system, BfdState::Down, of_family);
            }
            world.run_for(secs(10));
            assert_eq!(routes(&world, 0), left, "{kind:?} {count} {fails}");
            assert_eq!((world.up(0), ends(&world, 0)), (count - 1, vec![]));

            all(&mut world, BfdState::Up);
            world.run_for(secs(10));
            assert_eq!(routes(&world, 0), [true; 2], "{kind:?} {count} {fails}");
        }
    }
}

#[test]
fn on_a_lan_no_next_hop_is_the_neighbour_whose_path_failed_in_that_topology() {
    let mut world = watched(LAN, 3, Ipv6Topology::Own);
    world.run_for(secs(10));
    all(&mut world, BfdState::Up);
    world.run_for(secs(10));
    assert_eq!(routes(&world, 0), [true; 2]);
    // The link to the pseudonode remains, for the other neighbour.
    tell(&mut world, 0, BfdState::Down, |peer| match peer {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.octets()[15] == 3,
    });
    world.run_for(secs(5));
    assert_eq!((world.up(0), routes(&world, 0)), (2, [true, false]));
    tell(&mut world, 0, BfdState::Up, |_| true);
    world.run_for(secs(5));
    assert_eq!(routes(&world, 0), [true; 2]);
}

#[test]
fn an_adjacency_does_not_outlive_its_holding_time_if_bfd_that_both_want_never_comes_up() {
    for kind in [P2P, LAN] {
        for comes_up in [true, false] {
            let mut world = World::new(2, 52);
            world.join(&[0, 1], kind, 10);
            world.run_for(secs(10));
            for system in 0..2 {
                set_bfd(&mut world, system, true);
            }
            world.run_for(secs(2));
            assert_eq!(world.up(0), 1, "RFC 6213 section 4: it has time");
            if comes_up {
                all(&mut world, BfdState::Up);
            }
            world.run_for(secs(10));
            assert_eq!((world.up(0), world.up(1)), if comes_up { (1, 1) } else { (0, 0) });
            if !comes_up {
                assert!(ends(&world, 0).contains(&Cause::BfdDown), "{:?}", ends(&world, 0));
                all(&mut world, BfdState::Up);
                world.run_for(secs(3));
                assert_eq!((world.up(0), world.up(1)), (1, 1));
            }
        }
    }
}

#[test]
fn a_neighbour_that_never_answers_bfd_and_does_not_speak_of_it_stays() {
    for kind in [P2P, LAN] {
        let mut world = World::new(2, 53);
        world.join(&[0, 1], kind, 10);
        world.run_for(secs(10));
        set_bfd(&mut world, 0, true);
        assert_eq!(world.sessions[0].len(), 2);
        tell(&mut world, 0, BfdState::Down, |_| true);
        world.run_for(secs(60));
        assert_eq!((world.up(0), ends(&world, 0)), (1, vec![]), "RFC 5882 section 4.1");
    }
}

#[test]
fn what_is_shut_down_has_a_holding_time_to_leave_the_hellos() {
    for kind in [P2P, LAN] {
        for leaves in [true, false] {
            let mut world = watched(kind, 2, Ipv6Topology::Standard);
            world.run_for(secs(10));
            all(&mut world, BfdState::Up);
            world.run_for(secs(10));
            tell(&mut world, 0, BfdState::AdminDown, |_| true);
            world.run_for(secs(2));
            assert_eq!(world.up(0), 1);
            if leaves {
                set_bfd(&mut world, 1, false);
            }
            world.run_for(secs(10));
            assert_eq!(world.up(0), usize::from(leaves), "{kind:?}");
        }
    }
}
