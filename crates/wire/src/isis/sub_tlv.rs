//! Sub-TLVs: what is said of a link, a prefix, a router or of flooding beyond the fixed fields.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::{FloodingFlags, PrefixFlags};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::list::List;
use crate::reader::Reader;

/// Sub-TLVs in order, one octet each for code and length.
///
/// Their structure is not an obstacle to using what they are attached to: they end early at one that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SubTlvs<'a>(&'a [u8]);

impl<'a> SubTlvs<'a> {
    /// The sub-TLVs in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The sub-TLVs in order.
    #[must_use]
    pub const fn iter(&self) -> SubTlvIter<'a> {
        SubTlvIter(Reader::new(self.0, 0))
    }

    /// What the sub-TLVs of a link say. Those that do not have the structure of their code are unknown.
    pub fn link_attributes(&self) -> impl Iterator<Item = LinkAttribute<'a>> + use<'a> {
        self.iter()
            .map(|sub_tlv| LinkAttribute::parse(sub_tlv).unwrap_or(LinkAttribute::Unknown(sub_tlv)))
    }

    /// What the sub-TLVs of a prefix say. Those that do not have the structure of their code are unknown.
    pub fn prefix_attributes(&self) -> impl Iterator<Item = PrefixAttribute<'a>> + use<'a> {
        self.iter().map(|sub_tlv| {
            PrefixAttribute::parse(sub_tlv).unwrap_or(PrefixAttribute::Unknown(sub_tlv))
        })
    }

    /// The bytes of all of them.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bytes are sub-TLVs to the last.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        let mut iter = self.iter();
        iter.by_ref().for_each(drop);
        iter.0.rest().is_empty()
    }
}

impl fmt::Debug for SubTlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for SubTlvs<'a> {
    type Item = SubTlv<'a>;
    type IntoIter = SubTlvIter<'a>;

    fn into_iter(self) -> SubTlvIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &SubTlvs<'a> {
    type Item = SubTlv<'a>;
    type IntoIter = SubTlvIter<'a>;

    fn into_iter(self) -> SubTlvIter<'a> {
        self.iter()
    }
}

/// The sub-TLVs of a [`SubTlvs`].
#[derive(Clone, Debug)]
pub struct SubTlvIter<'a>(Reader<'a>);

impl<'a> Iterator for SubTlvIter<'a> {
    type Item = SubTlv<'a>;

    fn next(&mut self) -> Option<SubTlv<'a>> {
        let mut ahead = self.0;
        let &[code, length] = ahead.array().ok()?;
        let value = ahead.take(usize::from(length)).ok()?;
        self.0 = ahead;
        Some(SubTlv { code, value })
    }
}

/// One sub-TLV. What its code means depends on the TLV around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubTlv<'a> {
    /// What the value means.
    pub code: u8,
    /// The value.
    pub value: &'a [u8],
}

impl SubTlv<'_> {
    /// Appends it; not if its value is longer than 255 bytes. Returns whether it was appended.
    pub fn encode(&self, out: &mut Vec<u8>) -> bool {
        let Ok(length) = u8::try_from(self.value.len()) else { return false };
        out.extend_from_slice(&[self.code, length]);
        out.extend_from_slice(self.value);
        true
    }
}

/// What is said of a link (RFC 5305 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkAttribute<'a> {
    /// 3: the administrative groups, or colours, one a bit.
    AdministrativeGroups(u32),
    /// 6: an address of the router on the link.
    Ipv4InterfaceAddress(Ipv4Addr),
    /// 8: an address of the neighbour on the link.
    Ipv4NeighborAddress(Ipv4Addr),
    /// 9: what the link carries at most.
    MaximumBandwidth(Bandwidth),
    /// 10: what may be reserved on the link at most.
    ReservableBandwidth(Bandwidth),
    /// 11: what may still be reserved at each of the eight priorities.
    UnreservedBandwidth([Bandwidth; 8]),
    /// 18: the metric for traffic engineering.
    TeDefaultMetric(u32),
    /// Anything else.
    Unknown(SubTlv<'a>),
}

impl<'a> LinkAttribute<'a> {
    fn parse(sub_tlv: SubTlv<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(sub_tlv.value, 0);
        let attribute = match sub_tlv.code {
            3 => Self::AdministrativeGroups(reader.u32()?),
            6 => Self::Ipv4InterfaceAddress(reader.ipv4()?),
            8 => Self::Ipv4NeighborAddress(reader.ipv4()?),
            9 => Self::MaximumBandwidth(Bandwidth(reader.u32()?)),
            10 => Self::ReservableBandwidth(Bandwidth(reader.u32()?)),
            11 => {
                let mut priorities = [Bandwidth(0); 8];
                for bandwidth in &mut priorities {
                    *bandwidth = Bandwidth(reader.u32()?);
                }
                Self::UnreservedBandwidth(priorities)
            }
            18 => Self::TeDefaultMetric(reader.u24()?),
            _ => return Ok(Self::Unknown(sub_tlv)),
        };
        reader.end().map(|()| attribute)
    }

    /// Appends the attribute as a sub-TLV.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::AdministrativeGroups(groups) => push(out, 3, &groups.to_be_bytes()),
            Self::Ipv4InterfaceAddress(address) => push(out, 6, &address.octets()),
            Self::Ipv4NeighborAddress(address) => push(out, 8, &address.octets()),
            Self::MaximumBandwidth(Bandwidth(bits)) => push(out, 9, &bits.to_be_bytes()),
            Self::ReservableBandwidth(Bandwidth(bits)) => push(out, 10, &bits.to_be_bytes()),
            Self::UnreservedBandwidth(priorities) => {
                push(out, 11, priorities.map(|Bandwidth(bits)| bits.to_be_bytes()).as_flattened());
            }
            Self::TeDefaultMetric(metric) => {
                let [_, metric @ ..] = metric.to_be_bytes();
                push(out, 18, &metric);
            }
            Self::Unknown(sub_tlv) => push(out, sub_tlv.code, sub_tlv.value),
        }
    }
}

/// A bandwidth in bytes a second, as the bits of an IEEE single-precision number: nothing here is decided by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bandwidth(pub u32);

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&f32::from_bits(self.0), f)
    }
}

/// What is said of a prefix (RFC 5130 section 3; RFC 7794 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrefixAttribute<'a> {
    /// 1: administrative tags of 32 bits.
    Tags(List<'a, u32>),
    /// 2: administrative tags of 64 bits.
    Tags64(List<'a, u64>),
    /// 4: where the prefix came from.
    Flags(PrefixFlags),
    /// 11: the router that originated it.
    Ipv4SourceRouterId(Ipv4Addr),
    /// 12: the router that originated it.
    Ipv6SourceRouterId(Ipv6Addr),
    /// Anything else.
    Unknown(SubTlv<'a>),
}

/// The administrative tags of a prefix that count, one of each size (RFC 5130 section 3); zero: none.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Tags {
    /// Of 32 bits.
    pub short: u32,
    /// Of 64 bits.
    pub long: u64,
}

impl Tags {
    /// No tags.
    pub const NONE: Self = Self { short: 0, long: 0 };
}

impl<'a> PrefixAttribute<'a> {
    fn parse(sub_tlv: SubTlv<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(sub_tlv.value, 0);
        let attribute = match sub_tlv.code {
            1 => return List::parse(reader).map(Self::Tags),
            2 => return List::parse(reader).map(Self::Tags64),
            // Flags of later octets are not defined, and flags that are not sent are zero.
            4 => return Ok(Self::Flags(PrefixFlags(sub_tlv.value.first().copied().unwrap_or(0)))),
            11 => Self::Ipv4SourceRouterId(reader.ipv4()?),
            12 => Self::Ipv6SourceRouterId(Ipv6Addr::from(*reader.array()?)),
            _ => return Ok(Self::Unknown(sub_tlv)),
        };
        reader.end().map(|()| attribute)
    }

    /// Appends the attribute as a sub-TLV.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Tags(tags) => push(out, 1, tags.bytes()),
            Self::Tags64(tags) => push(out, 2, tags.bytes()),
            Self::Flags(flags) => push(out, 4, &[flags.0]),
            Self::Ipv4SourceRouterId(router) => push(out, 11, &router.octets()),
            Self::Ipv6SourceRouterId(router) => push(out, 12, &router.octets()),
            Self::Unknown(sub_tlv) => push(out, sub_tlv.code, sub_tlv.value),
        }
    }
}

/// How fast LSPs may be sent to the sender of these, who leaves out what it says nothing of (RFC 9681 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FloodingParameters {
    /// 1: LSPs it takes without a delay between them.
    pub burst_size: Option<u32>,
    /// 2: the shortest interval between LSPs it keeps up with, in microseconds.
    pub transmission_interval: Option<u32>,
    /// 3: LSPs after which it acknowledges at once.
    pub lsps_per_psnp: Option<u16>,
    /// 4: what it promises.
    pub flags: Option<FloodingFlags>,
    /// 5: the longest time before it acknowledges, in milliseconds.
    pub psnp_interval: Option<u16>,
    /// 6: LSPs it takes before it has acknowledged any.
    pub receive_window: Option<u16>,
}

impl FloodingParameters {
    /// The parameters in a TLV's value. Of several of one kind the first counts; unknown ones are ignored.
    pub(super) fn parse(reader: Reader<'_>) -> Result<Self, DecodeError> {
        let mut parameters = Self::default();
        let mut walk = reader;
        while !walk.rest().is_empty() {
            let &[code, length] = walk.array()?;
            let (at, have) = (walk.at(), walk.rest().len());
            let value = walk.take(usize::from(length)).map_err(|error| {
                DecodeErrorKind::BadTlvLength { code, length, have }.at(error.at.saturating_sub(1))
            })?;
            let mut value = Reader::new(value, at);
            match code {
                1 => keep(&mut parameters.burst_size, exact(value, Reader::u32)?),
                2 => keep(&mut parameters.transmission_interval, exact(value, Reader::u32)?),
                3 => keep(&mut parameters.lsps_per_psnp, exact(value, Reader::u16)?),
                4 => keep(&mut parameters.flags, FloodingFlags(value.u8()?)),
                5 => keep(&mut parameters.psnp_interval, exact(value, Reader::u16)?),
                6 => keep(&mut parameters.receive_window, exact(value, Reader::u16)?),
                _ => {}
            }
        }
        Ok(parameters)
    }

    /// Appends the sub-TLVs.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Some(size) = self.burst_size {
            push(out, 1, &size.to_be_bytes());
        }
        if let Some(interval) = self.transmission_interval {
            push(out, 2, &interval.to_be_bytes());
        }
        if let Some(count) = self.lsps_per_psnp {
            push(out, 3, &count.to_be_bytes());
        }
        if let Some(flags) = self.flags {
            push(out, 4, &[flags.0]);
        }
        if let Some(interval) = self.psnp_interval {
            push(out, 5, &interval.to_be_bytes());
        }
        if let Some(window) = self.receive_window {
            push(out, 6, &window.to_be_bytes());
        }
    }
}

/// The value that is all that `reader` has.
fn exact<'a, T>(
    mut reader: Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let value = read(&mut reader)?;
    reader.end().map(|()| value)
}

fn keep<T>(first: &mut Option<T>, value: T) {
    first.get_or_insert(value);
}

/// Appends a sub-TLV; nothing if the value is too long for one.
fn push(out: &mut Vec<u8>, code: u8, value: &[u8]) {
    SubTlv { code, value }.encode(out);
}
