//! Real speakers, each with its driver in a namespace of its own.

use bugle_host::{Clock, Driver, DriverError, Handle};
use bugle_speaker::{Config, HostChange, Speaker};
use nix::poll::{PollTimeout, poll};
use tokio::sync::oneshot;

use crate::namespace::{Namespace, pair, possible};
use crate::script::block_on;

struct Router {
    handle: Handle<Speaker>,
    end: oneshot::Receiver<Result<(), DriverError>>,
}

impl Router {
    fn start(namespace: &Namespace, config: &str) -> Self {
        let config = Config::parse(config).unwrap();
        let clock = Clock::start();
        let speaker = Speaker::new(1, clock.now());
        let (handle, end) = namespace.run(move || {
            let (driver, handle) = Driver::open(speaker, clock, 1).unwrap();
            (handle, driver.start().unwrap())
        });
        block_on(handle.configure(config)).unwrap();
        Self { handle, end }
    }

    fn stop(self) {
        block_on(self.handle.stop()).unwrap();
        block_on(self.end).unwrap().unwrap();
    }
}

fn config(router_id: &str, rest: &str) -> String {
    format!(
        r#"
router-id = "{router_id}"
[[vrf.default.ospf.interface]]
name = "eth*"
area = "0.0.0.0"
type = "point-to-point"
hello = "1s"
dead = "4s"
{rest}"#
    )
}

const HOSTS: &str = r#"
[vrf.default.hosts]
ports = ["tap*"]
prefixes = ["10.100.0.0/16"]
"#;

const PINNED: &str = r#"
[[vrf.default.hosts.static]]
address = "10.100.0.9"
port = "tap9"
mac = "52:54:00:00:00:09"
"#;

/// Looks until `is_so`, for 30 s at most.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        poll(&mut [], PollTimeout::from(10_u8)).unwrap();
    }
    panic!("not within 30 s: {what}");
}

fn nothing_of_ours(namespace: &Namespace) -> bool {
    [
        "route show table all proto 182",
        "-6 route show table all proto 182",
        "nexthop show proto 182",
        "neigh show proto 182",
    ]
    .iter()
    .all(|question| namespace.ip(question).is_empty())
}

#[test]
fn a_host_is_routed_by_the_neighbour_until_it_leaves_and_nothing_is_left_at_the_end() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    a.ip("link add name tap9 type veth peer name guest9");
    a.ip("link set dev tap9 up");
    a.ip("link set dev guest9 up");
    let here = Router::start(&a, &config("192.0.2.1", HOSTS));
    let there = Router::start(&b, &config("192.0.2.2", ""));

    let address = "10.100.0.9".parse().unwrap();
    let add = HostChange::Add {
        vrf: "default".to_owned(),
        address,
        port: Some("tap9".to_owned()),
        mac: Some("52:54:00:00:00:09".parse().unwrap()),
        candidate: false,
    };
    // It has ports once it has looked around.
    wait_until("the host is accepted", || {
        block_on(here.handle.change_host(add.clone())).unwrap().is_ok()
    });
    wait_until("the neighbour routes the host", || !b.ip("route show 10.100.0.9").is_empty());
    assert!(b.ip("route get 10.100.0.9").contains("via 10.0.0.1 dev eth0"));
    assert!(a.ip("route get 10.100.0.9").contains("10.100.0.9 dev tap9"));
    let neighbors = a.ip("neigh show proto 182");
    assert!(neighbors.contains("10.100.0.9 dev tap9 lladdr 52:54:00:00:00:09"), "{neighbors}");

    let remove = HostChange::Remove { vrf: "default".to_owned(), address };
    assert_eq!(block_on(here.handle.change_host(remove)).unwrap(), Ok(()));
    wait_until("the route is gone", || b.ip("route show 10.100.0.9").is_empty());
    wait_until("the host's port is clear", || a.ip("neigh show proto 182").is_empty());

    here.stop();
    there.stop();
    assert!(nothing_of_ours(&a), "left behind");
    assert!(nothing_of_ours(&b), "left behind");
}

#[test]
fn what_a_speaker_says_ends_with_it() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    a.ip("link add name tap9 type veth peer name guest9");
    a.ip("link set dev tap9 up");
    a.ip("link set dev guest9 up");
    let here = Router::start(&a, &config("192.0.2.1", &format!("{HOSTS}{PINNED}")));
    let there = Router::start(&b, &config("192.0.2.2", ""));
    wait_until("the neighbour routes the host", || !b.ip("route show 10.100.0.9").is_empty());
    here.stop();
    assert!(nothing_of_ours(&a), "left behind");
    wait_until("the route is gone", || b.ip("route show 10.100.0.9").is_empty());
    there.stop();
}

#[test]
fn routes_that_the_kernel_drops_with_a_carrier_come_back_over_the_other_link() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    a.link("eth1", "10.0.1.1/24", &b, "10.0.1.2/24");
    a.ip("link add name tap9 type veth peer name guest9");
    a.ip("link set dev tap9 up");
    a.ip("link set dev guest9 up");
    let here = Router::start(&a, &config("192.0.2.1", &format!("{HOSTS}{PINNED}")));
    let there = Router::start(&b, &config("192.0.2.2", ""));
    let legs = || {
        let state = |speaker: &Speaker, _| {
            let route = speaker.state().vrf("default")?.lookup("10.100.0.9".parse().ok()?)?;
            Some(route.nexthops.len())
        };
        block_on(there.handle.read(state)).unwrap()
    };
    let leads_over = |link: &str| {
        !b.ip("route show 10.100.0.9").is_empty() && b.ip("route get 10.100.0.9").contains(link)
    };
    wait_until("both links are used", || legs() == Some(2));
    a.ip("link set dev eth0 down");
    wait_until("the other link is used", || legs() == Some(1) && leads_over("dev eth1"));
    a.ip("link set dev eth0 up");
    wait_until("both links are used again", || legs() == Some(2));
    a.ip("link set dev eth1 down");
    wait_until("the first link is used", || legs() == Some(1) && leads_over("dev eth0"));
    here.stop();
    there.stop();
    assert!(nothing_of_ours(&b), "left behind");
}
