//! `bugle sim`: plays a scenario in the simulator.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bugle_sim::scenario::Problems;
use bugle_sim::{Progress, Scenario, Timers};
use clap::Args;
use serde_json::json;

use crate::commands::Failure;

/// `bugle sim`
#[derive(Args, Debug)]
pub(crate) struct SimArgs {
    /// The scenario: a text file of one statement a line
    scenario: PathBuf,
    /// Use this seed instead of the scenario's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Use the timers of RFC 2328 and RFC 8405, to compare; the scenario's limits do not hold then
    #[arg(long)]
    rfc_timers: bool,
    /// Draw convergence, messages and SPF runs into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only look for mistakes
    #[arg(long)]
    check: bool,
}

pub(crate) const AFTER_HELP: &str = "\
A scenario says what the network is, what happens to it, and what must not be exceeded:

  topology clos 4 16            # or chain 5, ring 6, grid 4x5, waxman 50 degree 4, file NET
  hosts 10 each                 # on every hypervisor
  links latency 50us loss 0.1%
  at 20s move 10.100.0.5 to leaf7
  at 25s link leaf1 spine2 silent for 10s
  at 40s every 100ms for 5s move random to random
  expect loss at most 5s

Every router is the speaker of bugled, unmodified, in virtual time. The data plane is walked after every change, and
when the network rests every route is compared with what it should be. Equal seeds give equal runs. The exit status
is 1 if anything is not as it should be. The language is described in docs/simulator.md.";

/// Plays a scenario, and tells what it showed.
pub(crate) fn run(args: &SimArgs, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let mut scenario = load(&args.scenario, json, output)?;
    if args.check {
        return if json {
            Ok(())
        } else {
            Ok(writeln!(output, "{}: no mistakes", args.scenario.display())?)
        };
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    if args.rfc_timers {
        scenario.timers = Timers::rfc();
        scenario.limits.clear();
    }
    let mut meter = Meter::new();
    let report = bugle_sim::play(&scenario, &mut |progress| meter.show(progress));
    meter.end();
    if let Some(file) = &args.svg {
        fs::write(file, report.svg()).map_err(|error| about(file, &error))?;
    }
    if json {
        serde_json::to_writer(&mut *output, &report).map_err(io::Error::from)?;
        writeln!(output)?;
    } else {
        write!(output, "{}", report.table())?;
    }
    if report.is_good() { Ok(()) } else { Err(Failure::Daemon(String::new())) }
}

fn load(file: &Path, json: bool, output: &mut impl Write) -> Result<Scenario, Failure> {
    let text = fs::read_to_string(file).map_err(|error| about(file, &error))?;
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let read = |path: &Path| {
        let path = directory.join(path);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    Scenario::parse(&text, &read).map_err(|Problems(problems)| {
        if json {
            let errors: Vec<_> = problems
                .iter()
                .map(|problem| json!({ "line": problem.line, "message": problem.message }))
                .collect();
            return match writeln!(output, "{}", json!({ "file": file, "errors": errors })) {
                Ok(()) => Failure::Input(String::new()),
                Err(error) => error.into(),
            };
        }
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| {
                format!("{}, line {}: {}", file.display(), problem.line, problem.message)
            })
            .collect();
        Failure::Input(lines.join("\nbugle: "))
    })
}

fn about(file: &Path, error: &io::Error) -> Failure {
    Failure::Input(format!("{}: {error}", file.display()))
}

/// Shows on a terminal how far a run is.
struct Meter {
    shown: Option<Instant>,
    terminal: bool,
}

impl Meter {
    fn new() -> Self {
        Self { shown: None, terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        if !self.terminal {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "people wait by the clock on the wall")]
        let now = Instant::now();
        let pause = Duration::from_millis(100);
        if self.shown.is_some_and(|shown| now.duration_since(shown) < pause) {
            return;
        }
        self.shown = Some(now);
        // A terminal that cannot be written to needs no progress.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{} of {}: {} events, {} flows failing, {} packets, {} runs of SPF",
            progress.now,
            progress.last_event,
            progress.events,
            progress.failing,
            progress.activity.packets,
            progress.activity.spf_runs,
        );
    }

    fn end(&self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
