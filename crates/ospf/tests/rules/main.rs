//! RFC 2328 rule by rule: one instance, and neighbours that the test plays packet by packet.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod alternates;
mod bench;
mod exchange;
mod flooding;
mod hello;
mod origination;
mod routing;
