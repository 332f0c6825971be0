//! Configuration documents: what an artifact says about itself.
//!
//! Owns the JSON forms and their limits. The content is the publisher's word: it names what to
//! check, and is never the reason to trust.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::check_size;
use crate::{ArtifactError, Constraint, Digest, Version, is_artifact_name};

/// Largest configuration document that is read, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

const DOCUMENT: &str = "artifact configuration";
const PROBE_DOCUMENT: &str = "probe configuration";

/// Configuration of a rules file, plugin or asset. A probe's document can be read as one too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleConfig {
    /// Name of the artifact: lower case, fit to be a directory name.
    pub name: String,
    /// Version of the artifact.
    pub version: Version,
    /// Other artifacts that must be installed.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What the sensor must offer.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
}

/// Another artifact that must be there, or one of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Name of the artifact.
    pub name: String,
    /// Which versions will do: a plain version is the lowest of its major number.
    pub version: Constraint,
    /// Artifacts that will do instead.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// An artifact that will do in place of a dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Name of the artifact.
    pub name: String,
    /// Which versions will do: a plain version is the lowest of its major number.
    pub version: Constraint,
}

/// Something the sensor must offer, such as `engine_version_semver`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Name of what is required.
    pub name: String,
    /// Integer or version, as written.
    pub version: String,
}

/// Configuration of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeConfig {
    /// Name of the artifact.
    pub name: String,
    /// Version of the artifact.
    pub version: Version,
    /// Architecture in OCI's spelling, such as `amd64`.
    pub architecture: String,
    /// Hash of the record layout that the object writes; it must equal the sensor's.
    pub layout_hash: String,
    /// What the kernel must offer.
    #[serde(default)]
    pub kernel: KernelNeeds,
    /// File name of the object in the layer.
    pub object: String,
    /// Digest of the object file itself.
    pub object_digest: Digest,
    /// Size of the object file in bytes.
    pub object_size: u64,
    /// What the sensor must offer beside the layout.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
}

/// What a probe needs of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelNeeds {
    /// Features by name, such as `btf` or `ringbuf`.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Oldest kernel release, such as `5.8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_release: Option<String>,
}

impl BundleConfig {
    /// Reads a document of at most [`MAX_CONFIG_BYTES`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        check_size(DOCUMENT, bytes, MAX_CONFIG_BYTES)?;
        let config: Self =
            serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(DOCUMENT, &e))?;
        check_name(DOCUMENT, &config.name)?;
        Ok(config)
    }

    /// The document as it is pushed: dependencies and requirements sorted by name, so that the same
    /// content has the same digest.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        let mut sorted = self.clone();
        sorted.dependencies.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.requirements.sort_by(|a, b| a.name.cmp(&b.name));
        serde_json::to_vec(&sorted).map_err(|e| ArtifactError::json(DOCUMENT, &e))
    }
}

impl ProbeConfig {
    /// Reads a document of at most [`MAX_CONFIG_BYTES`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        check_size(PROBE_DOCUMENT, bytes, MAX_CONFIG_BYTES)?;
        let config: Self =
            serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(PROBE_DOCUMENT, &e))?;
        check_name(PROBE_DOCUMENT, &config.name)?;
        let object = &config.object;
        if object.is_empty() || object == "." || object == ".." || object.contains(['/', '\0']) {
            return Err(ArtifactError::Document {
                document: PROBE_DOCUMENT,
                why: format!("`object` is `{object}`, expected a plain file name"),
            });
        }
        Ok(config)
    }

    /// The document as it is pushed.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        serde_json::to_vec(self).map_err(|e| ArtifactError::json(PROBE_DOCUMENT, &e))
    }
}

fn check_name(document: &'static str, name: &str) -> Result<(), ArtifactError> {
    if is_artifact_name(name) {
        return Ok(());
    }
    Err(ArtifactError::Document {
        document,
        why: format!(
            "`name` is `{name}`, expected lower case letters, digits, `_`, `.` and `-`, starting \
             with a letter or digit"
        ),
    })
}

/// Some writers print an absent list as `null`.
pub(crate) fn null_as_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
