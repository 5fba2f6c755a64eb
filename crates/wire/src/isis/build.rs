//! The variable part of PDUs, one element at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bugle_types::Mac;

use super::reach::{NarrowNeighbor, NarrowPrefix, Neighbor, PrefixReach};
use super::sub_tlv::{FloodingParameters, SubTlvs};
use super::tlv::TlvCode;
use super::tlv_body::{BfdEnabled, PurgeOriginator, Restart, ThreeWay, Topology};
use super::{AreaAddress, CapabilityFlags, LspEntry, MAX_TLV, TopologyId};
use crate::list::Element;

/// Packs TLVs into the room there is.
///
/// Elements of a list go into the last TLV while that has their code and room for them, else a new TLV is begun. Each method
/// returns whether there was room; if there was none, nothing has changed.
///
/// ```
/// use bugle_wire::isis::{PrefixReach, SubTlvs, TlvBuilder, TopologyId};
/// let mut tlvs = TlvBuilder::new(1000);
/// let host = |prefix: &str| PrefixReach {
///     prefix: prefix.parse().unwrap(),
///     metric: 10,
///     down: false,
///     external: false,
///     sub_tlvs: SubTlvs::default(),
/// };
/// assert!(tlvs.prefix(TopologyId::STANDARD, &host("10.0.0.1/32")));
/// assert!(tlvs.prefix(TopologyId::STANDARD, &host("10.0.0.2/32")));
/// assert_eq!((tlvs.len(), tlvs.room()), (20, 980));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TlvBuilder {
    bytes: Vec<u8>,
    limit: usize,
    /// Where the last TLV begins.
    last: usize,
}

impl TlvBuilder {
    /// No TLV yet, and room for `limit` bytes: those of the PDU, less its header and the TLV of a
    /// [key](super::Key::tlv_length).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, last: 0 }
    }

    /// The bytes left.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    /// The TLVs so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is none yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes all TLVs out; the room stays what it was to begin with.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last = 0;
    }

    /// A TLV of any code, in one piece.
    pub fn tlv(&mut self, code: TlvCode, value: &[u8]) -> bool {
        let fits = self.begin(code, value.len());
        if fits {
            self.bytes.extend_from_slice(value);
        }
        fits
    }

    /// A link with a wide metric.
    pub fn neighbor(&mut self, topology: TopologyId, neighbor: &Neighbor<'_>) -> bool {
        let codes = (TlvCode::EXTENDED_IS_REACHABILITY, TlvCode::MT_IS_REACHABILITY);
        let fits = self.extend_topology(codes, topology, neighbor.size());
        if fits {
            neighbor.encode(&mut self.bytes);
        }
        fits
    }

    /// A prefix with a wide metric.
    pub fn prefix(&mut self, topology: TopologyId, prefix: &PrefixReach<'_>) -> bool {
        let codes = match prefix.prefix.address() {
            IpAddr::V4(_) => (TlvCode::EXTENDED_IP_REACHABILITY, TlvCode::MT_IP_REACHABILITY),
            IpAddr::V6(_) => (TlvCode::IPV6_REACHABILITY, TlvCode::MT_IPV6_REACHABILITY),
        };
        let fits = self.extend_topology(codes, topology, prefix.size());
        if fits {
            prefix.encode(&mut self.bytes);
        }
        fits
    }

    /// A link with a narrow metric.
    pub fn narrow_neighbor(&mut self, neighbor: NarrowNeighbor) -> bool {
        // The links are none that repair a partition.
        self.element(TlvCode::IS_NEIGHBORS, &[0], neighbor)
    }

    /// A prefix with a narrow metric, of the IS-IS domain.
    pub fn internal_prefix(&mut self, prefix: NarrowPrefix) -> bool {
        self.element(TlvCode::IP_INTERNAL_REACHABILITY, &[], prefix)
    }

    /// A prefix with a narrow metric, from elsewhere.
    pub fn external_prefix(&mut self, prefix: NarrowPrefix) -> bool {
        self.element(TlvCode::IP_EXTERNAL_REACHABILITY, &[], prefix)
    }

    /// An area of the sender.
    pub fn area_address(&mut self, area: &AreaAddress) -> bool {
        let octets = area.octets();
        let fits = self.extend(TlvCode::AREA_ADDRESSES, &[], octets.len().saturating_add(1));
        if fits {
            // At most thirteen.
            self.bytes.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
            self.bytes.extend_from_slice(octets);
        }
        fits
    }

    /// A station heard on a LAN.
    pub fn lan_neighbor(&mut self, station: Mac) -> bool {
        self.element(TlvCode::LAN_NEIGHBORS, &[], station)
    }

    /// An LSP, in a sequence numbers PDU.
    pub fn lsp_entry(&mut self, entry: LspEntry) -> bool {
        self.element(TlvCode::LSP_ENTRIES, &[], entry)
    }

    /// A network protocol the sender speaks.
    pub fn protocol(&mut self, nlpid: u8) -> bool {
        self.element(TlvCode::PROTOCOLS_SUPPORTED, &[], nlpid)
    }

    /// An IPv4 address of the sender.
    pub fn ipv4_interface_address(&mut self, address: Ipv4Addr) -> bool {
        self.element(TlvCode::IPV4_INTERFACE_ADDRESSES, &[], address)
    }

    /// An IPv6 address of the sender: a link-local one in a Hello, another one in an LSP.
    pub fn ipv6_interface_address(&mut self, address: Ipv6Addr) -> bool {
        self.element(TlvCode::IPV6_INTERFACE_ADDRESSES, &[], address)
    }

    /// A global IPv6 address of the sender's interface, in a Hello.
    pub fn ipv6_global_interface_address(&mut self, address: Ipv6Addr) -> bool {
        self.element(TlvCode::IPV6_GLOBAL_INTERFACE_ADDRESSES, &[], address)
    }

    /// A topology the sender takes part in.
    pub fn topology(&mut self, topology: Topology) -> bool {
        self.element(TlvCode::MULTI_TOPOLOGY, &[], topology)
    }

    /// What BFD is to be run for.
    pub fn bfd_enabled(&mut self, enabled: BfdEnabled) -> bool {
        self.element(TlvCode::BFD_ENABLED, &[], enabled)
    }

    /// The sender's name.
    pub fn hostname(&mut self, name: &str) -> bool {
        self.tlv(TlvCode::HOSTNAME, name.as_bytes())
    }

    /// An IPv4 address of the router that never changes.
    pub fn te_router_id(&mut self, router: Ipv4Addr) -> bool {
        self.tlv(TlvCode::TE_ROUTER_ID, &router.octets())
    }

    /// An IPv6 address of the router that never changes.
    pub fn ipv6_te_router_id(&mut self, router: Ipv6Addr) -> bool {
        self.tlv(TlvCode::IPV6_TE_ROUTER_ID, &router.octets())
    }

    /// The largest LSP the sender originates, in bytes.
    pub fn lsp_buffer_size(&mut self, size: u16) -> bool {
        self.tlv(TlvCode::LSP_BUFFER_SIZE, &size.to_be_bytes())
    }

    /// A checksum of the PDU, or zero for none (RFC 3358).
    pub fn checksum(&mut self, checksum: u16) -> bool {
        self.tlv(TlvCode::CHECKSUM, &checksum.to_be_bytes())
    }

    /// Who purged the LSP.
    pub fn purge_originator(&mut self, purge: &PurgeOriginator) -> bool {
        let mut value = vec![if purge.received_from.is_some() { 2 } else { 1 }];
        value.extend_from_slice(&purge.originator.0);
        value.extend(purge.received_from.iter().flat_map(|system| system.0));
        self.tlv(TlvCode::PURGE_ORIGINATOR, &value)
    }

    /// Where a restart stands.
    pub fn restart(&mut self, restart: &Restart) -> bool {
        let mut value = vec![restart.flags.0];
        if let Some(time) = restart.remaining_time {
            value.extend_from_slice(&time.to_be_bytes());
            value.extend(restart.neighbor.iter().flat_map(|system| system.0));
        }
        self.tlv(TlvCode::RESTART, &value)
    }

    /// The state of a three-way handshake.
    pub fn three_way(&mut self, three_way: &ThreeWay) -> bool {
        let mut value = vec![three_way.state.number()];
        if let Some(circuit) = three_way.circuit {
            value.extend_from_slice(&circuit.to_be_bytes());
            if let Some(neighbor) = three_way.neighbor {
                value.extend_from_slice(&neighbor.system.0);
                value.extend(neighbor.circuit.iter().flat_map(|circuit| circuit.to_be_bytes()));
            }
        }
        self.tlv(TlvCode::THREE_WAY, &value)
    }

    /// What the router is capable of.
    pub fn router_capability(
        &mut self,
        router: Ipv4Addr,
        flags: CapabilityFlags,
        sub_tlvs: SubTlvs<'_>,
    ) -> bool {
        let mut value = router.octets().to_vec();
        value.push(flags.0);
        value.extend_from_slice(sub_tlvs.bytes());
        self.tlv(TlvCode::ROUTER_CAPABILITY, &value)
    }

    /// How fast LSPs may be sent to the sender.
    pub fn flooding_parameters(&mut self, parameters: &FloodingParameters) -> bool {
        let mut value = Vec::new();
        parameters.encode(&mut value);
        self.tlv(TlvCode::FLOODING_PARAMETERS, &value)
    }

    /// Fills the room up with padding. One byte stays if one is left, which is too few for a TLV.
    pub fn pad(&mut self) {
        while let Some(value) = self.room().checked_sub(2) {
            // Padding that would leave one byte stops one short of it.
            let value = if value == MAX_TLV.saturating_add(1) {
                MAX_TLV.saturating_sub(1)
            } else {
                value.min(MAX_TLV)
            };
            self.begin(TlvCode::PADDING, value);
            self.bytes.resize(self.bytes.len().saturating_add(value), 0);
        }
    }

    /// Begins a TLV whose value, of `length` bytes, is to be appended.
    fn begin(&mut self, code: TlvCode, length: usize) -> bool {
        let fits = self.room() >= length.saturating_add(2);
        let Some(length) = u8::try_from(length).ok().filter(|_| fits) else { return false };
        self.last = self.bytes.len();
        self.bytes.extend_from_slice(&[code.0, length]);
        true
    }

    /// Makes room for an element of `size` bytes, to be appended, in a TLV that begins with `head`.
    fn extend(&mut self, code: TlvCode, head: &[u8], size: usize) -> bool {
        if let Some([last_code, length, value @ ..]) = self.bytes.get_mut(self.last..)
            && *last_code == code.0
            && value.starts_with(head)
            && let Ok(longer) = u8::try_from(usize::from(*length).saturating_add(size))
        {
            let fits =
                self.limit.saturating_sub(self.last) >= usize::from(longer).saturating_add(2);
            if fits {
                *length = longer;
            }
            return fits;
        }
        let fits = self.begin(code, head.len().saturating_add(size));
        if fits {
            self.bytes.extend_from_slice(head);
        }
        fits
    }

    /// Makes room for an element of one topology: the standard one has a code of its own.
    fn extend_topology(
        &mut self,
        codes: (TlvCode, TlvCode),
        topology: TopologyId,
        size: usize,
    ) -> bool {
        let (standard, multi) = codes;
        if topology.is_standard() {
            self.extend(standard, &[], size)
        } else {
            self.extend(multi, &topology.number().to_be_bytes(), size)
        }
    }

    fn element<T: Element>(&mut self, code: TlvCode, head: &[u8], element: T) -> bool {
        let fits = self.extend(code, head, T::SIZE);
        if fits {
            element.encode(&mut self.bytes);
        }
        fits
    }
}

impl std::fmt::Debug for TlvBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlvBuilder")
            .field("len", &self.len())
            .field("room", &self.room())
            .finish_non_exhaustive()
    }
}
