//! Descriptions of PDUs, as text and as JSON. What FRR sends is described in `tests/data`; here is what it does not.

use bugle_wire::describe;
use serde_json::json;

use crate::common::hex;
use crate::isis_pdu::lsp_with;

#[test]
fn text_and_json_show_the_same_fields() {
    let bytes = hex("
        83 14 01 00 11 01 00 03
        02 000000000001 0004 0025 01
        f0 0f 01 00000007 000000000002 00000009");
    let description = describe::isis(&bytes);
    assert_eq!(
        description.to_string(),
        "p2p-hello, max areas 3, source 0000.0000.0001, circuit type L2, holding time 4, circuit id 1\n  \
           tlvs:\n    \
             three-way, state initializing, circuit 7, neighbor 0000.0000.0002, neighbor circuit 9"
    );
    assert_eq!(
        serde_json::to_value(&description).unwrap(),
        json!({
            "type": "p2p-hello",
            "max_areas": 3,
            "source": "0000.0000.0001",
            "circuit_type": "L2",
            "holding_time": 4,
            "circuit_id": 1,
            "tlvs": [{
                "type": "three-way",
                "state": "initializing",
                "circuit": 7,
                "neighbor": "0000.0000.0002",
                "neighbor_circuit": 9,
            }],
        })
    );
}

#[test]
fn every_field_of_every_tlv_is_shown() {
    let bytes = lsp_with(&hex("
        0d 0d 02 000000000001 000000000002
        02 0c 00 0a050580 000000000002 03
        82 0c 8a808080 0a030000 ffff0000
        16 20 000000000002 00 00000a 15
            03 04 00000005  06 04 0a4d0001  09 04 4cee6b28  20 01 01
        87 1c 0000000a e0 0a000001 12
            01 08 0000000100000002  04 01 60  09 03 000000
        de 0f 0002 000000000002 00 00000a 02 03 01
        e5 04 0002 c003
        94 06 0000 cc 0002 8e
        d3 09 02 001b 000000000002
        15 0b 02 04 000003e8 04 01 80 06 00
        15 09 02 04 000003e8 04 01 80
        f2 09 0aff0001 03 02 02 c000
        0c 02 1234
        8c 10 20010db8000000000000000000000001
        89 05 612062 0a63
        ff 01 aa"));
    assert_eq!(
        describe::isis(&bytes).to_string(),
        "l1-lsp, id 0000.0000.0000.00-00, sequence 0x00000001, lifetime 1, checksum 0x3b5c, \
        checksum ok true, flags none
  tlvs:
    purge-originator, originator 0000.0000.0001, received from 0000.0000.0002
    is-neighbors, virtual false
      links:
        neighbor 0000.0000.0002.03, metric 10, external false, delay 5, expense 5
    ip-external-reachability
      prefixes:
        address 10.3.0.0, mask 255.255.0.0, metric 10, external false, down true
    extended-is-reachability
      links:
        neighbor 0000.0000.0002.00, metric 10
          sub tlvs:
            administrative-groups, value 0x00000005
            ipv4-interface-address, value 10.77.0.1
            maximum-bandwidth, value 125000000
            sub-tlv-32, value 01
    extended-ip-reachability
      prefixes:
        prefix 10.0.0.1/32, metric 10, down true
          sub tlvs:
            tags, value 1 2
            flags, value R N
            sub-tlv-9, value 000000
    mt-is-reachability, topology 2
      links:
        neighbor 0000.0000.0002.00, metric 10, sub tlvs none, \
        error the sub-TLVs do not fit their length, bytes 0301
    multi-topology
      topologies:
        id 2, overload false, attached false
        id 3, overload true, attached true
    bfd-enabled
      for:
        topology 0, protocol ipv4
        topology 2, protocol ipv6
    restart, flags RA, remaining time 27, neighbor 0000.0000.0002
    flooding-parameters, error at byte 189: 2 bytes needed, 0 left, value 0204000003e80401800600
    flooding-parameters, transmission interval 1000, flags O
    router-capability, router 10.255.0.1, flags S D
      sub tlvs:
        sub-tlv-2, value c000
    checksum, checksum 0x1234
    ipv6-te-router-id, router 2001:db8::1
    hostname, name a b\\nc
    tlv-255, value aa"
    );
}

#[test]
fn what_cannot_be_decoded_is_shown_in_hexadecimal_with_the_reason() {
    let shown = |bytes: &[u8]| describe::isis(bytes).to_string();
    assert_eq!(
        shown(&hex("82 14 01 00 11 01 00 00")),
        "error at byte 0: network layer protocol 0x82, not IS-IS, bytes 8214010011010000"
    );
    let mut lsp = lsp_with(&hex("08 00"));
    lsp[28] = 9;
    let text = shown(&lsp);
    assert!(text.contains("checksum ok false"), "{text}");
    assert!(
        text.contains("tlvs: error at byte 28: TLV 8 of 9 bytes, but 0 are left, bytes 831b"),
        "{text}"
    );
}
