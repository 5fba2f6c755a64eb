//! Many external routes from a neighbour, until all are in the kernel.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use bugle_testbed::contender::Make;
use bugle_testbed::summary::{ratio, table};
use bugle_testbed::tools::say;
use bugle_testbed::{Area, FibWatch, Interface, Lab, Ospf, Result, Router, Synthetic};

const GIVE_UP: Duration = Duration::from_secs(60);

/// How often it is looked whether the daemon still lives.
const LOOK: Duration = Duration::from_millis(250);

/// What a load showed.
struct Load {
    /// Until the last route was in the kernel; otherwise what happened instead.
    wall: Result<Duration, String>,
    cpu: Duration,
    rss_kib: u64,
}

pub(crate) fn run(makes: &[Make], loads: &[u32]) -> Result<()> {
    for &routes in loads {
        say(&format!(
            "\n## {routes} external routes from a neighbour\n\nFrom the first Database Description until the kernel has all of them; \
             processor time and memory of all the daemon's processes.\n"
        ));
        let mut results = Vec::new();
        for make in makes {
            results.push((make, load(*make, routes)?));
        }
        let reference = results.first().and_then(|(_, load)| load.wall.as_ref().ok()).copied();
        let rows: Vec<_> = results
            .iter()
            .map(|(make, load)| {
                let (wall, times) = match &load.wall {
                    Ok(wall) => (
                        format!("{:.2}", wall.as_secs_f64()),
                        reference
                            .map_or_else(|| "-".to_owned(), |reference| ratio(*wall, reference)),
                    ),
                    Err(failure) => (failure.clone(), "-".to_owned()),
                };
                vec![
                    make.to_string(),
                    wall,
                    times,
                    format!("{:.2}", load.cpu.as_secs_f64()),
                    format!("{:.1}", mebibytes(load.rss_kib)),
                ]
            })
            .collect();
        let first = results.first().map_or_else(String::new, |(make, _)| format!("times {make}'s"));
        say(&table(&["", "wall, s", &first, "processor, s", "memory, MiB"], &rows));
    }
    Ok(())
}

fn load(make: Make, routes: u32) -> Result<Load> {
    let lab = Lab::new("load")?;
    let (tested, source) = (lab.node("tested")?, lab.node("source")?);
    let link = lab.link(&tested, &source)?;
    let router_id = Ipv4Addr::new(192, 0, 2, 1);
    let ospf = Ospf::new(router_id, vec![Interface::point_to_point(&link.a.interface)]);
    let mut area = Area::grid(1, routes, 1);
    area.attach(router_id.into(), link.b.address);

    let announced = area.clone();
    let mut watch = FibWatch::start(&tested, move |prefix| announced.announces(prefix))?;
    let mut daemon = make.start(&lab, &tested, &ospf, "")?;
    let before = cpu(&daemon);
    let synthetic = Synthetic::start(&link.b, &area)?;

    let start = Instant::now();
    let mut missing: BTreeSet<_> = (0..routes).map(Area::external_prefix).collect();
    let mut last = start;
    let (mut cpu_used, mut rss_kib) = (Duration::ZERO, 0);
    let mut failure = None;
    while !missing.is_empty() && failure.is_none() {
        match watch.next(Instant::now() + LOOK) {
            Some(change) if change.present => {
                missing.remove(&change.prefix);
                last = change.at;
            }
            Some(_) => {}
            None => {
                failure = daemon.died().or_else(|| {
                    let late = start.elapsed() >= GIVE_UP;
                    late.then(|| format!("{} missing after {} s", missing.len(), GIVE_UP.as_secs()))
                });
                // Taken as long as there is a process to ask.
                (cpu_used, rss_kib) = usage(&daemon).unwrap_or((cpu_used, rss_kib));
            }
        }
    }
    let started = synthetic.exchange_started();
    let wall = match failure {
        Some(failure) => Err(failure),
        None => Ok(last.duration_since(started.unwrap_or(start))),
    };
    // What is still to do after the last route counts for memory and processor time.
    thread::sleep(LOOK);
    (cpu_used, rss_kib) = usage(&daemon).unwrap_or((cpu_used, rss_kib));
    Ok(Load { wall, cpu: cpu_used.saturating_sub(before), rss_kib })
}

fn cpu(router: &Router) -> Duration {
    usage(router).map_or(Duration::ZERO, |(cpu, _)| cpu)
}

/// Processor time and resident memory of all the daemon's processes; `None` if one has ended.
fn usage(router: &Router) -> Option<(Duration, u64)> {
    let (mut cpu, mut rss_kib) = (Duration::ZERO, 0);
    for process in router.processes() {
        cpu += process.cpu_time().ok()?;
        rss_kib += process.rss_kib().ok()?;
    }
    Some((cpu, rss_kib))
}

#[expect(clippy::cast_precision_loss, reason = "for a reader")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
