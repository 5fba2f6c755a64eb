//! What is counted.

mod isis;

use std::collections::BTreeMap;

use bugle_api::model::Metric;
use bugle_host::Counters;
use bugle_ospf::Coverage;
use bugle_ospf::neighbor::NeighborState;
use bugle_speaker::{Speaker, VrfState};
use bugle_spf::SpfCounts;
use bugle_types::Time;

use crate::journal::Journal;

/// A value with its labels.
pub(crate) type Sample = (Vec<(&'static str, String)>, u64);

/// A value with a label and what the label says.
type Labelled = (&'static str, String, u64);

/// What the speaker knows.
pub(crate) fn of_speaker(speaker: &Speaker, now: Time) -> Vec<Metric> {
    let state = speaker.state();
    let each = |value: &dyn Fn(&VrfState<'_>) -> Option<u64>| -> Vec<Sample> {
        let labelled = state
            .vrfs()
            .filter_map(|vrf| Some((vec![("vrf", vrf.name().to_string())], value(&vrf)?)));
        labelled.collect()
    };
    let ospf = |value: &dyn Fn(bugle_ospf::State<'_>) -> u64| each(&|vrf| vrf.ospf().map(value));
    let fib = state.fib();
    let uptime = now.since(state.started());
    let mut metrics = vec![
        gauge("uptime_seconds", "Seconds since the start", single(uptime.as_secs())),
        gauge("ospf_neighbors", "OSPF neighbours by state", neighbors(state.vrfs())),
        gauge("ospf_lsas", "LSAs in the database", ospf(&|ospf| count(ospf.database_len()))),
        gauge("ospf_nodes", "Routers and networks", ospf(&|ospf| count(ospf.routing().nodes()))),
        counter("ospf_packets_received", "Valid packets", ospf(&|ospf| ospf.stats().received)),
        counter("ospf_packets_sent", "Packets sent", ospf(&|ospf| ospf.stats().sent)),
        counter("ospf_lsas_installed", "LSAs taken in", ospf(&|ospf| ospf.stats().installed)),
        counter(
            "ospf_lsas_retransmitted",
            "LSAs sent again",
            ospf(&|ospf| ospf.stats().retransmitted),
        ),
        counter(
            "ospf_lsas_refused",
            "LSAs that came too fast",
            ospf(&|ospf| ospf.stats().arrivals_refused),
        ),
        counter("ospf_spf_runs", "Route computations by kind", spf_runs(state.vrfs())),
        gauge(
            "ospf_routes",
            "Routes by what stands in when their nexthops fail",
            protection(state.vrfs()),
        ),
        gauge(
            "ospf_routes_held",
            "New routes that wait until neighbours have changed theirs",
            ospf(&|ospf| count(ospf.routing().held().map_or(0, |(_, routes)| routes))),
        ),
        counter("ospf_drops", "Packets and LSAs dropped by reason", drops(state.vrfs())),
        gauge("routes", "Prefixes with a route", each(&|vrf| Some(count(vrf.routes().count())))),
        gauge("hosts", "Hosts by state", hosts(state.vrfs())),
        gauge("fib_routes", "Routes in the kernel, as far as known", single(count(fib.installed))),
        gauge("fib_nexthops", "Nexthop objects in the kernel", single(count(fib.nexthops))),
        gauge("fib_groups", "Nexthop groups in the kernel", single(count(fib.groups))),
        gauge("fib_neighbors", "Neighbour entries in the kernel", single(count(fib.neighbors))),
        counter("fib_changes", "Changes asked of the kernel", single(fib.ops)),
        counter("fib_failures", "Changes the kernel refused", single(fib.failures)),
        counter(
            "fib_replaced",
            "Routes of ours that other programs replaced",
            single(fib.replaced),
        ),
    ];
    let vrfs: Vec<_> = state.vrfs().collect();
    metrics.extend(isis::of_isis(&vrfs));
    metrics
}

/// What went through the sockets.
pub(crate) fn of_driver(counters: &Counters) -> Vec<Metric> {
    vec![
        counter("socket_received", "OSPF packets received", single(counters.received.value())),
        counter(
            "socket_malformed",
            "Datagrams that are no IPv4",
            single(counters.malformed.value()),
        ),
        counter(
            "socket_receive_errors",
            "Failed receptions",
            single(counters.receive_errors.value()),
        ),
        counter("socket_sent", "OSPF packets sent", single(counters.sent.value())),
        counter("socket_send_errors", "Packets not sent", single(counters.send_errors.value())),
        counter("socket_open_errors", "Sockets not opened", single(counters.socket_errors.value())),
        counter("resyncs", "Listings of interfaces", single(counters.resyncs.value())),
    ]
}

/// What happened.
pub(crate) fn of_journal(journal: &Journal) -> Vec<Metric> {
    let (kinds, missed) = journal.counts();
    let samples = kinds.into_iter().map(|(kind, n)| (vec![("kind", kind.to_owned())], n));
    vec![
        counter("events", "Events by kind", samples.collect()),
        counter("events_missed", "Events that came too fast to be kept", single(missed)),
    ]
}

/// Runs of SPF by how they went about it.
fn spf_runs<'a>(vrfs: impl Iterator<Item = VrfState<'a>>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for vrf in vrfs {
        let Some(ospf) = vrf.ospf() else { continue };
        for (key, kind, runs) in runs_by_kind(ospf.routing().spf_counts()) {
            samples.push((vec![("vrf", vrf.name().to_string()), (key, kind)], runs));
        }
    }
    samples
}

/// Runs of SPF by how they went about it.
fn runs_by_kind(counts: SpfCounts) -> Vec<Labelled> {
    let kinds = [
        ("incremental", counts.incremental),
        ("new-root", counts.new_root),
        ("many-changes", counts.many_changes),
        ("many-nodes", counts.many_nodes),
    ];
    kinds.map(|(kind, runs)| ("kind", kind.to_owned(), runs)).into()
}

/// Routes by how they are protected: the coverage of RFC 6571.
fn protection<'a>(vrfs: impl Iterator<Item = VrfState<'a>>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for vrf in vrfs {
        let Some(ospf) = vrf.ospf() else { continue };
        for (key, protection, routes) in by_protection(ospf.routing().coverage()) {
            samples.push((vec![("vrf", vrf.name().to_string()), (key, protection)], routes));
        }
    }
    samples
}

/// Routes by what stands in for them.
fn by_protection(coverage: Coverage) -> Vec<Labelled> {
    let kinds = [
        ("ecmp", coverage.ecmp),
        ("link-and-node", coverage.link_and_node),
        ("link", coverage.link),
        ("node", coverage.node),
        ("none", coverage.unprotected),
    ];
    kinds.map(|(protection, routes)| ("protection", protection.to_owned(), count(routes))).into()
}

fn neighbors<'a>(vrfs: impl Iterator<Item = VrfState<'a>>) -> Vec<Sample> {
    let samples = vrfs.flat_map(|vrf| {
        let mut counts: BTreeMap<NeighborState, u64> =
            NeighborState::ALL.into_iter().map(|state| (state, 0)).collect();
        for neighbor in vrf.ospf().into_iter().flat_map(|ospf| ospf.neighbors()) {
            *counts.entry(neighbor.state).or_default() += 1;
        }
        let vrf = vrf.name().to_string();
        counts
            .into_iter()
            .map(move |(state, n)| (vec![("vrf", vrf.clone()), ("state", state.to_string())], n))
    });
    samples.collect()
}

fn drops<'a>(vrfs: impl Iterator<Item = VrfState<'a>>) -> Vec<Sample> {
    let samples = vrfs.flat_map(|vrf| {
        let name = vrf.name().to_string();
        let interfaces = vrf.ospf().into_iter().flat_map(|ospf| ospf.interfaces());
        interfaces
            .flat_map(|(_, interface)| {
                interface.drops.iter().map(|(reason, n)| (&interface.config.name, *reason, *n))
            })
            .map(move |(interface, reason, n)| {
                let labels = vec![
                    ("vrf", name.clone()),
                    ("interface", interface.clone()),
                    ("reason", reason.to_owned()),
                ];
                (labels, n)
            })
            .collect::<Vec<_>>()
    });
    samples.collect()
}

fn hosts<'a>(vrfs: impl Iterator<Item = VrfState<'a>>) -> Vec<Sample> {
    let samples = vrfs.flat_map(|vrf| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for host in vrf.hosts() {
            *counts.entry(host.state.to_string()).or_default() += 1;
        }
        let vrf = vrf.name().to_string();
        counts.into_iter().map(move |(state, n)| (vec![("vrf", vrf.clone()), ("state", state)], n))
    });
    samples.collect()
}

pub(crate) fn gauge(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Metric {
    Metric { name, help, counter: false, samples }
}

pub(crate) fn counter(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Metric {
    Metric { name, help, counter: true, samples }
}

pub(crate) fn single(value: u64) -> Vec<Sample> {
    vec![(Vec::new(), value)]
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
