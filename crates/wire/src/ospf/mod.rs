//! OSPF version 2 packets (RFC 2328 appendix A, with RFC 3101, 5250 and 5613).
//!
//! | Module | Holds |
//! |---|---|
//! | [`packet`] | [`Packet`] and the five bodies it can have |
//! | [`lsa`] | [`LsaKey`], [`LsaHeader`] and [`Lsa`], a view of a whole LSA |
//! | [`lsa_body`] | what LSAs say: [`LsaBody`]; and [`build_lsa`] |
//! | [`emit`] | finished packets, from values and iterators |
//! | [`consts`] | the architectural constants of RFC 2328 appendix B |
//! | [`flags`] | [`Options`], [`DdFlags`], [`RouterFlags`] |
//! | [`lls`] | [`Lls`], the link-local signalling block |
//! | [`tlv`] | [`Tlvs`], type-length-value triplets |
//!
//! Everything decoded borrows the packet's bytes. Everything emitted is a finished packet.

pub mod consts;
pub mod emit;
pub mod flags;
pub mod lls;
pub mod lsa;
pub mod lsa_body;
pub mod packet;
pub mod tlv;

pub use crate::list::{Element, List};
pub use consts::{
    ALL_D_ROUTERS, ALL_SPF_ROUTERS, CHECK_AGE, DO_NOT_AGE, LS_INFINITY, LS_REFRESH_TIME,
    LSA_HEADER, MAX_AGE, MAX_AGE_DIFF, MAX_LSA, MAX_PACKET, PACKET_HEADER, PROTOCOL,
};
pub use emit::{
    UpdateBuilder, emit_database_description, emit_hello, emit_link_state_ack,
    emit_link_state_request,
};
pub use flags::{DdFlags, Options, RouterFlags};
pub use lls::Lls;
pub use lsa::{Lsa, LsaHeader, LsaKey, LsaType, SequenceNumber};
pub use lsa_body::{
    ExternalLsa, LsaBody, MAX_NETWORK_ROUTERS, MAX_ROUTER_LINKS, NetworkLsa, RouterLink,
    RouterLinkKind, RouterLinks, RouterLsa, SummaryLsa, build_lsa, external_body, network_body,
    router_body, summary_body,
};
pub use packet::{
    Auth, Body, DatabaseDescription, Header, Hello, HelloFields, LinkStateAck, LinkStateRequest,
    LinkStateUpdate, Lsas, Packet, PacketType,
};
pub use tlv::{Tlv, Tlvs};
