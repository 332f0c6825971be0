//! Progress: one bar per artifact on a terminal; now and then a line where there is none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How a bar looks; bytes, rate and time left.
const TEMPLATE: &str = "{msg:24} {bar:28} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} {eta}";

/// How often a line is said where no bar is shown; what is done sooner needs none.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bars of one run.
pub(crate) struct Bars {
    all: MultiProgress,
    shown: bool,
    open: Mutex<BTreeMap<String, ProgressBar>>,
    paced: Mutex<BTreeMap<String, Pace>>,
}

/// What was said of one artifact without a bar.
struct Pace {
    start: Instant,
    said: Instant,
}

impl Bars {
    /// Bars that are drawn on standard error, or none at all.
    pub(crate) fn new(shown: bool) -> Self {
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            all: MultiProgress::with_draw_target(target),
            shown,
            open: Mutex::default(),
            paced: Mutex::default(),
        }
    }

    /// Moves the bar of `name`; the first call makes it.
    pub(crate) fn advance(&self, name: &str, done: u64, total: u64) {
        if !self.shown {
            return;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = open.entry(name.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(TEMPLATE)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.all.add(ProgressBar::new(total).with_style(style).with_message(name.to_owned()))
        });
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
            open.remove(name);
        }
    }

    /// The line that is due at `now` where no bar is shown.
    pub(crate) fn line(&self, name: &str, done: u64, total: u64, now: Instant) -> Option<String> {
        if self.shown {
            return None;
        }
        let mut paced = self.paced.lock().unwrap_or_else(PoisonError::into_inner);
        if done >= total {
            paced.remove(name);
            return None;
        }
        let pace = paced.entry(name.to_owned()).or_insert(Pace { start: now, said: now });
        if now.saturating_duration_since(pace.said) < LINE_EVERY {
            return None;
        }
        pace.said = now;
        let seconds = now.saturating_duration_since(pace.start).as_secs().max(1);
        let (rate, percent) = (done / seconds, done.saturating_mul(100) / total.max(1));
        let left = (total - done) / rate.max(1);
        let (done, total, rate) = (HumanBytes(done), HumanBytes(total), HumanBytes(rate));
        Some(format!("{name}: {done} of {total} ({percent} %), {rate}/s, {left} s left"))
    }

    /// Removes what is left, as after a failure.
    pub(crate) fn clear(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in std::mem::take(&mut *open).into_values() {
            bar.finish_and_clear();
        }
    }

    /// Runs `write` with the bars out of the way.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.shown { self.all.suspend(write) } else { write() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bar_a_line_is_said_now_and_then() {
        let bars = Bars::new(false);
        let start = Instant::now();
        let at =
            |seconds, done| bars.line("demo", done, 4096, start + Duration::from_secs(seconds));
        assert_eq!(at(0, 0), None);
        assert_eq!(at(4, 512), None);
        let line = at(5, 1024).expect("a line");
        assert_eq!(line, "demo: 1.00 KiB of 4.00 KiB (25 %), 204 B/s, 15 s left");
        assert_eq!(at(6, 2048), None);
        assert!(at(10, 2048).is_some());
        assert_eq!(at(20, 4096), None, "what is done needs no line");
        assert_eq!(at(21, 1), None, "and the next one begins anew");
    }

    #[test]
    fn a_bar_needs_no_line() {
        let bars = Bars::new(true);
        let start = Instant::now();
        assert_eq!(bars.line("demo", 1, 2, start), None);
        assert_eq!(bars.line("demo", 1, 2, start + LINE_EVERY), None);
    }
}
