//! A session: its variables, what packets do to it, and when it sends (RFC 5880 section 6.8).

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use bugle_types::{Rng, Time};
use bugle_wire::bfd::{Control, Diagnostic, Discriminator, Flags, Interval, Packet, State};

use crate::auth::Sequences;
use crate::config::{EchoProfile, MIN_INTERVAL, Settings};
use crate::echo::{self, Echo, Returned};
use crate::io::{Change, Client, Discard, Endpoint, Event, Hop, Output, Path, Stats};
use crate::machine::{self, Cause};
use crate::timing::{Jitter, Progress, Timing, Watch, leeway, random_u32, shortest};

/// What a session needs of the engine.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) rng: &'a mut Rng,
    /// That of all packets of the pass.
    pub(crate) jitter: Jitter,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) stats: &'a mut Stats,
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The detection time ends (section 6.8.4).
    Detect,
    /// Echo packets have been missing for too long (section 6.8.5).
    EchoDetect,
    /// A control packet is due (section 6.8.7).
    Transmit,
    /// An echo packet is due (section 6.8.9).
    Echo,
}

/// A session between two systems.
#[derive(Debug, Clone)]
pub struct Session {
    id: Discriminator,
    path: Path,
    source_port: u16,
    clients: BTreeMap<Client, Settings>,
    /// Those of the most demanding client.
    settings: Settings,
    state: State,
    diagnostic: Diagnostic,
    remote: Remote,
    /// The intervals that our packets carry.
    advertised: Timing,
    /// The intervals that count. They differ from those advertised until the remote system knows these.
    in_use: Timing,
    poll: Poll,
    /// The agreed interval between our packets; `None` while there are no periodic ones.
    interval: Option<Interval>,
    transmit_at: Option<Time>,
    /// When the last packet was sent that was no mere answer to a Poll.
    transmitted: Time,
    /// The last packet sent.
    said: Option<Control>,
    watch: Watch,
    last_received: Option<Time>,
    sequences: Sequences,
    echo: Echo,
    farewell: Option<Farewell>,
    stats: SessionStats,
}

/// What the remote system said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its name for the session (`bfd.RemoteDiscr`); `None` if it has not been heard for a detection time.
    pub discriminator: Option<Discriminator>,
    /// The state of its session (`bfd.RemoteSessionState`).
    pub state: State,
    /// Why that changed last.
    pub diagnostic: Diagnostic,
    /// What it is capable of or wants; `bfd.RemoteDemandMode` is among these.
    pub flags: Flags,
    /// How many of its packets must be missing in a row.
    pub detect_mult: NonZeroU8,
    /// It would like to send no faster than this.
    pub desired_min_tx: Interval,
    /// It can receive no faster than this (`bfd.RemoteMinRxInterval`); zero: it wants no periodic packets.
    pub required_min_rx: Interval,
    /// It loops echo packets back no faster than this; zero: not at all.
    pub required_min_echo_rx: Interval,
}

impl Remote {
    /// What section 6.8.1 initializes the variables to.
    const UNKNOWN: Self = Self {
        discriminator: None,
        state: State::Down,
        diagnostic: Diagnostic::NONE,
        flags: Flags::NONE,
        detect_mult: NonZeroU8::MIN,
        desired_min_tx: Interval::SECOND,
        required_min_rx: Interval(1),
        required_min_echo_rx: Interval::ZERO,
    };

    const fn of(control: &Control) -> Self {
        Self {
            discriminator: Some(control.my_discriminator),
            state: control.state,
            diagnostic: control.diagnostic,
            flags: content(control).flags,
            detect_mult: control.detect_mult,
            desired_min_tx: control.desired_min_tx,
            required_min_rx: control.required_min_rx,
            required_min_echo_rx: control.required_min_echo_rx,
        }
    }
}

/// A Poll Sequence (section 6.5), of which there is one at a time: what a Final answers must be clear (section 6.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    Idle,
    /// The next packet is the first with the Poll bit.
    Requested,
    /// A Final is waited for.
    Active,
    /// The Final came. Before the next sequence begins, a packet without Final must come.
    Settling,
}

/// The last packets of a session that nobody asks for any more.
#[derive(Debug, Clone, Copy)]
struct Farewell {
    left: u8,
    interval: Interval,
}

/// Counters of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionStats {
    /// Control packets taken.
    pub received: u64,
    /// Control packets sent.
    pub sent: u64,
    /// Packets for this session that were discarded.
    pub discarded: u64,
    /// Echo packets that came back.
    pub echoes_received: u64,
    /// Echo packets sent.
    pub echoes_sent: u64,
    /// How often the session came up.
    pub ups: u64,
    /// How often it left Up.
    pub downs: u64,
}

impl Session {
    /// The session's name, our discriminator (`bfd.LocalDiscr`).
    #[must_use]
    pub const fn id(&self) -> Discriminator {
        self.id
    }

    /// The path it watches.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Who asks for it.
    pub fn clients(&self) -> impl Iterator<Item = Client> {
        self.clients.keys().copied()
    }

    /// The settings in force: those of the client that wants the shortest detection time.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its state (`bfd.SessionState`).
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why that changed last (`bfd.LocalDiag`).
    #[must_use]
    pub const fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// What the remote system said last.
    #[must_use]
    pub const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The agreed interval between our packets, jitter aside; `None` while there are no periodic ones.
    #[must_use]
    pub const fn transmit_interval(&self) -> Option<Interval> {
        self.interval
    }

    /// After so long a silence the session goes down (section 6.8.4).
    #[must_use]
    pub fn detection_time(&self) -> Duration {
        self.receive_interval().as_duration() * self.remote.detect_mult.get().into()
    }

    /// A Poll Sequence is under way: the remote system has not confirmed our last change yet.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        matches!(self.poll, Poll::Requested | Poll::Active)
    }

    /// When the last packet was received.
    #[must_use]
    pub const fn last_received(&self) -> Option<Time> {
        self.last_received
    }

    /// The interval of our echo packets; `None` while the echo function is not active.
    #[must_use]
    pub fn echo_interval(&self) -> Option<Interval> {
        let wanted = self.echo_profile().tx;
        echo::interval(wanted, self.remote.required_min_echo_rx).filter(|_| self.state == State::Up)
    }

    /// The echo function as far as the path has it: never over several hops (RFC 5883 section 3), nor between link-local
    /// addresses, to which nobody forwards (RFC 5881 section 4).
    fn echo_profile(&self) -> EchoProfile {
        let possible = match self.path.hop {
            Hop::Single(_) => !is_link_local(self.settings.local),
            Hop::Multi(_) => false,
        };
        if possible { self.settings.profile.echo } else { EchoProfile::default() }
    }

    /// The time that the last echo packet took to come back.
    #[must_use]
    pub const fn echo_round_trip(&self) -> Option<Duration> {
        self.echo.round_trip
    }

    /// Its counters.
    #[must_use]
    pub const fn stats(&self) -> SessionStats {
        self.stats
    }

    /// What it waits for next.
    pub(crate) fn deadline(&self) -> Option<(Time, Timer)> {
        let deadlines = [
            (self.watch.deadline(self.detection_time()), Timer::Detect),
            (self.echo.watch.deadline(self.echo_detection_time()), Timer::EchoDetect),
            (self.transmit_at, Timer::Transmit),
            (self.echo.transmit_at, Timer::Echo),
        ];
        deadlines.into_iter().filter_map(|(time, timer)| time.map(|time| (time, timer))).min()
    }

    /// The agreed interval between the remote system's packets.
    fn receive_interval(&self) -> Interval {
        self.in_use.rx.max(self.remote.desired_min_tx)
    }

    fn echo_detection_time(&self) -> Duration {
        let interval = self.echo_interval().unwrap_or_default();
        interval.as_duration() * self.settings.profile.multiplier.get().into()
    }

    /// Demand mode is active on the remote system (section 6.8).
    fn remote_is_in_demand_mode(&self) -> bool {
        self.remote.flags.contains(Flags::DEMAND)
            && self.state == State::Up
            && self.remote.state == State::Up
    }
}

/// What clients and the administrator do.
impl Session {
    pub(crate) fn new(
        id: Discriminator,
        source_port: u16,
        path: Path,
        client: Client,
        settings: Settings,
        ctx: &mut Context<'_>,
    ) -> Self {
        let timing =
            Timing { tx: settings.profile.tx.max(Interval::SECOND), rx: settings.profile.rx };
        let mut session = Self {
            id,
            path,
            source_port,
            clients: BTreeMap::from([(client, settings.clone())]),
            settings,
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            remote: Remote::UNKNOWN,
            advertised: timing,
            in_use: timing,
            poll: Poll::Idle,
            interval: None,
            transmit_at: None,
            transmitted: ctx.now,
            said: None,
            watch: Watch::default(),
            last_received: None,
            sequences: Sequences::new(random_u32(ctx.rng)),
            echo: Echo::default(),
            farewell: None,
            stats: SessionStats::default(),
        };
        session.open(ctx);
        session.configure(ctx);
        session
    }

    /// A client joins, or changes its mind.
    pub(crate) fn request(&mut self, client: Client, settings: Settings, ctx: &mut Context<'_>) {
        self.clients.insert(client, settings);
        self.configure(ctx);
    }

    /// A client leaves. With the last one the session ends, as soon as the remote system is told.
    pub(crate) fn release(&mut self, client: Client, ctx: &mut Context<'_>) {
        if self.clients.remove(&client).is_none() {
            return;
        }
        if self.clients.is_empty() {
            self.say_farewell(ctx);
        } else {
            self.configure(ctx);
        }
    }

    /// The last packet has been sent.
    pub(crate) fn is_finished(&self) -> bool {
        self.farewell.is_some_and(|farewell| farewell.left == 0)
    }

    /// Brings the settings of the most demanding client into force. The session is disabled if any client wants that.
    fn configure(&mut self, ctx: &mut Context<'_>) {
        let most_demanding =
            self.clients.values().min_by_key(|settings| settings.profile.detection_time());
        let Some(settings) = most_demanding.cloned() else { return };
        let before = std::mem::replace(&mut self.settings, settings);
        if before.local != self.settings.local {
            self.open(ctx);
        }
        let kind = |settings: &Settings| settings.profile.auth.as_ref().map(|auth| auth.kind());
        if kind(&before) != kind(&self.settings) {
            self.sequences.forget();
        }
        self.farewell = None;
        let disabled = self.clients.values().any(|settings| settings.profile.admin_down);
        self.transition(if disabled { Cause::Disabled } else { Cause::Enabled }, ctx);
        self.renegotiate();
        self.settle(ctx);
    }

    fn open(&self, ctx: &mut Context<'_>) {
        let Self { id: session, path, source_port, .. } = *self;
        let local = self.settings.local;
        ctx.out.push_back(Output::Open(Endpoint { session, path, local, source_port }));
    }

    /// Tells a remote system that takes the path for up that it is not failing (section 6.8.16): for one detection time of
    /// its, at the interval it is used to, so that one lost packet is not taken for a failure.
    fn say_farewell(&mut self, ctx: &mut Context<'_>) {
        let left = match self.state {
            _ if self.remote.discriminator.is_none() => 0,
            State::AdminDown => 0,
            State::Down | State::Init => 1,
            State::Up => self.settings.profile.multiplier.get(),
        };
        let interval = self.in_use.tx.max(self.remote.required_min_rx);
        self.transition(Cause::Disabled, ctx);
        self.farewell = Some(Farewell { left, interval });
        self.settle(ctx);
    }
}

/// What packets and time do.
impl Session {
    /// The second half of section 6.8.6: the session is known.
    pub(crate) fn receive(
        &mut self,
        packet: &Packet<'_>,
        received: Time,
        ctx: &mut Context<'_>,
    ) -> Result<(), Discard> {
        let result = self.take(packet, received, ctx);
        match result {
            Ok(()) => self.stats.received += 1,
            Err(_) => self.stats.discarded += 1,
        }
        result
    }

    fn take(
        &mut self,
        packet: &Packet<'_>,
        received: Time,
        ctx: &mut Context<'_>,
    ) -> Result<(), Discard> {
        let silence = self.last_received.map(|last| received.since(last));
        if silence.is_some_and(|silence| silence >= self.detection_time() * 2) {
            self.sequences.forget();
        }
        self.sequences.verify(packet, self.settings.profile.auth.as_deref())?;

        let control = &packet.control;
        self.remote = Remote::of(control);
        self.poll = match (self.poll, control.flags.contains(Flags::FINAL)) {
            (Poll::Active, true) => {
                self.in_use = self.advertised;
                Poll::Settling
            }
            (Poll::Settling, false) => Poll::Idle,
            (poll, _) => poll,
        };
        if self.state == State::AdminDown {
            // Section 6.8.6 discards the packet here; section 6.8.7 has a Poll answered in every state, as FRR does.
            self.answer(control, ctx);
            self.rearm(ctx);
            return Err(Discard::AdminDown);
        }
        self.watch.hear(received);
        self.last_received = self.last_received.max(Some(received));
        self.transition(Cause::Received(control.state), ctx);
        self.renegotiate();
        self.follow_echo(ctx);
        self.answer(control, ctx);
        self.settle(ctx);
        Ok(())
    }

    /// Answers a Poll, at once and whatever else is going on (section 6.8.7).
    fn answer(&mut self, control: &Control, ctx: &mut Context<'_>) {
        if control.flags.contains(Flags::POLL) {
            self.send(Flags::FINAL, ctx);
        }
    }

    /// An echo packet of this session came back.
    pub(crate) fn receive_echo(&mut self, returned: &Returned, received: Time) -> bool {
        let known = self.echo.on_return(returned, received);
        self.stats.echoes_received += u64::from(known);
        known
    }

    /// Does what is due.
    pub(crate) fn on_tick(&mut self, progress: Progress, ctx: &mut Context<'_>) {
        if self.watch.has_ended(self.detection_time(), self.receive_interval(), progress) {
            self.watch.stop();
            // Its name is forgotten (section 6.8.1), and what it asked of us (section 6.8.18).
            self.remote = Remote {
                discriminator: None,
                flags: Flags::NONE,
                required_min_rx: Remote::UNKNOWN.required_min_rx,
                required_min_echo_rx: Interval::ZERO,
                ..self.remote
            };
            self.transition(Cause::DetectionTimeExpired, ctx);
        }
        let echo_interval = self.echo_interval().unwrap_or_default();
        if self.echo.watch.has_ended(self.echo_detection_time(), echo_interval, progress) {
            self.transition(Cause::EchoFailed, ctx);
        }
        self.follow_echo(ctx);
        if self.may_go_along(ctx.now) {
            self.transmit(ctx);
        }
        if self.echo.transmit_at.is_some_and(|at| at <= ctx.now) {
            self.send_echo(ctx);
        }
        self.settle(ctx);
    }

    /// Whether the next control packet goes out now if the system is awake anyway.
    pub(crate) fn may_go_along(&self, now: Time) -> bool {
        let (Some(at), Some(interval)) = (self.transmit_at, self.interval) else { return false };
        at <= now + leeway(interval) && self.transmitted + shortest(interval) <= now
    }

    fn transition(&mut self, cause: Cause, ctx: &mut Context<'_>) {
        let (to, diagnostic) = machine::next(self.state, cause);
        if to == self.state {
            return;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.diagnostic = diagnostic.unwrap_or(self.diagnostic);
        self.stats.ups += u64::from(to == State::Up);
        self.stats.downs += u64::from(from == State::Up);
        // Nothing is held back when Up begins or ends, so it does not matter which Poll the next Final answers.
        self.poll = if self.is_polling() { Poll::Requested } else { Poll::Idle };
        self.renegotiate();
        ctx.out.push_back(Output::Event(Event::Changed(Change {
            session: self.id,
            path: self.path,
            from,
            to,
            cause,
            diagnostic: self.diagnostic,
            remote_state: self.remote.state,
            remote_diagnostic: self.remote.diagnostic,
            last_received: self.last_received,
            detection_time: self.detection_time(),
        })));
    }

    /// Advertises the intervals that are wanted now, and begins a Poll Sequence if they changed (section 6.8.3). While one
    /// is under way, the next change waits.
    fn renegotiate(&mut self) {
        let profile = &self.settings.profile;
        let floor = |slow| if slow { Interval::SECOND } else { MIN_INTERVAL };
        let up = self.state == State::Up;
        let wanted = Timing {
            tx: profile.tx.max(floor(!up)),
            rx: profile.rx.max(floor(self.echo_interval().is_some())),
        };
        if !up {
            self.in_use = wanted;
        }
        if wanted == self.advertised || matches!(self.poll, Poll::Active | Poll::Settling) {
            return;
        }
        self.advertised = wanted;
        self.poll = Poll::Requested;
        // While Up, we send less often, and expect more, not before the remote system knows.
        self.in_use.tx = self.in_use.tx.min(wanted.tx);
        self.in_use.rx = self.in_use.rx.max(wanted.rx);
    }

    /// Starts or stops the echo function.
    fn follow_echo(&mut self, ctx: &Context<'_>) {
        match (self.echo_interval(), self.echo.watch.is_on()) {
            (Some(_), false) => self.echo.start(ctx.now),
            (None, true) => self.echo.stop(),
            (Some(_), true) | (None, false) => {}
        }
    }

    fn send_echo(&mut self, ctx: &mut Context<'_>) {
        let Some(interval) = self.echo_interval() else { return };
        let packet = self.echo.packet(self.id, ctx.now, ctx.rng);
        ctx.out.push_back(Output::Echo { session: self.id, packet });
        ctx.stats.echoes_sent += 1;
        self.stats.echoes_sent += 1;
        let multiplier = self.settings.profile.multiplier;
        self.echo.transmit_at = Some(ctx.now + ctx.jitter.shorten(interval, multiplier));
    }

    /// What every step ends with: news goes out at once, and the timers follow from the variables.
    fn settle(&mut self, ctx: &mut Context<'_>) {
        if self.is_finished() {
            return;
        }
        let (said, next) = (self.said.as_ref().map(content), self.control(Flags::NONE));
        // Nobody would notice the change otherwise (section 6.6).
        if self.remote_is_in_demand_mode() && said != Some(next) && self.poll == Poll::Idle {
            self.poll = Poll::Requested;
        }
        let summary = |control: Control| (control.state, control.diagnostic);
        if self.may_transmit() && said.map(summary) != Some(summary(next)) {
            self.transmit(ctx);
        }
        self.rearm(ctx);
    }

    /// Derives the transmission timer from the variables. It moves when the agreed interval changes, and not with what is
    /// received, or a fast peer would keep us from sending.
    fn rearm(&mut self, ctx: &Context<'_>) {
        let interval = self.agreed_interval();
        if interval != self.interval || self.transmit_at.is_none() {
            self.interval = interval;
            let multiplier = self.settings.profile.multiplier;
            let gap = |interval| ctx.jitter.shorten(interval, multiplier);
            // A shorter interval may have passed already: the packet is due, but nobody was late for it.
            let due = |interval| (self.transmitted + gap(interval)).max(ctx.now);
            self.transmit_at = interval.map(due);
        }
    }

    /// The interval between periodic packets, if there are any (section 6.8.7).
    fn agreed_interval(&self) -> Option<Interval> {
        if let Some(farewell) = self.farewell {
            return Some(farewell.interval);
        }
        let asked_for = self.remote.required_min_rx != Interval::ZERO
            && (!self.remote_is_in_demand_mode() || self.is_polling());
        let interval = self.in_use.tx.max(self.remote.required_min_rx);
        (asked_for && self.may_transmit()).then_some(interval)
    }

    /// A passive system waits to be spoken to.
    fn may_transmit(&self) -> bool {
        !self.settings.profile.passive || self.remote.discriminator.is_some()
    }

    /// Sends what is due, or what cannot wait.
    fn transmit(&mut self, ctx: &mut Context<'_>) {
        let flags = if self.is_polling() { Flags::POLL } else { Flags::NONE };
        if self.poll == Poll::Requested {
            self.poll = Poll::Active;
        }
        self.send(flags, ctx);
        self.transmitted = ctx.now;
        self.transmit_at = None;
        if let Some(farewell) = &mut self.farewell {
            farewell.left = farewell.left.saturating_sub(1);
        }
    }

    fn send(&mut self, flags: Flags, ctx: &mut Context<'_>) {
        let control = self.control(flags);
        let changed = self.said.replace(control) != Some(control);
        let auth = self.settings.profile.auth.as_deref();
        let packet = self.sequences.seal(&control, auth, changed);
        ctx.out.push_back(Output::Send { session: self.id, packet });
        ctx.stats.sent += 1;
        self.stats.sent += 1;
    }

    /// The contents of the next packet (section 6.8.7). We never ask for demand mode.
    fn control(&self, flags: Flags) -> Control {
        let profile = &self.settings.profile;
        let independent = if profile.control_plane_independent {
            Flags::CONTROL_PLANE_INDEPENDENT
        } else {
            Flags::NONE
        };
        Control {
            diagnostic: self.diagnostic,
            state: self.state,
            flags: flags | independent,
            detect_mult: profile.multiplier,
            my_discriminator: self.id,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: self.advertised.tx,
            required_min_rx: self.advertised.rx,
            required_min_echo_rx: self.echo_profile().rx,
        }
    }
}

/// Whether an address is good on one link only.
const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What a packet says, Poll and Final aside.
const fn content(control: &Control) -> Control {
    let polls = Flags(Flags::POLL.0 | Flags::FINAL.0);
    Control { flags: control.flags.without(polls), ..*control }
}
