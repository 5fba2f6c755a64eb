//! A generated OSPF area, as large as a benchmark wants it: a grid with chords, and external host routes; `isis` says the same in
//! the words of IS-IS.

pub(crate) mod isis;

use std::net::{IpAddr, Ipv4Addr};

use bugle_spf::{Graph, NodeKey, NodeKind, NodeUpdate};
use bugle_types::{Prefix, Rng, RouterId};
use bugle_wire::ospf::{
    ExternalLsa, LsaKey, LsaType, Options, RouterFlags, RouterLink, RouterLinkKind, SequenceNumber,
    build_lsa, external_body, router_body,
};

/// Routers are 198.18.0.0 and up, above every router of a lab.
const ROUTERS: u32 = 0xC612_0000;

/// Every router's own host route: 100.64.0.0 and up.
const ROUTER_PREFIXES: u32 = 0x6440_0000;

/// The external host routes: 10.128.0.0 and up.
const EXTERNAL_PREFIXES: u32 = 0x0A80_0000;

/// The area's routers and what they announce.
///
/// Each router has its own /32. Router 0 is the one that speaks to the router under test. External /32s are spread evenly over the
/// routers.
#[derive(Clone, Debug)]
pub struct Area {
    /// What router 0 announces on top: the link to the router under test.
    attachment: Vec<RouterLink>,
    routers: Vec<Router>,
    edges: Vec<Edge>,
    externals: Vec<SequenceNumber>,
}

#[derive(Clone, Debug)]
struct Router {
    /// Positions in `edges`.
    edges: Vec<usize>,
    sequence: SequenceNumber,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    ends: (u32, u32),
    cost: u16,
}

pub use isis::KeyedLsp;

/// An LSA: its key and all of its bytes.
pub type KeyedLsa = (LsaKey, Vec<u8>);

impl Area {
    /// A square grid of `routers` with one chord for every eight of them, about four links each, with random costs; and `externals`
    /// external host routes.
    #[must_use]
    pub fn grid(routers: u32, externals: u32, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let side = routers.isqrt() + u32::from(routers.isqrt().pow(2) < routers);
        let mut area = Self {
            attachment: Vec::new(),
            routers: (0..routers)
                .map(|_| Router { edges: Vec::new(), sequence: SequenceNumber::INITIAL })
                .collect(),
            edges: Vec::new(),
            externals: (0..externals).map(|_| SequenceNumber::INITIAL).collect(),
        };
        for router in 0..routers {
            let (right, below) = (router + 1, router + side);
            if right % side != 0 && right < routers {
                area.connect(router, right, &mut rng);
            }
            if below < routers {
                area.connect(router, below, &mut rng);
            }
        }
        for _ in 0..routers / 8 {
            let (a, b) = (random(&mut rng, routers), random(&mut rng, routers));
            if a != b {
                area.connect(a, b, &mut rng);
            }
        }
        area
    }

    /// Links router 0 to the router under test, from its address `address` on a /24.
    pub fn attach(&mut self, peer: RouterId, address: Ipv4Addr) {
        let mask = Ipv4Addr::new(255, 255, 255, 0);
        let kind = RouterLinkKind::PointToPoint;
        self.attachment = vec![
            RouterLink { kind, id: Ipv4Addr::from(peer.0), data: address, metric: 10 },
            RouterLink { kind: RouterLinkKind::Stub, id: address & mask, data: mask, metric: 10 },
        ];
    }

    /// The identity of a router.
    #[must_use]
    pub const fn router_id(router: u32) -> RouterId {
        RouterId(ROUTERS + router)
    }

    /// The host route of a router.
    #[must_use]
    pub fn router_prefix(router: u32) -> Prefix {
        host(ROUTER_PREFIXES + router)
    }

    /// An external host route.
    #[must_use]
    pub fn external_prefix(external: u32) -> Prefix {
        host(EXTERNAL_PREFIXES + external)
    }

    /// Whether this is the host route of any router, or any external one.
    #[must_use]
    pub fn announces(&self, prefix: Prefix) -> bool {
        let Some(address) = prefix.ipv4().filter(|_| prefix.is_host()).map(u32::from) else {
            return false;
        };
        (ROUTER_PREFIXES..ROUTER_PREFIXES + count(&self.routers)).contains(&address)
            || (EXTERNAL_PREFIXES..EXTERNAL_PREFIXES + count(&self.externals)).contains(&address)
    }

    /// The number of links between routers.
    #[must_use]
    pub fn edges(&self) -> u32 {
        count(&self.edges)
    }

    /// Every LSA of the area.
    pub fn lsas(&self) -> impl Iterator<Item = KeyedLsa> {
        let routers = (0..count(&self.routers)).filter_map(|router| self.router_lsa(router));
        routers.chain((0..count(&self.externals)).filter_map(|number| self.external_lsa(number)))
    }

    /// What SPF makes of the area, and the router under test in it.
    #[must_use]
    pub fn graph(&self) -> (Graph, NodeKey) {
        const TESTED: NodeKey = NodeKey(0);
        let key = |router: u32| NodeKey(u64::from(Self::router_id(router).0));
        let edge = |to, cost, tag| bugle_spf::Edge { to, cost, tag };
        let mut graph = Graph::new();
        let kind = NodeKind::Router;
        let mut apply = |key, edges: &[bugle_spf::Edge]| {
            graph.apply(NodeUpdate { key, kind, no_transit: false, edges });
        };
        for (number, router) in (0..).zip(&self.routers) {
            let mut edges: Vec<_> = router
                .edges
                .iter()
                .filter_map(|&position| {
                    Some((u32::try_from(position).ok()?, self.edges.get(position)?))
                })
                .map(|(tag, Edge { ends: (a, b), cost })| {
                    edge(key(if *a == number { *b } else { *a }), u32::from(*cost), tag)
                })
                .collect();
            if number == 0 {
                edges.push(edge(TESTED, 10, u32::MAX));
            }
            apply(key(number), &edges);
        }
        apply(TESTED, &[edge(key(0), 10, u32::MAX)]);
        (graph, TESTED)
    }

    /// Changes the cost of a link in both directions; returns the new LSAs of its two ends.
    pub fn set_cost(&mut self, edge: u32, cost: u16) -> Vec<KeyedLsa> {
        let Some(edge) = self.edges.get_mut(edge as usize) else { return Vec::new() };
        edge.cost = cost;
        let (a, b) = edge.ends;
        [a, b].into_iter().filter_map(|router| self.renew_router(router)).collect()
    }

    /// A new instance of an external LSA.
    pub fn renew_external(&mut self, number: u32) -> Option<KeyedLsa> {
        advance(self.externals.get_mut(number as usize)?);
        self.external_lsa(number)
    }

    fn connect(&mut self, a: u32, b: u32, rng: &mut Rng) {
        let position = self.edges.len();
        let cost = u16::try_from(rng.below(99)).unwrap_or(0) + 1;
        self.edges.push(Edge { ends: (a, b), cost });
        for end in [a, b] {
            if let Some(router) = self.routers.get_mut(end as usize) {
                router.edges.push(position);
            }
        }
    }

    fn renew_router(&mut self, router: u32) -> Option<KeyedLsa> {
        advance(&mut self.routers.get_mut(router as usize)?.sequence);
        self.router_lsa(router)
    }

    fn router_lsa(&self, number: u32) -> Option<KeyedLsa> {
        let router = self.routers.get(number as usize)?;
        let mut links = if number == 0 { self.attachment.clone() } else { Vec::new() };
        for position in &router.edges {
            let Edge { ends: (a, b), cost } = *self.edges.get(*position)?;
            let other = if a == number { b } else { a };
            links.push(RouterLink {
                kind: RouterLinkKind::PointToPoint,
                id: Self::router_id(other).0.into(),
                // The links are unnumbered: this is an interface's number, unique at its router.
                data: Ipv4Addr::from(u32::try_from(*position).unwrap_or(0) + 1),
                metric: cost,
            });
        }
        links.push(RouterLink {
            kind: RouterLinkKind::Stub,
            id: (ROUTER_PREFIXES + number).into(),
            data: Ipv4Addr::BROADCAST,
            metric: 1,
        });
        let flags = if self.externals.is_empty() { RouterFlags::NONE } else { RouterFlags::E };
        let key = LsaKey {
            ls_type: LsaType::ROUTER,
            link_state_id: Self::router_id(number).0.into(),
            advertising_router: Self::router_id(number),
        };
        Some((key, build_lsa(Options::E, key, router.sequence, 1, &router_body(flags, &links))))
    }

    fn external_lsa(&self, number: u32) -> Option<KeyedLsa> {
        let sequence = *self.externals.get(number as usize)?;
        let key = LsaKey {
            ls_type: LsaType::AS_EXTERNAL,
            link_state_id: (EXTERNAL_PREFIXES + number).into(),
            advertising_router: Self::router_id(number % count(&self.routers).max(1)),
        };
        let body = external_body(&ExternalLsa {
            mask: Ipv4Addr::BROADCAST,
            type2: true,
            metric: 20,
            forwarding: Ipv4Addr::UNSPECIFIED,
            tag: 0,
        });
        Some((key, build_lsa(Options::E, key, sequence, 1, &body)))
    }
}

fn advance(sequence: &mut SequenceNumber) {
    // No lab lives for 2^32 instances.
    *sequence = sequence.next().unwrap_or(SequenceNumber::INITIAL);
}

fn random(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(bound.into())).unwrap_or(0)
}

fn host(address: u32) -> Prefix {
    Prefix::host(IpAddr::V4(address.into()))
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bugle_wire::ospf::{Lsa, LsaBody};

    use super::*;

    #[test]
    fn every_link_is_announced_from_both_ends_at_the_same_cost() {
        let mut links = BTreeSet::new();
        let area = Area::grid(50, 7, 1);
        assert_eq!(area.lsas().count(), 57);
        for (key, bytes) in area.lsas() {
            let lsa = Lsa::parse(&bytes).unwrap();
            assert!(lsa.checksum_ok());
            assert_eq!(lsa.key(), key);
            if let LsaBody::Router(router) = lsa.body().unwrap() {
                for link in router.links.filter(|link| link.kind == RouterLinkKind::PointToPoint) {
                    links.insert((key.link_state_id, link.id, link.metric));
                }
            }
        }
        assert!(links.len() >= 2 * 85, "{}", links.len());
        assert!(links.iter().all(|&(a, b, cost)| links.contains(&(b, a, cost))));
    }

    #[test]
    fn the_graph_has_every_router_and_every_link() {
        let area = Area::grid(50, 7, 1);
        let (graph, root) = area.graph();
        let mut spf = bugle_spf::Spf::new();
        spf.run(&graph, root);
        let reached = |router| {
            let node = graph.node(NodeKey(Area::router_id(router).0.into()));
            node.and_then(|node| spf.distance(node))
        };
        assert_eq!(graph.len(), 51);
        assert!((0..50).all(|router| reached(router).is_some()));
        let link = area.edges[0];
        assert!(
            reached(link.ends.1).unwrap() <= reached(link.ends.0).unwrap() + u32::from(link.cost)
        );
    }

    #[test]
    fn a_changed_cost_gives_new_instances_at_both_ends() {
        let mut area = Area::grid(9, 0, 1);
        let lsas = area.set_cost(0, 77);
        assert_eq!(lsas.len(), 2);
        for (_, bytes) in &lsas {
            assert_eq!(
                Lsa::parse(bytes).unwrap().header().sequence,
                SequenceNumber::INITIAL.next().unwrap()
            );
        }
    }

    #[test]
    fn only_its_own_host_routes_are_announced() {
        let area = Area::grid(4, 2, 1);
        assert!(area.announces(Area::router_prefix(3)) && area.announces(Area::external_prefix(1)));
        assert!(!area.announces(Area::router_prefix(4)));
        assert!(!area.announces(Area::external_prefix(2)));
        assert!(!area.announces("10.128.0.0/24".parse().unwrap()));
    }
}
