//! What must hold of any bytes given to the capture reader. The fuzzer and the tests share it.

use bugle_wire::{capture, describe};

/// Reads `file` to its end, and describes every packet in it.
pub(crate) fn check(file: &[u8]) {
    let Ok(mut packets) = capture::packets(file) else { return };
    // No format spends fewer than twelve bytes on a packet, so an endless file would be seen.
    for number in 0..=file.len() / 12 {
        match packets.next() {
            Some(Ok(packet)) => {
                assert!(packet.bytes.len() <= file.len());
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                assert!(!describe::frame(number, &packet).to_string().is_empty());
            }
            Some(Err(_)) => assert!(packets.next().is_none(), "nothing follows an error"),
            None => return,
        }
    }
    assert!(packets.next().is_none(), "more packets than the file has room for");
}
