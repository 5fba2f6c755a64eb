//! Log messages at a bounded rate.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::Time;

/// A trouble is told once in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Kinds of trouble remembered.
const CAPACITY: usize = 1024;

/// Decides which of many equal troubles are worth a line in the log: one in 10 s for each kind `K`.
#[derive(Debug)]
pub struct Limiter<K> {
    told: BTreeMap<K, Told>,
}

#[derive(Debug)]
struct Told {
    at: Time,
    since: u64,
}

impl<K: Ord> Default for Limiter<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> Limiter<K> {
    /// Nothing has been told so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { told: BTreeMap::new() }
    }

    /// Whether to tell of `kind` now: `Some` with how often it was passed over since the last time.
    pub fn admit(&mut self, kind: K, now: Time) -> Option<u64> {
        if let Some(told) = self.told.get_mut(&kind) {
            if now.since(told.at) < INTERVAL {
                told.since = told.since.saturating_add(1);
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.since));
        }
        if self.told.len() >= CAPACITY {
            self.told.retain(|_, told| now.since(told.at) < INTERVAL);
        }
        if self.told.len() >= CAPACITY {
            return None;
        }
        self.told.insert(kind, Told { at: now, since: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_at_once_then_once_per_interval_with_a_count() {
        let mut limiter = Limiter::new();
        assert_eq!(limiter.admit("a", Time::from_secs(1)), Some(0));
        for second in 2..=10 {
            assert_eq!(limiter.admit("a", Time::from_secs(second)), None);
        }
        assert_eq!(limiter.admit("b", Time::from_secs(10)), Some(0));
        assert_eq!(limiter.admit("a", Time::from_secs(11)), Some(9));
        assert_eq!(limiter.admit("a", Time::from_secs(12)), None);
        assert_eq!(limiter.admit("a", Time::from_secs(21)), Some(1));
    }

    #[test]
    fn memory_is_bounded_and_freed_when_troubles_end() {
        let mut limiter = Limiter::new();
        for kind in 0..10 * CAPACITY {
            limiter.admit(kind, Time::from_secs(1));
        }
        assert_eq!(limiter.told.len(), CAPACITY);
        assert_eq!(limiter.admit(usize::MAX, Time::from_secs(1)), None);
        assert_eq!(limiter.admit(usize::MAX, Time::from_secs(11)), Some(0));
        assert_eq!(limiter.told.len(), 1);
    }
}
