//! When it is known who else advertises a host: the start of a VRF's protocols.
//!
//! What others advertise counts if they can be reached. After a start nobody can, however much of the database has been copied,
//! until a neighbour has said that there is a link to us and SPF has run over it. Nobody can reach us before that either, so a
//! host that waits for it loses nothing; one that did not wait would be claimed as if nobody had it.

use std::time::Duration;

use bugle_isis::{self as isis, AdjacencyState};
use bugle_ospf::{self as ospf, neighbor::NeighborState};
use bugle_types::Time;
use bugle_wire::isis::{Level, NodeId, TopologyId};

use super::Vrf;
use crate::config::{self, LinkType};

/// How much longer than the interval between Hellos a neighbour's first one may take.
const LATE: Duration = Duration::from_secs(1);
/// The interval between an IS-IS neighbour's Hellos, which need not be ours, where nobody has set it: RFC 1142 section 11 and FRR say
/// 3 s (`iSISHelloTimer`), other makes up to 10 s.
const ISIS_HELLO: Duration = Duration::from_secs(10);
/// No neighbour is awaited for longer: who has Hellos as rare as that has no hurry.
const LONGEST_HELLO: Duration = Duration::from_secs(30);
/// How much longer hosts wait for neighbours who have been heard, and of whom none leads anywhere yet or whose database is being
/// copied: longer than the 5 s of `MinLSInterval` (RFC 2328 appendix B) that a neighbour may need to say that there is a link to us.
const JOINING: Duration = Duration::from_secs(8);

/// How hosts wait at the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// If no neighbour is heard: as long as the first Hello of one may take.
    alone: Duration,
}

impl Patience {
    pub(super) fn new(config: &config::Vrf) -> Self {
        let ospf = config.ospf.iter().flat_map(|ospf| &ospf.interfaces);
        let ospf = ospf.filter(|i| i.link != LinkType::Passive).map(|i| i.hello);
        let isis = config.isis.iter().flat_map(|isis| &isis.interfaces);
        let isis = isis.filter(|i| i.link != LinkType::Passive).map(|i| i.hello.max(ISIS_HELLO));
        let hello = ospf.chain(isis).max().unwrap_or(LATE);
        Self { alone: hello.clamp(LATE, LONGEST_HELLO) + LATE }
    }

    /// The longest that hosts wait. What a previous run said has to stay for as long, or it is gone before they are there again.
    pub(super) fn longest(self) -> Duration {
        self.alone + JOINING
    }
}

impl Vrf {
    /// Until then, questions about what others advertise are not answered, unless the databases are in step earlier.
    pub(crate) fn settle_at(&self) -> Option<Time> {
        // Without a configuration it is not known whom to wait for.
        let since = self.settling.filter(|_| self.hosts_config.is_some())?;
        let ospf = self.ospf.as_ref().is_some_and(|ospf| is_joining_ospf(ospf.state()));
        let isis = self.isis.as_ref().is_some_and(|isis| is_joining_isis(isis.state()));
        Some(since + if ospf || isis { self.patience.longest() } else { self.patience.alone })
    }

    /// Whether in each protocol some neighbour's database has been copied, none is being copied, and all who have been copied are
    /// reached: then it is known who else advertises what.
    pub(super) fn in_step(&self) -> bool {
        let ospf = self.ospf.as_ref().is_none_or(|ospf| is_in_step_ospf(ospf.state()));
        ospf && self.isis.as_ref().is_none_or(|isis| is_in_step_isis(isis.state()))
    }
}

fn is_in_step_ospf(state: ospf::State<'_>) -> bool {
    let mut full = state.neighbors().filter(|n| n.state == NeighborState::Full).peekable();
    state.spf_due().is_none()
        && full.peek().is_some()
        && full.all(|neighbor| is_reached_ospf(state, neighbor))
        && state.neighbors().all(|n| matches!(n.state, NeighborState::TwoWay | NeighborState::Full))
}

fn is_in_step_isis(state: isis::State<'_>) -> bool {
    let mut up = state.adjacencies().filter(|a| a.state == AdjacencyState::Up);
    Level::ALL.into_iter().all(|level| state.spf_due(level).is_none())
        && state.in_step()
        && up.all(|adjacency| is_reached_isis(state, adjacency))
}

/// Whether there are neighbours, and none leads anywhere yet.
fn is_joining_ospf(state: ospf::State<'_>) -> bool {
    let mut heard = state.neighbors().filter(|n| n.state >= NeighborState::Init).peekable();
    heard.peek().is_some() && !heard.any(|neighbor| is_reached_ospf(state, neighbor))
}

/// Whether there are neighbours, and none leads anywhere yet, or what they have is not here yet.
fn is_joining_isis(state: isis::State<'_>) -> bool {
    let mut up = state.adjacencies().filter(|a| a.state == AdjacencyState::Up);
    state.adjacencies().next().is_some()
        && !(state.in_step() && up.any(|adjacency| is_reached_isis(state, adjacency)))
}

fn is_reached_ospf(state: ospf::State<'_>, neighbor: &ospf::neighbor::Neighbor) -> bool {
    state.routing().distance(neighbor.router_id).is_some()
}

fn is_reached_isis(state: isis::State<'_>, adjacency: &isis::Adjacency) -> bool {
    let node = NodeId::of_system(adjacency.system);
    let mut levels = Level::ALL.into_iter().filter(|&level| adjacency.levels.includes(level));
    levels.all(|level| {
        let mut topologies = [TopologyId::STANDARD, TopologyId::IPV6].into_iter();
        topologies.any(|topology| state.distance(level, topology, node).is_some())
    })
}
