//! Media types and annotation keys that appear in manifests.
//!
//! Owns the spelling; what a type means is said by [`Kind`](crate::Kind) and by the crates that
//! handle signatures.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI empty configuration, the two bytes `{}`.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI image configuration; cosign uses it for its signature images.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker's manifest, same form as OCI's.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list, same form as an OCI index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Configuration of a rules file.
pub const RULESFILE_CONFIG: &str = "application/vnd.cncf.falco.rulesfile.config.v1+json";
/// Layer of a rules file.
pub const RULESFILE_LAYER: &str = "application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz";
/// Configuration of a plugin.
pub const PLUGIN_CONFIG: &str = "application/vnd.cncf.falco.plugin.config.v1+json";
/// Layer of a plugin.
pub const PLUGIN_LAYER: &str = "application/vnd.cncf.falco.plugin.layer.v1+tar.gz";
/// Configuration of an asset.
pub const ASSET_CONFIG: &str = "application/vnd.cncf.falco.asset.config.v1+json";
/// Layer of an asset.
pub const ASSET_LAYER: &str = "application/vnd.cncf.falco.asset.layer.v1+tar.gz";
/// Configuration of a probe.
pub const PROBE_CONFIG: &str = "application/vnd.eyas.probe.config.v1+json";
/// Layer of a probe.
pub const PROBE_LAYER: &str = "application/vnd.eyas.probe.layer.v1+tar.gz";

/// Payload of a classic cosign signature.
pub const COSIGN_SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Signed statement as cosign stores it by tag.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// Sigstore bundle as attached by referrers.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// File name of a layer's archive; readers require it.
pub const ANNOTATION_TITLE: &str = "org.opencontainers.image.title";
/// Where the content was made from.
pub const ANNOTATION_SOURCE: &str = "org.opencontainers.image.source";
/// When the content was made, RFC 3339.
pub const ANNOTATION_CREATED: &str = "org.opencontainers.image.created";
/// Version of the content.
pub const ANNOTATION_VERSION: &str = "org.opencontainers.image.version";
/// Tag of a manifest in an image layout directory.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Signature over a classic cosign payload, base64.
pub const ANNOTATION_COSIGN_SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Whether a media type names a single manifest.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether a media type names a list of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}
