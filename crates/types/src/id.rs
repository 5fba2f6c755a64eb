//! Identifiers of routers, systems, areas, interfaces, tables and VRFs.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// Defines a 32-bit identifier written in dotted-quad form.
macro_rules! dotted_quad {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Ipv4Addr::from(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<Ipv4Addr> for $name {
            fn from(address: Ipv4Addr) -> Self {
                Self(address.into())
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                text.parse::<Ipv4Addr>().map(Self::from).map_err(|_| ParseError {
                    expected: $expected,
                    found: text.to_owned(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

dotted_quad! {
    /// A router's identity in OSPF (RFC 2328 section 1.2), written like an IPv4 address.
    RouterId, "a router id like 192.0.2.1"
}

dotted_quad! {
    /// An OSPF area (RFC 2328 section 3), written like an IPv4 address; 0.0.0.0 is the backbone.
    AreaId, "an area id like 0.0.0.0"
}

impl AreaId {
    /// Area 0.0.0.0.
    pub const BACKBONE: Self = Self(0);
}

/// A system's identity in IS-IS: six octets, written `0000.0000.0001`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SystemId(pub [u8; 6]);

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.0.iter().enumerate() {
            let separator = if matches!(position, 2 | 4) { "." } else { "" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SystemId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let mut octets = [0; 6];
            let mut parts = text.split('.');
            for pair in octets.chunks_exact_mut(2) {
                let part = parts.next().filter(|part| part.len() == 4)?;
                if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                pair.copy_from_slice(&u16::from_str_radix(part, 16).ok()?.to_be_bytes());
            }
            parts.next().is_none().then_some(Self(octets))
        };
        parse().ok_or_else(|| ParseError {
            expected: "a system id like 0000.0000.0001",
            found: text.to_owned(),
        })
    }
}

impl Serialize for SystemId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SystemId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A router as the protocol calls it that heard of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterName {
    /// OSPF's.
    Ospf(RouterId),
    /// IS-IS's.
    Isis(SystemId),
}

impl From<RouterId> for RouterName {
    fn from(id: RouterId) -> Self {
        Self::Ospf(id)
    }
}

impl From<SystemId> for RouterName {
    fn from(id: SystemId) -> Self {
        Self::Isis(id)
    }
}

impl fmt::Display for RouterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ospf(id) => id.fmt(f),
            Self::Isis(id) => id.fmt(f),
        }
    }
}

impl fmt::Debug for RouterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RouterName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let system = || text.parse().map(Self::Isis).ok();
        text.parse().map(Self::Ospf).ok().or_else(system).ok_or_else(|| ParseError {
            expected: "a router id like 192.0.2.1 or a system id like 0000.0000.0001",
            found: text.to_owned(),
        })
    }
}

impl Serialize for RouterName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouterName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The kernel's number for an interface. Zero is never an interface.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct IfIndex(pub u32);

/// A kernel routing table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u32);

impl TableId {
    /// The main table (254), where the default VRF lives.
    pub const MAIN: Self = Self(254);
}

/// A VRF by its position in the configuration; the default VRF is 0.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VrfId(pub u32);

impl VrfId {
    /// The VRF that lives in the main table.
    pub const DEFAULT: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_ids_parse_what_they_print_and_nothing_else() {
        let system: SystemId = "1720.1600.10aB".parse().unwrap();
        assert_eq!(system.0, [0x17, 0x20, 0x16, 0x00, 0x10, 0xab]);
        assert_eq!(system.to_string(), "1720.1600.10ab");
        for bad in [
            "",
            "1720.1600.10a",
            "172.01600.10ab",
            "1720.1600.10ab.00",
            "17201600.10ab",
            "1720.1600.10ag",
            "1720.1600.+0ab",
        ] {
            assert!(bad.parse::<SystemId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_routers_name_tells_whose_it_is() {
        for text in ["192.0.2.1", "0000.0000.0001"] {
            let name: RouterName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        assert!("192.0.2".parse::<RouterName>().is_err());
    }

    #[test]
    fn dotted_quads_round_trip_and_refuse_garbage() {
        let id: RouterId = "192.0.2.1".parse().unwrap();
        assert_eq!(id, RouterId(0xC000_0201));
        assert_eq!(id.to_string(), "192.0.2.1");
        let error = "192.0.2".parse::<RouterId>().unwrap_err();
        assert_eq!(error.to_string(), "expected a router id like 192.0.2.1, found \"192.0.2\"");
    }
}
