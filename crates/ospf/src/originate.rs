//! Origination of our own LSAs (RFC 2328 sections 12.4, 13.4, 14.1).
//!
//! Every LSA of ours has an [`Origin`]: what it should say, and when it was last sent. [`Ospf::want`] is the only way to
//! change what an LSA says. The first change goes out at once; those that follow within
//! [`min_ls_interval`](crate::Config::min_ls_interval) of the last flooding are held and merged, because a receiver drops a
//! second instance that comes within MinLSArrival, without a word, and then waits for a retransmission.

use std::net::Ipv4Addr;

use bugle_lsdb::{ArrivalGate, EntryId};
use bugle_types::{IfIndex, Prefix, Time};
use bugle_wire::ospf::{
    ExternalLsa, LS_REFRESH_TIME, Lsa, LsaHeader, LsaKey, LsaType, MAX_AGE, Options, RouterFlags,
    RouterLink, RouterLinkKind, SequenceNumber, build_lsa, external_body, network_body,
    router_body,
};

use crate::config::NetworkType;
use crate::database::{DbKey, Scope, seek};
use crate::instance::{Life, Ospf};
use crate::interface::InterfaceState;
use crate::io::{Event, ExternalRoute};
use crate::neighbor::{Neighbor, NeighborState};
use crate::routing::RootLink;

/// The link metric that keeps transit traffic away (RFC 6987 section 3).
pub(crate) const MAX_LINK_METRIC: u16 = 0xffff;
/// How long the sequence number of a flushed LSA is remembered: as long as an old instance may live elsewhere.
const MEMORY: std::time::Duration = std::time::Duration::from_secs(MAX_AGE as u64);

/// What an LSA of ours should say.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The body; `None`: the LSA should not exist.
    body: Option<Vec<u8>>,
    options: Options,
    /// The last sequence number used, by us now or before a restart; `None`: never used, or wrapped around.
    sequence: Option<SequenceNumber>,
    /// When an instance was last flooded to somebody.
    flooded: Option<Time>,
}

impl Ospf {
    /// Says what an LSA of ours should contain from now on; `None`: it should not exist.
    fn want(&mut self, key: DbKey, options: Options, body: Option<Vec<u8>>) {
        let body = if self.life == Life::Running { body } else { None };
        let origin = match (self.own.get_mut(&key), &body) {
            (Some(origin), _) => origin,
            (None, None) => return,
            (None, Some(_)) => self.own.entry(key).or_insert(Origin {
                body: None,
                options,
                sequence: None,
                flooded: None,
            }),
        };
        if origin.body == body && origin.options == options {
            return;
        }
        origin.body = body;
        origin.options = options;
        self.originate(key);
    }

    /// Brings the database and the neighbours to what is wanted of an LSA, now or when its time comes.
    pub(crate) fn originate(&mut self, key: DbKey) {
        let Some(origin) = self.own.get_mut(&key) else { return };
        let ready =
            origin.flooded.map_or(self.now, |flooded| flooded + self.config.min_ls_interval);
        if ready > self.now {
            self.postponed.set(key, Some(ready));
            return;
        }
        self.postponed.set(key, None);
        let Some(body) = &origin.body else {
            self.flush(key);
            return;
        };
        let sequence = match origin.sequence {
            None => SequenceNumber::INITIAL,
            Some(SequenceNumber::MAX) => {
                // Section 12.1.6: the last instance is flushed, and the first follows when it is gone everywhere.
                self.flush(key);
                return;
            }
            Some(last) => last.next().unwrap_or(SequenceNumber::INITIAL),
        };
        let bytes = build_lsa(origin.options, key.lsa, sequence, 0, body);
        origin.sequence = Some(sequence);
        let Ok(lsa) = Lsa::parse(&bytes) else { return };
        let entry = self.install(key.scope, lsa, ArrivalGate::default());
        self.flood(entry, None);
        self.note_flooding(key);
        self.event(Event::Originated { key: key.lsa, sequence, flushed: false });
    }

    /// Premature ageing (section 14.1) of an LSA of ours.
    fn flush(&mut self, key: DbKey) {
        let Some((entry, stored)) = self.db.lookup(&key) else {
            self.on_removed(key);
            return;
        };
        let sequence = stored.header(self.now).sequence;
        if self.dying.contains(&entry) {
            return;
        }
        self.age_out(entry);
        self.note_flooding(key);
        self.event(Event::Originated { key: key.lsa, sequence, flushed: true });
    }

    /// MinLSInterval starts, if there is anybody who was told. Neither retransmissions nor answers to requests start it: a
    /// neighbour that does not hear, or asks again and again, must not keep news from the others.
    fn note_flooding(&mut self, key: DbKey) {
        let heard = self.neighbors.values().any(|n| n.state >= NeighborState::Exchange);
        if let Some(origin) = self.own.get_mut(&key).filter(|_| heard) {
            origin.flooded = Some(self.now);
        }
    }

    /// A MaxAge LSA left the database.
    pub(crate) fn on_removed(&mut self, key: DbKey) {
        if self.life != Life::Running {
            self.own.remove(&key);
            self.postponed.set(key, None);
            return;
        }
        let Some(origin) = self.own.get_mut(&key) else { return };
        if origin.sequence == Some(SequenceNumber::MAX) {
            origin.sequence = None;
        }
        if origin.body.is_some() {
            self.originate(key);
        } else {
            let forget = self.now + MEMORY;
            self.postponed.set(key, Some(forget));
        }
    }

    /// An LSA of ours that waited may go out, or may be forgotten.
    pub(crate) fn on_originate_timer(&mut self) {
        while let Some(key) = self.postponed.pop_due(self.now) {
            let forgotten = self.db.find(&key).is_none()
                && self.own.get(&key).is_some_and(|origin| origin.body.is_none());
            if forgotten {
                self.own.remove(&key);
            } else {
                self.originate(key);
            }
        }
    }

    /// LSRefreshTime has come (section 12.4). What is not wanted is about to be flushed anyway, or may still be claimed again.
    pub(crate) fn refresh(&mut self, key: DbKey) {
        if self.own.get(&key).is_some_and(|origin| origin.body.is_some()) {
            self.originate(key);
        }
    }

    /// LSRefreshTime, a little earlier for each LSA at random so that they do not all go out together.
    pub(crate) fn refresh_age(&mut self) -> u16 {
        let early = u16::try_from(self.rng.below(u64::from(LS_REFRESH_TIME / 10))).unwrap_or(0);
        LS_REFRESH_TIME - early
    }

    /// Whether an LSA is ours (section 13.4): we are its advertising router.
    pub(crate) fn is_own(&self, key: &DbKey) -> bool {
        key.lsa.advertising_router == self.config.router_id
    }

    /// Self-originated LSAs received (section 13.4): the last words of a previous run, or of somebody with our name.
    pub(crate) fn on_self_originated(&mut self, key: DbKey, header: LsaHeader) {
        // A network-LSA of an address that is now ours, under another router id, is a previous run's too.
        let formerly_ours = key.lsa.ls_type == LsaType::NETWORK
            && self.interfaces.values().any(|i| i.config.address == key.lsa.link_state_id);
        if !self.is_own(&key) {
            if formerly_ours && let Some(entry) = self.db.find(&key) {
                self.age_out(entry);
            }
            return;
        }
        self.event(Event::SelfOriginatedReceived { key: key.lsa, sequence: header.sequence });
        let reclaiming = self.reclaim_until.is_none_or(|end| self.now < end);
        if key == self.router_lsa_key()
            && self.life == Life::Running
            && !reclaiming
            && !header.is_max_age()
            && self.identity.outdone(self.now)
        {
            self.event(Event::DuplicateRouterId(self.config.router_id));
        }
        let wanted = self.own.get_mut(&key).is_some_and(|origin| {
            origin.sequence = Some(header.sequence);
            origin.body.is_some()
        });
        if wanted {
            self.originate(key);
        } else if self.life == Life::Running && reclaiming {
            // A previous run's: what it said still holds until it is known better. If it is wanted again, ours counts on from it.
            let origin = Origin {
                body: None,
                options: Options::E,
                sequence: Some(header.sequence),
                flooded: None,
            };
            self.own.entry(key).or_insert(origin);
            self.postponed.set(key, self.reclaim_until);
        } else {
            self.flush(key);
        }
    }

    fn router_lsa_key(&self) -> DbKey {
        Scope::Area(self.config.area).key(LsaKey {
            ls_type: LsaType::ROUTER,
            link_state_id: Ipv4Addr::from(self.config.router_id.0),
            advertising_router: self.config.router_id,
        })
    }

    /// Builds the router-LSA (section 12.4.1) from what the interfaces are now. It is held until the first adjacency is Full, so
    /// that the neighbour's first instance of it has the link, and no second is needed within MinLSArrival.
    pub(crate) fn originate_router_lsa(&mut self) {
        let mut links = Vec::new();
        let mut root = Vec::new();
        for (&ifindex, interface) in &self.interfaces {
            self.describe_interface(ifindex, interface, &mut links, &mut root);
        }
        self.routing.set_root(self.config.router_id, &root);
        if self.router_lsa_held {
            let full = self.neighbors.values().any(|n| n.state == NeighborState::Full);
            if !full {
                return;
            }
            self.router_lsa_held = false;
            self.start_reclaiming();
        }
        let flags = if self.config.boundary { RouterFlags::E } else { RouterFlags::NONE };
        let body = router_body(flags, &links);
        self.want(self.router_lsa_key(), Options::E, Some(body));
    }

    /// From the first adjacency on there is so much time to say again what a previous run said: what nobody has wanted by then is
    /// flushed, and a restart of the daemon does not take its hosts off the network for a moment.
    fn start_reclaiming(&mut self) {
        self.reclaim_until = Some(self.now + self.config.reclaim);
        for (&key, origin) in &self.own {
            if origin.body.is_none() {
                self.postponed.set(key, self.reclaim_until);
            }
        }
    }

    /// The links of one interface (sections 12.4.1.1 to 12.4.1.4), and the same as the root of our own tree sees them, at their
    /// real cost.
    fn describe_interface(
        &self,
        ifindex: IfIndex,
        interface: &crate::interface::Interface,
        links: &mut Vec<RouterLink>,
        root: &mut Vec<RootLink>,
    ) {
        let config = &interface.config;
        // RFC 6987 section 2: transit links at the largest metric, stub links as they are.
        let transit_metric = if self.config.stub_router { MAX_LINK_METRIC } else { config.cost };
        let stub = |prefix: Prefix| {
            Some(RouterLink {
                kind: RouterLinkKind::Stub,
                id: prefix.ipv4()?,
                data: prefix.mask()?,
                metric: if prefix.is_host() { 0 } else { config.cost },
            })
        };
        match config.network_type {
            NetworkType::PointToPoint => {
                let full = self.neighbors_on(ifindex).find(|n| n.is_adjacent());
                if let Some(neighbor) = full {
                    links.push(RouterLink {
                        kind: RouterLinkKind::PointToPoint,
                        id: Ipv4Addr::from(neighbor.router_id.0),
                        data: if config.is_unnumbered() {
                            Ipv4Addr::from(ifindex.0)
                        } else {
                            config.address
                        },
                        metric: transit_metric,
                    });
                    root.push(RootLink::router(ifindex, neighbor.router_id, config.cost));
                }
                links.extend(config.network().and_then(stub));
            }
            NetworkType::Broadcast => {
                let full_with_dr = match interface.state {
                    InterfaceState::Dr => self.neighbors_on(ifindex).any(Neighbor::is_adjacent),
                    InterfaceState::DrOther | InterfaceState::Backup => self
                        .neighbors_on(ifindex)
                        .any(|n| n.address == interface.dr && n.is_adjacent()),
                    InterfaceState::Passive
                    | InterfaceState::Waiting
                    | InterfaceState::PointToPoint => false,
                };
                if full_with_dr {
                    links.push(RouterLink {
                        kind: RouterLinkKind::Transit,
                        id: interface.dr,
                        data: config.address,
                        metric: transit_metric,
                    });
                    root.push(RootLink::network(ifindex, interface.dr, config.cost));
                } else {
                    links.extend(config.network().and_then(stub));
                }
            }
            NetworkType::Passive => links.extend(config.network().and_then(stub)),
        }
        links.extend(config.stubs.iter().copied().filter_map(stub));
    }

    fn network_lsa_key(&self, address: Ipv4Addr) -> DbKey {
        Scope::Area(self.config.area).key(LsaKey {
            ls_type: LsaType::NETWORK,
            link_state_id: address,
            advertising_router: self.config.router_id,
        })
    }

    /// The network-LSA of a LAN where we are the DR (section 12.4.2): it lists who is fully adjacent; with nobody there is none.
    pub(crate) fn originate_network_lsa(&mut self, ifindex: IfIndex) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        if interface.config.network_type != NetworkType::Broadcast {
            return;
        }
        let address = interface.config.address;
        let mut routers = vec![self.config.router_id];
        routers.extend(self.neighbors_on(ifindex).filter(|n| n.is_adjacent()).map(|n| n.router_id));
        let is_dr = interface.state == InterfaceState::Dr;
        let body =
            (is_dr && routers.len() > 1).then(|| network_body(interface.config.mask(), &routers));
        self.want(self.network_lsa_key(address), Options::E, body);
    }

    /// We are not the DR of a LAN any more.
    pub(crate) fn flush_network_lsa(&mut self, address: Ipv4Addr) {
        self.want(self.network_lsa_key(address), Options::E, None);
    }

    /// Network-LSAs for an address of ours that another router id advertises: ours had that id before (section 12.4.2).
    pub(crate) fn flush_former_network_lsas(&mut self, address: Ipv4Addr) {
        let keys = self.network_lsa_key(address).by_any_router();
        let former: Vec<EntryId> = seek(&self.db, &self.sought, keys)
            .filter(|(key, _, lsa)| !self.is_own(key) && !lsa.is_dead(self.now))
            .map(|(_, entry, _)| entry)
            .collect();
        for entry in former {
            self.age_out(entry);
        }
    }

    /// The AS-external-LSA of a host (section 12.4.4).
    pub(crate) fn on_host(&mut self, address: Ipv4Addr, route: Option<ExternalRoute>) {
        let key = Scope::As.key(LsaKey {
            ls_type: LsaType::AS_EXTERNAL,
            link_state_id: address,
            advertising_router: self.config.router_id,
        });
        let body = route.map(|route| {
            external_body(&ExternalLsa {
                mask: Ipv4Addr::BROADCAST,
                type2: route.type2,
                metric: route.metric,
                forwarding: Ipv4Addr::UNSPECIFIED,
                tag: route.tag,
            })
        });
        self.want(key, Options::E, body);
    }

    /// Flushes everything of ours (section 14.1): the hosts first, whose traffic should leave soonest.
    pub(crate) fn flush_everything(&mut self) {
        let keys: Vec<DbKey> = self.own.keys().rev().copied().collect();
        for key in keys {
            if let Some(origin) = self.own.get_mut(&key) {
                origin.body = None;
            }
            self.originate(key);
        }
    }
}
