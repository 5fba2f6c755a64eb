//! What LSAs of one type say about prefixes, by prefix and by router.

use std::cmp::Ordering;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use bugle_types::{PackedMap, Prefix4, RouterId};
use smallvec::SmallVec;

/// The router and the link state id of an LSA: with the type, its name.
///
/// The id is one of the addresses of the prefix, not always the first: so a router tells prefixes of one address apart (RFC 2328
/// appendix E). It may even advertise one prefix twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advertiser {
    pub(super) router: RouterId,
    pub(super) id: Ipv4Addr,
}

impl Ord for Advertiser {
    /// By the router, then by the id: one comparison of numbers.
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |by: &Self| u64::from(by.router.0) << 32 | u64::from(by.id.to_bits());
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for Advertiser {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Advertiser {
    /// The LSAs of one router.
    fn by(router: RouterId) -> RangeInclusive<Self> {
        Self { router, id: Ipv4Addr::UNSPECIFIED }..=Self { router, id: Ipv4Addr::BROADCAST }
    }
}

/// Prefixes, who advertises them, and at which metric.
#[derive(Debug, Default)]
pub(super) struct Advertised {
    /// The metrics of hosts, which are most prefixes. The advertisers of one stand together, in their order, so that nothing depends on which LSA
    /// came first.
    hosts: PackedMap<Host, u32>,
    /// The metrics of all other prefixes, likewise.
    others: PackedMap<Advertisement, u32>,
    /// How long the prefix of each LSA is. A router's stand together.
    lengths: PackedMap<Advertiser, u8>,
}

/// The length of a host's prefix.
const HOST: u8 = 32;

/// A host's address and who advertises it, in one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Host(u64);

impl Host {
    const fn new(address: Ipv4Addr, router: RouterId) -> Self {
        Self((address.to_bits() as u64) << 32 | router.0 as u64)
    }

    /// All of one address.
    const fn of(address: Ipv4Addr) -> RangeInclusive<Self> {
        Self::new(address, RouterId(0))..=Self::new(address, RouterId(u32::MAX))
    }

    const fn by(self) -> Advertiser {
        let [a, b, c, d, router @ ..] = self.0.to_be_bytes();
        let router = RouterId(u32::from_be_bytes(router));
        Advertiser { router, id: Ipv4Addr::new(a, b, c, d) }
    }
}

/// A prefix and who advertises it, in the order of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Advertisement {
    by: Advertiser,
    length: u8,
}

impl Advertisement {
    fn prefix(self) -> Prefix4 {
        Prefix4::new(self.by.id, self.length)
    }

    /// All of a prefix.
    fn of(prefix: Prefix4) -> RangeInclusive<Self> {
        let (first, length) = (prefix.address(), prefix.length());
        let others = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        let last = Ipv4Addr::from_bits(first.to_bits() | others);
        let by = |router, id| Self { by: Advertiser { router: RouterId(router), id }, length };
        by(0, first)..=by(u32::MAX, last)
    }
}

impl Ord for Advertisement {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.prefix(), self.by).cmp(&(other.prefix(), other.by))
    }
}

impl PartialOrd for Advertisement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Advertised {
    /// Replaces what an LSA says; `None`: it says nothing any more. Returns the prefix that it spoke of before.
    pub(super) fn set(&mut self, by: Advertiser, says: Option<(Prefix4, u32)>) -> Option<Prefix4> {
        let old = match &says {
            Some((prefix, _)) => self.lengths.insert(by, prefix.length()),
            None => self.lengths.remove(&by),
        };
        if let Some(length) = old.filter(|&old| says.is_none_or(|(new, _)| new.length() != old)) {
            if length == HOST {
                self.hosts.remove(&Host::new(by.id, by.router));
            } else {
                self.others.remove(&Advertisement { by, length });
            }
        }
        if let Some((prefix, metric)) = says {
            if prefix.is_host() {
                self.hosts.insert(Host::new(by.id, by.router), metric);
            } else {
                self.others.insert(Advertisement { by, length: prefix.length() }, metric);
            }
        }
        old.map(|length| Prefix4::new(by.id, length))
    }

    /// Who advertises a prefix, and at which metric.
    pub(super) fn at(&self, prefix: Prefix4) -> impl Iterator<Item = (Advertiser, u32)> {
        // An iterator over either map would be long, and is moved about for each prefix.
        let mut found = SmallVec::<[(Advertiser, u32); 2]>::new();
        if prefix.is_host() {
            for (host, &metric) in self.hosts.range(Host::of(prefix.address())) {
                found.push((host.by(), metric));
            }
        } else {
            for (said, &metric) in self.others.range(Advertisement::of(prefix)) {
                found.push((said.by, metric));
            }
        }
        found.into_iter()
    }

    /// Every prefix that is advertised, as often as it is.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix4> {
        let hosts = self.hosts.keys().map(|host| Prefix4::host(host.by().id));
        hosts.chain(self.others.keys().map(Advertisement::prefix))
    }

    /// The prefixes that a router advertises.
    pub(super) fn by_router(&self, router: RouterId) -> impl Iterator<Item = Prefix4> {
        self.lengths.range(Advertiser::by(router)).map(|(by, &length)| Prefix4::new(by.id, length))
    }
}
