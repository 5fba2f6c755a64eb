//! What the kernel holds of ours.

use bugle_rib::fib::FibSnapshot;

use crate::PROTOCOL;
use crate::decode::{self, NexthopObject};
use crate::encode::{GroupKind, nhmsg};
use crate::error::NetlinkError;
use crate::numbers::{AF_INET, AF_INET6, AF_UNSPEC, RTM_GETNEIGH, RTM_GETNEXTHOP, RTM_GETROUTE};
use crate::socket::{DumpRequest, Dumper};

/// Reads bugle's nexthop objects, its routes in all tables, and its neighbour entries, in the network namespace of the calling
/// thread. The kernel filters routes by protocol, so other daemons' routes cost little.
///
/// Blocks while the kernel lists its tables: microseconds, or about 1 ms per thousand routes.
///
/// # Errors
///
/// If the tables cannot be listed, or keep changing while they are; trying again later is sound.
pub fn snapshot() -> Result<FibSnapshot, NetlinkError> {
    let mut dumper = Dumper::open()?;
    let groups = GroupKind::of_the_kernel()?;
    let without_standby = groups == GroupKind::Plain;
    let mut snapshot = FibSnapshot { without_standby, ..FibSnapshot::default() };
    let nexthops = DumpRequest {
        what: "nexthop objects",
        kind: RTM_GETNEXTHOP,
        fixed: &nhmsg(AF_UNSPEC, 0, 0),
        filter: None,
    };
    for object in dumper.dump(&nexthops, |payload| decode::nexthop_object(payload, groups))? {
        match object {
            NexthopObject::Single(id, nexthop) => snapshot.nexthops.push((id, nexthop)),
            NexthopObject::Group(id, group) => snapshot.groups.push((id, group)),
            NexthopObject::Other(id, members) => snapshot.others.push((id, members)),
        }
    }
    for family in [AF_INET, AF_INET6] {
        let routes = DumpRequest {
            what: "routes",
            kind: RTM_GETROUTE,
            fixed: &[family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0, 0, 0, 0],
            filter: None,
        };
        snapshot.routes.extend(dumper.dump(&routes, decode::route)?);
    }
    let neighbors =
        DumpRequest { what: "neighbours", kind: RTM_GETNEIGH, fixed: &[0; 12], filter: None };
    snapshot.neighbors = dumper.dump(&neighbors, decode::neighbor)?;
    Ok(snapshot)
}
