//! What there is to see of IS-IS.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bugle_api::model::{DatabaseEntry, Interface, Neighbor, Spf};
use bugle_isis::{AdjacencyState, CircuitConfig, CircuitKind};
use bugle_speaker::{State, VrfState};
use bugle_types::{SystemId, Time};
use bugle_wire::isis::{Level, LspEntry, LspFlags};

use super::{backoff, count, hexadecimal, micros, millis};

/// The protocol's name in answers.
pub(super) const ISIS: &str = "isis";

pub(super) fn interfaces(vrf: &VrfState<'_>, now: Time) -> Vec<Interface> {
    let Some(isis) = vrf.isis() else { return Vec::new() };
    let heard = |ifindex| isis.adjacencies().filter(|a| a.id.ifindex == ifindex).count();
    let row = |ifindex, config: &CircuitConfig| {
        let address = config.ipv4.first().map(|&(v4, length)| (IpAddr::from(v4), length));
        let address =
            address.or_else(|| config.ipv6.first().map(|&(v6, length)| (v6.into(), length)));
        let held = vrf.held_neighbors(ifindex);
        Interface {
            vrf: vrf.name().to_string(),
            protocol: ISIS.to_owned(),
            interface: config.name.clone(),
            address: address.map_or_else(String::new, |(ip, length)| format!("{ip}/{length}")),
            area: None,
            level: Some(config.levels.to_string()),
            link_type: match config.kind {
                CircuitKind::PointToPoint => "point-to-point",
                CircuitKind::Broadcast => "broadcast",
                CircuitKind::Passive => "passive",
            }
            .to_owned(),
            state: "Held".to_owned(),
            cost: config.metric,
            priority: config.priority,
            hello_ms: millis(config.hello),
            dead_ms: millis(config.hello.saturating_mul(config.hold_multiplier.into())),
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
    let active = isis.circuits().map(|(ifindex, circuit)| {
        let passive = circuit.config.kind == CircuitKind::Passive;
        let lan_ids = Level::ALL.into_iter().filter_map(|level| {
            circuit.lan_id[level].map(|lan_id| (level.to_string(), lan_id.to_string()))
        });
        Interface {
            state: if passive { "Passive" } else { "Up" }.to_owned(),
            lan_ids: lan_ids.collect(),
            drops: circuit.drops.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            mismatches: circuit
                .mismatches
                .iter()
                .map(|(source, mismatch)| (source.to_string(), mismatch.to_string()))
                .collect(),
            ..row(ifindex, &circuit.config)
        }
    });
    let held = vrf.held_circuits().into_iter().map(|(ifindex, config, until)| Interface {
        held_seconds: Some(until.since(now).as_secs()),
        ..row(ifindex, &config)
    });
    active.chain(held).collect()
}

pub(super) fn neighbors(state: State<'_>, vrf: &VrfState<'_>, now: Time) -> Vec<Neighbor> {
    let Some(isis) = vrf.isis() else { return Vec::new() };
    let described = isis.adjacencies().map(|adjacency| {
        let ifindex = adjacency.id.ifindex;
        let circuit = isis.circuits().find(|(number, _)| *number == ifindex);
        let pending = Level::ALL
            .into_iter()
            .filter(|&level| adjacency.levels.includes(level))
            .filter_map(|level| Some(circuit?.1.pending_lsps(level)));
        let ipv6 = || adjacency.ipv6.first().copied().map(IpAddr::from);
        let ipv4 = adjacency.ipv4.iter().copied().map(IpAddr::from);
        let addresses = ipv4.chain(adjacency.ipv6.iter().copied().map(IpAddr::from));
        let flaps = addresses.map(|address| vrf.neighbor_flaps(ifindex, address)).max();
        Neighbor {
            vrf: vrf.name().to_string(),
            protocol: ISIS.to_owned(),
            interface: state.interface_name(ifindex),
            router_id: None,
            system_id: Some(adjacency.system),
            hostname: isis.hostname(adjacency.system).map(str::to_owned),
            address: adjacency.ipv4.first().copied().map(IpAddr::from).or_else(ipv6),
            mac: Some(adjacency.source),
            level: Some(adjacency.levels.to_string()),
            state: adjacency.state.to_string(),
            priority: adjacency.priority,
            since_seconds: now.since(adjacency.since).as_secs(),
            designated_router: None,
            backup_designated_router: None,
            requested: 0,
            unacknowledged: count(pending.sum()),
            bfd: vrf.isis_bfd_state(adjacency).map(|state| state.to_string()),
            flaps: flaps.unwrap_or_default().into(),
            expires_seconds: isis.expires(adjacency.id).map(|at| at.since(now).as_secs()),
        }
    });
    described.collect()
}

/// How many neighbours there are, and how many are adjacent.
pub(super) fn adjacencies(vrf: &VrfState<'_>) -> (usize, usize) {
    let states = vrf.isis().into_iter().flat_map(|isis| isis.adjacencies().map(|a| a.state));
    states.fold((0, 0), |(all, up), state| (all + 1, up + usize::from(state == AdjacencyState::Up)))
}

/// How many LSPs there are, of all levels.
pub(super) fn database_len(vrf: &VrfState<'_>) -> usize {
    let isis = vrf.isis();
    isis.map_or(0, |isis| Level::ALL.map(|level| isis.database_len(level)).iter().sum())
}

/// An LSP as plain values.
pub(super) struct Row {
    level: Level,
    entry: LspEntry,
    flags: LspFlags,
    hostname: Option<String>,
    bytes: Box<[u8]>,
}

pub(super) fn database(vrf: &VrfState<'_>, now: Time) -> Vec<Row> {
    let Some(isis) = vrf.isis() else { return Vec::new() };
    let name = |system: SystemId| isis.hostname(system).map(str::to_owned);
    let rows = Level::ALL.into_iter().flat_map(|level| {
        isis.database(level).map(move |stored| {
            let entry = stored.entry(now);
            let hostname = name(entry.id.node.system);
            let bytes = stored.lsp().map(|lsp| lsp.bytes().into()).unwrap_or_default();
            Row { level, entry, flags: stored.flags(), hostname, bytes }
        })
    });
    rows.collect()
}

impl Row {
    pub(super) fn describe(&self, vrf: &str) -> DatabaseEntry {
        let Self { level, entry, flags, hostname, bytes } = self;
        // Every system is one of level 1; who is one of level 2 shows by its LSP there.
        let told = flags.names().filter(|flag| !matches!(*flag, "L1" | "L2"));
        DatabaseEntry {
            vrf: vrf.to_owned(),
            protocol: ISIS.to_owned(),
            area: None,
            level: Some(level.to_string()),
            lsa_type: "lsp".to_owned(),
            id: entry.id.to_string(),
            advertising_router: entry.id.node.system.into(),
            hostname: hostname.clone(),
            sequence: entry.sequence.to_string(),
            age_seconds: None,
            lifetime_seconds: Some(entry.lifetime),
            flags: told.map(str::to_owned).collect(),
            checksum: format!("{:#06x}", entry.checksum),
            length: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            lsa: hexadecimal(bytes.iter().copied()),
        }
    }
}

/// Route computation, of each level.
pub(super) fn spf(vrf: &VrfState<'_>, now: Time) -> Vec<Spf> {
    let Some(isis) = vrf.isis() else { return Vec::new() };
    let levels = Level::ALL.into_iter().filter(|&level| isis.config().levels.includes(level));
    let described = levels.map(|level| {
        let (last, counts) = (isis.last_run(level), isis.spf_counts(level));
        let coverage = isis.coverage(level);
        Spf {
            vrf: vrf.name().to_string(),
            protocol: ISIS.to_owned(),
            area: None,
            level: Some(level.to_string()),
            state: backoff(isis.backoff(level)).to_owned(),
            due_in_us: isis.spf_due(level).map(|due| micros(due.since(now))),
            runs: counts.incremental + counts.new_root + counts.many_changes + counts.many_nodes,
            runs_incremental: counts.incremental,
            runs_new_root: counts.new_root,
            runs_many_changes: counts.many_changes,
            runs_many_nodes: counts.many_nodes,
            nodes: count(isis.nodes(level)),
            last_kind: last.kind.name().to_owned(),
            last_visited: count(last.nodes_visited),
            last_changed: count(last.nodes_changed),
            routes: count(coverage.routes()),
            routes_protected: count(coverage.protected()),
            routes_ecmp: count(coverage.ecmp),
            routes_node_protected: count(coverage.node + coverage.link_and_node),
            routes_unprotected: count(coverage.unprotected),
            routes_held: count(isis.held(level).map_or(0, |(_, routes)| routes)),
        }
    });
    described.collect()
}
