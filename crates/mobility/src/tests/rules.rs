//! Single rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Prefix};

use super::desk::{Answer, Desk, HOST, claim, config, mac, other, router, seen};
use crate::host::{HOLD, QUIET, RESUME};
use crate::{
    Claim, Class, Event, Families, HostState, HostsConfig, Input, LocalTarget, Mode, Output,
    Refused, StaticHost, Why,
};

const MILLI: Duration = Duration::from_millis(1);

fn desk() -> Desk {
    Desk::new(config())
}

/// A desk where the host has rested for a while.
fn rested() -> Desk {
    let mut desk = desk();
    desk.tell(Input::Claim(claim()));
    desk.wait(Duration::from_secs(60));
    desk.outputs.clear();
    desk
}

/// What was asked for, without events.
fn asked(desk: &mut Desk) -> Vec<Output> {
    let outputs = std::mem::take(&mut desk.outputs);
    outputs.into_iter().filter(|output| !matches!(output, Output::Event(_))).collect()
}

fn ask(desk: &mut Desk, claim: Claim) -> Result<(), Refused> {
    desk.replies.clear();
    desk.tell(Input::Claim(Claim { request: Some(7), ..claim }));
    assert_eq!(desk.replies.len(), 1, "every request is answered once");
    desk.replies[0].1.clone()
}

fn with_statics(statics: &[(IpAddr, &str)]) -> HostsConfig {
    let place = |port: &str| StaticHost { port: Some(port.to_owned()), mac: None };
    let statics = statics.iter().map(|(address, port)| (*address, place(port))).collect();
    HostsConfig { statics, ..config() }
}

fn configure(desk: &mut Desk, config: HostsConfig) {
    desk.tell(Input::Config(Box::new(config)));
}

#[test]
fn the_neighbour_goes_in_before_the_route_and_the_route_before_the_advertisement() {
    let mut desk = desk();
    desk.outputs.clear();
    desk.tell(Input::Claim(Claim { request: Some(1), ..claim() }));
    let prefix = Prefix::host(HOST);
    assert_eq!(
        asked(&mut desk),
        [
            Output::Watch { prefix, on: true },
            Output::Neighbor { ifindex: IfIndex(1), address: HOST, mac: Some(mac(1)) },
            Output::LocalRoute { prefix, target: Some(LocalTarget::Port(IfIndex(1))) },
            Output::Advertise { prefix, metric: 10_000 },
            Output::Reply { request: 1, result: Ok(()) },
        ]
    );
}

#[test]
fn yielding_takes_the_route_at_once_and_the_advertisement_a_second_later() {
    let mut desk = rested();
    desk.hear(9_999, 9);
    let prefix = Prefix::host(HOST);
    assert_eq!(
        asked(&mut desk),
        [
            Output::LocalRoute { prefix, target: None },
            Output::Neighbor { ifindex: IfIndex(1), address: HOST, mac: None },
        ]
    );
    desk.wait(HOLD.saturating_sub(MILLI));
    assert_eq!(asked(&mut desk), []);
    desk.wait(MILLI);
    assert_eq!(asked(&mut desk), [Output::Withdraw { prefix }]);
    assert_eq!(desk.state(), Some(HostState::Yielded));
}

#[test]
fn who_yields_soon_after_its_own_change_still_waits_a_second_from_both() {
    let mut desk = desk();
    desk.tell(Input::Claim(claim()));
    desk.wait(Duration::from_millis(300));
    desk.hear(9_999, 9);
    desk.wait(HOLD.saturating_sub(MILLI));
    assert!(desk.metric().is_some());
    desk.wait(MILLI);
    assert_eq!(desk.metric(), None);
}

#[test]
fn a_release_withdraws_at_once_if_the_last_change_is_a_second_old() {
    let mut desk = rested();
    desk.release();
    assert_eq!((desk.metric(), desk.target(), desk.state()), (None, None, None));
    assert!(desk.watched.is_empty());

    desk.tell(Input::Claim(claim()));
    desk.wait(Duration::from_millis(300));
    desk.release();
    assert_eq!((desk.metric(), desk.target()), (Some(10_000), Some(LocalTarget::Drop)));
    desk.wait(Duration::from_millis(699));
    assert!(desk.metric().is_some());
    desk.wait(MILLI);
    assert_eq!((desk.metric(), desk.target()), (None, None));
}

#[test]
fn a_claim_within_the_second_takes_the_host_back_with_one_change() {
    let mut desk = rested();
    desk.hear(9_999, 9);
    desk.wait(Duration::from_millis(400));
    asked(&mut desk);
    desk.tell(Input::Claim(claim()));
    let advertised: Vec<_> = asked(&mut desk)
        .into_iter()
        .filter(|output| matches!(output, Output::Advertise { .. } | Output::Withdraw { .. }))
        .collect();
    assert_eq!(advertised, [Output::Advertise { prefix: Prefix::host(HOST), metric: 9_998 }]);
}

#[test]
fn the_metric_returns_to_rest_after_ten_quiet_seconds() {
    let mut desk = desk();
    desk.answer = Answer::Other(other(10_000, 9));
    desk.tell(Input::Claim(claim()));
    desk.wait(Duration::from_secs(60));
    assert_eq!(desk.metric(), Some(9_999), "another still advertises");
    desk.hear_nobody();
    desk.wait(QUIET.saturating_sub(MILLI));
    desk.hear(10_000, 9);
    desk.hear_nobody();
    desk.wait(QUIET.saturating_sub(MILLI));
    assert_eq!(desk.metric(), Some(9_999), "the quiet was broken");
    desk.wait(MILLI);
    assert_eq!(desk.metric(), Some(10_000));
    assert_eq!(desk.state(), Some(HostState::Steady));
}

#[test]
fn a_host_that_yielded_is_live_again_when_nobody_has_had_it_for_two_seconds() {
    let mut desk = rested();
    desk.hear(9_999, 9);
    desk.wait(Duration::from_secs(60));
    desk.hear_nobody();
    desk.wait(RESUME.saturating_sub(MILLI));
    assert_eq!(desk.metric(), None);
    desk.wait(MILLI);
    assert_eq!(desk.metric(), Some(10_000));
    assert!(desk.events.contains(&Event::Resumed { address: HOST }));
}

#[test]
fn an_advertisement_stays_if_the_other_goes_before_it_was_withdrawn() {
    let mut desk = rested();
    desk.hear(9_999, 9);
    desk.wait(Duration::from_millis(500));
    desk.hear_nobody();
    assert_eq!(desk.target(), Some(LocalTarget::Drop), "no ICMP error in the gap");
    asked(&mut desk);
    desk.wait(RESUME.saturating_sub(MILLI));
    assert_eq!(desk.target(), Some(LocalTarget::Drop));
    desk.wait(MILLI);
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(1))));
    assert!(
        !asked(&mut desk)
            .iter()
            .any(|output| { matches!(output, Output::Advertise { .. } | Output::Withdraw { .. }) })
    );
}

#[test]
fn only_what_is_registered_is_remembered_after_yielding() {
    let mut desk = Desk::new(HostsConfig { mode: Mode::Learned, ..config() });
    desk.tell(Input::Claim(Claim { class: Class::Learned, ..claim() }));
    assert_eq!(desk.metric(), Some(10_000));
    desk.hear(9_999, 9);
    desk.wait(Duration::from_secs(2));
    assert_eq!(desk.state(), None);
    desk.hear_nobody();
    desk.wait(Duration::from_secs(60));
    assert_eq!(desk.metric(), None);
}

#[test]
fn a_port_that_comes_back_does_not_take_the_host_from_its_new_home() {
    let mut desk = rested();
    desk.port("tap0", false);
    desk.wait(Duration::from_secs(5));
    assert_eq!(desk.state(), Some(HostState::Candidate(Why::PortDown("tap0".into()))));
    desk.hear(10_000, 9);
    desk.port("tap0", true);
    assert_eq!((desk.state(), desk.metric()), (Some(HostState::Yielded), None));
}

#[test]
fn a_claim_made_before_the_port_exists_takes_the_host_when_it_comes_up() {
    let mut desk = desk();
    desk.answer = Answer::Other(other(10_000, 9));
    assert_eq!(ask(&mut desk, Claim { port: Some("tap9".into()), ..claim() }), Ok(()));
    let HostState::Candidate(why) = desk.state().unwrap() else { panic!("not a candidate") };
    assert_eq!(why.to_string(), "port tap9 does not exist yet");
    desk.port("tap9", false);
    assert_eq!(desk.metric(), None);
    desk.port("tap9", true);
    assert_eq!(desk.metric(), Some(9_999));
}

#[test]
fn a_port_that_blinks_costs_no_advertisement() {
    let mut desk = rested();
    desk.port("tap0", false);
    assert_eq!(desk.target(), Some(LocalTarget::Drop));
    desk.wait(Duration::from_millis(900));
    desk.port("tap0", true);
    desk.wait(Duration::from_secs(5));
    assert!(!desk.outputs.iter().any(|output| matches!(output, Output::Withdraw { .. })));
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(1))));
}

#[test]
fn a_recreated_port_moves_the_neighbour_and_the_route() {
    let mut desk = rested();
    desk.tell(Input::Port { name: "tap0".into(), ifindex: IfIndex(77), up: true, mac: None });
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(77))));
    let neighbors: Vec<_> = desk.neighbors.keys().copied().collect();
    assert_eq!(neighbors, [(IfIndex(77), HOST)]);
}

#[test]
fn a_move_between_ports_is_nobody_elses_business() {
    let mut desk = rested();
    desk.tell(Input::Claim(Claim { port: Some("tap1".into()), ..claim() }));
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(2))));
    assert!(!desk.outputs.iter().any(|output| matches!(output, Output::Advertise { .. })));
    assert!(desk.events.contains(&Event::PortChanged { address: HOST }));
}

#[test]
fn without_port_and_mac_the_address_is_only_advertised() {
    let mut desk = desk();
    assert_eq!(ask(&mut desk, Claim { port: None, mac: None, ..claim() }), Ok(()));
    assert_eq!((desk.metric(), desk.target()), (Some(10_000), None));
    assert!(desk.neighbors.is_empty());
}

#[test]
fn without_mac_there_is_no_permanent_neighbour() {
    let mut desk = desk();
    assert_eq!(ask(&mut desk, Claim { mac: None, ..claim() }), Ok(()));
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(1))));
    assert!(desk.neighbors.is_empty());
}

#[test]
fn a_mac_alone_is_enough_if_there_is_one_port() {
    let mut desk = desk();
    let only_mac = Claim { port: None, ..claim() };
    assert_eq!(ask(&mut desk, only_mac.clone()), Err(Refused::WhichPort(2)));
    desk.tell(Input::PortGone { name: "tap0".into() });
    assert_eq!(ask(&mut desk, only_mac.clone()), Ok(()));
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(2))));
    desk.release();
    desk.tell(Input::PortGone { name: "tap1".into() });
    desk.wait(Duration::from_secs(2));
    assert_eq!(ask(&mut desk, only_mac), Err(Refused::WhichPort(0)));
}

#[test]
fn what_no_host_can_have_is_refused_with_what_to_do() {
    let mut desk = desk();
    desk.tell(Input::Infrastructure(BTreeSet::from(["10.1.0.254".parse().unwrap()])));
    for (address, told) in [
        (
            "10.1.0.254",
            "10.1.0.254 is an address of this machine, a router or a whole network; give the host another",
        ),
        (
            "10.2.0.1",
            "10.2.0.1 is in none of the prefixes 10.1.0.0/16; add one that covers it to `prefixes`",
        ),
        (
            "127.0.0.1",
            "127.0.0.1 is a loopback address, which no host can have; claim the host's own address",
        ),
        ("2001:db8::1", "no protocol that carries IPv6 hosts is configured"),
    ] {
        let refused = ask(&mut desk, Claim { address: address.parse().unwrap(), ..claim() });
        assert_eq!(refused.unwrap_err().to_string(), told);
    }
    let refused = ask(&mut desk, Claim { port: Some("eth0".into()), ..claim() });
    assert_eq!(refused, Err(Refused::NotAPort("eth0".into())));
    // The pattern matches, but no interface can have the name; nor can it forge a line of the log.
    for name in ["tap0\nINFO", "tap0000000000000", "tap/0", "tap 0"] {
        let refused = ask(&mut desk, Claim { port: Some(name.into()), ..claim() }).unwrap_err();
        assert_eq!(refused, Refused::NotAPort(name.into()));
        assert!(!refused.to_string().contains('\n'), "{refused}");
    }
    for wrong in [mac(100), Mac([0xff; 6]), Mac([0; 6])] {
        assert_eq!(ask(&mut desk, Claim { mac: Some(wrong), ..claim() }), Err(Refused::Mac(wrong)));
    }
    assert!(desk.advertised.is_empty());
    assert_eq!(desk.mobility.state().refusals(), 12);
}

#[test]
fn ipv6_hosts_are_accepted_where_something_carries_them() {
    let families = Families { ipv4: false, ipv6: true };
    let mut desk = Desk::new(HostsConfig { carried: families, prefixes: Vec::new(), ..config() });
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(ask(&mut desk, Claim { address, ..claim() }), Ok(()));
    assert_eq!(desk.advertised[&Prefix::host(address)], 10_000);
    assert_eq!(ask(&mut desk, claim()), Err(Refused::NotCarried("IPv4")));
}

#[test]
fn there_are_no_more_hosts_than_allowed() {
    let mut desk = Desk::new(HostsConfig { max_hosts: 2, ..config() });
    let at = |last: u8| Claim { address: IpAddr::from([10, 1, 0, last]), ..claim() };
    assert_eq!(ask(&mut desk, at(1)), Ok(()));
    assert_eq!(ask(&mut desk, at(2)), Ok(()));
    assert_eq!(ask(&mut desk, at(3)), Err(Refused::TooMany(2)));
    assert_eq!(ask(&mut desk, at(2)), Ok(()), "one that is known already");
}

#[test]
fn below_the_lowest_metric_there_is_no_claim() {
    for metric in [0, 1] {
        let mut desk = desk();
        desk.answer = Answer::Other(other(metric, 9));
        let refused = ask(&mut desk, claim());
        assert_eq!(refused, Err(Refused::NoLowerMetric { address: HOST, metric }));
        assert_eq!((desk.metric(), desk.state()), (None, Some(HostState::Yielded)));
        desk.hear(10_000, 9);
        assert_eq!(ask(&mut desk, claim()), Ok(()));
    }
}

#[test]
fn the_address_of_a_router_is_refused_and_nothing_of_the_claim_stays() {
    let candidate = Claim { candidate: true, ..claim() };
    let behind_no_port = Claim { port: Some("tap9".into()), ..claim() };
    for claim in [claim(), candidate, behind_no_port] {
        let mut desk = Desk::new(HostsConfig { mode: Mode::Learned, ..config() });
        desk.answer = Answer::Other(router(9));
        assert_eq!(ask(&mut desk, claim), Err(Refused::Infrastructure(HOST)));
        desk.tell(Input::Claim(seen()));
        assert_eq!((desk.state(), desk.metric()), (None, None));
        assert!(desk.watched.is_empty());
    }
}

#[test]
fn a_claim_that_was_accepted_outlives_a_router_with_its_address() {
    let mut desk = desk();
    assert_eq!(ask(&mut desk, Claim { port: Some("tap9".into()), ..claim() }), Ok(()));
    desk.tell(Input::Others { prefix: Prefix::host(HOST), others: Some(router(9)) });
    desk.hear_nobody();
    desk.port("tap9", true);
    assert_eq!(desk.state(), Some(HostState::Steady));
    // In whatever order.
    let mut desk = self::desk();
    assert_eq!(ask(&mut desk, Claim { port: Some("tap9".into()), ..claim() }), Ok(()));
    desk.tell(Input::Others { prefix: Prefix::host(HOST), others: Some(router(9)) });
    desk.port("tap9", true);
    assert_eq!((desk.state(), desk.metric()), (Some(HostState::Yielded), None));
    desk.hear_nobody();
    desk.wait(RESUME);
    assert_eq!(desk.state(), Some(HostState::Steady));
}

#[test]
fn a_declared_host_with_the_address_of_a_router_waits_until_the_router_is_gone() {
    let mut desk = desk();
    desk.answer = Answer::Other(router(9));
    let place = StaticHost { port: Some("tap0".into()), mac: Some(mac(1)) };
    let statics = BTreeMap::from([(HOST, place)]);
    desk.tell(Input::Config(Box::new(HostsConfig { statics, ..config() })));
    let reason = Refused::Infrastructure(HOST);
    assert!(desk.events.contains(&Event::Refused { address: HOST, reason }), "{:?}", desk.events);
    assert_eq!((desk.state(), desk.metric()), (Some(HostState::Yielded), None));
    desk.hear_nobody();
    desk.wait(RESUME);
    assert_eq!((desk.state(), desk.metric()), (Some(HostState::Steady), Some(10_000)));
}

#[test]
fn a_live_host_yields_to_a_router_with_its_address_and_comes_back_after_it() {
    let mut desk = rested();
    desk.tell(Input::Others { prefix: Prefix::host(HOST), others: Some(router(1)) });
    assert_eq!((desk.state(), desk.local.len()), (Some(HostState::Yielding), 0));
    desk.wait(HOLD);
    assert_eq!((desk.state(), desk.metric()), (Some(HostState::Yielded), None));
    assert_eq!(ask(&mut desk, claim()), Err(Refused::Infrastructure(HOST)));
    desk.hear_nobody();
    desk.wait(RESUME);
    assert_eq!(desk.state(), Some(HostState::Steady));
}

#[test]
fn the_step_is_kept_below_others() {
    let mut desk = Desk::new(HostsConfig { step: 100, ..config() });
    desk.answer = Answer::Other(other(10_000, 9));
    desk.tell(Input::Claim(claim()));
    assert_eq!(desk.metric(), Some(9_900));
}

#[test]
fn a_request_is_answered_when_its_outcome_is_known() {
    let mut desk = desk();
    desk.answer = Answer::Later;
    desk.tell(Input::Claim(Claim { request: Some(7), ..claim() }));
    desk.tell(Input::Claim(Claim { request: Some(8), ..claim() }));
    assert_eq!(desk.replies, []);
    desk.hear(1, 9);
    let refused = Err(Refused::NoLowerMetric { address: HOST, metric: 1 });
    assert_eq!(desk.replies, [(7, refused.clone()), (8, refused)]);
}

#[test]
fn a_request_whose_host_is_released_is_answered() {
    let mut desk = desk();
    desk.answer = Answer::Later;
    desk.tell(Input::Claim(Claim { request: Some(7), ..claim() }));
    desk.tell(Input::Release { address: HOST, request: Some(8) });
    assert_eq!(desk.replies, [(7, Err(Refused::Unknown(HOST))), (8, Ok(()))]);
    assert_eq!(desk.state(), None);
}

#[test]
fn in_registered_mode_a_frame_activates_only_what_is_bound_to_its_port_and_mac() {
    let mut desk = desk();
    let frame = Claim { class: Class::Learned, ..claim() };
    let refused = Err(Refused::NotRegistered(HOST));
    assert_eq!(ask(&mut desk, frame.clone()), refused);
    desk.tell(Input::Claim(Claim { candidate: true, ..claim() }));
    for wrong in [
        Claim { port: Some("tap1".into()), ..frame.clone() },
        Claim { mac: Some(mac(2)), ..frame.clone() },
        Claim { port: None, ..frame.clone() },
        Claim { mac: None, ..frame.clone() },
    ] {
        assert_eq!(ask(&mut desk, wrong), refused);
    }
    assert_eq!(desk.metric(), None);
    assert_eq!(ask(&mut desk, frame), Ok(()));
    assert_eq!(desk.metric(), Some(10_000));
    let host = desk.mobility.state().host(HOST).unwrap();
    assert_eq!(host.class, Some(Class::Registered), "the registration stands");
    let told = desk.events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
    assert_eq!(told, 0, "a host could send as many frames as it likes");
}

#[test]
fn a_lower_class_does_not_displace_a_higher_one() {
    let mut desk = Desk::new(HostsConfig { mode: Mode::Learned, ..config() });
    let of = |class, port: &str| Claim { class, port: Some(port.into()), ..claim() };
    let classes = [Class::Learned, Class::Dhcp, Class::Registered, Class::Pinned];
    for (rank, class) in classes.into_iter().enumerate() {
        assert_eq!(ask(&mut desk, of(class, "tap0")), Ok(()));
        for lower in &classes[..rank] {
            let refused = Err(Refused::Outranked { address: HOST, class });
            assert_eq!(ask(&mut desk, of(*lower, "tap1")), refused);
            assert_eq!(ask(&mut desk, of(*lower, "tap0")), Ok(()), "it confirms");
        }
        assert_eq!(desk.mobility.state().host(HOST).unwrap().class, Some(class));
    }
    assert_eq!(ask(&mut desk, of(Class::Pinned, "tap1")), Ok(()));
    assert_eq!(desk.target(), Some(LocalTarget::Port(IfIndex(2))));
}

#[test]
fn a_candidate_does_not_move_a_live_host() {
    let mut desk = rested();
    let candidate = Claim { candidate: true, ..claim() };
    assert_eq!(ask(&mut desk, candidate.clone()), Ok(()));
    assert_eq!(desk.state(), Some(HostState::Steady));
    let elsewhere = Claim { port: Some("tap1".into()), ..candidate };
    assert_eq!(ask(&mut desk, elsewhere), Err(Refused::LiveElsewhere(HOST)));
}

#[test]
fn what_the_configuration_declares_cannot_be_removed_by_request() {
    let mut desk = Desk::new(with_statics(&[(HOST, "tap0")]));
    assert_eq!(desk.metric(), Some(10_000));
    desk.tell(Input::Release { address: HOST, request: Some(1) });
    assert_eq!(desk.replies, [(1, Err(Refused::Static(HOST)))]);
    desk.wait(Duration::from_secs(60));
    configure(&mut desk, config());
    assert_eq!((desk.metric(), desk.state()), (None, None));
    desk.tell(Input::Release { address: HOST, request: Some(2) });
    assert_eq!(desk.replies.last(), Some(&(2, Err(Refused::Unknown(HOST)))));
}

#[test]
fn a_reload_takes_back_only_what_it_declares_anew() {
    let mut desk = Desk::new(with_statics(&[(HOST, "tap0")]));
    desk.wait(Duration::from_secs(60));
    desk.hear(9_999, 9);
    desk.wait(Duration::from_secs(60));
    assert_eq!(desk.state(), Some(HostState::Yielded));
    let more: IpAddr = "10.1.0.2".parse().unwrap();
    configure(&mut desk, with_statics(&[(HOST, "tap0"), (more, "tap1")]));
    assert_eq!(desk.state(), Some(HostState::Yielded), "declared the same as before");
    assert!(desk.advertised.contains_key(&Prefix::host(more)));
    desk.wait(Duration::from_secs(60));
    configure(&mut desk, with_statics(&[(HOST, "tap1")]));
    assert_eq!(desk.metric(), Some(9_998));
    assert!(!desk.advertised.contains_key(&Prefix::host(more)));
}

#[test]
fn a_declared_host_is_claimed_as_soon_as_it_becomes_admissible() {
    let mut desk = desk();
    desk.tell(Input::Infrastructure(BTreeSet::from([HOST])));
    configure(&mut desk, with_statics(&[(HOST, "tap0")]));
    assert_eq!(desk.metric(), None);
    desk.tell(Input::Infrastructure(BTreeSet::new()));
    assert_eq!(desk.metric(), Some(10_000));
}

#[test]
fn hosts_that_new_settings_exclude_are_given_up() {
    let mut desk = rested();
    configure(&mut desk, HostsConfig { ports: Vec::new(), ..config() });
    assert_eq!((desk.metric(), desk.state()), (None, None));
    let reason = Refused::NotAPort("tap0".into());
    assert!(desk.events.contains(&Event::Refused { address: HOST, reason }));
}

#[test]
fn a_new_metric_of_rest_is_taken_up() {
    let mut desk = rested();
    configure(&mut desk, HostsConfig { metric: 5_000, ..config() });
    assert_eq!(desk.metric(), Some(5_000));
}

/// An engine that takes frames' word for where hosts are.
fn learning() -> Desk {
    Desk::new(HostsConfig { mode: Mode::Learned, ..config() })
}

#[test]
fn the_fifth_move_within_three_minutes_freezes_the_address() {
    let mut desk = learning();
    desk.answer = Answer::Other(other(10_000, 9));
    for metric in [9_998, 9_996] {
        assert_eq!(ask(&mut desk, seen()), Ok(()));
        desk.wait(Duration::from_secs(10));
        desk.hear(metric, 9);
        desk.wait(Duration::from_secs(10));
    }
    let until = desk.now + Duration::from_secs(1800);
    let frozen = Err(Refused::Frozen { address: HOST, until });
    assert_eq!(ask(&mut desk, seen()), frozen);
    assert_eq!((desk.metric(), desk.state()), (None, Some(HostState::Frozen)));
    assert!(desk.events.contains(&Event::Frozen { address: HOST, until }));

    desk.hear_nobody();
    desk.wait(Duration::from_secs(1799));
    assert_eq!(ask(&mut desk, seen()), frozen);
    desk.wait(Duration::from_secs(1));
    assert!(desk.events.contains(&Event::Unfrozen { address: HOST }));
    assert_eq!(ask(&mut desk, seen()), Ok(()));
    assert_eq!(desk.metric(), Some(10_000));
}

#[test]
fn an_orchestrator_moves_a_host_as_often_as_it_likes() {
    let mut desk = desk();
    desk.answer = Answer::Other(other(10_000, 9));
    for _ in 0..20 {
        assert_eq!(ask(&mut desk, claim()), Ok(()));
        desk.wait(Duration::from_secs(2));
        desk.hear(1_000, 9);
        desk.hear(10_000, 9);
    }
}

#[test]
fn moves_that_are_far_apart_do_not_freeze() {
    let mut desk = desk();
    desk.answer = Answer::Other(other(10_000, 9));
    for _ in 0..20 {
        assert_eq!(ask(&mut desk, claim()), Ok(()));
        desk.wait(Duration::from_secs(50));
        desk.hear(1_000, 9);
        desk.wait(Duration::from_secs(50));
        desk.hear(10_000, 9);
    }
}

#[test]
fn a_frozen_address_can_be_unfrozen_by_request() {
    let mut desk = learning();
    desk.answer = Answer::Other(other(10_000, 9));
    for _ in 0..4 {
        desk.tell(Input::Claim(seen()));
        desk.hear(1_000, 9);
        desk.hear(10_000, 9);
        desk.wait(Duration::from_secs(5));
    }
    assert_eq!(desk.state(), Some(HostState::Frozen));
    desk.tell(Input::Unfreeze { address: HOST, request: Some(1) });
    assert_eq!(desk.replies, [(1, Ok(()))]);
    assert_eq!(ask(&mut desk, seen()), Ok(()));
    assert_eq!(desk.metric(), Some(9_999));
    let nobody: IpAddr = "10.1.9.9".parse().unwrap();
    desk.tell(Input::Unfreeze { address: nobody, request: Some(2) });
    assert_eq!(desk.replies.last(), Some(&(2, Err(Refused::Unknown(nobody)))));
}

#[test]
fn a_tie_is_told_on_both_sides() {
    for (router, kept) in [(4, true), (6, false)] {
        let mut desk = rested();
        desk.hear(10_000, router);
        assert_eq!(desk.metric(), Some(10_000));
        assert_eq!(desk.target().is_some(), kept);
        let with = bugle_types::RouterId(router).into();
        assert!(desk.events.contains(&Event::Tie { address: HOST, with, kept }));
    }
}

#[test]
fn a_move_shows_its_times() {
    let mut desk = desk();
    desk.answer = Answer::Later;
    let claimed = desk.now;
    desk.tell(Input::Claim(claim()));
    desk.wait(Duration::from_millis(3));
    desk.hear(10_000, 9);
    let live = desk.now;
    let from = Some(bugle_types::RouterId(9).into());
    assert!(desk.events.contains(&Event::Live { address: HOST, metric: 9_999, from, claimed }));
    desk.wait(Duration::from_secs(5));
    desk.hear(9_998, 9);
    let yielded = desk.now;
    desk.wait(Duration::from_secs(5));
    let timeline = desk.mobility.state().host(HOST).unwrap().timeline;
    assert_eq!((timeline.claimed, timeline.live), (Some(claimed), Some(live)));
    assert_eq!((timeline.yielded, timeline.withdrawn), (Some(yielded), Some(yielded + HOLD)));
}

#[test]
fn prefixes_that_are_no_hosts_are_ignored() {
    let mut desk = rested();
    let others = Some(other(1, 9));
    desk.tell(Input::Others { prefix: "10.1.0.0/24".parse().unwrap(), others });
    desk.tell(Input::Others { prefix: "10.1.0.0/32".parse().unwrap(), others });
    assert_eq!(desk.state(), Some(HostState::Steady));
    assert_eq!(BTreeMap::from([(Prefix::host(HOST), 10_000)]), desk.advertised);
}
