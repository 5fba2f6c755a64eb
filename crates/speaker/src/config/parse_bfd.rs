//! From the TOML tree to the profiles of BFD.

use std::collections::BTreeMap;

use bugle_bfd::config::{MAX_INTERVAL, MIN_INTERVAL};

use super::bfd::{BfdAuth, BfdKey, BfdProfile, Secret};
use super::reader::{Place, Table, Value};

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
