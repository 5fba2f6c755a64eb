//! FRR in a node: zebra with ospfd or isisd and, if asked for, bfdd, run by hand.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::{LabError, Result};
use crate::isis::Isis;
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::Ospf;
use crate::process::Process;
use crate::router::{DAEMON, Neighbor};
use crate::tools;

/// zebra, ospfd or isisd, and bfdd of one node.
#[derive(Debug)]
pub struct Frr {
    lab: Lab,
    node: Node,
    kind: Kind,
    pub(crate) zebra: Process,
    /// ospfd or isisd.
    pub(crate) daemon: Process,
    bfdd: Option<Process>,
}

/// A protocol's daemon.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Ospfd,
    Isisd,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Ospfd => "ospfd",
            Self::Isisd => "isisd",
        }
    }

    /// A command that it answers.
    const fn probe(self) -> &'static str {
        match self {
            Self::Ospfd => "show ip ospf json",
            Self::Isisd => "show isis summary json",
        }
    }
}

/// An IS-IS adjacency as isisd shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// The neighbour: its system id.
    pub system: String,
    /// The interface it is reached through.
    pub interface: String,
    /// The level, 1 or 2; 3 for both.
    pub level: u64,
    /// `Up`, `Initializing`, ...
    pub state: String,
}

impl Frr {
    /// Starts zebra, then ospfd, and waits until both answer.
    ///
    /// # Errors
    /// If FRR is not installed, or a daemon does not answer within 10 s.
    pub fn start(lab: &Lab, node: &Node, ospf: &Ospf) -> Result<Self> {
        Self::start_kind(lab, node, Kind::Ospfd, [&ospf.zebra(), &ospf.ospfd()], ospf.bfdd())
    }

    /// Starts zebra, then isisd, and waits until both answer.
    ///
    /// # Errors
    /// As [`Frr::start`].
    pub fn start_isis(lab: &Lab, node: &Node, isis: &Isis) -> Result<Self> {
        Self::start_kind(lab, node, Kind::Isisd, [&isis.zebra(), &isis.isisd()], isis.bfdd())
    }

    fn start_kind(
        lab: &Lab,
        node: &Node,
        kind: Kind,
        [zebra, daemon]: [&str; 2],
        bfdd: Option<String>,
    ) -> Result<Self> {
        tools::require(["zebra", kind.name(), "vtysh"])?;
        node.write("zebra.conf", zebra)?;
        node.write(&format!("{}.conf", kind.name()), daemon)?;
        node.write("vtysh.conf", "")?;
        if let Some(config) = bfdd {
            tools::require(["bfdd"])?;
            node.write("bfdd.conf", &config)?;
        }
        // The daemons give up root and then create their sockets here.
        let directory = node.directory().to_string_lossy().into_owned();
        tools::run("chown", &["-R", "frr:frr", &directory])?;
        let (zebra, bfdd, daemon) = start_daemons(lab, node, kind)?;
        Ok(Self { lab: lab.clone(), node: node.clone(), kind, zebra, daemon, bfdd })
    }

    /// Runs a command of vtysh and returns what it prints.
    ///
    /// # Errors
    /// If no daemon answers.
    pub fn vtysh(&self, command: &str) -> Result<String> {
        vtysh(&self.node, command)
    }

    /// Runs a `show` command and returns its JSON; `json` is appended to the command.
    ///
    /// # Errors
    /// If no daemon answers, or not with JSON.
    pub fn show(&self, command: &str) -> Result<Value> {
        let command = format!("{command} json");
        tools::json(&command, &self.vtysh(&command)?)
    }

    /// The OSPF neighbours.
    ///
    /// # Errors
    /// If ospfd does not answer.
    pub fn neighbors(&self) -> Result<Vec<Neighbor>> {
        let answer = self.show("show ip ospf neighbor")?;
        let mut neighbors = Vec::new();
        for (router_id, entries) in answer["neighbors"].as_object().into_iter().flatten() {
            for entry in entries.as_array().into_iter().flatten() {
                neighbors.extend(neighbor(router_id, entry));
            }
        }
        Ok(neighbors)
    }

    /// The IS-IS adjacencies.
    ///
    /// # Errors
    /// If isisd does not answer.
    pub fn adjacencies(&self) -> Result<Vec<Adjacency>> {
        // Of several on one circuit its JSON names one.
        Ok(self.vtysh("show isis neighbor")?.lines().filter_map(adjacency).collect())
    }

    /// How many neighbours are in step: OSPF's in state Full, or IS-IS adjacencies that are up.
    #[must_use]
    pub(crate) fn in_step(&self) -> usize {
        match self.kind {
            Kind::Ospfd => {
                self.neighbors().unwrap_or_default().iter().filter(|n| n.is_full()).count()
            }
            Kind::Isisd => self.up(),
        }
    }

    /// How many IS-IS adjacencies are up; none while isisd does not answer.
    #[must_use]
    pub fn up(&self) -> usize {
        let all = self.adjacencies().unwrap_or_default();
        all.iter().filter(|adjacency| adjacency.state == "Up").count()
    }

    /// How long the last SPF calculation took, by ospfd's own account.
    ///
    /// # Errors
    /// If ospfd does not answer.
    pub fn last_spf(&self) -> Result<Duration> {
        let answer = self.show("show ip ospf")?;
        let micros = answer["spfLastDurationMsecs"].as_u64().map(Duration::from_millis);
        let found =
            || LabError::Unexpected { what: "show ip ospf".into(), found: answer.to_string() };
        micros.ok_or_else(found)
    }

    /// Ends the daemons as an operator would (SIGTERM).
    ///
    /// # Errors
    /// If they have not ended within 10 s.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon.stop(DAEMON)?;
        if let Some(bfdd) = &mut self.bfdd {
            bfdd.stop(DAEMON)?;
        }
        self.zebra.stop(DAEMON)
    }

    /// ospfd's process.
    pub fn ospfd(&mut self) -> &mut Process {
        &mut self.daemon
    }

    /// bfdd's process, if it runs.
    pub fn bfdd(&mut self) -> Option<&mut Process> {
        self.bfdd.as_mut()
    }

    /// Starts bfdd again after it was killed, and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer within 10 s.
    pub fn restart_bfdd(&mut self) -> Result<()> {
        self.bfdd = None;
        self.bfdd = Some(start_bfdd(&self.lab, &self.node)?);
        Ok(())
    }

    /// Kills both daemons without last words (SIGKILL); their routes stay in the kernel.
    pub fn kill(&mut self) {
        self.daemon.kill();
        self.bfdd = None;
        self.zebra.kill();
    }

    /// Starts both daemons again after [`Frr::stop`] or [`Frr::kill`], and waits until they answer.
    ///
    /// # Errors
    /// If a daemon does not answer within 10 s.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        (self.zebra, self.bfdd, self.daemon) = start_daemons(&self.lab, &self.node, self.kind)?;
        Ok(())
    }
}

fn start_daemons(
    lab: &Lab,
    node: &Node,
    kind: Kind,
) -> Result<(Process, Option<Process>, Process)> {
    let mut zebra = start_daemon(node, "zebra")?;
    let zserv = node.directory().join("zserv.api");
    lab.wait_for_daemon(&mut zebra, || zserv.exists())?;
    let has_bfd = node.directory().join("bfdd.conf").exists();
    let bfdd = if has_bfd { Some(start_bfdd(lab, node)?) } else { None };
    let mut daemon = start_daemon(node, kind.name())?;
    lab.wait_for_daemon(&mut daemon, || vtysh(node, kind.probe()).is_ok())?;
    Ok((zebra, bfdd, daemon))
}

fn start_bfdd(lab: &Lab, node: &Node) -> Result<Process> {
    let mut bfdd = start_daemon(node, "bfdd")?;
    lab.wait_for_daemon(&mut bfdd, || vtysh(node, "show bfd peers json").is_ok())?;
    Ok(bfdd)
}

fn start_daemon(node: &Node, name: &str) -> Result<Process> {
    let path = |file: &str| node.directory().join(file).to_string_lossy().into_owned();
    let (config, pid, zserv, directory) =
        (path(&format!("{name}.conf")), path(&format!("{name}.pid")), path("zserv.api"), path(""));
    // A socket left by a killed zebra would look like one that listens.
    if name == "zebra" {
        let _ = std::fs::remove_file(&zserv);
    }
    let control = path("bfdd.sock");
    let mut arguments = vec![
        "-f",
        &config,
        "-i",
        &pid,
        "-z",
        &zserv,
        "--vty_socket",
        &directory,
        "-P",
        "0",
        "-u",
        "frr",
        "-g",
        "frr",
        "--log",
        "stdout",
        "--log-level",
        "informational",
    ];
    if name == "bfdd" {
        arguments.extend(["--bfdctl", &control]);
    }
    node.spawn(name, &Path::new(tools::FRR).join(name), &arguments)
}

fn vtysh(node: &Node, command: &str) -> Result<String> {
    let directory = node.directory().to_string_lossy();
    tools::run("vtysh", &["--vty_socket", &directory, "--config_dir", &directory, "-c", command])
}

/// One line of `show isis neighbor`, ` 0000.0000.0003  eth0  2  Up  3  6678.231d.7dbd`; `None` if it is another.
fn adjacency(line: &str) -> Option<Adjacency> {
    let mut words = line.split_whitespace();
    Some(Adjacency {
        system: words.next()?.to_owned(),
        interface: words.next()?.to_owned(),
        level: words.next()?.parse().ok()?,
        state: words.next()?.to_owned(),
    })
}

/// One entry of `show ip ospf neighbor json`; `None` if it lacks a field.
fn neighbor(router_id: &str, entry: &Value) -> Option<Neighbor> {
    // "Full/DR", "2-Way/DROther", "Full/-"; the interface as "eth0:10.0.0.1".
    let state = entry["nbrState"].as_str().or_else(|| entry["state"].as_str())?;
    let address = entry["ifaceAddress"].as_str().or_else(|| entry["address"].as_str())?;
    Some(Neighbor {
        router_id: router_id.parse().ok()?,
        address: address.parse::<Ipv4Addr>().ok()?,
        interface: entry["ifaceName"].as_str()?.split(':').next()?.to_owned(),
        state: state.split('/').next()?.to_owned(),
    })
}
