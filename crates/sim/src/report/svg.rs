//! The picture: how long flows were out, and what routers did over time.

use std::fmt::Write;
use std::time::Duration;

use super::{Report, short};
use crate::tally::Activity;

const WIDTH: u64 = 900;
const HEIGHT: u64 = 220;
const LEFT: u64 = 90;
const TOP: u64 = 40;
/// From one plot to the next.
const STEP: u64 = TOP + HEIGHT + 40;

pub(super) fn draw(report: &Report) -> String {
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = write(report, &mut svg);
    svg
}

fn write(report: &Report, svg: &mut String) -> std::fmt::Result {
    let (width, height) = (LEFT + WIDTH + 30, 3 * STEP + 20);
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">"
    )?;
    writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>")?;
    writeln!(svg, "<title>{}</title>", escaped(&report.title))?;
    distribution(report, svg)?;
    over_time(report, svg, STEP, "packets other than Hellos", "#2166ac", |a| a.updates)?;
    over_time(report, svg, 2 * STEP, "runs of SPF", "#b2182b", |a| a.spf_runs)?;
    writeln!(svg, "</svg>")
}

/// How many of a hundred outages were at most so long; time grows tenfold with each step.
fn distribution(report: &Report, svg: &mut String) -> std::fmt::Result {
    frame(svg, 0, &format!("outages of flows: {}", report.outages.len()), "100 %")?;
    let (Some(&first), Some(&last)) = (report.outages.first(), report.outages.last()) else {
        return Ok(());
    };
    let (low, high) = (first.max(1).ilog10(), last.max(1).ilog10() + 1);
    let decades = u64::from(high - low);
    for step in low..=high {
        let x = LEFT + WIDTH * u64::from(step - low) / decades;
        let label = short(Duration::from_nanos(10u64.saturating_pow(step)));
        axis(svg, x, TOP + HEIGHT, &label)?;
    }
    let mut points = format!("{LEFT},{} ", TOP + HEIGHT);
    let count = u64::try_from(report.outages.len()).unwrap_or(1);
    let mut y = TOP + HEIGHT;
    // As many steps as there are pixels are enough.
    let stride = (report.outages.len() / 1000).max(1);
    for (place, &lost) in (1..).zip(&report.outages) {
        if place % stride as u64 != 0 && place != count {
            continue;
        }
        let x = LEFT + WIDTH * thousandths_of_log(lost, low) / (1000 * decades);
        write!(points, "{x},{y} ")?;
        y = TOP + HEIGHT - HEIGHT * place / count;
        write!(points, "{x},{y} ")?;
    }
    line(svg, &points, "#1b7837")
}

/// A thousand times the decimal logarithm, less `low`; straight between powers of ten is near enough for a plot.
fn thousandths_of_log(value: u64, low: u32) -> u64 {
    let value = value.max(1);
    let whole = value.ilog10();
    let floor = 10u64.pow(whole);
    let thousandths = u128::from(value - floor) * 1000 / (u128::from(floor) * 9);
    u64::from(whole.saturating_sub(low)) * 1000 + u64::try_from(thousandths).unwrap_or(0)
}

fn over_time(
    report: &Report,
    svg: &mut String,
    top: u64,
    name: &str,
    color: &str,
    value: fn(&Activity) -> u64,
) -> std::fmt::Result {
    /// Four pixels each.
    const BINS: u64 = WIDTH / 4;
    let lived = u64::try_from(report.lived.as_nanos()).unwrap_or(u64::MAX).max(1);
    let mut bins: Vec<u64> = (0..BINS).map(|_| 0).collect();
    for (start, activity) in &report.slices {
        let bin = u128::from(*start) * u128::from(BINS) / u128::from(lived);
        if let Some(bin) = usize::try_from(bin).ok().and_then(|bin| bins.get_mut(bin)) {
            *bin += value(activity);
        }
    }
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let each = short(Duration::from_nanos(lived / BINS));
    frame(svg, top, &format!("{name}, in each {each}"), &most.to_string())?;
    for step in 0..=5 {
        let at = short(Duration::from_nanos(lived / 5 * step));
        axis(svg, LEFT + WIDTH * step / 5, top + TOP + HEIGHT, &at)?;
    }
    let bottom = top + TOP + HEIGHT;
    let mut points = format!("{LEFT},{bottom} ");
    for (place, count) in (0..).zip(bins) {
        let (from, to) = (LEFT + WIDTH * place / BINS, LEFT + WIDTH * (place + 1) / BINS);
        let y = bottom - HEIGHT * count / most;
        write!(points, "{from},{y} {to},{y} ")?;
    }
    line(svg, &points, color)
}

fn frame(svg: &mut String, top: u64, name: &str, most: &str) -> std::fmt::Result {
    let (top, bottom) = (top + TOP, top + TOP + HEIGHT);
    let (above, beside) = (top - 12, LEFT - 8);
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{above}\" font-weight=\"bold\">{}</text>",
        escaped(name)
    )?;
    writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" \
         stroke=\"#999\"/>"
    )?;
    writeln!(svg, "<text x=\"{beside}\" y=\"{top}\" text-anchor=\"end\">{most}</text>")?;
    writeln!(svg, "<text x=\"{beside}\" y=\"{bottom}\" text-anchor=\"end\">0</text>")
}

fn axis(svg: &mut String, x: u64, y: u64, label: &str) -> std::fmt::Result {
    let (tick, below) = (y + 5, y + 20);
    writeln!(svg, "<path d=\"M{x} {y}V{tick}\" stroke=\"#999\"/>")?;
    writeln!(svg, "<text x=\"{x}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>")
}

fn line(svg: &mut String, points: &str, color: &str) -> std::fmt::Result {
    let points = points.trim_end();
    writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
