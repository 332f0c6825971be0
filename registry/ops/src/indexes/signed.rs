//! Indexes that a policy has rules about: the bundle beside each, held against its rule.
//!
//! Owns where that bundle is; that none goes back in time is held in `newest`. An index in a registry is an artifact, signed like one, and held against the
//! rule for its repository. Without a rule an index is as good as the policy's rules about what it names.

use std::fs;
use std::io::{ErrorKind, Read as _};

use eyas_artifact::{Digest, Manifest, Reference};
use eyas_oci::{Client, OciError};
use eyas_trust::{Decision, MAX_BUNDLE_BYTES, Verifier};
use url::Url;

use super::{Catalog, IndexLocation, IndexSource};
use crate::{Listener, OpsError};

/// What the bundle's name has more than the index's.
pub(super) const BUNDLE_SUFFIX: &str = ".sigstore.json";

impl Catalog {
    /// Fails when an index in use does not satisfy the policy's rule about it.
    pub(crate) async fn hold_to(
        &self,
        verifier: &Verifier,
        client: &Client,
        listener: &dyn Listener,
    ) -> Result<(), OpsError> {
        for (source, content) in &self.known().documents {
            let address = source.address();
            if verifier.policy().rule_for_index(&address, &source.name).is_some() {
                let bundle = source.bundle(client).await?;
                let decided = verifier.decide_index(&address, &source.name, content, bundle)?;
                if let Some(decision) = decided {
                    self.copies.hold_to_newest(source, &decision, listener)?;
                }
            }
            if let IndexLocation::Registry(reference) = &source.location
                && verifier.policy().rule_for(reference).is_some()
            {
                let decision = source.hold_artifact(reference, content, verifier, client).await?;
                self.copies.hold_to_newest(source, &decision, listener)?;
            }
        }
        Ok(())
    }
}

impl IndexSource {
    /// Fails when the artifact that the index is does not satisfy the policy, or is another one now.
    async fn hold_artifact(
        &self,
        reference: &Reference,
        content: &[u8],
        verifier: &Verifier,
        client: &Client,
    ) -> Result<Decision, OpsError> {
        let failed = |source| OpsError::IndexFetch { name: self.name.clone(), source };
        let fetched = client.manifest(reference).await.map_err(failed)?;
        let manifest = Manifest::from_slice(&fetched.bytes)
            .map_err(|source| OpsError::Document { reference: reference.to_string(), source })?;
        let found = Digest::sha256(content);
        let expected = manifest.layers.first().map_or(found, |layer| layer.digest);
        if manifest.layers.is_empty() || expected != found {
            let what = format!("index `{}` of {reference}", self.name);
            return Err(failed(OciError::DigestMismatch { what, expected, found }));
        }
        Ok(verifier.check(client, reference, &fetched.digest).await?)
    }

    /// The bundle beside the index, if there is one. Only files and web addresses have a beside.
    async fn bundle(&self, client: &Client) -> Result<Option<Vec<u8>>, OpsError> {
        match &self.location {
            IndexLocation::File(path) => {
                let mut beside = path.as_os_str().to_owned();
                beside.push(BUNDLE_SUFFIX);
                let failed = |source| OpsError::IndexFile {
                    name: self.name.clone(),
                    path: beside.clone().into(),
                    source,
                };
                let file = match fs::File::open(&beside) {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(failed(error)),
                };
                let mut bytes = Vec::new();
                // One byte more than the limit, so that the verifier can tell that it is exceeded.
                file.take(MAX_BUNDLE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
                Ok(Some(bytes))
            }
            IndexLocation::Web(url) => {
                let mut beside: Url = url.clone();
                beside.set_path(&format!("{}{BUNDLE_SUFFIX}", url.path()));
                match client.document_if_new(&beside, MAX_BUNDLE_BYTES, None).await {
                    Ok(document) => Ok(document.map(|document| document.bytes)),
                    Err(OciError::NotFound { .. }) => Ok(None),
                    Err(source) => Err(OpsError::IndexFetch { name: self.name.clone(), source }),
                }
            }
            IndexLocation::Object(_) | IndexLocation::Registry(_) => Ok(None),
        }
    }
}
