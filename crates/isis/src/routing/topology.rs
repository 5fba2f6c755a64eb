//! The graph of one topology of a level, and the shortest paths in it (ISO 10589 section 7.2; RFC 5120 section 6).

use std::time::Duration;

use bugle_spf::{
    Attachment, Edge, FirstHop, Graph, Happened, LocalDelay, NexthopSetId, NodeKey, NodeKind,
    NodeUpdate, Spf, SpfCounts, SpfRun,
};
use bugle_types::{Prefix, Time};

use super::backup::Trees;
use crate::io::Route;

/// One topology.
#[derive(Default)]
pub(super) struct Topology {
    root: Option<NodeKey>,
    pub(super) graph: Graph,
    pub(super) spf: Spf,
    pub(super) trees: Trees,
    /// New routes that wait.
    pub(super) delay: LocalDelay<Prefix, Route>,
    happened: Happened,
    last_run: SpfRun,
    /// The graph changed, and nobody has asked yet.
    changed: bool,
    /// Nodes that nothing is known of any more: removed after the next run, so that their place is not reused before it.
    departed: Vec<NodeKey>,
}

impl Topology {
    /// Replaces all that is known of a node.
    pub(super) fn set(&mut self, update: NodeUpdate<'_>) {
        self.departed.retain(|&departed| departed != update.key);
        // A node that is new changes nothing by itself, unless it is the root.
        let local = self.root == Some(update.key);
        let changes = self.graph.apply(update);
        self.changed |= !changes.is_empty();
        changes.iter().for_each(|change| self.happened.note(self.root, local, change));
    }

    /// Nothing is known of a node any more: it loses its edges now, and its place after the next run.
    pub(super) fn unset(&mut self, key: NodeKey, kind: NodeKind) {
        if self.graph.node(key).is_some() {
            self.set(NodeUpdate { key, kind, no_transit: false, edges: &[] });
            self.departed.push(key);
        }
    }

    /// The root's own links, which do not wait for its LSP.
    pub(super) fn set_root(&mut self, key: NodeKey, overloaded: bool, edges: &[Edge]) {
        let is_new = self.graph.node(key).is_none();
        self.root = Some(key);
        self.set(NodeUpdate { key, kind: NodeKind::Router, no_transit: overloaded, edges });
        self.changed |= is_new;
    }

    /// This system.
    pub(super) fn root(&self) -> Option<NodeKey> {
        self.root
    }

    /// Whether the graph changed since this was last asked, or since the last run.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Runs SPF. Returns the nodes whose distance or next hops changed; prefixes whose routes wait no longer are added to
    /// `released`.
    pub(super) fn run(
        &mut self,
        now: Time,
        microloop_delay: Option<Duration>,
        released: &mut Vec<Prefix>,
    ) -> Vec<NodeKey> {
        self.changed = false;
        let Some(root) = self.root else { return Vec::new() };
        let happened = std::mem::take(&mut self.happened);
        let delay = microloop_delay.filter(|delay| self.trees.complete && !delay.is_zero());
        released.extend(self.delay.on_spf(happened, now, delay));
        self.trees.complete = false;
        self.last_run = self.spf.update(&self.graph, root);
        let changed = self.spf.changed().iter().map(|change| change.key).collect();
        for node in std::mem::take(&mut self.departed) {
            self.graph.remove(node);
        }
        changed
    }

    /// Distance and next hops of a node as of the last run.
    pub(super) fn node(&self, key: NodeKey) -> Option<(u32, NexthopSetId)> {
        let node = self.graph.node(key)?;
        Some((self.spf.distance(node)?, self.spf.nexthops(node)))
    }

    /// How far the nearest of these is, as of the last run; `u64::MAX` if there is no path.
    pub(super) fn distance(&self, attachments: &[Attachment]) -> u64 {
        let distances = attachments
            .iter()
            .filter_map(|at| Some(u64::from(self.spf.distance(at.node)?) + u64::from(at.cost)));
        distances.min().unwrap_or(u64::MAX)
    }

    pub(super) fn first_hops(&self, set: NexthopSetId) -> &[FirstHop] {
        self.spf.first_hops(set)
    }

    /// Whether a node is reached by such a first hop.
    pub(super) fn is_through(&self, key: NodeKey, is_one: impl Fn(&FirstHop) -> bool) -> bool {
        let set = self.node(key).map_or(NexthopSetId::EMPTY, |(_, set)| set);
        self.first_hops(set).iter().any(is_one)
    }

    pub(super) fn last_run(&self) -> SpfRun {
        self.last_run
    }

    pub(super) fn counts(&self) -> SpfCounts {
        self.spf.counts()
    }

    pub(super) fn len(&self) -> usize {
        self.graph.len()
    }
}
