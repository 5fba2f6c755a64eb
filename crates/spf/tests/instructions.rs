//! What calculations cost, in instructions.
//!
//! Counted in the profile that tests are built in, for which the workspace has this crate optimised; on one architecture, as
//! each has its own instructions.
#![cfg(all(target_arch = "x86_64", debug_assertions))]

mod callgrind;
mod grid;

use std::path::Path;

use bugle_spf::{Alternates, Spf};
use grid::{Net, ROOT};

#[test]
fn no_calculation_takes_more_or_fewer_instructions_than_it_used_to() {
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions.txt");
    let test = "no_calculation_takes_more_or_fewer_instructions_than_it_used_to";
    if let Err(error) = callgrind::compare(test, &baseline, WORKLOADS) {
        panic!("{error}");
    }
}

const WORKLOADS: callgrind::Workloads<'_> = &[
    ("graph", || Box::new(|| drop(Net::new(SIDE, 100)))),
    ("full-run", || {
        let (net, mut spf) = calculated();
        Box::new(move || {
            spf.run(&net.graph, ROOT);
        })
    }),
    ("far-leaf", || changing(|net, _| vec![net.leaf_link()])),
    ("core-link", || changing(|net, spf| vec![net.core_link(spf)])),
    ("link-of-the-root", || changing(|net, spf| vec![net.root_link(spf)])),
    ("ten-links", || changing(|net, _| net.any_links(10))),
    ("trees-of-alternates", || {
        let (net, _) = calculated();
        let mut alternates = Alternates::new();
        net.find_trees(&mut alternates);
        Box::new(move || net.find_trees(&mut alternates))
    }),
    ("alternate-of-every-node", || {
        let (net, spf) = calculated();
        let mut alternates = Alternates::new();
        net.find_trees(&mut alternates);
        Box::new(move || assert!(net.protected(&spf, &alternates) > 0))
    }),
];

/// Some 1000 nodes.
const SIDE: u32 = 32;

fn calculated() -> (Net, Spf) {
    let net = Net::new(SIDE, 100);
    let mut spf = Spf::new();
    spf.run(&net.graph, ROOT);
    // The second time it has its memory.
    spf.run(&net.graph, ROOT);
    (net, spf)
}

/// Links go up in cost and down again, with an update after each.
fn changing(links: impl Fn(&Net, &Spf) -> Vec<usize>) -> Box<dyn FnMut()> {
    let (mut net, mut spf) = calculated();
    let links = links(&net, &spf);
    let mut change = move |raise| {
        for &link in &links {
            net.advertise(link, raise);
        }
        spf.update(&net.graph, ROOT);
    };
    change(true);
    change(false);
    Box::new(move || {
        change(true);
        change(false);
    })
}
