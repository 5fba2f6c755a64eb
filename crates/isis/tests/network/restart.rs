//! Restarts on a LAN.

use std::time::Duration;

use bugle_isis::{AdjacencyState, CircuitKind, Event, Input, claim_metric};
use bugle_types::IfIndex;
use bugle_wire::isis::{Level, LspId, NodeId};

use crate::common::{World, host, prefix, system_id};

const LAN: CircuitKind = CircuitKind::Broadcast;
const HOST: &str = "10.100.0.9/32";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Systems on a LAN, with something behind each, that has been in order for a while; their Hellos come at different times.
fn lan(systems: usize, seed: u64) -> World {
    let mut world = World::new(systems, seed);
    let all: Vec<usize> = (0..systems).collect();
    world.join(&all, LAN, 10);
    for system in 0..systems {
        world.join(&[system], CircuitKind::Passive, 3);
        world.input(
            system,
            Input::Host(
                format!("10.100.1.{system}/32").parse().unwrap(),
                Some(host(claim_metric(100))),
            ),
        );
    }
    world.run_for(Duration::from_millis(20_000 + seed * 37));
    world
}

fn restart(world: &mut World, system: usize, after: Duration) {
    world.kill(system);
    world.run_for(after);
    world.events.iter_mut().for_each(Vec::clear);
    world.restart(system);
    let again = format!("10.100.1.{system}/32").parse().unwrap();
    world.input(system, Input::Host(again, Some(host(claim_metric(100)))));
}

/// What nobody should have noticed: ends of adjacencies, changes of the topology.
fn noticed(world: &World, by: usize) -> Vec<Event> {
    let events = world.events[by].iter().map(|(_, event)| event);
    let upheaval = |event: &&Event| {
        matches!(
            event,
            Event::Adjacency { from: AdjacencyState::Up, .. }
                | Event::SpfRun { .. }
                | Event::DesignatedIs { .. }
        )
    };
    events.filter(upheaval).cloned().collect()
}

#[test]
fn nobody_on_a_lan_notices_a_restart_whoever_it_is() {
    for seed in 0..10 {
        let count = 2 + usize::try_from(seed % 4).unwrap();
        // The last one is designated.
        for restarted in [0, count - 1] {
            let mut world = lan(count, seed);
            let before = world.routes.clone();
            restart(&mut world, restarted, Duration::from_millis(300));
            world.run_until(secs(3), "the database is known", |w| {
                w.systems[restarted].state().in_step()
            });
            world.run_for(secs(1));
            assert_eq!(world.routes[restarted], before[restarted], "seed {seed}");
            world.run_for(secs(20));
            for system in (0..count).filter(|&system| system != restarted) {
                assert_eq!(noticed(&world, system), [], "seed {seed}: {restarted} by {system}");
                assert_eq!(world.routes[system], before[system]);
                assert_eq!(world.database(system, Level::L2), world.database(0, Level::L2));
            }
        }
    }
}

#[test]
fn a_pseudonode_keeps_its_number_whatever_the_order_of_circuits_after_a_restart() {
    let mut world = World::new(3, 4);
    world.join(&[0, 2], LAN, 10);
    world.join(&[1, 2], LAN, 10);
    world.run_for(secs(20));
    let configs = [0, 1].map(|segment| world.circuit_config(2, segment));
    world.kill(2);
    world.run_for(Duration::from_millis(200));
    world.events.iter_mut().for_each(Vec::clear);
    world.restart(2);
    // The other way round than before.
    for segment in [0, 1] {
        world.input_circuit(2, IfIndex(segment + 1), None);
    }
    for segment in [1, 0] {
        let config = configs[segment].clone();
        let ifindex = IfIndex(u32::try_from(segment).unwrap() + 1);
        world.input_circuit(2, ifindex, Some(config));
    }
    world.run_for(secs(10));
    for system in [0, 1] {
        assert_eq!(noticed(&world, system), []);
        for number in [1, 2] {
            let node = NodeId { system: system_id(2), pseudonode: number };
            assert!(world.database(system, Level::L2).contains_key(&LspId { node, fragment: 0 }));
        }
    }
}

#[test]
fn who_restarts_on_a_lan_waits_for_nobody_that_is_gone() {
    for restarted in [0, 2] {
        let mut world = lan(3, 5);
        world.kill(1);
        restart(&mut world, restarted, Duration::from_millis(300));
        let other = 2 - restarted;
        world.run_for(secs(10));
        assert_eq!((world.up(restarted), world.up(other)), (1, 1));
        let lost = noticed(&world, other).into_iter().filter(|event| {
            matches!(event, Event::Adjacency { system, .. } if *system == system_id(restarted))
        });
        assert_eq!(lost.count(), 0, "{restarted}");
    }
}

#[test]
fn systems_that_restart_together_on_a_lan_do_not_wait_for_each_other() {
    let mut world = lan(4, 6);
    for system in 0..4 {
        world.kill(system);
    }
    world.run_for(secs(10));
    for system in 0..4 {
        world.restart(system);
    }
    let took = world.run_until(secs(5), "all up", |w| (0..4).all(|system| w.up(system) == 3));
    assert!(took <= Duration::from_millis(2600), "{took:?}");
}

#[test]
fn a_restart_on_a_lan_is_survived_whatever_is_lost() {
    for seed in 0..20 {
        let mut world = lan(4, seed);
        world.loss = 20;
        let restarted = usize::try_from(seed % 4).unwrap();
        restart(&mut world, restarted, Duration::from_millis(100));
        world.run_for(secs(8));
        world.loss = 0;
        world.run_for(secs(40));
        for system in 0..4 {
            assert_eq!(world.database(system, Level::L2), world.database(0, Level::L2));
            assert_eq!(world.up(system), 3, "seed {seed}");
            assert!(world.systems[system].state().in_step());
        }
    }
}

#[test]
fn a_lan_is_not_in_step_before_its_database_was_described() {
    let mut world = lan(3, 7);
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(100)))));
    world.kill(1);
    world.run_for(secs(10));
    world.restart(1);
    world.run_until(secs(5), "two adjacencies", |w| w.up(1) == 2);
    assert!(world.systems[1].state().awaits_description());
    assert!(!world.systems[1].state().in_step());
    world.run_until(secs(12), "in step", |w| w.systems[1].state().in_step());
    world.run_for(secs(1));
    assert!(world.routes[1].contains_key(&prefix(HOST)));
}
