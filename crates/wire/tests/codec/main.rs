//! The codec against packets made by hand, by FRR and BIRD, by attackers and at random.

#![cfg(test)]

mod captures;
mod common;
mod golden;
mod malformed;
#[path = "../harness/ospf_packet.rs"]
mod ospf_packet;
mod roundtrip;
