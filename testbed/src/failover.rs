//! A link that fails, and the traffic to many prefixes that has to take another way.
//!
//! ```text
//!                   +--(10)-- left ---(10)--+
//! client --- tested |                       | far --- source, with all prefixes
//!                   +--(20)-- right --(10)--+
//! ```
//!
//! Every router is of the same make. The source is a synthetic neighbour of `far` that announces the prefixes as external routes. With
//! IS-IS it is on a port of `far`: bugle announces its addresses as hosts there, FRR as what its kernel has routes to.
//!
//! All packets to them go through `left` as long as they can. Packets to some of the prefixes show when the first and the last of
//! them follow.

use std::fmt;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bugle_types::Prefix;

use crate::area::Area;
use crate::bugled::Bugled;
use crate::carrier::CarrierWatch;
use crate::contender::Make;
use crate::error::{LabError, Result};
use crate::frr::Frr;
use crate::isis::{Circuit, Isis};
use crate::lab::{Lab, Lan, Link, Port};
use crate::node::Node;
use crate::ospf::{Interface, Network, Ospf};
use crate::probe::Probe;
use crate::router::Router;
use crate::synthetic::Synthetic;

/// How long daemons may take to learn everything, or to learn that a link is back.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// To how many of the prefixes packets go, from the first to the last.
pub const TARGETS: u32 = 8;

/// Packets a second to each of them: as many in all as two cores bear beside the routers.
const RATE: u32 = 2500;

/// How long traffic flows before the failure.
const LEAD: Duration = Duration::from_millis(300);

/// Whose routers they are, and what they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// OSPF.
    Ospf(Make),
    /// FRR, tuned, with IS-IS: as it is shipped it takes half a minute for the second change of what it says.
    FrrIsis,
    /// bugle with IS-IS.
    BugleIsis,
}

impl Contender {
    /// Whether the router under test is bugle.
    #[must_use]
    pub const fn is_bugle(self) -> bool {
        matches!(self, Self::Ospf(Make::Bugle) | Self::BugleIsis)
    }

    const fn speaks_isis(self) -> bool {
        matches!(self, Self::FrrIsis | Self::BugleIsis)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ospf(make) => make.fmt(f),
            Self::FrrIsis => f.write_str("FRR tuned, IS-IS"),
            Self::BugleIsis => f.write_str("bugle, IS-IS"),
        }
    }
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The link to `left`, with carrier up on both sides: only BFD can tell.
    Silent,
    /// The link to `left`, whose carrier the router under test loses, with no packet lost before it.
    Carrier,
    /// The link to `left`, which the switch between shuts: its kernel drops packets for some time before it takes the carrier.
    Shut,
    /// The link between `left` and `far`, silently: only a neighbour can tell.
    Remote,
}

/// What the routers are doing when something fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing: all that they prepare for a failure is in the kernel.
    AtRest,
    /// They still deal with the return of the link that failed before.
    JustBack,
}

/// A ring of four routers, with a client at one and all prefixes behind the opposite.
#[derive(Debug)]
pub struct FailoverLab {
    lab: Lab,
    client: Node,
    tested: Node,
    source: Node,
    near: Lan,
    remote: Lan,
    /// The router under test comes first.
    routers: Vec<Router>,
    /// The gateways of the router under test, by way of `left` and of `right`.
    gateways: [Ipv4Addr; 2],
    targets: Vec<Ipv4Addr>,
    /// How many each router has.
    neighbors: [usize; 4],
    prefixes: usize,
    _synthetic: Option<Synthetic>,
}

/// What a failure cost. Times count from the first packet lost; they are zero if none was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Until the first prefix had another way, for good.
    pub first: Duration,
    /// Until the last had one.
    pub last: Duration,
    /// Packets lost, of 2,500 a second to each target.
    pub lost: usize,
    /// From the detection by BFD until traffic was diverted as far as prepared, as bugle's events tell of it.
    pub diverted: Option<Duration>,
    /// Until the kernel told everybody that the carrier was lost.
    pub told: Option<Duration>,
    /// From the detection by BFD, of which bugle's events tell on whatever router it was, until the last prefix had another way: when the
    /// last packet lost was sent, and the first that was not. It was between the two.
    pub reaction: Option<(Duration, Duration)>,
}

impl FailoverLab {
    /// Builds the lab, starts the daemons with BFD at three times `bfd_millis`, and waits until the router under test has a route to
    /// each of `prefixes` external prefixes.
    ///
    /// # Errors
    /// If a daemon is not installed, does not start, dies, or does not learn the routes within a minute.
    pub fn start(contender: Contender, prefixes: u32, bfd_millis: u32) -> Result<Self> {
        let lab = Lab::new("failover")?;
        let client = lab.node("client")?;
        let [tested, left, right, far, source] =
            ["tested", "left", "right", "far", "source"].map(|name| lab.node(name));
        let (tested, left, right, far, source) = (tested?, left?, right?, far?, source?);
        let access = lab.link(&client, &tested)?;
        client.ip(&format!("route add default via {}", access.b.address))?;
        let mut near = lab.lan(&[&tested, &left])?;
        near.ports.iter_mut().take(1).try_for_each(Port::stack)?;
        let detour = lab.lan(&[&tested, &right])?;
        let remote = lab.lan(&[&left, &far])?;
        let behind = lab.lan(&[&right, &far])?;
        let uplink = lab.link(&far, &source)?;
        let all = Area::external_prefix(0).address();
        source.ip(&format!("route add local {all}/9 dev lo"))?;

        let mut area = Area::grid(1, prefixes, 1);
        let router_id = |number: u8| Ipv4Addr::new(192, 0, 2, number);
        area.attach(router_id(4).into(), uplink.b.address);
        let watched = |lan: &Lan, position: usize, cost: u16| {
            let name = lan.ports.get(position).map_or("", |port| port.interface.as_str());
            Interface { cost, ..Interface::point_to_point(name).with_bfd(bfd_millis, 3) }
        };
        // One failure after another is what is measured: none is held down for it.
        let more = "[fib]\nnexthop-compat = \"off\"\n[link-damping]\ninitial = \"0s\"\n";
        let description = [
            (&tested, vec![watched(&near, 0, 10), watched(&detour, 0, 20)]),
            (&left, vec![watched(&near, 1, 10), watched(&remote, 0, 10)]),
            (&right, vec![watched(&detour, 1, 20), watched(&behind, 0, 10)]),
            (
                &far,
                vec![
                    watched(&remote, 1, 10),
                    watched(&behind, 1, 10),
                    Interface::point_to_point(&uplink.a.interface),
                ],
            ),
        ];
        let mut routers = Vec::new();
        for (number, (node, interfaces)) in (1..).zip(description) {
            routers.push(match contender {
                Contender::Ospf(make) => {
                    make.start(&lab, node, &Ospf::new(router_id(number), interfaces), more)?
                }
                Contender::BugleIsis => {
                    let is_far = node.name() == far.name();
                    let hosts = if is_far { hosts(&uplink, prefixes)? } else { String::new() };
                    let (isis, more) = (isis(number, interfaces), format!("{more}{hosts}"));
                    Router::Bugle(Bugled::start_isis(&lab, node, &isis, &more)?)
                }
                Contender::FrrIsis => {
                    Router::Frr(Frr::start_isis(&lab, node, &isis(number, interfaces))?)
                }
            });
        }
        let synthetic = match contender {
            Contender::Ospf(_) => Some(Synthetic::start(&uplink.b, &area)?),
            Contender::BugleIsis => None,
            Contender::FrrIsis => {
                let announced = (0..prefixes).map(Area::external_prefix);
                let lines =
                    announced.map(|to| format!("route add {to} via {}\n", uplink.b.address));
                far.write("routes", &lines.collect::<String>())?;
                far.ip(&format!("-batch {}", far.directory().join("routes").display()))?;
                None
            }
        };
        let neighbors = if contender.speaks_isis() { [2; 4] } else { [2, 2, 2, 3] };
        let address = |lan: &Lan| lan.ports.get(1).map_or(Ipv4Addr::UNSPECIFIED, |p| p.address);
        let gateways = [address(&near), address(&detour)];
        let targets = (0..TARGETS.min(prefixes))
            .map(|n| Area::external_prefix(n * (prefixes - 1) / (TARGETS.min(prefixes) - 1).max(1)))
            .filter_map(Prefix::ipv4)
            .collect();
        let mut this = Self {
            lab,
            client,
            tested: tested.clone(),
            source,
            near,
            remote,
            routers,
            gateways,
            targets,
            neighbors,
            prefixes: usize::try_from(prefixes).unwrap_or(usize::MAX),
            _synthetic: synthetic,
        };
        for node in [tested, left, right, far] {
            this.wait_for_routes(&node)?;
        }
        Ok(this)
    }

    /// The lab.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Where the router under test runs.
    #[must_use]
    pub const fn tested(&self) -> &Node {
        &self.tested
    }

    /// Lets a link fail under traffic, waits `patience` for the repair, and takes the failure back. `None` if some prefix had no
    /// other way by then.
    ///
    /// # Errors
    /// If the link cannot be cut, or the routers do not learn that the one that failed before is back.
    pub fn fail(
        &mut self,
        failure: Failure,
        moment: Moment,
        patience: Duration,
    ) -> Result<Option<Repair>> {
        self.settle()?;
        if moment == Moment::AtRest {
            self.wait_for_rest()?;
        }
        let near = self.near.ports.first().ok_or_else(|| LabError::Unexpected {
            what: "the link to left".to_owned(),
            found: "no port".to_owned(),
        })?;
        let carrier = CarrierWatch::start(&self.tested, &near.interface)?;
        let probe = Probe::fan(&self.client, &self.targets, RATE, &self.source)?;
        thread::sleep(LEAD);
        match failure {
            Failure::Silent => self.near.cut(0)?,
            Failure::Carrier => near.lose_carrier()?,
            Failure::Shut => self.near.unplug(0)?,
            Failure::Remote => self.remote.cut(0)?,
        }
        thread::sleep(patience);
        let report = probe.stop();
        let carrier = carrier.stop();
        let account = match failure {
            Failure::Silent => self.account(0),
            Failure::Remote => self.account(1),
            Failure::Carrier | Failure::Shut => None,
        };
        match failure {
            Failure::Silent => self.near.mend(0)?,
            Failure::Carrier => near.regain_carrier()?,
            Failure::Shut => self.near.plug(0)?,
            Failure::Remote => self.remote.mend(0)?,
        }
        let interruptions = report.interruptions(self.targets.len());
        let packets = interruptions.iter().map(|interruption| interruption.lost).sum();
        let Some(began) = interruptions.iter().filter_map(|i| i.began).min() else {
            let none = Duration::ZERO;
            return Ok(Some(Repair {
                first: none,
                last: none,
                lost: packets,
                told: None,
                diverted: None,
                reaction: None,
            }));
        };
        let ended: Option<Vec<Instant>> = interruptions
            .iter()
            .map(|interruption| match interruption.began {
                None => Some(began),
                Some(_) => interruption.ended,
            })
            .collect();
        let Some(ended) = ended else { return Ok(None) };
        let after = |ended: Option<&Instant>| {
            ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(began))
        };
        let last = after(ended.iter().max());
        let until = interruptions.iter().filter_map(|i| i.last).max().unwrap_or(began);
        let detected = account.map(|(detected, _)| SystemTime::UNIX_EPOCH + detected);
        let since = |at: Instant| {
            let at = SystemTime::now() - at.elapsed();
            detected.map(|detected| at.duration_since(detected).unwrap_or_default())
        };
        Ok(Some(Repair {
            first: after(ended.iter().min()),
            last,
            lost: packets,
            told: carrier.map(|told| told.saturating_duration_since(began)),
            diverted: account.map(|(_, took)| took).filter(|_| failure == Failure::Silent),
            reaction: since(until).zip(since(began + last)),
        }))
    }

    /// When, since 1970, a router detected the last failure that it tells of, and how long it then took until traffic was diverted.
    fn account(&self, router: usize) -> Option<(Duration, Duration)> {
        let Some(Router::Bugle(bugled)) = self.routers.get(router) else { return None };
        let events = bugled.show("show events").ok()?;
        let steps: Vec<(u64, &str)> = events
            .as_array()?
            .iter()
            .filter(|event| event["kind"] == "repair")
            .filter_map(|event| Some((event["time_us"].as_u64()?, event["message"].as_str()?)))
            .collect();
        let begun = steps.iter().rposition(|(_, step)| step.contains("detected"))?;
        let (detected, _) = steps.get(begun)?;
        let (at, _) = steps.get(begun..)?.iter().find(|(_, step)| step.contains("diverted"))?;
        let diverted = Duration::from_micros(at.saturating_sub(*detected));
        Some((Duration::from_micros(*detected), diverted))
    }

    /// Waits until a kernel has a route to each prefix.
    fn wait_for_routes(&mut self, node: &Node) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(500);
        let start = Instant::now();
        loop {
            let routes = node.ip("-o route show")?;
            if routes.lines().count() >= self.prefixes {
                return Ok(());
            }
            if let Some(death) = self.routers.iter_mut().find_map(Router::died) {
                return Err(LabError::Unexpected { what: "a router".to_owned(), found: death });
            }
            if start.elapsed() > CONVERGENCE {
                return Err(self.lab.timeout(CONVERGENCE, "the routes to all prefixes"));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until every router is in step with its neighbours, and packets go by way of `left`.
    fn settle(&self) -> Result<()> {
        self.lab.wait_for(CONVERGENCE, "every adjacency", || {
            let all = self.routers.iter().zip(self.neighbors);
            all.into_iter().all(|(router, count)| router.full_neighbors() == count)
        })?;
        let [left, _] = self.gateways;
        self.lab.wait_for(CONVERGENCE, "the way by left", || {
            [self.targets.first(), self.targets.last()].into_iter().flatten().all(|target| {
                self.tested.gateways(&format!("{target}/32")).is_ok_and(|by| by == [left])
            })
        })
    }

    /// Waits until nobody has anything left to do, and the way by right stands by in bugle's kernel.
    ///
    /// # Errors
    /// If that does not come.
    pub fn wait_for_rest(&self) -> Result<()> {
        const CALM: Duration = Duration::from_secs(2);
        if matches!(self.routers.first(), Some(Router::Bugle(_))) {
            // As in "id 7 group 5,256/6 type resilient": only what stands by has the least weight, which is not shown.
            let is_protected = |line: &str| {
                let members =
                    line.split_once(" group ").and_then(|(_, rest)| rest.split(' ').next());
                members.is_some_and(|all| {
                    all.contains(",256/") && all.split('/').any(|member| !member.contains(','))
                })
            };
            self.lab.wait_for(CONVERGENCE, "a way that stands by", || {
                self.tested.ip("-o nexthop show").is_ok_and(|all| all.lines().any(is_protected))
            })?;
        }
        thread::sleep(CALM);
        Ok(())
    }
}

/// The same router with IS-IS: it announces what its kernel has routes to.
fn isis(number: u8, interfaces: Vec<Interface>) -> Isis {
    let circuit = |interface: Interface| Circuit {
        metric: interface.cost.into(),
        bfd: interface.bfd,
        ..Circuit::new(&interface.name, Network::PointToPoint)
    };
    // Nobody speaks IS-IS with the far router but those whom BFD watches.
    let interfaces = interfaces.into_iter().filter(|interface| interface.bfd.is_some());
    Isis { redistribute_kernel: true, ..Isis::new(number, interfaces.map(circuit).collect()) }
}

/// That all prefixes are hosts at the other end of a link.
fn hosts(link: &Link, prefixes: u32) -> Result<String> {
    let (port, mac) = (&link.a.interface, link.b.mac()?);
    let table = format!("[vrf.default.hosts]\nports = [\"{port}\"]\nmax-hosts = {prefixes}\n");
    let host = |number| {
        let address = Area::external_prefix(number).address();
        format!(
            "[[vrf.default.hosts.static]]\naddress = \"{address}\"\nport = \"{port}\"\nmac = \"{mac}\"\n"
        )
    };
    Ok(table + &(0..prefixes).map(host).collect::<String>())
}
