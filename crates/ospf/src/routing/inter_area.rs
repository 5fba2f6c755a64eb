//! Inter-area routes, and AS boundary routers of other areas (RFC 2328 section 16.2).

use bugle_types::{Prefix4, RouterId};
use bugle_wire::ospf::{LS_INFINITY, LsaBody, LsaKey, LsaType, RouterFlags};
use smallvec::smallvec;

use super::advertised::Advertiser;
use super::{Candidate, Routing};
use crate::io::PathType;

impl Routing {
    /// A summary-LSA of another router changed; `None`: it is gone.
    pub(super) fn on_summary_lsa(&mut self, key: LsaKey, body: Option<&LsaBody<'_>>) {
        let border = key.advertising_router;
        let summary = match body {
            Some(LsaBody::Summary(lsa)) if lsa.metric < LS_INFINITY => Some(lsa),
            _ => None,
        };
        if key.ls_type == LsaType::SUMMARY_ASBR {
            let boundary = RouterId::from(key.link_state_id);
            let borders = self.boundaries.entry(boundary).or_default();
            borders.retain(|&(known, _)| known != border);
            borders.extend(summary.map(|lsa| (border, lsa.metric)));
            if borders.is_empty() {
                self.boundaries.remove(&boundary);
            }
            self.dirty.extend(self.externals.by_router(boundary));
            return;
        }
        let says = summary
            .and_then(|lsa| Some((Prefix4::from_mask(key.link_state_id, lsa.mask)?, lsa.metric)));
        self.dirty.extend(says.map(|(prefix, _)| prefix));
        let by = Advertiser { router: border, id: key.link_state_id };
        self.dirty.extend(self.summaries.set(by, says));
    }

    /// The best paths to a prefix in another area.
    pub(super) fn inter_path(&self, prefix: Prefix4) -> Option<Candidate> {
        self.best_border(self.summaries.at(prefix).map(|(by, metric)| (by.router, metric)))
    }

    /// The path to an AS boundary router: within the area, else through a border router (section 16.4 (3)).
    pub(super) fn boundary_path(&self, router: RouterId) -> Option<(PathType, Candidate)> {
        if let Some((cost, set)) = self.topology.path_to(router, RouterFlags::E) {
            return Some((PathType::IntraArea, Candidate { cost, sets: smallvec![set] }));
        }
        let borders = self.boundaries.get(&router)?;
        Some((PathType::InterArea, self.best_border(borders.iter().copied())?))
    }

    /// The best paths through border routers that advertise something.
    fn best_border(&self, borders: impl Iterator<Item = (RouterId, u32)>) -> Option<Candidate> {
        let mut best = None;
        for (border, metric) in borders {
            if let Some((cost, set)) = self.topology.path_to(border, RouterFlags::B) {
                Candidate::merge(&mut best, cost.saturating_add(metric), &[set]);
            }
        }
        best
    }
}
