//! What is said of a prefix beside its metric and its flags, and goes with it to another level: administrative tags (RFC 5130) and
//! the router that originated it (RFC 7794 section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bugle_wire::isis::{PrefixAttribute, SubTlvs};
use bugle_wire::list::List;

use crate::config::Tags;

/// Tags beyond these are not passed on, so that an item has room in any LSP.
const MOST_TAGS: usize = 16;
const MOST_LONG_TAGS: usize = 8;

/// The attributes of a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attributes {
    /// Tags of 32 bits, in their order.
    tags: Vec<u32>,
    /// Tags of 64 bits, in their order.
    long_tags: Vec<u64>,
    pub(crate) ipv4_source: Option<Ipv4Addr>,
    pub(crate) ipv6_source: Option<Ipv6Addr>,
}

impl Attributes {
    /// Those of a prefix of ours.
    pub(crate) fn new(tags: Tags) -> Self {
        Self {
            tags: (tags.short != 0).then_some(tags.short).into_iter().collect(),
            long_tags: (tags.long != 0).then_some(tags.long).into_iter().collect(),
            ..Self::default()
        }
    }

    /// Those that sub-TLVs say.
    pub(crate) fn of(sub_tlvs: SubTlvs<'_>) -> Self {
        let mut attributes = Self::default();
        for attribute in sub_tlvs.prefix_attributes() {
            match attribute {
                PrefixAttribute::Tags(tags) => attributes.tags.extend(tags),
                PrefixAttribute::Tags64(tags) => attributes.long_tags.extend(tags),
                PrefixAttribute::Ipv4SourceRouterId(router) => {
                    attributes.ipv4_source.get_or_insert(router);
                }
                PrefixAttribute::Ipv6SourceRouterId(router) => {
                    attributes.ipv6_source.get_or_insert(router);
                }
                PrefixAttribute::Flags(_) | PrefixAttribute::Unknown(_) => {}
            }
        }
        attributes.tags.truncate(MOST_TAGS);
        attributes.long_tags.truncate(MOST_LONG_TAGS);
        attributes
    }

    /// To be shared; `None` if there are none.
    pub(crate) fn shared(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// The tags that count, the first of each size (RFC 5130 section 3). Zero is none.
    pub(crate) fn tags(&self) -> Tags {
        Tags {
            short: self.tags.first().copied().unwrap_or_default(),
            long: self.long_tags.first().copied().unwrap_or_default(),
        }
    }

    /// Appends them as sub-TLVs.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let tags: Vec<u8> = self.tags.iter().flat_map(|tag| tag.to_be_bytes()).collect();
        let long_tags: Vec<u8> = self.long_tags.iter().flat_map(|tag| tag.to_be_bytes()).collect();
        let said = [
            List::new(&tags).ok().filter(|tags| !tags.is_empty()).map(PrefixAttribute::Tags),
            List::new(&long_tags).ok().filter(|tags| !tags.is_empty()).map(PrefixAttribute::Tags64),
            self.ipv4_source.map(PrefixAttribute::Ipv4SourceRouterId),
            self.ipv6_source.map(PrefixAttribute::Ipv6SourceRouterId),
        ];
        said.into_iter().flatten().for_each(|attribute| attribute.encode(out));
    }
}
