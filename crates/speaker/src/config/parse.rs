//! From the TOML tree to [`Config`], table by table, and what contradicts what.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bugle_mobility::{Damping, reserved};
use bugle_ospf::BackoffConfig;
use bugle_types::pattern::is_interface_name;
use bugle_types::{AreaId, Mac, NamePattern, RouterId, TableId};
use toml::de::DeTable;

use super::error::{ConfigErrors, Problem};
use super::parse_bfd::{Profiles, peers, profile_name, profiles};
use super::parse_isis::isis;
use super::reader::{Place, Problems, Table, Value, show_duration};
use super::{
    Advertise, Api, Config, Fib, Hosts, LinkDamping, LinkType, MetricType, NexthopCompat, Ospf,
    OspfInterface, PeerStart, Record, StaticHost, Vrf, VrfName, is_router_id,
};

/// `sun_path` holds 108 bytes with its final zero.
const LONGEST_SOCKET_PATH: usize = 107;
/// The kernel's own tables: default, main and local.
const KERNEL_TABLES: RangeInclusive<u32> = 253..=255;
/// [`bugle_isis::claim_metric`] takes all above for this one.
const LARGEST_ISIS_CLAIM: u32 = 16_000;
pub(super) const HOUR: Duration = Duration::from_secs(3600);
const PORT: &str = "an interface name like \"tap9\"";
pub(super) const PATTERN: &str = "an interface name or a glob like \"eth*\"";

pub(super) const LINK_TYPES: [(&str, LinkType); 3] = [
    ("point-to-point", LinkType::PointToPoint),
    ("broadcast", LinkType::Broadcast),
    ("passive", LinkType::Passive),
];

/// Parses and checks a whole file.
pub(super) fn parse(text: &str) -> Result<Config, ConfigErrors> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    let problems = Problems::new(text);
    for error in &syntax {
        problems.syntax(error);
    }
    let config = file(Table::root(&problems, tree.get_ref()));
    problems.finish(config)
}

pub(super) fn file(mut table: Table<'_>) -> Config {
    let mut config = Config::default();
    table.read("router-id", &mut config.router_id, |value| router_id(value).map(Some));
    table.read("hostname", &mut config.hostname, |value| hostname(value).map(Some));
    table.read("api", &mut config.api, |value| value.table().map(api));
    table.read("fib", &mut config.fib, |value| value.table().map(fib));
    table.read("record", &mut config.record, |value| value.table().map(record));
    if let Some(named) = table.value("bfd").and_then(|value| value.table()) {
        config.bfd = profiles(named);
    }
    table.read("link-damping", &mut config.link_damping, |value| value.table().map(link_damping));
    if let Some(named) = table.value("vrf").and_then(|value| value.table()) {
        config.vrfs.append(&mut vrfs(named, config.router_id, &config.bfd));
    }
    table.finish();
    config
}

fn router_id(value: &Value<'_>) -> Option<RouterId> {
    let id: RouterId = value.parsed("a router id like \"192.0.2.1\"")?;
    if !is_router_id(id) {
        value.bad("a router id other than 0.0.0.0 and 255.255.255.255", &id.to_string());
        return None;
    }
    Some(id)
}

fn hostname(value: &Value<'_>) -> Option<String> {
    let name = value.string("a name in quotes")?;
    if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
        value.bad("a name of 1 to 255 bytes without control characters", name);
        return None;
    }
    Some(name.to_owned())
}

fn api(mut table: Table<'_>) -> Api {
    let mut api = Api::default();
    table.read("socket", &mut api.socket, socket);
    table.read("http", &mut api.http, |value| {
        let expected = "an address and a port like \"127.0.0.1:9180\"";
        let text = value.string(expected)?;
        let address: Option<SocketAddr> = text.parse().ok();
        if address.is_none() {
            value.bad(expected, text);
        }
        Some(address)
    });
    table.finish();
    api
}

fn socket(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.string("a path in quotes")?;
    let path = PathBuf::from(text);
    if !path.is_absolute() || text.len() > LONGEST_SOCKET_PATH || text.contains('\0') {
        value.bad("an absolute path of at most 107 bytes", text);
        return None;
    }
    Some(path)
}

fn fib(mut table: Table<'_>) -> Fib {
    let mut fib = Fib::default();
    table.read("enabled", &mut fib.enabled, Value::boolean);
    table.read("retain", &mut fib.retain, Value::boolean);
    table.read("nexthop-compat", &mut fib.nexthop_compat, |value| {
        value.one_of(&[("leave", NexthopCompat::Leave), ("off", NexthopCompat::Off)])
    });
    table.finish();
    fib
}

fn record(mut table: Table<'_>) -> Option<Record> {
    let expected = "an absolute path like \"/var/lib/bugle/record\"";
    let file = table.required("file", expected, |value| value.absolute_path(expected));
    let mut limit = Record::DEFAULT_LIMIT;
    table.read("limit", &mut limit, |value| value.integer(1..=1 << 20));
    table.finish();
    file.map(|(file, _)| Record { file, limit })
}

fn link_damping(mut table: Table<'_>) -> LinkDamping {
    let mut damping = LinkDamping::default();
    let hold = Duration::ZERO..=HOUR;
    table.read("after", &mut damping.after, |value| value.integer(0..=1_000));
    table.read("initial", &mut damping.initial, |value| value.duration(hold.clone()));
    table.read("max", &mut damping.max, |value| value.duration(hold));
    table.read("quiet", &mut damping.quiet, |value| {
        value.duration(Duration::from_secs(1)..=24 * HOUR)
    });
    not_longer(&table, ("initial", damping.initial), ("max", damping.max));
    table.finish();
    damping
}

fn vrfs(table: Table<'_>, router_id: Option<RouterId>, bfd: &Profiles) -> BTreeMap<VrfName, Vrf> {
    let problems = table.problems();
    let mut vrfs = BTreeMap::new();
    let mut tables: BTreeMap<TableId, Place> = BTreeMap::new();
    for (text, place, value) in table.named() {
        let Some(table) = value.table() else { continue };
        let Some(name) = VrfName::new(text) else {
            let expected = "a device name of at most 15 characters".to_owned();
            problems.report(&place, Problem::BadValue { expected, found: text.to_owned() });
            continue;
        };
        let (vrf, table_place) = vrf(table, &name, router_id, bfd);
        if let (Some(id), Some(place)) = (vrf.table, table_place) {
            if let Some(other) = tables.get(&id) {
                let message = format!("table {} already belongs to another VRF", id.0);
                problems.contradiction(&place, &message, other);
            }
            tables.insert(id, place);
        }
        vrfs.insert(name, vrf);
    }
    vrfs
}

/// A VRF, and where its table is given.
fn vrf(
    mut table: Table<'_>,
    name: &VrfName,
    router_id: Option<RouterId>,
    bfd: &Profiles,
) -> (Vrf, Option<Place>) {
    let mut vrf = Vrf::default();
    let table_place = table.read("table", &mut vrf.table, |value| {
        let id = value.integer(1..=u32::MAX)?;
        if KERNEL_TABLES.contains(&id) {
            value.bad("a table other than the kernel's own 253 to 255", &id.to_string());
            return None;
        }
        Some(Some(TableId(id)))
    });
    let table_place = table_place.filter(|place| {
        if name.is_default() {
            let message = "vrf.default always uses the main table; give the VRF another name";
            table.problems().report(place, Problem::Contradiction(message.to_owned()));
        }
        !name.is_default()
    });
    table.read("ospf", &mut vrf.ospf, |value| Some(Some(ospf(value.table()?, bfd))));
    // A table with a mistake still says that IS-IS is meant to run.
    let has_isis = table.has("isis");
    table.read("isis", &mut vrf.isis, |value| isis(value.table()?, bfd).map(Some));
    let protocols = Protocols { ospf: vrf.ospf.is_some(), isis: has_isis };
    let mut bfd_peers = Vec::new();
    table.read("bfd", &mut bfd_peers, |value| Some(peers(value.table()?, bfd)));
    let mut ports = Vec::new();
    table.read("hosts", &mut vrf.hosts, |value| {
        let (hosts, found) = hosts(value.table()?, router_id, protocols);
        ports = found;
        Some(hosts)
    });
    let ospf = vrf.ospf.iter().flat_map(|ospf| &ospf.interfaces);
    ports_are_not_routers(&table, "OSPF", ospf.map(|i| (&i.name, i.link)), &ports);
    let isis = vrf.isis.iter().flat_map(|isis| &isis.interfaces);
    ports_are_not_routers(&table, "IS-IS", isis.map(|i| (&i.name, i.link)), &ports);
    for (peer, place) in &bfd_peers {
        if let PeerStart::Interface { name, .. } = &peer.start
            && vrf.hosts.is_port(name)
        {
            let message = format!("{name} is a port of hosts, where BFD is never spoken");
            table.problems().report(place, Problem::Contradiction(message));
        }
    }
    vrf.bfd_peers = bfd_peers.into_iter().map(|(peer, _)| peer).collect();
    table.finish();
    (vrf, table_place)
}

/// Which protocols a VRF has.
#[derive(Clone, Copy)]
struct Protocols {
    ospf: bool,
    isis: bool,
}

/// No protocol is ever spoken towards hosts, so an interface block that only matches their ports is a mistake.
fn ports_are_not_routers<'a>(
    table: &Table<'_>,
    protocol: &str,
    interfaces: impl Iterator<Item = (&'a NamePattern, LinkType)>,
    ports: &[(NamePattern, Place)],
) {
    for (name, link) in interfaces {
        // Taken as a name, a glob is matched by any pattern that is at least as wide.
        let Some((port, place)) = ports.iter().find(|(port, _)| port.matches(name.as_str())) else {
            continue;
        };
        if link != LinkType::Passive {
            let message = format!(
                "{port} are ports of hosts, where {protocol} is never spoken, but an {protocol} \
                 interface is called {name}; make that one passive or name other ports",
            );
            table.problems().report(place, Problem::Contradiction(message));
        }
    }
}

fn ospf(mut table: Table<'_>, bfd: &Profiles) -> Ospf {
    let mut ospf = Ospf::default();
    table.read("stub-router", &mut ospf.stub_router, Value::boolean);
    table.read("max-ecmp", &mut ospf.max_ecmp, |value| value.integer(1..=64));
    let throttle = Duration::ZERO..=Duration::from_secs(5);
    table.read("lsa-min-interval", &mut ospf.lsa_min_interval, |v| v.duration(throttle.clone()));
    table.read("lsa-min-arrival", &mut ospf.lsa_min_arrival, |v| v.duration(throttle.clone()));
    table.read("alternates", &mut ospf.alternates, Value::boolean);
    let range = Duration::ZERO..=Duration::from_secs(60);
    table.read("microloop-delay", &mut ospf.microloop_delay, |v| v.duration(range.clone()));
    table.read("spf-delay", &mut ospf.spf_delay, |value| value.table().map(spf_delay));
    if let Some(value) = table.value("interface") {
        ospf.interfaces = interfaces(value.tables(), bfd);
    }
    table.finish();
    ospf
}

pub(super) fn spf_delay(mut table: Table<'_>) -> BackoffConfig {
    let mut delay = BackoffConfig::default();
    let range = Duration::ZERO..=Duration::from_secs(60);
    let mut read = |key, target: &mut Duration| {
        table.read(key, target, |value| value.duration(range.clone()));
    };
    read("initial", &mut delay.initial);
    read("short", &mut delay.short);
    read("long", &mut delay.long);
    read("holddown", &mut delay.holddown);
    read("time-to-learn", &mut delay.time_to_learn);
    let BackoffConfig { initial, short, long, holddown, time_to_learn } = delay;
    not_longer(&table, ("initial", initial), ("short", short));
    not_longer(&table, ("short", short), ("long", long));
    if time_to_learn >= holddown {
        let (low, high) = (("time-to-learn", time_to_learn), ("holddown", holddown));
        wrong_order(&table, low, "must be shorter than", high);
    }
    table.finish();
    delay
}

/// Checks two durations of a table, each with its key.
pub(super) fn not_longer(table: &Table<'_>, low: (&str, Duration), high: (&str, Duration)) {
    if low.1 > high.1 {
        wrong_order(table, low, "must not be longer than", high);
    }
}

fn wrong_order(table: &Table<'_>, low: (&str, Duration), rule: &str, high: (&str, Duration)) {
    let (low_is, high_is) = (show_duration(low.1), show_duration(high.1));
    let message = format!("{} ({low_is}) {rule} {} ({high_is})", low.0, high.0);
    table.problems().report(table.place(), Problem::Contradiction(message));
}

fn interfaces(tables: Vec<Table<'_>>, bfd: &Profiles) -> Vec<OspfInterface> {
    let mut names: BTreeMap<NamePattern, Place> = BTreeMap::new();
    let mut first_area: Option<(AreaId, Place)> = None;
    let mut interfaces = Vec::new();
    for table in tables {
        let problems = table.problems();
        let table_place = table.place().clone();
        let Some((interface, name_place, area_place)) = interface(table, bfd) else { continue };
        if let Some(other) = names.get(&interface.name) {
            let message = format!("another interface block is called {} too", interface.name);
            problems.contradiction(&name_place, &message, other);
        }
        names.insert(interface.name.clone(), name_place);
        let area_place = area_place.unwrap_or(table_place);
        match &first_area {
            Some((area, other)) if *area != interface.area => {
                let message = format!(
                    "this release has one area for each instance, but this interface is in {} and \
                     another in {area}",
                    interface.area
                );
                problems.contradiction(&area_place, &message, other);
            }
            Some(_) => {}
            None => first_area = Some((interface.area, area_place)),
        }
        interfaces.push(interface);
    }
    interfaces
}

/// An interface block, with where its name and its area are given.
fn interface(
    mut table: Table<'_>,
    bfd: &Profiles,
) -> Option<(OspfInterface, Place, Option<Place>)> {
    let name = table.required("name", PATTERN, |value| value.parsed(PATTERN));
    // A block without a usable name is read all the same, for the sake of its other problems.
    let (pattern, name_place) = match name {
        Some((pattern, place)) => (Some(pattern), place),
        None => (None, table.place().clone()),
    };
    let placeholder = || "*".parse().ok();
    let mut interface = OspfInterface::new(pattern.clone().or_else(placeholder)?);
    let area_place = table
        .read("area", &mut interface.area, |value| value.parsed("an area id like \"0.0.0.0\""));
    table.read("type", &mut interface.link, |value| value.one_of(&LINK_TYPES));
    table.read("cost", &mut interface.cost, |value| value.integer(1..=u16::MAX));
    hello_and_dead(&mut table, &mut interface);
    table.read("priority", &mut interface.priority, |value| value.integer(0..=u8::MAX));
    let retransmit = Duration::from_millis(50)..=HOUR;
    table.read("retransmit", &mut interface.retransmit, |value| value.duration(retransmit));
    table.read("mtu-ignore", &mut interface.mtu_ignore, Value::boolean);
    table.read("bfd", &mut interface.bfd, |value| profile_name(value, bfd).map(Some));
    table.later("auth", "authentication comes in a later release; remove the key");
    table.finish();
    pattern.map(|_| (interface, name_place, area_place))
}

/// Reads `hello` and `dead`, which depend on each other: Hello packets carry whole seconds, except that a
/// `RouterDeadInterval` of one second may go with several Hellos a second, announced as zero.
fn hello_and_dead(table: &mut Table<'_>, interface: &mut OspfInterface) {
    let second = Duration::from_secs(1);
    let longest = Duration::from_secs(u16::MAX.into());
    let shortest = Duration::from_millis(10);
    let whole = |value: &Value<'_>, duration: Duration| {
        if duration >= second && duration.subsec_nanos() != 0 {
            value.bad("whole seconds, as Hello packets carry them", &show_duration(duration));
            return None;
        }
        Some(duration)
    };
    let hello = table.read("hello", &mut interface.hello, |value| {
        whole(value, value.duration(shortest..=longest)?)
    });
    interface.dead = if interface.hello < second { second } else { interface.hello * 4 };
    let dead = table.read("dead", &mut interface.dead, |value| {
        whole(value, value.duration(second..=longest * 4)?)
    });
    let Some(place) = dead.or(hello) else { return };
    let (hello, dead) = (interface.hello, interface.dead);
    let message = if dead <= hello {
        format!(
            "dead ({}) must be longer than hello ({})",
            show_duration(dead),
            show_duration(hello)
        )
    } else if hello < second && dead != second {
        format!(
            "with a hello of less than a second ({}) dead must be 1s, not {}",
            show_duration(hello),
            show_duration(dead)
        )
    } else {
        return;
    };
    table.problems().report(&place, Problem::Contradiction(message));
}

/// The hosts of a VRF, and where each pattern of `ports` stands.
fn hosts(
    mut table: Table<'_>,
    router_id: Option<RouterId>,
    protocols: Protocols,
) -> (Hosts, Vec<(NamePattern, Place)>) {
    let mut hosts = Hosts::default();
    let mut ports = Vec::new();
    table.read("ports", &mut ports, |value| {
        value.list(|port| Some((port.parsed::<NamePattern>(PATTERN)?, port.place().clone())))
    });
    hosts.ports = ports.iter().map(|(port, _)| port.clone()).collect();
    table.read("prefixes", &mut hosts.prefixes, |value| {
        value.list(|prefix| prefix.parsed("a prefix like \"10.100.0.0/16\""))
    });
    let metric = table.read("metric", &mut hosts.metric, |value| value.integer(16..=0xFF_FFFE));
    table.read("metric-type", &mut hosts.metric_type, |value| match value.integer(1..=2)? {
        1u8 => Some(MetricType::Type1),
        _ => Some(MetricType::Type2),
    });
    table.read("max-hosts", &mut hosts.max_hosts, |value| value.integer(0..=1_000_000));
    table.read("damping", &mut hosts.damping, |value| value.table().map(damping));
    only(
        &mut table,
        "mode",
        "registered",
        &[("learned", "learning hosts from frames comes in a later release; use \"registered\"")],
    );
    advertise(&mut table, &mut hosts, protocols, metric);
    only(
        &mut table,
        "advertise-as",
        "external",
        &[
            ("nssa", "NSSAs come in a later release; use \"external\""),
            ("summary", "area border routers come in a later release; use \"external\""),
        ],
    );
    table.later(
        "gateway-mac",
        "gateway addresses on host ports come in a later release; remove the key",
    );
    if let Some(value) = table.value("static") {
        let ipv6 = hosts.advertise.isis && protocols.isis;
        hosts.statics = statics(value.tables(), &hosts, router_id, ipv6);
    }
    table.finish();
    (hosts, ports)
}

/// Reads `advertise`. `metric` is where the metric stands.
fn advertise(
    table: &mut Table<'_>,
    hosts: &mut Hosts,
    protocols: Protocols,
    metric: Option<Place>,
) {
    let ospf = Advertise { ospf: true, isis: false };
    let isis = Advertise { ospf: false, isis: true };
    let choices = [("ospf", ospf), ("isis", isis), ("both", Advertise::default())];
    let place = table.read("advertise", &mut hosts.advertise, |value| value.one_of(&choices));
    for (name, wanted, there) in [
        ("ospf", hosts.advertise.ospf, protocols.ospf),
        ("isis", hosts.advertise.isis, protocols.isis),
    ] {
        if let Some(place) = &place
            && wanted
            && !there
        {
            let message = format!(
                "there is no [vrf.NAME.{name}] to advertise hosts with; add it or remove this"
            );
            table.problems().report(place, Problem::Contradiction(message));
        }
    }
    if let Some(place) = metric
        && hosts.advertise.isis
        && protocols.isis
        && hosts.metric > LARGEST_ISIS_CLAIM
    {
        let message = format!(
            "{} is too much for IS-IS, which tells {LARGEST_ISIS_CLAIM} claims apart",
            hosts.metric
        );
        table.problems().report(&place, Problem::Contradiction(message));
    }
}

fn damping(mut table: Table<'_>) -> Damping {
    let mut damping = Damping::default();
    let second = Duration::from_secs(1);
    table.read("moves", &mut damping.moves, |value| value.integer(2..=100));
    table.read("window", &mut damping.window, |value| value.duration(second..=HOUR));
    table.read("recovery", &mut damping.recovery, |value| value.duration(second..=24 * HOUR));
    table.finish();
    damping
}

/// A key with one choice so far; the others come later. Returns where it stands if it has that choice.
fn only(
    table: &mut Table<'_>,
    key: &'static str,
    choice: &'static str,
    later: &[(&str, &'static str)],
) -> Option<Place> {
    let value = table.value(key)?;
    let text = value.string("a string in quotes")?;
    if let Some((_, what)) = later.iter().find(|(word, _)| *word == text) {
        value.problem(Problem::NotYetSupported(what));
        return None;
    }
    value.one_of(&[(choice, ())])?;
    Some(value.place().clone())
}

/// With `ipv6` there is a protocol that carries it.
fn statics(
    tables: Vec<Table<'_>>,
    hosts: &Hosts,
    router_id: Option<RouterId>,
    ipv6: bool,
) -> Vec<StaticHost> {
    let mut addresses: BTreeMap<IpAddr, Place> = BTreeMap::new();
    let mut statics = Vec::new();
    for mut table in tables {
        let problems = table.problems();
        let address = table.required("address", "an address like \"10.100.0.9\"", |value| {
            host_address(value, hosts, router_id, ipv6)
        });
        let mut port = None;
        table.read("port", &mut port, |value| static_port(value, hosts).map(Some));
        let mut mac = None;
        let mac_place = table.read("mac", &mut mac, |value| static_mac(value).map(Some));
        if let (Some(place), None) = (mac_place, table.value("port")) {
            let message = "mac needs port: a neighbour entry belongs to an interface";
            problems.report(&place, Problem::Contradiction(message.to_owned()));
        }
        table.finish();
        let Some((address, place)) = address else { continue };
        if let Some(other) = addresses.get(&address) {
            let message = format!("{address} is already declared by another static host");
            problems.contradiction(&place, &message, other);
        }
        addresses.insert(address, place);
        statics.push(StaticHost { address, port, mac });
    }
    statics
}

fn host_address(
    value: &Value<'_>,
    hosts: &Hosts,
    router_id: Option<RouterId>,
    ipv6: bool,
) -> Option<IpAddr> {
    const EXPECTED: &str = "an address like \"10.100.0.9\", without a prefix length";
    let text = value.string(EXPECTED)?;
    let Ok(address) = text.parse::<IpAddr>() else {
        value.bad(EXPECTED, text);
        return None;
    };
    if address.is_ipv6() && !ipv6 {
        let message = "OSPFv2 carries no IPv6; add [vrf.NAME.isis] or remove the host";
        value.problem(Problem::Contradiction(message.to_owned()));
        return None;
    }
    if reserved(address).is_some() {
        value.bad("an address that a host can have", text);
        return None;
    }
    if router_id.is_some_and(|id| IpAddr::V4(id.0.into()) == address) {
        value.problem(Problem::Contradiction(format!("{address} is this router's id")));
        return None;
    }
    if !hosts.allows(address) {
        let prefixes: Vec<_> = hosts.prefixes.iter().map(ToString::to_string).collect();
        let message = format!("{address} lies in none of prefixes ({})", prefixes.join(", "));
        value.problem(Problem::Contradiction(message));
    }
    Some(address)
}

fn static_port(value: &Value<'_>, hosts: &Hosts) -> Option<String> {
    let name = value.string(PORT)?;
    if !is_interface_name(name) {
        value.bad(PORT, name);
        return None;
    }
    if !hosts.ports.is_empty() && !hosts.is_port(name) {
        let ports: Vec<_> = hosts.ports.iter().map(ToString::to_string).collect();
        let message = format!("{name} matches none of ports ({})", ports.join(", "));
        value.problem(Problem::Contradiction(message));
    }
    Some(name.to_owned())
}

fn static_mac(value: &Value<'_>) -> Option<Mac> {
    let mac: Mac = value.parsed("a MAC address like \"52:54:00:00:00:09\"")?;
    if !mac.is_station() {
        value.bad("the address of one station, not a group's", &mac.to_string());
        return None;
    }
    Some(mac)
}
