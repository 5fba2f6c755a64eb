//! The sockets that BFD packets come in by: a pair for each UDP port and IP version, and for each VRF that has a device.
//!
//! Waking up costs far more than a packet, and a packet that says what the last one said can wait: it has the kernel's time of
//! arrival. So the kernel puts such packets into a socket that nobody waits for, and all others into one that wakes the thread.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bugle_types::{IfIndex, Time};
use bugle_wire::bfd::{CONTROL_PORT, MULTIHOP_PORT};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt,
    sockopt,
};
use nix::sys::time::TimeSpec;
use nix::{cmsg_space, libc};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Clock;
use crate::socket::{JUMP_IF_EQUAL, LOAD_U8, RECEIVE_BUFFER, RETURN};

/// Packets taken with one system call.
const BATCH: usize = 8;
/// System calls in a row: a flood must not keep us from sending.
const BATCHES: usize = 128;
/// Room for the longest packet that a length field can state.
const LONGEST: usize = 256;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Purpose {
    pub(super) port: Port,
    pub(super) ipv6: bool,
    /// The VRF's device, if it has one.
    pub(super) device: Option<IfIndex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Port {
    SingleHop,
    Multihop,
}

/// A packet as it came.
pub(super) struct Incoming<'a> {
    /// When it was taken out of the socket, and when it came to be there.
    pub(super) taken: Time,
    pub(super) received: Time,
    pub(super) source: IpAddr,
    /// The interface it came by.
    pub(super) ifindex: IfIndex,
    /// The address it came to.
    pub(super) destination: IpAddr,
    /// None if the kernel did not say.
    pub(super) ttl: Option<u8>,
    pub(super) bytes: &'a [u8],
}

pub(super) struct Receiver {
    pub(super) purpose: Purpose,
    /// For packets that must be looked at now.
    urgent: Inlet,
    /// For packets that can wait; without it all go to the other.
    steady: Option<Inlet>,
}

/// A socket, and how far it has been read.
pub(super) struct Inlet {
    /// Shared with whoever waits for it.
    pub(super) socket: Arc<Socket>,
    /// Everything that came before this has been handed in.
    pub(super) drained: Time,
}

/// Room for the packets of each kind: each thread has its own. The kernel leaves in the headers how much of them it has used, so the next
/// packet must not need more.
pub(super) struct Rooms {
    ipv4: Room,
    ipv6: Room,
    pub(super) echo: Room,
}

/// Room for what one system call takes.
pub(super) struct Room {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; LONGEST]; BATCH]>,
}

/// What the kernel gives of a packet.
pub(super) type Message<'m> = RecvMsg<'m, 'm, SockaddrStorage>;

impl Receiver {
    /// # Errors
    /// If a socket cannot be had; `AddrInUse`: another program has the port.
    pub(super) fn open(purpose: Purpose, now: Time) -> io::Result<Self> {
        // Sockets that share a port share it with whoever has the same user. So first see whether anybody has it.
        drop(bound(purpose, Sharing::Not)?);
        let urgent = bound(purpose, Sharing::InPair)?;
        let steady = bound(purpose, Sharing::InPair).and_then(|steady| {
            // It has to hold what comes until the next turn.
            setsockopt(&steady, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            sort(&steady)?;
            Ok(steady)
        });
        let inlet = |socket| Inlet { socket: Arc::new(socket), drained: now };
        let (urgent, steady) = (inlet(urgent), steady.ok().map(inlet));
        Ok(Self { purpose, urgent, steady })
    }

    /// The sockets to wait for: with all of them, no packet has to wait.
    pub(super) fn sockets(&self, all: bool) -> impl Iterator<Item = Arc<Socket>> {
        let steady = self.steady.as_ref().filter(|_| all);
        [Some(&self.urgent), steady].into_iter().flatten().map(|inlet| Arc::clone(&inlet.socket))
    }

    /// Hands in every packet there is, and says up to when that is all that came.
    ///
    /// # Errors
    /// If a socket has an error to tell; it stays of use.
    pub(super) fn drain(
        &mut self,
        how: Drain,
        rooms: &mut Rooms,
        clock: &Clock,
        mut hand_in: impl FnMut(Incoming<'_>),
    ) -> io::Result<Time> {
        let Self { purpose, urgent, steady } = self;
        let room = if purpose.ipv6 { &mut rooms.ipv6 } else { &mut rooms.ipv4 };
        let mut hand_in = |message: &Message<'_>, taken, received: &dyn Fn(Duration) -> Time| {
            if let Some(incoming) = incoming(message, taken, received) {
                hand_in(incoming);
            }
        };
        // What is steady came first, as a rule.
        let looked_at = steady.iter_mut().chain((how == Drain::All).then_some(&mut *urgent));
        for inlet in looked_at {
            inlet.drain(room, clock, &mut hand_in)?;
        }
        Ok(steady.as_ref().map_or(Time::MAX, |steady| steady.drained).min(urgent.drained))
    }
}

/// Which sockets to drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    All,
    /// Those that nobody is woken for; in the others there is nothing if nobody was.
    Steadily,
}

/// How a socket has its port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Not,
    InPair,
}

fn bound(purpose: Purpose, sharing: Sharing) -> io::Result<Socket> {
    let (domain, any): (_, IpAddr) = if purpose.ipv6 {
        (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into())
    } else {
        (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into())
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(sharing == Sharing::InPair)?;
    if let Some(device) = purpose.device.and_then(|device| NonZeroU32::new(device.0)) {
        socket.bind_device_by_index_v4(Some(device))?;
    }
    if purpose.ipv6 {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
    }
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    let port = match purpose.port {
        Port::SingleHop => CONTROL_PORT,
        Port::Multihop => MULTIHOP_PORT,
    };
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket)
}

/// Has the kernel choose between the two sockets of a port, of which the second to be bound is the one for what is steady: in state
/// Up, with neither Poll nor Final, Demand nor Multipoint (RFC 5880 section 4.1). The program begins at the UDP payload; what is too short for
/// it goes to the first.
fn sort(member: &Socket) -> io::Result<()> {
    const AND: u16 = 0x54;
    const STATE_P_F_D_M: u32 = 0b1111_0011;
    const UP: u32 = 0b1100_0000;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD_U8, 0, 0, 1),
        step(AND, 0, 0, STATE_P_F_D_M),
        step(JUMP_IF_EQUAL, 1, 0, UP),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, 1),
    ];
    let program = libc::sock_fprog { len: 5, filter: steps.as_mut_ptr() };
    Ok(setsockopt(member, sockopt::AttachReusePortCbpf, &program)?)
}

impl Rooms {
    pub(super) fn new() -> Self {
        Self { ipv4: Room::new(), ipv6: Room::new(), echo: Room::new() }
    }
}

impl Room {
    fn new() -> Self {
        let control = cmsg_space!(libc::in6_pktinfo, libc::c_int, libc::timespec);
        let headers = MultiHeaders::preallocate(BATCH, Some(control));
        Self { headers, buffers: Box::new([[0; LONGEST]; BATCH]) }
    }
}

impl Inlet {
    /// Hands in every message there is, with the time it was taken at, and what turns a time of the wall clock into ours. A flood
    /// goes on and on: then that was not all.
    ///
    /// # Errors
    /// If the socket has an error to tell.
    pub(super) fn drain(
        &mut self,
        room: &mut Room,
        clock: &Clock,
        hand_in: &mut impl FnMut(&Message<'_>, Time, &dyn Fn(Duration) -> Time),
    ) -> io::Result<()> {
        let start = clock.now();
        for _ in 0..BATCHES {
            let mut slices = room.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            let count = match recvmmsg(fd, &mut room.headers, &mut slices, flags, None) {
                Ok(messages) => {
                    let (now, wall) = clock.both();
                    // No packet is older than the last time that there was none.
                    let received = |stamp| (now - wall.saturating_sub(stamp)).max(self.drained);
                    messages.inspect(|message| hand_in(message, now, &received)).count()
                }
                Err(Errno::EAGAIN) => 0,
                Err(error) => return Err(error.into()),
            };
            if count < BATCH {
                self.drained = start;
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A message in our words; `received` turns a time of the wall clock into ours. None if the kernel did not say whence it came.
fn incoming<'m>(
    message: &Message<'m>,
    taken: Time,
    received: &dyn Fn(Duration) -> Time,
) -> Option<Incoming<'m>> {
    let from = message.address?;
    let source: IpAddr = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
        (Some(v4), _) => v4.ip().into(),
        (None, Some(v6)) => v6.ip().into(),
        (None, None) => return None,
    };
    let (mut arrived, mut ttl, mut stamp) = (None, None, None);
    for control in message.cmsgs().ok()? {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the kernel may say more than was asked"
        )]
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let destination = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                arrived = Some((info.ipi_ifindex.cast_unsigned(), destination.into()));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                arrived = Some((info.ipi6_ifindex, destination.into()));
            }
            ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                ttl = u8::try_from(limit).ok();
            }
            ControlMessageOwned::ScmTimestampns(time) => stamp = Some(time),
            _ => {}
        }
    }
    let (ifindex, destination) = arrived?;
    Some(Incoming {
        taken,
        received: received(stamp.map(TimeSpec::into)?),
        source,
        ifindex: IfIndex(ifindex),
        destination,
        ttl,
        bytes: message.iovs().next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use bugle_wire::bfd::State;
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    /// Runs a test in a network of its own, if that is permitted.
    fn alone(test: impl FnOnce() + Send + 'static) {
        if !nix::unistd::Uid::effective().is_root() {
            eprintln!("skipped: needs root, for a network namespace");
            return;
        }
        let run = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let up = ["link", "set", "dev", "lo", "up"];
            assert!(std::process::Command::new("ip").args(up).status().unwrap().success());
            test();
        };
        std::thread::Builder::new().spawn(run).unwrap().join().unwrap();
    }

    fn is_readable(socket: &Socket) -> bool {
        socket.recv_with_flags(&mut [std::mem::MaybeUninit::uninit()], libc::MSG_PEEK).is_ok()
    }

    #[test]
    fn what_says_nothing_new_wakes_nobody_and_everything_else_does() {
        alone(|| {
            let clock = Clock::start();
            for (ipv6, port, to) in [
                (false, Port::SingleHop, ("127.0.0.1", CONTROL_PORT)),
                (false, Port::Multihop, ("127.0.0.1", MULTIHOP_PORT)),
                (true, Port::SingleHop, ("::1", CONTROL_PORT)),
                (true, Port::Multihop, ("::1", MULTIHOP_PORT)),
            ] {
                let purpose = Purpose { port, ipv6, device: None };
                let mut receiver = Receiver::open(purpose, clock.now()).unwrap();
                let remote = UdpSocket::bind((to.0, 0)).unwrap();
                let mut check = |packet: &[u8], steady: bool| {
                    remote.send_to(packet, to).unwrap();
                    assert_eq!(is_readable(&receiver.urgent.socket), !steady, "{packet:x?}");
                    assert_eq!(is_readable(&receiver.steady.as_ref().unwrap().socket), steady);
                    let mut taken = Vec::new();
                    let before = clock.now();
                    let mut drain = |how| {
                        let take = |incoming: Incoming<'_>| taken.push(incoming.bytes.to_vec());
                        receiver.drain(how, &mut Rooms::new(), &clock, take).unwrap()
                    };
                    assert!(drain(Drain::Steadily) < before);
                    assert!(drain(Drain::All) > before);
                    assert_eq!(taken, [packet]);
                };
                let mut packet = [0; 24];
                for byte in 0..=u8::MAX {
                    packet[1] = byte;
                    // Up, whatever the C and A bits say.
                    let up = byte >> 6 == State::Up as u8;
                    check(&packet, up && byte & 0b11_0011 == 0);
                }
                check(&[], false);
                check(&packet[..1], false);
            }
        });
    }

    #[test]
    fn a_port_that_another_program_has_is_not_shared() {
        alone(|| {
            let clock = Clock::start();
            let purpose = Purpose { port: Port::SingleHop, ipv6: false, device: None };
            let first = Receiver::open(purpose, clock.now()).unwrap();
            let second = Receiver::open(purpose, clock.now()).map(drop).unwrap_err();
            assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
            drop(first);
            assert!(Receiver::open(purpose, clock.now()).is_ok());
        });
    }
}
