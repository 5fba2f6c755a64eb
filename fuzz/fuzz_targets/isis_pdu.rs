//! Fuzzes the IS-IS decoder with the checks its tests replay the corpus through.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wire/tests/harness/isis_pdu.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::check(data));
