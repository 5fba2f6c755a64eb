//! What TLVs say, by code.

use std::net::{Ipv4Addr, Ipv6Addr};

use bugle_types::Mac;

use super::auth::Authentication;
use super::reach::{Family, NarrowNeighbors, NarrowPrefix, Neighbors, Prefixes};
use super::sub_tlv::{FloodingParameters, SubTlvs};
use super::tlv::TlvCode;
use super::{AreaAddress, CapabilityFlags, LspEntry, RestartFlags, SystemId, TopologyId};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::list::{Element, List};
use crate::reader::Reader;

/// The value of a TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlvBody<'a> {
    /// 1: the sender's areas.
    AreaAddresses(AreaAddresses<'a>),
    /// 2: links with narrow metrics.
    IsNeighbors(NarrowNeighbors<'a>),
    /// 6: the stations heard on a LAN.
    LanNeighbors(List<'a, Mac>),
    /// 8: nothing. What it is filled with does not matter.
    Padding(&'a [u8]),
    /// 9: which LSPs there are.
    LspEntries(List<'a, LspEntry>),
    /// 10: a password or digest.
    Authentication(Authentication<'a>),
    /// 12: a checksum of the PDU; zero if the sender computes none.
    Checksum(u16),
    /// 13: who purged an LSP.
    PurgeOriginator(PurgeOriginator),
    /// 14: the largest LSP the sender originates, in bytes.
    LspBufferSize(u16),
    /// 21: how fast LSPs may be sent to the sender.
    FloodingParameters(FloodingParameters),
    /// 22 and 222: links with wide metrics.
    ExtendedIsReachability(Neighbors<'a>),
    /// 128: IPv4 prefixes with narrow metrics, of the IS-IS domain.
    IpInternalReachability(List<'a, NarrowPrefix>),
    /// 129: the network protocols the sender speaks, such as [`NLPID_IPV4`](super::NLPID_IPV4).
    ProtocolsSupported(List<'a, u8>),
    /// 130: IPv4 prefixes with narrow metrics, from elsewhere.
    IpExternalReachability(List<'a, NarrowPrefix>),
    /// 132: IPv4 addresses of the sender.
    Ipv4InterfaceAddresses(List<'a, Ipv4Addr>),
    /// 134: an IPv4 address of the router that never changes.
    TeRouterId(Ipv4Addr),
    /// 135, 235, 236 and 237: prefixes with wide metrics.
    ExtendedIpReachability(Prefixes<'a>),
    /// 137: the sender's name, in what should be ASCII.
    Hostname(&'a [u8]),
    /// 140: an IPv6 address of the router that never changes.
    Ipv6TeRouterId(Ipv6Addr),
    /// 148: what BFD is to be run for.
    BfdEnabled(List<'a, BfdEnabled>),
    /// 211: where a restart stands.
    Restart(Restart),
    /// 229: the topologies the sender takes part in.
    MultiTopology(List<'a, Topology>),
    /// 232: IPv6 addresses of the sender.
    Ipv6InterfaceAddresses(List<'a, Ipv6Addr>),
    /// 233: global IPv6 addresses of the sender's interface.
    Ipv6GlobalInterfaceAddresses(List<'a, Ipv6Addr>),
    /// 240: the state of a three-way handshake.
    ThreeWay(ThreeWay),
    /// 242: what the router is capable of.
    RouterCapability(RouterCapability<'a>),
    /// Anything else.
    Unknown(&'a [u8]),
}

impl<'a> TlvBody<'a> {
    /// The value of a TLV of this code, which is all that `reader` has.
    pub(super) fn parse(code: TlvCode, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let body = match code {
            TlvCode::AREA_ADDRESSES => {
                return AreaAddresses::parse(reader).map(Self::AreaAddresses);
            }
            TlvCode::IS_NEIGHBORS => return NarrowNeighbors::parse(reader).map(Self::IsNeighbors),
            TlvCode::LAN_NEIGHBORS => return List::parse(reader).map(Self::LanNeighbors),
            TlvCode::PADDING => return Ok(Self::Padding(reader.rest())),
            TlvCode::LSP_ENTRIES => return List::parse(reader).map(Self::LspEntries),
            TlvCode::AUTHENTICATION => {
                return Authentication::parse(reader).map(Self::Authentication);
            }
            TlvCode::FLOODING_PARAMETERS => {
                return FloodingParameters::parse(reader).map(Self::FloodingParameters);
            }
            TlvCode::EXTENDED_IS_REACHABILITY => {
                return Neighbors::parse(TopologyId::STANDARD, reader)
                    .map(Self::ExtendedIsReachability);
            }
            TlvCode::MT_IS_REACHABILITY => {
                let topology = topology(&mut reader)?;
                return Neighbors::parse(topology, reader).map(Self::ExtendedIsReachability);
            }
            TlvCode::IP_INTERNAL_REACHABILITY => {
                return List::parse(reader).map(Self::IpInternalReachability);
            }
            TlvCode::PROTOCOLS_SUPPORTED => {
                return List::parse(reader).map(Self::ProtocolsSupported);
            }
            TlvCode::IP_EXTERNAL_REACHABILITY => {
                return List::parse(reader).map(Self::IpExternalReachability);
            }
            TlvCode::IPV4_INTERFACE_ADDRESSES => {
                return List::parse(reader).map(Self::Ipv4InterfaceAddresses);
            }
            TlvCode::EXTENDED_IP_REACHABILITY => {
                return Prefixes::parse(TopologyId::STANDARD, Family::Ipv4, reader)
                    .map(Self::ExtendedIpReachability);
            }
            TlvCode::MT_IP_REACHABILITY => {
                let topology = topology(&mut reader)?;
                return Prefixes::parse(topology, Family::Ipv4, reader)
                    .map(Self::ExtendedIpReachability);
            }
            TlvCode::IPV6_REACHABILITY => {
                return Prefixes::parse(TopologyId::STANDARD, Family::Ipv6, reader)
                    .map(Self::ExtendedIpReachability);
            }
            TlvCode::MT_IPV6_REACHABILITY => {
                let topology = topology(&mut reader)?;
                return Prefixes::parse(topology, Family::Ipv6, reader)
                    .map(Self::ExtendedIpReachability);
            }
            TlvCode::HOSTNAME => return Ok(Self::Hostname(reader.rest())),
            TlvCode::BFD_ENABLED => return List::parse(reader).map(Self::BfdEnabled),
            TlvCode::MULTI_TOPOLOGY => return List::parse(reader).map(Self::MultiTopology),
            TlvCode::IPV6_INTERFACE_ADDRESSES => {
                return List::parse(reader).map(Self::Ipv6InterfaceAddresses);
            }
            TlvCode::IPV6_GLOBAL_INTERFACE_ADDRESSES => {
                return List::parse(reader).map(Self::Ipv6GlobalInterfaceAddresses);
            }
            TlvCode::ROUTER_CAPABILITY => {
                return RouterCapability::parse(reader).map(Self::RouterCapability);
            }
            // What follows has a fixed number of sizes.
            TlvCode::CHECKSUM => Self::Checksum(reader.u16()?),
            TlvCode::PURGE_ORIGINATOR => Self::PurgeOriginator(PurgeOriginator::read(&mut reader)?),
            TlvCode::LSP_BUFFER_SIZE => Self::LspBufferSize(reader.u16()?),
            TlvCode::TE_ROUTER_ID => Self::TeRouterId(reader.ipv4()?),
            TlvCode::IPV6_TE_ROUTER_ID => Self::Ipv6TeRouterId(Ipv6Addr::from(*reader.array()?)),
            TlvCode::RESTART => Self::Restart(Restart::read(&mut reader)?),
            TlvCode::THREE_WAY => Self::ThreeWay(ThreeWay::read(&mut reader)?),
            TlvCode(_) => return Ok(Self::Unknown(reader.rest())),
        };
        reader.end().map(|()| body)
    }
}

/// The topology a multi-topology TLV is about. The standard one has TLVs of its own, and must be ignored here.
fn topology(reader: &mut Reader<'_>) -> Result<TopologyId, DecodeError> {
    let at = reader.at();
    let topology = TopologyId::from_word(reader.u16()?);
    if topology.is_standard() {
        return Err(DecodeErrorKind::StandardTopology.at(at));
    }
    Ok(topology)
}

/// Area addresses (ISO 10589 section 9.5): each with its length before it.
#[derive(Clone, Copy, Debug)]
pub struct AreaAddresses<'a>(Reader<'a>);

impl<'a> AreaAddresses<'a> {
    fn parse(reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut walk = reader;
        while !walk.rest().is_empty() {
            Self::read(&mut walk)?;
        }
        Ok(Self(reader))
    }

    fn read(reader: &mut Reader<'a>) -> Result<AreaAddress, DecodeError> {
        let at = reader.at();
        let length = reader.u8()?;
        let octets = reader.take(usize::from(length))?;
        AreaAddress::new(octets).ok_or_else(|| DecodeErrorKind::BadAreaLength(length).at(at))
    }

    /// The addresses in order.
    pub fn iter(&self) -> impl Iterator<Item = AreaAddress> + use<'a> {
        let mut reader = self.0;
        std::iter::from_fn(move || Self::read(&mut reader).ok())
    }
}

impl PartialEq for AreaAddresses<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for AreaAddresses<'_> {}

/// Who purged an LSP (RFC 6232 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeOriginator {
    /// The system that purged it, or else the one that told who it got the purge from.
    pub originator: SystemId,
    /// The system it received the purge from, if it did not begin the purge itself.
    pub received_from: Option<SystemId>,
}

impl PurgeOriginator {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count_at = reader.at();
        let count = reader.u8()?;
        let originator = SystemId(*reader.array()?);
        let received_from = match count {
            1 => None,
            2 => Some(SystemId(*reader.array()?)),
            _ => return Err(DecodeErrorKind::BadSystemCount(count).at(count_at)),
        };
        Ok(Self { originator, received_from })
    }
}

/// Where a restart stands (RFC 5306 section 3.2; RFC 8706 section 3.2). In older implementations' TLVs fields may be
/// missing at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// What is asked for or acknowledged.
    pub flags: RestartFlags,
    /// Seconds before the adjacency times out.
    pub remaining_time: Option<u16>,
    /// The restarting system that is acknowledged. Present only with the remaining time.
    pub neighbor: Option<SystemId>,
}

impl Restart {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            flags: RestartFlags(reader.u8()?),
            remaining_time: optional(reader, Reader::u16)?,
            neighbor: optional(reader, |reader| reader.array().copied().map(SystemId))?,
        })
    }
}

/// The state of a three-way handshake (RFC 5303 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreeWay {
    /// What the sender makes of the adjacency.
    pub state: ThreeWayState,
    /// The sender's number for the circuit.
    pub circuit: Option<u32>,
    /// The neighbour as the sender knows it. Present only with the circuit.
    pub neighbor: Option<ThreeWayNeighbor>,
}

/// The neighbour in a three-way handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreeWayNeighbor {
    /// Who it is.
    pub system: SystemId,
    /// Its number for the circuit, if that is known.
    pub circuit: Option<u32>,
}

impl ThreeWay {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            state: ThreeWayState::from(reader.u8()?),
            circuit: optional(reader, Reader::u32)?,
            neighbor: optional(reader, |reader| {
                Ok(ThreeWayNeighbor {
                    system: SystemId(*reader.array()?),
                    circuit: optional(reader, Reader::u32)?,
                })
            })?,
        })
    }
}

/// What a system makes of an adjacency (RFC 5303 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThreeWayState {
    /// 0: it knows that each hears the other.
    Up,
    /// 1: it hears the other.
    Initializing,
    /// 2: it hears nothing.
    Down,
    /// A state no RFC assigns; the PDU is to be discarded.
    Unknown(u8),
}

impl ThreeWayState {
    /// The state's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Initializing => 1,
            Self::Down => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl From<u8> for ThreeWayState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Up,
            1 => Self::Initializing,
            2 => Self::Down,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// What a router is capable of (RFC 7981 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterCapability<'a> {
    /// The router, by an IPv4 address; 0.0.0.0 if it has none.
    pub router: Ipv4Addr,
    /// How far this is flooded.
    pub flags: CapabilityFlags,
    /// The capabilities.
    pub sub_tlvs: SubTlvs<'a>,
}

impl<'a> RouterCapability<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            router: reader.ipv4()?,
            flags: CapabilityFlags(reader.u8()?),
            sub_tlvs: SubTlvs::new(reader.rest()),
        })
    }
}

/// A topology the sender takes part in (RFC 5120 section 7.1).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |O|A|R|R|        MT ID          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Which.
    pub id: TopologyId,
    /// Paths of the topology must not lead through the sender.
    pub overload: bool,
    /// The sender is attached to other areas in the topology.
    pub attached: bool,
}

impl Topology {
    const OVERLOAD: u16 = 0x8000;
    const ATTACHED: u16 = 0x4000;
}

impl Element for Topology {
    const SIZE: usize = 2;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let word = Reader::new(bytes, 0).u16()?;
        Ok(Self {
            id: TopologyId::from_word(word),
            overload: word & Self::OVERLOAD != 0,
            attached: word & Self::ATTACHED != 0,
        })
    }

    fn encode(self, out: &mut Vec<u8>) {
        let overload = if self.overload { Self::OVERLOAD } else { 0 };
        let attached = if self.attached { Self::ATTACHED } else { 0 };
        out.extend_from_slice(&(self.id.number() | overload | attached).to_be_bytes());
    }
}

/// A topology and a network protocol that BFD is to be run for (RFC 6213 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdEnabled {
    /// The topology.
    pub topology: TopologyId,
    /// The protocol, such as [`NLPID_IPV4`](super::NLPID_IPV4).
    pub nlpid: u8,
}

impl Element for BfdEnabled {
    const SIZE: usize = 3;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self { topology: TopologyId::from_word(reader.u16()?), nlpid: reader.u8()? })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.topology.number().to_be_bytes());
        out.push(self.nlpid);
    }
}

/// A field at the end that may be missing, but not in part.
fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if reader.rest().is_empty() { Ok(None) } else { read(reader).map(Some) }
}
