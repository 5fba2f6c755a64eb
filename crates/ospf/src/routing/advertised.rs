//! What LSAs of one type say about prefixes, by prefix and by router.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::Ipv4Addr;

use bugle_types::{Prefix, RouterId};

/// The router and the link state id of an LSA: with the type, its name.
///
/// The id is one of the addresses of the prefix, not always the first: so a router tells prefixes of one address apart (RFC 2328
/// appendix E). It may even advertise one prefix twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Advertiser {
    pub(super) router: RouterId,
    pub(super) id: Ipv4Addr,
}

/// Prefixes and who advertises them how.
#[derive(Debug)]
pub(super) struct Advertised<T> {
    /// In the order of the advertisers, so that nothing depends on which LSA came first.
    by_prefix: BTreeMap<Prefix, Vec<(Advertiser, T)>>,
    /// How long the prefix of each LSA is. A router's stand together.
    lengths: BTreeMap<Advertiser, u8>,
}

impl<T> Default for Advertised<T> {
    fn default() -> Self {
        Self { by_prefix: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T> Advertised<T> {
    /// Replaces what an LSA says; `None`: it says nothing any more. Returns the prefix that it spoke of before.
    pub(super) fn set(&mut self, by: Advertiser, says: Option<(Prefix, T)>) -> Option<Prefix> {
        let old = match &says {
            Some((prefix, _)) => self.lengths.insert(by, prefix.length()),
            None => self.lengths.remove(&by),
        };
        let old = old.and_then(|length| Prefix::new(by.id.into(), length));
        if let Some(old) = old
            && let Some(known) = self.by_prefix.get_mut(&old)
        {
            known.retain(|(advertiser, _)| *advertiser != by);
            if known.is_empty() {
                self.by_prefix.remove(&old);
            }
        }
        if let Some((prefix, says)) = says {
            match self.by_prefix.entry(prefix) {
                Entry::Vacant(entry) => {
                    entry.insert(vec![(by, says)]);
                }
                Entry::Occupied(mut entry) => {
                    let known = entry.get_mut();
                    let at = known.partition_point(|(advertiser, _)| *advertiser < by);
                    known.insert(at, (by, says));
                }
            }
        }
        old
    }

    /// Who advertises a prefix, and how.
    pub(super) fn at(&self, prefix: Prefix) -> &[(Advertiser, T)] {
        self.by_prefix.get(&prefix).map_or(&[], Vec::as_slice)
    }

    /// Every prefix that is advertised.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.by_prefix.keys().copied()
    }

    /// The prefixes that a router advertises.
    pub(super) fn by_router(&self, router: RouterId) -> impl Iterator<Item = Prefix> {
        let first = Advertiser { router, id: Ipv4Addr::UNSPECIFIED };
        let last = Advertiser { router, id: Ipv4Addr::BROADCAST };
        self.lengths
            .range(first..=last)
            .filter_map(|(by, &length)| Prefix::new(by.id.into(), length))
    }
}
