//! What must hold of any bytes given to the IS-IS decoder. The fuzzer and the tests share it.

use bugle_wire::describe;
use bugle_wire::isis::{
    Algorithm, AuthError, Frame, Key, LinkAttribute, Lsp, LspFields, Pdu, PduBody, PrefixAttribute,
    SubTlvs, Tlv, TlvBody, TlvBuilder, TlvCode, Tlvs, emit_csnp, emit_lan_hello, emit_lsp,
    emit_p2p_hello, emit_psnp, set_lifetime, verify,
};

/// Decodes `bytes` in every way there is; what decodes must survive being emitted again.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(frame) = Frame::parse(bytes) {
        assert!(frame.payload.len() + 17 <= bytes.len());
    }
    assert!(!describe::isis(bytes).to_string().is_empty());
    let pdu = match Pdu::parse(bytes) {
        Ok(pdu) => pdu,
        Err(error) => {
            assert!(error.at <= bytes.len(), "{error}");
            assert!(Lsp::parse(bytes).is_err());
            assert!(verify(bytes, &[]).is_err());
            return;
        }
    };
    assert!(bytes.starts_with(pdu.bytes));
    check_lsp(&pdu);
    let Some(tlvs) = tlvs(&pdu) else { return };
    tlvs.iter().for_each(|tlv| check_tlv(&tlv));
    let emitted = emit(&pdu, tlvs.bytes(), None);
    let again = Pdu::parse(&emitted).unwrap();
    assert_eq!(again.bytes.len(), pdu.bytes.len());
    match (&again.body, &pdu.body) {
        // The checksum is a new one.
        (PduBody::Lsp(again), PduBody::Lsp(lsp)) => {
            assert!(again.checksum_ok());
            assert_eq!((again.tlvs(), again.header().flags), (lsp.tlvs(), lsp.header().flags));
            let (again, entry) = (again.entry(), lsp.entry());
            assert_eq!(
                (again.id, again.sequence, again.lifetime),
                (entry.id, entry.sequence, entry.lifetime)
            );
        }
        (again, body) => assert_eq!(again, body),
    }
    check_authentication(&pdu, tlvs);
}

/// The PDU again, around these TLVs.
pub(crate) fn emit(pdu: &Pdu<'_>, tlvs: &[u8], key: Option<&Key>) -> Vec<u8> {
    match &pdu.body {
        PduBody::LanHello(hello) => emit_lan_hello(hello.level, &hello.fields, tlvs, key),
        PduBody::P2pHello(hello) => emit_p2p_hello(&hello.fields, tlvs, key),
        PduBody::Lsp(lsp) => {
            let (header, entry) = (lsp.header(), lsp.entry());
            let fields = LspFields {
                lifetime: entry.lifetime,
                id: entry.id,
                sequence: entry.sequence,
                flags: header.flags,
            };
            emit_lsp(header.level, &fields, tlvs, key)
        }
        PduBody::Csnp(csnp) => emit_csnp(csnp.level, csnp.source, csnp.start, csnp.end, tlvs, key),
        PduBody::Psnp(psnp) => emit_psnp(psnp.level, psnp.source, tlvs, key),
    }
}

/// The TLVs of a PDU; `None` if it is an LSP whose TLVs do not fit.
pub(crate) fn tlvs<'a>(pdu: &Pdu<'a>) -> Option<Tlvs<'a>> {
    match &pdu.body {
        PduBody::LanHello(hello) => Some(hello.tlvs),
        PduBody::P2pHello(hello) => Some(hello.tlvs),
        PduBody::Lsp(lsp) => lsp.tlvs().ok(),
        PduBody::Csnp(csnp) => Some(csnp.tlvs),
        PduBody::Psnp(psnp) => Some(psnp.tlvs),
    }
}

/// A TLV again, from what it says; as it came, if that is not understood or nothing.
pub(crate) fn rebuild(tlv: &Tlv<'_>) -> Vec<u8> {
    let mut raw = TlvBuilder::new(257);
    assert!(raw.tlv(tlv.code(), tlv.value()));
    let mut builder = TlvBuilder::new(257);
    let Ok(body) = tlv.body() else { return raw.bytes().to_vec() };
    let complete = match body {
        TlvBody::AreaAddresses(areas) => areas.iter().all(|area| builder.area_address(&area)),
        TlvBody::IsNeighbors(neighbors) if neighbors.is_virtual => return raw.bytes().to_vec(),
        TlvBody::IsNeighbors(neighbors) => {
            neighbors.links.iter().all(|link| builder.narrow_neighbor(link))
        }
        TlvBody::LanNeighbors(stations) => {
            stations.iter().all(|station| builder.lan_neighbor(station))
        }
        TlvBody::LspEntries(entries) => entries.iter().all(|entry| builder.lsp_entry(entry)),
        TlvBody::Checksum(checksum) => builder.checksum(checksum),
        TlvBody::PurgeOriginator(purge) => builder.purge_originator(&purge),
        TlvBody::LspBufferSize(size) => builder.lsp_buffer_size(size),
        TlvBody::FloodingParameters(parameters) => builder.flooding_parameters(&parameters),
        TlvBody::ExtendedIsReachability(neighbors) => {
            neighbors.iter().all(|neighbor| builder.neighbor(neighbors.topology(), &neighbor))
        }
        TlvBody::IpInternalReachability(prefixes) => {
            prefixes.iter().all(|prefix| builder.internal_prefix(prefix))
        }
        TlvBody::ProtocolsSupported(protocols) => {
            protocols.iter().all(|nlpid| builder.protocol(nlpid))
        }
        TlvBody::IpExternalReachability(prefixes) => {
            prefixes.iter().all(|prefix| builder.external_prefix(prefix))
        }
        TlvBody::Ipv4InterfaceAddresses(list) => {
            list.iter().all(|address| builder.ipv4_interface_address(address))
        }
        TlvBody::TeRouterId(router) => builder.te_router_id(router),
        TlvBody::ExtendedIpReachability(prefixes) => {
            prefixes.iter().all(|prefix| builder.prefix(prefixes.topology(), &prefix))
        }
        TlvBody::Ipv6TeRouterId(router) => builder.ipv6_te_router_id(router),
        TlvBody::BfdEnabled(list) => list.iter().all(|enabled| builder.bfd_enabled(enabled)),
        TlvBody::Restart(restart) => builder.restart(&restart),
        TlvBody::MultiTopology(list) => list.iter().all(|topology| builder.topology(topology)),
        TlvBody::Ipv6InterfaceAddresses(list) => {
            list.iter().all(|address| builder.ipv6_interface_address(address))
        }
        TlvBody::Ipv6GlobalInterfaceAddresses(list) => {
            list.iter().all(|address| builder.ipv6_global_interface_address(address))
        }
        TlvBody::ThreeWay(three_way) => builder.three_way(&three_way),
        TlvBody::RouterCapability(capability) => {
            builder.router_capability(capability.router, capability.flags, capability.sub_tlvs)
        }
        TlvBody::Hostname(name) => match str::from_utf8(name) {
            Ok(name) => builder.hostname(name),
            Err(_) => builder.tlv(tlv.code(), name),
        },
        TlvBody::Authentication(_) | TlvBody::Padding(_) | TlvBody::Unknown(_) => {
            builder.tlv(tlv.code(), tlv.value())
        }
    };
    assert!(complete, "what came in one TLV fits one: {tlv:?}");
    // A list of nothing.
    if builder.is_empty() { raw.bytes().to_vec() } else { builder.bytes().to_vec() }
}

/// The sub-TLVs again, from what they say of a link or a prefix.
pub(crate) fn rebuild_sub_tlvs(sub_tlvs: SubTlvs<'_>) -> [Vec<u8>; 2] {
    let mut rebuilt = [Vec::new(), Vec::new()];
    let [links, prefixes] = &mut rebuilt;
    sub_tlvs.link_attributes().for_each(|attribute: LinkAttribute<'_>| attribute.encode(links));
    sub_tlvs
        .prefix_attributes()
        .for_each(|attribute: PrefixAttribute<'_>| attribute.encode(prefixes));
    rebuilt
}

fn check_lsp(pdu: &Pdu<'_>) {
    let PduBody::Lsp(lsp) = &pdu.body else { return };
    assert_eq!(Lsp::parse(pdu.bytes).as_ref(), Ok(lsp));
    assert_eq!(lsp.bytes(), pdu.bytes);
    let mut aged = pdu.bytes.to_vec();
    set_lifetime(&mut aged, 7);
    let aged = Lsp::parse(&aged).unwrap();
    assert_eq!((aged.entry().lifetime, aged.tlvs()), (7, lsp.tlvs()));
    assert!(!lsp.is_purge() && aged.checksum_ok() == lsp.checksum_ok() || lsp.is_purge());
}

fn check_tlv(tlv: &Tlv<'_>) {
    let body = tlv.body();
    let bytes = rebuild(tlv);
    let carrier = lsp_with(&bytes);
    let lsp = Lsp::parse(&carrier).unwrap();
    let again: Vec<_> = lsp.tlvs().unwrap().iter().collect();
    let [again] = again[..] else { panic!("{again:?} of {tlv:?}") };
    assert_eq!(again.code(), tlv.code());
    match (again.body(), body) {
        (Ok(again), Ok(body)) => assert_eq!(again, body),
        (again, body) => assert_eq!(again.is_err(), body.is_err()),
    }
    match body {
        Ok(TlvBody::ExtendedIsReachability(neighbors)) => {
            neighbors.iter().for_each(|neighbor| check_sub_tlvs(neighbor.sub_tlvs));
        }
        Ok(TlvBody::ExtendedIpReachability(prefixes)) => {
            prefixes.iter().for_each(|prefix| check_sub_tlvs(prefix.sub_tlvs));
        }
        _ => {}
    }
}

fn check_sub_tlvs(sub_tlvs: SubTlvs<'_>) {
    let [links, prefixes] = rebuild_sub_tlvs(sub_tlvs);
    assert!(SubTlvs::new(&links).link_attributes().eq(sub_tlvs.link_attributes()));
    assert!(SubTlvs::new(&prefixes).prefix_attributes().eq(sub_tlvs.prefix_attributes()));
    assert!(links.len() <= sub_tlvs.bytes().len());
    assert_eq!(links.len() == sub_tlvs.bytes().len(), sub_tlvs.are_whole());
}

/// Signs the PDU, without what it is authenticated with already, and holds the signature to be good.
fn check_authentication(pdu: &Pdu<'_>, tlvs: Tlvs<'_>) {
    let others: Vec<u8> = tlvs
        .iter()
        .filter(|tlv| tlv.code() != TlvCode::AUTHENTICATION)
        .flat_map(|tlv| rebuild(&tlv))
        .collect();
    let unsigned = emit(pdu, &others, None);
    let key = Key::new(Algorithm::HmacSha1, 7, b"secret").unwrap();
    assert_eq!(verify(&unsigned, std::slice::from_ref(&key)), Err(AuthError::Missing));
    let signed = emit(pdu, &others, Some(&key));
    // Near the largest PDU there is the last TLV gives way to the digest.
    assert!(signed.len() == unsigned.len() + key.tlv_length() || unsigned.len() > 65_000);
    assert_eq!(verify(&signed, std::slice::from_ref(&key)), Ok(&key));
    let _ = verify(pdu.bytes, &[key]);
}

/// An LSP around TLVs.
pub(crate) fn lsp_with(tlvs: &[u8]) -> Vec<u8> {
    use bugle_wire::isis::{Level, LspFlags, LspId, SequenceNumber};
    let fields = LspFields {
        lifetime: 1,
        id: LspId::MIN,
        sequence: SequenceNumber::INITIAL,
        flags: LspFlags::NONE,
    };
    emit_lsp(Level::L1, &fields, tlvs, None)
}
