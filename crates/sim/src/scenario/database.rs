//! `topology database FILE`: the network that a daemon's link-state database describes, as `bugle show database --json` prints it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bugle_types::RouterId;
use bugle_wire::ospf::{LS_INFINITY, Lsa, LsaBody, MAX_AGE, RouterLink, RouterLinkKind};
use serde::Deserialize;

use super::network::bounded;
use super::words::Wrong;
use crate::network::{DEFAULT_COST, LAN_SIZE, Member, Network, NodeId, Router, Segment};

/// RFC 6987 section 2: what a router that is to be no transit says its links cost.
const MAX_LINK_METRIC: u16 = 0xFFFF;

/// An entry of the database; what else is printed does not matter.
#[derive(Deserialize)]
struct Entry {
    vrf: String,
    protocol: String,
    /// The octets in hexadecimal.
    lsa: Option<String>,
}

/// What a database says of a network.
#[derive(Default)]
struct Known {
    routers: BTreeMap<RouterId, Vec<RouterLink>>,
    /// By the address of the designated router.
    lans: BTreeMap<Ipv4Addr, Vec<RouterId>>,
    /// Who advertises a host at the lowest metric.
    hosts: BTreeMap<Ipv4Addr, (u32, RouterId)>,
}

/// The network, and where its virtual machines are.
pub(super) fn import(
    text: &str,
    vrf: &str,
) -> Result<(Network, BTreeMap<Ipv4Addr, NodeId>), Wrong> {
    let entries: Vec<Entry> = serde_json::from_str(text)
        .map_err(|error| format!("not what `bugle show database --json` prints: {error}"))?;
    let mut known = Known::default();
    for (place, entry) in entries.iter().enumerate() {
        if entry.protocol == "ospf" && entry.vrf == vrf {
            let octets = entry.lsa.as_deref().and_then(octets);
            let lsa = octets.as_deref().and_then(|octets| Lsa::parse(octets).ok());
            let learnt = lsa.and_then(|lsa| known.learn(lsa));
            learnt.ok_or_else(|| format!("entry {place} has no whole LSA in `lsa`"))?;
        }
    }
    bounded(known.routers.len())?;
    if known.routers.is_empty() {
        return Err(format!("there is no router-LSA of OSPF in VRF {vrf:?}"));
    }
    known.network()
}

impl Known {
    /// Takes note of an LSA; `None` if it makes no sense.
    fn learn(&mut self, lsa: Lsa<'_>) -> Option<()> {
        let header = lsa.header();
        if header.age >= MAX_AGE {
            return Some(());
        }
        let by = header.key.advertising_router;
        match lsa.body().ok()? {
            LsaBody::Router(body) => {
                self.routers.insert(by, body.links.collect());
            }
            LsaBody::Network(body) => {
                let members = self.lans.entry(header.key.link_state_id).or_default();
                members.extend(body.routers);
            }
            LsaBody::External(body) => {
                let is_host = body.mask == Ipv4Addr::BROADCAST && body.metric < LS_INFINITY;
                if is_host && body.forwarding.is_unspecified() {
                    let claim = (body.metric, by);
                    let held = self.hosts.entry(header.key.link_state_id).or_insert(claim);
                    *held = claim.min(*held);
                }
            }
            LsaBody::Summary(_) | LsaBody::Opaque(_) => {}
        }
        Some(())
    }

    fn network(&self) -> Result<(Network, BTreeMap<Ipv4Addr, NodeId>), Wrong> {
        let nodes: BTreeMap<RouterId, NodeId> =
            self.routers.keys().enumerate().map(|(at, &id)| (id, NodeId::at(at))).collect();
        let hosts: BTreeMap<Ipv4Addr, NodeId> = self
            .hosts
            .iter()
            .filter_map(|(&host, (_, by))| Some((host, *nodes.get(by)?)))
            .collect();
        let mut network = Network::default();
        for (id, links) in &self.routers {
            let has_hosts = hosts.values().any(|node| nodes.get(id) == Some(node));
            let stub = is_stub(links);
            network.routers.push(Router { name: format!("r{id}"), stub, edge: stub || has_hosts });
        }
        if !network.routers.iter().any(|router| router.edge) {
            network.routers.iter_mut().for_each(|router| router.edge = true);
        }
        for (&a, &from) in &nodes {
            for (&b, &to) in nodes.range(a..).skip(1) {
                let there = self.links(a, RouterLinkKind::PointToPoint, b.0.into());
                let back = self.links(b, RouterLinkKind::PointToPoint, a.0.into());
                // The ends of parallel links have addresses in the same order.
                for (there, back) in there.into_iter().zip(back) {
                    let costs = costs(&[there.metric, back.metric]);
                    let members = [from, to].into_iter().zip(costs);
                    let members = members.map(|(node, cost)| Member { node, cost }).collect();
                    network.segments.push(Segment { lan: None, members, quality: None });
                }
            }
        }
        for (dr, routers) in &self.lans {
            let on_it = |&id: &RouterId| {
                let link = self.links(id, RouterLinkKind::Transit, *dr).into_iter().next()?;
                Some((*nodes.get(&id)?, link.metric))
            };
            let (on_it, metrics): (Vec<_>, Vec<_>) = routers.iter().filter_map(on_it).unzip();
            if on_it.len() > LAN_SIZE {
                return Err(format!(
                    "the LAN {dr} has {} routers: {LAN_SIZE} at most",
                    on_it.len()
                ));
            }
            let members = on_it.into_iter().zip(costs(&metrics));
            let members = members.map(|(node, cost)| Member { node, cost }).collect();
            network.segments.push(Segment { lan: Some(format!("{dr}")), members, quality: None });
        }
        Ok((network, hosts))
    }

    /// A router's links of one kind to the same, in the order of their addresses.
    fn links(&self, of: RouterId, kind: RouterLinkKind, to: Ipv4Addr) -> Vec<RouterLink> {
        let links = self.routers.get(&of).into_iter().flatten();
        let mut links: Vec<RouterLink> =
            links.filter(|link| link.kind == kind && link.id == to).copied().collect();
        links.sort_unstable_by_key(|link| link.data);
        links
    }
}

fn is_stub(links: &[RouterLink]) -> bool {
    let mut transit = links.iter().filter(|link| link.kind != RouterLinkKind::Stub).peekable();
    transit.peek().is_some() && transit.all(|link| link.metric == MAX_LINK_METRIC)
}

/// What sending costs at each end. A stub router does not tell what its links cost itself: as much as at the other end.
fn costs(metrics: &[u16]) -> Vec<u16> {
    let told = |metric: &u16| *metric != MAX_LINK_METRIC && *metric > 0;
    let other = metrics.iter().copied().filter(told).min().unwrap_or(DEFAULT_COST);
    metrics.iter().map(|metric| if told(metric) { *metric } else { other }).collect()
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, []) = hexadecimal.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use bugle_types::Time;

    use super::*;
    use crate::scenario::Scenario;
    use crate::world::World;

    fn parse(text: &str, file: &str) -> Result<Scenario, String> {
        let read = |_: &Path| Ok(file.to_owned());
        Scenario::parse(text, &read).map_err(|problems| problems.to_string())
    }

    /// The database of a router as the daemon prints it.
    fn print(world: &World, node: NodeId) -> String {
        let speaker = world.machines[node.index()].speaker.as_deref().unwrap();
        let vrf = speaker.state().vrf("default").unwrap();
        let entries = vrf.ospf().unwrap().database().map(|(_, stored)| {
            let mut lsa = String::new();
            for octet in stored.bytes() {
                write!(lsa, "{octet:02x}").unwrap();
            }
            serde_json::json!({ "vrf": "default", "protocol": "ospf", "lsa": lsa, "length": 0 })
        });
        entries.collect::<serde_json::Value>().to_string()
    }

    #[test]
    fn a_network_comes_out_of_its_database_as_it_went_in() {
        let text = "
            router r198.18.0.1 no-hosts
            router r198.18.0.2 no-hosts
            router r198.18.0.3 stub
            router r198.18.0.4
            link r198.18.0.1 r198.18.0.2 cost 7 9
            link r198.18.0.1 r198.18.0.2 cost 20
            link r198.18.0.2 r198.18.0.3 cost 5
            lan l r198.18.0.1 r198.18.0.2 r198.18.0.4 cost 3
            host 10.100.0.1 on r198.18.0.3
            host 10.100.0.2 on r198.18.0.4";
        let scenario = parse(text, "").unwrap();
        let mut world = World::new(crate::play::plan_of(&scenario));
        world.run_until(Time::from_secs(60));
        let printed = print(&world, NodeId(3));
        let imported = parse("topology database db.json", &printed).unwrap();
        assert_eq!(imported.hosts, scenario.hosts);
        assert_eq!(imported.network.routers, scenario.network.routers);
        let unnamed = |network: &Network| {
            let mut segments: Vec<_> = network
                .segments
                .iter()
                .map(|segment| {
                    let mut members: Vec<_> =
                        segment.members.iter().map(|m| (m.node, m.cost)).collect();
                    members.sort_unstable();
                    (segment.lan.is_some(), members)
                })
                .collect();
            segments.sort_unstable();
            segments
        };
        assert_eq!(unnamed(&imported.network), unnamed(&scenario.network));
        let refused = parse("topology database db.json vrf blue", &printed).unwrap_err();
        assert!(refused.contains("no router-LSA of OSPF in VRF \"blue\""), "{refused}");
    }

    #[test]
    fn what_is_no_database_is_refused_with_a_reason() {
        let entry = |lsa: &str| format!(r#"[{{"vrf":"default","protocol":"ospf","lsa":"{lsa}"}}]"#);
        for (file, reason) in [
            ("{}".to_owned(), "not what `bugle show database --json` prints"),
            ("[]".to_owned(), "no router-LSA"),
            (entry("abc"), "entry 0 has no whole LSA"),
            (entry("00zz"), "entry 0 has no whole LSA"),
            (entry("0000"), "entry 0 has no whole LSA"),
            (r#"[{"vrf":"default","protocol":"ospf"}]"#.to_owned(), "entry 0 has no whole LSA"),
        ] {
            let refused = parse("topology database db.json", &file).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
