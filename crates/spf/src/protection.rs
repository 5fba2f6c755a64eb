//! What becomes of alternates: backups of routes, and how well routes are protected.

use std::time::Duration;

use bugle_types::Nexthop;

use crate::alternates::Protection;

/// How alternates are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlternatesConfig {
    /// `ULOOP_DELAY_DOWN_TIMER` of RFC 8333: after a link of ours has failed, new routes of protected prefixes whose next hops
    /// might send packets back wait so long, while packets go over the alternate. Zero: they do not wait.
    ///
    /// The default, 2 s, is longer than neighbours of other makes take by default: FRR's OSPF installs external routes a second
    /// after the others, BIRD acts once a second.
    pub microloop_delay: Duration,
}

impl Default for AlternatesConfig {
    fn default() -> Self {
        Self { microloop_delay: Duration::from_secs(2) }
    }
}

/// A loop-free alternate (RFC 5286).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backup {
    /// Where packets go.
    pub nexthop: Nexthop,
    /// Against which failures it helps.
    pub protects: Protection,
}

/// How many routes have somewhere to go at once when a link or a neighbour of ours fails: the per-prefix coverage of RFC 6571
/// section 4.1, of this router's links. Routes to our own networks do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Next hops on several links, each of which stands in for the others.
    pub ecmp: usize,
    /// The alternate avoids the link and the neighbour.
    pub link_and_node: usize,
    /// The alternate avoids the link, but perhaps not the neighbour.
    pub link: usize,
    /// The alternate avoids the neighbour, but not the network that both are on.
    pub node: usize,
    /// Packets have nowhere to go until routing has converged.
    pub unprotected: usize,
}

impl Coverage {
    /// Routes that have somewhere to go.
    #[must_use]
    pub fn protected(&self) -> usize {
        self.ecmp + self.link_and_node + self.link + self.node
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> usize {
        self.protected() + self.unprotected
    }

    /// A route with these next hops and this backup is one more.
    pub fn add(&mut self, nexthops: &[Nexthop], backup: Option<Backup>) {
        if let Some(kind) = self.kind(nexthops, backup) {
            *kind += 1;
        }
    }

    /// One that was added is no more.
    pub fn remove(&mut self, nexthops: &[Nexthop], backup: Option<Backup>) {
        if let Some(kind) = self.kind(nexthops, backup) {
            *kind = kind.saturating_sub(1);
        }
    }

    /// Among which a route counts.
    fn kind(&mut self, nexthops: &[Nexthop], backup: Option<Backup>) -> Option<&mut usize> {
        let (first, others) = nexthops.split_first()?;
        Some(match backup.map(|backup| backup.protects) {
            Some(Protection::LinkAndNode) => &mut self.link_and_node,
            Some(Protection::Link) => &mut self.link,
            Some(Protection::Node) => &mut self.node,
            None if others.iter().any(|other| other.ifindex != first.ifindex) => &mut self.ecmp,
            None => &mut self.unprotected,
        })
    }
}
