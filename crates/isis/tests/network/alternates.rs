//! Backups of routes (RFC 5286), and new routes that wait (RFC 8333).

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_isis::{
    AlternatesConfig, CircuitKind, Config, Input, Ipv6Topology, Leak, Protection, Route,
};
use bugle_types::{IfIndex, Nexthop, Prefix, Rng};
use bugle_wire::isis::{
    CircuitType, Level, LspFields, LspFlags, LspId, NodeId, PrefixReach, SequenceNumber, SubTlvs,
    TlvBuilder, TopologyId, emit_lsp,
};

use crate::common::{World, host, mac, prefix, system_id};

const P2P: CircuitKind = CircuitKind::PointToPoint;

/// Systems, and links between two or more of them with their metric. Each system has a network of its own.
struct Net {
    world: World,
    /// The IPv4 and the IPv6 network of each.
    networks: Vec<[Prefix; 2]>,
    /// Who has which address on which interface.
    owners: BTreeMap<Nexthop, usize>,
}

impl Net {
    fn new(systems: usize, wires: &[(&[usize], u32)]) -> Self {
        Self::with(systems, wires, |_, _| {})
    }

    fn with(
        systems: usize,
        wires: &[(&[usize], u32)],
        change: impl Fn(usize, &mut Config),
    ) -> Self {
        let plain = World::new(systems, 7).configs;
        let configs = plain.into_iter().enumerate().map(|(index, mut config)| {
            change(index, &mut config);
            config
        });
        let mut world = World::of(configs.collect(), 7);
        let mut owners = BTreeMap::new();
        for (members, metric) in wires {
            let kind = if members.len() == 2 { P2P } else { CircuitKind::Broadcast };
            let segment = world.join(members, kind, *metric);
            let ifindex = ifindex(segment);
            for &member in *members {
                let config = world.circuit_config(member, segment);
                for address in [config.ipv4[0].0.into(), config.link_local.unwrap().into()] {
                    owners.insert(Nexthop::via(ifindex, address), member);
                }
            }
        }
        let networks = (0..systems).map(|system| {
            let segment = world.join(&[system], CircuitKind::Passive, 1);
            let networks: Vec<Prefix> = world.circuit_config(system, segment).networks().collect();
            <[Prefix; 2]>::try_from(networks).unwrap()
        });
        let networks = networks.collect();
        world.run_for(Duration::from_secs(20));
        Self { world, networks, owners }
    }

    fn route(&self, from: usize, to: usize) -> &Route {
        &self.world.routes[from][&self.networks[to][0]]
    }

    /// The link that a route's packets leave by, and the one that its backup's do.
    fn ways(&self, from: usize, prefix: Prefix) -> (Vec<u32>, Option<(u32, Protection)>) {
        let route = &self.world.routes[from][&prefix];
        let out = route.nexthops.iter().map(|hop| hop.ifindex.0).collect();
        (out, route.backup.map(|backup| (backup.nexthop.ifindex.0, backup.protects)))
    }

    fn distance(&self, from: usize, to: usize) -> Option<u32> {
        let node = NodeId::of_system(system_id(to));
        self.world.systems[from].state().distance(Level::L2, TopologyId::STANDARD, node)
    }

    /// Packets that `from` sends over a backup for `prefix` of `to` arrive, whatever equal path they take, never come back,
    /// and avoid what the backup is said to avoid.
    fn walk(&self, from: usize, to: usize, prefix: Prefix) {
        let route = &self.world.routes[from][&prefix];
        let Some(backup) = route.backup else { return };
        let lost: Vec<usize> = route.nexthops.iter().map(|hop| self.owners[hop]).collect();
        let link = route.nexthops[0].ifindex;
        let (no_link, no_node) = match backup.protects {
            Protection::Link => (true, false),
            Protection::Node => (false, true),
            Protection::LinkAndNode => (true, true),
        };
        let mut at = vec![backup.nexthop];
        let mut steps = 0;
        while let Some(hop) = at.pop() {
            let system = self.owners[&hop];
            assert_ne!(system, from, "{from} to {to}: came back");
            assert!(!no_link || hop.ifindex != link, "{from} to {to}: over the link");
            assert!(
                !no_node || !lost.contains(&system) || system == to,
                "{from} to {to}: through the neighbour"
            );
            if system != to {
                at.extend(self.world.routes[system][&prefix].nexthops.iter());
            }
            steps += 1;
            assert!(steps < 100, "{from} to {to}: no end");
        }
    }
}

fn ifindex(segment: usize) -> IfIndex {
    IfIndex(u32::try_from(segment).unwrap() + 1)
}

/// Two neighbours, 1 and 2, that a third system joins: 1 is nearer.
const SQUARE: [(&[usize], u32); 4] = [(&[0, 1], 10), (&[0, 2], 10), (&[1, 3], 10), (&[2, 3], 15)];
const BOTH: Option<(u32, Protection)> = Some((2, Protection::LinkAndNode));

#[test]
fn backups_are_those_of_the_inequalities_and_no_packet_comes_back() {
    let (mut protected, mut unprotected) = (0, 0);
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
        let systems = 7;
        let mut wires: Vec<(Vec<usize>, u32)> = Vec::new();
        for system in 1..systems {
            wires.push((vec![below(system), system], 1 + u32::try_from(below(5)).unwrap()));
        }
        for _ in 0..5 {
            let (one, other) = (below(systems), below(systems));
            if one != other {
                wires.push((vec![one, other], 1 + u32::try_from(below(5)).unwrap()));
            }
        }
        let with_lan = seed % 2 == 1;
        if with_lan {
            wires.push((vec![0, 2, 4], 2));
        }
        // Some are no transit.
        let stub = if seed % 3 == 2 { below(systems) } else { systems };
        let borrowed: Vec<(&[usize], u32)> = wires.iter().map(|(m, c)| (&m[..], *c)).collect();
        let net = Net::with(systems, &borrowed, |index, config| config.overload = index == stub);
        for from in 0..systems {
            for to in (0..systems).filter(|&to| to != from) {
                for prefix in net.networks[to] {
                    if net.world.routes[from].contains_key(&prefix) {
                        net.walk(from, to, prefix);
                    }
                }
                if with_lan || stub < systems {
                    continue;
                }
                let route = net.route(from, to);
                let links = route.nexthops.iter().map(|hop| hop.ifindex);
                let one_link = links.clone().all(|link| link == route.nexthops[0].ifindex);
                let here = net.distance(from, to).unwrap();
                let alternate = wires.iter().enumerate().any(|(segment, (members, _))| {
                    let others = members.iter().filter(|&&other| other != from);
                    members.contains(&from)
                        && !links.clone().any(|link| link == ifindex(segment))
                        && others.into_iter().any(|&other| {
                            // Inequality 1.
                            let back = net.distance(other, from).unwrap();
                            net.distance(other, to).unwrap() < back + here
                        })
                });
                assert_eq!(route.backup.is_some(), one_link && alternate, "{from} to {to}");
                protected += usize::from(route.backup.is_some());
                unprotected += usize::from(route.backup.is_none());
            }
        }
    }
    assert!(protected > 20 && unprotected > 20, "{protected} {unprotected}");
}

#[test]
fn each_level_and_each_topology_has_its_own_backups() {
    for ipv6 in [Ipv6Topology::Standard, Ipv6Topology::Own] {
        for level in [CircuitType::L1, CircuitType::L2, CircuitType::L1_L2] {
            let net = Net::with(4, &SQUARE, |_, config| {
                config.levels = level;
                config.ipv6_topology = ipv6;
            });
            for network in net.networks[3] {
                assert_eq!(net.ways(0, network), (vec![1], BOTH), "{level} {ipv6:?} {network}");
                // 2 reaches it through us.
                let near = if network.is_ipv4() { net.networks[1][0] } else { net.networks[1][1] };
                assert_eq!(net.ways(0, near), (vec![1], None));
            }
        }
    }
}

#[test]
fn an_overloaded_system_with_two_uplinks_has_a_backup_for_everything() {
    let far: [(&[usize], u32); 4] =
        [(&[0, 1], 10), (&[0, 2], 20), (&[1, 3], 1000), (&[2, 3], 1000)];
    for (overload, unprotected) in [(true, 0), (false, 8)] {
        let net = Net::with(4, &far, |index, config| config.overload = overload && index == 0);
        let coverage = net.world.systems[0].state().coverage(Level::L2);
        assert_eq!(coverage.unprotected, unprotected, "{coverage:?}");
        assert!(coverage.protected() > 0);
    }
}

#[test]
fn a_neighbour_that_is_overloaded_or_costed_out_is_no_backup() {
    let most = 0x00ff_fffe;
    for (overloaded, metric, backup) in [(true, 10, None), (false, most, None), (false, 10, BOTH)] {
        let mut wires = SQUARE;
        wires[1].1 = metric;
        let net = Net::with(4, &wires, |index, config| config.overload = overloaded && index == 2);
        assert_eq!(net.ways(0, net.networks[3][0]), (vec![1], backup));
    }
}

#[test]
fn a_host_that_comes_later_has_its_backup_from_the_start() {
    let mut net = Net::new(4, &SQUARE);
    for text in ["10.100.0.9/32", "2001:db8:100::9/128"] {
        let prefix = prefix(text);
        net.world.input(3, Input::Host(prefix, Some(host(5))));
        net.world.run_for(Duration::from_millis(15));
        assert_eq!(net.ways(0, prefix), (vec![1], BOTH));
    }
}

#[test]
fn what_comes_from_another_level_has_a_backup() {
    let area = |index| if index == 3 { "49.0002" } else { "49.0001" };
    let net = Net::with(4, &SQUARE, |index, config| {
        config.areas = vec![area(index).parse().unwrap()];
        config.levels =
            [CircuitType::L1, CircuitType::L1_L2, CircuitType::L1_L2, CircuitType::L2][index];
        config.leak = Leak::Within(vec!["10.0.0.0/8".parse().unwrap()]);
    });
    let default = prefix("0.0.0.0/0");
    for (prefix, ways) in [
        // Leaked by both: 1 is nearer.
        (net.networks[3][0], (vec![1], BOTH)),
        // As near to the one as to the other.
        (default, (vec![1, 2], None)),
    ] {
        assert_eq!(net.ways(0, prefix), ways, "{prefix}");
    }
    let nearer: [(&[usize], u32); 4] = [(&[0, 1], 10), (&[0, 2], 11), (&[1, 3], 10), (&[2, 3], 15)];
    let net = Net::with(4, &nearer, |index, config| {
        config.areas = vec![area(index).parse().unwrap()];
        config.levels =
            [CircuitType::L1, CircuitType::L1_L2, CircuitType::L1_L2, CircuitType::L2][index];
    });
    assert_eq!(net.ways(0, default), (vec![1], BOTH));
}

#[test]
fn what_both_levels_have_has_a_nearer_neighbour_as_its_backup() {
    let text = "10.9.0.0/16";
    let link = Some((2, Protection::Link));
    for (far, metrics, backup) in [
        // In one level 2 is no loop; if it is in both, only a neighbour that is nearer than us is none for certain.
        (15, [Some(5), None], BOTH),
        (15, [None, Some(5)], BOTH),
        (15, [Some(5), Some(5)], link),
        (15, [Some(5), Some(500)], link),
        (15, [Some(500), Some(5)], link),
        (21, [Some(5), None], BOTH),
        (21, [Some(5), Some(5)], None),
        (21, [Some(500), Some(5)], None),
    ] {
        let mut wires = SQUARE;
        wires[3].1 = far;
        let mut net = Net::with(4, &wires, |_, config| config.levels = CircuitType::L1_L2);
        // 3 is heard no more, and its neighbours have not noticed yet.
        net.world.kill(3);
        for (level, metric) in Level::ALL.into_iter().zip(metrics) {
            let Some(metric) = metric else { continue };
            let id = LspId { node: NodeId::of_system(system_id(3)), fragment: 99 };
            let flags = LspFlags::LEVEL_1 | LspFlags::LEVEL_2;
            let sequence = SequenceNumber::INITIAL;
            let fields = LspFields { lifetime: 1200, id, sequence, flags };
            let mut tlvs = TlvBuilder::new(1000);
            let (prefix, sub_tlvs) = (prefix(text), SubTlvs::default());
            let reach = PrefixReach { prefix, metric, down: true, external: false, sub_tlvs };
            tlvs.prefix(TopologyId::STANDARD, &reach);
            let bytes = emit_lsp(level, &fields, tlvs.bytes(), None);
            let (ifindex, source) = (IfIndex(3), mac(3, IfIndex(3)));
            net.world.input(1, Input::Pdu { ifindex, source, bytes: &bytes });
        }
        net.world.run_for(Duration::from_millis(100));
        let found = net.ways(0, prefix(text));
        assert_eq!(found, (vec![1], backup), "{far} {metrics:?}");
    }
}

#[test]
fn alternates_can_be_turned_off_and_on() {
    let mut net = Net::with(4, &SQUARE, |_, config| config.alternates = None);
    let network = net.networks[3][0];
    assert_eq!(net.ways(0, network), (vec![1], None));
    for (alternates, backup) in [(Some(AlternatesConfig::default()), BOTH), (None, None)] {
        let config = Config { alternates, ..net.world.configs[0].clone() };
        net.world.input(0, Input::Config(Box::new(config)));
        net.world.run_for(Duration::from_secs(1));
        assert_eq!(net.ways(0, network), (vec![1], backup));
    }
}

/// RFC 5286, figure 5: the link to 1 fails; 2 is where routing will go, 3 the alternate, 4 the destination.
const FIGURE_5: [(&[usize], u32); 6] =
    [(&[0, 1], 1), (&[0, 2], 1), (&[0, 3], 10), (&[1, 4], 1), (&[2, 4], 10), (&[3, 4], 10)];

/// The link between 0 and 1 fails, and 0 sees it.
fn figure_5(change: impl Fn(usize, &mut Config)) -> Net {
    let mut net = Net::with(5, &FIGURE_5, change);
    let alternate = Some((3, Protection::LinkAndNode));
    assert_eq!(net.ways(0, net.networks[4][0]), (vec![1], alternate));
    net.world.set_segment(0, false);
    net.world.input_circuit(0, IfIndex(1), None);
    net.world.run_for(Duration::from_millis(1));
    net
}

impl Net {
    fn out_of_0(&self, to: usize) -> [Vec<u32>; 2] {
        self.networks[to].map(|network| self.ways(0, network).0)
    }

    /// How many routes of 0 are held back.
    fn held(&self) -> usize {
        let state = self.world.systems[0].state();
        Level::ALL.map(|level| state.held(level).map_or(0, |(_, count)| count)).iter().sum()
    }
}

#[test]
fn a_protected_route_waits_on_its_backup_while_others_go_out_at_once() {
    for level in [CircuitType::L1, CircuitType::L2, CircuitType::L1_L2] {
        for ipv6 in [Ipv6Topology::Standard, Ipv6Topology::Own] {
            let mut net = figure_5(|_, config| {
                config.levels = level;
                config.ipv6_topology = ipv6;
            });
            assert_eq!(net.out_of_0(4), [[3], [3]], "{level} {ipv6:?}");
            assert_eq!(net.out_of_0(1), [[2], [2]]);
            assert!(net.held() >= 2);
            net.world.run_for(Duration::from_millis(1_990));
            assert_eq!(net.out_of_0(4), [[3], [3]]);
            net.world.run_for(Duration::from_millis(15));
            assert_eq!((net.out_of_0(4), net.held()), ([vec![2], vec![2]], 0));
        }
    }
}

#[test]
fn any_other_change_of_topology_ends_the_wait() {
    let mut net = figure_5(|_, _| {});
    net.world.run_for(Duration::from_millis(100));
    // The system behind the link has failed, not the link alone.
    net.world.set_segment(3, false);
    net.world.input_circuit(4, IfIndex(4), None);
    net.world.run_for(Duration::from_millis(400));
    assert_eq!((net.out_of_0(4), net.held()), ([vec![2], vec![2]], 0));
}

#[test]
fn a_change_of_the_prefix_ends_its_wait() {
    let mut net = Net::new(5, &FIGURE_5);
    let prefix = prefix("10.100.0.9/32");
    net.world.input(4, Input::Host(prefix, Some(host(5))));
    net.world.run_for(Duration::from_secs(5));
    net.world.set_segment(0, false);
    net.world.input_circuit(0, IfIndex(1), None);
    net.world.run_for(Duration::from_millis(50));
    assert_eq!(net.ways(0, prefix).0, [3]);
    net.world.input(4, Input::Host(prefix, Some(host(4))));
    net.world.run_for(Duration::from_millis(50));
    assert_eq!((net.ways(0, prefix).0, net.out_of_0(4)), (vec![2], [vec![3], vec![3]]));
}

#[test]
fn without_a_delay_nothing_waits() {
    let net = figure_5(|_, config| {
        config.alternates = Some(AlternatesConfig { microloop_delay: Duration::ZERO });
    });
    assert_eq!((net.out_of_0(4), net.held()), ([vec![2], vec![2]], 0));
}
