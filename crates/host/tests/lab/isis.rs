//! The packet socket of an IS-IS circuit: what it lets through, from whom, and how.

use std::os::fd::{AsFd, AsRawFd};

use bugle_host::IsisSocket;
use bugle_host::isis::Received;
use bugle_speaker::Output;
use bugle_types::{IfIndex, Mac};
use bugle_wire::isis::{ALL_ISS, ALL_L1_ISS, ALL_L2_ISS};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::namespace::{Namespace, pair, possible};
use crate::script::{Actor, Told};

const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// No PDU but begins like one.
const PDU: &[u8] = b"\x83 a short one";

fn open(namespace: &Namespace, name: &str, mtu: u32) -> IsisSocket {
    let ifindex = namespace.ifindex(name);
    namespace.run(move || IsisSocket::open(ifindex, mtu).unwrap())
}

/// The next frame: its destination, its source and its PDU.
fn next(socket: &IsisSocket) -> (Mac, Mac, Vec<u8>) {
    let mut buffer = vec![0; 65_535];
    loop {
        match socket.receive(&mut buffer).unwrap() {
            Received::Frame(frame) => {
                return (frame.destination, frame.source, frame.payload.to_vec());
            }
            Received::Malformed => panic!("malformed"),
            Received::Nothing => {
                let mut readable = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                let ready = poll(&mut readable, PollTimeout::try_from(10_000).unwrap()).unwrap();
                assert_eq!(ready, 1, "nothing came");
            }
        }
    }
}

/// Puts frames on the wire as they are.
struct Wire {
    socket: Socket,
    to: LinkAddr,
}

impl Wire {
    fn open(namespace: &Namespace, ifindex: IfIndex) -> Self {
        namespace.run(move || {
            let to = nix::ifaddrs::getifaddrs()
                .unwrap()
                .filter_map(|interface| interface.address?.as_link_addr().copied())
                .find(|address| address.ifindex() == ifindex.0 as usize)
                .unwrap();
            Self { socket: Socket::new(Domain::PACKET, Type::RAW, None).unwrap(), to }
        })
    }

    fn put(&self, destination: Mac, what_follows: &[&[u8]]) {
        let frame = [&destination.0[..], &SOURCE.0, &what_follows.concat()].concat();
        sendto(self.socket.as_raw_fd(), &frame, &self.to, MsgFlags::empty()).unwrap();
    }
}

#[test]
fn pdus_of_all_groups_arrive_without_padding_and_not_at_their_sender() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let (sender, receiver) = (open(&a, "eth0", 1_500), open(&b, "eth0", 1_500));
    for group in [ALL_L1_ISS, ALL_L2_ISS, ALL_ISS] {
        sender.send(SOURCE, group, PDU).unwrap();
        assert_eq!(next(&receiver), (group, SOURCE, PDU.to_vec()));
    }
    let wire = Wire::open(&a, a.ifindex("eth0"));
    wire.put(ALL_ISS, &[&[0, 16], &[0xfe, 0xfe, 3], PDU, &[0; 29]]);
    assert_eq!(next(&receiver).2, PDU);

    receiver.send(SOURCE, ALL_ISS, b"\x83 back").unwrap();
    assert_eq!(next(&sender).2, b"\x83 back");
}

#[test]
fn nothing_but_isis_of_this_interface_passes_the_filter() {
    if !possible() {
        return;
    }
    for mtu in [1_500, 9_000] {
        let [a, b] = pair();
        a.link("eth1", "10.0.1.1/24", &b, "10.0.1.2/24");
        let receiver = open(&b, "eth0", mtu);
        let other = Wire::open(&a, a.ifindex("eth1"));
        let wire = Wire::open(&a, a.ifindex("eth0"));
        let llc: &[u8] = &[0xfe, 0xfe, 3];
        other.put(ALL_ISS, &[&[0, 16], llc, PDU]);
        // Spanning tree's control, another OSI protocol, ARP, a length that is none, a VLAN's, somebody else's.
        wire.put(ALL_ISS, &[&[0, 16], &[0x42, 0x42, 3], PDU]);
        wire.put(ALL_ISS, &[&[0, 16], &[0xfe, 0xfe, 0xf3], PDU]);
        wire.put(ALL_ISS, &[&[0, 16], llc, b"\x82 ES-IS here."]);
        wire.put(ALL_ISS, &[&[0x08, 0x06], llc, PDU]);
        wire.put(ALL_ISS, &[&[0x05, 0xdd], llc, PDU, &[0; 1480]]);
        wire.put(ALL_ISS, &[&[0x81, 0x00, 0, 7], &[0, 16], llc, PDU]);
        wire.put(Mac([2, 0, 0, 0, 0, 99]), &[&[0, 16], llc, PDU]);
        wire.put(ALL_ISS, &[&[0, 13], llc, b"\x83 the last"]);
        assert_eq!(next(&receiver).2, b"\x83 the last");
    }
}

#[test]
fn pdus_longer_than_a_length_can_say_pass_where_the_mtu_allows_them() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    for namespace in [&a, &b] {
        namespace.ip("link set dev eth0 mtu 9000");
    }
    let (sender, receiver) = (open(&a, "eth0", 9_000), open(&b, "eth0", 9_000));
    for length in [1_497, 1_498, 8_997] {
        let mut pdu = vec![0x83; length];
        pdu[length - 1] = 1;
        sender.send(SOURCE, ALL_L2_ISS, &pdu).unwrap();
        assert_eq!(next(&receiver).2, pdu);
    }
    assert!(sender.send(SOURCE, ALL_L2_ISS, &vec![0x83; 9_100]).is_err());
}

#[test]
fn the_groups_are_joined_while_the_socket_is_open() {
    if !possible() {
        return;
    }
    let [a, _b] = pair();
    let joined = || a.ip("maddress show dev eth0");
    let groups = ["01:80:c2:00:00:14", "01:80:c2:00:00:15", "09:00:2b:00:00:05"];
    let socket = open(&a, "eth0", 1_500);
    assert!(groups.iter().all(|group| joined().contains(group)), "{}", joined());
    drop(socket);
    assert!(!groups.iter().any(|group| joined().contains(group)), "{}", joined());
    let missing = a.run(|| IsisSocket::open(IfIndex(9_999), 1_500).unwrap_err());
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn the_driver_opens_sends_receives_and_closes() {
    if !possible() {
        return;
    }
    let [a, b] = pair();
    let (sender, receiver) = (Actor::start(&a), Actor::start(&b));
    let (out, into) = (a.ifindex("eth0"), b.ifindex("eth0"));
    let open = |ifindex, mtu| Output::OpenIsis { ifindex, mtu };
    let send = |bytes: &[u8]| Output::SendIsis {
        ifindex: out,
        source: SOURCE,
        destination: ALL_ISS,
        bytes: bytes.to_vec(),
    };
    let next = || {
        let (_, told) = receiver.wait_for(|told| matches!(told, Told::Isis { .. }));
        let Told::Isis { ifindex, source, bytes } = told else { unreachable!() };
        assert_eq!((ifindex, source), (into, SOURCE));
        bytes
    };
    // The socket of another MTU takes the place of the first; the kernel would not hand over anything twice.
    receiver.ask([open(into, 1_500), open(into, 9_000), open(into, 1_500)]);
    sender.ask([open(out, 1_500), send(b"\x83 one"), send(b"\x83 two")]);
    assert_eq!((next(), next()), (b"\x83 one".to_vec(), b"\x83 two".to_vec()));
    receiver.ask([Output::CloseIsis(into)]);
    sender.ask([send(b"\x83 closed")]);
    receiver.ask([open(into, 1_500)]);
    sender.ask([send(b"\x83 open")]);
    assert_eq!(next(), b"\x83 open");

    sender.ask([Output::CloseIsis(out), send(b"\x83 nowhere")]);
    assert_eq!(sender.handle.counters().send_errors.value(), 1);
}
