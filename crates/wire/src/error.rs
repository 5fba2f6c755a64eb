//! What can be wrong with a packet.

use thiserror::Error;

/// A packet that cannot be decoded: what is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[error("at byte {at}: {kind}")]
pub struct DecodeError {
    /// The offset in bytes of the offending field from the start of what was decoded: the packet, or the LSA where an LSA
    /// is decoded by itself.
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
}

impl DecodeErrorKind {
    /// The name of the counter of packets dropped for this reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::BadVersion(_) => "bad_version",
            Self::UnknownPacketType(_) => "unknown_packet_type",
            Self::BadLength { .. } => "bad_length",
            Self::BadChecksum => "bad_checksum",
            Self::BadListLength { .. } => "bad_list_length",
            Self::BadLsaLength { .. } => "bad_lsa_length",
            Self::BadLsaCount { .. } => "bad_lsa_count",
            Self::BadLinkCount { .. } => "bad_link_count",
            Self::TrailingBytes(_) => "trailing_bytes",
            Self::LsTypeOutOfRange(_) => "ls_type_out_of_range",
            Self::UnknownLsType(_) => "unknown_ls_type",
        }
    }

    /// This error at a place.
    pub(crate) const fn at(self, at: usize) -> DecodeError {
        DecodeError { at, kind: self }
    }
}
