//! The incremental calculation: what changes of the graph do to a tree that is there already.
//!
//! It needs no more than the nodes whose incoming edges have changed, and neither old costs nor lists of parents: a parent
//! is who offers a node its rank. Every step of a path raises the rank, even one that costs nothing, so the parents of a node
//! have joined the tree, or left it, before its turn comes, and edges without cost need no special care. It goes thus:
//!
//! 1. **Mark** the nodes whose incoming edges have changed.
//! 2. **Prune.** In the order of their ranks, see which of them no parent offers its rank any more. Such a node leaves the
//!    tree, and those it was a parent of are marked in their turn.
//! 3. **Graft.** Every marked node becomes a candidate at the best that its neighbours in the tree offer it.
//! 4. **Grow** the tree as usual, but let only those candidates pass something on whose rank or nexthops have changed.
//!    A node to which they offer the rank it has becomes a candidate: it may inherit other nexthops now.

use std::cmp::Ordering;

use crate::graph::{Graph, NodeIdx, NodeKey, NodeKind};
use crate::nexthop::NexthopSetId;
use crate::rank::Rank;
use crate::spf::{Fallback, NodeState, Spf, SpfKind, SpfRun, is_crossed};

/// All paths are calculated afresh if more than one in so many nodes may be affected: a node costs about twice what it does in
/// a full run.
const GIVE_UP: usize = 4;

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
        self.regrow(graph, root, &mut run)?;
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
            self.go_on(graph)?;
        }
        Ok(())
    }

    /// Makes every touched node a candidate at the best rank that its neighbours offer.
    fn graft(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) {
        for at in 0..self.touched.len() {
            let node = self.touched[at].0;
            let rank = self.best_offer(graph, root, node, run);
            self.offer(node, rank);
        }
    }

    /// Grows the tree until no candidate is left.
    fn regrow(&mut self, graph: &Graph, root: NodeIdx, run: &mut SpfRun) -> Result<(), Fallback> {
        while let Some((rank, node)) = self.candidates.pop() {
            let state = self.nodes[node.index()];
            // It has a better rank by now, or has had its turn.
            if rank != state.rank || !state.merge {
                continue;
            }
            let nexthops = self.merge(graph, root, node);
            run.edges_visited += graph.into().arcs(node).len();
            self.nodes[node.index()] = NodeState { nexthops, merge: false, ..state };
            let as_before = !state.moved && nexthops == state.nexthops;
            if as_before || !is_crossed(graph, root, node) {
                continue;
            }
            let arcs = graph.out_of().arcs(node);
            run.edges_visited += arcs.len();
            for arc in arcs {
                self.offer(arc.peer(), rank.step(arc.cost, arc.kind()));
            }
            self.go_on(graph)?;
        }
        Ok(())
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

    /// Offers `node` a rank. It takes one that is better than its own; one as good may come with other nexthops.
    fn offer(&mut self, node: NodeIdx, rank: Rank) {
        let order = rank.cmp(&self.nodes[node.index()].rank);
        if rank >= Rank::UNREACHED || order == Ordering::Greater {
            return;
        }
        self.touch(node);
        let state = &mut self.nodes[node.index()];
        if order == Ordering::Equal && state.merge {
            return;
        }
        state.moved |= order == Ordering::Less;
        state.rank = rank;
        state.merge = true;
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

    /// If too many nodes have been touched, makes them what they were before the update.
    fn go_on(&mut self, graph: &Graph) -> Result<(), Fallback> {
        if self.touched.len() <= graph.len() / GIVE_UP {
            return Ok(());
        }
        self.candidates.clear();
        for (node, before) in self.touched.drain(..) {
            self.nodes[node.index()] = before;
        }
        Err(Fallback::ManyNodes)
    }
}
