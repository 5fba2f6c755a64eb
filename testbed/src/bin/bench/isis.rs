//! A host route in IS-IS, of either family, until the kernel one hop away has it; and a second one 250 ms later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use bugle_testbed::contender::Make;
use bugle_testbed::summary::{Summary, comparison, stagger};
use bugle_testbed::tools::say;
use bugle_testbed::{
    Bugled, Circuit, FibWatch, Frr, Isis, Lab, Network, Node, Result, RouteEditor, Tuning,
};
use bugle_types::{Mac, Prefix};

/// Host routes that have not arrived by then never do, for the table.
const GIVE_UP: Duration = Duration::from_secs(40);
/// Hosts of each family that are enough for a contender that takes up to 30 s for each change.
const SLOW: u8 = 2;
/// From one change to the second.
const SECOND: Duration = Duration::from_millis(250);
/// Until a contender's next hosts: a default FRR generates its LSP every 30 s.
const SPACING: Duration = Duration::from_secs(3);
const TAP: &str = "tap0";
const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 9]);
const HOSTS: &str = "[vrf.default.hosts]\nports = [\"tap*\"]\n";

enum Daemon {
    Bugle(Box<Bugled>),
    Frr(Box<Frr>),
}

struct Pair {
    _lab: Lab,
    origin: Daemon,
    editor: RouteEditor,
    watch: FibWatch,
    _receiver: Daemon,
}

impl Daemon {
    fn start(make: Make, lab: &Lab, node: &Node, number: u8) -> Result<Self> {
        let tuning = if make == Make::FrrDefault { Tuning::Default } else { Tuning::Tuned };
        let interfaces = vec![Circuit::new("eth0", Network::PointToPoint)];
        let isis = Isis { redistribute_kernel: true, tuning, ..Isis::new(number, interfaces) };
        if make == Make::Bugle {
            return Ok(Self::Bugle(Box::new(Bugled::start_isis(lab, node, &isis, HOSTS)?)));
        }
        Ok(Self::Frr(Box::new(Frr::start_isis(lab, node, &isis)?)))
    }

    fn up(&self) -> bool {
        match self {
            Self::Bugle(bugled) => bugled.up() == 1,
            Self::Frr(frr) => frr.up() == 1,
        }
    }
}

impl Pair {
    fn start(origin: Make, receiver: Make) -> Result<Self> {
        let lab = Lab::new("isis")?;
        let nodes = [lab.node("a")?, lab.node("b")?];
        for node in &nodes {
            node.sysctl("net.ipv6.conf.all.forwarding", "1")?;
            node.sysctl("net.ipv6.conf.default.accept_dad", "0")?;
        }
        lab.link(&nodes[0], &nodes[1])?;
        nodes[0].ip(&format!("link add {TAP} type veth peer name peer0"))?;
        for name in [TAP, "peer0"] {
            nodes[0].ip(&format!("link set {name} up"))?;
        }
        let watch = FibWatch::start(&nodes[1], Prefix::is_host)?;
        let editor = RouteEditor::new(&nodes[0], TAP)?;
        let receiver = Daemon::start(receiver, &lab, &nodes[1], 2)?;
        let origin = Daemon::start(origin, &lab, &nodes[0], 1)?;
        lab.wait_for(GIVE_UP, "the adjacency", || origin.up() && receiver.up())?;
        Ok(Self { _lab: lab, origin, editor, watch, _receiver: receiver })
    }

    /// Adds a host; how long until the other kernel has it.
    fn add(&mut self, address: IpAddr) -> Result<Option<Duration>> {
        let start = match &self.origin {
            Daemon::Bugle(bugled) => bugled.add_host(address, TAP, MAC)?,
            Daemon::Frr(_) => self.editor.add(address)?,
        };
        loop {
            let change = self.watch.next_change(Prefix::host(address), start + GIVE_UP);
            let Some(change) = change else { return Ok(None) };
            if change.present {
                return Ok(Some(change.at.duration_since(start)));
            }
        }
    }
}

pub(crate) fn run(makes: &[Make], count: u8) -> Result<()> {
    say(&format!(
        "\n## IS-IS, host route, one hop\n\n{count} host routes of each family ({SLOW} for FRR at its defaults, which says nothing new for 30 s), every {} s, each \
         followed {} ms later by another; until the kernel of the next router has it.\n",
        SPACING.as_secs(),
        SECOND.as_millis()
    ));
    let mut combinations: Vec<(Make, Make)> =
        makes.iter().filter(|make| **make != Make::Bird).map(|make| (*make, *make)).collect();
    if makes.contains(&Make::Bugle) && makes.contains(&Make::FrrTuned) {
        combinations.push((Make::Bugle, Make::FrrTuned));
    }
    let kinds = ["/32", "/32, second change", "/128", "/128, second change"];
    let mut rows: Vec<(String, [Vec<Option<Duration>>; 4])> = Vec::new();
    for (origin, receiver) in combinations {
        let name = if origin == receiver {
            origin.to_string()
        } else {
            format!("{origin}, {receiver} receives")
        };
        let mut pair = Pair::start(origin, receiver)?;
        let mut series = [const { Vec::new() }; 4];
        thread::sleep(SPACING);
        let count = if origin == Make::FrrDefault { count.min(SLOW) } else { count };
        for number in 0..count {
            for (family, series) in series.chunks_exact_mut(2).enumerate() {
                thread::sleep(SPACING + stagger(number.into()));
                for (series, second) in series.iter_mut().zip([0, 100]) {
                    let last = number + second;
                    let address = match family {
                        0 => IpAddr::from(Ipv4Addr::new(10, 100, 0, last)),
                        _ => Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, last.into()).into(),
                    };
                    series.push(pair.add(address)?);
                    thread::sleep(SECOND);
                }
            }
        }
        rows.push((name, series));
    }
    for (kind, what) in kinds.into_iter().enumerate() {
        let rows: Vec<(&str, Option<Summary>)> = rows
            .iter()
            .filter_map(|(name, series)| {
                Some((name.as_str(), Summary::of(series.get(kind)?.iter().copied())))
            })
            .collect();
        say(&comparison(&format!("{what}, ms"), &rows));
    }
    Ok(())
}
