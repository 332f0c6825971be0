//! Running totals, written by the event thread and read by whoever asks for the status.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since start.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Records read.
    pub(crate) events: Total,
    /// Records that did not decode.
    pub(crate) malformed: Total,
    /// Rule matches.
    pub(crate) matches: Total,
    /// Processes known.
    pub(crate) processes: Total,
    /// Processes forgotten for lack of room.
    pub(crate) evicted: Total,
    /// Reloads taken.
    pub(crate) reloads: Total,
    /// Reloads refused.
    pub(crate) refused: Total,
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Total(AtomicU64);

impl Total {
    /// Adds to it.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Replaces it.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Reads it.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
