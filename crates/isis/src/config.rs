//! What an instance and its circuits are told to be.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub use bugle_lsdb::BackoffConfig;
pub use bugle_spf::AlternatesConfig;
use bugle_types::{Mac, Prefix, SystemId};
pub use bugle_wire::isis::{Algorithm, AreaAddress, CircuitType, Key, Level, Tags};

/// So many addresses an area has at most (`maximumAreaAddresses`, ISO 10589 section 7.1.5).
pub(crate) const MOST_AREAS: usize = 3;

/// Settings of an instance. The system ID is fixed for its lifetime; to change it, start another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This system's identity.
    pub system_id: SystemId,
    /// The manual area addresses (ISO 10589 section 7.1.5), three at most; those beyond are left out.
    pub areas: Vec<AreaAddress>,
    /// The levels of routing that this system takes part in.
    pub levels: CircuitType,
    /// The name that others show for this system (RFC 5301).
    pub hostname: Option<String>,
    /// An IPv4 address of this system that never changes: TE router ID and router capability (RFC 5305 section 4.3, RFC 7981).
    pub router_id: Option<Ipv4Addr>,
    /// An IPv6 address of this system that never changes: IPv6 TE router ID (RFC 6119 section 4.1).
    pub ipv6_router_id: Option<Ipv6Addr>,
    /// The administrative tags of hosts.
    pub host_tags: Tags,
    /// Set the overload bit: paths end here, none leads through (ISO 10589 section 7.2.8.1, RFC 3787 section 4).
    pub overload: bool,
    /// Which topology IPv6 belongs to.
    pub ipv6_topology: Ipv6Topology,
    /// What the attached bit is used for.
    pub attached: AttachedConfig,
    /// Between two levels: what of level 2 is advertised in level 1, too (RFC 5302 section 2). The other direction is everything.
    pub leak: Leak,
    /// How many equal-cost next hops a route may have.
    pub max_paths: usize,
    /// Find loop-free alternates (RFC 5286); `None`: do not.
    pub alternates: Option<AlternatesConfig>,
    /// When SPF runs (RFC 8405).
    pub spf: BackoffConfig,
    /// When LSPs of ours are generated.
    pub generation: GenerationConfig,
    /// Seconds an LSP of ours lives. Long, so that neither a corrupted lifetime nor refreshing matters (RFC 7987).
    pub lsp_lifetime: u16,
    /// The largest LSP of ours in bytes (`originatingL1LSPBufferSize`, ISO 10589 section 7.3.4.2). No circuit's PDU may be smaller.
    pub lsp_buffer_size: u16,
    /// What LSPs and sequence numbers PDUs of level 1 are authenticated with.
    pub area_auth: Auth,
    /// What LSPs and sequence numbers PDUs of level 2 are authenticated with.
    pub domain_auth: Auth,
    /// A previous run of this system may have left adjacencies at its neighbours. A Hello that does not name them would end
    /// these, so nothing is said before the neighbours were heard, or for about a holding time.
    pub listen_first: bool,
    /// So long after the first adjacency what a previous run of this system said stays, for this one to say it again.
    pub reclaim: Duration,
}

impl Config {
    /// The defaults for a system of this name in one area.
    #[must_use]
    pub fn new(system_id: SystemId, area: AreaAddress) -> Self {
        Self {
            system_id,
            areas: vec![area],
            levels: CircuitType::L2,
            hostname: None,
            router_id: None,
            ipv6_router_id: None,
            host_tags: Tags::NONE,
            overload: true,
            ipv6_topology: Ipv6Topology::Standard,
            attached: AttachedConfig::default(),
            leak: Leak::Nothing,
            max_paths: 16,
            alternates: Some(AlternatesConfig::default()),
            spf: BackoffConfig::default(),
            generation: GenerationConfig::default(),
            lsp_lifetime: 65_535,
            lsp_buffer_size: bugle_wire::isis::LSP_BUFFER_SIZE,
            area_auth: Auth::default(),
            domain_auth: Auth::default(),
            listen_first: false,
            reclaim: Duration::from_secs(10),
        }
    }

    /// The area addresses that count: three at most (ISO 10589 section 7.1.5).
    #[must_use]
    pub fn areas(&self) -> &[AreaAddress] {
        self.areas.get(..MOST_AREAS).unwrap_or(&self.areas)
    }

    /// What LSPs and sequence numbers PDUs of a level are authenticated with.
    #[must_use]
    pub const fn auth(&self, level: Level) -> &Auth {
        match level {
            Level::L1 => &self.area_auth,
            Level::L2 => &self.domain_auth,
        }
    }
}

/// Which topology IPv6 belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ipv6Topology {
    /// The standard one: a system that speaks IPv6 somewhere must speak it everywhere (RFC 5308).
    #[default]
    Standard,
    /// One of its own, MT ID 2 (RFC 5120).
    Own,
}

/// What the attached bit is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachedConfig {
    /// Between two levels: set it in level 1 while other areas can be reached (ISO 10589 section 7.2.9.2).
    pub send: bool,
    /// In level 1: take a default route from the nearest systems that set it (ISO 10589 section 7.2.9.1).
    pub follow: bool,
}

impl Default for AttachedConfig {
    fn default() -> Self {
        Self { send: true, follow: true }
    }
}

/// What a system between two levels advertises of level 2 in level 1 (RFC 5302 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Leak {
    /// Nothing: level 1 follows the attached bit.
    #[default]
    Nothing,
    /// Prefixes within one of these.
    Within(Vec<Prefix>),
}

impl Leak {
    /// Whether a prefix is leaked.
    #[must_use]
    pub fn includes(&self, prefix: Prefix) -> bool {
        match self {
            Self::Nothing => false,
            Self::Within(prefixes) => prefixes.iter().any(|within| within.covers(prefix)),
        }
    }
}

/// How often a fragment of ours may change: the first change after a quiet time goes out at once, one soon after it waits a
/// little, and each further one twice as long as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationConfig {
    /// Between the first change and the second.
    pub initial: Duration,
    /// The longest wait. A fragment that could have changed for as long as this, and did not, counts as quiet again.
    pub longest: Duration,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self { initial: Duration::from_millis(10), longest: Duration::from_secs(1) }
    }
}

/// Keys. To change one without losing an adjacency, everybody first accepts the new one, then sends it, then forgets the old one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// What is sent with; `None`: nothing.
    pub send: Option<Key>,
    /// What is accepted; if there is none, everything, authenticated or not.
    pub accept: Vec<Key>,
}

impl Auth {
    /// One key for both directions.
    #[must_use]
    pub fn with(key: Key) -> Self {
        Self { send: Some(key.clone()), accept: vec![key] }
    }
}

/// The kind of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitKind {
    /// A link with one neighbour, over Ethernet (RFC 5309).
    PointToPoint,
    /// A LAN with a designated intermediate system.
    Broadcast,
    /// A link that is advertised, on which IS-IS is not spoken.
    Passive,
}

/// When Hellos are padded to the size of the largest PDU, so that a circuit that does not carry it never comes up (ISO 10589
/// section 8.2.3; RFC 3719 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Always.
    Always,
    /// Until an adjacency is up.
    #[default]
    Formation,
    /// Never.
    Never,
}

/// Settings of a circuit that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitConfig {
    /// The interface's name, for people.
    pub name: String,
    /// The kind of circuit.
    pub kind: CircuitKind,
    /// The levels it is used for; what the instance does not take part in does not count.
    pub levels: CircuitType,
    /// The cost of sending a packet out of this circuit, of 24 bits.
    pub metric: u32,
    /// The administrative tags of the circuit's networks.
    pub tags: Tags,
    /// The rank in the election of the designated intermediate system, at most 127.
    pub priority: u8,
    /// The time between two Hellos. The designated intermediate system's is a third of it (ISO 10589 section 8.4.5).
    pub hello: Duration,
    /// After so many Hellos lost an adjacency is. The holding time is in whole seconds.
    pub hold_multiplier: u16,
    /// When Hellos are padded.
    pub padding: Padding,
    /// What Hellos are authenticated with.
    pub auth: Auth,
    /// The time between two complete descriptions of the database by the designated intermediate system.
    pub csnp: Duration,
    /// After this time what was not acknowledged is sent again on a point-to-point circuit. FRR acknowledges after two seconds.
    pub retransmit: Duration,
    /// IPv4 addresses and the lengths of their networks. The first is the one that others send to.
    pub ipv4: Vec<(Ipv4Addr, u8)>,
    /// The IPv6 link-local address. Without one IPv6 is not routed here.
    pub link_local: Option<Ipv6Addr>,
    /// Other IPv6 addresses and the lengths of their networks.
    pub ipv6: Vec<(Ipv6Addr, u8)>,
    /// The interface's address: this system's SNPA on a LAN.
    pub mac: Mac,
    /// The largest IP packet in octets. A PDU has three less, for logical link control.
    pub mtu: u16,
    /// Watch neighbours with BFD, and say so (RFC 6213).
    pub bfd: bool,
}

impl CircuitConfig {
    /// The defaults for an interface: point-to-point, level 2.
    #[must_use]
    pub fn new(name: &str, mac: Mac) -> Self {
        Self {
            name: name.to_owned(),
            kind: CircuitKind::PointToPoint,
            levels: CircuitType::L2,
            metric: 10,
            tags: Tags::NONE,
            priority: 64,
            hello: Duration::from_secs(1),
            hold_multiplier: 4,
            padding: Padding::Formation,
            auth: Auth::default(),
            csnp: Duration::from_secs(10),
            retransmit: Duration::from_secs(5),
            ipv4: Vec::new(),
            link_local: None,
            ipv6: Vec::new(),
            mac,
            mtu: 1500,
            bfd: false,
        }
    }

    /// The largest PDU that fits a frame, in bytes: three bytes are the logical link control's.
    #[must_use]
    pub const fn max_pdu(&self) -> u16 {
        self.mtu.saturating_sub(3)
    }

    /// The networks that the circuit's addresses are in; IPv6 link-local ones are none.
    pub fn networks(&self) -> impl Iterator<Item = Prefix> {
        let ipv4 = self.ipv4.iter().filter_map(|&(a, length)| Prefix::new(a.into(), length));
        let ipv6 = self.ipv6.iter().filter_map(|&(a, length)| Prefix::new(a.into(), length));
        ipv4.chain(ipv6)
    }
}
