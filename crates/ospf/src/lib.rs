//! An OSPFv2 instance in one area (RFC 2328). Sans-IO: see [`Ospf`] for the contract.
//!
//! | Module | Holds | RFC 2328 |
//! |---|---|---|
//! | [`instance`] | [`Ospf`]: dispatch of inputs, timers, the state view | 8 |
//! | [`config`] | settings of an instance and its interfaces | appendix C |
//! | [`io`] | inputs, outputs, events | |
//! | [`interface`] | interface state machine, Hello packets sent, election of the designated router | 9 |
//! | [`neighbor`] | neighbour state machine, Hello packets received | 10.1 to 10.5 |
//! | `exchange` | database description and requests | 10.6 to 10.9 |
//! | [`database`] | the LSAs in the database, their keys and ages | 12 |
//! | `content` | what LSAs say, and [`LsaPool`] to share it among instances | |
//! | `flood` | flooding, acknowledgements, ageing | 13, 14 |
//! | `originate` | our own LSAs, and how often they may change | 12.4, 13.4 |
//! | [`routing`] | the graph, SPF, the routing table | 11, 16 |
//!
//! An LSA's life: an update brings it in (`flood`), it is checked against the instance in the database, installed and flooded on
//! before anything is computed from it; `routing` takes it apart and marks the prefixes it may affect; when its age reaches
//! MaxAge, or its originator flushes it, it is flooded once more and leaves when every neighbour has acknowledged that.

pub mod config;
mod content;
pub mod database;
mod exchange;
mod flood;
pub mod instance;
pub mod interface;
pub mod io;
pub mod neighbor;
mod originate;
pub mod routing;

pub use bugle_spf::{Backup, Coverage, Protection};
pub use config::{AlternatesConfig, BackoffConfig, Config, InterfaceConfig, NetworkType};
pub use content::LsaPool;
pub use instance::{Ospf, State, Stats, Timer};
pub use io::{Event, ExternalRoute, Input, Mismatch, Output, PathType, Rival, Route};
