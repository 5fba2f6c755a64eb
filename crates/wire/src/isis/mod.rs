//! IS-IS PDUs (ISO 10589 section 9, whose text is RFC 1142; RFC 1195) and the TLVs of RFCs 5301 to 5310, 5120, 5130, 6119,
//! 6213, 6232, 7794, 7981 and 9681.
//!
//! | Module | Holds |
//! |---|---|
//! | [`frame`] | [`Frame`], a PDU in its Ethernet frame |
//! | [`pdu`] | [`Pdu`] and the bodies it can have |
//! | [`lsp`] | [`Lsp`], a view of a whole LSP; [`LspEntry`], an instance of one |
//! | [`tlv`] | [`Tlvs`], the variable part of all PDUs, whoever understands it |
//! | [`tlv_body`] | what TLVs say: [`TlvBody`] |
//! | [`reach`] | links and prefixes, with wide metrics and narrow ones |
//! | [`sub_tlv`] | what is said of a link, a prefix or of flooding in sub-TLVs |
//! | [`build`] | [`TlvBuilder`], which packs TLVs into the room there is |
//! | [`emit`] | finished PDUs, from values and TLVs |
//! | [`auth`] | [`Key`], [`verify`]: passwords and digests |
//! | [`header`] | [`PduType`] |
//! | [`id`] | [`Level`], [`NodeId`], [`LspId`], [`AreaAddress`], [`TopologyId`] |
//! | [`flags`] | [`LspFlags`] and other octets of flags |
//! | [`consts`] | addresses, sizes and limits |
//!
//! Everything decoded borrows the PDU's bytes. Of an LSP only the header is decoded before it is known to be wanted.
//!
//! ```
//! use bugle_wire::isis::{Pdu, PduBody, TlvBody};
//! # fn show(bytes: &[u8]) -> Result<(), bugle_wire::DecodeError> {
//! if let PduBody::Lsp(lsp) = Pdu::parse(bytes)?.body {
//!     for tlv in lsp.tlvs()? {
//!         // A TLV that does not decode is ignored; the LSP around it counts.
//!         if let Ok(TlvBody::ExtendedIpReachability(prefixes)) = tlv.body() {
//!             prefixes.iter().for_each(|reach| println!("{} at {}", reach.prefix, reach.metric));
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! # assert!(show(b"not a PDU").is_err());
//! ```

pub mod auth;
pub mod build;
pub mod consts;
pub mod emit;
pub mod flags;
pub mod frame;
pub mod header;
pub mod id;
pub mod lsp;
pub mod pdu;
pub mod reach;
pub mod sub_tlv;
pub mod tlv;
pub mod tlv_body;

pub use auth::{Algorithm, AuthError, Authentication, Key, KeyError, verify};
pub use bugle_types::SystemId;
pub use build::TlvBuilder;
pub use consts::{
    ALL_ISS, ALL_L1_ISS, ALL_L2_ISS, CSNP_HEADER, IPV6_TE_ROUTER_ID, LAN_HELLO_HEADER,
    LSP_BUFFER_SIZE, LSP_HEADER, MAX_AGE, MAX_LINK_METRIC, MAX_NARROW_METRIC, MAX_PATH_METRIC,
    MAX_PDU, MAX_TLV, NLPID_IPV4, NLPID_IPV6, NLPID_ISIS, P2P_HELLO_HEADER, PSNP_HEADER,
    ZERO_AGE_LIFETIME,
};
pub use emit::{LspFields, emit_csnp, emit_lan_hello, emit_lsp, emit_p2p_hello, emit_psnp};
pub use flags::{CapabilityFlags, FloodingFlags, LspFlags, PrefixFlags, RestartFlags};
pub use frame::{Frame, emit_frame};
pub use header::PduType;
pub use id::{AreaAddress, CircuitType, Level, LspId, NodeId, SequenceNumber, TopologyId};
pub use lsp::{Lsp, LspEntry, LspHeader, Recency, set_lifetime};
pub use pdu::{Csnp, LanHello, LanHelloFields, P2pHello, P2pHelloFields, Pdu, PduBody, Psnp};
pub use reach::{
    NarrowMetrics, NarrowNeighbor, NarrowNeighbors, NarrowPrefix, Neighbor, Neighbors, PrefixReach,
    Prefixes,
};
pub use sub_tlv::{
    Bandwidth, FloodingParameters, LinkAttribute, PrefixAttribute, SubTlv, SubTlvs, Tags,
};
pub use tlv::{Tlv, TlvCode, Tlvs};
pub use tlv_body::{
    AreaAddresses, BfdEnabled, PurgeOriginator, Restart, RouterCapability, ThreeWay,
    ThreeWayNeighbor, ThreeWayState, TlvBody, Topology,
};
