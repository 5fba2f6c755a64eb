//! Any input in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bugle_types::{IfIndex, Prefix, RouterId};
use proptest::prelude::*;

use super::desk::{Answer, Desk, ME, config, mac};
use crate::{Claim, Class, Damping, HostsConfig, Input, Mode, Others, StaticHost};

fn address() -> impl Strategy<Value = IpAddr> {
    // The last is outside what the settings allow.
    prop::sample::select(vec!["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.9.0.1"])
        .prop_map(|text| text.parse().unwrap())
}

fn port() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["tap0", "tap1", "eth0"]).prop_map(str::to_owned)
}

fn claim() -> impl Strategy<Value = Claim> {
    let classes = vec![Class::Learned, Class::Dhcp, Class::Registered, Class::Pinned];
    (
        address(),
        prop::option::of(port()),
        prop::option::of(0..3u8),
        prop::sample::select(classes),
        prop::bool::weighted(0.2),
        prop::option::of(any::<u64>()),
    )
        .prop_map(|(address, port, index, class, candidate, request)| Claim {
            address,
            port,
            mac: index.map(mac),
            class,
            candidate,
            request,
        })
}

fn settings() -> impl Strategy<Value = HostsConfig> {
    let place = (prop::option::of(port()), prop::option::of(0..3u8))
        .prop_map(|(port, index)| StaticHost { port, mac: index.map(mac) });
    (
        prop::collection::btree_map(address(), place, 0..3),
        any::<bool>(),
        prop::sample::select(vec!["*", "tap*", "tap0"]),
        1..3u32,
        2..6usize,
        1..4usize,
    )
        .prop_map(|(statics, learned, ports, step, moves, max_hosts)| HostsConfig {
            statics,
            mode: if learned { Mode::Learned } else { Mode::Registered },
            ports: vec![ports.parse().unwrap()],
            step,
            max_hosts,
            damping: Damping { moves, ..Damping::default() },
            ..config()
        })
}

fn others() -> impl Strategy<Value = Option<Others>> {
    let metric = prop::option::weighted(0.9, prop_oneof![0..4u32, 9_990..10_005u32]);
    let others = (metric, 1..9u32).prop_filter_map("that is us", |(metric, router)| {
        let router = RouterId(router);
        (router != ME).then_some(Others { router: router.into(), metric, count: 1 })
    });
    prop::option::of(others)
}

fn input() -> impl Strategy<Value = Input> {
    let request = || prop::option::of(any::<u64>());
    prop_oneof![
        1 => Just(Input::Tick),
        1 => settings().prop_map(|config| Input::Config(Box::new(config))),
        8 => claim().prop_map(Input::Claim),
        2 => (address(), request())
            .prop_map(|(address, request)| Input::Release { address, request }),
        1 => (address(), request())
            .prop_map(|(address, request)| Input::Unfreeze { address, request }),
        4 => (port(), 1..9u32, any::<bool>(), prop::option::of(3..6u8)).prop_map(
            |(name, ifindex, up, index)| {
                Input::Port { name, ifindex: IfIndex(ifindex), up, mac: index.map(mac) }
            }
        ),
        1 => port().prop_map(|name| Input::PortGone { name }),
        6 => (address(), others())
            .prop_map(|(address, others)| Input::Others { prefix: Prefix::host(address), others }),
        1 => prop::collection::btree_set(address(), 0..2).prop_map(Input::Infrastructure),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// The desk checks every output; here is checked that nothing stays behind.
    #[test]
    fn any_input_is_taken_and_nothing_is_left_when_all_is_released(
        inputs in prop::collection::vec((input(), 0..3000u64), 0..60),
        answer in others(),
    ) {
        let mut desk = Desk::new(config());
        desk.answer = answer.map_or(Answer::Nobody, Answer::Other);
        let mut asked = 0;
        for (input, pause) in inputs {
            let request = match &input {
                Input::Claim(claim) => claim.request,
                Input::Release { request, .. } | Input::Unfreeze { request, .. } => *request,
                Input::Tick
                | Input::Config(_)
                | Input::Port { .. }
                | Input::PortGone { .. }
                | Input::Others { .. }
                | Input::Infrastructure(_) => None,
            };
            asked += usize::from(request.is_some());
            desk.tell(input);
            desk.wait(Duration::from_millis(pause));
        }
        prop_assert_eq!(desk.replies.len(), asked, "every request is answered once");
        desk.tell(Input::Infrastructure(BTreeSet::new()));
        desk.tell(Input::Config(Box::new(HostsConfig { statics: BTreeMap::new(), ..config() })));
        let hosts: Vec<IpAddr> = desk.mobility.state().hosts().map(|host| host.address).collect();
        for address in hosts {
            desk.tell(Input::Release { address, request: None });
        }
        desk.wait(Duration::from_secs(3600));
        prop_assert_eq!(desk.mobility.state().hosts().count(), 0);
        prop_assert!(desk.advertised.is_empty());
        prop_assert!(desk.local.is_empty());
        prop_assert!(desk.neighbors.is_empty());
        prop_assert!(desk.watched.is_empty());
        prop_assert_eq!(desk.mobility.deadline(), None);
    }
}
