//! Deadlines by key.

use std::collections::{BTreeMap, BTreeSet};

use bugle_types::Time;

/// At most one deadline per key, earliest first; ties go by key, so that equal runs take equal turns.
#[derive(Debug, Clone)]
pub struct TimerQueue<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: BTreeMap<K, Time>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> TimerQueue<K> {
    /// Sets the deadline of `key`, whether or not it had one; `None` cancels it.
    pub fn set(&mut self, key: K, deadline: Option<Time>) {
        let previous = match deadline {
            Some(time) => self.by_key.insert(key, time),
            None => self.by_key.remove(&key),
        };
        if previous == deadline {
            return;
        }
        if let Some(time) = previous {
            self.by_time.remove(&(time, key));
        }
        if let Some(time) = deadline {
            self.by_time.insert((time, key));
        }
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn deadline(&self, key: K) -> Option<Time> {
        self.by_key.get(&key).copied()
    }

    /// The earliest deadline and its key.
    #[must_use]
    pub fn next(&self) -> Option<(Time, K)> {
        self.by_time.first().copied()
    }

    /// Takes the earliest key whose deadline has come; it has no deadline afterwards.
    pub fn pop_due(&mut self, now: Time) -> Option<K> {
        let (time, key) = self.next().filter(|&(time, _)| time <= now)?;
        self.by_time.remove(&(time, key));
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many keys have a deadline.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no key has a deadline.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map_sorted_by_time(
            script in prop::collection::vec((0u8..8, prop::option::of(0u64..50)), 0..60),
        ) {
            let mut queue = TimerQueue::default();
            let mut model = BTreeMap::new();
            for (key, at) in script {
                let at = at.map(Time::from_nanos);
                queue.set(key, at);
                match at {
                    Some(time) => { model.insert(key, time); }
                    None => { model.remove(&key); }
                }
                prop_assert_eq!(queue.next(), model.iter().map(|(&k, &t)| (t, k)).min());
                prop_assert_eq!(queue.len(), model.len());
            }
            let mut order: Vec<_> = model.into_iter().map(|(k, t)| (t, k)).collect();
            order.sort_unstable();
            let due: Vec<_> = std::iter::from_fn(|| queue.pop_due(Time::from_nanos(25))).collect();
            let expected: Vec<_> =
                order.iter().filter(|e| e.0 <= Time::from_nanos(25)).map(|e| e.1).collect();
            prop_assert_eq!(due, expected);
        }
    }
}
