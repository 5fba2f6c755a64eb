//! Packets on loop-free alternates (RFC 5286) go in no circle: random networks, and links that fail and come back before any router
//! has run SPF, so that alternates are all that moves packets.

#![expect(clippy::panic, reason = "a test that cannot go on may panic")]

use std::path::Path;

use bugle_sim::{Report, Scenario, play};

fn run(seed: u64, alternates: &str) -> Report {
    let protocol = if seed.is_multiple_of(2) { "isis" } else { "ospf" };
    let text = format!(
        "title Failures that SPF never sees
        seed {seed}
        protocol {protocol}
        topology waxman 14 degree 3
        hosts 1 each
        timers {alternates} spf-initial 30s spf-short 30s spf-long 30s
        at 300s link random down for 5s
        at 400s link random down for 5s
        at 500s link random down for 5s
        at 600s link random down for 5s
        expect loop at most 0s"
    );
    let read = |_: &Path| Err(String::new());
    let scenario = Scenario::parse(&text, &read).unwrap_or_else(|problems| panic!("{problems}"));
    let report = play(&scenario, &mut |_| ());
    // SPF still waits when the network seems to rest: of what is wrong then nothing counts here.
    let exceeded = &report.exceeded;
    assert!(exceeded.is_empty(), "play this with `bugle sim`:\n{text}\n{}", report.table());
    report
}

/// How many flows lost packets, each time counted.
fn outages(report: &Report) -> usize {
    report.rows.iter().map(|row| row.outages).sum()
}

#[test]
fn alternates_loop_nowhere_and_spare_most_flows_an_outage() {
    let (mut with, mut without) = (0, 0);
    for seed in 1..=12 {
        with += outages(&run(seed, "microloop-delay 0s"));
        without += outages(&run(seed, "no-alternates"));
    }
    assert!(without > 100 && with < without / 2, "{with} {without}");
}
