//! Loss, restarts, purges, sequence numbers, silence.

use std::time::Duration;

use bugle_isis::{BfdState, Cause, CircuitKind, Event, Input, Mismatch, Padding, claim_metric};
use bugle_types::{IfIndex, Prefix, Rng};
use bugle_wire::isis::{
    Level, LspEntry, LspFields, LspFlags, LspId, MAX_AGE, Neighbor, NodeId, SequenceNumber,
    SubTlvs, TlvBuilder, TlvCode, TopologyId, emit_lsp,
};

use crate::basics::chain;
use crate::common::{World, host, mac, prefix, system_id};

const P2P: CircuitKind = CircuitKind::PointToPoint;
const LAN: CircuitKind = CircuitKind::Broadcast;
const HOST: &str = "10.100.0.9/32";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn id(system: usize, fragment: u8) -> LspId {
    LspId { node: NodeId::of_system(system_id(system)), fragment }
}

/// An LSP as somebody might send it.
fn lsp(id: LspId, lifetime: u16, sequence: u32, tlvs: &TlvBuilder) -> Vec<u8> {
    let flags = LspFlags::LEVEL_1 | LspFlags::LEVEL_2;
    let fields = LspFields { lifetime, id, sequence: SequenceNumber(sequence), flags };
    emit_lsp(Level::L2, &fields, tlvs.bytes(), None)
}

fn deliver(world: &mut World, to: usize, from: usize, segment: u32, bytes: &[u8]) {
    let ifindex = IfIndex(segment + 1);
    let source = mac(from, ifindex);
    world.input(to, Input::Pdu { ifindex, source, bytes });
}

#[test]
fn databases_become_equal_under_loss_and_reordering() {
    for seed in 0..6 {
        let mut world = World::new(6, seed);
        for pair in [[0, 1], [1, 2], [2, 3], [3, 0]] {
            world.join(&pair, P2P, 10);
        }
        world.join(&[3, 4, 5], LAN, 5);
        world.loss = 10;
        let mut rng = Rng::new(seed);
        for _ in 0..60 {
            let system = usize::try_from(rng.below(6)).unwrap();
            let address =
                std::net::Ipv4Addr::from(0x0a64_0000 + u32::try_from(rng.below(20)).unwrap());
            let route = (rng.below(3) > 0).then(|| host(claim_metric(100)));
            world.input(system, Input::Host(Prefix::host(address.into()), route));
            world.run_for(Duration::from_millis(rng.below(900)));
        }
        world.run_for(secs(20));
        world.loss = 0;
        world.run_for(secs(60));
        for system in 1..6 {
            assert_eq!(
                world.database(system, Level::L2),
                world.database(0, Level::L2),
                "seed {seed}"
            );
        }
        for system in 0..6 {
            let hosts: Vec<Prefix> = (0..6)
                .filter(|&other| other != system)
                .flat_map(|other| {
                    world.systems[other].state().hosts().map(|h| h.0).collect::<Vec<_>>()
                })
                .collect();
            for host in hosts {
                assert!(
                    world.routes[system].contains_key(&host),
                    "seed {seed}: {host} at {system}"
                );
            }
            assert_eq!(world.up(system), [2, 2, 2, 4, 2, 2][system]);
        }
    }
}

#[test]
fn a_system_that_restarts_takes_its_numbers_up_and_its_neighbours_notice_nothing() {
    let mut world = chain(3, 21);
    world.run_for(secs(10));
    for number in 0..5 {
        let prefix = Prefix::host(std::net::Ipv4Addr::new(10, 100, 0, number).into());
        world.input(1, Input::Host(prefix, Some(host(claim_metric(100)))));
        world.run_for(secs(2));
    }
    let before = world.database(0, Level::L2);
    world.kill(1);
    world.run_for(Duration::from_millis(500));
    world.events[0].clear();
    world.restart(1);
    world.run_for(Duration::from_millis(1500));
    let down = |world: &World, system: usize| {
        world.events[system].iter().any(|(_, event)| {
            matches!(event, Event::Adjacency { from: bugle_isis::AdjacencyState::Up, .. })
        })
    };
    assert!(!down(&world, 0) && !down(&world, 2), "{:?}", world.events[0]);
    assert_eq!(world.up(1), 2);
    // It says again what it had said, before it is taken back.
    for number in 0..4 {
        let prefix = Prefix::host(std::net::Ipv4Addr::new(10, 100, 0, number).into());
        world.input(1, Input::Host(prefix, Some(host(claim_metric(100)))));
    }
    assert!(world.routes[0].contains_key(&prefix("10.100.0.4/32")));
    world.run_for(secs(10));
    let after = world.database(0, Level::L2);
    assert!(after[&id(1, 0)].0 > before[&id(1, 0)].0);
    assert!(world.routes[0].contains_key(&prefix("10.100.0.3/32")));
    assert!(!world.routes[0].contains_key(&prefix("10.100.0.4/32")), "it was not claimed again");
    assert_eq!(world.database(1, Level::L2), after);
    assert_eq!(world.database(2, Level::L2), after);
}

#[test]
fn a_system_that_restarts_names_no_neighbour_before_it_has_heard_them_all() {
    for seed in 0..20 {
        let mut world = World::new(5, seed);
        for neighbor in 1..5 {
            world.join(&[0, neighbor], CircuitKind::PointToPoint, 10);
            // Hellos at different times.
            world.run_for(Duration::from_millis(150));
        }
        world.run_for(secs(10));
        world.kill(0);
        world.run_for(Duration::from_millis(100));
        world.events.iter_mut().for_each(Vec::clear);
        world.restart(0);
        world.run_for(secs(10));
        assert_eq!(world.up(0), 4);
        for neighbor in 1..5 {
            let spf = |(_, event): &(_, Event)| matches!(event, Event::SpfRun { .. });
            assert!(!world.events[neighbor].iter().any(spf), "seed {seed}, {neighbor}");
            assert!(world.database(neighbor, Level::L2)[&id(0, 0)].0 > 1);
        }
    }
}

#[test]
fn a_system_that_restarts_unnoticed_gets_the_database_whatever_is_lost() {
    for seed in 0..40 {
        let mut world = chain(3, seed);
        world.run_for(secs(10));
        world.kill(0);
        world.run_for(Duration::from_millis(100));
        world.loss = 20;
        world.restart(0);
        world.run_for(secs(8));
        world.loss = 0;
        world.run_for(secs(20));
        let database = world.database(0, Level::L2);
        assert!(database.contains_key(&id(2, 0)), "seed {seed}");
        assert_eq!(database, world.database(2, Level::L2), "seed {seed}");
    }
}

#[test]
fn a_system_that_restarts_does_not_wait_for_neighbours_that_are_gone() {
    let mut world = chain(3, 21);
    world.run_for(secs(10));
    world.kill(1);
    world.kill(2);
    world.run_for(Duration::from_millis(100));
    let before = world.database(0, Level::L2)[&id(1, 0)].0;
    world.restart(1);
    world.run_for(secs(4));
    assert!(world.database(0, Level::L2)[&id(1, 0)].0 > before);
    assert_eq!(world.database(0, Level::L2), world.database(1, Level::L2));
}

#[test]
fn a_system_without_memory_of_its_neighbour_resets_the_adjacency() {
    let mut world = chain(2, 22);
    world.run_for(secs(5));
    world.kill(1);
    // Longer than the holding time: the neighbour has given up.
    world.run_for(secs(6));
    assert_eq!(world.up(0), 0);
    let expired = |(_, event): &(_, Event)| {
        matches!(event, Event::Adjacency { cause: Cause::HoldingTimeExpired, .. })
    };
    assert!(world.events[0].iter().any(expired));
    assert!(!world.routes[0].contains_key(&prefix("2001:db8:0:2::/64")));
    world.restart(1);
    world.run_for(secs(6));
    assert_eq!((world.up(0), world.up(1)), (1, 1));
    assert_eq!(world.database(0, Level::L2), world.database(1, Level::L2));
}

#[test]
fn an_lsp_of_ours_from_elsewhere_is_outdone() {
    let mut world = chain(3, 23);
    world.run_for(secs(5));
    let forged = lsp(id(0, 0), 1000, 77, &TlvBuilder::new(100));
    deliver(&mut world, 1, 2, 1, &forged);
    world.run_for(secs(1));
    assert_eq!(world.database(2, Level::L2)[&id(0, 0)].0, 78);
    assert!(world.routes[2].contains_key(&prefix("10.0.0.0/24")));
    // A fragment that it does not have goes.
    let forged = lsp(id(0, 200), 1000, 5, &TlvBuilder::new(100));
    world.run_for(secs(10));
    deliver(&mut world, 1, 2, 1, &forged);
    world.run_for(secs(1));
    for system in 0..3 {
        assert!(!world.database(system, Level::L2).contains_key(&id(0, 200)));
    }
    // A purge of what it says does not last.
    let purge = lsp(id(0, 0), 0, 90, &TlvBuilder::new(100));
    deliver(&mut world, 1, 2, 1, &purge);
    world.run_for(secs(1));
    assert_eq!(world.database(2, Level::L2)[&id(0, 0)].0, 91);
}

#[test]
fn another_system_with_our_system_id_that_is_no_neighbour_is_told_of_and_an_old_lsp_of_ours_is_not()
{
    let duplicates = |world: &World, system: usize| {
        let told = world.events[system].iter();
        told.filter(|(_, event)| matches!(event, Event::DuplicateSystemId { .. })).count()
    };
    let mut world = chain(3, 28);
    world.run_for(secs(40));
    let mut sequence = 77;
    for _ in 0..2 {
        let forged = lsp(id(0, 0), 1000, sequence, &TlvBuilder::new(100));
        deliver(&mut world, 1, 2, 1, &forged);
        world.run_for(secs(5));
        sequence += 10;
    }
    // A purge says that somebody wants us gone, not who we are.
    for sequence in [200, 300, 400] {
        let purge = lsp(id(0, 0), 0, sequence, &TlvBuilder::new(100));
        deliver(&mut world, 1, 2, 1, &purge);
        world.run_for(secs(5));
    }
    assert!(!world.systems[0].state().is_duplicated());
    assert_eq!(duplicates(&world, 0), 0);

    world.configs[2].system_id = system_id(0);
    world.restart(2);
    world.run_for(secs(100));
    for system in [0, 2] {
        assert!(world.systems[system].state().is_duplicated());
        assert_eq!(duplicates(&world, system), 2, "once a minute");
    }
    assert!(!world.systems[1].state().is_duplicated());
    world.configs[2].system_id = system_id(2);
    world.restart(2);
    world.run_for(secs(70));
    assert!(!world.systems[0].state().is_duplicated());

    // One instance that comes again and again, while ours waits for its turn, is one.
    for sequence in [10_000, 20_000, 20_000, 20_000] {
        let forged = lsp(id(0, 0), 1000, sequence, &TlvBuilder::new(100));
        deliver(&mut world, 0, 1, 0, &forged);
    }
    assert!(!world.systems[0].state().is_duplicated());
}

#[test]
fn after_the_last_sequence_number_a_system_is_silent_until_all_have_forgotten() {
    let mut world = World::new(3, 24);
    world.configs[0].lsp_lifetime = 600;
    let config = world.configs[0].clone();
    world.input(0, Input::Config(Box::new(config)));
    world.join(&[0, 1], P2P, 10);
    world.join(&[1, 2], P2P, 10);
    world.run_for(secs(5));
    let forged = lsp(id(0, 0), 1000, u32::MAX, &TlvBuilder::new(100));
    deliver(&mut world, 1, 2, 1, &forged);
    world.run_for(secs(30));
    assert!(!world.database(1, Level::L2).contains_key(&id(0, 0)));
    world.run_for(secs(600));
    assert!(!world.database(1, Level::L2).contains_key(&id(0, 0)));
    world.run_for(secs(60));
    assert_eq!(world.database(1, Level::L2)[&id(0, 0)].0, 1);
}

#[test]
fn what_a_fragment_said_that_has_used_up_its_numbers_is_said_in_another() {
    let mut world = chain(3, 29);
    (world.configs[0].lsp_lifetime, world.configs[0].lsp_buffer_size) = (600, 512);
    let config = world.configs[0].clone();
    world.input(0, Input::Config(Box::new(config)));
    world.input(0, Input::Host(prefix(HOST), Some(host(10))));
    world.run_for(secs(20));
    let fragments = |world: &World| -> Vec<LspId> {
        let database = world.database(1, Level::L2);
        database.keys().copied().filter(|lsp| lsp.node == id(0, 0).node).collect()
    };
    assert_eq!(fragments(&world), [id(0, 0), id(0, 1)]);
    let forged = lsp(id(0, 1), 1000, u32::MAX, &TlvBuilder::new(100));
    deliver(&mut world, 1, 2, 1, &forged);
    world.run_for(secs(1));
    assert_eq!(fragments(&world), [id(0, 0), id(0, 2)]);
    assert!(world.routes[2].contains_key(&prefix(HOST)));
    // And nothing comes to the old one again, whatever changes, until its last number is forgotten.
    let add = |world: &mut World, network: u8| {
        for last in 1..100 {
            let host_route = prefix(&format!("10.100.{network}.{last}/32"));
            world.input(0, Input::Host(host_route, Some(host(10))));
        }
        world.run_for(secs(20));
    };
    add(&mut world, 1);
    assert!(fragments(&world).len() > 4 && !fragments(&world).contains(&id(0, 1)));
    assert!(world.routes[2].contains_key(&prefix("10.100.1.99/32")));
    world.run_for(secs(660));
    (2..9).for_each(|network| add(&mut world, network));
    assert!(fragments(&world).contains(&id(0, 1)));
}

#[test]
fn an_lsp_of_a_dead_system_expires_and_a_short_lifetime_does_not_kill_one() {
    let mut world = chain(2, 25);
    world.run_for(secs(5));
    let dead = lsp(id(9, 0), 30, 3, &TlvBuilder::new(100));
    deliver(&mut world, 0, 1, 0, &dead);
    world.run_for(secs(60));
    assert!(world.database(1, Level::L2).contains_key(&id(9, 0)), "RFC 7987 section 2");
    assert_eq!(world.systems[0].state().stats().short_lifetimes, 1);
    world.run_for(secs(u64::from(MAX_AGE)));
    assert!(!world.database(0, Level::L2).contains_key(&id(9, 0)));
    assert!(!world.database(1, Level::L2).contains_key(&id(9, 0)));
    // The header stays a little, and then nothing.
    world.run_for(secs(u64::from(MAX_AGE) + 120));
    let left = world.systems[1].state().database(Level::L2).count();
    assert_eq!(left, 2);
}

#[test]
fn a_purge_says_who_purged() {
    let mut world = chain(2, 26);
    world.run_for(secs(20));
    let stale = lsp(id(9, 0), 1000, 3, &TlvBuilder::new(100));
    deliver(&mut world, 0, 1, 0, &stale);
    world.run_for(secs(1));
    // Two living LSPs of one number: section 7.3.16.2.
    let mut other = TlvBuilder::new(100);
    other.hostname("another");
    let other = lsp(id(9, 0), 1000, 3, &other);
    deliver(&mut world, 0, 1, 0, &other);
    world.run_for(secs(1));
    assert!(!world.database(1, Level::L2).contains_key(&id(9, 0)));
    let originator = world.events[1].iter().find_map(|(_, event)| {
        if let Event::Purged { originator, .. } = event { Some(*originator) } else { None }
    });
    assert_eq!(originator, Some(Some(system_id(0))));
    // One who does not say so is named by the system that received it from them.
    world.recording = true;
    world.sent.clear();
    let purge = lsp(id(0, 77), 0, 9, &TlvBuilder::new(100));
    let stale = lsp(id(9, 5), 1000, 3, &TlvBuilder::new(100));
    let purged = lsp(id(9, 5), 0, 3, &TlvBuilder::new(100));
    for bytes in [&purge, &stale, &purged] {
        deliver(&mut world, 0, 1, 0, bytes);
    }
    let stored = world.systems[0].state();
    let dead = stored.database(Level::L2).find(|lsp| lsp.entry(world.now).id == id(9, 5)).unwrap();
    assert!(dead.is_dead());
    let tlvs = dead.lsp().unwrap().tlvs().unwrap();
    assert_eq!(tlvs.of(TlvCode::PURGE_ORIGINATOR).count(), 1);
}

#[test]
fn unknown_tlvs_are_passed_on_as_they_came() {
    let mut world = chain(3, 27);
    world.run_for(secs(5));
    let mut tlvs = TlvBuilder::new(1000);
    tlvs.tlv(TlvCode(250), b"nobody knows this");
    let bytes = lsp(id(9, 0), 2000, 3, &tlvs);
    deliver(&mut world, 0, 9, 0, &bytes);
    // From nobody who is adjacent, on a point-to-point circuit, is from the one who is.
    world.run_for(secs(1));
    let stored = world.systems[2].state();
    let lsp = stored.database(Level::L2).find(|lsp| lsp.entry(world.now).id == id(9, 0)).unwrap();
    assert_eq!(lsp.lsp().unwrap().tlvs().unwrap().bytes(), tlvs.bytes());
}

#[test]
fn bad_pdus_are_counted_and_change_nothing() {
    let mut world = chain(2, 28);
    world.run_for(secs(5));
    let before = world.database(0, Level::L2);
    let mut rng = Rng::new(5);
    world.recording = true;
    world.run_for(secs(3));
    let sent: Vec<Vec<u8>> = world.sent.iter().map(|(_, _, bytes)| bytes.clone()).collect();
    let lsp = lsp(id(9, 0), 2000, 3, &TlvBuilder::new(100));
    for bytes in sent.iter().chain([&lsp]) {
        for _ in 0..200 {
            let mut mangled = bytes.clone();
            for _ in 0..=rng.below(3) {
                let at = usize::try_from(rng.below(mangled.len() as u64)).unwrap();
                mangled[at] ^= 1 << rng.below(8);
            }
            mangled.truncate(1 + usize::try_from(rng.below(mangled.len() as u64)).unwrap());
            deliver(&mut world, 0, 1, 0, &mangled);
        }
    }
    world.run_for(secs(30));
    let after = world.database(0, Level::L2);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let state = world.systems[0].state();
    let drops = &state.circuits().next().unwrap().1.drops;
    assert!(drops.len() > 3, "{drops:?}");
    assert_eq!(world.up(0), 1);
}

#[test]
fn inputs_that_crashed_others_are_harmless() {
    // A router capability TLV whose sub-TLV is longer than it (CVE-2022-26125), in a PDU of 51 bytes.
    let seed = "831b01003401000000326d0000fff7087fb7000000000000000012f212831b010032010026001a0200128ef201\
                000000000000";
    let seed: Vec<u8> = seed
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut world = chain(2, 36);
    world.run_for(secs(5));
    deliver(&mut world, 0, 1, 0, &seed);
    // A name that is no text (CVE-2022-26126), and a capability given twice with a sub-TLV that is longer than it.
    let mut odd = TlvBuilder::new(1000);
    odd.tlv(TlvCode::HOSTNAME, &[0xff; 255]);
    for _ in 0..2 {
        odd.tlv(TlvCode::ROUTER_CAPABILITY, &[10, 0, 0, 1, 0, 35, 38, 0]);
    }
    deliver(&mut world, 0, 1, 0, &lsp(id(8, 0), 1000, 1, &odd));
    // A description whose range is the wrong way round; and an LSP of number zero.
    let source = NodeId::of_system(system_id(1));
    let none = TlvBuilder::new(100);
    let csnp =
        bugle_wire::isis::emit_csnp(Level::L2, source, LspId::MAX, LspId::MIN, none.bytes(), None);
    deliver(&mut world, 0, 1, 0, &csnp);
    deliver(&mut world, 0, 1, 0, &lsp(id(9, 0), 1000, 0, &none));
    world.run_for(secs(2));
    assert_eq!(world.up(0), 1);
    assert!(!world.database(0, Level::L2).contains_key(&id(9, 0)));
    let [one, other] = [0, 1].map(|system| world.database(system, Level::L2));
    assert_eq!((one.get(&id(8, 0)), one.contains_key(&id(8, 0))), (other.get(&id(8, 0)), true));
}

#[test]
fn an_lsp_of_other_areas_is_refused_and_told() {
    let mut world = chain(2, 41);
    world.run_for(secs(5));
    for (areas, taken) in [(4, false), (0, true), (3, true)] {
        let id = id(9, areas);
        // The octet is covered neither by the checksum nor by a digest.
        let mut bytes = lsp(id, 2000, 3, &TlvBuilder::new(100));
        bytes[7] = areas;
        deliver(&mut world, 0, 1, 0, &bytes);
        assert_eq!(world.database(0, Level::L2).contains_key(&id), taken, "{areas}");
        let circuit = world.systems[0].state().circuits().next().unwrap().1;
        assert_eq!(circuit.mismatches.len(), 1);
        let told = |(_, event): &(_, Event)| {
            matches!(event, Event::Mismatch { mismatch: Mismatch::MaxAreas(4), .. })
        };
        assert_eq!(world.events[0].iter().filter(|event| told(event)).count(), 1);
    }
}

// FRR 8c8a5a02fa: LSPs that name each other, with nothing of a system behind them, were followed without end.
#[test]
fn lsps_that_name_each_other_lead_nowhere() {
    let mut world = chain(2, 40);
    world.run_for(secs(5));
    let before = world.routes[0].clone();
    let nodes = [(9, 0), (9, 1), (9, 2), (8, 0), (1, 7)]
        .map(|(system, pseudonode)| NodeId { system: system_id(system), pseudonode });
    for &node in &nodes {
        let mut tlvs = TlvBuilder::new(1000);
        for &other in &nodes {
            let link = Neighbor { id: other, metric: 0, sub_tlvs: SubTlvs::default() };
            tlvs.neighbor(TopologyId::STANDARD, &link);
        }
        let id = LspId { node, fragment: 0 };
        deliver(&mut world, 0, 1, 0, &lsp(id, 2000, 3, &tlvs));
    }
    world.run_for(secs(10));
    assert_eq!(world.up(0), 1);
    assert_eq!(world.routes[0], before);
}

#[test]
fn a_shutdown_purges_and_says_goodbye() {
    for kind in [P2P, LAN] {
        let mut world = World::new(2, 29);
        world.join(&[0, 1], kind, 10);
        world.join(&[0], CircuitKind::Passive, 10);
        world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(5)))));
        world.run_for(secs(10));
        assert!(world.routes[1].contains_key(&prefix(HOST)));
        world.input(0, Input::Shutdown);
        let took = world.run_until(secs(1), "stopped", |w| w.systems[0].is_stopped());
        assert!(took <= Duration::from_millis(301), "{took:?}");
        world.run_for(Duration::from_millis(2));
        assert_eq!(world.up(1), 0, "{kind:?}");
        assert!(world.routes[1].is_empty());
        assert!(world.database(1, Level::L2).keys().all(|id| id.node.system == system_id(1)));
        assert!(world.sessions[0].is_empty());
    }
}

#[test]
fn a_circuit_that_does_not_carry_full_pdus_never_comes_up_and_says_why() {
    let mut world = World::new(2, 30);
    world.join_with(&[0, 1], P2P, 10, |config| config.mtu = 1500);
    let small = bugle_isis::CircuitConfig { mtu: 1400, ..world.circuit_config(1, 0) };
    world.largest = 1397;
    world.set_circuit(1, IfIndex(1), None);
    world.set_circuit(1, IfIndex(1), Some(small));
    world.run_for(secs(10));
    assert_eq!((world.up(0), world.up(1)), (0, 0));
    let told = |world: &World| {
        world.events[0].iter().any(|(_, event)| {
            let mtu = Mismatch::Mtu { ours: 1497, theirs: 1397 };
            matches!(event, Event::Mismatch { mismatch, .. } if *mismatch == mtu)
        })
    };
    assert!(told(&world));
    let unpadded =
        bugle_isis::CircuitConfig { padding: Padding::Never, ..world.circuit_config(0, 0) };
    world.set_circuit(0, IfIndex(1), Some(unpadded));
    world.run_for(secs(5));
    assert_eq!((world.up(0), world.up(1)), (1, 1));
}

#[test]
fn bfd_ends_an_adjacency_and_holds_it_down_where_both_run_it() {
    for both in [true, false] {
        let mut world = World::new(2, 31);
        world.join_with(&[0, 1], P2P, 10, |config| config.bfd = true);
        if !both {
            let without = bugle_isis::CircuitConfig { bfd: false, ..world.circuit_config(1, 0) };
            world.set_circuit(1, IfIndex(1), Some(without));
        }
        world.run_for(secs(10));
        let peers: Vec<_> = world.sessions[0].iter().copied().collect();
        assert_eq!(peers.len(), 2, "IPv4 and IPv6");
        let all = |world: &mut World, state: BfdState| {
            for system in 0..2 {
                let sessions: Vec<_> = world.sessions[system].iter().copied().collect();
                for (ifindex, peer) in sessions {
                    world.input(system, Input::Bfd { ifindex, peer, state });
                }
            }
        };
        if both {
            assert_eq!(world.up(0), 0, "RFC 6213: not before BFD is up");
        }
        all(&mut world, BfdState::Up);
        world.run_for(secs(3));
        assert_eq!((world.up(0), world.up(1)), (1, 1), "both: {both}");
        all(&mut world, BfdState::AdminDown);
        assert_eq!(world.up(0), 1, "somebody switched it off");
        all(&mut world, BfdState::Up);
        let (ifindex, peer) = peers[0];
        world.input(0, Input::Bfd { ifindex, peer, state: BfdState::Down });
        assert_eq!(world.up(0), 0);
        let lost = |(_, event): &(_, Event)| {
            matches!(event, Event::Adjacency { cause: Cause::BfdDown, .. })
        };
        assert!(world.events[0].iter().any(lost));
        world.run_for(secs(10));
        assert_eq!(world.up(0), usize::from(!both));
        all(&mut world, BfdState::Up);
        world.run_for(secs(3));
        assert_eq!((world.up(0), world.up(1)), (1, 1));
    }
}

#[test]
fn a_fragment_that_keeps_changing_is_generated_ever_more_slowly() {
    let mut world = chain(2, 32);
    world.run_for(secs(10));
    let generated = |world: &World| world.systems[0].state().stats().originated;
    let before = generated(&world);
    for round in 0..4000_u32 {
        let route = host(claim_metric(100 + round % 2));
        world.input(0, Input::Host(prefix(HOST), Some(route)));
        world.run_for(Duration::from_millis(1));
    }
    // At once, after 10, 20, 40, 80, 160, 320, 640 ms, then each second.
    let count = generated(&world) - before;
    assert!((8..=13).contains(&count), "{count}");
    world.run_for(secs(5));
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(7)))));
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.routes[1][&prefix(HOST)].metric, claim_metric(7) + 10, "quiet again: at once");
}

#[test]
fn an_lsp_is_sent_again_until_it_is_acknowledged() {
    let mut world = chain(2, 33);
    world.run_for(secs(10));
    world.set_segment(0, false);
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(7)))));
    world.run_for(secs(1));
    world.set_segment(0, true);
    assert!(!world.routes[1].contains_key(&prefix(HOST)));
    world.run_for(secs(1));
    assert!(world.routes[1].contains_key(&prefix(HOST)));
    world.run_for(secs(1));
    let circuit = world.systems[0].state().circuits().next().unwrap().1.clone();
    assert_eq!(circuit.pending_lsps(Level::L2), 0);
}

#[test]
fn equal_runs_are_equal() {
    let run = || {
        let mut world = World::new(4, 34);
        world.join(&[0, 1, 2, 3], LAN, 10);
        world.join(&[0, 3], P2P, 10);
        world.loss = 20;
        world.recording = true;
        world.run_for(secs(30));
        world.sent
    };
    assert_eq!(run(), run());
}

#[test]
fn an_entry_of_a_description_that_is_empty_is_not_asked_for() {
    let mut world = chain(2, 35);
    world.run_for(secs(5));
    world.recording = true;
    let mut tlvs = TlvBuilder::new(100);
    tlvs.lsp_entry(LspEntry {
        lifetime: 0,
        id: id(9, 0),
        sequence: SequenceNumber(0),
        checksum: 0,
    });
    let source = NodeId::of_system(system_id(1));
    let psnp = bugle_wire::isis::emit_psnp(Level::L2, source, tlvs.bytes(), None);
    deliver(&mut world, 0, 1, 0, &psnp);
    world.run_for(Duration::from_millis(100));
    let asks = world.sent.iter().any(|(_, system, bytes)| {
        *system == 0
            && bugle_wire::isis::Pdu::parse(bytes)
                .is_ok_and(|pdu| matches!(pdu.body, bugle_wire::isis::PduBody::Psnp(_)))
    });
    assert!(!asks);
}

#[test]
fn a_large_database_is_sent_as_fast_as_the_neighbour_promises_to_take_it() {
    const COUNT: u32 = 2000;
    let mut world = chain(3, 37);
    world.run_for(secs(5));
    world.kill(2);
    world.run_for(secs(6));
    for number in 0..COUNT {
        let [_, high, low, fragment] = number.to_be_bytes();
        let system = bugle_types::SystemId([9, 0, 0, 0, high, low]);
        let id = LspId { node: NodeId::of_system(system), fragment };
        deliver(&mut world, 0, 1, 0, &lsp(id, 2000, 1, &TlvBuilder::new(100)));
    }
    world.run_for(secs(5));
    assert_eq!(world.systems[1].state().database_len(Level::L2), COUNT as usize + 3);
    world.recording = true;
    world.restart(2);
    let took = world.run_until(secs(10), "all there", |w| {
        w.systems[2].state().database_len(Level::L2) == COUNT as usize + 3
    });
    // One each 100 us at the steady rate.
    assert!(took < Duration::from_millis(1700), "{took:?}");
    let times: Vec<_> = world
        .sent
        .iter()
        .filter(|(_, system, bytes)| *system == 1 && bytes.len() < 40 && bytes[4] == 20)
        .map(|(time, _, _)| *time)
        .collect();
    assert!(times.len() >= COUNT as usize && times.len() < COUNT as usize + 50, "{}", times.len());
    // Never more than the burst within the time that the burst takes at the steady rate, and as much again.
    for window in times.windows(520) {
        assert!(window[519].since(window[0]) >= Duration::from_millis(25));
    }
    world.run_for(secs(3));
    assert!((0..3).all(|s| world.systems[s].state().in_step()));
    assert_eq!(world.systems[1].state().stats().retransmitted, 0);
}

#[test]
fn whoever_has_the_highest_priority_takes_a_lan_over_and_gives_it_back() {
    let mut world = World::new(3, 38);
    world.join(&[0, 1, 2], LAN, 10);
    world.join(&[0], CircuitKind::Passive, 1);
    world.run_for(secs(15));
    let lan_id = |world: &World| {
        let ids: Vec<_> = (0..3)
            .map(|s| world.systems[s].state().circuits().next().unwrap().1.lan_id.l2)
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        ids[0].unwrap()
    };
    assert_eq!(lan_id(&world).system, system_id(2));
    for (priority, designated) in [(100, 0), (1, 2)] {
        let before = lan_id(&world);
        let config = bugle_isis::CircuitConfig { priority, ..world.circuit_config(0, 0) };
        world.set_circuit(0, IfIndex(1), Some(config));
        world.run_for(secs(5));
        assert_eq!(lan_id(&world).system, system_id(designated));
        for system in 0..3 {
            let database = world.database(system, Level::L2);
            assert_eq!(database, world.database(0, Level::L2));
            assert!(!database.keys().any(|id| id.node == before), "the pseudonode before is gone");
            assert_eq!(world.up(system), 2);
        }
        assert_eq!(world.routes[1][&prefix("10.0.1.0/24")].metric, 11);
    }
}

#[test]
fn nobody_on_a_lan_is_missed_while_a_better_system_takes_it_over_or_gives_it_back() {
    for known_before in [true, false] {
        let mut world = World::new(3, 40);
        world.join(&[0, 1, 2], LAN, 10);
        world.input(0, Input::Host(prefix(HOST), Some(host(10))));
        let circuit = world.circuit_config(2, 0);
        let config = |priority| Some(bugle_isis::CircuitConfig { priority, ..circuit.clone() });
        world.set_circuit(2, IfIndex(1), config(1).filter(|_| known_before));
        world.run_for(secs(15));
        let designated = |world: &World, system: usize| {
            let (_, circuit) = world.systems[system].state().circuits().next().unwrap();
            circuit.lan_id.l2.unwrap().system
        };
        for (priority, by) in [(100, 2), (1, 1)] {
            world.set_circuit(2, IfIndex(1), config(priority));
            for _ in 0..10_000 {
                world.run_for(Duration::from_millis(1));
                assert!(world.routes[1].contains_key(&prefix(HOST)), "at {:?}", world.now);
            }
            assert_eq!(designated(&world, 0), system_id(by));
            assert!((1..3).all(|system| world.routes[system].contains_key(&prefix(HOST))));
            let lans = world.database(1, Level::L2).into_keys();
            let lans: Vec<_> = lans.filter(|id| id.node.is_pseudonode()).collect();
            assert_eq!(lans.len(), 1, "{lans:?}");
        }
    }
}

#[test]
fn a_host_in_a_full_description_is_left_out_and_told() {
    let mut world = chain(2, 39);
    world.configs[0].lsp_buffer_size = 512;
    let config = world.configs[0].clone();
    world.input(0, Input::Config(Box::new(config)));
    world.run_for(secs(5));
    for number in 0..14_000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a64_0000 + number);
        world.input(0, Input::Host(Prefix::host(address.into()), Some(host(claim_metric(9)))));
    }
    world.run_for(secs(10));
    let told = world.events[0].iter().filter(|(_, e)| matches!(e, Event::Overflow { .. })).count();
    assert_eq!(told, 1);
    assert_eq!(world.database(1, Level::L2).len(), 257);
    // The link is still there.
    assert!(world.routes[1].contains_key(&prefix("10.100.0.0/32")));
}
