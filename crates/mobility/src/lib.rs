//! Who is here: host claims, conflicts, moves. Sans-IO; one [`Mobility`] for each VRF.
//!
//! | Module | Holds |
//! |---|---|
//! | [`mobility`] | [`Mobility`], the engine: its contract, and the rules in prose |
//! | [`host`] | one host's state machine, and its times |
//! | [`config`] | [`HostsConfig`]: ports, prefixes, metrics, damping |
//! | [`io`] | [`Input`], [`Output`], [`Event`]: what the engine is told, and what it asks for |
//! | [`refused`] | [`Refused`]: why a claim is not accepted, and what to do |
//! | [`state`] | [`HostView`]: what there is to show |
//! | `context` | what a host's state machine sees of the world |

pub mod config;
mod context;
pub mod host;
pub mod io;
pub mod mobility;
pub mod refused;
pub mod state;
#[cfg(test)]
mod tests;

pub use config::{Damping, Families, HostsConfig, Mode, StaticHost};
pub use io::{Claim, Class, Event, Input, LocalTarget, Others, Output, Timer, Why};
pub use mobility::{Mobility, State};
pub use refused::{Refused, reserved};
pub use state::{HostState, HostView, Timeline};
