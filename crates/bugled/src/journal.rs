//! The latest events.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bugle_api::model;
use bugle_speaker::Event;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use crate::log::EventLog;
use crate::wall::Wall;

/// Events kept for `show events` and `explain`.
const KEPT: usize = 4096;
/// Events that may wait for a `watch` that reads slowly.
const BACKLOG: usize = 1024;

/// Keeps the latest events, counts all of them, and passes them on to whoever watches.
#[derive(Debug)]
pub(crate) struct Journal {
    wall: Wall,
    pages: Mutex<Pages>,
    watchers: broadcast::Sender<model::Event>,
}

#[derive(Debug, Default)]
struct Pages {
    events: VecDeque<Event>,
    /// Since the start, by kind.
    counts: BTreeMap<&'static str, u64>,
    /// Events that came faster than they could be kept.
    missed: u64,
}

/// Carries events from the loop to the journal and to the log.
#[derive(Debug)]
pub(crate) struct Scribe {
    events: broadcast::Receiver<Event>,
    journal: Arc<Journal>,
    log: EventLog,
}

impl Scribe {
    pub(crate) fn new(events: broadcast::Receiver<Event>, journal: Arc<Journal>) -> Self {
        Self { events, journal, log: EventLog::default() }
    }

    /// Takes in events for ever.
    pub(crate) async fn run(&mut self) -> Infallible {
        loop {
            match self.events.recv().await {
                Ok(event) => self.note(event),
                Err(RecvError::Lagged(missed)) => self.missed(missed),
                // The loop has ended. Whoever waits for this to return waits for something else to end first.
                Err(RecvError::Closed) => return pending().await,
            }
        }
    }

    /// Takes in what is there already.
    pub(crate) fn catch_up(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.note(event),
                Err(TryRecvError::Lagged(missed)) => self.missed(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn note(&mut self, event: Event) {
        self.log.note(&event);
        self.journal.note(event);
    }

    fn missed(&self, count: u64) {
        EventLog::missed(count);
        self.journal.pages().missed += count;
    }
}

impl Journal {
    pub(crate) fn new(wall: Wall) -> Self {
        Self { wall, pages: Mutex::default(), watchers: broadcast::Sender::new(BACKLOG) }
    }

    /// Events from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<model::Event> {
        self.watchers.subscribe()
    }

    /// The latest events of a VRF, or of all, oldest first.
    pub(crate) fn latest(&self, vrf: Option<&str>) -> Vec<model::Event> {
        let pages = self.pages();
        let wanted =
            pages.events.iter().filter(|event| vrf.is_none() || event.vrf.as_deref() == vrf);
        wanted.map(|event| self.describe(event)).collect()
    }

    /// The latest events that `pick` makes something of, oldest first.
    pub(crate) fn pick<T>(&self, pick: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        self.pages().events.iter().filter_map(pick).collect()
    }

    /// How many events there were of each kind, and how many were missed.
    pub(crate) fn counts(&self) -> (BTreeMap<&'static str, u64>, u64) {
        let pages = self.pages();
        (pages.counts.clone(), pages.missed)
    }

    fn note(&self, event: Event) {
        if self.watchers.receiver_count() > 0 {
            // They may all have gone since.
            let _ = self.watchers.send(self.describe(&event));
        }
        let mut pages = self.pages();
        *pages.counts.entry(event.what.kind()).or_default() += 1;
        if pages.events.len() == KEPT {
            pages.events.pop_front();
        }
        pages.events.push_back(event);
    }

    fn describe(&self, event: &Event) -> model::Event {
        model::Event {
            time_us: self.wall.micros(event.time),
            kind: event.what.kind().to_owned(),
            vrf: event.vrf.clone(),
            message: event.to_string(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing that can panic happens under the lock.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bugle_host::Clock;
    use bugle_speaker::What;
    use bugle_types::Time;

    use super::*;

    fn notice(number: usize, vrf: Option<&str>) -> Event {
        Event {
            time: Time::ZERO,
            vrf: vrf.map(str::to_owned),
            interface: None,
            what: What::Notice(number.to_string()),
        }
    }

    fn journal() -> Journal {
        Journal::new(Wall::new(Clock::start()))
    }

    #[test]
    fn the_oldest_events_make_room() {
        let journal = journal();
        for number in 0..=KEPT {
            journal.note(notice(number, None));
        }
        let latest = journal.latest(None);
        assert_eq!(latest.len(), KEPT);
        assert_eq!(latest[0].message, "1");
        assert_eq!(journal.counts().0["notice"], 4097);
    }

    #[test]
    fn events_are_shown_by_vrf() {
        let journal = journal();
        journal.note(notice(1, Some("red")));
        journal.note(notice(2, None));
        let messages = |vrf| {
            let events = journal.latest(vrf).into_iter();
            events.map(|event| event.message).collect::<Vec<_>>()
        };
        assert_eq!(messages(Some("red")), ["1"]);
        assert_eq!(messages(None), ["1", "2"]);
    }

    #[test]
    fn watchers_see_what_comes_after_them() {
        let journal = journal();
        journal.note(notice(1, None));
        let mut watch = journal.watch();
        journal.note(notice(2, None));
        assert_eq!(watch.try_recv().unwrap().message, "2");
        assert!(watch.try_recv().is_err());
    }
}
