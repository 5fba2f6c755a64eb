//! A network of real speakers in virtual time: topologies, faults, scenarios, judgement.
//!
//! | Module | Holds |
//! |---|---|
//! | [`network`] | [`Network`]: routers and segments; chains, grids, Clos fabrics and others |
//! | [`settings`] | [`Protocols`], [`Timers`], and the configuration made of them |
//! | [`medium`] | [`Quality`]: latency, loss and the like; what becomes of a packet |
//! | [`door`] | [`Door`]: an interface that leads out of the world, to real routers |
//! | `kernel` | a forwarding table that does and refuses what Linux does and refuses |
//! | `machine` | one router: its speaker, and what waits for it |
//! | [`world`] | [`World`]: all of it, and time |
//! | [`scenario`] | [`Scenario`]: what happens, as text |
//! | [`play`](mod@play) | a scenario, played |
//! | [`report`] | [`Report`]: what a run showed, as a table, as JSON, as a picture |
//! | [`judge`] | flows walked through the kernels: what was lost, how, and for how long |
//! | `oracle` | what the routes should be |
//! | `rest` | what must hold when a network rests |
//! | `tally` | what is counted |
//! | `digest` | a fingerprint of a run |

mod digest;
pub mod door;
pub mod judge;
mod kernel;
mod machine;
pub mod medium;
pub mod network;
mod oracle;
pub mod play;
pub mod report;
mod rest;
pub mod scenario;
pub mod settings;
mod tally;
pub mod world;

pub use door::{Door, Outside};
pub use judge::{Outage, Verdict};
pub use machine::Work;
pub use medium::{Envelope, Packet, Quality};
pub use network::{Borders, Network, NodeId, SegmentId};
pub use oracle::Expected;
pub use play::{Progress, play, play_attached, routes};
pub use report::Report;
pub use scenario::Scenario;
pub use settings::{Protocols, Timers};
pub use tally::Activity;
pub use world::{Plan, World};
