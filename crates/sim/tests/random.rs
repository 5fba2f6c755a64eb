//! Random networks, random misery: whatever happens, the network comes to rest as it should. A failure shrinks to a scenario
//! that `bugle sim` plays.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::fmt::Write;
use std::path::Path;

use bugle_sim::{Scenario, play};
use proptest::prelude::*;

/// What the routers are joined by.
#[derive(Clone, Debug)]
struct Shape {
    routers: usize,
    /// Pairs of routers, with the cost at each end.
    links: Vec<(usize, usize, u16, u16)>,
    /// Routers on a LAN.
    lan: Vec<usize>,
    stub: Option<usize>,
}

/// Something that happens some time after what happened before.
#[derive(Clone, Debug)]
struct Step {
    after_ms: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Both routers are told. If the one that it leaves were not, a partition could leave two with equal claims.
    Move {
        host: usize,
        to: usize,
    },
    Remove {
        host: usize,
    },
    Add {
        host: usize,
        on: usize,
    },
    Link {
        link: usize,
        fault: &'static str,
        ms: u64,
    },
    Port {
        member: usize,
        fault: &'static str,
        ms: u64,
    },
    Crash {
        router: usize,
        ms: u64,
    },
    Stop {
        router: usize,
        ms: u64,
    },
    Restart {
        router: usize,
    },
}

fn shape() -> impl Strategy<Value = Shape> {
    (2..8usize)
        .prop_flat_map(|routers| {
            let pair = (0..routers, 0..routers, 1..20u16, 1..20u16);
            let more = prop::collection::vec(pair, 0..routers);
            let parents = prop::collection::vec(0..routers, routers - 1);
            let lan = prop::collection::btree_set(0..routers, 0..=routers);
            (Just(routers), parents, more, lan, prop::option::of(0..routers))
        })
        .prop_map(|(routers, parents, more, lan, stub)| {
            // A tree keeps it in one piece.
            let tree =
                (1..routers).zip(parents).map(|(child, parent)| (parent % child, child, 10, 10));
            let links = tree.chain(more).filter(|(a, b, ..)| a != b).collect();
            Shape { routers, links, lan: lan.into_iter().collect(), stub }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let some = || 0..64usize;
    let fault = || prop::sample::select(vec!["down", "silent", "one-way"]);
    let what = prop_oneof![
        4 => (some(), some()).prop_map(|(host, to)| What::Move { host, to }),
        1 => some().prop_map(|host| What::Remove { host }),
        1 => (some(), some()).prop_map(|(host, on)| What::Add { host, on }),
        3 => (some(), fault(), 1..8000u64).prop_map(|(link, fault, ms)| What::Link { link, fault, ms }),
        2 => (some(), fault(), 1..8000u64)
            .prop_map(|(member, fault, ms)| What::Port { member, fault, ms }),
        1 => (some(), 1..8000u64).prop_map(|(router, ms)| What::Crash { router, ms }),
        1 => (some(), 1..8000u64).prop_map(|(router, ms)| What::Stop { router, ms }),
        1 => some().prop_map(|router| What::Restart { router }),
    ];
    (0..4000u64, what).prop_map(|(after_ms, what)| Step { after_ms, what })
}

/// How bad links are: all of it is over before the network is to rest.
fn quality() -> impl Strategy<Value = String> {
    (0..8u32, 0..3u32, 0..5u32, 0..200u64).prop_map(|(loss, duplicate, reorder, jitter)| {
        format!("loss {loss}% duplicate {duplicate}% reorder {reorder}% jitter {jitter}us")
    })
}

/// Writes all of it as a scenario.
fn scenario(seed: u64, shape: &Shape, quality: &str, steps: &[Step]) -> String {
    let mut text = format!("title A random network\nseed {seed}\nlinks {quality}\n");
    for router in 0..shape.routers {
        let stub = if shape.stub == Some(router) { " stub" } else { "" };
        writeln!(text, "router r{router}{stub}").unwrap();
    }
    for (a, b, cost, back) in &shape.links {
        writeln!(text, "link r{a} r{b} cost {cost} {back}").unwrap();
    }
    if !shape.lan.is_empty() {
        let members: Vec<String> = shape.lan.iter().map(|member| format!("r{member}")).collect();
        writeln!(text, "lan lan1 {}", members.join(" ")).unwrap();
    }
    text.push_str("hosts 1 each\n");
    let name = |router: &usize| format!("r{}", router % shape.routers);
    let address = |host: &usize| format!("10.100.0.{}", host % shape.routers + 1);
    let (mut at, mut end) = (20_000, 20_000);
    for Step { after_ms, what } in steps {
        at += after_ms;
        let (action, lasts) = match what {
            What::Move { host, to } => (format!("move {} to {}", address(host), name(to)), 0),
            What::Remove { host } => (format!("remove {}", address(host)), 0),
            What::Add { host, on } => (format!("add {} on {}", address(host), name(on)), 0),
            What::Link { link, fault, ms } => {
                let Some((a, b, ..)) = shape.links.get(link % shape.links.len().max(1)) else {
                    continue;
                };
                (format!("link r{a} r{b} {fault} for {ms}ms"), *ms)
            }
            What::Port { member, fault, ms } => {
                let Some(router) = shape.lan.get(member % shape.lan.len().max(1)) else { continue };
                (format!("port r{router} lan1 {fault} for {ms}ms"), *ms)
            }
            What::Crash { router, ms } => (format!("crash {} for {ms}ms", name(router)), *ms),
            What::Stop { router, ms } => (format!("stop {} for {ms}ms", name(router)), *ms),
            What::Restart { router } => (format!("restart {}", name(router)), 0),
        };
        writeln!(text, "at {at}ms {action}").unwrap();
        end = end.max(at + lasts);
    }
    writeln!(text, "at {}ms links loss 0% duplicate 0% reorder 0% jitter 0us", end + 1).unwrap();
    text
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_network_comes_to_rest_as_it_should(
        seed in 0..u64::MAX,
        shape in shape(),
        quality in quality(),
        steps in prop::collection::vec(step(), 0..16),
    ) {
        let text = scenario(seed, &shape, &quality, &steps);
        let read = |_: &Path| Err(String::new());
        let parsed = Scenario::parse(&text, &read);
        prop_assert!(parsed.is_ok(), "{}\n{text}", parsed.unwrap_err());
        let report = play(&parsed.unwrap(), &mut |_| ());
        prop_assert!(
            report.findings.is_empty() && report.refused.is_empty(),
            "play this with `bugle sim`:\n{text}\n{}",
            report.table(),
        );
    }
}
