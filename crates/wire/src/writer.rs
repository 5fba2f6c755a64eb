//! Writing into bytes that are there already.

/// Overwrites the bytes at `at`, if they are there.
pub(crate) fn patch(packet: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = packet.get_mut(at..).and_then(|tail| tail.get_mut(..field.len())) {
        place.copy_from_slice(field);
    }
}
