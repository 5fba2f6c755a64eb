//! Whether another router uses this one's identity.

use std::time::Duration;

use bugle_types::Time;

/// Tells another router with our identity from an old description of this one.
///
/// What a router says of itself may come back from elsewhere once: from before a restart, or after a partition. It is outdone then
/// (RFC 2328 section 13.4, ISO 10589 section 7.3.16.1). Where it has to be outdone again and again, somebody else answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    /// When our own description was outdone last, the latest first.
    outdone: [Option<Time>; Self::ENOUGH],
    told: Option<Time>,
}

impl Identity {
    /// So many times are too many.
    pub const ENOUGH: usize = 3;
    /// Within so long.
    pub const WITHIN: Duration = Duration::from_secs(60);

    /// Our own description has to be outdone. Whether it is to be told that another router uses our identity: once in
    /// [`WITHIN`](Self::WITHIN) at most.
    pub fn outdone(&mut self, now: Time) -> bool {
        self.outdone.rotate_right(1);
        self.outdone[0] = Some(now);
        let told = self.told.is_some_and(|told| now.since(told) < Self::WITHIN);
        let tells = !told && self.is_duplicate(now);
        if tells {
            self.told = Some(now);
        }
        tells
    }

    /// Whether another router uses our identity.
    #[must_use]
    pub fn is_duplicate(&self, now: Time) -> bool {
        let recent =
            |outdone: &Option<Time>| outdone.is_some_and(|at| now.since(at) < Self::WITHIN);
        self.outdone.iter().all(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    #[test]
    fn three_times_within_a_minute_are_another_router_and_less_are_not() {
        let mut identity = Identity::default();
        assert!(!identity.is_duplicate(at(0)));
        for seconds in [0, 30, 60, 90, 120] {
            assert!(!identity.outdone(at(seconds)), "{seconds}");
            assert!(!identity.is_duplicate(at(seconds)));
        }
        assert!(identity.outdone(at(121)));
        assert!(identity.is_duplicate(at(149)));
        assert!(!identity.is_duplicate(at(150)), "it has been quiet");
    }

    #[test]
    fn it_is_told_once_a_minute() {
        let mut identity = Identity::default();
        let told: Vec<u64> = (0..200).filter(|&seconds| identity.outdone(at(seconds))).collect();
        assert_eq!(told, [2, 62, 122, 182]);
    }
}
