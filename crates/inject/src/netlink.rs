//! Netlink messages and attributes as such (RFC 3549 section 2.2): a builder over a reused buffer, and iterators that never
//! read out of bounds. All numbers are in host byte order.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                             length                            |  of all, this header included
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |             type              |             flags             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        sequence number                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 port (whose request caused this)              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  payload: a fixed header, then attributes (length, type, value), all padded to 4 octets
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::numbers::{NLA_F_NESTED, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG};

/// Octets of a message header.
pub(crate) const HEADER: usize = 16;

/// The nested and byte-order flags in an attribute's type.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3FFF;

/// Appends messages to a buffer.
///
/// A message is begun with its fixed header, filled with attributes, and ended by [`Message::finish`].
pub(crate) struct Message<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Message<'a> {
    /// Begins a message: `fixed` is the header that the message type prescribes (rtmsg, nhmsg, ...).
    pub(crate) fn new(
        buffer: &'a mut Vec<u8>,
        kind: u16,
        flags: u16,
        sequence: u32,
        fixed: &[u8],
    ) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&kind.to_ne_bytes());
        buffer.extend_from_slice(&flags.to_ne_bytes());
        buffer.extend_from_slice(&sequence.to_ne_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(fixed);
        Self { buffer, start }
    }

    /// Appends an attribute. `value` is at most [`u16::MAX`] - 4 octets; the one caller with unbounded values checks that.
    pub(crate) fn attribute(self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.buffer.resize(align(self.buffer.len()), 0);
        self
    }

    /// Appends an attribute that holds those that `fill` appends.
    pub(crate) fn nested(self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.buffer.len();
        let message = fill(self.attribute(kind | NLA_F_NESTED, &[]));
        let length = u16::try_from(message.buffer.len() - start).unwrap_or(u16::MAX);
        if let Some(field) = message.buffer.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        message
    }

    /// Appends a 32-bit attribute.
    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an address as an attribute.
    pub(crate) fn address(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.attribute(kind, &v4.octets()),
            IpAddr::V6(v6) => self.attribute(kind, &v6.octets()),
        }
    }

    /// Ends the message: its length is now known.
    pub(crate) fn finish(self) {
        let length = u32::try_from(self.buffer.len() - self.start).unwrap_or(u32::MAX);
        if let Some(field) = self.buffer.get_mut(self.start..self.start + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// Asks for an acknowledgement of the message that starts at `start`.
pub(crate) fn request_ack(buffer: &mut [u8], start: usize) {
    if let Some(flags) = buffer.get_mut(start + 6..start + 8) {
        let value = u16_at(flags, 0).unwrap_or(0) | NLM_F_ACK;
        flags.copy_from_slice(&value.to_ne_bytes());
    }
}

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// A datagram or message that is not what its lengths say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The messages of one datagram; stops after the first malformed one.
pub(crate) fn messages(
    mut datagram: &[u8],
) -> impl Iterator<Item = Result<Received<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let parsed = message(datagram);
        datagram = match parsed {
            Ok((_, rest)) => rest,
            Err(_) => &[],
        };
        Some(parsed.map(|(message, _)| message))
    })
}

fn message(datagram: &[u8]) -> Result<(Received<'_>, &[u8]), Malformed> {
    const SHORT: Malformed = Malformed("shorter than its header");
    let length = u32_at(datagram, 0).ok_or(SHORT)?;
    let length = usize::try_from(length).map_err(|_| SHORT)?;
    let message = Received {
        kind: u16_at(datagram, 4).ok_or(SHORT)?,
        flags: u16_at(datagram, 6).ok_or(SHORT)?,
        sequence: u32_at(datagram, 8).ok_or(SHORT)?,
        payload: datagram.get(HEADER..length).ok_or(Malformed("longer than the datagram"))?,
    };
    Ok((message, datagram.get(align(length)..).unwrap_or(&[])))
}

/// The attributes after a message's fixed header of `fixed` octets. What follows a malformed attribute is ignored, as the
/// kernel does with trailing octets.
pub(crate) fn attributes(payload: &[u8], fixed: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = payload.get(align(fixed)..).unwrap_or(&[]);
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(align(length)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The kernel's answer to a request: `NLMSG_ERROR`, which is also the form of an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer<'a> {
    /// Zero for success.
    pub(crate) errno: i32,
    /// The kernel's explanation ("extended acknowledgement"), often empty.
    pub(crate) text: &'a str,
}

/// Decodes the payload of an `NLMSG_ERROR`.
///
/// ```text
/// | negative errno (4) | header of the request (16) | its payload, unless CAPPED | attributes, if ACK_TLVS |
/// ```
pub(crate) fn answer(message: Received<'_>) -> Result<Answer<'_>, Malformed> {
    const SHORT: Malformed = Malformed("an answer without its request");
    let errno = i32::from_ne_bytes(bytes_at(message.payload, 0).ok_or(SHORT)?).saturating_neg();
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return Ok(Answer { errno, text: "" });
    }
    let request = if message.flags & NLM_F_CAPPED == 0 {
        usize::try_from(u32_at(message.payload, 4).ok_or(SHORT)?).map_err(|_| SHORT)?
    } else {
        HEADER
    };
    let text = attributes(message.payload, request.saturating_add(4))
        .find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)
        .map_or("", |(_, value)| text(value));
    Ok(Answer { errno, text })
}

/// A NUL-terminated string; empty if it is not UTF-8.
pub(crate) fn text(value: &[u8]) -> &str {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    value.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
}

/// The address that `value` holds, by its length.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => bytes_at::<4>(value, 0).map(|octets| Ipv4Addr::from(octets).into()),
        16 => bytes_at::<16>(value, 0).map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Rounded up to the alignment of messages and attributes.
const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::numbers::{NLM_F_REQUEST, NLMSG_ERROR, RTM_DELROUTE, RTM_NEWROUTE};

    #[test]
    fn a_message_is_read_back_as_it_was_built() {
        let mut buffer = Vec::new();
        Message::new(&mut buffer, RTM_NEWROUTE, NLM_F_REQUEST, 7, &[1; 12])
            .attribute(3, b"abcde")
            .u32(4, 0x0102_0304)
            .finish();
        Message::new(&mut buffer, RTM_DELROUTE, NLM_F_REQUEST, 8, &[2; 12]).finish();
        request_ack(&mut buffer, 0);

        let all: Vec<_> = messages(&buffer).collect::<Result<_, _>>().unwrap();
        let [first, second] = all[..] else { panic!("{all:?}") };
        assert_eq!((first.kind, first.sequence), (RTM_NEWROUTE, 7));
        assert_eq!(first.flags, NLM_F_REQUEST | NLM_F_ACK);
        let found: Vec<_> = attributes(first.payload, 12).collect();
        assert_eq!(found, [(3, &b"abcde"[..]), (4, &0x0102_0304_u32.to_ne_bytes()[..])]);
        assert_eq!((second.kind, second.sequence), (RTM_DELROUTE, 8));
        assert_eq!(attributes(second.payload, 12).count(), 0);
    }

    #[test]
    fn a_length_that_lies_is_malformed_and_ends_the_datagram() {
        for (length, what) in [
            (15, "longer than the datagram"),
            (100, "longer than the datagram"),
            (0, "longer than the datagram"),
        ] {
            let mut buffer = Vec::new();
            Message::new(&mut buffer, RTM_NEWROUTE, 0, 7, &[]).finish();
            buffer[..4].copy_from_slice(&u32::to_ne_bytes(length));
            let all: Vec<_> = messages(&buffer).collect();
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].unwrap_err(), Malformed(what));
        }
        assert_eq!(messages(&[1, 2, 3]).count(), 1);
        assert!(messages(&[1, 2, 3]).all(|message| message.is_err()));
    }

    #[test]
    fn the_kernels_explanation_is_found_whether_or_not_the_request_is_repeated() {
        for capped in [true, false] {
            let mut request = Vec::new();
            Message::new(&mut request, RTM_NEWROUTE, 0, 9, &[0; 12]).finish();
            let shown = if capped { &request[..HEADER] } else { &request[..] };
            let flags = NLM_F_ACK_TLVS | if capped { NLM_F_CAPPED } else { 0 };
            let fixed = [&(-22_i32).to_ne_bytes()[..], shown].concat();
            let mut buffer = Vec::new();
            Message::new(&mut buffer, NLMSG_ERROR, flags, 9, &fixed)
                .attribute(NLMSGERR_ATTR_MSG, b"no\0")
                .finish();
            let message = messages(&buffer).next().unwrap().unwrap();
            assert_eq!(answer(message).unwrap(), Answer { errno: 22, text: "no" });
        }
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_parsers_panic_or_loop(datagram: Vec<u8>, fixed in 0_usize..64) {
            let mut octets = 0;
            for message in messages(&datagram).flatten() {
                octets += HEADER + message.payload.len();
                let _ = answer(message);
                prop_assert!(attributes(message.payload, fixed).count() <= datagram.len());
            }
            prop_assert!(octets <= datagram.len());
        }
    }
}
