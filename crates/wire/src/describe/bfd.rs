//! BFD packets, and the UDP datagrams that carry them.

use super::Value;
use crate::bfd::{Auth, CONTROL_PORT, Discriminator, ECHO_PORT, MULTIHOP_PORT, Packet};
use crate::capture::Ipv4;
use crate::reader::Reader;

/// UDP's IP protocol number.
const UDP: u8 = 17;

/// A BFD control packet; `payload` is that of the UDP datagram.
#[must_use]
pub fn bfd(payload: &[u8]) -> Value {
    let packet = match Packet::parse(payload) {
        Ok(packet) => packet,
        Err(error) => {
            let entries = vec![("error", Value::text(error)), ("bytes", Value::hex(payload))];
            return Value::Map(entries);
        }
    };
    let control = packet.control;
    let name = |discriminator: Option<Discriminator>| {
        discriminator.map_or_else(|| Value::text("none"), Value::text)
    };
    let mut entries = vec![
        ("state", Value::text(control.state)),
        ("diagnostic", Value::text(control.diagnostic)),
        ("flags", Value::list(control.flags.names().map(Value::text))),
        ("detect_mult", control.detect_mult.get().into()),
        ("my_discriminator", Value::text(control.my_discriminator)),
        ("your_discriminator", name(control.your_discriminator)),
        ("desired_min_tx", Value::text(control.desired_min_tx)),
        ("required_min_rx", Value::text(control.required_min_rx)),
        ("required_min_echo_rx", Value::text(control.required_min_echo_rx)),
    ];
    if let Some(section) = packet.auth {
        entries.push(("auth", auth(&section)));
    }
    Value::Map(entries)
}

/// What to show of a datagram, if it is one of BFD.
pub(super) fn entry(datagram: &Ipv4<'_>) -> Option<(&'static str, Value)> {
    let mut reader = Reader::new(datagram.payload, 0);
    if datagram.protocol != UDP {
        return None;
    }
    let [_, port, length, _] =
        [reader.u16().ok()?, reader.u16().ok()?, reader.u16().ok()?, reader.u16().ok()?];
    let payload = datagram.payload.get(8..usize::from(length))?;
    match port {
        CONTROL_PORT | MULTIHOP_PORT => Some(("bfd", bfd(payload))),
        ECHO_PORT => Some(("bfd_echo", Value::hex(payload))),
        _ => None,
    }
}

/// Everything but the password, which is nobody's business.
fn auth(section: &Auth<'_>) -> Value {
    let kind = ("type", Value::text(section.kind()));
    Value::Map(match section {
        Auth::Password { key_id, .. } => vec![kind, ("key_id", (*key_id).into())],
        Auth::Digest { key_id, sequence, digest, .. } => vec![
            kind,
            ("key_id", (*key_id).into()),
            ("sequence", (*sequence).into()),
            ("digest", Value::hex(digest)),
        ],
        Auth::Unknown { data, .. } => vec![kind, ("data", Value::hex(data))],
    })
}
