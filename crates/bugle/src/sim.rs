//! `bugle sim`: plays a scenario in the simulator.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bugle_sim::scenario::Problems;
use bugle_sim::{NodeId, Progress, Protocols, Report, Scenario, Timers};
use bugle_speaker::config::LinkType;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::attach::Attached;
use crate::commands::Failure;
use crate::cost::{Cost, Started};

/// What it costs the simulated router to send through the device.
const ATTACH_COST: u16 = 10;

/// `bugle sim`
#[derive(Args, Debug)]
pub(crate) struct SimArgs {
    /// The scenario: a text file of one statement a line
    scenario: PathBuf,
    /// Use this seed instead of the scenario's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Let routers speak this instead of what the scenario says: ospf, isis or both
    #[arg(long)]
    protocol: Option<Protocols>,
    /// Use the timers of RFC 2328 and RFC 8405, to compare; the scenario's limits do not hold then
    #[arg(long)]
    rfc_timers: bool,
    /// Draw convergence, messages and SPF runs into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only look for mistakes
    #[arg(long)]
    check: bool,
    /// Print what this router of the network can reach at the start, as it should be, and end
    #[arg(long, value_name = "ROUTER", conflicts_with_all = ["svg", "attach"])]
    routes: Option<String>,
    /// Let real routers join: this device of the machine becomes an interface of one router, and time is real
    ///
    /// The network comes up first. The other routers must speak the same protocol with the same timers (Hello every second, dead after
    /// four), OSPF in area 0.0.0.0, IS-IS in level 2. It takes root.
    #[arg(long, value_name = "DEVICE")]
    attach: Option<String>,
    /// The router that the device is attached to; the first if none is named
    #[arg(long, value_name = "ROUTER", requires = "attach")]
    attach_to: Option<String>,
    /// The device is on a LAN, not on a point-to-point link
    #[arg(long, requires = "attach")]
    attach_lan: bool,
    /// How many seconds the device stays attached; until interrupted if not given
    #[arg(long, value_name = "SECONDS", requires = "attach")]
    attach_for: Option<u32>,
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

/// What a run showed, and what it cost.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a Report,
    cost: Option<Cost>,
}

/// Plays a scenario, and tells what it showed.
pub(crate) fn run(args: &SimArgs, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let started = Started::now();
    let mut scenario = load(&args.scenario, json, output)?;
    if args.check {
        return if json {
            Ok(())
        } else {
            Ok(writeln!(output, "{}: no mistakes", args.scenario.display())?)
        };
    }
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    scenario.protocols = args.protocol.unwrap_or(scenario.protocols);
    if args.rfc_timers {
        scenario.timers = Timers::rfc();
        scenario.limits.clear();
    }
    if let Some(router) = &args.routes {
        return routes(&scenario, find(&scenario, Some(router))?, json, output);
    }
    let mut meter = Meter::new();
    let report = match &args.attach {
        None => bugle_sim::play(&scenario, &mut |progress| meter.show(progress)),
        Some(device) => {
            let node = find(&scenario, args.attach_to.as_deref())?;
            let link = if args.attach_lan { LinkType::Broadcast } else { LinkType::PointToPoint };
            let enough = args.attach_for.map(|seconds| Duration::from_secs(seconds.into()));
            let protocols = scenario.protocols;
            let opened = Attached::open(device, node, protocols, link, ATTACH_COST, enough);
            let (door, mut outside) = opened.map_err(|error| Failure::Input(error.to_string()))?;
            bugle_sim::play_attached(&scenario, door, &mut outside, &mut |progress| {
                meter.show(progress);
            })
        }
    };
    meter.end();
    if let Some(file) = &args.svg {
        fs::write(file, report.svg()).map_err(|error| about(file, &error))?;
    }
    if json {
        let told = Told { report: &report, cost: started.cost() };
        serde_json::to_writer(&mut *output, &told).map_err(io::Error::from)?;
        writeln!(output)?;
    } else {
        write!(output, "{}", report.table())?;
        if let Some(cost) = started.cost() {
            writeln!(output, "{cost}")?;
        }
    }
    if report.is_good() { Ok(()) } else { Err(Failure::Daemon(String::new())) }
}

/// The router with this name, or the first.
fn find(scenario: &Scenario, name: Option<&str>) -> Result<NodeId, Failure> {
    let Some(name) = name else { return Ok(NodeId(0)) };
    let unknown = || Failure::Input(format!("the network has no router {name}"));
    scenario.network.find(name).ok_or_else(unknown)
}

/// Prints what a router can reach: what is its own without a next hop.
fn routes(
    scenario: &Scenario,
    router: NodeId,
    json: bool,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let reached = bugle_sim::routes(scenario, router);
    if json {
        let reached: Vec<_> = reached
            .iter()
            .map(|(prefix, expected)| {
                let gateways: Vec<_> =
                    expected.nexthops.iter().map(|nexthop| nexthop.gateway).collect();
                json!({ "prefix": prefix, "metric": expected.metric, "gateways": gateways })
            })
            .collect();
        serde_json::to_writer(&mut *output, &reached).map_err(io::Error::from)?;
        return Ok(writeln!(output)?);
    }
    for (prefix, expected) in &reached {
        let gateways = expected.nexthops.iter().filter_map(|nexthop| nexthop.gateway);
        let gateways: Vec<_> = gateways.map(|gateway| gateway.to_string()).collect();
        writeln!(output, "{prefix:<20} {:>6}  {}", expected.metric, gateways.join(" "))?;
    }
    Ok(())
}

fn load(file: &Path, json: bool, output: &mut impl Write) -> Result<Scenario, Failure> {
    let text = fs::read_to_string(file).map_err(|error| about(file, &error))?;
    let directory = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
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
