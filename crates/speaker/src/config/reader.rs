//! Typed access to a spanned TOML tree. Problems are collected, never returned: a caller that gets `None` has nothing
//! left to say and goes on with the default.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bugle_types::ParseError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors, Problem};

/// Collects the problems of one text.
pub(super) struct Problems<'t> {
    text: &'t str,
    /// The byte offset at which each line starts.
    lines: Vec<usize>,
    found: RefCell<Vec<(Place, Problem)>>,
    /// Every key that was asked for.
    asked: RefCell<BTreeSet<String>>,
}

/// Where something stands: its byte offset and its key.
#[derive(Clone)]
pub(super) struct Place {
    offset: usize,
    key: String,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_newline = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n');
        let lines = std::iter::once(0).chain(after_newline.map(|(_, start)| start)).collect();
        Self { text, lines, found: RefCell::default(), asked: RefCell::default() }
    }

    pub(super) fn report(&self, place: &Place, problem: Problem) {
        self.found.borrow_mut().push((place.clone(), problem));
    }

    pub(super) fn syntax(&self, error: &toml::de::Error) {
        let offset = error.span().map_or(self.text.len(), |span| span.start);
        let problem = Problem::Syntax(error.message().to_owned());
        self.report(&Place { offset, key: String::new() }, problem);
    }

    /// A contradiction between two places: `message` is followed by the line of `other`.
    pub(super) fn contradiction(&self, place: &Place, message: &str, other: &Place) {
        let message = format!("{message} (line {})", self.line(other));
        self.report(place, Problem::Contradiction(message));
    }

    fn line(&self, place: &Place) -> usize {
        self.position(place.offset).0
    }

    /// The line and the column, both from 1, of a byte offset.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).unwrap_or(&0);
        // Bytes that continue a UTF-8 character are not counted.
        let before = self.text.bytes().take(offset).skip(*start);
        (line, before.filter(|byte| byte & 0xC0 != 0x80).count() + 1)
    }

    /// `config`, unless something was found.
    ///
    /// After a syntax error the tree is a guess. So nothing else is said about a line that has one, of several syntax errors
    /// on a line only the first counts, and no key is called missing, as it may be the one that could not be read.
    pub(super) fn finish<T>(&self, config: T) -> Result<T, ConfigErrors> {
        let found = self.found.borrow();
        let mut found: Vec<ConfigError> = found
            .iter()
            .map(|(place, problem)| {
                let (line, column) = self.position(place.offset);
                ConfigError { line, column, key: place.key.clone(), problem: problem.clone() }
            })
            .collect();
        found.sort_by_key(|error| (error.line, error.column));
        let is_syntax = |error: &ConfigError| matches!(error.problem, Problem::Syntax(_));
        let broken: BTreeSet<usize> =
            found.iter().filter(|error| is_syntax(error)).map(|error| error.line).collect();
        let mut named = BTreeSet::new();
        let kept = found.into_iter().filter(|error| {
            if is_syntax(error) {
                return named.insert(error.line);
            }
            let guess = !broken.is_empty() && matches!(error.problem, Problem::Missing(_));
            !guess && !broken.contains(&error.line)
        });
        ConfigErrors::new(kept.collect()).map_or(Ok(config), Err)
    }

    /// Every key that was asked for, dotted, with `NAME` for the name of a VRF.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

/// One table of the tree. Keys are taken one by one; [`Table::finish`] reports those nobody asked for.
pub(super) struct Table<'a> {
    problems: &'a Problems<'a>,
    entries: &'a DeTable<'a>,
    place: Place,
    /// The table's path as documented, with `NAME` for the name of a VRF.
    documented: String,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn root(problems: &'a Problems<'a>, entries: &'a DeTable<'a>) -> Self {
        let place = Place { offset: 0, key: String::new() };
        Self { problems, entries, place, documented: String::new(), asked: Vec::new() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn problems(&self) -> &'a Problems<'a> {
        self.problems
    }

    /// The value of `key`, if there is one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        let documented = join(&self.documented, key);
        self.problems.asked.borrow_mut().insert(documented.clone());
        let value = self.entries.get(key)?;
        Some(self.child(key, documented, value))
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Reads `key` with `read` into `target`, which keeps its default if the key is absent or wrong. Returns where the
    /// value stands.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<Place> {
        let value = self.value(key)?;
        *target = read(&value)?;
        Some(value.place)
    }

    /// Reads a key that must be there; `what` says what it holds.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        what: &'static str,
        read: impl FnOnce(&Value<'a>) -> Option<T>,
    ) -> Option<(T, Place)> {
        let Some(value) = self.value(key) else {
            let place = Place { key: join(&self.place.key, key), ..self.place.clone() };
            self.problems.report(&place, Problem::Missing(what));
            return None;
        };
        Some((read(&value)?, value.place))
    }

    /// Refuses a key of a later release; `what` says what is missing and what to do without it.
    pub(super) fn later(&mut self, key: &'static str, what: &'static str) {
        if let Some((name, _)) = self.entries.get_key_value(key) {
            self.asked.push(key);
            let place = Place { offset: name.span().start, key: join(&self.place.key, key) };
            self.problems.report(&place, Problem::NotYetSupported(what));
        }
    }

    /// Every entry, for a table whose keys are names. The documented path of each says `NAME`.
    pub(super) fn named(self) -> impl Iterator<Item = (&'a str, Place, Value<'a>)> {
        self.entries.iter().map(move |(name, value)| {
            let key: &'a str = name.get_ref();
            let place = Place { offset: name.span().start, key: join(&self.place.key, key) };
            (key, place, self.child(key, join(&self.documented, "NAME"), value))
        })
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (name, _) in self.entries {
            let key = name.get_ref().as_ref();
            if self.asked.contains(&key) {
                continue;
            }
            let place = Place { offset: name.span().start, key: join(&self.place.key, key) };
            let closest = self
                .asked
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, key), *known))
                .min()
                .filter(|(distance, known)| *distance <= 1 + known.len() / 4);
            self.problems.report(&place, Problem::UnknownKey(closest.map(|(_, known)| known)));
        }
    }

    fn child(&self, key: &str, documented: String, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let place = Place { offset: value.span().start, key: join(&self.place.key, key) };
        Value { problems: self.problems, node: value.get_ref(), place, documented }
    }
}

/// `parent.key`; a key that would not stand bare in TOML is quoted.
fn join(parent: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let key =
        if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// One value of the tree.
pub(super) struct Value<'a> {
    problems: &'a Problems<'a>,
    node: &'a DeValue<'a>,
    place: Place,
    documented: String,
}

impl<'a> Value<'a> {
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn table(&self) -> Option<Table<'a>> {
        let entries = self.typed(self.node.as_table(), "a table")?;
        Some(Table {
            problems: self.problems,
            entries,
            place: self.place.clone(),
            documented: self.documented.clone(),
            asked: Vec::new(),
        })
    }

    /// The elements of an array; `None` if any of them is wrong.
    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let array = self.typed(self.node.as_array(), "an array like [\"a\", \"b\"]")?;
        // All are read before the first wrong one decides: each has its own problem to report.
        let elements: Vec<_> = array.iter().map(|element| read(&self.element(element))).collect();
        elements.into_iter().collect()
    }

    /// The tables of an array of tables; those that are not tables are left out.
    pub(super) fn tables(&self) -> Vec<Table<'a>> {
        let expected = "an array of tables, written [[like this]]";
        let Some(array) = self.typed(self.node.as_array(), expected) else { return Vec::new() };
        array.iter().filter_map(|element| self.element(element).table()).collect()
    }

    pub(super) fn is_list(&self) -> bool {
        self.node.is_array()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.typed(self.node.as_bool(), "true or false")
    }

    pub(super) fn string(&self, expected: &'static str) -> Option<&'a str> {
        self.typed(self.node.as_str(), expected)
    }

    pub(super) fn integer<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + std::fmt::Display + Copy,
    {
        let integer = self.typed(self.node.as_integer(), "a number without quotes")?;
        // What does not even fit 128 bits is out of any range.
        let wide = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let value = wide.and_then(|wide| T::try_from(wide).ok()).filter(|v| range.contains(v));
        if value.is_none() {
            self.out_of_range(integer.to_string(), range.start(), range.end());
        }
        value
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        const EXPECTED: &str = "a duration like \"250ms\" or \"4s\"";
        let text = self.string(EXPECTED)?;
        let Some(value) = parse_duration(text) else {
            self.bad(EXPECTED, text);
            return None;
        };
        if !range.contains(&value) {
            let (low, high) = range.into_inner();
            self.out_of_range(text.to_owned(), &show_duration(low), &show_duration(high));
            return None;
        }
        Some(value)
    }

    /// A string that parses as a `T`; `expected` is for values of another type.
    pub(super) fn parsed<T: FromStr<Err = ParseError>>(&self, expected: &'static str) -> Option<T> {
        match self.string(expected)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.bad(error.expected, &error.found);
                None
            }
        }
    }

    /// An absolute path; `expected` has an example.
    pub(super) fn absolute_path(&self, expected: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.string(expected)?);
        if !path.is_absolute() {
            self.bad(expected, &path.to_string_lossy());
            return None;
        }
        Some(path)
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.string("a string in quotes")?;
        let choice = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if choice.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.bad(&words.join(" or "), text);
        }
        choice
    }

    /// Reports a value of the right type that makes no sense.
    pub(super) fn bad(&self, expected: &str, found: &str) {
        self.problem(Problem::BadValue { expected: expected.to_owned(), found: found.to_owned() });
    }

    pub(super) fn problem(&self, problem: Problem) {
        self.problems.report(&self.place, problem);
    }

    fn element(&self, element: &'a Spanned<DeValue<'a>>) -> Self {
        Self {
            problems: self.problems,
            node: element.get_ref(),
            place: Place { offset: element.span().start, ..self.place.clone() },
            documented: self.documented.clone(),
        }
    }

    fn out_of_range<T: std::fmt::Display>(&self, found: String, low: &T, high: &T) {
        self.problem(Problem::OutOfRange { found, low: low.to_string(), high: high.to_string() });
    }

    fn typed<T>(&self, value: Option<T>, expected: &'static str) -> Option<T> {
        if value.is_none() {
            self.problem(Problem::WrongType { expected, found: self.node.type_str() });
        }
        value
    }
}

/// A number and a unit: `us`, `ms`, `s`, `m` or `h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// A duration as the file would give it.
pub(super) fn show_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match (micros % 1_000_000, micros % 1_000) {
        (0, _) => format!("{}s", micros / 1_000_000),
        (_, 0) => format!("{}ms", micros / 1_000),
        _ => format!("{micros}us"),
    }
}
