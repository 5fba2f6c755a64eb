//! bugle and BFD: with FRR's bfdd and with BIRD, through failures of every kind.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

mod support;

use std::net::Ipv4Addr;

use bugle_testbed::contender::{BUGLE_HOSTS, Make};
use bugle_testbed::{Bugled, Frr, Interface, Lab, Lan, Node, Ospf, Result};
use serde_json::Value;

use support::{SOON, full, router, wait_for_entry};

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
        Bugled::start(&self.lab, &self.ours, &Self::config(millis))
    }

    fn theirs(millis: u32) -> Ospf {
        router(2, eth0(millis))
    }

    fn remote(&self) -> Ipv4Addr {
        self.lan.ports[1].address
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
    pair.wait_up(&bugled)
}
