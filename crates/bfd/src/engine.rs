//! The engine: which session a packet is for, and what is due when.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bugle_types::{Rng, Time};
use bugle_wire::bfd::{Discriminator, Packet, State as SessionState};
use slab::Slab;

use crate::config::Settings;
use crate::echo::Returned;
use crate::io::{Arrival, Client, Discard, Event, Hop, Input, Output, Path, Stats, TTL};
use crate::session::{Context, Session, Timer};
use crate::timing::{Jitter, Progress, STALL, Stall, random_u32};

/// Outputs there is room for from the beginning: more than one input causes unless many sessions change at once.
const OUTPUTS: usize = 256;
/// The first UDP source port that RFC 5881 section 4 allows, and how many there are.
const SOURCE_PORTS: (u16, u16) = (49_152, 16_384);

/// All BFD sessions of this system (RFC 5880). Sans-IO.
///
/// The contract: call [`handle`](Self::handle) with each input as it happens, then drain [`poll_output`](Self::poll_output),
/// then call `handle` with [`Input::Tick`] when [`deadline`](Self::deadline) comes. `now` never goes back. Any input is legal in
/// any order; bad packets are counted and dropped. Equal inputs and seeds give equal outputs.
///
/// A driver that wakes up late must not take its own delay for a failure. So before each tick it reads the clock, then
/// empties every socket into `handle`, then says in the tick what the clock was:
///
/// ```
/// # use bugle_bfd::{Bfd, Input, Output};
/// # use bugle_types::Time;
/// # fn turn(bfd: &mut Bfd, clock: impl Fn() -> Time) {
/// let drained = clock();
/// // ... bfd.handle(clock(), Input::Control(arrival)) for every packet there is ...
/// if bfd.deadline().is_some_and(|(time, _)| time <= clock()) {
///     bfd.handle(clock(), Input::Tick { drained });
/// }
/// while let Some(output) = bfd.poll_output() {
///     // ... send, open, close, tell ...
/// }
/// # }
/// # turn(&mut Bfd::new(1), || Time::ZERO);
/// ```
///
/// Silence is judged by when packets were received, which the kernel knows, and never beyond `drained`. A deadline may
/// therefore lie in the past after a tick: the driver then takes another turn at once. If the machine stood still, the kernel
/// did not receive either; a turn that comes [`STALL`] or more after its deadline therefore excuses silence once, for as long
/// again as it was late, but not beyond one agreed interval.
///
/// Packets, ticks and the outputs they cause allocate nothing once the queue of outputs has its size.
#[derive(Debug)]
pub struct Bfd {
    now: Time,
    rng: Rng,
    /// That of the pass.
    jitter: Jitter,
    sessions: Slab<Session>,
    by_id: BTreeMap<Discriminator, usize>,
    by_path: BTreeMap<Path, usize>,
    /// The deadlines of the sessions, by their keys in the slab; the end of time where there is none.
    due: Vec<Time>,
    /// The earliest of them.
    next: Time,
    stall: Stall,
    /// The deadline that the stall missed, so that it counts once.
    missed: Time,
    out: VecDeque<Output>,
    stats: Stats,
}

/// A view of the engine for show commands, the API and metrics.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    engine: &'a Bfd,
}

impl<'a> State<'a> {
    /// All sessions, by path.
    pub fn sessions(self) -> impl Iterator<Item = &'a Session> {
        self.engine.by_path.values().filter_map(|&key| self.engine.sessions.get(key))
    }

    /// The session on a path.
    #[must_use]
    pub fn session(self, path: Path) -> Option<&'a Session> {
        self.engine.sessions.get(*self.engine.by_path.get(&path)?)
    }

    /// Counters since the start.
    #[must_use]
    pub const fn stats(self) -> &'a Stats {
        &self.engine.stats
    }
}

impl Bfd {
    /// An engine without sessions. Discriminators, sequence numbers and jitter come from the seed: where sessions must not
    /// be guessed, let it be a secret.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            now: Time::ZERO,
            jitter: Jitter::draw(&mut rng),
            rng,
            sessions: Slab::new(),
            by_id: BTreeMap::new(),
            by_path: BTreeMap::new(),
            due: Vec::new(),
            next: Time::MAX,
            stall: Stall::default(),
            missed: Time::MAX,
            out: VecDeque::with_capacity(OUTPUTS),
            stats: Stats::default(),
        }
    }

    /// Takes an input. Never fails: bad input is counted, and told as an [`Event`].
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = self.now.max(now);
        self.notice_stall();
        match input {
            Input::Tick { drained } => self.on_tick(drained),
            Input::Control(arrival) => {
                if let Err(reason) = self.on_control(&arrival) {
                    self.discard(reason, Some(arrival.source));
                }
            }
            Input::Echo { received, bytes } => {
                if !self.on_echo(received, bytes) {
                    self.discard(Discard::UnknownEcho, None);
                }
            }
            Input::Request { client, path, settings } => self.on_request(client, path, settings),
            Input::Release { client, path } => {
                if let Some(&key) = self.by_path.get(&path) {
                    self.with_session(key, |session, ctx| session.release(client, ctx));
                }
            }
            Input::Shutdown => self.on_shutdown(),
        }
    }

    /// What the driver is to do next. Drain after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], for which session, and what for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, (Discriminator, Timer))> {
        let key = self.due.iter().position(|due| *due == self.next)?;
        let session = self.sessions.get(key)?;
        let (time, timer) = session.deadline()?;
        Some((time, (session.id(), timer)))
    }

    /// A view of all there is to see.
    #[must_use]
    pub const fn state(&self) -> State<'_> {
        State { engine: self }
    }

    /// After [`Input::Shutdown`]: whether every remote system has been told.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whoever calls long after the deadline was not running, or not scheduled.
    fn notice_stall(&mut self) {
        let late = self.now.since(self.next);
        if late < STALL {
            return;
        }
        self.stall = Stall { end: self.now, late };
        self.stats.longest_stall = self.stats.longest_stall.max(late);
        if self.missed == self.next {
            return;
        }
        self.missed = self.next;
        self.stats.stalls += 1;
        if self.stats.stalls.is_power_of_two() {
            let count = self.stats.stalls;
            self.out.push_back(Output::Event(Event::Stalled { late, count }));
        }
    }

    fn on_tick(&mut self, drained: Time) {
        let progress = Progress { drained: drained.min(self.now), stall: self.stall };
        self.jitter = Jitter::draw(&mut self.rng);
        for key in 0..self.due.len() {
            let due = self.due.get(key).is_some_and(|due| *due <= self.now);
            let along = |session: &Session| session.may_go_along(self.now);
            if due || self.sessions.get(key).is_some_and(along) {
                self.with_session(key, |session, ctx| session.on_tick(progress, ctx));
            }
        }
    }

    /// Section 6.8.6 up to where the session is known.
    fn on_control(&mut self, arrival: &Arrival<'_>) -> Result<(), Discard> {
        if matches!(arrival.hop, Hop::Single(_)) && arrival.ttl != TTL {
            return Err(Discard::Ttl);
        }
        let packet = Packet::parse(arrival.bytes)?;
        let key = self.demultiplex(arrival, &packet)?;
        let min_ttl = self.sessions.get(key).map_or(0, |session| session.settings().min_ttl);
        if matches!(arrival.hop, Hop::Multi(_)) && arrival.ttl < min_ttl {
            return Err(Discard::Ttl);
        }
        let received = arrival.received.min(self.now);
        let result = self.with_session(key, |session, ctx| session.receive(&packet, received, ctx));
        result.unwrap_or(Err(Discard::UnknownDiscriminator))?;
        self.stats.received += 1;
        Ok(())
    }

    fn demultiplex(&self, arrival: &Arrival<'_>, packet: &Packet<'_>) -> Result<usize, Discard> {
        if let Some(ours) = packet.control.your_discriminator {
            let key = *self.by_id.get(&ours).ok_or(Discard::UnknownDiscriminator)?;
            let session = self.sessions.get(key).ok_or(Discard::UnknownDiscriminator)?;
            return if is_for(arrival, session.path()) { Ok(key) } else { Err(Discard::OtherPath) };
        }
        if !matches!(packet.control.state, SessionState::Down | SessionState::AdminDown) {
            return Err(Discard::NoDiscriminator);
        }
        let Arrival { vrf, hop, source, .. } = *arrival;
        let path = Path { vrf, hop, remote: source };
        let exact = self.by_path.get(&path).copied();
        exact.or_else(|| self.point_to_point(path)).ok_or(Discard::NoSession)
    }

    /// The one session of a point-to-point link, to which a packet belongs whoever sent it (RFC 5881 section 6).
    fn point_to_point(&self, path: Path) -> Option<usize> {
        let (least, most): (IpAddr, IpAddr) = match path.remote {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
            IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into()),
        };
        let at = |remote| Path { remote, ..path };
        let mut candidates = self.by_path.range(at(least)..=at(most)).map(|(_, &key)| key);
        let key = candidates.next().filter(|_| candidates.next().is_none())?;
        let session = self.sessions.get(key)?;
        let single = matches!(path.hop, Hop::Single(_));
        (single && session.settings().point_to_point).then_some(key)
    }

    fn on_echo(&mut self, received: Time, bytes: &[u8]) -> bool {
        let Some(returned) = Returned::parse(bytes) else { return false };
        let Some(&key) = self.by_id.get(&returned.session) else { return false };
        let received = received.min(self.now);
        let known = self.with_session(key, |session, _| session.receive_echo(&returned, received));
        let known = known.unwrap_or(false);
        self.stats.echoes_received += u64::from(known);
        known
    }

    fn on_request(&mut self, client: Client, path: Path, settings: Settings) {
        let key = if let Some(&key) = self.by_path.get(&path) {
            self.with_session(key, |session, ctx| session.request(client, settings, ctx));
            key
        } else {
            self.create(client, path, settings)
        };
        let Some(state) = self.sessions.get(key).map(Session::state) else { return };
        self.out.push_back(Output::Event(Event::Joined { client, path, state }));
    }

    fn create(&mut self, client: Client, path: Path, settings: Settings) -> usize {
        let id = self.free_discriminator();
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let (first_port, ports) = SOURCE_PORTS;
        let port = first_port + u16::try_from(key % usize::from(ports)).unwrap_or(0);
        let Self { now, rng, jitter, out, stats, .. } = self;
        let mut ctx = Context { now: *now, rng, jitter: *jitter, out, stats };
        entry.insert(Session::new(id, port, path, client, settings, &mut ctx));
        self.by_id.insert(id, key);
        self.by_path.insert(path, key);
        self.due.resize(self.due.len().max(key + 1), Time::MAX);
        self.reschedule(key);
        key
    }

    fn free_discriminator(&mut self) -> Discriminator {
        loop {
            if let Some(id) = Discriminator::new(random_u32(&mut self.rng))
                && !self.by_id.contains_key(&id)
            {
                return id;
            }
        }
    }

    fn on_shutdown(&mut self) {
        for key in 0..self.due.len() {
            self.with_session(key, |session, ctx| {
                let clients: Vec<Client> = session.clients().collect();
                for client in clients {
                    session.release(client, ctx);
                }
            });
        }
    }

    /// Does something with a session, then what follows for the engine.
    fn with_session<R>(
        &mut self,
        key: usize,
        act: impl FnOnce(&mut Session, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let Self { now, rng, jitter, out, stats, .. } = self;
        let mut ctx = Context { now: *now, rng, jitter: *jitter, out, stats };
        let session = self.sessions.get_mut(key)?;
        let result = act(session, &mut ctx);
        if session.is_finished() {
            let (id, path) = (session.id(), session.path());
            self.sessions.remove(key);
            self.by_id.remove(&id);
            self.by_path.remove(&path);
            self.out.push_back(Output::Close(id));
        }
        self.reschedule(key);
        Some(result)
    }

    /// Notes the deadline of a session, and which is the earliest of all.
    fn reschedule(&mut self, key: usize) {
        let deadline = self.sessions.get(key).and_then(Session::deadline);
        let deadline = deadline.map_or(Time::MAX, |(time, _)| time);
        let Some(due) = self.due.get_mut(key) else { return };
        let before = std::mem::replace(due, deadline);
        if deadline <= self.next {
            self.next = deadline;
        } else if before == self.next {
            self.next = self.due.iter().min().copied().unwrap_or(Time::MAX);
        }
    }

    fn discard(&mut self, reason: Discard, source: Option<IpAddr>) {
        let count = self.stats.count_discard(reason);
        if count.is_power_of_two() {
            self.out.push_back(Output::Event(Event::Discarded { reason, source, count }));
        }
    }
}

/// Whether a packet may belong to a session of this path. Where it came from within the VRF does not matter once it names the
/// session (RFC 5880 section 6.3).
fn is_for(arrival: &Arrival<'_>, path: Path) -> bool {
    let single = |hop| matches!(hop, Hop::Single(_));
    arrival.vrf == path.vrf
        && single(arrival.hop) == single(path.hop)
        && arrival.source.is_ipv4() == path.remote.is_ipv4()
}
