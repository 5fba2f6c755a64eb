//! Replays the fuzzer's corpus on the stable toolchain, and random octets beside it.

use std::fs;
use std::path::Path;

#[path = "harness/speaker.rs"]
mod speaker;

use bugle_types::Rng;

#[test]
fn the_corpus_of_speakers_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/speaker");
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).into_iter().flatten().flatten() {
        println!("{}", entry.path().display());
        speaker::check(&fs::read(entry.path()).unwrap_or_default());
        seeds += 1;
    }
    assert!(seeds > 0, "no seed in {}", corpus.display());
}

#[test]
fn random_octets_are_harmless() {
    let mut rng = Rng::new(11);
    for _ in 0..300 {
        let length = rng.below(3_000);
        let data: Vec<u8> = (0..length).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
        speaker::check(&data);
    }
}
