//! Best routes, nexthop objects and the difference to the forwarding table. Sans-IO.
//!
//! | Module | Holds |
//! |---|---|
//! | [`fib`] | the forwarding table's vocabulary: changes asked of it, snapshots of it |
//! | [`rib`] | [`Rib`], the engine: its contract, the start, doubts |
//! | [`io`] | [`Input`], [`Output`], [`Event`]: what the engine is told, and what it asks for |
//! | [`route`] | [`Protocol`] with distances and metrics, [`Route`] as a protocol offers it |
//! | `table` | a VRF's routes: which is best, which is installed |
//! | [`queue`] | [`Queue`]: changes that wait for the forwarding table, diversions first |
//! | `routes` | what protocols offer, packed |
//! | `shadow` | what the kernel is believed to hold |
//! | `together` | many routes moved by one change |
//! | `nexthops`, `object` | nexthop objects and groups: one for each path, in the kernel while in use; failover |
//! | `links` | which links and routers bear packets |
//! | `neighbors` | permanent neighbour entries |
//! | `reading` | when to read the kernel again |
//! | `removable` | what may be removed at once when a router does not answer |
//! | `ops` | what waits to be polled |

pub mod fib;
pub mod io;
mod links;
mod neighbors;
mod nexthops;
mod object;
mod ops;
pub mod queue;
mod reading;
mod removable;
pub mod rib;
pub mod route;
mod routes;
mod shadow;
mod table;
#[cfg(test)]
mod tests;
mod together;

pub use io::{Counters, Event, Input, Output, Timer};
pub use queue::Queue;
pub use rib::{Rib, State};
pub use route::{Protocol, Route, RouteChange, SelectedRoute};
