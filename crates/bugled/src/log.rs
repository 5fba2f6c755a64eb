//! The log, on standard error.
//!
//! Whoever reads it may be slow, or may have stopped reading. So a thread of its own writes it, and what does not fit between is
//! left out: neither a packet nor a request ever waits for the log.

use std::fmt::Display;
use std::io::{self, IsTerminal};

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

/// Logs events. What a neighbour can cause at will must not fill the log: of such events there is a line now and then.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    /// By the event's kind and interface.
    floods: Limiter<(&'static str, Option<String>)>,
}

impl EventLog {
    pub(crate) fn note(&mut self, event: &Event) {
        let kind = event.what.kind();
        let vrf = event.vrf.as_deref().unwrap_or("-");
        let mut passed_over = 0;
        if matches!(kind, "dropped" | "mismatch") {
            let Some(count) = self.floods.admit((kind, event.interface.clone()), event.time) else {
                return;
            };
            passed_over = count;
        }
        match kind {
            _ if passed_over > 0 => warn!(kind, vrf, passed_over, "{event}"),
            _ if event.what.is_warning() => warn!(kind, vrf, "{event}"),
            "originated" | "spf-run" => debug!(kind, vrf, "{event}"),
            _ => info!(kind, vrf, "{event}"),
        }
    }

    /// Says that events came faster than they could be taken in.
    pub(crate) fn missed(count: u64) {
        warn!(count, "events came faster than they could be noted; these are missing here");
    }
}
