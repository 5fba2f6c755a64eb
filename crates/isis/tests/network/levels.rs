//! Two levels, areas, topologies, narrow metrics.

use std::time::Duration;

use bugle_isis::{
    CircuitKind, Config, Event, Input, Ipv6Topology, Leak, Mismatch, PathType, Tags, claim_metric,
    claim_of,
};
use bugle_types::{IfIndex, Prefix};
use bugle_wire::isis::{
    CapabilityFlags, CircuitType, IPV6_TE_ROUTER_ID, Level, Lsp, LspFields, LspFlags, LspId,
    MAX_PATH_METRIC, NarrowMetrics, NarrowNeighbor, NarrowPrefix, Neighbor, NodeId,
    PrefixAttribute, PrefixFlags, PrefixReach, SequenceNumber, SubTlvs, TlvBody, TlvBuilder,
    TopologyId, emit_lsp,
};
use bugle_wire::list::List;

use crate::basics::P2P;
use crate::common::{World, host, mac, prefix, system_id};

const LAN: CircuitKind = CircuitKind::Broadcast;
const HOST: &str = "10.100.0.9/32";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn config(index: usize, area: &str, levels: CircuitType) -> Config {
    let mut config = Config::new(system_id(index), area.parse().unwrap());
    config.levels = levels;
    config.overload = false;
    config.router_id = Some(std::net::Ipv4Addr::new(192, 0, 2, u8::try_from(index).unwrap() + 1));
    config
}

/// Area 1: system 0 of level 1, system 1 of both. Area 2: system 2 of both, system 3 of level 1.
fn two_areas(adjust: impl Fn(usize, &mut Config)) -> World {
    let configs = [
        (0, "49.0001", CircuitType::L1),
        (1, "49.0001", CircuitType::L1_L2),
        (2, "49.0002", CircuitType::L1_L2),
        (3, "49.0002", CircuitType::L1),
    ];
    let configs = configs.into_iter().map(|(index, area, levels)| {
        let mut config = config(index, area, levels);
        adjust(index, &mut config);
        config
    });
    let mut world = World::of(configs.collect(), 50);
    for pair in [[0, 1], [1, 2], [2, 3]] {
        world.join(&pair, P2P, 10);
    }
    world.join(&[3], CircuitKind::Passive, 5);
    world
}

fn route(world: &World, system: usize, text: &str) -> Option<(PathType, u32)> {
    world.routes[system].get(&prefix(text)).map(|route| (route.path, route.metric))
}

#[test]
fn an_area_is_known_in_level_2_and_leaves_by_the_attached_bit() {
    let mut world = two_areas(|_, _| {});
    world.run_for(secs(10));
    assert_eq!((world.up(0), world.up(1), world.up(2), world.up(3)), (1, 2, 2, 1));
    let adjacency = world.systems[1].state().adjacencies().map(|a| a.levels.to_string());
    assert_eq!(adjacency.collect::<Vec<_>>(), ["L1", "L2"]);
    // The passive network of area 2, at its metric and those of the links: up to level 2, and no further.
    assert_eq!(route(&world, 1, "10.0.3.0/24"), Some((PathType::Level2, 25)));
    assert_eq!(route(&world, 0, "10.0.3.0/24"), None);
    assert_eq!(route(&world, 0, "0.0.0.0/0"), Some((PathType::Attached, 10)));
    assert_eq!(route(&world, 0, "::/0"), Some((PathType::Attached, 10)));
    assert_eq!(route(&world, 1, "0.0.0.0/0"), None);
    // The other area is gone: so is the way out.
    world.kill(2);
    world.run_for(secs(10));
    assert_eq!(route(&world, 0, "0.0.0.0/0"), None);
}

#[test]
fn an_overloaded_border_is_no_way_out() {
    let mut world = two_areas(|index, config| config.overload = index == 1);
    world.run_for(secs(10));
    assert_eq!(route(&world, 0, "0.0.0.0/0"), None);
    let lsp = world.systems[0]
        .state()
        .database(Level::L1)
        .find(|lsp| lsp.entry(world.now).id.node == NodeId::of_system(system_id(1)));
    assert!(lsp.unwrap().flags().contains(LspFlags::OVERLOAD));
}

#[test]
fn what_is_leaked_down_does_not_go_up_again() {
    let all = Leak::Within(vec![prefix("0.0.0.0/0"), prefix("::/0")]);
    let mut world = two_areas(|_, config| config.leak = all.clone());
    // A second border of area 1.
    world.run_for(secs(10));
    assert_eq!(route(&world, 0, "10.0.3.0/24"), Some((PathType::Down, 35)));
    assert_eq!(route(&world, 0, "2001:db8:0:4::/64"), Some((PathType::Down, 35)));
    assert_eq!(route(&world, 3, "10.0.0.0/24"), Some((PathType::Down, 30)));
    // In level 2 each prefix is advertised by the border of its area only.
    world.kill(3);
    world.run_for(secs(10));
    for system in 0..3 {
        assert_eq!(route(&world, system, "10.0.3.0/24"), None, "{system}");
    }
}

#[test]
fn a_host_moves_between_areas() {
    let ipv6 = |index: usize| format!("2001:db8::{}", index + 1).parse().ok();
    // Who has no IPv4 router ID is known by that of IPv6.
    for by_ipv6 in [false, true] {
        host_moves_between_areas(&mut two_areas(|index, config| {
            config.leak = Leak::Within(vec![prefix("10.100.0.0/16")]);
            if by_ipv6 {
                (config.router_id, config.ipv6_router_id) = (None, ipv6(index));
            }
        }));
    }
}

fn host_moves_between_areas(world: &mut World) {
    world.run_for(secs(10));
    for system in [0, 3] {
        world.input(system, Input::Watch(prefix(HOST), true));
    }
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(100)))));
    world.run_for(secs(1));
    assert_eq!(world.rivals[0].get(&prefix(HOST)), Some(&None), "what comes back is no rival");
    let seen = world.rivals[3][&prefix(HOST)].unwrap();
    assert_eq!(seen.metric.map(claim_of), Some(100));
    let (path, metric) = route(world, 3, HOST).unwrap();
    assert_eq!((path, claim_of(metric)), (PathType::Down, 100));
    world.input(3, Input::Host(prefix(HOST), Some(host(claim_metric(99)))));
    world.run_for(secs(1));
    assert_eq!(world.rivals[0][&prefix(HOST)].unwrap().metric.map(claim_of), Some(99));
    world.input(0, Input::Host(prefix(HOST), None));
    world.run_for(secs(1));
    for system in 0..3 {
        assert_eq!(claim_of(route(world, system, HOST).unwrap().1), 99, "{system}");
    }
    assert_eq!(route(world, 0, HOST).unwrap().0, PathType::Down);
}

#[test]
fn systems_of_different_areas_meet_at_level_2_only() {
    for kind in [P2P, LAN] {
        let levels = [CircuitType::L1, CircuitType::L1_L2, CircuitType::L2];
        for (ours, theirs) in levels.iter().flat_map(|a| levels.iter().map(move |b| (*a, *b))) {
            for same_area in [true, false] {
                let area = if same_area { "49.0001" } else { "49.0002" };
                let configs = vec![config(0, "49.0001", ours), config(1, area, theirs)];
                let mut world = World::of(configs, 51);
                world.join(&[0, 1], kind, 10);
                world.run_for(secs(8));
                let both = |level| ours.includes(level) && theirs.includes(level);
                let l1 = both(Level::L1) && same_area;
                let l2 = both(Level::L2);
                for system in 0..2 {
                    let state = world.systems[system].state();
                    for (level, expected) in [(Level::L1, l1), (Level::L2, l2)] {
                        let up = state.adjacencies().any(|a| {
                            a.levels.includes(level) && a.state == bugle_isis::AdjacencyState::Up
                        });
                        assert_eq!(up, expected, "{kind:?} {ours} {theirs} {same_area} {level}");
                        assert_eq!(
                            world.database(system, level).len() > 1,
                            expected,
                            "{kind:?} {ours} {theirs} {same_area} {level}"
                        );
                    }
                }
                if kind == P2P && !l1 && !l2 {
                    let told = world.events[0].iter().any(|(_, event)| {
                        let Event::Mismatch { mismatch, .. } = event else { return false };
                        if both(Level::L1) {
                            matches!(mismatch, Mismatch::Area { .. })
                        } else {
                            matches!(mismatch, Mismatch::Level { .. })
                        }
                    });
                    assert!(told, "{ours} {theirs} {same_area}");
                }
            }
        }
    }
}

#[test]
fn ipv6_has_a_topology_of_its_own_where_all_say_so() {
    for kind in [P2P, LAN] {
        let configs = (0..3).map(|index| {
            let mut config = config(index, "49.0001", CircuitType::L2);
            config.ipv6_topology = Ipv6Topology::Own;
            config
        });
        let mut world = World::of(configs.collect(), 52);
        world.join(&[0, 1], kind, 10);
        world.join(&[1, 2], kind, 10);
        world.join(&[0, 2], kind, 10);
        // The link between 0 and 2 carries IPv4 only.
        for system in [0, 2] {
            let mut without = world.circuit_config(system, 2);
            without.link_local = None;
            without.ipv6 = Vec::new();
            world.set_circuit(system, IfIndex(3), None);
            world.set_circuit(system, IfIndex(3), Some(without));
        }
        world.join(&[2], CircuitKind::Passive, 1);
        world.run_for(secs(15));
        assert_eq!(route(&world, 0, "10.0.3.0/24"), Some((PathType::Level2, 11)), "{kind:?}");
        assert_eq!(route(&world, 0, "2001:db8:0:4::/64"), Some((PathType::Level2, 21)), "{kind:?}");
    }
}

#[test]
fn narrow_metrics_are_understood_and_external_ones_come_last() {
    let mut world = World::new(2, 53);
    world.join(&[0, 1], P2P, 10);
    world.run_for(secs(8));
    let peer = NodeId::of_system(system_id(9));
    let own = NodeId::of_system(system_id(1));
    let send = |world: &mut World, node: NodeId, fragment: u8, sequence: u32, tlvs: &TlvBuilder| {
        let id = LspId { node, fragment };
        let flags = LspFlags::LEVEL_1 | LspFlags::LEVEL_2;
        let fields = LspFields { lifetime: 1200, id, sequence: SequenceNumber(sequence), flags };
        let bytes = emit_lsp(Level::L2, &fields, tlvs.bytes(), None);
        let (ifindex, source) = (IfIndex(1), mac(1, IfIndex(1)));
        world.input(0, Input::Pdu { ifindex, source, bytes: &bytes });
    };
    let link = |id| NarrowNeighbor { metrics: NarrowMetrics::internal(7), id };
    let narrow = |text: &str, metrics: NarrowMetrics| {
        let prefix = prefix(text);
        NarrowPrefix { metrics, address: prefix.ipv4().unwrap(), mask: prefix.mask().unwrap() }
    };
    let mut tlvs = TlvBuilder::new(1000);
    tlvs.narrow_neighbor(link(own));
    tlvs.internal_prefix(narrow("10.9.0.0/16", NarrowMetrics::internal(3)));
    tlvs.external_prefix(narrow("10.10.0.0/16", NarrowMetrics::internal(3).external()));
    tlvs.external_prefix(narrow("10.11.0.0/16", NarrowMetrics::internal(3)));
    tlvs.external_prefix(narrow("10.9.0.0/16", NarrowMetrics::internal(1).external()));
    // RFC 5302 section 3.3: not among internal ones.
    tlvs.internal_prefix(narrow("10.12.0.0/16", NarrowMetrics::internal(3).external()));
    send(&mut world, peer, 0, 1, &tlvs);
    // What the neighbour says of the link to it, in a fragment that it does not have.
    let mut back = TlvBuilder::new(1000);
    back.narrow_neighbor(link(peer));
    send(&mut world, own, 99, 1, &back);
    world.run_for(Duration::from_millis(5));
    assert_eq!(route(&world, 0, "10.9.0.0/16"), Some((PathType::Level2, 20)));
    assert_eq!(route(&world, 0, "10.10.0.0/16"), Some((PathType::Level2External, 3)));
    assert_eq!(route(&world, 0, "10.11.0.0/16"), Some((PathType::Level2, 20)));
    assert_eq!(route(&world, 0, "10.12.0.0/16"), None);
}

/// What a system says of a prefix at a level: the metric, whether it is external, and the sub-TLVs.
fn said(world: &World, level: Level, of: usize, text: &str) -> Option<(u32, bool, Vec<u8>)> {
    let lsps = world.systems[of].state().database(level);
    let ours = lsps.filter(|lsp| lsp.entry(world.now).id.node.system == system_id(of));
    let bytes: Vec<Vec<u8>> = ours.filter_map(|lsp| Some(lsp.lsp()?.bytes().to_vec())).collect();
    bytes.iter().find_map(|bytes| {
        Lsp::parse(bytes).unwrap().tlvs().unwrap().into_iter().find_map(|tlv| {
            let Ok(TlvBody::ExtendedIpReachability(prefixes)) = tlv.body() else { return None };
            let reach = prefixes.iter().find(|reach| reach.prefix == prefix(text))?;
            Some((reach.metric, reach.external, reach.sub_tlvs.bytes().to_vec()))
        })
    })
}

#[test]
fn what_is_said_of_a_prefix_goes_with_it_to_another_level() {
    let mut world = two_areas(|_, _| {});
    world.run_for(secs(10));
    let [peer, area] = [9, 0].map(|system| NodeId::of_system(system_id(system)));
    let send = |world: &mut World, node: NodeId, fragment: u8, tlvs: &TlvBuilder| {
        let (id, flags) = (LspId { node, fragment }, LspFlags::LEVEL_1);
        let fields = LspFields { lifetime: 1200, id, sequence: SequenceNumber(1), flags };
        let bytes = emit_lsp(Level::L1, &fields, tlvs.bytes(), None);
        let (ifindex, source) = (IfIndex(1), mac(0, IfIndex(1)));
        world.input(1, Input::Pdu { ifindex, source, bytes: &bytes });
    };
    let link = |id| Neighbor { id, metric: 7, sub_tlvs: SubTlvs::default() };
    let mut tlvs = TlvBuilder::new(1000);
    tlvs.neighbor(TopologyId::STANDARD, &link(area));
    let (tags, long_tags) = ([0, 0, 0, 9, 0, 0, 0, 7], [1, 0, 0, 0, 0, 0, 0, 2]);
    let sub_tlvs = |flags| {
        let mut bytes = Vec::new();
        for attribute in [
            PrefixAttribute::Flags(flags),
            PrefixAttribute::Tags(List::new(&tags).unwrap()),
            PrefixAttribute::Tags64(List::new(&long_tags).unwrap()),
            PrefixAttribute::Ipv4SourceRouterId([192, 0, 2, 77].into()),
            PrefixAttribute::Ipv6SourceRouterId("2001:db8::77".parse().unwrap()),
        ] {
            attribute.encode(&mut bytes);
        }
        bytes
    };
    let attributes = sub_tlvs(PrefixFlags::NODE | PrefixFlags::EXTERNAL);
    let (both, readvertised) =
        (PrefixFlags::NODE | PrefixFlags::EXTERNAL, PrefixFlags::READVERTISED);
    let cases = [
        ("10.9.0.9/32", MAX_PATH_METRIC - 3, false, both | readvertised),
        // Only a host stands for a router.
        ("10.9.0.0/24", 3, false, PrefixFlags::EXTERNAL | readvertised),
        // IPv6 prefixes say elsewhere whether they are external.
        ("2001:db8:9::9/128", 3, false, PrefixFlags::NODE | readvertised),
    ];
    for (text, metric, external, _) in cases {
        let sub_tlvs = SubTlvs::new(&attributes);
        let reach = PrefixReach { prefix: prefix(text), metric, down: false, external, sub_tlvs };
        tlvs.prefix(TopologyId::STANDARD, &reach);
    }
    send(&mut world, peer, 0, &tlvs);
    let mut back = TlvBuilder::new(1000);
    back.neighbor(TopologyId::STANDARD, &link(peer));
    send(&mut world, area, 99, &back);
    // Before the acknowledgement tells the area's system of what it has never said.
    world.run_for(Duration::from_millis(15));
    for (text, metric, external, flags) in cases {
        // RFC 5305 section 3: no path costs more than that.
        let metric = (metric + 17).min(MAX_PATH_METRIC);
        // RFC 5130 section 4: the tags in their order.
        let expected = Some((metric, external, sub_tlvs(flags)));
        assert_eq!(said(&world, Level::L2, 1, text), expected, "{text}");
        if metric < MAX_PATH_METRIC {
            let tags = Tags { short: 9, long: 0x0100_0000_0000_0002 };
            assert_eq!(world.routes[2][&prefix(text)].tags, tags, "{text}");
        }
    }
}

#[test]
fn who_has_no_ipv4_router_id_is_known_by_that_of_ipv6() {
    let ours = "2001:db8::1".parse().unwrap();
    for ipv4 in [None, Some([192, 0, 2, 1].into())] {
        let mut configs = vec![config(0, "49.0001", CircuitType::L2)];
        (configs[0].router_id, configs[0].ipv6_router_id) = (ipv4, Some(ours));
        configs.push(config(1, "49.0001", CircuitType::L2));
        let mut world = World::of(configs, 55);
        world.join(&[0, 1], P2P, 10);
        world.run_for(secs(8));
        let id = LspId { node: NodeId::of_system(system_id(0)), fragment: 0 };
        let lsp =
            world.systems[1].state().database(Level::L2).find(|l| l.entry(world.now).id == id);
        let tlvs = lsp.unwrap().lsp().unwrap().tlvs().unwrap();
        let bodies: Vec<TlvBody<'_>> = tlvs.into_iter().map(|tlv| tlv.body().unwrap()).collect();
        assert!(bodies.contains(&TlvBody::Ipv6TeRouterId(ours)), "{bodies:?}");
        let capability = bodies.iter().find_map(|body| {
            let TlvBody::RouterCapability(capability) = body else { return None };
            Some((capability.router, capability.sub_tlvs.bytes().to_vec()))
        });
        // RFC 7981 section 3.
        let sub_tlv: Vec<u8> = [&[12, 16][..], &ours.octets()].concat();
        let by_ipv6 = ([0, 0, 0, 0].into(), sub_tlv);
        assert_eq!(capability, Some(ipv4.map_or(by_ipv6, |router| (router, Vec::new()))));
    }
}

/// The router capabilities that a system's LSPs hold at a level: the router, the flags, and how long the rest is.
fn capabilities(world: &World, level: Level, of: usize) -> Vec<(String, u8, usize)> {
    let lsps = world.systems[of].state().database(level);
    let ours = lsps.filter(|lsp| lsp.entry(world.now).id.node.system == system_id(of));
    let bytes: Vec<Vec<u8>> = ours.filter_map(|lsp| Some(lsp.lsp()?.bytes().to_vec())).collect();
    let mut found = Vec::new();
    for bytes in &bytes {
        for tlv in Lsp::parse(bytes).unwrap().tlvs().unwrap() {
            if let Ok(TlvBody::RouterCapability(capability)) = tlv.body() {
                let rest = capability.sub_tlvs.bytes().len();
                found.push((capability.router.to_string(), capability.flags.0, rest));
            }
        }
    }
    found
}

#[test]
fn capabilities_for_the_domain_go_to_the_other_level_while_their_router_can_be_reached() {
    let mut world = two_areas(|_, config| config.router_id = None);
    world.run_for(secs(10));
    let [domain, down] = [CapabilityFlags::DOMAIN, CapabilityFlags::DOMAIN | CapabilityFlags::DOWN];
    // The ends are heard no more, and their neighbours have not noticed yet.
    for (end, border, level, segment) in [(0, 1, Level::L1, 1), (2, 1, Level::L2, 2)] {
        world.kill(end);
        let capable = |flags: CapabilityFlags, router: u8, sub_tlvs: &[u8]| {
            let mut tlvs = TlvBuilder::new(1000);
            let router = if router == 0 { [0; 4] } else { [10, 0, 0, router] };
            tlvs.router_capability(router.into(), flags, SubTlvs::new(sub_tlvs));
            tlvs.bytes().to_vec()
        };
        let ipv6 = [&[IPV6_TE_ROUTER_ID, 16][..], &[0x20; 16]].concat();
        let number = u8::try_from(end).unwrap();
        let tlvs = [
            capable(domain, number + 1, &[2, 1, 7]),
            capable(CapabilityFlags::NONE, 20, &[]),
            capable(down, 30, &[]),
            // Section 3: who has no name is not used.
            capable(domain, 0, &[2, 1, 7]),
            capable(domain, 0, &ipv6),
        ]
        .concat();
        let id = LspId { node: NodeId::of_system(system_id(end)), fragment: 99 };
        let flags = LspFlags::LEVEL_1 | LspFlags::LEVEL_2;
        let fields = LspFields { lifetime: 1200, id, sequence: SequenceNumber(1), flags };
        let bytes = emit_lsp(level, &fields, &tlvs, None);
        let (ifindex, source) = (IfIndex(segment), mac(end, IfIndex(segment)));
        world.input(border, Input::Pdu { ifindex, source, bytes: &bytes });
    }
    world.run_for(Duration::from_millis(100));
    let said = |router: &str, flags: CapabilityFlags, rest| (router.to_owned(), flags.0, rest);
    let up = [said("10.0.0.1", domain, 3), said("0.0.0.0", domain, 18)];
    assert_eq!(capabilities(&world, Level::L2, 1), up);
    // What the area's own routers say, too, is not said there once more.
    assert_eq!(capabilities(&world, Level::L1, 1), [said("10.0.0.3", down, 3)]);
    world.run_for(secs(10));
    for level in Level::ALL {
        assert_eq!(capabilities(&world, level, 1), []);
    }
}

#[test]
fn a_system_that_leaves_a_level_takes_back_what_it_brought_from_there() {
    let mut world = two_areas(|_, config| config.leak = Leak::Within(vec![prefix("0.0.0.0/0")]));
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(3)))));
    world.run_for(secs(10));
    assert!(world.routes[2].contains_key(&prefix(HOST)));
    let of_domain = ("192.0.2.1".to_owned(), CapabilityFlags::DOMAIN.0, 0);
    let id = LspId { node: NodeId::of_system(system_id(0)), fragment: 99 };
    let fields =
        LspFields { lifetime: 1200, id, sequence: SequenceNumber(1), flags: LspFlags::LEVEL_1 };
    let mut tlvs = TlvBuilder::new(1000);
    tlvs.router_capability([192, 0, 2, 1].into(), CapabilityFlags::DOMAIN, SubTlvs::default());
    let bytes = emit_lsp(Level::L1, &fields, tlvs.bytes(), None);
    let (ifindex, source) = (IfIndex(1), mac(0, IfIndex(1)));
    world.input(1, Input::Pdu { ifindex, source, bytes: &bytes });
    world.run_for(Duration::from_millis(15));
    let brought = |world: &World| capabilities(world, Level::L2, 1).contains(&of_domain);
    assert!(brought(&world));
    world.configs[1].levels = CircuitType::L2;
    let config = world.configs[1].clone();
    world.input(1, Input::Config(Box::new(config)));
    world.run_for(secs(3));
    assert!(!brought(&world));
    assert_eq!(said(&world, Level::L2, 1, HOST), None);
    assert!(!world.routes[2].contains_key(&prefix(HOST)));
}

#[test]
fn hosts_and_networks_carry_the_tags_that_are_configured() {
    let mut world = two_areas(|index, config| {
        if index == 0 {
            config.host_tags = Tags { short: 100, long: 0 };
        }
    });
    let tags = |world: &World, text: &str| world.routes[3].get(&prefix(text)).map(|r| r.tags);
    for system in [1, 2, 3] {
        world.configs[system].leak = Leak::Within(vec![prefix("0.0.0.0/0"), prefix("::/0")]);
        let config = world.configs[system].clone();
        world.input(system, Input::Config(Box::new(config)));
    }
    let network = Tags { short: 0, long: u64::MAX };
    world.join_with(&[0], CircuitKind::Passive, 5, |circuit| circuit.tags = network);
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(3)))));
    world.run_for(secs(10));
    assert_eq!(tags(&world, HOST), Some(Tags { short: 100, long: 0 }));
    assert_eq!(tags(&world, "10.0.4.0/24"), Some(network));
    assert_eq!(tags(&world, "2001:db8:0:5::/64"), Some(network));
    assert_eq!(tags(&world, "10.0.0.0/24"), Some(Tags::NONE));
    // Another tag: the hosts are said anew.
    world.configs[0].host_tags = Tags { short: 101, long: 7 };
    let config = world.configs[0].clone();
    world.input(0, Input::Config(Box::new(config)));
    world.run_for(secs(1));
    assert_eq!(tags(&world, HOST), Some(Tags { short: 101, long: 7 }));
}

#[test]
fn equal_paths_are_used_side_by_side_and_overload_takes_one_out() {
    let mut world = World::new(4, 54);
    for pair in [[0, 1], [0, 2], [1, 3], [2, 3]] {
        world.join(&pair, P2P, 10);
    }
    world.join(&[3], CircuitKind::Passive, 1);
    world.run_for(secs(10));
    let paths = |world: &World| world.routes[0][&prefix("10.0.4.0/24")].nexthops.len();
    assert_eq!(paths(&world), 2);
    world.configs[1].overload = true;
    let config = world.configs[1].clone();
    world.input(1, Input::Config(Box::new(config)));
    world.run_for(secs(3));
    assert_eq!(paths(&world), 1);
    // What the overloaded system has itself can still be reached.
    assert!(world.routes[3].contains_key(&prefix("10.0.0.0/24")));
    let circuit = world.circuit_config(0, 1);
    let dearer = bugle_isis::CircuitConfig { metric: 40, ..circuit };
    world.set_circuit(0, IfIndex(2), Some(dearer));
    world.run_for(secs(3));
    assert_eq!(route(&world, 0, "10.0.4.0/24"), Some((PathType::Level2, 51)));
}

#[test]
fn levels_and_areas_can_be_changed_while_running() {
    let mut world = two_areas(|_, _| {});
    world.run_for(secs(10));
    for (system, levels) in [(1, CircuitType::L2), (1, CircuitType::L1_L2)] {
        world.configs[system].levels = levels;
        let config = world.configs[system].clone();
        world.input(system, Input::Config(Box::new(config)));
        world.run_for(secs(10));
        assert_eq!(world.up(0), usize::from(levels == CircuitType::L1_L2));
    }
    assert_eq!(route(&world, 2, "10.0.0.0/24"), Some((PathType::Level2, 20)));
    let host: Prefix = prefix(HOST);
    world.input(0, Input::Host(host, Some(crate::common::host(claim_metric(3)))));
    world.run_for(secs(2));
    assert!(world.routes[2].contains_key(&host));
}
