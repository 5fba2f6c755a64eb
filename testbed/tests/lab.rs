//! The lab tests itself: with namespaces, FRR and BIRD only.
#![expect(clippy::disallowed_methods, reason = "a lab runs in real time")]

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bugle_testbed::{
    Bird, FibWatch, Frr, Interface, Lab, LabError, Node, Ospf, Probe, Result, RouteEditor, Router,
    Tuning, Vm, tools,
};
use bugle_types::{Mac, Prefix};

const SOON: Duration = Duration::from_secs(20);

const VM: Vm =
    Vm { address: Ipv4Addr::new(10, 100, 0, 9), mac: Mac([0x52, 0x54, 0x00, 0x00, 0x00, 0x09]) };

fn router(number: u8, interfaces: Vec<Interface>) -> Ospf {
    Ospf::new(Ipv4Addr::new(192, 0, 2, number), interfaces)
}

fn pings(from: &Node, to: Ipv4Addr) -> bool {
    from.run("ping", &["-c", "1", "-W", "1", &to.to_string()]).is_ok()
}

fn namespaces_of(id: &str) -> usize {
    let list = tools::run("ip", &["netns", "list"]).unwrap_or_default();
    list.lines().filter(|line| line.contains(id)).count()
}

#[test]
fn a_dropped_lab_leaves_nothing_behind() -> Result<()> {
    let Some(lab) = Lab::for_test("drop")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    lab.link(&a, &b)?;
    let directory = lab.directory().to_owned();
    let id = directory.file_name().unwrap().to_string_lossy().into_owned();
    // Not a process that the lab knows: a grandchild.
    a.run("sh", &["-c", "sleep 1000 >/dev/null 2>&1 &"])?;
    assert_eq!(namespaces_of(&id), 2);
    drop((lab, a, b));
    assert_eq!(namespaces_of(&id), 0);
    assert!(!directory.exists());
    Ok(())
}

#[test]
fn a_cut_port_fails_silently_and_a_downed_one_takes_the_carrier() -> Result<()> {
    let Some(lab) = Lab::for_test("cut")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let lan = lab.lan(&[&a, &b])?;
    let link = lab.link(&a, &b)?;
    let carrier = |interface: &str| {
        a.ip(&format!("link show {interface}")).map(|text| text.contains("LOWER_UP"))
    };
    assert!(pings(&a, lan.ports[1].address));
    lan.cut(1)?;
    assert!(!pings(&a, lan.ports[1].address));
    assert!(carrier(&lan.ports[0].interface)?);
    lan.mend(1)?;
    assert!(pings(&a, lan.ports[1].address));

    assert!(pings(&a, link.b.address));
    link.b.down()?;
    lab.wait_for(SOON, "the carrier to go", || {
        carrier(&link.a.interface).is_ok_and(|carrier| !carrier)
    })?;
    Ok(())
}

#[test]
fn interfaces_can_be_renamed_and_deleted() -> Result<()> {
    let Some(lab) = Lab::for_test("rename")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let mut link = lab.link(&a, &b)?;
    link.a.rename("uplink7")?;
    assert!(pings(&b, link.a.address));
    link.a.delete()?;
    assert!(b.ifindex(&link.b.interface).is_err());
    Ok(())
}

#[test]
fn a_wait_that_expires_shows_the_logs() -> Result<()> {
    let Some(lab) = Lab::for_test("wait")? else { return Ok(()) };
    let node = lab.node("a")?;
    let mut process = node.spawn("talker", "/bin/echo".as_ref(), &["last", "words"])?;
    lab.wait_for(SOON, "echo to end", || process.ended().is_some())?;
    let error = lab.wait_for(Duration::ZERO, "the impossible", || false).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LabError::Timeout { .. }));
    assert!(text.contains("the impossible") && text.contains("last words"), "{text}");
    Ok(())
}

#[test]
fn a_route_change_is_seen_with_its_gateway() -> Result<()> {
    let Some(lab) = Lab::for_test("fib")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let link = lab.link(&a, &b)?;
    let prefix = Prefix::host(VM.address.into());
    let mut watch = FibWatch::start(&a, move |changed| changed == prefix)?;
    let soon = || Instant::now() + SOON;

    a.ip(&format!("route add {} via {} metric 20", VM.address, link.b.address))?;
    let change = watch.next_change(prefix, soon()).unwrap();
    assert!(change.present);
    assert_eq!((change.gateways, change.metric), (vec![link.b.address], 20));
    assert_eq!(a.gateways(&prefix.to_string())?, [link.b.address]);
    a.ip(&format!("route del {}", VM.address))?;
    assert!(!watch.next_change(prefix, soon()).unwrap().present);

    let editor = RouteEditor::new(&a, &link.a.interface)?;
    editor.add(VM.address)?;
    let change = watch.next_change(prefix, soon()).unwrap();
    assert!(change.present && change.gateways.is_empty());
    assert!(editor.add(VM.address).is_err(), "the route exists");
    editor.delete(VM.address)?;
    assert!(!watch.next_change(prefix, soon()).unwrap().present);
    assert!(editor.delete(VM.address).is_err(), "the route is gone");
    Ok(())
}

#[test]
fn probes_reach_the_guest_that_the_hypervisor_routes_to() -> Result<()> {
    let Some(lab) = Lab::for_test("probe")? else { return Ok(()) };
    let (client, hypervisor) = (lab.node("client")?, lab.node("hv")?);
    let link = lab.link(&client, &hypervisor)?;
    let placement = VM.place(&lab, &hypervisor, "tap0")?;
    client.ip(&format!("route add default via {}", link.b.address))?;
    let editor = RouteEditor::new(&hypervisor, "tap0")?;

    let probe = Probe::start(&client, VM.address, 1000, &[&placement.guest])?;
    std::thread::sleep(Duration::from_millis(20));
    let added = Instant::now();
    editor.add(VM.address)?;
    std::thread::sleep(Duration::from_millis(100));
    let report = probe.stop();
    let outage = report.outage(added, 0);
    assert!(report.lost() > 0, "there was no route at first");
    assert!(outage.duration.is_some(), "{outage:?}");
    assert!(!report.arrivals.is_empty());
    assert_eq!(report.duplicates(), 0);
    Ok(())
}

/// Two routers on a link: both become Full, and a host route of the second reaches the kernel of the first.
fn host_route_crosses_a_link(
    name: &str,
    start: impl Fn(&Lab, &Node, &Ospf) -> Result<Router>,
) -> Result<()> {
    let Some(lab) = Lab::for_test(name)? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let link = lab.link(&a, &b)?;
    VM.place(&lab, &b, "tap0")?;
    let config = |number, interface: &str| Ospf {
        redistribute_kernel: true,
        tuning: Tuning::Tuned,
        ..router(number, vec![Interface::point_to_point(interface)])
    };
    let prefix = Prefix::host(VM.address.into());
    let mut watch = FibWatch::start(&a, move |changed| changed == prefix)?;
    let mut routers = [
        start(&lab, &a, &config(1, &link.a.interface))?,
        start(&lab, &b, &config(2, &link.b.interface))?,
    ];
    lab.wait_for(SOON, "both adjacencies", || {
        routers.iter().all(|router| router.full_neighbors() == 1)
    })?;
    let neighbors = routers[0].neighbors()?;
    assert_eq!(neighbors[0].address, link.b.address);
    assert_eq!(neighbors[0].router_id, Ipv4Addr::new(192, 0, 2, 2).into());
    assert_eq!(neighbors[0].interface, link.a.interface);

    let editor = RouteEditor::new(&b, "tap0")?;
    editor.add(VM.address)?;
    let change = watch.next_change(prefix, Instant::now() + SOON);
    let change = change.ok_or_else(|| lab.timeout(SOON, "the route"))?;
    assert!(change.present);
    assert_eq!(change.gateways, [link.b.address]);
    for process in routers[0].processes() {
        assert!(process.cpu_time()? > Duration::ZERO);
        assert!(process.rss_kib()? > 0);
    }
    for router in &mut routers {
        router.stop()?;
    }
    Ok(())
}

#[test]
fn host_route_crosses_a_link_between_two_frr() -> Result<()> {
    host_route_crosses_a_link("frr", |lab, node, ospf| {
        Ok(Router::Frr(Frr::start(lab, node, ospf)?))
    })
}

#[test]
fn host_route_crosses_a_link_between_two_bird() -> Result<()> {
    host_route_crosses_a_link("bird", |lab, node, ospf| {
        Ok(Router::Bird(Bird::start(lab, node, ospf)?))
    })
}

#[test]
fn frr_and_bird_come_back_after_being_killed() -> Result<()> {
    let Some(lab) = Lab::for_test("restart")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let lan = lab.lan(&[&a, &b])?;
    let config = |position: u8| {
        let interface = &lan.ports[usize::from(position)].interface;
        router(position + 1, vec![Interface::broadcast(interface)])
    };
    let mut frr = Frr::start(&lab, &a, &config(0))?;
    let mut bird = Bird::start(&lab, &b, &config(1))?;
    let full = |frr: &Frr| frr.neighbors().is_ok_and(|n| n.iter().any(|n| n.state == "Full"));
    lab.wait_for(SOON, "the adjacency", || full(&frr))?;
    frr.kill();
    frr.restart()?;
    lab.wait_for(SOON, "the adjacency after FRR's restart", || full(&frr))?;
    bird.kill();
    lab.wait_for(SOON, "the dead neighbour to go", || frr.neighbors().is_ok_and(|n| n.is_empty()))?;
    bird.restart()?;
    lab.wait_for(SOON, "the adjacency after BIRD's restart", || full(&frr))
}

/// Not a test by itself: the victim of the next one, which runs it in a process of its own.
#[test]
#[ignore = "run by a_killed_owner_leaves_nothing_behind"]
fn victim() -> Result<()> {
    let Some(lab) = Lab::for_test("victim")? else { return Ok(()) };
    let (a, b) = (lab.node("a")?, lab.node("b")?);
    let link = lab.link(&a, &b)?;
    let ospf = router(1, vec![Interface::point_to_point(&link.a.interface)]);
    let _frr = Frr::start(&lab, &a, &ospf)?;
    std::fs::write(
        std::env::var("BUGLE_LAB_READY").unwrap(),
        lab.directory().to_string_lossy().as_bytes(),
    )
    .unwrap();
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

#[test]
fn a_killed_owner_leaves_nothing_behind() -> Result<()> {
    let Some(lab) = Lab::for_test("killer")? else { return Ok(()) };
    let ready = lab.directory().join("ready");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "victim"])
        .env("BUGLE_LAB_READY", &ready)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let directory = || std::fs::read_to_string(&ready).unwrap_or_default();
    let started = lab.wait_for(SOON, "the victim's lab", || !directory().is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    started?;
    let directory = std::path::PathBuf::from(directory());
    let id = directory.file_name().unwrap().to_string_lossy().into_owned();
    lab.wait_for(SOON, "the victim's lab to go", || namespaces_of(&id) == 0 && !directory.exists())
}
