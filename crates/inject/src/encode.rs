//! Changes to the forwarding table as rtnetlink messages.

use std::net::IpAddr;

use bugle_rib::fib::{FibOp, Group, NexthopId, RouteKey, RouteTarget};
use bugle_types::{IfIndex, Mac, Nexthop};

use crate::error::NetlinkError;
use crate::netlink::Message;
use crate::numbers::{
    AF_INET, AF_INET6, AF_UNSPEC, NDA_DST, NDA_LLADDR, NDA_PROTOCOL, NEXTHOP_GRP_TYPE_RES,
    NHA_GATEWAY, NHA_GROUP, NHA_GROUP_TYPE, NHA_ID, NHA_OIF, NHA_RES_GROUP, NHA_RES_GROUP_BUCKETS,
    NHA_RES_GROUP_IDLE_TIMER, NHA_RES_GROUP_UNBALANCED_TIMER, NLM_F_CREATE, NLM_F_REPLACE,
    NLM_F_REQUEST, NUD_PERMANENT, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_UNSPEC, RTA_DST,
    RTA_NH_ID, RTA_PRIORITY, RTA_TABLE, RTM_DELNEIGH, RTM_DELNEXTHOP, RTM_DELROUTE, RTM_NEWNEIGH,
    RTM_NEWNEXTHOP, RTM_NEWROUTE, RTN_BLACKHOLE, RTN_UNICAST, RTN_UNSPEC, RTNH_F_ONLINK,
};
use crate::{PROTOCOL, standby};

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

/// Which groups the kernel knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupKind {
    /// Resilient ones: packets are spread over buckets, which the members share by their weight. One of so little weight that it
    /// gets no bucket stands by.
    Resilient,
    /// Only those that spread packets by their hash (Linux before 5.13).
    Plain,
}

impl GroupKind {
    /// The kernel's, in the network namespace of the calling thread.
    pub(crate) fn of_the_kernel() -> Result<Self, NetlinkError> {
        Ok(if standby::is_known()? { Self::Resilient } else { Self::Plain })
    }
}

/// The buckets of a group: the kernel does not let their number change. Of so many, members in equal shares of any number
/// get equally many but for one, and a member that stands by none.
pub(crate) const BUCKETS: u16 = 64;

/// The weight of a member, less one, as in the message: the most that every kernel takes.
pub(crate) const WEIGHT: u8 = 255;

/// That of a member that stands by.
pub(crate) const STANDBY_WEIGHT: u8 = 0;

/// The most members whose attribute's length fits 16 bits.
pub(crate) const MAX_GROUP_MEMBERS: usize = (u16::MAX as usize - 4) / 8;

/// Appends `op` as one message.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    op: &FibOp,
    sequence: u32,
    on_link: OnLinkFamily,
    groups: GroupKind,
) {
    match op {
        FibOp::PutNexthop { id, nexthop } => put_nexthop(buffer, sequence, *id, *nexthop, on_link),
        FibOp::PutGroup { id, group } => put_group(buffer, sequence, *id, group, groups),
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
///
/// A resilient group without timers moves a bucket at once, however much it is used.
fn put_group(buffer: &mut Vec<u8>, sequence: u32, id: NexthopId, group: &Group, kind: GroupKind) {
    let is_resilient = kind == GroupKind::Resilient;
    let weight = if is_resilient { WEIGHT } else { 0 };
    let active = group.members.iter().map(|member| (member, weight));
    let standby = group.standby.iter().filter(|_| is_resilient);
    let mut members = Vec::with_capacity((group.members.len() + 1) * 8);
    for (member, weight) in active.chain(standby.map(|member| (member, STANDBY_WEIGHT))) {
        members.extend_from_slice(&member.0.to_ne_bytes());
        members.extend_from_slice(&[weight, 0, 0, 0]);
    }
    let fixed = nhmsg(AF_UNSPEC, PROTOCOL, 0);
    let message = Message::new(buffer, RTM_NEWNEXTHOP, PUT, sequence, &fixed)
        .u32(NHA_ID, id.0)
        .attribute(NHA_GROUP, &members);
    if !is_resilient {
        return message.finish();
    }
    message
        .attribute(NHA_GROUP_TYPE, &NEXTHOP_GRP_TYPE_RES.to_ne_bytes())
        .nested(NHA_RES_GROUP, |group| {
            group
                .attribute(NHA_RES_GROUP_BUCKETS, &BUCKETS.to_ne_bytes())
                .u32(NHA_RES_GROUP_IDLE_TIMER, 0)
                .u32(NHA_RES_GROUP_UNBALANCED_TIMER, 0)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The buckets that the kernel gives each member (`nh_res_group_rebalance` in net/ipv4/nexthop.c): up to the sum of the weights so
    /// far, rounded.
    fn shares(weights: &[u32]) -> Vec<u32> {
        let total: u32 = weights.iter().sum();
        let mut sum = 0;
        let bounds = weights.iter().map(|weight| {
            sum += weight;
            (u32::from(BUCKETS) * sum + total / 2) / total
        });
        let mut last = 0;
        bounds.map(|bound| bound - std::mem::replace(&mut last, bound)).collect()
    }

    #[test]
    fn members_get_equally_many_buckets_but_for_one_and_who_stands_by_gets_none() {
        let [weight, standby] = [WEIGHT, STANDBY_WEIGHT].map(|weight| u32::from(weight) + 1);
        for members in 1..=32 {
            let mut weights = vec![weight; members];
            for with_standby in [false, true] {
                if with_standby {
                    weights.push(standby);
                }
                let found = shares(&weights);
                let (active, stands_by) = found.split_at(members);
                let least = u32::from(BUCKETS) / u32::try_from(members).unwrap();
                assert!(active.iter().all(|share| [least, least + 1].contains(share)), "{found:?}");
                assert!(stands_by.iter().all(|share| *share == 0), "{found:?}");
                assert_eq!(found.iter().sum::<u32>(), u32::from(BUCKETS));
            }
        }
    }
}
