//! The LSAs in the database (RFC 2328 section 12): what they are called, and how old they are.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bugle_lsdb::{ArrivalGate, Database, Entry, EntryId};
use bugle_types::{AreaId, IfIndex, RouterId, Time};
use bugle_wire::ospf::{DO_NOT_AGE, Lsa, LsaHeader, LsaKey, LsaType, MAX_AGE};

use crate::content::Content;
use crate::instance::Ospf;

/// How far an LSA is flooded (RFC 2328 section 13.3, RFC 5250 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One link: opaque type 9.
    Link(IfIndex),
    /// One area.
    Area(AreaId),
    /// The whole AS: types 5 and 11.
    As,
}

impl Scope {
    /// The scope of an LSA type that came in on an interface of an area; `None` for unknown types.
    #[must_use]
    pub fn of(ls_type: LsaType, ifindex: IfIndex, area: AreaId) -> Option<Self> {
        match ls_type {
            LsaType::ROUTER
            | LsaType::NETWORK
            | LsaType::SUMMARY_NETWORK
            | LsaType::SUMMARY_ASBR
            | LsaType::OPAQUE_AREA => Some(Self::Area(area)),
            LsaType::AS_EXTERNAL | LsaType::OPAQUE_AS => Some(Self::As),
            LsaType::OPAQUE_LINK => Some(Self::Link(ifindex)),
            _ => None,
        }
    }

    /// The database key of an LSA in this scope.
    #[must_use]
    pub const fn key(self, lsa: LsaKey) -> DbKey {
        DbKey { scope: self, lsa }
    }

    /// The database keys in this scope.
    pub(crate) const fn keys(self) -> RangeInclusive<DbKey> {
        let first = LsaKey {
            ls_type: LsaType(0),
            link_state_id: Ipv4Addr::UNSPECIFIED,
            advertising_router: RouterId(0),
        };
        let last = LsaKey {
            ls_type: LsaType(u8::MAX),
            link_state_id: Ipv4Addr::BROADCAST,
            advertising_router: RouterId(u32::MAX),
        };
        self.key(first)..=self.key(last)
    }

    /// The number of the link or area that it is one of; 0 for the AS. The LSA's type tells which.
    const fn place(self) -> u32 {
        match self {
            Self::Link(IfIndex(place)) | Self::Area(AreaId(place)) => place,
            Self::As => 0,
        }
    }

    /// Whether LSAs of this scope are flooded out of an interface.
    pub(crate) fn reaches(self, ifindex: IfIndex) -> bool {
        match self {
            Self::Link(link) => link == ifindex,
            Self::Area(_) | Self::As => true,
        }
    }
}

/// Identifies an LSA in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DbKey {
    /// How far it is flooded.
    pub scope: Scope,
    /// What RFC 2328 section 12.1 identifies an LSA by.
    pub lsa: LsaKey,
}

impl DbKey {
    /// The keys that differ from this one in the advertising router only.
    pub(crate) fn by_any_router(self) -> RangeInclusive<Self> {
        let by =
            |advertising_router| Self { lsa: LsaKey { advertising_router, ..self.lsa }, ..self };
        by(RouterId(0))..=by(RouterId(u32::MAX))
    }

    /// Whether LSAs like this one are looked for by a part of their key: network-LSAs by the network, those of a link by the link.
    fn is_sought_by_part(&self) -> bool {
        self.lsa.ls_type == LsaType::NETWORK || matches!(self.scope, Scope::Link(_))
    }
}

impl Hash for DbKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let LsaKey { ls_type, link_state_id, advertising_router } = self.lsa;
        state.write_u64(u64::from(self.scope.place()) << 8 | u64::from(ls_type.0));
        state.write_u64(u64::from(link_state_id.to_bits()) << 32 | u64::from(advertising_router.0));
    }
}

/// The header of an LSA as it came, with an age that sections 13 and 14 know: at most MaxAge. `DoNotAge`, which only routers that
/// announce demand circuits understand (RFC 1793), is taken off: the LSA ages here like any other.
pub(crate) fn header_of(lsa: Lsa<'_>) -> LsaHeader {
    let header = lsa.header();
    LsaHeader { age: (header.age & !DO_NOT_AGE).min(MAX_AGE), ..header }
}

/// An LSA in the database. Its age is computed when read. It takes 24 bytes, and what it says twice as much unless it is shared.
#[derive(Debug, Clone)]
pub struct StoredLsa {
    content: Arc<Content>,
    installed: Time,
    /// The link or the area that it does not leave, if its type has it stay in one.
    place: u32,
    /// The age that it had when it was installed, unless it was aged prematurely.
    age: u16,
    due_and_gate: DueAndGate,
}

/// The age at which an LSA is refreshed or expires in twelve bits, for it is at most MaxAge; above them what its gate has in reserve.
#[derive(Debug, Clone, Copy)]
struct DueAndGate(u16);

impl DueAndGate {
    const fn new(due: u16, gate: ArrivalGate) -> Self {
        let due = if due < MAX_AGE { due } else { MAX_AGE };
        Self(due | (gate.reserve() as u16) << 12)
    }

    const fn due(self) -> u16 {
        self.0 & 0x0FFF
    }

    const fn gate(self) -> ArrivalGate {
        let [high, _] = self.0.to_be_bytes();
        ArrivalGate::with_reserve(high >> 4)
    }
}

impl StoredLsa {
    /// The LSA without its age: the field is zero.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.content.octets()
    }

    /// The LSA, of age zero.
    #[must_use]
    pub fn lsa(&self) -> Option<Lsa<'_>> {
        Lsa::parse(self.bytes()).ok()
    }

    /// What it says, shared with other instances of the process.
    pub(crate) fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// The age now, in seconds, at most MaxAge.
    #[must_use]
    pub fn age(&self, now: Time) -> u16 {
        let held = u16::try_from(now.since(self.installed).as_secs()).unwrap_or(MAX_AGE);
        self.age.saturating_add(held).min(MAX_AGE)
    }

    /// The header with the age of now.
    #[must_use]
    pub fn header(&self, now: Time) -> LsaHeader {
        LsaHeader { age: self.age(now), ..self.header_without_age() }
    }

    /// Whether it is at MaxAge: about to leave the database, and of no account otherwise.
    pub(crate) fn is_dead(&self, now: Time) -> bool {
        self.age(now) == MAX_AGE
    }

    /// Premature ageing (section 14.1).
    pub(crate) fn expire(&mut self) {
        self.age = MAX_AGE;
    }

    /// Whether an instance that arrives now may take this one's place; if so, it is taken to do so, and the gate is its.
    pub(crate) fn accept(&mut self, now: Time, min_arrival: Duration) -> Option<ArrivalGate> {
        let mut gate = self.due_and_gate.gate();
        let accepted = gate.accept(self.installed, now, min_arrival);
        self.due_and_gate = DueAndGate::new(self.due_and_gate.due(), gate);
        accepted.then_some(gate)
    }

    fn header_without_age(&self) -> LsaHeader {
        // Only whole LSAs are stored.
        LsaHeader::from_bytes(self.bytes().first_chunk().unwrap_or(&[0; _]))
    }
}

impl Entry for StoredLsa {
    type Key = DbKey;

    fn key(&self) -> DbKey {
        let lsa = self.header_without_age().key;
        let scope = Scope::of(lsa.ls_type, IfIndex(self.place), AreaId(self.place));
        scope.unwrap_or(Scope::As).key(lsa)
    }

    fn deadline(&self) -> Option<Time> {
        let left = Duration::from_secs(self.due_and_gate.due().saturating_sub(self.age).into());
        (self.age < MAX_AGE).then(|| self.installed + left)
    }
}

impl Ospf {
    /// Puts an LSA into the database in place of the instance before it. It comes due at age `due`.
    pub(crate) fn store(
        &mut self,
        key: DbKey,
        lsa: Lsa<'_>,
        due: u16,
        gate: ArrivalGate,
    ) -> EntryId {
        let content = Content::of(lsa);
        let content = match &self.pool {
            Some(pool) => pool.share(content),
            None => Arc::new(content),
        };
        let (place, age) = (key.scope.place(), header_of(lsa).age);
        let due_and_gate = DueAndGate::new(due, gate);
        let lsa = StoredLsa { content, installed: self.now, place, age, due_and_gate };
        if key.is_sought_by_part() {
            self.sought.insert(key);
        }
        self.db.insert(lsa)
    }

    /// Takes an LSA out of the database, and all that is noted about it.
    pub(crate) fn unstore(&mut self, entry: EntryId) -> Option<(DbKey, StoredLsa)> {
        self.dying.remove(&entry);
        self.answers.set(entry, None);
        let lsa = self.db.remove(entry)?;
        let key = lsa.key();
        self.sought.remove(&key);
        Some((key, lsa))
    }
}

/// All LSAs in the order of their keys, so that equal databases look equal whatever came first.
pub(crate) fn in_order(db: &Database<StoredLsa>) -> Vec<(DbKey, EntryId, &StoredLsa)> {
    let mut lsas: Vec<_> = db.iter().map(|(entry, lsa)| (lsa.key(), entry, lsa)).collect();
    lsas.sort_unstable_by_key(|(key, ..)| *key);
    lsas
}

/// The LSAs with keys in a range, of those that are [sought by a part](DbKey::is_sought_by_part) of their key.
pub(crate) fn seek<'a>(
    db: &'a Database<StoredLsa>,
    sought: &'a BTreeSet<DbKey>,
    range: RangeInclusive<DbKey>,
) -> impl Iterator<Item = (DbKey, EntryId, &'a StoredLsa)> {
    let found = |&key: &DbKey| db.lookup(&key).map(|(entry, lsa)| (key, entry, lsa));
    sought.range(range).filter_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_lsa_is_small() {
        assert_eq!(size_of::<Option<StoredLsa>>(), 24);
    }

    #[test]
    fn what_is_due_and_the_gate_do_not_mix() {
        for due in 0..=MAX_AGE {
            for reserve in 0..=ArrivalGate::RESERVE {
                let gate = ArrivalGate::with_reserve(reserve);
                let both = DueAndGate::new(due, gate);
                assert_eq!((both.due(), both.gate()), (due, gate));
            }
        }
    }
}
