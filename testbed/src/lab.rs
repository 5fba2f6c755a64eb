//! A lab: namespaces, and the links between them.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bugle_types::Mac;

use crate::error::{LabError, Result};
use crate::guard::Guard;
use crate::node::Node;
use crate::process::Process;
use crate::router::DAEMON;
use crate::tools;

/// Numbers the labs of this process, so that tests may run in parallel.
static LABS: AtomicU32 = AtomicU32::new(0);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How many lines of each log a timeout shows.
const LOG_LINES: usize = 40;

/// A set of network namespaces of its own.
///
/// Cheap to clone. When the last clone and the last [`Node`] are gone, or the process dies by whatever signal, every process
/// in the namespaces is killed and the namespaces and the directory are removed.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    /// Prefix of every namespace's name: unique on this machine.
    id: String,
    directory: PathBuf,
    subnets: AtomicU32,
    logs: Mutex<Vec<PathBuf>>,
    guard: Mutex<Guard>,
}

impl Lab {
    /// An empty lab.
    ///
    /// # Errors
    /// Without root, without `ip`, or if the temporary directory cannot be created.
    pub fn new(name: &str) -> Result<Self> {
        tools::require_root()?;
        tools::require(["ip"])?;
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let id = format!("bugle-{name}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(&id);
        let mut guard = Guard::start().map_err(LabError::io("starting the lab's guardian"))?;
        guard
            .owns_directory(&directory.to_string_lossy())
            .map_err(LabError::io("talking to the lab's guardian"))?;
        fs::create_dir(&directory)
            .map_err(LabError::io(format!("creating {}", directory.display())))?;
        Ok(Self(Arc::new(Shared {
            id,
            directory,
            subnets: AtomicU32::new(0),
            logs: Mutex::default(),
            guard: Mutex::new(guard),
        })))
    }

    /// A lab for a test; `None`, and a line on standard output, when the test is not run by root.
    ///
    /// # Errors
    /// As [`Lab::new`], but for root.
    pub fn for_test(name: &str) -> Result<Option<Self>> {
        match Self::new(name) {
            Ok(lab) => Ok(Some(lab)),
            Err(LabError::NotRoot) => {
                tools::say(&format!("{name}: skipped: needs root"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Where logs, configurations and sockets live while the lab does.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// A new namespace that forwards IPv4, accepts asymmetric paths, and has its loopback up.
    ///
    /// # Errors
    /// If a namespace of this name exists, or the kernel refuses one.
    pub fn node(&self, name: &str) -> Result<Node> {
        let namespace = format!("{}-{name}", self.0.id);
        self.0
            .guard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .owns_namespace(&namespace)
            .map_err(LabError::io("talking to the lab's guardian"))?;
        tools::run("ip", &["netns", "add", &namespace])?;
        let node = Node::new(Arc::clone(&self.0), name, namespace)?;
        node.ip("link set lo up")?;
        for (key, value) in [
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv4.conf.all.rp_filter", "0"),
            ("net.ipv4.conf.default.rp_filter", "0"),
            // FRR joins its groups with one socket for all interfaces.
            ("net.ipv4.igmp_max_memberships", "1000"),
        ] {
            node.sysctl(key, value)?;
        }
        Ok(node)
    }

    /// A veth pair between two nodes. Taking one end down takes the carrier from the other.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn link(&self, a: &Node, b: &Node) -> Result<Link> {
        let subnet = self.subnet();
        let a = Port::new(a, subnet, 1);
        let b = Port::new(b, subnet, 2);
        veth(&a.node, &a.interface, &b.node, &b.interface)?;
        a.configure()?;
        b.configure()?;
        Ok(Link { a, b })
    }

    /// A switch with a port to each of `nodes`, whose ports can fail silently: with carrier up on both sides.
    ///
    /// With two nodes this is the link to use for silent failures.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn lan(&self, nodes: &[&Node]) -> Result<Lan> {
        let subnet = self.subnet();
        let switch = self.node(&format!("lan{subnet}"))?;
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;
        let mut ports = Vec::new();
        for (number, node) in (1..).zip(nodes) {
            let port = Port::new(node, subnet, number);
            let switch_port = format!("p{number}");
            veth(&port.node, &port.interface, &switch, &switch_port)?;
            switch.ip(&format!("link set {switch_port} master br0 up"))?;
            port.configure()?;
            ports.push(port);
        }
        Ok(Lan { switch, ports })
    }

    /// Waits until `condition` holds, looking at it every 20 ms.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the last lines of every log of the lab.
    pub fn wait_for(
        &self,
        within: Duration,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            if condition() {
                return Ok(());
            }
            if start.elapsed() >= within {
                return Err(self.timeout(within, what));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a daemon that was just started answers.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after 10 s, or [`LabError::Command`] once the daemon has ended.
    pub fn wait_for_daemon(
        &self,
        daemon: &mut Process,
        mut answers: impl FnMut() -> bool,
    ) -> Result<()> {
        let mut ended = None;
        self.wait_for(DAEMON, &format!("{} to answer", daemon.name()), || {
            ended = daemon.ended();
            ended.is_some() || answers()
        })?;
        let Some(status) = ended else { return Ok(()) };
        let (command, output) = (daemon.name().to_owned(), daemon.log());
        Err(LabError::Command { command, status, output })
    }

    /// The error of a wait that ended: it carries the last lines of every log.
    #[must_use]
    pub fn timeout(&self, within: Duration, what: &str) -> LabError {
        LabError::Timeout { what: what.to_owned(), within, logs: self.0.last_lines() }
    }

    /// The next unused 10.x.y.0/24, as a number.
    fn subnet(&self) -> u32 {
        self.0.subnets.fetch_add(1, Ordering::Relaxed)
    }
}

impl Shared {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Has timeouts show the end of this log.
    pub(crate) fn register_log(&self, path: &Path) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if !logs.iter().any(|log| log == path) {
            logs.push(path.to_owned());
        }
    }

    fn last_lines(&self) -> String {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for log in logs.iter() {
            let content = fs::read(log).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            let name = log.strip_prefix(&self.directory).unwrap_or(log).display();
            let _ = write!(text, "\n--- {name}");
            for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
                let _ = write!(text, "\n{line}");
            }
        }
        text
    }
}

/// One end of a link: an interface in a namespace, with an address of the link's /24.
#[derive(Clone, Debug)]
pub struct Port {
    /// Whose interface it is.
    pub node: Node,
    /// The interface's name: `eth0`, `eth1`, ... in the order of creation.
    pub interface: String,
    /// Its address; the mask is 24 bits long.
    pub address: Ipv4Addr,
}

impl Port {
    fn new(node: &Node, subnet: u32, host: u8) -> Self {
        let [_, _, high, low] = subnet.to_be_bytes();
        Self {
            node: node.clone(),
            interface: node.next_interface(),
            address: Ipv4Addr::new(10, high, low, host),
        }
    }

    fn configure(&self) -> Result<()> {
        self.node.ip(&format!("addr add {}/24 dev {}", self.address, self.interface))?;
        self.up()
    }

    /// The interface's Ethernet address.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn mac(&self) -> Result<Mac> {
        let links: serde_json::Value =
            tools::json("ip link", &self.node.ip(&format!("-j link show {}", self.interface))?)?;
        let address = &links[0]["address"];
        address.as_str().and_then(|mac| mac.parse().ok()).ok_or_else(|| LabError::Unexpected {
            what: format!("the Ethernet address of {}", self.interface),
            found: address.to_string(),
        })
    }

    /// Moves the address to an interface on top of this one (a macvlan), which has a carrier of its own.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub fn stack(&mut self) -> Result<()> {
        let upper = self.node.next_interface();
        self.node.ip(&format!("addr del {}/24 dev {}", self.address, self.interface))?;
        self.node
            .ip(&format!("link add {upper} link {} type macvlan mode passthru", self.interface))?;
        self.interface = upper;
        self.configure()
    }

    /// Takes the carrier away, of an interface made by [`stack`](Self::stack). Up to that moment every packet passes: what is lost
    /// after it is this node's own doing.
    ///
    /// # Errors
    /// If the interface is of another kind, or gone.
    pub fn lose_carrier(&self) -> Result<()> {
        self.node.ip(&format!("link set {} protodown on", self.interface)).map(drop)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As of [`lose_carrier`](Self::lose_carrier).
    pub fn regain_carrier(&self) -> Result<()> {
        self.node.ip(&format!("link set {} protodown off", self.interface)).map(drop)
    }

    /// Takes the interface up.
    ///
    /// # Errors
    /// If it is gone.
    pub fn up(&self) -> Result<()> {
        self.node.ip(&format!("link set {} up", self.interface)).map(drop)
    }

    /// Takes the interface down; the other end of the cable loses its carrier.
    ///
    /// # Errors
    /// If it is gone.
    pub fn down(&self) -> Result<()> {
        self.node.ip(&format!("link set {} down", self.interface)).map(drop)
    }

    /// Deletes the interface and with it the other end of the cable.
    ///
    /// # Errors
    /// If it is gone.
    pub fn delete(&self) -> Result<()> {
        self.node.ip(&format!("link delete {}", self.interface)).map(drop)
    }

    /// Renames the interface, which has to go down and up for it and keeps its address.
    ///
    /// # Errors
    /// If it is gone or the name is taken.
    pub fn rename(&mut self, name: &str) -> Result<()> {
        self.down()?;
        self.node.ip(&format!("link set {} name {name}", self.interface))?;
        name.clone_into(&mut self.interface);
        self.up()
    }
}

/// A cable between two nodes.
#[derive(Clone, Debug)]
pub struct Link {
    /// The end at the node named first.
    pub a: Port,
    /// The end at the node named second.
    pub b: Port,
}

/// A switched network.
#[derive(Clone, Debug)]
pub struct Lan {
    switch: Node,
    /// The nodes' ends, in the order in which the nodes were given.
    pub ports: Vec<Port>,
}

impl Lan {
    /// Cuts the node at `position` off without anybody seeing a carrier loss.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn cut(&self, position: usize) -> Result<()> {
        self.switch.ip(&format!("link set p{} nomaster", position + 1)).map(drop)
    }

    /// Lets nothing through to the node at `position`, while everybody still hears it.
    ///
    /// # Errors
    /// If there is no such port, or no other.
    pub fn deafen(&self, position: usize) -> Result<()> {
        let missing =
            || LabError::Unexpected { what: "a port".into(), found: position.to_string() };
        let port = self.ports.get(position).ok_or_else(missing)?;
        let (deaf, other) = (format!("p{}", position + 1), if position == 0 { "p2" } else { "p1" });
        let off = [
            "link",
            "set",
            "dev",
            &deaf,
            "flood",
            "off",
            "mcast_flood",
            "off",
            "bcast_flood",
            "off",
        ];
        self.switch.run("bridge", &off)?;
        // As if it were somewhere else.
        let mac = port.mac()?.to_string();
        self.switch
            .run("bridge", &["fdb", "replace", &mac, "dev", other, "master", "static", "sticky"])
            .map(drop)
    }

    /// Pulls the plug of the node at `position`: it loses its carrier, and nobody else does.
    ///
    /// # Errors
    /// If there is no such port.
    pub fn unplug(&self, position: usize) -> Result<()> {
        self.switch.ip(&format!("link set p{} down", position + 1)).map(drop)
    }

    /// Undoes [`Lan::unplug`].
    ///
    /// # Errors
    /// If there is no such port.
    pub fn plug(&self, position: usize) -> Result<()> {
        self.switch.ip(&format!("link set p{} up", position + 1)).map(drop)
    }

    /// Undoes [`Lan::cut`].
    ///
    /// # Errors
    /// If there is no such port.
    pub fn mend(&self, position: usize) -> Result<()> {
        self.switch.ip(&format!("link set p{} master br0", position + 1)).map(drop)
    }
}

/// A veth pair between two namespaces, both ends still down.
pub(crate) fn veth(a: &Node, a_name: &str, b: &Node, b_name: &str) -> Result<()> {
    tools::run(
        "ip",
        &[
            "link",
            "add",
            a_name,
            "netns",
            a.namespace(),
            "type",
            "veth",
            "peer",
            "name",
            b_name,
            "netns",
            b.namespace(),
        ],
    )
    .map(drop)
}
