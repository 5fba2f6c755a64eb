//! A namespace, and what can be done in it.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::error::{LabError, Result};
use crate::lab::Shared;
use crate::process::Process;
use crate::tools;

/// A network namespace of a lab. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lab: Arc<Shared>,
    name: String,
    namespace: String,
    directory: PathBuf,
    interfaces: AtomicU32,
}

impl Node {
    pub(crate) fn new(lab: Arc<Shared>, name: &str, namespace: String) -> Result<Self> {
        let directory = lab.directory().join(name);
        fs::create_dir(&directory)
            .map_err(LabError::io(format!("creating {}", directory.display())))?;
        let interfaces = AtomicU32::new(0);
        Ok(Self(Arc::new(Inner { lab, name: name.to_owned(), namespace, directory, interfaces })))
    }

    /// The node's name within its lab.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The namespace's name, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The node's directory for configurations, sockets and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The name for the node's next interface.
    pub(crate) fn next_interface(&self) -> String {
        format!("eth{}", self.0.interfaces.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs `ip` with these arguments, separated by blanks, in the namespace, and returns what it prints.
    ///
    /// # Errors
    /// If it fails: with its message.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        let mut all = vec!["-n", self.namespace()];
        all.extend(arguments.split_ascii_whitespace());
        tools::run("ip", &all)
    }

    /// Runs a program in the namespace to its end and returns what it prints.
    ///
    /// # Errors
    /// If it cannot be started or fails: with its message.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["netns", "exec", self.namespace(), program];
        all.extend(arguments);
        tools::run("ip", &all)
    }

    /// Starts a program in the namespace; what it prints goes to `NAME.log` in the node's directory.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self, name: &str, program: &Path, arguments: &[&str]) -> Result<Process> {
        let log = self.directory().join(format!("{name}.log"));
        self.0.lab.register_log(&log);
        Process::spawn(self.namespace(), name, program, arguments, &log)
    }

    /// Runs `action` on a thread of its own inside the namespace. Sockets opened there stay there.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or `action` panics.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.namespace());
        let entering = || LabError::io(format!("entering namespace {}", self.namespace()));
        let namespace = File::open(path).map_err(entering())?;
        let outcome = thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(&namespace, CloneFlags::CLONE_NEWNET)
                        .map_err(|errno| entering()(errno.into()))?;
                    Ok(action())
                })
                .join()
        });
        outcome.unwrap_or_else(|_panic| {
            Err(LabError::Unexpected {
                what: format!("an action in namespace {}", self.namespace()),
                found: "a panic".to_owned(),
            })
        })
    }

    /// Sets a network sysctl, such as `net.ipv4.ip_forward`, in the namespace.
    ///
    /// # Errors
    /// If it does not exist or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        self.enter(|| fs::write(path, value))?
            .map_err(LabError::io(format!("setting {key} to {value}")))
    }

    /// Writes a file into the node's directory and returns its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.directory().join(name);
        fs::write(&path, content).map_err(LabError::io(format!("writing {}", path.display())))?;
        Ok(path)
    }

    /// The link-local address of an interface; `None` while it has none.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn link_local(&self, interface: &str) -> Result<Option<Ipv6Addr>> {
        let what = format!("-json -6 address show dev {interface} scope link");
        let links: Vec<Value> = tools::json(&what, &self.ip(&what)?)?;
        let mut addresses =
            links.iter().flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
        Ok(addresses.find_map(|address| address["local"].as_str()?.parse().ok()))
    }

    /// The kernel's number of an interface.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn ifindex(&self, interface: &str) -> Result<u32> {
        self.enter(|| nix::net::if_::if_nametoindex(interface))?
            .map_err(LabError::io(format!("looking for interface {interface} of {}", self.name())))
    }

    /// The kernel's routes to exactly `prefix`, as `ip -json route` shows them.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn routes(&self, prefix: &str) -> Result<Vec<Value>> {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        let text = self.ip(&format!("-json {family} route show {prefix}"))?;
        tools::json(&format!("ip route show {prefix}"), &text)
    }

    /// The gateways of the kernel's best route to `prefix`, in order; empty without a route.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn gateways(&self, prefix: &str) -> Result<Vec<Ipv4Addr>> {
        let ipv4 = |gateway| if let IpAddr::V4(v4) = gateway { Some(v4) } else { None };
        Ok(self.all_gateways(prefix)?.into_iter().filter_map(ipv4).collect())
    }

    /// [`Node::gateways`], of either family.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn all_gateways(&self, prefix: &str) -> Result<Vec<IpAddr>> {
        let routes = self.routes(prefix)?;
        let metric = |route: &Value| route["metric"].as_u64().unwrap_or(0);
        let Some(best) = routes.iter().min_by_key(|route| metric(route)) else {
            return Ok(Vec::new());
        };
        let mut gateways = match best["nhid"].as_u64() {
            Some(id) => self.nexthop_gateways(id)?,
            None => gateways_of(best),
        };
        gateways.sort_unstable();
        Ok(gateways)
    }

    /// The gateways of a nexthop object or of a group's members, but for one that stands by. Routes name only the object where
    /// `nexthop_compat_mode` is off.
    fn nexthop_gateways(&self, id: u64) -> Result<Vec<IpAddr>> {
        let text = self.ip(&format!("-json nexthop get id {id}"))?;
        let objects: Vec<Value> = tools::json("ip nexthop get", &text)?;
        let mut gateways = Vec::new();
        for object in &objects {
            gateways.extend(gateways_of(object));
            let members = || object["group"].as_array().into_iter().flatten();
            let weight = |member: &Value| member["weight"].as_u64().unwrap_or(1);
            let most = members().map(weight).max();
            for member in members().filter(|member| Some(weight(member)) == most) {
                gateways.extend(self.nexthop_gateways(member["id"].as_u64().unwrap_or(0))?);
            }
        }
        Ok(gateways)
    }
}

/// The gateways of a route or a nexthop object, as `ip -json` shows them.
fn gateways_of(entry: &Value) -> Vec<IpAddr> {
    let gateway = |leg: &Value| leg["gateway"].as_str()?.parse().ok();
    match entry["nexthops"].as_array() {
        Some(legs) => legs.iter().filter_map(gateway).collect(),
        None => gateway(entry).into_iter().collect(),
    }
}
