//! Where names come from: index files, fetched or cached, and the list of those that were added.
//!
//! Owns the cached copies and the list of added indexes, and when indexes are read: at once for a name, else when
//! something asks for what only they know. An index that cannot be had is a problem only for names that no other
//! index knows. What an index says is read by `eyas-index`.

mod book;
mod copies;
mod listed;
mod newest;
mod publish;
mod signed;
mod source;

pub use self::book::{AddedIndex, IndexBook};
pub use self::copies::{Copies, Copy};
pub use self::listed::{list_indexes, unlist_indexes};
pub use self::publish::{PushedIndex, plan_index, push_index};
pub use self::source::{IndexLocation, IndexSource, MAX_INDEX_NAME_BYTES, check_index_name};

use std::time::SystemTime;

use eyas_artifact::{Name, Reference};
use eyas_index::{Index, IndexError, MAX_INDEX_BYTES};
use eyas_oci::{Client, OciError};
use eyas_trust::{CosignSection, IndexRule, Policy, SystemKeys};
use tokio::sync::OnceCell;

use crate::{Event, Listener, OpsError};

/// Indexes as far as they could be had. They may be read later, when something asks for what only they
/// know: a name, or whose signature a repository needs.
#[derive(Debug, Default)]
pub struct Catalog {
    sources: Vec<IndexSource>,
    copies: Copies,
    /// How they are fetched when they are read later.
    client: Option<Client>,
    read: OnceCell<Indexes>,
    /// What is known as long as nothing was read.
    nothing: Indexes,
}

/// What was read.
#[derive(Debug, Default)]
struct Indexes {
    index: Index,
    /// The documents themselves, for indexes that have to be signed.
    documents: Vec<(IndexSource, Vec<u8>)>,
    missing: Vec<Missing>,
}

/// An index that could not be had, neither fetched nor from its copy.
#[derive(Debug)]
struct Missing {
    name: String,
    reason: OpsError,
}

impl Catalog {
    /// Fetches the indexes, in order; a copy stands in for one that does not answer.
    pub async fn load(
        sources: &[IndexSource],
        copies: &Copies,
        client: &Client,
        listener: &dyn Listener,
    ) -> Self {
        let catalog = Self::later(sources, copies, client);
        catalog.complete(listener).await;
        catalog
    }

    /// Indexes that are fetched when something asks for what only they know.
    pub fn later(sources: &[IndexSource], copies: &Copies, client: &Client) -> Self {
        Self {
            sources: sources.to_vec(),
            copies: copies.clone(),
            client: Some(client.clone()),
            ..Self::default()
        }
    }

    /// Reads the indexes if that was not done yet.
    pub(crate) async fn complete(&self, listener: &dyn Listener) {
        let Some(client) = &self.client else { return };
        let read = || Indexes::read(&self.sources, &self.copies, client, listener);
        self.read.get_or_init(read).await;
    }

    fn known(&self) -> &Indexes {
        self.read.get().unwrap_or(&self.nothing)
    }

    /// The entries that are known.
    pub fn index(&self) -> &Index {
        &self.known().index
    }

    /// Fails when an index is missing, for commands that are about all of them.
    pub fn expect_complete(mut self) -> Result<Self, OpsError> {
        match self.read.get_mut() {
            Some(read) if !read.missing.is_empty() => Err(read.missing.remove(0).reason),
            _ => Ok(self),
        }
    }

    /// The first index that could not be had, and why.
    pub(crate) fn gap(&self) -> Option<(&str, &OpsError)> {
        self.known().missing.first().map(|missing| (missing.name.as_str(), &missing.reason))
    }

    /// Whether every index is in a file, so that reading it again costs nothing.
    pub fn is_local(&self) -> bool {
        self.sources.iter().all(IndexSource::is_local)
    }

    /// Whether there is no index at all.
    pub fn is_unconfigured(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether an index of that name is in use.
    pub fn knows_index(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name)
    }

    /// Adds what the entries for the repository of `asked` say of its signatures.
    pub(crate) fn add_sections(
        &self,
        asked: &Reference,
        policy: &mut Policy,
        all: bool,
    ) -> Result<(), OpsError> {
        for entry in self.index().at(asked) {
            let Some(section) = &entry.signature else { continue };
            if !all && !self.is_honoured(&entry.index, policy) {
                continue;
            }
            let place = self.sources.iter().find(|source| source.name == entry.index);
            // Keys are named relative to the index; one from the web can name absolute ones only.
            let beside = match place.map(|source| &source.location) {
                Some(IndexLocation::File(path)) => path.display().to_string(),
                _ => "/".to_owned(),
            };
            let keys = SystemKeys::beside(&beside);
            policy.add_cosign_section(asked, &trusted(section), &entry.index, &keys)?;
        }
        Ok(())
    }

    /// Whether the policy lets the index of that name say who signs. Where several are called the same, an
    /// entry does not tell which of them it is from, so that each has to be one that may.
    fn is_honoured(&self, name: &str, policy: &Policy) -> bool {
        let mut places = self.sources.iter().filter(|source| source.name == name).peekable();
        places.peek().is_some()
            && places.all(|source| {
                let rule = policy.rule_for_index(&source.address(), name);
                rule.is_some_and(IndexRule::signatures_are_honoured)
            })
    }

    /// What a typed name means, as far as the indexes were read.
    pub fn resolve(&self, name: &Name) -> Result<Reference, OpsError> {
        match (eyas_index::resolve(name, self.index()), self.gap()) {
            // The name may well be in the index that could not be had.
            (Err(IndexError::UnknownName { .. }), Some((index, reason))) => {
                Err(OpsError::NameNeedsIndex {
                    name: name.to_string(),
                    index: index.to_owned(),
                    reason: reason.to_string(),
                    class: reason.class(),
                })
            }
            (resolved, _) => Ok(resolved?),
        }
    }

    /// What a name means; the indexes are read for it.
    pub(crate) async fn find(
        &self,
        name: &Name,
        listener: &dyn Listener,
    ) -> Result<Reference, OpsError> {
        if matches!(name, Name::Indexed { .. }) {
            self.complete(listener).await;
        }
        self.resolve(name)
    }
}

impl Indexes {
    async fn read(
        sources: &[IndexSource],
        copies: &Copies,
        client: &Client,
        listener: &dyn Listener,
    ) -> Self {
        let (mut indexes, mut documents, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for source in sources {
            match load_one(source, copies, client, listener).await {
                Ok((index, bytes)) => {
                    indexes.push(index);
                    documents.push((source.clone(), bytes));
                }
                Err(reason) => {
                    // The only one is told where its absence matters.
                    if sources.len() > 1 {
                        let text = format!("index `{}` is left out: {reason}", source.name);
                        listener.tell(&Event::Warning(&text));
                    }
                    missing.push(Missing { name: source.name.clone(), reason });
                }
            }
        }
        Self { index: Index::merge(indexes), documents, missing }
    }
}

fn trusted(section: &eyas_index::CosignSection) -> CosignSection {
    CosignSection {
        issuer: section.issuer.clone(),
        issuer_regexp: section.issuer_regexp.clone(),
        identity: section.identity.clone(),
        identity_regexp: section.identity_regexp.clone(),
        key: section.key.clone(),
        ignore_tlog: section.ignore_tlog,
    }
}

/// Fetches one index and keeps a copy.
pub async fn update(
    source: &IndexSource,
    copies: &Copies,
    client: &Client,
) -> Result<Index, OpsError> {
    let copy = usable(source, copies);
    let known = copy.as_ref().and_then(|copy| copy.tag.as_deref());
    match (source.fetch(client, known).await?, copy) {
        (Some(document), _) => {
            let index = source.read_index(&document.bytes)?;
            copies.keep(source, &document.bytes, document.tag.as_deref())?;
            Ok(index)
        }
        (None, Some(copy)) => {
            let index = source.read_index(&copy.bytes)?;
            copies.confirm(source)?;
            Ok(index)
        }
        // Nothing was known, so nothing can be unchanged.
        (None, None) => Err(unchanged_from_nothing(source)),
    }
}

/// The copy, if it is one that can stand for the index.
fn usable(source: &IndexSource, copies: &Copies) -> Option<Copy> {
    if source.is_local() {
        return None;
    }
    let copy = copies.find(source).ok().flatten()?;
    source.read_index(&copy.bytes).is_ok().then_some(copy)
}

fn unchanged_from_nothing(source: &IndexSource) -> OpsError {
    let detail = "it is unchanged, says the server, but nothing of it was known".to_owned();
    let what = source.address();
    OpsError::IndexFetch { name: source.name.clone(), source: OciError::Malformed { what, detail } }
}

async fn load_one(
    source: &IndexSource,
    copies: &Copies,
    client: &Client,
    listener: &dyn Listener,
) -> Result<(Index, Vec<u8>), OpsError> {
    let copy = usable(source, copies);
    if let Some(copy) = copy.as_ref().filter(|_| !copies.stand_in()) {
        let text = format!("index `{}` is the copy kept {}", source.name, age(copy.kept));
        listener.tell(&Event::Detail(&text));
        return Ok((source.read_index(&copy.bytes)?, copy.bytes.clone()));
    }
    let known = copy.as_ref().and_then(|copy| copy.tag.as_deref());
    let reason = match source.fetch(client, known).await {
        Ok(document) => {
            let (bytes, kept) = match (document, copy) {
                (Some(document), _) if !copies.stand_in() => (document.bytes, Ok(())),
                (Some(document), _) => {
                    let kept = copies.keep(source, &document.bytes, document.tag.as_deref());
                    (document.bytes, kept)
                }
                (None, Some(copy)) => (copy.bytes, copies.confirm(source)),
                (None, None) => return Err(unchanged_from_nothing(source)),
            };
            let index = source.read_index(&bytes);
            if !source.is_local()
                && let Err(error) = kept
            {
                // A read-only root is no reason to refuse work; it only costs the copy.
                listener.tell(&Event::Detail(&format!(
                    "no copy of index `{}` is kept: {error}",
                    source.name
                )));
            }
            return Ok((index?, bytes));
        }
        Err(reason) if source.is_local() => return Err(reason),
        Err(reason) => reason,
    };
    let Some(copy) = copy else { return Err(reason) };
    listener.tell(&Event::Warning(&format!(
        "index `{}` does not answer ({reason}); using the copy kept {}",
        source.name,
        age(copy.kept)
    )));
    Ok((source.read_index(&copy.bytes)?, copy.bytes))
}

/// How long ago something was, in the largest unit that fits.
fn age(since: SystemTime) -> String {
    let seconds = since.elapsed().map_or(0, |elapsed| elapsed.as_secs());
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} minutes ago", seconds / 60),
        3600..172_800 => format!("{} hours ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Largest index that is fetched, as a number of bytes on the wire.
const LIMIT: u64 = MAX_INDEX_BYTES as u64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::age;

    #[test]
    fn an_age_is_told_in_the_largest_unit() {
        let ago = |seconds| age(std::time::SystemTime::now() - Duration::from_secs(seconds));
        assert_eq!(ago(3), "just now");
        assert_eq!(ago(121), "2 minutes ago");
        assert_eq!(ago(7300), "2 hours ago");
        assert_eq!(ago(3 * 86_400 + 5), "3 days ago");
    }
}
