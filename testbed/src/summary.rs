//! Figures: what many measurements say, and tables of it.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// What a series of measurements says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many found nothing in the time they had.
    pub missing: usize,
    /// The least of those found.
    pub best: Duration,
    /// Half of those found are not above it.
    pub median: Duration,
    /// 99 of a hundred found are not above it; with few measurements, the worst.
    pub p99: Duration,
    /// The greatest of those found.
    pub worst: Duration,
}

impl Summary {
    /// Sums up; `None` stands for a measurement that found nothing in its time. `None` if all did.
    #[must_use]
    pub fn of(measurements: impl IntoIterator<Item = Option<Duration>>) -> Option<Self> {
        let all: Vec<_> = measurements.into_iter().collect();
        let mut found: Vec<_> = all.iter().copied().flatten().collect();
        found.sort_unstable();
        let rank = |percent: usize| {
            found.get((found.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        Some(Self {
            missing: all.len() - found.len(),
            best: *found.first()?,
            median: rank(50)?,
            p99: rank(99)?,
            worst: *found.last()?,
        })
    }
}

/// Milliseconds with as many digits as mean something.
#[must_use]
pub fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    let digits = match millis {
        ..0.1 => 3,
        ..10.0 => 2,
        _ => usize::from(millis < 100.0),
    };
    format!("{millis:.digits$}")
}

/// How many times `slower` takes as long as `faster`, for a reader.
#[must_use]
pub fn ratio(slower: Duration, faster: Duration) -> String {
    let ratio = slower.as_secs_f64() / faster.as_secs_f64().max(1e-9);
    let digits = usize::from(ratio < 10.0) + usize::from(ratio < 0.95);
    format!("{ratio:.digits$}x")
}

/// A part of a second that differs from round to round, so that measurements meet daemons' own clocks, such as BIRD's tick of 1 s,
/// at every phase.
#[must_use]
pub fn stagger(round: u32) -> Duration {
    const STEP: Duration = Duration::from_millis(377);
    Duration::from_nanos((STEP * round).subsec_nanos().into())
}

/// A table as text, which is Markdown too: the first column to the left, figures to the right.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table.add_rows(rows.iter().cloned());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Series side by side: what each took, and how many times the first one's median.
#[must_use]
pub fn comparison(what: &str, series: &[(&str, Option<Summary>)]) -> String {
    let reference = series.first().copied();
    let mut rows = Vec::new();
    for (name, summary) in series {
        let mut row = vec![(*name).to_owned()];
        row.extend(columns(*summary));
        let reference = reference.and_then(|(_, reference)| reference);
        row.push(match (summary, reference) {
            (Some(summary), Some(reference)) => ratio(summary.median, reference.median),
            _ => "-".to_owned(),
        });
        rows.push(row);
    }
    let times = reference.map_or_else(String::new, |(name, _)| format!("times {name}'s"));
    table(&[what, "best", "median", "p99", "worst", "never", &times], &rows) + "\n"
}

/// Best, median, 99th percentile, worst and the number of failures, in milliseconds.
#[must_use]
pub fn columns(summary: Option<Summary>) -> [String; 5] {
    let Some(Summary { best, median, p99, worst, missing, .. }) = summary else {
        return ["-", "-", "-", "-", "all"].map(str::to_owned);
    };
    [millis(best), millis(median), millis(p99), millis(worst), missing.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn percentiles_are_measurements_by_nearest_rank() {
        let summary = Summary::of((1..=200).rev().map(|n| Some(ms(n)))).unwrap();
        assert_eq!((summary.best, summary.median), (ms(1), ms(100)));
        assert_eq!((summary.p99, summary.worst), (ms(198), ms(200)));
        let summary = Summary::of([Some(ms(3)), None, Some(ms(1))]).unwrap();
        assert_eq!((summary.median, summary.p99, summary.missing), (ms(1), ms(3), 1));
        assert_eq!(Summary::of([None]), None);
    }

    #[test]
    fn figures_have_no_more_digits_than_they_mean() {
        assert_eq!(millis(Duration::from_micros(51)), "0.051");
        assert_eq!(millis(Duration::from_micros(1234)), "1.23");
        assert_eq!(millis(Duration::from_micros(12_345)), "12.3");
        assert_eq!(millis(Duration::from_micros(1_234_567)), "1235");
        assert_eq!(ratio(ms(21), ms(7)), "3.0x");
    }
}
