//! What protocols offer, by prefix: packed, for there are as many entries as routes.

use std::cmp::Ordering;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use bugle_types::{PackedMap, Prefix, Prefix4};

use crate::route::Protocol;

/// An entry for each prefix and protocol that offers a route to it. Those of one prefix stand side by side, the most preferred
/// protocol first; prefixes are in their order.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    ipv4: PackedMap<Key4, T>,
    ipv6: PackedMap<Key6, T>,
}

/// An IPv4 prefix and a protocol in eight bytes instead of 19.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key4 {
    address: Ipv4Addr,
    length: u8,
    protocol: Protocol,
}

type Key6 = (Prefix, Protocol);

/// A key of one of the two maps.
enum Key {
    Ipv4(Key4),
    Ipv6(Key6),
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { ipv4: PackedMap::default(), ipv6: PackedMap::default() }
    }
}

impl<T> Routes<T> {
    /// The entry of a prefix and protocol.
    pub(crate) fn get(&self, prefix: Prefix, protocol: Protocol) -> Option<&T> {
        match Key::new(prefix, protocol) {
            Key::Ipv4(key) => self.ipv4.get(&key),
            Key::Ipv6(key) => self.ipv6.get(&key),
        }
    }

    /// The same, to change in place.
    pub(crate) fn get_mut(&mut self, prefix: Prefix, protocol: Protocol) -> Option<&mut T> {
        match Key::new(prefix, protocol) {
            Key::Ipv4(key) => self.ipv4.get_mut(&key),
            Key::Ipv6(key) => self.ipv6.get_mut(&key),
        }
    }

    /// Sets the entry of a prefix and protocol; returns the one it had.
    pub(crate) fn insert(&mut self, prefix: Prefix, protocol: Protocol, entry: T) -> Option<T> {
        match Key::new(prefix, protocol) {
            Key::Ipv4(key) => self.ipv4.insert(key, entry),
            Key::Ipv6(key) => self.ipv6.insert(key, entry),
        }
    }

    /// Removes the entry of a prefix and protocol; returns it.
    pub(crate) fn remove(&mut self, prefix: Prefix, protocol: Protocol) -> Option<T> {
        match Key::new(prefix, protocol) {
            Key::Ipv4(key) => self.ipv4.remove(&key),
            Key::Ipv6(key) => self.ipv6.remove(&key),
        }
    }

    /// The entries of a prefix, the most preferred protocol first.
    pub(crate) fn of(&self, prefix: Prefix) -> impl Iterator<Item = (Protocol, &T)> + use<'_, T> {
        let (ipv4, ipv6) = ranges(prefix);
        let ipv4 = ipv4.into_iter().flat_map(|range| self.ipv4.range(range));
        let ipv6 = ipv6.into_iter().flat_map(|range| self.ipv6.range(range));
        ipv4.map(|(key, entry)| (key.protocol, entry))
            .chain(ipv6.map(|((_, protocol), entry)| (protocol, entry)))
    }

    /// The same, to change in place.
    pub(crate) fn of_mut(&mut self, prefix: Prefix) -> impl Iterator<Item = (Protocol, &mut T)> {
        let (ipv4, ipv6) = ranges(prefix);
        let ipv4 = ipv4.map(|range| self.ipv4.range_mut(range)).into_iter().flatten();
        let ipv6 = ipv6.map(|range| self.ipv6.range_mut(range)).into_iter().flatten();
        ipv4.map(|(key, entry)| (key.protocol, entry))
            .chain(ipv6.map(|((_, protocol), entry)| (protocol, entry)))
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Prefix, Protocol, &T)> {
        let ipv4 = self.ipv4.iter().map(|(key, entry)| (key.prefix(), key.protocol, entry));
        ipv4.chain(self.ipv6.iter().map(|((prefix, protocol), entry)| (prefix, protocol, entry)))
    }

    /// All entries in order, to change in place.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Prefix, Protocol, &mut T)> {
        let ipv4 = self.ipv4.iter_mut().map(|(key, entry)| (key.prefix(), key.protocol, entry));
        let ipv6 = self.ipv6.iter_mut();
        ipv4.chain(ipv6.map(|((prefix, protocol), entry)| (prefix, protocol, entry)))
    }
}

impl Key {
    fn new(prefix: Prefix, protocol: Protocol) -> Self {
        match prefix.ipv4() {
            Some(address) => Self::Ipv4(Key4 { address, length: prefix.length(), protocol }),
            None => Self::Ipv6((prefix, protocol)),
        }
    }
}

impl Ord for Key4 {
    /// One comparison of numbers instead of six of octets.
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for Key4 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key4 {
    /// The fields in their order.
    fn number(self) -> u64 {
        let address = u64::from(self.address.to_bits());
        address << 16 | u64::from(self.length) << 8 | u64::from(self.protocol as u8)
    }

    fn prefix(self) -> Prefix {
        Prefix4::new(self.address, self.length).into()
    }
}

/// The keys that a prefix can have, in each of the two maps.
fn ranges(prefix: Prefix) -> (Option<RangeInclusive<Key4>>, Option<RangeInclusive<Key6>>) {
    const FIRST: Protocol = Protocol::Host;
    const LAST: Protocol = Protocol::Isis;
    match Key::new(prefix, FIRST) {
        Key::Ipv4(key) => (Some(key..=Key4 { protocol: LAST, ..key }), None),
        Key::Ipv6(key) => (None, Some(key..=(prefix, LAST))),
    }
}
