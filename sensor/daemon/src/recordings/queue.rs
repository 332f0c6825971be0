//! What waits to be written: bounded in bytes and in number, and never waited for by those who fill it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use eyas_capture::Opening;

use super::track::Track;

/// Most jobs that wait.
const MAX_JOBS: usize = 1024;

/// Records on their way, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Length of each, and whether it is to be seen.
    records: Vec<(u32, bool)>,
    seen: u64,
}

impl Batch {
    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8], is_seen: bool) {
        self.bytes.extend_from_slice(record);
        self.records.push((record.len() as u32, is_seen));
        self.seen += u64::from(is_seen);
    }

    /// Bytes of the records.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many of them are to be seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The records in order, and whether each is to be seen.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut at = 0;
        self.records.iter().map(move |(len, is_seen)| {
            let from = at;
            at += *len as usize;
            (self.bytes.get(from..at).unwrap_or_default(), *is_seen)
        })
    }
}

/// Something for the writing thread to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Begin a file; one that is not open yet is made.
    Begin {
        /// The recording.
        track: Arc<Track>,
        /// Its file.
        file: Option<File>,
        /// What stands in front of the events.
        opening: Opening,
    },
    /// Write events.
    Records {
        /// The recording.
        track: Arc<Track>,
        /// The events.
        batch: Batch,
    },
    /// End a file.
    End {
        /// The recording.
        track: Arc<Track>,
        /// Why.
        why: &'static str,
    },
}

impl Job {
    /// Bytes that it holds.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Begin { opening, .. } => opening.bytes(),
            Self::Records { batch, .. } => batch.len(),
            Self::End { .. } => 0,
        }
    }
}

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: SyncSender<Job>,
    bytes: AtomicUsize,
    most: usize,
    closed: AtomicBool,
}

impl Queue {
    pub(super) fn new(most: usize) -> (Self, Receiver<Job>) {
        let (sender, jobs) = sync_channel(MAX_JOBS);
        (Self { sender, bytes: AtomicUsize::new(0), most, closed: AtomicBool::new(false) }, jobs)
    }

    /// Hands a job over, unless there is no room; then it comes back.
    pub(crate) fn offer(&self, job: Job) -> Result<(), Job> {
        let weight = job.weight();
        let before = self.bytes.fetch_add(weight, Ordering::Relaxed);
        // What is larger than all the room there is may go alone.
        if weight > 0 && before > 0 && before + weight > self.most {
            self.release(weight);
            return Err(job);
        }
        self.sender.try_send(job).map_err(|refused| {
            self.release(weight);
            match refused {
                std::sync::mpsc::TrySendError::Full(job)
                | std::sync::mpsc::TrySendError::Disconnected(job) => job,
            }
        })
    }

    pub(super) fn release(&self, weight: usize) {
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::track::Limits;
    use super::*;

    fn job(len: usize) -> Job {
        let limits = Limits { duration: Duration::ZERO, bytes: 0, events: None };
        let track = Arc::new(Track::new(1, "x".into(), limits));
        let mut batch = Batch::default();
        batch.push(&vec![7; len], true);
        Job::Records { track, batch }
    }

    #[test]
    fn it_is_bounded_in_bytes_and_in_number() {
        let (queue, jobs) = Queue::new(100);
        assert!(queue.offer(job(60)).is_ok());
        assert!(queue.offer(job(60)).is_err(), "no room");
        assert!(queue.offer(job(40)).is_ok());
        for _ in 0..2 {
            queue.release(jobs.recv().unwrap().weight());
        }
        assert_eq!(queue.bytes(), 0);
        assert!(queue.offer(job(1000)).is_ok(), "alone");
        assert!(queue.offer(job(1)).is_err());
        queue.release(jobs.recv().unwrap().weight());
        for _ in 0..MAX_JOBS {
            assert!(queue.offer(job(0)).is_ok());
        }
        assert!(queue.offer(job(0)).is_err());
    }

    #[test]
    fn a_batch_gives_back_what_it_took() {
        let mut batch = Batch::default();
        batch.push(b"one", true);
        batch.push(b"", false);
        batch.push(b"three", true);
        let found: Vec<_> = batch.iter().collect();
        assert_eq!(found, [(&b"one"[..], true), (b"", false), (b"three", true)]);
        assert_eq!((batch.len(), batch.seen()), (8, 2));
    }
}
