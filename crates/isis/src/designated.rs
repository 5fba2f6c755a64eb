//! LANs: the election of the designated intermediate system, and its pseudonode (ISO 10589 section 8.4.4).

use std::time::Duration;

use bugle_types::{IfIndex, Mac, Time};
use bugle_wire::isis::{Level, NodeId};

use crate::adjacency::{Adjacency, AdjacencyState};
use crate::config::CircuitKind;
use crate::instance::{Isis, Timer};
use crate::io::Event;

impl Isis {
    /// The time to listen is over: elections are held from now on.
    pub(crate) fn on_election_timer(&mut self, ifindex: IfIndex, level: Level) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.electing[level] = true;
        }
        self.elect(ifindex, level);
    }

    /// Elects the designated system of a LAN: the highest priority, then the highest address.
    pub(crate) fn elect(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        if circuit.config.kind != CircuitKind::Broadcast || !circuit.electing[level] {
            return;
        }
        let own_id = NodeId { system: self.config.system_id, pseudonode: circuit.number };
        // Nobody is designated, this system included, before there is somebody to be designated for.
        let best = self
            .adjacencies_on(ifindex)
            .filter(|a| a.id.level == Some(level) && a.state == AdjacencyState::Up)
            .max_by_key(|adjacency| rank(adjacency.priority, adjacency.source));
        let lan_id = best.and_then(|best| {
            let ours = rank(circuit.config.priority, circuit.config.mac);
            if ours > rank(best.priority, best.source) && circuit.number != 0 {
                Some(own_id)
            } else {
                announced(best)
            }
        });
        let before = circuit.lan_id[level];
        if before == lan_id {
            return;
        }
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.lan_id[level] = lan_id;
        }
        self.event(Event::DesignatedIs { ifindex, level, lan_id });
        self.links_changed();
        self.resolve_lan_again(ifindex);
        self.timers.set(Timer::Hello(ifindex, Some(level)), Some(self.now));
        if before == Some(own_id) {
            self.timers.set(Timer::Csnp(ifindex, level), None);
            self.forget_pseudonode(level, own_id);
        }
        if lan_id == Some(own_id) {
            self.timers.set(Timer::Csnp(ifindex, level), Some(self.now));
            self.await_others(ifindex, level);
            if let Some(before) = before {
                self.purge_pseudonode(level, before);
            }
        } else if let Some(node) = lan_id {
            self.ask_for_pseudonode(ifindex, level, node);
        }
    }

    /// Whether this system is designated.
    pub(crate) fn is_designated(&self, ifindex: IfIndex, level: Level) -> bool {
        self.circuits
            .get(&ifindex)
            .and_then(|circuit| circuit.lan_id[level])
            .is_some_and(|lan_id| lan_id.system == self.config.system_id)
    }

    /// The circuit goes down.
    pub(crate) fn resign(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        circuit.electing[level] = false;
        if let Some(lan_id) = circuit.lan_id[level].take()
            && lan_id.system == self.config.system_id
        {
            self.forget_pseudonode(level, lan_id);
        }
    }

    /// It is time to describe the database to the LAN (section 7.3.15.3).
    pub(crate) fn on_csnp_timer(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let (kind, interval) = (circuit.config.kind, circuit.config.csnp);
        if kind == CircuitKind::PointToPoint {
            self.describe_again(ifindex, level);
        } else if self.is_designated(ifindex, level) {
            self.send_csnps(ifindex, level);
            if let Some(circuit) = self.circuits.get_mut(&ifindex) {
                circuit.flooding[level].described = Some(self.now);
            }
            let next = self.now + self.rng.jitter(interval, 25);
            self.timers.set(Timer::Csnp(ifindex, level), Some(next));
        }
    }

    /// Somebody new on a LAN should not have to wait for the next description.
    pub(crate) fn describe_soon(&mut self, ifindex: IfIndex, level: Level) {
        self.describe_at(ifindex, level, self.now + SOON);
    }

    /// Nor should who lacks something: it may have been restarted, and nobody has noticed. What is asked for soon after a description
    /// was most likely learnt from that.
    pub(crate) fn describe_to_who_lacks(&mut self, ifindex: IfIndex, level: Level) {
        const APART: Duration = Duration::from_secs(1);
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let last = circuit.flooding[level].described;
        let at = self.now + SOON;
        self.describe_at(ifindex, level, last.map_or(at, |last| at.max(last + APART)));
    }

    fn describe_at(&mut self, ifindex: IfIndex, level: Level, time: Time) {
        if self.is_designated(ifindex, level) {
            let earlier = self.timers.deadline(Timer::Csnp(ifindex, level));
            let time = earlier.map_or(time, |earlier| earlier.min(time));
            self.timers.set(Timer::Csnp(ifindex, level), Some(time));
        }
    }
}

/// Until then a newcomer has heard that it is heard.
const SOON: Duration = Duration::from_millis(50);

/// The pseudonode of the LAN that a system announces of itself; `None` while it does not know that it is designated.
fn announced(adjacency: &Adjacency) -> Option<NodeId> {
    let lan_id = adjacency.lan_id;
    (lan_id.system == adjacency.system && lan_id.is_pseudonode()).then_some(lan_id)
}

fn rank(priority: u8, address: Mac) -> (u8, Mac) {
    (priority, address)
}
