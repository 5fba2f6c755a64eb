//! The update process: LSPs and sequence numbers PDUs received and sent (ISO 10589 sections 7.3.14 to 7.3.17).

use std::collections::BTreeSet;
use std::time::Duration;

use bugle_lsdb::EntryId;
use bugle_types::{IfIndex, Mac, SystemId};
use bugle_wire::isis::{CSNP_HEADER, LSP_HEADER, LspFields, LspFlags, NodeId, PSNP_HEADER};
use bugle_wire::isis::{
    Csnp, Level, Lsp, LspEntry, LspId, MAX_AGE, Psnp, PurgeOriginator, Recency, SequenceNumber,
    Tlv, TlvBody, TlvBuilder, TlvCode, Tlvs, ZERO_AGE_LIFETIME, emit_csnp, emit_lsp, emit_psnp,
};

use crate::adjacency::AdjacencyState;
use crate::config::CircuitKind;
use crate::database::{StoredLsp, fragments_of};
use crate::instance::Isis;
use crate::io::Event;

/// How long the header of an LSP that somebody else purged is kept.
const ZERO_AGE: Duration = Duration::from_secs(ZERO_AGE_LIFETIME as u64);
/// How long the header of an LSP that this system purged is kept (section 7.3.16.4).
const KEPT: Duration = Duration::from_secs(MAX_AGE as u64);

impl Isis {
    /// An LSP was received (section 7.3.15.1). Its sender is an adjacent system.
    pub(crate) fn on_lsp(&mut self, ifindex: IfIndex, source: Mac, from: SystemId, lsp: Lsp<'_>) {
        let header = lsp.header();
        let (level, received) = (header.level, header.entry);
        // A system never generates an instance of number zero (section 7.3.16.1).
        if !lsp.checksum_ok() || received.sequence == SequenceNumber(0) {
            self.dropped(ifindex, source, "lsp-checksum", || received.id.to_string());
            return;
        }
        let tlvs = match lsp.tlvs() {
            Ok(tlvs) => tlvs,
            Err(error) => {
                self.dropped(ifindex, source, "lsp-malformed", || {
                    format!("{}: {error}", received.id)
                });
                return;
            }
        };
        if lsp.is_purge() && !self.is_acceptable_purge(level, tlvs) {
            self.dropped(ifindex, source, "purge-with-body", || received.id.to_string());
            return;
        }
        let known = self.levels[level].db.find(received.id);
        let known = known.map(|(entry, stored)| (entry, stored.entry(self.now)));
        if received.id.node.system == self.config.system_id
            && self.on_own_lsp(level, lsp, known.map(|(_, held)| held))
        {
            return;
        }
        let recency = known.map_or(Recency::Newer, |(_, held)| received.recency(&held));
        match (recency, known) {
            (Recency::Newer, None) if lsp.is_purge() => {
                // Section 7.3.16.4 a).
                self.acknowledge(ifindex, level, received);
            }
            (Recency::Newer, _) => {
                self.store_received(ifindex, level, lsp, tlvs, from);
            }
            (Recency::Same, Some((entry, held))) => {
                self.unflood(ifindex, level, entry);
                self.acknowledge(ifindex, level, LspEntry { lifetime: held.lifetime, ..received });
            }
            (Recency::Older, Some((entry, _))) => {
                self.forget_acknowledgement(ifindex, level, received.id);
                self.flood_on(ifindex, level, entry);
            }
            // Section 7.3.16.2: one of them is of the system's previous life.
            (Recency::Confused, Some(_)) => self.purge(level, received, None),
            (Recency::Same | Recency::Older | Recency::Confused, None) => {}
        }
    }

    /// Stores an LSP that is newer than what there was, and passes it on: sections 7.3.15.1 e) 1) and 7.3.16.4 b) 1).
    fn store_received(
        &mut self,
        ifindex: IfIndex,
        level: Level,
        lsp: Lsp<'_>,
        tlvs: Tlvs<'_>,
        from: SystemId,
    ) {
        let received = lsp.entry();
        if lsp.is_purge() {
            let originator = purge_originator(tlvs);
            self.event(Event::Purged {
                level,
                id: received.id,
                originator: originator.map(|purge| purge.originator),
            });
            let bytes = originator
                .is_none()
                .then(|| self.purge_bytes(level, received, header_flags(lsp), Some(from)));
            let lsp = bytes.as_deref().and_then(|bytes| Lsp::parse(bytes).ok()).unwrap_or(lsp);
            let stored = StoredLsp::dead(lsp, ZERO_AGE, self.now);
            self.install(level, stored, Some(ifindex));
        } else {
            // RFC 7987 section 2: whatever a corrupted lifetime says, the originator will purge or refresh what it does not mean.
            if received.lifetime < ZERO_AGE_LIFETIME {
                self.stats.short_lifetimes += 1;
            }
            // Section 7.3.16.3: at least one second less for whoever comes next.
            let lifetime = received.lifetime.max(MAX_AGE).saturating_sub(1);
            let stored = StoredLsp::live(lsp, lifetime, self.now);
            self.install(level, stored, Some(ifindex));
        }
        self.acknowledge(ifindex, level, received);
    }

    /// Puts an LSP into the database and sends it to everybody but `except`.
    pub(crate) fn install(&mut self, level: Level, lsp: StoredLsp, except: Option<IfIndex>) {
        let id = lsp.entry(self.now).id;
        self.stats.installed += 1;
        let entry = self.levels[level].db.insert(lsp);
        for circuit in self.circuits.values_mut() {
            let flooding = &mut circuit.flooding[level];
            flooding.forget(entry);
            flooding.has_come(id);
        }
        let circuits: Vec<IfIndex> =
            self.circuits.keys().copied().filter(|&ifindex| Some(ifindex) != except).collect();
        for ifindex in circuits {
            self.flood_on(ifindex, level, entry);
        }
        self.changed[level].insert(id);
    }

    /// Takes an LSP out of the network (section 7.3.16.4).
    pub(crate) fn purge(&mut self, level: Level, entry: LspEntry, from: Option<SystemId>) {
        let flags = self.levels[level].db.find(entry.id).and_then(|(_, stored)| stored.lsp());
        let flags = flags.map_or(LspFlags::NONE, header_flags);
        let bytes = self.purge_bytes(level, entry, flags, from);
        if let Ok(lsp) = Lsp::parse(&bytes) {
            let stored = StoredLsp::dead(lsp, KEPT, self.now);
            self.install(level, stored, None);
        }
    }

    /// A purge: a header, who purges (RFC 6232), and authentication (RFC 5304 section 2).
    fn purge_bytes(
        &self,
        level: Level,
        entry: LspEntry,
        flags: LspFlags,
        received_from: Option<SystemId>,
    ) -> Vec<u8> {
        let mut tlvs = TlvBuilder::new(self.lsp_limit(level));
        let originator = self.config.system_id;
        tlvs.purge_originator(&PurgeOriginator { originator, received_from });
        if let Some(name) = &self.config.hostname {
            tlvs.hostname(name);
        }
        let fields = LspFields { lifetime: 0, id: entry.id, sequence: entry.sequence, flags };
        emit_lsp(level, &fields, tlvs.bytes(), self.config.auth(level).send.as_ref())
    }

    /// Whether a purge says nothing that it must not say: with authentication, only what RFC 6233 section 2 allows.
    fn is_acceptable_purge(&self, level: Level, tlvs: Tlvs<'_>) -> bool {
        let allowed = |tlv: Tlv<'_>| {
            matches!(
                tlv.code(),
                TlvCode::AUTHENTICATION | TlvCode::PURGE_ORIGINATOR | TlvCode::HOSTNAME
            )
        };
        self.config.auth(level).accept.is_empty() || tlvs.iter().all(allowed)
    }

    /// A complete description of a range of the neighbour's database was received (section 7.3.15.2).
    pub(crate) fn on_csnp(&mut self, ifindex: IfIndex, csnp: &Csnp<'_>) {
        if csnp.start > csnp.end {
            return;
        }
        let level = csnp.level;
        let mut listed = BTreeSet::new();
        for entry in csnp.entries() {
            listed.insert(entry.id);
            self.on_listed(ifindex, level, entry);
        }
        // c)
        let missing: Vec<EntryId> = self.levels[level]
            .db
            .range(csnp.start..=csnp.end)
            .filter(|(_, stored)| !stored.is_dead() && !listed.contains(&stored.entry(self.now).id))
            .map(|(entry, _)| entry)
            .collect();
        for entry in missing {
            self.flood_later(ifindex, level, entry);
        }
        if csnp.end == LspId::MAX {
            self.end_of_description(ifindex, level);
        }
        self.drain(ifindex, level);
    }

    /// A list of some LSPs was received (section 7.3.15.2). On a LAN only the designated system answers.
    pub(crate) fn on_psnp(&mut self, ifindex: IfIndex, psnp: &Psnp<'_>) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        if circuit.config.kind == CircuitKind::Broadcast && !self.is_designated(ifindex, psnp.level)
        {
            return;
        }
        let mut lacks = false;
        for entry in psnp.entries() {
            lacks |= entry.sequence == SequenceNumber(0);
            self.on_listed(ifindex, psnp.level, entry);
        }
        self.drain(ifindex, psnp.level);
        if lacks {
            self.describe_to_who_lacks(ifindex, psnp.level);
        }
    }

    /// Section 7.3.15.2 b).
    fn on_listed(&mut self, ifindex: IfIndex, level: Level, listed: LspEntry) {
        let Some((entry, stored)) = self.levels[level].db.find(listed.id) else {
            let empty = listed.lifetime == 0 || listed.checksum == 0;
            if !empty && listed.sequence != SequenceNumber(0) {
                // What the neighbour has, and this system has nothing of.
                let nothing = LspEntry { sequence: SequenceNumber(0), checksum: 0, ..listed };
                self.request(ifindex, level, nothing);
            }
            return;
        };
        let held = stored.entry(self.now);
        match listed.recency(&held) {
            Recency::Same => self.unflood(ifindex, level, entry),
            Recency::Older => {
                self.forget_acknowledgement(ifindex, level, listed.id);
                self.flood_later(ifindex, level, entry);
            }
            Recency::Newer | Recency::Confused
                if listed.id.node.system == self.config.system_id
                    && self.is_wanted(level, listed.id)
                    && !self.is_to_be_remembered(level, listed.id) =>
            {
                self.outdo(level, listed);
            }
            Recency::Newer => {
                self.unflood(ifindex, level, entry);
                self.request(ifindex, level, held);
            }
            // The LSP itself will tell; the neighbour finds the same in this system's description.
            Recency::Confused => self.flood_later(ifindex, level, entry),
        }
    }

    /// An LSP has come of age: it is refreshed if it is ours, dies, or leaves.
    pub(crate) fn on_age_timer(&mut self) {
        for level in Level::ALL {
            while let Some(entry) = self.levels[level].db.pop_due(self.now) {
                let Some(stored) = self.levels[level].db.get(entry) else { continue };
                let held = stored.entry(self.now);
                if stored.is_dead() {
                    self.remove(level, entry);
                } else if stored.has_expired(self.now) {
                    // Section 7.3.16.4.
                    self.purge(level, held, None);
                } else {
                    self.refresh(level, held.id);
                }
            }
        }
    }

    /// Forgets an LSP that has been dead for long enough.
    fn remove(&mut self, level: Level, entry: EntryId) {
        for circuit in self.circuits.values_mut() {
            circuit.flooding[level].forget(entry);
        }
        if let Some(stored) = self.levels[level].db.remove(entry) {
            self.changed[level].insert(stored.entry(self.now).id);
        }
    }

    /// Describes the whole database (section 7.3.15.3).
    pub(crate) fn send_csnps(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let key = self.config.auth(level).send.as_ref();
        let size = circuit.config.max_pdu().min(self.config.lsp_buffer_size);
        let header = CSNP_HEADER + key.map_or(0, bugle_wire::isis::Key::tlv_length);
        let room = usize::from(size).saturating_sub(header);
        let source = NodeId::of_system(self.config.system_id);
        let mut pdus = Vec::new();
        let mut tlvs = TlvBuilder::new(room);
        let mut start = LspId::MIN;
        for (_, stored) in self.levels[level].db.iter() {
            let entry = stored.entry(self.now);
            if !tlvs.lsp_entry(entry) {
                let end = before(entry.id);
                pdus.push(emit_csnp(level, source, start, end, tlvs.bytes(), key));
                start = entry.id;
                tlvs.clear();
                tlvs.lsp_entry(entry);
            }
        }
        pdus.push(emit_csnp(level, source, start, LspId::MAX, tlvs.bytes(), key));
        for pdu in pdus {
            self.send_at(ifindex, level, pdu);
        }
    }

    /// Acknowledges and requests what there is to (section 7.3.15.4).
    pub(crate) fn send_psnps(&mut self, ifindex: IfIndex, level: Level) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let acks = std::mem::take(&mut circuit.flooding[level].acks);
        if acks.is_empty() {
            return;
        }
        let key = self.config.auth(level).send.as_ref();
        let size = circuit.config.max_pdu().min(self.config.lsp_buffer_size);
        let header = PSNP_HEADER + key.map_or(0, bugle_wire::isis::Key::tlv_length);
        let room = usize::from(size).saturating_sub(header);
        let source = NodeId::of_system(self.config.system_id);
        let mut pdus = Vec::new();
        let mut tlvs = TlvBuilder::new(room);
        for &entry in acks.values() {
            if !tlvs.lsp_entry(entry) {
                pdus.push(emit_psnp(level, source, tlvs.bytes(), key));
                tlvs.clear();
                tlvs.lsp_entry(entry);
            }
        }
        pdus.push(emit_psnp(level, source, tlvs.bytes(), key));
        for pdu in pdus {
            self.send_at(ifindex, level, pdu);
        }
    }

    /// Purges what another system's pseudonode says of a LAN that it does not stand for any more (section 8.4.4).
    pub(crate) fn purge_pseudonode(&mut self, level: Level, node: NodeId) {
        let living: Vec<LspEntry> = self.levels[level]
            .db
            .range(fragments_of(node))
            .filter(|(_, stored)| !stored.is_dead())
            .map(|(_, stored)| stored.entry(self.now))
            .collect();
        for entry in living {
            self.purge(level, entry, None);
        }
    }

    /// Whether a circuit has an adjacency over which LSPs of a level are exchanged.
    pub(crate) fn is_flooding(&self, ifindex: IfIndex, level: Level) -> bool {
        self.adjacencies_on(ifindex)
            .any(|a| a.state == AdjacencyState::Up && a.levels.includes(level))
    }

    /// The bytes of TLVs that an LSP of ours has room for.
    pub(crate) fn lsp_limit(&self, level: Level) -> usize {
        let circuits = self.circuits.values().filter(|c| c.config.kind != CircuitKind::Passive);
        let smallest = circuits.map(|circuit| circuit.config.max_pdu()).min();
        let size = self.config.lsp_buffer_size.min(smallest.unwrap_or(u16::MAX)).max(512);
        let key = self.config.auth(level).send.as_ref();
        let header = LSP_HEADER + key.map_or(0, bugle_wire::isis::Key::tlv_length);
        usize::from(size).saturating_sub(header)
    }
}

fn header_flags(lsp: Lsp<'_>) -> LspFlags {
    lsp.header().flags
}

/// Who purged an LSP, if it says so.
fn purge_originator(tlvs: Tlvs<'_>) -> Option<PurgeOriginator> {
    tlvs.of(TlvCode::PURGE_ORIGINATOR).find_map(|tlv| match tlv.body() {
        Ok(TlvBody::PurgeOriginator(purge)) => Some(purge),
        _ => None,
    })
}

/// The LSP ID before another.
fn before(id: LspId) -> LspId {
    let [system @ .., pseudonode, fragment] = id.as_u64().saturating_sub(1).to_be_bytes();
    LspId { node: NodeId { system: SystemId(system), pseudonode }, fragment }
}
