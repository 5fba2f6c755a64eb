//! An IS-IS instance (ISO 10589, whose text is RFC 1142; RFC 1195). Sans-IO: see [`Isis`] for the contract.
//!
//! | Module | Holds | ISO 10589 |
//! |---|---|---|
//! | [`instance`] | [`Isis`]: dispatch of inputs, timers, the state view | |
//! | [`config`] | settings of an instance and its circuits | |
//! | [`io`] | inputs, outputs, events | |
//! | [`level`] | [`PerLevel`] | |
//! | [`circuit`] | circuits | 8 |
//! | [`adjacency`] | adjacencies | 8 |

pub mod adjacency;
pub mod circuit;
pub mod config;
pub mod instance;
pub mod io;
pub mod level;

pub use adjacency::{Adjacency, AdjacencyId, AdjacencyState, Cause};
pub use circuit::Circuit;
pub use config::{
    AttachedConfig, Auth, BackoffConfig, CircuitConfig, CircuitKind, Config, GenerationConfig,
    Ipv6Topology, Leak, Padding,
};
pub use instance::{Isis, State, Stats, Timer};
pub use io::{
    BfdState, CLAIM_STEP, Event, HostRoute, Input, Mismatch, Output, PathType, Rival, Route,
    claim_metric, claim_of,
};
pub use level::PerLevel;
