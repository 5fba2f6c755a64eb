//! What the demonstration and the benchmarks are made of, once around, for every make.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

use std::thread;
use std::time::Duration;

use bugle_testbed::chain::Chain;
use bugle_testbed::contender::Make;
use bugle_testbed::moves::MoveLab;
use bugle_testbed::{Lab, Result};

/// A default FRR or BIRD drops a second change of an LSA within a second, and then takes up to 10 s.
const PAUSE: Duration = Duration::from_secs(2);

/// Far more than any of these takes, BIRD's ticks included.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_machine_moves_there_and_back_with_every_make() -> Result<()> {
    if Lab::for_test("moves")?.is_none() {
        return Ok(());
    }
    for make in Make::ALL {
        let mut lab = MoveLab::start(make, make)?;
        lab.converge()?;
        for _ in 0..2 {
            thread::sleep(PAUSE);
            let result = lab.move_machine()?;
            assert!(result.rerouted.is_some(), "{make}: {result:?}");
            assert!(result.outage.duration.is_some(), "{make}: {result:?}");
        }
    }
    Ok(())
}

#[test]
fn a_host_route_comes_and_goes_through_a_mixed_chain() -> Result<()> {
    if Lab::for_test("mixed")?.is_none() {
        return Ok(());
    }
    let mut chain = Chain::start(&[Make::Bugle, Make::FrrTuned, Make::Bird, Make::Bugle])?;
    assert!(chain.add(1, LIMIT)?.is_some());
    assert!(chain.remove(1, LIMIT)?.is_some());
    Ok(())
}
