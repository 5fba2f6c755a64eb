//! What is counted while a network lives.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::Time;
use serde::Serialize;

use crate::network::NodeId;

/// Counts over some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Activity {
    /// Packets sent.
    pub packets: u64,
    /// Of these, other than Hellos.
    pub updates: u64,
    /// LSAs in them.
    pub lsas: u64,
    /// Octets of OSPF sent.
    pub octets: u64,
    /// Runs of SPF.
    pub spf_runs: u64,
    /// Operations on kernels.
    pub fib_ops: u64,
}

impl Activity {
    /// Adds another count.
    pub const fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.updates += other.updates;
        self.lsas += other.lsas;
        self.octets += other.octets;
        self.spf_runs += other.spf_runs;
        self.fib_ops += other.fib_ops;
    }

    /// What was added since an earlier count.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            updates: self.updates - before.updates,
            lsas: self.lsas - before.lsas,
            octets: self.octets - before.octets,
            spf_runs: self.spf_runs - before.spf_runs,
            fib_ops: self.fib_ops - before.fib_ops,
        }
    }
}

/// What is counted: in all, and over time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: Activity,
    /// By slices of [`SLICE`].
    pub(crate) slices: BTreeMap<u64, Activity>,
    /// Runs of SPF by router since [`arm`](Self::arm).
    spf_runs: BTreeMap<NodeId, u64>,
    /// When something other than a Hello was last sent, or a kernel changed.
    pub(crate) last: Time,
    /// When a kernel last changed.
    pub(crate) last_fib: Time,
}

/// The finest that activity is told apart in time.
pub(crate) const SLICE: Duration = Duration::from_millis(10);

impl Tally {
    /// The network has come up: from now on each router's runs of SPF are counted.
    pub(crate) fn arm(&mut self) {
        self.spf_runs.clear();
    }

    /// The most runs of SPF that a router made.
    pub(crate) fn spf_runs_most(&self) -> u64 {
        self.spf_runs.values().copied().max().unwrap_or(0)
    }

    pub(crate) fn sent(&mut self, at: Time, bytes: &[u8]) {
        // RFC 2328 appendix A.3: the type is the second octet; an update's count of LSAs follows the header of 24.
        let kind = bytes.get(1).copied().unwrap_or(0);
        let lsas = match (kind, bytes.get(24..28)) {
            (4, Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        };
        if kind != 1 {
            self.last = self.last.max(at);
        }
        self.count(at, |activity| {
            activity.packets += 1;
            activity.updates += u64::from(kind != 1);
            activity.lsas += u64::from(lsas);
            activity.octets += u64::try_from(bytes.len()).unwrap_or(0);
        });
    }

    pub(crate) fn spf_run(&mut self, at: Time, node: NodeId) {
        *self.spf_runs.entry(node).or_default() += 1;
        self.last = self.last.max(at);
        self.count(at, |activity| activity.spf_runs += 1);
    }

    pub(crate) fn fib_op(&mut self, at: Time) {
        self.last = self.last.max(at);
        self.last_fib = self.last_fib.max(at);
        self.count(at, |activity| activity.fib_ops += 1);
    }

    fn count(&mut self, at: Time, change: impl Fn(&mut Activity)) {
        let slice = at.as_nanos() / u64::try_from(SLICE.as_nanos()).unwrap_or(u64::MAX);
        change(&mut self.total);
        change(self.slices.entry(slice).or_default());
    }
}
