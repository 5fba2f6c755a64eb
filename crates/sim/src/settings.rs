//! The protocols, their timers, and the configuration made of them.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use bugle_ospf::BackoffConfig;
use bugle_speaker::Config;
use bugle_speaker::config::{
    Attached, Isis, IsisInterface, LinkType, LspDelay, Net, Ospf, OspfInterface, VrfName,
};
use bugle_types::{NamePattern, ParseError, Prefix};
use bugle_wire::isis::CircuitType;

use crate::network::{Borders, NodeId, Router, TAP_NAME};

/// What every router speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocols {
    /// OSPF.
    #[default]
    Ospf,
    /// IS-IS: in level 2, and within areas in level 1.
    Isis,
    /// Both side by side, on every link.
    Both,
}

impl Protocols {
    /// Whether OSPF is among them.
    #[must_use]
    pub const fn ospf(self) -> bool {
        matches!(self, Self::Ospf | Self::Both)
    }

    /// Whether IS-IS is among them.
    #[must_use]
    pub const fn isis(self) -> bool {
        matches!(self, Self::Isis | Self::Both)
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ospf => "ospf",
            Self::Isis => "isis",
            Self::Both => "both",
        })
    }
}

impl FromStr for Protocols {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let all = [Self::Ospf, Self::Isis, Self::Both];
        all.into_iter()
            .find(|protocols| protocols.to_string() == text)
            .ok_or_else(|| ParseError { expected: "ospf, isis or both", found: text.to_owned() })
    }
}

/// The protocols' timers, the same on every router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// HelloInterval, and how often IS-IS says Hello.
    pub hello: Duration,
    /// RouterDeadInterval, and the holding time of IS-IS.
    pub dead: Duration,
    /// RxmtInterval, and what IS-IS waits for acknowledgements.
    pub retransmit: Duration,
    /// MinLSInterval.
    pub min_ls_interval: Duration,
    /// MinLSArrival.
    pub min_ls_arrival: Duration,
    /// How long a change to an LSP of IS-IS waits for others.
    pub lsp_delay: LspDelay,
    /// How long SPF waits.
    pub spf: BackoffConfig,
    /// How long new routes wait that might loop (RFC 8333).
    pub microloop_delay: Duration,
    /// Whether routers look for loop-free alternates (RFC 5286).
    pub alternates: bool,
}

impl Default for Timers {
    /// bugle's, with Hellos every second and neighbours dead after four.
    fn default() -> Self {
        let ospf = Ospf::default();
        Self {
            hello: Duration::from_secs(1),
            dead: Duration::from_secs(4),
            retransmit: Duration::from_millis(1050),
            min_ls_interval: ospf.lsa_min_interval,
            min_ls_arrival: ospf.lsa_min_arrival,
            lsp_delay: LspDelay::default(),
            spf: ospf.spf_delay,
            microloop_delay: ospf.microloop_delay,
            alternates: ospf.alternates,
        }
    }
}

impl Timers {
    /// The defaults of RFC 2328 appendix C and RFC 8405 section 3, minimumLSPGenerationInterval of ISO 10589 section 7.3.21, and no
    /// alternates.
    #[must_use]
    pub const fn rfc() -> Self {
        Self {
            hello: Duration::from_secs(10),
            dead: Duration::from_secs(40),
            retransmit: Duration::from_secs(5),
            min_ls_interval: Duration::from_secs(5),
            min_ls_arrival: Duration::from_secs(1),
            lsp_delay: LspDelay { initial: Duration::from_secs(30), long: Duration::from_secs(30) },
            spf: BackoffConfig {
                initial: Duration::from_millis(50),
                short: Duration::from_millis(200),
                long: Duration::from_secs(5),
                holddown: Duration::from_secs(10),
                time_to_learn: Duration::from_millis(500),
            },
            microloop_delay: Duration::ZERO,
            alternates: false,
        }
    }

    /// The configuration of a router: for each interface its name, cost, and whether it is on a LAN.
    pub(crate) fn config(
        &self,
        protocols: Protocols,
        node: NodeId,
        router: &Router,
        (levels, borders): (CircuitType, Borders),
        interfaces: impl Iterator<Item = (String, u16, bool)>,
    ) -> Config {
        let mut config = Config { router_id: Some(node.router_id()), ..Config::default() };
        // Interfaces that are alike share a pattern, so that a router with a thousand links is not configured a thousand times.
        let mut interfaces: Vec<_> = interfaces.collect();
        let alike = interfaces.iter().all(|(_, cost, lan)| {
            interfaces.first().is_some_and(|(_, c, l)| (c, l) == (cost, lan))
        });
        if alike {
            interfaces.truncate(1);
        }
        let patterns = interfaces.into_iter().filter_map(|(name, cost, lan)| {
            let pattern = if alike { "eth*" } else { &name };
            let link = if lan { LinkType::Broadcast } else { LinkType::PointToPoint };
            Some((pattern.parse::<NamePattern>().ok()?, link, cost))
        });
        let patterns: Vec<_> = patterns.collect();
        let Some(vrf) = config.vrfs.get_mut(&VrfName::default()) else { return config };
        vrf.ospf = protocols.ospf().then(|| self.ospf(router.stub, &patterns));
        vrf.isis = protocols.isis().then(|| self.isis(node, router, (levels, borders), &patterns));
        vrf.hosts.ports.extend(TAP_NAME.parse::<NamePattern>().ok());
        config
    }

    fn ospf(&self, stub: bool, interfaces: &[(NamePattern, LinkType, u16)]) -> Ospf {
        let interfaces = interfaces.iter().map(|(name, link, cost)| OspfInterface {
            link: *link,
            cost: *cost,
            hello: self.hello,
            dead: self.dead,
            retransmit: self.retransmit,
            ..OspfInterface::new(name.clone())
        });
        Ospf {
            stub_router: stub,
            lsa_min_interval: self.min_ls_interval,
            lsa_min_arrival: self.min_ls_arrival,
            spf_delay: self.spf,
            alternates: self.alternates,
            microloop_delay: self.microloop_delay,
            interfaces: interfaces.collect(),
            ..Ospf::default()
        }
    }

    fn isis(
        &self,
        node: NodeId,
        router: &Router,
        (levels, borders): (CircuitType, Borders),
        interfaces: &[(NamePattern, LinkType, u16)],
    ) -> Isis {
        let hold = self.dead.as_nanos().div_ceil(self.hello.as_nanos().max(1));
        let interfaces = interfaces.iter().map(|(name, link, cost)| IsisInterface {
            link: *link,
            metric: (*cost).into(),
            hello: self.hello,
            hold_multiplier: u16::try_from(hold).unwrap_or(u16::MAX),
            retransmit: self.retransmit,
            ..IsisInterface::new(name.clone())
        });
        let area = router.area.unwrap_or(1);
        let everything = Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        // Where every area knows the routes to all of the others, none follows a default route.
        let attached = borders == Borders::Attached;
        let net = format!("49.{area:04}.{}.00", node.system_id()).parse::<Net>();
        Isis {
            levels,
            leak: everything.into_iter().filter(|_| borders == Borders::Leak).collect(),
            attached: Attached { send: attached, follow: attached },
            stub_router: router.stub,
            lsp_delay: self.lsp_delay,
            spf_delay: self.spf,
            alternates: self.alternates,
            microloop_delay: self.microloop_delay,
            interfaces: interfaces.collect(),
            ..Isis::new(net.into_iter().collect())
        }
    }
}
