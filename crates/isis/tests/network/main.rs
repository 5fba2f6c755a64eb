//! Networks of instances in virtual time: adjacency, flooding, origination, restarts.

#[path = "../common/mod.rs"]
mod common;

mod basics;
