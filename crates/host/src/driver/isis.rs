//! The sockets of IS-IS, one for each circuit.

use std::io;

use bugle_speaker::Input;
use bugle_types::{IfIndex, Mac};

use super::{Driver, PACKETS_PER_TURN};
use crate::engine::Engine;
use crate::isis::{IsisSocket, Received};
use crate::poller::Token;

/// An interface that IS-IS is to be spoken on.
pub(super) struct Circuit {
    mtu: u16,
    /// None if it could not be opened; it is tried again with each PDU to send.
    socket: Option<IsisSocket>,
}

impl<E: Engine + 'static> Driver<E> {
    pub(super) fn open_circuit(&mut self, ifindex: IfIndex, mtu: u16) {
        self.circuits.insert(ifindex, Circuit { mtu, socket: None });
        self.open_isis_socket(ifindex);
    }

    pub(super) fn close_circuit(&mut self, ifindex: IfIndex) {
        self.circuits.remove(&ifindex);
    }

    /// Takes PDUs from an interface's socket.
    pub(super) fn receive_isis(&mut self, ifindex: IfIndex) {
        for _ in 0..PACKETS_PER_TURN {
            // Looked up each time: a PDU can lead to the socket's end.
            let circuit = self.circuits.get(&ifindex);
            let Some(socket) = circuit.and_then(|circuit| circuit.socket.as_ref()) else { return };
            match socket.receive(&mut self.buffer) {
                Ok(Received::Frame(frame)) => {
                    self.counters.received.add_one();
                    let (source, bytes) = (frame.source, frame.payload);
                    let now = self.clock.now();
                    self.engine.handle(now, Input::Isis { ifindex, source, bytes });
                    self.drain();
                }
                Ok(Received::Malformed) => self.counters.malformed.add_one(),
                Ok(Received::Nothing) => return,
                Err(error) => self.receive_failed(ifindex, &error),
            }
        }
    }

    pub(super) fn send_isis(
        &mut self,
        ifindex: IfIndex,
        source: Mac,
        destination: Mac,
        bytes: &[u8],
    ) {
        self.run_forwarding_before_packet();
        if self.circuits.get(&ifindex).is_some_and(|circuit| circuit.socket.is_none()) {
            self.open_isis_socket(ifindex);
        }
        let socket = self.circuits.get(&ifindex).and_then(|circuit| circuit.socket.as_ref());
        let result = match socket {
            Some(socket) => socket.send(source, destination, bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.sent(ifindex, result, || format!("{} bytes", bytes.len()));
    }

    fn open_isis_socket(&mut self, ifindex: IfIndex) {
        let Some(circuit) = self.circuits.get_mut(&ifindex) else { return };
        let attempt = || {
            let socket = IsisSocket::open(ifindex, circuit.mtu.into())?;
            self.poller.add(&socket, Token::Isis(ifindex))?;
            Ok::<_, io::Error>(socket)
        };
        match attempt() {
            Ok(socket) => circuit.socket = Some(socket),
            Err(error) => self.open_failed(ifindex, "IS-IS", &error),
        }
    }
}
