//! What artifacts contain, for comparing them: those of a generation, and those of a registry.
//!
//! Nothing is installed. What comes from a registry is verified before it is looked at, and unpacked
//! as an install would, into a directory that goes away.

use std::collections::BTreeMap;
use std::fs::File;

use eyas_artifact::{Digest, Generation, InstalledFile, Kind, Reference, Version};
use eyas_index::Cause;
use eyas_store::{ExtractLimits, Store};

use crate::found::find;
use crate::pull::fetch_archive;
use crate::select::version_of;
use crate::{Context, InstallOptions, OpsError};

/// Largest file whose text is kept, in bytes.
const MAX_TEXT_BYTES: u64 = 16 * 1024 * 1024;
/// Most text of one archive that is kept, in bytes; files beyond are compared as a whole.
const MAX_TEXTS_BYTES: u64 = 64 * 1024 * 1024;

/// An artifact and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Where it is from.
    pub reference: String,
    /// Digest of its manifest: equal ones have equal files.
    pub digest: Digest,
    /// Its files by path.
    pub files: BTreeMap<String, FileContents>,
}

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContents {
    /// Size in bytes.
    pub size: u64,
    /// Digest of the content.
    pub digest: Digest,
    /// The text, of a rules file that is not too large.
    pub text: Option<String>,
}

/// What a generation contains.
pub fn installed_contents(
    store: &Store,
    generation: &Generation,
) -> Result<Vec<Contents>, OpsError> {
    let mut all = Vec::with_capacity(generation.entries.len());
    for entry in &generation.entries {
        let folder = store.generation_dir(generation.number).join(entry.directory());
        let mut files = BTreeMap::new();
        for file in &entry.files {
            let mut text = None;
            if entry.kind == Kind::Rulesfile && file.size <= MAX_TEXT_BYTES {
                let path = folder.join(&file.path);
                let read = std::fs::read(&path);
                let bytes = read.map_err(|error| OpsError::storage("read", &path, error))?;
                text = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
            let contents = FileContents { size: file.size, digest: file.digest, text };
            files.insert(file.path.clone(), contents);
        }
        all.push(Contents {
            name: entry.name.clone(),
            kind: entry.kind,
            version: entry.version.clone(),
            reference: entry.reference.clone(),
            digest: entry.manifest_digest,
            files,
        });
    }
    Ok(all)
}

/// What an artifact of a registry contains. Without an archive to fetch when it is what `known` has.
pub async fn fetched_contents(
    context: &Context<'_>,
    reference: &Reference,
    known: Option<&Contents>,
    options: &InstallOptions,
) -> Result<Contents, OpsError> {
    let found = find(context, reference, Cause::Requested, options).await?;
    let candidate = &found.candidate;
    if let Some(known) = known.filter(|known| known.digest == candidate.manifest_digest) {
        return Ok(Contents { reference: reference.to_string(), ..known.clone() });
    }
    let pinned = found.verified.get();
    let name = &candidate.name;
    let archive = fetch_archive(context.client, pinned, name, context.listener).await?;
    let files = unpacked(name, archive, candidate.kind)?;
    Ok(Contents {
        name: name.clone(),
        kind: candidate.kind,
        version: candidate.version.clone(),
        reference: reference.to_string(),
        digest: candidate.manifest_digest,
        files,
    })
}

/// What to compare an installed artifact with: what its tag is now, or, where it was installed by its
/// full version, the newest version there is.
pub async fn available(context: &Context<'_>, installed: &Contents) -> Result<Reference, OpsError> {
    let reference: Reference = installed.reference.parse()?;
    match reference.tag() {
        Some(tag) if version_of(tag).is_none() => return Ok(reference.with_tag(tag)?),
        _ => {}
    }
    let tags = crate::tags(context.client, &reference).await?;
    let versions = tags.iter().filter_map(|tag| Some((version_of(tag)?, tag)));
    let newest = versions.filter(|(version, _)| !version.is_prerelease()).max();
    match newest {
        Some((_, tag)) => Ok(reference.with_tag(tag)?),
        None => Ok(reference),
    }
}

/// What is in an archive, read by the reader and under the limits that an install has.
fn unpacked(
    name: &str,
    archive: File,
    kind: Kind,
) -> Result<BTreeMap<String, FileContents>, OpsError> {
    let folder = tempfile::tempdir().map_err(OpsError::scratch)?;
    let limits = ExtractLimits::default();
    let files = eyas_store::unpack_file(name, archive, folder.path(), &limits)?;
    let (mut contents, mut kept) = (BTreeMap::new(), 0);
    for InstalledFile { path, digest, size, .. } in files {
        let mut text = None;
        let readable = kind == Kind::Rulesfile && size <= MAX_TEXT_BYTES;
        if readable && kept + size <= MAX_TEXTS_BYTES {
            kept += size;
            let bytes = std::fs::read(folder.path().join(&path)).map_err(OpsError::scratch)?;
            text = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        contents.insert(path, FileContents { size, digest, text });
    }
    Ok(contents)
}
