//! What must hold when a network rests.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use bugle_isis::AdjacencyState;
use bugle_ospf::neighbor::NeighborState;
use bugle_rib::fib::RouteKey;
use bugle_rib::{Protocol, SelectedRoute};
use bugle_speaker::{Speaker, VrfState};
use bugle_types::{Nexthop, Prefix, TableId, Time};
use bugle_wire::isis::{Level, LspEntry};
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

/// The databases of a router: what each is of, and a hash of it.
type Databases = Vec<(&'static str, u64)>;

impl World {
    /// Everything that is wrong with a network that should be at rest: databases equal, nothing unacknowledged or wanted, every
    /// route as the oracle has it, every kernel as its daemon has it, all flows delivered, deadlines within reason.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let spoken = [Protocol::Ospf, Protocol::Isis].into_iter().filter(|protocol| {
            let (ospf, isis) = (self.protocols.ospf(), self.protocols.isis());
            if *protocol == Protocol::Ospf { ospf } else { isis }
        });
        let oracles: Vec<Oracle> = spoken.map(|protocol| Oracle::new(self, protocol)).collect();
        let alive: Vec<NodeId> =
            (0..self.machines.len()).map(NodeId::at).filter(|&node| self.is_alive(node)).collect();
        let checked: BTreeMap<NodeId, (Databases, Vec<String>)> = alive
            .into_par_iter()
            .map(|node| (node, self.check_router(node, &oracles)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect();
        let mut findings = Vec::new();
        for (&node, (_, found)) in &checked {
            let name = self.network.name(node);
            findings.extend(found.iter().map(|what| format!("{name}: {what}")));
        }
        for (of, parts) in oracles.iter().flat_map(Oracle::databases) {
            let database = |node| {
                let (databases, _) = checked.get(node)?;
                databases.iter().find(|(name, _)| *name == of).map(|(_, hash)| *hash)
            };
            for (node, first) in
                parts.iter().filter(|&(node, first)| database(node) != database(first))
            {
                let (name, other) = (self.network.name(*node), self.network.name(*first));
                findings.push(format!("{name}: the database of {of} is not that of {other}"));
            }
        }
        // Packets to a router whose daemon is dead, or through one, may be lost.
        let all_alive = checked.len() == self.machines.len();
        findings.extend(self.judge.failing().filter(|_| all_alive).map(
            |(source, destination, verdict)| {
                let name = self.network.name(source);
                format!("{name}: packets to {destination} do not arrive ({verdict:?})")
            },
        ));
        findings
    }

    fn check_router(&self, node: NodeId, oracles: &[Oracle]) -> (Databases, Vec<String>) {
        let machine = &self.machines[node.index()];
        let mut findings = Vec::new();
        let speaker = machine.speaker.as_deref();
        let Some(vrf) = speaker.and_then(|speaker| speaker.state().vrf("default")) else {
            return (Vec::new(), vec!["the daemon does not run".to_owned()]);
        };
        if machine.stuck {
            findings.push("the daemon asks to be woken again and again for nothing".to_owned());
        }
        let latest = self.now() + Duration::from_secs(3600);
        let deadline = speaker.and_then(Speaker::deadline);
        if deadline.is_none_or(|(at, _)| at < self.now() || at > latest) {
            findings.push(format!("the next deadline is {deadline:?}"));
        }
        let mut databases = Vec::new();
        databases.extend(vrf.ospf().map(|ospf| ("OSPF", check_ospf(ospf, &mut findings))));
        if let Some(isis) = vrf.isis() {
            check_isis(isis, &mut findings);
            let levels = [("level 1", Level::L1), ("level 2", Level::L2)];
            databases.extend(levels.map(|(of, level)| (of, isis_database(isis, level))));
        }
        if vrf.spf_due().is_some() {
            findings.push("a run of SPF is due".to_owned());
        }
        let expected: Vec<_> =
            oracles.iter().map(|oracle| (oracle.protocol(), oracle.routes(node))).collect();
        check_routes(&vrf, &expected, &mut findings);
        check_kernel(&vrf, &self.kernels[node.index()], &mut findings);
        let here = self.judge.hosts_on(node).into_iter().map(|host| Prefix::host(host.into()));
        let local = vrf.routes().filter(|route| route.protocol == Protocol::Host);
        if !here.eq(local.filter(|route| is_local(route)).map(|route| route.prefix)) {
            findings.push("the hosts routed to the port are not those that are here".to_owned());
        }
        (databases, findings)
    }
}

fn is_local(route: &SelectedRoute<'_>) -> bool {
    route.nexthops == [Nexthop::on_link(TAP)]
}

/// Looks at OSPF's neighbours and queues. Returns a hash of the database.
fn check_ospf(ospf: bugle_ospf::State<'_>, findings: &mut Vec<String>) -> u64 {
    let mut digest = Digest::new();
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
    for (key, lsa) in ospf.database() {
        let header = lsa.header(Time::ZERO);
        (key, header.sequence, header.checksum).hash(&mut digest);
    }
    digest.finish()
}

/// Looks at IS-IS's adjacencies and queues.
fn check_isis(isis: bugle_isis::State<'_>, findings: &mut Vec<String>) {
    for adjacency in isis.adjacencies().filter(|adjacency| adjacency.state != AdjacencyState::Up) {
        findings.push(format!("the adjacency with {} is {}", adjacency.system, adjacency.state));
    }
    if isis.adjacencies().next().is_some() && !isis.in_step() {
        findings.push("a neighbour has LSPs that have not come".to_owned());
    }
    for level in [Level::L1, Level::L2] {
        let waiting: usize = isis.circuits().map(|(_, circuit)| circuit.pending_lsps(level)).sum();
        if waiting > 0 {
            findings.push(format!("{waiting} LSPs of {level} wait to be sent or acknowledged"));
        }
        if isis.spf_due(level).is_some() {
            findings.push(format!("a run of SPF of {level} is due"));
        }
    }
}

/// A hash of a level's database. A dead LSP's header leaves each database a minute after it came there.
fn isis_database(isis: bugle_isis::State<'_>, level: Level) -> u64 {
    let mut digest = Digest::new();
    for lsp in isis.database(level).filter(|lsp| !lsp.is_dead()) {
        let LspEntry { id, sequence, checksum, .. } = lsp.entry(Time::ZERO);
        (id, sequence, checksum).hash(&mut digest);
    }
    digest.finish()
}

/// Compares the routes in force, and those of IS-IS where OSPF's are in force, with the oracles'.
fn check_routes(
    vrf: &VrfState<'_>,
    expected: &[(Protocol, BTreeMap<Prefix, Expected>)],
    findings: &mut Vec<String>,
) {
    let mut best = BTreeMap::new();
    for (protocol, routes) in expected.iter().rev() {
        best.extend(routes.iter().map(|(&prefix, wanted)| (prefix, (*protocol, wanted))));
    }
    let in_force = vrf.routes().filter(|route| route.protocol != Protocol::Host);
    let in_force = in_force.map(|route| {
        let SelectedRoute { prefix, protocol, metric, nexthops, .. } = route;
        (prefix, Found { protocol, metric, nexthops })
    });
    // Where a machine is, the way that others tell of is behind the one to its port.
    let local: BTreeSet<Prefix> = vrf
        .routes()
        .filter(|route| route.protocol == Protocol::Host)
        .map(|route| route.prefix)
        .collect();
    best.retain(|prefix, _| !local.contains(prefix));
    compare(in_force, best, findings);
    let [_, (protocol, routes)] = expected else { return };
    let of_isis = vrf.isis().into_iter().flat_map(|isis| isis.routes());
    let of_isis = of_isis.map(|(prefix, route)| {
        let (metric, nexthops) = (route.metric, &*route.nexthops);
        (prefix, Found { protocol: *protocol, metric, nexthops })
    });
    let wanted = routes.iter().map(|(&prefix, wanted)| (prefix, (*protocol, wanted)));
    compare(of_isis, wanted, findings);
}

/// A route that there is.
struct Found<'a> {
    protocol: Protocol,
    metric: u32,
    nexthops: &'a [Nexthop],
}

/// Compares routes with those there should be, both in the order of prefixes.
fn compare<'a>(
    found: impl Iterator<Item = (Prefix, Found<'a>)>,
    wanted: impl IntoIterator<Item = (Prefix, (Protocol, &'a Expected))>,
    findings: &mut Vec<String>,
) {
    let mut wrong = Vec::new();
    let mut rest = wanted.into_iter().peekable();
    for (prefix, found) in found {
        while let Some((missing, (protocol, _))) = rest.next_if(|(next, _)| *next < prefix) {
            wrong.push(format!("there is no route of {protocol} to {missing}"));
        }
        let Some((_, (protocol, wanted))) = rest.next_if(|(next, _)| *next == prefix) else {
            wrong.push(format!("there is a route of {} to {prefix}", found.protocol));
            continue;
        };
        let hops = &wanted.nexthops[..wanted.nexthops.len().min(MAX_ECMP)];
        let right = if wanted.nexthops.len() > MAX_ECMP {
            found.nexthops.len() == MAX_ECMP
                && found.nexthops.iter().all(|hop| wanted.nexthops.contains(hop))
        } else {
            found.nexthops == hops
        };
        if (found.protocol, found.metric) != (protocol, wanted.metric) || !right {
            let tell = |Found { protocol, metric, nexthops }: Found<'_>| {
                let hops: Vec<String> = nexthops.iter().map(ToString::to_string).collect();
                format!("{protocol}, metric {metric}, through {}", hops.join(", "))
            };
            let wanted = Found { protocol, metric: wanted.metric, nexthops: hops };
            let (found, wanted) = (tell(found), tell(wanted));
            wrong.push(format!("the route to {prefix} is of {found}; should be of {wanted}"));
        }
    }
    let missing = rest.map(|(prefix, (of, _))| format!("there is no route of {of} to {prefix}"));
    wrong.extend(missing);
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
            Way::Group(group) => {
                group.members.iter().filter_map(|&id| kernel.nexthop(id)).collect()
            }
        };
        hops.sort_unstable();
        if hops.is_empty() || hops != route.nexthops {
            wrong.push(format!("the kernel's route to {} is not the daemon's", route.prefix));
        }
        // Where the loss of one link takes all nexthops and leaves the backup, that one stands by.
        let standby = route.backup.filter(|backup| {
            let first = route.nexthops.first();
            let one_link =
                route.nexthops.iter().all(|hop| first.is_some_and(|f| f.ifindex == hop.ifindex));
            one_link && first.is_some_and(|first| first.ifindex != backup.ifindex)
        });
        let found = match found {
            Way::Group(group) => group.standby.and_then(|id| kernel.nexthop(id)),
            Way::None | Way::Dropped | Way::Single(_) => None,
        };
        if found != standby {
            wrong.push(format!(
                "what stands by for {} in the kernel is not the backup",
                route.prefix
            ));
        }
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
