//! Packets that must be refused, among them the shapes of published attacks on other OSPF implementations: the refusal
//! says what is wrong and where.

use bugle_types::{AreaId, RouterId};
use bugle_wire::DecodeErrorKind::{self, *};
use bugle_wire::ospf::{
    Auth, Body, Header, Hello, LsaBody, LsaKey, LsaType, MAX_LSA, MAX_PACKET, MAX_ROUTER_LINKS,
    Options, Packet, RouterFlags, RouterLink, RouterLinkKind, SequenceNumber, UpdateBuilder,
    build_lsa, emit_hello, external_body, router_body,
};
use bugle_wire::ospf::{ExternalLsa, HelloFields, Lsa, emit_link_state_request};

use crate::common::{hex, ip};

const HEADER: Header =
    Header { router_id: RouterId(0x0aff_0001), area: AreaId(0), auth: Auth::Null };

/// A packet of a type around a body, with the right length and checksum.
fn packet(packet_type: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, packet_type, 0, 0, 10, 255, 0, 1];
    bytes.resize(24, 0);
    bytes.extend_from_slice(body);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    seal(&mut bytes);
    bytes
}

/// Makes the checksum right.
fn seal(bytes: &mut [u8]) {
    bytes[12..14].fill(0);
    let checksum = bugle_wire::checksum::internet(&[&bytes[..16], &bytes[24..]]);
    bytes[12..14].copy_from_slice(&checksum.to_be_bytes());
}

/// An LSA of a type around a body, well-formed as far as flooding looks.
fn lsa(ls_type: LsaType, body: &[u8]) -> Vec<u8> {
    let key = LsaKey {
        ls_type,
        link_state_id: ip("10.255.0.1"),
        advertising_router: RouterId(0x0aff_0001),
    };
    build_lsa(Options::E, key, SequenceNumber::INITIAL, 1, body)
}

fn refusal(bytes: &[u8]) -> (usize, DecodeErrorKind) {
    let error = Packet::parse(bytes).unwrap_err();
    (error.at, error.kind)
}

/// How the body of an LSA is refused; the offset counts from the LSA.
fn body_refusal(ls_type: LsaType, body: &[u8]) -> (usize, DecodeErrorKind) {
    let bytes = lsa(ls_type, body);
    let lsa = Lsa::parse(&bytes).unwrap();
    assert!(lsa.checksum_ok());
    let error = lsa.body().unwrap_err();
    (error.at, error.kind)
}

fn hello() -> Vec<u8> {
    let fields = HelloFields {
        mask: ip("255.255.255.0"),
        hello_interval: 1,
        options: Options::E,
        priority: 1,
        dead_interval: 4,
        dr: ip("0.0.0.0"),
        bdr: ip("0.0.0.0"),
    };
    emit_hello(&HEADER, &fields, [RouterId(1)])
}

#[test]
fn every_truncation_of_a_packet_is_refused() {
    let whole = hello();
    assert!(Packet::parse(&whole).is_ok());
    for length in 0..whole.len() {
        let (at, kind) = refusal(&whole[..length]);
        if let Truncated { need, have } = kind {
            assert!(at + have == length && need > have, "{kind:?}");
        } else {
            assert_eq!((at, kind), (2, BadLength { length: 48, have: length }));
        }
    }
}

#[test]
fn the_header_must_be_of_a_version_and_type_there_are() {
    let mut bytes = hello();
    bytes[0] = 3;
    assert_eq!(refusal(&bytes), (0, BadVersion(3)));
    for packet_type in [0, 6, 255] {
        assert_eq!(refusal(&packet(packet_type, &[])), (1, UnknownPacketType(packet_type)));
    }
}

#[test]
fn the_packet_length_covers_the_header_and_no_more_than_arrived() {
    let mut bytes = hello();
    for length in [0_u16, 23, 49, 0xffff] {
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        seal(&mut bytes);
        assert_eq!(refusal(&bytes), (2, BadLength { length: length.into(), have: 48 }));
    }
}

#[test]
fn a_damaged_bit_anywhere_outside_the_authentication_field_is_noticed() {
    let whole = hello();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let authentication = (14..24).contains(&(bit / 8));
        assert!(Packet::parse(&bytes).is_err() || authentication, "bit {bit}");
    }
    let mut bytes = whole;
    bytes[30] ^= 1;
    assert_eq!(refusal(&bytes), (12, BadChecksum));
}

// CVE-2011-3325, CVE-2013-2236 and their kin: a Hello or Database Description shorter than its fixed part.
#[test]
fn fixed_parts_must_be_whole() {
    assert_eq!(refusal(&packet(1, &[])), (24, Truncated { need: 4, have: 0 }));
    assert_eq!(refusal(&packet(1, &[0; 19])), (40, Truncated { need: 4, have: 3 }));
    assert_eq!(refusal(&packet(2, &[0; 7])), (28, Truncated { need: 4, have: 3 }));
    assert_eq!(refusal(&packet(4, &[0; 3])), (24, Truncated { need: 4, have: 3 }));
}

#[test]
fn lists_must_be_whole() {
    assert_eq!(refusal(&packet(1, &[0; 22])), (44, BadListLength { size: 4, length: 2 }));
    assert_eq!(refusal(&packet(2, &[0; 27])), (32, BadListLength { size: 20, length: 19 }));
    assert_eq!(refusal(&packet(3, &[0; 13])), (24, BadListLength { size: 12, length: 13 }));
    assert_eq!(refusal(&packet(5, &[0; 39])), (24, BadListLength { size: 20, length: 39 }));
}

#[test]
fn an_ls_type_above_255_is_no_ls_type() {
    let body = hex("00000001 0aff0001 0aff0001  00000101 0aff0001 0aff0001");
    assert_eq!(refusal(&packet(3, &body)), (36, LsTypeOutOfRange(0x101)));
    let key = LsaKey {
        ls_type: LsaType(255),
        link_state_id: ip("1.1.1.1"),
        advertising_router: RouterId(1),
    };
    assert!(Packet::parse(&emit_link_state_request(&HEADER, [key])).is_ok());
}

// A count that loops a decoder through four thousand million LSAs, or reads past the packet.
#[test]
fn an_update_must_hold_as_many_lsas_as_it_states() {
    let one = lsa(LsaType::SUMMARY_NETWORK, &[0; 8]);
    for stated in [2, u32::MAX] {
        let body = [&stated.to_be_bytes()[..], &one].concat();
        assert_eq!(refusal(&packet(4, &body)), (24, BadLsaCount { stated, found: 1 }));
    }
    let body = [&[0, 0, 0, 0][..], &one].concat();
    assert_eq!(refusal(&packet(4, &body)), (28, TrailingBytes(28)));
    let body = [&[0, 0, 0, 1][..], &one, &[0, 0]].concat();
    assert_eq!(refusal(&packet(4, &body)), (56, TrailingBytes(2)));
    assert!(Packet::parse(&packet(4, &[0; 4])).is_ok());
}

// CVE-2012-0249: an LSA's length below that of its header, or beyond the packet.
#[test]
fn an_lsa_must_be_at_least_its_header_and_fit_the_packet() {
    for stated in [0_u16, 19, 29, 0xffff] {
        let mut one = lsa(LsaType::SUMMARY_NETWORK, &[0; 8]);
        one[18..20].copy_from_slice(&stated.to_be_bytes());
        let expected = BadLsaLength { length: stated.into(), have: 28 };
        assert_eq!(refusal(&packet(4, &[&[0, 0, 0, 1][..], &one].concat())), (46, expected));
        assert_eq!(Lsa::parse(&one).unwrap_err().at, 18);
    }
    let header = lsa(LsaType::SUMMARY_NETWORK, &[]);
    let short = [&[0, 0, 0, 1][..], &header[..19]].concat();
    assert_eq!(refusal(&packet(4, &short)), (46, Truncated { need: 2, have: 1 }));
    let longer = [&header[..], &[0]].concat();
    assert_eq!(Lsa::parse(&longer).unwrap_err().kind, TrailingBytes(1));
}

// FRR accepted it until c29b9edee9: RFC 2328 section 12.1.7 has no zero checksum.
#[test]
fn a_zero_lsa_checksum_is_wrong_even_where_the_sums_are_zero() {
    let mut bytes = vec![0; 24];
    bytes[19] = 24;
    // Of zeros the sums are zero, but for the length's; two octets of the body make up for that.
    let checksum = bugle_wire::checksum::fletcher(&bytes[2..], 18);
    bytes[20..22].copy_from_slice(&checksum.to_be_bytes());
    assert!(bugle_wire::checksum::fletcher_ok(&bytes[2..]));
    assert!(!Lsa::parse(&bytes).unwrap().checksum_ok());
}

#[test]
fn the_age_is_not_covered_by_the_lsa_checksum_and_all_else_is() {
    let whole = lsa(LsaType::SUMMARY_NETWORK, &hex("ffffffff 0000000a"));
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // A changed length is no LSA at all.
        let ok = Lsa::parse(&bytes).is_ok_and(|lsa| lsa.checksum_ok());
        assert_eq!(ok, bit < 16, "bit {bit}");
    }
}

// Link count against body: Quagga and FRR (PR 6217), BIRD (e3f1bb09b).
#[test]
fn a_router_lsa_must_hold_as_many_links_as_it_states() {
    let link = hex("0aff0002 0a4d0001 01 00 000a");
    let body = |count: u16, links: &[u8]| [&[0, 0][..], &count.to_be_bytes(), links].concat();
    let refused = |body: &[u8]| body_refusal(LsaType::ROUTER, body);
    assert_eq!(refused(&[0; 3]), (22, Truncated { need: 2, have: 1 }));
    assert_eq!(refused(&body(2, &link)), (22, BadLinkCount { stated: 2, found: 1 }));
    assert_eq!(refused(&body(0xffff, &link)), (22, BadLinkCount { stated: 0xffff, found: 1 }));
    assert_eq!(refused(&body(1, &link[..11])), (22, BadLinkCount { stated: 1, found: 0 }));
    assert_eq!(refused(&body(0, &link)), (24, TrailingBytes(12)));
    // More metrics by type of service than there are bytes.
    let greedy = hex("0aff0002 0a4d0001 01 ff 000a");
    assert_eq!(refused(&body(1, &greedy)), (22, BadLinkCount { stated: 1, found: 0 }));
}

// CVE-2012-0250: a network-LSA shorter than its mask.
#[test]
fn bodies_must_be_whole() {
    let cut = |need, have| Truncated { need, have };
    assert_eq!(body_refusal(LsaType::NETWORK, &[0; 3]), (20, cut(4, 3)));
    assert_eq!(body_refusal(LsaType::NETWORK, &[0; 9]), (24, BadListLength { size: 4, length: 5 }));
    for ls_type in [LsaType::SUMMARY_NETWORK, LsaType::SUMMARY_ASBR] {
        assert_eq!(body_refusal(ls_type, &[0; 7]), (24, cut(4, 3)));
        assert_eq!(body_refusal(ls_type, &[0; 9]), (28, BadListLength { size: 4, length: 1 }));
    }
    for ls_type in [LsaType::AS_EXTERNAL, LsaType::NSSA] {
        assert_eq!(body_refusal(ls_type, &[0; 15]), (32, cut(4, 3)));
        assert_eq!(body_refusal(ls_type, &[0; 20]), (36, BadListLength { size: 12, length: 4 }));
    }
}

// FRR issue 21502: opaque data that is not aligned to 32 bits.
#[test]
fn opaque_data_must_be_aligned() {
    for ls_type in [LsaType::OPAQUE_LINK, LsaType::OPAQUE_AREA, LsaType::OPAQUE_AS] {
        let expected = (20, BadListLength { size: 4, length: 7 });
        assert_eq!(body_refusal(ls_type, &[0; 7]), expected);
    }
}

// Traffic engineering (CVE-2024-27913, -34088), router information (CVE-2024-31950, FRR 0dc969185f and issue 22819), extended links
// and prefixes (CVE-2024-31951, FRR issue 22818), lengths whose sum wraps (CVE-2026-28532), and all of these shown
// (CVE-2025-61099 to -61107): FRR takes such data apart. Here it is carried, and shown as triplets or as octets.
#[test]
fn opaque_data_that_ended_others_is_carried_and_shown() {
    let bodies = [
        // A link without addresses; with a sub-TLV longer than the link; of no length.
        "0002 0008 0001 0001 01000000",
        "0002 0008 0003 ffff 0a000001",
        "0002 0000",
        // A range of labels cut short; eight algorithms and 252 more; a local block that says nothing.
        "0009 0004 00001f40",
        "0008 00fc 00010203 04050607",
        "000e 0008 00001f40 0002 0003",
        // An extended link whose sub-TLV goes on behind it; an extended prefix of exactly eight octets.
        "0001 0010 01000000 0a000001 0a000002 0002 00ff",
        "0001 0008 01200000 0a000001",
        // Lengths up to 65,535, whose sum with the header is less than they are.
        "0001 fffc 00000000",
        "0001 ffff 00000000",
        "0001 fffd 00000000 0002 fffe 00000000",
    ];
    for ls_type in [LsaType::OPAQUE_LINK, LsaType::OPAQUE_AREA, LsaType::OPAQUE_AS] {
        for opaque_type in [1, 4, 7, 8, 255] {
            for text in bodies {
                let body = hex(text);
                let key = LsaKey {
                    ls_type,
                    link_state_id: std::net::Ipv4Addr::new(opaque_type, 0, 0, 1),
                    advertising_router: RouterId(0x0aff_0001),
                };
                let one = build_lsa(Options::E, key, SequenceNumber::INITIAL, 1, &body);
                let bytes = packet(4, &[&[0, 0, 0, 1][..], &one].concat());
                crate::ospf_packet::check(&bytes);
                let Body::LinkStateUpdate(update) = Packet::parse(&bytes).unwrap().body else {
                    panic!("{text}")
                };
                let carried = update.lsas().next().unwrap();
                assert_eq!(carried.bytes(), one);
                assert_eq!(carried.body(), Ok(LsaBody::Opaque(&body)), "{text}");
            }
        }
    }
}

// CVE-2011-3326: an LSA of an unknown type crashed Quagga. Here it floods, and only its body is refused.
#[test]
fn an_lsa_of_unknown_type_is_carried_but_not_understood() {
    for unknown in [0, 6, 8, 12, 255] {
        assert_eq!(body_refusal(LsaType(unknown), &[1, 2, 3]), (3, UnknownLsType(unknown)));
        let one = lsa(LsaType(unknown), &[1, 2, 3]);
        let mut builder = UpdateBuilder::new(&HEADER);
        assert!(builder.push(&one, 7));
        let bytes = builder.finish();
        let Body::LinkStateUpdate(update) = Packet::parse(&bytes).unwrap().body else {
            panic!("{bytes:?}")
        };
        let received = update.lsas().next().unwrap();
        assert_eq!(received.bytes()[2..], one[2..]);
        assert_eq!(received.header().age, 7);
    }
}

// zebra-rs took any unknown kind of link for a stub network.
#[test]
fn a_link_of_unknown_kind_stays_what_it_is() {
    let link = RouterLink {
        kind: RouterLinkKind::Unknown(9),
        id: ip("1.1.1.1"),
        data: ip("2.2.2.2"),
        metric: 3,
    };
    let bytes = lsa(LsaType::ROUTER, &router_body(RouterFlags(0xe0), &[link]));
    let LsaBody::Router(router) = Lsa::parse(&bytes).unwrap().body().unwrap() else {
        panic!("{bytes:?}")
    };
    assert_eq!((router.flags, router.links.collect::<Vec<_>>()), (RouterFlags(0xe0), vec![link]));
}

#[test]
fn a_digest_must_be_whole() {
    let mut bytes = hello();
    bytes[14..24].copy_from_slice(&hex("0002 0000 01 10 00000001"));
    assert_eq!(refusal(&bytes), (48, Truncated { need: 16, have: 0 }));
    bytes.extend([0; 15]);
    assert_eq!(refusal(&bytes), (48, Truncated { need: 16, have: 15 }));
    bytes.push(0);
    // With a digest the checksum is not used, so the one above may stand.
    assert_eq!(Packet::parse(&bytes).unwrap().digest, [0; 16]);
}

// BIRD read past such a block until 2026. RFC 5613 section 2.2: the packet counts, the block does not.
#[test]
fn damaged_link_local_signalling_is_ignored_and_the_packet_is_not() {
    let mut with_l = hello();
    with_l[30] |= Options::L.0;
    seal(&mut with_l);
    let block = |bytes: &[u8]| {
        let packet = [&with_l[..], bytes].concat();
        Packet::parse(&packet).unwrap().lls.map(|lls| lls.tlvs().count())
    };
    let sealed = |hexadecimal: &str| {
        let mut bytes = hex(hexadecimal);
        let checksum = bugle_wire::checksum::internet(&[&bytes]);
        bytes[..2].copy_from_slice(&checksum.to_be_bytes());
        bytes
    };
    assert_eq!(block(&sealed("0000 0003 0001 0004 00000001")), Some(1));
    assert_eq!(block(&sealed("0000 0001")), Some(0));
    assert_eq!(block(&hex("0000 0003 0001 0004 00000001")), None, "the checksum is wrong");
    assert_eq!(block(&[]), None);
    assert_eq!(block(&hex("ffff 00")), None);
    assert_eq!(block(&sealed("0000 0000")), None, "no room for its own header");
    assert_eq!(block(&sealed("0000 ffff 0001 0004 00000001")), None, "longer than the packet");
    assert_eq!(block(&sealed("0000 0003 0001 0005 00000001")), None, "a triplet does not fit");
    assert_eq!(block(&sealed("0000 0002 0001 ffff")), None, "a triplet does not fit");
    // With a digest the checksum is not used, and still a block has a header.
    let mut digested = with_l.clone();
    digested[14..24].copy_from_slice(&hex("0002 0000 01 02 00000001"));
    let after_digest = |text: &str| {
        let packet = [&digested[..], &[0xaa; 2], &hex(text)].concat();
        Packet::parse(&packet).unwrap().lls.map(|lls| lls.tlvs().count())
    };
    assert_eq!(after_digest("0000 0003 0001 0004 00000001"), Some(1));
    assert_eq!(after_digest("0000 0000"), None);
    // Without the L bit it is nothing but padding.
    let plain = [hello(), sealed("0000 0003 0001 0004 00000001")].concat();
    assert_eq!(Packet::parse(&plain).unwrap().lls, None);
}

#[test]
fn nothing_emitted_outgrows_what_ip_carries() {
    let whole = hello();
    let Body::Hello(Hello { fields, .. }) = Packet::parse(&whole).unwrap().body else { panic!() };
    let bytes = emit_hello(&HEADER, &fields, (0..100_000).map(RouterId));
    assert!(bytes.len() <= MAX_PACKET && bytes.len() > MAX_PACKET - 4);
    assert!(Packet::parse(&bytes).is_ok());

    let link = RouterLink {
        kind: RouterLinkKind::Stub,
        id: ip("1.1.1.1"),
        data: ip("255.255.255.255"),
        metric: 0,
    };
    let body = router_body(RouterFlags::NONE, &vec![link; MAX_ROUTER_LINKS + 1]);
    let largest = lsa(LsaType::ROUTER, &body);
    assert!(largest.len() <= MAX_LSA && largest.len() > MAX_LSA - 12);
    let parsed = Lsa::parse(&largest).unwrap();
    assert!(parsed.checksum_ok());
    let LsaBody::Router(router) = parsed.body().unwrap() else { panic!() };
    assert_eq!(router.links.count(), MAX_ROUTER_LINKS);

    let mut builder = UpdateBuilder::new(&HEADER);
    assert!(builder.push(&largest, 0));
    assert!(!builder.push(&lsa(LsaType::ROUTER, &router_body(RouterFlags::NONE, &[link; 2])), 0));
    assert_eq!(builder.count(), 1);
    assert!(Packet::parse(&builder.finish()).is_ok());

    let cut = lsa(LsaType::OPAQUE_AREA, &vec![0; 70_000]);
    assert_eq!(cut.len(), MAX_LSA);
    assert!(Lsa::parse(&cut).unwrap().checksum_ok());
}

#[test]
fn what_is_shorter_than_an_lsa_header_is_not_put_into_an_update() {
    let mut builder = UpdateBuilder::new(&HEADER);
    assert!(!builder.push(&[0; 19], 0));
    assert!(!builder.push(&[], 0));
    assert!(builder.is_empty());
}

#[test]
fn metrics_are_cut_to_24_bits() {
    let external = ExternalLsa {
        mask: ip("255.255.255.255"),
        type2: false,
        metric: u32::MAX,
        forwarding: ip("0.0.0.0"),
        tag: 0,
    };
    let bytes = lsa(LsaType::AS_EXTERNAL, &external_body(&external));
    let expected = ExternalLsa { metric: bugle_wire::ospf::LS_INFINITY, ..external };
    assert_eq!(Lsa::parse(&bytes).unwrap().body(), Ok(LsaBody::External(expected)));
}
