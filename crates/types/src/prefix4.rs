//! IPv4 prefixes in eight bytes.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Prefix;

/// An IPv4 [`Prefix`] in eight bytes instead of 18, which one instruction compares: for tables with an entry for every prefix of
/// a network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix4(u64);

impl Prefix4 {
    /// The prefix of `length` bits, at most 32, that holds `address`.
    #[must_use]
    pub const fn new(address: Ipv4Addr, length: u8) -> Self {
        let length = if length > 32 { 32 } else { length };
        let bits = address.to_bits() as u64 & (u32::MAX as u64) << (32 - length);
        Self(bits << 8 | length as u64)
    }

    /// The prefix of an address and a mask; `None` if the mask's ones are not contiguous.
    #[must_use]
    pub const fn from_mask(address: Ipv4Addr, mask: Ipv4Addr) -> Option<Self> {
        let mask = mask.to_bits();
        let length = mask.leading_ones();
        if mask.trailing_zeros() + length != 32 {
            return None;
        }
        Some(Self(((address.to_bits() & mask) as u64) << 8 | length as u64))
    }

    /// The /32 of one address.
    #[must_use]
    pub const fn host(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }

    /// The network address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        let [_, _, _, a, b, c, d, _] = self.0.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    }

    /// The number of bits of the network part.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// Whether this is the prefix of a single address.
    #[must_use]
    pub const fn is_host(self) -> bool {
        self.length() == 32
    }
}

impl From<Prefix4> for Prefix {
    fn from(prefix: Prefix4) -> Self {
        let host = Self::host(prefix.address().into());
        Self::new(prefix.address().into(), prefix.length()).unwrap_or(host)
    }
}

impl TryFrom<Prefix> for Prefix4 {
    /// The prefix, which is IPv6.
    type Error = Prefix;

    fn try_from(prefix: Prefix) -> Result<Self, Prefix> {
        prefix.ipv4().map(|address| Self::new(address, prefix.length())).ok_or(prefix)
    }
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Prefix::from(*self), f)
    }
}

impl fmt::Debug for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_the_prefix_in_another_form(a: u32, b: u32, m in 0u8..=32, n in 0u8..=32, mask: u32) {
            let (a, b, mask) = (Ipv4Addr::from(a), Ipv4Addr::from(b), Ipv4Addr::from(mask));
            let (wide_a, wide_b) = (Prefix::new(a.into(), m).unwrap(), Prefix::new(b.into(), n).unwrap());
            let (a4, b4) = (Prefix4::new(a, m), Prefix4::new(b, n));
            prop_assert_eq!(Prefix::from(a4), wide_a);
            prop_assert_eq!(Prefix4::try_from(wide_a), Ok(a4));
            prop_assert_eq!((a4.address(), a4.length()), (wide_a.ipv4().unwrap(), wide_a.length()));
            prop_assert_eq!(a4.cmp(&b4), wide_a.cmp(&wide_b));
            prop_assert_eq!(a4.is_host(), wide_a.is_host());
            prop_assert_eq!(a4.to_string(), wide_a.to_string());
            prop_assert_eq!(Prefix4::from_mask(a, wide_a.mask().unwrap()), Some(a4));
            prop_assert_eq!(Prefix4::from_mask(a, mask).map(Prefix::from), Prefix::from_mask(a, mask));
        }
    }

    #[test]
    fn an_ipv6_prefix_is_refused() {
        let prefix: Prefix = "2001:db8::/32".parse().unwrap();
        assert_eq!(Prefix4::try_from(prefix), Err(prefix));
    }
}
