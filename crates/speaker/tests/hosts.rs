//! Hosts over OSPF, from the request to the far kernel, in virtual time.

mod common;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bugle_speaker::record::{Replay, ReplayError};
use bugle_speaker::{HostChange, HostRefusal, Input};
use bugle_types::{IfIndex, Mac, Nexthop, Prefix};
use common::{Deed, Way, World, add, hypervisor_config, remove, spine_config};

const HOST: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 9);
const TAP: IfIndex = IfIndex(2);
const MS: Duration = Duration::from_millis(1);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The spine's route to a hypervisor.
fn towards(hypervisor: u8) -> Way {
    let gateway = Ipv4Addr::new(10, 0, hypervisor, 2);
    Way::Nexthops(vec![Nexthop::via(IfIndex(hypervisor.into()), gateway.into())])
}

/// A hypervisor's route to its own port, and to the spine.
fn local() -> Way {
    Way::Nexthops(vec![Nexthop::on_link(TAP)])
}

fn to_spine(hypervisor: u8) -> Way {
    Way::Nexthops(vec![Nexthop::via(IfIndex(1), Ipv4Addr::new(10, 0, hypervisor, 1).into())])
}

fn metrics(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
    pairs.iter().map(|&(router, metric)| (router.to_owned(), metric)).collect()
}

fn settled(hypervisors: usize) -> World {
    let mut world = World::star(hypervisors);
    world.run_for(secs(6));
    world
}

#[test]
fn a_host_is_added_neighbour_first_then_route_then_advertisement() {
    let mut world = settled(2);
    world.machines[1].deeds.clear();
    world.host(1, add(HOST)).unwrap();
    let deeds = &world.machines[1].deeds;
    assert!(
        matches!(&deeds[..], [Deed::Neighbor, Deed::Route(key), Deed::Sent] if key.prefix == Prefix::host(HOST.into())),
        "{deeds:?}"
    );
    assert_eq!(world.machines[1].kernel.lookup(HOST), local());
    let took =
        world.run_until(MS, "spine knows", |w| w.machines[0].kernel.lookup(HOST) == towards(1));
    assert!(took <= Duration::from_micros(200), "{took:?}");
    world.run_for(secs(1));
    assert_eq!(world.machines[2].kernel.lookup(HOST), to_spine(2));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.1", 10_000)]));
}

#[test]
fn a_move_takes_the_traffic_along_and_ends_with_one_advertiser_at_rest() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.host(2, add(HOST)).unwrap();
    assert_eq!(world.machines[2].kernel.lookup(HOST), local());
    world.run_until(MS, "spine follows", |w| w.machines[0].kernel.lookup(HOST) == towards(2));
    // The old host forwards what still comes, back to the spine and on to the new one.
    world.run_until(MS, "old host lets go", |w| w.machines[1].kernel.lookup(HOST) == to_spine(1));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.1", 10_000), ("192.0.2.2", 9_999)]));
    world.run_for(secs(5));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.2", 9_999)]));
    world.run_for(secs(12));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.2", 10_000)]));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(2));
}

#[test]
fn moves_in_quick_succession_end_at_the_last_host() {
    for gap in [1, 5, 50, 400, 900, 1_500] {
        for path in [&[1, 2, 3][..], &[1, 2, 1], &[1, 2, 3, 1], &[1, 2, 3, 2]] {
            let mut world = settled(3);
            world.host(path[0], add(HOST)).unwrap();
            world.run_for(secs(3));
            for &next in &path[1..] {
                world.host(next, add(HOST)).unwrap();
                world.run_for(gap * MS);
            }
            let last = *path.last().unwrap();
            world.run_for(secs(2));
            let octet = u8::try_from(last).unwrap();
            assert_eq!(world.machines[0].kernel.lookup(HOST), towards(octet), "{path:?} {gap} ms");
            world.run_for(secs(20));
            let name = format!("192.0.2.{last}");
            assert_eq!(world.advertised(0, HOST), metrics(&[(&name, 10_000)]), "{path:?} {gap} ms");
            assert_eq!(world.machines[last].kernel.lookup(HOST), local());
            for other in (1..=3).filter(|&other| other != last) {
                let octet = u8::try_from(other).unwrap();
                assert_eq!(world.machines[other].kernel.lookup(HOST), to_spine(octet));
            }
        }
    }
}

#[test]
fn a_host_added_before_the_machine_is_known_waits_for_it() {
    let mut world = settled(2);
    world.kill(1);
    world.restart_with(1, |world| world.tell(1, add(HOST)));
    world.run_for(secs(5));
    assert_eq!(world.answers(1), [Ok(())]);
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
}

#[test]
fn a_host_added_before_there_is_a_configuration_waits_for_it() {
    let mut world = settled(2);
    world.kill(1);
    world.restart_unconfigured(1, |world| world.tell(1, add(HOST)));
    world.run_for(secs(5));
    assert_eq!(world.answers(1), [Ok(())]);
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
}

#[test]
fn a_host_removed_before_there_is_a_configuration_is_not_taken_up_from_the_kernel() {
    let mut world = settled(2);
    let other = Ipv4Addr::new(10, 100, 0, 10);
    world.host(1, add(HOST)).unwrap();
    world.host(1, add(other)).unwrap();
    world.run_for(secs(3));
    world.kill(1);
    world.restart_unconfigured(1, |world| world.tell(1, remove(HOST)));
    world.run_for(secs(15));
    assert_eq!(world.answers(1), [Ok(())]);
    for machine in 0..3 {
        assert_eq!(world.machines[machine].kernel.lookup(HOST), Way::None);
    }
    assert_eq!(world.machines[0].kernel.lookup(other), towards(1), "what nobody removed is kept");
}

#[test]
fn a_host_removed_while_the_daemon_starts_is_not_taken_up_from_the_kernel() {
    for early in [true, false] {
        let mut world = settled(2);
        world.host(1, add(HOST)).unwrap();
        world.run_for(secs(3));
        world.kill(1);
        world.restart_with(1, |world| {
            if early {
                world.tell(1, remove(HOST));
            }
        });
        if !early {
            world.tell(1, remove(HOST));
        }
        world.run_for(secs(15));
        assert_eq!(world.answers(1), [Ok(())], "early: {early}");
        for machine in 0..3 {
            assert_eq!(world.machines[machine].kernel.lookup(HOST), Way::None, "early: {early}");
        }
    }
}

#[test]
fn going_back_within_a_second_is_as_fast_as_going() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.host(2, add(HOST)).unwrap();
    world.run_for(300 * MS);
    world.host(1, add(HOST)).unwrap();
    world.run_until(MS, "spine follows back", |w| w.machines[0].kernel.lookup(HOST) == towards(1));
}

#[test]
fn a_host_removed_is_gone_everywhere() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.host(1, remove(HOST)).unwrap();
    world.run_for(secs(3));
    for machine in 0..3 {
        assert_eq!(world.machines[machine].kernel.lookup(HOST), Way::None);
    }
    assert!(world.machines[1].kernel.neighbors.is_empty());
    assert_eq!(world.advertised(0, HOST), metrics(&[]));
    assert!(world.host(1, remove(HOST)).is_err());
}

#[test]
fn addresses_that_are_no_hosts_are_refused_with_a_reason() {
    let mut world = settled(1);
    for (address, words) in [
        ("10.101.0.1", "prefixes"),
        ("224.0.0.5", "multicast"),
        ("127.0.0.1", "loopback"),
        ("10.0.1.2", "machine"),
        ("192.0.2.1", "machine"),
        ("2001:db8::1", "IPv6"),
    ] {
        let change = HostChange::Add {
            vrf: "default".into(),
            address: address.parse().unwrap(),
            port: Some("tap0".into()),
            mac: None,
            candidate: false,
        };
        let error = world.host(1, change).unwrap_err().to_string();
        assert!(error.contains(words), "{address}: {error}");
    }
    let elsewhere = HostChange::Add {
        vrf: "blue".into(),
        address: HOST.into(),
        port: None,
        mac: None,
        candidate: false,
    };
    let unknown = HostRefusal::UnknownVrf("blue".to_owned());
    assert_eq!(world.host(1, elsewhere), Err(unknown));
}

#[test]
fn addresses_of_routers_and_of_networks_are_refused_though_they_are_within_prefixes() {
    let mut world = settled(2);
    world.configure(1, &hypervisor_config("192.0.2.1").replace("10.100.0.0/16", "0.0.0.0/0"));
    for (whose, address) in [
        ("ours", "10.0.1.2"),
        ("our network's", "10.0.1.0"),
        ("our network's, for broadcasts", "10.0.1.255"),
        ("our neighbour's", "10.0.1.1"),
        ("our neighbour's id", "192.0.2.100"),
        ("a router's id", "192.0.2.2"),
        ("that router's link's", "10.0.2.2"),
        ("the other end's of that link", "10.0.2.1"),
    ] {
        let error = world.host(1, add(address.parse().unwrap())).unwrap_err().to_string();
        assert!(error.contains("an address of this machine, a router"), "{whose}: {error}");
        assert_eq!(world.machines[1].kernel.lookup(address.parse().unwrap()), Way::None);
    }
    // An address of a far network that no router has.
    world.host(1, add(Ipv4Addr::new(10, 0, 2, 3))).unwrap();
    // What routers had before.
    world.kill(2);
    world.run_for(secs(50));
    world.host(1, add(Ipv4Addr::new(192, 0, 2, 2))).unwrap();
}

#[test]
fn a_host_added_again_after_the_router_changed_its_identity_still_hears_of_rivals() {
    let mut world = settled(2);
    world.host(2, add(HOST)).unwrap();
    world.run_for(secs(3));
    // A move, so that it is remembered after it was removed.
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.host(1, remove(HOST)).unwrap();
    world.host(2, remove(HOST)).unwrap();
    world.run_for(secs(3));
    world.configure(1, &hypervisor_config("192.0.2.9"));
    world.run_for(secs(20));
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
    world.host(2, add(HOST)).unwrap();
    world.run_for(secs(3));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(2));
    assert_eq!(world.machines[1].kernel.lookup(HOST), to_spine(1));
}

#[test]
fn however_a_host_comes_it_gets_no_address_of_a_router() {
    let anywhere = hypervisor_config("192.0.2.1").replace("10.100.0.0/16", "0.0.0.0/0");
    let [declared, asked] = [Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(10, 0, 2, 2)];
    let statics =
        format!("[[vrf.default.hosts.static]]\naddress = \"{declared}\"\nport = \"tap0\"\n");
    let mut world = settled(2);
    world.configure(1, &(anywhere + &statics));
    world.kill(1);
    world.run_for(secs(50));
    world.restart_with(1, |world| world.tell(1, add(asked)));
    world.run_for(secs(20));
    let answers = world.answers(1);
    let error = answers.first().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("an address of this machine, a router"), "{error}");
    for address in [declared, asked] {
        assert_ne!(world.machines[1].kernel.lookup(address), local());
        assert_eq!(world.advertised(0, address), metrics(&[]));
    }
    // The router is gone, and what the configuration declares is taken.
    world.kill(2);
    world.run_for(secs(50));
    assert_eq!(world.machines[0].kernel.lookup(declared), towards(1));
}

#[test]
fn a_host_asked_for_while_the_daemon_starts_moves_here_from_whoever_has_it() {
    let mut world = settled(2);
    world.host(2, add(HOST)).unwrap();
    world.run_for(secs(20));
    world.kill(1);
    world.run_for(secs(50));
    world.restart_with(1, |world| world.tell(1, add(HOST)));
    world.run_for(secs(20));
    assert_eq!(world.answers(1), [Ok(())]);
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
    assert_eq!(world.machines[2].kernel.lookup(HOST), to_spine(2));
}

/// With Hellos every 10 s, as RFC 2328 has it, a neighbour is heard of late.
#[test]
fn hosts_of_a_start_are_decided_when_a_neighbour_with_rare_hellos_has_been_heard() {
    let found = Ipv4Addr::new(10, 100, 0, 10);
    // Whoever has the higher router id.
    for (killed, other) in [(1, 2), (2, 1)] {
        let mut world = World::star(2);
        for machine in 0..3 {
            let config = match machine {
                0 => spine_config("192.0.2.100"),
                number => hypervisor_config(&format!("192.0.2.{number}")),
            };
            let rare = config.replace("hello = \"1s\"\n         dead = \"4s\"", "");
            assert_ne!(rare, config);
            world.configure(machine, &rare);
        }
        world.run_for(secs(70));
        world.host(other, add(HOST)).unwrap();
        world.host(killed, add(found)).unwrap();
        world.run_for(secs(20));
        world.kill(killed);
        world.run_for(secs(1));
        // While it is dead one of its hosts goes to the other hypervisor.
        world.host(other, add(found)).unwrap();
        // Until just after a Hello of the spine.
        world.run_for(secs(54));
        world.restart_with(killed, |world| world.tell(killed, add(HOST)));
        world.run_for(secs(60));
        let towards = |number| towards(u8::try_from(number).unwrap());
        assert_eq!(world.answers(killed), [Ok(())]);
        assert_eq!(world.machines[0].kernel.lookup(HOST), towards(killed), "asked for");
        assert_eq!(world.machines[0].kernel.lookup(found), towards(other), "left by a former run");
    }
}

#[test]
fn who_waits_for_an_answer_gets_one_when_there_will_be_no_decision() {
    for stopping in [false, true] {
        let mut world = settled(2);
        let red = "[vrf.red]\ntable = 7\n[[vrf.red.ospf.interface]]\nname = \"eth*\"\n";
        world.configure(1, &(hypervisor_config("192.0.2.1") + red));
        let vrf = || "red".to_owned();
        let address = HOST.into();
        world.tell(
            1,
            HostChange::Add { vrf: vrf(), address, port: None, mac: None, candidate: false },
        );
        assert_eq!(world.answers(1), []);
        let refusal = if stopping {
            world.input(1, Input::Shutdown);
            HostRefusal::Stopping
        } else {
            world.configure(1, &hypervisor_config("192.0.2.1"));
            HostRefusal::UnknownVrf(vrf())
        };
        assert_eq!(world.answers(1), [Err(refusal)]);
    }
}

#[test]
fn a_static_host_is_claimed_when_its_port_appears_and_withdrawn_when_it_goes() {
    let mut world = settled(2);
    let statics = hypervisor_config("192.0.2.1")
        + "[[vrf.default.hosts.static]]
           address = \"10.100.0.9\"
           port = \"tap7\"
           mac = \"52:54:00:00:00:09\"
          ";
    world.configure(1, &statics);
    world.run_for(secs(1));
    assert_eq!(world.machines[0].kernel.lookup(HOST), Way::None);
    world.set_link(1, 2, |link| link.name = "tap7".into());
    world.run_until(MS, "spine knows", |w| w.machines[0].kernel.lookup(HOST) == towards(1));
    let mac = Mac([0x52, 0x54, 0, 0, 0, 9]);
    assert_eq!(world.machines[1].kernel.neighbors.get(&(TAP, HOST.into())), Some(&mac));
    world.set_link(1, 2, |link| link.admin_up = false);
    world.run_for(secs(5));
    assert_eq!(world.machines[0].kernel.lookup(HOST), Way::None);
    world.set_link(1, 2, |link| link.admin_up = true);
    world.run_for(secs(3));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
}

#[test]
fn a_killed_speaker_takes_up_its_hosts_from_the_kernel_and_traffic_never_stops() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    let other = Ipv4Addr::new(10, 100, 0, 77);
    world.host(2, add(other)).unwrap();
    world.run_for(secs(5));
    let before = world.machines[1].kernel.clone();
    world.kill(1);
    world.run_for(secs(1));
    world.start(1);
    // Until the adjacency is back nothing may be missing; check every millisecond.
    let mut lost = 0;
    for _ in 0..8_000 {
        world.run_for(MS);
        assert_eq!(world.machines[1].kernel.lookup(HOST), local());
        assert_eq!(world.machines[1].kernel.lookup(other), to_spine(1));
        lost += u32::from(world.machines[0].kernel.lookup(HOST) != towards(1));
    }
    assert_eq!(lost, 0, "milliseconds without a route at the spine");
    assert_eq!(world.machines[1].kernel.routes, before.routes);
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.1", 10_000)]));
}

#[test]
fn a_host_that_moved_away_while_the_speaker_was_dead_is_not_taken_back() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.kill(1);
    world.host(2, add(HOST)).unwrap();
    world.run_for(secs(1));
    world.start(1);
    world.run_for(secs(30));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(2));
    assert_eq!(world.machines[1].kernel.lookup(HOST), to_spine(1));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.2", 10_000)]));
}

/// A star whose spine keeps to RFC 2328's MinLSInterval, as routers do at their defaults: it takes 5 s to say that a neighbour is back.
fn settled_around_a_slow_spine() -> World {
    let mut world = settled(2);
    let slow = "[vrf.default.ospf]\nlsa-min-interval = \"5s\"";
    world.configure(0, &spine_config("192.0.2.100").replace("[vrf.default.ospf]", slow));
    world.run_for(secs(10));
    world
}

#[test]
fn a_killed_speaker_keeps_its_hosts_while_a_slow_spine_takes_it_in() {
    let mut world = settled_around_a_slow_spine();
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(10));
    world.kill(1);
    world.run_for(Duration::from_millis(4_500));
    world.start(1);
    for _ in 0..20_000 {
        world.run_for(MS);
        assert_eq!(world.machines[1].kernel.lookup(HOST), local(), "{}", world.now);
        assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.1", 10_000)]));
    }
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
}

#[test]
fn a_host_that_moved_away_is_not_taken_back_while_a_slow_spine_takes_the_speaker_in() {
    let mut world = settled_around_a_slow_spine();
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(10));
    world.kill(1);
    world.host(2, add(HOST)).unwrap();
    world.run_for(Duration::from_millis(4_500));
    world.start(1);
    for _ in 0..30_000 {
        world.run_for(MS);
        assert_eq!(world.machines[0].kernel.lookup(HOST), towards(2));
    }
    assert_eq!(world.machines[1].kernel.lookup(HOST), to_spine(1));
    assert_eq!(world.advertised(0, HOST), metrics(&[("192.0.2.2", 10_000)]));
}

#[test]
fn shutting_down_leaves_nothing_in_the_kernel_and_nothing_in_the_network() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.input(1, Input::Shutdown);
    world.run_until(secs(2), "quiet", |w| w.machines[1].speaker.is_quiet());
    assert!(world.machines[1].kernel.is_empty());
    world.run_for(secs(1));
    assert_eq!(world.machines[0].kernel.lookup(HOST), Way::None);
    assert_eq!(world.advertised(0, HOST), metrics(&[]));
}

#[test]
fn a_new_cost_takes_effect_without_losing_the_adjacency() {
    let mut world = settled(2);
    world.configure(0, &(spine_config("192.0.2.100") + "cost = 77\n"));
    world.run_for(secs(3));
    let lost =
        world.machines[0].events.iter().filter(|e| e.to_string().contains("-> Init")).count();
    assert_eq!(lost, 2, "once at the start, for each neighbour");
    let state = world.machines[1].speaker.state();
    let route = state.vrf("default").unwrap().lookup("10.0.2.9".parse().unwrap()).unwrap();
    assert_eq!(route.metric, 10 + 77);
}

#[test]
fn routes_of_a_previous_run_stay_until_others_are_known() {
    let mut world = settled(2);
    let other = Ipv4Addr::new(10, 100, 0, 77);
    world.host(2, add(other)).unwrap();
    world.run_for(secs(5));
    world.kill(1);
    world.cut(1);
    world.start(1);
    world.run_for(secs(100));
    assert_eq!(world.machines[1].kernel.lookup(other), to_spine(1), "nobody was heard yet");
    world.run_for(secs(30));
    assert_eq!(world.machines[1].kernel.lookup(other), Way::None, "nobody will be");
}

#[test]
fn a_new_router_id_takes_over_hosts_and_adjacencies() {
    let mut world = settled(2);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.configure(1, &hypervisor_config("192.0.2.11"));
    world.run_for(secs(8));
    assert_eq!(world.advertised(2, HOST), metrics(&[("192.0.2.11", 10_000)]));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
    assert_eq!(world.machines[1].kernel.lookup(HOST), local());
    let state = world.machines[1].speaker.state();
    let route = state.vrf("default").unwrap().lookup("10.0.2.9".parse().unwrap());
    assert!(route.is_some(), "it has routes again");
}

#[test]
fn ospf_can_be_configured_away_and_back() {
    let mut world = settled(2);
    let far = "10.0.2.9".parse().unwrap();
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    world.configure(1, "router-id = \"192.0.2.1\"\n");
    world.run_for(secs(6));
    assert_eq!(world.machines[0].kernel.lookup(HOST), Way::None);
    let route = |world: &World| {
        let state = world.machines[1].speaker.state();
        state.vrf("default").unwrap().lookup(far).is_some()
    };
    assert!(!route(&world), "without OSPF there are no routes of OSPF");
    world.configure(1, &hypervisor_config("192.0.2.1"));
    world.run_for(secs(8));
    assert!(route(&world));
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(3));
    assert_eq!(world.machines[0].kernel.lookup(HOST), towards(1));
}

#[test]
fn a_thousand_hosts_come_and_go() {
    let mut world = settled(2);
    let host = |n: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 100, 0, 0)) + 256 + n);
    for n in 0..1_000 {
        world.host(1, add(host(n))).unwrap();
    }
    world.run_for(secs(3));
    assert!((0..1_000).all(|n| world.machines[0].kernel.lookup(host(n)) == towards(1)));
    for n in 0..1_000 {
        world.host(1, remove(host(n))).unwrap();
    }
    world.run_for(secs(4));
    assert!((0..1_000).all(|n| world.machines[0].kernel.lookup(host(n)) == Way::None));
    assert_eq!(world.machines[0].kernel.routes.len(), 0);
}

/// Replays a recording to its end, and returns what was asked for.
fn replay(recording: &str) -> Result<Vec<String>, ReplayError> {
    let mut lines = recording.lines();
    let mut replay = Replay::new(lines.next().unwrap_or_default(), |_| Err("no key".to_owned()))?;
    let mut all = Vec::new();
    for line in lines {
        replay.step(line, |_, output| all.push(format!("{output:?}")))?;
    }
    assert_eq!(replay.told().0, recording.lines().count() - 1);
    Ok(all)
}

#[test]
fn a_recorded_speaker_can_be_replayed_bit_for_bit() {
    let mut world = settled(3);
    world.host(1, add(HOST)).unwrap();
    world.run_for(secs(2));
    world.host(2, add(HOST)).unwrap();
    world.host(1, remove(HOST)).unwrap();
    world.run_for(secs(1));
    world.cut(3);
    world.set_link(2, 1, |link| link.carrier = false);
    world.run_for(secs(3));
    world.set_link(2, 1, |link| link.carrier = true);
    world.kill(1);
    world.start(1);
    world.run_for(secs(20));
    for machine in 0..4 {
        world.input(machine, Input::Shutdown);
        let recording = &world.machines[machine].recording;
        assert!(recording.lines().count() > 50, "{recording}");
        assert!(replay(recording).unwrap().len() > 50);
    }

    let recording = &world.machines[2].recording;
    let first_host = recording.lines().position(|line| line.contains("\"Host\"")).unwrap();
    // A host with another MAC address: what is asked for next is not what was recorded.
    let other = recording.replacen("52:54:00:00:00:09", "52:54:00:00:00:0a", 1);
    let parted = replay(&other).unwrap_err();
    assert!(
        matches!(parted, ReplayError::Parted { line, .. } if line == first_host + 2),
        "{parted:?}, host in line {}",
        first_host + 1
    );
    let (whole, _) = recording.trim_end().split_at(recording.len() - 10);
    let lines = recording.lines().count();
    assert_eq!(replay(whole).unwrap_err(), ReplayError::BrokenOff(lines));
    let unreadable = replay(&recording.replacen("\"Host\"", "\"Guest\"", 1)).unwrap_err();
    assert!(matches!(unreadable, ReplayError::Unreadable { line, .. } if line == first_host + 1));
    assert_eq!(replay("{}").unwrap_err(), ReplayError::NoRecording);
    let older = recording.replacen("\"bugle_recording\":2", "\"bugle_recording\":1", 1);
    assert_eq!(replay(&older).unwrap_err(), ReplayError::Format(1));
}
