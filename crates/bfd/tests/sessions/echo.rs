//! The echo function.

use bugle_bfd::io::ECHO_PACKET;
use bugle_bfd::{Cause, Client, Discard, EchoProfile, Hop, Input, Output, Path, Profile, Settings};
use bugle_types::Time;
use bugle_wire::bfd::{Diagnostic, Flags, Interval, State};

use crate::solo::{Solo, ip, ms, path, profile, settings};

fn with_echo() -> Profile {
    let echo = EchoProfile { tx: Interval(10_000), rx: Interval(7_000) };
    Profile { echo, ..profile(10, 3) }
}

/// A session that is Up, with a remote system that loops echo packets back every 20 ms.
fn echoing() -> Solo {
    let mut solo = Solo::new(with_echo());
    solo.remote.required_min_echo_rx = Interval(20_000);
    solo.bring_up();
    solo.remote.desired_min_tx = Interval::SECOND;
    solo.hear();
    solo.outputs.clear();
    solo
}

/// Time passes; each echo packet comes back after 3 ms while `back` says so.
fn run(solo: &mut Solo, millis: u64, back: bool) -> Vec<(Time, [u8; ECHO_PACKET])> {
    let mut sent = Vec::new();
    for _ in 0..millis {
        solo.wait(ms(1));
        for output in std::mem::take(&mut solo.outputs) {
            if let Output::Echo { packet, .. } = output {
                sent.push((solo.now, packet));
            } else {
                solo.outputs.push(output);
            }
        }
        let now = solo.now;
        for (_, packet) in sent.iter().filter(|(at, _)| back && now.since(*at) == ms(3)) {
            solo.input(Input::Echo { received: now, bytes: packet });
        }
    }
    sent
}

#[test]
fn echo_packets_are_sent_no_faster_than_the_remote_system_allows_and_keep_the_session_up() {
    let mut solo = echoing();
    assert_eq!(solo.session().echo_interval(), Some(Interval(20_000)));
    let sent = run(&mut solo, 2000, true);
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    assert!(gaps.iter().all(|gap| (ms(14)..=ms(21)).contains(gap)), "{gaps:?}");
    assert!(gaps.len() >= 99);
    assert_eq!(solo.session().state(), State::Up);
    let stats = solo.session().stats();
    assert!(stats.echoes_received + 1 >= stats.echoes_sent && stats.echoes_sent >= 100);
    let round_trip = solo.session().echo_round_trip().unwrap();
    assert!((ms(3)..=ms(4)).contains(&round_trip), "{round_trip:?}");
    assert_eq!(solo.discarded(Discard::UnknownEcho), 0);
}

#[test]
fn what_we_require_for_echoes_is_sent_in_every_packet() {
    let mut solo = Solo::new(with_echo());
    assert_eq!(solo.take_one().required_min_echo_rx, Interval(7_000));
    let mut solo = Solo::new(profile(10, 3));
    assert_eq!(solo.take_one().required_min_echo_rx, Interval::ZERO);
}

#[test]
fn while_echoes_watch_the_path_control_packets_are_asked_for_once_a_second() {
    let mut solo = Solo::new(with_echo());
    solo.remote.required_min_echo_rx = Interval(20_000);
    solo.hear();
    solo.hear_state(State::Up);
    solo.take_sent();
    run(&mut solo, 20, true);
    let sent = solo.take_sent();
    assert!(sent.iter().all(|packet| packet.required_min_rx == Interval::SECOND));
    assert!(sent.iter().all(|packet| packet.flags.contains(Flags::POLL)) && !sent.is_empty());
    assert_eq!(solo.session().detection_time(), ms(3000));
}

#[test]
fn echoes_that_do_not_come_back_take_the_session_down_after_the_multiplier() {
    let mut solo = echoing();
    run(&mut solo, 200, true);
    solo.take_changes();
    run(&mut solo, 41, false);
    assert_eq!(solo.session().state(), State::Up);
    let sent = run(&mut solo, 25, false);
    let change = solo.take_changes()[0];
    assert_eq!((change.to, change.cause), (State::Down, Cause::EchoFailed));
    assert_eq!(change.diagnostic, Diagnostic::ECHO_FAILED);
    assert!(change.is_failure_for(Client::Ospf));
    assert!(sent.len() <= 2);
    // In Down there are no echoes.
    assert_eq!(run(&mut solo, 500, false), []);
    assert_eq!(solo.session().echo_interval(), None);
}

#[test]
fn echoes_cease_when_the_remote_system_does_not_loop_them_any_more_or_we_do_not_want_to() {
    for remote in [true, false] {
        let mut solo = echoing();
        run(&mut solo, 100, true);
        if remote {
            solo.remote.required_min_echo_rx = Interval::ZERO;
            solo.hear();
        } else {
            solo.request(Client::Ospf, profile(10, 3));
            solo.hear();
        }
        assert_eq!(run(&mut solo, 500, true), []);
        assert_eq!(solo.session().state(), State::Up);
        // Control packets take over: fast again, after a Poll Sequence.
        let asked = solo.take_sent().last().unwrap().required_min_rx;
        assert_eq!(asked, Interval(10_000));
        assert_eq!(solo.session().detection_time(), ms(3000));
        solo.remote.desired_min_tx = Interval(10_000);
        solo.hear_with(Flags::FINAL);
        assert_eq!(solo.session().detection_time(), ms(30));
    }
}

#[test]
fn there_is_no_echo_over_several_hops_nor_unless_both_want_it() {
    let multi = Path { hop: Hop::Multi(ip("192.0.2.1")), ..path() };
    for (path, ours, theirs) in [
        (multi, with_echo(), Interval(20_000)),
        (path(), profile(10, 3), Interval(20_000)),
        (path(), with_echo(), Interval::ZERO),
    ] {
        let mut solo = Solo::empty();
        solo.input(Input::Request { client: Client::Ospf, path, settings: settings(ours) });
        solo.remote.required_min_echo_rx = theirs;
        let id = solo.bfd.state().session(path).unwrap().id();
        for (state, ours) in [(State::Down, None), (State::Up, Some(id))] {
            solo.remote.state = state;
            solo.remote.your_discriminator = ours;
            let bytes = solo.remote.emit(None);
            solo.hear_from(path, &bytes);
        }
        assert_eq!(solo.bfd.state().session(path).unwrap().state(), State::Up);
        assert_eq!(run(&mut solo, 25, true), []);
    }
}

#[test]
fn there_is_no_echo_where_nobody_could_loop_it_back_and_none_is_asked_for() {
    let link_local = Settings { local: ip("fe80::1"), ..settings(with_echo()) };
    let multi = Path { hop: Hop::Multi(ip("192.0.2.1")), ..path() };
    let ipv6 = Path { remote: ip("fe80::2"), ..path() };
    for (path, settings) in [(multi, settings(with_echo())), (ipv6, link_local)] {
        let mut solo = Solo::empty();
        solo.input(Input::Request { client: Client::Static, path, settings });
        assert_eq!(solo.take_one().required_min_echo_rx, Interval::ZERO);
    }
}

#[test]
fn echoes_of_others_are_counted_and_prove_nothing() {
    let mut solo = echoing();
    let sent = run(&mut solo, 30, false);
    let mut forged = sent.last().unwrap().1;
    forged[15] ^= 1;
    for _ in 0..10 {
        solo.wait(ms(5));
        solo.input(Input::Echo { received: solo.now, bytes: &forged });
        solo.input(Input::Echo { received: solo.now, bytes: b"nonsense" });
    }
    assert_eq!(solo.discarded(Discard::UnknownEcho), 20);
    assert_eq!(solo.session().state(), State::Down);
}
