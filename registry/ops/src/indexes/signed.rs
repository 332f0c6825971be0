//! Indexes that a policy has rules about: the bundle beside each, held against its rule.
//!
//! Owns where that bundle is. Without a rule an index is as good as the policy's rules about what it names.

use std::fs;
use std::io::{ErrorKind, Read as _};

use eyas_oci::{Client, OciError};
use eyas_trust::{MAX_BUNDLE_BYTES, Verifier};
use url::Url;

use super::{Catalog, IndexLocation, IndexSource};
use crate::OpsError;

/// What the bundle's name has more than the index's.
pub(super) const BUNDLE_SUFFIX: &str = ".sigstore.json";

impl Catalog {
    /// Fails when an index in use does not satisfy the policy's rule about it.
    pub(crate) async fn hold_to(
        &self,
        verifier: &Verifier,
        client: &Client,
    ) -> Result<(), OpsError> {
        for (source, content) in &self.documents {
            let address = source.address();
            if verifier.policy().rule_for_index(&address, &source.name).is_some() {
                let bundle = source.bundle(client).await?;
                verifier.decide_index(&address, &source.name, content, bundle)?;
            }
        }
        Ok(())
    }
}

impl IndexSource {
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
