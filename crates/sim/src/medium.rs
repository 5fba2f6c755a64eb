//! What carries packets: links and LANs with latency, loss and faults.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bugle_types::{IfIndex, Mac, Rng, Time};
use smallvec::SmallVec;

use crate::network::{FIRST_PORT, Network, NodeId, Port, SegmentId};

/// How good a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quality {
    /// From one end to the other; at least a microsecond.
    pub latency: Duration,
    /// Up to so much more, at random.
    pub jitter: Duration,
    /// Of a million packets, so many are lost.
    pub loss: u32,
    /// Of a million packets, so many arrive twice.
    pub duplicate: u32,
    /// Of a million packets, so many are late by a few latencies, and are overtaken by others. All others keep their order.
    pub reorder: u32,
    /// Bits per second; `None`: no limit.
    pub rate: Option<u64>,
    /// Octets that wait when the rate is reached; what comes on top is lost.
    pub queue: u64,
}

impl Default for Quality {
    /// 50 us, and nothing goes wrong.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(50),
            jitter: Duration::ZERO,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            rate: None,
            queue: 1 << 20,
        }
    }
}

/// What may be wrong with an attachment to a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Condition {
    /// The port has a carrier.
    pub(crate) carrier: bool,
    /// What it sends is lost, and nobody is told.
    pub(crate) mute: bool,
    /// What is sent to it is lost, and nobody is told.
    pub(crate) deaf: bool,
    /// During a partition: which part it is in.
    pub(crate) side: u8,
}

impl Condition {
    pub(crate) const GOOD: Self = Self { carrier: true, mute: false, deaf: false, side: 0 };
}

#[derive(Clone, Debug)]
struct Attachment {
    port: Port,
    condition: Condition,
    /// When the last packet will have left.
    free: Time,
    rng: Rng,
    /// When the last packet from here arrives at each other port.
    last: SmallVec<[Time; 2]>,
}

#[derive(Clone, Debug)]
struct Wire {
    quality: Quality,
    ports: SmallVec<[Attachment; 2]>,
}

/// A packet of a routing protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// What it is in.
    pub envelope: Envelope,
    /// The packet itself, held once by all that are alike: an LSA is flooded over many links at once.
    pub bytes: Arc<[u8]>,
}

/// What a packet is in, which says whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Envelope {
    /// OSPF: an IPv4 packet.
    Ospf {
        /// The IP source.
        src: Ipv4Addr,
        /// The IP destination.
        dst: Ipv4Addr,
    },
    /// IS-IS: a frame with logical link control.
    Isis {
        /// The frame's source.
        source: Mac,
        /// The frame's destination, a group.
        destination: Mac,
    },
}

impl Envelope {
    /// Its octets: an Ethernet frame with what is around it on the wire, and an IP header or the logical link control.
    const fn octets(self) -> usize {
        match self {
            Self::Ospf { .. } => 38 + 20,
            Self::Isis { .. } => 38 + 3,
        }
    }

    /// Whether a port with this address takes it in. Who does not take part in a group hears it, too: the engines tell what is for
    /// them.
    fn is_for(self, address: Ipv4Addr) -> bool {
        match self {
            Self::Ospf { dst, .. } => dst.is_multicast() || dst == address,
            Self::Isis { .. } => true,
        }
    }
}

/// A packet that will arrive.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Time,
    pub(crate) node: NodeId,
    pub(crate) ifindex: IfIndex,
    pub(crate) packet: Packet,
}

/// When and where a packet arrives.
struct Arrived {
    at: Time,
    node: NodeId,
    ifindex: IfIndex,
}

impl Arrived {
    fn with(self, packet: Packet) -> Delivery {
        let Self { at, node, ifindex } = self;
        Delivery { at, node, ifindex, packet }
    }
}

/// All segments.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    wires: Vec<Wire>,
    /// By router, then in the order of interfaces: the segment and the place on it.
    plugs: Vec<Vec<(SegmentId, usize)>>,
    lost: u64,
}

impl Medium {
    pub(crate) fn new(network: &Network, quality: Quality, seed: u64) -> Self {
        let mut plugs = vec![Vec::new(); network.routers.len()];
        let mut rng = Rng::new(seed);
        let wires = network
            .ports()
            .into_iter()
            .zip(&network.segments)
            .enumerate()
            .map(|(index, (ports, segment))| {
                let count = ports.len();
                for (place, port) in ports.iter().enumerate() {
                    // The router's interfaces are numbered as they come.
                    plugs[port.node.index()].push((SegmentId::at(index), place));
                }
                let attach = |port| Attachment {
                    port,
                    condition: Condition::GOOD,
                    free: Time::ZERO,
                    rng: Rng::new(rng.next_u64()),
                    last: SmallVec::from_elem(Time::ZERO, count),
                };
                Wire {
                    quality: segment.quality.unwrap_or(quality),
                    ports: ports.into_iter().map(attach).collect(),
                }
            })
            .collect();
        Self { wires, plugs, lost: 0 }
    }

    /// The shortest latency: what happens at one router cannot be felt at another before.
    pub(crate) fn lookahead(&self) -> Duration {
        let shortest = self.wires.iter().map(|wire| wire.quality.latency).min();
        shortest.unwrap_or(Duration::from_millis(1)).max(Duration::from_micros(1))
    }

    /// Packets lost so far.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Sends a packet; what becomes of it is appended to `deliveries`.
    pub(crate) fn send(
        &mut self,
        at: Time,
        from: (NodeId, IfIndex),
        packet: Packet,
        deliveries: &mut Vec<Delivery>,
    ) {
        let Some((segment, place)) = self.plug(from.0, from.1) else { return };
        let wire = &mut self.wires[segment.index()];
        let quality = wire.quality;
        let octets = packet.bytes.len() + packet.envelope.octets();
        let Some(depart) = depart(&quality, &mut wire.ports[place], at, octets) else {
            self.lost += 1;
            return;
        };
        // Most links have one other end: the packet goes there, not a copy.
        let mut last: Option<Arrived> = None;
        for index in 0..wire.ports.len() {
            let Attachment { port, condition, .. } = wire.ports[index];
            if index == place || !packet.envelope.is_for(port.address) {
                continue;
            }
            let sender = &mut wire.ports[place];
            if !passes(sender.condition, condition) || strikes(&mut sender.rng, quality.loss) {
                self.lost += 1;
                continue;
            }
            let copies = if strikes(&mut sender.rng, quality.duplicate) { 2 } else { 1 };
            for _ in 0..copies {
                let at = arrive(&quality, sender, depart, index);
                let next = Arrived { at, node: port.node, ifindex: port.ifindex };
                if let Some(before) = last.replace(next) {
                    deliveries.push(before.with(packet.clone()));
                }
            }
        }
        deliveries.extend(last.map(|last| last.with(packet)));
    }

    /// Changes every segment's quality. Latencies never fall below what they were at the start: the windows in which routers are
    /// independent depend on it.
    pub(crate) fn set_quality(&mut self, change: impl Fn(&mut Quality)) {
        let floor = self.lookahead();
        for wire in &mut self.wires {
            change(&mut wire.quality);
            wire.quality.latency = wire.quality.latency.max(floor);
        }
    }

    /// The segments between two routers.
    pub(crate) fn between(&self, a: NodeId, b: NodeId) -> Vec<SegmentId> {
        let on = |segment: &SegmentId| {
            self.wires[segment.index()].ports.iter().any(|other| other.port.node == b)
        };
        self.plugs[a.index()].iter().map(|&(segment, _)| segment).filter(on).collect()
    }

    /// The ports on a segment, and their conditions.
    pub(crate) fn ports(
        &self,
        segment: SegmentId,
    ) -> impl Iterator<Item = (Port, Condition)> + use<'_> {
        self.wires[segment.index()].ports.iter().map(|at| (at.port, at.condition))
    }

    /// All segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = SegmentId> + use<> {
        (0..self.wires.len()).map(SegmentId::at)
    }

    /// A router's ports, and their conditions.
    pub(crate) fn ports_of(
        &self,
        node: NodeId,
    ) -> impl Iterator<Item = (SegmentId, Port, Condition)> + use<'_> {
        self.plugs[node.index()].iter().map(|&(segment, place)| {
            let attachment = &self.wires[segment.index()].ports[place];
            (segment, attachment.port, attachment.condition)
        })
    }

    /// Changes the condition of a router's port on a segment. Whether the carrier changed.
    pub(crate) fn set(
        &mut self,
        segment: SegmentId,
        node: NodeId,
        change: impl FnOnce(&mut Condition),
    ) -> bool {
        let mut ports = self.wires[segment.index()].ports.iter_mut();
        let Some(attachment) = ports.find(|at| at.port.node == node) else { return false };
        let before = attachment.condition.carrier;
        change(&mut attachment.condition);
        before != attachment.condition.carrier
    }

    /// Where an interface is plugged in.
    fn plug(&self, node: NodeId, ifindex: IfIndex) -> Option<(SegmentId, usize)> {
        let place = ifindex.0.checked_sub(FIRST_PORT + 1)?;
        self.plugs[node.index()].get(place as usize).copied()
    }

    /// Where a frame that a router sends out of an interface to a gateway arrives; `None`: nowhere.
    pub(crate) fn reach(
        &self,
        node: NodeId,
        ifindex: IfIndex,
        gateway: Ipv4Addr,
    ) -> Option<NodeId> {
        let (segment, place) = self.plug(node, ifindex)?;
        let wire = &self.wires[segment.index()];
        let from = wire.ports[place].condition;
        let to = wire.ports.iter().find(|at| at.port.address == gateway)?;
        passes(from, to.condition).then_some(to.port.node)
    }
}

/// Whether what is sent from one port can arrive at another.
pub(crate) const fn passes(from: Condition, to: Condition) -> bool {
    from.carrier && to.carrier && !from.mute && !to.deaf && from.side == to.side
}

/// When a packet has left; `None`: the queue is full.
fn depart(quality: &Quality, sender: &mut Attachment, at: Time, octets: usize) -> Option<Time> {
    let Some(rate) = quality.rate.filter(|&rate| rate > 0) else { return Some(at) };
    let bits = |octets: u64| octets.saturating_mul(8).saturating_mul(1_000_000_000) / rate;
    let waiting = sender.free.since(at);
    if waiting > Duration::from_nanos(bits(quality.queue)) {
        return None;
    }
    let octets = u64::try_from(octets).unwrap_or(u64::MAX);
    sender.free = sender.free.max(at) + Duration::from_nanos(bits(octets));
    Some(sender.free)
}

/// When a packet arrives at another port.
fn arrive(quality: &Quality, sender: &mut Attachment, depart: Time, to: usize) -> Time {
    let spread = |rng: &mut Rng, most: Duration| {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rng.below(nanos.saturating_add(1)))
    };
    let mut delay = quality.latency;
    if !quality.jitter.is_zero() {
        delay += spread(&mut sender.rng, quality.jitter);
    }
    if strikes(&mut sender.rng, quality.reorder) {
        let most = (quality.latency + quality.jitter) * 4;
        return depart + delay + spread(&mut sender.rng, most);
    }
    let arrival = (depart + delay).max(sender.last[to]);
    sender.last[to] = arrival;
    arrival
}

/// Whether something that happens to so many of a million happens now.
fn strikes(rng: &mut Rng, per_million: u32) -> bool {
    per_million > 0 && rng.below(1_000_000) < per_million.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTICAST: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 5);

    /// Sends so many packets of a thousand octets at once from the first router; when each arrives, by its number.
    fn send(quality: Quality, count: u8) -> (Vec<(Time, u8)>, u64) {
        let mut medium = Medium::new(&Network::chain(2), quality, 1);
        let (_, port, _) = medium.ports_of(NodeId(0)).next().unwrap();
        let mut deliveries = Vec::new();
        for number in 0..count {
            let envelope = Envelope::Ospf { src: port.address, dst: MULTICAST };
            let packet = Packet { envelope, bytes: [number; 1000].into() };
            let from = (NodeId(0), port.ifindex);
            medium.send(Time::ZERO, from, packet, &mut deliveries);
        }
        let arrived = deliveries.iter().map(|delivery| (delivery.at, delivery.packet.bytes[0]));
        (arrived.collect(), medium.lost())
    }

    #[test]
    fn packets_keep_their_order_but_for_those_held_back() {
        let jitter = Duration::from_micros(500);
        let (arrived, _) = send(Quality { jitter, ..Quality::default() }, 200);
        assert!(arrived.is_sorted() && arrived.len() == 200);
        assert!(arrived[0].0 >= Time::ZERO + Quality::default().latency);
        let (arrived, _) = send(Quality { jitter, reorder: 100_000, ..Quality::default() }, 200);
        assert!(!arrived.is_sorted());
    }

    #[test]
    fn of_many_packets_the_stated_share_is_lost_or_doubled() {
        let (arrived, lost) = send(Quality { loss: 500_000, ..Quality::default() }, 250);
        assert_eq!(arrived.len() as u64 + lost, 250);
        assert!((80..170).contains(&lost), "{lost}");
        let (arrived, _) = send(Quality { duplicate: 500_000, ..Quality::default() }, 250);
        assert!((330..420).contains(&arrived.len()), "{}", arrived.len());
    }

    #[test]
    fn a_rate_spaces_packets_and_a_full_queue_loses_what_comes_on_top() {
        // A packet with its headers takes 1,058 octets: 8.464 ms at a megabit.
        let quality = Quality { rate: Some(1_000_000), queue: 5_000, ..Quality::default() };
        let (arrived, lost) = send(quality, 10);
        let spacing = Duration::from_micros(1_058 * 8);
        assert_eq!(arrived[0].0, Time::ZERO + quality.latency + spacing);
        assert!(arrived.windows(2).all(|pair| pair[1].0.since(pair[0].0) == spacing));
        assert_eq!((arrived.len(), lost), (5, 5));
    }

    #[test]
    fn deaf_mute_and_parted_ports_hear_nothing() {
        let good = Condition::GOOD;
        assert!(passes(good, good));
        for bad in [
            Condition { carrier: false, ..good },
            Condition { mute: true, deaf: true, ..good },
            Condition { side: 1, ..good },
        ] {
            assert!(!passes(good, bad) && !passes(bad, good));
        }
        assert!(passes(good, Condition { mute: true, ..good }));
        assert!(!passes(Condition { mute: true, ..good }, good));
    }
}
