//! The Linux driver: it feeds a [`Speaker`](bugle_speaker::Speaker) with what happens on this machine and does what the speaker
//! asks for. All decisions are the speaker's; sockets, kernel tables and the clock are here.
//!
//! | Module | Holds |
//! |---|---|
//! | [`driver`] | [`Driver`]: the loop |
//! | [`handle`] | [`Handle`]: how the rest of the daemon speaks to the loop |
//! | [`desk`] | [`Desk`]: changes to the hosts that are asked for on the loop's own thread |
//! | [`engine`] | [`Engine`]: what the driver needs of the speaker |
//! | [`record`] | [`Recorded`]: a speaker, and a file of what it was told |
//! | [`bfd`] | BFD, on a thread of its own; [`BfdView`]: what there is to see of it |
//! | [`counters`] | [`Counters`]: what went through the sockets, and what went wrong |
//! | [`clock`] | [`Clock`]: the one place where bugle reads a clock |
//! | [`ospf`], `ipv4` | [`OspfSocket`]: the raw socket of an OSPF interface |
//! | [`isis`] | [`IsisSocket`]: the packet socket of an IS-IS circuit |
//! | `socket` | what raw sockets have in common |
//! | `forwarding` | the kernel's forwarding table: changes in order, reads between them |
//! | `poller` | waiting for sockets, for other threads, and for a time |
//! | `priority` | which threads run first when the machine is busy |
//! | [`limiter`] | [`Limiter`]: log messages at a bounded rate |

pub mod bfd;
pub mod clock;
pub mod counters;
pub mod desk;
pub mod driver;
pub mod engine;
mod forwarding;
pub mod handle;
mod ipv4;
pub mod isis;
pub mod limiter;
pub mod ospf;
mod poller;
mod priority;
pub mod record;
mod socket;

pub use bfd::View as BfdView;
pub use clock::Clock;
pub use counters::Counters;
pub use desk::Desk;
pub use driver::{Driver, DriverError};
pub use engine::Engine;
pub use handle::{Handle, Stopped};
pub use isis::IsisSocket;
pub use limiter::Limiter;
pub use ospf::OspfSocket;
pub use record::Recorded;
