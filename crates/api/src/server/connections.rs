//! Accepting connections, with bounds on their number and on the time they take: no client can exhaust the daemon.

use std::future::pending;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Source;
use super::desk::Passed;

/// At most so many connections of each kind; others wait.
pub(super) const CONNECTIONS: usize = 64;
/// A client that has not sent a request's header by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A TCP connection lives no longer. Unix connections may: `watch` has no end.
const HTTP_LIFETIME: Duration = Duration::from_secs(60);
/// The pause after a failed accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the Unix socket until dropped.
pub(super) async fn serve_unix(mut source: Source, router: Router) {
    let mut connections = Connections::new(router, None);
    while let Some(permit) = connections.permit().await {
        match &mut source {
            Source::Listener(listener) => match listener.accept().await {
                Ok((stream, _)) => connections.serve(stream, permit),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Source::Desk(passed) => {
                let Some(Passed { stream, read }) = passed.recv().await else {
                    // There is no desk any more. What it passed on is served to the end.
                    return pending().await;
                };
                // Without an asynchronous socket there is nobody to tell.
                let Ok(stream) = UnixStream::from_std(stream) else { continue };
                let (reader, writer) = stream.into_split();
                connections.serve(join(Cursor::new(read).chain(reader), writer), permit);
            }
        }
    }
}

/// Serves a TCP address until dropped.
pub(super) async fn serve_http(listener: &TcpListener, router: Router) {
    let mut connections = Connections::new(router, Some(HTTP_LIFETIME));
    while let Some(permit) = connections.permit().await {
        match listener.accept().await {
            Ok((stream, _)) => connections.serve(stream, permit),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The connections of one listener. They end when this is dropped.
struct Connections {
    router: Router,
    lifetime: Option<Duration>,
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(router: Router, lifetime: Option<Duration>) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Self { router, lifetime, permits, tasks: JoinSet::new() }
    }

    /// Waits until another connection may be taken; the semaphore is never closed.
    async fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        // Forget the connections that have ended.
        while self.tasks.try_join_next().is_some() {}
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    fn serve<S>(&mut self, stream: S, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let lifetime = self.lifetime;
        self.tasks.spawn(async move {
            // How a client leaves is its own affair.
            let _ = match lifetime {
                Some(lifetime) => timeout(lifetime, connection).await,
                None => Ok(connection.await),
            };
            drop(permit);
        });
    }
}
