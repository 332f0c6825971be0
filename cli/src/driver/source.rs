//! Sources of the driver, as packages put them under `usr/src`.

use std::fs;
use std::path::{Path, PathBuf};

use eyas_artifact::Version;

/// Where packages put sources.
const SOURCES: &str = "usr/src";

/// The sources of a version, looked for below each of these roots.
pub(crate) fn source(roots: &[&Path], name: &str, version: &str) -> Option<PathBuf> {
    roots
        .iter()
        .map(|root| root.join(SOURCES).join(format!("{name}-{version}")))
        .find(|path| path.is_dir())
}

/// The newest version whose sources are below one of these roots. A version that is no number is
/// taken only where there is none that is.
pub(crate) fn newest_version(roots: &[&Path], name: &str) -> Option<String> {
    let prefix = format!("{name}-");
    let mut found: Vec<(Option<Version>, String)> = Vec::new();
    for entry in roots.iter().filter_map(|root| fs::read_dir(root.join(SOURCES)).ok()).flatten() {
        let Ok(entry) = entry else { continue };
        let file_name = entry.file_name().to_string_lossy().into_owned();
        if let Some(version) = file_name.strip_prefix(&prefix)
            && entry.path().is_dir()
            && !version.is_empty()
        {
            found.push((version.parse().ok(), version.to_owned()));
        }
    }
    found.into_iter().max().map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for folder in folders {
            fs::create_dir_all(root.path().join(SOURCES).join(folder)).expect("sources");
        }
        root
    }

    #[test]
    fn the_newest_version_is_found() {
        for (folders, expected) in [
            (&["falco-7.0.0+driver", "falco-10.1.0+driver", "linux-99"][..], Some("10.1.0+driver")),
            (&["falco-7.0.0-rc1+driver", "falco-7.0.0+driver"], Some("7.0.0+driver")),
            (&["falco-abcdef0", "falco-7.0.0+driver"], Some("7.0.0+driver")),
            (&["falco-abcdef0"], Some("abcdef0")),
            (&["falco-", "other-1.0.0"], None),
            (&[], None),
        ] {
            let root = host(folders);
            let found = newest_version(&[root.path()], "falco");
            assert_eq!(found.as_deref(), expected, "{folders:?}");
        }
    }

    #[test]
    fn a_file_is_no_source() {
        let root = host(&[]);
        fs::create_dir_all(root.path().join(SOURCES)).expect("folder");
        fs::write(root.path().join(SOURCES).join("falco-9.0.0"), "").expect("file");
        assert_eq!(newest_version(&[root.path()], "falco"), None);
    }

    #[test]
    fn all_roots_are_looked_at() {
        let (one, two) = (host(&["falco-1.0.0"]), host(&["falco-2.0.0"]));
        let roots = [one.path(), two.path()];
        assert_eq!(newest_version(&roots, "falco").as_deref(), Some("2.0.0"));
        let found = source(&roots, "falco", "2.0.0").expect("source");
        assert!(found.starts_with(two.path()));
        assert_eq!(source(&roots, "falco", "3.0.0"), None);
    }
}
