//! Replays the fuzzer's corpus on the stable toolchain.

#![cfg(test)]

use std::fs;
use std::path::Path;

#[path = "harness/capture.rs"]
mod capture;
#[path = "harness/isis_pdu.rs"]
mod isis_pdu;
#[path = "harness/ospf_packet.rs"]
mod ospf_packet;

/// Gives every file of a target's corpus to its harness.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seed in {}", corpus.display());
}

#[test]
fn the_corpus_of_ospf_packets_is_harmless() {
    replay("ospf_packet", ospf_packet::check);
}

#[test]
fn the_corpus_of_captures_is_harmless() {
    replay("capture", capture::check);
}

#[test]
fn the_corpus_of_isis_pdus_is_harmless() {
    replay("isis_pdu", isis_pdu::check);
}
