//! Files that hold secrets: read with a limit, changed as a whole or not at all.
//!
//! Owns how such a file is replaced: under a lock on its directory, by a rename, for its owner's eyes
//! alone. Content that is not ours is carried over. What stands in a file is left to `docker` and
//! `clients`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// Largest credential file read, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Mode of what is written: only the owner reads a secret.
const PRIVATE: u32 = 0o600;
/// Mode of directories that are made.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The bytes of the file; `None` where there is none.
pub(super) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let fail = |error: io::Error| in_file(path, &error.to_string());
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if found.len() > MAX_FILE_BYTES {
        return Err(in_file(path, &format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    fs::read(path).map(Some).map_err(fail)
}

/// The file's object; `None` where there is no file. An empty file is an empty object.
pub(super) fn read(path: &Path) -> Result<Option<Map<String, Value>>, String> {
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    if bytes.trim_ascii().is_empty() {
        return Ok(Some(Map::new()));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| not_json(path, &error))
}

/// The parser's message may quote what it stumbled over; its place is enough.
pub(super) fn not_json(path: &Path, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    in_file(path, &format!("no valid JSON at line {line}, column {column}"))
}

pub(super) fn in_file(path: &Path, detail: &str) -> String {
    format!("`{}`: {detail}", path.display())
}

/// Changes the file's object; nothing is written when `edit` says that nothing changed. A link is
/// followed, so that what it points at changes and the link stays.
pub(super) fn change(
    path: &Path,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<bool, String>,
) -> Result<bool, String> {
    let fail = |error: io::Error| in_file(path, &error.to_string());
    let target = resolve(path).map_err(fail)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut maker = fs::DirBuilder::new();
    maker.recursive(true).mode(PRIVATE_DIRECTORY).create(&directory).map_err(fail)?;
    let lock = File::open(&directory).map_err(fail)?;
    lock.lock().map_err(fail)?;
    let mut content = read(&target)?.unwrap_or_default();
    if !edit(&mut content)? {
        return Ok(false);
    }
    let mut text = serde_json::to_vec_pretty(&content).map_err(|error| fail(error.into()))?;
    text.push(b'\n');
    let mut file = tempfile::NamedTempFile::new_in(&directory).map_err(fail)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(PRIVATE)).map_err(fail)?;
    file.write_all(&text).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(&target).map_err(|error| fail(error.error))?;
    lock.sync_all().map_err(fail)?;
    Ok(true)
}

/// Where a chain of links ends; the end need not exist.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => Ok(path.parent().unwrap_or(Path::new(".")).join(target)),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, key: &str) -> Result<bool, String> {
        change(path, |file| {
            file.insert(key.to_owned(), Value::Bool(true));
            Ok(true)
        })
    }

    #[test]
    fn a_new_file_is_private_with_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/config.json");
        assert!(set(&path, "x").unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.json"), directory.path().join("link"));
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        for key in ["x", "y"] {
            set(&link, key).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
        assert_eq!(read(&real).unwrap().unwrap().len(), 2);
    }

    #[test]
    fn two_writers_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..8 {
                        set(path, &format!("{writer}.{n}")).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&path).unwrap().unwrap().len(), 64);
    }

    #[test]
    fn a_broken_file_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, "{\"auths\": ").unwrap();
        let said = set(&path, "x").unwrap_err();
        assert!(said.contains("no valid JSON at line 1"), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"auths\": ");
        fs::write(&path, "").unwrap();
        assert!(!change(&path, |_| Ok(false)).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "", "no change, no write");
    }
}
