//! The synthetic neighbours against FRR, BIRD and bugle.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bugle_testbed::{
    Area, Bird, Bugled, Circuit, FibWatch, Frr, Interface, Isis, Lab, Network, Node, Ospf, Result,
    Router, Synthetic, SyntheticIsis, Tuning,
};

const SOON: Duration = Duration::from_secs(30);

const ROUTERS: u32 = 100;
const EXTERNALS: u32 = 1000;

/// The neighbour becomes Full, all its routes reach the kernel, and a flooded change moves some of them.
fn serves(name: &str, start: impl Fn(&Lab, &Node, &Ospf) -> Result<Router>) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let (tested, source) = (lab.node("tested")?, lab.node("source")?);
    let link = lab.link(&tested, &source)?;
    let router_id = Ipv4Addr::new(192, 0, 2, 1);
    let mut ospf = Ospf::new(router_id, vec![Interface::point_to_point(&link.a.interface)]);
    ospf.tuning = Tuning::Tuned;
    let mut area = Area::grid(ROUTERS, EXTERNALS, 1);
    area.attach(router_id.into(), link.b.address);

    let announced = area.clone();
    let mut watch = FibWatch::start(&tested, move |prefix| announced.announces(prefix))?;
    let router = start(&lab, &tested, &ospf)?;
    let synthetic = Synthetic::start(&link.b, &area)?;
    let deadline = Instant::now() + SOON;
    let mut added = 0;
    while added < ROUTERS + EXTERNALS {
        let change = watch.next(deadline).ok_or_else(|| lab.timeout(SOON, "all routes"))?;
        assert!(change.present);
        assert_eq!(change.gateways, [link.b.address]);
        added += 1;
    }
    assert_eq!(router.full_neighbors(), 1);
    assert!(synthetic.exchange_started() < synthetic.exchanged());

    synthetic.flood(area.renew_external(7));
    lab.wait_for(SOON, "the acknowledgment", || synthetic.unacknowledged() == 0)?;
    drop(synthetic);
    let change = watch.next(Instant::now() + SOON);
    let change = change.ok_or_else(|| lab.timeout(SOON, "routes to go with the neighbour"))?;
    assert!(!change.present);
    Ok(())
}

#[test]
fn frr_loads_a_synthetic_area() -> Result<()> {
    serves("sfrr", |lab, node, ospf| Frr::start(lab, node, ospf).map(Router::Frr))
}

#[test]
fn bird_loads_a_synthetic_area() -> Result<()> {
    serves("sbird", |lab, node, ospf| Bird::start(lab, node, ospf).map(Router::Bird))
}

/// The adjacency comes up, every system's prefix reaches the kernel, and a flooded change is acknowledged.
fn serves_isis(name: &str, start: impl Fn(&Lab, &Node, &Isis) -> Result<Router>) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let (tested, source) = (lab.node("tested")?, lab.node("source")?);
    let link = lab.link(&tested, &source)?;
    let isis = Isis::new(1, vec![Circuit::new(&link.a.interface, Network::PointToPoint)]);
    let mut area = Area::grid(ROUTERS, 0, 1);

    let announced = area.clone();
    let mut watch = FibWatch::start(&tested, move |prefix| announced.announces(prefix))?;
    let _router = start(&lab, &tested, &isis)?;
    let synthetic = SyntheticIsis::start(&link.b, &area, isis.system_id())?;
    let deadline = Instant::now() + SOON;
    for _ in 0..ROUTERS {
        let change = watch.next(deadline).ok_or_else(|| lab.timeout(SOON, "all routes"))?;
        assert!(change.present);
        assert_eq!(change.gateways, [link.b.address]);
    }
    assert!(synthetic.started().is_some());
    synthetic.flood(area.set_metric(7, 200, isis.system_id()));
    lab.wait_for(SOON, "the acknowledgment", || synthetic.unacknowledged() == 0)
}

#[test]
fn frr_loads_a_synthetic_area_of_isis() -> Result<()> {
    serves_isis("sifrr", |lab, node, isis| Frr::start_isis(lab, node, isis).map(Router::Frr))
}

#[test]
fn bugle_loads_a_synthetic_area_of_isis() -> Result<()> {
    serves_isis("sibug", |lab, node, isis| {
        Bugled::start_isis(lab, node, isis, "").map(Router::Bugle)
    })
}
