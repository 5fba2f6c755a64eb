//! What the driver does and tells, one thing at a time.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bugle_rib::fib::{FibOp, NexthopId, RouteKey, RouteTarget};
use bugle_speaker::{HostRefusal, Output};
use bugle_types::{Address, IfIndex, Nexthop, TableId};

use crate::namespace::{Namespace, pair, possible};
use crate::script::{Actor, Told, block_on};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ALL_SPF_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 5);
const ALL_D_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 6);

fn send(ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr, bytes: &[u8]) -> Output {
    Output::SendOspf { ifindex, src, dst, bytes: bytes.to_vec() }
}

#[test]
fn the_engine_is_told_what_exists_and_what_changes() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let eth0 = a.ifindex("eth0");
    let actor = Actor::start_unsynced(&a);
    assert_eq!(actor.wait_for(|_| true).1, Told::Resync);
    actor.wait_for(|told| matches!(told, Told::Link(link) if link.name == "eth0" && link.is_up()));
    let address = |local: Ipv4Addr| Address {
        ifindex: eth0,
        local: IpAddr::from(local),
        prefix_length: 24,
        peer: None,
    };
    actor.wait_for(|told| *told == Told::Address(address(A)));
    actor.wait_for(|told| *told == Told::Synced);

    let second = Ipv4Addr::new(10, 0, 7, 1);
    a.ip("address add 10.0.7.1/24 dev eth0");
    actor.wait_for(|told| *told == Told::Address(address(second)));
    a.ip("address delete 10.0.7.1/24 dev eth0");
    actor.wait_for(|told| *told == Told::AddressGone(address(second)));
    b.ip("link set dev eth0 down");
    actor
        .wait_for(|told| matches!(told, Told::Link(link) if link.ifindex == eth0 && !link.carrier));
    b.ip("link delete dev eth0");
    actor.wait_for(|told| *told == Told::LinkGone(eth0));
    actor.stop();
}

#[test]
fn packets_arrive_with_their_addresses_and_not_at_their_sender() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let (sender, receiver) = (Actor::start(&a), Actor::start(&b));
    let (out, into) = (a.ifindex("eth0"), b.ifindex("eth0"));
    sender.ask([Output::OpenOspf(out)]);
    receiver.ask([Output::OpenOspf(into)]);
    // The last is fragmented on the way.
    let large = vec![7; 5_000];
    sender.ask([
        send(out, A, ALL_SPF_ROUTERS, b"multicast"),
        send(out, A, B, b"unicast"),
        send(out, A, ALL_SPF_ROUTERS, &large),
    ]);
    assert_eq!(receiver.packet(), (A, ALL_SPF_ROUTERS, b"multicast".to_vec()));
    assert_eq!(receiver.packet(), (A, B, b"unicast".to_vec()));
    assert_eq!(receiver.packet(), (A, ALL_SPF_ROUTERS, large));
    receiver.ask([send(into, B, ALL_SPF_ROUTERS, b"answer")]);
    // Not our own.
    assert_eq!(sender.packet(), (B, ALL_SPF_ROUTERS, b"answer".to_vec()));
    assert_eq!(sender.handle.counters().sent.value(), 3);
    assert_eq!(receiver.handle.counters().received.value(), 3);
}

#[test]
fn packets_carry_precedence_internetwork_control_and_die_at_the_next_router() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let sender = Actor::start(&a);
    let out = a.ifindex("eth0");
    let mut socket = b.run(|| {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(89))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    });
    let mut buffer = [0; 100];
    sender.ask([Output::OpenOspf(out), send(out, A, B, b"unicast")]);
    let length = socket.read(&mut buffer).unwrap();
    let header = &buffer[..20];
    assert_eq!(&buffer[20..length], b"unicast");
    assert_eq!((header[1], header[8], header[9]), (0xC0, 1, 89));

    b.ip("route add 224.0.0.0/4 dev eth0");
    let receiver = Actor::start(&b);
    receiver.ask([Output::OpenOspf(b.ifindex("eth0"))]);
    sender.ask([send(out, A, ALL_SPF_ROUTERS, b"multicast")]);
    let length = socket.read(&mut buffer).unwrap();
    assert_eq!(&buffer[20..length], b"multicast");
    assert_eq!((buffer[1], buffer[8]), (0xC0, 1));
}

#[test]
fn designated_routers_hear_their_group_and_others_do_not() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let (sender, receiver) = (Actor::start(&a), Actor::start(&b));
    let (out, ifindex) = (a.ifindex("eth0"), b.ifindex("eth0"));
    sender.ask([Output::OpenOspf(out)]);
    receiver.ask([Output::OpenOspf(ifindex)]);
    let both =
        |text: &[u8]| [send(out, A, ALL_D_ROUTERS, text), send(out, A, ALL_SPF_ROUTERS, b"to all")];
    let join = |join| Output::AllDRouters { ifindex, join };
    sender.ask(both(b"before"));
    assert_eq!(receiver.packet().2, b"to all");
    // Twice is once.
    receiver.ask([join(true), join(true)]);
    sender.ask(both(b"while"));
    assert_eq!(receiver.packet().2, b"while");
    assert_eq!(receiver.packet().2, b"to all");
    receiver.ask([join(false), join(false)]);
    sender.ask(both(b"after"));
    assert_eq!(receiver.packet().2, b"to all");
    assert_eq!(receiver.handle.counters().socket_errors.value(), 0);
}

#[test]
fn an_unnumbered_link_borrows_its_address() {
    if !possible() {
        return;
    }
    let [a, b] = [Namespace::new(), Namespace::new()];
    a.link("eth0", "192.0.2.1/32", &b, "192.0.2.2/32");
    let (sender, receiver) = (Actor::start(&a), Actor::start(&b));
    let [src, dst] = [1, 2].map(|host| Ipv4Addr::new(192, 0, 2, host));
    a.ip("address delete 192.0.2.1/32 dev eth0");
    a.ip("address add 192.0.2.1/32 dev lo");
    // Linux drops what comes from an address it has no route back to only if it is told to.
    let out = a.ifindex("eth0");
    sender.ask([Output::OpenOspf(out)]);
    receiver.ask([Output::OpenOspf(b.ifindex("eth0"))]);
    b.ip("route add 192.0.2.1/32 dev eth0");
    sender.ask([send(out, src, ALL_SPF_ROUTERS, b"multicast"), send(out, src, dst, b"unicast")]);
    assert_eq!(receiver.packet(), (src, ALL_SPF_ROUTERS, b"multicast".to_vec()));
    assert_eq!(receiver.packet(), (src, dst, b"unicast".to_vec()));
}

#[test]
fn each_interface_hears_only_its_own_packets() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    a.link("eth1", "10.0.1.1/24", &b, "10.0.1.2/24");
    let (sender, receiver) = (Actor::start(&a), Actor::start(&b));
    let out = [a.ifindex("eth0"), a.ifindex("eth1")];
    let into = [b.ifindex("eth0"), b.ifindex("eth1")];
    sender.ask(out.map(Output::OpenOspf));
    receiver.ask(into.map(Output::OpenOspf));
    for (number, ifindex) in out.into_iter().enumerate() {
        let src = Ipv4Addr::new(10, 0, u8::try_from(number).unwrap(), 1);
        sender.ask([send(ifindex, src, ALL_SPF_ROUTERS, b"here")]);
        let (_, told) = receiver.wait_for(|told| matches!(told, Told::Ospf { .. }));
        let (ifindex, dst, bytes) = (into[number], ALL_SPF_ROUTERS, b"here".to_vec());
        assert_eq!(told, Told::Ospf { ifindex, src, dst, bytes });
    }
    receiver.ask([Output::CloseOspf(into[0])]);
    sender.ask([
        send(out[0], A, ALL_SPF_ROUTERS, b"closed"),
        send(out[1], Ipv4Addr::new(10, 0, 1, 1), ALL_SPF_ROUTERS, b"open"),
    ]);
    assert_eq!(receiver.packet().2, b"open");
}

#[test]
fn an_interface_that_is_shut_deleted_or_missing_is_no_reason_to_end() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let actor = Actor::start(&a);
    let first = a.ifindex("eth0");
    actor.ask([Output::OpenOspf(IfIndex(9_999)), Output::OpenOspf(first)]);
    actor.ask([send(IfIndex(9_999), A, ALL_SPF_ROUTERS, b"nowhere")]);
    a.ip("link set dev eth0 down");
    actor.ask([send(first, A, ALL_SPF_ROUTERS, b"shut")]);
    a.ip("link delete dev eth0");
    actor.wait_for(|told| *told == Told::LinkGone(first));
    actor.ask([send(first, A, ALL_SPF_ROUTERS, b"gone")]);
    let counters = actor.handle.counters();
    assert_eq!((counters.sent.value(), counters.send_errors.value()), (0, 3));

    // The same name again is another interface.
    a.link("eth0", "10.0.0.1/24", &b, "10.0.0.2/24");
    actor.wait_for(|told| matches!(told, Told::Link(link) if link.name == "eth0" && link.is_up()));
    let second = a.ifindex("eth0");
    assert_ne!(first, second);
    let receiver = Actor::start(&b);
    receiver.ask([Output::OpenOspf(b.ifindex("eth0"))]);
    actor.ask([Output::OpenOspf(second), send(second, A, ALL_SPF_ROUTERS, b"again")]);
    assert_eq!(receiver.packet().2, b"again");
}

#[test]
fn a_read_sees_the_changes_before_it_and_none_after_it() {
    if !possible() {
        return;
    }
    let [a, _b] = pair();
    let actor = Actor::start(&a);
    let id = NexthopId(*NexthopId::RANGE.start());
    let nexthop = Nexthop::via(a.ifindex("eth0"), B.into());
    let keys = (1..=2_000_u32).map(|n| RouteKey {
        table: TableId::MAIN,
        prefix: bugle_types::Prefix::host(Ipv4Addr::from(0x0B00_0000 + n).into()),
        metric: 20,
    });
    let put = |key| Output::Fib(FibOp::PutRoute { key, target: RouteTarget::Nexthop(id) });
    actor.ask(
        [Output::Fib(FibOp::PutNexthop { id, nexthop })]
            .into_iter()
            .chain(keys.clone().map(put))
            .chain([Output::ReadFib])
            .chain(keys.map(|key| Output::Fib(FibOp::DelRoute { key })))
            .chain([Output::ReadFib]),
    );
    let next_snapshot = || match actor.wait_for(|told| matches!(told, Told::Fib(_))) {
        (_, Told::Fib(snapshot)) => snapshot,
        other => panic!("{other:?}"),
    };
    let full = next_snapshot();
    assert_eq!((full.nexthops, full.routes.len()), (vec![(id, nexthop)], 2_000));
    let empty = next_snapshot();
    assert_eq!((empty.nexthops, empty.routes.len()), (vec![(id, nexthop)], 0));
}

#[test]
fn a_diversion_waits_for_no_route_and_for_no_read() {
    if !possible() {
        return;
    }
    let [a, _b] = pair();
    let actor = Actor::start(&a);
    let [id, absent] = [0, 1].map(|n| NexthopId(NexthopId::RANGE.start() + n));
    let ifindex = a.ifindex("eth0");
    let nexthop = Nexthop::via(ifindex, B.into());
    let elsewhere = Nexthop::via(ifindex, Ipv4Addr::new(10, 0, 0, 77).into());
    actor.ask([Output::Fib(FibOp::PutNexthop { id, nexthop }), Output::ReadFib]);
    actor.wait_for(|told| matches!(told, Told::Fib(_)));

    // The kernel refuses the first route, after whatever overtakes it.
    let refused = |prefix: &str| {
        let prefix = prefix.parse().unwrap();
        let key = RouteKey { table: TableId::MAIN, prefix, metric: 20 };
        Output::Fib(FibOp::PutRoute { key, target: RouteTarget::Nexthop(absent) })
    };
    let no_nexthop = Nexthop::via(IfIndex(9_999), A.into());
    let diversions =
        [elsewhere, no_nexthop].map(|nexthop| Output::Divert(FibOp::PutNexthop { id, nexthop }));
    let asked = [refused("10.9.0.1/32"), Output::ReadFib, refused("10.9.0.2/32")];
    actor.ask(asked.into_iter().chain(diversions));
    let failure = || match actor.wait_for(|told| matches!(told, Told::FibFailed { .. })) {
        (_, Told::FibFailed { op, .. }) => op,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(), FibOp::PutNexthop { id, nexthop: no_nexthop });
    assert!(matches!(failure(), FibOp::PutRoute { .. }));
    let (_, read) = actor.wait_for(|told| matches!(told, Told::Fib(_)));
    let Told::Fib(snapshot) = read else { unreachable!() };
    assert_eq!(snapshot.nexthops, [(id, elsewhere)]);
    assert!(matches!(failure(), FibOp::PutRoute { .. }));
}

#[test]
fn refused_changes_and_disturbances_are_told() {
    if !possible() {
        return;
    }
    let [a, _b] = pair();
    let actor = Actor::start(&a);
    let id = NexthopId(*NexthopId::RANGE.start());
    let key = RouteKey { table: TableId::MAIN, prefix: "10.9.0.1/32".parse().unwrap(), metric: 20 };
    let put = FibOp::PutRoute { key, target: RouteTarget::Nexthop(id) };
    actor.ask([Output::Fib(put.clone())]);
    let (_, told) = actor.wait_for(|told| matches!(told, Told::FibFailed { .. }));
    let Told::FibFailed { op, reason } = told else { unreachable!() };
    assert_eq!(op, put);
    assert!(reason.contains("Nexthop id does not exist"), "{reason}");

    let nexthop = Nexthop::via(a.ifindex("eth0"), B.into());
    actor.ask([Output::Fib(FibOp::PutNexthop { id, nexthop }), Output::Fib(put)]);
    actor.ask([Output::ReadFib]);
    actor.wait_for(|told| matches!(told, Told::Fib(snapshot) if snapshot.routes.len() == 1));
    a.ip("route delete 10.9.0.1/32");
    actor.wait_for(|told| *told == Told::FibDisturbed);
    assert_eq!(actor.handle.counters().fib_failures.value(), 1);
}

#[test]
fn a_deadline_is_kept_and_never_early() {
    if !possible() {
        return;
    }
    let actor = Actor::start(&Namespace::new());
    for wait in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(20)] {
        let deadline = actor.now() + wait;
        actor.set_deadline(deadline);
        let (time, _) = actor.wait_for(|told| *told == Told::Tick);
        assert!(time >= deadline);
    }
}

#[test]
fn requests_are_answered_and_after_the_end_refused() {
    if !possible() {
        return;
    }
    let actor = Actor::start(&Namespace::new());
    assert_eq!(actor.change_host(), Err(HostRefusal::UnknownVrf("not this one".to_owned())));
    block_on(actor.handle.configure(bugle_speaker::Config::default())).unwrap();
    actor.wait_for(|told| *told == Told::Config);
    // More at once than can wait for the loop.
    block_on(async {
        for number in 0..1_000 {
            assert_eq!(actor.handle.read(move |_, _| number).await, Ok(number));
        }
    });
    let handle = actor.handle.clone();
    actor.stop();
    assert_eq!(block_on(handle.read(|_, _| ())), Err(bugle_host::Stopped));
}

#[test]
fn the_end_comes_though_the_engine_is_never_quiet() {
    if !possible() {
        return;
    }
    let actor = Actor::start(&Namespace::new());
    actor.never_be_quiet();
    block_on(actor.handle.stop()).unwrap();
    actor.wait_for(|told| *told == Told::Shutdown);
    actor.stop();
}
