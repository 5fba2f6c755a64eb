//! BFD sessions that bugle's configuration asks for by themselves, with FRR's bfdd and with BIRD.

use std::net::Ipv4Addr;

use bugle_testbed::{Bird, Bugled, Frr, Interface, Lab, Link, Node, Result};
use serde_json::Value;

use crate::support::{SOON, router, wait_for_entry};

/// bugle, a router, and a machine behind it.
struct Row {
    lab: Lab,
    ours: Node,
    middle: Node,
    theirs: Node,
    near: Link,
    far: Link,
}

impl Row {
    fn new(name: &str) -> Result<Option<Self>> {
        let Some(lab) = Lab::for_test(name)? else { return Ok(None) };
        let (ours, middle, theirs) = (lab.node("ours")?, lab.node("middle")?, lab.node("theirs")?);
        let near = lab.link(&ours, &middle)?;
        let far = lab.link(&middle, &theirs)?;
        ours.ip(&format!("route add {} via {}", far.b.address, near.b.address))?;
        theirs.ip(&format!("route add {} via {}", near.a.address, far.a.address))?;
        Ok(Some(Self { lab, ours, middle, theirs, near, far }))
    }

    /// Both machines as peers, the far one with this least TTL.
    fn config(&self, min_ttl: u8) -> String {
        let Self { near, far, .. } = self;
        format!(
            "router-id = '192.0.2.1'\n[bfd.lab]\ntx = '50ms'\nrx = '50ms'\n\
             [[vrf.default.bfd.peer]]\naddress = '{}'\ninterface = 'eth0'\nprofile = 'lab'\n\
             [[vrf.default.bfd.peer]]\naddress = '{}'\nlocal = '{}'\nmultihop = true\nmin-ttl = {min_ttl}\nprofile = 'lab'\n",
            near.b.address, far.b.address, near.a.address,
        )
    }

    fn wait(
        &self,
        bugled: &Bugled,
        address: Ipv4Addr,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<()> {
        wait_for_entry(&self.lab, bugled, "show bfd", what, |session| {
            session["address"] == address.to_string() && holds(session)
        })
    }

    fn wait_up(&self, bugled: &Bugled, address: Ipv4Addr) -> Result<()> {
        self.wait(bugled, address, "a session that is Up", |session| {
            session["state"] == "Up"
                && session["clients"][0] == "static"
                && session["detection_us"] == 150_000
        })
    }
}

/// BIRD's part of a session, as it is written in its configuration.
fn bird(address: Ipv4Addr, rest: &str) -> String {
    format!(
        "log stderr all; router id 192.0.2.9; protocol device {{}}\n\
         protocol bfd {{ interface \"*\" {{ interval 50 ms; multiplier 3; }}; multihop {{ interval 50 ms; multiplier 3; }}; \
         neighbor {address} {rest}; }}\n"
    )
}

#[test]
fn sessions_by_themselves_come_up_over_one_hop_and_several_with_bird() -> Result<()> {
    let Some(row) = Row::new("peersbird")? else { return Ok(()) };
    let Row { near, far, .. } = &row;
    let one = bird(near.a.address, &format!("dev \"eth0\" local {}", near.b.address));
    let _one = Bird::start_with(&row.lab, &row.middle, &one)?;
    let several = bird(near.a.address, &format!("local {} multihop", far.b.address));
    let _several = Bird::start_with(&row.lab, &row.theirs, &several)?;
    // BIRD sends with the system's TTL, 64.
    let bugled = Bugled::start(&row.lab, &row.ours, &row.config(63))?;
    row.wait_up(&bugled, near.b.address)?;
    row.wait_up(&bugled, far.b.address)?;
    // What fails is told apart.
    far.a.down()?;
    row.wait(&bugled, far.b.address, "a failure", |session| session["state"] == "Down")?;
    far.a.up()?;
    row.wait_up(&bugled, far.b.address)?;
    row.wait(&bugled, near.b.address, "no failure", |session| session["downs"] == 0)
}

#[test]
fn a_session_over_several_hops_with_frr_follows_the_configuration() -> Result<()> {
    let Some(row) = Row::new("peersfrr")? else { return Ok(()) };
    let Row { near, far, .. } = &row;
    let passive = Interface::passive("eth0").with_bfd(50, 3);
    let frr = Frr::start(&row.lab, &row.theirs, &router(2, vec![passive]))?;
    frr.vtysh(&format!(
        "configure terminal\nbfd\npeer {} multihop local-address {}\nprofile lab",
        near.a.address, far.b.address
    ))?;
    let bugled = Bugled::start(&row.lab, &row.ours, &row.config(254))?;
    row.wait_up(&bugled, far.b.address)?;
    row.wait(&bugled, far.b.address, "several hops", |session| {
        session["interface"].is_null() && session["min_ttl"] == 254
    })?;
    // What has passed a router comes from too far away.
    bugled.reload(&row.config(255))?;
    row.wait(&bugled, far.b.address, "silence", |session| {
        session["state"] == "Down" && session["diagnostic"] == "control detection time expired"
    })?;
    bugled.reload(&row.config(254).replace("50ms", "80ms"))?;
    row.wait(&bugled, far.b.address, "slower packets", |session| {
        session["state"] == "Up" && session["detection_us"] == 240_000
    })?;
    bugled.reload("router-id = '192.0.2.1'\n")?;
    row.lab.wait_for(SOON, "no session", || {
        bugled.show("show bfd").is_ok_and(|all| all.as_array().is_some_and(Vec::is_empty))
    })?;
    row.lab.wait_for(SOON, "FRR to know", || {
        let peers = frr.show("show bfd peers").unwrap_or_default();
        peers[0]["status"] == "down"
    })
}
