//! Replays the fuzzer's corpus, and plays random scripts, on the stable toolchain.

#![cfg(test)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "harness/engine.rs"]
mod engine;

#[test]
fn the_corpus_of_isis_engines_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/isis_engine");
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        engine::check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seed in {}", corpus.display());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_script_harms_two_engines(script in prop::collection::vec(any::<u8>(), 0..2000)) {
        engine::check(&script);
    }
}
