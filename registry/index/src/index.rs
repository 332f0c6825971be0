//! The merged index: look-up, search, and what a typed name means.
//!
//! Owns the order of precedence between indexes. Nothing here says that an artifact exists or may
//! be trusted; an index is a list of addresses.

use std::collections::BTreeMap;

use eyas_artifact::{DEFAULT_TAG, Name, Reference};

use crate::distance::similarity;
use crate::{Entry, IndexError, parse};

/// Most names suggested for an unknown one.
const MAX_SUGGESTIONS: usize = 3;
/// How alike a suggestion must be.
const SUGGESTION_SCORE: f64 = 0.5;

/// Entries by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    entries: BTreeMap<String, Entry>,
}

/// An entry that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// How alike its name is to the closest keyword, from 0 to 1.
    pub score: f64,
    /// Whether a keyword occurs in the entry's own keywords.
    pub by_keyword: bool,
}

impl Index {
    /// Reads an index file; `name` is what it is called in messages and listings.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, IndexError> {
        let placed = parse::parse(name, bytes)?;
        let entries = placed.into_iter().map(|item| (item.entry.name.clone(), item.entry));
        Ok(Self { entries: entries.collect() })
    }

    /// Puts indexes together; an entry of a later index replaces one of the same name.
    pub fn merge(indexes: impl IntoIterator<Item = Self>) -> Self {
        let entries = indexes.into_iter().flat_map(|index| index.entries).collect();
        Self { entries }
    }

    /// The entry of that name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Entries that live in the repository of a reference, by name. A signature policy taken from an
    /// index is bound to the repository, not to the name under which it was asked for.
    pub fn at<'a>(&'a self, reference: &Reference) -> impl Iterator<Item = &'a Entry> {
        let (registry, repository) =
            (reference.registry().to_owned(), reference.repository().to_owned());
        self.iter().filter(move |entry| {
            entry.registry.eq_ignore_ascii_case(&registry) && entry.repository == repository
        })
    }

    /// All entries by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries whose name is at least `min_score` like one of the keywords, or whose keywords
    /// contain one. Best name first, then those found by keywords alone, by name.
    pub fn search(&self, keywords: &[String], min_score: f64) -> Vec<Hit<'_>> {
        let mut hits: Vec<Hit<'_>> = self
            .iter()
            .map(|entry| score(entry, keywords))
            .filter(|hit| hit.by_keyword || hit.score >= min_score)
            .collect();
        // How alike a name is says nothing about an entry that was found by its keywords.
        let rank = |hit: &Hit<'_>| if hit.score >= min_score { hit.score } else { 0.0 };
        hits.sort_by(|a, b| {
            rank(b).total_cmp(&rank(a)).then_with(|| a.entry.name.cmp(&b.entry.name))
        });
        hits
    }

    fn unknown(&self, name: &str) -> IndexError {
        let similar = self
            .search(&[name.to_owned()], SUGGESTION_SCORE)
            .into_iter()
            .take(MAX_SUGGESTIONS)
            .map(|hit| hit.entry.name.clone())
            .collect();
        IndexError::UnknownName { name: name.to_owned(), similar, known: self.len() }
    }
}

fn score<'a>(entry: &'a Entry, keywords: &[String]) -> Hit<'a> {
    let own = entry.keywords.join(" ").to_lowercase();
    let best = keywords.iter().map(|keyword| similarity(&entry.name, keyword)).fold(0.0, f64::max);
    let by_keyword =
        keywords.iter().any(|keyword| !keyword.is_empty() && own.contains(&keyword.to_lowercase()));
    Hit { entry, score: best, by_keyword }
}

/// The reference that a typed name means. A full reference needs no index; without tag and digest
/// the tag is `latest`.
pub fn resolve(name: &Name, index: &Index) -> Result<Reference, IndexError> {
    let (name, tag, digest) = match name {
        Name::Full(reference) => {
            let bare = reference.tag().is_none() && reference.digest().is_none();
            let named = |source| IndexError::Reference {
                name: reference.to_string(),
                index: String::new(),
                source,
            };
            return if bare {
                reference.with_tag(DEFAULT_TAG).map_err(named)
            } else {
                Ok(reference.clone())
            };
        }
        Name::Indexed { name, tag, digest } => (name, tag, digest),
    };
    let entry = index.find(name).ok_or_else(|| index.unknown(name))?;
    let wrong =
        |source| IndexError::Reference { name: name.clone(), index: entry.index.clone(), source };
    let base = Reference::new(&entry.registry, &entry.repository).map_err(wrong)?;
    match (digest, tag) {
        (Some(digest), _) => Ok(base.with_digest(*digest)),
        (None, tag) => base.with_tag(tag.as_deref().unwrap_or(DEFAULT_TAG)).map_err(wrong),
    }
}
