//! How long it takes from a host being registered with one speaker until the next one's kernel routes it, over one link
//! between two network namespaces. Needs root.
//!
//! ```text
//! cargo run --release -p bugle-host --example bench_hop
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bugle_host::{Clock, Driver, Handle};
use bugle_speaker::{Config, HostChange, Speaker};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

const ROUNDS: usize = 3;
const HOSTS: u16 = 500;
/// Between two hosts, so that each meets an idle machine.
const PAUSE_MS: u16 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    println!(
        "us from registration to the neighbour's kernel, {HOSTS} hosts one at a time, then all at once"
    );
    println!("{:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "min", "median", "p90", "p99", "max", "burst");
    for _ in 0..ROUNDS {
        let (mut took, burst) = round()?;
        took.sort();
        let at = |percent: usize| took.get((took.len() - 1) * percent / 100).map_or(0, micros);
        let [min, median, p90, p99, max] = [0, 50, 90, 99, 100].map(at);
        println!("{min:>8} {median:>8} {p90:>8} {p99:>8} {max:>8} {:>8}", micros(&burst));
    }
    Ok(())
}

fn micros(duration: &Duration) -> u128 {
    duration.as_micros()
}

/// Two fresh namespaces, one on this thread and one on another; the times of all hosts, and of as many at once.
fn round() -> Outcome<(Vec<Duration>, Duration)> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (sender, receiver) = channel();
    let (go, ready) = channel::<()>();
    let (seen_sender, seen) = channel();
    let far = move || -> Outcome<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        sender.send(gettid())?;
        ready.recv()?;
        ip("address add 10.0.0.2/24 dev eth0")?;
        ip("link set dev eth0 up")?;
        let handle = start("192.0.2.2", "")?;
        watch(&seen_sender)?;
        drop(handle);
        Ok(())
    };
    let thread = std::thread::Builder::new().spawn(far)?;
    let other = receiver.recv()?;
    ip(&format!("link add name eth0 type veth peer name eth0 netns {other}"))?;
    ip("address add 10.0.0.1/24 dev eth0")?;
    ip("link add name tap0 type veth peer name guest0")?;
    for dev in ["eth0", "tap0", "guest0"] {
        ip(&format!("link set dev {dev} up"))?;
    }
    go.send(())?;
    let hosts = "[vrf.default.hosts]\nports = [\"tap*\"]\nprefixes = [\"10.100.0.0/16\"]\n";
    let handle = start("192.0.2.1", hosts)?;

    register(&runtime, &handle, 0, &seen)?;
    let took =
        (1..=HOSTS).map(|n| register(&runtime, &handle, n, &seen)).collect::<Outcome<_>>()?;

    let start = now();
    for number in HOSTS + 1..=2 * HOSTS {
        runtime.block_on(handle.change_host(add(number)?))??;
    }
    let mut end = start;
    for _ in 0..HOSTS {
        end = seen.recv_timeout(Duration::from_secs(20))?.1;
    }
    runtime.block_on(handle.stop())?;
    drop(thread);
    Ok((took, end.duration_since(start)))
}

fn address(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 100, high, low).into()
}

fn add(number: u16) -> Outcome<HostChange> {
    Ok(HostChange::Add {
        vrf: "default".to_owned(),
        address: address(number),
        port: Some("tap0".to_owned()),
        mac: Some("52:54:00:00:00:09".parse()?),
        candidate: false,
    })
}

/// Registers one host and waits until the other side has its route.
fn register(
    runtime: &tokio::runtime::Runtime,
    handle: &Handle<Speaker>,
    number: u16,
    seen: &Receiver<(IpAddr, Instant)>,
) -> Outcome<Duration> {
    poll(&mut [], PollTimeout::from(PAUSE_MS))?;
    let change = add(number)?;
    let mut start = now();
    while runtime.block_on(handle.change_host(change.clone()))?.is_err() {
        poll(&mut [], PollTimeout::from(PAUSE_MS))?;
        start = now();
    }
    loop {
        let (found, at) = seen.recv_timeout(Duration::from_secs(20))?;
        if found == address(number) {
            return Ok(at.duration_since(start));
        }
    }
}

fn start(router_id: &str, hosts: &str) -> Outcome<Handle<Speaker>> {
    let config = format!(
        "router-id = \"{router_id}\"\n[[vrf.default.ospf.interface]]\nname = \"eth0\"\narea = \"0.0.0.0\"\ntype = \"point-to-point\"\n{hosts}"
    );
    let clock = Clock::start();
    let (driver, handle) = Driver::open(Speaker::new(1, clock.now()), clock, 1)?;
    drop(driver.start()?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(handle.configure(Config::parse(&config)?))?;
    Ok(handle)
}

/// Tells of each route that appears in this thread's namespace, until nobody listens.
fn watch(seen: &std::sync::mpsc::Sender<(IpAddr, Instant)>) -> Outcome<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.add_membership(RTNLGRP_IPV4_ROUTE)?;
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(30_000_u16))? == 0 {
            return Ok(());
        }
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let at = now();
        // The first attribute of a route is its table, the second its destination.
        let destination = buffer.get(40..44).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        if let Some(octets) = destination
            && seen.send((Ipv4Addr::from(octets).into(), at)).is_err()
        {
            return Ok(());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn ip(arguments: &str) -> Outcome<()> {
    let status = Command::new("ip").args(arguments.split_whitespace()).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {arguments}: {status}").into()) }
}
