//! Sessions against a scripted remote system, and against each other over a network in virtual time.

#![cfg(test)]

mod authentication;
mod clients;
mod demultiplexing;
mod echo;
mod negotiation;
mod properties;
mod solo;
mod states;
mod world;
