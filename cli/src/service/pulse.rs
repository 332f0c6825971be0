//! What is known of a running service, shared between who works and who is asked.
//!
//! The one who works beats and notes; health, readiness and metrics read. Everything here has a
//! fixed size for a fixed list of references.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyas_artifact::Request;
use eyas_ops::{CheckResult, Checked, Class, Confirmed};
use jiff::Timestamp;

/// How long the loop may take for one turn before the service counts as stuck. A reload may take a
/// minute, and waiting for another process that changes the store half of one.
pub(crate) const STUCK_AFTER: Duration = Duration::from_mins(2);
/// How many intervals a success lasts for readiness.
const READY_INTERVALS: u32 = 3;
/// Shortest time that a success lasts for readiness.
const READY_AT_LEAST: Duration = Duration::from_secs(5);
/// Upper bounds of the histogram of check durations, in seconds.
pub(crate) const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// The shared state.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    beat: AtomicU64,
    report: Mutex<Report>,
}

/// Numbers and words since the start.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) references: Vec<ReferenceReport>,
    pub(crate) generation: Option<u64>,
    pub(crate) sensor: Option<Confirmed>,
    pub(crate) files_repaired: u64,
    pub(crate) bytes: u64,
    pub(crate) reloads: u64,
    pub(crate) reloads_failed: u64,
    pub(crate) durations: Durations,
}

/// Numbers and words of one reference.
#[derive(Debug)]
pub(crate) struct ReferenceReport {
    pub(crate) name: String,
    pub(crate) checks: u64,
    pub(crate) updates: u64,
    pub(crate) refused: u64,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    pub(crate) last_check: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) next: Option<Timestamp>,
    /// Why the last check was not a success.
    pub(crate) trouble: Option<String>,
    ready_until: Option<Instant>,
}

/// A histogram of durations.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Durations {
    pub(crate) counts: [u64; BUCKETS.len()],
    pub(crate) all: u64,
    pub(crate) sum: f64,
}

impl Durations {
    fn note(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.all += 1;
        self.sum += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.counts[bucket] += 1;
        }
    }
}

/// What belongs to a check beside what it found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) took: Duration,
    pub(crate) interval: Duration,
    pub(crate) next: Timestamp,
}

impl Pulse {
    /// A service that has just started.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), beat: AtomicU64::new(0), report: Mutex::default() }
    }

    /// The loop has made a turn.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(now, Ordering::Relaxed);
    }

    /// How long ago the loop made its last turn.
    pub(crate) fn since_beat(&self) -> Duration {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(beat)
    }

    /// The report, to read or to write.
    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a number of bytes that were fetched into account.
    pub(crate) fn fetched(&self, bytes: u64) {
        self.report().bytes += bytes;
    }
}

impl Report {
    /// Reports on these from now on. One whose first check may wait counts as ready until then.
    pub(crate) fn follow(&mut self, names: &[Request], ready_until: Option<Instant>) {
        let mut before = std::mem::take(&mut self.references);
        for name in names {
            let name = name.to_string();
            let known = before.iter().position(|reference| reference.name == name);
            self.references.push(match known {
                Some(place) => before.swap_remove(place),
                None => ReferenceReport::new(name, ready_until),
            });
        }
    }

    /// Takes a check into account.
    pub(crate) fn note(&mut self, checked: &Checked, timing: Timing, now: Timestamp) {
        self.durations.note(timing.took);
        let name = checked.name.to_string();
        let Some(reference) = self.references.iter_mut().find(|known| known.name == name) else {
            return;
        };
        reference.checks += 1;
        reference.last_check = Some(now);
        reference.next = Some(timing.next);
        match &checked.result {
            CheckResult::Failed { failure, .. } => {
                *reference.failures.entry(failure.class.name()).or_default() += 1;
                reference.trouble = Some(failure.message.clone());
                return;
            }
            CheckResult::StillRefused => {
                reference.refused += 1;
                let refused = || "what is there was refused".to_owned();
                reference.trouble.get_or_insert_with(refused);
                return;
            }
            CheckResult::Installed(_) => reference.updates += 1,
            CheckResult::Current { .. } => {}
        }
        reference.last_success = Some(now);
        reference.trouble = None;
        let lasts = timing.interval.saturating_mul(READY_INTERVALS).max(READY_AT_LEAST);
        reference.ready_until = Instant::now().checked_add(lasts);
    }

    /// Why the service is not ready, one line per reference; nothing when it is.
    pub(crate) fn unready(&self, now: Instant) -> Vec<String> {
        let late =
            |reference: &&ReferenceReport| reference.ready_until.is_none_or(|until| until < now);
        self.references.iter().filter(late).map(ReferenceReport::why_unready).collect()
    }
}

impl ReferenceReport {
    fn new(name: String, ready_until: Option<Instant>) -> Self {
        Self {
            name,
            checks: 0,
            updates: 0,
            refused: 0,
            failures: Class::ALL.iter().map(|class| (class.name(), 0)).collect(),
            last_check: None,
            last_success: None,
            next: None,
            trouble: None,
            ready_until,
        }
    }

    fn why_unready(&self) -> String {
        let trouble = self.trouble.as_deref().unwrap_or("it was not checked yet");
        let trouble = trouble.lines().next().unwrap_or_default();
        match self.last_success {
            Some(at) => format!("{}: no successful check since {at:.0}: {trouble}", self.name),
            None => format!("{}: no successful check yet: {trouble}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use eyas_ops::CheckFailure;

    use super::*;

    fn names(list: &[&str]) -> Vec<Request> {
        list.iter().map(|name| name.parse().expect("a name")).collect()
    }

    fn checked(name: &str, result: CheckResult) -> Checked {
        Checked { name: name.parse().expect("a name"), reference: None, digest: None, result }
    }

    fn failed(message: &str) -> CheckResult {
        let failure = CheckFailure::new(Class::Network, message, None);
        CheckResult::Failed { failure, known: false }
    }

    fn timing(interval: Duration) -> Timing {
        Timing { took: Duration::from_millis(7), interval, next: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn readiness_names_each_reference_that_had_no_success() {
        let mut report = Report::default();
        report.follow(&names(&["a:1", "b:1"]), None);
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        assert_eq!(report.unready(now).len(), 2);
        report.note(
            &checked("a:1", CheckResult::Current { again: false }),
            timing(minute),
            Timestamp::now(),
        );
        report.note(&checked("b:1", failed("no answer\nmore")), timing(minute), Timestamp::now());
        assert_eq!(report.unready(now), ["b:1: no successful check yet: no answer"]);
        let later = now + minute * (READY_INTERVALS + 1);
        assert_eq!(report.unready(later).len(), 2);
        assert_eq!(report.references[1].failures["network"], 1);
    }

    #[test]
    fn a_success_lasts_for_some_intervals_and_a_shortest_time() {
        let mut report = Report::default();
        report.follow(&names(&["a:1"]), None);
        let now = Instant::now();
        let short = timing(Duration::from_millis(50));
        report.note(
            &checked("a:1", CheckResult::Current { again: false }),
            short,
            Timestamp::now(),
        );
        assert!(report.unready(now + READY_AT_LEAST / 2).is_empty());
        assert_eq!(report.unready(now + READY_AT_LEAST + Duration::from_secs(5)).len(), 1);
    }

    #[test]
    fn who_is_still_followed_keeps_its_numbers() {
        let mut report = Report::default();
        report.follow(&names(&["a:1", "b:1"]), None);
        report.note(&checked("b:1", failed("x")), timing(Duration::ZERO), Timestamp::now());
        report.follow(&names(&["b:1", "c:1"]), Some(Instant::now() + Duration::from_hours(1)));
        let found: Vec<_> =
            report.references.iter().map(|known| (&*known.name, known.checks)).collect();
        assert_eq!(found, [("b:1", 1), ("c:1", 0)]);
        assert_eq!(report.unready(Instant::now()).len(), 1, "a delayed first check is no trouble");
    }

    #[test]
    fn durations_fall_into_their_buckets() {
        let mut durations = Durations::default();
        for milliseconds in [1, 5, 6, 40_000] {
            durations.note(Duration::from_millis(milliseconds));
        }
        assert_eq!((durations.counts[0], durations.counts[1], durations.all), (2, 1, 4));
        assert!(durations.sum > 40.0);
    }

    #[test]
    fn a_beat_is_remembered() {
        let pulse = Pulse::new();
        pulse.beat();
        assert!(pulse.since_beat() < STUCK_AFTER);
    }
}
