//! Pushes any bytes as any manifest to a registry on loopback, as somebody would who has write access and no scruples.

use std::collections::BTreeMap;

use eyas_artifact::{Digest, media};
use serde_json::{Value, json};

use super::forge::Forged;
use super::http::send;

/// A repository that is written to directly.
pub struct Pusher {
    host: String,
    repository: String,
}

impl Pusher {
    /// Writes to `host/repository`.
    pub fn new(host: &str, repository: &str) -> Self {
        Self { host: host.to_owned(), repository: repository.to_owned() }
    }

    /// Uploads a blob; gives its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::sha256(bytes);
        let begin = format!("/v2/{}/blobs/uploads/", self.repository);
        let (status, location) = send(&self.host, "POST", &begin, "", b"");
        assert_eq!(status, 202, "the upload of a blob begins");
        let location = location.expect("the place of the upload");
        let path = location.strip_prefix(&format!("http://{}", self.host)).unwrap_or(&location);
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}digest={digest}");
        let (status, _) = send(&self.host, "PUT", &path, "application/octet-stream", bytes);
        assert_eq!(status, 201, "the blob is taken");
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
    }

    /// Puts a manifest under a tag or its digest; gives the digest.
    pub fn manifest(&self, reference: Option<&str>, manifest: &Value) -> Digest {
        let bytes = manifest.to_string().into_bytes();
        self.manifest_bytes(reference, media::OCI_MANIFEST, &bytes)
    }

    /// The same for bytes that were read elsewhere.
    pub fn manifest_bytes(
        &self,
        reference: Option<&str>,
        media_type: &str,
        bytes: &[u8],
    ) -> Digest {
        let digest = Digest::sha256(bytes);
        let place = reference.map_or_else(|| digest.to_string(), str::to_owned);
        let path = format!("/v2/{}/manifests/{place}", self.repository);
        let (status, _) = send(&self.host, "PUT", &path, media_type, bytes);
        assert_eq!(status, 201, "the manifest is taken");
        digest
    }

    /// Attaches a signature to a digest, in the form that it has.
    pub fn attach(&self, subject: &Value, signature: &Forged) -> Digest {
        match signature {
            Forged::Bundle(bytes) => self.bundle(subject, bytes),
            Forged::Classic { payload, annotations } => {
                self.tagged(subject, "sig", media::COSIGN_SIMPLE_SIGNING, payload, annotations)
            }
            Forged::Statement { envelope, annotations } => {
                self.tagged(subject, "att", media::DSSE_ENVELOPE, envelope, annotations)
            }
        }
    }

    /// Stores one layer under the tag that spells the subject's digest.
    fn tagged(
        &self,
        subject: &Value,
        ending: &str,
        media_type: &str,
        bytes: &[u8],
        annotations: &BTreeMap<String, String>,
    ) -> Digest {
        let digest = subject["digest"].as_str().expect("a digest");
        let tag = format!("{}.{ending}", digest.replace(':', "-"));
        let mut layer = self.blob(media_type, bytes);
        layer["annotations"] = json!(annotations);
        let config = self.blob(media::OCI_CONFIG, b"{}");
        self.manifest(Some(&tag), &document(&config, &layer))
    }

    /// Attaches several bundles in one document.
    pub fn attach_together(&self, subject: &Value, signatures: &[Forged]) -> Digest {
        let layer = |signature: &Forged| match signature {
            Forged::Bundle(bytes) => self.blob(media::SIGSTORE_BUNDLE, bytes),
            Forged::Classic { payload, .. } => self.blob(media::COSIGN_SIMPLE_SIGNING, payload),
            Forged::Statement { envelope, .. } => self.blob(media::DSSE_ENVELOPE, envelope),
        };
        let layers: Vec<Value> = signatures.iter().map(layer).collect();
        let mut manifest = document(&self.blob(media::OCI_EMPTY, b"{}"), &Value::Null);
        manifest["layers"] = layers.into();
        self.refer(manifest, subject)
    }

    fn refer(&self, mut manifest: Value, subject: &Value) -> Digest {
        manifest["artifactType"] = media::SIGSTORE_BUNDLE.into();
        manifest["subject"] = json!({
            "mediaType": subject["mediaType"],
            "digest": subject["digest"],
            "size": subject["size"],
        });
        self.manifest(None, &manifest)
    }

    /// Attaches any bytes as a bundle.
    pub fn bundle(&self, subject: &Value, bytes: &[u8]) -> Digest {
        let layer = self.blob(media::SIGSTORE_BUNDLE, bytes);
        let config = self.blob(media::OCI_EMPTY, b"{}");
        self.refer(document(&config, &layer), subject)
    }
}

fn document(config: &Value, layer: &Value) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": config,
        "layers": [layer],
    })
}
