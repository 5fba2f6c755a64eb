//! BFD on a thread of its own: neither a long calculation nor a flood of requests may keep a session's packets waiting.
//!
//! | Module | Holds |
//! |---|---|
//! | this one | `Bfd`: how the driver's loop speaks to the thread; [`View`]: what there is to see of it |
//! | `turn` | what the thread does in a turn |
//! | `wait` | what it does between two: it waits, and a second thread sees to it that it does not wait too long |
//! | `receive` | the sockets that packets come in by, two for each port |
//! | `send` | the sockets that packets go out by, one for each session |
//! | `echo` | the echo function: packets to ourselves, and the sockets by which they come back |
//! | `loops` | which sessions are to have the echo function, and can |
//!
//! The thread is started with the first session. It has real-time priority where that is permitted, allocates nothing once its
//! sessions are up, and waits for no other thread but the one that takes turns in its place while it cannot.

mod echo;
mod loops;
mod receive;
mod send;
mod turn;
mod wait;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use bugle_bfd as bfd;
use bugle_inject::Injector;
use bugle_rib::fib::{NexthopId, Removable};
use bugle_types::{IfIndex, Rng, Time};

use crate::clock::Clock;
use crate::counters::Counters;
use crate::poller::Waker;
use echo::Place;
use loops::Loops;
use socket2::Socket;

/// Orders, and news, that can wait for the other thread. Both empty the queue whenever they wake up.
const BACKLOG: usize = 4_096;

/// The driver's end of the thread.
pub(crate) struct Bfd {
    clock: Clock,
    rng: Rng,
    counters: Arc<Counters>,
    /// Wakes the driver's loop.
    told: Waker,
    thread: Option<Thread>,
    loops: Loops,
    /// What is to be removed when a neighbour does not answer.
    removable: Removable,
    remover: Arc<Mutex<Injector>>,
}

/// A thread that runs.
struct Thread {
    orders: SyncSender<Order>,
    ordered: u64,
    news: Receiver<News>,
    waker: Waker,
    progress: Arc<Progress>,
}

/// What the thread lets the driver know without being asked.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Orders carried out.
    obeyed: AtomicU64,
    sessions: AtomicUsize,
}

/// What the thread tells. It writes no log itself: whoever reads that may be slow.
pub(crate) enum News {
    /// Something happened to a session, at this time.
    Event(Time, bfd::Event),
    /// These nexthop objects were removed at this time: the events that follow say why.
    Removed(Time, Vec<NexthopId>),
    /// Something is not as it should be.
    Trouble(String),
    /// Whether the thread has real-time priority; if not, why.
    Realtime(Result<(), String>),
    /// A socket that is of no use any more, and takes time to close.
    Closed(Arc<Socket>),
}

/// What the thread is told.
pub(crate) enum Order {
    /// A client wants a session, or wants it differently.
    Request {
        client: bfd::Client,
        path: bfd::Path,
        settings: Box<bfd::Settings>,
        /// The device of the path's VRF, where it has one.
        device: Option<IfIndex>,
    },
    /// A client has no use for a session any more.
    Release { client: bfd::Client, path: bfd::Path },
    /// Echo packets are about to come back there, by this socket.
    BeginEcho { place: Place, socket: Socket },
    /// No more echo packets come back there.
    EndEcho(Place),
    /// What is to be removed from the kernel when a neighbour does not answer.
    Removable(Removable),
    /// Somebody wants to look.
    Look(Look),
}

/// A look at the sessions.
pub(crate) type Look = Box<dyn FnOnce(&View<'_>) + Send>;

/// What there is to see of BFD.
#[derive(Debug)]
pub struct View<'a> {
    /// The sessions.
    pub sessions: bfd::State<'a>,
    /// The time now.
    pub now: Time,
    /// Whether the thread runs before all others; if not, why.
    pub realtime: Result<(), &'a str>,
    /// Turns that the second thread took, because the first was late.
    pub takeovers: u64,
}

impl Bfd {
    /// Without a thread so far. Discriminators and the like come from the seed.
    /// `remover` is for what is to be [removed](Self::set_removable).
    pub(crate) fn new(
        clock: Clock,
        seed: u64,
        counters: Arc<Counters>,
        remover: Injector,
    ) -> io::Result<Self> {
        let rng = Rng::new(seed);
        Ok(Self {
            clock,
            rng,
            counters,
            told: Waker::new()?,
            thread: None,
            loops: Loops::default(),
            removable: Removable::new(),
            remover: Arc::new(Mutex::new(remover)),
        })
    }

    /// Gives the thread an order. Without a thread one is started, if there is to be a session.
    pub(crate) fn order(&mut self, mut order: Order) -> io::Result<()> {
        let places = self.loops.prepare(&mut order);
        if let Some((place, socket)) = places.begun {
            self.pass_on(Order::BeginEcho { place, socket })?;
        }
        self.pass_on(order)?;
        places.ended.map_or(Ok(()), |place| self.pass_on(Order::EndEcho(place)))
    }

    /// From now on these nexthop objects are removed as soon as the session to their router fails, whatever the loop is busy with:
    /// traffic goes on by the other members of their groups.
    pub(crate) fn set_removable(&mut self, removable: Removable) -> io::Result<()> {
        self.removable.clone_from(&removable);
        self.pass_on(Order::Removable(removable))
    }

    fn pass_on(&mut self, order: Order) -> io::Result<()> {
        if self.thread.is_none() {
            if !matches!(order, Order::Request { .. } | Order::BeginEcho { .. }) {
                return Ok(());
            }
            self.thread = Some(self.start()?);
            self.pass_on(Order::Removable(self.removable.clone()))?;
        }
        let Some(thread) = &mut self.thread else { return Ok(()) };
        thread.ordered += 1;
        // It does not end before this does.
        let _ = thread.orders.send(order);
        thread.waker.wake();
        Ok(())
    }

    /// What the thread has to tell. The loop waits for the descriptor of this to become readable, and then asks until there is
    /// nothing more.
    pub(crate) fn poll_news(&self) -> Option<News> {
        let thread = self.thread.as_ref()?;
        thread.news.try_recv().ok().or_else(|| {
            // What is told from now on wakes the loop again; what was told before the last look is still there.
            self.told.clear();
            thread.news.try_recv().ok()
        })
    }

    /// Whether every order has been carried out, and no session is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.thread.as_ref().is_none_or(|thread| {
            thread.progress.obeyed.load(Ordering::Acquire) == thread.ordered
                && thread.progress.sessions.load(Ordering::Acquire) == 0
        })
    }

    fn start(&mut self) -> io::Result<Thread> {
        let waker = Waker::new()?;
        let (orders, to_obey) = sync_channel(BACKLOG);
        let (to_tell, news) = sync_channel(BACKLOG);
        let progress = Arc::new(Progress::default());
        let ends = turn::Ends {
            clock: self.clock,
            seed: self.rng.next_u64(),
            counters: Arc::clone(&self.counters),
            orders: to_obey,
            news: to_tell,
            wake: waker.clone(),
            told: self.told.clone(),
            progress: Arc::clone(&progress),
        };
        let remover = Arc::clone(&self.remover);
        let run = move || wait::run(ends, &remover);
        std::thread::Builder::new().name("bugle-bfd".to_owned()).spawn(run)?;
        Ok(Thread { orders, ordered: 0, news, waker, progress })
    }
}

impl AsFd for Bfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

impl Drop for Bfd {
    /// The thread ends when nobody can order anything any more.
    fn drop(&mut self) {
        if let Some(Thread { orders, waker, .. }) = self.thread.take() {
            drop(orders);
            waker.wake();
        }
    }
}
