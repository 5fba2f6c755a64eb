//! What both link-state protocols keep: a database of aged entries, flooding obligations, throttles, timers. Sans-IO.
//!
//! OSPF and IS-IS share these structures, never control flow: each protocol reads like its own RFC.
//!
//! | Module | Holds |
//! |---|---|
//! | [`database`] | [`Database`], entries by key with one deadline each (age, refresh) and stable ids |
//! | [`flood`] | [`FloodQueue`], what one neighbour has been sent and has not yet acknowledged |
//! | [`backoff`] | [`Backoff`], the SPF delay algorithm of RFC 8405 |
//! | [`bucket`] | [`ArrivalGate`], how early a new instance may follow the last |
//! | [`identity`] | [`Identity`], whether another router uses ours |
//! | `hash` | hashes of keys that a neighbour cannot predict |
//! | [`timers`] | [`TimerQueue`], deadlines by key |
//! | [`watches`] | [`Watches`], what is watched and what was told of it |

pub mod backoff;
pub mod bucket;
pub mod database;
pub mod flood;
mod hash;
pub mod identity;
pub mod timers;
pub mod watches;

pub use backoff::{Backoff, BackoffConfig, BackoffState};
pub use bucket::ArrivalGate;
pub use database::{Database, Entry, EntryId};
pub use flood::FloodQueue;
pub use identity::Identity;
pub use timers::TimerQueue;
pub use watches::Watches;
