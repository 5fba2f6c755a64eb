//! Log messages at a bounded rate.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::Time;

/// A trouble is told once in this time, unless said otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// Kinds of trouble remembered.
const CAPACITY: usize = 1024;

/// Decides which of many equal troubles are worth a line in the log: for each kind `K` so many at once, and then one in each
/// interval.
#[derive(Debug)]
pub struct Limiter<K> {
    interval: Duration,
    /// What the lines told at once take of the time to come, but for the last of them.
    ahead: Duration,
    told: BTreeMap<K, Told>,
}

#[derive(Debug)]
struct Told {
    /// Each line takes an interval, one after another: when the last of them is over.
    until: Time,
    passed_over: u64,
}

impl<K: Ord> Default for Limiter<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> Limiter<K> {
    /// One line in 10 s; nothing has been told so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { interval: INTERVAL, ahead: Duration::ZERO, told: BTreeMap::new() }
    }

    /// `burst` lines at once, at least one, and then one in each `interval`; nothing has been told so far.
    #[must_use]
    pub const fn bursts(burst: u32, interval: Duration) -> Self {
        let ahead = interval.saturating_mul(burst.saturating_sub(1));
        Self { interval, ahead, told: BTreeMap::new() }
    }

    /// Whether to tell of `kind` now: `Some` with how often it was passed over since the last time.
    pub fn admit(&mut self, kind: K, now: Time) -> Option<u64> {
        if let Some(told) = self.told.get_mut(&kind) {
            if told.until.since(now) > self.ahead {
                told.passed_over = told.passed_over.saturating_add(1);
                return None;
            }
            told.until = told.until.max(now) + self.interval;
            return Some(std::mem::take(&mut told.passed_over));
        }
        if self.told.len() >= CAPACITY {
            self.told.retain(|_, told| told.until > now);
        }
        if self.told.len() >= CAPACITY {
            return None;
        }
        self.told.insert(kind, Told { until: now + self.interval, passed_over: 0 });
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
    fn of_many_at_once_a_burst_is_told_and_then_one_in_each_interval() {
        let mut limiter = Limiter::bursts(3, Duration::from_secs(2));
        let told = |limiter: &mut Limiter<_>, second, times: usize| {
            let time = Time::from_secs(second);
            (0..times).filter_map(|_| limiter.admit("a", time)).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut limiter, 10, 100), [0, 0, 0]);
        assert!(told(&mut limiter, 11, 3).is_empty());
        assert_eq!(told(&mut limiter, 12, 3), [100]);
        assert_eq!(told(&mut limiter, 15, 3), [2]);
        // After a quiet time all of the burst is there again, and no more than that.
        assert_eq!(told(&mut limiter, 100, 4), [2, 0, 0]);
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
