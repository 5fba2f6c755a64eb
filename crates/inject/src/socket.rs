//! A netlink socket with large buffers, and dumps over it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::socket::{MsgFlags, setsockopt, sockopt};

use crate::error::NetlinkError;
use crate::netlink::{self, Malformed, Message, Received};
use crate::numbers::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};

/// Room for the largest datagram: the kernel fills dumps up to 32 KiB.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// What the kernel may queue for us before it drops.
const SOCKET_BUFFER: usize = 8 << 20;

/// How often a dump is started over because the table changed under it.
const DUMP_ATTEMPTS: usize = 10;

/// A bound rtnetlink socket in the network namespace of the thread that opens it.
pub(crate) struct NetlinkSocket {
    socket: Socket,
    port: u32,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    pub(crate) fn open(groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        enlarge(&socket);
        let port = socket.bind_auto()?.port_number();
        // Refinements that an old kernel may lack; nothing depends on them.
        let _ = (socket.set_ext_ack(true), socket.set_cap_ack(true));
        let _ = socket.set_netlink_get_strict_chk(true);
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self { socket, port, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    pub(crate) fn set_non_blocking(&self) -> io::Result<()> {
        self.socket.set_non_blocking(true)
    }

    /// The number by which the kernel says who caused a change.
    pub(crate) const fn port(&self) -> u32 {
        self.port
    }

    pub(crate) fn send(&self, messages: &[u8]) -> io::Result<()> {
        self.socket.send(messages, 0).map(drop)
    }

    /// The next datagram. A longer one than the buffer is an error of kind [`io::ErrorKind::InvalidData`].
    pub(crate) fn receive(&mut self) -> io::Result<&[u8]> {
        self.buffer.clear();
        let length = self.socket.recv(&mut self.buffer, MsgFlags::MSG_TRUNC.bits())?;
        if length > self.buffer.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(&self.buffer)
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Beyond the system's limit where that is permitted, else up to it.
fn enlarge(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &SOCKET_BUFFER);
    }
    if setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::SndBuf, &SOCKET_BUFFER);
    }
}

/// Whether the kernel dropped messages for want of room.
pub(crate) fn is_overrun(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32)
}

/// Lists the kernel's tables over a socket of its own.
pub(crate) struct Dumper {
    socket: NetlinkSocket,
    sequence: u32,
}

/// A request to list a table.
pub(crate) struct DumpRequest<'a> {
    /// What is listed, for messages to the user.
    pub(crate) what: &'static str,
    /// The message type.
    pub(crate) kind: u16,
    /// The fixed header, which can filter.
    pub(crate) fixed: &'a [u8],
    /// An attribute that filters, if any.
    pub(crate) filter: Option<(u16, u32)>,
}

impl Dumper {
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let socket = NetlinkSocket::open(&[]).map_err(NetlinkError::Open)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Every entry for which `parse` gives something. Starts over when the table changed underway.
    pub(crate) fn dump<T>(
        &mut self,
        request: &DumpRequest<'_>,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.attempt(request, &parse)? {
                return Ok(found);
            }
        }
        Err(NetlinkError::Unsteady { what: request.what })
    }

    /// `None` if the table changed underway.
    fn attempt<T>(
        &mut self,
        request: &DumpRequest<'_>,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = Vec::new();
        let flags = NLM_F_REQUEST | NLM_F_DUMP;
        let builder = Message::new(&mut message, request.kind, flags, self.sequence, request.fixed);
        match request.filter {
            Some((kind, value)) => builder.u32(kind, value).finish(),
            None => builder.finish(),
        }
        self.socket.send(&message).map_err(NetlinkError::Send)?;

        let (mut found, mut steady) = (Vec::new(), true);
        loop {
            let datagram = self.socket.receive().map_err(NetlinkError::Receive)?;
            for message in netlink::messages(datagram) {
                let message = message.map_err(|error| malformed(request.what, error))?;
                if message.sequence != self.sequence {
                    continue;
                }
                steady &= message.flags & NLM_F_DUMP_INTR == 0;
                match end_of_dump(request.what, message)? {
                    End::Done => return Ok(steady.then_some(found)),
                    End::NotYet => found.extend(parse(message.payload)),
                }
            }
        }
    }
}

enum End {
    Done,
    NotYet,
}

/// Whether `message` ends a dump, and with which error.
fn end_of_dump(what: &'static str, message: Received<'_>) -> Result<End, NetlinkError> {
    let refused = |errno: i32, text: &str| NetlinkError::Refused {
        what,
        error: io::Error::from_raw_os_error(errno),
        text: text.to_owned(),
    };
    match message.kind {
        NLMSG_DONE => match netlink::u32_at(message.payload, 0).map_or(0, u32::cast_signed) {
            errno if errno < 0 => Err(refused(errno.saturating_neg(), "")),
            _ => Ok(End::Done),
        },
        NLMSG_ERROR => {
            let answer = netlink::answer(message).map_err(|error| malformed(what, error))?;
            Err(refused(answer.errno, answer.text))
        }
        _ => Ok(End::NotYet),
    }
}

const fn malformed(what: &'static str, error: Malformed) -> NetlinkError {
    NetlinkError::Malformed { what, detail: error.0 }
}
