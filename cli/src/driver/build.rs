//! Building the module from its sources, by the host's own tools.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::programs::{self, Ran};

/// Where the module comes out, and what it needs besides its sources.
#[derive(Debug)]
pub(crate) struct Recipe<'a> {
    /// The sources, which stay as they are.
    pub(crate) source: &'a Path,
    /// The kernel's own headers and build rules.
    pub(crate) headers: &'a Path,
    /// An empty directory to build in.
    pub(crate) scratch: &'a Path,
    /// Name of the module.
    pub(crate) module: &'a str,
}

/// Why there is no module.
#[derive(Debug)]
pub(crate) enum NotBuilt {
    /// `make` is not on the path.
    NoMake,
    /// `make` failed; what it said.
    Failed(String),
    /// `make` succeeded and made no module.
    Nothing(PathBuf),
    /// The disk's fault.
    Io(PathBuf, io::Error),
}

/// The headers of a kernel, below the first root that has them.
pub(crate) fn headers(roots: &[&Path], release: &str) -> Option<PathBuf> {
    roots
        .iter()
        .map(|root| root.join("lib/modules").join(release).join("build"))
        .find(|path| path.is_dir())
}

/// The command that brings the headers of a kernel on a distribution, where we know one.
pub(crate) fn headers_command(target: &str, release: &str) -> Option<Vec<String>> {
    const BY_APT: [&str; 2] = ["debian", "ubuntu"];
    const BY_DNF: [&str; 5] = ["centos", "rhel", "ol", "fedora", "amazonlinux"];
    let family = |known: &[&str]| known.iter().any(|name| target.starts_with(name));
    let words = |words: &[&str], package: String| {
        Some(words.iter().map(|word| (*word).to_owned()).chain([package]).collect())
    };
    if family(&BY_APT) {
        return words(&["apt-get", "install", "-y"], format!("linux-headers-{release}"));
    }
    if family(&BY_DNF) {
        let program = if programs::find("dnf").is_some() { "dnf" } else { "yum" };
        return words(&[program, "install", "-y"], format!("kernel-devel-{release}"));
    }
    None
}

/// Builds the module in the scratch directory.
pub(crate) fn build(recipe: &Recipe<'_>) -> Result<PathBuf, NotBuilt> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| NotBuilt::Io(path, error)
    };
    copy(recipe.source, recipe.scratch).map_err(at(recipe.source))?;
    let arguments = [format!("KERNELDIR={}", recipe.headers.display())];
    let ran =
        programs::run("make", &arguments, Some(recipe.scratch)).map_err(at(recipe.scratch))?;
    match ran {
        None => Err(NotBuilt::NoMake),
        Some(ran @ Ran { success: false, .. }) => Err(NotBuilt::Failed(ran.failure())),
        Some(_) => {
            let made = recipe.scratch.join(format!("{}.ko", recipe.module));
            if made.is_file() { Ok(made) } else { Err(NotBuilt::Nothing(made)) }
        }
    }
}

/// Copies the files of a directory and those below it. Links are not followed: sources have none.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_the_distribution() {
        for (target, expected) in [
            ("debian", Some("apt-get install -y linux-headers-6.1")),
            ("ubuntu-aws", Some("apt-get install -y linux-headers-6.1")),
            ("talos", None),
            ("undetermined", None),
        ] {
            let command = headers_command(target, "6.1").map(|words| words.join(" "));
            assert_eq!(command.as_deref(), expected, "{target}");
        }
        let command = headers_command("amazonlinux2023", "6.1").expect("a command").join(" ");
        assert!(command.ends_with(" install -y kernel-devel-6.1"), "{command}");
    }

    #[test]
    fn headers_are_found_below_the_first_root_that_has_them() {
        let (one, two) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
        fs::create_dir_all(two.path().join("lib/modules/6.1/build")).expect("headers");
        let roots = [one.path(), two.path()];
        assert!(headers(&roots, "6.1").expect("headers").starts_with(two.path()));
        assert_eq!(headers(&roots, "6.2"), None);
    }

    #[test]
    fn sources_stay_as_they_are() {
        let (source, scratch) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
        fs::create_dir(source.path().join("below")).expect("folder");
        fs::write(source.path().join("below/x.c"), "int x;").expect("source");
        std::os::unix::fs::symlink("/etc/passwd", source.path().join("link")).expect("link");
        copy(source.path(), scratch.path()).expect("copied");
        assert_eq!(fs::read(scratch.path().join("below/x.c")).expect("copy"), b"int x;");
        assert!(!scratch.path().join("link").exists());
    }
}
