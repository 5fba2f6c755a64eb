//! One description of an IS-IS router, in the words of FRR and bugle.

use std::fmt::Write as _;

use bugle_types::SystemId;

use crate::ospf::{Bfd, Network, Tuning};

/// An IS-IS router as a lab describes it; [`Frr`](crate::Frr) and [`Bugled`](crate::Bugled) run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isis {
    /// The router's number: the last of its system id, `0000.0000.0001` for 1.
    pub number: u8,
    /// The number of its area, `49.0001` for 1.
    pub area: u8,
    /// The levels it takes part in.
    pub level: Level,
    /// The interfaces that speak IS-IS, and passive ones.
    pub interfaces: Vec<Circuit>,
    /// Whether IPv6 has a topology of its own.
    pub multi_topology: bool,
    /// Whether routes that somebody else puts into the kernel are announced (FRR).
    pub redistribute_kernel: bool,
    /// The password of LSPs, in both levels.
    pub password: Option<&'static str>,
    /// What passwords are used for, in bugle's words. FRR has `cleartext` and `hmac-md5`.
    pub algorithm: &'static str,
    /// The metrics that FRR sends: `wide`, `narrow`, or both in `transition`.
    pub metric_style: &'static str,
    /// How FRR is configured.
    pub tuning: Tuning,
}

/// Levels of routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Within an area.
    One,
    /// Between areas.
    Two,
    /// Both.
    Both,
}

/// An interface of an IS-IS router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// The kernel's name.
    pub name: String,
    /// The kind of network.
    pub network: Network,
    /// The levels it is used for.
    pub level: Level,
    /// The cost of sending.
    pub metric: u32,
    /// Priority in the election of the designated system.
    pub priority: u8,
    /// The password of Hellos.
    pub password: Option<&'static str>,
    /// Whether and how neighbours are watched by BFD.
    pub bfd: Option<Bfd>,
}

impl Circuit {
    /// Metric 10, level 2, a Hello a second and four for a holding time.
    #[must_use]
    pub fn new(name: &str, network: Network) -> Self {
        let name = name.to_owned();
        Self {
            name,
            network,
            level: Level::Two,
            metric: 10,
            priority: 64,
            password: None,
            bfd: None,
        }
    }

    /// The same, with its neighbours watched by BFD at this interval in both directions.
    #[must_use]
    pub fn with_bfd(self, millis: u32, multiplier: u8) -> Self {
        Self { bfd: Some(Bfd { millis, multiplier }), ..self }
    }
}

impl Isis {
    /// A level 2 router of area 49.0001 that announces nothing but its interfaces. FRR is tuned: as it is shipped, the second
    /// change of what it says waits for 30 s, and the adjacency itself is often that.
    #[must_use]
    pub fn new(number: u8, interfaces: Vec<Circuit>) -> Self {
        Self {
            number,
            area: 1,
            level: Level::Two,
            interfaces,
            multi_topology: false,
            redistribute_kernel: false,
            password: None,
            algorithm: "hmac-md5",
            metric_style: "wide",
            tuning: Tuning::Tuned,
        }
    }

    /// The same in other levels, on all interfaces.
    #[must_use]
    pub fn at(mut self, level: Level) -> Self {
        self.level = level;
        self.interfaces.iter_mut().for_each(|circuit| circuit.level = level);
        self
    }

    /// The router's identity.
    #[must_use]
    pub const fn system_id(&self) -> SystemId {
        SystemId([0, 0, 0, 0, 0, self.number])
    }

    fn net(&self) -> String {
        format!("49.{:04x}.{}.00", self.area, self.system_id())
    }

    /// The configuration of FRR's zebra.
    #[must_use]
    pub fn zebra(&self) -> String {
        match self.tuning {
            Tuning::Default => String::new(),
            Tuning::Tuned => "zebra work-queue 0\n".to_owned(),
        }
    }

    /// The configuration of FRR's isisd.
    #[must_use]
    pub fn isisd(&self) -> String {
        let mut text = String::new();
        for circuit in &self.interfaces {
            circuit.isisd(self.kind(), &mut text);
        }
        let level = match self.level {
            Level::One => "level-1",
            Level::Two => "level-2-only",
            Level::Both => "level-1-2",
        };
        text.push_str("router isis lab\n");
        if self.tuning == Tuning::Tuned {
            // First of all: a generation that is put off while the rest is read keeps the interval of that moment.
            text.push_str(
                " lsp-gen-interval 1\n spf-delay-ietf init-delay 0 short-delay 0 long-delay 50 \
                 holddown 200 time-to-learn 100\n",
            );
        }
        // Names would stand in the place of system ids in what is shown.
        let _ = writeln!(
            text,
            " net {}\n is-type {level}\n metric-style {}\n no hostname dynamic",
            self.net(),
            self.metric_style
        );
        if let Some(password) = self.password {
            for kind in ["area", "domain"] {
                let _ = writeln!(
                    text,
                    " {kind}-password {} {password} authenticate snp validate",
                    self.kind()
                );
            }
        }
        if self.multi_topology {
            text.push_str(" topology ipv6-unicast\n");
        }
        if self.redistribute_kernel {
            for family in ["ipv4", "ipv6"] {
                if self.level != Level::Two {
                    let _ = writeln!(text, " redistribute {family} kernel level-1");
                }
                if self.level != Level::One {
                    let _ = writeln!(text, " redistribute {family} kernel level-2");
                }
            }
        }
        text
    }

    /// The configuration of FRR's bfdd, if it is needed.
    #[must_use]
    pub fn bfdd(&self) -> Option<String> {
        self.bfd().map(Bfd::bfdd)
    }

    fn bfd(&self) -> Option<Bfd> {
        self.interfaces.iter().find_map(|circuit| circuit.bfd)
    }

    /// The `[vrf.default.isis]` part of bugle's configuration, for a router that may be transit. Passwords are read from files of
    /// their names in `directory`.
    #[must_use]
    pub fn bugle(&self, directory: &str) -> String {
        let mut text = self.bfd().map(Bfd::bugle).unwrap_or_default();
        let _ = write!(
            text,
            "[vrf.default.isis]\nnet = \"{}\"\nlevel = \"{}\"\nstub-router = false\nmulti-topology = {}\n",
            self.net(),
            self.level.bugle(),
            self.multi_topology
        );
        if let Some(password) = self.password {
            for (key, other) in [("area-auth", Level::Two), ("domain-auth", Level::One)] {
                if self.level != other {
                    let _ = writeln!(text, "{key} = {}", self.key_file(directory, password));
                }
            }
        }
        for circuit in &self.interfaces {
            let key = circuit.password.map(|password| self.key_file(directory, password));
            circuit.bugle(key, &mut text);
        }
        text
    }

    /// The kind of password, in FRR's words.
    fn kind(&self) -> &'static str {
        if self.algorithm == "cleartext" { "clear" } else { "md5" }
    }

    fn key_file(&self, directory: &str, password: &str) -> String {
        format!("{{ type = \"{}\", key-file = \"{directory}/{password}\" }}", self.algorithm)
    }

    /// Every password.
    pub fn passwords(&self) -> impl Iterator<Item = &'static str> {
        self.interfaces.iter().filter_map(|circuit| circuit.password).chain(self.password)
    }
}

impl Level {
    const fn bugle(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::Both => "1-2",
        }
    }
}

impl Circuit {
    fn isisd(&self, kind: &str, text: &mut String) {
        let _ = writeln!(
            text,
            "interface {}\n ip router isis lab\n ipv6 router isis lab\n isis metric {}",
            self.name, self.metric
        );
        text.push_str(match self.network {
            Network::PointToPoint => " isis network point-to-point\n",
            Network::Broadcast => "",
            Network::Passive => " isis passive\n",
        });
        let level = match self.level {
            Level::One => "level-1",
            Level::Two => "level-2-only",
            Level::Both => "level-1-2",
        };
        let _ = writeln!(text, " isis circuit-type {level}\n isis priority {}", self.priority);
        text.push_str(" isis hello-interval 1\n isis hello-multiplier 4\n");
        if let Some(password) = self.password {
            let _ = writeln!(text, " isis password {kind} {password}");
        }
        if self.bfd.is_some() {
            text.push_str(" isis bfd\n isis bfd profile lab\n");
        }
    }

    fn bugle(&self, key: Option<String>, text: &mut String) {
        let _ = writeln!(
            text,
            "[[vrf.default.isis.interface]]\nname = \"{}\"\nlevel = \"{}\"\nmetric = {}\npriority = {}",
            self.name,
            self.level.bugle(),
            self.metric,
            self.priority
        );
        text.push_str(match self.network {
            Network::PointToPoint => "type = \"point-to-point\"\n",
            Network::Broadcast => "type = \"broadcast\"\n",
            Network::Passive => "type = \"passive\"\n",
        });
        if let Some(key) = key {
            let _ = writeln!(text, "auth = {key}");
        }
        if self.bfd.is_some() {
            text.push_str("bfd = \"lab\"\n");
        }
    }
}
