//! The daemon from start to stop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bugle_api::{BindError, Server};
use bugle_host::{Clock, Driver, DriverError, Recorded};
use bugle_inject::compat::Untold;
use bugle_inject::standby;
use bugle_speaker::config::{Config, NexthopCompat, Record};
use thiserror::Error;
use tokio::runtime::Builder;
use tracing::{info, warn};

use crate::backend::{Daemon, FrontDesk};
use crate::capabilities;
use crate::journal::{Journal, Scribe};
use crate::supervisor::Supervisor;
use crate::wall::{Wall, secret, seed};

/// Why the daemon cannot run, or no longer.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The API cannot be served.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The loop cannot run.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The process may not do what the configuration asks for.
    #[error("bugled needs the capabilities {}: run it as root, or under the systemd unit", .0.join(" and "))]
    Capabilities(Vec<&'static str>),
    /// The recording cannot be written.
    #[error("cannot record in {}: {source}; check its directory and record.file", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system gave no thread, or nothing to wait with.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// The loop's thread panicked.
    #[error("the loop broke off; see the messages before this one")]
    Broken,
}

/// Runs until told to stop.
pub(crate) fn run(file: &Path, config: Config) -> Result<(), RunError> {
    Builder::new_current_thread().enable_all().build()?.block_on(serve(file, config))
}

async fn serve(file: &Path, config: Config) -> Result<(), RunError> {
    let (version, router_id) = (env!("CARGO_PKG_VERSION"), config.router_id.unwrap_or_default());
    info!(version, config = %file.display(), %router_id, "starting");
    let missing = capabilities::missing(&config);
    if !missing.is_empty() {
        return Err(RunError::Capabilities(missing));
    }
    // Bound before the first packet goes out: a second daemon on this machine must not even say hello.
    let (server, desk) = Server::bind_with_desk(&config.api.socket, config.api.http).await?;
    if let Some(address) = server.http_address() {
        info!("read-only API on http://{address}");
    }
    let clock = Clock::start();
    let wall = Wall::new(clock);
    let speaker = match &config.record {
        None => Recorded::not(seed(), clock.now()),
        Some(Record { file, limit }) => {
            let path = file.clone();
            let recorded = Recorded::to(file, *limit, seed(), clock.now());
            let recorded = recorded.map_err(|source| RunError::Record { path, source })?;
            info!("recording in {}", file.display());
            recorded
        }
    };
    let _untold = keep_routes_untold(&config);
    if config.fib.enabled && matches!(standby::is_known(), Ok(false)) {
        warn!(
            "no nexthop can stand by in this kernel (Linux 5.13 and later): routes of a link that loses its carrier are put again on their backup"
        );
    }
    let (driver, handle) = Driver::open(speaker, clock, secret()?)?;
    let driver = driver.with_desk(|epoll, tag| desk.open(epoll, tag).map(FrontDesk))?;
    let journal = Arc::new(Journal::new(wall));
    let mut scribe = Scribe::new(handle.events(), Arc::clone(&journal));
    let supervisor = Supervisor::new(file, config, handle.clone());
    let backend = Arc::new(Daemon::new(handle, journal, wall));
    let ended = driver.start()?;
    let done = tokio::select! {
        done = ended => done.map_err(|_| RunError::Broken)?,
        // These go on for as long as they are asked to.
        () = server.run(backend) => Ok(()),
        never = scribe.run() => match never {},
        failed = supervisor.run() => match failed? {},
    };
    scribe.catch_up();
    info!("stopped");
    Ok(done?)
}

/// Makes re-pointing a nexthop object cheap while the daemon runs, if the configuration says so.
fn keep_routes_untold(config: &Config) -> Option<Untold> {
    if config.fib.nexthop_compat == NexthopCompat::Leave || !config.fib.enabled {
        return None;
    }
    Untold::begin().unwrap_or_else(|error| {
        warn!("cannot set net.ipv4.nexthop_compat_mode to 0: {error}; repairs take half a microsecond for each route");
        None
    })
}
