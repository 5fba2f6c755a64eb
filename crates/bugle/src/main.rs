//! The bugle command line.
//!
//! | Module | Holds |
//! |---|---|
//! | `attach` | a device of this machine as the door of a simulated network |
//! | `cli` | the definition of the command line |
//! | `commands` | what each command does |
//! | `cost` | what a run in the simulator took |
//! | `replay` | recordings of a daemon, told again |
//! | `sim` | scenarios in the simulator |
//! | `text` | answers as tables, for people |

mod attach;
mod cli;
mod commands;
mod cost;
mod replay;
mod sim;
mod text;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Three hundred routers in one process spend a tenth less time with it than with the C library's, and no more memory. bugled, which is
/// one router, keeps the latter.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let mut output = BufWriter::new(io::stdout().lock());
    let done = commands::run(&cli, &mut output);
    // What has been printed goes out before the complaint.
    let flushed = output.flush().map_err(commands::Failure::from);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                // With nowhere to complain to, the exit status has to do.
                let _ = writeln!(io::stderr(), "bugle: {message}");
            }
            failure.exit_code()
        }
    }
}
