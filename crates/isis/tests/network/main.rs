//! Networks of instances in virtual time: adjacency, flooding, origination, restarts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "../common/mod.rs"]
mod common;

mod alternates;
mod auth;
mod basics;
mod bfd;
mod hostile;
mod levels;
mod oracle;
mod repack;
mod restart;
mod trouble;
