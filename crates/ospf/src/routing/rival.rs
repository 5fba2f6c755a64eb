//! What others advertise for watched hosts.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use bugle_types::{Prefix4, RouterId};
use smallvec::SmallVec;

use super::Routing;
use super::topology::router_node;
use crate::instance::Ospf;
use crate::io::{Output, Rival};

impl Routing {
    /// Starts or ends watching what others advertise for a host.
    pub(crate) fn watch(&mut self, address: Ipv4Addr, on: bool) {
        if on {
            self.watches.begin(address);
            self.seek_owners(address);
        } else {
            self.watches.end(address);
            self.owners.remove(&address);
        }
    }

    /// What reachable others advertise for a host: that it is an address of a router's own, or else the best claim.
    #[must_use]
    pub fn rival(&self, address: Ipv4Addr) -> Option<Rival> {
        let is_reached = |router: &RouterId| self.topology.node(router_node(*router)).is_some();
        let owner = if self.watches.contains(address) {
            self.owners.get(&address).into_iter().flatten().copied().find(is_reached)
        } else {
            self.topology.routers_with(address).find(is_reached)
        };
        if let Some(router) = owner {
            return Some(Rival { router, metric: None, count: 1 });
        }
        let externals = self.externals_at(Prefix4::host(address));
        let reachable: SmallVec<[(u32, RouterId); 4]> = externals
            .filter(|(by, _)| self.boundary_path(by.router).is_some())
            .map(|(by, external)| (external.type2_metric(), by.router))
            .collect();
        let &(metric, router) =
            reachable.iter().min_by_key(|&&(metric, router)| (metric, Reverse(router)))?;
        Some(Rival { router, metric: Some(metric), count: reachable.len() })
    }

    /// The watched addresses that are a router's own.
    pub(super) fn watched_of(&self, router: RouterId) -> Vec<Ipv4Addr> {
        if self.watches.is_empty() {
            return Vec::new();
        }
        let addresses = self.topology.addresses_of(router);
        addresses.filter(|address| self.watches.contains(*address)).collect()
    }

    /// Looks again at whose own a watched address is. That takes the longer the larger the area is, so it is done only when
    /// a router that has the address, or had it, says something else.
    pub(super) fn seek_owners(&mut self, address: Ipv4Addr) {
        let mut owners: Vec<RouterId> = self.topology.routers_with(address).collect();
        owners.dedup();
        if owners.is_empty() {
            self.owners.remove(&address);
        } else {
            self.owners.insert(address, owners);
        }
        self.dirty.push(Prefix4::host(address));
    }
}

impl Ospf {
    /// Reports what others advertise for watched hosts, where it changed.
    pub(super) fn update_rivals(&mut self, dirty: &[Prefix4]) {
        let watches = &self.routing.watches;
        let addresses: Vec<Ipv4Addr> = if std::mem::take(&mut self.routing.watches_dirty) {
            watches.keys().collect()
        } else if watches.is_empty() {
            return;
        } else {
            dirty
                .iter()
                .filter(|prefix| prefix.is_host())
                .map(|prefix| prefix.address())
                .filter(|address| watches.contains(*address))
                .collect()
        };
        for address in addresses {
            let rival = self.routing.rival(address);
            if self.routing.watches.is_news(address, rival) {
                self.out.push_back(Output::Rival(address, rival));
            }
        }
    }
}
