//! What the kernel makes of the changes by which routes fail over.

use bugle_inject::compat::{Untold, tells_routes};
use bugle_inject::{Injector, snapshot};
use bugle_rib::{Input, Output, Protocol, Rib, Route, Timer};
use bugle_types::{IfIndex, Nexthop, Prefix, TableId, Time, VrfId};

use crate::namespace::{ifindex, in_namespace, ip};

/// The engine and the kernel, both real.
struct Both {
    rib: Rib,
    injector: Injector,
    now: Time,
}

impl Both {
    fn new() -> Self {
        let mut both =
            Self { rib: Rib::new(), injector: Injector::open().unwrap(), now: Time::from_secs(1) };
        for name in ["eth0", "eth1"] {
            both.tell(Input::Link { ifindex: ifindex(name), usable: true });
        }
        both.tell(Input::Vrf { vrf: VrfId::DEFAULT, table: Some(TableId::MAIN) });
        both.tell(Input::Sweep);
        both
    }

    /// Carries out what the engine asks for; nothing may fail.
    fn tell(&mut self, input: Input) {
        self.rib.handle(self.now, input);
        let mut read = false;
        while let Some(output) = self.rib.poll_output() {
            match output {
                Output::Fib(op) => self.injector.submit(op),
                Output::Divert(op) => self.injector.divert(op),
                Output::ReadFib => read = true,
                Output::Event(_) => {}
            }
        }
        self.injector.run(usize::MAX).unwrap();
        assert_eq!(self.injector.poll_failure().map(|(op, error)| (op, error.to_string())), None);
        if read {
            self.tell(Input::Snapshot(snapshot().unwrap()));
        }
        if let Some((at, Timer::Spares)) = self.rib.deadline() {
            self.now = self.now.max(at);
            self.tell(Input::Tick);
        }
    }

    fn offer(&mut self, count: u32, hops: &[Nexthop], backup: Option<Nexthop>) {
        let changes = (1..=count)
            .map(|host| {
                let prefix: Prefix =
                    format!("10.{}.{}.{}/32", 64 + host / 65536, host / 256 % 256, host % 256)
                        .parse()
                        .unwrap();
                (prefix, Some(Route { metric: 1, nexthops: hops.into(), backup }))
            })
            .collect();
        let (vrf, protocol) = (VrfId::DEFAULT, Protocol::Ospf);
        self.tell(Input::Routes { vrf, protocol, changes });
    }
}

fn uplinks() -> [Nexthop; 2] {
    [("eth0", "10.0.0.2"), ("eth1", "10.0.1.2")]
        .map(|(name, gateway)| Nexthop::via(ifindex(name), gateway.parse().unwrap()))
}

/// The device by which the kernel sends packets to an address; empty if it has no route.
fn device(address: &str) -> String {
    let all = ip("-o route show table main");
    if all.lines().all(|line| !line.starts_with(address)) {
        return String::new();
    }
    let line = ip(&format!("route get {address}"));
    line.split_once(" dev ").map_or_else(String::new, |(_, rest)| {
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    })
}

fn unreachable(link: IfIndex, hop: Nexthop) -> Input {
    Input::Reachable { ifindex: link, address: hop.gateway.unwrap(), reachable: false }
}

#[test]
fn a_router_out_of_reach_is_gone_round_and_come_back_to() {
    in_namespace(|| {
        let mut both = Both::new();
        let [first, second] = uplinks();
        for hops in [&[first][..], &[first, second]] {
            both.offer(100, hops, (hops.len() == 1).then_some(second));
            both.tell(unreachable(first.ifindex, first));
            for address in ["10.64.0.1", "10.64.0.50", "10.64.0.100"] {
                assert_eq!(device(address), "eth1", "{hops:?}");
            }
            let (ifindex, address) = (first.ifindex, first.gateway.unwrap());
            both.tell(Input::Reachable { ifindex, address, reachable: true });
        }
        both.offer(100, &[first], Some(second));
        assert_eq!(device("10.64.0.50"), "eth0");
    });
}

#[test]
fn the_kernel_falls_back_to_the_spare_routes_when_the_carrier_goes() {
    in_namespace(|| {
        let mut both = Both::new();
        let [first, second] = uplinks();
        both.offer(100, &[first], Some(second));
        assert_eq!(device("10.64.0.50"), "eth0");
        ip("link set dev peer0 down");
        assert_eq!(device("10.64.0.50"), "eth1", "before anybody was told");
        both.tell(Input::Link { ifindex: first.ifindex, usable: false });
        both.offer(100, &[second], None);
        assert_eq!(device("10.64.0.50"), "eth1");
        assert_eq!(ip("-o route show table main proto 182").lines().count(), 100);

        // And all of it comes back with the link.
        ip("link set dev peer0 up");
        both.tell(Input::Link { ifindex: first.ifindex, usable: true });
        both.offer(100, &[first], Some(second));
        assert_eq!(device("10.64.0.50"), "eth0");
        assert_eq!(ip("-o route show table main proto 182").lines().count(), 200);
        both.tell(Input::Flush);
        assert_eq!(ip("-o route show table main proto 182"), "");
        assert_eq!(ip("nexthop show proto 182"), "");
    });
}

#[test]
fn many_prefixes_are_moved_at_once_from_one_path_to_another() {
    in_namespace(|| {
        let mut both = Both::new();
        let [first, second] = uplinks();
        for hops in
            [&[first][..], &[second], &[first, second], &[first], &[second, first], &[second]]
        {
            both.offer(1000, hops, None);
            let devices = ["10.64.0.1", "10.64.3.232"].map(device);
            for device in devices {
                assert!(hops.iter().any(|hop| ifindex(&device) == hop.ifindex), "{hops:?}");
            }
            assert_eq!(ip("-o route show table main proto 182").lines().count(), 1000);
        }
    });
}

#[test]
fn the_compatibility_setting_is_put_back() {
    in_namespace(|| {
        assert!(tells_routes().unwrap());
        let untold = Untold::begin().unwrap();
        assert!(untold.is_some() && !tells_routes().unwrap());
        assert!(Untold::begin().unwrap().is_none(), "there is nothing to turn off");
        assert!(!tells_routes().unwrap());
        drop(untold);
        assert!(tells_routes().unwrap());
    });
}
