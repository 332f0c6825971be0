//! OCI documents: descriptors, image manifests and image indexes.
//!
//! Owns the JSON forms, the size limit and the refusal of documents that could be read as two
//! different things. Unknown fields are ignored: content is identified by the digest of the bytes
//! as received, a document is never written back from these types to the same digest.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::config::null_as_empty;
use crate::error::check_size;
use crate::{ArtifactError, Digest, Kind, Platform, media};

/// Largest content that is written into a descriptor, in bytes; signatures have about 6 KiB.
pub const MAX_EMBEDDED_BYTES: u64 = 32 * 1024;
/// Largest manifest or index that is read, in bytes; registries have the same limit.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

const MANIFEST: &str = "image manifest";
const INDEX: &str = "image index";

/// Points at content by digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Notes by key.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Platform the content is for, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of the artifact the content describes, in an index of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The content itself in base64, where it is small and came along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Descriptor {
    /// A descriptor without annotations or platform.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            data: None,
        }
    }

    /// Describes bytes that are in memory.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// The same with the content inside, so that who reads the descriptor need not ask for it, unless that
    /// has more than [`MAX_EMBEDDED_BYTES`].
    #[must_use]
    pub fn with_data(mut self, bytes: &[u8]) -> Self {
        self.data = (bytes.len() as u64 <= MAX_EMBEDDED_BYTES).then(|| STANDARD.encode(bytes));
        self
    }

    /// The content, where it came along and is what size and digest say. Anything else is as good as
    /// absent: the content is then fetched, and checked in the same way.
    pub fn embedded(&self) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(self.data.as_ref()?).ok()?;
        let whole = bytes.len() as u64 == self.size && Digest::sha256(&bytes) == self.digest;
        whole.then_some(bytes)
    }

    /// The same with an annotation added.
    #[must_use]
    pub fn with_annotation(mut self, key: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// The same for a platform.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }
}

/// An OCI image manifest: one configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Repeated in the document so that it cannot be taken for another; older writers omit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the artifact is, when the configuration's media type does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration document.
    pub config: Descriptor,
    /// The content.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about, such as what a signature signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes by key.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// A manifest to be pushed.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest of at most [`MAX_MANIFEST_BYTES`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let shape = Shape::read(MANIFEST, bytes)?;
        if shape.manifests.is_some() {
            return Err(ambiguous(MANIFEST, "manifests"));
        }
        shape.check(MANIFEST, media::is_manifest, media::OCI_MANIFEST)?;
        serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(MANIFEST, &e))
    }

    /// The bytes to push.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        serde_json::to_vec(self).map_err(|e| ArtifactError::json(MANIFEST, &e))
    }

    /// The kind of artifact, by the media type of the first layer.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_layer_media_type(&self.layers.first()?.media_type)
    }
}

/// An OCI image index: manifests, each for a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// Repeated in the document so that it cannot be taken for another; older writers omit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the listed artifacts are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The listed manifests.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Notes by key.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

impl ImageIndex {
    /// An index to be pushed.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media::OCI_INDEX.to_owned()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index of at most [`MAX_MANIFEST_BYTES`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let shape = Shape::read(INDEX, bytes)?;
        if shape.layers.is_some() {
            return Err(ambiguous(INDEX, "layers"));
        }
        if shape.config.is_some() {
            return Err(ambiguous(INDEX, "config"));
        }
        shape.check(INDEX, media::is_index, media::OCI_INDEX)?;
        serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(INDEX, &e))
    }

    /// The bytes to push.
    pub fn to_vec(&self) -> Result<Vec<u8>, ArtifactError> {
        serde_json::to_vec(self).map_err(|e| ArtifactError::json(INDEX, &e))
    }

    /// The first manifest that runs on `platform`; entries without a platform are passed over.
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        self.manifests.iter().find(|entry| {
            media::is_manifest(&entry.media_type)
                && entry.platform.as_ref().is_some_and(|offered| platform.accepts(offered))
        })
    }

    /// Platforms on offer, for the message when none fits.
    pub fn platforms(&self) -> Vec<&Platform> {
        self.manifests.iter().filter_map(|entry| entry.platform.as_ref()).collect()
    }
}

/// Either of the two documents that a tag can point at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one per document that is read, taken apart at once")]
pub enum Document {
    /// A single manifest.
    Manifest(Manifest),
    /// One manifest per platform.
    Index(ImageIndex),
}

impl Document {
    /// Reads a document as what `media_type` (of the response or of a descriptor) says it is; the
    /// document must agree with it.
    pub fn from_slice(media_type: &str, bytes: &[u8]) -> Result<Self, ArtifactError> {
        let document = if media::is_index(media_type) {
            Self::Index(ImageIndex::from_slice(bytes)?)
        } else if media::is_manifest(media_type) {
            Self::Manifest(Manifest::from_slice(bytes)?)
        } else {
            return Err(ArtifactError::Document {
                document: MANIFEST,
                why: format!("media type `{media_type}`, expected `{}`", media::OCI_MANIFEST),
            });
        };
        Ok(document)
    }
}

/// The fields by which a document says which of the two it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

impl Shape {
    fn read(document: &'static str, bytes: &[u8]) -> Result<Self, ArtifactError> {
        check_size(document, bytes, MAX_MANIFEST_BYTES)?;
        serde_json::from_slice(bytes).map_err(|e| ArtifactError::json(document, &e))
    }

    fn check(
        &self,
        document: &'static str,
        fits: fn(&str) -> bool,
        expected: &str,
    ) -> Result<(), ArtifactError> {
        if self.schema_version != 2 {
            let why = format!("`schemaVersion` is `{}`, expected `2`", self.schema_version);
            return Err(ArtifactError::Document { document, why });
        }
        match &self.media_type {
            Some(found) if !fits(found) => Err(ArtifactError::Document {
                document,
                why: format!("`mediaType` is `{found}`, expected `{expected}`"),
            }),
            _ => Ok(()),
        }
    }
}

/// A document with the fields of both kinds means one thing to us and another to the next reader.
fn ambiguous(document: &'static str, field: &str) -> ArtifactError {
    ArtifactError::Document { document, why: format!("it has the field `{field}`") }
}
