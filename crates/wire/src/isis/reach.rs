//! Links and prefixes, with wide metrics (RFC 5305, 5308 and 5120) and narrow ones (ISO 10589, RFC 1195 and 5302).

use std::net::{IpAddr, Ipv4Addr};

use bugle_types::Prefix;

use super::sub_tlv::SubTlvs;
use super::{NodeId, TopologyId};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::list::{Element, List};
use crate::reader::Reader;

/// Links of one topology (RFC 5305 section 3; RFC 5120 section 7.2).
#[derive(Clone, Copy, Debug)]
pub struct Neighbors<'a> {
    topology: TopologyId,
    reader: Reader<'a>,
}

/// A link to a neighbour.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                  Neighbor ID  (seven octets)                  |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                    Metric                     |Sub-TLV length |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  Sub-TLVs ...
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor<'a> {
    /// The system or LAN it leads to.
    pub id: NodeId,
    /// The cost of sending over it, of 24 bits; the largest takes it out of SPF.
    pub metric: u32,
    /// What else is said of it.
    pub sub_tlvs: SubTlvs<'a>,
}

impl<'a> Neighbors<'a> {
    pub(super) fn parse(topology: TopologyId, reader: Reader<'a>) -> Result<Self, DecodeError> {
        // Walking the links once here is what lets the iterator never fail.
        let mut walk = reader;
        while !walk.rest().is_empty() {
            Neighbor::read(&mut walk)?;
        }
        Ok(Self { topology, reader })
    }

    /// The topology they belong to.
    #[must_use]
    pub const fn topology(&self) -> TopologyId {
        self.topology
    }

    /// The links in order.
    pub fn iter(&self) -> impl Iterator<Item = Neighbor<'a>> + use<'a> {
        let mut reader = self.reader;
        std::iter::from_fn(move || Neighbor::read(&mut reader).ok())
    }
}

impl PartialEq for Neighbors<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.topology == other.topology && self.iter().eq(other.iter())
    }
}

impl Eq for Neighbors<'_> {}

impl<'a> Neighbor<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { id: NodeId::read(reader)?, metric: reader.u24()?, sub_tlvs: sub_tlvs(reader)? })
    }

    /// The bytes it takes in a TLV.
    pub(super) const fn size(&self) -> usize {
        self.sub_tlvs.bytes().len().saturating_add(11)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        let [_, metric @ ..] = self.metric.to_be_bytes();
        out.extend_from_slice(&metric);
        encode_sub_tlvs(self.sub_tlvs, out);
    }
}

/// Prefixes of one topology and address family (RFC 5305 section 4; RFC 5308 section 2; RFC 5120 sections 7.3 and 7.4).
#[derive(Clone, Copy, Debug)]
pub struct Prefixes<'a> {
    topology: TopologyId,
    family: Family,
    reader: Reader<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

/// A prefix that can be reached.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            Metric                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |U|S| Length    |  Prefix  (no octet more than it needs) ...      IPv4
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |U|X|S| Reserve |    Length     |  Prefix  (likewise) ...         IPv6
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |Sub-TLV length*|  Sub-TLVs* ...                                  * if S is set
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixReach<'a> {
    /// Which prefix.
    pub prefix: Prefix,
    /// The cost of reaching it; above [`MAX_PATH_METRIC`](super::MAX_PATH_METRIC) it is not to be routed to.
    pub metric: u32,
    /// It has been leaked down a level, and must not go up again.
    pub down: bool,
    /// It came from another protocol. For IPv4 a [prefix attribute](super::PrefixAttribute::Flags) says this, and the bit is
    /// never set.
    pub external: bool,
    /// What else is said of it.
    pub sub_tlvs: SubTlvs<'a>,
}

impl<'a> Prefixes<'a> {
    pub(super) fn parse(
        topology: TopologyId,
        family: Family,
        reader: Reader<'a>,
    ) -> Result<Self, DecodeError> {
        // Walking the prefixes once here is what lets the iterator never fail.
        let mut walk = reader;
        while !walk.rest().is_empty() {
            Item::read(family, &mut walk)?;
        }
        Ok(Self { topology, family, reader })
    }

    /// The topology they belong to.
    #[must_use]
    pub const fn topology(&self) -> TopologyId {
        self.topology
    }

    /// The prefixes in order.
    pub fn iter(&self) -> impl Iterator<Item = PrefixReach<'a>> + use<'a> {
        let Self { family, mut reader, .. } = *self;
        std::iter::from_fn(move || Item::read(family, &mut reader).ok()?.decode())
    }
}

impl PartialEq for Prefixes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.topology == other.topology && self.iter().eq(other.iter())
    }
}

impl Eq for Prefixes<'_> {}

impl PrefixReach<'_> {
    /// The bytes it takes in a TLV.
    pub(super) fn size(&self) -> usize {
        let fixed: usize = if self.prefix.is_ipv4() { 5 } else { 6 };
        let sub_tlvs = match self.sub_tlvs.bytes().len() {
            0 => 0,
            length => length.saturating_add(1),
        };
        fixed.saturating_add(octets_of(self.prefix.length())).saturating_add(sub_tlvs)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set, bit| if set { bit } else { 0 };
        let (has_sub_tlvs, length) = (!self.sub_tlvs.is_empty(), self.prefix.length());
        let down = flag(self.down, DOWN);
        out.extend_from_slice(&self.metric.to_be_bytes());
        let significant = octets_of(length);
        match self.prefix.address() {
            IpAddr::V4(address) => {
                out.push(down | flag(has_sub_tlvs, IPV4_SUB_TLVS) | length);
                out.extend(address.octets().into_iter().take(significant));
            }
            IpAddr::V6(address) => {
                let external = flag(self.external, IPV6_EXTERNAL);
                out.extend_from_slice(&[
                    down | external | flag(has_sub_tlvs, IPV6_SUB_TLVS),
                    length,
                ]);
                out.extend(address.octets().into_iter().take(significant));
            }
        }
        if has_sub_tlvs {
            encode_sub_tlvs(self.sub_tlvs, out);
        }
    }
}

/// An item of a list of prefixes, whose structure has been checked and nothing else decoded.
struct Item<'a> {
    family: Family,
    metric: u32,
    control: u8,
    length: u8,
    /// The octets of the prefix that are there.
    octets: &'a [u8],
    sub_tlvs: SubTlvs<'a>,
}

impl<'a> Item<'a> {
    fn read(family: Family, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let metric = reader.u32()?;
        let mut at = reader.at();
        let control = reader.u8()?;
        let (length, most, sub_tlvs_bit) = match family {
            Family::Ipv4 => (control & 0x3f, 32, IPV4_SUB_TLVS),
            Family::Ipv6 => {
                at = reader.at();
                (reader.u8()?, 128, IPV6_SUB_TLVS)
            }
        };
        if length > most {
            return Err(DecodeErrorKind::BadPrefixLength(length).at(at));
        }
        let octets = reader.take(octets_of(length))?;
        let has_sub_tlvs = control & sub_tlvs_bit != 0;
        let sub_tlvs = if has_sub_tlvs { sub_tlvs(reader)? } else { SubTlvs::default() };
        Ok(Self { family, metric, control, length, octets, sub_tlvs })
    }

    /// What the item says; never `None`, as its length was checked. Bits beyond the prefix are ignored.
    fn decode(&self) -> Option<PrefixReach<'a>> {
        let address = match self.family {
            Family::Ipv4 => IpAddr::from(filled_up::<4>(self.octets)),
            Family::Ipv6 => IpAddr::from(filled_up::<16>(self.octets)),
        };
        Some(PrefixReach {
            prefix: Prefix::new(address, self.length)?,
            metric: self.metric,
            down: self.control & DOWN != 0,
            external: self.family == Family::Ipv6 && self.control & IPV6_EXTERNAL != 0,
            sub_tlvs: self.sub_tlvs,
        })
    }
}

/// Octets with zeros behind them.
fn filled_up<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut address = [0; N];
    address.iter_mut().zip(octets).for_each(|(place, &octet)| *place = octet);
    address
}

/// The bits of the control octet.
const DOWN: u8 = 0x80;
const IPV4_SUB_TLVS: u8 = 0x40;
const IPV6_EXTERNAL: u8 = 0x40;
const IPV6_SUB_TLVS: u8 = 0x20;

/// The octets a prefix of so many bits takes.
fn octets_of(bits: u8) -> usize {
    usize::from(bits.div_ceil(8))
}

/// Reads sub-TLVs behind an octet that is their length together.
fn sub_tlvs<'a>(reader: &mut Reader<'a>) -> Result<SubTlvs<'a>, DecodeError> {
    let length = reader.u8()?;
    reader.take(usize::from(length)).map(SubTlvs::new)
}

fn encode_sub_tlvs(sub_tlvs: SubTlvs<'_>, out: &mut Vec<u8>) {
    // Never longer than 255: who sizes an element for a TLV refuses it then.
    out.push(u8::try_from(sub_tlvs.bytes().len()).unwrap_or(u8::MAX));
    out.extend_from_slice(sub_tlvs.bytes());
}

/// The four metrics of ISO 10589, of which everybody uses the first.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |U|I/E| Default |S|I/E|  Delay  |S|I/E| Expense |S|I/E|  Error  |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowMetrics(pub [u8; 4]);

impl NarrowMetrics {
    /// Only a default metric, which is internal and cut to its six bits.
    #[must_use]
    pub const fn internal(metric: u8) -> Self {
        Self([metric & Self::VALUE, Self::UNSUPPORTED, Self::UNSUPPORTED, Self::UNSUPPORTED])
    }

    const VALUE: u8 = 0x3f;
    const EXTERNAL: u8 = 0x40;
    const DOWN: u8 = 0x80;
    const UNSUPPORTED: u8 = 0x80;

    /// The default metric.
    #[must_use]
    pub const fn default_metric(self) -> u8 {
        let [default, ..] = self.0;
        default & Self::VALUE
    }

    /// Whether the default metric is not comparable with those within the domain.
    #[must_use]
    pub const fn is_external(self) -> bool {
        let [default, ..] = self.0;
        default & Self::EXTERNAL != 0
    }

    /// Whether the prefix has been leaked down a level, and must not go up again (RFC 5302 section 2).
    #[must_use]
    pub const fn is_down(self) -> bool {
        let [default, ..] = self.0;
        default & Self::DOWN != 0
    }

    /// These metrics with the external bit of the default metric set.
    #[must_use]
    pub const fn external(self) -> Self {
        let [default, delay, expense, error] = self.0;
        Self([default | Self::EXTERNAL, delay, expense, error])
    }

    /// These metrics with the up/down bit set.
    #[must_use]
    pub const fn down(self) -> Self {
        let [default, delay, expense, error] = self.0;
        Self([default | Self::DOWN, delay, expense, error])
    }

    /// The delay, expense and error metrics, where the sender supports them.
    #[must_use]
    pub fn others(self) -> [Option<u8>; 3] {
        let [_, others @ ..] = self.0;
        others.map(|octet| (octet & Self::UNSUPPORTED == 0).then_some(octet & Self::VALUE))
    }
}

/// Links with narrow metrics (ISO 10589 section 9.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowNeighbors<'a> {
    /// The links are paths through level 2 that repair a partitioned area.
    pub is_virtual: bool,
    /// The links.
    pub links: List<'a, NarrowNeighbor>,
}

impl<'a> NarrowNeighbors<'a> {
    pub(super) fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { is_virtual: reader.u8()? != 0, links: List::parse(reader)? })
    }
}

/// A link with narrow metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowNeighbor {
    /// The costs of sending over it.
    pub metrics: NarrowMetrics,
    /// The system or LAN it leads to.
    pub id: NodeId,
}

impl Element for NarrowNeighbor {
    const SIZE: usize = 11;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self { metrics: NarrowMetrics(*reader.array()?), id: NodeId::read(&mut reader)? })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.metrics.0);
        self.id.encode(out);
    }
}

/// An IPv4 prefix with narrow metrics (RFC 1195 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowPrefix {
    /// The costs of reaching it.
    pub metrics: NarrowMetrics,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its mask, whatever that is.
    pub mask: Ipv4Addr,
}

impl NarrowPrefix {
    /// The prefix; `None` if the mask is none of a prefix.
    #[must_use]
    pub fn prefix(&self) -> Option<Prefix> {
        Prefix::from_mask(self.address, self.mask)
    }
}

impl Element for NarrowPrefix {
    const SIZE: usize = 12;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        Ok(Self {
            metrics: NarrowMetrics(*reader.array()?),
            address: reader.ipv4()?,
            mask: reader.ipv4()?,
        })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.metrics.0);
        out.extend_from_slice(&self.address.octets());
        out.extend_from_slice(&self.mask.octets());
    }
}
