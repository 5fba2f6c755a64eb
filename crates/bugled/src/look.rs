//! What is copied out of the speaker on the loop's thread, and turned into answers elsewhere.
//!
//! Most topics are small and are described on the spot. Routes and database entries can be a hundred thousand: of them plain
//! values are copied, without an allocation for each, and described by the thread that asked.

mod isis;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bugle_api::Refusal;
use bugle_api::model::{
    DatabaseEntry, Host, Interface, Neighbor, Reply, Route, RouteNexthop, Spf, Summary, Topic,
    VrfSummary,
};
use bugle_isis::Tags;
use bugle_lsdb::BackoffState;
use bugle_mobility::{HostState, HostView};
use bugle_ospf::database::{Scope, StoredLsa};
use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{InterfaceConfig, NetworkType, PathType, Protection};
use bugle_rib::{Protocol, SelectedRoute};
use bugle_speaker::{Speaker, State, VrfState};
use bugle_types::{AreaId, IfIndex, Nexthop, Prefix, Time};

/// The protocol's name in answers.
const OSPF: &str = "ospf";

/// What was seen of a topic.
pub(crate) enum Seen {
    /// Something small, described already.
    Described(Reply),
    Routes(Vec<RouteTable>),
    Database(Vec<Database>),
}

impl Seen {
    /// The answer.
    pub(crate) fn describe(self) -> Reply {
        match self {
            Self::Described(reply) => reply,
            Self::Routes(tables) => {
                Reply::Routes(tables.iter().flat_map(RouteTable::describe).collect())
            }
            Self::Database(all) => {
                Reply::Database(all.iter().flat_map(Database::describe).collect())
            }
        }
    }
}

/// Looks at a topic, of one VRF or of all.
pub(crate) fn at(
    speaker: &Speaker,
    now: Time,
    topic: Topic,
    vrf: Option<String>,
) -> Result<Seen, Refusal> {
    let state = speaker.state();
    let vrfs: Vec<VrfState<'_>> = match vrf {
        None => state.vrfs().collect(),
        Some(name) => vec![state.vrf(&name).ok_or(Refusal::UnknownVrf(name))?],
    };
    let vrfs = vrfs.iter();
    let reply = match topic {
        Topic::Routes => return Ok(Seen::Routes(vrfs.map(|vrf| routes(state, vrf)).collect())),
        Topic::Database => return Ok(Seen::Database(vrfs.map(|vrf| database(vrf, now)).collect())),
        Topic::Summary => Reply::Summary(summary(state, vrfs, now)),
        Topic::Interfaces => Reply::Interfaces(
            vrfs.flat_map(|vrf| interfaces(vrf, now).into_iter().chain(isis::interfaces(vrf, now)))
                .collect(),
        ),
        Topic::Neighbors => {
            let all = vrfs.flat_map(|vrf| {
                let ospf = neighbors(state, vrf, now).into_iter();
                ospf.chain(isis::neighbors(state, vrf, now))
            });
            Reply::Neighbors(all.collect())
        }
        Topic::Hosts => Reply::Hosts(
            vrfs.flat_map(|vrf| vrf.hosts().map(|view| host(vrf, &view, now))).collect(),
        ),
        Topic::Spf => Reply::Spf(
            vrfs.flat_map(|vrf| spf(vrf, now).into_iter().chain(isis::spf(vrf, now))).collect(),
        ),
        // BFD has a thread of its own, and events are the journal's.
        Topic::Bfd => Reply::Bfd(Vec::new()),
        Topic::Events => Reply::Events(Vec::new()),
    };
    Ok(Seen::Described(reply))
}

fn summary<'a>(
    state: State<'_>,
    vrfs: impl Iterator<Item = &'a VrfState<'a>>,
    now: Time,
) -> Summary {
    let config = state.config();
    let vrfs = vrfs.map(|vrf| {
        let ospf = vrf.ospf();
        let states: Vec<_> =
            ospf.into_iter().flat_map(|ospf| ospf.neighbors().map(|n| n.state)).collect();
        let full = states.iter().filter(|state| **state == NeighborState::Full);
        let isis = vrf.isis();
        let (adjacencies, up) = isis::adjacencies(vrf);
        let circuits = isis.map_or(0, |isis| isis.circuits().count());
        VrfSummary {
            vrf: vrf.name().to_string(),
            table: vrf.table().map(|table| table.0),
            protocols: named([ospf.map(|_| OSPF), isis.map(|_| isis::ISIS)]),
            system_id: isis.map(|isis| isis.system_id()),
            duplicated_in: named([
                ospf.filter(bugle_ospf::State::is_duplicated).map(|_| OSPF),
                isis.filter(bugle_isis::State::is_duplicated).map(|_| isis::ISIS),
            ]),
            interfaces: count(ospf.map_or(0, |ospf| ospf.interfaces().count()) + circuits),
            neighbors: count(states.len() + adjacencies),
            neighbors_full: count(full.count() + up),
            database: count(ospf.map_or(0, |ospf| ospf.database_len()) + isis::database_len(vrf)),
            routes: count(vrf.routes().count()),
            hosts: count(vrf.hosts().count()),
        }
    });
    Summary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: config.hostname.clone().unwrap_or_default(),
        router_id: state.router_id().unwrap_or_default(),
        uptime_seconds: now.since(state.started()).as_secs(),
        fib_enabled: config.fib.enabled,
        vrfs: vrfs.collect(),
    }
}

fn named(protocols: [Option<&str>; 2]) -> Vec<String> {
    protocols.into_iter().flatten().map(str::to_owned).collect()
}

fn interfaces(vrf: &VrfState<'_>, now: Time) -> Vec<Interface> {
    let Some(ospf) = vrf.ospf() else { return Vec::new() };
    let area = ospf.config().area;
    let heard = |ifindex| ospf.neighbors().filter(|n| n.id.ifindex == ifindex).count();
    let row = |ifindex, config: &InterfaceConfig| {
        let held = vrf.held_neighbors(ifindex);
        Interface {
            vrf: vrf.name().to_string(),
            protocol: OSPF.to_owned(),
            interface: config.name.clone(),
            address: format!("{}/{}", config.address, config.prefix_length),
            area: Some(area),
            level: None,
            link_type: match config.network_type {
                NetworkType::PointToPoint => "point-to-point",
                NetworkType::Broadcast => "broadcast",
                NetworkType::Passive => "passive",
            }
            .to_owned(),
            state: "Held".to_owned(),
            cost: config.cost.into(),
            priority: config.priority,
            hello_ms: millis(config.hello),
            dead_ms: millis(config.dead),
            mtu: config.mtu,
            designated_router: None,
            backup_designated_router: None,
            lan_ids: BTreeMap::new(),
            neighbors: count(heard(ifindex)),
            drops: BTreeMap::new(),
            mismatches: BTreeMap::new(),
            flaps: vrf.link_flaps(ifindex).into(),
            held_seconds: None,
            held_neighbors: held
                .map(|(address, until)| (address.to_string(), until.since(now).as_secs()))
                .collect(),
        }
    };
    let active = ospf.interfaces().map(|(ifindex, interface)| Interface {
        state: interface.state.to_string(),
        designated_router: set(interface.dr),
        backup_designated_router: set(interface.bdr),
        drops: interface.drops.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
        mismatches: interface
            .mismatches
            .iter()
            .map(|(address, mismatch)| (address.to_string(), mismatch.to_string()))
            .collect(),
        ..row(ifindex, &interface.config)
    });
    let held = vrf.held_interfaces().into_iter().map(|(ifindex, config, until)| Interface {
        held_seconds: Some(until.since(now).as_secs()),
        ..row(ifindex, &config)
    });
    active.chain(held).collect()
}

fn neighbors(state: State<'_>, vrf: &VrfState<'_>, now: Time) -> Vec<Neighbor> {
    let Some(ospf) = vrf.ospf() else { return Vec::new() };
    let described = ospf.neighbors().map(|neighbor| Neighbor {
        vrf: vrf.name().to_string(),
        protocol: OSPF.to_owned(),
        interface: state.interface_name(neighbor.id.ifindex),
        router_id: Some(neighbor.router_id),
        system_id: None,
        hostname: None,
        address: Some(neighbor.address.into()),
        mac: None,
        level: None,
        state: neighbor.state.to_string(),
        priority: neighbor.priority,
        since_seconds: now.since(neighbor.since).as_secs(),
        designated_router: set(neighbor.dr),
        backup_designated_router: set(neighbor.bdr),
        requested: count(neighbor.request_count()),
        unacknowledged: count(neighbor.retransmit_count()),
        bfd: vrf.bfd_state(neighbor.id.ifindex, neighbor.address).map(|state| state.to_string()),
        expires_seconds: None,
        flaps: vrf.neighbor_flaps(neighbor.id.ifindex, neighbor.address.into()).into(),
    });
    described.collect()
}

/// A host.
pub(crate) fn host(vrf: &VrfState<'_>, view: &HostView<'_>, now: Time) -> Host {
    Host {
        vrf: vrf.name().to_string(),
        address: view.address,
        state: view.state.to_string(),
        waits_for: waits_for(view),
        since_seconds: now.since(view.since).as_secs(),
        class: view.class.map(|class| class.to_string()),
        port: view.port.map(str::to_owned),
        mac: view.mac,
        metric: view.metric,
        rivals: view.others.map_or(0, |others| count(others.count)),
        rival: view.others.map(|others| others.router),
        rival_metric: view.others.and_then(|others| others.metric),
        moves: count(view.moves),
        frozen_seconds: view.frozen_until.map(|until| until.since(now).as_secs()),
    }
}

/// What a host that is not live waits for.
pub(crate) fn waits_for(view: &HostView<'_>) -> Option<String> {
    if let HostState::Candidate(why) = &view.state { Some(why.to_string()) } else { None }
}

fn spf(vrf: &VrfState<'_>, now: Time) -> Option<Spf> {
    let ospf = vrf.ospf()?;
    let (last, counts) = (ospf.routing().last_run(), ospf.routing().spf_counts());
    let coverage = ospf.routing().coverage();
    Some(Spf {
        vrf: vrf.name().to_string(),
        protocol: OSPF.to_owned(),
        area: Some(ospf.config().area),
        level: None,
        state: backoff(ospf.backoff()).to_owned(),
        due_in_us: vrf.spf_due().map(|due| micros(due.since(now))),
        runs: ospf.stats().spf_runs,
        runs_incremental: counts.incremental,
        runs_new_root: counts.new_root,
        runs_many_changes: counts.many_changes,
        runs_many_nodes: counts.many_nodes,
        nodes: count(ospf.routing().nodes()),
        last_kind: last.kind.name().to_owned(),
        last_visited: count(last.nodes_visited),
        last_changed: count(last.nodes_changed),
        routes: count(coverage.routes()),
        routes_protected: count(coverage.protected()),
        routes_ecmp: count(coverage.ecmp),
        routes_node_protected: count(coverage.node + coverage.link_and_node),
        routes_unprotected: count(coverage.unprotected),
        routes_held: count(ospf.routing().held().map_or(0, |(_, routes)| routes)),
    })
}

const fn backoff(state: BackoffState) -> &'static str {
    match state {
        BackoffState::Quiet => "quiet",
        BackoffState::ShortWait => "short-wait",
        BackoffState::LongWait => "long-wait",
    }
}

/// The kind of path that a protocol has.
#[derive(Clone, Copy)]
enum Path {
    Ospf(PathType),
    Isis(bugle_isis::PathType),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ospf(path) => path.fmt(f),
            Self::Isis(path) => path.fmt(f),
        }
    }
}

/// What a protocol says of a route.
#[derive(Clone, Copy)]
struct Detail {
    path: Path,
    protects: Option<Protection>,
    tags: Tags,
}

impl Detail {
    fn ospf(route: &bugle_ospf::Route) -> Self {
        let protects = route.backup.map(|backup| backup.protects);
        Self { path: Path::Ospf(route.path), protects, tags: Tags::NONE }
    }

    fn isis(route: &bugle_isis::Route) -> Self {
        let protects = route.backup.map(|backup| backup.protects);
        Self { path: Path::Isis(route.path), protects, tags: route.tags }
    }
}

/// The routes of a VRF as plain values.
pub(crate) struct RouteTable {
    vrf: String,
    rows: Vec<RouteRow>,
    /// The nexthops of all rows, one row's after another's.
    nexthops: Vec<Nexthop>,
    names: BTreeMap<IfIndex, String>,
}

struct RouteRow {
    prefix: Prefix,
    protocol: Protocol,
    path: Option<Path>,
    backup: Option<Nexthop>,
    protects: Option<Protection>,
    tags: Tags,
    metric: u32,
    installed: bool,
    nexthops: usize,
}

impl RouteTable {
    fn new(vrf: &VrfState<'_>) -> Self {
        let vrf = vrf.name().to_string();
        Self { vrf, rows: Vec::new(), nexthops: Vec::new(), names: BTreeMap::new() }
    }

    /// Adds a route, of which `detail` is what its protocol says.
    fn push(&mut self, state: State<'_>, route: &SelectedRoute<'_>, detail: Option<Detail>) {
        for nexthop in route.nexthops.iter().chain(route.backup.as_ref()) {
            let ifindex = nexthop.ifindex;
            self.names.entry(ifindex).or_insert_with(|| state.interface_name(ifindex));
        }
        self.nexthops.extend_from_slice(route.nexthops);
        self.rows.push(RouteRow {
            prefix: route.prefix,
            protocol: route.protocol,
            path: detail.map(|detail| detail.path),
            backup: route.backup,
            protects: detail.and_then(|detail| detail.protects),
            tags: detail.map_or(Tags::NONE, |detail| detail.tags),
            metric: route.metric,
            installed: route.installed,
            nexthops: route.nexthops.len(),
        });
    }

    fn describe(&self) -> Vec<Route> {
        let mut nexthops = self.nexthops.iter();
        let described = self.rows.iter().map(|row| Route {
            vrf: self.vrf.clone(),
            prefix: row.prefix,
            protocol: row.protocol.to_string(),
            path: row.path.map(|path| path.to_string()),
            metric: row.metric,
            nexthops: nexthops
                .by_ref()
                .take(row.nexthops)
                .map(|nexthop| self.nexthop(nexthop))
                .collect(),
            backup: row.backup.as_ref().map(|backup| self.nexthop(backup)),
            protects: row.protects.map(|protects| protects.name().to_owned()),
            tag: (row.tags.short != 0).then_some(row.tags.short),
            tag_64: (row.tags.long != 0).then_some(row.tags.long),
            installed: row.installed,
        });
        described.collect()
    }

    fn nexthop(&self, nexthop: &Nexthop) -> RouteNexthop {
        RouteNexthop {
            gateway: nexthop.gateway,
            interface: self.names.get(&nexthop.ifindex).cloned().unwrap_or_default(),
        }
    }
}

fn routes(state: State<'_>, vrf: &VrfState<'_>) -> RouteTable {
    let mut table = RouteTable::new(vrf);
    let (ospf, isis) = (vrf.ospf(), vrf.isis());
    // All come in the order of prefixes, so one pass finds the details.
    let mut of_ospf = ospf.iter().flat_map(|ospf| ospf.routing().routes()).peekable();
    let mut of_isis = isis.iter().flat_map(bugle_isis::State::routes).peekable();
    for route in vrf.routes() {
        while of_ospf.next_if(|(prefix, _)| *prefix < route.prefix).is_some() {}
        while of_isis.next_if(|(prefix, _)| *prefix < route.prefix).is_some() {}
        let here = |prefix: Prefix| prefix == route.prefix;
        let detail = match route.protocol {
            Protocol::Host => None,
            Protocol::Ospf => {
                of_ospf.peek().filter(|(prefix, _)| here(*prefix)).map(|(_, r)| Detail::ospf(r))
            }
            Protocol::Isis => {
                of_isis.peek().filter(|(prefix, _)| here(*prefix)).map(|(_, r)| Detail::isis(r))
            }
        };
        table.push(state, &route, detail);
    }
    table
}

/// A single route.
pub(crate) fn route(
    state: State<'_>,
    vrf: &VrfState<'_>,
    route: &SelectedRoute<'_>,
) -> Option<Route> {
    let mut table = RouteTable::new(vrf);
    let prefix = route.prefix;
    let detail = match route.protocol {
        Protocol::Host => None,
        Protocol::Ospf => vrf.ospf().and_then(|o| o.routing().route(prefix).map(Detail::ospf)),
        Protocol::Isis => vrf.isis().and_then(|isis| isis.route(prefix).map(Detail::isis)),
    };
    table.push(state, route, detail);
    table.describe().pop()
}

/// The link-state database of a VRF as plain values.
pub(crate) struct Database {
    vrf: String,
    now: Time,
    entries: Vec<(Scope, StoredLsa)>,
    lsps: Vec<isis::Row>,
}

impl Database {
    fn describe(&self) -> impl Iterator<Item = DatabaseEntry> + use<'_> {
        let lsas = self.entries.iter().map(|(scope, lsa)| {
            let header = lsa.header(self.now);
            // The first two octets are the age.
            let octets = lsa.bytes().iter().copied().skip(2);
            DatabaseEntry {
                vrf: self.vrf.clone(),
                protocol: OSPF.to_owned(),
                area: area(*scope),
                level: None,
                lsa_type: header.key.ls_type.to_string(),
                id: header.key.link_state_id.to_string(),
                advertising_router: header.key.advertising_router.into(),
                hostname: None,
                sequence: header.sequence.to_string(),
                age_seconds: Some(header.age),
                lifetime_seconds: None,
                flags: Vec::new(),
                checksum: format!("{:#06x}", header.checksum),
                length: header.length,
                lsa: hexadecimal(header.age.to_be_bytes().into_iter().chain(octets)),
            }
        });
        lsas.chain(self.lsps.iter().map(|row| row.describe(&self.vrf)))
    }
}

fn database(vrf: &VrfState<'_>, now: Time) -> Database {
    let ospf = vrf.ospf();
    let entries = ospf
        .iter()
        .flat_map(bugle_ospf::State::database)
        .map(|(key, stored)| (key.scope, stored.clone()))
        .collect();
    Database { vrf: vrf.name().to_string(), now, entries, lsps: isis::database(vrf, now) }
}

fn hexadecimal(octets: impl Iterator<Item = u8>) -> String {
    let digits = octets
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16));
    digits.collect()
}

fn area(scope: Scope) -> Option<AreaId> {
    match scope {
        Scope::Area(area) => Some(area),
        Scope::Link(_) | Scope::As => None,
    }
}

/// An address, unless it is the 0.0.0.0 that stands for none.
fn set(address: std::net::Ipv4Addr) -> Option<std::net::Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
