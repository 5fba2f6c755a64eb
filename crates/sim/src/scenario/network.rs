//! Statements that say what the network is: in a scenario, or in a file of its own.

use std::net::Ipv4Addr;

use super::QualityChange;
use super::words::{Words, Wrong, octets, rate, share};
use crate::medium::Quality;
use crate::network::{LAN_SIZE, Member, Network, NodeId, Router, Segment};

/// Networks of more routers than this are refused.
const MOST: usize = 100_000;

/// `topology KIND ...`, but for those read from files.
pub(super) fn topology(words: &mut Words<'_>, seed: u64) -> Result<Network, Wrong> {
    let count = |words: &mut Words<'_>, what: &str| words.number::<usize>(what);
    let kind = words.word("chain, ring, grid, clos, waxman, file or database")?;
    let network = match kind {
        "chain" => Network::chain(bounded(count(words, "the number of routers")?)?),
        "ring" => Network::ring(bounded(count(words, "the number of routers")?)?),
        "grid" => {
            let (rows, columns) = words.value("a size like 4x5", |word| {
                let (rows, columns) = word.split_once('x')?;
                Some((rows.parse::<usize>().ok()?, columns.parse::<usize>().ok()?))
            })?;
            bounded(rows.saturating_mul(columns))?;
            Network::grid(rows, columns)
        }
        "clos" => {
            let spines = count(words, "the number of spines")?;
            let leaves = count(words, "the number of leaves")?;
            let hosts = if words.peek().is_some() { count(words, "hypervisors")? } else { 0 };
            bounded(spines.saturating_add(leaves).saturating_add(hosts))?;
            if spines == 0 || leaves == 0 {
                return Err("a Clos fabric has at least one spine and one leaf".to_owned());
            }
            Network::clos(spines, leaves, hosts)
        }
        "waxman" => {
            let routers = bounded(count(words, "the number of routers")?)?;
            words.expect("degree")?;
            Network::waxman(routers, count(words, "links per router")?, seed)
        }
        _ => return Err(format!("there is no topology called {kind:?}")),
    };
    words.end()?;
    Ok(network)
}

pub(super) fn bounded(routers: usize) -> Result<usize, Wrong> {
    if routers > MOST {
        return Err(format!("{routers} routers are too many: {MOST} at most"));
    }
    Ok(routers)
}

/// `router NAME [stub] [no-hosts]`
pub(super) fn router(words: &mut Words<'_>, network: &mut Network) -> Result<(), Wrong> {
    let name = words.word("a name")?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name == "random" {
        return Err(format!("{name:?} is no name: it begins with a letter, and is not \"random\""));
    }
    if network.find(name).is_some() {
        return Err(format!("there is a router called {name:?} already"));
    }
    let stub = words.take("stub");
    let edge = !words.take("no-hosts");
    words.end()?;
    bounded(network.routers.len() + 1)?;
    network.routers.push(Router { name: name.to_owned(), stub, edge, area: None });
    Ok(())
}

/// `area N ROUTER ...`
pub(super) fn area(words: &mut Words<'_>, network: &mut Network) -> Result<(), Wrong> {
    let what = "the number of an area, 2 to 9999: what is in none is in area 1";
    let number =
        words.value(what, |word| word.parse::<u16>().ok().filter(|n| (2..=9999).contains(n)))?;
    while words.peek().is_some() {
        let node = node(words, network)?;
        let Some(router) = network.routers.get_mut(node.index()) else { continue };
        if let Some(other) = router.area.replace(number) {
            return Err(format!("{} is in area {other} already", router.name));
        }
    }
    Ok(())
}

/// `link A B [cost N [N]] [QUALITY]`: with two costs, each end has its own.
pub(super) fn link(
    words: &mut Words<'_>,
    network: &mut Network,
    quality: Quality,
) -> Result<(), Wrong> {
    let (a, b) = (node(words, network)?, node(words, network)?);
    if a == b {
        return Err("a link has two different ends".to_owned());
    }
    let cost = cost(words)?;
    let back = match words.peek().and_then(|word| word.parse::<u16>().ok()) {
        Some(back) if back > 0 => {
            words.next();
            back
        }
        Some(_) | None => cost,
    };
    let quality = own_quality(words, quality)?;
    let members = vec![Member { node: a, cost }, Member { node: b, cost: back }];
    network.segments.push(Segment { lan: None, members, quality });
    Ok(())
}

/// `lan NAME A B ... [cost N] [QUALITY]`
pub(super) fn lan(
    words: &mut Words<'_>,
    network: &mut Network,
    quality: Quality,
) -> Result<(), Wrong> {
    let name = words.word("a name")?;
    if network.segments.iter().any(|segment| segment.lan.as_deref() == Some(name)) {
        return Err(format!("there is a LAN called {name:?} already"));
    }
    let mut nodes: Vec<NodeId> = Vec::new();
    while words.peek().is_some_and(|word| network.find(word).is_some()) {
        let node = node(words, network)?;
        if nodes.contains(&node) {
            return Err(format!("{} is on the LAN twice", network.name(node)));
        }
        nodes.push(node);
    }
    if nodes.is_empty() || nodes.len() > LAN_SIZE {
        let found = words.peek().unwrap_or("nothing");
        return Err(format!("expected 1 to {LAN_SIZE} routers, found {found:?}"));
    }
    let cost = cost(words)?;
    let quality = own_quality(words, quality)?;
    let members = nodes.into_iter().map(|node| Member { node, cost }).collect();
    network.segments.push(Segment { lan: Some(name.to_owned()), members, quality });
    Ok(())
}

/// The next word names a router.
pub(super) fn node(words: &mut Words<'_>, network: &Network) -> Result<NodeId, Wrong> {
    let name = words.word("a router")?;
    network.find(name).ok_or_else(|| format!("there is no router called {name:?}"))
}

/// `latency 50us loss 5% ...`: at least one.
pub(super) fn quality(words: &mut Words<'_>) -> Result<Vec<QualityChange>, Wrong> {
    let mut changes = Vec::new();
    while changes.is_empty() || words.peek().is_some() {
        let what = words.word("latency, jitter, loss, duplicate, reorder, rate or queue")?;
        changes.push(match what {
            "latency" => QualityChange::Latency(words.duration()?),
            "jitter" => QualityChange::Jitter(words.duration()?),
            "loss" => QualityChange::Loss(words.value("a share like 5%", share)?),
            "duplicate" => QualityChange::Duplicate(words.value("a share like 5%", share)?),
            "reorder" => QualityChange::Reorder(words.value("a share like 5%", share)?),
            "rate" => QualityChange::Rate(words.value("a rate like 1Gbit", rate)?),
            "queue" => QualityChange::Queue(words.value("a size like 64KB", octets)?),
            _ => return Err(format!("a link has no {what:?}")),
        });
    }
    Ok(changes)
}

/// The address of a virtual machine.
pub(super) fn address(words: &mut Words<'_>) -> Result<Ipv4Addr, Wrong> {
    words.number("an address like 10.100.0.1")
}

fn own_quality(words: &mut Words<'_>, quality: Quality) -> Result<Option<Quality>, Wrong> {
    if words.peek().is_none() {
        return Ok(None);
    }
    let mut own = quality;
    for change in self::quality(words)? {
        change.apply(&mut own);
    }
    Ok(Some(own))
}

fn cost(words: &mut Words<'_>) -> Result<u16, Wrong> {
    if !words.take("cost") {
        return Ok(crate::network::DEFAULT_COST);
    }
    words.value("a cost of 1 to 65535", |word| word.parse().ok().filter(|&cost| cost > 0))
}
