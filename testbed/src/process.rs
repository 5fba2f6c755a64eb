//! Processes that run in a namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::error::{LabError, Result};
use crate::tools;

/// How often a process that should end is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A process in a namespace; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn spawn(
        namespace: &str,
        name: &str,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self> {
        let starting = || LabError::io(format!("starting {name}"));
        let output = File::options().create(true).append(true).open(log).map_err(starting())?;
        let errors = output.try_clone().map_err(starting())?;
        // `ip netns exec` replaces itself by the program, so that the child's pid is the program's.
        let child = Command::new(tools::find("ip")?)
            .args(["netns", "exec", namespace])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(starting())?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// What the process is called in its lab.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How the process ended, such as `exit status: 2`; `None` while it runs.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).unwrap_or(i32::MAX);
        signal::kill(Pid::from_raw(pid), signal)
            .map_err(LabError::io(format!("sending {signal} to {}", self.name)))
    }

    /// SIGKILL: no last words. Returns once the process is gone.
    pub fn kill(&mut self) {
        // It fails only for a process that is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the process to end.
    ///
    /// # Errors
    /// If it has not ended `within` this time; it is then killed.
    pub fn stop(&mut self, within: Duration) -> Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        self.signal(Signal::SIGTERM)?;
        let start = Instant::now();
        while self.ended().is_none() {
            if start.elapsed() >= within {
                self.kill();
                let what = format!("{} to stop after SIGTERM (killed now)", self.name);
                return Err(LabError::Timeout { what, within, logs: String::new() });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// The processor time used so far by all threads that still live, from the scheduler's statistics.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let reading = || LabError::io(format!("reading the processor time of {}", self.name));
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid())).map_err(reading())? {
            let text = fs::read_to_string(task.map_err(reading())?.path().join("schedstat"));
            let nanos = text.map_err(reading())?;
            let nanos = nanos.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
            total += Duration::from_nanos(nanos.unwrap_or(0));
        }
        Ok(total)
    }

    /// Resident memory in KiB.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn rss_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .map_err(LabError::io(format!("reading the memory of {}", self.name)))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| LabError::Unexpected {
            what: format!("the memory of {}", self.name),
            found: "no VmRSS: it has ended".to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
