//! One host: its state machine.
//!
//! What happens to a host sets its fields; then `settle` takes it through every transition that has become due,
//! brings what is shown outside in line, and derives the one deadline from the state it ends in.
//!
//! ```text
//!            port up, others known                 beaten by another's metric
//!  Waiting ------------------------> Active --------------------------------> Yielding
//!     ^                              |  ^ |                                    |     |
//!     |                    port lost |  | | released                 1 s later |     | claimed again, or
//!     |     1 s later                v  | v                                    v     | nobody else for 2 s
//!     +------------------------------ Cut  Leaving --> Gone                 Yielded  +----> Active
//! ```
//!
//! In `Cut`, `Yielding` and `Leaving` the advertisement still stands while the host is not here: it lingers, because nobody may
//! touch the same advertisement twice within a second ([`HOLD`]), and because a host that comes back at once then
//! costs one change, not three.

use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Prefix, RouterName, Time};

use crate::context::Context;
use crate::io::{Class, Event, LocalTarget, Others, Output, Why};
use crate::refused::Refused;
use crate::state::{HostState, Timeline};

/// An advertisement is withdrawn no sooner than this after it was last changed (`MinLSArrival`, RFC 2328 appendix B: a
/// receiver ignores what comes sooner), and after the host was lost.
pub const HOLD: Duration = Duration::from_secs(1);
/// A host that nobody else has advertised for so long rests: it gets the metric of all that rest.
pub const QUIET: Duration = Duration::from_secs(10);
/// A host that yielded, and that nobody has advertised since for so long, is live again if its port is up. Longer than
/// [`HOLD`], so that a router which only changes its advertisement is not taken for gone.
pub const RESUME: Duration = Duration::from_secs(2);

/// Who says that a host is here, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Binding {
    pub(crate) class: Class,
    pub(crate) port: Option<String>,
    pub(crate) mac: Option<Mac>,
    pub(crate) candidate: bool,
}

impl Binding {
    /// Whether both name the same port and MAC address.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        (&self.port, self.mac) == (&other.port, other.mac)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Claimed, not live.
    Waiting(Why),
    /// Live.
    Active,
    /// The port went; the advertisement stands.
    Cut,
    /// Another router has the host; the advertisement stands.
    Yielding,
    /// Another router has, or had, the host.
    Yielded,
    /// Released; the advertisement stands.
    Leaving,
    /// Neither claimed nor advertised: kept for the count of its moves.
    Gone,
}

/// A host, and what has been said about it outside.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) address: IpAddr,
    pub(crate) binding: Option<Binding>,
    pub(crate) phase: Phase,
    /// When the phase began.
    pub(crate) since: Time,
    /// The claim is newer than whatever others advertise, and has not been acted upon.
    asserted: bool,
    rivals: Rivals,
    /// Since when others have advertised what they do.
    rivals_since: Time,
    /// The metric to advertise.
    metric: Option<u32>,
    /// In a phase that lingers: the advertisement stands until then at least.
    linger: Time,
    /// The host was behind a port when it was last active.
    forwarded: bool,
    pub(crate) moves: Vec<Time>,
    pub(crate) frozen_until: Option<Time>,
    pub(crate) timeline: Timeline,
    requests: Vec<u64>,
    refused: Option<Refused>,
    shown: Shown,
    /// What [`settle`](Self::settle) derived last.
    pub(crate) deadline: Option<Time>,
}

/// What others advertise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rivals {
    /// Nobody has told.
    Unknown,
    Nobody,
    Best(Others),
}

/// What has been said outside.
#[derive(Debug, Default)]
struct Shown {
    neighbor: Option<(IfIndex, Mac)>,
    local: Option<LocalTarget>,
    metric: Option<u32>,
    /// When the advertisement was last changed.
    touched: Time,
}

impl Host {
    pub(crate) fn new(address: IpAddr, now: Time) -> Self {
        Self {
            address,
            binding: None,
            phase: Phase::Gone,
            since: now,
            asserted: false,
            rivals: Rivals::Unknown,
            rivals_since: now,
            metric: None,
            linger: now,
            forwarded: false,
            moves: Vec::new(),
            frozen_until: None,
            timeline: Timeline::default(),
            requests: Vec::new(),
            refused: None,
            shown: Shown::default(),
            deadline: None,
        }
    }

    /// Takes a claim that was found admissible.
    pub(crate) fn claim(&mut self, mut binding: Binding, cx: &mut Context<'_>) {
        let old = self.binding.take();
        if let Some(old) = old.as_ref().filter(|old| old.is_same_place(&binding)) {
            binding.class = binding.class.max(old.class);
        }
        if self.phase == Phase::Active {
            // Confirmed, or moved from port to port: nobody else need know.
            binding.candidate = false;
            if old.is_some_and(|old| old.port != binding.port) {
                cx.event(Event::PortChanged { address: self.address });
            }
        } else {
            self.asserted = !binding.candidate;
            self.timeline.claimed = Some(cx.now);
        }
        self.binding = Some(binding);
    }

    /// Somebody waits for the outcome of the claim.
    pub(crate) fn await_outcome(&mut self, request: u64) {
        self.requests.push(request);
    }

    /// Those who wait for the outcome, who will not hear of it from here.
    pub(crate) fn dismiss(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.requests)
    }

    /// Drops the claim.
    pub(crate) fn release(&mut self) {
        self.binding = None;
        self.asserted = false;
    }

    /// Takes note of what others advertise.
    pub(crate) fn hear(&mut self, others: Option<Others>, cx: &mut Context<'_>) {
        let rivals = others.map_or(Rivals::Nobody, Rivals::Best);
        if self.rivals == rivals {
            return;
        }
        self.rivals = rivals;
        self.rivals_since = cx.now;
        if let Some(other) = others
            && self.phase == Phase::Active
            && other.metric.is_some()
            && self.metric == other.metric
        {
            let kept = !self.is_beaten(cx);
            cx.event(Event::Tie { address: self.address, with: other.router, kept });
        }
    }

    /// Lets the host be claimed again.
    pub(crate) fn unfreeze(&mut self, cx: &mut Context<'_>) {
        if self.frozen_until.take().is_some() {
            self.moves.clear();
            cx.event(Event::Unfrozen { address: self.address });
        }
    }

    /// Takes every transition that is due, says outside what has changed, and derives the deadline.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        if self.frozen_until.is_some_and(|until| until <= cx.now) {
            self.unfreeze(cx);
        }
        while self.turn(cx) {}
        self.show(cx);
        if self.rivals != Rivals::Unknown || self.binding.is_none() {
            let unclaimed = self.binding.is_none().then_some(Refused::Unknown(self.address));
            let refused = self.refused.take().or(unclaimed);
            for request in self.requests.drain(..) {
                let result = refused.clone().map_or(Ok(()), Err);
                cx.push(Output::Reply { request, result });
            }
        }
        self.deadline = self.rearm(cx);
    }

    /// Whether nothing about the host is worth keeping.
    pub(crate) fn is_forgotten(&self, cx: &Context<'_>) -> bool {
        self.purge_at(cx).is_some_and(|at| at <= cx.now)
    }

    /// Where the host is in its life; `None`: it is not here, only its moves are remembered.
    pub(crate) fn state(&self, config: &crate::HostsConfig) -> Option<HostState> {
        Some(match &self.phase {
            Phase::Active
                if self.metric == Some(config.metric) && self.rivals == Rivals::Nobody =>
            {
                HostState::Steady
            }
            Phase::Active => HostState::Live,
            Phase::Cut => HostState::PortLost,
            Phase::Yielding => HostState::Yielding,
            Phase::Leaving => HostState::Leaving,
            Phase::Waiting(_) | Phase::Yielded | Phase::Gone if self.frozen_until.is_some() => {
                HostState::Frozen
            }
            Phase::Waiting(why) => HostState::Candidate(why.clone()),
            Phase::Yielded => HostState::Yielded,
            Phase::Gone => return None,
        })
    }

    /// The best that others advertise.
    pub(crate) const fn others(&self) -> Option<Others> {
        match self.rivals {
            Rivals::Best(others) => Some(others),
            Rivals::Unknown | Rivals::Nobody => None,
        }
    }

    pub(crate) const fn advertised(&self) -> Option<u32> {
        self.shown.metric
    }

    fn prefix(&self) -> Prefix {
        Prefix::host(self.address)
    }

    // Transitions.

    /// Takes one transition, if one is due.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        match self.phase {
            Phase::Gone => self.binding.is_some() && self.wait(cx),
            Phase::Waiting(_) => self.turn_waiting(cx),
            Phase::Yielded => self.turn_yielded(cx),
            Phase::Active => self.turn_active(cx),
            Phase::Cut | Phase::Yielding | Phase::Leaving => self.turn_lingering(cx),
        }
    }

    fn turn_waiting(&mut self, cx: &mut Context<'_>) -> bool {
        if self.binding.is_none() {
            return self.enter(Phase::Gone, cx);
        }
        if self.is_inadmissible() {
            self.release();
            return self.give_up(Refused::Infrastructure(self.address), cx);
        }
        match (self.obstacle(cx), self.others()) {
            (Some(why), _) if self.phase == Phase::Waiting(why.clone()) => false,
            (Some(_), _) => self.wait(cx),
            (None, _) if self.frozen_until.is_some() => false,
            // The port of a host that had been live is up again, but the host has gone elsewhere meanwhile.
            (None, Some(_)) if !self.asserted => self.enter(Phase::Yielded, cx),
            (None, _) => self.activate(cx),
        }
    }

    fn turn_yielded(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(binding) = &self.binding else { return self.enter(Phase::Gone, cx) };
        if binding.candidate {
            return self.wait(cx);
        }
        if self.asserted && self.frozen_until.is_none() {
            return if self.obstacle(cx).is_some() { self.wait(cx) } else { self.activate(cx) };
        }
        self.resume_at(cx).is_some_and(|at| at <= cx.now) && self.resume(cx)
    }

    fn turn_active(&mut self, cx: &mut Context<'_>) -> bool {
        let address = self.address;
        if self.binding.is_none() {
            return self.linger(Phase::Leaving, Duration::ZERO, cx);
        }
        if self.obstacle(cx).is_some() {
            cx.event(Event::PortLost { address });
            return self.linger(Phase::Cut, HOLD, cx);
        }
        if self.is_beaten(cx) {
            return self.yield_host(cx);
        }
        if self.normal_at(cx).is_some_and(|at| at <= cx.now) {
            let metric = cx.config.metric;
            self.metric = Some(metric);
            cx.event(Event::Normalized { address, metric });
        }
        false
    }

    fn turn_lingering(&mut self, cx: &mut Context<'_>) -> bool {
        if self.binding.is_none() && self.phase != Phase::Leaving {
            return self.linger(Phase::Leaving, Duration::ZERO, cx);
        }
        if self.can_be_active(cx) {
            if self.asserted {
                return self.activate(cx);
            }
            if self.phase == Phase::Cut && !self.is_beaten(cx) {
                return self.resume(cx);
            }
            if self.resume_at(cx).is_some_and(|at| at <= cx.now) {
                return self.resume(cx);
            }
        }
        if self.phase == Phase::Cut && self.is_beaten(cx) {
            return self.yield_host(cx);
        }
        if self.withdraw_at(cx).is_some_and(|at| at <= cx.now) {
            return self.withdraw(cx);
        }
        false
    }

    /// Acts upon the claim: takes the host from whoever has it.
    fn activate(&mut self, cx: &mut Context<'_>) -> bool {
        self.asserted = false;
        let rival = self.others().filter(|_| self.metric.is_none() || self.is_beaten(cx));
        let metric = match rival {
            None => self.metric.unwrap_or(cx.config.metric),
            Some(other) => {
                let address = self.address;
                let Some(theirs) = other.metric else {
                    return self.give_up(Refused::Infrastructure(address), cx);
                };
                let lower = theirs.checked_sub(cx.config.step.max(1)).filter(|m| *m > 0);
                let Some(metric) = lower else {
                    let metric = theirs;
                    return self.give_up(Refused::NoLowerMetric { address, metric }, cx);
                };
                if self.count_move(cx) {
                    let until = self.freeze(cx);
                    return self.give_up(Refused::Frozen { address, until }, cx);
                }
                metric.min(cx.config.metric)
            }
        };
        self.metric = Some(metric);
        self.timeline.live = Some(cx.now);
        cx.event(Event::Live {
            address: self.address,
            metric,
            from: rival.map(|other| other.router),
            claimed: self.timeline.claimed.unwrap_or(cx.now),
        });
        self.enter(Phase::Active, cx)
    }

    /// The claim cannot be acted upon. A new one can, or [`resume`](Self::resume).
    fn give_up(&mut self, reason: Refused, cx: &mut Context<'_>) -> bool {
        cx.event(Event::Refused { address: self.address, reason: reason.clone() });
        self.refused = Some(reason);
        self.metric.is_some() || self.enter(Phase::Yielded, cx)
    }

    /// The host is here after all, and nobody else has a better claim.
    fn resume(&mut self, cx: &mut Context<'_>) -> bool {
        self.metric = self.metric.or(Some(cx.config.metric));
        self.timeline.live = Some(cx.now);
        cx.event(Event::Resumed { address: self.address });
        self.enter(Phase::Active, cx)
    }

    fn yield_host(&mut self, cx: &mut Context<'_>) -> bool {
        self.timeline.yielded = Some(cx.now);
        if let Some(other) = self.others() {
            cx.event(Event::Yielded { address: self.address, to: other.router });
        }
        if self.count_move(cx) {
            self.freeze(cx);
        }
        self.linger(Phase::Yielding, HOLD, cx)
    }

    fn withdraw(&mut self, cx: &mut Context<'_>) -> bool {
        self.metric = None;
        self.timeline.withdrawn = Some(cx.now);
        cx.event(Event::Withdrawn { address: self.address });
        // What only frames showed, frames will show again.
        if !self.asserted {
            self.binding = self.binding.take().filter(|b| b.class >= Class::Registered);
        }
        if self.binding.is_some() && self.others().is_some() && !self.asserted {
            self.enter(Phase::Yielded, cx)
        } else {
            self.wait(cx)
        }
    }

    /// Waits for whatever stands in the way; for what others advertise, which is known by then, if nothing does.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let why = self.obstacle(cx).unwrap_or(Why::Others);
        if self.binding.is_some() && why != Why::Others {
            cx.event(Event::Waiting { address: self.address, why: why.clone() });
        }
        self.enter(Phase::Waiting(why), cx)
    }

    fn linger(&mut self, phase: Phase, hold: Duration, cx: &Context<'_>) -> bool {
        self.linger = self.linger.max(cx.now + hold);
        self.enter(phase, cx)
    }

    fn enter(&mut self, phase: Phase, cx: &Context<'_>) -> bool {
        if phase == Phase::Active {
            self.forwarded = self.binding.as_ref().is_some_and(|binding| binding.port.is_some());
        }
        self.phase = phase;
        self.since = cx.now;
        true
    }

    /// Counts a move; returns whether it is one too many. What an operator or an orchestrator says is never too much: they move a
    /// machine as often as they like, and only frames can tell of two machines with one address.
    fn count_move(&mut self, cx: &Context<'_>) -> bool {
        let damping = cx.config.damping;
        self.moves.retain(|at| *at + damping.window > cx.now);
        self.moves.push(cx.now);
        let told = self.binding.as_ref().is_some_and(|binding| binding.class >= Class::Registered);
        self.moves.len() >= damping.moves && !told
    }

    fn freeze(&mut self, cx: &mut Context<'_>) -> Time {
        let until = cx.now + cx.config.damping.recovery;
        self.frozen_until = Some(until);
        cx.event(Event::Frozen { address: self.address, until });
        until
    }

    // Conditions.

    /// What keeps the host from being live, apart from others.
    fn obstacle(&self, cx: &Context<'_>) -> Option<Why> {
        let binding = self.binding.as_ref()?;
        if binding.candidate {
            return Some(Why::Candidate);
        }
        if let Some(name) = &binding.port {
            match cx.ports.get(name) {
                None => return Some(Why::NoPort(name.clone())),
                Some(port) if !port.up => return Some(Why::PortDown(name.clone())),
                Some(_) => {}
            }
        }
        (self.rivals == Rivals::Unknown).then_some(Why::Others)
    }

    /// Whether the claim is to a router's own address and not to be kept: somebody waits for its outcome, or frames will show the
    /// host again. What was accepted before, and what the configuration declares, stands until the router is gone.
    fn is_inadmissible(&self) -> bool {
        let class = self.binding.as_ref().map(|binding| binding.class);
        let fleeting = class < Some(Class::Registered)
            || class < Some(Class::Pinned) && !self.requests.is_empty();
        fleeting && self.others().is_some_and(|others| others.metric.is_none())
    }

    fn can_be_active(&self, cx: &Context<'_>) -> bool {
        self.binding.is_some() && self.obstacle(cx).is_none() && self.frozen_until.is_none()
    }

    /// Whether every router prefers another's advertisement to ours.
    fn is_beaten(&self, cx: &Context<'_>) -> bool {
        let (Some(metric), Some(other)) = (self.metric, self.others()) else { return false };
        let ours = match other.router {
            RouterName::Ospf(_) => RouterName::Ospf(cx.config.router_id),
            RouterName::Isis(_) => RouterName::Isis(cx.config.system_id),
        };
        // A router's own address has no metric, which is less than any.
        other.metric < Some(metric) || (other.metric == Some(metric) && other.router > ours)
    }

    // Deadlines: each says when its transition is due, if the state stays as it is.

    fn rearm(&self, cx: &Context<'_>) -> Option<Time> {
        [
            self.normal_at(cx),
            self.resume_at(cx),
            self.withdraw_at(cx),
            self.purge_at(cx),
            self.frozen_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn normal_at(&self, cx: &Context<'_>) -> Option<Time> {
        (self.phase == Phase::Active
            && self.rivals == Rivals::Nobody
            && self.metric != Some(cx.config.metric))
        .then(|| self.rivals_since.max(self.shown.touched).max(self.since) + QUIET)
    }

    fn resume_at(&self, cx: &Context<'_>) -> Option<Time> {
        let unopposed = match self.phase {
            Phase::Yielding => !self.is_beaten(cx),
            Phase::Yielded => self.rivals == Rivals::Nobody,
            Phase::Waiting(_) | Phase::Active | Phase::Cut | Phase::Leaving | Phase::Gone => false,
        };
        (unopposed && self.can_be_active(cx)).then(|| self.rivals_since.max(self.since) + RESUME)
    }

    fn withdraw_at(&self, cx: &Context<'_>) -> Option<Time> {
        let lingers = matches!(self.phase, Phase::Cut | Phase::Yielding | Phase::Leaving);
        (lingers && (self.is_beaten(cx) || !self.can_be_active(cx)))
            .then(|| self.linger.max(self.shown.touched + HOLD))
    }

    fn purge_at(&self, cx: &Context<'_>) -> Option<Time> {
        (self.phase == Phase::Gone && self.binding.is_none() && self.frozen_until.is_none())
            .then(|| self.moves.last().map_or(self.since, |last| *last + cx.config.damping.window))
    }

    // Outside.

    /// Says what has changed: the neighbour before the route, the route before the advertisement; and back.
    fn show(&mut self, cx: &mut Context<'_>) {
        let (address, prefix) = (self.address, self.prefix());
        let port =
            self.binding.as_ref().filter(|_| self.phase == Phase::Active).and_then(|binding| {
                Some((cx.ports.get(binding.port.as_ref()?)?.ifindex, binding.mac))
            });
        let neighbor = port.and_then(|(ifindex, mac)| Some((ifindex, mac?)));
        let old = std::mem::replace(&mut self.shown.neighbor, neighbor);
        if let Some((ifindex, mac)) = neighbor.filter(|_| neighbor != old) {
            cx.push(Output::Neighbor { ifindex, address, mac: Some(mac) });
        }

        let local = match port {
            Some((ifindex, _)) => Some(LocalTarget::Port(ifindex)),
            None => self.drops().then_some(LocalTarget::Drop),
        };
        if std::mem::replace(&mut self.shown.local, local) != local {
            cx.push(Output::LocalRoute { prefix, target: local });
        }

        if self.shown.metric != self.metric {
            self.shown.metric = self.metric;
            self.shown.touched = cx.now;
            cx.push(match self.metric {
                Some(metric) => Output::Advertise { prefix, metric },
                None => Output::Withdraw { prefix },
            });
        }

        if let Some((ifindex, _)) = old
            && neighbor.is_none_or(|(new, _)| new != ifindex)
        {
            cx.push(Output::Neighbor { ifindex, address, mac: None });
        }
    }

    /// Whether packets for the host, which still come here, have nowhere to go.
    fn drops(&self) -> bool {
        let lingers = matches!(self.phase, Phase::Cut | Phase::Yielding | Phase::Leaving);
        lingers && self.forwarded && self.rivals == Rivals::Nobody
    }
}
