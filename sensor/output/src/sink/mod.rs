//! Sinks: each has a thread that takes lines from its queue and writes them in batches.
//!
//! What a sink cannot take is counted where it was lost: `dropped` when its queue was full,
//! `failed` when writing did not work. Whoever sends never waits.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::OutputError;
use crate::queue::{Inlet, Line, Next, Outlet, QueueLimits, queue};

/// Bytes written at once.
const BATCH_BYTES: usize = 64 * 1024;
/// How often an idle sink looks around.
const IDLE: Duration = Duration::from_secs(1);
/// How often [`Sinks::finish`] looks whether a sink is done.
const FINISH_STEP: Duration = Duration::from_millis(5);
/// Stack of a sink's thread.
const STACK_BYTES: usize = 256 * 1024;
/// Permission bits of a file that a sink creates: alerts show what users do.
const FILE_MODE: u32 = 0o600;

/// Where a sink writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to, reopened when it was renamed or removed.
    File(PathBuf),
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => format!("file {}", path.display()),
        }
    }
}

/// Totals of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Which sink.
    pub name: String,
    /// Lines written.
    pub written: u64,
    /// Lines that found no room in the queue.
    pub dropped: u64,
    /// Lines that could not be written.
    pub failed: u64,
    /// Bytes waiting now.
    pub waiting_bytes: u64,
    /// The last error, in words.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
struct Totals {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

#[derive(Debug)]
struct Sink {
    name: String,
    inlet: Inlet,
    totals: Arc<Totals>,
    thread: JoinHandle<()>,
}

/// All sinks. Sending goes to each of them.
#[derive(Debug, Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

impl Sinks {
    /// Opens the targets and starts a thread for each.
    pub fn open(targets: &[Target], limits: QueueLimits) -> Result<Self, OutputError> {
        let mut sinks = Self::default();
        for target in targets {
            let writer: Box<dyn Writer> = match target {
                Target::Stdout => Box::new(stdout()?),
                Target::File(path) => Box::new(Reopening::open(path)?),
            };
            sinks.add(target.name(), writer, limits)?;
        }
        Ok(sinks)
    }

    fn add(
        &mut self,
        name: String,
        writer: Box<dyn Writer>,
        limits: QueueLimits,
    ) -> Result<(), OutputError> {
        let (inlet, outlet) = queue(limits);
        let totals = Arc::new(Totals::default());
        let theirs = Arc::clone(&totals);
        let thread = thread::Builder::new()
            .name("output".into())
            .stack_size(STACK_BYTES)
            .spawn(move || drain(&outlet, writer, &theirs))
            .map_err(|source| OutputError::Thread { sink: name.clone(), source })?;
        self.sinks.push(Sink { name, inlet, totals, thread });
        Ok(())
    }

    /// Hands a line to every sink that has room for it. Never waits; returns how many took it.
    pub fn send(&self, line: impl Into<Arc<str>>) -> usize {
        let line: Line = line.into();
        let took = |sink: &&Sink| {
            let taken = sink.inlet.offer(&line);
            if !taken {
                sink.totals.dropped.fetch_add(1, Ordering::Relaxed);
            }
            taken
        };
        self.sinks.iter().filter(took).count()
    }

    /// Totals of each sink.
    pub fn counts(&self) -> Vec<SinkCounts> {
        self.sinks.iter().map(Sink::counts).collect()
    }

    /// Waits until everything waiting is written, but no longer than `limit`; returns the totals.
    /// What a hanging sink still holds then is counted as failed.
    pub fn finish(self, limit: Duration) -> Vec<SinkCounts> {
        let end = Instant::now() + limit;
        let mut counts = Vec::new();
        for sink in self.sinks {
            let Sink { name, inlet, totals, thread } = sink;
            let waiting = inlet.waiting_bytes();
            drop(inlet);
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(FINISH_STEP);
            }
            let hangs = !thread.is_finished();
            let mut found = totals.read(name);
            if hangs {
                found.waiting_bytes = waiting;
                found.last_error = Some(format!("did not finish within {}s", limit.as_secs_f32()));
            }
            counts.push(found);
        }
        counts
    }
}

impl Sink {
    fn counts(&self) -> SinkCounts {
        let counts = self.totals.read(self.name.clone());
        SinkCounts { waiting_bytes: self.inlet.waiting_bytes(), ..counts }
    }
}

impl Totals {
    fn read(&self, name: String) -> SinkCounts {
        let error = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        SinkCounts {
            name,
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waiting_bytes: 0,
            last_error: error.clone(),
        }
    }

    fn note(&self, error: &io::Error) {
        let mut last = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = Some(error.to_string());
    }
}

/// Something a batch can be written to.
trait Writer: Send {
    /// Writes some of `bytes`; called again with the rest.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Called before each batch and now and then while idle.
    fn look_around(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writer for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }
}

/// Standard output as a file of its own, so that a batch is one system call.
fn stdout() -> Result<File, OutputError> {
    let owned = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| OutputError::Stdout { source })?;
    Ok(File::from(owned))
}

/// A file that is opened again when its path leads elsewhere, as log rotation makes it do.
#[derive(Debug)]
struct Reopening {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl Reopening {
    fn open(path: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError::Open { path: path.to_path_buf(), source };
        let (file, identity) = append(path).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file, identity })
    }
}

impl Writer for Reopening {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut self.file, bytes)
    }

    fn look_around(&mut self) -> io::Result<()> {
        let found = std::fs::metadata(&self.path).map(|m| (m.dev(), m.ino()));
        if !found.is_ok_and(|identity| identity == self.identity) {
            (self.file, self.identity) = append(&self.path)?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
    let found = file.metadata()?;
    Ok((file, (found.dev(), found.ino())))
}

/// A sink's thread: batches what waits, writes it, counts.
fn drain(outlet: &Outlet, mut writer: Box<dyn Writer>, totals: &Totals) {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    loop {
        match outlet.next(IDLE) {
            Next::Line(line) => push(&mut batch, &line),
            Next::Nothing => {
                if let Err(error) = writer.look_around() {
                    totals.note(&error);
                }
                continue;
            }
            Next::Ended => return,
        }
        while batch.len() < BATCH_BYTES
            && let Some(line) = outlet.ready()
        {
            push(&mut batch, &line);
        }
        if let Err(error) = writer.look_around() {
            totals.note(&error);
        }
        write_batch(&mut *writer, &batch, totals);
        batch.clear();
        batch.shrink_to(BATCH_BYTES);
    }
}

fn push(batch: &mut Vec<u8>, line: &str) {
    batch.extend_from_slice(line.as_bytes());
    batch.push(b'\n');
}

/// Writes all of `batch` or as much as goes, and counts lines by the line feeds that went.
fn write_batch(writer: &mut dyn Writer, batch: &[u8], totals: &Totals) {
    let mut written = 0;
    while let Some(rest @ [_, ..]) = batch.get(written..) {
        match writer.write(rest) {
            Ok(0) => {
                totals.note(&io::ErrorKind::WriteZero.into());
                break;
            }
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                totals.note(&error);
                break;
            }
        }
    }
    let (done, lost) = batch.split_at(written.min(batch.len()));
    totals.written.fetch_add(lines(done), Ordering::Relaxed);
    totals.failed.fetch_add(lines(lost), Ordering::Relaxed);
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

#[cfg(test)]
mod tests;
