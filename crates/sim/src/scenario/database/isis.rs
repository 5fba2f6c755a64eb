//! What the LSPs of a level say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bugle_isis::claim_of;
use bugle_wire::isis::{
    Level, LinkAttribute, Lsp, LspFlags, MAX_LINK_METRIC, MAX_PATH_METRIC, NodeId, TlvBody,
    TopologyId,
};

use super::{Known, Link, Name, not_whole};
use crate::scenario::words::Wrong;

/// What the LSPs of a level say, each with its place. Of two levels the one that knows more systems tells, level 2 if they know as
/// many.
pub(super) fn known(lsps: &[(usize, Vec<u8>)]) -> Result<Known, Wrong> {
    let mut levels: BTreeMap<Level, Vec<Lsp<'_>>> = BTreeMap::new();
    for (place, octets) in lsps {
        let lsp = Lsp::parse(octets).map_err(|_| not_whole(*place))?;
        lsp.tlvs().map_err(|_| not_whole(*place))?;
        levels.entry(lsp.header().level).or_default().push(lsp);
    }
    let mut known = Known::default();
    for level in levels.values() {
        let of_level = Known::of_level(level)?;
        if of_level.routers.len() >= known.routers.len() {
            known = of_level;
        }
    }
    Ok(known)
}

fn name(node: NodeId) -> Name {
    if node.is_pseudonode() { Name::Pseudonode(node) } else { Name::System(node.system) }
}

impl Known {
    fn of_level(lsps: &[Lsp<'_>]) -> Result<Self, Wrong> {
        let living = || lsps.iter().filter(|lsp| lsp.header().entry.lifetime > 0);
        // ISO 10589 section 7.2.5: without fragment zero the others do not count.
        let zero = living().filter(|lsp| lsp.header().entry.id.fragment == 0);
        let described: BTreeSet<NodeId> = zero.map(|lsp| lsp.header().entry.id.node).collect();
        let mut known = Self::default();
        for lsp in living().filter(|lsp| described.contains(&lsp.header().entry.id.node)) {
            known.learn_lsp(lsp)?;
        }
        Ok(known)
    }

    fn learn_lsp(&mut self, lsp: &Lsp<'_>) -> Result<(), Wrong> {
        let header = lsp.header();
        let by = name(header.entry.id.node);
        let is_lan = header.entry.id.node.is_pseudonode();
        if is_lan {
            self.lans.entry(by).or_default();
        } else {
            let told = self.routers.entry(by).or_default();
            told.stub |= header.entry.id.fragment == 0 && header.flags.contains(LspFlags::OVERLOAD);
        }
        // One that does not decode is ignored; the LSP around it counts.
        let tlvs = lsp.tlvs().into_iter().flatten();
        for tlv in tlvs.filter_map(|tlv| tlv.body().ok()) {
            if let TlvBody::ExtendedIsReachability(links) = tlv
                && links.topology() == TopologyId::STANDARD
            {
                for link in links.iter().filter(|link| link.metric < MAX_LINK_METRIC) {
                    let mut attributes = link.sub_tlvs.link_attributes();
                    let address = attributes.find_map(|attribute| {
                        if let LinkAttribute::Ipv4InterfaceAddress(address) = attribute {
                            return Some(address);
                        }
                        None
                    });
                    self.add(by, link.id, link.metric, address)?;
                }
            } else if let TlvBody::IsNeighbors(links) = tlv
                && !links.is_virtual
            {
                for link in links.links {
                    self.add(by, link.id, link.metrics.default_metric().into(), None)?;
                }
            } else if let TlvBody::ExtendedIpReachability(prefixes) = tlv
                && prefixes.topology() == TopologyId::STANDARD
                && !is_lan
            {
                for said in prefixes.iter().filter(|said| said.metric <= MAX_PATH_METRIC) {
                    let is_claim = said.prefix.is_host() && claim_of(said.metric) > 0;
                    if let Some(host) = said.prefix.ipv4().filter(|_| is_claim) {
                        self.claim(host, said.metric, by);
                    }
                }
            }
        }
        Ok(())
    }

    /// A node has a link: a LAN to a router on it, a router to a LAN or another.
    fn add(
        &mut self,
        by: Name,
        to: NodeId,
        metric: u32,
        address: Option<Ipv4Addr>,
    ) -> Result<(), Wrong> {
        let to = name(to);
        if let Some(on_it) = self.lans.get_mut(&by) {
            on_it.push(to);
            return Ok(());
        }
        let most = u16::MAX - 1;
        let cost = u16::try_from(metric).ok().filter(|&cost| cost <= most);
        let cost = cost.ok_or_else(|| {
            format!("the link of {by} to {to} costs {metric}: {most} is the most that is simulated")
        })?;
        let cost = Some(cost).filter(|&cost| cost > 0);
        self.routers.entry(by).or_default().links.push(Link { to, cost, address });
        Ok(())
    }
}
