//! The incremental calculation: what changes of the graph do to a tree that is there already.
//!
//! It needs no more than the nodes whose incoming edges have changed, and neither old costs nor lists of parents: a parent
//! is who offers a node its rank. Every step of a path raises the rank, even one that costs nothing, so the parents of a node
//! have joined the tree, or left it, before its turn comes, and edges without cost need no special care. It goes thus:
//!
//! 1. **Mark** the nodes whose incoming edges have changed.
//! 2. **Prune.** In the order of their ranks, see which of them no parent offers its rank any more. Such a node leaves the
//!    tree, and those it was a parent of are marked in their turn. Here it shows whether a full run would be cheaper.
//! 3. **Graft.** Every marked node becomes a candidate at the best that its neighbours in the tree offer it.
//! 4. **Grow** the tree as usual, but let only those candidates pass something on whose rank or nexthops have changed.
//!    A node to which they offer the rank it has becomes a candidate: it may inherit other nexthops now. This costs about what
//!    it does in a full run, however many nodes it changes.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::graph::{Graph, NodeIdx, NodeKey, NodeKind};
use crate::nexthop::{FirstHop, NexthopSetId};
use crate::rank::Rank;
use crate::spf::{Fallback, NodeState, Spf, SpfKind, SpfRun, is_crossed};

/// All paths are calculated afresh if more than one in so many nodes may leave the tree.
const GIVE_UP: usize = 8;

/// When one in so many nodes may leave the tree, it is time to look at what is behind those links of the root that are lost.
const LOOK_AHEAD: usize = 64;

/// What a node costs, in thirds of what it does in a full run, if it loses all its first hops: it leaves the tree and joins it again.
const ALL_HOPS_LOST: usize = 9;

/// The same if it keeps some.
const SOME_HOPS_LOST: usize = 4;

impl Spf {
    /// Brings the tree up to date with `graph`, and compares it with the one before; if there is a reason not to, leaves it
    /// as it was.
    pub(crate) fn follow(&mut self, graph: &Graph, root: NodeKey) -> Result<SpfRun, Fallback> {
        let root = self.known_root(graph, root).ok_or(Fallback::NewRoot)?;
        let heads = graph.journal().since(self.read).ok_or(Fallback::ManyChanges)?;
        self.nodes.resize(graph.slots(), NodeState::UNREACHED);
        self.keys.resize(graph.slots(), None);

        let mut run = SpfRun { kind: SpfKind::Incremental, ..SpfRun::default() };
        self.mark(graph, root, heads);
        self.prune(graph, root, &mut run)?;
        self.graft(graph, root, &mut run);
        self.regrow(graph, root, &mut run);
        run.nodes_visited = self.touched.len();

        let mut touched = std::mem::take(&mut self.touched);
        for (node, _) in &touched {
            self.nodes[node.index()].touched = false;
        }
        self.compare(graph, touched.drain(..));
        self.touched = touched;
        Ok(run)
    }

    /// Where `root` is, if the tree is rooted in it.
    fn known_root(&self, graph: &Graph, root: NodeKey) -> Option<NodeIdx> {
        let node = self.root.filter(|&node| graph.node(root) == Some(node))?;
        let same = self.keys[node.index()] == Some(root)
            && self.nodes[node.index()].rank == Rank::root(graph.kind(node));
        same.then_some(node)
    }

    /// Touches the nodes whose incoming edges have changed, and makes those that are in the tree candidates for leaving it.
    fn mark(&mut self, graph: &Graph, root: NodeIdx, heads: &[NodeIdx]) {
        for &node in heads {
            let state = self.nodes[node.index()];
            if node == root || state.touched {
                continue;
            }
            self.touch(node);
            // Only the ranks of nodes that are what they were rise with every step.
            if state.rank.is_router() != (graph.kind(node) == NodeKind::Router) {
                self.uproot(node);
            } else if state.rank < Rank::UNREACHED {
                self.candidates.push(state.rank, node);
            }
        }
    }

    /// Takes the nodes out of the tree that no parent offers their rank any more.
    fn prune(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) -> Result<(), Fallback> {
        let most = graph.len() / GIVE_UP;
        let mut look_at = graph.len() / LOOK_AHEAD;
        while let Some((rank, node)) = self.candidates.pop() {
            if self.best_offer(graph, root, node, run) <= rank {
                continue;
            }
            self.uproot(node);
            let arcs = graph.out_of().arcs(node);
            run.edges_visited += arcs.len();
            for arc in arcs {
                let child = arc.peer();
                let state = self.nodes[child.index()];
                if !state.touched && rank.step(arc.cost, arc.kind()) == state.rank {
                    self.touch(child);
                    self.candidates.push(state.rank, child);
                }
            }
            if self.touched.len() > look_at {
                if self.touched.len() > most || self.is_full_run_cheaper(graph) {
                    self.restore();
                    return Err(Fallback::ManyNodes);
                }
                look_at = most;
            }
        }
        Ok(())
    }

    /// Whether so many nodes are behind first hops that have left the tree that a full run is cheaper: each of them will change.
    fn is_full_run_cheaper(&self, graph: &Graph) -> bool {
        let lost = self.lost_hops();
        if lost.is_empty() {
            return false;
        }
        // Without a network its routers are lost, too.
        let is_lost = |hop: &&FirstHop| {
            lost.contains(*hop) || lost.contains(&FirstHop { router: None, ..**hop })
        };
        let cost = |hops: &[FirstHop]| match hops.iter().filter(is_lost).count() {
            0 => 0,
            lost if lost == hops.len() => ALL_HOPS_LOST,
            _ => SOME_HOPS_LOST,
        };
        let costs: Vec<usize> = self.sets.iter().map(cost).collect();
        let of_nodes = self.nodes.iter().filter_map(|node| costs.get(node.nexthops.index()));
        of_nodes.sum::<usize>() > 3 * graph.len()
    }

    /// The first hops that have left the tree.
    fn lost_hops(&self) -> BTreeSet<FirstHop> {
        let uprooted =
            |&&(node, _): &&(NodeIdx, NodeState)| self.nodes[node.index()].rank == Rank::UNREACHED;
        let first_hops = |&(node, before): &(NodeIdx, NodeState)| {
            let router = self.keys[node.index()];
            let hops = self.sets.members(before.nexthops).iter().copied();
            hops.filter(move |hop| hop.router.is_none() || hop.router == router)
        };
        self.touched.iter().filter(uprooted).flat_map(first_hops).collect()
    }

    /// Makes every touched node a candidate at the best rank that its neighbours offer.
    fn graft(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) {
        for at in 0..self.touched.len() {
            let node = self.touched[at].0;
            let rank = self.best_offer(graph, root, node, run);
            if rank < Rank::UNREACHED {
                let state = &mut self.nodes[node.index()];
                let moved = rank != state.rank;
                *state = NodeState { rank, moved, merge: true, ..*state };
                self.candidates.push(rank, node);
            }
        }
    }

    /// Grows the tree until no candidate is left.
    fn regrow(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) {
        while let Some((rank, node)) = self.candidates.pop() {
            let state = self.nodes[node.index()];
            // It has a better rank by now.
            if rank != state.rank {
                continue;
            }
            let mut nexthops = state.nexthops;
            if state.merge {
                nexthops = self.merge(graph, root, node);
                run.edges_visited += graph.into().arcs(node).len();
                self.nodes[node.index()] = NodeState { nexthops, merge: false, ..state };
            }
            let as_before = !state.moved && nexthops == state.nexthops;
            if as_before || !is_crossed(graph, root, node) {
                continue;
            }
            let arcs = graph.out_of().arcs(node);
            run.edges_visited += arcs.len();
            let attached = !rank.is_router() && self.sets.is_attached(nexthops);
            for arc in arcs {
                let inherited =
                    if attached { self.inherit(graph, node, arc.peer()) } else { nexthops };
                self.offer(arc.peer(), rank.step(arc.cost, arc.kind()), inherited);
            }
        }
    }

    /// The best rank that the neighbours of `node` offer it.
    fn best_offer(&self, graph: &Graph, root: NodeIdx, node: NodeIdx, run: &mut SpfRun) -> Rank {
        let kind = graph.kind(node);
        let arcs = graph.into().arcs(node);
        run.edges_visited += arcs.len();
        arcs.iter()
            .filter(|arc| is_crossed(graph, root, arc.peer()))
            .map(|arc| self.nodes[arc.peer().index()].rank.step(arc.cost, kind))
            .min()
            .unwrap_or(Rank::UNREACHED)
    }

    /// Offers `node` the path over a parent that has changed. It takes one that is better than its own; one as good may come
    /// with other nexthops.
    fn offer(&mut self, node: NodeIdx, rank: Rank, nexthops: NexthopSetId) {
        let order = rank.cmp(&self.nodes[node.index()].rank);
        if rank >= Rank::UNREACHED || order == Ordering::Greater {
            return;
        }
        self.touch(node);
        let state = &mut self.nodes[node.index()];
        if order == Ordering::Less {
            *state = NodeState { rank, nexthops, merge: false, moved: true, ..*state };
        } else if state.moved {
            // A parent that has not changed offered this rank before, too. So there is none, or the node was grafted on it and
            // is to be merged anyway; all others make their offers in turn, as in a full run.
            state.merge |= nexthops != state.nexthops;
            return;
        } else if std::mem::replace(&mut state.merge, true) {
            return;
        }
        self.candidates.push(rank, node);
    }

    /// Keeps what `node` was before the update.
    fn touch(&mut self, node: NodeIdx) {
        let state = &mut self.nodes[node.index()];
        if !state.touched {
            self.touched.push((node, *state));
            *state = NodeState { merge: false, touched: true, moved: false, ..*state };
        }
    }

    /// Takes a touched node out of the tree.
    fn uproot(&mut self, node: NodeIdx) {
        let state = &mut self.nodes[node.index()];
        state.rank = Rank::UNREACHED;
        state.nexthops = NexthopSetId::EMPTY;
    }

    /// Makes the touched nodes what they were before the update.
    fn restore(&mut self) {
        self.candidates.clear();
        for (node, before) in self.touched.drain(..) {
            self.nodes[node.index()] = before;
        }
    }
}
