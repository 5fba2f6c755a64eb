//! Replays the fuzzer's corpus on the stable toolchain.

use std::fs;
use std::path::Path;

#[path = "harness/scenario.rs"]
mod scenario;

#[test]
fn the_corpus_of_scenarios_comes_to_rest() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/scenario");
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).into_iter().flatten().flatten() {
        println!("{}", entry.path().display());
        scenario::check(&fs::read(entry.path()).unwrap_or_default());
        seeds += 1;
    }
    assert!(seeds > 0, "no seed in {}", corpus.display());
}
