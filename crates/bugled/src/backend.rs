//! The API's questions, put to the loop.

use std::net::IpAddr;
use std::sync::Arc;

use bugle_api::model::{Event, Explanation, HostAdd, Metric, Reply, Topic};
use bugle_api::{Backend, Desk, HostRequest, Refusal};
use bugle_host::{Handle, Recorded, Stopped};
use bugle_speaker::config::VrfName;
use bugle_speaker::{HostChange, HostRefusal, Speaker};
use bugle_types::Time;
use tokio::sync::{Mutex, broadcast};

use crate::journal::Journal;
use crate::sessions::{Names, Seen};
use crate::wall::Wall;
use crate::{explain, look, metrics, sessions};

/// The running daemon, as the API sees it.
#[derive(Debug)]
pub(crate) struct Daemon {
    handle: Handle<Recorded>,
    /// Held while the loop is asked to look at something: one look at a time, so that between two of them it has time for packets.
    looking: Mutex<()>,
    journal: Arc<Journal>,
    wall: Wall,
}

impl Daemon {
    pub(crate) fn new(handle: Handle<Recorded>, journal: Arc<Journal>, wall: Wall) -> Self {
        Self { handle, looking: Mutex::new(()), journal, wall }
    }

    /// Has the loop look at the speaker.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Speaker, Time) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _turn = self.looking.lock().await;
        self.handle
            .read(|engine, now| look(engine.speaker(), now))
            .await
            .map_err(|Stopped| Refusal::Stopping)
    }

    /// Looks at BFD; `None` if there has been no session yet.
    async fn sessions(&self) -> Result<Option<Seen>, Refusal> {
        self.handle.bfd(Seen::at).await.map_err(|Stopped| Refusal::Stopping)
    }

    async fn change(&self, change: HostChange) -> Result<(), Refusal> {
        let done = self.handle.change_host(change).await.map_err(|Stopped| Refusal::Stopping)?;
        done.map_err(refusal)
    }
}

impl Backend for Daemon {
    async fn show(&self, topic: Topic, vrf: Option<String>) -> Result<Reply, Refusal> {
        if topic == Topic::Events {
            if let Some(vrf) = vrf {
                let asked = vrf.clone();
                let known = self.look(move |speaker, _| speaker.state().vrf(&asked).is_some());
                if !known.await? {
                    return Err(Refusal::UnknownVrf(vrf));
                }
                return Ok(Reply::Events(self.journal.latest(Some(&vrf))));
            }
            return Ok(Reply::Events(self.journal.latest(None)));
        }
        if topic == Topic::Bfd {
            let asked = vrf.clone();
            let look = self.look(move |speaker, _| {
                let known = asked.is_none_or(|vrf| speaker.state().vrf(&vrf).is_some());
                known.then(|| Names::of(speaker))
            });
            let unknown = || Refusal::UnknownVrf(vrf.clone().unwrap_or_default());
            let names = look.await?.ok_or_else(unknown)?;
            let seen = self.sessions().await?;
            let seen = seen.unwrap_or_default();
            return Ok(Reply::Bfd(sessions::describe(&seen, &names, vrf.as_deref())));
        }
        let seen = self.look(move |speaker, now| look::at(speaker, now, topic, vrf)).await??;
        Ok(seen.describe())
    }

    async fn explain(&self, address: IpAddr, vrf: Option<String>) -> Result<Explanation, Refusal> {
        let name = named(vrf);
        let asked = name.clone();
        let found = self.look(move |speaker, now| explain::find(speaker, now, address, &asked));
        let found = found.await?.ok_or_else(|| Refusal::UnknownVrf(name.clone()))?;
        let journal = &self.journal;
        Ok(found.describe(
            explain::live(journal, address, &name),
            explain::flooded(journal, address, &name),
            explain::repaired(journal, &name),
            self.wall,
        ))
    }

    async fn add_host(&self, host: HostAdd) -> Result<(), Refusal> {
        self.change(change(HostRequest::Add(host))).await
    }

    async fn remove_host(&self, address: IpAddr, vrf: Option<String>) -> Result<(), Refusal> {
        self.change(change(HostRequest::Remove { address, vrf })).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>, Refusal> {
        let mut all = self.look(metrics::of_speaker).await?;
        all.extend(self.sessions().await?.iter().flat_map(sessions::metrics));
        all.extend(metrics::of_driver(self.handle.counters()));
        all.extend(metrics::of_journal(&self.journal));
        Ok(all)
    }

    fn watch(&self) -> broadcast::Receiver<Event> {
        self.journal.watch()
    }
}

/// The API's desk, as the loop sees it.
pub(crate) struct FrontDesk(pub(crate) Desk);

impl bugle_host::Desk for FrontDesk {
    fn take_request(&mut self, key: u32) -> Option<(u32, HostChange)> {
        self.0.take_request(key).map(|(ticket, request)| (ticket, change(request)))
    }

    fn answer(&mut self, ticket: u32, result: Result<(), HostRefusal>) {
        self.0.answer(ticket, result.map_err(refusal));
    }
}

fn change(request: HostRequest) -> HostChange {
    match request {
        HostRequest::Add(HostAdd { address, vrf, port, mac, candidate }) => {
            HostChange::Add { vrf: named(vrf), address, port, mac, candidate }
        }
        HostRequest::Remove { address, vrf } => HostChange::Remove { vrf: named(vrf), address },
    }
}

fn refusal(refusal: HostRefusal) -> Refusal {
    match refusal {
        HostRefusal::UnknownVrf(name) => Refusal::UnknownVrf(name),
        HostRefusal::Stopping => Refusal::Stopping,
        HostRefusal::Refused(refused) => Refusal::Refused(refused.to_string()),
    }
}

/// The VRF meant: the default one if none is named.
fn named(vrf: Option<String>) -> String {
    vrf.unwrap_or_else(|| VrfName::DEFAULT.to_owned())
}
