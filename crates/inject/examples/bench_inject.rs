//! How long the kernel takes to add, replace and delete 100,000 host routes: by the injector, and by `ip -batch` in the same
//! run. Works in a network namespace of its own, so it needs root.
//!
//! ```text
//! cargo run --release -p bugle-inject --example bench_inject
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bugle_inject::{Injector, Monitor};
use bugle_rib::fib::{FibOp, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Nexthop, Prefix, TableId};
use nix::sched::{CloneFlags, unshare};

const ROUTES: u32 = 100_000;
const ROUNDS: usize = 5;
const SINGLES: u32 = 10_000;
const FIRST: NexthopId = NexthopId(*NexthopId::RANGE.start());
const SECOND: NexthopId = NexthopId(*NexthopId::RANGE.start() + 1);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    for command in [
        "link add name eth0 type veth peer name peer0",
        "link set dev eth0 up",
        "link set dev peer0 up",
        "address add 10.0.0.1/24 dev eth0",
    ] {
        ip(command.split(' '), "")?;
    }
    std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", "0\n")?;
    let mut injector = Injector::open()?;
    apply(&mut injector, [put_nexthop(FIRST, 2)?, put_nexthop(SECOND, 3)?])?;

    let steps: [(&str, Step, &str); 3] = [
        ("add", |key| put_route(key, FIRST), "route add"),
        ("replace", |key| put_route(key, SECOND), "route replace"),
        ("delete", |key| FibOp::DelRoute { key }, "route delete"),
    ];
    println!("{ROUTES} /32 routes by nexthop id, best of {ROUNDS}, us per route");
    println!("{:8} {:>8} {:>10} {:>9} {:>7}", "", "injector", "+ monitor", "ip -batch", "ratio");
    let mut best = [[Duration::MAX; 3]; 3];
    for _ in 0..ROUNDS {
        for (step, fastest) in steps.iter().zip(&mut best) {
            let took = measure(&mut injector, step.1)?;
            fastest[0] = fastest[0].min(took);
        }
        let monitor = Monitor::open(&[injector.port()])?;
        for (step, fastest) in steps.iter().zip(&mut best) {
            let took = measure(&mut injector, step.1)?;
            fastest[1] = fastest[1].min(took);
        }
        drop(monitor);
        for (step, fastest) in steps.iter().zip(&mut best) {
            let nexthop = if step.0 == "add" { FIRST } else { SECOND };
            let script = script(step.2, nexthop)?;
            let (result, took) = timed(|| ip(["-batch", "-"].into_iter(), &script));
            result?;
            fastest[2] = fastest[2].min(took);
        }
    }
    for ((name, ..), [alone, watched, batch]) in steps.iter().zip(best) {
        let ratio = batch.as_secs_f64() / alone.as_secs_f64();
        let [alone, watched, batch] = [alone, watched, batch].map(|took| each(took, ROUTES));
        println!("{name:8} {alone:8.2} {watched:10.2} {batch:9.2} {ratio:6.1}x");
    }

    let singles: Vec<FibOp> = keys().take(10_000).map(|key| put_route(key, FIRST)).collect();
    let (result, took) =
        timed(|| singles.into_iter().try_for_each(|op| apply(&mut injector, [op])));
    result?;
    println!("one at a time, each acknowledged: {:.2} us per route added", each(took, SINGLES));

    measure(&mut injector, |key| put_route(key, FIRST))?;
    let repoint = put_nexthop(FIRST, 9)?;
    let (result, took) = timed(|| apply(&mut injector, [repoint]));
    result?;
    println!("nexthop object of {ROUTES} routes re-pointed: {:.1} us", each(took, 1));
    let (found, took) = timed(bugle_inject::snapshot);
    println!("snapshot: {:.2} us per route ({})", each(took, ROUTES), found?.routes.len());
    Ok(())
}

type Step = fn(RouteKey) -> FibOp;

/// How long it takes to submit and carry out one change per route.
fn measure(injector: &mut Injector, step: Step) -> Outcome<Duration> {
    let keys = keys();
    let (result, took) = timed(|| apply(injector, keys.map(step)));
    result.map(|()| took)
}

fn apply(injector: &mut Injector, ops: impl IntoIterator<Item = FibOp>) -> Outcome<()> {
    for op in ops {
        injector.submit(op);
    }
    injector.run(usize::MAX)?;
    match injector.poll_failure() {
        Some((op, error)) => Err(format!("{op:?}: {error}").into()),
        None => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Microseconds for each of `count`.
fn each(took: Duration, count: u32) -> f64 {
    (took / count).as_secs_f64() * 1e6
}

/// In the order that the rib asks for many routes in: by their bits reversed.
fn keys() -> impl Iterator<Item = RouteKey> {
    let mut numbers: Vec<u32> = (0..ROUTES).collect();
    numbers.sort_by_key(|number| number.reverse_bits());
    numbers.into_iter().map(|n| {
        let address = Ipv4Addr::from(0x0B00_0000 + n);
        RouteKey { table: TableId::MAIN, prefix: Prefix::host(address.into()), metric: 20 }
    })
}

fn put_route(key: RouteKey, nexthop: NexthopId) -> FibOp {
    FibOp::PutRoute { key, target: RouteTarget::Nexthop(nexthop) }
}

fn put_nexthop(id: NexthopId, host: u8) -> Outcome<FibOp> {
    let ifindex = IfIndex(nix::net::if_::if_nametoindex("eth0")?);
    let nexthop = Nexthop::via(ifindex, Ipv4Addr::new(10, 0, 0, host).into());
    Ok(FibOp::PutNexthop { id, nexthop })
}

fn script(command: &str, nexthop: NexthopId) -> Outcome<String> {
    let mut script = String::new();
    for key in keys() {
        let RouteKey { prefix, metric, .. } = key;
        writeln!(script, "{command} {prefix} nhid {} proto 182 metric {metric}", nexthop.0)?;
    }
    Ok(script)
}

fn ip<'a>(arguments: impl Iterator<Item = &'a str>, input: &str) -> Outcome<()> {
    let mut child = Command::new("ip").args(arguments).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no pipe")?.write_all(input.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("ip: {status}").into()) }
}
