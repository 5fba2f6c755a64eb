//! A restart that nobody notices.
//!
//! What the previous run said of hosts is said in the same fragments again.
//!
//! On a LAN a Hello that leaves a neighbour out ends its adjacency (ISO 10589 section 8.4.1.5). So a system that may have been there
//! a moment ago listens first. Each Hello names the stations that its sender hears: when all of these have been heard, the first
//! Hello of this run names everybody, and is no different from the next one of the previous run.

use std::collections::BTreeSet;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Time};
use bugle_wire::isis::{Level, Lsp, LspEntry, LspId, NodeId, SequenceNumber};

use crate::adjacency::{AdjacencyState, MOST_NEIGHBORS};
use crate::config::{CircuitConfig, CircuitKind};
use crate::fragment::{Fragments, ItemKey};
use crate::instance::{Isis, Timer};
use crate::routing::prefixes_in;

/// How long the description of a LAN's database is waited for: FRR's designated systems send one every ten seconds.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(12);
/// How long the others take to send what a designated system does not describe.
const SENT_WITHIN: Duration = Duration::from_millis(500);

/// The time before the first Hello on a LAN.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    since: Time,
    until: Time,
    /// Stations that others name, and that have not been heard.
    awaited: BTreeSet<Mac>,
}

impl CircuitConfig {
    /// For how long a previous run is not missed that sent a Hello so often: its last one may be as old as that, and the restart
    /// took time, too.
    fn silence(&self, interval: Duration) -> Duration {
        let holding = Duration::from_secs(self.holding_time(interval).into());
        holding.saturating_sub(interval).saturating_sub(self.hello / 2)
    }
}

impl Isis {
    /// A LAN came up: if a previous run may have left adjacencies there, nothing is said yet. When the first Hello is due.
    pub(crate) fn listen(&mut self, ifindex: IfIndex, level: Level) -> Time {
        let now = self.now;
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return now };
        if !self.config.listen_first {
            return now;
        }
        let until = now + circuit.config.silence(circuit.config.hello);
        circuit.listening[level] = Some(Listening { since: now, until, awaited: BTreeSet::new() });
        until
    }

    /// Until when nothing is said; `None` if that is over.
    pub(crate) fn listens_until(&self, ifindex: IfIndex, level: Level) -> Option<Time> {
        let listening = self.circuits.get(&ifindex)?.listening[level].as_ref()?;
        (self.now < listening.until).then_some(listening.until)
    }

    /// A neighbour was heard, which names the LAN's pseudonode and the stations that it hears.
    pub(crate) fn listened_to(
        &mut self,
        ifindex: IfIndex,
        level: Level,
        lan_id: NodeId,
        stations: &[Mac],
    ) {
        if self.listens_until(ifindex, level).is_none() {
            return;
        }
        let was_designated = lan_id.system == self.config.system_id;
        if was_designated {
            self.take_number(ifindex, lan_id.pseudonode);
        }
        let heard: BTreeSet<Mac> = self
            .adjacencies_on(ifindex)
            .filter(|adjacency| adjacency.id.level == Some(level))
            .map(|adjacency| adjacency.source)
            .collect();
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let own = circuit.config.mac;
        let Some(listening) = &mut circuit.listening[level] else { return };
        let room = MOST_NEIGHBORS.saturating_sub(listening.awaited.len());
        listening.awaited.extend(stations.iter().filter(|&&station| station != own).take(room));
        listening.awaited.retain(|station| !heard.contains(station));
        if listening.awaited.is_empty() {
            listening.until = self.now;
            // Section 8.4.4 d) has an election wait until everybody has been heard.
            self.timers.set(Timer::Election(ifindex, level), Some(self.now));
        } else if was_designated {
            // The designated system's silence is noticed sooner (section 8.4.3).
            let silence = circuit.config.silence(circuit.config.hello / 3);
            listening.until = listening.until.min(listening.since + silence);
        }
        self.timers.set(Timer::Hello(ifindex, Some(level)), Some(listening.until));
    }

    /// Gives a LAN the number that it had in the previous run, so that its pseudonode remains the same (RFC 5306 section 3.3.1).
    fn take_number(&mut self, ifindex: IfIndex, number: u8) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let instead = circuit.number;
        let mut others = self.circuits.iter().filter(|&(&other, circuit)| {
            other != ifindex
                && circuit.number == number
                && circuit.config.kind == CircuitKind::Broadcast
        });
        let other = others.next().map(|(&other, circuit)| (other, circuit.lan_id));
        match other {
            _ if number == 0 => return,
            Some((_, lan_id)) if lan_id.l1.is_some() || lan_id.l2.is_some() => return,
            Some((other, _)) => {
                if let Some(other) = self.circuits.get_mut(&other) {
                    other.number = instead;
                }
            }
            None => {}
        }
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.number = number;
        }
    }

    /// An adjacency on a LAN is up. If it is the first, what there is to know is told by the designated system.
    pub(crate) fn await_description(&mut self, ifindex: IfIndex, level: Level) {
        let up = self.adjacencies_on(ifindex).filter(|adjacency| {
            adjacency.id.level == Some(level) && adjacency.state == AdjacencyState::Up
        });
        if up.count() > 1 {
            return;
        }
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.flooding[level].set_undescribed(true);
        }
        let until = self.now + DESCRIBED_WITHIN;
        self.timers.set(Timer::Described(ifindex, level), Some(until));
    }

    /// This system is designated, and describes what it has: the others send what it lacks.
    pub(crate) fn await_others(&mut self, ifindex: IfIndex, level: Level) {
        self.timers.set(Timer::Described(ifindex, level), Some(self.now + SENT_WITHIN));
    }

    /// A system that restarted unnoticed would get the next description only. It asks for what it knows there must be: a designated
    /// system that is asked for something describes everything (`describe_to_who_lacks`).
    pub(crate) fn ask_for_pseudonode(&mut self, ifindex: IfIndex, level: Level, node: NodeId) {
        let id = LspId { node, fragment: 0 };
        if self.config.listen_first && self.levels[level].db.find(id).is_none() {
            let sequence = SequenceNumber(0);
            self.request(ifindex, level, LspEntry { lifetime: 0, id, sequence, checksum: 0 });
        }
    }

    /// Whether what a previous run said in an LSP is to be known before it is outdone.
    pub(crate) fn is_to_be_remembered(&self, level: Level, id: LspId) -> bool {
        let speaks_of_links = id.node.is_pseudonode() || id.fragment == 0;
        !speaks_of_links && self.levels[level].origins.is_reclaiming(self.now)
    }

    /// What a previous run said is said where it was, if it is said again.
    pub(crate) fn remember(&mut self, level: Level, id: LspId, lsp: Lsp<'_>) {
        let limit = self.lsp_limit(level);
        let prefixes = prefixes_in(lsp, self.config.ipv6_topology.id()).into_iter();
        let keys: Vec<ItemKey> =
            prefixes.map(|prefix| ItemKey::Prefix(self.topology_of(prefix), prefix)).collect();
        let nodes = &mut self.levels[level].origins.nodes;
        let node = nodes.entry(0).or_insert_with(|| Fragments::new(limit));
        node.remember(id.fragment, &keys);
    }
}
