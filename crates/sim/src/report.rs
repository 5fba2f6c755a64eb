//! What a run showed: as a table, as JSON, as a picture.

mod svg;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use bugle_types::Time;
use serde::{Serialize, Serializer};

use crate::judge::Outage;
use crate::machine::Machine;
use crate::scenario::{Limited, Scenario};
use crate::tally::{Activity, SLICE};
use crate::world::World;

/// What a run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario's title.
    pub title: String,
    /// The scenario's seed.
    pub seed: u64,
    /// What routers spoke: `ospf`, `isis` or `both`.
    pub protocol: String,
    /// How many routers there are.
    pub routers: usize,
    /// How many links and LANs.
    pub segments: usize,
    /// How many virtual machines.
    pub hosts: usize,
    /// How many flows were watched.
    pub flows: usize,
    /// How long the network lived, in nanoseconds.
    #[serde(serialize_with = "nanos")]
    pub lived: Duration,
    /// When every flow arrived for the first time, in nanoseconds; `null`: never.
    #[serde(serialize_with = "nanos_if")]
    pub up: Option<Duration>,
    /// What followed from each line of the scenario.
    pub rows: Vec<Row>,
    /// What was done in all.
    pub activity: Activity,
    /// LSAs sent again for want of an acknowledgement.
    pub retransmitted: u64,
    /// Packets that links lost.
    pub lost_packets: u64,
    /// The most runs of SPF that a router made after the start.
    pub spf_runs_most: u64,
    /// What kernels and daemons refused.
    pub refused: Vec<String>,
    /// What was wrong at rest.
    pub findings: Vec<String>,
    /// Limits that were exceeded.
    pub exceeded: Vec<String>,
    /// A hash over everything that happened.
    #[serde(serialize_with = "hex")]
    pub digest: u64,
    /// How long each outage of a flow was, in nanoseconds, sorted.
    pub outages: Vec<u64>,
    /// What was done over time: the start of each slice in nanoseconds, and the counts.
    pub slices: Vec<(u64, Activity)>,
    /// How long a slice is, in nanoseconds.
    pub slice: u64,
}

/// What followed from a line of the scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The line; 0 for the start.
    pub line: usize,
    /// The event as written.
    pub event: String,
    /// How often it happened.
    pub times: u32,
    /// Flows that lost packets, each time counted.
    pub outages: usize,
    /// What half of them lost at most, in nanoseconds.
    #[serde(serialize_with = "nanos")]
    pub loss_median: Duration,
    /// What 99 of 100 of them lost at most.
    #[serde(serialize_with = "nanos")]
    pub loss_p99: Duration,
    /// The most that was lost.
    #[serde(serialize_with = "nanos")]
    pub loss_most: Duration,
    /// The most that was lost to a loop.
    #[serde(serialize_with = "nanos")]
    pub loop_most: Duration,
    /// The most that was lost to the wrong place.
    #[serde(serialize_with = "nanos")]
    pub wrong_most: Duration,
    /// The longest until forwarding tables rested, or the next event came.
    #[serde(serialize_with = "nanos")]
    pub settled: Duration,
    /// What was done until the next event.
    pub activity: Activity,
}

impl Row {
    pub(crate) const fn new(line: usize, event: String) -> Self {
        Self {
            line,
            event,
            times: 0,
            outages: 0,
            loss_median: Duration::ZERO,
            loss_p99: Duration::ZERO,
            loss_most: Duration::ZERO,
            loop_most: Duration::ZERO,
            wrong_most: Duration::ZERO,
            settled: Duration::ZERO,
            activity: Activity {
                packets: 0,
                updates: 0,
                lsas: 0,
                octets: 0,
                spf_runs: 0,
                fib_ops: 0,
            },
        }
    }

    fn judge(&mut self, outages: &[&Outage]) {
        let mut lost: Vec<Duration> = outages.iter().map(|outage| outage.lost()).collect();
        lost.sort_unstable();
        self.outages = lost.len();
        self.loss_median = quantile(&lost, 50);
        self.loss_p99 = quantile(&lost, 99);
        self.loss_most = quantile(&lost, 100);
        self.loop_most = outages.iter().map(|o| o.looped).max().unwrap_or_default();
        self.wrong_most = outages.iter().map(|o| o.wrong_place).max().unwrap_or_default();
    }
}

/// The least value that so many of a hundred do not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

impl Report {
    pub(crate) fn new(
        scenario: &Scenario,
        world: &World,
        mut rows: Vec<Row>,
        row_of_event: &[usize],
        findings: Vec<String>,
    ) -> Self {
        let outages = world.judge.outages(world.now());
        let mut by_row: BTreeMap<usize, Vec<&Outage>> = BTreeMap::new();
        for outage in &outages {
            by_row.entry(row_of_event[outage.event as usize]).or_default().push(outage);
        }
        for (row, outages) in by_row {
            rows[row].judge(&outages);
        }
        let mut lost: Vec<u64> = outages.iter().map(|outage| whole(outage.lost())).collect();
        lost.sort_unstable();
        let mut report = Self {
            title: scenario.title.clone(),
            seed: scenario.seed,
            protocol: scenario.protocols.to_string(),
            routers: scenario.network.routers.len(),
            segments: scenario.network.segments.len(),
            hosts: world.judge.hosts().count(),
            flows: world.judge.len(),
            lived: world.now().since(Time::ZERO),
            up: world.judge.up().map(|at| at.since(Time::ZERO)),
            rows,
            activity: world.tally.total,
            retransmitted: world.machines.iter().map(Machine::retransmitted).sum(),
            lost_packets: world.medium.lost(),
            spf_runs_most: world.tally.spf_runs_most(),
            refused: world.refusals.clone(),
            findings,
            exceeded: Vec::new(),
            digest: world.digest(),
            outages: lost,
            slices: world.tally.slices().iter().map(|(&n, &a)| (n * whole(SLICE), a)).collect(),
            slice: whole(SLICE),
        };
        let limits = &scenario.limits;
        let hold = limits.iter().filter(|limit| limit.holds(scenario.protocols, limits));
        report.exceeded = hold.filter_map(|limit| report.exceeds(limit.what)).collect();
        report
    }

    /// Whether everything was as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.findings.is_empty() && self.exceeded.is_empty() && self.refused.is_empty()
    }

    /// What happened, for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_table(&mut text);
        text
    }

    /// Convergence, messages and runs of SPF as a picture.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{}", self.title)?;
        writeln!(
            text,
            "{} routers, {} links, {} hosts, {} flows; up after {}, lived {}",
            self.routers,
            self.segments,
            self.hosts,
            self.flows,
            self.up.map_or_else(|| "never".to_owned(), short),
            short(self.lived),
        )?;
        writeln!(text)?;
        let mut lines = vec![
            [
                "line", "event", "times", "outages", "loss p50", "p99", "most", "loop", "wrong",
                "settled", "packets", "LSAs", "SPF", "FIB",
            ]
            .map(str::to_owned),
        ];
        for row in &self.rows {
            let time = |duration: Duration| {
                if duration.is_zero() { "-".to_owned() } else { short(duration) }
            };
            lines.push([
                if row.line == 0 { String::new() } else { row.line.to_string() },
                row.event.clone(),
                if row.line == 0 { String::new() } else { row.times.to_string() },
                row.outages.to_string(),
                time(row.loss_median),
                time(row.loss_p99),
                time(row.loss_most),
                time(row.loop_most),
                time(row.wrong_most),
                time(row.settled),
                row.activity.updates.to_string(),
                row.activity.lsas.to_string(),
                row.activity.spf_runs.to_string(),
                row.activity.fib_ops.to_string(),
            ]);
        }
        align(&lines, text)?;
        writeln!(text)?;
        writeln!(
            text,
            "in all: {} packets ({} of them Hellos), {} LSAs, {} sent again, {} packets lost; \
             SPF ran {} times, at most {} on one router; {} changes to kernels",
            self.activity.packets,
            self.activity.packets - self.activity.updates,
            self.activity.lsas,
            self.retransmitted,
            self.lost_packets,
            self.activity.spf_runs,
            self.spf_runs_most,
            self.activity.fib_ops,
        )?;
        let troubles = [
            ("not as it should be at rest", &self.findings),
            ("refused", &self.refused),
            ("more than the scenario allows", &self.exceeded),
        ];
        for (what, list) in troubles.into_iter().filter(|(_, list)| !list.is_empty()) {
            writeln!(text, "\n{what}:")?;
            for line in list.iter().take(TOLD) {
                writeln!(text, "  {line}")?;
            }
            if list.len() > TOLD {
                writeln!(text, "  and {} more", list.len() - TOLD)?;
            }
        }
        if self.is_good() {
            writeln!(text, "at rest everything is as it should be")?;
        }
        Ok(())
    }

    fn exceeds(&self, limit: Limited) -> Option<String> {
        let most = |value: fn(&Row) -> Duration| self.rows.iter().map(value).max();
        let later = || self.rows.iter().filter(|row| row.line > 0).map(|row| row.activity);
        let time = |what: &str, found: Option<Duration>, limit: Duration| {
            let found = found.map_or_else(|| "never".to_owned(), short);
            format!("{what}: {found}, at most {} expected", short(limit))
        };
        let count = |what: &str, found: u64, limit: u64| {
            (found > limit).then(|| format!("{what}: {found}, at most {limit} expected"))
        };
        let longer = |what: &str, found: Option<Duration>, limit: Duration| {
            found.filter(|&found| found > limit).map(|_| time(what, found, limit))
        };
        match limit {
            Limited::Up(limit) => {
                let late = self.up.is_none_or(|up| up > limit);
                late.then(|| time("up", self.up, limit))
            }
            Limited::Loss(limit) => longer("loss", most(|row| row.loss_most), limit),
            Limited::Loop(limit) => longer("loop", most(|row| row.loop_most), limit),
            Limited::Wrong(limit) => longer("wrong place", most(|row| row.wrong_most), limit),
            Limited::Packets(limit) => count("packets", later().map(|a| a.updates).sum(), limit),
            Limited::Lsas(limit) => count("LSAs", later().map(|a| a.lsas).sum(), limit),
            Limited::Spf(limit) => count("runs of SPF", self.spf_runs_most, limit),
        }
    }
}

/// How many troubles of a kind are told.
const TOLD: usize = 20;

/// Writes columns: text to the left, numbers to the right.
fn align<const N: usize>(lines: &[[String; N]], text: &mut String) -> std::fmt::Result {
    let left = BTreeSet::from([1]);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    for line in lines {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if left.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let cells: Vec<String> = cells.collect();
        writeln!(text, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Three digits and a unit.
fn short(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, thousandths) = (nanos / unit, nanos % unit * 1_000 / unit);
    match whole {
        0..10 => format!("{whole}.{:02}{name}", thousandths / 10),
        10..100 => format!("{whole}.{}{name}", thousandths / 100),
        _ => format!("{whole}{name}"),
    }
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole(*duration))
}

#[expect(clippy::ref_option, reason = "so serde calls it")]
fn nanos_if<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(whole).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde calls it")]
fn hex<S: Serializer>(digest: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{digest:016x}"))
}
