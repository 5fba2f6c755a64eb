//! Which fragment says what (ISO 10589 section 7.3.4).
//!
//! What is in a fragment stays there while it fits. Adjacencies, prefixes brought from another level, and hosts each have fragments
//! of their own, so that a host's move touches one fragment, never the one with adjacencies. Hosts are spread over several
//! fragments, as each fragment has its own sequence number and back-off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bugle_types::{IfIndex, Prefix, SystemId};
use bugle_wire::isis::{
    Neighbor, NodeId, PrefixAttribute, PrefixFlags, PrefixReach, SubTlvs, TlvBuilder, TlvCode,
    TopologyId,
};

use crate::attributes::Attributes;

/// What shares fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pool {
    /// Adjacencies and the networks of circuits.
    Links,
    /// Prefixes from another level.
    Prefixes,
    /// Router capabilities from another level.
    Capabilities,
    /// Hosts.
    Hosts,
}

impl Pool {
    const ALL: [Self; 4] = [Self::Links, Self::Prefixes, Self::Capabilities, Self::Hosts];
}

/// What an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemKey {
    /// A link; parallel ones differ in their circuits.
    Link(TopologyId, NodeId, IfIndex),
    /// A prefix.
    Prefix(TopologyId, Prefix),
    /// What a system says of a router, by number.
    Capability(SystemId, u8),
}

/// What an item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Link {
        metric: u32,
    },
    Prefix(PrefixItem),
    /// The value of a router capability TLV.
    Capability(Arc<[u8]>),
}

/// A prefix as it is advertised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PrefixItem {
    pub(crate) metric: u32,
    pub(crate) down: bool,
    pub(crate) flags: PrefixFlags,
    pub(crate) attributes: Option<Arc<Attributes>>,
}

/// The description of a node, in up to 256 fragments.
#[derive(Debug, Clone)]
pub(crate) struct Fragments {
    /// The bytes of TLVs that an LSP has room for.
    limit: usize,
    /// What fragment zero begins with.
    header: TlvBuilder,
    numbered: BTreeMap<u8, Fragment>,
    places: BTreeMap<ItemKey, u8>,
    /// What 256 fragments have no room for.
    left_out: BTreeMap<ItemKey, (Pool, Item)>,
    /// Fragments that do not say what they did.
    changed: BTreeSet<u8>,
    /// Hosts of which they do not say what they did.
    touched: BTreeMap<u8, BTreeSet<Prefix>>,
}

#[derive(Debug, Clone)]
struct Fragment {
    pool: Pool,
    items: BTreeMap<ItemKey, Item>,
    /// What the items take at most, in bytes.
    used: usize,
}

/// So many fragments are opened for hosts before any of them is filled up.
const SPREAD: usize = 8;
/// So many hosts a fragment has before the next one is opened.
const COMPANY: usize = 4;
/// The first TLV of each kind takes so many bytes more than its items; those of further ones count with the items.
const TLV_HEADERS: usize = 24;

impl Fragments {
    /// An empty description: fragment zero, and nothing in it.
    pub(crate) fn new(limit: usize) -> Self {
        let mut fragments = Self {
            limit,
            header: TlvBuilder::new(limit),
            numbered: BTreeMap::new(),
            places: BTreeMap::new(),
            left_out: BTreeMap::new(),
            changed: BTreeSet::new(),
            touched: BTreeMap::new(),
        };
        fragments.open(Pool::Links);
        fragments
    }

    /// Sets what fragment zero begins with.
    pub(crate) fn set_header(&mut self, header: TlvBuilder) {
        if self.header == header {
            return;
        }
        self.header = header;
        self.changed.insert(0);
        if self.room(0).is_none() {
            self.repack();
        }
    }

    /// What shares a fragment.
    pub(crate) fn pool(&self, fragment: u8) -> Option<Pool> {
        self.numbered.get(&fragment).map(|fragment| fragment.pool)
    }

    /// What fragment zero says beside its TLVs may have changed.
    pub(crate) fn reconsider(&mut self) {
        self.changed.insert(0);
    }

    /// Sets the bytes of TLVs that an LSP has room for.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        if std::mem::replace(&mut self.limit, limit) != limit {
            self.repack();
        }
    }

    /// Adds an item, changes it, or takes it out.
    pub(crate) fn set(&mut self, pool: Pool, key: ItemKey, item: Option<Item>) {
        self.left_out.remove(&key);
        if let Some(&number) = self.places.get(&key)
            && let Some(fragment) = self.numbered.get_mut(&number)
        {
            if fragment.pool == pool && fragment.items.get(&key) == item.as_ref() {
                return;
            }
            if let Some(old) = fragment.items.remove(&key) {
                fragment.used -= old.cost(&key);
            }
            self.touch(number, &key);
            let same_pool = self.numbered.get(&number).is_some_and(|f| f.pool == pool);
            let cost = item.as_ref().map(|item| item.cost(&key));
            if same_pool
                && self.room(number) >= cost
                && let Some(item) = item
            {
                self.put(number, key, item);
                return;
            }
            self.places.remove(&key);
        }
        match item {
            Some(item) => self.place(pool, key, item),
            None => self.fill(),
        }
    }

    /// What was taken out may have made room: of each pool the first that were left out are tried, while they fit.
    fn fill(&mut self) {
        for pool in Pool::ALL {
            while let Some(key) =
                self.left_out.iter().find(|(_, (of, _))| *of == pool).map(|(&key, _)| key)
                && let Some((pool, item)) = self.left_out.remove(&key)
            {
                self.place(pool, key, item);
                if self.left_out.contains_key(&key) {
                    break;
                }
            }
        }
    }

    /// Makes the items of a pool these and no others.
    pub(crate) fn replace(&mut self, pool: Pool, items: &BTreeMap<ItemKey, Item>) {
        let pools = self.numbered.values().filter(|fragment| fragment.pool == pool);
        let left_out = self.left_out.iter().filter(|(_, (of, _))| *of == pool);
        let gone: Vec<ItemKey> = pools
            .flat_map(|fragment| fragment.items.keys())
            .chain(left_out.map(|(key, _)| key))
            .filter(|key| !items.contains_key(key))
            .copied()
            .collect();
        // New ones first: nothing is taken out of one fragment before it is in another.
        for (&key, item) in items {
            self.set(pool, key, Some(item.clone()));
        }
        for key in gone {
            self.set(pool, key, None);
        }
    }

    /// The fragments that do not say what they did when this was last asked.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<u8> {
        std::mem::take(&mut self.changed)
    }

    /// The hosts of which a fragment does not say what it did when this was last asked, and whether it says anything of them.
    pub(crate) fn take_touched(&mut self, number: u8) -> Vec<(Prefix, bool)> {
        let touched = self.touched.remove(&number).unwrap_or_default();
        let items = self.numbered.get(&number).map(|fragment| &fragment.items);
        let said: BTreeSet<Prefix> = items
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| match key {
                ItemKey::Prefix(_, prefix) => Some(*prefix),
                ItemKey::Link(..) | ItemKey::Capability(..) => None,
            })
            .collect();
        touched.into_iter().map(|prefix| (prefix, said.contains(&prefix))).collect()
    }

    /// A fragment does not say of an item what it did.
    fn touch(&mut self, number: u8, key: &ItemKey) {
        self.changed.insert(number);
        let pool = self.numbered.get(&number).map(|fragment| fragment.pool);
        if let (Some(Pool::Hosts), ItemKey::Prefix(_, prefix)) = (pool, key) {
            self.touched.entry(number).or_default().insert(*prefix);
        }
    }

    /// Whether there is anything in a fragment. Fragment zero is never empty.
    pub(crate) fn is_empty(&self, number: u8) -> bool {
        number != 0 && self.numbered.get(&number).is_none_or(|fragment| fragment.items.is_empty())
    }

    /// Whether there is a fragment of this number, if perhaps an empty one.
    pub(crate) fn has(&self, number: u8) -> bool {
        self.numbered.contains_key(&number)
    }

    /// The prefixes that it says something of, and those that have no room.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.places.keys().chain(self.left_out.keys()).filter_map(|key| match key {
            ItemKey::Prefix(_, prefix) => Some(*prefix),
            ItemKey::Link(..) | ItemKey::Capability(..) => None,
        })
    }

    /// Whether something has no room in 256 fragments.
    pub(crate) fn overflows(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// The TLVs of a fragment.
    pub(crate) fn tlvs(&self, number: u8) -> Vec<u8> {
        let mut tlvs = if number == 0 { self.header.clone() } else { TlvBuilder::new(self.limit) };
        if let Some(fragment) = self.numbered.get(&number) {
            for (key, item) in &fragment.items {
                item.append(key, &mut tlvs);
            }
        }
        tlvs.bytes().to_vec()
    }

    /// Finds a place for an item that has none.
    fn place(&mut self, pool: Pool, key: ItemKey, item: Item) {
        let cost = item.cost(&key);
        let numbers = self.numbered.iter().filter(|(_, fragment)| fragment.pool == pool);
        let numbers: Vec<(u8, usize)> =
            numbers.map(|(&number, fragment)| (number, fragment.items.len())).collect();
        let mut fitting = numbers
            .iter()
            .filter(|(number, _)| self.room(*number).is_some_and(|room| room >= cost));
        let found = match pool {
            Pool::Links | Pool::Prefixes | Pool::Capabilities => fitting.next(),
            Pool::Hosts => fitting.min_by_key(|&&(number, items)| (items, number)),
        };
        let crowded = pool == Pool::Hosts
            && numbers.len() < SPREAD
            && found.is_some_and(|&(_, items)| items >= COMPANY);
        let found = found.map(|&(number, _)| number);
        let number = if crowded { self.open(pool).or(found) } else { found };
        let number = number.or_else(|| self.open(pool));
        match number.filter(|&number| self.room(number).is_some_and(|room| room >= cost)) {
            Some(number) => self.put(number, key, item),
            None => {
                self.left_out.insert(key, (pool, item));
            }
        }
    }

    fn put(&mut self, number: u8, key: ItemKey, item: Item) {
        if let Some(fragment) = self.numbered.get_mut(&number) {
            fragment.used += item.cost(&key);
            fragment.items.insert(key, item);
            self.places.insert(key, number);
            self.touch(number, &key);
        }
    }

    /// Begins the first fragment that is not in use, or empty.
    fn open(&mut self, pool: Pool) -> Option<u8> {
        let number = (0..=u8::MAX).find(|number| {
            self.numbered.get(number).is_none_or(|f| f.items.is_empty() && *number != 0)
        })?;
        self.numbered.insert(number, Fragment { pool, items: BTreeMap::new(), used: 0 });
        Some(number)
    }

    /// The bytes that a fragment has room for; `None` if it holds too much.
    fn room(&self, number: u8) -> Option<usize> {
        let header = if number == 0 { self.header.len() } else { 0 };
        let used = self.numbered.get(&number)?.used;
        self.limit.checked_sub(header + TLV_HEADERS + used)
    }

    /// Finds a new place for everything.
    fn repack(&mut self) {
        let fragments = std::mem::take(&mut self.numbered);
        let numbers: Vec<u8> = fragments.keys().copied().collect();
        self.changed.extend(&numbers);
        self.places.clear();
        let left_out = std::mem::take(&mut self.left_out);
        self.open(Pool::Links);
        for (_, fragment) in fragments {
            for (key, item) in fragment.items {
                self.place(fragment.pool, key, item);
            }
        }
        for (key, (pool, item)) in left_out {
            self.place(pool, key, item);
        }
        // What a fragment that is not needed any more said is to be taken back.
        for number in numbers {
            let empty = Fragment { pool: Pool::Hosts, items: BTreeMap::new(), used: 0 };
            self.numbered.entry(number).or_insert(empty);
        }
    }
}

impl Item {
    /// The bytes that an item takes of an LSP at most, with its share of the headers of TLVs: a header of four bytes at most comes
    /// where an item does not fit a TLV, which is behind 253 bytes of items with it, each of which is counted twice at most.
    fn cost(&self, key: &ItemKey) -> usize {
        let size = match (self, key) {
            (Self::Prefix(item), ItemKey::Prefix(_, prefix)) => {
                let octets = usize::from(prefix.length().div_ceil(8));
                let sub_tlvs = item.sub_tlvs(*prefix).len();
                6 + octets + if sub_tlvs == 0 { 0 } else { sub_tlvs + 1 }
            }
            (Self::Capability(value), _) => value.len() + 2,
            _ => 11,
        };
        size + size.div_ceil(31)
    }

    fn append(&self, key: &ItemKey, tlvs: &mut TlvBuilder) {
        match (self, *key) {
            (&Self::Link { metric }, ItemKey::Link(topology, id, _)) => {
                tlvs.neighbor(topology, &Neighbor { id, metric, sub_tlvs: SubTlvs::default() });
            }
            (Self::Prefix(item), ItemKey::Prefix(topology, prefix)) => {
                let sub_tlvs = item.sub_tlvs(prefix);
                let reach = PrefixReach {
                    prefix,
                    metric: item.metric,
                    down: item.down,
                    external: !prefix.is_ipv4() && item.flags.contains(PrefixFlags::EXTERNAL),
                    sub_tlvs: SubTlvs::new(&sub_tlvs),
                };
                tlvs.prefix(topology, &reach);
            }
            (Self::Capability(value), ItemKey::Capability(..)) => {
                tlvs.tlv(TlvCode::ROUTER_CAPABILITY, value);
            }
            _ => {}
        }
    }
}

impl PrefixItem {
    fn sub_tlvs(&self, prefix: Prefix) -> Vec<u8> {
        let mut sub_tlvs = Vec::new();
        // RFC 7794 section 2.1: an IPv6 prefix has a bit of its own for what is external.
        let said_elsewhere =
            if prefix.is_ipv4() { PrefixFlags::NONE } else { PrefixFlags::EXTERNAL };
        let flags = self.flags.without(said_elsewhere);
        if flags != PrefixFlags::NONE {
            PrefixAttribute::Flags(flags).encode(&mut sub_tlvs);
        }
        if let Some(attributes) = &self.attributes {
            attributes.encode(&mut sub_tlvs);
        }
        sub_tlvs
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use bugle_types::SystemId;
    use bugle_wire::isis::{
        Level, Lsp, LspFields, LspFlags, LspId, SequenceNumber, TlvBody, emit_lsp,
    };
    use bugle_wire::list::List;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 600;

    fn node(number: u8) -> NodeId {
        NodeId::of_system(SystemId([number; 6]))
    }

    fn key(number: u16) -> (Pool, ItemKey) {
        let [high, low] = number.to_be_bytes();
        match number % 5 {
            0 => {
                let topology =
                    if number.is_multiple_of(8) { TopologyId::IPV6 } else { TopologyId::STANDARD };
                (Pool::Links, ItemKey::Link(topology, node(low), IfIndex(high.into())))
            }
            1 => {
                let prefix = Prefix::new([10, high, low, 0].into(), 24).unwrap();
                (Pool::Prefixes, ItemKey::Prefix(TopologyId::STANDARD, prefix))
            }
            2 => {
                let prefix = Prefix::host([10, 1, high, low].into());
                (Pool::Hosts, ItemKey::Prefix(TopologyId::STANDARD, prefix))
            }
            3 => (Pool::Capabilities, ItemKey::Capability(node(low).system, high + 1)),
            _ => {
                let address = 0x2001_0db8_u128 << 96 | u128::from(number);
                let prefix = Prefix::host(Ipv6Addr::from(address).into());
                (Pool::Hosts, ItemKey::Prefix(TopologyId::IPV6, prefix))
            }
        }
    }

    fn item(key: &ItemKey, metric: u32) -> Item {
        match key {
            ItemKey::Link(..) => Item::Link { metric },
            // The metric in the place of the router, and the key in the first sub-TLV.
            ItemKey::Capability(system, number) => {
                let filler = vec![0; usize::try_from(metric * 4).unwrap()];
                let head = [&metric.to_be_bytes()[..], &[1, 99, 7]].concat();
                Item::Capability([head, system.0.to_vec(), vec![*number], filler].concat().into())
            }
            ItemKey::Prefix(..) => Item::Prefix(PrefixItem {
                metric,
                down: metric % 2 == 1,
                flags: if metric.is_multiple_of(5) {
                    PrefixFlags::READVERTISED
                } else {
                    PrefixFlags::NONE
                },
                attributes: Attributes::of(SubTlvs::new(&attributes(metric))).shared(),
            }),
        }
    }

    /// Sub-TLVs of tags and sources, as many as can be.
    fn attributes(metric: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let tags = [7; 200];
        let tags = tags.get(..usize::try_from(metric % 26).unwrap() * 8).unwrap();
        PrefixAttribute::Tags(List::new(tags).unwrap()).encode(&mut out);
        PrefixAttribute::Tags64(List::new(tags).unwrap()).encode(&mut out);
        if metric.is_multiple_of(7) {
            PrefixAttribute::Ipv4SourceRouterId(Ipv4Addr::LOCALHOST).encode(&mut out);
            PrefixAttribute::Ipv6SourceRouterId(Ipv6Addr::LOCALHOST).encode(&mut out);
        }
        out
    }

    /// What a fragment says, read back from an LSP that holds it.
    fn read(tlvs: &[u8]) -> Vec<(TopologyId, Option<Prefix>, Option<NodeId>, u32)> {
        let fields = LspFields {
            lifetime: 1,
            id: LspId::default(),
            sequence: SequenceNumber::INITIAL,
            flags: LspFlags::NONE,
        };
        let bytes = emit_lsp(Level::L2, &fields, tlvs, None);
        let mut said = Vec::new();
        for tlv in Lsp::parse(&bytes).unwrap().tlvs().unwrap() {
            let body = tlv.body().unwrap();
            if let TlvBody::ExtendedIsReachability(links) = body {
                let links = links.iter().map(|l| (links.topology(), None, Some(l.id), l.metric));
                said.extend(links);
            } else if let TlvBody::ExtendedIpReachability(list) = body {
                let list = list.iter().map(|r| (list.topology(), Some(r.prefix), None, r.metric));
                said.extend(list);
            } else if let TlvBody::RouterCapability(capability) = body {
                let key = capability.sub_tlvs.iter().next().unwrap().value;
                let (&[pseudonode], system) =
                    key.split_last_chunk::<1>().map(|(a, b)| (b, a)).unwrap();
                let node = NodeId { system: SystemId(system.try_into().unwrap()), pseudonode };
                let metric = u32::from(capability.router);
                said.push((TopologyId::STANDARD, None, Some(node), metric));
            } else {
                assert!(matches!(body, TlvBody::Hostname(_)), "{body:?}");
            }
        }
        said
    }

    proptest! {
        #[test]
        fn every_item_is_said_once_and_no_fragment_is_too_long(
            script in prop::collection::vec((0u16..400, prop::option::of(1u32..50)), 0..200),
            limit in 500usize..1400,
        ) {
            let mut fragments = Fragments::new(LIMIT);
            let mut header = TlvBuilder::new(LIMIT);
            header.hostname("a-name-that-takes-some-room");
            fragments.set_header(header);
            let mut model = BTreeMap::new();
            fragments.take_changed();
            for (number, metric) in script {
                let (pool, key) = key(number);
                let item = metric.map(|metric| item(&key, metric));
                let said = |f: &Fragments| -> BTreeMap<u8, Vec<u8>> {
                    f.numbered.keys().map(|&number| (number, f.tlvs(number))).collect()
                };
                let before = said(&fragments);
                fragments.set(pool, key, item);
                let changed = fragments.take_changed();
                // What moves from one fragment to another changes two, everything else one.
                prop_assert!(changed.len() <= 2);
                for (number, after) in said(&fragments) {
                    let same = before.get(&number).is_some_and(|before| *before == after);
                    prop_assert!(same || changed.contains(&number));
                }
                match metric {
                    Some(metric) => model.insert(key, metric),
                    None => model.remove(&key),
                };
            }
            for round in 0..2 {
                let said: Vec<_> = (0..=255).flat_map(|n| read(&fragments.tlvs(n))).collect();
                prop_assert!((0..=255).all(|n| fragments.tlvs(n).len() <= 1400));
                let mut said: Vec<_> = said;
                said.sort_unstable();
                let mut expected: Vec<_> = model.iter().map(|(key, &metric)| match *key {
                    ItemKey::Link(topology, node, _) => (topology, None, Some(node), metric),
                    ItemKey::Prefix(topology, prefix) => (topology, Some(prefix), None, metric),
                    ItemKey::Capability(system, pseudonode) => {
                        let node = NodeId { system, pseudonode };
                        (TopologyId::STANDARD, None, Some(node), metric)
                    }
                }).collect();
                expected.sort_unstable();
                prop_assert_eq!(said, expected);
                if round == 0 {
                    fragments.set_limit(limit);
                }
            }
        }
    }

    #[test]
    fn a_host_shares_no_fragment_with_an_adjacency() {
        let mut fragments = Fragments::new(LIMIT);
        for number in 0..100 {
            let (pool, key) = key(number);
            fragments.set(pool, key, Some(item(&key, 1)));
        }
        for fragment in fragments.numbered.values() {
            let hosts = fragment
                .items
                .keys()
                .filter(|key| matches!(key, ItemKey::Prefix(_, prefix) if prefix.is_host()));
            let hosts = hosts.count();
            assert!(hosts == 0 || hosts == fragment.items.len());
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_until_there_is_some() {
        let mut fragments = Fragments::new(60);
        let keys: Vec<ItemKey> = (0..1000_u32)
            .map(|n| ItemKey::Prefix(TopologyId::STANDARD, Prefix::host(Ipv4Addr::from(n).into())))
            .collect();
        for key in &keys {
            fragments.set(Pool::Hosts, *key, Some(item(key, 2)));
        }
        assert!(fragments.overflows());
        let said = |f: &Fragments| (0..=255).map(|n| read(&f.tlvs(n)).len()).sum::<usize>();
        let most = said(&fragments);
        assert!(most < 1000);
        for key in keys.iter().take(1000 - most) {
            fragments.set(Pool::Hosts, *key, None);
        }
        assert!(!fragments.overflows());
        assert_eq!(said(&fragments), most);
    }
}
