//! The link-state database.

use std::hash::{BuildHasher, Hash};

use bugle_types::Time;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// Names an entry for as long as it stays in the database; reused afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(u32);

impl EntryId {
    const fn index(self) -> usize {
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

#[derive(Debug, Clone)]
struct Slot<E> {
    entry: E,
    /// Where its id is in the queue.
    place: u32,
}

/// Not in the queue.
const NOWHERE: u32 = u32::MAX;

/// Entries by key, each with a stable id and at most one deadline.
///
/// There is no timer per entry; [`Database::next_deadline`] is the earliest of all. Beside what an entry is itself, the database
/// takes some 20 bytes for it: a thousand routers in one process have eleven million.
#[derive(Debug, Clone)]
pub struct Database<E> {
    slots: Vec<Option<Slot<E>>>,
    free: Vec<EntryId>,
    by_key: HashTable<EntryId>,
    /// A binary heap: no entry is due later than the two after it. At equal times the lower id comes first.
    queue: Vec<EntryId>,
}

impl<E> Default for Database<E> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), by_key: HashTable::new(), queue: Vec::new() }
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
        let slot = Some(Slot { entry, place: NOWHERE });
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.index()] = slot;
            id
        } else {
            // A database of 2^32 entries does not fit in memory, so the id cannot truncate.
            let id = EntryId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            if self.slots.len() == self.slots.capacity() {
                // Doubling would leave a quarter of it unused on average.
                self.slots.reserve_exact(self.slots.len() / 8 + 16);
            }
            self.slots.push(slot);
            id
        };
        let slots = &self.slots;
        self.by_key
            .insert_unique(hash(&key), id, |&id| entry_at(slots, id).map_or(0, |e| hash(&e.key())));
        self.requeue(id);
        id
    }

    /// Removes an entry; its id may be given to another from now on.
    pub fn remove(&mut self, id: EntryId) -> Option<E> {
        self.unqueue(id);
        let slot = self.slots.get_mut(id.index())?.take()?;
        if let Ok(found) = self.by_key.find_entry(hash(&slot.entry.key()), |&held| held == id) {
            found.remove();
        }
        self.free.push(id);
        Some(slot.entry)
    }

    /// Changes an entry in place, except for its key. It comes due at the deadline that it has then, even if it came due before.
    pub fn update<T>(&mut self, id: EntryId, change: impl FnOnce(&mut E) -> T) -> Option<T> {
        let slot = self.slots.get_mut(id.index())?.as_mut()?;
        let result = change(&mut slot.entry);
        self.requeue(id);
        Some(result)
    }

    /// Takes an entry whose deadline has come; it comes due no more until it is changed.
    pub fn pop_due(&mut self, now: Time) -> Option<EntryId> {
        self.next_deadline().filter(|&time| time <= now)?;
        let id = *self.queue.first()?;
        self.unqueue(id);
        Some(id)
    }

    /// The earliest deadline of all entries.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.get(*self.queue.first()?)?.deadline()
    }

    /// The id of a key's entry.
    #[must_use]
    pub fn find(&self, key: &E::Key) -> Option<EntryId> {
        let named = |&id: &EntryId| self.get(id).is_some_and(|entry| entry.key() == *key);
        self.by_key.find(hash(key), named).copied()
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
        (0..)
            .map(EntryId)
            .zip(&self.slots)
            .filter_map(|(id, slot)| Some((id, &slot.as_ref()?.entry)))
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

    /// Brings an entry's place in the queue in line with its deadline.
    fn requeue(&mut self, id: EntryId) {
        let Some(Some(slot)) = self.slots.get(id.index()) else { return };
        if slot.entry.deadline().is_none() {
            self.unqueue(id);
            return;
        }
        let place = if slot.place == NOWHERE {
            self.queue.push(id);
            self.queue.len() - 1
        } else {
            slot.place as usize
        };
        self.settle(place);
    }

    /// Takes an entry out of the queue, if it is in it.
    fn unqueue(&mut self, id: EntryId) {
        let Some(Some(slot)) = self.slots.get_mut(id.index()) else { return };
        let place = std::mem::replace(&mut slot.place, NOWHERE) as usize;
        if place < self.queue.len() {
            self.queue.swap_remove(place);
            self.settle(place);
        }
    }

    /// Moves what is at `place` in the queue to where it belongs.
    fn settle(&mut self, mut place: usize) {
        let Some(&id) = self.queue.get(place) else { return };
        let rank = self.rank(id);
        while place > 0 && rank < self.rank(self.queue[(place - 1) / 2]) {
            let above = (place - 1) / 2;
            self.put(place, self.queue[above]);
            place = above;
        }
        loop {
            let below = (2 * place + 1..self.queue.len()).take(2);
            let Some(below) = below.min_by_key(|&below| self.rank(self.queue[below])) else {
                break;
            };
            if rank < self.rank(self.queue[below]) {
                break;
            }
            self.put(place, self.queue[below]);
            place = below;
        }
        self.put(place, id);
    }

    fn put(&mut self, place: usize, id: EntryId) {
        self.queue[place] = id;
        if let Some(Some(slot)) = self.slots.get_mut(id.index()) {
            // There are no more places than ids.
            slot.place = u32::try_from(place).unwrap_or(NOWHERE);
        }
    }

    /// What decides about the order of the queue.
    fn rank(&self, id: EntryId) -> (Time, EntryId) {
        (self.get(id).and_then(E::deadline).unwrap_or(Time::MAX), id)
    }
}

fn entry_at<E>(slots: &[Option<Slot<E>>], id: EntryId) -> Option<&E> {
    slots.get(id.index())?.as_ref().map(|slot| &slot.entry)
}

/// Equal runs hash equally; nothing depends on the order of hashes.
fn hash(key: &impl Hash) -> u64 {
    FxBuildHasher.hash_one(key)
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
        let time = || (0u64..40).prop_map(Time::from_nanos);
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
                prop_assert_eq!(database.next_deadline(), earliest(&model));
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
