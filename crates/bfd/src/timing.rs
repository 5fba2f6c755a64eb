//! Timers: intervals that are negotiated, and silence that is watched.

use std::num::NonZeroU8;
use std::time::Duration;

use bugle_types::{Rng, Time};
use bugle_wire::bfd::Interval;

/// A system late by this much or more was not running, or not scheduled.
pub const STALL: Duration = Duration::from_millis(1);

/// A pair of intervals: one for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// `bfd.DesiredMinTxInterval`.
    pub(crate) tx: Interval,
    /// `bfd.RequiredMinRxInterval`.
    pub(crate) rx: Interval,
}

/// The last time that this system was late.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stall {
    /// When it was running again.
    pub(crate) end: Time,
    /// How late it was.
    pub(crate) late: Duration,
}

/// How far the driver has got, and whether it was late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Every packet received before this has been handed in.
    pub(crate) drained: Time,
    /// The last time that it was late.
    pub(crate) stall: Stall,
}

/// Watches for silence.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    /// The last sign of life; `None` while none is waited for.
    heard: Option<Time>,
    /// Silence is excused until then, because this system may not have listened.
    excused_until: Option<Time>,
}

impl Watch {
    /// A sign of life, which ends what silence there was.
    pub(crate) fn hear(&mut self, at: Time) {
        *self = Self { heard: self.heard.max(Some(at)), excused_until: None };
    }

    /// Waits for nothing any more.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.heard.is_some()
    }

    /// When silence has lasted for `detection_time`, excuses included.
    pub(crate) fn deadline(&self, detection_time: Duration) -> Option<Time> {
        self.heard
            .map(|heard| (heard + detection_time).max(self.excused_until.unwrap_or(Time::ZERO)))
    }

    /// Whether silence has lasted for `detection_time`. `interval`: a live system is heard of within it.
    ///
    /// After a stall, silence is excused once: for as long again, but no longer than the interval. Then whoever is alive
    /// has been heard, even if the kernel did not run either; and whoever is not is found out that much later.
    pub(crate) fn has_ended(
        &mut self,
        detection_time: Duration,
        interval: Interval,
        progress: Progress,
    ) -> bool {
        let Progress { drained, stall } = progress;
        if self.deadline(detection_time).is_none_or(|deadline| deadline > drained) {
            return false;
        }
        let until = stall.end + stall.late.min(interval.as_duration());
        if self.excused_until.is_none() && until > drained {
            self.excused_until = Some(until);
            return false;
        }
        true
    }
}

/// Where in the time that section 6.8.7 leaves open the next packets go out, so that systems do not fall into step. All that goes
/// out in one pass has the same: what is sent together once is sent together from then on, since waking up costs more than
/// sending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jitter(u64);

impl Jitter {
    const BITS: u32 = 16;

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self(rng.below((1 << Self::BITS) + 1))
    }

    /// The time from a packet to the next: from three quarters of the interval up to all of it; with a multiplier of 1, up to nine
    /// tenths, so that a packet is there before the whole interval has passed.
    pub(crate) fn shorten(self, interval: Interval, multiplier: NonZeroU8) -> Duration {
        let nanos = u64::from(interval.0) * 1000;
        let most = if multiplier == NonZeroU8::MIN { nanos / 100 * 90 } else { nanos };
        let least = least(nanos);
        Duration::from_nanos(least + ((most.saturating_sub(least) * self.0) >> Self::BITS))
    }
}

/// No packet goes out sooner after the one before.
pub(crate) fn shortest(interval: Interval) -> Duration {
    Duration::from_nanos(least(u64::from(interval.0) * 1000))
}

const fn least(nanos: u64) -> u64 {
    nanos - nanos / 4
}

/// How much earlier than planned a packet goes out, if others go out now: half of what jitter takes from the interval, so that
/// packets of different intervals do not come at the shortest all the time.
pub(crate) fn leeway(interval: Interval) -> Duration {
    Duration::from_nanos(u64::from(interval.0) * 1000 / 8)
}

/// A number that is hard to guess.
pub(crate) fn random_u32(rng: &mut Rng) -> u32 {
    u32::try_from(rng.below(1 << 32)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn progress(drained: Time, stall: Stall) -> Progress {
        Progress { drained, stall }
    }

    #[test]
    fn intervals_are_shortened_by_up_to_a_quarter_and_at_least_a_tenth_with_a_multiplier_of_one() {
        let mut rng = Rng::new(5);
        let interval = Interval(10_000);
        for (multiplier, most) in [(1, 9_000), (2, 10_000), (3, 10_000)] {
            let multiplier = NonZeroU8::new(multiplier).unwrap();
            let mut drawn = || Jitter::draw(&mut rng).shorten(interval, multiplier);
            let drawn: Vec<_> = (0..10_000).map(|_| drawn()).collect();
            let (least, most) = (shortest(interval), Duration::from_micros(most));
            assert_eq!(least, Duration::from_micros(7_500));
            assert!(drawn.iter().all(|time| (least..=most).contains(time)));
            let margin = Duration::from_micros(10);
            assert!(*drawn.iter().min().unwrap() < least + margin);
            assert!(*drawn.iter().max().unwrap() + margin > most);
            let average = drawn.iter().sum::<Duration>() / 10_000;
            let middle = (least + most) / 2;
            assert!(average + margin * 2 > middle && average < middle + margin * 2);
        }
        let drawn = Jitter::draw(&mut rng);
        assert_eq!(drawn.shorten(Interval::ZERO, NonZeroU8::MIN), Duration::ZERO);
        let longest = drawn.shorten(Interval(u32::MAX), NonZeroU8::MAX);
        assert!(longest >= shortest(Interval(u32::MAX)) && longest > Duration::from_secs(3200));
    }

    #[test]
    fn silence_is_judged_by_when_packets_were_received_and_sockets_were_empty() {
        let (detection_time, interval) = (Duration::from_millis(30), Interval(10_000));
        let mut watch = Watch::default();
        assert!(!watch.is_on() && watch.deadline(detection_time).is_none());
        assert!(!watch.has_ended(detection_time, interval, progress(Time::MAX, Stall::default())));
        watch.hear(ms(100));
        watch.hear(ms(95));
        assert_eq!(watch.deadline(detection_time), Some(ms(130)));
        let almost = Time::from_nanos(ms(130).as_nanos() - 1);
        assert!(!watch.has_ended(detection_time, interval, progress(almost, Stall::default())));
        assert!(watch.has_ended(detection_time, interval, progress(ms(130), Stall::default())));
    }

    #[test]
    fn after_a_stall_silence_is_excused_once_for_as_long_again_but_not_beyond_an_interval() {
        let (detection_time, interval) = (Duration::from_millis(30), Interval(10_000));
        for (late, until) in [(3, 143), (500, 150)] {
            let stall = Stall { end: ms(140), late: Duration::from_millis(late) };
            let mut watch = Watch::default();
            watch.hear(ms(100));
            assert!(!watch.has_ended(detection_time, interval, progress(ms(140), stall)));
            assert_eq!(watch.deadline(detection_time), Some(ms(until)));
            // No second excuse, even if it stalls again.
            let again = Stall { end: ms(until), late: Duration::from_millis(3) };
            assert!(watch.has_ended(detection_time, interval, progress(ms(until), again)));
            // A packet starts over.
            watch.hear(ms(120));
            assert_eq!(watch.deadline(detection_time), Some(ms(150)));
            assert!(
                !watch.has_ended(detection_time, interval, progress(ms(150), again)) || until < 150
            );
        }
    }
}
