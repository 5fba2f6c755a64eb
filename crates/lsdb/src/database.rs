//! The link-state database.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use bugle_types::Time;

/// Names an entry for as long as it stays in the database; reused afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(u32);

#[derive(Debug, Clone)]
struct Slot<K, V> {
    key: K,
    value: V,
    deadline: Option<Time>,
}

/// Entries in key order, each with a stable id and at most one deadline: when it expires or must be refreshed.
///
/// There is no timer per entry; [`Database::next_deadline`] is the earliest of all.
#[derive(Debug, Clone)]
pub struct Database<K, V> {
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<EntryId>,
    by_key: BTreeMap<K, EntryId>,
    by_deadline: BTreeSet<(Time, EntryId)>,
}

impl<K, V> Default for Database<K, V> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord, V> Database<K, V> {
    /// Stores `value` under `key`, keeping the id if the key is known, and sets its deadline.
    pub fn insert(&mut self, key: K, value: V, deadline: Option<Time>) -> EntryId {
        if let Some(&id) = self.by_key.get(&key) {
            if let Some(slot) = self.slot_mut(id) {
                slot.value = value;
            }
            self.schedule(id, deadline);
            return id;
        }
        let slot = Some(Slot { key, value, deadline: None });
        let id = if let Some(id) = self.free.pop() {
            self.slots[id.0 as usize] = slot;
            id
        } else {
            // A database of 2^32 entries does not fit in memory, so the id cannot truncate.
            let id = EntryId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push(slot);
            id
        };
        self.by_key.insert(key, id);
        self.schedule(id, deadline);
        id
    }

    /// Removes an entry; its id may be given to another from now on.
    pub fn remove(&mut self, id: EntryId) -> Option<(K, V)> {
        self.schedule(id, None);
        let slot = self.slots.get_mut(id.0 as usize)?.take()?;
        self.by_key.remove(&slot.key);
        self.free.push(id);
        Some((slot.key, slot.value))
    }

    /// Sets when the entry next needs attention; `None`: never.
    pub fn schedule(&mut self, id: EntryId, deadline: Option<Time>) {
        let Some(slot) = self.slot_mut(id) else { return };
        let previous = std::mem::replace(&mut slot.deadline, deadline);
        if previous == deadline {
            return;
        }
        if let Some(time) = previous {
            self.by_deadline.remove(&(time, id));
        }
        if let Some(time) = deadline {
            self.by_deadline.insert((time, id));
        }
    }

    /// Takes an entry whose deadline has come; it has none afterwards.
    pub fn pop_due(&mut self, now: Time) -> Option<EntryId> {
        let &(_, id) = self.by_deadline.first().filter(|&&(time, _)| time <= now)?;
        self.schedule(id, None);
        Some(id)
    }

    /// The earliest deadline of all entries.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.by_deadline.first().map(|&(time, _)| time)
    }

    /// The id of a key's entry.
    #[must_use]
    pub fn find(&self, key: &K) -> Option<EntryId> {
        self.by_key.get(key).copied()
    }

    /// A key's entry.
    #[must_use]
    pub fn lookup(&self, key: &K) -> Option<(EntryId, &V)> {
        let id = self.find(key)?;
        self.value(id).map(|value| (id, value))
    }

    /// The value of an entry.
    #[must_use]
    pub fn value(&self, id: EntryId) -> Option<&V> {
        self.slot(id).map(|slot| &slot.value)
    }

    /// The value of an entry, to change in place.
    pub fn value_mut(&mut self, id: EntryId) -> Option<&mut V> {
        self.slot_mut(id).map(|slot| &mut slot.value)
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, id: EntryId) -> Option<K> {
        self.slot(id).map(|slot| slot.key)
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (K, EntryId, &V)> {
        self.range(..)
    }

    /// The entries whose keys lie in `range`, in key order.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (K, EntryId, &V)> {
        self.by_key
            .range(range)
            .filter_map(|(&key, &id)| self.value(id).map(|value| (key, id, value)))
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

    fn slot(&self, id: EntryId) -> Option<&Slot<K, V>> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    fn slot_mut(&mut self, id: EntryId) -> Option<&mut Slot<K, V>> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Insert(u8, u32, Option<u64>),
        Remove(u8),
        Schedule(u8, Option<u64>),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0u8..12, any::<u32>(), prop::option::of(0u64..40))
                .prop_map(|(k, v, t)| Op::Insert(k, v, t)),
            (0u8..12).prop_map(Op::Remove),
            (0u8..12, prop::option::of(0u64..40)).prop_map(|(k, t)| Op::Schedule(k, t)),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_with_deadlines(script in prop::collection::vec(op(), 0..80)) {
            let mut database = Database::default();
            let mut model: BTreeMap<u8, (u32, Option<Time>)> = BTreeMap::new();
            for op in script {
                match op {
                    Op::Insert(key, value, at) => {
                        let at = at.map(Time::from_nanos);
                        let before = database.find(&key);
                        let id = database.insert(key, value, at);
                        prop_assert!(before.is_none_or(|known| known == id));
                        model.insert(key, (value, at));
                    }
                    Op::Remove(key) => {
                        let removed = database.find(&key).and_then(|id| database.remove(id));
                        prop_assert_eq!(removed, model.remove(&key).map(|(v, _)| (key, v)));
                    }
                    Op::Schedule(key, at) => {
                        let at = at.map(Time::from_nanos);
                        if let Some(id) = database.find(&key) {
                            database.schedule(id, at);
                            model.get_mut(&key).unwrap().1 = at;
                        }
                    }
                }
                let contents: Vec<_> = database.iter().map(|(k, _, &v)| (k, v)).collect();
                let expected: Vec<_> = model.iter().map(|(&k, &(v, _))| (k, v)).collect();
                prop_assert_eq!(contents, expected);
                prop_assert_eq!(
                    database.next_deadline(),
                    model.values().filter_map(|&(_, at)| at).min()
                );
            }
            let now = Time::from_nanos(20);
            let mut due = 0;
            while let Some(id) = database.pop_due(now) {
                prop_assert!(database.value(id).is_some());
                due += 1;
            }
            let expected = model.values().filter(|(_, at)| at.is_some_and(|t| t <= now)).count();
            prop_assert_eq!(due, expected);
        }
    }
}
