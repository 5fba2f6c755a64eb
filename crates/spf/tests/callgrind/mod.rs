//! Counts the instructions that a piece of work takes, and holds them to a baseline: steadier than time on a busy machine.
//!
//! The test runs its own program once more for each piece of work, under valgrind's callgrind.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Pieces of work by name. Each prepares what it needs, and returns what is to be counted.
pub(crate) type Workloads<'a> = &'a [(&'a str, fn() -> Box<dyn FnMut()>)];

/// Tells the program under valgrind what to do.
const WORKLOAD: &str = "BUGLE_COUNT_INSTRUCTIONS_OF";
/// Makes the test write the baseline.
const UPDATE: &str = "BUGLE_UPDATE_INSTRUCTIONS";
/// How far, in percent, a count may be from the baseline if the compiler is the one that the baseline names.
const TOLERANCE: u64 = 3;
/// The same for any other compiler: each optimises a little differently. Enough to tell when something costs twice as much.
const TOLERANCE_OF_ANOTHER_COMPILER: u64 = 30;

/// Compares the instructions that each of `workloads` takes with the file `baseline`. `test` is the name of the test that
/// calls this, and does nothing else.
///
/// # Errors
///
/// What is wrong, if a count is not in the baseline, or too far from it either way; or if there is no valgrind.
pub(crate) fn compare(
    test: &str,
    baseline: &Path,
    workloads: Workloads<'_>,
) -> Result<(), Box<dyn Error>> {
    if let Ok(name) = env::var(WORKLOAD) {
        let workload = workloads.iter().find(|workload| workload.0 == name);
        let mut work = workload.ok_or_else(|| format!("{WORKLOAD}={name}: no such work"))?.1();
        bugle_counted_region(&mut work);
        return Ok(());
    }
    let compiler = compiler()?;
    let counts: Vec<(&str, u64)> = workloads
        .iter()
        .map(|&(name, _)| Ok((name, count(test, name)?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    if env::var_os(UPDATE).is_some() {
        let lines = counts.iter().map(|(name, count)| format!("{name} {count}\n"));
        fs::write(baseline, format!("{compiler}\n{}", lines.collect::<String>()))?;
        return Ok(());
    }

    let old = fs::read_to_string(baseline)?;
    let mut lines = old.lines();
    let same = lines.next() == Some(&compiler);
    let tolerance = if same { TOLERANCE } else { TOLERANCE_OF_ANOTHER_COMPILER };
    let known: BTreeMap<&str, u64> = lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let within = |name, count: u64| {
        known.get(name).is_some_and(|known| count.abs_diff(*known) * 100 <= known * tolerance)
    };
    if known.len() == counts.len() && counts.iter().all(|&(name, count)| within(name, count)) {
        return Ok(());
    }
    let lines = counts.iter().map(|(name, count)| {
        let was = known.get(name).map_or_else(|| "unknown".to_owned(), u64::to_string);
        format!("  {name}: {count}, was {was}\n")
    });
    Err(format!(
        "not within {tolerance} % of {}, with {compiler}:\n{}\
         If this is meant to be, run the test once with {UPDATE}=1 and CARGO_INCREMENTAL=0, on which counts depend, and commit \
         the file.",
        baseline.display(),
        lines.collect::<String>(),
    )
    .into())
}

/// How many instructions the work called `name` takes.
fn count(test: &str, name: &str) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*bugle_counted_region*")
        .arg(env::current_exe()?)
        .args(["--exact", test, "--test-threads=1"])
        .env(WORKLOAD, name)
        .output()
        .map_err(|error| format!("valgrind, which make setup brings: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines()
        .filter(|_| output.status.success())
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .filter(|&count| count > 0)
        .ok_or_else(|| format!("valgrind counted nothing of {name}:\n{said}").into())
}

/// What callgrind counts: its name tells where it begins and ends.
#[inline(never)]
fn bugle_counted_region(work: &mut dyn FnMut()) {
    work();
    // Lest the call above become a jump.
    black_box(());
}

/// The compiler at hand, which has built the test, unless somebody has changed it since.
fn compiler() -> Result<String, Box<dyn Error>> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("rustc: {error}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
