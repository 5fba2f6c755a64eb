//! Loop-free alternates (RFC 5286): where packets can go at once when a link or a neighbour of the root fails.
//!
//! A neighbour N is a loop-free alternate for a destination D if none of its shortest paths to D leads through the root S:
//!
//! ```text
//! Distance(N, D) < Distance(N, S) + Distance(S, D)                       (Inequality 1, section 1.1)
//! ```
//!
//! All distances are those that the *other* routers calculate. They differ from the root's own if it tells others that its
//! links are costlier than they are (a stub router, RFC 6987): then hardly any path of theirs leads through it, and nearly
//! every neighbour is an alternate. So `Distance(S, D)` is what others believe, and the trees of the neighbours do not lead
//! through the root at all: a neighbour whose shortest path does is no alternate anyway, and of the others the distances are
//! the same.
//!
//! From these trees, one for each neighbour and for each network that the root is attached to, everything else follows:
//!
//! - what the root is away from D as others believe, or when one of its links is gone, is the least of what D is away from the
//!   nodes at the ends of its links. So the tree without any one link is known before the link fails;
//! - a primary neighbour, or the network it is reached across, is as far from D as the root is, less what it is away from the root.

use std::cmp::Reverse;

use smallvec::SmallVec;

use crate::distances::{Distances, Growth};
use crate::graph::{Graph, NodeIdx, NodeKey, NodeKind};
use crate::nexthop::FirstHop;
use crate::spf::Spf;

/// What the protocol has to say about the root's links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlternateRules {
    /// What every link of the root costs as others are told; `None`: what the graph says.
    pub advertised_cost: Option<u32>,
    /// A link that costs this or more, in either direction, is costed out and leads to no alternate (RFC 5286 section 3.5).
    pub max_cost: u32,
}

/// A way round a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alternate {
    /// The first step.
    pub hop: FirstHop,
    /// The cost of the path that begins with it.
    pub cost: u32,
    /// Against which failures it helps.
    pub protects: Protection,
    /// Routing will go there if the protected link is lost, so that nothing has to be changed a second time.
    pub post_convergence: bool,
    /// Its first router is nearer to the destination than the root is (Inequality 2): no loop, whatever fails.
    pub downstream: bool,
}

impl Alternate {
    /// The order of preference, the best last (section 3.6): what avoids the neighbour; what avoids the link; what is where
    /// routing will go; what is downstream; what costs less; the lower link and router.
    #[must_use]
    pub fn rank(&self) -> impl Ord + use<> {
        let Self { hop, cost, protects, post_convergence, downstream } = *self;
        (protects, post_convergence, downstream, Reverse((cost, hop)))
    }
}

/// What an alternate avoids; the better comes last (section 3.6, rules 1 and 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protection {
    /// The link, and the whole of a network on it (section 3.3), but perhaps not the neighbour.
    Link,
    /// The neighbour (section 3.2), but not the network that it is reached across.
    Node,
    /// Both.
    LinkAndNode,
}

impl Protection {
    /// A word for it: `link`, `node` or `link-and-node`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Node => "node",
            Self::LinkAndNode => "link-and-node",
        }
    }
}

/// Where a destination is attached. One that several nodes advertise has several attachments (section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Attachment {
    /// The node that advertises it.
    pub node: NodeIdx,
    /// At which cost beyond the node.
    pub cost: u32,
}

/// The alternates of one root in one graph.
///
/// [`start`](Self::start) when the graph has changed and the root's own paths are known, then [`step`](Self::step) until it
/// says that everything is there; each step costs one calculation of distances and can wait. Then [`best`](Self::best)
/// answers, until the graph changes.
#[derive(Clone)]
pub struct Alternates {
    root: Option<NodeIdx>,
    /// How much of the graph's journal the calculation knew when it started.
    read: u64,
    hops: Vec<Hop>,
    links: Vec<Link>,
    /// From whom the trees are, and those that are there already.
    from: Vec<NodeIdx>,
    trees: Vec<Distances>,
    growth: Growth,
}

/// A way out of the root.
#[derive(Clone, Copy)]
struct Hop {
    first: FirstHop,
    node: NodeIdx,
    cost: u32,
    /// The network that it leads across, and the cost up to there.
    network: Option<(NodeIdx, u32)>,
    /// Its place among the trees; `None` if it is never an alternate.
    tree: Option<usize>,
}

/// A link of the root.
#[derive(Clone, Copy)]
struct Link {
    tag: u32,
    /// What is at its far end; its place among the trees.
    node: NodeIdx,
    tree: usize,
    cost: u32,
    /// What others are told that it costs; `None` if paths do not lead through the root.
    advertised: Option<u32>,
}

impl Default for Alternates {
    fn default() -> Self {
        Self::new()
    }
}

impl Alternates {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: None,
            read: 0,
            hops: Vec::new(),
            links: Vec::new(),
            from: Vec::new(),
            trees: Vec::new(),
            growth: Growth::new(),
        }
    }

    /// Forgets everything, and prepares the calculation for the graph as it is. Only ways out that are `allowed` become
    /// alternates. Returns how many steps there are.
    pub fn start(
        &mut self,
        graph: &Graph,
        root: NodeKey,
        rules: AlternateRules,
        allowed: impl Fn(FirstHop) -> bool,
    ) -> usize {
        *self = Self { growth: std::mem::replace(&mut self.growth, Growth::new()), ..Self::new() };
        self.read = graph.journal().end();
        self.root = graph.node(root);
        let Some(root) = self.root else { return 0 };
        self.find_hops(graph, root);
        for (arc, tag) in graph.links(root) {
            let (node, cost) = (arc.peer(), arc.cost);
            let advertised =
                (!graph.no_transit(root)).then_some(rules.advertised_cost.unwrap_or(cost));
            let tree = place(&mut self.from, node);
            self.links.push(Link { tag, node, tree, cost, advertised });
        }
        for hop in &mut self.hops {
            if !is_costed_out(graph, root, hop, rules.max_cost) && allowed(hop.first) {
                hop.tree = Some(place(&mut self.from, hop.node));
            }
        }
        self.left()
    }

    /// Calculates one more of the trees. Returns how many are left.
    pub fn step(&mut self, graph: &Graph) -> usize {
        let unchanged = self.root.filter(|_| self.read == graph.journal().end());
        if let Some(root) = unchanged
            && let Some(&node) = self.from.get(self.trees.len())
        {
            self.trees.push(self.growth.grow(graph, node, root));
        }
        let left = self.left();
        if left == 0 {
            self.growth = Growth::new();
        }
        left
    }

    fn left(&self) -> usize {
        self.from.len() - self.trees.len()
    }

    /// Whether everything is calculated, and the graph is still what it was then.
    #[must_use]
    pub fn is_current(&self, graph: &Graph) -> bool {
        self.root.is_some() && self.left() == 0 && self.read == graph.journal().end()
    }

    /// The ways out of the root, in order: neighbours on point-to-point links, and all routers of the networks it is attached to.
    pub fn hops(&self) -> impl Iterator<Item = FirstHop> {
        self.hops.iter().map(|hop| hop.first)
    }

    /// Whether packets for `destination` that leave by `hop` did not come back when the trees were calculated, even if the graph
    /// has changed since; `false` if that is not known.
    #[must_use]
    pub fn was_loop_free(&self, graph: &Graph, destination: &[Attachment], hop: FirstHop) -> bool {
        let known = self.root.filter(|_| self.left() == 0).zip(self.hop(hop));
        known.is_some_and(|(root, hop)| {
            self.loop_free(&self.target(graph, root, destination), hop).is_some()
        })
    }

    /// The best alternate (section 3.6) for packets to `destination` when all of `lost` fail, which are first hops of its
    /// shortest paths according to `spf`: the one with the highest [`rank`](Alternate::rank). `None` if there is none, or the
    /// graph has changed.
    #[must_use]
    pub fn best(
        &self,
        graph: &Graph,
        spf: &Spf,
        destination: &[Attachment],
        lost: &[FirstHop],
    ) -> Option<Alternate> {
        self.all(graph, spf, destination, lost).max_by_key(Alternate::rank)
    }

    /// All alternates for packets to `destination` when all of `lost` fail. Those that protect neither links nor neighbours are
    /// left out.
    pub fn all<'a>(
        &'a self,
        graph: &Graph,
        spf: &Spf,
        destination: &'a [Attachment],
        lost: &[FirstHop],
    ) -> impl Iterator<Item = Alternate> + use<'a> {
        let case = self.case(graph, spf, destination, lost);
        self.hops.iter().filter_map(move |hop| self.judge(case.as_ref()?, hop))
    }

    fn case<'a>(
        &'a self,
        graph: &Graph,
        spf: &Spf,
        destination: &'a [Attachment],
        lost: &[FirstHop],
    ) -> Option<Case<'a>> {
        let root = self.root.filter(|_| self.is_current(graph))?;
        let lost: SmallVec<[&Hop; 4]> =
            lost.iter().map(|&hop| self.hop(hop)).collect::<Option<_>>()?;
        let link = lost.first()?.first.link;
        let one_link = lost.iter().all(|hop| hop.first.link == link);
        Some(Case {
            target: self.target(graph, root, destination),
            lost,
            distance: nearest(destination, |node| spf.distance(node)),
            afterwards: one_link.then(|| {
                let rest = |other: &Link| (other.tag != link).then_some(other.cost);
                let at_root = nearest(destination, |node| (node == root).then_some(0));
                at_root.min(self.over_links(graph, root, destination, rest))
            }),
        })
    }

    fn target<'a>(
        &self,
        graph: &Graph,
        root: NodeIdx,
        destination: &'a [Attachment],
    ) -> Target<'a> {
        // What ends at the root is through it, too.
        let own = nearest(destination, |node| (node == root).then_some(0));
        let crossed = self.over_links(graph, root, destination, |link| link.advertised);
        let others_too = destination.len() > 1;
        let overloaded = |at: &&Attachment| others_too && graph.no_transit(at.node);
        Target {
            root,
            destination,
            overloaded: destination.iter().filter(overloaded).copied().collect(),
            through_root: own.min(crossed),
        }
    }

    /// How far the root is from `destination` if its links cost this; `None`: they are not there.
    fn over_links(
        &self,
        graph: &Graph,
        root: NodeIdx,
        destination: &[Attachment],
        cost: impl Fn(&Link) -> Option<u32>,
    ) -> u64 {
        let over = |link: &Link| {
            let cost = u64::from(cost(link)?);
            let tree = self.trees.get(link.tree)?;
            let reached = |node| node == link.node || node != root && !graph.no_transit(link.node);
            let rest = nearest(destination, |node| tree.to(node).filter(|_| reached(node)));
            Some(rest.saturating_add(cost))
        };
        self.links.iter().filter_map(over).min().unwrap_or(u64::MAX)
    }

    /// How far the router that `hop` leads to is from `target`, if no shortest path of its leads through the root (Inequality 1).
    fn loop_free(&self, target: &Target<'_>, hop: &Hop) -> Option<u64> {
        let tree = self.trees.get(hop.tree?)?;
        let distance =
            nearest(target.destination, |node| tree.to(node).filter(|_| node != target.root));
        let known = distance != nearest(&target.overloaded, |node| tree.to(node));
        let back = tree.to(target.root).map_or(u64::MAX, u64::from);
        (known && distance < back.saturating_add(target.through_root)).then_some(distance)
    }

    /// What `hop` is worth in `case`; `None` if it is no alternate.
    fn judge(&self, case: &Case<'_>, hop: &Hop) -> Option<Alternate> {
        if case.lost.iter().any(|lost| lost.first == hop.first) {
            return None;
        }
        let distance = self.loop_free(&case.target, hop)?;
        let tree = self.trees.get(hop.tree?)?;
        // On no shortest path to it, through a node as far from the root as this.
        let avoids = |node, from_root: u32| {
            let beyond = case.distance.saturating_sub(u64::from(from_root));
            tree.to(node).is_none_or(|there| distance < u64::from(there).saturating_add(beyond))
        };
        // Inequality 3.
        let protects_node = case.lost.iter().all(|lost| avoids(lost.node, lost.cost));
        // Inequality 4, of a broadcast link.
        let protects_link = case.lost.iter().all(|lost| {
            lost.first.link != hop.first.link
                && lost.network.is_none_or(|(network, cost)| avoids(network, cost))
        });
        let protects = match (protects_link, protects_node) {
            (true, true) => Protection::LinkAndNode,
            (false, true) => Protection::Node,
            (true, false) => Protection::Link,
            (false, false) => return None,
        };
        let cost = distance.saturating_add(hop.cost.into());
        Some(Alternate {
            hop: hop.first,
            cost: u32::try_from(cost).ok()?,
            protects,
            post_convergence: case.afterwards == Some(cost),
            downstream: distance < case.distance,
        })
    }

    fn hop(&self, hop: FirstHop) -> Option<&Hop> {
        let at = self.hops.binary_search_by_key(&hop, |known| known.first).ok()?;
        self.hops.get(at)
    }

    fn find_hops(&mut self, graph: &Graph, root: NodeIdx) {
        for (arc, link) in graph.links(root) {
            let (node, cost) = (arc.peer(), arc.cost);
            if arc.kind() == NodeKind::Router {
                let first = FirstHop { link, router: graph.key(node) };
                self.hops.push(Hop { first, node, cost, network: None, tree: None });
                continue;
            }
            if graph.no_transit(node) {
                continue;
            }
            for member in graph.out_of().arcs(node).iter().filter(|member| member.peer() != root) {
                let first = FirstHop { link, router: graph.key(member.peer()) };
                let network = Some((node, cost));
                let cost = cost.saturating_add(member.cost);
                self.hops.push(Hop { first, node: member.peer(), cost, network, tree: None });
            }
        }
        // A member of a network that is attached to it more than once counts by its cheapest attachment.
        self.hops.sort_unstable_by_key(|hop| (hop.first, hop.cost));
        self.hops.dedup_by_key(|hop| hop.first);
    }
}

/// A destination, and what there is to know of it for every way out.
struct Target<'a> {
    root: NodeIdx,
    destination: &'a [Attachment],
    /// Those of several attachments that are to overloaded routers. One may itself reach the destination by way of others,
    /// which no tree tells, so that nobody knows where packets go that it gets.
    overloaded: SmallVec<[Attachment; 4]>,
    /// How far it is from the root for those that go through the root.
    through_root: u64,
}

/// A failure to be judged.
struct Case<'a> {
    target: Target<'a>,
    lost: SmallVec<[&'a Hop; 4]>,
    /// How far the destination is from the root.
    distance: u64,
    /// How far it will be from the root when the link that was lost is out of the calculation; `None` if several were lost.
    afterwards: Option<u64>,
}

/// Where the tree from `node` is, or will be.
fn place(from: &mut Vec<NodeIdx>, node: NodeIdx) -> usize {
    from.iter().position(|&known| known == node).unwrap_or_else(|| {
        from.push(node);
        from.len() - 1
    })
}

/// How far the nearest node of `destination` is and beyond it the destination; `u64::MAX` if there is no path.
fn nearest(destination: &[Attachment], distance: impl Fn(NodeIdx) -> Option<u32>) -> u64 {
    destination
        .iter()
        .filter_map(|at| Some(u64::from(distance(at.node)?) + u64::from(at.cost)))
        .min()
        .unwrap_or(u64::MAX)
}

/// Whether the link is not to be used for alternates, or the router at its end (section 3.5): too costly in one of the
/// directions, of parallel links by the cheapest, or overloaded.
fn is_costed_out(graph: &Graph, root: NodeIdx, hop: &Hop, max_cost: u32) -> bool {
    let near_end = hop.network.map_or(root, |(network, _)| network);
    let back = graph.into().arcs(near_end).iter().filter(|arc| arc.peer() == hop.node);
    let reverse = back.map(|arc| arc.cost).min();
    hop.cost >= max_cost
        || reverse.is_none_or(|reverse| reverse >= max_cost)
        || graph.no_transit(hop.node)
}
