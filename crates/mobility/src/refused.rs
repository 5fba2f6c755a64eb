//! Why a claim is not accepted, and what to do about it.

use std::net::IpAddr;

use bugle_types::{Mac, Prefix, Time};

use crate::io::Class;

/// Why a request is refused. Each message says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// No host can have such an address.
    #[error("{address} is {what}, which no host can have; claim the host's own address")]
    Reserved {
        /// The address.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
    },
    /// The address belongs to the network, not to a host.
    #[error(
        "{0} is an address of this machine, a router or a whole network; give the host another"
    )]
    Infrastructure(IpAddr),
    /// The address is outside what is allowed for hosts.
    #[error("{address} is in none of the prefixes {}; add one that covers it to `prefixes`", list(.prefixes))]
    OutsidePrefixes {
        /// The address.
        address: IpAddr,
        /// Where hosts' addresses lie.
        prefixes: Vec<Prefix>,
    },
    /// Nothing can carry the address family.
    #[error("no protocol that carries {0} hosts is configured")]
    NotCarried(
        /// IPv4 or IPv6.
        &'static str,
    ),
    /// The interface is not one for hosts.
    #[error("{} is not a port for hosts; name another, or add it to `ports`", .0.escape_debug())]
    NotAPort(
        /// Its name, or what was given for one.
        String,
    ),
    /// A MAC address without a port, and not exactly one port.
    #[error("name the port: there are {0} that the host could be behind")]
    WhichPort(
        /// How many ports there are.
        usize,
    ),
    /// Not the MAC address of a host.
    #[error("{0} is not the MAC address of a host; give the one that the host sends from")]
    Mac(Mac),
    /// The mode asks for registration first.
    #[error(
        "{0} is not registered with this port and MAC address; register it first, or set mode = \"learned\""
    )]
    NotRegistered(IpAddr),
    /// A better claim stands.
    #[error("{address} is {class} with another port or MAC address; change that claim first")]
    Outranked {
        /// The address.
        address: IpAddr,
        /// The class of the claim that stands.
        class: Class,
    },
    /// A candidate elsewhere on this machine, while the host is live.
    #[error(
        "{0} is live on another port of this machine; claim it there without `candidate` to move it"
    )]
    LiveElsewhere(IpAddr),
    /// Too many hosts.
    #[error("there are {0} hosts already; remove some, or raise `max-hosts`")]
    TooMany(usize),
    /// The address moves too often.
    #[error(
        "{address} moved too often and is frozen until {until}; find the duplicate, then unfreeze it"
    )]
    Frozen {
        /// The address.
        address: IpAddr,
        /// Until when.
        until: Time,
    },
    /// Another router's metric leaves nothing below.
    #[error(
        "another router advertises {address} with metric {metric}, and no lower one is left; \
         remove it there first"
    )]
    NoLowerMetric {
        /// The address.
        address: IpAddr,
        /// The other's metric.
        metric: u32,
    },
    /// The configuration declares the host.
    #[error("{0} is declared in the configuration; remove it there")]
    Static(IpAddr),
    /// Nobody claimed the address.
    #[error("{0} is not claimed here")]
    Unknown(IpAddr),
}

fn list(prefixes: &[Prefix]) -> String {
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What kind of address this is, if no host can have it.
#[must_use]
pub fn reserved(address: IpAddr) -> Option<&'static str> {
    let kinds: [(bool, &'static str); 7] = match address {
        IpAddr::V4(v4) => [
            (v4.is_unspecified(), "the unspecified address"),
            (v4.octets()[0] == 0, "in 0.0.0.0/8"),
            (v4.is_loopback(), "a loopback address"),
            (v4.is_link_local(), "a link-local address"),
            (v4.is_multicast(), "a multicast address"),
            (v4.is_broadcast(), "the broadcast address"),
            (v4.octets()[0] >= 240, "in 240.0.0.0/4"),
        ],
        IpAddr::V6(v6) => [
            (v6.is_unspecified(), "the unspecified address"),
            (v6.is_loopback(), "a loopback address"),
            (v6.is_unicast_link_local(), "a link-local address"),
            (v6.is_multicast(), "a multicast address"),
            (v6.to_ipv4_mapped().is_some(), "an IPv4-mapped address"),
            (false, ""),
            (false, ""),
        ],
    };
    kinds.into_iter().find(|(is, _)| *is).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_host_can_have_are_known() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.5",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(reserved(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in [
            "10.0.0.1",
            "192.168.255.255",
            "239.0.0.1".replace("239", "223").as_str(),
            "2001:db8::1",
            "fec0::1",
            "fd00::1",
        ] {
            assert_eq!(reserved(good.parse().unwrap()), None, "{good}");
        }
    }
}
