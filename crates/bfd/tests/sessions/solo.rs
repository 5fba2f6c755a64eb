//! One engine with a remote system that says what a test wants it to.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use bugle_bfd::{
    Arrival, Bfd, Change, Client, Discard, Event, Hop, Input, Output, Path, Profile, Session,
    Settings,
};
use bugle_types::{IfIndex, Time, VrfId};
use bugle_wire::bfd::{Auth, Control, Diagnostic, Discriminator, Flags, Interval, Packet, State};

/// The remote system's name for its session.
pub(crate) const THEIRS: u32 = 0x7e57;

pub(crate) struct Solo {
    pub(crate) bfd: Bfd,
    pub(crate) now: Time,
    /// Packets sent, with their times.
    pub(crate) sent: Vec<(Time, Control)>,
    /// Their bytes.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Everything else that was asked for.
    pub(crate) outputs: Vec<Output>,
    /// What the remote system says, if nothing else is said.
    pub(crate) remote: Control,
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn profile(interval: u64, multiplier: u8) -> Profile {
    Profile::new(ms(interval), ms(interval), multiplier).unwrap()
}

pub(crate) fn settings(profile: Profile) -> Settings {
    Settings { local: ip("192.0.2.1"), point_to_point: false, min_ttl: 0, profile }
}

pub(crate) fn path() -> Path {
    Path { vrf: VrfId::DEFAULT, hop: Hop::Single(IfIndex(3)), remote: ip("192.0.2.2") }
}

impl Solo {
    /// An engine with one session, asked for by OSPF.
    pub(crate) fn new(profile: Profile) -> Self {
        let mut solo = Self::empty();
        solo.request(Client::Ospf, profile);
        solo
    }

    /// An engine without sessions.
    pub(crate) fn empty() -> Self {
        let remote = Control {
            diagnostic: Diagnostic::NONE,
            state: State::Down,
            flags: Flags::NONE,
            detect_mult: NonZeroU8::new(3).unwrap(),
            my_discriminator: Discriminator::new(THEIRS).unwrap(),
            your_discriminator: None,
            desired_min_tx: Interval::SECOND,
            required_min_rx: Interval(10_000),
            required_min_echo_rx: Interval::ZERO,
        };
        let (sent, bytes, outputs) = (Vec::new(), Vec::new(), Vec::new());
        let (bfd, now) = (Bfd::new(1), Time::from_secs(1000));
        Self { bfd, now, sent, bytes, outputs, remote }
    }

    /// An engine whose session is Up, with a remote system that sends every 10 ms.
    pub(crate) fn up(profile: Profile) -> Self {
        let mut solo = Self::new(profile);
        solo.bring_up();
        solo
    }

    pub(crate) fn bring_up(&mut self) {
        self.remote.state = State::Down;
        self.remote.your_discriminator = None;
        self.hear();
        self.remote.desired_min_tx = Interval(10_000);
        self.hear_state(State::Up);
        assert_eq!(self.session().state(), State::Up);
        self.hear_with(Flags::FINAL);
        self.hear();
        assert!(!self.session().is_polling());
    }

    pub(crate) fn request(&mut self, client: Client, profile: Profile) {
        self.input(Input::Request { client, path: path(), settings: settings(profile) });
    }

    pub(crate) fn session(&self) -> &Session {
        self.bfd.state().session(path()).unwrap()
    }

    /// The remote system says what it says.
    pub(crate) fn hear(&mut self) {
        self.hear_with(Flags::NONE);
    }

    pub(crate) fn hear_with(&mut self, flags: Flags) {
        let control = Control { flags: self.remote.flags | flags, ..self.remote };
        self.hear_bytes(&control.emit(None));
    }

    /// The remote system is in another state from now on, and knows our name.
    pub(crate) fn hear_state(&mut self, state: State) {
        self.remote.state = state;
        self.remote.your_discriminator = Some(self.session().id());
        self.hear();
    }

    pub(crate) fn hear_auth(&mut self, auth: Option<&Auth<'_>>) {
        let control = self.remote;
        self.hear_bytes(&control.emit(auth));
    }

    pub(crate) fn hear_bytes(&mut self, bytes: &[u8]) {
        self.hear_from(path(), bytes);
    }

    /// A packet arrives on a path, just now and with a TTL of 255.
    pub(crate) fn hear_from(&mut self, path: Path, bytes: &[u8]) {
        let Path { vrf, hop, remote: source } = path;
        let received = self.now;
        self.input(Input::Control(Arrival { received, vrf, hop, source, ttl: 255, bytes }));
    }

    /// Time passes, and what is due is done on time. The remote system is silent.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, _)) = self.bfd.deadline()
            && at <= end
        {
            self.now = self.now.max(at);
            self.input(Input::Tick { drained: self.now });
        }
        self.now = end;
    }

    /// Time passes, and the remote system is heard every 10 ms.
    pub(crate) fn wait_alive(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.wait(ms(10).min(end.since(self.now)));
            self.hear();
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.bfd.handle(self.now, input);
        while let Some(output) = self.bfd.poll_output() {
            if let Output::Send { packet, .. } = output {
                self.sent.push((self.now, Packet::parse(&packet).unwrap().control));
                self.bytes.push(packet.to_vec());
            } else {
                self.outputs.push(output);
            }
        }
    }

    /// The packets sent since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Control> {
        self.bytes.clear();
        self.sent.drain(..).map(|(_, control)| control).collect()
    }

    /// The one packet sent since the last call.
    pub(crate) fn take_one(&mut self) -> Control {
        let sent = self.take_sent();
        let [one] = sent[..] else { panic!("{sent:?}") };
        one
    }

    /// The changes of state since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let change = |output| {
            if let Output::Event(Event::Changed(change)) = output { Some(change) } else { None }
        };
        self.outputs.drain(..).filter_map(change).collect()
    }

    /// How many packets were discarded for a reason.
    pub(crate) fn discarded(&self, reason: Discard) -> u64 {
        self.bfd.state().stats().discarded(reason)
    }
}
