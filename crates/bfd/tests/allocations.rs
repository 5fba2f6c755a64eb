//! Packets and ticks allocate nothing.

#![cfg(test)]

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use bugle_bfd::{
    Arrival, Authentication, Bfd, Client, Hop, Input, Output, Path, Profile, Settings,
};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{AuthType, State};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u8 = 32;

/// Two engines back to back, with 32 sessions between them; each packet arrives at once.
struct Pair {
    now: Time,
    ends: [Bfd; 2],
}

impl Pair {
    fn run_until(&mut self, end: Time) {
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for number in [0, 1] {
                self.ends[number].handle(self.now, Input::Tick { drained: self.now });
                self.deliver(number);
            }
        }
    }

    fn next(&self) -> Option<Time> {
        self.ends.iter().filter_map(Bfd::deadline).map(|(at, _)| at).min()
    }

    /// Hands over what an end sends, and then what the other answers.
    fn deliver(&mut self, from: usize) {
        while let Some(output) = self.ends[from].poll_output() {
            let Output::Send { session, packet } = output else { continue };
            let session = self.ends[from].state().sessions().find(|s| s.id() == session);
            let hop = session.map(|session| session.path().hop).unwrap();
            let arrival = Arrival {
                received: self.now,
                vrf: VrfId::DEFAULT,
                hop,
                source: address(from),
                ttl: 255,
                bytes: &packet,
            };
            self.ends[1 - from].handle(self.now, Input::Control(arrival));
            self.deliver(1 - from);
        }
    }
}

fn address(end: usize) -> std::net::IpAddr {
    [[192, 0, 2, 1], [192, 0, 2, 2]][end].into()
}

#[test]
fn sessions_that_are_up_allocate_nothing() {
    let keys: [(u8, &[u8]); 1] = [(1, b"secret")];
    let auth = Authentication::new(AuthType::METICULOUS_KEYED_SHA1, keys).unwrap();
    let interval = Duration::from_millis(10);
    let profile = Profile::new(interval, interval, 3).unwrap();
    let profile = Profile { auth: Some(Arc::new(auth)), ..profile };
    let mut pair = Pair { now: Time::from_secs(1), ends: [Bfd::new(1), Bfd::new(2)] };
    for session in 0..SESSIONS {
        for end in [0, 1] {
            let path = Path {
                vrf: VrfId::DEFAULT,
                hop: Hop::Single(IfIndex(u32::from(session) + 1)),
                remote: address(1 - end),
            };
            let profile = profile.clone();
            let settings =
                Settings { local: address(end), point_to_point: true, min_ttl: 0, profile };
            let client = Client::Ospf;
            pair.ends[end].handle(pair.now, Input::Request { client, path, settings });
            pair.deliver(end);
        }
    }
    pair.run_until(Time::from_secs(4));
    let up = |end: &Bfd| end.state().sessions().filter(|s| s.state() == State::Up).count();
    assert_eq!(pair.ends.each_ref().map(up), [usize::from(SESSIONS); 2]);

    let before = pair.ends[0].state().stats().received;
    let region = Region::new(ALLOCATOR);
    pair.run_until(Time::from_secs(6));
    let change = region.change();
    assert!(pair.ends[0].state().stats().received - before > 6_400);
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}
