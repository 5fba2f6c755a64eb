//! IS-IS of a VRF.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bugle_isis::{
    self as isis, AlternatesConfig, AttachedConfig, Auth, CircuitConfig, CircuitKind,
    GenerationConfig, HostRoute, Ipv6Topology, Isis, Leak, Padding,
};
use bugle_mobility as mobility;
use bugle_rib::{self as rib, Protocol};
use bugle_types::{IfIndex, Rng, RouterId};

use super::{Context, Vrf};
use crate::config::{self, HelloPadding, KeyFile};
use crate::event::What;
use crate::io::Output;

impl Vrf {
    /// Starts, changes or ends the instance.
    pub(super) fn configure_isis(
        &mut self,
        cx: &mut Context<'_>,
        router_id: Option<RouterId>,
        hostname: Option<&str>,
        wanted: Option<&config::Isis>,
        rng: &mut Rng,
    ) {
        let Some(wanted) = wanted else { return self.end_isis(cx) };
        let config = isis::Config {
            system_id: wanted.system_id(),
            areas: wanted.nets.iter().map(|net| net.area).collect(),
            levels: wanted.levels,
            hostname: hostname.map(str::to_owned),
            router_id: router_id.map(|id| Ipv4Addr::from(id.0)),
            ipv6_router_id: wanted.ipv6_router_id,
            host_tags: wanted.host_tags,
            overload: wanted.stub_router,
            ipv6_topology: if wanted.multi_topology {
                Ipv6Topology::Own
            } else {
                Ipv6Topology::Standard
            },
            attached: AttachedConfig { send: wanted.attached.send, follow: wanted.attached.follow },
            leak: if wanted.leak.is_empty() {
                Leak::Nothing
            } else {
                Leak::Within(wanted.leak.clone())
            },
            max_paths: wanted.max_ecmp.into(),
            alternates: wanted
                .alternates
                .then_some(AlternatesConfig { microloop_delay: wanted.microloop_delay }),
            spf: wanted.spf_delay,
            generation: GenerationConfig {
                initial: wanted.lsp_delay.initial,
                longest: wanted.lsp_delay.long,
            },
            lsp_lifetime: u16::try_from(wanted.lsp_lifetime.as_secs()).unwrap_or(u16::MAX),
            lsp_buffer_size: wanted.lsp_size,
            area_auth: auth(&wanted.area_auth),
            domain_auth: auth(&wanted.domain_auth),
            listen_first: self.restarted,
            reclaim: self.patience.longest(),
        };
        if let Some(isis) = &mut self.isis {
            let known = isis.state().config();
            if *known == config {
                return;
            }
            if known.system_id == config.system_id {
                return isis.handle(cx.now, isis::Input::Config(Box::new(config)));
            }
            // Another identity is another router.
            self.end_isis(cx);
        }
        let mut instance = Isis::new(config, rng.next_u64());
        for prefix in self.watched_anew() {
            instance.handle(cx.now, isis::Input::Watch(prefix, true));
        }
        for (prefix, metric) in self.advertised().filter(|_| self.advertise.isis) {
            instance.handle(cx.now, isis::Input::Host(prefix, Some(host_route(metric))));
        }
        self.isis = Some(instance);
        self.settling = Some(cx.now);
    }

    /// IS-IS runs here no more: what it said is taken back, as far as one packet does it, and its routes, circuits and sockets
    /// go.
    pub(crate) fn end_isis(&mut self, cx: &mut Context<'_>) {
        let Some(mut isis) = self.isis.take() else { return };
        isis.handle(cx.now, isis::Input::Shutdown);
        while let Some(output) = isis.poll_output() {
            self.on_isis_output(cx, output);
        }
        self.set_isis_bfd(cx, &BTreeMap::new(), None);
        for (ifindex, config) in std::mem::take(&mut self.circuits) {
            if speaks(&config) {
                cx.out.push_back(Output::CloseIsis(ifindex));
            }
        }
        cx.rib.handle(cx.now, rib::Input::Clear { vrf: self.id, protocol: Protocol::Isis });
    }

    /// Gives IS-IS its circuits, and has sockets opened and closed for them.
    pub(crate) fn set_circuits(
        &mut self,
        cx: &mut Context<'_>,
        wanted: BTreeMap<IfIndex, CircuitConfig>,
    ) {
        let Some(isis) = &mut self.isis else { return };
        let gone: Vec<IfIndex> =
            self.circuits.keys().copied().filter(|i| !wanted.contains_key(i)).collect();
        for ifindex in gone {
            let old = self.circuits.remove(&ifindex);
            isis.handle(cx.now, isis::Input::Circuit(ifindex, None));
            if old.as_ref().is_some_and(speaks) {
                cx.out.push_back(Output::CloseIsis(ifindex));
            }
        }
        for (ifindex, config) in wanted {
            let old = self.circuits.insert(ifindex, config.clone());
            // What the socket has to let through depends on the MTU.
            let socket = |config: &CircuitConfig| speaks(config).then_some(config.mtu);
            let (had, wants) = (old.as_ref().and_then(socket), socket(&config));
            if let Some(mtu) = wants.filter(|_| had != wants) {
                cx.out.push_back(Output::OpenIsis { ifindex, mtu });
            }
            if old.as_ref() != Some(&config) {
                isis.handle(cx.now, isis::Input::Circuit(ifindex, Some(Box::new(config))));
            }
            if had.is_some() && wants.is_none() {
                cx.out.push_back(Output::CloseIsis(ifindex));
            }
        }
    }

    /// Carries the outputs of IS-IS to where they belong. Whether there were any.
    pub(crate) fn pump_isis(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(output) = self.isis.as_mut().and_then(Isis::poll_output) {
            any = true;
            self.on_isis_output(cx, output);
        }
        any
    }

    fn on_isis_output(&mut self, cx: &mut Context<'_>, output: isis::Output) {
        match output {
            isis::Output::Send { ifindex, destination, bytes } => {
                if let Some(circuit) = self.circuits.get(&ifindex) {
                    let source = circuit.mac;
                    cx.out.push_back(Output::SendIsis { ifindex, source, destination, bytes });
                }
            }
            isis::Output::Routes(changes) => {
                self.routed.isis = true;
                self.offer(cx, Protocol::Isis, changes, |route| rib::Route {
                    metric: route.metric,
                    nexthops: route.nexthops,
                    backup: route.backup.map(|backup| backup.nexthop),
                });
            }
            isis::Output::Rival(prefix, _) => self.tell_rival(cx.now, prefix.address()),
            isis::Output::Bfd { ifindex, peer, wanted, .. } => {
                self.watch_for_isis(cx, (ifindex, peer), wanted);
            }
            isis::Output::Event(event) => {
                self.on_isis_event(cx, &event);
                let interface = match &event {
                    isis::Event::Adjacency { ifindex, .. }
                    | isis::Event::DesignatedIs { ifindex, .. }
                    | isis::Event::Mismatch { ifindex, .. }
                    | isis::Event::Dropped { ifindex, .. } => Some(cx.machine.name(*ifindex)),
                    isis::Event::Originated { .. }
                    | isis::Event::Purged { .. }
                    | isis::Event::SelfOriginatedReceived { .. }
                    | isis::Event::DuplicateSystemId { .. }
                    | isis::Event::Overflow { .. }
                    | isis::Event::SpfRun { .. } => None,
                };
                cx.tell(interface, What::Isis(event));
            }
        }
    }
}

/// How a host with this metric is advertised: in steps larger than any path costs, since metrics of IS-IS add up.
pub(super) fn host_route(metric: u32) -> HostRoute {
    HostRoute { metric: isis::claim_metric(metric) }
}

pub(super) fn others(rival: isis::Rival) -> mobility::Others {
    mobility::Others {
        router: rival.system.into(),
        metric: rival.metric.map(isis::claim_of),
        count: rival.count,
    }
}

/// A circuit's settings, but for what its interface says.
pub(crate) fn circuit(
    name: &str,
    mac: bugle_types::Mac,
    isis: &config::Isis,
    block: &config::IsisInterface,
) -> CircuitConfig {
    CircuitConfig {
        kind: match block.link {
            config::LinkType::PointToPoint => CircuitKind::PointToPoint,
            config::LinkType::Broadcast => CircuitKind::Broadcast,
            config::LinkType::Passive => CircuitKind::Passive,
        },
        levels: block.levels.unwrap_or(isis.levels),
        metric: block.metric,
        tags: block.tags,
        priority: block.priority,
        hello: block.hello,
        hold_multiplier: block.hold_multiplier,
        padding: match block.padding {
            HelloPadding::Always => Padding::Always,
            HelloPadding::Formation => Padding::Formation,
            HelloPadding::Never => Padding::Never,
        },
        auth: auth(&block.auth),
        csnp: block.csnp,
        retransmit: block.retransmit,
        ..CircuitConfig::new(name, mac)
    }
}

/// The first key is sent, all are accepted.
fn auth(keys: &[KeyFile]) -> Auth {
    let accept: Vec<_> = keys.iter().filter_map(KeyFile::key).collect();
    Auth { send: accept.first().cloned(), accept }
}

/// Whether IS-IS is spoken on a circuit, which takes a socket.
fn speaks(config: &CircuitConfig) -> bool {
    config.kind != CircuitKind::Passive
}
