//! What runs at start: the newest generation that can.

use std::path::Path;
use std::sync::Arc;

use eyas_control::Report;
use eyas_rules::SourceFile;

use super::compile::{Active, Compiled, Origin, compile, read_files};
use super::{Settings, texts};
use crate::error::DaemonError;
use crate::generation::{self, Installed, StoreError};

/// Earlier generations that are tried at start when the current one is refused.
const MAX_FALLBACKS: usize = 8;

/// What a start found to run.
#[derive(Debug)]
pub(crate) struct Initial {
    pub(super) active: Active,
    pub(super) installed: Option<Installed>,
    /// What the newest generation was refused for, if an older one runs in its place.
    pub(super) fallback: Option<String>,
    /// Warnings of the set that runs.
    pub(crate) reports: Vec<Report>,
}

impl Initial {
    /// What it was compiled with.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.active.settings)
    }
}

/// Compiles what there is to run at start: the current generation, or the newest older one that
/// can be read and compiles, and plain files.
pub(crate) fn initial(settings: &Arc<Settings>) -> Result<Initial, DaemonError> {
    let config = &settings.config;
    let files = read_files(&config.rules_files)?;
    let (installed, unreadable) = newest_readable(config.store.as_deref())?;
    let Some(mut installed) = installed else {
        let Compiled { active, reports } = compile(files, settings, Origin::FILES);
        let active = active.ok_or_else(|| DaemonError::Rules { text: texts(&reports) })?;
        return Ok(Initial { active, installed: None, fallback: None, reports });
    };
    let store = config.store.as_deref().unwrap_or(Path::new(""));
    let mut older = generation::older_than(store, installed.number).into_iter().take(MAX_FALLBACKS);
    let mut first_refusal = unreadable;
    loop {
        let origin = Origin::of(&installed);
        let together = together(&mut installed, &files);
        let Compiled { active, reports } = compile(together, settings, origin);
        if let Some(active) = active {
            let fallback = first_refusal.map(|text| {
                format!(
                    "the current generation was refused, running `{}`:\n{text}",
                    installed.number
                )
            });
            return Ok(Initial { active, installed: Some(installed), fallback, reports });
        }
        let text = first_refusal.get_or_insert_with(|| texts(&reports));
        installed = loop {
            let Some(number) = older.next() else {
                return Err(DaemonError::Rules { text: text.clone() });
            };
            if let Ok(found) = generation::read(store, number) {
                break found;
            }
        };
    }
}

/// The current generation, or the newest older one that is as it was installed, and then why the
/// current one is not taken. A store without any that can be read is an error.
fn newest_readable(
    store: Option<&Path>,
) -> Result<(Option<Installed>, Option<String>), StoreError> {
    let Some(store) = store else { return Ok((None, None)) };
    let error = match generation::current(store) {
        Ok(found) => return Ok((found, None)),
        Err(error) => error,
    };
    let older = generation::current_number(store)?
        .into_iter()
        .flat_map(|number| generation::older_than(store, number))
        .take(MAX_FALLBACKS);
    for number in older {
        if let Ok(found) = generation::read(store, number) {
            return Ok((Some(found), Some(error.to_string())));
        }
    }
    Err(error)
}

/// The generation's files, then the plain ones.
pub(super) fn together(installed: &mut Installed, files: &[SourceFile]) -> Vec<SourceFile> {
    let mut all = std::mem::take(&mut installed.rules);
    all.extend_from_slice(files);
    all
}
