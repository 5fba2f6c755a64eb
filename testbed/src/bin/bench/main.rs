//! `make bench`: bugle and its peers, measured in the same run, on the same machine, as tables with ratios.
//!
//! | Module | Measures |
//! |---|---|
//! | `host` | a host route added and deleted, until the kernel one hop away has it |
//! | `isis` | the same with IS-IS, for both families, and a second host right after the first |
//! | `isis_area` | an IS-IS area of many systems: until all their prefixes are in the kernel, and a change of topology |
//! | `load` | many external routes from a neighbour, until all are in the kernel; memory and processor time |
//! | `chain` | a host route through a chain of routers |
//! | `spf` | a change of topology, in processor time |
//! | `failover` | a link that fails, until traffic to the last of many prefixes has another way |
//! | `bfd` | what BFD sessions cost |
//! | `idle` | what a router costs that has nothing to do |
#![expect(clippy::disallowed_methods, reason = "a benchmark runs in real time")]

mod bfd;
mod chain;
mod failover;
mod host;
mod idle;
mod isis;
mod isis_area;
mod load;
mod spf;

use std::process::ExitCode;

use bugle_testbed::contender::Make;
use bugle_testbed::tools::{self, say};
use bugle_testbed::{LabError, Result};
use clap::{Parser, Subcommand, value_parser};

/// Measures bugle and its peers in the same run. Needs root.
#[derive(Parser)]
#[command(name = "bugle-bench")]
struct Arguments {
    /// Who takes part.
    #[arg(long, global = true, value_delimiter = ',', default_values_t = Make::ALL.map(|make| make.key().to_owned()))]
    only: Vec<String>,
    /// What to measure; everything if left out.
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Clone, Copy, Subcommand)]
enum Benchmark {
    /// A host route added and deleted: until the kernel of the next router has it.
    Host {
        /// How many host routes.
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u8).range(1..))]
        count: u8,
    },
    /// Host routes of both families in IS-IS: until the kernel of the next router has them.
    Isis {
        /// How many of each.
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u8).range(1..))]
        count: u8,
    },
    /// An IS-IS area from a neighbour: until every system's prefix is in the kernel; then changes of its topology.
    IsisArea {
        /// How many systems; 1,000 and 5,000 if left out.
        #[arg(long, value_parser = value_parser!(u32).range(2..=50_000))]
        systems: Option<u32>,
        /// How many changes.
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
        count: u32,
    },
    /// External routes from a neighbour: until all are in the kernel.
    Load {
        /// How many routes; 10,000 and 100,000 if left out.
        #[arg(long, value_parser = value_parser!(u32).range(1..=1_000_000))]
        routes: Option<u32>,
    },
    /// A host route through a chain of routers.
    Chain {
        /// How many routers.
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u8).range(1..))]
        routers: u8,
        /// How many host routes.
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u8).range(1..))]
        count: u8,
    },
    /// A change of topology, in processor time.
    Spf {
        /// How many routers; 1,000, 5,000 and 10,000 if left out.
        #[arg(long, value_parser = value_parser!(u32).range(1..=100_000))]
        routers: Option<u32>,
        /// How many changes.
        #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
        count: u32,
    },
    /// A link that fails, until traffic to the last of many prefixes has another way.
    Failover {
        /// How many prefixes; 100, 10,000 and 100,000 one after the other if not given.
        #[arg(long, value_parser = value_parser!(u32).range(2..=1_000_000))]
        prefixes: Option<u32>,
        /// How many failures of each kind; with more than 10,000 prefixes others than bugle have one.
        #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
        count: u32,
    },
    /// What BFD sessions of 3 x 10 ms cost, in processor time.
    Bfd {
        /// How many sessions; 2 and 32 if left out.
        #[arg(long, value_parser = value_parser!(u8).range(1..))]
        sessions: Option<u8>,
        /// For how long.
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..))]
        seconds: u64,
    },
    /// What a router with two adjacencies costs that has nothing to do.
    Idle {
        /// For how long.
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..))]
        seconds: u64,
    },
}

/// External routes of a load.
const LOADS: [u32; 2] = [10_000, 100_000];

/// Routers of an area.
const SIZES: [u32; 3] = [1_000, 5_000, 10_000];

/// Systems of an IS-IS area.
const ISIS_SIZES: [u32; 2] = [1_000, 5_000];

/// The numbers of prefixes behind a link that fails.
const FAILOVERS: [u32; 3] = [100, 10_000, 100_000];

/// BFD sessions.
const SESSIONS: [u8; 2] = [2, 32];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(LabError::NotRoot) => {
            say("The benchmarks build network namespaces, which needs root. Run: sudo make bench");
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("The benchmark failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    tools::require_root()?;
    let mut makes = Vec::new();
    for name in &arguments.only {
        makes.push(name.parse::<Make>().map_err(|error| LabError::Unexpected {
            what: "--only".to_owned(),
            found: error.to_string(),
        })?);
    }
    tools::require(makes.iter().flat_map(|make| make.programs()).copied().chain(["ip"]))?;
    match arguments.benchmark {
        Some(Benchmark::Host { count }) => host::run(&makes, count),
        Some(Benchmark::Isis { count }) => isis::run(&makes, count),
        Some(Benchmark::IsisArea { systems: Some(systems), count }) => {
            isis_area::run(&makes, &[systems], count)
        }
        Some(Benchmark::IsisArea { systems: None, count }) => {
            isis_area::run(&makes, &ISIS_SIZES, count)
        }
        Some(Benchmark::Load { routes: Some(routes) }) => load::run(&makes, &[routes]),
        Some(Benchmark::Load { routes: None }) => load::run(&makes, &LOADS),
        Some(Benchmark::Chain { routers, count }) => chain::run(&makes, routers, count),
        Some(Benchmark::Spf { routers: Some(routers), count }) => {
            spf::run(&makes, &[routers], count)
        }
        Some(Benchmark::Spf { routers: None, count }) => spf::run(&makes, &SIZES, count),
        Some(Benchmark::Failover { prefixes: Some(prefixes), count }) => {
            failover::run(&makes, &[prefixes], count);
            Ok(())
        }
        Some(Benchmark::Failover { prefixes: None, count }) => {
            failover::run(&makes, &FAILOVERS, count);
            Ok(())
        }
        Some(Benchmark::Bfd { sessions: Some(sessions), seconds }) => {
            bfd::run(&makes, &[sessions], seconds)
        }
        Some(Benchmark::Bfd { sessions: None, seconds }) => bfd::run(&makes, &SESSIONS, seconds),
        Some(Benchmark::Idle { seconds }) => idle::run(&makes, seconds),
        None => {
            host::run(&makes, 20)?;
            isis::run(&makes, 10)?;
            isis_area::run(&makes, &ISIS_SIZES, 5)?;
            load::run(&makes, &LOADS)?;
            chain::run(&makes, 20, 10)?;
            spf::run(&makes, &SIZES, 10)?;
            failover::run(&makes, &[10_000], 2);
            bfd::run(&makes, &SESSIONS, 20)?;
            idle::run(&makes, 20)
        }
    }
}
