//! Arbitrary PDUs survive being emitted and decoded; arbitrary bytes survive being decoded.

use std::net::{Ipv4Addr, Ipv6Addr};

use bugle_types::{Mac, Prefix};
use bugle_wire::isis::{
    Algorithm, AreaAddress, BfdEnabled, CapabilityFlags, CircuitType, FloodingFlags,
    FloodingParameters, Key, LanHelloFields, Level, LinkAttribute, LspEntry, LspFields, LspFlags,
    LspId, NarrowMetrics, NarrowNeighbor, NarrowPrefix, Neighbor, NodeId, P2pHelloFields, Pdu,
    PduBody, PrefixReach, PurgeOriginator, Restart, RestartFlags, SequenceNumber, SubTlv, SubTlvs,
    SystemId, ThreeWay, ThreeWayNeighbor, ThreeWayState, TlvBody, TlvBuilder, TlvCode, Topology,
    TopologyId, emit_csnp, emit_lan_hello, emit_lsp, emit_p2p_hello, emit_psnp, verify,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::isis_pdu::{self, rebuild, tlvs};

fn systems() -> impl Strategy<Value = SystemId> {
    any::<[u8; 6]>().prop_map(SystemId)
}

fn nodes() -> impl Strategy<Value = NodeId> {
    (systems(), any::<u8>()).prop_map(|(system, pseudonode)| NodeId { system, pseudonode })
}

fn lsp_ids() -> impl Strategy<Value = LspId> {
    (nodes(), any::<u8>()).prop_map(|(node, fragment)| LspId { node, fragment })
}

fn levels() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::L1), Just(Level::L2)]
}

fn topologies() -> impl Strategy<Value = TopologyId> {
    any::<u16>().prop_map(TopologyId::from_word)
}

prop_compose! {
    fn entries()(lifetime: u16, id in lsp_ids(), sequence: u32, checksum: u16) -> LspEntry {
        LspEntry { lifetime, id, sequence: SequenceNumber(sequence), checksum }
    }
}

fn prefixes() -> impl Strategy<Value = Prefix> {
    let ipv4 = (any::<u32>(), 0..=32_u8)
        .prop_map(|(address, length)| Prefix::new(Ipv4Addr::from(address).into(), length).unwrap());
    let ipv6 = (any::<u128>(), 0..=128_u8)
        .prop_map(|(address, length)| Prefix::new(Ipv6Addr::from(address).into(), length).unwrap());
    prop_oneof![ipv4, ipv6]
}

/// Bytes that are sub-TLVs more often than not.
fn sub_tlvs() -> impl Strategy<Value = Vec<u8>> {
    let whole = vec((any::<u8>(), vec(any::<u8>(), 0..20)), 0..4).prop_map(|sub_tlvs| {
        let mut bytes = Vec::new();
        for (code, value) in &sub_tlvs {
            assert!(SubTlv { code: code % 20, value }.encode(&mut bytes));
        }
        bytes
    });
    prop_oneof![3 => whole, 1 => vec(any::<u8>(), 0..20), 2 => Just(Vec::new())]
}

/// What a TLV, or an element of one, is to say.
#[derive(Clone, Debug)]
enum Says {
    Area(AreaAddress),
    LanNeighbor(Mac),
    Entry(LspEntry),
    Protocol(u8),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    GlobalIpv6(Ipv6Addr),
    Topology(Topology),
    Bfd(BfdEnabled),
    NarrowNeighbor(NarrowNeighbor),
    Internal(NarrowPrefix),
    External(NarrowPrefix),
    Neighbor(TopologyId, NodeId, u32, Vec<u8>),
    Prefix(TopologyId, Prefix, u32, [bool; 2], Vec<u8>),
    Hostname(String),
    TeRouterId(Ipv4Addr),
    Ipv6TeRouterId(Ipv6Addr),
    BufferSize(u16),
    Checksum(u16),
    Purge(PurgeOriginator),
    Restart(Restart),
    ThreeWay(ThreeWay),
    Capability(Ipv4Addr, u8, Vec<u8>),
    Flooding(FloodingParameters),
    Unknown(u8, Vec<u8>),
}

fn sayings() -> impl Strategy<Value = Says> {
    let ipv4 = || any::<u32>().prop_map(Ipv4Addr::from);
    let ipv6 = || any::<u128>().prop_map(Ipv6Addr::from);
    let narrow_prefix = || {
        (any::<[u8; 4]>(), ipv4(), ipv4()).prop_map(|(metrics, address, mask)| NarrowPrefix {
            metrics: NarrowMetrics(metrics),
            address,
            mask,
        })
    };
    let lists = prop_oneof![
        vec(any::<u8>(), 1..=13).prop_map(|octets| Says::Area(AreaAddress::new(&octets).unwrap())),
        any::<[u8; 6]>().prop_map(|octets| Says::LanNeighbor(Mac(octets))),
        entries().prop_map(Says::Entry),
        any::<u8>().prop_map(Says::Protocol),
        ipv4().prop_map(Says::Ipv4),
        ipv6().prop_map(Says::Ipv6),
        ipv6().prop_map(Says::GlobalIpv6),
        (topologies(), any::<[bool; 2]>()).prop_map(|(id, [overload, attached])| {
            Says::Topology(Topology { id, overload, attached })
        }),
        (topologies(), any::<u8>())
            .prop_map(|(topology, nlpid)| Says::Bfd(BfdEnabled { topology, nlpid })),
        (any::<[u8; 4]>(), nodes()).prop_map(|(metrics, id)| {
            Says::NarrowNeighbor(NarrowNeighbor { metrics: NarrowMetrics(metrics), id })
        }),
        narrow_prefix().prop_map(Says::Internal),
        narrow_prefix().prop_map(Says::External),
        (topologies(), nodes(), 0..=0xff_ffff_u32, sub_tlvs()).prop_map(
            |(topology, id, metric, sub_tlvs)| Says::Neighbor(topology, id, metric, sub_tlvs)
        ),
        (topologies(), prefixes(), any::<u32>(), any::<[bool; 2]>(), sub_tlvs()).prop_map(
            |(topology, prefix, metric, [down, external], sub_tlvs)| {
                Says::Prefix(
                    topology,
                    prefix,
                    metric,
                    [down, external && !prefix.is_ipv4()],
                    sub_tlvs,
                )
            }
        ),
    ];
    let singles = prop_oneof![
        "[ -~]{0,60}".prop_map(Says::Hostname),
        ipv4().prop_map(Says::TeRouterId),
        ipv6().prop_map(Says::Ipv6TeRouterId),
        any::<u16>().prop_map(Says::BufferSize),
        any::<u16>().prop_map(Says::Checksum),
        (systems(), option::of(systems())).prop_map(|(originator, received_from)| {
            Says::Purge(PurgeOriginator { originator, received_from })
        }),
        (any::<u8>(), option::of((any::<u16>(), option::of(systems())))).prop_map(
            |(flags, rest)| {
                let (remaining_time, neighbor) =
                    rest.map_or((None, None), |(time, neighbor)| (Some(time), neighbor));
                Says::Restart(Restart { flags: RestartFlags(flags), remaining_time, neighbor })
            }
        ),
        (
            any::<u8>(),
            option::of((any::<u32>(), option::of((systems(), option::of(any::<u32>())))))
        )
            .prop_map(|(state, rest)| {
                let (circuit, neighbor) = rest.map_or((None, None), |(circuit, neighbor)| {
                    let neighbor =
                        neighbor.map(|(system, circuit)| ThreeWayNeighbor { system, circuit });
                    (Some(circuit), neighbor)
                });
                Says::ThreeWay(ThreeWay { state: ThreeWayState::from(state), circuit, neighbor })
            }),
        (ipv4(), any::<u8>(), sub_tlvs())
            .prop_map(|(router, flags, sub_tlvs)| Says::Capability(router, flags, sub_tlvs)),
        (
            option::of(any::<u32>()),
            option::of(any::<u32>()),
            any::<[Option<u16>; 3]>(),
            option::of(any::<u8>())
        )
            .prop_map(
                |(
                    burst_size,
                    transmission_interval,
                    [lsps_per_psnp, psnp_interval, receive_window],
                    flags,
                )| {
                    Says::Flooding(FloodingParameters {
                        burst_size,
                        transmission_interval,
                        lsps_per_psnp,
                        flags: flags.map(FloodingFlags),
                        psnp_interval,
                        receive_window,
                    })
                }
            ),
        (150_u8..200, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Says::Unknown(code, value)),
    ];
    prop_oneof![3 => lists, 1 => singles]
}

impl Says {
    fn say(&self, builder: &mut TlvBuilder) -> bool {
        match self {
            Self::Area(area) => builder.area_address(area),
            Self::LanNeighbor(station) => builder.lan_neighbor(*station),
            Self::Entry(entry) => builder.lsp_entry(*entry),
            Self::Protocol(nlpid) => builder.protocol(*nlpid),
            Self::Ipv4(address) => builder.ipv4_interface_address(*address),
            Self::Ipv6(address) => builder.ipv6_interface_address(*address),
            Self::GlobalIpv6(address) => builder.ipv6_global_interface_address(*address),
            Self::Topology(topology) => builder.topology(*topology),
            Self::Bfd(enabled) => builder.bfd_enabled(*enabled),
            Self::NarrowNeighbor(neighbor) => builder.narrow_neighbor(*neighbor),
            Self::Internal(prefix) => builder.internal_prefix(*prefix),
            Self::External(prefix) => builder.external_prefix(*prefix),
            Self::Neighbor(topology, id, metric, sub_tlvs) => {
                let sub_tlvs = SubTlvs::new(sub_tlvs);
                builder.neighbor(*topology, &Neighbor { id: *id, metric: *metric, sub_tlvs })
            }
            Self::Prefix(topology, prefix, metric, [down, external], sub_tlvs) => {
                let sub_tlvs = SubTlvs::new(sub_tlvs);
                let (prefix, metric, down, external) = (*prefix, *metric, *down, *external);
                builder.prefix(*topology, &PrefixReach { prefix, metric, down, external, sub_tlvs })
            }
            Self::Hostname(name) => builder.hostname(name),
            Self::TeRouterId(router) => builder.te_router_id(*router),
            Self::Ipv6TeRouterId(router) => builder.ipv6_te_router_id(*router),
            Self::BufferSize(size) => builder.lsp_buffer_size(*size),
            Self::Checksum(checksum) => builder.checksum(*checksum),
            Self::Purge(purge) => builder.purge_originator(purge),
            Self::Restart(restart) => builder.restart(restart),
            Self::ThreeWay(three_way) => builder.three_way(three_way),
            Self::Capability(router, flags, sub_tlvs) => {
                builder.router_capability(*router, CapabilityFlags(*flags), SubTlvs::new(sub_tlvs))
            }
            Self::Flooding(parameters) => builder.flooding_parameters(parameters),
            Self::Unknown(code, value) => builder.tlv(TlvCode(*code), value),
        }
    }

    /// Everything that TLVs say, one element at a time.
    fn heard(pdu: &Pdu<'_>) -> Vec<Self> {
        let mut heard = Vec::new();
        for tlv in tlvs(pdu).unwrap() {
            match tlv.body().unwrap() {
                TlvBody::AreaAddresses(list) => heard.extend(list.iter().map(Self::Area)),
                TlvBody::LanNeighbors(list) => heard.extend(list.iter().map(Self::LanNeighbor)),
                TlvBody::LspEntries(list) => heard.extend(list.iter().map(Self::Entry)),
                TlvBody::ProtocolsSupported(list) => heard.extend(list.iter().map(Self::Protocol)),
                TlvBody::Ipv4InterfaceAddresses(list) => heard.extend(list.iter().map(Self::Ipv4)),
                TlvBody::Ipv6InterfaceAddresses(list) => heard.extend(list.iter().map(Self::Ipv6)),
                TlvBody::Ipv6GlobalInterfaceAddresses(list) => {
                    heard.extend(list.iter().map(Self::GlobalIpv6));
                }
                TlvBody::MultiTopology(list) => heard.extend(list.iter().map(Self::Topology)),
                TlvBody::BfdEnabled(list) => heard.extend(list.iter().map(Self::Bfd)),
                TlvBody::IsNeighbors(list) => {
                    heard.extend(list.links.iter().map(Self::NarrowNeighbor));
                }
                TlvBody::IpInternalReachability(list) => {
                    heard.extend(list.iter().map(Self::Internal));
                }
                TlvBody::IpExternalReachability(list) => {
                    heard.extend(list.iter().map(Self::External));
                }
                TlvBody::ExtendedIsReachability(list) => heard.extend(list.iter().map(|one| {
                    Self::Neighbor(
                        list.topology(),
                        one.id,
                        one.metric,
                        one.sub_tlvs.bytes().to_vec(),
                    )
                })),
                TlvBody::ExtendedIpReachability(list) => heard.extend(list.iter().map(|one| {
                    let flags = [one.down, one.external];
                    let sub_tlvs = one.sub_tlvs.bytes().to_vec();
                    Self::Prefix(list.topology(), one.prefix, one.metric, flags, sub_tlvs)
                })),
                TlvBody::Hostname(name) => {
                    heard.push(Self::Hostname(String::from_utf8(name.to_vec()).unwrap()));
                }
                TlvBody::TeRouterId(router) => heard.push(Self::TeRouterId(router)),
                TlvBody::Ipv6TeRouterId(router) => heard.push(Self::Ipv6TeRouterId(router)),
                TlvBody::LspBufferSize(size) => heard.push(Self::BufferSize(size)),
                TlvBody::Checksum(checksum) => heard.push(Self::Checksum(checksum)),
                TlvBody::PurgeOriginator(purge) => heard.push(Self::Purge(purge)),
                TlvBody::Restart(restart) => heard.push(Self::Restart(restart)),
                TlvBody::ThreeWay(three_way) => heard.push(Self::ThreeWay(three_way)),
                TlvBody::RouterCapability(one) => heard.push(Self::Capability(
                    one.router,
                    one.flags.0,
                    one.sub_tlvs.bytes().to_vec(),
                )),
                TlvBody::FloodingParameters(parameters) => heard.push(Self::Flooding(parameters)),
                TlvBody::Unknown(value) => heard.push(Self::Unknown(tlv.code().0, value.to_vec())),
                TlvBody::Authentication(_) | TlvBody::Padding(_) => {}
            }
        }
        heard
    }
}

/// The fixed fields of a PDU.
#[derive(Clone, Copy, Debug)]
enum Fixed {
    LanHello(Level, LanHelloFields),
    P2pHello(P2pHelloFields),
    Lsp(Level, LspFields),
    Csnp(Level, NodeId, LspId, LspId),
    Psnp(Level, NodeId),
}

fn fixed() -> impl Strategy<Value = Fixed> {
    let circuit_types = || (0..4_u8).prop_map(CircuitType::from_octet);
    prop_oneof![
        (levels(), circuit_types(), systems(), any::<u16>(), 0..128_u8, nodes()).prop_map(
            |(level, circuit_type, source, holding_time, priority, lan_id)| {
                let fields =
                    LanHelloFields { circuit_type, source, holding_time, priority, lan_id };
                Fixed::LanHello(level, fields)
            }
        ),
        (circuit_types(), systems(), any::<u16>(), any::<u8>()).prop_map(
            |(circuit_type, source, holding_time, circuit_id)| {
                Fixed::P2pHello(P2pHelloFields { circuit_type, source, holding_time, circuit_id })
            }
        ),
        (levels(), any::<u16>(), lsp_ids(), any::<u32>(), any::<u8>()).prop_map(
            |(level, lifetime, id, sequence, flags)| {
                let (sequence, flags) = (SequenceNumber(sequence), LspFlags(flags));
                Fixed::Lsp(level, LspFields { lifetime, id, sequence, flags })
            }
        ),
        (levels(), nodes(), lsp_ids(), lsp_ids())
            .prop_map(|(level, source, start, end)| Fixed::Csnp(level, source, start, end)),
        (levels(), nodes()).prop_map(|(level, source)| Fixed::Psnp(level, source)),
    ]
}

impl Fixed {
    fn emit(&self, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
        match self {
            Self::LanHello(level, fields) => emit_lan_hello(*level, fields, tlvs, key),
            Self::P2pHello(fields) => emit_p2p_hello(fields, tlvs, key),
            Self::Lsp(level, fields) => emit_lsp(*level, fields, tlvs, key),
            Self::Csnp(level, source, start, end) => {
                emit_csnp(*level, *source, *start, *end, tlvs, key)
            }
            Self::Psnp(level, source) => emit_psnp(*level, *source, tlvs, key),
        }
    }

    fn is_said_by(&self, pdu: &Pdu<'_>) -> bool {
        match (self, &pdu.body) {
            (Self::LanHello(level, fields), PduBody::LanHello(hello)) => {
                (hello.level, hello.fields) == (*level, *fields)
            }
            (Self::P2pHello(fields), PduBody::P2pHello(hello)) => hello.fields == *fields,
            (Self::Lsp(level, fields), PduBody::Lsp(lsp)) => {
                let (header, LspEntry { lifetime, id, sequence, .. }) = (lsp.header(), lsp.entry());
                lsp.checksum_ok()
                    && header.level == *level
                    && usize::from(header.length) == lsp.bytes().len()
                    && LspFields { lifetime, id, sequence, flags: header.flags } == *fields
            }
            (Self::Csnp(level, source, start, end), PduBody::Csnp(csnp)) => {
                (csnp.level, csnp.source, csnp.start, csnp.end) == (*level, *source, *start, *end)
            }
            (Self::Psnp(level, source), PduBody::Psnp(psnp)) => {
                (psnp.level, psnp.source) == (*level, *source)
            }
            _ => false,
        }
    }
}

/// The TLVs that say all of it, in as much room as that takes.
fn said(sayings: &[Says]) -> TlvBuilder {
    let mut builder = TlvBuilder::new(60_000);
    assert!(sayings.iter().all(|says| says.say(&mut builder)));
    builder
}

fn pdus() -> impl Strategy<Value = Vec<u8>> {
    (fixed(), vec(sayings(), 0..20))
        .prop_map(|(fixed, sayings)| fixed.emit(said(&sayings).bytes(), None))
}

fn keys() -> impl Strategy<Value = Key> {
    use Algorithm::*;
    let algorithms = prop_oneof![
        Just(Cleartext),
        Just(HmacMd5),
        Just(HmacSha1),
        Just(HmacSha224),
        Just(HmacSha256),
        Just(HmacSha384),
        Just(HmacSha512),
    ];
    (algorithms, any::<u16>(), vec(any::<u8>(), 1..150))
        .prop_map(|(algorithm, id, secret)| Key::new(algorithm, id, &secret).unwrap())
}

proptest! {
    #[test]
    fn a_pdu_says_what_was_put_in(
        fixed in fixed(), sayings in vec(sayings(), 0..60), key in option::of(keys()),
    ) {
        let tlvs = said(&sayings);
        let bytes = fixed.emit(tlvs.bytes(), key.as_ref());
        let pdu = Pdu::parse(&bytes).unwrap();
        prop_assert!(fixed.is_said_by(&pdu), "{:?} {:?}", fixed, pdu);
        prop_assert_eq!(pdu.bytes, &bytes[..]);
        prop_assert_eq!(format!("{:?}", Says::heard(&pdu)), format!("{sayings:?}"));
        if let Some(key) = key {
            prop_assert_eq!(verify(&bytes, std::slice::from_ref(&key)), Ok(&key));
        }
    }

    #[test]
    fn pdus_decode_and_encode_to_the_same_bytes(bytes in pdus()) {
        let pdu = Pdu::parse(&bytes).unwrap();
        let rebuilt: Vec<u8> = tlvs(&pdu).unwrap().iter().flat_map(|tlv| rebuild(&tlv)).collect();
        prop_assert_eq!(isis_pdu::emit(&pdu, &rebuilt, None), bytes);
    }

    #[test]
    fn a_builder_never_outgrows_its_room_and_loses_nothing(
        sayings in vec(sayings(), 0..60), limit in 0..1500_usize,
    ) {
        let mut builder = TlvBuilder::new(limit);
        let mut taken = Vec::new();
        for says in sayings {
            let (before, room) = (builder.clone(), builder.room());
            if says.say(&mut builder) {
                prop_assert!(builder.len() > before.len());
                taken.push(says);
            } else {
                prop_assert!(builder == before, "refused, and changed nevertheless");
                // There was no room for it even in a TLV of its own.
                let mut alone = TlvBuilder::new(room);
                prop_assert!(!says.say(&mut alone));
            }
            prop_assert!(builder.len() <= limit && builder.room() == limit - builder.len());
        }
        let bytes = isis_pdu::lsp_with(builder.bytes());
        let heard = Says::heard(&Pdu::parse(&bytes).unwrap());
        prop_assert_eq!(format!("{heard:?}"), format!("{taken:?}"));
    }

    #[test]
    fn link_attributes_survive(groups: u32, address: u32, bandwidths: [u32; 8], metric in 0..=0xff_ffff_u32) {
        use bugle_wire::isis::Bandwidth;
        let attributes = [
            LinkAttribute::AdministrativeGroups(groups),
            LinkAttribute::Ipv4InterfaceAddress(address.into()),
            LinkAttribute::Ipv4NeighborAddress(address.into()),
            LinkAttribute::MaximumBandwidth(Bandwidth(groups)),
            LinkAttribute::ReservableBandwidth(Bandwidth(groups)),
            LinkAttribute::UnreservedBandwidth(bandwidths.map(Bandwidth)),
            LinkAttribute::TeDefaultMetric(metric),
        ];
        let mut bytes = Vec::new();
        for attribute in &attributes {
            attribute.encode(&mut bytes);
        }
        prop_assert!(SubTlvs::new(&bytes).link_attributes().eq(attributes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        isis_pdu::check(&bytes);
    }

    #[test]
    fn arbitrary_tlvs_never_panic(fixed in fixed(), tlvs in vec(any::<u8>(), 0..300)) {
        // Through a Hello's or LSP's header the bytes come to be looked at.
        let mut bytes = fixed.emit(&[], None);
        let at = if matches!(fixed, Fixed::LanHello(..) | Fixed::P2pHello(_)) { 17 } else { 8 };
        bytes.extend(&tlvs);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
        isis_pdu::check(&bytes);
    }

    #[test]
    fn mutated_pdus_never_panic(
        mut bytes in pdus(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        padding in vec(any::<u8>(), 0..40),
    ) {
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        isis_pdu::check(&bytes);
        isis_pdu::check(&bytes[..cut.index(bytes.len())]);
        bytes.extend(padding);
        isis_pdu::check(&bytes);
    }

    #[test]
    fn recency_is_antisymmetric(a in entries(), b in entries(), same_sequence: bool) {
        use bugle_wire::isis::Recency::{Confused, Newer, Older, Same};
        let b = if same_sequence { LspEntry { sequence: a.sequence, ..b } } else { b };
        let reverse = match a.recency(&b) {
            Older => Newer,
            Newer => Older,
            equal @ (Same | Confused) => equal,
        };
        prop_assert_eq!(b.recency(&a), reverse);
        prop_assert_eq!(a.recency(&a), Same);
        prop_assert!(reverse != Confused || a.checksum != b.checksum);
    }
}

#[test]
fn prefixes_of_both_families_do_not_share_a_tlv() {
    let reach = |text: &str| PrefixReach {
        prefix: text.parse().unwrap(),
        metric: 1,
        down: false,
        external: false,
        sub_tlvs: SubTlvs::default(),
    };
    let mut builder = TlvBuilder::new(100);
    for prefix in ["10.0.0.1/32", "2001:db8::1/128", "10.0.0.2/32"] {
        assert!(builder.prefix(TopologyId::STANDARD, &reach(prefix)));
    }
    let bytes = isis_pdu::lsp_with(builder.bytes());
    let codes: Vec<_> =
        tlvs(&Pdu::parse(&bytes).unwrap()).unwrap().iter().map(|tlv| tlv.code().0).collect();
    assert_eq!(codes, [135, 236, 135]);
}
