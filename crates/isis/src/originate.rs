//! LSPs of ours: what they say, and when they change (ISO 10589 sections 7.3.4 to 7.3.9 and 7.3.16).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bugle_spf::Edge;
use bugle_types::{IfIndex, Prefix, Time};
use bugle_wire::isis::{
    CapabilityFlags, IPV6_TE_ROUTER_ID, Level, Lsp, LspEntry, LspFields, LspFlags, LspId,
    MAX_PATH_METRIC, NLPID_IPV4, NLPID_IPV6, NodeId, PrefixFlags, Recency, SequenceNumber, SubTlv,
    SubTlvs, TlvBuilder, Topology, TopologyId, ZERO_AGE_LIFETIME, emit_lsp,
};

use crate::adjacency::{Adjacency, AdjacencyState};
use crate::attributes::Attributes;
use crate::circuit::Circuit;
use crate::config::{CircuitKind, Config, Ipv6Topology};
use crate::database::StoredLsp;
use crate::fragment::{Fragments, Item, ItemKey, Pool, PrefixItem};
use crate::instance::{Isis, Life, Timer};
use crate::io::{Event, HostRoute, PathType};
use crate::routing::node_key;

/// What hosts of ours are advertised with. Only between levels may a host come back to where it is advertised: then it is known by
/// its source (RFC 7794 section 2.2).
pub(crate) fn host_attributes(config: &Config) -> Option<Arc<Attributes>> {
    let mut attributes = Attributes::new(config.host_tags);
    if config.levels.includes(Level::L1) {
        attributes.ipv4_source = config.router_id;
        attributes.ipv6_source = config.ipv6_router_id.filter(|_| config.router_id.is_none());
    }
    attributes.shared()
}

/// What this system says at a level.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// Descriptions of this system, number zero, and its pseudonodes.
    pub(crate) nodes: BTreeMap<u8, Fragments>,
    lsps: BTreeMap<LspId, Origin>,
    /// An adjacency has come up: there is, or was, somebody to say something to.
    released: bool,
    /// Until then LSPs of a previous run are not purged.
    reclaim_until: Option<Time>,
    /// Until then links are not spoken of: neighbours that have kept their adjacencies are still to be heard.
    hold_until: Option<Time>,
    /// More than 256 fragments are wanted.
    overflows: bool,
}

/// An LSP of ours.
#[derive(Debug, Clone, Default)]
struct Origin {
    /// The last sequence number used, by us now or before a restart; `None`: never used, or all are used up.
    sequence: Option<SequenceNumber>,
    /// What the last instance said.
    said: Option<(LspFlags, Vec<u8>)>,
    /// When an instance was last generated that somebody was told of.
    told: Option<Time>,
    /// How long the next one has to wait from then on.
    wait: Duration,
    /// Numbers are used up: nothing may be said before all have forgotten the last one (section 7.3.16.1).
    silent_until: Option<Time>,
}

impl Origins {
    /// The prefixes that are spoken of.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.nodes.values().flat_map(Fragments::prefixes)
    }

    /// Whether there may be LSPs of a previous run that are not to be purged.
    pub(crate) fn is_reclaiming(&self, now: Time) -> bool {
        self.reclaim_until.is_some_and(|until| now < until)
    }
}

impl Isis {
    /// A host is to be advertised, or not any more.
    pub(crate) fn on_host(&mut self, prefix: Prefix, route: Option<HostRoute>) {
        match route {
            Some(route) => self.hosts.insert(prefix, route),
            None => self.hosts.remove(&prefix),
        };
        self.advertise(prefix);
    }

    /// Circuits, adjacencies or settings have changed that LSPs speak of.
    pub(crate) fn links_changed(&mut self) {
        self.links_dirty = true;
    }

    /// The first adjacency of a level is up. What is said before nobody hears, and would only need a second instance.
    pub(crate) fn release_origins(&mut self, level: Level) {
        let origins = &mut self.levels[level].origins;
        if std::mem::replace(&mut origins.released, true) {
            return;
        }
        if self.config.listen_first {
            // What the previous run said is right as long as the neighbours have not noticed; a description that names but the first
            // of them would take traffic off the others.
            let hellos = self.circuits.values().map(|circuit| circuit.config.hello);
            origins.hold_until = hellos.max().map(|hello| self.now + 2 * hello);
        }
        // LSPs of a previous run are left in peace for a while, so that a restart does not take this system's hosts off the network.
        let until = self.now + self.config.reclaim;
        origins.reclaim_until = Some(until);
        self.timers.set(Timer::Reclaim(level), Some(until));
        let prefixes: Vec<Prefix> = self.hosts.keys().copied().collect();
        for prefix in prefixes {
            self.advertise(prefix);
        }
    }

    /// What a previous run said and this one has not said again is taken back.
    pub(crate) fn on_reclaim_timer(&mut self, level: Level) {
        let own = self.config.system_id;
        let first = LspId { node: NodeId::of_system(own), fragment: 0 };
        let last = LspId { node: NodeId { system: own, pseudonode: u8::MAX }, fragment: u8::MAX };
        if let Some(node) = self.levels[level].origins.nodes.get_mut(&0) {
            node.forget_former();
        }
        let stale: Vec<LspEntry> = self.levels[level]
            .db
            .range(first..=last)
            .filter(|(_, stored)| !stored.is_dead())
            .map(|(_, stored)| stored.entry(self.now))
            .filter(|entry| !self.is_wanted(level, entry.id))
            .collect();
        for entry in stale {
            // What is said elsewhere now is heard there first; this happens once, so back-off does not count.
            for other in self.goes_after(level, entry.id) {
                self.postponed.set((level, other), None);
                self.generate_in_turn(level, other);
            }
            self.purge_own(level, entry);
        }
    }

    /// An LSP that names this system as its originator was received (sections 7.3.15.1 c, d and 7.3.16.4 c). Whether that is all
    /// there is to do about it.
    pub(crate) fn on_own_lsp(
        &mut self,
        level: Level,
        lsp: Lsp<'_>,
        held: Option<LspEntry>,
    ) -> bool {
        let received = lsp.entry();
        let recency = held.map_or(Recency::Newer, |held| received.recency(&held));
        if matches!(recency, Recency::Same | Recency::Older) {
            return false;
        }
        let LspEntry { id, sequence, .. } = received;
        if self.is_to_be_remembered(level, id) {
            self.remember(level, id, lsp);
        }
        if self.is_wanted(level, id) {
            self.outdo(level, received);
            return true;
        }
        if received.lifetime == 0 {
            return false;
        }
        self.event(Event::SelfOriginatedReceived { level, id, sequence });
        if self.life == Life::Running && self.levels[level].origins.is_reclaiming(self.now) {
            // What it says still holds until it is known better. If it is said again, that counts on from here.
            let origin = self.levels[level].origins.lsps.entry(id).or_default();
            (origin.sequence, origin.said) = (Some(sequence), None);
            return false;
        }
        self.purge_own(level, received);
        true
    }

    /// Says again what this system has to say, with a number above one that came from elsewhere (section 7.3.16.1).
    pub(crate) fn outdo(&mut self, level: Level, received: LspEntry) {
        let LspEntry { id, sequence, lifetime, .. } = received;
        let origin = self.levels[level].origins.lsps.entry(id).or_default();
        if origin.sequence.is_some_and(|known| known > sequence) {
            // The instance that outdoes it is on its way.
            return;
        }
        let is_copy = origin.sequence == Some(sequence);
        origin.sequence = Some(sequence);
        origin.said = None;
        self.event(Event::SelfOriginatedReceived { level, id, sequence });
        let describes_us = id.node == self.own_node() && id.fragment == 0;
        let levels = &mut self.levels[level];
        if describes_us
            && lifetime != 0
            && !is_copy
            && !levels.origins.is_reclaiming(self.now)
            && levels.identity.outdone(self.now)
        {
            self.event(Event::DuplicateSystemId { level, system: id.node.system });
        }
        self.schedule(level, id);
    }

    /// Whether this system has something to say in an LSP, even if that is nothing.
    pub(crate) fn is_wanted(&self, level: Level, id: LspId) -> bool {
        let origins = &self.levels[level].origins;
        self.life == Life::Running
            && self.config.levels.includes(level)
            && id.node.system == self.config.system_id
            && origins.nodes.get(&id.node.pseudonode).is_some_and(|node| node.has(id.fragment))
    }

    /// This system stands for a LAN no more.
    pub(crate) fn forget_pseudonode(&mut self, level: Level, node: NodeId) {
        self.levels[level].origins.nodes.remove(&node.pseudonode);
        let living: Vec<LspEntry> = self.levels[level]
            .db
            .of_node(node)
            .filter(|(_, stored)| !stored.is_dead())
            .map(|(_, stored)| stored.entry(self.now))
            .collect();
        for entry in living {
            self.purge_own(level, entry);
        }
    }

    fn purge_own(&mut self, level: Level, entry: LspEntry) {
        let origin = self.levels[level].origins.lsps.entry(entry.id).or_default();
        origin.sequence = origin.sequence.max(Some(entry.sequence));
        origin.said = None;
        // Who is silent goes on being so, as long again if an instance that is older than its last has been heard.
        origin.silent_until = origin.silent_until.map(|_| until_forgotten(self.now, &self.config));
        self.postponed.set((level, entry.id), origin.silent_until);
        self.purge(level, entry, None);
        let LspEntry { id, sequence, .. } = entry;
        self.event(Event::Originated { level, id, sequence, hosts: Vec::new(), purged: true });
    }

    /// Takes everything of ours out of the network: the hosts first, whose traffic should leave soonest.
    pub(crate) fn purge_everything(&mut self) {
        for level in Level::ALL {
            self.purge_level(level);
        }
    }

    /// Takes everything of ours out of a level.
    pub(crate) fn purge_level(&mut self, level: Level) {
        let ids: Vec<LspId> = self.levels[level].origins.lsps.keys().rev().copied().collect();
        for id in ids {
            let living = self.levels[level].db.find(id).filter(|(_, stored)| !stored.is_dead());
            if let Some(entry) = living.map(|(_, stored)| stored.entry(self.now)) {
                self.purge_own(level, entry);
            }
        }
    }

    /// Settings changed that every LSP depends on, such as keys.
    pub(crate) fn say_everything_again(&mut self) {
        for level in Level::ALL {
            let origins = &mut self.levels[level].origins;
            let ids: Vec<LspId> = origins.lsps.keys().copied().collect();
            origins.lsps.values_mut().for_each(|origin| origin.said = None);
            for id in ids {
                if self.is_wanted(level, id) {
                    self.postponed.set((level, id), Some(self.now));
                }
            }
        }
    }

    /// An LSP of ours is to be refreshed (section 7.3.5). One that says nothing is taken back at last.
    pub(crate) fn refresh(&mut self, level: Level, id: LspId) {
        let empty = self.levels[level]
            .origins
            .nodes
            .get(&id.node.pseudonode)
            .is_none_or(|node| node.is_empty(id.fragment));
        let waits = !self.goes_after(level, id).is_empty();
        if empty && !waits || !self.is_wanted(level, id) {
            if let Some((_, stored)) = self.levels[level].db.find(id) {
                let entry = stored.entry(self.now);
                self.purge_own(level, entry);
            }
            return;
        }
        if let Some(origin) = self.levels[level].origins.lsps.get_mut(&id) {
            origin.said = None;
        }
        self.postponed.set((level, id), Some(self.now));
    }

    /// Brings LSPs in line with what is to be said: what has changed is generated now, or when its time comes.
    pub(crate) fn originate(&mut self) {
        if std::mem::take(&mut self.links_dirty) {
            self.describe_links();
        }
        for level in Level::ALL {
            if !self.levels[level].origins.released {
                continue;
            }
            self.end_hold(level);
            let origins = &mut self.levels[level].origins;
            let mut changed = Vec::new();
            for (&pseudonode, node) in &mut origins.nodes {
                let node_id = NodeId { system: self.config.system_id, pseudonode };
                let fragments = node.take_changed().into_iter();
                changed.extend(fragments.map(|fragment| LspId { node: node_id, fragment }));
            }
            let overflows = origins.nodes.values().any(Fragments::overflows);
            if !std::mem::replace(&mut origins.overflows, overflows) && overflows {
                self.event(Event::Overflow { level });
            }
            for id in changed {
                self.schedule(level, id);
            }
        }
        while let Some((level, id)) = self.postponed.pop_due(self.now) {
            self.generate_in_turn(level, id);
        }
    }

    /// Generates an LSP when those have been that are to say first what it does not say any more.
    fn generate_in_turn(&mut self, level: Level, id: LspId) {
        for other in self.goes_after(level, id) {
            if self.postponed.deadline((level, other)).is_some_and(|due| due <= self.now) {
                self.postponed.set((level, other), None);
                self.generate_in_turn(level, other);
            }
        }
        let others = self.goes_after(level, id).into_iter();
        match others.filter_map(|other| self.postponed.deadline((level, other))).max() {
            Some(due) => self.postponed.set((level, id), Some(due)),
            None => self.generate(level, id),
        }
    }

    /// The LSPs that are to be heard before another one.
    fn goes_after(&self, level: Level, id: LspId) -> Vec<LspId> {
        let origins = &self.levels[level].origins;
        let Some(node) = origins.nodes.get(&id.node.pseudonode) else { return Vec::new() };
        let others = node.waits_for(id.fragment).into_iter();
        let others = others.map(|fragment| LspId { fragment, ..id });
        // One without numbers is not waited for.
        let is_silent =
            |id: &LspId| origins.lsps.get(id).is_some_and(|lsp| lsp.silent_until.is_some());
        others.filter(|other| !is_silent(other)).collect()
    }

    /// After a restart links are spoken of when there is a neighbour on every circuit, or has been time enough for that.
    fn end_hold(&mut self, level: Level) {
        let Some(until) = self.levels[level].origins.hold_until else { return };
        // On a LAN there is a link when somebody is designated.
        let is_heard = |ifindex: IfIndex, circuit: &Circuit| {
            let is_lan = circuit.config.kind == CircuitKind::Broadcast;
            let elected = !is_lan || circuit.lan_id[level].is_some();
            elected
                && self.adjacencies_on(ifindex).any(|adjacency| {
                    adjacency.state == AdjacencyState::Up && adjacency.levels.includes(level)
                })
        };
        let speaks = self.circuits.iter().filter(|(_, circuit)| {
            circuit.config.kind != CircuitKind::Passive && circuit.config.levels.includes(level)
        });
        if self.now < until
            && !speaks.into_iter().all(|(&ifindex, circuit)| is_heard(ifindex, circuit))
        {
            return;
        }
        let origins = &mut self.levels[level].origins;
        origins.hold_until = None;
        for &id in origins.lsps.keys() {
            if self.postponed.deadline((level, id)) == Some(until) {
                self.postponed.set((level, id), Some(self.now));
            }
        }
    }

    /// Decides when an LSP may change: at once after a quiet time, then ever later.
    fn schedule(&mut self, level: Level, id: LspId) {
        let origins = &mut self.levels[level].origins;
        let speaks_of_links = origins
            .nodes
            .get(&id.node.pseudonode)
            .is_some_and(|node| node.pool(id.fragment) == Some(Pool::Links));
        let held = origins.hold_until.filter(|_| speaks_of_links);
        let origin = origins.lsps.entry(id).or_default();
        let ready = origin.silent_until.max(held).max(origin.told.map(|told| told + origin.wait));
        let ready = ready.map_or(self.now, |ready| ready.max(self.now));
        let earlier = self.postponed.deadline((level, id));
        self.postponed.set((level, id), Some(earlier.map_or(ready, |earlier| earlier.min(ready))));
    }

    /// Generates an instance of an LSP, if it would say something else than the last one.
    fn generate(&mut self, level: Level, id: LspId) {
        if self.is_silent(level, id)
            || !self.is_wanted(level, id)
            || !self.levels[level].origins.released
        {
            return;
        }
        let flags = self.lsp_flags(level, id);
        let (now, config) = (self.now, self.config.generation);
        let heard = self.adjacencies.values().any(|adjacency| {
            adjacency.state == AdjacencyState::Up && adjacency.levels.includes(level)
        });
        let origins = &mut self.levels[level].origins;
        let Some(node) = origins.nodes.get_mut(&id.node.pseudonode) else { return };
        let tlvs = node.tlvs(id.fragment);
        let hosts = node.take_touched(id.fragment);
        let origin = origins.lsps.entry(id).or_default();
        if origin.said.as_ref().is_some_and(|said| (said.0, &said.1) == (flags, &tlvs)) {
            return;
        }
        let sequence = match origin.sequence {
            None => SequenceNumber::INITIAL,
            Some(last) => {
                let Some(next) = last.next() else {
                    self.fall_silent(level, id);
                    return;
                };
                next
            }
        };
        origin.sequence = Some(sequence);
        if heard {
            // The first instance after a quiet time, or a further one.
            let quiet =
                origin.told.is_none_or(|told| now.since(told) >= origin.wait + config.longest);
            origin.wait = if quiet {
                config.initial
            } else {
                origin.wait.saturating_mul(2).clamp(config.initial, config.longest)
            };
            origin.told = Some(now);
        }
        let lifetime = self.config.lsp_lifetime.max(3 * ZERO_AGE_LIFETIME);
        let fields = LspFields { lifetime, id, sequence, flags };
        let bytes = emit_lsp(level, &fields, &tlvs, self.config.auth(level).send.as_ref());
        origin.said = Some((flags, tlvs));
        // Section 7.3.5, with jitter.
        let refresh = Duration::from_secs(u64::from(lifetime) * 3 / 4);
        let refresh = now + self.rng.jitter(refresh, 10);
        let Ok(lsp) = Lsp::parse(&bytes) else { return };
        let stored = StoredLsp::live(lsp, lifetime, now).refreshed_at(refresh);
        self.stats.originated += 1;
        self.install(level, stored, None);
        self.event(Event::Originated { level, id, sequence, hosts, purged: false });
    }

    /// All sequence numbers of an LSP are used up (section 7.3.16.1): it is purged, and what it said goes elsewhere. If it cannot, the
    /// LSP begins again when nobody remembers it.
    fn fall_silent(&mut self, level: Level, id: LspId) {
        let node = self.levels[level].origins.nodes.get_mut(&id.node.pseudonode);
        if node.is_some_and(|node| node.close(id.fragment)) {
            self.originate();
        }
        let until = until_forgotten(self.now, &self.config);
        if let Some((_, stored)) = self.levels[level].db.find(id) {
            // What is out there has the last number.
            let entry = LspEntry { sequence: SequenceNumber::MAX, ..stored.entry(self.now) };
            if !stored.is_dead() {
                self.purge_own(level, entry);
            }
        }
        let origin = self.levels[level].origins.lsps.entry(id).or_default();
        *origin = Origin { silent_until: Some(until), ..Origin::default() };
        self.postponed.set((level, id), Some(until));
    }

    /// Whether an LSP is silent still. When nobody remembers its last number any more, it can be used again.
    fn is_silent(&mut self, level: Level, id: LspId) -> bool {
        let origins = &mut self.levels[level].origins;
        let Some(origin) = origins.lsps.get_mut(&id) else { return false };
        let Some(until) = origin.silent_until else { return false };
        if until > self.now {
            self.postponed.set((level, id), Some(until));
            return true;
        }
        origin.silent_until = None;
        if origins.nodes.get_mut(&id.node.pseudonode).is_some_and(|node| node.reopen(id.fragment)) {
            self.originate();
        }
        false
    }

    /// What kind of system an LSP describes (section 9.8). Overload and attachment count in fragment zero only.
    fn lsp_flags(&self, level: Level, id: LspId) -> LspFlags {
        let mut flags = LspFlags::LEVEL_1;
        if self.config.levels.includes(Level::L2) {
            flags = flags | LspFlags::LEVEL_2;
        }
        if id.node.is_pseudonode() || id.fragment != 0 {
            return flags;
        }
        if self.config.overload {
            flags = flags | LspFlags::OVERLOAD;
        }
        if level == Level::L1 && self.is_attached(TopologyId::STANDARD) {
            flags = flags | LspFlags::ATTACHED;
        }
        flags
    }

    /// Whether level 1 is told that other areas can be reached through this system (section 7.2.9.2). One that carries no traffic is
    /// no way out.
    pub(crate) fn is_attached(&self, topology: TopologyId) -> bool {
        self.config.attached.send
            && !self.config.overload
            && self.is_border()
            && self.levels.l2.routing.reaches_other_areas(topology, &self.area_addresses())
    }

    /// Whether this system takes part in both levels.
    pub(crate) fn is_border(&self) -> bool {
        Level::ALL.into_iter().all(|level| self.config.levels.includes(level))
    }

    /// Describes this system and its pseudonodes as they are now.
    fn describe_links(&mut self) {
        let connected: BTreeSet<Prefix> = self
            .circuits
            .values()
            .flat_map(|circuit| circuit.config.networks().collect::<Vec<_>>())
            .collect();
        let before = std::mem::replace(&mut self.connected, connected);
        let moved: Vec<Prefix> = before.symmetric_difference(&self.connected).copied().collect();
        for prefix in moved {
            self.routes_again(prefix);
            // First, so that a host whose address was a circuit's is not taken for one that is gone.
            self.advertise(prefix);
        }
        for level in Level::ALL {
            if !self.config.levels.includes(level) {
                continue;
            }
            let limit = self.lsp_limit(level);
            let (items, root) = self.links(level);
            let own = node_key(self.own_node());
            self.levels[level].routing.set_root(own, self.config.overload, &root);
            let header = self.header(level, limit);
            let pseudonodes = self.pseudonodes(level);
            let nodes = &mut self.levels[level].origins.nodes;
            let node = nodes.entry(0).or_insert_with(|| Fragments::new(limit));
            node.set_limit(limit);
            node.set_header(header);
            node.reconsider();
            node.replace(Pool::Links, &items);
            for (number, items) in pseudonodes {
                let node = nodes.entry(number).or_insert_with(|| Fragments::new(limit));
                node.set_limit(limit);
                node.replace(Pool::Links, &items);
            }
        }
    }

    pub(crate) fn own_node(&self) -> NodeId {
        NodeId::of_system(self.config.system_id)
    }

    /// The links and networks of this system (section 7.3.7), and the links as the root of its own tree, by topology.
    fn links(&self, level: Level) -> (BTreeMap<ItemKey, Item>, Vec<(TopologyId, Edge)>) {
        let mut items = BTreeMap::new();
        let mut root = Vec::new();
        for (&ifindex, circuit) in &self.circuits {
            let metric = circuit.config.metric;
            for prefix in circuit.config.networks() {
                let Some((down, flags)) = self.network_at(level, ifindex, prefix) else { continue };
                let key = ItemKey::Prefix(self.topology_of(prefix), prefix);
                let attributes = Attributes::new(circuit.config.tags).shared();
                let item = PrefixItem { metric, down, flags, attributes };
                items
                    .entry(key)
                    .and_modify(|held| {
                        if let Item::Prefix(held) = held
                            && (down, metric) < (held.down, held.metric)
                        {
                            *held = item.clone();
                        }
                    })
                    .or_insert(Item::Prefix(item));
            }
            if !self.levels_of(ifindex).contains(&level) {
                continue;
            }
            for (topology, to) in self.links_on(ifindex, level) {
                items.insert(ItemKey::Link(topology, to, ifindex), Item::Link { metric });
                let edge = Edge { to: node_key(to), cost: metric, tag: ifindex.0 };
                root.push((topology, edge));
            }
        }
        (items, root)
    }

    /// How a circuit's network is advertised at a level, if it is: whether it is leaked down, and its flags. What is of level 1 is
    /// known in level 2, too (RFC 1195 section 3.2); the other way what is to be leaked (RFC 5302 section 2).
    fn network_at(
        &self,
        level: Level,
        ifindex: IfIndex,
        prefix: Prefix,
    ) -> Option<(bool, PrefixFlags)> {
        let used = self.levels_of(ifindex);
        if used.contains(&level) || level == Level::L2 && used.contains(&Level::L1) {
            return Some((false, PrefixFlags::NONE));
        }
        let leaked = used.contains(&Level::L2) && self.config.leak.includes(prefix);
        leaked.then_some((true, PrefixFlags::READVERTISED))
    }

    /// The links on a circuit: to the neighbour, or to the LAN's pseudonode, and to that before while it is changing; in each topology
    /// that somebody there shares.
    fn links_on(&self, ifindex: IfIndex, level: Level) -> BTreeSet<(TopologyId, NodeId)> {
        let Some(circuit) = self.circuits.get(&ifindex) else { return BTreeSet::new() };
        let lan_ids = [circuit.lan_id[level], self.takeovers.get(&(ifindex, level)).copied()];
        let mut links = BTreeSet::new();
        for adjacency in self.adjacencies_on(ifindex) {
            let up = adjacency.state == AdjacencyState::Up && adjacency.levels.includes(level);
            let to = match circuit.config.kind {
                CircuitKind::PointToPoint => [Some(NodeId::of_system(adjacency.system)), None],
                CircuitKind::Broadcast if adjacency.id.level == Some(level) => lan_ids,
                CircuitKind::Broadcast | CircuitKind::Passive => [None, None],
            };
            for to in to.into_iter().flatten().filter(|_| up) {
                links.extend(self.common_topologies(adjacency).map(|topology| (topology, to)));
            }
        }
        links
    }

    /// The topologies that an adjacency carries (RFC 5120 section 3; RFC 6213 section 3.3).
    fn common_topologies(&self, adjacency: &Adjacency) -> impl Iterator<Item = TopologyId> {
        self.topologies().into_iter().filter(|&topology| {
            adjacency.topologies.contains(&topology) && self.is_topology_usable(adjacency, topology)
        })
    }

    /// The topologies that this system takes part in.
    pub(crate) fn topologies(&self) -> Vec<TopologyId> {
        match self.config.ipv6_topology {
            Ipv6Topology::Standard => vec![TopologyId::STANDARD],
            Ipv6Topology::Own => vec![TopologyId::STANDARD, TopologyId::IPV6],
        }
    }

    /// The topology that a prefix belongs to.
    pub(crate) fn topology_of(&self, prefix: Prefix) -> TopologyId {
        if prefix.is_ipv4() { TopologyId::STANDARD } else { self.config.ipv6_topology.id() }
    }

    /// The members of the LANs that this system stands for (section 7.3.8). Their links cost nothing; RFC 5120 section 3: they are
    /// the same for all topologies.
    fn pseudonodes(&self, level: Level) -> BTreeMap<u8, BTreeMap<ItemKey, Item>> {
        let lans = self.circuits.iter().filter(|&(&ifindex, circuit)| {
            circuit.config.kind == CircuitKind::Broadcast && self.is_designated(ifindex, level)
        });
        let link =
            |to| (ItemKey::Link(TopologyId::STANDARD, to, IfIndex(0)), Item::Link { metric: 0 });
        lans.map(|(&ifindex, circuit)| {
            let members = self
                .adjacencies_on(ifindex)
                .filter(|a| a.id.level == Some(level) && a.state == AdjacencyState::Up)
                .map(|adjacency| NodeId::of_system(adjacency.system));
            let members = members.chain([self.own_node()]).map(link);
            (circuit.number, members.collect())
        })
        .collect()
    }

    /// What fragment zero begins with.
    fn header(&self, level: Level, limit: usize) -> TlvBuilder {
        let mut tlvs = TlvBuilder::new(limit);
        // Sections 7.3.7 and 7.3.9: in level 2 those of the whole area.
        let of_area = match level {
            Level::L1 => self.config.areas().to_vec(),
            Level::L2 => self.area_addresses(),
        };
        for area in &of_area {
            tlvs.area_address(area);
        }
        let mut circuits = self.circuits.values().map(|circuit| circuit.protocols(&self.config));
        let protocols: BTreeSet<(TopologyId, u8)> = circuits.by_ref().flatten().collect();
        for nlpid in [NLPID_IPV4, NLPID_IPV6] {
            if protocols.iter().any(|&(_, protocol)| protocol == nlpid) {
                tlvs.protocol(nlpid);
            }
        }
        if self.config.ipv6_topology == Ipv6Topology::Own {
            for id in self.topologies() {
                tlvs.topology(Topology {
                    id,
                    overload: self.config.overload,
                    attached: level == Level::L1 && self.is_attached(id),
                });
            }
        }
        if let Some(name) = &self.config.hostname {
            tlvs.hostname(name);
        }
        let Config { router_id, ipv6_router_id, .. } = self.config;
        if let Some(router) = router_id {
            tlvs.te_router_id(router);
            tlvs.router_capability(router, CapabilityFlags::NONE, SubTlvs::default());
        }
        if let Some(router) = ipv6_router_id {
            tlvs.ipv6_te_router_id(router);
        }
        if let (None, Some(router)) = (router_id, ipv6_router_id) {
            // RFC 7981 section 3: who has no IPv4 router ID is known by that of IPv6.
            let mut sub_tlvs = Vec::new();
            SubTlv { code: IPV6_TE_ROUTER_ID, value: &router.octets() }.encode(&mut sub_tlvs);
            let sub_tlvs = SubTlvs::new(&sub_tlvs);
            tlvs.router_capability(Ipv4Addr::UNSPECIFIED, CapabilityFlags::NONE, sub_tlvs);
        }
        let addresses = self.circuits.values().filter_map(|circuit| circuit.config.ipv4.first());
        for &(address, _) in addresses.take(8) {
            tlvs.ipv4_interface_address(address);
        }
        let addresses = self.circuits.values().filter_map(|circuit| circuit.config.ipv6.first());
        for &(address, _) in addresses.take(4) {
            tlvs.ipv6_interface_address(address);
        }
        tlvs
    }

    /// Brings what is said of a host, or of a prefix of another level, in line with what is known of it.
    pub(crate) fn advertise(&mut self, prefix: Prefix) {
        if self.connected.contains(&prefix) {
            return;
        }
        let key = ItemKey::Prefix(self.topology_of(prefix), prefix);
        for level in Level::ALL {
            if !self.config.levels.includes(level) {
                continue;
            }
            let wanted = self.advertised_host(prefix).or_else(|| self.brought(level, prefix));
            let pool = if prefix.is_host() || self.hosts.contains_key(&prefix) {
                Pool::Hosts
            } else {
                Pool::Prefixes
            };
            let limit = self.lsp_limit(level);
            let nodes = &mut self.levels[level].origins.nodes;
            let node = nodes.entry(0).or_insert_with(|| Fragments::new(limit));
            node.set(pool, key, wanted.map(Item::Prefix));
        }
    }

    fn advertised_host(&self, prefix: Prefix) -> Option<PrefixItem> {
        let &HostRoute { metric } = self.hosts.get(&prefix)?;
        let attributes = self.host_attributes.clone();
        Some(PrefixItem { metric, attributes, ..PrefixItem::default() })
    }

    /// What is said at a level of a prefix of the other one (RFC 5302 sections 2 and 3).
    fn brought(&self, level: Level, prefix: Prefix) -> Option<PrefixItem> {
        if !self.is_border() {
            return None;
        }
        let route = self.routing.route(prefix)?;
        let leaked = level == Level::L1 && self.config.leak.includes(prefix);
        let brought = match (level, route.path) {
            (Level::L2, PathType::Level1 | PathType::Level1External) => {
                self.advertised(Level::L1, prefix)
            }
            (Level::L1, PathType::Level2 | PathType::Level2External) if leaked => {
                self.advertised(Level::L2, prefix)
            }
            // A host that has moved to another area: the area's own claim is preferred here whatever its metric, until who makes it
            // learns of the better one.
            (Level::L1, PathType::Level1) if leaked && prefix.is_host() => self
                .advertised(Level::L2, prefix)
                .filter(|elsewhere| elsewhere.metric < route.metric),
            _ => None,
        }?;
        let flags = brought.flags | PrefixFlags::READVERTISED;
        // RFC 5305 section 3: beyond that a prefix would not count at all.
        let metric = brought.metric.min(MAX_PATH_METRIC);
        Some(PrefixItem { metric, down: level == Level::L1, flags, ..brought })
    }
}

/// When nobody can remember an instance that is heard now any more (section 7.3.16.1).
fn until_forgotten(now: Time, config: &Config) -> Time {
    let kept = u64::from(config.lsp_lifetime) + u64::from(ZERO_AGE_LIFETIME);
    now + Duration::from_secs(kept)
}
