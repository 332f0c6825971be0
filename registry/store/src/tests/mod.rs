//! The store as a whole: activation, rollback, damage, faults and crashes.

mod crash;
mod faults;
mod flat;
mod intake;
mod lifecycle;
mod locking;
mod readers;

use std::io::Write;
use std::path::Path;

use eyas_artifact::{Descriptor, Digest, Generation, Kind, SignerRecord, media};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{
    CandidateSet, Composed, ExtractLimits, LockedStore, Source, Staged, Store, StoreError,
    Validated, ValidationError,
};

/// An artifact as a publisher would make it.
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

impl Sample {
    pub(crate) fn rules(name: &'static str, version: &'static str, text: &str) -> Self {
        let files = vec![("rules.yaml", text.as_bytes().to_vec())];
        Self { kind: Kind::Rulesfile, name, version, files }
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let (name, version) = (self.name, self.version);
        serde_json::to_vec(&serde_json::json!({ "name": name, "version": version })).unwrap()
    }

    pub(crate) fn layer(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o4755);
            builder.append_data(&mut header, path, content.as_slice()).unwrap();
        }
        let mut encoder = builder.into_inner().unwrap();
        encoder.flush().unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        let config = Descriptor::of(self.kind.config_media_type(), &self.config());
        let layer = Descriptor::of(self.kind.layer_media_type(), &self.layer());
        eyas_artifact::Manifest::new(config, vec![layer]).to_vec().unwrap()
    }

    pub(crate) fn source(&self) -> Source {
        let manifest = Descriptor::of(media::OCI_MANIFEST, &self.manifest());
        Source {
            reference: format!("registry.example.org/team/{}:1", self.name),
            kind: self.kind,
            root_digest: manifest.digest,
            manifest_digest: manifest.digest,
            config: Descriptor::of(self.kind.config_media_type(), &self.config()),
            layer: Descriptor::of(self.kind.layer_media_type(), &self.layer()),
            signers: vec![SignerRecord { form: "key".to_owned(), ..SignerRecord::default() }],
            attestations: Vec::new(),
            signed_at: Some("2026-01-01T00:00:00Z".to_owned()),
            accepted_by: None,
        }
    }

    pub(crate) fn stage(&self, store: &LockedStore) -> Result<Staged, StoreError> {
        let mut stage = store.begin(self.source(), None);
        stage.put_config(&self.config())?;
        stage.put_manifest(&Digest::sha256(self.manifest()), &self.manifest())?;
        if !stage.has_layer() {
            for chunk in self.layer().chunks(1000) {
                stage.write(chunk)?;
            }
        }
        stage.extract(&ExtractLimits::default(), "requested")
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is a judge, and judges may refuse")]
pub(crate) fn accept(_: &CandidateSet<'_>) -> Result<(), ValidationError> {
    Ok(())
}

pub(crate) fn validated(
    store: &LockedStore,
    samples: &[Sample],
) -> Result<Validated<Composed>, StoreError> {
    let staged = samples.iter().map(|sample| sample.stage(store)).collect::<Result<_, _>>()?;
    store.compose(staged, &[])?.validate(&accept)
}

pub(crate) fn install(store: &Store, samples: &[Sample]) -> Result<Generation, StoreError> {
    let locked = store.lock()?;
    locked.activate(validated(&locked, samples)?)
}

/// What a reader sees through `current`: each file with its content.
pub(crate) fn visible(store: &Store) -> Vec<(String, String)> {
    let mut files = Vec::new();
    if store.current().unwrap().is_some() {
        collect(&store.current_link(), &store.current_link(), &mut files);
    }
    files.sort();
    files
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.file_name().is_none_or(|name| name != "lock.json" && name != "refused.json")
        {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Names in the state directory that only a crash can leave.
pub(crate) fn litter(store: &Store) -> Vec<String> {
    let root = store.directory();
    [root.to_owned(), root.join("blobs/sha256"), root.join("generations")]
        .iter()
        .filter_map(|directory| std::fs::read_dir(directory).ok())
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.') || name == "pending")
        .collect()
}

/// A store in a temporary directory.
pub(crate) fn scratch() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("state")).unwrap();
    (directory, store)
}
