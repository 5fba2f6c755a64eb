//! AS external routes (RFC 2328 section 16.4).

use std::net::Ipv4Addr;
use std::sync::Arc;

use bugle_types::{AreaId, Nexthop, Prefix4, RouterId};
use bugle_wire::ospf::{ExternalLsa, LS_INFINITY, LsaBody, LsaKey};
use smallvec::SmallVec;

use super::Routing;
use super::advertised::Advertiser;
use crate::instance::Ospf;
use crate::io::{PathType, Route};

/// What an AS-external-LSA of another router says of its prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct External {
    /// The metric, and above its 24 bits the E bit, as in the LSA: type 2.
    metric: u32,
    details: Details,
}

/// Zero in most LSAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Details {
    /// `None`: packets go to the router that advertises it.
    forwarding: Option<Ipv4Addr>,
    tag: u32,
}

impl External {
    const E_BIT: u32 = 1 << 31;

    fn new(lsa: &ExternalLsa) -> Self {
        let ExternalLsa { mask: _, type2, metric, forwarding, tag } = *lsa;
        let forwarding = Some(forwarding).filter(|address| !address.is_unspecified());
        let metric = if type2 { metric | Self::E_BIT } else { metric };
        Self { metric, details: Details { forwarding, tag } }
    }

    pub(super) fn path_type(self) -> PathType {
        if self.is_type2() { PathType::External2 } else { PathType::External1 }
    }

    /// The type 1 metric, which is added to the distance; 0 if it is of type 2.
    pub(super) fn type1_metric(self) -> u32 {
        if self.is_type2() { 0 } else { self.metric() }
    }

    /// The type 2 metric, which counts for more than any distance; 0 if it is of type 1.
    pub(super) fn type2_metric(self) -> u32 {
        if self.is_type2() { self.metric() } else { 0 }
    }

    /// Where packets are to be sent, if not to whoever advertises it.
    pub(super) fn forwarding(self) -> Option<Ipv4Addr> {
        self.details.forwarding
    }

    fn is_type2(self) -> bool {
        self.metric & Self::E_BIT != 0
    }

    fn metric(self) -> u32 {
        self.metric & !Self::E_BIT
    }
}

impl Routing {
    /// An AS-external-LSA of another router changed; `None`: it is gone.
    pub(super) fn on_external_lsa(&mut self, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let by = Advertiser { router: key.advertising_router, id: key.link_state_id };
        let says = match body {
            Some(LsaBody::External(lsa)) if lsa.metric < LS_INFINITY => {
                Prefix4::from_mask(key.link_state_id, lsa.mask)
                    .map(|prefix| (prefix, External::new(lsa)))
            }
            _ => None,
        };
        let metric = says.map(|(prefix, external)| (prefix, external.metric));
        if let Some(old) = self.externals.set(by, metric) {
            self.details.remove(&(old, by));
            self.dirty.push(old);
        }
        if let Some((prefix, External { details, .. })) = says {
            if details != Details::default() {
                self.details.insert((prefix, by), details);
            }
            self.dirty.push(prefix);
        }
    }

    /// The AS-external-LSAs of other routers for a prefix.
    pub(super) fn externals_at(
        &self,
        prefix: Prefix4,
    ) -> impl Iterator<Item = (Advertiser, External)> {
        self.externals.at(prefix).map(move |(by, metric)| {
            let details = self.details.get(&(prefix, by)).copied().unwrap_or_default();
            (by, External { metric, details })
        })
    }

    /// The prefixes of externals with a forwarding address.
    pub(super) fn forwarded(&self) -> impl Iterator<Item = Prefix4> {
        let forwarded = self.details.iter().filter(|(_, details)| details.forwarding.is_some());
        forwarded.map(|(&(prefix, _), _)| prefix)
    }

    /// The route to the most specific network of the AS that holds an address.
    pub(super) fn internal_route(&self, address: Ipv4Addr) -> Option<(Prefix4, &Route)> {
        let mut prefixes = (0..=32).rev().map(|length| Prefix4::new(address, length));
        prefixes.find_map(|prefix| {
            let route: &Route = self.routes.get(&prefix)?;
            (route.path <= PathType::InterArea).then_some((prefix, route))
        })
    }
}

impl Ospf {
    /// The AS external route to a prefix.
    pub(super) fn external_path(&mut self, prefix: Prefix4) -> Option<Route> {
        let externals: SmallVec<[_; 4]> = self.routing.externals_at(prefix).collect();
        let mut best: Option<(_, Route)> = None;
        for (by, external) in externals {
            let Some(path) = self.forwarding_path(by.router, &external) else { continue };
            // Section 16.4.1, as RFC1583Compatibility is disabled: in the backbone no path is preferred.
            let preferred =
                path.path == PathType::IntraArea && self.config.area != AreaId::BACKBONE;
            let (kind, type2_metric) = (external.path_type(), external.type2_metric());
            let cost = path.cost.saturating_add(external.type1_metric());
            // (6): the type, the type 2 metric, the preference, the distance.
            let rank = (kind, type2_metric, !preferred, cost);
            let tag = external.details.tag;
            let nexthops = path.nexthops;
            let route = Route { path: kind, cost, type2_metric, tag, nexthops, backup: None };
            match &mut best {
                Some((held, _)) if *held < rank => {}
                Some((held, best)) if *held == rank => {
                    let mut nexthops: Vec<Nexthop> =
                        best.nexthops.iter().chain(route.nexthops.iter()).copied().collect();
                    self.limit(&mut nexthops);
                    best.nexthops = nexthops.into();
                }
                Some(_) | None => best = Some((rank, route)),
            }
        }
        best.map(|(_, route)| route)
    }

    /// The path to where an external route is to be forwarded (section 16.4 (3)).
    fn forwarding_path(&mut self, boundary: RouterId, external: &External) -> Option<Route> {
        let (path, candidate) = self.routing.boundary_path(boundary)?;
        let Some(address) = external.forwarding() else {
            return self.route(path, &candidate).filter(|route| !route.nexthops.is_empty());
        };
        let own = self.interfaces.values().any(|i| i.config.address == address);
        if own {
            return None;
        }
        let mut route = self.routing.internal_route(address)?.1.clone();
        if route.nexthops.is_empty() {
            // On one of our own networks: straight to the forwarding address.
            let address = address.into();
            let (&ifindex, _) = self
                .interfaces
                .iter()
                .find(|(_, i)| i.config.network().is_some_and(|n| n.contains(address)))?;
            route.nexthops = Arc::new([Nexthop::via(ifindex, address)]);
        }
        Some(route)
    }
}
