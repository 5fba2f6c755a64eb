//! What the service manager is told. Without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// The daemon runs: at the start, and after a reload.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(crate) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
}

/// The daemon is about to stop.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The daemon is alive.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often to say [`alive`], twice as often as the service manager demands; `None` if it does not.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|interval| !interval.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify the service manager");
    }
}
