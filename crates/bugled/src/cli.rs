//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Route each virtual machine on this host by OSPF or IS-IS, and move its route with it.
///
/// Runs in the foreground. SIGTERM and SIGINT stop it: it withdraws its hosts and removes its routes from the kernel, unless
/// `fib.retain` is set. SIGHUP reads the configuration again, all or nothing.
#[derive(Parser, Debug)]
#[command(name = "bugled", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "man")]
    pub(crate) config: Option<PathBuf>,
    /// Only check the file: say what is wrong with it, and leave
    #[arg(long)]
    pub(crate) check: bool,
    /// What to log
    #[arg(long, value_name = "FILTER", help = LOG_HELP)]
    pub(crate) log: Option<String>,
    /// Print the man page, and leave
    #[arg(long, exclusive = true)]
    pub(crate) man: bool,
}

const LOG_HELP: &str = "What to log: error, warn, info, debug or trace, or filters like info,bugle_host=debug [default: \
                        $RUST_LOG, or info]";

const EXIT_STATUS: &str = "Exit status:
  0  stopped as asked, or the file has no mistakes
  1  the machine does not allow it to run
  2  the command line or the configuration file is wrong";
