//! The sockets that BFD packets come in by: one for each UDP port and IP version, and for each VRF that has a device.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

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

/// Packets taken with one system call.
const BATCH: usize = 16;
/// System calls in a row: a flood must not keep us from sending.
const BATCHES: usize = 64;
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
    socket: Socket,
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; LONGEST]; BATCH]>,
    /// Everything that came before this has been handed in.
    drained: Time,
}

impl Receiver {
    pub(super) fn open(purpose: Purpose, now: Time) -> io::Result<Self> {
        let (domain, any): (_, IpAddr) = if purpose.ipv6 {
            (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into())
        } else {
            (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into())
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
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
        let control = cmsg_space!(libc::in6_pktinfo, libc::c_int, libc::timespec);
        Ok(Self {
            purpose,
            socket,
            headers: MultiHeaders::preallocate(BATCH, Some(control)),
            buffers: Box::new([[0; LONGEST]; BATCH]),
            drained: now,
        })
    }

    /// Hands in every packet there is, and says up to when that is all that came.
    ///
    /// # Errors
    /// If the socket has an error to tell; it stays of use.
    pub(super) fn drain(
        &mut self,
        clock: &Clock,
        mut hand_in: impl FnMut(Incoming<'_>),
    ) -> io::Result<Time> {
        for _ in 0..BATCHES {
            let before = clock.now();
            let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            let messages = match recvmmsg(fd, &mut self.headers, &mut slices, flags, None) {
                Ok(messages) => messages,
                Err(Errno::EAGAIN) => {
                    self.drained = before;
                    return Ok(before);
                }
                Err(error) => return Err(error.into()),
            };
            let (now, wall) = clock.both();
            let mut count = 0;
            for message in messages {
                count += 1;
                // No packet is older than the last time that there was none.
                let received = |stamp| (now - wall.saturating_sub(stamp)).max(self.drained);
                if let Some(incoming) = incoming(&message, received) {
                    hand_in(incoming);
                }
            }
            if count < BATCH {
                self.drained = before;
                return Ok(before);
            }
        }
        Ok(self.drained)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message in our words; `received` turns a time of the wall clock into ours. None if the kernel did not say whence it came.
fn incoming<'a>(
    message: &RecvMsg<'_, 'a, SockaddrStorage>,
    received: impl Fn(std::time::Duration) -> Time,
) -> Option<Incoming<'a>> {
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
        received: received(stamp.map(TimeSpec::into)?),
        source,
        ifindex: IfIndex(ifindex),
        destination,
        ttl,
        bytes: message.iovs().next().unwrap_or_default(),
    })
}
