//! What must hold of any bytes given to the BFD decoder. The fuzzer and the tests share it.

use bugle_wire::bfd::{MAX_PACKET, Malformed, Packet};
use bugle_wire::describe;

/// Decodes `bytes`; what decodes must survive being emitted again.
pub(crate) fn check(bytes: &[u8]) {
    assert!(!describe::bfd(bytes).to_string().is_empty());
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(Malformed::Truncated(_)) => {
            assert!(bytes.len() < 4, "{bytes:?}");
            return;
        }
        Err(malformed) => {
            assert!(!malformed.name().is_empty());
            return;
        }
    };
    let (head, digest, rest) = packet.around_digest();
    assert_eq!([head, digest, rest].concat(), bytes[..usize::from(bytes[3])]);
    let emitted = packet.control.emit(packet.auth.as_ref());
    assert!(emitted.len() <= MAX_PACKET);
    let again = Packet::parse(&emitted).unwrap();
    assert_eq!(again.control, packet.control);
    assert!(again.auth == packet.auth || emitted.len() == MAX_PACKET, "{packet:?}");
}
