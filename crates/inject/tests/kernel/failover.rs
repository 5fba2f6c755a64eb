//! What the kernel makes of the changes by which routes fail over.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

use bugle_inject::compat::{Untold, tells_routes};
use bugle_inject::{Injector, snapshot};
use bugle_rib::fib::{FibOp, Group, Removable};
use bugle_rib::{Input, Output, Protocol, Rib, Route};
use bugle_types::{IfIndex, Nexthop, Prefix, TableId, Time, VrfId};

use crate::namespace::{
    apply, id, ifindex, in_namespace, ip, key, put_group, put_nexthop, put_protected, put_route,
    snapshot as sorted, try_apply,
};

/// The engine and the kernel, both real.
struct Both {
    rib: Rib,
    injector: Injector,
    now: Time,
    removable: Removable,
}

impl Both {
    fn new() -> Self {
        let mut both = Self {
            rib: Rib::new(),
            injector: Injector::open().unwrap(),
            now: Time::from_secs(1),
            removable: Removable::new(),
        };
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
                Output::Removable(removable) => self.removable = removable,
                Output::Event(_) => {}
            }
        }
        self.injector.run(usize::MAX).unwrap();
        assert_eq!(self.injector.poll_failure().map(|(op, error)| (op, error.to_string())), None);
        if read {
            self.tell(Input::Snapshot(snapshot().unwrap()));
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
fn the_kernel_goes_over_to_the_backup_when_somebody_removes_what_leads_to_a_router() {
    in_namespace(|| {
        let mut both = Both::new();
        let [first, second] = uplinks();
        both.offer(100, &[first], Some(second));
        let routes = || ip("-o route show table main proto 182").lines().count();
        let ids = both.removable[&(first.ifindex, first.gateway.unwrap())].clone();
        apply(&mut both.injector, ids.iter().map(|id| FibOp::DelNexthop { id: *id }));
        assert_eq!(
            (device("10.64.0.50").as_str(), routes()),
            ("eth1", 100),
            "before anybody was told"
        );
        both.tell(Input::Removed(ids));
        both.tell(unreachable(first.ifindex, first));
        both.offer(100, &[second], None);
        assert_eq!((device("10.64.0.50").as_str(), routes()), ("eth1", 100));

        // And all of it comes back with the router.
        let (ifindex, address) = (first.ifindex, first.gateway.unwrap());
        both.tell(Input::Reachable { ifindex, address, reachable: true });
        both.offer(100, &[first], Some(second));
        assert_eq!((device("10.64.0.50").as_str(), routes()), ("eth0", 100));
        both.tell(Input::Flush);
        assert_eq!(ip("-o route show table main proto 182"), "");
        assert_eq!(ip("nexthop show proto 182"), "");
    });
}

#[test]
fn the_kernel_goes_over_to_the_backup_when_the_carrier_goes() {
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
        assert_eq!(ip("-o route show table main proto 182").lines().count(), 100);
        both.tell(Input::Flush);
        assert_eq!(ip("-o route show table main proto 182"), "");
        assert_eq!(ip("nexthop show proto 182"), "");
    });
}

#[test]
fn what_a_former_release_left_is_taken_over() {
    in_namespace(|| {
        // A group that spreads by the hash, and a single object, with a route each.
        let [one, two, group] = [1, 2, 3].map(|number| id(number).0);
        ip(&format!("nexthop add id {one} via 10.0.0.2 dev eth0 onlink proto 182"));
        ip(&format!("nexthop add id {two} via 10.0.1.2 dev eth1 onlink proto 182"));
        ip(&format!("nexthop add id {group} group {one}/{two} proto 182"));
        ip(&format!("route add 10.64.0.1/32 nhid {group} proto 182 metric 110"));
        ip(&format!("route add 10.64.0.2/32 nhid {one} proto 182 metric 110"));
        ip(&format!("route add 10.64.0.2/32 nhid {two} proto 182 metric 111"));
        let mut both = Both::new();
        let [first, second] = uplinks();
        both.offer(2, &[first, second], None);
        let found = sorted();
        assert_eq!((found.groups.len(), found.others.len(), found.routes.len()), (1, 0, 2));
        assert!(["10.64.0.1", "10.64.0.2"].iter().all(|address| !device(address).is_empty()));
    });
}

/// How often to look for what is to come: for seconds.
const LOOKS: usize = 100_000;

/// How many packets a device has sent.
fn sent(device: &str) -> u64 {
    let all = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line =
        all.lines().find_map(|line| line.trim().strip_prefix(&format!("{device}:"))).unwrap();
    line.split_whitespace().nth(9).unwrap().parse().unwrap()
}

/// Of how many buckets each object has packets, by number.
fn buckets(group: u32) -> BTreeMap<u32, usize> {
    let mut found = BTreeMap::new();
    let all = ip(&format!("-o nexthop bucket show id {}", id(group).0));
    for line in all.lines() {
        let (_, rest) = line.split_once(" nhid ").unwrap();
        let object: u32 = rest.split_whitespace().next().unwrap().parse().unwrap();
        *found.entry(object - id(0).0).or_default() += 1;
    }
    found
}

/// An object over each link, whose routers need not be asked for their address.
fn put_both(injector: &mut Injector, gateways: [&str; 2]) {
    for (device, gateway) in ["eth0", "eth1"].into_iter().zip(gateways) {
        ip(&format!("neigh replace {gateway} dev {device} lladdr 02:00:00:00:00:77 nud permanent"));
    }
    apply(injector, [put_nexthop(1, "eth0", gateways[0]), put_nexthop(2, "eth1", gateways[1])]);
}

#[test]
fn who_stands_by_gets_nothing_and_everything_when_the_carrier_of_the_other_goes() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        for (gateways, prefix, to) in [
            (["10.0.0.2", "10.0.1.2"], "10.9.0.1/32", "10.9.0.1:9"),
            (["fe80::2", "fe80::2"], "2001:db8:9::1/128", "[2001:db8:9::1]:9"),
        ] {
            put_both(&mut injector, gateways);
            apply(&mut injector, [put_protected(3, 1, 2), put_route(key(prefix, 20), 3)]);
            assert_eq!(buckets(3), BTreeMap::from([(1, 64)]));
            let local = if to.starts_with('[') { "[2001:db8::1]:0" } else { "10.0.0.1:0" };
            let socket = UdpSocket::bind(local).unwrap();
            socket.connect(to).unwrap();
            // Of other flows, too, and of one whose way the kernel remembers.
            let send = || {
                for _ in 0..100 {
                    socket.send(b"x").unwrap();
                    UdpSocket::bind(local).unwrap().send_to(b"x", to).unwrap();
                }
            };
            let before = ["eth0", "eth1"].map(sent);
            send();
            assert!(sent("eth0") >= before[0] + 200 && sent("eth1") < before[1] + 20);

            // The kernel takes note of the carrier some time later.
            ip("link set dev peer0 down");
            assert!((0..LOOKS).any(|_| !buckets(3).contains_key(&1)), "{prefix}");
            let before = sent("eth1");
            send();
            assert!(sent("eth1") >= before + 200, "{prefix}");
            assert_eq!(buckets(3), BTreeMap::from([(2, 64)]));
            let alone = Group { members: [id(2)].into(), standby: None };
            let found = sorted();
            assert_eq!((found.groups, found.routes.len()), (vec![(id(3), alone)], 1));

            ip("link set dev peer0 up");
            put_both(&mut injector, gateways);
            apply(&mut injector, [put_protected(3, 1, 2)]);
            assert_eq!(buckets(3), BTreeMap::from([(1, 64)]));
            let protected = Group { members: [id(1)].into(), standby: Some(id(2)) };
            assert_eq!(sorted().groups, [(id(3), protected)]);
            let gone = [FibOp::DelRoute { key: key(prefix, 20) }, FibOp::DelNexthop { id: id(3) }];
            apply(&mut injector, gone);
        }
    });
}

#[test]
fn traffic_that_never_pauses_is_led_elsewhere_at_once() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        put_both(&mut injector, ["10.0.0.2", "10.0.1.2"]);
        apply(&mut injector, [put_protected(3, 1, 2), put_route(key("10.9.0.1/32", 20), 3)]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let socket = UdpSocket::bind("10.0.0.1:0").unwrap();
                    for _ in 0..50 {
                        socket.send_to(b"x", "10.9.0.1:9").unwrap();
                    }
                }
            });
            let wait_for = |device, more| {
                let from = sent(device);
                (0..LOOKS).any(|_| sent(device) >= from + more)
            };
            let mut late = Vec::new();
            let mut all_came = true;
            for _ in 0..50 {
                all_came &= wait_for("eth0", 200);
                apply(&mut injector, [put_group(3, &[2])]);
                let before = sent("eth0");
                all_came &= wait_for("eth1", 200);
                late.push(sent("eth0") - before);
                apply(&mut injector, [put_protected(3, 1, 2)]);
            }
            stop.store(true, Ordering::Relaxed);
            assert!(all_came);
            // One may have been on its way.
            assert!(late.iter().all(|late| *late <= 1), "{late:?}");
        });
    });
}

#[test]
fn a_group_shares_its_buckets_however_many_members_come_and_go() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let members: Vec<u32> = (11..=27).collect();
        for member in &members {
            apply(&mut injector, [put_nexthop(*member, "eth0", &format!("10.0.0.{member}"))]);
        }
        for count in [1, 2, 3, 17, 5, 16, 2] {
            apply(&mut injector, [put_group(3, &members[..count])]);
            let shares = buckets(3);
            assert_eq!(shares.values().sum::<usize>(), 64);
            assert_eq!(shares.len(), count);
            let least = 64 / count;
            assert!(shares.values().all(|share| [least, least + 1].contains(share)), "{shares:?}");
        }
        apply(&mut injector, [FibOp::DelNexthop { id: id(11) }]);
        assert_eq!(buckets(3), BTreeMap::from([(12, 64)]));
    });
}

#[test]
fn a_group_of_another_kind_is_told_apart_and_not_replaced() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        put_both(&mut injector, ["10.0.0.2", "10.0.1.2"]);
        let [one, two] = [1, 2].map(|number| id(number).0);
        for (number, what) in [
            (4, format!("{one}/{two}")),
            (5, format!("{one},256/{two},256 type resilient buckets 32 idle_timer 0")),
            (6, format!("{one},256/{two},256 type resilient buckets 64 idle_timer 9")),
            (7, format!("{one},256/{two},9 type resilient buckets 64 idle_timer 0")),
        ] {
            ip(&format!("nexthop add id {} group {what}", id(number).0));
        }
        let others: Vec<_> = (4..=7).map(|number| (id(number), [id(1), id(2)].into())).collect();
        let found = sorted();
        assert_eq!((found.groups, found.others, found.without_standby), (vec![], others, false));
        let refused = try_apply(&mut injector, [put_protected(4, 1, 2), put_protected(5, 1, 2)]);
        assert_eq!(refused.len(), 2, "{refused:?}");
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
