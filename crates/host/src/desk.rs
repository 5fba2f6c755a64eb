//! Changes to the hosts that are asked for on the loop's own thread.

use std::os::fd::AsFd;

use bugle_speaker::{HostChange, HostRefusal};

/// Where changes to the hosts are asked for. The loop waits for its descriptor to become readable, and never for the desk.
///
/// The same can be asked for with [`Handle::change_host`](crate::Handle::change_host) from any thread; but on a machine at
/// rest the loop has then to be woken by that thread, which takes longer than all that it does for the change.
pub trait Desk: AsFd + Send {
    /// The next change that is asked for, and the ticket to answer it by; `None` if there is none now.
    fn poll_request(&mut self) -> Option<(u64, HostChange)>;

    /// Answers the change with this ticket: whether it was done.
    fn answer(&mut self, ticket: u64, result: Result<(), HostRefusal>);
}
