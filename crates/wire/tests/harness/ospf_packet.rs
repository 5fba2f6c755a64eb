//! What must hold of any bytes given to the OSPF decoder. The fuzzer and the tests share it.

use bugle_wire::describe;
use bugle_wire::ospf::{
    Body, Lsa, LsaBody, MAX_PACKET, Packet, UpdateBuilder, build_lsa, emit_database_description,
    emit_hello, emit_link_state_ack, emit_link_state_request, external_body, network_body,
    router_body, summary_body,
};

/// Decodes `bytes` in every way there is; what decodes must survive being emitted again.
pub(crate) fn check(bytes: &[u8]) {
    let description = describe::ospf(bytes).to_string();
    assert!(!description.is_empty());
    let packet = match Packet::parse_unverified(bytes) {
        Ok(packet) if bytes.len() <= MAX_PACKET => packet,
        Ok(_) => return,
        Err(error) => {
            assert!(error.at <= bytes.len(), "{error}");
            assert!(Packet::parse(bytes).is_err());
            return;
        }
    };
    assert_eq!(Packet::parse(&emit(&packet)).as_ref(), Ok(&packet));
    if let Body::LinkStateUpdate(update) = &packet.body {
        assert_eq!(update.lsas().count(), update.len());
        update.lsas().for_each(|lsa| check_lsa(&lsa));
    }
}

/// The packet again, with the digest and the link-local signalling it came with.
pub(crate) fn emit(packet: &Packet<'_>) -> Vec<u8> {
    let header = &packet.header;
    let mut bytes = match &packet.body {
        Body::Hello(hello) => emit_hello(header, &hello.fields, hello.neighbors),
        Body::DatabaseDescription(dd) => {
            emit_database_description(header, dd.mtu, dd.options, dd.flags, dd.sequence, dd.headers)
        }
        Body::LinkStateRequest(request) => emit_link_state_request(header, request.requests),
        Body::LinkStateUpdate(update) => {
            let mut builder = UpdateBuilder::new(header);
            for lsa in update.lsas() {
                assert!(builder.push(lsa.bytes(), lsa.header().age));
            }
            builder.finish()
        }
        Body::LinkStateAck(ack) => emit_link_state_ack(header, ack.headers),
    };
    bytes.extend_from_slice(packet.digest);
    bytes.extend_from_slice(packet.lls.map(|lls| lls.bytes()).unwrap_or_default());
    bytes
}

/// The LSA again, from what it says; `None` if that is not understood.
pub(crate) fn rebuild(lsa: &Lsa<'_>) -> Option<Vec<u8>> {
    let header = lsa.header();
    let body = match lsa.body().ok()? {
        LsaBody::Router(router) => router_body(router.flags, &router.links.collect::<Vec<_>>()),
        LsaBody::Network(network) => {
            network_body(network.mask, &network.routers.iter().collect::<Vec<_>>())
        }
        LsaBody::Summary(summary) => summary_body(summary.mask, summary.metric),
        LsaBody::External(external) => external_body(&external),
        LsaBody::Opaque(bytes) => bytes.to_vec(),
    };
    Some(build_lsa(header.options, header.key, header.sequence, header.age, &body))
}

fn check_lsa(lsa: &Lsa<'_>) {
    assert_eq!(Lsa::parse(lsa.bytes()).as_ref(), Ok(lsa));
    let _ = lsa.checksum_ok();
    if let Some(bytes) = rebuild(lsa) {
        let rebuilt = Lsa::parse(&bytes);
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.checksum_ok()), Ok(true));
        assert_eq!(rebuilt.and_then(|rebuilt| rebuilt.body()), lsa.body());
    }
}
