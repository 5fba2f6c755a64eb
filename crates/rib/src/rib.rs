//! The engine.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::{IfIndex, Nexthop, Prefix, TableId, Time, VrfId};

use crate::fib::{FibOp, FibSnapshot, NexthopId, Removable, RouteKey};
use crate::io::{Counters, Event, Input, Output, Timer};
use crate::object::Path;
use crate::ops::Ops;
use crate::reading::{Reading, SETTLE};
use crate::route::{Protocol, Route, RouteChange, SelectedRoute};
use crate::shadow::{Shadow, Stage};
use crate::table::Table;

/// After a link is lost, routing has this long to settle before the forwarding table is looked through.
const AFTER_LOSS: Duration = Duration::from_secs(1);

/// Takes each protocol's routes and asks for the changes that bring the best of them into the forwarding table.
///
/// Call [`handle`](Self::handle) with whatever happens, then [`poll_output`](Self::poll_output) until it is empty, and carry
/// out what it says in that order. When [`deadline`](Self::deadline) has come, handle [`Input::Tick`]. No input fails.
///
/// **What is ours.** Nexthop objects in [`NexthopId::RANGE`](crate::fib::NexthopId::RANGE), routes and neighbours that carry our
/// protocol number: a snapshot holds nothing else, and nothing else is ever deleted. The engine is the only one to touch them.
///
/// **The start.** Nothing is put before the first snapshot, since ids would collide with those of a previous run; a VRF's
/// routes wait until its table was read. What the snapshot shows and a protocol wants is adopted as it is, without a
/// change; until [`Input::Sweep`] what nobody wants stays too, so that traffic goes on while the daemon learns anew.
///
/// **Doubt.** When a change fails, a link with something on it is lost, or somebody else interferes, the table is read
/// again and only the difference put right. While doubts persist, reads get rarer, down to one in about a minute.
#[derive(Debug)]
pub struct Rib {
    pub(crate) shadow: Shadow,
    pub(crate) tables: BTreeMap<VrfId, Table>,
    /// How many changes had been asked for before the awaited snapshot.
    asked: Option<u64>,
    reading: Reading,
    failures: u64,
    replaced: u64,
    /// A failure was told of since the last snapshot.
    told: bool,
    /// So was a route that somebody replaced.
    told_replaced: bool,
    /// What was told to be removable.
    removable: Removable,
}

impl Default for Rib {
    fn default() -> Self {
        Self::new()
    }
}

impl Rib {
    /// An engine that knows no routes and no links.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shadow: Shadow::new(),
            tables: BTreeMap::new(),
            asked: None,
            reading: Reading::new(),
            failures: 0,
            replaced: 0,
            told: false,
            told_replaced: false,
            removable: Removable::new(),
        }
    }

    /// Takes note of something that happened at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Tick => {}
            Input::Routes { vrf, protocol, changes } => {
                self.change_together(vrf, protocol, &changes);
                self.change_each(vrf, protocol, changes);
            }
            Input::Clear { vrf, protocol } => {
                let table = self.tables.entry(vrf).or_default();
                let prefixes: Vec<Prefix> = table.offered_by(protocol).collect();
                for prefix in prefixes {
                    table.change(&mut self.shadow, prefix, protocol, None);
                }
            }
            Input::Vrf { vrf, table } => self.set_table(now, vrf, table),
            Input::Neighbor { ifindex, address, mac } => {
                self.shadow.want_neighbor(ifindex, address, mac);
            }
            Input::Link { ifindex, usable: true } => {
                if self.shadow.link_usable(ifindex) {
                    self.settle_all();
                }
            }
            Input::Link { ifindex, usable: false } => self.link_lost(now, ifindex, false),
            Input::Reachable { ifindex, address, reachable } => {
                self.shadow.set_reachable(ifindex, address, reachable);
            }
            Input::Removed(ids) => self.removed(now, &ids),
            Input::LinkGone(ifindex) => self.link_lost(now, ifindex, true),
            Input::Snapshot(snapshot) => self.compare(now, snapshot),
            Input::Failed { op, reason } => self.failed(now, op, reason),
            Input::Disturbed => self.reading.doubt(now, SETTLE),
            Input::Replaced(key) => self.replaced(now, key),
            Input::Sweep => {
                self.shadow.enter(Stage::Swept);
                self.shadow.tidy();
            }
            Input::Flush => {
                for table in self.tables.values_mut() {
                    table.uninstall(&mut self.shadow);
                }
                self.shadow.enter(Stage::Flushed);
                self.shadow.tidy();
            }
        }
        self.shadow.collect();
        if let Some(removable) = self.shadow.removable().filter(|new| *new != self.removable) {
            self.removable.clone_from(&removable);
            self.ops().removable(removable);
        }
        if !self.shadow.is_read() && self.reading.deadline().is_none() {
            self.reading.need(now);
        }
        if self.reading.is_due(now) {
            self.asked = Some(self.shadow.ops.count);
            self.ops().read();
        }
    }

    /// The next thing to do; poll until `None` after each [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.ops().poll()
    }

    /// When to handle [`Input::Tick`], and why.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        self.reading.deadline().map(|time| (time, Timer::ReadFib))
    }

    /// What there is to show.
    #[must_use]
    pub const fn state(&self) -> State<'_> {
        State { rib: self }
    }

    fn change_each(&mut self, vrf: VrfId, protocol: Protocol, changes: Vec<RouteChange>) {
        if changes.is_empty() {
            return;
        }
        let table = self.tables.entry(vrf).or_default();
        for (prefix, route) in changes {
            let odd = route.as_ref().and_then(|route| odd_nexthop(prefix, route));
            if let Some(nexthop) = odd {
                self.shadow.ops.event(Event::MixedFamilies { vrf, prefix, protocol, nexthop });
            }
            let route = route.filter(|_| odd.is_none());
            let route = route.map(|route| (route.metric, Path::new(&route.nexthops, route.backup)));
            table.change(&mut self.shadow, prefix, protocol, route);
        }
    }

    fn set_table(&mut self, now: Time, vrf: VrfId, id: Option<TableId>) {
        let holder = |id: &TableId| {
            self.tables.iter().find(|(by, table)| **by != vrf && table.id() == Some(*id))
        };
        let taken = id.and_then(|id| holder(&id).map(|(by, _)| (id, *by)));
        if let Some((table, by)) = taken {
            self.ops().event(Event::TableTaken { vrf, table, by });
        }
        let id = id.filter(|_| taken.is_none());
        let table = self.tables.entry(vrf).or_default();
        if table.id() == id {
            return;
        }
        table.set_id(id, &mut self.shadow);
        if id.is_some() {
            self.reading.need(now);
        }
    }

    fn link_lost(&mut self, now: Time, ifindex: IfIndex, interface_gone: bool) {
        let Some(lost) = self.shadow.link_lost(ifindex, interface_gone) else { return };
        self.reading.doubt(now, AFTER_LOSS);
        if lost.can_return {
            self.settle_all();
        }
    }

    fn removed(&mut self, now: Time, ids: &[NexthopId]) {
        if let Some(lost) = self.shadow.removed(ids) {
            self.reading.doubt(now, if lost.routes > 0 { SETTLE } else { AFTER_LOSS });
        }
    }

    fn compare(&mut self, now: Time, snapshot: FibSnapshot) {
        self.reading.answered(now);
        (self.told, self.told_replaced) = (false, false);
        let (found, before) = (snapshot.routes.len(), self.shadow.ops.count);
        let asked = self.asked.take();
        let all_read = self.tables.values().all(Table::is_read);
        if all_read && asked.is_some_and(|count| count != before) {
            // It does not show the changes asked for meanwhile: taken for the truth, it would bring back what they deleted.
            self.reading.doubt(now, SETTLE);
            return;
        }
        self.shadow.reconcile(snapshot);
        for table in self.tables.values_mut() {
            table.forget_installed();
            table.set_read();
        }
        self.settle_all();
        self.shadow.refresh();
        self.shadow.tidy();
        self.shadow.collect();
        let changes = self.shadow.ops.count - before;
        // Before the first table is known, what is not there is not worth a word.
        if found > 0 || self.tables.values().any(|table| table.id().is_some()) {
            self.ops().event(Event::Compared { found, changes });
        }
    }

    fn failed(&mut self, now: Time, op: FibOp, reason: String) {
        self.failures += 1;
        self.reading.doubt(now, SETTLE);
        if !std::mem::replace(&mut self.told, true) {
            self.ops().event(Event::Failed { op, reason });
        }
    }

    fn replaced(&mut self, now: Time, key: RouteKey) {
        let is_ours = self.tables.values().any(|table| table.holds(key, &self.shadow));
        if !is_ours {
            return;
        }
        self.replaced += 1;
        self.reading.doubt(now, SETTLE);
        if !std::mem::replace(&mut self.told_replaced, true) {
            self.ops().event(Event::Replaced { key });
        }
    }

    fn settle_all(&mut self) {
        for table in self.tables.values_mut() {
            table.settle_all(&mut self.shadow);
        }
    }

    const fn ops(&mut self) -> &mut Ops {
        &mut self.shadow.ops
    }
}

/// A view of a [`Rib`] for showing.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    rib: &'a Rib,
}

impl<'a> State<'a> {
    /// The VRFs that routes or a table were told of.
    pub fn vrfs(&self) -> impl Iterator<Item = VrfId> + use<'a> {
        self.rib.tables.keys().copied()
    }

    /// The best route of each prefix of a VRF, in the order of prefixes.
    pub fn routes(&self, vrf: VrfId) -> impl Iterator<Item = SelectedRoute<'a>> + use<'a> {
        let rib = self.rib;
        rib.tables.get(&vrf).into_iter().flat_map(|table| table.iter(&rib.shadow))
    }

    /// All routes that protocols offer for a prefix, the best first.
    pub fn offers(
        &self,
        vrf: VrfId,
        prefix: Prefix,
    ) -> impl Iterator<Item = SelectedRoute<'a>> + use<'a> {
        let rib = self.rib;
        rib.tables.get(&vrf).into_iter().flat_map(move |table| table.offers(prefix, &rib.shadow))
    }

    /// How much there is.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            routes: self.rib.tables.values().map(Table::selected).sum(),
            failures: self.rib.failures,
            replaced: self.rib.replaced,
            ..self.rib.shadow.counters()
        }
    }
}

/// A next hop of the other address family.
fn odd_nexthop(prefix: Prefix, route: &Route) -> Option<Nexthop> {
    let family = prefix.is_ipv4();
    let fits = |hop: &Nexthop| hop.gateway.is_none_or(|gateway| gateway.is_ipv4() == family);
    route.nexthops.iter().chain(&route.backup).find(|hop| !fits(hop)).copied()
}
