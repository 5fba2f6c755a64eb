//! What a stranger tries: settings that change at any time, and what is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bugle_isis::{
    AdjacencyState, CircuitConfig, CircuitKind, Config, Event, Input, Leak, PathType, claim_metric,
};
use bugle_types::{IfIndex, Prefix, Rng};
use bugle_wire::isis::{
    CircuitType, Level, LspFields, LspFlags, LspId, NodeId, SequenceNumber, TlvBody, TlvCode,
    emit_lsp,
};

use crate::basics::{P2P, chain};
use crate::common::{World, host, mac, prefix, system_id};

const LAN: CircuitKind = CircuitKind::Broadcast;
const PASSIVE: CircuitKind = CircuitKind::Passive;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn configure(world: &mut World, system: usize, change: impl FnOnce(&mut Config)) {
    change(&mut world.configs[system]);
    let config = world.configs[system].clone();
    world.input(system, Input::Config(Box::new(config)));
}

#[test]
fn what_a_fragment_said_is_taken_back_when_fewer_are_needed() {
    let mut world = chain(2, 70);
    configure(&mut world, 0, |config| config.lsp_buffer_size = 512);
    world.run_for(secs(5));
    let hosts: Vec<Prefix> = (0..1000_u32)
        .map(|number| Prefix::host(std::net::Ipv4Addr::from(0x0a64_0000 + number).into()))
        .collect();
    for &prefix in &hosts {
        world.input(0, Input::Host(prefix, Some(host(claim_metric(9)))));
    }
    world.run_for(secs(10));
    let before = world.database(1, Level::L2).len();
    configure(&mut world, 0, |config| config.lsp_buffer_size = 1492);
    world.run_for(secs(10));
    assert!(hosts.iter().all(|prefix| world.routes[1].contains_key(prefix)));
    assert!(world.database(1, Level::L2).len() <= before);
    for &prefix in &hosts {
        world.input(0, Input::Host(prefix, None));
    }
    world.run_for(secs(10));
    let left = hosts.iter().filter(|prefix| world.routes[1].contains_key(prefix)).count();
    assert_eq!(left, 0);
}

#[test]
fn a_description_that_is_full_again_is_told_again() {
    let mut world = chain(2, 71);
    configure(&mut world, 0, |config| config.lsp_buffer_size = 512);
    world.run_for(secs(5));
    let told = |world: &World| {
        world.events[0].iter().filter(|(_, e)| matches!(e, Event::Overflow { .. })).count()
    };
    for round in 1..=2 {
        for metric in [Some(host(claim_metric(9))), None] {
            let hosts = (0..14_000_u32).map(|number| {
                let address = std::net::Ipv4Addr::from(0x0a64_0000 + number);
                (Prefix::host(address.into()), metric)
            });
            world.input(0, Input::Hosts(hosts.collect()));
            world.run_for(secs(3));
        }
        assert_eq!(told(&world), round);
    }
}

#[test]
fn who_comes_back_to_the_last_sequence_number_takes_it_out_of_the_network_first() {
    let mut world = chain(3, 72);
    configure(&mut world, 0, |config| config.lsp_lifetime = 600);
    world.run_for(secs(5));
    world.kill(0);
    world.run_for(secs(6));
    let id = LspId { node: NodeId::of_system(system_id(0)), fragment: 0 };
    let sequence = SequenceNumber::MAX;
    let fields = LspFields { lifetime: 60_000, id, sequence, flags: LspFlags::LEVEL_1 };
    let forged = emit_lsp(Level::L2, &fields, &[], None);
    let (ifindex, source) = (IfIndex(2), mac(2, IfIndex(2)));
    world.input(1, Input::Pdu { ifindex, source, bytes: &forged });
    world.run_for(secs(1));
    world.restart(0);
    world.run_for(secs(20));
    assert!(!world.database(1, Level::L2).contains_key(&id), "it has to be purged");
    world.run_for(secs(720));
    assert!(world.database(1, Level::L2).contains_key(&id), "and is said again some day");
}

/// Area 1: system 0 of level 1, and 1 of both; system 2 of level 2 in area 2. What joins 0 and 1 is of level 1 only.
#[test]
fn the_network_of_a_circuit_of_level_1_is_known_in_level_2() {
    let areas = ["49.0001", "49.0001", "49.0002"];
    let levels = [CircuitType::L1, CircuitType::L1_L2, CircuitType::L2];
    let configs = (0..3).map(|index| {
        let mut config = Config::new(system_id(index), areas[index].parse().unwrap());
        (config.levels, config.overload) = (levels[index], false);
        config
    });
    let mut world = World::of(configs.collect(), 73);
    world.join_with(&[0, 1], P2P, 10, |config| config.levels = CircuitType::L1);
    world.join_with(&[1, 2], P2P, 10, |config| config.levels = CircuitType::L2);
    world.join_with(&[1], CircuitKind::Passive, 7, |config| config.levels = CircuitType::L1);
    world.run_for(secs(10));
    for (text, metric) in [("10.0.0.0/24", 20), ("10.0.2.0/24", 17)] {
        let route = world.routes[2].get(&prefix(text)).map(|route| (route.path, route.metric));
        assert_eq!(route, Some((PathType::Level2, metric)), "{text}");
    }
}

#[test]
fn an_area_is_renamed_without_losing_an_adjacency() {
    for kind in [P2P, LAN] {
        let configs = (0..3).map(|index| {
            let mut config = Config::new(system_id(index), "49.0001".parse().unwrap());
            (config.levels, config.overload) = (CircuitType::L1, false);
            config
        });
        let mut world = World::of(configs.collect(), 74);
        world.join(&[0, 1], kind, 10);
        world.join(&[1, 2], kind, 10);
        world.run_for(secs(15));
        world.events.iter_mut().for_each(Vec::clear);
        for areas in [&["49.0001", "49.0002"][..], &["49.0002"]] {
            for system in 0..3 {
                let areas = areas.iter().map(|area| area.parse().unwrap()).collect();
                configure(&mut world, system, |config| config.areas = areas);
                world.run_for(secs(5));
            }
        }
        for (system, events) in world.events.iter().enumerate() {
            let lost = events.iter().filter(|(_, e)| matches!(e, Event::Adjacency { .. }));
            assert_eq!(lost.count(), 0, "{kind:?} {system}");
        }
        assert_eq!(world.routes[0][&prefix("10.0.1.0/24")].metric, 20);
    }
}

/// Three systems of both levels in one area, with a host of the first one.
fn of_both_levels(kind: CircuitKind, seed: u64) -> World {
    let configs = (0..3).map(|index| {
        let mut config = Config::new(system_id(index), "49.0001".parse().unwrap());
        (config.levels, config.overload) = (CircuitType::L1_L2, false);
        config
    });
    let mut world = World::of(configs.collect(), seed);
    if kind == LAN {
        world.join(&[0, 1, 2], kind, 10);
    } else {
        world.join(&[0, 1], kind, 10);
        world.join(&[1, 2], kind, 10);
    }
    world.input(0, Input::Host(prefix("10.100.0.9/32"), Some(host(claim_metric(9)))));
    world.run_for(secs(15));
    world.events.iter_mut().for_each(Vec::clear);
    world.missed.iter_mut().for_each(BTreeSet::clear);
    world
}

#[test]
fn level_2_goes_on_when_systems_have_no_area_in_common_any_more() {
    for (kind, seed) in [(P2P, 76), (LAN, 77)] {
        let mut world = of_both_levels(kind, seed);
        let route = prefix("10.100.0.9/32");
        for (area, path) in [("49.0002", PathType::Level2), ("49.0001", PathType::Level1)] {
            configure(&mut world, 0, |config| config.areas = vec![area.parse().unwrap()]);
            world.run_for(secs(20));
            for by in [1, 2] {
                assert_eq!(world.routes[by][&route].path, path, "{kind:?} {by}");
                assert!(world.missed[by].is_empty(), "{kind:?} {by} {:?}", world.missed[by]);
            }
        }
        for events in &world.events {
            let lost = |event: &Event| {
                matches!(event, Event::Adjacency { levels, to, .. }
                    if levels.includes(Level::L2) && *to != AdjacencyState::Up)
            };
            assert_eq!(events.iter().filter(|(_, event)| lost(event)).count(), 0, "{kind:?}");
        }
    }
}

#[test]
fn who_leaves_a_level_is_gone_from_it_at_once() {
    for (kind, seed) in [(P2P, 78), (LAN, 79)] {
        for whole in [true, false] {
            let mut world = of_both_levels(kind, seed);
            if whole {
                configure(&mut world, 0, |config| config.levels = CircuitType::L2);
            } else {
                let mut circuit = world.circuit_config(0, 0);
                circuit.levels = CircuitType::L2;
                world.set_circuit(0, IfIndex(1), Some(circuit));
            }
            world.run_for(secs(5));
            for by in [1, 2] {
                let said = world.database(by, Level::L1).into_keys();
                let left = said.filter(|id| id.node.system == system_id(0)).count();
                assert!(!whole || left == 0, "{kind:?}");
                let path = world.routes[by][&prefix("10.100.0.9/32")].path;
                assert_eq!(path, PathType::Level2, "{kind:?} {whole}");
            }
            let adjacencies = world.systems[1].state().adjacencies();
            let mut up = adjacencies.filter(|a| a.state == AdjacencyState::Up);
            assert!(!up.any(|a| a.system == system_id(0) && a.levels.includes(Level::L1)));
        }
    }
}

/// The area addresses that a system names in its LSP of level 2.
fn areas_said(world: &World, system: usize) -> Vec<String> {
    let lsps = world.systems[system].state().database(Level::L2);
    let mut ours = lsps.filter(|lsp| lsp.entry(world.now).id.node.system == system_id(system));
    let tlvs = ours.find_map(|lsp| lsp.lsp()?.tlvs().ok()).unwrap();
    tlvs.of(TlvCode::AREA_ADDRESSES)
        .flat_map(|tlv| match tlv.body() {
            Ok(TlvBody::AreaAddresses(areas)) => areas.iter().map(|a| a.to_string()).collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// Systems 0 and 1, of both levels, are in one area, which system 1 has another name for, too. System 2, of level 2, may be in it.
#[test]
fn an_area_has_the_addresses_of_all_its_systems() {
    let areas = [&["49.0001"][..], &["49.0001", "49.0002"], &["49.0002"]];
    let configs = (0..3).map(|index| {
        let mut config = Config::new(system_id(index), "49.0001".parse().unwrap());
        config.areas = areas[index].iter().map(|area| area.parse().unwrap()).collect();
        config.levels = if index == 2 { CircuitType::L2 } else { CircuitType::L1_L2 };
        config.overload = false;
        config
    });
    let mut world = World::of(configs.collect(), 75);
    world.join(&[0, 1], P2P, 10);
    world.join(&[1, 2], P2P, 10);
    world.run_for(secs(10));
    assert_eq!(areas_said(&world, 0), ["49.0001", "49.0002"]);
    let attached = |world: &World| {
        let lsps = world.systems[1].state().database(Level::L1);
        lsps.filter(|lsp| lsp.flags().contains(LspFlags::ATTACHED)).count()
    };
    assert_eq!(attached(&world), 0, "there is no other area");
    configure(&mut world, 2, |config| config.areas = vec!["49.0003".parse().unwrap()]);
    world.run_for(secs(5));
    assert_eq!(attached(&world), 2);
    configure(&mut world, 1, |config| config.areas.truncate(1));
    world.run_for(secs(5));
    assert_eq!(areas_said(&world, 0), ["49.0001"]);
}

/// What a network is to be, and what becomes of it.
struct Plan {
    configs: Vec<Config>,
    segments: Vec<(Vec<usize>, CircuitKind)>,
    circuits: BTreeMap<(usize, usize), CircuitConfig>,
    cut: BTreeSet<usize>,
    dead: BTreeSet<usize>,
    hosts: BTreeMap<(usize, Prefix), u32>,
    rng: Rng,
}

const LEVELS: [CircuitType; 4] =
    [CircuitType::L1, CircuitType::L2, CircuitType::L1_L2, CircuitType::L1_L2];

impl Plan {
    fn new(seed: u64) -> Self {
        let mut plan = Self {
            configs: Vec::new(),
            segments: Vec::new(),
            circuits: BTreeMap::new(),
            cut: BTreeSet::new(),
            dead: BTreeSet::new(),
            hosts: BTreeMap::new(),
            rng: Rng::new(seed),
        };
        let systems = 4 + plan.below(3);
        for index in 0..systems {
            let area = ["49.0001", "49.0002"][plan.below(2)];
            let mut config = Config::new(system_id(index), area.parse().unwrap());
            config.overload = false;
            config.levels = LEVELS[plan.below(4)];
            config.alternates = None;
            let last = u8::try_from(index).unwrap() + 1;
            config.router_id = Some(std::net::Ipv4Addr::new(192, 0, 2, last));
            config.leak = [Leak::Nothing, everything()][plan.below(2)].clone();
            plan.configs.push(config);
        }
        for system in 1..systems {
            let kind = [P2P, LAN][plan.below(2)];
            let other = plan.below(system);
            plan.segments.push((vec![other, system], kind));
        }
        let lan: BTreeSet<usize> = (0..4).map(|_| plan.below(systems)).collect();
        plan.segments.push((lan.into_iter().collect(), LAN));
        plan.segments.push((vec![0, systems - 1], P2P));
        plan.segments.extend((0..systems).map(|system| (vec![system], PASSIVE)));
        let world = plan.build(seed);
        for (segment, (members, _)) in plan.segments.iter().enumerate() {
            for &member in members {
                plan.circuits.insert((member, segment), world.circuit_config(member, segment));
            }
        }
        plan
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap()
    }

    /// The network as it is to be, begun anew.
    fn build(&self, seed: u64) -> World {
        let mut world = World::of(self.configs.clone(), seed);
        for (members, kind) in &self.segments {
            world.join(members, *kind, 10);
        }
        for system in 0..self.configs.len() {
            self.tell(&mut world, system);
        }
        self.cut.iter().for_each(|&segment| world.set_segment(segment, false));
        self.dead.iter().for_each(|&system| world.kill(system));
        world
    }

    /// Tells a system of its circuits and hosts.
    fn tell(&self, world: &mut World, system: usize) {
        for (&(_, segment), circuit) in self.circuits.iter().filter(|((of, _), _)| *of == system) {
            world.set_circuit(system, ifindex(segment), Some(circuit.clone()));
        }
        for (&(_, prefix), &metric) in self.hosts.iter().filter(|((of, _), _)| *of == system) {
            world.input(system, Input::Host(prefix, Some(host(metric))));
        }
    }

    /// Packets from a system to every network that one system only has go round in no circle, whichever next hops they take.
    fn walk(&self, world: &World, from: usize) {
        let system_at: BTreeMap<IpAddr, usize> = self
            .circuits
            .iter()
            .flat_map(|(&(system, _), circuit)| {
                circuit.ipv4.iter().map(move |&(address, _)| (address.into(), system))
            })
            .collect();
        let passive = self.segments.iter().enumerate().filter(|(_, (_, kind))| *kind == PASSIVE);
        for (segment, (owners, _)) in passive {
            let network = self.circuits[&(owners[0], segment)].networks().next().unwrap();
            for choice in 0..3 {
                let mut at = from;
                for hops in 0.. {
                    assert!(hops <= self.configs.len(), "from {from} to {network}: a circle");
                    let routes = &world.routes[at];
                    let route = routes.get(&network).or_else(|| routes.get(&prefix("0.0.0.0/0")));
                    let Some(route) = route.filter(|_| at != owners[0]) else { break };
                    let hop = route.nexthops[choice % route.nexthops.len()];
                    at = system_at[&hop.gateway.unwrap()];
                }
            }
        }
    }

    /// Something happens.
    fn step(&mut self, world: &mut World) {
        let (what, system) = (self.below(11), self.below(self.configs.len()));
        let is_dead = self.dead.contains(&system);
        match what {
            0..5 if is_dead => {
                self.dead.remove(&system);
                world.configs[system] = self.configs[system].clone();
                world.restart(system);
                self.tell(world, system);
            }
            0..5 => {
                self.reconfigure(what, system);
                let config = self.configs[system].clone();
                configure(world, system, |held| *held = config);
            }
            5 | 6 => self.change_circuits(world, what == 5),
            7 => {
                let segment = self.below(self.segments.len());
                let up = self.cut.remove(&segment);
                if !up {
                    self.cut.insert(segment);
                }
                world.set_segment(segment, up);
            }
            _ if is_dead => {}
            8 => {
                self.dead.insert(system);
                world.kill(system);
            }
            _ => {
                let prefix =
                    Prefix::host([10, 100, 0, u8::try_from(self.below(4)).unwrap()].into());
                let metric = claim_metric(u32::try_from(self.below(9)).unwrap() + 1);
                let was = self.hosts.remove(&(system, prefix));
                if was.is_none() {
                    self.hosts.insert((system, prefix), metric);
                }
                world.input(system, Input::Host(prefix, was.is_none().then(|| host(metric))));
            }
        }
    }

    fn reconfigure(&mut self, what: usize, system: usize) {
        let choice = self.below(12);
        let config = &mut self.configs[system];
        match what {
            0 => config.levels = LEVELS[choice % 4],
            1 => {
                let areas = [&["49.0001"][..], &["49.0002"], &["49.0001", "49.0002"]][choice % 3];
                config.areas = areas.iter().map(|area| area.parse().unwrap()).collect();
            }
            2 => config.overload = !config.overload,
            3 => config.leak = [Leak::Nothing, everything()][choice % 2].clone(),
            _ => config.lsp_buffer_size = [512, 1492][choice % 2],
        }
    }

    /// The metrics, or the levels, of a segment change.
    fn change_circuits(&mut self, world: &mut World, metrics: bool) {
        let segment = self.below(self.segments.len());
        for member in self.segments[segment].0.clone() {
            let choice = self.below(20);
            let circuit = self.circuits.get_mut(&(member, segment)).unwrap();
            if metrics {
                circuit.metric = 1 + u32::try_from(choice).unwrap();
            } else {
                circuit.levels = LEVELS[choice % 4];
            }
            if !self.dead.contains(&member) {
                world.set_circuit(member, ifindex(segment), Some(circuit.clone()));
            }
        }
    }
}

fn everything() -> Leak {
    Leak::Within(vec![prefix("0.0.0.0/0"), prefix("::/0")])
}

fn ifindex(segment: usize) -> IfIndex {
    IfIndex(u32::try_from(segment).unwrap() + 1)
}

#[test]
fn whatever_has_happened_a_network_at_rest_is_as_if_it_had_begun_so() {
    for seed in 0..25 {
        let mut plan = Plan::new(seed);
        let mut world = plan.build(seed);
        world.run_for(secs(12));
        for _ in 0..10 {
            plan.step(&mut world);
            let pause = [1, 200, 3000, 12_000][plan.below(4)];
            world.run_for(Duration::from_millis(pause));
        }
        world.run_for(secs(60));
        let mut anew = plan.build(seed);
        anew.run_for(secs(60));
        for system in (0..plan.configs.len()).filter(|system| !plan.dead.contains(system)) {
            plan.walk(&world, system);
            let (found, expected) = (&world.routes[system], &anew.routes[system]);
            for prefix in found.keys().chain(expected.keys()) {
                let (found, expected) = (found.get(prefix), expected.get(prefix));
                assert_eq!(found, expected, "seed {seed}, system {system}, {prefix}");
            }
        }
    }
}
