//! When it pays not to sleep.

use std::time::Duration;

use bugle_types::Time;

use crate::counters::Counters;

/// Credit beyond this is not remembered, so that a long burst does not make for much useless spinning after it.
const MOST_CREDIT: u8 = 8;

/// Decides how long to look for more packets before going to sleep.
///
/// Waking up on another core costs 40 to 110 us, so while updates follow one another closely it is faster not to have slept.
/// Spinning is earned: each time that a packet came within the span after another, awake or asleep, earns credit, each
/// useless spin costs some. Without credit the loop sleeps, so an idle speaker never spins.
#[derive(Debug)]
pub(crate) struct Spin {
    span: Duration,
    credit: u8,
    last: Time,
    until: Option<Time>,
}

impl Spin {
    pub(crate) const fn new(span: Duration) -> Self {
        Self { span, credit: 0, last: Time::ZERO, until: None }
    }

    /// Packets have arrived.
    pub(crate) fn on_packets(&mut self, now: Time, counters: &Counters) {
        if self.until.take().is_some() {
            counters.spin_hits.add_one();
        }
        if now.since(self.last) <= self.span {
            self.credit = (self.credit + 1).min(MOST_CREDIT);
        }
        self.last = now;
    }

    /// The loop has nothing to do at `now`: whether to look again rather than sleep.
    pub(crate) fn looks_again(&mut self, now: Time, counters: &Counters) -> bool {
        match self.until {
            Some(until) if now < until => true,
            Some(_) => {
                self.until = None;
                self.credit = self.credit.saturating_sub(1);
                counters.spin_misses.add_one();
                false
            }
            None if self.credit > 0 && now.since(self.last) < self.span => {
                self.until = Some(self.last + self.span);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_micros(50);

    fn micros(value: u64) -> Time {
        Time::from_nanos(value * 1_000)
    }

    #[test]
    fn a_lone_packet_does_not_make_it_spin() {
        let (mut spin, counters) = (Spin::new(SPAN), Counters::default());
        assert!(!spin.looks_again(micros(1_000), &counters));
        spin.on_packets(micros(2_000), &counters);
        assert!(!spin.looks_again(micros(2_001), &counters));
        spin.on_packets(micros(3_000), &counters);
        assert!(!spin.looks_again(micros(3_001), &counters));
    }

    #[test]
    fn a_burst_makes_it_spin_for_the_span_after_each_packet() {
        let (mut spin, counters) = (Spin::new(SPAN), Counters::default());
        spin.on_packets(micros(1_000), &counters);
        spin.on_packets(micros(1_040), &counters);
        assert!(spin.looks_again(micros(1_041), &counters));
        assert!(spin.looks_again(micros(1_089), &counters));
        spin.on_packets(micros(1_089), &counters);
        assert_eq!(counters.spin_hits.value(), 1);
        assert!(spin.looks_again(micros(1_090), &counters));
        assert!(!spin.looks_again(micros(1_139), &counters));
        assert_eq!(counters.spin_misses.value(), 1);
        assert!(!spin.looks_again(micros(1_140), &counters), "asleep until the next packet");
    }

    #[test]
    fn useless_spins_use_up_the_credit_of_any_burst() {
        let (mut spin, counters) = (Spin::new(SPAN), Counters::default());
        for packet in 0..1_000 {
            spin.on_packets(micros(1_000 + packet), &counters);
        }
        for lone in 1..=100 {
            let now = micros(lone * 10_000);
            spin.on_packets(now, &counters);
            if spin.looks_again(now, &counters) {
                assert!(!spin.looks_again(now + SPAN, &counters));
            }
        }
        assert_eq!(counters.spin_misses.value(), u64::from(MOST_CREDIT));
    }

    #[test]
    fn a_span_of_zero_never_spins() {
        let (mut spin, counters) = (Spin::new(Duration::ZERO), Counters::default());
        for _ in 0..10 {
            spin.on_packets(micros(1), &counters);
            assert!(!spin.looks_again(micros(1), &counters));
        }
    }
}
