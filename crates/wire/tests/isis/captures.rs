//! Captures: our own, of FRR, which lie in `tests/data` beside what they say; and those of others, which are not ours to
//! distribute and are looked for beside the project.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is compared with other decoders is some of the TLVs"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bugle_types::Time;
use bugle_wire::DecodeErrorKind::{self, BadLength, BadTlvLength};
use bugle_wire::capture::{self, LinkType, Packet, Refusal};
use bugle_wire::describe;
use bugle_wire::isis::{
    Algorithm, AuthError, Key, LspEntry, Pdu, PduBody, ThreeWayState, TlvBody, Tlvs, verify,
};

use crate::isis_pdu::{self, rebuild, tlvs};

const OURS: [&str; 3] = ["isis-p2p", "isis-lan", "isis-narrow"];

#[test]
fn what_frr_sends_is_decoded_and_every_tlv_emitted_again() {
    for name in OURS {
        let found = tally(&ours(name, "pcap"));
        assert_eq!(found, Tally { decoded: lines(name).len(), ..Tally::default() }, "{name}");
    }
}

#[test]
fn what_frr_sends_is_described() {
    for name in OURS {
        let bytes = fs::read(ours(name, "pcap")).unwrap();
        let frames = (1..).zip(capture::packets(&bytes).unwrap());
        let text: Vec<_> = frames
            .map(|(number, packet)| describe::frame(number, &packet.unwrap()).to_string())
            .collect();
        let text = text.join("\n");
        let expected = fs::read_to_string(ours(name, "txt")).unwrap();
        for (line, (found, expected)) in (1..).zip(text.lines().zip(expected.lines())) {
            assert_eq!(found, expected, "{name}.txt:{line}");
        }
        assert_eq!(text.lines().count(), expected.lines().count());
    }
}

#[test]
fn tshark_reads_the_same_fields_in_what_frr_sends() {
    for name in OURS {
        let bytes = fs::read(ours(name, "pcap")).unwrap();
        let packets: Vec<_> = capture::packets(&bytes).unwrap().map(Result::unwrap).collect();
        let lines = lines(name);
        assert_eq!(packets.len(), lines.len());
        for (packet, expected) in packets.iter().zip(lines) {
            let found = fields(&Pdu::parse(packet.isis().unwrap().payload).unwrap());
            for (field, expected) in &expected {
                // tshark reads no checksum in a purge, and shows zero.
                if field == "isis.lsp.checksum" && expected == "0x0000" {
                    continue;
                }
                assert_eq!(found.get(field.as_str()), Some(expected), "{name} {field}");
            }
        }
    }
}

#[test]
fn frrs_digests_and_passwords_are_right_and_others_are_not() {
    let key = |algorithm, secret: &[u8]| [Key::new(algorithm, 0, secret).unwrap()];
    // FRR was not told to authenticate level 1 sequence numbers PDUs in `isis-lan`, and originated the first LSP of
    // `isis-narrow`, there twice, before it had read its password.
    for (name, algorithm, missing) in
        [("isis-lan", Algorithm::HmacMd5, 3), ("isis-narrow", Algorithm::Cleartext, 2)]
    {
        let bytes = fs::read(ours(name, "pcap")).unwrap();
        let mut unauthenticated = 0;
        for packet in capture::packets(&bytes).unwrap() {
            let payload = packet.unwrap().isis().unwrap().payload;
            let pdu = Pdu::parse(payload).unwrap();
            let secret = match pdu.body {
                PduBody::LanHello(_) | PduBody::P2pHello(_) => b"hello".as_slice(),
                PduBody::Lsp(_) | PduBody::Csnp(_) | PduBody::Psnp(_) => b"secret",
            };
            match verify(payload, &key(algorithm, secret)) {
                Err(AuthError::Missing) => unauthenticated += 1,
                verified => assert_eq!(verified.map(drop), Ok(()), "{pdu:?}"),
            }
            assert!(verify(payload, &key(algorithm, b"other")).is_err());
            assert!(verify(payload, &key(Algorithm::HmacSha256, secret)).is_err());
        }
        assert_eq!(unauthenticated, missing, "{name}");
    }
}

#[test]
fn captures_of_others_are_decoded_and_the_damaged_are_refused() {
    let Some(folder) = others() else { return };
    let decoded = |decoded| Tally { decoded, ..Tally::default() };
    let refused = |count| Tally { refused: vec![Refusal::NotIsis; count], ..Tally::default() };
    let broken = |at, kind| Tally { undecoded: vec![(at, kind)], ..Tally::default() };
    for (name, expected) in [
        ("ISIS_external_lsp.pcap", decoded(15)),
        ("ISIS_level1_adjacency.pcap", decoded(22)),
        ("ISIS_level2_adjacency.pcap", decoded(43)),
        ("ISIS_p2p_adjacency.pcap", decoded(26)),
        ("isis_cap_tlv.pcap", decoded(1)),
        ("isis_iid_tlv.pcap", Tally { refused: vec![Refusal::NotIsis; 2], ..decoded(41) }),
        ("isis_sid.pcap", Tally { bad_checksums: 1, ..decoded(1) }),
        ("isis_sr.pcapng", decoded(1)),
        ("isis-areaaddr-oobr-1.pcap", broken(8, BadLength { length: 20, have: 100 })),
        ("isis-areaaddr-oobr-2.pcap", broken(17, BadLength { length: 0, have: 1492 })),
        // The last prefix of a Hello ends after its metric; the Hello around it counts.
        ("isis-extd-ipreach-oobr.pcap", Tally { bad_tlvs: 1, ..decoded(1) }),
        (
            "isis-extd-isreach-oobr.pcap",
            Tally {
                refused: vec![Refusal::NotIsis; 3],
                ..broken(17, BadLength { length: 257, have: 250 })
            },
        ),
        ("isis-infinite-loop.pcap", refused(5)),
        ("isis-seg-fault-1.pcapng", decoded(1)),
        (
            "isis-seg-fault-2.pcapng",
            broken(1332, BadTlvLength { code: 170, length: 170, have: 164 }),
        ),
        ("isis-seg-fault-3.pcapng", decoded(1)),
        ("isoclns-heapoverflow.pcap", refused(1)),
        ("isoclns-heapoverflow-2.pcap", refused(1)),
        ("isoclns-heapoverflow-3.pcap", refused(1)),
        ("isoclns-oobr.pcap", refused(1)),
    ] {
        assert_eq!(tally(&folder.join(name)), expected, "{name}");
    }
}

// On links whose headers are not read: Juniper's, frame relay, GRE over IP.
#[test]
fn pdus_of_others_are_decoded_or_refused_behind_headers_that_are_not_read() {
    let Some(folder) = others() else { return };
    for (name, begins, expected) in [
        ("isis_poi.pcap", "831b0100", Ok(())),
        ("isis_poi2.pcap", "831b0100", Ok(())),
        ("isis-infinite-loop.pcap", "831b0106", Err(BadLength { length: 0xffff, have: 30 })),
        ("isis_stlv_asan.pcap", "831b0100", Err(BadLength { length: 4096, have: 278 })),
        ("isis_stlv_asan-2.pcap", "831b0100", Err(BadLength { length: 4096, have: 278 })),
        ("isis_stlv_asan-3.pcap", "831b0100", Err(BadLength { length: 4096, have: 278 })),
        ("isis_stlv_asan-4.pcap", "831b0100", Err(BadLength { length: 44959, have: 277 })),
        ("isis_sysid_asan.pcap", "831b0100", Err(BadLength { length: 4096, have: 278 })),
    ] {
        let bytes = fs::read(folder.join(name)).unwrap();
        let packet = capture::packets(&bytes).unwrap().next().unwrap().unwrap();
        let begins = crate::common::hex(begins);
        let at = packet.bytes.windows(4).position(|window| window == begins).unwrap();
        let result = Pdu::parse(&packet.bytes[at..]).map(drop).map_err(|error| error.kind);
        assert_eq!(result, expected, "{name}");
    }
}

// Every damaged capture, from every byte of its first headers on: as a frame, as a PDU, as TLVs at odd places.
#[test]
fn no_byte_of_the_captures_of_others_does_harm() {
    let Some(folder) = others() else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for packet in capture::packets(&bytes).into_iter().flatten().map_while(Result::ok) {
            for start in 0..packet.bytes.len().min(60) {
                isis_pdu::check(&packet.bytes[start..]);
            }
        }
    }
}

#[test]
fn tcpdump_reads_the_same_in_the_captures_of_others() {
    let Some(folder) = others() else { return };
    for name in ["isis_cap_tlv", "isis_sid", "isis_sr", "isis_iid_tlv", "isis_poi", "isis_poi2"] {
        let file = ["pcap", "pcapng"]
            .map(|extension| folder.join(name).with_extension(extension))
            .into_iter()
            .find(|file| file.exists())
            .unwrap();
        let bytes = fs::read(file).unwrap();
        let mut found: Vec<_> = capture::packets(&bytes)
            .unwrap()
            .filter_map(|packet| payload(&packet.unwrap()))
            .flat_map(|payload| facts(&Pdu::parse(payload).unwrap()))
            .collect();
        let text = fs::read_to_string(folder.join(name).with_extension("txt")).unwrap();
        let mut expected: Vec<_> = text.lines().filter_map(fact).collect();
        found.sort();
        expected.sort();
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(found, expected, "{name}");
    }
}

/// What the packets of a capture are: decoded, or the reason why not.
#[derive(Debug, PartialEq, Eq, Default)]
struct Tally {
    decoded: usize,
    /// TLVs that do not decode, of PDUs that do.
    bad_tlvs: usize,
    bad_checksums: usize,
    undecoded: Vec<(usize, DecodeErrorKind)>,
    refused: Vec<Refusal>,
}

/// Decodes each packet of a capture, and holds each that decodes to being emitted as it was, and each of its TLVs.
fn tally(file: &Path) -> Tally {
    let bytes = fs::read(file).unwrap();
    let mut tally = Tally::default();
    for packet in capture::packets(&bytes).unwrap() {
        let payload = match packet.unwrap().isis() {
            Ok(found) => found.payload,
            Err(refusal) => {
                tally.refused.push(refusal);
                continue;
            }
        };
        isis_pdu::check(payload);
        let pdu = match Pdu::parse(payload) {
            Ok(pdu) => pdu,
            Err(error) => {
                tally.undecoded.push((error.at, error.kind));
                continue;
            }
        };
        tally.decoded += 1;
        let tlvs = tlvs(&pdu).unwrap();
        let bad = tlvs.iter().filter(|tlv| tlv.body().is_err()).count();
        tally.bad_tlvs += bad;
        if matches!(pdu.body, PduBody::Lsp(lsp) if !lsp.checksum_ok()) {
            tally.bad_checksums += 1;
        } else if bad == 0 {
            let rebuilt: Vec<u8> = tlvs.iter().flat_map(|tlv| rebuild(&tlv)).collect();
            assert_eq!(isis_pdu::emit(&pdu, &rebuilt, None), pdu.bytes);
        }
    }
    tally
}

fn ours(name: &str, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).with_extension(extension)
}

fn others() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there is no {}", folder.display());
    None
}

/// What tshark reads in the packets of a capture: a value for each field that is not empty.
fn lines(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(ours(name, "tshark.tsv")).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t'));
    let names: Vec<_> = lines.next().unwrap().map(str::to_owned).collect();
    let line = |values: std::str::Split<'_, char>| {
        let fields = names.iter().cloned().zip(values.map(str::to_owned));
        fields.filter(|(name, value)| !value.is_empty() && name != "frame.number").collect()
    };
    lines.map(line).collect()
}

/// The same fields as this codec reads them. Several values are separated by commas.
fn fields(pdu: &Pdu<'_>) -> BTreeMap<&'static str, String> {
    let mut fields = BTreeMap::new();
    let mut put = |name, value: String| {
        let field: &mut String = fields.entry(name).or_default();
        if !field.is_empty() {
            field.push(',');
        }
        field.push_str(&value);
    };
    put("isis.type", pdu.body.pdu_type().number().to_string());
    let hello = match &pdu.body {
        PduBody::LanHello(hello) => Some((hello.fields.source, hello.fields.holding_time)),
        PduBody::P2pHello(hello) => Some((hello.fields.source, hello.fields.holding_time)),
        PduBody::Lsp(lsp) => {
            let LspEntry { lifetime, id, sequence, checksum } = lsp.entry();
            put("isis.lsp.lsp_id", id.to_string());
            put("isis.lsp.sequence_number", sequence.to_string());
            put("isis.lsp.remaining_life", lifetime.to_string());
            put("isis.lsp.checksum", format!("{checksum:#06x}"));
            None
        }
        PduBody::Csnp(_) | PduBody::Psnp(_) => None,
    };
    if let Some((source, holding_time)) = hello {
        put("isis.hello.source_id", source.to_string());
        put("isis.hello.holding_timer", holding_time.to_string());
    }
    for tlv in &tlvs(pdu).unwrap() {
        match tlv.body().unwrap() {
            TlvBody::ThreeWay(three_way) => {
                put("isis.hello.adjacency_state", three_way.state.number().to_string());
            }
            TlvBody::Hostname(name) => {
                put("isis.lsp.hostname", String::from_utf8(name.to_vec()).unwrap());
            }
            TlvBody::ExtendedIsReachability(neighbors) => {
                if !neighbors.topology().is_standard() {
                    put("isis.lsp.mtid", neighbors.topology().to_string());
                }
                for neighbor in neighbors.iter() {
                    put("isis.lsp.ext_is_reachability.is_neighbor_id", neighbor.id.to_string());
                    put("isis.lsp.ext_is_reachability.metric", neighbor.metric.to_string());
                }
            }
            TlvBody::ExtendedIpReachability(prefixes) => {
                if !prefixes.topology().is_standard() {
                    put("isis.lsp.mtid", prefixes.topology().to_string());
                }
                for reach in prefixes.iter() {
                    let names = if reach.prefix.is_ipv4() {
                        [
                            "isis.lsp.ext_ip_reachability.ipv4_prefix",
                            "isis.lsp.ext_ip_reachability.prefix_length",
                            "isis.lsp.ext_ip_reachability.metric",
                        ]
                    } else {
                        [
                            "isis.lsp.ipv6_reachability.ipv6_prefix",
                            "isis.lsp.ipv6_reachability.prefix_length",
                            "isis.lsp.ipv6_reachability.metric",
                        ]
                    };
                    let (address, length) = (reach.prefix.address(), reach.prefix.length());
                    let values =
                        [address.to_string(), length.to_string(), reach.metric.to_string()];
                    names.into_iter().zip(values).for_each(|(name, value)| put(name, value));
                }
            }
            TlvBody::IpInternalReachability(prefixes)
            | TlvBody::IpExternalReachability(prefixes) => {
                for reach in prefixes {
                    put("isis.lsp.ip_reachability.ipv4_prefix", reach.address.to_string());
                    let metric = reach.metrics.default_metric().to_string();
                    put("isis.lsp.ip_reachability.default_metric", metric);
                }
            }
            TlvBody::LspEntries(entries) => {
                // tshark calls the entries of both kinds of sequence numbers PDUs so.
                for entry in entries {
                    put("isis.csnp.lsp_id", entry.id.to_string());
                    put("isis.csnp.lsp_checksum", format!("{:#06x}", entry.checksum));
                }
            }
            _ => {}
        }
    }
    fields
}

/// The PDU in a packet, behind Juniper's header, too.
fn payload<'a>(packet: &Packet<'a>) -> Option<&'a [u8]> {
    let behind_llc = || {
        let at = packet.bytes.windows(4).position(|window| window == [0xfe, 0xfe, 3, 0x83])?;
        packet.bytes.get(at + 3..)
    };
    packet.isis().map(|found| found.payload).ok().or_else(behind_llc)
}

/// What a PDU says, one fact at a time, in words of our own.
fn facts(pdu: &Pdu<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let hello = match &pdu.body {
        PduBody::LanHello(hello) => Some((hello.fields.source, hello.fields.holding_time)),
        PduBody::P2pHello(hello) => Some((hello.fields.source, hello.fields.holding_time)),
        PduBody::Lsp(lsp) => {
            facts.push(entry_fact(&lsp.entry()));
            None
        }
        PduBody::Csnp(csnp) => {
            facts.extend([format!("start {}", csnp.start), format!("end {}", csnp.end)]);
            None
        }
        PduBody::Psnp(_) => None,
    };
    facts.extend(hello.map(|(source, time)| format!("hello {source} {time}")));
    facts.extend(tlv_facts(tlvs(pdu).unwrap()));
    facts
}

fn entry_fact(entry: &LspEntry) -> String {
    format!("lsp {} {} {}", entry.id, entry.sequence, entry.lifetime)
}

fn tlv_facts(tlvs: Tlvs<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    for tlv in tlvs {
        match tlv.body().unwrap() {
            TlvBody::LspEntries(entries) => {
                facts.extend(entries.iter().map(|entry| entry_fact(&entry)));
            }
            TlvBody::Hostname(name) => {
                facts.push(format!("hostname {}", String::from_utf8_lossy(name)));
            }
            TlvBody::LspBufferSize(size) => facts.push(format!("buffer {size}")),
            TlvBody::TeRouterId(router) => facts.push(format!("router {router}")),
            TlvBody::PurgeOriginator(purge) => {
                facts.push(format!("purge {}", purge.originator));
                facts.extend(purge.received_from.map(|system| format!("purge from {system}")));
            }
            TlvBody::AreaAddresses(areas) => {
                facts.extend(areas.iter().map(|area| format!("area {area}")));
            }
            TlvBody::Ipv4InterfaceAddresses(addresses) => {
                facts.extend(addresses.iter().map(|address| format!("address {address}")));
            }
            TlvBody::IsNeighbors(neighbors) => facts.extend(
                neighbors
                    .links
                    .iter()
                    .map(|link| format!("narrow {} {}", link.id, link.metrics.default_metric())),
            ),
            TlvBody::ExtendedIsReachability(neighbors) => facts.extend(
                neighbors
                    .iter()
                    .map(|neighbor| format!("link {} {}", neighbor.id, neighbor.metric)),
            ),
            TlvBody::ExtendedIpReachability(prefixes) => facts.extend(
                prefixes.iter().map(|reach| format!("prefix {} {}", reach.prefix, reach.metric)),
            ),
            TlvBody::IpInternalReachability(prefixes) => {
                facts.extend(prefixes.iter().map(|reach| {
                    let metric = reach.metrics.default_metric();
                    format!("prefix {} {metric}", reach.prefix().unwrap())
                }));
            }
            TlvBody::ThreeWay(three_way) => {
                let state = match three_way.state {
                    ThreeWayState::Up => "Up",
                    ThreeWayState::Initializing => "Initializing",
                    ThreeWayState::Down => "Down",
                    ThreeWayState::Unknown(_) => "Unknown",
                };
                facts.push(format!("three-way {state}"));
            }
            _ => {}
        }
    }
    facts
}

/// The fact in a line of tcpdump's, if it is one of those above.
fn fact(line: &str) -> Option<String> {
    let line = line.trim();
    // The value behind `label`, up to a comma or bracket.
    let after = |label: &str| {
        let (_, rest) = line.split_once(label)?;
        let rest = rest.trim_start();
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        rest.get(..end)
    };
    let starts = |label: &str| line.starts_with(label);
    let seconds = |text: &str| text.trim_end_matches('s').to_owned();
    Some(if starts("lsp-id: ") {
        let lifetime = seconds(after("lifetime:")?);
        format!("lsp {} {} {lifetime}", after("lsp-id: ")?, after("seq: ")?)
    } else if starts("source-id: ") && line.contains("holding time") {
        format!("hello {} {}", after("source-id: ")?, seconds(after("holding time: ")?))
    } else if starts("start lsp-id:") {
        format!("start {}", after("start lsp-id:")?)
    } else if starts("end lsp-id:") {
        format!("end {}", after("end lsp-id:")?)
    } else if starts("Hostname: ") {
        format!("hostname {}", after("Hostname: ")?)
    } else if starts("LSP Buffersize: ") {
        format!("buffer {}", after("LSP Buffersize: ")?)
    } else if starts("Traffic Engineering Router ID: ") {
        format!("router {}", after("Router ID: ")?)
    } else if starts("Purge Originator System-ID: ") {
        format!("purge {}", after("System-ID: ")?)
    } else if starts("Received from System-ID: ") {
        format!("purge from {}", after("System-ID: ")?)
    } else if starts("Area address (") {
        format!("area {}", after("): ")?)
    } else if starts("IPv4 interface address: ") {
        format!("address {}", after("address: ")?)
    } else if starts("IS Neighbor: ") && line.contains("Default Metric: ") {
        format!("narrow {} {}", after("IS Neighbor: ")?, after("Default Metric: ")?)
    } else if starts("IS Neighbor: ") {
        format!("link {} {}", after("IS Neighbor: ")?, after("Metric: ")?)
    } else if starts("IPv4 prefix:") || starts("IPv6 prefix:") {
        let (_, prefix) = line.split_once("prefix:")?;
        format!("prefix {} {}", prefix.trim_start().split(',').next()?, after("Metric: ")?)
    } else if starts("Adjacency State: ") {
        format!("three-way {}", after("Adjacency State: ")?)
    } else {
        return None;
    })
}

#[test]
fn pdus_are_found_on_every_link_layer_that_carries_them() {
    let pdu = isis_pdu::lsp_with(&[]);
    let find = |link_type, header: &str| {
        let bytes = [&crate::common::hex(header)[..], &pdu].concat();
        let original_length = u32::try_from(bytes.len()).unwrap();
        let packet = Packet { timestamp: Time::ZERO, link_type, bytes: &bytes, original_length };
        packet.isis().map(|found| (found.addresses.is_some(), found.payload == pdu))
    };
    let ethernet =
        |rest: &str| find(LinkType::ETHERNET, &format!("09002b000005 525400000001 {rest}"));
    assert_eq!(ethernet("001e fefe03"), Ok((true, true)));
    assert_eq!(ethernet("8870 fefe03"), Ok((true, true)));
    assert_eq!(ethernet("8100 0007 88a8 0007 001e fefe03"), Ok((true, true)));
    assert_eq!(ethernet("0800 fefe03"), Err(Refusal::NotIsis));
    assert_eq!(ethernet("001e 424203"), Err(Refusal::NotIsis));
    assert_eq!(ethernet("001e fefe03 82"), Err(Refusal::NotIsis), "ES-IS");
    assert!(matches!(ethernet("00ff fefe03"), Err(Refusal::Truncated(_))));
    let sll = |protocol: &str| {
        find(LinkType::LINUX_SLL, &format!("0002 0001 0006 5254000000010000 {protocol} fefe03"))
    };
    assert_eq!(sll("0004"), Ok((false, true)));
    assert_eq!(sll("8870"), Ok((false, true)));
    assert_eq!(sll("0800"), Err(Refusal::NotIsis));
    let sll2 = |protocol: &str| {
        let rest = "0000 00000002 0001 02 06 5254000000010000";
        find(LinkType::LINUX_SLL2, &format!("{protocol} {rest} fefe03"))
    };
    assert_eq!(sll2("0004"), Ok((false, true)));
    assert_eq!(sll2("0800"), Err(Refusal::NotIsis));
    assert_eq!(find(LinkType::C_HDLC, "0f00 fefe"), Ok((false, true)));
    assert_eq!(find(LinkType::C_HDLC, "8f00 fefe 03"), Ok((false, true)));
    assert_eq!(find(LinkType::C_HDLC, "0f00 0800"), Err(Refusal::NotIsis));
    assert_eq!(find(LinkType::PPP, "ff03 0023"), Ok((false, true)));
    assert_eq!(find(LinkType::PPP_HDLC, "0023"), Ok((false, true)));
    assert_eq!(find(LinkType::PPP, "0021"), Err(Refusal::NotIsis));
    assert_eq!(find(LinkType::RAW, ""), Err(Refusal::NotIsis));
}
