//! An IS-IS instance (ISO 10589, whose text is RFC 1142; RFC 1195). Sans-IO: see [`Isis`] for the contract.
//!
//! | Module | Holds | ISO 10589 |
//! |---|---|---|
//! | [`instance`] | [`Isis`]: dispatch of inputs, timers, the state view | |
//! | [`config`] | settings of an instance and its circuits | |
//! | [`io`] | inputs, outputs, events | |
//! | [`level`] | [`PerLevel`] | |
//! | [`circuit`] | circuits, Hellos sent | 8.2.3, 8.4.3 |
//! | [`adjacency`] | Hellos received, adjacencies, the three-way handshake of RFC 5303 | 8.2.4, 8.4.1 |
//! | `liveness` | BFD (RFC 6213) | |
//! | `designated` | LANs: election, pseudonodes | 8.4.4 |
//! | `restart` | a restart that nobody notices | 8.4.1.5 |
//! | [`database`] | the LSPs in the database and their ages | 7.3.16 |
//! | `flood` | LSPs and sequence numbers PDUs received, purges | 7.3.14 to 7.3.17 |
//! | `transmit` | what is sent over a circuit and how fast (RFC 9681) | 7.3.15 |
//! | `attributes` | tags and originators of prefixes (RFC 5130, RFC 7794) | |
//! | `capability` | router capabilities from one level to the other (RFC 7981) | |
//! | `fragment` | which fragment says what | 7.3.4 |
//! | `originate` | LSPs of ours, and how often they may change | 7.3.5 to 7.3.9, 7.3.16.1 |
//! | `routing` | graphs, SPF, the routing table | 7.2 |
//!
//! An LSP's life: it comes in (`flood`), is checked against the instance in the database, installed and flooded on before anything
//! is computed from it; `routing` takes it apart and marks the prefixes it may affect; when its lifetime ends, or its originator
//! purges it, its header is flooded once more, and leaves after a minute.

pub mod adjacency;
mod attributes;
mod capability;
pub mod circuit;
pub mod config;
pub mod database;
mod designated;
mod flood;
mod fragment;
pub mod instance;
pub mod io;
pub mod level;
mod liveness;
mod originate;
mod restart;
mod routing;
mod transmit;

pub use adjacency::{Adjacency, AdjacencyId, AdjacencyState, Cause};
pub use bugle_spf::{Backup, Coverage, Protection};
pub use circuit::Circuit;
pub use config::{
    AlternatesConfig, AttachedConfig, Auth, BackoffConfig, CircuitConfig, CircuitKind, Config,
    GenerationConfig, Ipv6Topology, Leak, Padding, Tags,
};
pub use database::StoredLsp;
pub use instance::{Isis, PduCounts, State, Stats, Timer};
pub use io::{
    BfdState, CLAIM_STEP, Event, HostRoute, Input, Mismatch, Output, PathType, Rival, Route,
    claim_metric, claim_of,
};
pub use level::PerLevel;
