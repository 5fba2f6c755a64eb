//! Links and paths that flap are held down, ever longer: a path that comes and goes costs everybody more than one that is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Time};

use crate::config::LinkDamping;
use crate::event::Failure;

/// What flaps: the link of an interface, or the path to a neighbour on it.
pub(crate) type Subject = (IfIndex, Failure);

/// Counts failures, and says what is held down for them.
#[derive(Debug, Default)]
pub(crate) struct Damper {
    flaps: BTreeMap<Subject, Flaps>,
}

/// How often something failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flaps {
    /// So many times, without a quiet time between two of them.
    pub(crate) count: u32,
    /// It is held down until then.
    pub(crate) held_until: Option<Time>,
    /// When the quiet time begins that makes forget it all.
    quiet_from: Time,
    /// Who is at the end of the path, where that was known.
    station: Option<Mac>,
}

impl Damper {
    /// Something failed. If that is once too often, for how long it is held down.
    pub(crate) fn failed(
        &mut self,
        now: Time,
        subject: Subject,
        config: &LinkDamping,
    ) -> Option<Duration> {
        let flaps = self.flaps.entry(subject).or_insert(Flaps {
            count: 0,
            held_until: None,
            quiet_from: now,
            station: None,
        });
        if now.since(flaps.quiet_from) >= config.quiet {
            flaps.count = 0;
        }
        flaps.count = flaps.count.saturating_add(1);
        let beyond = flaps.count.checked_sub(config.after).filter(|beyond| *beyond > 0);
        let doublings = beyond.map(|beyond| (beyond - 1).min(31));
        let hold = doublings.map(|n| config.initial.saturating_mul(1 << n).min(config.max));
        let hold = hold.filter(|hold| !hold.is_zero());
        flaps.held_until = hold.map(|hold| now + hold);
        flaps.quiet_from = flaps.held_until.unwrap_or(now);
        hold
    }

    /// The path that failed leads to this station.
    pub(crate) fn leads_to(&mut self, subject: Subject, station: Mac) {
        if let Some(flaps) = self.flaps.get_mut(&subject) {
            flaps.station = Some(station);
        }
    }

    /// Whether a path from an interface to this station is held down.
    pub(crate) fn is_station_held(&self, ifindex: IfIndex, station: Mac) -> bool {
        self.flaps.iter().any(|((of, _), flaps)| {
            *of == ifindex && flaps.station == Some(station) && flaps.held_until.is_some()
        })
    }

    /// What is known of something that has failed.
    pub(crate) fn flaps(&self, subject: Subject) -> Option<Flaps> {
        self.flaps.get(&subject).copied()
    }

    pub(crate) fn is_held(&self, subject: Subject) -> bool {
        self.flaps(subject).is_some_and(|flaps| flaps.held_until.is_some())
    }

    /// What is held down, and until when.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Subject, Time)> + use<'_> {
        self.flaps.iter().filter_map(|(&subject, flaps)| Some((subject, flaps.held_until?)))
    }

    /// When the next hold ends.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.held().map(|(_, until)| until).min()
    }

    /// Ends the holds that are over, and forgets what has been quiet. What is held no longer is returned.
    pub(crate) fn on_tick(&mut self, now: Time, config: &LinkDamping) -> Vec<Subject> {
        let over: Vec<Subject> =
            self.held().filter(|(_, until)| *until <= now).map(|(subject, _)| subject).collect();
        for subject in &over {
            if let Some(flaps) = self.flaps.get_mut(subject) {
                flaps.held_until = None;
            }
        }
        self.flaps.retain(|_, flaps| {
            flaps.held_until.is_some() || now.since(flaps.quiet_from) < config.quiet
        });
        over
    }

    /// An interface is gone for good.
    pub(crate) fn forget(&mut self, ifindex: IfIndex) {
        self.flaps.retain(|(of, _), _| *of != ifindex);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Subject = (IfIndex(1), Failure::Link);

    #[test]
    fn holds_double_up_to_their_bound_and_are_forgiven_after_a_quiet_time() {
        let config = LinkDamping { after: 2, ..LinkDamping::default() };
        let LinkDamping { initial, max, quiet, .. } = config;
        let (mut damper, mut now) = (Damper::default(), Time::from_secs(1));
        assert_eq!(damper.failed(now, LINK, &config), None);
        assert_eq!(damper.failed(now, LINK, &config), None);
        let mut expected = initial;
        for _ in 0..40 {
            assert_eq!(damper.failed(now, LINK, &config), Some(expected));
            assert!(damper.is_held(LINK));
            assert_eq!(damper.deadline(), Some(now + expected));
            assert_eq!(damper.on_tick(now + expected - Duration::from_nanos(1), &config), []);
            now += expected;
            assert_eq!(damper.on_tick(now, &config), [LINK]);
            assert!(!damper.is_held(LINK) && damper.deadline().is_none());
            expected = (expected * 2).min(max);
        }
        let almost = Duration::from_nanos(1);
        assert_eq!(damper.failed(now + quiet - almost, LINK, &config), Some(max));
        now = now + quiet - almost + max + quiet;
        damper.on_tick(now, &config);
        assert!(damper.flaps(LINK).is_none());
        assert_eq!(damper.failed(now, LINK, &config), None);
    }

    #[test]
    fn what_flaps_holds_nothing_else_down_and_goes_with_its_interface() {
        let config = LinkDamping { after: 0, ..LinkDamping::default() };
        let mut damper = Damper::default();
        let path = (IfIndex(1), Failure::Path([192, 0, 2, 1].into()));
        damper.failed(Time::ZERO, path, &config);
        assert!(damper.is_held(path) && !damper.is_held(LINK));
        damper.forget(IfIndex(2));
        assert_eq!(damper.held().count(), 1);
        damper.forget(IfIndex(1));
        assert_eq!(damper.held().count(), 0);
    }

    #[test]
    fn an_initial_hold_of_zero_turns_damping_off() {
        let config = LinkDamping { initial: Duration::ZERO, ..LinkDamping::default() };
        let mut damper = Damper::default();
        assert!((0..100).all(|_| damper.failed(Time::ZERO, LINK, &config).is_none()));
    }
}
