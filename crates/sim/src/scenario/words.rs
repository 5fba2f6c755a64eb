//! The words of a line, and the values they stand for.

use std::time::Duration;

/// What is wrong with a line.
pub(super) type Wrong = String;

/// The words of a line that are still to be read.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { rest: line.split('#').next().unwrap_or("").trim() }
    }

    /// All that is left, as written.
    pub(super) const fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.rest = self.rest.get(word.len()..).unwrap_or("").trim_start();
        Some(word)
    }

    /// Takes the word if it comes next.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let comes = self.peek() == Some(word);
        if comes {
            self.next();
        }
        comes
    }

    /// The next word, which must be there.
    pub(super) fn word(&mut self, what: &str) -> Result<&'a str, Wrong> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word must be this one.
    pub(super) fn expect(&mut self, word: &str) -> Result<(), Wrong> {
        let found = self.word(&format!("{word:?}"))?;
        if found == word { Ok(()) } else { Err(format!("expected {word:?}, found {found:?}")) }
    }

    /// The next word as a value.
    pub(super) fn value<T>(
        &mut self,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Wrong> {
        let word = self.word(what)?;
        parse(word).ok_or_else(|| format!("expected {what}, found {word:?}"))
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, Wrong> {
        self.value(what, |word| word.parse().ok())
    }

    pub(super) fn duration(&mut self) -> Result<Duration, Wrong> {
        self.value("a time like 100ms", duration)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(format!("did not expect {word:?}")),
        }
    }
}

/// `1.5s`, `100ms`, `50us`.
pub(super) fn duration(word: &str) -> Option<Duration> {
    let (value, unit) = split(word)?;
    let nanos = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    Some(Duration::from_nanos(scaled(value, nanos)?))
}

/// `5%`, in millionths.
pub(super) fn share(word: &str) -> Option<u32> {
    let millionths = scaled(word.strip_suffix('%')?, 10_000)?;
    u32::try_from(millionths).ok().filter(|&share| share <= 1_000_000)
}

/// `10Gbit`, in bits per second.
pub(super) fn rate(word: &str) -> Option<u64> {
    let (value, unit) = split(word)?;
    let factor = match unit {
        "bit" => 1,
        "kbit" => 1_000,
        "Mbit" => 1_000_000,
        "Gbit" => 1_000_000_000,
        _ => return None,
    };
    scaled(value, factor).filter(|&rate| rate > 0)
}

/// `64KB`, in octets.
pub(super) fn octets(word: &str) -> Option<u64> {
    let (value, unit) = split(word)?;
    let factor = match unit {
        "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        _ => return None,
    };
    scaled(value, factor)
}

/// A number and its unit.
fn split(word: &str) -> Option<(&str, &str)> {
    let unit = word.find(|c: char| c.is_ascii_alphabetic())?;
    word.split_at_checked(unit)
}

/// A decimal number times a factor, exactly.
fn scaled(value: &str, factor: u64) -> Option<u64> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.is_empty() || text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) || part.len() > 9 {
        return None;
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let scale = 10u64.pow(u32::try_from(part.len()).ok()?);
    let part = number(part)?.checked_mul(factor)?;
    if part % scale != 0 {
        return None;
    }
    number(whole)?.checked_mul(factor)?.checked_add(part / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_and_garbage_is_refused() {
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("50us"), Some(Duration::from_micros(50)));
        assert_eq!(share("0.1%"), Some(1_000));
        assert_eq!(rate("2.5Gbit"), Some(2_500_000_000));
        assert_eq!(octets("64KB"), Some(65_536));
        for word in ["", "s", "1", "-1s", "1.s.", "1x", "0.5ns", "99999999999h"] {
            assert_eq!(duration(word), None, "{word}");
        }
        assert_eq!((share("101%"), share("5")), (None, None));
    }
}
