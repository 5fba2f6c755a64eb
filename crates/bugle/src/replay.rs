//! Tells a speaker what another was told.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use bugle_speaker::record::{Replay, ReplayError};
use bugle_speaker::{Event, Output};
use bugle_types::Time;
use serde_json::json;

use crate::commands::Failure;

/// Replays a recording, and prints the events.
pub(crate) fn run(file: &Path, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let located =
        |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", file.display()));
    let reader = BufReader::new(File::open(file).map_err(|error| located(&error))?);
    let mut lines = reader.lines();
    let mut next = || lines.next().transpose().map_err(|error| located(&error));
    let first = next()?.unwrap_or_default();
    let mut replay = Replay::new(&first, |key| fs::read(key).map_err(|error| error.to_string()))
        .map_err(|error| located(&error))?;
    let mut events = Vec::new();
    let mut broken_off = false;
    while let Some(line) = next()? {
        let stepped = replay.step(&line, |at, asked| {
            if let Output::Event(event) = asked {
                events.push((at, event));
            }
        });
        for (at, event) in events.drain(..) {
            print(at, &event, json, output)?;
        }
        match stepped {
            Ok(()) => {}
            Err(ReplayError::BrokenOff(_)) => broken_off = true,
            Err(error) => return Err(located(&error)),
        }
    }
    let (inputs, until) = replay.told();
    if json {
        let version = replay.version();
        writeln!(
            output,
            "{}",
            json!({ "inputs": inputs, "version": version, "broken_off": broken_off })
        )?;
        return Ok(());
    }
    let until = until.since(Time::ZERO);
    writeln!(
        output,
        "{inputs} inputs until {}: the speaker asked for what was recorded",
        seconds(until)
    )?;
    if broken_off {
        writeln!(output, "the last line is not whole: the recording was broken off there")?;
    }
    Ok(())
}

fn print(at: Time, event: &Event, json: bool, output: &mut impl Write) -> Result<(), Failure> {
    let (kind, vrf) = (event.what.kind(), event.vrf.as_deref());
    let time = at.since(Time::ZERO);
    if json {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let event =
            json!({ "time_ns": nanos, "kind": kind, "vrf": vrf, "message": event.to_string() });
        return Ok(writeln!(output, "{event}")?);
    }
    Ok(writeln!(output, "{:>14}  {kind:<18} {}  {event}", seconds(time), vrf.unwrap_or("-"))?)
}

fn seconds(time: Duration) -> String {
    format!("{:.6}s", time.as_secs_f64())
}
