//! The link-state database.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::time::Duration;

use bugle_types::Time;
use hashbrown::HashTable;

use crate::hash::KeyedHash;

/// Names an entry for as long as it stays in the database; reused afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(u32);

impl EntryId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a database holds. It says itself what it is called and when it is due, so that neither is kept twice.
pub trait Entry {
    /// What tells entries apart.
    type Key: Copy + Eq + Hash;

    /// This entry's key, which never changes.
    fn key(&self) -> Self::Key;

    /// When it expires or must be refreshed; `None`: never.
    fn deadline(&self) -> Option<Time>;
}

/// Entries by key, each with a stable id and at most one deadline.
///
/// There is no timer per entry: only those that come due within the next minutes stand in a queue. Beside what an entry is itself,
/// the database takes some ten bytes for it: a thousand routers in one process have eleven million.
#[derive(Debug, Clone)]
pub struct Database<E> {
    slots: Vec<Option<E>>,
    free: Vec<EntryId>,
    by_key: HashTable<EntryId>,
    hash: KeyedHash,
    /// The entries that come due before the horizon, and when.
    near: BTreeSet<(Time, EntryId)>,
    /// Entries that come due later stand in no queue. When this time has come, they are looked through.
    horizon: Time,
}

/// How far beyond the next deadline the horizon lies. An LSA lives for an hour, and is refreshed after half of it: looking through
/// all of them is rare.
const SIGHT: Duration = Duration::from_secs(600);

impl<E> Default for Database<E> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<E> Database<E> {
    /// An empty database. Who knows the seed could find keys that make it slow.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashTable::new(),
            hash: KeyedHash::new(seed),
            near: BTreeSet::new(),
            horizon: Time::ZERO,
        }
    }
}

impl<E: Entry> Database<E> {
    /// Stores an entry in place of the one with its key, whose id it takes over. It comes due at its deadline.
    pub fn insert(&mut self, entry: E) -> EntryId {
        let key = entry.key();
        if let Some(id) = self.find(&key) {
            self.update(id, |held| *held = entry);
            return id;
        }
        let deadline = entry.deadline();
        if self.is_empty() {
            // What comes next mostly has a deadline near this one, before it or after it.
            self.horizon = deadline.map_or(self.horizon, |deadline| deadline - SIGHT);
        }
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.index()] = Some(entry);
            id
        } else {
            // A database of 2^32 entries does not fit in memory, so the id cannot truncate.
            let id = EntryId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            if self.slots.len() == self.slots.capacity() {
                // Doubling would leave a quarter of it unused on average.
                self.slots.reserve_exact(self.slots.len() / 8 + 16);
            }
            self.slots.push(Some(entry));
            id
        };
        let (slots, hash) = (&self.slots, self.hash);
        self.by_key.insert_unique(hash.of(&key), id, |&id| {
            entry_at(slots, id).map_or(0, |entry| hash.of(&entry.key()))
        });
        self.queue(id, deadline);
        id
    }

    /// Removes an entry; its id may be given to another from now on.
    pub fn remove(&mut self, id: EntryId) -> Option<E> {
        let entry = self.slots.get_mut(id.index())?.take()?;
        self.unqueue(id, entry.deadline());
        if let Ok(found) = self.by_key.find_entry(self.hash.of(&entry.key()), |&held| held == id) {
            found.remove();
        }
        self.free.push(id);
        Some(entry)
    }

    /// Changes an entry in place, except for its key. It comes due at the deadline that it has then, even if it came due before.
    pub fn update<T>(&mut self, id: EntryId, change: impl FnOnce(&mut E) -> T) -> Option<T> {
        let entry = self.slots.get_mut(id.index())?.as_mut()?;
        let before = entry.deadline();
        let result = change(entry);
        let after = entry.deadline();
        self.unqueue(id, before);
        self.queue(id, after);
        Some(result)
    }

    /// Takes an entry whose deadline has come; it comes due no more until it is changed.
    pub fn pop_due(&mut self, now: Time) -> Option<EntryId> {
        if self.horizon <= now {
            self.look_ahead(now);
        }
        let &(time, id) = self.near.first()?;
        if time > now {
            return None;
        }
        self.near.pop_first();
        Some(id)
    }

    /// When to look for [due](Self::pop_due) entries: the earliest deadline of all entries, or some time before it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let near = self.near.first().map(|&(time, _)| time);
        near.or_else(|| (!self.is_empty()).then_some(self.horizon))
    }

    /// The id of a key's entry.
    #[must_use]
    pub fn find(&self, key: &E::Key) -> Option<EntryId> {
        let named = |&id: &EntryId| self.get(id).is_some_and(|entry| entry.key() == *key);
        self.by_key.find(self.hash.of(key), named).copied()
    }

    /// A key's entry.
    #[must_use]
    pub fn lookup(&self, key: &E::Key) -> Option<(EntryId, &E)> {
        let id = self.find(key)?;
        self.get(id).map(|entry| (id, entry))
    }

    /// An entry.
    #[must_use]
    pub fn get(&self, id: EntryId) -> Option<&E> {
        entry_at(&self.slots, id)
    }

    /// All entries in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (EntryId, &E)> {
        (0..).map(EntryId).zip(&self.slots).filter_map(|(id, entry)| Some((id, entry.as_ref()?)))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn queue(&mut self, id: EntryId, deadline: Option<Time>) {
        let near = deadline.filter(|&time| time < self.horizon);
        self.near.extend(near.map(|time| (time, id)));
    }

    fn unqueue(&mut self, id: EntryId, deadline: Option<Time>) {
        if let Some(time) = deadline.filter(|&time| time < self.horizon) {
            self.near.remove(&(time, id));
        }
    }

    /// Moves the horizon beyond the next deadline.
    fn look_ahead(&mut self, now: Time) {
        let before = self.horizon;
        let far = || {
            let due = self.iter().filter_map(|(id, entry)| Some((entry.deadline()?, id)));
            due.filter(|&(time, _)| time >= before)
        };
        let next = far().map(|(time, _)| time).min();
        let horizon = next.map_or(now, |next| next.max(now)) + SIGHT;
        let near: Vec<(Time, EntryId)> = far().filter(|&(time, _)| time < horizon).collect();
        self.near.extend(near);
        self.horizon = horizon;
    }
}

fn entry_at<E>(slots: &[Option<E>], id: EntryId) -> Option<&E> {
    slots.get(id.index())?.as_ref()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Item {
        key: u8,
        value: u32,
        deadline: Option<Time>,
    }

    impl Entry for Item {
        type Key = u8;

        fn key(&self) -> u8 {
            self.key
        }

        fn deadline(&self) -> Option<Time> {
            self.deadline
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Insert(Item),
        Remove(u8),
        Schedule(u8, Option<Time>),
        PopDue(Time),
    }

    fn op() -> impl Strategy<Value = Op> {
        let time = || (0u64..40).prop_map(|time| Time::from_secs(100 * time));
        let deadline = move || prop::option::of(time());
        prop_oneof![
            3 => (0u8..40, any::<u32>(), deadline())
                .prop_map(|(key, value, deadline)| Op::Insert(Item { key, value, deadline })),
            1 => (0u8..40).prop_map(Op::Remove),
            2 => (0u8..40, deadline()).prop_map(|(key, at)| Op::Schedule(key, at)),
            1 => time().prop_map(Op::PopDue),
        ]
    }

    /// What a map would hold: each entry, and when it comes due.
    type Model = BTreeMap<u8, (Item, Option<Time>)>;

    fn earliest(model: &Model) -> Option<Time> {
        model.values().filter_map(|&(_, due)| due).min()
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_with_deadlines(script in prop::collection::vec(op(), 0..300)) {
            let mut database = Database::default();
            let mut model = Model::new();
            for op in script {
                match op {
                    Op::Insert(item) => {
                        let before = database.find(&item.key);
                        let id = database.insert(item);
                        prop_assert!(before.is_none_or(|known| known == id));
                        model.insert(item.key, (item, item.deadline));
                    }
                    Op::Remove(key) => {
                        let removed = database.find(&key).and_then(|id| database.remove(id));
                        prop_assert_eq!(removed, model.remove(&key).map(|(item, _)| item));
                    }
                    Op::Schedule(key, at) => {
                        if let Some(id) = database.find(&key) {
                            database.update(id, |item| item.deadline = at).unwrap();
                            let (item, due) = model.get_mut(&key).unwrap();
                            (item.deadline, *due) = (at, at);
                        }
                    }
                    Op::PopDue(now) => {
                        let first = earliest(&model).filter(|&time| time <= now);
                        let popped = database.pop_due(now).and_then(|id| database.get(id)).copied();
                        prop_assert_eq!(popped.and_then(|item| item.deadline), first);
                        if let Some(item) = popped {
                            model.get_mut(&item.key).unwrap().1 = None;
                        }
                    }
                }
                prop_assert_eq!(database.len(), model.len());
                // It may be early, but is never late.
                let next = database.next_deadline().unwrap_or(Time::MAX);
                prop_assert!(next <= earliest(&model).unwrap_or(Time::MAX));
                for key in 0..40 {
                    let found = database.lookup(&key).map(|(_, item)| item);
                    prop_assert_eq!(found, model.get(&key).map(|(item, _)| item));
                }
            }
            let mut contents: Vec<Item> = database.iter().map(|(_, &item)| item).collect();
            contents.sort_unstable_by_key(|item| item.key);
            let expected: Vec<Item> = model.values().map(|&(item, _)| item).collect();
            prop_assert_eq!(contents, expected);
            let mut due = Vec::new();
            while let Some(id) = database.pop_due(Time::MAX) {
                due.extend(database.get(id).unwrap().deadline);
            }
            prop_assert!(due.is_sorted());
            prop_assert_eq!(due.len(), model.values().filter(|(_, due)| due.is_some()).count());
        }
    }
}
