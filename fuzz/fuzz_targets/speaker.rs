//! Fuzzes a whole speaker with the checks its tests replay the corpus through.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/speaker/tests/harness/speaker.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::check(data));
