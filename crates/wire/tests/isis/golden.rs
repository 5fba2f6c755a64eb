//! PDUs written down by hand from the diagrams of the RFCs: what they say, and that the same bytes are emitted.

use bugle_types::Mac;
use bugle_wire::isis::{
    ALL_ISS, ALL_L1_ISS, AreaAddress, Authentication, Bandwidth, BfdEnabled, CapabilityFlags,
    CircuitType, FloodingFlags, FloodingParameters, Frame, LanHelloFields, Level, LinkAttribute,
    Lsp, LspEntry, LspFlags, NarrowMetrics, Neighbor, NodeId, P2pHelloFields, Pdu, PduBody,
    PduType, PrefixAttribute, PrefixFlags, PrefixReach, PurgeOriginator, Restart, RestartFlags,
    SequenceNumber, SubTlv, SubTlvs, SystemId, ThreeWay, ThreeWayNeighbor, ThreeWayState, TlvBody,
    TlvBuilder, TlvCode, Topology, TopologyId, emit_frame,
};

use crate::common::{hex, ip};
use crate::isis_pdu::{emit, lsp_with, rebuild, rebuild_sub_tlvs, tlvs};

const SYSTEM: SystemId = SystemId([0, 0, 0, 0, 0, 1]);
const OTHER: SystemId = SystemId([0, 0, 0, 0, 0, 2]);

/// The PDU in bytes that must come out again as they went in, each TLV too.
fn golden(bytes: &[u8]) -> Pdu<'_> {
    let pdu = Pdu::parse(bytes).unwrap();
    let rebuilt: Vec<u8> = tlvs(&pdu).unwrap().iter().flat_map(|tlv| rebuild(&tlv)).collect();
    assert_eq!(emit(&pdu, &rebuilt, None), bytes);
    pdu
}

/// Decodes the TLVs of `text`, holds them to coming out as they went in, and hands over what they say.
fn says(text: &str, check: impl Fn(&[TlvBody<'_>])) {
    let bytes = lsp_with(&hex(text));
    let PduBody::Lsp(lsp) = golden(&bytes).body else { panic!("{text}") };
    let bodies: Vec<_> = lsp.tlvs().unwrap().iter().map(|tlv| tlv.body().unwrap()).collect();
    check(&bodies);
}

fn node(system: SystemId, pseudonode: u8) -> NodeId {
    NodeId { system, pseudonode }
}

#[test]
fn lan_hello() {
    let bytes = hex("
        83 1b 01 00 10 01 00 00
        03 000000000001 001e 0033 40 000000000002 05
        01 04 03490001
        06 0c 525400000001 525400000002
        81 02 cc8e");
    let pdu = golden(&bytes);
    let PduBody::LanHello(hello) = pdu.body else { panic!("{pdu:?}") };
    assert_eq!((hello.level, pdu.body.pdu_type()), (Level::L2, PduType::LanHello(Level::L2)));
    assert_eq!(
        hello.fields,
        LanHelloFields {
            circuit_type: CircuitType::L1_L2,
            source: SYSTEM,
            holding_time: 30,
            priority: 64,
            lan_id: node(OTHER, 5),
        }
    );
    let bodies: Vec<_> = hello.tlvs.iter().map(|tlv| tlv.body().unwrap()).collect();
    let [
        TlvBody::AreaAddresses(areas),
        TlvBody::LanNeighbors(heard),
        TlvBody::ProtocolsSupported(spoken),
    ] = bodies[..]
    else {
        panic!("{bodies:?}")
    };
    assert!(areas.iter().eq(["49.0001".parse::<AreaAddress>().unwrap()]));
    assert!(heard.iter().eq([Mac([0x52, 0x54, 0, 0, 0, 1]), Mac([0x52, 0x54, 0, 0, 0, 2])]));
    assert!(spoken.iter().eq([0xcc, 0x8e]));
}

// RFC 5303 section 3.1, RFC 5306 section 3.2, RFC 6213 section 6.
#[test]
fn p2p_hello_with_a_handshake() {
    let bytes = hex("
        83 14 01 00 11 01 00 00
        02 000000000001 0004 003d 01
        f0 0f 01 00000007 000000000002 00000009
        d3 09 02 001b 000000000002
        94 06 0000 cc 0002 8e
        08 03 aabbcc");
    let pdu = golden(&bytes);
    let PduBody::P2pHello(hello) = pdu.body else { panic!("{pdu:?}") };
    assert_eq!(
        hello.fields,
        P2pHelloFields {
            circuit_type: CircuitType::L2,
            source: SYSTEM,
            holding_time: 4,
            circuit_id: 1
        }
    );
    let bodies: Vec<_> = hello.tlvs.iter().map(|tlv| tlv.body().unwrap()).collect();
    let [three_way, restart, TlvBody::BfdEnabled(bfd), padding] = bodies[..] else {
        panic!("{bodies:?}")
    };
    let neighbor = Some(ThreeWayNeighbor { system: OTHER, circuit: Some(9) });
    let state = ThreeWayState::Initializing;
    assert_eq!(three_way, TlvBody::ThreeWay(ThreeWay { state, circuit: Some(7), neighbor }));
    assert_eq!(
        restart,
        TlvBody::Restart(Restart {
            flags: RestartFlags::RA,
            remaining_time: Some(27),
            neighbor: Some(OTHER),
        })
    );
    assert!(bfd.iter().eq([
        BfdEnabled { topology: TopologyId::STANDARD, nlpid: 0xcc },
        BfdEnabled { topology: TopologyId::IPV6, nlpid: 0x8e },
    ]));
    assert_eq!(padding, TlvBody::Padding(&[0xaa, 0xbb, 0xcc]));
}

// RFC 5303 section 3.1: only the state must be there. Cisco's first version sent nothing else.
#[test]
fn a_handshake_may_leave_fields_out_at_the_end() {
    let three_way =
        |state, circuit, neighbor| TlvBody::ThreeWay(ThreeWay { state, circuit, neighbor });
    let neighbor = |circuit| Some(ThreeWayNeighbor { system: OTHER, circuit });
    says("f0 01 02  f0 05 02 00000001  f0 0b 00 00000001 000000000002  f0 01 07", |bodies| {
        assert_eq!(
            bodies,
            [
                three_way(ThreeWayState::Down, None, None),
                three_way(ThreeWayState::Down, Some(1), None),
                three_way(ThreeWayState::Up, Some(1), neighbor(None)),
                three_way(ThreeWayState::Unknown(7), None, None),
            ]
        );
    });
    says("d3 01 00  d3 03 01 0005", |bodies| {
        let restart = |flags, remaining_time| {
            TlvBody::Restart(Restart { flags, remaining_time, neighbor: None })
        };
        assert_eq!(bodies, [restart(RestartFlags::NONE, None), restart(RestartFlags::RR, Some(5))]);
    });
}

#[test]
fn lsp_header() {
    let bytes = hex("
        83 1b 01 00 14 01 00 00  001f 04b0 000000000001 02 03 0000000b a907 0f
        89 02 7231");
    let pdu = golden(&bytes);
    let PduBody::Lsp(lsp) = pdu.body else { panic!("{pdu:?}") };
    let header = lsp.header();
    assert_eq!((header.level, header.length), (Level::L2, 31));
    assert_eq!(lsp.entry().id.to_string(), "0000.0000.0001.02-03");
    assert_eq!((lsp.entry().lifetime, lsp.entry().sequence), (1200, SequenceNumber(11)));
    let flags = LspFlags::LEVEL_1 | LspFlags::LEVEL_2 | LspFlags::OVERLOAD | LspFlags::ATTACHED;
    assert_eq!(header.flags, flags);
    assert!(lsp.checksum_ok() && !lsp.is_purge());
}

// RFC 6232 section 3.
#[test]
fn purge_with_its_originator() {
    let one = PurgeOriginator { originator: SYSTEM, received_from: None };
    let two = PurgeOriginator { originator: SYSTEM, received_from: Some(OTHER) };
    says("0d 07 01 000000000001  0d 0d 02 000000000001 000000000002", |bodies| {
        assert_eq!(bodies, [one, two].map(TlvBody::PurgeOriginator));
    });
    // A purge as Juniper sends it: without a checksum.
    let bytes = hex("
        83 1b 01 00 12 01 00 00  0024 0000 000000000002 00 00 00000003 0000 03
        0d 07 01 000000000001");
    let lsp = Lsp::parse(&bytes).unwrap();
    assert!(lsp.is_purge() && lsp.checksum_ok());
}

// RFC 5305 sections 3 and 4, RFC 5130 section 3, RFC 7794 section 2.
#[test]
fn links_and_prefixes_with_what_is_said_of_them() {
    let link = "16 43 000000000002 00 00000a 38
        03 04 00000005  06 04 0a4d0001  08 04 0a4d0002  09 04 4cee6b28  0a 04 4cee6b28
        12 03 00000b  04 08 0000000700000009  20 05 3000005dc1  09 02 0000";
    says(link, |bodies| {
        let [TlvBody::ExtendedIsReachability(neighbors)] = bodies else { panic!("{bodies:?}") };
        assert!(neighbors.topology().is_standard());
        let Some(Neighbor { id, metric, sub_tlvs }) = neighbors.iter().next() else { panic!() };
        assert_eq!((id, metric, sub_tlvs.are_whole()), (node(OTHER, 0), 10, true));
        let attributes: Vec<_> = sub_tlvs.link_attributes().collect();
        assert_eq!(
            attributes,
            [
                LinkAttribute::AdministrativeGroups(5),
                LinkAttribute::Ipv4InterfaceAddress(ip("10.77.0.1")),
                LinkAttribute::Ipv4NeighborAddress(ip("10.77.0.2")),
                LinkAttribute::MaximumBandwidth(Bandwidth(125_000_000_f32.to_bits())),
                LinkAttribute::ReservableBandwidth(Bandwidth(125_000_000_f32.to_bits())),
                LinkAttribute::TeDefaultMetric(11),
                LinkAttribute::Unknown(SubTlv { code: 4, value: &[0, 0, 0, 7, 0, 0, 0, 9] }),
                LinkAttribute::Unknown(SubTlv { code: 32, value: &[0x30, 0, 0, 0x5d, 0xc1] }),
                // Too short for a bandwidth.
                LinkAttribute::Unknown(SubTlv { code: 9, value: &[0, 0] }),
            ]
        );
        assert_eq!(rebuild_sub_tlvs(sub_tlvs)[0], sub_tlvs.bytes());
    });
    let unreserved = format!("16 2d 000000000002 00 00000a 22  0b 20 {}", "4cee6b28".repeat(8));
    says(&unreserved, |bodies| {
        let [TlvBody::ExtendedIsReachability(neighbors)] = bodies else { panic!("{bodies:?}") };
        let attributes = neighbors.iter().next().unwrap().sub_tlvs.link_attributes();
        let bandwidth = Bandwidth(125_000_000_f32.to_bits());
        assert!(attributes.eq([LinkAttribute::UnreservedBandwidth([bandwidth; 8])]));
    });
    let prefix = "87 41 0000000a e0 0a000001 37
        01 08 0000000100000002  02 08 0000000000000003  04 01 60  0b 04 0aff0001
        0c 10 20010db8000000000000000000000001  03 06 400000000028";
    says(prefix, |bodies| {
        let [TlvBody::ExtendedIpReachability(prefixes)] = bodies else { panic!("{bodies:?}") };
        let Some(reach) = prefixes.iter().next() else { panic!() };
        assert_eq!((reach.prefix.to_string().as_str(), reach.metric), ("10.0.0.1/32", 10));
        assert!(reach.down && !reach.external && reach.sub_tlvs.are_whole());
        let attributes: Vec<_> = reach.sub_tlvs.prefix_attributes().collect();
        let [PrefixAttribute::Tags(tags), PrefixAttribute::Tags64(tags_64), ref others @ ..] =
            attributes[..]
        else {
            panic!("{attributes:?}")
        };
        assert!(tags.iter().eq([1, 2]) && tags_64.iter().eq([3]));
        assert_eq!(
            others,
            [
                PrefixAttribute::Flags(PrefixFlags::READVERTISED | PrefixFlags::NODE),
                PrefixAttribute::Ipv4SourceRouterId(ip("10.255.0.1")),
                PrefixAttribute::Ipv6SourceRouterId("2001:db8::1".parse().unwrap()),
                PrefixAttribute::Unknown(SubTlv { code: 3, value: &[0x40, 0, 0, 0, 0, 0x28] }),
            ]
        );
        assert_eq!(rebuild_sub_tlvs(reach.sub_tlvs)[1], reach.sub_tlvs.bytes());
    });
}

// The table of RFC 5305 section 4, and RFC 5308 section 2.
#[test]
fn a_prefix_takes_no_octet_more_than_it_needs() {
    for (text, octets) in [
        ("0.0.0.0/0", 0),
        ("128.0.0.0/1", 1),
        ("10.0.0.0/8", 1),
        ("10.128.0.0/9", 2),
        ("10.1.0.0/16", 2),
        ("10.1.0.0/17", 3),
        ("10.1.2.0/24", 3),
        ("10.1.2.0/25", 4),
        ("10.1.2.3/32", 4),
        ("::/0", 1),
        ("2001:db8::/33", 6),
        ("2001:db8::1/128", 17),
    ] {
        let reach = PrefixReach {
            prefix: text.parse().unwrap(),
            metric: 1,
            down: false,
            external: false,
            sub_tlvs: SubTlvs::default(),
        };
        let mut builder = TlvBuilder::new(100);
        assert!(builder.prefix(TopologyId::STANDARD, &reach));
        assert_eq!(builder.len(), 2 + 5 + octets, "{text}");
        let bytes = lsp_with(builder.bytes());
        let tlv = Lsp::parse(&bytes).unwrap().tlvs().unwrap().iter().next().unwrap();
        let Ok(TlvBody::ExtendedIpReachability(prefixes)) = tlv.body() else { panic!("{tlv:?}") };
        assert!(prefixes.iter().eq([reach]));
    }
    // Bits beyond the prefix are ignored.
    let bytes = lsp_with(&hex("87 07 00000001 09 0aff"));
    let tlv = Lsp::parse(&bytes).unwrap().tlvs().unwrap().iter().next().unwrap();
    let Ok(TlvBody::ExtendedIpReachability(prefixes)) = tlv.body() else { panic!("{tlv:?}") };
    assert!(prefixes.iter().map(|reach| reach.prefix).eq(["10.128.0.0/9".parse().unwrap()]));
}

// RFC 5308 section 2 and RFC 5120 section 7.
#[test]
fn topologies_have_their_own_links_and_prefixes() {
    let text = "
        e5 06 0000 8002 4003
        de 0d 0002 000000000002 00 00000a 00
        eb 0b 0003 0000000a 20 0a000002
        ec 16 0000000a 60 40 20010db800000001 07 04 01 80 0c 02 1234
        ed 10 0002 0000000a 80 40 20010db800000002";
    says(text, |bodies| {
        let [
            TlvBody::MultiTopology(topologies),
            TlvBody::ExtendedIsReachability(neighbors),
            TlvBody::ExtendedIpReachability(ipv4),
            TlvBody::ExtendedIpReachability(ipv6),
            TlvBody::ExtendedIpReachability(mt_ipv6),
        ] = bodies
        else {
            panic!("{bodies:?}")
        };
        let topology = |word, overload, attached| Topology {
            id: TopologyId::from_word(word),
            overload,
            attached,
        };
        let expected =
            [topology(0, false, false), topology(2, true, false), topology(3, false, true)];
        assert!(topologies.iter().eq(expected));
        assert_eq!((neighbors.topology(), neighbors.iter().count()), (TopologyId::IPV6, 1));
        assert_eq!(ipv4.topology().number(), 3);
        let reach = ipv6.iter().next().unwrap();
        assert_eq!(reach.prefix.to_string(), "2001:db8:0:1::/64");
        assert!(reach.external && !reach.down && ipv6.topology().is_standard());
        assert_eq!(reach.sub_tlvs.prefix_attributes().count(), 2);
        let reach = mt_ipv6.iter().next().unwrap();
        assert!(reach.down && !reach.external && mt_ipv6.topology() == TopologyId::IPV6);
    });
}

// ISO 10589 section 9.8, RFC 1195 section 5.3, RFC 5302 section 2.
#[test]
fn narrow_links_and_prefixes() {
    let text = "
        02 0c 00 0a808080 000000000002 03
        80 18 8a808080 0a010000 ffff0000  0a808080 0a020000 ffff00ff
        82 0c 4a810580 0a030000 ffff0000";
    says(text, |bodies| {
        let [
            TlvBody::IsNeighbors(neighbors),
            TlvBody::IpInternalReachability(internal),
            TlvBody::IpExternalReachability(external),
        ] = bodies
        else {
            panic!("{bodies:?}")
        };
        let link = neighbors.links.iter().next().unwrap();
        assert_eq!((link.metrics, link.id), (NarrowMetrics::internal(10), node(OTHER, 3)));
        assert!(!neighbors.is_virtual);
        let [down, odd] = internal.iter().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(down.prefix().unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(down.metrics, NarrowMetrics::internal(10).down());
        assert!(down.metrics.is_down() && !down.metrics.is_external());
        assert_eq!(odd.prefix(), None, "a mask with a hole");
        let outside = external.iter().next().unwrap().metrics;
        assert!(outside.is_external() && !outside.is_down());
        assert_eq!((outside.default_metric(), outside.others()), (10, [None, Some(5), None]));
        assert_eq!(NarrowMetrics::internal(74).external().0, [0x4a, 0x80, 0x80, 0x80]);
    });
    says("02 01 00", |bodies| {
        let [TlvBody::IsNeighbors(neighbors)] = bodies else { panic!("{bodies:?}") };
        assert!(neighbors.links.is_empty());
    });
}

// RFCs 5301, 5305, 6119, 3358, 7981; draft-ietf-lsr-isis-fast-flooding section 4.
#[test]
fn what_is_said_of_the_router() {
    let text = "
        89 03 687631
        86 04 0aff0001
        8c 10 20010db8000000000000000000000001
        84 04 0aff0001
        e8 10 20010db8000000000000000000000001
        e9 10 20010db8000000000000000000000001
        0e 02 05d4
        0c 02 1234
        f2 0d 0aff0001 01 02 02 c000 13 02 0001
        15 1b 01 04 00000064 02 04 000003e8 03 02 000f 04 01 80 05 02 01f4 06 02 00fa
        c8 02 0102";
    says(text, |bodies| {
        let router = "2001:db8::1".parse().unwrap();
        let [
            hostname,
            te,
            te_6,
            TlvBody::Ipv4InterfaceAddresses(ipv4),
            TlvBody::Ipv6InterfaceAddresses(ipv6),
            TlvBody::Ipv6GlobalInterfaceAddresses(global),
            size,
            checksum,
            TlvBody::RouterCapability(capability),
            flooding,
            unknown,
        ] = bodies
        else {
            panic!("{bodies:?}")
        };
        assert_eq!(*hostname, TlvBody::Hostname(b"hv1"));
        assert_eq!(*te, TlvBody::TeRouterId(ip("10.255.0.1")));
        assert_eq!(*te_6, TlvBody::Ipv6TeRouterId(router));
        assert!(ipv4.iter().eq([ip("10.255.0.1")]));
        assert!(ipv6.iter().eq([router]) && global.iter().eq([router]));
        assert_eq!(*size, TlvBody::LspBufferSize(1492));
        assert_eq!(*checksum, TlvBody::Checksum(0x1234));
        assert_eq!(
            (capability.router, capability.flags),
            (ip("10.255.0.1"), CapabilityFlags::DOMAIN)
        );
        assert_eq!(capability.sub_tlvs.iter().map(|sub| sub.code).collect::<Vec<_>>(), [2, 19]);
        assert_eq!(
            *flooding,
            TlvBody::FloodingParameters(FloodingParameters {
                burst_size: Some(100),
                transmission_interval: Some(1000),
                lsps_per_psnp: Some(15),
                flags: Some(FloodingFlags::ORDERED),
                psnp_interval: Some(500),
                receive_window: Some(250),
            })
        );
        assert_eq!(*unknown, TlvBody::Unknown(&[1, 2]));
    });
}

#[test]
fn csnp_and_psnp() {
    let entry = "04af 000000000001 00 00 00000002 abcd";
    let csnp = hex(&format!(
        "83 21 01 00 19 01 00 00  0033 000000000001 00
         0000000000000000 ffffffffffffffff  09 10 {entry}"
    ));
    let psnp = hex(&format!("83 11 01 00 1a 01 00 00  0023 000000000001 00  09 10 {entry}"));
    let PduBody::Csnp(csnp) = golden(&csnp).body else { panic!() };
    let PduBody::Psnp(psnp) = golden(&psnp).body else { panic!() };
    let id = bugle_wire::isis::LspId { node: node(SYSTEM, 0), fragment: 0 };
    let expected = LspEntry { lifetime: 1199, id, sequence: SequenceNumber(2), checksum: 0xabcd };
    assert_eq!((csnp.level, csnp.source), (Level::L2, node(SYSTEM, 0)));
    assert_eq!(
        (csnp.start, csnp.end),
        (bugle_wire::isis::LspId::MIN, bugle_wire::isis::LspId::MAX)
    );
    assert_eq!(psnp.level, Level::L1);
    assert!(csnp.entries().eq([expected]) && psnp.entries().eq([expected]));
}

#[test]
fn authentication_of_every_kind_and_no_password_to_be_seen() {
    let text = "0a 05 01 70617373  0a 11 36 000102030405060708090a0b0c0d0e0f
        0a 17 03 0007 000102030405060708090a0b0c0d0e0f10111213  0a 02 ff 70";
    let digest: Vec<u8> = (0..20).collect();
    let md5: &[u8; 16] = digest.first_chunk().unwrap();
    says(text, |bodies| {
        assert_eq!(
            bodies,
            [
                Authentication::Cleartext(b"pass"),
                Authentication::HmacMd5(md5),
                Authentication::Cryptographic { key_id: 7, digest: &digest },
                Authentication::Unknown { kind: 255, value: b"p" },
            ]
            .map(TlvBody::Authentication)
        );
        assert!(!format!("{bodies:?}").contains("112"));
    });
    let bytes = lsp_with(&hex(text));
    let pdu = Pdu::parse(&bytes).unwrap();
    assert!(!format!("{pdu:?} {:?}", tlvs(&pdu)).contains("112, 97"), "{pdu:?}");
    let description = bugle_wire::describe::isis(&bytes).to_string();
    assert!(!description.contains("70617373") && description.contains("method cleartext"));
}

// ISO 8802-3 length up to 1500, above it the type that draft-ietf-isis-ext-eth and FRR use.
#[test]
fn frames_state_their_length_as_far_as_they_can() {
    let source = Mac([0x52, 0x54, 0, 0, 0, 1]);
    let frame = emit_frame(ALL_ISS, source, &[0x83, 7]);
    assert_eq!(frame, hex("09002b000005 525400000001 0005 fefe03 8307"));
    let mut padded = frame;
    padded.resize(60, 0);
    assert_eq!(
        Frame::parse(&padded),
        Ok(Frame { destination: ALL_ISS, source, payload: &[0x83, 7] }),
        "the length leaves the padding off"
    );
    for (length, ethertype) in [(1497, 1500_u16), (1498, 0x8870), (8997, 0x8870)] {
        let pdu = vec![0x83; length];
        let frame = emit_frame(ALL_L1_ISS, source, &pdu);
        assert_eq!(frame[12..14], ethertype.to_be_bytes());
        assert_eq!(
            Frame::parse(&frame),
            Ok(Frame { destination: ALL_L1_ISS, source, payload: &pdu })
        );
    }
}

#[test]
fn link_layer_padding_after_the_pdu_is_ignored() {
    let mut bytes = lsp_with(&hex("89 01 61"));
    let whole = Pdu::parse(&bytes).unwrap().bytes.to_vec();
    // Bytes that would be TLVs, and some that would not.
    bytes.extend(hex("89 01 62 ff ff"));
    let pdu = Pdu::parse(&bytes).unwrap();
    assert_eq!(pdu.bytes, whole);
    assert_eq!(tlvs(&pdu).unwrap().iter().count(), 1);
}

#[test]
fn a_builder_fills_tlvs_and_tells_when_the_room_is_used_up() {
    let neighbor = Neighbor { id: node(OTHER, 0), metric: 10, sub_tlvs: SubTlvs::default() };
    let mut builder = TlvBuilder::new(600);
    let standard =
        (0..600).take_while(|_| builder.neighbor(TopologyId::STANDARD, &neighbor)).count();
    // RFC 5305 section 3: 23 neighbours in a TLV. Two TLVs of 255 leave 90 bytes, and 8 neighbours fill them.
    assert_eq!((standard, builder.len(), builder.room()), (23 + 23 + 8, 600, 0));
    assert!(!builder.neighbor(TopologyId::IPV6, &neighbor) && !builder.protocol(0xcc));
    builder.clear();
    assert!(builder.is_empty() && builder.room() == 600);
    // RFC 5120 section 7.2: 22 behind the topology, as 2 + 23 * 11 would be 255, so 23 do.
    assert!((0..23).all(|_| builder.neighbor(TopologyId::IPV6, &neighbor)));
    assert_eq!(builder.len(), 257);
    assert!(builder.neighbor(TopologyId::IPV6, &neighbor) && builder.len() == 257 + 15);
    // Another topology needs a TLV of its own, though the last one has room.
    assert!(builder.neighbor(TopologyId::from_word(3), &neighbor) && builder.len() == 272 + 15);
    assert!(!builder.tlv(TlvCode::HOSTNAME, &[0; 256]), "no TLV holds it");
}

#[test]
fn a_builder_pads_to_the_last_byte_it_can() {
    for room in 0..800 {
        let mut builder = TlvBuilder::new(room);
        builder.pad();
        assert_eq!(builder.room(), usize::from(room == 1), "{room}");
        let bytes = lsp_with(builder.bytes());
        assert!(
            Lsp::parse(&bytes)
                .unwrap()
                .tlvs()
                .unwrap()
                .iter()
                .all(|tlv| tlv.code() == TlvCode::PADDING)
        );
    }
}

#[test]
fn a_pdu_leaves_out_what_would_outgrow_its_length() {
    let mut builder = TlvBuilder::new(usize::MAX);
    for _ in 0..300 {
        assert!(builder.tlv(TlvCode::PADDING, &[0; 255]));
    }
    let bytes = lsp_with(builder.bytes());
    assert_eq!(bytes.len(), 27 + 254 * 257, "65305 bytes, and no room for another TLV");
    assert!(Lsp::parse(&bytes).unwrap().checksum_ok());
}
