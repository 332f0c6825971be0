//! Looking after what is installed: files that were changed, and whether the sensor runs what is active.
//!
//! Owns the thread on which that happens, one look at a time: a store that somebody else changes and a
//! sensor that takes long are waited for here and nowhere else.

use std::sync::Arc;

use anyhow::Context as _;
use eyas_ops::{Confirmed, Confirmer, OpsError, Watch};
use tokio::task::{JoinHandle, spawn_blocking};

use super::parts::Parts;

/// What came of a look; an error is a defect of ours.
pub(super) type Did = anyhow::Result<Looked>;

/// What came of a look.
pub(super) struct Looked {
    /// How many files were put right; none when nobody looked.
    pub(super) repaired: Option<Result<u64, OpsError>>,
    /// How the sensor stands to what is active.
    pub(super) stands: Confirmed,
}

/// What is remembered from look to look.
#[derive(Default)]
struct Eyes {
    watch: Watch,
    confirmer: Confirmer,
}

/// One look at a time.
#[derive(Default)]
pub(super) struct Chores {
    /// Absent while a look is under way.
    eyes: Option<Eyes>,
    under_way: Option<JoinHandle<(Eyes, Looked)>>,
    /// What was asked for meanwhile: the next look, and whether files are part of it.
    next: Option<(Arc<Parts>, bool)>,
}

impl Chores {
    /// Looks after the sensor, and after `files` if that is wanted; after the look that is under way.
    pub(super) fn begin(&mut self, parts: &Arc<Parts>, files: bool) {
        if self.under_way.is_some() {
            let files = files || self.next.as_ref().is_some_and(|(_, files)| *files);
            self.next = Some((Arc::clone(parts), files));
            return;
        }
        let (parts, eyes) = (Arc::clone(parts), self.eyes.take().unwrap_or_default());
        self.under_way = Some(spawn_blocking(move || look(&parts, eyes, files)));
    }

    /// Whether a look has not come to its end.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Waits for the look that is under way; for ever when there is none.
    pub(super) async fn next(&mut self) -> Did {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let ended = under_way.await;
        self.under_way = None;
        let (eyes, looked) = ended.context("looking after installed files ended abnormally")?;
        self.eyes = Some(eyes);
        if let Some((parts, files)) = self.next.take() {
            self.begin(&parts, files);
        }
        Ok(looked)
    }
}

fn look(parts: &Parts, mut eyes: Eyes, files: bool) -> (Eyes, Looked) {
    let flat = parts.flat.as_ref();
    let repaired = files.then(|| {
        let found = eyes.watch.restore(&parts.store, flat, &parts.listener);
        found.map(|findings| findings.len() as u64)
    });
    let anew = matches!(repaired, Some(Ok(1..)));
    let sensor = parts.sensor();
    let stands = eyes.confirmer.ask(&parts.store, flat, &sensor, &parts.listener, anew);
    (eyes, Looked { repaired, stands })
}
