use std::net::Ipv4Addr;

use bugle_bfd::{EchoProfile, Profile};
use bugle_wire::bfd::Interval;
use bugle_wire::isis::{Algorithm, CircuitType};
use proptest::prelude::*;

use super::reader::Problems;
use super::*;

/// The example of the documentation: every table and key of this release.
const EXAMPLE: &str = r#"
router-id = "192.0.2.1"
hostname = "hv-a"
[api]
socket = "/run/bugle/bugle.sock"
http = "127.0.0.1:9180"
[fib]
enabled = true
retain = false
[link-damping]
after = 4
initial = "2s"
max = "30s"
quiet = "1m"
[bfd.fast]
tx = "10ms"
rx = "20ms"
multiplier = 5
passive = true
shutdown = false
echo-tx = "20ms"
echo-rx = "30ms"
auth = [
    { type = "keyed-sha1", key-id = 7, key-file = "/etc/bugle/bfd-7.key" },
    { type = "keyed-sha1", key-file = "/etc/bugle/bfd-1.key" },
]
[[vrf.default.bfd.peer]]
address = "192.0.2.2"
interface = "eth0"
profile = "fast"
[[vrf.default.bfd.peer]]
address = "2001:db8::2"
local = "2001:db8::1"
multihop = true
min-ttl = 250
[vrf.default.ospf]
stub-router = true
max-ecmp = 8
lsa-min-interval = "1s"
lsa-min-arrival = "500ms"
alternates = false
microloop-delay = "500ms"
[vrf.default.ospf.spf-delay]
initial = "0ms"
short = "20ms"
long = "500ms"
holddown = "3s"
time-to-learn = "1s"
[[vrf.default.ospf.interface]]
name = "eth*"
area = "0.0.0.0"
type = "point-to-point"
cost = 10
hello = "1s"
dead = "4s"
priority = 0
retransmit = "1050ms"
mtu-ignore = true
bfd = "fast"
[vrf.default.isis]
net = ["49.0001.0000.0000.0001.00", "49.0002.0000.0000.0001.00"]
level = "1-2"
stub-router = true
multi-topology = true
send-attached = false
use-attached = false
leak = ["10.0.0.0/8"]
ipv6-router-id = "2001:db8::1"
host-tag = 100
host-tag-64 = 18446744073709551615
max-ecmp = 4
alternates = false
microloop-delay = "500ms"
lsp-lifetime = "1200s"
lsp-size = 1400
area-auth = { type = "hmac-md5", key-file = "/etc/bugle/area.key" }
[[vrf.default.isis.domain-auth]]
type = "hmac-sha-256"
key-id = 2
key-file = "/etc/bugle/domain-2.key"
[[vrf.default.isis.domain-auth]]
type = "hmac-sha-256"
key-id = 1
key-file = "/etc/bugle/domain-1.key"
[vrf.default.isis.spf-delay]
initial = "0ms"
[vrf.default.isis.lsp-delay]
initial = "5ms"
long = "500ms"
[[vrf.default.isis.interface]]
name = "eth*"
type = "point-to-point"
level = "2"
metric = 16777214
tag = 4294967295
tag-64 = 7
hello = "300ms"
hold-multiplier = 3
priority = 127
padding = "never"
csnp = "5s"
retransmit = "3s"
auth = { type = "cleartext", key-file = "/etc/bugle/hello.key" }
[vrf.default.hosts]
ports = ["tap*", "vnet*"]
prefixes = ["10.100.0.0/16", "2001:db8:100::/48"]
mode = "registered"
advertise = "both"
advertise-as = "external"
metric = 10000
metric-type = 2
max-hosts = 500
damping = { moves = 4, window = "60s", recovery = "10m" }
[[vrf.default.hosts.static]]
address = "10.100.0.9"
port = "tap9"
mac = "52:54:00:00:00:09"
[vrf.red]
table = 100
"#;

/// One interface block with the given lines in it.
fn interface(lines: &str) -> Result<OspfInterface, String> {
    let text = format!("[[vrf.default.ospf.interface]]\nname = \"eth0\"\n{lines}\n");
    let config = Config::parse(&text).map_err(|errors| errors.to_string())?;
    let ospf = config.vrfs[&VrfName::default()].ospf.clone().unwrap();
    Ok(ospf.interfaces[0].clone())
}

/// What is said about a `[vrf.default.hosts]` table with the given lines in it.
fn hosts_errors(lines: &str) -> String {
    Config::parse(&format!("[vrf.default.hosts]\n{lines}")).unwrap_err().to_string()
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(Config::parse("").unwrap(), Config::default());
    let explicit = "[api]\nsocket = '/run/bugle/bugle.sock'\n[fib]\nenabled = true\nretain = false\n[vrf.default]";
    assert_eq!(Config::parse(explicit).unwrap(), Config::default());
}

#[test]
fn the_example_means_what_it_says() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert_eq!(config.router_id, Some(Ipv4Addr::new(192, 0, 2, 1).into()));
    assert_eq!(config.hostname.as_deref(), Some("hv-a"));
    assert_eq!(config.api.http, "127.0.0.1:9180".parse().ok());
    let names: Vec<_> = config.vrfs.keys().map(VrfName::as_str).collect();
    assert_eq!(names, ["default", "red"]);
    assert_eq!(config.vrfs[&VrfName::new("red").unwrap()].table, Some(TableId(100)));
    let vrf = &config.vrfs[&VrfName::default()];
    let ospf = vrf.ospf.as_ref().unwrap();
    assert_eq!(ospf.max_ecmp, 8);
    assert_eq!(ospf.lsa_min_arrival, Duration::from_millis(500));
    assert_eq!((ospf.alternates, ospf.microloop_delay), (false, Duration::from_millis(500)));
    assert_eq!(ospf.spf_delay.long, Duration::from_millis(500));
    assert_eq!(
        ospf.interfaces,
        [OspfInterface {
            link: LinkType::PointToPoint,
            hello: Duration::from_secs(1),
            dead: Duration::from_secs(4),
            priority: 0,
            mtu_ignore: true,
            bfd: Some("fast".to_owned()),
            ..OspfInterface::new("eth*".parse().unwrap())
        }]
    );
    let isis = vrf.isis.as_ref().unwrap();
    assert_eq!(isis.system_id().to_string(), "0000.0000.0001");
    assert_eq!((isis.nets.len(), isis.levels, isis.max_ecmp), (2, CircuitType::L1_L2, 4));
    assert_eq!((isis.alternates, isis.microloop_delay), (false, Duration::from_millis(500)));
    assert_eq!((isis.lsp_lifetime, isis.lsp_size), (Duration::from_secs(1_200), 1_400));
    assert_eq!(
        (isis.attached.send, isis.attached.follow, isis.multi_topology),
        (false, false, true)
    );
    assert_eq!(isis.lsp_delay.initial, Duration::from_millis(5));
    let keys: Vec<_> = isis.domain_auth.iter().map(|key| (key.id, key.path.to_str())).collect();
    assert_eq!(keys, [(2, Some("/etc/bugle/domain-2.key")), (1, Some("/etc/bugle/domain-1.key"))]);
    let interface = &isis.interfaces[0];
    assert_eq!(interface.levels, Some(CircuitType::L2));
    assert_eq!((interface.metric, interface.priority), (0xFF_FFFE, 127));
    assert_eq!((interface.tags.short, interface.tags.long), (u32::MAX, 7));
    assert_eq!((isis.host_tags.short, isis.host_tags.long), (100, u64::MAX));
    assert_eq!(isis.ipv6_router_id, "2001:db8::1".parse().ok());
    assert_eq!((interface.padding, interface.hold_multiplier), (HelloPadding::Never, 3));
    assert_eq!(vrf.hosts.advertise, Advertise::default());
    assert_eq!(vrf.hosts.max_hosts, 500);
    assert_eq!(vrf.hosts.damping.recovery, Duration::from_secs(600));
    assert!(vrf.hosts.is_port("tap7") && !vrf.hosts.is_port("eth0"));
    assert_eq!(
        vrf.hosts.statics,
        [StaticHost {
            address: Ipv4Addr::new(10, 100, 0, 9).into(),
            port: Some("tap9".to_owned()),
            mac: "52:54:00:00:00:09".parse().ok(),
        }]
    );
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let text = r#"router-id = "192.0.2"
hostnam = "hv-a"
[api]
socket = "run/bugle.sock"
http = 9180
[fib]
enabled = yes
nexthop-compat = true
[bfd.fast]
tx = "10ms"
[vrf.default]
table = 100
[vrf.default.ospf]
max-ecmp = 65
stub-router = "true"
spf-delay = { initial = "50ms", short = "10ms", holddown = "1 s" }
[[vrf.default.ospf.interface]]
name = "eth0"
area = "0.0.0.0"
cost = 0
hello = "4s"
dead = "4s"
bfd = "fast"
[[vrf.default.ospf.interface]]
name = "eth0"
area = "0.0.0.1"
type = "ptp"
hello = "1500ms"
[[vrf.default.ospf.interface]]
cost = 0x1_0000
auth = { type = "hmac-sha-256", key-id = 1, key-file = "/etc/bugle/ospf.key" }
[vrf.default.isis]
net = "49.0001.0000.0000.0001"
[vrf.default.hosts]
ports = ["tap*", "eth0", 3]
prefixes = ["10.100.0.0/16", "10.200.0.0/33"]
mode = "learned"
advertise-as = "extern"
gateway-mac = "02:00:5e:00:01:01"
metric = 4294967296
metrictype = 1
[[vrf.default.hosts.static]]
address = "10.100.0.9"
mac = "52:54:00:00:00:09"
[[vrf.default.hosts.static]]
address = "10.100.0.9"
port = "tap9"
mac = "01:00:5e:00:00:05"
[[vrf.default.hosts.static]]
address = "127.0.0.1"
[vrf.red]
table = 100
[vrf."too long for a device"]
"#;
    insta::assert_snapshot!(Config::parse(text).unwrap_err());
}

#[test]
fn hosts_contradictions_name_both_sides() {
    insta::assert_snapshot!(hosts_errors(
        r#"ports = ["tap*"]
prefixes = ["10.100.0.0/16"]
advertise = "ospf"
[[vrf.default.hosts.static]]
address = "10.101.0.1"
port = "eth7"
[[vrf.default.hosts.static]]
address = "2001:db8::1"
"#
    ));
    let text = "router-id = '10.0.0.1'\n[[vrf.default.hosts.static]]\naddress = '10.0.0.1'\n";
    assert_eq!(
        Config::parse(text).unwrap_err().to_string(),
        "line 3, column 11: vrf.default.hosts.static.address: 10.0.0.1 is this router's id"
    );
}

/// What is said about a `[vrf.default.isis]` table with the given lines in it.
fn isis_errors(lines: &str) -> String {
    let net = "net = \"49.0001.0000.0000.0001.00\"";
    let text = format!("[vrf.default.isis]\n{net}\n{lines}");
    Config::parse(&text).map_or_else(|errors| errors.to_string(), |_| "nothing".to_owned())
}

#[test]
fn an_isis_instance_must_make_sense() {
    insta::assert_snapshot!(
        [
            "lsp-lifetime = '349s'",
            "lsp-lifetime = '400500ms'",
            "lsp-size = 511",
            "leak = ['10.0.0.0/8']",
            "area-auth = { type = 'hmac-md5', key-file = '/k' }",
            "level = '1'\ndomain-auth = { type = 'hmac-md5', key-file = '/k' }",
            "domain-auth = []",
            "domain-auth = { type = 'hmac-md5', key-id = 1, key-file = 'k' }",
            "domain-auth = { type = 'sha', password = 'x' }",
            "lsp-delay = { initial = '2s' }",
            "host-tag = 0\nipv6-router-id = 'fe80::1'",
            "[[vrf.default.isis.interface]]\nname = 'eth0'\nlevel = '1-2'",
            "[[vrf.default.isis.interface]]\nname = 'eth0'\n[[vrf.default.isis.interface]]\nname = 'eth0'",
            "[[vrf.default.isis.interface]]\nhello = '100s'\nhold-multiplier = 700\nmetric = 0",
            "[[vrf.default.isis.interface]]\nname = 'tap*'\n[vrf.default.hosts]\nports = ['t*']",
            "[vrf.default.hosts]\nadvertise = 'both'\nmetric = 16001",
        ]
        .map(|lines| format!("{}\n{}", lines.replace('\n', " | "), isis_errors(lines)))
        .join("\n\n")
    );
    assert!(Config::parse("[vrf.default.isis]\nnet = []").is_err());
    let two =
        "[vrf.default.isis]\nnet = ['49.0001.0000.0000.0001.00', '49.0001.0000.0000.0002.00']";
    let errors = Config::parse(two).unwrap_err().to_string();
    assert!(errors.contains("expected one to three titles of one system"), "{errors}");
}

#[test]
fn hosts_of_either_family_are_carried_by_whatever_can() {
    let host = |lines: &str, address: &str| {
        let text = format!("{lines}\n[[vrf.default.hosts.static]]\naddress = '{address}'");
        Config::parse(&text).map_err(|errors| errors.to_string())
    };
    let isis = "[vrf.default.isis]\nnet = '49.0001.0000.0000.0001.00'\n";
    let ospf = "[vrf.default.ospf]\n";
    let wanted = |protocol: &str| format!("[vrf.default.hosts]\nadvertise = '{protocol}'");
    assert!(host(isis, "2001:db8::9").is_ok());
    assert!(host(&format!("{isis}{ospf}{}", wanted("both")), "2001:db8::9").is_ok());
    for config in [ospf.to_owned(), format!("{isis}{ospf}{}", wanted("ospf"))] {
        let error = host(&config, "2001:db8::9").unwrap_err();
        assert!(error.contains("OSPFv2 carries no IPv6"), "{error}");
    }
    for (there, other) in [(isis, "ospf"), (ospf, "isis"), (ospf, "both")] {
        let error = host(&format!("{there}{}", wanted(other)), "10.0.0.9").unwrap_err();
        assert!(error.contains("to advertise hosts with; add it or remove this"), "{error}");
    }
}

#[test]
fn keys_come_from_files_and_go_nowhere_else() {
    let text = "[vrf.default.isis]\nnet = '49.0001.0000.0000.0001.00'\n\
                domain-auth = { type = 'hmac-sha-1', key-file = '/k' }";
    let mut config = Config::parse(text).unwrap();
    let key = |config: &Config| {
        config.vrfs[&VrfName::default()].isis.as_ref().unwrap().domain_auth[0].key()
    };
    assert_eq!(key(&config), None);
    let mut refused = config.clone();
    assert_eq!(
        refused.load_keys(|_| Err("no such file")).unwrap_err().to_string(),
        "key file /k: no such file"
    );
    let error = refused.load_keys(|_| Ok::<_, &str>(b"\n".to_vec())).unwrap_err();
    assert!(error.to_string().starts_with("key file /k: the key is empty"), "{error}");
    config.load_keys(|_| Ok::<_, &str>(b"tromBone\r\n".to_vec())).unwrap();
    assert_eq!(key(&config), bugle_wire::isis::Key::new(Algorithm::HmacSha1, 1, b"tromBone").ok());
    assert_ne!(config, refused);
    let written = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
    assert!(!written.contains("tromBone") && !written.contains("116, 114, 111"), "{written}");
}

#[test]
fn profiles_of_bfd_are_named_and_checked() {
    let config = Config::parse(EXAMPLE).unwrap();
    let fast = &config.bfd["fast"];
    let profile = Profile::new(Duration::from_millis(10), Duration::from_millis(20), 5).unwrap();
    let mut plain = fast.clone();
    plain.auth.clear();
    let echo = EchoProfile { tx: Interval(20_000), rx: Interval(30_000) };
    assert_eq!(plain.profile(), Some(Profile { passive: true, echo, ..profile }));
    assert_eq!(BfdProfile::default().profile().unwrap().echo, EchoProfile::default());
    let text = "[bfd.a]\ntx = '500us'\nmultiplier = 0\n\
                auth = [{ type = 'keyed-md5', key-file = '/a' }, { type = 'keyed-sha1', key-file = 'b' }]\n\
                [[vrf.default.ospf.interface]]\nname = 'eth0'\nbfd = 'b'\n";
    let errors = Config::parse(text).unwrap_err().to_string();
    for line in [
        "line 2, column 6: bfd.a.tx: 500us is out of range: it must be 1ms to 3600s",
        "line 3, column 14: bfd.a.multiplier: 0 is out of range: it must be 1 to 255",
        "bfd.a.auth.type: the keys of a profile are of one type",
        "bfd.a.auth: another key has the id 1 too (line 4)",
        "bfd.a.auth.key-file: expected an absolute path",
        "line 7, column 7: vrf.default.ospf.interface.bfd: expected the NAME of a [bfd.NAME] (\"a\"), found \"b\"",
    ] {
        assert!(errors.contains(line), "{line} is missing from\n{errors}");
    }
}

#[test]
fn keys_of_bfd_are_not_shown_and_replays_do_without() {
    let text = "[bfd.a]\nauth = { type = 'simple-password', key-file = '/k' }";
    let mut config = Config::parse(text).unwrap();
    let error = config.load_keys(|_| Ok::<_, &str>(vec![b'x'; 17])).unwrap_err().to_string();
    assert_eq!(error, "key file /k: key id 1: give simple-password a key of 1 to 16 bytes");
    config.load_keys(|_| Ok::<_, &str>(b"tromBone\n".to_vec())).unwrap();
    let written = serde_json::to_string(&config).unwrap();
    let debug = format!("{config:?}{:?}", config.bfd["a"].profile());
    assert!(!written.contains("tromBone") && !debug.contains("tromBone"), "{written}{debug}");
    // What a session is asked for looks the same in a replay.
    let again: Config = serde_json::from_str(&written).unwrap();
    assert_eq!(format!("{again:?}{:?}", again.bfd["a"].profile()), debug);
}

#[test]
fn an_ospf_interface_cannot_be_a_port_of_hosts_unless_passive() {
    let text = |link: &str| {
        format!(
            "[[vrf.default.ospf.interface]]\nname = 'tap*'\ntype = '{link}'\n\
             [vrf.default.hosts]\nports = ['t*']"
        )
    };
    let errors = Config::parse(&text("broadcast")).unwrap_err().to_string();
    assert!(errors.starts_with("line 5, column 10: vrf.default.hosts.ports: t* are"), "{errors}");
    Config::parse(&text("passive")).unwrap();
    // A pattern wider than the ports' is fine: the ports are taken out of it.
    Config::parse(
        "[[vrf.default.ospf.interface]]\nname = '*'\n[vrf.default.hosts]\nports = ['t*']",
    )
    .unwrap();
}

#[test]
fn syntax_errors_do_not_hide_the_others_nor_blame_the_innocent() {
    let text =
        "router-id = \"192.0.2.1\n[fib]\nenabled = 1\n[[vrf.default.ospf.interface]]\nname \"e\"\n";
    let errors: Vec<_> = Config::parse(text)
        .unwrap_err()
        .iter()
        .map(|error| (error.line, error.key.clone()))
        .collect();
    // Line 5 is the name: that it is missing is not said.
    assert_eq!(errors, [(1, String::new()), (3, "fib.enabled".to_owned()), (5, String::new())]);
}

#[test]
fn a_missing_name_is_reported_where_the_block_begins() {
    let text = "[fib]\n[[vrf.default.ospf.interface]]\ncost = 0\n";
    assert_eq!(
        Config::parse(text).unwrap_err().to_string(),
        "line 2, column 1: vrf.default.ospf.interface.name: missing; this block needs an interface name or a glob like \"eth*\"\n\
         line 3, column 8: vrf.default.ospf.interface.cost: 0 is out of range: it must be 1 to 65535"
    );
}

#[test]
fn dead_defaults_to_four_hellos_and_to_a_second_for_fast_ones() {
    let secs = Duration::from_secs;
    assert_eq!(interface("").unwrap().dead, secs(40));
    assert_eq!(interface("hello = '3s'").unwrap().dead, secs(12));
    let fast = interface("hello = '250ms'").unwrap();
    assert_eq!((fast.hello, fast.dead), (Duration::from_millis(250), secs(1)));
    assert_eq!(
        interface("hello = '200ms'\ndead = '1s'").unwrap(),
        OspfInterface { hello: Duration::from_millis(200), ..fast }
    );
}

#[test]
fn hello_and_dead_are_what_hello_packets_can_say() {
    for (lines, said) in [
        ("hello = '1s'\ndead = '1s'", "dead (1s) must be longer than hello (1s)"),
        ("dead = '10s'", "dead (10s) must be longer than hello (10s)"),
        ("hello = '500ms'\ndead = '2s'", "less than a second (500ms) dead must be 1s, not 2s"),
        ("hello = '1500ms'", "expected whole seconds, as Hello packets carry them"),
        ("hello = '1s'\ndead = '2500ms'", "expected whole seconds"),
        ("dead = '900ms'", "900ms is out of range"),
        ("hello = '1ms'", "1ms is out of range: it must be 10ms to 65535s"),
        ("hello = '65536s'", "65536s is out of range"),
        ("hello = 1", "expected a duration like \"250ms\" or \"4s\", found integer"),
        ("hello = '1'", "expected a duration like"),
        ("hello = '99999999999999999999s'", "expected a duration like"),
    ] {
        let errors = interface(lines).unwrap_err();
        assert!(errors.contains(said), "{lines}: {errors}");
    }
}

#[test]
fn the_delays_of_spf_are_in_their_order() {
    let lines = "initial = '2s'\nshort = '1s'\ntime-to-learn = '3s'\nholddown = '3s'";
    for protocol in ["ospf", "isis"] {
        let text = format!("[vrf.default.{protocol}.spf-delay]\n{lines}");
        let errors = Config::parse(&text).unwrap_err().to_string();
        for said in [
            "spf-delay: initial (2s) must not be longer than short (1s)",
            "spf-delay: short (1s) must not be longer than long (200ms)",
            "spf-delay: time-to-learn (3s) must be shorter than holddown (3s)",
        ] {
            assert!(errors.contains(said), "{said}: {errors}");
        }
    }
}

#[test]
fn integers_of_any_size_and_base_are_judged_by_their_range() {
    assert_eq!(interface("cost = 0xFFFF").unwrap().cost, 65_535);
    for cost in ["0", "-1", "65536", "0x10000", &"9".repeat(60)] {
        let errors = interface(&format!("cost = {cost}")).unwrap_err();
        assert!(errors.contains("is out of range: it must be 1 to 65535"), "{errors}");
    }
}

#[test]
fn the_first_interface_block_that_matches_applies() {
    let config = Config::parse(
        "[[vrf.default.ospf.interface]]\nname = 'eth0'\ncost = 1\n\
         [[vrf.default.ospf.interface]]\nname = 'eth*'\ncost = 2",
    )
    .unwrap();
    let ospf = config.vrfs[&VrfName::default()].ospf.as_ref().unwrap();
    assert_eq!(ospf.interface("eth0").unwrap().cost, 1);
    assert_eq!(ospf.interface("eth1").unwrap().cost, 2);
    assert_eq!(ospf.interface("lo"), None);
}

#[test]
fn a_peer_of_bfd_is_on_an_interface_or_several_hops_away() {
    let config = Config::parse(EXAMPLE).unwrap();
    let expected = [
        BfdPeer {
            address: "192.0.2.2".parse().unwrap(),
            start: PeerStart::Interface { name: "eth0".to_owned(), local: None },
            profile: Some("fast".to_owned()),
        },
        BfdPeer {
            address: "2001:db8::2".parse().unwrap(),
            start: PeerStart::Multihop { local: "2001:db8::1".parse().unwrap(), min_ttl: 250 },
            profile: None,
        },
    ];
    assert_eq!(config.vrfs[&VrfName::default()].bfd_peers, expected);
    for (peer, problem) in [
        ("address = '192.0.2.2'", "give the interface of a peer, or multihop = true"),
        ("interface = 'eth0'", "missing"),
        ("address = '224.0.0.5'\ninterface = 'eth0'", "the address of a machine"),
        ("address = '192.0.2.2'\nmultihop = true", "multihop needs local"),
        ("address = '192.0.2.2'\ninterface = 'eth0'\nmin-ttl = 200", "min-ttl is for multihop"),
        ("address = '192.0.2.2'\ninterface = 'tap0'", "tap0 is a port of hosts"),
        ("address = '192.0.2.2'\ninterface = 'a/b'", "an interface name like"),
        ("address = '192.0.2.2'\ninterface = 'eth0'\nprofile = 'x'", "there is none"),
        (
            "address = '192.0.2.2'\nlocal = '192.0.2.1'\nmultihop = true\ninterface = 'eth0'",
            "a path of several hops has no interface",
        ),
        (
            "address = '192.0.2.2'\nlocal = '2001:db8::1'\nmultihop = true",
            "different versions of IP",
        ),
        (
            "address = '192.0.2.2'\ninterface = 'eth0'\n[[vrf.default.bfd.peer]]\n\
             address = '192.0.2.2'\ninterface = 'eth0'\nlocal = '192.0.2.1'",
            "another peer is 192.0.2.2 on the same path (line 3)",
        ),
    ] {
        let text =
            format!("vrf.default.hosts.ports = ['tap*']\n[[vrf.default.bfd.peer]]\n{peer}\n");
        let errors = Config::parse(&text).unwrap_err().to_string();
        assert!(errors.contains(problem) && errors.lines().count() == 1, "{peer}: {errors}");
    }
}

#[test]
fn a_vrf_has_a_table_of_its_own() {
    let errors =
        Config::parse("[vrf.red]\ntable = 7\n[vrf.blue]\ntable = 7\n[vrf.x]\ntable = 254\n");
    assert_eq!(
        errors.unwrap_err().to_string(),
        "line 2, column 9: vrf.red.table: table 7 already belongs to another VRF (line 4)\n\
         line 6, column 9: vrf.x.table: expected a table other than the kernel's own 253 to 255, found \"254\""
    );
    let config = Config::parse("[vrf.zed]\n[vrf.abc]\ntable = 9\n").unwrap();
    let names: Vec<_> = config.vrfs.keys().map(VrfName::as_str).collect();
    assert_eq!(names, ["default", "abc", "zed"]);
}

#[test]
fn nobody_is_a_host_by_an_address_with_a_meaning_of_its_own() {
    let hosts = Hosts::default();
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "169.254.1.1",
        "224.0.0.5",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::5",
    ] {
        assert!(!hosts.allows(address.parse().unwrap()), "{address}");
    }
    for address in ["10.0.0.0", "1.1.1.1", "223.255.255.255", "2001:db8::1"] {
        assert!(hosts.allows(address.parse().unwrap()), "{address}");
    }
    let hosts = Hosts { prefixes: vec!["10.0.0.0/8".parse().unwrap()], ..hosts };
    assert!(hosts.allows("10.1.1.1".parse().unwrap()));
    assert!(!hosts.allows("11.1.1.1".parse().unwrap()));
}

fn documentation() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_documented_file_is_valid() {
    let documentation = documentation();
    let (_, rest) = documentation.split_once("```toml\n").unwrap();
    let config = Config::parse(rest.split_once("```").unwrap().0).unwrap();
    assert!(config.vrfs[&VrfName::default()].ospf.is_some());
}

#[test]
fn every_key_is_in_the_documentation() {
    let documentation = documentation();
    let asked = keys_of_the_example();
    assert!(asked.contains("vrf.NAME.ospf.interface.retransmit"), "{asked:?}");
    for key in asked {
        assert!(
            documentation.contains(&format!("`{key}`")),
            "{key} is not in docs/configuration.md"
        );
    }
}

/// The example has every table, so parsing it asks for every key.
fn keys_of_the_example() -> std::collections::BTreeSet<String> {
    let tree = toml::de::DeTable::parse(EXAMPLE).unwrap();
    let problems = Problems::new(EXAMPLE);
    parse::file(reader::Table::root(&problems, tree.get_ref()));
    problems.asked()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*|[\\[\\]{}=.,\"'a-z0-9\n# -]{0,200}") {
        check(&text);
    }

    #[test]
    fn a_damaged_example_is_parsed_or_refused(
        at in 0..EXAMPLE.len(),
        length in 0..40usize,
        patch in "[\\[\\]{}=.,\"'a-z0-9\n *-]{0,12}",
    ) {
        let end = (at + length).min(EXAMPLE.len());
        check(&format!("{}{patch}{}", &EXAMPLE[..at], &EXAMPLE[end..]));
    }
}

/// Either a configuration, or errors in order that lie within the text.
fn check(text: &str) {
    let Err(errors) = Config::parse(text) else { return };
    let lines = text.split('\n').count();
    let positions: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
    assert!(!positions.is_empty() && positions.is_sorted());
    for (line, column) in positions {
        let width = text.split('\n').nth(line - 1).map_or(0, |text| text.chars().count());
        assert!(line <= lines && (1..=width + 2).contains(&column), "{line}:{column}");
    }
}
