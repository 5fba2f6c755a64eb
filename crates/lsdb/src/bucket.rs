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
    accepted: Time,
    reserve: u8,
}

impl ArrivalGate {
    /// How many early instances are accepted in a row.
    pub const RESERVE: u8 = 8;

    /// The gate of an entry first accepted at `now`.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { accepted: now, reserve: Self::RESERVE }
    }

    /// Whether an instance arriving at `now` is accepted; if so, it counts.
    pub fn accept(&mut self, now: Time, min_arrival: Duration) -> bool {
        let quiet = now.since(self.accepted);
        if quiet >= min_arrival {
            let refill = quiet.as_nanos().checked_div(min_arrival.as_nanos()).unwrap_or(u128::MAX);
            let refill = u8::try_from(refill).unwrap_or(u8::MAX);
            self.reserve = self.reserve.saturating_add(refill).min(Self::RESERVE);
        } else if self.reserve == 0 {
            return false;
        } else {
            self.reserve -= 1;
        }
        self.accepted = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_accepted_then_the_rfc_rule_holds() {
        let mut gate = ArrivalGate::new(Time::ZERO);
        let accepted = (1..=20).filter(|&ms| gate.accept(Time::from_millis(ms), MIN)).count();
        assert_eq!(accepted, usize::from(ArrivalGate::RESERVE));
        assert!(!gate.accept(Time::from_millis(900), MIN));
        assert!(gate.accept(Time::from_millis(1_100), MIN));
    }

    #[test]
    fn a_steady_sender_at_the_minimum_is_never_refused() {
        let mut gate = ArrivalGate::new(Time::ZERO);
        assert!((1..100).all(|secs| gate.accept(Time::from_secs(secs), MIN)));
    }

    #[test]
    fn the_reserve_refills_while_quiet() {
        let mut gate = ArrivalGate::new(Time::ZERO);
        while gate.accept(Time::from_millis(1), MIN) {}
        assert!(gate.accept(Time::from_secs(4), MIN));
        let early = (1..=20).filter(|&ms| gate.accept(Time::from_millis(4_000 + ms), MIN)).count();
        assert_eq!(early, 3);
    }

    #[test]
    fn a_zero_minimum_accepts_everything() {
        let mut gate = ArrivalGate::new(Time::ZERO);
        assert!((0..100).all(|_| gate.accept(Time::ZERO, Duration::ZERO)));
    }
}
