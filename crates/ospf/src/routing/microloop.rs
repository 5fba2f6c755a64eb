//! Micro-loop avoidance by local delay (RFC 8333).
//!
//! When a link of ours fails and SPF has found new routes, the next hops of some of them still send packets back to us, until
//! they have converged too. Packets of a protected prefix need no new route yet: they stay on its backup, which never
//! depended on the link. So a new route waits for a while if its next hops might send packets back; all others go out at once.
//!
//! That is right for the failure of a single link of ours only. Any other change of topology ends the wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bugle_spf::{EdgeChange, NodeKey};
use bugle_types::{Prefix4, Time};

use super::Routing;
use crate::instance::Ospf;
use crate::io::Route;

/// What the changes of the graph since the last run of SPF have in common (section 5.3). It does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Happened {
    /// There were none.
    #[default]
    Nothing,
    /// A link between this router and a node went down, and this router saw it.
    LinkDown(NodeKey),
    /// The far end, too, says that a link to this router went down; or this router did not notice.
    FarEndDown(NodeKey),
    /// Anything else.
    Other,
}

impl Happened {
    /// Takes note of a change, which `local`ly this router has seen.
    pub(super) fn note(&mut self, root: Option<NodeKey>, local: bool, change: &EdgeChange) {
        let peer = match root {
            Some(root) if change.from == root => Some(change.to),
            Some(root) if change.to == root => Some(change.from),
            Some(_) | None => None,
        };
        let peer = peer.filter(|_| change.new.is_none());
        *self = match (*self, peer) {
            (Self::Nothing, Some(peer)) if local => Self::LinkDown(peer),
            (Self::Nothing, Some(peer)) => Self::FarEndDown(peer),
            (Self::FarEndDown(known), Some(peer)) if known == peer && local => Self::LinkDown(peer),
            (Self::LinkDown(known) | Self::FarEndDown(known), Some(peer)) if known == peer => *self,
            (Self::Nothing | Self::LinkDown(_) | Self::FarEndDown(_) | Self::Other, _) => {
                Self::Other
            }
        };
    }
}

/// New routes wait.
#[derive(Debug)]
pub(super) struct Hold {
    /// What the link that failed led to.
    peer: NodeKey,
    /// `ULOOP_DELAY_DOWN_TIMER`.
    until: Time,
    /// The routes that the failure changed are being worked out.
    starting: bool,
    /// Whose new routes wait.
    prefixes: BTreeSet<Prefix4>,
}

impl Routing {
    /// When new routes that are held back go out, and how many they are.
    #[must_use]
    pub fn held(&self) -> Option<(Time, usize)> {
        self.hold.as_ref().map(|hold| (hold.until, hold.prefixes.len()))
    }

    /// SPF has run for what `happened`. `delay` is `None` if there are no alternates to wait on.
    pub(super) fn hold_or_release(
        &mut self,
        happened: Happened,
        now: Time,
        delay: Option<Duration>,
    ) {
        match (&self.hold, happened) {
            (Some(_), Happened::Nothing) => {}
            (Some(hold), Happened::LinkDown(peer) | Happened::FarEndDown(peer))
                if hold.peer == peer => {}
            (None, Happened::LinkDown(peer)) => {
                self.hold = delay.map(|delay| Hold {
                    peer,
                    until: now + delay,
                    starting: true,
                    prefixes: BTreeSet::new(),
                });
            }
            (None | Some(_), _) => self.release(),
        }
    }

    /// The time is over.
    pub(crate) fn release(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.dirty.extend(hold.prefixes);
        }
    }

    /// The routes that the failure changed are known.
    pub(super) fn held_back(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.starting = false;
            if hold.prefixes.is_empty() {
                self.hold = None;
            }
        }
    }
}

impl Ospf {
    /// What is to be told of the new route to `prefix`: it may have to wait, and packets then go on over the backup.
    pub(super) fn hold_back(&mut self, prefix: Prefix4, new: Route) -> Route {
        let Some(hold) = self.routing.hold.as_ref() else { return new };
        if !hold.starting {
            return new;
        }
        let old = self.routing.routes.get(&prefix);
        let Some((old, backup)) = old.and_then(|old| Some((old, old.backup?.nexthop))) else {
            return new;
        };
        // RFC 5286 section 4.1 (a): no wait for what did not depend on the link.
        let safe = new.nexthops.iter().all(|&nexthop| {
            nexthop == backup
                || old.nexthops.contains(&nexthop)
                || self.routing.was_loop_free(self.config.area, prefix, &new, nexthop)
        });
        if safe {
            return new;
        }
        if let Some(hold) = &mut self.routing.hold {
            hold.prefixes.insert(prefix);
        }
        Route { nexthops: Arc::new([backup]), backup: None, ..new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: NodeKey = NodeKey(0);

    /// A change of an edge, and whether this router has seen it.
    type Seen = (EdgeChange, bool);

    /// Edges between the root and two neighbours, and between these, that go or come.
    fn changes() -> Vec<Seen> {
        let [one, two] = [NodeKey(1), NodeKey(2)];
        let mut changes = Vec::new();
        for (from, to) in [(ROOT, one), (one, ROOT), (ROOT, two), (one, two)] {
            for (old, new) in [(Some(1), None), (None, Some(1)), (Some(1), Some(2))] {
                let change = EdgeChange { from, to, tag: 0, old, new };
                changes.extend([(change, true), (change, false)]);
            }
        }
        changes
    }

    /// What they come to, by the words of section 5.3.
    fn meaning(seen: &[Seen]) -> Happened {
        let peer = |change: &EdgeChange| match (change.from, change.to) {
            (ROOT, peer) | (peer, ROOT) => Some(peer),
            _ => None,
        };
        let Some((first, _)) = seen.first() else { return Happened::Nothing };
        let single =
            seen.iter().all(|(change, _)| change.new.is_none() && peer(change) == peer(first));
        match peer(first).filter(|_| single) {
            Some(peer) if seen.iter().any(|(_, local)| *local) => Happened::LinkDown(peer),
            Some(peer) => Happened::FarEndDown(peer),
            None => Happened::Other,
        }
    }

    #[test]
    fn what_happened_does_not_depend_on_the_order_of_the_news() {
        for first in changes() {
            for second in changes() {
                for third in changes() {
                    for seen in [&[first][..], &[first, second], &[first, second, third]] {
                        let mut happened = Happened::Nothing;
                        for (change, local) in seen {
                            happened.note(Some(ROOT), *local, change);
                        }
                        assert_eq!(happened, meaning(seen), "{seen:?}");
                    }
                }
            }
        }
    }
}
