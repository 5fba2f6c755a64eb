//! Which sessions are to have the echo function (RFC 5880 section 6.4), and what of it this machine can do.

use std::collections::BTreeMap;

use bugle_bfd::{Client, Hop, Path, Settings};
use bugle_inject::forwarding;
use bugle_types::IfIndex;
use bugle_wire::bfd::Interval;
use socket2::Socket;

use super::Order;
use super::echo::{self, Place};

/// Where echo packets come back, by whose wish.
#[derive(Debug, Default)]
pub(super) struct Loops {
    wanted: BTreeMap<(Client, Path), Place>,
}

/// What else there is to do with an order.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Before it: echo packets will come back there.
    pub(super) begun: Option<(Place, Socket)>,
    /// After it: nothing comes back there any more.
    pub(super) ended: Option<Place>,
}

impl Loops {
    /// Opens what an order needs, and says what is not needed after it. What this machine cannot do is taken out of the order.
    pub(super) fn prepare(&mut self, order: &mut Order) -> Places {
        let (client, path, settings) = match order {
            Order::Request { client, path, settings, .. } => (*client, *path, Some(settings)),
            Order::Release { client, path } => (*client, *path, None),
            Order::BeginEcho { .. } | Order::EndEcho(_) | Order::Removable(_) | Order::Look(_) => {
                return Places::default();
            }
        };
        let before = self.wanted.remove(&(client, path));
        let mut places = Places::default();
        if let (Some(settings), Hop::Single(ifindex)) = (settings, path.hop) {
            loop_back(ifindex, settings);
            let place = Place { ifindex, local: settings.local };
            if settings.profile.echo.tx != Interval::ZERO {
                match self.open(place, before) {
                    Ok(socket) => {
                        places.begun = socket.map(|socket| (place, socket));
                        self.wanted.insert((client, path), place);
                    }
                    Err(error) => {
                        tracing::warn!("no BFD echo packets to {}: {error}", path.remote);
                        settings.profile.echo.tx = Interval::ZERO;
                    }
                }
            }
        }
        places.ended = before.filter(|before| !self.is_open(*before));
        places
    }

    fn is_open(&self, place: Place) -> bool {
        self.wanted.values().any(|wanted| *wanted == place)
    }

    /// The socket for a place that has none, neither by others' wish nor by an earlier one.
    fn open(&self, place: Place, before: Option<Place>) -> std::io::Result<Option<Socket>> {
        let known = before == Some(place) || self.is_open(place);
        if known { Ok(None) } else { echo::open(place).map(Some) }
    }
}

/// Nobody is told that his echo packets are sent back unless the kernel does that: he would take the path for failed.
fn loop_back(ifindex: IfIndex, settings: &mut Settings) {
    let echo = &mut settings.profile.echo;
    let is_ipv6 = settings.local.is_ipv6();
    let name = nix::net::if_::if_indextoname(ifindex.0).ok();
    let name = name.as_deref().and_then(|name| name.to_str().ok()).unwrap_or("all");
    // Where that cannot be read, the configuration knows better.
    if echo.rx != Interval::ZERO && !forwarding::is_on(name, is_ipv6).unwrap_or(true) {
        let setting = if is_ipv6 { "ipv6.conf.all" } else { "ipv4.conf.all" };
        tracing::warn!(
            "echo-rx: the kernel does not forward on {name}, so BFD asks neighbours for no echo packets; set \
             net.{setting}.forwarding to 1 and reload"
        );
        echo.rx = Interval::ZERO;
    }
}
