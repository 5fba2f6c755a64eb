//! Shortest paths for link-state protocols: the graph, the calculation, the sets of nexthops it yields.
//!
//! | Module | Holds |
//! |---|---|
//! | [`graph`] | [`Graph`]: routers and transit networks, fed one node at a time; checks that links are two-way |
//! | [`spf`] | [`Spf`]: the tree from one root, with every equal-cost path, and what changed since the last run |
//! | [`nexthop`] | [`FirstHop`] and [`NexthopSetId`]: interned sets of ways out of the root |
//! | [`alternates`] | [`Alternates`]: loop-free alternates for when a link or a neighbour of the root fails |
//! | [`protection`] | [`Backup`] and [`Coverage`]: what becomes of alternates |
//! | [`microloop`] | [`LocalDelay`]: new routes that wait (RFC 8333) |
//! | `distances` | distances alone, from any node |
//! | `update` | [`Spf::update`]: only what has changed since the last run |
//! | `adjacency` | growable arrays of live edges, forward and reverse |
//! | `journal` | what has changed, for calculations that come later |
//! | `rank` | the order in which nodes join the tree |
//! | `queue` | the candidate list |
//!
//! OSPF and IS-IS share this crate whole. The calculations know neither addresses nor prefixes: a protocol names nodes by an opaque
//! [`NodeKey`] and its links by an opaque tag, and turns a [`FirstHop`] into an interface and a gateway itself. Prefixes
//! hang off nodes and never enter the graph, so a change of prefixes needs no calculation here.
//!
//! # Example
//!
//! Two routers on a LAN, seen from the first.
//!
//! ```
//! use bugle_spf::{Edge, FirstHop, Graph, NodeKey, NodeKind, NodeUpdate, Spf};
//!
//! let (a, b, lan) = (NodeKey(1), NodeKey(2), NodeKey(100));
//! let mut graph = Graph::new();
//! for router in [a, b] {
//!     let edges = &[Edge { to: lan, cost: 10, tag: 7 }];
//!     graph.apply(NodeUpdate { key: router, kind: NodeKind::Router, no_transit: false, edges });
//! }
//! let members = &[Edge { to: a, cost: 0, tag: 0 }, Edge { to: b, cost: 0, tag: 0 }];
//! graph.apply(NodeUpdate { key: lan, kind: NodeKind::Network, no_transit: false, edges: members });
//!
//! let mut spf = Spf::new();
//! spf.update(&graph, a);
//! let node = graph.node(b).expect("it was added");
//! assert_eq!(spf.distance(node), Some(10));
//! assert_eq!(spf.first_hops(spf.nexthops(node)), [FirstHop { link: 7, router: Some(b) }]);
//!
//! // Nothing has changed since, so there is nothing to do.
//! assert_eq!(spf.update(&graph, a).nodes_visited, 0);
//! ```

pub mod alternates;
pub mod graph;
pub mod microloop;
pub mod nexthop;
pub mod protection;
pub mod spf;

mod adjacency;
mod distances;
mod journal;
mod queue;
mod rank;
mod update;

pub use alternates::{Alternate, AlternateRules, Alternates, Attachment, Protection};
pub use graph::{Edge, EdgeChange, Graph, NodeIdx, NodeKey, NodeKind, NodeUpdate};
pub use microloop::{Happened, LocalDelay};
pub use nexthop::{FirstHop, NexthopSetId};
pub use protection::{AlternatesConfig, Backup, Coverage};
pub use rank::MAX_PATH;
pub use spf::{Fallback, NodeChange, Spf, SpfCounts, SpfKind, SpfRun};
