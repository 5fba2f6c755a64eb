//! Our objects, interfaces and addresses out of rtnetlink messages. `None` means: not one that concerns bugle, or not
//! understood.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bugle_rib::fib::{Group, NexthopId, RouteKey, RouteTarget};
use bugle_types::{Address, IfIndex, Link, Mac, Nexthop, Prefix, TableId};

use crate::PROTOCOL;
use crate::encode::{BUCKETS, GroupKind, STANDBY_WEIGHT, WEIGHT};
use crate::netlink::{address, attributes, text, u8_at, u16_at, u32_at};
use crate::numbers::{
    AF_INET, AF_INET6, AF_UNSPEC, IFA_ADDRESS, IFA_F_DADFAILED, IFA_F_TENTATIVE, IFA_FLAGS,
    IFA_LOCAL, IFF_LOOPBACK, IFF_RUNNING, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA,
    IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_VRF_TABLE, NDA_DST, NDA_LLADDR,
    NDA_PROTOCOL, NEXTHOP_GRP_TYPE_MPATH, NEXTHOP_GRP_TYPE_RES, NHA_GATEWAY, NHA_GROUP,
    NHA_GROUP_TYPE, NHA_ID, NHA_OIF, NHA_RES_GROUP, NHA_RES_GROUP_BUCKETS,
    NHA_RES_GROUP_IDLE_TIMER, NHA_RES_GROUP_UNBALANCED_TIMER, NUD_PERMANENT, RTA_DST, RTA_NH_ID,
    RTA_PRIORITY, RTA_TABLE, RTM_F_CLONED, RTN_BLACKHOLE, RTN_UNICAST,
};

/// A nexthop object of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NexthopObject {
    Single(NexthopId, Nexthop),
    Group(NexthopId, Group),
    /// A group as bugle makes none, with its members.
    Other(NexthopId, Box<[NexthopId]>),
}

/// The id of a nexthop object in our range.
pub(crate) fn nexthop_id(payload: &[u8]) -> Option<NexthopId> {
    let (_, value) = attributes(payload, 8).find(|(kind, _)| *kind == NHA_ID)?;
    u32_at(value, 0).map(NexthopId).filter(|id| NexthopId::RANGE.contains(&id.0))
}

/// A nexthop object in our range. One without an interface (a kind we never make) gets interface 0, so that it equals
/// nothing and is replaced or deleted.
pub(crate) fn nexthop_object(payload: &[u8], groups: GroupKind) -> Option<NexthopObject> {
    let id = nexthop_id(payload)?;
    let (mut members, mut gateway, mut ifindex) = (None, None, 0);
    let (mut group_kind, mut buckets) = (NEXTHOP_GRP_TYPE_MPATH, None);
    for (kind, value) in attributes(payload, 8) {
        match kind {
            NHA_GROUP => members = Some(group_members(value)),
            NHA_GROUP_TYPE => group_kind = u16_at(value, 0)?,
            NHA_RES_GROUP => buckets = steady_buckets(value),
            NHA_OIF => ifindex = u32_at(value, 0)?,
            NHA_GATEWAY => gateway = Some(address(value)?),
            _ => {}
        }
    }
    let Some(members) = members else {
        return Some(NexthopObject::Single(id, Nexthop { ifindex: IfIndex(ifindex), gateway }));
    };
    let group = match groups {
        GroupKind::Resilient if group_kind == NEXTHOP_GRP_TYPE_RES && buckets == Some(BUCKETS) => {
            resilient(&members)
        }
        GroupKind::Plain if group_kind == NEXTHOP_GRP_TYPE_MPATH => plain(&members),
        GroupKind::Resilient | GroupKind::Plain => None,
    };
    let ids = || members.iter().map(|(member, _)| *member).collect();
    Some(
        group.map_or_else(
            || NexthopObject::Other(id, ids()),
            |group| NexthopObject::Group(id, group),
        ),
    )
}

/// The members of a group, with their weights less one.
fn group_members(value: &[u8]) -> Vec<(NexthopId, u8)> {
    let member = |entry: &[u8]| Some((NexthopId(u32_at(entry, 0)?), u8_at(entry, 4)?));
    value.chunks_exact(8).filter_map(member).collect()
}

/// How many buckets a resilient group has, if no timer keeps them where they are.
fn steady_buckets(value: &[u8]) -> Option<u16> {
    let mut buckets = None;
    for (kind, value) in attributes(value, 0) {
        match kind {
            NHA_RES_GROUP_BUCKETS => buckets = u16_at(value, 0),
            NHA_RES_GROUP_IDLE_TIMER | NHA_RES_GROUP_UNBALANCED_TIMER => {
                u32_at(value, 0).filter(|timer| *timer == 0)?;
            }
            _ => {}
        }
    }
    buckets
}

/// A resilient group of ours: its members have the greatest weight, the one that stands by the least. Of one that is left alone it
/// does not matter.
fn resilient(members: &[(NexthopId, u8)]) -> Option<Group> {
    if let &[(member, _)] = members {
        return Some(Group { members: [member].into(), standby: None });
    }
    let (active, rest): (Vec<_>, Vec<_>) =
        members.iter().partition(|(_, weight)| *weight == WEIGHT);
    let standby = match rest[..] {
        [] => None,
        [(member, STANDBY_WEIGHT)] => Some(member),
        _ => return None,
    };
    Some(Group { members: active.into_iter().map(|(member, _)| member).collect(), standby })
}

/// A plain group of ours: its members have the same weight.
fn plain(members: &[(NexthopId, u8)]) -> Option<Group> {
    let alike = members.iter().all(|(_, weight)| *weight == 0);
    let members = members.iter().map(|(member, _)| *member).collect();
    alike.then_some(Group { members, standby: None })
}

/// A route as found: which, and where it leads if it leads where bugle sends routes.
pub(crate) type Route = (RouteKey, Option<RouteTarget>);

/// A route of ours.
pub(crate) fn route(payload: &[u8]) -> Option<Route> {
    let key = route_key(payload)?;
    if u8_at(payload, 5)? != PROTOCOL {
        return None;
    }
    let nexthop = attributes(payload, 12).find(|(kind, _)| *kind == RTA_NH_ID);
    let nexthop = nexthop.and_then(|(_, value)| u32_at(value, 0)).map(NexthopId);
    let target = match (u8_at(payload, 7)?, nexthop) {
        (RTN_UNICAST, Some(id)) if NexthopId::RANGE.contains(&id.0) => {
            Some(RouteTarget::Nexthop(id))
        }
        (RTN_BLACKHOLE, _) => Some(RouteTarget::Blackhole),
        _ => None,
    };
    Some((key, target))
}

/// Which route a message is about, whoever's it is. What a route was copied to for one destination is none.
pub(crate) fn route_key(payload: &[u8]) -> Option<RouteKey> {
    let (mut destination, mut metric) = (None, 0);
    let mut table = u32::from(u8_at(payload, 4)?);
    for (kind, value) in attributes(payload, 12) {
        match kind {
            RTA_DST => destination = Some(address(value)?),
            RTA_PRIORITY => metric = u32_at(value, 0)?,
            RTA_TABLE => table = u32_at(value, 0)?,
            _ => {}
        }
    }
    let destination = match (destination, u8_at(payload, 0)?) {
        (Some(destination), _) => destination,
        (None, AF_INET) => Ipv4Addr::UNSPECIFIED.into(),
        (None, AF_INET6) => Ipv6Addr::UNSPECIFIED.into(),
        (None, _) => return None,
    };
    let is_copy = u32_at(payload, 8)? & RTM_F_CLONED != 0;
    let prefix = Prefix::new(destination, u8_at(payload, 1)?).filter(|_| !is_copy)?;
    Some(RouteKey { table: TableId(table), prefix, metric })
}

/// A permanent neighbour entry of ours.
pub(crate) fn neighbor(payload: &[u8]) -> Option<(IfIndex, IpAddr, Mac)> {
    let (mut destination, mut mac, mut protocol) = (None, None, 0);
    for (kind, value) in attributes(payload, 12) {
        match kind {
            NDA_DST => destination = address(value),
            NDA_LLADDR => mac = value.try_into().ok().map(Mac),
            NDA_PROTOCOL => protocol = u8_at(value, 0)?,
            _ => {}
        }
    }
    let permanent = u16_at(payload, 8)? & NUD_PERMANENT != 0;
    if protocol != PROTOCOL || !permanent {
        return None;
    }
    Some((IfIndex(u32_at(payload, 4)?), destination?, mac?))
}

/// An interface (`struct ifinfomsg`: | family | padding | type (2) | index (4) | flags (4) | change (4) |).
pub(crate) fn link(payload: &[u8]) -> Option<Link> {
    let ifindex = link_index(payload)?;
    let flags = u32_at(payload, 8)?;
    let mut link = Link {
        ifindex,
        name: String::new(),
        admin_up: flags & IFF_UP != 0,
        carrier: flags & IFF_RUNNING != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        mtu: 0,
        mac: None,
        master: None,
        vrf_table: None,
    };
    for (kind, value) in attributes(payload, 16) {
        match kind {
            IFLA_IFNAME => text(value).clone_into(&mut link.name),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
            IFLA_MASTER => link.master = u32_at(value, 0).filter(|index| *index != 0).map(IfIndex),
            IFLA_LINKINFO => link.vrf_table = vrf_table(value),
            _ => {}
        }
    }
    Some(link).filter(|link| !link.name.is_empty())
}

/// The index in an interface message. A bridge speaks of its ports in messages of its own family, where "deleted" means
/// "no longer a port"; those are not about the interface as such.
pub(crate) fn link_index(payload: &[u8]) -> Option<IfIndex> {
    let about_the_interface = u8_at(payload, 0)? == AF_UNSPEC;
    u32_at(payload, 4).filter(|_| about_the_interface).map(IfIndex)
}

fn vrf_table(info: &[u8]) -> Option<TableId> {
    attributes(info, 0).find(|(kind, value)| *kind == IFLA_INFO_KIND && text(value) == "vrf")?;
    let (_, data) = attributes(info, 0).find(|(kind, _)| *kind == IFLA_INFO_DATA)?;
    let (_, table) = attributes(data, 0).find(|(kind, _)| *kind == IFLA_VRF_TABLE)?;
    u32_at(table, 0).map(TableId)
}

/// An address (`struct ifaddrmsg`: | family | prefix length | flags | scope | index (4) |), and whether it can be used: an IPv6
/// address cannot before duplicate address detection is over, nor after it has failed.
pub(crate) fn interface_address(payload: &[u8]) -> Option<(Address, bool)> {
    let (mut local, mut other) = (None, None);
    let mut flags = u32::from(u8_at(payload, 2)?);
    for (kind, value) in attributes(payload, 8) {
        match kind {
            IFA_LOCAL => local = address(value),
            IFA_ADDRESS => other = address(value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // IFA_ADDRESS is the peer's address where there is one, else again the local one; IPv6 omits IFA_LOCAL then.
    let local = local.or(other)?;
    let address = Address {
        ifindex: IfIndex(u32_at(payload, 4)?),
        local,
        prefix_length: u8_at(payload, 1)?,
        peer: other.filter(|other| *other != local),
    };
    Some((address, flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0))
}

#[cfg(test)]
mod tests {
    use bugle_rib::fib::FibOp;
    use proptest::prelude::*;

    use super::*;
    use crate::encode::{OnLinkFamily, encode};
    use crate::netlink::messages;

    fn payload(op: &FibOp) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(&mut buffer, op, 1, OnLinkFamily::Ipv6, GroupKind::Resilient);
        messages(&buffer).next().unwrap().unwrap().payload.to_vec()
    }

    fn object(op: &FibOp) -> Option<NexthopObject> {
        nexthop_object(&payload(op), GroupKind::Resilient)
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        (any::<IpAddr>(), 0_u8..=128)
            .prop_filter_map("too long", |(address, length)| Prefix::new(address, length))
    }

    fn id() -> impl Strategy<Value = NexthopId> {
        NexthopId::RANGE.prop_map(NexthopId)
    }

    proptest! {
        #[test]
        fn nexthops_read_back_as_they_were_put(id in id(), ifindex in 1_u32.., gateway: Option<IpAddr>) {
            let nexthop = Nexthop { ifindex: IfIndex(ifindex), gateway };
            let found = object(&FibOp::PutNexthop { id, nexthop });
            prop_assert_eq!(found, Some(NexthopObject::Single(id, nexthop)));
        }

        #[test]
        fn groups_read_back_as_they_were_put(
            id in id(), members in prop::collection::vec(id(), 1..40), standby in prop::option::of(id())
        ) {
            let members = members.into_boxed_slice();
            for (kind, other) in [
                (GroupKind::Resilient, GroupKind::Plain),
                (GroupKind::Plain, GroupKind::Resilient),
            ] {
                let group = Group { members: members.clone(), standby };
                let mut buffer = Vec::new();
                let op = FibOp::PutGroup { id, group: group.clone() };
                encode(&mut buffer, &op, 1, OnLinkFamily::Ipv6, kind);
                let payload = messages(&buffer).next().unwrap().unwrap().payload;
                let standby = standby.filter(|_| kind == GroupKind::Resilient);
                let expected = Group { standby, ..group };
                let ids = expected.all().collect();
                prop_assert_eq!(
                    nexthop_object(payload, kind),
                    Some(NexthopObject::Group(id, expected))
                );
                prop_assert_eq!(nexthop_object(payload, other), Some(NexthopObject::Other(id, ids)));
            }
        }

        #[test]
        fn routes_read_back_as_they_were_put(
            prefix in prefix(), table in 1_u32.., metric: u32, id in prop::option::of(id())
        ) {
            let key = RouteKey { table: TableId(table), prefix, metric };
            let target = id.map_or(RouteTarget::Blackhole, RouteTarget::Nexthop);
            let found = route(&payload(&FibOp::PutRoute { key, target }));
            prop_assert_eq!(found, Some((key, Some(target))));
        }

        #[test]
        fn neighbors_read_back_as_they_were_put(ifindex in 1_u32.., address: IpAddr, mac: [u8; 6]) {
            let (ifindex, mac) = (IfIndex(ifindex), Mac(mac));
            let found = neighbor(&payload(&FibOp::PutNeighbor { ifindex, address, mac }));
            prop_assert_eq!(found, Some((ifindex, address, mac)));
        }

        #[test]
        fn no_payload_makes_a_decoder_panic(payload: Vec<u8>) {
            for groups in [GroupKind::Resilient, GroupKind::Plain] {
                let _ = nexthop_object(&payload, groups);
            }
            let _ = (route(&payload), neighbor(&payload));
            let _ = (link(&payload), interface_address(&payload));
        }
    }

    #[test]
    fn what_another_daemon_made_is_not_ours() {
        let nexthop = Nexthop::on_link(IfIndex(1));
        assert_eq!(object(&FibOp::PutNexthop { id: NexthopId(7), nexthop }), None);

        let key =
            RouteKey { table: TableId::MAIN, prefix: "10.0.0.0/8".parse().unwrap(), metric: 1 };
        let mut foreign = payload(&FibOp::PutRoute { key, target: RouteTarget::Blackhole });
        foreign[5] = 188;
        assert_eq!(route(&foreign), None);
    }

    #[test]
    fn a_route_of_ours_to_a_nexthop_of_another_daemon_is_seen_as_leading_elsewhere() {
        let key =
            RouteKey { table: TableId::MAIN, prefix: "10.0.0.0/8".parse().unwrap(), metric: 1 };
        let target = RouteTarget::Nexthop(NexthopId(7));
        assert_eq!(route(&payload(&FibOp::PutRoute { key, target })), Some((key, None)));
    }
}
