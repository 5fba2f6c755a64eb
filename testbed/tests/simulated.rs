//! Simulated networks and real ones: one behind the adjacency of a real router, and one made of a real router's database.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_testbed::contender::BUGLE_HOSTS;
use bugle_testbed::{Bugled, Frr, Interface, Lab, LabError, Neighbor, Ospf, Result, Vm, tools};
use bugle_types::{Mac, Prefix};
use serde_json::Value;

/// A thousand routers come up in virtual time first.
const COME_UP: Duration = Duration::from_secs(400);
const SOON: Duration = Duration::from_secs(60);
/// What FRR adds for its own link.
const COST: u64 = 10;

const SCENARIO: &str = "topology grid 25x40\nhosts 20 spread\nat 60s check\n";

/// What the simulator's oracle has for a router: metrics by prefix.
fn oracle(scenario: &str, at: &str) -> Result<BTreeMap<Prefix, u64>> {
    let text = tools::run("bugle", &["--json", "sim", scenario, "--routes", at])?;
    let routes: Value = tools::json("sim --routes", &text)?;
    let entries = routes.as_array().into_iter().flatten();
    let metric =
        |entry: &Value| Some((entry["prefix"].as_str()?.parse().ok()?, entry["metric"].as_u64()?));
    Ok(entries.filter_map(metric).collect())
}

/// FRR's routes to other networks than its own that it has installed: metrics and gateways by prefix.
fn routes(frr: &Frr) -> Result<BTreeMap<Prefix, (u64, Vec<String>)>> {
    let all: Value = tools::json("show ip route", &frr.vtysh("show ip route ospf json")?)?;
    let route = |(prefix, entries): (&String, &Value)| {
        let mut entries = entries.as_array()?.iter();
        let entry = entries.find(|entry| entry["installed"] == true)?;
        let hops = entry["nexthops"].as_array()?.iter();
        let hops = hops.filter_map(|hop| hop["ip"].as_str()).map(str::to_owned).collect();
        Some((prefix.parse().ok()?, (entry["metric"].as_u64()?, hops)))
    };
    Ok(all.as_object().into_iter().flatten().filter_map(route).collect())
}

#[test]
fn frr_routes_to_a_thousand_simulated_routers_as_the_oracle_does() -> Result<()> {
    let Some(lab) = Lab::for_test("simulated")? else { return Ok(()) };
    let (real, world) = (lab.node("real")?, lab.node("world")?);
    let link = lab.link(&real, &world)?;
    let scenario = world.write("net.sim", SCENARIO)?;
    let scenario = scenario.to_string_lossy();
    let expected = oracle(&scenario, "r1")?;
    assert!(expected.len() > 1_900, "{}", expected.len());

    let interfaces = vec![Interface::point_to_point(&link.a.interface)];
    let frr = Frr::start(&lab, &real, &Ospf::new(Ipv4Addr::new(192, 0, 2, 1), interfaces))?;
    let arguments = ["sim", &*scenario, "--attach", &link.b.interface];
    let _simulator = world.spawn("bugle-sim", &tools::find("bugle")?, &arguments)?;
    lab.wait_for(COME_UP, "the adjacency", || {
        frr.neighbors().is_ok_and(|all| all.iter().any(Neighbor::is_full))
    })?;
    let gateway = link.b.address.to_string();
    let wrong = || -> Vec<String> {
        let Ok(routes) = routes(&frr) else { return vec!["FRR does not answer".to_owned()] };
        let unlike = expected.iter().filter_map(|(prefix, &metric)| {
            // Externals of type 2 have the metric that they are advertised with everywhere.
            let metric = if prefix.is_host() { metric } else { metric + COST };
            let should = (metric, vec![gateway.clone()]);
            let found = routes.get(prefix);
            (found != Some(&should)).then(|| format!("{prefix}: {found:?}, not {should:?}"))
        });
        let others = routes.keys().filter(|prefix| !expected.contains_key(prefix));
        unlike.chain(others.map(|prefix| format!("{prefix} is nowhere in the network"))).collect()
    };
    let settled = lab.wait_for(SOON, "FRR's routes to be the oracle's", || wrong().is_empty());
    if settled.is_err() {
        let wrong = wrong();
        let found = format!("{} are wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        return Err(LabError::Unexpected { what: "FRR's routes".into(), found });
    }
    Ok(())
}

/// The port of machines on their hypervisors.
const TAP: &str = "tap0";

#[test]
fn a_network_of_bugle_and_frr_is_simulated_from_the_database_of_one_of_its_routers() -> Result<()> {
    let Some(lab) = Lab::for_test("database")? else { return Ok(()) };
    let (here, core, there) = (lab.node("here")?, lab.node("core")?, lab.node("there")?);
    let (first, lan) = (lab.link(&here, &core)?, lab.lan(&[&core, &there])?);
    let [core_port, our_port] = lan.ports.as_slice() else { return Ok(()) };
    let vm = |number| Vm {
        address: Ipv4Addr::new(10, 100, 0, number),
        mac: Mac([0x52, 0x54, 0, 0, 0, number]),
    };
    let (vm, other) = (vm(9), vm(20));
    vm.place(&lab, &here, TAP)?;
    other.place(&lab, &there, TAP)?;
    let ospf = |number, interfaces| Ospf::new(Ipv4Addr::new(192, 0, 2, number), interfaces);
    let link = |port: &str| Interface { cost: 30, ..Interface::point_to_point(port) };
    let on_lan = |port: &str| Interface::broadcast(port);
    let of_core = vec![link(&first.b.interface), on_lan(&core_port.interface)];
    let _frr = Frr::start(&lab, &core, &ospf(2, of_core))?;
    let start = |node, number, interface| {
        Bugled::start(&lab, node, &(ospf(number, vec![interface]).bugle() + BUGLE_HOSTS))
    };
    let left = start(&here, 1, link(&first.a.interface))?;
    let right = start(&there, 3, on_lan(&our_port.interface))?;
    left.add_host(vm.address, TAP, vm.mac)?;
    right.add_host(other.address, TAP, other.mac)?;
    let host = |vm: &Vm| Prefix::host(vm.address.into()).to_string();
    lab.wait_for(SOON, "each machine to be known at the other end", || {
        !here.gateways(&host(&other)).unwrap_or_default().is_empty()
            && !there.gateways(&host(&vm)).unwrap_or_default().is_empty()
    })?;

    there.write("network.json", &right.show("show database")?.to_string())?;
    let scenario = "topology database network.json\nat 20s crash r192.0.2.2 for 5s\n";
    let scenario = there.write("what-if.sim", scenario)?;
    let scenario = scenario.to_string_lossy();
    let report: Value = tools::json("sim", &tools::run("bugle", &["--json", "sim", &scenario])?)?;
    let counts = ["routers", "segments", "hosts"].map(|what| report[what].as_u64());
    assert_eq!(counts, [Some(3), Some(2), Some(2)], "{report}");
    // The simulator's addresses are its own, and so are the networks of its links; but what each machine costs, and how far it
    // is, it has from here.
    let simulated = oracle(&scenario, "r192.0.2.3")?;
    let routes = right.show("show routes")?;
    for vm in [vm, other] {
        let prefix = host(&vm);
        let entry = routes.as_array().into_iter().flatten().find(|route| route["prefix"] == prefix);
        let metric = entry.filter(|route| route["protocol"] == "ospf");
        let metric = metric.and_then(|route| route["metric"].as_u64());
        let known = prefix.parse().ok().and_then(|prefix: Prefix| simulated.get(&prefix).copied());
        assert_eq!(known, metric.or(Some(10_000)), "{prefix}: {entry:?}");
    }
    // The far link costs 30 more than the LAN, whose network is the one of ours.
    let networks: Vec<u64> = simulated
        .iter()
        .filter(|(prefix, _)| !prefix.is_host())
        .map(|(_, &metric)| metric)
        .collect();
    assert_eq!(networks, [10, 40]);
    Ok(())
}
