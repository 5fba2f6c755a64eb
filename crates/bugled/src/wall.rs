//! The loop's time as UTC.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bugle_host::Clock;
use bugle_types::Time;

/// Translates the loop's monotonic time to the machine's idea of UTC, as it is when asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wall {
    clock: Clock,
}

impl Wall {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// Microseconds since the Unix epoch at `time`, which has passed.
    pub(crate) fn micros(self, time: Time) -> u64 {
        let ago = self.clock.now().since(time);
        u64::try_from(utc().saturating_sub(ago).as_micros()).unwrap_or(u64::MAX)
    }
}

/// A number that is different at each start.
pub(crate) fn seed() -> u64 {
    let nanos = u64::try_from(utc().as_nanos()).unwrap_or_default();
    nanos ^ u64::from(std::process::id()).rotate_right(16)
}

/// A number that nobody can guess.
pub(crate) fn secret() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is decided by it: it dates events for people"
)]
fn utc() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
