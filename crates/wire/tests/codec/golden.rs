//! Packets written down by hand from the diagrams of the RFCs: what they say, and that the same bytes are emitted.

use std::net::Ipv4Addr;

use bugle_types::{AreaId, RouterId};
use bugle_wire::ospf::{
    Auth, Body, DdFlags, ExternalLsa, Header, HelloFields, LsaBody, LsaKey, LsaType, Options,
    Packet, RouterFlags, RouterLink, RouterLinkKind, SequenceNumber, SummaryLsa, Tlv,
};

use crate::common::{hex, ip};
use crate::ospf_packet::{emit, rebuild};

const NULL: Header = Header { router_id: RouterId(0x0aff_0001), area: AreaId(0), auth: Auth::Null };

#[test]
fn hello() {
    let bytes = hex("
        0201 0034  0aff0001 00000000 1024 0000 00000000 00000000
        ffffff00 0001 02 01 00000004 0a4d0002 0a4d0001
        0aff0002 c0000201");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.header, NULL);
    assert_eq!((packet.lls, packet.digest), (None, &[][..]));
    let Body::Hello(hello) = packet.body else { panic!("{packet:?}") };
    assert_eq!(
        hello.fields,
        HelloFields {
            mask: ip("255.255.255.0"),
            hello_interval: 1,
            options: Options::E,
            priority: 1,
            dead_interval: 4,
            dr: ip("10.77.0.2"),
            bdr: ip("10.77.0.1"),
        }
    );
    let neighbors = [RouterId(0x0aff_0002), RouterId(0xc000_0201)];
    assert!(hello.neighbors.iter().eq(neighbors));
    assert_eq!((hello.neighbors.len(), hello.neighbors.is_empty()), (2, false));
    assert_eq!(emit(&packet), bytes);
}

#[test]
fn hello_with_a_password_whose_field_is_not_checksummed() {
    let bytes = hex("
        0201 002c  0aff0001 00000000 f1ca 0001 70617373 776f7264
        ffffff00 0001 02 01 00000004 00000000 00000000");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.header.auth, Auth::Simple(*b"password"));
    assert_eq!(emit(&packet), bytes);
    assert!(!format!("{packet:?}").contains("112"), "the password is not to be seen");
}

#[test]
fn hello_with_a_digest_and_link_local_signalling() {
    let bytes = hex("
        0201 002c  0aff0001 00000000 0000 0002 0000 07 10 00000099
        ffffff00 0001 12 01 00000004 00000000 00000000
        000102030405060708090a0b0c0d0e0f
        0000 0005  0001 0004 00000001  0002 0002 abcd 0000");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.header.auth, Auth::Cryptographic { key_id: 7, length: 16, sequence: 0x99 });
    assert_eq!(packet.digest, (0..16).collect::<Vec<u8>>());
    let tlvs: Vec<_> = packet.lls.unwrap().tlvs().collect();
    assert_eq!(
        tlvs,
        [Tlv { kind: 1, value: &[0, 0, 0, 1] }, Tlv { kind: 2, value: &[0xab, 0xcd] }]
    );
    assert_eq!(emit(&packet), bytes);
}

#[test]
fn database_description() {
    let bytes = hex("
        0202 0034  0aff0001 00000000 431a 0000 00000000 00000000
        05dc 42 07 2b3e8a23
        0e10 22 05 0a630203 0aff0001 80000001 eac9 0024");
    let packet = Packet::parse(&bytes).unwrap();
    let Body::DatabaseDescription(dd) = packet.body else { panic!("{packet:?}") };
    assert_eq!((dd.mtu, dd.options, dd.sequence), (1500, Options::E | Options::O, 0x2b3e_8a23));
    assert_eq!(dd.flags, DdFlags::INIT | DdFlags::MORE | DdFlags::MASTER);
    let header = dd.headers.iter().next().unwrap();
    assert_eq!(header.key, key(LsaType::AS_EXTERNAL, "10.99.2.3"));
    assert_eq!((header.age, header.options), (3600, Options::E | Options::DC));
    assert_eq!(header.sequence, SequenceNumber::INITIAL);
    assert_eq!((header.checksum, header.length), (0xeac9, 36));
    assert_eq!(emit(&packet), bytes);
}

#[test]
fn link_state_request() {
    let bytes = hex("
        0203 0030  0aff0001 00000000 cdbe 0000 00000000 00000000
        00000001 0aff0002 0aff0002  0000000b 04000000 0aff0001");
    let packet = Packet::parse(&bytes).unwrap();
    let Body::LinkStateRequest(request) = packet.body else { panic!("{packet:?}") };
    let keys = [
        LsaKey {
            ls_type: LsaType::ROUTER,
            link_state_id: ip("10.255.0.2"),
            advertising_router: RouterId(0x0aff_0002),
        },
        key(LsaType::OPAQUE_AS, "4.0.0.0"),
    ];
    assert!(request.requests.iter().eq(keys));
    assert_eq!(emit(&packet), bytes);
}

#[test]
fn link_state_ack() {
    let bytes = hex("
        0205 002c  0aff0001 00000000 e3b5 0000 00000000 00000000
        8001 02 02 0a4d0002 0aff0002 7fffffff f7a5 0020");
    let packet = Packet::parse(&bytes).unwrap();
    let Body::LinkStateAck(ack) = packet.body else { panic!("{packet:?}") };
    let header = ack.headers.iter().next().unwrap();
    assert_eq!((header.age, header.sequence), (0x8001, SequenceNumber::MAX));
    assert_eq!(emit(&packet), bytes);
}

#[test]
fn link_state_update_with_an_lsa_of_every_body() {
    let bytes = hex("
        0204 00e4  0aff0001 00000000 a15c 0000 00000000 00000000
        00000006
        0001 02 01 0aff0001 0aff0001 80000005 603e 0030  13 00 0002
            0aff0002 0a4d0001 01 00 000a  0aff0001 ffffffff 03 00 0000
        0001 02 02 0a4d0002 0aff0001 80000001 c519 0020  ffffff00  0aff0001 0aff0002
        0001 02 03 0aff0001 0aff0001 80000001 e25a 001c  ffffffff 0000000a
        0001 02 04 0aff0002 0aff0001 80000001 66de 001c  00000000 00ffffff
        0001 02 05 0a630203 0aff0001 80000001 f1b7 0024  ffffffff 80000021 0a4d0009 0000002a
        0001 42 0a 04000000 0aff0001 80000001 3db4 001c  00010004 10000000");
    let packet = Packet::parse(&bytes).unwrap();
    let Body::LinkStateUpdate(update) = &packet.body else { panic!("{packet:?}") };
    assert_eq!((update.len(), update.is_empty()), (6, false));
    let lsas: Vec<_> = update.lsas().collect();
    let wrong: Vec<_> = lsas.iter().filter(|lsa| !lsa.checksum_ok()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");

    let LsaBody::Router(router) = lsas[0].body().unwrap() else { panic!("{:?}", lsas[0]) };
    assert_eq!(router.flags, RouterFlags::NT | RouterFlags::E | RouterFlags::B);
    let link = |kind, id, data, metric| RouterLink { kind, id: ip(id), data: ip(data), metric };
    assert_eq!(
        router.links.collect::<Vec<_>>(),
        [
            link(RouterLinkKind::PointToPoint, "10.255.0.2", "10.77.0.1", 10),
            link(RouterLinkKind::Stub, "10.255.0.1", "255.255.255.255", 0),
        ]
    );
    let LsaBody::Network(network) = lsas[1].body().unwrap() else { panic!("{:?}", lsas[1]) };
    assert_eq!(network.mask, ip("255.255.255.0"));
    assert!(network.routers.iter().eq([RouterId(0x0aff_0001), RouterId(0x0aff_0002)]));
    let summary = SummaryLsa { mask: Ipv4Addr::BROADCAST, metric: 10 };
    assert_eq!(lsas[2].body(), Ok(LsaBody::Summary(summary)));
    let asbr = SummaryLsa { mask: Ipv4Addr::UNSPECIFIED, metric: 0xff_ffff };
    assert_eq!(lsas[3].body(), Ok(LsaBody::Summary(asbr)));
    let external = ExternalLsa {
        mask: Ipv4Addr::BROADCAST,
        type2: true,
        metric: 33,
        forwarding: ip("10.77.0.9"),
        tag: 42,
    };
    assert_eq!(lsas[4].body(), Ok(LsaBody::External(external)));
    assert_eq!(lsas[5].body(), Ok(LsaBody::Opaque(&[0, 1, 0, 4, 0x10, 0, 0, 0])));

    assert_eq!(emit(&packet), bytes);
    for lsa in &lsas {
        assert_eq!(rebuild(lsa).as_deref(), Some(lsa.bytes()));
    }
}

#[test]
fn metrics_by_type_of_service_are_skipped() {
    let bytes = hex("
        0001 02 01 0aff0001 0aff0001 80000005 0000 0038  00 00 0002
            0aff0002 0a4d0001 01 02 000a  08 00 0001  10 00 0002
            0aff0001 ffffffff 03 00 0000");
    let lsa = bugle_wire::ospf::Lsa::parse(&bytes).unwrap();
    let LsaBody::Router(router) = lsa.body().unwrap() else { panic!("{lsa:?}") };
    assert_eq!(router.links.map(|link| link.metric).collect::<Vec<_>>(), [10, 0]);
}

#[test]
fn padding_after_the_packet_is_ignored() {
    let mut bytes = hex("
        0205 002c  0aff0001 00000000 e3b5 0000 00000000 00000000
        8001 02 02 0a4d0002 0aff0002 7fffffff f7a5 0020");
    let packet = format!("{:?}", Packet::parse(&bytes).unwrap());
    bytes.extend([0xee; 18]);
    assert_eq!(format!("{:?}", Packet::parse(&bytes).unwrap()), packet);
}

fn key(ls_type: LsaType, link_state_id: &str) -> LsaKey {
    LsaKey { ls_type, link_state_id: ip(link_state_id), advertising_router: RouterId(0x0aff_0001) }
}
