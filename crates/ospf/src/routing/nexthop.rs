//! Next hops: interfaces and gateways (RFC 2328 section 16.1.1).

use std::sync::Arc;

use bugle_spf::{FirstHop, NexthopSetId};
use bugle_types::{IfIndex, Nexthop};

use super::topology::router_node;
use super::{Candidate, Routing};
use crate::instance::Ospf;
use crate::io::{PathType, Route};
use crate::neighbor::{Neighbor, NeighborState};

/// Where a set of shortest paths leads.
#[derive(Debug, Clone)]
pub(super) enum Paths {
    /// To something on one of our own links.
    Connected,
    /// Through these, sorted; never empty.
    Via(Arc<[Nexthop]>),
    /// Nowhere: no neighbour with such a name is known.
    Unresolved,
}

impl Neighbor {
    /// What the paths through a neighbour start with.
    pub(crate) fn first_hop(&self) -> FirstHop {
        FirstHop { link: self.id.ifindex.0, router: Some(router_node(self.router_id)) }
    }
}

impl Routing {
    /// A neighbour came, went, or changed its address: next hops through it are to be looked up again.
    pub(crate) fn resolve_again(&mut self, hop: FirstHop) {
        self.stale_hops.insert(hop);
    }

    /// Every next hop is to be looked up again.
    pub(crate) fn resolve_all_again(&mut self) {
        self.resolved.clear();
        self.everything_dirty = true;
    }
}

impl Ospf {
    /// Makes a route of equal-cost paths; `None` if none of them leads anywhere.
    pub(super) fn route(&mut self, path: PathType, candidate: &Candidate) -> Option<Route> {
        let cost = candidate.cost;
        let route =
            |nexthops| Route { path, cost, type2_metric: 0, tag: 0, nexthops, backup: None };
        if let [set] = candidate.sets[..] {
            return match self.resolve(set) {
                Paths::Connected => Some(route(Arc::new([]))),
                Paths::Via(nexthops) => Some(route(nexthops)),
                Paths::Unresolved => None,
            };
        }
        let mut nexthops = Vec::new();
        for &set in &candidate.sets {
            match self.resolve(set) {
                Paths::Connected => return Some(route(Arc::new([]))),
                Paths::Via(via) => nexthops.extend_from_slice(&via),
                Paths::Unresolved => {}
            }
        }
        if nexthops.is_empty() {
            return None;
        }
        self.limit(&mut nexthops);
        Some(route(nexthops.into()))
    }

    /// Sorts next hops, drops repetitions, and keeps as many as are allowed (section 16.8).
    pub(super) fn limit(&self, nexthops: &mut Vec<Nexthop>) {
        nexthops.sort_unstable();
        nexthops.dedup();
        nexthops.truncate(self.config.max_paths.max(1));
    }

    /// What a set of first hops means in interfaces and gateways.
    fn resolve(&mut self, set: NexthopSetId) -> Paths {
        if let Some(Some(paths)) = self.routing.resolved.get(set.index()) {
            return paths.clone();
        }
        let hops = self.routing.topology.spf.first_hops(set);
        let paths = if set == NexthopSetId::EMPTY || hops.iter().any(|hop| hop.router.is_none()) {
            Paths::Connected
        } else {
            let mut nexthops: Vec<Nexthop> =
                hops.iter().filter_map(|&hop| self.first_hop_nexthop(hop)).collect();
            self.limit(&mut nexthops);
            if nexthops.is_empty() { Paths::Unresolved } else { Paths::Via(nexthops.into()) }
        };
        let resolved = &mut self.routing.resolved;
        if resolved.len() <= set.index() {
            resolved.resize(set.index() + 1, None);
        }
        if let Some(slot) = resolved.get_mut(set.index()) {
            *slot = Some(paths.clone());
        }
        paths
    }

    /// The gateway is the neighbour's address on that link, as its Hellos come from it.
    pub(super) fn first_hop_nexthop(&self, hop: FirstHop) -> Option<Nexthop> {
        let ifindex = IfIndex(hop.link);
        let neighbor = self.neighbors_on(ifindex).find(|neighbor| {
            neighbor.first_hop() == hop && neighbor.state >= NeighborState::TwoWay
        })?;
        Some(Nexthop::via(ifindex, neighbor.address.into()))
    }
}
