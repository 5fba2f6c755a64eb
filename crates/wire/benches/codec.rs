//! How fast packets are decoded and emitted, and LSAs checksummed.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use bugle_types::{AreaId, Prefix, RouterId};
use bugle_wire::checksum;
use bugle_wire::isis;
use bugle_wire::ospf::{
    Auth, Body, ExternalLsa, Header, HelloFields, LsaKey, LsaType, Options, Packet, RouterFlags,
    RouterLink, RouterLinkKind, SequenceNumber, UpdateBuilder, build_lsa, emit_hello,
    external_body, router_body, summary_body,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HEADER: Header = Header { router_id: RouterId(1), area: AreaId(0), auth: Auth::Null };
const HELLO: HelloFields = HelloFields {
    mask: Ipv4Addr::new(255, 255, 255, 254),
    hello_interval: 1,
    options: Options::E,
    priority: 1,
    dead_interval: 4,
    dr: Ipv4Addr::UNSPECIFIED,
    bdr: Ipv4Addr::UNSPECIFIED,
};

fn lsa(ls_type: LsaType, id: u32, body: &[u8]) -> Vec<u8> {
    let key =
        LsaKey { ls_type, link_state_id: Ipv4Addr::from(id), advertising_router: RouterId(1) };
    build_lsa(Options::E, key, SequenceNumber::INITIAL, 1, body)
}

fn external(id: u32) -> Vec<u8> {
    let mask = Ipv4Addr::BROADCAST;
    let forwarding = Ipv4Addr::UNSPECIFIED;
    let external = ExternalLsa { mask, type2: true, metric: 20, forwarding, tag: 0 };
    lsa(LsaType::AS_EXTERNAL, id, &external_body(&external))
}

/// Three LSAs in 128 bytes, as a flooded change is.
fn few() -> Vec<Vec<u8>> {
    let link = RouterLink {
        kind: RouterLinkKind::PointToPoint,
        id: Ipv4Addr::LOCALHOST,
        data: Ipv4Addr::LOCALHOST,
        metric: 10,
    };
    vec![
        lsa(LsaType::ROUTER, 1, &router_body(RouterFlags::E, &[link])),
        external(7),
        lsa(LsaType::SUMMARY_NETWORK, 2, &summary_body(Ipv4Addr::BROADCAST, 10)),
    ]
}

/// As many host routes as fit an Ethernet frame.
fn full() -> Vec<Vec<u8>> {
    (0..40).map(external).collect()
}

fn update(lsas: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = UpdateBuilder::new(&HEADER);
    for lsa in lsas {
        builder.push(lsa, 2);
    }
    builder.finish()
}

/// Decodes a packet as the engine does: every LSA, its checksum, its body.
fn digest(bytes: &[u8]) -> usize {
    let Ok(Packet { body: Body::LinkStateUpdate(update), .. }) = Packet::parse(bytes) else {
        return 0;
    };
    update.lsas().filter(|lsa| lsa.checksum_ok() && black_box(lsa.body()).is_ok()).count()
}

fn packets(criterion: &mut Criterion) {
    let (few, full) = (few(), full());
    let (few_bytes, full_bytes) = (update(&few), update(&full));
    let hello = emit_hello(&HEADER, &HELLO, [RouterId(2)]);
    assert_eq!((digest(&few_bytes), digest(&full_bytes)), (few.len(), full.len()));

    let mut parse = criterion.benchmark_group("parse");
    parse.bench_function("hello", |b| b.iter(|| Packet::parse(black_box(&hello)).is_ok()));
    for (name, bytes) in [("update of 3", &few_bytes), ("update of 40 externals", &full_bytes)] {
        parse.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap_or(0)));
        parse.bench_function(name, |b| b.iter(|| Packet::parse(black_box(bytes)).is_ok()));
        parse.bench_function(format!("{name}, with bodies"), |b| {
            b.iter(|| digest(black_box(bytes)));
        });
    }
    parse.finish();

    let mut emit = criterion.benchmark_group("emit");
    emit.bench_function("hello", |b| {
        b.iter(|| emit_hello(&HEADER, black_box(&HELLO), [RouterId(2)]));
    });
    emit.bench_function("update of 3", |b| b.iter(|| update(black_box(&few))));
    emit.bench_function("update of 40 externals", |b| b.iter(|| update(black_box(&full))));
    emit.bench_function("external LSA", |b| b.iter(|| external(black_box(7))));
    emit.finish();
}

fn fletcher(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fletcher");
    for length in [34, 1500, 65_000] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        group.throughput(Throughput::Bytes(u64::try_from(length).unwrap_or(0)));
        group.bench_function(length.to_string(), |b| {
            b.iter(|| checksum::fletcher_ok(black_box(&bytes)));
        });
    }
    group.finish();
}

/// An LSP with 60 host routes.
fn isis_lsp(key: Option<&isis::Key>) -> Vec<u8> {
    let mut tlvs = isis::TlvBuilder::new(usize::from(isis::LSP_BUFFER_SIZE));
    for host in 0..60_u32 {
        let prefix = Prefix::host(IpAddr::from((0x0a64_0000 + host).to_be_bytes()));
        let sub_tlvs = isis::SubTlvs::default();
        let reach =
            isis::PrefixReach { prefix, metric: 10, down: false, external: false, sub_tlvs };
        tlvs.prefix(isis::TopologyId::STANDARD, &reach);
    }
    let fields = isis::LspFields {
        lifetime: isis::MAX_AGE,
        id: isis::LspId::MIN,
        sequence: isis::SequenceNumber::INITIAL,
        flags: isis::LspFlags::LEVEL_1,
    };
    isis::emit_lsp(isis::Level::L2, &fields, tlvs.bytes(), key)
}

/// Decodes an LSP as the engine does: its checksum, every TLV, every prefix.
fn isis_digest(bytes: &[u8]) -> usize {
    let Ok(isis::Pdu { body: isis::PduBody::Lsp(lsp), .. }) = isis::Pdu::parse(bytes) else {
        return 0;
    };
    let Ok(tlvs) =
        lsp.tlvs().map_err(drop).and_then(|tlvs| lsp.checksum_ok().then_some(tlvs).ok_or(()))
    else {
        return 0;
    };
    let prefixes = tlvs.iter().filter_map(|tlv| match tlv.body() {
        Ok(isis::TlvBody::ExtendedIpReachability(prefixes)) => Some(prefixes),
        _ => None,
    });
    prefixes
        .flat_map(|prefixes| prefixes.iter())
        .filter(|reach| black_box(reach).metric > 0)
        .count()
}

fn isis_pdus(criterion: &mut Criterion) {
    let lsp = isis_lsp(None);
    assert_eq!(isis_digest(&lsp), 60);
    let Ok(key) = isis::Key::new(isis::Algorithm::HmacSha256, 1, b"secret") else { return };
    let keys = [key];
    let signed = isis_lsp(keys.first());

    let mut group = criterion.benchmark_group("isis");
    group.throughput(Throughput::Bytes(u64::try_from(lsp.len()).unwrap_or(0)));
    group.bench_function("LSP of 60 prefixes, header", |b| {
        b.iter(|| isis::Pdu::parse(black_box(&lsp)).is_ok());
    });
    group.bench_function("LSP of 60 prefixes, whole", |b| {
        b.iter(|| isis_digest(black_box(&lsp)));
    });
    group.bench_function("emit an LSP of 60 prefixes", |b| b.iter(|| isis_lsp(black_box(None))));
    group.bench_function("verify HMAC-SHA-256", |b| {
        b.iter(|| isis::verify(black_box(&signed), &keys).is_ok());
    });
    group.finish();
}

criterion_group!(benches, packets, isis_pdus, fletcher);
criterion_main!(benches);
