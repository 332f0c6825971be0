//! Running totals, written by the event thread and read by whoever asks for the status.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Bytes of their command lines and environments.
    pub(crate) table_bytes: Total,
    /// Processes forgotten for lack of room.
    pub(crate) evicted: Total,
    /// Reloads taken.
    pub(crate) reloads: Total,
    /// Reloads refused.
    pub(crate) refused: Total,
    /// Alerts held back.
    pub(crate) held: Total,
    /// Events judged without knowing their container, although it was asked for.
    pub(crate) unasked: Total,
    /// Rounds of the event thread: it is alive as long as they grow.
    pub(crate) polls: Total,
    /// Events by type.
    pub(crate) by_type: ByType,
    by_rule: Mutex<BTreeMap<Arc<str>, OfRule>>,
}

/// What is counted of one rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OfRule {
    /// Matches.
    pub(crate) matches: u64,
    /// Estimated time spent on its condition, nanoseconds.
    pub(crate) cost_ns: u64,
}

impl Stats {
    /// Adds what the event thread has counted. When somebody reads just now it stays for the next time.
    pub(crate) fn add_by_rule(&self, counted: &mut HashMap<Arc<str>, OfRule>) {
        if counted.is_empty() {
            return;
        }
        if let Ok(mut all) = self.by_rule.try_lock() {
            for (rule, more) in counted.drain() {
                let sum = all.entry(rule).or_default();
                sum.matches += more.matches;
                sum.cost_ns += more.cost_ns;
            }
        }
    }

    /// What was counted of each rule.
    pub(crate) fn by_rule(&self) -> BTreeMap<Arc<str>, OfRule> {
        self.by_rule.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts by event code. Only the event thread counts.
#[derive(Debug)]
pub(crate) struct ByType(Box<[AtomicU64]>);

impl Default for ByType {
    fn default() -> Self {
        let last = eyas_abi::schema::all().iter().map(|event| event.code).max().unwrap_or(0);
        Self((0..=last).map(|_| AtomicU64::new(0)).collect())
    }
}

impl ByType {
    /// One more of this code.
    pub(crate) fn count(&self, code: u16) {
        if let Some(count) = self.0.get(usize::from(code)) {
            // There is one writer, so this needs no locked instruction.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Codes that occurred, with their counts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        (0..).zip(counts).filter(|(_, count)| *count > 0)
    }
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
