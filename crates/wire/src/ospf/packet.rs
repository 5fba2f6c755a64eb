//! OSPF packets (RFC 2328 section A.3).

use std::fmt;
use std::net::Ipv4Addr;

use bugle_types::{AreaId, RouterId};

use super::lls::Lls;
use super::lsa::{Lsa, LsaHeader, LsaKey};
use super::{DdFlags, Element, List, Options, PACKET_HEADER};
use crate::checksum;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// A decoded packet, borrowing the bytes it came from.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |   Version 2   |     Type      |         Packet length         |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          Router ID                            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                           Area ID                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |           Checksum            |             AuType            |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                       Authentication                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                       Authentication                          |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          the body, by type; the packet length ends here       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          the digest, if authentication is cryptographic       |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          the LLS block, if the options have L                 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it, for which area, and how it is authenticated.
    pub header: Header,
    /// What it says.
    pub body: Body<'a>,
    /// The link-local signalling of a Hello or Database Description packet. A damaged block counts as none
    /// (RFC 5613 section 2.2).
    pub lls: Option<Lls<'a>>,
    /// The digest of cryptographic authentication, not verified here; else empty.
    pub digest: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Decodes the payload of an IP datagram of protocol 89.
    ///
    /// The checksum is verified where one is used: not with cryptographic authentication, nor with an unknown one. Bytes that
    /// follow the packet and belong to nothing are link-layer padding, and are ignored.
    ///
    /// # Errors
    /// When the packet does not have the structure of its type, or its checksum is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::parse_with(bytes, |head, contents| checksum::internet(&[head, contents]) == 0)
    }

    /// Decodes as [`parse`](Self::parse) does, but a packet whose checksum is wrong too: for looking at, not for believing.
    ///
    /// # Errors
    /// When the packet does not have the structure of its type.
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::parse_with(bytes, |_, _| true)
    }

    /// `verify` is given what a checksum covers: the header before the authentication field, and what follows that.
    fn parse_with(
        bytes: &'a [u8],
        verify: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, 0);
        let (header, packet_type, length) = Header::read(&mut reader)?;
        let at = reader.at();
        // Never out of range: `Header::read` has read its bytes and checked the length against what arrived.
        let (packet, following) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        let (head, contents) = packet.split_at_checked(at).unwrap_or((packet, &[]));
        let covered = head.get(..AUTHENTICATION_AT).unwrap_or_default();
        if header.auth.is_checksummed() && !verify(covered, contents) {
            return Err(DecodeErrorKind::BadChecksum.at(CHECKSUM_AT));
        }
        let body = Body::parse(packet_type, Reader::new(contents, at))?;
        let mut trailer = Reader::new(following, length);
        let digest = trailer.take(header.auth.digest_length())?;
        let lls = if body.has_lls() {
            Lls::parse(trailer.rest(), header.auth.is_checksummed())
        } else {
            None
        };
        Ok(Self { header, body, lls, digest })
    }
}

/// The offsets of fields in the packet's header.
pub(super) const LENGTH_AT: usize = 2;
pub(super) const CHECKSUM_AT: usize = 12;
pub(super) const AUTHENTICATION_AT: usize = 16;

/// The version this codec speaks.
pub(super) const VERSION: u8 = 2;

/// The header's fields that do not follow from the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender.
    pub router_id: RouterId,
    /// The area the packet belongs to.
    pub area: AreaId,
    /// How the packet is authenticated.
    pub auth: Auth,
}

impl Header {
    /// Reads a header; returns with it the packet's type and its length in bytes, which is at least the header's and at most
    /// what there is.
    fn read(reader: &mut Reader<'_>) -> Result<(Self, PacketType, usize), DecodeError> {
        let have = reader.rest().len();
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeErrorKind::BadVersion(version).at(0));
        }
        let number = reader.u8()?;
        let packet_type = PacketType::from_number(number)
            .ok_or_else(|| DecodeErrorKind::UnknownPacketType(number).at(1))?;
        let length = usize::from(reader.u16()?);
        let router_id = RouterId(reader.u32()?);
        let area = AreaId(reader.u32()?);
        let _checksum = reader.u16()?;
        let auth_type = reader.u16()?;
        let auth = Auth::from_wire(auth_type, *reader.array()?);
        if length < PACKET_HEADER || length > have {
            return Err(DecodeErrorKind::BadLength { length, have }.at(LENGTH_AT));
        }
        Ok((Self { router_id, area, auth }, packet_type, length))
    }
}

/// How a packet is authenticated (RFC 2328 appendix D).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    Null,
    /// By a password in the clear.
    Simple([u8; 8]),
    /// By a keyed digest after the packet (RFC 2328 section D.3, RFC 5709).
    ///
    /// ```text
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// |              0                |    Key ID     | Digest length |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// |                 Cryptographic sequence number                 |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// ```
    Cryptographic {
        /// Which of the keys shared on the link.
        key_id: u8,
        /// The digest's length in bytes.
        length: u8,
        /// A number that never falls, against replay.
        sequence: u32,
    },
    /// In a way no RFC assigns to this number.
    Unknown(u16),
}

impl Auth {
    const fn from_wire(auth_type: u16, field: [u8; 8]) -> Self {
        match auth_type {
            0 => Self::Null,
            1 => Self::Simple(field),
            2 => {
                let [_, _, key_id, length, s0, s1, s2, s3] = field;
                let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
                Self::Cryptographic { key_id, length, sequence }
            }
            unknown => Self::Unknown(unknown),
        }
    }

    /// The type's number, and the 64-bit field.
    pub(super) const fn to_wire(self) -> (u16, [u8; 8]) {
        match self {
            Self::Null => (0, [0; 8]),
            Self::Simple(password) => (1, password),
            Self::Cryptographic { key_id, length, sequence } => {
                let [s0, s1, s2, s3] = sequence.to_be_bytes();
                (2, [0, 0, key_id, length, s0, s1, s2, s3])
            }
            Self::Unknown(auth_type) => (auth_type, [0; 8]),
        }
    }

    /// Whether the packet's checksum is used (RFC 2328 section D.4).
    pub(super) const fn is_checksummed(self) -> bool {
        matches!(self, Self::Null | Self::Simple(_))
    }

    fn digest_length(self) -> usize {
        match self {
            Self::Cryptographic { length, .. } => usize::from(length),
            Self::Null | Self::Simple(_) | Self::Unknown(_) => 0,
        }
    }
}

impl fmt::Debug for Auth {
    /// Leaves the password out, so that no log shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Simple(_) => f.write_str("Simple"),
            Self::Cryptographic { key_id, length, sequence } => f
                .debug_struct("Cryptographic")
                .field("key_id", key_id)
                .field("length", length)
                .field("sequence", sequence)
                .finish(),
            Self::Unknown(auth_type) => f.debug_tuple("Unknown").field(auth_type).finish(),
        }
    }
}

/// The type of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PacketType {
    /// Finds neighbours and keeps them.
    Hello = 1,
    /// Tells a neighbour what is in the database.
    DatabaseDescription = 2,
    /// Asks a neighbour for LSAs.
    LinkStateRequest = 3,
    /// Floods LSAs.
    LinkStateUpdate = 4,
    /// Acknowledges flooded LSAs.
    LinkStateAck = 5,
}

impl PacketType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Hello,
        Self::DatabaseDescription,
        Self::LinkStateRequest,
        Self::LinkStateUpdate,
        Self::LinkStateAck,
    ];

    /// The type of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|packet_type| packet_type.number() == number)
    }

    /// The type's number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::DatabaseDescription => 2,
            Self::LinkStateRequest => 3,
            Self::LinkStateUpdate => 4,
            Self::LinkStateAck => 5,
        }
    }

    /// The type's name, for people and for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::DatabaseDescription => "database-description",
            Self::LinkStateRequest => "link-state-request",
            Self::LinkStateUpdate => "link-state-update",
            Self::LinkStateAck => "link-state-ack",
        }
    }
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Type 1.
    Hello(Hello<'a>),
    /// Type 2.
    DatabaseDescription(DatabaseDescription<'a>),
    /// Type 3.
    LinkStateRequest(LinkStateRequest<'a>),
    /// Type 4.
    LinkStateUpdate(LinkStateUpdate<'a>),
    /// Type 5.
    LinkStateAck(LinkStateAck<'a>),
}

impl<'a> Body<'a> {
    fn parse(packet_type: PacketType, reader: Reader<'a>) -> Result<Self, DecodeError> {
        match packet_type {
            PacketType::Hello => Hello::parse(reader).map(Self::Hello),
            PacketType::DatabaseDescription => {
                DatabaseDescription::parse(reader).map(Self::DatabaseDescription)
            }
            PacketType::LinkStateRequest => {
                LinkStateRequest::parse(reader).map(Self::LinkStateRequest)
            }
            PacketType::LinkStateUpdate => {
                LinkStateUpdate::parse(reader).map(Self::LinkStateUpdate)
            }
            PacketType::LinkStateAck => {
                List::parse(reader).map(|headers| Self::LinkStateAck(LinkStateAck { headers }))
            }
        }
    }

    /// The packet's type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Hello(_) => PacketType::Hello,
            Self::DatabaseDescription(_) => PacketType::DatabaseDescription,
            Self::LinkStateRequest(_) => PacketType::LinkStateRequest,
            Self::LinkStateUpdate(_) => PacketType::LinkStateUpdate,
            Self::LinkStateAck(_) => PacketType::LinkStateAck,
        }
    }

    const fn has_lls(&self) -> bool {
        match self {
            Self::Hello(Hello { fields: HelloFields { options, .. }, .. })
            | Self::DatabaseDescription(DatabaseDescription { options, .. }) => {
                options.contains(Options::L)
            }
            Self::LinkStateRequest(_) | Self::LinkStateUpdate(_) | Self::LinkStateAck(_) => false,
        }
    }
}

/// Finds neighbours and keeps them (RFC 2328 section A.3.2).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                        Network Mask                           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         HelloInterval         |    Options    |    Rtr Pri    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     RouterDeadInterval                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      Designated Router                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                   Backup Designated Router                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          Neighbor                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// What the sender says of itself and its interface.
    pub fields: HelloFields,
    /// The routers the sender has heard.
    pub neighbors: List<'a, RouterId>,
}

/// The part of a Hello that has a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloFields {
    /// The mask of the sender's interface.
    pub mask: Ipv4Addr,
    /// Seconds between Hellos; FRR sends 0 for intervals below a second.
    pub hello_interval: u16,
    /// What the sender is capable of.
    pub options: Options,
    /// The sender's rank in the election of the designated router; 0 stays out of it.
    pub priority: u8,
    /// Seconds of silence after which the sender is to be given up.
    pub dead_interval: u32,
    /// The designated router's address as the sender sees it, or 0.0.0.0.
    pub dr: Ipv4Addr,
    /// The backup designated router's address as the sender sees it, or 0.0.0.0.
    pub bdr: Ipv4Addr,
}

impl<'a> Hello<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let fields = HelloFields {
            mask: reader.ipv4()?,
            hello_interval: reader.u16()?,
            options: Options(reader.u8()?),
            priority: reader.u8()?,
            dead_interval: reader.u32()?,
            dr: reader.ipv4()?,
            bdr: reader.ipv4()?,
        };
        Ok(Self { fields, neighbors: List::parse(reader)? })
    }
}

/// Tells a neighbour what is in the database (RFC 2328 section A.3.3).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |         Interface MTU         |    Options    |0|0|0|0|R|I|M|MS
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     DD sequence number                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      LSA headers  ...                         |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseDescription<'a> {
    /// The largest IP datagram the sender's interface takes unfragmented, in bytes; 0 on virtual links.
    pub mtu: u16,
    /// What the sender is capable of.
    pub options: Options,
    /// Where the packet stands in the exchange.
    pub flags: DdFlags,
    /// The packet's number in the exchange.
    pub sequence: u32,
    /// A part of the sender's database.
    pub headers: List<'a, LsaHeader>,
}

impl<'a> DatabaseDescription<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            mtu: reader.u16()?,
            options: Options(reader.u8()?),
            flags: DdFlags(reader.u8()?),
            sequence: reader.u32()?,
            headers: List::parse(reader)?,
        })
    }
}

/// Asks a neighbour for LSAs (RFC 2328 section A.3.4).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          LS type                              |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                       Link State ID                           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                     Advertising Router                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              ...                              |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStateRequest<'a> {
    /// The LSAs asked for.
    pub requests: List<'a, LsaKey>,
}

impl<'a> LinkStateRequest<'a> {
    fn parse(reader: Reader<'a>) -> Result<Self, DecodeError> {
        let requests = List::parse(reader)?;
        // A key can be impossible; finding that out here is what lets the list's iterator never fail.
        let mut keys = reader;
        while !keys.rest().is_empty() {
            let at = keys.at();
            LsaKey::decode(keys.take(LsaKey::SIZE)?).map_err(|error| error.kind.at(at))?;
        }
        Ok(Self { requests })
    }
}

/// Floods LSAs (RFC 2328 section A.3.5).
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                            # LSAs                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                          LSAs  ...                            |
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinkStateUpdate<'a> {
    lsas: Reader<'a>,
    count: u32,
}

impl<'a> LinkStateUpdate<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let count_at = reader.at();
        let count = reader.u32()?;
        // Walking the LSAs once here is what lets the iterator never fail. A stated count costs no more than the bytes that
        // came, however large it is.
        let mut walk = reader;
        for found in 0..count {
            if walk.rest().is_empty() {
                return Err(DecodeErrorKind::BadLsaCount { stated: count, found }.at(count_at));
            }
            Lsa::read(&mut walk)?;
        }
        match walk.rest().len() {
            0 => Ok(Self { lsas: reader, count }),
            rest => Err(DecodeErrorKind::TrailingBytes(rest).at(walk.at())),
        }
    }

    /// The number of LSAs.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Whether there is no LSA.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The LSAs in order.
    #[must_use]
    pub const fn lsas(&self) -> Lsas<'a> {
        Lsas(self.lsas)
    }
}

impl PartialEq for LinkStateUpdate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.lsas().eq(other.lsas())
    }
}

impl Eq for LinkStateUpdate<'_> {}

/// The LSAs of a Link State Update.
#[derive(Clone, Debug)]
pub struct Lsas<'a>(Reader<'a>);

impl<'a> Iterator for Lsas<'a> {
    type Item = Lsa<'a>;

    fn next(&mut self) -> Option<Lsa<'a>> {
        Lsa::read(&mut self.0).ok()
    }
}

/// Acknowledges flooded LSAs (RFC 2328 section A.3.6): nothing but LSA headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStateAck<'a> {
    /// The instances acknowledged.
    pub headers: List<'a, LsaHeader>,
}
