//! Two engines over a network in virtual time, each with a clock of its own and a driver that is late at times.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_bfd::{
    Arrival, Bfd, Change, Client, Event, Hop, Input, Output, Path, Profile, Session, Settings,
};
use bugle_types::{IfIndex, Rng, Time, VrfId};
use bugle_wire::bfd::State;

use crate::solo::{ip, ms};

/// What becomes of the packets in one direction.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// Each packet takes this long ...
    pub(crate) delay: Duration,
    /// ... and up to this much longer, so that some overtake others.
    pub(crate) variation: Duration,
    /// Whether packets are lost, in turns; none are if it is empty.
    pub(crate) losses: Vec<bool>,
    turn: usize,
}

impl Wire {
    pub(crate) fn new(delay: Duration, variation: Duration) -> Self {
        Self { delay, variation, losses: Vec::new(), turn: 0 }
    }

    fn loses_next(&mut self) -> bool {
        let lost = !self.losses.is_empty() && self.losses[self.turn % self.losses.len()];
        self.turn += 1;
        lost
    }
}

/// An engine with its driver.
pub(crate) struct End {
    pub(crate) bfd: Bfd,
    pub(crate) profile: Profile,
    /// How much faster its clock runs, in millionths.
    skew: i64,
    /// The driver wakes up this much late, at most.
    pub(crate) lateness: Duration,
    /// The driver does not run before this.
    pub(crate) asleep_until: Time,
    /// What lies in its socket, with the times of its own clock.
    socket: Vec<(Time, Vec<u8>)>,
    wakes_at: Time,
    pub(crate) changes: Vec<(Time, Change)>,
    pub(crate) sent: Vec<Time>,
}

impl End {
    /// What its clock says.
    fn clock(&self, now: Time) -> Time {
        let nanos = i128::from(now.as_nanos());
        let shown = nanos + nanos * i128::from(self.skew) / 1_000_000;
        Time::from_nanos(u64::try_from(shown).unwrap())
    }

    /// When its clock says so.
    fn when(&self, shown: Time) -> Time {
        let nanos = i128::from(shown.as_nanos()) * 1_000_000 / (1_000_000 + i128::from(self.skew));
        Time::from_nanos(u64::try_from(nanos).unwrap() + 1)
    }

    pub(crate) fn session(&self) -> &Session {
        self.bfd.state().sessions().next().unwrap()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.session().state() == State::Up
    }
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) ends: [End; 2],
    /// From the first end to the second, and back.
    pub(crate) wires: [Wire; 2],
    under_way: VecDeque<(Time, usize, Vec<u8>)>,
    rng: Rng,
}

impl World {
    pub(crate) fn new(profiles: [Profile; 2], skews: [i64; 2], wire: &Wire, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut end = |profile, skew| End {
            bfd: Bfd::new(rng.next_u64()),
            profile,
            skew,
            lateness: Duration::ZERO,
            asleep_until: Time::ZERO,
            socket: Vec::new(),
            wakes_at: Time::MAX,
            changes: Vec::new(),
            sent: Vec::new(),
        };
        let [first, second] = profiles;
        let ends = [end(first, skews[0]), end(second, skews[1])];
        let wires = [wire.clone(), wire.clone()];
        let now = Time::from_secs(1);
        let mut world = Self { now, ends, wires, under_way: VecDeque::new(), rng };
        world.request(0);
        world.request(1);
        world
    }

    /// Two ends of equal settings and clocks, on a link that takes a tenth of a millisecond.
    pub(crate) fn of(profile: &Profile) -> Self {
        let wire = Wire::new(Duration::from_micros(100), Duration::ZERO);
        Self::new([profile.clone(), profile.clone()], [0, 0], &wire, 1)
    }

    /// The client of an end wants its profile.
    pub(crate) fn request(&mut self, end: usize) {
        let profile = self.ends[end].profile.clone();
        let remote = address(1 - end);
        let path = Path { vrf: VrfId::DEFAULT, hop: Hop::Single(IfIndex(1)), remote };
        let settings = Settings { local: address(end), point_to_point: true, min_ttl: 0, profile };
        let now = self.ends[end].clock(self.now);
        self.ends[end].bfd.handle(now, Input::Request { client: Client::Ospf, path, settings });
        self.carry_out(end);
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Runs until both are up and know each other's intervals.
    pub(crate) fn run_until_up(&mut self, limit: Duration) {
        let end = self.now + limit;
        while !self.ends.iter().all(|end| end.is_up() && !end.session().is_polling()) {
            assert!(self.now < end, "not up in time");
            self.run_for(ms(10));
        }
    }

    /// How often a session left Up.
    pub(crate) fn flaps(&self) -> usize {
        let changes = self.ends.iter().flat_map(|end| &end.changes);
        changes.filter(|(_, change)| change.from == State::Up).count()
    }

    fn next_at(&self) -> Option<Time> {
        let arrivals = self.under_way.iter().map(|(at, ..)| *at);
        arrivals.chain(self.ends.iter().map(|end| end.wakes_at)).min()
    }

    fn step(&mut self) {
        if let Some(place) = self.under_way.iter().position(|(at, ..)| *at <= self.now) {
            let (_, end, bytes) = self.under_way.remove(place).unwrap();
            let received = self.ends[end].clock(self.now);
            self.ends[end].socket.push((received, bytes));
            self.wake(end, self.now);
        } else if let Some(end) = (0..2).find(|&end| self.ends[end].wakes_at <= self.now) {
            self.take_turn(end);
        }
    }

    /// The driver's turn, as the contract of [`Bfd`] has it.
    fn take_turn(&mut self, number: usize) {
        let end = &mut self.ends[number];
        end.wakes_at = Time::MAX;
        let now = end.clock(self.now);
        let remote = address(1 - number);
        for (received, bytes) in end.socket.drain(..) {
            let (vrf, hop) = (VrfId::DEFAULT, Hop::Single(IfIndex(1)));
            let arrival = Arrival { received, vrf, hop, source: remote, ttl: 255, bytes: &bytes };
            end.bfd.handle(now, Input::Control(arrival));
        }
        if end.bfd.deadline().is_some_and(|(at, _)| at <= now) {
            end.bfd.handle(now, Input::Tick { drained: now });
        }
        self.carry_out(number);
    }

    fn carry_out(&mut self, number: usize) {
        while let Some(output) = self.ends[number].bfd.poll_output() {
            match output {
                Output::Send { packet, .. } => {
                    self.ends[number].sent.push(self.now);
                    let wire = &mut self.wires[number];
                    if !wire.loses_next() {
                        let variation = u64::try_from(wire.variation.as_nanos()).unwrap();
                        let extra = Duration::from_nanos(self.rng.below(variation + 1));
                        let at = self.now + wire.delay + extra;
                        self.under_way.push_back((at, 1 - number, packet.to_vec()));
                    }
                }
                Output::Event(Event::Changed(change)) => {
                    self.ends[number].changes.push((self.now, change));
                }
                Output::Event(_) | Output::Open(_) | Output::Close(_) | Output::Echo { .. } => {}
            }
        }
        if let Some((at, _)) = self.ends[number].bfd.deadline() {
            let at = self.ends[number].when(at);
            self.wake(number, at);
        }
    }

    /// The driver wakes up at this time, or somewhat later.
    fn wake(&mut self, number: usize, at: Time) {
        let end = &mut self.ends[number];
        let late = self.rng.below(u64::try_from(end.lateness.as_nanos()).unwrap() + 1);
        let at = (at + Duration::from_nanos(late)).max(end.asleep_until);
        end.wakes_at = end.wakes_at.min(at);
    }
}

fn address(end: usize) -> std::net::IpAddr {
    [ip("192.0.2.1"), ip("192.0.2.2")][end]
}
