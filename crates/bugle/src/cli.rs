//! The command line: help texts, man pages and completions all come from here.

use std::net::IpAddr;
use std::path::PathBuf;

use bugle_api::model::Topic;
use bugle_speaker::config::Api;
use bugle_types::Mac;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::sim::{self, SimArgs};

/// Ask and instruct bugled, the routing daemon that moves each virtual machine's route with the machine.
#[derive(Parser, Debug)]
#[command(name = "bugle", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// The daemon's socket, `api.socket` in its configuration
    #[arg(long, global = true, value_name = "PATH", default_value = Api::DEFAULT_SOCKET)]
    #[arg(help_heading = GLOBAL)]
    pub(crate) socket: PathBuf,
    /// Print JSON with stable field names
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

const GLOBAL: &str = "Global options";

const EXIT_STATUS: &str = "Exit status:
  0  done
  1  the daemon refused or cannot be reached
  2  the command line or a file given on it is wrong, or not yet supported";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show the daemon's state
    Show {
        /// What to show
        #[arg(value_parser = topics())]
        topic: Topic,
        #[command(flatten)]
        vrf: VrfOption,
    },
    /// Say that hosts come and go
    Host {
        #[command(subcommand)]
        command: HostCommand,
    },
    /// Print events as they come, until interrupted
    Watch,
    /// Explain where packets to an address go, and why
    Explain {
        /// The address
        address: IpAddr,
        #[command(flatten)]
        vrf: VrfOption,
    },
    /// Print the packets of a capture file
    Decode {
        /// A pcap or pcapng file
        file: PathBuf,
    },
    /// Run a scenario in the simulator: a network of real speakers in virtual time
    #[command(after_help = sim::AFTER_HELP)]
    Sim(SimArgs),
    /// Replay a recording of a daemon (record.file in its configuration), and print its events
    ///
    /// The speaker is told what the recorded one was told, at the times of its clock. It must ask for the same things: where it
    /// does not, as another version may not, the replay ends and says so.
    Replay {
        /// The recording
        file: PathBuf,
    },
    /// Check a configuration file
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write all man pages into a directory
    Man {
        /// Where to write bugle.1, bugle-show.1 and so on
        directory: Option<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum HostCommand {
    /// A host is here: advertise it
    Add {
        /// Its address
        address: IpAddr,
        /// The interface it is behind
        #[arg(long, value_name = "DEV")]
        port: Option<String>,
        /// Its MAC address
        #[arg(long)]
        mac: Option<Mac>,
        #[command(flatten)]
        vrf: VrfOption,
        /// It is only expected: prepare for it, advertise nothing yet
        #[arg(long)]
        candidate: bool,
    },
    /// A host has left: withdraw it
    Remove {
        /// Its address
        address: IpAddr,
        #[command(flatten)]
        vrf: VrfOption,
    },
}

#[derive(Args, Debug)]
pub(crate) struct VrfOption {
    /// The VRF; without it all of them, or the default one where there must be one
    #[arg(long, value_name = "NAME")]
    pub(crate) vrf: Option<String>,
}

impl VrfOption {
    pub(crate) fn name(&self) -> Option<&str> {
        self.vrf.as_deref()
    }
}

fn topics() -> impl TypedValueParser<Value = Topic> {
    PossibleValuesParser::new(Topic::ALL.map(Topic::name)).try_map(|name| name.parse())
}
