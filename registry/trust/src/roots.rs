//! Trusted roots: whose certificates, logs and timestamps are believed for keyless signatures.
//!
//! A root is a `trusted_root.json` document. The public instance's is built in, others come from
//! files; verification uses what is here and never asks the network. Refreshing is
//! left to [`crate::refresh`].

use sigstore::trust_root::{SigstoreInstance, TrustedRoot};

use crate::TrustError;

/// Largest trusted root that is read; the public one has about 10 KiB.
pub const MAX_ROOT_BYTES: usize = 1024 * 1024;

/// Where a trusted root comes from, with its content when it is not built in.
#[derive(Debug, Clone)]
pub enum RootSource {
    /// The public instance, from the copy in this program.
    PublicGood,
    /// A document that was read and parsed.
    Document {
        /// File name or other origin, for messages.
        name: String,
        /// The parsed root.
        root: Box<TrustedRoot>,
    },
}

impl RootSource {
    /// Parses a `trusted_root.json`; `name` says where it came from.
    pub fn from_json(name: &str, json: impl AsRef<str>) -> Result<Self, TrustError> {
        let json = json.as_ref();
        let failed = |reason: String| TrustError::Root { name: name.to_owned(), reason };
        if json.len() > MAX_ROOT_BYTES {
            return Err(failed(format!(
                "found {} bytes, the limit is {MAX_ROOT_BYTES}",
                json.len()
            )));
        }
        let root = TrustedRoot::from_json(json).map_err(|error| failed(error.to_string()))?;
        Ok(Self::Document { name: name.to_owned(), root: Box::new(root) })
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        match self {
            Self::PublicGood => "the public sigstore instance",
            Self::Document { name, .. } => name,
        }
    }

    /// The document as text.
    pub fn to_json(&self) -> Result<String, TrustError> {
        serde_json::to_string_pretty(&self.root()?).map_err(|error| self.failed(error.to_string()))
    }

    /// Name under which a newer copy is known.
    pub fn stem(&self) -> Option<&str> {
        match self {
            Self::PublicGood => Some("public-good"),
            Self::Document { name, .. } => std::path::Path::new(name).file_stem()?.to_str(),
        }
    }

    fn root(&self) -> Result<TrustedRoot, TrustError> {
        match self {
            Self::PublicGood => TrustedRoot::from_embedded(SigstoreInstance::PublicGood)
                .map_err(|error| self.failed(error.to_string())),
            Self::Document { root, .. } => Ok(root.as_ref().clone()),
        }
    }

    fn failed(&self, reason: String) -> TrustError {
        TrustError::Root { name: self.name().to_owned(), reason }
    }
}

/// The roots of one verifier, prepared once.
pub struct Roots {
    prepared: Vec<Prepared>,
}

/// One root, ready to verify with.
pub(crate) struct Prepared {
    /// For messages.
    pub(crate) name: String,
    /// What a policy calls it.
    pub(crate) stem: String,
    pub(crate) verifier: sigstore::Verifier,
    /// Its transparency logs, for the entries that the verifier does not read.
    pub(crate) logs: sigstore_crypto::Keyring,
    pub(crate) root: TrustedRoot,
}

impl Roots {
    /// Prepares every root; one that cannot be used is an error, not a root less.
    pub fn prepare(sources: &[RootSource]) -> Result<Self, TrustError> {
        let prepare = |source: &RootSource| {
            let root = source.root()?;
            let verifier =
                sigstore::Verifier::new(&root).map_err(|error| source.failed(error.to_string()))?;
            let logs = root.rekor_keys().map_err(|error| source.failed(error.to_string()))?;
            let stem = source.stem().unwrap_or_default().to_owned();
            Ok(Prepared { name: source.name().to_owned(), stem, verifier, logs, root })
        };
        Ok(Self { prepared: sources.iter().map(prepare).collect::<Result<_, TrustError>>()? })
    }

    /// Each root.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Prepared> {
        self.prepared.iter()
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.prepared.iter().map(|root| &root.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_root_can_be_prepared() {
        let roots = Roots::prepare(&[RootSource::PublicGood]).unwrap();
        assert_eq!(roots.iter().count(), 1);
        assert!(format!("{roots:?}").contains("public"));
    }

    #[test]
    fn a_broken_root_is_named() {
        let error = RootSource::from_json("corp.json", "{}").unwrap_err();
        assert!(error.to_string().contains("`corp.json`"), "{error}");
    }

    #[test]
    fn the_size_limit_is_inclusive() {
        let embedded = SigstoreInstance::PublicGood.embedded_trusted_root_json();
        let padded = format!("{embedded}{}", " ".repeat(MAX_ROOT_BYTES - embedded.len()));
        assert!(RootSource::from_json("r", &padded).is_ok());
        let error = RootSource::from_json("r", format!("{padded} ")).unwrap_err();
        assert!(error.to_string().contains("limit"));
    }
}
