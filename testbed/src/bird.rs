//! BIRD in a node.

use std::path::PathBuf;

use crate::error::Result;
use crate::lab::Lab;
use crate::node::Node;
use crate::ospf::Ospf;
use crate::process::Process;
use crate::router::Neighbor;
use crate::tools;

/// BIRD of one node.
#[derive(Debug)]
pub struct Bird {
    lab: Lab,
    node: Node,
    pub(crate) process: Process,
}

impl Bird {
    /// Starts BIRD and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed, or does not answer within 10 s.
    pub fn start(lab: &Lab, node: &Node, ospf: &Ospf) -> Result<Self> {
        Self::start_with(lab, node, &ospf.bird())
    }

    /// The same with this configuration.
    ///
    /// # Errors
    /// As [`Bird::start`].
    pub fn start_with(lab: &Lab, node: &Node, config: &str) -> Result<Self> {
        tools::require(["bird", "birdc"])?;
        node.write("bird.conf", config)?;
        Ok(Self { lab: lab.clone(), node: node.clone(), process: start(lab, node)? })
    }

    /// Runs a command of birdc and returns what it prints.
    ///
    /// # Errors
    /// If BIRD does not answer.
    pub fn birdc(&self, command: &str) -> Result<String> {
        birdc(&self.node, command)
    }

    /// The OSPF neighbours.
    ///
    /// # Errors
    /// If BIRD does not answer.
    pub fn neighbors(&self) -> Result<Vec<Neighbor>> {
        Ok(self.birdc("show ospf neighbors")?.lines().filter_map(neighbor).collect())
    }

    /// Kills BIRD without last words (SIGKILL); its routes stay in the kernel.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts BIRD again and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer within 10 s.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.process = start(&self.lab, &self.node)?;
        Ok(())
    }
}

fn start(lab: &Lab, node: &Node) -> Result<Process> {
    let path = |file: &str| node.directory().join(file).to_string_lossy().into_owned();
    let (config, control, pid) = (path("bird.conf"), path("bird.ctl"), path("bird.pid"));
    let arguments = ["-f", "-c", &config, "-s", &control, "-P", &pid];
    let mut process = node.spawn("bird", &tools::find("bird")?, &arguments)?;
    lab.wait_for_daemon(&mut process, || birdc(node, "show status").is_ok())?;
    Ok(process)
}

fn birdc(node: &Node, command: &str) -> Result<String> {
    let control: PathBuf = node.directory().join("bird.ctl");
    let mut arguments = vec!["-r", "-s"];
    let control = control.to_string_lossy();
    arguments.push(&control);
    arguments.extend(command.split_ascii_whitespace());
    tools::run("birdc", &arguments)
}

/// A line of `show ospf neighbors`: router id, priority, state, dead time, interface, address; `None` for headings.
fn neighbor(line: &str) -> Option<Neighbor> {
    let mut fields = line.split_ascii_whitespace();
    let router_id = fields.next()?.parse().ok()?;
    let _priority: u8 = fields.next()?.parse().ok()?;
    let state = fields.next()?.split('/').next()?.to_owned();
    let _dead_time = fields.next()?;
    let interface = fields.next()?.to_owned();
    let address = fields.next()?.parse().ok()?;
    Some(Neighbor { router_id, address, interface, state })
}
