//! Neighbours: the state machine and Hello packets received (RFC 2328 section 10).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::Ipv4Addr;

use bugle_lsdb::{EntryId, FloodQueue};
use bugle_types::{IfIndex, RouterId, Time};
use bugle_wire::ospf::{DdFlags, Hello, LsaHeader, LsaKey, LsaType, Options};

use crate::config::NetworkType;
use crate::instance::{Ospf, Timer};
use crate::interface::InterfaceState;
use crate::io::{Event, Mismatch};

/// How long a neighbour that was Full may take to exchange databases once more before its link goes.
const RESYNC: std::time::Duration = std::time::Duration::from_secs(2);

/// Names a neighbour: the interface, and its router id on a point-to-point link or its address on a LAN (section 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighborId {
    /// The interface.
    pub ifindex: IfIndex,
    pub(crate) key: u32,
}

/// The states of section 10.1. Attempt exists on NBMA networks only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighborState {
    /// Not heard from.
    Down,
    /// Heard from; it has not heard us.
    Init,
    /// Both hear each other.
    TwoWay,
    /// Agreeing on master and sequence number.
    ExStart,
    /// Describing databases to each other.
    Exchange,
    /// Fetching what the other has newer.
    Loading,
    /// Databases are equal.
    Full,
}

impl NeighborState {
    /// All states, in order.
    pub const ALL: [Self; 7] = [
        Self::Down,
        Self::Init,
        Self::TwoWay,
        Self::ExStart,
        Self::Exchange,
        Self::Loading,
        Self::Full,
    ];
}

impl fmt::Display for NeighborState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "Down",
            Self::Init => "Init",
            Self::TwoWay => "2-Way",
            Self::ExStart => "ExStart",
            Self::Exchange => "Exchange",
            Self::Loading => "Loading",
            Self::Full => "Full",
        })
    }
}

/// The events of section 10.2. Start exists on NBMA networks only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeighborEvent {
    /// A Hello came.
    HelloReceived,
    /// The Hello lists us.
    TwoWayReceived,
    /// Master and sequence number are agreed.
    NegotiationDone,
    /// Both databases are described.
    ExchangeDone,
    /// It asks for an LSA that we do not have.
    BadLsReq,
    /// Nothing is left to fetch.
    LoadingDone,
    /// The set of routers to be adjacent with may have changed.
    AdjOk,
    /// A database description broke the order.
    SeqNumberMismatch,
    /// The Hello does not list us.
    OneWayReceived,
    /// The interface went down, or we stop.
    KillNbr,
    /// No Hello for RouterDeadInterval.
    InactivityTimer,
    /// A lower layer says that the neighbour is unreachable.
    LlDown,
}

impl NeighborEvent {
    /// All events, in order.
    pub const ALL: [Self; 12] = [
        Self::HelloReceived,
        Self::TwoWayReceived,
        Self::NegotiationDone,
        Self::ExchangeDone,
        Self::BadLsReq,
        Self::LoadingDone,
        Self::AdjOk,
        Self::SeqNumberMismatch,
        Self::OneWayReceived,
        Self::KillNbr,
        Self::InactivityTimer,
        Self::LlDown,
    ];
}

impl fmt::Display for NeighborEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HelloReceived => "HelloReceived",
            Self::TwoWayReceived => "2-WayReceived",
            Self::NegotiationDone => "NegotiationDone",
            Self::ExchangeDone => "ExchangeDone",
            Self::BadLsReq => "BadLSReq",
            Self::LoadingDone => "Loading Done",
            Self::AdjOk => "AdjOK?",
            Self::SeqNumberMismatch => "SeqNumberMismatch",
            Self::OneWayReceived => "1-Way",
            Self::KillNbr => "KillNbr",
            Self::InactivityTimer => "InactivityTimer",
            Self::LlDown => "LLDown",
        })
    }
}

/// The state machine of section 10.3 as a function. `adjacent`: an adjacency should be formed (section 10.4); `loaded`:
/// the link state request list is empty.
pub(crate) fn next_state(
    state: NeighborState,
    event: NeighborEvent,
    adjacent: bool,
    loaded: bool,
) -> NeighborState {
    use NeighborEvent as E;
    use NeighborState as S;
    match (event, state) {
        (E::KillNbr | E::InactivityTimer | E::LlDown, _) => S::Down,
        (E::TwoWayReceived, S::Init) => {
            if adjacent {
                S::ExStart
            } else {
                S::TwoWay
            }
        }
        (E::NegotiationDone, S::ExStart) => S::Exchange,
        (E::ExchangeDone, S::Exchange) => {
            if loaded {
                S::Full
            } else {
                S::Loading
            }
        }
        (E::LoadingDone, S::Loading) => S::Full,
        (E::AdjOk, S::TwoWay) if adjacent => S::ExStart,
        (E::AdjOk, S::ExStart | S::Exchange | S::Loading | S::Full) if !adjacent => S::TwoWay,
        (E::SeqNumberMismatch | E::BadLsReq, S::Exchange | S::Loading | S::Full) => S::ExStart,
        (E::HelloReceived, S::Down)
        | (E::OneWayReceived, S::TwoWay | S::ExStart | S::Exchange | S::Loading | S::Full) => {
            S::Init
        }
        (
            E::HelloReceived
            | E::TwoWayReceived
            | E::NegotiationDone
            | E::ExchangeDone
            | E::LoadingDone
            | E::AdjOk
            | E::SeqNumberMismatch
            | E::BadLsReq
            | E::OneWayReceived,
            state,
        ) => state,
    }
}

/// What identifies a database description packet, to recognise duplicates (section 10.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DdIdentity {
    pub(crate) flags: DdFlags,
    pub(crate) options: Options,
    pub(crate) sequence: u32,
}

/// A neighbour (section 10's data structure).
#[derive(Debug, Clone)]
pub struct Neighbor {
    /// Its name.
    pub id: NeighborId,
    /// Its router id.
    pub router_id: RouterId,
    /// The address it sends from.
    pub address: Ipv4Addr,
    /// Its eligibility to become the designated router.
    pub priority: u8,
    /// The DR it declares.
    pub dr: Ipv4Addr,
    /// The BDR it declares.
    pub bdr: Ipv4Addr,
    /// Its state.
    pub state: NeighborState,
    /// When it got there.
    pub since: Time,
    /// It was Full and is exchanging databases once more, as after its restart: until then the link still counts as a link.
    pub(crate) resync_until: Option<Time>,
    /// The neighbour is the master of the database exchange.
    pub(crate) master: bool,
    pub(crate) dd_sequence: u32,
    pub(crate) options: Options,
    /// The last database description that came.
    pub(crate) dd_received: Option<DdIdentity>,
    /// The last database description that was sent, to send again; the slave keeps it.
    pub(crate) dd_sent: Vec<u8>,
    /// The M bit of that packet: more follow.
    pub(crate) announced_more: bool,
    /// The Database summary list: what is still to be described.
    pub(crate) summary: VecDeque<EntryId>,
    /// The Link state request list: what the neighbour has newer.
    pub(crate) requests: BTreeMap<LsaKey, LsaHeader>,
    /// Of these, what has not been asked for yet, in the order described.
    pub(crate) unasked: VecDeque<LsaKey>,
    /// Of these, what the last request packet asked for.
    pub(crate) asked: BTreeSet<LsaKey>,
    /// The Link state retransmission list.
    pub(crate) retransmit: FloodQueue,
}

impl Neighbor {
    /// Whether the link to it is advertised and used: it is Full, or was a moment ago and hears us still.
    #[must_use]
    pub fn is_adjacent(&self) -> bool {
        self.state == NeighborState::Full
            || (self.resync_until.is_some() && self.state >= NeighborState::ExStart)
    }

    /// LSAs that the neighbour has newer and that have not come yet.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// LSAs sent and not acknowledged.
    #[must_use]
    pub fn retransmit_count(&self) -> usize {
        self.retransmit.len()
    }

    /// Whether the neighbour is to be given LSAs of a type: opaque ones only if it says that it is opaque-capable (RFC 5250 section
    /// 3.1).
    pub(crate) fn understands(&self, ls_type: LsaType) -> bool {
        let opaque =
            matches!(ls_type, LsaType::OPAQUE_LINK | LsaType::OPAQUE_AREA | LsaType::OPAQUE_AS);
        !opaque || self.options.contains(Options::O)
    }

    /// Clears the three lists (section 10.3).
    pub(crate) fn clear_lists(&mut self) {
        self.summary.clear();
        self.requests.clear();
        self.unasked.clear();
        self.asked.clear();
        self.retransmit.clear();
    }
}

impl Ospf {
    /// Hello packets received (section 10.5).
    pub(crate) fn on_hello(
        &mut self,
        ifindex: IfIndex,
        src: Ipv4Addr,
        router_id: RouterId,
        packet: &Hello<'_>,
    ) {
        let hello = &packet.fields;
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let config = &interface.config;
        let point_to_point = config.network_type == NetworkType::PointToPoint;
        let limit = config.max_neighbors().max(1);
        let mismatch = if !point_to_point && hello.mask != config.mask() {
            Some(Mismatch::Mask { ours: config.mask(), theirs: hello.mask })
        } else if hello.hello_interval != config.hello_seconds()
            // Fast hellos carry 0, and some routers carry 1: what counts then is the dead interval.
            && !(config.hello_seconds() == 0 || hello.hello_interval == 0)
        {
            Some(Mismatch::HelloInterval {
                ours: config.hello_seconds(),
                theirs: hello.hello_interval,
            })
        } else if hello.dead_interval != config.dead_seconds() {
            Some(Mismatch::DeadInterval {
                ours: config.dead_seconds(),
                theirs: hello.dead_interval,
            })
        } else if !hello.options.contains(Options::E) {
            Some(Mismatch::AreaType)
        } else {
            None
        };
        if let Some(mismatch) = mismatch {
            self.mismatch(ifindex, src, mismatch);
            return;
        }
        self.agreed(ifindex, src);

        let key = if point_to_point { router_id.0 } else { src.into() };
        let id = NeighborId { ifindex, key };
        if point_to_point {
            // A point-to-point link has one neighbour; another router id on it is the same neighbour renamed.
            let others: Vec<NeighborId> =
                self.neighbors_on(ifindex).map(|n| n.id).filter(|&other| other != id).collect();
            for other in others {
                self.neighbor_event(other, NeighborEvent::KillNbr);
            }
        }
        if self.neighbors.get(&id).is_some_and(|neighbor| neighbor.router_id != router_id) {
            self.neighbor_event(id, NeighborEvent::KillNbr);
        }
        let now = self.now;
        let fresh = !self.neighbors.contains_key(&id);
        if fresh && self.neighbors_on(ifindex).count() >= limit {
            self.dropped(ifindex, src, "too-many-neighbors", || format!("there are {limit}"));
            return;
        }
        let neighbor = self.neighbors.entry(id).or_insert_with(|| Neighbor {
            id,
            router_id,
            address: src,
            priority: hello.priority,
            dr: hello.dr,
            bdr: hello.bdr,
            state: NeighborState::Down,
            since: now,
            resync_until: None,
            master: false,
            dd_sequence: 0,
            options: Options::NONE,
            dd_received: None,
            dd_sent: Vec::new(),
            announced_more: true,
            summary: VecDeque::new(),
            requests: BTreeMap::new(),
            unasked: VecDeque::new(),
            asked: BTreeSet::new(),
            retransmit: FloodQueue::default(),
        });
        let moved = std::mem::replace(&mut neighbor.address, src) != src;
        let old_priority = std::mem::replace(&mut neighbor.priority, hello.priority);
        // What it declares itself to be (section 9.2: BackupSeen, NeighborChange).
        let declared_before = (neighbor.dr == src, neighbor.bdr == src);
        (neighbor.dr, neighbor.bdr) = (hello.dr, hello.bdr);
        let declares = (hello.dr == src, hello.bdr == src);

        self.neighbor_event(id, NeighborEvent::HelloReceived);
        if fresh {
            // Not in the RFC, and allowed: answering at once saves a HelloInterval.
            self.send_hello(ifindex);
            self.rearm_hello(ifindex);
        }
        if packet.neighbors.iter().any(|heard| heard == self.config.router_id) {
            self.neighbor_event(id, NeighborEvent::TwoWayReceived);
        } else {
            self.neighbor_event(id, NeighborEvent::OneWayReceived);
        }
        if moved && let Some(neighbor) = self.neighbors.get(&id) {
            let neighbor = neighbor.first_hop();
            self.routing.resolve_again(neighbor);
        }
        // What follows concerns elections, and bidirectional neighbours only.
        let bidirectional =
            self.neighbors.get(&id).is_some_and(|n| n.state >= NeighborState::TwoWay);
        if point_to_point || !bidirectional {
            return;
        }
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let due = if interface.state == InterfaceState::Waiting {
            // BackupSeen (section 9.2).
            declares.1 || (declares.0 && hello.bdr.is_unspecified())
        } else {
            // NeighborChange (section 9.2).
            old_priority != hello.priority || declared_before != declares
        };
        if due {
            self.elect_designated_router(ifindex);
        }
    }

    /// Executes an event of the neighbour state machine (section 10.3).
    pub(crate) fn neighbor_event(&mut self, id: NeighborId, event: NeighborEvent) {
        let adjacent = self.should_be_adjacent(id);
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        let from = neighbor.state;
        let to = next_state(from, event, adjacent, neighbor.requests.is_empty());
        if event == NeighborEvent::HelloReceived
            && let Some(interface) = self.interfaces.get(&id.ifindex)
        {
            let dead = self.now + interface.config.dead;
            self.timers.set(Timer::Inactivity(id), Some(dead));
        }
        if from == to {
            return;
        }
        let was_adjacent = neighbor.is_adjacent();
        neighbor.state = to;
        neighbor.since = self.now;
        // Not in the RFC: a neighbour that starts the exchange over, which is what its restart looks like, hears us and
        // forwards packets. Taking the link away for the moment would cost a second instance of our router-LSA within
        // MinLSArrival to bring it back, and everybody's routes meanwhile.
        let resync = match to {
            NeighborState::ExStart if from == NeighborState::Full => Some(self.now + RESYNC),
            NeighborState::ExStart | NeighborState::Exchange | NeighborState::Loading => {
                neighbor.resync_until
            }
            NeighborState::Down
            | NeighborState::Init
            | NeighborState::TwoWay
            | NeighborState::Full => None,
        };
        neighbor.resync_until = resync;
        let adjacent_now = neighbor.is_adjacent();
        self.timers.set(Timer::Resync(id), resync);
        let (router_id, address) = (neighbor.router_id, neighbor.address);
        let first_hop = neighbor.first_hop();
        self.event(Event::NeighborState {
            ifindex: id.ifindex,
            router_id,
            address,
            from,
            to,
            cause: event,
        });
        if to <= NeighborState::ExStart {
            neighbor_lists_cleared(self, id);
        }
        match to {
            NeighborState::Down => {
                self.neighbors.remove(&id);
                self.timers.set(Timer::Inactivity(id), None);
            }
            NeighborState::ExStart => self.start_exchange(id),
            NeighborState::Exchange => self.list_database(id),
            NeighborState::Full => self.timers.set(Timer::Request(id), None),
            NeighborState::Init | NeighborState::TwoWay | NeighborState::Loading => {}
        }
        if (from >= NeighborState::TwoWay) != (to >= NeighborState::TwoWay) {
            self.routing.resolve_again(first_hop);
            self.on_neighbor_change(id.ifindex);
        }
        if was_adjacent != adjacent_now {
            self.on_adjacency_change(id.ifindex);
        }
        // An exchange that ended, or a list that was cleared, may have been all that kept MaxAge LSAs (section 14).
        self.unlisted.extend(&self.dying);
    }

    /// A neighbour that was to be Full again by now is not: its link goes.
    pub(crate) fn on_resync_timer(&mut self, id: NeighborId) {
        if let Some(neighbor) = self.neighbors.get_mut(&id) {
            neighbor.resync_until = None;
        }
        self.on_adjacency_change(id.ifindex);
    }

    /// NeighborChange (section 9.2): a neighbour became, or is no more, bidirectional.
    fn on_neighbor_change(&mut self, ifindex: IfIndex) {
        let waiting = self
            .interfaces
            .get(&ifindex)
            .is_some_and(|interface| interface.state == InterfaceState::Waiting);
        if !waiting {
            self.elect_designated_router(ifindex);
        }
    }

    /// An adjacency became Full, or is no more: our links changed (section 12.4).
    fn on_adjacency_change(&mut self, ifindex: IfIndex) {
        self.originate_router_lsa();
        self.originate_network_lsa(ifindex);
    }

    /// The neighbours on an interface.
    pub(crate) fn neighbors_on(&self, ifindex: IfIndex) -> impl Iterator<Item = &Neighbor> {
        let range = NeighborId { ifindex, key: 0 }..=NeighborId { ifindex, key: u32::MAX };
        self.neighbors.range(range).map(|(_, neighbor)| neighbor)
    }
}

/// The lists of an adjacency that starts over, or ended, are empty, and nothing is sent again.
fn neighbor_lists_cleared(ospf: &mut Ospf, id: NeighborId) {
    if let Some(neighbor) = ospf.neighbors.get_mut(&id) {
        neighbor.clear_lists();
        neighbor.dd_received = None;
    }
    for timer in [Timer::Description(id), Timer::Request(id), Timer::Retransmit(id)] {
        ospf.timers.set(timer, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NeighborEvent as E;
    use NeighborState as S;

    /// Section 10.3 row by row: every (state, event), with and without an adjacency wanted, loaded and not.
    #[test]
    fn the_state_machine_is_that_of_section_10_3() {
        for state in S::ALL {
            for event in E::ALL {
                for (adjacent, loaded) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let expected = match event {
                        E::KillNbr | E::InactivityTimer | E::LlDown => S::Down,
                        E::HelloReceived => state.max(S::Init),
                        E::TwoWayReceived if state == S::Init && adjacent => S::ExStart,
                        E::TwoWayReceived if state == S::Init => S::TwoWay,
                        E::NegotiationDone if state == S::ExStart => S::Exchange,
                        E::ExchangeDone if state == S::Exchange && loaded => S::Full,
                        E::ExchangeDone if state == S::Exchange => S::Loading,
                        E::LoadingDone if state == S::Loading => S::Full,
                        E::AdjOk if state == S::TwoWay && adjacent => S::ExStart,
                        E::AdjOk if state >= S::ExStart && !adjacent => S::TwoWay,
                        E::BadLsReq | E::SeqNumberMismatch if state >= S::Exchange => S::ExStart,
                        E::OneWayReceived if state >= S::TwoWay => S::Init,
                        E::TwoWayReceived
                        | E::NegotiationDone
                        | E::ExchangeDone
                        | E::BadLsReq
                        | E::LoadingDone
                        | E::AdjOk
                        | E::SeqNumberMismatch
                        | E::OneWayReceived => state,
                    };
                    assert_eq!(
                        next_state(state, event, adjacent, loaded),
                        expected,
                        "{state} on {event}, adjacent {adjacent}, loaded {loaded}"
                    );
                }
            }
        }
    }
}
