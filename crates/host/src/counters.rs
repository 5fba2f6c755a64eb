//! What went through the sockets, and what went wrong.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. Shared: the loop adds, anybody reads.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets of routing protocols received.
    pub received: Counter,
    /// Datagrams and frames received that are none of IPv4 or of OSI protocols.
    pub malformed: Counter,
    /// Attempts to receive that failed.
    pub receive_errors: Counter,
    /// Packets of routing protocols sent.
    pub sent: Counter,
    /// Packets of routing protocols that the kernel did not take.
    pub send_errors: Counter,
    /// Times that a socket could not be opened or join a group.
    pub socket_errors: Counter,
    /// BFD packets that the kernel did not take.
    pub bfd_send_errors: Counter,
    /// Attempts to receive BFD packets that failed.
    pub bfd_receive_errors: Counter,
    /// Changes asked of the kernel's forwarding table.
    pub fib_changes: Counter,
    /// Changes that the kernel refused.
    pub fib_failures: Counter,
    /// Times that notifications about interfaces may have been lost, the first listing included.
    pub resyncs: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
