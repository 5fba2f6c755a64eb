//! What the driver needs of the speaker.

use bugle_speaker::{Input, Output, Speaker};
use bugle_types::Time;

/// The contract between a sans-IO engine and the driver that feeds it, so that the driver can be tested with a scripted one.
pub trait Engine {
    /// Takes in what happened.
    fn handle(&mut self, now: Time, input: Input<'_>);
    /// The next thing to do; drained after every [`handle`](Self::handle).
    fn poll_output(&mut self) -> Option<Output>;
    /// When to hand in [`Input::Tick`].
    fn deadline(&self) -> Option<Time>;
    /// Whether everything that [`Input::Shutdown`] asks for is done.
    fn is_quiet(&self) -> bool;
}

impl Engine for Speaker {
    fn handle(&mut self, now: Time, input: Input<'_>) {
        Self::handle(self, now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn deadline(&self) -> Option<Time> {
        Self::deadline(self).map(|(time, _)| time)
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }
}
