//! One description of an OSPF router, in the words of FRR, BIRD and bugle.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use bugle_types::{AreaId, RouterId};

/// An OSPF router as a lab describes it; [`Frr`](crate::Frr), [`Bird`](crate::Bird) and [`Bugled`](crate::Bugled) run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ospf {
    /// The router's identity.
    pub router_id: RouterId,
    /// The interfaces that speak OSPF, and passive ones.
    pub interfaces: Vec<Interface>,
    /// Whether routes that somebody else puts into the kernel are announced as external routes (FRR and BIRD).
    pub redistribute_kernel: bool,
    /// Whether the daemon's waiting times are turned off.
    pub tuning: Tuning,
}

impl Ospf {
    /// A router without waiting times turned off, that announces nothing but its interfaces.
    #[must_use]
    pub fn new(router_id: Ipv4Addr, interfaces: Vec<Interface>) -> Self {
        let router_id = router_id.into();
        Self { router_id, interfaces, redistribute_kernel: false, tuning: Tuning::Default }
    }
}

/// How a peer is configured. Results for FRR always show both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuning {
    /// As its makers ship it.
    Default,
    /// FRR: `zebra work-queue 0`, every throttle at zero, retransmissions after 1 s. BIRD: retransmissions after 2 s, its
    /// least; its 1 s tick cannot be lowered.
    Tuned,
}

/// An interface of an OSPF router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name.
    pub name: String,
    /// The area.
    pub area: AreaId,
    /// The kind of network.
    pub network: Network,
    /// `HelloInterval` in seconds.
    pub hello: u16,
    /// `RouterDeadInterval` in seconds.
    pub dead: u16,
    /// Output cost.
    pub cost: u16,
    /// Router priority in the election of the Designated Router.
    pub priority: u8,
    /// Whether to accept a neighbour with a larger MTU.
    pub mtu_ignore: bool,
    /// Whether the paths to the neighbours are watched by BFD, the same on all interfaces of a router.
    pub bfd: Option<Bfd>,
}

/// How BFD runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// The interval in both directions in milliseconds.
    pub millis: u32,
    /// The detection multiplier.
    pub multiplier: u8,
}

impl Bfd {
    /// The configuration of FRR's bfdd: a profile called `lab`.
    pub(crate) fn bfdd(self) -> String {
        let Self { millis, multiplier } = self;
        format!(
            "bfd\n profile lab\n  detect-multiplier {multiplier}\n  receive-interval {millis}\n  transmit-interval {millis}\n \
             exit\nexit\n"
        )
    }

    /// The same for bugle.
    pub(crate) fn bugle(self) -> String {
        let Self { millis, multiplier } = self;
        format!("[bfd.lab]\ntx = \"{millis}ms\"\nrx = \"{millis}ms\"\nmultiplier = {multiplier}\n")
    }
}

/// The kinds of network that labs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Two routers.
    PointToPoint,
    /// A LAN with a Designated Router.
    Broadcast,
    /// Announced, without any OSPF packet.
    Passive,
}

impl Interface {
    /// In the backbone, cost 10, with a hello a second and a dead interval of 4 s.
    #[must_use]
    pub fn new(name: &str, network: Network) -> Self {
        Self {
            name: name.to_owned(),
            area: AreaId::BACKBONE,
            network,
            hello: 1,
            dead: 4,
            cost: 10,
            priority: 1,
            mtu_ignore: false,
            bfd: None,
        }
    }

    /// [`Interface::new`] for a point-to-point network.
    #[must_use]
    pub fn point_to_point(name: &str) -> Self {
        Self::new(name, Network::PointToPoint)
    }

    /// [`Interface::new`] for a broadcast network.
    #[must_use]
    pub fn broadcast(name: &str) -> Self {
        Self::new(name, Network::Broadcast)
    }

    /// This interface with BFD.
    #[must_use]
    pub fn with_bfd(self, millis: u32, multiplier: u8) -> Self {
        Self { bfd: Some(Bfd { millis, multiplier }), ..self }
    }

    /// [`Interface::new`] for a passive interface.
    #[must_use]
    pub fn passive(name: &str) -> Self {
        Self::new(name, Network::Passive)
    }
}

impl Ospf {
    /// The configuration of FRR's zebra.
    #[must_use]
    pub fn zebra(&self) -> String {
        match self.tuning {
            Tuning::Default => String::new(),
            Tuning::Tuned => "zebra work-queue 0\n".to_owned(),
        }
    }

    /// The configuration of FRR's ospfd.
    #[must_use]
    pub fn ospfd(&self) -> String {
        let mut text = String::new();
        for interface in &self.interfaces {
            interface.ospfd(self.tuning, &mut text);
        }
        let _ = writeln!(text, "router ospf\n ospf router-id {}", self.router_id);
        if self.redistribute_kernel {
            text.push_str(" redistribute kernel\n");
        }
        if self.tuning == Tuning::Tuned {
            text.push_str(" timers throttle spf 0 0 0\n timers throttle lsa all 0\n timers lsa min-arrival 0\n");
        }
        text
    }

    /// The configuration of FRR's bfdd, if it is needed.
    #[must_use]
    pub fn bfdd(&self) -> Option<String> {
        self.bfd().map(Bfd::bfdd)
    }

    fn bfd(&self) -> Option<Bfd> {
        self.interfaces.iter().find_map(|interface| interface.bfd)
    }

    /// The configuration of BIRD.
    #[must_use]
    pub fn bird(&self) -> String {
        let export = if self.redistribute_kernel { "where source = RTS_INHERIT" } else { "none" };
        // A learned kernel route has to beat OSPF's (150), or a host that takes a machine over would wait for the old one.
        let mut text = format!(
            "log stderr all;\nrouter id {};\nprotocol device {{}}\n\
             protocol kernel {{ learn; ipv4 {{ preference 200; import all; export all; }}; }}\n\
             protocol ospf v2 {{\n tick 1;\n ipv4 {{ import all; export {export}; }};\n",
            self.router_id
        );
        if let Some(Bfd { millis, multiplier }) = self.bfd() {
            let at_end = text.find("protocol ospf").unwrap_or(text.len());
            text.insert_str(at_end, &format!(
                "protocol bfd {{ interface \"*\" {{ interval {millis} ms; multiplier {multiplier}; }}; }}\n"
            ));
        }
        let areas: BTreeSet<AreaId> =
            self.interfaces.iter().map(|interface| interface.area).collect();
        for area in areas {
            let _ = writeln!(text, " area {area} {{");
            for interface in self.interfaces.iter().filter(|interface| interface.area == area) {
                interface.bird(self.tuning, &mut text);
            }
            text.push_str(" };\n");
        }
        text.push_str("}\n");
        text
    }

    /// The `[vrf.default.ospf]` part of bugle's configuration, for a router that may be transit.
    #[must_use]
    pub fn bugle(&self) -> String {
        let mut text = format!("router-id = \"{}\"\n", self.router_id);
        if let Some(bfd) = self.bfd() {
            text.push_str(&bfd.bugle());
        }
        text.push_str("[vrf.default.ospf]\nstub-router = false\n");
        for interface in &self.interfaces {
            interface.bugle(&mut text);
        }
        text
    }
}

impl Interface {
    fn ospfd(&self, tuning: Tuning, text: &mut String) {
        let _ = writeln!(text, "interface {}\n ip ospf area {}", self.name, self.area);
        let _ = writeln!(text, " ip ospf hello-interval {}", self.hello);
        let _ = writeln!(text, " ip ospf dead-interval {}", self.dead);
        let _ = writeln!(text, " ip ospf cost {}\n ip ospf priority {}", self.cost, self.priority);
        text.push_str(match self.network {
            Network::PointToPoint => " ip ospf network point-to-point\n",
            Network::Broadcast => " ip ospf network broadcast\n",
            Network::Passive => " ip ospf passive\n",
        });
        if self.mtu_ignore {
            text.push_str(" ip ospf mtu-ignore\n");
        }
        if self.bfd.is_some() {
            text.push_str(" ip ospf bfd\n ip ospf bfd profile lab\n");
        }
        if tuning == Tuning::Tuned {
            text.push_str(" ip ospf retransmit-interval 1\n");
        }
    }

    fn bird(&self, tuning: Tuning, text: &mut String) {
        let _ = write!(
            text,
            "  interface \"{}\" {{ hello {}; dead {}; cost {}; priority {}; ",
            self.name, self.hello, self.dead, self.cost, self.priority
        );
        text.push_str(match self.network {
            Network::PointToPoint => "type ptp; ",
            Network::Broadcast => "type bcast; ",
            Network::Passive => "stub yes; ",
        });
        if tuning == Tuning::Tuned {
            text.push_str("retransmit 2; ");
        }
        if self.bfd.is_some() {
            text.push_str("bfd yes; ");
        }
        text.push_str("};\n");
    }

    fn bugle(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "[[vrf.default.ospf.interface]]\nname = \"{}\"\narea = \"{}\"\ncost = {}",
            self.name, self.area, self.cost
        );
        match self.network {
            Network::PointToPoint => text.push_str("type = \"point-to-point\"\n"),
            Network::Broadcast => {
                let _ = writeln!(text, "type = \"broadcast\"\npriority = {}", self.priority);
            }
            // A passive interface has no timers.
            Network::Passive => {
                text.push_str("type = \"passive\"\n");
                return;
            }
        }
        let _ = writeln!(text, "hello = \"{}s\"\ndead = \"{}s\"", self.hello, self.dead);
        if self.mtu_ignore {
            text.push_str("mtu-ignore = true\n");
        }
        if self.bfd.is_some() {
            text.push_str("bfd = \"lab\"\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bird_gets_one_block_for_each_area() {
        let mut other = Interface::broadcast("eth2");
        other.area = AreaId(1);
        let interfaces = vec![Interface::point_to_point("eth0"), other, Interface::passive("eth1")];
        let text = Ospf::new(Ipv4Addr::new(192, 0, 2, 1), interfaces).bird();
        assert_eq!(text.matches("area 0.0.0.0 {").count(), 1, "{text}");
        assert_eq!(text.matches("area 0.0.0.1 {").count(), 1, "{text}");
    }
}
