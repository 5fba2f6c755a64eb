//! Answers as tables, for people. Programs use `--json`.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use bugle_api::model::{
    BfdSession, DatabaseEntry, Event, Explanation, Host, Interface, Neighbor, Reply, Route,
    RouteNexthop, Spf, Step, Summary,
};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// What stands for a value that does not apply.
const NONE: &str = "-";

/// The answer to `show`.
pub(crate) fn reply(reply: &Reply, output: &mut impl Write) -> io::Result<()> {
    match reply {
        Reply::Summary(summary) => self::summary(summary, output),
        Reply::Interfaces(interfaces) => self::interfaces(interfaces, output),
        Reply::Neighbors(all) => rows(output, &NEIGHBOR, all.iter().map(neighbor)),
        Reply::Database(entries) => rows(output, &DATABASE, entries.iter().map(database_entry)),
        Reply::Routes(routes) => rows(output, &ROUTE, routes.iter().map(route)),
        Reply::Hosts(hosts) => rows(output, &HOST, hosts.iter().map(host)),
        Reply::Bfd(sessions) => bfd(sessions, output),
        Reply::Spf(instances) => rows(output, &SPF, instances.iter().map(spf)),
        Reply::Events(events) => events.iter().try_for_each(|event| self::event(event, output)),
    }
}

/// The answer to `explain`.
pub(crate) fn explanation(explanation: &Explanation, output: &mut impl Write) -> io::Result<()> {
    let Explanation { vrf, address, route, host, reasons, timeline, repair } = explanation;
    writeln!(output, "{address} in VRF {vrf}")?;
    match route {
        None => writeln!(output, "  no route of ours")?,
        Some(route) => {
            let path = route.path.as_deref().map_or_else(String::new, |path| format!(" {path}"));
            let missing = if route.installed { "" } else { ", not in the kernel" };
            writeln!(
                output,
                "  route {} by {}{path}, metric {}{missing}",
                route.prefix, route.protocol, route.metric
            )?;
            for line in nexthops(route).lines() {
                writeln!(output, "    {line}")?;
            }
        }
    }
    if let Some(host) = host {
        write!(output, "  host {}", host.state)?;
        for (what, value) in [
            ("class", host.class.clone()),
            ("port", host.port.clone()),
            ("MAC", host.mac.map(|mac| mac.to_string())),
            ("metric", host.metric.map(|metric| metric.to_string())),
            ("waits:", host.waits_for.clone()),
            ("also advertised by", host.rival.map(|rival| rival.to_string())),
        ] {
            if let Some(value) = value {
                write!(output, ", {what} {value}")?;
            }
        }
        writeln!(output)?;
    }
    for reason in reasons {
        writeln!(output, "  because {reason}")?;
    }
    steps("last move", timeline, output)?;
    steps("last repair", repair, output)
}

fn steps(of: &str, steps: &[Step], output: &mut impl Write) -> io::Result<()> {
    if !steps.is_empty() {
        writeln!(output, "  {of}:")?;
    }
    for step in steps {
        let (time, after) = (utc(step.time_us), after(step.after_us));
        writeln!(output, "    {time}  {after:>11}  {}", step.step)?;
    }
    Ok(())
}

fn after(micros: u64) -> String {
    format!("+{}.{:03} ms", micros / 1_000, micros % 1_000)
}

/// One event on one line.
pub(crate) fn event(event: &Event, output: &mut impl Write) -> io::Result<()> {
    let Event { time_us, kind, vrf, message } = event;
    let time = if *time_us == 0 { NONE.to_owned() } else { utc(*time_us) };
    let vrf = vrf.as_deref().map_or_else(String::new, |vrf| format!("{vrf}: "));
    writeln!(output, "{time}  {kind}  {vrf}{message}")
}

fn summary(summary: &Summary, output: &mut impl Write) -> io::Result<()> {
    const HEADER: [&str; 8] =
        ["VRF", "TABLE", "PROTOCOLS", "INTERFACES", "FULL", "DATABASE", "ROUTES", "HOSTS"];
    writeln!(output, "bugled {} on {}", summary.version, summary.hostname)?;
    writeln!(output, "router id {}, up {}", summary.router_id, ago(summary.uptime_seconds))?;
    for vrf in &summary.vrfs {
        if let Some(system_id) = vrf.system_id {
            writeln!(output, "system id {system_id} in VRF {}", vrf.vrf)?;
        }
        for protocol in &vrf.duplicated_in {
            writeln!(output, "another router uses this identity: {protocol} in VRF {}", vrf.vrf)?;
        }
    }
    if !summary.fib_enabled {
        writeln!(output, "routes are computed but not installed: fib.enabled is false")?;
    }
    writeln!(output)?;
    let rows_of_vrfs = summary.vrfs.iter().map(|vrf| {
        [
            vrf.vrf.clone(),
            or_none(vrf.table),
            vrf.protocols.join(" "),
            vrf.interfaces.to_string(),
            format!("{}/{}", vrf.neighbors_full, vrf.neighbors),
            vrf.database.to_string(),
            vrf.routes.to_string(),
            vrf.hosts.to_string(),
        ]
    });
    rows(output, &HEADER, rows_of_vrfs)
}

fn interfaces(interfaces: &[Interface], output: &mut impl Write) -> io::Result<()> {
    const HEADER: [&str; 11] = [
        "VRF",
        "PROTOCOL",
        "INTERFACE",
        "ADDRESS",
        "AREA",
        "TYPE",
        "STATE",
        "COST",
        "HELLO/DEAD",
        "DR",
        "NEIGHBORS",
    ];
    let cells = interfaces.iter().map(|interface| {
        [
            interface.vrf.clone(),
            interface.protocol.clone(),
            interface.interface.clone(),
            interface.address.clone(),
            or_none(
                interface.area.map(|area| area.to_string()).or_else(|| interface.level.clone()),
            ),
            interface.link_type.clone(),
            interface.state.clone(),
            interface.cost.to_string(),
            format!("{}/{}", millis(interface.hello_ms), millis(interface.dead_ms)),
            designated(interface),
            interface.neighbors.to_string(),
        ]
    });
    rows(output, &HEADER, cells)?;
    for interface in interfaces {
        for (address, mismatch) in &interface.mismatches {
            let name = &interface.interface;
            writeln!(output, "{name}: no adjacency with {address}: {mismatch}")?;
        }
        if let Some(seconds) = interface.held_seconds {
            let (name, flaps) = (&interface.interface, interface.flaps);
            writeln!(output, "{name}: flaps ({flaps} times): held down for {}", ago(seconds))?;
        }
        for (address, seconds) in &interface.held_neighbors {
            let name = &interface.interface;
            writeln!(output, "{name}: path to {address} flaps: held down for {}", ago(*seconds))?;
        }
        for (reason, count) in &interface.drops {
            writeln!(output, "{}: dropped {count}: {reason}", interface.interface)?;
        }
    }
    Ok(())
}

/// Who is designated on a LAN.
fn designated(interface: &Interface) -> String {
    let lans = interface.lan_ids.iter().map(|(level, lan_id)| format!("{level} {lan_id}"));
    let lans: Vec<_> = lans.collect();
    if lans.is_empty() { or_none(interface.designated_router) } else { lans.join(", ") }
}

const NEIGHBOR: [&str; 10] = [
    "VRF",
    "PROTOCOL",
    "INTERFACE",
    "ROUTER",
    "ADDRESS",
    "STATE",
    "SINCE",
    "PRIORITY",
    "UNACKED",
    "BFD",
];

fn neighbor(neighbor: &Neighbor) -> [String; 10] {
    let router = neighbor.router_id.map(|id| id.to_string());
    let router = router.or_else(|| neighbor.system_id.map(|id| id.to_string()));
    let router = or_none(router.map(|id| match &neighbor.hostname {
        Some(name) => format!("{id} ({name})"),
        None => id,
    }));
    let level = neighbor.level.as_ref().map_or_else(String::new, |level| format!(" {level}"));
    [
        neighbor.vrf.clone(),
        format!("{}{level}", neighbor.protocol),
        neighbor.interface.clone(),
        router,
        or_none(neighbor.address),
        neighbor.state.clone(),
        ago(neighbor.since_seconds),
        neighbor.priority.to_string(),
        neighbor.unacknowledged.to_string(),
        or_none(neighbor.bfd.as_ref()),
    ]
}

const DATABASE: [&str; 8] =
    ["VRF", "AREA", "TYPE", "ID", "ADVERTISING ROUTER", "SEQUENCE", "AGE", "LENGTH"];

fn database_entry(entry: &DatabaseEntry) -> [String; 8] {
    [
        entry.vrf.clone(),
        or_none(entry.area.map(|area| area.to_string()).or_else(|| entry.level.clone())),
        [entry.lsa_type.as_str()]
            .into_iter()
            .chain(entry.flags.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" "),
        entry.id.clone(),
        match &entry.hostname {
            Some(name) => format!("{} ({name})", entry.advertising_router),
            None => entry.advertising_router.to_string(),
        },
        entry.sequence.clone(),
        match (entry.age_seconds, entry.lifetime_seconds) {
            (Some(age), _) => age.to_string(),
            (None, Some(left)) => format!("{left} left"),
            (None, None) => NONE.to_owned(),
        },
        entry.length.to_string(),
    ]
}

const ROUTE: [&str; 7] = ["VRF", "PREFIX", "PROTOCOL", "PATH", "METRIC", "NEXTHOP", "KERNEL"];

fn route(route: &Route) -> [String; 7] {
    [
        route.vrf.clone(),
        route.prefix.to_string(),
        route.protocol.clone(),
        or_none(route.path.as_ref()),
        route.metric.to_string(),
        nexthops(route),
        if route.installed { "yes" } else { "no" }.to_owned(),
    ]
}

/// The nexthops, one a line, then the backup.
fn nexthops(route: &Route) -> String {
    let mut lines: Vec<_> = route.nexthops.iter().map(nexthop).collect();
    lines.extend(route.backup.iter().map(|backup| format!("backup {}", nexthop(backup))));
    if lines.is_empty() { "dropped".to_owned() } else { lines.join("\n") }
}

fn nexthop(nexthop: &RouteNexthop) -> String {
    match nexthop.gateway {
        Some(gateway) => format!("via {gateway} dev {}", nexthop.interface),
        None => format!("dev {}", nexthop.interface),
    }
}

const HOST: [&str; 9] =
    ["VRF", "ADDRESS", "STATE", "SINCE", "CLASS", "PORT", "MAC", "METRIC", "NOTE"];

fn host(host: &Host) -> [String; 9] {
    let rival = host.rival.map(|rival| match host.rival_metric {
        Some(metric) => format!("also at {rival} with {metric}"),
        None => format!("{rival}'s own address"),
    });
    let frozen = host.frozen_seconds.map(|seconds| format!("for {}", ago(seconds)));
    [
        host.vrf.clone(),
        host.address.to_string(),
        host.state.clone(),
        ago(host.since_seconds),
        or_none(host.class.as_ref()),
        or_none(host.port.as_ref()),
        or_none(host.mac),
        or_none(host.metric),
        or_none(host.waits_for.clone().or(frozen).or(rival)),
    ]
}

const BFD: [&str; 9] = [
    "VRF",
    "INTERFACE",
    "ADDRESS",
    "STATE",
    "DIAGNOSTIC",
    "TX",
    "DETECTION",
    "LAST PACKET",
    "DOWNS",
];

fn bfd(sessions: &[BfdSession], output: &mut impl Write) -> io::Result<()> {
    rows(output, &BFD, sessions.iter().map(bfd_session))?;
    let Some(session) = sessions.first() else { return Ok(()) };
    if !session.realtime && sessions.iter().any(|session| session.absent.is_none()) {
        writeln!(output, "BFD runs without real-time priority")?;
    }
    if session.stalls > 0 {
        let longest = Duration::from_micros(session.longest_stall_us);
        writeln!(output, "not scheduled in time: {} times, at most {longest:?}", session.stalls)?;
    }
    Ok(())
}

fn bfd_session(session: &BfdSession) -> [String; 9] {
    let duration = |micros: Option<u64>| {
        or_none(micros.map(|micros| format!("{:?}", Duration::from_micros(micros))))
    };
    let remote = match session.remote_diagnostic.as_str() {
        "none" => String::new(),
        said => format!(" (neighbour: {said})"),
    };
    [
        session.vrf.clone(),
        or_none(session.interface.as_ref()),
        session.address.to_string(),
        session.state.clone(),
        session.absent.clone().unwrap_or_else(|| format!("{}{remote}", session.diagnostic)),
        duration(session.tx_us),
        duration(session.detection_us),
        duration(session.last_packet_us),
        session.downs.to_string(),
    ]
}

const SPF: [&str; 11] = [
    "VRF",
    "PROTOCOL",
    "AREA",
    "STATE",
    "DUE IN",
    "RUNS",
    "INCREMENTAL",
    "NODES",
    "LAST",
    "VISITED/CHANGED",
    "PROTECTED",
];

fn spf(spf: &Spf) -> [String; 11] {
    [
        spf.vrf.clone(),
        spf.protocol.clone(),
        or_none(spf.area.map(|area| area.to_string()).or_else(|| spf.level.clone())),
        spf.state.clone(),
        or_none(spf.due_in_us.map(|micros| format!("{:?}", Duration::from_micros(micros)))),
        spf.runs.to_string(),
        spf.runs_incremental.to_string(),
        spf.nodes.to_string(),
        spf.last_kind.clone(),
        format!("{}/{}", spf.last_visited, spf.last_changed),
        format!("{}/{}", spf.routes_protected, spf.routes),
    ]
}

/// A table without borders.
fn rows<const N: usize>(
    output: &mut impl Write,
    header: &[&str; N],
    cells: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied()).add_rows(cells);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().try_for_each(|line| writeln!(output, "{}", line.trim_end()))
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// Seconds, in at most two units.
fn ago(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn millis(millis: u64) -> String {
    format!("{:?}", Duration::from_millis(millis))
}

fn utc(micros: u64) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros)).to_string()
}

#[cfg(test)]
mod tests;
