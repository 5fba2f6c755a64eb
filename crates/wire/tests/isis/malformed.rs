//! PDUs that must be refused, among them the shapes of published attacks on other implementations: the refusal says what is
//! wrong and where. A TLV that is refused leaves the PDU around it standing.

use bugle_wire::DecodeErrorKind::{self, *};
use bugle_wire::isis::{
    FloodingParameters, Frame, Level, Lsp, NodeId, Pdu, PduBody, PduType, RouterCapability,
    TlvBody, TlvCode, emit_psnp,
};

use crate::common::hex;
use crate::isis_pdu::{self, lsp_with};

fn refusal(bytes: &[u8]) -> (usize, DecodeErrorKind) {
    let error = Pdu::parse(bytes).unwrap_err();
    (error.at, error.kind)
}

/// How a TLV is refused; the offset counts from its code. The LSP around it is decoded.
fn tlv_refusal(text: &str) -> (usize, DecodeErrorKind) {
    let bytes = lsp_with(&hex(text));
    isis_pdu::check(&bytes);
    let tlvs = Lsp::parse(&bytes).unwrap().tlvs().unwrap();
    let error = tlvs.iter().next().unwrap().body().unwrap_err();
    (error.at - 27, error.kind)
}

/// A PDU of each type, with nothing in it.
fn empty(pdu_type: PduType) -> Vec<u8> {
    let length = pdu_type.header_length();
    let mut bytes = vec![0x83, u8::try_from(length).unwrap(), 1, 0, pdu_type.number(), 1, 0, 0];
    bytes.resize(length, 0);
    let at = if matches!(pdu_type, PduType::LanHello(_) | PduType::P2pHello) { 18 } else { 9 };
    bytes[at] = bytes[1];
    bytes
}

#[test]
fn every_truncation_of_every_type_is_refused() {
    for pdu_type in PduType::ALL {
        let whole = empty(pdu_type);
        assert_eq!(Pdu::parse(&whole).unwrap().body.pdu_type(), pdu_type);
        for length in 0..whole.len() {
            let (at, kind) = refusal(&whole[..length]);
            if let Truncated { need, have } = kind {
                assert!(at + have == length && need > have, "{pdu_type:?} {kind:?}");
            } else {
                assert_eq!(kind, BadLength { length: whole.len(), have: length }, "{pdu_type:?}");
            }
        }
    }
}

#[test]
fn the_header_must_be_of_a_protocol_version_and_type_there_are() {
    let with = |at: usize, value| {
        let mut bytes = empty(PduType::P2pHello);
        bytes[at] = value;
        Pdu::parse(&bytes).map(drop).map_err(|error| (error.at, error.kind))
    };
    assert_eq!(with(0, 0x81), Err((0, NotIsis(0x81))));
    assert_eq!(with(1, 27), Err((1, BadHeaderLength { length: 27, expected: 20 })));
    assert_eq!(with(2, 2), Err((2, BadIsisVersion(2))));
    assert_eq!(with(5, 0), Err((5, BadIsisVersion(0))));
    for length in [1, 5, 7, 8, 255] {
        assert_eq!(with(3, length), Err((3, BadIdLength(length))));
    }
    assert_eq!(with(3, 6), Ok(()), "six octets are also called zero");
    for number in [0, 14, 19, 21, 28, 31] {
        assert_eq!(with(4, number), Err((4, UnknownPacketType(number))));
    }
    assert_eq!(with(4, 0xf1), Ok(()), "reserved bits are ignored");
    assert_eq!(with(7, 3), Ok(()), "the engine judges the number of areas");
}

// CVE-2017-12999 and its kin; zebra-rs took Ethernet padding for TLVs.
#[test]
fn the_pdu_length_covers_the_header_and_no_more_than_arrived() {
    for pdu_type in PduType::ALL {
        let whole = empty(pdu_type);
        let at = if matches!(pdu_type, PduType::LanHello(_) | PduType::P2pHello) { 17 } else { 8 };
        for length in [0, 1, whole.len() - 1, whole.len() + 1, 0xffff] {
            let mut bytes = whole.clone();
            bytes[at..at + 2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            assert_eq!(refusal(&bytes), (at, BadLength { length, have: whole.len() }));
        }
    }
}

#[test]
fn tlvs_must_fit_the_pdu_to_the_byte() {
    let psnp = |tlvs: &str| {
        let tlvs = hex(tlvs);
        let mut bytes = empty(PduType::Psnp(Level::L1));
        bytes.extend(&tlvs);
        bytes[9] = u8::try_from(bytes.len()).unwrap();
        Pdu::parse(&bytes).map(drop).map_err(|error| (error.at, error.kind))
    };
    assert_eq!(psnp("08 00"), Ok(()));
    assert_eq!(psnp("08"), Err((17, Truncated { need: 2, have: 1 })));
    assert_eq!(psnp("08 02 00"), Err((18, BadTlvLength { code: 8, length: 2, have: 1 })));
    assert_eq!(psnp("08 01 00 f0 ff"), Err((21, BadTlvLength { code: 240, length: 255, have: 0 })));
    // An LSP is looked into only when it is wanted.
    let bytes =
        [&hex("831b010012010000 001c 04b0 000000000001 00 00 00000001 1234 03")[..], &[8]].concat();
    let lsp = Lsp::parse(&bytes).unwrap();
    assert_eq!(lsp.tlvs().unwrap_err().kind, Truncated { need: 2, have: 1 });
    assert!(!lsp.checksum_ok());
    isis_pdu::check(&bytes);
}

// A list cut short would have the database flooded that the sender has.
#[test]
fn a_sequence_numbers_pdu_with_a_broken_list_is_refused_whole() {
    let node = NodeId::default();
    let bytes = emit_psnp(Level::L1, node, &hex("09 0f 04af 000000000001 0000 00000002 ab"), None);
    assert_eq!(refusal(&bytes), (19, BadListLength { size: 16, length: 15 }));
    // What an unknown TLV holds is nobody's list.
    let bytes = emit_psnp(Level::L1, node, &hex("fa 01 00"), None);
    let PduBody::Psnp(psnp) = Pdu::parse(&bytes).unwrap().body else { panic!() };
    assert_eq!(psnp.entries().count(), 0);
}

#[test]
fn lists_must_be_whole() {
    for (code, size) in
        [(6, 6), (128, 12), (130, 12), (132, 4), (148, 3), (229, 2), (232, 16), (233, 16)]
    {
        let text = format!("{code:02x} {:02x} {}", size + 1, "00".repeat(size + 1));
        assert_eq!(tlv_refusal(&text), (2, BadListLength { size, length: size + 1 }), "{code}");
    }
    assert_eq!(tlv_refusal("02 00"), (2, Truncated { need: 1, have: 0 }));
    assert_eq!(tlv_refusal("02 02 00 0a"), (3, BadListLength { size: 11, length: 1 }));
}

#[test]
fn values_of_a_fixed_size_must_have_it() {
    let cut = |need, have| Truncated { need, have };
    for (text, at, kind) in [
        ("0c 01 00", 2, cut(2, 1)),
        ("0c 03 000000", 4, TrailingBytes(1)),
        ("0e 01 05", 2, cut(2, 1)),
        ("86 03 0aff00", 2, cut(4, 3)),
        ("86 05 0aff000100", 6, TrailingBytes(1)),
        ("8c 04 0aff0001", 2, cut(16, 4)),
        ("d3 00", 2, cut(1, 0)),
        ("d3 02 0100", 3, cut(2, 1)),
        ("d3 04 01 0005 00", 5, cut(6, 1)),
        ("f0 00", 2, cut(1, 0)),
        ("f0 03 00 0000", 3, cut(4, 2)),
        ("f0 0c 00 00000001 000000000002 00", 13, cut(4, 1)),
        ("f0 10 00 00000001 000000000002 00000001 00", 17, TrailingBytes(1)),
        ("0d 01 01", 3, cut(6, 0)),
        ("0d 07 02 000000000001", 9, cut(6, 0)),
        ("0d 07 03 000000000001", 2, BadSystemCount(3)),
        ("0d 0d 01 000000000001 000000000002", 9, TrailingBytes(6)),
        ("f2 04 0aff0001", 6, cut(1, 0)),
    ] {
        assert_eq!(tlv_refusal(text), (at, kind), "{text}");
    }
}

#[test]
fn area_addresses_are_of_one_to_thirteen_octets() {
    assert_eq!(tlv_refusal("01 01 00"), (2, BadAreaLength(0)));
    assert_eq!(tlv_refusal("01 0f 0e 0000000000000000000000000000"), (2, BadAreaLength(14)));
    assert_eq!(tlv_refusal("01 03 03 4900"), (3, Truncated { need: 3, have: 2 }));
}

// CVE-2017-13035 and tcpdump's isis-extd-ipreach-oobr; FRR #22820: what remains of one item must not become the next.
#[test]
fn links_and_prefixes_must_be_whole() {
    let cut = |need, have| Truncated { need, have };
    for (text, at, kind) in [
        ("16 0a 000000000002 00 00000a", 12, cut(1, 0)),
        ("16 0c 000000000002 00 00000a 02 03", 13, cut(2, 1)),
        ("87 04 0000000a", 6, cut(1, 0)),
        ("87 08 0000000a 20 0a0000", 7, cut(4, 3)),
        ("87 09 0000000a 60 0a000001", 11, cut(1, 0)),
        ("87 0a 0000000a 60 0a000001 01", 12, cut(1, 0)),
        ("87 0a 0000000a 21 0a00000100", 6, BadPrefixLength(33)),
        ("87 05 0000000a 3f", 6, BadPrefixLength(63)),
        ("ec 05 0000000a 00", 7, cut(1, 0)),
        ("ec 07 0000000a 00 81 20", 7, BadPrefixLength(129)),
        ("ec 07 0000000a 00 ff 20", 7, BadPrefixLength(255)),
        ("de 01 00", 2, cut(2, 1)),
        ("eb 01 00", 2, cut(2, 1)),
        ("ed 01 00", 2, cut(2, 1)),
        // RFC 5120 section 7: the standard topology has TLVs of its own. Reserved bits do not count.
        ("de 0d 0000 000000000002 00 00000a 00", 2, StandardTopology),
        ("eb 0b f000 0000000a 20 0a000002", 2, StandardTopology),
        ("ed 08 0000 0000000a 00 00", 2, StandardTopology),
    ] {
        assert_eq!(tlv_refusal(text), (at, kind), "{text}");
    }
}

/// The capability in an LSP of these TLVs.
fn capability(bytes: &[u8]) -> Option<RouterCapability<'_>> {
    let tlvs = Lsp::parse(bytes).ok()?.tlvs().ok()?;
    match tlvs.of(TlvCode::ROUTER_CAPABILITY).next()?.body() {
        Ok(TlvBody::RouterCapability(capability)) => Some(capability),
        _ => None,
    }
}

// CVE-2022-26125 and FRR #10507: a sub-TLV longer than its TLV made a length wrap. FRR 065cd3ba54: a last sub-TLV of no
// length is good. FRR #22822: bytes that are no sub-TLV.
#[test]
fn sub_tlvs_end_where_one_does_not_fit() {
    for (sub_tlvs, count, whole) in [
        ("", 0, true),
        ("13 00", 1, true),
        ("02 01 00 13 00", 2, true),
        ("02 01 00 13", 1, false),
        ("02 01 00 13 02 00", 1, false),
        ("23 26 00", 0, false),
        ("02 ff", 0, false),
    ] {
        let length = 5 + hex(sub_tlvs).len();
        let bytes = lsp_with(&hex(&format!("f2 {length:02x} 0aff0001 00 {sub_tlvs}")));
        isis_pdu::check(&bytes);
        let found = capability(&bytes).unwrap().sub_tlvs;
        assert_eq!((found.iter().count(), found.are_whole()), (count, whole), "{sub_tlvs}");
    }
    // Of a link the next one is found by the length around the sub-TLVs, whatever they are.
    let bytes =
        lsp_with(&hex("16 1a 000000000002 00 00000a 04 06 ff 00 00  000000000003 00 000014 00"));
    isis_pdu::check(&bytes);
    let tlvs = Lsp::parse(&bytes).unwrap().tlvs().unwrap();
    let Ok(TlvBody::ExtendedIsReachability(links)) = tlvs.iter().next().unwrap().body() else {
        panic!()
    };
    assert_eq!(links.iter().map(|link| link.metric).collect::<Vec<_>>(), [10, 20]);
}

// FRR #20329: 51 bytes that ended isisd.
#[test]
fn the_51_bytes_that_ended_isisd_are_refused() {
    let bytes = hex(
        "831b01003401000000326d0000fff7087fb7000000000000000012f212831b010032010026001a0200128ef201000000000000",
    );
    isis_pdu::check(&bytes);
    // Five bits of the type octet 0x34 count: a level 2 LSP, of 50 bytes. Its capability has a sub-TLV that would be 242
    // bytes long, but the last byte of the LSP is no TLV.
    let lsp = Lsp::parse(&bytes).unwrap();
    assert_eq!((lsp.bytes().len(), lsp.header().level), (50, Level::L2));
    assert!(!lsp.checksum_ok());
    let error = lsp.tlvs().unwrap_err();
    assert_eq!((error.at, error.kind), (49, Truncated { need: 2, have: 1 }));
    for length in 0..bytes.len() {
        isis_pdu::check(&bytes[..length]);
    }
}

/// A TLV of this code, with sub-TLVs behind what comes first; of a link or a prefix their length stands before them.
fn with_sub_tlvs(code: u8, first: &str, counted: bool, sub_tlvs: &[u8]) -> Vec<u8> {
    let mut value = hex(first);
    if counted {
        value.push(u8::try_from(sub_tlvs.len()).unwrap());
    }
    value.extend_from_slice(sub_tlvs);
    [&[code, u8::try_from(value.len()).unwrap()][..], &value].concat()
}

// What is deeper inside than this decoder looks: FRR f1bc6c5d81, 2a9e0824a7, ef8dea0287 and 3370b1c5a1 (attributes of
// applications: masks of more than eight octets, or past the end; sub-sub-TLVs longer than they), fbb31aef2f and 42c6dd7af3
// (definitions of flexible algorithms that end within a sub-sub-TLV, or whose length wraps), d61758140d (a capability given
// twice), tcpdump's CVE-2017-13055 (sub-TLVs of links).
#[test]
fn what_is_deep_inside_is_passed_on_as_it_came_however_broken() {
    const SUB_TLVS: [&str; 14] = [
        "10 01 09",
        "10 02 09 09",
        "10 04 08 08 ffff",
        "10 02 ff ff",
        "10 0b 09 00 ffffffffffffffffff",
        "10 06 01 00 80 12 ff 00",
        "10 06 01 00 80 12 01 00",
        "10 05 01 00 80 12 00",
        "1a 03 80 00 00",
        "1a 05 80 00 00 00 01",
        "1a 06 80 00 00 00 01 ff",
        "1a 06 80 00 00 00 02 00",
        "02 09 c0 000bb8 010350 00ff",
        "12 ff",
    ];
    for text in SUB_TLVS {
        let one = hex(text);
        for times in [1, 2, 12] {
            let sub_tlvs = one.repeat(times);
            for tlv in [
                with_sub_tlvs(22, "000000000002 00 00000a", true, &sub_tlvs),
                with_sub_tlvs(222, "0002 000000000002 00 00000a", true, &sub_tlvs),
                with_sub_tlvs(135, "0000000a 60 0a000002", true, &sub_tlvs),
                with_sub_tlvs(236, "0000000a 20 20 20010db8", true, &sub_tlvs),
                with_sub_tlvs(242, "0aff0001 00", false, &sub_tlvs),
            ] {
                for tlvs in [tlv.clone(), [&tlv[..], &tlv].concat()] {
                    let bytes = lsp_with(&tlvs);
                    isis_pdu::check(&bytes);
                    let lsp = Lsp::parse(&bytes).unwrap();
                    assert!(lsp.checksum_ok());
                    assert_eq!(lsp.tlvs().unwrap().bytes(), tlvs, "{text}");
                }
            }
        }
    }
}

// CVE-2022-26126: a name that is no text, and as long as can be, where a terminated string was expected.
#[test]
fn a_name_may_be_any_octets() {
    for octet in [0, 0x25, 0xff] {
        let name = [octet; 255];
        let bytes = lsp_with(&[&[137, 255][..], &name].concat());
        isis_pdu::check(&bytes);
        let tlvs = Lsp::parse(&bytes).unwrap().tlvs().unwrap();
        assert_eq!(tlvs.iter().next().unwrap().body(), Ok(TlvBody::Hostname(&name)));
    }
}

// FRR 7d333f1322: the end of a sequence numbers PDU was that of the frame, after the PDU had been cut to its length.
#[test]
fn a_list_ends_with_its_pdu_and_not_with_the_frame() {
    let entry = "04af 000000000001 0000 00000002 abcd";
    let node = NodeId::default();
    let psnp = emit_psnp(Level::L1, node, &hex(&format!("09 10 {entry}")), None);
    for padding in ["00", "09 10", &format!("09 10 {entry}")] {
        let bytes = [&psnp[..], &hex(padding)].concat();
        isis_pdu::check(&bytes);
        let PduBody::Psnp(cut) = Pdu::parse(&bytes).unwrap().body else { panic!() };
        assert_eq!(cut.entries().count(), 1, "{padding}");
    }
}

#[test]
fn flooding_parameters_must_be_whole_and_the_first_of_a_kind_counts() {
    let cut = |need, have| Truncated { need, have };
    for (text, at, kind) in [
        ("15 01 01", 2, cut(2, 1)),
        ("15 03 01 04 00", 3, BadTlvLength { code: 1, length: 4, have: 1 }),
        ("15 05 01 03 000001", 4, cut(4, 3)),
        ("15 05 03 03 000001", 6, TrailingBytes(1)),
        ("15 02 04 00", 4, cut(1, 0)),
    ] {
        assert_eq!(tlv_refusal(text), (at, kind), "{text}");
    }
    let bytes = lsp_with(&hex("15 10 06 02 0001 06 02 0002 63 01 00 04 03 80ffff"));
    isis_pdu::check(&bytes);
    let tlvs = Lsp::parse(&bytes).unwrap().tlvs().unwrap();
    let Ok(TlvBody::FloodingParameters(parameters)) = tlvs.iter().next().unwrap().body() else {
        panic!()
    };
    let FloodingParameters { receive_window, flags, burst_size, .. } = parameters;
    assert_eq!(
        (receive_window, flags.map(|flags| flags.0), burst_size),
        (Some(1), Some(0x80), None)
    );
}

#[test]
fn a_zero_checksum_is_wrong_unless_the_lsp_is_a_purge() {
    let mut bytes = lsp_with(&[]);
    assert!(Lsp::parse(&bytes).unwrap().checksum_ok());
    bytes[24..26].fill(0);
    assert!(!Lsp::parse(&bytes).unwrap().checksum_ok());
    bytes[10..12].fill(0);
    assert!(Lsp::parse(&bytes).unwrap().checksum_ok());
}

#[test]
fn everything_behind_the_lifetime_is_covered_by_the_checksum_and_nothing_before() {
    let whole = lsp_with(&hex("89 03 687631"));
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(lsp) = Lsp::parse(&bytes) else { continue };
        // A shorter PDU is another one; a lifetime of zero needs no checksum.
        if lsp.bytes().len() == whole.len() && !lsp.is_purge() {
            assert_eq!(lsp.checksum_ok(), bit / 8 < 12, "bit {bit}");
        }
    }
}

#[test]
fn another_pdu_is_no_lsp() {
    let error = Lsp::parse(&empty(PduType::P2pHello)).unwrap_err();
    assert_eq!((error.at, error.kind), (4, UnknownPacketType(17)));
}

#[test]
fn frames_of_others_are_refused() {
    let refusal = |text: &str| {
        let error = Frame::parse(&hex(text)).unwrap_err();
        (error.at, error.kind)
    };
    let addresses = "09002b000005 525400000001";
    let frame = |rest: &str| refusal(&format!("{addresses} {rest}"));
    assert_eq!(refusal("09002b00"), (0, Truncated { need: 6, have: 4 }));
    assert_eq!(frame(""), (12, Truncated { need: 2, have: 0 }));
    assert_eq!(frame("0800 4500"), (12, BadEthertype(0x0800)));
    // Neither a length nor a type (FRR issue 14924).
    assert_eq!(frame("05dd fefe03 83"), (12, BadEthertype(1501)));
    assert_eq!(frame("0005 fefe03 83"), (14, Truncated { need: 5, have: 4 }));
    assert_eq!(frame("0002 fefe03 83"), (14, Truncated { need: 3, have: 2 }));
    assert_eq!(frame("0003 424203 00"), (14, BadLlc(0x42, 0x42, 3)));
    assert_eq!(frame("8870 fefe"), (14, Truncated { need: 3, have: 2 }));
    assert_eq!(frame("8870 aaaa03"), (14, BadLlc(0xaa, 0xaa, 3)));
    assert!(!BadEthertype(0).name().is_empty() && BadLlc(0, 0, 0).name() == "bad-llc");
}
