//! Serves a [`Backend`] on a Unix socket, and read-only on TCP if wanted.
//!
//! | Module | Holds |
//! |---|---|
//! | `socket` | the Unix socket's file: made, guarded, removed |
//! | `router` | requests to calls, answers to JSON |
//! | `connections` | accepting, with bounds on number and time |

mod connections;
mod router;
mod socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use crate::backend::Backend;
use socket::SocketFile;

pub use socket::BindError;

/// A bound server. Dropping it, or the future of [`Server::run`], ends all connections and removes the socket.
#[derive(Debug)]
pub struct Server {
    unix: UnixListener,
    http: Option<TcpListener>,
    /// Dropped last.
    file: SocketFile,
}

impl Server {
    /// Binds the Unix socket, whose directory is created if need be, and the TCP address if there is one.
    ///
    /// # Errors
    /// If another daemon lives at the socket, or an address cannot be bound.
    pub async fn bind(socket: &Path, http: Option<SocketAddr>) -> Result<Self, BindError> {
        let (file, unix) = SocketFile::bind(socket)?;
        let http = match http {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|source| BindError::Http { address, source })?)
            }
            None => None,
        };
        Ok(Self { unix, http, file })
    }

    /// The TCP address, with the port that the kernel chose if it was zero.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.local_addr().ok()
    }

    /// Serves until dropped.
    pub async fn run<B: Backend>(self, backend: Arc<B>) {
        let Self { unix, http, file: _file } = self;
        let unix = connections::serve_unix(&unix, router::full(Arc::clone(&backend)));
        match http {
            Some(http) => {
                tokio::join!(unix, connections::serve_http(&http, router::read_only(backend)));
            }
            None => unix.await,
        }
    }
}
