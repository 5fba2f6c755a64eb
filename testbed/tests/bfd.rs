//! bugle and BFD: with FRR's bfdd and with BIRD, through failures of every kind.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

mod peers;
mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bugle_testbed::contender::{BUGLE_HOSTS, Make};
use bugle_testbed::{
    Area, Bugled, Circuit, Frr, Interface, Isis, Lab, Lan, Network, Node, Ospf, Result,
    RouteEditor, Synthetic, tools,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use support::{SOON, TAP, VM, bugle, full, router, wait_for_entry, wait_for_gateways};

/// `eth0` as a point-to-point link with BFD at three times this.
fn eth0(millis: u32) -> Vec<Interface> {
    vec![Interface::point_to_point("eth0").with_bfd(millis, 3)]
}

/// bugle and a peer on a switch whose ports fail silently.
struct Pair {
    lab: Lab,
    lan: Lan,
    ours: Node,
    theirs: Node,
}

impl Pair {
    fn new(name: &str) -> Result<Option<Self>> {
        let Some(lab) = Lab::for_test(name)? else { return Ok(None) };
        let (ours, theirs) = (lab.node("ours")?, lab.node("theirs")?);
        let lan = lab.lan(&[&ours, &theirs])?;
        Ok(Some(Self { lab, lan, ours, theirs }))
    }

    fn config(millis: u32) -> String {
        router(1, eth0(millis)).bugle() + BUGLE_HOSTS
    }

    fn bugle(&self, millis: u32) -> Result<Bugled> {
        bugle(&self.lab, &self.ours, 1, eth0(millis))
    }

    fn theirs(millis: u32) -> Ospf {
        router(2, eth0(millis))
    }

    fn remote(&self) -> Ipv4Addr {
        self.lan.ports[1].address
    }

    /// What bugle holds of the kernel: routes, nexthop objects, sockets; and its sessions.
    fn possessions(&self, bugled: &Bugled) -> Result<Vec<usize>> {
        let lines = |text: String| text.lines().count();
        let sockets = self.ours.run("ss", &["-H", "-u", "-a", "-n"])?;
        let sessions = bugled.show("show bfd")?.as_array().map_or(0, Vec::len);
        Ok(vec![
            lines(self.ours.ip("route show proto 182")?),
            lines(self.ours.ip("nexthop show")?),
            lines(sockets),
            sessions,
        ])
    }

    /// Waits for a session of which this holds.
    fn wait(&self, bugled: &Bugled, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        wait_for_entry(&self.lab, bugled, "show bfd", what, |session| {
            session["address"] == self.remote().to_string() && holds(session)
        })
    }

    fn wait_up(&self, bugled: &Bugled) -> Result<()> {
        self.lab.wait_for(SOON, "the adjacency", || full(bugled) == 1)?;
        self.wait(bugled, "a session that is Up", |session| {
            session["state"] == "Up" && session["remote_state"] == "Up"
        })
    }
}

/// The same with IS-IS.
fn isis(number: u8) -> Isis {
    let eth0 = Circuit::new("eth0", Network::PointToPoint).with_bfd(50, 3);
    Isis::new(number, vec![eth0])
}

/// A session of each version of IP that is given, and no other, is Up.
fn wait_for_versions(lab: &Lab, bugled: &Bugled, versions: &[&str]) -> Result<()> {
    lab.wait_for(SOON, &format!("sessions by {versions:?}"), || {
        let sessions = bugled.show("show bfd").unwrap_or_default();
        let up = sessions.as_array().into_iter().flatten().filter(|s| s["state"] == "Up");
        let version = |session: &Value| {
            let is_ipv6 = session["address"].to_string().contains(':');
            if is_ipv6 { "IPv6" } else { "IPv4" }
        };
        let mut found: Vec<_> = up.map(version).collect();
        found.sort_unstable();
        found == versions
    })
}

/// The events of a kind so far, as text.
fn events(bugled: &Bugled, kind: &str) -> Vec<String> {
    let all = bugled.show("show events").unwrap_or_default();
    let all = all.as_array().cloned().unwrap_or_default().into_iter();
    let wanted = all.filter(|event| event["kind"] == kind);
    wanted.map(|event| event["message"].to_string()).collect()
}

#[test]
fn a_silent_failure_is_found_out_by_bfd_with_frr() -> Result<()> {
    let Some(pair) = Pair::new("bfdfrr")? else { return Ok(()) };
    let _frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
    let bugled = pair.bugle(50)?;
    pair.wait_up(&bugled)?;
    pair.wait(&bugled, "the agreed timers", |session| {
        session["tx_us"] == 50_000 && session["detection_us"] == 150_000
    })?;
    pair.lan.cut(1)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    pair.wait(&bugled, "the reason", |session| {
        session["diagnostic"] == "control detection time expired" && session["downs"] == 1
    })?;
    let told = events(&bugled, "neighbor-state").join("\n");
    assert!(told.contains("LLDown"), "{told}");
    pair.lab.wait_for(SOON, "every step of the repair", || {
        let steps = events(&bugled, "repair").join("\n");
        ["detected", "diverted", "adjacency down", "flooded", "computed", "installed"]
            .iter()
            .all(|step| steps.contains(step))
    })?;
    let explained = bugled.show(&format!("explain {}", pair.remote()))?;
    assert_eq!(explained["repair"].as_array().map(Vec::len), Some(6), "{explained}");
    pair.lan.mend(1)?;
    pair.wait_up(&bugled)
}

#[test]
fn a_silent_failure_is_found_out_by_bfd_with_bird() -> Result<()> {
    let Some(pair) = Pair::new("bfdbird")? else { return Ok(()) };
    let _bird = Make::Bird.start(&pair.lab, &pair.theirs, &Pair::theirs(50), "")?;
    let bugled = pair.bugle(50)?;
    pair.wait_up(&bugled)?;
    pair.lan.cut(1)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    pair.lan.mend(1)?;
    pair.wait_up(&bugled)?;
    // The neighbour comes up first.
    let passive = Pair::config(50).replace("multiplier", "passive = true\nmultiplier");
    bugled.reload(&passive)?;
    pair.lan.cut(1)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    pair.lan.mend(1)?;
    pair.wait_up(&bugled)
}

#[test]
fn a_silent_failure_is_found_out_by_bfd_with_frr_and_isis_by_either_version_of_ip() -> Result<()> {
    // isisd has one session to a neighbour: by IPv6, where there is that.
    for (name, ipv6, version) in [("bfdisis4", false, "IPv4"), ("bfdisis6", true, "IPv6")] {
        let Some(pair) = Pair::new(name)? else { return Ok(()) };
        let frr = Frr::start_isis(&pair.lab, &pair.theirs, &isis(2))?;
        if !ipv6 {
            frr.vtysh("configure terminal\ninterface eth0\nno ipv6 router isis lab")?;
        }
        let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &isis(1), "")?;
        let wait_up = || {
            pair.lab.wait_for(SOON, "the adjacency", || bugled.up() == 1)?;
            wait_for_versions(&pair.lab, &bugled, &[version])?;
            wait_for_entry(&pair.lab, &bugled, "show neighbors", "BFD", |n| n["bfd"] == "Up")
        };
        wait_up()?;
        pair.lan.cut(1)?;
        pair.lab.wait_for(SOON, "the adjacency to end", || bugled.up() == 0)?;
        let told = events(&bugled, "neighbor-state").join("\n");
        assert!(told.contains("bfd-down") && !told.contains("holding-time-expired"), "{told}");
        pair.lab.wait_for(SOON, "every step of the repair", || {
            let steps = events(&bugled, "repair").join("\n");
            ["detected", "diverted", "adjacency down", "flooded", "computed"]
                .iter()
                .all(|step| steps.contains(step))
        })?;
        pair.lan.mend(1)?;
        wait_up()?;
    }
    Ok(())
}

#[test]
fn on_a_lan_isis_is_watched_by_bfd_too_and_who_flaps_is_held_down() -> Result<()> {
    let lan = |number| {
        let eth0 = Circuit::new("eth0", Network::Broadcast).with_bfd(50, 3);
        Isis::new(number, vec![eth0])
    };
    let damping = "[link-damping]\nafter = 1\ninitial = \"2s\"\n";
    for (name, with_frr) in [("bfdlanfrr", true), ("bfdlan", false)] {
        let Some(pair) = Pair::new(name)? else { return Ok(()) };
        let _peer = if with_frr {
            (Some(Frr::start_isis(&pair.lab, &pair.theirs, &lan(2))?), None)
        } else {
            (None, Some(Bugled::start_isis(&pair.lab, &pair.theirs, &lan(2), "")?))
        };
        let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &lan(1), damping)?;
        let wait_up = || {
            pair.lab.wait_for(SOON, "the adjacency", || bugled.up() == 1)?;
            wait_for_entry(&pair.lab, &bugled, "show neighbors", "BFD", |n| n["bfd"] == "Up")
        };
        wait_up()?;
        for holds in [false, true] {
            pair.lan.cut(1)?;
            pair.lab.wait_for(SOON, "the adjacency to end", || bugled.up() == 0)?;
            let told = events(&bugled, "neighbor-state").join("\n");
            assert!(told.contains("bfd-down"), "{told}");
            assert!(!told.contains("holding-time-expired"), "{told}");
            pair.lan.mend(1)?;
            wait_for_entry(&pair.lab, &bugled, "show interfaces", "holds", |interface| {
                let held = interface["held_neighbors"].as_object();
                held.is_some_and(|all| all.is_empty() != holds)
            })?;
            wait_up()?;
        }
        wait_for_entry(&pair.lab, &bugled, "show neighbors", "flaps", |n| n["flaps"] == 2)?;
        assert!(!events(&bugled, "link-released").is_empty());
    }
    Ok(())
}

#[test]
fn between_bugles_isis_waits_for_bfd_by_both_versions_of_ip_and_either_ends_the_adjacency()
-> Result<()> {
    let Some(pair) = Pair::new("bfdisis")? else { return Ok(()) };
    let _theirs = Bugled::start_isis(&pair.lab, &pair.theirs, &isis(2), "")?;
    let bugled = Bugled::start_isis(&pair.lab, &pair.ours, &isis(1), "")?;
    let wait_up = || {
        pair.lab.wait_for(SOON, "the adjacency", || bugled.up() == 1)?;
        wait_for_versions(&pair.lab, &bugled, &["IPv4", "IPv6"])
    };
    wait_up()?;
    let told = || events(&bugled, "neighbor-state").join("\n");
    // RFC 6213 section 3.2: not before BFD is up. Nor does it end when BFD comes and goes.
    let directory = pair.ours.directory().to_string_lossy().into_owned();
    let config = isis(1).bugle(&directory);
    bugled.reload(&config.replace("bfd = \"lab\"\n", ""))?;
    wait_for_versions(&pair.lab, &bugled, &[])?;
    bugled.reload(&config)?;
    wait_up()?;
    assert!(!told().contains("-> Down"), "{}", told());
    pair.lan.deafen(0)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || bugled.up() == 0)?;
    assert!(told().contains("bfd-down"), "{}", told());
    Ok(())
}

#[test]
fn timers_are_changed_by_either_end_while_the_session_stays_up() -> Result<()> {
    let Some(pair) = Pair::new("bfdtimers")? else { return Ok(()) };
    let frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
    let bugled = pair.bugle(50)?;
    pair.wait_up(&bugled)?;
    let agreed = |tx: u64, detection: u64| {
        pair.wait(&bugled, "new timers", move |session| {
            session["tx_us"] == tx && session["detection_us"] == detection
        })
    };
    agreed(50_000, 150_000)?;
    bugled.reload(&Pair::config(80))?;
    agreed(80_000, 240_000)?;
    frr.vtysh("configure terminal\nbfd\nprofile lab\ntransmit-interval 200\ndetect-multiplier 5")?;
    agreed(80_000, 1_000_000)?;
    bugled.reload(&Pair::config(10))?;
    agreed(50_000, 1_000_000)?;
    // A profile that shuts sessions down takes no adjacency with it, here or there.
    bugled.reload(&Pair::config(10).replace("multiplier", "shutdown = true\nmultiplier"))?;
    pair.wait(&bugled, "an end", |session| session["state"] == "AdminDown")?;
    bugled.reload(&Pair::config(50))?;
    pair.wait_up(&bugled)?;
    frr.vtysh("configure terminal\nbfd\nprofile lab\nshutdown")?;
    pair.wait(&bugled, "their end", |session| {
        session["remote_state"] == "AdminDown"
            && session["diagnostic"] == "neighbor signaled session down"
    })?;
    frr.vtysh("configure terminal\nbfd\nprofile lab\nno shutdown")?;
    pair.wait_up(&bugled)?;
    let told = events(&bugled, "neighbor-state").join("\n");
    assert!(!told.contains("-> Down"), "{told}");
    Ok(())
}

/// With echo packets every 20 ms, and BFD's at this interval.
fn echoing(millis: u32) -> String {
    let echo = "echo-tx = \"20ms\"\necho-rx = \"20ms\"\nmultiplier";
    Pair::config(millis).replace("multiplier", echo)
}

#[test]
fn echo_packets_come_back_through_either_kernel_with_frr_and_their_loss_is_a_failure() -> Result<()>
{
    let Some(pair) = Pair::new("bfdecho")? else { return Ok(()) };
    let frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
    let bugled = Bugled::start(&pair.lab, &pair.ours, &echoing(50))?;
    pair.wait_up(&bugled)?;
    // FRR takes echo packets every 50 ms, unless told otherwise.
    pair.wait(&bugled, "echoes", |session| {
        session["echo_us"] == 50_000 && session["echo_round_trip_us"].is_u64()
    })?;
    frr.vtysh("configure terminal\nbfd\nprofile lab\necho-mode\necho transmit-interval 20")?;
    pair.lab.wait_for(SOON, "FRR's echoes", || {
        let peers = frr.show("show bfd peers counters").unwrap_or_default();
        peers[0]["echo-packet-input"].as_u64() > Some(20)
    })?;
    pair.wait_up(&bugled)?;
    pair.theirs.sysctl("net.ipv4.ip_forward", "0")?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    let told = events(&bugled, "bfd-state").join("\n");
    assert!(told.contains("Up -> Down: echo failed"), "{told}");
    pair.theirs.sysctl("net.ipv4.ip_forward", "1")?;
    pair.wait_up(&bugled)
}

#[test]
fn between_bugles_echo_packets_are_asked_for_where_the_kernel_forwards() -> Result<()> {
    let Some(pair) = Pair::new("bfdechoes")? else { return Ok(()) };
    let theirs =
        router(2, eth0(50)).bugle().replace("multiplier", "echo-rx = \"30ms\"\nmultiplier");
    let _theirs = Bugled::start(&pair.lab, &pair.theirs, &theirs)?;
    let bugled = Bugled::start(&pair.lab, &pair.ours, &Pair::config(50))?;
    pair.wait_up(&bugled)?;
    let echoes = |micros: Value| {
        pair.wait(&bugled, "what was agreed on", move |session| session["echo_us"] == micros)
    };
    echoes(Value::Null)?;
    // Control packets take over, and hand over, while the session stays up.
    bugled.reload(&echoing(50))?;
    echoes(Value::from(30_000))?;
    pair.wait(&bugled, "control packets once a second", |session| {
        session["detection_us"] == 3_000_000
    })?;
    bugled.reload(&Pair::config(50))?;
    echoes(Value::Null)?;
    pair.wait(&bugled, "control packets", |session| session["detection_us"] == 150_000)?;
    bugled.reload(&echoing(50))?;
    echoes(Value::from(30_000))?;
    pair.wait(&bugled, "no failure", |session| session["downs"] == 0)?;
    pair.lan.cut(1)?;
    pair.wait(&bugled, "the reason", |session| session["diagnostic"] == "echo function failed")?;
    pair.lan.mend(1)?;
    pair.wait_up(&bugled)
}

#[test]
fn a_session_comes_back_after_bfdd_was_killed() -> Result<()> {
    let Some(pair) = Pair::new("bfddkill")? else { return Ok(()) };
    let mut frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
    let bugled = pair.bugle(50)?;
    pair.wait_up(&bugled)?;
    if let Some(bfdd) = frr.bfdd() {
        bfdd.kill();
    }
    pair.wait(&bugled, "the end of the session", |session| {
        session["state"] == "Down" && session["diagnostic"] == "control detection time expired"
    })?;
    frr.restart_bfdd()?;
    pair.wait_up(&bugled)
}

#[test]
fn a_neighbor_that_answers_bfd_only_is_given_up_by_its_hellos() -> Result<()> {
    let Some(pair) = Pair::new("bfdonly")? else { return Ok(()) };
    let mut frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
    let bugled = pair.bugle(50)?;
    pair.wait_up(&bugled)?;
    frr.ospfd().signal(Signal::SIGSTOP)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    let told = events(&bugled, "neighbor-state").join("\n");
    assert!(told.contains("InactivityTimer") && !told.contains("LLDown"), "{told}");
    frr.ospfd().signal(Signal::SIGCONT)?;
    pair.wait_up(&bugled)
}

#[test]
fn loss_in_one_direction_is_a_failure() -> Result<()> {
    for (name, deaf) in [("bfddeafus", 0), ("bfddeafthem", 1)] {
        let Some(pair) = Pair::new(name)? else { return Ok(()) };
        let _frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(50))?;
        let bugled = pair.bugle(50)?;
        pair.wait_up(&bugled)?;
        pair.lan.deafen(deaf)?;
        pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
        let told = events(&bugled, "neighbor-state").join("\n");
        assert!(told.contains("LLDown"), "{told}");
    }
    Ok(())
}

#[test]
fn nothing_is_left_over_when_paths_flap_and_interfaces_are_renamed() -> Result<()> {
    let Some(mut pair) = Pair::new("bfdflaps")? else { return Ok(()) };
    VM.place(&pair.lab, &pair.theirs, TAP)?;
    RouteEditor::new(&pair.theirs, TAP)?.add(VM.address)?;
    let _frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(20))?;
    let config =
        Pair::config(20).replace("\"eth0\"", "\"???0\"") + "[link-damping]\ninitial = \"0s\"\n";
    let mut bugled = Bugled::start(&pair.lab, &pair.ours, &config)?;
    pair.wait_up(&bugled)?;
    wait_for_gateways(&pair.lab, &pair.ours, VM.address, &[pair.remote()])?;
    let before = pair.possessions(&bugled)?;
    for _ in 0..flaps() {
        pair.lan.cut(1)?;
        pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
        pair.lan.mend(1)?;
        pair.wait_up(&bugled)?;
    }
    pair.lan.ports[0].rename("upl0")?;
    pair.wait_up(&bugled)?;
    wait_for_gateways(&pair.lab, &pair.ours, VM.address, &[pair.remote()])?;
    pair.wait(&bugled, "the new name", |session| session["interface"] == "upl0")?;
    let mut after = Vec::new();
    let what = format!("what there was before: {before:?}");
    pair.lab.wait_for(SOON, &what, || {
        after = pair.possessions(&bugled).unwrap_or_default();
        after == before
    })?;
    bugled.process().stop(SOON)?;
    assert_eq!(pair.ours.ip("nexthop show")?, "");
    assert_eq!(pair.ours.ip("route show proto 182")?, "");
    Ok(())
}

/// Paths flap so often in a test, unless `BUGLE_FLAPS` says otherwise.
fn flaps() -> usize {
    std::env::var("BUGLE_FLAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

#[test]
fn what_flaps_is_held_down_and_shown_so() -> Result<()> {
    let Some(pair) = Pair::new("bfdheld")? else { return Ok(()) };
    let _frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(20))?;
    let damping = "[link-damping]\nafter = 1\ninitial = \"2s\"\n";
    let bugled = Bugled::start(&pair.lab, &pair.ours, &(Pair::config(20) + damping))?;
    pair.wait_up(&bugled)?;
    for held in [0, 1] {
        pair.lan.cut(1)?;
        pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
        pair.lan.mend(1)?;
        wait_for_entry(&pair.lab, &bugled, "show interfaces", "a hold", |interface| {
            interface["held_neighbors"].as_object().is_some_and(|all| all.len() == held)
        })?;
        pair.wait_up(&bugled)?;
    }
    wait_for_entry(&pair.lab, &bugled, "show neighbors", "flaps", |n| n["flaps"] == 2)?;
    assert_eq!(
        (events(&bugled, "link-held").len(), events(&bugled, "link-released").len()),
        (1, 1)
    );
    // The link's carrier is another matter.
    for _ in 0..2 {
        pair.lab.wait_for(SOON, "the adjacency", || full(&bugled) == 1)?;
        pair.lan.unplug(0)?;
        pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
        pair.lan.plug(0)?;
    }
    wait_for_entry(&pair.lab, &bugled, "show interfaces", "a held link", |interface| {
        interface["state"] == "Held" && interface["held_seconds"].is_u64()
    })?;
    pair.wait_up(&bugled)
}

/// FRR's ospfd takes its session away when it hears of a failure, which may be when the session is Up again.
#[test]
fn a_session_that_the_peer_takes_away_after_a_failure_has_not_failed_once_more() -> Result<()> {
    let Some(pair) = Pair::new("bfdtaken")? else { return Ok(()) };
    let mut frr = Frr::start(&pair.lab, &pair.theirs, &Pair::theirs(20))?;
    let damping = "[link-damping]\nafter = 1\n";
    let bugled = Bugled::start(&pair.lab, &pair.ours, &(Pair::config(20) + damping))?;
    pair.wait_up(&bugled)?;
    frr.ospfd().signal(Signal::SIGSTOP)?;
    pair.lan.cut(1)?;
    pair.lab.wait_for(SOON, "the adjacency to end", || full(&bugled) == 0)?;
    pair.lan.mend(1)?;
    pair.wait(&bugled, "a session that is Up again", |session| session["state"] == "Up")?;
    frr.ospfd().signal(Signal::SIGCONT)?;
    pair.wait(&bugled, "the session to be taken away", |session| session["downs"] == 2)?;
    pair.wait_up(&bugled)?;
    wait_for_entry(&pair.lab, &bugled, "show neighbors", "flaps", |n| n["flaps"] == 1)?;
    assert_eq!(events(&bugled, "link-held"), [""; 0]);
    Ok(())
}

#[test]
fn a_session_of_three_times_10_ms_survives_busy_loops_floods_of_requests_and_spf_of_10_000_routers()
-> Result<()> {
    const ROUTERS: u32 = 10_000;
    let Some(pair) = Pair::new("bfdbusy")? else { return Ok(()) };
    // Changes of a second link, and of an area behind a third, have both ends compute routes.
    let second = pair.lab.link(&pair.ours, &pair.theirs)?;
    let source = pair.lab.node("source")?;
    let third = pair.lab.link(&pair.ours, &source)?;
    let config = |number, others: &[&str]| {
        let others = others.iter().map(|name| Interface::point_to_point(name));
        router(number, eth0(10).into_iter().chain(others).collect()).bugle() + BUGLE_HOSTS
    };
    let theirs = Bugled::start(&pair.lab, &pair.theirs, &config(2, &["eth1"]))?;
    let bugled = Bugled::start(&pair.lab, &pair.ours, &config(1, &["eth1", "eth2"]))?;
    let mut area = Area::grid(ROUTERS, 0, 1);
    area.attach(router(1, Vec::new()).router_id, third.b.address);
    let synthetic = Synthetic::start(&third.b, &area)?;
    pair.lab.wait_for(SOON, "three adjacencies", || full(&bugled) == 3)?;
    for bugled in [&bugled, &theirs] {
        wait_for_entry(&pair.lab, bugled, "show spf", "the whole area", |spf| {
            spf["nodes"].as_u64() > Some(ROUTERS.into())
        })?;
    }
    pair.wait(&bugled, "a session that is Up", |session| session["state"] == "Up")?;
    let session = |bugled: &Bugled| bugled.show("show bfd").map(|all| all[0].clone());
    if session(&bugled)?["realtime"] != true {
        println!("skipped: BFD is not permitted real-time priority");
        return Ok(());
    }
    let shell = tools::find("sh")?;
    let mut loops = Vec::new();
    for number in 0..16 {
        let name = format!("loop{number}");
        loops.push(pair.ours.spawn(&name, &shell, &["-c", "while :; do :; done"])?);
    }
    let runs = |bugled: &Bugled| bugled.show("show spf").map(|all| all[0]["runs"].as_u64());
    let before = runs(&bugled)?;
    let end = Instant::now() + storm();
    for number in 0.. {
        if Instant::now() >= end {
            break;
        }
        // Links far and near.
        synthetic.flood(area.set_cost(number * 7 % area.edges(), 200));
        second.b.down()?;
        bugled.show("show database")?;
        for _ in 0..20 {
            bugled.show("show neighbors")?;
        }
        second.b.up()?;
        bugled.show("show routes")?;
    }
    drop(loops);
    assert!(runs(&bugled)? > before);
    let session = session(&bugled)?;
    assert_eq!(
        (&session["state"], &session["downs"]),
        (&Value::from("Up"), &Value::from(0)),
        "{session}"
    );
    println!("{session}");
    Ok(())
}

/// How long a storm lasts: a few seconds, or as many as `BUGLE_STORM_SECONDS` says.
fn storm() -> Duration {
    let seconds = std::env::var("BUGLE_STORM_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}
