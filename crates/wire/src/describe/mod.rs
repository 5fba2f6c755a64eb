//! What packets say, in full, for people and for programs.
//!
//! | Module | Holds |
//! |---|---|
//! | `isis` | IS-IS PDUs |
//! | [`value`] | [`Value`], the tree that both renderings come from |
//!
//! ```
//! use bugle_wire::ospf::{Auth, Header, emit_link_state_ack};
//! let header = Header { router_id: "192.0.2.1".parse()?, area: "0.0.0.0".parse()?, auth: Auth::Null };
//! let description = bugle_wire::describe::ospf(&emit_link_state_ack(&header, []));
//! assert_eq!(
//!     description.to_string(),
//!     "link-state-ack, router id 192.0.2.1, area 0.0.0.0\n  auth: null\n  body: headers none"
//! );
//! # Ok::<(), bugle_types::ParseError>(())
//! ```

use bugle_types::Time;

use crate::capture;
use crate::error::DecodeError;
use crate::ospf::{
    Auth, Body, DO_NOT_AGE, DatabaseDescription, DdFlags, ExternalLsa, Hello, Lls, Lsa, LsaBody,
    LsaHeader, LsaKey, NetworkLsa, Options, PROTOCOL, Packet, RouterFlags, RouterLsa, SummaryLsa,
    Tlvs,
};

mod bfd;
mod isis;
pub mod value;

pub use bfd::bfd;
pub use isis::isis;
pub use value::Value;

/// A packet of a capture file, by its number in the file.
#[must_use]
pub fn frame(number: u32, packet: &capture::Packet<'_>) -> Value {
    let mut entries = vec![
        ("number", number.into()),
        ("time", Value::Text(utc(packet.timestamp))),
        ("length", packet.original_length.into()),
    ];
    match packet.ipv4() {
        Ok(datagram) => {
            entries.extend([
                ("source", Value::text(datagram.source)),
                ("destination", Value::text(datagram.destination)),
                ("ttl", datagram.ttl.into()),
                ("protocol", datagram.protocol.into()),
            ]);
            if datagram.protocol == PROTOCOL {
                entries.push(("ospf", ospf(datagram.payload)));
            }
            entries.extend(bfd::entry(&datagram));
        }
        Err(not_ipv4) => match packet.isis() {
            Ok(capture::Isis { addresses, payload }) => {
                if let Some((source, destination)) = addresses {
                    entries.extend([
                        ("source", Value::text(source)),
                        ("destination", Value::text(destination)),
                    ]);
                }
                entries.push(("isis", isis(payload)));
            }
            Err(capture::Refusal::NotIsis) => entries.push(("refused", Value::text(not_ipv4))),
            Err(refusal) => entries.push(("refused", Value::text(refusal))),
        },
    }
    Value::Map(entries)
}

/// An OSPF packet, decoded as far as it can be; `payload` is that of the IP datagram.
#[must_use]
pub fn ospf(payload: &[u8]) -> Value {
    match (Packet::parse(payload), Packet::parse_unverified(payload)) {
        (Ok(packet), _) => Value::Map(packet_entries(&packet)),
        (Err(error), Ok(packet)) => {
            let mut entries = packet_entries(&packet);
            entries.push(("error", Value::text(error)));
            Value::Map(entries)
        }
        (Err(error), Err(_)) => undecoded(error, payload),
    }
}

/// An LSA.
#[must_use]
pub fn lsa(lsa: &Lsa<'_>) -> Value {
    let mut entries = header_entries(lsa.header());
    let body = match lsa.body() {
        Ok(body) => lsa_body(lsa.key(), &body),
        Err(error) => undecoded(error, lsa.bytes()),
    };
    entries.extend([("checksum_ok", lsa.checksum_ok().into()), ("body", body)]);
    Value::Map(entries)
}

fn packet_entries(packet: &Packet<'_>) -> Vec<(&'static str, Value)> {
    let mut entries = vec![
        ("type", Value::text(packet.body.packet_type().name())),
        ("router_id", Value::text(packet.header.router_id)),
        ("area", Value::text(packet.header.area)),
        ("auth", auth(packet.header.auth, packet.digest)),
        ("body", body(&packet.body)),
    ];
    if let Some(block) = packet.lls {
        entries.push(("lls", lls(block)));
    }
    entries
}

/// What cannot be decoded: why, and the bytes themselves.
fn undecoded(error: DecodeError, bytes: &[u8]) -> Value {
    Value::Map(vec![("error", Value::text(error)), ("bytes", Value::hex(bytes))])
}

/// Everything but the password, which is nobody's business.
fn auth(auth: Auth, digest: &[u8]) -> Value {
    Value::Map(match auth {
        Auth::Null => vec![("type", Value::text("null"))],
        Auth::Simple(_) => vec![("type", Value::text("simple"))],
        Auth::Cryptographic { key_id, length, sequence } => vec![
            ("type", Value::text("cryptographic")),
            ("key_id", key_id.into()),
            ("digest_length", length.into()),
            ("sequence", sequence.into()),
            ("digest", Value::hex(digest)),
        ],
        Auth::Unknown(number) => vec![("type", Value::Text(format!("type-{number}")))],
    })
}

fn lls(block: Lls<'_>) -> Value {
    Value::Map(vec![("tlvs", tlvs(block.tlvs()))])
}

fn tlvs(tlvs: Tlvs<'_>) -> Value {
    Value::list(
        tlvs.map(|tlv| {
            Value::Map(vec![("type", tlv.kind.into()), ("value", Value::hex(tlv.value))])
        }),
    )
}

fn body(body: &Body<'_>) -> Value {
    Value::Map(match body {
        Body::Hello(Hello { fields, neighbors }) => vec![
            ("mask", Value::text(fields.mask)),
            ("hello_interval", fields.hello_interval.into()),
            ("options", options(fields.options)),
            ("priority", fields.priority.into()),
            ("dead_interval", fields.dead_interval.into()),
            ("dr", Value::text(fields.dr)),
            ("bdr", Value::text(fields.bdr)),
            ("neighbors", Value::list(neighbors.iter().map(Value::text))),
        ],
        Body::DatabaseDescription(DatabaseDescription {
            mtu,
            options: capable,
            flags,
            sequence,
            headers,
        }) => vec![
            ("mtu", (*mtu).into()),
            ("options", options(*capable)),
            ("flags", dd_flags(*flags)),
            ("sequence", (*sequence).into()),
            ("headers", Value::list(headers.iter().map(header))),
        ],
        Body::LinkStateRequest(request) => {
            vec![(
                "requests",
                Value::list(request.requests.iter().map(|key| Value::Map(key_entries(key)))),
            )]
        }
        Body::LinkStateUpdate(update) => {
            vec![("lsas", Value::list(update.lsas().map(|one| lsa(&one))))]
        }
        Body::LinkStateAck(ack) => vec![("headers", Value::list(ack.headers.iter().map(header)))],
    })
}

fn header(header: LsaHeader) -> Value {
    Value::Map(header_entries(header))
}

fn header_entries(header: LsaHeader) -> Vec<(&'static str, Value)> {
    let mut entries = key_entries(header.key);
    entries.push(("age", (header.age & !DO_NOT_AGE).into()));
    if header.age & DO_NOT_AGE != 0 {
        entries.push(("do_not_age", true.into()));
    }
    entries.extend([
        ("options", options(header.options)),
        ("sequence", Value::text(header.sequence)),
        ("checksum", Value::Text(format!("{:#06x}", header.checksum))),
        ("length", header.length.into()),
    ]);
    entries
}

fn key_entries(key: LsaKey) -> Vec<(&'static str, Value)> {
    vec![
        ("type", Value::text(key.ls_type)),
        ("link_state_id", Value::text(key.link_state_id)),
        ("advertising_router", Value::text(key.advertising_router)),
    ]
}

fn lsa_body(key: LsaKey, body: &LsaBody<'_>) -> Value {
    Value::Map(match body {
        LsaBody::Router(RouterLsa { flags, links }) => vec![
            ("flags", router_flags(*flags)),
            (
                "links",
                Value::list(links.clone().map(|link| {
                    Value::Map(vec![
                        ("type", Value::text(link.kind)),
                        ("id", Value::text(link.id)),
                        ("data", Value::text(link.data)),
                        ("metric", link.metric.into()),
                    ])
                })),
            ),
        ],
        LsaBody::Network(NetworkLsa { mask, routers }) => vec![
            ("mask", Value::text(mask)),
            ("routers", Value::list(routers.iter().map(Value::text))),
        ],
        LsaBody::Summary(SummaryLsa { mask, metric }) => {
            vec![("mask", Value::text(mask)), ("metric", (*metric).into())]
        }
        LsaBody::External(ExternalLsa { mask, type2, metric, forwarding, tag }) => vec![
            ("mask", Value::text(mask)),
            ("metric_type", if *type2 { 2_u8 } else { 1 }.into()),
            ("metric", (*metric).into()),
            ("forwarding", Value::text(forwarding)),
            ("tag", (*tag).into()),
        ],
        LsaBody::Opaque(bytes) => opaque_entries(key, bytes),
    })
}

/// The link state ID of an opaque LSA is a type and an ID (RFC 5250 appendix A); nearly all types hold triplets.
fn opaque_entries(key: LsaKey, bytes: &[u8]) -> Vec<(&'static str, Value)> {
    let [opaque_type, id @ ..] = key.link_state_id.octets();
    let [high, middle, low] = id;
    let triplets = Tlvs::new(bytes);
    let contents =
        if triplets.are_whole() { ("tlvs", tlvs(triplets)) } else { ("bytes", Value::hex(bytes)) };
    vec![
        ("opaque_type", opaque_type.into()),
        ("opaque_id", u32::from_be_bytes([0, high, middle, low]).into()),
        contents,
    ]
}

/// A set of flags: the names of those that are set, then in hexadecimal those without one.
macro_rules! flag_names {
    ($($function:ident($type:ident))*) => {
        $(fn $function(flags: $type) -> Value {
            let unnamed = flags.unnamed();
            let rest = (unnamed != $type::NONE).then(|| Value::Text(format!("{:#04x}", unnamed.0)));
            Value::list(flags.names().map(Value::text).chain(rest))
        })*
    };
}

use flag_names;

flag_names! { options(Options) dd_flags(DdFlags) router_flags(RouterFlags) }

/// A time since the Unix epoch as RFC 3339 writes it.
fn utc(time: Time) -> String {
    let (seconds, nanos) = (time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000);
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970_u16;
    while let Some(rest) = days.checked_sub(if is_leap(year) { 366 } else { 365 }) {
        days = rest;
        year = year.saturating_add(1);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1_u8;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        let Some(rest) = days.checked_sub(length) else { break };
        days = rest;
        month = month.saturating_add(1);
    }
    let day = days.saturating_add(1);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_does() {
        let at = |secs| utc(Time::from_secs(secs));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00.000000000Z");
        assert_eq!(at(1_709_164_800), "2024-02-29T00:00:00.000000000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000000Z");
        assert_eq!(
            utc(Time::from_nanos(1_518_622_219_014_914_000)),
            "2018-02-14T15:30:19.014914000Z"
        );
        assert_eq!(utc(Time::MAX), "2554-07-21T23:34:33.709551615Z");
    }
}
