//! What a host runs: one numbered set of installed artifacts and its lock file.
//!
//! Owns the JSON form of `lock.json`, the record from which status, history, repair and rollback
//! are answered. Directories and activation are left to `eyas-store`.

use serde::{Deserialize, Serialize};

use crate::error::check_size;
use crate::{ArtifactError, Digest, Kind, Version};

/// Version of the lock file's form; a reader refuses one it does not know.
pub const GENERATION_FORMAT: u32 = 1;
/// Largest lock file that is read, in bytes.
pub const MAX_GENERATION_BYTES: u64 = 64 * 1024 * 1024;

const DOCUMENT: &str = "generation lock file";

/// A set of artifacts that was, or is, active together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Form of this document, [`GENERATION_FORMAT`].
    #[serde(default = "first_format")]
    pub format: u32,
    /// Number, from 1 upwards, never used twice.
    pub number: u64,
    /// Number of the generation it was made from; absent for the first. Going back means going
    /// there, which need not be the next lower number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// When it was made, RFC 3339 in UTC.
    pub created: String,
    /// What is in it, sorted by kind and name.
    pub entries: Vec<Entry>,
}

/// One installed artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name from its configuration.
    pub name: String,
    /// Kind, from its layer.
    pub kind: Kind,
    /// The reference as it was resolved, tag included, so that follow can ask again.
    pub reference: String,
    /// Version from its configuration.
    pub version: Version,
    /// Digest of what the tag pointed at (an index for several platforms); signatures are on it.
    pub root_digest: Digest,
    /// Digest of the manifest for this platform.
    pub manifest_digest: Digest,
    /// Digest of the configuration document.
    pub config_digest: Digest,
    /// Digest of the archive.
    pub layer_digest: Digest,
    /// Who signed it; absent when a policy allowed it unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerRecord>,
    /// Who else counted, where a rule asks for several signers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_signers: Vec<SignerRecord>,
    /// Whose statements met the rule, one for each that it requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<AttestationRecord>,
    /// When it was signed, RFC 3339, if the signature says so in a way that was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// Fingerprint of the rule that accepted it, with all that decides beside it; absent where the
    /// decision has to be made anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<Digest>,
    /// Why it was chosen, in words.
    pub reason: String,
    /// Its files, sorted by path.
    pub files: Vec<InstalledFile>,
}

/// Whose signature made an artifact acceptable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerRecord {
    /// `key`, `keyless` or `unsigned-accepted`.
    pub form: String,
    /// Digest of the public key that verified, for `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fingerprint: Option<String>,
    /// Subject of the certificate, for `keyless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Issuer of the identity, for `keyless`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Verified signing time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
}

/// Whose statements of one type made an artifact acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationRecord {
    /// Type of the statement, such as `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// Everybody who made one that is accepted; each of them suffices.
    pub signers: Vec<SignerRecord>,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledFile {
    /// Path below the artifact's directory, with `/`.
    pub path: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits, such as 0o644 (decimal 420 in JSON).
    pub mode: u32,
}

impl Generation {
    /// An empty generation.
    pub fn new(number: u64, created: impl Into<String>) -> Self {
        Self {
            format: GENERATION_FORMAT,
            number,
            parent: None,
            created: created.into(),
            entries: Vec::new(),
        }
    }

    /// Reads a lock file.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        check_size(DOCUMENT, bytes, MAX_GENERATION_BYTES)?;
        let generation: Self =
            serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(DOCUMENT, &e))?;
        if generation.format != GENERATION_FORMAT {
            return Err(ArtifactError::Document {
                document: DOCUMENT,
                why: format!("`format` is `{}`, expected `{GENERATION_FORMAT}`", generation.format),
            });
        }
        Ok(generation)
    }

    /// The lock file's text: indented, with a final line feed.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|e| ArtifactError::json(DOCUMENT, &e))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Digest of the lock file, by which a sensor and a store agree on what is active.
    pub fn digest(&self) -> Result<Digest, ArtifactError> {
        Ok(Digest::sha256(self.to_vec()?))
    }

    /// The entry of a kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind && entry.name == name)
    }
}

impl Entry {
    /// Directory below the generation that holds the files, such as `rules/demo-rules`.
    pub fn directory(&self) -> String {
        format!("{}/{}", self.kind.directory(), self.name)
    }
}

fn first_format() -> u32 {
    GENERATION_FORMAT
}
