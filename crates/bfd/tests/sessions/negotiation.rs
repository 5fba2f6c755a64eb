//! Intervals, Poll Sequences, demand mode.

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::time::Duration;

use bugle_bfd::config::COMMON_INTERVALS;
use bugle_bfd::{Client, Input, Path, Profile};
use bugle_types::Time;
use bugle_wire::bfd::{Control, Flags, Interval, State};

use crate::solo::{Solo, ms, path, profile, settings};

/// The times between packets sent.
fn gaps(sent: &[(Time, Control)]) -> Vec<Duration> {
    sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect()
}

fn polls(packet: &Control) -> bool {
    packet.flags.contains(Flags::POLL)
}

#[test]
fn packets_are_a_second_apart_until_up_and_jittered() {
    let mut solo = Solo::new(profile(10, 3));
    solo.wait(ms(60_000));
    let gaps = gaps(&solo.sent);
    assert!(gaps.iter().all(|gap| (ms(750)..=ms(1000)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < ms(850)) && gaps.iter().any(|gap| *gap > ms(950)));
    assert!(solo.sent.iter().all(|(_, sent)| sent.desired_min_tx == Interval::SECOND));
    assert!(solo.sent.iter().all(|(_, sent)| sent.required_min_rx == Interval(10_000)));
}

#[test]
fn once_up_the_slower_of_both_decides_in_each_direction() {
    for (ours, theirs, agreed) in [(10, 10, 10), (10, 50, 50), (50, 10, 50)] {
        let mut solo = Solo::new(profile(ours, 3));
        solo.remote.required_min_rx = Interval::from_duration(ms(theirs));
        solo.hear();
        solo.remote.desired_min_tx = Interval::from_duration(ms(theirs));
        solo.hear_state(State::Up);
        assert_eq!(solo.session().transmit_interval(), Some(Interval::from_duration(ms(agreed))));
        assert_eq!(solo.session().detection_time(), ms(agreed) * 3);
        solo.sent.clear();
        solo.wait_alive(ms(3000));
        let gaps = gaps(&solo.sent);
        let least = ms(agreed) / 4 * 3;
        assert!(gaps.iter().all(|gap| (least..=ms(agreed)).contains(gap)), "{gaps:?}");
        assert!(gaps.len() > 40);
    }
}

#[test]
fn an_interval_that_shrinks_when_it_has_passed_already_is_no_stall() {
    let mut solo = Solo::up(profile(10, 3));
    solo.remote.required_min_rx = Interval::SECOND;
    solo.wait_alive(ms(2000));
    while solo.sent.last().is_none_or(|(last, _)| solo.now.since(*last) < ms(500)) {
        solo.wait_alive(ms(50));
    }
    solo.remote.required_min_rx = Interval(10_000);
    solo.hear();
    assert_eq!(solo.bfd.deadline().map(|(due, _)| due), Some(solo.now));
    solo.wait_alive(ms(100));
    assert_eq!(solo.bfd.state().stats().stalls, 0);
}

#[test]
fn with_a_multiplier_of_one_packets_are_at_most_nine_tenths_of_the_interval_apart() {
    let mut solo = Solo::up(profile(100, 1));
    solo.sent.clear();
    solo.wait_alive(ms(20_000));
    let gaps = gaps(&solo.sent);
    assert!(gaps.iter().all(|gap| (ms(75)..=ms(90)).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < ms(83)) && gaps.iter().any(|gap| *gap > ms(88)));
}

#[test]
fn packets_of_several_sessions_fall_together_and_keep_to_three_quarters_of_the_interval() {
    let mut solo = Solo::empty();
    solo.remote.desired_min_tx = Interval(10_000);
    solo.remote.detect_mult = NonZeroU8::MAX;
    for last in 2..18 {
        solo.wait(ms(3));
        let path = Path { remote: [192, 0, 2, last].into(), ..path() };
        let settings = settings(profile(10, 3));
        solo.input(Input::Request { client: Client::Ospf, path, settings });
        for state in [State::Down, State::Up] {
            let ours = solo.bfd.state().session(path).unwrap().id();
            let your_discriminator = Some(ours).filter(|_| state == State::Up);
            let bytes = Control { state, your_discriminator, ..solo.remote }.emit(None);
            solo.hear_from(path, &bytes);
        }
    }
    solo.wait(ms(1_000));
    solo.sent.clear();
    solo.wait(ms(1_500));
    let names: BTreeSet<_> = solo.sent.iter().map(|(_, sent)| sent.my_discriminator).collect();
    assert_eq!(names.len(), 16);
    for name in names {
        let sent = solo.sent.iter().filter(|(_, sent)| sent.my_discriminator == name);
        let gaps = gaps(&sent.copied().collect::<Vec<_>>());
        let bounds = ms(30) / 4..=ms(10);
        assert!(gaps.iter().all(|gap| bounds.contains(gap)), "{gaps:?}");
        // 87.5 % of the interval on average (section 6.8.7).
        assert!((166..=176).contains(&gaps.len()), "{}", gaps.len());
    }
    let turns: BTreeSet<_> = solo.sent.iter().map(|(at, _)| at).collect();
    assert_eq!(turns.len() * 16, solo.sent.len());
}

#[test]
fn sessions_of_different_intervals_go_along_with_each_other_but_keep_near_the_average() {
    let mut solo = Solo::empty();
    solo.remote.detect_mult = NonZeroU8::MAX;
    let intervals = [(2, 10_u64, 3), (3, 13, 3), (4, 50, 3), (5, 100, 1)];
    for (last, interval, multiplier) in intervals {
        let path = Path { remote: [192, 0, 2, last].into(), ..path() };
        let settings = settings(profile(interval, multiplier));
        solo.input(Input::Request { client: Client::Ospf, path, settings });
        for state in [State::Down, State::Up] {
            let ours = solo.bfd.state().session(path).unwrap().id();
            let your_discriminator = Some(ours).filter(|_| state == State::Up);
            let bytes = Control { state, your_discriminator, ..solo.remote }.emit(None);
            solo.hear_from(path, &bytes);
        }
    }
    solo.wait(ms(2_000));
    solo.sent.clear();
    solo.wait(ms(60_000));
    for (last, interval, multiplier) in intervals {
        let path = Path { remote: [192, 0, 2, last].into(), ..path() };
        let name = solo.bfd.state().session(path).unwrap().id();
        let sent = solo.sent.iter().filter(|(_, sent)| sent.my_discriminator == name);
        let gaps = gaps(&sent.copied().collect::<Vec<_>>());
        let most = if multiplier == 1 { 90 } else { 100 };
        let bounds = ms(interval) * 3 / 4..=ms(interval) * most / 100;
        assert!(gaps.iter().all(|gap| bounds.contains(gap)), "{interval} ms: {gaps:?}");
        let average = gaps.iter().sum::<Duration>() / u32::try_from(gaps.len()).unwrap();
        let least = if multiplier == 1 { 77 } else { 80 };
        assert!(average >= ms(interval) * least / 100, "{interval} ms: {average:?}");
    }
    let turns: BTreeSet<_> = solo.sent.iter().map(|(at, _)| at).collect();
    assert!(turns.len() * 10 < solo.sent.len() * 8, "{} {}", turns.len(), solo.sent.len());
}

#[test]
fn the_detection_time_is_the_remote_multiplier_times_the_agreed_interval() {
    let mut solo = Solo::up(profile(10, 3));
    solo.remote.detect_mult = NonZeroU8::new(5).unwrap();
    solo.remote.desired_min_tx = Interval(70_000);
    solo.hear();
    assert_eq!(solo.session().detection_time(), ms(350));
    solo.remote.desired_min_tx = Interval(1_000);
    solo.hear();
    assert_eq!(solo.session().detection_time(), ms(50), "we receive every 10 ms at most");
}

#[test]
fn every_common_interval_can_be_agreed_on() {
    for interval in COMMON_INTERVALS {
        let time = interval.as_duration();
        let mut solo = Solo::new(Profile::new(time, time, 3).unwrap());
        solo.remote.required_min_rx = interval;
        solo.hear();
        solo.remote.desired_min_tx = interval;
        solo.hear_state(State::Up);
        assert_eq!(solo.session().transmit_interval(), Some(interval));
        assert_eq!(solo.session().detection_time(), time * 3);
    }
}

#[test]
fn coming_up_is_told_with_the_fast_intervals_and_a_poll_until_it_is_answered() {
    let mut solo = Solo::new(profile(10, 3));
    solo.hear();
    solo.take_sent();
    solo.hear_state(State::Up);
    let first = solo.take_one();
    assert_eq!((first.state, first.desired_min_tx), (State::Up, Interval(10_000)));
    assert!(polls(&first));
    // Lost: the next scheduled packets poll, too, and there are no more than those.
    solo.wait_alive(ms(50));
    assert!((5..=7).contains(&solo.sent.len()));
    assert!(solo.take_sent().iter().all(polls));
    solo.hear_with(Flags::FINAL);
    solo.wait_alive(ms(50));
    assert!(!solo.take_sent().iter().any(polls));
}

#[test]
fn we_send_more_slowly_not_before_the_final() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_sent();
    solo.request(Client::Ospf, Profile { tx: Interval(50_000), ..profile(10, 3) });
    assert_eq!(solo.session().transmit_interval(), Some(Interval(10_000)));
    solo.wait_alive(ms(100));
    assert!(solo.sent.len() >= 10);
    let sent = solo.take_sent();
    assert!(sent.iter().all(|sent| polls(sent) && sent.desired_min_tx == Interval(50_000)));
    solo.hear_with(Flags::FINAL);
    assert_eq!(solo.session().transmit_interval(), Some(Interval(50_000)));
    solo.wait_alive(ms(500));
    assert!((10..=14).contains(&solo.take_sent().len()));
}

#[test]
fn we_send_faster_at_once() {
    let mut solo = Solo::up(profile(100, 3));
    solo.take_sent();
    solo.request(Client::Ospf, Profile { tx: Interval(10_000), ..profile(100, 3) });
    assert_eq!(solo.session().transmit_interval(), Some(Interval(10_000)));
    solo.wait(ms(10));
    assert!(polls(&solo.take_one()));
}

#[test]
fn we_expect_more_packets_not_before_the_final_and_fewer_at_once() {
    let mut solo = Solo::up(profile(50, 3));
    solo.remote.desired_min_tx = Interval(1_000);
    solo.hear();
    assert_eq!(solo.session().detection_time(), ms(150));
    solo.request(Client::Ospf, Profile { rx: Interval(10_000), ..profile(50, 3) });
    solo.wait(ms(50));
    assert_eq!(solo.take_sent().last().unwrap().required_min_rx, Interval(10_000));
    assert_eq!(solo.session().detection_time(), ms(150));
    solo.hear_with(Flags::FINAL);
    assert_eq!(solo.session().detection_time(), ms(30));
    solo.hear();
    solo.request(Client::Ospf, Profile { rx: Interval(20_000), ..profile(50, 3) });
    assert_eq!(solo.session().detection_time(), ms(60));
    assert!(solo.session().is_polling());
}

#[test]
fn a_change_during_a_poll_sequence_waits_until_the_final_is_unambiguous() {
    let mut solo = Solo::up(profile(10, 3));
    let slower = |millis| Profile { tx: Interval::from_duration(ms(millis)), ..profile(10, 3) };
    solo.request(Client::Ospf, slower(20));
    solo.wait_alive(ms(10));
    solo.request(Client::Ospf, slower(40));
    solo.take_sent();
    solo.wait_alive(ms(10));
    assert!(solo.take_sent().iter().all(|sent| sent.desired_min_tx == Interval(20_000)));
    solo.hear_with(Flags::FINAL);
    assert_eq!(solo.session().transmit_interval(), Some(Interval(20_000)));
    // Another Final belongs to the old sequence, too.
    solo.hear_with(Flags::FINAL);
    assert!(!solo.session().is_polling());
    solo.hear();
    assert!(solo.session().is_polling());
    assert_eq!(solo.session().transmit_interval(), Some(Interval(20_000)));
    solo.wait_alive(ms(20));
    solo.hear_with(Flags::FINAL);
    assert_eq!(solo.session().transmit_interval(), Some(Interval(40_000)));
}

#[test]
fn a_final_that_nobody_asked_for_changes_nothing() {
    let mut solo = Solo::up(profile(10, 3));
    solo.request(Client::Ospf, Profile { tx: Interval(50_000), ..profile(10, 3) });
    // The sequence has been asked for, but not begun.
    solo.hear_with(Flags::FINAL);
    assert!(solo.session().is_polling());
    assert_eq!(solo.session().transmit_interval(), Some(Interval(10_000)));
}

#[test]
fn a_new_multiplier_needs_no_poll() {
    let mut solo = Solo::up(profile(10, 3));
    solo.take_sent();
    solo.request(Client::Ospf, profile(10, 5));
    assert!(!solo.session().is_polling());
    solo.wait(ms(10));
    let sent = solo.take_one();
    assert_eq!((sent.detect_mult.get(), polls(&sent)), (5, false));
}

#[test]
fn a_poll_is_answered_at_once_and_moves_no_timer() {
    let mut solo = Solo::up(profile(100, 3));
    solo.take_sent();
    let due = solo.bfd.deadline().unwrap().0;
    for _ in 0..5 {
        solo.hear_with(Flags::POLL);
        let answer = solo.take_one();
        assert!(answer.flags.contains(Flags::FINAL) && !polls(&answer));
        assert_eq!(solo.bfd.deadline().unwrap().0, due);
    }
    // Even while we poll ourselves, and even in Down.
    solo.request(Client::Ospf, profile(200, 3));
    solo.hear_with(Flags::POLL);
    assert!(!polls(&solo.take_one()));
    solo.hear_state(State::AdminDown);
    solo.take_sent();
    solo.hear_with(Flags::POLL);
    assert_eq!(solo.take_one().state, State::Down);
}

#[test]
fn packets_that_keep_coming_do_not_keep_us_from_sending() {
    let mut solo = Solo::up(profile(10, 3));
    solo.sent.clear();
    for round in 0..1000_u32 {
        solo.wait(ms(1));
        // The remote system cannot make up its mind, either.
        solo.remote.required_min_rx = Interval(10_000 + round % 2);
        solo.hear();
    }
    let gaps = gaps(&solo.sent);
    assert!(gaps.len() >= 99, "{}", gaps.len());
    assert!(gaps.iter().all(|gap| *gap <= ms(11)), "{gaps:?}");
}

#[test]
fn a_faster_rate_that_the_remote_system_asks_for_is_honoured_at_once() {
    let mut solo = Solo::new(profile(10, 3));
    solo.remote.required_min_rx = Interval::SECOND;
    solo.bring_up();
    solo.wait_alive(ms(200));
    solo.take_sent();
    solo.remote.required_min_rx = Interval(10_000);
    solo.hear();
    // The last packet was sent longer ago than the new interval: the next one is due.
    assert!(solo.bfd.deadline().unwrap().0 <= solo.now);
    solo.wait(ms(0));
    solo.take_one();
}

#[test]
fn a_remote_system_that_wants_no_packets_gets_none_but_news_and_answers() {
    let mut solo = Solo::up(profile(10, 3));
    solo.remote.required_min_rx = Interval::ZERO;
    solo.hear();
    solo.take_sent();
    solo.wait_alive(ms(1000));
    assert_eq!(solo.take_sent(), []);
    assert_eq!(solo.session().transmit_interval(), None);
    solo.hear_with(Flags::POLL);
    assert!(solo.take_one().flags.contains(Flags::FINAL));
    // Silent for a detection time, it has no say any more.
    solo.wait(ms(5000));
    assert!(solo.take_sent().len() >= 5);
}

#[test]
fn in_demand_mode_of_the_remote_system_we_send_polls_only() {
    let mut solo = Solo::up(profile(10, 3));
    solo.remote.flags = Flags::DEMAND;
    solo.hear();
    solo.take_sent();
    solo.wait_alive(ms(1000));
    assert_eq!(solo.take_sent(), []);

    // Whatever changes is told in a Poll Sequence, the multiplier, too.
    solo.request(Client::Ospf, profile(10, 4));
    solo.wait_alive(ms(50));
    let sent = solo.take_sent();
    assert!(sent.len() >= 5 && sent.iter().all(|sent| polls(sent) && sent.detect_mult.get() == 4));
    solo.hear_with(Flags::FINAL);
    solo.wait_alive(ms(1000));
    assert_eq!(solo.take_sent(), []);

    // Polls of the remote system are answered.
    solo.hear_with(Flags::POLL);
    assert!(solo.take_one().flags.contains(Flags::FINAL));
    // And its silence is found out.
    solo.wait(ms(30));
    assert_eq!(solo.session().state(), State::Down);
}

#[test]
fn packets_are_periodic_again_when_demand_mode_ends() {
    for (flags, state) in [(Flags::NONE, State::Up), (Flags::DEMAND, State::Init)] {
        let mut solo = Solo::up(profile(10, 3));
        solo.remote.flags = Flags::DEMAND;
        solo.hear();
        solo.wait_alive(ms(100));
        solo.take_sent();
        solo.remote.flags = flags;
        solo.remote.state = state;
        solo.wait_alive(ms(100));
        assert!(solo.take_sent().len() >= 9, "{flags:?} {state}");
    }
}

#[test]
fn we_never_ask_for_demand_mode() {
    let mut solo = Solo::up(profile(10, 3));
    solo.wait_alive(ms(100));
    assert!(!solo.take_sent().iter().any(|sent| sent.flags.contains(Flags::DEMAND)));
}
