//! The tables in `docs/rfc` name tests and functions that exist.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A row of a table: where it stands, and its columns.
struct Row {
    place: String,
    columns: Vec<String>,
}

const COLUMNS: [&str; 5] = ["Clause", "Level", "Where", "Test", "Deviation"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files below a folder whose names end so.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    found
}

/// The sources by the name that a table gives them: that of the file, or of the folder if the file is `mod.rs` or `lib.rs`.
fn sources() -> BTreeMap<String, String> {
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let (crates, labs) = (root().join("crates"), root().join("testbed/tests"));
    for path in files(&crates, "rs").into_iter().chain(files(&labs, "rs")) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let name = if stem == "mod" || stem == "lib" { folder } else { stem };
        sources.entry(name).or_default().push_str(&fs::read_to_string(path).unwrap());
    }
    sources
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for path in files(&root().join("docs/rfc"), "md") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut in_table = false;
        for (number, line) in (1..).zip(fs::read_to_string(&path).unwrap().lines()) {
            let Some(line) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
                in_table = false;
                continue;
            };
            let columns: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
            let head = columns == COLUMNS || line.chars().all(|c| "-|".contains(c));
            in_table |= columns == COLUMNS;
            if in_table && !head {
                assert_eq!(columns.len(), COLUMNS.len(), "{name}:{number}");
                rows.push(Row { place: format!("{name}:{number}"), columns });
            }
        }
    }
    rows
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_row_of_the_compliance_tables_is_complete() {
    let rows = rows();
    assert!(rows.len() > 100);
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| {
            let [place, test, deviation] = [2, 3, 4].map(|column| &row.columns[column]);
            // Who claims to do something shows where and how that is known; who does not says why.
            (place.is_empty() || test.is_empty()) && deviation.is_empty()
        })
        .map(|row| row.place.clone())
        .collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_test_that_the_compliance_tables_name_exists() {
    let sources = sources();
    let tests: BTreeSet<&str> = sources
        .values()
        .flat_map(|text| text.split("fn ").skip(1))
        .filter_map(|text| text.split_once('(').map(|(name, _)| name))
        .collect();
    let mut missing = Vec::new();
    let mut named = 0;
    for row in rows() {
        for test in quoted(&row.columns[3]) {
            named += 1;
            if !tests.contains(test) {
                missing.push(format!("{}: {test}", row.place));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_test_that_the_list_of_vulnerabilities_names_exists() {
    let sources = sources();
    let text = fs::read_to_string(root().join("docs/vulnerabilities.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let tests: Vec<&str> = rows.filter_map(|row| row.rsplit('|').nth(1)).flat_map(quoted).collect();
    assert!(tests.len() > 30, "{}", tests.len());
    for test in tests {
        let name = format!("fn {test}(");
        assert!(sources.values().any(|source| source.contains(&name)), "{test}");
    }
}

#[test]
fn every_place_that_the_compliance_tables_name_exists() {
    let sources = sources();
    let mut missing = Vec::new();
    for row in rows() {
        for place in quoted(&row.columns[2]) {
            let exists = place.split_once("::").is_some_and(|(file, item)| {
                sources.get(file).is_some_and(|text| {
                    let is_name = |c: char| c.is_alphanumeric() || c == '_';
                    text.split(|c| !is_name(c)).any(|word| word == item)
                })
            });
            if !exists {
                missing.push(format!("{}: {place}", row.place));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
}
