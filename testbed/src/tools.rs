//! Programs from outside: where they are, how they are run.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::de::DeserializeOwned;

use crate::error::{LabError, Result};

/// Where Debian installs FRR's daemons.
pub const FRR: &str = "/usr/lib/frr";

/// Fails unless root runs this.
///
/// # Errors
/// [`LabError::NotRoot`].
pub fn require_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

/// Fails unless all of these programs are installed.
///
/// # Errors
/// [`LabError::Missing`] with all that are not, and what brings them.
pub fn require<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let (mut all_programs, mut all_remedies) = (BTreeSet::new(), BTreeSet::new());
    for program in wanted {
        if let Err(LabError::Missing { programs, remedies }) = find(program) {
            all_programs.extend(programs);
            all_remedies.extend(remedies);
        }
    }
    if all_programs.is_empty() {
        return Ok(());
    }
    Err(LabError::Missing {
        programs: all_programs.into_iter().collect(),
        remedies: all_remedies.into_iter().collect(),
    })
}

/// Finds a program: `zebra`, `ospfd`, `isisd` and `bfdd` among FRR's daemons, `bugle` and `bugled` where the environment variable of that name
/// in capitals says or beside the running executable, all else on the search path.
///
/// # Errors
/// [`LabError::Missing`], which says what to install.
pub fn find(program: &str) -> Result<PathBuf> {
    let (places, remedy) = match program {
        "zebra" | "ospfd" | "isisd" | "bfdd" => (vec![PathBuf::from(FRR)], "apt-get install frr"),
        "vtysh" => (search_path(), "apt-get install frr"),
        "bird" | "birdc" => (search_path(), "apt-get install bird2"),
        "bugle" | "bugled" => {
            (beside_this_executable(), "cargo build -p bugled -p bugle, with the same profile")
        }
        _ => (search_path(), "apt-get install iproute2"),
    };
    let chosen = match program {
        "bugle" | "bugled" => std::env::var_os(program.to_uppercase()).map(PathBuf::from),
        _ => None,
    };
    let candidates = match chosen {
        Some(path) => vec![path],
        None => places.into_iter().map(|place| place.join(program)).collect(),
    };
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| LabError::Missing {
        programs: vec![program.to_owned()],
        remedies: vec![remedy],
    })
}

/// Runs a program to its end and returns what it prints.
///
/// # Errors
/// If it cannot be started or fails: with its message.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let path = find(program)?;
    let command = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(path)
        .args(arguments)
        .output()
        .map_err(|source| LabError::Io { what: format!("running `{}`", command()), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command {
        command: command(),
        status: output.status.to_string(),
        output: if errors.is_empty() { text.trim().to_owned() } else { errors },
    })
}

/// Reads JSON that a program printed.
///
/// # Errors
/// [`LabError::Unexpected`] if it is not JSON of that shape.
pub fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| LabError::Unexpected {
        what: what.to_owned(),
        found: format!("{error} in {text:?}"),
    })
}

/// Prints a line; a closed standard output is no error.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// The directories of the search path, and those where Debian keeps administrators' programs.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.extend(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    places
}

/// `target/PROFILE`, for binaries from there and for tests from `deps` below it.
fn beside_this_executable() -> Vec<PathBuf> {
    let executable = std::env::current_exe().unwrap_or_default();
    executable.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}
