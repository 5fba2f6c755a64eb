//! Why packets to an address go where they go.

use std::net::IpAddr;

use bugle_api::model::{Explanation, Host, Route, Step};
use bugle_mobility::{self as mobility, HostView, Others, Timeline};
use bugle_rib::Protocol;
use bugle_speaker::{RepairStep, Speaker, VrfState, What};
use bugle_types::{Prefix, Time};
use bugle_wire::ospf::LsaType;

use crate::journal::Journal;
use crate::look;
use crate::wall::Wall;

/// What the speaker knows of an address.
pub(crate) struct Found {
    vrf: String,
    address: IpAddr,
    route: Option<Route>,
    host: Option<Host>,
    reasons: Vec<String>,
    timeline: Timeline,
}

/// Looks an address up; `None` if there is no such VRF.
pub(crate) fn find(speaker: &Speaker, now: Time, address: IpAddr, vrf: &str) -> Option<Found> {
    let state = speaker.state();
    let vrf = state.vrf(vrf)?;
    let view = vrf.hosts().find(|view| view.address == address);
    let route = vrf.lookup(address).and_then(|route| look::route(state, &vrf, &route));
    Some(Found {
        vrf: vrf.name().to_string(),
        address,
        host: view.as_ref().map(|view| look::host(&vrf, view, now)),
        reasons: reasons(&vrf, address, view.as_ref(), route.as_ref()),
        route,
        timeline: view.map(|view| view.timeline).unwrap_or_default(),
    })
}

/// When LSAs and LSPs about an address went out from here, and what they said.
pub(crate) fn flooded(journal: &Journal, address: IpAddr, vrf: &str) -> Vec<(Time, String)> {
    journal.pick(|event| {
        let said = match &event.what {
            What::Ospf(bugle_ospf::Event::Originated { key, flushed, .. }) => {
                let about =
                    key.ls_type == LsaType::AS_EXTERNAL && IpAddr::V4(key.link_state_id) == address;
                let done = if *flushed { "flushed" } else { "flooded" };
                about.then(|| format!("LSA {done} to the neighbours"))
            }
            What::Isis(bugle_isis::Event::Originated { level, id, hosts, .. }) => {
                let host = Prefix::host(address);
                let &(_, advertised) = hosts.iter().find(|(prefix, _)| *prefix == host)?;
                let done = if advertised { "with it" } else { "without it" };
                Some(format!("{level} LSP {id} flooded to the neighbours {done}"))
            }
            What::Ospf(_)
            | What::Isis(_)
            | What::Rib(_)
            | What::Host(_)
            | What::Bfd(_)
            | What::Repair(_)
            | What::Held(..)
            | What::Notice(_) => None,
        };
        said.filter(|_| event.vrf.as_deref() == Some(vrf)).map(|said| (event.time, said))
    })
}

/// When a host was live: since the last event that says so.
pub(crate) fn live(journal: &Journal, address: IpAddr, vrf: &str) -> Option<Time> {
    let mut all = journal.pick(|event| {
        let What::Host(mobility::Event::Live { address: live, .. }) = event.what else {
            return None;
        };
        (live == address && event.vrf.as_deref() == Some(vrf)).then_some(event.time)
    });
    all.pop()
}

/// The last repair in a VRF, step by step.
pub(crate) fn repaired(journal: &Journal, vrf: &str) -> Vec<(Time, String)> {
    let steps = journal.pick(|event| {
        let What::Repair(repair) = &event.what else { return None };
        let here = event.vrf.as_deref() == Some(vrf);
        here.then(|| (repair.step, event.time, event.to_string()))
    });
    let last = steps.iter().rposition(|(step, ..)| *step == RepairStep::Detected);
    let steps = steps.into_iter().skip(last.unwrap_or_default());
    steps.map(|(_, time, text)| (time, text)).collect()
}

impl Found {
    /// The explanation, with the time since when the host has been `live`, and with what was `flooded`.
    pub(crate) fn describe(
        self,
        live: Option<Time>,
        flooded: Vec<(Time, String)>,
        repair: Vec<(Time, String)>,
        wall: Wall,
    ) -> Explanation {
        let Self { vrf, address, route, host, reasons, timeline } = self;
        let timeline = steps(timeline, live, flooded, wall);
        let repair = dated(repair, wall);
        Explanation { vrf, address, route, host, reasons, timeline, repair }
    }
}

/// The reasons in the order in which they decide.
fn reasons(
    vrf: &VrfState<'_>,
    address: IpAddr,
    view: Option<&HostView<'_>>,
    route: Option<&Route>,
) -> Vec<String> {
    let mut reasons: Vec<String> = view.into_iter().map(here).collect();
    let rival = vrf.rival(address);
    reasons.extend(rival.map(elsewhere));
    if let (Some(ours), Some(theirs)) = (view.and_then(|view| view.metric), rival) {
        reasons.push(match theirs.metric {
            Some(theirs) if ours < theirs => format!(
                "our metric {ours} is the lower one, as of the newer claim: every router prefers it"
            ),
            Some(theirs) => format!("their metric {theirs} is not higher than ours, {ours}"),
            None => "no host can have the address of a router: it yields".to_owned(),
        });
    }
    reasons.push(match route {
        None => "no route of ours leads to it; the machine's other routes decide".to_owned(),
        Some(route) if route.nexthops.is_empty() => {
            "it is expected here or has just left: what still comes is dropped silently, since an ICMP error would end its \
             sessions"
                .to_owned()
        }
        Some(route) if route.protocol == Protocol::Host.to_string() => {
            "a host behind one of our ports is preferred to any protocol's route".to_owned()
        }
        Some(route) => format!(
            "{} is the most specific of our routes that hold it, {}",
            route.prefix,
            match route.path.as_deref() {
                Some(path) => {
                    let protocol = if route.protocol == "isis" { "IS-IS" } else { "OSPF" };
                    let article = if path.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                    let metric = route.metric;
                    let said = format!("{article} {path} path of {protocol} with metric {metric}");
                    let tags = route.tag.map(u64::from).into_iter().chain(route.tag_64);
                    tags.fold(said, |said, tag| format!("{said} and tag {tag}"))
                }
                None => format!("a route of {} with metric {}", route.protocol, route.metric),
            }
        ),
    });
    reasons.extend(route.and_then(in_case_of_failure));
    reasons
}

/// What becomes of packets when the nexthops of a route fail.
fn in_case_of_failure(route: &Route) -> Option<String> {
    route.path.as_ref()?;
    let mut interfaces: Vec<_> = route.nexthops.iter().map(|hop| &hop.interface).collect();
    interfaces.dedup();
    Some(match (&route.backup, route.protects.as_deref()) {
        (Some(backup), Some(protects)) => format!(
            "if the nexthop fails packets go out of {} at once: that way avoids its {}",
            backup.interface,
            protects.replace('-', " ").replace("node", "neighbour"),
        ),
        _ if interfaces.len() > 1 => {
            "if one nexthop fails the others carry its packets at once".to_owned()
        }
        _ => {
            "if the nexthop fails packets are lost until routes have been computed anew".to_owned()
        }
    })
}

/// What this machine has to do with a host.
fn here(view: &HostView<'_>) -> String {
    let class = view.class.map_or_else(|| "released".to_owned(), |class| class.to_string());
    let port = view.port.map_or_else(String::new, |port| format!(" on port {port}"));
    let metric = match view.metric {
        Some(metric) => format!("advertised with metric {metric}"),
        None => "not advertised from here".to_owned(),
    };
    let state = match look::waits_for(view) {
        Some(why) => format!("waiting: {why}"),
        None => view.state.to_string(),
    };
    format!("this machine knows it ({class}{port}): {state}, {metric}")
}

/// What other routers have to do with a host.
fn elsewhere(rival: Others) -> String {
    let others = match rival.count {
        0 | 1 => String::new(),
        count => format!(", and {} more routers advertise it", count - 1),
    };
    match rival.metric {
        Some(metric) => {
            format!("router {} advertises it with metric {metric}{others}", rival.router)
        }
        None => format!("it is an address of router {}'s own", rival.router),
    }
}

/// The steps of the last move in the order of time.
fn steps(
    timeline: Timeline,
    live: Option<Time>,
    flooded: Vec<(Time, String)>,
    wall: Wall,
) -> Vec<Step> {
    let mut steps: Vec<(Time, String)> = [
        (timeline.claimed, "claimed"),
        (
            timeline.live.map(|asked| live.unwrap_or(asked)),
            "neighbour entry and route in the kernel",
        ),
        (timeline.yielded, "another router's newer claim seen"),
        (timeline.withdrawn, "withdrawn"),
    ]
    .into_iter()
    .filter_map(|(time, step)| Some((time?, step.to_owned())))
    .collect();
    let Some(first) = steps.iter().map(|(time, _)| *time).min() else { return Vec::new() };
    steps.extend(flooded.into_iter().filter(|(time, _)| *time >= first));
    dated(steps, wall)
}

/// Steps in the order of time.
fn dated(mut steps: Vec<(Time, String)>, wall: Wall) -> Vec<Step> {
    steps.sort_by_key(|(time, _)| *time);
    let Some(first) = steps.first().map(|(time, _)| *time) else { return Vec::new() };
    let after = |time: Time| look::micros(time.since(first));
    let dated = steps.into_iter();
    dated
        .map(|(time, step)| Step { step, time_us: wall.micros(time), after_us: after(time) })
        .collect()
}
