//! The same area in the words of IS-IS: a level 2 subdomain of as many systems, each with its own /32.

use bugle_types::SystemId;
use bugle_wire::isis::{
    Level, LspFields, LspFlags, LspId, Neighbor, NodeId, PrefixReach, SequenceNumber, SubTlvs,
    TlvBuilder, TopologyId, emit_lsp,
};

use super::{Area, Edge, count};

/// The protocol that LSPs and Hellos name: IPv4.
pub(crate) const IPV4: u8 = 0xcc;

/// As FRR has it. No benchmark takes as long.
const LIFETIME: u16 = 1200;

/// The most bytes of TLVs.
const ROOM: usize = 1400;

/// An LSP: its ID and all of its bytes.
pub type KeyedLsp = (LspId, Vec<u8>);

impl Area {
    /// The identity of a system.
    #[must_use]
    pub const fn system_id(router: u32) -> SystemId {
        let [a, b, c, d] = router.to_be_bytes();
        SystemId([2, 0, a, b, c, d])
    }

    /// Every LSP of the area, of which `tested` is the neighbour of system 0.
    pub fn lsps(&self, tested: SystemId) -> impl Iterator<Item = KeyedLsp> {
        (0..count(&self.routers)).filter_map(move |router| self.lsp(router, tested))
    }

    /// Changes the metric of a link in both directions; returns the new LSPs of its two ends.
    pub fn set_metric(&mut self, edge: u32, metric: u16, tested: SystemId) -> Vec<KeyedLsp> {
        let changed = self.set_cost(edge, metric);
        let Some(edge) = self.edges.get(edge as usize).filter(|_| !changed.is_empty()) else {
            return Vec::new();
        };
        let (a, b) = edge.ends;
        [a, b].into_iter().filter_map(|router| self.lsp(router, tested)).collect()
    }

    fn lsp(&self, number: u32, tested: SystemId) -> Option<KeyedLsp> {
        let router = self.routers.get(number as usize)?;
        let mut tlvs = TlvBuilder::new(ROOM);
        tlvs.area_address(&"49.0001".parse().ok()?);
        tlvs.protocol(IPV4);
        let mut neighbor = |system, metric| {
            let id = NodeId::of_system(system);
            let neighbor = Neighbor { id, metric, sub_tlvs: SubTlvs::default() };
            tlvs.neighbor(TopologyId::STANDARD, &neighbor);
        };
        if number == 0 {
            neighbor(tested, 10);
        }
        for position in &router.edges {
            let Edge { ends: (a, b), cost } = *self.edges.get(*position)?;
            neighbor(Self::system_id(if a == number { b } else { a }), cost.into());
        }
        let reach = PrefixReach {
            prefix: Self::router_prefix(number),
            metric: 1,
            down: false,
            external: false,
            sub_tlvs: SubTlvs::default(),
        };
        tlvs.prefix(TopologyId::STANDARD, &reach);
        let id = LspId { node: NodeId::of_system(Self::system_id(number)), fragment: 0 };
        // OSPF's numbers begin far below zero, those of IS-IS at one.
        let instances = router.sequence.0.wrapping_sub(super::SequenceNumber::INITIAL.0);
        let sequence = SequenceNumber(u32::try_from(instances).unwrap_or(0) + 1);
        let fields = LspFields {
            lifetime: LIFETIME,
            id,
            sequence,
            flags: LspFlags::LEVEL_1 | LspFlags::LEVEL_2,
        };
        Some((id, emit_lsp(Level::L2, &fields, tlvs.bytes(), None)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bugle_wire::isis::{Lsp, TlvBody};

    use super::*;

    const TESTED: SystemId = SystemId([0, 0, 0, 0, 0, 1]);

    #[test]
    fn every_link_is_said_by_both_ends_at_the_same_metric() {
        let area = Area::grid(50, 0, 1);
        let mut links = BTreeSet::new();
        for (id, bytes) in area.lsps(TESTED) {
            let lsp = Lsp::parse(&bytes).unwrap();
            assert!(lsp.checksum_ok());
            for tlv in lsp.tlvs().unwrap() {
                if let TlvBody::ExtendedIsReachability(neighbors) = tlv.body().unwrap() {
                    links.extend(neighbors.iter().map(|link| (id.node, link.id, link.metric)));
                }
            }
        }
        let tested = NodeId::of_system(TESTED);
        assert!(links.len() >= 2 * 85, "{}", links.len());
        assert!(links.iter().all(|&(a, b, cost)| b == tested || links.contains(&(b, a, cost))));
    }

    #[test]
    fn a_changed_metric_gives_new_instances_at_both_ends() {
        let mut area = Area::grid(9, 0, 1);
        let lsps = area.set_metric(0, 77, TESTED);
        assert_eq!(lsps.len(), 2);
        for (_, bytes) in &lsps {
            assert_eq!(Lsp::parse(bytes).unwrap().header().entry.sequence, SequenceNumber(2));
        }
    }
}
