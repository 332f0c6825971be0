//! Every change on disk goes through here.
//!
//! Owns the order of writes that makes them durable: a file is written under a temporary name in
//! its own directory, flushed, renamed, and then the directory is flushed. Names that start with
//! `.` are never read back; [`crate::recover`] removes what a crash left of them.

mod fault;
mod file;

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use crate::StoreError;

#[cfg(test)]
pub(crate) use fault::{Fault, arm, disarm, points_passed};
pub(crate) use file::{NewFile, hold};

/// Mode of every directory.
pub(crate) const DIRECTORY_MODE: u32 = 0o755;
/// Mode of every file, whatever an archive says: no file of an artifact is executed by name.
pub(crate) const FILE_MODE: u32 = 0o644;

/// Prefixes of names that only live as long as the process that made them.
pub(crate) const TEMPORARY: &str = ".tmp-";
pub(crate) const TRASH: &str = ".trash-";

/// Runs one change; tests make it fail or kill the process here.
pub(crate) fn change<T>(
    action: &'static str,
    path: &Path,
    run: impl FnOnce() -> io::Result<T>,
) -> Result<T, StoreError> {
    fault::point().and_then(|()| run()).map_err(|source| StoreError::io(action, path, source))
}

/// A name in `directory` that nothing else uses.
pub(crate) fn temporary_in(directory: &Path, prefix: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    directory.join(format!("{prefix}{}-{number}", std::process::id()))
}

/// Creates a directory and its parents; an existing one is fine.
pub(crate) fn ensure_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    change("create", path, || {
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
    })
}

/// Creates a directory that must not exist.
pub(crate) fn create_dir(path: &Path) -> Result<(), StoreError> {
    change("create", path, || fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    change("flush", path, || {
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::DIRECTORY | OFlags::CLOEXEC).bits() as i32)
            .open(path)?;
        directory.sync_all()
    })
}

/// Makes the names in a directory and in all below it durable.
pub(crate) fn sync_tree(path: &Path) -> Result<(), StoreError> {
    visit(path, &sync_dir, &|_| Ok(()))
}

/// Makes a directory and all below it durable, names and content.
pub(crate) fn flush_tree(path: &Path) -> Result<(), StoreError> {
    visit(path, &sync_dir, &flush_file)
}

/// Makes the content of a file durable, whoever has written it.
pub(crate) fn flush_file(path: &Path) -> Result<(), StoreError> {
    change("flush", path, || {
        let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32;
        OpenOptions::new().read(true).custom_flags(flags).open(path)?.sync_all()
    })
}

/// A directory after all that is below it.
fn visit(
    path: &Path,
    directory: &dyn Fn(&Path) -> Result<(), StoreError>,
    file: &dyn Fn(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for entry in list(path)? {
        if entry.is_dir() && !entry.is_symlink() {
            visit(&entry, directory, file)?;
        } else {
            file(&entry)?;
        }
    }
    directory(path)
}

/// Does what waits for the disk while something else is computed. One after the other where there may be
/// no more threads, and in tests, for they count the changes of one thread.
pub(crate) fn meanwhile<T>(
    waits: &(dyn Fn() -> Result<(), StoreError> + Sync),
    computes: impl FnOnce() -> T,
) -> (Result<(), StoreError>, T) {
    if cfg!(test) {
        return (waits(), computes());
    }
    std::thread::scope(|scope| {
        let Ok(waiting) = std::thread::Builder::new().spawn_scoped(scope, waits) else {
            return (waits(), computes());
        };
        let outcome = computes();
        (waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), outcome)
    })
}

/// Renames within the file system. Not durable until the directory is flushed.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    change("rename to", to, || fs::rename(from, to))
}

/// Puts `bytes` at `path`: afterwards it has the old content or the new one.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    put_file(path, bytes)?;
    sync_dir(parent(path))
}

/// The same, durable once the directory is flushed: what is there is whole at any time, but a power
/// cut may bring back what was there before.
pub(crate) fn put_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = NewFile::create(temporary_in(parent(path), TEMPORARY))?;
    file.write(bytes)?;
    file.persist(path)
}

/// Points the symbolic link `link` at `target`: afterwards it points at the old or the new target.
pub(crate) fn replace_link(target: &Path, link: &Path) -> Result<(), StoreError> {
    let directory = parent(link);
    let temporary = temporary_in(directory, TEMPORARY);
    change("create", &temporary, || std::os::unix::fs::symlink(target, &temporary))?;
    if let Err(error) = rename(&temporary, link) {
        // Best effort: recovery removes it as well.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(directory)
}

/// A second name for a file, or a copy where links are not possible.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    match change("link", to, || fs::hard_link(from, to)) {
        Ok(()) => Ok(()),
        Err(StoreError::Io { .. } | StoreError::Denied { .. }) => {
            let mut source = open(from)?;
            let mut copy = NewFile::create(to.to_owned())?;
            copy.fill_from(&mut source, from)?;
            copy.keep()
        }
        Err(other) => Err(other),
    }
}

/// Removes a file; an absent one is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), StoreError> {
    change("remove", path, || match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    })
}

/// Removes a directory with all below it: it disappears at once, its content afterwards.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let directory = parent(path);
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let doomed = if hidden {
        path.to_owned()
    } else {
        let trash = temporary_in(directory, TRASH);
        rename(path, &trash)?;
        sync_dir(directory)?;
        trash
    };
    change("remove", &doomed, || match fs::remove_dir_all(&doomed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    })
}

/// Paths in a directory, sorted; none when it does not exist.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| StoreError::io("list", directory, error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Opens a regular file for reading, not following a link at its end.
pub(crate) fn open(path: &Path) -> Result<fs::File, StoreError> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits() as i32)
        .open(path)
        .map_err(|error| StoreError::io("open", path, error))
}

/// Reads a file of at most `limit` bytes; `None` when it does not exist.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| StoreError::io("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            why: format!("larger than the limit of {limit} bytes"),
        });
    }
    Ok(Some(bytes))
}

/// Refuses early when `needed` bytes do not fit on the file system of `directory`.
pub(crate) fn check_space(directory: &Path, needed: u64) -> Result<(), StoreError> {
    // A file system that cannot answer is asked by writing.
    let Ok(usage) = rustix::fs::statvfs(directory) else { return Ok(()) };
    let available = usage.f_bavail.saturating_mul(usage.f_frsize);
    // Some file systems report nothing at all.
    if usage.f_blocks > 0 && available < needed {
        return Err(StoreError::TooLittleSpace { path: directory.to_owned(), needed, available });
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
