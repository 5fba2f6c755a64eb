//! An ordered map that wastes little memory.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// How many entries a chunk holds at most: a search in it touches a few cache lines, an insertion moves a few hundred bytes.
const CHUNK: usize = 64;
/// By how many entries a chunk that is full grows.
const GROWTH: usize = 8;

/// An ordered map like [`BTreeMap`](std::collections::BTreeMap), for the tables that every route is in.
///
/// Keys stand next to keys and values next to values, in chunks of up to 64 that are never much larger than what they hold. An
/// entry so takes its own size and about a tenth, and none of the padding between a key and a value; in a `BTreeMap` that was filled in
/// ascending order, as link-state databases are, it takes about twice its size.
///
/// Who goes through many keys in their order finds each next to the last.
#[derive(Clone)]
pub struct PackedMap<K, V> {
    /// The least key of each chunk.
    firsts: Vec<K>,
    /// Never empty ones.
    chunks: Vec<Chunk<K, V>>,
    len: usize,
    /// Where the last search ended.
    recent: Recent,
}

/// A chunk and a place in it, to begin a search at: right or wrong, the search finds the same.
#[derive(Default)]
struct Recent {
    chunk: AtomicUsize,
    place: AtomicUsize,
}

impl Clone for Recent {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Keys in ascending order and their values, as many.
#[derive(Clone)]
struct Chunk<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Default for PackedMap<K, V> {
    fn default() -> Self {
        Self { firsts: Vec::new(), chunks: Vec::new(), len: 0, recent: Recent::default() }
    }
}

impl<K: fmt::Debug + Copy + Ord, V: fmt::Debug> fmt::Debug for PackedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Copy + Ord, V> PackedMap<K, V> {
    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let (at, place) = self.search(key);
        self.chunks.get(at)?.values.get(place.ok()?)
    }

    /// The value of a key, to change in place.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (at, place) = self.search(key);
        self.chunks.get_mut(at)?.values.get_mut(place.ok()?)
    }

    /// Whether there is an entry for a key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key; returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at, place) = self.search(&key);
        let last = at + 1 >= self.chunks.len();
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.add_chunk(0, Chunk::of(key, value));
            self.len = 1;
            return None;
        };
        match place {
            Ok(place) => {
                let held = chunk.values.get_mut(place)?;
                return Some(std::mem::replace(held, value));
            }
            // What is filled in ascending order is filled to the brim.
            Err(CHUNK) if last => self.add_chunk(at + 1, Chunk::of(key, value)),
            Err(place) if chunk.keys.len() < CHUNK => {
                chunk.insert(place, key, value);
                self.set_first(at);
            }
            Err(place) => {
                let mut upper = chunk.split();
                let half = chunk.keys.len();
                if place <= half {
                    chunk.insert(place, key, value);
                } else {
                    upper.insert(place - half, key, value);
                }
                self.set_first(at);
                self.add_chunk(at + 1, upper);
            }
        }
        self.len += 1;
        None
    }

    /// Removes a key; returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (at, place) = self.search(key);
        let chunk = self.chunks.get_mut(at)?;
        let value = chunk.remove(place.ok()?);
        self.len -= 1;
        let left = chunk.keys.len();
        if left == 0 {
            self.chunks.remove(at);
            self.firsts.remove(at);
            return Some(value);
        }
        self.set_first(at);
        if left < CHUNK / 4 {
            self.merge_with_next(at);
            self.merge_with_next(at.wrapping_sub(1));
        }
        Some(value)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The entries in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.range(..)
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    /// The entries in the order of keys, the values to change in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.chunks.iter_mut().flat_map(|chunk| chunk.entries_mut(0))
    }

    /// The entries whose keys lie in `range`, in order.
    pub fn range<R: RangeBounds<K>>(
        &self,
        range: R,
    ) -> impl Iterator<Item = (K, &V)> + use<'_, K, V, R> {
        let (at, place) = self.lower_bound(range.start_bound());
        let mut chunks = self.chunks.get(at..).unwrap_or_default().iter();
        let first = chunks.next().into_iter().flat_map(move |chunk| chunk.entries(place));
        first
            .chain(chunks.flat_map(|chunk| chunk.entries(0)))
            .take_while(move |(key, _)| is_before_end(key, &range))
    }

    /// The entries whose keys lie in `range`, in order, the values to change in place.
    pub fn range_mut<R: RangeBounds<K>>(
        &mut self,
        range: R,
    ) -> impl Iterator<Item = (K, &mut V)> + use<'_, K, V, R> {
        let (at, place) = self.lower_bound(range.start_bound());
        let mut chunks = self.chunks.get_mut(at..).unwrap_or_default().iter_mut();
        let first = chunks.next().into_iter().flat_map(move |chunk| chunk.entries_mut(place));
        first
            .chain(chunks.flat_map(|chunk| chunk.entries_mut(0)))
            .take_while(move |(key, _)| is_before_end(key, &range))
    }

    /// The chunk that holds a key if any does, and its place in it, or where that would be.
    fn search(&self, key: &K) -> (usize, Result<usize, usize>) {
        let (recent, place) = (self.recent.chunk.load(Relaxed), self.recent.place.load(Relaxed));
        let next = self.firsts.get(recent + 1);
        let beside = self.chunks.get(recent).and_then(|chunk| chunk.find_beside(key, place, next));
        let (at, place) = beside.map_or_else(|| self.search_all(key), |place| (recent, place));
        let (Ok(found) | Err(found)) = place;
        self.recent.chunk.store(at, Relaxed);
        self.recent.place.store(found, Relaxed);
        (at, place)
    }

    fn search_all(&self, key: &K) -> (usize, Result<usize, usize>) {
        let at = self.firsts.partition_point(|first| first <= key).saturating_sub(1);
        (at, self.chunks.get(at).map_or(Err(0), |chunk| chunk.keys.binary_search(key)))
    }

    /// The chunk and the place in it where a range starts.
    fn lower_bound(&self, start: Bound<&K>) -> (usize, usize) {
        let (Bound::Included(key) | Bound::Excluded(key)) = start else { return (0, 0) };
        match self.search(key) {
            (at, Ok(place)) => (at, place + usize::from(matches!(start, Bound::Excluded(_)))),
            (at, Err(place)) => (at, place),
        }
    }

    fn add_chunk(&mut self, at: usize, chunk: Chunk<K, V>) {
        let Some(&first) = chunk.keys.first() else { return };
        self.firsts.insert(at, first);
        self.chunks.insert(at, chunk);
    }

    /// Makes one of two chunks that are sparse.
    fn merge_with_next(&mut self, at: usize) {
        let Some([chunk, next]) = self.chunks.get_mut(at..).and_then(|c| c.first_chunk_mut())
        else {
            return;
        };
        if chunk.keys.len() + next.keys.len() <= CHUNK / 2 {
            chunk.append(next);
            self.chunks.remove(at + 1);
            self.firsts.remove(at + 1);
        }
    }

    fn set_first(&mut self, at: usize) {
        let chunk = self.chunks.get(at).and_then(|chunk| chunk.keys.first());
        if let (Some(first), Some(&key)) = (self.firsts.get_mut(at), chunk) {
            *first = key;
        }
    }
}

impl<K: Copy + Ord, V> Chunk<K, V> {
    fn of(key: K, value: V) -> Self {
        Self { keys: vec![key], values: vec![value] }
    }

    /// The entries from a place on.
    fn entries(&self, from: usize) -> impl Iterator<Item = (K, &V)> {
        let values = self.values.get(from..).unwrap_or_default();
        self.keys.get(from..).unwrap_or_default().iter().copied().zip(values)
    }

    fn entries_mut(&mut self, from: usize) -> impl Iterator<Item = (K, &mut V)> {
        let values = self.values.get_mut(from..).unwrap_or_default();
        self.keys.get(from..).unwrap_or_default().iter().copied().zip(values)
    }

    /// The place of a key, or the gap that it falls into, if that is beside the key at `recent`. `next` is the first of the next chunk.
    fn find_beside(
        &self,
        key: &K,
        recent: usize,
        next: Option<&K>,
    ) -> Option<Result<usize, usize>> {
        let at = |place: usize| self.keys.get(place).map(|held| key.cmp(held));
        match at(recent)? {
            Ordering::Equal => Some(Ok(recent)),
            Ordering::Greater => match at(recent + 1) {
                Some(Ordering::Equal) => Some(Ok(recent + 1)),
                Some(Ordering::Less) => Some(Err(recent + 1)),
                Some(Ordering::Greater) => None,
                None => next.is_none_or(|next| key < next).then_some(Err(recent + 1)),
            },
            // Who looks in vain for one thing in several maps ends in the same gap each time.
            Ordering::Less => match at(recent.checked_sub(1)?)? {
                Ordering::Greater => Some(Err(recent)),
                Ordering::Equal | Ordering::Less => None,
            },
        }
    }

    fn insert(&mut self, place: usize, key: K, value: V) {
        if self.keys.len() == self.keys.capacity() {
            self.keys.reserve_exact(GROWTH);
        }
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(GROWTH);
        }
        self.keys.insert(place, key);
        self.values.insert(place, value);
    }

    fn remove(&mut self, place: usize) -> V {
        self.keys.remove(place);
        let value = self.values.remove(place);
        self.trim();
        value
    }

    /// Takes off the upper half.
    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let upper = Self { keys: self.keys.split_off(half), values: self.values.split_off(half) };
        self.trim();
        upper
    }

    fn append(&mut self, next: &mut Self) {
        self.keys.append(&mut next.keys);
        self.values.append(&mut next.values);
        self.trim();
    }

    /// Gives back room that is not used.
    fn trim(&mut self) {
        if self.keys.capacity() > self.keys.len() + 2 * GROWTH {
            self.keys.shrink_to(self.keys.len() + GROWTH);
            self.values.shrink_to(self.values.len() + GROWTH);
        }
    }
}

fn is_before_end<K: Ord>(key: &K, range: &impl RangeBounds<K>) -> bool {
    match range.end_bound() {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl<K: Copy + Ord, V> PackedMap<K, V> {
        fn check(&self) {
            assert_eq!(self.firsts.len(), self.chunks.len());
            for (first, chunk) in self.firsts.iter().zip(&self.chunks) {
                assert!(chunk.keys.first() == Some(first), "firsts name the first keys");
                assert_eq!(chunk.keys.len(), chunk.values.len());
                assert!(chunk.keys.len() <= CHUNK);
                assert!(chunk.keys.capacity() <= chunk.keys.len() + 2 * GROWTH);
                assert!(chunk.values.capacity() <= chunk.values.len() + 2 * GROWTH);
            }
        }
    }

    fn bounds() -> impl Strategy<Value = (Bound<u16>, Bound<u16>)> {
        let bound = || {
            prop_oneof![
                (0u16..600).prop_map(Bound::Included),
                (0u16..600).prop_map(Bound::Excluded),
                Just(Bound::Unbounded),
            ]
        };
        (bound(), bound())
    }

    proptest! {
        #[test]
        fn behaves_like_a_btree_map(
            script in prop::collection::vec((0u16..600, prop::option::weighted(0.6, any::<u32>())), 0..1500),
            ranges in prop::collection::vec(bounds(), 8),
        ) {
            let mut map = PackedMap::default();
            let mut model = BTreeMap::new();
            for (key, value) in script {
                if let Some(value) = value {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
            }
            map.check();
            prop_assert_eq!(map.len(), model.len());
            for key in 0..600 {
                prop_assert_eq!(map.get_mut(&key), model.get_mut(&key));
            }
            prop_assert!(map.iter().map(|(key, &value)| (key, value)).eq(model.clone()));
            for range in ranges {
                // Where a `BTreeMap` panics there is nothing.
                let inside: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| range.contains(*key))
                    .map(|(&key, &value)| (key, value))
                    .collect();
                let found: Vec<_> = map.range(range).map(|(key, &value)| (key, value)).collect();
                prop_assert_eq!(&found, &inside);
                let found: Vec<_> = map.range_mut(range).map(|(key, &mut value)| (key, value)).collect();
                prop_assert_eq!(&found, &inside);
            }
            for (_, value) in map.iter_mut() {
                *value = 0;
            }
            prop_assert!(map.iter().all(|(_, &value)| value == 0));
        }
    }

    #[test]
    fn ascending_entries_fill_every_chunk_and_descending_removal_leaves_none() {
        let mut map = PackedMap::default();
        for key in 0..10_000 {
            map.insert(key, 0_u8);
        }
        map.check();
        assert_eq!(map.chunks.len(), 10_000_usize.div_ceil(CHUNK));
        for key in (0..10_000).rev() {
            map.remove(&key);
        }
        assert!(map.is_empty() && map.chunks.is_empty() && map.firsts.is_empty());
    }

    #[test]
    fn what_is_thinned_out_is_merged() {
        let mut map = PackedMap::default();
        for key in 0..6_400 {
            map.insert(key, key);
        }
        for key in (0..6_400).filter(|key| key % 16 != 0) {
            map.remove(&key);
        }
        map.check();
        assert_eq!(map.len(), 400);
        assert!(map.chunks.len() <= 400 / (CHUNK / 4), "{} chunks", map.chunks.len());
    }
}
