//! Directories in OCI image-layout form, typed wherever a registry can be:
//! `oci-layout:DIR[//REPOSITORY][:TAG|@DIGEST]`.
//!
//! Owns the translation of what was typed into a reference whose registry names the directory, so that
//! nothing else has to know of them, and what is recorded leads there again from anywhere.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use eyas_artifact::Reference;
use eyas_oci::{Layout, layout_host};

use crate::settings::LAYOUT_PREFIX;

/// Repository of a directory that names none, and whose own name cannot be one.
const UNNAMED: &str = "layout";

/// A command line with every directory in it as a reference. What cannot be one stays as it is, to be
/// refused where it is used.
pub(crate) fn in_arguments(
    arguments: impl Iterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    arguments.map(|argument| match argument.to_str() {
        Some(text) => in_text(text).into(),
        None => argument,
    })
}

/// One value, with the directory in it as a reference.
pub(crate) fn in_text(text: &str) -> String {
    text.strip_prefix(LAYOUT_PREFIX).and_then(reference).unwrap_or_else(|| text.to_owned())
}

fn reference(typed: &str) -> Option<String> {
    let (rest, digest) = match typed.rsplit_once("@sha256:") {
        Some((rest, hex)) => (rest, format!("@sha256:{hex}")),
        None => (typed, String::new()),
    };
    let (place, tag) = match rest.rsplit_once(':') {
        Some((place, tag)) if !tag.contains('/') => (place, format!(":{tag}")),
        _ => (rest, String::new()),
    };
    let (directory, named) = match place.split_once("//") {
        Some((directory, repository)) => (directory, Some(repository.to_owned())),
        None => (place, None),
    };
    if directory.is_empty() {
        return None;
    }
    let directory = absolute(Path::new(directory))?;
    let repository = named.or_else(|| only_repository(&directory));
    let repository = repository.unwrap_or_else(|| own_name(&directory));
    Some(format!("{}/{repository}{tag}{digest}", layout_host(&directory)?))
}

/// The path that means the same from everywhere; the directory need not exist yet.
fn absolute(directory: &Path) -> Option<PathBuf> {
    directory.canonicalize().or_else(|_| std::path::absolute(directory)).ok()
}

/// The directory's name, where that can be one of a repository.
fn own_name(directory: &Path) -> String {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = Reference::new("localhost", name).is_ok() && !name.contains('/');
    if fits { name.to_owned() } else { UNNAMED.to_owned() }
}

/// The repository of a directory that has exactly one with a name.
fn only_repository(directory: &Path) -> Option<String> {
    let index = Layout::open(directory).ok()?.index().ok()?;
    let mut named = index.repositories(None).into_iter();
    let first = named.next()?;
    named.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_becomes_a_reference() {
        assert_eq!(in_text("oci-layout:/srv/none"), "srv.none.oci-layout/none");
        assert!(in_text("oci-layout:/srv/No Name").ends_with("/layout"));
        assert_eq!(in_text("oci-layout:/srv/none:1.0"), "srv.none.oci-layout/none:1.0");
        assert_eq!(in_text("oci-layout:/srv/none//a/b:1"), "srv.none.oci-layout/a/b:1");
        let digest = format!("@sha256:{}", "a".repeat(64));
        assert_eq!(
            in_text(&format!("oci-layout:/srv/none{digest}")),
            format!("srv.none.oci-layout/none{digest}")
        );
    }

    #[test]
    fn everything_else_stays() {
        for text in ["r.example.org/a:1", "--type", "oci-layout:", "oci-layout:/", "oci-layouts:/x"]
        {
            assert_eq!(in_text(text), text);
        }
    }

    #[test]
    fn the_only_repository_need_not_be_named() {
        let directory = tempfile::tempdir().expect("directory");
        let layout = Layout::create(directory.path()).expect("made");
        let digest = layout.put_bytes(b"{}").expect("stored");
        let entry = eyas_artifact::Descriptor::new(eyas_artifact::media::OCI_MANIFEST, digest, 2);
        let typed = format!("{LAYOUT_PREFIX}{}:1", directory.path().display());
        assert!(!in_text(&typed).ends_with("/team/rules:1"));
        layout.list(Some("team/rules"), Some("1"), &entry).expect("listed");
        assert!(in_text(&typed).ends_with("/team/rules:1"));
        layout.list(Some("other"), Some("1"), &entry).expect("listed");
        assert!(!in_text(&typed).ends_with("rules:1"), "one of two is not guessed");
    }
}
