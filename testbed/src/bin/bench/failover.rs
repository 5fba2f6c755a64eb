//! A link that fails, until traffic to the last of many prefixes has another way.

use std::time::Duration;

use bugle_testbed::Result;
use bugle_testbed::contender::Make;
use bugle_testbed::failover::{Contender, FailoverLab, Failure, Moment, Repair};
use bugle_testbed::summary::{Summary, millis, ratio, table};
use bugle_testbed::tools::say;

/// What is measured: what fails and when, and how often BFD looks.
const CASES: [(Failure, Moment, &str, u32); 7] = [
    (Failure::Silent, Moment::AtRest, "silent failure, BFD 3 x 50 ms", 50),
    (Failure::Carrier, Moment::AtRest, "carrier loss, BFD 3 x 50 ms", 50),
    (
        Failure::Shut,
        Moment::AtRest,
        "carrier loss as the other end's kernel is shut, BFD 3 x 50 ms",
        50,
    ),
    (Failure::Silent, Moment::AtRest, "silent failure, BFD 3 x 10 ms", 10),
    (Failure::Silent, Moment::JustBack, "silent failure of a link just back, BFD 3 x 10 ms", 10),
    (Failure::Carrier, Moment::AtRest, "carrier loss, BFD 3 x 10 ms", 10),
    (Failure::Remote, Moment::AtRest, "a link of a neighbour fails silently, BFD 3 x 10 ms", 10),
];

/// The first and the last prefix of each repair.
type Repairs = Vec<Option<Repair>>;

pub(crate) fn run(makes: &[Make], loads: &[u32], count: u32) {
    let with_isis = [(Make::Bugle, Contender::BugleIsis), (Make::FrrTuned, Contender::FrrIsis)];
    let with_isis = with_isis.into_iter().filter(|(make, _)| makes.contains(make));
    let contenders: Vec<Contender> =
        makes.iter().copied().map(Contender::Ospf).chain(with_isis.map(|(_, it)| it)).collect();
    for &prefixes in loads {
        let mut results: Vec<(Contender, Result<Vec<Repairs>, String>)> = Vec::new();
        for contender in &contenders {
            // BIRD 2.0.12 dies of 100,000 external routes, and an LSP of isisd does not hold them: these are results, too.
            let result = measure(*contender, prefixes, count);
            results.push((*contender, result.map_err(|e| first_line(&e))));
        }
        for (number, (_, _, title, _)) in CASES.iter().enumerate() {
            say(&format!(
                "\n## {prefixes} prefixes: {title}\n\nFrom the first packet lost to the first that was not, of {count} failures, in ms, for the first and \
                 the last prefix of all.\n"
            ));
            let repairs = |result: &Result<Vec<Repairs>, String>| {
                result.as_ref().ok().and_then(|cases| cases.get(number)).cloned()
            };
            let last = |repairs: &Repairs| Summary::of(repairs.iter().map(|r| r.map(|r| r.last)));
            let reference =
                results.first().and_then(|(_, result)| last(&repairs(result)?)).map(|s| s.median);
            let rows: Vec<_> = results
                .iter()
                .map(|(contender, result)| {
                    row(*contender, result.as_ref().err(), repairs(result), reference)
                })
                .collect();
            let times =
                results.first().map_or_else(String::new, |(first, _)| format!("times {first}'s"));
            say(&table(
                &["", "first: median", "last: best", "median", "worst", &times, "packets lost"],
                &rows,
            ));
            for (contender, result) in results.iter().filter(|(contender, _)| contender.is_bugle())
            {
                let all: Repairs = repairs(result).unwrap_or_default();
                let all: Vec<Repair> = all.into_iter().flatten().collect();
                let from = &format!("{contender}, from the detection");
                account(from, "its own change to the kernel made", all.iter().map(|r| r.diverted));
                let reactions = || all.iter().map(|repair| repair.reaction);
                account(from, "the last packet lost sent", reactions().map(|r| Some(r?.0)));
                account(from, "the last prefix repaired", reactions().map(|r| Some(r?.1)));
                let from = &format!("{contender}, from the first packet lost");
                account(from, "the kernel tells of the carrier", all.iter().map(|r| r.told));
            }
        }
    }
}

/// Says when something was done, if it was.
fn account(from: &str, what: &str, after: impl Iterator<Item = Option<Duration>>) {
    if let Some(after) = Summary::of(after.flatten().map(Some)) {
        say(&format!(
            "\n{from}: {what} after {} ms (median; {} at best, {} at worst).",
            millis(after.median),
            millis(after.best),
            millis(after.worst),
        ));
    }
}

fn row(
    contender: Contender,
    failed: Option<&String>,
    repairs: Option<Repairs>,
    reference: Option<Duration>,
) -> Vec<String> {
    let mut row = vec![contender.to_string()];
    let repairs = repairs.unwrap_or_default();
    let of = |what: fn(&Repair) -> Duration| {
        Summary::of(repairs.iter().map(|repair| repair.as_ref().map(what)))
    };
    let (Some(first), Some(last)) = (of(|r| r.first), of(|r| r.last)) else {
        row.push(failed.map_or("never", String::as_str).to_owned());
        row.extend(["-"; 5].map(str::to_owned));
        return row;
    };
    let mut packets: Vec<usize> = repairs.iter().flatten().map(|repair| repair.lost).collect();
    packets.sort_unstable();
    row.extend([millis(first.median), millis(last.best), millis(last.median)]);
    row.push(match last.missing {
        0 => millis(last.worst),
        missing => format!("{missing} never"),
    });
    row.push(reference.map_or_else(|| "-".to_owned(), |reference| ratio(last.median, reference)));
    row.push(packets.get(packets.len() / 2).map_or_else(|| "-".to_owned(), usize::to_string));
    row
}

/// What each case took, `count` times.
fn measure(contender: Contender, prefixes: u32, count: u32) -> Result<Vec<Repairs>> {
    let (is_large, is_ours) = (prefixes > 10_000, contender.is_bugle());
    let patience = Duration::from_secs(match (is_large, is_ours) {
        (false, true) => 1,
        (true, true) => 2,
        (false, false) => 3,
        (true, false) => 7,
    });
    // Others take half a minute for each failure then, bringing the link back included.
    let count = if is_large && !is_ours { 1 } else { count };
    let mut results: Vec<Repairs> = vec![Vec::new(); CASES.len()];
    for bfd in [50, 10] {
        let mut lab = FailoverLab::start(contender, prefixes, bfd)?;
        for _ in 0..count {
            for ((failure, moment, _, millis), repairs) in CASES.iter().zip(&mut results) {
                if *millis == bfd {
                    repairs.push(lab.fail(*failure, *moment, patience)?);
                }
            }
        }
    }
    Ok(results)
}

fn first_line(error: &bugle_testbed::LabError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
