//! `topology database FILE`: the network that a daemon's link-state database describes, as `bugle show database --json` prints it.
//!
//! | Module | Holds |
//! |---|---|
//! | `ospf` | what LSAs say |
//! | `isis` | what LSPs say |

mod isis;
mod ospf;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use bugle_types::{RouterId, SystemId};
use bugle_wire::isis::NodeId as PseudonodeId;
use serde::Deserialize;

use super::network::bounded;
use super::words::Wrong;
use crate::network::{DEFAULT_COST, LAN_SIZE, Member, Network, NodeId, Router, Segment};
use crate::settings::Protocols;

/// A network that a database describes.
pub(super) struct Imported {
    pub(super) network: Network,
    /// Where its virtual machines are.
    pub(super) hosts: BTreeMap<Ipv4Addr, NodeId>,
    /// What its routers speak, as far as the database shows.
    pub(super) protocols: Protocols,
}

/// The network of a VRF. Where OSPF and IS-IS run side by side OSPF tells.
pub(super) fn import(text: &str, vrf: &str) -> Result<Imported, Wrong> {
    let entries: Vec<Entry> = serde_json::from_str(text)
        .map_err(|error| format!("not what `bugle show database --json` prints: {error}"))?;
    let of = |protocol: &str| -> Result<Vec<(usize, Vec<u8>)>, Wrong> {
        let all = entries.iter().enumerate();
        let wanted = all.filter(|(_, entry)| entry.protocol == protocol && entry.vrf == vrf);
        wanted
            .map(|(place, entry)| {
                let octets = entry.lsa.as_deref().and_then(octets);
                Ok((place, octets.ok_or_else(|| not_whole(place))?))
            })
            .collect()
    };
    let mut protocols = Protocols::Ospf;
    let mut known = ospf::known(&of("ospf")?)?;
    if known.routers.is_empty() {
        protocols = Protocols::Isis;
        known = isis::known(&of("isis")?)?;
    }
    if known.routers.is_empty() {
        return Err(format!("there is no router-LSA of OSPF and no LSP of IS-IS in VRF {vrf:?}"));
    }
    bounded(known.routers.len())?;
    for told in known.routers.values_mut() {
        told.links.sort_by_key(|link| link.address);
    }
    let (network, hosts) = known.network()?;
    Ok(Imported { network, hosts, protocols })
}

/// An entry of the database; what else is printed does not matter.
#[derive(Deserialize)]
struct Entry {
    vrf: String,
    protocol: String,
    /// The octets in hexadecimal.
    lsa: Option<String>,
}

fn not_whole(place: usize) -> Wrong {
    format!("entry {place} has no whole LSA or LSP in `lsa`")
}

/// What a database says of a network.
#[derive(Default)]
struct Known {
    routers: BTreeMap<Name, Told>,
    /// The routers on each LAN.
    lans: BTreeMap<Name, Vec<Name>>,
    /// Who advertises a host at the lowest metric.
    hosts: BTreeMap<Ipv4Addr, (u32, Name)>,
}

/// What a router or a LAN is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Name {
    Router(RouterId),
    System(SystemId),
    /// A LAN in OSPF, by the address of its designated router.
    Dr(Ipv4Addr),
    /// A LAN in IS-IS.
    Pseudonode(PseudonodeId),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(id) => write!(f, "{id}"),
            Self::System(id) => write!(f, "{id}"),
            Self::Dr(address) => write!(f, "{address}"),
            Self::Pseudonode(id) => write!(f, "{id}"),
        }
    }
}

/// What a router tells of itself.
#[derive(Default)]
struct Told {
    /// It asks to be no transit.
    stub: bool,
    links: Vec<Link>,
}

/// A link to a router or LAN.
struct Link {
    to: Name,
    /// What sending over it costs, if the router tells.
    cost: Option<u16>,
    /// The router's own on it, if it tells: the ends of parallel links have theirs in the same order.
    address: Option<Ipv4Addr>,
}

impl Known {
    /// A router claims a host.
    fn claim(&mut self, host: Ipv4Addr, metric: u32, by: Name) {
        let held = self.hosts.entry(host).or_insert((metric, by));
        *held = (metric, by).min(*held);
    }

    fn network(&self) -> Result<(Network, BTreeMap<Ipv4Addr, NodeId>), Wrong> {
        let nodes: BTreeMap<Name, NodeId> =
            self.routers.keys().enumerate().map(|(at, &name)| (name, NodeId::at(at))).collect();
        let hosts: BTreeMap<Ipv4Addr, NodeId> = self
            .hosts
            .iter()
            .filter_map(|(&host, (_, by))| Some((host, *nodes.get(by)?)))
            .collect();
        let mut network = Network::default();
        for (router, told) in &self.routers {
            let has_hosts = hosts.values().any(|node| nodes.get(router) == Some(node));
            let edge = told.stub || has_hosts;
            network.routers.push(Router {
                name: format!("r{router}"),
                stub: told.stub,
                edge,
                area: None,
            });
        }
        if !network.routers.iter().any(|router| router.edge) {
            network.routers.iter_mut().for_each(|router| router.edge = true);
        }
        for (&a, &from) in &nodes {
            for (&b, &to) in nodes.range(a..).skip(1) {
                for (there, back) in self.links(a, b).zip(self.links(b, a)) {
                    let members = [from, to].into_iter().zip(costs(&[there.cost, back.cost]));
                    let members = members.map(|(node, cost)| Member { node, cost }).collect();
                    network.segments.push(Segment { lan: None, members, quality: None });
                }
            }
        }
        for (&lan, routers) in &self.lans {
            let on_it = |&router: &Name| {
                let link = self.links(router, lan).next()?;
                Some((*nodes.get(&router)?, link.cost))
            };
            let (on_it, told): (Vec<_>, Vec<_>) = routers.iter().filter_map(on_it).unzip();
            if on_it.len() > LAN_SIZE {
                let count = on_it.len();
                return Err(format!("the LAN {lan} has {count} routers: {LAN_SIZE} at most"));
            }
            let members = on_it.into_iter().zip(costs(&told));
            let members = members.map(|(node, cost)| Member { node, cost }).collect();
            network.segments.push(Segment { lan: Some(lan.to_string()), members, quality: None });
        }
        Ok((network, hosts))
    }

    /// A router's links to one and the same.
    fn links(&self, of: Name, to: Name) -> impl Iterator<Item = &Link> {
        let links = self.routers.get(&of).into_iter().flat_map(|told| &told.links);
        links.filter(move |link| link.to == to)
    }
}

/// What sending costs at each end. Who does not tell: as much as at the other end.
fn costs(told: &[Option<u16>]) -> Vec<u16> {
    let other = told.iter().copied().flatten().min().unwrap_or(DEFAULT_COST);
    told.iter().map(|cost| cost.unwrap_or(other)).collect()
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
    use bugle_wire::isis::{
        Level, LspFields, LspFlags, LspId, Neighbor, SequenceNumber, SubTlvs, TlvBuilder,
        TopologyId, emit_lsp,
    };

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
        let of_ospf = vrf.ospf().into_iter().flat_map(|ospf| ospf.database());
        let of_ospf = of_ospf.map(|(_, stored)| ("ospf", stored.bytes().to_vec()));
        let of_isis = [Level::L1, Level::L2]
            .into_iter()
            .flat_map(|level| vrf.isis().into_iter().flat_map(move |isis| isis.database(level)));
        let of_isis = of_isis.map(|stored| ("isis", stored.lsp().unwrap().bytes().to_vec()));
        let entries = of_ospf.chain(of_isis).map(|(protocol, octets)| {
            let mut lsa = String::new();
            for octet in octets {
                write!(lsa, "{octet:02x}").unwrap();
            }
            serde_json::json!({ "vrf": "default", "protocol": protocol, "lsa": lsa, "length": 0 })
        });
        entries.collect::<serde_json::Value>().to_string()
    }

    /// The ends of each segment and their costs; whether it is a LAN.
    fn unnamed(network: &Network) -> Vec<(bool, Vec<(NodeId, u16)>)> {
        let segments = network.segments.iter().map(|segment| {
            let mut members: Vec<_> = segment.members.iter().map(|m| (m.node, m.cost)).collect();
            members.sort_unstable();
            (segment.lan.is_some(), members)
        });
        let mut segments: Vec<_> = segments.collect();
        segments.sort_unstable();
        segments
    }

    #[test]
    fn a_network_comes_out_of_its_database_as_it_went_in() {
        let text = |names: [&str; 4], protocol: &str| {
            let [a, b, c, d] = names;
            format!(
                "protocol {protocol}
                router {a} no-hosts
                router {b} no-hosts
                router {c} stub
                router {d}
                link {a} {b} cost 7 9
                link {a} {b} cost 20
                link {b} {c} cost 5
                lan l {a} {b} {d} cost 3
                host 10.100.0.1 on {c}
                host 10.100.0.2 on {d}"
            )
        };
        let router_ids = ["r198.18.0.1", "r198.18.0.2", "r198.18.0.3", "r198.18.0.4"];
        let system_ids =
            ["r0000.c612.0001", "r0000.c612.0002", "r0000.c612.0003", "r0000.c612.0004"];
        for (protocol, names, shown) in [
            ("ospf", router_ids, Protocols::Ospf),
            ("isis", system_ids, Protocols::Isis),
            ("both", router_ids, Protocols::Ospf),
        ] {
            let scenario = parse(&text(names, protocol), "").unwrap();
            let mut world = World::new(crate::play::plan_of(&scenario));
            world.run_until(Time::from_secs(60));
            let printed = print(&world, NodeId(3));
            let imported = parse("topology database db.json", &printed).unwrap();
            assert_eq!(imported.hosts, scenario.hosts);
            assert_eq!(imported.network.routers, scenario.network.routers);
            assert_eq!(unnamed(&imported.network), unnamed(&scenario.network));
            assert_eq!(imported.protocols, shown);
            let asked = parse("protocol both\ntopology database db.json", &printed).unwrap();
            assert_eq!(asked.protocols, Protocols::Both);
            let refused = parse("topology database db.json vrf blue", &printed).unwrap_err();
            assert!(refused.contains("no LSP of IS-IS in VRF \"blue\""), "{refused}");
        }
    }

    /// An LSP of a system's level, living unless `lifetime` is zero.
    fn lsp(
        level: Level,
        system: u8,
        fragment: u8,
        lifetime: u16,
        tlvs: impl FnOnce(&mut TlvBuilder),
    ) -> String {
        let node = PseudonodeId::of_system(SystemId([0, 0, 0, 0, 0, system]));
        let fields = LspFields {
            lifetime,
            id: LspId { node, fragment },
            sequence: SequenceNumber::INITIAL,
            flags: LspFlags::default(),
        };
        let mut builder = TlvBuilder::new(1000);
        tlvs(&mut builder);
        let lsp = emit_lsp(level, &fields, builder.bytes(), None);
        let mut octets = String::new();
        for octet in lsp {
            write!(octets, "{octet:02x}").unwrap();
        }
        format!(r#"{{"vrf":"default","protocol":"isis","lsa":"{octets}"}}"#)
    }

    fn link(to: u8, metric: u32) -> impl FnOnce(&mut TlvBuilder) {
        let id = PseudonodeId::of_system(SystemId([0, 0, 0, 0, 0, to]));
        move |tlvs| {
            let link = Neighbor { id, metric, sub_tlvs: SubTlvs::default() };
            assert!(tlvs.neighbor(TopologyId::STANDARD, &link));
        }
    }

    #[test]
    fn of_two_levels_the_one_that_knows_more_systems_tells() {
        let nothing = |_: &mut TlvBuilder| {};
        let one = [
            lsp(Level::L1, 1, 0, 900, link(2, 10)),
            lsp(Level::L1, 2, 0, 900, link(1, 10)),
            lsp(Level::L1, 3, 0, 900, nothing),
        ];
        let two = [lsp(Level::L2, 1, 0, 900, link(4, 10)), lsp(Level::L2, 4, 0, 900, link(1, 10))];
        let names = |entries: &[String]| {
            let file = format!("[{}]", entries.join(","));
            let imported = parse("topology database db.json", &file).unwrap();
            let names = imported.network.routers.into_iter().map(|router| router.name);
            (names.collect::<Vec<_>>(), imported.network.segments.len())
        };
        let name = |number: u8| format!("r0000.0000.000{number}");
        let all = [&one[..], &two[..]].concat();
        assert_eq!(names(&all), (vec![name(1), name(2), name(3)], 1));
        let even = [&one[..2], &two[..]].concat();
        assert_eq!(names(&even), (vec![name(1), name(4)], 1));
    }

    #[test]
    fn lsps_that_do_not_count_are_left_out() {
        let entries = [
            lsp(Level::L2, 1, 0, 900, link(2, 10)),
            lsp(Level::L2, 2, 0, 900, link(1, 10)),
            // Purged; without fragment zero; and what such a one says.
            lsp(Level::L2, 3, 0, 0, link(1, 10)),
            lsp(Level::L2, 4, 1, 900, link(1, 10)),
        ];
        let file = format!("[{}]", entries.join(","));
        let imported = parse("topology database db.json", &file).unwrap();
        assert_eq!((imported.network.routers.len(), imported.network.segments.len()), (2, 1));
    }

    #[test]
    fn a_metric_that_the_simulator_does_not_have_is_refused() {
        let entries =
            [lsp(Level::L2, 1, 0, 900, link(2, 100_000)), lsp(Level::L2, 2, 0, 900, link(1, 10))];
        let file = format!("[{}]", entries.join(","));
        let refused = parse("topology database db.json", &file).unwrap_err();
        let reason = "the link of 0000.0000.0001 to 0000.0000.0002 costs 100000";
        assert!(refused.contains(reason), "{refused}");
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
            (entry("0000").replace("ospf", "isis"), "entry 0 has no whole LSA or LSP"),
        ] {
            let refused = parse("topology database db.json", &file).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
