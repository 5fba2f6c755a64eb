//! IP prefixes in canonical form.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use serde::{Deserialize, Serialize};

use crate::ParseError;

/// An IPv4 or IPv6 prefix whose host bits are zero, so that equal prefixes compare equal.
///
/// ```
/// use bugle_types::Prefix;
/// let prefix: Prefix = "10.1.2.3/24".parse().unwrap();
/// assert_eq!(prefix.to_string(), "10.1.2.0/24");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(IpNetwork);

impl Prefix {
    /// The prefix of `length` bits that holds `address`; `None` if `length` exceeds the address's bits.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => {
                let network = Ipv4Network::new(v4, length).ok()?.network();
                Ipv4Network::new(network, length).ok().map(|n| Self(IpNetwork::V4(n)))
            }
            IpAddr::V6(v6) => {
                let network = Ipv6Network::new(v6, length).ok()?.network();
                Ipv6Network::new(network, length).ok().map(|n| Self(IpNetwork::V6(n)))
            }
        }
    }

    /// The IPv4 prefix of an address and a mask; `None` if the mask's ones are not contiguous.
    #[must_use]
    pub fn from_mask(address: Ipv4Addr, mask: Ipv4Addr) -> Option<Self> {
        let length = ipnetwork::ipv4_mask_to_prefix(mask).ok()?;
        Self::new(address.into(), length)
    }

    /// The /32 or /128 of one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(address.into())
    }

    /// The network address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0.ip()
    }

    /// The network address, if this is IPv4.
    #[must_use]
    pub fn ipv4(self) -> Option<Ipv4Addr> {
        match self.0 {
            IpNetwork::V4(network) => Some(network.ip()),
            IpNetwork::V6(_) => None,
        }
    }

    /// The network address, if this is IPv6.
    #[must_use]
    pub fn ipv6(self) -> Option<Ipv6Addr> {
        match self.0 {
            IpNetwork::V4(_) => None,
            IpNetwork::V6(network) => Some(network.ip()),
        }
    }

    /// The number of bits of the network part.
    #[must_use]
    pub fn length(self) -> u8 {
        self.0.prefix()
    }

    /// The network mask, if this is IPv4.
    #[must_use]
    pub fn mask(self) -> Option<Ipv4Addr> {
        match self.0 {
            IpNetwork::V4(network) => Some(network.mask()),
            IpNetwork::V6(_) => None,
        }
    }

    /// Whether this is the prefix of a single address.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.length() == if self.is_ipv4() { 32 } else { 128 }
    }

    /// Whether this is an IPv4 prefix.
    #[must_use]
    pub fn is_ipv4(self) -> bool {
        self.0.is_ipv4()
    }

    /// Whether `address` lies in this prefix; never across address families.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(address)
    }

    /// Whether every address of `other` lies in this prefix.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.length() <= other.length() && self.contains(other.address())
    }
}

impl Ord for Prefix {
    /// IPv4 before IPv6, then by network address, then the shorter first.
    fn cmp(&self, other: &Self) -> Ordering {
        // Tables of routes compare prefixes more than they do anything else: one comparison of integers for IPv4.
        match (self.0, other.0) {
            (IpNetwork::V4(a), IpNetwork::V4(b)) => {
                let rank =
                    |n: Ipv4Network| u64::from(n.ip().to_bits()) << 8 | u64::from(n.prefix());
                rank(a).cmp(&rank(b))
            }
            (IpNetwork::V6(a), IpNetwork::V6(b)) => {
                (a.ip().to_bits(), a.prefix()).cmp(&(b.ip().to_bits(), b.prefix()))
            }
            (IpNetwork::V4(_), IpNetwork::V6(_)) => Ordering::Less,
            (IpNetwork::V6(_), IpNetwork::V4(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = ParseError;

    /// Parses `ADDRESS/LENGTH`; host bits are cleared.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let (address, length) = text.split_once('/')?;
            if !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            Self::new(address.parse().ok()?, length.parse().ok()?)
        };
        parse().ok_or_else(|| ParseError {
            expected: "a prefix like 10.0.0.0/8 or 2001:db8::/32",
            found: text.to_owned(),
        })
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared() {
        let a: Prefix = "10.1.2.3/24".parse().unwrap();
        let b: Prefix = "10.1.2.0/24".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!("2001:db8::1/32".parse::<Prefix>().unwrap().to_string(), "2001:db8::/32");
    }

    #[test]
    fn refuses_what_is_not_a_prefix() {
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "::/129", "/8"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn non_contiguous_masks_are_refused() {
        let address = Ipv4Addr::new(10, 0, 0, 0);
        assert_eq!(Prefix::from_mask(address, Ipv4Addr::new(255, 0, 255, 0)), None);
        assert_eq!(
            Prefix::from_mask(address, Ipv4Addr::new(255, 0, 0, 0)),
            "10.0.0.0/8".parse().ok()
        );
    }

    #[test]
    fn covers_is_containment_within_a_family() {
        let p = |text: &str| text.parse::<Prefix>().unwrap();
        assert!(p("10.0.0.0/8").covers(p("10.1.0.0/16")));
        assert!(p("10.0.0.0/8").covers(p("10.0.0.0/8")));
        assert!(!p("10.1.0.0/16").covers(p("10.0.0.0/8")));
        assert!(!p("0.0.0.0/0").covers(p("::/0")));
    }
}
