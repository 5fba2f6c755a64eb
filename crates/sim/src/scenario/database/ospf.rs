//! What the LSAs of an area say.

use std::net::Ipv4Addr;

use bugle_wire::ospf::{LS_INFINITY, Lsa, LsaBody, MAX_AGE, RouterLink, RouterLinkKind};

use super::{Known, Link, Name, Told, not_whole};
use crate::scenario::words::Wrong;

/// RFC 6987 section 2: what a router that is to be no transit says its links cost.
const MAX_LINK_METRIC: u16 = 0xFFFF;

/// What LSAs say, each with its place.
pub(super) fn known(lsas: &[(usize, Vec<u8>)]) -> Result<Known, Wrong> {
    let mut known = Known::default();
    for (place, octets) in lsas {
        let learnt = Lsa::parse(octets).ok().and_then(|lsa| known.learn(lsa));
        learnt.ok_or_else(|| not_whole(*place))?;
    }
    Ok(known)
}

impl Known {
    /// Takes note of an LSA; `None` if it makes no sense.
    fn learn(&mut self, lsa: Lsa<'_>) -> Option<()> {
        let header = lsa.header();
        if header.age >= MAX_AGE {
            return Some(());
        }
        let by = Name::Router(header.key.advertising_router);
        match lsa.body().ok()? {
            LsaBody::Router(body) => {
                self.routers.insert(by, told(body.links.collect()));
            }
            LsaBody::Network(body) => {
                let members = self.lans.entry(Name::Dr(header.key.link_state_id)).or_default();
                members.extend(body.routers.into_iter().map(Name::Router));
            }
            LsaBody::External(body) => {
                let is_host = body.mask == Ipv4Addr::BROADCAST && body.metric < LS_INFINITY;
                if is_host && body.forwarding.is_unspecified() {
                    self.claim(header.key.link_state_id, body.metric, by);
                }
            }
            LsaBody::Summary(_) | LsaBody::Opaque(_) => {}
        }
        Some(())
    }
}

/// What a router-LSA tells.
fn told(mut links: Vec<RouterLink>) -> Told {
    links.retain(|link| link.kind != RouterLinkKind::Stub);
    let stub = !links.is_empty() && links.iter().all(|link| link.metric == MAX_LINK_METRIC);
    let links = links.into_iter().filter_map(|link| {
        let to = match link.kind {
            RouterLinkKind::PointToPoint => Name::Router(link.id.into()),
            RouterLinkKind::Transit => Name::Dr(link.id),
            RouterLinkKind::Stub | RouterLinkKind::Virtual | RouterLinkKind::Unknown(_) => {
                return None;
            }
        };
        // A stub router does not tell what its links cost itself.
        let cost = Some(link.metric).filter(|&cost| cost > 0 && cost != MAX_LINK_METRIC);
        Some(Link { to, cost, address: Some(link.data) })
    });
    Told { stub, links: links.collect() }
}
