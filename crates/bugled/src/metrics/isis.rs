//! What is counted of IS-IS.

use std::collections::BTreeMap;

use bugle_api::model::Metric;
use bugle_isis::{AdjacencyState, State};
use bugle_speaker::VrfState;
use bugle_wire::isis::{CircuitType, Level, PduType};

use super::{Labelled, Sample, by_protection, count, counter, gauge, runs_by_kind};

/// What the instances of these VRFs know.
pub(super) fn of_isis(vrfs: &[VrfState<'_>]) -> Vec<Metric> {
    let each =
        |value: &dyn Fn(State<'_>) -> u64| samples(vrfs, |isis| vec![(Vec::new(), value(isis))]);
    let of_level = |value: &dyn Fn(State<'_>, Level) -> u64| {
        samples(vrfs, |isis| levels(isis).map(|l| (vec![level(l)], value(isis, l))).collect())
    };
    let of_type = |value: &dyn Fn(State<'_>, PduType) -> u64| {
        let label = |pdu: PduType| vec![("type", pdu.name().to_owned())];
        samples(vrfs, |isis| {
            PduType::ALL.into_iter().map(|pdu| (label(pdu), value(isis, pdu))).collect()
        })
    };
    let described = |of: fn(State<'_>, Level) -> Vec<Labelled>| {
        samples(vrfs, |isis| {
            let described = levels(isis).flat_map(|l| {
                of(isis, l).into_iter().map(move |(key, name, n)| (vec![level(l), (key, name)], n))
            });
            described.collect()
        })
    };
    vec![
        gauge("isis_adjacencies", "IS-IS neighbours by level and state", adjacencies(vrfs)),
        gauge(
            "isis_lsps",
            "LSPs in the database",
            of_level(&|isis, level| count(isis.database_len(level))),
        ),
        gauge("isis_nodes", "Systems and LANs", of_level(&|isis, l| count(isis.nodes(l)))),
        counter(
            "isis_pdus_received",
            "Valid PDUs by type",
            of_type(&|isis, pdu| isis.stats().received_by_type.of(pdu)),
        ),
        counter(
            "isis_pdus_sent",
            "PDUs sent by type",
            of_type(&|isis, pdu| isis.stats().sent_by_type.of(pdu)),
        ),
        counter("isis_lsps_installed", "LSPs taken in", each(&|isis| isis.stats().installed)),
        counter(
            "isis_lsps_originated",
            "LSPs of ours generated",
            each(&|isis| isis.stats().originated),
        ),
        counter(
            "isis_lsps_retransmitted",
            "LSPs sent again",
            each(&|isis| isis.stats().retransmitted),
        ),
        counter(
            "isis_lsps_too_large",
            "LSPs that did not fit a circuit",
            each(&|isis| isis.stats().too_large),
        ),
        counter(
            "isis_short_lifetimes",
            "LSPs whose lifetime may have been corrupted",
            each(&|isis| isis.stats().short_lifetimes),
        ),
        counter(
            "isis_spf_runs",
            "Route computations by level and kind",
            described(|isis, level| runs_by_kind(isis.spf_counts(level))),
        ),
        gauge(
            "isis_routes",
            "Routes by level and by what stands in when their nexthops fail",
            described(|isis, level| by_protection(isis.coverage(level))),
        ),
        gauge(
            "isis_routes_held",
            "New routes that wait until neighbours have changed theirs",
            of_level(&|isis, level| count(isis.held(level).map_or(0, |(_, routes)| routes))),
        ),
        counter("isis_drops", "PDUs dropped by reason", samples(vrfs, drops)),
    ]
}

/// The samples of every instance, each labelled with its VRF.
fn samples<'a>(vrfs: &[VrfState<'a>], of: impl Fn(State<'a>) -> Vec<Sample>) -> Vec<Sample> {
    let labelled = vrfs.iter().filter_map(|vrf| {
        let name = ("vrf", vrf.name().to_string());
        Some(of(vrf.isis()?).into_iter().map(move |(mut labels, value)| {
            labels.insert(0, name.clone());
            (labels, value)
        }))
    });
    labelled.flatten().collect()
}

/// The levels that an instance takes part in.
fn levels(isis: State<'_>) -> impl Iterator<Item = Level> {
    let levels: CircuitType = isis.config().levels;
    Level::ALL.into_iter().filter(move |&level| levels.includes(level))
}

fn level(level: Level) -> (&'static str, String) {
    ("level", level.to_string())
}

fn adjacencies(vrfs: &[VrfState<'_>]) -> Vec<Sample> {
    samples(vrfs, |isis| {
        let mut counts: BTreeMap<(Level, AdjacencyState), u64> = levels(isis)
            .flat_map(|level| AdjacencyState::ALL.map(|state| ((level, state), 0)))
            .collect();
        for adjacency in isis.adjacencies() {
            for level in Level::ALL.into_iter().filter(|&l| adjacency.levels.includes(l)) {
                *counts.entry((level, adjacency.state)).or_default() += 1;
            }
        }
        let labelled = counts.into_iter();
        labelled.map(|((l, state), n)| (vec![level(l), ("state", state.to_string())], n)).collect()
    })
}

fn drops(isis: State<'_>) -> Vec<Sample> {
    let drops = isis.circuits().flat_map(|(_, circuit)| {
        let of_circuit = circuit.drops.iter();
        of_circuit.map(|(reason, n)| {
            let interface = ("interface", circuit.config.name.clone());
            (vec![interface, ("reason", (*reason).to_owned())], *n)
        })
    });
    drops.collect()
}
