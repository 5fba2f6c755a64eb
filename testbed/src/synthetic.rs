//! A synthetic OSPF neighbour: one adjacency on a point-to-point link, and a database of any size to serve over it.
//!
//! It speaks RFC 2328 as far as a benchmark needs: it is always the master of the database exchange, acknowledges every update at
//! once, and retransmits what is not acknowledged. It asks for nothing, so it learns nothing.
//!
//! Requests are served at once, but those that come during the database exchange only at its end. An FRR whose first request is
//! answered before the exchange has ended sends no other one until its `RxmtInterval` is over, 5 s by default.

mod isis;
mod speaker;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bugle_types::{AreaId, RouterId};
use bugle_wire::ospf::{
    ALL_SPF_ROUTERS, Auth, Body, DatabaseDescription, DdFlags, Header, Hello, HelloFields, Lsa,
    LsaHeader, LsaKey, Options, PROTOCOL, Packet, UpdateBuilder, emit_database_description,
    emit_hello, emit_link_state_ack,
};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use self::speaker::{RECEIVE_BUFFER, Speak, Speaker, pace};
use crate::area::{Area, KeyedLsa};
use crate::error::{LabError, Result};
use crate::lab::Port;

/// The interface's MTU, of a veth.
const MTU: u16 = 1500;

/// The most bytes of OSPF in one packet: the MTU without the IP header.
const PACKET: usize = MTU as usize - 20;

/// LSA headers in one Database Description packet.
const HEADERS: usize = (PACKET - 24 - 8) / 20;

/// `HelloInterval` and `RouterDeadInterval` in seconds.
const HELLO: u16 = 1;
const DEAD: u32 = 4;

/// `RxmtInterval`. Above `MinLSArrival`, so that a retransmission is never dropped for being early.
const RETRANSMIT: Duration = Duration::from_millis(1050);

pub use isis::SyntheticIsis;

/// A neighbour for a router under test.
#[derive(Debug)]
pub struct Synthetic {
    shared: Speaker<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: Socket,
    header: Header,
    mask: Ipv4Addr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    database: BTreeMap<LsaKey, Vec<u8>>,
    phase: Phase,
    exchange_started: Option<Instant>,
    exchanged: Option<Instant>,
    /// Requests that came during the exchange.
    requested: Vec<LsaKey>,
    unacknowledged: BTreeMap<LsaKey, Instant>,
    hello_due: Instant,
}

/// The neighbour's state (RFC 2328 section 10.1), seen from here.
#[derive(Debug)]
enum Phase {
    /// Nothing heard.
    Down,
    /// Heard, but the neighbour has not heard us.
    Init { neighbor: RouterId, heard: Instant },
    /// Describing the database, or done with it: then `next` is beyond the last header.
    Exchange {
        neighbor: RouterId,
        heard: Instant,
        sequence: u32,
        headers: Vec<LsaHeader>,
        next: usize,
        /// The packet that has not been answered yet; none once all is described.
        pending: Option<(Vec<u8>, Instant)>,
    },
}

impl Synthetic {
    /// Starts to speak on `port` as router 0 of `area`.
    ///
    /// # Errors
    /// If the kernel refuses the socket.
    pub fn start(port: &Port, area: &Area) -> Result<Self> {
        let socket = port
            .node
            .enter(|| open(&port.interface, port.address))?
            .map_err(LabError::io(format!("speaking OSPF on {}", port.interface)))?;
        let state = State {
            database: area.lsas().collect(),
            phase: Phase::Down,
            exchange_started: None,
            exchanged: None,
            requested: Vec::new(),
            unacknowledged: BTreeMap::new(),
            hello_due: Instant::now(),
        };
        let router_id = Area::router_id(0);
        let shared = Speaker::start(Shared {
            socket,
            header: Header { router_id, area: AreaId::BACKBONE, auth: Auth::Null },
            mask: Ipv4Addr::new(255, 255, 255, 0),
            state: Mutex::new(state),
        });
        Ok(Self { shared })
    }

    /// When the first Database Description of the present adjacency was sent.
    #[must_use]
    pub fn exchange_started(&self) -> Option<Instant> {
        self.shared.state().exchange_started
    }

    /// When both sides had described their databases; what is missing then is requested.
    #[must_use]
    pub fn exchanged(&self) -> Option<Instant> {
        self.shared.state().exchanged
    }

    /// Puts LSAs into the database and floods them; returns the time just before the first packet left.
    pub fn flood(&self, lsas: impl IntoIterator<Item = KeyedLsa>) -> Instant {
        let mut state = self.shared.state();
        let lsas: Vec<_> = lsas.into_iter().collect();
        let start = Instant::now();
        for (key, _) in &lsas {
            state.unacknowledged.insert(*key, start);
        }
        state.database.extend(lsas.iter().cloned());
        self.shared.send_lsas(lsas.iter().map(|(_, bytes)| bytes.as_slice()));
        start
    }

    /// How many flooded LSAs the neighbour has not acknowledged yet.
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
        // A raw socket delivers the IP header, whose length is in the lower half of the first byte, in words.
        let header = bytes.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
        let Some(payload) = bytes.get(header..) else { return };
        let Ok(packet) = Packet::parse(payload) else { return };
        if packet.header.router_id == self.header.router_id {
            return;
        }
        let mut state = self.state();
        match &packet.body {
            Body::Hello(hello) => self.hello(&mut state, packet.header.router_id, hello),
            Body::DatabaseDescription(description) => self.described(&mut state, description),
            Body::LinkStateRequest(request) => {
                let wanted: Vec<_> = request.requests.iter().collect();
                if state.exchanged.is_some() {
                    self.serve(&state, &wanted);
                } else {
                    state.requested.extend(wanted);
                }
            }
            Body::LinkStateUpdate(update) => {
                self.acknowledge(&mut state, update.lsas().map(|lsa| lsa.header()));
            }
            Body::LinkStateAck(ack) => {
                for header in &ack.headers {
                    state.acknowledged(&header);
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// RFC 2328 section 10.5.
    fn hello(&self, state: &mut State, neighbor: RouterId, hello: &Hello<'_>) {
        let now = Instant::now();
        let heard_us = hello.neighbors.iter().any(|id| id == self.header.router_id);
        match &mut state.phase {
            Phase::Exchange { neighbor: current, heard, .. }
                if *current == neighbor && heard_us =>
            {
                *heard = now;
            }
            Phase::Down | Phase::Init { .. } | Phase::Exchange { .. } if heard_us => {
                self.start_exchange(state, neighbor);
            }
            Phase::Down | Phase::Init { .. } | Phase::Exchange { .. } => {
                state.phase = Phase::Init { neighbor, heard: now };
                state.forget();
                // The sooner the neighbour hears from us, the sooner it lists us.
                self.send_hello(state);
            }
        }
    }

    /// RFC 2328 section 10.8: as the master, since this router's identity is the larger one.
    fn start_exchange(&self, state: &mut State, neighbor: RouterId) {
        let heard = Instant::now();
        let headers = state.headers();
        let sequence = 1;
        let flags = DdFlags::INIT | DdFlags::MORE | DdFlags::MASTER;
        let packet = emit_database_description(&self.header, MTU, Options::E, flags, sequence, []);
        self.send(&packet);
        let pending = Some((packet, heard));
        state.forget();
        state.exchange_started = Some(heard);
        state.phase = Phase::Exchange { neighbor, heard, sequence, headers, next: 0, pending };
    }

    /// RFC 2328 section 10.6, of the slave's packets.
    fn described(&self, state: &mut State, description: &DatabaseDescription<'_>) {
        let Phase::Exchange { sequence, headers, next, pending, .. } = &mut state.phase else {
            return;
        };
        let from_slave = !description.flags.contains(DdFlags::MASTER);
        if !from_slave || description.sequence != *sequence || pending.is_none() {
            return;
        }
        // The packet that says that nothing follows has been answered by one that says so, too.
        let all_described = *sequence > 1 && *next >= headers.len();
        if all_described && !description.flags.contains(DdFlags::MORE) {
            *pending = None;
            state.exchanged = Some(Instant::now());
            let requested = std::mem::take(&mut state.requested);
            self.serve(state, &requested);
            return;
        }
        *sequence += 1;
        let end = (*next + HEADERS).min(headers.len());
        let part = headers.get(*next..end).unwrap_or_default().iter().copied();
        *next = end;
        let more = if end < headers.len() { DdFlags::MORE } else { DdFlags::NONE };
        let flags = DdFlags::MASTER | more;
        let packet =
            emit_database_description(&self.header, MTU, Options::E, flags, *sequence, part);
        self.send(&packet);
        *pending = Some((packet, Instant::now()));
    }

    /// RFC 2328 section 10.7.
    fn serve(&self, state: &State, wanted: &[LsaKey]) {
        let found = wanted.iter().filter_map(|key| state.database.get(key));
        self.send_lsas(found.map(Vec::as_slice));
    }

    /// RFC 2328 sections 13 and 13.5: everything is acknowledged at once, and what the neighbour sends back of ours counts as an
    /// acknowledgment.
    fn acknowledge(&self, state: &mut State, headers: impl Iterator<Item = LsaHeader>) {
        let headers: Vec<_> = headers.collect();
        for header in &headers {
            state.acknowledged(header);
        }
        for part in headers.chunks((PACKET - 24) / 20) {
            self.send(&emit_link_state_ack(&self.header, part.iter().copied()));
        }
    }

    fn timers(&self, state: &mut State) {
        let now = Instant::now();
        if now >= state.hello_due {
            self.send_hello(state);
        }
        let dead = Duration::from_secs(DEAD.into());
        match &mut state.phase {
            Phase::Init { heard, .. } | Phase::Exchange { heard, .. }
                if now.duration_since(*heard) > dead =>
            {
                state.phase = Phase::Down;
                state.forget();
            }
            Phase::Exchange { pending: Some((packet, sent)), .. }
                if now.duration_since(*sent) > RETRANSMIT =>
            {
                self.send(packet);
                *sent = now;
            }
            Phase::Exchange { .. } => self.retransmit(state, now),
            Phase::Down | Phase::Init { .. } => {}
        }
    }

    /// RFC 2328 section 13.6.
    fn retransmit(&self, state: &mut State, now: Instant) {
        let State { unacknowledged, database, .. } = state;
        let mut late = Vec::new();
        for (key, sent) in unacknowledged {
            if now.duration_since(*sent) > RETRANSMIT {
                *sent = now;
                late.extend(database.get(key).map(Vec::as_slice));
            }
        }
        self.send_lsas(late.into_iter());
    }

    fn send_hello(&self, state: &mut State) {
        state.hello_due = Instant::now() + Duration::from_secs(HELLO.into());
        let fields = HelloFields {
            mask: self.mask,
            hello_interval: HELLO,
            options: Options::E,
            priority: 1,
            dead_interval: DEAD,
            dr: Ipv4Addr::UNSPECIFIED,
            bdr: Ipv4Addr::UNSPECIFIED,
        };
        self.send(&emit_hello(&self.header, &fields, state.phase.neighbor()));
    }

    /// Sends LSAs in as few packets as they fit in.
    fn send_lsas<'a>(&self, lsas: impl Iterator<Item = &'a [u8]>) {
        let mut packets = 0;
        let mut send = |update: UpdateBuilder| {
            self.send(&update.finish());
            packets += 1;
            pace(packets);
        };
        let mut update = UpdateBuilder::new(&self.header);
        for lsa in lsas {
            if !update.is_empty() && update.len() + lsa.len() > PACKET {
                send(std::mem::replace(&mut update, UpdateBuilder::new(&self.header)));
            }
            update.push(lsa, 1);
        }
        if !update.is_empty() {
            send(update);
        }
    }

    fn send(&self, packet: &[u8]) {
        // A packet that the kernel refuses is lost, as on any link; what matters is retransmitted.
        let _ = self.socket.send_to(packet, &SocketAddrV4::new(ALL_SPF_ROUTERS, 0).into());
    }
}

impl State {
    fn headers(&self) -> Vec<LsaHeader> {
        let lsas = self.database.values().filter_map(|bytes| Lsa::parse(bytes).ok());
        lsas.map(|lsa| lsa.header()).collect()
    }

    fn acknowledged(&mut self, header: &LsaHeader) {
        let current = self.database.get(&header.key).and_then(|bytes| Lsa::parse(bytes).ok());
        if current.is_some_and(|current| current.header().sequence == header.sequence) {
            self.unacknowledged.remove(&header.key);
        }
    }

    /// What was known of an adjacency that is gone.
    fn forget(&mut self) {
        self.exchange_started = None;
        self.exchanged = None;
        self.requested.clear();
        self.unacknowledged.clear();
    }
}

impl Phase {
    const fn neighbor(&self) -> Option<RouterId> {
        match self {
            Self::Down => None,
            Self::Init { neighbor, .. } | Self::Exchange { neighbor, .. } => Some(*neighbor),
        }
    }
}

fn open(interface: &str, address: Ipv4Addr) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(PROTOCOL));
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.join_multicast_v4(&ALL_SPF_ROUTERS, &address)?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_loop_v4(false)?;
    socket.set_multicast_ttl_v4(1)?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    Ok(socket)
}
