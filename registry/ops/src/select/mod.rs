//! From requests to the artifacts that will be installed: the solver of `eyas-index`, fed with what
//! registries have.
//!
//! A plain reference is pinned, verified and described, and if it needs nothing else that is all that
//! is asked. Lists of tags and other versions are fetched one by one, when the solver has a question
//! that only they answer. A version that does not verify stops the install: an older one that does
//! is never taken in its place.

mod facts;
mod unchanged;

use std::collections::BTreeSet;

use eyas_artifact::{
    BundleConfig, Entry, Generation, Lock, MAX_CONFIG_BYTES, Reference, VersionRange,
};
use eyas_index::solve::{
    Answer, Choice, Clash, Demand, Held, Offered, Offers, Pick, Problem, Wanted, solve,
};
use eyas_index::{Action, Candidate, Cause, Conflict, IndexError, Step, Why};

use self::facts::Facts;
pub(crate) use self::facts::{newest_in, version_of};
use crate::found::{Found, find};
use crate::{Class, Context, InstallOptions, Offer, OpsError};

/// Most artifacts that are looked at for one install.
pub const MAX_ARTIFACTS: usize = 256;
/// Most versions that are looked at to say what would fit instead.
const MAX_SUGGESTIONS: usize = 8;

/// What somebody wants: a reference with tag or digest, or any version in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) reference: Reference,
    pub(crate) range: Option<VersionRange>,
    pub(crate) cause: Cause,
}

/// What will be installed.
#[derive(Default)]
pub(crate) struct Selection {
    /// What is taken from a registry.
    pub(crate) found: Vec<Found>,
    /// What was asked for and is installed in a version that fits.
    pub(crate) kept: Vec<Step>,
    /// Things a user should know.
    pub(crate) notes: Vec<String>,
}

/// Chooses what to install for `wishes`.
pub(crate) async fn select(
    context: &Context<'_>,
    wishes: Vec<Wish>,
    installed: Option<&Generation>,
    offer: &Offer,
    options: &InstallOptions,
) -> Result<Selection, OpsError> {
    let mut facts = Facts::new(context, options, installed);
    let problem = problem(context, &mut facts, wishes, installed, offer, options).await?;
    resolve(&mut facts, &problem, installed).await
}

/// Chooses from a lock file alone: what is in it at its digest, and nothing else. What is wanted
/// together with all that it needs is asked for to the digest.
pub(crate) async fn select_locked(
    context: &Context<'_>,
    lock: &Lock,
    wishes: Vec<Wish>,
    installed: Option<&Generation>,
    offer: &Offer,
    options: &InstallOptions,
) -> Result<Selection, OpsError> {
    let mut facts = Facts::locked(context, options, lock);
    let mut demands = Vec::new();
    for locked in covered(lock, &wishes)? {
        let (offered, cause) = (facts.locked_offer(locked).await?, Cause::Requested);
        demands.push(Demand { name: locked.name.clone(), wanted: Wanted::This(offered), cause });
    }
    // First as on an empty host, which gives the same on every host; then beside what is there.
    let mut bare = bare_problem(demands, offer, options);
    let solution = facts.solve(&bare).await?.map_err(|conflict| facts.failure(conflict))?;
    bare.demands = solution.picks.iter().filter_map(|pick| facts.demand(pick)).collect();
    bare.installed = held(context, installed)?;
    resolve(&mut facts, &bare, installed).await
}

/// What of a lock file is wanted; all of it when nothing is named.
fn covered<'l>(
    lock: &'l Lock,
    wishes: &[Wish],
) -> Result<Vec<&'l eyas_artifact::Locked>, OpsError> {
    if wishes.is_empty() {
        return Ok(lock.artifacts.iter().collect());
    }
    let find = |wish: &Wish| {
        let fits = |locked: &&eyas_artifact::Locked| {
            locked.reference.locator() == wish.reference.locator()
                && match (&wish.range, wish.reference.digest(), wish.reference.tag()) {
                    (Some(range), ..) => range.contains(&locked.version),
                    (None, Some(digest), _) => locked.digest == *digest,
                    (None, None, tag) => {
                        locked.reference.tag() == tag
                            || tag.is_some_and(|tag| {
                                locked.version.floating_tags().iter().any(|own| own == tag)
                            })
                    }
                }
        };
        lock.artifacts.iter().find(fits).ok_or_else(|| OpsError::NotLocked {
            wanted: wish.words(),
            locked: lock
                .artifacts
                .iter()
                .find(|locked| locked.reference.locator() == wish.reference.locator())
                .map(|locked| format!("{} ({})", locked.version, locked.reference)),
        })
    };
    wishes.iter().map(find).collect()
}

impl Wish {
    fn words(&self) -> String {
        match &self.range {
            Some(range) => format!("{}:{range}", self.reference.locator()),
            None => self.reference.to_string(),
        }
    }
}

async fn problem(
    context: &Context<'_>,
    facts: &mut Facts<'_>,
    wishes: Vec<Wish>,
    installed: Option<&Generation>,
    offer: &Offer,
    options: &InstallOptions,
) -> Result<Problem, OpsError> {
    let mut demands: Vec<Demand> = Vec::new();
    let mut seen = BTreeSet::new();
    for Wish { reference, range, cause } in wishes {
        if !seen.insert((reference.clone(), range.as_ref().map(ToString::to_string))) {
            continue;
        }
        let (name, wanted) = match range {
            None => {
                let (name, offered) = facts.this(&reference, cause.clone()).await?;
                if !options.allow_downgrade {
                    check_tag(&reference, &name, &offered)?;
                }
                (name, Wanted::This(offered))
            }
            Some(range) => {
                let name = facts.name_at(&reference, &range, installed, &cause).await?;
                (name, Wanted::Within(range))
            }
        };
        demands.push(Demand { name, wanted, cause });
    }
    let installed = held(context, installed)?;
    Ok(Problem { installed, ..bare_problem(demands, offer, options) })
}

/// Whoever may move tags, a registry, must not serve one signed version as another one.
fn check_tag(asked: &Reference, name: &str, found: &Offered) -> Result<(), OpsError> {
    let named = asked.tag().filter(|_| asked.digest().is_none()).and_then(version_of);
    match named {
        Some(named) if named != found.version => Err(OpsError::OtherVersion {
            reference: asked.to_string(),
            kind: found.kind,
            name: name.to_owned(),
            found: found.version.to_string(),
        }),
        _ => Ok(()),
    }
}

fn bare_problem(demands: Vec<Demand>, offer: &Offer, options: &InstallOptions) -> Problem {
    Problem {
        demands,
        installed: Vec::new(),
        offered: crate::requires::offered(&offer.versions),
        built_in: offer.plugins.clone(),
        allow_downgrade: options.allow_downgrade,
        dependencies: options.resolve_dependencies,
    }
}

/// What is installed, as the solver sees it.
pub(crate) fn held(
    context: &Context<'_>,
    installed: Option<&Generation>,
) -> Result<Vec<Held>, OpsError> {
    let pins = context.store.pins()?;
    let mut all = Vec::new();
    for entry in installed.into_iter().flat_map(|generation| &generation.entries) {
        let config = config_of(context.store, entry)?;
        let offered = Offered {
            kind: entry.kind,
            version: entry.version.clone(),
            digest: entry.manifest_digest,
            dependencies: config.as_ref().map(|one| one.dependencies.clone()).unwrap_or_default(),
            requirements: config.map(|one| one.requirements).unwrap_or_default(),
        };
        let pinned = pins.contains(&entry.name);
        all.push(Held { name: entry.name.clone(), offered, pinned });
    }
    Ok(all)
}

/// The configuration document of an installed artifact; none when the store has lost it.
pub(crate) fn config_of(
    store: &eyas_store::Store,
    entry: &Entry,
) -> Result<Option<BundleConfig>, OpsError> {
    let bytes = store.blob(&entry.config_digest, MAX_CONFIG_BYTES)?;
    Ok(bytes.and_then(|bytes| BundleConfig::from_slice(&bytes).ok()))
}

async fn resolve(
    facts: &mut Facts<'_>,
    problem: &Problem,
    installed: Option<&Generation>,
) -> Result<Selection, OpsError> {
    let solution = match facts.solve(problem).await? {
        Ok(solution) => solution,
        Err(mut conflict) => {
            conflict.instead = instead(facts, problem, &conflict).await;
            return Err(facts.failure(conflict));
        }
    };
    let mut selection = Selection { notes: solution.notes, ..Selection::default() };
    for pick in solution.picks {
        match pick.choice {
            Choice::Take(digest) => {
                match facts.take(&pick.name, &digest) {
                    Some(mut found) => {
                        found.candidate.cause = pick.cause;
                        selection.found.push(found);
                    }
                    // Only what is installed is offered without having been found.
                    None => selection.kept.extend(keep(&pick, installed)),
                }
            }
            Choice::Keep => selection.kept.extend(keep(&pick, installed)),
        }
    }
    Ok(selection)
}

/// The step for what is installed already and fits.
fn keep(pick: &Pick, installed: Option<&Generation>) -> Option<Step> {
    let mut entries = installed?.entries.iter();
    let entry = entries.find(|entry| entry.name == pick.name && entry.version == pick.version)?;
    let candidate = Candidate {
        kind: entry.kind,
        name: entry.name.clone(),
        version: entry.version.clone(),
        reference: entry.reference.parse().ok()?,
        root_digest: entry.root_digest,
        manifest_digest: entry.manifest_digest,
        signed_at: entry.signed_at.clone(),
        cause: pick.cause.clone(),
    };
    let detail = format!("version `{}` is installed already, and fits", entry.version);
    let why = Why { cause: pick.cause.clone(), detail };
    Some(Step { action: Action::Keep, candidate, installed: Some(entry.version.clone()), why })
}

/// What would fit if a tag that was asked for were another version, found with few requests. It
/// helps to read a refusal and decides nothing.
async fn instead(facts: &mut Facts<'_>, problem: &Problem, conflict: &Conflict) -> Option<String> {
    let stands = |name: &str| {
        conflict.clashes.iter().any(|clash| match clash {
            Clash::Requirement { name: own, .. } | Clash::Dependency { by: own, .. } => own == name,
            _ => false,
        })
    };
    let mut relaxed = problem.clone();
    let any: VersionRange = "*".parse().ok()?;
    let mut names = Vec::new();
    for demand in relaxed.demands.iter_mut().filter(|demand| stands(&demand.name)) {
        if matches!(demand.wanted, Wanted::This(_)) {
            demand.wanted = Wanted::Within(any.clone());
            names.push(demand.name.clone());
        }
    }
    if names.is_empty() {
        return None;
    }
    facts.limit(MAX_SUGGESTIONS);
    let solution = facts.solve(&relaxed).await.ok()?.ok()?;
    let fits: Vec<String> = solution
        .picks
        .iter()
        .filter(|pick| names.contains(&pick.name))
        .map(|pick| format!("`{}:{}`", pick.name, pick.version))
        .collect();
    Some(format!("{} would fit", fits.join(" and ")))
}
