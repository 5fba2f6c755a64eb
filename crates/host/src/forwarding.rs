//! The kernel's forwarding table, as the loop uses it: changes in order, and reads between them.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use bugle_inject::{FibError, Injector, NetlinkError, snapshot};
use bugle_rib::fib::{FibOp, FibSnapshot};
use bugle_types::Time;

use crate::poller::Waker;

/// How long to wait after the kernel did not let us change or read the table.
const RETRY: Duration = Duration::from_millis(20);

/// Carries out changes and reads in the order in which they were asked for, but for diversions, which come first. A read happens on a thread of its own, as a large
/// table takes tens of milliseconds; what was asked for after it waits until it is done, so that its answer is exact.
pub(crate) struct Forwarding {
    injector: Injector,
    /// What was asked for after the read that is under way.
    waiting: VecDeque<Request>,
    read: Read,
    /// Not before this time, after a failure.
    not_before: Time,
    waker: Waker,
}

enum Request {
    Change(FibOp),
    Read,
}

/// The read that is under way.
enum Read {
    None,
    /// It starts when the changes asked for before it are made.
    Due,
    Running(Receiver<Result<FibSnapshot, NetlinkError>>),
}

impl Forwarding {
    /// Opens the kernel's forwarding table, in the network namespace of the calling thread. `waker` is woken when a read is done.
    pub(crate) fn open(waker: Waker) -> Result<Self, NetlinkError> {
        Ok(Self {
            injector: Injector::open()?,
            waiting: VecDeque::new(),
            read: Read::None,
            not_before: Time::ZERO,
            waker,
        })
    }

    /// The netlink port that changes come from.
    pub(crate) const fn port(&self) -> u32 {
        self.injector.port()
    }

    /// Asks for a change.
    pub(crate) fn change(&mut self, op: FibOp) {
        match self.read {
            Read::None => self.injector.submit(op),
            Read::Due | Read::Running(_) => self.waiting.push_back(Request::Change(op)),
        }
    }

    /// Asks for a change before those that concern other nexthop objects. It does not wait for a read, either: whether that found
    /// what was before or what is after is for the one who asked for both to see to.
    pub(crate) fn divert(&mut self, op: FibOp) {
        let before = |request: &Request| matches!(request, Request::Change(other) if op.shares_object(other));
        if self.waiting.iter().any(before) {
            self.waiting.push_back(Request::Change(op));
        } else {
            self.injector.divert(op);
        }
    }

    /// Asks what the kernel holds of ours.
    pub(crate) fn read(&mut self) {
        match self.read {
            Read::None => self.read = Read::Due,
            Read::Due | Read::Running(_) => self.waiting.push_back(Request::Read),
        }
    }

    /// Makes up to `budget` changes, and starts the read that is due after them. What failed is told by
    /// [`poll_failure`](Self::poll_failure).
    pub(crate) fn run(&mut self, now: Time, budget: usize) -> Result<(), NetlinkError> {
        if !self.is_ready(now) {
            return Ok(());
        }
        let result = self.injector.run(budget);
        if result.is_err() {
            self.not_before = now + RETRY;
        } else if self.injector.pending() == 0 {
            self.start_read(now);
        }
        result
    }

    fn start_read(&mut self, now: Time) {
        if !matches!(self.read, Read::Due) {
            return;
        }
        let (sender, receiver) = mpsc::channel();
        let waker = self.waker.clone();
        let read = move || {
            // The loop may have ended meanwhile.
            let _ = sender.send(snapshot());
            waker.wake();
        };
        match std::thread::Builder::new().name("bugle-fib-read".to_owned()).spawn(read) {
            Ok(_) => self.read = Read::Running(receiver),
            Err(_) => self.retry_read(now),
        }
    }

    /// Whether [`run`](Self::run) has something to do at `now`.
    pub(crate) fn is_ready(&self, now: Time) -> bool {
        now >= self.not_before && self.is_runnable()
    }

    /// When to call [`run`](Self::run), if it must wait.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.is_runnable().then_some(self.not_before)
    }

    /// How many changes wait.
    pub(crate) fn pending(&self) -> usize {
        self.injector.pending()
    }

    /// How many changes have been asked for and not been made, those behind a read included.
    pub(crate) fn waiting(&self) -> u64 {
        let behind = self.waiting.iter().filter(|request| matches!(request, Request::Change(_)));
        u64::try_from(self.pending() + behind.count()).unwrap_or(u64::MAX)
    }

    /// Whether everything asked for is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.injector.pending() == 0 && matches!(self.read, Read::None)
    }

    fn is_runnable(&self) -> bool {
        self.injector.pending() > 0 || matches!(self.read, Read::Due)
    }

    /// The next change that the kernel refused.
    pub(crate) fn poll_failure(&mut self) -> Option<(FibOp, FibError)> {
        self.injector.poll_failure()
    }

    /// What the read found, once it is done. After a failure it is repeated a little later.
    pub(crate) fn poll_snapshot(&mut self, now: Time) -> Option<Result<FibSnapshot, NetlinkError>> {
        let Read::Running(receiver) = &mut self.read else { return None };
        let result = match receiver.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(NetlinkError::Unsteady { what: "tables" }),
            Ok(result) => result,
        };
        if result.is_ok() {
            self.read = Read::None;
            self.resume();
        } else {
            self.retry_read(now);
        }
        Some(result)
    }

    fn retry_read(&mut self, now: Time) {
        self.read = Read::Due;
        self.not_before = now + RETRY;
    }

    /// Takes up what waited for a read, to the next read.
    fn resume(&mut self) {
        while matches!(self.read, Read::None) {
            match self.waiting.pop_front() {
                Some(Request::Change(op)) => self.injector.submit(op),
                Some(Request::Read) => self.read = Read::Due,
                None => return,
            }
        }
    }
}
