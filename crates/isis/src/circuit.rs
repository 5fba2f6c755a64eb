//! Circuits: Hellos sent (ISO 10589 sections 8.2.3 and 8.4.3).

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::{IfIndex, Mac};
use bugle_wire::isis::{
    ALL_ISS, ALL_L1_ISS, ALL_L2_ISS, BfdEnabled, CircuitType, Key, LAN_HELLO_HEADER,
    LanHelloFields, Level, MAX_LINK_METRIC, NLPID_IPV4, NLPID_IPV6, NodeId, P2P_HELLO_HEADER,
    P2pHelloFields, ThreeWay, ThreeWayNeighbor, ThreeWayState, TlvBuilder, Topology, TopologyId,
    emit_lan_hello, emit_p2p_hello,
};
use smallvec::SmallVec;

use crate::adjacency::{AdjacencyId, AdjacencyState, Cause};
use crate::config::{CircuitConfig, CircuitKind, Config, Ipv6Topology, Padding};
use crate::instance::{Isis, Life, Timer};
use crate::io::{Event, Mismatch};
use crate::level::PerLevel;
use crate::restart::Listening;
use crate::transmit::{Flooding, PROMISED};

/// A circuit that is up.
#[derive(Debug, Clone)]
pub struct Circuit {
    /// Its settings.
    pub config: CircuitConfig,
    /// The number of the circuit in LAN IDs, unique on this system among LANs.
    pub number: u8,
    /// The pseudonode of the LAN at each level; `None` where nobody is elected.
    pub lan_id: PerLevel<Option<NodeId>>,
    /// What was dropped here, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Neighbours that are configured differently, by address.
    pub mismatches: BTreeMap<Mac, Mismatch>,
    /// Since when elections are held (section 8.4.4).
    pub(crate) electing: PerLevel<bool>,
    /// On a LAN, after a restart: the neighbours are listened to before anything is said.
    pub(crate) listening: PerLevel<Option<Listening>>,
    pub(crate) flooding: PerLevel<Flooding>,
}

impl Circuit {
    /// The network protocols that are spoken here, and the topologies they belong to.
    pub(crate) fn protocols(&self, config: &Config) -> SmallVec<[(TopologyId, u8); 2]> {
        let ipv4 = (!self.config.ipv4.is_empty()).then_some((TopologyId::STANDARD, NLPID_IPV4));
        let ipv6 = self.config.link_local.map(|_| (config.ipv6_topology.id(), NLPID_IPV6));
        ipv4.into_iter().chain(ipv6).collect()
    }

    /// Whether the neighbours have been heard out, at these levels.
    pub(crate) fn is_in_step(&self, levels: CircuitType) -> bool {
        let mut used = levels.levels();
        used.all(|level| {
            let elected =
                self.config.kind != CircuitKind::Broadcast || self.lan_id[level].is_some();
            elected && self.flooding[level].is_in_step()
        })
    }

    /// Whether nothing waits to be sent here, or to be acknowledged.
    pub(crate) fn is_quiet(&self) -> bool {
        Level::ALL.into_iter().all(|level| self.flooding[level].pending() == 0)
    }

    /// How many LSPs of a level wait to be sent here, or to be acknowledged.
    #[must_use]
    pub fn pending_lsps(&self, level: Level) -> usize {
        self.flooding[level].pending()
    }
}

impl Ipv6Topology {
    pub(crate) const fn id(self) -> TopologyId {
        match self {
            Self::Standard => TopologyId::STANDARD,
            Self::Own => TopologyId::IPV6,
        }
    }
}

impl CircuitConfig {
    /// Whether an adjacency survives the change to `new`.
    fn keeps_adjacencies(&self, new: &Self) -> bool {
        self.kind == new.kind && self.levels == new.levels && self.mac == new.mac
    }

    /// The same within the limits of the protocol.
    fn bounded(mut self) -> Self {
        self.metric = self.metric.min(MAX_LINK_METRIC - 1);
        self.priority = self.priority.min(127);
        self.hello = self.hello.max(Duration::from_millis(10));
        self.hold_multiplier = self.hold_multiplier.max(2);
        self.csnp = self.csnp.max(Duration::from_millis(100));
        self.retransmit = self.retransmit.max(Duration::from_millis(100));
        self
    }

    /// The holding time of Hellos sent so often, in seconds.
    pub(crate) fn holding_time(&self, interval: Duration) -> u16 {
        let hold = interval.saturating_mul(self.hold_multiplier.into());
        let seconds = hold.as_secs() + u64::from(hold.subsec_nanos() > 0);
        u16::try_from(seconds).unwrap_or(u16::MAX).max(1)
    }
}

impl Isis {
    /// A circuit came up, changed or went down.
    pub(crate) fn on_circuit(&mut self, ifindex: IfIndex, config: Option<CircuitConfig>) {
        self.links_changed();
        let Some(config) = config.map(CircuitConfig::bounded) else {
            self.remove_circuit(ifindex);
            return;
        };
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            if circuit.config.keeps_adjacencies(&config) {
                circuit.config = config;
                self.sync_bfd_on(ifindex);
                self.resolve_all_again();
                self.hello_soon(ifindex);
                for level in self.levels_of(ifindex) {
                    self.elect(ifindex, level);
                }
                return;
            }
            for level in self.levels_of(ifindex) {
                if !config.levels.includes(level) {
                    self.leave_lan(ifindex, level);
                }
            }
            self.remove_circuit(ifindex);
        }
        let number = match config.kind {
            CircuitKind::Broadcast => self.free_number(),
            CircuitKind::PointToPoint | CircuitKind::Passive => ifindex.0.to_be_bytes()[3],
        };
        let (kind, hello) = (config.kind, config.hello);
        let hold = hello.saturating_mul(config.hold_multiplier.into());
        let circuit = Circuit {
            config,
            number,
            lan_id: PerLevel::default(),
            drops: BTreeMap::new(),
            mismatches: BTreeMap::new(),
            electing: PerLevel::default(),
            listening: PerLevel::default(),
            flooding: PerLevel::default(),
        };
        self.circuits.insert(ifindex, circuit);
        match kind {
            CircuitKind::PointToPoint => {
                let first = if self.config.listen_first { self.now + hold } else { self.now };
                self.timers.set(Timer::Hello(ifindex, None), Some(first));
            }
            CircuitKind::Broadcast => {
                for level in self.levels_of(ifindex) {
                    let first = self.listen(ifindex, level);
                    self.timers.set(Timer::Hello(ifindex, Some(level)), Some(first));
                    // Section 8.4.4 d).
                    self.timers.set(Timer::Election(ifindex, level), Some(self.now + 2 * hello));
                }
            }
            CircuitKind::Passive => {}
        }
    }

    fn remove_circuit(&mut self, ifindex: IfIndex) {
        let ids: Vec<AdjacencyId> = self.adjacencies_on(ifindex).map(|a| a.id).collect();
        for id in ids {
            self.drop_adjacency(id, Cause::CircuitDown);
        }
        for level in Level::ALL {
            self.stop_flooding(ifindex, level);
            self.resign(ifindex, level);
            for timer in [Timer::Election, Timer::Csnp, Timer::Described, Timer::Takeover] {
                self.timers.set(timer(ifindex, level), None);
            }
            self.timers.set(Timer::Hello(ifindex, Some(level)), None);
        }
        self.timers.set(Timer::Hello(ifindex, None), None);
        self.circuits.remove(&ifindex);
    }

    /// The lowest number that no LAN has; zero, with which a system is never designated, if there is none.
    fn free_number(&self) -> u8 {
        let taken = |number: &u8| {
            let mut lans =
                self.circuits.values().filter(|c| c.config.kind == CircuitKind::Broadcast);
            lans.any(|circuit| circuit.number == *number)
        };
        (1..=u8::MAX).find(|number| !taken(number)).unwrap_or(0)
    }

    /// The levels that a circuit is used for.
    pub(crate) fn levels_of(&self, ifindex: IfIndex) -> SmallVec<[Level; 2]> {
        let Some(circuit) = self.circuits.get(&ifindex) else { return SmallVec::new() };
        let used = |level: &Level| {
            self.config.levels.includes(*level) && circuit.config.levels.includes(*level)
        };
        Level::ALL.into_iter().filter(used).collect()
    }

    /// The same as Hellos say it.
    pub(crate) fn circuit_type(&self, ifindex: IfIndex) -> CircuitType {
        match self.levels_of(ifindex)[..] {
            [Level::L1] => CircuitType::L1,
            [Level::L2] => CircuitType::L2,
            [_, _, ..] => CircuitType::L1_L2,
            [] => CircuitType::from_octet(0),
        }
    }

    /// A Hello is due.
    pub(crate) fn on_hello_timer(&mut self, ifindex: IfIndex, level: Option<Level>) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let mut interval = circuit.config.hello;
        match level {
            Some(level) => {
                if let Some(until) = self.listens_until(ifindex, level) {
                    self.timers.set(Timer::Hello(ifindex, Some(level)), Some(until));
                    return;
                }
                if self.is_designated(ifindex, level) {
                    interval /= 3;
                }
                self.send_lan_hello(ifindex, level, interval);
            }
            None => self.send_p2p_hello(ifindex),
        }
        let next = self.now + self.rng.jitter(interval, 25);
        self.timers.set(Timer::Hello(ifindex, level), Some(next));
    }

    /// What a Hello says has changed: others are told now.
    pub(crate) fn hello_soon(&mut self, ifindex: IfIndex) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        match circuit.config.kind {
            CircuitKind::PointToPoint => {
                self.timers.set(Timer::Hello(ifindex, None), Some(self.now));
            }
            CircuitKind::Broadcast => {
                for level in self.levels_of(ifindex) {
                    self.timers.set(Timer::Hello(ifindex, Some(level)), Some(self.now));
                }
            }
            CircuitKind::Passive => {}
        }
    }

    /// Sends a Hello on a point-to-point circuit (section 8.2.3; RFC 5303 section 3.2).
    pub(crate) fn send_p2p_hello(&mut self, ifindex: IfIndex) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let config = &circuit.config;
        let adjacency = self.adjacencies_on(ifindex).next();
        let state = match adjacency {
            _ if self.life == Life::Stopped => ThreeWayState::Down,
            // RFC 6213 section 3.2.
            Some(adjacency) if self.is_blocked_by_bfd(adjacency) => ThreeWayState::Down,
            Some(adjacency) => match adjacency.state {
                AdjacencyState::Up => ThreeWayState::Up,
                AdjacencyState::Initializing => ThreeWayState::Initializing,
                AdjacencyState::Down => ThreeWayState::Down,
            },
            None => ThreeWayState::Down,
        };
        let neighbor = adjacency.filter(|_| self.life != Life::Stopped).map(|adjacency| {
            ThreeWayNeighbor { system: adjacency.system, circuit: adjacency.circuit }
        });
        let three_way = ThreeWay { state, circuit: Some(ifindex.0), neighbor };
        let key = config.auth.send.as_ref();
        let mut tlvs = self.hello_tlvs(circuit, P2P_HELLO_HEADER, key);
        tlvs.three_way(&three_way);
        tlvs.flooding_parameters(&PROMISED);
        self.pad(ifindex, config.padding, &mut tlvs);
        let fields = P2pHelloFields {
            circuit_type: self.circuit_type(ifindex),
            source: self.config.system_id,
            holding_time: config.holding_time(config.hello),
            circuit_id: circuit.number,
        };
        let bytes = emit_p2p_hello(&fields, tlvs.bytes(), key);
        self.send(ifindex, ALL_ISS, bytes);
    }

    /// Sends a Hello on a LAN (section 8.4.3).
    pub(crate) fn send_lan_hello(&mut self, ifindex: IfIndex, level: Level, interval: Duration) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        let config = &circuit.config;
        let key = config.auth.send.as_ref();
        let mut tlvs = self.hello_tlvs(circuit, LAN_HELLO_HEADER, key);
        if self.life != Life::Stopped {
            for adjacency in self.adjacencies_on(ifindex).filter(|a| a.id.level == Some(level)) {
                // RFC 6213 section 3.2.
                if !self.is_blocked_by_bfd(adjacency) {
                    tlvs.lan_neighbor(adjacency.source);
                }
            }
        }
        tlvs.flooding_parameters(&PROMISED);
        self.pad(ifindex, config.padding, &mut tlvs);
        let own = NodeId { system: self.config.system_id, pseudonode: circuit.number };
        let fields = LanHelloFields {
            circuit_type: self.circuit_type(ifindex),
            source: self.config.system_id,
            holding_time: config.holding_time(interval),
            priority: config.priority,
            lan_id: circuit.lan_id[level].unwrap_or(own),
        };
        let bytes = emit_lan_hello(level, &fields, tlvs.bytes(), key);
        self.send(ifindex, group(level), bytes);
    }

    /// What the Hellos of all circuits say.
    fn hello_tlvs(&self, circuit: &Circuit, header: usize, key: Option<&Key>) -> TlvBuilder {
        let config = &circuit.config;
        let header = header + key.map_or(0, Key::tlv_length);
        let mut tlvs = TlvBuilder::new(usize::from(config.max_pdu()).saturating_sub(header));
        self.config.areas().iter().for_each(|area| {
            tlvs.area_address(area);
        });
        let protocols = circuit.protocols(&self.config);
        for &(_, protocol) in &protocols {
            tlvs.protocol(protocol);
        }
        for &(address, _) in config.ipv4.iter().take(63) {
            tlvs.ipv4_interface_address(address);
        }
        // RFC 5308 section 3: only link-local ones.
        if let Some(address) = config.link_local {
            tlvs.ipv6_interface_address(address);
        }
        if self.config.ipv6_topology == Ipv6Topology::Own {
            for &(id, _) in &protocols {
                tlvs.topology(Topology { id, overload: false, attached: false });
            }
        }
        if config.bfd {
            for &(topology, nlpid) in &protocols {
                tlvs.bfd_enabled(BfdEnabled { topology, nlpid });
            }
        }
        tlvs
    }

    /// Fills a Hello up to the largest PDU, so that it does not arrive where LSPs would not (section 8.2.3 c).
    fn pad(&self, ifindex: IfIndex, padding: Padding, tlvs: &mut TlvBuilder) {
        let forming = || {
            let mut adjacencies = self.adjacencies_on(ifindex).peekable();
            adjacencies.peek().is_none() || adjacencies.any(|a| a.state != AdjacencyState::Up)
        };
        let pads = match padding {
            Padding::Always => true,
            Padding::Formation => forming(),
            Padding::Never => false,
        };
        if pads {
            tlvs.pad();
        }
    }

    /// Sends a PDU of a level.
    pub(crate) fn send_at(&mut self, ifindex: IfIndex, level: Level, bytes: Vec<u8>) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        // RFC 5309 section 4.1.
        let p2p = circuit.config.kind == CircuitKind::PointToPoint;
        self.send(ifindex, if p2p { ALL_ISS } else { group(level) }, bytes);
    }

    /// Counts something that was dropped, and tells of it now and then.
    pub(crate) fn dropped(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        reason: &'static str,
        detail: impl FnOnce() -> String,
    ) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let count = circuit.drops.entry(reason).or_insert(0);
        *count += 1;
        let count = *count;
        if count.is_power_of_two() {
            self.event(Event::Dropped { ifindex, source, reason, detail: detail(), count });
        }
    }

    /// Notes how a neighbour is configured differently; told when it is new.
    pub(crate) fn mismatch(&mut self, ifindex: IfIndex, source: Mac, mismatch: Mismatch) {
        /// Of how many senders a disagreement is remembered, so that forged ones cannot fill the memory.
        const REMEMBERED: usize = 64;
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        *circuit.drops.entry(mismatch.name()).or_insert(0) += 1;
        if circuit.mismatches.get(&source) == Some(&mismatch) {
            return;
        }
        if circuit.mismatches.len() >= REMEMBERED {
            circuit.mismatches.pop_first();
        }
        circuit.mismatches.insert(source, mismatch);
        self.event(Event::Mismatch { ifindex, source, mismatch });
    }

    /// A neighbour agrees: an earlier disagreement is over.
    pub(crate) fn agreed(&mut self, ifindex: IfIndex, source: Mac) {
        if let Some(circuit) = self.circuits.get_mut(&ifindex) {
            circuit.mismatches.remove(&source);
        }
    }
}

/// The group that a level's PDUs are sent to on a LAN.
fn group(level: Level) -> Mac {
    match level {
        Level::L1 => ALL_L1_ISS,
        Level::L2 => ALL_L2_ISS,
    }
}
