//! Micro-loop avoidance by local delay (RFC 8333).
//!
//! When a link of ours fails and SPF has found new routes, the next hops of some of them still send packets back to us, until
//! they have converged too. Packets of a protected prefix need no new route yet: they stay on its backup, which never
//! depended on the link. So a new route waits for a while if its next hops might send packets back; all others go out at once.
//!
//! That is right for the failure of a single link of ours only. Any other change of topology ends the wait.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::{Nexthop, Time};

use crate::graph::{EdgeChange, NodeKey};
use crate::protection::Backup;

/// What the changes of the graph since the last run of SPF have in common (section 5.3). It does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Happened {
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
    pub fn note(&mut self, root: Option<NodeKey>, local: bool, change: &EdgeChange) {
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

/// New routes `R` that wait, by the prefixes `P` they lead to.
#[derive(Debug, Clone)]
pub struct LocalDelay<P, R> {
    hold: Option<Hold<P, R>>,
}

#[derive(Debug, Clone)]
struct Hold<P, R> {
    /// What the link that failed led to.
    peer: NodeKey,
    /// `ULOOP_DELAY_DOWN_TIMER`.
    until: Time,
    /// The routes that the failure changed are being worked out.
    starting: bool,
    waiting: BTreeMap<P, R>,
}

impl<P, R> Default for LocalDelay<P, R> {
    fn default() -> Self {
        Self { hold: None }
    }
}

impl<P: Ord, R: PartialEq> LocalDelay<P, R> {
    /// When new routes that are held back go out, and how many they are.
    #[must_use]
    pub fn held(&self) -> Option<(Time, usize)> {
        self.hold.as_ref().map(|hold| (hold.until, hold.waiting.len()))
    }

    /// Whether there is nothing to wait for: [`hold_back`](Self::hold_back) then lets every route go.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.hold.is_none()
    }

    /// SPF has run for what `happened`. `delay` is `None` if there are no alternates to wait on. Whose routes wait no longer is
    /// returned: they are to be worked out again.
    pub fn on_spf(&mut self, happened: Happened, now: Time, delay: Option<Duration>) -> Vec<P> {
        match (&self.hold, happened) {
            (Some(_), Happened::Nothing) => {}
            (Some(hold), Happened::LinkDown(peer) | Happened::FarEndDown(peer))
                if hold.peer == peer => {}
            (None, Happened::LinkDown(peer)) => {
                self.hold = delay.map(|delay| Hold {
                    peer,
                    until: now + delay,
                    starting: true,
                    waiting: BTreeMap::new(),
                });
            }
            (None | Some(_), _) => return self.release(),
        }
        Vec::new()
    }

    /// The time is over, for these.
    pub fn release(&mut self) -> Vec<P> {
        let waiting = self.hold.take().map(|hold| hold.waiting);
        waiting.into_iter().flat_map(BTreeMap::into_keys).collect()
    }

    /// The routes that the failure changed are known.
    pub fn settle(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.starting = false;
            if hold.waiting.is_empty() {
                self.hold = None;
            }
        }
    }

    /// The new route to `prefix`, with these next hops, may have to wait. Then this is where packets go meanwhile: over the backup
    /// of the old one. What has waited for long enough, or becomes another route meanwhile, waits no more.
    pub fn hold_back(
        &mut self,
        prefix: P,
        old: Option<(&[Nexthop], Option<Backup>)>,
        (new, nexthops): (R, &[Nexthop]),
        was_loop_free: impl Fn(Nexthop) -> bool,
    ) -> Option<Nexthop> {
        let hold = self.hold.as_mut()?;
        let (old, backup) = old?;
        if !hold.starting {
            return old.first().copied().filter(|_| hold.waiting.get(&prefix) == Some(&new));
        }
        let backup = backup?.nexthop;
        // RFC 5286 section 4.1 (a): no wait for what did not depend on the link.
        let safe = nexthops
            .iter()
            .all(|&nexthop| nexthop == backup || old.contains(&nexthop) || was_loop_free(nexthop));
        if safe {
            return None;
        }
        hold.waiting.insert(prefix, new);
        Some(backup)
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
