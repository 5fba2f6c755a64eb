//! What an LSP says, taken apart once when it is installed.

use std::sync::Arc;

use bugle_spf::Edge;
use bugle_types::Prefix;
use bugle_wire::isis::{
    AreaAddress, Lsp, LspFlags, MAX_LINK_METRIC, MAX_PATH_METRIC, NarrowPrefix, PrefixAttribute,
    PrefixFlags, PrefixReach, TlvBody, Topology, TopologyId,
};

use super::node_key;
use crate::attributes::Attributes;
use crate::capability::Capability;

/// What one fragment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) flags: LspFlags,
    pub(super) areas: Vec<AreaAddress>,
    /// The topologies the system takes part in, if it names any.
    pub(super) topologies: Vec<Topology>,
    pub(super) hostname: Option<String>,
    /// What is said of routers for the whole domain.
    pub(super) capabilities: Vec<Capability>,
    /// Links that may be part of a path, by topology.
    pub(super) edges: Vec<(TopologyId, Edge)>,
    /// Prefixes in order, each once: of several ways to say it the best counts.
    pub(super) prefixes: Vec<(Prefix, Says)>,
}

/// What is said of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Says {
    /// The metric is not comparable with those of paths (RFC 1195 section 3.10.2).
    pub(super) external: bool,
    /// It has been leaked down a level.
    pub(super) down: bool,
    pub(super) metric: u32,
    pub(super) flags: PrefixFlags,
    pub(super) attributes: Option<Arc<Attributes>>,
}

impl Content {
    /// What an LSP says of the standard topology, and of IPv6 in `ipv6`.
    pub(super) fn of(lsp: Lsp<'_>, ipv6: TopologyId) -> Self {
        let mut content = Self { flags: lsp.header().flags, ..Self::default() };
        let Ok(tlvs) = lsp.tlvs() else { return content };
        for tlv in tlvs {
            // One that does not decode is ignored; the LSP around it counts.
            let Ok(tlv) = tlv.body() else { continue };
            content.take(&tlv, ipv6);
        }
        content.edges.sort_unstable_by_key(|(topology, edge)| (*topology, edge.to, edge.cost));
        content.prefixes.sort_unstable();
        content.prefixes.dedup_by_key(|(prefix, _)| *prefix);
        content
    }

    fn take(&mut self, tlv: &TlvBody<'_>, ipv6: TopologyId) {
        if let TlvBody::ExtendedIsReachability(neighbors) = tlv {
            let topology = neighbors.topology();
            // RFC 5305 section 3: the largest metric takes a link out.
            let links = neighbors.iter().filter(|link| link.metric < MAX_LINK_METRIC);
            self.edges.extend(
                links.map(|link| {
                    (topology, Edge { to: node_key(link.id), cost: link.metric, tag: 0 })
                }),
            );
        } else if let TlvBody::IsNeighbors(neighbors) = tlv {
            if neighbors.is_virtual {
                return;
            }
            self.edges.extend(neighbors.links.into_iter().map(|link| {
                let cost = link.metrics.default_metric().into();
                (TopologyId::STANDARD, Edge { to: node_key(link.id), cost, tag: 0 })
            }));
        } else if let TlvBody::ExtendedIpReachability(prefixes) = tlv {
            let topology = prefixes.topology();
            let usable = prefixes.iter().filter(|reach| {
                let of_family = if reach.prefix.is_ipv4() { TopologyId::STANDARD } else { ipv6 };
                topology == of_family && reach.metric <= MAX_PATH_METRIC
            });
            // Most prefixes of an LSP have the same attributes.
            let mut last = None;
            self.prefixes.extend(usable.map(|reach| (reach.prefix, Says::wide(&reach, &mut last))));
        } else if let TlvBody::IpInternalReachability(prefixes) = tlv {
            // RFC 5302 section 3.3: external metrics have no place here; what has one is ignored.
            let usable = prefixes.into_iter().filter(|narrow| !narrow.metrics.is_external());
            self.prefixes.extend(usable.filter_map(|narrow| Says::narrow(&narrow)));
        } else if let TlvBody::IpExternalReachability(prefixes) = tlv {
            self.prefixes.extend(prefixes.into_iter().filter_map(|narrow| {
                let (prefix, says) = Says::narrow(&narrow)?;
                let external = narrow.metrics.is_external();
                Some((prefix, Says { external, flags: PrefixFlags::EXTERNAL, ..says }))
            }));
        } else if let TlvBody::AreaAddresses(areas) = tlv {
            self.areas.extend(areas.iter());
        } else if let TlvBody::MultiTopology(topologies) = tlv {
            self.topologies.extend(*topologies);
        } else if let TlvBody::RouterCapability(capability) = tlv {
            self.capabilities.extend(Capability::of(capability));
        } else if let TlvBody::Hostname(name) = tlv {
            self.hostname.get_or_insert_with(|| printable(name));
        }
    }

    /// Whether a system takes part in a topology, and what it says of itself there: overloaded, attached.
    pub(super) fn in_topology(&self, topology: TopologyId) -> Option<(bool, bool)> {
        if topology.is_standard() {
            let overloaded = self.flags.contains(LspFlags::OVERLOAD);
            return Some((overloaded, self.flags.contains(LspFlags::ATTACHED)));
        }
        let named = self.topologies.iter().find(|named| named.id == topology)?;
        Some((named.overload, named.attached))
    }
}

/// A name that others give themselves, for people's terminals: it should be ASCII (RFC 5301 section 3), but nothing holds them to
/// it.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace(char::is_control, "\u{fffd}")
}

/// RFC 7794 section 2.1: only a host can stand for a router, and IPv6 prefixes say elsewhere that they are external.
fn flags_that_count(flags: PrefixFlags, prefix: Prefix) -> PrefixFlags {
    let flags = if prefix.is_host() { flags } else { flags.without(PrefixFlags::NODE) };
    if prefix.is_ipv4() { flags } else { flags.without(PrefixFlags::EXTERNAL) }
}

impl Says {
    /// What a prefix with a wide metric says. `last` are the attributes of the one before, to be shared.
    fn wide(reach: &PrefixReach<'_>, last: &mut Option<Arc<Attributes>>) -> Self {
        let mut flags = if reach.external { PrefixFlags::EXTERNAL } else { PrefixFlags::NONE };
        for attribute in reach.sub_tlvs.prefix_attributes() {
            if let PrefixAttribute::Flags(said) = attribute {
                flags = flags | flags_that_count(said, reach.prefix);
            }
        }
        let attributes = Attributes::of(reach.sub_tlvs).shared();
        if attributes != *last {
            last.clone_from(&attributes);
        }
        let (down, metric, attributes) = (reach.down, reach.metric, last.clone());
        Self { external: false, down, metric, flags, attributes }
    }

    fn narrow(narrow: &NarrowPrefix) -> Option<(Prefix, Self)> {
        let says = Self {
            external: false,
            down: narrow.metrics.is_down(),
            metric: narrow.metrics.default_metric().into(),
            flags: PrefixFlags::NONE,
            attributes: None,
        };
        narrow.prefix().map(|prefix| (prefix, says))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal_it_is_shown_on() {
        assert_eq!(printable(b"hv-a"), "hv-a");
        let hostile = printable(b"hv\x1b[2J\n\x00\xff\xc2\x9b");
        assert!(hostile.starts_with("hv") && !hostile.contains(char::is_control), "{hostile:?}");
    }
}
