//! The instance: what comes in is dispatched, what is due is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_lsdb::{Backoff, BackoffState, Identity, TimerQueue};
use bugle_spf::{Coverage, SpfCounts, SpfRun};
use bugle_types::{IfIndex, Mac, Prefix, Rng, SystemId, Time};
use bugle_wire::isis::{Level, LspId, NodeId, Pdu, PduBody, PduType, TopologyId, verify};

use crate::adjacency::{Adjacency, AdjacencyId, AdjacencyState};
use crate::attributes::Attributes;
use crate::circuit::Circuit;
use crate::config::{CircuitKind, Config};
use crate::database::{LspDatabase, StoredLsp};
use crate::io::{Event, HostRoute, Input, Mismatch, Output, Rival, Route};
use crate::level::PerLevel;
use crate::liveness::Session;
use crate::originate::{Origins, host_attributes};
use crate::routing::{LevelRouting, Routing};

/// What an instance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A Hello is due; on a LAN there is one for each level.
    Hello(IfIndex, Option<Level>),
    /// A neighbour has been silent for its holding time.
    Holding(AdjacencyId),
    /// The time to listen before the first election on a LAN ends.
    Election(IfIndex, Level),
    /// LSPs and databases are acknowledged, or asked for.
    Psnp(IfIndex, Level),
    /// LSPs that waited for their turn go out.
    Flood(IfIndex, Level),
    /// LSPs that were not acknowledged are sent again.
    Retransmit(IfIndex, Level),
    /// The database is described to a LAN.
    Csnp(IfIndex, Level),
    /// A LAN's database is taken to be known.
    Described(IfIndex, Level),
    /// A new designated system of a LAN has had the time to take over.
    Takeover(IfIndex, Level),
    /// An LSP of ours that was held back goes out.
    Originate,
    /// LSPs of a previous run are taken back.
    Reclaim(Level),
    /// An LSP is refreshed, dies, or leaves the database.
    Age,
    /// The shortest-path tree is computed.
    Spf(Level),
    /// Loop-free alternates are looked for.
    Alternates,
    /// Routes that were held back go out (RFC 8333).
    Microloop,
    /// Nobody is waited for any longer before the end.
    Stop,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// PDUs received that passed every check.
    pub received: u64,
    /// PDUs sent.
    pub sent: u64,
    /// PDUs received that passed every check, by type.
    pub received_by_type: PduCounts,
    /// PDUs sent, by type.
    pub sent_by_type: PduCounts,
    /// LSPs put into the database.
    pub installed: u64,
    /// LSPs of ours generated, those refreshed included.
    pub originated: u64,
    /// LSPs sent again for want of an acknowledgement.
    pub retransmitted: u64,
    /// LSPs that did not fit a circuit.
    pub too_large: u64,
    /// LSPs whose lifetime was so short that it may have been corrupted (RFC 7987 section 3.2).
    pub short_lifetimes: u64,
    /// Runs of SPF.
    pub spf_runs: u64,
}

/// A number for each type of PDU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PduCounts([u64; PduType::ALL.len()]);

impl PduCounts {
    fn count(&mut self, pdu_type: PduType) {
        let place = PduType::ALL.iter().position(|known| *known == pdu_type);
        if let Some(count) = place.and_then(|place| self.0.get_mut(place)) {
            *count += 1;
        }
    }

    /// How many PDUs of this type there were.
    #[must_use]
    pub fn of(&self, pdu_type: PduType) -> u64 {
        let counts = PduType::ALL.iter().zip(self.0);
        counts.filter(|(known, _)| **known == pdu_type).map(|(_, count)| count).sum()
    }
}

/// An IS-IS instance (ISO 10589, RFC 1195). Sans-IO.
///
/// The contract: call [`handle`](Self::handle) with each input as it happens, then drain [`poll_output`](Self::poll_output), then
/// call `handle` with [`Input::Tick`] when [`deadline`](Self::deadline) comes. `now` never goes back. Any input is legal in any
/// order; bad PDUs are counted and dropped. Equal inputs and seeds give equal outputs.
#[derive(Debug)]
pub struct Isis {
    pub(crate) config: Config,
    pub(crate) now: Time,
    /// The time of the first input.
    pub(crate) started: Time,
    pub(crate) rng: Rng,
    pub(crate) circuits: BTreeMap<IfIndex, Circuit>,
    pub(crate) adjacencies: BTreeMap<AdjacencyId, Adjacency>,
    /// The pseudonodes before, of LANs whose designated system is changing.
    pub(crate) takeovers: BTreeMap<(IfIndex, Level), NodeId>,
    /// BFD sessions asked for, by circuit and neighbour's address.
    pub(crate) sessions: BTreeMap<(IfIndex, IpAddr), Session>,
    pub(crate) levels: PerLevel<LevelState>,
    /// Hosts to be advertised.
    pub(crate) hosts: BTreeMap<Prefix, HostRoute>,
    /// What they are all advertised with.
    pub(crate) host_attributes: Option<Arc<Attributes>>,
    /// The networks of circuits.
    pub(crate) connected: BTreeSet<Prefix>,
    /// What this system's own description is made of has changed.
    pub(crate) links_dirty: bool,
    /// LSPs of ours that are to be generated, and when.
    pub(crate) postponed: TimerQueue<(Level, LspId)>,
    /// LSPs whose content changed in this step, for the routing table.
    pub(crate) changed: PerLevel<BTreeSet<LspId>>,
    pub(crate) routing: Routing,
    pub(crate) timers: TimerQueue<Timer>,
    pub(crate) out: VecDeque<Output>,
    pub(crate) stats: Stats,
    pub(crate) life: Life,
}

/// What there is of each level.
#[derive(Debug)]
pub(crate) struct LevelState {
    pub(crate) db: LspDatabase,
    pub(crate) origins: Origins,
    pub(crate) routing: LevelRouting,
    pub(crate) backoff: Backoff,
    pub(crate) identity: Identity,
    /// When the pending run of SPF was asked for.
    pub(crate) spf_asked: Option<Time>,
}

/// How far [`Input::Shutdown`] has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// Our LSPs are being purged.
    Stopping,
    /// Every neighbour knows, or has had the time to.
    Stopped,
}

/// How long the end waits for acknowledgements. FRR takes two seconds for them; what was sent is what counts.
const STOP_WAIT: Duration = Duration::from_millis(300);

impl Isis {
    /// An instance without circuits.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let level = || LevelState {
            db: LspDatabase::default(),
            origins: Origins::default(),
            routing: LevelRouting::default(),
            backoff: Backoff::new(config.spf),
            identity: Identity::default(),
            spf_asked: None,
        };
        Self {
            levels: PerLevel { l1: level(), l2: level() },
            host_attributes: host_attributes(&config),
            config,
            now: Time::ZERO,
            started: Time::MAX,
            rng: Rng::new(seed),
            circuits: BTreeMap::new(),
            adjacencies: BTreeMap::new(),
            takeovers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            hosts: BTreeMap::new(),
            connected: BTreeSet::new(),
            links_dirty: true,
            postponed: TimerQueue::default(),
            changed: PerLevel::default(),
            routing: Routing::default(),
            timers: TimerQueue::default(),
            out: VecDeque::new(),
            stats: Stats::default(),
            life: Life::Running,
        }
    }

    /// Takes an input. Never fails: bad input is counted, and told as an [`Event`].
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = self.now.max(now);
        self.started = self.started.min(self.now);
        match input {
            Input::Tick => self.on_tick(),
            Input::Config(config) => self.on_config(*config),
            Input::Circuit(ifindex, config) if self.life == Life::Running => {
                self.on_circuit(ifindex, config.map(|config| *config));
            }
            Input::Circuit(..) => {}
            Input::Pdu { ifindex, source, bytes } => self.on_pdu(ifindex, source, bytes),
            Input::Host(prefix, route) => self.on_host(prefix, route),
            Input::Hosts(hosts) => {
                for (prefix, route) in hosts {
                    self.on_host(prefix, route);
                }
            }
            Input::Watch(prefix, on) => self.watch(prefix, on),
            Input::Bfd { ifindex, peer, state } => self.on_bfd(ifindex, peer, state),
            Input::Shutdown => self.on_shutdown(),
        }
        self.finish();
    }

    /// What the driver is to do next. Drain after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if output.is_none() {
            // A burst leaves no long queue behind.
            self.out.shrink_to(16);
        }
        output
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], and what for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        let age = |level: Level| Some((self.levels[level].db.next_deadline()?, Timer::Age));
        let spf = |level: Level| Some((self.levels[level].backoff.deadline()?, Timer::Spf(level)));
        let derived = [
            self.postponed.next().map(|(time, _)| (time, Timer::Originate)),
            age(Level::L1),
            age(Level::L2),
            spf(Level::L1),
            spf(Level::L2),
            self.routing.backup_due().map(|time| (time, Timer::Alternates)),
            self.held(Level::L1).map(|(time, _)| (time, Timer::Microloop)),
            self.held(Level::L2).map(|(time, _)| (time, Timer::Microloop)),
        ];
        derived.into_iter().flatten().chain(self.timers.next()).min()
    }

    /// After [`Input::Shutdown`]: whether every neighbour has been told.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.life == Life::Stopped
    }

    fn on_tick(&mut self) {
        // News first: what it replaces need not be sent again.
        self.originate();
        self.on_age_timer();
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Hello(ifindex, level) => self.on_hello_timer(ifindex, level),
                Timer::Holding(id) => self.on_holding_timer(id),
                Timer::Election(ifindex, level) => self.on_election_timer(ifindex, level),
                Timer::Psnp(ifindex, level) => self.on_psnp_timer(ifindex, level),
                Timer::Flood(ifindex, level) => self.on_flood_timer(ifindex, level),
                Timer::Retransmit(ifindex, level) => self.on_retransmit_timer(ifindex, level),
                Timer::Csnp(ifindex, level) => self.on_csnp_timer(ifindex, level),
                Timer::Described(ifindex, level) => self.end_of_description(ifindex, level),
                Timer::Takeover(ifindex, level) => self.end_takeover(ifindex, level),
                Timer::Reclaim(level) => self.on_reclaim_timer(level),
                Timer::Stop => self.say_goodbye(),
                // These are derived in `deadline` and never set.
                Timer::Originate
                | Timer::Age
                | Timer::Spf(_)
                | Timer::Alternates
                | Timer::Microloop => {}
            }
        }
        for level in Level::ALL {
            if self.levels[level].backoff.pop_due(self.now) {
                self.run_spf(level);
            }
        }
        if self.routing.backup_due().is_some_and(|due| due <= self.now) {
            self.on_backup_timer();
        }
        self.on_microloop_timer();
    }

    fn on_config(&mut self, config: Config) {
        let system_id = self.config.system_id;
        for level in Level::ALL {
            if self.config.levels.includes(level) && !config.levels.includes(level) {
                self.leave_level(level);
            }
        }
        let old = std::mem::replace(&mut self.config, Config { system_id, ..config });
        self.host_attributes = host_attributes(&self.config);
        let new = &self.config;
        let restarts = old.levels != new.levels;
        let moves = old.areas != new.areas;
        let keys = (&old.area_auth, &old.domain_auth) != (&new.area_auth, &new.domain_auth);
        let topologies = old.ipv6_topology != new.ipv6_topology;
        for level in Level::ALL {
            self.levels[level].backoff.configure(self.config.spf);
        }
        if restarts {
            self.restart_circuits();
        } else if moves {
            self.leave_areas();
        }
        if keys || old.lsp_lifetime != self.config.lsp_lifetime {
            self.say_everything_again();
        }
        if topologies {
            self.take_everything_apart();
        }
        self.links_changed();
        self.resolve_all_again();
        let circuits: Vec<IfIndex> = self.circuits.keys().copied().collect();
        for ifindex in circuits {
            self.hello_soon(ifindex);
        }
        let mut prefixes: BTreeSet<Prefix> = self.hosts.keys().copied().collect();
        if restarts {
            // What was brought from a level that is left is taken back.
            let levels = [&self.levels.l1, &self.levels.l2].into_iter();
            prefixes.extend(levels.flat_map(|level| level.origins.prefixes()));
            self.bring_capabilities();
        }
        for prefix in prefixes {
            self.advertise(prefix);
        }
    }

    /// A level is left: what this system says there is taken back while there is somebody to hear it, lest it be taken for a way for
    /// as long as its LSPs live.
    fn leave_level(&mut self, level: Level) {
        self.purge_level(level);
        let circuits: Vec<IfIndex> = self.circuits.keys().copied().collect();
        for ifindex in circuits {
            if self.levels_of(ifindex).contains(&level) {
                self.leave_lan(ifindex, level);
            }
        }
    }

    /// Levels changed: every adjacency is formed anew, and what is not said any more is taken back.
    fn restart_circuits(&mut self) {
        let circuits: Vec<(IfIndex, crate::config::CircuitConfig)> =
            self.circuits.iter().map(|(&index, circuit)| (index, circuit.config.clone())).collect();
        for (ifindex, config) in circuits {
            self.on_circuit(ifindex, None);
            self.on_circuit(ifindex, Some(config));
        }
        for level in Level::ALL {
            if !self.config.levels.includes(level) {
                self.levels[level].origins = Origins::default();
                let gone: Vec<LspId> =
                    self.levels[level].db.iter().map(|(_, lsp)| lsp.entry(self.now).id).collect();
                self.levels[level].db = LspDatabase::default();
                self.levels[level].routing.capabilities_changed = true;
                self.changed[level].extend(gone);
            }
        }
    }

    fn on_pdu(&mut self, ifindex: IfIndex, source: Mac, bytes: &[u8]) {
        let Some(circuit) = self.circuits.get(&ifindex) else { return };
        if circuit.config.kind == CircuitKind::Passive
            || source == circuit.config.mac
            || self.life == Life::Stopped
        {
            return;
        }
        let pdu = match Pdu::parse(bytes) {
            Ok(pdu) => pdu,
            Err(error) => {
                self.dropped(ifindex, source, error.kind.name(), || error.to_string());
                return;
            }
        };
        let level = match &pdu.body {
            PduBody::P2pHello(hello) => {
                self.count_received(&pdu);
                self.on_p2p_hello(ifindex, source, &pdu, hello);
                return;
            }
            PduBody::LanHello(hello) => {
                self.count_received(&pdu);
                self.on_lan_hello(ifindex, source, &pdu, hello);
                return;
            }
            PduBody::Lsp(lsp) => lsp.header().level,
            PduBody::Csnp(csnp) => csnp.level,
            PduBody::Psnp(psnp) => psnp.level,
        };
        if !self.levels_of(ifindex).contains(&level) {
            // Others on a LAN may well use it for the other level, too.
            return;
        }
        let Some(from) = self.adjacent_system(ifindex, source, level) else {
            let name = pdu.body.pdu_type().name();
            self.dropped(ifindex, source, "no-adjacency", || name.to_owned());
            return;
        };
        let accepted = &self.config.auth(level).accept;
        if !accepted.is_empty()
            && let Err(error) = verify(pdu.bytes, accepted)
        {
            self.dropped(ifindex, source, error.name(), || error.to_string());
            return;
        }
        if !has_our_areas(&pdu) {
            self.mismatch(ifindex, source, Mismatch::MaxAreas(pdu.max_areas));
            return;
        }
        self.count_received(&pdu);
        match &pdu.body {
            PduBody::Lsp(lsp) => self.on_lsp(ifindex, source, from, *lsp),
            PduBody::Csnp(csnp) => self.on_csnp(ifindex, csnp),
            PduBody::Psnp(psnp) => self.on_psnp(ifindex, psnp),
            PduBody::P2pHello(_) | PduBody::LanHello(_) => {}
        }
    }

    fn count_received(&mut self, pdu: &Pdu<'_>) {
        self.stats.received += 1;
        self.stats.received_by_type.count(pdu.body.pdu_type());
    }

    /// What every step ends with: what is new is said first, then routes are looked at.
    fn finish(&mut self) {
        self.originate();
        self.update_routes();
        if self.end_takeovers() {
            self.originate();
            self.update_routes();
        }
        if self.is_border() {
            // What routes brought from one level to the other.
            self.originate();
        }
        if self.life == Life::Stopping && self.circuits.values().all(Circuit::is_quiet) {
            self.say_goodbye();
        }
    }

    fn on_shutdown(&mut self) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::Stopping;
        self.timers.set(Timer::Stop, Some(self.now + STOP_WAIT));
        self.purge_everything();
    }

    /// The last Hello names nobody, so that neighbours need not wait for the holding time.
    fn say_goodbye(&mut self) {
        if self.life != Life::Stopping {
            return;
        }
        self.life = Life::Stopped;
        self.timers.set(Timer::Stop, None);
        let circuits: Vec<(IfIndex, CircuitKind)> =
            self.circuits.iter().map(|(&index, circuit)| (index, circuit.config.kind)).collect();
        for (ifindex, kind) in circuits {
            match kind {
                CircuitKind::PointToPoint => self.send_p2p_hello(ifindex),
                CircuitKind::Broadcast => {
                    for level in self.levels_of(ifindex) {
                        let interval = Duration::from_secs(1);
                        self.send_lan_hello(ifindex, level, interval);
                    }
                }
                CircuitKind::Passive => {}
            }
            self.on_circuit(ifindex, None);
        }
    }

    pub(crate) fn send(&mut self, ifindex: IfIndex, destination: Mac, bytes: Vec<u8>) {
        self.stats.sent += 1;
        // The type is in the fifth octet, with three bits that are reserved (section 9.5).
        let pdu_type = bytes.get(4).and_then(|octet| PduType::from_number(octet & 0x1f));
        if let Some(pdu_type) = pdu_type {
            self.stats.sent_by_type.count(pdu_type);
        }
        self.out.push_back(Output::Send { ifindex, destination, bytes });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }
}

/// Whether a PDU is of a system whose areas have as many addresses at most as ours, three, which is also called zero (RFC 3719
/// section 3.2).
pub(crate) fn has_our_areas(pdu: &Pdu<'_>) -> bool {
    matches!(pdu.max_areas, 0 | 3)
}

/// A borrowed view of an instance, for show commands, the API and metrics.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    isis: &'a Isis,
}

impl Isis {
    /// What there is to see.
    #[must_use]
    pub fn state(&self) -> State<'_> {
        State { isis: self }
    }
}

impl<'a> State<'a> {
    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        &self.isis.config
    }

    /// This system's identity.
    #[must_use]
    pub fn system_id(&self) -> SystemId {
        self.isis.config.system_id
    }

    /// Whether another system, which need not be a neighbour, uses our system ID: what this one says of itself had to be outdone
    /// again and again within the last minute.
    #[must_use]
    pub fn is_duplicated(&self) -> bool {
        let levels = &self.isis.levels;
        [&levels.l1, &levels.l2].iter().any(|level| level.identity.is_duplicate(self.isis.now))
    }

    /// The circuits that are up, by number.
    pub fn circuits(&self) -> impl Iterator<Item = (IfIndex, &'a Circuit)> + use<'a> {
        self.isis.circuits.iter().map(|(&ifindex, circuit)| (ifindex, circuit))
    }

    /// Whether this system is the designated one of a LAN.
    #[must_use]
    pub fn is_designated(&self, ifindex: IfIndex, level: Level) -> bool {
        self.isis.is_designated(ifindex, level)
    }

    /// The adjacencies, by circuit.
    pub fn adjacencies(&self) -> impl Iterator<Item = &'a Adjacency> + use<'a> {
        self.isis.adjacencies.values()
    }

    /// Whether there is an adjacency, and every neighbour has told what it has and been heard out.
    #[must_use]
    pub fn in_step(&self) -> bool {
        let mut up = self.adjacencies().filter(|a| a.state == AdjacencyState::Up).peekable();
        up.peek().is_some()
            && up.all(|adjacency| {
                let circuit = self.isis.circuits.get(&adjacency.id.ifindex);
                circuit.is_some_and(|circuit| circuit.is_in_step(adjacency.levels))
            })
    }

    /// Whether there is a LAN whose designated system has not told what its database holds.
    #[must_use]
    pub fn awaits_description(&self) -> bool {
        let mut circuits = self.isis.circuits.values();
        circuits
            .any(|circuit| Level::ALL.iter().any(|&level| circuit.flooding[level].is_undescribed()))
    }

    /// When an adjacency ends without a Hello.
    #[must_use]
    pub fn expires(&self, id: AdjacencyId) -> Option<Time> {
        self.isis.timers.deadline(Timer::Holding(id))
    }

    /// A level's database, in the order of LSP IDs.
    pub fn database(&self, level: Level) -> impl Iterator<Item = &'a StoredLsp> + use<'a> {
        self.isis.levels[level].db.iter().map(|(_, stored)| stored)
    }

    /// How many LSPs a level's database holds.
    #[must_use]
    pub fn database_len(&self, level: Level) -> usize {
        self.isis.levels[level].db.len()
    }

    /// The name that a system gives itself (RFC 5301).
    #[must_use]
    pub fn hostname(&self, system: SystemId) -> Option<&'a str> {
        if system == self.isis.config.system_id {
            return self.isis.config.hostname.as_deref();
        }
        let levels = &self.isis.levels;
        levels.l2.routing.hostname(system).or_else(|| levels.l1.routing.hostname(system))
    }

    /// The routing table, by prefix.
    pub fn routes(&self) -> impl Iterator<Item = (Prefix, &'a Route)> + use<'a> {
        self.isis.routing.routes()
    }

    /// The route to exactly this prefix.
    #[must_use]
    pub fn route(&self, prefix: Prefix) -> Option<&'a Route> {
        self.isis.routing.route(prefix)
    }

    /// How many routes there are.
    #[must_use]
    pub fn routes_len(&self) -> usize {
        self.isis.routing.len()
    }

    /// The hosts that are advertised.
    pub fn hosts(&self) -> impl Iterator<Item = (Prefix, HostRoute)> + use<'a> {
        self.isis.hosts.iter().map(|(&prefix, &route)| (prefix, route))
    }

    /// The best that reachable others advertise for a prefix, watched or not.
    #[must_use]
    pub fn rival(&self, prefix: Prefix) -> Option<Rival> {
        self.isis.rival(prefix)
    }

    /// The cost of the shortest path to a node, as of the last run of SPF.
    #[must_use]
    pub fn distance(&self, level: Level, topology: TopologyId, node: NodeId) -> Option<u32> {
        self.isis.levels[level].routing.distance(topology, node)
    }

    /// What the last run of SPF did in a level's standard topology.
    #[must_use]
    pub fn last_run(&self, level: Level) -> SpfRun {
        self.isis.levels[level].routing.last_run()
    }

    /// How many runs of SPF there were in a level's standard topology, by kind.
    #[must_use]
    pub fn spf_counts(&self, level: Level) -> SpfCounts {
        self.isis.levels[level].routing.spf_counts()
    }

    /// Systems and LANs in the graph of a level's standard topology.
    #[must_use]
    pub fn nodes(&self, level: Level) -> usize {
        self.isis.levels[level].routing.nodes()
    }

    /// How many routes of a level have somewhere to go at once when a link or a neighbour fails.
    #[must_use]
    pub fn coverage(&self, level: Level) -> Coverage {
        self.isis.routing.coverage(level)
    }

    /// When new routes of a level that are held back go out (RFC 8333), and how many they are.
    #[must_use]
    pub fn held(&self, level: Level) -> Option<(Time, usize)> {
        self.isis.held(level)
    }

    /// The state of a level's SPF back-off.
    #[must_use]
    pub fn backoff(&self, level: Level) -> BackoffState {
        self.isis.levels[level].backoff.state(self.isis.now)
    }

    /// When SPF runs next at a level, if it is going to.
    #[must_use]
    pub fn spf_due(&self, level: Level) -> Option<Time> {
        self.isis.levels[level].backoff.deadline()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.isis.stats
    }
}
