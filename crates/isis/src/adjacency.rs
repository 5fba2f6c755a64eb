//! Adjacencies: the state machines, Hellos received (ISO 10589 section 8; RFC 5303).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bugle_types::{IfIndex, Mac, SystemId, Time};
use bugle_wire::isis::{
    AreaAddress, BfdEnabled, CircuitType, FloodingParameters, LanHello, Level, NodeId, P2pHello,
    Pdu, PduBody, ThreeWay, ThreeWayState, TlvBody, TlvCode, Tlvs, TopologyId, verify,
};

use crate::config::{CircuitConfig, CircuitKind};
use crate::instance::{Isis, Timer, has_our_areas};
use crate::io::{Event, Mismatch};

/// Names an adjacency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdjacencyId {
    /// The circuit.
    pub ifindex: IfIndex,
    /// On a LAN the level: there are two adjacencies with a system of both. On a point-to-point circuit none.
    pub level: Option<Level>,
    /// On a LAN the neighbour's address on it. On a point-to-point circuit all zeros: there is one neighbour.
    pub snpa: Mac,
}

/// The states of an adjacency (ISO 10589 section 8; RFC 5303 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdjacencyState {
    /// There is none, or not any more.
    Down,
    /// The neighbour is heard; whether it hears this system is not known.
    Initializing,
    /// Both hear each other.
    Up,
}

impl AdjacencyState {
    /// Every state there is.
    pub const ALL: [Self; 3] = [Self::Down, Self::Initializing, Self::Up];
}

impl fmt::Display for AdjacencyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Down => "Down",
            Self::Initializing => "Initializing",
            Self::Up => "Up",
        })
    }
}

/// Why an adjacency changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A Hello was received, by which the neighbour hears this system, or begins to.
    Hello,
    /// The neighbour does not hear this system any more, or another one in its place.
    OneWay,
    /// The neighbour fell silent for its holding time.
    HoldingTimeExpired,
    /// BFD says that the path does not carry packets.
    BfdDown,
    /// The path carries packets, says BFD, for which the adjacency waited (RFC 6213).
    BfdUp,
    /// The neighbour is configured otherwise than before.
    Reconfigured,
    /// Another system is in the neighbour's place.
    Replaced,
    /// The circuit went down, or its settings changed.
    CircuitDown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hello => "hello",
            Self::OneWay => "one-way",
            Self::HoldingTimeExpired => "holding-time-expired",
            Self::BfdDown => "bfd-down",
            Self::BfdUp => "bfd-up",
            Self::Reconfigured => "reconfigured",
            Self::Replaced => "replaced",
            Self::CircuitDown => "circuit-down",
        })
    }
}

/// A neighbour on a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjacency {
    /// Its name.
    pub id: AdjacencyId,
    /// The neighbour.
    pub system: SystemId,
    /// Its address on the link.
    pub source: Mac,
    /// The state.
    pub state: AdjacencyState,
    /// When it got into that state.
    pub since: Time,
    /// The levels the adjacency is used for.
    pub levels: CircuitType,
    /// Seconds of silence after which the neighbour is given up.
    pub holding_time: u16,
    /// The neighbour's number for a point-to-point circuit, where it says it (RFC 5303).
    pub circuit: Option<u32>,
    /// The neighbour's rank in the election on a LAN.
    pub priority: u8,
    /// The LAN's pseudonode as the neighbour sees it.
    pub lan_id: NodeId,
    /// The neighbour's areas.
    pub areas: Vec<AreaAddress>,
    /// Its IPv4 addresses on the circuit.
    pub ipv4: Vec<Ipv4Addr>,
    /// Its IPv6 link-local addresses on the circuit.
    pub ipv6: Vec<Ipv6Addr>,
    /// The network protocols it speaks, by their identifiers.
    pub protocols: Vec<u8>,
    /// The topologies it takes part in.
    pub topologies: Vec<TopologyId>,
    /// What it runs BFD for (RFC 6213).
    pub(crate) bfd_enabled: Vec<BfdEnabled>,
    /// The addresses that BFD has lost since the adjacency is there.
    pub(crate) bfd_lost: Vec<IpAddr>,
    /// It ends unless BFD comes up (RFC 6213 section 4).
    waits_for_bfd: bool,
}

/// What a Hello says beyond its fixed fields.
struct HelloBody {
    areas: Vec<AreaAddress>,
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
    protocols: Vec<u8>,
    topologies: Vec<TopologyId>,
    bfd_enabled: Vec<BfdEnabled>,
    three_way: Option<ThreeWay>,
    /// The stations heard on a LAN.
    stations: Vec<Mac>,
    promised: FloodingParameters,
    padded: bool,
}

impl HelloBody {
    fn of(tlvs: Tlvs<'_>) -> Self {
        let mut body = Self {
            areas: Vec::new(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            protocols: Vec::new(),
            topologies: Vec::new(),
            bfd_enabled: Vec::new(),
            three_way: None,
            stations: Vec::new(),
            promised: FloodingParameters::default(),
            padded: false,
        };
        for tlv in tlvs {
            if tlv.code() == TlvCode::PADDING {
                body.padded = true;
                continue;
            }
            let Ok(tlv) = tlv.body() else { continue };
            if let TlvBody::AreaAddresses(areas) = tlv {
                body.areas.extend(areas.iter());
            } else if let TlvBody::Ipv4InterfaceAddresses(addresses) = tlv {
                body.ipv4.extend(addresses);
            } else if let TlvBody::Ipv6InterfaceAddresses(addresses) = tlv {
                body.ipv6.extend(addresses.into_iter().filter(Ipv6Addr::is_unicast_link_local));
            } else if let TlvBody::ProtocolsSupported(protocols) = tlv {
                body.protocols.extend(protocols);
            } else if let TlvBody::MultiTopology(topologies) = tlv {
                body.topologies.extend(topologies.into_iter().map(|topology| topology.id));
            } else if let TlvBody::BfdEnabled(enabled) = tlv {
                body.bfd_enabled.extend(enabled);
            } else if let TlvBody::ThreeWay(three_way) = tlv {
                body.three_way.get_or_insert(three_way);
            } else if let TlvBody::LanNeighbors(stations) = tlv {
                body.stations.extend(stations);
            } else if let TlvBody::FloodingParameters(promised) = tlv {
                body.promised = promised;
            }
        }
        // RFC 5120 section 2: who names none takes part in the standard one.
        if body.topologies.is_empty() {
            body.topologies.push(TopologyId::STANDARD);
        }
        body
    }
}

/// What a Hello does to the three-way state (RFC 5303 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The neighbour restarted: the adjacency is deleted.
    Down,
    /// The neighbour is heard.
    Initialize,
    /// Both hear each other.
    Up,
    /// They still do.
    Accept,
}

/// The table of RFC 5303 section 3.2.
fn three_way(state: AdjacencyState, received: ThreeWayState) -> Action {
    match (state, received) {
        (AdjacencyState::Down, ThreeWayState::Up) => Action::Down,
        (AdjacencyState::Down, ThreeWayState::Initializing)
        | (AdjacencyState::Initializing, ThreeWayState::Initializing | ThreeWayState::Up) => {
            Action::Up
        }
        (AdjacencyState::Up, ThreeWayState::Initializing | ThreeWayState::Up) => Action::Accept,
        (_, ThreeWayState::Down | ThreeWayState::Unknown(_)) => Action::Initialize,
    }
}

impl Isis {
    /// A Hello was received on a point-to-point circuit (section 8.2.4; RFC 5303 section 3.2).
    pub(crate) fn on_p2p_hello(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        pdu: &Pdu<'_>,
        hello: &P2pHello<'_>,
    ) {
        let fields = hello.fields;
        let body = HelloBody::of(hello.tlvs);
        if !self.accepts_hello(ifindex, source, pdu, fields.source, fields.circuit_type) {
            return;
        }
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let listen = self.now < circuit_quiet_until(&circuit.config, self.started);
        let Some(levels) = self.common_levels(ifindex, source, fields.circuit_type, &body) else {
            let gone: Option<AdjacencyId> = self
                .adjacencies_on(ifindex)
                .find(|adjacency| adjacency.system == fields.source)
                .map(|adjacency| adjacency.id);
            if let Some(id) = gone {
                self.drop_adjacency(id, Cause::Reconfigured);
            }
            return;
        };
        // RFC 5120 section 2.1.
        let ours = self.config.ipv6_topology.id();
        let common = |topology: &TopologyId| topology.is_standard() || *topology == ours;
        if !body.topologies.iter().any(common) {
            self.mismatch(ifindex, source, Mismatch::Topology);
            return;
        }
        if let Some(three_way) = body.three_way {
            if let ThreeWayState::Unknown(state) = three_way.state {
                self.dropped(ifindex, source, "three-way-state", || state.to_string());
                return;
            }
            let other = three_way.neighbor.is_some_and(|neighbor| {
                neighbor.system != self.config.system_id
                    || neighbor.circuit.is_some_and(|circuit| circuit != ifindex.0)
            });
            if other {
                self.dropped(ifindex, source, "three-way-other-neighbor", String::new);
                return;
            }
        }
        let id = AdjacencyId { ifindex, level: None, snpa: Mac::default() };
        if let Some(adjacency) = self.adjacencies.get(&id) {
            if adjacency.system != fields.source {
                self.drop_adjacency(id, Cause::Replaced);
            } else if adjacency.levels.includes(Level::L2) && levels.includes(Level::L2) {
                self.set_levels(id, levels);
            } else if adjacency.levels != levels {
                self.drop_adjacency(id, Cause::Reconfigured);
            }
        }
        let state = self.adjacencies.get(&id).map_or(AdjacencyState::Down, |a| a.state);
        let action = match body.three_way {
            // The neighbour knows of no three-way handshake: the link is taken to work in both directions.
            None if state == AdjacencyState::Up => Action::Accept,
            None => Action::Up,
            // This system restarted, and the neighbour has not noticed: it need not.
            Some(received)
                if self.config.listen_first
                    && listen
                    && state == AdjacencyState::Down
                    && received.state == ThreeWayState::Up
                    && received.neighbor.is_some() =>
            {
                Action::Up
            }
            Some(received) => three_way(state, received.state),
        };
        if action == Action::Down {
            // Nothing to delete: there is no adjacency in this state. The next Hello tells the neighbour.
            self.hello_soon(ifindex);
            return;
        }
        self.note_mtu(ifindex, source, pdu.bytes.len(), body.padded, action == Action::Initialize);
        let circuit_number = body.three_way.and_then(|three_way| three_way.circuit);
        let promised = body.promised;
        self.update_adjacency(
            id,
            source,
            fields.source,
            levels,
            fields.holding_time,
            |adjacency| {
                adjacency.circuit = circuit_number;
                adjacency.learn(body)
            },
        );
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            for level in Level::ALL {
                circuit.flooding[level].set_promised(promised);
            }
        }
        match action {
            Action::Up | Action::Accept => self.raise(id, Cause::Hello),
            Action::Initialize | Action::Down => {
                self.set_state(
                    id,
                    AdjacencyState::Initializing,
                    if state == AdjacencyState::Up { Cause::OneWay } else { Cause::Hello },
                );
            }
        }
        // The neighbour learns at once that it is heard, once: while BFD keeps both from coming up, neither hears anything new.
        if action == Action::Initialize && state != AdjacencyState::Initializing {
            self.hello_soon(ifindex);
        }
    }

    /// A Hello was received on a LAN (section 8.4.1).
    pub(crate) fn on_lan_hello(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        pdu: &Pdu<'_>,
        hello: &LanHello<'_>,
    ) {
        let (level, fields) = (hello.level, hello.fields);
        let mut body = HelloBody::of(hello.tlvs);
        if !self.accepts_hello(ifindex, source, pdu, fields.source, fields.circuit_type) {
            return;
        }
        if !self.levels_of(ifindex).contains(&level) {
            // Others on the LAN may well use it for the other level, too.
            return;
        }
        let id = AdjacencyId { ifindex, level: Some(level), snpa: source };
        // Section 8.4.1.2.
        if level == Level::L1 && !self.shares_area(&body.areas) {
            let theirs = body.areas.first().copied();
            self.mismatch(ifindex, source, Mismatch::Area { theirs });
            self.drop_adjacency(id, Cause::Reconfigured);
            return;
        }
        if self.adjacencies.get(&id).is_some_and(|a| a.system != fields.source) {
            self.drop_adjacency(id, Cause::Replaced);
        }
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let stations = std::mem::take(&mut body.stations);
        let heard = stations.contains(&circuit.config.mac);
        self.note_mtu(ifindex, source, pdu.bytes.len(), body.padded, !heard);
        let levels = match level {
            Level::L1 => CircuitType::L1,
            Level::L2 => CircuitType::L2,
        };
        let is_new = !self.adjacencies.contains_key(&id);
        // Section 8.4.2: more have no place.
        if is_new && self.adjacencies_on(ifindex).count() >= MOST_NEIGHBORS {
            self.dropped(ifindex, source, "too-many-neighbors", || fields.source.to_string());
            return;
        }
        let elects_again = self
            .adjacencies
            .get(&id)
            .is_none_or(|a| (a.priority, a.lan_id) != (fields.priority, fields.lan_id));
        self.update_adjacency(
            id,
            source,
            fields.source,
            levels,
            fields.holding_time,
            |adjacency| {
                adjacency.priority = fields.priority;
                adjacency.lan_id = fields.lan_id;
                adjacency.learn(body)
            },
        );
        if heard {
            self.raise(id, Cause::Hello);
        } else {
            let up = self.adjacencies.get(&id).is_some_and(|a| a.state == AdjacencyState::Up);
            let cause = if up { Cause::OneWay } else { Cause::Hello };
            self.set_state(id, AdjacencyState::Initializing, cause);
        }
        if is_new {
            self.timers.set(Timer::Hello(ifindex, Some(level)), Some(self.now));
        }
        self.listened_to(ifindex, level, fields.lan_id, &stations);
        if elects_again {
            self.elect(ifindex, level);
        }
    }

    /// The tests that every Hello passes first (sections 8.2.4.1 and 8.4.1.1).
    fn accepts_hello(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        pdu: &Pdu<'_>,
        system: SystemId,
        circuit_type: CircuitType,
    ) -> bool {
        let Some(circuit) = self.circuits.get(&ifindex) else { return false };
        let p2p = matches!(pdu.body, PduBody::P2pHello(_));
        if p2p != (circuit.config.kind == CircuitKind::PointToPoint) {
            self.mismatch(ifindex, source, Mismatch::CircuitKind);
            return false;
        }
        let accepted = &circuit.config.auth.accept;
        if !accepted.is_empty()
            && let Err(error) = verify(pdu.bytes, accepted)
        {
            self.mismatch(ifindex, source, Mismatch::Authentication(error.name()));
            return false;
        }
        if !has_our_areas(pdu) {
            self.mismatch(ifindex, source, Mismatch::MaxAreas(pdu.max_areas));
            return false;
        }
        // Sections 9.5 to 9.7: the entire PDU shall be ignored.
        if circuit_type.octet() == 0 {
            self.dropped(ifindex, source, "reserved-circuit-type", || system.to_string());
            return false;
        }
        if system == self.config.system_id {
            self.mismatch(ifindex, source, Mismatch::DuplicateSystemId(system));
            return false;
        }
        true
    }

    /// The levels that an adjacency is used for (section 8.2.4.2); `None`, and told, if there are none.
    fn common_levels(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        theirs: CircuitType,
        body: &HelloBody,
    ) -> Option<CircuitType> {
        let ours = self.circuit_type(ifindex);
        let l1 = ours.includes(Level::L1) && theirs.includes(Level::L1);
        let l2 = ours.includes(Level::L2) && theirs.includes(Level::L2);
        let levels = match (l1 && self.shares_area(&body.areas), l2) {
            (true, true) => Some(CircuitType::L1_L2),
            (true, false) => Some(CircuitType::L1),
            (false, true) => Some(CircuitType::L2),
            (false, false) => None,
        };
        if levels.is_none() {
            let mismatch = if l1 {
                Mismatch::Area { theirs: body.areas.first().copied() }
            } else {
                Mismatch::Level { ours, theirs }
            };
            self.mismatch(ifindex, source, mismatch);
        }
        levels
    }

    /// Areas changed: what joins systems of one area joins those no more that have none in common. The rest stays: adjacencies of
    /// both levels are of level 2 only from then on (section 8.2.4.2).
    pub(crate) fn leave_areas(&mut self) {
        let apart = self.adjacencies.values().filter(|adjacency| {
            adjacency.levels.includes(Level::L1) && !self.shares_area(&adjacency.areas)
        });
        let apart: Vec<(AdjacencyId, CircuitType)> =
            apart.map(|adjacency| (adjacency.id, adjacency.levels)).collect();
        for (id, levels) in apart {
            if levels.includes(Level::L2) {
                self.set_levels(id, CircuitType::L2);
            } else {
                self.drop_adjacency(id, Cause::Reconfigured);
            }
        }
    }

    /// An adjacency on a point-to-point circuit goes on at one level, and ends or begins at the other.
    fn set_levels(&mut self, id: AdjacencyId, levels: CircuitType) {
        let Some(adjacency) = self.adjacencies.get_mut(&id) else { return };
        let before = std::mem::replace(&mut adjacency.levels, levels);
        if before == levels || adjacency.state != AdjacencyState::Up {
            return;
        }
        let (ifindex, system, source) = (id.ifindex, adjacency.system, adjacency.source);
        let (from, to, cause) = (AdjacencyState::Up, AdjacencyState::Up, Cause::Reconfigured);
        self.event(Event::Adjacency { ifindex, system, source, levels, from, to, cause });
        self.links_changed();
        self.resolve_again(id);
        // The neighbour is to know of what is common before it gets anything for it.
        self.send_p2p_hello(ifindex);
        for level in Level::ALL {
            match (before.includes(level), levels.includes(level)) {
                (true, false) => self.stop_flooding(ifindex, level),
                (false, true) => {
                    self.release_origins(level);
                    self.synchronize(ifindex, level);
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// A LAN is not used at a level any more. Neighbours, whom no further Hello of the level would tell, need not wait for the
    /// holding time.
    pub(crate) fn leave_lan(&mut self, ifindex: IfIndex, level: Level) {
        let Some(hello) = self.circuits.get(&ifindex).map(|circuit| circuit.config.hello) else {
            return;
        };
        let on_level = self.adjacencies_on(ifindex).filter(|a| a.id.level == Some(level));
        let gone: Vec<AdjacencyId> = on_level.map(|adjacency| adjacency.id).collect();
        for &id in &gone {
            self.drop_adjacency(id, Cause::CircuitDown);
        }
        if !gone.is_empty() {
            self.send_lan_hello(ifindex, level, hello);
        }
    }

    fn shares_area(&self, areas: &[AreaAddress]) -> bool {
        areas.iter().any(|area| self.config.areas().contains(area))
    }

    /// A padded Hello tells how large PDUs the neighbour sends: if others than this system does, one of them will not arrive.
    fn note_mtu(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        length: usize,
        padded: bool,
        forming: bool,
    ) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let ours = circuit.config.max_pdu();
        let theirs = u16::try_from(length).unwrap_or(u16::MAX);
        // A byte may be left that no padding fills.
        if padded && forming && (theirs.saturating_add(1) < ours || theirs > ours) {
            self.mismatch(ifindex, source, Mismatch::Mtu { ours, theirs });
        } else if !forming || padded {
            self.agreed(ifindex, source);
        }
    }

    /// Takes what a Hello says into an adjacency, which is made if there is none.
    fn update_adjacency(
        &mut self,
        id: AdjacencyId,
        source: Mac,
        system: SystemId,
        levels: CircuitType,
        holding_time: u16,
        learn: impl FnOnce(&mut Adjacency) -> bool,
    ) {
        let now = self.now;
        let adjacency = self.adjacencies.entry(id).or_insert_with(|| Adjacency {
            id,
            system,
            source,
            state: AdjacencyState::Down,
            since: now,
            levels,
            holding_time,
            circuit: None,
            priority: 0,
            lan_id: NodeId::default(),
            areas: Vec::new(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            protocols: Vec::new(),
            topologies: Vec::new(),
            bfd_enabled: Vec::new(),
            bfd_lost: Vec::new(),
            waits_for_bfd: false,
        });
        adjacency.source = source;
        adjacency.holding_time = holding_time;
        let changed = learn(adjacency);
        if changed {
            self.links_changed();
            self.sync_bfd(id);
            self.resolve_again(id);
            self.neighbor_addresses_changed();
        }
        let holding = Duration::from_secs(holding_time.into());
        let waits = self.adjacencies.get(&id).is_some_and(|a| self.is_waiting_for_bfd(a));
        let Some(adjacency) = self.adjacencies.get_mut(&id) else { return };
        let waited = std::mem::replace(&mut adjacency.waits_for_bfd, waits);
        let expires = match (waited, waits) {
            (_, false) => now + holding,
            (false, true) => now + holding.max(BFD_COMES_UP),
            (true, true) => return,
        };
        self.timers.set(Timer::Holding(id), Some(expires));
    }

    /// Both systems hear each other: the adjacency comes up, unless BFD has to first.
    pub(crate) fn raise(&mut self, id: AdjacencyId, cause: Cause) {
        let Some(adjacency) = self.adjacencies.get(&id) else { return };
        if adjacency.state == AdjacencyState::Up {
            return;
        }
        let blocked = self.is_blocked_by_bfd(adjacency);
        let state = if blocked { AdjacencyState::Initializing } else { AdjacencyState::Up };
        self.set_state(id, state, cause);
    }

    /// Nothing that keeps an adjacency up was heard of a neighbour for its holding time.
    pub(crate) fn on_holding_timer(&mut self, id: AdjacencyId) {
        let waits = self.adjacencies.get(&id).is_some_and(|a| self.is_waiting_for_bfd(a));
        self.drop_adjacency(id, if waits { Cause::BfdDown } else { Cause::HoldingTimeExpired });
    }

    /// An adjacency is over.
    pub(crate) fn drop_adjacency(&mut self, id: AdjacencyId, cause: Cause) {
        if !self.adjacencies.contains_key(&id) {
            return;
        }
        self.timers.set(Timer::Holding(id), None);
        self.set_state(id, AdjacencyState::Down, cause);
        self.adjacencies.remove(&id);
        self.hello_soon(id.ifindex);
    }

    /// Changes an adjacency's state, and does what follows from that.
    pub(crate) fn set_state(&mut self, id: AdjacencyId, to: AdjacencyState, cause: Cause) {
        let Some(adjacency) = self.adjacencies.get_mut(&id) else { return };
        let from = std::mem::replace(&mut adjacency.state, to);
        if from == to {
            return;
        }
        adjacency.since = self.now;
        let (system, source, levels) = (adjacency.system, adjacency.source, adjacency.levels);
        let ifindex = id.ifindex;
        self.event(Event::Adjacency { ifindex, system, source, levels, from, to, cause });
        self.sync_bfd(id);
        if from != AdjacencyState::Up && to != AdjacencyState::Up {
            return;
        }
        self.links_changed();
        self.neighbor_addresses_changed();
        self.resolve_again(id);
        if to == AdjacencyState::Up {
            self.agreed(ifindex, source);
        }
        let used = levels.levels();
        let Some(level) = id.level else {
            if to == AdjacencyState::Up {
                // The neighbour is to know that the adjacency is up before it gets anything over it.
                self.send_p2p_hello(ifindex);
                used.for_each(|level| {
                    self.release_origins(level);
                    self.synchronize(ifindex, level);
                });
            } else {
                used.for_each(|level| self.stop_flooding(ifindex, level));
            }
            return;
        };
        if to == AdjacencyState::Up {
            self.await_description(ifindex, level);
            self.release_origins(level);
        } else if !self.is_flooding(ifindex, level) {
            self.stop_flooding(ifindex, level);
        }
        self.elect(ifindex, level);
        if to == AdjacencyState::Up {
            self.describe_soon(ifindex, level);
        }
    }

    /// The adjacencies on a circuit.
    pub(crate) fn adjacencies_on(&self, ifindex: IfIndex) -> impl Iterator<Item = &Adjacency> {
        let first = AdjacencyId { ifindex, level: None, snpa: Mac::default() };
        self.adjacencies
            .range(first..)
            .take_while(move |(id, _)| id.ifindex == ifindex)
            .map(|(_, adjacency)| adjacency)
    }

    /// The system that a PDU other than a Hello comes from, if there is an adjacency with it at the level.
    pub(crate) fn adjacent_system(
        &self,
        ifindex: IfIndex,
        source: Mac,
        level: Level,
    ) -> Option<SystemId> {
        let mut adjacencies = self.adjacencies_on(ifindex).filter(|adjacency| {
            adjacency.state == AdjacencyState::Up && adjacency.levels.includes(level)
        });
        adjacencies
            .find(|adjacency| adjacency.id.level.is_none() || adjacency.source == source)
            .map(|adjacency| adjacency.system)
    }
}

impl Adjacency {
    /// Takes over what a Hello says; whether any of it is new.
    fn learn(&mut self, body: HelloBody) -> bool {
        let HelloBody { areas, ipv4, ipv6, protocols, topologies, bfd_enabled, .. } = body;
        let before = (&self.ipv4, &self.ipv6, &self.protocols, &self.topologies, &self.bfd_enabled);
        let changed = before != (&ipv4, &ipv6, &protocols, &topologies, &bfd_enabled);
        self.areas = areas;
        self.ipv4 = ipv4;
        self.ipv6 = ipv6;
        self.protocols = protocols;
        self.topologies = topologies;
        self.bfd_enabled = bfd_enabled;
        changed
    }
}

/// So many adjacencies a LAN has at most, lest forged Hellos fill the memory.
pub(crate) const MOST_NEIGHBORS: usize = 512;

/// How long sessions have to come up at least; until they are, they send one packet a second (RFC 5880 section 6.8.3).
const BFD_COMES_UP: Duration = Duration::from_secs(5);

/// Until when a neighbour may not have noticed that this system restarted.
fn circuit_quiet_until(config: &CircuitConfig, started: Time) -> Time {
    started + config.hello.saturating_mul(config.hold_multiplier.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_way_handshake_follows_the_table_of_rfc_5303() {
        use AdjacencyState::{Down, Initializing, Up};
        let received = [ThreeWayState::Down, ThreeWayState::Initializing, ThreeWayState::Up];
        let table = [
            (Down, [Action::Initialize, Action::Up, Action::Down]),
            (Initializing, [Action::Initialize, Action::Up, Action::Up]),
            (Up, [Action::Initialize, Action::Accept, Action::Accept]),
        ];
        for (state, actions) in table {
            assert_eq!(received.map(|received| three_way(state, received)), actions, "{state}");
        }
    }
}
