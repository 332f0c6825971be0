//! One recording as all who have to do with it see it: the event thread that feeds it, the thread that writes
//! it, and whoever asked for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyas_control::{Recording, RecordingState};
use jiff::Timestamp;

/// How far a recording may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest time.
    pub(crate) duration: Duration,
    /// Most bytes of the file.
    pub(crate) bytes: u64,
    /// Most events.
    pub(crate) events: Option<u64>,
}

/// How a recording stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Nobody writes yet.
    Asked,
    Running,
    /// Why it ended.
    Done(String),
    /// What went wrong.
    Failed(String),
}

/// What the writing thread says.
#[derive(Debug)]
struct Progress {
    stage: Stage,
    events: u64,
    bytes: u64,
}

/// A recording.
#[derive(Debug)]
pub(crate) struct Track {
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(crate) limits: Limits,
    pub(super) filter: Option<String>,
    /// Event types that the kernel is asked for because of it alone.
    pub(super) widened_by: u64,
    started: Timestamp,
    /// Events that found no room in the queue or on the disk.
    lost: AtomicU64,
    /// No other one of a rule begins in this run.
    is_last: bool,
    /// What the kernel had lost when it began, and has lost meanwhile.
    kernel_before: u64,
    kernel_lost: AtomicU64,
    /// Whoever asked wants it to end.
    stop: AtomicBool,
    /// Nothing more is taken.
    over: AtomicBool,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Track {
    /// A recording that is to begin.
    pub(crate) fn new(id: u64, path: PathBuf, limits: Limits) -> Self {
        Self {
            id,
            path,
            limits,
            filter: None,
            widened_by: 0,
            started: Timestamp::now(),
            lost: AtomicU64::new(0),
            is_last: false,
            kernel_before: 0,
            kernel_lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            progress: Mutex::new(Progress { stage: Stage::Asked, events: 0, bytes: 0 }),
            changed: Condvar::new(),
        }
    }

    /// The same with what is known of one that was asked for.
    pub(super) fn of_request(
        self,
        filter: Option<String>,
        widened_by: u64,
        kernel_before: u64,
    ) -> Self {
        Self { filter, widened_by, kernel_before, ..self }
    }

    /// The same; whether it is the last one of a rule.
    pub(crate) fn with_last(self, is_last: bool) -> Self {
        Self { is_last, ..self }
    }

    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// There was no room for it.
    pub(crate) fn not_begun(&self) {
        self.has_failed("too much waits to be written".into());
    }

    /// Asks for its end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether its end is asked for.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether nothing more is taken.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Counts events that are not in the file.
    pub(crate) fn lose(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// How many events are not in the file.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Takes in what the kernel has lost in all by now.
    pub(super) fn kernel_has_lost(&self, total: u64) {
        if !self.is_over() {
            let meanwhile = total.saturating_sub(self.kernel_before);
            self.kernel_lost.store(meanwhile, Ordering::Relaxed);
        }
    }

    pub(super) fn begins(&self) {
        self.progress().stage = Stage::Running;
        self.changed.notify_all();
    }

    /// Says what is in the file by now; how many events and bytes that is more than before.
    pub(super) fn holds(&self, events: u64, bytes: u64) -> (u64, u64) {
        let mut progress = self.progress();
        let more = (events - progress.events, bytes - progress.bytes);
        (progress.events, progress.bytes) = (events, bytes);
        more
    }

    pub(super) fn is_done(&self, why: String) {
        self.ends(Stage::Done(why));
    }

    pub(super) fn has_failed(&self, why: String) {
        self.ends(Stage::Failed(why));
    }

    fn ends(&self, stage: Stage) {
        self.over.store(true, Ordering::Release);
        self.progress().stage = stage;
        self.changed.notify_all();
    }

    /// Waits until it has begun or failed to; `false` if neither came in time.
    pub(super) fn wait_for_begin(&self, limit: Duration) -> bool {
        self.wait(limit, |stage| *stage != Stage::Asked)
    }

    /// Waits until its file is complete; `false` if that did not come in time.
    pub(super) fn wait_for_end(&self, limit: Duration) -> bool {
        self.wait(limit, |stage| matches!(stage, Stage::Done(_) | Stage::Failed(_)))
    }

    fn wait(&self, limit: Duration, reached: impl Fn(&Stage) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut progress = self.progress();
        while !reached(&progress.stage) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// All there is to say.
    pub(super) fn report(&self) -> Recording {
        let progress = self.progress();
        let (state, reason) = match &progress.stage {
            Stage::Asked => (RecordingState::Starting, None),
            Stage::Running => (RecordingState::Running, None),
            Stage::Done(why) => (RecordingState::Done, Some(why.clone())),
            Stage::Failed(why) => (RecordingState::Failed, Some(why.clone())),
        };
        Recording {
            id: self.id,
            path: self.path.display().to_string(),
            filter: self.filter.clone(),
            started: self.started.to_string(),
            duration_ms: self.limits.duration.as_millis() as u64,
            max_bytes: self.limits.bytes,
            max_events: self.limits.events,
            state,
            reason,
            events: progress.events,
            bytes: progress.bytes,
            events_lost: self.lost(),
            events_lost_in_kernel: self.kernel_lost.load(Ordering::Relaxed),
            widened_by: self.widened_by,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
