//! The LSPs in the database of a level, and their ages.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bugle_lsdb::{Database, Entry, EntryId};
use bugle_types::Time;
use bugle_wire::isis::{Lsp, LspEntry, LspFlags, LspId, NodeId, set_lifetime};

/// An LSP in the database.
#[derive(Debug, Clone)]
pub struct StoredLsp {
    /// The LSP as it came. The lifetime in it is not kept up.
    bytes: Box<[u8]>,
    entry: LspEntry,
    /// When its lifetime ends; of one that is dead, when it leaves the database.
    expires: Time,
    /// Of one of ours, when it is refreshed.
    refresh: Option<Time>,
}

impl Entry for StoredLsp {
    type Key = LspId;

    fn key(&self) -> LspId {
        self.entry.id
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.refresh.map_or(self.expires, |refresh| refresh.min(self.expires)))
    }
}

impl StoredLsp {
    /// An LSP that came, or was generated, at `now`, with so many seconds to live.
    pub(crate) fn live(lsp: Lsp<'_>, lifetime: u16, now: Time) -> Self {
        let entry = LspEntry { lifetime, ..lsp.entry() };
        let expires = now + Duration::from_secs(lifetime.into());
        Self { bytes: lsp.bytes().into(), entry, expires, refresh: None }
    }

    /// One that is dead, and is kept for a while so that everybody learns of it.
    pub(crate) fn dead(lsp: Lsp<'_>, kept: Duration, now: Time) -> Self {
        let entry = LspEntry { lifetime: 0, ..lsp.entry() };
        Self { bytes: lsp.bytes().into(), entry, expires: now + kept, refresh: None }
    }

    /// The same, to be refreshed after a while.
    pub(crate) fn refreshed_at(self, refresh: Time) -> Self {
        Self { refresh: Some(refresh), ..self }
    }

    /// What kind of system it describes: overload, attachment, levels.
    #[must_use]
    pub fn flags(&self) -> LspFlags {
        self.lsp().map_or(LspFlags::NONE, |lsp| lsp.header().flags)
    }

    /// Whether it has been purged, or has expired.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        self.entry.lifetime == 0
    }

    /// Whether its time in the database is over.
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        self.expires <= now
    }

    /// Which LSP this is and which instance, with the lifetime that is left.
    #[must_use]
    pub fn entry(&self, now: Time) -> LspEntry {
        LspEntry { lifetime: self.lifetime(now), ..self.entry }
    }

    /// Seconds left to live. One that is about to die has one left until it is dead.
    #[must_use]
    pub fn lifetime(&self, now: Time) -> u16 {
        if self.is_dead() {
            return 0;
        }
        u16::try_from(self.expires.since(now).as_secs()).unwrap_or(u16::MAX).max(1)
    }

    /// The LSP. The lifetime in it is that at which it came.
    #[must_use]
    pub fn lsp(&self) -> Option<Lsp<'_>> {
        Lsp::parse(&self.bytes).ok()
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// What is sent: the bytes with the lifetime that is left.
    pub(crate) fn to_send(&self, now: Time) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        set_lifetime(&mut bytes, self.lifetime(now));
        bytes
    }
}

/// The database of a level.
#[derive(Debug, Default)]
pub(crate) struct LspDatabase {
    entries: Database<StoredLsp>,
    order: BTreeMap<LspId, EntryId>,
}

impl LspDatabase {
    /// Stores an LSP in place of the instance before.
    pub(crate) fn insert(&mut self, lsp: StoredLsp) -> EntryId {
        let id = lsp.key();
        let entry = self.entries.insert(lsp);
        self.order.insert(id, entry);
        entry
    }

    pub(crate) fn remove(&mut self, entry: EntryId) -> Option<StoredLsp> {
        let lsp = self.entries.remove(entry)?;
        self.order.remove(&lsp.key());
        Some(lsp)
    }

    pub(crate) fn get(&self, entry: EntryId) -> Option<&StoredLsp> {
        self.entries.get(entry)
    }

    pub(crate) fn find(&self, id: LspId) -> Option<(EntryId, &StoredLsp)> {
        self.entries.lookup(&id)
    }

    /// The LSPs of a range of IDs, in order.
    pub(crate) fn range(
        &self,
        range: RangeInclusive<LspId>,
    ) -> impl Iterator<Item = (EntryId, &StoredLsp)> {
        let valid = range.start() <= range.end();
        let ids = valid.then(|| self.order.range(range)).into_iter().flatten();
        ids.filter_map(|(_, &entry)| Some((entry, self.entries.get(entry)?)))
    }

    /// All LSPs in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EntryId, &StoredLsp)> {
        self.range(LspId::MIN..=LspId::MAX)
    }

    /// The LSPs that describe a node, in order.
    pub(crate) fn of_node(&self, node: NodeId) -> impl Iterator<Item = (EntryId, &StoredLsp)> {
        self.range(fragments_of(node))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes an LSP that is to be refreshed, has expired, or is to leave.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<EntryId> {
        self.entries.pop_due(now)
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.entries.next_deadline()
    }
}

/// The LSP IDs of a node.
pub(crate) fn fragments_of(node: NodeId) -> RangeInclusive<LspId> {
    LspId { node, fragment: 0 }..=LspId { node, fragment: u8::MAX }
}
