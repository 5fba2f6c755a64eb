//! What IS-IS PDUs say.

use super::{Value, flag_names, undecoded};
use crate::isis::{
    Authentication, CapabilityFlags, Csnp, FloodingFlags, FloodingParameters, LanHello,
    LinkAttribute, Lsp, LspEntry, LspFlags, NLPID_IPV4, NLPID_IPV6, NarrowMetrics, NarrowPrefix,
    P2pHello, Pdu, PduBody, PrefixAttribute, PrefixFlags, PrefixReach, Psnp, RestartFlags, SubTlv,
    SubTlvs, ThreeWayState, Tlv, TlvBody, Tlvs, TopologyId,
};

/// An IS-IS PDU, decoded as far as it can be; `payload` is that of the frame.
#[must_use]
pub fn isis(payload: &[u8]) -> Value {
    match Pdu::parse(payload) {
        Ok(pdu) => Value::Map(pdu_entries(&pdu)),
        Err(error) => undecoded(error, payload),
    }
}

type Entries = Vec<(&'static str, Value)>;

fn pdu_entries(pdu: &Pdu<'_>) -> Entries {
    let mut entries = vec![("type", Value::text(pdu.body.pdu_type().name()))];
    // Zero stands for three, which everybody has.
    if pdu.max_areas != 0 {
        entries.push(("max_areas", pdu.max_areas.into()));
    }
    entries.extend(match &pdu.body {
        PduBody::LanHello(LanHello { fields, tlvs, .. }) => vec![
            ("source", Value::text(fields.source)),
            ("circuit_type", Value::text(fields.circuit_type)),
            ("holding_time", fields.holding_time.into()),
            ("priority", fields.priority.into()),
            ("lan_id", Value::text(fields.lan_id)),
            ("tlvs", tlv_list(*tlvs)),
        ],
        PduBody::P2pHello(P2pHello { fields, tlvs }) => vec![
            ("source", Value::text(fields.source)),
            ("circuit_type", Value::text(fields.circuit_type)),
            ("holding_time", fields.holding_time.into()),
            ("circuit_id", fields.circuit_id.into()),
            ("tlvs", tlv_list(*tlvs)),
        ],
        PduBody::Lsp(lsp) => lsp_entries(lsp),
        PduBody::Csnp(Csnp { source, start, end, tlvs, .. }) => vec![
            ("source", Value::text(source)),
            ("start", Value::text(start)),
            ("end", Value::text(end)),
            ("tlvs", tlv_list(*tlvs)),
        ],
        PduBody::Psnp(Psnp { source, tlvs, .. }) => {
            vec![("source", Value::text(source)), ("tlvs", tlv_list(*tlvs))]
        }
    });
    entries
}

fn lsp_entries(lsp: &Lsp<'_>) -> Entries {
    let mut entries = entry_entries(lsp.entry());
    let tlvs = match lsp.tlvs() {
        Ok(tlvs) => tlv_list(tlvs),
        Err(error) => undecoded(error, lsp.bytes()),
    };
    entries.extend([
        ("checksum_ok", lsp.checksum_ok().into()),
        ("flags", lsp_flags(lsp.header().flags)),
        ("tlvs", tlvs),
    ]);
    entries
}

fn entry_entries(entry: LspEntry) -> Entries {
    vec![
        ("id", Value::text(entry.id)),
        ("sequence", Value::text(entry.sequence)),
        ("lifetime", entry.lifetime.into()),
        ("checksum", Value::Text(format!("{:#06x}", entry.checksum))),
    ]
}

fn tlv_list(tlvs: Tlvs<'_>) -> Value {
    Value::list(tlvs.iter().map(|tlv| {
        let mut entries = vec![("type", Value::text(tlv.code()))];
        entries.extend(tlv_entries(&tlv));
        Value::Map(entries)
    }))
}

fn tlv_entries(tlv: &Tlv<'_>) -> Entries {
    let body = match tlv.body() {
        Ok(body) => body,
        Err(error) => {
            return vec![("error", Value::text(error)), ("value", Value::hex(tlv.value()))];
        }
    };
    match body {
        TlvBody::AreaAddresses(areas) => vec![("addresses", texts(areas.iter()))],
        TlvBody::IsNeighbors(neighbors) => vec![
            ("virtual", neighbors.is_virtual.into()),
            (
                "links",
                maps(neighbors.links.iter().map(|link| {
                    let mut entries = vec![("neighbor", Value::text(link.id))];
                    entries.extend(narrow_metrics(link.metrics));
                    entries
                })),
            ),
        ],
        TlvBody::LanNeighbors(stations) => vec![("stations", texts(stations.iter()))],
        TlvBody::Padding(padding) => {
            vec![("length", u32::try_from(padding.len()).unwrap_or(u32::MAX).into())]
        }
        TlvBody::LspEntries(entries) => vec![("lsps", maps(entries.iter().map(entry_entries)))],
        TlvBody::Authentication(authentication) => auth(authentication),
        TlvBody::Checksum(checksum) => vec![("checksum", Value::Text(format!("{checksum:#06x}")))],
        TlvBody::PurgeOriginator(purge) => {
            let mut entries = vec![("originator", Value::text(purge.originator))];
            entries
                .extend(purge.received_from.map(|system| ("received_from", Value::text(system))));
            entries
        }
        TlvBody::LspBufferSize(size) => vec![("size", size.into())],
        TlvBody::FloodingParameters(parameters) => flooding(&parameters),
        TlvBody::ExtendedIsReachability(neighbors) => {
            let links = neighbors.iter().map(|neighbor| {
                let mut entries = vec![
                    ("neighbor", Value::text(neighbor.id)),
                    ("metric", neighbor.metric.into()),
                ];
                entries.extend(sub_tlvs(neighbor.sub_tlvs, |sub_tlvs| {
                    Value::list(
                        sub_tlvs.link_attributes().map(|attribute| link_attribute(&attribute)),
                    )
                }));
                entries
            });
            with_topology(neighbors.topology(), ("links", maps(links)))
        }
        TlvBody::ExtendedIpReachability(prefixes) => with_topology(
            prefixes.topology(),
            ("prefixes", maps(prefixes.iter().map(prefix_reach))),
        ),
        TlvBody::IpInternalReachability(prefixes) | TlvBody::IpExternalReachability(prefixes) => {
            vec![("prefixes", maps(prefixes.iter().map(narrow_prefix)))]
        }
        TlvBody::ProtocolsSupported(protocols) => {
            vec![("protocols", Value::list(protocols.iter().map(protocol)))]
        }
        TlvBody::Ipv4InterfaceAddresses(addresses) => vec![("addresses", texts(addresses.iter()))],
        TlvBody::Ipv6InterfaceAddresses(addresses)
        | TlvBody::Ipv6GlobalInterfaceAddresses(addresses) => {
            vec![("addresses", texts(addresses.iter()))]
        }
        TlvBody::TeRouterId(router) => vec![("router", Value::text(router))],
        TlvBody::Ipv6TeRouterId(router) => vec![("router", Value::text(router))],
        TlvBody::Hostname(name) => {
            vec![("name", Value::text(String::from_utf8_lossy(name).escape_debug()))]
        }
        TlvBody::BfdEnabled(enabled) => vec![(
            "for",
            maps(enabled.iter().map(|enabled| {
                vec![
                    ("topology", enabled.topology.number().into()),
                    ("protocol", protocol(enabled.nlpid)),
                ]
            })),
        )],
        TlvBody::Restart(restart) => {
            let mut entries = vec![("flags", restart_flags(restart.flags))];
            entries.extend(restart.remaining_time.map(|time| ("remaining_time", time.into())));
            entries.extend(restart.neighbor.map(|system| ("neighbor", Value::text(system))));
            entries
        }
        TlvBody::MultiTopology(topologies) => vec![(
            "topologies",
            maps(topologies.iter().map(|topology| {
                vec![
                    ("id", topology.id.number().into()),
                    ("overload", topology.overload.into()),
                    ("attached", topology.attached.into()),
                ]
            })),
        )],
        TlvBody::ThreeWay(three_way) => {
            let mut entries = vec![("state", Value::text(three_way_state(three_way.state)))];
            entries.extend(three_way.circuit.map(|circuit| ("circuit", circuit.into())));
            if let Some(neighbor) = three_way.neighbor {
                entries.push(("neighbor", Value::text(neighbor.system)));
                entries
                    .extend(neighbor.circuit.map(|circuit| ("neighbor_circuit", circuit.into())));
            }
            entries
        }
        TlvBody::RouterCapability(capability) => {
            let mut entries = vec![
                ("router", Value::text(capability.router)),
                ("flags", capability_flags(capability.flags)),
            ];
            entries.extend(sub_tlvs(capability.sub_tlvs, |sub_tlvs| {
                Value::list(sub_tlvs.iter().map(raw))
            }));
            entries
        }
        TlvBody::Unknown(value) => vec![("value", Value::hex(value))],
    }
}

/// Everything but the password, which is nobody's business.
fn auth(authentication: Authentication<'_>) -> Entries {
    match authentication {
        Authentication::Cleartext(_) => vec![("method", Value::text("cleartext"))],
        Authentication::HmacMd5(digest) => {
            vec![("method", Value::text("hmac-md5")), ("digest", Value::hex(digest))]
        }
        Authentication::Cryptographic { key_id, digest } => vec![
            ("method", Value::text("cryptographic")),
            ("key_id", key_id.into()),
            ("digest", Value::hex(digest)),
        ],
        Authentication::Unknown { kind, .. } => {
            vec![("method", Value::Text(format!("method-{kind}")))]
        }
    }
}

fn flooding(parameters: &FloodingParameters) -> Entries {
    let &FloodingParameters {
        burst_size,
        transmission_interval,
        lsps_per_psnp,
        flags,
        psnp_interval,
        receive_window,
    } = parameters;
    [
        ("burst_size", burst_size.map(Value::from)),
        ("transmission_interval", transmission_interval.map(Value::from)),
        ("lsps_per_psnp", lsps_per_psnp.map(Value::from)),
        ("flags", flags.map(flooding_flags)),
        ("psnp_interval", psnp_interval.map(Value::from)),
        ("receive_window", receive_window.map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn prefix_reach(reach: PrefixReach<'_>) -> Entries {
    let mut entries = vec![
        ("prefix", Value::text(reach.prefix)),
        ("metric", reach.metric.into()),
        ("down", reach.down.into()),
    ];
    if !reach.prefix.is_ipv4() {
        entries.push(("external", reach.external.into()));
    }
    entries.extend(sub_tlvs(reach.sub_tlvs, |sub_tlvs| {
        Value::list(sub_tlvs.prefix_attributes().map(|attribute| prefix_attribute(&attribute)))
    }));
    entries
}

fn narrow_prefix(reach: NarrowPrefix) -> Entries {
    let mut entries =
        vec![("address", Value::text(reach.address)), ("mask", Value::text(reach.mask))];
    entries.extend(narrow_metrics(reach.metrics));
    entries.push(("down", reach.metrics.is_down().into()));
    entries
}

fn narrow_metrics(metrics: NarrowMetrics) -> Entries {
    let mut entries = vec![
        ("metric", metrics.default_metric().into()),
        ("external", metrics.is_external().into()),
    ];
    let names = ["delay", "expense", "error"];
    let others = names.into_iter().zip(metrics.others());
    entries.extend(others.filter_map(|(name, metric)| Some((name, metric?.into()))));
    entries
}

fn link_attribute(attribute: &LinkAttribute<'_>) -> Value {
    let (name, value) = match attribute {
        LinkAttribute::AdministrativeGroups(groups) => {
            ("administrative-groups", Value::Text(format!("{groups:#010x}")))
        }
        LinkAttribute::Ipv4InterfaceAddress(address) => {
            ("ipv4-interface-address", Value::text(address))
        }
        LinkAttribute::Ipv4NeighborAddress(address) => {
            ("ipv4-neighbor-address", Value::text(address))
        }
        LinkAttribute::MaximumBandwidth(bandwidth) => ("maximum-bandwidth", Value::text(bandwidth)),
        LinkAttribute::ReservableBandwidth(bandwidth) => {
            ("reservable-bandwidth", Value::text(bandwidth))
        }
        LinkAttribute::UnreservedBandwidth(priorities) => {
            ("unreserved-bandwidth", texts(priorities.iter()))
        }
        LinkAttribute::TeDefaultMetric(metric) => ("te-default-metric", (*metric).into()),
        LinkAttribute::Unknown(sub_tlv) => return raw(*sub_tlv),
    };
    Value::Map(vec![("type", Value::text(name)), ("value", value)])
}

fn prefix_attribute(attribute: &PrefixAttribute<'_>) -> Value {
    let (name, value) = match attribute {
        PrefixAttribute::Tags(tags) => ("tags", Value::list(tags.iter().map(Value::from))),
        PrefixAttribute::Tags64(tags) => ("tags-64", texts(tags.iter())),
        PrefixAttribute::Flags(flags) => ("flags", prefix_flags(*flags)),
        PrefixAttribute::Ipv4SourceRouterId(router) => {
            ("ipv4-source-router-id", Value::text(router))
        }
        PrefixAttribute::Ipv6SourceRouterId(router) => {
            ("ipv6-source-router-id", Value::text(router))
        }
        PrefixAttribute::Unknown(sub_tlv) => return raw(*sub_tlv),
    };
    Value::Map(vec![("type", Value::text(name)), ("value", value)])
}

fn raw(sub_tlv: SubTlv<'_>) -> Value {
    Value::Map(vec![
        ("type", Value::Text(format!("sub-tlv-{}", sub_tlv.code))),
        ("value", Value::hex(sub_tlv.value)),
    ])
}

/// Sub-TLVs, if there are any; bytes that are none stand beside them.
fn sub_tlvs<'a>(sub_tlvs: SubTlvs<'a>, list: impl Fn(SubTlvs<'a>) -> Value) -> Entries {
    let mut entries = Vec::new();
    if !sub_tlvs.is_empty() {
        entries.push(("sub_tlvs", list(sub_tlvs)));
    }
    if !sub_tlvs.are_whole() {
        entries.push(("error", Value::text("the sub-TLVs do not fit their length")));
        entries.push(("bytes", Value::hex(sub_tlvs.bytes())));
    }
    entries
}

/// The standard topology goes without saying.
fn with_topology(topology: TopologyId, entry: (&'static str, Value)) -> Entries {
    if topology.is_standard() {
        return vec![entry];
    }
    vec![("topology", topology.number().into()), entry]
}

fn protocol(nlpid: u8) -> Value {
    Value::Text(match nlpid {
        NLPID_IPV4 => "ipv4".to_owned(),
        NLPID_IPV6 => "ipv6".to_owned(),
        other => format!("{other:#04x}"),
    })
}

fn three_way_state(state: ThreeWayState) -> String {
    match state {
        ThreeWayState::Up => "up".to_owned(),
        ThreeWayState::Initializing => "initializing".to_owned(),
        ThreeWayState::Down => "down".to_owned(),
        ThreeWayState::Unknown(number) => format!("state-{number}"),
    }
}

fn texts(values: impl Iterator<Item = impl std::fmt::Display>) -> Value {
    Value::list(values.map(Value::text))
}

fn maps(values: impl Iterator<Item = Entries>) -> Value {
    Value::list(values.map(Value::Map))
}

flag_names! {
    lsp_flags(LspFlags) restart_flags(RestartFlags) capability_flags(CapabilityFlags)
    prefix_flags(PrefixFlags) flooding_flags(FloodingFlags)
}
