//! A host route added and deleted, until the kernel one hop away has it.

use std::thread;
use std::time::Duration;

use bugle_testbed::Result;
use bugle_testbed::chain::Chain;
use bugle_testbed::contender::Make;
use bugle_testbed::summary::{Summary, comparison, stagger};
use bugle_testbed::tools::say;

/// From one host route of a contender to its next. A host is removed only after all were added: a default FRR or BIRD takes seconds
/// to accept a second change of one LSA within a second.
const SPACING: Duration = Duration::from_millis(1500);

/// Host routes that have not arrived by then never do, for the table.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The first host makes the router a border router, which takes a default FRR 6 s when its adjacency is as young as itself: it is
/// added before the measurement starts.
const SETTLE: Duration = Duration::from_secs(8);

struct Pair {
    name: String,
    chain: Chain,
    added: Vec<Option<Duration>>,
    removed: Vec<Option<Duration>>,
}

pub(crate) fn run(makes: &[Make], count: u8) -> Result<()> {
    say(&format!(
        "\n## Host route, one hop\n\n{count} host routes, added and then removed, about every {} ms for each contender; until the kernel of the \
         next router followed.\n",
        SPACING.as_millis()
    ));
    let mut combinations: Vec<(Make, Make)> = makes.iter().map(|make| (*make, *make)).collect();
    if makes.contains(&Make::Bugle) {
        let mixed =
            [Make::FrrDefault, Make::FrrTuned].into_iter().filter(|make| makes.contains(make));
        combinations.extend(mixed.map(|spine| (Make::Bugle, spine)));
    }
    let mut pairs = Vec::new();
    for (origin, spine) in combinations {
        let name = if origin == spine {
            origin.to_string()
        } else {
            format!("{origin}, {spine} receives")
        };
        let mut chain = Chain::start(&[origin, spine])?;
        chain.add(0, GIVE_UP)?;
        pairs.push(Pair { name, chain, added: Vec::new(), removed: Vec::new() });
    }
    let pause = SPACING / u32::try_from(pairs.len()).unwrap_or(1).max(1);
    thread::sleep(SETTLE);
    for number in 1..=count {
        thread::sleep(stagger(number.into()));
        for pair in &mut pairs {
            pair.added.push(pair.chain.add(number, GIVE_UP)?);
            thread::sleep(pause);
        }
    }
    for number in 1..=count {
        thread::sleep(stagger(number.into()));
        for pair in &mut pairs {
            pair.removed.push(pair.chain.remove(number, GIVE_UP)?);
            thread::sleep(pause);
        }
    }
    for (what, of) in [("added", true), ("removed", false)] {
        let rows: Vec<(&str, Option<Summary>)> = pairs
            .iter()
            .map(|pair| {
                let series = if of { &pair.added } else { &pair.removed };
                (pair.name.as_str(), Summary::of(series.iter().copied()))
            })
            .collect();
        say(&comparison(&format!("{what}, ms"), &rows));
    }
    Ok(())
}
