//! Arbitrary packets survive being emitted and decoded; arbitrary bytes survive being decoded.

use std::net::Ipv4Addr;

use bugle_types::{AreaId, RouterId};
use bugle_wire::ospf::{
    Auth, Body, DdFlags, ExternalLsa, Header, HelloFields, Lsa, LsaBody, LsaHeader, LsaKey,
    LsaType, Options, Packet, RouterFlags, RouterLink, RouterLinkKind, SequenceNumber, SummaryLsa,
    UpdateBuilder, build_lsa, emit_database_description, emit_hello, emit_link_state_ack,
    emit_link_state_request, external_body, network_body, router_body, summary_body,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::ospf_packet;

prop_compose! {
    fn headers()(router_id: u32, area: u32, auth in auths()) -> Header {
        Header { router_id: RouterId(router_id), area: AreaId(area), auth }
    }
}

fn auths() -> impl Strategy<Value = Auth> {
    prop_oneof![
        Just(Auth::Null),
        any::<[u8; 8]>().prop_map(Auth::Simple),
        // No digest follows: emitting one is not the codec's part.
        any::<(u8, u32)>().prop_map(|(key_id, sequence)| Auth::Cryptographic {
            key_id,
            length: 0,
            sequence
        }),
        (3_u16..).prop_map(Auth::Unknown),
    ]
}

prop_compose! {
    fn keys()(ls_type: u8, id: u32, router: u32) -> LsaKey {
        LsaKey {
            ls_type: LsaType(ls_type),
            link_state_id: Ipv4Addr::from(id),
            advertising_router: RouterId(router),
        }
    }
}

prop_compose! {
    fn lsa_headers()(
        age: u16, options: u8, key in keys(), sequence: i32, checksum: u16, length: u16,
    ) -> LsaHeader {
        let (options, sequence) = (Options(options), SequenceNumber(sequence));
        LsaHeader { age, options, key, sequence, checksum, length }
    }
}

prop_compose! {
    fn hellos()(
        mask: u32, hello_interval: u16, options: u8, priority: u8, dead_interval: u32, dr: u32, bdr: u32,
    ) -> HelloFields {
        HelloFields {
            mask: mask.into(),
            hello_interval,
            options: Options(options),
            priority,
            dead_interval,
            dr: dr.into(),
            bdr: bdr.into(),
        }
    }
}

prop_compose! {
    fn links()(kind: u8, id: u32, data: u32, metric: u16) -> RouterLink {
        RouterLink { kind: RouterLinkKind::from(kind), id: id.into(), data: data.into(), metric }
    }
}

/// The type and body of an LSA, and what that body must say when decoded.
#[derive(Clone, Debug)]
enum Says {
    Router(RouterFlags, Vec<RouterLink>),
    Network(Ipv4Addr, Vec<RouterId>),
    Summary(LsaType, SummaryLsa),
    External(LsaType, ExternalLsa),
    Opaque(LsaType, Vec<u8>),
}

fn sayings() -> impl Strategy<Value = Says> {
    use LsaType as T;
    let metric = 0..=0xff_ffff_u32;
    prop_oneof![
        (any::<u8>(), vec(links(), 0..20))
            .prop_map(|(flags, links)| Says::Router(RouterFlags(flags), links)),
        (any::<u32>(), vec(any::<u32>().prop_map(RouterId), 0..20))
            .prop_map(|(mask, routers)| Says::Network(mask.into(), routers)),
        (
            prop_oneof![Just(T::SUMMARY_NETWORK), Just(T::SUMMARY_ASBR)],
            any::<u32>(),
            metric.clone()
        )
            .prop_map(|(kind, mask, metric)| Says::Summary(
                kind,
                SummaryLsa { mask: mask.into(), metric }
            )),
        (prop_oneof![Just(T::AS_EXTERNAL), Just(T::NSSA)], any::<(u32, bool, u32, u32)>(), metric)
            .prop_map(|(kind, (mask, type2, forwarding, tag), metric)| {
                let (mask, forwarding) = (mask.into(), forwarding.into());
                Says::External(kind, ExternalLsa { mask, type2, metric, forwarding, tag })
            }),
        (
            prop_oneof![Just(T::OPAQUE_LINK), Just(T::OPAQUE_AREA), Just(T::OPAQUE_AS)],
            vec(any::<[u8; 4]>(), 0..20)
        )
            .prop_map(|(kind, words)| Says::Opaque(kind, words.concat())),
    ]
}

impl Says {
    fn ls_type(&self) -> LsaType {
        match self {
            Self::Router(..) => LsaType::ROUTER,
            Self::Network(..) => LsaType::NETWORK,
            Self::Summary(ls_type, _) | Self::External(ls_type, _) | Self::Opaque(ls_type, _) => {
                *ls_type
            }
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Self::Router(flags, links) => router_body(*flags, links),
            Self::Network(mask, routers) => network_body(*mask, routers),
            Self::Summary(_, summary) => summary_body(summary.mask, summary.metric),
            Self::External(_, external) => external_body(external),
            Self::Opaque(_, bytes) => bytes.clone(),
        }
    }

    fn is_said_by(&self, body: &LsaBody<'_>) -> bool {
        match (self, body) {
            (Self::Router(flags, links), LsaBody::Router(router)) => {
                router.flags == *flags && router.links.clone().eq(links.iter().copied())
            }
            (Self::Network(mask, routers), LsaBody::Network(network)) => {
                network.mask == *mask && network.routers.iter().eq(routers.iter().copied())
            }
            (Self::Summary(_, summary), LsaBody::Summary(found)) => found == summary,
            (Self::External(_, external), LsaBody::External(found)) => found == external,
            (Self::Opaque(_, bytes), LsaBody::Opaque(found)) => found == bytes,
            _ => false,
        }
    }
}

/// A finished LSA with what it says.
fn lsas() -> impl Strategy<Value = (Says, Vec<u8>)> {
    (sayings(), keys(), any::<(u8, i32, u16)>()).prop_map(
        |(says, key, (options, sequence, age))| {
            let key = LsaKey { ls_type: says.ls_type(), ..key };
            let sequence = SequenceNumber(sequence);
            let bytes = build_lsa(Options(options), key, sequence, age, &says.body());
            (says, bytes)
        },
    )
}

/// A finished packet of any type.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let dd = (any::<(u16, u8, u8, u32)>(), vec(lsa_headers(), 0..9));
    prop_oneof![
        (headers(), hellos(), vec(any::<u32>().prop_map(RouterId), 0..9))
            .prop_map(|(header, fields, neighbors)| emit_hello(&header, &fields, neighbors)),
        (headers(), dd).prop_map(|(header, ((mtu, options, flags, sequence), list))| {
            let (options, flags) = (Options(options), DdFlags(flags));
            emit_database_description(&header, mtu, options, flags, sequence, list)
        }),
        (headers(), vec(keys(), 0..9))
            .prop_map(|(header, keys)| emit_link_state_request(&header, keys)),
        (headers(), vec(lsas(), 0..9)).prop_map(|(header, lsas)| update(&header, &lsas)),
        (headers(), vec(lsa_headers(), 0..9))
            .prop_map(|(header, list)| emit_link_state_ack(&header, list)),
    ]
}

fn update(header: &Header, lsas: &[(Says, Vec<u8>)]) -> Vec<u8> {
    let mut builder = UpdateBuilder::new(header);
    for (_, lsa) in lsas {
        assert!(builder.push(lsa, u16::from_be_bytes([lsa[0], lsa[1]])));
    }
    builder.finish()
}

proptest! {
    #[test]
    fn a_hello_says_what_was_put_in(
        header in headers(), fields in hellos(), neighbors in vec(any::<u32>().prop_map(RouterId), 0..99),
    ) {
        let bytes = emit_hello(&header, &fields, neighbors.iter().copied());
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!(packet.header, header);
        let Body::Hello(hello) = packet.body else { panic!() };
        prop_assert_eq!(hello.fields, fields);
        prop_assert!(hello.neighbors.iter().eq(neighbors));
    }

    #[test]
    fn a_database_description_says_what_was_put_in(
        header in headers(), fixed: (u16, u8, u8, u32), list in vec(lsa_headers(), 0..99),
    ) {
        let (mtu, options, flags, sequence) = fixed;
        let (options, flags) = (Options(options), DdFlags(flags));
        let bytes =
            emit_database_description(&header, mtu, options, flags, sequence, list.iter().copied());
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!(packet.header, header);
        let Body::DatabaseDescription(dd) = packet.body else { panic!() };
        prop_assert_eq!((dd.mtu, dd.options, dd.flags, dd.sequence), (mtu, options, flags, sequence));
        prop_assert!(dd.headers.iter().eq(list));
    }

    #[test]
    fn requests_and_acknowledgments_say_what_was_put_in(
        header in headers(), keys in vec(keys(), 0..99), list in vec(lsa_headers(), 0..99),
    ) {
        let bytes = emit_link_state_request(&header, keys.iter().copied());
        let Body::LinkStateRequest(request) = Packet::parse(&bytes).unwrap().body else { panic!() };
        prop_assert!(request.requests.iter().eq(keys));
        let bytes = emit_link_state_ack(&header, list.iter().copied());
        let Body::LinkStateAck(ack) = Packet::parse(&bytes).unwrap().body else { panic!() };
        prop_assert!(ack.headers.iter().eq(list));
    }

    #[test]
    fn an_update_holds_the_lsas_put_in_and_each_says_what_was_meant(
        header in headers(), lsas in vec(lsas(), 0..20),
    ) {
        let bytes = update(&header, &lsas);
        let Body::LinkStateUpdate(update) = Packet::parse(&bytes).unwrap().body else { panic!() };
        prop_assert_eq!(update.len(), lsas.len());
        prop_assert!(update.lsas().map(|lsa| lsa.bytes()).eq(lsas.iter().map(|(_, bytes)| &bytes[..])));
        for (lsa, (says, _)) in update.lsas().zip(&lsas) {
            prop_assert!(lsa.checksum_ok());
            prop_assert!(says.is_said_by(&lsa.body().unwrap()), "{:?} {:?}", says, lsa);
        }
    }

    #[test]
    fn a_new_age_changes_nothing_else((_, lsa) in lsas(), age: u16) {
        let mut builder = UpdateBuilder::new(&Header {
            router_id: RouterId(1),
            area: AreaId(0),
            auth: Auth::Null,
        });
        prop_assert!(builder.push(&lsa, age));
        let length = builder.len();
        let bytes = builder.finish();
        prop_assert_eq!(bytes.len(), length);
        let Body::LinkStateUpdate(update) = Packet::parse(&bytes).unwrap().body else { panic!() };
        let sent = update.lsas().next().unwrap();
        prop_assert!(sent.checksum_ok());
        let expected = LsaHeader { age, ..Lsa::parse(&lsa).unwrap().header() };
        prop_assert_eq!(sent.header(), expected);
    }

    #[test]
    fn packets_decode_and_encode_to_the_same_bytes(bytes in packets()) {
        prop_assert_eq!(ospf_packet::emit(&Packet::parse(&bytes).unwrap()), bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        ospf_packet::check(&bytes);
    }

    #[test]
    fn mutated_packets_never_panic(
        mut bytes in packets(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        padding in vec(any::<u8>(), 0..40),
    ) {
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        ospf_packet::check(&bytes);
        let lsas_cut = &bytes[..cut.index(bytes.len())];
        ospf_packet::check(lsas_cut);
        bytes.extend(padding);
        ospf_packet::check(&bytes);
    }

    #[test]
    fn recency_is_antisymmetric_and_an_instance_equals_itself(a in lsa_headers(), b in lsa_headers()) {
        prop_assert_eq!(a.recency(&b), b.recency(&a).reverse());
        prop_assert_eq!(a.recency(&a), std::cmp::Ordering::Equal);
    }
}
