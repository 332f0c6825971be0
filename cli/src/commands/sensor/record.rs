//! `eyas sensor record`: what happens, written by the sensor to a capture file, for a while.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use eyas_control::{Client, Record, Recording, RecordingReport, RecordingState, StopRecording};
use eyas_ops::{Class, OpsError};
use serde::Serialize;

use super::asked;
use crate::args::SensorRecordArgs;
use crate::exit::Failure;
use crate::printer::{Document, Printer};
use crate::{signals, wiring};

/// How often it is asked how far the recording is.
const STEP: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct RecordDocument {
    /// Where the file is, once it is complete; unlike `path` of the recording after it was moved.
    file: Option<String>,
    recording: Option<Recording>,
    #[serde(skip)]
    in_full: bool,
}

impl Document for RecordDocument {
    const KIND: &'static str = "sensor.record";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(recording) = &self.recording else {
            return writeln!(out, "no recording was asked for");
        };
        let path = self.file.as_ref().unwrap_or(&recording.path);
        if !self.in_full {
            return writeln!(out, "{path}");
        }
        writeln!(out, "recording {}: {}", recording.id, recording.state.as_str())?;
        if let Some(reason) = &recording.reason {
            writeln!(out, "  ended:  {reason}")?;
        }
        writeln!(out, "  file:   {path}")?;
        writeln!(out, "  since:  {}", recording.started)?;
        if let Some(filter) = &recording.filter {
            writeln!(out, "  filter: {filter}")?;
        }
        writeln!(
            out,
            "  events: {} in {} bytes, {} lost, {} lost in the kernel",
            recording.events,
            recording.bytes,
            recording.events_lost,
            recording.events_lost_in_kernel
        )
    }
}

/// Runs `sensor record`.
pub(super) fn run(args: &SensorRecordArgs, path: &Path, printer: &Printer) -> anyhow::Result<()> {
    if args.status {
        let report = asked(path, Client::recording)?;
        let document = RecordDocument { file: None, recording: report.recording, in_full: true };
        return Ok(printer.data(&document)?);
    }
    if args.stop {
        let report = asked(path, |client| client.stop_recording(StopRecording::default()))?;
        return ended(report.recording, None, printer);
    }
    if args.background {
        let report = asked(path, |client| client.record(request(args)))?;
        let document = RecordDocument { file: None, recording: report.recording, in_full: false };
        return Ok(printer.data(&document)?);
    }
    let target = args.write.as_deref().map(Target::claim).transpose()?;
    let last = wiring::block_on(follow(args, path, printer))?;
    ended(last, target, printer)
}

fn request(args: &SensorRecordArgs) -> Record {
    Record {
        filter: args.filter.clone(),
        duration_ms: args.duration.map(|duration| duration.as_millis() as u64),
        max_bytes: args.size,
        max_events: args.count,
        directory: args.dir.as_ref().map(|dir| dir.display().to_string()),
        only_enabled: args.only_enabled,
    }
}

/// Begins a recording and waits for its end, which being told to stop brings about.
async fn follow(
    args: &SensorRecordArgs,
    path: &Path,
    printer: &Printer,
) -> anyhow::Result<Option<Recording>> {
    let mut told = pin!(signals::until_told());
    // From here on a signal ends the recording and not this program.
    tokio::select! {
        biased;
        () = &mut told => return Err(Failure {
            class: Class::Failed,
            message: "told to stop before anything was recorded".to_owned(),
            hint: None,
        }.into()),
        () = std::future::ready(()) => {}
    }
    let mut last = asked(path, |client| client.record(request(args)))?;
    if let Some(recording) = &last.recording
        && recording.state.is_under_way()
    {
        let limit = Duration::from_millis(recording.duration_ms);
        let file = &recording.path;
        printer.info(format!("recording into `{file}` for {limit:?}, or until Ctrl-C"));
    }
    let mut is_told = false;
    while let Some(id) = running(&last) {
        tokio::select! {
            () = tokio::time::sleep(STEP) => {
                last = asked(path, Client::recording).map_err(|error| gone(error, &last))?;
            }
            // The answer may come before the file is complete, when the disk is slow.
            () = &mut told, if !is_told => {
                is_told = true;
                let stop = StopRecording { id: Some(id) };
                last = asked(path, |client| client.stop_recording(stop))
                    .map_err(|error| gone(error, &last))?;
            }
        }
    }
    Ok(last.recording)
}

fn running(report: &RecordingReport) -> Option<u64> {
    let recording = report.recording.as_ref()?;
    recording.state.is_under_way().then_some(recording.id)
}

/// The sensor does not answer any more: what it had written by then is still there.
fn gone(error: Failure, last: &RecordingReport) -> Failure {
    match &last.recording {
        Some(recording) => {
            let path = &recording.path;
            error.with_hint(format!("what was recorded by then is in `{path}`"))
        }
        None => error,
    }
}

/// Says what came of a recording, and where its file is.
fn ended(
    recording: Option<Recording>,
    target: Option<Target>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let Some(recording) = recording else {
        return Ok(printer.data(&RecordDocument { file: None, recording, in_full: false })?);
    };
    let (events, bytes) = (recording.events, recording.bytes);
    let why = recording.reason.clone().unwrap_or_else(|| "not complete yet".to_owned());
    printer.info(format!("{events} events, {bytes} bytes: {why}"));
    for (lost, what) in [
        (recording.events_lost, "were not written: the disk was too slow or full"),
        (recording.events_lost_in_kernel, "were lost in the kernel: too many came at once"),
    ] {
        if lost > 0 {
            printer.warn(format!("`{lost}` events {what}"));
        }
    }
    let failed = recording.state == RecordingState::Failed;
    if bytes > 0 {
        let file = match target.filter(|_| !recording.state.is_under_way()) {
            Some(target) => target.fill(Path::new(&recording.path), printer)?,
            None => recording.path.clone(),
        };
        printer.data(&RecordDocument {
            file: Some(file),
            recording: Some(recording),
            in_full: false,
        })?;
    }
    if failed {
        let message = format!("the recording ended early: {why}");
        let hint = Some("what was written before can be read".to_owned()).filter(|_| bytes > 0);
        return Err(Failure { class: Class::Storage, message, hint }.into());
    }
    Ok(())
}

/// A file that the recording is to be moved to. It is made first, so that what does not work is known before
/// anything is recorded.
struct Target {
    path: PathBuf,
    is_filled: bool,
}

impl Target {
    fn claim(path: &Path) -> Result<Self, Failure> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        made.map_err(|error| {
            let message = format!("cannot make `{}`: {error}", path.display());
            let failure = Failure { class: Class::Storage, message, hint: None };
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    failure.with_hint("name a file that is not there yet")
                }
                _ => failure,
            }
        })?;
        Ok(Self { path: path.to_owned(), is_filled: false })
    }

    /// Moves the sensor's file here.
    fn fill(mut self, from: &Path, printer: &Printer) -> anyhow::Result<String> {
        let failed = |source| -> anyhow::Error {
            let error: anyhow::Error = OpsError::Input { path: from.to_owned(), source }.into();
            error.context(format!("the recording stays in `{}`", from.display()))
        };
        if fs::rename(from, &self.path).is_err() {
            // On another file system: what is there stays until its copy is complete.
            let mut source = fs::File::open(from).map_err(failed)?;
            let mut copy = OpenOptions::new().write(true).open(&self.path).map_err(failed)?;
            io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(failed)?;
            if let Err(error) = fs::remove_file(from) {
                printer.warn(format!("`{}` is left behind as well: {error}", from.display()));
            }
        }
        self.is_filled = true;
        Ok(self.path.display().to_string())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_filled {
            // An empty file of ours helps nobody.
            let _ = fs::remove_file(&self.path);
        }
    }
}
