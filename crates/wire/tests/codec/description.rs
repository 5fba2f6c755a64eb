//! Descriptions of packets, as text and as JSON. What routers send is described in `tests/data`; here is what they do not.

use bugle_wire::describe;
use serde_json::json;

use crate::common::hex;

const HELLO: &str = "
    0201 0030  0aff0001 00000000 5229 0000 00000000 00000000
    ffffff00 0001 82 01 00000004 0a4d0002 0a4d0001  0aff0002";

#[test]
fn text_and_json_show_the_same_fields() {
    let description = describe::ospf(&hex(HELLO));
    assert_eq!(
        description.to_string(),
        "hello, router id 10.255.0.1, area 0.0.0.0\n  \
           auth: null\n  \
           body: mask 255.255.255.0, hello interval 1, options E DN, priority 1, dead interval 4, \
           dr 10.77.0.2, bdr 10.77.0.1, neighbors 10.255.0.2"
    );
    assert_eq!(
        serde_json::to_value(&description).unwrap(),
        json!({
            "type": "hello",
            "router_id": "10.255.0.1",
            "area": "0.0.0.0",
            "auth": { "type": "null" },
            "body": {
                "mask": "255.255.255.0",
                "hello_interval": 1,
                "options": ["E", "DN"],
                "priority": 1,
                "dead_interval": 4,
                "dr": "10.77.0.2",
                "bdr": "10.77.0.1",
                "neighbors": ["10.255.0.2"],
            },
        })
    );
}

#[test]
fn a_packet_with_a_wrong_checksum_is_described_and_marked() {
    let mut bytes = hex(HELLO);
    bytes[12] ^= 1;
    let description = serde_json::to_value(describe::ospf(&bytes)).unwrap();
    assert_eq!(description["error"], "at byte 12: wrong packet checksum");
    assert_eq!(description["body"]["dead_interval"], 4);
}

#[test]
fn what_cannot_be_decoded_is_shown_in_hexadecimal_with_the_reason() {
    let description = describe::ospf(&hex("0301 0030"));
    assert_eq!(description.to_string(), "error at byte 0: OSPF version 3, not 2, bytes 03010030");
}

#[test]
fn every_field_of_every_lsa_is_shown() {
    // The checksums are wrong, all of them, and are said to be.
    let bytes = hex("
        0204 00c0  0aff0001 00000001 0000 0007 00000000 00000000
        00000005
        8001 20 01 0aff0001 0aff0001 80000005 0001 0030  e0 00 0002
            0aff0002 0a4d0001 04 00 000a  0aff0001 ffffffff 07 00 0000
        0001 00 07 0a630203 0aff0001 80000001 0001 0024  ffffffff 00000021 0a4d0009 0000002a
        0001 02 0a 04000001 0aff0001 80000001 0001 001c  00010003 61626300
        0001 02 09 03000000 0aff0001 80000001 0001 001c  00010009 61626300
        0001 02 06 01020304 0aff0001 80000001 0001 0018  00000007");
    assert_eq!(
        describe::ospf(&bytes).to_string(),
        "link-state-update, router id 10.255.0.1, area 0.0.0.1
  auth: type-7
  body:
    lsas:
      router, link state id 10.255.0.1, advertising router 10.255.0.1, age 1, do not age true, \
      options DC, sequence 0x80000005, checksum 0x0001, length 48, checksum ok false
        body: flags 0xe0
          links:
            virtual, id 10.255.0.2, data 10.77.0.1, metric 10
            type-7, id 10.255.0.1, data 255.255.255.255, metric 0
      nssa, link state id 10.99.2.3, advertising router 10.255.0.1, age 1, \
      options none, sequence 0x80000001, checksum 0x0001, length 36, checksum ok false
        body: mask 255.255.255.255, metric type 1, metric 33, forwarding 10.77.0.9, tag 42
      opaque-area, link state id 4.0.0.1, advertising router 10.255.0.1, age 1, \
      options E, sequence 0x80000001, checksum 0x0001, length 28, checksum ok false
        body: opaque type 4, opaque id 1
          tlvs:
            1, value 616263
      opaque-link, link state id 3.0.0.0, advertising router 10.255.0.1, age 1, \
      options E, sequence 0x80000001, checksum 0x0001, length 28, checksum ok false
        body: opaque type 3, opaque id 0, bytes 0001000961626300
      type-6, link state id 1.2.3.4, advertising router 10.255.0.1, age 1, \
      options E, sequence 0x80000001, checksum 0x0001, length 24, checksum ok false
        body: error at byte 3: unknown LS type 6, \
        bytes 00010206010203040aff0001800000010001001800000007"
    );
}

#[test]
fn no_password_is_shown() {
    let mut bytes = hex(HELLO);
    bytes[15] = 1;
    bytes[16..24].copy_from_slice(b"password");
    let description = serde_json::to_value(describe::ospf(&bytes)).unwrap();
    assert_eq!(description["auth"], json!({ "type": "simple" }));
    assert!(!description.to_string().contains("70617373"));
}
