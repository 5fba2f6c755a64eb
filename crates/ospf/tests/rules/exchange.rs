//! Database description and requests (RFC 2328 sections 10.6 to 10.9; RFC 5250 section 3).

use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{Event, InterfaceConfig, NetworkType};
use bugle_types::RouterId;
use bugle_wire::ospf::{ALL_SPF_ROUTERS, Body, DdFlags, LsaHeader, LsaType, Options, RouterFlags};

use crate::bench::{
    Bench, E2, FIRST, Peer, Sent, external_lsa, header, interface, ip, key, lsa, millis,
    neighbor_lsa, peer, peer_id, secs,
};

const P2P: NetworkType = NetworkType::PointToPoint;
const MASTER: DdFlags = DdFlags::MASTER;
const NONE: DdFlags = DdFlags::NONE;
const MORE: DdFlags = DdFlags::MORE;

/// What was described since the test last took what was sent, packet by packet.
fn described(bench: &Bench) -> Vec<(DdFlags, u32, Vec<LsaHeader>)> {
    bench.sent.iter().filter_map(Sent::described).collect()
}

/// With a neighbour in ExStart whose router id is higher, or lower, than ours.
fn in_ex_start(neighbor: Peer) -> Bench {
    let mut bench = Bench::new();
    bench.up(1, P2P);
    bench.meet(neighbor);
    assert_eq!(bench.state(neighbor), NeighborState::ExStart);
    bench
}

/// A neighbour that will be the slave.
fn low() -> Peer {
    Peer { id: RouterId(1), ..peer(1, 2) }
}

fn opaque_lsa(ls_type: LsaType, by: RouterId) -> Vec<u8> {
    lsa(key(ls_type, ip("4.0.0.0"), by), 1, &[0, 0, 0, 0])
}

#[test]
fn the_first_description_claims_to_be_master_and_is_repeated() {
    let neighbor = peer(1, 2);
    let mut bench = in_ex_start(neighbor);
    bench.run_for(millis(3_200));
    let sent = described(&bench);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|packet| *packet == sent[0]));
    assert_eq!((sent[0].0, sent[0].2.len()), (FIRST, 0));
}

#[test]
fn the_higher_router_id_becomes_the_master() {
    let neighbor = peer(1, 2);
    let mut bench = in_ex_start(neighbor);
    bench.take();
    bench.receive(neighbor, &neighbor.description(FIRST, u32::MAX, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Exchange);
    assert_eq!((described(&bench)[0].0, described(&bench)[0].1), (NONE, u32::MAX));
    // The sequence number wraps around.
    bench.receive(neighbor, &neighbor.description(MASTER, 0, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Full);

    let neighbor = low();
    let mut bench = in_ex_start(neighbor);
    let sequence = described(&bench)[0].1;
    bench.take();
    bench.receive(neighbor, &neighbor.description(FIRST, 77, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::ExStart, "the slave proposes in vain");
    bench.receive(neighbor, &neighbor.description(NONE, sequence.wrapping_add(1), &[]));
    assert_eq!(bench.state(neighbor), NeighborState::ExStart, "that answers nothing we said");
    bench.receive(neighbor, &neighbor.description(NONE, sequence, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Exchange);
    assert_eq!((described(&bench)[0].0, described(&bench)[0].1), (MASTER, sequence + 1));
    bench.receive(neighbor, &neighbor.description(NONE, sequence + 1, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Full);
}

#[test]
fn flags_that_negotiate_nothing_are_ignored() {
    let neighbor = peer(1, 2);
    for flags in 0..7 {
        let mut bench = in_ex_start(neighbor);
        bench.receive(neighbor, &neighbor.description(DdFlags(flags), 5, &[]));
        assert_eq!(bench.state(neighbor), NeighborState::ExStart, "{flags}");
    }
    let mut bench = in_ex_start(neighbor);
    let own = header(&neighbor_lsa(neighbor, RouterFlags::NONE, &[]));
    bench.receive(neighbor, &neighbor.description(FIRST, 5, &[own]));
    assert_eq!(bench.state(neighbor), NeighborState::ExStart, "the first one is empty");
}

#[test]
fn a_description_out_of_order_starts_the_exchange_over() {
    let neighbor = peer(1, 2);
    let other = Peer { options: Options::E, ..neighbor };
    let wrong = [
        ("the slave's bit", neighbor.description(NONE, 6, &[])),
        ("the init bit", neighbor.description(FIRST, 6, &[])),
        ("other options", other.description(MASTER | MORE, 6, &[])),
        ("a number too far", neighbor.description(MASTER | MORE, 7, &[])),
        ("an old number", neighbor.description(MASTER | MORE, 4, &[])),
    ];
    for (what, packet) in &wrong {
        let mut bench = in_ex_start(neighbor);
        bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
        assert_eq!(bench.state(neighbor), NeighborState::Exchange);
        bench.take();
        bench.receive(neighbor, packet);
        assert_eq!(bench.state(neighbor), NeighborState::ExStart, "{what} in Exchange");
        assert_eq!(described(&bench)[0].0, FIRST, "{what}");

        let mut bench = in_ex_start(neighbor);
        bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
        bench.receive(neighbor, &neighbor.description(MASTER, 6, &[]));
        assert_eq!(bench.state(neighbor), NeighborState::Full);
        bench.receive(neighbor, packet);
        assert_eq!(bench.state(neighbor), NeighborState::ExStart, "{what} in Full");
    }
}

#[test]
fn the_slave_repeats_its_last_description_and_the_master_does_not() {
    let neighbor = peer(1, 2);
    let mut bench = in_ex_start(neighbor);
    for (sequence, flags) in [(5, FIRST), (6, MASTER | MORE), (7, MASTER)] {
        let packet = neighbor.description(flags, sequence, &[]);
        bench.take();
        bench.receive(neighbor, &packet);
        let answer = described(&bench);
        assert_eq!(answer.len(), 1);
        bench.receive(neighbor, &packet);
        assert_eq!(described(&bench)[1], answer[0]);
    }
    assert_eq!(bench.state(neighbor), NeighborState::Full);

    let neighbor = low();
    let mut bench = in_ex_start(neighbor);
    let sequence = described(&bench)[0].1;
    for packet in [
        neighbor.description(MORE, sequence, &[]),
        neighbor.description(MORE, sequence + 1, &[]),
        neighbor.description(NONE, sequence + 2, &[]),
    ] {
        bench.receive(neighbor, &packet);
        bench.take();
        bench.receive(neighbor, &packet);
        assert_eq!(described(&bench).len(), 0);
    }
    assert_eq!(bench.state(neighbor), NeighborState::Full);
}

#[test]
fn the_master_repeats_its_description_until_it_is_answered() {
    let neighbor = low();
    let mut bench = in_ex_start(neighbor);
    let sequence = described(&bench)[0].1;
    bench.receive(neighbor, &neighbor.description(MORE, sequence, &[]));
    bench.take();
    bench.run_for(millis(2_200));
    let sent = described(&bench);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|packet| packet.1 == sequence + 1));
}

#[test]
fn a_description_in_init_is_a_two_way_hello_and_in_two_way_is_ignored() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::new();
    bench.up(1, P2P);
    bench.receive(neighbor, &neighbor.hello(&[]));
    assert_eq!(bench.state(neighbor), NeighborState::Init);
    bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Exchange);

    let mut bench = Bench::new();
    let neighbor = Peer { priority: 0, ..neighbor };
    bench.configure(InterfaceConfig { priority: 0, ..interface(1, NetworkType::Broadcast) }, 1);
    bench.meet(neighbor);
    assert_eq!(bench.state(neighbor), NeighborState::TwoWay);
    bench.take();
    bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::TwoWay);
    assert!(bench.sent.is_empty());
}

#[test]
fn a_larger_mtu_is_rejected_until_it_fits_or_is_ignored() {
    let large = Peer { mtu: 1501, ..peer(1, 2) };
    let rejected = || {
        let mut bench = in_ex_start(large);
        bench.receive(large, &large.description(FIRST, 5, &[]));
        assert_eq!(bench.state(large), NeighborState::ExStart);
        assert_eq!(bench.interface_state(1).mismatches.len(), 1);
        bench.receive(large, &large.hello(&[crate::bench::OWN]));
        assert_eq!(bench.interface_state(1).mismatches.len(), 1, "Hellos do not settle it");
        bench
    };
    let mut bench = rejected();
    let fits = Peer { mtu: 1500, ..large };
    bench.receive(fits, &fits.description(FIRST, 5, &[]));
    assert_eq!(bench.state(large), NeighborState::Exchange);
    assert!(bench.interface_state(1).mismatches.is_empty());
    let mut bench = rejected();
    bench.configure(InterfaceConfig { mtu_ignore: true, ..interface(1, P2P) }, 1);
    bench.receive(large, &large.description(FIRST, 5, &[]));
    assert_eq!(bench.state(large), NeighborState::Exchange);
}

#[test]
fn a_smaller_mtu_is_told_while_the_neighbor_rejects_what_we_describe() {
    let mismatches = |bench: &Bench| bench.interface_state(1).mismatches.len();
    let small = Peer { mtu: 1400, ..peer(1, 2) };
    let mut bench = in_ex_start(small);
    bench.receive(small, &small.description(FIRST, 5, &[]));
    assert_eq!(mismatches(&bench), 0, "our answer has only just gone");
    for _ in 0..3 {
        bench.receive(small, &small.description(FIRST, 5, &[]));
        bench.receive(small, &small.hello(&[crate::bench::OWN]));
        assert_eq!(mismatches(&bench), 1, "it did not take our answer");
    }
    let told = bench.events.iter().filter(|event| matches!(event, Event::Mismatch { .. }));
    assert_eq!(told.count(), 1);
    assert!(bench.interface_state(1).drops.is_empty(), "nothing was dropped");
    bench.receive(small, &small.description(MASTER, 6, &[]));
    assert_eq!(bench.state(small), NeighborState::Full, "it does not mind");
    assert_eq!(mismatches(&bench), 0);

    let small = Peer { mtu: 1400, ..low() };
    let mut bench = in_ex_start(small);
    let sequence = described(&bench)[0].1;
    bench.receive(small, &small.description(FIRST, 77, &[]));
    assert_eq!((mismatches(&bench), bench.state(small)), (1, NeighborState::ExStart));
    bench.receive(small, &small.description(NONE, sequence, &[]));
    assert_eq!((mismatches(&bench), bench.state(small)), (0, NeighborState::Exchange));
}

#[test]
fn a_described_lsa_of_unknown_type_starts_the_exchange_over() {
    let neighbor = peer(1, 2);
    for ls_type in [0, 6, 7, 8, 12, 255] {
        let unknown = header(&lsa(key(LsaType(ls_type), ip("1.2.3.4"), neighbor.id), 1, &[]));
        let mut bench = in_ex_start(neighbor);
        bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
        bench.receive(neighbor, &neighbor.description(MASTER, 6, &[unknown]));
        assert_eq!(bench.state(neighbor), NeighborState::ExStart, "type {ls_type}");
    }
}

#[test]
fn what_is_missing_is_asked_for_again_and_again_one_packet_at_a_time() {
    let neighbor = peer(1, 2);
    let lsas: Vec<Vec<u8>> =
        (1..=200).map(|n| external_lsa(neighbor.id, &format!("10.100.0.{n}/32"), E2)).collect();
    let headers: Vec<LsaHeader> = lsas.iter().map(|lsa| header(lsa)).collect();
    let mut bench = in_ex_start(neighbor);
    bench.receive(neighbor, &neighbor.description(FIRST, 5, &[]));
    let requests = |bench: &mut Bench| -> Vec<usize> {
        let sent = bench.take();
        let count = |sent: &Sent| {
            let Body::LinkStateRequest(request) = sent.body() else { return None };
            Some(request.requests.len())
        };
        sent.iter().filter_map(count).collect()
    };
    bench.receive(neighbor, &neighbor.description(MASTER | MORE, 6, &headers[..60]));
    assert_eq!(requests(&mut bench), [60], "while the exchange goes on");
    for (n, chunk) in headers[60..].chunks(70).enumerate() {
        let sequence = 7 + u32::try_from(n).unwrap();
        bench.receive(neighbor, &neighbor.description(MASTER | MORE, sequence, chunk));
    }
    bench.receive(neighbor, &neighbor.description(MASTER, 9, &[]));
    assert_eq!(bench.state(neighbor), NeighborState::Loading);
    assert_eq!(requests(&mut bench), []);
    bench.run_for(millis(2_200));
    assert_eq!(requests(&mut bench), [60, 60]);
    bench.receive(neighbor, &neighbor.update(&lsas[..25]));
    bench.run_for(millis(1_100));
    assert_eq!(requests(&mut bench), [35], "what came is not asked for again");
    bench.receive(neighbor, &neighbor.update(&lsas[25..50]));
    bench.receive(neighbor, &neighbor.update(&lsas[50..60]));
    assert_eq!(requests(&mut bench), [(1500 - 44) / 12]);
    for chunk in lsas[60..].chunks(25) {
        bench.receive(neighbor, &neighbor.update(chunk));
    }
    assert_eq!(bench.state(neighbor), NeighborState::Full);
    bench.run_for(secs(3));
    assert_eq!(requests(&mut bench), [15], "each part was asked for once");
}

#[test]
fn only_what_is_newer_is_asked_for() {
    let first = peer(1, 2);
    let hosts = ["10.100.0.1/32", "10.100.0.2/32"].map(|host| external_lsa(first.id, host, E2));
    let mut bench = Bench::beside(first, &hosts);
    bench.up(2, P2P);
    let second = peer(2, 3);
    let newer = external_lsa(first.id, "10.100.0.2/32", crate::bench::Says { nth: 2, ..E2 });
    bench.meet(second);
    bench.take();
    bench.exchange(second, &[hosts[0].clone(), newer.clone()]);
    let asked: Vec<_> = bench
        .sent
        .iter()
        .filter_map(|sent| {
            let Body::LinkStateRequest(request) = sent.body() else { return None };
            Some(request.requests.iter().collect::<Vec<_>>())
        })
        .flatten()
        .collect();
    assert_eq!(asked, [header(&newer).key]);
}

#[test]
fn a_request_is_answered_at_once_and_owes_no_acknowledgement() {
    let neighbor = peer(1, 2);
    let host = external_lsa(neighbor.id, "10.100.0.1/32", E2);
    let mut bench = Bench::beside(neighbor, std::slice::from_ref(&host));
    bench.run_for(secs(2));
    assert_eq!(bench.retransmissions(neighbor), 0);
    bench.take();
    bench.receive(neighbor, &neighbor.request(&[header(&host).key]));
    assert_eq!(bench.sent[0].updated()[0].key, header(&host).key);
    assert_eq!(bench.sent[0].dst, ALL_SPF_ROUTERS, "on a point-to-point link");
    assert_eq!(bench.retransmissions(neighbor), 0);
    let unknown = key(LsaType::AS_EXTERNAL, ip("10.66.0.1"), peer_id(9));
    bench.receive(neighbor, &neighbor.request(&[unknown]));
    assert_eq!(bench.state(neighbor), NeighborState::ExStart);
    bench.take();
    bench.receive(neighbor, &neighbor.request(&[header(&host).key]));
    assert!(bench.sent.is_empty(), "before Exchange requests are ignored");
}

#[test]
fn an_answer_older_than_described_starts_the_exchange_over() {
    let neighbor = peer(1, 2);
    let old = external_lsa(peer_id(9), "10.100.0.1/32", E2);
    let new = external_lsa(peer_id(9), "10.100.0.1/32", crate::bench::Says { nth: 2, ..E2 });
    let mut bench = Bench::beside(neighbor, std::slice::from_ref(&old));
    bench.up(2, P2P);
    let second = peer(2, 3);
    bench.meet(second);
    bench.receive(second, &second.description(FIRST, 5, &[]));
    bench.receive(second, &second.description(MASTER | MORE, 6, &[header(&new)]));
    bench.receive(second, &second.update(std::slice::from_ref(&old)));
    assert_eq!(bench.state(second), NeighborState::ExStart);
}

#[test]
fn lsas_at_max_age_are_not_described_but_sent() {
    let first = peer(1, 2);
    let hosts: Vec<Vec<u8>> =
        (1..=40).map(|n| external_lsa(first.id, &format!("10.100.0.{n}/32"), E2)).collect();
    let mut bench = Bench::beside(first, &hosts);
    let small =
        InterfaceConfig { mtu: 20 + 24 + 8 + 20 * 10, mtu_ignore: true, ..interface(2, P2P) };
    bench.configure(small, 2);
    let second = peer(2, 3);
    bench.meet(second);
    bench.receive(second, &second.description(FIRST, 5, &[]));
    // One goes after the list was made, and before it is described.
    bench.take();
    bench.receive(first, &first.update_aged(&hosts[39..], 3600));
    let gone = header(&hosts[39]).key;
    assert!(bench.instances(2, gone)[0].1.is_max_age());
    let mut sequence = 6;
    while bench.state(second) == NeighborState::Exchange {
        bench.receive(second, &second.description(MASTER, sequence, &[]));
        sequence += 1;
    }
    assert_eq!(bench.state(second), NeighborState::Full);
    let keys: Vec<_> = described(&bench).into_iter().flat_map(|(.., lsas)| lsas).collect();
    assert!(keys.len() > 20);
    assert!(keys.iter().all(|lsa| lsa.key != gone && !lsa.is_max_age()));
    // One that is at MaxAge when the list is made is sent.
    bench.mute = true;
    bench.receive(first, &first.update_aged(&hosts[38..39], 3600));
    let third = peer(3, 4);
    bench.up(3, P2P);
    bench.meet(third);
    bench.receive(third, &third.description(FIRST, 5, &[]));
    assert!(bench.instances(3, header(&hosts[38]).key)[0].1.is_max_age());
}

#[test]
fn opaque_lsas_go_to_neighbors_that_understand_them_and_no_further_than_they_may() {
    let [first, plain, capable] = [peer(1, 2), peer(2, 3), peer(3, 4)];
    let plain = Peer { options: Options::E, ..plain };
    let lsas = [LsaType::OPAQUE_LINK, LsaType::OPAQUE_AREA, LsaType::OPAQUE_AS]
        .map(|ls_type| opaque_lsa(ls_type, first.id));
    let mut bench = Bench::beside(first, &lsas[..2]);
    bench.up(2, P2P);
    bench.up(3, P2P);
    bench.join(plain, &[]);
    let opaque = |lsas: Vec<LsaHeader>| -> Vec<u8> {
        lsas.iter().map(|lsa| lsa.key.ls_type.0).filter(|&ls_type| ls_type > 8).collect()
    };
    let all = |bench: &Bench| described(bench).into_iter().flat_map(|(.., lsas)| lsas).collect();
    assert_eq!(opaque(all(&bench)), [], "not described");
    bench.join(capable, &[]);
    assert_eq!(opaque(all(&bench)), [10], "described, but that of another link");
    bench.take();
    bench.flood(first, &lsas[2..]);
    let flooded = |bench: &Bench, ifindex: u32| -> Vec<u8> {
        let sent = bench.sent.iter().filter(|sent| sent.ifindex.0 == ifindex);
        opaque(sent.flat_map(Sent::updated).collect())
    };
    assert_eq!((flooded(&bench, 2), flooded(&bench, 3)), (vec![], vec![11]));
    assert_eq!(bench.database().keys().filter(|key| key.ls_type.0 > 8).count(), 3);
    bench.input(bugle_ospf::Input::Interface(first.ifindex, None));
    assert_eq!(bench.database().keys().filter(|key| key.ls_type.0 > 8).count(), 2);
}

#[test]
fn the_o_bit_is_set_in_descriptions_only() {
    let neighbor = peer(1, 2);
    let mut bench = Bench::beside(neighbor, &[]);
    bench.run_for(secs(2));
    let mut descriptions = 0;
    bench.configure(interface(2, P2P), 2);
    let second = peer(2, 3);
    bench.meet(second);
    for sent in &bench.sent {
        match sent.body() {
            Body::Hello(hello) => assert_eq!(hello.fields.options, Options::E),
            Body::DatabaseDescription(body) => {
                descriptions += 1;
                assert_eq!(body.options, Options::E | Options::O);
            }
            Body::LinkStateUpdate(_) | Body::LinkStateRequest(_) | Body::LinkStateAck(_) => {
                assert!(sent.updated().iter().all(|lsa| lsa.options == Options::E));
            }
        }
    }
    assert!(descriptions > 0);
}
