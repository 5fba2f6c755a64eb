//! What every event does in every state.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::desk::{Answer, Desk, HOST, claim, config, mac, other, seen};
use crate::{Claim, Class, Damping, HostsConfig, Input, LocalTarget, Mode};

const SITUATIONS: [&str; 13] = [
    "absent",
    "candidate",
    "no port",
    "port down",
    "others unknown",
    "steady",
    "live",
    "port lost",
    "yielding",
    "yielded",
    "leaving",
    "frozen",
    "gone",
];

/// An engine in which the host is in this situation.
fn situation(name: &str) -> Desk {
    let damping = Damping { moves: 3, ..Damping::default() };
    let mut desk = Desk::new(HostsConfig { damping, ..config() });
    let claimed = |desk: &mut Desk| desk.tell(Input::Claim(claim()));
    match name {
        "absent" => {}
        "candidate" => desk.tell(Input::Claim(Claim { candidate: true, ..claim() })),
        "no port" => {
            desk.tell(Input::PortGone { name: "tap0".into() });
            claimed(&mut desk);
        }
        "port down" => {
            desk.port("tap0", false);
            claimed(&mut desk);
        }
        "others unknown" => {
            desk.answer = Answer::Later;
            claimed(&mut desk);
        }
        "steady" => claimed(&mut desk),
        "live" => {
            desk.answer = Answer::Other(other(10_000, 9));
            claimed(&mut desk);
        }
        "port lost" => {
            claimed(&mut desk);
            desk.wait(Duration::from_secs(5));
            desk.port("tap0", false);
        }
        "yielding" => {
            claimed(&mut desk);
            desk.wait(Duration::from_secs(5));
            desk.hear(9_999, 9);
        }
        "yielded" => {
            desk = situation("yielding");
            desk.wait(Duration::from_secs(5));
        }
        "leaving" => {
            claimed(&mut desk);
            desk.release();
        }
        "frozen" => {
            let mode = Mode::Learned;
            desk = Desk::new(HostsConfig { mode, damping, ..config() });
            desk.answer = Answer::Other(other(10_000, 9));
            desk.tell(Input::Claim(seen()));
            desk.hear(9_998, 9);
            desk.tell(Input::Claim(seen()));
            desk.wait(Duration::from_secs(5));
        }
        "gone" => {
            desk = situation("live");
            desk.wait(Duration::from_secs(5));
            desk.release();
        }
        _ => panic!("no situation {name}"),
    }
    desk.wait(Duration::from_millis(100));
    desk
}

const EVENTS: [&str; 17] = [
    "claim",
    "claim other",
    "candidate",
    "cand. other",
    "frame",
    "release",
    "port down",
    "port up",
    "port gone",
    "others none",
    "lower",
    "higher",
    "tie, lower id",
    "tie, higher",
    "no host's",
    "unfreeze",
    "deadline",
];

fn happen(desk: &mut Desk, event: &str) {
    let other_port = Claim { port: Some("tap1".into()), mac: Some(mac(2)), ..claim() };
    // What ties with this host's advertisement; with that of one that rests if it has none.
    let metric = desk.metric().unwrap_or(10_000);
    match event {
        "claim" => desk.tell(Input::Claim(claim())),
        "claim other" => desk.tell(Input::Claim(other_port)),
        "candidate" => desk.tell(Input::Claim(Claim { candidate: true, ..claim() })),
        "cand. other" => desk.tell(Input::Claim(Claim { candidate: true, ..other_port })),
        "frame" => desk.tell(Input::Claim(Claim { class: Class::Learned, ..claim() })),
        "release" => desk.release(),
        "port down" => desk.port("tap0", false),
        "port up" => desk.port("tap0", true),
        "port gone" => desk.tell(Input::PortGone { name: "tap0".into() }),
        "others none" => desk.hear_nobody(),
        "lower" => desk.hear(1_000, 9),
        "higher" => desk.hear(20_000, 9),
        "tie, lower id" => desk.hear(metric, 4),
        "tie, higher" => desk.hear(metric, 6),
        "no host's" => desk.tell(Input::Infrastructure(BTreeSet::from([HOST]))),
        "unfreeze" => desk.tell(Input::Unfreeze { address: HOST, request: None }),
        "deadline" => {
            if let Some((at, _)) = desk.mobility.deadline() {
                desk.now = at;
            }
            desk.tell(Input::Tick);
        }
        _ => panic!("no event {event}"),
    }
}

/// State, metric, and where packets go: `>` and the interface, `x` if they are dropped.
fn shown(desk: &Desk) -> String {
    let mut text = desk.state().map_or_else(|| "-".into(), |state| state.to_string());
    if let Some(metric) = desk.metric() {
        let _ = write!(text, " {metric}");
    }
    match desk.target() {
        Some(LocalTarget::Port(ifindex)) => {
            let _ = write!(text, " >{}", ifindex.0);
        }
        Some(LocalTarget::Drop) => text.push_str(" x"),
        None => {}
    }
    text
}

const EXPECTED: &str = include_str!("table.txt");

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let mut table = String::new();
    for name in SITUATIONS {
        let before = shown(&situation(name));
        let _ = writeln!(table, "{name}: {before}");
        for event in EVENTS {
            let mut desk = situation(name);
            happen(&mut desk, event);
            let after = shown(&desk);
            let after = if after == before { "." } else { &after };
            let _ = writeln!(table, "    {event:<14} {after}");
        }
    }
    assert!(table == EXPECTED, "the table should read:\n{table}");
}
