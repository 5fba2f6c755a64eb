//! Worlds that come up and rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_sim::{Network, NodeId, Plan, Protocols, Quality, Timers, Work, World};
use bugle_types::Time;

fn plan(network: Network, seed: u64) -> Plan {
    let hosts: BTreeMap<Ipv4Addr, NodeId> = (0u32..)
        .zip(0..network.routers.len())
        .filter(|&(_, router)| network.routers[router].edge)
        .map(|(n, router)| (Ipv4Addr::from(0x0A64_0001 + n), NodeId::at(router)))
        .collect();
    let addresses: BTreeSet<Ipv4Addr> = hosts.keys().copied().collect();
    let sources: Vec<NodeId> = hosts.values().copied().collect();
    let flows = addresses.iter().flat_map(|&to| sources.iter().map(move |&from| (from, to)));
    Plan {
        flows: flows.collect(),
        hosts,
        addresses,
        network,
        quality: Quality::default(),
        protocols: Protocols::default(),
        timers: Timers::default(),
        work: Work::default(),
        install: Duration::ZERO,
        start_within: Duration::from_millis(500),
        seed,
    }
}

#[test]
fn networks_come_up_and_every_route_is_the_oracles() {
    let networks = [
        Network::chain(5),
        Network::ring(6),
        Network::grid(4, 5),
        Network::clos(3, 6, 0),
        Network::clos(2, 4, 8),
        Network::waxman(20, 4, 7),
    ];
    for network in networks {
        let mut world = World::new(plan(network, 1));
        world.run_until(Time::from_secs(20));
        assert_eq!(world.check(), Vec::<String>::new());
    }
}

#[test]
fn lans_elect_and_every_route_is_the_oracles() {
    let mut network = Network::equals(6);
    network.lan("lan1", &[0, 1, 2, 3], 10);
    network.lan("lan2", &[3, 4, 5], 7);
    network.join(0, 5);
    let mut world = World::new(plan(network, 1));
    world.run_until(Time::from_secs(30));
    assert_eq!(world.check(), Vec::<String>::new());
}
