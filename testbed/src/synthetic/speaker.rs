//! The thread that a synthetic neighbour speaks on.

use std::io::Read as _;
use std::ops::Deref;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

/// How often timers are looked at, in milliseconds.
const TICK: u16 = 50;

/// After so many packets of a burst the sender pauses, so that the receiver's socket buffer, some 90 packets, does not overflow.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);

/// Room for what the neighbour sends while it is being answered.
pub(super) const RECEIVE_BUFFER: usize = 8 << 20;

/// What a protocol does on the thread.
pub(super) trait Speak: Send + Sync + 'static {
    fn socket(&self) -> &Socket;

    /// Sends what is due.
    fn tick(&self);

    /// Takes what has come.
    fn take(&self, bytes: &[u8]);
}

/// Speaks until it is dropped.
#[derive(Debug)]
pub(super) struct Speaker<S> {
    speaks: Arc<S>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Speak> Speaker<S> {
    pub(super) fn start(speaks: S) -> Self {
        let (speaks, stop) = (Arc::new(speaks), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (speaks, stop) = (Arc::clone(&speaks), Arc::clone(&stop));
            thread::spawn(move || run(&*speaks, &stop))
        };
        Self { speaks, stop, thread: Some(thread) }
    }
}

impl<S> Deref for Speaker<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.speaks
    }
}

impl<S> Drop for Speaker<S> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(speaks: &impl Speak, stop: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        speaks.tick();
        let mut sockets = [PollFd::new(speaks.socket().as_fd(), PollFlags::POLLIN)];
        if poll(&mut sockets, PollTimeout::from(TICK)).is_ok_and(|ready| ready > 0)
            && let Ok(length) = speaks.socket().read(&mut buffer)
        {
            speaks.take(buffer.get(..length).unwrap_or_default());
        }
    }
}

/// Waits a little after the last packet of a burst; `sent` counts from one.
pub(super) fn pace(sent: usize) {
    if sent.is_multiple_of(BURST) {
        thread::sleep(PAUSE);
    }
}
