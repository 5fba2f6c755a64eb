//! Backups of routes: loop-free alternates (RFC 5286), found when there is time, and new routes that wait (RFC 8333).
//!
//! A change of topology moves routes at once. When it has been quiet for [`DELAY`], the trees that alternates are told by are
//! calculated, for each level and topology its own, then the backup of every route is looked up again, all in slices of bounded
//! length; what changed is told at once. Until then a route whose next hops are what they were keeps the backup it had. A change of
//! prefixes alone needs no new trees: such a route has its backup from the start.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bugle_spf::{Alternate, AlternateRules, Alternates, Attachment, Backup, FirstHop, Protection};
use bugle_types::{Nexthop, Prefix, Time};
use bugle_wire::isis::{Level, MAX_LINK_METRIC, TopologyId};
use smallvec::SmallVec;

use super::topology::Topology;
use crate::instance::Isis;
use crate::io::{Output, PathType, Route};

/// After a run of SPF alternates wait so long for the next, which would make them obsolete: the news of one failure come from
/// several systems. In an unstable network, where SPF itself waits, so much longer than SPF does.
const DELAY: Duration = Duration::from_millis(20);

/// How many nodes' distances, or prefixes' backups, are calculated before something else gets its turn: a few hundred
/// microseconds.
const SLICE: usize = 4096;

/// Every graph there can be.
const GRAPHS: [(Level, TopologyId); 4] = [
    (Level::L1, TopologyId::STANDARD),
    (Level::L1, TopologyId::IPV6),
    (Level::L2, TopologyId::STANDARD),
    (Level::L2, TopologyId::IPV6),
];

/// Where a prefix is attached in a graph.
pub(super) type Attachments = SmallVec<[Attachment; 2]>;

/// What a backup depends on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    /// The graph.
    level: Level,
    topology: TopologyId,
    /// The next hops that fail.
    lost: Arc<[Nexthop]>,
    /// Where the prefix is attached.
    attachments: Attachments,
    /// The other level has it, too, by a path of the same kind.
    in_both: bool,
}

/// What is known of alternates in one graph.
#[derive(Default)]
pub(super) struct Trees {
    alternates: Alternates,
    /// What our first hops are called by routes.
    hops: BTreeMap<Nexthop, FirstHop>,
    /// Every route has had its backup looked up since the last run of SPF.
    pub(super) complete: bool,
}

/// The search for alternates.
#[derive(Default)]
pub(super) struct Backups {
    /// What was found while all prefixes are looked at.
    known: BTreeMap<Case, Option<Backup>>,
    task: Task,
    due: Option<Time>,
    /// What has changed so far, and the routes that were looked at.
    found: Vec<(Prefix, Weak<Route>, Option<Backup>)>,
}

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
    Prefixes(Option<Prefix>),
}

impl Backups {
    /// When the next slice is due.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// A topology changed: what is known is not to be relied on, and there will be another run of SPF.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Everything is to be found anew, `spf_delay` after now at the earliest.
    pub(super) fn ask(&mut self, now: Time, spf_delay: Duration) {
        *self = Self { task: Task::Start, due: Some(now + spf_delay + DELAY), ..Self::default() };
    }

    /// Whether the trees are those of the topology as it is.
    fn is_ready(&self, topology: &Topology) -> bool {
        let asked = matches!(self.task, Task::Start | Task::Trees);
        !asked && topology.trees.alternates.is_current(&topology.graph)
    }
}

impl Isis {
    /// A slice of the search for alternates.
    pub(crate) fn on_backup_timer(&mut self) {
        match self.routing.backups.task {
            Task::Nothing => {}
            Task::Start => self.find_hops(),
            Task::Trees => self.grow_trees(),
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
        // RFC 5305 section 3: the largest metric that links of paths have.
        let rules = AlternateRules { advertised_cost: None, max_cost: MAX_LINK_METRIC - 1 };
        let enabled = self.config.alternates.is_some();
        for (level, id) in GRAPHS {
            let mut trees = Trees::default();
            let families = self.families(id);
            let topology = self.levels[level].routing.topology(id);
            if let Some(root) = topology.root() {
                let named = |hop, ipv4: bool| self.first_hop_nexthop(level, ipv4, hop);
                let allowed = |hop| enabled && families.iter().any(|&f| named(hop, f).is_some());
                trees.alternates.start(&topology.graph, root, rules, allowed);
                for hop in trees.alternates.hops() {
                    let nexthops = families.iter().filter_map(|&family| named(hop, family));
                    trees.hops.extend(nexthops.map(|nexthop| (nexthop, hop)));
                }
            }
            self.levels[level].routing.topology_mut(id).trees = trees;
        }
        self.routing.backups.task = Task::Trees;
    }

    /// The families that a topology routes, by whether they are IPv4.
    fn families(&self, topology: TopologyId) -> &'static [bool] {
        let ipv6 = self.config.ipv6_topology.id();
        match (topology.is_standard(), topology == ipv6) {
            (true, true) => &[true, false],
            (true, false) => &[true],
            (false, true) => &[false],
            (false, false) => &[],
        }
    }

    fn grow_trees(&mut self) {
        let mut nodes = 0;
        for (level, id) in GRAPHS {
            let Topology { graph, trees, .. } = self.levels[level].routing.topology_mut(id);
            while trees.alternates.step(graph) > 0 {
                nodes += graph.len();
                if nodes >= SLICE {
                    return;
                }
            }
        }
        self.routing.backups.task = Task::Prefixes(None);
    }

    fn look_up_backups(&mut self, after: Option<Prefix>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let routes = self.routing.routes.range((start, Bound::Unbounded)).take(SLICE);
        let slice: Vec<(Prefix, Arc<Route>)> =
            routes.map(|(prefix, route)| (prefix, Arc::clone(route))).collect();
        for (prefix, route) in &slice {
            let backup = self.backup(*prefix, route);
            if backup != route.backup {
                self.routing.backups.found.push((*prefix, Arc::downgrade(route), backup));
            }
        }
        match slice.last() {
            Some(&(prefix, _)) if slice.len() == SLICE => {
                self.routing.backups.task = Task::Prefixes(Some(prefix));
            }
            Some(_) | None => self.tell_backups(),
        }
    }

    /// Gives the routes their backups, but for those that have become others meanwhile, and have theirs.
    fn tell_backups(&mut self) {
        let mut changes = Vec::new();
        for (prefix, old, backup) in std::mem::take(&mut self.routing.backups.found) {
            let now = self.routing.routes.get(&prefix);
            if let Some(now) = now.filter(|now| Arc::as_ptr(now) == old.as_ptr()) {
                let route = Route { backup, ..Route::clone(now) };
                self.routing.set_route(prefix, Some(route.clone()));
                changes.push((prefix, Some(route)));
            }
        }
        self.routing.backups.forget();
        for (level, id) in GRAPHS {
            self.levels[level].routing.topology_mut(id).trees.complete = true;
        }
        if !changes.is_empty() {
            self.out.push_back(Output::Routes(changes));
        }
    }

    /// Gives a new route the backup that is known now, or holds it back.
    pub(super) fn protect(&mut self, prefix: Prefix, route: Route) -> Route {
        let topology = self.topology_of(prefix);
        let ready = {
            let topology = self.levels[route.path.level()].routing.topology(topology);
            self.routing.backups.is_ready(topology)
        };
        let backup = if ready {
            self.backup(prefix, &route)
        } else {
            let old = self.routing.routes.get(&prefix);
            old.filter(|old| old.nexthops == route.nexthops).and_then(|old| old.backup)
        };
        self.hold_back(prefix, Route { backup, ..route })
    }

    /// What is to be told of the new route to `prefix`: it may have to wait, and packets then go on over the backup (RFC 8333).
    fn hold_back(&mut self, prefix: Prefix, new: Route) -> Route {
        let id = self.topology_of(prefix);
        // Nearly always; and 10,000 routes may wait for the next one.
        let waits = |level| !self.levels[level].routing.topology(id).delay.is_over();
        if !Level::ALL.into_iter().any(waits) {
            return new;
        }
        let Some(old) = self.routing.routes.get(&prefix).map(Arc::clone) else { return new };
        let level = old.path.level();
        let mut delay = std::mem::take(&mut self.levels[level].routing.topology_mut(id).delay);
        let was = Some((&*old.nexthops, old.backup));
        // While neighbours still go by the level that was better, nothing is known of their paths in the other.
        let same_graph = level == new.path.level();
        let was_loop_free = |hop| same_graph && self.was_loop_free(level, prefix, &new, hop);
        let waits = (Route { backup: None, ..new.clone() }, &*new.nexthops);
        let meanwhile = delay.hold_back(prefix, was, waits, was_loop_free);
        self.levels[level].routing.topology_mut(id).delay = delay;
        match meanwhile {
            Some(backup) => Route { nexthops: Arc::new([backup]), backup: None, ..new },
            None => new,
        }
    }

    /// Whether, when alternates were last looked for, a next hop of the new route to `prefix` did not send packets back to us.
    fn was_loop_free(&self, level: Level, prefix: Prefix, route: &Route, nexthop: Nexthop) -> bool {
        let id = self.topology_of(prefix);
        let Topology { graph, trees, .. } = self.levels[level].routing.topology(id);
        let attachments = self.attachments(level, prefix, route);
        let hop = trees.hops.get(&nexthop).filter(|_| !self.is_in_both(prefix, route));
        hop.is_some_and(|&hop| trees.alternates.was_loop_free(graph, &attachments, hop))
    }

    /// Where packets for `prefix` can go when the next hops of its route fail. Those on several links are backups of each other:
    /// there is one only if all are on the same link.
    fn backup(&mut self, prefix: Prefix, route: &Route) -> Option<Backup> {
        let (first, others) = route.nexthops.split_first()?;
        if others.iter().any(|other| other.ifindex != first.ifindex) {
            return None;
        }
        let topology = self.topology_of(prefix);
        let [one, other] = Level::ALL.map(|level| (level, self.attachments(level, prefix, route)));
        let in_both = !one.1.is_empty() && !other.1.is_empty();
        // The route is that of the level in which it is nearer.
        let distance = |(level, attachments): &(Level, Attachments)| {
            self.levels[*level].routing.topology(topology).distance(attachments)
        };
        let (level, attachments) = if distance(&other) < distance(&one) { other } else { one };
        let lost = Arc::clone(&route.nexthops);
        let case = Case { level, topology, lost, attachments, in_both };
        if let Some(&known) = self.routing.backups.known.get(&case) {
            return known;
        }
        let found = self.alternate(prefix.is_ipv4(), &case);
        if let Task::Prefixes(_) = self.routing.backups.task {
            self.routing.backups.known.insert(case, found);
        }
        found
    }

    /// The best alternate that has an address of the family.
    ///
    /// On the way a system of both levels may prefer the other one, whose paths this level's trees do not tell. But each is nearer
    /// to the destination by its own path than the one before, whatever the level: so packets do not come back from a neighbour that
    /// is nearer than this system (RFC 5286 section 3.1, Inequality 2). They may still go through the neighbour that failed.
    fn alternate(&self, ipv4: bool, case: &Case) -> Option<Backup> {
        let &Case { level, topology, in_both, .. } = case;
        let Topology { graph, spf, trees, .. } = self.levels[level].routing.topology(topology);
        let hop = |nexthop| trees.hops.get(nexthop).copied();
        let lost: SmallVec<[FirstHop; 4]> = case.lost.iter().map(hop).collect::<Option<_>>()?;
        let safe = |alternate: &Alternate| {
            !in_both || alternate.downstream && alternate.protects != Protection::Node
        };
        let usable = |alternate: Alternate| {
            Some((alternate, self.first_hop_nexthop(level, ipv4, alternate.hop)?))
        };
        let all = trees.alternates.all(graph, spf, &case.attachments, &lost);
        let (alternate, nexthop) =
            all.filter(safe).filter_map(usable).max_by_key(|(alternate, _)| alternate.rank())?;
        let protects = if in_both { Protection::Link } else { alternate.protects };
        Some(Backup { nexthop, protects })
    }

    /// Whether both levels have paths of the kind of this route.
    fn is_in_both(&self, prefix: Prefix, route: &Route) -> bool {
        Level::ALL.into_iter().all(|level| !self.attachments(level, prefix, route).is_empty())
    }

    /// The nodes of a level that a prefix is attached to, as every system of the level takes it that comes to the same kind of
    /// route (RFC 5286 section 6.1).
    fn attachments(&self, level: Level, prefix: Prefix, route: &Route) -> Attachments {
        let topology = self.topology_of(prefix);
        let routing = &self.levels[level].routing;
        let mut attachments: Attachments = match route.path {
            PathType::Attached if level == Level::L1 => routing.attached_nodes(topology).collect(),
            PathType::Attached => Attachments::new(),
            PathType::Level1
            | PathType::Level2
            | PathType::Down
            | PathType::Level1External
            | PathType::Level2External
            | PathType::DownExternal => {
                routing.attachments(level, prefix, topology, route).collect()
            }
        };
        attachments.sort_unstable();
        attachments.dedup();
        attachments
    }
}
