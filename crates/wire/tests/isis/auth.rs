//! Passwords and digests (ISO 10589, RFC 5304 and RFC 5310).

use bugle_wire::isis::{
    Algorithm::{self, *},
    AuthError, Key, KeyError, Level, LspFields, LspFlags, LspId, NodeId, SequenceNumber, SystemId,
    TlvBuilder, emit_lsp, emit_psnp, set_lifetime, verify,
};

use crate::common::hex;

const HASHED: [Algorithm; 6] = [HmacMd5, HmacSha1, HmacSha224, HmacSha256, HmacSha384, HmacSha512];

fn key(algorithm: Algorithm, id: u16, secret: &[u8]) -> Key {
    Key::new(algorithm, id, secret).unwrap()
}

/// An LSP with a hostname.
fn lsp(lifetime: u16, key: Option<&Key>) -> Vec<u8> {
    let node = NodeId::of_system(SystemId([0, 0, 0, 0, 0, 1]));
    let fields = LspFields {
        lifetime,
        id: LspId { node, fragment: 0 },
        sequence: SequenceNumber(11),
        flags: LspFlags::LEVEL_1 | LspFlags::LEVEL_2,
    };
    let mut tlvs = TlvBuilder::new(100);
    assert!(tlvs.hostname("hv1"));
    emit_lsp(Level::L2, &fields, tlvs.bytes(), key)
}

// Computed from the formulas of RFC 2104 and RFC 5310 section 3.3 in Python, with its `hashlib` only. A key longer than the
// digest is hashed by RFC 5310, though it may be shorter than the block that HMAC itself would take.
#[test]
fn digests_are_those_of_the_rfcs() {
    let long: Vec<u8> = (1..=100).collect();
    for (algorithm, of_short, of_long) in [
        (HmacMd5, "efdfa61186f1209c24d933b9b8dcaf29", "30bbea6d33038979f720a04019452a76"),
        (
            HmacSha1,
            "e67603834c50c2347dfb54231434fcffa949ba20",
            "89cad4bf4c98ae4f32b99d291ed42ac3a81da179",
        ),
        (
            HmacSha224,
            "caf459d607a765300b488429036904e544914c3af6b480a9607ce1fe",
            "c0fd06b8bd781ae7a1716d19e6d0ec2ca0a2d3c2243e7c8db1b7a048",
        ),
        (
            HmacSha256,
            "7686cc444f953ac3ff08d6ab5a8c3ded23d982bca36ef8347dcb0acc8ce0f0ac",
            "83d92d47684889f06aae17f92873e3604638d191ac25c6fbdd079469e682a7fe",
        ),
        (
            HmacSha384,
            "1e771f88f5df97ff2219272e50259dd55598526ffd212b30f51387c4446c1baf29fb187b63b12b1e0385047943e89c58",
            "5ee41d63eefe86cc636436dd8248fc7764640205cd5b661ec573ea9293f13a636d5bb2fc4c4de6980d777ecb315cb265",
        ),
        (
            HmacSha512,
            "a3d7859a79d3f6b7a3763da9f641c928aa599047ec1016dfb1a10e3e06daae77\
             4f2a98d7067271bf44dad0a5a83111e08fbdbe3fe6bf215f507c8f0f9c8d7a05",
            "282d2c6af29d850760b5d4d7d9397b25443d03b3b7f1a96412686a24a5fd58f2\
             da90c3796d56b32f33d870fa4f8daac87440bde151f27661c087d5158f6ce963",
        ),
    ] {
        for (secret, digest) in [(b"secret".as_slice(), of_short), (&long, of_long)] {
            let key = key(algorithm, 7, secret);
            let pdu = lsp(1200, Some(&key));
            let digest = hex(digest);
            let head = if algorithm == HmacMd5 { 3 } else { 5 };
            let end = 27 + head + digest.len();
            assert_eq!(pdu[27 + head..end], digest, "{algorithm:?}, {} octets", secret.len());
            assert_eq!((key.tlv_length(), pdu.len()), (head + digest.len(), end + 5));
        }
    }
}

// RFC 5310 section 3.4 and RFC 5304 section 2.
#[test]
fn tlvs_are_as_long_as_the_rfcs_say() {
    for (algorithm, length) in
        HASHED.into_iter().zip([17, 23, 31, 35, 51, 67]).chain([(Cleartext, 7)])
    {
        let pdu = lsp(1200, Some(&key(algorithm, 1, b"secret")));
        assert_eq!(pdu[27..29], [10, length], "{algorithm:?}");
    }
}

#[test]
fn a_signed_pdu_verifies_until_a_bit_changes_that_is_covered() {
    for algorithm in HASHED {
        let keys = [key(algorithm, 3, b"secret")];
        let whole = lsp(1200, Some(&keys[0]));
        assert_eq!(verify(&whole, &keys), Ok(&keys[0]));
        for bit in 0..whole.len() * 8 {
            let mut pdu = whole.clone();
            pdu[bit / 8] ^= 1 << (bit % 8);
            // Neither the lifetime nor the checksum is covered.
            let free = (10..12).contains(&(bit / 8)) || (24..26).contains(&(bit / 8));
            assert_eq!(verify(&pdu, &keys).is_ok(), free, "{algorithm:?}, bit {bit}");
        }
    }
}

#[test]
fn ageing_an_lsp_changes_neither_its_digest_nor_its_checksum() {
    let keys = [key(HmacSha256, 3, b"secret")];
    let mut pdu = lsp(1200, Some(&keys[0]));
    set_lifetime(&mut pdu, 17);
    assert_eq!(verify(&pdu, &keys), Ok(&keys[0]));
    assert!(bugle_wire::isis::Lsp::parse(&pdu).unwrap().checksum_ok());
    assert_eq!(pdu[10..12], [0, 17]);
}

#[test]
fn keys_roll_over_while_both_are_good() {
    let (old, new) = (key(HmacSha256, 1, b"old"), key(HmacSha512, 2, b"new"));
    let both = [old.clone(), new.clone()];
    for signer in &both {
        assert_eq!(verify(&lsp(1200, Some(signer)), &both), Ok(signer));
    }
    assert_eq!(verify(&lsp(1200, Some(&old)), &both[1..]), Err(AuthError::UnknownKey(1)));
    // HMAC-MD5 has no key ID: every key is tried (RFC 5304 section 2).
    let both = [key(HmacMd5, 0, b"old"), key(HmacMd5, 0, b"new")];
    for signer in &both {
        assert_eq!(verify(&lsp(1200, Some(signer)), &both), Ok(signer));
    }
    // The same ID may stand for two algorithms, whose digests are of different lengths.
    let both = [key(HmacSha1, 1, b"one"), key(HmacSha256, 1, b"one")];
    for signer in &both {
        assert_eq!(verify(&lsp(1200, Some(signer)), &both), Ok(signer));
    }
}

#[test]
fn what_does_not_authenticate_is_told_apart() {
    let keys = [key(HmacSha256, 3, b"secret"), key(Cleartext, 0, b"pass")];
    assert_eq!(verify(&lsp(1200, None), &keys), Err(AuthError::Missing));
    let refused = |other: &Key| verify(&lsp(1200, Some(other)), &keys);
    assert_eq!(refused(&key(HmacSha256, 3, b"Secret")), Err(AuthError::Mismatch));
    assert_eq!(refused(&key(HmacSha256, 4, b"secret")), Err(AuthError::UnknownKey(4)));
    assert_eq!(refused(&key(HmacSha1, 3, b"secret")), Err(AuthError::Mismatch));
    assert_eq!(refused(&key(HmacMd5, 3, b"secret")), Err(AuthError::WrongType(54)));
    assert_eq!(refused(&key(Cleartext, 0, b"pass")), Ok(&keys[1]));
    for wrong in ["Pass", "pas", "passw"] {
        assert_eq!(refused(&key(Cleartext, 0, wrong.as_bytes())), Err(AuthError::Mismatch));
    }
    assert_eq!(verify(&lsp(1200, Some(&keys[0])), &[]), Err(AuthError::WrongType(3)));

    let psnp = |tlvs: &str| {
        let node = NodeId::of_system(SystemId([0, 0, 0, 0, 0, 1]));
        verify(&emit_psnp(Level::L1, node, &hex(tlvs), None), &keys)
    };
    assert_eq!(psnp("0a 05 01 70617373"), Ok(&keys[1]));
    assert_eq!(psnp("0a 05 01 70617373 0a 05 01 70617373"), Err(AuthError::Repeated));
    assert_eq!(psnp("0a 02 ff 70"), Err(AuthError::WrongType(255)));
    for malformed in
        ["0a 00", "0a 02 03 00", "0a 02 36 00", "0a 12 36 0000000000000000000000000000000000"]
    {
        assert!(matches!(psnp(malformed), Err(AuthError::Malformed(_))), "{malformed}");
    }
    // No digest at all is not the digest.
    assert_eq!(psnp("0a 03 03 0003"), Err(AuthError::Mismatch));
    assert_eq!(psnp("0a 01 01"), Err(AuthError::Mismatch));
    assert_eq!(AuthError::Mismatch.name(), "auth-mismatch");
}

#[test]
fn a_secret_is_of_a_length_that_can_be_sent_and_never_shown() {
    assert_eq!(Key::new(HmacSha256, 1, b""), Err(KeyError::Empty));
    assert_eq!(Key::new(Cleartext, 1, &[b'a'; 255]), Err(KeyError::TooLong(255)));
    let longest = key(Cleartext, 1, &[b'a'; 254]);
    let pdu = lsp(1200, Some(&longest));
    assert_eq!(verify(&pdu, std::slice::from_ref(&longest)), Ok(&longest));
    let shown = format!("{:?}", key(HmacSha256, 9, b"secret"));
    assert_eq!(shown, "Key { algorithm: HmacSha256, id: 9, .. }");
}
