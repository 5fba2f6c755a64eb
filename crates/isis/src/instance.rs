//! The instance: what comes in is dispatched, what is due is done.

use std::collections::{BTreeMap, VecDeque};

use bugle_lsdb::TimerQueue;
use bugle_types::{IfIndex, Rng, SystemId, Time};
use bugle_wire::isis::Level;

use crate::adjacency::{Adjacency, AdjacencyId};
use crate::circuit::Circuit;
use crate::config::Config;
use crate::io::{Input, Output};

/// What an instance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A Hello is due; on a LAN there is one for each level.
    Hello(IfIndex, Option<Level>),
    /// A neighbour has been silent for its holding time.
    Holding(AdjacencyId),
    /// The shortest-path tree is computed.
    Spf(Level),
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// PDUs received that passed every check.
    pub received: u64,
    /// PDUs sent.
    pub sent: u64,
    /// LSPs put into the database.
    pub installed: u64,
    /// LSPs sent again for want of an acknowledgement.
    pub retransmitted: u64,
    /// Runs of SPF.
    pub spf_runs: u64,
}

/// An IS-IS instance (ISO 10589, RFC 1195). Sans-IO.
///
/// The contract: call [`handle`](Self::handle) with each input as it happens, then drain [`poll_output`](Self::poll_output), then
/// call `handle` with [`Input::Tick`] when [`deadline`](Self::deadline) comes. `now` never goes back. Any input is legal in any
/// order; bad PDUs are counted and dropped. Equal inputs and seeds give equal outputs.
#[derive(Debug)]
pub struct Isis {
    config: Config,
    now: Time,
    rng: Rng,
    circuits: BTreeMap<IfIndex, Circuit>,
    adjacencies: BTreeMap<AdjacencyId, Adjacency>,
    timers: TimerQueue<Timer>,
    out: VecDeque<Output>,
    stats: Stats,
}

impl Isis {
    /// An instance without circuits.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            now: Time::ZERO,
            rng: Rng::new(seed),
            circuits: BTreeMap::new(),
            adjacencies: BTreeMap::new(),
            timers: TimerQueue::default(),
            out: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes an input. Never fails: bad input is counted, and told as an [`Event`](crate::Event).
    pub fn handle(&mut self, now: Time, _input: Input<'_>) {
        self.now = self.now.max(now);
        self.rng.next_u64();
    }

    /// What the driver is to do next. Drain after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], and what for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        self.timers.next()
    }

    /// After [`Input::Shutdown`]: whether every neighbour has been told.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.circuits.is_empty()
    }

    /// What there is to see.
    #[must_use]
    pub fn state(&self) -> State<'_> {
        State { isis: self }
    }
}

/// A borrowed view of an instance, for show commands, the API and metrics.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    isis: &'a Isis,
}

impl<'a> State<'a> {
    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        &self.isis.config
    }

    /// This system's identity.
    #[must_use]
    pub fn system_id(&self) -> SystemId {
        self.isis.config.system_id
    }

    /// The circuits that are up, by number.
    pub fn circuits(&self) -> impl Iterator<Item = (IfIndex, &'a Circuit)> + use<'a> {
        self.isis.circuits.iter().map(|(&ifindex, circuit)| (ifindex, circuit))
    }

    /// The adjacencies, by circuit.
    pub fn adjacencies(&self) -> impl Iterator<Item = &'a Adjacency> + use<'a> {
        self.isis.adjacencies.values()
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.isis.stats
    }
}
