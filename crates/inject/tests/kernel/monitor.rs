//! What the monitor tells, and what the kernel does without telling.

use std::os::fd::AsFd;

use bugle_inject::{Injector, Monitor, MonitorEvent};
use bugle_rib::fib::{FibOp, RouteKey, RouteTarget};
use bugle_types::{Address, IfIndex, Link, TableId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::namespace::{
    apply, id, ifindex, in_namespace, ip, key, put_nexthop, put_route, snapshot,
};

#[test]
fn everything_that_exists_is_told_first() {
    in_namespace(|| {
        let mut monitor = Monitor::open(&[]).unwrap();
        let events = drain(&mut monitor);
        assert_eq!(events.first(), Some(&MonitorEvent::Resync));
        // What comes after that is news, such as a link-local address that is ready only now.
        let end = events.iter().position(|event| *event == MonitorEvent::Synced).unwrap();
        let events = &events[..end];
        let names: Vec<_> = links(events).map(|link| link.name.as_str()).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        let eth0 = links(events).find(|link| link.name == "eth0").unwrap();
        assert_eq!(eth0.ifindex, ifindex("eth0"));
        assert_eq!((eth0.admin_up, eth0.carrier, eth0.loopback), (true, true, false));
        assert_eq!((eth0.mtu, eth0.master, eth0.vrf_table), (1500, None, None));
        let mac = eth0.mac.unwrap().to_string();
        assert!(ip("link show dev eth0").contains(&mac));
        assert!(links(events).find(|link| link.name == "lo").unwrap().loopback);
        assert!(events.contains(&address("eth0", "10.0.0.1", 24)));
        assert!(events.contains(&address("eth0", "2001:db8::1", 64)));
    });
}

#[test]
fn changes_to_interfaces_and_addresses_are_told() {
    in_namespace(|| {
        let mut monitor = quiet_monitor(0);
        let port = ifindex("eth1");
        ip("address add 192.0.2.1 peer 192.0.2.2/32 dev eth1");
        wait_for(&mut monitor, |event| {
            *event
                == MonitorEvent::Address(Address {
                    ifindex: port,
                    local: "192.0.2.1".parse().unwrap(),
                    prefix_length: 32,
                    peer: Some("192.0.2.2".parse().unwrap()),
                })
        });
        ip("address delete 10.0.1.1/24 dev eth1");
        let gone = Address {
            ifindex: port,
            local: "10.0.1.1".parse().unwrap(),
            prefix_length: 24,
            peer: None,
        };
        wait_for(&mut monitor, |event| *event == MonitorEvent::AddressGone(gone));
        ip("link set dev eth1 mtu 1400");
        wait_for(&mut monitor, |event| is_link(event, "eth1", |link| link.mtu == 1400));
        ip("link set dev eth1 down");
        wait_for(&mut monitor, |event| is_link(event, "eth1", |link| !link.admin_up));
        ip("link set dev eth1 name renamed");
        wait_for(&mut monitor, |event| is_link(event, "renamed", |link| link.ifindex == port));
        ip("link delete dev renamed");
        wait_for(&mut monitor, |event| *event == MonitorEvent::LinkGone(port));
        ip("link add name eth1 type veth peer name peer1");
        wait_for(&mut monitor, |event| is_link(event, "eth1", |link| link.ifindex != port));
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    in_namespace(|| {
        ip("link add name br0 type bridge");
        let mut monitor = quiet_monitor(0);
        let bridge = ifindex("br0");
        ip("link set dev eth0 master br0");
        wait_for(&mut monitor, |event| is_link(event, "eth0", |link| link.master == Some(bridge)));
        ip("link set dev eth0 nomaster");
        let gone = MonitorEvent::LinkGone(ifindex("eth0"));
        wait_for(&mut monitor, |event| {
            assert_ne!(*event, gone);
            is_link(event, "eth0", |link| link.master.is_none())
        });
        ip("link set dev eth1 mtu 1400");
        wait_for(&mut monitor, |event| {
            assert_ne!(*event, gone);
            is_link(event, "eth1", |link| link.mtu == 1400)
        });
    });
}

#[test]
fn routes_lost_with_the_carrier_are_missing_from_the_snapshot_and_the_backup_stands() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let mut monitor = quiet_monitor(injector.port());
        apply(
            &mut injector,
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth1", "10.0.1.2"),
                put_route(key("10.9.0.1/32", 20), 1),
                put_route(key("10.9.0.1/32", 21), 2),
            ],
        );
        ip("link set dev peer0 down");
        wait_for(&mut monitor, |event| is_link(event, "eth0", |link| !link.carrier));
        let left = snapshot();
        assert_eq!(left.nexthops.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(left.routes, [(key("10.9.0.1/32", 21), Some(RouteTarget::Nexthop(id(2))))]);
        assert!(ip("route get 10.9.0.1").contains("via 10.0.1.2 dev eth1"));
    });
}

#[test]
fn deletions_of_what_is_ours_are_told_unless_we_made_them() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let mut monitor = quiet_monitor(injector.port());
        let four = key("10.9.0.1/32", 20);
        let six = key("2001:db8:9::1/128", 20);
        let ops = || {
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth0", "2001:db8::2"),
                put_route(four, 1),
                put_route(six, 2),
            ]
        };
        apply(&mut injector, ops());
        apply(&mut injector, [four, six].map(|key| FibOp::DelRoute { key }));
        apply(&mut injector, [1, 2].map(|number| FibOp::DelNexthop { id: id(number) }));
        ip("route add 10.7.0.1/32 via 10.0.0.2 proto 188");
        ip("route delete 10.7.0.1/32");
        ip("nexthop add id 77 via 10.0.0.2 dev eth0");
        ip("nexthop delete id 77");
        ip("link set dev eth1 mtu 1400");
        wait_for(&mut monitor, |event| {
            assert_ne!(*event, MonitorEvent::Disturbed);
            is_link(event, "eth1", |link| link.mtu == 1400)
        });

        apply(&mut injector, ops());
        for deletion in
            ["route delete 10.9.0.1/32", "-6 route delete 2001:db8:9::1/128", "nexthop flush"]
        {
            ip(deletion);
            wait_for(&mut monitor, |event| *event == MonitorEvent::Disturbed);
        }
    });
}

#[test]
fn the_deletion_of_an_object_with_an_id_of_ours_is_told_whoever_made_it() {
    in_namespace(|| {
        ip(&format!("nexthop add id {} via 10.0.0.2 dev eth0 proto zebra", id(1).0));
        let mut monitor = quiet_monitor(0);
        ip(&format!("nexthop delete id {}", id(1).0));
        wait_for(&mut monitor, |event| *event == MonitorEvent::Disturbed);
    });
}

#[test]
fn replacements_by_others_are_told_if_they_may_be_of_what_is_ours() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let mut monitor = quiet_monitor(injector.port());
        let four = key("10.9.0.1/32", 110);
        let six = key("2001:db8:9::1/128", 115);
        let default = key("0.0.0.0/0", 110);
        let far = RouteKey { table: TableId(70_000), ..four };
        let ops = || {
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth0", "2001:db8::2"),
                put_route(four, 1),
                put_route(far, 1),
                put_route(default, 1),
                put_route(six, 2),
            ]
        };
        apply(&mut injector, ops());
        apply(&mut injector, ops());
        // What replaces nothing, and what cannot replace a route of ours.
        ip("route replace 10.7.0.1/32 via 10.0.0.2 metric 110");
        ip("route add 10.9.0.1/32 via 10.0.0.2 metric 20");
        ip("route replace 10.9.0.1/32 via 10.0.0.3 metric 20");
        ip("nexthop add id 77 via 10.0.0.2 dev eth0");
        ip("nexthop replace id 77 via 10.0.0.3 dev eth0");
        ip("link set dev eth1 mtu 1400");
        wait_for(&mut monitor, |event| {
            let of_ours = matches!(event, MonitorEvent::Disturbed | MonitorEvent::RouteReplaced(_));
            assert!(!of_ours, "{event:?}");
            is_link(event, "eth1", |link| link.mtu == 1400)
        });

        for (replacement, replaced) in [
            ("route replace 10.9.0.1/32 via 10.0.0.3 metric 110 proto bird", four),
            ("route replace 10.9.0.1/32 via 10.0.0.3 metric 110 proto 182 table 70000", far),
            ("route change default via 10.0.0.3 metric 110", default),
            ("-6 route replace 2001:db8:9::1/128 via 2001:db8::3 metric 115", six),
        ] {
            ip(replacement);
            wait_for(&mut monitor, |event| *event == MonitorEvent::RouteReplaced(replaced));
        }
        apply(&mut injector, ops());
        // With the kernel's default it tells of every route on an object, whoever changes it.
        for compat in ["1\n", "0\n"] {
            std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", compat).unwrap();
            apply(&mut injector, [put_nexthop(1, "eth0", "10.0.0.4")]);
            ip("link set dev eth1 mtu 1400");
            drain(&mut monitor);
            ip(&format!("nexthop replace id {} via 10.0.0.3 dev eth0", id(1).0));
            ip("link set dev eth1 mtu 1500");
            let mut disturbed = false;
            wait_for(&mut monitor, |event| {
                disturbed |= *event == MonitorEvent::Disturbed;
                assert!(!matches!(event, MonitorEvent::RouteReplaced(_)), "{event:?}");
                is_link(event, "eth1", |link| link.mtu == 1500)
            });
            assert!(disturbed);
        }
    });
}

#[test]
fn lost_notifications_lead_to_a_resynchronisation() {
    in_namespace(|| {
        let mut monitor = quiet_monitor(0);
        // More than the socket holds, while nobody reads.
        setsockopt(&monitor, sockopt::RcvBuf, &1).unwrap();
        for host in 1..=20 {
            ip(&format!("address add 10.200.0.{host}/32 dev eth1"));
        }
        ip("address delete 10.200.0.1/32 dev eth1");
        ip("link set dev eth1 mtu 1400");
        wait_for(&mut monitor, |event| *event == MonitorEvent::Resync);
        let events = drain(&mut monitor);
        let synced = events.iter().position(|event| *event == MonitorEvent::Synced).unwrap();
        assert!(links(&events[..synced]).any(|link| link.name == "eth1" && link.mtu == 1400));
        assert!(events[..synced].contains(&address("eth0", "10.0.0.1", 24)));
        assert!(!events[..synced].contains(&address("eth1", "10.200.0.1", 32)));
        for host in 2..=20 {
            let local = format!("10.200.0.{host}");
            assert!(events[..synced].contains(&address("eth1", &local, 32)), "{local}");
        }
    });
}

/// A monitor that has told what exists.
fn quiet_monitor(ours: u32) -> Monitor {
    let mut monitor = Monitor::open(&[ours]).unwrap();
    wait_for(&mut monitor, |event| *event == MonitorEvent::Synced);
    monitor
}

fn drain(monitor: &mut Monitor) -> Vec<MonitorEvent> {
    std::iter::from_fn(|| monitor.poll_event().unwrap()).collect()
}

/// Reads events until one satisfies `is_it`.
fn wait_for(monitor: &mut Monitor, mut is_it: impl FnMut(&MonitorEvent) -> bool) {
    loop {
        while let Some(event) = monitor.poll_event().unwrap() {
            if is_it(&event) {
                return;
            }
        }
        let mut fds = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)), Ok(1), "nothing in 10 s");
    }
}

fn links(events: &[MonitorEvent]) -> impl Iterator<Item = &Link> {
    events.iter().filter_map(|event| match event {
        MonitorEvent::Link(link) => Some(link),
        MonitorEvent::Resync
        | MonitorEvent::LinkGone(_)
        | MonitorEvent::Address(_)
        | MonitorEvent::AddressGone(_)
        | MonitorEvent::Synced
        | MonitorEvent::Disturbed
        | MonitorEvent::RouteReplaced(_) => None,
    })
}

fn is_link(event: &MonitorEvent, name: &str, is_it: impl Fn(&Link) -> bool) -> bool {
    links(std::slice::from_ref(event)).any(|link| link.name == name && is_it(link))
}

fn address(dev: &str, local: &str, prefix_length: u8) -> MonitorEvent {
    let ifindex: IfIndex = ifindex(dev);
    let local = local.parse().unwrap();
    MonitorEvent::Address(Address { ifindex, local, prefix_length, peer: None })
}
