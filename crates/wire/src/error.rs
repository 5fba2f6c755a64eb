//! What can be wrong with a packet.

use thiserror::Error;

/// A packet that cannot be decoded: what is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[error("at byte {at}: {kind}")]
pub struct DecodeError {
    /// The offset in bytes of the offending field from the start of what was decoded: the packet, or the LSA where an LSA
    /// is decoded by itself. An IS-IS TLV is decoded as a part of its PDU.
    pub at: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a packet. Each kind is counted under its [`name`](Self::name).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum DecodeErrorKind {
    /// The bytes end inside a field.
    #[error("{need} bytes needed, {have} left")]
    Truncated {
        /// The size of the field in bytes.
        need: usize,
        /// The bytes left.
        have: usize,
    },
    /// The version is not 2.
    #[error("OSPF version {0}, not 2")]
    BadVersion(u8),
    /// The packet type is none of RFC 2328's five.
    #[error("unknown packet type {0}")]
    UnknownPacketType(u8),
    /// The header's packet length is shorter than the header or longer than what arrived.
    #[error("packet length {length}, but {have} bytes arrived")]
    BadLength {
        /// The length the header states.
        length: usize,
        /// The length of the IP payload.
        have: usize,
    },
    /// The packet's checksum is wrong.
    #[error("wrong packet checksum")]
    BadChecksum,
    /// A list is not a whole number of elements long.
    #[error("a list of {size}-byte elements is {length} bytes long")]
    BadListLength {
        /// The size of an element in bytes.
        size: usize,
        /// The length of the list in bytes.
        length: usize,
    },
    /// An LSA's length is shorter than its header or does not fit the bytes that hold it.
    #[error("LSA length {length}, but {have} bytes are left")]
    BadLsaLength {
        /// The length the LSA's header states.
        length: usize,
        /// The bytes left for it.
        have: usize,
    },
    /// A Link State Update holds fewer LSAs than it states.
    #[error("{stated} LSAs stated, {found} found")]
    BadLsaCount {
        /// The number of LSAs stated.
        stated: u32,
        /// The number of whole LSAs found.
        found: u32,
    },
    /// A router-LSA holds fewer links than it states.
    #[error("{stated} links stated, {found} found")]
    BadLinkCount {
        /// The number of links stated.
        stated: u16,
        /// The number of whole links found.
        found: u16,
    },
    /// Bytes follow where the last element should have ended.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// An LS type that does not fit the LSA header's eight bits was requested.
    #[error("LS type {0} is above 255")]
    LsTypeOutOfRange(u32),
    /// The body of an LSA of this type cannot be decoded; the LSA can still be flooded.
    #[error("unknown LS type {0}")]
    UnknownLsType(u8),
    /// The first octet of an IS-IS PDU is another protocol's.
    #[error("network layer protocol {0:#04x}, not IS-IS")]
    NotIsis(u8),
    /// A version of an IS-IS PDU is not 1.
    #[error("IS-IS version {0}, not 1")]
    BadIsisVersion(u8),
    /// System IDs have another length than six octets.
    #[error("system IDs of {0} octets, not 6")]
    BadIdLength(u8),
    /// The length indicator of an IS-IS PDU is not that of its type.
    #[error("a header of {length} bytes, not {expected}")]
    BadHeaderLength {
        /// The length stated.
        length: u8,
        /// The length of a header of this type.
        expected: u8,
    },
    /// A TLV is longer than what holds it.
    #[error("TLV {code} of {length} bytes, but {have} are left")]
    BadTlvLength {
        /// The TLV's code.
        code: u8,
        /// The length it states for its value.
        length: u8,
        /// The bytes left.
        have: usize,
    },
    /// A purge originator TLV names neither one system nor two.
    #[error("{0} systems, not 1 or 2")]
    BadSystemCount(u8),
    /// An area address is empty or longer than 13 octets.
    #[error("an area address of {0} octets")]
    BadAreaLength(u8),
    /// A prefix is longer than an address.
    #[error("a prefix of {0} bits")]
    BadPrefixLength(u8),
    /// A multi-topology TLV names the standard topology (RFC 5120 section 7).
    #[error("the standard topology in a multi-topology TLV")]
    StandardTopology,
    /// A frame is neither 802.3 nor of the type for large PDUs.
    #[error("Ethertype {0:#06x}")]
    BadEthertype(u16),
    /// A frame's logical link control is not that of OSI network protocols.
    #[error("LLC {0:#04x} {1:#04x} {2:#04x}")]
    BadLlc(u8, u8, u8),
}

impl DecodeErrorKind {
    /// The name of the counter of packets dropped for this reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::BadVersion(_) => "bad-version",
            Self::UnknownPacketType(_) => "unknown-packet-type",
            Self::BadLength { .. } => "bad-length",
            Self::BadChecksum => "bad-checksum",
            Self::BadListLength { .. } => "bad-list-length",
            Self::BadLsaLength { .. } => "bad-lsa-length",
            Self::BadLsaCount { .. } => "bad-lsa-count",
            Self::BadLinkCount { .. } => "bad-link-count",
            Self::TrailingBytes(_) => "trailing-bytes",
            Self::LsTypeOutOfRange(_) => "ls-type-out-of-range",
            Self::UnknownLsType(_) => "unknown-ls-type",
            Self::NotIsis(_) => "not-isis",
            Self::BadIsisVersion(_) => "bad-isis-version",
            Self::BadIdLength(_) => "bad-id-length",
            Self::BadHeaderLength { .. } => "bad-header-length",
            Self::BadTlvLength { .. } => "bad-tlv-length",
            Self::BadSystemCount(_) => "bad-system-count",
            Self::BadAreaLength(_) => "bad-area-length",
            Self::BadPrefixLength(_) => "bad-prefix-length",
            Self::StandardTopology => "standard-topology",
            Self::BadEthertype(_) => "bad-ethertype",
            Self::BadLlc(..) => "bad-llc",
        }
    }

    /// This error at a place.
    pub(crate) const fn at(self, at: usize) -> DecodeError {
        DecodeError { at, kind: self }
    }
}
