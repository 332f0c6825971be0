//! The thread that writes recordings. A slow disk delays it and nobody else.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use eyas_abi::Event;
use eyas_capture::{CaptureError, Opening};

use super::queue::{Batch, Job, Queue};
use super::storage::Output;
use super::track::Track;
use super::{Totals, create};
use crate::log;

/// How often what was put together is written although it is little.
const FLUSH: Duration = Duration::from_secs(1);
/// How often it is looked whether to end.
const STEP: Duration = Duration::from_millis(50);

/// Files under way.
pub(super) struct Writer {
    jobs: Receiver<Job>,
    queue: Arc<Queue>,
    totals: Arc<Totals>,
    open: HashMap<u64, Open>,
    flushed: Instant,
}

struct Open {
    track: Arc<Track>,
    output: Output<File>,
    /// It was said that events are lost.
    told: bool,
}

impl Writer {
    pub(super) fn new(jobs: Receiver<Job>, queue: Arc<Queue>, totals: Arc<Totals>) -> Self {
        Self { jobs, queue, totals, open: HashMap::new(), flushed: Instant::now() }
    }

    /// Writes until there is nothing left and the end is asked for.
    pub(super) fn run(mut self) {
        loop {
            match self.jobs.recv_timeout(STEP) {
                Ok(job) => {
                    let weight = job.weight();
                    self.take(job);
                    self.queue.release(weight);
                }
                Err(RecvTimeoutError::Timeout) if !self.queue.is_closed() => {}
                Err(_) => break,
            }
            if self.flushed.elapsed() >= FLUSH {
                self.flushed = Instant::now();
                self.flush();
            }
        }
        for (_, open) in std::mem::take(&mut self.open) {
            self.close(open, "the sensor ended");
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Begin { track, file, opening } => self.begin(track, file, opening),
            Job::Records { track, batch } => self.records(&track, &batch),
            Job::End { track, why } => {
                if let Some(open) = self.open.remove(&track.id) {
                    self.close(open, why);
                } else if !track.is_over() {
                    track.is_done(why.into());
                }
            }
        }
    }

    fn begin(&mut self, track: Arc<Track>, file: Option<File>, opening: Opening) {
        let path = &track.path;
        let made = match file {
            Some(file) => Ok(file),
            None => create(path).map_err(CaptureError::Write),
        };
        let output = made.and_then(|file| {
            let mut output = Output::new(file, opening, track.limits.bytes)?;
            // So that a file without room for its beginning is found out at once.
            output.flush()?;
            Ok(output)
        });
        match output {
            Ok(output) => {
                self.totals.files.fetch_add(1, Ordering::Relaxed);
                log::info(&format!("events are recorded in `{}`", path.display()));
                if track.is_last() {
                    log::warn(
                        "this is the last recording of a rule: `capture.max_files` is reached",
                    );
                }
                self.totals.taken(&track, &output);
                track.begins();
                self.open.insert(track.id, Open { track, output, told: false });
            }
            Err(error) => {
                // A file that says nothing helps nobody.
                let _ = std::fs::remove_file(path);
                self.failed(&track, &error, 0);
            }
        }
    }

    fn records(&mut self, track: &Arc<Track>, batch: &Batch) {
        let Some(open) = self.open.get_mut(&track.id) else {
            if !track.is_over() {
                track.lose(batch.seen());
            }
            return;
        };
        let mut left = batch.seen();
        for (record, is_seen) in batch.iter() {
            let Ok(event) = Event::decode(record) else { continue };
            let taken = open.output.take(&event, is_seen);
            left -= u64::from(is_seen);
            if let Err(error) = taken {
                self.give_up(track, &error, left);
                return;
            }
            let enough = track.limits.events.is_some_and(|most| open.output.taken() >= most);
            if open.output.is_full() || enough {
                let why = if enough {
                    "as many events as asked for"
                } else {
                    "the file is as large as it may become"
                };
                if let Some(open) = self.open.remove(&track.id) {
                    self.close(open, why);
                }
                return;
            }
        }
        self.totals.taken(&open.track, &open.output);
    }

    /// Writes what was put together, and says what is lost.
    fn flush(&mut self) {
        let mut failed = Vec::new();
        for open in self.open.values_mut() {
            match open.output.flush() {
                Ok(()) => self.totals.taken(&open.track, &open.output),
                Err(error) => failed.push((Arc::clone(&open.track), error)),
            }
            let lost = open.track.lost();
            if lost > 0 && !std::mem::replace(&mut open.told, true) {
                log::warn(&format!(
                    "`{}`: the disk is too slow for all events, {lost} are not recorded so far",
                    open.track.path.display()
                ));
            }
        }
        for (track, error) in failed {
            self.give_up(&track, &error, 0);
        }
        let unstarted = self.totals.unstarted.swap(0, Ordering::Relaxed);
        if unstarted > 0 {
            log::warn(&format!(
                "{unstarted} recordings were not begun: too much waits to be written"
            ));
        }
    }

    /// Ends a recording whose file cannot be written; `left` events were not even tried.
    fn give_up(&mut self, track: &Arc<Track>, error: &CaptureError, left: u64) {
        let Some(open) = self.open.remove(&track.id) else { return };
        let taken = open.output.taken();
        self.totals.taken(track, &open.output);
        if open.output.bytes() == 0 {
            let _ = std::fs::remove_file(&track.path);
        }
        self.failed(track, error, taken - open.output.events() + left);
    }

    fn failed(&self, track: &Track, error: &CaptureError, lost: u64) {
        track.lose(lost);
        self.totals.lost.fetch_add(lost, Ordering::Relaxed);
        self.totals.failed.fetch_add(1, Ordering::Relaxed);
        let why = error.to_string();
        log::warn(&format!(
            "`{}`: {why}; {} events are not recorded",
            track.path.display(),
            track.lost()
        ));
        track.has_failed(why);
    }

    fn close(&self, mut open: Open, why: &str) {
        let Open { track, output, .. } = &mut open;
        let waiting = output.waiting();
        let before = output.events();
        if let Err(error) = output.finish() {
            self.totals.taken(track, output);
            if output.bytes() == 0 {
                let _ = std::fs::remove_file(&track.path);
            }
            self.failed(track, &error, waiting - (output.events() - before));
            return;
        }
        self.totals.taken(track, output);
        let lost = match track.lost() {
            0 => String::new(),
            lost => format!(", {lost} could not be written in time"),
        };
        let line = format!(
            "{} events recorded in `{}`, {} bytes{lost}: {why}",
            output.events(),
            track.path.display(),
            output.bytes()
        );
        if lost.is_empty() {
            log::info(&line);
        } else {
            log::warn(&line);
        }
        track.is_done(why.into());
    }
}

impl Totals {
    /// Says what a file holds by now.
    fn taken(&self, track: &Track, output: &Output<File>) {
        let more = track.holds(output.events(), output.bytes());
        self.events.fetch_add(more.0, Ordering::Relaxed);
        self.bytes.fetch_add(more.1, Ordering::Relaxed);
    }
}
