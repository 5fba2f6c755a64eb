//! What several tests need.

use std::net::Ipv4Addr;

/// Bytes written as hexadecimal digits, spaced at will.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    assert_eq!(digits.len(), text.chars().filter(|digit| !digit.is_whitespace()).count());
    let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap();
    digits.chunks_exact(2).map(byte).collect()
}

/// An address written as text.
pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}
