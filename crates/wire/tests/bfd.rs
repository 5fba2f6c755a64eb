//! The BFD codec against packets made by hand, by FRR and BIRD, by attackers and at random.

#![cfg(test)]

use std::fs;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use bugle_wire::bfd::{
    Auth, AuthType, CONTROL_PORT, Control, Diagnostic, Discriminator, Flags, Interval, Malformed,
    Packet, State,
};
use bugle_wire::{capture, describe};
use proptest::prelude::*;

#[path = "harness/bfd_packet.rs"]
mod bfd_packet;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A packet of a session that is Up, as the diagram of RFC 5880 section 4.1 lays it out.
const UP: [u8; 24] =
    [0x20, 0xc8, 3, 24, 0, 0, 0, 7, 0x80, 0, 0, 9, 0, 0, 0x27, 0x10, 0, 0, 0xc3, 0x50, 0, 0, 0, 0];

/// What it says.
fn up() -> Control {
    Control {
        diagnostic: Diagnostic::NONE,
        state: State::Up,
        flags: Flags::CONTROL_PLANE_INDEPENDENT,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::new(7).unwrap(),
        your_discriminator: Discriminator::new(0x8000_0009),
        desired_min_tx: Interval(10_000),
        required_min_rx: Interval(50_000),
        required_min_echo_rx: Interval::ZERO,
    }
}

#[test]
fn a_packet_says_what_the_diagram_says_and_is_emitted_so() {
    let packet = Packet::parse(&UP).unwrap();
    assert_eq!((packet.control, packet.auth), (up(), None));
    assert_eq!(packet.control.emit(None)[..], UP);
    assert_eq!(
        describe::bfd(&UP).to_string(),
        "state Up, diagnostic none, flags C, detect mult 3, my discriminator 0x00000007, \
         your discriminator 0x80000009, desired min tx 10ms, required min rx 50ms, \
         required min echo rx 0s"
    );
}

#[test]
fn every_flag_state_and_diagnostic_has_its_place() {
    for (bits, state) in (0..4).zip(State::ALL) {
        for (bit, flag) in [
            (0x20, Flags::POLL),
            (0x10, Flags::FINAL),
            (0x08, Flags::CONTROL_PLANE_INDEPENDENT),
            (0x02, Flags::DEMAND),
        ] {
            for number in 0..32 {
                let mut bytes = UP;
                (bytes[0], bytes[1]) = (0x20 | number, bits << 6 | bit);
                let control = Packet::parse(&bytes).unwrap().control;
                assert_eq!((control.state, control.flags), (state, flag));
                assert_eq!(control.diagnostic, Diagnostic(number));
                assert_eq!(control.emit(None)[..], bytes);
            }
        }
    }
}

#[test]
fn authentication_sections_are_those_of_the_diagrams() {
    let with = |section: &[u8]| {
        let mut bytes = [&UP[..], section].concat();
        bytes[1] |= 0x04;
        bytes[3] = u8::try_from(bytes.len()).unwrap();
        bytes
    };
    let password = with(&[1, 9, 7, b's', b'e', b'c', b'r', b'e', b't']);
    let packet = Packet::parse(&password).unwrap();
    assert_eq!(packet.auth, Some(Auth::Password { key_id: 7, password: b"secret" }));
    assert_eq!(packet.control.emit(packet.auth.as_ref())[..], password);
    assert!(!format!("{packet:?}{}", describe::bfd(&password)).contains("secret"));

    for (kind, length) in [(2, 16), (3, 16), (4, 20), (5, 20)] {
        let digest: Vec<u8> = (0..length).collect();
        let mut bytes = with(&[&[kind, 8 + length, 7, 0, 1, 2, 3, 4], &digest[..]].concat());
        let kind = AuthType(kind);
        let expected = Auth::Digest { kind, key_id: 7, sequence: 0x0102_0304, digest: &digest };
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.auth, Some(expected));
        assert_eq!(packet.around_digest(), (&bytes[..32], &digest[..], &[][..]));
        assert_eq!(packet.control.emit(packet.auth.as_ref())[..], bytes);
        // The reserved byte is ignored.
        bytes[27] = 0xff;
        assert_eq!(Packet::parse(&bytes).unwrap().auth, Some(expected));
    }

    let unknown = with(&[9, 4, 1, 2]);
    let expected = Auth::Unknown { kind: AuthType(9), data: &[1, 2] };
    assert_eq!(Packet::parse(&unknown).unwrap().auth, Some(expected));

    for (kind, length, room) in [
        (1, 3, 3),
        (1, 20, 20),
        (1, 9, 8),
        (2, 23, 24),
        (3, 25, 25),
        (4, 24, 28),
        (5, 29, 29),
        (0, 1, 2),
        (9, 5, 4),
    ] {
        let mut section = vec![0; room];
        (section[0], section[1]) = (kind, length);
        let expected = Malformed::BadAuthLength { kind: AuthType(kind), length, have: room };
        assert_eq!(Packet::parse(&with(&section)).unwrap_err(), expected);
    }
}

#[test]
fn what_section_6_8_6_discards_without_a_session_is_refused() {
    let refused = |at: usize, to: u8| {
        let mut bytes = UP;
        bytes[at] = to;
        Packet::parse(&bytes).unwrap_err()
    };
    for version in [0, 2, 7] {
        assert_eq!(refused(0, version << 5), Malformed::BadVersion(version));
    }
    assert_eq!(refused(3, 23), Malformed::BadLength { length: 23, have: 24 });
    assert_eq!(refused(3, 25), Malformed::BadLength { length: 25, have: 24 });
    // With authentication the least is 26.
    assert_eq!(refused(1, 0xc4), Malformed::BadLength { length: 24, have: 24 });
    assert_eq!(refused(2, 0), Malformed::ZeroDetectMult);
    assert_eq!(refused(1, 0xc1), Malformed::Multipoint);
    assert_eq!(refused(7, 0), Malformed::ZeroMyDiscriminator);
    assert_eq!(Packet::parse(&UP[..3]).unwrap_err().name(), "truncated");
    for length in 4..24 {
        let expected = Malformed::BadLength { length: 24, have: length };
        assert_eq!(Packet::parse(&UP[..length]).unwrap_err(), expected);
    }
}

#[test]
fn intervals_saturate_and_show_their_unit() {
    use std::time::Duration;
    assert_eq!(Interval::from_duration(Duration::from_secs(10_000)), Interval(u32::MAX));
    assert_eq!(Interval::from_duration(Duration::from_nanos(3_300_999)), Interval(3_300));
    assert_eq!(Interval(3_300).to_string(), "3.3ms");
    assert_eq!(Interval::SECOND.as_duration(), Duration::from_secs(1));
}

/// The BFD packets of a capture.
fn packets(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    capture::packets(&bytes)
        .unwrap()
        .map(|packet| {
            let packet = packet.unwrap();
            let datagram = packet.ipv4().unwrap();
            assert_eq!((datagram.protocol, datagram.ttl), (17, 255));
            assert_eq!(datagram.payload[2..4], CONTROL_PORT.to_be_bytes());
            datagram.payload[8..].to_vec()
        })
        .collect()
}

#[test]
fn what_frr_and_bird_say_in_bfd_is_decoded_described_and_emitted_again() {
    let data = here().join("tests/data");
    for (name, count) in [("bfd-frr-bird", 54), ("bfd-bird-auth", 45)] {
        let file = data.join(name).with_extension("pcap");
        let packets = packets(&file);
        assert_eq!(packets.len(), count);
        for bytes in &packets {
            let packet = Packet::parse(bytes).unwrap();
            assert_eq!(packet.control.emit(packet.auth.as_ref())[..], bytes[..]);
            bfd_packet::check(bytes);
        }
        let bytes = fs::read(&file).unwrap();
        let frames = (1..).zip(capture::packets(&bytes).unwrap());
        let text: Vec<_> =
            frames.map(|(number, packet)| describe::frame(number, &packet.unwrap())).collect();
        let text = text.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap();
        for (line, (found, expected)) in (1..).zip(text.lines().zip(expected.lines())) {
            assert_eq!(found, expected, "{name}.txt:{line}");
        }
        assert_eq!(text.lines().count(), expected.lines().count());
    }
}

#[test]
fn the_corpus_of_bfd_packets_is_harmless() {
    let corpus: PathBuf = here().join("../../fuzz/corpus/bfd_packet");
    let mut seeds = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        bfd_packet::check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seed in {}", corpus.display());
}

fn controls() -> impl Strategy<Value = Control> {
    let discriminator = || any::<u32>().prop_map(Discriminator::new);
    let intervals = prop::array::uniform3(any::<u32>().prop_map(Interval));
    let head = (0_u8..32, prop::sample::select(&State::ALL), any::<u8>(), 1_u8..);
    (head, discriminator(), discriminator(), intervals).prop_map(
        |(head, mine, yours, intervals)| {
            let (diagnostic, state, flags, detect_mult) = head;
            let [desired_min_tx, required_min_rx, required_min_echo_rx] = intervals;
            Control {
                diagnostic: Diagnostic(diagnostic),
                state,
                flags: Flags(flags & 0x3a),
                detect_mult: NonZeroU8::new(detect_mult).unwrap(),
                my_discriminator: mine.unwrap_or(Discriminator::new(1).unwrap()),
                your_discriminator: yours,
                desired_min_tx,
                required_min_rx,
                required_min_echo_rx,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_packet_is_what_it_was_after_a_journey(
        control in controls(),
        kind in 0_u8..6,
        key_id: u8,
        sequence: u32,
        secret in prop::collection::vec(any::<u8>(), 20),
        password in 1_usize..=16,
    ) {
        let kind = AuthType(kind);
        let auth = match (kind, kind.digest_length()) {
            (AuthType::SIMPLE_PASSWORD, _) => {
                Some(Auth::Password { key_id, password: &secret[..password] })
            }
            (_, Some(length)) => {
                Some(Auth::Digest { kind, key_id, sequence, digest: &secret[..length] })
            }
            (_, None) => None,
        };
        let bytes = control.emit(auth.as_ref());
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!((packet.control, packet.auth), (control, auth));
        bfd_packet::check(&bytes);
    }

    #[test]
    fn no_bytes_harm_the_decoder(
        damage in prop::collection::vec((0_usize..52, any::<u8>()), 0..6),
        length in 0_usize..=52,
    ) {
        let mut bytes = [&UP[..], &[5, 28], &[0; 26]].concat();
        for (at, to) in damage {
            bytes[at] = to;
        }
        bfd_packet::check(&bytes[..length]);
    }
}
