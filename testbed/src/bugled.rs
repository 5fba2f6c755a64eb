//! bugle in a node.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bugle_types::Mac;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::error::{LabError, Result};
use crate::isis::Isis;
use crate::lab::Lab;
use crate::node::Node;
use crate::process::Process;
use crate::router::{DAEMON, Neighbor};
use crate::tools;

/// bugled of one node.
#[derive(Debug)]
pub struct Bugled {
    lab: Lab,
    node: Node,
    pub(crate) process: Process,
    connection: Mutex<Option<BufReader<UnixStream>>>,
}

impl Bugled {
    /// [`Bugled::start`] with IS-IS, and `more`. The passwords are written to files of their names.
    ///
    /// # Errors
    /// As [`Bugled::start`].
    pub fn start_isis(lab: &Lab, node: &Node, isis: &Isis, more: &str) -> Result<Self> {
        for password in isis.passwords() {
            node.write(password, password)?;
        }
        let config = isis.bugle(&node.directory().to_string_lossy());
        Self::start(lab, node, &format!("{config}{more}"))
    }

    /// Starts bugled with this configuration, to which the `[api]` table is added, and waits until it answers.
    ///
    /// The binaries `bugled` and `bugle` are those that the environment variables `BUGLED` and `BUGLE` name, or else those
    /// beside the running executable.
    ///
    /// # Errors
    /// If they are not there, or the daemon does not answer within 10 s.
    pub fn start(lab: &Lab, node: &Node, config: &str) -> Result<Self> {
        tools::require(["bugled", "bugle"])?;
        configure(node, config)?;
        let process = start(lab, node)?;
        Ok(Self { lab: lab.clone(), node: node.clone(), process, connection: Mutex::default() })
    }

    /// Has the daemon read this configuration instead (SIGHUP). Whether it takes it, its log says.
    ///
    /// # Errors
    /// If the daemon has ended.
    pub fn reload(&self, config: &str) -> Result<()> {
        configure(&self.node, config)?;
        self.process.signal(Signal::SIGHUP)
    }

    /// The API's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.node)
    }

    /// Runs `bugle` with these arguments, separated by blanks, and returns what it prints.
    ///
    /// # Errors
    /// If it fails: with its message.
    pub fn bugle(&self, arguments: &str) -> Result<String> {
        bugle(&self.socket(), arguments)
    }

    /// Runs `bugle --json` with these arguments and returns its JSON.
    ///
    /// # Errors
    /// If it fails, or prints something else.
    pub fn show(&self, arguments: &str) -> Result<Value> {
        tools::json(arguments, &self.bugle(&format!("--json {arguments}"))?)
    }

    /// What `bugle host add ADDRESS --port PORT --mac MAC` does, without the milliseconds that starting it takes. When it was asked for.
    ///
    /// # Errors
    /// If bugled does not answer, or refuses.
    pub fn add_host(&self, address: impl Into<IpAddr>, port: &str, mac: Mac) -> Result<Instant> {
        let address: IpAddr = address.into();
        let body = serde_json::json!({ "address": address, "port": port, "mac": mac }).to_string();
        self.request(&format!(
            "POST /v1/hosts HTTP/1.1\r\nHost: bugle\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// What `bugle host remove ADDRESS` does, without the milliseconds that starting it takes. When it was asked for.
    ///
    /// # Errors
    /// If bugled does not answer, or refuses.
    pub fn remove_host(&self, address: impl Into<IpAddr>) -> Result<Instant> {
        let address: IpAddr = address.into();
        self.request(&format!("DELETE /v1/hosts/{address} HTTP/1.1\r\nHost: bugle\r\n\r\n"))
    }

    /// Sends a request to the API, over the connection of the last one if that is still open. When it was sent.
    fn request(&self, request: &str) -> Result<Instant> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let asking = || LabError::io(format!("asking {}", self.socket().display()));
        let ask = |mut stream: BufReader<UnixStream>| {
            let sent = Instant::now();
            stream.get_ref().write_all(request.as_bytes())?;
            await_answer(stream.get_ref())?;
            answer(&mut stream).map(|(status, body)| (stream, sent, status, body))
        };
        // The daemon closes a connection that has been idle for long: then, as any client does, once more over a new one.
        let kept = connection.take().and_then(|stream| ask(stream).ok());
        let (stream, sent, status, body) = match kept {
            Some(answered) => answered,
            None => self.connect().and_then(ask).map_err(asking())?,
        };
        *connection = Some(stream);
        if status.starts_with("HTTP/1.1 2") {
            return Ok(sent);
        }
        Err(LabError::Unexpected { what: request.to_owned(), found: format!("{status} {body}") })
    }

    fn connect(&self) -> io::Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(DAEMON))?;
        Ok(BufReader::new(stream))
    }

    /// The OSPF neighbours.
    ///
    /// # Errors
    /// If bugled does not answer.
    pub fn neighbors(&self) -> Result<Vec<Neighbor>> {
        let answer = self.show("show neighbors")?;
        Ok(answer.as_array().into_iter().flatten().filter_map(neighbor).collect())
    }

    /// How many IS-IS adjacencies are up; none while bugled does not answer.
    #[must_use]
    pub fn up(&self) -> usize {
        let answer = self.show("show neighbors").unwrap_or_default();
        let all = answer.as_array().into_iter().flatten();
        all.filter(|entry| entry["protocol"] == "isis" && entry["state"] == "Up").count()
    }

    /// What bugled has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The daemon's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills the daemon without last words (SIGKILL); its routes stay in the kernel.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the daemon again and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer within 10 s.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.connection = Mutex::default();
        self.process = start(&self.lab, &self.node)?;
        Ok(())
    }
}

/// Reads an answer: its status line and its body.
/// Waits as clients do that have more than one thing to wait for. A thread that waits in `read` is woken for nothing when the daemon takes
/// the request, and may then be given the daemon's processor.
fn await_answer(stream: &UnixStream) -> io::Result<()> {
    let mut wanted = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(DAEMON).unwrap_or(PollTimeout::MAX);
    poll(&mut wanted, limit)?;
    Ok(())
}

fn answer(stream: &mut impl BufRead) -> io::Result<(String, String)> {
    let (mut status, mut length) = (String::new(), 0);
    if stream.read_line(&mut status)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn configure(node: &Node, config: &str) -> Result<PathBuf> {
    let text = format!("{config}\n[api]\nsocket = \"{}\"\n", socket(node).display());
    node.write("bugled.toml", &text)
}

fn start(lab: &Lab, node: &Node) -> Result<Process> {
    let config = node.directory().join("bugled.toml");
    let mut process =
        node.spawn("bugled", &tools::find("bugled")?, &["--config", &config.to_string_lossy()])?;
    let socket = socket(node);
    lab.wait_for_daemon(&mut process, || bugle(&socket, "show summary").is_ok())?;
    Ok(process)
}

fn socket(node: &Node) -> PathBuf {
    node.directory().join("bugle.sock")
}

fn bugle(socket: &Path, arguments: &str) -> Result<String> {
    let socket = socket.to_string_lossy();
    let mut all = vec!["--socket", &*socket];
    all.extend(arguments.split_ascii_whitespace());
    tools::run("bugle", &all)
}

/// One entry of `show neighbors --json`; `None` if it is not of OSPF.
fn neighbor(entry: &Value) -> Option<Neighbor> {
    Some(Neighbor {
        router_id: entry["router_id"].as_str()?.parse().ok()?,
        address: entry["address"].as_str()?.parse().ok()?,
        interface: entry["interface"].as_str()?.to_owned(),
        state: entry["state"].as_str()?.to_owned(),
    })
}
