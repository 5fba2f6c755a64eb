//! Changes into the kernel's forwarding table, in order and in batches.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bugle_rib::Queue;
use bugle_rib::fib::{FibOp, NexthopId};
use nix::errno::Errno;

use crate::encode::{GroupKind, MAX_GROUP_MEMBERS, OnLinkFamily, encode};
use crate::error::{FibError, NetlinkError};
use crate::netlink::{answer, messages, request_ack};
use crate::numbers::NLMSG_ERROR;
use crate::socket::{NetlinkSocket, is_overrun};

/// Messages per batch. Most of the gain is there at 16; the answers to a batch that fails from end to end must fit the
/// socket's receive buffer even where it cannot be enlarged.
const BATCH: usize = 256;

/// How often a single change is repeated when its answer was lost.
const ATTEMPTS: u32 = 3;

/// Room kept for queued changes while there are none.
const IDLE_QUEUE: usize = 1024;

/// Carries [`FibOp`]s into the kernel over a netlink socket used for nothing else.
///
/// [`submit`](Self::submit) queues, [`divert`](Self::divert) before others, [`run`](Self::run) sends. The kernel carries out a batch inside the system call that sends
/// it and has then queued every answer, so `run` never waits, except for the kernel's own lock on routing. Only the last
/// message of a batch asks to be acknowledged; each one that fails is answered by the kernel on its own, with the sequence
/// number that maps it back to its change. A batch whose acknowledgement was lost is sent again in smaller ones: changes are
/// idempotent.
///
/// A route replaces any route of the same table, prefix and metric, whoever made it: choose a metric that nobody else uses.
pub struct Injector {
    socket: NetlinkSocket,
    queue: Queue,
    failures: VecDeque<(FibOp, FibError)>,
    /// Reused for each batch.
    batch: Vec<u8>,
    /// The sequence number of the queue's front.
    sequence: u32,
    /// Messages in the next batch, at most; lowered while answers get lost.
    limit: usize,
    /// How often the change at the front went unanswered on its own.
    unanswered: u32,
    /// How to send a nexthop without gateway, should one be at the queue's front.
    front_family: OnLinkFamily,
    groups: GroupKind,
}

/// What became of a batch.
struct Outcome {
    /// The acknowledgement came: every message was carried out or has failed.
    complete: bool,
    /// The messages that failed, by position.
    failed: Vec<(usize, FibError)>,
}

impl Injector {
    /// Opens the socket, in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// If the system gives no netlink socket that works. Missing privilege shows later, in each change's failure.
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = NetlinkSocket::open(&[]).map_err(NetlinkError::Open)?;
        socket.set_non_blocking().map_err(NetlinkError::Open)?;
        Ok(Self {
            socket,
            queue: Queue::default(),
            failures: VecDeque::new(),
            batch: Vec::new(),
            sequence: 1,
            limit: BATCH,
            unanswered: 0,
            front_family: OnLinkFamily::Ipv6,
            groups: GroupKind::of_the_kernel()?,
        })
    }

    /// The socket's netlink port, by which a [`Monitor`](crate::Monitor) knows our own changes.
    #[must_use]
    pub const fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Queues a change behind those before it.
    pub fn submit(&mut self, op: FibOp) {
        self.queue.push(op);
    }

    /// Queues a change [before those](Queue::divert) that concern other nexthop objects.
    pub fn divert(&mut self, op: FibOp) {
        self.queue.divert(op);
        // What is known of the front may not be true of what is there now.
        self.front_family = OnLinkFamily::Ipv6;
        self.unanswered = 0;
    }

    /// Forgets all changes that wait.
    pub fn forget(&mut self) {
        self.queue = Queue::default();
        self.unanswered = 0;
        self.front_family = OnLinkFamily::Ipv6;
    }

    /// Carries out up to `budget` queued changes. Changes that fail are told by [`poll_failure`](Self::poll_failure) and do
    /// not hold up those behind them.
    ///
    /// # Errors
    ///
    /// [`NetlinkError::Send`] or [`NetlinkError::Receive`] if the socket does not work at the moment, for example for want of
    /// memory. Nothing is lost: what is still pending can be tried again.
    pub fn run(&mut self, budget: usize) -> Result<(), NetlinkError> {
        let mut left = budget;
        while left > 0 && !self.queue.is_empty() {
            let done = self.run_batch(left.min(self.limit))?;
            left -= done.min(left);
        }
        Ok(())
    }

    /// How many changes are queued.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// The next change that failed, in the order of submission.
    pub fn poll_failure(&mut self) -> Option<(FibOp, FibError)> {
        self.failures.pop_front()
    }

    /// Sends one batch of at most `limit` messages and takes it off the queue. Returns how much of the budget is used up: at
    /// least one, whatever happened.
    fn run_batch(&mut self, limit: usize) -> Result<usize, NetlinkError> {
        if let Some(error) = self.queue.get(0).and_then(unacceptable) {
            self.complete(1, vec![(0, error)]);
            return Ok(1);
        }
        let length = self.encode_batch(limit);
        self.socket.send(&self.batch).map_err(NetlinkError::Send)?;
        let outcome = self.read_answers(length)?;

        if outcome.complete {
            self.settle(length, outcome.failed);
        } else {
            self.retry_smaller(length);
        }
        Ok(length)
    }

    /// Encodes the front of the queue and returns the number of messages. Changes for which the kernel is not asked end the
    /// batch before them; a nexthop without a gateway ends it with itself, as it may have to be sent twice before anything
    /// that depends on it.
    fn encode_batch(&mut self, limit: usize) -> usize {
        self.batch.clear();
        let (mut length, mut last) = (0, 0);
        let mut sequence = self.sequence;
        let mut family = self.front_family;
        for op in self.queue.iter().take(limit) {
            if unacceptable(op).is_some() {
                break;
            }
            last = self.batch.len();
            encode(&mut self.batch, op, sequence, family, self.groups);
            length += 1;
            if is_on_link(op) {
                break;
            }
            sequence = sequence.wrapping_add(1);
            family = OnLinkFamily::Ipv6;
        }
        request_ack(&mut self.batch, last);
        length
    }

    /// Reads the answers to the `length` messages just sent.
    fn read_answers(&mut self, length: usize) -> Result<Outcome, NetlinkError> {
        let mut outcome = Outcome { complete: false, failed: Vec::new() };
        let mut overrun = false;
        // After an overrun whatever is left is read, so that no answer lingers.
        while !outcome.complete || overrun {
            let datagram = match self.socket.receive() {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_overrun(&error) => {
                    overrun = true;
                    continue;
                }
                Err(error) => return Err(NetlinkError::Receive(error)),
            };
            for message in messages(datagram).flatten() {
                // Answers to an earlier batch that was given up are of no interest.
                let at = message.sequence.wrapping_sub(self.sequence);
                let Some(at) = usize::try_from(at).ok().filter(|at| *at < length) else { continue };
                let Some(answer) =
                    Some(message).filter(|m| m.kind == NLMSG_ERROR).and_then(|m| answer(m).ok())
                else {
                    continue;
                };
                outcome.complete |= at + 1 == length;
                let gone = self.queue.get(at).is_some_and(is_deletion) && is_absence(answer.errno);
                if answer.errno != 0 && !gone {
                    let error = io::Error::from_raw_os_error(answer.errno);
                    let text = answer.text.to_owned();
                    outcome.failed.push((at, FibError::Refused { error, text }));
                }
            }
        }
        outcome.complete &= !overrun;
        Ok(outcome)
    }

    /// Takes an answered batch off the queue, but for a nexthop without gateway that was refused as IPv6: it is to be tried
    /// as IPv4. Where IPv6 is disabled that is the only form there is, and no IPv6 route can need the other.
    fn settle(&mut self, length: usize, mut failed: Vec<(usize, FibError)>) {
        let last = length.saturating_sub(1);
        let last_failed = failed.last().is_some_and(|(at, _)| *at == last);
        let was_ipv6 = last > 0 || self.front_family == OnLinkFamily::Ipv6;
        if last_failed && was_ipv6 && self.queue.get(last).is_some_and(is_on_link) {
            failed.pop();
            self.complete(last, failed);
            self.front_family = OnLinkFamily::Ipv4;
        } else {
            self.complete(length, failed);
        }
    }

    /// Takes the first `length` changes off the queue, noting those that failed.
    fn complete(&mut self, length: usize, failed: Vec<(usize, FibError)>) {
        for (at, error) in failed {
            if let Some(op) = self.queue.get(at) {
                self.failures.push_back((op.clone(), error));
            }
        }
        for _ in 0..length {
            self.queue.pop();
        }
        if self.queue.is_empty() {
            // A full table has passed through; its room is not needed again soon.
            self.queue.shrink_to(IDLE_QUEUE);
        }
        self.advance_sequence(length);
        self.limit = (self.limit * 2).min(BATCH);
        self.unanswered = 0;
        self.front_family = OnLinkFamily::Ipv6;
    }

    fn advance_sequence(&mut self, messages: usize) {
        // Batches are short, so the conversion cannot fail.
        self.sequence = self.sequence.wrapping_add(u32::try_from(messages).unwrap_or(0));
    }

    /// Answers were lost: makes the next batch smaller, with new sequence numbers, and gives up on a change that goes
    /// unanswered on its own.
    fn retry_smaller(&mut self, length: usize) {
        self.advance_sequence(length);
        self.limit = (length / 2).max(1);
        if length == 1 {
            self.unanswered += 1;
        }
        if self.unanswered >= ATTEMPTS {
            self.complete(1, vec![(0, FibError::Unanswered)]);
        }
    }
}

/// For socket options. The socket never becomes readable by itself: every answer is read by [`Injector::run`].
impl AsFd for Injector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Why the kernel need not be asked.
fn unacceptable(op: &FibOp) -> Option<FibError> {
    match op {
        FibOp::PutNexthop { id, .. } | FibOp::PutGroup { id, .. } | FibOp::DelNexthop { id }
            if !NexthopId::RANGE.contains(&id.0) =>
        {
            Some(FibError::Foreign(id.0))
        }
        FibOp::PutGroup { group, .. } if group.all().count() > MAX_GROUP_MEMBERS => {
            Some(FibError::GroupTooLarge(group.all().count()))
        }
        FibOp::PutNexthop { .. }
        | FibOp::PutGroup { .. }
        | FibOp::DelNexthop { .. }
        | FibOp::PutRoute { .. }
        | FibOp::DelRoute { .. }
        | FibOp::PutNeighbor { .. }
        | FibOp::DelNeighbor { .. } => None,
    }
}

const fn is_on_link(op: &FibOp) -> bool {
    matches!(op, FibOp::PutNexthop { nexthop, .. } if nexthop.gateway.is_none())
}

const fn is_deletion(op: &FibOp) -> bool {
    matches!(op, FibOp::DelNexthop { .. } | FibOp::DelRoute { .. } | FibOp::DelNeighbor { .. })
}

/// Whether the kernel says that what is to be deleted, or the interface it was on, does not exist.
fn is_absence(errno: i32) -> bool {
    [Errno::ENOENT, Errno::ESRCH, Errno::ENODEV].iter().any(|absence| *absence as i32 == errno)
}
