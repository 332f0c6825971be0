//! Progress bars: one line per artifact, on a terminal only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How a bar looks; bytes, rate and time left.
const TEMPLATE: &str = "{msg:24} {bar:28} {bytes:>10}/{total_bytes:10} {bytes_per_sec:>12} {eta}";

/// The bars of one run.
pub(crate) struct Bars {
    all: MultiProgress,
    shown: bool,
    open: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars that are drawn on standard error, or none at all.
    pub(crate) fn new(shown: bool) -> Self {
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), shown, open: Mutex::default() }
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
