//! Changes to the hosts that are asked for on the loop's own thread.

use bugle_speaker::{HostChange, HostRefusal};

/// Where changes to the hosts are asked for. It has the loop's epoll instance watch its descriptors, and never keeps the loop waiting.
///
/// The same can be asked for with [`Handle::change_host`](crate::Handle::change_host) from any thread; but on a machine at
/// rest the loop has then to be woken by that thread, which takes longer than all that it does for the change.
pub trait Desk: Send {
    /// A descriptor is ready, registered with `key` in the lower half of its data. The change that is asked for there, and the ticket to answer
    /// it by; `None` if there is none.
    fn take_request(&mut self, key: u32) -> Option<(u32, HostChange)>;

    /// Answers the change with this ticket: whether it was done.
    fn answer(&mut self, ticket: u32, result: Result<(), HostRefusal>);
}
