//! The loop.

mod isis;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bugle_inject::{Injector, Monitor, MonitorEvent, NetlinkError};
use bugle_speaker::{Event, HostChange, Input, Output, Repair, RepairStep, What};
use bugle_types::{IfIndex, Time};
use nix::sys::epoll::Epoll;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::bfd::{Bfd, News, Order};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::desk::Desk;
use crate::engine::Engine;
use crate::forwarding::Forwarding;
use crate::handle::{Command, Handle, HostReply};
use crate::limiter::Limiter;
use crate::ospf::{OspfSocket, Received};
use crate::poller::{Poller, Token, Tokens};
use crate::priority::become_urgent;

/// Packets taken from one socket before the others have their turn.
const PACKETS_PER_TURN: usize = 32;
/// Ticks in a row before the sockets have their turn: each can be a slice of a longer calculation.
const TICKS_PER_TURN: usize = 2;
/// Changes to the kernel's table between two looks at the sockets, and those asked for before it that a packet waits for: 0.1 to
/// 0.2 ms of work.
const CHANGES_PER_TURN: usize = 64;
/// How long the loop goes on after it is told to stop, for the neighbours and the kernel to take in the end.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);
/// How long to wait after the kernel would not list its interfaces.
const RESYNC_RETRY: Duration = Duration::from_secs(1);
/// Commands that can wait for the loop; who sends more waits.
const COMMAND_BACKLOG: usize = 64;
/// Events kept for a receiver that is slow.
const EVENT_BACKLOG: usize = 4_096;
/// The largest IP packet.
const LARGEST_PACKET: usize = 65_535;

/// Why there is no loop, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The kernel's netlink cannot be used.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Waiting does not work.
    #[error("cannot wait for sockets: {0}")]
    Wait(#[source] io::Error),
}

/// Feeds an engine and does what it asks for: the one loop of the daemon, on a thread of its own.
///
/// Everything that the loop does is short. Changes to the kernel's table are made in batches of 0.1 to 0.2 ms; between two such batches
/// it looks at the sockets.
pub struct Driver<E> {
    engine: E,
    clock: Clock,
    poller: Poller,
    monitor: Monitor,
    /// When to list interfaces again after that failed.
    resync_at: Option<Time>,
    forwarding: Forwarding,
    bfd: Bfd,
    /// When BFD itself led traffic round a failure that is being told of.
    removed_at: Option<Time>,
    ports: BTreeMap<IfIndex, Port>,
    circuits: BTreeMap<IfIndex, isis::Circuit>,
    /// Reused for each packet.
    buffer: Box<[u8]>,
    counters: Arc<Counters>,
    commands: mpsc::Receiver<Command<E>>,
    events: broadcast::Sender<Event>,
    /// Replies and events of this turn.
    later: Vec<Output>,
    /// Repairs that are done when so many changes to the kernel's table have been made since the start.
    installing: VecDeque<(u64, Event)>,
    desk: Option<Box<dyn Desk>>,
    /// Who asked for a change to the hosts that is not answered yet, by request.
    askers: BTreeMap<u64, Asker>,
    last_request: u64,
    limiter: Limiter<Trouble>,
    /// When the loop ends at the latest, once it has been told to.
    stop_at: Option<Time>,
}

/// An interface that OSPF is to be spoken on.
#[derive(Default)]
struct Port {
    /// None if it could not be opened; it is tried again with each packet to send.
    socket: Option<OspfSocket>,
    all_d_routers: bool,
}

/// Who waits for an answer.
enum Asker {
    Handle(oneshot::Sender<HostReply>),
    /// The ticket.
    Desk(u32),
}

/// A kind of trouble that is logged at a bounded rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Trouble {
    Open(IfIndex),
    Send(IfIndex, Option<i32>),
    Receive(IfIndex, Option<i32>),
    Forwarding,
    Monitor,
    Bfd,
}

impl<E: Engine + 'static> Driver<E> {
    /// Opens what the loop needs, in the network namespace of the calling thread. What BFD sends must not be guessed from outside:
    /// it comes from `seed`.
    ///
    /// # Errors
    ///
    /// If the kernel's netlink or epoll cannot be used.
    pub fn open(engine: E, clock: Clock, seed: u64) -> Result<(Self, Handle<E>), DriverError> {
        let poller = Poller::new().map_err(DriverError::Wait)?;
        let forwarding = Forwarding::open(poller.waker())?;
        let remover = Injector::open()?;
        let monitor = Monitor::open(&[forwarding.port(), remover.port()])?;
        poller.add(&monitor, Token::Monitor).map_err(DriverError::Wait)?;
        let (sender, commands) = mpsc::channel(COMMAND_BACKLOG);
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let counters = Arc::new(Counters::default());
        let bfd =
            Bfd::new(clock, seed, Arc::clone(&counters), remover).map_err(DriverError::Wait)?;
        poller.add(&bfd, Token::Bfd).map_err(DriverError::Wait)?;
        let handle = Handle::new(sender, poller.waker(), events.clone(), Arc::clone(&counters));
        let driver = Self {
            engine,
            clock,
            poller,
            monitor,
            resync_at: None,
            forwarding,
            bfd,
            removed_at: None,
            ports: BTreeMap::new(),
            circuits: BTreeMap::new(),
            buffer: vec![0; LARGEST_PACKET].into(),
            counters,
            commands,
            events,
            later: Vec::new(),
            installing: VecDeque::new(),
            desk: None,
            askers: BTreeMap::new(),
            last_request: 0,
            limiter: Limiter::new(),
            stop_at: None,
        };
        Ok((driver, handle))
    }

    /// Has the loop take changes to the hosts from a desk, too. `open` has the epoll instance watch its descriptors: the number is the upper
    /// half of their data, and the lower half is the desk's own.
    ///
    /// # Errors
    ///
    /// If `open` fails.
    pub fn with_desk<D: Desk + 'static>(
        mut self,
        open: impl FnOnce(Arc<Epoll>, u64) -> io::Result<D>,
    ) -> Result<Self, DriverError> {
        let desk = open(self.poller.epoll(), Token::DESK).map_err(DriverError::Wait)?;
        self.desk = Some(Box::new(desk));
        Ok(self)
    }

    /// Runs the loop on a thread of its own, in the network namespace of the calling thread, before threads of the usual priority if that
    /// is permitted. The receiver is told when it ends.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(self) -> io::Result<oneshot::Receiver<Result<(), DriverError>>>
    where
        E: Send,
    {
        let (sender, receiver) = oneshot::channel();
        let run = move || {
            become_urgent();
            // Nobody may be waiting.
            let _ = sender.send(self.run());
        };
        std::thread::Builder::new().name("bugle-loop".to_owned()).spawn(run)?;
        Ok(receiver)
    }

    /// Runs until [`Handle::stop`], and then as long as the end takes to tell: at most 1.5 s. The interfaces and addresses that
    /// exist are told to the engine first.
    ///
    /// # Errors
    ///
    /// If waiting for sockets does not work, which nothing can remedy.
    pub fn run(mut self) -> Result<(), DriverError> {
        self.read_monitor();
        loop {
            let now = self.clock.now();
            if self.is_stopped(now) {
                return Ok(());
            }
            let ready = if self.is_busy(now) {
                self.poller.poll()
            } else {
                self.poller.wait(self.deadline(), now)
            };
            self.turn(&ready.map_err(DriverError::Wait)?);
        }
    }

    /// Everything that can be done now, in order of urgency, each for a bounded time.
    fn turn(&mut self, ready: &Tokens) {
        let mut woken = false;
        // A path that has failed comes before all that goes on elsewhere.
        if ready.iter().any(|token| token == Token::Bfd) {
            self.read_bfd();
        }
        for token in ready.iter() {
            match token {
                Token::Ospf(ifindex) => self.receive(ifindex),
                Token::Isis(ifindex) => self.receive_isis(ifindex),
                Token::Monitor => self.read_monitor(),
                Token::Desk(key) => self.serve_desk(key),
                Token::Timer | Token::Bfd => {}
                Token::Woken => woken = true,
            }
        }
        self.retry_resync();
        self.tick();
        if woken {
            self.on_woken();
        }
        self.change_forwarding();
        self.carry_out_later();
    }

    /// Another thread has something for us.
    fn on_woken(&mut self) {
        if let Some(snapshot) = self.forwarding.poll_snapshot(self.clock.now()) {
            match snapshot {
                Ok(snapshot) => self.handle(Input::Fib(snapshot)),
                Err(error) => self.warn(Trouble::Forwarding, || error.to_string()),
            }
        }
        // As many as fit the channel: others can go on filling it.
        for _ in 0..COMMAND_BACKLOG {
            let Ok(command) = self.commands.try_recv() else { return };
            self.obey(command);
        }
        self.poller.waker().wake();
    }

    /// Whether the loop should look again rather than sleep.
    fn is_busy(&self, now: Time) -> bool {
        self.engine.deadline().is_some_and(|deadline| deadline <= now)
            || self.forwarding.is_ready(now)
    }

    /// When there is something to do though nothing comes.
    fn deadline(&self) -> Option<Time> {
        let all =
            [self.engine.deadline(), self.forwarding.deadline(), self.resync_at, self.stop_at];
        all.into_iter().flatten().min()
    }

    fn is_stopped(&self, now: Time) -> bool {
        let Some(stop_at) = self.stop_at else { return false };
        if self.engine.is_quiet() && self.forwarding.is_idle() && self.bfd.is_idle() {
            return true;
        }
        if now >= stop_at {
            tracing::warn!("stopped before everything was withdrawn");
            return true;
        }
        false
    }

    /// Hands the engine an input and does what it asks for.
    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(self.clock.now(), input);
        self.drain();
    }

    /// Does what the engine asks for, in order; but what wakes other threads waits until packets and changes to
    /// the kernel are out.
    fn drain(&mut self) {
        let before = self.later.len();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Event(event) => self.date(event),
                Output::Reply { .. } => self.later.push(output),
                Output::OpenOspf(_)
                | Output::CloseOspf(_)
                | Output::AllDRouters { .. }
                | Output::SendOspf { .. }
                | Output::OpenIsis { .. }
                | Output::CloseIsis(_)
                | Output::SendIsis { .. }
                | Output::Fib(_)
                | Output::Divert(_)
                | Output::ReadFib
                | Output::Removable(_)
                | Output::RequestBfd { .. }
                | Output::ReleaseBfd { .. } => self.carry_out(output),
            }
        }
        for output in &mut self.later[before..] {
            if let Output::Event(event) = output
                && event.what.is_flooding()
            {
                event.time = self.clock.now();
            }
        }
    }

    /// Keeps an event for later. A step of a move or of a repair is dated when it has been done, and not when it was asked for.
    fn date(&mut self, mut event: Event) {
        if event.what.is_arrival() {
            self.run_forwarding();
            event.time = self.clock.now();
        }
        if let What::Repair(Repair { step, .. }) = event.what {
            match step {
                RepairStep::Detected => {}
                RepairStep::Diverted => {
                    self.run_forwarding();
                    event.time = self.removed_at.unwrap_or_else(|| self.clock.now());
                }
                RepairStep::AdjacencyDown | RepairStep::Flooded | RepairStep::Computed => {
                    event.time = self.clock.now();
                }
                RepairStep::Installed => {
                    self.installing.push_back((self.counters.fib_changes.value(), event));
                    return;
                }
            }
        }
        self.later.push(Output::Event(event));
    }

    /// Dates what was waiting for changes to the kernel that have been made.
    fn date_installed(&mut self) {
        if self.installing.is_empty() {
            return;
        }
        let made = self.counters.fib_changes.value().saturating_sub(self.forwarding.waiting());
        while self.installing.front().is_some_and(|(asked, _)| *asked <= made)
            && let Some((_, mut event)) = self.installing.pop_front()
        {
            event.time = self.clock.now();
            self.later.push(Output::Event(event));
        }
    }

    fn carry_out_later(&mut self) {
        self.date_installed();
        let mut later = std::mem::take(&mut self.later);
        for output in later.drain(..) {
            self.carry_out(output);
        }
        self.later = later;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::OpenOspf(ifindex) => {
                self.ports.insert(ifindex, Port::default());
                self.open_socket(ifindex);
            }
            Output::CloseOspf(ifindex) => {
                self.ports.remove(&ifindex);
            }
            Output::AllDRouters { ifindex, join } => self.set_all_d_routers(ifindex, join),
            Output::SendOspf { ifindex, src, dst, bytes } => self.send(ifindex, src, dst, &bytes),
            Output::OpenIsis { ifindex, mtu } => self.open_circuit(ifindex, mtu),
            Output::CloseIsis(ifindex) => self.close_circuit(ifindex),
            Output::SendIsis { ifindex, source, destination, bytes } => {
                self.send_isis(ifindex, source, destination, &bytes);
            }
            Output::Fib(op) => {
                self.counters.fib_changes.add_one();
                self.forwarding.change(op);
            }
            Output::Divert(op) => {
                self.counters.fib_changes.add_one();
                self.forwarding.divert(op);
            }
            Output::ReadFib => self.forwarding.read(),
            Output::Removable(removable) => {
                let told = self.bfd.set_removable(removable);
                self.warn_of_bfd(told);
            }
            Output::RequestBfd { client, path, settings, device } => {
                self.order_bfd(Order::Request { client, path, settings, device });
            }
            Output::ReleaseBfd { client, path } => self.order_bfd(Order::Release { client, path }),
            Output::Reply { request, result } => {
                match (self.askers.remove(&request), &mut self.desk) {
                    (Some(Asker::Desk(ticket)), Some(desk)) => desk.answer(ticket, result),
                    (Some(Asker::Handle(reply)), _) => {
                        // Whoever asked may have gone.
                        let _ = reply.send(result);
                    }
                    (Some(Asker::Desk(_)) | None, _) => {}
                }
            }
            Output::Event(event) => {
                // No receiver is no error.
                let _ = self.events.send(event);
            }
        }
    }

    fn obey(&mut self, command: Command<E>) {
        match command {
            Command::Read(look) => look(&self.engine, self.clock.now()),
            Command::Configure(config) => self.handle(Input::Config(config)),
            Command::Host { change, reply } => self.change_host(change, Asker::Handle(reply)),
            Command::Bfd(look) => self.order_bfd(Order::Look(look)),
            Command::Stop if self.stop_at.is_some() => {}
            Command::Stop => {
                self.stop_at = Some(self.clock.now() + STOP_WITHIN);
                self.handle(Input::Shutdown);
            }
        }
    }

    fn serve_desk(&mut self, key: u32) {
        let request = self.desk.as_mut().and_then(|desk| desk.take_request(key));
        if let Some((ticket, change)) = request {
            self.change_host(change, Asker::Desk(ticket));
        }
    }

    fn change_host(&mut self, change: HostChange, asker: Asker) {
        self.last_request += 1;
        let request = self.last_request;
        self.askers.insert(request, asker);
        self.handle(Input::Host { request, change });
    }

    fn order_bfd(&mut self, order: Order) {
        let told = self.bfd.order(order);
        self.warn_of_bfd(told);
    }

    fn warn_of_bfd(&mut self, told: io::Result<()>) {
        if let Err(error) = told {
            self.warn(Trouble::Bfd, || format!("there is no thread to be had for BFD: {error}"));
        }
    }

    /// Tells the engine what happened to BFD sessions.
    fn read_bfd(&mut self) {
        while let Some(news) = self.bfd.poll_news() {
            match news {
                News::Event(at, event) => self.handle(Input::Bfd { at, event }),
                News::Removed(at, ids) => {
                    self.handle(Input::FibRemoved(ids));
                    self.removed_at = Some(at);
                }
                News::Trouble(text) => tracing::warn!("{text}"),
                News::Closed(socket) => drop(socket),
                News::Realtime(Ok(())) => tracing::info!("BFD runs with real-time priority"),
                News::Realtime(Err(why)) => tracing::info!(
                    "BFD runs without real-time priority ({why}): a busy machine may take its sessions down; permit \
                     CAP_SYS_NICE, or raise LimitRTPRIO"
                ),
            }
        }
        self.removed_at = None;
    }

    /// Takes packets from an interface's socket.
    fn receive(&mut self, ifindex: IfIndex) {
        for _ in 0..PACKETS_PER_TURN {
            // Looked up each time: a packet can lead to the socket's end.
            let Some(socket) = self.ports.get(&ifindex).and_then(|port| port.socket.as_ref())
            else {
                return;
            };
            match socket.receive(&mut self.buffer) {
                Ok(Received::Packet(packet)) => {
                    self.counters.received.add_one();
                    let (src, dst, bytes) = (packet.src, packet.dst, packet.payload);
                    let now = self.clock.now();
                    self.engine.handle(now, Input::Ospf { ifindex, src, dst, bytes });
                    self.drain();
                }
                Ok(Received::Malformed) => self.counters.malformed.add_one(),
                Ok(Received::Nothing) => return,
                Err(error) => self.receive_failed(ifindex, &error),
            }
        }
    }

    fn receive_failed(&mut self, ifindex: IfIndex, error: &io::Error) {
        self.counters.receive_errors.add_one();
        let kind = Trouble::Receive(ifindex, error.raw_os_error());
        self.warn(kind, || format!("cannot receive on {}: {error}", name(ifindex)));
    }

    fn send(&mut self, ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr, bytes: &[u8]) {
        self.run_forwarding_before_packet();
        if self.ports.get(&ifindex).is_some_and(|port| port.socket.is_none()) {
            self.open_socket(ifindex);
        }
        let socket = self.ports.get(&ifindex).and_then(|port| port.socket.as_ref());
        let result = match socket {
            Some(socket) => socket.send(src, dst, bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.sent(ifindex, result, || format!("to {dst}"));
    }

    /// Counts what was sent; of what could not be, says so.
    fn sent(&mut self, ifindex: IfIndex, result: io::Result<()>, what: impl FnOnce() -> String) {
        let Err(error) = result else { return self.counters.sent.add_one() };
        self.counters.send_errors.add_one();
        let kind = Trouble::Send(ifindex, error.raw_os_error());
        self.warn(kind, || format!("cannot send {} on {}: {error}", what(), name(ifindex)));
    }

    /// Outputs are carried out in order: a host's route is in the kernel before its advertisement goes out. Many changes would
    /// hold up a flood, which comes first.
    fn run_forwarding_before_packet(&mut self) {
        if (1..=CHANGES_PER_TURN).contains(&self.forwarding.pending()) {
            self.run_forwarding();
        }
    }

    /// Opens the socket of a port.
    fn open_socket(&mut self, ifindex: IfIndex) {
        let Some(port) = self.ports.get_mut(&ifindex) else { return };
        let attempt = || {
            let socket = OspfSocket::open(ifindex)?;
            if port.all_d_routers {
                socket.set_all_d_routers(true)?;
            }
            self.poller.add(&socket, Token::Ospf(ifindex))?;
            Ok::<_, io::Error>(socket)
        };
        match attempt() {
            Ok(socket) => port.socket = Some(socket),
            Err(error) => self.open_failed(ifindex, "OSPF", &error),
        }
    }

    fn open_failed(&mut self, ifindex: IfIndex, protocol: &str, error: &io::Error) {
        self.counters.socket_errors.add_one();
        self.warn(Trouble::Open(ifindex), || {
            format!("cannot speak {protocol} on {}: {error}", name(ifindex))
        });
    }

    fn set_all_d_routers(&mut self, ifindex: IfIndex, join: bool) {
        let Some(port) = self.ports.get_mut(&ifindex) else { return };
        port.all_d_routers = join;
        let Some(Err(error)) = port.socket.as_ref().map(|socket| socket.set_all_d_routers(join))
        else {
            return;
        };
        self.counters.socket_errors.add_one();
        self.warn(Trouble::Open(ifindex), || {
            let verb = if join { "join" } else { "leave" };
            format!("cannot {verb} AllDRouters on {}: {error}", name(ifindex))
        });
    }

    /// Tells the engine what happened to interfaces and addresses.
    fn read_monitor(&mut self) {
        loop {
            let event = match self.monitor.poll_event() {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(error) => return self.monitor_failed(&error),
            };
            match event {
                MonitorEvent::Resync => {
                    self.counters.resyncs.add_one();
                    self.handle(Input::Resync);
                }
                MonitorEvent::Link(link) => self.handle(Input::Link(link)),
                MonitorEvent::LinkGone(ifindex) => {
                    self.handle(Input::LinkGone(ifindex));
                    self.ports.remove(&ifindex);
                    self.circuits.remove(&ifindex);
                }
                MonitorEvent::Address(address) => self.handle(Input::Address(address)),
                MonitorEvent::AddressGone(address) => self.handle(Input::AddressGone(address)),
                MonitorEvent::Synced => self.handle(Input::Synced),
                MonitorEvent::Disturbed => self.handle(Input::FibDisturbed),
                MonitorEvent::RouteReplaced(key) => self.handle(Input::FibReplaced(key)),
            }
        }
    }

    fn monitor_failed(&mut self, error: &NetlinkError) {
        self.resync_at = Some(self.clock.now() + RESYNC_RETRY);
        self.warn(Trouble::Monitor, || format!("cannot follow changes to interfaces: {error}"));
    }

    fn retry_resync(&mut self) {
        if self.resync_at.is_none_or(|at| at > self.clock.now()) {
            return;
        }
        self.resync_at = None;
        match self.monitor.resync() {
            Ok(()) => self.read_monitor(),
            Err(error) => self.monitor_failed(&error),
        }
    }

    fn tick(&mut self) {
        for _ in 0..TICKS_PER_TURN {
            if self.engine.deadline().is_none_or(|deadline| deadline > self.clock.now()) {
                return;
            }
            self.handle(Input::Tick);
        }
    }

    fn change_forwarding(&mut self) {
        self.run_forwarding();
        while let Some((op, error)) = self.forwarding.poll_failure() {
            self.counters.fib_failures.add_one();
            self.handle(Input::FibFailed { op, reason: error.to_string() });
        }
    }

    fn run_forwarding(&mut self) {
        if let Err(error) = self.forwarding.run(self.clock.now(), CHANGES_PER_TURN) {
            self.warn(Trouble::Forwarding, || error.to_string());
        }
    }

    fn warn(&mut self, trouble: Trouble, text: impl FnOnce() -> String) {
        if let Some(passed_over) = self.limiter.admit(trouble, self.clock.now()) {
            let text = text();
            tracing::warn!(passed_over, "{text}");
        }
    }
}

/// An interface's name, for messages to the user.
fn name(ifindex: IfIndex) -> String {
    nix::net::if_::if_indextoname(ifindex.0)
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| format!("interface {}", ifindex.0))
}
