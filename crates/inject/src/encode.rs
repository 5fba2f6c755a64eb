//! Changes to the forwarding table as rtnetlink messages.

use std::net::IpAddr;

use bugle_rib::fib::{FibOp, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Mac, Nexthop};

use crate::PROTOCOL;
use crate::netlink::Message;
use crate::numbers::{
    AF_INET, AF_INET6, AF_UNSPEC, NDA_DST, NDA_LLADDR, NDA_PROTOCOL, NHA_GATEWAY, NHA_GROUP,
    NHA_ID, NHA_OIF, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NUD_PERMANENT, RT_SCOPE_NOWHERE,
    RT_SCOPE_UNIVERSE, RT_TABLE_UNSPEC, RTA_DST, RTA_NH_ID, RTA_PRIORITY, RTA_TABLE, RTM_DELNEIGH,
    RTM_DELNEXTHOP, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWNEXTHOP, RTM_NEWROUTE, RTN_BLACKHOLE,
    RTN_UNICAST, RTN_UNSPEC, RTNH_F_ONLINK,
};

/// Put: create, or replace what is there.
const PUT: u16 = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;

/// The address family of a nexthop object that has no gateway to tell it.
///
/// IPv4 and IPv6 routes alike can use an IPv6 object, but only IPv4 routes an IPv4 one. Where IPv6 is disabled only IPv4
/// ones can exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnLinkFamily {
    Ipv6,
    Ipv4,
}

/// The most members whose attribute's length fits 16 bits.
pub(crate) const MAX_GROUP_MEMBERS: usize = (u16::MAX as usize - 4) / 8;

/// Appends `op` as one message.
pub(crate) fn encode(buffer: &mut Vec<u8>, op: &FibOp, sequence: u32, on_link: OnLinkFamily) {
    match op {
        FibOp::PutNexthop { id, nexthop } => put_nexthop(buffer, sequence, *id, *nexthop, on_link),
        FibOp::PutGroup { id, members } => put_group(buffer, sequence, *id, members),
        FibOp::DelNexthop { id } => {
            Message::new(buffer, RTM_DELNEXTHOP, NLM_F_REQUEST, sequence, &nhmsg(AF_UNSPEC, 0, 0))
                .u32(NHA_ID, id.0)
                .finish();
        }
        FibOp::PutRoute { key, target } => put_route(buffer, sequence, *key, *target),
        FibOp::DelRoute { key } => {
            let fixed = rtmsg(*key, RT_SCOPE_NOWHERE, RTN_UNSPEC);
            let message = Message::new(buffer, RTM_DELROUTE, NLM_F_REQUEST, sequence, &fixed);
            route_key(message, *key).finish();
        }
        FibOp::PutNeighbor { ifindex, address, mac } => {
            put_neighbor(buffer, sequence, *ifindex, *address, *mac);
        }
        FibOp::DelNeighbor { ifindex, address } => {
            let fixed = ndmsg(*ifindex, *address);
            Message::new(buffer, RTM_DELNEIGH, NLM_F_REQUEST, sequence, &fixed)
                .address(NDA_DST, *address)
                .finish();
        }
    }
}

/// A gateway is always "onlink": the protocol heard it on that link, so the kernel need not find it on a connected subnet,
/// which an unnumbered link does not have.
fn put_nexthop(
    buffer: &mut Vec<u8>,
    sequence: u32,
    id: NexthopId,
    nexthop: Nexthop,
    on_link: OnLinkFamily,
) {
    let (family, flags) = match nexthop.gateway {
        Some(gateway) => (family(gateway), RTNH_F_ONLINK),
        None if on_link == OnLinkFamily::Ipv6 => (AF_INET6, 0),
        None => (AF_INET, 0),
    };
    let fixed = nhmsg(family, PROTOCOL, flags);
    let message = Message::new(buffer, RTM_NEWNEXTHOP, PUT, sequence, &fixed)
        .u32(NHA_ID, id.0)
        .u32(NHA_OIF, nexthop.ifindex.0);
    match nexthop.gateway {
        Some(gateway) => message.address(NHA_GATEWAY, gateway).finish(),
        None => message.finish(),
    }
}

/// `struct nexthop_grp`: | id (4) | weight - 1 (1) | reserved (3) |
fn put_group(buffer: &mut Vec<u8>, sequence: u32, id: NexthopId, members: &[NexthopId]) {
    let mut group = Vec::with_capacity(members.len() * 8);
    for member in members {
        group.extend_from_slice(&member.0.to_ne_bytes());
        group.extend_from_slice(&[0; 4]);
    }
    Message::new(buffer, RTM_NEWNEXTHOP, PUT, sequence, &nhmsg(AF_UNSPEC, PROTOCOL, 0))
        .u32(NHA_ID, id.0)
        .attribute(NHA_GROUP, &group)
        .finish();
}

fn put_route(buffer: &mut Vec<u8>, sequence: u32, key: RouteKey, target: RouteTarget) {
    let kind = match target {
        RouteTarget::Nexthop(_) => RTN_UNICAST,
        RouteTarget::Blackhole => RTN_BLACKHOLE,
    };
    let fixed = rtmsg(key, RT_SCOPE_UNIVERSE, kind);
    let message = route_key(Message::new(buffer, RTM_NEWROUTE, PUT, sequence, &fixed), key);
    match target {
        RouteTarget::Nexthop(id) => message.u32(RTA_NH_ID, id.0).finish(),
        RouteTarget::Blackhole => message.finish(),
    }
}

fn route_key(message: Message<'_>, key: RouteKey) -> Message<'_> {
    let message = message.address(RTA_DST, key.prefix.address()).u32(RTA_PRIORITY, key.metric);
    match u8::try_from(key.table.0) {
        Ok(_) => message,
        Err(_) => message.u32(RTA_TABLE, key.table.0),
    }
}

fn put_neighbor(buffer: &mut Vec<u8>, sequence: u32, ifindex: IfIndex, address: IpAddr, mac: Mac) {
    Message::new(buffer, RTM_NEWNEIGH, PUT, sequence, &ndmsg(ifindex, address))
        .address(NDA_DST, address)
        .attribute(NDA_LLADDR, &mac.0)
        .attribute(NDA_PROTOCOL, &[PROTOCOL])
        .finish();
}

/// `struct nhmsg`: | family | scope | protocol | reserved | flags (4) |
pub(crate) fn nhmsg(family: u8, protocol: u8, flags: u32) -> [u8; 8] {
    let [f0, f1, f2, f3] = flags.to_ne_bytes();
    [family, 0, protocol, 0, f0, f1, f2, f3]
}

/// `struct rtmsg`: | family | dst length | src length | tos | table | protocol | scope | type | flags (4) |
fn rtmsg(key: RouteKey, scope: u8, kind: u8) -> [u8; 12] {
    let family = family(key.prefix.address());
    let table = u8::try_from(key.table.0).unwrap_or(RT_TABLE_UNSPEC);
    [family, key.prefix.length(), 0, 0, table, PROTOCOL, scope, kind, 0, 0, 0, 0]
}

/// `struct ndmsg`: | family | padding (3) | interface (4) | state (2) | flags | type |
fn ndmsg(ifindex: IfIndex, address: IpAddr) -> [u8; 12] {
    let [i0, i1, i2, i3] = ifindex.0.to_ne_bytes();
    let [s0, s1] = NUD_PERMANENT.to_ne_bytes();
    [family(address), 0, 0, 0, i0, i1, i2, i3, s0, s1, 0, 0]
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}
