//! What waits to be polled.

use std::collections::VecDeque;

use crate::fib::FibOp;
use crate::{Event, Output};

/// The outputs not polled yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    queue: VecDeque<Output>,
    /// Changes asked of the kernel so far.
    pub(crate) count: u64,
}

impl Ops {
    pub(crate) fn push(&mut self, op: FibOp) {
        self.count += 1;
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

    pub(crate) fn read(&mut self, tables: Vec<bugle_types::TableId>) {
        self.queue.push_back(Output::ReadFib(tables));
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        let output = self.queue.pop_front();
        if output.is_none() {
            // A large batch leaves no large queue behind.
            self.queue.shrink_to(64);
        }
        output
    }
}
