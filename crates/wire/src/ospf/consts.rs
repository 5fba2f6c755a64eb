//! The architectural constants of RFC 2328 appendix B, and sizes that follow from the formats.

use std::net::Ipv4Addr;

/// OSPF's IP protocol number.
pub const PROTOCOL: u8 = 89;
/// The group of all OSPF routers.
pub const ALL_SPF_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 5);
/// The group of the designated router and its backup.
pub const ALL_D_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 6);

/// The age in seconds at which an LSA is flushed (RFC 2328 appendix B).
pub const MAX_AGE: u16 = 3600;
/// Ages further apart than this, in seconds, belong to different instances (RFC 2328 appendix B).
pub const MAX_AGE_DIFF: u16 = 900;
/// An LSA is originated anew when it reaches this age in seconds (RFC 2328 appendix B).
pub const LS_REFRESH_TIME: u16 = 1800;
/// An LSA's checksum is verified every time its age passes a multiple of this, in seconds (RFC 2328 appendix B).
pub const CHECK_AGE: u16 = 300;
/// The metric of a destination that cannot be reached (RFC 2328 appendix B).
pub const LS_INFINITY: u32 = 0xff_ffff;
/// The bit of an LSA's age that stops it from ageing (RFC 1793 appendix C).
pub const DO_NOT_AGE: u16 = 0x8000;

/// The size of the header that begins every packet, in bytes.
pub const PACKET_HEADER: usize = 24;
/// The size of the header that begins every LSA, in bytes.
pub const LSA_HEADER: usize = 20;
/// The largest packet that fits an IP datagram, in bytes.
pub const MAX_PACKET: usize = 65_515;
/// The largest LSA that fits a Link State Update, in bytes.
pub const MAX_LSA: usize = 65_487;
