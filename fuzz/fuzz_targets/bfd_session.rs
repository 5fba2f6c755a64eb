//! Fuzzes the BFD engine with the checks its tests replay the corpus through.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/bfd/tests/harness/session.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::check(data));
