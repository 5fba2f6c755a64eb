//! A scenario, played: events are carried out, and what follows from each is noted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_rib::Protocol;
use bugle_types::{Prefix, Rng, Time};

use crate::door::{Door, Outside};
use crate::medium::Condition;
use crate::network::{NodeId, SegmentId};
use crate::oracle::{Expected, Oracle};
use crate::report::{Report, Row};
use crate::scenario::{Action, Fault, Host, Link, Node, Scenario, candidates};
use crate::tally::Activity;
use crate::world::{Plan, World};

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The time in the network.
    pub now: Time,
    /// When the last event happens.
    pub last_event: Time,
    /// Events so far.
    pub events: u32,
    /// Flows whose packets do not arrive although they could.
    pub failing: usize,
    /// What has happened.
    pub activity: Activity,
}

/// A network that has not come to rest after so long will not.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at what there is to tell.
const A_LITTLE: Duration = Duration::from_millis(200);
/// A network that is to be attached is given so long to come up, unless something happens before.
const COME_UP: Time = Time::from_secs(60);
/// How long a daemon that starts may keep what it found in the kernel and does not know what for.
const ADOPTION: Duration = Duration::from_secs(121);
/// How long a daemon that stops has to say goodbye, as the real one has.
const GOODBYE: Duration = Duration::from_secs(5);
/// Hosts that moved are advertised anew after ten seconds of quiet: it takes longer than that to tell rest from a pause.
const QUIET: Duration = Duration::from_secs(13);

/// Plays a scenario to its end, and judges it. `progress` is told now and then.
pub fn play(scenario: &Scenario, progress: &mut dyn FnMut(Progress)) -> Report {
    let mut player = Player::new(scenario, progress);
    player.run();
    player.finish()
}

/// Plays a scenario to real routers beyond a door: in the time that passes there, once the network has come up, and until it
/// is enough. What is beyond is not known here, so nothing is judged but the flows.
pub fn play_attached(
    scenario: &Scenario,
    door: Door,
    outside: &mut dyn Outside,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut player = Player::new(scenario, progress);
    let first_event = player.agenda.keys().next().copied();
    player.live_until(first_event.unwrap_or(COME_UP).min(COME_UP));
    player.world.attach(door);
    player.outside = Some(outside);
    player.run();
    player.go_on();
    player.close();
    player.report()
}

/// What a router of the scenario's network can reach at the start, as the oracle has it; by the preferred protocol if there are two.
#[must_use]
pub fn routes(scenario: &Scenario, router: NodeId) -> BTreeMap<Prefix, Expected> {
    let mut rng = Rng::new(scenario.seed);
    let protocol = if scenario.protocols.ospf() { Protocol::Ospf } else { Protocol::Isis };
    Oracle::with(&World::before(plan(scenario, &mut rng)), protocol, &|_| true).reached(router)
}

/// The world of a scenario, whoever sends to whom.
#[cfg(test)]
pub(crate) fn plan_of(scenario: &Scenario) -> Plan {
    plan(scenario, &mut Rng::new(scenario.seed))
}

fn plan(scenario: &Scenario, rng: &mut Rng) -> Plan {
    Plan {
        network: scenario.network.clone(),
        hosts: scenario.hosts.clone(),
        addresses: scenario.addresses.clone(),
        flows: scenario.flow_list(rng),
        quality: scenario.quality,
        protocols: scenario.protocols,
        timers: scenario.timers,
        work: scenario.work,
        install: scenario.install,
        start_within: scenario.start_within,
        seed: scenario.seed,
    }
}

struct Player<'a> {
    scenario: &'a Scenario,
    world: World,
    rng: Rng,
    agenda: BTreeMap<Time, VecDeque<Deed>>,
    rows: Vec<Row>,
    /// By line, and whether it is the undoing.
    row_of: BTreeMap<(usize, bool), usize>,
    current: Current,
    row_of_event: Vec<usize>,
    findings: Vec<String>,
    /// What is beyond the door, once it is open.
    outside: Option<&'a mut dyn Outside>,
    progress: &'a mut dyn FnMut(Progress),
}

/// The event that was last carried out.
struct Current {
    row: usize,
    at: Time,
    before: Activity,
}

/// Something to be done at some time.
#[derive(Clone, Debug)]
enum Deed {
    /// The scenario's event at this place.
    Event(usize),
    /// Undo what such an event did.
    Undo(usize, Undo),
    /// Move a host, as a part of an event.
    Move(usize, Ipv4Addr),
    /// A daemon that was asked to stop has had its time.
    End(NodeId),
}

#[derive(Clone, Debug)]
enum Undo {
    Ports(Vec<(SegmentId, NodeId)>),
    Start(NodeId),
    Heal,
}

impl<'a> Player<'a> {
    fn new(scenario: &'a Scenario, progress: &'a mut dyn FnMut(Progress)) -> Self {
        let mut rng = Rng::new(scenario.seed ^ 0x5CE7_A210);
        let world = World::new(plan(scenario, &mut rng));
        let mut player = Self {
            scenario,
            world,
            rng,
            agenda: BTreeMap::new(),
            rows: vec![Row::new(0, "start".to_owned())],
            row_of: BTreeMap::new(),
            current: Current { row: 0, at: Time::ZERO, before: Activity::default() },
            row_of_event: vec![0],
            findings: Vec::new(),
            outside: None,
            progress,
        };
        player.plan();
        player
    }

    fn plan(&mut self) {
        for (place, event) in self.scenario.events.iter().enumerate() {
            for &at in &event.times {
                self.agenda.entry(at).or_default().push_back(Deed::Event(place));
            }
        }
    }

    fn run(&mut self) {
        let mut armed = false;
        while let Some(entry) = self.agenda.first_entry() {
            let at = *entry.key();
            self.live_until(at);
            if !std::mem::replace(&mut armed, true) {
                self.world.judge.arm(at);
                self.world.tally.arm();
            }
            // What is put on the agenda for now meanwhile has its turn, too.
            while let Some(deed) = self.agenda.get_mut(&at).and_then(VecDeque::pop_front) {
                self.carry_out(deed);
            }
            self.agenda.remove(&at);
        }
    }

    /// Waits until nothing happens any more, and looks at what there is.
    fn finish(mut self) -> Report {
        let quiet = self.scenario.timers.dead + QUIET;
        let start = self.world.now();
        loop {
            let last = self.world.tally.last.max(start);
            let rest = (last + quiet).max(self.world.last_start + ADOPTION);
            if self.world.now() >= rest {
                break;
            }
            if self.world.now() >= start + PATIENCE {
                self.findings.push(format!("the network is not at rest after {PATIENCE:?}"));
                break;
            }
            self.live_until(rest);
        }
        self.close();
        self.check();
        self.report()
    }

    /// Lives until it is enough for those outside.
    fn go_on(&mut self) {
        while self.outside.as_ref().is_some_and(|outside| !outside.is_over(self.world.now())) {
            self.live_until(self.world.now() + A_LITTLE);
        }
    }

    fn report(self) -> Report {
        let Self { scenario, world, rows, row_of_event, findings, .. } = self;
        Report::new(scenario, &world, rows, &row_of_event, findings)
    }

    fn check(&mut self) {
        let at = self.world.now();
        self.findings.extend(self.world.check().into_iter().map(|what| format!("{at}: {what}")));
    }

    fn live_until(&mut self, end: Time) {
        let last_event = self.agenda.last_key_value().map_or(end, |(&at, _)| at);
        while self.world.now() < end {
            self.live_a_little(end);
            (self.progress)(Progress {
                now: self.world.now(),
                last_event,
                events: u32::try_from(self.row_of_event.len() - 1).unwrap_or(u32::MAX),
                failing: self.world.judge.failing().count(),
                activity: self.world.tally.total,
            });
        }
    }

    /// Lives until something is to be told of, until `end` at the latest; with a door, in the time of those outside.
    fn live_a_little(&mut self, end: Time) {
        let until = end.min(self.world.now() + A_LITTLE);
        let Some(outside) = &mut self.outside else { return self.world.run_until(until) };
        let next = self.world.next().map_or(until, |next| next.min(until));
        let (now, packets) = outside.exchange(self.world.now(), self.world.take_sent(), next);
        // What is due at this very moment has its turn, too.
        self.world.run_until(now.min(until) + Duration::from_nanos(1));
        for packet in packets {
            self.world.receive(packet);
        }
    }

    fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Event(place) => self.event(place),
            Deed::Undo(place, undo) => {
                self.begin(place, true, None);
                match undo {
                    Undo::Ports(ports) => {
                        for (segment, node) in ports {
                            self.world.set_port(segment, node, |port| *port = Condition::GOOD);
                        }
                    }
                    Undo::Start(node) => self.start(node),
                    Undo::Heal => self.heal(),
                }
            }
            Deed::Move(place, host) => {
                if let Some(to) =
                    self.pick(&Node::Random(String::new()), self.world.judge.host(host))
                {
                    self.begin(place, false, Some(host));
                    self.world.place(host, Some(to), true);
                }
            }
            Deed::End(node) => self.world.crash(node),
        }
    }

    fn event(&mut self, place: usize) {
        let event = &self.scenario.events[place];
        let undo = match &event.action {
            Action::Move { host, to, announced } => {
                if let Some(host) = self.pick_host(*host)
                    && let Some(to) = self.pick(to, self.world.judge.host(host))
                {
                    self.begin(place, false, Some(host));
                    self.world.place(host, Some(to), *announced);
                }
                None
            }
            Action::Add(host, on) => {
                if let Some(on) = self.pick(on, None) {
                    self.begin(place, false, Some(*host));
                    self.world.place(*host, Some(on), true);
                }
                None
            }
            Action::Remove(host) => {
                if let Some(host) = self.pick_host(*host) {
                    self.begin(place, false, Some(host));
                    self.world.place(host, None, true);
                }
                None
            }
            Action::Evacuate { node, within } => {
                self.evacuate(place, node, *within);
                None
            }
            Action::Link(link, fault) => self.link(place, *link, *fault),
            Action::Port(node, segment, fault) => {
                self.begin(place, false, None);
                self.world.set_port(*segment, *node, |port| break_port(port, *fault));
                Some(Undo::Ports(vec![(*segment, *node)]))
            }
            Action::Partition(nodes) => {
                self.begin(place, false, None);
                self.partition(nodes);
                Some(Undo::Heal)
            }
            Action::Heal => {
                self.begin(place, false, None);
                self.heal();
                None
            }
            Action::Crash(node) => self.pick_alive(node).map(|node| {
                self.begin(place, false, None);
                self.world.crash(node);
                Undo::Start(node)
            }),
            Action::Stop(node) => self.pick_alive(node).map(|node| {
                self.begin(place, false, None);
                self.world.shut_down(node);
                let end = event.undone_after.map_or(GOODBYE, |after| after.min(GOODBYE));
                let end = self.world.now() + end;
                self.agenda.entry(end).or_default().push_back(Deed::End(node));
                Undo::Start(node)
            }),
            Action::Restart(node) => {
                if let Some(node) = self.pick(node, None) {
                    self.begin(place, false, None);
                    self.world.crash(node);
                    self.start(node);
                }
                None
            }
            Action::Links(changes) => {
                self.begin(place, false, None);
                self.world.set_quality(|quality| {
                    for change in changes {
                        change.apply(quality);
                    }
                });
                None
            }
            Action::Check => {
                self.check();
                None
            }
        };
        if let Some((undo, after)) = undo.zip(event.undone_after) {
            let at = self.world.now() + after;
            self.agenda.entry(at).or_default().push_back(Deed::Undo(place, undo));
        }
    }

    /// The event at `place` happens, or is undone: to one host, or to the network.
    fn begin(&mut self, place: usize, undone: bool, host: Option<Ipv4Addr>) {
        self.close();
        let event = &self.scenario.events[place];
        let rows = &mut self.rows;
        let row = *self.row_of.entry((event.line, undone)).or_insert_with(|| {
            let text = if undone { format!("{} (over)", event.text) } else { event.text.clone() };
            rows.push(Row::new(event.line, text));
            rows.len() - 1
        });
        self.rows[row].times += 1;
        let number = u32::try_from(self.row_of_event.len()).unwrap_or(u32::MAX);
        self.row_of_event.push(row);
        self.world.judge.event(number, host);
        self.current = Current { row, at: self.world.now(), before: self.world.tally.total };
    }

    /// What happened since the last event followed from it.
    fn close(&mut self) {
        let Current { row, at, before } = self.current;
        let row = &mut self.rows[row];
        row.activity.add(self.world.tally.total.since(before));
        row.settled = row.settled.max(self.world.tally.last_fib.since(at));
    }

    fn evacuate(&mut self, place: usize, node: &Node, within: Duration) {
        let Some(node) = self.pick(node, None) else { return };
        let hosts = self.world.judge.hosts_on(node);
        let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1);
        for (number, host) in (0..).zip(hosts) {
            let at = self.world.now() + within / count * number;
            self.agenda.entry(at).or_default().push_back(Deed::Move(place, host));
        }
    }

    fn link(&mut self, place: usize, link: Link, fault: Fault) -> Option<Undo> {
        let segments = match link {
            Link::Between(a, b) => self.world.medium.between(a, b),
            Link::Random => {
                let is_well = |segment: &SegmentId| {
                    self.world.network.segments[segment.index()].lan.is_none()
                        && self.world.medium.ports(*segment).all(|(_, c)| c == Condition::GOOD)
                };
                let well: Vec<SegmentId> = self.world.medium.segments().filter(is_well).collect();
                vec![*well.get(self.below(well.len()))?]
            }
        };
        self.begin(place, false, None);
        let mut undo = Vec::new();
        for segment in segments {
            let mut ports: Vec<NodeId> =
                self.world.medium.ports(segment).map(|(port, _)| port.node).collect();
            undo.extend(ports.iter().map(|&node| (segment, node)));
            if fault == Fault::OneWay {
                // The first end named, or the first there is.
                ports.retain(|&node| match link {
                    Link::Between(a, _) => node == a,
                    Link::Random => true,
                });
                ports.truncate(1);
            }
            for node in ports {
                self.world.set_port(segment, node, |port| break_port(port, fault));
            }
        }
        Some(Undo::Ports(undo))
    }

    fn partition(&mut self, nodes: &BTreeSet<NodeId>) {
        for &node in nodes {
            let ports: Vec<SegmentId> =
                self.world.medium.ports_of(node).map(|(segment, ..)| segment).collect();
            for segment in ports {
                self.world.set_port(segment, node, |port| port.side = 1);
            }
        }
    }

    fn heal(&mut self) {
        let segments: Vec<SegmentId> = self.world.medium.segments().collect();
        for segment in segments {
            let broken: Vec<NodeId> = self
                .world
                .medium
                .ports(segment)
                .filter(|(_, condition)| *condition != Condition::GOOD)
                .map(|(port, _)| port.node)
                .collect();
            for node in broken {
                self.world.set_port(segment, node, |port| *port = Condition::GOOD);
            }
        }
    }

    fn start(&mut self, node: NodeId) {
        if !self.world.is_alive(node) {
            self.world.start(node);
        }
    }

    /// A router that runs, other than `not`.
    fn pick(&mut self, node: &Node, not: Option<NodeId>) -> Option<NodeId> {
        match node {
            Node::Named(node) => Some(*node),
            Node::Random(kind) => {
                let mut all = candidates(&self.world.network, kind);
                all.retain(|&node| Some(node) != not && self.world.is_alive(node));
                all.get(self.below(all.len())).copied()
            }
        }
    }

    fn pick_alive(&mut self, node: &Node) -> Option<NodeId> {
        self.pick(node, None).filter(|&node| self.world.is_alive(node))
    }

    fn pick_host(&mut self, host: Host) -> Option<Ipv4Addr> {
        match host {
            Host::Address(host) => Some(host),
            Host::Random => {
                let count = self.world.judge.hosts().count();
                let place = self.below(count);
                self.world.judge.hosts().nth(place).map(|(host, _)| host)
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }
}

const fn break_port(port: &mut Condition, fault: Fault) {
    match fault {
        Fault::Down => port.carrier = false,
        Fault::Silent => (port.mute, port.deaf) = (true, true),
        Fault::OneWay => port.mute = true,
        Fault::Up => *port = Condition::GOOD,
    }
}
