//! The shipped scenarios: each is played, with OSPF, with IS-IS and with both, and with the timers of the RFCs, and its tables are a
//! snapshot, so that a change in convergence shows as a difference in review.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use bugle_sim::{Protocols, Report, Scenario, Timers, play};

fn scenario(text: &str) -> Scenario {
    let read = |path: &Path| Err(format!("{}: no files here", path.display()));
    Scenario::parse(text, &read).unwrap_or_else(|problems| panic!("{problems}"))
}

fn run(scenario: &Scenario) -> Report {
    play(scenario, &mut |_| ())
}

/// The scenarios in a directory of the library.
fn shipped(directory: &str) -> Vec<PathBuf> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(library)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sim"))
        .collect();
    files.sort();
    files
}

/// Plays a shipped scenario.
fn tell(name: &str) {
    let file = shipped("").into_iter().find(|file| file.file_stem().unwrap() == name).unwrap();
    let mut scenario = scenario(&fs::read_to_string(&file).unwrap());
    let report = run(&scenario);
    assert!(report.is_good(), "{name}:\n{}", report.table());
    let mut text = report.table();

    for (protocols, spoken) in [(Protocols::Isis, "IS-IS"), (Protocols::Both, "OSPF and IS-IS")] {
        scenario.protocols = protocols;
        let report = run(&scenario);
        assert!(report.is_good(), "{name} with {spoken}:\n{}", report.table());
        text.extend(["\n--- with ", spoken, "\n", &report.table()]);
    }

    scenario.timers = Timers::rfc();
    scenario.limits.clear();
    for (protocols, standards) in
        [(Protocols::Ospf, "RFC 2328 and RFC 8405"), (Protocols::Isis, "ISO 10589 and RFC 8405")]
    {
        scenario.protocols = protocols;
        let report = run(&scenario);
        assert!(report.is_good(), "{name} with the timers of {standards}:\n{}", report.table());
        text.extend(["\n--- with the timers of ", standards, "\n", &report.table()]);
    }
    insta::assert_snapshot!(name, text);
}

/// A test for each shipped scenario, so that they run side by side, and one that none is forgotten.
macro_rules! stories {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            tell($name);
        })*

        #[test]
        fn every_shipped_scenario_is_played() {
            let told = [$($name),*];
            for file in shipped("") {
                let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
                assert!(told.contains(&name.as_str()), "{name} is not played");
            }
        }
    };
}

stories! {
    a_move_costs_two_hops: "move",
    moves_in_quick_succession_end_where_the_machine_is: "chain-of-moves",
    a_machine_that_flaps_runs_no_spf: "flapping-vm",
    a_link_that_flaps_is_bounded: "flapping-link",
    an_evacuation_runs_no_spf: "evacuation",
    a_restart_storm_ends: "restart-storm",
    loss_everywhere_breaks_nothing: "loss-everywhere",
    a_silent_failure_lasts_the_dead_interval: "silent-failure",
    a_partition_heals: "partition",
    a_designated_router_is_replaced: "dr-dies",
    machines_move_between_areas: "areas",
    default_routes_lead_to_the_nearest_border_that_leads_out: "areas-attached",
    a_grid_survives_misery: "grid",
    a_rolling_upgrade_loses_nothing: "upgrade",
    slow_links_lose_nothing_for_good: "slow-links",
    without_alternates_packets_are_lost_until_spf_has_run: "alternates-none",
    alternates_carry_packets_until_spf_has_run: "alternates",
    a_local_delay_keeps_new_routes_from_looping: "microloop-delay",
}

#[test]
fn large_scenarios_have_no_mistakes() {
    for file in shipped("large") {
        let scenario = scenario(&fs::read_to_string(&file).unwrap());
        assert!(!scenario.events.is_empty() || scenario.network.routers.len() > 1, "{file:?}");
    }
}

const BUSY: &str = "
    title Everything at once
    topology clos 2 8
    hosts 3 each
    links loss 2% jitter 20us duplicate 1% reorder 1%
    at 20s every 100ms for 3s move random to random
    at 21s link random silent for 5s
    at 22s crash random leaf for 2s
";

#[test]
fn equal_seeds_give_equal_runs_however_many_threads_there_are() {
    let busy = scenario(BUSY);
    let runs = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&busy))
    });
    assert_eq!((runs[0].digest, runs[0].table()), (runs[1].digest, runs[1].table()));
    assert_eq!(runs[0].digest, runs[2].digest);
    let other = run(&Scenario { seed: 2, ..busy });
    assert_ne!(other.digest, runs[0].digest);
}

#[test]
fn exceeded_limits_are_told() {
    let limits = "expect packets at most 10\nexpect loss at most 1us\nexpect up at most 1ms";
    let report = run(&scenario(&format!("{BUSY}{limits}")));
    assert_eq!(report.exceeded.len(), 3, "{:?}", report.exceeded);
    assert!(!report.is_good());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = "\
topology clos 2
topology ring 5
hosts 3 everywhere
router r1
links loss 105%
timers hello 10s dead 5s
at 10s move 10.100.0.77 to r2
at soon crash r1
at 10s every 0s for 5s crash r1
at 10s link r1 r3 down
at 10s crash r1 for 5s later
at 10s move random to random for 5s
explode r1
expect loss at most lots
";
    let read = |_: &Path| Err(String::new());
    let problems = Scenario::parse(text, &read).unwrap_err();
    insta::assert_snapshot!(problems.to_string());
}

#[test]
fn networks_can_be_written_out_and_read_from_files() {
    let text = "topology file net.txt\nhosts 1 each\nat 20s crash core1 for 1s";
    let net = "link core1 core2 cost 5 7 latency 1ms\nlan lan1 core1 core2 edge1 cost 3\n\
               router core1 no-hosts\nrouter core2 no-hosts\nrouter edge1 stub # a hypervisor";
    let read = |path: &Path| {
        assert_eq!(path, Path::new("net.txt"));
        Ok(net.to_owned())
    };
    let scenario = Scenario::parse(text, &read).unwrap();
    let network = &scenario.network;
    assert_eq!((network.routers.len(), network.segments.len()), (3, 2));
    assert_eq!(scenario.hosts.len(), 1);
    let report = run(&scenario);
    assert!(report.is_good(), "{}", report.table());

    let broken = |_: &Path| Ok("router a\nlink a b\nfoo".to_owned());
    let problems = Scenario::parse(text, &broken).unwrap_err().to_string();
    assert!(problems.contains("net.txt, line 2: there is no router called \"b\""), "{problems}");
    assert!(problems.contains("net.txt, line 3"), "{problems}");
}

#[test]
fn the_picture_is_well_formed() {
    let svg = run(&scenario(BUSY)).svg();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<polyline").count(), 3);
    for tag in ["text", "title"] {
        let open = svg.matches(&format!("<{tag}")).count();
        assert_eq!(open, svg.matches(&format!("</{tag}>")).count());
    }
}
