//! Database exchange: description, requests (RFC 2328 sections 10.6 to 10.9).

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use bugle_lsdb::EntryId;
use bugle_types::IfIndex;
use bugle_wire::ospf::{
    DatabaseDescription, DdFlags, LinkStateRequest, LsaHeader, LsaKey, MAX_AGE, Options,
    UpdateBuilder, emit_database_description, emit_link_state_request,
};

use smallvec::SmallVec;

use crate::database::{Scope, StoredLsa, in_order};
use crate::instance::{Ospf, Timer};
use crate::interface::Interface;
use crate::io::Mismatch;
use crate::neighbor::{DdIdentity, NeighborEvent, NeighborId, NeighborState};

/// Octets of the IP header.
pub(crate) const IP_HEADER: usize = 20;
/// Octets of an OSPF packet header.
const OSPF_HEADER: usize = 24;
/// Octets of a database description before its LSA headers.
const DD_HEADER: usize = 8;
/// Octets of an LSA header, and of a request.
const LSA_HEADER: usize = 20;
const REQUEST: usize = 12;

impl Interface {
    /// The octets of LSAs that an update packet has room for.
    pub(crate) fn update_room(&self) -> usize {
        usize::from(self.config.mtu).saturating_sub(IP_HEADER + OSPF_HEADER + 4)
    }
}

impl Ospf {
    /// Entering ExStart (section 10.3): propose to be the master.
    pub(crate) fn start_exchange(&mut self, id: NeighborId) {
        let first = self.rng.next_u64();
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        neighbor.dd_sequence = if neighbor.dd_sequence == 0 {
            // Only has to differ from the last one used; the low half keeps room before it wraps.
            u32::try_from(first & 0x7fff_ffff).unwrap_or(1)
        } else {
            neighbor.dd_sequence.wrapping_add(1)
        };
        neighbor.master = false;
        self.send_description(id);
    }

    /// Entering Exchange (section 10.3): the database summary list is what the database holds now. MaxAge LSAs are
    /// not described but sent.
    pub(crate) fn list_database(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        let mut summary = Vec::new();
        let mut dying = Vec::new();
        for (key, entry, lsa) in in_order(&self.db) {
            if !key.scope.reaches(id.ifindex) || !neighbor.understands(key.lsa.ls_type) {
                continue;
            }
            if lsa.is_dead(self.now) { dying.push(entry) } else { summary.push(entry) }
        }
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        neighbor.summary = summary.into();
        for entry in dying {
            self.retransmit_to(id, entry);
        }
    }

    /// Sends the next database description (section 10.8), and remembers it.
    fn send_description(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let mtu = interface.config.mtu;
        let retransmit = interface.config.retransmit;
        let room =
            (usize::from(mtu).saturating_sub(IP_HEADER + OSPF_HEADER + DD_HEADER)) / LSA_HEADER;
        let header = self.header();
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        let mut headers: Vec<LsaHeader> = Vec::new();
        let mut flags = if neighbor.master { DdFlags::NONE } else { DdFlags::MASTER };
        if neighbor.state == NeighborState::ExStart {
            flags = DdFlags::INIT | DdFlags::MORE | DdFlags::MASTER;
        } else {
            while headers.len() < room.max(1)
                && let Some(entry) = neighbor.summary.pop_front()
            {
                // What has reached MaxAge since the list was made is flushed by flooding.
                let lsa = self.db.get(entry).filter(|lsa| !lsa.is_dead(self.now));
                headers.extend(lsa.map(|lsa| lsa.header(self.now)));
            }
            if neighbor.summary.is_empty() {
                neighbor.summary = VecDeque::new();
            } else {
                flags = flags | DdFlags::MORE;
            }
        }
        neighbor.announced_more = flags.contains(DdFlags::MORE);
        neighbor.dd_sent = emit_database_description(
            &header,
            mtu,
            Options::E | Options::O,
            flags,
            neighbor.dd_sequence,
            headers,
        );
        let repeats = !neighbor.master || neighbor.state == NeighborState::ExStart;
        let next = repeats.then(|| self.now + retransmit);
        self.timers.set(Timer::Description(id), next);
        self.resend_description(id);
    }

    /// Sends the last database description once more.
    fn resend_description(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let destination = interface.unicast_destination(neighbor.address);
        let bytes = neighbor.dd_sent.clone();
        self.send(id.ifindex, destination, bytes);
    }

    /// No answer to our database description for RxmtInterval (section 10.8).
    pub(crate) fn on_description_timer(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let next = self.now + interface.config.retransmit;
        self.timers.set(Timer::Description(id), Some(next));
        self.resend_description(id);
    }

    /// Database description packets received (section 10.6).
    pub(crate) fn on_description(
        &mut self,
        id: NeighborId,
        src: Ipv4Addr,
        packet: &DatabaseDescription<'_>,
    ) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let config = &interface.config;
        let mismatch = Mismatch::Mtu { ours: config.mtu, theirs: packet.mtu };
        if packet.mtu > config.mtu && !config.mtu_ignore {
            self.mismatch(id.ifindex, src, mismatch);
            return;
        }
        // By the same rule a neighbour whose MTU is smaller rejects our descriptions, and repeats its first one for ever.
        let smaller = (1..config.mtu).contains(&packet.mtu) && !config.mtu_ignore;
        let may_reject = smaller && packet.flags.contains(DdFlags::INIT);
        if !may_reject {
            self.agreed_on_mtu(id.ifindex, src);
        }
        if self.neighbors.get(&id).is_some_and(|n| n.state == NeighborState::Init) {
            self.neighbor_event(id, NeighborEvent::TwoWayReceived);
        }
        let own_id = self.config.router_id;
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        let identity =
            DdIdentity { flags: packet.flags, options: packet.options, sequence: packet.sequence };
        let duplicate = neighbor.dd_received == Some(identity);
        match neighbor.state {
            NeighborState::Down | NeighborState::Init | NeighborState::TwoWay => {}
            NeighborState::ExStart => {
                let all = DdFlags::INIT | DdFlags::MORE | DdFlags::MASTER;
                if packet.flags == all && packet.headers.is_empty() && neighbor.router_id > own_id {
                    neighbor.master = true;
                    neighbor.dd_sequence = packet.sequence;
                } else if !packet.flags.contains(DdFlags::INIT)
                    && !packet.flags.contains(DdFlags::MASTER)
                    && packet.sequence == neighbor.dd_sequence
                    && neighbor.router_id < own_id
                {
                    neighbor.master = false;
                } else {
                    if may_reject {
                        self.disagree(id.ifindex, src, mismatch);
                    }
                    return;
                }
                neighbor.options = packet.options;
                neighbor.dd_received = Some(identity);
                self.neighbor_event(id, NeighborEvent::NegotiationDone);
                self.accept_description(id, src, packet);
            }
            NeighborState::Exchange | NeighborState::Loading | NeighborState::Full if duplicate => {
                if neighbor.master {
                    self.resend_description(id);
                }
                if may_reject {
                    self.disagree(id.ifindex, src, mismatch);
                }
            }
            NeighborState::Exchange => {
                let expected = if neighbor.master {
                    neighbor.dd_sequence.wrapping_add(1)
                } else {
                    neighbor.dd_sequence
                };
                if packet.flags.contains(DdFlags::MASTER) != neighbor.master
                    || packet.flags.contains(DdFlags::INIT)
                    || packet.options != neighbor.options
                    || packet.sequence != expected
                {
                    self.neighbor_event(id, NeighborEvent::SeqNumberMismatch);
                    return;
                }
                neighbor.dd_received = Some(identity);
                self.accept_description(id, src, packet);
            }
            NeighborState::Loading | NeighborState::Full => {
                self.neighbor_event(id, NeighborEvent::SeqNumberMismatch);
            }
        }
    }

    /// A database description in sequence: note what is newer there, and answer.
    fn accept_description(
        &mut self,
        id: NeighborId,
        src: Ipv4Addr,
        packet: &DatabaseDescription<'_>,
    ) {
        for header in packet.headers {
            let Some(scope) = Scope::of(header.key.ls_type, id.ifindex, self.config.area) else {
                self.dropped(id.ifindex, src, "unknown-lsa-type-described", || {
                    format!("LS type {}", header.key.ls_type.0)
                });
                self.neighbor_event(id, NeighborEvent::SeqNumberMismatch);
                return;
            };
            let known = self.db.lookup(&scope.key(header.key)).map(|(_, lsa)| lsa.header(self.now));
            if known.is_none_or(|known| header.recency(&known).is_gt())
                && let Some(neighbor) = self.neighbors.get_mut(&id)
                && neighbor.requests.insert(header.key, header).is_none()
            {
                neighbor.unasked.push_back(header.key);
            }
        }
        let more = packet.flags.contains(DdFlags::MORE);
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        let done = if neighbor.master {
            neighbor.dd_sequence = packet.sequence;
            self.send_description(id);
            !more && self.neighbors.get(&id).is_some_and(|n| !n.announced_more)
        } else {
            neighbor.dd_sequence = neighbor.dd_sequence.wrapping_add(1);
            let done = !more && !neighbor.announced_more;
            if !done {
                self.send_description(id);
            }
            done
        };
        if done {
            self.timers.set(Timer::Description(id), None);
            self.neighbor_event(id, NeighborEvent::ExchangeDone);
        }
        self.request_next(id);
    }

    /// Asks for the next part of the request list, unless an answer is outstanding (section 10.9).
    pub(crate) fn request_next(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let room =
            usize::from(interface.config.mtu).saturating_sub(IP_HEADER + OSPF_HEADER) / REQUEST;
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        if !matches!(neighbor.state, NeighborState::Exchange | NeighborState::Loading)
            || !neighbor.asked.is_empty()
        {
            return;
        }
        while neighbor.asked.len() < room.max(1)
            && let Some(key) = neighbor.unasked.pop_front()
        {
            if neighbor.requests.contains_key(&key) {
                neighbor.asked.insert(key);
            }
        }
        if neighbor.asked.is_empty() {
            neighbor.unasked = VecDeque::new();
            self.timers.set(Timer::Request(id), None);
            if neighbor.state == NeighborState::Loading {
                self.neighbor_event(id, NeighborEvent::LoadingDone);
            }
            return;
        }
        self.send_request(id);
    }

    /// Sends the outstanding request, now and each RxmtInterval until it is answered.
    pub(crate) fn send_request(&mut self, id: NeighborId) {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        let destination = interface.unicast_destination(neighbor.address);
        let bytes = emit_link_state_request(&self.header(), neighbor.asked.iter().copied());
        let next = self.now + interface.config.retransmit;
        self.timers.set(Timer::Request(id), Some(next));
        self.send(id.ifindex, destination, bytes);
    }

    /// An LSA came that may have been asked for: it, or something newer, is here (section 13.3 (1)(b)).
    pub(crate) fn request_answered(&mut self, id: NeighborId, key: LsaKey) {
        let Some(neighbor) = self.neighbors.get_mut(&id) else { return };
        neighbor.requests.remove(&key);
        if neighbor.asked.remove(&key) && neighbor.asked.is_empty() {
            // The rest of this packet may answer more; asking waits for its end.
            self.answered.insert(id);
        }
        if neighbor.requests.is_empty() {
            self.answered.insert(id);
        }
    }

    /// Link state request packets received (section 10.7).
    pub(crate) fn on_request(&mut self, id: NeighborId, packet: &LinkStateRequest<'_>) {
        let Some(neighbor) = self.neighbors.get(&id) else { return };
        if neighbor.state < NeighborState::Exchange {
            return;
        }
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return };
        let destination = interface.unicast_destination(neighbor.address);
        let mut entries = Vec::new();
        for key in packet.requests {
            let found = Scope::of(key.ls_type, id.ifindex, self.config.area)
                .and_then(|scope| self.db.find(&scope.key(key)));
            let Some(entry) = found else {
                self.neighbor_event(id, NeighborEvent::BadLsReq);
                return;
            };
            entries.push(entry);
        }
        self.send_updates(id.ifindex, destination, &entries);
    }

    /// Sends LSAs in as few update packets as fit the MTU.
    pub(crate) fn send_updates(
        &mut self,
        ifindex: IfIndex,
        destination: Ipv4Addr,
        entries: &[EntryId],
    ) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        for bytes in self.updates(interface.update_room(), entries) {
            self.send(ifindex, destination, bytes);
        }
    }

    /// LSAs in as few update packets as there is room for.
    pub(crate) fn updates(&self, room: usize, entries: &[EntryId]) -> SmallVec<[Vec<u8>; 1]> {
        let header = self.header();
        let lsas: SmallVec<[&StoredLsa; 8]> =
            entries.iter().filter_map(|&entry| self.db.get(entry)).collect();
        let mut packets = SmallVec::new();
        let mut rest = &lsas[..];
        while !rest.is_empty() {
            let mut length = 0;
            let fits = |lsa: &&&StoredLsa| {
                length += lsa.bytes().len();
                length <= room
            };
            // An LSA that is longer than the MTU goes out by itself.
            let count = rest.iter().take_while(fits).count().max(1);
            let (these, others) = rest.split_at(count);
            rest = others;
            let length = these.iter().map(|lsa| lsa.bytes().len()).sum();
            let mut builder = UpdateBuilder::with_room(&header, length);
            for lsa in these {
                // Section 13.3: the age grows by InfTransDelay, 1 s.
                builder.push(lsa.bytes(), (lsa.age(self.now) + 1).min(MAX_AGE));
            }
            if !builder.is_empty() {
                packets.push(builder.finish());
            }
        }
        packets
    }
}
