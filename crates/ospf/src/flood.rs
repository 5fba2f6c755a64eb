//! Flooding: updates and acknowledgements, ageing (RFC 2328 sections 13 and 14).

use std::net::Ipv4Addr;

use bugle_lsdb::{ArrivalGate, Entry, EntryId};
use bugle_types::IfIndex;
use bugle_wire::ospf::{
    LinkStateAck, LinkStateUpdate, Lsa, LsaHeader, MAX_AGE, SequenceNumber, emit_link_state_ack,
};
use smallvec::SmallVec;

use crate::database::{DbKey, Scope, StoredLsa, header_of, seek};
use crate::exchange::IP_HEADER;
use crate::instance::{Ospf, Timer};
use crate::interface::InterfaceState;
use crate::neighbor::{NeighborEvent, NeighborId, NeighborState};

/// How long a delayed acknowledgement waits for company (section 13.5): well below any RxmtInterval.
const ACK_DELAY: std::time::Duration = std::time::Duration::from_millis(100);
/// Acknowledgements that fill a packet of 1,500 octets.
const ACKS_PER_PACKET: usize = 72;
/// Retransmissions to one neighbour at one time, so that a slow one is not buried (RFC 4222).
const RETRANSMIT_BATCH: usize = 200;

/// How long an LSA that was flushed is remembered, so that a late copy does not bring it back.
const LATE: std::time::Duration = std::time::Duration::from_secs(1);

/// What is flooded out of an interface.
struct Flood {
    ifindex: IfIndex,
    destination: Ipv4Addr,
    /// The octets of LSAs that a packet has room for.
    room: usize,
    entries: Vec<EntryId>,
}

impl Ospf {
    /// Link state update packets received (section 13).
    pub(crate) fn on_update(
        &mut self,
        id: NeighborId,
        src: Ipv4Addr,
        packet: &LinkStateUpdate<'_>,
    ) {
        if self.neighbors.get(&id).is_none_or(|n| n.state < NeighborState::Exchange) {
            return;
        }
        let mut direct = Vec::new();
        for lsa in packet.lsas() {
            self.on_lsa(id, src, lsa, &mut direct);
            if self.neighbors.get(&id).is_none_or(|n| n.state < NeighborState::Exchange) {
                // The packet broke the adjacency: the rest would be for an exchange that is over.
                break;
            }
        }
        self.send_acks(id, &direct);
    }

    /// One LSA of an update: the steps of section 13.
    fn on_lsa(&mut self, id: NeighborId, src: Ipv4Addr, lsa: Lsa<'_>, direct: &mut Vec<LsaHeader>) {
        let header = header_of(lsa);
        // (1)
        if !lsa.checksum_ok() {
            self.dropped(id.ifindex, src, "lsa-checksum", || format!("{}", header.key));
            return;
        }
        // (2), (3): this area is no stub area.
        let Some(scope) = Scope::of(header.key.ls_type, id.ifindex, self.config.area) else {
            self.dropped(id.ifindex, src, "lsa-unknown-type", || format!("{}", header.key));
            return;
        };
        if let Err(error) = lsa.body() {
            self.dropped(id.ifindex, src, "lsa-malformed", || format!("{}: {error}", header.key));
            return;
        }
        let key = scope.key(header.key);
        let known = self.db.lookup(&key).map(|(entry, stored)| (entry, stored.header(self.now)));
        // (4)
        if header.age == MAX_AGE && known.is_none() && !self.is_exchanging() {
            direct.push(header);
            self.bury(key, header);
            return;
        }
        if known.is_none() && self.is_late(&key, &header) {
            self.on_late_copy(key, lsa);
            return;
        }
        let order = known.map_or(std::cmp::Ordering::Greater, |(_, old)| header.recency(&old));
        // (5)
        if order.is_gt() {
            self.on_newer_lsa(id, key, lsa, header, known.map(|(entry, _)| entry));
            return;
        }
        let Some((entry, old)) = known else { return };
        // (6)
        let requested =
            self.neighbors.get(&id).is_some_and(|n| n.requests.contains_key(&header.key));
        if requested {
            self.neighbor_event(id, NeighborEvent::BadLsReq);
            return;
        }
        // (7)
        if order.is_eq() {
            self.on_duplicate(id, entry, header, direct);
            return;
        }
        // (8)
        if old.age == MAX_AGE && old.sequence == SequenceNumber::MAX {
            return;
        }
        while self.answers.pop_due(self.now).is_some() {}
        if self.answers.deadline(entry).is_some() {
            return;
        }
        self.answers.set(entry, Some(self.now + self.config.min_ls_arrival));
        self.send_to_neighbor(id, &[entry]);
    }

    /// An LSA newer than what the database holds: step (5) of section 13.
    fn on_newer_lsa(
        &mut self,
        id: NeighborId,
        key: DbKey,
        lsa: Lsa<'_>,
        header: LsaHeader,
        known: Option<EntryId>,
    ) {
        let now = self.now;
        // (a) A discarded LSA is not acknowledged: the sender will repeat it.
        let min_arrival = self.config.min_ls_arrival;
        let accept = |entry| self.db.update(entry, |stored| stored.accept(now, min_arrival));
        let Some(gate) = known.and_then(accept).unwrap_or_else(|| Some(ArrivalGate::default()))
        else {
            self.stats.arrivals_refused += 1;
            return;
        };
        let requested =
            self.neighbors.get(&id).is_some_and(|n| n.requests.contains_key(&header.key));
        // (c), (d): out with the old, in with the new; (b): flooding comes first on the wire, as every send is queued
        // before any route is.
        let entry = self.install(key.scope, lsa, gate);
        let flooded_back = self.flood(entry, Some(id));
        self.request_answered(id, header.key);
        // (e) Section 13.5 table 19: flooded back out of the interface, it needs no acknowledgement; a BDR acknowledges
        // only what came from the DR; what was asked for is acknowledged like any other.
        let from_dr = self.interfaces.get(&id.ifindex).is_some_and(|interface| {
            interface.state != InterfaceState::Backup
                || self.neighbors.get(&id).is_some_and(|n| n.address == interface.dr)
        });
        if !flooded_back && (from_dr || requested) {
            self.acknowledge_later(id.ifindex, header);
        }
        // (f)
        self.on_self_originated(key, header);
    }

    /// The same instance again: step (7) of section 13.
    fn on_duplicate(
        &mut self,
        id: NeighborId,
        entry: EntryId,
        header: LsaHeader,
        direct: &mut Vec<LsaHeader>,
    ) {
        // (a) An implied acknowledgement.
        if !self.acknowledged(id, entry) {
            direct.push(header);
            return;
        }
        self.rearm_retransmit(id);
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let from_dr = self.neighbors.get(&id).is_some_and(|n| n.address == interface.dr);
        if interface.state == InterfaceState::Backup && from_dr {
            self.acknowledge_later(id.ifindex, header);
        }
    }

    /// Puts an LSA into the database (section 13.2), and takes the instance before it off every retransmission list.
    pub(crate) fn install(&mut self, scope: Scope, lsa: Lsa<'_>, gate: ArrivalGate) -> EntryId {
        let key = scope.key(lsa.key());
        let due = if self.is_own(&key) { self.refresh_age() } else { MAX_AGE };
        let dead = header_of(lsa).age == MAX_AGE;
        self.stats.installed += 1;
        let entry = self.store(key, lsa, due, gate);
        for neighbor in self.neighbors.values_mut() {
            neighbor.retransmit.acknowledge(entry);
        }
        self.answers.set(entry, None);
        if dead {
            self.dying.insert(entry);
            self.unlisted.insert(entry);
        } else {
            self.dying.remove(&entry);
        }
        self.changed.push(key);
        entry
    }

    /// Takes an LSA off a neighbour's retransmission list; whether it was on it.
    fn acknowledged(&mut self, id: NeighborId, entry: EntryId) -> bool {
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return false };
        let listed = neighbor.retransmit.acknowledge(entry);
        if listed && self.dying.contains(&entry) {
            self.unlisted.insert(entry);
        }
        listed
    }

    /// The flooding procedure (section 13.3). Whether the LSA goes back out of the interface it came in on.
    pub(crate) fn flood(&mut self, entry: EntryId, received: Option<NeighborId>) -> bool {
        let Some(stored) = self.db.get(entry) else { return false };
        let (scope, header) = (stored.key().scope, stored.header(self.now));
        let mut back = false;
        let mut eligible = SmallVec::<[NeighborId; 8]>::with_capacity(self.neighbors.len());
        eligible.extend(self.neighbors.keys().copied().filter(|id| scope.reaches(id.ifindex)));
        for neighbors in eligible.chunk_by(|a, b| a.ifindex == b.ifindex) {
            // (1)
            let mut listed = None;
            for &id in neighbors {
                if self.list_for_retransmission(id, entry, &header, received) {
                    listed = Some(id.ifindex);
                }
            }
            // (2)
            let Some(ifindex) = listed else { continue };
            let Some(interface) = self.interfaces.get_mut(&ifindex) else { continue };
            if let Some(from) = received.filter(|from| from.ifindex == ifindex) {
                // (3), (4)
                let by_dr = self.neighbors.get(&from).is_some_and(|neighbor| {
                    neighbor.address == interface.dr || neighbor.address == interface.bdr
                });
                if by_dr || interface.state == InterfaceState::Backup {
                    continue;
                }
                back = true;
            }
            // (5): sent when the whole input has been handled, in as few packets as possible.
            interface.flood.push(entry);
            self.flooding = true;
        }
        back
    }

    /// Whether a neighbour must receive an LSA; then it is on its retransmission list from now on: step (1) of section 13.3.
    fn list_for_retransmission(
        &mut self,
        id: NeighborId,
        entry: EntryId,
        header: &LsaHeader,
        received: Option<NeighborId>,
    ) -> bool {
        let Some(neighbor) = self.neighbors.get(&id) else { return false };
        // (a), and section 3.1 of RFC 5250.
        if neighbor.state < NeighborState::Exchange || !neighbor.understands(header.key.ls_type) {
            return false;
        }
        // (b)
        if neighbor.state != NeighborState::Full
            && let Some(wanted) = neighbor.requests.get(&header.key)
        {
            let order = header.recency(wanted);
            if order.is_lt() {
                return false;
            }
            self.request_answered(id, header.key);
            if order.is_eq() {
                return false;
            }
        }
        // (c)
        if received == Some(id) {
            return false;
        }
        // (d)
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return false };
        let before = neighbor.retransmit.first_sent();
        neighbor.retransmit.add(entry, self.now);
        // What has waited longest tells when something is sent again; more of what is new does not put that off.
        if neighbor.retransmit.first_sent() != before {
            self.rearm_retransmit(id);
        }
        true
    }

    /// Sends what the input just handled has left to flood.
    pub(crate) fn send_floods(&mut self) {
        if !std::mem::take(&mut self.flooding) {
            return;
        }
        let mut floods = SmallVec::<[Flood; 4]>::new();
        for (&ifindex, interface) in &mut self.interfaces {
            if !interface.flood.is_empty() {
                let mut entries = std::mem::take(&mut interface.flood);
                // One of ours that came newer from elsewhere was at once followed by an instance of ours.
                entries.dedup();
                let (destination, room) = (interface.flood_destination(), interface.update_room());
                floods.push(Flood { ifindex, destination, room, entries });
            }
        }
        // The same goes out of most interfaces: then it is put together once.
        let alike = |a: &Flood, b: &Flood| a.room == b.room && a.entries == b.entries;
        for floods in floods.chunk_by(alike) {
            let Some((last, others)) = floods.split_last() else { continue };
            let packets = self.updates(last.room, &last.entries);
            for flood in others {
                for bytes in &packets {
                    self.send(flood.ifindex, flood.destination, bytes.clone());
                }
            }
            for bytes in packets {
                self.send(last.ifindex, last.destination, bytes);
            }
        }
        for Flood { ifindex, mut entries, .. } in floods {
            entries.clear();
            // A burst leaves no long list behind.
            entries.shrink_to(32);
            if let Some(interface) = self.interfaces.get_mut(&ifindex) {
                interface.flood = entries;
            }
        }
    }

    /// Puts an LSA on a neighbour's retransmission list and sends it there.
    pub(crate) fn retransmit_to(&mut self, id: NeighborId, entry: EntryId) {
        if let Some(neighbor) = self.neighbors.get_mut(&id) {
            neighbor.retransmit.add(entry, self.now);
        }
        self.rearm_retransmit(id);
        self.send_to_neighbor(id, &[entry]);
    }

    fn send_to_neighbor(&mut self, id: NeighborId, entries: &[EntryId]) {
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let destination = interface.unicast_destination(neighbor.address);
        self.send_updates(id.ifindex, destination, entries);
    }

    /// What a neighbour has not acknowledged for RxmtInterval is sent again (section 13.6).
    pub(crate) fn on_retransmit_timer(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let interval = interface.config.retransmit;
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        let mut entries = Vec::new();
        while entries.len() < RETRANSMIT_BATCH
            && let Some(entry) = neighbor.retransmit.pop_due(self.now, interval)
        {
            entries.push(entry);
        }
        for &entry in &entries {
            neighbor.retransmit.add(entry, self.now);
        }
        self.stats.retransmitted += entries.len() as u64;
        self.send_to_neighbor(id, &entries);
        self.rearm_retransmit(id);
    }

    pub(crate) fn rearm_retransmit(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        // A batch that did not take everything that was due leaves a deadline in the past: not before a little later.
        let due = neighbor.retransmit.deadline(interface.config.retransmit);
        let deadline = due.map(|time| time.max(self.now + std::time::Duration::from_millis(20)));
        self.timers.set(Timer::Retransmit(id), deadline);
    }

    /// Acknowledgements for one neighbour, at once (section 13.5).
    fn send_acks(&mut self, id: NeighborId, headers: &[LsaHeader]) {
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let destination = interface.unicast_destination(neighbor.address);
        self.send_ack_packets(id.ifindex, destination, headers);
    }

    /// A delayed acknowledgement (section 13.5).
    fn acknowledge_later(&mut self, ifindex: IfIndex, header: LsaHeader) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        interface.acks.push(header);
        if interface.acks.len() >= ACKS_PER_PACKET {
            self.send_delayed_acks(ifindex);
        } else if self.timers.deadline(Timer::Ack(ifindex)).is_none() {
            self.timers.set(Timer::Ack(ifindex), Some(self.now + ACK_DELAY));
        }
    }

    /// The delayed acknowledgements of an interface go out.
    pub(crate) fn send_delayed_acks(&mut self, ifindex: IfIndex) {
        self.timers.set(Timer::Ack(ifindex), None);
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        let headers = std::mem::take(&mut interface.acks);
        let destination = interface.flood_destination();
        self.send_ack_packets(ifindex, destination, &headers);
    }

    fn send_ack_packets(&mut self, ifindex: IfIndex, destination: Ipv4Addr, headers: &[LsaHeader]) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let room = (usize::from(interface.config.mtu).saturating_sub(IP_HEADER + 24) / 20)
            .clamp(1, ACKS_PER_PACKET);
        for chunk in headers.chunks(room) {
            let bytes = emit_link_state_ack(&self.header(), chunk.iter().copied());
            self.send(ifindex, destination, bytes);
        }
    }

    /// Link state acknowledgement packets received (section 13.7).
    pub(crate) fn on_ack(&mut self, id: NeighborId, packet: &LinkStateAck<'_>) {
        if self.neighbors.get(&id).is_none_or(|n| n.state < NeighborState::Exchange) {
            return;
        }
        for header in packet.headers {
            let Some(scope) = Scope::of(header.key.ls_type, id.ifindex, self.config.area) else {
                continue;
            };
            let Some((entry, stored)) = self.db.lookup(&scope.key(header.key)) else { continue };
            if stored.header(self.now).recency(&header).is_eq() {
                self.acknowledged(id, entry);
            }
        }
        self.rearm_retransmit(id);
    }

    /// Entries whose time has come: ours are refreshed (section 12.4), others' have reached MaxAge and are flushed
    /// (section 14).
    pub(crate) fn on_age_timer(&mut self) {
        while let Some(entry) = self.db.pop_due(self.now) {
            let Some(key) = self.db.get(entry).map(StoredLsa::key) else { continue };
            if self.own.contains_key(&key) {
                self.refresh(key);
            } else {
                self.age_out(entry);
            }
        }
    }

    /// Premature or natural ageing (sections 14, 14.1): the entry becomes MaxAge and is flooded so.
    pub(crate) fn age_out(&mut self, entry: EntryId) {
        let Some(key) = self.db.get(entry).map(StoredLsa::key) else { return };
        self.db.update(entry, StoredLsa::expire);
        self.dying.insert(entry);
        self.unlisted.insert(entry);
        self.changed.push(key);
        for neighbor in self.neighbors.values_mut() {
            neighbor.retransmit.acknowledge(entry);
        }
        self.flood(entry, None);
    }

    /// Removes MaxAge LSAs that nobody is still to be told of (section 14).
    pub(crate) fn reap_dead(&mut self) {
        if self.unlisted.is_empty() || self.is_exchanging() {
            return;
        }
        for entry in std::mem::take(&mut self.unlisted) {
            let listed = self.neighbors.values().any(|n| n.retransmit.contains(entry));
            if listed || !self.dying.contains(&entry) {
                continue;
            }
            let Some((key, stored)) = self.unstore(entry) else { continue };
            self.changed.push(key);
            if self.is_own(&key) {
                self.on_removed(key);
            } else {
                self.bury(key, stored.header(self.now));
            }
        }
    }

    /// Notes that an LSA was flushed, and how.
    fn bury(&mut self, key: DbKey, header: LsaHeader) {
        while let Some(key) = self.buried_until.pop_due(self.now) {
            self.buried.remove(&key);
        }
        self.buried.insert(key, header);
        self.buried_until.set(key, Some(self.now + LATE));
    }

    /// A copy of an LSA comes after its flush, which has left the database already. Not in the RFC: packets can overtake each other,
    /// as a flood to a group and a retransmission to one router; an acknowledgement of the flush may be under way while the copy
    /// is asked for. The copy would stay for an hour, as nobody owes the flush to us any more. It is taken as what it was flushed
    /// to, and its sender and everybody else are told so again.
    fn on_late_copy(&mut self, key: DbKey, lsa: Lsa<'_>) {
        let entry = self.install(key.scope, lsa, ArrivalGate::default());
        self.age_out(entry);
    }

    /// Whether an LSA is a copy of the very instance that was flushed a moment ago, or of the one before it.
    fn is_late(&self, key: &DbKey, header: &LsaHeader) -> bool {
        let fresh = self.buried_until.deadline(*key).is_some_and(|until| self.now < until);
        let copied = |buried: &LsaHeader| {
            let same = (buried.sequence, buried.checksum) == (header.sequence, header.checksum);
            same || header.sequence.next() == Some(buried.sequence)
        };
        fresh && header.age < MAX_AGE && self.buried.get(key).is_some_and(copied)
    }

    /// Whether any neighbour is in Exchange or Loading.
    fn is_exchanging(&self) -> bool {
        self.neighbors
            .values()
            .any(|n| matches!(n.state, NeighborState::Exchange | NeighborState::Loading))
    }

    /// An interface went down: its link-local LSAs leave the database without a word (RFC 5250 section 3).
    pub(crate) fn forget_link_scope(&mut self, ifindex: IfIndex) {
        let scope = Scope::Link(ifindex);
        let gone: Vec<EntryId> =
            seek(&self.db, &self.sought, scope.keys()).map(|(_, entry, _)| entry).collect();
        for entry in gone {
            self.unstore(entry);
        }
    }
}
