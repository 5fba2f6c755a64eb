//! A host route through a chain of routers.

use std::thread;
use std::time::Duration;

use bugle_testbed::Result;
use bugle_testbed::chain::Chain;
use bugle_testbed::contender::Make;
use bugle_testbed::summary::{Summary, comparison, stagger};
use bugle_testbed::tools::say;

/// Between two host routes, and a different part of a second more.
const SPACING: Duration = Duration::from_secs(1);

/// The first host makes the router a border router: it is added before the measurement starts.
const SETTLE: Duration = Duration::from_secs(8);

const GIVE_UP: Duration = Duration::from_secs(10);

pub(crate) fn run(makes: &[Make], routers: u8, count: u8) -> Result<()> {
    say(&format!(
        "\n## Host route through a chain of {routers} routers\n\n{count} host routes added at one end; until the kernel at the other end \
         has each.\n"
    ));
    let mut rows = Vec::new();
    for make in makes {
        let mut chain = Chain::start(&vec![*make; routers.into()])?;
        chain.add(0, GIVE_UP)?;
        thread::sleep(SETTLE);
        let mut series = Vec::new();
        for number in 1..=count {
            series.push(chain.add(number, GIVE_UP)?);
            thread::sleep(SPACING + stagger(number.into()));
        }
        rows.push((make.to_string(), Summary::of(series)));
    }
    let rows: Vec<_> = rows.iter().map(|(name, summary)| (name.as_str(), *summary)).collect();
    say(&comparison("added, ms", &rows));
    Ok(())
}
