//! Noticing that files were changed, by the file system's own record of them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What the record of one file says; nothing when it is not there.
type Print = Option<(u64, u64, u64, i64, i64)>;

/// A list of files as they were when they were last looked at.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Watched(Vec<(PathBuf, Print)>);

impl Watched {
    /// These files as they are now.
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), print_of(&path))).collect())
    }

    /// Whether one of them is no longer as it was.
    pub(crate) fn changed(&self) -> bool {
        self.0.iter().any(|(path, print)| print_of(path) != *print)
    }
}

fn print_of(path: &PathBuf) -> Print {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_changes_or_goes_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.yaml");
        let watched = || Watched::of([path.clone()]);
        let absent = watched();
        assert!(!absent.changed());
        fs::write(&path, "one").expect("written");
        assert!(absent.changed());
        let there = watched();
        assert!(!there.changed());
        fs::write(dir.path().join("b"), "two").expect("written");
        fs::rename(dir.path().join("b"), &path).expect("replaced");
        assert!(there.changed());
        let there = watched();
        fs::remove_file(&path).expect("removed");
        assert!(there.changed());
    }
}
