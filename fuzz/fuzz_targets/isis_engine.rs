//! Fuzzes two IS-IS engines with the checks its tests replay the corpus through.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/isis/tests/harness/engine.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::check(data));
