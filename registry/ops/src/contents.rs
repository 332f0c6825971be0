//! What artifacts contain, for comparing them: those of a generation, and those of a registry.
//!
//! Nothing is installed. What comes from a registry is verified before it is looked at, and unpacked
//! in memory only as far as it is read.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use eyas_artifact::{Digest, Generation, Hasher, Kind, Reference, Version};
use eyas_index::Cause;
use eyas_store::Store;
use flate2::read::MultiGzDecoder;

use crate::archive::MAX_FILES;
use crate::found::find;
use crate::pull::fetch_archive;
use crate::select::version_of;
use crate::{Context, InstallOptions, OpsError};

/// Largest file whose text is kept, in bytes.
const MAX_TEXT_BYTES: u64 = 16 * 1024 * 1024;
/// Most bytes that an archive is unpacked to.
const MAX_UNPACKED_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes read at once.
const CHUNK_BYTES: usize = 128 * 1024;

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
    let unreadable = |why: String| OpsError::Unreadable { reference: reference.to_string(), why };
    let files = unpack(archive, candidate.kind).map_err(unreadable)?;
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

fn unpack(
    mut archive: std::fs::File,
    kind: Kind,
) -> Result<BTreeMap<String, FileContents>, String> {
    archive.rewind().map_err(|error| error.to_string())?;
    let mut limited = MultiGzDecoder::new(archive).take(MAX_UNPACKED_BYTES);
    let mut files = BTreeMap::new();
    let mut unpacked = tar::Archive::new(&mut limited);
    for entry in unpacked.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let keep = kind == Kind::Rulesfile && entry.size() <= MAX_TEXT_BYTES;
        let contents = read(&mut entry, keep).map_err(|error| error.to_string())?;
        files.insert(path, contents);
    }
    if limited.limit() == 0 {
        return Err(format!("it unpacks to more than {MAX_UNPACKED_BYTES} bytes"));
    }
    Ok(files)
}

fn read(source: &mut impl Read, keep: bool) -> std::io::Result<FileContents> {
    let (mut hasher, mut size, mut text) = (Hasher::new(), 0, Vec::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        hasher.update(&chunk[..count]);
        size += count as u64;
        if keep {
            text.extend_from_slice(&chunk[..count]);
        }
    }
    let text = keep.then(|| String::from_utf8_lossy(&text).into_owned());
    Ok(FileContents { size, digest: hasher.finish(), text })
}
