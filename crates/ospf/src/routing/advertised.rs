//! What LSAs of one type say about prefixes, by prefix and by router.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use bugle_types::{PackedMap, Prefix4, RouterId};

/// The router and the link state id of an LSA: with the type, its name.
///
/// The id is one of the addresses of the prefix, not always the first: so a router tells prefixes of one address apart (RFC 2328
/// appendix E). It may even advertise one prefix twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Advertiser {
    pub(super) router: RouterId,
    pub(super) id: Ipv4Addr,
}

impl Advertiser {
    /// The LSAs of one router.
    fn by(router: RouterId) -> RangeInclusive<Self> {
        Self { router, id: Ipv4Addr::UNSPECIFIED }..=Self { router, id: Ipv4Addr::BROADCAST }
    }
}

/// Prefixes and who advertises them how.
#[derive(Debug)]
pub(super) struct Advertised<T> {
    /// The advertisers of a prefix stand together, in their order, so that nothing depends on which LSA came first.
    by_prefix: PackedMap<(Prefix4, Advertiser), T>,
    /// How long the prefix of each LSA is. A router's stand together.
    lengths: PackedMap<Advertiser, u8>,
}

impl<T> Default for Advertised<T> {
    fn default() -> Self {
        Self { by_prefix: PackedMap::default(), lengths: PackedMap::default() }
    }
}

impl<T: Copy> Advertised<T> {
    /// Replaces what an LSA says; `None`: it says nothing any more. Returns the prefix that it spoke of before.
    pub(super) fn set(&mut self, by: Advertiser, says: Option<(Prefix4, T)>) -> Option<Prefix4> {
        let old = match &says {
            Some((prefix, _)) => self.lengths.insert(by, prefix.length()),
            None => self.lengths.remove(&by),
        };
        let old = old.map(|length| Prefix4::new(by.id, length));
        if let Some(old) = old.filter(|old| says.is_none_or(|(prefix, _)| prefix != *old)) {
            self.by_prefix.remove(&(old, by));
        }
        if let Some((prefix, says)) = says {
            self.by_prefix.insert((prefix, by), says);
        }
        old
    }

    /// Who advertises a prefix, and how.
    pub(super) fn at(&self, prefix: Prefix4) -> impl Iterator<Item = (Advertiser, T)> {
        let first = *Advertiser::by(RouterId(0)).start();
        let last = *Advertiser::by(RouterId(u32::MAX)).end();
        self.by_prefix.range((prefix, first)..=(prefix, last)).map(|((_, by), &says)| (by, says))
    }

    /// Every prefix that is advertised, as often as it is.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix4> {
        self.by_prefix.keys().map(|(prefix, _)| prefix)
    }

    /// The prefixes that a router advertises.
    pub(super) fn by_router(&self, router: RouterId) -> impl Iterator<Item = Prefix4> {
        self.lengths.range(Advertiser::by(router)).map(|(by, &length)| Prefix4::new(by.id, length))
    }
}
