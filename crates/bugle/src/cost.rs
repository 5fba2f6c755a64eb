//! What a run costs the machine: time, work and memory.

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

/// What a run cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    /// How long people waited, in nanoseconds.
    wall: u64,
    /// How long processors worked, all of them together, in nanoseconds.
    cpu: u64,
    /// The most memory that the process held, in octets.
    memory: u64,
}

/// Since when something runs.
pub(crate) struct Started(Instant);

impl Started {
    /// Now.
    #[expect(clippy::disallowed_methods, reason = "people wait by the clock on the wall")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// What it has cost until now; `None` if the kernel does not tell.
    pub(crate) fn cost(&self) -> Option<Cost> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let cpu = usage.user_time() + usage.system_time();
        Some(Cost {
            wall: u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX),
            cpu: u64::try_from(cpu.num_nanoseconds()).ok()?,
            // The kernel counts in units of 1,024.
            memory: u64::try_from(usage.max_rss()).ok()? * 1024,
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |nanos| Duration::from_nanos(nanos).as_secs_f64();
        let (wall, cpu, megabytes) =
            (seconds(self.wall), seconds(self.cpu), self.memory / 1_000_000);
        write!(f, "it took {wall:.1} s, {cpu:.1} s of processors and {megabytes} MB of memory")
    }
}
