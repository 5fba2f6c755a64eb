//! Routers in a lab: FRR, BIRD and bugle behind one set of questions.

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_types::RouterId;

use crate::bird::Bird;
use crate::bugled::Bugled;
use crate::error::Result;
use crate::frr::Frr;
use crate::process::Process;

/// How long a daemon may take to start answering, or to end.
pub(crate) const DAEMON: Duration = Duration::from_secs(10);

/// A routing daemon in a node.
#[derive(Debug)]
pub enum Router {
    /// FRR: zebra and the daemon of a protocol.
    Frr(Frr),
    /// BIRD.
    Bird(Bird),
    /// bugle.
    Bugle(Bugled),
}

/// An OSPF neighbour as a daemon shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its identity.
    pub router_id: RouterId,
    /// Its address on the link.
    pub address: Ipv4Addr,
    /// The interface it is reached through.
    pub interface: String,
    /// The state of the conversation (RFC 2328 section 10.1): `Full`, `2-Way`, ...
    pub state: String,
}

impl Neighbor {
    /// Whether the databases are in step.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.state == "Full"
    }
}

impl Router {
    /// The OSPF neighbours.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn neighbors(&self) -> Result<Vec<Neighbor>> {
        match self {
            Self::Frr(frr) => frr.neighbors(),
            Self::Bird(bird) => bird.neighbors(),
            Self::Bugle(bugled) => bugled.neighbors(),
        }
    }

    /// How many neighbours are in state Full, or adjacencies of IS-IS up; none while the daemon does not answer.
    #[must_use]
    pub fn full_neighbors(&self) -> usize {
        let full = || {
            let neighbors = self.neighbors().unwrap_or_default();
            neighbors.iter().filter(|neighbor| neighbor.is_full()).count()
        };
        match self {
            Self::Frr(frr) => frr.in_step(),
            Self::Bird(_) => full(),
            Self::Bugle(bugled) => full() + bugled.up(),
        }
    }

    /// The daemon's processes.
    #[must_use]
    pub fn processes(&self) -> Vec<&Process> {
        match self {
            Self::Frr(frr) => vec![&frr.zebra, &frr.daemon],
            Self::Bird(bird) => vec![&bird.process],
            Self::Bugle(bugled) => vec![&bugled.process],
        }
    }

    /// The daemon's processes, to ask whether they have ended.
    pub fn processes_mut(&mut self) -> Vec<&mut Process> {
        match self {
            Self::Frr(frr) => vec![&mut frr.zebra, &mut frr.daemon],
            Self::Bird(bird) => vec![&mut bird.process],
            Self::Bugle(bugled) => vec![&mut bugled.process],
        }
    }

    /// How one of its processes ended, if one did.
    pub fn died(&mut self) -> Option<String> {
        self.processes_mut().into_iter().find_map(|process| {
            process.ended().map(|status| format!("{} died: {status}", process.name()))
        })
    }

    /// Ends the daemon as an operator would (SIGTERM).
    ///
    /// # Errors
    /// If it has not ended within 10 s.
    pub fn stop(&mut self) -> Result<()> {
        match self {
            Self::Frr(frr) => frr.stop(),
            Self::Bird(bird) => bird.process.stop(DAEMON),
            Self::Bugle(bugled) => bugled.process.stop(DAEMON),
        }
    }
}
