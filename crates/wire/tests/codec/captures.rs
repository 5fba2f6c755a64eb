//! Captures: our own, of FRR and BIRD, which lie in `tests/data` beside what they say; and those of others, which are not
//! ours to distribute and are looked for beside the project.

use std::fs;
use std::path::Path;

use bugle_wire::capture::{self, Refusal};
use bugle_wire::describe;
use bugle_wire::ospf::{Body, PROTOCOL, Packet};
use bugle_wire::{DecodeError, DecodeErrorKind};

use crate::ospf_packet;

/// What the datagrams of a capture are: decoded, or the reason why not.
#[derive(Debug, PartialEq, Eq, Default)]
struct Tally {
    decoded: usize,
    undecoded: Vec<DecodeError>,
    refused: Vec<Refusal>,
}

/// Decodes each packet of a capture, and holds each that decodes to being emitted as it was.
fn tally(file: &Path) -> Tally {
    let bytes = fs::read(file).unwrap();
    let mut tally = Tally::default();
    for packet in capture::packets(&bytes).unwrap() {
        let packet = packet.unwrap();
        let datagram = match packet.ipv4() {
            Ok(datagram) => datagram,
            Err(refusal) => {
                tally.refused.push(refusal);
                continue;
            }
        };
        assert_eq!(datagram.protocol, PROTOCOL);
        ospf_packet::check(datagram.payload);
        match Packet::parse(datagram.payload) {
            Ok(decoded) => {
                tally.decoded += 1;
                assert_eq!(ospf_packet::emit(&decoded), datagram.payload);
                check_lsas(&decoded);
            }
            Err(error) => tally.undecoded.push(error),
        }
    }
    tally
}

/// Routers send LSAs whose checksums are right and which say nothing this codec would say otherwise.
fn check_lsas(packet: &Packet<'_>) {
    let Body::LinkStateUpdate(update) = &packet.body else { return };
    for lsa in update.lsas() {
        assert!(lsa.checksum_ok(), "{lsa:?}");
        assert_eq!(ospf_packet::rebuild(&lsa).as_deref(), Some(lsa.bytes()));
    }
}

#[test]
fn what_frr_and_bird_send_is_decoded_described_and_emitted_again() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for (name, packets) in [("frr-bird", 63), ("frr-bird-md5", 65), ("frr-bird-password", 64)] {
        let file = data.join(name).with_extension("pcap");
        assert_eq!(tally(&file), Tally { decoded: packets, ..Tally::default() }, "{name}");

        let bytes = fs::read(&file).unwrap();
        let frames = (1..).zip(capture::packets(&bytes).unwrap());
        let text: Vec<_> = frames
            .map(|(number, packet)| describe::frame(number, &packet.unwrap()).to_string())
            .collect();
        let text = text.join("\n");
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap();
        for (line, (found, expected)) in (1..).zip(text.lines().zip(expected.lines())) {
            assert_eq!(found, expected, "{name}.txt:{line}");
        }
        assert_eq!(text.lines().count(), expected.lines().count());
    }
}

#[test]
fn captures_of_others_are_decoded_and_the_damaged_are_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if !folder.is_dir() {
        println!("skipped: there is no {}", folder.display());
        return;
    }
    let decoded = |decoded| Tally { decoded, ..Tally::default() };
    let bad_checksum = DecodeError { at: 12, kind: DecodeErrorKind::BadChecksum };
    let damaged = || Tally { undecoded: vec![bad_checksum], ..Tally::default() };
    for (name, expected) in [
        ("OSPFv2_Capture_FINAL.pcapng", decoded(30)),
        ("ospf-ack.pcap", decoded(1)),
        ("ospf-gmpls.pcap", decoded(3)),
        ("ospf-nssa-bitnt.pcap", decoded(1)),
        ("ospf_graceful_restart_rfc3623.pcap", decoded(1)),
        ("ospf-sr-ri-sid.pcap", damaged()),
        ("ospf-sr.pcapng", damaged()),
        ("ospf-sr2.pcapng", damaged()),
        ("ospf2-seg-fault-1.pcapng", damaged()),
        // OSPFv3 over IPv6.
        (
            "ospf-signed-integer-ubsan.pcap",
            Tally { refused: vec![Refusal::NotIpv4], ..Tally::default() },
        ),
    ] {
        assert_eq!(tally(&folder.join(name)), expected, "{name}");
    }
}
