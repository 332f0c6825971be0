//! What a host says about itself, read below its root directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::os_release::OsRelease;

/// Largest description of a system that is read; a real one has a few hundred bytes.
const MAX_DESCRIPTION_BYTES: u64 = 64 * 1024;
/// Where a system describes itself, the first that exists.
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Where minikube says its version.
const MINIKUBE: &str = "etc/VERSION";

/// Files that give a distribution away where nothing else does. The file of `centos` is beside
/// that of `rhel`, so that it is asked for first.
pub(super) const RELEASE_FILES: [(&str, &str); 3] = [
    ("etc/debian_version", "debian"),
    ("etc/centos-release", "centos"),
    ("etc/redhat-release", "rhel"),
];

/// What is known about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its description.
    pub(crate) os_release: Option<OsRelease>,
    /// The version of minikube, where this is one.
    pub(crate) minikube: Option<String>,
    /// The distribution whose release file is there.
    pub(crate) release_file: Option<&'static str>,
}

impl Facts {
    /// Reads the host whose root is `root`. A file that is missing says nothing; one that cannot be
    /// read is an error that names it.
    pub(crate) fn read(root: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let mut os_release = None;
        for name in OS_RELEASE {
            if os_release.is_none() {
                os_release = text(&root.join(name))?.map(|text| OsRelease::parse(&text));
            }
        }
        let minikube = text(&root.join(MINIKUBE))?.and_then(|text| three_numbers(&text));
        let release_file = RELEASE_FILES
            .iter()
            .find(|(file, _)| fs::metadata(root.join(file)).is_ok())
            .map(|(_, id)| *id);
        Ok(Self { os_release, minikube, release_file })
    }
}

fn text(path: &Path) -> Result<Option<String>, (PathBuf, io::Error)> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_DESCRIPTION_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err((path.to_owned(), error)),
    }
}

/// The first `1.26.0` in a text such as `v1.26.0-1655407986-14197`.
fn three_numbers(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let parts: Vec<&str> = word.split('.').filter(|part| !part.is_empty()).collect();
        (parts.len() >= 3).then(|| parts[..3].join("."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folders");
            fs::write(path, content).expect("file");
        }
        root
    }

    #[test]
    fn a_bare_host_says_nothing() {
        assert_eq!(Facts::read(host(&[]).path()).expect("facts"), Facts::default());
    }

    #[test]
    fn the_file_under_etc_comes_first() {
        let both = host(&[("etc/os-release", "ID=one\n"), ("usr/lib/os-release", "ID=two\n")]);
        let id = |root: &Path| {
            let facts = Facts::read(root).expect("facts");
            facts.os_release.and_then(|file| file.get("ID").map(str::to_owned))
        };
        assert_eq!(id(both.path()).as_deref(), Some("one"));
        assert_eq!(id(host(&[("usr/lib/os-release", "ID=two\n")]).path()).as_deref(), Some("two"));
    }

    #[test]
    fn release_files_are_asked_in_order() {
        for (files, expected) in [
            (&["etc/debian_version"][..], Some("debian")),
            (&["etc/redhat-release"], Some("rhel")),
            (&["etc/redhat-release", "etc/centos-release"], Some("centos")),
            (&["etc/arch-release"], None),
        ] {
            let files: Vec<(&str, &str)> = files.iter().map(|name| (*name, "x")).collect();
            let facts = Facts::read(host(&files).path()).expect("facts");
            assert_eq!(facts.release_file, expected, "{files:?}");
        }
    }

    #[test]
    fn minikube_says_three_numbers() {
        for (text, expected) in [
            ("v1.26.0-1655407986-14197\n", Some("1.26.0")),
            ("1.32.1", Some("1.32.1")),
            ("v1.26\n", None),
            ("", None),
        ] {
            let facts = Facts::read(host(&[("etc/VERSION", text)]).path()).expect("facts");
            assert_eq!(facts.minikube.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let root = host(&[("etc/os-release/inside", "x")]);
        let (path, _) = Facts::read(root.path()).expect_err("a directory is no description");
        assert!(path.ends_with("etc/os-release"), "{}", path.display());
    }
}
