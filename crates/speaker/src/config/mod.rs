//! The configuration file: TOML text in, plain typed values out. Pure: no file is opened here.
//!
//! | Module | Holds |
//! |---|---|
//! | this one | [`Config`] and its parts: every key, its unit and its default |
//! | [`error`] | [`ConfigErrors`]: everything wrong with a file, each with its line |
//! | [`bfd`] | [`BfdProfile`]: `[bfd.NAME]`, and [`BfdPeer`] |
//! | [`isis`] | [`Isis`] and its parts |
//! | [`key`] | [`KeyFile`]: keys for authentication, and where they are kept |
//! | `parse`, `parse_bfd`, `parse_isis` | from the TOML tree to [`Config`], and what contradicts what |
//! | `reader` | typed access to a spanned TOML tree that collects problems instead of stopping |
//!
//! Two properties hold for any text: [`Config::parse`] never panics, and it reports every problem it can see, not the
//! first. A key is known because `parse` asks for it, so no list of keys can fall behind.

pub mod bfd;
pub mod error;
pub mod isis;
pub mod key;
mod parse;
mod parse_bfd;
mod parse_isis;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bugle_mobility::{Damping, reserved};
use bugle_ospf::{AlternatesConfig, BackoffConfig};
use bugle_types::{AreaId, Mac, NamePattern, ParseError, Prefix, RouterId, TableId};
use serde::{Deserialize, Serialize};

pub use bfd::{BfdAuth, BfdKey, BfdPeer, BfdProfile, PeerStart};
pub use error::{ConfigError, ConfigErrors, Problem};
pub use isis::{Attached, HelloPadding, Isis, IsisInterface, LspDelay, Net, Tags};
pub use key::{KeyFile, KeyFileError};

/// A whole configuration file. Two files that mean the same compare equal, so a reload can tell what changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// `router-id`: this router's identity in OSPF. Default: the daemon takes the highest address on `lo`.
    pub router_id: Option<RouterId>,
    /// `hostname`: the name shown to operators. Default: the machine's.
    pub hostname: Option<String>,
    /// `[api]`: where the daemon listens for its command line and for metrics.
    pub api: Api,
    /// `[fib]`: what is done with computed routes.
    pub fib: Fib,
    /// `[record]`: the flight recorder. Default: off.
    pub record: Option<Record>,
    /// `[bfd.NAME]`: profiles of BFD sessions, by the names under which interfaces refer to them.
    pub bfd: BTreeMap<String, BfdProfile>,
    /// `[link-damping]`: what is done about links and paths that flap.
    pub link_damping: LinkDamping,
    /// `[vrf.NAME]`: one entry for each VRF. The default VRF is always present and always first.
    pub vrfs: BTreeMap<VrfName, Vrf>,
}

impl Config {
    /// Parses and checks the text of a configuration file.
    ///
    /// # Errors
    /// Everything that is wrong with the text, sorted by line.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        parse::parse(text)
    }

    /// Reads every key file that the configuration names, by means of `read`.
    ///
    /// # Errors
    /// The first file that cannot be read or holds no key.
    pub fn load_keys<E>(
        &mut self,
        mut read: impl FnMut(&Path) -> Result<Vec<u8>, E>,
    ) -> Result<(), KeyFileError<E>> {
        for key in self.bfd.values_mut().flat_map(|profile| &mut profile.auth) {
            key.load(&mut read)?;
        }
        for isis in self.vrfs.values_mut().filter_map(|vrf| vrf.isis.as_mut()) {
            let hellos = isis.interfaces.iter_mut().flat_map(|interface| &mut interface.auth);
            for key in hellos.chain(&mut isis.area_auth).chain(&mut isis.domain_auth) {
                key.load(&mut read)?;
            }
        }
        Ok(())
    }
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        Self {
            router_id: None,
            hostname: None,
            api: Api::default(),
            fib: Fib::default(),
            record: None,
            bfd: BTreeMap::new(),
            link_damping: LinkDamping::default(),
            vrfs: BTreeMap::from([(VrfName::default(), Vrf::default())]),
        }
    }
}

/// `[api]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Api {
    /// `socket`: the Unix socket of the API, an absolute path. Default: `/run/bugle/bugle.sock`.
    pub socket: PathBuf,
    /// `http`: a TCP address for read-only JSON and `/metrics`. Default: none.
    pub http: Option<SocketAddr>,
}

impl Api {
    /// The socket of a daemon whose configuration names none.
    pub const DEFAULT_SOCKET: &'static str = "/run/bugle/bugle.sock";
}

impl Default for Api {
    fn default() -> Self {
        Self { socket: Self::DEFAULT_SOCKET.into(), http: None }
    }
}

/// `[fib]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fib {
    /// `enabled`: install routes in the kernel. With `false` they are computed and shown, never installed. Default: `true`.
    pub enabled: bool,
    /// `retain`: leave the routes in the kernel when the daemon stops. Default: `false`.
    pub retain: bool,
    /// `nexthop-compat`: what becomes of `net.ipv4.nexthop_compat_mode`. Default: `"leave"`.
    pub nexthop_compat: NexthopCompat,
}

/// What the daemon does with `net.ipv4.nexthop_compat_mode`, which is on by default: then the kernel tells of every route on a
/// nexthop object that changes, which costs half a microsecond for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum NexthopCompat {
    /// `"leave"`: nothing.
    #[default]
    Leave,
    /// `"off"`: turn it off for as long as the daemon runs. Programs that do not know nexthop objects cannot read routes then.
    Off,
}

impl Default for Fib {
    fn default() -> Self {
        Self { enabled: true, retain: false, nexthop_compat: NexthopCompat::Leave }
    }
}

/// `[record]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// `file`: where all inputs are written, for `bugle replay`; what the file held before is lost. Required.
    pub file: PathBuf,
    /// `limit`: the recording ends when it has grown to so many MiB. Default: 256.
    pub limit: u32,
}

impl Record {
    /// How large the file gets at most, unless told otherwise, in MiB.
    pub const DEFAULT_LIMIT: u32 = 256;
}

/// `[link-damping]`: a link that loses its carrier, or a path that BFD finds failed, too often is held down for a while: no
/// adjacency forms there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkDamping {
    /// `after`: so many failures are free. Default: 3.
    pub after: u32,
    /// `initial`: the next one is held for so long, each further one twice as long as the one before; zero: never. Default:
    /// `1s`.
    pub initial: Duration,
    /// `max`: but no longer than this. Default: `60s`.
    pub max: Duration,
    /// `quiet`: after so long without a failure all is forgiven. Default: `120s`.
    pub quiet: Duration,
}

impl Default for LinkDamping {
    fn default() -> Self {
        Self {
            after: 3,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            quiet: Duration::from_secs(120),
        }
    }
}

/// The NAME of a `[vrf.NAME]`: `default`, or the VRF device unless the VRF gives a table. `default` sorts first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VrfName {
    /// Declared first, so that the derived order puts `default` (false) before all others.
    other: bool,
    name: String,
}

impl VrfName {
    /// The name of the VRF that lives in the main table.
    pub const DEFAULT: &'static str = "default";

    /// A VRF's name; `None` if the kernel would not accept it as a device name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        bugle_types::pattern::is_interface_name(name)
            .then(|| Self { other: name != Self::DEFAULT, name: name.to_owned() })
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether this is the VRF that lives in the main table.
    #[must_use]
    pub fn is_default(&self) -> bool {
        !self.other
    }
}

impl From<VrfName> for String {
    fn from(name: VrfName) -> Self {
        name.name
    }
}

impl TryFrom<String> for VrfName {
    type Error = ParseError;

    fn try_from(name: String) -> Result<Self, ParseError> {
        Self::new(&name).ok_or(ParseError { expected: "the name of a VRF", found: name })
    }
}

impl Default for VrfName {
    /// `default`.
    fn default() -> Self {
        Self { other: false, name: Self::DEFAULT.to_owned() }
    }
}

impl fmt::Display for VrfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for VrfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `[vrf.NAME]`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vrf {
    /// `table`: the kernel's routing table. Default: the main table for `default`, else the table of the VRF device NAME.
    pub table: Option<TableId>,
    /// `[vrf.NAME.ospf]`: the OSPFv2 instance, if one is to run.
    pub ospf: Option<Ospf>,
    /// `[vrf.NAME.isis]`: the IS-IS instance, if one is to run.
    pub isis: Option<Isis>,
    /// `[[vrf.NAME.bfd.peer]]`: BFD sessions by themselves.
    #[serde(default)]
    pub bfd_peers: Vec<BfdPeer>,
    /// `[vrf.NAME.hosts]`: which hosts are advertised, and how.
    pub hosts: Hosts,
}

/// `[vrf.NAME.ospf]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ospf {
    /// `stub-router`: advertise the maximum metric for transit (RFC 6987). Default: `true`, a hypervisor is never transit.
    pub stub_router: bool,
    /// `max-ecmp`: at most so many equal-cost nexthops for a route. Default: 16.
    pub max_ecmp: u8,
    /// `lsa-min-interval`: at least so long between two originations of one LSA; what changes meanwhile is coalesced
    /// (`MinLSInterval`, RFC 2328 appendix B, there 5 s). Default: `1050ms`, since receivers ignore what comes within a second.
    pub lsa_min_interval: Duration,
    /// `lsa-min-arrival`: the rate at which new instances of one LSA are accepted in the long run (`MinLSArrival`, RFC 2328
    /// appendix B); short bursts pass. Default: `1s`.
    pub lsa_min_arrival: Duration,
    /// `alternates`: find for each route where packets can go at once when its link or neighbour fails (RFC 5286). Default: `true`.
    pub alternates: bool,
    /// `microloop-delay`: after a link has failed, new routes over neighbours that may send packets back wait so long, while
    /// packets go over the alternate (RFC 8333). Default: `2s`, longer than FRR and BIRD take by default.
    pub microloop_delay: Duration,
    /// `[vrf.NAME.ospf.spf-delay]`: how long route computation waits after an event.
    pub spf_delay: BackoffConfig,
    /// `[[vrf.NAME.ospf.interface]]`, in the order of the file: the first whose pattern matches an interface applies to it.
    pub interfaces: Vec<OspfInterface>,
}

impl Ospf {
    /// The area of this instance: all its interfaces are in one.
    #[must_use]
    pub fn area(&self) -> AreaId {
        self.interfaces.first().map_or(AreaId::BACKBONE, |interface| interface.area)
    }

    /// What applies to the interface called `name`: the first block whose pattern matches.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&OspfInterface> {
        self.interfaces.iter().find(|interface| interface.name.matches(name))
    }
}

impl Default for Ospf {
    fn default() -> Self {
        Self {
            stub_router: true,
            max_ecmp: 16,
            lsa_min_interval: Duration::from_millis(1050),
            lsa_min_arrival: Duration::from_secs(1),
            alternates: true,
            microloop_delay: AlternatesConfig::default().microloop_delay,
            spf_delay: BackoffConfig::default(),
            interfaces: Vec::new(),
        }
    }
}

/// `[[vrf.NAME.ospf.interface]]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OspfInterface {
    /// `name`: an interface name or a glob. Required.
    pub name: NamePattern,
    /// `area`: the area, the same for all interfaces of an instance. Default: `0.0.0.0`.
    pub area: AreaId,
    /// `type`: what kind of link this is. Default: `broadcast`.
    pub link: LinkType,
    /// `cost`: the cost of sending over this interface, 1 to 65535. Default: 10.
    pub cost: u16,
    /// `hello`: the interval between Hello packets, in whole seconds, or less than a second if `dead` is `1s`.
    /// Default: `10s`.
    pub hello: Duration,
    /// `dead`: a neighbour not heard for so long is gone; whole seconds, more than `hello`. Default: four times `hello`,
    /// `1s` if `hello` is less than a second.
    pub dead: Duration,
    /// `priority`: for the election of the designated router; 0 is never elected. Default: 1.
    pub priority: u8,
    /// `retransmit`: the interval of retransmissions (`RxmtInterval`). Default: `1050ms`, just longer than a receiver's
    /// `MinLSArrival`.
    pub retransmit: Duration,
    /// `mtu-ignore`: form adjacencies with neighbours that announce a larger MTU. Default: `false`.
    pub mtu_ignore: bool,
    /// `bfd`: watch the paths to neighbours by BFD, as the profile `[bfd.NAME]` of this name says. Default: not.
    pub bfd: Option<String>,
}

impl OspfInterface {
    /// An interface block that gives only a name: the defaults.
    #[must_use]
    pub fn new(name: NamePattern) -> Self {
        Self {
            name,
            area: AreaId::BACKBONE,
            link: LinkType::Broadcast,
            cost: 10,
            hello: Duration::from_secs(10),
            dead: Duration::from_secs(40),
            priority: 1,
            retransmit: Duration::from_millis(1050),
            mtu_ignore: false,
            bfd: None,
        }
    }
}

/// `type` of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LinkType {
    /// `point-to-point`: exactly one neighbour, no designated router.
    PointToPoint,
    /// `broadcast`: a shared link with a designated router.
    Broadcast,
    /// `passive`: advertised, but the protocol is neither spoken nor heard.
    Passive,
}

/// `[vrf.NAME.hosts]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hosts {
    /// `ports`: the interfaces that hosts are behind. OSPF is never spoken there. Default: none.
    pub ports: Vec<NamePattern>,
    /// `prefixes`: where hosts' addresses must lie. Default: anywhere.
    pub prefixes: Vec<Prefix>,
    /// `advertise`: the protocols that advertise hosts: `"ospf"`, `"isis"` or `"both"`. Default: whatever runs.
    pub advertise: Advertise,
    /// `metric`: what a host that rests is advertised with; one that has just moved is advertised with less. 16 to 16777214,
    /// with IS-IS at most 16000. Default: 10000.
    pub metric: u32,
    /// `metric-type`: of the AS-external LSA, 1 or 2. Default: 2.
    pub metric_type: MetricType,
    /// `max-hosts`: at most so many hosts on this machine. Default: 4096.
    pub max_hosts: usize,
    /// `[vrf.NAME.hosts.damping]`: when an address that frames show to keep moving is taken for a duplicate.
    pub damping: Damping,
    /// `[[vrf.NAME.hosts.static]]`: hosts declared in the file, claimed as pinned.
    pub statics: Vec<StaticHost>,
}

impl Hosts {
    /// Whether a host may have this address as far as the configuration goes: it can belong to a host at all
    /// ([`reserved`]), and lies within `prefixes` if there are any.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        reserved(address).is_none()
            && (self.prefixes.is_empty()
                || self.prefixes.iter().any(|prefix| prefix.contains(address)))
    }

    /// Whether the interface called `name` is one that hosts are behind.
    #[must_use]
    pub fn is_port(&self, name: &str) -> bool {
        self.ports.iter().any(|port| port.matches(name))
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            prefixes: Vec::new(),
            advertise: Advertise::default(),
            metric: 10_000,
            metric_type: MetricType::Type2,
            max_hosts: 4096,
            damping: Damping::default(),
            statics: Vec::new(),
        }
    }
}

/// `advertise`: which of the protocols that run advertise hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Advertise {
    /// OSPF does, where it runs.
    pub ospf: bool,
    /// IS-IS does, where it runs.
    pub isis: bool,
}

impl Default for Advertise {
    fn default() -> Self {
        Self { ospf: true, isis: true }
    }
}

/// `metric-type`: how an AS-external metric compares with path costs (RFC 2328 section 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MetricType {
    /// The metric is added to the cost of the path to whoever advertises it.
    Type1,
    /// The metric is larger than any path cost.
    Type2,
}

/// `[[vrf.NAME.hosts.static]]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StaticHost {
    /// `address`: the host's address. Required.
    pub address: IpAddr,
    /// `port`: the interface the host is behind. Default: not known.
    pub port: Option<String>,
    /// `mac`: the host's link-layer address; needs `port`. Default: not known.
    pub mac: Option<Mac>,
}

/// Whether a router id can identify a router: not 0.0.0.0 and not 255.255.255.255.
fn is_router_id(id: RouterId) -> bool {
    id.0 != 0 && Ipv4Addr::from(id.0) != Ipv4Addr::BROADCAST
}
