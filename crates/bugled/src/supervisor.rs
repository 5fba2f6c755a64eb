//! Signals, reloads and the watchdog.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};

use bugle_host::{Handle, Recorded};
use bugle_speaker::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{error, info};

use crate::{startup, systemd};

/// Minds what the machine's operator and service manager want.
pub(crate) struct Supervisor {
    file: PathBuf,
    /// The configuration in force.
    config: Config,
    handle: Handle<Recorded>,
}

impl Supervisor {
    pub(crate) fn new(file: &Path, config: Config, handle: Handle<Recorded>) -> Self {
        Self { file: file.to_owned(), config, handle }
    }

    /// Hands the loop its configuration, then minds signals for ever.
    pub(crate) async fn run(mut self) -> io::Result<Infallible> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut watchdog = systemd::watchdog_interval().map(|period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        self.configure().await;
        systemd::ready();
        info!("running");
        loop {
            tokio::select! {
                _ = hangup.recv() => self.reload().await,
                _ = terminate.recv() => self.stop().await,
                _ = interrupt.recv() => self.stop().await,
                () = tick(watchdog.as_mut()) => {
                    // As long as the loop answers, the daemon is alive.
                    if self.handle.read(|_, _| ()).await.is_ok() {
                        systemd::alive();
                    }
                }
            }
        }
    }

    /// Reads the configuration again. All or nothing: with a mistake in it everything stays as it is.
    async fn reload(&mut self) {
        systemd::reloading();
        match startup::load(&self.file) {
            Err(error) => {
                for line in error.to_string().lines() {
                    error!("not reloaded: {line}");
                }
            }
            Ok(config) if config.api != self.config.api => self.at_a_start_only("[api]"),
            Ok(config) if config.record != self.config.record => self.at_a_start_only("[record]"),
            Ok(config) if config == self.config => info!("reloaded: nothing has changed"),
            Ok(config) => {
                self.config = config;
                self.configure().await;
                info!("reloaded");
            }
        }
        systemd::ready();
    }

    fn at_a_start_only(&self, table: &str) {
        error!(
            "not reloaded: {}: {table} differs from what is in force, and takes effect at a start only: \
             restart bugled, or change {table} back",
            self.file.display()
        );
    }

    /// Puts the configuration into force, and waits until the loop has taken it.
    async fn configure(&self) {
        // Once the loop has ended there is nobody to tell, and the daemon ends too.
        let _ = self.handle.configure(self.config.clone()).await;
        let _ = self.handle.read(|_, _| ()).await;
    }

    async fn stop(&self) {
        info!("stopping");
        systemd::stopping();
        // As above.
        let _ = self.handle.stop().await;
    }
}

/// The next tick, if there are any.
async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => pending().await,
    }
}
