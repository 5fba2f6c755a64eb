//! From lines to a [`Scenario`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bugle_types::{Rng, Time};

use super::database::import;
use super::network::{address, area, lan, link, node, quality, router, topology};
use super::words::{Words, Wrong};
use super::{
    Action, Event, Fault, Flows, Host, Limit, Limited, Link, Node, Problem, Problems, Scenario,
};
use crate::machine::Work;
use crate::medium::Quality;
use crate::network::{Borders, Network, NodeId};
use crate::settings::{Protocols, Timers};

/// A repeated event happens at most so often.
const MOST_REPETITIONS: usize = 1_000_000;

pub(super) fn parse(
    text: &str,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Scenario, Problems> {
    let mut parser = Parser {
        read,
        problems: Vec::new(),
        spreads: Vec::new(),
        topology_given: false,
        protocol_given: false,
        scenario: Scenario {
            title: String::new(),
            seed: 1,
            network: Network::default(),
            quality: Quality::default(),
            protocols: Protocols::default(),
            timers: Timers::default(),
            work: Work::default(),
            install: Duration::ZERO,
            start_within: Duration::from_secs(1),
            hosts: BTreeMap::new(),
            addresses: BTreeSet::new(),
            flows: Flows::All,
            events: Vec::new(),
            limits: Vec::new(),
        },
    };
    // What others refer to comes first, wherever it is written.
    for pass in [Pass::Settings, Pass::Routers, Pass::Links, Pass::Hosts, Pass::Events] {
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = Words::new(line);
            let Some(first) = words.next() else { continue };
            let belongs = Pass::of(first);
            let done = match belongs {
                Some(belongs) if belongs == pass => parser.statement(number, first, &mut words),
                None if pass == Pass::Settings => {
                    Err(format!("there is no statement that begins with {first:?}"))
                }
                Some(_) | None => Ok(()),
            };
            if let Err(message) = done {
                parser.problems.push(Problem { line: number, message });
            }
        }
        if pass == Pass::Hosts {
            parser.spread_hosts();
        }
    }
    parser.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Settings,
    Routers,
    Links,
    Hosts,
    Events,
}

impl Pass {
    fn of(first: &str) -> Option<Self> {
        Some(match first {
            "title" | "seed" | "protocol" | "links" | "timers" | "work" | "kernel" | "start"
            | "flows" | "expect" => Self::Settings,
            "topology" | "router" => Self::Routers,
            "area" | "borders" | "link" | "lan" => Self::Links,
            "host" | "hosts" => Self::Hosts,
            "at" => Self::Events,
            _ => return None,
        })
    }
}

/// Virtual machines whose addresses do not matter.
enum Spread {
    /// So many on each router where they can live.
    Each(u32),
    /// So many on all of these together.
    Total(u32),
    /// So many on this router.
    On(u32, NodeId),
}

struct Parser<'a> {
    read: &'a dyn Fn(&Path) -> Result<String, String>,
    scenario: Scenario,
    spreads: Vec<Spread>,
    topology_given: bool,
    protocol_given: bool,
    problems: Vec<Problem>,
}

impl Parser<'_> {
    fn statement(&mut self, line: usize, first: &str, words: &mut Words<'_>) -> Result<(), Wrong> {
        let scenario = &mut self.scenario;
        match first {
            "title" => words.rest().clone_into(&mut scenario.title),
            "seed" => scenario.seed = words.number("a number")?,
            "protocol" => {
                scenario.protocols = protocols(words)?;
                self.protocol_given = true;
            }
            "links" => {
                for change in quality(words)? {
                    change.apply(&mut scenario.quality);
                }
                if scenario.quality.latency < Duration::from_micros(1) {
                    return Err("a latency is at least 1us".to_owned());
                }
            }
            "timers" => timers(words, &mut scenario.timers)?,
            "work" => {
                while let Some(what) = words.next() {
                    match what {
                        "packet" => scenario.work.packet = words.duration()?,
                        "spf-node" => scenario.work.spf_node = words.duration()?,
                        _ => return Err(format!("expected packet or spf-node, found {what:?}")),
                    }
                }
            }
            "kernel" => {
                words.expect("install")?;
                scenario.install = words.duration()?;
            }
            "start" => {
                words.expect("within")?;
                scenario.start_within = words.duration()?;
            }
            "flows" => {
                scenario.flows = if words.take("all") {
                    Flows::All
                } else {
                    let count = words.number("all, or a number")?;
                    words.expect("each")?;
                    Flows::Each(count)
                };
            }
            "expect" => {
                let what = limit(words)?;
                let with = if words.take("with") { Some(protocols(words)?) } else { None };
                scenario.limits.push(Limit { line, what, with });
            }
            "topology" => return self.topology(words),
            "router" => return router(words, &mut scenario.network),
            "area" => return area(words, &mut scenario.network),
            "borders" => {
                scenario.network.borders = match words.word("leak, or attached")? {
                    "leak" => Borders::Leak,
                    "attached" => Borders::Attached,
                    other => return Err(format!("expected leak or attached, found {other:?}")),
                };
            }
            "link" => return link(words, &mut scenario.network, scenario.quality),
            "lan" => return lan(words, &mut scenario.network, scenario.quality),
            "host" => {
                let host = address(words)?;
                words.expect("on")?;
                let on = node(words, &scenario.network)?;
                if scenario.hosts.insert(host, on).is_some() {
                    return Err(format!("{host} has a place already"));
                }
                scenario.addresses.insert(host);
            }
            "hosts" => {
                let count = words.number("a number")?;
                self.spreads.push(match words.word("each, spread or on")? {
                    "each" => Spread::Each(count),
                    "spread" => Spread::Total(count),
                    "on" => Spread::On(count, node(words, &scenario.network)?),
                    other => return Err(format!("expected each, spread or on, found {other:?}")),
                });
            }
            _ => return self.event(line, words),
        }
        if first == "title" { Ok(()) } else { words.end() }
    }

    fn topology(&mut self, words: &mut Words<'_>) -> Result<(), Wrong> {
        if std::mem::replace(&mut self.topology_given, true) {
            return Err("there is a topology already".to_owned());
        }
        if words.take("file") {
            let path = words.word("a path")?;
            words.end()?;
            let text = (self.read)(Path::new(path))?;
            return self.topology_file(path, &text);
        }
        if words.take("database") {
            let path = words.word("a path")?;
            let vrf = if words.take("vrf") { words.word("a VRF")? } else { "default" };
            words.end()?;
            let text = (self.read)(Path::new(path))?;
            let imported = import(&text, vrf).map_err(|wrong| format!("{path}: {wrong}"))?;
            if !self.protocol_given {
                self.scenario.protocols = imported.protocols;
            }
            self.scenario.addresses.extend(imported.hosts.keys());
            self.scenario.hosts.extend(imported.hosts);
            self.put_before(imported.network);
        } else {
            let network = topology(words, self.scenario.seed)?;
            self.put_before(network);
        }
        Ok(())
    }

    /// Routers that statements added come after those of the topology.
    fn put_before(&mut self, network: Network) {
        let more = std::mem::replace(&mut self.scenario.network, network);
        self.scenario.network.routers.extend(more.routers);
    }

    /// A file of `router`, `link` and `lan` statements.
    fn topology_file(&mut self, path: &str, text: &str) -> Result<(), Wrong> {
        let mut wrong = Vec::new();
        let Scenario { network, quality, .. } = &mut self.scenario;
        for routers in [true, false] {
            for (number, line) in (1..).zip(text.lines()) {
                let mut words = Words::new(line);
                let Some(first) = words.next() else { continue };
                let done = match first {
                    "router" if routers => router(&mut words, network),
                    "link" if !routers => link(&mut words, network, *quality),
                    "lan" if !routers => lan(&mut words, network, *quality),
                    "router" | "link" | "lan" => Ok(()),
                    _ if routers => Err(format!("expected router, link or lan, found {first:?}")),
                    _ => Ok(()),
                };
                wrong.extend(done.err().map(|message| format!("{path}, line {number}: {message}")));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// `at TIME [every TIME for TIME] ACTION [for TIME]`
    fn event(&mut self, line: usize, words: &mut Words<'_>) -> Result<(), Wrong> {
        let first = Time::ZERO + words.duration()?;
        let mut times = vec![first];
        if words.take("every") {
            let period = words.duration()?;
            words.expect("for")?;
            let end = first + words.duration()?;
            let count = end.since(first).as_nanos().checked_div(period.as_nanos());
            if count.is_none_or(|count| count > MOST_REPETITIONS as u128) {
                return Err(format!("that is more than {MOST_REPETITIONS} times"));
            }
            while let Some(next) = times.last().map(|&last| last + period)
                && next < end
            {
                times.push(next);
            }
        }
        let text = words.rest().to_owned();
        let action = self.action(words)?;
        let undone_after = if words.take("for") { Some(words.duration()?) } else { None };
        words.end()?;
        let can_be_undone = matches!(
            action,
            Action::Link(_, Fault::Down | Fault::Silent | Fault::OneWay)
                | Action::Port(_, _, Fault::Down | Fault::Silent | Fault::OneWay)
                | Action::Partition(_)
                | Action::Crash(_)
                | Action::Stop(_)
        );
        if undone_after.is_some() && !can_be_undone {
            return Err("only faults, partitions, crashes and stops end after a time".to_owned());
        }
        self.scenario.events.push(Event { line, text, times, action, undone_after });
        Ok(())
    }

    fn action(&mut self, words: &mut Words<'_>) -> Result<Action, Wrong> {
        let network = &self.scenario.network;
        let verb = words.word("what happens")?;
        Ok(match verb {
            "move" => {
                let host = host(words)?;
                words.expect("to")?;
                let to = self.node(words)?;
                Action::Move { host, to, announced: !words.take("unannounced") }
            }
            "add" => {
                let host = address(words)?;
                words.expect("on")?;
                let on = self.node(words)?;
                self.scenario.addresses.insert(host);
                Action::Add(host, on)
            }
            "remove" => Action::Remove(host(words)?),
            "evacuate" => {
                let node = self.node(words)?;
                let within = if words.take("within") { words.duration()? } else { Duration::ZERO };
                Action::Evacuate { node, within }
            }
            "link" => {
                let link = if words.take("random") {
                    Link::Random
                } else {
                    let (a, b) = (node(words, network)?, node(words, network)?);
                    let joins = |segment: &crate::network::Segment| {
                        let has = |node| segment.members.iter().any(|m| m.node == node);
                        segment.lan.is_none() && has(a) && has(b)
                    };
                    if !network.segments.iter().any(joins) {
                        let (a, b) = (network.name(a), network.name(b));
                        return Err(format!("there is no link between {a} and {b}"));
                    }
                    Link::Between(a, b)
                };
                Action::Link(link, fault(words)?)
            }
            "port" => {
                let at = node(words, network)?;
                let name = words.word("a LAN")?;
                let on = |segment: &crate::network::Segment| {
                    segment.lan.as_deref() == Some(name)
                        && segment.members.iter().any(|member| member.node == at)
                };
                let Some(place) = network.segments.iter().position(on) else {
                    return Err(format!("{} is on no LAN called {name:?}", network.name(at)));
                };
                Action::Port(at, crate::network::SegmentId::at(place), fault(words)?)
            }
            "partition" => {
                let mut nodes = BTreeSet::from([node(words, network)?]);
                while words.peek().is_some_and(|word| word != "for") {
                    nodes.insert(node(words, network)?);
                }
                Action::Partition(nodes)
            }
            "heal" => Action::Heal,
            "crash" => Action::Crash(self.node(words)?),
            "stop" => Action::Stop(self.node(words)?),
            "restart" => Action::Restart(self.node(words)?),
            "links" => Action::Links(quality(words)?),
            "check" => Action::Check,
            _ => return Err(format!("{verb:?} is nothing that can happen")),
        })
    }

    /// A name; `random`; or `random leaf`.
    fn node(&self, words: &mut Words<'_>) -> Result<Node, Wrong> {
        let network = &self.scenario.network;
        if !words.take("random") {
            return node(words, network).map(Node::Named);
        }
        let kind = match words.peek() {
            None | Some("for" | "unannounced" | "within") => String::new(),
            Some(_) => words.word("a kind of router")?.to_owned(),
        };
        if candidates(network, &kind).is_empty() {
            return Err(format!("there is no router called {kind:?} and a number"));
        }
        Ok(Node::Random(kind))
    }

    /// Addresses are 10.100.0.1 and on, up to where 10.127 ends.
    fn spread_hosts(&mut self) {
        let edges: Vec<NodeId> = candidates(&self.scenario.network, "");
        let count = u32::try_from(edges.len()).unwrap_or(u32::MAX);
        let mut addresses = (0x0A64_0001..0x0A7F_FFFF).map(Ipv4Addr::from);
        for spread in &self.spreads {
            let (total, places) = match spread {
                Spread::Each(each) => (each.saturating_mul(count), &edges[..]),
                Spread::Total(total) => (*total, &edges[..]),
                Spread::On(total, node) => (*total, std::slice::from_ref(node)),
            };
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            for (&node, host) in places.iter().cycle().zip(&mut addresses).take(total) {
                self.scenario.hosts.entry(host).or_insert(node);
                self.scenario.addresses.insert(host);
            }
        }
    }

    fn finish(mut self) -> Result<Scenario, Problems> {
        let scenario = &self.scenario;
        if scenario.network.routers.is_empty() && self.problems.is_empty() {
            let message = "there is no network: begin with a topology or a router".to_owned();
            self.problems.push(Problem { line: 1, message });
        }
        for event in &scenario.events {
            if let Action::Move { host: Host::Address(host), .. }
            | Action::Remove(Host::Address(host)) = event.action
                && !scenario.addresses.contains(&host)
            {
                let message = format!("there is never a host {host}");
                self.problems.push(Problem { line: event.line, message });
            }
        }
        self.problems.sort();
        if self.problems.is_empty() { Ok(self.scenario) } else { Err(Problems(self.problems)) }
    }
}

/// The routers whose name is `kind` and a number; all where virtual machines can live, if it is empty.
pub(crate) fn candidates(network: &Network, kind: &str) -> Vec<NodeId> {
    let fits = |router: &crate::network::Router| {
        if kind.is_empty() {
            return router.edge;
        }
        router.name.strip_prefix(kind).is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let all = network.routers.iter().enumerate().filter(|(_, router)| fits(router));
    all.map(|(index, _)| NodeId::at(index)).collect()
}

impl Scenario {
    /// The flows that are watched: from routers where virtual machines can live.
    pub(crate) fn flow_list(&self, rng: &mut Rng) -> Vec<(NodeId, Ipv4Addr)> {
        let sources = candidates(&self.network, "");
        let mut flows = Vec::new();
        for &host in &self.addresses {
            match self.flows {
                Flows::All => flows.extend(sources.iter().map(|&source| (source, host))),
                Flows::Each(count) => flows.extend((0..count).filter_map(|_| {
                    let place = rng.below(sources.len() as u64);
                    Some((*sources.get(usize::try_from(place).ok()?)?, host))
                })),
            }
        }
        flows
    }
}

/// An address, or `random`.
fn host(words: &mut Words<'_>) -> Result<Host, Wrong> {
    if words.take("random") { Ok(Host::Random) } else { address(words).map(Host::Address) }
}

fn fault(words: &mut Words<'_>) -> Result<Fault, Wrong> {
    Ok(match words.word("down, silent, one-way or up")? {
        "down" => Fault::Down,
        "silent" => Fault::Silent,
        "one-way" => Fault::OneWay,
        "up" => Fault::Up,
        other => return Err(format!("expected down, silent, one-way or up, found {other:?}")),
    })
}

/// `rfc`, or one or more of `hello`, `dead`, `retransmit` ...
fn timers(words: &mut Words<'_>, timers: &mut Timers) -> Result<(), Wrong> {
    if words.take("rfc") {
        *timers = Timers::rfc();
    }
    while let Some(what) = words.next() {
        let value = match what {
            "no-alternates" => {
                timers.alternates = false;
                continue;
            }
            "hello" => &mut timers.hello,
            "dead" => &mut timers.dead,
            "retransmit" => &mut timers.retransmit,
            "lsa-min-interval" => &mut timers.min_ls_interval,
            "lsa-min-arrival" => &mut timers.min_ls_arrival,
            "spf-initial" => &mut timers.spf.initial,
            "spf-short" => &mut timers.spf.short,
            "spf-long" => &mut timers.spf.long,
            "microloop-delay" => &mut timers.microloop_delay,
            _ => return Err(format!("there is no timer called {what:?}")),
        };
        *value = words.duration()?;
    }
    if timers.dead <= timers.hello {
        return Err("dead is longer than hello".to_owned());
    }
    Ok(())
}

/// `ospf`, `isis` or `both`
fn protocols(words: &mut Words<'_>) -> Result<Protocols, Wrong> {
    words.number("ospf, isis or both")
}

/// `WHAT at most VALUE`
fn limit(words: &mut Words<'_>) -> Result<Limited, Wrong> {
    let what = words.word("up, loss, loop, wrong, packets, lsas or spf")?;
    words.expect("at")?;
    words.expect("most")?;
    Ok(match what {
        "up" => Limited::Up(words.duration()?),
        "loss" => Limited::Loss(words.duration()?),
        "loop" => Limited::Loop(words.duration()?),
        "wrong" => Limited::Wrong(words.duration()?),
        "packets" => Limited::Packets(words.number("a number")?),
        "lsas" => Limited::Lsas(words.number("a number")?),
        "spf" => Limited::Spf(words.number("a number")?),
        _ => return Err(format!("nothing is known about {what:?}")),
    })
}
