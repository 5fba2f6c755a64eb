//! What is counted while a network lives.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::Time;
use bugle_wire::isis::PduType;
use serde::Serialize;

use crate::medium::{Envelope, Packet};
use crate::network::NodeId;

/// Counts over some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Activity {
    /// Packets sent.
    pub packets: u64,
    /// Of these, what tells of changes: no Hellos, and no CSNPs, which IS-IS sends again and again.
    pub updates: u64,
    /// LSAs in them, and LSPs.
    pub lsas: u64,
    /// Octets in them all.
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
    slices: BTreeMap<u64, Activity>,
    /// The slice that is being counted, which is not yet among those.
    slice: (u64, Activity),
    /// Runs of SPF by router since [`arm`](Self::arm).
    spf_runs: BTreeMap<NodeId, u64>,
    /// When something that tells of changes was last sent, or a kernel changed.
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

    /// What was counted in each slice of time in which there was something.
    pub(crate) fn slices(&self) -> BTreeMap<u64, Activity> {
        let mut slices = self.slices.clone();
        slices.entry(self.slice.0).or_default().add(self.slice.1);
        slices.retain(|_, activity| *activity != Activity::default());
        slices
    }

    pub(crate) fn sent(&mut self, at: Time, packet: &Packet) {
        let bytes = &*packet.bytes;
        let News { is_news, lsas } = match packet.envelope {
            Envelope::Ospf { .. } => News::of_ospf(bytes),
            Envelope::Isis { .. } => News::of_isis(bytes),
        };
        if is_news {
            self.last = self.last.max(at);
        }
        self.count(at, |activity| {
            activity.packets += 1;
            activity.updates += u64::from(is_news);
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
        if self.slice.0 != slice {
            let (before, counted) =
                std::mem::replace(&mut self.slice, (slice, Activity::default()));
            self.slices.entry(before).or_default().add(counted);
        }
        change(&mut self.slice.1);
    }
}

/// What a packet tells of changes.
struct News {
    /// It tells of some.
    is_news: bool,
    /// LSAs or LSPs in it.
    lsas: u32,
}

impl News {
    /// RFC 2328 appendix A.3: the type is the second octet; an update's count of LSAs follows the header of 24.
    fn of_ospf(bytes: &[u8]) -> Self {
        let kind = bytes.get(1).copied().unwrap_or(0);
        let lsas = match (kind, bytes.get(24..28)) {
            (4, Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        };
        Self { is_news: kind != 1, lsas }
    }

    /// ISO 10589 section 9: the type is in the fifth octet.
    fn of_isis(bytes: &[u8]) -> Self {
        let kind = bytes.get(4).and_then(|octet| PduType::from_number(octet & 0x1F));
        match kind {
            Some(PduType::Lsp(_)) => Self { is_news: true, lsas: 1 },
            Some(PduType::Psnp(_)) => Self { is_news: true, lsas: 0 },
            Some(_) | None => Self { is_news: false, lsas: 0 },
        }
    }
}
