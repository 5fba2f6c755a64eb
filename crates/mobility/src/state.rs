//! What there is to show.

use std::fmt;
use std::net::IpAddr;

use bugle_types::{Mac, Time};

use crate::io::{Class, Others, Why};

/// A host, as operators see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostView<'a> {
    /// The address.
    pub address: IpAddr,
    /// The interface it is behind.
    pub port: Option<&'a str>,
    /// Its link-layer address.
    pub mac: Option<Mac>,
    /// How good the evidence is; `None` once it is released.
    pub class: Option<Class>,
    /// Where it is in its life here.
    pub state: HostState,
    /// When that state began; a host that goes from live to steady stays in it.
    pub since: Time,
    /// The metric it is advertised with; `None`: it is not.
    pub metric: Option<u32>,
    /// What others advertise.
    pub others: Option<Others>,
    /// Moves that count towards freezing.
    pub moves: usize,
    /// Frozen until then.
    pub frozen_until: Option<Time>,
    /// When things last happened.
    pub timeline: Timeline,
}

/// Where a host is in its life here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostState {
    /// Claimed, but not live.
    Candidate(Why),
    /// Here, advertised with a metric that beats all others.
    Live,
    /// Here, and nobody else advertises it.
    Steady,
    /// Its port was lost moments ago. It is still advertised.
    PortLost,
    /// Another router has it. It is still advertised.
    Yielding,
    /// Another router has it, or had it moments ago.
    Yielded,
    /// Released. It is still advertised.
    Leaving,
    /// It moved too often and cannot be claimed.
    Frozen,
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Candidate(_) => "candidate",
            Self::Live => "live",
            Self::Steady => "steady",
            Self::PortLost => "port-lost",
            Self::Yielding => "yielding",
            Self::Yielded => "yielded",
            Self::Leaving => "leaving",
            Self::Frozen => "frozen",
        })
    }
}

/// When things last happened to a host here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timeline {
    /// It was claimed.
    pub claimed: Option<Time>,
    /// It went live: neighbour, route and advertisement were asked for.
    pub live: Option<Time>,
    /// Another router's claim beat ours.
    pub yielded: Option<Time>,
    /// The advertisement was withdrawn.
    pub withdrawn: Option<Time>,
}
