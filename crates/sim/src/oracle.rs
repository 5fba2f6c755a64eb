//! What the routes should be, from the truth about the network, by definition and without the speakers' code.

mod areas;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::Ipv4Addr;

use bugle_rib::Protocol;
use bugle_types::{IfIndex, Nexthop, Prefix};

use crate::medium::passes;
use crate::network::{NodeId, Port};
use crate::world::World;
use areas::Areas;

/// The route that a router should have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Its cost, or for a virtual machine the metric.
    pub metric: u32,
    /// Sorted; none if the network or the virtual machine is the router's own.
    pub nexthops: Vec<Nexthop>,
}

/// What a protocol should make of the network as it is.
#[derive(Debug)]
pub(crate) enum Oracle {
    /// OSPF, in one area.
    Ospf(Graph),
    /// IS-IS.
    Isis(Areas),
}

/// Which routers run and can reach each other: each with the first of its part.
pub(crate) type Parts = BTreeMap<NodeId, NodeId>;

impl Oracle {
    /// Looks at the world as it is.
    pub(crate) fn new(world: &World, protocol: Protocol) -> Self {
        Self::with(world, protocol, &|node| world.is_alive(node))
    }

    /// Looks at the world as it would be if those daemons ran that `is_alive` tells.
    pub(crate) fn with(
        world: &World,
        protocol: Protocol,
        is_alive: &dyn Fn(NodeId) -> bool,
    ) -> Self {
        if protocol == Protocol::Isis {
            return Self::Isis(Areas::new(world, is_alive));
        }
        Self::Ospf(Graph::new(world, protocol, &|node| is_alive(node).then_some(0)))
    }

    /// Whose routes these are.
    pub(crate) const fn protocol(&self) -> Protocol {
        match self {
            Self::Ospf(_) => Protocol::Ospf,
            Self::Isis(_) => Protocol::Isis,
        }
    }

    /// The routes that a router should have, in the order of prefixes; to its own networks and hosts it needs none.
    pub(crate) fn routes(&self, router: NodeId) -> BTreeMap<Prefix, Expected> {
        let mut found = self.reached(router);
        found.retain(|_, expected| !expected.nexthops.is_empty());
        found
    }

    /// What a router can reach, its own networks and hosts included.
    pub(crate) fn reached(&self, router: NodeId) -> BTreeMap<Prefix, Expected> {
        match self {
            Self::Ospf(graph) => graph.reached(router.index()),
            Self::Isis(areas) => areas.reached(router.index()),
        }
    }

    /// By name of each database, who should have the same.
    pub(crate) fn databases(&self) -> Vec<(&'static str, Parts)> {
        match self {
            Self::Ospf(graph) => vec![("OSPF", graph.parts())],
            Self::Isis(areas) => areas.databases(),
        }
    }
}

/// The network as it is: routers that run, networks that join several of them; and what a protocol makes of it.
#[derive(Debug)]
pub(crate) struct Graph {
    protocol: Protocol,
    /// Whether each router runs and takes part.
    takes_part: Vec<bool>,
    /// By vertex, routers first, then LANs: where its edges lead, what they cost, and the first hop if they start here.
    edges: Vec<Vec<Edge>>,
    /// Networks, with the vertices that advertise them and at which cost.
    networks: BTreeMap<Prefix, Vec<(usize, u32)>>,
    /// Virtual machines, with the router that advertises each.
    hosts: BTreeMap<Prefix, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    to: usize,
    /// As the router itself sees it.
    cost: u32,
    /// As others do: RFC 6987 says that a stub router's links cost the most there is; with IS-IS's overload bit no path leads over
    /// them (ISO 10589 section 7.2.8.1).
    advertised: Option<u32>,
    ifindex: IfIndex,
    /// The other end's address, on this link or LAN.
    gateway: Option<Ipv4Addr>,
}

/// The metric of a virtual machine that rests.
const REST: u32 = 10_000;
/// RFC 6987 section 2.
const MAX_LINK_METRIC: u32 = 0xFFFF;

impl Graph {
    /// Of those routers that take part, in some area; only who is in the same hear each other.
    fn new(world: &World, protocol: Protocol, area: &dyn Fn(NodeId) -> Option<u16>) -> Self {
        let routers = world.machines.len();
        let mut graph = Self {
            protocol,
            takes_part: (0..routers).map(|index| area(NodeId::at(index)).is_some()).collect(),
            edges: vec![Vec::new(); routers],
            networks: BTreeMap::new(),
            hosts: BTreeMap::new(),
        };
        for segment in world.medium.segments() {
            let up: Vec<_> = world
                .medium
                .ports(segment)
                .filter(|(port, condition)| condition.carrier && area(port.node).is_some())
                .collect();
            let is_lan = world.network.segments[segment.index()].lan.is_some();
            // Who hears whom falls into groups: a port that is deaf or mute is alone.
            let mut groups: Vec<Vec<Port>> = Vec::new();
            let mut sides: BTreeMap<(u8, Option<u16>), usize> = BTreeMap::new();
            for (port, condition) in up {
                let own = !passes(condition, condition);
                let side = (condition.side, area(port.node));
                if let Some(&group) = sides.get(&side).filter(|_| !own) {
                    groups[group].push(port);
                    continue;
                }
                if !own {
                    sides.insert(side, groups.len());
                }
                groups.push(vec![port]);
            }
            for group in groups {
                graph.add_group(world, &group, is_lan);
            }
        }
        for (host, node) in world.judge.hosts() {
            if area(node).is_some() {
                graph.hosts.insert(Prefix::host(host.into()), node.index());
            }
        }
        graph
    }

    /// What a router can reach with OSPF, its own networks and hosts included.
    fn reached(&self, root: usize) -> BTreeMap<Prefix, Expected> {
        let (distances, hops) = self.paths(root);
        let mut found = BTreeMap::new();
        for (&prefix, advertisers) in &self.networks {
            let cost = |&(vertex, cost): &(usize, u32)| Some(distances[vertex]? + cost);
            let Some(best) = advertisers.iter().filter_map(cost).min() else { continue };
            let nearest = advertisers.iter().filter(|advertiser| cost(advertiser) == Some(best));
            let sets: Vec<&BTreeSet<Nexthop>> = nearest.map(|&(vertex, _)| &hops[vertex]).collect();
            // Without a next hop it is the router's own.
            let own = sets.iter().any(|set| set.is_empty());
            let nexthops: BTreeSet<Nexthop> =
                sets.into_iter().filter(|_| !own).flatten().copied().collect();
            let nexthops = nexthops.into_iter().collect();
            found.insert(prefix, Expected { metric: best, nexthops });
        }
        for (&prefix, &place) in &self.hosts {
            if distances[place].is_some() {
                let nexthops = hops[place].iter().copied().collect();
                found.insert(prefix, Expected { metric: REST, nexthops });
            }
        }
        found
    }

    /// Who can reach whom.
    fn parts(&self) -> Parts {
        let routers = self.takes_part.len();
        let mut part = BTreeMap::new();
        for start in (0..routers).filter(|&router| self.takes_part[router]) {
            let mut stack = vec![start];
            while let Some(vertex) = stack.pop() {
                if vertex < routers {
                    if part.contains_key(&NodeId::at(vertex)) {
                        continue;
                    }
                    part.insert(NodeId::at(vertex), NodeId::at(start));
                }
                let fresh = |to: usize| to >= routers || !part.contains_key(&NodeId::at(to));
                stack.extend(
                    self.edges[vertex]
                        .iter()
                        .map(|edge| edge.to)
                        // From a LAN back to a LAN there is no way but through a router that is new.
                        .filter(|&to| fresh(to) && !(vertex >= routers && to >= routers)),
                );
            }
        }
        part
    }

    fn is_isis(&self) -> bool {
        self.protocol == Protocol::Isis
    }

    fn add_group(&mut self, world: &World, group: &[Port], is_lan: bool) {
        let Some(network) = group.first().and_then(Port::network) else { return };
        let isis = self.is_isis();
        let advertised = |port: &Port| {
            let stub = world.network.routers[port.node.index()].stub;
            let stub_cost = if isis { None } else { Some(MAX_LINK_METRIC) };
            if stub { stub_cost } else { Some(port.cost.into()) }
        };
        let attached = || group.iter().map(|port| (port.node.index(), port.cost.into()));
        if is_lan && group.len() > 1 {
            let lan = self.edges.len();
            self.edges.push(Vec::new());
            for port in group {
                self.edges[port.node.index()].push(Edge {
                    to: lan,
                    cost: port.cost.into(),
                    advertised: advertised(port),
                    ifindex: port.ifindex,
                    gateway: None,
                });
                self.edges[lan].push(Edge {
                    to: port.node.index(),
                    cost: 0,
                    advertised: Some(0),
                    ifindex: port.ifindex,
                    gateway: Some(port.address),
                });
            }
            // In OSPF the designated router tells of the LAN's network, in IS-IS everybody on it.
            let lan = std::iter::once((lan, 0)).filter(|_| !isis);
            let tell = lan.chain(attached().filter(|_| isis));
            self.networks.entry(network).or_default().extend(tell);
            return;
        }
        self.networks.entry(network).or_default().extend(attached());
        for port in group {
            for peer in group.iter().filter(|peer| peer.node != port.node) {
                self.edges[port.node.index()].push(Edge {
                    to: peer.node.index(),
                    cost: port.cost.into(),
                    advertised: advertised(port),
                    ifindex: port.ifindex,
                    gateway: Some(peer.address),
                });
            }
        }
    }

    /// The distance of every vertex from a router, and the next hops of all shortest paths.
    fn paths(&self, root: usize) -> (Vec<Option<u32>>, Vec<BTreeSet<Nexthop>>) {
        let count = self.edges.len();
        let cost = |from: usize, edge: &Edge| {
            if from == root { Some(edge.cost) } else { edge.advertised }
        };
        let mut distances: Vec<Option<u32>> = vec![None; count];
        // LANs come before routers at the same distance: their edges cost nothing.
        let mut queue = BinaryHeap::from([Reverse((0, true, root))]);
        let mut order = Vec::new();
        while let Some(Reverse((distance, _, vertex))) = queue.pop() {
            if distances[vertex].is_some() {
                continue;
            }
            distances[vertex] = Some(distance);
            order.push(vertex);
            for edge in self.edges[vertex].iter().filter(|edge| distances[edge.to].is_none()) {
                let Some(cost) = cost(vertex, edge) else { continue };
                queue.push(Reverse((distance + cost, edge.to < self.takes_part.len(), edge.to)));
            }
        }
        let mut hops: Vec<BTreeSet<Nexthop>> = vec![BTreeSet::new(); count];
        // Whoever is one link away is reached over it; everybody else as those before them are.
        let mut on_lan: Vec<Vec<IfIndex>> = vec![Vec::new(); count];
        for vertex in order {
            let Some(distance) = distances[vertex] else { continue };
            for edge in &self.edges[vertex] {
                let Some(cost) = cost(vertex, edge) else { continue };
                if distances[edge.to] != Some(distance + cost) || edge.to == root {
                    continue;
                }
                match edge.gateway {
                    None if vertex == root => on_lan[edge.to].push(edge.ifindex),
                    Some(gateway) if vertex == root => {
                        hops[edge.to].insert(Nexthop::via(edge.ifindex, gateway.into()));
                    }
                    Some(gateway) if !on_lan[vertex].is_empty() => {
                        let direct = on_lan[vertex]
                            .iter()
                            .map(|&ifindex| Nexthop::via(ifindex, gateway.into()));
                        hops[edge.to].extend(direct);
                        let further = hops[vertex].clone();
                        hops[edge.to].extend(further);
                    }
                    Some(_) | None => {
                        let further = hops[vertex].clone();
                        hops[edge.to].extend(further);
                    }
                }
            }
        }
        (distances, hops)
    }
}
