//! What the thread does in a turn.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Queue, SyncSender, TryRecvError, TrySendError};
use std::time::Duration;

use bugle_bfd::{self as bfd, Arrival, Client, Endpoint, Hop, Input, Output, Timer};
use bugle_rib::fib::{NexthopId, Removable};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{Discriminator, State};
use nix::errno::Errno;
use smallvec::SmallVec;
use socket2::Socket;

use super::echo;
use super::receive::{Drain, Incoming, Port, Purpose, Receiver, Rooms};
use super::send::Sender;
use super::{News, Order, Progress, View};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::limiter::Limiter;
use crate::poller::Waker;

/// How long to wait before the loop is told again what it had no room for.
const TELL_AGAIN: Duration = Duration::from_millis(1);
/// How long to wait before a port that another program has is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Orders taken before packets have their turn.
const ORDERS_PER_TURN: usize = 64;

/// The ends of everything that leads to other threads.
pub(super) struct Ends {
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) counters: Arc<Counters>,
    pub(super) orders: Queue<Order>,
    pub(super) news: SyncSender<News>,
    /// Wakes this thread.
    pub(super) wake: Waker,
    /// Wakes the loop.
    pub(super) told: Waker,
    pub(super) progress: Arc<Progress>,
}

/// The thread's state.
pub(super) struct Turns {
    ends: Ends,
    bfd: bfd::Bfd,
    receivers: Vec<Receiver>,
    /// Where echo packets come back.
    echoes: Vec<echo::Receiver>,
    senders: BTreeMap<Discriminator, Sender>,
    /// The devices of those VRFs that have sessions.
    devices: BTreeMap<VrfId, IfIndex>,
    /// Which VRF an interface with sessions is in.
    vrfs: BTreeMap<IfIndex, VrfId>,
    /// Which VRF a session over several hops is in that has no device, by our address and the other end's: they share a socket.
    distant: BTreeMap<(IpAddr, IpAddr), VrfId>,
    /// When to try again what could not be opened.
    retry_at: Option<Time>,
    /// Sessions in state Init, which any packet may bring up: for them, none can wait.
    coming_up: BTreeSet<Discriminator>,
    realtime: Result<(), String>,
    pub(super) takeovers: u64,
    /// What is to be removed when a neighbour does not answer.
    removable: Removable,
    /// What is to be removed now.
    removals: Vec<NexthopId>,
    /// Something is being removed. The loop hears nothing more before that is done.
    is_removing: bool,
    /// What the loop is to hear at the end of the turn.
    untold: Vec<News>,
    limiter: Limiter<Trouble>,
    ended: bool,
}

/// What a turn was taken for, beside its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Woken {
    pub(super) by_orders: bool,
    pub(super) by_packets: bool,
}

/// What a turn leaves to be waited for.
pub(super) struct Waiting {
    pub(super) due: Option<Time>,
    pub(super) sockets: SmallVec<[Arc<Socket>; 8]>,
}

/// A kind of trouble that is logged at a bounded rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Trouble {
    Open(Purpose),
    Receive(Purpose),
    Echo(echo::Place),
    Send(Discriminator),
    Wait,
}

impl Turns {
    pub(super) fn new(ends: Ends) -> Self {
        let bfd = bfd::Bfd::new(ends.seed);
        Self {
            ends,
            bfd,
            receivers: Vec::new(),
            echoes: Vec::new(),
            senders: BTreeMap::new(),
            devices: BTreeMap::new(),
            vrfs: BTreeMap::new(),
            distant: BTreeMap::new(),
            retry_at: None,
            coming_up: BTreeSet::new(),
            realtime: Ok(()),
            takeovers: 0,
            removable: Removable::new(),
            removals: Vec::new(),
            is_removing: false,
            untold: Vec::new(),
            limiter: Limiter::new(),
            ended: false,
        }
    }

    /// Whether the thread has real-time priority; if not, why.
    pub(super) fn set_realtime(&mut self, realtime: Result<(), String>) {
        self.realtime.clone_from(&realtime);
        self.untold.push(News::Realtime(realtime));
    }

    /// The order is the engine's contract: what the kernel received comes before the judgement about silence.
    pub(super) fn turn(&mut self, woken: Woken, rooms: &mut Rooms) {
        // Without news, only silence makes it worth while to look for more than what is steady.
        let timer = self.bfd.deadline().map(|(_, (_, timer))| timer);
        let is_silent = matches!(timer, Some(Timer::Detect | Timer::EchoDetect));
        let all = woken.by_packets || is_silent;
        let drained = self.receive(if all { Drain::All } else { Drain::Steadily }, rooms);
        if woken.by_orders {
            self.obey();
        }
        let now = self.ends.clock.now();
        if self.bfd.deadline().is_some_and(|(deadline, _)| deadline <= now) {
            self.bfd.handle(now, Input::Tick { drained });
            self.carry_out();
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.fit_receivers();
        }
        self.tell();
    }

    /// The second thread takes a turn that the first is late for. Orders can wait for that one; the next turn is to come in time.
    pub(super) fn take_over(&mut self, rooms: &mut Rooms) {
        self.takeovers += 1;
        self.turn(Woken { by_orders: false, by_packets: true }, rooms);
    }

    /// Hands in every packet there is. Everything that came before the time returned has been.
    fn receive(&mut self, how: Drain, rooms: &mut Rooms) -> Time {
        let Self { ends, bfd, receivers, echoes, vrfs, distant, devices, limiter, untold, .. } =
            self;
        let mut drained = ends.clock.now();
        let mut failed = |trouble, error: &io::Error| {
            ends.counters.bfd_receive_errors.add_one();
            if limiter.admit(trouble, ends.clock.now()).is_some() {
                untold.push(News::Trouble(format!("cannot receive BFD packets: {error}")));
            }
        };
        for receiver in receivers {
            let Purpose { port, device, .. } = receiver.purpose;
            let result = receiver.drain(how, rooms, &ends.clock, |incoming| {
                let vrf = match port {
                    Port::SingleHop => vrfs.get(&incoming.ifindex).copied(),
                    Port::Multihop if device.is_some() => {
                        let found = devices.iter().find(|(_, of_vrf)| Some(**of_vrf) == device);
                        found.map(|(vrf, _)| *vrf)
                    }
                    Port::Multihop => {
                        distant.get(&(incoming.destination, incoming.source)).copied()
                    }
                };
                let arrival = arrival(port, vrf.unwrap_or_default(), &incoming);
                bfd.handle(incoming.taken, Input::Control(arrival));
            });
            drained = drained.min(result.unwrap_or_else(|error| {
                failed(Trouble::Receive(receiver.purpose), &error);
                Time::ZERO
            }));
        }
        for receiver in echoes {
            let result = receiver.drain(&mut rooms.echo, &ends.clock, |taken, received, bytes| {
                bfd.handle(taken, Input::Echo { received, bytes });
            });
            drained = drained.min(result.unwrap_or_else(|error| {
                failed(Trouble::Echo(receiver.place), &error);
                Time::ZERO
            }));
        }
        self.carry_out();
        drained
    }

    fn obey(&mut self) {
        for _ in 0..ORDERS_PER_TURN {
            let order = match self.ends.orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    return;
                }
            };
            let now = self.ends.clock.now();
            match order {
                Order::Request { client, path, settings, device } => {
                    match device {
                        Some(device) => self.devices.insert(path.vrf, device),
                        None => self.devices.remove(&path.vrf),
                    };
                    self.bfd.handle(now, Input::Request { client, path, settings: *settings });
                }
                Order::Release { client, path } => {
                    self.bfd.handle(now, Input::Release { client, path });
                }
                Order::BeginEcho { place, socket } => {
                    self.echoes.push(echo::Receiver::new(place, socket, now));
                }
                Order::EndEcho(place) => {
                    let ended = self.echoes.extract_if(.., |receiver| receiver.place == place);
                    self.untold.extend(ended.map(|receiver| News::Closed(receiver.into_socket())));
                }
                Order::Removable(removable) => self.removable = removable,
                Order::Look(look) => {
                    let realtime = self.realtime.as_ref().copied().map_err(String::as_str);
                    look(&View {
                        sessions: self.bfd.state(),
                        now,
                        realtime,
                        takeovers: self.takeovers,
                    });
                }
            }
            self.carry_out();
            self.ends.progress.sessions.store(self.senders.len(), Ordering::Release);
            self.ends.progress.obeyed.fetch_add(1, Ordering::Release);
        }
        // There may be more.
        self.ends.wake.wake();
    }

    /// Does what the engine asks for.
    fn carry_out(&mut self) {
        while let Some(output) = self.bfd.poll_output() {
            match output {
                Output::Open(endpoint) => self.open(endpoint),
                Output::Close(session) => {
                    self.senders.remove(&session);
                    self.fit_receivers();
                    self.ends.progress.sessions.store(self.senders.len(), Ordering::Release);
                }
                Output::Send { session, packet } => {
                    self.send(session, |sender| sender.send(&packet));
                }
                Output::Echo { session, packet } => {
                    self.send(session, |sender| sender.send_echo(&packet));
                }
                Output::Event(event) => {
                    if let bfd::Event::Changed(change) = &event {
                        if change.to == State::Init {
                            self.coming_up.insert(change.session);
                        } else {
                            self.coming_up.remove(&change.session);
                        }
                        self.remove_if_failed(change);
                    }
                    self.untold.push(News::Event(self.ends.clock.now(), event));
                }
            }
        }
    }

    /// A neighbour of a protocol does not answer any more: what leads to it is to be removed.
    fn remove_if_failed(&mut self, change: &bfd::Change) {
        let Hop::Single(ifindex) = change.path.hop else { return };
        let session = self.bfd.state().session(change.path);
        let mut clients = session.into_iter().flat_map(bfd::Session::clients);
        if clients.any(|client| client != Client::Static && change.is_failure_for(client)) {
            let ids = self.removable.remove(&(ifindex, change.path.remote));
            self.removals.extend(ids.into_iter().flatten());
        }
    }

    /// What is to be removed from the kernel now; if there is something, say by [`removed`](Self::removed) when that is done.
    pub(super) fn begin_removal(&mut self) -> Vec<NexthopId> {
        if self.is_removing {
            return Vec::new();
        }
        let ids = std::mem::take(&mut self.removals);
        self.is_removing = !ids.is_empty();
        ids
    }

    /// These are gone.
    pub(super) fn removed(&mut self, ids: Vec<NexthopId>) {
        self.is_removing = false;
        if !ids.is_empty() {
            // Why is told after it: the loop would otherwise do the same once more.
            self.untold.insert(0, News::Removed(self.ends.clock.now(), ids));
        }
        self.tell();
    }

    fn open(&mut self, endpoint: Endpoint) {
        let device = self.devices.get(&endpoint.path.vrf).copied();
        self.senders.insert(endpoint.session, Sender::new(endpoint, device));
        self.fit_receivers();
    }

    fn send(&mut self, session: Discriminator, send: impl FnOnce(&mut Sender) -> io::Result<()>) {
        let Some(sender) = self.senders.get_mut(&session) else { return };
        let Err(error) = send(sender) else { return };
        let path = sender.endpoint.path;
        self.ends.counters.bfd_send_errors.add_one();
        self.warn(Trouble::Send(session), || format!("cannot send to {path} by BFD: {error}"));
    }

    /// Opens the sockets that the sessions need, and closes the others.
    fn fit_receivers(&mut self) {
        let (now, devices) = (self.ends.clock.now(), &self.devices);
        let paths = || self.senders.values().map(|sender| sender.endpoint.path);
        let device_of = |path: bfd::Path| devices.get(&path.vrf).copied();
        let single = |path: bfd::Path| match path.hop {
            Hop::Single(ifindex) => Some((ifindex, path.vrf)),
            Hop::Multi(_) => None,
        };
        let distant = |path: bfd::Path| match path.hop {
            Hop::Single(_) => None,
            Hop::Multi(_) if device_of(path).is_some() => None,
            Hop::Multi(local) => Some(((local, path.remote), path.vrf)),
        };
        self.vrfs = paths().filter_map(single).collect();
        self.distant = paths().filter_map(distant).collect();
        let wanted: BTreeSet<Purpose> = paths()
            .map(|path| Purpose {
                port: match path.hop {
                    Hop::Single(_) => Port::SingleHop,
                    Hop::Multi(_) => Port::Multihop,
                },
                ipv6: path.remote.is_ipv6(),
                device: device_of(path),
            })
            .collect();
        self.receivers.retain(|receiver| wanted.contains(&receiver.purpose));
        self.retry_at = None;
        for purpose in wanted {
            if self.receivers.iter().any(|receiver| receiver.purpose == purpose) {
                continue;
            }
            match Receiver::open(purpose, now) {
                Ok(receiver) => self.receivers.push(receiver),
                Err(error) => {
                    self.retry_at = Some(now + RETRY);
                    self.warn(Trouble::Open(purpose), || refusal(purpose, &error));
                }
            }
        }
    }

    /// Passes on what happened.
    fn tell(&mut self) {
        if self.untold.is_empty() || self.is_removing || !self.removals.is_empty() {
            return;
        }
        let mut untold = std::mem::take(&mut self.untold).into_iter();
        for news in untold.by_ref() {
            match self.ends.news.try_send(news) {
                Ok(()) => {}
                // The loop takes its time. It gets to hear of it later, in order.
                Err(TrySendError::Full(news)) => {
                    self.untold.push(news);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => self.ended = true,
            }
        }
        self.untold.extend(untold);
        self.ends.told.wake();
    }

    /// What to wait for until the next turn: packets that cannot wait, orders, and a time.
    pub(super) fn waiting(&self) -> Waiting {
        let again = (!self.untold.is_empty()).then(|| self.ends.clock.now() + TELL_AGAIN);
        let due = [self.due(), self.retry_at, again].into_iter().flatten().min();
        let all = !self.coming_up.is_empty();
        let sockets = self.receivers.iter().flat_map(|receiver| receiver.sockets(all)).collect();
        Waiting { due, sockets }
    }

    /// When the engine has something to do next.
    pub(super) fn due(&self) -> Option<Time> {
        self.bfd.deadline().map(|(deadline, _)| deadline)
    }

    /// How many control packets have been sent.
    #[cfg(test)]
    pub(super) fn packets_sent(&self) -> u64 {
        self.bfd.state().stats().sent
    }

    /// Whether nobody is left to give orders.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Waiting went wrong.
    pub(super) fn cannot_wait(&mut self, error: Errno) {
        self.warn(Trouble::Wait, || format!("BFD cannot wait: {error}"));
    }

    fn warn(&mut self, trouble: Trouble, text: impl FnOnce() -> String) {
        if self.limiter.admit(trouble, self.ends.clock.now()).is_some() {
            self.untold.push(News::Trouble(text()));
        }
    }
}

/// A packet as the engine takes it.
fn arrival<'a>(port: Port, vrf: VrfId, incoming: &Incoming<'a>) -> Arrival<'a> {
    let Incoming { received, source, ifindex, destination, ttl, bytes, .. } = *incoming;
    let hop = match port {
        Port::SingleHop => Hop::Single(ifindex),
        Port::Multihop => Hop::Multi(destination),
    };
    // What the kernel did not say cannot be what it must be.
    Arrival { received, vrf, hop, source, ttl: ttl.unwrap_or(0), bytes }
}

fn refusal(purpose: Purpose, error: &io::Error) -> String {
    let port = match purpose.port {
        Port::SingleHop => bugle_wire::bfd::CONTROL_PORT,
        Port::Multihop => bugle_wire::bfd::MULTIHOP_PORT,
    };
    let hint = if error.kind() == io::ErrorKind::AddrInUse {
        "; stop the other program that speaks BFD here"
    } else {
        ""
    };
    format!("cannot receive BFD packets on UDP port {port}: {error}{hint}")
}
