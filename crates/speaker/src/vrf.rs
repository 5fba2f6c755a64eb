//! One VRF: its protocol instances, its hosts, and what passes between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_mobility::{self as mobility, Mobility};
use bugle_ospf::{self as ospf, BackoffConfig, ExternalRoute, InterfaceConfig, Ospf};
use bugle_rib::fib::{FibSnapshot, RouteTarget};
use bugle_rib::{self as rib, Protocol, Rib, RouteChange};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix, Rng, RouterId, TableId, Time, VrfId};

use crate::config::{self, MetricType, VrfName};
use crate::event::{Event, What};
use crate::io::Output;
use crate::ports::Machine;

/// How long hosts wait at the start for the databases to be in step.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Vrf {
    pub(crate) id: VrfId,
    pub(crate) table: Option<TableId>,
    pub(crate) ospf: Option<Ospf>,
    /// What OSPF runs on.
    pub(crate) interfaces: BTreeMap<IfIndex, InterfaceConfig>,
    pub(crate) mobility: Mobility,
    hosts_config: Option<mobility::HostsConfig>,
    infrastructure: BTreeSet<IpAddr>,
    metric_type: MetricType,
    /// Hosts of a previous run have been looked for in the kernel.
    pub(crate) adopted: bool,
    /// A previous run left routes in the kernel.
    restarted: bool,
    /// These hosts, until it is known who else advertises them: address, port, MAC address.
    found: Vec<(IpAddr, IfIndex, Option<Mac>)>,
    /// Until then, questions about what others advertise are not answered, unless the databases are in step earlier.
    pub(crate) settle: Option<Time>,
    /// Questions that wait.
    unanswered: BTreeSet<Prefix>,
    /// OSPF has had routes to offer.
    pub(crate) has_routes: bool,
}

impl Vrf {
    pub(crate) fn new(id: VrfId, now: Time) -> Self {
        Self {
            id,
            table: None,
            ospf: None,
            interfaces: BTreeMap::new(),
            mobility: Mobility::new(),
            hosts_config: None,
            infrastructure: BTreeSet::new(),
            metric_type: MetricType::Type2,
            adopted: false,
            restarted: false,
            found: Vec::new(),
            settle: Some(now + SETTLE),
            unanswered: BTreeSet::new(),
            has_routes: false,
        }
    }

    /// Applies the configuration. What it cannot do it says.
    pub(crate) fn configure(
        &mut self,
        now: Time,
        router_id: Option<RouterId>,
        config: &config::Vrf,
        infrastructure: &BTreeSet<IpAddr>,
        rng: &mut Rng,
    ) -> Option<String> {
        let mut told = None;
        match (&config.ospf, router_id) {
            (Some(wanted), Some(router_id)) => self.configure_ospf(now, router_id, wanted, rng),
            (Some(_), None) => {
                self.end_ospf(now);
                if self.hosts_config.is_none() {
                    let text =
                        "OSPF waits for a router id: set `router-id`, or give `lo` an address";
                    told = Some(text.to_owned());
                }
            }
            (None, _) => self.end_ospf(now),
        }
        if self.infrastructure != *infrastructure {
            self.infrastructure.clone_from(infrastructure);
            self.mobility.handle(now, mobility::Input::Infrastructure(infrastructure.clone()));
        }
        let hosts = hosts_config(router_id, config);
        if self.hosts_config.as_ref() != Some(&hosts)
            || self.metric_type != config.hosts.metric_type
        {
            self.metric_type = config.hosts.metric_type;
            self.hosts_config = Some(hosts.clone());
            self.mobility.handle(now, mobility::Input::Config(Box::new(hosts)));
        }
        told
    }

    fn configure_ospf(
        &mut self,
        now: Time,
        router_id: RouterId,
        wanted: &config::Ospf,
        rng: &mut Rng,
    ) {
        let delay = wanted.spf_delay;
        let config = ospf::Config {
            router_id,
            area: wanted.area(),
            stub_router: wanted.stub_router,
            boundary: true,
            listen_first: self.restarted,
            max_paths: wanted.max_ecmp.into(),
            spf: BackoffConfig {
                initial: delay.initial,
                short: delay.short,
                long: delay.long,
                holddown: delay.holddown,
                time_to_learn: delay.time_to_learn,
            },
            min_ls_interval: wanted.lsa_min_interval,
            min_ls_arrival: wanted.lsa_min_arrival,
        };
        if let Some(ospf) = &mut self.ospf {
            let known = ospf.state().config();
            if *known == config {
                return;
            }
            if (known.router_id, known.area) == (config.router_id, config.area) {
                ospf.handle(now, ospf::Input::Config(config));
                return;
            }
            // Another identity: the old one is taken back, as far as one packet does it, and another begins.
            self.end_ospf(now);
        }
        let mut instance = Ospf::new(config, rng.next_u64());
        for host in self.mobility.state().hosts() {
            if let (Some(metric), IpAddr::V4(address)) = (host.metric, host.address) {
                let route = Some(self.external_route(metric));
                instance.handle(now, ospf::Input::Host(address, route));
                instance.handle(now, ospf::Input::Watch(address, true));
            }
        }
        self.ospf = Some(instance);
        self.settle = Some(now + SETTLE);
    }

    /// OSPF runs here no more.
    pub(crate) fn end_ospf(&mut self, now: Time) {
        if let Some(ospf) = &mut self.ospf
            && !ospf.is_stopped()
        {
            ospf.handle(now, ospf::Input::Shutdown);
        }
    }

    /// Gives OSPF its interfaces, and has sockets opened and closed for them.
    pub(crate) fn set_interfaces(
        &mut self,
        now: Time,
        mut wanted: BTreeMap<IfIndex, InterfaceConfig>,
        out: &mut VecDeque<Output>,
    ) {
        if self.ospf.is_none() {
            wanted.clear();
        }
        let speaks = |config: &InterfaceConfig| config.network_type != ospf::NetworkType::Passive;
        let gone: Vec<IfIndex> =
            self.interfaces.keys().copied().filter(|i| !wanted.contains_key(i)).collect();
        for ifindex in gone {
            let old = self.interfaces.remove(&ifindex);
            if let Some(ospf) = &mut self.ospf {
                ospf.handle(now, ospf::Input::Interface(ifindex, None));
            }
            if old.as_ref().is_some_and(speaks) {
                out.push_back(Output::CloseOspf(ifindex));
            }
        }
        for (ifindex, config) in wanted {
            let old = self.interfaces.insert(ifindex, config.clone());
            let (spoke, speaks) = (old.as_ref().is_some_and(speaks), speaks(&config));
            if speaks && !spoke {
                out.push_back(Output::OpenOspf(ifindex));
            }
            if old.as_ref() != Some(&config)
                && let Some(ospf) = &mut self.ospf
            {
                ospf.handle(now, ospf::Input::Interface(ifindex, Some(config)));
            }
            if spoke && !speaks {
                out.push_back(Output::CloseOspf(ifindex));
            }
        }
    }

    fn external_route(&self, metric: u32) -> ExternalRoute {
        ExternalRoute { metric, type2: self.metric_type == MetricType::Type2, tag: 0 }
    }

    /// Finds the hosts that a previous run left in the kernel: routes out of a port, with the neighbour entry beside them. They are
    /// claimed as soon as it is known that nobody else has claimed them meanwhile.
    pub(crate) fn adopt_hosts(&mut self, now: Time, machine: &Machine, snapshot: &FibSnapshot) {
        self.restarted = snapshot.routes.iter().any(|(key, _)| Some(key.table) == self.table);
        for (key, target) in &snapshot.routes {
            let host = Some(key.table) == self.table
                && key.metric == Protocol::Host.kernel_metric()
                && key.prefix.is_host();
            let Some(RouteTarget::Nexthop(id)) = target.filter(|_| host) else { continue };
            let nexthop = snapshot.nexthops.iter().find(|(known, _)| *known == id);
            let Some((_, nexthop)) = nexthop.filter(|(_, nexthop)| nexthop.gateway.is_none())
            else {
                continue;
            };
            let address = key.prefix.address();
            let mac = snapshot
                .neighbors
                .iter()
                .find(|(ifindex, neighbor, _)| (*ifindex, *neighbor) == (nexthop.ifindex, address))
                .map(|(.., mac)| *mac);
            self.found.push((address, nexthop.ifindex, mac));
        }
        if self.settle.is_none() {
            self.settled(now, machine);
        }
    }

    /// Questions about what others advertise are answered from now on.
    pub(crate) fn settled(&mut self, now: Time, machine: &Machine) {
        self.settle = None;
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

    /// What others advertise for an address, as OSPF's database has it now.
    pub(crate) fn rival(&self, address: IpAddr) -> Option<ospf::Rival> {
        match (&self.ospf, address) {
            (Some(ospf), IpAddr::V4(v4)) => ospf.state().routing().rival(v4),
            _ => None,
        }
    }

    /// Tells mobility what others advertise for a prefix, as OSPF's database has it now.
    fn answer(&mut self, now: Time, prefix: Prefix) {
        let others = self.rival(prefix.address()).map(others);
        self.mobility.handle(now, mobility::Input::Others { prefix, others });
    }

    /// Carries OSPF's outputs to where they belong. Whether there were any.
    pub(crate) fn pump_ospf(
        &mut self,
        now: Time,
        name: &VrfName,
        machine: &Machine,
        rib: &mut Rib,
        out: &mut VecDeque<Output>,
    ) -> bool {
        let mut any = false;
        while let Some(output) = self.ospf.as_mut().and_then(Ospf::poll_output) {
            any = true;
            self.on_ospf_output(now, name, machine, output, rib, out);
        }
        if self.settle.is_some() && self.hosts_config.is_some() && self.in_step() {
            self.settled(now, machine);
        }
        any
    }

    /// Carries the hosts' outputs to where they belong. Whether there were any.
    pub(crate) fn pump_hosts(
        &mut self,
        now: Time,
        name: &VrfName,
        rib: &mut Rib,
        out: &mut VecDeque<Output>,
    ) -> bool {
        let mut any = false;
        while let Some(output) = self.mobility.poll_output() {
            any = true;
            self.on_host_output(now, name, output, rib, out);
        }
        any
    }

    /// Whether some neighbour's database has been copied, and none is being copied: then it is known who else advertises what.
    fn in_step(&self) -> bool {
        use bugle_ospf::neighbor::NeighborState as S;
        let Some(ospf) = &self.ospf else { return true };
        let mut states = ospf.state().neighbors().map(|neighbor| neighbor.state).peekable();
        states.peek().is_some() && states.all(|state| matches!(state, S::TwoWay | S::Full))
    }

    fn on_ospf_output(
        &mut self,
        now: Time,
        name: &VrfName,
        machine: &Machine,
        output: ospf::Output,
        rib: &mut Rib,
        out: &mut VecDeque<Output>,
    ) {
        match output {
            ospf::Output::Send { ifindex, src, dst, bytes } => {
                out.push_back(Output::SendOspf { ifindex, src, dst, bytes });
            }
            ospf::Output::AllDRouters { ifindex, join } => {
                out.push_back(Output::AllDRouters { ifindex, join });
            }
            ospf::Output::Routes(changes) => {
                self.has_routes = true;
                let changes: Vec<RouteChange> = changes
                    .into_iter()
                    .map(|(prefix, route)| {
                        let route = route.map(|route| rib::Route {
                            metric: route.metric(),
                            nexthops: route.nexthops,
                        });
                        (prefix, route)
                    })
                    .collect();
                let vrf = self.id;
                rib.handle(now, rib::Input::Routes { vrf, protocol: Protocol::Ospf, changes });
            }
            ospf::Output::Rival(address, rival) => {
                if self.settle.is_none() {
                    let prefix = Prefix::host(address.into());
                    let others = rival.map(others);
                    self.mobility.handle(now, mobility::Input::Others { prefix, others });
                }
            }
            ospf::Output::Event(event) => {
                let interface = match &event {
                    ospf::Event::InterfaceState { ifindex, .. }
                    | ospf::Event::DesignatedRouter { ifindex, .. }
                    | ospf::Event::NeighborState { ifindex, .. }
                    | ospf::Event::Mismatch { ifindex, .. }
                    | ospf::Event::Dropped { ifindex, .. } => Some(machine.name(*ifindex)),
                    ospf::Event::Originated { .. }
                    | ospf::Event::SelfOriginatedReceived { .. }
                    | ospf::Event::SpfRun { .. } => None,
                };
                let what = What::Ospf(event);
                let vrf = Some(name.to_string());
                out.push_back(Output::Event(Event { time: now, vrf, interface, what }));
            }
        }
    }

    fn on_host_output(
        &mut self,
        now: Time,
        name: &VrfName,
        output: mobility::Output,
        rib: &mut Rib,
        out: &mut VecDeque<Output>,
    ) {
        match output {
            mobility::Output::Watch { prefix, on } => {
                if let (Some(ospf), Some(address)) = (&mut self.ospf, prefix.ipv4()) {
                    ospf.handle(now, ospf::Input::Watch(address, on));
                }
                if !on {
                    self.unanswered.remove(&prefix);
                } else if self.settle.is_some() {
                    self.unanswered.insert(prefix);
                } else {
                    self.answer(now, prefix);
                }
            }
            mobility::Output::Neighbor { ifindex, address, mac } => {
                rib.handle(now, rib::Input::Neighbor { ifindex, address, mac });
            }
            mobility::Output::LocalRoute { prefix, target } => {
                let route = target.map(|target| {
                    let nexthops: Arc<[Nexthop]> = match target {
                        mobility::LocalTarget::Port(ifindex) => {
                            Arc::new([Nexthop::on_link(ifindex)])
                        }
                        mobility::LocalTarget::Drop => Arc::new([]),
                    };
                    rib::Route { metric: 0, nexthops }
                });
                let (vrf, changes) = (self.id, vec![(prefix, route)]);
                rib.handle(now, rib::Input::Routes { vrf, protocol: Protocol::Host, changes });
            }
            mobility::Output::Advertise { prefix, metric } => {
                let route = Some(self.external_route(metric));
                if let (Some(ospf), Some(address)) = (&mut self.ospf, prefix.ipv4()) {
                    ospf.handle(now, ospf::Input::Host(address, route));
                }
            }
            mobility::Output::Withdraw { prefix } => {
                if let (Some(ospf), Some(address)) = (&mut self.ospf, prefix.ipv4()) {
                    ospf.handle(now, ospf::Input::Host(address, None));
                }
            }
            mobility::Output::Reply { request, result } => {
                let result = result.map_err(|refused| refused.to_string());
                out.push_back(Output::Reply { request, result });
            }
            mobility::Output::Event(event) => {
                let what = What::Host(event);
                let vrf = Some(name.to_string());
                out.push_back(Output::Event(Event { time: now, vrf, interface: None, what }));
            }
        }
    }
}

fn others(rival: ospf::Rival) -> mobility::Others {
    mobility::Others { router: rival.router, metric: rival.metric, count: rival.count }
}

/// The hosts' settings as mobility takes them.
fn hosts_config(router_id: Option<RouterId>, config: &config::Vrf) -> mobility::HostsConfig {
    let hosts = &config.hosts;
    mobility::HostsConfig {
        router_id: router_id.unwrap_or_default(),
        ports: hosts.ports.clone(),
        max_hosts: hosts.max_hosts,
        damping: mobility::Damping {
            moves: hosts.damping.moves,
            window: hosts.damping.window,
            recovery: hosts.damping.recovery,
        },
        prefixes: hosts.prefixes.clone(),
        metric: hosts.metric,
        carried: mobility::Families { ipv4: config.ospf.is_some(), ipv6: false },
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
