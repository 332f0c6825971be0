//! The indexes of a running service: when they are read again, and that reading them holds up nobody
//! who can do without.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Held, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyas_artifact::Request;
use eyas_ops::{Catalog, IndexLocation};
use tokio::sync::Mutex;

use super::parts::Parts;
use super::watch::Watched;
use crate::wiring;

/// How long indexes from elsewhere are believed before they are fetched again.
const CATALOG_AGE: Duration = Duration::from_hours(1);

/// The indexes as they were last read.
#[derive(Default)]
pub(crate) struct Shelf {
    kept: Held<Option<Kept>>,
    /// Asked for by somebody who failed: the index may have moved the artifact.
    doubted: AtomicBool,
    reading: Mutex<()>,
}

struct Kept {
    catalog: Arc<Catalog>,
    at: Instant,
    files: Watched,
}

impl Shelf {
    /// The indexes are to be read again before they are used again.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    /// The indexes for looking up `name`; without waiting where it is no name of an index.
    pub(crate) async fn for_name(
        &self,
        parts: &Parts,
        name: &Request,
    ) -> anyhow::Result<Arc<Catalog>> {
        if name.needs_index() { self.all(parts).await } else { Ok(self.at_hand()) }
    }

    /// The indexes, read again where that is due; where no name needs them, they are read when something
    /// else does.
    pub(crate) async fn all(&self, parts: &Parts) -> anyhow::Result<Arc<Catalog>> {
        let needed = parts.names.iter().any(Request::needs_index);
        let _reading = self.reading.lock().await;
        if self.is_fresh() {
            return Ok(self.at_hand());
        }
        let typed = &parts.typed;
        let indexes = &typed.args.flags.indexes;
        let mut files = Vec::new();
        for source in wiring::sources(&parts.settings, indexes)? {
            if let IndexLocation::File(path) = source.location {
                files.push(path);
            }
        }
        let files = Watched::of(files);
        let (client, listener) = (&parts.client, &parts.listener);
        let catalog =
            Arc::new(wiring::catalog(&parts.settings, indexes, client, listener, needed).await?);
        self.doubted.store(false, Ordering::Relaxed);
        let kept = Kept { catalog: Arc::clone(&catalog), at: Instant::now(), files };
        *self.kept() = Some(kept);
        Ok(catalog)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_hand(&self) -> Arc<Catalog> {
        let kept = self.kept();
        kept.as_ref().map(|kept| Arc::clone(&kept.catalog)).unwrap_or_default()
    }

    fn is_fresh(&self) -> bool {
        let kept = self.kept();
        !self.doubted.load(Ordering::Relaxed)
            && kept.as_ref().is_some_and(|kept| {
                let young = kept.catalog.is_local() || kept.at.elapsed() < CATALOG_AGE;
                young && !kept.files.changed()
            })
    }
}
