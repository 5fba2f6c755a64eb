//! Everything between bugle and the Linux kernel's forwarding: changes go in through an [`Injector`], what the kernel holds
//! comes out as a [`snapshot`](snapshot()), and what happens to interfaces is told by a [`Monitor`].
//!
//! | Module | Holds |
//! |---|---|
//! | [`injector`] | [`Injector`]: nexthop objects, routes and neighbours into the kernel, in batches |
//! | [`snapshot`](mod@snapshot) | [`snapshot()`]: what the kernel holds of ours |
//! | [`monitor`] | [`Monitor`]: interfaces and addresses as they change, and changes to what is ours |
//! | [`compat`] | the setting that decides what it costs to re-point a nexthop object |
//! | [`forwarding`] | whether the kernel forwards |
//! | [`standby`] | whether the kernel lets a member of a group stand by |
//! | [`error`] | what can go wrong: with one change, or with a socket |
//! | `encode`, `decode` | our objects as rtnetlink messages, and back |
//! | `netlink`, `numbers` | messages and attributes as such (RFC 3549), and the numbers in the kernel's headers |
//! | `socket` | a netlink socket with large buffers, and dumps over it |
//!
//! A socket belongs to the network namespace of the thread that opens it.
//!
//! bugle touches only what is its own: nexthop objects in [`NexthopId::RANGE`](bugle_rib::fib::NexthopId::RANGE), and routes
//! and neighbour entries that carry protocol number [`PROTOCOL`].

pub mod compat;
mod decode;
mod encode;
pub mod error;
pub mod forwarding;
pub mod injector;
pub mod monitor;
mod netlink;
mod numbers;
pub mod snapshot;
mod socket;
pub mod standby;

pub use error::{FibError, NetlinkError};
pub use injector::Injector;
pub use monitor::{Monitor, MonitorEvent};
pub use snapshot::snapshot;

/// The protocol number (`proto 182` in iproute2) on every nexthop object, route and neighbour entry that bugle makes.
pub const PROTOCOL: u8 = 182;
