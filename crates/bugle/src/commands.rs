//! What each command does.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use bugle_api::model::{Explanation, HostAdd, Reply};
use bugle_api::{Client, ClientError};
use bugle_inject::forwarding;
use bugle_speaker::config::{Config, ConfigErrors, Fib, NexthopCompat};
use bugle_wire::{capture, describe};
use clap::CommandFactory;
use serde_json::json;

use crate::cli::{Cli, Command, HostCommand};
use crate::{replay, sim, text};

/// What tells a capture file from others is within so many bytes.
const CAPTURE_HEADER: u64 = 24;

/// Why a command came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon refused or cannot be reached.
    Daemon(String),
    /// The command line or a file given on it is wrong. Empty if everything has been said.
    Input(String),
    /// The output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// What to tell the user; nothing if the reader of the output has left, as `head` does.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Daemon(message) | Self::Input(message) => {
                (!message.is_empty()).then(|| message.clone())
            }
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("cannot write the output: {error}")),
        }
    }

    /// The exit status of the command.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(2),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Daemon(_) | Self::Output(_) => ExitCode::from(1),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Daemon(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Does what the command line says.
pub(crate) fn run(cli: &Cli, output: &mut impl Write) -> Result<(), Failure> {
    let client = Client::new(&cli.socket);
    match &cli.command {
        Command::Show { topic, vrf } => {
            let json = wait(client.show(*topic, vrf.name()))?;
            if cli.json {
                return Ok(writeln!(output, "{json}")?);
            }
            let reply = Reply::from_json(*topic, &json).map_err(|error| other_version(&error))?;
            Ok(text::reply(&reply, output)?)
        }
        Command::Explain { address, vrf } => {
            let json = wait(client.explain(*address, vrf.name()))?;
            if cli.json {
                return Ok(writeln!(output, "{json}")?);
            }
            let explanation: Explanation =
                serde_json::from_str(&json).map_err(|error| other_version(&error))?;
            Ok(text::explanation(&explanation, output)?)
        }
        Command::Host { command } => {
            host(&client, command)?;
            if cli.json { Ok(writeln!(output, "{{}}")?) } else { Ok(()) }
        }
        Command::Watch => wait(watch(&client, cli.json, output)),
        Command::Decode { file } => decode(file, cli.json, output),
        Command::Sim(args) => sim::run(args, cli.json, output),
        Command::Replay { file } => replay::run(file, cli.json, output),
        Command::Check { file } => check(file, cli.json, output),
        Command::Completion { shell } => {
            // Into memory first: the generator panics if it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "bugle", &mut script);
            Ok(output.write_all(&script)?)
        }
        Command::Man { directory } => man(directory.as_deref(), output),
    }
}

/// Waits for an answer of the daemon.
fn wait<T, E: Into<Failure>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Daemon(format!("cannot start: {error}")))?;
    runtime.block_on(answer).map_err(Into::into)
}

fn host(client: &Client, command: &HostCommand) -> Result<(), Failure> {
    match command {
        HostCommand::Add { address, port, mac, vrf, candidate } => {
            wait(client.add_host(&HostAdd {
                address: *address,
                vrf: vrf.vrf.clone(),
                port: port.clone(),
                mac: *mac,
                candidate: *candidate,
            }))
        }
        HostCommand::Remove { address, vrf } => wait(client.remove_host(*address, vrf.name())),
    }
}

async fn watch(client: &Client, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let mut watch = client.watch().await?;
    while let Some(event) = watch.next().await? {
        if json {
            serde_json::to_writer(&mut *output, &event).map_err(io::Error::from)?;
            writeln!(output)?;
        } else {
            text::event(&event, output)?;
        }
        output.flush()?;
    }
    Err(Failure::Daemon("the daemon has stopped".to_owned()))
}

fn other_version(error: &serde_json::Error) -> Failure {
    Failure::Daemon(format!(
        "cannot understand the daemon's answer ({error}); bugle and bugled must be of one version, \
         or use --json"
    ))
}

fn decode(file: &Path, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let bytes = read_capture(file)?;
    let packets = capture::packets(&bytes).map_err(|error| about(file, &error))?;
    let mut broken = None;
    let mut frames = (1..).zip(packets).map_while(|(number, packet)| match packet {
        Ok(packet) => Some(describe::frame(number, &packet)),
        Err(error) => {
            broken = Some(error);
            None
        }
    });
    if json {
        write_array(frames, output)?;
    } else {
        frames.try_for_each(|frame| writeln!(output, "{frame}"))?;
    }
    // What could be read has been printed.
    broken.map_or(Ok(()), |error| Err(about(file, &error)))
}

/// The whole of a capture file. What is none is not read to its end, since it may have none.
fn read_capture(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| about(file, &error);
    let mut source = File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut source).take(CAPTURE_HEADER).read_to_end(&mut bytes).map_err(failed)?;
    if let Err(error) = capture::packets(&bytes) {
        return Err(about(file, &error));
    }
    source.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Writes a JSON array, one element a line, without ever holding all of it.
fn write_array<T: serde::Serialize>(
    values: impl Iterator<Item = T>,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut separator = "[\n";
    for value in values {
        write!(output, "{separator}")?;
        serde_json::to_writer(&mut *output, &value)?;
        separator = ",\n";
    }
    writeln!(output, "{}", if separator == "[\n" { "[]" } else { "\n]" })
}

fn check(file: &Path, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|error| about(file, &error))?;
    let checked = Config::parse(&text);
    let errors = checked.as_ref().err();
    // Where the kernel has no such setting, it knows no nexthop objects either, and there is more to say than this.
    let tells_routes = bugle_inject::compat::tells_routes().unwrap_or(false);
    let forwards = [false, true].map(|ipv6| forwarding::is_on("all", ipv6).unwrap_or(true));
    let stands_by = bugle_inject::standby::is_known().unwrap_or(true);
    let kernel = Kernel { tells_routes, stands_by, forwards };
    let notes = checked.as_ref().map(|config| notes(config, kernel)).unwrap_or_default();
    if json {
        let errors: Vec<_> = errors.into_iter().flat_map(ConfigErrors::iter).collect();
        let errors: Vec<_> = errors
            .iter()
            .map(|error| {
                json!({
                    "line": error.line,
                    "column": error.column,
                    "key": error.key,
                    "message": error.problem.to_string(),
                })
            })
            .collect();
        writeln!(output, "{}", json!({ "file": file, "errors": errors, "notes": notes }))?;
        return if errors.is_empty() { Ok(()) } else { Err(Failure::Input(String::new())) };
    }
    checked.map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|e| format!("{}: {e}", file.display())).collect();
        Failure::Input(lines.join("\nbugle: "))
    })?;
    writeln!(output, "{}: no mistakes", file.display())?;
    for note in notes {
        writeln!(output, "{}: note: {note}", file.display())?;
    }
    Ok(())
}

/// What the kernel does here.
#[derive(Clone, Copy)]
struct Kernel {
    /// It tells of every route on a nexthop object that changes.
    tells_routes: bool,
    /// It lets a member of a group stand by.
    stands_by: bool,
    /// It forwards IPv4, and IPv6.
    forwards: [bool; 2],
}

/// What a configuration without mistakes costs on this machine, and what of it is of no use here.
fn notes(config: &Config, kernel: Kernel) -> Vec<String> {
    let mut notes = Vec::new();
    let Fib { enabled, nexthop_compat, .. } = config.fib;
    if enabled && nexthop_compat == NexthopCompat::Leave && kernel.tells_routes {
        notes.push(
            "fib.nexthop-compat: net.ipv4.nexthop_compat_mode is 1 here, so a repair takes half a microsecond for each route, \
             with 0 some microseconds in all: set it to 0, or the key to \"off\", unless BIRD reads bugle's routes"
                .to_owned(),
        );
    }
    if enabled && !kernel.stands_by {
        notes.push(
            "fib: no nexthop can stand by in this kernel (Linux 5.13 and later), so the routes of a link that loses its carrier are put \
             again one by one on their backup"
                .to_owned(),
        );
    }
    let loops = config.bfd.iter().filter(|(_, profile)| profile.echo_rx.is_some());
    for (name, _) in loops {
        for (version, _) in ["ipv4", "ipv6"].iter().zip(kernel.forwards).filter(|(_, on)| !on) {
            notes.push(format!(
                "bfd.{name}.echo-rx: net.{version}.conf.all.forwarding is 0 here, so the kernel sends no echo packets back, and \
                 neighbours are asked for none"
            ));
        }
    }
    notes
}

fn man(directory: Option<&Path>, output: &mut impl Write) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    match directory {
        None => Ok(clap_mangen::Man::new(command).render(output)?),
        Some(directory) => {
            command.build();
            pages(&command, directory).map_err(|error| about(directory, &error))
        }
    }
}

/// Writes the pages of a command and of all beneath it. Each says at its foot what program it is of.
fn pages(command: &clap::Command, directory: &Path) -> io::Result<()> {
    for beneath in command.get_subcommands() {
        pages(beneath, directory)?;
    }
    let page = clap_mangen::Man::new(command.clone());
    page.source(concat!("bugle ", env!("CARGO_PKG_VERSION"))).generate_to(directory)?;
    Ok(())
}

/// Something wrong with a file given on the command line.
fn about(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Input(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATEST: Kernel = Kernel { tells_routes: false, stands_by: true, forwards: [false; 2] };

    #[test]
    fn a_kernel_in_which_nothing_stands_by_is_noted() {
        let old = Kernel { stands_by: false, ..LATEST };
        for (text, expected) in [("", 1), ("[fib]\nenabled = false\n", 0)] {
            assert_eq!(notes(&Config::parse(text).unwrap(), old).len(), expected);
        }
    }

    #[test]
    fn what_repairs_cost_is_noted_where_it_can_be_helped() {
        let noted = |text: &str, tells_routes| {
            let kernel = Kernel { tells_routes, ..LATEST };
            notes(&Config::parse(text).unwrap(), kernel).len()
        };
        assert_eq!(noted("", true), 1);
        assert_eq!(noted("", false), 0);
        for helped in ["nexthop-compat = 'off'", "enabled = false"] {
            assert_eq!(noted(&format!("[fib]\n{helped}\n"), true), 0);
        }
    }

    #[test]
    fn echo_packets_that_the_kernel_would_not_send_back_are_noted() {
        let config = Config::parse("[bfd.fast]\necho-rx = '10ms'\n[bfd.slow]\n").unwrap();
        for (forwards, expected) in [([true, true], 0), ([true, false], 1), ([false, false], 2)] {
            let noted = notes(&config, Kernel { forwards, ..LATEST });
            assert_eq!(noted.len(), expected);
            assert!(noted.iter().all(|note| note.contains("bfd.fast.echo-rx")));
        }
    }
}
