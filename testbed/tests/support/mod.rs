//! What the tests of bugle in a network share.

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_testbed::contender::BUGLE_HOSTS;
use bugle_testbed::{Bugled, Interface, Lab, Node, Ospf, Result, Vm};
use bugle_types::{Mac, Prefix};
use serde_json::Value;

/// Enough for every default timer of the routers in these tests.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The port of the machine on its hypervisor.
pub(crate) const TAP: &str = "tap0";

/// A machine.
pub(crate) const VM: Vm = machine(9);

/// A machine with a number of its own.
pub(crate) const fn machine(number: u8) -> Vm {
    Vm {
        address: Ipv4Addr::new(10, 100, 0, number),
        mac: Mac([0x52, 0x54, 0x00, 0x00, 0x00, number]),
    }
}

pub(crate) fn host(address: Ipv4Addr) -> Prefix {
    Prefix::host(address.into())
}

/// Router `number` with these interfaces; a peer announces the kernel's routes.
pub(crate) fn router(number: u8, interfaces: Vec<Interface>) -> Ospf {
    let mut ospf = Ospf::new(Ipv4Addr::new(192, 0, 2, number), interfaces);
    ospf.redistribute_kernel = true;
    ospf
}

/// bugle as router `number`.
pub(crate) fn bugle(
    lab: &Lab,
    node: &Node,
    number: u8,
    interfaces: Vec<Interface>,
) -> Result<Bugled> {
    Bugled::start(lab, node, &(router(number, interfaces).bugle() + BUGLE_HOSTS))
}

/// How many neighbours bugle has in state Full.
pub(crate) fn full(bugled: &Bugled) -> usize {
    let neighbors = bugled.neighbors().unwrap_or_default();
    neighbors.iter().filter(|neighbor| neighbor.is_full()).count()
}

/// Waits until the kernel's route to a host leads to these gateways, in order; none: that there is no route.
pub(crate) fn wait_for_gateways(
    lab: &Lab,
    node: &Node,
    address: Ipv4Addr,
    gateways: &[Ipv4Addr],
) -> Result<()> {
    let what = format!("{} to route {address} to {gateways:?}", node.name());
    lab.wait_for(SOON, &what, || {
        node.gateways(&host(address).to_string()).is_ok_and(|found| found == gateways)
    })
}

/// Waits until some entry of a `show` command satisfies a condition.
pub(crate) fn wait_for_entry(
    lab: &Lab,
    bugled: &Bugled,
    command: &str,
    what: &str,
    condition: impl Fn(&Value) -> bool,
) -> Result<()> {
    let mut last = Value::Null;
    let waited = lab.wait_for(SOON, &format!("{what} in {command}"), || {
        last = bugled.show(command).unwrap_or_default();
        last.as_array().is_some_and(|entries| entries.iter().any(&condition))
    });
    waited.map_err(|_| lab.timeout(SOON, &format!("{what} in {command}, which says {last}")))
}
