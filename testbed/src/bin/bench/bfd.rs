//! What BFD sessions cost.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use bugle_testbed::contender::Make;
use bugle_testbed::summary::table;
use bugle_testbed::tools::say;
use bugle_testbed::{Bugled, Frr, Interface, Lab, Ospf, Result, Router};

/// The interval of all sessions in milliseconds.
const MILLIS: u32 = 10;

/// How long all sessions may take to come up.
const SETTLE: Duration = Duration::from_secs(60);

pub(crate) fn run(makes: &[Make], sessions: &[u8], seconds: u64) -> Result<()> {
    say(&format!(
        "\n## BFD\n\nSessions of 3 x {MILLIS} ms to a neighbour that is always bugle, each on a link of its own: {seconds} s. Of FRR, bfdd \
         alone is counted; of the others, the whole daemon.\n"
    ));
    for count in sessions {
        let mut rows = Vec::new();
        let mut ours = None;
        for make in makes.iter().filter(|make| **make != Make::FrrTuned) {
            let share = share(*make, *count, Duration::from_secs(seconds))?;
            if *make == Make::Bugle {
                ours = Some(share);
            }
            let ratio = ours.map_or_else(|| "-".to_owned(), |ours| format!("{:.1}", share / ours));
            rows.push(vec![make.to_string(), format!("{:.2}", share * 100.0), ratio]);
        }
        say(&table(&[&format!("{count} sessions"), "processor, % of a core", "of bugle's"], &rows));
    }
    Ok(())
}

/// The share of a core that so many sessions use.
fn share(make: Make, count: u8, time: Duration) -> Result<f64> {
    let lab = Lab::new("bfd")?;
    let (tested, peer) = (lab.node("tested")?, lab.node("peer")?);
    let mut ends = (Vec::new(), Vec::new());
    for _ in 0..count {
        let link = lab.link(&tested, &peer)?;
        for (end, port) in [(&mut ends.0, &link.a), (&mut ends.1, &link.b)] {
            // Slow Hellos: what is measured is BFD.
            let slow =
                Interface { hello: 10, dead: 40, ..Interface::point_to_point(&port.interface) };
            end.push(slow.with_bfd(MILLIS, 3));
        }
    }
    let other = Ospf::new(Ipv4Addr::new(192, 0, 2, 2), ends.1);
    let other = Bugled::start(&lab, &peer, &other.bugle())?;
    let ospf = Ospf::new(Ipv4Addr::new(192, 0, 2, 1), ends.0);
    let mut router = match make {
        Make::FrrDefault => Router::Frr(Frr::start(&lab, &tested, &ospf)?),
        Make::Bugle | Make::FrrTuned | Make::Bird => make.start(&lab, &tested, &ospf, "")?,
    };
    lab.wait_for(SETTLE, "all sessions", || {
        let sessions = other.show("show bfd").unwrap_or_default();
        let up = |session: &&serde_json::Value| {
            session["state"] == "Up" && session["tx_us"] == MILLIS * 1000
        };
        sessions.as_array().into_iter().flatten().filter(up).count() == usize::from(count)
    })?;
    thread::sleep(Duration::from_secs(3));
    let mut cpu = || match &mut router {
        Router::Frr(frr) => frr.bfdd().map_or(Ok(Duration::ZERO), |bfdd| bfdd.cpu_time()),
        Router::Bird(_) | Router::Bugle(_) => {
            router.processes().into_iter().map(bugle_testbed::Process::cpu_time).sum()
        }
    };
    let before = cpu()?;
    thread::sleep(time);
    let used = cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() / time.as_secs_f64())
}
