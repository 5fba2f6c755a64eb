//! When to read the forwarding table again.

use std::time::Duration;

use bugle_types::Time;

/// A failed change is seldom alone: the rest of its batch is waited for.
pub(crate) const SETTLE: Duration = Duration::from_millis(10);
/// The least time between two reads that doubts ask for; it doubles while doubts persist.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);
/// The longest that doubts wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(64);
/// An answer that takes longer is not coming.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for a snapshot once however many doubts there are, and ever less often while they persist.
#[derive(Debug)]
pub(crate) struct Reading {
    phase: Phase,
    last: Option<Time>,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Due(Time),
    Asked { at: Time, then: Then },
}

/// What follows the answer that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    Rest,
    AskLater,
    AskNow,
}

impl Reading {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Idle, last: None, pause: SHORTEST }
    }

    /// Something may differ from what is believed: read, `after` a while.
    pub(crate) fn doubt(&mut self, now: Time, after: Duration) {
        match &mut self.phase {
            Phase::Idle => {
                let earliest = self.last.map_or(Time::ZERO, |last| {
                    let calm = now.since(last) > self.pause * 2;
                    self.pause = if calm { SHORTEST } else { (self.pause * 2).min(LONGEST) };
                    last + self.pause
                });
                self.phase = Phase::Due(earliest.max(now + after));
            }
            Phase::Due(_) => {}
            Phase::Asked { then, .. } => *then = Then::AskLater.max(*then),
        }
    }

    /// Something has never been read: read at once.
    pub(crate) fn need(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Idle | Phase::Due(_) => self.phase = Phase::Due(now),
            Phase::Asked { then, .. } => *then = Then::AskNow,
        }
    }

    /// Whether to ask now.
    pub(crate) fn is_due(&mut self, now: Time) -> bool {
        let due = self.deadline().is_some_and(|deadline| deadline <= now);
        if due {
            self.phase = Phase::Asked { at: now, then: Then::Rest };
        }
        due
    }

    /// An answer has come.
    pub(crate) fn answered(&mut self, now: Time) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.last = Some(now);
        match phase {
            Phase::Asked { then: Then::AskNow, .. } => self.need(now),
            Phase::Asked { then: Then::AskLater, .. } => self.doubt(now, SETTLE),
            Phase::Asked { then: Then::Rest, .. } | Phase::Idle | Phase::Due(_) => {}
        }
    }

    /// When [`is_due`](Self::is_due) will say so.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Idle => None,
            Phase::Due(at) => Some(at),
            Phase::Asked { at, .. } => Some(at + PATIENCE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_doubts_make_one_read() {
        let mut reading = Reading::new();
        let now = Time::from_secs(100);
        for _ in 0..1000 {
            reading.doubt(now, SETTLE);
        }
        assert!(!reading.is_due(now));
        assert_eq!(reading.deadline(), Some(now + SETTLE));
        assert!(reading.is_due(now + SETTLE));
        assert!(!reading.is_due(now + SETTLE));
    }

    #[test]
    fn doubts_that_persist_are_answered_ever_less_often() {
        let mut reading = Reading::new();
        let mut now = Time::from_secs(100);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            reading.doubt(now, SETTLE);
            let at = reading.deadline().unwrap();
            pauses.push(at.since(now).as_secs());
            now = at;
            assert!(reading.is_due(now));
            reading.answered(now);
        }
        assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 64, 64, 64]);

        now += LONGEST * 3;
        reading.doubt(now, SETTLE);
        assert_eq!(reading.deadline(), Some(now + SETTLE), "calm restores the short pause");
    }

    #[test]
    fn a_read_that_is_not_answered_is_asked_for_again() {
        let mut reading = Reading::new();
        reading.need(Time::ZERO);
        assert!(reading.is_due(Time::ZERO));
        assert!(!reading.is_due(Time::ZERO + PATIENCE - Duration::from_nanos(1)));
        assert!(reading.is_due(Time::ZERO + PATIENCE));
    }

    #[test]
    fn what_happens_during_a_read_is_read_after_it() {
        for urgent in [false, true] {
            let mut reading = Reading::new();
            let now = Time::from_secs(1);
            reading.need(now);
            assert!(reading.is_due(now));
            reading.doubt(now, SETTLE);
            if urgent {
                reading.need(now);
            }
            reading.answered(now);
            assert_eq!(reading.is_due(now), urgent);
            assert!(reading.deadline().is_some());
        }
    }

    #[test]
    fn an_answer_that_nobody_asked_for_changes_no_schedule() {
        let mut reading = Reading::new();
        reading.answered(Time::from_secs(1));
        assert_eq!(reading.deadline(), None);
    }
}
