//! What a change of topology costs in processor time: SPF, and whatever else the daemon does about it.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use bugle_spf::Spf;
use bugle_testbed::contender::Make;
use bugle_testbed::summary::{Summary, columns, millis, ratio, table};
use bugle_testbed::tools::say;
use bugle_testbed::{Area, Interface, Lab, Ospf, Process, Result, Router, Synthetic};

/// From one change to the next: long enough for every throttle and tick.
const SPACING: Duration = Duration::from_millis(2100);

const SETTLE: Duration = Duration::from_secs(60);

pub(crate) fn run(makes: &[Make], sizes: &[u32], count: u32) -> Result<()> {
    for &routers in sizes {
        say(&format!(
            "\n## A link's cost changes in an area of {routers} routers\n\nProcessor time of all the daemon's processes for each of \
             {count} changes, without what they use when idle; no route's next hop changes. FRR says itself how long its last SPF took; \
             beside it, one full SPF of bugle's over the same area.\n"
        ));
        let full = full_run(&Area::grid(routers, 0, 1));
        let mut rows = Vec::new();
        for make in makes {
            let (series, reported) = changes(*make, routers, count)?;
            let mut row = vec![make.to_string()];
            row.extend(columns(Summary::of(series)).into_iter().take(4));
            let spf = if matches!(make, Make::Bugle) { full } else { reported };
            row.push(spf.map_or_else(|| "-".to_owned(), millis));
            row.push(spf.zip(full).map_or_else(|| "-".to_owned(), |(spf, full)| ratio(spf, full)));
            rows.push(row);
        }
        let header =
            ["processor, ms", "best", "median", "p99", "worst", "one full SPF", "times bugle's"];
        say(&table(&header, &rows));
    }
    Ok(())
}

/// How long a full SPF of bugle's takes: the median of several.
fn full_run(area: &Area) -> Option<Duration> {
    const RUNS: usize = 51;
    let (graph, root) = area.graph();
    let mut spf = Spf::new();
    let runs = (0..RUNS).map(|_| {
        let start = Instant::now();
        black_box(spf.run(black_box(&graph), root));
        Some(start.elapsed())
    });
    Summary::of(runs).map(|summary| summary.median)
}

/// The processor time of each change, and how long FRR says that its last SPF took.
fn changes(
    make: Make,
    routers: u32,
    count: u32,
) -> Result<(Vec<Option<Duration>>, Option<Duration>)> {
    let lab = Lab::new("spf")?;
    let (tested, source) = (lab.node("tested")?, lab.node("source")?);
    let link = lab.link(&tested, &source)?;
    let router_id = Ipv4Addr::new(192, 0, 2, 1);
    let ospf = Ospf::new(router_id, vec![Interface::point_to_point(&link.a.interface)]);
    let mut area = Area::grid(routers, 0, 1);
    area.attach(router_id.into(), link.b.address);
    let router = make.start(&lab, &tested, &ospf, "")?;
    let synthetic = Synthetic::start(&link.b, &area)?;
    let furthest = Area::router_prefix(routers.saturating_sub(1)).to_string();
    lab.wait_for(SETTLE, "all routes", || {
        tested.gateways(&furthest).is_ok_and(|gateways| !gateways.is_empty())
    })?;
    thread::sleep(SPACING * 4);

    let cpu =
        || -> Result<Duration> { router.processes().into_iter().map(Process::cpu_time).sum() };
    let before = cpu()?;
    thread::sleep(SPACING);
    let idle = cpu()?.saturating_sub(before);
    let mut series = Vec::new();
    for number in 0..count {
        // Links all over the area, each to a cost that random ones do not reach.
        let edge = area.edges() / count.max(1) * number;
        let before = cpu()?;
        synthetic.flood(area.set_cost(edge, 200));
        thread::sleep(SPACING);
        series.push(Some(cpu()?.saturating_sub(before).saturating_sub(idle)));
    }
    let reported = if let Router::Frr(frr) = &router { Some(frr.last_spf()?) } else { None };
    Ok((series, reported))
}
