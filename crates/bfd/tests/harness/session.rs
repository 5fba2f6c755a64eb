//! What must hold of an engine that is given anything at any time. The fuzzer and the tests share it.

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use bugle_bfd::io::ECHO_PACKET;
use bugle_bfd::{
    Arrival, Authentication, Bfd, Client, EchoProfile, Hop, Input, Output, Path, Profile, Session,
    Settings,
};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{
    Auth, AuthType, Control, Datagram, Diagnostic, Discriminator, Flags, Interval, Packet, State,
};

const CLIENTS: [Client; 3] = [Client::Ospf, Client::Isis, Client::Static];

/// Reads `script` as inputs and plays them; then everybody leaves, and nothing must be left.
pub(crate) fn check(script: &[u8]) {
    let mut play = Play::new();
    let mut script = Script(script);
    while let Some(kind) = script.byte() {
        play.input(kind, &mut script);
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

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }

    /// Intervals of all sizes, the extremes among them.
    fn interval(&mut self) -> Interval {
        match self.u8() {
            0 => Interval::ZERO,
            255 => Interval(u32::MAX),
            small @ 1..=99 => Interval(u32::from(small) * 1_000),
            large => Interval(u32::from(large) * 100_000),
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.u8()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

struct Play {
    bfd: Bfd,
    now: Time,
    open: BTreeSet<Discriminator>,
    echo: [u8; ECHO_PACKET],
}

impl Play {
    fn new() -> Self {
        let (now, open) = (Time::from_secs(5), BTreeSet::new());
        Self { bfd: Bfd::new(7), now, open, echo: [0; ECHO_PACKET] }
    }

    fn input(&mut self, kind: u8, script: &mut Script<'_>) {
        match kind % 8 {
            0 => {
                let step = Duration::from_micros(u64::from(script.u8()).pow(2) * 20);
                self.now += step;
                self.tick(self.now);
            }
            1 => {
                let drained = [Time::ZERO, Time::MAX, self.now][usize::from(script.u8() % 3)];
                self.tick(drained);
            }
            2 => {
                let path = path(script.u8());
                self.hear(path, script.u8(), script.bytes());
            }
            3 | 4 => {
                let at = path(script.u8());
                let packet = self.packet(at, script);
                self.hear(at, 255, &packet);
            }
            5 => {
                let client = CLIENTS[usize::from(script.u8() % 3)];
                let (path, settings) = (path(script.u8()), settings(script));
                self.handle(Input::Request { client, path, settings });
            }
            6 => {
                let client = CLIENTS[usize::from(script.u8() % 3)];
                self.handle(Input::Release { client, path: path(script.u8()) });
            }
            _ => match script.u8() {
                0..=9 => self.handle(Input::Shutdown),
                10..=99 => self.handle(Input::Echo { received: self.now, bytes: script.bytes() }),
                _ => {
                    let echo = self.echo;
                    self.handle(Input::Echo { received: self.now, bytes: &echo });
                }
            },
        }
    }

    /// A packet with sense in it: of a remote system that knows our name, as a rule.
    fn packet(&self, path: Path, script: &mut Script<'_>) -> Datagram {
        let ours = self.bfd.state().session(path).map(Session::id);
        let yours = match script.u8() {
            0..=99 => None,
            100..=249 => ours,
            _ => Discriminator::new(script.u32()),
        };
        let control = Control {
            diagnostic: Diagnostic(script.u8() & 0x1f),
            state: State::ALL[usize::from(script.u8() % 4)],
            flags: Flags(script.u8() & 0x3a),
            detect_mult: NonZeroU8::new(script.u8()).unwrap_or(NonZeroU8::MIN),
            my_discriminator: Discriminator::new(u32::from(script.u8()) + 1)
                .expect("one more than something is not zero"),
            your_discriminator: yours,
            desired_min_tx: script.interval(),
            required_min_rx: script.interval(),
            required_min_echo_rx: script.interval(),
        };
        let auth = Auth::Password { key_id: 1, password: b"secret" };
        control.emit(Some(&auth).filter(|_| path.vrf == VrfId(1)))
    }

    fn hear(&mut self, path: Path, ttl: u8, bytes: &[u8]) {
        let Path { vrf, hop, remote: source } = path;
        let received = self.now - Duration::from_millis(u64::from(ttl % 7));
        self.handle(Input::Control(Arrival { received, vrf, hop, source, ttl, bytes }));
    }

    fn tick(&mut self, drained: Time) {
        self.handle(Input::Tick { drained });
        if drained >= self.now {
            // Whatever one turn leaves behind, another one does.
            (0..2).for_each(|_| self.handle(Input::Tick { drained }));
            assert!(self.bfd.deadline().is_none_or(|(at, _)| at > self.now));
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let sessions = self.bfd.state().sessions().count();
        self.bfd.handle(self.now, input);
        let mut outputs = 0;
        while let Some(output) = self.bfd.poll_output() {
            outputs += 1;
            self.look_at(output);
        }
        assert!(outputs <= 8 * (sessions + 1), "{outputs} outputs of {sessions} sessions");
        let sessions: BTreeSet<_> = self.bfd.state().sessions().map(Session::id).collect();
        assert_eq!(sessions, self.open);
        assert_eq!(self.bfd.is_stopped(), sessions.is_empty());
        assert_eq!(self.bfd.deadline().is_some(), self.has_timers());
    }

    fn has_timers(&self) -> bool {
        self.bfd.deadline().is_some_and(|(at, _)| at < Time::MAX)
    }

    fn look_at(&mut self, output: Output) {
        match output {
            Output::Open(endpoint) => {
                assert!(endpoint.source_port >= 49_152);
                self.open.insert(endpoint.session);
            }
            Output::Close(session) => assert!(self.open.remove(&session)),
            Output::Send { session, packet } => {
                assert!(self.open.contains(&session));
                let control = Packet::parse(&packet).expect("what is sent is well-formed").control;
                assert_eq!(control.my_discriminator, session);
                assert!(!control.flags.contains(Flags::POLL | Flags::FINAL));
                assert!(!control.flags.contains(Flags::DEMAND));
                let slow = control.desired_min_tx >= Interval::SECOND;
                assert!(slow || control.state == State::Up, "{control:?}");
            }
            Output::Echo { session, packet } => {
                assert!(self.open.contains(&session));
                self.echo = packet;
            }
            Output::Event(_) => {}
        }
    }

    fn end(mut self) {
        self.handle(Input::Shutdown);
        for _ in 0..20_000 {
            let Some((at, _)) = self.bfd.deadline() else { break };
            self.now = self.now.max(at);
            self.handle(Input::Tick { drained: self.now });
        }
        assert!(self.bfd.is_stopped() && self.open.is_empty());
    }
}

/// One of a few paths.
fn path(choice: u8) -> Path {
    let vrf = VrfId(u32::from(choice & 1));
    let remote =
        if choice & 2 == 0 { [192, 0, 2, 2].into() } else { [0xfe80, 0, 0, 0, 0, 0, 0, 2].into() };
    let hop = if choice & 4 == 0 {
        Hop::Single(IfIndex(3))
    } else {
        Hop::Multi([198, 51, 100, 1].into())
    };
    Path { vrf, hop, remote }
}

fn settings(script: &mut Script<'_>) -> Settings {
    let choice = script.u8();
    let keys: [(u8, &[u8]); 1] = [(1, b"secret")];
    let auth = match choice & 0x30 {
        0x10 => Authentication::new(AuthType::SIMPLE_PASSWORD, keys).ok(),
        0x20 => Authentication::new(AuthType::METICULOUS_KEYED_SHA1, keys).ok(),
        _ => None,
    };
    let profile = Profile {
        tx: script.interval(),
        rx: script.interval(),
        multiplier: NonZeroU8::new(script.u8()).unwrap_or(NonZeroU8::MIN),
        passive: choice & 1 != 0,
        control_plane_independent: choice & 2 != 0,
        admin_down: choice & 4 != 0,
        echo: EchoProfile { tx: script.interval(), rx: script.interval() },
        auth: auth.map(Arc::new),
    };
    let local = [192, 0, 2, choice >> 6].into();
    Settings { local, point_to_point: choice & 8 != 0, min_ttl: choice, profile }
}
