//! Random lives of the engine against a simulated kernel and an oracle that computes anew what should be there.
//!
//! | Module | Holds |
//! |---|---|
//! | `sim_fib` | a forwarding table that behaves like the kernel's and minds the rules |
//! | `world` | an engine with its kernel, the oracle, and the steps of a life |

mod sim_fib;
mod world;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_types::{IfIndex, Nexthop, TableId, Time, VrfId};
use proptest::prelude::*;

use self::sim_fib::Object;
use self::world::{Change, Chaos, LINKS, Step, World, nexthop, prefixes};
use crate::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};
use crate::{Event, Input, Output, Protocol, Rib, Route};

const MAX_STEPS: usize = 60;

fn route_step() -> impl Strategy<Value = Step> {
    let hops = prop::option::weighted(0.8, prop::collection::vec(0..9usize, 0..4));
    (0..2u32, 0..3usize, 0..6usize, hops, backup()).prop_map(
        |(vrf, protocol, prefix, hops, backup)| Step::Route { vrf, protocol, prefix, hops, backup },
    )
}

fn backup() -> impl Strategy<Value = Option<usize>> {
    prop::option::of(0..9usize)
}

/// Several prefixes at once.
fn routes_step() -> impl Strategy<Value = Step> {
    let prefixes = prop::collection::btree_set(0..6usize, 1..7);
    let hops = prop::collection::vec(0..9usize, 1..4);
    (0..2u32, prefixes, hops, backup()).prop_map(|(vrf, prefixes, hops, backup)| Step::Routes {
        vrf,
        prefixes,
        hops,
        backup,
    })
}

fn link_step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        3 => Just(Change::Up),
        1 => Just(Change::CarrierLost),
        1 => Just(Change::SetDown),
        1 => Just(Change::Gone),
    ];
    (1..=LINKS, change).prop_map(|(link, change)| Step::Link { link, change })
}

fn told_step(together: bool) -> impl Strategy<Value = Step> {
    let routes = if together { routes_step().boxed() } else { route_step().boxed() };
    prop_oneof![
        8 => route_step(),
        4 => routes,
        3 => (0..9usize, any::<bool>())
            .prop_map(|(hop, reachable)| Step::Reach { hop, reachable }),
        2 => (0..9usize).prop_map(|hop| Step::Removed { hop, dead: true }),
        1 => (0..2u32, 0..3usize).prop_map(|(vrf, protocol)| Step::Clear { vrf, protocol }),
        2 => (0..2u32, prop::option::weighted(0.8, 100..103u32))
            .prop_map(|(vrf, table)| Step::Vrf { vrf, table }),
        3 => (1..=LINKS, 0..3u8, prop::option::of(0..3u8))
            .prop_map(|(link, host, mac)| Step::Neighbor { link, host, mac }),
        5 => link_step(),
        2 => (0..5000u64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

fn chaos_step() -> impl Strategy<Value = Step> {
    let chaos = prop_oneof![
        3 => (1..=LINKS).prop_map(Chaos::SilentFlap),
        3 => (1..=LINKS, any::<bool>()).prop_map(|(link, up)| Chaos::UntoldLink(link, up)),
        4 => any::<usize>().prop_map(Chaos::Vandal),
        3 => any::<u16>().prop_map(Chaos::Intruder),
        2 => (1..5usize).prop_map(Chaos::Refuse),
        1 => (0..6usize).prop_map(Chaos::SlowReads),
    ]
    .prop_map(Step::Chaos);
    prop_oneof![16 => chaos, 1 => (0..9usize).prop_map(|hop| Step::Removed { hop, dead: false })]
}

fn steps(chaos: bool) -> impl Strategy<Value = Vec<Step>> {
    any::<bool>().prop_flat_map(move |together| steps_of(chaos, together))
}

fn steps_of(chaos: bool, together: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = if chaos {
        prop_oneof![3 => told_step(together), 1 => chaos_step()].boxed()
    } else {
        told_step(together).boxed()
    };
    prop::collection::vec(step, 0..MAX_STEPS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn in_lockstep_every_change_is_legal_and_the_kernel_holds_what_is_wanted(
        steps in steps(false),
        old in any::<bool>(),
    ) {
        let mut world = World::new(true);
        world.without_standby(old);
        for step in steps {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn of_a_kernel_that_is_slow_nothing_is_asked_that_it_would_refuse(
        steps in steps(false),
        speed in 0..4usize,
    ) {
        let mut world = World::new(true);
        world.speed = speed;
        for step in steps {
            world.step(step);
        }
        world.speed = usize::MAX;
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn whatever_happens_behind_its_back_the_kernel_is_repaired(
        steps in steps(true),
        old in any::<bool>(),
    ) {
        let mut world = World::new(false);
        world.without_standby(old);
        for step in steps {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn a_restart_that_finds_what_it_wants_changes_nothing(
        steps in steps_of(true, false),
        old in any::<bool>(),
    ) {
        let mut world = World::new(false);
        world.without_standby(old);
        // An earlier restart can leave two objects for a nexthop, and nobody knows which of them is whose.
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Restart)) {
            world.step(step);
        }
        world.tell(Input::Sweep);
        // A group that is short of a member cannot be told from another one.
        for link in 1..=LINKS {
            world.link(link, Change::Up);
        }
        for hop in 0..9 {
            world.step(Step::Reach { hop, reachable: true });
        }
        // A route without a table takes an object that is found on its nexthop for its own.
        for vrf in 0..2 {
            world.vrf(vrf, Some(100 + vrf));
        }
        world.settle();
        world.assert_in_order();
        let (before, ops) = (world.fib.clone(), world.ops);
        world.restart();
        world.tell(Input::Sweep);
        world.settle();
        prop_assert_eq!(world.ops, ops);
        prop_assert_eq!(world.fib, before);
    }

    #[test]
    fn until_the_sweep_a_restart_deletes_no_route_that_it_finds(
        before in steps(false),
        after in prop::collection::vec(prop_oneof![3 => route_step(), 1 => link_step()], 0..20),
    ) {
        let mut world = World::new(true);
        for step in before {
            world.step(step);
        }
        world.tell(Input::Sweep);
        world.settle();
        let found: Vec<_> = world.fib.routes.keys().copied().collect();
        world.deleted.clear();
        world.oracle.offers.clear();
        world.oracle.neighbors.clear();
        world.restart();
        world.settle();
        let mut touched = BTreeSet::new();
        for step in after {
            if let Step::Route { prefix, .. } = &step {
                touched.insert(prefixes()[*prefix]);
            }
            world.step(step);
        }
        for key in found {
            prop_assert!(touched.contains(&key.prefix) || !world.deleted.contains(&key));
        }
        world.tell(Input::Sweep);
        world.settle();
        world.assert_in_order();
    }

    #[test]
    fn nothing_of_ours_is_left_after_a_flush(
        steps in steps(true),
        after in steps(false),
        sweep in any::<bool>(),
    ) {
        let mut world = World::new(false);
        for step in steps {
            world.step(step);
        }
        if sweep {
            world.tell(Input::Sweep);
        }
        world.tell(Input::Flush);
        for step in after {
            if !matches!(step, Step::Restart) {
                world.step(step);
            }
        }
        world.settle();
        prop_assert_eq!(world.fib.ours().count(), 0);
        prop_assert!(world.fib.routes.is_empty());
        prop_assert!(world.fib.neighbors.is_empty());
    }
}

fn quiet_world() -> World {
    let mut world = World::new(true);
    world.tell(Input::Sweep);
    world
}

fn offer(world: &mut World, prefix: usize, protocol: usize, hops: Option<&[usize]>) {
    let hops = hops.map(<[usize]>::to_vec);
    world.step(Step::Route { vrf: 0, protocol, prefix, hops, backup: None });
}

#[test]
fn the_next_best_protocol_steps_in_before_the_best_goes() {
    let mut world = quiet_world();
    for (protocol, hop) in [(2, 2), (1, 1), (0, 0)] {
        offer(&mut world, 0, protocol, Some(&[hop]));
    }
    let mut ops = Vec::new();
    let changes = vec![(prefixes()[0], None)];
    world.rib.handle(world.now, Input::Routes { vrf: VrfId(0), protocol: Protocol::Host, changes });
    while let Some(output) = world.rib.poll_output() {
        ops.push(output);
    }
    let kinds: Vec<_> = ops
        .iter()
        .map(|output| match output {
            Output::Fib(FibOp::PutNexthop { .. }) => "put nexthop",
            Output::Fib(FibOp::PutGroup { .. }) => "put group",
            Output::Fib(FibOp::PutRoute { key, .. }) if key.metric == 110 => "put ospf route",
            Output::Fib(FibOp::DelRoute { key }) if key.metric == 10 => "delete host route",
            Output::Fib(FibOp::DelNexthop { .. }) => "delete nexthop",
            Output::Fib(_)
            | Output::Divert(_)
            | Output::ReadFib
            | Output::Removable(_)
            | Output::Event(_) => "something else",
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "put nexthop",
            "put group",
            "put ospf route",
            "delete host route",
            "delete nexthop",
            "delete nexthop"
        ]
    );
}

#[test]
fn a_change_of_metric_alone_is_no_business_of_the_kernel() {
    let mut world = quiet_world();
    offer(&mut world, 0, 1, Some(&[0, 1]));
    let ops = world.ops;
    let route = Route {
        metric: 8,
        nexthops: [1, 0, 1].map(|hop| nexthop(prefixes()[0], hop)).into(),
        backup: None,
    };
    let changes = vec![(prefixes()[0], Some(route))];
    world.tell(Input::Routes { vrf: VrfId(0), protocol: Protocol::Ospf, changes });
    assert_eq!(world.ops, ops);
    assert_eq!(world.rib.state().routes(VrfId(0)).next().unwrap().metric, 8);
}

#[test]
fn losing_a_link_asks_for_no_change_and_its_return_for_everything() {
    let mut world = quiet_world();
    for prefix in 0..4 {
        offer(&mut world, prefix, 1, Some(&[0]));
    }
    world.step(Step::Wait(10_000));
    let ops = world.ops;
    world.link(1, Change::CarrierLost);
    assert_eq!(world.ops, ops);
    let (read_at, _) = world.rib.deadline().unwrap();
    assert_eq!(read_at, world.now + Duration::from_secs(1), "and then for a look");
    assert_eq!(world.rib.state().counters().installed, 0);
    world.link(1, Change::Up);
    assert_eq!(world.ops, ops + 6, "one nexthop, its group, four routes");
    world.settle();
    world.assert_in_order();
}

#[test]
fn a_group_that_lost_a_member_gets_it_back_in_one_change() {
    let mut world = quiet_world();
    for prefix in 0..4 {
        offer(&mut world, prefix, 1, Some(&[0, 1]));
    }
    world.link(1, Change::CarrierLost);
    let ops = world.ops;
    world.link(1, Change::Up);
    assert_eq!(world.ops, ops + 2, "the nexthop and the group, no route");
    world.settle();
    world.assert_in_order();
}

#[test]
fn a_gateway_of_the_wrong_family_withdraws_the_route() {
    let mut world = quiet_world();
    offer(&mut world, 0, 1, Some(&[0]));
    let route = Route { metric: 1, nexthops: [nexthop(prefixes()[4], 0)].into(), backup: None };
    let changes = vec![(prefixes()[0], Some(route))];
    world.tell(Input::Routes { vrf: VrfId(0), protocol: Protocol::Ospf, changes });
    assert!(world.fib.routes.is_empty());
    assert_eq!(world.rib.state().routes(VrfId(0)).count(), 0);
}

#[test]
fn nothing_is_put_before_the_first_snapshot() {
    let mut world = World { slowness: 3, ..World::new(true) };
    world.rib = Rib::new();
    world.link(1, Change::Up);
    world.vrf(0, Some(100));
    let ops = world.ops;
    offer(&mut world, 0, 1, Some(&[0]));
    world.step(Step::Neighbor { link: 1, host: 1, mac: Some(1) });
    assert_eq!(world.ops, ops);
    world.slowness = 0;
    world.step(Step::Wait(0));
    assert_eq!(world.ops, ops + 4, "neighbour, nexthop, group and route");
}

#[test]
fn a_snapshot_that_misses_changes_is_not_taken_for_the_truth() {
    let mut world = World { slowness: 2, ..quiet_world() };
    let (both, one) = ([0, 1], [1]);
    offer(&mut world, 0, 1, Some(&both));
    world.tell(Input::Disturbed);
    world.step(Step::Wait(5_000));
    assert_eq!(world.on_the_way.len(), 1);
    // The group goes after the snapshot that shows it was taken. In lockstep it panics if a route is put on what is gone.
    offer(&mut world, 0, 1, Some(&one));
    offer(&mut world, 1, 1, Some(&one));
    assert_eq!(world.on_the_way.len(), 0);
    offer(&mut world, 0, 1, Some(&both));
}

#[test]
fn a_route_that_another_program_replaced_is_put_back_told_of_once_and_counted() {
    let mut world = quiet_world();
    let told_of = |world: &mut World, key| {
        world.events.clear();
        world.tell(Input::Replaced(key));
        world.events.contains(&Event::Replaced { key })
    };
    for prefix in [0, 4] {
        offer(&mut world, prefix, 1, Some(&[0]));
    }
    let ours: Vec<RouteKey> = world.fib.routes.keys().copied().collect();
    let first = ours[0];
    for key in [
        RouteKey { metric: 20, ..first },
        RouteKey { metric: Protocol::Isis.kernel_metric(), ..first },
        RouteKey { table: TableId::MAIN, ..first },
        RouteKey { prefix: prefixes()[1], ..first },
    ] {
        assert!(!told_of(&mut world, key), "{key:?} is not ours");
    }
    assert_eq!(world.rib.deadline(), None);

    for key in &ours {
        world.fib.routes.remove(key);
    }
    assert!(told_of(&mut world, first));
    assert!(!told_of(&mut world, ours[1]), "once is enough until it is put right");
    assert_eq!(world.rib.state().counters().replaced, 2);
    world.settle();
    world.assert_in_order();
    assert_eq!(world.fib.routes.len(), 2);
    assert!(told_of(&mut world, first));
}

#[test]
fn when_all_ids_have_been_used_freed_ones_are_used_again_and_none_that_is_taken() {
    let mut world = quiet_world();
    // Each way takes two ids: its own and its group's. The first stays.
    offer(&mut world, 1, 1, Some(&[0]));
    let taken: Vec<NexthopId> = world.fib.ours().map(|(id, _)| *id).collect();
    let ids = NexthopId::RANGE.end() - NexthopId::RANGE.start() + 1;
    for number in 0..ids / 2 + 100 {
        let gateway = Ipv4Addr::from(0xC612_0000 + number);
        let hop = Nexthop::via(IfIndex(1), gateway.into());
        let route = Route { metric: 1, nexthops: [hop].into(), backup: None };
        let changes = vec![(prefixes()[0], Some(route))];
        world.tell(Input::Routes { vrf: VrfId(0), protocol: Protocol::Ospf, changes });
        world.log.clear();
    }
    assert!(world.ops > ids as usize);
    let kept = world.fib.ours().filter(|(id, _)| taken.contains(id)).count();
    assert_eq!((kept, world.fib.ours().count()), (taken.len(), taken.len() + 2));
    offer(&mut world, 0, 1, Some(&[0, 1]));
    world.assert_in_order();
}

#[test]
fn what_a_former_run_left_in_a_table_of_its_own_is_found() {
    let mut world = quiet_world();
    offer(&mut world, 0, 1, Some(&[0, 1]));
    assert!(world.fib.routes.keys().all(|key| key.table == TableId(100)));
    world.oracle.tables.insert(VrfId(0), TableId(102));
    world.restart();
    world.tell(Input::Sweep);
    world.settle();
    assert_eq!(world.fib.routes.len(), 1);
    assert!(world.fib.routes.keys().all(|key| key.table == TableId(102)));
    world.assert_in_order();
}

#[test]
fn a_storm_of_failures_asks_for_one_read() {
    let mut rib = Rib::new();
    let now = Time::from_secs(1);
    rib.handle(now, Input::Vrf { vrf: VrfId(0), table: Some(TableId(100)) });
    assert_eq!(rib.poll_output(), Some(Output::ReadFib));
    rib.handle(now, Input::Snapshot(FibSnapshot::default()));
    for id in 0..1000 {
        let op = FibOp::DelNexthop { id: NexthopId(NexthopId::RANGE.start() + id) };
        rib.handle(now, Input::Failed { op, reason: "ENOENT".into() });
    }
    let (at, _) = rib.deadline().unwrap();
    rib.handle(at, Input::Tick);
    let outputs: Vec<_> = std::iter::from_fn(|| rib.poll_output()).collect();
    let reads = outputs.iter().filter(|output| matches!(output, Output::ReadFib)).count();
    let events = outputs.iter().filter(|output| matches!(output, Output::Event(_))).count();
    assert_eq!((reads, events), (1, 2), "one read; the comparison and the first failure are told");
    assert_eq!(rib.state().counters().failures, 1000);
}

#[test]
fn a_neighbour_is_put_again_when_its_link_returns() {
    for change in [Change::CarrierLost, Change::SetDown, Change::Gone] {
        let mut world = quiet_world();
        world.step(Step::Neighbor { link: 1, host: 1, mac: Some(1) });
        let before = world.fib.neighbors.clone();
        assert_eq!(before.len(), 1);
        world.link(1, change);
        world.link(1, Change::Up);
        assert_eq!(world.fib.neighbors, before);

        // And one that is given up meanwhile does not outlive the link.
        world.link(1, change);
        world.step(Step::Neighbor { link: 1, host: 1, mac: None });
        assert!(world.fib.neighbors.is_empty());
        assert_eq!(world.rib.state().counters().neighbors, 0);
    }
}

#[test]
fn what_was_led_elsewhere_when_the_kernel_had_deleted_it_is_put_again() {
    let mut world = World { lockstep: false, ..quiet_world() };
    offer_all(&mut world, 4, &[0], None);
    let link = nexthop(prefixes()[0], 0).ifindex;
    world.fib.carrier_lost(link);
    assert!(world.fib.routes.is_empty());
    // The protocol is quicker than the news of the link, and takes what is not there any more to another path.
    offer_all(&mut world, 4, &[1], None);
    assert!(world.fib.routes.is_empty());
    world.tell(Input::Link { ifindex: link, usable: false });
    assert_eq!(world.fib.routes.len(), 4);
    world.settle();
    world.assert_in_order();
}

#[test]
fn whoever_is_first_to_know_of_a_lost_link_no_route_is_put_again() {
    let mut world = World { lockstep: false, ..quiet_world() };
    offer_all(&mut world, 4, &[0], Some(1));
    let link = nexthop(prefixes()[0], 0).ifindex;
    world.fib.carrier_lost(link);
    let before = world.ops;
    world.step(Step::Reach { hop: 0, reachable: false });
    world.tell(Input::Link { ifindex: link, usable: false });
    assert_eq!(world.ops, before + 2, "the group, and to tidy up");
    world.settle();
    world.assert_in_order();
}

#[test]
fn nothing_is_asked_of_an_interface_that_is_gone() {
    let mut world = quiet_world();
    world.step(Step::Neighbor { link: 1, host: 1, mac: Some(1) });
    offer(&mut world, 0, 0, Some(&[6]));
    world.link(1, Change::Gone);
    let ops = world.ops;
    world.step(Step::Neighbor { link: 1, host: 1, mac: None });
    offer(&mut world, 0, 0, None);
    assert_eq!(world.ops, ops);
}

/// Where a target leads, and what stands by.
fn led(world: &World, target: RouteTarget) -> (Vec<Nexthop>, Option<Nexthop>) {
    let (hops, standby) = world.fib.resolve(target);
    (hops.into_iter().collect(), standby)
}

/// Offers the first prefixes, all of one family, one path in one event; returns what the kernel was asked for.
fn offer_all(world: &mut World, count: usize, hops: &[usize], backup: Option<usize>) -> Vec<FibOp> {
    let before = world.log.len();
    let (prefixes, hops) = ((0..count).collect(), hops.to_vec());
    world.step(Step::Routes { vrf: 0, prefixes, hops, backup });
    world.log.split_off(before)
}

#[test]
fn a_router_out_of_reach_costs_one_change_for_all_its_routes() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0], Some(1));
    world.settle();
    let ops = world.log.len();
    world.step(Step::Reach { hop: 0, reachable: false });
    let moved = world.log.split_off(ops);
    assert!(
        matches!(&moved[..], [FibOp::PutGroup { .. }, FibOp::DelNexthop { .. }]),
        "and one to tidy up: {moved:?}"
    );
    let to = nexthop(prefixes()[0], 1);
    assert!(world.fib.routes.values().all(|target| led(&world, *target) == (vec![to], None)));
    world.assert_in_order();
    world.step(Step::Reach { hop: 0, reachable: true });
    let back = world.log.split_off(ops);
    assert!(
        matches!(&back[..], [FibOp::PutNexthop { .. }, FibOp::PutGroup { .. }]),
        "and as much to lead them back: {back:?}"
    );
    world.assert_in_order();
}

#[test]
fn traffic_is_led_round_a_router_before_anything_else_that_a_slow_kernel_was_asked_for() {
    let mut world = quiet_world();
    offer_all(&mut world, 2, &[0], Some(1));
    world.settle();
    world.speed = 0;
    offer_all(&mut world, 4, &[0], Some(1));
    world.speed = 1;
    let ops = world.log.len();
    world.step(Step::Reach { hop: 0, reachable: false });
    assert!(matches!(world.log.get(ops), Some(FibOp::PutGroup { .. })), "{:?}", world.log.get(ops));
    let to = nexthop(prefixes()[0], 1);
    assert!(world.fib.routes.values().all(|target| led(&world, *target) == (vec![to], None)));
    world.speed = usize::MAX;
    world.settle();
    world.assert_in_order();
}

#[test]
fn many_routes_that_come_or_go_are_scattered() {
    let mut world = quiet_world();
    let put: Vec<_> = offer_all(&mut world, 4, &[0], Some(1))
        .iter()
        .filter_map(|op| if let FibOp::PutRoute { key, .. } = op { Some(key.prefix) } else { None })
        .collect();
    assert_eq!(put.len(), 4);
    assert!(!put.is_sorted() && !put.iter().rev().is_sorted(), "{put:?}");
    let before = world.log.len();
    world.tell(Input::Flush);
    let gone: Vec<_> = world.log[before..]
        .iter()
        .filter_map(|op| if let FibOp::DelRoute { key } = op { Some(key.prefix) } else { None })
        .collect();
    assert_eq!(gone, put);
}

#[test]
fn a_group_does_without_a_router_out_of_reach_in_one_change() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0, 1], None);
    let ops = world.log.len();
    world.step(Step::Reach { hop: 0, reachable: false });
    let moved = world.log.split_off(ops);
    assert!(
        matches!(&moved[..], [FibOp::PutGroup { group, .. }, FibOp::DelNexthop { .. }]
            if group.all().count() == 1),
        "{moved:?}"
    );
    world.assert_in_order();
}

#[test]
fn when_nothing_else_is_left_a_router_out_of_reach_is_tried_all_the_same() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0], None);
    let ops = world.log.len();
    world.step(Step::Reach { hop: 0, reachable: false });
    assert_eq!(world.log.len(), ops);
}

#[test]
fn the_kernel_goes_over_to_the_backup_by_itself_when_a_link_goes() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0], Some(1));
    let [hop, backup] = [0, 1].map(|index| nexthop(prefixes()[0], index));
    assert_eq!(world.fib.routes.len(), 4);
    assert!(
        world.fib.routes.values().all(|target| led(&world, *target) == (vec![hop], Some(backup)))
    );
    let ops = world.log.len();
    world.link(1, Change::CarrierLost);
    assert_eq!(world.fib.routes.len(), 4);
    assert!(world.fib.routes.values().all(|target| led(&world, *target) == (vec![backup], None)));
    // The protocol catches up: what stood by becomes the route.
    offer_all(&mut world, 4, &[1], None);
    assert_eq!(world.log.len(), ops, "nobody had to say anything");
    world.settle();
    world.assert_in_order();
}

#[test]
fn whoever_removes_a_router_that_does_not_answer_has_led_all_prefixes_round_it() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0], Some(1));
    let [hop, backup] = [0, 1].map(|index| nexthop(prefixes()[0], index));
    let routers: Vec<_> = world.removable.keys().copied().collect();
    let both = [hop, backup].map(|hop| (hop.ifindex, hop.gateway.unwrap()));
    assert_eq!(routers, both);
    let ops = world.log.len();
    world.step(Step::Removed { hop: 0, dead: true });
    assert_eq!(world.log.len(), ops, "it is done already");
    assert_eq!(world.fib.routes.len(), 4);
    assert!(world.fib.routes.values().all(|target| led(&world, *target) == (vec![backup], None)));
    assert!(world.removable.is_empty(), "now all depends on the backup");
    world.step(Step::Reach { hop: 0, reachable: true });
    assert!(
        world.fib.routes.values().all(|target| led(&world, *target) == (vec![hop], Some(backup)))
    );
    world.settle();
    world.assert_in_order();
}

#[test]
fn where_no_member_can_stand_by_routes_are_put_again_on_their_backup() {
    let mut world = quiet_world();
    world.without_standby(true);
    offer_all(&mut world, 4, &[0], Some(1));
    world.link(1, Change::CarrierLost);
    let backup = nexthop(prefixes()[0], 1);
    assert_eq!(world.fib.routes.len(), 4);
    assert!(world.fib.routes.values().all(|target| led(&world, *target) == (vec![backup], None)));
    world.settle();
    world.assert_in_order();
}

#[test]
fn a_group_of_another_kind_under_an_id_of_ours_is_left_for_one_of_our_own() {
    let mut world = quiet_world();
    offer_all(&mut world, 4, &[0, 1], None);
    // As a former release left it.
    for object in world.fib.objects.values_mut() {
        if let Object::Group(members, None) = object {
            *object = Object::Other(members.clone());
        }
    }
    world.restart();
    world.tell(Input::Sweep);
    world.settle();
    assert!(!world.fib.objects.values().any(|object| matches!(object, Object::Other(_))));
    world.assert_in_order();
}

#[test]
fn a_topology_change_moves_all_prefixes_behind_it_by_one_change() {
    for (from, to) in [(&[0][..], &[1][..]), (&[0, 1], &[1]), (&[0, 1], &[1, 2])] {
        let mut world = quiet_world();
        offer_all(&mut world, 4, from, None);
        let ops = offer_all(&mut world, 4, to, None);
        let routes = ops.iter().filter(|op| matches!(op, FibOp::PutRoute { .. })).count();
        assert_eq!(routes, 0, "{from:?} to {to:?}: {ops:?}");
        world.settle();
        world.assert_in_order();
    }
}

#[test]
fn who_stays_behind_is_led_to_another_object_before_the_rest_moves() {
    let mut world = quiet_world();
    // One more in another VRF.
    world.step(Step::Route { vrf: 1, protocol: 1, prefix: 0, hops: Some(vec![0]), backup: None });
    let first = offer_all(&mut world, 4, &[0], None);
    let group = |op: &FibOp| -> Option<Group> {
        if let FibOp::PutGroup { group, .. } = op { Some(group.clone()) } else { None }
    };
    let old = world.log.iter().chain(&first).find_map(group).unwrap();
    let ops = offer_all(&mut world, 4, &[1], None);
    let kinds: Vec<_> = ops
        .iter()
        .map(|op| match op {
            FibOp::PutGroup { group, .. } if *group == old => "old",
            FibOp::PutGroup { .. } => "turn",
            FibOp::PutNexthop { .. } => "where to",
            FibOp::PutRoute { key, .. } if key.table == TableId(101) => "who stays",
            FibOp::DelNexthop { .. }
            | FibOp::PutRoute { .. }
            | FibOp::DelRoute { .. }
            | FibOp::PutNeighbor { .. }
            | FibOp::DelNeighbor { .. } => "what is not needed",
        })
        .collect();
    assert_eq!(kinds, ["old", "who stays", "where to", "turn"]);
    world.settle();
    world.assert_in_order();
}
