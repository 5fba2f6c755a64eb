//! The purity line: protocol code knows no socket, kernel, thread or clock, so that one program text runs in production, in
//! simulations, under the fuzzer and in replays.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates above the purity line, by directory.
const PURE: [&str; 10] =
    ["bfd", "isis", "lsdb", "mobility", "ospf", "rib", "speaker", "spf", "types", "wire"];

/// The crates below it.
const DRIVERS: [&str; 6] = ["api", "bugle", "bugled", "host", "inject", "sim"];

/// What pure crates may reach outside the workspace: data structures, encodings, hashes, derive macros. Before adding to this
/// list, make sure that the crate opens no socket, reads no clock, starts no thread and draws no random number.
const HARMLESS: [&str; 39] = [
    "block-buffer",
    "bytes",
    "cfg-if",
    "cmov",
    "cpufeatures",
    "crypto-common",
    "ctutils",
    "digest",
    "hashbrown",
    "hmac",
    "hybrid-array",
    "ipnetwork",
    "itoa",
    "md-5",
    "memchr",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "serde_spanned",
    "sha1",
    "sha2",
    "slab",
    "smallvec",
    "strsim",
    "subtle",
    "syn",
    "thiserror",
    "thiserror-impl",
    "toml",
    "toml_datetime",
    "toml_parser",
    "toml_writer",
    "typenum",
    "unicode-ident",
    "winnow",
    "zmij",
];

/// What the standard library has beyond the line. `HashMap` is there for its random order of iteration.
const IMPURE: [&str; 14] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "HashMap",
    "HashSet",
    "Instant",
    "RandomState",
    "SystemTime",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
];

#[test]
fn every_crate_is_on_one_side_of_the_line() -> io::Result<()> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(crates())? {
        found.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let listed: Vec<String> = PURE.into_iter().chain(DRIVERS).map(str::to_owned).collect();
    assert_eq!(found.len(), listed.len(), "crates: {found:?}");
    assert_eq!(found, listed.into_iter().collect(), "list each crate above, once");
    Ok(())
}

#[test]
fn pure_crates_depend_on_pure_and_harmless_crates_only() -> io::Result<()> {
    let ours = PURE.map(|name| format!("bugle-{name}"));
    for package in &ours {
        let mut reached = dependencies(package)?;
        assert!(reached.contains(package), "{package}: {reached:?}");
        reached.retain(|name| !ours.contains(name) && !HARMLESS.contains(&name.as_str()));
        assert!(reached.is_empty(), "{package} reaches {reached:?}");
    }
    Ok(())
}

#[test]
fn pure_sources_name_nothing_impure_of_the_standard_library() -> io::Result<()> {
    for name in PURE {
        for path in sources(&crates().join(name).join("src"))? {
            for (number, line) in (1..).zip(fs::read_to_string(&path)?.lines()) {
                let code = line.split("//").next().unwrap_or_default();
                let impure = IMPURE.iter().find(|word| names(code, word));
                assert_eq!(impure, None, "{}:{number}: {line}", path.display());
            }
        }
    }
    Ok(())
}

/// The directory of all crates.
fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of a package and of everything that it is built from, as Cargo sees it.
fn dependencies(package: &str) -> io::Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", package])
        .current_dir(crates())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// Every Rust file below a directory, but for those that hold only tests.
fn sources(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Whether `code` names `word`, and not something longer of which it is a part.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (code.get(..at), code.get(at + word.len()..));
        !before.is_some_and(|text| text.ends_with(is_part))
            && !after.is_some_and(|text| text.starts_with(is_part))
    })
}
