//! Push: files in, a signed artifact in a registry out, listed in an index when asked.
//!
//! Order matters: content goes up by digest, is signed, and only then do tags move to it, so that
//! nobody who follows a tag ever sees the unsigned one.

use std::path::PathBuf;

use eyas_artifact::{
    Alternative, BundleConfig, Constraint, Dependency, Descriptor, Digest, ImageIndex, Kind,
    Manifest, Platform, ProbeConfig, Reference, Requirement, Version, media,
};
use eyas_oci::{BlobSource, Client};
use eyas_trust::Signer;

use crate::archive::Archive;
use crate::sign::{Form, sign};
use crate::{OpsError, requires};

/// What is to be pushed.
pub struct PushRequest {
    /// Where to; its tag is one of the tags.
    pub reference: Reference,
    /// What it is.
    pub kind: Kind,
    /// Name of the artifact; the last part of the path when absent.
    pub name: Option<String>,
    /// Its version.
    pub version: Version,
    /// What it is made of.
    pub content: Content,
    /// Further tags.
    pub tags: Vec<String>,
    /// Whether the version, `MAJOR` and `MAJOR.MINOR` are tags too.
    pub floating_tags: bool,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// What it requires.
    pub requirements: Vec<Requirement>,
    /// Address of its sources.
    pub source: Option<String>,
    /// Who signs, and in which forms.
    pub signing: Option<(Signer, Vec<Form>)>,
}

/// What an artifact is made of.
pub enum Content {
    /// Files, a directory, or an archive.
    Files(Vec<PathBuf>),
    /// One file per platform.
    PerPlatform(Vec<(Platform, PathBuf)>),
    /// A probe object with its description.
    Probe {
        /// The description; name and version are those of the request.
        config: Box<ProbeConfig>,
        /// The object file.
        object: Vec<u8>,
    },
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Name of the artifact.
    pub name: String,
    /// Repository and digest.
    pub reference: Reference,
    /// Digest of what the tags point at.
    pub digest: Digest,
    /// The tags.
    pub tags: Vec<String>,
    /// Bytes of all layers.
    pub size: u64,
    /// Fingerprint of the key it was signed with, or identity of the signer.
    pub signed_by: Option<String>,
}

/// What a push would bring, to the digest; nothing is sent or signed.
pub fn plan_push(request: &PushRequest) -> Result<Pushed, OpsError> {
    let (name, tags, built) = prepare(request)?;
    let reference = request.reference.with_digest(built.root.digest());
    Ok(pushed(name, tags, &built, reference, None))
}

/// Pushes an artifact.
pub async fn push(client: &Client, request: &PushRequest) -> Result<Pushed, OpsError> {
    let (name, tags, built) = prepare(request)?;
    let reference = upload(client, request, &built).await?;
    let mut signed_by = None;
    if let Some((signer, forms)) = &request.signing {
        for form in forms {
            signed_by = Some(sign(client, &reference, signer, *form).await?);
        }
    }
    for tag in &tags {
        let tagged = request.reference.with_tag(tag)?;
        client.push_manifest(&tagged, &built.root.bytes, built.root.media_type).await?;
    }
    Ok(pushed(name, tags, &built, reference, signed_by))
}

/// Name, tags and all that goes up.
fn prepare(request: &PushRequest) -> Result<(String, Vec<String>, Built), OpsError> {
    let name = request.name.clone().unwrap_or_else(|| request.reference.base_name().to_owned());
    if !eyas_artifact::is_artifact_name(&name) {
        return Err(OpsError::usage(
            format!("`{name}` cannot be the name of an artifact"),
            Some("use lower case letters, digits, `_`, `.` and `-`; `--name` sets another one"),
        ));
    }
    let tags = tags(request)?;
    let built = build(&name, request)?;
    Ok((name, tags, built))
}

fn pushed(
    name: String,
    tags: Vec<String>,
    built: &Built,
    reference: Reference,
    signed_by: Option<String>,
) -> Pushed {
    let size = built.parts.iter().map(|part| part.archive.size).sum();
    Pushed { name, digest: built.root.digest(), reference, tags, size, signed_by }
}

/// A manifest or index to be uploaded.
struct Document {
    bytes: Vec<u8>,
    media_type: &'static str,
}

impl Document {
    fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type, &self.bytes)
    }
}

/// One manifest with its blobs.
struct Part {
    archive: Archive,
    layer: Descriptor,
    config: Descriptor,
    config_bytes: Vec<u8>,
    manifest: Document,
}

/// Everything that goes up.
struct Built {
    parts: Vec<Part>,
    root: Document,
}

fn build(name: &str, request: &PushRequest) -> Result<Built, OpsError> {
    let (parts, platforms) = match &request.content {
        Content::Files(paths) => {
            let archive = match paths.as_slice() {
                [only] => Archive::of_path(only)?,
                several => Archive::of_paths(&format!("{name}.tar.gz"), several)?,
            };
            let config = bundle_config(name, request, paths)?.to_vec()?;
            let parts = vec![part(request, archive, config)?];
            if !request.kind.is_per_platform() {
                let root = Document {
                    bytes: parts[0].manifest.bytes.clone(),
                    media_type: parts[0].manifest.media_type,
                };
                return Ok(Built { parts, root });
            }
            (parts, vec![Platform::host()])
        }
        Content::PerPlatform(files) => {
            let config = bundle_config(name, request, &[])?.to_vec()?;
            let parts: Result<Vec<Part>, OpsError> = files
                .iter()
                .map(|(_, path)| part(request, Archive::of_path(path)?, config.clone()))
                .collect();
            (parts?, files.iter().map(|(platform, _)| platform.clone()).collect())
        }
        Content::Probe { config, object } => {
            let config = ProbeConfig {
                name: name.to_owned(),
                version: request.version.clone(),
                ..config.as_ref().clone()
            };
            let platform = Platform {
                os: "linux".to_owned(),
                architecture: config.architecture.clone(),
                variant: None,
            };
            let title = format!("{name}-{}.tar.gz", config.architecture);
            let archive = Archive::of_bytes(&title, &config.object, object)?;
            (vec![part(request, archive, config.to_vec()?)?], vec![platform])
        }
    };
    let listed = parts
        .iter()
        .zip(platforms)
        .map(|(part, platform)| part.manifest.descriptor().with_platform(platform));
    let mut index = ImageIndex::new(listed.collect());
    annotate(&mut index.annotations, request);
    let root = Document { bytes: index.to_vec()?, media_type: media::OCI_INDEX };
    Ok(Built { parts, root })
}

fn part(request: &PushRequest, archive: Archive, config: Vec<u8>) -> Result<Part, OpsError> {
    let layer = Descriptor::new(request.kind.layer_media_type(), archive.digest, archive.size)
        .with_annotation(media::ANNOTATION_TITLE, &archive.title);
    // Some registries reject annotations on the configuration's descriptor.
    let described = Descriptor::of(request.kind.config_media_type(), &config);
    let mut manifest = Manifest::new(described.clone(), vec![layer.clone()]);
    annotate(&mut manifest.annotations, request);
    let manifest = Document { bytes: manifest.to_vec()?, media_type: media::OCI_MANIFEST };
    Ok(Part { archive, layer, config: described, config_bytes: config, manifest })
}

fn annotate(annotations: &mut std::collections::BTreeMap<String, String>, request: &PushRequest) {
    annotations.insert(media::ANNOTATION_VERSION.to_owned(), request.version.to_string());
    if let Some(source) = &request.source {
        annotations.insert(media::ANNOTATION_SOURCE.to_owned(), source.clone());
    }
}

fn bundle_config(
    name: &str,
    request: &PushRequest,
    paths: &[PathBuf],
) -> Result<BundleConfig, OpsError> {
    let mut config = BundleConfig {
        name: name.to_owned(),
        version: request.version.clone(),
        dependencies: request.dependencies.clone(),
        requirements: request.requirements.clone(),
    };
    if request.kind == Kind::Rulesfile {
        requires::derive(paths, &mut config)?;
    }
    Ok(config)
}

async fn upload(
    client: &Client,
    request: &PushRequest,
    built: &Built,
) -> Result<Reference, OpsError> {
    let repository = &request.reference;
    for part in &built.parts {
        let config = BlobSource::Bytes(part.config_bytes.clone().into());
        client.push_blob(repository, &part.config, &config, None).await?;
        let layer = BlobSource::File(part.archive.path().to_owned());
        client.push_blob(repository, &part.layer, &layer, None).await?;
        let by_digest = repository.with_digest(part.manifest.digest());
        client.push_manifest(&by_digest, &part.manifest.bytes, part.manifest.media_type).await?;
    }
    let root = repository.with_digest(built.root.digest());
    client.push_manifest(&root, &built.root.bytes, built.root.media_type).await?;
    Ok(root)
}

/// The reference's own tag first, else the first of the others, else `latest`; each once.
fn tags(request: &PushRequest) -> Result<Vec<String>, OpsError> {
    if request.reference.digest().is_some() {
        return Err(OpsError::usage(
            format!("`{}` has a digest, and what is pushed gives its own", request.reference),
            Some("give a tag, or nothing"),
        ));
    }
    let mut tags: Vec<String> = request.reference.tag().map(str::to_owned).into_iter().collect();
    tags.extend(request.tags.iter().cloned());
    if request.floating_tags {
        tags.extend(request.version.floating_tags());
    }
    if tags.is_empty() {
        tags.push(eyas_artifact::DEFAULT_TAG.to_owned());
    }
    for tag in &tags {
        request.reference.with_tag(tag)?;
    }
    let mut once = Vec::new();
    for tag in tags {
        if !once.contains(&tag) {
            once.push(tag);
        }
    }
    Ok(once)
}

/// Reads `name:version[|alternative:version…]`.
pub fn parse_dependency(text: &str) -> Result<Dependency, OpsError> {
    let wrong = || {
        OpsError::usage(
            format!("`{text}` is not a dependency"),
            Some("write `name:version`, or `name:version|alternative:version`"),
        )
    };
    let one = |part: &str| -> Result<(String, Constraint), OpsError> {
        let (name, version) = part.trim().split_once(':').ok_or_else(wrong)?;
        if !eyas_artifact::is_artifact_name(name) {
            return Err(wrong());
        }
        Ok((name.to_owned(), version.parse().map_err(|_| wrong())?))
    };
    let mut parts = text.split('|');
    let (name, version) = one(parts.next().unwrap_or_default())?;
    let alternatives: Result<Vec<Alternative>, OpsError> =
        parts.map(|part| one(part).map(|(name, version)| Alternative { name, version })).collect();
    Ok(Dependency { name, version, alternatives: alternatives? })
}

/// Reads `name:version`.
pub fn parse_requirement(text: &str) -> Result<Requirement, OpsError> {
    match text.split_once(':') {
        Some((name, version)) if !name.is_empty() && version.parse::<Version>().is_ok() => {
            Ok(Requirement { name: name.to_owned(), version: version.to_owned() })
        }
        _ => Err(OpsError::usage(
            format!("`{text}` is not a requirement"),
            Some("write `name:version`, such as `engine_version_semver:0.31.0`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(reference: &str, content: Content) -> PushRequest {
        PushRequest {
            reference: reference.parse().expect("a reference"),
            kind: Kind::Rulesfile,
            name: None,
            version: Version::new(1, 2, 3),
            content,
            tags: Vec::new(),
            floating_tags: false,
            dependencies: Vec::new(),
            requirements: Vec::new(),
            source: None,
            signing: None,
        }
    }

    fn rules(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("demo.yaml");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    #[test]
    fn each_tag_is_pushed_once_and_latest_when_there_is_none() {
        let mut one = request("r.example.org/a/b:1", Content::Files(Vec::new()));
        one.tags = vec!["stable".into(), "1".into()];
        one.floating_tags = true;
        assert_eq!(tags(&one).expect("valid"), ["1", "stable", "1.2.3", "1.2"]);
        let bare = request("r.example.org/a/b", Content::Files(Vec::new()));
        assert_eq!(tags(&bare).expect("valid"), ["latest"]);
        let mut bad = request("r.example.org/a/b", Content::Files(Vec::new()));
        bad.tags = vec!["no spaces".into()];
        assert!(tags(&bad).is_err());
    }

    #[test]
    fn rules_are_one_manifest_and_plugins_an_index() {
        let (_dir, path) = rules("- rule: a\n");
        let one = build("demo", &request("r.example.org/a/b", Content::Files(vec![path.clone()])));
        assert_eq!(one.expect("built").root.media_type, media::OCI_MANIFEST);
        let platforms = ["linux/amd64", "linux/arm64"]
            .map(|text| (text.parse::<Platform>().expect("a platform"), path.clone()));
        let mut plugin = request("r.example.org/a/b", Content::PerPlatform(platforms.to_vec()));
        plugin.kind = Kind::Plugin;
        let built = build("demo", &plugin).expect("built");
        assert_eq!(built.root.media_type, media::OCI_INDEX);
        let index = ImageIndex::from_slice(&built.root.bytes).expect("an index");
        assert_eq!(index.manifests.len(), 2);
        assert!(index.select(&"linux/arm64".parse().expect("a platform")).is_some());
    }

    #[test]
    fn a_manifest_names_its_archive_and_leaves_the_configuration_bare() {
        let (_dir, path) = rules("- rule: a\n");
        let built = build("demo", &request("r.example.org/a/b", Content::Files(vec![path])));
        let manifest = Manifest::from_slice(&built.expect("built").root.bytes).expect("a manifest");
        assert_eq!(manifest.kind(), Some(Kind::Rulesfile));
        assert!(manifest.config.annotations.is_empty());
        assert_eq!(manifest.layers[0].annotations[media::ANNOTATION_TITLE], "demo.yaml.tar.gz");
    }

    #[test]
    fn dependencies_and_requirements_are_read_as_written() {
        let found = parse_dependency("k8saudit:0.5.0|k8saudit-eks:0.2.0").expect("valid");
        assert_eq!(
            (found.name.as_str(), found.version.to_string().as_str()),
            ("k8saudit", "0.5.0")
        );
        assert_eq!(found.alternatives[0].name, "k8saudit-eks");
        for wrong in ["", "name", "name:", "name:x", "Na me:1", "a:1|b"] {
            assert!(parse_dependency(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_requirement("engine_version:17").expect("valid").version, "17");
        for wrong in ["", "engine", ":1", "engine:"] {
            assert!(parse_requirement(wrong).is_err(), "{wrong}");
        }
    }
}
