//! Keys for authentication: which, and in which files.

use std::fmt;
use std::path::{Path, PathBuf};

use bugle_bfd::config::AuthenticationError;
use bugle_wire::isis::{Algorithm, Key, KeyError};
use serde::{Deserialize, Serialize};

/// One key: `{ type = "hmac-sha-256", key-id = 1, key-file = "/etc/bugle/isis.key" }`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyFile {
    /// `type`: how it authenticates. Required.
    pub algorithm: Algorithm,
    /// `key-id`: tells the keys of RFC 5310 apart. Default: 1.
    pub id: u16,
    /// `key-file`: where the key is, an absolute path; line ends behind it do not belong to it. Required.
    pub path: PathBuf,
    /// What the file holds, once it was read. It goes into no recording.
    #[serde(skip)]
    secret: Option<Secret>,
}

impl KeyFile {
    /// A key whose file was not read yet.
    #[must_use]
    pub fn new(algorithm: Algorithm, id: u16, path: PathBuf) -> Self {
        Self { algorithm, id, path, secret: None }
    }

    /// The key; `None` before its file was read.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let Secret(secret) = self.secret.as_ref()?;
        Key::new(self.algorithm, self.id, secret).ok()
    }

    pub(super) fn load<E>(
        &mut self,
        read: &mut impl FnMut(&Path) -> Result<Vec<u8>, E>,
    ) -> Result<(), KeyFileError<E>> {
        let path = self.path.clone();
        let secret = read_secret(&path, read)?;
        if let Err(source) = Key::new(self.algorithm, self.id, &secret) {
            return Err(KeyFileError::NoKey { path, source });
        }
        self.secret = Some(Secret(secret));
        Ok(())
    }
}

/// What a key file holds, without the line ends behind it.
pub(super) fn read_secret<E>(
    path: &Path,
    read: &mut impl FnMut(&Path) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, KeyFileError<E>> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
    let mut secret = read(path).map_err(unreadable)?;
    while secret.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        secret.pop();
    }
    Ok(secret)
}

/// What a key file holds.
#[derive(Clone, PartialEq, Eq)]
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a key is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError<E> {
    /// The file cannot be read.
    #[error("key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: E,
    },
    /// The file can be read, but holds no key of its type.
    #[error("key file {}: {source}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The file can be read, but holds no key for BFD of its type.
    #[error("key file {}: {source}", path.display())]
    NoBfdKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AuthenticationError,
    },
}
