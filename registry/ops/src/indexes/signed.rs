//! Indexes that a policy has rules about: the bundle beside each, held against its rule.
//!
//! Owns where that bundle is; that none goes back in time is held in `newest`. An index in a registry is an
//! artifact and signed like one: what is attached to it there is held against the rule about the index and
//! against that for its repository. Without a rule an index is as good as the policy's rules about what it
//! names.

use std::fs;
use std::io::{ErrorKind, Read as _};

use eyas_artifact::{Digest, Manifest, Reference};
use eyas_oci::{Client, Document, Object, OciError};
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
            let decisions = match &source.location {
                IndexLocation::Registry(reference) => {
                    source.hold_artifact(reference, content, verifier, client).await?
                }
                _ => source.hold_document(content, verifier, client).await?,
            };
            self.copies.hold_to_newest(source, &decisions, listener)?;
        }
        Ok(())
    }
}

impl IndexSource {
    /// What the rule about an index decides, if there is one. Fails when it refuses.
    async fn hold_document(
        &self,
        content: &[u8],
        verifier: &Verifier,
        client: &Client,
    ) -> Result<Vec<Decision>, OpsError> {
        let address = self.address();
        if verifier.policy().rule_for_index(&address, &self.name).is_none() {
            return Ok(Vec::new());
        }
        let bundle = self.bundle(client).await?;
        let decided = verifier.decide_index(&address, &self.name, content, bundle)?;
        Ok(decided.into_iter().collect())
    }

    /// What the rules about the artifact that an index is decide: the one about the index, the one about
    /// its repository. Fails when one refuses, or when the artifact is another one now.
    async fn hold_artifact(
        &self,
        reference: &Reference,
        content: &[u8],
        verifier: &Verifier,
        client: &Client,
    ) -> Result<Vec<Decision>, OpsError> {
        let about_index = verifier.for_index_at(reference, &self.address(), &self.name)?;
        let about_repository = verifier.policy().rule_for(reference).map(|_| verifier);
        let rules: Vec<&Verifier> = about_index.iter().chain(about_repository).collect();
        if rules.is_empty() {
            return Ok(Vec::new());
        }
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
        verifier.hold_to_revocations(&reference.locator(), &found)?;
        let mut decisions = Vec::with_capacity(rules.len());
        for rule in rules {
            decisions.push(rule.check(client, reference, &fetched.digest).await?);
        }
        Ok(decisions)
    }

    /// The bundle beside the index, if there is one. What is in a registry has no beside.
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
                self.answered(client.document_if_new(&beside, MAX_BUNDLE_BYTES, None).await)
            }
            IndexLocation::Object(object) => {
                let beside: Object = format!("{object}{BUNDLE_SUFFIX}")
                    .parse()
                    .map_err(|source| OpsError::IndexFetch { name: self.name.clone(), source })?;
                self.answered(client.object_if_new(&beside, MAX_BUNDLE_BYTES, None).await)
            }
            IndexLocation::Registry(_) => Ok(None),
        }
    }

    /// That there is no bundle is no failure.
    fn answered(
        &self,
        answer: Result<Option<Document>, OciError>,
    ) -> Result<Option<Vec<u8>>, OpsError> {
        match answer {
            Ok(document) => Ok(document.map(|document| document.bytes)),
            Err(OciError::NotFound { .. }) => Ok(None),
            Err(source) => Err(OpsError::IndexFetch { name: self.name.clone(), source }),
        }
    }
}
