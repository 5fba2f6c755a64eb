//! BFD as an adjacency sees it (RFC 5882 section 10.2, RFC 6213).

use std::collections::BTreeSet;
use std::net::IpAddr;

use bugle_types::IfIndex;
use bugle_wire::isis::{BfdEnabled, NLPID_IPV4, TopologyId};

use crate::adjacency::{Adjacency, AdjacencyId, AdjacencyState, Cause};
use crate::instance::Isis;
use crate::io::{BfdState, Output};

/// A session that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    state: Option<BfdState>,
    /// The adjacencies that it is for: on a LAN there may be one at each level.
    users: BTreeSet<AdjacencyId>,
}

/// What BFD says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It works, or BFD has no say.
    Usable,
    /// Nothing yet, though both systems want it to be watched.
    Awaited,
    /// Nothing any more, though both want it: somebody has shut it down.
    ShutDown,
    /// It worked, and does no longer.
    Lost,
}

impl Isis {
    /// A session changed its state.
    pub(crate) fn on_bfd(&mut self, ifindex: IfIndex, peer: IpAddr, state: BfdState) {
        let Some(session) = self.sessions.get_mut(&(ifindex, peer)) else { return };
        let was = session.state.replace(state);
        for id in session.users.clone() {
            let Some(adjacency) = self.adjacencies.get_mut(&id) else { continue };
            match state {
                BfdState::Up => adjacency.bfd_lost.retain(|lost| *lost != peer),
                // A session that never was up says nothing about a neighbour who may not run BFD.
                BfdState::Down if was == Some(BfdState::Up) => adjacency.bfd_lost.push(peer),
                // RFC 5882 section 3.2: the adjacency has Hellos to find out by.
                BfdState::Down | BfdState::AdminDown => {}
            }
            self.judge(id);
        }
    }

    /// Acts on what BFD says of a neighbour (RFC 6213 section 3.2).
    fn judge(&mut self, id: AdjacencyId) {
        self.links_dirty = true;
        let Some(adjacency) = self.adjacencies.get(&id) else { return };
        let usable = self.is_usable(adjacency);
        if adjacency.state == AdjacencyState::Up && !usable {
            self.drop_adjacency(id, Cause::BfdDown);
        } else if adjacency.state == AdjacencyState::Up {
            // One protocol's path may have failed alone.
            self.resolve_again(id);
        } else if usable && adjacency.state == AdjacencyState::Initializing {
            // What kept the neighbour from hearing that it is heard is over.
            self.hello_soon(id.ifindex);
        }
    }

    /// Whether an adjacency must wait for BFD (RFC 6213 section 3.1).
    pub(crate) fn is_blocked_by_bfd(&self, adjacency: &Adjacency) -> bool {
        let topologies = self.topologies_of(adjacency);
        // ISIS_BFD_REQUIRED is the conjunction over all topologies; without any, nothing is required.
        let required = !topologies.is_empty()
            && topologies.into_iter().all(|topology| {
                self.protocols_of(adjacency)
                    .any(|p| p.topology == topology && adjacency.bfd_enabled.contains(&p))
            });
        required && !self.is_usable(adjacency)
    }

    /// Whether some topology is usable: `ISIS_NEIGHBOR_USEABLE`.
    fn is_usable(&self, adjacency: &Adjacency) -> bool {
        let topologies = self.topologies_of(adjacency);
        topologies.is_empty() || topologies.iter().any(|&t| self.is_topology_usable(adjacency, t))
    }

    /// Whether the paths of all protocols of a topology work: `ISIS_TOPO_USEABLE`.
    pub(crate) fn is_topology_usable(&self, adjacency: &Adjacency, topology: TopologyId) -> bool {
        let up = adjacency.state == AdjacencyState::Up;
        self.standings(adjacency, topology).all(|standing| match standing {
            Standing::Usable => true,
            Standing::ShutDown => up,
            // Section 4 of RFC 6213 has the adjacency wait; what another topology keeps up anyhow waits for itself.
            Standing::Awaited => up && !self.is_held_up(adjacency),
            Standing::Lost => false,
        })
    }

    /// Whether some topology is usable that waits for nothing.
    fn is_held_up(&self, adjacency: &Adjacency) -> bool {
        self.topologies_of(adjacency).into_iter().any(|topology| {
            self.standings(adjacency, topology).all(|standing| standing == Standing::Usable)
        })
    }

    /// Whether an adjacency that is up lacks BFD that both systems want: it has as long to come up as the neighbour may be silent, and
    /// as long to be taken out of the Hellos where it was shut down (RFC 6213 section 4).
    pub(crate) fn is_waiting_for_bfd(&self, adjacency: &Adjacency) -> bool {
        adjacency.state == AdjacencyState::Up
            && self.protocols_of(adjacency).next().is_some()
            && !self.is_held_up(adjacency)
    }

    /// What BFD says of the paths of a topology.
    fn standings(
        &self,
        adjacency: &Adjacency,
        topology: TopologyId,
    ) -> impl Iterator<Item = Standing> {
        let protocols = self.protocols_of(adjacency).filter(move |p| p.topology == topology);
        protocols.map(move |protocol| self.standing(adjacency, protocol))
    }

    /// What BFD says of the path of one protocol.
    fn standing(&self, adjacency: &Adjacency, protocol: BfdEnabled) -> Standing {
        let Some(peer) = peer(adjacency, protocol.nlpid) else { return Standing::Usable };
        let session = self.sessions.get(&(adjacency.id.ifindex, peer));
        let state = session.and_then(|session| session.state);
        let enabled = adjacency.bfd_enabled.contains(&protocol);
        if state == Some(BfdState::Up) {
            Standing::Usable
        } else if state == Some(BfdState::AdminDown) {
            if enabled { Standing::ShutDown } else { Standing::Usable }
        } else if adjacency.bfd_lost.contains(&peer) {
            Standing::Lost
        } else if enabled {
            Standing::Awaited
        } else {
            // Who does not speak of BFD may not run it.
            Standing::Usable
        }
    }

    fn topologies_of(&self, adjacency: &Adjacency) -> smallvec::SmallVec<[TopologyId; 2]> {
        let mut topologies: smallvec::SmallVec<[TopologyId; 2]> =
            self.protocols_of(adjacency).map(|protocol| protocol.topology).collect();
        topologies.sort_unstable();
        topologies.dedup();
        topologies
    }

    /// The protocols spoken over an adjacency that BFD may watch.
    fn protocols_of(&self, adjacency: &Adjacency) -> impl Iterator<Item = BfdEnabled> {
        let circuit = self.circuits.get(&adjacency.id.ifindex).filter(|c| c.config.bfd);
        let protocols = circuit.map(|circuit| circuit.protocols(&self.config)).unwrap_or_default();
        protocols.into_iter().map(|(topology, nlpid)| BfdEnabled { topology, nlpid })
    }

    /// What BFD is to watch on a circuit may have changed. Adjacencies that are up stay so (RFC 6213 section 4).
    pub(crate) fn sync_bfd_on(&mut self, ifindex: IfIndex) {
        let here = self.adjacencies.keys().filter(|id| id.ifindex == ifindex);
        for id in here.copied().collect::<Vec<_>>() {
            self.sync_bfd(id);
        }
    }

    /// Asks for the sessions that an adjacency wants, and gives back those it wants no more.
    pub(crate) fn sync_bfd(&mut self, id: AdjacencyId) {
        let wanted: BTreeSet<(IpAddr, IpAddr)> = self
            .adjacencies
            .get(&id)
            .filter(|adjacency| adjacency.state != AdjacencyState::Down)
            .map(|adjacency| {
                let protocols = self.protocols_of(adjacency);
                protocols
                    .filter_map(|protocol| {
                        Some((peer(adjacency, protocol.nlpid)?, self.local(id.ifindex, protocol)?))
                    })
                    .collect()
            })
            .unwrap_or_default();
        let unwanted: Vec<IpAddr> = self
            .sessions
            .iter()
            .filter(|((ifindex, peer), session)| {
                *ifindex == id.ifindex
                    && session.users.contains(&id)
                    && !wanted.iter().any(|(wanted, _)| wanted == peer)
            })
            .map(|((_, peer), _)| *peer)
            .collect();
        for peer in unwanted {
            self.release_session(id, peer);
        }
        for (peer, local) in wanted {
            let session = self.sessions.entry((id.ifindex, peer)).or_insert_with(|| {
                self.out.push_back(Output::Bfd { ifindex: id.ifindex, peer, local, wanted: true });
                Session { state: None, users: BTreeSet::new() }
            });
            session.users.insert(id);
        }
    }

    fn release_session(&mut self, id: AdjacencyId, peer: IpAddr) {
        let key = (id.ifindex, peer);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.users.remove(&id);
        if session.users.is_empty() {
            self.sessions.remove(&key);
            let unspecified = match peer {
                IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
            };
            let protocol = BfdEnabled {
                topology: TopologyId::STANDARD,
                nlpid: if peer.is_ipv4() { NLPID_IPV4 } else { bugle_wire::isis::NLPID_IPV6 },
            };
            let local = self.local(id.ifindex, protocol).unwrap_or(unspecified);
            let ifindex = id.ifindex;
            self.out.push_back(Output::Bfd { ifindex, peer, local, wanted: false });
        }
    }

    /// This system's address for a protocol on a circuit.
    fn local(&self, ifindex: IfIndex, protocol: BfdEnabled) -> Option<IpAddr> {
        let config = &self.circuits.get(&ifindex)?.config;
        if protocol.nlpid == NLPID_IPV4 {
            config.ipv4.first().map(|&(address, _)| address.into())
        } else {
            config.link_local.map(IpAddr::from)
        }
    }
}

/// The neighbour's address for a protocol.
fn peer(adjacency: &Adjacency, nlpid: u8) -> Option<IpAddr> {
    if nlpid == NLPID_IPV4 {
        adjacency.ipv4.first().map(|&address| address.into())
    } else {
        adjacency.ipv6.first().map(|&address| address.into())
    }
}
