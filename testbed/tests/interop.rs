//! bugle with FRR and BIRD: adjacencies, routes both ways, and what an operator sees when the two sides disagree.

mod support;

use bugle_testbed::contender::Make;
use bugle_testbed::{Interface, Lab, Link, Result, RouteEditor, Router};
use bugle_types::AreaId;

use support::{TAP, VM, bugle, full, machine, router, wait_for_entry, wait_for_gateways};

/// A machine behind the peer.
const THEIRS: bugle_testbed::Vm = machine(20);

#[test]
fn a_point_to_point_link_becomes_full_and_carries_host_routes_both_ways() -> Result<()> {
    for (peer, area) in [(Make::FrrDefault, AreaId(0)), (Make::Bird, AreaId(0xC000_0207))] {
        let Some(lab) = Lab::for_test("p2p")? else { return Ok(()) };
        let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
        let link = lab.link(&ours, &theirs)?;
        VM.place(&lab, &ours, TAP)?;
        THEIRS.place(&lab, &theirs, TAP)?;
        let point_to_point =
            |port: &str| vec![Interface { area, ..Interface::point_to_point(port) }];
        let mut peer_router =
            peer.start(&lab, &theirs, &router(2, point_to_point(&link.b.interface)), "")?;
        let bugled = bugle(&lab, &ours, 1, point_to_point(&link.a.interface))?;
        lab.wait_for(support::SOON, "both to be Full", || {
            full(&bugled) == 1 && peer_router.full_neighbors() == 1
        })?;

        bugled.add_host(VM.address, TAP, VM.mac)?;
        RouteEditor::new(&theirs, TAP)?.add(THEIRS.address)?;
        wait_for_gateways(&lab, &theirs, VM.address, &[link.a.address])?;
        wait_for_gateways(&lab, &ours, THEIRS.address, &[link.b.address])?;
        bugled.remove_host(VM.address)?;
        wait_for_gateways(&lab, &theirs, VM.address, &[])?;

        bugled.add_host(VM.address, TAP, VM.mac)?;
        wait_for_gateways(&lab, &theirs, VM.address, &[link.a.address])?;
        Router::Bugle(bugled).stop()?;
        wait_for_gateways(&lab, &theirs, VM.address, &[])?;
        let left = ours.routes(&THEIRS.address.to_string())?;
        assert!(left.is_empty(), "bugle left {left:?} behind");
        peer_router.stop()?;
    }
    Ok(())
}

/// bugle, FRR and BIRD on one LAN, with these priorities in the election.
fn lan(name: &str, priorities: [u8; 3], state: &str) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let nodes = [lab.node("bugle")?, lab.node("frr")?, lab.node("bird")?];
    let [ours, frr_node, bird_node] = &nodes;
    let lan = lab.lan(&[ours, frr_node, bird_node])?;
    let [our_port, frr_port, _] = lan.ports.as_slice() else { return Ok(()) };
    VM.place(&lab, ours, TAP)?;
    THEIRS.place(&lab, frr_node, TAP)?;
    let interface = |priority: u8| {
        let mut interface = Interface::broadcast("eth0");
        interface.priority = priority;
        vec![interface]
    };
    // All three start within their wait timers of 4 s, so that the priorities decide.
    let [our_priority, frr_priority, bird_priority] = priorities;
    let frr = Make::FrrDefault.start(&lab, frr_node, &router(2, interface(frr_priority)), "")?;
    let bird = Make::Bird.start(&lab, bird_node, &router(3, interface(bird_priority)), "")?;
    let bugled = bugle(&lab, ours, 1, interface(our_priority))?;

    lab.wait_for(support::SOON, "bugle to be Full with both", || full(&bugled) == 2)?;
    wait_for_entry(&lab, &bugled, "show interfaces", state, |entry| entry["state"] == state)?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    RouteEditor::new(frr_node, TAP)?.add(THEIRS.address)?;
    for node in [frr_node, bird_node] {
        wait_for_gateways(&lab, node, VM.address, &[our_port.address])?;
    }
    wait_for_gateways(&lab, ours, THEIRS.address, &[frr_port.address])?;
    drop((frr, bird));
    Ok(())
}

#[test]
fn bugle_is_the_designated_router_of_frr_and_bird() -> Result<()> {
    lan("dr", [10, 5, 1], "DR")
}

#[test]
fn bugle_is_the_backup_designated_router_beside_frr_and_bird() -> Result<()> {
    lan("bdr", [5, 10, 1], "Backup")
}

#[test]
fn bugle_is_neither_where_frr_and_bird_are_designated() -> Result<()> {
    lan("other", [0, 10, 5], "DROther")
}

/// A link between bugle and FRR that disagree: the disagreement is an event, and shown at the interface.
fn mismatch(
    name: &str,
    prepare: Option<fn(&Link) -> Result<()>>,
    interfaces: (Interface, Interface),
    text: &str,
) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    if let Some(prepare) = prepare {
        prepare(&link)?;
    }
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, vec![interfaces.1]), "")?;
    let bugled = bugle(&lab, &ours, 1, vec![interfaces.0])?;
    let peer = link.b.address.to_string();
    wait_for_entry(&lab, &bugled, "show interfaces", text, |entry| {
        entry["mismatches"][&peer].as_str().is_some_and(|found| found.contains(text))
    })?;
    wait_for_entry(&lab, &bugled, "show events", text, |entry| {
        let message = entry["message"].as_str().unwrap_or_default();
        entry["kind"] == "mismatch" && message.contains(text) && message.contains(&peer)
    })?;
    assert_eq!(full(&bugled), 0);
    Ok(())
}

fn ours() -> Interface {
    Interface::point_to_point("eth0")
}

#[test]
fn another_mtu_is_told() -> Result<()> {
    let smaller = |link: &Link| link.a.node.ip("link set eth0 mtu 1400").map(drop);
    mismatch("mtu", Some(smaller), (ours(), ours()), "MTU: ours 1400, theirs 1500")
}

#[test]
fn a_smaller_mtu_that_the_neighbor_refuses_ours_for_is_told() -> Result<()> {
    let smaller = |link: &Link| link.b.node.ip("link set eth0 mtu 1400").map(drop);
    mismatch("mtusmall", Some(smaller), (ours(), ours()), "MTU: ours 1500, theirs 1400")
}

#[test]
fn another_area_is_told() -> Result<()> {
    let theirs = Interface { area: AreaId(1), ..ours() };
    mismatch("area", None, (ours(), theirs), "area: ours 0.0.0.0, theirs 0.0.0.1")
}

#[test]
fn another_hello_interval_is_told() -> Result<()> {
    let theirs = Interface { hello: 2, ..ours() };
    mismatch("hello", None, (ours(), theirs), "hello interval: ours 1 s, theirs 2 s")
}

#[test]
fn another_dead_interval_is_told() -> Result<()> {
    let theirs = Interface { dead: 5, ..ours() };
    mismatch("dead", None, (ours(), theirs), "dead interval: ours 4 s, theirs 5 s")
}

#[test]
fn another_mask_is_told_on_a_broadcast_network() -> Result<()> {
    let longer = |link: &Link| {
        let Link { b, .. } = link;
        b.node.ip("addr flush dev eth0")?;
        b.node.ip(&format!("addr add {}/25 dev eth0", b.address)).map(drop)
    };
    let broadcast = || Interface::broadcast("eth0");
    mismatch(
        "mask",
        Some(longer),
        (broadcast(), broadcast()),
        "network mask: ours 255.255.255.0, theirs 255.255.255.128",
    )
}

#[test]
fn an_adjacency_forms_once_the_disagreement_is_gone() -> Result<()> {
    let Some(lab) = Lab::for_test("agree")? else { return Ok(()) };
    let (ours_node, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours_node, &theirs)?;
    link.a.node.ip("link set eth0 mtu 1400")?;
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, vec![ours()]), "")?;
    let bugled = bugle(&lab, &ours_node, 1, vec![ours()])?;
    wait_for_entry(&lab, &bugled, "show events", "the mismatch", |e| e["kind"] == "mismatch")?;
    link.a.node.ip("link set eth0 mtu 1500")?;
    lab.wait_for(support::SOON, "the adjacency", || full(&bugled) == 1)?;
    wait_for_entry(&lab, &bugled, "show interfaces", "no mismatch", |entry| {
        entry["mismatches"].as_object().is_some_and(serde_json::Map::is_empty)
    })
}
