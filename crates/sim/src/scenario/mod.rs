//! Scenarios: a network, what happens to it, and what is expected, as text of one statement a line.
//!
//! `docs/simulator.md` describes the language. [`Scenario::parse`] reports everything that is wrong at once.

mod database;
mod network;
mod parse;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bugle_types::Time;

use crate::machine::Work;
use crate::medium::Quality;
use crate::network::{Network, NodeId, SegmentId};
use crate::settings::{Protocols, Timers};

pub(crate) use parse::candidates;

/// A scenario, ready to be played.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// What it is about.
    pub title: String,
    /// Where everything random comes from.
    pub seed: u64,
    /// Routers and segments.
    pub network: Network,
    /// The quality of links that are not given their own.
    pub quality: Quality,
    /// What routers speak.
    pub protocols: Protocols,
    /// The protocols' timers.
    pub timers: Timers,
    /// How long routers take.
    pub work: Work,
    /// How long a kernel takes for each operation.
    pub install: Duration,
    /// Routers start within this time.
    pub start_within: Duration,
    /// Where virtual machines are at the start.
    pub hosts: BTreeMap<Ipv4Addr, NodeId>,
    /// All addresses that virtual machines ever have.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Who sends packets.
    pub flows: Flows,
    /// What happens, in the order of lines.
    pub events: Vec<Event>,
    /// What must not be exceeded.
    pub limits: Vec<Limit>,
}

impl Scenario {
    /// Parses a scenario; `read` reads the files that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of lines.
    pub fn parse(
        text: &str,
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, Problems> {
        parse::parse(text, read)
    }
}

/// Which flows are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flows {
    /// From every router where virtual machines can live to every virtual machine.
    All,
    /// From so many of them, chosen at random, to each virtual machine.
    Each(usize),
}

/// Something that happens, once or again and again.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// The line in the scenario.
    pub line: usize,
    /// The action as written.
    pub text: String,
    /// When.
    pub times: Vec<Time>,
    /// What.
    pub action: Action,
    /// It is undone after so long.
    pub undone_after: Option<Duration>,
}

/// What happens.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A virtual machine moves.
    Move {
        /// Which.
        host: Host,
        /// Where to.
        to: Node,
        /// The router that it leaves is told.
        announced: bool,
    },
    /// A virtual machine appears.
    Add(Ipv4Addr, Node),
    /// A virtual machine ends.
    Remove(Host),
    /// All virtual machines leave a router for others, chosen at random.
    Evacuate {
        /// The router.
        node: Node,
        /// Within this time.
        within: Duration,
    },
    /// Something happens to a link.
    Link(Link, Fault),
    /// Something happens to a router's port on a LAN.
    Port(NodeId, SegmentId, Fault),
    /// These routers are cut off from the others, and nobody is told.
    Partition(BTreeSet<NodeId>),
    /// Every link is well again.
    Heal,
    /// A daemon dies; its kernel goes on forwarding.
    Crash(Node),
    /// A daemon stops and says goodbye.
    Stop(Node),
    /// A daemon starts; one that runs dies first.
    Restart(Node),
    /// Every link's quality changes.
    Links(Vec<QualityChange>),
    /// The network must be at rest now.
    Check,
}

/// A virtual machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    /// This one.
    Address(Ipv4Addr),
    /// Any.
    Random,
}

/// A router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// This one.
    Named(NodeId),
    /// Any whose name is this and a number; of all where virtual machines can live, if empty.
    Random(String),
}

/// A link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Those between two routers.
    Between(NodeId, NodeId),
    /// Any that is well.
    Random,
}

/// What happens to a link or port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The carrier goes.
    Down,
    /// Packets are lost both ways, and nobody is told.
    Silent,
    /// What the first end sends is lost, and nobody is told.
    OneWay,
    /// All is well again.
    Up,
}

/// A part of a [`Quality`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QualityChange {
    /// Latency.
    Latency(Duration),
    /// Jitter.
    Jitter(Duration),
    /// Packets lost of a million.
    Loss(u32),
    /// Packets that arrive twice of a million.
    Duplicate(u32),
    /// Packets that are late of a million.
    Reorder(u32),
    /// Bits per second.
    Rate(u64),
    /// Octets.
    Queue(u64),
}

impl QualityChange {
    /// Makes the change.
    pub const fn apply(self, quality: &mut Quality) {
        match self {
            Self::Latency(latency) => quality.latency = latency,
            Self::Jitter(jitter) => quality.jitter = jitter,
            Self::Loss(loss) => quality.loss = loss,
            Self::Duplicate(duplicate) => quality.duplicate = duplicate,
            Self::Reorder(reorder) => quality.reorder = reorder,
            Self::Rate(rate) => quality.rate = Some(rate),
            Self::Queue(queue) => quality.queue = queue,
        }
    }
}

/// What must not be exceeded.
#[derive(Clone, PartialEq, Debug)]
pub struct Limit {
    /// The line in the scenario.
    pub line: usize,
    /// What is limited.
    pub what: Limited,
    /// It holds with these protocols only, in place of the one that holds with whichever.
    pub with: Option<Protocols>,
}

impl Limit {
    /// Whether it holds with these protocols, among these.
    pub(crate) fn holds(&self, protocols: Protocols, all: &[Self]) -> bool {
        let alike = |other: &Self| {
            std::mem::discriminant(&other.what) == std::mem::discriminant(&self.what)
        };
        let has_own = all.iter().any(|other| other.with == Some(protocols) && alike(other));
        self.with == has_own.then_some(protocols)
    }
}

/// What can be limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    /// The time until every flow arrives for the first time.
    Up(Duration),
    /// What any flow loses at a time.
    Loss(Duration),
    /// What any flow loses to a loop at a time.
    Loop(Duration),
    /// What any flow loses to the wrong place at a time.
    Wrong(Duration),
    /// Packets after the start, Hellos aside.
    Packets(u64),
    /// LSAs in them.
    Lsas(u64),
    /// Runs of SPF after the start, of any router.
    Spf(u64),
}

/// Something wrong with a scenario.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// The line.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a scenario, in the order of lines.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}line {}: {}", problem.line, problem.message)?;
        }
        Ok(())
    }
}
