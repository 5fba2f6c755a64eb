//! The Unix socket's file.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why the server could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon answers there.
    #[error("another daemon already serves {}; stop it, or set api.socket to another path", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket is in the way.
    #[error("{} is in the way and not a socket; remove it, or set api.socket to another path", .0.display())]
    NotASocket(PathBuf),
    /// The socket could not be made.
    #[error("cannot serve {}: {source}; check its directory and api.socket", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The TCP address could not be bound.
    #[error("cannot serve http://{address}: {source}; {}", advice(source))]
    Http {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

fn advice(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::AddrInUse {
        "set api.http to another port, or stop who serves this one"
    } else {
        "set api.http to an address of this machine"
    }
}

/// A socket's file, removed when dropped unless it has been replaced by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what tells our file from a successor's.
    identity: (u64, u64),
}

impl SocketFile {
    /// Makes the socket, mode 0660, in place of one that nobody serves any more.
    pub(super) fn bind(path: &Path) -> Result<(Self, UnixListener), BindError> {
        let failed = |source| BindError::Socket { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let identity = identity(path).map_err(failed)?;
        let file = Self { path: path.to_owned(), identity };
        fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((file, listener))
    }
}

impl SocketFile {
    /// The socket cannot be served.
    pub(super) fn failed(&self, source: io::Error) -> BindError {
        BindError::Socket { path: self.path.clone(), source }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // If it cannot be removed now, the next start will.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that a dead daemon left.
fn clear(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Socket { path: path.to_owned(), source };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Connected, or alive with a full queue.
        Ok(_) | Err(_) => Err(BindError::InUse(path.to_owned())),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
