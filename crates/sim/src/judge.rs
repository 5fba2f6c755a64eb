//! The data plane, judged: every watched flow is walked through the kernels whenever something on its way changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bugle_types::{Nexthop, Time};

use crate::digest::Digest;
use crate::kernel::{Changed, Kernel, Way};
use crate::medium::{Medium, passes};
use crate::network::{NodeId, TAP};

/// What becomes of a flow's packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// They arrive.
    Delivered,
    /// They cannot arrive whatever routing does: the destination is nowhere, or no link leads to it.
    Impossible,
    /// They vanish: there is no route, or it leads into a link that does not carry them.
    BlackHole,
    /// They go in a circle.
    Loop,
    /// They are delivered to a router on which the destination is not.
    WrongPlace,
}

/// A flow lost packets for some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// The event that came before it, by number.
    pub event: u32,
    /// From whom.
    pub source: NodeId,
    /// To whom.
    pub destination: Ipv4Addr,
    /// When it began.
    pub start: Time,
    /// Lost in black holes.
    pub black_hole: Duration,
    /// Lost in loops.
    pub looped: Duration,
    /// Lost to the wrong place.
    pub wrong_place: Duration,
}

impl Outage {
    /// Lost in all.
    #[must_use]
    pub fn lost(&self) -> Duration {
        self.black_hole + self.looped + self.wrong_place
    }
}

#[derive(Clone, Debug)]
struct Flow {
    source: NodeId,
    destination: Ipv4Addr,
    /// The routers that its packets visit.
    path: Vec<NodeId>,
    verdict: Verdict,
    since: Time,
    outage: Option<Outage>,
}

/// Watches flows.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Where each virtual machine is.
    hosts: BTreeMap<Ipv4Addr, NodeId>,
    flows: Vec<Flow>,
    to: HashMap<Ipv4Addr, Vec<u32>, BuildHasherDefault<Digest>>,
    /// By router, the flows whose packets visit it.
    through: Vec<BTreeSet<u32>>,
    /// Flows whose packets do not arrive.
    troubled: BTreeSet<u32>,
    outages: Vec<Outage>,
    /// The last event that concerned everything, and those that concerned one host.
    last_event: u32,
    last_event_of: BTreeMap<Ipv4Addr, u32>,
    /// By router, whether packets of others may pass it.
    transit: Vec<bool>,
    /// Which routers can reach each other over working links; `None` if that is to be found out again.
    parts: Option<Vec<BTreeSet<u32>>>,
    /// Before this, nothing counts as lost: the network is coming up.
    armed: bool,
    /// When every flow arrived for the first time.
    up: Option<Time>,
}

impl Judge {
    pub(crate) fn new(
        transit: Vec<bool>,
        hosts: BTreeMap<Ipv4Addr, NodeId>,
        flows: Vec<(NodeId, Ipv4Addr)>,
    ) -> Self {
        let mut to: HashMap<Ipv4Addr, Vec<u32>, _> = HashMap::default();
        let mut through = vec![BTreeSet::new(); transit.len()];
        for (id, &(source, destination)) in (0..).zip(&flows) {
            to.entry(destination).or_default().push(id);
            through[source.index()].insert(id);
        }
        let flows = flows.into_iter().map(|(source, destination)| Flow {
            source,
            destination,
            path: vec![source],
            verdict: Verdict::BlackHole,
            since: Time::ZERO,
            outage: None,
        });
        let flows: Vec<Flow> = flows.collect();
        Self {
            hosts,
            troubled: (0..).zip(&flows).map(|(id, _)| id).collect(),
            flows,
            to,
            through,
            outages: Vec::new(),
            last_event: 0,
            last_event_of: BTreeMap::new(),
            transit,
            parts: None,
            armed: false,
            up: None,
        }
    }

    /// Looks at every flow once: some can never arrive.
    pub(crate) fn begin(&mut self, kernels: &[Kernel], medium: &Medium) {
        for flow in self.troubled.clone() {
            self.walk(Time::ZERO, flow, kernels, medium);
        }
    }

    /// From now on loss counts.
    pub(crate) fn arm(&mut self, now: Time) {
        self.armed = true;
        for flow in &mut self.flows {
            flow.since = now;
        }
    }

    /// Event `number` happens: to one host, or to the network.
    pub(crate) fn event(&mut self, number: u32, host: Option<Ipv4Addr>) {
        match host {
            Some(host) => {
                self.last_event_of.insert(host, number);
            }
            None => self.last_event = number,
        }
    }

    /// Where a host is.
    pub(crate) fn host(&self, host: Ipv4Addr) -> Option<NodeId> {
        self.hosts.get(&host).copied()
    }

    /// Every host, and where it is.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (Ipv4Addr, NodeId)> + use<'_> {
        self.hosts.iter().map(|(&host, &node)| (host, node))
    }

    /// The hosts on a router.
    pub(crate) fn hosts_on(&self, node: NodeId) -> Vec<Ipv4Addr> {
        self.hosts().filter(|&(_, at)| at == node).map(|(host, _)| host).collect()
    }

    /// A host is somewhere else now. Where it was.
    pub(crate) fn place(
        &mut self,
        now: Time,
        host: Ipv4Addr,
        node: Option<NodeId>,
        kernels: &[Kernel],
        medium: &Medium,
    ) -> Option<NodeId> {
        let from = match node {
            Some(node) => self.hosts.insert(host, node),
            None => self.hosts.remove(&host),
        };
        for flow in self.to.get(&host).cloned().unwrap_or_default() {
            self.walk(now, flow, kernels, medium);
        }
        from
    }

    /// A kernel's forwarding table changed.
    pub(crate) fn kernel_changed(
        &mut self,
        now: Time,
        node: NodeId,
        changed: Changed,
        kernels: &[Kernel],
        medium: &Medium,
    ) {
        match changed {
            Changed::Nothing => {}
            Changed::Many => self.walk_through(now, node, kernels, medium),
            Changed::Route(prefix) if prefix.length() == 0 => {
                self.walk_through(now, node, kernels, medium);
            }
            Changed::Route(prefix) => {
                let IpAddr::V4(host) = prefix.address() else { return };
                let Some(flows) = self.to.get(&host).filter(|_| prefix.is_host()) else { return };
                let through = &self.through[node.index()];
                let flows: Vec<u32> =
                    flows.iter().copied().filter(|flow| through.contains(flow)).collect();
                for flow in flows {
                    self.walk(now, flow, kernels, medium);
                }
            }
        }
    }

    /// A router's links, or all of its routes, changed.
    pub(crate) fn node_changed(
        &mut self,
        now: Time,
        node: NodeId,
        kernels: &[Kernel],
        medium: &Medium,
    ) {
        self.parts = None;
        self.walk_through(now, node, kernels, medium);
        // What cannot arrive may be able to, and the other way round.
        for flow in self.troubled.clone() {
            self.walk(now, flow, kernels, medium);
        }
    }

    /// What was lost until now, open outages included.
    pub(crate) fn outages(&self, now: Time) -> Vec<Outage> {
        let open = self.troubled.iter().filter_map(|&id| {
            let flow = &self.flows[id as usize];
            let mut outage = flow.outage?;
            add(&mut outage, flow.verdict, now.since(flow.since));
            Some(outage)
        });
        let all = self.outages.iter().copied().chain(open);
        all.filter(|outage| !outage.lost().is_zero()).collect()
    }

    /// Flows whose packets do not arrive although they could.
    pub(crate) fn failing(&self) -> impl Iterator<Item = (NodeId, Ipv4Addr, Verdict)> + use<'_> {
        self.troubled
            .iter()
            .map(|&id| &self.flows[id as usize])
            .filter(|flow| flow.verdict > Verdict::Impossible)
            .map(|flow| (flow.source, flow.destination, flow.verdict))
    }

    /// When every flow that can arrive did for the first time.
    pub(crate) const fn up(&self) -> Option<Time> {
        self.up
    }

    /// How many flows are watched.
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    fn walk_through(&mut self, now: Time, node: NodeId, kernels: &[Kernel], medium: &Medium) {
        for flow in self.through[node.index()].clone() {
            self.walk(now, flow, kernels, medium);
        }
    }

    /// Walks a flow, and notes what changed.
    fn walk(&mut self, now: Time, id: u32, kernels: &[Kernel], medium: &Medium) {
        let (source, destination) =
            (self.flows[id as usize].source, self.flows[id as usize].destination);
        let place = self.hosts.get(&destination).copied();
        let (mut verdict, path) = walk(kernels, medium, id, source, destination, place);
        if verdict != Verdict::Delivered
            && !place.is_some_and(|place| self.can_reach(source, place, medium))
        {
            verdict = Verdict::Impossible;
        }
        if path != self.flows[id as usize].path {
            let old = std::mem::replace(&mut self.flows[id as usize].path, path);
            for node in old {
                self.through[node.index()].remove(&id);
            }
            for node in &self.flows[id as usize].path {
                self.through[node.index()].insert(id);
            }
        }
        let flow = &mut self.flows[id as usize];
        if verdict == flow.verdict {
            return;
        }
        if self.armed {
            let event = self.last_event.max(*self.last_event_of.get(&destination).unwrap_or(&0));
            let new = Outage {
                event,
                source,
                destination,
                start: now,
                black_hole: Duration::ZERO,
                looped: Duration::ZERO,
                wrong_place: Duration::ZERO,
            };
            if let Some(outage) = &mut flow.outage {
                add(outage, flow.verdict, now.since(flow.since));
            }
            if verdict > Verdict::Impossible {
                flow.outage.get_or_insert(new);
            } else {
                self.outages.extend(flow.outage.take());
            }
        }
        (flow.verdict, flow.since) = (verdict, now);
        if verdict == Verdict::Delivered {
            self.troubled.remove(&id);
            if self.up.is_none() && self.failing().next().is_none() {
                self.up = Some(now);
            }
        } else {
            self.troubled.insert(id);
        }
    }

    /// Whether working links lead from one router to another.
    fn can_reach(&mut self, a: NodeId, b: NodeId, medium: &Medium) -> bool {
        let parts = self.parts.get_or_insert_with(|| parts(&self.transit, medium));
        a == b || !parts[a.index()].is_disjoint(&parts[b.index()])
    }
}

fn add(outage: &mut Outage, verdict: Verdict, lost: Duration) {
    match verdict {
        Verdict::Delivered | Verdict::Impossible => {}
        Verdict::BlackHole => outage.black_hole += lost,
        Verdict::Loop => outage.looped += lost,
        Verdict::WrongPlace => outage.wrong_place += lost,
    }
}

/// Where a packet goes: what becomes of it, and whom it visits.
fn walk(
    kernels: &[Kernel],
    medium: &Medium,
    flow: u32,
    source: NodeId,
    destination: Ipv4Addr,
    place: Option<NodeId>,
) -> (Verdict, Vec<NodeId>) {
    let number = kernels[source.index()].number(destination);
    let mut path = vec![source];
    let mut at = source;
    loop {
        let kernel = &kernels[at.index()];
        let hop = match kernel.lookup(destination, number) {
            Way::None | Way::Dropped => None,
            Way::Single(hop) => Some(hop),
            Way::Group(group) => {
                // As a kernel does: one flow takes one leg.
                let mut hash = Digest::new();
                hash.write_u32(flow);
                hash.write_u32(at.0);
                let legs = u64::try_from(group.members.len()).unwrap_or(1).max(1);
                let leg = usize::try_from(hash.finish() % legs).unwrap_or(0);
                group.members.get(leg).and_then(|&id| kernel.nexthop(id))
            }
        };
        let next = match hop {
            Some(Nexthop { ifindex, gateway: None }) if ifindex == TAP => {
                let right = place == Some(at);
                return (if right { Verdict::Delivered } else { Verdict::WrongPlace }, path);
            }
            Some(Nexthop { ifindex, gateway: Some(IpAddr::V4(gateway)) }) => {
                medium.reach(at, ifindex, gateway)
            }
            Some(_) | None => None,
        };
        let Some(next) = next else { return (Verdict::BlackHole, path) };
        if path.contains(&next) {
            return (Verdict::Loop, path);
        }
        path.push(next);
        at = next;
    }
}

/// For each router the parts of the network it is in: routers that are in one part can send each other packets. Those that packets
/// of others may pass are in one; others at the edge of several, perhaps, and in one more with each of their kind beside them.
fn parts(transit: &[bool], medium: &Medium) -> Vec<BTreeSet<u32>> {
    let mut neighbors = vec![Vec::new(); transit.len()];
    for segment in medium.segments() {
        let ports: Vec<_> = medium.ports(segment).collect();
        for (a, from) in &ports {
            for (b, to) in &ports {
                if a.node != b.node && passes(*from, *to) && passes(*to, *from) {
                    neighbors[a.node.index()].push(b.node.index());
                }
            }
        }
    }
    let mut parts = vec![BTreeSet::new(); transit.len()];
    let mut number = 0;
    for start in (0..transit.len()).filter(|&node| transit[node]) {
        let mut stack = if parts[start].is_empty() { vec![start] } else { Vec::new() };
        while let Some(node) = stack.pop() {
            if parts[node].insert(number) && transit[node] {
                stack.extend(&neighbors[node]);
            }
        }
        number += 1;
    }
    for (node, beside) in neighbors.iter().enumerate().filter(|&(node, _)| !transit[node]) {
        for &other in beside.iter().filter(|&&other| other > node && !transit[other]) {
            parts[node].insert(number);
            parts[other].insert(number);
            number += 1;
        }
    }
    parts
}
