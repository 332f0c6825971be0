//! Unpacking a layer.
//!
//! Owns what an archive may contain: regular files and directories with plain names, within limits,
//! whatever their modes and owners say. Only reads content whose digest has been checked, and only
//! writes to a directory that nobody looks at.

mod headers;
mod limits;
mod names;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use eyas_artifact::InstalledFile;
use flate2::bufread::MultiGzDecoder;

pub use limits::ExtractLimits;

use crate::disk::{self, NewFile};
use crate::{StoreError, disk::FILE_MODE};
use headers::{Member, Members};
use limits::{Counter, Metered, RATIO_GRACE_BYTES};

/// Bytes read from the archive at a time.
const BUFFER_BYTES: usize = 128 * 1024;

/// Unpacks the gzip-compressed archive `layer` of `artifact` into the existing, empty `directory`;
/// gives the files, sorted. After an error the directory is to be thrown away. Nothing is flushed.
pub fn unpack(
    artifact: &str,
    layer: &Path,
    directory: &Path,
    limits: &ExtractLimits,
) -> Result<Vec<InstalledFile>, StoreError> {
    unpack_file(artifact, disk::open(layer)?, directory, limits)
}

/// The same for an archive that is open, and in no store: for looking at what is in it.
pub fn unpack_file(
    artifact: &str,
    compressed: File,
    directory: &Path,
    limits: &ExtractLimits,
) -> Result<Vec<InstalledFile>, StoreError> {
    disk::check_space(directory, least_size(&compressed, limits))?;
    let archive = |why: String| StoreError::Archive { artifact: artifact.to_owned(), why };
    let exceeded = |counter: &Counter| {
        counter.exceeded().map(|(limit, what)| StoreError::ArchiveLimit {
            artifact: artifact.to_owned(),
            limit,
            what,
        })
    };
    let counter = Counter::new(limits);
    let mut work =
        Unpacking { directory, seen: BTreeMap::new(), files: Vec::new(), counter: &counter };
    let done = work.run(compressed);
    match done {
        // A limit stops the reader, which then looks like a cut archive.
        Err(_) if counter.exceeded().is_some() => {}
        Err(Failure::Archive(why)) => return Err(archive(why)),
        Err(Failure::Store(error)) => return Err(error),
        Ok(()) => {}
    }
    if let Some(error) = exceeded(&counter) {
        return Err(error);
    }
    if work.files.is_empty() {
        return Err(archive("it contains no file".to_owned()));
    }
    work.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(work.files)
}

/// The least that the archive can unpack to, as the end of its compression says, so that a disk that is
/// too small is told before it is filled. Nothing is believed beyond what the limits would allow.
fn least_size(mut compressed: &File, limits: &ExtractLimits) -> u64 {
    let mut last = [0; 4];
    let end = SeekFrom::End(-(last.len() as i64));
    let read = compressed.seek(end).and_then(|_| compressed.read_exact(&mut last));
    let length = compressed.metadata().map_or(0, |meta| meta.len());
    if compressed.rewind().is_err() || read.is_err() {
        return 0;
    }
    let allowed = length.saturating_mul(limits.max_ratio).max(RATIO_GRACE_BYTES);
    u64::from(u32::from_le_bytes(last)).min(allowed).min(limits.max_bytes)
}

/// Either the archive's fault or the disk's.
enum Failure {
    Archive(String),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Archive(error.to_string())
    }
}

struct Unpacking<'a> {
    directory: &'a Path,
    /// Names so far, in lower case, and whether each is a directory.
    seen: BTreeMap<String, bool>,
    files: Vec<InstalledFile>,
    counter: &'a Counter,
}

impl Unpacking<'_> {
    fn run(&mut self, compressed: File) -> Result<(), Failure> {
        let counter = self.counter;
        let input = BufReader::with_capacity(BUFFER_BYTES, counter.compressed(compressed));
        let output = counter.expanded(MultiGzDecoder::new(input));
        let mut archive = tar::Archive::new(output);
        let mut members = Members::new(archive.entries()?.raw(true));
        while let Some(member) = members.next()? {
            counter.entry()?;
            self.member(member)?;
        }
        drain(archive.into_inner())
    }

    fn member<R: Read>(&mut self, member: Member<R>) -> Result<(), Failure> {
        let parts = names::split(&member.name).map_err(|why| {
            Failure::Archive(format!("entry `{}` {why}", names::printable(&member.name)))
        })?;
        if parts.is_empty() {
            // The directory itself, as in `./`.
            return if member.is_directory { Ok(()) } else { Err(unnamed()) };
        }
        let path = parts.join("/");
        self.claim(&parts, member.is_directory)?;
        let (folders, _) = parts.split_at(parts.len() - usize::from(!member.is_directory));
        let mut folder = self.directory.to_owned();
        for part in folders {
            folder.push(part);
            disk::ensure_dir(&folder)?;
        }
        if member.is_directory {
            return Ok(());
        }
        let mut file = NewFile::create(self.directory.join(&path))?;
        copy(member.content, &mut file, &path, member.size)?;
        let (digest, size) = (file.digest(), file.written());
        file.leave();
        self.files.push(InstalledFile { path, digest, size, mode: FILE_MODE });
        Ok(())
    }

    /// Notes a name and the directories on the way to it; two names may differ in more than case.
    fn claim(&mut self, parts: &[&str], is_directory: bool) -> Result<(), Failure> {
        let mut path = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                path.push('/');
            }
            path.push_str(part);
            let leaf = at + 1 == parts.len();
            let directory = !leaf || is_directory;
            match self.seen.insert(path.to_lowercase(), directory) {
                None => {}
                Some(true) if directory => {}
                Some(true | false) if leaf => {
                    return Err(Failure::Archive(format!("entry `{path}` occurs twice")));
                }
                Some(_) => {
                    let why = format!("entry `{path}` is both a file and a directory");
                    return Err(Failure::Archive(why));
                }
            }
        }
        Ok(())
    }
}

fn unnamed() -> Failure {
    Failure::Archive("a file has no name".to_owned())
}

/// Copies a member; the archive may end too early.
fn copy(mut content: impl Read, file: &mut NewFile, path: &str, size: u64) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Archive(format!("entry `{path}`: {error}"))),
        };
        file.write(&buffer[..count])?;
    }
    if file.written() == size {
        return Ok(());
    }
    Err(Failure::Archive(format!("entry `{path}` ends after {} of {size} bytes", file.written())))
}

/// Reads to the end, so that the checksum of the compression is checked and what follows the
/// archive counts towards the limits.
fn drain(mut rest: Metered<'_, impl Read>) -> Result<(), Failure> {
    io::copy(&mut rest, &mut io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests;
