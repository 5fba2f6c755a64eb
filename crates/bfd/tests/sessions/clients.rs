//! Who asks for sessions, and what becomes of them.

use bugle_bfd::{Client, Discard, Event, Input, Output, Profile, Settings};
use bugle_wire::bfd::{Diagnostic, Interval, State};

use crate::solo::{Solo, ip, ms, path, profile, settings};

fn release(solo: &mut Solo, client: Client) {
    solo.input(Input::Release { client, path: path() });
}

#[test]
fn several_clients_share_a_session_which_the_most_demanding_one_decides_on() {
    let mut solo = Solo::new(profile(50, 3));
    let (id, slow) = (solo.session().id(), profile(300, 3));
    solo.request(Client::Static, slow.clone());
    assert_eq!(solo.session().settings().profile, profile(50, 3));
    solo.request(Client::Isis, profile(10, 5));
    assert_eq!(solo.session().settings().profile, profile(10, 5));
    assert_eq!(solo.bfd.state().sessions().count(), 1);
    assert_eq!(solo.session().id(), id);
    let clients: Vec<_> = solo.session().clients().collect();
    assert_eq!(clients, [Client::Ospf, Client::Isis, Client::Static]);
    release(&mut solo, Client::Isis);
    release(&mut solo, Client::Ospf);
    assert_eq!(solo.session().settings().profile, slow);
}

#[test]
fn who_joins_is_told_the_state() {
    let mut solo = Solo::up(profile(10, 3));
    solo.request(Client::Static, profile(10, 3));
    let joined: Vec<_> = solo
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(Event::Joined { client, state, .. }) => Some((*client, *state)),
            Output::Event(_)
            | Output::Open(_)
            | Output::Close(_)
            | Output::Send { .. }
            | Output::Echo { .. } => None,
        })
        .collect();
    assert_eq!(joined, [(Client::Ospf, State::Down), (Client::Static, State::Up)]);
}

#[test]
fn settings_change_live() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_changes();
    for (interval, multiplier) in [(100, 3), (20, 5), (10, 3)] {
        solo.request(Client::Ospf, profile(interval, multiplier));
        solo.wait_alive(ms(30));
        solo.hear_with(bugle_wire::bfd::Flags::FINAL);
        solo.hear();
        let tx = solo.session().transmit_interval();
        assert_eq!(tx, Some(Interval::from_duration(ms(interval))));
    }
    assert_eq!(solo.take_changes(), []);
}

#[test]
fn the_last_client_to_leave_has_the_remote_system_told_for_its_detection_time() {
    for multiplier in [1, 3, 5] {
        let mut solo = Solo::up(profile(10, multiplier));
        solo.request(Client::Isis, profile(10, multiplier));
        release(&mut solo, Client::Isis);
        assert_eq!(solo.session().state(), State::Up);
        solo.take_sent();
        let id = solo.session().id();
        release(&mut solo, Client::Ospf);
        solo.wait(ms(10) * multiplier.into());
        let sent: Vec<_> = solo.sent.drain(..).collect();
        assert_eq!(sent.len(), usize::from(multiplier));
        for (_, packet) in &sent {
            assert_eq!(packet.state, State::AdminDown);
            assert_eq!(packet.diagnostic, Diagnostic::ADMINISTRATIVELY_DOWN);
            assert_eq!(packet.desired_min_tx, Interval::SECOND);
        }
        assert!(sent.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= ms(7)));
        assert!(solo.outputs.contains(&Output::Close(id)));
        assert!(solo.bfd.is_stopped() && solo.bfd.deadline().is_none());
        // What still comes is for nobody.
        solo.hear();
        assert_eq!(solo.discarded(Discard::UnknownDiscriminator), 1);
    }
}

#[test]
fn a_session_nobody_answered_goes_without_a_word() {
    let mut solo = Solo::new(profile(10, 3));
    solo.take_sent();
    release(&mut solo, Client::Ospf);
    assert_eq!(solo.take_sent(), []);
    assert!(solo.bfd.is_stopped());
}

#[test]
fn a_session_that_was_down_is_ended_with_one_packet() {
    let mut solo = Solo::new(profile(10, 3));
    solo.hear();
    solo.take_sent();
    release(&mut solo, Client::Ospf);
    assert_eq!(solo.take_one().state, State::AdminDown);
    assert!(solo.bfd.is_stopped());
}

#[test]
fn who_comes_back_during_the_farewell_gets_the_same_session() {
    let mut solo = Solo::up(profile(10, 3));
    let id = solo.session().id();
    release(&mut solo, Client::Ospf);
    assert_eq!(solo.session().state(), State::AdminDown);
    solo.request(Client::Static, profile(10, 3));
    assert_eq!((solo.session().id(), solo.session().state()), (id, State::Down));
    solo.wait(ms(2000));
    solo.bring_up();
    assert!(!solo.outputs.contains(&Output::Close(id)));
}

#[test]
fn shutdown_takes_leave_of_everybody() {
    let mut solo = Solo::up(profile(10, 3));
    solo.request(Client::Isis, profile(10, 3));
    for (last, client) in [(3, Client::Ospf), (4, Client::Static)] {
        let path = bugle_bfd::Path { remote: [192, 0, 2, last].into(), ..path() };
        solo.input(Input::Request { client, path, settings: settings(profile(10, 3)) });
    }
    solo.take_sent();
    solo.input(Input::Shutdown);
    assert!(!solo.bfd.is_stopped());
    solo.wait(ms(30));
    assert!(solo.bfd.is_stopped());
    assert_eq!(solo.take_sent().len(), 3);
    let closed = solo.outputs.iter().filter(|output| matches!(output, Output::Close(_)));
    assert_eq!(closed.count(), 3);
}

#[test]
fn releasing_what_one_does_not_have_changes_nothing() {
    let mut solo = Solo::up(profile(10, 3));
    release(&mut solo, Client::Static);
    let path = bugle_bfd::Path { remote: ip("192.0.2.99"), ..path() };
    solo.input(Input::Release { client: Client::Ospf, path });
    assert_eq!(solo.session().state(), State::Up);
}

#[test]
fn a_new_source_address_is_told_to_the_driver_and_changes_nothing_else() {
    let mut solo = Solo::up(profile(10, 3));
    let id = solo.session().id();
    solo.outputs.clear();
    let settings = Settings { local: ip("192.0.2.111"), ..settings(profile(10, 3)) };
    solo.input(Input::Request { client: Client::Ospf, path: path(), settings });
    let Output::Open(endpoint) = solo.outputs[0] else { panic!("{:?}", solo.outputs) };
    assert_eq!((endpoint.session, endpoint.local), (id, ip("192.0.2.111")));
    assert_eq!(solo.session().state(), State::Up);
}

#[test]
fn any_client_can_have_the_session_held_down() {
    let mut solo = Solo::up(profile(10, 3));
    solo.request(Client::Static, Profile { admin_down: true, ..profile(300, 3) });
    assert_eq!(solo.session().state(), State::AdminDown);
    release(&mut solo, Client::Static);
    assert_eq!(solo.session().state(), State::Down);
}

#[test]
fn a_thousand_flaps_leave_nothing_behind() {
    let mut solo = Solo::empty();
    for _ in 0..1000 {
        solo.request(Client::Ospf, profile(10, 3));
        solo.bring_up();
        solo.wait(ms(100));
        solo.bring_up();
        release(&mut solo, Client::Ospf);
        solo.wait(ms(100));
        assert!(solo.bfd.is_stopped() && solo.bfd.deadline().is_none());
    }
    let opened = solo.outputs.iter().filter(|output| matches!(output, Output::Open(_))).count();
    let closed = solo.outputs.iter().filter(|output| matches!(output, Output::Close(_))).count();
    assert_eq!((opened, closed), (1000, 1000));
}
