//! Fuzzes whole networks of speakers in virtual time: whatever befalls them, they come to rest as they should.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sim/tests/harness/scenario.rs"]
mod harness;

fuzz_target!(|data: &[u8]| harness::check(data));
