//! What waits to be polled.

use std::collections::VecDeque;
use std::net::IpAddr;

use bugle_types::Prefix;

use crate::fib::{FibOp, Removable};
use crate::{Event, Output};

/// Of so many routes that change one after the other the order is changed.
const MANY: usize = if cfg!(test) { 4 } else { 256 };

/// The outputs not polled yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    queue: VecDeque<Output>,
    /// Some are new since the last poll.
    is_new: bool,
    /// Changes asked of the kernel so far.
    pub(crate) count: u64,
}

impl Ops {
    pub(crate) fn push(&mut self, op: FibOp) {
        self.count += 1;
        self.is_new = true;
        self.queue.push_back(Output::Fib(op));
    }

    /// How many outputs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The changes after the first `from` outputs lead traffic round a failure, or back.
    pub(crate) fn hasten(&mut self, from: usize) {
        for output in self.queue.iter_mut().skip(from) {
            if let Output::Fib(op) = output {
                *output = Output::Divert(op.clone());
            }
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(crate) fn removable(&mut self, removable: Removable) {
        self.queue.push_back(Output::Removable(removable));
    }

    pub(crate) fn read(&mut self) {
        self.queue.push_back(Output::ReadFib);
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        if std::mem::take(&mut self.is_new) {
            self.scatter();
        }
        let output = self.queue.pop_front();
        if output.is_none() {
            // A large batch leaves no large queue behind.
            self.queue.shrink_to(64);
        }
        output
    }

    /// Scatters routes that change in large numbers. The kernel's tree grows and shrinks step by step around what comes and goes: that takes
    /// it a quarter less time for routes that come, and half for those that go, if neighbours do not do so one after the other. A prefix's own
    /// routes keep their order, and none passes a nexthop object.
    fn scatter(&mut self) {
        if self.queue.len() < MANY {
            return;
        }
        let route = |output: &Output| match output {
            Output::Fib(FibOp::PutRoute { key, .. } | FibOp::DelRoute { key }) => Some(key.prefix),
            Output::Fib(_)
            | Output::Divert(_)
            | Output::ReadFib
            | Output::Removable(_)
            | Output::Event(_) => None,
        };
        let alike = |a: &Output, b: &Output| route(a).is_some() && route(b).is_some();
        for run in self.queue.make_contiguous().chunk_by_mut(alike) {
            if run.len() >= MANY {
                run.sort_by_cached_key(|output| route(output).map(reversed));
            }
        }
    }
}

/// The bits of a prefix, the last ones first: by this, neighbours are far apart.
fn reversed(prefix: Prefix) -> u128 {
    match prefix.address() {
        IpAddr::V4(address) => address.to_bits().reverse_bits().into(),
        IpAddr::V6(address) => address.to_bits().reverse_bits(),
    }
}
