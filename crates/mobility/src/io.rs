//! What the engine is told, and what it asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use bugle_types::{IfIndex, Mac, Prefix, RouterName, Time};

use crate::config::HostsConfig;
use crate::refused::Refused;

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come.
    Tick,
    /// The settings, at the start and whenever they change.
    Config(Box<HostsConfig>),
    /// Somebody says that a host is here.
    Claim(Claim),
    /// Somebody says that a host left.
    Release {
        /// The host.
        address: IpAddr,
        /// The request that [`Output::Reply`] answers, if anybody waits for an answer.
        request: Option<u64>,
    },
    /// Somebody says that the duplicate behind a frozen address is gone.
    Unfreeze {
        /// The host.
        address: IpAddr,
        /// As in `Release`.
        request: Option<u64>,
    },
    /// An interface appeared or changed.
    Port {
        /// Its name.
        name: String,
        /// Its number.
        ifindex: IfIndex,
        /// Packets can pass.
        up: bool,
        /// Its own link-layer address, which no host behind it has.
        mac: Option<Mac>,
    },
    /// An interface was deleted.
    PortGone {
        /// Its name.
        name: String,
    },
    /// What others advertise for a watched prefix, in answer to [`Output::Watch`] and whenever it changes.
    Others {
        /// The prefix.
        prefix: Prefix,
        /// The others; `None` if this router is the only one, or nobody is.
        others: Option<Others>,
    },
    /// All addresses that no host may have: this machine's own, its router id, those of whole networks. Those of
    /// other routers come as [`Others`]. Replaces what was told before.
    Infrastructure(BTreeSet<IpAddr>),
}

/// Somebody says that a host is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The host.
    pub address: IpAddr,
    /// The interface it is behind. If there is only one port, a MAC address is enough. Without either, what is known of the
    /// host already holds; of a host not known the address is advertised and forwarding is left to the machine's own
    /// routing table.
    pub port: Option<String>,
    /// Its link-layer address. Without one, no permanent neighbour entry is made.
    pub mac: Option<Mac>,
    /// How good the evidence is.
    pub class: Class,
    /// The host is only expected: be prepared, advertise nothing yet.
    pub candidate: bool,
    /// The request that [`Output::Reply`] answers, if anybody waits for an answer.
    pub request: Option<u64>,
}

/// How good the evidence for a claim is. On one machine a lower class never displaces a higher one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A frame showed it.
    Learned,
    /// A DHCP server assigned it.
    Dhcp,
    /// An orchestrator or an operator registered it.
    Registered,
    /// The configuration declares it.
    Pinned,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learned => "learned",
            Self::Dhcp => "dhcp",
            Self::Registered => "registered",
            Self::Pinned => "pinned",
        })
    }
}

/// What other routers that can be reached advertise for one prefix. This router's own advertisement never counts, not even
/// one that an earlier run left in the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Others {
    /// The router with the lowest metric; among equals the one with the highest id.
    pub router: RouterName,
    /// Its metric; `None` if the address is the router's own, which no metric beats.
    pub metric: Option<u32>,
    /// How many there are.
    pub count: usize,
}

/// Something the driver is asked to do. The order counts: neighbour before route before advertisement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Tell what others advertise for a prefix, now and whenever it changes; or stop. No host goes live before the
    /// first answer, so wait with that until it is known what others advertise, but not for ever.
    Watch {
        /// The prefix.
        prefix: Prefix,
        /// Begin, or stop.
        on: bool,
    },
    /// Make a permanent neighbour entry; `None`: delete it.
    Neighbor {
        /// The port.
        ifindex: IfIndex,
        /// The host.
        address: IpAddr,
        /// Its link-layer address.
        mac: Option<Mac>,
    },
    /// Route the host's prefix here; `None`: let the protocols' routes take over.
    LocalRoute {
        /// The host's prefix.
        prefix: Prefix,
        /// Where its packets go.
        target: Option<LocalTarget>,
    },
    /// Advertise a prefix with a metric, or with another metric than before.
    Advertise {
        /// The host's prefix.
        prefix: Prefix,
        /// The metric.
        metric: u32,
    },
    /// Advertise a prefix no more.
    Withdraw {
        /// The host's prefix.
        prefix: Prefix,
    },
    /// The answer to a request.
    Reply {
        /// The request.
        request: u64,
        /// Done or begun; or refused, with the reason.
        result: Result<(), Refused>,
    },
    /// Something worth telling.
    Event(Event),
}

/// Where a host's packets go on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalTarget {
    /// Out of its port.
    Port(IfIndex),
    /// Nowhere, silently: the host is not here and nobody else has it (yet), while packets may still come here. An ICMP
    /// error would end its TCP sessions.
    Drop,
}

/// Something worth telling. Logs, metrics and the API are adapters over events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A host is here and is advertised.
    Live {
        /// The host.
        address: IpAddr,
        /// The metric.
        metric: u32,
        /// The router that had it until now.
        from: Option<RouterName>,
        /// When it was claimed: what has passed since is the part of the move spent here.
        claimed: Time,
    },
    /// A host moved from one port to another.
    PortChanged {
        /// The host.
        address: IpAddr,
    },
    /// A host that was claimed is not live.
    Waiting {
        /// The host.
        address: IpAddr,
        /// What it waits for.
        why: Why,
    },
    /// A host's port went down or was deleted.
    PortLost {
        /// The host.
        address: IpAddr,
    },
    /// Another router claimed the host after us; the advertisement is withdrawn soon.
    Yielded {
        /// The host.
        address: IpAddr,
        /// The router that has it now.
        to: RouterName,
    },
    /// Two routers advertise the same metric: both claimed at the same time, or it is a duplicate. The higher router id
    /// keeps the host.
    Tie {
        /// The host.
        address: IpAddr,
        /// The other router.
        with: RouterName,
        /// The host is kept here.
        kept: bool,
    },
    /// The router that had the host went quiet while the host's port here is up, so it is live here again.
    Resumed {
        /// The host.
        address: IpAddr,
    },
    /// The host rests: it is advertised with the metric of all that rest.
    Normalized {
        /// The host.
        address: IpAddr,
        /// The metric.
        metric: u32,
    },
    /// The host is not advertised any more.
    Withdrawn {
        /// The host.
        address: IpAddr,
    },
    /// The address moved too often: probably two hosts have it. It is not claimed here until then.
    Frozen {
        /// The host.
        address: IpAddr,
        /// Until when.
        until: Time,
    },
    /// The address can be claimed again.
    Unfrozen {
        /// The host.
        address: IpAddr,
    },
    /// A claim was refused or given up.
    Refused {
        /// The host.
        address: IpAddr,
        /// Why, and what to do.
        reason: Refused,
    },
}

/// What a host that is not live waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// A claim that is not a candidate's.
    Candidate,
    /// Its port, which does not exist.
    NoPort(String),
    /// Its port, which is down.
    PortDown(String),
    /// What others advertise, which the protocols have not told yet.
    Others,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate => f.write_str("registered as a candidate"),
            Self::NoPort(port) => write!(f, "port {port} does not exist yet"),
            Self::PortDown(port) => write!(f, "port {port} is down"),
            Self::Others => f.write_str("waiting for the routing protocols' databases"),
        }
    }
}

/// Why [`Mobility::deadline`](crate::Mobility::deadline) asks for a tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Something is due for this host.
    Host(IpAddr),
}
