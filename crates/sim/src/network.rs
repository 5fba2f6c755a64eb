//! What a network consists of: routers, and the segments that join them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use bugle_types::{IfIndex, Prefix, Rng, RouterId, SystemId};
use bugle_wire::isis::CircuitType;

use crate::medium::Quality;

/// A router, by its place in [`Network::routers`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// A segment, by its place in [`Network::segments`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u32);

impl NodeId {
    /// The router at this place.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The place.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The identity in OSPF.
    #[must_use]
    pub const fn router_id(self) -> RouterId {
        RouterId(0xC612_0001 + self.0) // 198.18.0.1 and on
    }

    /// The identity in IS-IS: the same number.
    #[must_use]
    pub const fn system_id(self) -> SystemId {
        let [a, b, c, d] = self.router_id().0.to_be_bytes();
        SystemId([0, 0, a, b, c, d])
    }
}

impl SegmentId {
    /// The segment at this place.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The place.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Router {
    /// Its name: letters, then whatever.
    pub name: String,
    /// It asks to be no transit (RFC 6987), as a hypervisor does.
    pub stub: bool,
    /// Virtual machines can live here.
    pub edge: bool,
    /// The area of IS-IS that it is in; `None`: of those between areas.
    pub area: Option<u16>,
}

/// A router's attachment to a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// The router.
    pub node: NodeId,
    /// The cost of sending there.
    pub cost: u16,
}

/// A link between two routers, or a LAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// A LAN has a name.
    pub lan: Option<String>,
    /// Two on a link; any number on a LAN.
    pub members: Vec<Member>,
    /// If it differs from the network's.
    pub quality: Option<Quality>,
}

/// Routers and what joins them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// The routers.
    pub routers: Vec<Router>,
    /// Links and LANs.
    pub segments: Vec<Segment>,
    /// What areas of IS-IS are told of each other.
    pub borders: Borders,
}

/// What the routers between an area of IS-IS and level 2 tell the area of what lies outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Borders {
    /// Everything (RFC 5302).
    #[default]
    Leak,
    /// That they lead out of it, by the attached bit: the others have a default route to the nearest (ISO 10589 section 7.2.9).
    Attached,
}

/// The cost of a link that is given none.
pub const DEFAULT_COST: u16 = 10;
/// A LAN has room for so many routers.
pub const LAN_SIZE: usize = 254;

impl Network {
    /// `length` routers in a row: `r1`, `r2`, ...
    #[must_use]
    pub fn chain(length: usize) -> Self {
        let mut network = Self::equals(length);
        for index in 1..length {
            network.join(index - 1, index);
        }
        network
    }

    /// `length` routers in a circle.
    #[must_use]
    pub fn ring(length: usize) -> Self {
        let mut network = Self::chain(length);
        if length > 2 {
            network.join(length - 1, 0);
        }
        network
    }

    /// Rows and columns of routers, numbered row by row.
    #[must_use]
    pub fn grid(rows: usize, columns: usize) -> Self {
        let mut network = Self::equals(rows * columns);
        for index in 0..rows * columns {
            if index % columns + 1 < columns {
                network.join(index, index + 1);
            }
            if index + columns < rows * columns {
                network.join(index, index + columns);
            }
        }
        network
    }

    /// A Clos fabric: every leaf has a link to every spine. With `hosts`, hypervisors hang off pairs of leaves; without, the
    /// leaves are the hypervisors.
    #[must_use]
    pub fn clos(spines: usize, leaves: usize, hosts: usize) -> Self {
        let mut network = Self::default();
        for (prefix, count, edge) in
            [("spine", spines, false), ("leaf", leaves, hosts == 0), ("hv", hosts, true)]
        {
            for index in 1..=count {
                network.routers.push(Router {
                    name: format!("{prefix}{index}"),
                    stub: edge,
                    edge,
                    area: None,
                });
            }
        }
        for leaf in 0..leaves {
            for spine in 0..spines {
                network.join(spines + leaf, spine);
            }
        }
        for host in 0..hosts {
            let first = host * 2 % leaves.max(1);
            let second = (first + 1) % leaves.max(1);
            for leaf in BTreeSet::from([first, second]) {
                network.join(spines + leaves + host, spines + leaf);
            }
        }
        network
    }

    /// A random network as Waxman drew them: routers lie on a square, and near ones are joined rather than far ones, with about
    /// `degree` links each. Costs grow with the distance. It is connected.
    #[must_use]
    pub fn waxman(count: usize, degree: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut network = Self::equals(count);
        let places: Vec<(u64, u64)> =
            (0..count).map(|_| (rng.below(1000), rng.below(1000))).collect();
        let distance = |a: usize, b: usize| {
            let ((ax, ay), (bx, by)) = (places[a], places[b]);
            (ax.abs_diff(bx).pow(2) + ay.abs_diff(by).pow(2)).isqrt()
        };
        let cost = |a, b| u16::try_from(1 + distance(a, b) / 10).unwrap_or(u16::MAX);
        let mut joined = BTreeSet::new();
        // A tree of the nearest keeps it in one piece.
        for index in 1..count {
            let nearest = (0..index).min_by_key(|&other| distance(index, other)).unwrap_or(0);
            joined.insert((nearest, index));
        }
        let wanted = (count * degree / 2).min(count * count.saturating_sub(1) / 2);
        let mut attempts = 0;
        while joined.len() < wanted && attempts < wanted * 1000 {
            attempts += 1;
            let (a, b) = (rng.below(count as u64), rng.below(count as u64));
            let (Ok(a), Ok(b)) = (usize::try_from(a.min(b)), usize::try_from(a.max(b))) else {
                continue;
            };
            // The probability halves with every 100 of distance.
            let odds = 1000 >> (distance(a, b) / 100).min(10);
            if a != b && rng.below(1000) < odds {
                joined.insert((a, b));
            }
        }
        for (a, b) in joined {
            network.join_at(a, b, cost(a, b));
        }
        network
    }

    /// So many routers, all alike, joined to nothing.
    #[must_use]
    pub fn equals(count: usize) -> Self {
        let router =
            |index| Router { name: format!("r{index}"), stub: false, edge: true, area: None };
        Self { routers: (1..=count).map(router).collect(), segments: Vec::new(), ..Self::default() }
    }

    /// Joins two routers at the default cost.
    pub fn join(&mut self, a: usize, b: usize) {
        self.join_at(a, b, DEFAULT_COST);
    }

    /// Joins two routers.
    pub fn join_at(&mut self, a: usize, b: usize, cost: u16) {
        let member = |index| Member { node: NodeId::at(index), cost };
        let members = vec![member(a), member(b)];
        self.segments.push(Segment { lan: None, members, quality: None });
    }

    /// Puts routers on a LAN.
    pub fn lan(&mut self, name: &str, members: &[usize], cost: u16) {
        let members =
            members.iter().map(|&index| Member { node: NodeId::at(index), cost }).collect();
        self.segments.push(Segment { lan: Some(name.to_owned()), members, quality: None });
    }

    /// The levels of IS-IS that a router takes part in: within its area level 1, and level 2 if it is in none or has a link out of it.
    #[must_use]
    pub fn levels(&self, node: NodeId) -> CircuitType {
        let area = |node: NodeId| self.routers.get(node.index()).and_then(|router| router.area);
        let own = area(node);
        if own.is_none() {
            return CircuitType::L2;
        }
        let on = |segment: &&Segment| segment.members.iter().any(|member| member.node == node);
        let mut around = self.segments.iter().filter(on).flat_map(|segment| &segment.members);
        if around.any(|member| area(member.node) != own) {
            CircuitType::L1_L2
        } else {
            CircuitType::L1
        }
    }

    /// The router called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.routers.iter().position(|router| router.name == name).map(NodeId::at)
    }

    /// The name of a router.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        self.routers.get(node.index()).map_or("?", |router| &router.name)
    }

    /// The name of a segment: the LAN's, or the two ends'.
    #[must_use]
    pub fn segment_name(&self, segment: SegmentId) -> String {
        let Some(segment) = self.segments.get(segment.index()) else { return "?".to_owned() };
        segment.lan.clone().unwrap_or_else(|| {
            let ends: Vec<&str> =
                segment.members.iter().map(|member| self.name(member.node)).collect();
            ends.join("-")
        })
    }

    /// Where everything is plugged in: interface numbers and addresses.
    #[must_use]
    pub(crate) fn ports(&self) -> Vec<Vec<Port>> {
        let mut used: BTreeMap<NodeId, u32> = BTreeMap::new();
        let (mut links, mut lans) = (0, 0);
        self.segments
            .iter()
            .map(|segment| {
                // Links have 172.16.0.0/12 in pieces of two, LANs 100.64.0.0/10 in pieces of 256.
                let (first, length): (u32, u8) = if segment.lan.is_some() {
                    lans += 1;
                    (0x6440_0001 + 256 * (lans - 1), 24)
                } else {
                    links += 1;
                    (0xAC10_0000 + 2 * (links - 1), 31)
                };
                (first..)
                    .zip(&segment.members)
                    .map(|(address, member)| {
                        let count = used.entry(member.node).or_insert(FIRST_PORT);
                        *count += 1;
                        Port {
                            node: member.node,
                            ifindex: IfIndex(*count),
                            address: Ipv4Addr::from(address),
                            prefix_length: length,
                            cost: member.cost,
                        }
                    })
                    .collect()
            })
            .collect()
    }
}

/// The interface that virtual machines are behind, on every router.
pub(crate) const TAP: IfIndex = IfIndex(1);
/// Its name.
pub(crate) const TAP_NAME: &str = "tap0";
/// The interface before the first that protocols run on.
pub(crate) const FIRST_PORT: u32 = TAP.0;

/// An interface on a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Port {
    pub(crate) node: NodeId,
    pub(crate) ifindex: IfIndex,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix_length: u8,
    pub(crate) cost: u16,
}

impl Port {
    /// The network of the segment.
    pub(crate) fn network(&self) -> Option<Prefix> {
        Prefix::new(self.address.into(), self.prefix_length)
    }
}
