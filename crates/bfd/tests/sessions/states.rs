//! States, and what makes them change.

use bugle_bfd::{Cause, Client, Discard, Input, Profile};
use bugle_wire::bfd::{Diagnostic, Flags, Interval, State};

use crate::solo::{Solo, ms, path, profile};

/// An engine whose session is in this state, and whose remote system has been heard.
fn in_state(state: State) -> Solo {
    let mut solo = Solo::new(profile(10, 3));
    match state {
        State::Down => {
            solo.hear_state(State::Down);
            solo.hear_state(State::AdminDown);
        }
        State::Init => solo.hear_state(State::Down),
        State::Up => solo.bring_up(),
        State::AdminDown => {
            solo.hear_state(State::Down);
            solo.request(Client::Ospf, Profile { admin_down: true, ..profile(10, 3) });
        }
    }
    assert_eq!(solo.session().state(), state);
    solo.take_sent();
    solo.take_changes();
    solo
}

#[test]
fn every_received_state_in_every_state_does_what_section_6_8_6_says_and_tells_of_it() {
    use State::{AdminDown, Down, Init, Up};
    for (from, row) in [
        // Columns: the remote system says AdminDown, Down, Init, Up.
        (AdminDown, [AdminDown, AdminDown, AdminDown, AdminDown]),
        (Down, [Down, Init, Up, Down]),
        (Init, [Down, Init, Up, Up]),
        (Up, [Down, Down, Up, Up]),
    ] {
        for (said, to) in State::ALL.into_iter().zip(row) {
            for flags in [Flags::NONE, Flags::POLL, Flags::FINAL] {
                let mut solo = in_state(from);
                let case = format!("{from}, remote {said} {flags:?}");
                solo.remote.state = said;
                solo.remote.your_discriminator = Some(solo.session().id());
                solo.hear_with(flags);
                assert_eq!(solo.session().state(), to, "{case}");
                assert_eq!(solo.session().remote().state, said, "{case}");

                let changes = solo.take_changes();
                let told: Vec<_> = changes.iter().map(|c| (c.from, c.to, c.cause)).collect();
                let expected = (from != to).then_some((from, to, Cause::Received(said)));
                assert_eq!(told, Vec::from_iter(expected), "{case}");

                // A Poll is answered at once, a change of state told at once: with one packet for both.
                let sent = solo.take_sent();
                let answer = flags == Flags::POLL;
                assert_eq!(sent.len(), usize::from(answer || from != to), "{case}");
                for packet in sent {
                    assert_eq!(
                        (packet.state, packet.diagnostic),
                        (to, solo.session().diagnostic())
                    );
                    assert_eq!(packet.flags.contains(Flags::FINAL), answer, "{case}");
                    let both = Flags::POLL | Flags::FINAL;
                    assert!(!packet.flags.contains(both), "{case}");
                }
            }
        }
    }
}

#[test]
fn silence_for_the_detection_time_ends_init_and_up_and_forgets_the_remote_system() {
    for state in State::ALL {
        let mut solo = in_state(state);
        let detection_time = solo.session().detection_time();
        solo.wait(detection_time.saturating_sub(ms(1)));
        assert_eq!(solo.session().state(), state);
        let known = solo.session().remote().discriminator;
        assert!(known.is_some() || state == State::AdminDown);
        solo.wait(ms(1));
        let to = if state == State::AdminDown { state } else { State::Down };
        assert_eq!(solo.session().state(), to);
        let remote = *solo.session().remote();
        assert_eq!((remote.discriminator, remote.required_min_rx), (None, Interval(1)));
        let changes = solo.take_changes();
        if matches!(state, State::Init | State::Up) {
            assert_eq!(changes.len(), 1);
            assert_eq!(changes[0].cause, Cause::DetectionTimeExpired);
            assert_eq!(changes[0].diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
            assert_eq!(changes[0].detection_time, detection_time);
            assert_eq!(
                changes[0].last_received.map(|last| solo.now.since(last)),
                Some(detection_time)
            );
            let last = *solo.take_sent().last().unwrap();
            assert_eq!((last.state, last.your_discriminator), (State::Down, None));
        } else {
            assert_eq!(changes, []);
        }
    }
}

#[test]
fn a_session_comes_up_by_itself_again() {
    let mut solo = Solo::up(profile(10, 3));
    solo.wait(ms(100));
    assert_eq!(solo.session().state(), State::Down);
    solo.bring_up();
    let stats = solo.session().stats();
    assert_eq!((stats.ups, stats.downs), (2, 1));
}

#[test]
fn a_remote_system_that_restarted_is_found_by_its_address_and_takes_the_session_down() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_changes();
    solo.remote.state = State::Down;
    solo.remote.your_discriminator = None;
    solo.remote.my_discriminator = bugle_wire::bfd::Discriminator::new(99).unwrap();
    solo.hear();
    let changes = solo.take_changes();
    assert_eq!(changes[0].cause, Cause::Received(State::Down));
    assert_eq!(changes[0].diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
    assert!(changes[0].is_failure_for(Client::Ospf));
    // The three-way handshake begins anew.
    solo.hear();
    assert_eq!(solo.session().state(), State::Init);
}

#[test]
fn a_remote_system_that_is_administratively_down_is_no_failure_but_for_those_without_hellos() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_changes();
    solo.hear_state(State::AdminDown);
    let change = solo.take_changes()[0];
    assert_eq!((change.from, change.to), (State::Up, State::Down));
    assert!(!change.is_failure_for(Client::Ospf) && !change.is_failure_for(Client::Isis));
    assert!(change.is_failure_for(Client::Static));
    // Nor is it when it then falls silent.
    solo.wait(ms(10_000));
    assert_eq!(solo.take_changes(), []);
}

#[test]
fn neither_is_being_administratively_down_oneself() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_changes();
    solo.request(Client::Ospf, Profile { admin_down: true, ..profile(10, 3) });
    let change = solo.take_changes()[0];
    assert_eq!((change.to, change.cause), (State::AdminDown, Cause::Disabled));
    assert_eq!(change.diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
    assert!(!change.is_failure_for(Client::Ospf) && change.is_failure_for(Client::Static));
    solo.take_sent();
    // It goes on saying so, slowly, and hears nothing.
    solo.wait(ms(10_000));
    let sent = solo.take_sent();
    assert!((10..=14).contains(&sent.len()), "{}", sent.len());
    assert!(sent.iter().all(|packet| packet.state == State::AdminDown));
    solo.hear_state(State::Down);
    assert_eq!(solo.discarded(Discard::AdminDown), 1);
    assert_eq!(solo.session().stats().discarded, 1);
    // Enabled, it begins in Down.
    solo.request(Client::Ospf, profile(10, 3));
    let change = solo.take_changes()[0];
    assert_eq!((change.to, change.cause), (State::Down, Cause::Enabled));
    solo.bring_up();
}

#[test]
fn failures_are_what_ends_up_and_nothing_else() {
    let mut solo = Solo::new(profile(10, 3));
    solo.hear_state(State::Down);
    solo.hear_state(State::Up);
    solo.wait(ms(5_000));
    let changes = solo.take_changes();
    let told: Vec<_> =
        changes.iter().map(|c| (c.from, c.to, c.is_failure_for(Client::Ospf))).collect();
    assert_eq!(
        told,
        [
            (State::Down, State::Init, false),
            (State::Init, State::Up, false),
            (State::Up, State::Down, true),
        ]
    );
}

#[test]
fn a_passive_session_speaks_when_spoken_to_and_falls_silent_with_the_other() {
    let mut solo = Solo::new(Profile { passive: true, ..profile(10, 3) });
    solo.wait(ms(10_000));
    assert_eq!(solo.take_sent(), []);
    solo.bring_up();
    solo.wait_alive(ms(100));
    assert!(solo.take_sent().len() > 10);
    solo.wait(ms(10_000));
    let last = solo.now - ms(9_900);
    assert!(solo.sent.iter().all(|(at, _)| *at < last));
    assert_eq!(solo.session().transmit_interval(), None);
}

#[test]
fn our_name_is_never_zero_and_theirs_is_reflected() {
    let mut solo = Solo::new(profile(10, 3));
    let first = solo.take_one();
    assert_eq!((first.state, first.your_discriminator), (State::Down, None));
    assert_eq!(first.my_discriminator, solo.session().id());
    solo.hear();
    assert_eq!(solo.take_one().your_discriminator, Some(solo.remote.my_discriminator));
}

#[test]
fn the_control_plane_independent_bit_is_sent_as_configured_and_shown_as_received() {
    let bit = Flags::CONTROL_PLANE_INDEPENDENT;
    for independent in [false, true] {
        let profile = Profile { control_plane_independent: independent, ..profile(10, 3) };
        let mut solo = Solo::up(profile);
        assert!(solo.take_sent().iter().all(|sent| sent.flags.contains(bit) == independent));
        assert!(!solo.session().remote().flags.contains(bit));
        solo.hear_with(bit);
        assert!(solo.session().remote().flags.contains(bit));
    }
}

#[test]
fn what_is_received_while_this_system_sleeps_keeps_the_session_up() {
    let mut solo = Solo::up(profile(10, 3));
    let slept_at = solo.now;
    // It sleeps for 200 ms. The kernel received a packet every 10 ms, which now lie in the socket.
    solo.now += ms(200);
    let control = solo.remote.emit(None);
    for age in (0..20).rev() {
        solo.input(Input::Control(bugle_bfd::Arrival {
            received: solo.now - ms(10 * age),
            vrf: path().vrf,
            hop: path().hop,
            source: path().remote,
            ttl: 255,
            bytes: &control,
        }));
    }
    solo.input(Input::Tick { drained: solo.now });
    assert_eq!(solo.session().state(), State::Up);
    let stats = solo.bfd.state().stats();
    assert_eq!(stats.stalls, 1);
    assert!(stats.longest_stall > ms(180) && solo.now.since(slept_at) > stats.longest_stall);
}

#[test]
fn a_tick_before_the_sockets_are_empty_takes_nothing_down() {
    let mut solo = Solo::up(profile(10, 3));
    let drained = solo.now + ms(29);
    solo.now += ms(31);
    solo.input(Input::Tick { drained });
    assert_eq!(solo.session().state(), State::Up);
    assert!(solo.bfd.deadline().unwrap().0 < solo.now, "another turn is due at once");
    solo.hear();
    solo.input(Input::Tick { drained: solo.now });
    assert_eq!(solo.session().state(), State::Up);
}

#[test]
fn after_a_stall_of_the_whole_machine_there_is_one_interval_to_be_heard_in() {
    for heard in [false, true] {
        let mut solo = Solo::up(profile(10, 3));
        // Neither the kernel nor we ran.
        solo.now += ms(500);
        solo.input(Input::Tick { drained: solo.now });
        assert_eq!(solo.session().state(), State::Up);
        solo.wait(ms(9));
        if heard {
            solo.hear();
        }
        assert_eq!(solo.session().state(), State::Up);
        solo.wait(ms(1));
        let state = if heard { State::Up } else { State::Down };
        assert_eq!(solo.session().state(), state);
    }
}
