//! What the daemon must know before it can run: the configuration, and what the machine fills in where it says nothing.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use bugle_speaker::config::{Config, ConfigErrors, KeyFileError};
use bugle_types::RouterId;
use nix::ifaddrs::getifaddrs;
use nix::unistd::gethostname;
use thiserror::Error;

/// Why a configuration cannot be used. Displays one problem a line.
#[derive(Debug, Error)]
pub(crate) enum StartupError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file has mistakes.
    #[error("{}", located(path, errors))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All of them.
        errors: ConfigErrors,
    },
    /// There is nothing to take a router id from.
    #[error(
        "{}: router-id is not set, and lo has no IPv4 address besides 127.0.0.0/8 to take it from: set router-id",
        .0.display()
    )]
    NoRouterId(PathBuf),
    /// A key that the file names is not to be had.
    #[error(transparent)]
    Key(#[from] KeyFileError<io::Error>),
}

fn located(path: &Path, errors: &ConfigErrors) -> String {
    let lines: Vec<_> = errors.iter().map(|error| format!("{}: {error}", path.display())).collect();
    lines.join("\n")
}

/// Reads and checks a configuration file.
pub(crate) fn read(path: &Path) -> Result<Config, StartupError> {
    let text = fs::read_to_string(path)
        .map_err(|source| StartupError::Read { path: path.to_owned(), source })?;
    Config::parse(&text).map_err(|errors| StartupError::Mistakes { path: path.to_owned(), errors })
}

/// Reads and checks a configuration file and the keys it names, and fills in the router id and the host name from the machine.
pub(crate) fn load(path: &Path) -> Result<Config, StartupError> {
    let mut config = read(path)?;
    config.load_keys(|file| fs::read(file))?;
    config.router_id = config.router_id.or_else(|| highest_address("lo"));
    let isis_only = config.vrfs.values().any(|vrf| vrf.isis.is_some())
        && config.vrfs.values().all(|vrf| vrf.ospf.is_none());
    if config.router_id.is_none() && !isis_only {
        return Err(StartupError::NoRouterId(path.to_owned()));
    }
    let machine = || gethostname().ok().and_then(|name| name.into_string().ok());
    config.hostname = config.hostname.or_else(machine);
    Ok(config)
}

/// The highest IPv4 address of an interface that is not a loopback address.
fn highest_address(interface: &str) -> Option<RouterId> {
    let addresses = getifaddrs().ok()?.filter(|entry| entry.interface_name == interface);
    let ipv4 = addresses.filter_map(|entry| Some(entry.address?.as_sockaddr_in()?.ip()));
    ipv4.filter(|address| !Ipv4Addr::is_loopback(address)).max().map(RouterId::from)
}
