//! The codec against packets made by hand, by FRR and BIRD, by attackers and at random.

#![cfg(test)]

#[path = "../harness/capture.rs"]
mod capture_file;
mod capture_files;
mod captures;
mod common;
mod description;
mod golden;
mod malformed;
#[path = "../harness/ospf_packet.rs"]
mod ospf_packet;
mod roundtrip;
