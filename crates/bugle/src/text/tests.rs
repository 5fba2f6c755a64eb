use std::collections::BTreeMap;

use bugle_api::model::{RouteNexthop, Step, VrfSummary};

use super::*;

fn shown(answer: &Reply) -> String {
    let mut output = Vec::new();
    reply(answer, &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

fn a_route() -> Route {
    Route {
        vrf: "default".to_owned(),
        prefix: "10.100.0.9/32".parse().unwrap(),
        protocol: "ospf".to_owned(),
        path: Some("external-2".to_owned()),
        metric: 10_000,
        nexthops: ["eth0", "eth1"]
            .map(|name| RouteNexthop {
                gateway: "192.0.2.2".parse().ok(),
                interface: name.to_owned(),
            })
            .to_vec(),
        backup: None,
        protects: None,
        tag: None,
        tag_64: None,
        installed: true,
    }
}

fn a_host() -> Host {
    Host {
        vrf: "default".to_owned(),
        address: "10.100.0.9".parse().unwrap(),
        state: "live".to_owned(),
        waits_for: None,
        since_seconds: 3,
        class: Some("pinned".to_owned()),
        port: Some("tap9".to_owned()),
        mac: "52:54:00:00:00:09".parse().ok(),
        metric: Some(9999),
        rivals: 1,
        rival: "192.0.2.7".parse().ok(),
        rival_metric: Some(10_000),
        moves: 1,
        frozen_seconds: None,
    }
}

#[test]
fn a_summary_is_a_few_lines_and_a_table_of_vrfs() {
    let vrf = VrfSummary {
        vrf: "default".to_owned(),
        table: Some(254),
        protocols: vec!["ospf".to_owned(), "isis".to_owned()],
        system_id: "0000.0000.0001".parse().ok(),
        duplicated_in: vec!["isis".to_owned()],
        interfaces: 2,
        neighbors: 2,
        neighbors_full: 1,
        database: 1200,
        routes: 1000,
        hosts: 40,
    };
    let red = VrfSummary {
        vrf: "red".to_owned(),
        table: None,
        protocols: Vec::new(),
        system_id: None,
        duplicated_in: Vec::new(),
        ..vrf.clone()
    };
    insta::assert_snapshot!(shown(&Reply::Summary(Summary {
        version: "0.1.0".to_owned(),
        hostname: "hv-a".to_owned(),
        router_id: "192.0.2.1".parse().unwrap(),
        uptime_seconds: 93_784,
        fib_enabled: false,
        vrfs: vec![vrf, red],
    })));
}

#[test]
fn interfaces_tell_what_keeps_adjacencies_from_forming() {
    let ospf = Interface {
        vrf: "default".to_owned(),
        protocol: "ospf".to_owned(),
        interface: "eth0".to_owned(),
        address: "198.51.100.1/24".to_owned(),
        area: "0.0.0.0".parse().ok(),
        level: None,
        link_type: "broadcast".to_owned(),
        state: "DR".to_owned(),
        cost: 10,
        priority: 1,
        hello_ms: 250,
        dead_ms: 1000,
        mtu: 1500,
        designated_router: "198.51.100.1".parse().ok(),
        backup_designated_router: None,
        lan_ids: BTreeMap::new(),
        neighbors: 1,
        drops: BTreeMap::from([("checksum".to_owned(), 3)]),
        mismatches: BTreeMap::from([(
            "198.51.100.3".to_owned(),
            "hello interval: ours 1 s, theirs 10 s".to_owned(),
        )]),
        flaps: 5,
        held_seconds: Some(8),
        held_neighbors: BTreeMap::from([("198.51.100.2".to_owned(), 2)]),
    };
    let isis = Interface {
        protocol: "isis".to_owned(),
        area: None,
        level: Some("L1L2".to_owned()),
        state: "Up".to_owned(),
        designated_router: None,
        lan_ids: ["L1", "L2"]
            .map(|level| (level.to_owned(), "0000.0000.0001.02".to_owned()))
            .into(),
        drops: BTreeMap::new(),
        mismatches: BTreeMap::new(),
        flaps: 0,
        held_seconds: None,
        held_neighbors: BTreeMap::new(),
        ..ospf.clone()
    };
    insta::assert_snapshot!(shown(&Reply::Interfaces(vec![ospf, isis])));
}

#[test]
fn neighbors_database_and_spf_are_tables() {
    let ospf = Neighbor {
        vrf: "default".to_owned(),
        protocol: "ospf".to_owned(),
        interface: "eth0".to_owned(),
        router_id: "192.0.2.2".parse().ok(),
        system_id: None,
        hostname: None,
        address: "198.51.100.2".parse().ok(),
        mac: None,
        level: None,
        state: "Full".to_owned(),
        priority: 1,
        since_seconds: 4210,
        designated_router: None,
        backup_designated_router: None,
        requested: 0,
        unacknowledged: 0,
        bfd: Some("Up".to_owned()),
        flaps: 0,
        expires_seconds: None,
    };
    let isis = Neighbor {
        protocol: "isis".to_owned(),
        router_id: None,
        system_id: "0000.0000.0002".parse().ok(),
        hostname: Some("leaf-2".to_owned()),
        mac: "52:54:00:00:00:02".parse().ok(),
        level: Some("L2".to_owned()),
        state: "Up".to_owned(),
        expires_seconds: Some(3),
        ..ospf.clone()
    };
    insta::assert_snapshot!(shown(&Reply::Neighbors(vec![ospf, isis])));
    let lsa = DatabaseEntry {
        vrf: "default".to_owned(),
        protocol: "ospf".to_owned(),
        area: None,
        level: None,
        lsa_type: "as-external".to_owned(),
        id: "10.100.0.9".to_owned(),
        advertising_router: "192.0.2.2".parse().unwrap(),
        hostname: None,
        sequence: "0x80000001".to_owned(),
        age_seconds: Some(17),
        lifetime_seconds: None,
        flags: Vec::new(),
        checksum: "0x1a2b".to_owned(),
        length: 36,
        lsa: "0011020a".to_owned(),
    };
    let lsp = DatabaseEntry {
        protocol: "isis".to_owned(),
        level: Some("L2".to_owned()),
        lsa_type: "lsp".to_owned(),
        id: "0000.0000.0002.00-00".to_owned(),
        advertising_router: "0000.0000.0002".parse().unwrap(),
        hostname: Some("leaf-2".to_owned()),
        sequence: "0x00000007".to_owned(),
        age_seconds: None,
        lifetime_seconds: Some(65_000),
        flags: vec!["OL".to_owned()],
        ..lsa.clone()
    };
    insta::assert_snapshot!(shown(&Reply::Database(vec![lsa, lsp])));
    insta::assert_snapshot!(shown(&Reply::Spf(vec![Spf {
        vrf: "default".to_owned(),
        protocol: "ospf".to_owned(),
        area: "0.0.0.0".parse().ok(),
        level: None,
        state: "quiet".to_owned(),
        due_in_us: Some(9800),
        runs: 12,
        runs_incremental: 9,
        runs_new_root: 1,
        runs_many_changes: 0,
        runs_many_nodes: 2,
        nodes: 1000,
        last_kind: "incremental".to_owned(),
        last_visited: 40,
        last_changed: 3,
        routes: 1000,
        routes_protected: 990,
        routes_ecmp: 500,
        routes_node_protected: 480,
        routes_unprotected: 10,
        routes_held: 0,
    }])));
}

#[test]
fn a_route_has_a_line_for_each_nexthop() {
    let dropped = Route { nexthops: Vec::new(), installed: false, path: None, ..a_route() };
    let [only, backup] = <[RouteNexthop; 2]>::try_from(a_route().nexthops).unwrap();
    let protected = Route { nexthops: vec![only], backup: Some(backup), ..a_route() };
    insta::assert_snapshot!(shown(&Reply::Routes(vec![a_route(), dropped, protected])));
}

#[test]
fn hosts_show_who_else_claims_them() {
    let plain = Host {
        port: None,
        mac: None,
        metric: None,
        rival: None,
        state: "candidate".to_owned(),
        waits_for: Some("port tap9 is down".to_owned()),
        class: None,
        ..a_host()
    };
    insta::assert_snapshot!(shown(&Reply::Hosts(vec![a_host(), plain])));
}

#[test]
fn an_empty_table_is_its_header() {
    insta::assert_snapshot!(shown(&Reply::Bfd(Vec::new())));
}

#[test]
fn events_are_lines_with_utc_times() {
    let event = Event {
        time_us: 1_700_000_000_123_456,
        kind: "neighbor-state".to_owned(),
        vrf: Some("red".to_owned()),
        message: "192.0.2.2 on eth0: Loading -> Full".to_owned(),
    };
    let lagged = Event { time_us: 0, vrf: None, kind: "lagged".to_owned(), ..event.clone() };
    insta::assert_snapshot!(shown(&Reply::Events(vec![event, lagged])));
}

#[test]
fn an_explanation_tells_route_host_reasons_and_timeline() {
    let mut output = Vec::new();
    let step = |after_us, step: &str| Step {
        step: step.to_owned(),
        time_us: 1_700_000_000_000_000 + after_us,
        after_us,
    };
    let mut told = Explanation {
        vrf: "default".to_owned(),
        address: "10.100.0.9".parse().unwrap(),
        route: Some(a_route()),
        host: Some(a_host()),
        reasons: vec!["its metric 9999 is below 10000 of 192.0.2.7".to_owned()],
        timeline: vec![step(0, "claimed"), step(180, "route installed"), step(1210, "advertised")],
        repair: vec![step(0, "detected"), step(95, "traffic diverted as far as prepared")],
    };
    explanation(&told, &mut output).unwrap();
    told.route = None;
    told.host = None;
    told.timeline.clear();
    told.repair.clear();
    explanation(&told, &mut output).unwrap();
    insta::assert_snapshot!(String::from_utf8(output).unwrap());
}
