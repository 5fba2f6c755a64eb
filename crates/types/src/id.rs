//! Identifiers of routers, areas, interfaces, tables and VRFs.

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
    fn dotted_quads_round_trip_and_refuse_garbage() {
        let id: RouterId = "192.0.2.1".parse().unwrap();
        assert_eq!(id, RouterId(0xC000_0201));
        assert_eq!(id.to_string(), "192.0.2.1");
        let error = "192.0.2".parse::<RouterId>().unwrap_err();
        assert_eq!(error.to_string(), "expected a router id like 192.0.2.1, found \"192.0.2\"");
    }
}
