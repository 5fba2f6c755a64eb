//! Waiting for sockets, for other threads, and for a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use bugle_types::{IfIndex, Time};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// How many ready things are fetched at a time.
const EVENTS: usize = 32;

/// What a poller found ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// The OSPF socket of an interface.
    Ospf(IfIndex),
    /// The IS-IS socket of an interface.
    Isis(IfIndex),
    /// The netlink monitor.
    Monitor,
    /// A descriptor of the desk for changes to the hosts.
    Desk(u32),
    /// The thread that BFD runs on.
    Bfd,
    /// The time has come.
    Timer,
    /// Another thread called [`Waker::wake`].
    Woken,
}

/// An epoll instance, with a timerfd for times finer than epoll's millisecond and an eventfd for other threads.
pub(crate) struct Poller {
    epoll: Arc<Epoll>,
    timer: TimerFd,
    armed: Option<Time>,
    waker: Waker,
}

/// Wakes a poller from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<EventFd>);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(event)))
    }

    /// Forgets the wakings so far.
    pub(crate) fn clear(&self) {
        let _ = self.0.read();
    }

    pub(crate) fn wake(&self) {
        // It fails only when so many wakings are unread that one more makes no difference.
        let _ = self.0.write(1);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let poller = Self { epoll, timer, armed: None, waker: Waker::new()? };
        poller.add(&poller.timer, Token::Timer)?;
        poller.add(&poller.waker, Token::Woken)?;
        Ok(poller)
    }

    /// The epoll instance, for a desk to register its descriptors: [`Token::DESK`] is the upper half of their data.
    pub(crate) fn epoll(&self) -> Arc<Epoll> {
        Arc::clone(&self.epoll)
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches until `fd` is closed.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token.encode());
        Ok(self.epoll.add(fd, event)?)
    }

    /// Waits for something to become ready, or for `deadline`.
    pub(crate) fn wait(&mut self, deadline: Option<Time>, now: Time) -> io::Result<Tokens> {
        self.set_deadline(deadline, now)?;
        self.fetch(EpollTimeout::NONE)
    }

    /// What is ready now.
    pub(crate) fn poll(&mut self) -> io::Result<Tokens> {
        self.fetch(EpollTimeout::ZERO)
    }

    fn fetch(&mut self, timeout: EpollTimeout) -> io::Result<Tokens> {
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        let tokens = Tokens { events, count };
        for token in tokens.iter() {
            match token {
                // It stays ready until it is set anew.
                Token::Timer => self.set_deadline(None, Time::ZERO)?,
                Token::Woken => self.waker.clear(),
                Token::Ospf(_) | Token::Isis(_) | Token::Monitor | Token::Desk(_) | Token::Bfd => {}
            }
        }
        Ok(tokens)
    }

    fn set_deadline(&mut self, deadline: Option<Time>, now: Time) -> io::Result<()> {
        if self.armed == deadline {
            return Ok(());
        }
        match deadline {
            Some(deadline) => {
                // Zero would disarm it.
                let wait = deadline.since(now).max(Duration::from_nanos(1));
                let expiration = Expiration::OneShot(TimeSpec::from_duration(wait));
                self.timer.set(expiration, TimerSetTimeFlags::empty())?;
            }
            None => self.timer.unset()?,
        }
        self.armed = deadline;
        Ok(())
    }
}

/// A few things found ready.
pub(crate) struct Tokens {
    events: [EpollEvent; EVENTS],
    count: usize,
}

impl Tokens {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Token> {
        self.events.iter().take(self.count).map(|event| Token::decode(event.data()))
    }
}

impl Token {
    const MONITOR: u64 = 1 << 32;
    const TIMER: u64 = 2 << 32;
    const WOKEN: u64 = 3 << 32;
    const BFD: u64 = 5 << 32;
    /// Above a key of the desk's.
    pub(crate) const DESK: u64 = 4 << 32;
    /// Above an interface's number.
    const ISIS: u64 = 6 << 32;

    fn encode(self) -> u64 {
        match self {
            Self::Ospf(ifindex) => ifindex.0.into(),
            Self::Isis(ifindex) => Self::ISIS | u64::from(ifindex.0),
            Self::Monitor => Self::MONITOR,
            Self::Timer => Self::TIMER,
            Self::Woken => Self::WOKEN,
            Self::Desk(key) => Self::DESK | u64::from(key),
            Self::Bfd => Self::BFD,
        }
    }

    fn decode(data: u64) -> Self {
        let [_, _, _, _, number @ ..] = data.to_be_bytes();
        let number = u32::from_be_bytes(number);
        match data - u64::from(number) {
            Self::MONITOR => Self::Monitor,
            Self::TIMER => Self::Timer,
            Self::BFD => Self::Bfd,
            Self::WOKEN => Self::Woken,
            Self::DESK => Self::Desk(number),
            Self::ISIS => Self::Isis(IfIndex(number)),
            _ => Self::Ospf(IfIndex(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Ospf(IfIndex(1)),
            Token::Ospf(IfIndex(u32::MAX)),
            Token::Isis(IfIndex(1)),
            Token::Isis(IfIndex(u32::MAX)),
            Token::Monitor,
            Token::Desk(0),
            Token::Desk(u32::MAX),
            Token::Bfd,
            Token::Timer,
            Token::Woken,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }

    #[test]
    fn a_deadline_is_kept_once_and_never_early() {
        let (mut poller, clock) = (Poller::new().unwrap(), Clock::start());
        for wait in [0, 100, 1_500] {
            let now = clock.now();
            let deadline = now + Duration::from_micros(wait);
            let tokens: Vec<_> = poller.wait(Some(deadline), now).unwrap().iter().collect();
            assert_eq!(tokens, [Token::Timer]);
            assert!(clock.now() >= deadline);
            assert_eq!(poller.poll().unwrap().iter().count(), 0);
        }
    }

    #[test]
    fn a_deadline_that_is_put_off_does_not_come_at_its_old_time() {
        let (mut poller, clock) = (Poller::new().unwrap(), Clock::start());
        poller.waker().wake();
        let now = clock.now();
        let tokens = poller.wait(Some(now + Duration::from_millis(1)), now).unwrap();
        assert!(tokens.iter().any(|token| token == Token::Woken));
        let put_off = now + Duration::from_millis(20);
        let tokens: Vec<_> = poller.wait(Some(put_off), clock.now()).unwrap().iter().collect();
        assert_eq!(tokens, [Token::Timer]);
        assert!(clock.now() >= put_off);
    }

    #[test]
    fn another_thread_wakes_it_once_however_often_it_calls() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10).for_each(|_| waker.wake()));
            let tokens: Vec<_> = poller.wait(None, Time::ZERO).unwrap().iter().collect();
            assert_eq!(tokens, [Token::Woken]);
        });
        let _ = poller.poll().unwrap();
        assert_eq!(poller.poll().unwrap().iter().count(), 0);
    }
}
