//! What can go wrong in a lab.

use std::fmt;
use std::io;
use std::time::Duration;

/// The result of every fallible call of this crate.
pub type Result<T, E = LabError> = std::result::Result<T, E>;

/// Why a lab could not be built, or did not do what was asked of it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces need root.
    #[error("network namespaces need root: run this again as root, for example with sudo")]
    NotRoot,
    /// Programs are not installed.
    #[error("not found: {}; run: {}", programs.join(", "), remedies.join("; "))]
    Missing {
        /// The programs that were looked for.
        programs: Vec<String>,
        /// What brings them.
        remedies: Vec<&'static str>,
    },
    /// A command failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error, or else to standard output.
        output: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A condition did not come true in time.
    #[error("after {within:?} still waiting for {what}{logs}")]
    Timeout {
        /// The condition.
        what: String,
        /// How long it was waited for.
        within: Duration,
        /// The last lines that the lab's processes logged.
        logs: String,
    },
    /// A program answered something else than what it should have.
    #[error("{what}: unexpected answer: {found}")]
    Unexpected {
        /// What was asked.
        what: String,
        /// What came back.
        found: String,
    },
}

impl LabError {
    /// Wraps an I/O error with what was attempted; for `map_err`.
    pub fn io<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source: source.into() }
    }
}

impl fmt::Debug for LabError {
    /// As for a reader: what a test prints that returns the error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
