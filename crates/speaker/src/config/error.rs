//! Everything wrong with a configuration file.

use std::fmt;

/// All problems of one file, sorted by position; never empty. Displays one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// `errors`, which are sorted; `None` if there are none.
    pub(super) fn new(errors: Vec<ConfigError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One problem and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted in characters from 1.
    pub column: usize,
    /// The key it is about, like `vrf.default.ospf.interface.cost`; empty if the text is not TOML there.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

/// What can be wrong in a configuration file. Each message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// No such key exists here.
    #[error("unknown key{}", suggest(*.0))]
    UnknownKey(
        /// The known key closest to it, if one is close.
        Option<&'static str>,
    ),
    /// A required key is absent.
    #[error("missing; this block needs {0}")]
    Missing(
        /// What the key holds, with an example.
        &'static str,
    ),
    /// The value has another type than it should.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What belongs here, with an example.
        expected: &'static str,
        /// The TOML type found.
        found: &'static str,
    },
    /// The value has the right type but does not make sense.
    #[error("expected {expected}, found {found:?}")]
    BadValue {
        /// What belongs here, with an example.
        expected: String,
        /// The value found.
        found: String,
    },
    /// The value is too small or too large.
    #[error("{found} is out of range: it must be {low} to {high}")]
    OutOfRange {
        /// The value found.
        found: String,
        /// The smallest value allowed.
        low: String,
        /// The largest value allowed.
        high: String,
    },
    /// A key or value of the documented format that this release does not implement.
    #[error("not yet supported: {0}")]
    NotYetSupported(
        /// What is missing, and what to do without it.
        &'static str,
    ),
    /// Two values, each fine by itself, cannot be true together.
    #[error("{0}")]
    Contradiction(
        /// Both sides, with the line of the other one.
        String,
    ),
}

fn suggest(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!("; did you mean {key:?}?"))
}
