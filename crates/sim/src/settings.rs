//! The protocol's timers, and the configuration made of them.

use std::time::Duration;

use bugle_ospf::BackoffConfig;
use bugle_speaker::Config;
use bugle_speaker::config::{LinkType, Ospf, OspfInterface};
use bugle_types::{NamePattern, RouterId};

use crate::network::TAP_NAME;

/// The protocol's timers, the same on every router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// HelloInterval.
    pub hello: Duration,
    /// RouterDeadInterval.
    pub dead: Duration,
    /// RxmtInterval.
    pub retransmit: Duration,
    /// MinLSInterval.
    pub min_ls_interval: Duration,
    /// MinLSArrival.
    pub min_ls_arrival: Duration,
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
            spf: ospf.spf_delay,
            microloop_delay: ospf.microloop_delay,
            alternates: ospf.alternates,
        }
    }
}

impl Timers {
    /// The defaults of RFC 2328 appendix C and RFC 8405 section 3, and no alternates.
    #[must_use]
    pub const fn rfc() -> Self {
        Self {
            hello: Duration::from_secs(10),
            dead: Duration::from_secs(40),
            retransmit: Duration::from_secs(5),
            min_ls_interval: Duration::from_secs(5),
            min_ls_arrival: Duration::from_secs(1),
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
        router_id: RouterId,
        stub: bool,
        interfaces: impl Iterator<Item = (String, u16, bool)>,
    ) -> Config {
        let mut config = Config { router_id: Some(router_id), ..Config::default() };
        let mut ospf = Ospf {
            stub_router: stub,
            lsa_min_interval: self.min_ls_interval,
            lsa_min_arrival: self.min_ls_arrival,
            spf_delay: self.spf,
            alternates: self.alternates,
            microloop_delay: self.microloop_delay,
            ..Ospf::default()
        };
        // Interfaces that are alike share a pattern, so that a router with a thousand links is not configured a thousand times.
        let interfaces: Vec<_> = interfaces.collect();
        let alike = interfaces.iter().all(|(_, cost, lan)| {
            interfaces.first().is_some_and(|(_, c, l)| (c, l) == (cost, lan))
        });
        let patterns = interfaces.iter().take(if alike { 1 } else { interfaces.len() });
        for (name, cost, lan) in patterns {
            let pattern = if alike { "eth*" } else { name };
            let Ok(pattern) = pattern.parse::<NamePattern>() else { continue };
            ospf.interfaces.push(OspfInterface {
                link: if *lan { LinkType::Broadcast } else { LinkType::PointToPoint },
                cost: *cost,
                hello: self.hello,
                dead: self.dead,
                retransmit: self.retransmit,
                ..OspfInterface::new(pattern)
            });
        }
        for vrf in config.vrfs.values_mut() {
            vrf.ospf = Some(ospf.clone());
            vrf.hosts.ports.extend(TAP_NAME.parse::<NamePattern>().ok());
        }
        config
    }
}
