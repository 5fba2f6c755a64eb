//! What must hold when a network rests.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use bugle_ospf::neighbor::NeighborState;
use bugle_rib::fib::RouteKey;
use bugle_rib::{Protocol, SelectedRoute};
use bugle_speaker::{Speaker, VrfState};
use bugle_types::{Nexthop, Prefix, TableId};
use rayon::prelude::*;

use crate::digest::Digest;
use crate::kernel::{Kernel, Way};
use crate::network::{NodeId, TAP};
use crate::oracle::{Expected, Oracle};
use crate::world::World;

/// How many findings of one kind are told for each router.
const TOLD: usize = 3;
/// The most next hops of a route: the daemon's default.
const MAX_ECMP: usize = 16;

impl World {
    /// Everything that is wrong with a network that should be at rest: databases equal, nothing unacknowledged or wanted, every
    /// route as the oracle has it, every kernel as its daemon has it, all flows delivered, deadlines within reason.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let oracle = Oracle::new(self);
        let parts = oracle.parts(|node| self.is_alive(node));
        let checked: Vec<(NodeId, u64, Vec<String>)> = parts
            .par_iter()
            .map(|(&node, _)| {
                let (database, findings) = self.check_router(node, &oracle);
                (node, database, findings)
            })
            .collect();
        let mut databases: BTreeMap<NodeId, u64> = BTreeMap::new();
        let mut findings = Vec::new();
        for (node, database, found) in checked {
            let name = self.network.name(node);
            findings.extend(found.into_iter().map(|what| format!("{name}: {what}")));
            let first = parts[&node];
            if *databases.entry(first).or_insert(database) != database {
                let other = self.network.name(first);
                findings.push(format!("{name}: the database differs from that of {other}"));
            }
        }
        // Packets to a router whose daemon is dead, or through one, may be lost.
        let all_alive = parts.len() == self.machines.len();
        findings.extend(self.judge.failing().filter(|_| all_alive).map(
            |(source, destination, verdict)| {
                let name = self.network.name(source);
                format!("{name}: packets to {destination} do not arrive ({verdict:?})")
            },
        ));
        findings
    }

    fn check_router(&self, node: NodeId, oracle: &Oracle) -> (u64, Vec<String>) {
        let machine = &self.machines[node.index()];
        let mut findings = Vec::new();
        let speaker = machine.speaker.as_deref();
        let Some(vrf) = speaker.and_then(|speaker| speaker.state().vrf("default")) else {
            return (0, vec!["the daemon does not run".to_owned()]);
        };
        if machine.stuck {
            findings.push("the daemon asks to be woken again and again for nothing".to_owned());
        }
        let latest = self.now() + Duration::from_secs(3600);
        let deadline = speaker.and_then(Speaker::deadline);
        if deadline.is_none_or(|(at, _)| at < self.now() || at > latest) {
            findings.push(format!("the next deadline is {deadline:?}"));
        }
        let database = check_protocol(&vrf, &mut findings);
        let expected = oracle.routes(node);
        check_routes(&vrf, &expected, &mut findings);
        check_kernel(&vrf, &self.kernels[node.index()], &mut findings);
        let here = self.judge.hosts_on(node).into_iter().map(|host| Prefix::host(host.into()));
        let local = vrf.routes().filter(|route| route.protocol == Protocol::Host);
        if !here.eq(local.filter(|route| is_local(route)).map(|route| route.prefix)) {
            findings.push("the hosts routed to the port are not those that are here".to_owned());
        }
        (database, findings)
    }
}

fn is_local(route: &SelectedRoute<'_>) -> bool {
    route.nexthops == [Nexthop::on_link(TAP)]
}

/// Looks at the protocol's queues. Returns a hash of the database.
fn check_protocol(vrf: &VrfState<'_>, findings: &mut Vec<String>) -> u64 {
    let mut digest = Digest::new();
    let Some(ospf) = vrf.ospf() else { return digest.finish() };
    for neighbor in ospf.neighbors() {
        if !matches!(neighbor.state, NeighborState::Full | NeighborState::TwoWay) {
            findings.push(format!("neighbour {} is {}", neighbor.router_id, neighbor.state));
        }
        let (waiting, wanted) = (neighbor.retransmit_count(), neighbor.request_count());
        if waiting + wanted > 0 {
            let id = neighbor.router_id;
            findings.push(format!(
                "neighbour {id} has {waiting} LSAs to acknowledge and {wanted} to send"
            ));
        }
    }
    if vrf.spf_due().is_some() {
        findings.push("a run of SPF is due".to_owned());
    }
    for (key, lsa) in ospf.database() {
        let header = lsa.header(bugle_types::Time::ZERO);
        (key, header.sequence, header.checksum).hash(&mut digest);
    }
    digest.finish()
}

/// Compares routes with the oracle's.
fn check_routes(
    vrf: &VrfState<'_>,
    expected: &BTreeMap<Prefix, Expected>,
    findings: &mut Vec<String>,
) {
    let mut wrong = Vec::new();
    let mut rest = expected.iter().peekable();
    for route in vrf.routes().filter(|route| route.protocol == Protocol::Ospf) {
        while let Some((prefix, _)) = rest.next_if(|&(prefix, _)| *prefix < route.prefix) {
            wrong.push(format!("there is no route to {prefix}"));
        }
        let Some((_, wanted)) = rest.next_if(|&(prefix, _)| *prefix == route.prefix) else {
            wrong.push(format!("there is a route to {}", route.prefix));
            continue;
        };
        let wanted_hops = &wanted.nexthops[..wanted.nexthops.len().min(MAX_ECMP)];
        let right = if wanted.nexthops.len() > MAX_ECMP {
            route.nexthops.len() == MAX_ECMP
                && route.nexthops.iter().all(|hop| wanted.nexthops.contains(hop))
        } else {
            route.nexthops == wanted_hops
        };
        if route.metric != wanted.metric || !right {
            let list = |hops: &[Nexthop]| {
                let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
                hops.join(", ")
            };
            wrong.push(format!(
                "the route to {} has metric {} through {}, should have {} through {}",
                route.prefix,
                route.metric,
                list(route.nexthops),
                wanted.metric,
                list(wanted_hops),
            ));
        }
    }
    wrong.extend(rest.map(|(prefix, _)| format!("there is no route to {prefix}")));
    tell(wrong, findings);
}

/// Compares a kernel with what its daemon wants there.
fn check_kernel(vrf: &VrfState<'_>, kernel: &Kernel, findings: &mut Vec<String>) {
    let mut wrong = Vec::new();
    let mut wanted = 0;
    for route in vrf.routes() {
        wanted += 1;
        let metric = route.protocol.kernel_metric();
        let key = RouteKey { table: TableId::MAIN, prefix: route.prefix, metric };
        let found = kernel.route(&key).map_or(Way::None, |target| kernel.way(target));
        let mut hops: Vec<Nexthop> = match found {
            Way::Dropped if route.nexthops.is_empty() => continue,
            Way::None | Way::Dropped => Vec::new(),
            Way::Single(hop) => vec![hop],
            Way::Group(members) => members.iter().filter_map(|&id| kernel.nexthop(id)).collect(),
        };
        hops.sort_unstable();
        if hops.is_empty() || hops != route.nexthops {
            wrong.push(format!("the kernel's route to {} is not the daemon's", route.prefix));
        }
        // A second route, where the loss of one link takes all nexthops and leaves the backup.
        let spare = route.backup.filter(|backup| {
            let first = route.nexthops.first();
            let one_link =
                route.nexthops.iter().all(|hop| first.is_some_and(|f| f.ifindex == hop.ifindex));
            one_link && first.is_some_and(|first| first.ifindex != backup.ifindex)
        });
        let key = RouteKey { metric: route.protocol.spare_metric(), ..key };
        let found = kernel.route(&key).map_or(Way::None, |target| kernel.way(target));
        if found != spare.map_or(Way::None, Way::Single) {
            wrong.push(format!("the kernel's second route to {} is not the backup", route.prefix));
        }
        wanted += usize::from(spare.is_some());
    }
    let found = kernel.routes().count();
    if wrong.is_empty() && found != wanted {
        wrong.push(format!("the kernel has {found} routes, the daemon {wanted}"));
    }
    let useless = kernel.useless_objects();
    if useless > 0 {
        wrong.push(format!("the kernel has {useless} nexthop objects that nothing uses"));
    }
    tell(wrong, findings);
}

fn tell(mut wrong: Vec<String>, findings: &mut Vec<String>) {
    let more = wrong.len().saturating_sub(TOLD);
    wrong.truncate(TOLD);
    findings.append(&mut wrong);
    if more > 0 {
        findings.push(format!("and {more} more like that"));
    }
}
