//! What changes its fragment is never missed by anybody.

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_isis::{CircuitKind, Input, Tags, claim_metric};
use bugle_types::{IfIndex, Prefix};
use bugle_wire::isis::Level;

use crate::basics::chain;
use crate::common::{World, host, prefix};
use crate::hostile::configure;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hosts(count: u32) -> Vec<Prefix> {
    (0..count).map(|number| Prefix::host(Ipv4Addr::from(0x0a64_0000 + number).into())).collect()
}

/// Three systems in a row; the first one advertises hosts, every fifth of which has just changed, so that further changes of their
/// fragments have to wait.
fn network(seed: u64, hosts: &[Prefix]) -> World {
    let mut world = chain(3, seed);
    world.run_for(millis(5000));
    let all = |metric| hosts.iter().map(move |&prefix| (prefix, Some(host(claim_metric(metric)))));
    world.input(0, Input::Hosts(all(9).collect()));
    world.run_for(millis(5000));
    for metric in 10..15 {
        world.input(0, Input::Hosts(all(metric).step_by(5).collect()));
        world.run_for(millis(300));
    }
    world
}

/// Everybody has every host, and nobody has been without it.
fn assert_not_missed(world: &World, hosts: &[Prefix], what: &str) {
    for by in [1, 2] {
        let missed = hosts.iter().filter(|prefix| world.missed[by].contains(prefix)).count();
        assert_eq!(missed, 0, "{what}: missed by system {by}");
        assert!(hosts.iter().all(|prefix| world.routes[by].contains_key(prefix)), "{what}");
    }
}

#[test]
fn hosts_are_not_missed_when_lsps_shrink_or_grow() {
    let hosts = hosts(500);
    for (seed, pause) in [(80, 1), (81, 150), (82, 4000)] {
        let mut world = network(seed, &hosts);
        for size in [512, 1492, 700, 512, 900, 1492] {
            configure(&mut world, 0, |config| config.lsp_buffer_size = size);
            world.run_for(millis(pause));
            assert_not_missed(&world, &hosts, &format!("{size} after {pause}"));
        }
        let mut circuit = world.circuit_config(0, 0);
        circuit.mtu = 600;
        world.set_circuit(0, IfIndex(1), Some(circuit));
        world.run_for(millis(9000));
        let lsps = world.systems[1].state().database(Level::L2);
        assert_eq!(lsps.filter(|lsp| lsp.size() > 600).count(), 0);
    }
}

#[test]
fn hosts_are_not_missed_when_more_is_said_of_each() {
    let hosts = hosts(500);
    let mut world = network(83, &hosts);
    for long in [7, 0, 8] {
        configure(&mut world, 0, |config| {
            config.host_tags = Tags { long, short: 9 };
        });
        world.run_for(millis(100));
        assert_not_missed(&world, &hosts, "tags");
    }
    world.run_for(millis(5000));
    assert_not_missed(&world, &hosts, "tags");
}

#[test]
fn a_host_is_not_missed_that_becomes_a_network_of_a_circuit() {
    let hosts = hosts(40);
    let mut world = network(84, &hosts);
    let segment = world.join_with(&[0], CircuitKind::Passive, 10, |config| {
        config.ipv4 = vec![(Ipv4Addr::new(10, 9, 0, 1), 32)];
        config.ipv6.clear();
    });
    world.run_for(millis(5000));
    for (number, pause) in [(0, 1), (1, 1), (2, 70), (1, 400), (0, 3000), (9, 1), (0, 3000)] {
        let mut circuit = world.circuit_config(0, segment);
        let address = Ipv4Addr::from(0x0a64_0000 + number);
        circuit.ipv4 = vec![(address, 32)];
        world.set_circuit(0, IfIndex(u32::try_from(segment).unwrap() + 1), Some(circuit));
        world.run_for(millis(pause));
        assert_not_missed(&world, &hosts, &format!("{address}"));
    }
}

/// Whoever restarts says of its hosts again what it said, in whatever order it learns of them.
#[test]
fn hosts_are_not_missed_when_a_system_restarts() {
    let hosts = hosts(500);
    for (seed, whole) in [(85, true), (86, false)] {
        let mut world = network(seed, &hosts);
        let before = world.database(1, Level::L2).len();
        world.kill(0);
        world.run_for(millis(500));
        world.restart(0);
        if !whole {
            // One that is new comes first.
            world.input(0, Input::Host(prefix("10.101.0.1/32"), Some(host(claim_metric(9)))));
        }
        world.run_for(millis(1500));
        let again = hosts.iter().rev().map(|&prefix| (prefix, Some(host(claim_metric(9)))));
        world.input(0, Input::Hosts(again.collect()));
        world.run_for(millis(20_000));
        assert_not_missed(&world, &hosts, "restart");
        assert!(world.database(1, Level::L2).len() <= before + usize::from(!whole));
    }
}
