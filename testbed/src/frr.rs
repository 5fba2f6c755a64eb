//! FRR in a node: zebra, ospfd and, if asked for, bfdd, run by hand.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::Ospf;
use crate::process::Process;
use crate::router::{DAEMON, Neighbor};
use crate::tools;

/// zebra, ospfd and bfdd of one node.
#[derive(Debug)]
pub struct Frr {
    lab: Lab,
    node: Node,
    pub(crate) zebra: Process,
    pub(crate) ospfd: Process,
    bfdd: Option<Process>,
}

impl Frr {
    /// Starts zebra, then ospfd, and waits until both answer.
    ///
    /// # Errors
    /// If FRR is not installed, or a daemon does not answer within 10 s.
    pub fn start(lab: &Lab, node: &Node, ospf: &Ospf) -> Result<Self> {
        tools::require(["zebra", "ospfd", "vtysh"])?;
        node.write("zebra.conf", &ospf.zebra())?;
        node.write("ospfd.conf", &ospf.ospfd())?;
        node.write("vtysh.conf", "")?;
        if let Some(config) = ospf.bfdd() {
            tools::require(["bfdd"])?;
            node.write("bfdd.conf", &config)?;
        }
        // The daemons give up root and then create their sockets here.
        let directory = node.directory().to_string_lossy().into_owned();
        tools::run("chown", &["-R", "frr:frr", &directory])?;
        let (zebra, bfdd, ospfd) = start_daemons(lab, node)?;
        Ok(Self { lab: lab.clone(), node: node.clone(), zebra, ospfd, bfdd })
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

    /// Ends ospfd and zebra as an operator would (SIGTERM).
    ///
    /// # Errors
    /// If they have not ended within 10 s.
    pub fn stop(&mut self) -> Result<()> {
        self.ospfd.stop(DAEMON)?;
        if let Some(bfdd) = &mut self.bfdd {
            bfdd.stop(DAEMON)?;
        }
        self.zebra.stop(DAEMON)
    }

    /// ospfd's process.
    pub fn ospfd(&mut self) -> &mut Process {
        &mut self.ospfd
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
        self.ospfd.kill();
        self.bfdd = None;
        self.zebra.kill();
    }

    /// Starts both daemons again after [`Frr::stop`] or [`Frr::kill`], and waits until they answer.
    ///
    /// # Errors
    /// If a daemon does not answer within 10 s.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        (self.zebra, self.bfdd, self.ospfd) = start_daemons(&self.lab, &self.node)?;
        Ok(())
    }
}

fn start_daemons(lab: &Lab, node: &Node) -> Result<(Process, Option<Process>, Process)> {
    let mut zebra = start_daemon(node, "zebra")?;
    let zserv = node.directory().join("zserv.api");
    lab.wait_for_daemon(&mut zebra, || zserv.exists())?;
    let has_bfd = node.directory().join("bfdd.conf").exists();
    let bfdd = if has_bfd { Some(start_bfdd(lab, node)?) } else { None };
    let mut ospfd = start_daemon(node, "ospfd")?;
    lab.wait_for_daemon(&mut ospfd, || vtysh(node, "show ip ospf json").is_ok())?;
    Ok((zebra, bfdd, ospfd))
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
