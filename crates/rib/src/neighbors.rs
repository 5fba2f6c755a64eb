//! Permanent neighbour entries.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bugle_types::{IfIndex, Mac};

use crate::fib::FibOp;
use crate::links::Links;
use crate::ops::Ops;
use crate::shadow::Stage;

/// The neighbour entries that should be there, and those that are.
#[derive(Debug, Default)]
pub(crate) struct Neighbors(BTreeMap<(IfIndex, IpAddr), Entry>);

#[derive(Debug, Default)]
struct Entry {
    wanted: Option<Mac>,
    held: Option<Mac>,
    /// `held` is certain. It is not after the link was lost: carrier loss spares permanent entries, setting the link down
    /// does not.
    sure: bool,
}

impl Neighbors {
    /// Asks for an entry, or for none.
    pub(crate) fn want(
        &mut self,
        ifindex: IfIndex,
        address: IpAddr,
        mac: Option<Mac>,
        can_put: bool,
        ops: &mut Ops,
    ) {
        let key = (ifindex, address);
        let entry = self.0.entry(key).or_default();
        entry.wanted = mac;
        entry.settle(key, can_put, ops);
        if entry.is_void() {
            self.0.remove(&key);
        }
    }

    /// The link can be used.
    pub(crate) fn link_usable(&mut self, ifindex: IfIndex, ops: &mut Ops) {
        for (key, entry) in self.0.range_mut(on(ifindex)) {
            if entry.wanted.is_some() {
                entry.settle(*key, true, ops);
            }
        }
    }

    /// The link cannot be used; entries may have gone, and are gone if the interface is.
    pub(crate) fn link_lost(&mut self, ifindex: IfIndex, interface_gone: bool) {
        for (_, entry) in self.0.range_mut(on(ifindex)) {
            entry.sure = false;
            if interface_gone {
                entry.held = None;
            }
        }
        self.drop_void();
    }

    /// Takes what was found for the truth.
    pub(crate) fn reconcile(&mut self, found: &[(IfIndex, IpAddr, Mac)]) {
        for entry in self.0.values_mut() {
            entry.held = None;
        }
        for &(ifindex, address, mac) in found {
            let entry = self.0.entry((ifindex, address)).or_default();
            entry.held = Some(mac);
            entry.sure = true;
        }
        self.drop_void();
    }

    /// Brings every entry in line, as far as the stage allows.
    pub(crate) fn settle(&mut self, links: &Links, stage: Stage, ops: &mut Ops) {
        for (key, entry) in &mut self.0 {
            match (stage, entry.wanted) {
                (Stage::Adopting, None) => {}
                (Stage::Adopting | Stage::Swept, _) => {
                    entry.settle(*key, links.is_usable(key.0), ops);
                }
                (Stage::Flushed, _) => entry.delete(*key, ops),
            }
        }
        self.drop_void();
    }

    /// How many entries are believed to be there.
    pub(crate) fn count(&self) -> usize {
        self.0.values().filter(|entry| entry.held.is_some()).count()
    }

    fn drop_void(&mut self) {
        self.0.retain(|_, entry| !entry.is_void());
    }
}

impl Entry {
    fn settle(&mut self, key: (IfIndex, IpAddr), can_put: bool, ops: &mut Ops) {
        let Some(mac) = self.wanted else { return self.delete(key, ops) };
        if can_put && !(self.sure && self.held == Some(mac)) {
            ops.push(FibOp::PutNeighbor { ifindex: key.0, address: key.1, mac });
            self.held = Some(mac);
            self.sure = true;
        }
    }

    fn delete(&mut self, (ifindex, address): (IfIndex, IpAddr), ops: &mut Ops) {
        if self.held.take().is_some() {
            ops.push(FibOp::DelNeighbor { ifindex, address });
        }
    }

    fn is_void(&self) -> bool {
        self.wanted.is_none() && self.held.is_none()
    }
}

/// All addresses on a link.
fn on(ifindex: IfIndex) -> std::ops::RangeInclusive<(IfIndex, IpAddr)> {
    let last = Ipv6Addr::from(u128::MAX);
    (ifindex, Ipv4Addr::UNSPECIFIED.into())..=(ifindex, last.into())
}
