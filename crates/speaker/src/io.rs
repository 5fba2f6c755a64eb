//! What the speaker is told and what it asks for.

use std::net::{IpAddr, Ipv4Addr};

use bugle_bfd as bfd;
use bugle_mobility::Refused;
use bugle_rib::fib::{FibOp, FibSnapshot, NexthopId, Removable, RouteKey};
use bugle_types::{Address, IfIndex, Link, Mac, Time};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::event::Event;

/// Something that happened. Any input is legal at any time, in any order.
#[derive(Debug, Serialize)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// The whole configuration, at the start and after each reload; already checked.
    Config(Box<Config>),
    /// An interface appeared or changed.
    Link(Link),
    /// An interface was deleted.
    LinkGone(IfIndex),
    /// An address was added to an interface.
    Address(Address),
    /// An address was removed from an interface.
    AddressGone(Address),
    /// Every interface and address that exists has been reported. Comes once at the start, and after each resynchronisation;
    /// what was known before the resynchronisation began and was not reported again is gone.
    Synced,
    /// Notifications were lost: a resynchronisation begins. Links and addresses follow, then [`Input::Synced`].
    Resync,
    /// An OSPF packet arrived: the IP payload.
    Ospf {
        /// Where it arrived.
        ifindex: IfIndex,
        /// The IP source.
        src: Ipv4Addr,
        /// The IP destination.
        dst: Ipv4Addr,
        /// The OSPF packet.
        #[serde(serialize_with = "crate::record::hexadecimal")]
        bytes: &'a [u8],
    },
    /// A frame of IS-IS arrived.
    Isis {
        /// Where it arrived.
        ifindex: IfIndex,
        /// The frame's source.
        source: Mac,
        /// The PDU: what follows the logical link control, padding cut off or not.
        #[serde(serialize_with = "crate::record::hexadecimal")]
        bytes: &'a [u8],
    },
    /// What the kernel holds of ours, in answer to [`Output::ReadFib`].
    Fib(FibSnapshot),
    /// The kernel refused a change.
    FibFailed {
        /// The change.
        op: FibOp,
        /// The kernel's reason.
        reason: String,
    },
    /// The kernel deleted something of ours that we did not delete, or somebody else did.
    FibDisturbed,
    /// Somebody else replaced this route, which may be one of ours.
    FibReplaced(RouteKey),
    /// Nexthop objects were removed because a router does not answer any more, as [`Output::Removable`] allowed. That it does not is
    /// told next.
    FibRemoved(Vec<NexthopId>),
    /// Something happened to a BFD session.
    Bfd {
        /// When: BFD runs on its own, and may be ahead.
        at: Time,
        /// What.
        event: bfd::Event,
    },
    /// Somebody asks for a change to the hosts; [`Output::Reply`] answers with the same number.
    Host {
        /// Names the request.
        request: u64,
        /// What is asked.
        change: HostChange,
    },
    /// The daemon stops: withdraw, flush, and leave no route behind unless told to retain. Done when
    /// [`Speaker::is_quiet`](crate::Speaker::is_quiet), or when the driver has waited long enough.
    Shutdown,
}

/// A change to the hosts, asked for through the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HostChange {
    /// A host is here.
    Add {
        /// The VRF's name; `default` for the main table.
        vrf: String,
        /// The host's address.
        address: IpAddr,
        /// The interface behind which it is.
        port: Option<String>,
        /// Its Ethernet address.
        mac: Option<Mac>,
        /// It is only expected: provision it, advertise nothing yet.
        candidate: bool,
    },
    /// A host left.
    Remove {
        /// The VRF's name.
        vrf: String,
        /// The host's address.
        address: IpAddr,
    },
}

/// Why a change to the hosts was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostRefusal {
    /// No such VRF is configured.
    #[error("there is no VRF called {0:?}")]
    UnknownVrf(String),
    /// The speaker stops.
    #[error("the daemon is stopping")]
    Stopping,
    /// The host cannot be had; see there what to do.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Something the driver is asked to do. Outputs are carried out in the order in which they are polled.
#[derive(Debug)]
pub enum Output {
    /// Open a raw socket for OSPF (IP protocol 89) on an interface and join 224.0.0.5 there.
    OpenOspf(IfIndex),
    /// Close that socket.
    CloseOspf(IfIndex),
    /// Join or leave 224.0.0.6 (AllDRouters) on an interface.
    AllDRouters {
        /// The interface.
        ifindex: IfIndex,
        /// Join, or leave.
        join: bool,
    },
    /// Send an OSPF packet: the IP payload. TTL 1, precedence "internetwork control" (RFC 2328 appendix A.1).
    SendOspf {
        /// The interface to send on.
        ifindex: IfIndex,
        /// The source address.
        src: Ipv4Addr,
        /// The destination.
        dst: Ipv4Addr,
        /// The OSPF packet.
        bytes: Vec<u8>,
    },
    /// Open a packet socket for IS-IS on an interface, in place of the one that is open there if there is, and join its groups.
    OpenIsis {
        /// The interface.
        ifindex: IfIndex,
        /// Its MTU in octets.
        mtu: u16,
    },
    /// Close that socket.
    CloseIsis(IfIndex),
    /// Send a PDU of IS-IS in a frame of its own.
    SendIsis {
        /// The interface to send on.
        ifindex: IfIndex,
        /// The frame's source.
        source: Mac,
        /// The frame's destination, a group.
        destination: Mac,
        /// The PDU.
        bytes: Vec<u8>,
    },
    /// Change the kernel's forwarding.
    Fib(FibOp),
    /// The same at once: before whatever was asked for earlier and concerns other nexthop objects. A [`Queue`](bugle_rib::Queue)
    /// does that.
    Divert(FibOp),
    /// Read what the kernel holds of ours, after every change submitted so far has been carried out, and
    /// answer with [`Input::Fib`].
    ReadFib,
    /// From now on, whoever finds out by BFD that a router does not answer any more may remove these objects without asking, which leads
    /// traffic round it at once; tell of it by [`Input::FibRemoved`]. Can be ignored.
    Removable(Removable),
    /// A client wants a BFD session, or wants it differently; its events come as [`Input::Bfd`].
    RequestBfd {
        /// Who.
        client: bfd::Client,
        /// Between which systems.
        path: bfd::Path,
        /// How.
        settings: Box<bfd::Settings>,
        /// The device of the path's VRF, if it has one.
        device: Option<IfIndex>,
    },
    /// A client has no use for a BFD session any more.
    ReleaseBfd {
        /// Who.
        client: bfd::Client,
        /// Between which systems.
        path: bfd::Path,
    },
    /// The answer to [`Input::Host`].
    Reply {
        /// The request's number.
        request: u64,
        /// Whether it was done.
        result: Result<(), HostRefusal>,
    },
    /// Something worth telling.
    Event(Event),
}
