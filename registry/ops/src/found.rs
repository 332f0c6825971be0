//! From a reference to an artifact that is pinned, verified and described.
//!
//! Nothing is written here. Each tag is resolved once; everything after goes by digest. Verification
//! comes before the artifact's own description is read.

use eyas_artifact::{BundleConfig, Kind, MAX_CONFIG_BYTES, Reference, Requirement, Version};
use eyas_index::{Candidate, Cause};
use eyas_oci::{Client, Pinned};
use eyas_trust::Verified;

use crate::{Context, Event, InstallOptions, OpsError};

/// An artifact that might be installed.
pub(crate) struct Found {
    pub(crate) verified: Verified<Pinned>,
    pub(crate) config: BundleConfig,
    pub(crate) config_bytes: Vec<u8>,
    pub(crate) candidate: Candidate,
}

impl Found {
    /// What it requires of the sensor, and of the machine where it is a probe.
    pub(crate) fn requirements(&self) -> Vec<Requirement> {
        let mut all = self.config.requirements.clone();
        if self.candidate.kind == Kind::Probe {
            all.extend(crate::requires::of_probe(&self.config_bytes));
        }
        all
    }
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
    let Context { client, catalog, listener, .. } = *context;
    let (reference, wanted) = (pinned.reference().clone(), pinned.config().clone());
    // On the way while the signatures are, but not looked at before they are known to be good.
    let description =
        Box::pin(async { Ok(client.blob_bytes(&reference, &wanted, MAX_CONFIG_BYTES).await) });
    let verification = Box::pin(context.trust.verify(client, catalog, pinned, listener));
    let (verified, description) = futures_util::future::try_join(verification, description).await?;
    let (config, config_bytes) = read(asked, description?)?;
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

/// What an artifact says of itself.
pub(crate) async fn describe(
    client: &Client,
    asked: &Reference,
    pinned: &Pinned,
) -> Result<(BundleConfig, Vec<u8>), OpsError> {
    read(asked, client.blob_bytes(pinned.reference(), pinned.config(), MAX_CONFIG_BYTES).await?)
}

fn read(asked: &Reference, bytes: Vec<u8>) -> Result<(BundleConfig, Vec<u8>), OpsError> {
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

/// Whether the version is one that the policy accepts.
pub(crate) fn check_minimum(
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
