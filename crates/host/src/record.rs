//! The flight recorder: a speaker, and a file of what it was told.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use bugle_speaker::record::Recorder;
use bugle_speaker::{Input, Output, Speaker};
use bugle_types::Time;

use crate::engine::Engine;

/// Lines that can wait for the disk. One that finds no room ends the recording: with a gap it could not be replayed.
const BACKLOG: usize = 1 << 16;

/// A speaker, recorded if wanted: every input goes into a file, from which [`Replay`](bugle_speaker::record::Replay) tells
/// it to another speaker.
///
/// A thread of its own writes the file, so that the disk never holds up a packet.
#[derive(Debug)]
pub struct Recorded {
    speaker: Speaker,
    tape: Option<Tape>,
}

impl Recorded {
    /// A speaker that is not recorded.
    #[must_use]
    pub fn not(seed: u64, now: Time) -> Self {
        Self { speaker: Speaker::new(seed, now), tape: None }
    }

    /// A speaker that is recorded in `file` until that has grown to `limit` MiB. What was in the file is lost.
    ///
    /// # Errors
    /// If the file cannot be made, or there is no thread to be had.
    pub fn to(file: &Path, limit: u32, seed: u64, now: Time) -> io::Result<Self> {
        let (recorder, first) = Recorder::new(seed, now);
        let tape = Tape::new(file, limit, recorder, first)?;
        Ok(Self { speaker: Speaker::new(seed, now), tape: Some(tape) })
    }

    /// The speaker.
    #[must_use]
    pub const fn speaker(&self) -> &Speaker {
        &self.speaker
    }
}

impl Engine for Recorded {
    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Some(tape) = &mut self.tape
            && let Err(why) = tape.told(now, &input)
        {
            tracing::warn!("the recording ends here: {why}");
            self.tape = None;
        }
        self.speaker.handle(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.speaker.poll_output();
        if let (Some(tape), Some(output)) = (&mut self.tape, &output) {
            tape.recorder.asked(output);
        }
        output
    }

    fn deadline(&self) -> Option<Time> {
        Engine::deadline(&self.speaker)
    }

    fn is_quiet(&self) -> bool {
        self.speaker.is_quiet()
    }
}

/// A recording that is being made.
#[derive(Debug)]
struct Tape {
    recorder: Recorder,
    /// None once dropped, so that the writer ends.
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    /// Octets that the file may still grow by.
    room: u64,
}

impl Tape {
    fn new(file: &Path, limit: u32, recorder: Recorder, first: String) -> io::Result<Self> {
        // It holds what crosses the network: nobody else is to read it.
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        let (sender, lines) = sync_channel(BACKLOG);
        let name = "bugle-record".to_owned();
        let writer = std::thread::Builder::new().name(name).spawn(move || {
            if let Err(error) = write(&lines, file) {
                tracing::warn!("the recording cannot be written: {error}");
            }
        })?;
        let room = u64::from(limit) << 20;
        let mut tape = Self { recorder, lines: Some(sender), writer: Some(writer), room };
        tape.put(first).map_err(io::Error::other)?;
        Ok(tape)
    }

    fn told(&mut self, now: Time, input: &Input<'_>) -> Result<(), &'static str> {
        self.put(self.recorder.told(now, input))
    }

    fn put(&mut self, line: String) -> Result<(), &'static str> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.room = self.room.checked_sub(length).ok_or("it has grown to record.limit")?;
        let sent = self.lines.as_ref().map(|lines| lines.try_send(line));
        if let Some(Ok(())) = sent { Ok(()) } else { Err("the disk is too slow, or full") }
    }
}

impl Drop for Tape {
    /// Waits until everything is in the file.
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            // It does not panic; and if it did, there would be nothing to do about it here.
            let _ = writer.join();
        }
    }
}

/// Writes lines as they come, until no more can come; out to the file whenever none is waiting.
fn write(lines: &Receiver<String>, file: File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => return file.flush(),
            Err(TryRecvError::Empty) => {
                file.flush()?;
                let Ok(line) = lines.recv() else { return Ok(()) };
                line
            }
        };
        file.write_all(line.as_bytes())?;
    }
}
