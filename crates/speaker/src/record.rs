//! Recordings: all that a speaker was told, and when, so that an incident can be replayed bit for bit.
//!
//! A recording is text. Its first line, a JSON object, names the format, bugle's version and the speaker's seed; each further
//! line is one input: `t`, the time in nanoseconds, `in`, the input, and `asked`, a digest of all that the speaker has asked for
//! before. A replay by the same version asks for the same; that another's does not tells where their behaviours part.
//! Nothing here opens a file: [`Recorder`] makes lines, [`Replay`] takes them.

use std::fmt::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use bugle_bfd as bfd;
use bugle_rib::fib::{FibOp, FibSnapshot, NexthopId, RouteKey};
use bugle_types::{Address, IfIndex, Link, Mac, Time};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::Config;
use crate::io::{HostChange, Input, Output};
use crate::speaker::Speaker;

/// The format written here. In the first, what the kernel holds had no groups in which somebody stands by.
const FORMAT: u32 = 2;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    bugle_recording: u32,
    version: String,
    seed: u64,
    /// The time that [`Speaker::new`] was given.
    start: Time,
}

/// A line after the first, whose input is an [`Input`] when it is written and [`Told`] when it is read.
#[derive(Serialize, Deserialize)]
struct Line<I> {
    t: Time,
    #[serde(rename = "in")]
    input: I,
    asked: Digest,
}

/// An [`Input`] as it is read: it owns what it holds.
#[derive(Deserialize)]
enum Told {
    Tick,
    Config(Box<Config>),
    Link(Link),
    LinkGone(IfIndex),
    Address(Address),
    AddressGone(Address),
    Synced,
    Resync,
    Ospf { ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr, bytes: Octets },
    Isis { ifindex: IfIndex, source: Mac, bytes: Octets },
    Fib(FibSnapshot),
    FibFailed { op: FibOp, reason: String },
    FibDisturbed,
    FibReplaced(RouteKey),
    FibRemoved(Vec<NexthopId>),
    Bfd { at: Time, event: bfd::Event },
    Host { request: u64, change: HostChange },
    Shutdown,
}

impl Told {
    fn tell(self, speaker: &mut Speaker, now: Time) {
        let input = match self {
            Self::Tick => Input::Tick,
            Self::Config(config) => Input::Config(config),
            Self::Link(link) => Input::Link(link),
            Self::LinkGone(ifindex) => Input::LinkGone(ifindex),
            Self::Address(address) => Input::Address(address),
            Self::AddressGone(address) => Input::AddressGone(address),
            Self::Synced => Input::Synced,
            Self::Resync => Input::Resync,
            Self::Ospf { ifindex, src, dst, bytes } => {
                return speaker.handle(now, Input::Ospf { ifindex, src, dst, bytes: &bytes.0 });
            }
            Self::Isis { ifindex, source, bytes } => {
                return speaker.handle(now, Input::Isis { ifindex, source, bytes: &bytes.0 });
            }
            Self::Fib(snapshot) => Input::Fib(snapshot),
            Self::FibFailed { op, reason } => Input::FibFailed { op, reason },
            Self::FibDisturbed => Input::FibDisturbed,
            Self::FibReplaced(key) => Input::FibReplaced(key),
            Self::FibRemoved(ids) => Input::FibRemoved(ids),
            Self::Bfd { at, event } => Input::Bfd { at, event },
            Self::Host { request, change } => Input::Host { request, change },
            Self::Shutdown => Input::Shutdown,
        };
        speaker.handle(now, input);
    }
}

/// Writes a packet as hexadecimal digits.
pub(crate) fn hexadecimal<S: Serializer>(
    packet: impl AsRef<[u8]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    struct Hexadecimal<'a>(&'a [u8]);
    impl fmt::Display for Hexadecimal<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
        }
    }
    serializer.collect_str(&Hexadecimal(packet.as_ref()))
}

/// A packet, read from hexadecimal digits.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Octets(Vec<u8>);

impl TryFrom<String> for Octets {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = text.as_bytes().chunks(2);
        let octets = pairs.map(|pair| match pair {
            &[high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        });
        octets
            .collect::<Option<_>>()
            .map(Self)
            .ok_or("a packet is an even number of hexadecimal digits")
    }
}

/// Stands for all that was asked for so far, in order: FNV-1a of its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Digest(u64);

impl Digest {
    /// Of nothing: the offset basis.
    const NOTHING: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, output: &Output) {
        // Taking in text does not fail.
        let _ = write!(self, "{output:?}");
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// Makes the lines of a recording.
#[derive(Debug)]
pub struct Recorder {
    asked: Digest,
}

impl Recorder {
    /// Begins the recording of `Speaker::new(seed, start)`; with its first line.
    #[must_use]
    pub fn new(seed: u64, start: Time) -> (Self, String) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { bugle_recording: FORMAT, version, seed, start };
        (Self { asked: Digest::NOTHING }, line(&header))
    }

    /// The line of an input that the speaker is about to be told.
    #[must_use]
    pub fn told(&self, now: Time, input: &Input<'_>) -> String {
        line(&Line { t: now, input, asked: self.asked })
    }

    /// Takes note of what the speaker asked for.
    pub fn asked(&mut self, output: &Output) {
        self.asked.add(output);
    }
}

/// One line of JSON. Everything here can be written as JSON.
fn line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads a key file.
pub type ReadKey = fn(&Path) -> Result<Vec<u8>, String>;

/// Tells a speaker what another was told, line by line.
#[derive(Debug)]
pub struct Replay {
    speaker: Speaker,
    version: String,
    asked: Digest,
    read_key: ReadKey,
    /// The line that was read last.
    line: usize,
    now: Time,
}

/// Why a replay cannot go on. Each names the line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    /// The first line is not that of a recording.
    #[error("line 1: this is no recording of bugle")]
    NoRecording,
    /// The format is another.
    #[error(
        "line 1: recordings of format {0} cannot be read by this version; use that which recorded it"
    )]
    Format(u32),
    /// A line cannot be read.
    #[error("line {line}: {reason}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that the configuration names cannot be had: recordings hold none.
    #[error(
        "line {line}: {reason}; recordings hold no keys: replay where the configuration finds them"
    )]
    NoKey {
        /// The line with the configuration.
        line: usize,
        /// Which key, and why not.
        reason: String,
    },
    /// The last line is not whole: the recording was broken off.
    #[error("line {0}: the recording breaks off here")]
    BrokenOff(usize),
    /// The speaker asked for something else than the one that was recorded.
    #[error(
        "line {line}: before {at:?}, this version {} asked for something else than the {recorded} that was recorded",
        env!("CARGO_PKG_VERSION")
    )]
    Parted {
        /// The line of the input before which they differ.
        line: usize,
        /// Its time.
        at: Time,
        /// The version that was recorded.
        recorded: String,
    },
}

impl Replay {
    /// Begins with a recording's first line. Keys are not in recordings: those that the configuration names are read by
    /// `read_key`.
    ///
    /// # Errors
    /// If it is not that of a recording which can be read.
    pub fn new(first: &str, read_key: ReadKey) -> Result<Self, ReplayError> {
        let header: Header = serde_json::from_str(first).map_err(|_| ReplayError::NoRecording)?;
        if header.bugle_recording != FORMAT {
            return Err(ReplayError::Format(header.bugle_recording));
        }
        let Header { version, seed, start, .. } = header;
        let speaker = Speaker::new(seed, start);
        Ok(Self { speaker, version, asked: Digest::NOTHING, read_key, line: 1, now: start })
    }

    /// Tells the speaker what the next line says, and hands each thing it asks for to `asked`.
    ///
    /// # Errors
    /// If the line cannot be read, or a key that it names; or, before the input is told, if the speaker has by then asked for something else than the
    /// one that was recorded.
    pub fn step(
        &mut self,
        text: &str,
        mut asked: impl FnMut(Time, Output),
    ) -> Result<(), ReplayError> {
        self.line += 1;
        let line = self.line;
        let Line::<Told> { t, mut input, asked: recorded } =
            serde_json::from_str(text).map_err(|error| {
                if error.is_eof() {
                    return ReplayError::BrokenOff(line);
                }
                ReplayError::Unreadable { line, reason: error.to_string() }
            })?;
        if recorded != self.asked {
            return Err(ReplayError::Parted { line, at: t, recorded: self.version.clone() });
        }
        if let Told::Config(config) = &mut input {
            config
                .load_keys(self.read_key)
                .map_err(|error| ReplayError::NoKey { line, reason: error.to_string() })?;
        }
        self.now = t;
        input.tell(&mut self.speaker, t);
        while let Some(output) = self.speaker.poll_output() {
            self.asked.add(&output);
            asked(t, output);
        }
        Ok(())
    }

    /// The speaker as it is now.
    #[must_use]
    pub const fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// The version of bugle that was recorded.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many inputs have been told, and the time of the last.
    #[must_use]
    pub const fn told(&self) -> (usize, Time) {
        (self.line - 1, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
        [vrf.default.isis]
        net = \"49.0001.0000.0000.0001.00\"
        [[vrf.default.isis.interface]]
        name = \"eth*\"
        type = \"point-to-point\"
        auth = { type = \"hmac-sha-256\", key-file = \"/etc/bugle/isis.key\" }
    ";

    /// What a speaker of authenticated IS-IS was told, until it has sent some Hellos.
    fn recording() -> String {
        let mut now = Time::from_secs(1);
        let (mut recorder, mut text) = Recorder::new(7, now);
        let mut speaker = Speaker::new(7, now);
        let mut config = Config::parse(CONFIG).expect("it is a configuration");
        config.load_keys(|_| Ok::<_, String>(b"tromBone".to_vec())).expect("it is a key");
        let ifindex = IfIndex(2);
        let link = Link {
            ifindex,
            name: "eth0".to_owned(),
            admin_up: true,
            carrier: true,
            loopback: false,
            mtu: 1500,
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            master: None,
            vrf_table: None,
        };
        let local = Ipv4Addr::new(10, 0, 0, 1).into();
        let address = Address { ifindex, local, prefix_length: 24, peer: None };
        let start = [
            Input::Config(Box::new(config)),
            Input::Link(link),
            Input::Address(address),
            Input::Synced,
            Input::Fib(FibSnapshot::default()),
        ];
        let ticks = std::iter::repeat_with(|| Input::Tick).take(20);
        let mut hellos = 0;
        for input in start.into_iter().chain(ticks) {
            if matches!(input, Input::Tick) {
                now = speaker.deadline().map_or(now, |(due, _)| due.max(now));
            }
            text.push_str(&recorder.told(now, &input));
            speaker.handle(now, input);
            while let Some(output) = speaker.poll_output() {
                hellos += usize::from(matches!(output, Output::SendIsis { .. }));
                recorder.asked(&output);
            }
        }
        assert!(hellos > 2, "{hellos}");
        text
    }

    fn replay(text: &str, read_key: ReadKey) -> Result<(), ReplayError> {
        let mut lines = text.lines();
        let mut replay = Replay::new(lines.next().unwrap_or_default(), read_key)?;
        lines.try_for_each(|line| replay.step(line, |_, _| {}))
    }

    #[test]
    fn a_recording_of_authenticated_is_is_holds_no_key_and_is_replayed_with_it() {
        let text = recording();
        assert!(!text.contains("tromBone") && !text.contains("74726f6d"));
        assert_eq!(replay(&text, |_| Ok(b"tromBone".to_vec())), Ok(()));
        let parted = replay(&text, |_| Ok(b"trumpet".to_vec()));
        assert!(matches!(parted, Err(ReplayError::Parted { .. })), "{parted:?}");
        let refused = replay(&text, |_| Err("no such file".to_owned())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "line 2: key file /etc/bugle/isis.key: no such file; recordings hold no keys: replay where the configuration \
             finds them"
        );
    }
}
