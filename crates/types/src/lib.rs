//! Newtypes that every bugle crate shares. Pure: no clock, no sockets, no unseeded randomness.
//!
//! | Module | Holds |
//! |---|---|
//! | [`time`] | [`Time`], nanoseconds since an epoch the caller chooses |
//! | [`id`] | [`RouterId`], [`SystemId`], [`RouterName`], [`AreaId`], [`IfIndex`], [`TableId`], [`VrfId`] |
//! | [`pattern`] | [`NamePattern`], an interface name or a glob over names |
//! | [`prefix`] | [`Prefix`], always in canonical form |
//! | [`prefix4`] | [`Prefix4`], an IPv4 prefix in eight bytes |
//! | [`link`] | [`Link`], a network interface, and its [`Address`]es |
//! | [`mac`] | [`Mac`], a 48-bit Ethernet address |
//! | [`nexthop`] | [`Nexthop`], where a packet goes next |
//! | [`packed`] | [`PackedMap`], an ordered map that wastes little memory |
//! | [`rng`] | [`Rng`], small, seeded, reproducible |
//! | [`shared`] | [`SharedMap`], an ordered map of many keys to few values |

pub mod id;
pub mod link;
pub mod mac;
pub mod nexthop;
pub mod packed;
pub mod pattern;
pub mod prefix;
pub mod prefix4;
pub mod rng;
pub mod shared;
pub mod time;

pub use id::{AreaId, IfIndex, RouterId, RouterName, SystemId, TableId, VrfId};
pub use link::{Address, Link};
pub use mac::Mac;
pub use nexthop::Nexthop;
pub use packed::PackedMap;
pub use pattern::NamePattern;
pub use prefix::Prefix;
pub use prefix4::Prefix4;
pub use rng::Rng;
pub use shared::SharedMap;
pub use time::Time;

/// A text that is not the value it should be: what was expected, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What the text should have been, for example `a MAC address like 52:54:00:00:00:01`.
    pub expected: &'static str,
    /// The text found instead.
    pub found: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, found {:?}", self.expected, self.found)
    }
}

impl std::error::Error for ParseError {}
