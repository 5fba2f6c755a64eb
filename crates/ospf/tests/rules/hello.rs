//! Interfaces and Hello packets (RFC 2328 sections 8.2, 9, 10.5).

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::interface::InterfaceState;
use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{Input, InterfaceConfig, NetworkType};
use bugle_types::IfIndex;
use bugle_wire::ospf::{Auth, LsaType, Options, RouterFlags};

use crate::bench::{
    Bench, OWN, Peer, interface, ip, key, neighbor_lsa, peer, peer_id, router_lsa, secs, stub,
};

const LAN: NetworkType = NetworkType::Broadcast;
const P2P: NetworkType = NetworkType::PointToPoint;

/// A sitting designated router of interface 1, and its backup.
fn sitting() -> (Peer, Peer) {
    let (dr, bdr) = (ip("10.0.1.2"), ip("10.0.1.3"));
    (Peer { dr, bdr, ..peer(1, 2) }, Peer { dr, bdr, ..peer(1, 3) })
}

#[test]
fn a_one_way_hello_does_not_end_the_wait_for_a_designated_router() {
    let mut bench = Bench::new();
    bench.configure(InterfaceConfig { priority: 255, ..interface(1, LAN) }, 1);
    let (dr, bdr) = sitting();
    bench.receive(bdr, &bdr.hello(&[dr.id]));
    bench.receive(dr, &dr.hello(&[bdr.id]));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Waiting);
    bench.receive(dr, &dr.hello(&[bdr.id, OWN]));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Waiting, "it is not the backup");
    bench.receive(bdr, &bdr.hello(&[dr.id, OWN]));
    let interface = bench.interface_state(1);
    assert_eq!(interface.state, InterfaceState::DrOther);
    assert_eq!((interface.dr, interface.bdr), (dr.address, bdr.address));
}

#[test]
fn a_designated_router_without_backup_ends_the_wait_too() {
    let mut bench = Bench::new();
    bench.up(1, LAN);
    let dr = Peer { dr: ip("10.0.1.2"), ..peer(1, 2) };
    bench.receive(dr, &dr.hello(&[]));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Waiting);
    bench.receive(dr, &dr.hello(&[OWN]));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Backup);
}

#[test]
fn alone_the_wait_ends_after_the_dead_interval() {
    let mut bench = Bench::new();
    bench.up(1, LAN);
    bench.run_for(secs(3));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Waiting);
    bench.run_for(secs(1));
    assert_eq!(bench.interface_state(1).state, InterfaceState::Dr);
}

#[test]
fn a_new_priority_does_not_end_the_wait_unless_it_is_zero() {
    let mut bench = Bench::new();
    bench.up(1, LAN);
    bench.configure(InterfaceConfig { priority: 9, ..interface(1, LAN) }, 1);
    assert_eq!(bench.interface_state(1).state, InterfaceState::Waiting);
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
    assert_eq!(bench.interface_state(1).state, InterfaceState::DrOther);
    bench.run_for(secs(10));
    assert_eq!(bench.interface_state(1).state, InterfaceState::DrOther);
}

#[test]
fn a_designated_router_that_gets_priority_zero_steps_down() {
    let mut bench = Bench::new();
    bench.up(1, LAN);
    bench.run_for(secs(5));
    let other = Peer { dr: ip("10.0.1.1"), bdr: ip("10.0.1.2"), ..peer(1, 2) };
    bench.join(other, &[]);
    let network = key(LsaType::NETWORK, ip("10.0.1.1"), OWN);
    assert!(bench.database().contains_key(&network));
    bench.run_for(secs(2));
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
    assert_eq!(bench.interface_state(1).state, InterfaceState::DrOther);
    assert_eq!(bench.interface_state(1).dr, ip("10.0.1.2"));
    assert!(bench.database()[&network].is_max_age());
}

#[test]
fn with_priority_zero_everywhere_there_is_no_designated_router_and_a_stub_network() {
    let mut bench = Bench::new();
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, LAN) }, 1);
    bench.up(2, P2P);
    let other = Peer { priority: 0, ..peer(1, 2) };
    bench.meet(other);
    let upstream = peer(2, 9);
    bench.join(upstream, &[neighbor_lsa(upstream, RouterFlags::NONE, &[])]);
    bench.run_for(secs(10));
    assert_eq!(bench.state(other), NeighborState::TwoWay);
    let interface = bench.interface_state(1);
    assert_eq!((interface.state, interface.dr), (InterfaceState::DrOther, Ipv4Addr::UNSPECIFIED));
    let own = bench.database()[&key(LsaType::ROUTER, ip("10.10.10.10"), OWN)];
    let links = [
        stub("10.0.1.0/24", 10),
        crate::bench::to_router(upstream.id, ip("10.0.2.1"), 10),
        stub("10.0.2.0/24", 10),
    ];
    let expected = router_lsa(OWN, RouterFlags::E, &links);
    assert_eq!(usize::from(own.length), expected.len());
}

#[test]
fn a_new_address_flushes_the_network_lsa_of_the_old_one() {
    let mut bench = Bench::new();
    bench.up(1, LAN);
    bench.up(2, P2P);
    bench.run_for(secs(5));
    let upstream = peer(2, 9);
    bench.join(upstream, &[neighbor_lsa(upstream, RouterFlags::NONE, &[])]);
    bench.join(Peer { dr: ip("10.0.1.1"), bdr: ip("10.0.1.2"), ..peer(1, 2) }, &[]);
    let network = key(LsaType::NETWORK, ip("10.0.1.1"), OWN);
    assert!(bench.database().contains_key(&network));
    bench.run_for(secs(2));
    bench.configure(InterfaceConfig { address: ip("10.0.1.77"), ..interface(1, LAN) }, 1);
    assert!(bench.database()[&network].is_max_age());
    bench.run_for(secs(1));
    assert!(!bench.database().contains_key(&network));
    bench.run_for(secs(4_000));
    assert!(!bench.database().contains_key(&network), "nor is it refreshed");
}

#[test]
fn an_interface_that_goes_down_is_told_of_in_one_router_lsa() {
    let mut bench = Bench::new();
    bench.up(1, P2P);
    bench.up(2, P2P);
    let (first, second) = (peer(1, 2), peer(2, 3));
    bench.join(first, &[neighbor_lsa(first, RouterFlags::NONE, &[])]);
    bench.join(second, &[neighbor_lsa(second, RouterFlags::NONE, &[])]);
    bench.run_for(secs(5));
    bench.take();
    bench.input(Input::Interface(IfIndex(2), None));
    bench.run_for(secs(3));
    let own = key(LsaType::ROUTER, ip("10.10.10.10"), OWN);
    let lengths: Vec<u16> = bench.instances(1, own).iter().map(|(_, lsa)| lsa.length).collect();
    let expected = router_lsa(
        OWN,
        RouterFlags::E,
        &[crate::bench::to_router(first.id, ip("10.0.1.1"), 10), stub("10.0.1.0/24", 10)],
    );
    assert!(lengths.iter().all(|&length| usize::from(length) == expected.len()), "{lengths:?}");
    assert!(!lengths.is_empty());
}

#[test]
fn intervals_of_zero_do_not_stop_the_world() {
    let mut bench = Bench::new();
    let config =
        InterfaceConfig { hello: Duration::ZERO, retransmit: Duration::ZERO, ..interface(1, P2P) };
    bench.configure(config, 1);
    bench.meet(peer(1, 2));
    bench.run_for(secs(1));
    assert_eq!(bench.state(peer(1, 2)), NeighborState::ExStart);
    assert!(bench.sent.len() < 10_000, "{}", bench.sent.len());
}

#[test]
fn a_lan_takes_no_more_neighbors_than_a_hello_can_list() {
    let mut bench = Bench::new();
    bench.configure(InterfaceConfig { mtu: 100, ..interface(1, LAN) }, 1);
    for n in 2..=200 {
        let forged = peer(1, n);
        bench.receive(forged, &forged.hello(&[]));
    }
    assert_eq!(bench.ospf.state().neighbors().count(), (100 - 20 - 24 - 20) / 4);
    assert_eq!(bench.interface_state(1).drops["too-many-neighbors"], 190);
    let first = peer(1, 2);
    bench.receive(first, &first.hello(&[OWN]));
    assert_eq!(bench.state(first), NeighborState::TwoWay, "who is known stays known");
}

#[test]
fn who_moves_to_another_address_is_the_same_neighbor_on_a_point_to_point_link() {
    let first = peer(1, 2);
    let mut bench =
        Bench::beside(first, &[neighbor_lsa(first, RouterFlags::NONE, &[stub("10.9.0.0/24", 1)])]);
    bench.run_for(secs(1));
    assert_eq!(bench.gateways("10.9.0.0/24"), [first.address]);
    let moved = Peer { address: ip("10.0.1.77"), ..first };
    bench.receive(moved, &moved.hello(&[OWN]));
    assert_eq!(bench.state(first), NeighborState::Full);
    assert_eq!(bench.gateways("10.9.0.0/24"), [moved.address]);
}

#[test]
fn another_router_on_a_point_to_point_link_takes_the_place_of_the_first() {
    let [first, second] = [peer(1, 2), peer(1, 3)];
    let mut bench = Bench::beside(first, &[]);
    bench.meet(second);
    assert_eq!(bench.state(first), NeighborState::Down);
    assert_eq!(bench.ospf.state().neighbors().count(), 1);
}

#[test]
fn packets_for_others_and_from_strangers_are_not_taken() {
    let first = peer(1, 2);
    let mut bench = Bench::beside(first, &[]);
    let stranger = peer(1, 3);
    let lsa = router_lsa(peer_id(50), RouterFlags::NONE, &[]);
    let update = |from: Peer| from.update(std::slice::from_ref(&lsa));
    let mut hand = |dst: &str, src: Ipv4Addr, bytes: &[u8]| {
        let before = bench.database().len();
        let (ifindex, dst) = (IfIndex(1), ip(dst));
        bench.input(Input::Packet { ifindex, src, dst, bytes });
        bench.database().len() > before
    };
    assert!(!hand("224.0.0.5", stranger.address, &update(stranger)), "no neighbour");
    assert!(!hand("10.0.1.9", first.address, &update(first)), "for somebody else");
    assert!(!hand("224.0.0.6", first.address, &update(first)), "for designated routers");
    assert!(!hand("224.0.0.5", ip("10.0.1.1"), &update(first)), "our own");
    let elsewhere = Peer { area: bugle_types::AreaId(1), ..first };
    assert!(!hand("224.0.0.5", first.address, &update(elsewhere)), "of another area");
    let mut version = update(first);
    version[0] = 3;
    assert!(!hand("224.0.0.5", first.address, &version));
    let mut checksum = update(first);
    checksum[12] ^= 1;
    assert!(!hand("224.0.0.5", first.address, &checksum));
    let secret = Peer { auth: Auth::Simple(*b"password"), ..first };
    assert!(!hand("224.0.0.5", first.address, &update(secret)), "with a password");
    assert!(hand("10.0.1.1", first.address, &update(first)), "for us");
    let drops = bench.interface_state(1).drops;
    for reason in ["not-a-neighbor", "area-mismatch", "authentication-mismatch"] {
        assert_eq!(drops[reason], 1, "{reason}");
    }
}

#[test]
fn a_neighbor_in_a_stub_area_is_none() {
    let stub = Peer { options: Options::NONE, ..peer(1, 2) };
    let mut bench = Bench::new();
    bench.up(1, P2P);
    bench.meet(stub);
    assert_eq!(bench.state(stub), NeighborState::Down);
    assert_eq!(bench.interface_state(1).drops["area-type-mismatch"], 1);
    let other = Peer { options: Options(0xbf), ..stub };
    bench.meet(other);
    assert_eq!(bench.state(other), NeighborState::ExStart, "other bits do not matter");
}

#[test]
fn on_a_lan_the_sender_must_be_of_the_network_and_on_a_point_to_point_link_not() {
    let far = Peer { address: ip("172.31.0.9"), ..peer(1, 2) };
    for (network_type, expected) in [(LAN, NeighborState::Down), (P2P, NeighborState::ExStart)] {
        let mut bench = Bench::new();
        bench.up(1, network_type);
        bench.meet(far);
        assert_eq!(bench.state(far), expected);
    }
}

#[test]
fn only_changes_that_neighbors_must_agree_with_or_notice_end_adjacencies() {
    type Change = fn(&mut InterfaceConfig);
    let changes: [(&str, bool, Change); 11] = [
        ("cost", true, |c| c.cost = 77),
        ("priority", true, |c| c.priority = 7),
        ("retransmit", true, |c| c.retransmit = secs(3)),
        ("mtu-ignore", true, |c| c.mtu_ignore = true),
        ("stubs", true, |c| c.stubs.push("10.50.0.0/24".parse().unwrap())),
        ("hello, by less than Hellos tell", true, |c| c.hello = Duration::from_millis(1_500)),
        ("hello", false, |c| c.hello = secs(2)),
        ("dead", false, |c| c.dead = secs(5)),
        ("mtu", false, |c| c.mtu = 1400),
        ("address", false, |c| c.address = ip("10.0.1.9")),
        ("type", false, |c| c.network_type = LAN),
    ];
    for (what, survives, change) in changes {
        let first = peer(1, 2);
        let mut bench = Bench::beside(first, &[]);
        let mut config = interface(1, P2P);
        change(&mut config);
        bench.configure(config, 1);
        assert_eq!(bench.state(first) == NeighborState::Full, survives, "{what}");
    }
}
