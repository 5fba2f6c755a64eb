//! The daemon's API: HTTP and JSON over a Unix socket, and read-only over TCP if wanted.
//!
//! | Module | Holds |
//! |---|---|
//! | [`model`] | the JSON: field names here are stable |
//! | [`backend`] | [`Backend`], what a daemon must be able to answer |
//! | [`server`] | [`Server`], which serves a [`Backend`] |
//! | [`client`] | [`Client`], which asks a server |
//! | `metrics` | the Prometheus text format |
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /v1/show/TOPIC[?vrf=NAME]` | the [`Topic`](model::Topic) as JSON |
//! | `GET /v1/explain/ADDRESS[?vrf=NAME]` | [`model::Explanation`] |
//! | `GET /v1/watch` | [`model::Event`]s as they come, one JSON object a line; Unix socket only |
//! | `POST /v1/hosts` with a [`model::HostAdd`] | `{}`; Unix socket only |
//! | `DELETE /v1/hosts/ADDRESS[?vrf=NAME]` | `{}`; Unix socket only |
//! | `GET /metrics` | Prometheus text |
//!
//! A request that cannot be granted gets a 4xx or 5xx status and `{"error": "..."}`.

pub mod backend;
pub mod client;
mod metrics;
pub mod model;
pub mod server;
#[cfg(test)]
mod tests;

pub use backend::{Backend, Refusal};
pub use client::{Client, ClientError};
pub use server::{BindError, ClosedDesk, Desk, HostRequest, Server};
