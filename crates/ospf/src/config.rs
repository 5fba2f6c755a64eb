//! What an instance and its interfaces are told to be.

use std::net::Ipv4Addr;
use std::time::Duration;

pub use bugle_lsdb::BackoffConfig;
pub use bugle_spf::AlternatesConfig;
use bugle_types::{AreaId, Prefix, RouterId};

/// Settings of an instance. The router id and the area are fixed for its lifetime; to change them, start another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This router's identity.
    pub router_id: RouterId,
    /// The one area that every interface is in.
    pub area: AreaId,
    /// Advertise transit links at MaxLinkMetric, so that nobody routes through this router (RFC 6987).
    pub stub_router: bool,
    /// Set the E bit: this router is an AS boundary router (RFC 2328 section 12.4.1).
    pub boundary: bool,
    /// A previous run of this router may have left adjacencies at its neighbours. A Hello that does not list them would end
    /// these, so on point-to-point links nothing is said before the neighbour was heard, or for RouterDeadInterval.
    pub listen_first: bool,
    /// So long after the first adjacency what a previous run of this router said stays, for this one to say it again.
    pub reclaim: Duration,
    /// How many equal-cost nexthops a route may have.
    pub max_paths: usize,
    /// Find loop-free alternates (RFC 5286); `None`: do not.
    pub alternates: Option<AlternatesConfig>,
    /// When SPF runs (RFC 8405).
    pub spf: BackoffConfig,
    /// The least time between two instances of one LSA of ours. RFC 2328 says 5 s (MinLSInterval). A receiver drops what comes within
    /// 1 s (MinLSArrival) of the last as it saw them, so it is 1 s and a little for what either was delayed.
    pub min_ls_interval: Duration,
    /// MinLSArrival: instances of one LSA that come faster than this are accepted only from a small reserve
    /// ([`bugle_lsdb::ArrivalGate`]).
    pub min_ls_arrival: Duration,
}

impl Config {
    /// The defaults for a router of this name.
    #[must_use]
    pub fn new(router_id: RouterId, area: AreaId) -> Self {
        Self {
            router_id,
            area,
            stub_router: true,
            boundary: true,
            listen_first: false,
            reclaim: Duration::from_secs(10),
            max_paths: 16,
            alternates: Some(AlternatesConfig::default()),
            spf: BackoffConfig::default(),
            min_ls_interval: Duration::from_millis(1050),
            min_ls_arrival: Duration::from_secs(1),
        }
    }
}

/// The network type of an interface (RFC 2328 section 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkType {
    /// A link with one neighbour.
    PointToPoint,
    /// A LAN with a designated router.
    Broadcast,
    /// A network that is advertised, on which OSPF is not spoken.
    Passive,
}

/// Settings of an interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// The name, for people.
    pub name: String,
    /// The address that packets are sent from.
    pub address: Ipv4Addr,
    /// Bits of the network part. A point-to-point interface with 32 is unnumbered.
    pub prefix_length: u8,
    /// Further networks on this interface, and those of a loopback: advertised as stub networks.
    pub stubs: Vec<Prefix>,
    /// The largest IP packet in octets.
    pub mtu: u16,
    /// The network type.
    pub network_type: NetworkType,
    /// The cost of sending a packet out of this interface.
    pub cost: u16,
    /// HelloInterval. Below a second, the Hello packets carry 0.
    pub hello: Duration,
    /// RouterDeadInterval, in whole seconds.
    pub dead: Duration,
    /// RxmtInterval.
    pub retransmit: Duration,
    /// Eligibility to become the designated router; 0: never.
    pub priority: u8,
    /// Form adjacencies with neighbours that announce a larger MTU.
    pub mtu_ignore: bool,
}

impl InterfaceConfig {
    /// The network that the interface is attached to; `None` if it is unnumbered.
    #[must_use]
    pub fn network(&self) -> Option<Prefix> {
        if self.is_unnumbered() {
            return None;
        }
        Prefix::new(self.address.into(), self.prefix_length)
    }

    /// Whether this is a point-to-point link without a network of its own.
    #[must_use]
    pub fn is_unnumbered(&self) -> bool {
        self.network_type == NetworkType::PointToPoint && self.prefix_length >= 32
    }

    /// The network mask of Hello packets and network-LSAs.
    #[must_use]
    pub fn mask(&self) -> Ipv4Addr {
        Prefix::new(self.address.into(), self.prefix_length)
            .and_then(Prefix::mask)
            .unwrap_or(Ipv4Addr::BROADCAST)
    }

    /// How many neighbours a Hello can list without being fragmented (appendix A.1): a LAN takes no more.
    #[must_use]
    pub fn max_neighbors(&self) -> usize {
        /// Octets of the IP header, of the OSPF header, and of a Hello before its list.
        const HEADERS: usize = 20 + 24 + 20;
        usize::from(self.mtu).saturating_sub(HEADERS) / 4
    }

    /// Whether an adjacency survives the change to `new`: the neighbour need not agree with what differs.
    pub(crate) fn keeps_adjacencies(&self, new: &Self) -> bool {
        self.address == new.address
            && self.prefix_length == new.prefix_length
            && self.network_type == new.network_type
            && self.hello_seconds() == new.hello_seconds()
            && self.dead_seconds() == new.dead_seconds()
            && self.mtu == new.mtu
    }

    /// The same with an output cost above zero (RFC 2328 section 12.4.1), and intervals that leave time for other things.
    pub(crate) fn bounded(mut self) -> Self {
        const SHORTEST: Duration = Duration::from_millis(1);
        self.cost = self.cost.max(1);
        for interval in [&mut self.hello, &mut self.dead, &mut self.retransmit] {
            *interval = (*interval).max(SHORTEST);
        }
        self
    }

    /// HelloInterval as Hello packets carry it: whole seconds, 0 if it is shorter than one.
    #[must_use]
    pub fn hello_seconds(&self) -> u16 {
        u16::try_from(self.hello.as_secs()).unwrap_or(u16::MAX)
    }

    /// RouterDeadInterval as Hello packets carry it.
    #[must_use]
    pub fn dead_seconds(&self) -> u32 {
        u32::try_from(self.dead.as_secs()).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_hellos_carry_0_and_a_dead_interval_of_a_second() {
        let config = InterfaceConfig {
            name: "eth0".to_owned(),
            address: Ipv4Addr::new(10, 0, 0, 1),
            prefix_length: 24,
            stubs: Vec::new(),
            mtu: 1500,
            network_type: NetworkType::PointToPoint,
            cost: 10,
            hello: Duration::from_millis(250),
            dead: Duration::from_secs(1),
            retransmit: Duration::from_secs(5),
            priority: 1,
            mtu_ignore: false,
        };
        assert_eq!((config.hello_seconds(), config.dead_seconds()), (0, 1));
    }
}
