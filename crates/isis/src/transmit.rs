//! What is to be sent over a circuit, and how fast: SRM and SSN flags (ISO 10589 section 7.3.15), flow control (RFC 9681).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bugle_lsdb::{EntryId, FloodQueue};
use bugle_types::{IfIndex, Time};
use bugle_wire::isis::{FloodingParameters, Level, LspEntry, LspId};

use crate::config::CircuitKind;
use crate::instance::{Isis, Timer};

/// What this system promises its neighbours (RFC 9681 section 4).
pub(crate) const PROMISED: FloodingParameters = FloodingParameters {
    burst_size: Some(256),
    transmission_interval: Some(100),
    lsps_per_psnp: Some(15),
    flags: None,
    psnp_interval: Some(20),
    receive_window: Some(512),
};
/// How long an acknowledgement waits for company: what is promised.
const ACK_DELAY: Duration = Duration::from_millis(20);
/// So many acknowledgements do not wait: as promised.
const ACKS_AT_ONCE: usize = 15;
/// How long the neighbour's description of its database is waited for, before all of it is sent.
const SYNC_WAIT: Duration = Duration::from_millis(500);
/// How often a system that has restarted describes its database.
const DESCRIBE_AGAIN: Duration = Duration::from_secs(1);
/// Unacknowledged LSPs that a neighbour is sent who promises nothing. FRR acknowledges every two seconds.
const WINDOW: usize = 2000;
/// How long an LSP takes at most from one end of a circuit to the other, and the description of a database that names it back.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
/// How often an LSP is asked for in all.
const REQUESTS: u8 = 4;
/// How long it is waited for before it is asked for again.
const REQUEST_AGAIN: Duration = Duration::from_secs(1);
/// LSPs sent without a pause to neighbours who promise nothing.
const BURST: u32 = 64;
/// The interval between further ones, in microseconds.
const INTERVAL: u32 = 1000;

/// What is to be sent over a circuit at one level.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flooding {
    /// LSPs that wait for their turn (SRM flags).
    queued: BTreeSet<EntryId>,
    /// The order of turns. What is not in the set any more is passed over.
    turns: VecDeque<EntryId>,
    /// On a point-to-point circuit: LSPs sent that are not acknowledged yet (SRM flags, too).
    sent: FloodQueue,
    /// What the neighbour is told that this system has, or lacks (SSN flags).
    pub(crate) acks: BTreeMap<LspId, LspEntry>,
    /// The neighbour's description of its database is waited for.
    syncing: bool,
    /// The designated system's description of a LAN's database has not come.
    undescribed: bool,
    /// When this system, the designated one, last described it.
    pub(crate) described: Option<Time>,
    /// What the neighbour has and this system wants.
    wanted: BTreeMap<LspId, Wanted>,
    /// When the next LSP would be sent at the neighbour's steady rate.
    steady: Time,
    /// What the neighbour promises.
    promised: FloodingParameters,
}

/// An LSP that a neighbour has.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What this system has of it.
    held: LspEntry,
    /// How often it has been asked for.
    asked: u8,
    /// When it is asked for next.
    due: Time,
}

impl Flooding {
    /// Nothing of an LSP is to be sent, or waited for, any more.
    pub(crate) fn forget(&mut self, entry: EntryId) {
        self.queued.remove(&entry);
        if self.queued.is_empty() {
            self.turns.clear();
        }
        self.sent.acknowledge(entry);
    }

    /// An LSP has come, from wherever.
    pub(crate) fn has_come(&mut self, id: LspId) {
        self.acks.remove(&id);
        self.wanted.remove(&id);
    }

    /// Whether the neighbour has told what it has, and this system has got it.
    pub(crate) fn is_in_step(&self) -> bool {
        !self.syncing && !self.undescribed && self.wanted.is_empty()
    }

    /// What has not come is asked for, again if need be; what never comes, not for ever.
    fn ask(&mut self, now: Time) {
        self.wanted.retain(|_, wanted| wanted.asked < REQUESTS || wanted.due > now);
        for (&id, wanted) in &mut self.wanted {
            if wanted.due <= now {
                wanted.asked += 1;
                wanted.due = now + REQUEST_AGAIN;
                self.acks.insert(id, wanted.held);
            }
        }
    }

    /// How many LSPs wait for their turn, or to be acknowledged.
    pub(crate) fn pending(&self) -> usize {
        self.queued.len() + self.sent.len()
    }

    pub(crate) fn set_undescribed(&mut self, undescribed: bool) {
        self.undescribed = undescribed;
    }

    pub(crate) fn is_undescribed(&self) -> bool {
        self.undescribed
    }

    pub(crate) fn set_promised(&mut self, promised: FloodingParameters) {
        self.promised = promised;
    }

    fn queue(&mut self, entry: EntryId) {
        self.sent.acknowledge(entry);
        if self.queued.insert(entry) {
            self.turns.push_back(entry);
        }
    }

    fn interval(&self) -> Duration {
        let interval = self.promised.transmission_interval.unwrap_or(INTERVAL);
        Duration::from_micros(interval.clamp(1, 100_000).into())
    }

    /// Whether one more LSP may be sent now; else when, or only after an acknowledgement.
    fn may_send(&self, now: Time) -> Result<(), Option<Time>> {
        let window = self.promised.receive_window.map_or(WINDOW, usize::from).max(1);
        if self.sent.len() >= window {
            return Err(None);
        }
        let burst = self.promised.burst_size.unwrap_or(BURST).clamp(1, 1000);
        let allowed = self.steady - self.interval().saturating_mul(burst - 1);
        if allowed <= now { Ok(()) } else { Err(Some(allowed)) }
    }

    fn note_sent(&mut self, now: Time) {
        self.steady = self.steady.max(now) + self.interval();
    }

    /// After which time an LSP is sent again: soon where acknowledgements are promised soon.
    fn retransmit_after(&self, configured: Duration) -> Duration {
        let promised = self.promised.psnp_interval;
        promised.map_or(configured, |millis| {
            let promised = Duration::from_millis(u64::from(millis) * 2 + 500);
            promised.min(configured)
        })
    }
}

impl Isis {
    /// Sends an LSP over a circuit now, if the neighbour keeps up; else in its turn.
    pub(crate) fn flood_on(&mut self, ifindex: IfIndex, level: Level, entry: EntryId) {
        if !self.is_flooding(ifindex, level) {
            return;
        }
        let now = self.now;
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let flooding = &mut circuit.flooding[level];
        flooding.forget(entry);
        if flooding.may_send(now).is_ok() {
            self.transmit(ifindex, level, entry);
            self.rearm_flooding(ifindex, level);
        } else {
            flooding.queue(entry);
            self.rearm_flooding(ifindex, level);
        }
    }

    /// Queues an LSP for a circuit: what others had to be told long ago.
    pub(crate) fn flood_later(&mut self, ifindex: IfIndex, level: Level, entry: EntryId) {
        if !self.is_flooding(ifindex, level) {
            return;
        }
        let now = self.now;
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let flooding = &mut circuit.flooding[level];
        // What is on its way is not sent again because the neighbour has not got it yet.
        if flooding.sent.sent_at(entry).is_none_or(|sent| now.since(sent) >= ON_ITS_WAY) {
            flooding.queue(entry);
        }
    }

    /// The neighbour has an LSP.
    pub(crate) fn unflood(&mut self, ifindex: IfIndex, level: Level, entry: EntryId) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        circuit.flooding[level].forget(entry);
        self.rearm_flooding(ifindex, level);
    }

    /// An adjacency over a point-to-point circuit has come up (section 7.3.17): the databases are compared, then what the
    /// neighbour lacks is sent.
    pub(crate) fn synchronize(&mut self, ifindex: IfIndex, level: Level) {
        let entries: Vec<EntryId> = self.levels[level].db.iter().map(|(entry, _)| entry).collect();
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            let flooding = &mut circuit.flooding[level];
            let promised = flooding.promised;
            *flooding = Flooding { syncing: true, promised, ..Flooding::default() };
            for entry in entries {
                flooding.queue(entry);
            }
        }
        self.timers.set(Timer::Flood(ifindex, level), Some(self.now + SYNC_WAIT));
        self.describe_again(ifindex, level);
    }

    /// Describes the database over a point-to-point circuit; after a restart again and again for a while, as timer T1 of RFC 5306
    /// section 3.1 has it: a neighbour that has not noticed the restart would not miss a description that was lost.
    pub(crate) fn describe_again(&mut self, ifindex: IfIndex, level: Level) {
        if !self.is_flooding(ifindex, level) {
            return;
        }
        self.send_csnps(ifindex, level);
        if self.levels[level].origins.is_reclaiming(self.now) && self.config.listen_first {
            self.timers.set(Timer::Csnp(ifindex, level), Some(self.now + DESCRIBE_AGAIN));
        }
    }

    /// The neighbour has described its database, or has not for too long.
    pub(crate) fn end_of_description(&mut self, ifindex: IfIndex, level: Level) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            let flooding = &mut circuit.flooding[level];
            (flooding.syncing, flooding.undescribed) = (false, false);
        }
    }

    /// Nothing is sent over a circuit any more.
    pub(crate) fn stop_flooding(&mut self, ifindex: IfIndex, level: Level) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.flooding[level] = Flooding::default();
        }
        for timer in [Timer::Flood, Timer::Retransmit, Timer::Psnp] {
            self.timers.set(timer(ifindex, level), None);
        }
    }

    pub(crate) fn on_flood_timer(&mut self, ifindex: IfIndex, level: Level) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.flooding[level].syncing = false;
        }
        self.drain(ifindex, level);
    }

    /// What a neighbour has not acknowledged for long enough is sent again (section 7.3.15.5).
    pub(crate) fn on_retransmit_timer(&mut self, ifindex: IfIndex, level: Level) {
        let now = self.now;
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let flooding = &mut circuit.flooding[level];
        let interval = flooding.retransmit_after(circuit.config.retransmit);
        while let Some(entry) = flooding.sent.pop_due(now, interval) {
            self.stats.retransmitted += 1;
            flooding.queue(entry);
        }
        self.drain(ifindex, level);
    }

    /// Sends what waits for its turn, as fast as the neighbour takes it.
    pub(crate) fn drain(&mut self, ifindex: IfIndex, level: Level) {
        loop {
            let now = self.now;
            let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
            let flooding = &mut circuit.flooding[level];
            if flooding.syncing || flooding.may_send(now).is_err() {
                break;
            }
            let Some(entry) = flooding.turns.pop_front() else { break };
            if flooding.queued.remove(&entry) {
                self.transmit(ifindex, level, entry);
            }
        }
        self.rearm_flooding(ifindex, level);
    }

    fn transmit(&mut self, ifindex: IfIndex, level: Level, entry: EntryId) {
        let Some(stored) = self.levels[level].db.get(entry) else { return };
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        if stored.size() > usize::from(circuit.config.max_pdu()) {
            self.stats.too_large += 1;
            return;
        }
        let flooding = &mut circuit.flooding[level];
        flooding.note_sent(self.now);
        if circuit.config.kind == CircuitKind::PointToPoint {
            flooding.sent.add(entry, self.now);
        }
        let bytes = stored.to_send(self.now);
        self.send_at(ifindex, level, bytes);
    }

    /// Sets the timers to what waits.
    fn rearm_flooding(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let flooding = &circuit.flooding[level];
        let interval = flooding.retransmit_after(circuit.config.retransmit);
        let retransmit = flooding.sent.deadline(interval);
        if !flooding.syncing {
            let waits = !flooding.queued.is_empty();
            let next = match flooding.may_send(self.now) {
                Ok(()) => waits.then_some(self.now),
                Err(time) => time.filter(|_| waits),
            };
            self.timers.set(Timer::Flood(ifindex, level), next);
        }
        self.timers.set(Timer::Retransmit(ifindex, level), retransmit);
    }

    /// Acknowledgements have waited for company, or what was asked for has not come.
    pub(crate) fn on_psnp_timer(&mut self, ifindex: IfIndex, level: Level) {
        let now = self.now;
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.flooding[level].ask(now);
        }
        self.send_psnps(ifindex, level);
        let wanted = self.circuits.get(&ifindex).map(|circuit| &circuit.flooding[level].wanted);
        let again = wanted.and_then(|wanted| wanted.values().map(|wanted| wanted.due).min());
        self.timers.set(Timer::Psnp(ifindex, level), again);
    }

    /// Notes that an LSP is to be acknowledged; on a LAN the designated system's descriptions do that.
    pub(crate) fn acknowledge(&mut self, ifindex: IfIndex, level: Level, entry: LspEntry) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        if circuit.config.kind != CircuitKind::PointToPoint {
            // What has come need not be asked for any more.
            circuit.flooding[level].acks.remove(&entry.id);
            return;
        }
        let acks = &mut circuit.flooding[level].acks;
        acks.insert(entry.id, entry);
        if acks.len() >= ACKS_AT_ONCE {
            self.send_psnps(ifindex, level);
        } else {
            let soon = self.now + ACK_DELAY;
            let earlier = self.timers.deadline(Timer::Psnp(ifindex, level));
            let due = earlier.map_or(soon, |earlier| earlier.min(soon));
            self.timers.set(Timer::Psnp(ifindex, level), Some(due));
        }
    }

    /// Notes that the neighbour is to be asked for an LSP.
    pub(crate) fn request(&mut self, ifindex: IfIndex, level: Level, held: LspEntry) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        // On a point-to-point circuit the neighbour knows what is lacking here, and sends it unasked.
        let p2p = circuit.config.kind == CircuitKind::PointToPoint;
        let due = if p2p { self.now + ON_ITS_WAY } else { self.now };
        let wanted = Wanted { held, asked: 0, due };
        let due = circuit.flooding[level].wanted.entry(held.id).or_insert(wanted).due;
        let earlier = self.timers.deadline(Timer::Psnp(ifindex, level));
        let due = earlier.map_or(due, |earlier| earlier.min(due));
        self.timers.set(Timer::Psnp(ifindex, level), Some(due));
    }

    /// The neighbour is about to get something newer.
    pub(crate) fn forget_acknowledgement(&mut self, ifindex: IfIndex, level: Level, id: LspId) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.flooding[level].acks.remove(&id);
        }
    }
}
