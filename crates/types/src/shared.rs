//! An ordered map of many keys to few values.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use crate::PackedMap;

/// An ordered map whose keys share their values: a network's prefixes have few different routes. An entry takes its key and four bytes;
/// each value is there once, for as long as some key has it.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// The number of each key's value.
    keys: PackedMap<K, u32>,
    /// By number.
    values: Vec<Option<Held<V>>>,
    free: Vec<u32>,
    numbers: BTreeMap<Arc<V>, u32>,
    /// The number asked for last: many keys in a row get the same value.
    recent: u32,
}

/// A value, and how many keys have it.
#[derive(Debug, Clone)]
struct Held<V> {
    value: Arc<V>,
    keys: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self {
            keys: PackedMap::default(),
            values: Vec::new(),
            free: Vec::new(),
            numbers: BTreeMap::new(),
            recent: 0,
        }
    }
}

impl<K: fmt::Debug + Copy + Ord, V: fmt::Debug + Ord> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Copy + Ord, V: Ord> SharedMap<K, V> {
    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Arc<V>> {
        self.value(*self.keys.get(key)?)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        let number = self.take(value);
        if let Some(old) = self.keys.insert(key, number) {
            self.release(old);
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &K) {
        if let Some(old) = self.keys.remove(key) {
            self.release(old);
        }
    }

    /// The entries in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (K, &Arc<V>)> {
        self.range(..)
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.keys.keys()
    }

    /// The entries whose keys lie in `range`, in order.
    pub fn range<R: RangeBounds<K>>(
        &self,
        range: R,
    ) -> impl Iterator<Item = (K, &Arc<V>)> + use<'_, K, V, R> {
        self.keys.range(range).filter_map(|(key, &number)| Some((key, self.value(number)?)))
    }

    fn value(&self, number: u32) -> Option<&Arc<V>> {
        Some(&self.values.get(number as usize)?.as_ref()?.value)
    }

    /// One more key has this value: its number.
    fn take(&mut self, value: V) -> u32 {
        if let Some(Some(held)) = self.values.get_mut(self.recent as usize)
            && *held.value == value
        {
            held.keys += 1;
            return self.recent;
        }
        if let Some(&number) = self.numbers.get(&value) {
            self.recent = number;
            if let Some(Some(held)) = self.values.get_mut(number as usize) {
                held.keys += 1;
            }
            return number;
        }
        let value = Arc::new(value);
        let held = Some(Held { value: Arc::clone(&value), keys: 1 });
        let number = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            // There are no more values than keys, and 2^32 of these do not fit in memory.
            u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.values.get_mut(number as usize) {
            *place = held;
        }
        self.numbers.insert(value, number);
        self.recent = number;
        number
    }

    /// One key less has the value of this number.
    fn release(&mut self, number: u32) {
        let Some(place) = self.values.get_mut(number as usize) else { return };
        if let Some(held) = place {
            held.keys -= 1;
            if held.keys == 0 {
                self.numbers.remove(&held.value);
                *place = None;
                self.free.push(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map_and_holds_each_value_once_and_no_longer_than_it_is_there(
            script in prop::collection::vec((0u8..30, prop::option::weighted(0.7, 0u8..6)), 0..300),
            from in 0u8..30,
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            for (key, value) in script {
                if let Some(value) = value {
                    map.insert(key, value);
                    model.insert(key, value);
                } else {
                    map.remove(&key);
                    model.remove(&key);
                }
                prop_assert_eq!(map.get(&key).map(|value| **value), value);
                let distinct: BTreeSet<u8> = model.values().copied().collect();
                prop_assert!(map.numbers.keys().map(|value| **value).eq(distinct.iter().copied()));
                prop_assert_eq!(map.values.iter().flatten().count(), distinct.len());
                prop_assert!(map.values.len() <= 6);
            }
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            prop_assert!(map.keys().eq(model.keys().copied()));
            let found = map.range(from..).map(|(key, value)| (key, **value));
            prop_assert!(found.eq(model.range(from..).map(|(&key, &value)| (key, value))));
        }
    }
}
