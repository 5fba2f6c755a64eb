//! The bugle daemon.
//!
//! The driver's loop has a thread of its own, so that no request can delay a packet. The main thread serves the API, keeps the
//! latest events, and minds signals and the service manager.
//!
//! | Module | Holds |
//! |---|---|
//! | `cli` | the definition of the command line |
//! | `capabilities` | what the process is permitted |
//! | `startup` | the configuration, and what the machine fills in |
//! | `daemon` | from start to stop |
//! | `supervisor` | signals, reloads, the watchdog |
//! | `backend` | the API's questions, put to the loop |
//! | `look` | what is copied out of the speaker on the loop's thread, and turned into answers elsewhere |
//! | `sessions` | the same for BFD, which has a thread of its own |
//! | `explain` | why packets to an address go where they go |
//! | `metrics` | what is counted |
//! | `journal` | the latest events |
//! | `wall` | the loop's time as UTC |
//! | `systemd` | what the service manager is told |

mod backend;
mod capabilities;
mod cli;
mod daemon;
mod explain;
mod journal;
mod look;
mod metrics;
mod sessions;
mod startup;
mod supervisor;
mod systemd;
mod wall;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::Cli;

/// What the daemon logs unless told otherwise.
const DEFAULT_LOG: &str = "info";

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.man {
        let written = clap_mangen::Man::new(Cli::command()).section("8").render(&mut io::stdout());
        return written.map_or_else(|error| complain(&error, 1), |()| ExitCode::SUCCESS);
    }
    let Some(file) = &cli.config else { return complain(&"--config is missing", 2) };
    if cli.check {
        return match startup::read(file) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => complain(&error, 2),
        };
    }
    if let Err(error) = start_log(cli.log.as_deref()) {
        return complain(&error, 2);
    }
    run(file)
}

fn run(file: &Path) -> ExitCode {
    let config = match startup::load(file) {
        Ok(config) => config,
        Err(error) => return complain(&error, 2),
    };
    match daemon::run(file, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

/// Says each line of what is wrong, and fails with `status`.
fn complain(error: &impl ToString, status: u8) -> ExitCode {
    for line in error.to_string().lines() {
        // With nowhere to complain to, the exit status has to do.
        let _ = writeln!(io::stderr(), "bugled: {line}");
    }
    ExitCode::from(status)
}

/// Logs to standard error: what `filter` says, else what `RUST_LOG` says, else the default.
fn start_log(filter: Option<&str>) -> Result<(), String> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let text = filter.or(variable.as_deref()).unwrap_or(DEFAULT_LOG);
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
    let filter = EnvFilter::try_new(text).map_err(|error| bad(&error))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // With nowhere to write to, complaining about it fails, too.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The journal notes the time itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init();
    } else {
        log.init();
    }
    Ok(())
}
