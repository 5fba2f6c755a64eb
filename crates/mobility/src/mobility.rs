//! The engine.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use bugle_types::pattern::is_interface_name;
use bugle_types::{Mac, Prefix, Time};

use crate::config::{HostsConfig, Mode, StaticHost};
use crate::context::{Context, Port};
use crate::host::{Binding, Host, Phase};
use crate::io::{Claim, Class, Event, Input, Output, Timer};
use crate::refused::{Refused, reserved};
use crate::state::HostView;

/// Decides which hosts are here, and says so with an advertisement's metric.
///
/// Call [`handle`](Self::handle) with whatever happens, then [`poll_output`](Self::poll_output) until it is empty, and carry
/// out what it says in that order. When [`deadline`](Self::deadline) has come, handle [`Input::Tick`]. No input fails.
///
/// **The metric is the sequence number.** A host that rests is advertised with [`HostsConfig::metric`]. Who claims a host that
/// others advertise takes [`HostsConfig::step`] less than the lowest of them, so every router of any make prefers the
/// newest claim. Whoever sees a lower metric than its own yields; at equal metrics the higher router id keeps the host. When
/// the others are gone and [`QUIET`](crate::host::QUIET) has passed, the metric returns to that of rest.
///
/// **Yielding.** At once the local route and the neighbour entry go, so that packets follow the host; after
/// [`HOLD`](crate::host::HOLD) the advertisement goes. A new claim in between takes the host back with a single change.
/// A host that yielded is not claimed again by itself while anybody advertises it. If nobody has for
/// [`RESUME`](crate::host::RESUME), and its registration was never taken back and its port is up, it is live again: its
/// other home crashed, or gave it up without a word. Should that home come back, it claims with a lower metric and
/// this one yields again; each yielding counts as a move, so the two cannot go on for long (see below). When several hold such a
/// registration, all but one lose the tie at once.
///
/// **Ports.** A claim waits for its port. When the port of a live host goes, its packets are dropped silently and the
/// advertisement is withdrawn a second later, unless the port comes back or another router claims the host. A claim has
/// its say once: a port that comes back later makes the host live only if nobody else advertises it, since the port's
/// name may serve another host by then.
///
/// **Duplicates.** [`Damping`](crate::Damping) counts moves to and from other routers. The one too many is not made (coming) or is the
/// last (going): the address is frozen here, so the other router keeps it. Only hosts that
/// frames show are frozen: an operator or an orchestrator moves a machine as often as it likes.
///
/// **Classes.** A lower class never displaces a higher one on this machine. The network does not carry classes, so across
/// machines the newest claim wins whatever its class.
#[derive(Debug, Default)]
pub struct Mobility {
    config: HostsConfig,
    ports: BTreeMap<String, Port>,
    infrastructure: BTreeSet<IpAddr>,
    hosts: BTreeMap<IpAddr, Host>,
    deadlines: BTreeSet<(Time, IpAddr)>,
    refusals: u64,
    out: VecDeque<Output>,
}

impl Mobility {
    /// An engine that knows no ports and no hosts, with the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of something that happened at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Tick => self.tick(now),
            Input::Config(config) => self.configure(now, *config),
            Input::Claim(claim) => self.claim(now, &claim),
            Input::Release { address, request } => {
                let result = self.release(now, address);
                self.reply(request, result);
            }
            Input::Unfreeze { address, request } => {
                let result = self.with_host(now, address, Host::unfreeze);
                self.reply(request, result);
            }
            Input::Port { name, ifindex, up, mac } => {
                self.ports.insert(name.clone(), Port { ifindex, up, mac });
                self.settle_port(now, &name);
            }
            Input::PortGone { name } => {
                self.ports.remove(&name);
                self.settle_port(now, &name);
            }
            Input::Others { prefix, others } => {
                if prefix.is_host() {
                    // Nobody else's prefix is watched.
                    let _ = self.with_host(now, prefix.address(), |host, cx| host.hear(others, cx));
                }
            }
            Input::Infrastructure(addresses) => {
                self.infrastructure = addresses;
                self.recheck(now);
            }
        }
    }

    /// The end: requests that wait for what others advertise, which nobody finds out any more. The caller answers them.
    pub fn dismiss(&mut self) -> Vec<u64> {
        self.hosts.values_mut().flat_map(Host::dismiss).collect()
    }

    /// The next thing to do; poll until `None` after each [`handle`](Self::handle).
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to handle [`Input::Tick`], and why.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        self.deadlines.first().map(|(time, address)| (*time, Timer::Host(*address)))
    }

    /// What there is to show.
    #[must_use]
    pub const fn state(&self) -> State<'_> {
        State { mobility: self }
    }

    fn tick(&mut self, now: Time) {
        let due: Vec<IpAddr> = self
            .deadlines
            .iter()
            .take_while(|(time, _)| *time <= now)
            .map(|(_, address)| *address)
            .collect();
        for address in due {
            self.settle(now, address);
        }
    }

    fn configure(&mut self, now: Time, config: HostsConfig) {
        let old = std::mem::replace(&mut self.config, config);
        for address in old.statics.keys() {
            if !self.config.statics.contains_key(address) {
                // One that had been refused is not there to be released.
                let _ = self.with_host(now, *address, |host, _| host.release());
            }
        }
        self.recheck_against(now, &old.statics);
    }

    /// Gives up what is not admissible any more, and claims what is declared and has become admissible.
    fn recheck(&mut self, now: Time) {
        let statics = self.config.statics.clone();
        self.recheck_against(now, &statics);
    }

    fn recheck_against(&mut self, now: Time, old_statics: &BTreeMap<IpAddr, StaticHost>) {
        for address in self.hosts.keys().copied().collect::<Vec<_>>() {
            let refused = self.hosts.get(&address).and_then(|host| {
                let port = host.binding.as_ref()?.port.as_deref();
                self.admit(address)
                    .and_then(|()| port.map_or(Ok(()), |port| self.admit_port(port)))
                    .err()
            });
            if let (Some(reason), Some(host)) = (refused, self.hosts.get_mut(&address)) {
                host.release();
                self.out.push_back(Output::Event(Event::Refused { address, reason }));
            }
            self.settle(now, address);
        }
        self.claim_statics(now, old_statics);
    }

    /// Claims declared hosts, except those that are claimed already and were declared the same before.
    fn claim_statics(&mut self, now: Time, old: &BTreeMap<IpAddr, StaticHost>) {
        for (address, host) in self.config.statics.clone() {
            let claimed = self.hosts.get(&address).is_some_and(|host| host.binding.is_some());
            if claimed && old.get(&address) == Some(&host) {
                continue;
            }
            self.claim(
                now,
                &Claim {
                    address,
                    port: host.port,
                    mac: host.mac,
                    class: Class::Pinned,
                    candidate: false,
                    request: None,
                },
            );
        }
    }

    fn claim(&mut self, now: Time, claim: &Claim) {
        let (address, class, request) = (claim.address, claim.class, claim.request);
        let binding = match self.accept(claim) {
            Ok(binding) => binding,
            Err(reason) => {
                self.refusals += 1;
                // Frames that are refused are counted, not told: a host could send as many as it likes.
                if class >= Class::Registered {
                    let reason = reason.clone();
                    self.out.push_back(Output::Event(Event::Refused { address, reason }));
                }
                return self.reply(request, Err(reason));
            }
        };
        if let Entry::Vacant(vacant) = self.hosts.entry(address) {
            vacant.insert(Host::new(address, now));
            self.out.push_back(Output::Watch { prefix: Prefix::host(address), on: true });
        }
        // The host is there: the line above saw to it.
        let _ = self.with_host(now, address, |host, cx| {
            host.claim(binding, cx);
            if let Some(request) = request {
                host.await_outcome(request);
            }
        });
    }

    fn release(&mut self, now: Time, address: IpAddr) -> Result<(), Refused> {
        if self.hosts.get(&address).is_none_or(|host| host.binding.is_none()) {
            return Err(Refused::Unknown(address));
        }
        if self.config.statics.contains_key(&address) {
            return Err(Refused::Static(address));
        }
        self.with_host(now, address, |host, _| host.release())
    }

    /// Checks a claim, and fills in what it leaves out.
    fn accept(&self, claim: &Claim) -> Result<Binding, Refused> {
        let address = claim.address;
        self.admit(address)?;
        let host = self.hosts.get(&address);
        let known = host.and_then(|host| host.binding.as_ref());
        let binding = Binding {
            class: claim.class,
            port: self.port_of(claim, known)?,
            mac: claim.mac.or_else(|| known.and_then(|known| known.mac)),
            candidate: claim.candidate,
        };
        self.admit_mac(&binding)?;

        let same = known.is_some_and(|known| known.is_same_place(&binding));
        if claim.class < Class::Registered && self.config.mode == Mode::Registered {
            let registered = known.is_some_and(|known| known.class >= Class::Registered);
            if !(registered && same && claim.port.is_some() && claim.mac.is_some()) {
                return Err(Refused::NotRegistered(address));
            }
        }
        if let Some(known) = known.filter(|known| !same && known.class > claim.class) {
            return Err(Refused::Outranked { address, class: known.class });
        }
        if host.is_some_and(|host| host.phase == Phase::Active) && claim.candidate && !same {
            return Err(Refused::LiveElsewhere(address));
        }
        if let Some(until) = host.and_then(|host| host.frozen_until) {
            return Err(Refused::Frozen { address, until });
        }
        // Some may only be remembered for their moves; they are told apart when it matters.
        let max = self.config.max_hosts;
        let claimed = || self.hosts.values().filter(|host| host.binding.is_some()).count();
        if known.is_none() && self.hosts.len() >= max && claimed() >= max {
            return Err(Refused::TooMany(max));
        }
        Ok(binding)
    }

    /// Whether a host can have this address at all.
    fn admit(&self, address: IpAddr) -> Result<(), Refused> {
        if let Some(what) = reserved(address) {
            return Err(Refused::Reserved { address, what });
        }
        let (carried, family) = match address {
            IpAddr::V4(_) => (self.config.carried.ipv4, "IPv4"),
            IpAddr::V6(_) => (self.config.carried.ipv6, "IPv6"),
        };
        if !carried {
            return Err(Refused::NotCarried(family));
        }
        if self.infrastructure.contains(&address) {
            return Err(Refused::Infrastructure(address));
        }
        let prefixes = &self.config.prefixes;
        if !prefixes.is_empty() && !prefixes.iter().any(|prefix| prefix.contains(address)) {
            return Err(Refused::OutsidePrefixes { address, prefixes: prefixes.clone() });
        }
        Ok(())
    }

    fn admit_port(&self, name: &str) -> Result<(), Refused> {
        let possible = is_interface_name(name) && self.is_port(name);
        if possible { Ok(()) } else { Err(Refused::NotAPort(name.to_owned())) }
    }

    fn admit_mac(&self, binding: &Binding) -> Result<(), Refused> {
        let port = binding.port.as_ref().and_then(|name| self.ports.get(name));
        let ports_own = port.and_then(|port| port.mac);
        let good = |mac: Mac| mac.is_station() && Some(mac) != ports_own;
        binding.mac.filter(|mac| !good(*mac)).map_or(Ok(()), |mac| Err(Refused::Mac(mac)))
    }

    /// The port of a claim: the one it names, the one known, or the only one there is.
    fn port_of(&self, claim: &Claim, known: Option<&Binding>) -> Result<Option<String>, Refused> {
        if let Some(name) = &claim.port {
            self.admit_port(name)?;
            return Ok(claim.port.clone());
        }
        if let Some(known) = known {
            return Ok(known.port.clone());
        }
        if claim.mac.is_none() {
            return Ok(None);
        }
        let mut ports = self.ports.keys().filter(|name| self.is_port(name));
        match (ports.next(), ports.count()) {
            (Some(only), 0) => Ok(Some(only.clone())),
            (None, _) => Err(Refused::WhichPort(0)),
            (Some(_), more) => Err(Refused::WhichPort(more + 1)),
        }
    }

    fn is_port(&self, name: &str) -> bool {
        self.config.ports.iter().any(|pattern| pattern.matches(name))
    }

    fn settle_port(&mut self, now: Time, name: &str) {
        let behind: Vec<IpAddr> = self
            .hosts
            .values()
            .filter(|host| host.binding.as_ref().and_then(|b| b.port.as_deref()) == Some(name))
            .map(|host| host.address)
            .collect();
        for address in behind {
            self.settle(now, address);
        }
    }

    fn settle(&mut self, now: Time, address: IpAddr) {
        // A host that is not there has settled.
        let _ = self.with_host(now, address, |_, _| {});
    }

    /// Changes a host, settles it, and forgets it if nothing is left to know.
    fn with_host(
        &mut self,
        now: Time,
        address: IpAddr,
        change: impl FnOnce(&mut Host, &mut Context<'_>),
    ) -> Result<(), Refused> {
        let Some(host) = self.hosts.get_mut(&address) else {
            return Err(Refused::Unknown(address));
        };
        let mut cx = Context { now, config: &self.config, ports: &self.ports, out: &mut self.out };
        if let Some(deadline) = host.deadline {
            self.deadlines.remove(&(deadline, address));
        }
        change(host, &mut cx);
        host.settle(&mut cx);
        if host.is_forgotten(&cx) {
            cx.push(Output::Watch { prefix: Prefix::host(address), on: false });
            self.hosts.remove(&address);
        } else if let Some(deadline) = host.deadline {
            self.deadlines.insert((deadline, address));
        }
        Ok(())
    }

    fn reply(&mut self, request: Option<u64>, result: Result<(), Refused>) {
        if let Some(request) = request {
            self.out.push_back(Output::Reply { request, result });
        }
    }
}

/// A view of a [`Mobility`] for showing.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    mobility: &'a Mobility,
}

impl<'a> State<'a> {
    /// All hosts that are claimed, advertised or frozen here, by address.
    pub fn hosts(&self) -> impl Iterator<Item = HostView<'a>> + use<'a> {
        let mobility = self.mobility;
        mobility.hosts.values().filter_map(|host| view(host, mobility))
    }

    /// The addresses that are watched: of hosts, and of those of which only their moves are remembered.
    pub fn watched(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.mobility.hosts.keys().copied()
    }

    /// One host.
    #[must_use]
    pub fn host(&self, address: IpAddr) -> Option<HostView<'a>> {
        self.mobility.hosts.get(&address).and_then(|host| view(host, self.mobility))
    }

    /// How many claims were refused since the start.
    #[must_use]
    pub const fn refusals(&self) -> u64 {
        self.mobility.refusals
    }
}

fn view<'a>(host: &'a Host, mobility: &'a Mobility) -> Option<HostView<'a>> {
    let state = host.state(&mobility.config)?;
    let binding = host.binding.as_ref();
    Some(HostView {
        address: host.address,
        port: binding.and_then(|binding| binding.port.as_deref()),
        mac: binding.and_then(|binding| binding.mac),
        class: binding.map(|binding| binding.class),
        state,
        since: host.since,
        metric: host.advertised(),
        others: host.others(),
        moves: host.moves.len(),
        frozen_until: host.frozen_until,
        timeline: host.timeline,
    })
}
