//! A server and a client over a temporary socket, with a backend that only remembers.

mod documentation;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::model::{
    Event, Explanation, HostAdd, Metric, Neighbor, Reply, Route, RouteNexthop, Topic,
};
use crate::server::WATCHERS;
use crate::{Backend, BindError, Client, ClientError, ClosedDesk, HostRequest, Refusal, Server};
use futures_util::FutureExt;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// Remembers what it is asked and answers with fixtures.
struct Fake {
    calls: Mutex<Vec<String>>,
    /// How many of them were made at the desk.
    at_desk: AtomicUsize,
    events: broadcast::Sender<Event>,
}

impl Fake {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Backend for Fake {
    async fn show(&self, topic: Topic, vrf: Option<String>) -> Result<Reply, Refusal> {
        self.note(format!("show {topic} {vrf:?}"));
        match vrf.as_deref() {
            Some("stopping") => Err(Refusal::Stopping),
            Some("missing") => Err(Refusal::UnknownVrf("missing".to_owned())),
            _ if topic == Topic::Routes => Ok(Reply::Routes(vec![route()])),
            _ if topic == Topic::Neighbors => Ok(Reply::Neighbors(vec![neighbor()])),
            _ => Ok(Reply::Bfd(Vec::new())),
        }
    }

    async fn explain(&self, address: IpAddr, vrf: Option<String>) -> Result<Explanation, Refusal> {
        self.note(format!("explain {address} {vrf:?}"));
        Ok(Explanation {
            vrf: "default".to_owned(),
            address,
            route: Some(route()),
            host: None,
            reasons: vec!["because".to_owned()],
            timeline: Vec::new(),
            repair: Vec::new(),
        })
    }

    async fn add_host(&self, host: HostAdd) -> Result<(), Refusal> {
        self.note(format!("add {host:?}"));
        if host.address == IpAddr::from([10, 0, 0, 1]) {
            return Err(Refusal::Refused("10.0.0.1 is the gateway".to_owned()));
        }
        Ok(())
    }

    async fn remove_host(&self, address: IpAddr, vrf: Option<String>) -> Result<(), Refusal> {
        self.note(format!("remove {address} {vrf:?}"));
        Ok(())
    }

    async fn metrics(&self) -> Result<Vec<Metric>, Refusal> {
        let samples = vec![(vec![("vrf", "default".to_owned())], 3)];
        Ok(vec![Metric { name: "routes", help: "Routes", counter: false, samples }])
    }

    fn watch(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

fn route() -> Route {
    Route {
        vrf: "default".to_owned(),
        prefix: "10.100.0.9/32".parse().unwrap(),
        protocol: "ospf".to_owned(),
        path: Some("external-2".to_owned()),
        metric: 10_000,
        nexthops: vec![RouteNexthop {
            gateway: "192.0.2.2".parse().ok(),
            interface: "eth0".to_owned(),
        }],
        backup: None,
        protects: None,
        tag: None,
        tag_64: Some(u64::MAX),
        installed: true,
    }
}

fn neighbor() -> Neighbor {
    Neighbor {
        vrf: "default".to_owned(),
        protocol: "ospf".to_owned(),
        interface: "eth0".to_owned(),
        router_id: "192.0.2.2".parse().ok(),
        system_id: None,
        hostname: None,
        address: "198.51.100.2".parse().ok(),
        mac: None,
        level: None,
        state: "Full".to_owned(),
        priority: 1,
        since_seconds: 5,
        designated_router: None,
        backup_designated_router: None,
        requested: 0,
        unacknowledged: 0,
        bfd: None,
        expires_seconds: None,
        flaps: 0,
    }
}

fn event(number: u64) -> Event {
    Event { time_us: number, kind: "test".to_owned(), vrf: None, message: String::new() }
}

/// A running server, with a thread that minds its desk.
struct Bench {
    socket: PathBuf,
    http: Option<std::net::SocketAddr>,
    fake: Arc<Fake>,
    tasks: JoinSet<()>,
    /// The thread ends when it is closed.
    _minding: StdStream,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn start(http: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/bugle.sock");
        let http = http.then(|| "127.0.0.1:0".parse().unwrap());
        let (server, desk) = Server::bind_with_desk(&socket, http).await.unwrap();
        let http = server.http_address();
        let fake = Arc::new(Fake {
            calls: Mutex::default(),
            at_desk: AtomicUsize::new(0),
            events: broadcast::channel(4).0,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(Arc::clone(&fake)));
        let (minding, end) = StdStream::pair().unwrap();
        let decider = Arc::clone(&fake);
        std::thread::Builder::new().spawn(move || mind(desk, &decider, &end)).unwrap();
        Self { socket, http, fake, tasks, _minding: minding, _directory: directory }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Sends raw bytes over the Unix socket, and returns the status and the body of the answer.
    async fn raw(&self, request: &str) -> (u16, String) {
        exchange(UnixStream::connect(&self.socket).await.unwrap(), request).await
    }
}

/// Answers at the desk until `end` is closed.
fn mind(desk: ClosedDesk, fake: &Fake, end: &StdStream) {
    const TAG: u64 = 1 << 32;
    const END: u64 = 2 << 32;
    let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap());
    epoll.add(end, EpollEvent::new(EpollFlags::EPOLLIN, END)).unwrap();
    let mut desk = desk.open(Arc::clone(&epoll), TAG).unwrap();
    let mut events = [EpollEvent::empty()];
    loop {
        match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            result => result.unwrap(),
        };
        let data = events[0].data();
        if data == END {
            return;
        }
        if let Some((ticket, request)) = desk.take_request(u32::try_from(data - TAG).unwrap()) {
            fake.at_desk.fetch_add(1, Ordering::Relaxed);
            let answer = match request {
                HostRequest::Add(host) => fake.add_host(host).now_or_never(),
                HostRequest::Remove { address, vrf } => {
                    fake.remove_host(address, vrf).now_or_never()
                }
            };
            desk.answer(ticket, answer.unwrap());
        }
    }
}

async fn exchange(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    request: &str,
) -> (u16, String) {
    // A server that has seen enough may close before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A request with a body and nothing that keeps the connection open.
fn request(line: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn what_the_backend_answers_reaches_the_client() {
    let bench = Bench::start(false).await;
    let client = bench.client();
    let json = client.show(Topic::Routes, None).await.unwrap();
    assert_eq!(Reply::from_json(Topic::Routes, &json).unwrap(), Reply::Routes(vec![route()]));
    let json = client.show(Topic::Neighbors, Some("a b&c")).await.unwrap();
    assert_eq!(
        Reply::from_json(Topic::Neighbors, &json).unwrap(),
        Reply::Neighbors(vec![neighbor()])
    );
    let json = client.explain("2001:db8::1".parse().unwrap(), Some("red")).await.unwrap();
    let explanation: Explanation = serde_json::from_str(&json).unwrap();
    assert_eq!(explanation.reasons, ["because"]);
    let host = HostAdd {
        address: "10.100.0.9".parse().unwrap(),
        vrf: None,
        port: Some("tap9".to_owned()),
        mac: "52:54:00:00:00:09".parse().ok(),
        candidate: true,
    };
    client.add_host(&host).await.unwrap();
    client.remove_host(host.address, None).await.unwrap();
    assert_eq!(
        *bench.fake.calls.lock().unwrap(),
        [
            "show routes None".to_owned(),
            "show neighbors Some(\"a b&c\")".to_owned(),
            "explain 2001:db8::1 Some(\"red\")".to_owned(),
            format!("add {host:?}"),
            "remove 10.100.0.9 None".to_owned(),
        ]
    );
    assert_eq!(bench.fake.at_desk.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_connection_goes_from_the_desk_to_the_server_and_is_kept() {
    let bench = Bench::start(false).await;
    let mut stream = UnixStream::connect(&bench.socket).await.unwrap();
    let kept = |line: &str, body: &str| request(line, body).replace("connection: close\r\n", "");
    let add = kept("POST /v1/hosts", r#"{"address":"10.0.0.9"}"#);
    let refused = kept("POST /v1/hosts", r#"{"address":"10.0.0.1"}"#);
    for (request, status, at_desk) in [
        (&*add, "200 OK", 1),
        (&*refused, "409 Conflict", 2),
        ("GET /v1/show/routes HTTP/1.1\r\nhost: x\r\n\r\n", "200 OK", 2),
        (&*add, "200 OK", 2),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 2_000];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = str::from_utf8(&answer[..length]).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert_eq!(bench.fake.at_desk.load(Ordering::Relaxed), at_desk);
    }
    assert_eq!(bench.fake.calls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn routes_have_the_promised_fields() {
    let bench = Bench::start(false).await;
    let json = bench.client().show(Topic::Routes, None).await.unwrap();
    insta::assert_snapshot!(json, @r#"[{"vrf":"default","prefix":"10.100.0.9/32","protocol":"ospf","path":"external-2","metric":10000,"nexthops":[{"gateway":"192.0.2.2","interface":"eth0"}],"backup":null,"protects":null,"tag":null,"tag_64":18446744073709551615,"installed":true}]"#);
    let json = bench.client().show(Topic::Neighbors, None).await.unwrap();
    insta::assert_snapshot!(json, @r#"[{"vrf":"default","protocol":"ospf","interface":"eth0","router_id":"192.0.2.2","system_id":null,"hostname":null,"address":"198.51.100.2","mac":null,"level":null,"state":"Full","priority":1,"since_seconds":5,"designated_router":null,"backup_designated_router":null,"requested":0,"unacknowledged":0,"bfd":null,"expires_seconds":null,"flaps":0}]"#);
}

#[tokio::test]
async fn refusals_carry_their_reason() {
    let bench = Bench::start(false).await;
    let client = bench.client();
    let gateway = HostAdd {
        address: "10.0.0.1".parse().unwrap(),
        vrf: None,
        port: None,
        mac: None,
        candidate: false,
    };
    let error = client.add_host(&gateway).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(reason) if reason == "10.0.0.1 is the gateway"));
    let error = client.show(Topic::Hosts, Some("missing")).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no VRF called \"missing\""), "{error}");
    let (status, _) = bench.raw(&request("GET /v1/show/hosts?vrf=stopping", "")).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn hostile_requests_get_an_error_and_harm_nobody() {
    let bench = Bench::start(false).await;
    let huge = format!("{{\"address\":\"{}\"}}", "1".repeat(1 << 20));
    for (line, body, expected) in [
        ("GET /v1", "", 404),
        ("GET /v1/show/nothing", "", 404),
        ("GET /v1/show/../../etc/passwd", "", 404),
        ("GET /v1/show/routes?vfr=red", "", 400),
        ("GET /v1/explain/10.0.0", "", 400),
        ("GET /v1/explain/%ff", "", 400),
        ("DELETE /v1/hosts/%ff", "", 400),
        ("POST /v1/show/routes", "", 405),
        ("PUT /v1/hosts", "{}", 405),
        ("DELETE /v1/hosts/nobody", "", 400),
        ("POST /v1/hosts", "{", 400),
        ("POST /v1/hosts", "{}", 422),
        ("POST /v1/hosts", "[1,2,3]", 422),
        ("POST /v1/hosts", r#"{"address":"10.0.0.0/8"}"#, 422),
        ("POST /v1/hosts", r#"{"address":"10.0.0.9","prot":"tap9"}"#, 422),
        ("POST /v1/hosts", r#"{"address":"10.0.0.9","mac":"52:54"}"#, 422),
        ("POST /v1/hosts", &huge, 413),
    ] {
        let (status, answer) = bench.raw(&request(line, body)).await;
        assert_eq!(status, expected, "{line} {body:.40}: {answer}");
        let error: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(error["error"].is_string(), "{line}: {answer}");
    }
    let form =
        "POST /v1/hosts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\na";
    assert_eq!(bench.raw(form).await.0, 415);
    assert_eq!(bench.raw("\0\u{1}garbage\r\n\r\n").await.0, 400);
    assert!(bench.fake.calls.lock().unwrap().is_empty());
    bench.client().show(Topic::Routes, None).await.unwrap();
}

#[tokio::test]
async fn tcp_is_read_only() {
    let bench = Bench::start(true).await;
    for (line, expected) in [
        ("GET /v1/show/routes", 200),
        ("GET /metrics", 200),
        ("GET /", 200),
        ("POST /", 405),
        ("GET /v1/watch", 404),
        ("POST /v1/hosts", 404),
        ("DELETE /v1/hosts/10.0.0.9", 404),
    ] {
        let stream = TcpStream::connect(bench.http.unwrap()).await.unwrap();
        let (status, body) = exchange(stream, &request(line, "")).await;
        assert_eq!(status, expected, "{line}: {body}");
        if line == "GET /metrics" {
            assert!(body.contains("bugle_routes{vrf=\"default\"} 3\n"), "{body}");
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_topic_and_asks_nobody_but_the_daemon() {
    let bench = Bench::start(false).await;
    let (status, page) = bench.raw(&request("GET /", "")).await;
    assert_eq!(status, 200);
    let topics: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
    let topics = format!("const topics = {};", serde_json::to_string(&topics).unwrap());
    assert!(page.contains(&topics), "{topics} is not in:\n{page}");
    assert!(!page.contains("://") && !page.contains("innerHTML"), "{page}");
}

#[tokio::test]
async fn watch_delivers_events_and_tells_slow_readers_how_many_they_missed() {
    let bench = Bench::start(false).await;
    let mut watch = bench.client().watch().await.unwrap();
    bench.fake.events.send(event(1)).unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(event(1)));
    // Ten at once into a channel of four, while the server has had no turn to read them.
    for number in 10..20 {
        bench.fake.events.send(event(number)).unwrap();
    }
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.kind, "lagged");
    assert!(first.message.starts_with("6 events were missed"), "{}", first.message);
    assert_eq!(watch.next().await.unwrap(), Some(event(16)));
}

#[tokio::test]
async fn watch_reports_a_daemon_that_dies() {
    let mut bench = Bench::start(false).await;
    let mut watch = bench.client().watch().await.unwrap();
    bench.tasks.shutdown().await;
    assert!(!matches!(watch.next().await, Ok(Some(_))));
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_away_with_the_server() {
    let mut bench = Bench::start(false).await;
    let mode = std::fs::metadata(&bench.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    bench.tasks.shutdown().await;
    assert!(!bench.socket.exists());
    let error = bench.client().show(Topic::Summary, None).await.unwrap_err();
    assert!(error.to_string().contains("is bugled running"), "{error}");
}

#[tokio::test]
async fn a_live_socket_is_not_stolen_and_a_stale_one_is_replaced() {
    let bench = Bench::start(false).await;
    let error = Server::bind(&bench.socket, None).await.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error}");
    bench.client().show(Topic::Routes, None).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    drop(Server::bind(&stale, None).await.unwrap());
    assert!(!stale.exists());

    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let error = Server::bind(&file, None).await.unwrap_err();
    assert!(matches!(error, BindError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn a_successors_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bugle.sock");
    let old = Server::bind(&socket, None).await.unwrap();
    std::fs::remove_file(&socket).unwrap();
    let new = Server::bind(&socket, None).await.unwrap();
    drop(old);
    assert!(socket.exists());
    drop(new);
    assert!(!socket.exists());
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out() {
    let bench = Bench::start(false).await;
    let mut idle = Vec::new();
    // More than the desk keeps, and fewer than make the server wait for one to leave.
    for _ in 0..100 {
        idle.push(UnixStream::connect(&bench.socket).await.unwrap());
    }
    bench.client().show(Topic::Routes, None).await.unwrap();
    assert_eq!(idle.len(), 100);
    bench.client().remove_host("10.0.0.9".parse().unwrap(), None).await.unwrap();
    assert_eq!(bench.fake.at_desk.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let bench = Bench::start(false).await;
    let half = request("POST /v1/hosts", "{}").replace("content-length: 2", "content-length: 99");
    let (status, answer) = bench.raw(&half).await;
    assert_eq!(status, 408, "{answer}");
    assert!(answer.contains("error"), "{answer}");
}

#[tokio::test]
async fn watchers_leave_room_for_others() {
    let bench = Bench::start(false).await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        watchers.push(bench.client().watch().await.unwrap());
    }
    let error = bench.client().watch().await.unwrap_err();
    assert!(error.to_string().contains("too many"), "{error}");
    bench.client().show(Topic::Routes, None).await.unwrap();
    drop(watchers);
    // When the server sees that they have gone is its own affair.
    while bench.client().watch().await.is_err() {}
}

#[tokio::test]
async fn what_is_not_a_daemon_is_told_from_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-something\r\n").await.unwrap();
    });
    let error = Client::new(&socket).show(Topic::Summary, None).await.unwrap_err();
    assert!(matches!(error, ClientError::Garbled { .. }), "{error}");
    let missing = Client::new(&directory.path().join("none"));
    let error = missing.show(Topic::Summary, None).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { source, .. } if source.kind() == ErrorKind::NotFound)
    );
}
