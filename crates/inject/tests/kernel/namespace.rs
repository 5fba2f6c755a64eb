//! A network namespace for one test.

use std::process::Command;

use bugle_inject::Injector;
use bugle_rib::fib::{FibOp, FibSnapshot, Group, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Nexthop, TableId};
use nix::sched::{CloneFlags, unshare};

/// Runs `test` on a thread in a new network namespace, in which `eth0` (10.0.0.1/24, `2001:db8::1/64`) and `peer0` are the two ends of one
/// link, and so are `eth1` (10.0.1.1/24) and `peer1`.
pub(crate) fn in_namespace(test: fn()) {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: needs root, for a network namespace");
        return;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            ip("link set dev lo up");
            for end in ["0", "1"] {
                ip(&format!("link add name eth{end} type veth peer name peer{end}"));
                ip(&format!("link set dev eth{end} up"));
                ip(&format!("link set dev peer{end} up"));
                ip(&format!("address add 10.0.{end}.1/24 dev eth{end}"));
            }
            ip("address add 2001:db8::1/64 dev eth0 nodad");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs iproute2's `ip` in this thread's namespace and returns what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ifindex(name: &str) -> IfIndex {
    IfIndex(nix::net::if_::if_nametoindex(name).unwrap())
}

pub(crate) fn id(number: u32) -> NexthopId {
    NexthopId(NexthopId::RANGE.start() + number)
}

pub(crate) fn key(prefix: &str, metric: u32) -> RouteKey {
    RouteKey { table: TableId::MAIN, prefix: prefix.parse().unwrap(), metric }
}

pub(crate) fn put_nexthop(number: u32, dev: &str, gateway: &str) -> FibOp {
    let nexthop = Nexthop::via(ifindex(dev), gateway.parse().unwrap());
    FibOp::PutNexthop { id: id(number), nexthop }
}

pub(crate) fn put_on_link(number: u32, dev: &str) -> FibOp {
    FibOp::PutNexthop { id: id(number), nexthop: Nexthop::on_link(ifindex(dev)) }
}

pub(crate) fn put_group(number: u32, members: &[u32]) -> FibOp {
    let members = members.iter().map(|member| id(*member)).collect();
    FibOp::PutGroup { id: id(number), group: Group { members, standby: None } }
}

/// A group of one member, and another that stands by.
pub(crate) fn put_protected(number: u32, member: u32, standby: u32) -> FibOp {
    let group = Group { members: [id(member)].into(), standby: Some(id(standby)) };
    FibOp::PutGroup { id: id(number), group }
}

pub(crate) fn put_route(key: RouteKey, nexthop: u32) -> FibOp {
    FibOp::PutRoute { key, target: RouteTarget::Nexthop(id(nexthop)) }
}

/// Submits and carries out `ops`; returns the failures as text.
pub(crate) fn try_apply(
    injector: &mut Injector,
    ops: impl IntoIterator<Item = FibOp>,
) -> Vec<(FibOp, String)> {
    ops.into_iter().for_each(|op| injector.submit(op));
    injector.run(usize::MAX).unwrap();
    assert_eq!(injector.pending(), 0);
    std::iter::from_fn(|| injector.poll_failure()).map(|(op, e)| (op, e.to_string())).collect()
}

/// The same, for changes that must not fail.
pub(crate) fn apply(injector: &mut Injector, ops: impl IntoIterator<Item = FibOp>) {
    assert_eq!(try_apply(injector, ops), []);
}

/// What is ours in the main table, in a stable order.
pub(crate) fn snapshot() -> FibSnapshot {
    let mut snapshot = bugle_inject::snapshot().unwrap();
    snapshot.nexthops.sort();
    snapshot.groups.sort();
    snapshot.others.sort();
    snapshot.routes.sort();
    snapshot.neighbors.sort();
    snapshot
}
