//! What others advertise for watched prefixes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bugle_types::{Prefix, SystemId};
use bugle_wire::isis::{Level, PrefixFlags};

use super::content::Says;
use crate::adjacency::AdjacencyState;
use crate::config::Config;
use crate::instance::Isis;
use crate::io::{Output, Rival};

impl Isis {
    /// Starts or ends watching what others advertise for a prefix.
    pub(crate) fn watch(&mut self, prefix: Prefix, on: bool) {
        if on {
            self.routing.watches.begin(prefix);
            self.routing.dirty.push(prefix);
        } else {
            self.routing.watches.end(prefix);
        }
    }

    /// What reachable others advertise for a prefix: that it is an address of a neighbour's own, or else the best claim.
    pub(crate) fn rival(&self, prefix: Prefix) -> Option<Rival> {
        if let Some(system) = self.neighbor_with(prefix) {
            return Some(Rival { system, metric: None, count: 1 });
        }
        let topology = self.topology_of(prefix);
        let levels = Level::ALL.into_iter();
        let others: Vec<(u32, SystemId)> = levels
            .flat_map(|level| self.levels[level].routing.advertisers(prefix, topology))
            .filter(|(_, says, _, _)| !self.is_echo(says))
            .map(|(system, says, _, _)| (says.metric, system))
            .collect();
        let &(metric, system) =
            others.iter().min_by_key(|&&(metric, system)| (metric, Reverse(system)))?;
        let systems: BTreeSet<SystemId> = others.iter().map(|&(_, system)| system).collect();
        Some(Rival { system, metric: Some(metric), count: systems.len() })
    }

    /// Neighbours may have other addresses than before.
    pub(crate) fn neighbor_addresses_changed(&mut self) {
        self.routing.neighbors = None;
        self.routing.watches_dirty = true;
    }

    /// The neighbour with this address on the link to us.
    fn neighbor_with(&self, prefix: Prefix) -> Option<SystemId> {
        let address = prefix.is_host().then(|| prefix.address())?;
        self.routing.neighbors.as_ref()?.get(&address).copied()
    }

    /// Neighbours by their addresses on links to us.
    fn neighbors_by_address(&self) -> BTreeMap<IpAddr, SystemId> {
        let up = self.adjacencies.values().rev().filter(|a| a.state == AdjacencyState::Up);
        let addresses = up.flat_map(|adjacency| {
            let ipv4 = adjacency.ipv4.iter().copied().map(IpAddr::from);
            let ipv6 = adjacency.ipv6.iter().copied().map(IpAddr::from);
            ipv4.chain(ipv6).map(|address| (address, adjacency.system))
        });
        addresses.collect()
    }

    /// Whether an advertisement is our own, brought back from another level (RFC 7794 section 2).
    fn is_echo(&self, says: &Says) -> bool {
        let brought = says.down || says.flags.contains(PrefixFlags::READVERTISED);
        let Some(said) = says.attributes.as_ref().filter(|_| brought) else { return false };
        let Config { router_id, ipv6_router_id, .. } = self.config;
        let (ipv4, ipv6) = (said.ipv4_source, said.ipv6_source);
        ipv4.is_some() && ipv4 == router_id || ipv6.is_some() && ipv6 == ipv6_router_id
    }

    /// Reports what others advertise for watched prefixes, where it changed.
    pub(super) fn update_rivals(&mut self, dirty: &[Prefix]) {
        // Once for all that are watched, and for whoever asks until the next change.
        if self.routing.neighbors.is_none() {
            self.routing.neighbors = Some(self.neighbors_by_address());
        }
        let watches = &self.routing.watches;
        let prefixes: Vec<Prefix> = if std::mem::take(&mut self.routing.watches_dirty) {
            watches.keys().collect()
        } else {
            dirty.iter().copied().filter(|prefix| watches.contains(*prefix)).collect()
        };
        for prefix in prefixes {
            let rival = self.rival(prefix);
            if self.routing.watches.is_news(prefix, rival) {
                self.out.push_back(Output::Rival(prefix, rival));
            }
        }
    }
}
