//! The IS-IS codec against PDUs made by hand, by FRR, by attackers and at random.

#![cfg(test)]

mod auth;
mod captures;
#[path = "../codec/common.rs"]
mod common;
mod description;
mod golden;
#[path = "../harness/isis_pdu.rs"]
mod isis_pdu;
mod malformed;
mod roundtrip;
