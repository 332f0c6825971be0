//! When checks happen: from end to end of an interval, or at moments of the calendar.
//!
//! Intervals go by the clock that nobody sets; moments go by the one on the wall, and are settled
//! anew when that one is set. Neither way can a clock make checks storm or stop. Who fails is asked
//! again sooner than after a whole interval, and ever less often. Nothing here sleeps.

use std::time::{Duration, Instant};

use eyas_artifact::Digest;
use jiff::Timestamp;

use super::cron::Cron;

/// Longest random delay before the first check, whatever the interval: a fleet spreads over minutes,
/// and nobody waits for days.
pub const MAX_JITTER: Duration = Duration::from_mins(5);
/// Random part of every later check, as a share of its interval.
const JITTER_SHARE: u32 = 10;
/// Random part of a check at a moment of the calendar, unless it is said: the minute is kept.
const CALENDAR_JITTER: Duration = Duration::from_secs(30);
/// Time to the second try of what failed once; it doubles up to the interval.
pub const FIRST_RETRY: Duration = Duration::from_secs(15);
/// By how much the wall clock may differ from the other before it counts as set.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// Distance between two moments when the calendar gives none any more.
const NO_MOMENT: Duration = Duration::from_hours(24);

/// When the first check happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// At once.
    Immediate,
    /// After a random delay of at most [`MAX_JITTER`] and one interval.
    Jitter,
    /// After one interval.
    Skip,
}

/// What repeats checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// So long from the end of one to the next.
    Every(Duration),
    /// At these moments.
    Calendar(Box<Cron>),
}

/// When checks happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What repeats them.
    pub when: When,
    /// When the first one happens.
    pub startup: Startup,
    /// Longest random delay of every later one; none means a tenth of the interval and at most
    /// [`MAX_JITTER`].
    pub jitter: Option<Duration>,
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The clock that nobody sets.
    pub steady: Instant,
    /// The clock on the wall.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both.
    pub fn read() -> Self {
        Self { steady: Instant::now(), wall: Timestamp::now() }
    }
}

impl Schedule {
    /// Checks at an interval, the first at once.
    pub fn every(every: Duration) -> Self {
        Self { when: When::Every(every), startup: Startup::Immediate, jitter: None }
    }

    /// Delay before the first check. `seed` is anything that differs between hosts.
    pub fn first(&self, seed: &[u8], now: Now) -> Duration {
        match self.startup {
            Startup::Immediate => Duration::ZERO,
            Startup::Skip => self.interval(now),
            Startup::Jitter => self.interval(now).min(MAX_JITTER).mul_f64(fraction(seed)),
        }
    }

    /// Time from `now` to the next check, but for the random part.
    pub fn interval(&self, now: Now) -> Duration {
        match &self.when {
            When::Every(every) => *every,
            When::Calendar(cron) => {
                let next = cron.after(now.wall);
                next.map_or(NO_MOMENT, |next| {
                    Duration::try_from(next.duration_since(now.wall)).unwrap_or_default()
                })
            }
        }
    }

    fn random_part(&self, seed: &[u8]) -> Duration {
        let longest = self.jitter.unwrap_or_else(|| match &self.when {
            When::Every(every) => (*every / JITTER_SHARE).min(MAX_JITTER),
            When::Calendar(_) => CALENDAR_JITTER,
        });
        longest.mul_f64(fraction(seed))
    }
}

/// How a check went, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There is no reason to come back early.
    Well,
    /// It failed; the registry may have said when to come back.
    Badly(Option<Duration>),
}

/// When one reference is due.
#[derive(Debug, Clone)]
pub struct Timer {
    due: Instant,
    seed: Vec<u8>,
    checks: u64,
    failures: u32,
}

impl Timer {
    /// A timer before the first check.
    pub fn new(schedule: &Schedule, seed: &[u8], now: Now) -> Self {
        let due = now.steady + schedule.first(seed, now);
        Self { due, seed: seed.to_vec(), checks: 0, failures: 0 }
    }

    /// When the next check is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The same on the wall.
    pub fn due_on_wall(&self, now: Now) -> Timestamp {
        let left = self.due.saturating_duration_since(now.steady);
        now.wall.saturating_add(left).unwrap_or(now.wall)
    }

    /// How often it failed since it last did not.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Makes it due at once.
    pub fn hurry(&mut self, now: Now) {
        self.due = now.steady;
    }

    /// A check has ended.
    pub fn ended(&mut self, schedule: &Schedule, ended: Ended, now: Now) {
        self.checks += 1;
        let interval = schedule.interval(now);
        let delay = match ended {
            Ended::Well => {
                self.failures = 0;
                interval + schedule.random_part(&self.seed_of_this())
            }
            Ended::Badly(asked) => {
                self.failures = self.failures.saturating_add(1);
                let doubled = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(20));
                // Half of it is random, so that a fleet that failed together spreads.
                let spread = doubled / 2 + (doubled / 2).mul_f64(fraction(&self.seed_of_this()));
                spread.max(asked.unwrap_or_default()).min(interval)
            }
        };
        self.due = now.steady + delay;
    }

    /// The clock on the wall was set: a moment of the calendar that lay between is due now, once.
    pub fn clock_was_set(&mut self, schedule: &Schedule, before: Timestamp, now: Now) {
        let When::Calendar(cron) = &schedule.when else { return };
        let passed = cron.after(before).is_some_and(|next| next <= now.wall);
        let next = if passed { Duration::ZERO } else { schedule.interval(now) };
        self.due = now.steady + next;
    }

    fn seed_of_this(&self) -> Vec<u8> {
        [self.seed.as_slice(), &self.checks.to_be_bytes()].concat()
    }
}

/// Notices when the clock on the wall is set.
#[derive(Debug)]
pub struct ClockWatch(Now);

impl ClockWatch {
    /// Starts to watch.
    pub fn new(now: Now) -> Self {
        Self(now)
    }

    /// What the wall clock would show had nobody set it, if somebody has.
    pub fn was_set(&mut self, now: Now) -> Option<Timestamp> {
        let passed = now.steady.saturating_duration_since(self.0.steady);
        let expected = self.0.wall.saturating_add(passed).unwrap_or(now.wall);
        self.0 = now;
        let difference = now.wall.duration_since(expected).unsigned_abs();
        (difference > CLOCK_TOLERANCE).then_some(expected)
    }
}

/// A number in [0, 1) that is the same for the same seed.
fn fraction(seed: &[u8]) -> f64 {
    let digest = Digest::sha256(seed);
    let bytes = digest.as_bytes();
    let number = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::cron::CronForm;
    use super::*;

    fn schedule(every: Duration, startup: Startup) -> Schedule {
        Schedule { when: When::Every(every), startup, jitter: None }
    }

    fn calendar(text: &str) -> Schedule {
        let Ok(CronForm::Calendar(cron)) = format!("CRON_TZ=UTC {text}").parse() else {
            panic!("{text}")
        };
        Schedule {
            when: When::Calendar(cron),
            startup: Startup::Skip,
            jitter: Some(Duration::ZERO),
        }
    }

    fn at(steady: Instant, wall: &str) -> Now {
        Now { steady, wall: wall.parse().expect("a time") }
    }

    #[test]
    fn the_first_check_comes_as_asked() {
        let hour = Duration::from_hours(1);
        let first = |startup| schedule(hour, startup).first(b"x", Now::read());
        assert_eq!(first(Startup::Immediate), Duration::ZERO);
        assert_eq!(first(Startup::Skip), hour);
    }

    #[test]
    fn jitter_spreads_within_minutes() {
        let week = schedule(Duration::from_hours(168), Startup::Jitter);
        let now = Now::read();
        let delays: Vec<Duration> = (0..100u8).map(|host| week.first(&[host], now)).collect();
        assert!(delays.iter().all(|delay| *delay < MAX_JITTER));
        assert!(delays.iter().any(|delay| *delay < MAX_JITTER / 4));
        assert!(delays.iter().any(|delay| *delay > MAX_JITTER / 4 * 3));
        let short = schedule(Duration::from_secs(2), Startup::Jitter);
        assert!((0..100u8).all(|host| short.first(&[host], now) < Duration::from_secs(2)));
    }

    #[test]
    fn every_check_is_an_interval_and_a_bounded_random_part_after_the_last() {
        let day = Duration::from_hours(24);
        let daily = schedule(day, Startup::Immediate);
        let now = Now::read();
        let mut timer = Timer::new(&daily, b"host", now);
        let mut parts = std::collections::BTreeSet::new();
        for _ in 0..50 {
            timer.ended(&daily, Ended::Well, now);
            let delay = timer.due() - now.steady;
            let part = delay.checked_sub(day).expect("a whole day");
            assert!(part < MAX_JITTER, "{part:?}");
            parts.insert(part);
        }
        assert!(parts.len() > 10, "the random part differs each time");
        let still = Schedule { jitter: Some(Duration::ZERO), ..daily };
        timer.ended(&still, Ended::Well, now);
        assert_eq!(timer.due() - now.steady, day);
    }

    #[test]
    fn a_failure_comes_back_early_and_ever_later_up_to_the_interval() {
        let hour = Duration::from_hours(1);
        let hourly = schedule(hour, Startup::Immediate);
        let now = Now::read();
        let mut timer = Timer::new(&hourly, b"host", now);
        let mut delays = Vec::new();
        for _ in 0..40 {
            timer.ended(&hourly, Ended::Badly(None), now);
            delays.push(timer.due() - now.steady);
        }
        assert!(delays[0] <= FIRST_RETRY && delays[0] >= FIRST_RETRY / 2, "{:?}", delays[0]);
        assert!(delays[3] > delays[0]);
        assert!(delays.iter().all(|delay| *delay <= hour));
        assert_eq!(delays.last(), Some(&hour));
        assert_eq!(timer.failures(), 40);
        timer.ended(&hourly, Ended::Well, now);
        assert_eq!(timer.failures(), 0);
    }

    #[test]
    fn what_the_registry_asks_for_counts_up_to_the_interval() {
        let hourly = schedule(Duration::from_hours(1), Startup::Immediate);
        let now = Now::read();
        let mut timer = Timer::new(&hourly, b"host", now);
        for (asked, expected) in [(600, 600), (86_400, 3600)] {
            timer.ended(&hourly, Ended::Badly(Some(Duration::from_secs(asked))), now);
            assert_eq!(timer.due() - now.steady, Duration::from_secs(expected));
        }
    }

    #[test]
    fn an_interval_does_not_care_what_the_wall_clock_says() {
        let hourly = schedule(Duration::from_hours(1), Startup::Skip);
        let start = at(Instant::now(), "2026-11-24T03:00:00Z");
        let mut timer = Timer::new(&hourly, b"host", start);
        let due = timer.due();
        timer.clock_was_set(&hourly, start.wall, at(start.steady, "2036-01-01T00:00:00Z"));
        timer.clock_was_set(&hourly, start.wall, at(start.steady, "1996-01-01T00:00:00Z"));
        assert_eq!(timer.due(), due);
    }

    #[test]
    fn a_jump_forward_over_many_moments_makes_one_check() {
        let hourly = calendar("0 * * * *");
        let start = at(Instant::now(), "2026-11-24T03:10:00Z");
        let mut watch = ClockWatch::new(start);
        let mut timer = Timer::new(&hourly, b"host", start);
        assert_eq!(timer.due() - start.steady, Duration::from_mins(50));
        let now = at(start.steady + Duration::from_secs(1), "2026-11-30T12:30:00Z");
        let before = watch.was_set(now).expect("it was set");
        timer.clock_was_set(&hourly, before, now);
        assert_eq!(timer.due(), now.steady, "once, at once");
        timer.ended(&hourly, Ended::Well, now);
        assert_eq!(timer.due() - now.steady, Duration::from_mins(30));
        assert_eq!(watch.was_set(now), None);
    }

    #[test]
    fn a_jump_back_does_not_stop_checks() {
        let hourly = calendar("0 * * * *");
        let start = at(Instant::now(), "2026-11-24T03:10:00Z");
        let mut watch = ClockWatch::new(start);
        let mut timer = Timer::new(&hourly, b"host", start);
        let now = at(start.steady + Duration::from_secs(1), "2020-01-01T00:45:00Z");
        let before = watch.was_set(now).expect("it was set");
        timer.clock_was_set(&hourly, before, now);
        assert_eq!(timer.due() - now.steady, Duration::from_mins(15));
    }

    #[test]
    fn small_corrections_of_the_clock_are_not_jumps() {
        let start = at(Instant::now(), "2026-11-24T03:10:00Z");
        let second = Duration::from_secs(1);
        let mut watch = ClockWatch::new(start);
        assert_eq!(watch.was_set(at(start.steady + second, "2026-11-24T03:10:03Z")), None);
        assert!(watch.was_set(at(start.steady + second * 2, "2026-11-24T03:10:06.1Z")).is_some());
    }
}
