//! bugle under what goes wrong: restarts, kills, interfaces that come and go, two owners of one address, and churn.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

mod support;

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use bugle_testbed::contender::{BUGLE_HOSTS, Make};
use bugle_testbed::{Bugled, FibWatch, Frr, Interface, Lab, Probe, Result, RouteEditor, Tuning};
use bugle_types::Prefix;

use support::{
    SOON, TAP, VM, bugle, full, host, machine, router, wait_for_entry, wait_for_gateways,
};

/// A machine behind the peer.
const THEIRS: bugle_testbed::Vm = machine(20);

/// Every Ethernet interface, present and future.
fn any() -> Vec<Interface> {
    vec![Interface::point_to_point("eth*")]
}

fn eth0() -> Vec<Interface> {
    vec![Interface::point_to_point("eth0")]
}

/// Waits for a change of a host's route to be seen that leaves it present or absent, and returns when.
fn wait_for_change(
    lab: &Lab,
    watch: &mut FibWatch,
    address: Ipv4Addr,
    present: bool,
) -> Result<Instant> {
    let deadline = Instant::now() + SOON;
    loop {
        let change = watch.next_change(host(address), deadline);
        let change = change.ok_or_else(|| lab.timeout(SOON, &format!("a route to {address}")))?;
        if change.present == present {
            return Ok(change.at);
        }
    }
}

#[test]
fn what_the_daemon_did_can_be_replayed() -> Result<()> {
    let Some(lab) = Lab::for_test("replay")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &ours, TAP)?;
    let _frr = Frr::start(&lab, &theirs, &router(2, eth0()))?;
    let recording = ours.directory().join("recording");
    let record = format!("[record]\nfile = \"{}\"\n", recording.display());
    let config = router(1, eth0()).bugle() + BUGLE_HOSTS + &record;
    let mut bugled = Bugled::start(&lab, &ours, &config)?;
    lab.wait_for(SOON, "the adjacency", || full(&bugled) == 1)?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &theirs, VM.address, &[link.a.address])?;
    bugled.remove_host(VM.address)?;
    wait_for_gateways(&lab, &theirs, VM.address, &[])?;
    bugled.process().stop(SOON)?;
    let replayed = bugled.bugle(&format!("replay {}", recording.display()))?;
    for event in ["Full", "10.100.0.9", "the speaker asked for what was recorded"] {
        assert!(replayed.contains(event), "{event} is missing from:\n{replayed}");
    }
    Ok(())
}

#[test]
fn routes_return_after_frr_was_stopped_and_after_it_was_killed() -> Result<()> {
    let Some(lab) = Lab::for_test("frrback")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &theirs, TAP)?;
    RouteEditor::new(&theirs, TAP)?.add(VM.address)?;
    let mut frr = Frr::start(&lab, &theirs, &router(2, eth0()))?;
    let bugled = bugle(&lab, &ours, 1, eth0())?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;
    frr.stop()?;
    wait_for_gateways(&lab, &ours, VM.address, &[])?;
    frr.restart()?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;
    frr.kill();
    wait_for_gateways(&lab, &ours, VM.address, &[])?;
    frr.restart()?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;
    lab.wait_for(SOON, "the adjacency", || full(&bugled) == 1)
}

#[test]
fn forwarding_goes_on_while_bugled_is_killed_and_started_again() -> Result<()> {
    let Some(lab) = Lab::for_test("sigkill")? else { return Ok(()) };
    let (client, ours, theirs) = (lab.node("client")?, lab.node("ours")?, lab.node("theirs")?);
    let access = lab.link(&client, &ours)?;
    let link = lab.link(&ours, &theirs)?;
    client.ip(&format!("route add default via {}", access.b.address))?;
    let placement = VM.place(&lab, &theirs, TAP)?;
    RouteEditor::new(&theirs, TAP)?.add(VM.address)?;
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, eth0()), "")?;
    let interfaces =
        vec![Interface::passive(&access.b.interface), Interface::point_to_point(&link.a.interface)];
    let mut bugled = bugle(&lab, &ours, 1, interfaces)?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;

    let probe = Probe::start(&client, VM.address, 1000, &[&placement.guest])?;
    thread::sleep(Duration::from_millis(200));
    bugled.kill();
    thread::sleep(Duration::from_millis(500));
    bugled.restart()?;
    lab.wait_for(SOON, "the adjacency", || full(&bugled) == 1)?;
    // The first SPF after the restart decides what stays.
    thread::sleep(Duration::from_secs(3));
    let report = probe.stop();
    assert_eq!(report.lost(), 0, "of {} packets", report.sent.len());
    assert_eq!(ours.gateways(&host(VM.address).to_string())?, [link.b.address]);
    assert_eq!(ours.routes(&host(VM.address).to_string())?.len(), 1);
    Ok(())
}

#[test]
fn what_another_program_put_in_the_place_of_ours_is_noticed_and_ours_put_back() -> Result<()> {
    let Some(lab) = Lab::for_test("replaced")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &theirs, TAP)?;
    RouteEditor::new(&theirs, TAP)?.add(VM.address)?;
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, eth0()), "")?;
    let bugled = bugle(&lab, &ours, 1, eth0())?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;

    let elsewhere = "10.99.99.99 dev eth0 onlink";
    let route = host(VM.address);
    ours.ip(&format!("route replace {route} via {elsewhere} metric 110 proto static"))?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])?;
    assert!(ours.ip(&format!("route show {route}"))?.contains("proto 182"));
    wait_for_entry(&lab, &bugled, "show events", "the replacement", |event| {
        event["kind"] == "fib-replaced"
    })?;

    let right = format!("via {} dev eth0", link.b.address);
    let objects = ours.ip("nexthop show proto 182")?;
    let object = objects.lines().find(|line| line.contains(&right)).unwrap_or_default();
    let id = object.split_whitespace().nth(1).unwrap_or_default();
    ours.ip(&format!("nexthop replace id {id} via {elsewhere}"))?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])
}

#[test]
fn a_configured_host_is_announced_again_after_a_kill() -> Result<()> {
    let Some(lab) = Lab::for_test("static")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &ours, TAP)?;
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, eth0()), "")?;
    let config = format!(
        "{}[vrf.default.hosts]\nports = [\"tap*\"]\n[[vrf.default.hosts.static]]\naddress = \"{}\"\nport = \"{TAP}\"\nmac = \"{}\"\n",
        router(1, eth0()).bugle(),
        VM.address,
        VM.mac
    );
    let mut bugled = Bugled::start(&lab, &ours, &config)?;
    wait_for_gateways(&lab, &theirs, VM.address, &[link.a.address])?;
    bugled.kill();
    // The neighbour notices after its dead interval.
    wait_for_gateways(&lab, &theirs, VM.address, &[])?;
    bugled.restart()?;
    wait_for_gateways(&lab, &theirs, VM.address, &[link.a.address])
}

#[test]
fn what_a_killed_bugled_left_can_be_removed_as_documented() -> Result<()> {
    const OPERATIONS: &str = include_str!("../../docs/operations.md");
    let Some(lab) = Lab::for_test("leftovers")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &ours, TAP)?;
    THEIRS.place(&lab, &theirs, TAP)?;
    RouteEditor::new(&theirs, TAP)?.add(THEIRS.address)?;
    let _frr = Make::FrrDefault.start(&lab, &theirs, &router(2, eth0()), "")?;
    let mut bugled = bugle(&lab, &ours, 1, eth0())?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &ours, THEIRS.address, &[link.b.address])?;
    bugled.kill();
    let left = || -> Result<String> {
        let lists = ["route show table all proto 182", "nexthop show", "neigh show nud permanent"];
        lists.iter().map(|list| ours.ip(list)).collect()
    };
    for what in [VM.address, THEIRS.address] {
        assert!(left()?.contains(&what.to_string()), "{what} is not in:\n{}", left()?);
    }
    let documented = OPERATIONS.lines().filter_map(|line| line.strip_prefix("ip "));
    for command in documented.filter(|command| command.contains(" flush ")) {
        ours.ip(command)?;
    }
    assert_eq!(left()?, "");
    Ok(())
}

#[test]
fn interfaces_may_go_down_come_up_be_renamed_and_deleted() -> Result<()> {
    let Some(lab) = Lab::for_test("ifaces")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let mut link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &theirs, TAP)?;
    RouteEditor::new(&theirs, TAP)?.add(VM.address)?;
    let interfaces = vec![Interface::point_to_point("eth0"), Interface::point_to_point("eth1")];
    let _frr = Make::FrrTuned.start(&lab, &theirs, &router(2, interfaces), "")?;
    let bugled = bugle(&lab, &ours, 1, any())?;
    let gateway = link.b.address;
    wait_for_gateways(&lab, &ours, VM.address, &[gateway])?;

    link.a.down()?;
    lab.wait_for(SOON, "the neighbour to go", || full(&bugled) == 0)?;
    wait_for_gateways(&lab, &ours, VM.address, &[])?;
    link.a.up()?;
    wait_for_gateways(&lab, &ours, VM.address, &[gateway])?;

    link.b.down()?;
    wait_for_gateways(&lab, &ours, VM.address, &[])?;
    link.b.up()?;
    wait_for_gateways(&lab, &ours, VM.address, &[gateway])?;

    link.a.rename("eth7")?;
    wait_for_entry(&lab, &bugled, "show neighbors", "eth7", |entry| {
        entry["interface"] == "eth7" && entry["state"] == "Full"
    })?;
    wait_for_gateways(&lab, &ours, VM.address, &[gateway])?;

    link.a.delete()?;
    lab.wait_for(SOON, "the neighbour to go", || full(&bugled) == 0)?;
    wait_for_gateways(&lab, &ours, VM.address, &[])?;
    let link = lab.link(&ours, &theirs)?;
    wait_for_gateways(&lab, &ours, VM.address, &[link.b.address])
}

#[test]
fn the_last_of_two_claims_of_one_address_wins() -> Result<()> {
    let Some(lab) = Lab::for_test("claims")? else { return Ok(()) };
    let nodes = [lab.node("a")?, lab.node("b")?];
    let spine = lab.node("spine")?;
    let mut ports = Vec::new();
    let mut interfaces = Vec::new();
    for node in &nodes {
        VM.place(&lab, node, TAP)?;
        let link = lab.link(&spine, node)?;
        interfaces.push(Interface::point_to_point(&link.a.interface));
        ports.push(link.b);
    }
    let frr = Make::FrrDefault.start(&lab, &spine, &router(9, interfaces), "")?;
    let [node_a, node_b] = &nodes;
    let [a, b] = [bugle(&lab, node_a, 1, eth0())?, bugle(&lab, node_b, 2, eth0())?];
    lab.wait_for(SOON, "both adjacencies", || frr.full_neighbors() == 2)?;
    let gateways: Vec<Ipv4Addr> = ports.iter().map(|port| port.address).collect();
    let [at_a, at_b] = gateways.as_slice() else { return Ok(()) };

    a.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &spine, VM.address, &[*at_a])?;
    b.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &spine, VM.address, &[*at_b])?;
    // The old host withdraws, and then sends the machine's packets to the new one.
    wait_for_gateways(&lab, node_a, VM.address, &[spine_side(*at_a)])?;

    // Both at the same time: whoever keeps it, exactly one does.
    a.remove_host(VM.address)?;
    b.remove_host(VM.address)?;
    wait_for_gateways(&lab, &spine, VM.address, &[])?;
    thread::scope(|scope| {
        let both = [&a, &b].map(|bugled| scope.spawn(|| bugled.add_host(VM.address, TAP, VM.mac)));
        for claim in both {
            // A claim may be refused because the other one came first; neither answer is wrong.
            let _ = claim.join();
        }
    });
    let prefix = host(VM.address).to_string();
    let one = || spine.gateways(&prefix).is_ok_and(|found| found.len() == 1);
    lab.wait_for(SOON, "exactly one owner", one)?;
    thread::sleep(Duration::from_secs(3));
    assert!(one(), "two owners: {:?}", spine.gateways(&prefix)?);
    let advertising = |bugled: &Bugled| {
        bugled.show("show hosts").is_ok_and(|hosts| {
            hosts.as_array().into_iter().flatten().any(|host| !host["metric"].is_null())
        })
    };
    lab.wait_for(SOON, "one advertisement", || advertising(&a) != advertising(&b))
}

/// The spine's address on a hypervisor's link.
fn spine_side(hypervisor: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = hypervisor.octets();
    Ipv4Addr::new(a, b, c, 1)
}

#[test]
fn a_thousand_host_routes_are_added_and_removed() -> Result<()> {
    let Some(lab) = Lab::for_test("thousand")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    let link = lab.link(&ours, &theirs)?;
    VM.place(&lab, &ours, TAP)?;
    let frr = Make::FrrDefault.start(&lab, &theirs, &router(2, eth0()), "")?;
    let bugled = bugle(&lab, &ours, 1, eth0())?;
    lab.wait_for(SOON, "the adjacency", || frr.full_neighbors() == 1)?;
    let hosts: Vec<Ipv4Addr> =
        (0..1000_u16).map(|n| Ipv4Addr::from(0x0A64_1000 + u32::from(n))).collect();
    let all: Prefix = "10.100.16.0/20".parse().unwrap();
    let count = |node: &bugle_testbed::Node| {
        node.ip("-4 route show root 10.100.16.0/20").map_or(0, |text| text.lines().count())
    };
    let mut watch = FibWatch::start(&theirs, move |prefix| all.covers(prefix))?;
    for address in &hosts {
        bugled.add_host(*address, TAP, VM.mac)?;
    }
    for address in &hosts {
        wait_for_change(&lab, &mut watch, *address, true)?;
    }
    assert_eq!((count(&ours), count(&theirs)), (1000, 1000));
    assert_eq!(theirs.gateways(&host(hosts[999]).to_string())?, [link.a.address]);
    for address in &hosts {
        bugled.remove_host(*address)?;
    }
    for address in &hosts {
        wait_for_change(&lab, &mut watch, *address, false)?;
    }
    assert_eq!((count(&ours), count(&theirs)), (0, 0));
    Ok(())
}

#[test]
fn an_lsa_changed_twice_in_300_ms_reaches_a_default_frr_within_1500_ms() -> Result<()> {
    const LIMIT: Duration = Duration::from_millis(1500);
    let Some(lab) = Lab::for_test("twice")? else { return Ok(()) };
    let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
    lab.link(&ours, &theirs)?;
    VM.place(&lab, &ours, TAP)?;
    let mut ospf = router(2, eth0());
    ospf.tuning = Tuning::Default;
    let frr = Make::FrrDefault.start(&lab, &theirs, &ospf, "")?;
    let bugled = bugle(&lab, &ours, 1, eth0())?;
    lab.wait_for(SOON, "the adjacency", || frr.full_neighbors() == 1)?;
    let mut watch = FibWatch::start(&theirs, |prefix| prefix == host(VM.address))?;
    for round in 0..3 {
        // Announced, then withdrawn 300 ms later: FRR drops the second instance, which comes within its MinLSArrival.
        bugled.add_host(VM.address, TAP, VM.mac)?;
        wait_for_change(&lab, &mut watch, VM.address, true)?;
        thread::sleep(Duration::from_millis(300));
        let changed = Instant::now();
        bugled.remove_host(VM.address)?;
        let gone = wait_for_change(&lab, &mut watch, VM.address, false)?;
        let took = gone.duration_since(changed);
        assert!(took < LIMIT, "round {round}: withdrawal took {took:?}");

        // Withdrawn, then announced again 300 ms later.
        thread::sleep(Duration::from_millis(300));
        let changed = Instant::now();
        bugled.add_host(VM.address, TAP, VM.mac)?;
        let back = wait_for_change(&lab, &mut watch, VM.address, true)?;
        let took = back.duration_since(changed);
        assert!(took < LIMIT, "round {round}: announcement took {took:?}");
        thread::sleep(2 * LIMIT);
        bugled.remove_host(VM.address)?;
        wait_for_change(&lab, &mut watch, VM.address, false)?;
        thread::sleep(2 * LIMIT);
    }
    Ok(())
}
