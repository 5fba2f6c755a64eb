//! `make demo`: a virtual machine moves between two hypervisors, 20 times, with every contender in the same run.
#![expect(clippy::disallowed_methods, reason = "a demonstration runs in real time")]

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use bugle_testbed::contender::Make;
use bugle_testbed::moves::{GIVE_UP, Move, MoveLab};
use bugle_testbed::summary::{Summary, comparison, millis, stagger};
use bugle_testbed::tools::{self, say};
use bugle_testbed::{LabError, Result};

/// From one move of a machine to its next, for every contender alike: a default FRR or BIRD needs up to 7 s to accept a host route
/// again that it has just seen withdrawn.
const SPACING: Duration = Duration::from_secs(8);

/// A virtual machine moves between two hypervisors, behind one spine, while a client sends it 1,000 packets a second: the same with
/// bugle, FRR and BIRD, in one run.
#[derive(Parser)]
#[command(name = "bugle-demo")]
struct Arguments {
    /// How many times each machine moves.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    moves: u32,
    /// Who takes part.
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = CONTENDERS.map(|(key, ..)| key),
        default_values = CONTENDERS.map(|(key, ..)| key),
    )]
    only: Vec<String>,
}

/// Who can take part: what it is called on the command line and in the table, what runs on the hypervisors, what on the spine.
const CONTENDERS: [(&str, &str, Make, Make); 5] = [
    ("bugle", "bugle", Make::Bugle, Make::Bugle),
    ("bugle-frr", "bugle, FRR spine", Make::Bugle, Make::FrrDefault),
    ("frr", "FRR", Make::FrrDefault, Make::FrrDefault),
    ("frr-tuned", "FRR tuned", Make::FrrTuned, Make::FrrTuned),
    ("bird", "BIRD", Make::Bird, Make::Bird),
];

fn main() -> ExitCode {
    match demo(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(LabError::NotRoot) => {
            say(
                "The demonstration builds network namespaces, which needs root. Run: sudo make demo",
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("The demonstration failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A contender's lab and its results so far.
struct Contender {
    name: &'static str,
    lab: MoveLab,
    moves: Vec<Move>,
}

fn demo(arguments: &Arguments) -> Result<()> {
    tools::require_root()?;
    let moves = arguments.moves;
    let chosen: Vec<_> = CONTENDERS
        .into_iter()
        .filter(|(key, ..)| arguments.only.iter().any(|only| only == key))
        .collect();
    let programs = chosen.iter().flat_map(|(.., a, b)| [a.programs(), b.programs()]).flatten();
    tools::require(programs.copied().chain(["ip"]))?;
    say(&format!(
        "A virtual machine moves {moves} times between two hypervisors, behind one spine, every {} s, \
         while a client sends it 1,000 packets a second.\nThis takes about {} minutes.",
        SPACING.as_secs(),
        (SPACING * moves + Duration::from_secs(40)).as_secs().div_ceil(60),
    ));
    let mut contenders = Vec::new();
    for (_, name, hypervisors, spine) in chosen {
        say(&format!("starting {name}"));
        let lab = MoveLab::start(hypervisors, spine)?;
        contenders.push(Contender { name, lab, moves: Vec::new() });
    }
    for contender in &mut contenders {
        say(&format!("waiting for {} to converge", contender.name));
        contender.lab.converge()?;
    }
    thread::sleep(SPACING);
    say("\nPer move in ms: told / rerouted / outage");
    say(&line("move", contenders.iter().map(|contender| contender.name.to_owned())));
    for round in 1..=moves {
        let start = Instant::now();
        thread::sleep(stagger(round));
        let mut cells = Vec::new();
        for contender in &mut contenders {
            let result = contender.lab.move_machine()?;
            cells.push(cell(&result));
            contender.moves.push(result);
        }
        say(&line(&round.to_string(), cells));
        if round < moves {
            thread::sleep(SPACING.saturating_sub(start.elapsed()));
        }
    }
    report(&contenders);
    Ok(())
}

/// A row of the table that grows while one watches.
fn line(first: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells.into_iter().map(|cell| format!(" {cell:^20} |"));
    format!("| {first:>4} |{}", cells.collect::<String>())
}

/// What a move took, in milliseconds.
fn cell(result: &Move) -> String {
    let or_never = |duration: Option<Duration>| duration.map_or_else(|| "never".to_owned(), millis);
    let Move { told, rerouted, outage } = result;
    format!("{} / {} / {}", millis(*told), or_never(*rerouted), or_never(outage.duration))
}

fn report(contenders: &[Contender]) {
    type Measure = fn(&Move) -> Option<Duration>;
    let measures: [(&str, Measure); 3] = [
        ("told, ms", |result| Some(result.told)),
        ("rerouted, ms", |result| result.rerouted),
        ("outage, ms", |result| result.outage.duration),
    ];
    for (what, measure) in measures {
        let series: Vec<_> = contenders
            .iter()
            .map(|Contender { name, moves, .. }| (*name, Summary::of(moves.iter().map(measure))))
            .collect();
        say(&format!("\n{}", comparison(what, &series).trim_end()));
    }
    let lost = contenders.iter().map(|Contender { name, moves, .. }| {
        let lost: usize = moves.iter().map(|result| result.outage.lost).sum();
        format!("{name} {lost}")
    });
    say(&format!("\npackets lost: {}\n", lost.collect::<Vec<_>>().join(", ")));
    say(&format!(
        "told: until what told routing has answered. bugle has then installed and advertised the route; for FRR and BIRD it is the kernel.\n\
         rerouted: from before that until the spine's kernel sends to the new hypervisor alone; given up after {} s.\n\
         outage: until the first packet from which on all reached the machine at its new place.\n\
         Ratios compare medians.",
        GIVE_UP.as_secs()
    ));
}
