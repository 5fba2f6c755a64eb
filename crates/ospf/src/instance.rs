//! The instance: what comes in is dispatched, what is due is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use bugle_lsdb::{Backoff, Database, EntryId, Identity, TimerQueue};
use bugle_types::{IfIndex, Rng, RouterId, Time};
use bugle_wire::ospf::{ALL_D_ROUTERS, ALL_SPF_ROUTERS, Auth, Body, Header, LsaHeader, Packet};

use crate::config::{Config, NetworkType};
use crate::content::LsaPool;
use crate::database::{DbKey, StoredLsa, in_order};
use crate::interface::{Interface, InterfaceState};
use crate::io::{Event, Input, Mismatch, Output};
use crate::neighbor::{Neighbor, NeighborEvent, NeighborId};
use crate::originate::Origin;
use crate::routing::Routing;

/// What an instance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A Hello is due (RFC 2328 section 9.5).
    Hello(IfIndex),
    /// The wait for a designated router ends (section 9.3).
    Wait(IfIndex),
    /// Delayed acknowledgements go out (section 13.5).
    Ack(IfIndex),
    /// A neighbour has been silent for RouterDeadInterval (section 10.3).
    Inactivity(NeighborId),
    /// A neighbour that was Full has not become so again.
    Resync(NeighborId),
    /// A database description is repeated (section 10.8).
    Description(NeighborId),
    /// A link state request is repeated (section 10.9).
    Request(NeighborId),
    /// Unacknowledged LSAs are sent again (section 13.6).
    Retransmit(NeighborId),
    /// An LSA of ours that was held back goes out (section 12.4).
    Originate,
    /// An LSA is refreshed or reaches MaxAge (sections 12.4, 14).
    Age,
    /// The shortest-path tree is computed (section 16.1, RFC 8405).
    Spf,
    /// Loop-free alternates are looked for (RFC 5286).
    Alternates,
    /// Routes that were held back go out (RFC 8333).
    Microloop,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets received that passed every check.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// LSAs put into the database.
    pub installed: u64,
    /// LSAs sent again for want of an acknowledgement.
    pub retransmitted: u64,
    /// LSAs discarded because they came too fast (section 13 (5a)).
    pub arrivals_refused: u64,
    /// Runs of SPF.
    pub spf_runs: u64,
}

/// An OSPFv2 instance in one area (RFC 2328). Sans-IO.
///
/// The contract: call [`handle`](Self::handle) with each input as it happens, then drain [`poll_output`](Self::poll_output), then
/// call `handle` with [`Input::Tick`] when [`deadline`](Self::deadline) comes. `now` never goes back. Any input is legal in any
/// order; bad packets are counted and dropped. Equal inputs and seeds give equal outputs.
#[derive(Debug)]
pub struct Ospf {
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) interfaces: BTreeMap<IfIndex, Interface>,
    pub(crate) neighbors: BTreeMap<NeighborId, Neighbor>,
    pub(crate) db: Database<StoredLsa>,
    /// What LSAs say is shared with other instances.
    pub(crate) pool: Option<LsaPool>,
    /// The keys of those that are sought by a part of their key.
    pub(crate) sought: BTreeSet<DbKey>,
    /// LSAs sent in answer to an older instance, and until when they are not sent for that again (section 13 (8)).
    pub(crate) answers: TimerQueue<EntryId>,
    /// LSAs of ours, present or wanted.
    pub(crate) own: BTreeMap<DbKey, Origin>,
    /// LSAs of ours that wait for MinLSInterval.
    pub(crate) postponed: TimerQueue<DbKey>,
    /// The router-LSA waits for the first full adjacency.
    pub(crate) router_lsa_held: bool,
    /// Until then LSAs of a previous run are not flushed; `None` before the first full adjacency.
    pub(crate) reclaim_until: Option<Time>,
    pub(crate) identity: Identity,
    /// Entries at MaxAge.
    pub(crate) dying: BTreeSet<EntryId>,
    /// Those of them that may be on no retransmission list any more.
    pub(crate) unlisted: BTreeSet<EntryId>,
    /// LSAs of others that left at MaxAge a moment ago, and until when that is remembered.
    pub(crate) buried: BTreeMap<DbKey, LsaHeader>,
    pub(crate) buried_until: TimerQueue<DbKey>,
    /// Some interface has LSAs to flood.
    pub(crate) flooding: bool,
    /// LSAs whose content changed in this step, for the routing table.
    pub(crate) changed: Vec<DbKey>,
    /// Neighbours whose outstanding request was answered in this step.
    pub(crate) answered: BTreeSet<NeighborId>,
    pub(crate) routing: Routing,
    pub(crate) backoff: Backoff,
    /// When the pending run of SPF was asked for.
    pub(crate) spf_asked: Option<Time>,
    pub(crate) timers: TimerQueue<Timer>,
    pub(crate) out: VecDeque<Output>,
    pub(crate) stats: Stats,
    pub(crate) life: Life,
}

/// How far [`Input::Shutdown`] has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// Our LSAs are being flushed.
    Stopping,
    /// Every neighbour knows.
    Stopped,
}

impl Ospf {
    /// An instance without interfaces.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let backoff = Backoff::new(config.spf);
        Self {
            config,
            now: Time::ZERO,
            rng: Rng::new(seed),
            interfaces: BTreeMap::new(),
            neighbors: BTreeMap::new(),
            // Not the stream that the wire sees numbers of.
            db: Database::new(!seed),
            pool: None,
            sought: BTreeSet::new(),
            answers: TimerQueue::default(),
            own: BTreeMap::new(),
            postponed: TimerQueue::default(),
            router_lsa_held: true,
            reclaim_until: None,
            identity: Identity::default(),
            dying: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            buried: BTreeMap::new(),
            buried_until: TimerQueue::default(),
            flooding: false,
            changed: Vec::new(),
            answered: BTreeSet::new(),
            routing: Routing::default(),
            backoff,
            spf_asked: None,
            timers: TimerQueue::default(),
            out: VecDeque::new(),
            stats: Stats::default(),
            life: Life::Running,
        }
    }

    /// The same, which shares with other instances of the process what LSAs say.
    #[must_use]
    pub fn with_pool(self, pool: LsaPool) -> Self {
        Self { pool: Some(pool), ..self }
    }

    /// Takes an input. Never fails: bad input is counted, and told as an [`Event`].
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Tick => self.on_tick(),
            Input::Config(config) => self.on_config(config),
            Input::Interface(ifindex, config) if self.life == Life::Running => {
                self.on_interface(ifindex, config);
            }
            Input::Interface(..) => {}
            Input::Packet { ifindex, src, dst, bytes } => self.on_packet(ifindex, src, dst, bytes),
            Input::Unreachable { ifindex, address } => {
                let found = self.neighbors_on(ifindex).find(|n| n.address == address);
                if let Some(id) = found.map(|neighbor| neighbor.id) {
                    self.neighbor_event(id, NeighborEvent::LlDown);
                }
            }
            Input::Host(address, route) => self.on_host(address, route),
            Input::Hosts(hosts) => {
                for (address, route) in hosts {
                    self.on_host(address, route);
                }
            }
            Input::Watch(address, on) => self.routing.watch(address, on),
            Input::Shutdown => {
                if self.life == Life::Running {
                    self.life = Life::Stopping;
                }
                self.flush_everything();
            }
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
        let derived = [
            self.postponed.next().map(|(time, _)| (time, Timer::Originate)),
            self.db.next_deadline().map(|time| (time, Timer::Age)),
            self.backoff.deadline().map(|time| (time, Timer::Spf)),
            self.routing.backup_due().map(|time| (time, Timer::Alternates)),
            self.routing.held().map(|(time, _)| (time, Timer::Microloop)),
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
        self.on_originate_timer();
        self.on_age_timer();
        while let Some(timer) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Hello(ifindex) => {
                    self.send_hello(ifindex);
                    self.rearm_hello(ifindex);
                }
                Timer::Wait(ifindex) => self.elect_designated_router(ifindex),
                Timer::Ack(ifindex) => self.send_delayed_acks(ifindex),
                Timer::Inactivity(id) => self.neighbor_event(id, NeighborEvent::InactivityTimer),
                Timer::Resync(id) => self.on_resync_timer(id),
                Timer::Description(id) => self.on_description_timer(id),
                Timer::Request(id) => self.send_request(id),
                Timer::Retransmit(id) => self.on_retransmit_timer(id),
                // These are derived in `deadline` and never set.
                Timer::Originate
                | Timer::Age
                | Timer::Spf
                | Timer::Alternates
                | Timer::Microloop => {}
            }
        }
        if self.backoff.pop_due(self.now) {
            self.run_spf();
        }
        if self.routing.backup_due().is_some_and(|due| due <= self.now) {
            self.on_backup_timer();
        }
        if self.routing.held().is_some_and(|(due, _)| due <= self.now) {
            self.routing.release();
        }
    }

    fn on_config(&mut self, config: Config) {
        let identity = (self.config.router_id, self.config.area);
        self.config = config;
        (self.config.router_id, self.config.area) = identity;
        self.backoff.configure(self.config.spf);
        self.routing.resolve_all_again();
        self.originate_router_lsa();
    }

    /// The checks of section 8.2, then the packet's own.
    fn on_packet(&mut self, ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr, bytes: &[u8]) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let config = &interface.config;
        if interface.state == InterfaceState::Passive || src == config.address {
            return;
        }
        let elected = matches!(interface.state, InterfaceState::Dr | InterfaceState::Backup);
        if dst != config.address && dst != ALL_SPF_ROUTERS && !(dst == ALL_D_ROUTERS && elected) {
            return;
        }
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(error) => {
                self.dropped(ifindex, src, error.kind.name(), || error.to_string());
                return;
            }
        };
        let router_id = packet.header.router_id;
        let network = config.network();
        let mismatch = if packet.header.area != self.config.area {
            Some(Mismatch::Area { ours: self.config.area, theirs: packet.header.area })
        } else if config.network_type == NetworkType::Broadcast
            && let Some(ours) = network
            && !ours.contains(src.into())
        {
            Some(Mismatch::Subnet { ours })
        } else if packet.header.auth != Auth::Null {
            Some(Mismatch::Authentication)
        } else if router_id == self.config.router_id {
            Some(Mismatch::DuplicateRouterId(router_id))
        } else {
            None
        };
        if let Some(mismatch) = mismatch {
            self.mismatch(ifindex, src, mismatch);
            return;
        }
        self.stats.received += 1;
        if let Body::Hello(hello) = &packet.body {
            self.on_hello(ifindex, src, router_id, hello);
            return;
        }
        let key =
            if config.network_type == NetworkType::PointToPoint { router_id.0 } else { src.into() };
        let id = NeighborId { ifindex, key };
        if self.neighbors.get(&id).is_none_or(|neighbor| neighbor.router_id != router_id) {
            self.dropped(ifindex, src, "not-a-neighbor", || format!("router id {router_id}"));
            return;
        }
        match &packet.body {
            Body::Hello(_) => {}
            Body::DatabaseDescription(body) => self.on_description(id, src, body),
            Body::LinkStateRequest(body) => self.on_request(id, body),
            Body::LinkStateUpdate(body) => self.on_update(id, src, body),
            Body::LinkStateAck(body) => self.on_ack(id, body),
        }
    }

    /// What every step ends with: floods first, then what they leave to do, then routes.
    fn finish(&mut self) {
        self.send_floods();
        while let Some(id) = self.answered.pop_first() {
            self.request_next(id);
        }
        self.reap_dead();
        // Reaching Full, or removing what was flushed, may have originated something.
        self.send_floods();
        self.update_routes();
        // What is flushed leaves `own` when every neighbour has acknowledged.
        if self.life == Life::Stopping && self.own.is_empty() {
            self.say_goodbye();
        }
    }

    /// The last Hello lists nobody, so that neighbours need not wait for RouterDeadInterval.
    fn say_goodbye(&mut self) {
        self.life = Life::Stopped;
        let interfaces: Vec<IfIndex> = self.interfaces.keys().copied().collect();
        for ifindex in interfaces {
            if self.interfaces.get(&ifindex).is_some_and(|i| i.state != InterfaceState::Passive) {
                self.send_hello(ifindex);
            }
            self.on_interface(ifindex, None);
        }
    }

    /// The header of every packet we send.
    pub(crate) fn header(&self) -> Header {
        Header { router_id: self.config.router_id, area: self.config.area, auth: Auth::Null }
    }

    pub(crate) fn send(&mut self, ifindex: IfIndex, dst: Ipv4Addr, bytes: Vec<u8>) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let src = interface.config.address;
        self.stats.sent += 1;
        self.out.push_back(Output::Send { ifindex, src, dst, bytes });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Counts something that was dropped, and tells of it now and then.
    pub(crate) fn dropped(
        &mut self,
        ifindex: IfIndex,
        source: Ipv4Addr,
        reason: &'static str,
        detail: impl FnOnce() -> String,
    ) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        let count = interface.drops.entry(reason).or_insert(0);
        *count += 1;
        let count = *count;
        if count.is_power_of_two() {
            self.event(Event::Dropped { ifindex, source, reason, detail: detail(), count });
        }
    }

    /// Notes that a packet is dropped since a neighbour is configured differently.
    pub(crate) fn mismatch(&mut self, ifindex: IfIndex, source: Ipv4Addr, mismatch: Mismatch) {
        if let Some(interface) = self.interfaces.get_mut(&ifindex) {
            *interface.drops.entry(mismatch.name()).or_insert(0) += 1;
        }
        self.disagree(ifindex, source, mismatch);
    }

    /// Notes how a neighbour is configured differently; told when it is new.
    pub(crate) fn disagree(&mut self, ifindex: IfIndex, source: Ipv4Addr, mismatch: Mismatch) {
        /// Of how many senders a disagreement is remembered, so that forged ones cannot fill the memory.
        const REMEMBERED: usize = 64;
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        if interface.mismatches.get(&source) == Some(&mismatch) {
            return;
        }
        if interface.mismatches.len() >= REMEMBERED {
            interface.mismatches.pop_first();
        }
        interface.mismatches.insert(source, mismatch);
        self.event(Event::Mismatch { ifindex, source, mismatch });
    }

    /// A neighbour's Hello agrees with ours: an earlier disagreement about Hellos is over. One about the MTU shows only later.
    pub(crate) fn agreed(&mut self, ifindex: IfIndex, source: Ipv4Addr) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        if !matches!(interface.mismatches.get(&source), Some(Mismatch::Mtu { .. }) | None) {
            interface.mismatches.remove(&source);
        }
    }

    /// A neighbour's database description fits: an earlier disagreement about the MTU is over.
    pub(crate) fn agreed_on_mtu(&mut self, ifindex: IfIndex, source: Ipv4Addr) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        if matches!(interface.mismatches.get(&source), Some(Mismatch::Mtu { .. })) {
            interface.mismatches.remove(&source);
        }
    }
}

/// A borrowed view of an instance, for show commands, the API and metrics.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    ospf: &'a Ospf,
}

impl Ospf {
    /// What there is to see.
    #[must_use]
    pub fn state(&self) -> State<'_> {
        State { ospf: self }
    }
}

impl<'a> State<'a> {
    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        &self.ospf.config
    }

    /// This router's identity.
    #[must_use]
    pub fn router_id(&self) -> RouterId {
        self.ospf.config.router_id
    }

    /// The interfaces that are up, by number.
    pub fn interfaces(&self) -> impl Iterator<Item = (IfIndex, &'a Interface)> + use<'a> {
        self.ospf.interfaces.iter().map(|(&ifindex, interface)| (ifindex, interface))
    }

    /// The neighbours, by interface.
    pub fn neighbors(&self) -> impl Iterator<Item = &'a Neighbor> + use<'a> {
        self.ospf.neighbors.values()
    }

    /// The database, by scope and key.
    pub fn database(&self) -> impl Iterator<Item = (DbKey, &'a StoredLsa)> + use<'a> {
        in_order(&self.ospf.db).into_iter().map(|(key, _, lsa)| (key, lsa))
    }

    /// How many LSAs the database holds.
    #[must_use]
    pub fn database_len(&self) -> usize {
        self.ospf.db.len()
    }

    /// The routing table.
    #[must_use]
    pub fn routing(&self) -> &'a Routing {
        &self.ospf.routing
    }

    /// The SPF back-off's state.
    #[must_use]
    pub fn backoff(&self) -> bugle_lsdb::BackoffState {
        self.ospf.backoff.state(self.ospf.now)
    }

    /// When SPF runs next, if it is going to.
    #[must_use]
    pub fn spf_due(&self) -> Option<Time> {
        self.ospf.backoff.deadline()
    }

    /// When a neighbour is taken for dead without a Hello.
    #[must_use]
    pub fn dead_at(&self, id: NeighborId) -> Option<Time> {
        self.ospf.timers.deadline(Timer::Inactivity(id))
    }

    /// Whether another router, which need not be a neighbour, uses our router id: what this one says of itself had to be outdone
    /// again and again within the last minute.
    #[must_use]
    pub fn is_duplicated(&self) -> bool {
        self.ospf.identity.is_duplicate(self.ospf.now)
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ospf.stats
    }
}
