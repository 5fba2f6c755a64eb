//! Traffic that shows what the data plane does: numbered UDP packets at a fixed rate, and who received them when.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{LabError, Result};
use crate::node::Node;

/// The UDP port that probes are sent to.
const PORT: u16 = 7007;

/// How long after the last packet was sent the receivers still listen.
const LINGER: Duration = Duration::from_millis(50);

/// A running stream of packets.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Vec<Instant>>,
    receivers: Vec<JoinHandle<Vec<(u64, Instant)>>>,
}

/// What became of the packets of a [`Probe`].
#[derive(Clone, Debug, Default)]
pub struct ProbeReport {
    /// When each packet was sent; the position is its number.
    pub sent: Vec<Instant>,
    /// What arrived where, in order of arrival.
    pub arrivals: Vec<Arrival>,
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The packet's number.
    pub number: u64,
    /// When it arrived.
    pub at: Instant,
    /// The position of the receiver that got it.
    pub receiver: usize,
}

/// What the packets to one of many targets suffered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interruption {
    /// When the first packet lost was sent.
    pub began: Option<Instant>,
    /// When the last packet lost was sent.
    pub last: Option<Instant>,
    /// When the first packet was sent from which on none was lost.
    pub ended: Option<Instant>,
    /// How many were lost.
    pub lost: usize,
}

/// What a stream suffered from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// From the event to the sending of the first packet from which on none was lost; `None` if the last one was lost.
    pub duration: Option<Duration>,
    /// How many packets were lost that were sent after the event.
    pub lost: usize,
}

impl Probe {
    /// Sends `rate` packets a second from `client` to `target`, and listens for them in `receivers`.
    ///
    /// # Errors
    /// If a socket is refused: a receiver must own the address `target`.
    pub fn start(client: &Node, target: Ipv4Addr, rate: u32, receivers: &[&Node]) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let receivers = receivers.iter().map(|node| start_receiver(node, target, &stop));
        let receivers = receivers.collect::<Result<_>>()?;
        let sender = start_sender(client, vec![target], rate, &stop)?;
        Ok(Self { stop, sender, receivers })
    }

    /// Sends `rate` packets a second from `client` to each of `targets` in turn, all of which are addresses of `receiver`. What became
    /// of them says [`ProbeReport::interruptions`].
    ///
    /// # Errors
    /// If a socket is refused.
    pub fn fan(client: &Node, targets: &[Ipv4Addr], rate: u32, receiver: &Node) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let receivers = vec![start_receiver(receiver, Ipv4Addr::UNSPECIFIED, &stop)?];
        let each = rate.saturating_mul(u32::try_from(targets.len()).unwrap_or(u32::MAX));
        let sender = start_sender(client, targets.to_vec(), each, &stop)?;
        Ok(Self { stop, sender, receivers })
    }

    /// Ends the stream and tells what became of it.
    #[must_use]
    pub fn stop(self) -> ProbeReport {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked counts as one that saw nothing.
        let sent = self.sender.join().unwrap_or_default();
        let mut arrivals = Vec::new();
        for (receiver, thread) in self.receivers.into_iter().enumerate() {
            let packets = thread.join().unwrap_or_default();
            let arrival = |(number, at)| Arrival { number, at, receiver };
            arrivals.extend(packets.into_iter().map(arrival));
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        ProbeReport { sent, arrivals }
    }
}

impl ProbeReport {
    /// How many packets no receiver got.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.receptions().iter().filter(|&&receptions| receptions == 0).count()
    }

    /// How many receptions were of a packet received before.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.receptions().iter().map(|receptions| receptions.saturating_sub(1)).sum()
    }

    /// The longest time between two arrivals, wherever; `None` with fewer than two.
    #[must_use]
    pub fn longest_gap(&self) -> Option<Duration> {
        let times = self.arrivals.iter().map(|arrival| arrival.at);
        times.clone().zip(times.skip(1)).map(|(a, b)| b.duration_since(a)).max()
    }

    /// What the stream suffered from something that happened `at`: packets sent from then on count as lost unless `receiver`
    /// got them. After a move this is the machine's new place; nobody lives at the old one.
    #[must_use]
    pub fn outage(&self, at: Instant, receiver: usize) -> Outage {
        let mut delivered = vec![false; self.sent.len()];
        for arrival in self.arrivals.iter().filter(|arrival| arrival.receiver == receiver) {
            if let Some(delivered) = delivered.get_mut(index(arrival.number)) {
                *delivered = true;
            }
        }
        let after = self.sent.partition_point(|sent| *sent < at);
        let fate = delivered.get(after..).unwrap_or_default();
        let lost = fate.iter().filter(|delivered| !**delivered).count();
        let duration = match fate.iter().rposition(|delivered| !delivered) {
            None => Some(Duration::ZERO),
            Some(position) => {
                let recovery = self.sent.get(after + position + 1);
                recovery.map(|sent| sent.saturating_duration_since(at))
            }
        };
        Outage { duration, lost }
    }

    /// For each of so many targets, from when until when packets to it were lost: when the first one lost was sent, and the first
    /// one behind the last lost. Half of a pair is missing where nothing was lost, or the last packet was.
    #[must_use]
    pub fn interruptions(&self, targets: usize) -> Vec<Interruption> {
        let receptions = self.receptions();
        let fate = |target: usize| {
            let packets = self.sent.iter().zip(&receptions).skip(target).step_by(targets.max(1));
            packets.map(|(sent, receptions)| (*sent, *receptions > 0))
        };
        (0..targets)
            .map(|target| {
                let mut interruption = Interruption::default();
                for (sent, arrived) in fate(target) {
                    if !arrived {
                        interruption.lost += 1;
                        interruption.began = interruption.began.or(Some(sent));
                        (interruption.last, interruption.ended) = (Some(sent), None);
                    } else if interruption.began.is_some() && interruption.ended.is_none() {
                        interruption.ended = Some(sent);
                    }
                }
                interruption
            })
            .collect()
    }

    /// How often each packet was received.
    fn receptions(&self) -> Vec<usize> {
        let mut receptions = vec![0_usize; self.sent.len()];
        for arrival in &self.arrivals {
            if let Some(count) = receptions.get_mut(index(arrival.number)) {
                *count += 1;
            }
        }
        receptions
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn start_receiver(
    node: &Node,
    address: Ipv4Addr,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<Vec<(u64, Instant)>>> {
    let socket = node
        .enter(|| {
            let socket = UdpSocket::bind((address, PORT))?;
            // A receiver that is not scheduled for a while must not lose what the network did not.
            setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20))?;
            socket.set_read_timeout(Some(LINGER))?;
            io::Result::Ok(socket)
        })?
        .map_err(LabError::io(format!("listening at {address} in {}", node.name())))?;
    let stop = Arc::clone(stop);
    Ok(thread::spawn(move || receive(&socket, &stop)))
}

fn start_sender(
    client: &Node,
    targets: Vec<Ipv4Addr>,
    rate: u32,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<Vec<Instant>>> {
    let socket = client
        .enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?
        .map_err(LabError::io(format!("opening a socket in {}", client.name())))?;
    let period = Duration::from_secs(1) / rate.max(1);
    let stop = Arc::clone(stop);
    Ok(thread::spawn(move || send(&socket, &targets, period, &stop)))
}

/// The sender's thread. A packet that is late goes at once; the schedule stays.
fn send(
    socket: &UdpSocket,
    targets: &[Ipv4Addr],
    period: Duration,
    stop: &AtomicBool,
) -> Vec<Instant> {
    let mut sent = Vec::new();
    let mut due = Instant::now();
    for (number, target) in (0_u64..).zip(targets.iter().cycle()) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += period;
        sent.push(Instant::now());
        // A packet that this node already refuses to send is lost like any other.
        let _ = socket.send_to(&number.to_be_bytes(), (*target, PORT));
    }
    sent
}

/// A receiver's thread.
fn receive(socket: &UdpSocket, stop: &AtomicBool) -> Vec<(u64, Instant)> {
    let mut received = Vec::new();
    let mut buffer = [0; 8];
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => received.push((u64::from_be_bytes(buffer), Instant::now())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Silence for LINGER; every other error of a receiving UDP socket concerns an earlier packet.
            Err(_) if stop.load(Ordering::Relaxed) => return received,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of packets sent every millisecond; `receivers` says for each who got it.
    fn report(receivers: &[&[usize]]) -> (Instant, ProbeReport) {
        let start = Instant::now();
        let at = |number: usize| start + Duration::from_millis(number as u64);
        let sent = (0..receivers.len()).map(at).collect();
        let mut arrivals = Vec::new();
        for (number, receivers) in receivers.iter().enumerate() {
            let arrival = |receiver: &usize| Arrival {
                number: number as u64,
                at: at(number),
                receiver: *receiver,
            };
            arrivals.extend(receivers.iter().map(arrival));
        }
        (start, ProbeReport { sent, arrivals })
    }

    #[test]
    fn a_packet_at_the_old_place_counts_as_lost_after_the_move() {
        let (start, report) = report(&[&[0], &[0], &[0], &[1], &[0], &[1], &[1]]);
        let outage = report.outage(start + Duration::from_millis(2), 1);
        assert_eq!(outage, Outage { duration: Some(Duration::from_millis(3)), lost: 2 });
        assert_eq!(report.lost(), 0);
    }

    #[test]
    fn without_loss_there_is_no_outage() {
        let (start, report) = report(&[&[0], &[1], &[1]]);
        let outage = report.outage(start + Duration::from_millis(1), 1);
        assert_eq!(outage, Outage { duration: Some(Duration::ZERO), lost: 0 });
    }

    #[test]
    fn an_outage_that_lasts_to_the_end_has_no_duration() {
        let (start, report) = report(&[&[0], &[1], &[]]);
        assert_eq!(report.outage(start, 1), Outage { duration: None, lost: 2 });
        assert_eq!(report.lost(), 1);
    }

    #[test]
    fn each_target_has_an_interruption_of_its_own() {
        let (start, report) = report(&[&[0], &[], &[0], &[], &[0], &[0], &[], &[0]]);
        let at = |number| Some(start + Duration::from_millis(number));
        let [even, odd] = report.interruptions(2)[..] else { panic!("two targets") };
        assert_eq!(even, Interruption { began: at(6), last: at(6), ended: None, lost: 1 });
        assert_eq!(odd, Interruption { began: at(1), last: at(3), ended: at(5), lost: 2 });
    }

    #[test]
    fn duplicates_and_gaps_are_counted() {
        let (_, report) = report(&[&[0, 1], &[], &[], &[0]]);
        assert_eq!(report.duplicates(), 1);
        assert_eq!(report.lost(), 2);
        assert_eq!(report.longest_gap(), Some(Duration::from_millis(3)));
    }
}
