//! Several engines joined by a network that delivers advertisements after random delays.

use std::collections::BTreeMap;
use std::time::Duration;

use bugle_types::{Prefix, Rng, RouterId, Time};
use proptest::prelude::*;

use super::desk::{Answer, Desk, HOST, claim, config, seen};
use crate::host::HOLD;
use crate::{Claim, Damping, HostState, HostsConfig, Input, LocalTarget, Mode, Others, Output};

/// The longest that an advertisement takes from one router to another.
const MAX_DELAY: Duration = Duration::from_millis(50);

/// What happens at a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Claim,
    Release,
    PortDown,
    PortUp,
}

/// Routers, and the advertisements on their way between them.
struct Network {
    routers: Vec<Desk>,
    now: Time,
    rng: Rng,
    /// By arrival; the number keeps simultaneous ones apart.
    on_the_way: BTreeMap<(Time, u64), (usize, usize, Option<u32>)>,
    sent: u64,
    /// When the last advertisement from one router to another arrives: none overtakes.
    latest: BTreeMap<(usize, usize), Time>,
    /// What each router has heard from each other.
    heard: BTreeMap<(usize, usize), u32>,
    /// Routers that have acted upon a claim since their advertisement changed.
    may_touch: Vec<bool>,
    touched: Vec<Time>,
    /// Somebody has claimed the host, and from then on somebody must advertise it.
    never_silent: bool,
    /// How the host is claimed.
    claim: Claim,
}

impl Network {
    fn new(routers: usize, seed: u64, damping: Damping) -> Self {
        let desk = |index: usize| {
            let router_id = RouterId(u32::try_from(index).unwrap() + 1);
            let mut desk =
                Desk::new(HostsConfig { router_id, damping, mode: Mode::Learned, ..config() });
            desk.answer = Answer::Later;
            desk
        };
        let routers: Vec<_> = (0..routers).map(desk).collect();
        Self {
            now: routers[0].now,
            rng: Rng::new(seed),
            on_the_way: BTreeMap::new(),
            sent: 0,
            latest: BTreeMap::new(),
            heard: BTreeMap::new(),
            may_touch: vec![false; routers.len()],
            touched: vec![Time::ZERO; routers.len()],
            never_silent: false,
            claim: claim(),
            routers,
        }
    }

    fn tell(&mut self, router: usize, input: Input) {
        let was = self.routers[router].metric();
        self.routers[router].now = self.now;
        self.routers[router].tell(input);
        let mut watched = false;
        for output in std::mem::take(&mut self.routers[router].outputs) {
            match output {
                Output::Watch { on: true, .. } => watched = true,
                Output::Advertise { metric, .. } => self.flood(router, Some(metric)),
                Output::Withdraw { .. } => self.flood(router, None),
                Output::Watch { .. }
                | Output::Neighbor { .. }
                | Output::LocalRoute { .. }
                | Output::Reply { .. }
                | Output::Event(_) => {}
            }
        }
        let is = self.routers[router].metric();
        if was != is {
            let soon = self.now < self.touched[router] + HOLD;
            assert!(!soon || self.may_touch[router], "touched twice within a second");
            self.touched[router] = self.now;
            self.may_touch[router] = false;
        }
        if watched {
            self.report(router);
        }
    }

    fn flood(&mut self, from: usize, metric: Option<u32>) {
        for to in (0..self.routers.len()).filter(|to| *to != from) {
            let delay = Duration::from_micros(
                self.rng.below(u64::try_from(MAX_DELAY.as_micros()).unwrap()),
            );
            let latest = self.latest.entry((from, to)).or_default();
            *latest = (self.now + delay).max(*latest);
            self.sent += 1;
            self.on_the_way.insert((*latest, self.sent), (from, to, metric));
        }
    }

    /// Tells a router the best of what it has heard.
    fn report(&mut self, to: usize) {
        let heard = || {
            let from_all = (0..self.routers.len()).map(|from| (from, self.heard.get(&(from, to))));
            from_all.filter_map(|(from, metric)| Some((*metric?, from)))
        };
        let best = heard().min_by_key(|(metric, from)| (*metric, std::cmp::Reverse(*from)));
        let others = best.map(|(metric, from)| Others {
            router: RouterId(u32::try_from(from).unwrap() + 1).into(),
            metric: Some(metric),
            count: heard().count(),
        });
        self.tell(to, Input::Others { prefix: Prefix::host(HOST), others });
    }

    /// Lets time pass: arrivals and deadlines in their order.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let deadline = |desk: &Desk| desk.mobility.deadline().map(|(at, _)| at);
            let tick = (0..self.routers.len())
                .filter_map(|index| Some((deadline(&self.routers[index])?, index)))
                .min();
            let arrival = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
            let next = arrival.into_iter().chain(tick.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next;
            if arrival == Some(next) {
                let (_, (from, to, metric)) = self.on_the_way.pop_first().unwrap();
                match metric {
                    Some(metric) => self.heard.insert((from, to), metric),
                    None => self.heard.remove(&(from, to)),
                };
                self.report(to);
            } else if let Some((_, index)) = tick {
                self.tell(index, Input::Tick);
            }
            if self.never_silent {
                assert!(!self.advertisers().is_empty(), "nobody advertises the host");
            }
        }
        self.now = end;
    }

    fn act(&mut self, router: usize, action: Action) {
        self.may_touch[router] |= matches!(action, Action::Claim | Action::PortUp);
        let port = |up| Input::Port {
            name: "tap0".into(),
            ifindex: bugle_types::IfIndex(1),
            up,
            mac: None,
        };
        let input = match action {
            Action::Claim => Input::Claim(self.claim.clone()),
            Action::Release => Input::Release { address: HOST, request: None },
            Action::PortDown => port(false),
            Action::PortUp => port(true),
        };
        self.tell(router, input);
    }

    fn advertisers(&self) -> Vec<usize> {
        let advertises = |index: &usize| self.routers[*index].metric().is_some();
        (0..self.routers.len()).filter(advertises).collect()
    }

    /// At rest at most one router advertises the host, with the metric of rest, and only that one delivers to it.
    fn assert_rest(&self) {
        let advertisers = self.advertisers();
        assert!(advertisers.len() <= 1, "several advertise the host: {advertisers:?}");
        for (index, desk) in self.routers.iter().enumerate() {
            if advertisers.contains(&index) {
                assert_eq!(desk.state(), Some(HostState::Steady));
                assert_eq!(desk.metric(), Some(10_000));
                assert!(matches!(desk.target(), Some(LocalTarget::Port(_))));
            } else {
                assert_eq!(desk.target(), None);
                assert!(desk.neighbors.is_empty());
            }
        }
    }
}

fn undamped() -> Damping {
    Damping { moves: 1_000_000, ..Damping::default() }
}

fn script(
    actions: Vec<Action>,
    gap: std::ops::Range<u64>,
) -> impl Strategy<Value = Vec<(u64, usize, Action)>> {
    prop::collection::vec((gap, 0..4usize, prop::sample::select(actions)), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_last_claimant_has_the_host_and_all_others_let_go(
        seed in any::<u64>(),
        claims in script(vec![Action::Claim], 51..3000),
    ) {
        let mut network = Network::new(4, seed, undamped());
        let mut last = 0;
        for (gap, router, action) in claims {
            network.wait(Duration::from_millis(gap));
            network.act(router, action);
            network.never_silent = true;
            last = router;
        }
        network.wait(Duration::from_secs(60));
        prop_assert_eq!(network.advertisers(), vec![last]);
        network.assert_rest();
    }

    #[test]
    fn claims_that_cross_on_the_way_leave_one_router_with_the_host(
        seed in any::<u64>(),
        claims in script(vec![Action::Claim], 0..60),
    ) {
        let mut network = Network::new(4, seed, undamped());
        for (gap, router, action) in claims {
            network.wait(Duration::from_millis(gap));
            network.act(router, action);
            network.never_silent = true;
        }
        network.wait(Duration::from_secs(60));
        prop_assert_eq!(network.advertisers().len(), 1);
        network.assert_rest();
    }

    #[test]
    fn with_ports_and_releases_the_host_is_somewhere_exactly_if_it_can_be(
        seed in any::<u64>(),
        actions in script(
            vec![Action::Claim, Action::Claim, Action::Release, Action::PortDown, Action::PortUp],
            0..2500,
        ),
    ) {
        let mut network = Network::new(4, seed, undamped());
        let (mut claimed, mut up) = ([false; 4], [true; 4]);
        for (gap, router, action) in actions {
            network.wait(Duration::from_millis(gap));
            network.act(router, action);
            match action {
                Action::Claim => claimed[router] = true,
                Action::Release => claimed[router] = false,
                Action::PortDown => up[router] = false,
                Action::PortUp => up[router] = true,
            }
        }
        network.wait(Duration::from_secs(60));
        let possible: Vec<usize> = (0..4).filter(|index| claimed[*index] && up[*index]).collect();
        prop_assert_eq!(network.advertisers().len(), usize::from(!possible.is_empty()));
        prop_assert!(network.advertisers().iter().all(|index| possible.contains(index)));
        network.assert_rest();
    }

    #[test]
    fn two_that_never_stop_claiming_are_damped_and_one_keeps_the_host(
        seed in any::<u64>(),
        gap in 60..4000u64,
    ) {
        let mut network = Network::new(2, seed, Damping::default());
        network.claim = seen();
        let mut late = 0;
        for turn in 0..60 {
            network.wait(Duration::from_millis(gap));
            let before = network.routers.iter().map(|desk| desk.touched.clone()).collect::<Vec<_>>();
            network.act(turn % 2, Action::Claim);
            let after = network.routers.iter().map(|desk| desk.touched.clone()).collect::<Vec<_>>();
            late += usize::from(turn >= 10 && before != after);
        }
        prop_assert_eq!(late, 0, "after ten claims nothing moves any more");
        network.wait(Duration::from_secs(60));
        prop_assert_eq!(network.advertisers().len(), 1);
    }
}

#[test]
fn a_chain_of_moves_within_milliseconds_ends_at_the_last() {
    for seed in 0..50 {
        let mut network = Network::new(4, seed, Damping::default());
        for router in [0, 1, 2, 3] {
            network.act(router, Action::Claim);
            network.wait(MAX_DELAY);
        }
        assert_eq!(network.routers[3].metric(), Some(9_997));
        network.wait(Duration::from_secs(30));
        assert_eq!(network.advertisers(), [3]);
        network.assert_rest();
    }
}

#[test]
fn there_and_back_within_a_second_costs_one_change_at_each() {
    let mut network = Network::new(2, 1, Damping::default());
    network.act(0, Action::Claim);
    network.wait(Duration::from_secs(30));
    network.act(1, Action::Claim);
    network.wait(Duration::from_millis(400));
    let before = network.touched[0];
    network.act(0, Action::Claim);
    assert_eq!(network.routers[0].metric(), Some(9_998), "at once");
    assert!(before + HOLD < network.now, "the first change in a long time");
    network.wait(Duration::from_secs(30));
    assert_eq!(network.advertisers(), [0]);
    network.assert_rest();
}

#[test]
fn when_a_host_crashes_its_former_home_takes_over_after_two_seconds() {
    let mut network = Network::new(2, 1, Damping::default());
    network.act(0, Action::Claim);
    network.wait(Duration::from_secs(5));
    network.act(1, Action::Claim);
    network.wait(Duration::from_secs(5));
    // The other router vanishes from the database of the first.
    network.heard.clear();
    network.report(0);
    network.wait(Duration::from_millis(1_999));
    assert_eq!(network.routers[0].metric(), None);
    network.wait(Duration::from_millis(1));
    assert_eq!(network.routers[0].metric(), Some(10_000));
}
