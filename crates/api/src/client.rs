//! Asks a server over its Unix socket.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::model::{ErrorBody, Event, HostAdd, Topic};

/// A daemon that has not begun to answer by then is not going to: when it has just started, hosts may wait for the neighbours' first
/// Hellos and databases, 39 s with the longest interval between Hellos that is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// A client of the daemon that serves one socket. Each request makes a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client for the daemon at `socket`. Nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The JSON that answers a topic, see [`Reply::from_json`](crate::model::Reply::from_json).
    ///
    /// # Errors
    /// If the daemon cannot be reached or refuses.
    pub async fn show(&self, topic: Topic, vrf: Option<&str>) -> Result<String, ClientError> {
        self.text(Method::GET, &with_vrf(&format!("/v1/show/{topic}"), vrf)).await
    }

    /// The JSON of an [`Explanation`](crate::model::Explanation).
    ///
    /// # Errors
    /// If the daemon cannot be reached or refuses.
    pub async fn explain(&self, address: IpAddr, vrf: Option<&str>) -> Result<String, ClientError> {
        self.text(Method::GET, &with_vrf(&format!("/v1/explain/{address}"), vrf)).await
    }

    /// Says that a host is here, or expected.
    ///
    /// # Errors
    /// If the daemon cannot be reached or refuses.
    pub async fn add_host(&self, host: &HostAdd) -> Result<(), ClientError> {
        let body = serde_json::to_vec(host).map_err(|_| self.garbled())?;
        self.request(Method::POST, "/v1/hosts", body).await?.text().await.map(drop)
    }

    /// Says that a host has left.
    ///
    /// # Errors
    /// If the daemon cannot be reached or refuses.
    pub async fn remove_host(&self, address: IpAddr, vrf: Option<&str>) -> Result<(), ClientError> {
        let path = with_vrf(&format!("/v1/hosts/{address}"), vrf);
        self.text(Method::DELETE, &path).await.map(drop)
    }

    /// Events from now on.
    ///
    /// # Errors
    /// If the daemon cannot be reached or refuses.
    pub async fn watch(&self) -> Result<Watch, ClientError> {
        let answer = self.request(Method::GET, "/v1/watch", Vec::new()).await?;
        Ok(Watch { answer, buffer: Vec::new() })
    }

    async fn text(&self, method: Method, path: &str) -> Result<String, ClientError> {
        self.request(method, path, Vec::new()).await?.text().await
    }

    /// Sends a request and waits for the beginning of its answer, which is granted.
    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let answer = timeout(ANSWER_TIMEOUT, self.exchange(method, path, body)).await;
        let answer = answer.map_err(|_| ClientError::Silent { socket: self.socket.clone() })??;
        if answer.response.status().is_success() {
            return Ok(answer);
        }
        let garbled = self.garbled();
        let text = answer.text().await?;
        let body: ErrorBody = serde_json::from_str(&text).map_err(|_| garbled)?;
        Err(ClientError::Refused(body.error))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::Unreachable { socket: self.socket.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| self.garbled())?;
        let mut tasks = JoinSet::new();
        // Its errors reach the request or the body.
        tasks.spawn(async move { connection.await.unwrap_or_default() });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "bugle")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| self.garbled())?;
        let response = sender.send_request(request).await.map_err(|_| self.garbled())?;
        Ok(Answer { response, socket: self.socket.clone(), _tasks: tasks })
    }

    fn garbled(&self) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone() }
    }
}

/// Why a request came to nothing. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody serves the socket, or this user may not use it.
    #[error("cannot reach the daemon at {}: {source}; {}", socket.display(), advice(source))]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No answer came in time.
    #[error("the daemon at {} does not answer; see its log", socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// What came back is not the API's.
    #[error("what answers at {} is not bugled, or broke off; see its log", socket.display())]
    Garbled {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon refused, and said why.
    #[error("{0}")]
    Refused(String),
}

fn advice(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied {
        "become root or a member of the socket's group"
    } else {
        "is bugled running, and is --socket its api.socket?"
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Watch {
    answer: Answer,
    /// What has come since the last whole line.
    buffer: Vec<u8>,
}

impl Watch {
    /// The next event; `None` when the daemon stops.
    ///
    /// # Errors
    /// If the connection breaks or carries something else.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let event = serde_json::from_slice(&line).map_err(|_| self.answer.garbled())?;
                return Ok(Some(event));
            }
            let Some(bytes) = self.answer.chunk().await? else { return Ok(None) };
            self.buffer.extend_from_slice(&bytes);
        }
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
struct Answer {
    response: Response<Incoming>,
    socket: PathBuf,
    /// Drives the connection; ends with this.
    _tasks: JoinSet<()>,
}

impl Answer {
    /// The next part of the body; `None` at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(data) = frame.map_err(|_| self.garbled())?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole body.
    async fn text(mut self) -> Result<String, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| self.garbled())
    }

    fn garbled(&self) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone() }
    }
}

/// `path` with the query that selects a VRF.
fn with_vrf(path: &str, vrf: Option<&str>) -> String {
    let Some(vrf) = vrf else { return path.to_owned() };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("vrf", vrf).finish();
    format!("{path}?{query}")
}
