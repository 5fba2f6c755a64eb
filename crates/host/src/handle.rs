//! How the rest of the daemon speaks to the loop.

use std::sync::Arc;

use bugle_speaker::config::Config;
use bugle_speaker::{Event, HostChange, HostRefusal};
use bugle_types::Time;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::bfd::{Look as BfdLook, View};
use crate::counters::Counters;
use crate::poller::Waker;

/// Speaks to a running [`Driver`](crate::Driver) from asynchronous code on any thread and any runtime. Clones speak to the
/// same loop.
#[derive(Debug)]
pub struct Handle<E> {
    commands: mpsc::Sender<Command<E>>,
    waker: Waker,
    events: broadcast::Sender<Event>,
    counters: Arc<Counters>,
}

/// The loop has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("bugle is stopping")]
pub struct Stopped;

/// A request to the loop. Requests are taken in order, between packets.
pub(crate) enum Command<E> {
    Read(Look<E>),
    Configure(Box<Config>),
    Host { change: HostChange, reply: oneshot::Sender<HostReply> },
    Bfd(BfdLook),
    Stop,
}

/// Whether the hosts were changed.
pub(crate) type HostReply = Result<(), HostRefusal>;

type Look<E> = Box<dyn FnOnce(&E, Time) + Send>;

impl<E: 'static> Handle<E> {
    pub(crate) const fn new(
        commands: mpsc::Sender<Command<E>>,
        waker: Waker,
        events: broadcast::Sender<Event>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { commands, waker, events, counters }
    }

    /// Looks at the speaker, at the time that it is now by the loop's clock. What is done in `look` delays everything else:
    /// copy there, and format elsewhere.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the loop has ended.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&E, Time) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        let read = move |engine: &E, now: Time| {
            // Whoever asked may have gone.
            let _ = sender.send(look(engine, now));
        };
        self.send(Command::Read(Box::new(read))).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Looks at the BFD sessions, on the thread that they run on: copy there, and format elsewhere. `None` if there has been no
    /// session yet.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the loop has ended.
    pub async fn bfd<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<Option<T>, Stopped> {
        let (sender, receiver) = oneshot::channel();
        let look = move |view: &View<'_>| {
            // Whoever asked may have gone.
            let _ = sender.send(look(view));
        };
        self.send(Command::Bfd(Box::new(look))).await?;
        Ok(receiver.await.ok())
    }

    /// Has the speaker use this configuration from now on.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the loop has ended.
    pub async fn configure(&self, config: Config) -> Result<(), Stopped> {
        self.send(Command::Configure(Box::new(config))).await
    }

    /// Changes the hosts. The inner result tells whether the speaker did it, or why not.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the loop has ended.
    pub async fn change_host(
        &self,
        change: HostChange,
    ) -> Result<Result<(), HostRefusal>, Stopped> {
        let (reply, receiver) = oneshot::channel();
        self.send(Command::Host { change, reply }).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Has the loop withdraw everything, flush, and end: within 1.5 s.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if it has ended already.
    pub async fn stop(&self) -> Result<(), Stopped> {
        self.send(Command::Stop).await
    }

    /// The speaker's events from now on. A receiver that is slow misses the oldest, and is told how many.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// What goes through the sockets.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    async fn send(&self, command: Command<E>) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)?;
        self.waker.wake();
        Ok(())
    }
}

impl<E> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            waker: self.waker.clone(),
            events: self.events.clone(),
            counters: Arc::clone(&self.counters),
        }
    }
}
