//! Writing the certificates.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use eyas_ops::{OpsError, WholeFile};

use super::certificates::Set;

/// Mode of a directory that has to be made.
const FOLDER_MODE: u32 = 0o700;
/// Mode of keys.
const KEY_MODE: u32 = 0o600;
/// Mode of certificates, which are no secret.
const CERTIFICATE_MODE: u32 = 0o644;

/// The files, in the order in which they are written.
pub(crate) const FILES: [&str; 6] =
    ["server.crt", "server.key", "client.crt", "client.key", "ca.crt", "ca.key"];

/// Which of the files are there already.
pub(crate) fn existing(folder: &Path) -> Vec<PathBuf> {
    let paths = FILES.iter().map(|name| folder.join(name));
    paths.filter(|path| fs::symlink_metadata(path).is_ok()).collect()
}

/// Writes all files; each appears whole, and none before all are on the disk.
pub(crate) fn write(folder: &Path, set: &Set) -> Result<Vec<PathBuf>, OpsError> {
    let mut builder = DirBuilder::new();
    let created = builder.recursive(true).mode(FOLDER_MODE).create(folder);
    created.map_err(|error| OpsError::storage("create", folder, error))?;
    let mut staged = Vec::with_capacity(FILES.len());
    for name in FILES {
        let mode = if is_key(name) { KEY_MODE } else { CERTIFICATE_MODE };
        let path = folder.join(name);
        staged.push(WholeFile::beside(&path, content(set, name).as_bytes(), Some(mode))?);
    }
    for file in staged {
        file.put()?;
    }
    Ok(FILES.iter().map(|name| folder.join(name)).collect())
}

fn is_key(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "key")
}

fn content<'a>(set: &'a Set, name: &str) -> &'a str {
    let pair = match name.split('.').next() {
        Some("ca") => &set.authority,
        Some("server") => &set.server,
        _ => &set.client,
    };
    if is_key(name) { &pair.key } else { &pair.certificate }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::certificates::Pair;
    use super::*;

    fn set() -> Set {
        let pair = |name: &str| Pair {
            certificate: format!("{name} certificate"),
            key: format!("{name} key"),
        };
        Set { authority: pair("ca"), server: pair("server"), client: pair("client") }
    }

    #[test]
    fn six_files_with_their_content_and_modes() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("a/b");
        assert_eq!(existing(&target), Vec::<PathBuf>::new());
        let written = write(&target, &set()).expect("written");
        assert_eq!(existing(&target), written);
        for path in &written {
            let name = path.file_name().and_then(|name| name.to_str()).expect("name");
            let (who, what) = name.split_once('.').expect("two parts");
            let kind = if what == "key" { "key" } else { "certificate" };
            assert_eq!(fs::read_to_string(path).expect("text"), format!("{who} {kind}"));
            let mode = fs::metadata(path).expect("data").permissions().mode() & 0o777;
            assert_eq!(mode, if what == "key" { 0o600 } else { 0o644 }, "{name}");
        }
        assert_eq!(fs::read_dir(&target).expect("folder").count(), 6);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("file");
        let error = write(&file, &set()).expect_err("no directory");
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        fs::create_dir(folder.path().join("server.crt")).expect("in the way");
        fs::write(folder.path().join("server.crt/x"), "").expect("content");
        assert!(write(folder.path(), &set()).is_err());
        let left: Vec<_> = fs::read_dir(folder.path()).expect("folder").flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
