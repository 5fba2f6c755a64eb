//! What a daemon must be able to answer.

use std::future::Future;
use std::net::IpAddr;

use axum::http::StatusCode;
use tokio::sync::broadcast;

use crate::model::{Event, Explanation, HostAdd, Metric, Reply, Topic};

/// The daemon as the API sees it. Calls come from many connections at once and must not block.
///
/// A `vrf` of `None` means all VRFs where several can be answered for, and the default VRF where one must be chosen.
pub trait Backend: Send + Sync + 'static {
    /// The state of one topic.
    fn show(
        &self,
        topic: Topic,
        vrf: Option<String>,
    ) -> impl Future<Output = Result<Reply, Refusal>> + Send;

    /// Why packets to an address go where they go.
    fn explain(
        &self,
        address: IpAddr,
        vrf: Option<String>,
    ) -> impl Future<Output = Result<Explanation, Refusal>> + Send;

    /// A host is here, or expected here.
    fn add_host(&self, host: HostAdd) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// A host has left.
    fn remove_host(
        &self,
        address: IpAddr,
        vrf: Option<String>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Everything that is counted.
    fn metrics(&self) -> impl Future<Output = Result<Vec<Metric>, Refusal>> + Send;

    /// Events from now on. The channel is bounded: a reader that is too slow misses some and is told how many.
    fn watch(&self) -> broadcast::Receiver<Event>;
}

/// Why a request is not granted. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such VRF is configured.
    #[error("there is no VRF called {0:?}; `bugle show summary` lists those configured")]
    UnknownVrf(String),
    /// The request makes sense, but not now, or not here.
    #[error("{0}")]
    Refused(String),
    /// There are more requests at once than are taken.
    #[error("too many requests at once; try again")]
    Busy,
    /// The daemon is stopping.
    #[error("the daemon is stopping; try again once it runs")]
    Stopping,
}

impl Refusal {
    /// The HTTP status that goes with it.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownVrf(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
