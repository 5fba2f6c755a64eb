//! One VRF: its protocol instances, its hosts, and what passes between them.

mod isis;
mod repair;
mod settle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use bugle_bfd::Client;
use bugle_isis::{self, CircuitConfig, Isis};
use bugle_mobility::{self as mobility, Mobility};
use bugle_ospf::{self as ospf, AlternatesConfig, ExternalRoute, InterfaceConfig, LsaPool, Ospf};
use bugle_rib::fib::{FibSnapshot, RouteTarget};
use bugle_rib::{self as rib, Protocol, Rib, RouteChange};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix, Rng, RouterId, TableId, Time, VrfId};
use bugle_wire::ospf::LsaType;

use crate::bfd::Sessions;
use crate::config::{self, Advertise, MetricType, VrfName};
use crate::event::{Event, Repair, RepairStep, What};
use crate::io::Output;
use crate::peers::Peers;
use crate::ports::Machine;
use settle::Patience;

pub(crate) use isis::circuit;

/// What is around a VRF while it handles something.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) name: &'a VrfName,
    pub(crate) machine: &'a Machine,
    pub(crate) rib: &'a mut Rib,
    pub(crate) out: &'a mut VecDeque<Output>,
}

impl Context<'_> {
    pub(crate) fn tell(&mut self, interface: Option<String>, what: What) {
        let vrf = Some(self.name.to_string());
        self.out.push_back(Output::Event(Event { time: self.now, vrf, interface, what }));
    }
}

/// What this machine is called.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) router_id: Option<RouterId>,
    pub(crate) hostname: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Vrf {
    pub(crate) id: VrfId,
    pub(crate) table: Option<TableId>,
    pub(crate) ospf: Option<Ospf>,
    /// What LSAs say is shared with other speakers.
    pool: Option<LsaPool>,
    /// What OSPF runs on.
    pub(crate) interfaces: BTreeMap<IfIndex, InterfaceConfig>,
    pub(crate) isis: Option<Isis>,
    /// What IS-IS runs on.
    pub(crate) circuits: BTreeMap<IfIndex, CircuitConfig>,
    pub(crate) mobility: Mobility,
    hosts_config: Option<mobility::HostsConfig>,
    infrastructure: BTreeSet<IpAddr>,
    metric_type: MetricType,
    advertise: Advertise,
    /// Hosts of a previous run have been looked for in the kernel.
    pub(crate) adopted: bool,
    /// A previous run left routes in the kernel.
    restarted: bool,
    /// These hosts, until it is known who else advertises them: address, port, MAC address.
    found: Vec<(IpAddr, IfIndex, Option<Mac>)>,
    /// Since when it is being found out what others advertise; until that is known, questions are not answered.
    settling: Option<Time>,
    /// For how long, at most.
    patience: Patience,
    /// Hosts that the protocols are still to be told of, with their metrics.
    untold: Vec<(Prefix, Option<u32>)>,
    /// Questions that wait.
    unanswered: BTreeSet<Prefix>,
    /// Who has had routes to offer.
    routed: Routed,
    /// What happened to hosts and has not been told yet.
    host_events: Vec<mobility::Event>,
    /// What OSPF has asked of BFD.
    pub(crate) bfd: Sessions,
    pub(crate) isis_bfd: Sessions,
    /// What the configuration asks of BFD by itself.
    pub(crate) bfd_peers: Peers,
    /// The failure that is being repaired, on which interface, and how far that has got.
    repair: Option<(Option<String>, Repair)>,
}

/// The protocols that have had routes to offer.
#[derive(Debug, Default)]
struct Routed {
    ospf: bool,
    isis: bool,
}

impl Vrf {
    pub(crate) fn new(id: VrfId, now: Time, pool: Option<LsaPool>) -> Self {
        Self {
            id,
            table: None,
            ospf: None,
            pool,
            interfaces: BTreeMap::new(),
            isis: None,
            circuits: BTreeMap::new(),
            mobility: Mobility::new(),
            hosts_config: None,
            infrastructure: BTreeSet::new(),
            metric_type: MetricType::Type2,
            advertise: Advertise::default(),
            adopted: false,
            restarted: false,
            found: Vec::new(),
            settling: Some(now),
            patience: Patience::new(&config::Vrf::default()),
            untold: Vec::new(),
            unanswered: BTreeSet::new(),
            routed: Routed::default(),
            host_events: Vec::new(),
            bfd: Sessions::new(Client::Ospf),
            isis_bfd: Sessions::new(Client::Isis),
            bfd_peers: Peers::default(),
            repair: None,
        }
    }

    /// Applies the configuration.
    pub(crate) fn configure(
        &mut self,
        cx: &mut Context<'_>,
        identity: Identity<'_>,
        config: &config::Vrf,
        infrastructure: &BTreeSet<IpAddr>,
        rng: &mut Rng,
    ) {
        let Identity { router_id, hostname } = identity;
        self.set_advertise(cx.now, config.hosts.advertise);
        if self.settling.is_none() || self.hosts_config.is_none() {
            // What began with the old one goes on with it.
            self.patience = Patience::new(config);
        }
        match (&config.ospf, router_id) {
            (Some(wanted), Some(router_id)) => self.configure_ospf(cx, router_id, wanted, rng),
            (Some(_), None) => {
                self.end_ospf(cx);
                if self.hosts_config.is_none() {
                    let text =
                        "OSPF waits for a router id: set `router-id`, or give `lo` an address";
                    cx.tell(None, What::Notice(text.to_owned()));
                }
            }
            (None, _) => self.end_ospf(cx),
        }
        self.configure_isis(cx, router_id, hostname, config.isis.as_ref(), rng);
        if self.infrastructure != *infrastructure {
            self.infrastructure.clone_from(infrastructure);
            self.mobility.handle(cx.now, mobility::Input::Infrastructure(infrastructure.clone()));
        }
        let hosts = hosts_config(router_id, config);
        if self.hosts_config.as_ref() != Some(&hosts)
            || self.metric_type != config.hosts.metric_type
        {
            self.metric_type = config.hosts.metric_type;
            self.hosts_config = Some(hosts.clone());
            self.mobility.handle(cx.now, mobility::Input::Config(Box::new(hosts)));
        }
    }

    fn configure_ospf(
        &mut self,
        cx: &mut Context<'_>,
        router_id: RouterId,
        wanted: &config::Ospf,
        rng: &mut Rng,
    ) {
        let config = ospf::Config {
            router_id,
            area: wanted.area(),
            stub_router: wanted.stub_router,
            boundary: true,
            listen_first: self.restarted,
            reclaim: self.patience.longest(),
            max_paths: wanted.max_ecmp.into(),
            alternates: wanted
                .alternates
                .then_some(AlternatesConfig { microloop_delay: wanted.microloop_delay }),
            spf: wanted.spf_delay,
            min_ls_interval: wanted.lsa_min_interval,
            min_ls_arrival: wanted.lsa_min_arrival,
        };
        if let Some(ospf) = &mut self.ospf {
            let known = ospf.state().config();
            if *known == config {
                return;
            }
            if (known.router_id, known.area) == (config.router_id, config.area) {
                ospf.handle(cx.now, ospf::Input::Config(config));
                return;
            }
            // Another identity is another router.
            self.end_ospf(cx);
        }
        let mut instance = Ospf::new(config, rng.next_u64());
        if let Some(pool) = &self.pool {
            instance = instance.with_pool(pool.clone());
        }
        for address in self.watched_anew().into_iter().filter_map(Prefix::ipv4) {
            instance.handle(cx.now, ospf::Input::Watch(address, true));
        }
        for (prefix, metric) in self.advertised().filter(|_| self.advertise.ospf) {
            let Some(address) = prefix.ipv4() else { continue };
            let route = Some(self.external_route(metric));
            instance.handle(cx.now, ospf::Input::Host(address, route));
        }
        self.ospf = Some(instance);
        self.settling = Some(cx.now);
    }

    /// OSPF runs here no more: what it said is taken back, as far as one packet does it, and its routes, interfaces and sockets
    /// go.
    pub(crate) fn end_ospf(&mut self, cx: &mut Context<'_>) {
        let Some(mut ospf) = self.ospf.take() else { return };
        ospf.handle(cx.now, ospf::Input::Shutdown);
        while let Some(output) = ospf.poll_output() {
            self.on_ospf_output(cx, output);
        }
        self.set_bfd(cx, &BTreeMap::new(), None);
        for (ifindex, config) in std::mem::take(&mut self.interfaces) {
            if speaks(&config) {
                cx.out.push_back(Output::CloseOspf(ifindex));
            }
        }
        cx.rib.handle(cx.now, rib::Input::Clear { vrf: self.id, protocol: Protocol::Ospf });
    }

    /// Gives OSPF its interfaces, and has sockets opened and closed for them.
    pub(crate) fn set_interfaces(
        &mut self,
        cx: &mut Context<'_>,
        wanted: BTreeMap<IfIndex, InterfaceConfig>,
    ) {
        let Some(ospf) = &mut self.ospf else { return };
        let gone: Vec<IfIndex> =
            self.interfaces.keys().copied().filter(|i| !wanted.contains_key(i)).collect();
        for ifindex in gone {
            let old = self.interfaces.remove(&ifindex);
            ospf.handle(cx.now, ospf::Input::Interface(ifindex, None));
            if old.as_ref().is_some_and(speaks) {
                cx.out.push_back(Output::CloseOspf(ifindex));
            }
        }
        for (ifindex, config) in wanted {
            let old = self.interfaces.insert(ifindex, config.clone());
            let (spoke, speaks) = (old.as_ref().is_some_and(speaks), speaks(&config));
            if speaks && !spoke {
                cx.out.push_back(Output::OpenOspf(ifindex));
            }
            if old.as_ref() != Some(&config) {
                ospf.handle(cx.now, ospf::Input::Interface(ifindex, Some(config)));
            }
            if spoke && !speaks {
                cx.out.push_back(Output::CloseOspf(ifindex));
            }
        }
    }

    /// Which protocols advertise hosts. One that begins to is told of all of them; one that ceases to takes them back.
    fn set_advertise(&mut self, now: Time, advertise: Advertise) {
        if std::mem::replace(&mut self.advertise, advertise) == advertise {
            return;
        }
        let advertised: Vec<(Prefix, u32)> = self.advertised().collect();
        self.untold.extend(advertised.into_iter().map(|(prefix, metric)| (prefix, Some(metric))));
        self.advertise_untold(now);
    }

    /// The hosts that are advertised, with their metrics.
    fn advertised(&self) -> impl Iterator<Item = (Prefix, u32)> {
        self.mobility.state().hosts().filter_map(|h| Some((Prefix::host(h.address), h.metric?)))
    }

    /// What a new instance is to watch from its beginning. What others advertise is another question to another database.
    fn watched_anew(&mut self) -> Vec<Prefix> {
        let watched: Vec<Prefix> = self.mobility.state().watched().map(Prefix::host).collect();
        self.unanswered.extend(&watched);
        watched
    }

    /// Has the hosts that changed advertised by the protocols that are to, or not any more. Many that change at once go out in few
    /// packets.
    fn advertise_untold(&mut self, now: Time) {
        let hosts = std::mem::take(&mut self.untold);
        if hosts.is_empty() {
            return;
        }
        let to_ospf = hosts.iter().filter_map(|&(prefix, metric)| {
            let metric = metric.filter(|_| self.advertise.ospf);
            Some((prefix.ipv4()?, metric.map(|metric| self.external_route(metric))))
        });
        let to_ospf: Vec<_> = to_ospf.collect();
        if let Some(ospf) = &mut self.ospf {
            ospf.handle(now, ospf::Input::Hosts(to_ospf));
        }
        if let Some(isis) = &mut self.isis {
            let to_isis = hosts.iter().map(|&(prefix, metric)| {
                (prefix, metric.filter(|_| self.advertise.isis).map(isis::host_route))
            });
            isis.handle(now, bugle_isis::Input::Hosts(to_isis.collect()));
        }
    }

    fn external_route(&self, metric: u32) -> ExternalRoute {
        ExternalRoute { metric, type2: self.metric_type == MetricType::Type2, tag: 0 }
    }

    /// Finds the hosts that a previous run left in the kernel: routes out of a port, with the neighbour entry beside them. They are
    /// claimed as soon as it is known that nobody else has claimed them meanwhile.
    pub(crate) fn adopt_hosts(&mut self, now: Time, machine: &Machine, snapshot: &FibSnapshot) {
        self.restarted = snapshot.routes.iter().any(|(key, _)| Some(key.table) == self.table);
        let nexthops: BTreeMap<_, _> = snapshot.nexthops.iter().copied().collect();
        let macs: BTreeMap<_, _> = snapshot
            .neighbors
            .iter()
            .map(|&(ifindex, address, mac)| ((ifindex, address), mac))
            .collect();
        for (key, target) in &snapshot.routes {
            let host = Some(key.table) == self.table
                && key.metric == Protocol::Host.kernel_metric()
                && key.prefix.is_host();
            let Some(RouteTarget::Nexthop(id)) = target.as_ref().filter(|_| host) else { continue };
            let Some(nexthop) = nexthops.get(id).filter(|nexthop| nexthop.gateway.is_none()) else {
                continue;
            };
            let address = key.prefix.address();
            let mac = macs.get(&(nexthop.ifindex, address)).copied();
            self.found.push((address, nexthop.ifindex, mac));
        }
        if self.settling.is_none() {
            self.settled(now, machine);
        }
    }

    /// Somebody says where a host is: what a previous run left does not count for it any more. Whether there was anything.
    pub(crate) fn forget_found(&mut self, host: IpAddr) -> bool {
        let before = self.found.len();
        self.found.retain(|&(address, ..)| address != host);
        self.found.len() < before
    }

    /// Questions about what others advertise are answered from now on.
    pub(crate) fn settled(&mut self, now: Time, machine: &Machine) {
        self.settling = None;
        for (address, ifindex, mac) in std::mem::take(&mut self.found) {
            let Some(link) = machine.links.get(&ifindex) else { continue };
            if self.rival(address).is_some() {
                continue;
            }
            let claim = mobility::Claim {
                address,
                port: Some(link.name.clone()),
                mac,
                class: mobility::Class::Registered,
                candidate: false,
                request: None,
            };
            self.mobility.handle(now, mobility::Input::Claim(claim));
        }
        for prefix in std::mem::take(&mut self.unanswered) {
            self.answer(now, prefix);
        }
    }

    /// What others advertise for an address, as the databases have it now; OSPF's word counts where both say the same.
    pub(crate) fn rival(&self, address: IpAddr) -> Option<mobility::Others> {
        let ospf = match (&self.ospf, address) {
            (Some(ospf), IpAddr::V4(v4)) => ospf.state().routing().rival(v4).map(others),
            _ => None,
        };
        let isis = self.isis.as_ref().and_then(|isis| isis.state().rival(Prefix::host(address)));
        let isis = isis.map(isis::others);
        let count = ospf.into_iter().chain(isis).map(|others| others.count).max()?;
        let best = ospf.into_iter().chain(isis).min_by_key(|others| others.metric)?;
        Some(mobility::Others { count, ..best })
    }

    /// What others advertise for an address changed. While it is being found out who there is, only that somebody is there counts,
    /// and for hosts that are advertised here.
    fn tell_rival(&mut self, now: Time, address: IpAddr) {
        let view = || self.mobility.state().host(address);
        let settled = self.settling.is_none();
        if settled
            || view().is_some_and(|host| host.metric.is_some()) && self.rival(address).is_some()
        {
            self.answer(now, Prefix::host(address));
        }
    }

    /// Tells mobility what others advertise for a prefix, as the databases have it now.
    fn answer(&mut self, now: Time, prefix: Prefix) {
        let others = self.rival(prefix.address());
        self.mobility.handle(now, mobility::Input::Others { prefix, others });
    }

    /// Whether hosts have been decided, and every protocol that runs has had routes to offer, or has learnt from its neighbours
    /// that there are none.
    pub(crate) fn has_routes(&self) -> bool {
        self.settling.is_none() && self.has_heard()
    }

    fn has_heard(&self) -> bool {
        self.in_step()
            || (self.ospf.is_none() || self.routed.ospf)
                && self
                    .isis
                    .as_ref()
                    .is_none_or(|isis| self.routed.isis && !isis.state().awaits_description())
    }

    /// Carries the outputs of the protocols to where they belong. Whether there were any.
    pub(crate) fn pump_protocols(&mut self, cx: &mut Context<'_>) -> bool {
        let any = self.pump_ospf(cx) | self.pump_isis(cx);
        if self.settling.is_some() && self.hosts_config.is_some() && self.in_step() {
            self.settled(cx.now, cx.machine);
        }
        any
    }

    /// Carries OSPF's outputs to where they belong. Whether there were any.
    fn pump_ospf(&mut self, cx: &mut Context<'_>) -> bool {
        let (mut any, mut flooded) = (false, false);
        while let Some(output) = self.ospf.as_mut().and_then(Ospf::poll_output) {
            any = true;
            flooded |= matches!(&output, ospf::Output::Event(ospf::Event::Originated { key, .. })
                if key.ls_type == LsaType::ROUTER);
            self.on_ospf_output(cx, output);
        }
        if flooded {
            self.repaired(cx, RepairStep::Flooded);
        }
        any
    }

    /// Carries the hosts' outputs to where they belong. Whether there were any.
    pub(crate) fn pump_hosts(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(output) = self.mobility.poll_output() {
            any = true;
            self.on_host_output(cx, output);
        }
        self.advertise_untold(cx.now);
        any
    }

    /// Tells what happened to hosts, when the kernel has been asked for all that it takes.
    pub(crate) fn tell_hosts(&mut self, cx: &mut Context<'_>) {
        for event in self.host_events.drain(..) {
            cx.tell(None, What::Host(event));
        }
    }

    /// Offers a protocol's routes to the table; what one event changed stays together.
    fn offer<R>(
        &self,
        cx: &mut Context<'_>,
        protocol: Protocol,
        changes: Vec<(Prefix, Option<R>)>,
        route: impl Fn(R) -> rib::Route,
    ) {
        let changes: Vec<RouteChange> =
            changes.into_iter().map(|(prefix, new)| (prefix, new.map(&route))).collect();
        cx.rib.handle(cx.now, rib::Input::Routes { vrf: self.id, protocol, changes });
    }

    fn on_ospf_output(&mut self, cx: &mut Context<'_>, output: ospf::Output) {
        match output {
            ospf::Output::Send { ifindex, src, dst, bytes } => {
                cx.out.push_back(Output::SendOspf { ifindex, src, dst, bytes });
            }
            ospf::Output::AllDRouters { ifindex, join } => {
                cx.out.push_back(Output::AllDRouters { ifindex, join });
            }
            ospf::Output::Routes(changes) => {
                self.routed.ospf = true;
                self.offer(cx, Protocol::Ospf, changes, |route| rib::Route {
                    metric: route.metric(),
                    nexthops: route.nexthops,
                    backup: route.backup.map(|backup| backup.nexthop),
                });
            }
            ospf::Output::Rival(address, _) => self.tell_rival(cx.now, address.into()),
            ospf::Output::Event(event) => {
                self.on_ospf_event(cx, &event);
                let interface = match &event {
                    ospf::Event::InterfaceState { ifindex, .. }
                    | ospf::Event::DesignatedRouter { ifindex, .. }
                    | ospf::Event::NeighborState { ifindex, .. }
                    | ospf::Event::Mismatch { ifindex, .. }
                    | ospf::Event::Dropped { ifindex, .. } => Some(cx.machine.name(*ifindex)),
                    ospf::Event::Originated { .. }
                    | ospf::Event::SelfOriginatedReceived { .. }
                    | ospf::Event::DuplicateRouterId(_)
                    | ospf::Event::SpfRun { .. } => None,
                };
                cx.tell(interface, What::Ospf(event));
            }
        }
    }

    fn on_host_output(&mut self, cx: &mut Context<'_>, output: mobility::Output) {
        match output {
            mobility::Output::Watch { prefix, on } => {
                if let (Some(ospf), Some(address)) = (&mut self.ospf, prefix.ipv4()) {
                    ospf.handle(cx.now, ospf::Input::Watch(address, on));
                }
                if let Some(isis) = &mut self.isis {
                    isis.handle(cx.now, bugle_isis::Input::Watch(prefix, on));
                }
                if !on {
                    self.unanswered.remove(&prefix);
                } else if self.settling.is_some() {
                    self.unanswered.insert(prefix);
                } else {
                    self.answer(cx.now, prefix);
                }
            }
            mobility::Output::Neighbor { ifindex, address, mac } => {
                cx.rib.handle(cx.now, rib::Input::Neighbor { ifindex, address, mac });
            }
            mobility::Output::LocalRoute { prefix, target } => {
                self.offer(cx, Protocol::Host, vec![(prefix, target)], |target| {
                    let nexthops: Arc<[Nexthop]> = match target {
                        mobility::LocalTarget::Port(ifindex) => {
                            Arc::new([Nexthop::on_link(ifindex)])
                        }
                        mobility::LocalTarget::Drop => Arc::new([]),
                    };
                    rib::Route { metric: 0, nexthops, backup: None }
                });
            }
            mobility::Output::Advertise { prefix, metric } => {
                self.untold.push((prefix, Some(metric)));
            }
            mobility::Output::Withdraw { prefix } => self.untold.push((prefix, None)),
            mobility::Output::Reply { request, result } => {
                let result = result.map_err(Into::into);
                cx.out.push_back(Output::Reply { request, result });
            }
            mobility::Output::Event(event) => self.host_events.push(event),
        }
    }
}

/// Whether OSPF is spoken on an interface, which takes a socket.
fn speaks(config: &InterfaceConfig) -> bool {
    config.network_type != ospf::NetworkType::Passive
}

fn others(rival: ospf::Rival) -> mobility::Others {
    mobility::Others { router: rival.router.into(), metric: rival.metric, count: rival.count }
}

/// The hosts' settings as mobility takes them.
fn hosts_config(router_id: Option<RouterId>, config: &config::Vrf) -> mobility::HostsConfig {
    let hosts = &config.hosts;
    let ospf = config.ospf.is_some() && hosts.advertise.ospf;
    let isis = config.isis.is_some() && hosts.advertise.isis;
    mobility::HostsConfig {
        router_id: router_id.unwrap_or_default(),
        system_id: config.isis.as_ref().map(config::Isis::system_id).unwrap_or_default(),
        ports: hosts.ports.clone(),
        max_hosts: hosts.max_hosts,
        damping: hosts.damping,
        prefixes: hosts.prefixes.clone(),
        metric: hosts.metric,
        carried: mobility::Families { ipv4: ospf || isis, ipv6: isis },
        statics: hosts
            .statics
            .iter()
            .map(|host| {
                let place = mobility::StaticHost { port: host.port.clone(), mac: host.mac };
                (host.address, place)
            })
            .collect(),
        ..mobility::HostsConfig::default()
    }
}
