//! Serves a [`Backend`] on a Unix socket, and read-only on TCP if wanted.
//!
//! | Module | Holds |
//! |---|---|
//! | [`desk`] | [`Desk`]: the first to see a connection to the Unix socket |
//! | `socket` | the Unix socket's file: made, guarded, removed |
//! | `router` | requests to calls, answers to JSON |
//! | `connections` | accepting, with bounds on number and time |

mod connections;
pub mod desk;
mod router;
mod socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use crate::backend::Backend;
use desk::Passed;
use socket::SocketFile;

pub use desk::{ClosedDesk, Desk, HostRequest};
#[cfg(test)]
pub(crate) use router::WATCHERS;
pub use socket::BindError;

/// A bound server. Dropping it, or the future of [`Server::run`], ends all connections and removes the socket.
#[derive(Debug)]
pub struct Server {
    unix: Source,
    http: Option<TcpListener>,
    /// Dropped last.
    file: SocketFile,
}

/// Where connections to the Unix socket come from.
#[derive(Debug)]
enum Source {
    Listener(UnixListener),
    Desk(mpsc::Receiver<Passed>),
}

impl Server {
    /// Binds the Unix socket, whose directory is created if need be, and the TCP address if there is one.
    ///
    /// # Errors
    /// If another daemon lives at the socket, or an address cannot be bound.
    pub async fn bind(socket: &Path, http: Option<SocketAddr>) -> Result<Self, BindError> {
        let (file, listener) = SocketFile::bind(socket)?;
        let listener = UnixListener::from_std(listener).map_err(|error| file.failed(error))?;
        Ok(Self { unix: Source::Listener(listener), http: bind_http(http).await?, file })
    }

    /// As [`Server::bind`], but nothing reaches the server over the Unix socket but what the desk passes on.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn bind_with_desk(
        socket: &Path,
        http: Option<SocketAddr>,
    ) -> Result<(Self, ClosedDesk), BindError> {
        let (file, listener) = SocketFile::bind(socket)?;
        let (sender, passed) = mpsc::channel(connections::CONNECTIONS);
        let desk = ClosedDesk { listener, server: sender };
        Ok((Self { unix: Source::Desk(passed), http: bind_http(http).await?, file }, desk))
    }

    /// The TCP address, with the port that the kernel chose if it was zero.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.local_addr().ok()
    }

    /// Serves until dropped.
    pub async fn run<B: Backend>(self, backend: Arc<B>) {
        let Self { unix, http, file: _file } = self;
        let unix = connections::serve_unix(unix, router::full(Arc::clone(&backend)));
        match http {
            Some(http) => {
                tokio::join!(unix, connections::serve_http(&http, router::read_only(backend)));
            }
            None => unix.await,
        }
    }
}

async fn bind_http(http: Option<SocketAddr>) -> Result<Option<TcpListener>, BindError> {
    let Some(address) = http else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|source| BindError::Http { address, source })
}
