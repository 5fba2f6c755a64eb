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
//! | `log` | the log, which may be slow to take what is written |
//! | `wall` | the loop's time as UTC |
//! | `systemd` | what the service manager is told |

mod backend;
mod capabilities;
mod cli;
mod daemon;
mod explain;
mod journal;
mod log;
mod look;
mod metrics;
mod sessions;
mod startup;
mod supervisor;
mod systemd;
mod wall;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::Cli;

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
    match log::start(cli.log.as_deref()) {
        Ok(_until_written) => run(file),
        Err(error) => complain(&error, 2),
    }
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
