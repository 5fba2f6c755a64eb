//! A synthetic IS-IS neighbour: one adjacency of level 2 on a point-to-point circuit, and the LSPs of an area to flood over it.
//!
//! It speaks ISO 10589 and RFC 5303 as far as a benchmark needs: it acknowledges every LSP at once, and repeats what is not
//! acknowledged. It keeps nothing of what it is told.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bugle_types::{Mac, SystemId};
use bugle_wire::isis::frame::Frame;
use bugle_wire::isis::{
    ALL_ISS, CircuitType, Level, LspEntry, LspId, NodeId, P2pHello, P2pHelloFields, Pdu, PduBody,
    ThreeWay, ThreeWayNeighbor, ThreeWayState, TlvBody, TlvBuilder, Tlvs, emit_frame,
    emit_p2p_hello, emit_psnp,
};
use nix::libc;
use nix::sys::socket::{LinkAddr, bind, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::speaker::{RECEIVE_BUFFER, Speak, Speaker, pace};
use crate::area::isis::IPV4;
use crate::area::{Area, KeyedLsp};
use crate::error::{LabError, Result};
use crate::lab::Port;

/// Seconds between Hellos, and those after which the neighbour gives up.
const HELLO: Duration = Duration::from_secs(1);
const HOLDING: u16 = 10;

/// What is not acknowledged for so long is sent again: FRR takes two seconds.
const RETRANSMIT: Duration = Duration::from_secs(4);

/// The most bytes of TLVs.
const ROOM: usize = 1400;

/// The number that this end gives the circuit.
const CIRCUIT: u32 = 1;

/// A neighbour for a router under test.
#[derive(Debug)]
pub struct SyntheticIsis {
    shared: Speaker<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: Socket,
    mac: Mac,
    address: Ipv4Addr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    database: BTreeMap<LspId, Vec<u8>>,
    adjacency: ThreeWayState,
    neighbor: Option<ThreeWayNeighbor>,
    started: Option<Instant>,
    unacknowledged: BTreeMap<LspId, Instant>,
    hello_due: Instant,
}

impl SyntheticIsis {
    /// Starts to speak on `port` as system 0 of `area`, whose neighbour is `tested`.
    ///
    /// # Errors
    /// If the kernel refuses the socket.
    pub fn start(port: &Port, area: &Area, tested: SystemId) -> Result<Self> {
        let (socket, mac) = port
            .node
            .enter(|| open(&port.interface))?
            .map_err(LabError::io(format!("speaking IS-IS on {}", port.interface)))?;
        let state = State {
            database: area.lsps(tested).collect(),
            adjacency: ThreeWayState::Down,
            neighbor: None,
            started: None,
            unacknowledged: BTreeMap::new(),
            hello_due: Instant::now(),
        };
        let shared =
            Speaker::start(Shared { socket, mac, address: port.address, state: Mutex::new(state) });
        Ok(Self { shared })
    }

    /// When the first LSP of the present adjacency was sent.
    #[must_use]
    pub fn started(&self) -> Option<Instant> {
        self.shared.state().started
    }

    /// Puts LSPs into the database and floods them.
    pub fn flood(&self, lsps: Vec<KeyedLsp>) {
        let mut state = self.shared.state();
        let ids: Vec<LspId> = lsps.iter().map(|(id, _)| *id).collect();
        state.database.extend(lsps);
        self.shared.send_lsps(&mut state, &ids);
    }

    /// How many flooded LSPs the neighbour has not acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.shared.state().unacknowledged.len()
    }
}

impl Speak for Shared {
    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn tick(&self) {
        self.timers(&mut self.state());
    }

    fn take(&self, bytes: &[u8]) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        let Ok(pdu) = Pdu::parse(frame.payload) else { return };
        if frame.source == self.mac {
            return;
        }
        let mut state = self.state();
        match &pdu.body {
            PduBody::P2pHello(hello) => self.hello(&mut state, hello),
            PduBody::Lsp(lsp) => {
                let mut tlvs = TlvBuilder::new(ROOM);
                tlvs.lsp_entry(lsp.header().entry);
                let source = NodeId::of_system(Area::system_id(0));
                self.send(&emit_psnp(Level::L2, source, tlvs.bytes(), None));
            }
            PduBody::Psnp(psnp) => state.acknowledged(psnp.tlvs),
            PduBody::Csnp(csnp) => state.acknowledged(csnp.tlvs),
            PduBody::LanHello(_) => {}
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// RFC 5303 section 3.2.
    fn hello(&self, state: &mut State, hello: &P2pHello<'_>) {
        let three_way = hello.tlvs.into_iter().find_map(|tlv| match tlv.body() {
            Ok(TlvBody::ThreeWay(three_way)) => Some(three_way),
            Ok(_) | Err(_) => None,
        });
        let Some(theirs) = three_way else { return };
        let system = hello.fields.source;
        state.neighbor = Some(ThreeWayNeighbor { system, circuit: theirs.circuit });
        let heard_us = theirs.neighbor.is_some_and(|n| n.system == Area::system_id(0));
        let adjacency = match theirs.state {
            ThreeWayState::Initializing | ThreeWayState::Up if heard_us => ThreeWayState::Up,
            ThreeWayState::Initializing
            | ThreeWayState::Up
            | ThreeWayState::Down
            | ThreeWayState::Unknown(_) => ThreeWayState::Initializing,
        };
        if adjacency == state.adjacency {
            return;
        }
        state.adjacency = adjacency;
        self.send_hello(state);
        state.unacknowledged.clear();
        if adjacency == ThreeWayState::Up {
            state.started = Some(Instant::now());
            let ids: Vec<LspId> = state.database.keys().copied().collect();
            self.send_lsps(state, &ids);
        }
    }

    fn timers(&self, state: &mut State) {
        let now = Instant::now();
        if now >= state.hello_due {
            self.send_hello(state);
        }
        let late = state.unacknowledged.iter().filter(|(_, at)| **at + RETRANSMIT <= now);
        let late: Vec<LspId> = late.map(|(id, _)| *id).collect();
        self.send_lsps(state, &late);
    }

    fn send_hello(&self, state: &mut State) {
        state.hello_due = Instant::now() + HELLO;
        let mut tlvs = TlvBuilder::new(ROOM);
        if let Ok(area) = "49.0001".parse() {
            tlvs.area_address(&area);
        }
        tlvs.protocol(IPV4);
        tlvs.ipv4_interface_address(self.address);
        let (circuit, neighbor) = (Some(CIRCUIT), state.neighbor);
        tlvs.three_way(&ThreeWay { state: state.adjacency, circuit, neighbor });
        let fields = P2pHelloFields {
            circuit_type: CircuitType::L2,
            source: Area::system_id(0),
            holding_time: HOLDING,
            circuit_id: 1,
        };
        self.send(&emit_p2p_hello(&fields, tlvs.bytes(), None));
    }

    fn send_lsps(&self, state: &mut State, ids: &[LspId]) {
        for (number, id) in (1..).zip(ids) {
            let Some(bytes) = state.database.get(id) else { continue };
            state.unacknowledged.insert(*id, Instant::now());
            self.send(bytes);
            pace(number);
        }
    }

    fn send(&self, pdu: &[u8]) {
        // A frame that the kernel refuses is lost, as on any link; what matters is repeated.
        let _ = (&self.socket).write(&emit_frame(ALL_ISS, self.mac, pdu));
    }
}

impl State {
    /// What the neighbour lists it has.
    fn acknowledged(&mut self, tlvs: Tlvs<'_>) {
        for tlv in tlvs {
            let Ok(TlvBody::LspEntries(entries)) = tlv.body() else { continue };
            for LspEntry { id, sequence, .. } in entries {
                let held = self.database.get(&id);
                let ours = held.and_then(|bytes| bugle_wire::isis::Lsp::parse(bytes).ok());
                if ours.is_some_and(|ours| ours.header().entry.sequence == sequence) {
                    self.unacknowledged.remove(&id);
                }
            }
        }
    }
}

/// A packet socket on an interface, and the interface's address.
fn open(interface: &str) -> io::Result<(Socket, Mac)> {
    let address: LinkAddr = nix::ifaddrs::getifaddrs()?
        .filter(|found| found.interface_name == interface)
        .find_map(|found| found.address?.as_link_addr().copied())
        .ok_or(io::ErrorKind::NotFound)?;
    let protocol = u16::try_from(libc::ETH_P_802_2).map_err(|_| io::ErrorKind::InvalidInput)?;
    let protocol = Protocol::from(i32::from(protocol.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    bind(socket.as_raw_fd(), &address)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    let mac = address.addr().ok_or(io::ErrorKind::NotFound)?;
    Ok((socket, Mac(mac)))
}
