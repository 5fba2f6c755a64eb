//! How well routes are protected.

use bugle_spf::Protection;

use crate::io::Route;

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

    /// A route became another.
    pub(super) fn change(&mut self, old: Option<&Route>, new: Option<&Route>) {
        if let Some(kind) = old.and_then(|old| self.kind(old)) {
            *kind -= 1;
        }
        if let Some(kind) = new.and_then(|new| self.kind(new)) {
            *kind += 1;
        }
    }

    /// Among which a route counts.
    fn kind(&mut self, route: &Route) -> Option<&mut usize> {
        let (first, others) = route.nexthops.split_first()?;
        Some(match route.backup.map(|backup| backup.protects) {
            Some(Protection::LinkAndNode) => &mut self.link_and_node,
            Some(Protection::Link) => &mut self.link,
            Some(Protection::Node) => &mut self.node,
            None if others.iter().any(|other| other.ifindex != first.ifindex) => &mut self.ecmp,
            None => &mut self.unprotected,
        })
    }
}
