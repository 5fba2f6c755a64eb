//! Random networks, random misery: whatever happens, the network comes to rest as it should. A failure shrinks to a scenario
//! that `bugle sim` plays.

mod misery;

use std::path::Path;

use bugle_sim::{Scenario, play};
use misery::{PROTOCOLS, Shape, Step, What, scenario};
use proptest::prelude::*;

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

/// A scenario in which everything that is broken heals, so that the network must come to rest as it should.
fn misery() -> impl Strategy<Value = String> {
    let steps = prop::collection::vec(step(), 0..16);
    let protocol = prop::sample::select(PROTOCOLS.to_vec());
    (0..u64::MAX, protocol, shape(), quality(), steps).prop_map(
        |(seed, protocol, shape, quality, steps)| {
            scenario(seed, protocol, &shape, &quality, &steps)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_network_comes_to_rest_as_it_should(text in misery()) {
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
