//! The entry of an index file for what was pushed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use eyas_artifact::{Kind, Reference};
use eyas_index::{CosignSection, Entry, Index};

use crate::{OpsError, replace_file};

/// What an index is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Name that users type.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub reference: Reference,
    /// One sentence, when it is to be set.
    pub description: Option<String>,
    /// Words for search, when they are to be set.
    pub keywords: Vec<String>,
    /// Address of the sources, when it is to be set.
    pub source: Option<String>,
    /// File with the public key that verifies it.
    pub key: Option<PathBuf>,
}

/// Writes or updates an entry; everything else in the file stays as it is. An absent file is made.
pub fn update_index_file(path: &Path, listing: &Listing) -> Result<(), OpsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(OpsError::input(path, error)),
    };
    let name = path.display().to_string();
    let known = Index::parse(&name, text.as_bytes())?;
    let entry = merge(known.find(&listing.name), listing, path);
    let edited = eyas_index::upsert(&text, &entry)?;
    if edited != text {
        replace_file(path, edited.as_bytes())?;
    }
    Ok(())
}

/// The entry as it was, with what is new; what a person wrote there stays.
fn merge(known: Option<&Entry>, listing: &Listing, index: &Path) -> Entry {
    let (registry, repository) = (listing.reference.registry(), listing.reference.repository());
    let fresh = Entry::new(&listing.name, listing.kind.as_str(), registry, repository);
    let mut entry = known.cloned().unwrap_or_else(|| fresh.clone());
    (entry.kind, entry.registry, entry.repository) = (fresh.kind, fresh.registry, fresh.repository);
    if let Some(description) = &listing.description {
        entry.description.clone_from(description);
    }
    if !listing.keywords.is_empty() {
        entry.keywords.clone_from(&listing.keywords);
    }
    if let Some(source) = &listing.source
        && !entry.sources.contains(source)
    {
        entry.sources.push(source.clone());
    }
    if let Some(key) = &listing.key {
        let mut section = entry.signature.take().unwrap_or_default();
        section.key = Some(key_name(key, index));
        // A signature by key alone is in no transparency log.
        section.ignore_tlog = true;
        entry.signature = Some(section);
    } else if entry.signature == Some(CosignSection::default()) {
        entry.signature = None;
    }
    entry
}

/// A key beside the index is named by its file name, so that both can move together.
fn key_name(key: &Path, index: &Path) -> String {
    let folder = |path: &Path| {
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    let beside = folder(key).is_some_and(|dir| Some(dir) == folder(index));
    match key.file_name() {
        Some(name) if beside => name.to_string_lossy().into_owned(),
        _ => key.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(repository: &str) -> Listing {
        Listing {
            name: "demo".to_owned(),
            kind: Kind::Rulesfile,
            reference: repository.parse().expect("a reference"),
            description: None,
            keywords: Vec::new(),
            source: None,
            key: None,
        }
    }

    #[test]
    fn an_entry_is_made_and_then_kept_up_to_date() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("index.yaml");
        update_index_file(&path, &listing("r.example.org/a/demo:1")).expect("made");
        let text = fs::read_to_string(&path).expect("read");
        let edited = format!("# ours\n{text}  description: by hand\n");
        fs::write(&path, edited).expect("written");
        update_index_file(&path, &listing("r.example.org/b/demo:2")).expect("updated");
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.starts_with("# ours\n"), "{text}");
        let index = Index::parse("index", text.as_bytes()).expect("valid");
        let entry = index.find("demo").expect("there");
        assert_eq!((entry.repository.as_str(), entry.description.as_str()), ("b/demo", "by hand"));
    }

    #[test]
    fn a_key_beside_the_index_is_named_without_its_folder() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("index.yaml");
        let mut signed = listing("r.example.org/a/demo:1");
        signed.key = Some(dir.path().join("release.pub"));
        update_index_file(&path, &signed).expect("made");
        let text = fs::read_to_string(&path).expect("read");
        let index = Index::parse("index", text.as_bytes()).expect("valid");
        let section = index.find("demo").and_then(|entry| entry.signature.clone());
        let section = section.expect("a section");
        assert_eq!(section.key.as_deref(), Some("release.pub"));
        assert!(section.ignore_tlog);
    }

    #[test]
    fn a_broken_index_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("index.yaml");
        fs::write(&path, "- null\n").expect("written");
        assert!(update_index_file(&path, &listing("r.example.org/a/demo:1")).is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "- null\n");
    }
}
