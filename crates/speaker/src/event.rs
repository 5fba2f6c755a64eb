//! What is worth telling, in words.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bugle_bfd as bfd;
use bugle_isis::Event as IsisEvent;
use bugle_mobility::Event as HostEvent;
use bugle_ospf::Event as OspfEvent;
use bugle_rib::Event as RibEvent;
use bugle_rib::fib::RouteKey;
use bugle_types::Time;
use bugle_wire::bfd::{Diagnostic, State};

/// Something that happened. Logs, the API and `bugle watch` are adapters over these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub time: Time,
    /// The VRF's name; `None` if it concerns none.
    pub vrf: Option<String>,
    /// The interface's name, where there is one.
    pub interface: Option<String>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// In OSPF.
    Ospf(OspfEvent),
    /// In IS-IS.
    Isis(IsisEvent),
    /// In the forwarding table.
    Rib(RibEvent),
    /// To a host.
    Host(HostEvent),
    /// To a BFD session.
    Bfd(bfd::Event),
    /// A failure is being repaired.
    Repair(Repair),
    /// A link or path flaps, and is held down for so long; zero: no longer.
    Held(Failure, Duration),
    /// To the configuration or the machine; a sentence.
    Notice(String),
}

/// A step of the repair of a failure. The driver dates each step when it has been done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repair {
    /// What failed.
    pub of: Failure,
    /// What was done.
    pub step: RepairStep,
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// The path to a neighbour.
    Path(IpAddr),
    /// The link of the interface.
    Link,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(neighbor) => write!(f, "failure of the path to {neighbor}"),
            Self::Link => f.write_str("failure of the link"),
        }
    }
}

/// The steps of a repair in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RepairStep {
    /// It was found out.
    Detected,
    /// What the kernel had prepared for the case is in use.
    Diverted,
    /// The adjacency is no more.
    AdjacencyDown,
    /// The neighbours were told.
    Flooded,
    /// Routes were computed anew.
    Computed,
    /// The kernel has them.
    Installed,
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detected => "detected",
            Self::Diverted => "traffic diverted as far as prepared",
            Self::AdjacencyDown => "adjacency down",
            Self::Flooded => "flooded to the neighbours",
            Self::Computed => "routes computed",
            Self::Installed => "routes installed",
        })
    }
}

impl What {
    /// Whether a host is reachable here from now on: the changes to the kernel that this takes come before the event. The driver
    /// dates it when they have been made.
    #[must_use]
    pub fn is_arrival(&self) -> bool {
        matches!(self, Self::Host(HostEvent::Live { .. }))
    }

    /// Whether neighbours are told something new; the driver dates it when the packets are out, which come with the event.
    #[must_use]
    pub fn is_flooding(&self) -> bool {
        matches!(
            self,
            Self::Ospf(OspfEvent::Originated { .. }) | Self::Isis(IsisEvent::Originated { .. })
        )
    }

    /// A short name for the kind of event, as filters and metrics use it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ospf(event) => match event {
                OspfEvent::InterfaceState { .. } => "interface-state",
                OspfEvent::DesignatedRouter { .. } => "designated-router",
                OspfEvent::NeighborState { .. } => "neighbor-state",
                OspfEvent::Mismatch { .. } => "mismatch",
                OspfEvent::Dropped { .. } => "dropped",
                OspfEvent::Originated { .. } => "originated",
                OspfEvent::SelfOriginatedReceived { .. } => "self-originated-received",
                OspfEvent::DuplicateRouterId(_) => "duplicate-router-id",
                OspfEvent::SpfRun { .. } => "spf-run",
            },
            Self::Isis(event) => match event {
                IsisEvent::Adjacency { .. } => "neighbor-state",
                IsisEvent::DesignatedIs { .. } => "designated-router",
                IsisEvent::Mismatch { .. } => "mismatch",
                IsisEvent::Dropped { .. } => "dropped",
                IsisEvent::Originated { .. } => "originated",
                IsisEvent::Purged { .. } => "purged",
                IsisEvent::SelfOriginatedReceived { .. } => "self-originated-received",
                IsisEvent::DuplicateSystemId { .. } => "duplicate-system-id",
                IsisEvent::Overflow { .. } => "overflow",
                IsisEvent::SpfRun { .. } => "spf-run",
            },
            Self::Rib(event) => match event {
                RibEvent::Compared { .. } => "fib-compared",
                RibEvent::Failed { .. } => "fib-failed",
                RibEvent::Replaced { .. } => "fib-replaced",
                RibEvent::MixedFamilies { .. } => "mixed-families",
                RibEvent::TableTaken { .. } => "table-taken",
            },
            Self::Host(event) => host_kind(event),
            Self::Bfd(event) => match event {
                bfd::Event::Changed(_) => "bfd-state",
                bfd::Event::Joined { .. } => "bfd-joined",
                bfd::Event::Discarded { .. } => "bfd-discarded",
                bfd::Event::Stalled { .. } => "bfd-stalled",
            },
            Self::Repair(_) => "repair",
            Self::Held(_, Duration::ZERO) => "link-released",
            Self::Held(..) => "link-held",
            Self::Notice(_) => "notice",
        }
    }

    /// Whether an operator should look at it.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        if let Self::Held(_, hold) = self {
            return !hold.is_zero();
        }
        matches!(
            self,
            Self::Ospf(
                OspfEvent::Mismatch { .. }
                    | OspfEvent::Dropped { .. }
                    | OspfEvent::DuplicateRouterId(_)
            ) | Self::Isis(
                IsisEvent::Mismatch { .. }
                    | IsisEvent::Dropped { .. }
                    | IsisEvent::DuplicateSystemId { .. }
                    | IsisEvent::Overflow { .. }
            ) | Self::Rib(RibEvent::Failed { .. } | RibEvent::TableTaken { .. })
                | Self::Notice(_)
                | Self::Bfd(bfd::Event::Discarded { .. } | bfd::Event::Stalled { .. })
                | Self::Host(
                    HostEvent::Frozen { .. } | HostEvent::Tie { .. } | HostEvent::Refused { .. }
                )
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(interface) = &self.interface {
            write!(f, "{interface}: ")?;
        }
        match &self.what {
            What::Ospf(event) => ospf(f, event),
            What::Isis(event) => isis(f, event),
            What::Rib(event) => rib(f, event),
            What::Host(event) => host(f, event),
            What::Bfd(event) => bfd(f, event),
            What::Repair(Repair { of, step }) => write!(f, "{of}: {step}"),
            What::Held(of, Duration::ZERO) => write!(f, "held down no longer after {of}"),
            What::Held(of, hold) => write!(f, "{of} once too often: held down for {hold:?}"),
            What::Notice(text) => f.write_str(text),
        }
    }
}

fn ospf(f: &mut fmt::Formatter<'_>, event: &OspfEvent) -> fmt::Result {
    match event {
        OspfEvent::InterfaceState { from, to, .. } => write!(f, "state {from} -> {to}"),
        OspfEvent::DesignatedRouter { dr, bdr, .. } => {
            write!(f, "designated router {dr}, backup {bdr}")
        }
        OspfEvent::NeighborState { router_id, address, from, to, cause, .. } => {
            write!(f, "neighbor {router_id} ({address}) {from} -> {to} on {cause}")
        }
        OspfEvent::Mismatch { source, mismatch, .. } => {
            write!(f, "no adjacency with {source}: {mismatch}")
        }
        OspfEvent::Dropped { source, reason, detail, count, .. } => {
            write!(f, "dropped from {source}: {reason}: {detail} ({count} so far)")
        }
        OspfEvent::Originated { key, sequence, flushed } => {
            let verb = if *flushed { "flushed" } else { "originated" };
            write!(f, "{verb} {key} sequence {sequence}")
        }
        OspfEvent::SelfOriginatedReceived { key, sequence } => {
            write!(f, "our own {key} came back with sequence {sequence}")
        }
        OspfEvent::DuplicateRouterId(router_id) => {
            write!(f, "another router has our router id, {router_id}; give each its own")
        }
        OspfEvent::SpfRun { kind, nodes, changed, prefixes, .. } => {
            let kind = kind.name();
            write!(
                f,
                "SPF ({kind}) over {nodes} nodes: {changed} changed, {prefixes} prefixes to look at"
            )
        }
    }
}

fn isis(f: &mut fmt::Formatter<'_>, event: &IsisEvent) -> fmt::Result {
    match event {
        IsisEvent::Adjacency { system, source, levels, from, to, cause, .. } => {
            write!(f, "{levels} neighbor {system} ({source}) {from} -> {to} on {cause}")
        }
        IsisEvent::DesignatedIs { level, lan_id: Some(lan_id), .. } => {
            write!(f, "{level} designated router {}, pseudonode {lan_id}", lan_id.system)
        }
        IsisEvent::DesignatedIs { level, lan_id: None, .. } => {
            write!(f, "{level} without designated router")
        }
        IsisEvent::Mismatch { source, mismatch, .. } => {
            write!(f, "no adjacency with {source}: {mismatch}")
        }
        IsisEvent::Dropped { source, reason, detail, count, .. } => {
            write!(f, "dropped from {source}: {reason}: {detail} ({count} so far)")
        }
        IsisEvent::Originated { level, id, sequence, purged, .. } => {
            let verb = if *purged { "purged" } else { "originated" };
            write!(f, "{verb} {level} {id} sequence {sequence}")
        }
        IsisEvent::Purged { level, id, originator: Some(originator) } => {
            write!(f, "{originator} purged {level} {id}")
        }
        IsisEvent::Purged { level, id, originator: None } => write!(f, "{level} {id} was purged"),
        IsisEvent::SelfOriginatedReceived { level, id, sequence } => {
            write!(f, "our own {level} {id} came back with sequence {sequence}")
        }
        IsisEvent::DuplicateSystemId { level, system } => {
            write!(f, "{level}: another system has our system id, {system}; give each its own")
        }
        IsisEvent::Overflow { level } => {
            write!(
                f,
                "{level}: 256 LSPs do not hold all that is to be advertised: some is left out"
            )
        }
        IsisEvent::SpfRun { level, kind, nodes, changed, prefixes, .. } => {
            let kind = kind.name();
            write!(
                f,
                "{level} SPF ({kind}) over {nodes} nodes: {changed} changed, {prefixes} prefixes to look at"
            )
        }
    }
}

fn rib(f: &mut fmt::Formatter<'_>, event: &RibEvent) -> fmt::Result {
    match event {
        RibEvent::Compared { found, changes } => {
            write!(f, "the kernel holds {found} routes of ours; {changes} changes put it right")
        }
        RibEvent::Failed { op, reason } => write!(f, "the kernel refused {op:?}: {reason}"),
        RibEvent::Replaced { key: RouteKey { table, prefix, metric } } => write!(
            f,
            "another program replaced our route to {prefix} (metric {metric}, table {}); it is put back",
            table.0
        ),
        RibEvent::MixedFamilies { prefix, protocol, nexthop, .. } => {
            write!(f, "{protocol} route to {prefix} has a nexthop of the other family: {nexthop}")
        }
        RibEvent::TableTaken { table, by, .. } => {
            write!(f, "table {} belongs to VRF {} already; give each VRF its own", table.0, by.0)
        }
    }
}

fn host_kind(event: &HostEvent) -> &'static str {
    match event {
        HostEvent::Live { .. } => "host-live",
        HostEvent::PortChanged { .. } => "host-port-changed",
        HostEvent::Waiting { .. } => "host-waiting",
        HostEvent::PortLost { .. } => "host-port-lost",
        HostEvent::Yielded { .. } => "host-yielded",
        HostEvent::Tie { .. } => "host-tie",
        HostEvent::Resumed { .. } => "host-resumed",
        HostEvent::Normalized { .. } => "host-normalized",
        HostEvent::Withdrawn { .. } => "host-withdrawn",
        HostEvent::Frozen { .. } => "host-frozen",
        HostEvent::Unfrozen { .. } => "host-unfrozen",
        HostEvent::Refused { .. } => "host-refused",
    }
}

fn host(f: &mut fmt::Formatter<'_>, event: &HostEvent) -> fmt::Result {
    match event {
        HostEvent::Live { address, metric, from: None, .. } => {
            write!(f, "host {address} is live here, metric {metric}")
        }
        HostEvent::Live { address, metric, from: Some(from), .. } => {
            write!(f, "host {address} moved here from {from}, metric {metric}")
        }
        HostEvent::PortChanged { address } => write!(f, "host {address} moved to another port"),
        HostEvent::Waiting { address, why } => write!(f, "host {address} is not live: {why}"),
        HostEvent::PortLost { address } => write!(f, "host {address} lost its port"),
        HostEvent::Yielded { address, to } => write!(f, "host {address} moved to {to}"),
        HostEvent::Tie { address, with, kept } => {
            let outcome = if *kept { "it stays here" } else { "it is yielded" };
            write!(f, "host {address} is claimed by {with} with the same metric: {outcome}")
        }
        HostEvent::Resumed { address } => write!(f, "host {address} is live here again"),
        HostEvent::Normalized { address, metric } => {
            write!(f, "host {address} rests, metric {metric}")
        }
        HostEvent::Withdrawn { address } => write!(f, "host {address} is advertised no more"),
        HostEvent::Frozen { address, until } => {
            write!(f, "host {address} moved too often and is frozen until {until}")
        }
        HostEvent::Unfrozen { address } => write!(f, "host {address} can be claimed again"),
        HostEvent::Refused { address, reason } => write!(f, "claim of {address} refused: {reason}"),
    }
}

fn bfd(f: &mut fmt::Formatter<'_>, event: &bfd::Event) -> fmt::Result {
    match event {
        bfd::Event::Changed(change) => {
            let bfd::Change { path, from, to, cause, diagnostic, detection_time, .. } = change;
            write!(f, "BFD to {} {from} -> {to}: {cause}", path.remote)?;
            if *from != State::Up {
                return Ok(());
            }
            write!(f, " ({diagnostic}, detection time {detection_time:?}")?;
            if change.remote_diagnostic != Diagnostic::NONE {
                write!(f, ", neighbour says {}", change.remote_diagnostic)?;
            }
            if let Some(last) = change.last_received {
                write!(f, ", last packet at {last}")?;
            }
            f.write_str(")")
        }
        bfd::Event::Joined { client, path, state } => {
            write!(f, "{client} watches {} by BFD, which is {state}", path.remote)
        }
        bfd::Event::Discarded { reason, source, count } => {
            let source = source.map_or_else(|| "ourselves".to_owned(), |ip| ip.to_string());
            write!(f, "BFD packets from {source} discarded: {} ({count} so far)", reason.name())
        }
        bfd::Event::Stalled { late, count } => {
            write!(f, "BFD was not scheduled in time: {late:?} late ({count} times so far)")
        }
    }
}
