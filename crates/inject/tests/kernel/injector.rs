//! What goes into the kernel, seen by iproute2 and by a snapshot.

use std::collections::BTreeSet;

use bugle_inject::Injector;
use bugle_rib::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix, TableId};
use nix::sys::socket::{setsockopt, sockopt};

use crate::namespace::{
    apply, id, ifindex, in_namespace, ip, key, put_group, put_nexthop, put_on_link, put_route,
    snapshot, try_apply,
};

#[test]
fn every_change_can_be_repeated() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        let address = "10.0.0.9".parse().unwrap();
        let port = ifindex("eth0");
        let puts = || {
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth1", "10.0.1.2"),
                put_group(3, &[1, 2]),
                put_route(key("10.9.0.1/32", 20), 3),
                FibOp::PutRoute { key: key("10.9.0.2/32", 20), target: RouteTarget::Blackhole },
                FibOp::PutNeighbor { ifindex: port, address, mac },
            ]
        };
        apply(&mut injector, puts());
        let once = snapshot();
        apply(&mut injector, puts());
        assert_eq!(snapshot(), once);
        let group = Group { members: [id(1), id(2)].into(), standby: None };
        assert_eq!(once.groups, [(id(3), group)]);
        assert_eq!(
            once.routes,
            [
                (key("10.9.0.1/32", 20), Some(RouteTarget::Nexthop(id(3)))),
                (key("10.9.0.2/32", 20), Some(RouteTarget::Blackhole)),
            ]
        );
        assert_eq!(once.neighbors, [(port, address, mac)]);

        let deletions = || {
            [
                FibOp::DelRoute { key: key("10.9.0.1/32", 20) },
                FibOp::DelRoute { key: key("10.9.0.2/32", 20) },
                FibOp::DelNexthop { id: id(3) },
                FibOp::DelNexthop { id: id(2) },
                FibOp::DelNexthop { id: id(1) },
                FibOp::DelNeighbor { ifindex: port, address },
            ]
        };
        apply(&mut injector, deletions());
        apply(&mut injector, deletions());
        assert_eq!(snapshot(), FibSnapshot::default());
    });
}

#[test]
fn iproute2_sees_what_was_put() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        apply(
            &mut injector,
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth1", "192.0.2.77"),
                put_nexthop(3, "eth0", "fe80::2"),
                put_group(4, &[1, 2]),
                put_route(key("10.9.0.1/32", 20), 4),
                put_route(key("0.0.0.0/0", 30), 1),
                put_route(key("2001:db8:9::1/128", 20), 3),
                FibOp::PutNeighbor {
                    ifindex: ifindex("eth0"),
                    address: "10.0.0.9".parse().unwrap(),
                    mac,
                },
                FibOp::PutNeighbor {
                    ifindex: ifindex("eth0"),
                    address: "2001:db8::9".parse().unwrap(),
                    mac,
                },
            ],
        );
        let number = id(4).0;
        let route = ip("route show 10.9.0.1");
        assert!(route.contains(&format!("nhid {number} proto 182 metric 20")), "{route}");
        assert!(route.contains("nexthop via 10.0.0.2 dev eth0 weight 256"), "{route}");
        assert!(route.contains("nexthop via 192.0.2.77 dev eth1 weight 256 onlink"), "{route}");
        let default = ip("route show default");
        assert!(default.contains("via 10.0.0.2 dev eth0 proto 182 metric 30"), "{default}");
        let six = ip("-6 route show 2001:db8:9::1");
        assert!(six.contains("via fe80::2 dev eth0 proto 182 metric 20"), "{six}");
        let neighbors = ip("neigh show proto 182");
        assert!(neighbors.contains("10.0.0.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT"));
        assert!(neighbors.contains("2001:db8::9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT"));
    });
}

#[test]
fn repointing_a_nexthop_moves_the_routes_that_use_it() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        apply(
            &mut injector,
            [put_nexthop(1, "eth0", "10.0.0.2"), put_route(key("10.9.0.1/32", 20), 1)],
        );
        assert!(ip("route get 10.9.0.1").contains("via 10.0.0.2 dev eth0"));
        apply(&mut injector, [put_nexthop(1, "eth1", "10.0.1.2")]);
        assert!(ip("route get 10.9.0.1").contains("via 10.0.1.2 dev eth1"));
        // Also to where there is no gateway, and back.
        apply(&mut injector, [put_on_link(1, "eth0")]);
        assert!(ip("route get 10.9.0.1").starts_with("10.9.0.1 dev eth0"));
        apply(&mut injector, [put_nexthop(1, "eth1", "10.0.1.2")]);
        assert!(ip("route get 10.9.0.1").contains("via 10.0.1.2 dev eth1"));
    });
}

#[test]
fn a_route_is_identified_by_its_metric_too() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        for (prefix, gateways) in [
            ("10.9.0.1/32", ["10.0.0.2", "10.0.0.3"]),
            ("2001:db8:9::1/128", ["2001:db8::2", "2001:db8::3"]),
        ] {
            apply(
                &mut injector,
                [
                    put_nexthop(1, "eth0", gateways[0]),
                    put_nexthop(2, "eth0", gateways[1]),
                    put_route(key(prefix, 20), 1),
                    put_route(key(prefix, 21), 2),
                ],
            );
            apply(&mut injector, [FibOp::DelRoute { key: key(prefix, 20) }]);
            let left = (key(prefix, 21), Some(RouteTarget::Nexthop(id(2))));
            assert_eq!(snapshot().routes, [left]);
            apply(
                &mut injector,
                [
                    FibOp::PutRoute { key: key(prefix, 21), target: RouteTarget::Blackhole },
                    put_route(key(prefix, 20), 1),
                    put_route(key(prefix, 21), 2),
                ],
            );
            assert_eq!(
                snapshot().routes,
                [(key(prefix, 20), Some(RouteTarget::Nexthop(id(1)))), left]
            );
            apply(
                &mut injector,
                [20, 21].map(|metric| FibOp::DelRoute { key: key(prefix, metric) }),
            );
            assert_eq!(snapshot().routes, []);
        }
    });
}

#[test]
fn a_nexthop_without_gateway_serves_both_families() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        apply(
            &mut injector,
            [
                put_on_link(1, "eth0"),
                put_route(key("10.9.0.1/32", 20), 1),
                put_route(key("2001:db8:9::1/128", 20), 1),
            ],
        );
        assert!(ip("route get 10.9.0.1").starts_with("10.9.0.1 dev eth0"));
        assert!(ip("route get 2001:db8:9::1").contains(" dev eth0"));
        let nexthop = Nexthop::on_link(ifindex("eth0"));
        assert_eq!(snapshot().nexthops, [(id(1), nexthop)]);
    });
}

#[test]
fn a_nexthop_without_gateway_works_where_ipv6_is_disabled() {
    in_namespace(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
        let mut injector = Injector::open().unwrap();
        apply(
            &mut injector,
            [
                put_nexthop(2, "eth1", "10.0.1.2"),
                put_on_link(1, "eth0"),
                put_route(key("10.9.0.1/32", 20), 1),
                put_on_link(3, "eth1"),
                put_route(key("2001:db8:9::1/128", 20), 3),
            ],
        );
        assert!(ip("route get 10.9.0.1").starts_with("10.9.0.1 dev eth0"));
        assert!(ip("route get 2001:db8:9::1").contains(" dev eth1"));
        let failures = try_apply(&mut injector, [put_route(key("2001:db8:9::2/128", 20), 1)]);
        assert!(failures[0].1.contains("IPv6 routes can not use an IPv4 nexthop"), "{failures:?}");
    });
}

#[test]
fn a_change_that_fails_is_told_with_its_reason_and_the_others_are_made() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let good = |n: u8| put_route(key(&format!("10.9.0.{n}/32"), 20), 1);
        let missing = |n: u8| put_route(key(&format!("10.8.0.{n}/32"), 20), 7);
        let foreign = FibOp::DelNexthop { id: NexthopId(7) };
        let gone = FibOp::PutNexthop { id: id(5), nexthop: Nexthop::on_link(IfIndex(9999)) };
        let crowd = FibOp::PutGroup {
            id: id(6),
            group: Group { members: vec![id(1); 10_000].into(), standby: None },
        };
        let failures = try_apply(
            &mut injector,
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                missing(1),
                good(1),
                foreign.clone(),
                gone.clone(),
                good(2),
                crowd.clone(),
                missing(2),
                good(3),
                missing(3),
            ],
        );
        let expected = [
            (missing(1), "Nexthop id does not exist"),
            (foreign, "outside bugle's range"),
            (gone, "Invalid device index"),
            (crowd, "a group of 10000 nexthops is too large"),
            (missing(2), "Nexthop id does not exist"),
            (missing(3), "Nexthop id does not exist"),
        ];
        assert_eq!(failures.len(), expected.len(), "{failures:?}");
        for ((op, reason), (expected_op, expected_reason)) in failures.into_iter().zip(expected) {
            assert_eq!(op, expected_op);
            assert!(reason.contains(expected_reason), "{op:?}: {reason}");
        }
        assert_eq!(snapshot().routes.len(), 3);
    });
}

#[test]
fn a_batch_that_fails_from_end_to_end_is_told_completely() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let routes = host_routes(5_000).map(|key| put_route(key, 7));
        let failures = try_apply(&mut injector, routes.clone());
        assert!(failures.iter().map(|(op, _)| op).eq(&routes.collect::<Vec<_>>()));
    });
}

#[test]
fn answers_that_were_lost_are_asked_for_again() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        // Room for a few answers only.
        setsockopt(&injector, sockopt::RcvBuf, &1).unwrap();
        let bad = host_routes(600).map(|key| put_route(key, 7));
        let good = host_routes(600).map(|key| put_route(RouteKey { metric: 30, ..key }, 1));
        let nexthop = put_nexthop(1, "eth0", "10.0.0.2");
        let ops = std::iter::once(nexthop).chain(bad.clone()).chain(good);
        let failures = try_apply(&mut injector, ops);
        assert!(failures.iter().map(|(op, _)| op).eq(&bad.collect::<Vec<_>>()));
        assert_eq!(snapshot().routes.len(), 600);
    });
}

#[test]
fn a_budget_bounds_the_work_and_the_order_is_kept() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        injector.submit(put_nexthop(1, "eth0", "10.0.0.2"));
        host_routes(1_000).for_each(|key| injector.submit(put_route(key, 1)));
        injector.run(1).unwrap();
        assert_eq!(injector.pending(), 1_000);
        injector.run(300).unwrap();
        assert_eq!((injector.pending(), snapshot().routes.len()), (700, 300));
        injector.run(0).unwrap();
        assert_eq!(injector.pending(), 700);
        injector.run(usize::MAX).unwrap();
        assert_eq!(injector.poll_failure().map(|(op, _)| op), None);
        assert_eq!(snapshot().routes.len(), 1_000);
    });
}

#[test]
fn ten_thousand_routes_are_added_replaced_and_deleted() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        apply(
            &mut injector,
            [put_nexthop(1, "eth0", "10.0.0.2"), put_nexthop(2, "eth1", "10.0.1.2")],
        );
        for nexthop in [1, 2] {
            apply(&mut injector, host_routes(10_000).map(|key| put_route(key, nexthop)));
            let expected: Vec<_> = host_routes(10_000)
                .map(|key| (key, Some(RouteTarget::Nexthop(id(nexthop)))))
                .collect();
            assert_eq!(snapshot().routes, expected);
        }
        apply(&mut injector, host_routes(10_000).map(|key| FibOp::DelRoute { key }));
        assert_eq!(snapshot().routes, []);
    });
}

#[test]
fn a_snapshot_holds_only_what_is_ours_in_the_tables_asked_for() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        ip("nexthop add id 77 via 10.0.0.2 dev eth0");
        ip("route add 10.7.0.1/32 nhid 77 proto 188");
        ip("-6 route add 2001:db8:7::1/128 via 2001:db8::2 proto 188");
        ip("neigh add 10.0.0.7 dev eth0 lladdr 02:00:00:00:00:07 nud permanent");
        let main = key("10.9.0.1/32", 20);
        let vrf = |table, prefix| RouteKey { table: TableId(table), ..key(prefix, 20) };
        let (small, large) = (vrf(100, "10.9.0.1/32"), vrf(70_000, "2001:db8:9::1/128"));
        apply(
            &mut injector,
            [put_on_link(1, "eth0"), put_route(main, 1), put_route(small, 1), put_route(large, 1)],
        );
        let snapshot = bugle_inject::snapshot().unwrap();
        assert_eq!(snapshot.nexthops.len(), 1);
        assert_eq!(snapshot.neighbors, []);
        let found: BTreeSet<_> = snapshot.routes.into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, BTreeSet::from([main, small, large]));

        // Deleting by key leaves another daemon's route of the same prefix and metric alone.
        ip("route add 10.9.0.2/32 nhid 77 proto 188 metric 20");
        apply(&mut injector, [FibOp::DelRoute { key: key("10.9.0.2/32", 20) }]);
        assert!(ip("route show 10.9.0.2").contains("proto ospf"));
    });
}

#[test]
fn what_a_previous_run_left_is_found_and_taken_over() {
    in_namespace(|| {
        let mut before = Injector::open().unwrap();
        apply(
            &mut before,
            [
                put_nexthop(1, "eth0", "10.0.0.2"),
                put_nexthop(2, "eth1", "10.0.1.2"),
                put_group(3, &[1, 2]),
                put_route(key("10.9.0.1/32", 20), 3),
                put_route(key("10.9.0.2/32", 20), 1),
            ],
        );
        drop(before);
        let found = snapshot();
        let expected: Vec<(NexthopId, Nexthop)> = vec![
            (id(1), Nexthop::via(ifindex("eth0"), "10.0.0.2".parse().unwrap())),
            (id(2), Nexthop::via(ifindex("eth1"), "10.0.1.2".parse().unwrap())),
        ];
        assert_eq!(found.nexthops, expected);
        assert_eq!(found.routes.len(), 2);

        let mut after = Injector::open().unwrap();
        let sweep = found.routes.iter().map(|(key, _)| FibOp::DelRoute { key: *key });
        apply(&mut after, sweep);
        apply(&mut after, [3, 1, 2].map(|number| FibOp::DelNexthop { id: id(number) }));
        assert_eq!(snapshot(), FibSnapshot::default());
    });
}

#[test]
fn what_goes_with_a_deleted_interface_can_still_be_deleted() {
    in_namespace(|| {
        let mut injector = Injector::open().unwrap();
        let port = ifindex("eth0");
        let address = "10.0.0.9".parse().unwrap();
        apply(
            &mut injector,
            [
                put_on_link(1, "eth0"),
                put_route(key("10.9.0.1/32", 20), 1),
                FibOp::PutNeighbor { ifindex: port, address, mac: Mac([2; 6]) },
            ],
        );
        ip("link delete dev eth0");
        assert_eq!(snapshot(), FibSnapshot::default());
        apply(
            &mut injector,
            [
                FibOp::DelRoute { key: key("10.9.0.1/32", 20) },
                FibOp::DelNexthop { id: id(1) },
                FibOp::DelNeighbor { ifindex: port, address },
            ],
        );
    });
}

/// `count` /32 prefixes in ascending order.
fn host_routes(count: u32) -> impl Iterator<Item = RouteKey> + Clone {
    (0..count).map(|n| {
        let address = std::net::Ipv4Addr::from(0x0B00_0000 + n);
        RouteKey { table: TableId::MAIN, prefix: Prefix::host(address.into()), metric: 20 }
    })
}
