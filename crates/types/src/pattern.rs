//! Interface names and globs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// An interface name, or a glob over interface names: `*` stands for any characters, `?` for any one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether the interface called `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NamePattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let literal = text.replace('*', "");
        // A pattern of stars only has no literal part to check.
        if !text.is_empty() && (literal.is_empty() || is_interface_name(&literal)) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError {
            expected: "an interface name of at most 15 characters, or a glob like eth*",
            found: text.to_owned(),
        })
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

impl TryFrom<String> for NamePattern {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

/// Whether the kernel would accept `name` for an interface.
#[must_use]
pub fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control())
}

/// Glob matching in time proportional to the product of the lengths: on a mismatch only the last `*` is retried.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            ([p, pattern_rest @ ..], [n, name_rest @ ..]) if *p == b'?' || p == n => {
                (pattern, name) = (pattern_rest, name_rest);
            }
            ([], []) => return true,
            _ => {
                // Let the last star swallow one more character.
                let Some((after_star, [_, shorter @ ..])) = retry else { return false };
                retry = Some((after_star, shorter));
                (pattern, name) = (after_star, shorter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of a glob, by recursion.
    fn oracle(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=name.len()).any(|skipped| oracle(rest, &name[skipped..]))
            }
            (Some((p, rest)), Some((n, others))) => (*p == b'?' || p == n) && oracle(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?]{0,6}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                oracle(pattern.as_bytes(), name.as_bytes())
            );
        }
    }

    #[test]
    fn refuses_what_no_interface_is_called() {
        for bad in ["", "..", "a/b", "a b", "a:1", "sixteen-letters-", "eth\0"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
        for good in ["eth0", "*", "tap*", "v?n*", "fifteen-letters*"] {
            assert_eq!(good.parse::<NamePattern>().unwrap().as_str(), good);
        }
    }
}
