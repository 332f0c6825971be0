//! Whether plain directories hold what they should, without changing or locking them.

use std::fs;
use std::path::Path;

use eyas_artifact::{Entry, Generation, InstalledFile};

use super::journal::{BOUND, PREPARED};
use super::{FlatDirectories, OWN_DIRECTORY, Ownership, canonical, record};
use crate::disk::FILE_MODE;
use crate::integrity::{Fault, Finding, examine};
use crate::seen::Seen;
use crate::{Store, StoreError};

impl Store {
    /// Compares every file of plain directories with a generation. Files of others are no business
    /// of ours; what is left of an older version, or of a transaction that was cut, is.
    pub fn flat_findings(
        &self,
        directories: &FlatDirectories,
        generation: Option<&Generation>,
        seen: &mut Seen,
    ) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let writer = canonical(self.directory()).unwrap_or_else(|_| self.directory().to_owned());
        for (kind, directory) in directories.iter() {
            let own = directory.join(OWN_DIRECTORY);
            let owned = Ownership::read(&own.join(record::FILE))?;
            let entries =
                || generation.iter().flat_map(|it| &it.entries).filter(|entry| entry.kind == kind);
            for entry in entries() {
                for file in &entry.files {
                    let fault = check(directory, file, &owned, seen)?;
                    findings.extend(fault.map(|fault| finding(entry, directory, file, fault)));
                }
            }
            let wanted = |path: &String| {
                entries().flat_map(|entry| &entry.files).any(|file| file.path == *path)
            };
            for (path, file) in owned.of(&writer.to_string_lossy()) {
                if file.kind == kind && !wanted(path) {
                    let (name, path) = (file.artifact.clone(), directory.join(path));
                    findings.push(Finding { kind, name, path, fault: Fault::Unknown });
                }
            }
            for left in [BOUND, PREPARED].map(|name| own.join(name)) {
                if fs::symlink_metadata(&left).is_ok() {
                    let name = "interrupted transaction".to_owned();
                    findings.push(Finding { kind, name, path: left, fault: Fault::Unknown });
                }
            }
        }
        Ok(findings)
    }
}

fn check(
    directory: &Path,
    file: &InstalledFile,
    owned: &Ownership,
    seen: &mut Seen,
) -> Result<Option<Fault>, StoreError> {
    let path = directory.join(&file.path);
    let expected = InstalledFile { mode: FILE_MODE, ..file.clone() };
    let fault = examine(&path, &expected, u64::MAX, seen)?;
    let recorded = owned.find(&file.path).is_some_and(|owned| owned.digest == file.digest);
    // What is there and not recorded as ours would stay behind when its artifact goes.
    Ok(fault.or((!recorded).then_some(Fault::Unknown)))
}

fn finding(entry: &Entry, directory: &Path, file: &InstalledFile, fault: Fault) -> Finding {
    let path = directory.join(&file.path);
    Finding { kind: entry.kind, name: entry.name.clone(), path, fault }
}
