//! `index.json` of an image layout, with several repositories in one directory.
//!
//! Owns how an entry says where it belongs: the tag in the annotation that the specification sets
//! aside, the repository in one of our own. An entry without a repository comes from a tool that
//! knows only one per directory; the reader says what to call it.

use std::collections::BTreeSet;

use eyas_artifact::{
    Descriptor, Digest, ImageIndex,
    media::{ANNOTATION_REF_NAME, OCI_INDEX},
};

/// Annotation that names the repository of an entry.
pub const REPOSITORY_ANNOTATION: &str = "vnd.eyas.repository";

/// The entries of an image layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayoutIndex {
    entries: Vec<Descriptor>,
}

impl LayoutIndex {
    pub(super) fn from_slice(bytes: &[u8]) -> Result<Self, String> {
        // The size was checked by the reader, with a limit of its own.
        let index: ImageIndex = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        Ok(Self { entries: index.manifests })
    }

    pub(super) fn to_vec(&self) -> Result<Vec<u8>, String> {
        let mut index = ImageIndex::new(self.entries.clone());
        index.media_type = Some(OCI_INDEX.to_owned());
        serde_json::to_vec_pretty(&index).map_err(|error| error.to_string())
    }

    /// All entries.
    pub fn entries(&self) -> &[Descriptor] {
        &self.entries
    }

    /// The entries of a repository. `unnamed` is the name of those that name none.
    pub fn of<'a>(
        &'a self,
        repository: &'a str,
        unnamed: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Descriptor> {
        self.entries.iter().filter(move |entry| belongs(entry, unnamed) == Some(repository))
    }

    /// What a tag points at.
    pub fn find_tag(
        &self,
        repository: &str,
        tag: &str,
        unnamed: Option<&str>,
    ) -> Option<&Descriptor> {
        // The last one counts: tools that append leave older entries behind.
        self.entries
            .iter()
            .rev()
            .find(|entry| belongs(entry, unnamed) == Some(repository) && tag_of(entry) == Some(tag))
    }

    /// The entry with a digest.
    pub fn find_digest<'a>(
        &'a self,
        repository: &'a str,
        digest: &Digest,
        unnamed: Option<&'a str>,
    ) -> Option<&'a Descriptor> {
        self.of(repository, unnamed).find(|entry| entry.digest == *digest)
    }

    /// The tags of a repository in alphabetical order.
    pub fn tags(&self, repository: &str, unnamed: Option<&str>) -> BTreeSet<String> {
        self.entries
            .iter()
            .filter(|entry| belongs(entry, unnamed) == Some(repository))
            .filter_map(tag_of)
            .map(str::to_owned)
            .collect()
    }

    /// The repositories in alphabetical order.
    pub fn repositories(&self, unnamed: Option<&str>) -> BTreeSet<String> {
        self.entries.iter().filter_map(|entry| belongs(entry, unnamed)).map(str::to_owned).collect()
    }

    /// Adds an entry; tells whether that changed anything.
    pub(super) fn add(
        &mut self,
        repository: Option<&str>,
        tag: Option<&str>,
        descriptor: &Descriptor,
    ) -> bool {
        let here = |entry: &Descriptor| belongs(entry, None) == repository;
        let same = |entry: &Descriptor| here(entry) && entry.digest == descriptor.digest;
        let listed = match tag {
            None => self.entries.iter().any(same),
            Some(tag) => self.entries.iter().any(|e| same(e) && tag_of(e) == Some(tag)),
        };
        if listed {
            return false;
        }
        if let Some(tag) = tag {
            for entry in &mut self.entries {
                if belongs(entry, None) == repository && tag_of(entry) == Some(tag) {
                    entry.annotations.remove(ANNOTATION_REF_NAME);
                }
            }
            // An entry that lost its tag is only needed while no other lists the same content.
            let same = |entry: &Descriptor| {
                belongs(entry, None) == repository && entry.digest == descriptor.digest
            };
            self.entries.retain(|entry| !(same(entry) && tag_of(entry).is_none()));
        }
        let mut entry = descriptor.clone();
        if let Some(repository) = repository {
            entry.annotations.insert(REPOSITORY_ANNOTATION.to_owned(), repository.to_owned());
        }
        match tag {
            Some(tag) => entry.annotations.insert(ANNOTATION_REF_NAME.to_owned(), tag.to_owned()),
            None => entry.annotations.remove(ANNOTATION_REF_NAME),
        };
        self.entries.push(entry);
        true
    }
}

impl LayoutIndex {
    /// Takes a tag away; what had it stays listed. False when nothing had it.
    pub(super) fn remove_tag(
        &mut self,
        repository: &str,
        tag: &str,
        unnamed: Option<&str>,
    ) -> bool {
        let mut removed = false;
        for entry in &mut self.entries {
            if belongs(entry, unnamed) == Some(repository) && tag_of(entry) == Some(tag) {
                entry.annotations.remove(ANNOTATION_REF_NAME);
                removed = true;
            }
        }
        removed
    }

    /// Takes all entries of a digest out of a repository; false when there were none.
    pub(super) fn remove_digest(
        &mut self,
        repository: &str,
        digest: &Digest,
        unnamed: Option<&str>,
    ) -> bool {
        let before = self.entries.len();
        self.entries.retain(|e| !(belongs(e, unnamed) == Some(repository) && e.digest == *digest));
        self.entries.len() != before
    }
}

fn belongs<'a>(entry: &'a Descriptor, unnamed: Option<&'a str>) -> Option<&'a str> {
    entry.annotations.get(REPOSITORY_ANNOTATION).map(String::as_str).or(unnamed)
}

/// The tag of an entry. Some tools write a whole reference: what stands behind its last colon counts
/// then.
fn tag_of(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotations.get(ANNOTATION_REF_NAME)?;
    match name.rsplit_once(['/', ':']) {
        Some((rest, tag)) if name.as_bytes().get(rest.len()) == Some(&b':') => Some(tag),
        Some(_) => None,
        None => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use eyas_artifact::media::OCI_MANIFEST;

    use super::*;

    fn manifest(content: &str) -> Descriptor {
        Descriptor::of(OCI_MANIFEST, content.as_bytes())
    }

    #[test]
    fn a_tag_moves_and_what_had_it_stays_listed() {
        let mut index = LayoutIndex::default();
        assert!(index.add(Some("a"), Some("1"), &manifest("x")));
        assert!(!index.add(Some("a"), Some("1"), &manifest("x")));
        assert!(index.add(Some("a"), Some("1"), &manifest("y")));
        assert_eq!(index.find_tag("a", "1", None).unwrap().digest, manifest("y").digest);
        assert!(index.find_digest("a", &manifest("x").digest, None).is_some());
        assert_eq!(index.entries().len(), 2);
        assert!(index.add(Some("a"), Some("1"), &manifest("x")));
        assert_eq!(index.entries().len(), 2);
        assert!(!index.add(Some("a"), None, &manifest("x")));
    }

    #[test]
    fn repositories_do_not_see_each_other() {
        let mut index = LayoutIndex::default();
        index.add(Some("a"), Some("1"), &manifest("x"));
        index.add(Some("b/c"), Some("1"), &manifest("y"));
        index.add(None, Some("2"), &manifest("z"));
        assert_eq!(index.find_tag("a", "1", None).unwrap().digest, manifest("x").digest);
        assert!(index.find_digest("a", &manifest("y").digest, None).is_none());
        assert!(index.find_tag("a", "2", None).is_none());
        assert!(index.find_tag("a", "2", Some("a")).is_some());
        let all: Vec<_> = index.repositories(Some("z")).into_iter().collect();
        assert_eq!(all, ["a", "b/c", "z"]);
    }

    #[test]
    fn tags_may_be_written_as_references() {
        let named = |name: &str| {
            let entry = manifest("x").with_annotation(ANNOTATION_REF_NAME, name);
            tag_of(&entry).map(str::to_owned)
        };
        assert_eq!(named("1.2").as_deref(), Some("1.2"));
        assert_eq!(named("r.example.org:5000/a/b:1").as_deref(), Some("1"));
        assert_eq!(named("r.example.org:5000/a/b"), None);
    }

    #[test]
    fn the_document_is_an_image_index() {
        let mut index = LayoutIndex::default();
        index.add(Some("a"), Some("1"), &manifest("x"));
        let bytes = index.to_vec().unwrap();
        assert_eq!(LayoutIndex::from_slice(&bytes).unwrap(), index);
        assert_eq!(ImageIndex::from_slice(&bytes).unwrap().manifests.len(), 1);
        assert!(LayoutIndex::from_slice(b"[]").is_err());
    }
}
