//! Network namespaces for one test.

use std::process::Command;
use std::sync::mpsc::{Sender, channel};

use bugle_types::IfIndex;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};

/// Whether this process can have network namespaces; says so if not.
pub(crate) fn possible() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped: needs root, for network namespaces");
    }
    root
}

/// A network namespace, which lives as long as this and what was started in it.
pub(crate) struct Namespace {
    thread: Pid,
    work: Sender<Box<dyn FnOnce() + Send>>,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (work, jobs) = channel::<Box<dyn FnOnce() + Send>>();
        let (ready, is_ready) = channel();
        let run = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ready.send(gettid()).unwrap();
            for job in jobs {
                job();
            }
        };
        std::thread::Builder::new().spawn(run).unwrap();
        let namespace = Self { thread: is_ready.recv().unwrap(), work };
        namespace.ip("link set dev lo up");
        namespace
    }

    /// Runs `job` in the namespace; threads that it starts are in it too.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        self.work.send(Box::new(move || sender.send(job()).unwrap())).unwrap();
        receiver.recv().unwrap()
    }

    /// Runs iproute2's `ip` and returns what it prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let arguments = arguments.to_owned();
        self.run(move || {
            let words = arguments.split_whitespace();
            let output = Command::new("ip").args(words).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "ip {arguments}: {errors}");
            String::from_utf8(output.stdout).unwrap()
        })
    }

    pub(crate) fn ifindex(&self, name: &str) -> IfIndex {
        let name = name.to_owned();
        IfIndex(self.run(move || nix::net::if_::if_nametoindex(name.as_str()).unwrap()))
    }

    /// Makes a link `name`, up and with an address at both ends; `other` has its end under the same name.
    pub(crate) fn link(&self, name: &str, address: &str, other: &Self, other_address: &str) {
        let thread = other.thread;
        self.ip(&format!("link add name {name} type veth peer name {name} netns {thread}"));
        for (namespace, address) in [(self, address), (other, other_address)] {
            namespace.ip(&format!("address add {address} dev {name}"));
            namespace.ip(&format!("link set dev {name} up"));
        }
        // Before that the kernel drops in silence what is sent.
        let is_up =
            |namespace: &Self| namespace.ip(&format!("link show dev {name}")).contains("state UP");
        assert!((0..1_000).any(|_| is_up(self) && is_up(other)));
    }
}

/// Two namespaces with a link `eth0` between them, 10.0.0.1/24 and 10.0.0.2/24.
pub(crate) fn pair() -> [Namespace; 2] {
    let namespaces = [Namespace::new(), Namespace::new()];
    namespaces[0].link("eth0", "10.0.0.1/24", &namespaces[1], "10.0.0.2/24");
    namespaces
}
