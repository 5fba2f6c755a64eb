//! What a router costs that has nothing to do.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use bugle_testbed::contender::Make;
use bugle_testbed::summary::table;
use bugle_testbed::tools::say;
use bugle_testbed::{Area, Interface, Lab, Ospf, Result, Synthetic};

/// The size of the database.
const ROUTERS: u32 = 1000;

/// How long a router may take to settle.
const SETTLE: Duration = Duration::from_secs(60);

pub(crate) fn run(makes: &[Make], seconds: u64) -> Result<()> {
    say(&format!(
        "\n## Idle\n\nTwo adjacencies, a hello a second, a database of {ROUTERS} routers: {seconds} s of nothing else.\n"
    ));
    let mut rows = Vec::new();
    for make in makes {
        let (share, rss_kib) = idle(*make, Duration::from_secs(seconds))?;
        let mib = rss_kib.div_ceil(1024);
        rows.push(vec![make.to_string(), format!("{:.3}", share * 100.0), mib.to_string()]);
    }
    say(&table(&["", "processor, % of a core", "memory, MiB"], &rows));
    Ok(())
}

/// The share of a core that the daemon's processes use, and their memory.
fn idle(make: Make, time: Duration) -> Result<(f64, u64)> {
    let lab = Lab::new("idle")?;
    let (tested, peer, source) = (lab.node("tested")?, lab.node("peer")?, lab.node("source")?);
    let (left, right) = (lab.link(&tested, &peer)?, lab.link(&tested, &source)?);
    let router_id = Ipv4Addr::new(192, 0, 2, 1);
    let uplinks = [&left, &right].map(|link| Interface::point_to_point(&link.a.interface));
    let router = make.start(&lab, &tested, &Ospf::new(router_id, uplinks.into()), "")?;
    let peer_id = Ipv4Addr::new(192, 0, 2, 2);
    let peer_ospf = Ospf::new(peer_id, vec![Interface::point_to_point(&left.b.interface)]);
    let _peer = make.start(&lab, &peer, &peer_ospf, "")?;
    let mut area = Area::grid(ROUTERS, 0, 1);
    area.attach(router_id.into(), right.b.address);
    let _source = Synthetic::start(&right.b, &area)?;
    let furthest = Area::router_prefix(ROUTERS - 1).to_string();
    lab.wait_for(SETTLE, "both adjacencies and all routes", || {
        router.full_neighbors() == 2 && tested.gateways(&furthest).is_ok_and(|g| !g.is_empty())
    })?;
    thread::sleep(Duration::from_secs(8));

    let cpu = || -> Result<Duration> {
        router.processes().into_iter().map(bugle_testbed::Process::cpu_time).sum()
    };
    let before = cpu()?;
    thread::sleep(time);
    let used = cpu()?.saturating_sub(before);
    let mut rss_kib = 0;
    for process in router.processes() {
        rss_kib += process.rss_kib()?;
    }
    Ok((used.as_secs_f64() / time.as_secs_f64(), rss_kib))
}
