//! The configurations that users are shown are valid.

use std::fs;
use std::io;
use std::path::Path;

use bugle_speaker::Config;

#[test]
fn the_configurations_in_readme_and_dist_have_no_mistakes() -> io::Result<()> {
    let read =
        |file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file));
    let readme = read("README.md")?;
    let mut shown: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!shown.is_empty(), "README.md shows a configuration");
    let example = read("dist/bugle.toml")?;
    shown.push(&example);
    for text in shown {
        if let Err(errors) = Config::parse(text) {
            panic!("{errors}\nin\n{text}");
        }
    }
    Ok(())
}
