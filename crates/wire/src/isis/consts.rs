//! Addresses, sizes and limits (ISO 10589 sections 7.5.3 and 9; RFC 1195 section 5.3).

use bugle_types::Mac;

/// The first octet of every IS-IS PDU: the intradomain routeing protocol discriminator (ISO/IEC TR 9577).
pub const NLPID_ISIS: u8 = 0x83;
/// The network layer protocol identifier of IPv4 (RFC 1195 section 5.3.1).
pub const NLPID_IPV4: u8 = 0xcc;
/// The network layer protocol identifier of IPv6 (RFC 5308 section 4).
pub const NLPID_IPV6: u8 = 0x8e;

/// All level 1 intermediate systems.
pub const ALL_L1_ISS: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x14]);
/// All level 2 intermediate systems.
pub const ALL_L2_ISS: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x15]);
/// All intermediate systems, on point-to-point circuits over Ethernet (RFC 5309 section 4.1).
pub const ALL_ISS: Mac = Mac([0x09, 0x00, 0x2b, 0x00, 0x00, 0x05]);

/// The size of an LSP's fixed header, in bytes.
pub const LSP_HEADER: usize = 27;
/// The size of the fixed header of a Hello on a LAN, in bytes.
pub const LAN_HELLO_HEADER: usize = 27;
/// The size of the fixed header of a Hello on a point-to-point circuit, in bytes.
pub const P2P_HELLO_HEADER: usize = 20;
/// The size of the fixed header of a Complete Sequence Numbers PDU, in bytes.
pub const CSNP_HEADER: usize = 33;
/// The size of the fixed header of a Partial Sequence Numbers PDU, in bytes.
pub const PSNP_HEADER: usize = 17;

/// The IPv6 TE router ID among the sub-TLVs of a router capability (RFC 5316 section 3.4.2).
pub const IPV6_TE_ROUTER_ID: u8 = 12;

/// The largest PDU that its length field can state, in bytes.
pub const MAX_PDU: usize = 0xffff;
/// The largest value of a TLV, in bytes.
pub const MAX_TLV: usize = 255;
/// The LSP size that every system must take, in bytes (`ReceiveLSPBufferSize`).
pub const LSP_BUFFER_SIZE: u16 = 1492;

/// Seconds an LSP lives after it is generated (`MaxAge`).
pub const MAX_AGE: u16 = 1200;
/// Seconds the header of an expired LSP is kept (`ZeroAgeLifetime`).
pub const ZERO_AGE_LIFETIME: u16 = 60;
/// The largest metric of a narrow link (ISO 10589 section 7.2.2).
pub const MAX_NARROW_METRIC: u8 = 63;
/// The largest metric of a wide link. A link that has it is not used by SPF (RFC 5305 section 3).
pub const MAX_LINK_METRIC: u32 = 0xff_ffff;
/// The largest metric of a path. A prefix with a larger one is not used by SPF (RFC 5305 section 4).
pub const MAX_PATH_METRIC: u32 = 0xfe00_0000;
