//! Flooding, acknowledgements, ageing (RFC 2328 sections 13 and 14).

use std::net::Ipv4Addr;

use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{InterfaceConfig, NetworkType};
use bugle_wire::ospf::{
    ALL_D_ROUTERS, ALL_SPF_ROUTERS, DO_NOT_AGE, LsaHeader, LsaKey, LsaType, MAX_AGE, Options,
    SequenceNumber, build_lsa,
};

use crate::bench::{
    Bench, E2, Peer, Says, Sent, external_lsa, header, interface, ip, key, lsa, millis, peer,
    peer_id, secs,
};

const P2P: NetworkType = NetworkType::PointToPoint;
const HOST: &str = "10.100.0.1/32";

/// The `nth` instance of the host that `peer_id(50)` advertises.
fn host(nth: i32) -> Vec<u8> {
    external_lsa(peer_id(50), HOST, Says { nth, ..E2 })
}

fn host_key() -> LsaKey {
    header(&host(1)).key
}

/// The acknowledgements of the host's LSA that were sent: to whom, and how long after `since`.
fn acks(bench: &Bench, since: bugle_types::Time) -> Vec<(Ipv4Addr, u64)> {
    let acknowledges = |sent: &&Sent| sent.acknowledged().iter().any(|lsa| lsa.key == host_key());
    bench
        .sent
        .iter()
        .filter(acknowledges)
        .map(|sent| (sent.dst, u64::try_from(sent.at.since(since).as_millis()).unwrap()))
        .collect()
}

/// A LAN where we are what the priority makes us among two others of priority 5, Full with both.
fn lan(priority: u8, dr: u8, bdr: u8) -> (Bench, [Peer; 2]) {
    let mut bench = Bench::new();
    let address = |n: u8| Ipv4Addr::from(0x0a00_0100 + u32::from(n));
    let declared = |n| Peer { priority: 5, dr: address(dr), bdr: address(bdr), ..peer(1, n) };
    let peers = [declared(2), declared(3)];
    bench.configure(InterfaceConfig { priority, ..interface(1, NetworkType::Broadcast) }, 1);
    if dr == 1 {
        // First alone, so as to be the designated router.
        bench.run_for(secs(5));
    }
    for peer in peers {
        bench.meet(peer);
    }
    bench.run_for(secs(5));
    for peer in peers {
        bench.exchange(peer, &[]);
        assert_eq!(bench.state(peer), NeighborState::Full);
    }
    bench.run_for(secs(5));
    bench.take();
    (bench, peers)
}

#[test]
fn as_designated_router_updates_go_back_out_and_are_not_acknowledged() {
    let (mut bench, [backup, other]) = lan(9, 1, 2);
    let start = bench.now;
    bench.receive(other, &other.update(&[host(1)]));
    let sent = bench.sent.iter().find(|sent| !sent.updated().is_empty()).unwrap();
    assert_eq!(sent.dst, ALL_SPF_ROUTERS);
    bench.run_for(millis(500));
    assert_eq!(acks(&bench, start), []);
    // From the backup it does not go back out, and a delayed acknowledgement does.
    bench.run_for(secs(2));
    bench.take();
    let start = bench.now;
    bench.receive(backup, &backup.update(&[host(2)]));
    bench.run_for(millis(500));
    assert!(bench.instances(1, host_key()).is_empty());
    assert_eq!(acks(&bench, start), [(ALL_SPF_ROUTERS, 100)]);
}

#[test]
fn as_backup_only_what_the_designated_router_sends_is_acknowledged() {
    let (mut bench, [dr, other]) = lan(9, 2, 1);
    let start = bench.now;
    bench.mute = true;
    bench.receive(other, &other.update(&[host(1)]));
    bench.run_for(millis(500));
    assert!(bench.instances(1, host_key()).is_empty(), "the designated router floods");
    assert_eq!(acks(&bench, start), []);
    // The designated router does: an implied acknowledgement, and acknowledged itself.
    bench.receive(dr, &dr.update(&[host(1)]));
    bench.run_for(millis(500));
    assert_eq!(acks(&bench, start), [(ALL_SPF_ROUTERS, 600)]);
    bench.run_for(secs(2));
    assert!(bench.instances(1, host_key()).is_empty(), "nobody is left to be told");
    // A newer one from the designated router: not flooded, acknowledged.
    bench.take();
    let start = bench.now;
    bench.receive(dr, &dr.update(&[host(2)]));
    bench.run_for(millis(500));
    assert_eq!(acks(&bench, start), [(ALL_SPF_ROUTERS, 100)]);
    // From another it is an acknowledgement, and not acknowledged.
    bench.receive(dr, &dr.update(&[external_lsa(peer_id(50), "10.100.0.2/32", E2)]));
    bench.run_for(millis(200));
    let before = bench.sent.iter().flat_map(Sent::acknowledged).count();
    bench.receive(other, &other.update(&[external_lsa(peer_id(50), "10.100.0.2/32", E2)]));
    bench.run_for(millis(200));
    assert_eq!(bench.sent.iter().flat_map(Sent::acknowledged).count(), before);
    // If the designated router fails, the backup's retransmissions reach the others.
    bench.run_for(secs(1));
    let again = bench.instances(1, host_key());
    assert!(!again.is_empty());
    let retransmitted = bench.sent.iter().find(|sent| !sent.updated().is_empty()).unwrap();
    assert_eq!(retransmitted.dst, other.address);
}

#[test]
fn as_neither_updates_and_acknowledgements_go_to_the_designated_routers() {
    let (mut bench, [dr, backup]) = lan(1, 2, 3);
    let start = bench.now;
    bench.receive(dr, &dr.update(&[host(1)]));
    bench.run_for(millis(500));
    assert!(bench.instances(1, host_key()).is_empty());
    assert_eq!(acks(&bench, start), [(ALL_D_ROUTERS, 100)]);
    // From the other designated router it comes as an acknowledgement, and is not acknowledged.
    bench.mute = true;
    for (nth, one, another) in [(2, dr, backup), (3, backup, dr)] {
        bench.receive(one, &one.update(&[host(nth)]));
        bench.run_for(millis(500));
        let before = acks(&bench, start).len();
        bench.receive(another, &another.update(&[host(nth)]));
        bench.run_for(millis(500));
        assert_eq!(acks(&bench, start).len(), before);
    }
    bench.mute = false;
    bench.take();
    let route = bugle_ospf::ExternalRoute { metric: 1, type2: true, tag: 0 };
    bench.input(bugle_ospf::Input::Host(ip("10.100.0.9"), Some(route)));
    assert_eq!(bench.sent[0].dst, ALL_D_ROUTERS);
}

#[test]
fn a_duplicate_is_acknowledged_directly_unless_it_is_an_acknowledgement_itself() {
    let (mut bench, [backup, other]) = lan(9, 1, 2);
    bench.mute = true;
    bench.receive(other, &other.update(&[host(1)]));
    let start = bench.now;
    // It went back out, and from the backup it comes once more: an implied acknowledgement.
    bench.receive(backup, &backup.update(&[host(1)]));
    bench.run_for(millis(500));
    assert_eq!(acks(&bench, start), []);
    bench.receive(backup, &backup.update(&[host(1)]));
    assert_eq!(acks(&bench, start), [(backup.address, 500)]);
}

#[test]
fn on_a_point_to_point_link_what_is_new_is_acknowledged_a_little_later() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    let start = bench.now;
    bench.receive(neighbor, &neighbor.update(&[host(1)]));
    bench.run_for(millis(300));
    assert_eq!(acks(&bench, start), [(ALL_SPF_ROUTERS, 100)]);
    bench.receive(neighbor, &neighbor.update(&[host(1)]));
    assert_eq!(acks(&bench, start)[1..], [(ALL_SPF_ROUTERS, 300)]);
}

#[test]
fn an_unknown_lsa_at_max_age_is_acknowledged_and_forgotten_unless_databases_are_exchanged() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    let start = bench.now;
    bench.receive(neighbor, &neighbor.update_aged(&[host(1)], MAX_AGE));
    assert_eq!(acks(&bench, start), [(ALL_SPF_ROUTERS, 0)]);
    assert!(!bench.database().contains_key(&host_key()));
    // Another neighbour is in Exchange.
    let second = peer(2, 3);
    bench.up(2, P2P);
    bench.meet(second);
    bench.receive(second, &second.description(crate::bench::FIRST, 5, &[]));
    bench.receive(neighbor, &neighbor.update_aged(&[host(1)], MAX_AGE));
    assert!(bench.database()[&host_key()].is_max_age());
    bench.run_for(secs(1));
    assert!(bench.database().contains_key(&host_key()));
    bench.receive(second, &second.description(bugle_wire::ospf::DdFlags::MASTER, 6, &[]));
    assert_eq!(bench.state(second), NeighborState::Full);
    bench.run_for(secs(1));
    assert!(!bench.database().contains_key(&host_key()));
}

#[test]
fn an_older_instance_is_answered_with_ours_once_a_second() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[host(3)]);
    bench.take();
    bench.receive(neighbor, &neighbor.update(&[host(2)]));
    bench.receive(neighbor, &neighbor.update(&[host(2)]));
    let sent: Vec<SequenceNumber> =
        bench.instances(1, host_key()).iter().map(|(_, lsa)| lsa.sequence).collect();
    assert_eq!(sent, [header(&host(3)).sequence]);
    assert_eq!(acks(&bench, bench.now), []);
    assert_eq!(bench.retransmissions(neighbor), 0);
    bench.run_for(secs(1));
    bench.receive(neighbor, &neighbor.update(&[host(2)]));
    assert_eq!(bench.instances(1, host_key()).len(), 2);
}

#[test]
fn while_the_last_sequence_number_is_flushed_older_instances_are_dropped_silently() {
    let neighbor = peer(1, 2);
    let last = build_lsa(Options::E, host_key(), SequenceNumber::MAX, 1, &host(1)[20..]);
    let mut bench = Bench::beside(neighbor, &[]);
    bench.up(2, P2P);
    bench.join(peer(2, 3), &[]);
    bench.mute = true;
    bench.receive(neighbor, &neighbor.update_aged(std::slice::from_ref(&last), 1));
    bench.receive(neighbor, &neighbor.update_aged(&[last], MAX_AGE));
    assert!(bench.database()[&host_key()].is_max_age());
    bench.run_for(millis(300));
    bench.take();
    bench.receive(neighbor, &neighbor.update(&[host(2)]));
    assert!(bench.sent.is_empty());
    assert!(bench.database()[&host_key()].is_max_age());
}

#[test]
fn instances_that_come_too_fast_are_discarded_and_not_acknowledged() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[host(1)]);
    for nth in 2..=20 {
        bench.receive(neighbor, &neighbor.update(&[host(nth)]));
    }
    let kept = bench.database()[&host_key()].sequence;
    assert_eq!(kept, header(&host(9)).sequence, "a reserve of eight");
    let start = bench.now;
    bench.run_for(millis(500));
    let acknowledged: Vec<SequenceNumber> =
        bench.sent.iter().flat_map(Sent::acknowledged).map(|lsa| lsa.sequence).collect();
    assert!(acknowledged.iter().all(|&sequence| sequence <= kept));
    assert_eq!(acks(&bench, start).len(), 1);
    bench.run_for(millis(600));
    bench.receive(neighbor, &neighbor.update(&[host(20)]));
    assert_eq!(bench.database()[&host_key()].sequence, header(&host(20)).sequence);
    assert_eq!(bench.ospf.state().stats().arrivals_refused, 11);
}

#[test]
fn what_is_broken_or_unknown_is_neither_kept_nor_acknowledged() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    let mut broken = host(1);
    broken[30] ^= 1;
    let unknown = lsa(key(LsaType(7), ip("10.100.0.1"), peer_id(50)), 1, &host(1)[20..]);
    let malformed = lsa(host_key(), 1, &[0; 7]);
    bench.run_for(secs(2));
    bench.take();
    let before = bench.database();
    bench.receive(neighbor, &neighbor.update(&[broken, unknown, malformed, host(1)]));
    assert_eq!(bench.database().len(), before.len() + 1, "the next one in the packet counts");
    bench.run_for(millis(500));
    let acknowledged: Vec<LsaHeader> = bench.sent.iter().flat_map(Sent::acknowledged).collect();
    assert_eq!(acknowledged.len(), 1);
    let drops = bench.interface_state(1).drops;
    for reason in ["lsa-checksum", "lsa-unknown-type", "lsa-malformed"] {
        assert_eq!(drops[reason], 1, "{reason}");
    }
}

#[test]
fn updates_are_sent_again_directly_until_that_instance_is_acknowledged() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::beside(first, &[host(1)]);
    bench.up(2, P2P);
    bench.join(second, &[]);
    bench.run_for(secs(2));
    bench.mute = true;
    bench.take();
    bench.receive(first, &first.update(&[host(2)]));
    bench.run_for(millis(3_300));
    let sent = bench.instances(2, host_key());
    assert_eq!(sent.len(), 4);
    for pair in sent.windows(2) {
        assert_eq!(pair[1].0.since(pair[0].0), millis(1_050));
    }
    // The age grows by one second a hop, and with time.
    assert_eq!((sent[0].1.age, sent[3].1.age), (2, 5));
    bench.receive(second, &second.ack(&[header(&host(1))]));
    assert_eq!(bench.retransmissions(second), 1, "that was another instance");
    bench.receive(second, &second.ack(&[header(&host(2))]));
    assert_eq!(bench.retransmissions(second), 0);
    bench.take();
    bench.run_for(secs(3));
    assert!(bench.instances(2, host_key()).is_empty());
}

#[test]
fn a_newer_instance_takes_the_place_of_one_that_was_not_acknowledged() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::beside(first, &[]);
    bench.up(2, P2P);
    bench.join(second, &[]);
    bench.run_for(secs(2));
    bench.mute = true;
    bench.take();
    bench.receive(first, &first.update(&[host(1)]));
    bench.run_for(millis(500));
    bench.receive(first, &first.update(&[host(2)]));
    assert_eq!(bench.retransmissions(second), 1);
    bench.run_for(millis(1_040));
    assert_eq!(bench.instances(2, host_key()).len(), 2, "its own interval counts");
    bench.run_for(millis(20));
    let sent = bench.instances(2, host_key());
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2].1.sequence, header(&host(2)).sequence);
}

#[test]
fn what_was_not_acknowledged_is_sent_again_in_time_whatever_is_flooded_meanwhile() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::beside(first, &[]);
    bench.up(2, P2P);
    bench.join(second, &[]);
    bench.run_for(secs(2));
    bench.mute = true;
    bench.take();
    bench.receive(first, &first.update(&[host(1)]));
    for nth in 0..200 {
        let other = external_lsa(peer_id(50), &format!("10.101.0.{nth}/32"), E2);
        bench.receive(first, &first.update(&[other]));
        bench.run_for(millis(10));
    }
    assert_eq!(bench.instances(2, host_key()).len(), 2);
}

#[test]
fn an_lsa_that_reaches_max_age_is_flooded_and_leaves_when_that_is_acknowledged() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::new();
    for neighbor in [first, second] {
        bench.up(neighbor.ifindex.0, P2P);
        bench.join(neighbor, &[]);
    }
    bench.receive(first, &first.update_aged(&[host(1)], MAX_AGE - 10));
    bench.run_for(secs(9));
    assert_eq!(bench.database()[&host_key()].age, MAX_AGE - 1);
    bench.take();
    bench.mute = true;
    bench.run_for(millis(1_100));
    assert!(bench.instances(1, host_key())[0].1.is_max_age(), "to everybody");
    assert!(bench.instances(2, host_key())[0].1.is_max_age());
    let gone = bench.database()[&host_key()];
    bench.receive(first, &first.ack(&[gone]));
    assert!(bench.database().contains_key(&host_key()));
    bench.receive(second, &second.ack(&[gone]));
    assert!(!bench.database().contains_key(&host_key()));
}

#[test]
fn a_flush_leaves_with_the_last_neighbor_that_was_to_be_told() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::beside(first, &[host(1)]);
    bench.up(2, P2P);
    bench.join(second, &[]);
    bench.run_for(secs(2));
    bench.mute = true;
    bench.receive(first, &first.update_aged(&[host(1)], MAX_AGE));
    assert!(bench.database().contains_key(&host_key()));
    bench.input(bugle_ospf::Input::Interface(second.ifindex, None));
    assert!(!bench.database().contains_key(&host_key()));
}

#[test]
fn an_age_that_stands_still_elsewhere_is_no_flush() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    bench.receive(neighbor, &neighbor.update_aged(&[host(1)], DO_NOT_AGE | 5));
    assert_eq!(bench.database()[&host_key()].age, 5);
    bench.run_for(secs(10));
    assert_eq!(bench.database()[&host_key()].age, 15);
    bench.run_for(secs(2));
    bench.receive(neighbor, &neighbor.update_aged(&[host(1)], DO_NOT_AGE | MAX_AGE));
    assert!(!bench.database().contains_key(&host_key()));
}

#[test]
fn a_neighbor_being_loaded_gets_what_is_newer_than_it_asked_for() {
    let [first, second] = [peer(1, 2), peer(2, 3)];
    let mut bench = Bench::beside(first, &[]);
    bench.up(2, P2P);
    bench.meet(second);
    bench.receive(second, &second.description(crate::bench::FIRST, 5, &[]));
    let described: Vec<LsaHeader> = (1..=3)
        .map(|n| {
            header(&external_lsa(peer_id(50), &format!("10.100.0.{n}/32"), Says { nth: 5, ..E2 }))
        })
        .collect();
    let master = bugle_wire::ospf::DdFlags::MASTER;
    bench.receive(second, &second.description(master, 6, &described));
    assert_eq!(bench.state(second), NeighborState::Loading);
    bench.take();
    // Older than what the second neighbour has, the same, newer.
    let instances: Vec<Vec<u8>> = [(1, 4), (2, 5), (3, 6)]
        .iter()
        .map(|&(n, nth)| external_lsa(peer_id(50), &format!("10.100.0.{n}/32"), Says { nth, ..E2 }))
        .collect();
    bench.receive(first, &first.update(&instances));
    let sent: Vec<LsaHeader> = bench
        .sent
        .iter()
        .filter(|sent| sent.ifindex == second.ifindex)
        .flat_map(Sent::updated)
        .collect();
    assert_eq!(sent.iter().map(|lsa| lsa.key).collect::<Vec<_>>(), [header(&instances[2]).key]);
    assert_eq!(bench.state(second), NeighborState::Loading, "one is still to come");
    let last = external_lsa(peer_id(50), "10.100.0.1/32", Says { nth: 5, ..E2 });
    bench.receive(second, &second.update(&[last]));
    assert_eq!(bench.state(second), NeighborState::Full);
}

#[test]
fn before_exchange_neither_updates_nor_acknowledgements_count() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    bench.receive(neighbor, &neighbor.hello(&[]));
    assert_eq!(bench.state(neighbor), NeighborState::Init);
    bench.take();
    bench.receive(neighbor, &neighbor.update(&[host(1)]));
    bench.receive(neighbor, &neighbor.update_aged(&[host(1)], MAX_AGE));
    bench.receive(neighbor, &neighbor.ack(&[header(&host(1))]));
    assert!(!bench.database().contains_key(&host_key()));
    assert!(bench.sent.is_empty());
}

#[test]
fn a_copy_that_was_overtaken_by_its_flush_does_not_bring_an_lsa_back() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    // After the flush of something never seen, of something seen before, and of the instance after it.
    for (seen, flush, copy) in [(None, 11, 11), (Some(21), 21, 21), (None, 32, 31)] {
        let start = bench.now;
        if let Some(nth) = seen {
            bench.receive(neighbor, &neighbor.update(&[host(nth)]));
            bench.run_for(millis(200));
        }
        bench.take();
        bench.receive(neighbor, &neighbor.update_aged(&[host(flush)], MAX_AGE));
        bench.receive(neighbor, &neighbor.update(&[host(copy)]));
        let told: Vec<bool> =
            bench.instances(1, host_key()).iter().map(|(_, lsa)| lsa.is_max_age()).collect();
        assert_eq!(told, [true], "its sender hears of the flush");
        assert_eq!(bench.retransmissions(neighbor), 1, "until it acknowledges that");
        bench.run_for(millis(500));
        assert!(!bench.database().contains_key(&host_key()));
        assert_eq!(acks(&bench, start).len(), 1, "the flush is acknowledged");
    }
    // A newer instance is another matter, so is one of long ago, as after a restart, and the same one a good while later.
    for (nth, later) in [(33, 0), (1, 0), (1, 1_000)] {
        bench.run_for(millis(later));
        bench.receive(neighbor, &neighbor.update(&[host(nth)]));
        assert!(!bench.database()[&host_key()].is_max_age(), "{nth}");
        bench.receive(neighbor, &neighbor.update_aged(&[host(nth)], MAX_AGE));
    }
}
