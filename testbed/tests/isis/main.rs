//! IS-IS: bugle with FRR's isisd on links of every kind, and what an operator sees when the two sides disagree.

mod auth;
mod kinds;
mod levels;
#[path = "../support/mod.rs"]
mod support;

use std::net::{IpAddr, Ipv6Addr};

use bugle_testbed::isis::Level;
use bugle_testbed::{
    Bird, Bugled, Circuit, Frr, Isis, Lab, Link, Network, Node, Result, RouteEditor,
};
use bugle_types::Prefix;

use support::{SOON, TAP, VM, machine, wait_for_entry, wait_for_gateways};

/// A machine behind the peer.
const THEIRS: bugle_testbed::Vm = machine(20);
/// The machine's other address.
const VM6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 9);
const THEIRS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 20);

const HOSTS: &str = "[vrf.default.hosts]\nports = [\"tap*\"]\n\
    prefixes = [\"10.100.0.0/16\", \"2001:db8:100::/48\"]\ndamping = { moves = 100 }\n";

/// A node that forwards IPv6, too, and uses its addresses at once.
fn node(lab: &Lab, name: &str) -> Result<Node> {
    let node = lab.node(name)?;
    for key in ["all.forwarding", "default.forwarding"] {
        node.sysctl(&format!("net.ipv6.conf.{key}"), "1")?;
    }
    for key in ["all.accept_dad", "default.accept_dad"] {
        node.sysctl(&format!("net.ipv6.conf.{key}"), "0")?;
    }
    Ok(node)
}

fn point_to_point(name: &str) -> Circuit {
    Circuit::new(name, Network::PointToPoint)
}

/// FRR as router `number` with one point-to-point link, announcing the kernel's routes.
fn frr(number: u8) -> Isis {
    Isis { redistribute_kernel: true, ..Isis::new(number, vec![point_to_point("eth0")]) }
}

fn bugle(number: u8) -> Isis {
    Isis::new(number, vec![point_to_point("eth0")])
}

/// Two nodes with a link, `eth0` on both, each with a port for machines.
struct Pair {
    lab: Lab,
    ours: Node,
    theirs: Node,
    link: Link,
}

impl Pair {
    fn new(name: &str) -> Result<Option<Self>> {
        let Some(lab) = Lab::for_test(name)? else { return Ok(None) };
        let (ours, theirs) = (node(&lab, "ours")?, node(&lab, "theirs")?);
        let link = lab.link(&ours, &theirs)?;
        VM.place(&lab, &ours, TAP)?;
        THEIRS.place(&lab, &theirs, TAP)?;
        Ok(Some(Self { lab, ours, theirs, link }))
    }

    fn wait_for_adjacency(&self, bugled: &Bugled, frr: &Frr, levels: usize) -> Result<()> {
        self.lab.wait_for(SOON, "the adjacency on both sides", || {
            // On LANs each level has an adjacency of its own.
            bugled.up() >= 1 && frr.up() == levels
        })
    }

    /// Hosts of either family arrive at the other side, and go away again.
    fn exchange_hosts(&self, bugled: &Bugled) -> Result<()> {
        let Self { lab, ours, theirs, link } = self;
        let link_local = |node: &Node| node.link_local("eth0").map(|found| found.map(IpAddr::from));
        bugled.add_host(VM.address, TAP, VM.mac)?;
        bugled.add_host(VM6, TAP, VM.mac)?;
        RouteEditor::new(theirs, TAP)?.add(THEIRS.address)?;
        theirs.ip(&format!("route add {THEIRS6}/128 dev {TAP}"))?;
        wait_for_gateways(lab, theirs, VM.address, &[link.a.address])?;
        wait_for_gateways(lab, ours, THEIRS.address, &[link.b.address])?;
        wait_for_route(lab, theirs, VM6, link_local(ours)?)?;
        wait_for_route(lab, ours, THEIRS6, link_local(theirs)?)?;
        bugled.remove_host(VM.address)?;
        bugled.remove_host(VM6)?;
        wait_for_gateways(lab, theirs, VM.address, &[])?;
        wait_for_route(lab, theirs, VM6, None)?;
        RouteEditor::new(theirs, TAP)?.delete(THEIRS.address)?;
        wait_for_gateways(lab, ours, THEIRS.address, &[])
    }
}

/// Waits until the kernel's route to a host leads to this gateway; `None`: that there is no route.
fn wait_for_route(
    lab: &Lab,
    node: &Node,
    address: impl Into<IpAddr>,
    gateway: Option<IpAddr>,
) -> Result<()> {
    let prefix = Prefix::host(address.into()).to_string();
    let wanted: Vec<IpAddr> = gateway.into_iter().collect();
    lab.wait_for(SOON, &format!("{} to route {prefix} to {wanted:?}", node.name()), || {
        node.all_gateways(&prefix).is_ok_and(|found| found == wanted)
    })
}

/// Starts both sides as they are described, and exchanges hosts.
fn interoperate(name: &str, ours: &Isis, theirs: &Isis, levels: usize) -> Result<()> {
    let Some(pair) = Pair::new(name)? else { return Ok(()) };
    let frr = Frr::start_isis(&pair.lab, &pair.theirs, theirs)?;
    let bugled = Bugled::start_isis(&pair.lab, &pair.ours, ours, HOSTS)?;
    pair.wait_for_adjacency(&bugled, &frr, levels)?;
    pair.exchange_hosts(&bugled)
}

#[test]
fn a_point_to_point_link_comes_up_and_carries_hosts_of_both_families_both_ways() -> Result<()> {
    interoperate("isis-p2p", &bugle(1), &frr(2), 1)
}

#[test]
fn level_1_is_spoken_within_the_area() -> Result<()> {
    interoperate("isis-l1", &bugle(1).at(Level::One), &frr(2).at(Level::One), 1)
}

#[test]
fn a_link_of_both_levels_is_one_adjacency_in_each() -> Result<()> {
    interoperate("isis-l12", &bugle(1).at(Level::Both), &frr(2).at(Level::Both), 1)
}

#[test]
fn multi_topology_is_spoken() -> Result<()> {
    let multi = |isis: Isis| Isis { multi_topology: true, ..isis };
    interoperate("isis-mt", &multi(bugle(1)), &multi(frr(2)), 1)?;
    let lan = |isis| kinds::on_lan(multi(isis), 64).at(Level::Both);
    interoperate("isis-mtlan", &lan(bugle(1)), &lan(frr(2)), 2)
}

/// Starts bugled and two FRRs on a LAN, and waits until all are adjacent.
fn start_on_lan(
    lab: &Lab,
    nodes: &[Node],
    [ours, theirs @ ..]: &[Isis; 3],
) -> Result<(Bugled, Vec<Frr>)> {
    let frrs: Vec<Frr> = nodes[1..]
        .iter()
        .zip(theirs)
        .map(|(node, isis)| Frr::start_isis(lab, node, isis))
        .collect::<Result<_>>()?;
    let bugled = Bugled::start_isis(lab, &nodes[0], ours, HOSTS)?;
    lab.wait_for(SOON, "all adjacencies", || {
        bugled.up() == 2 && frrs.iter().all(|frr| frr.up() == 2)
    })?;
    Ok((bugled, frrs))
}

#[test]
fn a_lan_of_three_has_one_designated_system_whoever_it_is() -> Result<()> {
    for (name, priorities) in [("isis-lan-a", [100, 50, 40]), ("isis-lan-b", [40, 100, 50])] {
        let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
        let nodes = [node(&lab, "a")?, node(&lab, "b")?, node(&lab, "c")?];
        let lan = lab.lan(&[&nodes[0], &nodes[1], &nodes[2]])?;
        VM.place(&lab, &nodes[0], TAP)?;
        let isis = |number: u8| {
            let priority = priorities[usize::from(number) - 1];
            let circuit = Circuit { priority, ..Circuit::new("eth0", Network::Broadcast) };
            Isis { redistribute_kernel: true, ..Isis::new(number, vec![circuit]) }
        };
        let (bugled, frrs) = start_on_lan(&lab, &nodes, &[isis(1), isis(2), isis(3)])?;
        bugled.add_host(VM.address, TAP, VM.mac)?;
        for node in &nodes[1..] {
            wait_for_gateways(&lab, node, VM.address, &[lan.ports[0].address])?;
        }
        drop(frrs);
    }
    Ok(())
}

/// In the middle is a border between area 1, level 1, and the rest, level 2. Each outer router sees what there is to see.
fn border(name: &str, bugle_in_the_middle: bool) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let (inner, middle, outer) =
        (node(&lab, "inner")?, node(&lab, "middle")?, node(&lab, "outer")?);
    let (inside, outside) = (lab.link(&inner, &middle)?, lab.link(&middle, &outer)?);
    let end = |number: u8, area: u8, level: Level| {
        let mut isis = Isis { area, ..Isis::new(number, vec![point_to_point("eth0")]) }.at(level);
        isis.redistribute_kernel = true;
        isis
    };
    let level_1 = end(1, 1, Level::One);
    let level_2 = end(3, 2, Level::Two);
    let mut between = Isis::new(2, vec![point_to_point("eth0"), point_to_point("eth1")]);
    between.level = Level::Both;
    between.interfaces[0].level = Level::One;
    let attached = |node: &Node, gateway| {
        lab.wait_for(SOON, "the default route of level 1", || {
            node.gateways("default").is_ok_and(|found| found == [gateway])
        })
    };
    if bugle_in_the_middle {
        let frrs =
            (Frr::start_isis(&lab, &inner, &level_1)?, Frr::start_isis(&lab, &outer, &level_2)?);
        let bugled = Bugled::start_isis(&lab, &middle, &between, "")?;
        lab.wait_for(SOON, "both adjacencies", || bugled.up() == 2)?;
        THEIRS.place(&lab, &inner, TAP)?;
        RouteEditor::new(&inner, TAP)?.add(THEIRS.address)?;
        wait_for_gateways(&lab, &middle, THEIRS.address, &[inside.a.address])?;
        // What FRR never did: the level 1 prefix is in level 2.
        wait_for_gateways(&lab, &outer, THEIRS.address, &[outside.a.address])?;
        attached(&inner, inside.b.address)?;
        drop(frrs);
    } else {
        let frr = Frr::start_isis(&lab, &middle, &between)?;
        let inner_bugle = Bugled::start_isis(&lab, &inner, &level_1, HOSTS)?;
        let outer_bugle = Bugled::start_isis(&lab, &outer, &level_2, HOSTS)?;
        lab.wait_for(SOON, "both adjacencies", || frr.up() == 2)?;
        attached(&inner, inside.b.address)?;
        VM.place(&lab, &outer, TAP)?;
        outer_bugle.add_host(VM.address, TAP, VM.mac)?;
        wait_for_gateways(&lab, &middle, VM.address, &[outside.b.address])?;
        THEIRS.place(&lab, &inner, TAP)?;
        inner_bugle.add_host(THEIRS.address, TAP, THEIRS.mac)?;
        wait_for_gateways(&lab, &middle, THEIRS.address, &[inside.a.address])?;
    }
    Ok(())
}

#[test]
fn bugle_is_the_border_between_levels_of_frr() -> Result<()> {
    border("isis-border", true)
}

#[test]
fn frr_is_the_border_between_levels_of_bugle() -> Result<()> {
    border("isis-frr-border", false)
}

/// A link between bugle and FRR that disagree: the disagreement is an event, and shown at the interface.
fn mismatch(
    name: &str,
    prepare: impl FnOnce(&Link) -> Result<()>,
    ours: &Isis,
    theirs: &Isis,
    text: &str,
) -> Result<()> {
    let Some(pair) = Pair::new(name)? else { return Ok(()) };
    prepare(&pair.link)?;
    let frr = Frr::start_isis(&pair.lab, &pair.theirs, theirs)?;
    let bugled = Bugled::start_isis(&pair.lab, &pair.ours, ours, HOSTS)?;
    wait_for_entry(&pair.lab, &bugled, "show interfaces", text, |entry| {
        let all = entry["mismatches"].as_object();
        all.is_some_and(|all| {
            all.values().any(|found| found.as_str().is_some_and(|found| found.contains(text)))
        })
    })?;
    wait_for_entry(&pair.lab, &bugled, "show events", text, |entry| {
        let message = entry["message"].as_str().unwrap_or_default();
        entry["kind"] == "mismatch" && message.contains(text)
    })?;
    assert_eq!((bugled.up(), frr.up()), (0, 0));
    Ok(())
}

#[test]
fn another_mtu_is_told() -> Result<()> {
    // The other way round nothing of FRR's arrives here, padded as it is.
    let smaller = |link: &Link| link.b.node.ip("link set eth0 mtu 1400").map(drop);
    let told = "MTU: PDUs of 1497 bytes fit here, of 1397 there";
    mismatch("isis-mtu", smaller, &bugle(1), &frr(2), told)?;
    let lan = |isis| kinds::on_lan(isis, 64);
    mismatch("isis-mtulan", smaller, &lan(bugle(1)), &lan(frr(2)), told)
}

#[test]
fn another_area_is_told() -> Result<()> {
    let theirs = Isis { area: 2, ..frr(2).at(Level::One) };
    mismatch("isis-area", |_| Ok(()), &bugle(1).at(Level::One), &theirs, "area: theirs is 49.0002")
}

#[test]
fn another_level_is_told() -> Result<()> {
    mismatch(
        "isis-level",
        |_| Ok(()),
        &bugle(1),
        &frr(2).at(Level::One),
        "level: ours L2, theirs L1",
    )
}

#[test]
fn adjacencies_and_routes_return_after_either_side_was_killed() -> Result<()> {
    let Some(pair) = Pair::new("isis-restart")? else { return Ok(()) };
    let Pair { lab, ours, theirs, link } = &pair;
    let mut frr = Frr::start_isis(lab, theirs, &frr(2))?;
    let mut bugled = Bugled::start_isis(lab, ours, &bugle(1), HOSTS)?;
    RouteEditor::new(theirs, TAP)?.add(THEIRS.address)?;
    pair.wait_for_adjacency(&bugled, &frr, 1)?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(lab, theirs, VM.address, &[link.a.address])?;
    wait_for_gateways(lab, ours, THEIRS.address, &[link.b.address])?;

    frr.kill();
    wait_for_gateways(lab, ours, THEIRS.address, &[])?;
    frr.restart()?;
    wait_for_gateways(lab, ours, THEIRS.address, &[link.b.address])?;
    wait_for_gateways(lab, theirs, VM.address, &[link.a.address])?;

    bugled.kill();
    bugled.restart()?;
    pair.wait_for_adjacency(&bugled, &frr, 1)?;
    // The host was registered before, which the kernel remembers.
    wait_for_entry(lab, &bugled, "show hosts", "the host", |entry| entry["metric"].is_u64())?;
    wait_for_gateways(lab, theirs, VM.address, &[link.a.address])?;
    wait_for_gateways(lab, ours, THEIRS.address, &[link.b.address])?;
    bugled.remove_host(VM.address)?;
    wait_for_gateways(lab, theirs, VM.address, &[])
}

/// How often FRR has lost an adjacency, for each of its neighbours.
fn flaps(frr: &Frr) -> Result<Vec<String>> {
    let shown = frr.vtysh("show isis neighbor detail")?.to_lowercase();
    let counts = shown.split("flaps: ").skip(1);
    Ok(counts.filter_map(|text| text.split([',', '\n']).next().map(str::to_owned)).collect())
}

#[test]
fn nobody_on_a_lan_of_frr_notices_a_restart() -> Result<()> {
    // Designated before and after, and not.
    for (name, priority) in [("isis-relan", 40), ("isis-redis", 100)] {
        let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
        let nodes = [node(&lab, "a")?, node(&lab, "b")?, node(&lab, "c")?];
        let lan = lab.lan(&[&nodes[0], &nodes[1], &nodes[2]])?;
        VM.place(&lab, &nodes[0], TAP)?;
        THEIRS.place(&lab, &nodes[2], TAP)?;
        RouteEditor::new(&nodes[2], TAP)?.add(THEIRS.address)?;
        let isis = |number: u8, priority| {
            let circuit = Circuit { priority, ..Circuit::new("eth0", Network::Broadcast) };
            Isis { redistribute_kernel: true, ..Isis::new(number, vec![circuit]) }
        };
        let all = [isis(1, priority), isis(2, 64), isis(3, 64)];
        let (mut bugled, frrs) = start_on_lan(&lab, &nodes, &all)?;
        bugled.add_host(VM.address, TAP, VM.mac)?;
        for node in &nodes[1..] {
            wait_for_gateways(&lab, node, VM.address, &[lan.ports[0].address])?;
        }
        wait_for_gateways(&lab, &nodes[0], THEIRS.address, &[lan.ports[2].address])?;
        let counts = || frrs.iter().map(flaps).collect::<Result<Vec<_>>>();
        let before = counts()?;
        assert!(before.iter().all(|of_one| of_one.len() >= 2), "{before:?}");

        bugled.kill();
        bugled.restart()?;
        // Longer than anybody's holding time.
        wait_for_entry(&lab, &bugled, "show neighbors", "an adjacency of six seconds", |entry| {
            entry["state"] == "Up" && entry["since_seconds"].as_u64() >= Some(6)
        })?;
        assert_eq!(bugled.up(), 2);
        assert_eq!(counts()?, before, "{name}");
        wait_for_entry(&lab, &bugled, "show routes", "FRR's host", |entry| {
            entry["prefix"] == format!("{}/32", THEIRS.address)
        })?;
        for node in &nodes[1..] {
            wait_for_gateways(&lab, node, VM.address, &[lan.ports[0].address])?;
        }
        wait_for_gateways(&lab, &nodes[0], THEIRS.address, &[lan.ports[2].address])?;
    }
    Ok(())
}

#[test]
fn five_thousand_prefixes_of_frr_are_routed() -> Result<()> {
    const COUNT: u32 = 5_000;
    let Some(pair) = Pair::new("isis-many")? else { return Ok(()) };
    let Pair { lab, ours, theirs, .. } = &pair;
    let routes = |verb: &str| {
        (0..COUNT).fold(String::new(), |text, number| {
            let [_, _, high, low] = number.to_be_bytes();
            text + &format!("route {verb} 10.{}.{low}.0/24 dev {TAP}\n", 100 + high)
        })
    };
    let batch = theirs.write("routes", &routes("add"))?;
    theirs.ip(&format!("-batch {}", batch.display()))?;
    let _frr = Frr::start_isis(lab, theirs, &frr(2))?;
    let bugled = Bugled::start_isis(lab, ours, &bugle(1), HOSTS)?;
    let count =
        || -> Option<u64> { bugled.show("show summary").ok()?["vrfs"][0]["routes"].as_u64() };
    lab.wait_for(SOON, "5,000 routes", || count().is_some_and(|count| count >= COUNT.into()))?;
    let installed = || {
        let routes = ours.ip("-4 route show proto 182").unwrap_or_default();
        routes.lines().count() >= usize::try_from(COUNT).unwrap_or(usize::MAX)
    };
    lab.wait_for(SOON, "5,000 routes in the kernel", installed)?;
    let batch = theirs.write("routes", &routes("delete"))?;
    theirs.ip(&format!("-batch {}", batch.display()))?;
    lab.wait_for(SOON, "5,000 routes less", || count().is_some_and(|count| count < COUNT.into()))
}

#[test]
fn a_machine_moves_between_two_bugles_through_frr() -> Result<()> {
    let Some(lab) = Lab::for_test("isis-move")? else { return Ok(()) };
    let nodes = [node(&lab, "a")?, node(&lab, "b")?];
    let spine = node(&lab, "spine")?;
    let links = [lab.link(&nodes[0], &spine)?, lab.link(&nodes[1], &spine)?];
    let frr = Frr::start_isis(
        &lab,
        &spine,
        &Isis::new(3, vec![point_to_point("eth0"), point_to_point("eth1")]),
    )?;
    for node in &nodes {
        VM.place(&lab, node, TAP)?;
    }
    let bugles = [
        Bugled::start_isis(&lab, &nodes[0], &bugle(1), HOSTS)?,
        Bugled::start_isis(&lab, &nodes[1], &bugle(2), HOSTS)?,
    ];
    lab.wait_for(SOON, "both adjacencies", || frr.up() == 2)?;
    for place in [0, 1, 0, 1] {
        bugles[place].add_host(VM.address, TAP, VM.mac)?;
        bugles[place].add_host(VM6, TAP, VM.mac)?;
        wait_for_gateways(&lab, &spine, VM.address, &[links[place].a.address])?;
        let link_local = nodes[place].link_local("eth0")?.map(IpAddr::from);
        wait_for_route(&lab, &spine, VM6, link_local)?;
        // Where it was, its address now leads to where it is.
        let other = &nodes[1 - place];
        let through = links[1 - place].b.address;
        wait_for_gateways(&lab, other, VM.address, &[through])?;
    }
    for address in [IpAddr::from(VM.address), VM6.into()] {
        let explained = bugles[1].bugle(&format!("explain {address}"))?;
        let said = "flooded to the neighbours with it";
        assert!(explained.contains(said), "{explained}");
    }
    Ok(())
}

#[test]
fn a_router_of_both_protocols_offers_a_host_in_both() -> Result<()> {
    let Some(lab) = Lab::for_test("isis-both")? else { return Ok(()) };
    let [ours, ospf_peer, isis_peer] =
        [node(&lab, "ours")?, node(&lab, "ospf")?, node(&lab, "isis")?];
    let (left, right) = (lab.link(&ours, &ospf_peer)?, lab.link(&ours, &isis_peer)?);
    VM.place(&lab, &ours, TAP)?;
    let interfaces = |name: &str| vec![bugle_testbed::Interface::point_to_point(name)];
    let ospf = support::router(1, interfaces(&left.a.interface)).bugle();
    let ospf_neighbor = support::bugle(&lab, &ospf_peer, 2, interfaces("eth0"))?;
    let _isisd = Frr::start_isis(&lab, &isis_peer, &frr(3))?;
    let isis = Isis::new(1, vec![point_to_point(&right.a.interface)]).bugle("/");
    let bugled = Bugled::start(&lab, &ours, &format!("{ospf}{isis}{HOSTS}"))?;
    lab.wait_for(SOON, "both adjacencies", || {
        bugled.up() == 1 && support::full(&ospf_neighbor) == 1
    })?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &ospf_peer, VM.address, &[left.a.address])?;
    wait_for_gateways(&lab, &isis_peer, VM.address, &[right.a.address])
}

#[test]
fn another_router_with_the_same_identity_beyond_others_is_told_of_in_both_protocols() -> Result<()>
{
    let Some(lab) = Lab::for_test("isis-twins")? else { return Ok(()) };
    let nodes = [node(&lab, "a")?, node(&lab, "b")?];
    // With FRR's ospfd between them twins do not hear of each other in OSPF.
    let spines = [node(&lab, "bird")?, node(&lab, "frr")?];
    for node in &nodes {
        lab.link(node, &spines[0])?;
        lab.link(node, &spines[1])?;
    }
    let ospf = |name: &str| bugle_testbed::Interface::point_to_point(name);
    let both = ["eth0", "eth1"];
    let _bird = Bird::start(&lab, &spines[0], &support::router(8, both.map(ospf).to_vec()))?;
    let _isisd =
        Frr::start_isis(&lab, &spines[1], &Isis::new(9, both.map(point_to_point).to_vec()))?;
    let config = support::router(1, vec![ospf("eth0")]).bugle()
        + &Isis::new(1, vec![point_to_point("eth1")]).bugle("/");
    let twins =
        [Bugled::start(&lab, &nodes[0], &config)?, Bugled::start(&lab, &nodes[1], &config)?];
    for twin in &twins {
        lab.wait_for(2 * SOON, "the other one in both protocols", || {
            let summary = twin.show("show summary").unwrap_or_default();
            summary["vrfs"][0]["duplicated_in"] == serde_json::json!(["ospf", "isis"])
        })?;
        let events = twin.bugle("show events")?;
        for of in ["router id, 192.0.2.1", "system id, 0000.0000.0001"] {
            assert!(events.contains(of), "{events}");
        }
    }
    Ok(())
}

#[test]
fn a_machine_moves_in_a_network_of_both_protocols() -> Result<()> {
    let Some(lab) = Lab::for_test("isis-mixed")? else { return Ok(()) };
    let nodes = [node(&lab, "a")?, node(&lab, "b")?];
    let spines = [node(&lab, "ospf")?, node(&lab, "isis")?];
    let link = |node| Ok([lab.link(node, &spines[0])?, lab.link(node, &spines[1])?]);
    let links: [[Link; 2]; 2] = [link(&nodes[0])?, link(&nodes[1])?];
    let ospf = |name: &str| bugle_testbed::Interface::point_to_point(name);
    let both = ["eth0", "eth1"];
    let _ospfd = Frr::start(&lab, &spines[0], &support::router(8, both.map(ospf).to_vec()))?;
    let isisd = Isis::new(9, both.map(point_to_point).to_vec());
    let isisd = Frr::start_isis(&lab, &spines[1], &isisd)?;
    let mut bugles = Vec::new();
    for (number, node) in (1..).zip(&nodes) {
        VM.place(&lab, node, TAP)?;
        let ospf = support::router(number, vec![ospf("eth0")]).bugle();
        let isis = Isis::new(number, vec![point_to_point("eth1")]).bugle("/");
        bugles.push(Bugled::start(&lab, node, &format!("{ospf}{isis}{HOSTS}"))?);
    }
    lab.wait_for(SOON, "all adjacencies", || {
        isisd.up() == 2 && bugles.iter().all(|b| b.up() == 1 && support::full(b) == 1)
    })?;
    for place in [0, 1, 0] {
        bugles[place].add_host(VM.address, TAP, VM.mac)?;
        for (spine, link) in spines.iter().zip(&links[place]) {
            wait_for_gateways(&lab, spine, VM.address, &[link.a.address])?;
        }
        // Where it was OSPF's route counts, which is preferred to that of IS-IS.
        let other = 1 - place;
        wait_for_gateways(&lab, &nodes[other], VM.address, &[links[other][0].b.address])?;
        wait_for_entry(&lab, &bugles[other], "show routes", "OSPF's route", |route| {
            route["prefix"] == format!("{}/32", VM.address) && route["protocol"] == "ospf"
        })?;
    }
    bugles[0].remove_host(VM.address)?;
    for spine in &spines {
        wait_for_gateways(&lab, spine, VM.address, &[])?;
    }
    Ok(())
}
