//! The speaker: every VRF's protocol instances and hosts, and the one table of routes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use bugle_bfd as bfd;
use bugle_isis::{self as isis, CircuitConfig, CircuitKind};
use bugle_mobility as mobility;
use bugle_ospf::{self as ospf, LsaPool};
use bugle_rib::fib::FibSnapshot;
use bugle_rib::{self as rib, Protocol, Rib};
use bugle_types::{Address, IfIndex, Link, Rng, RouterId, Time, VrfId};

use crate::config::{self, Config, VrfName};
use crate::damping::Damper;
use crate::event::{Event, Failure, RepairStep, What};
use crate::io::{HostChange, HostRefusal, Input, Output};
use crate::peers;
use crate::ports::Machine;
use crate::vrf::{Context, Identity, Vrf};

/// How long after the first routes came what a previous run left in the kernel may stay: time for the other adjacencies.
const SWEEP_AFTER_ROUTES: Duration = Duration::from_secs(3);
/// The same when no adjacency forms at all.
const SWEEP_AT_LATEST: Duration = Duration::from_secs(120);

/// What the speaker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// An OSPF instance's.
    Ospf(VrfId, ospf::Timer),
    /// An IS-IS instance's.
    Isis(VrfId, isis::Timer),
    /// A host's.
    Host(VrfId),
    /// What has flapped is held down no longer.
    Release,
    /// A BFD session whose neighbour has not come back is given up.
    Bfd(VrfId),
    /// The databases have had time enough to be in step before hosts are claimed.
    Settled(VrfId),
    /// The forwarding table's.
    Rib(rib::Timer),
    /// What a previous run left in the kernel goes.
    Sweep,
}

/// The whole speaker: what is above the sockets and the kernel, in one object.
///
/// The contract is that of every engine: [`handle`](Self::handle) each input, drain [`poll_output`](Self::poll_output) and carry
/// it out in order, and `handle` [`Input::Tick`] when [`deadline`](Self::deadline) comes. `now` never goes back.
#[derive(Debug)]
pub struct Speaker {
    now: Time,
    started: Time,
    pub(crate) config: Config,
    pub(crate) machine: Machine,
    /// Links and addresses have been reported in full once.
    synced: bool,
    start: Start,
    /// Changes to the hosts that came before the configuration, or before the machine was known.
    early: Vec<(u64, HostChange)>,
    /// What a resynchronisation has reported so far.
    reported: Option<(BTreeSet<IfIndex>, BTreeSet<Address>)>,
    /// Boxed: the map makes room for eleven at a time.
    pub(crate) vrfs: BTreeMap<VrfName, Box<Vrf>>,
    next_vrf: u32,
    pub(crate) rib: Rib,
    sweep: Option<Time>,
    pub(crate) damper: Damper,
    stopping: bool,
    rng: Rng,
    pool: Option<LsaPool>,
    out: VecDeque<Output>,
}

/// How far the start has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Start {
    /// There is no configuration.
    Unconfigured,
    /// Nor is there now, but the kernel's forwarding table has been read.
    ReadUnconfigured,
    /// There is a configuration to compare the table with, which has not been read since.
    Configured,
    /// It has been read.
    Read,
}

impl Speaker {
    /// A speaker without a configuration: it does nothing until [`Input::Config`].
    #[must_use]
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            now,
            started: now,
            config: Config::default(),
            machine: Machine::default(),
            synced: false,
            start: Start::Unconfigured,
            early: Vec::new(),
            reported: None,
            vrfs: BTreeMap::new(),
            next_vrf: 0,
            rib: Rib::new(),
            sweep: Some(now + SWEEP_AT_LATEST),
            damper: Damper::default(),
            stopping: false,
            rng: Rng::new(seed),
            pool: None,
            out: VecDeque::new(),
        }
    }

    /// The same, which shares with other speakers of the process what LSAs say.
    #[must_use]
    pub fn with_pool(self, pool: LsaPool) -> Self {
        Self { pool: Some(pool), ..self }
    }

    /// Takes an input. Never fails.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Tick => self.on_tick(),
            Input::Config(config) => self.on_config(*config),
            Input::Link(link) => self.on_link(link),
            Input::LinkGone(ifindex) => self.on_link_gone(ifindex),
            Input::Address(address) => {
                if let Some((_, addresses)) = &mut self.reported {
                    addresses.insert(address);
                }
                self.machine.add_address(address);
                self.apply();
            }
            Input::AddressGone(address) => {
                self.machine.remove_address(address);
                self.apply();
            }
            Input::Resync => self.reported = Some(Default::default()),
            Input::Synced => self.on_synced(),
            Input::Ospf { ifindex, src, dst, bytes } => {
                // Who flaps is not listened to for a while.
                let held = self.damper.is_held((ifindex, Failure::Path(src.into())));
                // An interface runs in one VRF: the first that took it.
                let vrf = self
                    .vrfs
                    .values_mut()
                    .filter(|_| !held)
                    .find(|vrf| vrf.interfaces.contains_key(&ifindex));
                if let Some(ospf) = vrf.and_then(|vrf| vrf.ospf.as_mut()) {
                    ospf.handle(self.now, ospf::Input::Packet { ifindex, src, dst, bytes });
                }
            }
            Input::Isis { ifindex, source, bytes } => {
                // On a point-to-point circuit who is held down is whoever is there.
                let held = |kind: CircuitKind| match kind {
                    CircuitKind::PointToPoint => self
                        .damper
                        .held()
                        .any(|((held, of), _)| held == ifindex && matches!(of, Failure::Path(_))),
                    CircuitKind::Broadcast => self.damper.is_station_held(ifindex, source),
                    CircuitKind::Passive => false,
                };
                let takes = |circuit: &CircuitConfig| !(circuit.bfd && held(circuit.kind));
                let vrf = self
                    .vrfs
                    .values_mut()
                    .find(|vrf| vrf.circuits.get(&ifindex).is_some_and(takes));
                if let Some(isis) = vrf.and_then(|vrf| vrf.isis.as_mut()) {
                    isis.handle(self.now, isis::Input::Pdu { ifindex, source, bytes });
                }
            }
            Input::Fib(snapshot) => self.on_snapshot(snapshot),
            Input::FibFailed { op, reason } => {
                self.rib.handle(self.now, rib::Input::Failed { op, reason });
            }
            Input::FibDisturbed => self.rib.handle(self.now, rib::Input::Disturbed),
            Input::FibReplaced(key) => self.rib.handle(self.now, rib::Input::Replaced(key)),
            Input::FibRemoved(ids) => self.rib.handle(self.now, rib::Input::Removed(ids)),
            Input::Bfd { at, event } => self.on_bfd(at, event),
            Input::Host { request, change } if self.is_ready() || self.stopping => {
                self.on_host_change(request, change);
            }
            // Ports and others' claims are not known yet.
            Input::Host { request, change } => self.early.push((request, change)),
            Input::Shutdown => self.on_shutdown(),
        }
        self.pump();
    }

    /// What the driver is to do next. Drain after every [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if output.is_none() {
            // A burst leaves no long queue behind.
            self.out.shrink_to(16);
        }
        output
    }

    /// When to call [`handle`](Self::handle) with [`Input::Tick`], and what for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        let vrfs = self.vrfs.values().flat_map(|vrf| {
            let ospf = vrf.ospf.as_ref().and_then(ospf::Ospf::deadline);
            let isis = vrf.isis.as_ref().and_then(isis::Isis::deadline);
            [
                isis.map(|(time, timer)| (time, Timer::Isis(vrf.id, timer))),
                ospf.map(|(time, timer)| (time, Timer::Ospf(vrf.id, timer))),
                vrf.mobility.deadline().map(|(time, _)| (time, Timer::Host(vrf.id))),
                vrf.settle_at().map(|time| (time, Timer::Settled(vrf.id))),
                vrf.bfd_deadline().map(|time| (time, Timer::Bfd(vrf.id))),
            ]
        });
        let rib = self.rib.deadline().map(|(time, timer)| (time, Timer::Rib(timer)));
        let release = self.damper.deadline().map(|time| (time, Timer::Release));
        vrfs.chain([rib, release, self.sweep.map(|time| (time, Timer::Sweep))]).flatten().min()
    }

    /// After [`Input::Shutdown`]: every neighbour knows, and nothing is left to do but to carry out what was polled.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.stopping
            && self.vrfs.values().all(|vrf| {
                vrf.ospf.as_ref().is_none_or(ospf::Ospf::is_stopped)
                    && vrf.isis.as_ref().is_none_or(isis::Isis::is_stopped)
            })
    }

    fn on_tick(&mut self) {
        self.release();
        let Self { now, machine, vrfs, rib, out, .. } = self;
        let now = *now;
        for (name, vrf) in vrfs {
            vrf.tick_bfd(&mut Context { now, name, machine, rib, out });
            if let Some(ospf) = &mut vrf.ospf
                && ospf.deadline().is_some_and(|(time, _)| time <= now)
            {
                ospf.handle(now, ospf::Input::Tick);
            }
            if let Some(isis) = &mut vrf.isis
                && isis.deadline().is_some_and(|(time, _)| time <= now)
            {
                isis.handle(now, isis::Input::Tick);
            }
            if vrf.mobility.deadline().is_some_and(|(time, _)| time <= now) {
                vrf.mobility.handle(now, mobility::Input::Tick);
            }
            if vrf.settle_at().is_some_and(|time| time <= now) {
                vrf.settled(now, machine);
            }
        }
        self.rib.handle(now, rib::Input::Tick);
        if self.sweep.is_some_and(|time| time <= now) {
            self.sweep = None;
            self.rib.handle(now, rib::Input::Sweep);
        }
    }

    /// Something failed; whoever flaps is held down.
    fn note_failure(&mut self, ifindex: IfIndex, of: Failure) {
        let config = &self.config.link_damping;
        if let Some(hold) = self.damper.failed(self.now, (ifindex, of), config) {
            self.tell_held(ifindex, of, hold);
        }
    }

    /// What has been held down for long enough has another chance.
    fn release(&mut self) {
        let over = self.damper.on_tick(self.now, &self.config.link_damping);
        for &(ifindex, of) in &over {
            self.tell_held(ifindex, of, Duration::ZERO);
        }
        if !over.is_empty() {
            self.apply();
        }
    }

    fn tell_held(&mut self, ifindex: IfIndex, of: Failure, hold: Duration) {
        let interface = Some(self.machine.name(ifindex));
        let event = Event { time: self.now, vrf: None, interface, what: What::Held(of, hold) };
        self.out.push_back(Output::Event(event));
    }

    fn on_config(&mut self, config: Config) {
        if self.stopping {
            return;
        }
        self.config = config;
        if self.start == Start::ReadUnconfigured {
            // Nobody has looked for hosts in what was read.
            self.rib.handle(self.now, rib::Input::Disturbed);
        }
        if self.start < Start::Configured {
            self.start = Start::Configured;
        }
        let gone: Vec<VrfName> =
            self.vrfs.keys().filter(|name| !self.config.vrfs.contains_key(name)).cloned().collect();
        for name in gone {
            self.end_vrf(&name);
        }
        let names: Vec<VrfName> = self.config.vrfs.keys().cloned().collect();
        for name in names {
            if !self.vrfs.contains_key(&name) {
                let vrf = Vrf::new(VrfId(self.next_vrf), self.now, self.pool.clone());
                self.next_vrf += 1;
                self.vrfs.insert(name, Box::new(vrf));
            }
        }
        self.tell_ports();
        self.apply();
    }

    /// A VRF is configured no more: what it said is taken back.
    fn end_vrf(&mut self, name: &VrfName) {
        let Some(mut vrf) = self.vrfs.remove(name) else { return };
        let Self { now, machine, rib, out, .. } = self;
        refuse(out, vrf.mobility.dismiss(), &HostRefusal::UnknownVrf(name.to_string()));
        let mut cx = Context { now: *now, name, machine, rib, out };
        vrf.end_ospf(&mut cx);
        vrf.end_isis(&mut cx);
        vrf.set_bfd_peers(&mut cx, BTreeMap::new(), None);
        rib.handle(*now, rib::Input::Clear { vrf: vrf.id, protocol: Protocol::Host });
        for host in vrf.mobility.state().hosts() {
            if let Some(link) = host.port.and_then(|port| self.machine.by_name(port)) {
                let ifindex = link.ifindex;
                let gone = rib::Input::Neighbor { ifindex, address: host.address, mac: None };
                self.rib.handle(self.now, gone);
            }
        }
        self.rib.handle(self.now, rib::Input::Vrf { vrf: vrf.id, table: None });
    }

    fn on_link(&mut self, link: Link) {
        let ifindex = link.ifindex;
        if let Some((links, _)) = &mut self.reported {
            links.insert(ifindex);
        }
        self.rib.handle(self.now, rib::Input::Link { ifindex, usable: link.is_up() });
        let lost = link.admin_up && !link.carrier;
        let old = self.machine.links.insert(ifindex, link);
        if lost && old.as_ref().is_some_and(Link::is_up) {
            self.on_carrier_lost(ifindex);
        }
        if let Some(old) = old
            && self.machine.links.get(&ifindex).is_some_and(|new| new.name != old.name)
        {
            self.tell_ports_gone(&old.name);
        }
        // A VRF device that comes or changes its table may change where every interface belongs.
        if self.machine.links.get(&ifindex).is_some_and(|link| link.vrf_table.is_some()) {
            self.tell_ports();
        } else {
            self.tell_port(ifindex);
        }
        self.apply();
    }

    /// The kernel goes round the link by itself as far as that is prepared.
    fn on_carrier_lost(&mut self, ifindex: IfIndex) {
        let Self { now, machine, vrfs, rib, out, .. } = self;
        let speaks = |vrf: &Vrf| {
            vrf.interfaces.contains_key(&ifindex) || vrf.circuits.contains_key(&ifindex)
        };
        let Some((name, vrf)) = vrfs.iter_mut().find(|(_, vrf)| speaks(vrf)) else { return };
        let cx = &mut Context { now: *now, name, machine, rib, out };
        vrf.begin_repair(cx, ifindex, Failure::Link, *now);
        self.note_failure(ifindex, Failure::Link);
    }

    fn on_link_gone(&mut self, ifindex: IfIndex) {
        self.rib.handle(self.now, rib::Input::LinkGone(ifindex));
        let name = self.machine.links.get(&ifindex).map(|link| link.name.clone());
        self.machine.remove_link(ifindex);
        self.damper.forget(ifindex);
        if let Some(name) = name {
            self.tell_ports_gone(&name);
        }
        self.apply();
    }

    fn on_synced(&mut self) {
        if let Some((links, addresses)) = self.reported.take() {
            let gone: Vec<IfIndex> = self
                .machine
                .links
                .keys()
                .copied()
                .filter(|ifindex| !links.contains(ifindex))
                .collect();
            for ifindex in gone {
                self.on_link_gone(ifindex);
            }
            self.machine.retain_addresses(&addresses);
            if self.synced {
                // What the kernel did to routes meanwhile was lost too.
                self.rib.handle(self.now, rib::Input::Disturbed);
            }
        }
        self.synced = true;
        self.apply();
    }

    /// BFD has something to tell. What fails is repaired in this order: the forwarding table goes round the path as far as
    /// that is prepared, then the adjacency ends, the neighbours are told, and routes are computed anew.
    fn on_bfd(&mut self, at: Time, event: bfd::Event) {
        let path = match &event {
            bfd::Event::Changed(change) => Some(change.path),
            bfd::Event::Joined { path, .. } => Some(*path),
            bfd::Event::Discarded { .. } | bfd::Event::Stalled { .. } => None,
        };
        let interface = path.and_then(|path| match path.hop {
            bfd::Hop::Single(ifindex) => Some(self.machine.name(ifindex)),
            bfd::Hop::Multi(_) => None,
        });
        let Self { now, config, machine, vrfs, rib, out, .. } = self;
        let concerned = vrfs.iter_mut().find(|(_, vrf)| Some(vrf.id) == path.map(|path| path.vrf));
        let vrf = concerned.as_ref().map(|(name, _)| name.to_string());
        let what = What::Bfd(event);
        out.push_back(Output::Event(Event { time: at, vrf, interface, what }));
        let Some((name, vrf)) = concerned else { return };
        if let bfd::Event::Joined { client, path, state } = event {
            vrf.on_bfd_joined(*now, client, path, state);
        }
        let bfd::Event::Changed(change) = event else { return };
        if vrf.on_bfd(&mut Context { now: *now, name, machine, rib, out }, at, &change) {
            pump_rib(*now, config.fib.enabled, rib, out);
            let station = vrf.station(&change.path);
            vrf.end_adjacency(&mut Context { now: *now, name, machine, rib, out }, &change);
            if let bfd::Hop::Single(ifindex) = change.path.hop {
                let path = Failure::Path(change.path.remote);
                self.note_failure(ifindex, path);
                if let Some(station) = station {
                    self.damper.leads_to((ifindex, path), station);
                }
            }
        }
    }

    /// Tells the hosts of every VRF about an interface.
    fn tell_port(&mut self, ifindex: IfIndex) {
        let Some(link) = self.machine.links.get(&ifindex) else { return };
        for (name, vrf) in &mut self.vrfs {
            if self.machine.belongs(link, name) {
                vrf.mobility.handle(
                    self.now,
                    mobility::Input::Port {
                        name: link.name.clone(),
                        ifindex,
                        up: link.is_up(),
                        mac: link.mac,
                    },
                );
            } else {
                vrf.mobility
                    .handle(self.now, mobility::Input::PortGone { name: link.name.clone() });
            }
        }
    }

    fn tell_ports(&mut self) {
        let links: Vec<IfIndex> = self.machine.links.keys().copied().collect();
        for ifindex in links {
            self.tell_port(ifindex);
        }
    }

    fn tell_ports_gone(&mut self, name: &str) {
        for vrf in self.vrfs.values_mut() {
            vrf.mobility.handle(self.now, mobility::Input::PortGone { name: name.to_owned() });
        }
    }

    /// Brings every VRF in line with the configuration and the machine as they are now.
    fn apply(&mut self) {
        for (name, config) in &self.config.vrfs {
            let Some(vrf) = self.vrfs.get_mut(name) else { continue };
            let table = self.machine.table(name, config);
            if vrf.table != table && !self.stopping {
                vrf.table = table;
                self.rib.handle(self.now, rib::Input::Vrf { vrf: vrf.id, table });
            }
        }
        // While the machine is being reported, once at the end is enough. Before the first full report there would be adjacencies without hosts, and hosts without ports; before the kernel was
        // read it is not known whether this is a restart.
        if !self.is_ready() || self.reported.is_some() || self.stopping {
            return;
        }
        let infrastructure = self.infrastructure();
        let router_id = self.router_id();
        // An interface runs in one VRF: the first that takes it.
        let mut taken: BTreeMap<IfIndex, &VrfName> = BTreeMap::new();
        let Self { now, config, machine, vrfs, rib, damper, out, rng, .. } = self;
        let held = |ifindex: IfIndex| damper.is_held((ifindex, Failure::Link));
        let identity = Identity { router_id, hostname: config.hostname.as_deref() };
        let profiles = &config.bfd;
        for (name, config) in &config.vrfs {
            let Some(vrf) = vrfs.get_mut(name) else { continue };
            let mut interfaces = machine.ospf_interfaces(name, config);
            interfaces.retain(|&ifindex, _| {
                !held(ifindex) && *taken.entry(ifindex).or_insert(name) == name
            });
            let mut circuits = machine.isis_circuits(name, config);
            circuits.retain(|&ifindex, _| {
                !held(ifindex) && *taken.entry(ifindex).or_insert(name) == name
            });
            let watched: BTreeMap<IfIndex, bfd::Profile> = circuits
                .iter()
                .filter_map(|(&ifindex, circuit)| {
                    let block = config.isis.as_ref()?.interface(&circuit.name)?;
                    let profile = profiles.get(block.bfd.as_ref()?)?.profile()?;
                    // RFC 6213 section 4: what is shut down is not said to be enabled.
                    (!profile.admin_down && circuit.kind != CircuitKind::Passive)
                        .then_some((ifindex, profile))
                })
                .collect();
            for (ifindex, circuit) in &mut circuits {
                circuit.bfd = watched.contains_key(ifindex);
            }
            let mut cx = Context { now: *now, name, machine, rib, out };
            vrf.configure(&mut cx, identity, config, &infrastructure, rng);
            vrf.set_interfaces(&mut cx, interfaces);
            vrf.set_circuits(&mut cx, circuits);
            let wanted = vrf.interfaces.iter().filter_map(|(&ifindex, interface)| {
                let block = config.ospf.as_ref()?.interface(&interface.name)?;
                Some((ifindex, profiles.get(block.bfd.as_ref()?)?.profile()?))
            });
            let wanted = wanted.collect();
            vrf.set_bfd(&mut cx, &wanted, machine.vrf_device(name));
            vrf.set_isis_bfd(&mut cx, &watched, machine.vrf_device(name));
            let peers = peers::wanted(machine, (vrf.id, name, config), profiles);
            vrf.set_bfd_peers(&mut cx, peers, machine.vrf_device(name));
        }
        for (request, change) in std::mem::take(&mut self.early) {
            self.on_host_change(request, change);
        }
    }

    /// Whether the configuration, the machine's interfaces, and what a previous run left in its kernel are known.
    fn is_ready(&self) -> bool {
        let least = if self.config.fib.enabled { Start::Read } else { Start::Configured };
        self.synced && self.start >= least
    }

    /// The identity in force: the one configured, else the highest address of a loopback.
    pub(crate) fn router_id(&self) -> Option<RouterId> {
        self.config.router_id.or_else(|| self.machine.loopback_address().map(RouterId::from))
    }

    /// Addresses that no host may have, whatever others say: the machine's own, and those of whole networks.
    fn infrastructure(&self) -> BTreeSet<IpAddr> {
        let id = self.config.router_id.map(|id| IpAddr::from(std::net::Ipv4Addr::from(id.0)));
        self.machine.addresses().chain(self.machine.ends_of_networks()).chain(id).collect()
    }

    /// The kernel was read. The first time that a VRF's table is, hosts that a previous run registered are taken up again: the
    /// kernel remembers them as long as the machine runs.
    fn on_snapshot(&mut self, snapshot: FibSnapshot) {
        for vrf in self.vrfs.values_mut() {
            if !vrf.adopted && vrf.table.is_some() {
                vrf.adopted = true;
                vrf.adopt_hosts(self.now, &self.machine, &snapshot);
            }
        }
        self.rib.handle(self.now, rib::Input::Snapshot(snapshot));
        match self.start {
            Start::Unconfigured => self.start = Start::ReadUnconfigured,
            Start::Configured => {
                self.start = Start::Read;
                self.apply();
            }
            Start::ReadUnconfigured | Start::Read => {}
        }
    }

    fn on_host_change(&mut self, request: u64, change: HostChange) {
        let (HostChange::Add { vrf: name, .. } | HostChange::Remove { vrf: name, .. }) = &change;
        let vrf = VrfName::new(name).and_then(|name| self.vrfs.get_mut(&name));
        let Some(vrf) = vrf.filter(|_| !self.stopping) else {
            let result = Err(if self.stopping {
                HostRefusal::Stopping
            } else {
                HostRefusal::UnknownVrf(name.clone())
            });
            self.out.push_back(Output::Reply { request, result });
            return;
        };
        let (HostChange::Add { address, .. } | HostChange::Remove { address, .. }) = &change;
        let found = vrf.forget_found(*address);
        let unknown = vrf.mobility.state().host(*address).is_none();
        if found && unknown && matches!(change, HostChange::Remove { .. }) {
            // The kernel alone knew it. It is not taken up, so its route goes with what else nobody wants.
            self.out.push_back(Output::Reply { request, result: Ok(()) });
            return;
        }
        let request = Some(request);
        let input = match change {
            HostChange::Add { address, port, mac, candidate, .. } => {
                let class = mobility::Class::Registered;
                mobility::Input::Claim(mobility::Claim {
                    address,
                    port,
                    mac,
                    class,
                    candidate,
                    request,
                })
            }
            HostChange::Remove { address, .. } => mobility::Input::Release { address, request },
        };
        vrf.mobility.handle(self.now, input);
    }

    fn on_shutdown(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.sweep = None;
        for (request, change) in std::mem::take(&mut self.early) {
            self.on_host_change(request, change);
        }
        let Self { now, machine, vrfs, rib, out, .. } = self;
        for (name, vrf) in vrfs {
            refuse(out, vrf.mobility.dismiss(), &HostRefusal::Stopping);
            let mut cx = Context { now: *now, name, machine, rib, out };
            vrf.set_bfd_peers(&mut cx, BTreeMap::new(), None);
            if let Some(ospf) = &mut vrf.ospf {
                ospf.handle(*now, ospf::Input::Shutdown);
            }
            if let Some(isis) = &mut vrf.isis {
                isis.handle(*now, isis::Input::Shutdown);
            }
        }
        if !self.config.fib.retain {
            // The routes stay until the neighbours have been told: what they still send is still forwarded.
            self.pump();
            self.rib.handle(self.now, rib::Input::Flush);
        }
    }

    /// Carries what the engines ask for to where it belongs, until nothing is left.
    ///
    /// The order of a turn makes the order on the wire: OSPF floods before anything is computed or installed, and what a host
    /// needs in the kernel is there before its advertisement goes out.
    fn pump(&mut self) {
        let Self { now, config, machine, vrfs, rib, out, .. } = self;
        loop {
            let mut any = false;
            for (name, vrf) in vrfs.iter_mut() {
                any |= vrf.pump_protocols(&mut Context { now: *now, name, machine, rib, out });
            }
            for (name, vrf) in vrfs.iter_mut() {
                any |= vrf.pump_hosts(&mut Context { now: *now, name, machine, rib, out });
            }
            any |= pump_rib(*now, config.fib.enabled, rib, out);
            for (name, vrf) in vrfs.iter_mut().filter(|(_, vrf)| vrf.is_computed()) {
                let cx = &mut Context { now: *now, name, machine, rib, out };
                vrf.repaired(cx, RepairStep::Installed);
            }
            for (name, vrf) in vrfs.iter_mut() {
                vrf.tell_hosts(&mut Context { now: *now, name, machine, rib, out });
            }
            if !any {
                break;
            }
        }
        let routed = |(name, config): (&VrfName, &config::Vrf)| {
            config.ospf.is_none() && config.isis.is_none()
                || self.vrfs.get(name).is_some_and(|vrf| vrf.has_routes())
        };
        if let Some(sweep) = self.sweep
            && self.is_ready()
            && self.config.vrfs.iter().all(routed)
        {
            self.sweep = Some(sweep.min(self.now + SWEEP_AFTER_ROUTES));
        }
    }

    /// When the speaker was made.
    pub(crate) fn started(&self) -> Time {
        self.started
    }

    /// The time of the last input.
    pub(crate) fn now(&self) -> Time {
        self.now
    }
}

/// Those who wait for an answer get this one.
fn refuse(out: &mut VecDeque<Output>, requests: Vec<u64>, why: &HostRefusal) {
    out.extend(
        requests.into_iter().map(|request| Output::Reply { request, result: Err(why.clone()) }),
    );
}

/// Carries the route table's outputs on. Whether there were any. With `enabled` false the kernel is neither changed nor read: it
/// is taken to hold nothing.
fn pump_rib(now: Time, enabled: bool, rib: &mut Rib, out: &mut VecDeque<Output>) -> bool {
    let mut any = false;
    while let Some(output) = rib.poll_output() {
        any = true;
        match output {
            rib::Output::Fib(op) if enabled => out.push_back(Output::Fib(op)),
            rib::Output::Divert(op) if enabled => out.push_back(Output::Divert(op)),
            rib::Output::Removable(removable) if enabled => {
                out.push_back(Output::Removable(removable));
            }
            rib::Output::Fib(_) | rib::Output::Divert(_) | rib::Output::Removable(_) => {}
            rib::Output::ReadFib if enabled => out.push_back(Output::ReadFib),
            rib::Output::ReadFib => {
                rib.handle(now, rib::Input::Snapshot(FibSnapshot::default()));
            }
            rib::Output::Event(event) => {
                let what = What::Rib(event);
                out.push_back(Output::Event(Event { time: now, vrf: None, interface: None, what }));
            }
        }
    }
    any
}
