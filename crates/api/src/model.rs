//! The JSON of the API. Field names are stable: fields are added, never renamed or removed.
//!
//! Addresses, prefixes and MAC addresses are strings as operators write them. A field that ends in `_seconds`, `_ms` or
//! `_us` is a whole number in that unit. What does not apply is `null`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use bugle_types::{AreaId, Mac, ParseError, Prefix, RouterId, RouterName, SystemId};
use serde::{Deserialize, Serialize};

/// What can be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    /// [`Summary`].
    Summary,
    /// [`Interface`]s.
    Interfaces,
    /// [`Neighbor`]s.
    Neighbors,
    /// [`DatabaseEntry`]s.
    Database,
    /// [`Route`]s.
    Routes,
    /// [`Host`]s.
    Hosts,
    /// [`BfdSession`]s.
    Bfd,
    /// [`Spf`].
    Spf,
    /// The latest [`Event`]s, oldest first.
    Events,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 9] = [
        Self::Summary,
        Self::Interfaces,
        Self::Neighbors,
        Self::Database,
        Self::Routes,
        Self::Hosts,
        Self::Bfd,
        Self::Spf,
        Self::Events,
    ];

    /// The topic's name in paths and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Interfaces => "interfaces",
            Self::Neighbors => "neighbors",
            Self::Database => "database",
            Self::Routes => "routes",
            Self::Hosts => "hosts",
            Self::Bfd => "bfd",
            Self::Spf => "spf",
            Self::Events => "events",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|topic| topic.name() == text)
            .ok_or_else(|| ParseError { expected: "a topic like routes", found: text.to_owned() })
    }
}

/// The answer to a [`Topic`]: its JSON is that of the content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Topic::Summary`].
    Summary(Summary),
    /// To [`Topic::Interfaces`].
    Interfaces(Vec<Interface>),
    /// To [`Topic::Neighbors`].
    Neighbors(Vec<Neighbor>),
    /// To [`Topic::Database`].
    Database(Vec<DatabaseEntry>),
    /// To [`Topic::Routes`].
    Routes(Vec<Route>),
    /// To [`Topic::Hosts`].
    Hosts(Vec<Host>),
    /// To [`Topic::Bfd`].
    Bfd(Vec<BfdSession>),
    /// To [`Topic::Spf`].
    Spf(Vec<Spf>),
    /// To [`Topic::Events`].
    Events(Vec<Event>),
}

impl Reply {
    /// Reads the JSON that answers `topic`.
    ///
    /// # Errors
    /// If the text is not that of such an answer.
    pub fn from_json(topic: Topic, json: &str) -> Result<Self, serde_json::Error> {
        Ok(match topic {
            Topic::Summary => Self::Summary(serde_json::from_str(json)?),
            Topic::Interfaces => Self::Interfaces(serde_json::from_str(json)?),
            Topic::Neighbors => Self::Neighbors(serde_json::from_str(json)?),
            Topic::Database => Self::Database(serde_json::from_str(json)?),
            Topic::Routes => Self::Routes(serde_json::from_str(json)?),
            Topic::Hosts => Self::Hosts(serde_json::from_str(json)?),
            Topic::Bfd => Self::Bfd(serde_json::from_str(json)?),
            Topic::Spf => Self::Spf(serde_json::from_str(json)?),
            Topic::Events => Self::Events(serde_json::from_str(json)?),
        })
    }
}

/// The daemon at a glance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The daemon's version.
    pub version: String,
    /// The name shown to operators.
    pub hostname: String,
    /// The identity in OSPF.
    pub router_id: RouterId,
    /// Since the daemon started.
    pub uptime_seconds: u64,
    /// Whether routes are installed in the kernel.
    pub fib_enabled: bool,
    /// The configured VRFs, `default` first.
    pub vrfs: Vec<VrfSummary>,
}

/// One VRF at a glance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VrfSummary {
    /// Its name.
    pub vrf: String,
    /// The kernel's routing table; `null` while the VRF device does not exist.
    pub table: Option<u32>,
    /// The protocols that run: `ospf`, `isis`.
    pub protocols: Vec<String>,
    /// The identity in IS-IS.
    pub system_id: Option<SystemId>,
    /// The protocols in which another router, which need not be a neighbour, uses this one's identity.
    pub duplicated_in: Vec<String>,
    /// Interfaces that take part.
    pub interfaces: u64,
    /// Neighbours heard of.
    pub neighbors: u64,
    /// Neighbours with a complete adjacency.
    pub neighbors_full: u64,
    /// Entries of the link-state database.
    pub database: u64,
    /// Routes computed.
    pub routes: u64,
    /// Hosts known.
    pub hosts: u64,
}

/// An interface that takes part in a protocol.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The VRF.
    pub vrf: String,
    /// `ospf` or `isis`.
    pub protocol: String,
    /// The interface's name.
    pub interface: String,
    /// Its primary address and prefix length; in IS-IS empty if it has none but a link-local one.
    pub address: String,
    /// The OSPF area.
    pub area: Option<AreaId>,
    /// In IS-IS the levels it is used for: `L1`, `L2` or `L1L2`.
    pub level: Option<String>,
    /// `point-to-point`, `broadcast` or `passive`.
    #[serde(rename = "type")]
    pub link_type: String,
    /// The state of RFC 2328 section 9.1, like `DR` or `Point-to-point`; in IS-IS `Up` or `Passive`.
    pub state: String,
    /// The cost; in IS-IS the metric.
    pub cost: u32,
    /// The priority for becoming designated router.
    pub priority: u8,
    /// The Hello interval.
    pub hello_ms: u64,
    /// The dead interval; in IS-IS the holding time.
    pub dead_ms: u64,
    /// The largest IP packet.
    pub mtu: u16,
    /// The designated router's address.
    pub designated_router: Option<Ipv4Addr>,
    /// The backup designated router's address.
    pub backup_designated_router: Option<Ipv4Addr>,
    /// In IS-IS the pseudonode of a LAN, by level; its system is the designated one.
    pub lan_ids: BTreeMap<String, String>,
    /// Neighbours heard here.
    pub neighbors: u64,
    /// Packets and LSAs dropped here, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Neighbours configured differently, which keeps adjacencies from forming: what differs, by their address.
    pub mismatches: BTreeMap<String, String>,
    /// How often the link has lost its carrier without a quiet time between two losses.
    pub flaps: u64,
    /// It flaps, and is held down for so long from now.
    pub held_seconds: Option<u64>,
    /// Neighbours that are not listened to because the path to them flaps: for how many seconds, by their address.
    pub held_neighbors: BTreeMap<String, u64>,
}

/// A neighbour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Neighbor {
    /// The VRF.
    pub vrf: String,
    /// `ospf` or `isis`.
    pub protocol: String,
    /// The interface on which it is heard.
    pub interface: String,
    /// Its identity in OSPF.
    pub router_id: Option<RouterId>,
    /// Its identity in IS-IS.
    pub system_id: Option<SystemId>,
    /// The name it gives itself in IS-IS.
    pub hostname: Option<String>,
    /// Its address; in IS-IS the first one, of IPv4 if there is one.
    pub address: Option<IpAddr>,
    /// In IS-IS its link-layer address.
    pub mac: Option<Mac>,
    /// In IS-IS the levels of the adjacency: `L1`, `L2` or `L1L2`.
    pub level: Option<String>,
    /// The state of RFC 2328 section 10.1: `Init`, `2-Way`, `ExStart`, `Exchange`, `Loading` or `Full`; in IS-IS `Initializing` or
    /// `Up`.
    pub state: String,
    /// Its priority for becoming designated router.
    pub priority: u8,
    /// In this state for so long.
    pub since_seconds: u64,
    /// The address it takes for the designated router's; `null` if there is none.
    pub designated_router: Option<Ipv4Addr>,
    /// The same for the backup.
    pub backup_designated_router: Option<Ipv4Addr>,
    /// LSAs it has that are still to be fetched; in IS-IS always 0.
    pub requested: u64,
    /// LSAs sent to it and not yet acknowledged; in IS-IS LSPs on its link.
    pub unacknowledged: u64,
    /// The state of the BFD session with it; with IS-IS, of the better of those for IPv4 and IPv6; `null` if there is none.
    pub bfd: Option<String>,
    /// In IS-IS: given up after so long without a Hello, from now.
    pub expires_seconds: Option<u64>,
    /// How often the path to it has failed without a quiet time between two failures.
    pub flaps: u64,
}

/// An entry of a link-state database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// The VRF.
    pub vrf: String,
    /// `ospf` or `isis`.
    pub protocol: String,
    /// The area; `null` for what is flooded further, or on one link only, and in IS-IS.
    pub area: Option<AreaId>,
    /// In IS-IS the level: `L1` or `L2`.
    pub level: Option<String>,
    /// `router`, `network`, `summary-network`, `summary-asbr`, `as-external`, `opaque-area`, ...; in IS-IS `lsp`.
    #[serde(rename = "type")]
    pub lsa_type: String,
    /// The link state id; in IS-IS the LSP ID like `0000.0000.0001.00-00`.
    pub id: String,
    /// Who originated it: a router id, or a system id.
    pub advertising_router: RouterName,
    /// The name that one gives itself in IS-IS.
    pub hostname: Option<String>,
    /// The sequence number, in hexadecimal like `0x80000001`.
    pub sequence: String,
    /// The age in OSPF.
    pub age_seconds: Option<u16>,
    /// The lifetime left in IS-IS; 0 of what is purged.
    pub lifetime_seconds: Option<u16>,
    /// In IS-IS what the LSP says of its system: `OL` for overload, `ATT` for attached, ...
    pub flags: Vec<String>,
    /// The checksum, in hexadecimal like `0x1a2b`.
    pub checksum: String,
    /// The length with its header in octets.
    pub length: u16,
    /// Its octets in hexadecimal, aged as it is now: `bugle sim` simulates the network that a database describes.
    pub lsa: String,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// The VRF.
    pub vrf: String,
    /// The destination.
    pub prefix: Prefix,
    /// Where it comes from: `ospf`, `isis`, or `host` for a host behind one of our ports.
    pub protocol: String,
    /// The kind within the protocol: `intra-area`, `inter-area`, `external-1`, `external-2`; in IS-IS `level-1`, `level-2`,
    /// `inter-area`, the same with `-external`, or `attached`; `null` for hosts.
    pub path: Option<String>,
    /// The metric as operators know it; for `external-2` the external one. In IS-IS that of the path
    /// and the prefix together; a host's claim counts 262144 times.
    pub metric: u32,
    /// Where packets go; several share the load. Empty: they are dropped.
    pub nexthops: Vec<RouteNexthop>,
    /// Where packets go at once when the nexthops fail, before routes are computed anew (RFC 5286); `null` if there is no such way.
    /// Nexthops on several links have none: they stand in for each other.
    pub backup: Option<RouteNexthop>,
    /// What the backup avoids: `link`, `node` (the neighbour) or `link-and-node`; `null` without a backup.
    pub protects: Option<String>,
    /// The administrative tag of 32 bits that IS-IS carries with the prefix (RFC 5130); `null`: none.
    pub tag: Option<u32>,
    /// The one of 64 bits.
    pub tag_64: Option<u64>,
    /// Whether the kernel has it.
    pub installed: bool,
}

/// One leg of a route.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RouteNexthop {
    /// The router to hand packets to; `null` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The outgoing interface.
    pub interface: String,
}

/// A host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// The VRF.
    pub vrf: String,
    /// Its address.
    pub address: IpAddr,
    /// Where it is in its life here: `candidate`, `live`, `steady`, `port-lost`, `yielding`, `yielded`, `leaving` or
    /// `frozen`.
    pub state: String,
    /// What a candidate waits for, for people.
    pub waits_for: Option<String>,
    /// In this state for so long.
    pub since_seconds: u64,
    /// How good the evidence is: `pinned` or `registered`; `null` once it is released.
    pub class: Option<String>,
    /// The interface it is behind.
    pub port: Option<String>,
    /// Its MAC address.
    pub mac: Option<Mac>,
    /// The metric it is advertised with; `null` if it is not advertised.
    pub metric: Option<u32>,
    /// How many other routers advertise it.
    pub rivals: u64,
    /// The one of them with the lowest metric.
    pub rival: Option<RouterName>,
    /// The metric of that one; `null` if the address is its own.
    pub rival_metric: Option<u32>,
    /// Moves that count towards freezing.
    pub moves: u64,
    /// Frozen for so long from now.
    pub frozen_seconds: Option<u64>,
}

/// A BFD session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BfdSession {
    /// The VRF.
    pub vrf: String,
    /// The interface; `null` over several hops.
    pub interface: Option<String>,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Our address.
    pub local: IpAddr,
    /// The state of RFC 5880 section 6.2: `AdminDown`, `Down`, `Init` or `Up`.
    pub state: String,
    /// Why there is no session, though the configuration asks for one; `null` if there is one.
    pub absent: Option<String>,
    /// The neighbour's state as it said last.
    pub remote_state: String,
    /// Why our state changed last, in the words of RFC 5880 section 4.1.
    pub diagnostic: String,
    /// Why the neighbour's did.
    pub remote_diagnostic: String,
    /// Who relies on it, like `ospf`.
    pub clients: Vec<String>,
    /// Our name for the session, in hexadecimal.
    pub discriminator: String,
    /// The neighbour's name for it; `null` if it is not known.
    pub remote_discriminator: Option<String>,
    /// Between our packets, jitter aside; `null` while none are sent by the clock.
    pub tx_us: Option<u64>,
    /// After so long a silence the session goes down; `null` while there is nothing to be heard.
    pub detection_us: Option<u64>,
    /// How many of our packets in a row the neighbour must miss.
    pub multiplier: u8,
    /// The same of the neighbour's packets.
    pub remote_multiplier: u8,
    /// Packets that arrive with a smaller TTL are discarded.
    pub min_ttl: u8,
    /// Since the last packet; `null` if none came.
    pub last_packet_us: Option<u64>,
    /// Between echo packets; `null` while none are sent.
    pub echo_us: Option<u64>,
    /// What the last echo packet took to come back.
    pub echo_round_trip_us: Option<u64>,
    /// How packets are authenticated; `null`: not at all.
    pub auth: Option<String>,
    /// Packets taken.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets of this session that were discarded.
    pub discarded: u64,
    /// How often it came up.
    pub ups: u64,
    /// How often it left `Up`.
    pub downs: u64,
    /// Whether BFD runs before everything else on this machine.
    pub realtime: bool,
    /// How often BFD was not scheduled in time, 1 ms or more late: of all sessions.
    pub stalls: u64,
    /// The longest that it was late.
    pub longest_stall_us: u64,
}

/// Route computation of one instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spf {
    /// The VRF.
    pub vrf: String,
    /// `ospf` or `isis`.
    pub protocol: String,
    /// The area in OSPF.
    pub area: Option<AreaId>,
    /// The level in IS-IS: `L1` or `L2`.
    pub level: Option<String>,
    /// The state of RFC 8405 section 5.1: `quiet`, `short-wait` or `long-wait`.
    pub state: String,
    /// When the next run is due; `null` if none is.
    pub due_in_us: Option<u64>,
    /// How often it ran.
    pub runs: u64,
    /// How many of these worked out only what the changes may affect.
    pub runs_incremental: u64,
    /// How many calculated all paths because it was the first run, or this router's place in the graph was new.
    pub runs_new_root: u64,
    /// How many did because there were more changes than are kept track of.
    pub runs_many_changes: u64,
    /// How many did because more than an eighth of the nodes might have lost their paths, or a link of this router was lost with
    /// much behind it.
    pub runs_many_nodes: u64,
    /// Routers and networks in the graph.
    pub nodes: u64,
    /// How the last run went about it: `incremental`, or why not, as above: `new-root`, `many-changes`, `many-nodes`.
    pub last_kind: String,
    /// For how many of the nodes the last run worked out the paths.
    pub last_visited: u64,
    /// For how many of them the last run changed the distance or the nexthops.
    pub last_changed: u64,
    /// Routes to networks that are not our own.
    pub routes: u64,
    /// How many of them have somewhere to go at once when a link or a neighbour of ours fails (the coverage of RFC 6571): a backup,
    /// or nexthops on several links.
    pub routes_protected: u64,
    /// How many of these have nexthops on several links.
    pub routes_ecmp: u64,
    /// How many of these have a backup that avoids the neighbour.
    pub routes_node_protected: u64,
    /// How many have nowhere to go until routes have been computed anew.
    pub routes_unprotected: u64,
    /// How many new routes wait until neighbours have changed theirs, while packets go over the backup (RFC 8333).
    pub routes_held: u64,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// What kind, like `neighbor-state`. `lagged` says that the reader was too slow and missed events.
    pub kind: String,
    /// The VRF; `null` if it concerns none.
    pub vrf: Option<String>,
    /// What happened, for people.
    pub message: String,
}

/// Why packets to an address go where they go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The VRF.
    pub vrf: String,
    /// The address asked about.
    pub address: IpAddr,
    /// The most specific route that holds it.
    pub route: Option<Route>,
    /// The host with this address, if it is known here.
    pub host: Option<Host>,
    /// The reasons, in the order in which they decide.
    pub reasons: Vec<String>,
    /// The host's last move as seen from here, step by step.
    pub timeline: Vec<Step>,
    /// The last repair of a failure in this VRF, step by step.
    pub repair: Vec<Step>,
}

/// A step of a host's move, or of a repair.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What was done, like `claimed` or `advertised`.
    pub step: String,
    /// When, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// After the first step.
    pub after_us: u64,
}

/// The body of a request to add a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAdd {
    /// Its address.
    pub address: IpAddr,
    /// The VRF; the default one if absent.
    #[serde(default)]
    pub vrf: Option<String>,
    /// The interface it is behind.
    #[serde(default)]
    pub port: Option<String>,
    /// Its MAC address.
    #[serde(default)]
    pub mac: Option<Mac>,
    /// It is only expected: prepare for it, advertise nothing yet.
    #[serde(default)]
    pub candidate: bool,
}

/// The body of a refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why, and what to do.
    pub error: String,
}

/// Something that is counted or measured, for Prometheus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// The name, without the prefix `bugle_` and without the suffix `_total` of counters.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only ever grows.
    pub counter: bool,
    /// The values, each with its labels.
    pub samples: Vec<(Vec<(&'static str, String)>, u64)>,
}
