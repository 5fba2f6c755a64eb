//! An engine that does what a test says, and records what it is told.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bugle_host::{Clock, Driver, DriverError, Engine, Handle};
use bugle_rib::fib::{FibOp, FibSnapshot, NexthopId, RouteKey};
use bugle_speaker::{HostChange, HostRefusal, Input, Output};
use bugle_types::{Address, IfIndex, Link, Mac, Time};
use tokio::sync::oneshot;

use crate::namespace::Namespace;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the engine was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Tick,
    Config,
    Link(Link),
    LinkGone(IfIndex),
    Address(Address),
    AddressGone(Address),
    Resync,
    Synced,
    Ospf { ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr, bytes: Vec<u8> },
    Isis { ifindex: IfIndex, source: Mac, bytes: Vec<u8> },
    Fib(FibSnapshot),
    FibFailed { op: FibOp, reason: String },
    FibDisturbed,
    FibReplaced(RouteKey),
    FibRemoved(Vec<NexthopId>),
    Bfd(bugle_bfd::Event),
    Host(u64),
    Shutdown,
}

/// What the engine is to do; shared with the test.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    outputs: VecDeque<Output>,
    deadline: Option<Time>,
    never_quiet: bool,
}

pub(crate) struct Scripted {
    script: Script,
    told: Sender<(Time, Told)>,
}

impl Engine for Scripted {
    fn handle(&mut self, now: Time, input: Input<'_>) {
        let told = match input {
            Input::Tick => {
                self.script.0.lock().unwrap().deadline = None;
                Told::Tick
            }
            Input::Config(_) => Told::Config,
            Input::Link(link) => Told::Link(link),
            Input::LinkGone(ifindex) => Told::LinkGone(ifindex),
            Input::Address(address) => Told::Address(address),
            Input::AddressGone(address) => Told::AddressGone(address),
            Input::Synced => Told::Synced,
            Input::Resync => Told::Resync,
            Input::Ospf { ifindex, src, dst, bytes } => {
                Told::Ospf { ifindex, src, dst, bytes: bytes.to_vec() }
            }
            Input::Isis { ifindex, source, bytes } => {
                Told::Isis { ifindex, source, bytes: bytes.to_vec() }
            }
            Input::Fib(snapshot) => Told::Fib(snapshot),
            Input::FibFailed { op, reason } => Told::FibFailed { op, reason },
            Input::FibDisturbed => Told::FibDisturbed,
            Input::FibReplaced(key) => Told::FibReplaced(key),
            Input::FibRemoved(ids) => Told::FibRemoved(ids),
            Input::Bfd { event, .. } => Told::Bfd(event),
            Input::Host { request, .. } => {
                let result = Err(HostRefusal::UnknownVrf("not this one".to_owned()));
                self.script.0.lock().unwrap().outputs.push_back(Output::Reply { request, result });
                Told::Host(request)
            }
            Input::Shutdown => Told::Shutdown,
        };
        // A test that has seen enough no longer listens.
        let _ = self.told.send((now, told));
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.script.0.lock().unwrap().outputs.pop_front()
    }

    fn deadline(&self) -> Option<Time> {
        self.script.0.lock().unwrap().deadline
    }

    fn is_quiet(&self) -> bool {
        !self.script.0.lock().unwrap().never_quiet
    }
}

/// A driver with a scripted engine, running in a namespace.
pub(crate) struct Actor {
    pub(crate) script: Script,
    pub(crate) handle: Handle<Scripted>,
    pub(crate) end: oneshot::Receiver<Result<(), DriverError>>,
    told: Receiver<(Time, Told)>,
}

impl Actor {
    /// Starts in `namespace`, and waits until what exists has been told.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let actor = Self::start_unsynced(namespace);
        actor.wait_for(|told| *told == Told::Synced);
        actor
    }

    pub(crate) fn start_unsynced(namespace: &Namespace) -> Self {
        let script = Script::default();
        let (sender, told) = channel();
        let engine = Scripted { script: script.clone(), told: sender };
        let (handle, end) = namespace.run(move || {
            let (driver, handle) = Driver::open(engine, Clock::start(), 1).unwrap();
            (handle, driver.start().unwrap())
        });
        Self { script, handle, end, told }
    }

    /// Has the engine ask for these, in this order.
    pub(crate) fn ask(&self, outputs: impl IntoIterator<Item = Output>) {
        self.script.0.lock().unwrap().outputs.extend(outputs);
        // Anything that makes the driver drain; the answer comes behind these.
        let _ = self.change_host();
    }

    pub(crate) fn change_host(&self) -> Result<(), HostRefusal> {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let change = HostChange::Remove { vrf: "default".to_owned(), address };
        block_on(self.handle.change_host(change)).unwrap()
    }

    /// The time on the driver's clock.
    pub(crate) fn now(&self) -> Time {
        block_on(self.handle.read(|_, now| now)).unwrap()
    }

    pub(crate) fn set_deadline(&self, deadline: Time) {
        let script = self.script.clone();
        let set = move |_: &Scripted, _| script.0.lock().unwrap().deadline = Some(deadline);
        block_on(self.handle.read(set)).unwrap();
    }

    pub(crate) fn never_be_quiet(&self) {
        self.script.0.lock().unwrap().never_quiet = true;
    }

    /// Waits until the engine is told something of which `is_it` holds; skips what comes before.
    pub(crate) fn wait_for(&self, is_it: impl Fn(&Told) -> bool) -> (Time, Told) {
        loop {
            let (time, told) = self.told.recv_timeout(PATIENCE).unwrap();
            if is_it(&told) {
                return (time, told);
            }
        }
    }

    /// The next packet that the engine is told of.
    pub(crate) fn packet(&self) -> (Ipv4Addr, Ipv4Addr, Vec<u8>) {
        let (_, told) = self.wait_for(|told| matches!(told, Told::Ospf { .. }));
        let Told::Ospf { src, dst, bytes, .. } = told else { unreachable!() };
        (src, dst, bytes)
    }

    /// Stops, and waits for the end.
    pub(crate) fn stop(self) {
        block_on(self.handle.stop()).unwrap();
        block_on(self.end).unwrap().unwrap();
        assert!(block_on(self.handle.stop()).is_err());
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
