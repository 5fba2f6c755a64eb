//! One router: its speaker, and what waits for it. Machines do not touch each other, so they run side by side.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bugle_isis::Event as IsisEvent;
use bugle_ospf::Event as OspfEvent;
use bugle_rib::fib::{FibOp, FibSnapshot, RouteTarget};
use bugle_speaker::event::What;
use bugle_speaker::{HostRefusal, Input, Output, Speaker, VrfState};
use bugle_types::{IfIndex, Time};

use crate::digest::Digest;
use crate::kernel::{Place, Prefixes};
use crate::medium::{Envelope, Packet};

/// How long a router takes to do its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// For each packet that comes.
    pub packet: Duration,
    /// For each node that a run of SPF visits.
    pub spf_node: Duration,
}

/// Something that waits for a router.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Time,
    /// Among those of one time.
    pub(crate) order: u64,
    pub(crate) what: Incoming,
}

#[derive(Debug)]
pub(crate) enum Incoming {
    Packet { ifindex: IfIndex, packet: Packet },
    Snapshot(Box<FibSnapshot>),
    Refused { op: Box<FibOp>, reason: &'static str },
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What a router asks for. Small: where a thousand routers learn ten thousand routes at once, there are many.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The next of those [sent](Asked::sent).
    Send,
    /// So many of the next [routes](Asked::routes).
    Routes(u32),
    Fib(Box<FibOp>),
    ReadFib,
    SpfRun,
    /// The answer to a request.
    Refused(Box<(u64, String)>),
}

/// What a router asked for and nobody has carried out yet.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// In the order of time.
    pub(crate) effects: VecDeque<(Time, Effect)>,
    /// The packets among them.
    pub(crate) sent: VecDeque<Sent>,
    /// Where known prefixes are to be led; `None`: the route is to be deleted.
    pub(crate) routes: VecDeque<(Place, Option<RouteTarget>)>,
}

impl Asked {
    /// When the next is to be carried out.
    pub(crate) fn next(&self) -> Option<Time> {
        self.effects.front().map(|&(at, _)| at)
    }

    /// The next, if it is to be carried out at that time.
    pub(crate) fn pop(&mut self, at: Time) -> Option<Effect> {
        let next = self.next().filter(|&next| next == at);
        next.and_then(|_| self.effects.pop_front()).map(|(_, effect)| effect)
    }

    fn route(&mut self, at: Time, place: Place, target: Option<RouteTarget>) {
        self.routes.push_back((place, target));
        if let Some((then, Effect::Routes(count))) = self.effects.back_mut()
            && *then == at
        {
            *count += 1;
        } else {
            self.effects.push_back((at, Effect::Routes(1)));
        }
    }

    /// Gives up most of the room that a burst took.
    pub(crate) fn shrink(&mut self) {
        self.effects.shrink_to(ROOM);
        self.sent.shrink_to(ROOM);
        self.routes.shrink_to(ROOM);
    }
}

/// What waits for a router, and what it asks for, is seldom more.
const ROOM: usize = 32;

/// A packet that a router sends.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) ifindex: IfIndex,
    pub(crate) packet: Packet,
}

/// A router's speaker and what waits for it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// None while the daemon is dead.
    pub(crate) speaker: Option<Box<Speaker>>,
    work: Work,
    /// It asked to be woken again and again without anything to do.
    pub(crate) stuck: bool,
    /// LSAs and LSPs that earlier runs of the daemon sent again.
    retransmitted: u64,
    pub(crate) asked: Asked,
    prefixes: Arc<Prefixes>,
    /// When the speaker wants to be woken: asked once after each input.
    deadline: Option<Time>,
    inbox: BinaryHeap<Reverse<Arrival>>,
    /// Where OSPF is listened to.
    sockets: BTreeSet<IfIndex>,
    /// Where IS-IS is.
    circuits: BTreeSet<IfIndex>,
    busy: Time,
    digest: Digest,
    ticks: (Time, u32),
}

/// More wake-ups than this at one point in time are not work.
const TICKS_AT_ONCE: u32 = 10_000;

impl Machine {
    pub(crate) fn new(work: Work, prefixes: &Arc<Prefixes>) -> Self {
        Self {
            speaker: None,
            work,
            stuck: false,
            retransmitted: 0,
            asked: Asked::default(),
            prefixes: Arc::clone(prefixes),
            deadline: None,
            inbox: BinaryHeap::new(),
            sockets: BTreeSet::new(),
            circuits: BTreeSet::new(),
            busy: Time::ZERO,
            digest: Digest::new(),
            ticks: (Time::ZERO, 0),
        }
    }

    /// Starts the daemon, which knows nothing.
    pub(crate) fn start(&mut self, speaker: Speaker) {
        self.stop();
        self.speaker = Some(Box::new(speaker));
    }

    /// Ends the daemon without a word.
    pub(crate) fn stop(&mut self) {
        self.retransmitted += self.speaker.take().map_or(0, |s| retransmitted(&s));
        self.inbox.clear();
        self.sockets.clear();
        self.circuits.clear();
    }

    /// LSAs and LSPs sent again so far.
    pub(crate) fn retransmitted(&self) -> u64 {
        self.retransmitted + self.speaker.as_deref().map_or(0, retransmitted)
    }

    /// Puts something before the router. Whatever it is, it is lost on a dead one.
    pub(crate) fn push(&mut self, arrival: Arrival) {
        if self.speaker.is_some() {
            self.inbox.push(Reverse(arrival));
        }
    }

    /// Takes back the packets on their way to an interface.
    pub(crate) fn drop_packets(&mut self, to: IfIndex) {
        self.inbox.retain(|Reverse(arrival)| {
            !matches!(arrival.what, Incoming::Packet { ifindex, .. } if ifindex == to)
        });
    }

    /// When something happens here next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.speaker.as_ref().filter(|_| !self.stuck)?;
        let arrival = self.inbox.peek().map(|Reverse(arrival)| arrival.at);
        [self.deadline, arrival].into_iter().flatten().min().map(|at| at.max(self.busy))
    }

    /// Lives until just before `end`.
    pub(crate) fn run(&mut self, end: Time) {
        while let Some(at) = self.next().filter(|&at| at < end) {
            match self.inbox.peek() {
                Some(Reverse(arrival)) if arrival.at <= at => {
                    let Some(Reverse(arrival)) = self.inbox.pop() else { break };
                    self.receive(at, arrival.what);
                }
                Some(_) | None => {
                    if self.is_stuck(at) {
                        break;
                    }
                    self.handle(at, Input::Tick);
                }
            }
        }
        if self.inbox.is_empty() {
            self.inbox.shrink_to(ROOM);
        }
    }

    /// Hands something to the speaker at once.
    pub(crate) fn handle(&mut self, at: Time, input: Input<'_>) {
        let Some(speaker) = &mut self.speaker else { return };
        speaker.handle(at, input);
        self.busy = self.busy.max(at);
        while let Some(output) = self.speaker.as_mut().and_then(|s| s.poll_output()) {
            self.take(output);
        }
        self.deadline = self.speaker.as_ref().and_then(|s| s.deadline()).map(|(at, _)| at);
    }

    /// A hash over everything that came and everything that was sent.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    fn receive(&mut self, at: Time, what: Incoming) {
        match what {
            Incoming::Packet { ifindex, packet } => {
                let bytes = &packet.bytes;
                let (open, input) = match packet.envelope {
                    Envelope::Ospf { src, dst } => {
                        (&self.sockets, Input::Ospf { ifindex, src, dst, bytes })
                    }
                    Envelope::Isis { source, .. } => {
                        (&self.circuits, Input::Isis { ifindex, source, bytes })
                    }
                };
                if !open.contains(&ifindex) {
                    return;
                }
                self.note(at, ifindex, &packet);
                self.busy = at + self.work.packet;
                self.handle(at, input);
            }
            Incoming::Snapshot(snapshot) => self.handle(at, Input::Fib(*snapshot)),
            Incoming::Refused { op, reason } => {
                self.handle(at, Input::FibFailed { op: *op, reason: reason.to_owned() });
            }
        }
    }

    fn take(&mut self, output: Output) {
        let at = self.busy;
        let effect = match output {
            Output::OpenOspf(ifindex) => {
                self.sockets.insert(ifindex);
                return;
            }
            Output::CloseOspf(ifindex) => {
                self.sockets.remove(&ifindex);
                return;
            }
            Output::OpenIsis { ifindex, .. } => {
                self.circuits.insert(ifindex);
                return;
            }
            Output::CloseIsis(ifindex) => {
                self.circuits.remove(&ifindex);
                return;
            }
            // Everybody on a LAN gets every packet, and the engine tells what is for it.
            // There is no BFD here: protocols go on as with neighbours that have none.
            Output::AllDRouters { .. }
            | Output::Removable(_)
            | Output::RequestBfd { .. }
            | Output::ReleaseBfd { .. }
            // Whoever asks a daemon that stops asks the next one again.
            | Output::Reply { result: Ok(()) | Err(HostRefusal::Stopping), .. } => return,
            Output::SendOspf { ifindex, src, dst, bytes } => {
                self.send(at, ifindex, Envelope::Ospf { src, dst }, bytes)
            }
            Output::SendIsis { ifindex, source, destination, bytes } => {
                self.send(at, ifindex, Envelope::Isis { source, destination }, bytes)
            }
            Output::Fib(op) | Output::Divert(op) => {
                let (key, target) = match &op {
                    FibOp::PutRoute { key, target } => (key, Some(*target)),
                    FibOp::DelRoute { key } => (key, None),
                    FibOp::PutNexthop { .. }
                    | FibOp::PutGroup { .. }
                    | FibOp::DelNexthop { .. }
                    | FibOp::PutNeighbor { .. }
                    | FibOp::DelNeighbor { .. } => {
                        return self.asked.effects.push_back((at, Effect::Fib(Box::new(op))));
                    }
                };
                (key, target).hash(&mut self.digest);
                match self.prefixes.place(key) {
                    Some(place) => return self.asked.route(at, place, target),
                    None => Effect::Fib(Box::new(op)),
                }
            }
            Output::ReadFib => Effect::ReadFib,
            Output::Reply { request, result: Err(refusal) } => {
                Effect::Refused(Box::new((request, refusal.to_string())))
            }
            Output::Event(event) => match event.what {
                What::Ospf(OspfEvent::SpfRun { nodes, .. })
                | What::Isis(IsisEvent::SpfRun { nodes, .. }) => {
                    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
                    self.busy += self.work.spf_node * nodes;
                    Effect::SpfRun
                }
                What::Ospf(_)
                | What::Isis(_)
                | What::Rib(_)
                | What::Host(_)
                | What::Bfd(_)
                | What::Repair(_)
                | What::Held(..)
                | What::Notice(_) => return,
            },
        };
        self.asked.effects.push_back((at, effect));
    }

    fn send(&mut self, at: Time, ifindex: IfIndex, envelope: Envelope, bytes: Vec<u8>) -> Effect {
        // The same goes out of most interfaces.
        let before = self.asked.sent.back().map(|sent| &sent.packet.bytes);
        let bytes = match before.filter(|before| ***before == *bytes) {
            Some(before) => Arc::clone(before),
            None => bytes.into(),
        };
        let packet = Packet { envelope, bytes };
        self.note(at, ifindex, &packet);
        self.asked.sent.push_back(Sent { ifindex, packet });
        Effect::Send
    }

    fn note(&mut self, at: Time, ifindex: IfIndex, packet: &Packet) {
        let bytes = &*packet.bytes;
        let telling = match packet.envelope {
            // The header has a checksum over the packet.
            Envelope::Ospf { .. } => bytes.get(..24).unwrap_or(bytes),
            Envelope::Isis { .. } => bytes,
        };
        self.digest.write_u64(at.as_nanos());
        self.digest.write_u32(ifindex.0);
        self.digest.write(telling);
    }

    fn is_stuck(&mut self, at: Time) -> bool {
        self.ticks = if self.ticks.0 == at { (at, self.ticks.1 + 1) } else { (at, 1) };
        self.stuck |= self.ticks.1 > TICKS_AT_ONCE;
        self.stuck
    }
}

fn retransmitted(speaker: &Speaker) -> u64 {
    let of = |vrf: VrfState<'_>| {
        let ospf = vrf.ospf().map_or(0, |ospf| ospf.stats().retransmitted);
        ospf + vrf.isis().map_or(0, |isis| isis.stats().retransmitted)
    };
    speaker.state().vrfs().map(of).sum()
}
