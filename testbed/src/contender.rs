//! Who takes part in a comparison.

use std::fmt;
use std::str::FromStr;

use bugle_types::ParseError;

use crate::bird::Bird;
use crate::bugled::Bugled;
use crate::error::Result;
use crate::frr::Frr;
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::{Ospf, Tuning};
use crate::router::Router;

/// The part of bugle's configuration that lets it announce machines of 10.100.0.0/16 behind ports called tap. A machine may move more
/// often than by default, where the fifth move within three minutes makes it a duplicate.
pub const BUGLE_HOSTS: &str = "[vrf.default.hosts]\nports = [\"tap*\"]\n\
    prefixes = [\"10.100.0.0/16\"]\ndamping = { moves = 100 }\n";

/// A routing daemon in one of the ways it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// bugle.
    Bugle,
    /// FRR as its makers ship it.
    FrrDefault,
    /// FRR with `zebra work-queue 0` and all throttles at zero.
    FrrTuned,
    /// BIRD with its shortest timers.
    Bird,
}

impl Make {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bugle, Self::FrrDefault, Self::FrrTuned, Self::Bird];

    /// Its name on a command line.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bugle => "bugle",
            Self::FrrDefault => "frr",
            Self::FrrTuned => "frr-tuned",
            Self::Bird => "bird",
        }
    }

    /// The programs it needs.
    #[must_use]
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Bugle => &["bugled", "bugle"],
            Self::FrrDefault | Self::FrrTuned => &["zebra", "ospfd", "vtysh"],
            Self::Bird => &["bird", "birdc"],
        }
    }

    /// Starts it in a node. `ospf`'s tuning is replaced by this make's; `more` is added to bugle's configuration.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(self, lab: &Lab, node: &Node, ospf: &Ospf, more: &str) -> Result<Router> {
        let tuning = if self == Self::FrrDefault { Tuning::Default } else { Tuning::Tuned };
        let ospf = Ospf { tuning, ..ospf.clone() };
        match self {
            Self::Bugle => {
                Bugled::start(lab, node, &format!("{}{more}", ospf.bugle())).map(Router::Bugle)
            }
            Self::FrrDefault | Self::FrrTuned => Frr::start(lab, node, &ospf).map(Router::Frr),
            Self::Bird => Bird::start(lab, node, &ospf).map(Router::Bird),
        }
    }
}

impl FromStr for Make {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|make| make.key() == text).ok_or_else(|| ParseError {
            expected: "bugle, frr, frr-tuned or bird",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bugle => "bugle",
            Self::FrrDefault => "FRR",
            Self::FrrTuned => "FRR tuned",
            Self::Bird => "BIRD",
        })
    }
}
