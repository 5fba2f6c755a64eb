//! Network-namespace labs: bugle with real FRR and BIRD, virtual machines that move, probes and benchmarks.
//!
//! | Module | Holds |
//! |---|---|
//! | [`lab`] | [`Lab`]: namespaces, cables, switches whose ports fail silently, waiting for conditions; removed when dropped or killed |
//! | [`node`] | [`Node`], a namespace: `ip`, programs, sysctls, threads inside it |
//! | [`process`] | [`Process`], a program in a node: signals, log, memory, processor time |
//! | [`ospf`] | [`Ospf`], one description of a router, in the words of each daemon |
//! | [`isis`] | [`Isis`], the same for IS-IS |
//! | [`router`] | [`Router`], a daemon of any make: [`Frr`], [`Bird`] or [`Bugled`] |
//! | [`fib`] | [`FibWatch`], which dates every change of a kernel's routes, and [`RouteEditor`] |
//! | [`carrier`] | [`CarrierWatch`](carrier::CarrierWatch), which dates the loss of a carrier |
//! | [`probe`] | [`Probe`], numbered UDP packets at a fixed rate, and what became of them |
//! | [`vm`] | [`Vm`], a virtual machine that may be at several hypervisors |
//! | [`contender`] | [`Make`](contender::Make), who takes part in a comparison |
//! | [`moves`] | [`MoveLab`](moves::MoveLab), a machine that moves between two hypervisors |
//! | [`chain`] | [`Chain`](chain::Chain), routers in a row, with hosts at one end |
//! | [`failover`] | [`FailoverLab`](failover::FailoverLab), a link that fails, and many prefixes behind it |
//! | [`area`] | [`Area`], a generated OSPF area of any size |
//! | [`synthetic`] | [`Synthetic`], an OSPF neighbour that serves such an area |
//! | [`summary`] | what many measurements say, and tables |
//! | [`tools`] | finding and running programs |
//!
//! A lab needs root and, depending on the daemons, Debian's packages `iproute2`, `frr` and `bird2`. Times come from
//! `CLOCK_MONOTONIC`, which all namespaces share; a cause is dated just before it, an effect just after it was seen.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time, with threads")]

pub mod area;
pub mod bird;
pub mod bugled;
pub mod carrier;
pub mod chain;
pub mod contender;
pub mod error;
pub mod failover;
pub mod fib;
pub mod frr;
mod guard;
pub mod isis;
pub mod lab;
pub mod moves;
pub mod node;
pub mod ospf;
pub mod probe;
pub mod process;
pub mod router;
pub mod summary;
pub mod synthetic;
pub mod tools;
pub mod vm;

pub use area::Area;
pub use bird::Bird;
pub use bugled::Bugled;
pub use error::{LabError, Result};
pub use fib::{Change, FibWatch, RouteEditor};
pub use frr::{Adjacency, Frr};
pub use isis::{Circuit, Isis};
pub use lab::{Lab, Lan, Link, Port};
pub use node::Node;
pub use ospf::{Bfd, Interface, Network, Ospf, Tuning};
pub use probe::{Outage, Probe, ProbeReport};
pub use process::Process;
pub use router::{Neighbor, Router};
pub use synthetic::{Synthetic, SyntheticIsis};
pub use vm::{Placement, Vm};
