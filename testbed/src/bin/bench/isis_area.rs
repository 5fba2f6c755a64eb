//! An IS-IS area of many systems, flooded by a neighbour: until all prefixes are in the kernel, and what a change of topology costs.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use bugle_testbed::contender::Make;
use bugle_testbed::summary::{Summary, columns, ratio, table};
use bugle_testbed::tools::say;
use bugle_testbed::{
    Area, Bugled, Circuit, FibWatch, Frr, Isis, Lab, Network, Process, Result, Router,
    SyntheticIsis, Tuning,
};

const GIVE_UP: Duration = Duration::from_secs(120);

/// How often it is looked whether the daemon still lives.
const LOOK: Duration = Duration::from_millis(250);

/// From one change to the next: long enough for every throttle.
const SPACING: Duration = Duration::from_millis(2100);

/// What an area showed.
struct Measured {
    /// Until the last prefix was in the kernel; otherwise what happened instead.
    load: Result<Duration, String>,
    /// Processor time until then.
    cpu: Duration,
    rss_kib: u64,
    /// Processor time of each change of topology.
    changes: Vec<Option<Duration>>,
}

pub(crate) fn run(makes: &[Make], sizes: &[u32], count: u32) -> Result<()> {
    let makes: Vec<Make> = makes.iter().copied().filter(|make| *make != Make::Bird).collect();
    for &systems in sizes {
        say(&format!(
            "\n## IS-IS, an area of {systems} systems\n\nEach has a /32. From the first LSP until the kernel has all of them; then {count} \
             links change their metric. Processor time of all the daemon's processes.\n"
        ));
        let mut results = Vec::new();
        for &make in &makes {
            results.push((make, measure(make, systems, count)?));
        }
        let reference = results.first().and_then(|(_, first)| first.load.as_ref().ok()).copied();
        let loads = results.iter().map(|(make, measured)| {
            let (wall, times) = match &measured.load {
                Ok(wall) => {
                    let times = reference.map(|reference| ratio(*wall, reference));
                    (format!("{:.2}", wall.as_secs_f64()), times.unwrap_or_default())
                }
                Err(failure) => (failure.clone(), String::new()),
            };
            let cpu = format!("{:.2}", measured.cpu.as_secs_f64());
            vec![make.to_string(), wall, times, cpu, (measured.rss_kib / 1024).to_string()]
        });
        let first = results.first().map_or_else(String::new, |(make, _)| format!("times {make}'s"));
        let header = ["all prefixes", "wall, s", &first, "processor, s", "memory, MiB"];
        say(&table(&header, &loads.collect::<Vec<_>>()));
        let changes = results.iter().map(|(make, measured)| {
            let mut row = vec![make.to_string()];
            row.extend(columns(Summary::of(measured.changes.iter().copied())).into_iter().take(4));
            row
        });
        let header = ["a metric changes, processor, ms", "best", "median", "p99", "worst"];
        say(&table(&header, &changes.collect::<Vec<_>>()));
    }
    Ok(())
}

fn measure(make: Make, systems: u32, count: u32) -> Result<Measured> {
    let lab = Lab::new("area")?;
    let (tested, source) = (lab.node("tested")?, lab.node("source")?);
    let link = lab.link(&tested, &source)?;
    let tuning = if make == Make::FrrDefault { Tuning::Default } else { Tuning::Tuned };
    let circuits = vec![Circuit::new(&link.a.interface, Network::PointToPoint)];
    let isis = Isis { tuning, ..Isis::new(1, circuits) };
    let mut area = Area::grid(systems, 0, 1);

    let announced = area.clone();
    let mut watch = FibWatch::start(&tested, move |prefix| announced.announces(prefix))?;
    let mut router = if make == Make::Bugle {
        Router::Bugle(Bugled::start_isis(&lab, &tested, &isis, "")?)
    } else {
        Router::Frr(Frr::start_isis(&lab, &tested, &isis)?)
    };
    let before = cpu(&router)?;
    let synthetic = SyntheticIsis::start(&link.b, &area, isis.system_id())?;
    let start = Instant::now();
    let mut missing: BTreeSet<_> = (0..systems).map(Area::router_prefix).collect();
    let mut last = start;
    let mut failure = None;
    while !missing.is_empty() && failure.is_none() {
        match watch.next(Instant::now() + LOOK) {
            Some(change) if change.present => {
                missing.remove(&change.prefix);
                last = change.at;
            }
            Some(_) => {}
            None => {
                failure = router.died().or_else(|| {
                    let late = start.elapsed() >= GIVE_UP;
                    late.then(|| format!("{} missing after {} s", missing.len(), GIVE_UP.as_secs()))
                });
            }
        }
    }
    thread::sleep(LOOK);
    let used = cpu(&router)?.saturating_sub(before);
    let rss_kib = router.processes().into_iter().map(Process::rss_kib).sum::<Result<u64>>()?;
    let load = match failure {
        Some(failure) => Err(failure),
        None => Ok(last.duration_since(synthetic.started().unwrap_or(start))),
    };

    thread::sleep(SPACING * 4);
    let before = cpu(&router)?;
    thread::sleep(SPACING);
    let idle = cpu(&router)?.saturating_sub(before);
    let mut changes = Vec::new();
    for number in 0..count {
        // Links all over the area, each to a metric that random ones do not reach.
        let edge = area.edges() / count.max(1) * number;
        let before = cpu(&router)?;
        synthetic.flood(area.set_metric(edge, 200, isis.system_id()));
        thread::sleep(SPACING);
        changes.push(Some(cpu(&router)?.saturating_sub(before).saturating_sub(idle)));
    }
    Ok(Measured { load, cpu: used, rss_kib, changes })
}

/// Processor time of all the daemon's processes.
fn cpu(router: &Router) -> Result<Duration> {
    router.processes().into_iter().map(Process::cpu_time).sum()
}
