//! The whole speaker in one sans-IO object: the API for embedding.
//!
//! | Module | Holds |
//! |---|---|
//! | [`speaker`] | [`Speaker`]: the contract, the VRFs, the one table of routes |
//! | [`io`] | [`Input`], [`Output`]: what the speaker is told and what it asks for |
//! | [`event`] | [`Event`]: what is worth telling, in words |
//! | [`config`] | [`Config`]: the configuration file, parsed and checked |
//! | [`record`] | [`Recorder`](record::Recorder), [`Replay`](record::Replay): what a speaker was told, as text, and again |
//! | [`state`] | [`State`]: what there is to see |
//! | `bfd` | the BFD sessions that a VRF asks for |
//! | `damping` | links and paths that flap are held down |
//! | `vrf` | one VRF: its instances, its hosts, what passes between them; `vrf::isis`: what is IS-IS's own; `vrf::repair`: what BFD finds, and what is done about it |
//! | `ports` | which interfaces a protocol runs on |

mod bfd;
pub mod config;
mod damping;
pub mod event;
pub mod io;
mod peers;
mod ports;
pub mod record;
pub mod speaker;
pub mod state;
mod vrf;

pub use config::Config;
pub use event::{Event, Failure, Repair, RepairStep, What};
pub use io::{HostChange, HostRefusal, Input, Output};
pub use peers::Absence;
pub use speaker::{Speaker, Timer};
pub use state::{State, VrfState};
