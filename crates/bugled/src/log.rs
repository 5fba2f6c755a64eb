//! The log, on standard error.
//!
//! Whoever reads it may be slow, or may have stopped reading. So a thread of its own writes it, and what does not fit between is
//! left out: neither a packet nor a request ever waits for the log.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use bugle_host::Limiter;
use bugle_speaker::Event;
use tracing::{debug, info, warn};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is logged unless told otherwise.
const DEFAULT: &str = "info";

/// Lines that may wait for whoever reads the log.
const BACKLOG: usize = 16_384;

/// Starts the log: what `filter` says, else what `RUST_LOG` says, else the default. It is written out when what this returns
/// is dropped.
pub(crate) fn start(filter: Option<&str>) -> Result<WorkerGuard, String> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let filter = read_filter(filter.or(variable.as_deref()).unwrap_or(DEFAULT))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(BACKLOG)
        .thread_name("bugle-log")
        .finish(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // With nowhere to write to, complaining about it fails, too.
        .log_internal_errors(false)
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    // The journal notes the time itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init();
    } else {
        log.init();
    }
    Ok(guard)
}

fn read_filter(text: &str) -> Result<EnvFilter, String> {
    let bad = |why: &dyn Display| {
        format!("cannot log {text:?}: {why}; say error, warn, info, debug or trace")
    };
    // The filter would take any other word for the name of a module, and log nothing.
    let is_meant = |word: &&str| {
        let word = word.trim();
        word.is_empty()
            || word.contains(['=', '['])
            || word.starts_with("bugle")
            || word.parse::<LevelFilter>().is_ok()
    };
    if let Some(word) = text.split(',').find(|word| !is_meant(word)) {
        return Err(bad(&format_args!("{word:?} is no level")));
    }
    EnvFilter::try_new(text).map_err(|error| bad(&error))
}

/// Changes of one kind on one interface that are noted at once: more than a LAN full of neighbours causes when it comes up.
const CHANGES: u32 = 500;

/// Beyond that one is noted in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Logs events. What a neighbour can cause at will must not fill the log: of what is wrong with its packets there is a line now
/// and then, and of what they change no more than happens where nobody means harm.
#[derive(Debug)]
pub(crate) struct EventLog {
    /// By the event's kind and interface.
    troubles: Limiter<(&'static str, Option<String>)>,
    /// Likewise.
    changes: Limiter<(&'static str, Option<String>)>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { troubles: Limiter::new(), changes: Limiter::bursts(CHANGES, PAUSE) }
    }
}

impl EventLog {
    pub(crate) fn note(&mut self, event: &Event) {
        let kind = event.what.kind();
        let vrf = event.vrf.as_deref().unwrap_or("-");
        let Some(passed_over) = self.admit(event) else { return };
        match kind {
            _ if passed_over > 0 => warn!(kind, vrf, passed_over, "{event}"),
            _ if event.what.is_warning() => warn!(kind, vrf, "{event}"),
            "originated" | "spf-run" => debug!(kind, vrf, "{event}"),
            _ => info!(kind, vrf, "{event}"),
        }
    }

    /// Whether to note an event: `Some` with how many of its kind were passed over since the last one that was.
    fn admit(&mut self, event: &Event) -> Option<u64> {
        let kind = event.what.kind();
        let limiter = match kind {
            "dropped" | "mismatch" => &mut self.troubles,
            "neighbor-state"
            | "interface-state"
            | "designated-router"
            | "self-originated-received"
            | "purged"
            | "bfd-state"
            | "link-held" => &mut self.changes,
            _ => return Some(0),
        };
        limiter.admit((kind, event.interface.clone()), event.time)
    }

    /// Says that events came faster than they could be taken in.
    pub(crate) fn missed(count: u64) {
        warn!(count, "events came faster than they could be noted; these are missing here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bugle_speaker::{Failure, What};
    use bugle_types::Time;

    #[test]
    fn what_a_neighbour_changes_at_will_does_not_fill_the_log() {
        let mut log = EventLog::default();
        let mut event = Event {
            time: Time::from_secs(100),
            vrf: None,
            interface: Some("eth0".to_owned()),
            what: What::Held(Failure::Link, PAUSE),
        };
        let noted = (0..10_000).filter_map(|_| log.admit(&event)).count();
        assert_eq!(noted, 500);
        // Elsewhere nothing is missing, and here it is told how much is.
        event.interface = Some("eth1".to_owned());
        assert_eq!(log.admit(&event), Some(0));
        event.interface = Some("eth0".to_owned());
        event.time += PAUSE;
        assert_eq!(log.admit(&event), Some(9_500));
        event.what = What::Notice("said by this machine".to_owned());
        assert!((0..10_000).all(|_| log.admit(&event) == Some(0)));
    }
}
