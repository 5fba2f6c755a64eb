use std::net::{Ipv4Addr, Ipv6Addr};

use bugle_types::SystemId;
use bugle_wire::isis::{Level, Lsp, LspFields, LspFlags, LspId, SequenceNumber, TlvBody, emit_lsp};
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
            let (&[pseudonode], system) = key.split_last_chunk::<1>().map(|(a, b)| (b, a)).unwrap();
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

/// What others have heard of a fragment.
type Heard = BTreeMap<u8, BTreeSet<ItemKey>>;

/// Says one fragment, and before it those that it waits for.
fn say(fragments: &mut Fragments, waiting: &mut BTreeSet<u8>, heard: &mut Heard, path: &[u8]) {
    let Some(&number) = path.last() else { return };
    for other in fragments.waits_for(number) {
        assert!(!path.contains(&other), "none waits, however far away, for itself");
        if waiting.contains(&other) {
            say(fragments, waiting, heard, &[path, &[other]].concat());
        }
    }
    assert!(fragments.waits_for(number).is_empty());
    waiting.remove(&number);
    fragments.take_touched(number);
    let items = fragments.numbered.get(&number).map(|fragment| &fragment.items);
    heard.insert(number, items.into_iter().flatten().map(|(&key, _)| key).collect());
}

proptest! {
    #[test]
    fn what_changes_its_fragment_is_said_before_it_is_not(
        script in prop::collection::vec((0u16..600, prop::option::of(1u32..50), 0usize..5), 0..300),
    ) {
        let mut fragments = Fragments::new(LIMIT);
        let (mut waiting, mut heard) = (BTreeSet::new(), Heard::new());
        // What has been heard and not been taken out since.
        let mut known: BTreeSet<ItemKey> = BTreeSet::new();
        for (number, metric, turns) in script {
            if number < 450 {
                let (pool, key) = key(number % 150);
                // Hosts become networks, and networks hosts.
                let other = metric.is_some_and(|metric| metric % 3 == 0);
                let pool = if other && pool == Pool::Hosts { Pool::Links } else { pool };
                fragments.set(pool, key, metric.map(|metric| item(&key, metric)));
                if metric.is_none() {
                    known.remove(&key);
                }
            } else if number < 500 {
                fragments.set_limit(500 + 2 * usize::from(number));
            } else if number < 530 {
                fragments.set_limit(LIMIT);
            }
            waiting.extend(fragments.take_changed());
            for turn in 0..turns {
                let next = waiting.iter().nth((usize::from(number) + turn) % waiting.len().max(1));
                let Some(&next) = next else { break };
                // One that is to wait for others that are not ready yet is not said.
                if turn % 2 == 0 || fragments.waits_for(next).is_empty() {
                    say(&mut fragments, &mut waiting, &mut heard, &[next]);
                }
                let all: BTreeSet<ItemKey> = heard.values().flatten().copied().collect();
                prop_assert!(known.is_subset(&all), "{:?}", known.difference(&all));
                let places = fragments.places.keys().copied();
                known.extend(places.filter(|key| all.contains(key)));
            }
        }
        prop_assert!(!fragments.overflows());
        while let Some(&next) = waiting.first() {
            say(&mut fragments, &mut waiting, &mut heard, &[next]);
        }
        let all: Vec<ItemKey> = heard.values().flatten().copied().collect();
        prop_assert_eq!(all.len(), fragments.places.len(), "all, and each once");
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

#[test]
fn a_fragment_waits_for_what_it_lost_to_be_said_once_and_not_for_what_changes_later() {
    let mut fragments = Fragments::new(LIMIT);
    let keys: Vec<ItemKey> = (0..60).map(|number| key(5 * number).1).collect();
    for key in &keys {
        fragments.set(Pool::Links, *key, Some(item(key, 1)));
    }
    for number in fragments.take_changed() {
        fragments.take_touched(number);
    }
    fragments.set_limit(LIMIT / 2);
    let long = fragments.take_changed().into_iter().find(|&n| !fragments.waits_for(n).is_empty());
    let long = long.unwrap();
    for number in fragments.waits_for(long) {
        fragments.take_touched(number);
    }
    assert_eq!(fragments.waits_for(long), BTreeSet::new());
    for key in &keys {
        fragments.set(Pool::Links, *key, Some(item(key, 2)));
    }
    assert_eq!(fragments.waits_for(long), BTreeSet::new());
}
