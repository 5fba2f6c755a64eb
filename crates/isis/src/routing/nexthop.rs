//! Next hops: interfaces and gateways.

use std::sync::Arc;

use bugle_spf::{FirstHop, NexthopSetId};
use bugle_types::{IfIndex, Nexthop};
use bugle_wire::isis::{Level, NodeId, TopologyId};

use super::{Candidate, node_key};
use crate::adjacency::{Adjacency, AdjacencyId, AdjacencyState};
use crate::instance::Isis;
use crate::io::Route;

/// What sets of next hops mean for IPv4 and for IPv6, by the set's id.
#[derive(Debug, Default)]
pub(super) struct Resolved([Vec<Option<Arc<[Nexthop]>>>; 2]);

impl Resolved {
    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }

    fn get(&self, ipv4: bool, set: NexthopSetId) -> Option<Arc<[Nexthop]>> {
        self.0.get(usize::from(ipv4))?.get(set.index())?.clone()
    }

    fn insert(&mut self, ipv4: bool, set: NexthopSetId, nexthops: Arc<[Nexthop]>) {
        let Some(family) = self.0.get_mut(usize::from(ipv4)) else { return };
        if family.len() <= set.index() {
            family.resize(set.index() + 1, None);
        }
        if let Some(slot) = family.get_mut(set.index()) {
            *slot = Some(nexthops);
        }
    }
}

impl Isis {
    /// A neighbour came, went, or changed its addresses: next hops through it are to be looked up again.
    pub(crate) fn resolve_again(&mut self, id: AdjacencyId) {
        let Some(adjacency) = self.adjacencies.get(&id) else { return };
        self.routing.stale_hops.insert(first_hop(adjacency));
        let circuit = self.circuits.get(&id.ifindex);
        let stands_in = circuit.is_some_and(|circuit| {
            let lan_ids = Level::ALL.into_iter().filter_map(|level| circuit.lan_id[level]);
            lan_ids.into_iter().any(|lan_id| lan_id.system == adjacency.system)
        });
        if stands_in {
            self.resolve_lan_again(id.ifindex);
        }
    }

    /// Somebody else is designated on a LAN, or cannot be reached as before: next hops to who is not heard here are to be looked up
    /// again.
    pub(crate) fn resolve_lan_again(&mut self, ifindex: IfIndex) {
        self.routing.stale_links.insert(ifindex.0);
    }

    /// Every next hop is to be looked up again.
    pub(crate) fn resolve_all_again(&mut self) {
        for level in Level::ALL {
            self.routing.resolved[level].clear();
        }
        self.routing.everything_dirty = true;
    }

    /// Makes a route of equal-cost paths; `None` if none of them leads anywhere.
    pub(super) fn route_along(&mut self, ipv4: bool, candidate: &Candidate) -> Option<Route> {
        let &Candidate { path, metric, tags, .. } = candidate;
        let route = |nexthops| Route { path, metric, tags, nexthops, backup: None };
        if let [(level, set)] = candidate.sets[..] {
            let nexthops = self.resolve(level, ipv4, set);
            return (!nexthops.is_empty()).then(|| route(nexthops));
        }
        let mut nexthops = Vec::new();
        for &(level, set) in &candidate.sets {
            nexthops.extend_from_slice(&self.resolve(level, ipv4, set));
        }
        self.limit(&mut nexthops);
        (!nexthops.is_empty()).then(|| route(nexthops.into()))
    }

    /// Sorts next hops, drops repetitions, and keeps as many as are allowed (section 7.2.7).
    fn limit(&self, nexthops: &mut Vec<Nexthop>) {
        nexthops.sort_unstable();
        nexthops.dedup();
        nexthops.truncate(self.config.max_paths.max(1));
    }

    /// What a set of first hops means in interfaces and gateways.
    fn resolve(&mut self, level: Level, ipv4: bool, set: NexthopSetId) -> Arc<[Nexthop]> {
        if let Some(known) = self.routing.resolved[level].get(ipv4, set) {
            return known;
        }
        let topology = if ipv4 { TopologyId::STANDARD } else { self.config.ipv6_topology.id() };
        let hops = self.levels[level].routing.topology(topology).first_hops(set);
        let nexthop = |&hop| {
            let direct = self.first_hop_nexthop(level, ipv4, hop);
            direct.or_else(|| self.designated_nexthop(level, ipv4, hop))
        };
        let mut nexthops: Vec<Nexthop> = hops.iter().filter_map(nexthop).collect();
        self.limit(&mut nexthops);
        let nexthops: Arc<[Nexthop]> = nexthops.into();
        self.routing.resolved[level].insert(ipv4, set, Arc::clone(&nexthops));
        nexthops
    }

    /// The gateway is the neighbour's address on that circuit, as its Hellos name it: of IPv4 one on our network, if there is one.
    pub(super) fn first_hop_nexthop(
        &self,
        level: Level,
        ipv4: bool,
        hop: FirstHop,
    ) -> Option<Nexthop> {
        let ifindex = IfIndex(hop.link);
        let topology = if ipv4 { TopologyId::STANDARD } else { self.config.ipv6_topology.id() };
        // On a LAN its pseudonode joins all in every topology: that BFD has lost one of them in this one is known here only.
        let adjacency = self.adjacencies_on(ifindex).find(|adjacency| {
            first_hop(adjacency) == hop
                && adjacency.state == AdjacencyState::Up
                && adjacency.levels.includes(level)
                && self.is_topology_usable(adjacency, topology)
        })?;
        let gateway = if ipv4 {
            let config = &self.circuits.get(&ifindex)?.config;
            let near = adjacency.ipv4.iter().find(|&&address| {
                config.networks().any(|network| network.contains(address.into()))
            });
            (*near.or_else(|| adjacency.ipv4.first())?).into()
        } else {
            (*adjacency.ipv6.first()?).into()
        };
        Some(Nexthop::via(ifindex, gateway))
    }

    /// The way to a system that a LAN's pseudonode names and that this system does not hear is through the designated system, which
    /// does (RFC 1195 annex C.1.4, step 0, 8 and 9).
    fn designated_nexthop(&self, level: Level, ipv4: bool, hop: FirstHop) -> Option<Nexthop> {
        let ifindex = IfIndex(hop.link);
        let lan_id = self.circuits.get(&ifindex)?.lan_id[level]?;
        let designated = node_key(NodeId::of_system(lan_id.system));
        self.first_hop_nexthop(level, ipv4, FirstHop { router: Some(designated), ..hop })
    }
}

/// What the paths through a neighbour start with.
fn first_hop(adjacency: &Adjacency) -> FirstHop {
    FirstHop {
        link: adjacency.id.ifindex.0,
        router: Some(node_key(NodeId::of_system(adjacency.system))),
    }
}
