//! From a reference to an artifact that is pinned, verified and described, together with what it
//! depends on.
//!
//! Nothing is written here. Each tag is resolved once; everything after goes by digest. Verification
//! comes before the artifact's own description is read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use eyas_artifact::{
    BundleConfig, Dependency, Generation, Kind, MAX_CONFIG_BYTES, Name, Reference, Version,
};
use eyas_index::{Candidate, Cause, check_requirements};
use eyas_oci::Pinned;
use eyas_trust::Verified;

use crate::{Context, Event, InstallOptions, Offer, OpsError};

/// Most artifacts that one request may pull in.
pub const MAX_ARTIFACTS: usize = 256;

/// An artifact that might be installed.
pub(crate) struct Found {
    pub(crate) verified: Verified<Pinned>,
    pub(crate) config: BundleConfig,
    pub(crate) config_bytes: Vec<u8>,
    pub(crate) candidate: Candidate,
}

/// What was asked for, and what it needs.
pub(crate) async fn find_all(
    context: &Context<'_>,
    requests: Vec<(Reference, Cause)>,
    installed: Option<&Generation>,
    offer: &Offer,
    options: &InstallOptions,
) -> Result<Vec<Found>, OpsError> {
    let mut open: VecDeque<(Reference, Cause)> = requests.into();
    let mut seen = BTreeSet::new();
    let mut found: Vec<Found> = Vec::new();
    while let Some((reference, cause)) = open.pop_front() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        if found.len() == MAX_ARTIFACTS {
            return Err(OpsError::TooMany { limit: MAX_ARTIFACTS });
        }
        let next = find(context, &reference, cause, options).await?;
        if options.resolve_dependencies {
            for dependency in &next.config.dependencies {
                if !is_met(dependency, &next, &found, installed, offer) {
                    let cause = Cause::DependencyOf(next.config.name.clone());
                    open.push_back((locate(context, dependency)?, cause));
                }
            }
        }
        found.push(next);
    }
    Ok(found)
}

/// Pins, verifies and describes one artifact.
pub(crate) async fn find(
    context: &Context<'_>,
    asked: &Reference,
    cause: Cause,
    options: &InstallOptions,
) -> Result<Found, OpsError> {
    let pinned = context.client.pin(asked, &options.platform).await?;
    let digest = *pinned.root_digest();
    context.listener.tell(&Event::Pinned { asked, digest });
    let kind = pinned.kind();
    let verified = context.trust.verify(context.client, context.catalog, pinned).await?;
    let (config, config_bytes) = describe(context, asked, verified.get()).await?;
    check_allowed(kind, &config, asked, options)?;
    check_minimum(kind, &config, verified.minimum_version())?;
    context.listener.tell(&Event::Verified {
        name: &config.name,
        version: &config.version,
        cause: &cause,
        signers: verified.signers(),
    });
    let candidate = Candidate {
        kind,
        name: config.name.clone(),
        version: config.version.clone(),
        reference: asked.clone(),
        root_digest: digest,
        manifest_digest: *verified.get().manifest_digest(),
        signed_at: verified.signed_at().map(str::to_owned),
        cause,
    };
    Ok(Found { verified, config, config_bytes, candidate })
}

/// The requirements of all artifacts that will change, held against what the sensor offers.
pub(crate) fn check_offer(found: &[Found], offer: &Offer) -> Result<(), OpsError> {
    for artifact in found {
        let unmet = check_requirements(&artifact.config.requirements, &offer.versions);
        if !unmet.is_empty() {
            let kind = artifact.candidate.kind;
            return Err(OpsError::Requirements { kind, name: artifact.config.name.clone(), unmet });
        }
    }
    Ok(())
}

async fn describe(
    context: &Context<'_>,
    asked: &Reference,
    pinned: &Pinned,
) -> Result<(BundleConfig, Vec<u8>), OpsError> {
    let bytes =
        context.client.blob_bytes(pinned.reference(), pinned.config(), MAX_CONFIG_BYTES).await?;
    let config = BundleConfig::from_slice(&bytes)
        .map_err(|source| OpsError::Document { reference: asked.to_string(), source })?;
    Ok((config, bytes))
}

fn check_allowed(
    kind: Kind,
    config: &BundleConfig,
    asked: &Reference,
    options: &InstallOptions,
) -> Result<(), OpsError> {
    if options.allowed.is_empty() || options.allowed.contains(&kind) {
        return Ok(());
    }
    let names: Vec<String> = options.allowed.iter().map(|kind| format!("`{kind}`")).collect();
    Err(OpsError::KindNotAllowed {
        kind,
        name: config.name.clone(),
        reference: asked.to_string(),
        allowed: names.join(", "),
    })
}

fn check_minimum(
    kind: Kind,
    config: &BundleConfig,
    minimum: Option<&Version>,
) -> Result<(), OpsError> {
    match minimum {
        Some(minimum) if config.version < *minimum => Err(OpsError::BelowMinimum {
            kind,
            name: config.name.clone(),
            found: config.version.to_string(),
            minimum: minimum.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Whether a dependency, or an alternative of it, is built into the sensor, among what was found,
/// or installed already.
fn is_met(
    dependency: &Dependency,
    next: &Found,
    found: &[Found],
    installed: Option<&Generation>,
    offer: &Offer,
) -> bool {
    let mut known: BTreeMap<&str, Vec<&Version>> = BTreeMap::new();
    for entry in installed.iter().flat_map(|generation| &generation.entries) {
        known.entry(&entry.name).or_default().push(&entry.version);
    }
    for artifact in found.iter().chain([next]) {
        // What is found replaces what is installed under the same name.
        known.insert(&artifact.config.name, vec![&artifact.config.version]);
    }
    let there = |name: &str, version: &Version| {
        offer.plugins.iter().any(|plugin| plugin == name)
            || known
                .get(name)
                .is_some_and(|versions| versions.iter().any(|has| has.satisfies(version)))
    };
    there(&dependency.name, &dependency.version)
        || dependency.alternatives.iter().any(|other| there(&other.name, &other.version))
}

/// Dependencies are exact tags of names that an index knows.
fn locate(context: &Context<'_>, dependency: &Dependency) -> Result<Reference, OpsError> {
    let name = Name::Indexed {
        name: dependency.name.clone(),
        tag: Some(dependency.version.to_string()),
        digest: None,
    };
    context.catalog.resolve(&name)
}
