//! The whole way from a registry on loopback into the store, and out of it again.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use eyas_artifact::{Platform, Reference};
use eyas_oci::server::{ServeOptions, serve};
use eyas_oci::{BlobSource, Client, ClientConfig, CredentialSources, OciError, Pinned, Scheme};
use eyas_trust::{Policy, Verified, Verifier};
use tokio::net::TcpListener;

use super::*;
use crate::Stage;
use crate::disk::{Fault, arm, disarm};

const ENOSPC: i32 = 28;

/// Serves a directory until the test ends; gives `host:port`.
async fn registry(directory: PathBuf, read_only: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = ServeOptions { read_only, ..ServeOptions::default() };
    tokio::spawn(async move {
        serve(&directory, listener, options, std::future::pending()).await.unwrap();
    });
    address
}

fn client() -> Client {
    let mut config =
        ClientConfig { credentials: CredentialSources::default(), ..ClientConfig::default() };
    config.default_registry.scheme = Scheme::PlainHttp;
    Client::new(config).unwrap()
}

async fn push(client: &Client, address: &str, sample: &Sample) -> Reference {
    let reference: Reference = format!("{address}/team/{}:1", sample.name).parse().unwrap();
    let source = sample.source();
    for (descriptor, bytes) in [(&source.config, sample.config()), (&source.layer, sample.layer())]
    {
        let source = BlobSource::Bytes(Bytes::from(bytes));
        client.push_blob(&reference, descriptor, &source, None).await.unwrap();
    }
    client.push_manifest(&reference, &sample.manifest(), media::OCI_MANIFEST).await.unwrap();
    reference
}

async fn verified_pin(client: &Client, reference: &Reference) -> Verified<Pinned> {
    let pinned = client.pin(reference, &Platform::host()).await.unwrap();
    let verifier = Verifier::new(Policy::allow_unsigned()).unwrap();
    verifier.verify(client, pinned).await.unwrap()
}

async fn fetch(
    client: &Client,
    verified: &Verified<Pinned>,
    stage: &mut Stage,
) -> Result<(), OciError> {
    let pinned = verified.get();
    let config = client.blob_bytes(pinned.reference(), pinned.config(), 10_000).await?;
    stage.put_config(&config).unwrap();
    client.blob(pinned.reference(), pinned.layer(), stage).await
}

async fn pull(client: &Client, reference: &Reference, store: &Store) -> Generation {
    let verified = verified_pin(client, reference).await;
    let locked = store.lock().unwrap();
    let mut stage = locked.stage(&verified).unwrap();
    fetch(client, &verified, &mut stage).await.unwrap();
    let staged = stage.extract(&ExtractLimits::default(), "requested").unwrap();
    let set = locked.compose(vec![staged], &[]).unwrap().validate(&accept).unwrap();
    locked.activate(set).unwrap()
}

fn served(directory: &Path) -> PathBuf {
    directory.join("registry")
}

#[tokio::test]
async fn from_a_registry_and_from_the_store_itself() {
    let (directory, store) = scratch();
    let client = client();
    let address = registry(served(directory.path()), false).await;
    let sample = Sample::rules("demo", "1.0.0", "text");
    let reference = push(&client, &address, &sample).await;
    let generation = pull(&client, &reference, &store).await;
    let entry = &generation.entries[0];
    assert_eq!(entry.reference, reference.to_string());
    assert_eq!(entry.signer.as_ref().unwrap().form, "unsigned-accepted");
    assert_eq!(visible(&store)[0].1, "text");

    // The state directory is an image layout: another host can pull from it.
    let mirror = registry(store.directory().to_owned(), true).await;
    let again: Reference = format!("{mirror}/team/demo:1").parse().unwrap();
    let (_other_directory, other) = scratch();
    let copy = pull(&client, &again, &other).await;
    assert_eq!(copy.entries[0].manifest_digest, entry.manifest_digest);
    assert_eq!(copy.entries[0].files, entry.files);
}

#[tokio::test]
async fn a_full_disk_during_the_transfer_comes_back_as_such() {
    let (directory, store) = scratch();
    let client = client();
    let address = registry(served(directory.path()), false).await;
    let reference = push(&client, &address, &Sample::rules("demo", "1.0.0", "text")).await;
    let verified = verified_pin(&client, &reference).await;
    let locked = store.lock().unwrap();
    let mut stage = locked.stage(&verified).unwrap();
    let pinned = verified.get();
    arm(Fault::Errno(ENOSPC), 1);
    let result = client.blob(pinned.reference(), pinned.layer(), &mut stage).await;
    disarm();
    let OciError::Sink { source, .. } = result.unwrap_err() else {
        panic!("expected the sink's error")
    };
    let error = StoreError::from_sink(source).unwrap();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    drop(stage);
    assert_eq!(litter(&store), [""; 0]);
    assert_eq!(store.current().unwrap(), None);
}

#[test]
fn what_a_process_has_received_is_continued_by_the_next() {
    let (_directory, store) = scratch();
    let sample = Sample::rules("a", "1.0.0", &"- list: x\n".repeat(300));
    let layer = sample.layer();
    let (first, rest) = layer.split_at(layer.len() / 2);
    let part =
        store.directory().join(format!("blobs/sha256/.part-{}", Digest::sha256(&layer).hex()));
    {
        let mut stage = store.lock().unwrap().begin(sample.source(), None);
        stage.write(first).unwrap();
    }
    assert_eq!(std::fs::read(&part).unwrap(), first);
    // Another process, later.
    let locked = store.lock().unwrap();
    let mut stage = locked.begin(sample.source(), None);
    let mut hasher = eyas_artifact::Hasher::new();
    assert_eq!(stage.resume(&mut hasher).unwrap(), first.len() as u64);
    assert_eq!(hasher.finish(), Digest::sha256(first));
    stage.write(rest).unwrap();
    stage.put_config(&sample.config()).unwrap();
    stage.extract(&ExtractLimits::default(), "requested").unwrap();
    assert!(!part.exists());
    assert!(store.blob_path(&Digest::sha256(&layer), layer.len() as u64).is_some());
}

#[test]
fn a_part_that_is_wrong_is_not_kept_and_a_stale_one_is_collected() {
    let (_directory, store) = scratch();
    let sample = Sample::rules("a", "1.0.0", "- list: x\n");
    let layer = sample.layer();
    let part =
        store.directory().join(format!("blobs/sha256/.part-{}", Digest::sha256(&layer).hex()));
    let locked = store.lock().unwrap();
    std::fs::write(&part, vec![0; layer.len()]).unwrap();
    let mut stage = locked.begin(sample.source(), None);
    assert_eq!(
        stage.resume(&mut eyas_artifact::Hasher::new()).unwrap(),
        layer.len() as u64,
        "whole, as far as its size says"
    );
    stage.put_config(&sample.config()).unwrap();
    let error = stage.extract(&ExtractLimits::default(), "requested").unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }), "{error:?}");
    assert!(!part.exists());
    // One that is longer than what it should become is begun anew.
    std::fs::write(&part, vec![0; layer.len() + 1]).unwrap();
    let mut stage = locked.begin(sample.source(), None);
    assert_eq!(stage.resume(&mut eyas_artifact::Hasher::new()).unwrap(), 0);
    drop(stage);
    std::fs::write(&part, "stale").unwrap();
    // The part, and the configuration of what was never installed.
    assert_eq!(locked.gc(0).unwrap().blobs, 2);
    assert!(!part.exists());
}
