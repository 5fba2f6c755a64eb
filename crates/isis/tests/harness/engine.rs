//! What must hold of instances that are given anything at any time. The fuzzer and the tests share it.
//!
//! Two systems share a point-to-point circuit and a LAN, and take part in both levels. The script says what becomes of their PDUs,
//! and forges others in the name of either.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bugle_isis::{
    BfdState, CircuitConfig, CircuitKind, Config, HostRoute, Input, Ipv6Topology, Isis, Leak,
    Output, Route,
};
use bugle_types::{IfIndex, Mac, Prefix, SystemId, Time};
use bugle_wire::isis::{
    CircuitType, Level, Lsp, LspEntry, LspFields, LspFlags, LspId, Neighbor, NodeId, Pdu, PduBody,
    PrefixReach, SequenceNumber, SubTlvs, TlvBuilder, TopologyId, emit_csnp, emit_lsp, emit_psnp,
};

const P2P: IfIndex = IfIndex(1);
const LAN: IfIndex = IfIndex(2);
/// A PDU that waits for long enough is lost: a script cannot have a thousand on their way.
const ON_THE_WAY: usize = 64;
/// An instance that wants to be woken more often at one time is stuck.
const TICKS_AT_ONCE: usize = 10_000;

/// Reads `script` as inputs and plays them; then both systems are told to stop, and must.
pub(crate) fn check(script: &[u8]) {
    let mut play = Play::new();
    let mut script = Script(script);
    while let Some(kind) = script.byte() {
        play.step(kind, &mut script);
    }
    play.end();
}

/// Bytes, taken from the front; zeros when there are no more.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u8(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.u8()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A number of any size, the extremes among them.
    fn number(&mut self) -> u32 {
        match self.u8() {
            255 => u32::MAX,
            large @ 200..=254 => u32::from(large) << 18,
            small => u32::from(small),
        }
    }

    /// One byte in so many says yes.
    fn one_in(&mut self, many: u8) -> bool {
        self.u8().is_multiple_of(many)
    }

    fn level(&mut self) -> Level {
        if self.one_in(2) { Level::L1 } else { Level::L2 }
    }

    /// One of a few: the two systems, two that do not exist, and their LANs.
    fn lsp_id(&mut self) -> LspId {
        let choice = self.u8();
        let node = NodeId { system: system_id(choice & 3), pseudonode: choice >> 2 & 1 };
        LspId { node, fragment: choice >> 3 & 3 }
    }

    fn entry(&mut self) -> LspEntry {
        LspEntry {
            lifetime: u16::try_from(self.number()).unwrap_or(u16::MAX),
            id: self.lsp_id(),
            sequence: SequenceNumber(self.number()),
            checksum: u16::from(self.u8()),
        }
    }

    fn prefix(&mut self) -> Prefix {
        let choice = self.u8();
        let v4 = Ipv4Addr::new(10, 100, 0, choice >> 3);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(choice >> 3));
        let length = u32::from(choice & 2) / 2;
        let (address, most): (IpAddr, u8) =
            if choice & 1 == 0 { (v4.into(), 32) } else { (v6.into(), 128) };
        let length = if length == 0 { most } else { 0 };
        Prefix::new(if length == 0 { unspecified(address) } else { address }, length)
            .unwrap_or_else(|| Prefix::host(address))
    }
}

fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn system_id(number: u8) -> SystemId {
    SystemId([0, 0, 0, 0, 0, number + 1])
}

fn mac(system: usize, ifindex: IfIndex) -> Mac {
    Mac([2, 0, 0, 0, u8::from(system == 1), if ifindex == P2P { 1 } else { 2 }])
}

fn circuit(system: usize, ifindex: IfIndex) -> CircuitConfig {
    let host = if system == 0 { 1 } else { 2 };
    let net = if ifindex == P2P { 1 } else { 2 };
    CircuitConfig {
        kind: if ifindex == P2P { CircuitKind::PointToPoint } else { CircuitKind::Broadcast },
        levels: CircuitType::L1_L2,
        ipv4: vec![(Ipv4Addr::new(10, 0, net, host), 24)],
        link_local: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, u16::from(net), u16::from(host))),
        ..CircuitConfig::new("eth", mac(system, ifindex))
    }
}

/// Where a PDU is going, and what it says.
type Delivery = (usize, IfIndex, Vec<u8>);

struct Play {
    now: Time,
    systems: [Isis; 2],
    configs: [Config; 2],
    routes: [BTreeMap<Prefix, Route>; 2],
    wire: VecDeque<Delivery>,
}

impl Play {
    fn new() -> Self {
        let config = |number| {
            let area = "49.0001".parse().expect("it is an area address");
            Config {
                levels: CircuitType::L1_L2,
                overload: false,
                ..Config::new(system_id(number), area)
            }
        };
        let configs = [config(0), config(1)];
        let systems = configs.clone().map(|config| Isis::new(config, 7));
        let now = Time::from_secs(1);
        let mut play =
            Self { now, systems, configs, routes: Default::default(), wire: VecDeque::new() };
        for system in [0, 1] {
            for ifindex in [P2P, LAN] {
                let config = Some(Box::new(circuit(system, ifindex)));
                play.handle(system, Input::Circuit(ifindex, config));
            }
        }
        play
    }

    fn step(&mut self, kind: u8, script: &mut Script<'_>) {
        let system = usize::from(kind >> 7);
        let ifindex = if kind & 0x40 == 0 { P2P } else { LAN };
        match kind % 8 {
            0 => self.pass(Duration::from_millis(u64::from(script.u8()).pow(2))),
            1 => {
                if let Some((to, ifindex, bytes)) = self.wire.pop_front() {
                    let times = script.u8() % 3;
                    (0..times).for_each(|_| self.deliver(to, ifindex, &bytes));
                }
            }
            2 => self.twist(script),
            3 => self.deliver(system, ifindex, script.bytes()),
            4 => {
                let forged = forge_lsp(script);
                self.deliver(system, ifindex, &forged);
            }
            5 => {
                let (level, source) =
                    (script.level(), NodeId::of_system(system_id(script.u8() & 3)));
                let mut tlvs = TlvBuilder::new(1_400);
                for _ in 0..script.u8() % 8 {
                    tlvs.lsp_entry(script.entry());
                }
                let forged = if script.one_in(2) {
                    let (start, end) = (script.lsp_id(), script.lsp_id());
                    let all = script.one_in(2);
                    let end = if all { LspId::MAX } else { end };
                    emit_csnp(level, source, start, end, tlvs.bytes(), None)
                } else {
                    emit_psnp(level, source, tlvs.bytes(), None)
                };
                self.deliver(system, ifindex, &forged);
            }
            6 => {
                let config = circuit(system, ifindex);
                let config = match script.u8() {
                    0..=59 => None,
                    60..=99 => Some(CircuitConfig { metric: script.number(), ..config }),
                    100..=129 => Some(CircuitConfig { kind: CircuitKind::Passive, ..config }),
                    130..=159 => Some(CircuitConfig { mtu: 576, bfd: true, ..config }),
                    160..=189 => Some(CircuitConfig { levels: CircuitType::L1, ..config }),
                    190..=255 => Some(config),
                };
                self.handle(system, Input::Circuit(ifindex, config.map(Box::new)));
            }
            _ => self.tell(system, ifindex, script),
        }
    }

    /// What the machine around an instance has to say.
    fn tell(&mut self, system: usize, ifindex: IfIndex, script: &mut Script<'_>) {
        match script.u8() {
            0..=99 => {
                let metric = script.number().min(bugle_wire::isis::MAX_PATH_METRIC);
                let route = (!script.one_in(3)).then_some(HostRoute { metric });
                self.handle(system, Input::Host(script.prefix(), route));
            }
            100..=129 => self.handle(system, Input::Watch(script.prefix(), script.one_in(2))),
            130..=179 => {
                let state = [BfdState::Up, BfdState::Down, BfdState::AdminDown];
                let state = state[usize::from(script.u8() % 3)];
                let peer = circuit(1 - system, ifindex).ipv4[0].0.into();
                self.handle(system, Input::Bfd { ifindex, peer, state });
            }
            choice => {
                let plain = self.configs[system].clone();
                let config = match choice % 6 {
                    0 => Config { overload: true, ..plain },
                    1 => Config { levels: CircuitType::L2, ..plain },
                    2 => Config { ipv6_topology: Ipv6Topology::Own, ..plain },
                    3 => Config { leak: Leak::Within(vec![script.prefix()]), ..plain },
                    4 => Config { alternates: None, lsp_buffer_size: 512, ..plain },
                    _ => plain,
                };
                self.handle(system, Input::Config(Box::new(config)));
            }
        }
    }

    /// An LSP on its way arrives with other TLVs, and a checksum that is right.
    fn twist(&mut self, script: &mut Script<'_>) {
        let is_lsp = |bytes: &[u8]| {
            let pdu = Pdu::parse(bytes);
            pdu.is_ok_and(|pdu| matches!(pdu.body, PduBody::Lsp(_)))
        };
        let Some(place) = self.wire.iter().position(|(_, _, bytes)| is_lsp(bytes)) else { return };
        let Some((to, ifindex, bytes)) = self.wire.remove(place) else { return };
        let Ok(lsp) = Lsp::parse(&bytes) else { return };
        let header = lsp.header();
        let LspEntry { lifetime, id, sequence, .. } = header.entry;
        let fields = LspFields { lifetime, id, sequence, flags: header.flags };
        let mut tlvs = bytes.get(27..).unwrap_or_default().to_vec();
        let (at, with) = (usize::from(script.u8()), script.bytes());
        for (octet, new) in tlvs.iter_mut().skip(at).zip(with) {
            *octet = *new;
        }
        let twisted = emit_lsp(header.level, &fields, &tlvs, None);
        self.deliver(to, ifindex, &twisted);
    }

    /// Lets time pass; whatever is on the wire arrives, in order.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut at_once = 0;
        loop {
            while let Some((to, ifindex, bytes)) = self.wire.pop_front() {
                self.deliver(to, ifindex, &bytes);
            }
            let wake = |system: &usize| Some((self.systems[*system].deadline()?.0, *system));
            let Some((at, system)) = [0, 1].iter().filter_map(wake).min() else { break };
            if at > end {
                break;
            }
            at_once = if at <= self.now { at_once + 1 } else { 0 };
            let stuck = self.systems[system].deadline();
            assert!(at_once < TICKS_AT_ONCE, "time stands still: {stuck:?}");
            self.now = self.now.max(at);
            self.handle(system, Input::Tick);
        }
        self.now = end;
    }

    fn deliver(&mut self, to: usize, ifindex: IfIndex, bytes: &[u8]) {
        let source = mac(1 - to, ifindex);
        self.handle(to, Input::Pdu { ifindex, source, bytes });
    }

    fn handle(&mut self, system: usize, input: Input<'_>) {
        self.systems[system].handle(self.now, input);
        while let Some(output) = self.systems[system].poll_output() {
            match output {
                Output::Send { ifindex, destination, bytes } => {
                    assert_eq!(destination.0[0] & 1, 1, "a group");
                    assert!(bytes.len() <= 1_497, "{} bytes fit no frame", bytes.len());
                    Pdu::parse(&bytes).expect("what is sent is well-formed");
                    self.wire.push_back((1 - system, ifindex, bytes));
                    if self.wire.len() > ON_THE_WAY {
                        self.wire.pop_front();
                    }
                }
                Output::Routes(changes) => {
                    for (prefix, route) in changes {
                        self.look_at(system, prefix, route);
                    }
                }
                Output::Rival(..) | Output::Bfd { .. } | Output::Event(_) => {}
            }
        }
        let state = self.systems[system].state();
        assert_eq!(state.routes_len(), self.routes[system].len());
    }

    fn look_at(&mut self, system: usize, prefix: Prefix, route: Option<Route>) {
        let routes = &mut self.routes[system];
        let Some(route) = route else {
            assert!(routes.remove(&prefix).is_some(), "{prefix} had no route");
            return;
        };
        assert!(route.nexthops.is_sorted() && !route.nexthops.is_empty());
        let backup = route.backup.map(|backup| backup.nexthop);
        assert!(backup.is_none_or(|backup| !route.nexthops.contains(&backup)));
        assert_ne!(routes.insert(prefix, route.clone()), Some(route), "nothing has changed");
    }

    fn end(mut self) {
        for system in [0, 1] {
            self.handle(system, Input::Shutdown);
        }
        self.pass(Duration::from_secs(1));
        assert!(self.systems.iter().all(Isis::is_stopped));
    }
}

/// An LSP of any system, that says anything, or something with sense in it.
fn forge_lsp(script: &mut Script<'_>) -> Vec<u8> {
    let level = script.level();
    let LspEntry { lifetime, id, sequence, .. } = script.entry();
    let fields = LspFields { lifetime, id, sequence, flags: LspFlags(script.u8()) };
    if script.one_in(4) {
        return emit_lsp(level, &fields, script.bytes(), None);
    }
    let mut tlvs = TlvBuilder::new(1_400);
    for _ in 0..script.u8() % 8 {
        let topology = if script.one_in(4) { TopologyId::IPV6 } else { TopologyId::STANDARD };
        let sub_tlvs = SubTlvs::default();
        if script.one_in(2) {
            let id = script.lsp_id().node;
            tlvs.neighbor(topology, &Neighbor { id, metric: script.number(), sub_tlvs });
        } else {
            let (prefix, metric) = (script.prefix(), script.number());
            let (down, external) = (script.one_in(2), false);
            tlvs.prefix(topology, &PrefixReach { prefix, metric, down, external, sub_tlvs });
        }
    }
    emit_lsp(level, &fields, tlvs.bytes(), None)
}
