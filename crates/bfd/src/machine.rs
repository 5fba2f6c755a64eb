//! The state machine as a function (RFC 5880 sections 6.2, 6.8.4 to 6.8.6 and 6.8.16).

use std::fmt;

use bugle_wire::bfd::{Diagnostic, State};
use serde::{Deserialize, Serialize};

/// What can change the state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// A packet in which the remote system is in this state.
    Received(State),
    /// Nothing was received for the detection time.
    DetectionTimeExpired,
    /// Echo packets did not come back.
    EchoFailed,
    /// The administrator enables the session.
    Enabled,
    /// The administrator disables the session, or nobody asks for it any more.
    Disabled,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 8] = [
        Self::Received(State::AdminDown),
        Self::Received(State::Down),
        Self::Received(State::Init),
        Self::Received(State::Up),
        Self::DetectionTimeExpired,
        Self::EchoFailed,
        Self::Enabled,
        Self::Disabled,
    ];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(state) => write!(f, "remote {state}"),
            Self::DetectionTimeExpired => f.write_str("detection time expired"),
            Self::EchoFailed => f.write_str("echo failed"),
            Self::Enabled => f.write_str("enabled"),
            Self::Disabled => f.write_str("disabled"),
        }
    }
}

/// The state that follows, and the diagnostic if it changes.
pub(crate) const fn next(state: State, cause: Cause) -> (State, Option<Diagnostic>) {
    use Cause as C;
    use State as S;
    match (cause, state) {
        (C::Disabled, S::AdminDown) => (S::AdminDown, None),
        (C::Disabled, _) => (S::AdminDown, Some(Diagnostic::ADMINISTRATIVELY_DOWN)),
        (C::Enabled, S::AdminDown) => (S::Down, None),
        (_, S::AdminDown) => (S::AdminDown, None),

        (C::Received(S::AdminDown), S::Init | S::Up) | (C::Received(S::Down), S::Up) => {
            (S::Down, Some(Diagnostic::NEIGHBOR_SIGNALED_DOWN))
        }
        (C::Received(S::Down), S::Down) => (S::Init, None),
        (C::Received(S::Init), S::Down) | (C::Received(S::Init | S::Up), S::Init) => (S::Up, None),

        (C::DetectionTimeExpired, S::Init | S::Up) => {
            (S::Down, Some(Diagnostic::DETECTION_TIME_EXPIRED))
        }
        (C::EchoFailed, S::Up) => (S::Down, Some(Diagnostic::ECHO_FAILED)),

        (C::Received(_) | C::DetectionTimeExpired | C::EchoFailed | C::Enabled, state) => {
            (state, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_machine_is_that_of_sections_6_2_and_6_8_for_every_state_and_cause() {
        use State::{AdminDown, Down, Init, Up};
        // A row for each cause; columns: from AdminDown, Down, Init, Up.
        let table = [
            (Cause::Received(AdminDown), [AdminDown, Down, Down, Down]),
            (Cause::Received(Down), [AdminDown, Init, Init, Down]),
            (Cause::Received(Init), [AdminDown, Up, Up, Up]),
            (Cause::Received(Up), [AdminDown, Down, Up, Up]),
            (Cause::DetectionTimeExpired, [AdminDown, Down, Down, Down]),
            (Cause::EchoFailed, [AdminDown, Down, Init, Down]),
            (Cause::Enabled, [Down, Down, Init, Up]),
            (Cause::Disabled, [AdminDown, AdminDown, AdminDown, AdminDown]),
        ];
        assert_eq!(table.map(|(cause, _)| cause), Cause::ALL);
        for (cause, row) in table {
            for (from, to) in State::ALL.into_iter().zip(row) {
                assert_eq!(next(from, cause).0, to, "{from} on {cause}");
            }
        }
    }

    #[test]
    fn the_diagnostic_says_why_a_session_went_down_and_stays_otherwise() {
        for cause in Cause::ALL {
            let expected = match cause {
                Cause::Received(_) => Diagnostic::NEIGHBOR_SIGNALED_DOWN,
                Cause::DetectionTimeExpired => Diagnostic::DETECTION_TIME_EXPIRED,
                Cause::EchoFailed => Diagnostic::ECHO_FAILED,
                Cause::Disabled => Diagnostic::ADMINISTRATIVELY_DOWN,
                Cause::Enabled => Diagnostic::NONE,
            };
            for from in State::ALL {
                let (to, diagnostic) = next(from, cause);
                let failed = to != from && to < from;
                assert_eq!(diagnostic, failed.then_some(expected), "{from} on {cause}");
            }
        }
    }
}
