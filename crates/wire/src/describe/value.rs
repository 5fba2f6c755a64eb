//! A tree of named values, with one rendering for people and one for programs.

use std::fmt::{self, Write};

use serde::ser::{Serialize, Serializer};

/// What a packet says, as a tree. It displays as indented text, and serializes (with serde) as plain data.
///
/// In text, what is simple stands on one line, what is nested below it; names lose their underscores, and a value named
/// `type` its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A count, an interval, a metric.
    Number(u64),
    /// Anything else that is one thing: an address, a name, hexadecimal digits.
    Text(String),
    /// Several values of one kind.
    List(Vec<Self>),
    /// Named values in a fixed order.
    Map(Vec<(&'static str, Self)>),
}

impl Value {
    /// Whatever displays itself, as text.
    pub(super) fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// Bytes as hexadecimal digits.
    pub(super) fn hex(bytes: &[u8]) -> Self {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        Self::Text(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect())
    }

    /// A list of what an iterator gives.
    pub(super) fn list(values: impl IntoIterator<Item = Self>) -> Self {
        Self::List(values.into_iter().collect())
    }

    /// Whether the value fits on its parent's line.
    fn is_simple(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => true,
            Self::List(values) => {
                values.iter().all(|value| !matches!(value, Self::List(_) | Self::Map(_)))
            }
            Self::Map(_) => false,
        }
    }

    /// Whether something of a value that is not simple stands on its first line.
    fn has_line(&self) -> bool {
        matches!(self, Self::Map(entries) if entries.iter().any(|(_, value)| value.is_simple()))
    }

    /// Writes what stands on the value's first line.
    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
            Self::List(values) if values.is_empty() => f.write_str("none"),
            Self::List(values) => separated(f, " ", values, |f, value| value.write_line(f)),
            Self::Map(entries) => {
                let simple = entries.iter().filter(|(_, value)| value.is_simple());
                separated(f, ", ", simple, |f, (name, value)| {
                    if *name != "type" {
                        write!(f, "{} ", Spaced(name))?;
                    }
                    value.write_line(f)
                })
            }
        }
    }

    /// Writes the lines below the first, each begun with a line feed and indented.
    fn write_nested(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let deeper = depth.saturating_add(1);
        match self {
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => Ok(()),
            Self::List(values) => {
                values.iter().filter(|value| !value.is_simple()).try_for_each(|value| {
                    begin_line(f, depth)?;
                    value.write_line(f)?;
                    value.write_nested(f, deeper)
                })
            }
            Self::Map(entries) => {
                let mut nested = entries.iter().filter(|(_, value)| !value.is_simple());
                nested.try_for_each(|(name, value)| {
                    begin_line(f, depth)?;
                    write!(f, "{}:", Spaced(name))?;
                    if value.has_line() {
                        f.write_str(" ")?;
                        value.write_line(f)?;
                    }
                    value.write_nested(f, deeper)
                })
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_line(f)?;
        self.write_nested(f, 1)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_u64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

macro_rules! number {
    ($($type:ty)*) => {
        $(impl From<$type> for Value {
            fn from(number: $type) -> Self {
                Self::Number(number.into())
            }
        })*
    };
}

number! { u8 u16 u32 }

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

fn begin_line(f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    f.write_str("\n")?;
    (0..depth).try_for_each(|_| f.write_str("  "))
}

/// Writes items with something between them.
fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    items.into_iter().enumerate().try_for_each(|(position, item)| {
        f.write_str(if position == 0 { "" } else { separator })?;
        write(f, item)
    })
}

/// A name with spaces for its underscores.
struct Spaced(&'static str);

impl fmt::Display for Spaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| f.write_char(if letter == '_' { ' ' } else { letter }))
    }
}
