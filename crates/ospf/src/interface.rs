//! Interfaces: the state machine and the election of the designated router (RFC 2328 section 9).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use bugle_lsdb::EntryId;
use bugle_types::{IfIndex, RouterId};
use bugle_wire::ospf::{
    ALL_D_ROUTERS, ALL_SPF_ROUTERS, HelloFields, LsaHeader, Options, emit_hello,
};

use crate::config::{InterfaceConfig, NetworkType};
use crate::instance::{Life, Ospf, Timer};
use crate::io::{Event, Mismatch, Output};
use crate::neighbor::{NeighborEvent, NeighborId, NeighborState};

/// The states of RFC 2328 section 9.1 that occur; an interface that is down is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InterfaceState {
    /// OSPF is not spoken here.
    Passive,
    /// Listening for a designated router before electing one.
    Waiting,
    /// On a point-to-point link.
    PointToPoint,
    /// On a LAN, neither DR nor BDR.
    DrOther,
    /// The backup designated router.
    Backup,
    /// The designated router.
    Dr,
}

impl fmt::Display for InterfaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passive => "Passive",
            Self::Waiting => "Waiting",
            Self::PointToPoint => "Point-to-point",
            Self::DrOther => "DROther",
            Self::Backup => "Backup",
            Self::Dr => "DR",
        })
    }
}

/// An interface that is up.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Its settings.
    pub config: InterfaceConfig,
    /// Its state.
    pub state: InterfaceState,
    /// The designated router's address, 0.0.0.0 if there is none.
    pub dr: Ipv4Addr,
    /// The backup designated router's address, 0.0.0.0 if there is none.
    pub bdr: Ipv4Addr,
    /// What was dropped here, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Neighbours that are configured differently, by address.
    pub mismatches: BTreeMap<Ipv4Addr, Mismatch>,
    /// LSAs to flood out of here when the current input has been handled.
    pub(crate) flood: Vec<EntryId>,
    /// Acknowledgements that may wait for company.
    pub(crate) acks: Vec<LsaHeader>,
}

impl Interface {
    /// Whether adjacencies are formed with some neighbours only (RFC 2328 section 10.4).
    fn elects(&self) -> bool {
        self.config.network_type == NetworkType::Broadcast
    }

    /// Where floods and delayed acknowledgements go (section 13.3 step 5, 13.5).
    pub(crate) fn flood_destination(&self) -> Ipv4Addr {
        match self.state {
            InterfaceState::DrOther | InterfaceState::Waiting => ALL_D_ROUTERS,
            InterfaceState::Passive
            | InterfaceState::PointToPoint
            | InterfaceState::Backup
            | InterfaceState::Dr => ALL_SPF_ROUTERS,
        }
    }

    /// Where packets for one neighbour go: on a point-to-point link AllSPFRouters (section 8.1).
    pub(crate) fn unicast_destination(&self, neighbor: Ipv4Addr) -> Ipv4Addr {
        if self.config.network_type == NetworkType::PointToPoint {
            ALL_SPF_ROUTERS
        } else {
            neighbor
        }
    }
}

/// One router as the election sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) router_id: RouterId,
    pub(crate) address: Ipv4Addr,
    pub(crate) priority: u8,
    /// The DR it declares.
    pub(crate) dr: Ipv4Addr,
    /// The BDR it declares.
    pub(crate) bdr: Ipv4Addr,
}

/// The election of RFC 2328 section 9.4: the DR and BDR that `own` and the bidirectional neighbours lead to.
pub(crate) fn elect(own: Candidate, neighbors: &[Candidate]) -> (Ipv4Addr, Ipv4Addr) {
    let round = |own: Candidate| -> (Ipv4Addr, Ipv4Addr) {
        let eligible: Vec<Candidate> = std::iter::once(own)
            .chain(neighbors.iter().copied())
            .filter(|candidate| candidate.priority > 0)
            .collect();
        let best = |candidates: &mut dyn Iterator<Item = &Candidate>| {
            candidates
                .max_by_key(|candidate| (candidate.priority, candidate.router_id))
                .map_or(Ipv4Addr::UNSPECIFIED, |candidate| candidate.address)
        };
        // Step 2: those that do not declare themselves DR; of these, first the ones that declare themselves BDR.
        let not_dr = || eligible.iter().filter(|candidate| candidate.dr != candidate.address);
        let mut bdr = best(&mut not_dr().filter(|candidate| candidate.bdr == candidate.address));
        if bdr.is_unspecified() {
            bdr = best(&mut not_dr());
        }
        // Step 3: those that declare themselves DR; if there are none, the BDR steps up.
        let mut dr =
            best(&mut eligible.iter().filter(|candidate| candidate.dr == candidate.address));
        if dr.is_unspecified() {
            dr = bdr;
        }
        (dr, bdr)
    };
    let (dr, bdr) = round(own);
    // Step 4: if our own role changed, once more with what we now declare, so that nobody holds both roles.
    let role = |address: Ipv4Addr| (own.address == address, address);
    let was = (own.dr == own.address, own.bdr == own.address);
    if (role(dr).0, role(bdr).0) == was {
        return (dr, bdr);
    }
    round(Candidate { dr, bdr, ..own })
}

impl Ospf {
    /// An interface came up, changed, or went down.
    pub(crate) fn on_interface(&mut self, ifindex: IfIndex, config: Option<InterfaceConfig>) {
        let Some(config) = config.map(InterfaceConfig::bounded) else {
            self.take_interface_down(ifindex);
            return;
        };
        match self.interfaces.get(&ifindex).map(|interface| &interface.config) {
            Some(old) if *old == config => {}
            Some(old) if old.keeps_adjacencies(&config) => self.change_interface(ifindex, config),
            Some(_) => {
                self.take_interface_down(ifindex);
                self.bring_interface_up(ifindex, config);
            }
            None => self.bring_interface_up(ifindex, config),
        }
    }

    /// Settings changed that neighbours need not agree with.
    fn change_interface(&mut self, ifindex: IfIndex, config: InterfaceConfig) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        interface.mismatches.clear();
        let priority = config.priority;
        let old = std::mem::replace(&mut interface.config, config);
        // Who is eligible goes on waiting.
        let waits = interface.state == InterfaceState::Waiting && priority > 0;
        self.rearm_hello(ifindex);
        if old.priority != priority && !waits {
            self.elect_designated_router(ifindex);
        }
        self.originate_router_lsa();
    }

    /// InterfaceUp (section 9.3).
    fn bring_interface_up(&mut self, ifindex: IfIndex, config: InterfaceConfig) {
        let state = match config.network_type {
            NetworkType::Passive => InterfaceState::Passive,
            NetworkType::PointToPoint => InterfaceState::PointToPoint,
            NetworkType::Broadcast if config.priority == 0 => InterfaceState::DrOther,
            NetworkType::Broadcast => InterfaceState::Waiting,
        };
        let dead = config.dead;
        let wait = (state == InterfaceState::Waiting).then(|| self.now + dead);
        self.timers.set(Timer::Wait(ifindex), wait);
        let interface = Interface {
            config,
            state,
            dr: Ipv4Addr::UNSPECIFIED,
            bdr: Ipv4Addr::UNSPECIFIED,
            drops: BTreeMap::new(),
            mismatches: BTreeMap::new(),
            flood: Vec::new(),
            acks: Vec::new(),
        };
        let address = interface.config.address;
        self.interfaces.insert(ifindex, interface);
        self.flush_former_network_lsas(address);
        if state == InterfaceState::PointToPoint && self.config.listen_first && self.router_lsa_held
        {
            self.timers.set(Timer::Hello(ifindex), Some(self.now + dead));
        } else if state != InterfaceState::Passive {
            self.send_hello(ifindex);
            self.rearm_hello(ifindex);
        }
        self.originate_router_lsa();
    }

    /// InterfaceDown (section 9.3). The interface goes first, so that its neighbours' end is told of in one router-LSA.
    fn take_interface_down(&mut self, ifindex: IfIndex) {
        let Some(interface) = self.interfaces.remove(&ifindex) else { return };
        let neighbors: Vec<NeighborId> = self.neighbors_on(ifindex).map(|n| n.id).collect();
        for id in neighbors {
            self.neighbor_event(id, NeighborEvent::KillNbr);
        }
        for timer in [Timer::Hello(ifindex), Timer::Wait(ifindex), Timer::Ack(ifindex)] {
            self.timers.set(timer, None);
        }
        if matches!(interface.state, InterfaceState::Dr | InterfaceState::Backup) {
            self.out.push_back(Output::AllDRouters { ifindex, join: false });
        }
        if interface.state == InterfaceState::Dr {
            self.flush_network_lsa(interface.config.address);
        }
        self.forget_link_scope(ifindex);
        self.originate_router_lsa();
    }

    /// Sends a Hello (section 9.5) that lists every neighbour heard from.
    pub(crate) fn send_hello(&mut self, ifindex: IfIndex) {
        let heard: Vec<RouterId> = if self.life == Life::Stopped {
            Vec::new()
        } else {
            self.neighbors_on(ifindex)
                .filter(|neighbor| neighbor.state >= NeighborState::Init)
                .map(|neighbor| neighbor.router_id)
                .collect()
        };
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        let config = &interface.config;
        let fields = HelloFields {
            mask: if config.is_unnumbered() { Ipv4Addr::UNSPECIFIED } else { config.mask() },
            hello_interval: config.hello_seconds(),
            options: Options::E,
            priority: config.priority,
            dead_interval: config.dead_seconds(),
            dr: interface.dr,
            bdr: interface.bdr,
        };
        let bytes = emit_hello(&self.header(), &fields, heard);
        self.send(ifindex, ALL_SPF_ROUTERS, bytes);
    }

    /// Sets when the next Hello goes out. Shortened at random by up to a tenth, so that routers do not fall into step.
    pub(crate) fn rearm_hello(&mut self, ifindex: IfIndex) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        if interface.state == InterfaceState::Passive {
            return;
        }
        let next = self.now + self.rng.jitter(interface.config.hello, 10);
        self.timers.set(Timer::Hello(ifindex), Some(next));
    }

    /// BackupSeen, WaitTimer and NeighborChange (section 9.3) all lead to the election of section 9.4.
    pub(crate) fn elect_designated_router(&mut self, ifindex: IfIndex) {
        let Some(interface) = self.interfaces.get(&ifindex) else { return };
        if !interface.elects() {
            return;
        }
        self.timers.set(Timer::Wait(ifindex), None);
        let own = Candidate {
            router_id: self.config.router_id,
            address: interface.config.address,
            priority: interface.config.priority,
            dr: interface.dr,
            bdr: interface.bdr,
        };
        let neighbors: Vec<Candidate> = self
            .neighbors_on(ifindex)
            .filter(|neighbor| neighbor.state >= NeighborState::TwoWay)
            .map(|neighbor| Candidate {
                router_id: neighbor.router_id,
                address: neighbor.address,
                priority: neighbor.priority,
                dr: neighbor.dr,
                bdr: neighbor.bdr,
            })
            .collect();
        let (dr, bdr) = elect(own, &neighbors);
        let to = if dr == own.address {
            InterfaceState::Dr
        } else if bdr == own.address {
            InterfaceState::Backup
        } else {
            InterfaceState::DrOther
        };
        let Some(interface) = self.interfaces.get_mut(&ifindex) else { return };
        let from = std::mem::replace(&mut interface.state, to);
        let changed = (interface.dr, interface.bdr) != (dr, bdr);
        (interface.dr, interface.bdr) = (dr, bdr);
        if !changed && from == to {
            return;
        }
        if from != to {
            let member = |state| matches!(state, InterfaceState::Dr | InterfaceState::Backup);
            if member(from) != member(to) {
                self.out.push_back(Output::AllDRouters { ifindex, join: member(to) });
            }
            self.event(Event::InterfaceState { ifindex, from, to });
        }
        self.event(Event::DesignatedRouter { ifindex, dr, bdr });
        if from == InterfaceState::Dr && to != InterfaceState::Dr {
            self.flush_network_lsa(own.address);
        }
        // Step 7: whom to be adjacent with may have changed.
        let neighbors: Vec<NeighborId> = self
            .neighbors_on(ifindex)
            .filter(|neighbor| neighbor.state >= NeighborState::TwoWay)
            .map(|neighbor| neighbor.id)
            .collect();
        for id in neighbors {
            self.neighbor_event(id, NeighborEvent::AdjOk);
        }
        self.originate_router_lsa();
        self.originate_network_lsa(ifindex);
        self.send_hello(ifindex);
    }

    /// Whether to become adjacent with a bidirectional neighbour (section 10.4).
    pub(crate) fn should_be_adjacent(&self, id: NeighborId) -> bool {
        let Some(interface) = self.interfaces.get(&id.ifindex) else { return false };
        let Some(neighbor) = self.neighbors.get(&id) else { return false };
        !interface.elects()
            || matches!(interface.state, InterfaceState::Dr | InterfaceState::Backup)
            || neighbor.address == interface.dr
            || neighbor.address == interface.bdr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn router(last: u8, priority: u8, dr: u8, bdr: u8) -> Candidate {
        let address = |last| if last == 0 { NONE } else { Ipv4Addr::new(10, 0, 0, last) };
        Candidate {
            router_id: RouterId(u32::from(last)),
            address: address(last),
            priority,
            dr: address(dr),
            bdr: address(bdr),
        }
    }

    fn addresses(dr: u8, bdr: u8) -> (Ipv4Addr, Ipv4Addr) {
        let router = router(1, 1, dr, bdr);
        (router.dr, router.bdr)
    }

    #[test]
    fn alone_one_becomes_the_designated_router() {
        assert_eq!(elect(router(1, 1, 0, 0), &[]), addresses(1, 0));
    }

    #[test]
    fn the_highest_priority_then_the_highest_id_wins_a_fresh_election() {
        assert_eq!(elect(router(2, 1, 0, 0), &[router(1, 1, 0, 0)]), addresses(2, 1));
        assert_eq!(elect(router(1, 9, 0, 0), &[router(2, 1, 0, 0)]), addresses(1, 2));
        // The loser takes the winner for both until the winner declares itself.
        assert_eq!(elect(router(1, 1, 0, 0), &[router(2, 1, 0, 0)]), addresses(2, 2));
        assert_eq!(elect(router(1, 1, 0, 0), &[router(2, 1, 2, 0)]), addresses(2, 1));
    }

    #[test]
    fn a_sitting_designated_router_is_not_displaced() {
        let neighbors = [router(2, 1, 2, 3), router(3, 1, 2, 3)];
        assert_eq!(elect(router(9, 255, 0, 0), &neighbors), addresses(2, 3));
    }

    #[test]
    fn the_backup_steps_up_when_the_designated_router_is_gone() {
        assert_eq!(elect(router(3, 1, 2, 3), &[router(4, 1, 2, 3)]), addresses(3, 4));
    }

    #[test]
    fn priority_zero_is_never_elected() {
        assert_eq!(elect(router(9, 0, 0, 0), &[router(2, 0, 0, 0)]), addresses(0, 0));
        assert_eq!(elect(router(9, 0, 0, 0), &[router(2, 1, 2, 0)]), addresses(2, 0));
    }

    #[test]
    fn every_member_of_a_lan_reaches_the_same_result() {
        for priorities in 0..81 {
            let priority = |index: u32| u8::try_from(priorities / 3u32.pow(index) % 3).unwrap();
            let mut routers: Vec<Candidate> =
                (0..4).map(|n| router(u8::try_from(n).unwrap() + 1, priority(n), 0, 0)).collect();
            // Each elects with what all declared in the round before, as Hellos carry it.
            for _ in 0..4 {
                let declared = routers.clone();
                for own in 0..routers.len() {
                    let others: Vec<_> = declared
                        .iter()
                        .filter(|o| o.address != declared[own].address)
                        .copied()
                        .collect();
                    (routers[own].dr, routers[own].bdr) = elect(declared[own], &others);
                }
            }
            let (dr, bdr) = (routers[0].dr, routers[0].bdr);
            assert!(routers.iter().all(|r| (r.dr, r.bdr) == (dr, bdr)), "{routers:?}");
            assert!(dr.is_unspecified() || dr != bdr);
        }
    }
}
