//! The indexes of a running service: when they are read again, and that reading them holds up nobody
//! who can do without.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyas_artifact::Name;
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
    kept: RefCell<Option<Kept>>,
    /// Asked for by somebody who failed: the index may have moved the artifact.
    doubted: Cell<bool>,
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
        self.doubted.set(true);
    }

    /// The indexes for looking up `name`; without waiting where it is no name of an index.
    pub(crate) async fn for_name(
        &self,
        parts: &Parts,
        name: &Name,
    ) -> anyhow::Result<Arc<Catalog>> {
        if matches!(name, Name::Indexed { .. }) {
            self.all(parts).await
        } else {
            Ok(self.at_hand())
        }
    }

    /// The indexes, read again where that is due, if any name needs them.
    pub(crate) async fn all(&self, parts: &Parts) -> anyhow::Result<Arc<Catalog>> {
        if !parts.names.iter().any(|name| matches!(name, Name::Indexed { .. })) {
            return Ok(self.at_hand());
        }
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
            Arc::new(wiring::catalog(&parts.settings, indexes, client, listener, true).await?);
        self.doubted.set(false);
        let kept = Kept { catalog: Arc::clone(&catalog), at: Instant::now(), files };
        *self.kept.borrow_mut() = Some(kept);
        Ok(catalog)
    }

    fn at_hand(&self) -> Arc<Catalog> {
        let kept = self.kept.borrow();
        kept.as_ref().map(|kept| Arc::clone(&kept.catalog)).unwrap_or_default()
    }

    fn is_fresh(&self) -> bool {
        let kept = self.kept.borrow();
        !self.doubted.get()
            && kept.as_ref().is_some_and(|kept| {
                let young = kept.catalog.is_local() || kept.at.elapsed() < CATALOG_AGE;
                young && !kept.files.changed()
            })
    }
}
