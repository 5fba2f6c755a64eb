//! Capture files of every format and link layer that is read, and the ways in which they can be broken.

use std::net::Ipv4Addr;

use bugle_types::Time;
use bugle_wire::capture::{self, CaptureError, LinkType, Packet, Refusal};
use bugle_wire::{DecodeError, DecodeErrorKind};
use proptest::prelude::*;

use crate::capture_file;
use crate::common::{hex, ip};

/// Writes numbers in one byte order.
#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn words(self, words: &[u32]) -> Vec<u8> {
        let bytes = |word: &u32| match self {
            Self::Big => word.to_be_bytes(),
            Self::Little => word.to_le_bytes(),
        };
        words.iter().flat_map(bytes).collect()
    }

    fn halves(self, halves: &[u16]) -> Vec<u8> {
        let bytes = |half: &u16| match self {
            Self::Big => half.to_be_bytes(),
            Self::Little => half.to_le_bytes(),
        };
        halves.iter().flat_map(bytes).collect()
    }

    fn block(self, kind: u32, contents: &[u8]) -> Vec<u8> {
        let padding = vec![0; contents.len().next_multiple_of(4) - contents.len()];
        let length = u32::try_from(contents.len() + padding.len() + 12).unwrap();
        [&self.words(&[kind, length]), contents, &padding, &self.words(&[length])].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = self.halves(&[1, 0]);
        let contents = [self.words(&[0x1a2b_3c4d]), version, vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &contents)
    }

    /// An interface's description, with options that are already bytes.
    fn interface(self, link_type: u16, snapshot_length: u32, options: &[u8]) -> Vec<u8> {
        let link = self.halves(&[link_type, 0]);
        self.block(1, &[&link, &self.words(&[snapshot_length])[..], options].concat())
    }

    fn enhanced(self, interface: u32, (upper, lower): (u32, u32), bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        let words = self.words(&[interface, upper, lower, length, length + 100]);
        self.block(6, &[&words, bytes].concat())
    }
}

const ORDERS: [Order; 2] = [Order::Big, Order::Little];

/// A pcap file of one packet, with its time at 3 s and 7 units.
fn pcap(order: Order, magic: u32, link_type: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [
        order.words(&[magic]),
        order.halves(&[2, 4]),
        order.words(&[0, 0, 0xffff, link_type, 3, 7, length, 1500]),
        bytes.to_vec(),
    ]
    .concat()
}

fn read(file: &[u8]) -> Vec<Result<Packet<'_>, CaptureError>> {
    capture_file::check(file);
    capture::packets(file).unwrap().collect()
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_both_units_of_time() {
    for order in ORDERS {
        for (magic, nanos) in [(0xa1b2_c3d4, 7000), (0xa1b2_3c4d, 7)] {
            // The upper half of the link type is about frame check sequences.
            let file = pcap(order, magic, 0x0400_0065, b"bytes");
            let expected = Packet {
                timestamp: Time::from_nanos(3_000_000_000 + nanos),
                link_type: LinkType::RAW,
                bytes: b"bytes",
                original_length: 1500,
            };
            assert_eq!(read(&file), [Ok(expected)], "{order:?} {magic:#x}");
        }
    }
}

#[test]
fn a_pcap_file_cut_short_gives_its_whole_packets_and_then_an_error() {
    let whole = pcap(Order::Little, 0xa1b2_c3d4, 101, b"bytes");
    let twice = [&whole[..], &whole[24..]].concat();
    for length in whole.len() + 1..twice.len() {
        let packets = read(&twice[..length]);
        assert_eq!(packets.len(), 2, "{length}");
        assert!(matches!(packets[..], [Ok(_), Err(CaptureError::Truncated(_))]), "{packets:?}");
    }
    assert_eq!(read(&whole[..24]), [], "no packet at all");
    for length in 0..24 {
        assert!(capture::packets(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn other_files_are_not_taken_for_captures() {
    for file in [&b""[..], b"\x0a\x0d", b"#!/bin/sh\n", &hex("a1b2cd34 00020004")] {
        assert_eq!(capture::packets(file).err(), Some(CaptureError::UnknownFormat));
    }
    let no_byte_order = hex("0a0d0d0a 0000001c ffffffff");
    assert_eq!(read(&no_byte_order), [Err(CaptureError::UnknownFormat)]);
}

#[test]
fn pcapng_is_read_with_every_kind_of_packet_block() {
    for order in ORDERS {
        let obsolete =
            [order.halves(&[1, 9]), order.words(&[0, 8, 2, 60]), b"ob".to_vec()].concat();
        let simple = [order.words(&[60]), b"simple".to_vec(), vec![0; 2]].concat();
        let file = [
            order.section(),
            order.interface(1, 8, &[]),
            order.interface(101, 0, &[]),
            order.enhanced(1, (1, 500_000), b"enhanced"),
            order.block(5, &[0; 12]),
            order.block(2, &obsolete),
            order.block(3, &simple),
        ]
        .concat();
        let packet = |micros: u64, link_type, bytes, original_length| {
            let timestamp = Time::from_nanos(micros * 1000);
            Ok(Packet { timestamp, link_type, bytes, original_length })
        };
        assert_eq!(
            read(&file),
            [
                packet((1 << 32) + 500_000, LinkType::RAW, &b"enhanced"[..], 108),
                packet(8, LinkType::RAW, b"ob", 60),
                // No time, of the first interface, cut to its snapshot length.
                packet(0, LinkType::ETHERNET, b"simple\0\0", 60),
            ],
            "{order:?}"
        );
    }
}

#[test]
fn pcapng_times_follow_the_resolution_and_offset_of_their_interface() {
    let time = |resolution: u8, offset: i64, upper, lower| {
        let order = Order::Big;
        let options = [
            order.halves(&[2, 3]),
            b"eth\0".to_vec(),
            order.halves(&[9, 1]),
            vec![resolution, 0, 0, 0],
            order.halves(&[14, 8]),
            offset.to_be_bytes().to_vec(),
            order.halves(&[0, 0]),
        ]
        .concat();
        let file = [
            order.section(),
            order.interface(101, 0, &options),
            order.enhanced(0, (upper, lower), b""),
        ]
        .concat();
        read(&file)[0].unwrap().timestamp.as_nanos()
    };
    assert_eq!(time(6, 0, 0, 1_000_001), 1_000_001_000);
    assert_eq!(time(9, 0, 0, 7), 7);
    assert_eq!(time(12, 0, 0, 7999), 7);
    assert_eq!(time(0, 0, 0, 7), 7_000_000_000);
    assert_eq!(time(0x8a, 0, 0, 512), 500_000_000, "in 1024ths of a second");
    assert_eq!(time(6, 5, 0, 1), 5_000_001_000);
    assert_eq!(time(6, -5, 0, 6_000_000), 1_000_000_000);
    assert_eq!(time(6, -5, 0, 0), 0, "before the epoch");
    assert_eq!(time(0, 0, u32::MAX, u32::MAX), u64::MAX, "past what can be told");
    assert_eq!(time(127, 0, u32::MAX, u32::MAX), 0);
}

#[test]
fn a_new_section_has_its_own_byte_order_and_interfaces() {
    let file = [
        Order::Big.section(),
        Order::Big.interface(101, 0, &[]),
        Order::Little.section(),
        Order::Little.interface(228, 0, &[]),
        Order::Little.enhanced(0, (0, 0), b"x"),
        Order::Big.section(),
        Order::Big.enhanced(0, (0, 0), b"y"),
    ]
    .concat();
    let packets = read(&file);
    assert_eq!(packets[0].unwrap().link_type, LinkType::IPV4);
    let [_, Err(CaptureError::UnknownInterface { interface: 0, .. })] = packets[..] else {
        panic!("{packets:?}")
    };
}

#[test]
fn blocks_of_impossible_length_are_refused() {
    let order = Order::Little;
    let start = order.section();
    let at = start.len();
    let refused = |block: &[u8]| read(&[&start, block].concat())[0].unwrap_err();
    for length in [0, 8, 11, 13] {
        let expected = CaptureError::BadBlockLength { at, length };
        assert_eq!(refused(&order.words(&[5, length, 0, 0])), expected);
    }
    let odd = [order.words(&[5, 13]), vec![0], order.words(&[13])].concat();
    assert_eq!(refused(&odd), CaptureError::BadBlockLength { at, length: 13 });
    // The length at the end is another.
    assert_eq!(
        refused(&order.words(&[5, 16, 0, 20])),
        CaptureError::BadBlockLength { at, length: 16 }
    );
    // A packet longer than its block.
    let long = order.words(&[0, 0, 0, 0xffff_fff0, 9]);
    let file = [order.interface(1, 0, &[]), order.block(6, &long)].concat();
    assert!(matches!(refused(&file), CaptureError::Truncated(_)));
    // An option longer than its block.
    let option = order.halves(&[9, 0xffff]);
    assert!(matches!(refused(&order.interface(1, 0, &option)), CaptureError::Truncated(_)));
    assert!(matches!(refused(&order.words(&[5])), CaptureError::Truncated(_)));
}

/// An IPv4 datagram from 10.0.0.1 to 224.0.0.5, with options, and a payload of five bytes.
fn datagram() -> Vec<u8> {
    [hex("46c0 001d 0001 0000 0159 0000 0a000001 e0000005 94040000"), b"hello".to_vec()].concat()
}

fn ipv4(link_type: u16, bytes: &[u8]) -> Result<(Ipv4Addr, Vec<u8>), Refusal> {
    let packet =
        Packet { timestamp: Time::ZERO, link_type: LinkType(link_type), bytes, original_length: 0 };
    packet.ipv4().map(|datagram| (datagram.source, datagram.payload.to_vec()))
}

#[test]
fn every_link_layer_leads_to_the_datagram() {
    let macs = "01005e000005 020000000001";
    for (link_type, header) in [
        (0, "02000000".to_owned()),
        (0, "00000002".to_owned()),
        (1, format!("{macs} 0800")),
        (1, format!("{macs} 8100 0007 0800")),
        (1, format!("{macs} 88a8 0005 8100 0007 0800")),
        (1, format!("{macs} 9100 0005 8100 0007 0800")),
        (9, "ff03 0021".to_owned()),
        (9, "0021".to_owned()),
        (9, "21".to_owned()),
        (50, "ff03 0021".to_owned()),
        (12, String::new()),
        (14, String::new()),
        (101, String::new()),
        (228, String::new()),
        (104, "0f00 0800".to_owned()),
        (108, "00000002".to_owned()),
        (113, "0000 0001 0006 0200000000010000 0800".to_owned()),
        (276, "0800 0000 00000002 0001 00 06 0200000000010000".to_owned()),
    ] {
        // Ethernet pads short frames.
        let bytes = [hex(&header), datagram(), vec![0xee; 9]].concat();
        let expected = (ip("10.0.0.1"), b"hello".to_vec());
        assert_eq!(ipv4(link_type, &bytes), Ok(expected), "{link_type} {header}");
        for length in 0..bytes.len() - 9 {
            let refusal = ipv4(link_type, &bytes[..length]).unwrap_err();
            let in_datagram = length >= hex(&header).len();
            assert!(!in_datagram || matches!(refusal, Refusal::Truncated(_)), "{refusal}");
        }
    }
}

#[test]
fn what_is_not_ipv4_is_refused_by_name() {
    let macs = "01005e000005 020000000001";
    let ethernet = |rest: &str| hex(&format!("{macs} {rest}"));
    // IPv6, ARP, and IS-IS, whose frames have a length there.
    for rest in ["86dd", "0806", "0100 fefe03"] {
        assert_eq!(
            ipv4(1, &[ethernet(rest), datagram()].concat()),
            Err(Refusal::NotIpv4),
            "{rest}"
        );
    }
    for (link_type, header) in
        [(0, "1e000000"), (9, "0057"), (104, "0f0086dd"), (108, "02000000"), (101, "60")]
    {
        let bytes = [hex(header), datagram()].concat();
        assert_eq!(ipv4(link_type, &bytes), Err(Refusal::NotIpv4), "{link_type}");
    }
    assert_eq!(ipv4(147, &datagram()), Err(Refusal::UnknownLinkType(147)));
}

#[test]
fn fragments_and_contradictory_headers_are_refused_with_the_reason() {
    let with = |at: usize, field: [u8; 2]| {
        let mut bytes = datagram();
        bytes[at..at + 2].copy_from_slice(&field);
        ipv4(101, &bytes)
    };
    let fragment = |offset| Err(Refusal::Fragment { identification: 1, offset });
    assert_eq!(with(6, [0x20, 0]), fragment(0), "the first");
    assert_eq!(with(6, [0x20, 2]), fragment(16));
    assert_eq!(with(6, [0x1f, 0xff]), fragment(65_528), "the last");
    assert!(with(6, [0x40, 0]).is_ok(), "don't fragment");
    assert_eq!(with(0, [0x44, 0]), Err(Refusal::BadHeader { header: 16, total: 29 }));
    assert_eq!(with(2, [0, 23]), Err(Refusal::BadHeader { header: 24, total: 23 }));
    let error = DecodeError { at: 24, kind: DecodeErrorKind::Truncated { need: 6, have: 5 } };
    assert_eq!(with(2, [0, 30]), Err(Refusal::Truncated(error)), "cut short by the capture");
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(
        start in prop::sample::select(vec!["d4c3b2a1", "a1b23c4d", "0a0d0d0a", "00000000"]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        capture_file::check(&[hex(start), rest].concat());
    }

    #[test]
    fn mutated_files_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let order = Order::Little;
        let options = [order.halves(&[9, 1]), vec![9, 0, 0, 0]].concat();
        let packet = order.enhanced(0, (0, 1), &datagram());
        let pcapng =
            [order.section(), order.interface(101, 0, &options), packet.clone(), packet].concat();
        for mut file in [pcapng, pcap(order, 0xa1b2_c3d4, 101, &datagram())] {
            for (index, byte) in &changes {
                let at = index.index(file.len());
                file[at] = *byte;
            }
            capture_file::check(&file);
            capture_file::check(&file[..cut.index(file.len())]);
        }
    }
}
