//! What must hold of two systems whatever their clocks, the network and their schedulers do.

use std::time::Duration;

use bugle_bfd::{Cause, Profile};
use bugle_types::Time;
use bugle_wire::bfd::State;
use proptest::prelude::*;

use crate::solo::{ms, profile};
use crate::world::{End, Wire, World};

/// Clocks that are off by up to half a percent.
fn skews() -> impl Strategy<Value = [i64; 2]> {
    prop::array::uniform2(-5_000_i64..=5_000)
}

/// Intervals and multipliers as they are used.
fn profiles() -> impl Strategy<Value = Profile> {
    (prop::sample::select(vec![10_u64, 20, 50, 100]), 1_u8..=5)
        .prop_map(|(interval, multiplier)| profile(interval, multiplier))
}

fn agreed(profiles: &[Profile; 2]) -> Duration {
    profiles.iter().map(|profile| profile.tx.as_duration()).max().unwrap()
}

/// The losses that a multiplier allows: of so many packets in a row, one arrives in time even if nothing is jittered.
fn losses(pattern: &[bool], multiplier: u8) -> Vec<bool> {
    let mut row = 0;
    let lose = |wanted: &bool| {
        row = if *wanted && row + 2 < multiplier { row + 1 } else { 0 };
        row > 0
    };
    pattern.iter().map(lose).chain([false]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sessions_never_flap_below_the_loss_that_the_multiplier_allows(
        profiles in prop::array::uniform2(profiles()),
        skews in skews(),
        pattern in prop::collection::vec(any::<bool>(), 1..40),
        late_percent in 0_u32..=6,
        variation_percent in 0_u32..=3,
        seed: u64,
    ) {
        // What the detection time has to spare is an interval; with a multiplier of one, a tenth of it. Lateness, variation
        // and what the clocks are off by must fit into that.
        let agreed = agreed(&profiles);
        let wire = Wire::new(Duration::from_micros(50), agreed * variation_percent / 100);
        let mut world = World::new(profiles.clone(), skews, &wire, seed);
        world.run_until_up(ms(5_000));
        // Packets that overtake each other may take a session down once more while it comes up, as section 6.8.6 is.
        let flaps = world.flaps();
        for (end, profile) in profiles.iter().enumerate() {
            world.ends[end].lateness = agreed * late_percent / 100;
            world.wires[end].losses = losses(&pattern, profile.multiplier.get());
        }
        world.run_for(agreed * 1000);
        prop_assert_eq!(world.flaps(), flaps);
        let rate = u32::try_from(world.ends[0].sent.len()).unwrap();
        prop_assert!((950..1500).contains(&rate), "{}", rate);
    }

    #[test]
    fn silence_is_always_detected_within_the_detection_time(
        profiles in prop::array::uniform2(profiles()),
        skews in skews(),
        late in 0_u64..900,
        run in 0_u64..500,
        one_way: bool,
        seed: u64,
    ) {
        let wire = Wire::new(Duration::from_micros(50), Duration::ZERO);
        let mut world = World::new(profiles.clone(), skews, &wire, seed);
        world.run_until_up(ms(5_000));
        world.run_for(ms(run));
        let late = Duration::from_micros(late);
        world.ends.iter_mut().for_each(|end| end.lateness = late);
        world.wires[0].losses = vec![true];
        if !one_way {
            world.wires[1].losses = vec![true];
        }
        let cut = world.now;
        world.run_for(agreed(&profiles) * 7);

        // The second end hears nothing any more.
        let (at, change) = *world.ends[1].changes.last().unwrap();
        prop_assert_eq!(change.cause, Cause::DetectionTimeExpired);
        prop_assert_eq!((change.from, change.to), (State::Up, State::Down));
        let detection_time = agreed(&profiles) * u32::from(profiles[0].multiplier.get());
        let most = detection_time * 1006 / 1000 + late + Duration::from_micros(60);
        prop_assert!(at.since(cut) <= most, "{:?} > {:?}", at.since(cut), most);
        let silent_since = change.last_received.unwrap();
        prop_assert!(change.detection_time == detection_time && silent_since > Time::ZERO);

        // The first is told by the second, or finds out by itself.
        let (_, change) = world.ends[0].changes.iter().find(|(at, _)| *at > cut).unwrap();
        prop_assert_eq!((change.from, change.to), (State::Up, State::Down));
        let expected =
            if one_way { Cause::Received(State::Down) } else { Cause::DetectionTimeExpired };
        prop_assert_eq!(change.cause, expected);
    }

    #[test]
    fn intervals_change_live_under_loss_and_both_ends_agree_in_the_end(
        changes in prop::collection::vec((0_usize..2, profiles(), 0_u64..300), 1..8),
        pattern in prop::collection::vec(prop::bool::weighted(0.3), 5..40),
        skews in skews(),
        seed: u64,
    ) {
        let start = profile(50, 5);
        let wire = Wire::new(Duration::from_micros(200), Duration::ZERO);
        let mut world = World::new([start.clone(), start], skews, &wire, seed);
        world.run_until_up(ms(5_000));
        for wire in &mut world.wires {
            wire.losses = losses(&pattern, 4);
        }
        for (end, profile, wait) in changes {
            // Enough of a multiplier for the losses.
            world.ends[end].profile = Profile { multiplier: 4.try_into().unwrap(), ..profile };
            world.request(end);
            world.run_for(ms(wait));
        }
        world.run_for(ms(3_000));
        prop_assert_eq!(world.flaps(), 0);
        // A pattern may happen to lose every Final.
        world.wires.iter_mut().for_each(|wire| wire.losses.clear());
        world.run_for(ms(1_000));
        prop_assert_eq!(world.flaps(), 0);
        let profiles = [0, 1].map(|end| world.ends[end].profile.clone());
        for end in [0, 1] {
            let session = world.ends[end].session();
            prop_assert!(!session.is_polling());
            let tx = profiles[end].tx.max(profiles[1 - end].rx);
            prop_assert_eq!(session.transmit_interval(), Some(tx));
            let rx = profiles[end].rx.max(profiles[1 - end].tx).as_duration();
            let multiplier = u32::from(profiles[1 - end].multiplier.get());
            prop_assert_eq!(session.detection_time(), rx * multiplier);
        }
    }

    #[test]
    fn no_sleep_of_ours_takes_a_session_down_while_the_kernel_receives(
        interval in prop::sample::select(vec![10_u64, 50]),
        naps in prop::collection::vec((0_u64..100, 0_u64..200), 1..10),
        seed: u64,
    ) {
        // The remote system allows for what we do not send in the meantime; it is its packets that matter here.
        let profiles = [profile(interval, 3), profile(interval, 3)];
        let ours = Profile { multiplier: 50.try_into().unwrap(), ..profiles[0].clone() };
        let wire = Wire::new(Duration::from_micros(50), Duration::ZERO);
        let mut world = World::new([ours, profiles[1].clone()], [0, 0], &wire, seed);
        world.run_until_up(ms(5_000));
        for (run, nap) in naps {
            world.run_for(ms(run));
            world.ends[0].asleep_until = world.now + ms(nap);
        }
        world.run_for(ms(1_000));
        prop_assert_eq!(world.flaps(), 0);
    }
}

#[test]
fn two_systems_come_up_in_one_exchange_after_the_first_packet_that_both_hear() {
    let mut world = World::of(&profile(10, 3));
    world.run_for(Duration::from_micros(500));
    assert!(world.ends.iter().all(End::is_up));
    world.run_for(ms(30));
    assert!(world.ends.iter().all(|end| !end.session().is_polling()));
    assert_eq!(world.flaps(), 0);
}

#[test]
fn a_link_that_is_repaired_is_up_again_within_a_second() {
    let mut world = World::of(&profile(10, 3));
    world.run_until_up(ms(1_000));
    world.wires.iter_mut().for_each(|wire| wire.losses = vec![true]);
    world.run_for(ms(10_000));
    assert!(world.ends.iter().all(|end| end.session().state() == State::Down));
    world.wires.iter_mut().for_each(|wire| wire.losses.clear());
    world.run_for(ms(1_001));
    assert!(world.ends.iter().all(End::is_up));
}

#[test]
fn a_packet_in_either_direction_each_interval_is_all_that_an_idle_session_costs() {
    let mut world = World::of(&profile(10, 3));
    world.run_until_up(ms(1_000));
    world.ends[0].sent.clear();
    world.run_for(ms(10_000));
    // 87.5 % of the interval on average.
    let sent = world.ends[0].sent.len();
    assert!((1130..=1155).contains(&sent), "{sent}");
}
