//! LANs: the election of the designated intermediate system, and its pseudonode (ISO 10589 section 8.4.4).
//!
//! A change of the designated system parts nobody: while a new one takes over, this system names the pseudonode before beside the
//! new one, and if it is its own goes on standing for the LAN, until the new one joins all that the one before does.

use std::collections::BTreeSet;
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
            .up_on(ifindex, level)
            .max_by_key(|adjacency| rank(adjacency.priority, adjacency.source));
        let before = circuit.lan_id[level];
        let former = self.takeovers.get(&(ifindex, level)).copied();
        let known = || [former, before].into_iter().flatten();
        let lan_id = best.and_then(|best| {
            let ours = rank(circuit.config.priority, circuit.config.mac);
            if ours > rank(best.priority, best.source) && circuit.number != 0 {
                return Some(own_id);
            }
            // Who is better may not know it yet: whoever is designated remains so.
            announced(best).or_else(|| known().find(|&node| self.is_there(ifindex, level, node)))
        });
        let replaced = || known().filter(|&node| Some(node) != lan_id);
        let stays = replaced().find(|&n| lan_id.is_some() && self.is_there(ifindex, level, n));
        if (before, former) == (lan_id, stays) {
            return;
        }
        let gone: BTreeSet<NodeId> = replaced().filter(|&node| Some(node) != stays).collect();
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.lan_id[level] = lan_id;
        }
        if former != stays {
            self.takeovers.remove(&(ifindex, level));
            self.takeovers.extend(stays.map(|node| ((ifindex, level), node)));
            let until = stays.map(|_| self.now + TAKEOVER);
            self.timers.set(Timer::Takeover(ifindex, level), until);
        }
        self.links_changed();
        for node in gone {
            self.abandon(ifindex, level, node);
        }
        if before == lan_id {
            return;
        }
        self.event(Event::DesignatedIs { ifindex, level, lan_id });
        self.resolve_lan_again(ifindex);
        self.timers.set(Timer::Hello(ifindex, Some(level)), Some(self.now));
        if lan_id == Some(own_id) {
            self.timers.set(Timer::Csnp(ifindex, level), Some(self.now));
            self.await_others(ifindex, level);
        } else if let Some(node) = lan_id {
            self.ask_for_pseudonode(ifindex, level, node);
        }
    }

    /// Whether the system that a pseudonode belongs to is on the LAN.
    fn is_there(&self, ifindex: IfIndex, level: Level, node: NodeId) -> bool {
        node.system == self.config.system_id
            || self.up_on(ifindex, level).any(|adjacency| adjacency.system == node.system)
    }

    fn up_on(&self, ifindex: IfIndex, level: Level) -> impl Iterator<Item = &Adjacency> {
        self.adjacencies_on(ifindex).filter(move |adjacency| {
            adjacency.id.level == Some(level) && adjacency.state == AdjacencyState::Up
        })
    }

    /// A pseudonode that does not stand for the LAN any more is taken out of the network: by the system whose it is, and by the one
    /// that is designated now.
    fn abandon(&mut self, ifindex: IfIndex, level: Level, node: NodeId) {
        let is_designated = self.is_designated(ifindex, level);
        if !is_designated {
            self.timers.set(Timer::Csnp(ifindex, level), None);
        }
        if node.system == self.config.system_id {
            self.forget_pseudonode(level, node);
        } else if is_designated {
            self.purge_pseudonode(level, node);
        }
    }

    /// Ends changes of designated systems that are complete. Whether there was one.
    pub(crate) fn end_takeovers(&mut self) -> bool {
        let all = self.takeovers.iter();
        let complete: Vec<(IfIndex, Level)> = all
            .filter(|&(&(ifindex, level), &former)| self.is_replaced(ifindex, level, former))
            .map(|(&lan, _)| lan)
            .collect();
        for &(ifindex, level) in &complete {
            self.end_takeover(ifindex, level);
        }
        !complete.is_empty()
    }

    /// The LAN's pseudonode before is not needed any more, or has been for long enough.
    pub(crate) fn end_takeover(&mut self, ifindex: IfIndex, level: Level) {
        let Some(former) = self.takeovers.remove(&(ifindex, level)) else { return };
        self.timers.set(Timer::Takeover(ifindex, level), None);
        self.links_changed();
        self.abandon(ifindex, level, former);
    }

    /// Whether the pseudonode joins this system, and all others on the LAN that the one before joins.
    fn is_replaced(&self, ifindex: IfIndex, level: Level, former: NodeId) -> bool {
        let lan_id = self.circuits.get(&ifindex).and_then(|circuit| circuit.lan_id[level]);
        let Some(lan_id) = lan_id else { return false };
        let routing = &self.levels[level].routing;
        let others = self.up_on(ifindex, level).map(|a| NodeId::of_system(a.system));
        let joins = |by, system| !routing.joined(by, system).is_empty();
        joins(lan_id, self.own_node())
            && others.chain([self.own_node()]).all(|system| {
                routing.joined(former, system).is_subset(&routing.joined(lan_id, system))
            })
    }

    /// Whether this system is designated. It remains so while another takes over.
    pub(crate) fn is_designated(&self, ifindex: IfIndex, level: Level) -> bool {
        let lan_id = self.circuits.get(&ifindex).and_then(|circuit| circuit.lan_id[level]);
        let former = self.takeovers.get(&(ifindex, level)).copied();
        [lan_id, former].into_iter().flatten().any(|node| node.system == self.config.system_id)
    }

    /// The circuit goes down.
    pub(crate) fn resign(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        circuit.electing[level] = false;
        let known = [circuit.lan_id[level].take(), self.takeovers.remove(&(ifindex, level))];
        for node in known.into_iter().flatten() {
            if node.system == self.config.system_id {
                self.forget_pseudonode(level, node);
            }
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

/// How long a new designated system may take to stand for the LAN. A Hello may announce it two of its Hello intervals before it elects
/// itself, and it may generate LSPs as seldom as every 30 s (section 7.3.6).
const TAKEOVER: Duration = Duration::from_secs(60);

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
