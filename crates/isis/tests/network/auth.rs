//! Authentication of every kind, and the change of a key.

use std::time::Duration;

use bugle_isis::{Auth, CircuitKind, Event, Input, Mismatch, claim_metric};
use bugle_types::IfIndex;
use bugle_wire::isis::{
    Algorithm, Key, Level, LspFields, LspFlags, LspId, NodeId, SequenceNumber, TlvBuilder, emit_lsp,
};

use crate::common::{World, host, mac, prefix, system_id};

const HOST: &str = "10.100.0.9/32";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn key(algorithm: Algorithm, id: u16, secret: &str) -> Key {
    Key::new(algorithm, id, secret.as_bytes()).unwrap()
}

/// Two systems on a link, that authenticate Hellos and all else.
fn pair(kind: CircuitKind, auths: [Auth; 2]) -> World {
    let mut world = World::new(2, 40);
    for (system, auth) in auths.iter().enumerate() {
        world.configs[system].domain_auth = auth.clone();
        let config = world.configs[system].clone();
        world.input(system, Input::Config(Box::new(config)));
    }
    world.join(&[0, 1], kind, 10);
    for (system, auth) in auths.into_iter().enumerate() {
        let config = bugle_isis::CircuitConfig { auth, ..world.circuit_config(system, 0) };
        world.set_circuit(system, IfIndex(1), Some(config));
    }
    world
}

fn agree(world: &mut World) -> bool {
    world.run_for(secs(12));
    world.input(0, Input::Host(prefix(HOST), Some(host(claim_metric(5)))));
    world.run_for(secs(1));
    let agree = world.up(0) == 1 && world.up(1) == 1 && world.routes[1].contains_key(&prefix(HOST));
    assert!(!agree || world.database(0, Level::L2) == world.database(1, Level::L2));
    agree
}

#[test]
fn systems_with_one_key_agree_whatever_its_algorithm() {
    for algorithm in [
        Algorithm::Cleartext,
        Algorithm::HmacMd5,
        Algorithm::HmacSha1,
        Algorithm::HmacSha224,
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
    ] {
        for kind in [CircuitKind::PointToPoint, CircuitKind::Broadcast] {
            let auth = Auth::with(key(algorithm, 7, "secret"));
            assert!(agree(&mut pair(kind, [auth.clone(), auth])), "{algorithm:?}");
        }
    }
}

#[test]
fn systems_with_different_keys_do_not_and_say_so() {
    let ours = Auth::with(key(Algorithm::HmacSha256, 7, "secret"));
    for (theirs, name) in [
        (Auth::with(key(Algorithm::HmacSha256, 7, "other")), "auth-mismatch"),
        (Auth::with(key(Algorithm::HmacSha256, 8, "secret")), "auth-unknown-key"),
        (Auth::with(key(Algorithm::HmacMd5, 7, "secret")), "auth-wrong-type"),
        (Auth::default(), "auth-missing"),
    ] {
        let mut world = pair(CircuitKind::PointToPoint, [ours.clone(), theirs]);
        assert!(!agree(&mut world), "{name}");
        let told = world.events[0].iter().any(|(_, event)| {
            let expected = Mismatch::Authentication(name);
            matches!(event, Event::Mismatch { mismatch, .. } if *mismatch == expected)
        });
        assert!(told, "{name}");
    }
}

#[test]
fn a_key_is_changed_without_losing_an_adjacency() {
    let old = key(Algorithm::HmacMd5, 0, "old");
    let new = key(Algorithm::HmacSha512, 1, "new");
    let auth = Auth::with(old.clone());
    let mut world = pair(CircuitKind::PointToPoint, [auth.clone(), auth]);
    assert!(agree(&mut world));
    let both = vec![old.clone(), new.clone()];
    let stages = [
        Auth { send: Some(old), accept: both.clone() },
        Auth { send: Some(new.clone()), accept: both },
        Auth { send: Some(new.clone()), accept: vec![new] },
    ];
    for auth in stages {
        for system in 0..2 {
            world.configs[system].domain_auth = auth.clone();
            let config = world.configs[system].clone();
            world.input(system, Input::Config(Box::new(config)));
            let circuit =
                bugle_isis::CircuitConfig { auth: auth.clone(), ..world.circuit_config(system, 0) };
            world.set_circuit(system, IfIndex(1), Some(circuit));
            world.run_for(secs(7));
        }
    }
    for system in 0..2 {
        let downs = world.events[system].iter().filter(|(_, event)| {
            matches!(event, Event::Adjacency { from: bugle_isis::AdjacencyState::Up, .. })
        });
        assert_eq!(downs.count(), 0);
    }
    assert_eq!(world.database(0, Level::L2), world.database(1, Level::L2));
}

#[test]
fn a_purge_needs_a_key_and_must_not_say_anything_else() {
    let secret = key(Algorithm::HmacSha256, 7, "secret");
    let auth = Auth::with(secret.clone());
    let mut world = pair(CircuitKind::PointToPoint, [auth.clone(), auth]);
    assert!(agree(&mut world));
    let id = LspId { node: NodeId::of_system(system_id(9)), fragment: 0 };
    let lsp = |lifetime, tlvs: &TlvBuilder, key: Option<&Key>| {
        let flags = LspFlags::NONE;
        let fields = LspFields { lifetime, id, sequence: SequenceNumber(3), flags };
        emit_lsp(Level::L2, &fields, tlvs.bytes(), key)
    };
    let mut body = TlvBuilder::new(100);
    body.protocol(0xcc);
    let deliver = |world: &mut World, bytes: &[u8]| {
        let (ifindex, source) = (IfIndex(1), mac(1, IfIndex(1)));
        world.input(0, Input::Pdu { ifindex, source, bytes });
        world.database(0, Level::L2).contains_key(&id)
    };
    let empty = TlvBuilder::new(100);
    assert!(deliver(&mut world, &lsp(1000, &body, Some(&secret))));
    assert!(deliver(&mut world, &lsp(0, &empty, None)), "not authenticated");
    assert!(deliver(&mut world, &lsp(0, &body, Some(&secret))), "RFC 5304 section 2");
    // The digest covers neither lifetime nor checksum: an LSP of theirs with a lifetime of zero is no purge.
    assert!(!deliver(&mut world, &lsp(0, &empty, Some(&secret))));
}
