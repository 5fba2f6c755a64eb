//! The desk: takes every connection to the Unix socket, and serves changes to the hosts itself.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use axum::http::StatusCode;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::backend::Refusal;
use crate::model::{ErrorBody, HostAdd};

/// Connections that are kept here; for one more, that which has waited longest for a request goes to the server.
const CONNECTIONS: usize = 64;
/// A request that is not whole in so many bytes is for the server.
const LARGEST: usize = 1024;
/// As is one with more header fields.
const HEADERS: usize = 16;
/// The listener's key among the connections' tickets.
const LISTENER: u32 = 0;

/// Answers changes to the hosts on whichever thread calls it, and passes everything else on to the [`Server`](super::Server).
///
/// On a machine at rest, to wake another thread takes longer than all that a change to the hosts does. So the thread
/// that makes such changes waits for them by its own epoll instance: [`Desk::take_request`] when a descriptor is ready,
/// [`Desk::answer`] when it is done. Only requests that are simple and have come whole are taken; what is slow, unusual or wrong is
/// the server's.
#[derive(Debug)]
pub struct Desk {
    watch: Watch,
    listener: UnixListener,
    /// Those watched for a request, by ticket.
    waiting: BTreeMap<u32, UnixStream>,
    /// Those whose request is not answered yet.
    asking: BTreeMap<u32, UnixStream>,
    last_ticket: u32,
    server: mpsc::Sender<Passed>,
}

/// A desk that nobody minds yet: connections wait.
#[derive(Debug)]
pub struct ClosedDesk {
    pub(super) listener: UnixListener,
    pub(super) server: mpsc::Sender<Passed>,
}

/// The epoll instance that watches the descriptors, and what stands above a ticket in the data of each.
#[derive(Debug)]
struct Watch {
    epoll: Arc<Epoll>,
    tag: u64,
}

/// A connection passed on to the server, with what has been read of it.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) stream: UnixStream,
    pub(super) read: Vec<u8>,
}

/// A change to the hosts that somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostRequest {
    /// A host is here, or expected here.
    Add(HostAdd),
    /// A host has left.
    Remove {
        /// Its address.
        address: IpAddr,
        /// The VRF; the default one if absent.
        vrf: Option<String>,
    },
}

impl ClosedDesk {
    /// Has `epoll` watch for connections, and then for requests. The data of each event is `tag`, which leaves the lower half free,
    /// and the key for [`Desk::take_request`] in that half.
    ///
    /// # Errors
    /// If the system refuses to watch.
    pub fn open(self, epoll: Arc<Epoll>, tag: u64) -> io::Result<Desk> {
        let Self { listener, server } = self;
        let watch = Watch { epoll, tag };
        watch.epoll.add(&listener, watch.arrivals())?;
        let (waiting, asking) = (BTreeMap::new(), BTreeMap::new());
        Ok(Desk { watch, listener, waiting, asking, last_ticket: LISTENER, server })
    }
}

impl Desk {
    /// The descriptor with `key` is ready. The change that is asked for there, and the ticket to answer it by; `None` if there is none.
    pub fn take_request(&mut self, key: u32) -> Option<(u32, HostRequest)> {
        if key == LISTENER {
            self.accept();
            return None;
        }
        self.read(key).map(|request| (key, request))
    }

    /// Answers the change with this ticket.
    pub fn answer(&mut self, ticket: u32, result: Result<(), Refusal>) {
        let Some(mut stream) = self.asking.remove(&ticket) else { return };
        let answered = match result {
            Ok(()) => write(&mut stream, StatusCode::OK, "{}"),
            Err(refusal) => refuse(&mut stream, &refusal),
        };
        // From now on for its next request.
        if answered.is_ok()
            && self.watch.epoll.modify(&stream, &mut self.watch.once(ticket)).is_ok()
        {
            self.waiting.insert(ticket, stream);
        }
    }

    fn accept(&mut self) {
        for _ in 0..CONNECTIONS {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Most likely for want of file descriptors: the oldest has to give up its own.
                Err(_) if self.waiting.pop_first().is_some() => {}
                Err(_) => return,
            }
        }
        // There may be more, of which to be told anew.
        let _ = self.watch.epoll.modify(&self.listener, &mut self.watch.arrivals());
    }

    fn welcome(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.waiting.len() + self.asking.len() >= CONNECTIONS {
            // One that has asked is to get its answer.
            let Some((_, oldest)) = self.waiting.pop_first() else {
                return self.pass_on(stream, Vec::new());
            };
            self.pass_on(oldest, Vec::new());
        }
        self.last_ticket = self.last_ticket.checked_add(1).unwrap_or(LISTENER + 1);
        let ticket = self.last_ticket;
        if self.watch.epoll.add(&stream, self.watch.once(ticket)).is_ok() {
            self.waiting.insert(ticket, stream);
        }
    }

    /// The request on a connection, unless it has gone or is the server's.
    fn read(&mut self, ticket: u32) -> Option<HostRequest> {
        let mut buffer = [0; LARGEST];
        let mut stream = self.waiting.remove(&ticket)?;
        let length = stream.read(&mut buffer).unwrap_or(0);
        let bytes = &buffer[..length];
        let request = parse(bytes);
        if request.is_some() {
            self.asking.insert(ticket, stream);
        } else if !bytes.is_empty() {
            self.pass_on(stream, bytes.to_vec());
        }
        request
    }

    fn pass_on(&self, stream: UnixStream, read: Vec<u8>) {
        // It would otherwise be watched for as long as the server has it.
        let _ = self.watch.epoll.delete(&stream);
        let (mut passed, refusal) = match self.server.try_send(Passed { stream, read }) {
            Ok(()) => return,
            Err(TrySendError::Full(passed)) => (passed, Refusal::Busy),
            Err(TrySendError::Closed(passed)) => (passed, Refusal::Stopping),
        };
        // How a client leaves is its own affair.
        let _ = refuse(&mut passed.stream, &refusal);
    }
}

impl Watch {
    /// Watches for connections: told once of those that come, not for as long as they wait, since what cannot be accepted must not
    /// keep the thread busy.
    fn arrivals(&self) -> EpollEvent {
        EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, self.tag | u64::from(LISTENER))
    }

    /// Watches for one request.
    fn once(&self, ticket: u32) -> EpollEvent {
        EpollEvent::new(
            EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT,
            self.tag | u64::from(ticket),
        )
    }
}

/// A change to the hosts, if that is all that `bytes` hold, whole and well-formed.
fn parse(bytes: &[u8]) -> Option<HostRequest> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(bytes).ok()? else { return None };
    let body = bytes.get(end..)?;
    let (method, path) = (head.method?, head.path?);
    let (mut length, mut json) = (0, false);
    for header in &*head.headers {
        let value = str::from_utf8(header.value).ok()?.trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            length = value.parse().ok()?;
        } else if is("content-type") {
            json = value.eq_ignore_ascii_case("application/json");
        } else if is("connection") || is("expect") || is("transfer-encoding") || is("upgrade") {
            return None;
        }
    }
    if head.version != Some(1) || body.len() != length {
        return None;
    }
    match (method, path) {
        ("POST", "/v1/hosts") if json => serde_json::from_slice(body).ok().map(HostRequest::Add),
        ("DELETE", path) if body.is_empty() => {
            let path = path.strip_prefix("/v1/hosts/")?;
            let (address, query) = path.split_once('?').unwrap_or((path, ""));
            let mut options = form_urlencoded::parse(query.as_bytes());
            let vrf = match options.next() {
                None => None,
                Some((key, vrf)) if key == "vrf" => Some(vrf.into_owned()),
                Some(_) => return None,
            };
            let address = address.parse().ok()?;
            options.next().is_none().then_some(HostRequest::Remove { address, vrf })
        }
        _ => None,
    }
}

fn refuse(stream: &mut UnixStream, refusal: &Refusal) -> io::Result<()> {
    let body = serde_json::to_string(&ErrorBody { error: refusal.to_string() })?;
    write(stream, refusal.status(), &body)
}

/// Sends an answer, which fits the socket's buffer unless the client has stopped reading.
fn write(stream: &mut UnixStream, status: StatusCode, body: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes())
}

#[cfg(test)]
mod tests {
    use nix::sys::epoll::{EpollCreateFlags, EpollTimeout};

    use super::*;

    const ADD: &str = "POST /v1/hosts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 23\r\n\r\n{\"address\":\"10.0.0.9\"} ";

    #[test]
    fn whole_and_simple_requests_are_taken() {
        let Some(HostRequest::Add(host)) = parse(ADD.as_bytes()) else { panic!("not taken") };
        assert_eq!(host.address, IpAddr::from([10, 0, 0, 9]));
        for (query, vrf) in [("", None), ("?vrf=red+blue", Some("red blue"))] {
            let text = format!("DELETE /v1/hosts/2001:db8::9{query} HTTP/1.1\r\nhost: x\r\n\r\n");
            let address = "2001:db8::9".parse().unwrap();
            let vrf = vrf.map(str::to_owned);
            assert_eq!(parse(text.as_bytes()), Some(HostRequest::Remove { address, vrf }));
        }
    }

    #[test]
    fn everything_else_is_the_servers() {
        for end in 0..ADD.len() {
            assert_eq!(parse(&ADD.as_bytes()[..end]), None, "{}", &ADD[..end]);
        }
        for (what, with) in [
            ("host: x", "expect: 100-continue"),
            ("host: x", "connection: close"),
            ("host: x", "transfer-encoding: chunked"),
            ("application/json", "text/plain"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("POST", "PUT"),
            ("/v1/hosts", "/v1/hosts/"),
            ("10.0.0.9", "10.0.0.0"),
            ("address", "adress"),
            ("23", "22"),
            ("23", "-1"),
        ] {
            let text = ADD.replacen(what, with, 1);
            let taken = parse(text.as_bytes());
            assert_eq!(taken.is_some(), with == "10.0.0.0", "{text}");
        }
        for path in
            ["/v1/hosts/nobody", "/v1/hosts/10.0.0.9?vfr=x", "/v1/hosts/10.0.0.9?vrf=x&vrf=y"]
        {
            let text = format!("DELETE {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    /// A desk with its own epoll instance.
    struct Minded {
        epoll: Arc<Epoll>,
        desk: Desk,
    }

    impl Minded {
        /// The next request, if there is one before the desk has nothing more to do.
        fn next(&mut self) -> Option<(u32, HostRequest)> {
            let mut events = [EpollEvent::empty()];
            while self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap() > 0 {
                let data = events[0].data();
                assert_eq!(data & TAG, TAG);
                let request = self.desk.take_request(u32::try_from(data - TAG).unwrap());
                if request.is_some() {
                    return request;
                }
            }
            None
        }
    }

    const TAG: u64 = 7 << 32;

    /// A desk, where to connect to it, and what it passes on.
    fn desk() -> (Minded, impl Fn() -> UnixStream, mpsc::Receiver<Passed>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (sender, passed) = mpsc::channel(2);
        let connect = move || UnixStream::connect(directory.path().join("socket")).unwrap();
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::empty()).unwrap());
        let desk = ClosedDesk { listener, server: sender }.open(Arc::clone(&epoll), TAG).unwrap();
        (Minded { epoll, desk }, connect, passed)
    }

    #[test]
    fn a_request_in_parts_is_passed_on_with_what_has_been_read() {
        let (mut desk, connect, mut passed) = desk();
        let mut client = connect();
        client.write_all(&ADD.as_bytes()[..60]).unwrap();
        assert_eq!(desk.next(), None);
        let mut taken = passed.try_recv().unwrap();
        assert_eq!(taken.read, &ADD.as_bytes()[..60]);
        client.write_all(&ADD.as_bytes()[60..]).unwrap();
        assert_eq!(desk.next(), None);
        let mut rest = [0; 100];
        let length = taken.stream.read(&mut rest).unwrap();
        assert_eq!(&rest[..length], &ADD.as_bytes()[60..]);
    }

    #[test]
    fn one_request_of_a_connection_is_taken_at_a_time_and_answered_in_order() {
        let (mut desk, connect, _passed) = desk();
        let mut client = connect();
        client.write_all(ADD.as_bytes()).unwrap();
        let (ticket, _) = desk.next().unwrap();
        client.write_all(ADD.as_bytes()).unwrap();
        assert_eq!(desk.next(), None);
        desk.desk.answer(ticket, Err(Refusal::Refused("no".to_owned())));
        let (second, _) = desk.next().unwrap();
        desk.desk.answer(second, Ok(()));
        drop(desk);
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        let statuses: Vec<_> = answers.lines().filter(|line| line.starts_with("HTTP")).collect();
        assert_eq!(statuses[0], "HTTP/1.1 409 Conflict");
        assert!(answers.ends_with("content-length: 2\r\n\r\n{}"), "{answers}");
    }

    #[test]
    fn more_connections_at_once_than_are_kept_are_all_seen() {
        let (mut desk, connect, mut passed) = desk();
        let mut clients: Vec<_> = (0..CONNECTIONS + 2).map(|_| connect()).collect();
        clients[CONNECTIONS + 1].write_all(ADD.as_bytes()).unwrap();
        let (ticket, _) = desk.next().unwrap();
        desk.desk.answer(ticket, Ok(()));
        // The two that had waited longest made room.
        assert!(passed.try_recv().unwrap().read.is_empty());
        assert!(passed.try_recv().is_ok() && passed.try_recv().is_err());
    }

    #[test]
    fn who_has_asked_is_answered_however_many_come_after() {
        let (mut desk, connect, mut passed) = desk();
        let mut first = connect();
        first.write_all(ADD.as_bytes()).unwrap();
        let (ticket, _) = desk.next().unwrap();
        let others: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
        assert_eq!(desk.next(), None);
        // One of those made room.
        assert!(passed.try_recv().is_ok() && passed.try_recv().is_err());
        desk.desk.answer(ticket, Ok(()));
        drop((desk, others));
        let mut answer = String::new();
        first.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[test]
    fn who_cannot_be_passed_on_is_told_so() {
        let (mut desk, connect, passed) = desk();
        let mut clients: Vec<_> = (0..3).map(|_| connect()).collect();
        for client in &mut clients {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        assert_eq!(desk.next(), None);
        let answer = |client: &mut UnixStream| {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        };
        let full = answer(&mut clients[2]);
        assert!(full.starts_with("HTTP/1.1 503") && full.contains("too many"), "{full}");
        drop(passed);
        let mut late = connect();
        late.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(desk.next(), None);
        let closed = answer(&mut late);
        assert!(closed.starts_with("HTTP/1.1 503") && closed.contains("stopping"), "{closed}");
    }
}
