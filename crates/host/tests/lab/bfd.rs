//! BFD between two drivers: over one hop and several, by both versions of IP.

use std::net::IpAddr;
use std::time::Duration;

use bugle_bfd::{Change, Client, Event, Hop, Path, Profile, Settings};
use bugle_speaker::Output;
use bugle_types::{IfIndex, VrfId};
use bugle_wire::bfd::State;

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
        let interval = Duration::from_millis(20);
        let profile = Profile::new(interval, interval, 5).unwrap();
        let settings = Settings { local: self.local, point_to_point: false, profile };
        let (client, settings) = (Client::Static, Box::new(settings));
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
fn check(namespaces: &[Namespace; 2], addresses: [&str; 2], hop: impl Fn(IfIndex, IpAddr) -> Hop) {
    let addresses = addresses.map(|address| address.parse::<IpAddr>().unwrap());
    let ends = [0, 1].map(|end: usize| {
        let local = addresses[end];
        let hop = hop(namespaces[end].ifindex("eth0"), local);
        End { path: Path { vrf: VrfId::DEFAULT, hop, remote: addresses[1 - end] }, local }
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
    check(&namespaces, ["10.0.0.1", "10.0.0.2"], |ifindex, _| Hop::Single(ifindex));
    check(&namespaces, ["10.0.0.1", "10.0.0.2"], |_, local| Hop::Multi(local));
    check(&namespaces, ["2001:db8::1", "2001:db8::2"], |ifindex, _| Hop::Single(ifindex));
    check(&namespaces, ["2001:db8::1", "2001:db8::2"], |_, local| Hop::Multi(local));
}
