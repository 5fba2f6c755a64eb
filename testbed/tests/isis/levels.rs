//! What goes from one level to the other, beside prefixes.

use std::net::Ipv4Addr;

use bugle_testbed::isis::Level;
use bugle_testbed::{Area, Bugled, Frr, Isis, Lab, Result, SyntheticIsis};
use bugle_wire::isis::{
    CapabilityFlags, LspFields, LspFlags, LspId, NodeId, SequenceNumber, SubTlvs, TlvBuilder,
    emit_lsp,
};

use crate::support::SOON;
use crate::{node, point_to_point};

/// Nobody here says anything for the whole domain, so a synthetic neighbour in level 2 does. FRR, in level 1, hears of it from bugle.
#[test]
fn what_a_router_says_for_the_domain_goes_from_level_2_to_level_1_while_it_can_be_reached()
-> Result<()> {
    let Some(lab) = Lab::for_test("isis-capable")? else { return Ok(()) };
    let (inner, middle, outer) =
        (node(&lab, "inner")?, node(&lab, "middle")?, node(&lab, "outer")?);
    let (_, outside) = (lab.link(&inner, &middle)?, lab.link(&middle, &outer)?);
    let mut between = Isis::new(2, vec![point_to_point("eth0"), point_to_point("eth1")]);
    between.level = Level::Both;
    between.interfaces[0].level = Level::One;
    let within = Isis::new(1, vec![point_to_point("eth0")]).at(Level::One);
    let frr = Frr::start_isis(&lab, &inner, &within)?;
    let _bugled = Bugled::start_isis(&lab, &middle, &between, "")?;
    let synthetic = SyntheticIsis::start(&outside.b, &Area::grid(4, 0, 1), between.system_id())?;
    lab.wait_for(SOON, "both adjacencies", || frr.up() == 1 && synthetic.started().is_some())?;

    let id = LspId { node: NodeId::of_system(Area::system_id(0)), fragment: 1 };
    let (sequence, flags) = (SequenceNumber(1), LspFlags::LEVEL_1);
    let fields = LspFields { lifetime: 1200, id, sequence, flags };
    let mut tlvs = TlvBuilder::new(100);
    let router = Ipv4Addr::new(192, 0, 2, 99);
    tlvs.router_capability(router, CapabilityFlags::DOMAIN, SubTlvs::default());
    let level = bugle_wire::isis::Level::L2;
    synthetic.flood(vec![(id, emit_lsp(level, &fields, tlvs.bytes(), None))]);
    let capability = || {
        let database = frr.vtysh("show isis database detail").unwrap_or_default();
        database.lines().find(|line| line.contains("192.0.2.99")).map(|line| line.trim().to_owned())
    };
    lab.wait_for(SOON, "the capability in level 1", || capability().is_some())?;
    assert_eq!(capability().as_deref(), Some("Router Capability: 192.0.2.99 , D:1, S:1"));

    drop(synthetic);
    lab.wait_for(SOON, "the capability to go with its router", || capability().is_none())
}
