//! Backups of routes: loop-free alternates (RFC 5286), found when there is time.
//!
//! A change of topology moves routes at once. When it has been quiet for [`DELAY`], the trees that alternates are told by are
//! calculated, then the backup of every route is looked up again, all in slices of bounded length; what changed is told at once,
//! since routes that go the same way can be led to the same backup by one change to the kernel. Until then a route whose next hops are what they were keeps the backup it had. A change of prefixes alone needs no new
//! trees: such a route has its backup from the start.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bugle_spf::{Alternate, AlternateRules, Alternates, Attachment, Backup, FirstHop};
use bugle_types::{AreaId, Nexthop, Prefix4, RouterId, Time};
use bugle_wire::ospf::RouterFlags;
use smallvec::{SmallVec, smallvec};

use super::Routing;
use super::external::External;
use super::topology::Topology;
use crate::instance::Ospf;
use crate::io::{Output, PathType, Route};
use crate::originate::MAX_LINK_METRIC;

/// After a run of SPF alternates wait so long for the next, which would make them obsolete: the news of one failure come from
/// several routers. In an unstable network, where SPF itself waits, so much longer than SPF does.
const DELAY: Duration = Duration::from_millis(20);

/// How many nodes' distances are calculated before something else gets its turn: a few hundred microseconds.
const SLICE: usize = 4096;

/// How many prefixes' backups are: as long.
const PREFIXES: usize = 512;

/// What is known of alternates.
#[derive(Default)]
pub(super) struct Backups {
    alternates: Alternates,
    /// What our first hops are called by routes.
    hops: BTreeMap<Nexthop, FirstHop>,
    /// What was found while all prefixes are looked at.
    known: BTreeMap<(Arc<[Nexthop]>, Attachments), Option<Backup>>,
    task: Task,
    due: Option<Time>,
    /// What has changed so far, and the routes that were looked at.
    found: Vec<(Prefix4, Weak<Route>, Option<Backup>)>,
    /// Every route has had its backup looked up since the last run of SPF.
    complete: bool,
}

type Attachments = SmallVec<[Attachment; 2]>;

/// What is to be done next.
#[derive(Clone, Copy, Default)]
enum Task {
    #[default]
    Nothing,
    /// See which trees are needed.
    Start,
    /// Calculate one after the other.
    Trees,
    /// Look up the backups of the prefixes after this one.
    Prefixes(Option<Prefix4>),
}

impl Backups {
    /// When the next slice is due.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// The topology changed: what is known is not to be relied on, and there will be another run of SPF.
    pub(super) fn forget(&mut self) {
        (self.task, self.due) = (Task::Nothing, None);
        self.known = BTreeMap::new();
        self.found = Vec::new();
    }

    /// Everything is to be found anew, `spf_delay` after now at the earliest.
    pub(super) fn ask(&mut self, now: Time, spf_delay: Duration) {
        self.forget();
        self.complete = false;
        (self.task, self.due) = (Task::Start, Some(now + spf_delay + DELAY));
    }

    /// Whether every route has had its backup looked up between the last run of SPF and what is happening now.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the trees are those of the topology as it is.
    fn is_ready(&self, topology: &Topology) -> bool {
        let asked = matches!(self.task, Task::Start | Task::Trees);
        !asked && self.alternates.is_current(&topology.graph)
    }
}

impl Ospf {
    /// A slice of the search for alternates.
    pub(crate) fn on_backup_timer(&mut self) {
        match self.routing.backups.task {
            Task::Nothing => {}
            Task::Start => self.find_hops(),
            Task::Trees => self.routing.grow_trees(),
            Task::Prefixes(after) => self.look_up_backups(after),
        }
        let backups = &mut self.routing.backups;
        backups.due = match backups.task {
            Task::Nothing => None,
            Task::Start | Task::Trees | Task::Prefixes(_) => Some(self.now),
        };
    }

    /// Sees through which neighbours packets can be sent at all.
    fn find_hops(&mut self) {
        let Backups { mut alternates, .. } = std::mem::take(&mut self.routing.backups);
        let topology = &self.routing.topology;
        let Some(root) = topology.root() else { return };
        let max_cost = u32::from(MAX_LINK_METRIC);
        let advertised_cost = self.config.stub_router.then_some(max_cost);
        // RFC 5286 section 2 (a): not in a backbone with virtual links.
        let applicable = self.config.alternates.is_some() && !topology.has_virtual_links();
        let allowed = |hop| applicable && self.first_hop_nexthop(hop).is_some();
        let rules = AlternateRules { advertised_cost, max_cost };
        alternates.start(&topology.graph, root, rules, allowed);
        let named = |hop| Some((self.first_hop_nexthop(hop)?, hop));
        let hops = alternates.hops().filter_map(named).collect();
        let task = Task::Trees;
        self.routing.backups = Backups { alternates, hops, task, ..Backups::default() };
    }

    fn look_up_backups(&mut self, after: Option<Prefix4>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut count, mut last) = (0, None);
        let mut slice = Vec::new();
        for (prefix, route) in self.routing.routes.range((start, Bound::Unbounded)).take(PREFIXES) {
            (count, last) = (count + 1, Some(prefix));
            // Most have several links, and neither have nor had a backup.
            if route.backup.is_some() || is_on_one_link(route) {
                slice.push((prefix, Arc::clone(route)));
            }
        }
        for (prefix, route) in &slice {
            let backup = self.backup(*prefix, route);
            if backup != route.backup {
                self.routing.backups.found.push((*prefix, Arc::downgrade(route), backup));
            }
        }
        if count == PREFIXES {
            self.routing.backups.task = Task::Prefixes(last);
        } else {
            self.tell_backups();
        }
    }

    /// Gives the routes their backups, but for those that have become others meanwhile, and have theirs.
    fn tell_backups(&mut self) {
        let mut changes = Vec::new();
        for (prefix, old, backup) in std::mem::take(&mut self.routing.backups.found) {
            let now = self.routing.routes.get(&prefix);
            if let Some(now) = now.filter(|now| Arc::as_ptr(now) == old.as_ptr()) {
                let route = Route { backup, ..Route::clone(now) };
                self.routing.set_route(prefix, Some(route), &mut changes);
            }
        }
        self.routing.backups.forget();
        self.routing.backups.complete = true;
        if !changes.is_empty() {
            self.out.push_back(Output::Routes(changes));
        }
    }

    /// Gives a new route the backup that is known now, or holds it back.
    pub(super) fn protect(&mut self, prefix: Prefix4, route: Route) -> Route {
        let backup = if self.routing.backups.is_ready(&self.routing.topology) {
            self.backup(prefix, &route)
        } else {
            let old = self.routing.routes.get(&prefix);
            old.filter(|old| old.nexthops == route.nexthops).and_then(|old| old.backup)
        };
        self.hold_back(prefix, Route { backup, ..route })
    }

    /// What is to be told of the new route to `prefix`: it may have to wait, and packets then go on over the backup (RFC 8333).
    fn hold_back(&mut self, prefix: Prefix4, new: Route) -> Route {
        // Nearly always; and 10,000 routes may wait for the next one.
        if self.routing.delay.is_over() {
            return new;
        }
        let mut delay = std::mem::take(&mut self.routing.delay);
        let old = self.routing.routes.get(&prefix).map(|old| (&*old.nexthops, old.backup));
        let was_loop_free = |hop| self.routing.was_loop_free(self.config.area, prefix, &new, hop);
        let waits = (Route { backup: None, ..new.clone() }, &*new.nexthops);
        let meanwhile = delay.hold_back(prefix, old, waits, was_loop_free);
        self.routing.delay = delay;
        match meanwhile {
            Some(backup) => Route { nexthops: Arc::new([backup]), backup: None, ..new },
            None => new,
        }
    }

    /// Where packets for `prefix` can go when the next hops of its route fail. Those on several links are backups of each other:
    /// there is one only if all are on the same link.
    fn backup(&mut self, prefix: Prefix4, route: &Route) -> Option<Backup> {
        if !is_on_one_link(route) {
            return None;
        }
        let attachments = self.routing.attachments(self.config.area, prefix, route);
        let case = (Arc::clone(&route.nexthops), attachments);
        if let Some(&known) = self.routing.backups.known.get(&case) {
            return known;
        }
        let found = self.routing.alternate(&case.0, &case.1).and_then(|alternate| {
            let nexthop = self.first_hop_nexthop(alternate.hop)?;
            Some(Backup { nexthop, protects: alternate.protects })
        });
        if let Task::Prefixes(_) = self.routing.backups.task {
            self.routing.backups.known.insert(case, found);
        }
        found
    }
}

/// Whether all next hops of a route, of which there is at least one, are on one link.
fn is_on_one_link(route: &Route) -> bool {
    let links = || route.nexthops.iter().map(|nexthop| nexthop.ifindex);
    links().next().is_some_and(|first| links().all(|link| link == first))
}

impl Routing {
    fn grow_trees(&mut self) {
        let graph = &self.topology.graph;
        let mut nodes = 0;
        while self.backups.alternates.step(graph) > 0 {
            nodes += graph.len();
            if nodes >= SLICE {
                return;
            }
        }
        self.backups.task = Task::Prefixes(None);
    }

    /// Whether, when alternates were last looked for, a next hop of the new route to `prefix` did not send packets back to us.
    fn was_loop_free(
        &self,
        area: AreaId,
        prefix: Prefix4,
        route: &Route,
        nexthop: Nexthop,
    ) -> bool {
        let attachments = self.attachments(area, prefix, route);
        let hop = self.backups.hops.get(&nexthop);
        hop.is_some_and(|&hop| {
            self.backups.alternates.was_loop_free(&self.topology.graph, &attachments, hop)
        })
    }

    fn alternate(&self, nexthops: &[Nexthop], attachments: &[Attachment]) -> Option<Alternate> {
        let Topology { graph, spf, .. } = &self.topology;
        let hop = |nexthop| self.backups.hops.get(nexthop).copied();
        let lost: SmallVec<[FirstHop; 4]> = nexthops.iter().map(hop).collect::<Option<_>>()?;
        self.backups.alternates.best(graph, spf, attachments, &lost)
    }

    /// The nodes that a prefix is attached to, as every router of the area takes it that comes to the same kind of route (RFC 5286
    /// section 6.1).
    fn attachments(&self, area: AreaId, prefix: Prefix4, route: &Route) -> Attachments {
        let mut attachments = match route.path {
            PathType::IntraArea => self.topology.attachments(prefix).collect(),
            PathType::InterArea => self
                .summaries
                .at(prefix)
                .filter_map(|(by, metric)| {
                    self.topology.attachment(by.router, RouterFlags::B, metric)
                })
                .collect(),
            PathType::External1 | PathType::External2 => {
                self.external_attachments(area, prefix, route)
            }
        };
        attachments.sort_unstable();
        attachments.dedup();
        attachments
    }

    /// Of an external route, what leads to its boundary routers and forwarding addresses (section 6.3.1), those that RFC 2328
    /// section 16.4 (6) prefers whatever the distance.
    fn external_attachments(&self, area: AreaId, prefix: Prefix4, route: &Route) -> Attachments {
        let mut preferred = Attachments::new();
        let mut others = Attachments::new();
        for (by, external) in self.externals_at(prefix) {
            if (external.path_type(), external.type2_metric()) != (route.path, route.type2_metric) {
                continue;
            }
            let Some((path, mut found)) = self.forwarding_attachments(area, by.router, &external)
            else {
                continue;
            };
            for attachment in &mut found {
                attachment.cost = attachment.cost.saturating_add(external.type1_metric());
            }
            if path == PathType::IntraArea && area != AreaId::BACKBONE {
                preferred.extend(found);
            } else {
                others.extend(found);
            }
        }
        if preferred.is_empty() { others } else { preferred }
    }

    fn forwarding_attachments(
        &self,
        area: AreaId,
        boundary: RouterId,
        external: &External,
    ) -> Option<(PathType, Attachments)> {
        if let Some(address) = external.forwarding() {
            let (prefix, route) = self.internal_route(address)?;
            return Some((route.path, self.attachments(area, prefix, route)));
        }
        let within = self.topology.attachment(boundary, RouterFlags::E, 0);
        if let Some(within) = within.filter(|within| self.topology.is_reached(within.node)) {
            return Some((PathType::IntraArea, smallvec![within]));
        }
        let borders = self.boundaries.get(&boundary)?.iter();
        let attached = |&(border, metric)| self.topology.attachment(border, RouterFlags::B, metric);
        Some((PathType::InterArea, borders.filter_map(attached).collect()))
    }
}
