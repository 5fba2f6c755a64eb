//! `[vrf.NAME.isis]` and its parts.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use bugle_ospf::{AlternatesConfig, BackoffConfig};
use bugle_types::{NamePattern, ParseError, Prefix, SystemId};
pub use bugle_wire::isis::Tags;
use bugle_wire::isis::{AreaAddress, CircuitType, LSP_BUFFER_SIZE};
use serde::{Deserialize, Serialize};

use super::LinkType;
use super::key::KeyFile;

/// `[vrf.NAME.isis]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Isis {
    /// `net`: this system's identity and its areas (ISO 10589 section 7.1.1); one, or up to three of the same system.
    pub nets: Vec<Net>,
    /// `level`: `"1"`, `"2"` or `"1-2"`. Default: `"2"`.
    pub levels: CircuitType,
    /// `ipv6-router-id`: an IPv6 address of this router that never changes, by which prefixes of its are known in other areas where
    /// there is no `router-id` (RFC 6119, RFC 7794). Default: none.
    pub ipv6_router_id: Option<Ipv6Addr>,
    /// `host-tag` and `host-tag-64`: the administrative tags that hosts are advertised with. Default: none.
    pub host_tags: Tags,
    /// `stub-router`: set the overload bit, so that no path leads through this system. Default: `true`, a hypervisor is never
    /// transit.
    pub stub_router: bool,
    /// `multi-topology`: IPv6 in a topology of its own (RFC 5120). Default: `false`, IPv6 goes where IPv4 does.
    pub multi_topology: bool,
    /// What the attached bit is used for.
    pub attached: Attached,
    /// `leak`: between two levels, what of level 2 is advertised in level 1, too: what lies within one of these. Default:
    /// nothing. What is in level 1 is always advertised in level 2.
    pub leak: Vec<Prefix>,
    /// `max-ecmp`: at most so many equal-cost nexthops for a route. Default: 16.
    pub max_ecmp: u8,
    /// `alternates`: find for each route where packets can go at once when its link or neighbour fails (RFC 5286). Default: `true`.
    pub alternates: bool,
    /// `microloop-delay`: after a link has failed, new routes over neighbours that may send packets back wait so long, while
    /// packets go over the alternate (RFC 8333). Default: `2s`.
    pub microloop_delay: Duration,
    /// `[vrf.NAME.isis.spf-delay]`: how long route computation waits after an event.
    pub spf_delay: BackoffConfig,
    /// `[vrf.NAME.isis.lsp-delay]`: how long a change to an LSP of ours waits for others.
    pub lsp_delay: LspDelay,
    /// `lsp-lifetime`: how long an LSP of ours lives without being refreshed, in whole seconds. Default: the longest, `65535s`.
    pub lsp_lifetime: Duration,
    /// `lsp-size`: the largest LSP of ours in bytes; every link must carry it. Default: 1492.
    pub lsp_size: u16,
    /// `area-auth`: what LSPs and sequence numbers PDUs of level 1 are authenticated with. Default: nothing.
    pub area_auth: Vec<KeyFile>,
    /// `domain-auth`: the same in level 2.
    pub domain_auth: Vec<KeyFile>,
    /// `[[vrf.NAME.isis.interface]]`, in the order of the file: the first whose pattern matches an interface applies to it.
    pub interfaces: Vec<IsisInterface>,
}

impl Isis {
    /// An instance of which only the nets are given: the defaults.
    #[must_use]
    pub fn new(nets: Vec<Net>) -> Self {
        Self {
            nets,
            levels: CircuitType::L2,
            ipv6_router_id: None,
            host_tags: Tags::default(),
            stub_router: true,
            multi_topology: false,
            attached: Attached { send: true, follow: true },
            leak: Vec::new(),
            max_ecmp: 16,
            alternates: true,
            microloop_delay: AlternatesConfig::default().microloop_delay,
            spf_delay: BackoffConfig::default(),
            lsp_delay: LspDelay::default(),
            lsp_lifetime: Duration::from_secs(65_535),
            lsp_size: LSP_BUFFER_SIZE,
            area_auth: Vec::new(),
            domain_auth: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    /// This system's identity.
    #[must_use]
    pub fn system_id(&self) -> SystemId {
        self.nets.first().map(|net| net.system).unwrap_or_default()
    }

    /// What applies to the interface called `name`: the first block whose pattern matches.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&IsisInterface> {
        self.interfaces.iter().find(|interface| interface.name.matches(name))
    }
}

/// What the attached bit is used for, by which level 1 knows how to leave the area.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attached {
    /// `send-attached`: between two levels, tell level 1 that other areas can be reached from here. Default: `true`.
    pub send: bool,
    /// `use-attached`: in level 1, take a default route from the nearest that say so. Default: `true`.
    pub follow: bool,
}

/// A network entity title: an area's address, a system in it, and a selector that is zero; written
/// `49.0001.0000.0000.0001.00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Net {
    /// The area.
    pub area: AreaAddress,
    /// The system.
    pub system: SystemId,
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.00", self.area, self.system)
    }
}

impl FromStr for Net {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let rest = text.strip_suffix(".00")?;
            let (area, system) = rest.split_at_checked(rest.len().checked_sub(14)?)?;
            let system: SystemId = system.parse().ok()?;
            let area = area.strip_suffix('.')?.parse().ok()?;
            (system != SystemId::default()).then_some(Self { area, system })
        };
        parse().ok_or_else(|| ParseError {
            expected: "a network entity title like \"49.0001.0000.0000.0001.00\"",
            found: text.to_owned(),
        })
    }
}

impl From<Net> for String {
    fn from(net: Net) -> Self {
        net.to_string()
    }
}

impl TryFrom<String> for Net {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

/// `[vrf.NAME.isis.lsp-delay]`: the first change to an LSP goes out at once, the next waits for `initial`, each further one twice
/// as long as the one before, up to `long`; after as long without a change it begins anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LspDelay {
    /// `initial`: what the second change waits for. Default: `10ms`.
    pub initial: Duration,
    /// `long`: the longest wait. Default: `1s`.
    pub long: Duration,
}

impl Default for LspDelay {
    fn default() -> Self {
        Self { initial: Duration::from_millis(10), long: Duration::from_secs(1) }
    }
}

/// `[[vrf.NAME.isis.interface]]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IsisInterface {
    /// `name`: an interface name or a glob. Required.
    pub name: NamePattern,
    /// `type`: what kind of link this is. Default: `broadcast`.
    pub link: LinkType,
    /// `level`: the levels that the link is used for. Default: those of the instance.
    pub levels: Option<CircuitType>,
    /// `metric`: the cost of sending over this interface, 1 to 16777214. Default: 10.
    pub metric: u32,
    /// `tag` and `tag-64`: the administrative tags of the interface's networks. Default: none.
    pub tags: Tags,
    /// `hello`: the interval between Hellos. Default: `1s`.
    pub hello: Duration,
    /// `hold-multiplier`: a neighbour takes this system for gone after so many lost Hellos. Default: 4.
    pub hold_multiplier: u16,
    /// `priority`: for the election of the designated system, at most 127. Default: 64.
    pub priority: u8,
    /// `padding`: when Hellos are as large as the link's largest packet. Default: `formation`.
    pub padding: HelloPadding,
    /// `csnp`: how often the designated system of a LAN describes its database. Default: `10s`.
    pub csnp: Duration,
    /// `retransmit`: how long to wait for an acknowledgement on a point-to-point link. Default: `5s`.
    pub retransmit: Duration,
    /// `auth`: what Hellos are authenticated with. Default: nothing.
    pub auth: Vec<KeyFile>,
    /// `bfd`: watch the paths to neighbours by BFD, as the profile `[bfd.NAME]` of this name says. Default: not.
    pub bfd: Option<String>,
}

impl IsisInterface {
    /// An interface block that gives only a name: the defaults.
    #[must_use]
    pub fn new(name: NamePattern) -> Self {
        Self {
            name,
            link: LinkType::Broadcast,
            levels: None,
            metric: 10,
            tags: Tags::default(),
            hello: Duration::from_secs(1),
            hold_multiplier: 4,
            priority: 64,
            padding: HelloPadding::Formation,
            csnp: Duration::from_secs(10),
            retransmit: Duration::from_secs(5),
            auth: Vec::new(),
            bfd: None,
        }
    }
}

/// `padding`: when Hellos are padded, so that a link that does not carry the largest packets never comes up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HelloPadding {
    /// `always`
    Always,
    /// `formation`: until there is an adjacency.
    Formation,
    /// `never`
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets_parse_what_they_print_and_nothing_else() {
        for net in [
            "49.0001.0000.0000.0001.00",
            "49.1720.1600.1001.00",
            "47.0005.80ff.f800.0000.0001.0001.1921.6800.1001.00",
        ] {
            assert_eq!(net.parse::<Net>().unwrap().to_string(), net);
        }
        for bad in [
            "",
            ".00",
            "0000.0000.0001.00",
            ".0000.0000.0001.00",
            "49.0001.0000.0000.0001",
            "49.0001.0000.0000.0001.01",
            "49.0001.0000.0000.0000.00",
            "49.001.0000.0000.0001.00",
            "49.0001.0000.000é.001.00",
        ] {
            assert!(bad.parse::<Net>().is_err(), "{bad}");
        }
    }
}
