//! Recordings: what waits to be written, the thread that writes it, and those that are asked for over the
//! control socket.
//!
//! The event thread decides what is recorded and copies records into a bounded queue; it never touches a
//! file. What finds no room there or on the disk is counted, and the file ends behind a whole event.

mod queue;
mod request;
mod storage;
mod track;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eyas_rules::compile::Program;

use crate::config::CaptureFiles;
use crate::error::DaemonError;
use crate::log;

pub(crate) use queue::{Batch, Job, Queue};
pub(crate) use track::{Limits, Track};

use writer::Writer;

/// How often the end of the writing thread is looked for.
const END_STEP: Duration = Duration::from_millis(2);

/// What came of all recordings of this run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Files begun.
    pub(crate) files: AtomicU64,
    /// Files that could not be written.
    pub(crate) failed: AtomicU64,
    /// Events written.
    pub(crate) events: AtomicU64,
    /// Bytes written.
    pub(crate) bytes: AtomicU64,
    /// Events that found no room in the queue or on the disk.
    pub(crate) lost: AtomicU64,
    /// Recordings that were not begun because the queue was full, since it was last said.
    pub(crate) unstarted: AtomicU64,
}

/// A recording that was asked for and that the event thread has not taken up yet.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The recording.
    pub(crate) track: Arc<Track>,
    /// Its file.
    pub(crate) file: File,
    /// Condition that events must fulfil.
    pub(crate) filter: Option<Program>,
}

/// The desk at which the event thread, the writing thread and those who ask meet.
#[derive(Debug)]
pub(crate) struct Recordings {
    settings: CaptureFiles,
    /// The way to the writing thread.
    pub(crate) queue: Arc<Queue>,
    /// What came of all of them.
    pub(crate) totals: Arc<Totals>,
    jobs: Mutex<Option<Receiver<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    numbers: AtomicU64,
    asked: Mutex<Option<Asked>>,
    is_asked: AtomicBool,
    /// The one that was asked for last.
    last: Mutex<Option<Arc<Track>>>,
    /// How many were asked for.
    requests: AtomicU64,
}

impl Recordings {
    /// None yet.
    pub(crate) fn new(settings: CaptureFiles) -> Self {
        let (queue, jobs) = Queue::new(settings.queue_bytes);
        Self {
            settings,
            queue: Arc::new(queue),
            totals: Arc::default(),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::default(),
            numbers: AtomicU64::new(0),
            asked: Mutex::default(),
            is_asked: AtomicBool::new(false),
            last: Mutex::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// Starts the writing thread, if anything may be recorded.
    pub(crate) fn start(&self) -> Result<(), DaemonError> {
        if !self.settings.is_wanted() {
            return Ok(());
        }
        let Some(jobs) = lock(&self.jobs).take() else { return Ok(()) };
        let writer = Writer::new(jobs, Arc::clone(&self.queue), Arc::clone(&self.totals));
        let thread =
            thread::Builder::new().name("recordings".into()).spawn(move || writer.run()).map_err(
                |source| DaemonError::System { doing: "start writing recordings", source },
            )?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// Waits until all that was handed over is written, but not for ever: a disk may hang.
    pub(crate) fn finish(&self, limit: Duration) {
        self.queue.close();
        let Some(thread) = lock(&self.thread).take() else { return };
        let end = Instant::now() + limit;
        while !thread.is_finished() {
            if Instant::now() >= end {
                log::warn("recordings were not written to their end: the disk is too slow");
                return;
            }
            thread::sleep(END_STEP);
        }
        // A fault in it was its own.
        let _ = thread.join();
    }

    /// What is configured.
    pub(crate) fn settings(&self) -> &CaptureFiles {
        &self.settings
    }

    /// Number of the next recording.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A recording that was asked for and is to be taken up.
    pub(crate) fn take_asked(&self) -> Option<Asked> {
        if !self.is_asked.load(Ordering::Acquire) {
            return None;
        }
        // Whoever asks holds it for no longer than it takes to put it there.
        let asked = self.asked.try_lock().ok()?.take();
        self.is_asked.store(false, Ordering::Release);
        asked
    }

    /// Bytes that wait to be written.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queue.bytes()
    }
}

/// Path of a file that is begun at `stamp`, nanoseconds since the epoch.
pub(crate) fn path_of(prefix: &Path, directory: Option<&Path>, stamp: u64, number: u64) -> PathBuf {
    let end = format!("_{stamp}_{number}.scap");
    let mut path = match directory {
        Some(directory) => {
            directory.join(prefix.file_name().unwrap_or_else(|| "eyas".as_ref())).into_os_string()
        }
        None => prefix.to_path_buf().into_os_string(),
    };
    path.push(end);
    path.into()
}

/// A new file that only its owner reads: recordings hold what programs read and wrote.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes the directories of recordings, while that is still permitted. What cannot be made is said where it is
/// missed.
pub(crate) fn prepare(settings: &CaptureFiles) {
    for directory in settings.all_directories() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        if let Err(error) = made {
            let line = format!("nothing can be recorded in `{}`: {error}", directory.display());
            // Whoever configured it wants to know; whoever did not may never ask.
            if settings.enabled || *settings != CaptureFiles::default() {
                log::warn(&line);
            } else {
                log::debug(&line);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
