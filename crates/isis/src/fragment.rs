//! Which fragment says what (ISO 10589 section 7.3.4).
//!
//! What is in a fragment stays there while it fits. Adjacencies, prefixes brought from another level, and hosts each have fragments
//! of their own, so that a host's move touches one fragment, never the one with adjacencies. Hosts are spread over several
//! fragments, as each fragment has its own sequence number and back-off.
//!
//! What does change its fragment is said by the one it came to before the one it left says nothing of it any more
//! ([`Fragments::waits_for`]): neighbours never miss it. So that no two wait for each other, nothing moves to a fragment that waits.

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
    /// Of what they do not say what they did.
    touched: BTreeMap<u8, BTreeSet<ItemKey>>,
    /// What came to them and they have not said at all.
    arrived: BTreeMap<u8, BTreeSet<ItemKey>>,
    /// Fragments that have lost something to others since.
    losing: BTreeSet<u8>,
    /// Where others still hear what was taken out: if it comes back it is best there. After a restart that is all that the previous
    /// run said.
    former: BTreeMap<ItemKey, u8>,
    /// Fragments whose sequence numbers are used up.
    closed: BTreeSet<u8>,
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
/// So much of what a previous run said is remembered: more than 256 fragments hold.
const MOST_FORMER: usize = 65_536;
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
            arrived: BTreeMap::new(),
            losing: BTreeSet::new(),
            former: BTreeMap::new(),
            closed: BTreeSet::new(),
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
        self.shed();
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
            self.shed();
            self.fill();
        }
    }

    /// A fragment can say nothing more: what is in it goes elsewhere. Only fragment zero cannot be done without, and a pseudonode has
    /// no other. Whether it has been closed.
    pub(crate) fn close(&mut self, number: u8) -> bool {
        if number == 0 {
            return false;
        }
        self.closed.insert(number);
        self.shed();
        self.numbered.remove(&number);
        self.changed.remove(&number);
        self.take_touched(number);
        true
    }

    /// A fragment can be used again. Whether it had been [closed](Self::close): then what was left out may have room now.
    pub(crate) fn reopen(&mut self, number: u8) -> bool {
        let was_closed = self.closed.remove(&number);
        if was_closed {
            self.fill();
        }
        was_closed
    }

    /// A previous run said this in a fragment, and others still take it for what is said there: if it is said again, it is there as
    /// long as there is room. Hosts that are new make way, lest the others be missed.
    pub(crate) fn remember(&mut self, number: u8, said: &[ItemKey]) {
        let is_new = |fragment: &Fragment| {
            fragment.pool == Pool::Hosts
                && !said.is_empty()
                && !said.iter().any(|key| fragment.items.contains_key(key))
        };
        let new = if self.numbered.get(&number).is_some_and(is_new) {
            self.numbered.remove(&number)
        } else {
            None
        };
        for &key in said.iter().filter(|key| self.places.get(key) != Some(&number)) {
            self.touched.entry(number).or_default().insert(key);
            if self.places.contains_key(&key) {
                self.losing.insert(number);
            } else if self.former.len() < MOST_FORMER {
                self.former.insert(key, number);
            }
        }
        for (key, item) in new.map(|fragment| fragment.items).into_iter().flatten() {
            self.places.remove(&key);
            self.place(Pool::Hosts, key, item);
        }
    }

    /// What a previous run said and this one has not said again does not count any more.
    pub(crate) fn forget_former(&mut self) {
        self.former.clear();
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
            if item.is_some() {
                self.losing.insert(number);
            } else if self.former.len() < MOST_FORMER {
                self.former.insert(key, number);
            }
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

    /// The fragments that are to be heard before this one, as they are to say for the first time what it does not say any more.
    pub(crate) fn waits_for(&self, number: u8) -> BTreeSet<u8> {
        if !self.losing.contains(&number) {
            return BTreeSet::new();
        }
        let is_unsaid = |at: &u8, key| self.arrived.get(at).is_some_and(|keys| keys.contains(key));
        let lost = self.touched.get(&number).into_iter().flatten();
        let places = lost.filter_map(|key| Some((key, *self.places.get(key)?)));
        places.filter(|(key, at)| *at != number && is_unsaid(at, *key)).map(|(_, at)| at).collect()
    }

    /// A fragment is said as it is now. The hosts of which it did not say that before, and whether it says anything of them.
    pub(crate) fn take_touched(&mut self, number: u8) -> Vec<(Prefix, bool)> {
        self.losing.remove(&number);
        self.arrived.remove(&number);
        let touched = self.touched.remove(&number).unwrap_or_default();
        if !self.former.is_empty() {
            for key in &touched {
                if self.former.get(key) == Some(&number) {
                    self.former.remove(key);
                }
            }
        }
        let Some(fragment) = self.numbered.get(&number).filter(|f| f.pool == Pool::Hosts) else {
            return Vec::new();
        };
        let hosts = touched.iter().filter_map(|key| match key {
            ItemKey::Prefix(_, prefix) => Some((*prefix, fragment.items.contains_key(key))),
            ItemKey::Link(..) | ItemKey::Capability(..) => None,
        });
        hosts.collect()
    }

    /// A fragment does not say of an item what it did.
    fn touch(&mut self, number: u8, key: &ItemKey) {
        self.changed.insert(number);
        self.touched.entry(number).or_default().insert(*key);
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
        if let Some(number) = self.former.remove(&key) {
            if self.takes(number, pool, cost) {
                return self.bring(number, key, item);
            }
            if self.touched.get(&number).is_some_and(|keys| keys.contains(&key)) {
                self.losing.insert(number);
            }
        }
        let numbers = self.numbered.iter().filter(|(_, fragment)| fragment.pool == pool);
        let numbers: Vec<(u8, usize)> =
            numbers.map(|(&number, fragment)| (number, fragment.items.len())).collect();
        let mut fitting = numbers.iter().filter(|(number, _)| {
            self.room(*number).is_some_and(|room| room >= cost) && !self.losing.contains(number)
        });
        let found = match pool {
            Pool::Links | Pool::Prefixes | Pool::Capabilities => fitting.next(),
            Pool::Hosts => fitting.min_by_key(|&&(number, items)| (items, number)),
        };
        let crowded = pool == Pool::Hosts
            && numbers.len() < SPREAD
            && found.is_some_and(|&(_, items)| items >= COMPANY);
        let found = found.map(|&(number, _)| number);
        let number = if crowded { self.open(pool).or(found) } else { found };
        let number = number.or_else(|| self.open(pool)).or_else(|| {
            // Better said late, or missed for a moment, than never.
            let mut losing = numbers.iter().map(|&(number, _)| number);
            losing.find(|&number| self.room(number).is_some_and(|room| room >= cost))
        });
        match number.filter(|&number| self.room(number).is_some_and(|room| room >= cost)) {
            Some(number) => self.bring(number, key, item),
            None => {
                self.left_out.insert(key, (pool, item));
            }
        }
    }

    /// Puts an item into a fragment that it was not in.
    fn bring(&mut self, number: u8, key: ItemKey, item: Item) {
        self.arrived.entry(number).or_default().insert(key);
        self.put(number, key, item);
    }

    fn put(&mut self, number: u8, key: ItemKey, item: Item) {
        if let Some(fragment) = self.numbered.get_mut(&number) {
            fragment.used += item.cost(&key);
            fragment.items.insert(key, item);
            self.places.insert(key, number);
            self.touch(number, &key);
        }
    }

    /// Begins the first fragment that is not in use, or empty: rather one of which others have nothing to forget.
    fn open(&mut self, pool: Pool) -> Option<u8> {
        let free = |number: &u8| self.is_free(*number);
        let untouched = |number: &u8| free(number) && !self.touched.contains_key(number);
        let number = (0..=u8::MAX).find(untouched).or_else(|| (0..=u8::MAX).find(free))?;
        self.begin(number, pool);
        Some(number)
    }

    /// Whether a fragment has room for an item, begun for it if need be.
    fn takes(&mut self, number: u8, pool: Pool, cost: usize) -> bool {
        if self.is_free(number) {
            self.begin(number, pool);
        }
        self.pool(number) == Some(pool) && self.room(number).is_some_and(|room| room >= cost)
    }

    fn begin(&mut self, number: u8, pool: Pool) {
        self.numbered.insert(number, Fragment { pool, items: BTreeMap::new(), used: 0 });
    }

    /// Whether a fragment is not in use, or empty.
    fn is_free(&self, number: u8) -> bool {
        !self.closed.contains(&number)
            && self.numbered.get(&number).is_none_or(|f| f.items.is_empty() && number != 0)
    }

    /// The bytes that a fragment has room for; `None` if it holds too much.
    fn room(&self, number: u8) -> Option<usize> {
        if self.closed.contains(&number) {
            return None;
        }
        let header = if number == 0 { self.header.len() } else { 0 };
        let used = self.numbered.get(&number)?.used;
        self.limit.checked_sub(header + TLV_HEADERS + used)
    }

    /// What fragments that are too long have no room for goes elsewhere; all else stays where it is.
    fn shed(&mut self) {
        let long: Vec<u8> =
            self.numbered.keys().copied().filter(|&number| self.room(number).is_none()).collect();
        let mut homeless = Vec::new();
        for number in long {
            while self.room(number).is_none()
                && let Some(fragment) = self.numbered.get_mut(&number)
                && let Some((key, item)) = fragment.items.pop_last()
            {
                fragment.used -= item.cost(&key);
                homeless.push((fragment.pool, key, item));
                self.places.remove(&key);
                self.touch(number, &key);
                self.losing.insert(number);
            }
        }
        for (pool, key, item) in homeless {
            self.place(pool, key, item);
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
mod tests;
