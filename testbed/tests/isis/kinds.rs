//! Circuits, frames, metrics and prefixes of every kind, with FRR.

use std::net::Ipv4Addr;

use bugle_testbed::isis::Level;
use bugle_testbed::{Bugled, FibWatch, Frr, Isis, Lab, Network, Result, RouteEditor, Tuning};
use bugle_types::Prefix;

use crate::support::{SOON, TAP, VM, wait_for_entry, wait_for_gateways};
use crate::{HOSTS, Pair, THEIRS, bugle, frr, node, point_to_point};

/// The router with LANs in the place of its links.
pub(crate) fn on_lan(mut isis: Isis, priority: u8) -> Isis {
    for circuit in &mut isis.interfaces {
        circuit.network = Network::Broadcast;
        circuit.priority = priority;
    }
    isis
}

#[test]
fn a_lan_of_two_at_every_level_whoever_is_designated() -> Result<()> {
    for (name, level, adjacencies) in
        [("one", Level::One, 1), ("two", Level::Two, 1), ("both", Level::Both, 2)]
    {
        for (role, priority) in [("dis", 100), ("lan", 10)] {
            let ours = on_lan(bugle(1), priority).at(level);
            let theirs = on_lan(frr(2), 64).at(level);
            let Some(pair) = Pair::new(&format!("isis-{role}-{name}"))? else { return Ok(()) };
            let frr = Frr::start_isis(&pair.lab, &pair.theirs, &theirs)?;
            let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &ours, HOSTS)?;
            // On LANs each level has adjacencies of its own.
            pair.lab.wait_for(SOON, "the adjacencies on both sides", || {
                bugled.up() == adjacencies && frr.up() == adjacencies
            })?;
            pair.exchange_hosts(&bugled)?;
        }
    }
    Ok(())
}

#[test]
fn hosts_on_a_lan_are_not_missed_while_a_better_frr_takes_it_over() -> Result<()> {
    let Some(lab) = Lab::for_test("isis-better")? else { return Ok(()) };
    let nodes = [node(&lab, "a")?, node(&lab, "b")?, node(&lab, "c")?];
    let lan = lab.lan(&[&nodes[0], &nodes[1], &nodes[2]])?;
    VM.place(&lab, &nodes[0], TAP)?;
    let bugles = [
        Bugled::start_isis(&lab, &nodes[0], &on_lan(bugle(1), 64), HOSTS)?,
        Bugled::start_isis(&lab, &nodes[1], &on_lan(bugle(2), 64), HOSTS)?,
    ];
    let added = bugles[0].add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &nodes[1], VM.address, &[lan.ports[0].address])?;
    let address = Prefix::host(VM.address.into());
    let mut watch = FibWatch::start(&nodes[1], move |prefix| prefix == address)?;

    // As it is shipped, FRR names its pseudonode long after it has announced it.
    let better = Isis { tuning: Tuning::Default, ..on_lan(frr(3), 100) };
    let _frr = Frr::start_isis(&lab, &nodes[2], &better)?;
    wait_for_gateways(&lab, &nodes[2], VM.address, &[lan.ports[0].address])?;
    for bugled in &bugles {
        lab.wait_for(SOON, "no pseudonode but that of FRR", || {
            let shown = bugled.show("show database").unwrap_or_default();
            let living = shown.as_array().into_iter().flatten();
            let living = living.filter(|entry| entry["lifetime_seconds"].as_u64() > Some(0));
            let ids = living.filter_map(|entry| entry["id"].as_str());
            let mut lans = ids.filter(|id| !id.contains(".00-")).peekable();
            lans.peek().is_some() && lans.all(|id| id.starts_with("0000.0000.0003."))
        })?;
    }
    // What has been seen until now.
    while let Some(change) = watch.next(added) {
        assert!(change.present, "{change:?}");
    }
    wait_for_gateways(&lab, &nodes[1], VM.address, &[lan.ports[0].address])
}

#[test]
fn jumbo_frames_carry_hellos_of_full_length() -> Result<()> {
    for (name, lan) in [("isis-jumbo", false), ("isis-jumbolan", true)] {
        let Some(pair) = Pair::new(name)? else { return Ok(()) };
        for node in [&pair.ours, &pair.theirs] {
            node.ip("link set eth0 mtu 9000")?;
        }
        let kind = |isis| if lan { on_lan(isis, 64) } else { isis };
        let frr = Frr::start_isis(&pair.lab, &pair.theirs, &kind(frr(2)))?;
        let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &kind(bugle(1)), HOSTS)?;
        pair.wait_for_adjacency(&bugled, &frr, 1)?;
        pair.exchange_hosts(&bugled)?;
    }
    Ok(())
}

#[test]
fn narrow_metrics_of_frr_are_understood() -> Result<()> {
    // FRR that speaks both understands ours, which are wide.
    for (name, style) in [("isis-narrow", "narrow"), ("isis-transition", "transition")] {
        let Some(pair) = Pair::new(name)? else { return Ok(()) };
        let theirs = Isis { metric_style: style, ..frr(2) };
        let frr = Frr::start_isis(&pair.lab, &pair.theirs, &theirs)?;
        let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &bugle(1), HOSTS)?;
        pair.wait_for_adjacency(&bugled, &frr, 1)?;
        if style == "transition" {
            pair.exchange_hosts(&bugled)?;
        } else {
            RouteEditor::new(&pair.theirs, TAP)?.add(THEIRS.address)?;
            wait_for_gateways(&pair.lab, &pair.ours, THEIRS.address, &[pair.link.b.address])?;
        }
    }
    Ok(())
}

#[test]
fn tagged_hosts_are_leaked_to_frr_in_level_1_and_keep_their_tags() -> Result<()> {
    let Some(lab) = Lab::for_test("isis-leak")? else { return Ok(()) };
    let (inner, middle, outer) =
        (node(&lab, "inner")?, node(&lab, "middle")?, node(&lab, "outer")?);
    let (inside, outside) = (lab.link(&inner, &middle)?, lab.link(&middle, &outer)?);
    let configure = |isis: &Isis, line: &str| {
        isis.bugle("/").replace("stub-router", &format!("{line}\nstub-router")) + HOSTS
    };
    let mut between = Isis::new(2, vec![point_to_point("eth0"), point_to_point("eth1")]);
    between.level = Level::Both;
    between.interfaces[0].level = Level::One;
    let theirs = frr(1).at(Level::One);
    let _frr = Frr::start_isis(&lab, &inner, &theirs)?;
    let leak = "leak = [\"10.100.0.0/16\"]";
    let border = Bugled::start(&lab, &middle, &configure(&between, leak))?;
    let tags = "host-tag = 7\nhost-tag-64 = 18446744073709551615";
    let end = Isis { area: 2, ..bugle(3) };
    let bugled = Bugled::start(&lab, &outer, &configure(&end, tags))?;
    lab.wait_for(SOON, "both adjacencies", || border.up() == 2)?;
    VM.place(&lab, &outer, TAP)?;
    bugled.add_host(VM.address, TAP, VM.mac)?;
    wait_for_gateways(&lab, &middle, VM.address, &[outside.b.address])?;
    wait_for_gateways(&lab, &inner, VM.address, &[inside.b.address])?;
    wait_for_entry(&lab, &border, "show routes", "the tags", |route| {
        route["prefix"] == format!("{}/32", VM.address)
            && route["tag"] == 7
            && route["tag_64"] == u64::MAX
    })?;
    bugled.remove_host(VM.address)?;
    wait_for_gateways(&lab, &inner, VM.address, &[])
}

#[test]
fn five_thousand_hosts_are_routed_by_frr() -> Result<()> {
    const COUNT: u32 = 5_000;
    let Some(pair) = Pair::new("isis-hosts")? else { return Ok(()) };
    let Pair { lab, ours, theirs, .. } = &pair;
    let frr = Frr::start_isis(lab, theirs, &frr(2))?;
    let more = HOSTS.to_owned() + "max-hosts = 10000\n";
    let bugled = Bugled::start_isis(lab, ours, &bugle(1), &more)?;
    pair.wait_for_adjacency(&bugled, &frr, 1)?;
    let first = u32::from(Ipv4Addr::new(10, 100, 16, 0));
    let addresses = || (0..COUNT).map(|number| Ipv4Addr::from(first + number));
    for address in addresses() {
        bugled.add_host(address, TAP, VM.mac)?;
    }
    let routes = || {
        let routes = theirs.ip("-4 route show proto isis").unwrap_or_default();
        u32::try_from(routes.lines().count()).unwrap_or(u32::MAX)
    };
    lab.wait_for(SOON, "5,000 routes of FRR", || routes() >= COUNT)?;
    for address in addresses().step_by(2) {
        bugled.remove_host(address)?;
    }
    lab.wait_for(SOON, "half of them", || routes() <= COUNT / 2 + 2)?;
    assert!(routes() >= COUNT / 2);
    Ok(())
}

#[test]
fn a_level_1_system_moves_with_frr_from_one_area_to_another() -> Result<()> {
    // Both systems are told another area: the adjacency ends, and comes up in the new one.
    let Some(pair) = Pair::new("isis-renumber")? else { return Ok(()) };
    let (ours, theirs) = (bugle(1).at(Level::One), frr(2).at(Level::One));
    let frr = Frr::start_isis(&pair.lab, &pair.theirs, &theirs)?;
    let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &ours, HOSTS)?;
    pair.wait_for_adjacency(&bugled, &frr, 1)?;
    let elsewhere = Isis { area: 5, ..ours };
    bugled.reload(&(elsewhere.bugle("/") + HOSTS))?;
    pair.lab.wait_for(SOON, "the adjacency to end", || bugled.up() == 0 && frr.up() == 0)?;
    frr.vtysh("configure terminal\nrouter isis lab\nnet 49.0005.0000.0000.0002.00")?;
    pair.wait_for_adjacency(&bugled, &frr, 1)?;
    pair.exchange_hosts(&bugled)
}
