//! Drives a whole speaker by the fuzzer's octets: packets that get past the header, clocks, carriers, hosts, kernels that refuse.

use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_rib::fib::{FibOp, FibSnapshot};
use bugle_speaker::{Config, HostChange, Input, Output, Speaker};
use bugle_types::{Address, IfIndex, Link, Mac, Time};
use bugle_wire::checksum;

const CONFIG: &str = "
    router-id = \"192.0.2.1\"
    [[vrf.default.ospf.interface]]
    name = \"eth1\"
    type = \"point-to-point\"
    hello = \"1s\"
    dead = \"4s\"
    [[vrf.default.ospf.interface]]
    name = \"eth2\"
    hello = \"1s\"
    dead = \"4s\"
    [vrf.default.isis]
    net = \"49.0001.0000.0000.0001.00\"
    level = \"1-2\"
    [[vrf.default.isis.interface]]
    name = \"eth1\"
    type = \"point-to-point\"
    [[vrf.default.isis.interface]]
    name = \"eth2\"
    [vrf.default.hosts]
    ports = [\"tap*\"]
";
const TAP: u32 = 3;
/// So that an input cannot keep the fuzzer busy for long.
const STEPS: usize = 300;
/// A speaker that wants to be woken more often at one time is stuck.
const TICKS_AT_ONCE: usize = 5_000;

/// Panics if the speaker does, or if it never comes to rest.
pub(crate) fn check(data: &[u8]) {
    let Ok(config) = Config::parse(CONFIG) else { return };
    let now = Time::from_secs(1);
    let speaker = Speaker::new(1, now);
    let mut bench = Bench { speaker, now, data, refusable: None, asked: Vec::new() };
    bench.tell(Input::Config(Box::new(config)));
    for ifindex in 1..=3 {
        bench.link(ifindex, true);
    }
    bench.tell(Input::Synced);
    for _ in 0..STEPS {
        if bench.data.is_empty() {
            break;
        }
        bench.step();
    }
    bench.tell(Input::Shutdown);
    bench.wait(Duration::from_secs(5));
}

struct Bench<'a> {
    speaker: Speaker,
    now: Time,
    /// What is left of the fuzzer's octets.
    data: &'a [u8],
    /// The last change that the kernel can still refuse.
    refusable: Option<FibOp>,
    asked: Vec<Output>,
}

impl Bench<'_> {
    fn step(&mut self) {
        let choice = self.octet();
        if choice >= 238 {
            return self.pdu();
        }
        match choice % 14 {
            0 | 1 => self.hello(),
            2..=5 => self.update(),
            6 => self.packet(2),
            7 => self.packet(3),
            8 => self.packet(5),
            9 => {
                let wait = u64::from(self.octet()) << (self.octet() % 8);
                self.wait(Duration::from_millis(wait));
            }
            10 => {
                let (ifindex, up) = (1 + u32::from(self.octet() % 3), self.octet() < 128);
                self.link(ifindex, up);
            }
            11 => self.host(),
            12 => {
                if let Some(op) = self.refusable.take() {
                    self.tell(Input::FibFailed { op, reason: "no".to_owned() });
                }
            }
            _ => self.tell(Input::FibDisturbed),
        }
    }

    /// A PDU of IS-IS whose header, length and checksum are right, and nothing else.
    fn pdu(&mut self) {
        /// Types, with the lengths of their headers and where the PDU's length is.
        const TYPES: [(u8, u8, usize); 9] = [
            (15, 27, 17),
            (16, 27, 17),
            (17, 20, 17),
            (18, 27, 8),
            (20, 27, 8),
            (24, 33, 8),
            (25, 33, 8),
            (26, 17, 8),
            (27, 17, 8),
        ];
        let ifindex = IfIndex(1 + u32::from(self.octet() % 3));
        let (kind, header, length_at) = TYPES[usize::from(self.octet()) % TYPES.len()];
        let count = usize::from(header) + usize::from(self.octet());
        let mut bytes = vec![0x83, header, 1, 0, kind, 1, 0, 0];
        bytes.extend(self.octets(count - 8));
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        bytes[length_at..length_at + 2].copy_from_slice(&length);
        if matches!(kind, 18 | 20) {
            let sum = checksum::fletcher(&bytes[12..], 12);
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        let source = Mac([2, 0, 0, 0, 0, 9]);
        self.tell(Input::Isis { ifindex, source, bytes: &bytes });
    }

    fn octet(&mut self) -> u8 {
        let Some((&first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        first
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }

    fn tell(&mut self, input: Input<'_>) {
        self.speaker.handle(self.now, input);
        while let Some(output) = self.speaker.poll_output() {
            self.asked.push(output);
        }
        for output in std::mem::take(&mut self.asked) {
            match output {
                Output::ReadFib => self.tell(Input::Fib(FibSnapshot::default())),
                Output::Fib(op) | Output::Divert(op) => self.refusable = Some(op),
                Output::OpenOspf(_)
                | Output::CloseOspf(_)
                | Output::OpenIsis { .. }
                | Output::CloseIsis(_)
                | Output::SendIsis { .. }
                | Output::AllDRouters { .. }
                | Output::SendOspf { .. }
                | Output::Removable(_)
                | Output::RequestBfd { .. }
                | Output::ReleaseBfd { .. }
                | Output::Reply { .. }
                | Output::Event(_) => {}
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut ticks = 0;
        while let Some((at, _)) = self.speaker.deadline().filter(|&(at, _)| at <= end) {
            ticks = if at > self.now { 0 } else { ticks + 1 };
            assert!(
                ticks < TICKS_AT_ONCE,
                "woken again and again for {:?}",
                self.speaker.deadline()
            );
            self.now = self.now.max(at);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    fn link(&mut self, ifindex: u32, up: bool) {
        let name = if ifindex == TAP { "tap0".to_owned() } else { format!("eth{ifindex}") };
        let local = address(ifindex, 1);
        let ifindex = IfIndex(ifindex);
        self.tell(Input::Link(Link {
            ifindex,
            name,
            admin_up: true,
            carrier: up,
            loopback: false,
            mtu: 1500,
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            master: None,
            vrf_table: None,
        }));
        if ifindex.0 != TAP {
            let local = local.into();
            self.tell(Input::Address(Address { ifindex, local, prefix_length: 24, peer: None }));
        }
    }

    fn host(&mut self) {
        let (choice, number) = (self.octet(), self.octet());
        let (vrf, address) =
            ("default".to_owned(), Ipv4Addr::new(10, 100, 0, number % 8 + 1).into());
        let change = if choice % 3 == 0 {
            HostChange::Remove { vrf, address }
        } else {
            let mac = Some(Mac([0x52, 0x54, 0, 0, 0, number]));
            let port = Some("tap0".to_owned());
            HostChange::Add { vrf, address, port, mac, candidate: choice % 7 == 0 }
        };
        self.tell(Input::Host { request: 1, change });
    }

    /// A Hello of one of three neighbours that mostly agrees with our settings, and lists us.
    fn hello(&mut self) {
        let odd = self.octet();
        let mut body = vec![255, 255, 255, odd & 0x80, 0, 1, 2, odd % 3, 0, 0, 0, 4];
        body.extend(
            Ipv4Addr::from(if odd & 8 == 0 { 0 } else { u32::from(address(2, 2)) }).octets(),
        );
        body.extend(
            Ipv4Addr::from(if odd & 16 == 0 { 0 } else { u32::from(address(2, 1)) }).octets(),
        );
        if odd & 32 == 0 {
            body.extend([192, 0, 2, 1]);
        }
        self.send(1, body);
    }

    /// A body as it comes.
    fn packet(&mut self, kind: u8) {
        let length = usize::from(self.octet());
        let body = self.octets(length);
        self.send(kind, body);
    }

    /// LSAs with right lengths and checksums, of few names, so that they meet each other.
    fn update(&mut self) {
        let count = self.octet() % 4;
        let mut body = vec![0, 0, 0, count];
        for _ in 0..count {
            let (kind, names, length) =
                (self.octet(), self.octet(), usize::from(self.octet() % 64));
            let content = self.octets(length);
            let age = if names & 0x80 == 0 { [0, 1] } else { [0x0e, 0x10] };
            let total = u16::try_from(20 + content.len()).unwrap_or(u16::MAX);
            let mut lsa = vec![age[0], age[1], 2, 1 + kind % 7];
            let id = if kind % 7 == 4 { [10, 100, 0, names % 8] } else { [192, 0, 2, names % 4] };
            lsa.extend(id);
            lsa.extend([192, 0, 2, names / 8 % 4]);
            lsa.extend([0x80, 0, kind / 8, names / 32 + 1, 0, 0]);
            lsa.extend(total.to_be_bytes());
            lsa.extend(content);
            let sum = checksum::fletcher(&lsa[2..], 14);
            lsa[16..18].copy_from_slice(&sum.to_be_bytes());
            body.extend(lsa);
        }
        self.send(4, body);
    }

    /// A packet of this type with a right header.
    fn send(&mut self, kind: u8, body: Vec<u8>) {
        let choice = self.octet();
        let (ifindex, number) = (1 + u32::from(choice % 2), 2 + choice / 2 % 3);
        let length = u16::try_from(24 + body.len()).unwrap_or(u16::MAX);
        let mut bytes = vec![2, kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend([192, 0, 2, number]);
        bytes.resize(24, 0);
        bytes.extend(body);
        let sum = checksum::internet(&[&bytes]);
        bytes[12..14].copy_from_slice(&sum.to_be_bytes());
        let (src, dst) = (address(ifindex, number), Ipv4Addr::new(224, 0, 0, 5));
        self.tell(Input::Ospf { ifindex: IfIndex(ifindex), src, dst, bytes: &bytes });
    }
}

fn address(ifindex: u32, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, u8::try_from(ifindex).unwrap_or(0), number)
}
