//! What is known of registries, and finding out more.
//!
//! Owns the order "verify, then read": a description counts only when its artifact satisfies the
//! policy. Each fact is asked once.

use std::collections::{BTreeMap, BTreeSet};

use eyas_artifact::{
    Digest, Generation, Kind, Lock, Locked, Name, Reference, Version, VersionRange,
};
use eyas_index::solve::{Demand, Known, Question};
use eyas_oci::{Client, OciError};

use super::{
    Answer, Cause, Choice, Clash, Class, Conflict, Context, Found, IndexError, InstallOptions,
    MAX_ARTIFACTS, Offered, Offers, OpsError, Pick, Problem, Wanted, find, solve, unchanged,
};
use eyas_index::solve::Solution;

/// What is known so far.
pub(super) struct Facts<'a> {
    context: &'a Context<'a>,
    options: &'a InstallOptions,
    lock: Option<&'a Lock>,
    installed: Option<&'a Generation>,
    /// Where the artifacts of a name are.
    places: BTreeMap<String, Reference>,
    /// Names of which the newest in a range is asked for.
    ranged: BTreeSet<String>,
    listings: BTreeMap<String, Known<Vec<Version>>>,
    tags: BTreeMap<(String, Version), String>,
    offers: BTreeMap<(String, Version), Known<Offered>>,
    found: Vec<(String, Found)>,
    /// The first reason why something could not be had.
    absent: Option<OpsError>,
    looked: usize,
    limit: usize,
}

impl Offers for Facts<'_> {
    fn versions(&self, name: &str) -> Known<&[Version]> {
        match self.listings.get(name) {
            None | Some(Known::NotYet) => Known::NotYet,
            Some(Known::Yes(versions)) => Known::Yes(versions),
            Some(Known::No(reason)) => Known::No(reason.clone()),
        }
    }

    fn offer(&self, name: &str, version: &Version) -> Known<&Offered> {
        match self.offers.get(&(name.to_owned(), version.clone())) {
            None | Some(Known::NotYet) => Known::NotYet,
            Some(Known::Yes(offered)) => Known::Yes(offered),
            Some(Known::No(reason)) => Known::No(reason.clone()),
        }
    }
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        options: &'a InstallOptions,
        installed: Option<&'a Generation>,
    ) -> Self {
        Self {
            context,
            options,
            lock: None,
            installed,
            places: BTreeMap::new(),
            ranged: BTreeSet::new(),
            listings: BTreeMap::new(),
            tags: BTreeMap::new(),
            offers: BTreeMap::new(),
            found: Vec::new(),
            absent: None,
            looked: 0,
            limit: MAX_ARTIFACTS,
        }
    }

    /// Facts that come from a lock file, whatever tags point at today.
    pub(super) fn locked(
        context: &'a Context<'a>,
        options: &'a InstallOptions,
        lock: &'a Lock,
    ) -> Self {
        Self { lock: Some(lock), ..Self::new(context, options, None) }
    }

    /// From here on, so many more artifacts are looked at.
    pub(super) fn limit(&mut self, more: usize) {
        self.limit = self.looked + more;
    }

    /// Solves, finding out what is asked on the way.
    pub(super) async fn solve(
        &mut self,
        problem: &Problem,
    ) -> Result<Result<Solution, Conflict>, OpsError> {
        loop {
            match solve(problem, self) {
                Ok(Answer::Solved(solution)) => return Ok(Ok(solution)),
                Err(conflict) => return Ok(Err(conflict)),
                Ok(Answer::Ask(Question::Versions(name))) => {
                    let listing = self.list(&name).await?;
                    self.listings.insert(name, listing);
                }
                Ok(Answer::Ask(Question::Offer(name, version, cause))) => {
                    let known = self.look(&name, &version, cause).await?;
                    self.offers.insert((name, version), known);
                }
            }
        }
    }

    /// What a tag or digest is.
    pub(super) async fn this(
        &mut self,
        reference: &Reference,
        cause: Cause,
    ) -> Result<(String, Offered), OpsError> {
        // Who follows has asked already.
        let unchanged = match cause {
            Cause::Followed => None,
            _ => unchanged::look(self.context, reference, self.installed, self.options).await?,
        };
        let (name, offered) = if let Some(unchanged) = unchanged {
            unchanged
        } else {
            let found = self.find(reference, cause).await?;
            let (name, offered) = (found.config.name.clone(), offered(self.context, &found));
            self.keep(name.clone(), found);
            (name, offered)
        };
        self.places.insert(name.clone(), reference.clone());
        self.offers.insert((name.clone(), offered.version.clone()), Known::Yes(offered.clone()));
        Ok((name, offered))
    }

    /// The name of what is in a repository: as it is installed from there, else as the newest version
    /// in the range says.
    pub(super) async fn name_at(
        &mut self,
        reference: &Reference,
        range: &VersionRange,
        installed: Option<&Generation>,
        cause: &Cause,
    ) -> Result<String, OpsError> {
        let here = |text: &str| {
            text.parse::<Reference>().is_ok_and(|from| from.locator() == reference.locator())
        };
        let mut entries = installed.into_iter().flat_map(|generation| &generation.entries);
        if let Some(entry) = entries.find(|entry| here(&entry.reference)) {
            self.places.insert(entry.name.clone(), reference.clone());
            self.ranged.insert(entry.name.clone());
            return Ok(entry.name.clone());
        }
        let (versions, tags) = tags_of(self.context.client, reference).await?;
        let (newest, tag) = newest_of(reference, range, cause, &versions, &tags)?;
        let (name, offered) = self.this(&reference.with_tag(&tag)?, cause.clone()).await?;
        // A tag that says one version and has another is not taken for what it says.
        if offered.version != newest {
            let reason = format!("tag `{tag}` has version {}", offered.version);
            self.offers.insert((name.clone(), newest.clone()), Known::No(reason));
        }
        self.remember(&name, versions, tags);
        Ok(name)
    }

    /// What a lock file says of an artifact, fetched and verified.
    pub(super) async fn locked_offer(&mut self, locked: &Locked) -> Result<Offered, OpsError> {
        let text = format!("{}@{}", locked.reference_without_digest(), locked.digest);
        let (name, offered) = self.this(&text.parse()?, Cause::Requested).await?;
        if name != locked.name || offered.version != locked.version {
            return Err(OpsError::usage(
                format!(
                    "`{}` is locked as `{}` {}, and is `{name}` {}",
                    locked.pinned(),
                    locked.name,
                    locked.version,
                    offered.version
                ),
                Some("write the lock file again with `eyas artifact lock`"),
            ));
        }
        Ok(offered)
    }

    /// A pick as a demand to the digest.
    pub(super) fn demand(&self, pick: &Pick) -> Option<Demand> {
        let Choice::Take(digest) = pick.choice else { return None };
        let own = |(name, found): &&(String, Found)| {
            *name == pick.name && found.candidate.manifest_digest == digest
        };
        let (name, found) = self.found.iter().find(own)?;
        let (wanted, cause) = (Wanted::This(offered(self.context, found)), pick.cause.clone());
        Some(Demand { name: name.clone(), wanted, cause })
    }

    /// Takes out what was chosen.
    pub(super) fn take(&mut self, name: &str, digest: &Digest) -> Option<Found> {
        let own = |(known, found): &(String, Found)| {
            known == name && found.candidate.manifest_digest == *digest
        };
        let place = self.found.iter().position(own)?;
        Some(self.found.swap_remove(place).1)
    }

    /// A conflict as a failure of the operation.
    pub(super) fn failure(&mut self, conflict: Conflict) -> OpsError {
        if let Some(refusals) = conflict.refusals() {
            return IndexError::Refused { refusals }.into();
        }
        match self.absent.take() {
            // Not that it does not exist: that it could not be asked.
            Some(error) if conflict.is_absence() && error.class() != Class::NotFound => error,
            _ => IndexError::Unsolvable(Box::new(conflict)).into(),
        }
    }

    async fn find(&mut self, reference: &Reference, cause: Cause) -> Result<Found, OpsError> {
        if self.looked >= self.limit {
            return Err(OpsError::TooMany { limit: self.limit });
        }
        self.looked += 1;
        // Behind a pointer: whoever waits for a choice would carry all of verification along.
        Box::pin(find(self.context, reference, cause, self.options)).await
    }

    fn keep(&mut self, name: String, found: Found) {
        let digest = found.candidate.manifest_digest;
        let known = |(own, other): &(String, Found)| {
            *own == name && other.candidate.manifest_digest == digest
        };
        if !self.found.iter().any(known) {
            self.found.push((name, found));
        }
    }

    async fn list(&mut self, name: &str) -> Result<Known<Vec<Version>>, OpsError> {
        if let Some(lock) = self.lock {
            let own = lock.artifacts.iter().filter(|locked| locked.name == name);
            let versions: Vec<Version> = own.map(|locked| locked.version.clone()).collect();
            if versions.is_empty() {
                return Ok(Known::No("the lock file does not have it".to_owned()));
            }
            return Ok(Known::Yes(versions));
        }
        let place = match self.place(name).await {
            Ok(place) => place,
            Err(error) => return Ok(self.missing(error)),
        };
        match tags_of(self.context.client, &place).await {
            Ok((versions, tags)) => {
                self.remember(name, versions.clone(), tags);
                Ok(Known::Yes(versions))
            }
            // Who asks for the newest in a range is not told that all is well.
            Err(error) if self.ranged.contains(name) => Err(error),
            Err(error) => Ok(self.missing(error)),
        }
    }

    fn missing<T>(&mut self, error: OpsError) -> Known<T> {
        let reason = error.to_string();
        self.absent.get_or_insert(error);
        Known::No(reason)
    }

    /// Where the artifacts of a name are: as was asked, else as an index says.
    async fn place(&mut self, name: &str) -> Result<Reference, OpsError> {
        if let Some(place) = self.places.get(name) {
            return Ok(place.clone());
        }
        let indexed = Name::Indexed { name: name.to_owned(), tag: None, digest: None };
        let place = self.context.catalog.find(&indexed, self.context.listener).await?;
        self.places.insert(name.to_owned(), place.clone());
        Ok(place)
    }

    async fn look(
        &mut self,
        name: &str,
        version: &Version,
        cause: Cause,
    ) -> Result<Known<Offered>, OpsError> {
        if let Some(lock) = self.lock {
            let mut own = lock.artifacts.iter().filter(|locked| locked.name == name);
            return match own.find(|locked| locked.version == *version) {
                Some(locked) => Ok(Known::Yes(self.locked_offer(locked).await?)),
                None => Ok(Known::No("the lock file does not have it".to_owned())),
            };
        }
        let place = match self.place(name).await {
            Ok(place) => place,
            Err(error) => return Ok(self.missing(error)),
        };
        let known = self.tags.get(&(name.to_owned(), version.clone()));
        let tag = known.cloned().unwrap_or_else(|| version.to_string());
        match self.find(&place.with_tag(&tag)?, cause).await {
            Ok(found) => {
                let mut offered = offered(self.context, &found);
                // A tag that says one version and has another must not be chosen for what it says.
                if offered.version != *version {
                    let reason = format!("tag `{tag}` has version {}", offered.version);
                    return Ok(Known::No(reason));
                }
                offered.version = version.clone();
                self.keep(name.to_owned(), found);
                Ok(Known::Yes(offered))
            }
            Err(
                error @ OpsError::Registry(OciError::NotFound { .. } | OciError::NoPlatform { .. }),
            ) => Ok(self.missing(error)),
            Err(error) => Err(error),
        }
    }

    fn remember(&mut self, name: &str, versions: Vec<Version>, tags: BTreeMap<Version, String>) {
        self.listings.insert(name.to_owned(), Known::Yes(versions));
        for (version, tag) in tags {
            self.tags.insert((name.to_owned(), version), tag);
        }
    }
}

/// The versions that the tags of a repository name, newest first, and the tag of each.
async fn tags_of(
    client: &Client,
    reference: &Reference,
) -> Result<(Vec<Version>, BTreeMap<Version, String>), OpsError> {
    let tags = crate::tags(client, reference).await?;
    let mut known: BTreeMap<Version, String> = BTreeMap::new();
    for tag in tags {
        let Some(version) = version_of(&tag) else { continue };
        // `1.2.0` and `v1.2.0` are one version: the plain spelling counts, then the first one.
        let plain = |tag: &str| tag == version.to_string();
        let before = known.get(&version);
        if before.is_none_or(|before| (!plain(&tag), &tag) < (!plain(before), before)) {
            known.insert(version, tag);
        }
    }
    Ok((known.keys().rev().cloned().collect(), known))
}

/// Where the newest version in a range is.
pub(crate) async fn newest_in(
    client: &Client,
    reference: &Reference,
    range: &VersionRange,
    cause: &Cause,
) -> Result<Reference, OpsError> {
    let (versions, tags) = tags_of(client, reference).await?;
    let (_, tag) = newest_of(reference, range, cause, &versions, &tags)?;
    Ok(reference.with_tag(&tag)?)
}

/// The newest version in a range, and its tag.
fn newest_of(
    reference: &Reference,
    range: &VersionRange,
    cause: &Cause,
    versions: &[Version],
    tags: &BTreeMap<Version, String>,
) -> Result<(Version, String), OpsError> {
    let Some(newest) = versions.iter().find(|version| range.contains(version)) else {
        let name = reference.base_name().to_owned();
        let wanted = vec![(range.clone().into(), cause.to_string())];
        let available = versions.to_vec();
        let clash = Clash::NoVersion { name, wanted, available, installed: None };
        let conflict = Conflict { clashes: vec![clash], ..Conflict::default() };
        return Err(IndexError::Unsolvable(Box::new(conflict)).into());
    };
    let tag = tags.get(newest).cloned().unwrap_or_else(|| newest.to_string());
    Ok((newest.clone(), tag))
}

/// The version that a tag names in full; `1` and `1.2` are moved by their publisher and name none.
pub(crate) fn version_of(tag: &str) -> Option<Version> {
    let numbers = tag.split(['-', '+']).next().unwrap_or_default();
    (numbers.matches('.').count() == 2).then(|| tag.parse().ok()).flatten()
}

fn offered(context: &Context<'_>, found: &Found) -> Offered {
    // An engine that starts after its rules are installed cannot say what it takes.
    let unknown = context.sensor.default_offer().unknown && found.candidate.kind != Kind::Probe;
    Offered {
        kind: found.candidate.kind,
        version: found.candidate.version.clone(),
        digest: found.candidate.manifest_digest,
        dependencies: found.config.dependencies.clone(),
        requirements: if unknown { Vec::new() } else { found.requirements() },
    }
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn only_full_versions_are_versions() {
        for tag in ["1.2.3", "v1.2.3", "1.2.3-rc1", "0.0.1"] {
            assert!(version_of(tag).is_some(), "{tag}");
        }
        for tag in ["1", "1.2", "latest", "main", "sha256-00", "1.2.3.4", "a.b.c", "1-2.3.4"] {
            assert!(version_of(tag).is_none(), "{tag}");
        }
    }
}
