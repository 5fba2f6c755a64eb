//! What LSAs say (RFC 2328 sections A.4.2 to A.4.5; RFC 3101; RFC 5250).

use std::fmt;
use std::net::Ipv4Addr;

use bugle_types::RouterId;

use super::lsa::{LsaHeader, LsaKey, LsaType, SequenceNumber};
use super::{Element, LSA_HEADER, List, MAX_LSA, Options, RouterFlags};
use crate::checksum;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// The body of an LSA, by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LsaBody<'a> {
    /// Type 1.
    Router(RouterLsa<'a>),
    /// Type 2.
    Network(NetworkLsa<'a>),
    /// Types 3 and 4.
    Summary(SummaryLsa),
    /// Types 5 and 7.
    External(ExternalLsa),
    /// Types 9, 10 and 11: bytes that only some application understands.
    Opaque(&'a [u8]),
}

impl<'a> LsaBody<'a> {
    /// The body of an LSA of this type in `reader`'s remaining bytes.
    pub(super) fn parse(ls_type: LsaType, reader: Reader<'a>) -> Result<Self, DecodeError> {
        match ls_type {
            LsaType::ROUTER => RouterLsa::parse(reader).map(Self::Router),
            LsaType::NETWORK => NetworkLsa::parse(reader).map(Self::Network),
            LsaType::SUMMARY_NETWORK | LsaType::SUMMARY_ASBR => {
                SummaryLsa::parse(reader).map(Self::Summary)
            }
            LsaType::AS_EXTERNAL | LsaType::NSSA => ExternalLsa::parse(reader).map(Self::External),
            LsaType::OPAQUE_LINK | LsaType::OPAQUE_AREA | LsaType::OPAQUE_AS => {
                opaque(reader).map(Self::Opaque)
            }
            LsaType(unknown) => Err(DecodeErrorKind::UnknownLsType(unknown).at(LS_TYPE_AT)),
        }
    }
}

/// The offset in an LSA of its type.
const LS_TYPE_AT: usize = 3;

/// A router and all its links to one area (RFC 2328 section A.4.2).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |0|0|0|Nt|W|V|E|B|       0      |            # links            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          Link ID                              |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Link Data                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     Type      |     # TOS     |            metric             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |      TOS      |        0      |          TOS  metric          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterLsa<'a> {
    /// What kind of router it is.
    pub flags: RouterFlags,
    /// Its links.
    pub links: RouterLinks<'a>,
}

impl<'a> RouterLsa<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let flags = RouterFlags(reader.u8()?);
        let _zero = reader.u8()?;
        let count_at = reader.at();
        let stated = reader.u16()?;
        let links = RouterLinks { reader, left: stated };
        // Walking the links once here is what lets the iterator never fail.
        let mut walk = links.clone();
        let found = u16::try_from(walk.by_ref().count()).unwrap_or(u16::MAX);
        if found < stated {
            return Err(DecodeErrorKind::BadLinkCount { stated, found }.at(count_at));
        }
        match walk.reader.rest().len() {
            0 => Ok(Self { flags, links }),
            rest => Err(DecodeErrorKind::TrailingBytes(rest).at(walk.reader.at())),
        }
    }
}

/// One link of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterLink {
    /// What the link connects to.
    pub kind: RouterLinkKind,
    /// The router, designated router's address or network it connects to.
    pub id: Ipv4Addr,
    /// The router's own address on the link, its interface index if that has none, or a stub network's mask.
    pub data: Ipv4Addr,
    /// The cost of sending over it.
    pub metric: u16,
}

/// What a router's link connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterLinkKind {
    /// 1: another router.
    PointToPoint,
    /// 2: a network with several routers.
    Transit,
    /// 3: a network with no other router.
    Stub,
    /// 4: another area border router, through this area.
    Virtual,
    /// A kind no RFC assigns.
    Unknown(u8),
}

impl RouterLinkKind {
    /// The kind's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::PointToPoint => 1,
            Self::Transit => 2,
            Self::Stub => 3,
            Self::Virtual => 4,
            Self::Unknown(number) => number,
        }
    }
}

impl fmt::Display for RouterLinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PointToPoint => f.pad("point-to-point"),
            Self::Transit => f.pad("transit"),
            Self::Stub => f.pad("stub"),
            Self::Virtual => f.pad("virtual"),
            Self::Unknown(number) => write!(f, "type-{number}"),
        }
    }
}

impl From<u8> for RouterLinkKind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::PointToPoint,
            2 => Self::Transit,
            3 => Self::Stub,
            4 => Self::Virtual,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// The links of a router-LSA in order. Metrics by type of service, which RFC 2328 dropped, are skipped.
#[derive(Clone, Debug)]
pub struct RouterLinks<'a> {
    reader: Reader<'a>,
    left: u16,
}

impl Iterator for RouterLinks<'_> {
    type Item = RouterLink;

    fn next(&mut self) -> Option<RouterLink> {
        let left = self.left.checked_sub(1)?;
        let mut reader = self.reader;
        let id = reader.ipv4().ok()?;
        let data = reader.ipv4().ok()?;
        let kind = reader.u8().ok()?.into();
        let tos_count = usize::from(reader.u8().ok()?);
        let metric = reader.u16().ok()?;
        reader.take(tos_count.checked_mul(4)?).ok()?;
        *self = Self { reader, left };
        Some(RouterLink { kind, id, data, metric })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for RouterLinks<'_> {}

impl PartialEq for RouterLinks<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl Eq for RouterLinks<'_> {}

/// A transit network and the routers adjacent to its designated router (RFC 2328 section A.4.3).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Network Mask                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Attached Router                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkLsa<'a> {
    /// The network's mask.
    pub mask: Ipv4Addr,
    /// The attached routers, the designated router among them.
    pub routers: List<'a, RouterId>,
}

impl<'a> NetworkLsa<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { mask: reader.ipv4()?, routers: List::parse(reader)? })
    }
}

/// A destination in another area: a network (type 3) or an AS boundary router (type 4) (RFC 2328 section A.4.4).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Network Mask                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |      0        |                  metric                       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     TOS       |                TOS  metric                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
///
/// Metrics by type of service are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryLsa {
    /// The network's mask; zero in type 4.
    pub mask: Ipv4Addr,
    /// The cost, 24 bits.
    pub metric: u32,
}

impl SummaryLsa {
    fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let mask = reader.ipv4()?;
        let metric = reader.u32()? & METRIC_MASK;
        whole_elements(reader, 4)?;
        Ok(Self { mask, metric })
    }
}

/// A destination outside the AS (RFC 2328 section A.4.5; RFC 3101).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Network Mask                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |E|     0       |                  metric                       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      Forwarding address                       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      External Route Tag                       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |E|    TOS      |                TOS  metric                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
///
/// Metrics by type of service are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalLsa {
    /// The network's mask.
    pub mask: Ipv4Addr,
    /// Whether the metric is of type 2: larger than any path inside the AS.
    pub type2: bool,
    /// The cost, 24 bits.
    pub metric: u32,
    /// Where to send traffic; 0.0.0.0 for the advertising router itself.
    pub forwarding: Ipv4Addr,
    /// A number for AS boundary routers to talk to each other.
    pub tag: u32,
}

impl ExternalLsa {
    fn parse(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let mask = reader.ipv4()?;
        let metric = reader.u32()?;
        let external = Self {
            mask,
            type2: metric & TYPE2_BIT != 0,
            metric: metric & METRIC_MASK,
            forwarding: reader.ipv4()?,
            tag: reader.u32()?,
        };
        whole_elements(reader, 12)?;
        Ok(external)
    }
}

/// The part of a 32-bit word that is a metric.
const METRIC_MASK: u32 = 0xff_ffff;
/// The bit above a metric that makes it type 2.
const TYPE2_BIT: u32 = 0x8000_0000;

/// The rest of the LSA, which must be aligned to 32 bits (RFC 5250 section 3).
fn opaque(reader: Reader<'_>) -> Result<&[u8], DecodeError> {
    whole_elements(reader, 4)?;
    Ok(reader.rest())
}

/// Checks that what is left divides into elements of `size` bytes.
fn whole_elements(reader: Reader<'_>, size: usize) -> Result<(), DecodeError> {
    let length = reader.rest().len();
    if length.is_multiple_of(size) {
        return Ok(());
    }
    Err(DecodeErrorKind::BadListLength { size, length }.at(reader.at()))
}

/// A whole LSA: header, body, length and checksum.
///
/// A body that would make it longer than [`MAX_LSA`] is cut there, as no packet could carry it. The bodies that this module
/// builds never are.
#[must_use]
pub fn build_lsa(
    options: Options,
    key: LsaKey,
    sequence: SequenceNumber,
    age: u16,
    body: &[u8],
) -> Vec<u8> {
    let body = body.get(..MAX_BODY).unwrap_or(body);
    let length = LSA_HEADER.saturating_add(body.len());
    let mut lsa = Vec::with_capacity(length);
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    LsaHeader { age, options, key, sequence, checksum: 0, length }.encode(&mut lsa);
    lsa.extend_from_slice(body);
    // The age, two bytes, is not covered; the checksum is at byte 16 of the LSA.
    let checksum = checksum::fletcher(lsa.get(2..).unwrap_or_default(), 14);
    if let Some(field) = lsa.get_mut(16..18) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    lsa
}

/// The largest body of an LSA.
const MAX_BODY: usize = MAX_LSA - LSA_HEADER;
/// The most links a router-LSA can hold.
pub const MAX_ROUTER_LINKS: usize = (MAX_BODY - 4) / 12;
/// The most routers a network-LSA can hold.
pub const MAX_NETWORK_ROUTERS: usize = (MAX_BODY - 4) / 4;

/// The body of a router-LSA. Links beyond [`MAX_ROUTER_LINKS`] are left out.
#[must_use]
pub fn router_body(flags: RouterFlags, links: &[RouterLink]) -> Vec<u8> {
    let links = links.get(..MAX_ROUTER_LINKS).unwrap_or(links);
    let count = u16::try_from(links.len()).unwrap_or(u16::MAX);
    let mut body = Vec::with_capacity(links.len().saturating_mul(12).saturating_add(4));
    body.extend_from_slice(&[flags.0, 0]);
    body.extend_from_slice(&count.to_be_bytes());
    for link in links {
        body.extend_from_slice(&link.id.octets());
        body.extend_from_slice(&link.data.octets());
        body.extend_from_slice(&[link.kind.number(), 0]);
        body.extend_from_slice(&link.metric.to_be_bytes());
    }
    body
}

/// The body of a network-LSA. Routers beyond [`MAX_NETWORK_ROUTERS`] are left out.
#[must_use]
pub fn network_body(mask: Ipv4Addr, routers: &[RouterId]) -> Vec<u8> {
    let mut body = mask.octets().to_vec();
    routers.iter().take(MAX_NETWORK_ROUTERS).for_each(|router| router.encode(&mut body));
    body
}

/// The body of a summary-LSA; the metric is cut to 24 bits' worth, [`LS_INFINITY`](super::LS_INFINITY).
#[must_use]
pub fn summary_body(mask: Ipv4Addr, metric: u32) -> Vec<u8> {
    [mask.octets(), metric.min(METRIC_MASK).to_be_bytes()].concat()
}

/// The body of an AS-external-LSA or type-7 LSA; the metric is cut to 24 bits' worth,
/// [`LS_INFINITY`](super::LS_INFINITY).
#[must_use]
pub fn external_body(external: &ExternalLsa) -> Vec<u8> {
    let type2 = if external.type2 { TYPE2_BIT } else { 0 };
    [
        external.mask.octets(),
        (external.metric.min(METRIC_MASK) | type2).to_be_bytes(),
        external.forwarding.octets(),
        external.tag.to_be_bytes(),
    ]
    .concat()
}
