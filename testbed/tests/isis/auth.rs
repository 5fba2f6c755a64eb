//! Keys: those that FRR has, and those that only bugle has.

use bugle_testbed::{Bugled, Isis, Node, Result};

use crate::support::{SOON, TAP, VM, wait_for_entry, wait_for_gateways};
use crate::{HOSTS, Pair, bugle, frr, interoperate, mismatch};

/// The router with a password for LSPs and one for Hellos.
fn with(algorithm: &'static str, mut isis: Isis) -> Isis {
    isis.algorithm = algorithm;
    isis.password = Some("trombone");
    isis.interfaces.iter_mut().for_each(|circuit| circuit.password = Some("slide"));
    isis
}

#[test]
fn hellos_and_lsps_are_authenticated() -> Result<()> {
    for (name, algorithm) in [("isis-auth", "hmac-md5"), ("isis-clear", "cleartext")] {
        interoperate(name, &with(algorithm, bugle(1)), &with(algorithm, frr(2)), 1)?;
    }
    Ok(())
}

#[test]
fn another_password_is_told() -> Result<()> {
    for (name, algorithm) in [("isis-password", "hmac-md5"), ("isis-cleartext", "cleartext")] {
        let one = |mut isis: Isis, password| {
            isis.algorithm = algorithm;
            isis.interfaces[0].password = Some(password);
            isis
        };
        let (ours, theirs) = (one(bugle(1), "slide"), one(frr(2), "valve"));
        mismatch(name, |_| Ok(()), &ours, &theirs, "authentication: ")?;
    }
    Ok(())
}

#[test]
fn between_bugles_keys_of_every_hash_hold_and_one_is_replaced_by_another_without_a_flap()
-> Result<()> {
    for algorithm in ["hmac-sha-1", "hmac-sha-256", "hmac-sha-384", "hmac-sha-512"] {
        let Some(pair) = Pair::new(&format!("isis-{algorithm}"))? else { return Ok(()) };
        let start = |node: &Node, number| {
            Bugled::start_isis(&pair.lab, node, &with(algorithm, bugle(number)), HOSTS)
        };
        let both = [start(&pair.ours, 1)?, start(&pair.theirs, 2)?];
        let is_up = || both.iter().all(|bugled| bugled.up() == 1);
        pair.lab.wait_for(SOON, "the adjacency on both sides", is_up)?;
        // First both accept the new key, then they send it, then they forget the old one.
        for (step, keys) in (1..).zip(["OLD, NEW", "NEW, OLD", "NEW"]) {
            for (number, (node, bugled)) in (1..).zip([&pair.ours, &pair.theirs].iter().zip(&both))
            {
                let directory = node.directory();
                node.write("valve", "valve")?;
                let config = with(algorithm, bugle(number)).bugle(&directory.to_string_lossy());
                let rolled = config.lines().map(|line| rolled(line, keys) + "\n");
                bugled.reload(&(rolled.collect::<String>() + HOSTS))?;
                let done = || bugled.log().matches("reloaded").count() == step;
                pair.lab.wait_for(SOON, "the reload", done)?;
                assert!(!bugled.log().contains("not reloaded"), "{}", bugled.log());
            }
        }
        // Longer than the holding time of what was sent with the old key.
        for bugled in &both {
            wait_for_entry(&pair.lab, bugled, "show neighbors", "an old adjacency", |entry| {
                entry["state"] == "Up" && entry["since_seconds"].as_u64() >= Some(8)
            })?;
        }
        both[0].add_host(VM.address, TAP, VM.mac)?;
        wait_for_gateways(&pair.lab, &pair.theirs, VM.address, &[pair.link.a.address])?;
    }
    Ok(())
}

/// A line of the configuration in which keys are these.
fn rolled(line: &str, keys: &str) -> String {
    let Some((key, old)) = line.split_once(" = {") else { return line.to_owned() };
    let (old, name) = (format!("{{{old}"), if key == "auth" { "slide" } else { "trombone" });
    let new = old.replace(&format!("/{name}\""), "/valve\", key-id = 2");
    format!("{key} = [{}]", keys.replace("OLD", &old).replace("NEW", &new))
}
