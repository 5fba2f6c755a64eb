//! How early a new instance of an entry may follow the last.

use std::time::Duration;

use bugle_types::Time;

/// Decides whether a new instance of one LSA or LSP is accepted now.
///
/// RFC 2328 section 13 (5a) drops every instance that arrives within MinLSArrival (1 s) of the last. That turns two
/// quick changes into an outage of seconds, so early instances are accepted here from a small reserve, which refills by
/// one each MinLSArrival; only a sender that never stops meets the RFC's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivalGate {
    reserve: u8,
}

impl Default for ArrivalGate {
    /// The gate of an entry accepted for the first time.
    fn default() -> Self {
        Self { reserve: Self::RESERVE }
    }
}

impl ArrivalGate {
    /// How many early instances are accepted in a row.
    pub const RESERVE: u8 = 8;

    /// A gate that accepts so many early instances in a row, and no more than [`RESERVE`](Self::RESERVE).
    #[must_use]
    pub const fn with_reserve(reserve: u8) -> Self {
        Self { reserve: if reserve < Self::RESERVE { reserve } else { Self::RESERVE } }
    }

    /// How many early instances it accepts in a row.
    #[must_use]
    pub const fn reserve(self) -> u8 {
        self.reserve
    }

    /// Whether an instance arriving at `now` is accepted, the one before having been accepted at `last`; if so, it counts.
    pub fn accept(&mut self, last: Time, now: Time, min_arrival: Duration) -> bool {
        let quiet = now.since(last);
        if quiet >= min_arrival {
            let refill = quiet.as_nanos().checked_div(min_arrival.as_nanos()).unwrap_or(u128::MAX);
            let refill = u8::try_from(refill).unwrap_or(u8::MAX);
            self.reserve = self.reserve.saturating_add(refill).min(Self::RESERVE);
        } else if self.reserve == 0 {
            return false;
        } else {
            self.reserve -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);

    /// An entry whose first instance came at 0.
    #[derive(Default)]
    struct Arrivals {
        gate: ArrivalGate,
        last: Time,
    }

    impl Arrivals {
        fn accept(&mut self, now: Time) -> bool {
            let accepted = self.gate.accept(self.last, now, MIN);
            if accepted {
                self.last = now;
            }
            accepted
        }
    }

    #[test]
    fn a_burst_is_accepted_then_the_rfc_rule_holds() {
        let mut entry = Arrivals::default();
        let accepted = (1..=20).filter(|&ms| entry.accept(Time::from_millis(ms))).count();
        assert_eq!(accepted, usize::from(ArrivalGate::RESERVE));
        assert!(!entry.accept(Time::from_millis(900)));
        assert!(entry.accept(Time::from_millis(1_100)));
    }

    #[test]
    fn a_steady_sender_at_the_minimum_is_never_refused() {
        let mut entry = Arrivals::default();
        assert!((1..100).all(|secs| entry.accept(Time::from_secs(secs))));
    }

    #[test]
    fn the_reserve_refills_while_quiet() {
        let mut entry = Arrivals::default();
        while entry.accept(Time::from_millis(1)) {}
        assert!(entry.accept(Time::from_secs(4)));
        let early = (1..=20).filter(|&ms| entry.accept(Time::from_millis(4_000 + ms))).count();
        assert_eq!(early, 3);
    }

    #[test]
    fn a_zero_minimum_accepts_everything() {
        let mut gate = ArrivalGate::default();
        assert!((0..100).all(|_| gate.accept(Time::ZERO, Time::ZERO, Duration::ZERO)));
    }
}
