//! One nexthop object: what it stands for, and what the kernel holds of it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use bugle_types::{IfIndex, Nexthop};

use crate::fib::{NexthopId, RouteTarget};

/// Names an [`Object`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SetId(pub(crate) u32);

impl SetId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One existence of an object in the kernel, from a put to its loss. No two objects ever share one, but for
/// [`ALWAYS`](Self::ALWAYS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epoch(pub(crate) NonZeroU32);

impl Epoch {
    /// Of the object that needs none in the kernel.
    pub(crate) const ALWAYS: Self = Self(NonZeroU32::MIN);
}

/// Where packets go, and where instead when that is out of reach.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Path {
    /// Sorted, each once.
    pub(crate) hops: Arc<[Nexthop]>,
    pub(crate) backup: Option<Nexthop>,
    /// Part of another path: a group's member. No route takes its object along when it [turns](crate::together).
    is_part: bool,
}

impl Path {
    /// A path of nexthops in whatever order.
    pub(crate) fn new(hops: &Arc<[Nexthop]>, backup: Option<Nexthop>) -> Self {
        let hops = if hops.is_sorted_by(|a, b| a < b) {
            Arc::clone(hops)
        } else {
            let sorted: BTreeSet<Nexthop> = hops.iter().copied().collect();
            sorted.into_iter().collect()
        };
        let backup = backup.filter(|backup| !hops.is_empty() && !hops.contains(backup));
        Self { hops, backup, is_part: false }
    }

    /// Whether these nexthops, in whatever order, and this backup are the path.
    pub(crate) fn is(&self, hops: &Arc<[Nexthop]>, backup: Option<Nexthop>) -> bool {
        Arc::ptr_eq(&self.hops, hops) && self.backup == backup || *self == Self::new(hops, backup)
    }

    /// A part of another path.
    pub(crate) fn part(hop: Nexthop) -> Self {
        Self { hops: Arc::from([hop]), backup: None, is_part: true }
    }

    /// Whether the kernel needs a group for it: for all but the way to a host on a link of ours, so that any can
    /// [turn](crate::together) to any other, and do without a nexthop, or have one stand by.
    pub(crate) fn is_group(&self) -> bool {
        match &*self.hops {
            [] => false,
            [hop] => !self.is_part && (hop.gateway.is_some() || self.backup.is_some()),
            _ => true,
        }
    }

    /// All nexthops, the backup last.
    pub(crate) fn choices(&self) -> impl Iterator<Item = Nexthop> + '_ {
        self.hops.iter().copied().chain(self.backup)
    }

    /// The backup, if the loss of one link takes all nexthops and leaves the backup: it stands by in the kernel's group.
    pub(crate) fn standby(&self) -> Option<Nexthop> {
        let link = self.hops.first()?.ifindex;
        let backup = self.backup.filter(|backup| backup.ifindex != link)?;
        self.hops.iter().all(|hop| hop.ifindex == link).then_some(backup)
    }
}

/// See [`nexthops`](crate::nexthops).
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) path: Path,
    /// The single objects that a group may have as members: those of its nexthops, then the backup's.
    pub(crate) members: Box<[SetId]>,
    /// A group once is always one: the kernel does not let a single object replace it.
    pub(crate) is_group: bool,
    /// Kept across losses, so that nobody else gets it while this object may come back.
    pub(crate) id: Option<NexthopId>,
    pub(crate) kernel: Kernel,
    /// What a single object leads to in the kernel.
    pub(crate) at: Option<Nexthop>,
    /// The links that it led over before it was led elsewhere altogether, except those that were lost since.
    pub(crate) before: BTreeSet<IfIndex>,
    /// A group's members in the kernel, which removes the dead ones.
    pub(crate) inside: Inside,
    /// Routes that lead here, installed or not.
    pub(crate) wanted: usize,
    /// Objects that name this, in the kernel or not.
    pub(crate) named: usize,
    /// Routes installed on this.
    pub(crate) routes: usize,
    /// Groups in the kernel that hold this.
    pub(crate) groups: usize,
    /// A group that no set of nexthops of ours makes: it is of another kind, has a member twice, or somebody else's.
    pub(crate) is_odd: bool,
    /// The last snapshot showed it.
    pub(crate) found: bool,
}

/// The members of a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inside {
    /// Those that get packets.
    pub(crate) active: Vec<SetId>,
    /// The one that gets none as long as there is another.
    pub(crate) standby: Option<SetId>,
}

impl Inside {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = SetId> + use<'_> {
        self.active.iter().copied().chain(self.standby)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_none()
    }

    /// The kernel takes members out.
    pub(crate) fn retain(&mut self, stays: impl Fn(SetId) -> bool) {
        self.active.retain(|member| stays(*member));
        self.standby = self.standby.filter(|member| stays(*member));
        if self.active.is_empty() {
            self.active.extend(self.standby.take());
        }
    }
}

/// What the kernel holds under an object's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kernel {
    Nothing,
    This(Epoch),
    /// Something else of the same kind, which a put replaces.
    SomethingElse,
}

impl Object {
    /// An object that the kernel does not have, and that names no others yet.
    pub(crate) fn new(path: Path, is_group: bool) -> Self {
        let kernel = if path.hops.is_empty() && !is_group {
            Kernel::This(Epoch::ALWAYS)
        } else {
            Kernel::Nothing
        };
        Self {
            path,
            members: Box::default(),
            is_group,
            id: None,
            kernel,
            at: None,
            before: BTreeSet::new(),
            inside: Inside::default(),
            wanted: 0,
            named: 0,
            routes: 0,
            groups: 0,
            is_odd: false,
            found: false,
        }
    }

    pub(crate) fn target(&self) -> RouteTarget {
        self.id.map_or(RouteTarget::Blackhole, RouteTarget::Nexthop)
    }

    pub(crate) fn is_used(&self) -> bool {
        self.routes > 0 || self.groups > 0
    }

    /// It leads over these links instead of those. If none of those bears it any more, nobody can tell whether the kernel had
    /// deleted it with them before.
    pub(crate) fn led_elsewhere(&mut self, before: BTreeSet<IfIndex>, now: &BTreeSet<IfIndex>) {
        if !before.is_empty() && before.is_disjoint(now) {
            self.before = before;
        }
    }

    /// Whether a link may bear it.
    pub(crate) fn is_on(&self, ifindex: IfIndex) -> bool {
        self.path.choices().any(|hop| hop.ifindex == ifindex)
    }
}
