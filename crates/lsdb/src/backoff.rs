//! The SPF back-off delay algorithm of RFC 8405.

use std::time::Duration;

use bugle_types::Time;
use serde::{Deserialize, Serialize};

/// The delays of RFC 8405 section 3.
///
/// The defaults are shorter than the RFC's (50 ms, 200 ms, 5 s, 10 s, 500 ms), which come from a time when SPF took long: the
/// first change after a quiet time is acted on at once, and an unstable network costs five runs a second, each well below a
/// millisecond for a thousand routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackoffConfig {
    /// `INITIAL_SPF_DELAY`: after the first event of a quiet network.
    pub initial: Duration,
    /// `SHORT_SPF_DELAY`: while the events may be parts of one failure.
    pub short: Duration,
    /// `LONG_SPF_DELAY`: while the network is unstable.
    pub long: Duration,
    /// `HOLDDOWN_INTERVAL`: quiet time after which the network counts as stable again.
    pub holddown: Duration,
    /// `TIME_TO_LEARN_INTERVAL`: how long the parts of one failure take to arrive.
    pub time_to_learn: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::ZERO,
            short: Duration::from_millis(10),
            long: Duration::from_millis(200),
            holddown: Duration::from_secs(2),
            time_to_learn: Duration::from_millis(500),
        }
    }
}

/// The states of RFC 8405 section 5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackoffState {
    /// Nothing has happened for a while.
    #[default]
    Quiet,
    /// A failure is being learnt.
    ShortWait,
    /// Events keep coming.
    LongWait,
}

/// The finite state machine of RFC 8405 section 5: when to run SPF.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    config: BackoffConfig,
    state: BackoffState,
    spf: Option<Time>,
    holddown: Option<Time>,
    learn: Option<Time>,
}

impl Backoff {
    /// A quiet machine.
    #[must_use]
    pub fn new(config: BackoffConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Changes the delays; a run already scheduled keeps its time.
    pub fn configure(&mut self, config: BackoffConfig) {
        self.config = config;
    }

    /// An IGP event: something changed that SPF depends on (RFC 8405 section 5.3, transitions 1, 2, 3).
    pub fn trigger(&mut self, now: Time) {
        self.advance(now);
        let delay = match self.state {
            BackoffState::Quiet => {
                self.state = BackoffState::ShortWait;
                self.learn = Some(now + self.config.time_to_learn);
                self.config.initial
            }
            BackoffState::ShortWait => self.config.short,
            BackoffState::LongWait => self.config.long,
        };
        self.spf.get_or_insert(now + delay);
        self.holddown = Some(now + self.config.holddown);
    }

    /// Whether SPF is to run now; if so, it is taken as running.
    pub fn pop_due(&mut self, now: Time) -> bool {
        self.advance(now);
        let due = self.spf.is_some_and(|time| time <= now);
        if due {
            self.spf = None;
        }
        due
    }

    /// When SPF is to run, if it is.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.spf
    }

    /// The machine's state as of `now`.
    #[must_use]
    pub fn state(&self, now: Time) -> BackoffState {
        let mut copy = self.clone();
        copy.advance(now);
        copy.state
    }

    /// Applies the timers that have run out: transitions 4 (`LEARN_TIMER`), 5 and 6 (`HOLDDOWN_TIMER`).
    fn advance(&mut self, now: Time) {
        if self.learn.is_some_and(|time| time <= now) {
            self.learn = None;
            if self.state == BackoffState::ShortWait {
                self.state = BackoffState::LongWait;
            }
        }
        if self.holddown.is_some_and(|time| time <= now) {
            self.holddown = None;
            self.learn = None;
            self.state = BackoffState::Quiet;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BackoffConfig {
        BackoffConfig {
            initial: Duration::from_millis(50),
            short: Duration::from_millis(200),
            long: Duration::from_secs(5),
            holddown: Duration::from_secs(10),
            time_to_learn: Duration::from_millis(500),
        }
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn first_event_waits_initial_then_short_then_long() {
        let mut backoff = Backoff::new(config());
        backoff.trigger(at(0));
        assert_eq!(backoff.deadline(), Some(at(50)));
        assert!(!backoff.pop_due(at(49)));
        assert!(backoff.pop_due(at(50)));
        backoff.trigger(at(60));
        assert_eq!(backoff.deadline(), Some(at(260)));
        assert!(backoff.pop_due(at(260)));
        backoff.trigger(at(600));
        assert_eq!(backoff.state(at(600)), BackoffState::LongWait);
        assert_eq!(backoff.deadline(), Some(at(5_600)));
    }

    #[test]
    fn events_while_a_run_is_pending_do_not_postpone_it() {
        let mut backoff = Backoff::new(config());
        backoff.trigger(at(0));
        for ms in 1..50 {
            backoff.trigger(at(ms));
        }
        assert_eq!(backoff.deadline(), Some(at(50)));
    }

    #[test]
    fn a_quiet_holddown_returns_to_quiet() {
        let mut backoff = Backoff::new(config());
        backoff.trigger(at(0));
        assert!(backoff.pop_due(at(50)));
        backoff.trigger(at(600));
        assert!(backoff.pop_due(at(5_600)));
        assert_eq!(backoff.state(at(10_599)), BackoffState::LongWait);
        assert_eq!(backoff.state(at(10_600)), BackoffState::Quiet);
        backoff.trigger(at(11_000));
        assert_eq!(backoff.deadline(), Some(at(11_050)));
    }

    #[test]
    fn each_event_extends_the_holddown() {
        let mut backoff = Backoff::new(config());
        for second in 0..60 {
            backoff.trigger(at(second * 1_000));
            backoff.pop_due(at(second * 1_000 + 999));
        }
        assert_eq!(backoff.state(at(60_000)), BackoffState::LongWait);
    }

    #[test]
    fn runs_in_an_unstable_network_are_bounded_by_the_long_delay() {
        let mut backoff = Backoff::new(config());
        let mut runs = 0;
        for ms in 0..60_000 {
            backoff.trigger(at(ms));
            if backoff.pop_due(at(ms)) {
                runs += 1;
            }
        }
        assert!(runs <= 4 + 60_000 / 5_000, "{runs} runs in a minute");
    }
}
