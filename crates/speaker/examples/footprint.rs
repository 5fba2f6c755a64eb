//! What the engine costs per AS-external-LSA and router: memory and CPU time, for database, routes and forwarding together.
//!
//! `cargo run --release -p bugle-speaker --example footprint [LSAS [SPEAKERS]]`: a router with so many external LSAs becomes the
//! neighbour of one speaker after another, in virtual time; then it changes each LSA by itself. The forwarding table of each
//! speaker is not kept. Linux only: memory and CPU time are read from `/proc/self`.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::VecDeque;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::{self as ospf, ExternalRoute, InterfaceConfig, NetworkType, Ospf};
use bugle_rib::fib::FibSnapshot;
use bugle_speaker::{Config, Input, Output, Speaker};
use bugle_types::{Address, AreaId, IfIndex, Link, RouterId, Time};

const SPEAKER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const FEEDER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const LINK: IfIndex = IfIndex(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let lsas: u32 = args.next().map_or(Ok(10_000), |text| text.parse())?;
    let speakers: u32 = args.next().map_or(Ok(20), |text| text.parse())?;
    let mut lab = Lab::new();
    for host in 0..lsas {
        lab.tell_feeder(advertise(host, 100));
    }
    // The feeder's queues, and room that the first speakers leave behind, do not count.
    for number in 0..3 {
        lab.join(number, lsas)?;
    }
    let before = Usage::now()?;
    for number in 3..3 + speakers {
        lab.join(number, lsas)?;
    }
    before.compare("database exchange", lsas * speakers)?;
    let before = Usage::now()?;
    for host in 0..lsas {
        lab.tell_feeder(advertise(host, 101));
        lab.carry();
    }
    before.compare("a change to each LSA by itself, with the feeder's part", lsas)?;
    Ok(())
}

fn advertise(host: u32, metric: u32) -> ospf::Input<'static> {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 100, 0, 0)) + host);
    ospf::Input::Host(address, Some(ExternalRoute { metric, type2: true, tag: 0 }))
}

/// Resident bytes, and nanoseconds of CPU time so far.
struct Usage {
    bytes: u64,
    nanos: u64,
}

impl Usage {
    fn now() -> Result<Self, Box<dyn Error>> {
        let field = |path: &str, index: usize| -> Result<u64, Box<dyn Error>> {
            let text = std::fs::read_to_string(path)?;
            Ok(text.split_whitespace().nth(index).ok_or("an odd file in /proc")?.parse()?)
        };
        let bytes = field("/proc/self/statm", 1)? * 4096;
        Ok(Self { bytes, nanos: field("/proc/self/schedstat", 0)? })
    }

    fn compare(&self, what: &str, count: u32) -> Result<(), Box<dyn Error>> {
        let now = Self::now()?;
        let per = |before: u64, after: u64| after.saturating_sub(before) / u64::from(count.max(1));
        let (bytes, nanos) = (per(self.bytes, now.bytes), per(self.nanos, now.nanos));
        println!("{what}: {bytes} bytes, {nanos} ns per LSA and router");
        Ok(())
    }
}

/// The router that feeds, and the speakers, of which the last is joined to it.
struct Lab {
    now: Time,
    feeder: Ospf,
    speakers: Vec<Speaker>,
    to_feeder: VecDeque<Vec<u8>>,
    to_speaker: VecDeque<Vec<u8>>,
}

impl Lab {
    fn new() -> Self {
        Self {
            now: Time::from_secs(1),
            feeder: Ospf::new(ospf::Config::new(RouterId(1), AreaId::BACKBONE), 1),
            speakers: Vec::new(),
            to_feeder: VecDeque::new(),
            to_speaker: VecDeque::new(),
        }
    }

    /// Joins a new speaker to the feeder in place of the one before, until it has a route for each LSA.
    fn join(&mut self, number: u32, lsas: u32) -> Result<(), Box<dyn Error>> {
        self.tell_feeder(ospf::Input::Interface(LINK, None));
        let config = Config::parse(&format!(
            "router-id = \"192.0.2.{number}\"
             [[vrf.default.ospf.interface]]
             name = \"eth0\"
             type = \"point-to-point\"
             hello = \"1s\"
             dead = \"4s\"",
        ))
        .map_err(|errors| errors.to_string())?;
        self.speakers.push(Speaker::new(number.into(), self.now));
        self.tell_speaker(Input::Config(Box::new(config)));
        self.tell_speaker(Input::Resync);
        self.tell_speaker(Input::Link(Link {
            ifindex: LINK,
            name: "eth0".to_owned(),
            admin_up: true,
            carrier: true,
            loopback: false,
            mtu: 1500,
            mac: None,
            master: None,
            vrf_table: None,
        }));
        let local = SPEAKER.into();
        self.tell_speaker(Input::Address(Address {
            ifindex: LINK,
            local,
            prefix_length: 30,
            peer: None,
        }));
        self.tell_speaker(Input::Synced);
        let interface = InterfaceConfig {
            name: "eth0".to_owned(),
            address: FEEDER,
            prefix_length: 30,
            stubs: Vec::new(),
            mtu: 1500,
            network_type: NetworkType::PointToPoint,
            cost: 10,
            hello: Duration::from_secs(1),
            dead: Duration::from_secs(4),
            retransmit: Duration::from_secs(5),
            priority: 1,
            mtu_ignore: false,
        };
        self.tell_feeder(ospf::Input::Interface(LINK, Some(interface)));
        self.run_for(Duration::from_secs(8));
        let routes = self.speakers.last().map_or(0, |s| s.state().fib().installed);
        if routes < usize::try_from(lsas)? {
            return Err(format!("{routes} routes instead of {lsas}").into());
        }
        Ok(())
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.carry();
            let feeder = self.feeder.deadline().map(|(at, _)| at);
            let speaker = self.speakers.last().and_then(Speaker::deadline).map(|(at, _)| at);
            let Some(next) = feeder.into_iter().chain(speaker).min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if feeder.is_some_and(|at| at <= self.now) {
                self.tell_feeder(ospf::Input::Tick);
            } else {
                self.tell_speaker(Input::Tick);
            }
        }
        self.now = end;
    }

    /// Carries packets until there are none.
    fn carry(&mut self) {
        let dst = bugle_wire::ospf::ALL_SPF_ROUTERS;
        loop {
            if let Some(bytes) = self.to_speaker.pop_front() {
                let bytes = &bytes;
                self.tell_speaker(Input::Ospf { ifindex: LINK, src: FEEDER, dst, bytes });
            } else if let Some(bytes) = self.to_feeder.pop_front() {
                let bytes = &bytes;
                self.tell_feeder(ospf::Input::Packet { ifindex: LINK, src: SPEAKER, dst, bytes });
            } else {
                break;
            }
        }
    }

    fn tell_feeder(&mut self, input: ospf::Input<'_>) {
        self.feeder.handle(self.now, input);
        while let Some(output) = self.feeder.poll_output() {
            if let ospf::Output::Send { bytes, .. } = output {
                self.to_speaker.push_back(bytes);
            }
        }
    }

    fn tell_speaker(&mut self, input: Input<'_>) {
        let Some(speaker) = self.speakers.last_mut() else { return };
        speaker.handle(self.now, input);
        while let Some(output) = speaker.poll_output() {
            match output {
                Output::SendOspf { bytes, .. } => self.to_feeder.push_back(bytes),
                Output::ReadFib => {
                    speaker.handle(self.now, Input::Fib(FibSnapshot::default()));
                }
                Output::OpenOspf(_)
                | Output::CloseOspf(_)
                | Output::OpenIsis { .. }
                | Output::CloseIsis(_)
                | Output::SendIsis { .. }
                | Output::AllDRouters { .. }
                | Output::Removable(_)
                | Output::RequestBfd { .. }
                | Output::ReleaseBfd { .. }
                | Output::Fib(_)
                | Output::Divert(_)
                | Output::Reply { .. }
                | Output::Event(_) => {}
            }
        }
    }
}
