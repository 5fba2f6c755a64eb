//! Authentication.

use std::path::Path;
use std::sync::Arc;

use bugle_bfd::{Authentication, Client, Discard, Profile};
use bugle_wire::bfd::{Auth, AuthType, Control, Packet, State};
use bugle_wire::capture;
use sha1::Digest;

use crate::solo::{Solo, ms, profile};

const KEYED: [AuthType; 4] = [
    AuthType::KEYED_MD5,
    AuthType::METICULOUS_KEYED_MD5,
    AuthType::KEYED_SHA1,
    AuthType::METICULOUS_KEYED_SHA1,
];

const fn meticulous(kind: AuthType) -> bool {
    matches!(kind, AuthType::METICULOUS_KEYED_MD5 | AuthType::METICULOUS_KEYED_SHA1)
}

fn with_keys(kind: AuthType, keys: &[(u8, &[u8])]) -> Profile {
    let auth = Authentication::new(kind, keys.iter().copied()).unwrap();
    Profile { auth: Some(Arc::new(auth)), ..profile(10, 3) }
}

fn secured(kind: AuthType) -> Profile {
    with_keys(kind, &[(1, b"secret")])
}

/// The packet as a remote system with this key sends it, by the letter of sections 6.7.3 and 6.7.4.
fn sealed(control: &Control, kind: AuthType, key_id: u8, key: &[u8], sequence: u32) -> Vec<u8> {
    let length = kind.digest_length().unwrap();
    let mut padded = key.to_vec();
    padded.resize(length, 0);
    let mut bytes =
        control.emit(Some(&Auth::Digest { kind, key_id, sequence, digest: &padded })).to_vec();
    let digest = if length == 16 {
        md5::Md5::digest(&bytes).to_vec()
    } else {
        sha1::Sha1::digest(&bytes).to_vec()
    };
    bytes.splice(32.., digest);
    bytes
}

fn hear_sealed(solo: &mut Solo, kind: AuthType, sequence: u32) {
    let bytes = sealed(&solo.remote, kind, 1, b"secret", sequence);
    solo.hear_bytes(&bytes);
}

#[test]
fn what_is_sent_has_the_digest_of_the_rfc_and_a_growing_sequence_number() {
    for kind in KEYED {
        let mut solo = Solo::new(secured(kind));
        solo.wait(ms(10_000));
        let mut last = None;
        assert!(solo.bytes.len() >= 10);
        for bytes in &solo.bytes {
            let packet = Packet::parse(bytes).unwrap();
            let Some(Auth::Digest { sequence, .. }) = packet.auth else { panic!("{packet:?}") };
            assert_eq!(*bytes, sealed(&packet.control, kind, 1, b"secret", sequence));
            // Meticulous: with each packet. Otherwise: with each that says something new.
            let step = u32::from(meticulous(kind));
            assert!(last.is_none_or(|last: u32| sequence == last.wrapping_add(step)));
            last = Some(sequence);
        }
        solo.bytes.clear();
        hear_sealed(&mut solo, kind, 7);
        let packet = Packet::parse(&solo.bytes[0]).unwrap();
        let Some(Auth::Digest { sequence, .. }) = packet.auth else { panic!("{packet:?}") };
        assert_eq!(last.map(|last| last.wrapping_add(1)), Some(sequence));
    }
}

#[test]
fn what_bird_authenticates_is_taken_by_all_five_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/data/bfd-bird-auth.pcap");
    let file = std::fs::read(file).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for packet in capture::packets(&file).unwrap() {
        let payload = &packet.unwrap().ipv4().unwrap().payload[8..];
        let packet = Packet::parse(payload).unwrap();
        if packet.control.your_discriminator.is_some() {
            continue;
        }
        let kind = packet.auth.unwrap().kind();
        let mut solo = Solo::new(with_keys(kind, &[(7, b"secret")]));
        solo.hear_bytes(payload);
        assert_eq!(solo.session().state(), State::Init, "{kind}");
        let mut solo = Solo::new(with_keys(kind, &[(7, b"Secret")]));
        solo.hear_bytes(payload);
        assert_eq!(solo.discarded(Discard::AuthDigest), 1, "{kind}");
        kinds.insert(kind);
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5].map(AuthType));
}

#[test]
fn a_packet_with_the_right_digest_is_taken_and_any_damage_to_it_is_noticed() {
    for kind in KEYED {
        let mut solo = Solo::new(secured(kind));
        let good = sealed(&solo.remote, kind, 1, b"secret", 7);
        // My Discriminator, an interval, the digest itself.
        for at in [7, 12, 14, 33] {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            solo.hear_bytes(&bytes);
        }
        assert_eq!(solo.session().state(), State::Down);
        assert_eq!(solo.session().last_received(), None);
        solo.hear_bytes(&good);
        assert_eq!(solo.session().state(), State::Init, "{kind}");
    }
}

#[test]
fn sequence_numbers_are_taken_from_a_window_that_goes_around() {
    for kind in KEYED {
        for start in [7, u32::MAX - 4] {
            let at = |offset: u32| start.wrapping_add(offset);
            let mut solo = Solo::new(secured(kind));
            hear_sealed(&mut solo, kind, start);
            assert_eq!(solo.session().stats().received, 1);
            // The multiplier is 3, so the window ends 9 ahead.
            for (sequence, taken) in [
                (at(0), !meticulous(kind)),
                (at(u32::MAX), false),
                (at(10), false),
                (at(9), true),
                (at(8), false),
                (at(10), true),
            ] {
                let before = solo.session().stats().received;
                hear_sealed(&mut solo, kind, sequence);
                let now = solo.session().stats().received;
                assert_eq!(now == before + 1, taken, "{kind} {start} {sequence}");
            }
        }
    }
}

#[test]
fn a_replayed_conversation_does_not_keep_a_session_up() {
    let kind = AuthType::METICULOUS_KEYED_SHA1;
    let mut solo = Solo::new(secured(kind));
    hear_sealed(&mut solo, kind, 1);
    solo.remote.state = State::Up;
    solo.remote.your_discriminator = Some(solo.session().id());
    let recorded: Vec<_> =
        (2..12).map(|sequence| sealed(&solo.remote, kind, 1, b"secret", sequence)).collect();
    for bytes in &recorded {
        solo.wait(ms(10));
        solo.hear_bytes(bytes);
    }
    assert_eq!(solo.session().state(), State::Up);
    // The remote system dies, and somebody plays the record again.
    let detection_time = solo.session().detection_time();
    let died = solo.now;
    for bytes in recorded.iter().cycle().take(500) {
        solo.wait(ms(10));
        solo.hear_bytes(bytes);
        if solo.now.since(died) > detection_time && solo.now.since(died) < detection_time * 2 {
            assert_eq!(solo.session().state(), State::Down);
        }
    }
    assert!(solo.discarded(Discard::AuthSequence) >= 200);
}

#[test]
fn after_twice_the_detection_time_a_restarted_remote_system_is_heard_again() {
    let kind = AuthType::METICULOUS_KEYED_SHA1;
    let mut solo = Solo::new(secured(kind));
    hear_sealed(&mut solo, kind, 5000);
    let twice = solo.session().detection_time() * 2;
    solo.wait(twice.saturating_sub(ms(1)));
    hear_sealed(&mut solo, kind, 1);
    assert_eq!(solo.discarded(Discard::AuthSequence), 1);
    solo.wait(ms(1));
    hear_sealed(&mut solo, kind, 1);
    assert_eq!(solo.session().stats().received, 2);
}

#[test]
fn a_wrong_digest_teaches_no_sequence_number() {
    let kind = AuthType::METICULOUS_KEYED_SHA1;
    let mut solo = Solo::new(secured(kind));
    let forged = sealed(&solo.remote, kind, 1, b"guessed", 4_000_000);
    solo.hear_bytes(&forged);
    assert_eq!(solo.discarded(Discard::AuthDigest), 1);
    hear_sealed(&mut solo, kind, 7);
    assert_eq!(solo.session().state(), State::Init);
}

#[test]
fn a_password_must_match_by_key_length_and_bytes() {
    let mut solo = Solo::new(with_keys(AuthType::SIMPLE_PASSWORD, &[(1, b"secret"), (2, b"new")]));
    let Some(Auth::Password { key_id: 1, password: b"secret" }) =
        Packet::parse(&solo.bytes[0]).unwrap().auth
    else {
        panic!("{:?}", solo.bytes)
    };
    for (key_id, password, reason) in [
        (3, &b"secret"[..], Discard::AuthKey),
        (1, b"secre", Discard::AuthDigest),
        (1, b"secret\0", Discard::AuthDigest),
        (2, b"secret", Discard::AuthDigest),
    ] {
        let before = solo.discarded(reason);
        solo.hear_auth(Some(&Auth::Password { key_id, password }));
        assert_eq!(solo.discarded(reason), before + 1);
    }
    assert_eq!(solo.session().state(), State::Down);
    solo.hear_auth(Some(&Auth::Password { key_id: 2, password: b"new" }));
    assert_eq!(solo.session().state(), State::Init);
}

#[test]
fn both_ends_must_authenticate_by_the_same_type_or_not_at_all() {
    let mut plain = Solo::new(profile(10, 3));
    hear_sealed(&mut plain, AuthType::KEYED_SHA1, 1);
    assert_eq!(plain.discarded(Discard::AuthUnexpected), 1);

    let mut solo = Solo::new(secured(AuthType::KEYED_SHA1));
    solo.hear();
    assert_eq!(solo.discarded(Discard::AuthMissing), 1);
    hear_sealed(&mut solo, AuthType::METICULOUS_KEYED_SHA1, 1);
    hear_sealed(&mut solo, AuthType::KEYED_MD5, 1);
    solo.hear_auth(Some(&Auth::Password { key_id: 1, password: b"secret" }));
    solo.hear_auth(Some(&Auth::Unknown { kind: AuthType(6), data: &[1, 2, 3] }));
    assert_eq!(solo.discarded(Discard::AuthType), 4);
    let bytes = sealed(&solo.remote, AuthType::KEYED_SHA1, 9, b"secret", 1);
    solo.hear_bytes(&bytes);
    assert_eq!(solo.discarded(Discard::AuthKey), 1);
    assert_eq!(solo.session().state(), State::Down);
}

#[test]
fn keys_roll_over_without_disturbing_the_session() {
    let kind = AuthType::METICULOUS_KEYED_SHA1;
    let [old, new]: [(u8, &[u8]); 2] = [(1, b"secret"), (2, b"fresh")];
    let mut solo = Solo::new(with_keys(kind, &[old]));
    hear_sealed(&mut solo, kind, 1);
    solo.remote.state = State::Up;
    solo.remote.your_discriminator = Some(solo.session().id());
    hear_sealed(&mut solo, kind, 2);
    solo.take_changes();
    let mut sequence = 2;
    // Both keys are known; then we send with the new one; then the old one goes.
    for (keys, ours, theirs) in
        [(&[old, new][..], 1, old), (&[new, old], 2, old), (&[new, old], 2, new), (&[new], 2, new)]
    {
        solo.request(Client::Ospf, with_keys(kind, keys));
        for _ in 0..10 {
            sequence += 1;
            solo.wait(ms(10));
            let bytes = sealed(&solo.remote, kind, theirs.0, theirs.1, sequence);
            solo.hear_bytes(&bytes);
        }
        let packet = Packet::parse(solo.bytes.last().unwrap()).unwrap();
        assert!(matches!(packet.auth, Some(Auth::Digest { key_id, .. }) if key_id == ours));
    }
    assert_eq!(solo.take_changes(), []);
    assert_eq!(solo.session().stats().discarded, 0);
}
