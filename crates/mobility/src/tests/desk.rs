//! An engine with an observer that minds the rules every output must obey.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Prefix, RouterId, Time};

use crate::host::HOLD;
use crate::{
    Claim, Class, Event, HostState, HostsConfig, Input, LocalTarget, Mobility, Others, Output,
    Refused,
};

pub(super) const ME: RouterId = RouterId(5);
pub(super) const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 1));

pub(super) fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, last])
}

pub(super) fn config() -> HostsConfig {
    HostsConfig {
        router_id: ME,
        ports: vec!["tap*".parse().unwrap()],
        prefixes: vec!["10.1.0.0/16".parse().unwrap()],
        ..HostsConfig::default()
    }
}

/// One other router.
pub(super) fn other(metric: u32, router: u32) -> Others {
    Others { router: RouterId(router).into(), metric: Some(metric), count: 1 }
}

/// A router whose own address it is.
pub(super) fn router(id: u32) -> Others {
    Others { router: RouterId(id).into(), metric: None, count: 1 }
}

/// A registration of [`HOST`] behind tap0.
pub(super) fn claim() -> Claim {
    Claim {
        address: HOST,
        port: Some("tap0".into()),
        mac: Some(mac(1)),
        class: Class::Registered,
        candidate: false,
        request: None,
    }
}

/// The same, seen in frames.
pub(super) fn seen() -> Claim {
    Claim { class: Class::Learned, ..claim() }
}

/// What others advertise for a prefix that begins to be watched.
pub(super) enum Answer {
    Later,
    Nobody,
    Other(Others),
}

/// An engine, and what the outside knows from it.
pub(super) struct Desk {
    pub(super) mobility: Mobility,
    pub(super) now: Time,
    pub(super) neighbors: BTreeMap<(IfIndex, IpAddr), Mac>,
    pub(super) local: BTreeMap<Prefix, LocalTarget>,
    pub(super) advertised: BTreeMap<Prefix, u32>,
    pub(super) watched: BTreeSet<Prefix>,
    pub(super) touched: BTreeMap<Prefix, Time>,
    pub(super) events: Vec<Event>,
    pub(super) replies: Vec<(u64, Result<(), Refused>)>,
    /// Everything since the last look.
    pub(super) outputs: Vec<Output>,
    /// What is told when a prefix is watched.
    pub(super) answer: Answer,
}

impl Desk {
    /// An engine with two ports that are up, alone in the network.
    pub(super) fn new(config: HostsConfig) -> Self {
        let mut desk = Self {
            mobility: Mobility::new(),
            now: Time::from_secs(100),
            neighbors: BTreeMap::new(),
            local: BTreeMap::new(),
            advertised: BTreeMap::new(),
            watched: BTreeSet::new(),
            touched: BTreeMap::new(),
            events: Vec::new(),
            replies: Vec::new(),
            outputs: Vec::new(),
            answer: Answer::Nobody,
        };
        desk.tell(Input::Config(Box::new(config)));
        desk.port("tap0", true);
        desk.port("tap1", true);
        desk
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.mobility.handle(self.now, input);
        while let Some(output) = self.mobility.poll_output() {
            self.observe(&output);
            self.outputs.push(output.clone());
            if let Output::Watch { prefix, on: true } = output {
                match self.answer {
                    Answer::Later => {}
                    Answer::Nobody => self.tell(Input::Others { prefix, others: None }),
                    Answer::Other(other) => {
                        self.tell(Input::Others { prefix, others: Some(other) });
                    }
                }
            }
        }
        if let Some((at, _)) = self.mobility.deadline() {
            assert!(at > self.now, "what is due is done at once");
        }
    }

    pub(super) fn port(&mut self, name: &str, up: bool) {
        let index: u8 = name.trim_start_matches("tap").parse().unwrap();
        self.tell(Input::Port {
            name: name.into(),
            ifindex: IfIndex(u32::from(index) + 1),
            up,
            mac: Some(mac(100 + index)),
        });
    }

    /// The best of the others now advertises this.
    pub(super) fn hear(&mut self, metric: u32, router: u32) {
        let others = Some(other(metric, router));
        self.tell(Input::Others { prefix: Prefix::host(HOST), others });
    }

    /// Nobody else advertises the host any more.
    pub(super) fn hear_nobody(&mut self) {
        self.tell(Input::Others { prefix: Prefix::host(HOST), others: None });
    }

    pub(super) fn release(&mut self) {
        self.tell(Input::Release { address: HOST, request: None });
    }

    /// Lets time pass, with a tick at each deadline on the way.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.mobility.deadline().filter(|(at, _)| *at <= end) {
            self.now = at;
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    pub(super) fn metric(&self) -> Option<u32> {
        self.advertised.get(&Prefix::host(HOST)).copied()
    }

    pub(super) fn target(&self) -> Option<LocalTarget> {
        self.local.get(&Prefix::host(HOST)).copied()
    }

    pub(super) fn state(&self) -> Option<HostState> {
        self.mobility.state().host(HOST).map(|host| host.state)
    }

    fn observe(&mut self, output: &Output) {
        match output {
            Output::Watch { prefix, on: true } => assert!(self.watched.insert(*prefix)),
            Output::Watch { prefix, on: false } => {
                assert!(self.watched.remove(prefix));
                assert!(!self.advertised.contains_key(prefix), "forgotten while advertised");
                assert!(!self.local.contains_key(prefix), "forgotten while routed");
            }
            Output::Neighbor { ifindex, address, mac: Some(mac) } => {
                let old = self.neighbors.insert((*ifindex, *address), *mac);
                assert_ne!(old, Some(*mac), "nothing new");
            }
            Output::Neighbor { ifindex, address, mac: None } => {
                assert!(
                    self.neighbors.remove(&(*ifindex, *address)).is_some(),
                    "nothing to delete"
                );
                let route = self.local.get(&Prefix::host(*address));
                assert_ne!(route, Some(&LocalTarget::Port(*ifindex)), "the route goes first");
            }
            Output::LocalRoute { prefix, target: Some(target) } => {
                let old = self.local.insert(*prefix, *target);
                assert_ne!(old, Some(*target), "nothing new");
                if let (LocalTarget::Port(ifindex), Some(host)) =
                    (target, self.mobility.state().host(prefix.address()))
                {
                    let neighbor = self.neighbors.get(&(*ifindex, prefix.address()));
                    assert_eq!(neighbor.copied(), host.mac, "the neighbour comes first");
                }
            }
            Output::LocalRoute { prefix, target: None } => {
                assert!(self.local.remove(prefix).is_some(), "nothing to remove");
            }
            Output::Advertise { prefix, metric } => {
                assert!(*metric > 0);
                let old = self.advertised.insert(*prefix, *metric);
                assert_ne!(old, Some(*metric), "nothing new");
                let host = self.mobility.state().host(prefix.address()).unwrap();
                assert_eq!(host.port.is_some(), self.local.contains_key(prefix), "the route first");
                self.touched.insert(*prefix, self.now);
            }
            Output::Withdraw { prefix } => {
                assert!(self.advertised.remove(prefix).is_some(), "nothing to withdraw");
                let touched = self.touched[prefix];
                assert!(self.now >= touched + HOLD, "touched twice within a second");
                self.touched.insert(*prefix, self.now);
            }
            Output::Reply { request, result } => self.replies.push((*request, result.clone())),
            Output::Event(event) => self.events.push(event.clone()),
        }
    }
}
