//! One instance whose neighbours are played by the test, packet by packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_ospf::neighbor::NeighborState;
use bugle_ospf::{Config, Event, Input, InterfaceConfig, NetworkType, Ospf, Output, Rival, Route};
use bugle_types::{AreaId, IfIndex, Prefix, RouterId, Time};
use bugle_wire::ospf::{
    ALL_SPF_ROUTERS, Auth, Body, DdFlags, ExternalLsa, Header, HelloFields, Lsa, LsaHeader, LsaKey,
    LsaType, Options, Packet, RouterFlags, RouterLink, RouterLinkKind, SequenceNumber,
    UpdateBuilder, build_lsa, emit_database_description, emit_hello, emit_link_state_ack,
    emit_link_state_request, external_body, network_body, router_body, summary_body,
};

/// The router id of the instance.
pub(crate) const OWN: RouterId = RouterId(0x0a0a_0a0a);
/// The flags of a first database description.
pub(crate) const FIRST: DdFlags = DdFlags(7);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// The network of interface `n` is 10.0.n.0/24, and the instance has the first address.
pub(crate) fn interface(ifindex: u32, network_type: NetworkType) -> InterfaceConfig {
    InterfaceConfig {
        name: format!("eth{ifindex}"),
        address: Ipv4Addr::from(0x0a00_0001 + (ifindex << 8)),
        prefix_length: 24,
        stubs: Vec::new(),
        mtu: 1500,
        network_type,
        cost: 10,
        hello: secs(1),
        dead: secs(4),
        retransmit: millis(1050),
        priority: 1,
        mtu_ignore: false,
    }
}

/// A neighbour that the test plays. Its address ends in the same number as its router id, 192.0.2.n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) ifindex: IfIndex,
    pub(crate) id: RouterId,
    pub(crate) address: Ipv4Addr,
    pub(crate) priority: u8,
    pub(crate) dr: Ipv4Addr,
    pub(crate) bdr: Ipv4Addr,
    /// What its database descriptions say it is capable of; Hellos say the same without the O bit.
    pub(crate) options: Options,
    pub(crate) auth: Auth,
    pub(crate) mtu: u16,
    pub(crate) area: AreaId,
}

pub(crate) fn peer(ifindex: u32, n: u8) -> Peer {
    Peer {
        ifindex: IfIndex(ifindex),
        id: peer_id(n),
        address: Ipv4Addr::from(0x0a00_0000 + (ifindex << 8) + u32::from(n)),
        priority: 1,
        dr: Ipv4Addr::UNSPECIFIED,
        bdr: Ipv4Addr::UNSPECIFIED,
        options: Options::E | Options::O,
        auth: Auth::Null,
        mtu: 1500,
        area: AreaId::BACKBONE,
    }
}

pub(crate) fn peer_id(n: u8) -> RouterId {
    RouterId(0xc000_0200 + u32::from(n))
}

impl Peer {
    fn header(self) -> Header {
        Header { router_id: self.id, area: self.area, auth: self.auth }
    }

    pub(crate) fn hello(self, heard: &[RouterId]) -> Vec<u8> {
        let fields = HelloFields {
            mask: Ipv4Addr::new(255, 255, 255, 0),
            hello_interval: 1,
            options: self.options.without(Options::O),
            priority: self.priority,
            dead_interval: 4,
            dr: self.dr,
            bdr: self.bdr,
        };
        emit_hello(&self.header(), &fields, heard.iter().copied())
    }

    pub(crate) fn description(
        self,
        flags: DdFlags,
        sequence: u32,
        headers: &[LsaHeader],
    ) -> Vec<u8> {
        let headers = headers.iter().copied();
        let Self { mtu, options, .. } = self;
        emit_database_description(&self.header(), mtu, options, flags, sequence, headers)
    }

    pub(crate) fn update(self, lsas: &[Vec<u8>]) -> Vec<u8> {
        self.update_aged(lsas, 1)
    }

    pub(crate) fn update_aged(self, lsas: &[Vec<u8>], age: u16) -> Vec<u8> {
        let mut builder = UpdateBuilder::new(&self.header());
        for lsa in lsas {
            assert!(builder.push(lsa, age));
        }
        builder.finish()
    }

    pub(crate) fn request(self, keys: &[LsaKey]) -> Vec<u8> {
        emit_link_state_request(&self.header(), keys.iter().copied())
    }

    pub(crate) fn ack(self, headers: &[LsaHeader]) -> Vec<u8> {
        emit_link_state_ack(&self.header(), headers.iter().copied())
    }
}

/// A packet that the instance sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) ifindex: IfIndex,
    pub(crate) dst: Ipv4Addr,
    bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn body(&self) -> Body<'_> {
        Packet::parse(&self.bytes).unwrap().body
    }

    /// The LSAs of an update.
    pub(crate) fn updated(&self) -> Vec<LsaHeader> {
        let Body::LinkStateUpdate(update) = self.body() else { return Vec::new() };
        update.lsas().map(|lsa| lsa.header()).collect()
    }

    /// The flags, the sequence number and the LSAs of a database description.
    pub(crate) fn described(&self) -> Option<(DdFlags, u32, Vec<LsaHeader>)> {
        let Body::DatabaseDescription(body) = self.body() else { return None };
        Some((body.flags, body.sequence, body.headers.iter().collect()))
    }

    /// The LSAs of an acknowledgement.
    pub(crate) fn acknowledged(&self) -> Vec<LsaHeader> {
        let Body::LinkStateAck(ack) = self.body() else { return Vec::new() };
        ack.headers.iter().collect()
    }
}

/// The instance, and what it has put out.
pub(crate) struct Bench {
    pub(crate) ospf: Ospf,
    pub(crate) now: Time,
    /// What was sent since the test last took it.
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
    /// Every batch of changes, and what they add up to.
    pub(crate) changes: Vec<Vec<(Prefix, Option<Route>)>>,
    pub(crate) routes: BTreeMap<Prefix, Route>,
    /// What others were last said to advertise for watched hosts.
    pub(crate) rivals: BTreeMap<Ipv4Addr, Option<Rival>>,
    /// Who sends a Hello every second and, unless `mute`, acknowledges updates as time passes.
    pub(crate) alive: Vec<Peer>,
    pub(crate) mute: bool,
    next_hello: Time,
    unacknowledged: Vec<(IfIndex, LsaHeader)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(OWN, AreaId::BACKBONE);
        config.stub_router = false;
        change(&mut config);
        let now = Time::from_secs(100);
        Self {
            ospf: Ospf::new(config, 1),
            now,
            sent: Vec::new(),
            events: Vec::new(),
            changes: Vec::new(),
            routes: BTreeMap::new(),
            rivals: BTreeMap::new(),
            alive: Vec::new(),
            mute: false,
            next_hello: now + secs(1),
            unacknowledged: Vec::new(),
        }
    }

    /// With one point-to-point interface, and a neighbour on it that is Full and has these LSAs, and one that describes itself.
    pub(crate) fn beside(peer: Peer, lsas: &[Vec<u8>]) -> Self {
        let mut bench = Self::new();
        bench.up(peer.ifindex.0, NetworkType::PointToPoint);
        bench.join(peer, lsas);
        bench
    }

    pub(crate) fn up(&mut self, ifindex: u32, network_type: NetworkType) {
        self.configure(interface(ifindex, network_type), ifindex);
    }

    pub(crate) fn configure(&mut self, config: InterfaceConfig, ifindex: u32) {
        self.input(Input::Interface(IfIndex(ifindex), Some(config)));
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.ospf.handle(self.now, input);
        while let Some(output) = self.ospf.poll_output() {
            match output {
                Output::Send { ifindex, dst, bytes, .. } => {
                    let sent = Sent { at: self.now, ifindex, dst, bytes };
                    self.unacknowledged
                        .extend(sent.updated().into_iter().map(|lsa| (ifindex, lsa)));
                    self.sent.push(sent);
                }
                Output::Routes(changes) => {
                    let prefixes: BTreeSet<Prefix> = changes.iter().map(|(p, _)| *p).collect();
                    assert_eq!(prefixes.len(), changes.len(), "a prefix changes once in a batch");
                    for (prefix, route) in &changes {
                        match route.clone() {
                            Some(route) => self.routes.insert(*prefix, route),
                            None => self.routes.remove(prefix),
                        };
                    }
                    self.changes.push(changes);
                }
                Output::Event(event) => self.events.push(event),
                Output::Rival(address, rival) => {
                    self.rivals.insert(address, rival);
                }
                Output::AllDRouters { .. } => {}
            }
        }
    }

    pub(crate) fn receive(&mut self, from: Peer, bytes: &[u8]) {
        let (ifindex, src) = (from.ifindex, from.address);
        self.input(Input::Packet { ifindex, src, dst: ALL_SPF_ROUTERS, bytes });
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.acknowledge();
            let deadline = self.ospf.deadline().map(|(time, _)| time.max(self.now));
            let next = deadline.into_iter().chain([self.next_hello]).min().unwrap();
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if self.next_hello == next {
                self.next_hello += secs(1);
                for peer in self.alive.clone() {
                    self.receive(peer, &peer.hello(&[OWN]));
                }
            } else {
                self.input(Input::Tick);
            }
        }
        self.now = end;
    }

    /// A neighbour comes into being, and hears us.
    pub(crate) fn meet(&mut self, peer: Peer) {
        self.alive.push(peer);
        self.receive(peer, &peer.hello(&[OWN]));
    }

    /// Plays a database exchange as the master, up to Full. Besides `lsas` the neighbour has its own router-LSA, with a link to
    /// us where the interface is point-to-point.
    pub(crate) fn join(&mut self, peer: Peer, lsas: &[Vec<u8>]) {
        self.meet(peer);
        self.exchange(peer, lsas);
        assert_eq!(self.state(peer), NeighborState::Full);
        self.run_for(millis(1));
    }

    pub(crate) fn exchange(&mut self, peer: Peer, lsas: &[Vec<u8>]) {
        let lsas: BTreeMap<LsaKey, &Vec<u8>> =
            lsas.iter().map(|lsa| (header(lsa).key, lsa)).collect();
        let headers: Vec<LsaHeader> = lsas.values().map(|lsa| header(lsa)).collect();
        self.sent.clear();
        self.receive(peer, &peer.description(FIRST, 1000, &[]));
        let mut sequence = 1000;
        let mut chunks = headers.chunks(60).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let more = if chunks.peek().is_some() { DdFlags::MORE } else { DdFlags::NONE };
            sequence += 1;
            self.receive(peer, &peer.description(DdFlags::MASTER | more, sequence, chunk));
            let theirs = self.sent.iter().rev().find_map(Sent::described);
            if more == DdFlags::NONE && !theirs.unwrap().0.contains(DdFlags::MORE) {
                break;
            }
        }
        let mut seen = 0;
        while let Some(sent) = self.sent.get(seen) {
            seen += 1;
            let Body::LinkStateRequest(request) = sent.body() else { continue };
            let answer: Vec<Vec<u8>> =
                request.requests.iter().map(|key| lsas[&key].clone()).collect();
            self.receive(peer, &peer.update(&answer));
        }
    }

    /// A neighbour floods LSAs.
    pub(crate) fn flood(&mut self, from: Peer, lsas: &[Vec<u8>]) {
        for chunk in lsas.chunks(30) {
            self.receive(from, &from.update(chunk));
        }
        self.run_for(millis(1));
    }

    /// The neighbours acknowledge what they were sent.
    fn acknowledge(&mut self) {
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        if self.mute || unacknowledged.is_empty() {
            return;
        }
        for peer in self.alive.clone() {
            let on_link = unacknowledged.iter().filter(|(ifindex, _)| *ifindex == peer.ifindex);
            let headers: Vec<LsaHeader> = on_link.map(|(_, header)| *header).collect();
            for chunk in headers.chunks(60) {
                self.receive(peer, &peer.ack(chunk));
            }
        }
    }

    pub(crate) fn state(&self, peer: Peer) -> NeighborState {
        self.ospf
            .state()
            .neighbors()
            .find(|n| n.id.ifindex == peer.ifindex && n.router_id == peer.id)
            .map_or(NeighborState::Down, |n| n.state)
    }

    pub(crate) fn interface_state(&self, ifindex: u32) -> bugle_ospf::interface::Interface {
        let state = self.ospf.state();
        state.interfaces().find(|(index, _)| index.0 == ifindex).unwrap().1.clone()
    }

    pub(crate) fn retransmissions(&self, peer: Peer) -> usize {
        self.ospf
            .state()
            .neighbors()
            .find(|n| n.id.ifindex == peer.ifindex)
            .map_or(0, bugle_ospf::neighbor::Neighbor::retransmit_count)
    }

    /// The headers of the database.
    pub(crate) fn database(&self) -> BTreeMap<LsaKey, LsaHeader> {
        let database = self.ospf.state();
        database.database().map(|(key, lsa)| (key.lsa, lsa.header(self.now))).collect()
    }

    /// What was sent since the last time, and is forgotten now.
    pub(crate) fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The instances of an LSA that were sent on an interface since the test last took what was sent, with the time.
    pub(crate) fn instances(&self, ifindex: u32, key: LsaKey) -> Vec<(Time, LsaHeader)> {
        self.sent
            .iter()
            .filter(|sent| sent.ifindex.0 == ifindex)
            .flat_map(|sent| sent.updated().into_iter().map(|header| (sent.at, header)))
            .filter(|(_, header)| header.key == key)
            .collect()
    }

    /// The gateways of a route.
    pub(crate) fn gateways(&self, text: &str) -> Vec<Ipv4Addr> {
        let Some(route) = self.routes.get(&prefix(text)) else { return Vec::new() };
        route
            .nexthops
            .iter()
            .map(|nexthop| match nexthop.gateway {
                Some(std::net::IpAddr::V4(address)) => address,
                _ => Ipv4Addr::UNSPECIFIED,
            })
            .collect()
    }
}

pub(crate) fn header(lsa: &[u8]) -> LsaHeader {
    Lsa::parse(lsa).unwrap().header()
}

pub(crate) fn key(ls_type: LsaType, id: Ipv4Addr, router: RouterId) -> LsaKey {
    LsaKey { ls_type, link_state_id: id, advertising_router: router }
}

/// The `nth` instance of an LSA.
pub(crate) fn lsa(key: LsaKey, nth: i32, body: &[u8]) -> Vec<u8> {
    build_lsa(Options::E, key, SequenceNumber(SequenceNumber::INITIAL.0 + nth - 1), 1, body)
}

pub(crate) fn link(kind: RouterLinkKind, id: Ipv4Addr, data: Ipv4Addr, metric: u16) -> RouterLink {
    RouterLink { kind, id, data, metric }
}

/// A point-to-point link from a router at `data`.
pub(crate) fn to_router(router: RouterId, data: Ipv4Addr, metric: u16) -> RouterLink {
    link(RouterLinkKind::PointToPoint, Ipv4Addr::from(router.0), data, metric)
}

pub(crate) fn stub(text: &str, metric: u16) -> RouterLink {
    let prefix = prefix(text);
    link(RouterLinkKind::Stub, prefix.ipv4().unwrap(), prefix.mask().unwrap(), metric)
}

pub(crate) fn router_lsa(router: RouterId, flags: RouterFlags, links: &[RouterLink]) -> Vec<u8> {
    router_lsa_nth(router, 1, flags, links)
}

pub(crate) fn router_lsa_nth(
    router: RouterId,
    nth: i32,
    flags: RouterFlags,
    links: &[RouterLink],
) -> Vec<u8> {
    let key = key(LsaType::ROUTER, Ipv4Addr::from(router.0), router);
    lsa(key, nth, &router_body(flags, links))
}

/// The router-LSA of a neighbour with a point-to-point link to us, and more links.
pub(crate) fn neighbor_lsa(peer: Peer, flags: RouterFlags, more: &[RouterLink]) -> Vec<u8> {
    let links: Vec<RouterLink> =
        [to_router(OWN, peer.address, 10)].into_iter().chain(more.iter().copied()).collect();
    router_lsa(peer.id, flags, &links)
}

pub(crate) fn network_lsa(dr: Ipv4Addr, by: RouterId, nth: i32, routers: &[RouterId]) -> Vec<u8> {
    let body = network_body(Ipv4Addr::new(255, 255, 255, 0), routers);
    lsa(key(LsaType::NETWORK, dr, by), nth, &body)
}

/// A summary-LSA for a prefix, with the prefix's address as its id.
pub(crate) fn summary_lsa(by: RouterId, text: &str, metric: u32) -> Vec<u8> {
    let prefix = prefix(text);
    let key = key(LsaType::SUMMARY_NETWORK, prefix.ipv4().unwrap(), by);
    lsa(key, 1, &summary_body(prefix.mask().unwrap(), metric))
}

/// What an AS-external-LSA says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Says {
    pub(crate) nth: i32,
    pub(crate) type2: bool,
    pub(crate) metric: u32,
    pub(crate) forwarding: Ipv4Addr,
    pub(crate) tag: u32,
    /// The link state id, if it is not the prefix's address.
    pub(crate) id: Option<Ipv4Addr>,
}

pub(crate) const E2: Says =
    Says { nth: 1, type2: true, metric: 20, forwarding: Ipv4Addr::UNSPECIFIED, tag: 0, id: None };

pub(crate) fn external_lsa(by: RouterId, text: &str, says: Says) -> Vec<u8> {
    let prefix = prefix(text);
    let Says { nth, type2, metric, forwarding, tag, id } = says;
    let (first, mask) = (prefix.ipv4().unwrap(), prefix.mask().unwrap());
    let key = key(LsaType::AS_EXTERNAL, id.unwrap_or(first), by);
    lsa(key, nth, &external_body(&ExternalLsa { mask, type2, metric, forwarding, tag }))
}
