//! A network of real speakers in virtual time: topologies, faults, scenarios, judgement.
//!
//! | Module | Holds |
//! |---|---|
//! | [`network`] | [`Network`]: routers and segments; chains, grids, Clos fabrics and others |
//! | [`settings`] | [`Timers`]: the protocol's timers, and the configuration made of them |
//! | [`medium`] | [`Quality`]: latency, loss and the like; what becomes of a packet |
//! | `kernel` | a forwarding table that does and refuses what Linux does and refuses |
//! | `machine` | one router: its speaker, and what waits for it |
//! | [`world`] | [`World`]: all of it, and time |
//! | [`judge`] | flows walked through the kernels: what was lost, how, and for how long |
//! | `oracle` | what the routes should be |
//! | `rest` | what must hold when a network rests |
//! | `tally` | what is counted |
//! | `digest` | a fingerprint of a run |

mod digest;
pub mod judge;
mod kernel;
mod machine;
pub mod medium;
pub mod network;
mod oracle;
mod rest;
pub mod settings;
mod tally;
pub mod world;

pub use judge::{Outage, Verdict};
pub use machine::Work;
pub use medium::Quality;
pub use network::{Network, NodeId, SegmentId};
pub use settings::Timers;
pub use tally::Activity;
pub use world::{Plan, World};
