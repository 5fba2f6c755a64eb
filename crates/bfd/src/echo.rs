//! The echo function (RFC 5880 sections 5, 6.4, 6.8.5, 6.8.8 and 6.8.9; RFC 5881 section 4).
//!
//! ```text
//! +-----------------------+------------------+------------------------+
//! | our discriminator (4) | sequence (4)     | random number (8)      |
//! +-----------------------+------------------+------------------------+
//! ```
//!
//! Only we read what we send. The random number, kept until the packet comes back, is what nobody else can make up.

use std::time::Duration;

use bugle_types::{Rng, Time};
use bugle_wire::bfd::{Discriminator, Interval};

use crate::io::ECHO_PACKET;
use crate::timing::Watch;

/// Echo packets that may be under way at a time; older ones are taken for lost.
const UNDER_WAY: usize = 16;

/// The echo function of a session, in the direction in which we send.
#[derive(Debug, Clone, Default)]
pub(crate) struct Echo {
    /// When the next packet is due; `None` while the function is not active.
    pub(crate) transmit_at: Option<Time>,
    pub(crate) watch: Watch,
    /// The time that the last packet took.
    pub(crate) round_trip: Option<Duration>,
    sequence: u32,
    under_way: [Option<Sent>; UNDER_WAY],
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    sequence: u32,
    random: u64,
    at: Time,
}

impl Echo {
    /// Starts at once.
    pub(crate) fn start(&mut self, now: Time) {
        self.transmit_at = Some(now);
        self.watch.hear(now);
    }

    pub(crate) fn stop(&mut self) {
        self.transmit_at = None;
        self.watch.stop();
        self.under_way = [None; UNDER_WAY];
    }

    /// The next packet.
    pub(crate) fn packet(
        &mut self,
        session: Discriminator,
        now: Time,
        rng: &mut Rng,
    ) -> [u8; ECHO_PACKET] {
        self.sequence = self.sequence.wrapping_add(1);
        let sent = Sent { sequence: self.sequence, random: rng.next_u64(), at: now };
        if let Some(slot) = self.under_way.get_mut(slot(sent.sequence)) {
            *slot = Some(sent);
        }
        let fields = u128::from(session.get()) << 96
            | u128::from(sent.sequence) << 64
            | u128::from(sent.random);
        fields.to_be_bytes()
    }

    /// A packet came back. False if we did not send it, or not recently, or if it came back before.
    pub(crate) fn on_return(&mut self, returned: &Returned, received: Time) -> bool {
        let Some(slot) = self.under_way.get_mut(slot(returned.sequence)) else { return false };
        let Some(sent) = slot
            .take_if(|sent| (sent.sequence, sent.random) == (returned.sequence, returned.random))
        else {
            return false;
        };
        self.round_trip = Some(received.since(sent.at));
        self.watch.hear(received);
        true
    }
}

/// What a packet that came back says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned {
    pub(crate) session: Discriminator,
    sequence: u32,
    random: u64,
}

impl Returned {
    /// `None` if this is none of our packets.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [s0, s1, s2, s3, n0, n1, n2, n3, random @ ..] = bytes else { return None };
        Some(Self {
            session: Discriminator::new(u32::from_be_bytes([*s0, *s1, *s2, *s3]))?,
            sequence: u32::from_be_bytes([*n0, *n1, *n2, *n3]),
            random: u64::from_be_bytes(random.try_into().ok()?),
        })
    }
}

/// The interval of our echo packets: no faster than the remote system allows.
pub(crate) fn interval(wanted: Interval, required_by_remote: Interval) -> Option<Interval> {
    let both = wanted != Interval::ZERO && required_by_remote != Interval::ZERO;
    both.then_some(wanted.max(required_by_remote))
}

const fn slot(sequence: u32) -> usize {
    sequence as usize % UNDER_WAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_recognised_once_and_only_as_it_was_sent() {
        let session = Discriminator::new(7).unwrap();
        let (mut echo, mut rng) = (Echo::default(), Rng::new(1));
        let sent = echo.packet(session, Time::from_millis(1), &mut rng);
        let mut forged = sent;
        forged[15] ^= 1;
        let back = |bytes: &[u8]| Returned::parse(bytes).unwrap();
        assert_eq!(back(&sent).session, session);
        assert!(!echo.on_return(&back(&forged), Time::from_millis(2)));
        assert!(echo.on_return(&back(&sent), Time::from_millis(3)));
        assert_eq!(echo.round_trip, Some(Duration::from_millis(2)));
        assert!(!echo.on_return(&back(&sent), Time::from_millis(4)));
        assert!(Returned::parse(&sent[..15]).is_none() && Returned::parse(&[0; 16]).is_none());
    }

    #[test]
    fn an_echo_that_took_too_long_counts_as_lost() {
        let session = Discriminator::new(7).unwrap();
        let (mut echo, mut rng) = (Echo::default(), Rng::new(1));
        let first = echo.packet(session, Time::ZERO, &mut rng);
        let second = echo.packet(session, Time::ZERO, &mut rng);
        for _ in 1..UNDER_WAY {
            echo.packet(session, Time::ZERO, &mut rng);
        }
        assert!(!echo.on_return(&Returned::parse(&first).unwrap(), Time::ZERO));
        assert!(echo.on_return(&Returned::parse(&second).unwrap(), Time::ZERO));
    }

    #[test]
    fn both_ends_must_want_the_echo_and_the_slower_decides() {
        assert_eq!(interval(Interval::ZERO, Interval(5)), None);
        assert_eq!(interval(Interval(5), Interval::ZERO), None);
        assert_eq!(interval(Interval(5), Interval(9)), Some(Interval(9)));
        assert_eq!(interval(Interval(9), Interval(5)), Some(Interval(9)));
    }
}
