//! Packet codecs: bytes in, small values and borrowed views out, and back again. Pure and total: no input panics, and
//! decoding a packet allocates nothing.
//!
//! | Module | Holds |
//! |---|---|
//! | [`bfd`] | BFD control packets (RFC 5880 section 4) |
//! | [`describe`] | packets as trees of named values, for people and for JSON |
//! | [`error`] | [`DecodeError`]: where a packet is wrong, and what is wrong there |
//! | [`ospf`] | OSPFv2 packets and LSAs (RFC 2328 appendix A) |
//! | [`isis`] | IS-IS PDUs, LSPs and TLVs (ISO 10589 section 9), and their authentication |
//! | [`list`] | [`List`](list::List), fixed-size elements over borrowed bytes |
//! | [`capture`] | pcap and pcapng files, down to IPv4 datagrams and IS-IS PDUs |
//! | [`checksum`] | the Internet checksum (RFC 1071) and the Fletcher checksum of LSAs and LSPs (RFC 905 annex B) |
//!
//! Decoding checks structure: lengths, counts and checksums. What the fields mean is for the engines to judge, so a
//! value no RFC assigns is kept as it is, and an LSA or LSP nobody understands still has bytes that can be flooded.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)
)]

pub mod bfd;
pub mod capture;
pub mod checksum;
pub mod describe;
pub mod error;
mod flags;
pub mod isis;
pub mod list;
pub mod ospf;
mod reader;
mod writer;

pub use error::{DecodeError, DecodeErrorKind};
