//! Which session a packet is for.

use std::num::NonZeroU8;

use bugle_bfd::{Arrival, Client, Discard, Event, Hop, Input, Output, Path, Settings};
use bugle_types::{IfIndex, VrfId};
use bugle_wire::bfd::{Control, Discriminator, State};

use crate::solo::{Solo, ip, ms, path, profile, settings};

fn ask(solo: &mut Solo, path: Path) {
    let settings = settings(profile(10, 3));
    solo.input(Input::Request { client: Client::Ospf, path, settings });
}

/// A packet, and the state of the session on a path before and after.
fn arrive(solo: &mut Solo, at: Path, ttl: u8, control: Control) {
    let Path { vrf, hop, remote: source } = at;
    let bytes = &control.emit(None);
    let received = solo.now;
    solo.input(Input::Control(Arrival { received, vrf, hop, source, ttl, bytes }));
}

fn state(solo: &Solo, path: Path) -> State {
    solo.bfd.state().session(path).unwrap().state()
}

#[test]
fn the_first_packet_is_told_by_vrf_interface_and_address_or_over_several_hops_by_both_addresses() {
    let single = path();
    let multi = Path { hop: Hop::Multi(ip("192.0.2.1")), ..single };
    let all = [
        single,
        Path { vrf: VrfId(1), ..single },
        Path { hop: Hop::Single(IfIndex(4)), ..single },
        Path { remote: ip("192.0.2.3"), ..single },
        Path { remote: ip("fe80::2"), ..single },
        multi,
        Path { vrf: VrfId(1), ..multi },
        Path { hop: Hop::Multi(ip("192.0.2.9")), ..multi },
        Path { remote: ip("192.0.2.3"), ..multi },
    ];
    for chosen in all {
        let mut solo = Solo::empty();
        for path in all {
            ask(&mut solo, path);
        }
        let first = solo.remote;
        arrive(&mut solo, chosen, 255, first);
        for path in all {
            let expected = if path == chosen { State::Init } else { State::Down };
            assert_eq!(state(&solo, path), expected, "{chosen}: {path}");
        }
        // From then on by the discriminator.
        let ours = solo.bfd.state().session(chosen).unwrap().id();
        let next = Control { state: State::Up, your_discriminator: Some(ours), ..first };
        arrive(&mut solo, chosen, 255, next);
        assert_eq!(state(&solo, chosen), State::Up);
    }
}

#[test]
fn a_packet_that_names_a_session_may_come_from_another_address_and_interface_but_not_another_vrf() {
    let mut solo = Solo::new(profile(10, 3));
    solo.hear();
    let ours = solo.session().id();
    let named = Control { state: State::Up, your_discriminator: Some(ours), ..solo.remote };
    for wrong in [
        Path { vrf: VrfId(1), ..path() },
        Path { hop: Hop::Multi(ip("192.0.2.1")), ..path() },
        Path { remote: ip("fe80::2"), ..path() },
    ] {
        arrive(&mut solo, wrong, 255, named);
        assert_eq!(solo.session().state(), State::Init);
    }
    assert_eq!(solo.discarded(Discard::OtherPath), 3);
    let moved = Path { hop: Hop::Single(IfIndex(9)), remote: ip("198.51.100.1"), ..path() };
    arrive(&mut solo, moved, 255, named);
    assert_eq!(solo.session().state(), State::Up);
    // We go on sending to where we were told to.
    assert!(!solo.outputs[2..].iter().any(|output| matches!(output, Output::Open(_))));
}

#[test]
fn on_a_point_to_point_link_the_source_address_does_not_matter() {
    let stranger = Path { remote: ip("203.0.113.7"), ..path() };
    for (point_to_point, other_session, expected) in [
        (true, None, State::Init),
        (false, None, State::Down),
        // Two sessions, so this is no point-to-point link after all.
        (true, Some("192.0.2.3"), State::Down),
        // IPv6 has a session of its own.
        (true, Some("fe80::2"), State::Init),
    ] {
        let mut solo = Solo::empty();
        let settings = Settings { point_to_point, ..settings(profile(10, 3)) };
        for remote in [Some("192.0.2.2"), other_session].into_iter().flatten() {
            let (path, settings) = (Path { remote: ip(remote), ..path() }, settings.clone());
            solo.input(Input::Request { client: Client::Ospf, path, settings });
        }
        let first = solo.remote;
        arrive(&mut solo, stranger, 255, first);
        assert_eq!(solo.session().state(), expected, "{point_to_point} {other_session:?}");
        let refused = u64::from(expected == State::Down);
        assert_eq!(solo.discarded(Discard::NoSession), refused);
        // Nor on another interface or over several hops.
        for elsewhere in [Hop::Single(IfIndex(9)), Hop::Multi(ip("192.0.2.1"))] {
            arrive(&mut solo, Path { hop: elsewhere, ..stranger }, 255, first);
        }
        assert_eq!(solo.discarded(Discard::NoSession), refused + 2);
    }
}

#[test]
fn over_one_hop_the_ttl_must_be_255_and_over_several_what_the_settings_say() {
    let mut solo = Solo::new(profile(10, 3));
    let first = solo.remote;
    for ttl in [0, 1, 64, 254] {
        arrive(&mut solo, path(), ttl, first);
    }
    assert_eq!((solo.session().state(), solo.discarded(Discard::Ttl)), (State::Down, 4));
    let multi = Path { hop: Hop::Multi(ip("192.0.2.1")), ..path() };
    let settings = Settings { min_ttl: 62, ..settings(profile(10, 3)) };
    solo.input(Input::Request { client: Client::Static, path: multi, settings });
    for ttl in [0, 1, 61] {
        arrive(&mut solo, multi, ttl, first);
    }
    assert_eq!((state(&solo, multi), solo.discarded(Discard::Ttl)), (State::Down, 7));
    arrive(&mut solo, multi, 62, first);
    assert_eq!(state(&solo, multi), State::Init);
    // Nor may one that names the session come from farther away.
    let id = solo.bfd.state().session(multi).unwrap().id();
    let named = Control { state: State::Up, your_discriminator: Some(id), ..first };
    arrive(&mut solo, multi, 61, named);
    assert_eq!((state(&solo, multi), solo.discarded(Discard::Ttl)), (State::Init, 8));
    arrive(&mut solo, multi, 255, named);
    assert_eq!(state(&solo, multi), State::Up);
}

#[test]
fn packets_for_no_session_are_discarded_and_counted() {
    let mut solo = Solo::new(profile(10, 3));
    let remote = solo.remote;
    arrive(&mut solo, Path { remote: ip("192.0.2.77"), ..path() }, 255, remote);
    assert_eq!(solo.discarded(Discard::NoSession), 1);
    let wrong = Discriminator::new(solo.session().id().get() ^ 1);
    arrive(&mut solo, path(), 255, Control { your_discriminator: wrong, ..remote });
    assert_eq!(solo.discarded(Discard::UnknownDiscriminator), 1);
    for state in [State::Init, State::Up] {
        arrive(&mut solo, path(), 255, Control { state, ..remote });
    }
    assert_eq!(solo.discarded(Discard::NoDiscriminator), 2);
    assert_eq!(solo.session().state(), State::Down);
    assert_eq!(solo.session().last_received(), None);
    // Told at the first, second, fourth ...
    let told = solo
        .outputs
        .iter()
        .filter(|output| matches!(output, Output::Event(Event::Discarded { source: Some(_), .. })));
    assert_eq!(told.count(), 4);
}

#[test]
fn what_is_no_bfd_packet_is_discarded_and_counted_by_what_is_wrong_with_it() {
    let good = Solo::empty().remote.emit(None).to_vec();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let mut authenticated = changed(1, good[1] | 0x04);
    authenticated.extend([1, 3, 0]);
    authenticated[3] = 27;
    for (bytes, reason) in [
        (good[..3].to_vec(), Discard::Truncated),
        (changed(0, 0x40), Discard::BadVersion),
        (changed(0, 0x00), Discard::BadVersion),
        (changed(3, 23), Discard::BadLength),
        (changed(3, 25), Discard::BadLength),
        (changed(2, 0), Discard::ZeroDetectMult),
        (changed(1, good[1] | 0x01), Discard::Multipoint),
        ([&good[..4], &[0; 4], &good[8..]].concat(), Discard::ZeroMyDiscriminator),
        (authenticated, Discard::BadAuthLength),
    ] {
        let mut solo = Solo::new(profile(10, 3));
        solo.hear_bytes(&bytes);
        assert_eq!(solo.discarded(reason), 1, "{reason:?}");
        assert_eq!(solo.session().state(), State::Down);
        solo.hear_bytes(&good);
        assert_eq!(solo.session().state(), State::Init);
    }
}

#[test]
fn what_follows_the_packet_in_its_datagram_is_not_looked_at() {
    let mut solo = Solo::new(profile(10, 3));
    let bytes = [&solo.remote.emit(None)[..], &[0xee; 20]].concat();
    solo.hear_bytes(&bytes);
    assert_eq!(solo.session().state(), State::Init);
}

#[test]
fn every_session_has_a_name_and_a_source_port_of_its_own() {
    let mut solo = Solo::empty();
    for last in 1..=200_u8 {
        ask(&mut solo, Path { remote: [192, 0, 2, last].into(), ..path() });
    }
    let endpoints = || {
        solo.outputs.iter().filter_map(|output| match output {
            Output::Open(endpoint) => Some(*endpoint),
            Output::Close(_) | Output::Send { .. } | Output::Echo { .. } | Output::Event(_) => None,
        })
    };
    assert_eq!(endpoints().count(), 200);
    let names: std::collections::BTreeSet<_> = endpoints().map(|e| e.session).collect();
    let ports: std::collections::BTreeSet<_> = endpoints().map(|e| e.source_port).collect();
    assert_eq!((names.len(), ports.len()), (200, 200));
    assert!(ports.first() >= Some(&49_152));
    assert!(endpoints().all(|endpoint| endpoint.local == ip("192.0.2.1")));
}

#[test]
fn the_remote_multiplier_may_be_anything_but_zero() {
    let mut solo = Solo::new(profile(10, 3));
    solo.remote.detect_mult = NonZeroU8::MAX;
    solo.bring_up();
    assert_eq!(solo.session().detection_time(), ms(2550));
}
