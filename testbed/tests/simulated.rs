//! A simulated network behind one adjacency of a real router.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_testbed::{Frr, Interface, Lab, LabError, Neighbor, Ospf, Result, tools};
use bugle_types::Prefix;
use serde_json::Value;

/// A thousand routers come up in virtual time first.
const COME_UP: Duration = Duration::from_secs(400);
const SOON: Duration = Duration::from_secs(60);
/// What FRR adds for its own link.
const COST: u64 = 10;

const SCENARIO: &str = "topology grid 25x40\nhosts 20 spread\nat 60s check\n";

/// What the simulator's oracle has for the first router: metrics by prefix.
fn oracle(scenario: &str) -> Result<BTreeMap<Prefix, u64>> {
    let text = tools::run("bugle", &["--json", "sim", scenario, "--routes", "r1"])?;
    let routes: Value = tools::json("sim --routes", &text)?;
    let entries = routes.as_array().into_iter().flatten();
    let metric =
        |entry: &Value| Some((entry["prefix"].as_str()?.parse().ok()?, entry["metric"].as_u64()?));
    Ok(entries.filter_map(metric).collect())
}

/// FRR's routes: metrics and gateways by prefix.
fn routes(frr: &Frr) -> Result<BTreeMap<Prefix, (u64, Vec<String>)>> {
    let all: Value = tools::json("show ip route", &frr.vtysh("show ip route ospf json")?)?;
    let route = |(prefix, entries): (&String, &Value)| {
        let entry = entries.as_array()?.first()?;
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
    let expected = oracle(&scenario)?;
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
        expected
            .iter()
            .filter_map(|(prefix, &metric)| {
                // Externals of type 2 have the metric that they are advertised with everywhere.
                let metric = if prefix.is_host() { metric } else { metric + COST };
                let should = (metric, vec![gateway.clone()]);
                let found = routes.get(prefix);
                (found != Some(&should)).then(|| format!("{prefix}: {found:?}, not {should:?}"))
            })
            .collect()
    };
    let settled = lab.wait_for(SOON, "FRR's routes to be the oracle's", || wrong().is_empty());
    if settled.is_err() {
        let wrong = wrong();
        let found = format!("{} are wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        return Err(LabError::Unexpected { what: "FRR's routes".into(), found });
    }
    Ok(())
}
