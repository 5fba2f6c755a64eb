//! From the TOML tree to the profiles of BFD, and to its peers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bugle_bfd::config::{MAX_INTERVAL, MIN_INTERVAL};
use bugle_types::pattern::is_interface_name;

use super::bfd::{BfdAuth, BfdKey, BfdPeer, BfdProfile, PeerStart, Secret};
use super::error::Problem;
use super::reader::{Place, Table, Value};

const ADDRESS: &str = "the address of a machine like \"192.0.2.2\"";
const KEY_FILE: &str = "an absolute path like \"/etc/bugle/bfd.key\"";

/// The profiles by name.
pub(super) type Profiles = BTreeMap<String, BfdProfile>;

pub(super) fn profiles(table: Table<'_>) -> Profiles {
    let named = table.named();
    named.filter_map(|(name, _, value)| Some((name.to_owned(), profile(value.table()?)))).collect()
}

fn profile(mut table: Table<'_>) -> BfdProfile {
    let mut profile = BfdProfile::default();
    let range = MIN_INTERVAL.as_duration()..=MAX_INTERVAL.as_duration();
    let interval = |value: &Value<'_>| value.duration(range.clone());
    table.read("tx", &mut profile.tx, interval);
    table.read("rx", &mut profile.rx, interval);
    table.read("multiplier", &mut profile.multiplier, |value| value.integer(1..=u8::MAX));
    table.read("passive", &mut profile.passive, Value::boolean);
    table.read("shutdown", &mut profile.shutdown, Value::boolean);
    table.read("echo-tx", &mut profile.echo_tx, |value| interval(value).map(Some));
    table.read("echo-rx", &mut profile.echo_rx, |value| interval(value).map(Some));
    if let Some(value) = table.value("auth") {
        profile.auth = keys(&value);
    }
    table.finish();
    profile
}

/// One key, or a list of them of which the first is sent with and all are accepted.
fn keys(value: &Value<'_>) -> Vec<BfdKey> {
    let tables = if value.is_list() { value.tables() } else { value.table().into_iter().collect() };
    let mut first: Option<(BfdAuth, Place)> = None;
    let mut ids: BTreeMap<u8, Place> = BTreeMap::new();
    let mut keys = Vec::new();
    for mut table in tables {
        let problems = table.problems();
        let here = table.place().clone();
        let words = "a type like \"keyed-sha1\"";
        let kind = table.required("type", words, |value| value.one_of(&BfdAuth::ALL));
        let mut id = 1;
        let id_place = table.read("key-id", &mut id, |value| value.integer(0..=u8::MAX));
        let file = table.required("key-file", KEY_FILE, |value| value.absolute_path(KEY_FILE));
        table.finish();
        let Some((kind, kind_place)) = kind else { continue };
        if let Some((other, place)) = first.as_ref().filter(|(other, _)| *other != kind) {
            let message =
                format!("the keys of a profile are of one type, and this is not {other:?}");
            problems.contradiction(&kind_place, &message, place);
        }
        first.get_or_insert((kind, kind_place));
        let id_place = id_place.unwrap_or(here);
        if let Some(other) = ids.get(&id) {
            problems.contradiction(&id_place, &format!("another key has the id {id} too"), other);
        }
        ids.insert(id, id_place);
        keys.extend(file.map(|(file, _)| BfdKey { kind, id, file, secret: Secret::default() }));
    }
    keys
}

/// `[vrf.NAME.bfd]`: its peers, and where each begins.
pub(super) fn peers(mut table: Table<'_>, bfd: &Profiles) -> Vec<(BfdPeer, Place)> {
    let mut peers: Vec<(BfdPeer, Place)> = Vec::new();
    for table in table.value("peer").iter().flat_map(Value::tables) {
        let problems = table.problems();
        let Some((peer, place)) = peer(table, bfd) else { continue };
        let same = |other: &&(BfdPeer, Place)| same_path(&other.0, &peer);
        if let Some((_, other)) = peers.iter().find(same) {
            let message = format!("another peer is {} on the same path", peer.address);
            problems.contradiction(&place, &message, other);
        }
        peers.push((peer, place));
    }
    table.finish();
    peers
}

fn peer(mut table: Table<'_>, bfd: &Profiles) -> Option<(BfdPeer, Place)> {
    let problems = table.problems();
    let here = table.place().clone();
    let address = table.required("address", ADDRESS, unicast);
    let mut profile = None;
    table.read("profile", &mut profile, |value| profile_name(value, bfd).map(Some));
    let mut name = None;
    let name_place = table.read("interface", &mut name, |value| interface(value).map(Some));
    let mut local = None;
    let local_place = table.read("local", &mut local, |value| unicast(value).map(Some));
    // One with a mistake is there all the same.
    let (has_interface, has_local) = (table.has("interface"), table.has("local"));
    let mut multihop = false;
    table.read("multihop", &mut multihop, Value::boolean);
    let mut min_ttl = PeerStart::MIN_TTL;
    let ttl_place = table.read("min-ttl", &mut min_ttl, |value| value.integer(1..=u8::MAX));
    table.finish();
    let (address, place) = address?;
    let contradicts = |place: &Place, message: &str| {
        problems.report(place, Problem::Contradiction(message.to_owned()));
        None
    };
    if let (Some(local), Some(place)) = (local, &local_place)
        && local.is_ipv4() != address.is_ipv4()
    {
        return contradicts(place, "address and local are of different versions of IP");
    }
    let start = if multihop {
        if let Some(place) = name_place {
            return contradicts(&place, "a path of several hops has no interface; remove one");
        }
        if !has_local {
            return contradicts(&here, "multihop needs local, the address to send from");
        }
        PeerStart::Multihop { local: local?, min_ttl }
    } else {
        if let Some(place) = ttl_place {
            return contradicts(&place, "min-ttl is for multihop; over one hop the TTL is 255");
        }
        if !has_interface {
            return contradicts(&here, "give the interface of a peer, or multihop = true");
        }
        PeerStart::Interface { name: name?, local }
    };
    Some((BfdPeer { address, start, profile }, place))
}

/// Whether two peers would have one session.
fn same_path(one: &BfdPeer, other: &BfdPeer) -> bool {
    one.address == other.address
        && match (&one.start, &other.start) {
            (PeerStart::Interface { name, .. }, PeerStart::Interface { name: other, .. }) => {
                name == other
            }
            (PeerStart::Multihop { local, .. }, PeerStart::Multihop { local: other, .. }) => {
                local == other
            }
            (PeerStart::Interface { .. }, PeerStart::Multihop { .. })
            | (PeerStart::Multihop { .. }, PeerStart::Interface { .. }) => false,
        }
}

fn interface(value: &Value<'_>) -> Option<String> {
    const NAME: &str = "an interface name like \"eth0\"";
    let name = value.string(NAME)?;
    if !is_interface_name(name) {
        value.bad(NAME, name);
        return None;
    }
    Some(name.to_owned())
}

fn unicast(value: &Value<'_>) -> Option<IpAddr> {
    let text = value.string(ADDRESS)?;
    let address = text.parse::<IpAddr>().ok().filter(|address| {
        let broadcast = *address == IpAddr::V4(Ipv4Addr::BROADCAST);
        !(address.is_unspecified() || address.is_multicast() || broadcast)
    });
    if address.is_none() {
        value.bad(ADDRESS, text);
    }
    address
}

/// The name of a profile that there is.
pub(super) fn profile_name(value: &Value<'_>, bfd: &Profiles) -> Option<String> {
    let name = value.string("the name of a BFD profile in quotes")?;
    if !bfd.contains_key(name) {
        let known: Vec<_> = bfd.keys().map(|name| format!("{name:?}")).collect();
        let there_are =
            if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
        value.bad(&format!("the NAME of a [bfd.NAME] ({there_are})"), name);
        return None;
    }
    Some(name.to_owned())
}
