//! Failures under traffic to many prefixes: each is repaired, and leaves nothing behind in the kernel.
use std::time::Duration;

use bugle_testbed::contender::Make;
use bugle_testbed::failover::{Contender, FailoverLab, Failure, Moment};
use bugle_testbed::{Lab, Node, Result};

const PREFIXES: u32 = 1000;

const SOON: Duration = Duration::from_secs(30);

/// How many routes and nexthop objects of bugle's the kernel holds.
fn held(node: &Node) -> Result<(usize, usize)> {
    let count = |what: &str| Ok(node.ip(what)?.lines().count());
    Ok((count("-o route show table all proto 182")?, count("-o nexthop show proto 182")?))
}

#[test]
fn every_failure_is_repaired_and_leaves_nothing_behind() -> Result<()> {
    // Says so where labs cannot run.
    if Lab::for_test("failover")?.is_none() {
        return Ok(());
    }
    let mut lab = FailoverLab::start(Contender::Ospf(Make::Bugle), PREFIXES, 50)?;
    lab.wait_for_rest()?;
    let before = held(lab.tested())?;
    assert!(before.0 >= PREFIXES as usize);
    for failure in [Failure::Silent, Failure::Carrier, Failure::Remote, Failure::Remote] {
        let repair = lab.fail(failure, Moment::AtRest, Duration::from_secs(2))?;
        assert!(repair.is_some(), "{failure:?}: traffic found no other way");
        // An object that turned to another path and back can be one too many, as long as it is in use; one more each time is not.
        lab.lab().wait_for(SOON, "the kernel as it was", || {
            held(lab.tested()).is_ok_and(|now| now.0 == before.0 && now.1 <= before.1 + 1)
        })?;
    }
    Ok(())
}
