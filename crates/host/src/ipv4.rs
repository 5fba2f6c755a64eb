//! The IPv4 header that a raw socket leaves in front of what it receives (RFC 791 section 3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version|  IHL  |Type of Service|          Total Length         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Identification        |Flags|      Fragment Offset    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Time to Live |    Protocol   |         Header Checksum       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Source Address                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                    Destination Address                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::net::Ipv4Addr;

/// A received packet: what of its header matters, and its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The source.
    pub src: Ipv4Addr,
    /// The destination.
    pub dst: Ipv4Addr,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// Takes the header off. `None` if its version or lengths are not those of an IPv4 packet; octets beyond the total length are
/// link-layer padding and dropped.
pub(crate) fn strip_header(datagram: &[u8]) -> Option<Packet<'_>> {
    let first = *datagram.first()?;
    let header = usize::from(first & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes(octets(datagram, 2)?));
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    Some(Packet {
        src: Ipv4Addr::from(octets::<4>(datagram, 12)?),
        dst: Ipv4Addr::from(octets::<4>(datagram, 16)?),
        payload: datagram.get(header..total)?,
    })
}

fn octets<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of `ihl` words in front of `payload`, claiming `total` octets.
    fn datagram(version: u8, ihl: u8, total: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(ihl) * 4];
        bytes.resize(bytes.len().max(20), 0);
        bytes[0] = version << 4 | ihl;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes[12..20].copy_from_slice(&[192, 0, 2, 1, 224, 0, 0, 5]);
        bytes.truncate(usize::from(ihl).max(5) * 4);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn options_and_padding_are_not_payload() {
        for (ihl, total) in [(5, 24), (6, 28), (15, 64)] {
            let bytes = datagram(4, ihl, total, b"OSPFpadding");
            let packet = strip_header(&bytes).unwrap();
            assert_eq!(packet.payload, b"OSPF");
            assert_eq!(packet.src, Ipv4Addr::new(192, 0, 2, 1));
            assert_eq!(packet.dst, Ipv4Addr::new(224, 0, 0, 5));
        }
    }

    #[test]
    fn lengths_that_lie_and_other_versions_are_refused() {
        assert_eq!(strip_header(&datagram(6, 5, 24, b"OSPF")), None);
        assert_eq!(strip_header(&datagram(4, 4, 24, b"OSPF")), None, "shorter than a header");
        assert_eq!(strip_header(&datagram(4, 5, 19, b"OSPF")), None, "ends inside the header");
        assert_eq!(strip_header(&datagram(4, 5, 25, b"OSPF")), None, "longer than the datagram");
        assert_eq!(strip_header(&[0x45; 19]), None);
        assert_eq!(strip_header(&[]), None);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes: Vec<u8>) {
            if let Some(packet) = strip_header(&bytes) {
                prop_assert!(packet.payload.len() + 20 <= bytes.len());
            }
        }
    }
}
