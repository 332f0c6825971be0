//! A capture run through the same judgement as live events: the same context, rules and outputs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eyas_capture::{Replay, Visitor};
use eyas_rules::index::IdSet;
use eyas_state::Ctx;

use super::Judge;
use crate::error::DaemonError;
use crate::log;

/// Steps between two looks at whether to stop.
const STEPS: u32 = 4096;

/// A capture that was opened.
#[derive(Debug)]
pub(crate) struct Capture {
    path: PathBuf,
    replay: Replay,
}

impl Capture {
    /// Opens a capture.
    pub(crate) fn open(path: &Path) -> Result<Self, DaemonError> {
        let failed = |source| DaemonError::Capture { path: path.to_owned(), source };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let replay = Replay::new(file, eyas_state::Limits::default()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), replay })
    }
}

/// Judges the events that a rule wants.
struct Judging<'j, 'e> {
    judge: &'j mut Judge<'e>,
    /// Codes of the events that the rules in force are to see.
    codes: IdSet,
}

impl Visitor for Judging<'_, '_> {
    fn wants(&self, code: u16) -> bool {
        self.codes.contains(code)
    }

    fn event(&mut self, ctx: &Ctx<'_>) {
        let Judge { engine, active, scratch, told, recording, .. } = &mut *self.judge;
        // The machine that alerts speak of is the one that was recorded.
        let name = &ctx.host().name;
        if told.format.hostname.as_bytes() != &**name {
            told.format.hostname = Arc::from(String::from_utf8_lossy(name).as_ref());
        }
        // What was recorded once is not recorded again.
        let _ = super::judge(engine, active, scratch, told, ctx, recording);
    }
}

impl Judge<'_> {
    /// Judges a capture to its end, to damage in it, or until told to stop. What comes before damage is
    /// judged.
    pub(super) fn read_capture(
        &mut self,
        mut capture: Capture,
        stop: &AtomicBool,
    ) -> Result<(), DaemonError> {
        let ended = loop {
            if stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            match capture.steps(self) {
                Ok(true) => self.publish_capture(&capture.replay),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.publish_capture(&capture.replay);
        let counts = capture.replay.counts();
        log::info(&format!(
            "{} events in {}, {} shown, {} folded into others, {} not known",
            counts.events,
            capture.path.display(),
            counts.shown,
            counts.folded,
            counts.unknown + counts.unconvertible
        ));
        ended
    }

    fn publish_capture(&mut self, replay: &Replay) {
        self.records = replay.counts().events;
        self.publish();
        let counts = replay.tables().counts();
        self.engine.stats.processes.set(counts.processes);
        self.engine.stats.evicted.set(counts.evicted);
    }
}

impl Capture {
    /// Some steps; `false` at the end.
    fn steps(&mut self, judge: &mut Judge<'_>) -> Result<bool, DaemonError> {
        let codes = judge.engine.active.load().rules.event_codes();
        let mut judging = Judging { judge, codes };
        for _ in 0..STEPS {
            match self.replay.step(&mut judging) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(source) => {
                    return Err(DaemonError::Capture { path: self.path.clone(), source });
                }
            }
        }
        Ok(true)
    }
}
