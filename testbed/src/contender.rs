//! Who takes part in a comparison.

use std::fmt;

use crate::bird::Bird;
use crate::bugled::Bugled;
use crate::error::Result;
use crate::frr::Frr;
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::{Ospf, Tuning};
use crate::router::Router;

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
