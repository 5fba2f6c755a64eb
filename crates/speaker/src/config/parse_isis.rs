//! `[vrf.NAME.isis]`, from the TOML tree.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use bugle_types::NamePattern;
use bugle_wire::isis::{Algorithm, CircuitType, MAX_LINK_METRIC};

use super::error::Problem;
use super::isis::{HelloPadding, Isis, IsisInterface, LspDelay, Net};
use super::key::KeyFile;
use super::parse::{HOUR, LINK_TYPES, PATTERN, not_longer, spf_delay};
use super::parse_bfd::{Profiles, profile_name};
use super::reader::{Place, Table, Value, show_duration};

const NET: &str = "a network entity title like \"49.0001.0000.0000.0001.00\"";
const LEVELS: [(&str, CircuitType); 3] =
    [("1", CircuitType::L1), ("2", CircuitType::L2), ("1-2", CircuitType::L1_L2)];
/// What a Hello's holding time can say.
const LONGEST_HOLD: Duration = Duration::from_secs(u16::MAX as u64);

/// The table; `None` if there is no telling which system this is.
pub(super) fn isis(mut table: Table<'_>, bfd: &Profiles) -> Option<Isis> {
    let nets = table.required("net", NET, nets);
    let mut isis = Isis::new(nets.map(|(nets, _)| nets).unwrap_or_default());
    table.read("level", &mut isis.levels, |value| value.one_of(&LEVELS));
    table.read("ipv6-router-id", &mut isis.ipv6_router_id, |value| ipv6_router_id(value).map(Some));
    table.read("host-tag", &mut isis.host_tags.short, |value| value.integer(1..=u32::MAX));
    table.read("host-tag-64", &mut isis.host_tags.long, |value| value.integer(1..=u64::MAX));
    table.read("stub-router", &mut isis.stub_router, Value::boolean);
    table.read("multi-topology", &mut isis.multi_topology, Value::boolean);
    table.read("send-attached", &mut isis.attached.send, Value::boolean);
    table.read("use-attached", &mut isis.attached.follow, Value::boolean);
    let leak = table.read("leak", &mut isis.leak, |value| {
        value.list(|prefix| prefix.parsed("a prefix like \"10.100.0.0/16\""))
    });
    table.read("max-ecmp", &mut isis.max_ecmp, |value| value.integer(1..=64));
    table.read("alternates", &mut isis.alternates, Value::boolean);
    let range = Duration::ZERO..=Duration::from_secs(60);
    table.read("microloop-delay", &mut isis.microloop_delay, |v| v.duration(range.clone()));
    table.read("spf-delay", &mut isis.spf_delay, |value| value.table().map(spf_delay));
    table.read("lsp-delay", &mut isis.lsp_delay, |value| value.table().map(lsp_delay));
    table.read("lsp-lifetime", &mut isis.lsp_lifetime, |value| {
        let lifetime = value.duration(Duration::from_secs(350)..=LONGEST_HOLD)?;
        if lifetime.subsec_nanos() != 0 {
            value.bad("whole seconds, as LSPs carry them", &show_duration(lifetime));
            return None;
        }
        Some(lifetime)
    });
    table.read("lsp-size", &mut isis.lsp_size, |value| value.integer(512..=9_190));
    let area_auth = table.read("area-auth", &mut isis.area_auth, keys);
    let domain_auth = table.read("domain-auth", &mut isis.domain_auth, keys);
    for (place, needed, message) in [
        (leak, CircuitType::L1_L2, "leak is from level 2 to level 1, and level is not \"1-2\""),
        (area_auth, CircuitType::L1, "area-auth is for level 1, and level is \"2\""),
        (domain_auth, CircuitType::L2, "domain-auth is for level 2, and level is \"1\""),
    ] {
        if let Some(place) = place
            && isis.levels.octet() & needed.octet() != needed.octet()
        {
            table.problems().report(&place, Problem::Contradiction(message.to_owned()));
        }
    }
    if let Some(value) = table.value("interface") {
        isis.interfaces = interfaces(value.tables(), isis.levels, bfd);
    }
    table.finish();
    (!isis.nets.is_empty()).then_some(isis)
}

/// One title, or up to three of one system.
fn nets(value: &Value<'_>) -> Option<Vec<Net>> {
    if !value.is_list() {
        return value.parsed(NET).map(|net| vec![net]);
    }
    let nets: Vec<Net> = value.list(|net| net.parsed(NET))?;
    let system = nets.first().map(|net| net.system);
    let fine = (1..=3).contains(&nets.len()) && nets.iter().all(|net| Some(net.system) == system);
    if !fine {
        value.bad("one to three titles of one system", &format!("{} titles", nets.len()));
    }
    fine.then_some(nets)
}

fn ipv6_router_id(value: &Value<'_>) -> Option<Ipv6Addr> {
    let expected = "an IPv6 address like \"2001:db8::1\" that others can reach";
    let text = value.string(expected)?;
    let address = text.parse().ok().filter(|address: &Ipv6Addr| {
        !(address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || address.is_unicast_link_local())
    });
    if address.is_none() {
        value.bad(expected, text);
    }
    address
}

fn lsp_delay(mut table: Table<'_>) -> LspDelay {
    let mut delay = LspDelay::default();
    let range = Duration::from_millis(1)..=Duration::from_secs(60);
    table.read("initial", &mut delay.initial, |value| value.duration(range.clone()));
    table.read("long", &mut delay.long, |value| value.duration(range.clone()));
    not_longer(&table, ("initial", delay.initial), ("long", delay.long));
    table.finish();
    delay
}

fn interfaces(tables: Vec<Table<'_>>, levels: CircuitType, bfd: &Profiles) -> Vec<IsisInterface> {
    let mut names: BTreeMap<NamePattern, Place> = BTreeMap::new();
    let mut interfaces = Vec::new();
    for table in tables {
        let problems = table.problems();
        let Some((interface, place)) = interface(table, levels, bfd) else { continue };
        if let Some(other) = names.get(&interface.name) {
            let message = format!("another interface block is called {} too", interface.name);
            problems.contradiction(&place, &message, other);
        }
        names.insert(interface.name.clone(), place);
        interfaces.push(interface);
    }
    interfaces
}

/// An interface block, with where its name is given.
fn interface(
    mut table: Table<'_>,
    levels: CircuitType,
    bfd: &Profiles,
) -> Option<(IsisInterface, Place)> {
    let name = table.required("name", PATTERN, |value| value.parsed(PATTERN));
    // A block without a usable name is read all the same, for the sake of its other problems.
    let placeholder = || "*".parse().ok();
    let pattern = name.as_ref().map(|(pattern, _): &(NamePattern, _)| pattern.clone());
    let mut interface = IsisInterface::new(pattern.or_else(placeholder)?);
    table.read("type", &mut interface.link, |value| value.one_of(&LINK_TYPES));
    let level = table.read("level", &mut interface.levels, |value| value.one_of(&LEVELS).map(Some));
    if let (Some(place), Some(wanted)) = (level, interface.levels)
        && wanted.octet() & levels.octet() != wanted.octet()
    {
        let message = format!("the instance's level is {levels}, the interface's {wanted}");
        table.problems().report(&place, Problem::Contradiction(message));
    }
    table.read("metric", &mut interface.metric, |value| value.integer(1..=MAX_LINK_METRIC - 1));
    table.read("tag", &mut interface.tags.short, |value| value.integer(1..=u32::MAX));
    table.read("tag-64", &mut interface.tags.long, |value| value.integer(1..=u64::MAX));
    let hello = Duration::from_millis(10)..=HOUR;
    let hello = table.read("hello", &mut interface.hello, |value| value.duration(hello));
    let multiplier =
        table.read("hold-multiplier", &mut interface.hold_multiplier, |v| v.integer(2..=1_000));
    let hold = interface.hello.saturating_mul(interface.hold_multiplier.into());
    if let Some(place) = multiplier.or(hello)
        && hold > LONGEST_HOLD
    {
        let message = format!(
            "hello times hold-multiplier is {}, and a Hello can say at most {}",
            show_duration(hold),
            show_duration(LONGEST_HOLD)
        );
        table.problems().report(&place, Problem::Contradiction(message));
    }
    table.read("priority", &mut interface.priority, |value| value.integer(0..=127));
    table.read("padding", &mut interface.padding, |value| {
        value.one_of(&[
            ("always", HelloPadding::Always),
            ("formation", HelloPadding::Formation),
            ("never", HelloPadding::Never),
        ])
    });
    let second = Duration::from_secs(1);
    table.read("csnp", &mut interface.csnp, |value| value.duration(second..=600 * second));
    let retransmit = Duration::from_millis(50)..=HOUR;
    table.read("retransmit", &mut interface.retransmit, |value| value.duration(retransmit));
    table.read("auth", &mut interface.auth, keys);
    table.read("bfd", &mut interface.bfd, |value| profile_name(value, bfd).map(Some));
    table.finish();
    name.map(|(_, place)| (interface, place))
}

/// One key, or a list of them of which the first is sent and all are accepted.
fn keys(value: &Value<'_>) -> Option<Vec<KeyFile>> {
    if !value.is_list() {
        return key(value.table()?).map(|key| vec![key]);
    }
    let keys = value.tables().into_iter().map(key).collect::<Option<Vec<_>>>()?;
    let unknown = keys.is_empty();
    if unknown {
        value.bad("at least one key", "none");
    }
    (!unknown).then_some(keys)
}

fn key(mut table: Table<'_>) -> Option<KeyFile> {
    const ALGORITHMS: [(&str, Algorithm); 7] = [
        ("cleartext", Algorithm::Cleartext),
        ("hmac-md5", Algorithm::HmacMd5),
        ("hmac-sha-1", Algorithm::HmacSha1),
        ("hmac-sha-224", Algorithm::HmacSha224),
        ("hmac-sha-256", Algorithm::HmacSha256),
        ("hmac-sha-384", Algorithm::HmacSha384),
        ("hmac-sha-512", Algorithm::HmacSha512),
    ];
    let what = "an algorithm like \"hmac-sha-256\"";
    let algorithm = table.required("type", what, |value| value.one_of(&ALGORITHMS));
    let mut id = 1;
    let id_place = table.read("key-id", &mut id, |value| value.integer(0..=u16::MAX));
    let expected = "an absolute path like \"/etc/bugle/isis.key\"";
    let path = table.required("key-file", expected, |value| value.absolute_path(expected));
    let algorithm = algorithm.map(|(algorithm, _)| algorithm);
    if let (Some(place), Some(Algorithm::Cleartext | Algorithm::HmacMd5)) = (id_place, algorithm) {
        let message = "only the HMACs of RFC 5310 (hmac-sha-...) say which key they were made with";
        table.problems().report(&place, Problem::Contradiction(message.to_owned()));
    }
    table.finish();
    Some(KeyFile::new(algorithm?, id, path?.0))
}
