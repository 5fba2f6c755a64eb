//! Random networks, and what befalls them, as scenarios: for property tests, and for the fuzzer.

/// What the routers are joined by.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) routers: usize,
    /// Pairs of routers, with the cost at each end.
    pub(crate) links: Vec<(usize, usize, u16, u16)>,
    /// Routers on a LAN.
    pub(crate) lan: Vec<usize>,
    pub(crate) stub: Option<usize>,
}

/// Something that happens some time after what happened before.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) after_ms: u64,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Both routers are told. If the one that it leaves were not, a partition could leave two with equal claims.
    Move {
        host: usize,
        to: usize,
    },
    Remove {
        host: usize,
    },
    Add {
        host: usize,
        on: usize,
    },
    Link {
        link: usize,
        fault: &'static str,
        ms: u64,
    },
    Port {
        member: usize,
        fault: &'static str,
        ms: u64,
    },
    Crash {
        router: usize,
        ms: u64,
    },
    Stop {
        router: usize,
        ms: u64,
    },
    Restart {
        router: usize,
    },
}

/// What routers may speak.
pub(crate) const PROTOCOLS: [&str; 3] = ["ospf", "isis", "both"];

/// Writes all of it as a scenario.
pub(crate) fn scenario(
    seed: u64,
    protocol: &str,
    shape: &Shape,
    quality: &str,
    steps: &[Step],
) -> String {
    let mut lines =
        vec![format!("title A random network\nseed {seed}\nprotocol {protocol}\nlinks {quality}")];
    for router in 0..shape.routers {
        let stub = if shape.stub == Some(router) { " stub" } else { "" };
        lines.push(format!("router r{router}{stub}"));
    }
    for (a, b, cost, back) in &shape.links {
        lines.push(format!("link r{a} r{b} cost {cost} {back}"));
    }
    if !shape.lan.is_empty() {
        let members: Vec<String> = shape.lan.iter().map(|member| format!("r{member}")).collect();
        lines.push(format!("lan lan1 {}", members.join(" ")));
    }
    lines.push("hosts 1 each".to_owned());
    let name = |router: &usize| format!("r{}", router % shape.routers);
    let address = |host: &usize| format!("10.100.0.{}", host % shape.routers + 1);
    let (mut at, mut end) = (20_000, 20_000);
    for Step { after_ms, what } in steps {
        at += after_ms;
        let (action, lasts) = match what {
            What::Move { host, to } => (format!("move {} to {}", address(host), name(to)), 0),
            What::Remove { host } => (format!("remove {}", address(host)), 0),
            What::Add { host, on } => (format!("add {} on {}", address(host), name(on)), 0),
            What::Link { link, fault, ms } => {
                let Some((a, b, ..)) = shape.links.get(link % shape.links.len().max(1)) else {
                    continue;
                };
                (format!("link r{a} r{b} {fault} for {ms}ms"), *ms)
            }
            What::Port { member, fault, ms } => {
                let Some(router) = shape.lan.get(member % shape.lan.len().max(1)) else { continue };
                (format!("port r{router} lan1 {fault} for {ms}ms"), *ms)
            }
            What::Crash { router, ms } => (format!("crash {} for {ms}ms", name(router)), *ms),
            What::Stop { router, ms } => (format!("stop {} for {ms}ms", name(router)), *ms),
            What::Restart { router } => (format!("restart {}", name(router)), 0),
        };
        lines.push(format!("at {at}ms {action}"));
        end = end.max(at + lasts);
    }
    lines.push(format!("at {}ms links loss 0% duplicate 0% reorder 0% jitter 0us", end + 1));
    lines.join(
        "
",
    ) + "
"
}
