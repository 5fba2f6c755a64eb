//! BFD between two drivers: over one hop and several, by both versions of IP; and with a remote system of the test's.

use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroU8;
use std::time::Duration;

use bugle_bfd::{Cause, Change, Client, Discard, EchoProfile, Event, Hop, Path, Profile, Settings};
use bugle_rib::fib::{FibOp, Group, NexthopId, RouteKey, RouteTarget};
use bugle_speaker::Output;
use bugle_types::{IfIndex, Nexthop, TableId, VrfId};
use bugle_wire::bfd::{
    CONTROL_PORT, Control, Diagnostic, Discriminator, ECHO_PORT, Flags, Interval, State,
};

use crate::namespace::{Namespace, pair, possible};
use crate::script::{Actor, Told, block_on};

/// One end's view of a path.
#[derive(Clone, Copy)]
struct End {
    path: Path,
    local: IpAddr,
}

impl End {
    fn request(self) -> Output {
        self.request_for(Client::Static)
    }

    fn request_with(self, tx: Duration, rx: Duration) -> Output {
        self.request_as(Profile::new(tx, rx, 5).unwrap())
    }

    fn request_as(self, profile: Profile) -> Output {
        self.request_of(Client::Static, profile)
    }

    fn request_for(self, client: Client) -> Output {
        let interval = Duration::from_millis(20);
        self.request_of(client, Profile::new(interval, interval, 5).unwrap())
    }

    fn request_of(self, client: Client, profile: Profile) -> Output {
        let settings = Settings { local: self.local, point_to_point: false, min_ttl: 0, profile };
        let settings = Box::new(settings);
        Output::RequestBfd { client, path: self.path, settings, device: None }
    }

    fn release(self) -> Output {
        Output::ReleaseBfd { client: Client::Static, path: self.path }
    }
}

fn wait_for(actor: &Actor, is_it: impl Fn(&Change) -> bool) {
    actor.wait_for(|told| matches!(told, Told::Bfd(Event::Changed(change)) if is_it(change)));
}

/// Has a session between the two come up, and end when one of them has no use for it any more.
fn check(
    namespaces: &[Namespace; 2],
    vrf: VrfId,
    addresses: [&str; 2],
    hop: impl Fn(IfIndex, IpAddr) -> Hop,
) {
    let addresses = addresses.map(|address| address.parse::<IpAddr>().unwrap());
    let ends = [0, 1].map(|end: usize| {
        let local = addresses[end];
        let hop = hop(namespaces[end].ifindex("eth0"), local);
        End { path: Path { vrf, hop, remote: addresses[1 - end] }, local }
    });
    let actors = [0, 1].map(|end: usize| {
        let actor = Actor::start(&namespaces[end]);
        actor.ask([ends[end].request()]);
        actor
    });
    for (actor, end) in actors.iter().zip(ends) {
        wait_for(actor, |change| change.to == State::Up && change.path == end.path);
        let seen = block_on(actor.handle.bfd(|view| view.sessions.sessions().count())).unwrap();
        assert_eq!(seen, Some(1));
        assert_eq!(actor.handle.counters().bfd_receive_errors.value(), 0);
    }
    let [a, b] = actors;
    b.ask([ends[1].release()]);
    // It says goodbye.
    wait_for(&a, |change| change.to == State::Down && change.remote_state == State::AdminDown);
    a.ask([ends[0].release()]);
    a.stop();
    b.stop();
}

#[test]
fn sessions_come_up_over_one_hop_and_several_by_both_versions_of_ip() {
    if !possible() {
        return;
    }
    let namespaces = pair();
    for (namespace, address) in namespaces.iter().zip(["2001:db8::1/64", "2001:db8::2/64"]) {
        namespace.ip(&format!("address add {address} dev eth0 nodad"));
    }
    // A VRF other than the default may have no device: it shares the default's sockets.
    for vrf in [VrfId::DEFAULT, VrfId(7)] {
        for addresses in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
            check(&namespaces, vrf, addresses, |ifindex, _| Hop::Single(ifindex));
            check(&namespaces, vrf, addresses, |_, local| Hop::Multi(local));
        }
    }
}

#[test]
fn echoes_come_back_by_way_of_the_neighbors_kernel_and_their_loss_ends_the_session() {
    if !possible() {
        return;
    }
    let namespaces = pair();
    for (namespace, address) in namespaces.iter().zip(["2001:db8::1/64", "2001:db8::2/64"]) {
        namespace.ip(&format!("address add {address} dev eth0 nodad"));
    }
    let forward = |namespace: &Namespace, version: &str, on: bool| {
        // Of IPv6 the kernel asks for the whole machine only.
        let what = if version == "ipv4" { "eth0" } else { "all" };
        let setting = format!("/proc/sys/net/{version}/conf/{what}/forwarding");
        namespace.run(move || std::fs::write(setting, if on { "1" } else { "0" }).unwrap());
    };
    let actors = [0, 1].map(|end: usize| Actor::start(&namespaces[end]));
    let [a, b] = &actors;
    let tick = Duration::from_millis(20);
    let echo = EchoProfile { tx: Interval(15_000), rx: Interval(10_000) };
    for (version, [ours, theirs]) in
        [("ipv4", ["10.0.0.1", "10.0.0.2"]), ("ipv6", ["2001:db8::1", "2001:db8::2"])]
    {
        let addresses = [ours, theirs].map(|address| address.parse::<IpAddr>().unwrap());
        let ends = [0, 1].map(|end: usize| {
            let hop = Hop::Single(namespaces[end].ifindex("eth0"));
            let path = Path { vrf: VrfId::DEFAULT, hop, remote: addresses[1 - end] };
            End { path, local: addresses[end] }
        });
        // One end has its echoes looped back; the other does not forward, and so does not say that it would.
        forward(&namespaces[0], version, false);
        forward(&namespaces[1], version, true);
        for (actor, end) in actors.iter().zip(ends) {
            let profile = Profile { echo, ..Profile::new(tick, tick, 5).unwrap() };
            actor.ask([end.request_as(profile)]);
        }
        for actor in &actors {
            wait_for(actor, |change| change.to == State::Up);
        }
        let echoed = |actor: &Actor| {
            // The session before may not have taken its leave yet.
            let look = actor.handle.bfd(move |view| {
                let mut sessions = view.sessions.sessions();
                let session = sessions.find(|session| addresses.contains(&session.path().remote));
                session.map(|session| (session.echo_interval(), session.stats().echoes_received))
            });
            block_on(look).unwrap().flatten().unwrap()
        };
        let unknown = |actor: &Actor| {
            let look =
                actor.handle.bfd(|view| view.sessions.stats().discarded(Discard::UnknownEcho));
            block_on(look).unwrap().unwrap()
        };
        let deadline = a.now() + Duration::from_secs(30);
        while echoed(a).1 < 20 {
            assert!(a.now() < deadline, "{version}: {:?}", echoed(a));
        }
        assert_eq!(echoed(a).0, Some(Interval(15_000)));
        assert_eq!(echoed(b), (None, 0));
        // What did not come back from the neighbour does not even reach the socket, which else would soon be full.
        namespaces[1].run(move || {
            let socket = UdpSocket::bind((addresses[1], 0)).unwrap();
            socket.set_ttl(255).unwrap();
            for _ in 0..10_000 {
                // The other kernel may say that nobody listens.
                let _ = socket.send_to(&[7; 16], (addresses[0], ECHO_PORT));
            }
        });
        let before = echoed(a).1;
        while echoed(a).1 < before + 5 {
            assert!(a.now() < deadline, "{version}: {:?}", echoed(a));
        }
        assert_eq!(unknown(a), 0);
        // Control packets still come; only echoes tell that the neighbour forwards no more.
        forward(&namespaces[1], version, false);
        wait_for(a, |change| change.cause == Cause::EchoFailed);
        wait_for(b, |change| change.remote_diagnostic == Diagnostic::ECHO_FAILED);
        for (actor, end) in actors.iter().zip(ends) {
            actor.ask([end.release()]);
        }
        for actor in &actors {
            wait_for(actor, |change| change.to == State::AdminDown);
        }
    }
    for actor in actors {
        assert_eq!(actor.handle.counters().bfd_receive_errors.value(), 0);
        actor.stop();
    }
}

#[test]
fn news_are_acted_on_at_once_however_long_a_turn_is_away() {
    if !possible() {
        return;
    }
    let [ours, theirs] = pair();
    let path = Path {
        vrf: VrfId::DEFAULT,
        hop: Hop::Single(ours.ifindex("eth0")),
        remote: "10.0.0.2".parse().unwrap(),
    };
    let end = End { path, local: "10.0.0.1".parse().unwrap() };
    let actor = Actor::start(&ours);
    // No packet of ours is due while the test runs.
    let slow = Duration::from_mins(10);
    actor.ask([end.request_with(slow, Duration::from_millis(100))]);
    let socket = theirs.run(|| {
        let socket = UdpSocket::bind("10.0.0.2:49152").unwrap();
        socket.set_ttl(255).unwrap();
        socket.connect(("10.0.0.1", CONTROL_PORT)).unwrap();
        socket
    });
    let say_every = |interval: Duration, state, your_discriminator| {
        let control = Control {
            diagnostic: Diagnostic::NONE,
            state,
            flags: Flags::NONE,
            detect_mult: NonZeroU8::new(5).unwrap(),
            my_discriminator: Discriminator::new(7).unwrap(),
            your_discriminator,
            desired_min_tx: Interval::from_duration(interval),
            required_min_rx: Interval::from_duration(slow),
            required_min_echo_rx: Interval::ZERO,
        };
        socket.send(&control.emit(None)).unwrap();
    };
    let say = |state, your_discriminator| say_every(slow, state, your_discriminator);
    let session = || {
        let look = actor.handle.bfd(|view| {
            let session = view.sessions.sessions().next()?;
            Some((session.id(), session.stats().received))
        });
        block_on(look).unwrap().flatten().unwrap()
    };
    // Whoever looks looks after the request.
    session();
    for _ in 0..3 {
        say(State::Down, None);
        wait_for(&actor, |change| change.to == State::Init);
        let (id, before) = session();
        say(State::Up, Some(id));
        wait_for(&actor, |change| change.to == State::Up);
        for _ in 0..100 {
            say(State::Up, Some(id));
        }
        assert_eq!(session(), (id, before + 101));
        say(State::Down, Some(id));
        wait_for(&actor, |change| change.to == State::Down);
    }
    // Nor does silence wait for a turn.
    say(State::Down, None);
    wait_for(&actor, |change| change.to == State::Init);
    let (id, _) = session();
    say_every(Duration::from_millis(100), State::Up, Some(id));
    wait_for(&actor, |change| change.to == State::Up);
    wait_for(&actor, |change| change.cause == Cause::DetectionTimeExpired);
    actor.ask([end.release()]);
    actor.stop();
}

#[test]
fn traffic_is_led_round_a_neighbor_that_fails_before_the_loop_hears_of_it() {
    if !possible() {
        return;
    }
    let [ours, theirs] = pair();
    ours.link("eth1", "10.0.1.1/24", &theirs, "10.0.1.2/24");
    let [first, second] = ["eth0", "eth1"].map(|name| ours.ifindex(name));
    let neighbor: IpAddr = "10.0.0.2".parse().unwrap();
    let [a, b] = [&ours, &theirs].map(Actor::start);
    let path = |end: &Namespace, remote: &str| Path {
        vrf: VrfId::DEFAULT,
        hop: Hop::Single(end.ifindex("eth0")),
        remote: remote.parse().unwrap(),
    };
    let end = End { path: path(&ours, "10.0.0.2"), local: "10.0.0.1".parse().unwrap() };
    let other = End { path: path(&theirs, "10.0.0.1"), local: neighbor };

    let [leg, standby, group] =
        [0, 1, 2].map(|number| NexthopId(NexthopId::RANGE.start() + number));
    let single = |id, ifindex, gateway: &str| {
        let gateway = Some(gateway.parse().unwrap());
        Output::Fib(FibOp::PutNexthop { id, nexthop: Nexthop { ifindex, gateway } })
    };
    let key =
        RouteKey { table: TableId::MAIN, prefix: "10.9.0.1/32".parse().unwrap(), metric: 110 };
    let members = Group { members: [leg].into(), standby: Some(standby) };
    a.ask([
        single(leg, first, "10.0.0.2"),
        single(standby, second, "10.0.1.2"),
        Output::Fib(FibOp::PutGroup { id: group, group: members }),
        Output::Fib(FibOp::PutRoute { key, target: RouteTarget::Nexthop(group) }),
        Output::Removable([((first, neighbor), vec![leg])].into()),
    ]);
    let way = || ours.ip("route get 10.9.0.1");
    b.ask([other.request()]);
    // A session that no protocol asked for leads no traffic anywhere.
    for client in [Client::Static, Client::Ospf] {
        a.ask([end.request_for(client)]);
        wait_for(&a, |change| change.to == State::Up);
        assert!(way().contains("dev eth0"), "{}", way());
        // The carrier stays; what it sends arrives nowhere.
        theirs.ip("neighbor replace 10.0.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
        let is_down = |told: &Told| matches!(told, Told::Bfd(Event::Changed(change)) if change.to == State::Down);
        let (_, first) = a.wait_for(|told| is_down(told) || matches!(told, Told::FibRemoved(_)));
        if client == Client::Static {
            assert!(is_down(&first), "{first:?}");
            assert!(way().contains("dev eth0"), "{}", way());
        } else {
            assert_eq!(first, Told::FibRemoved(vec![leg]));
            assert!(way().contains("dev eth1"), "{}", way());
            a.wait_for(is_down);
        }
        theirs.ip("neighbor del 10.0.0.1 dev eth0");
    }
    a.ask([Output::ReleaseBfd { client: Client::Ospf, path: end.path }, end.release()]);
    b.ask([other.release()]);
    a.stop();
    b.stop();
}
