//! Image layout directories in the place of a registry, and mirrors.

use eyas_artifact::{Descriptor, Digest, Manifest, Platform, Reference, media};
use eyas_oci::{
    BlobSource, Client, ClientConfig, Layout, Location, Mirror, Notice, OciError, Pushed,
    RegistryConfig, server::ServeOptions,
};

use crate::stage::{Embedded, client, config, notices, patient, publish, reference};

const HOST: &str = "rules.example.org";

/// A client for which a directory stands in the place of the registry `HOST`.
fn over(directory: &std::path::Path) -> Client {
    let mut config = config(&[]);
    let layout = Some(directory.to_owned());
    config.registries.insert(HOST.into(), RegistryConfig { layout, ..Default::default() });
    Client::new(config).unwrap()
}

fn mirrored(location: Location, prefix: &str, replacement: &str) -> (Client, super::stage::Heard) {
    let (listener, heard) = notices();
    let mut config = ClientConfig { listener, ..config(&[]) };
    let mirror = Mirror { prefix: prefix.into(), replacement: replacement.into(), location };
    if let Location::Registry(host) = &mirror.location {
        config = ClientConfig { listener: config.listener, ..patient(&[host]) };
    }
    let settings = RegistryConfig { mirrors: vec![mirror], ..Default::default() };
    config.registries.insert(HOST.into(), settings);
    (Client::new(config).unwrap(), heard)
}

#[tokio::test]
async fn a_directory_does_all_that_a_registry_does() {
    let directory = tempfile::tempdir().unwrap();
    Layout::create(directory.path()).unwrap();
    let client = over(directory.path());
    let at = reference(HOST, "team/rules:1");
    let missing = client.resolve(&at).await.unwrap_err();
    assert!(matches!(missing, OciError::NotFound { .. }), "{missing}");
    publish(&client, &at, b"layer").await;
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    assert_eq!(client.resolve(&at).await.unwrap().digest, *pinned.root_digest());
    assert_eq!(client.blob_bytes(&at, pinned.layer(), 100).await.unwrap(), b"layer");
    let source = BlobSource::Bytes("layer".into());
    let again = client.push_blob(&at, pinned.layer(), &source, None).await.unwrap();
    assert_eq!(again, Pushed::Existed);
    assert_eq!(client.tags(&at).await.unwrap(), ["1"]);
    assert!(client.tags(&reference(HOST, "other")).await.is_err());

    let empty = Descriptor::of(media::OCI_EMPTY, b"{}");
    client.push_blob(&at, &empty, &BlobSource::Bytes("{}".into()), None).await.unwrap();
    let mut about = Manifest::new(empty.clone(), vec![empty]);
    about.artifact_type = Some("application/example".into());
    about.subject = Some(Descriptor::new(media::OCI_MANIFEST, *pinned.root_digest(), 1));
    let entry = client.push_referrer(&at, &about.to_vec().unwrap()).await.unwrap();
    let found = client.referrers(&at, pinned.root_digest(), None).await.unwrap();
    assert_eq!(found, [entry]);

    // The same directory, served.
    let registry = Embedded::over(directory, ServeOptions::default()).await;
    let there = reference(&registry.host, "team/rules:1");
    let served = super::stage::client(&registry.host).pin(&there, &Platform::host()).await.unwrap();
    assert_eq!(served.root_digest(), pinned.root_digest());
}

#[tokio::test]
async fn a_file_goes_into_a_directory_only_with_its_digest() {
    let directory = tempfile::tempdir().unwrap();
    Layout::create(directory.path()).unwrap();
    let client = over(directory.path());
    let at = reference(HOST, "rules:1");
    let path = directory.path().join("file");
    std::fs::write(&path, b"content").unwrap();
    let source = BlobSource::File(path);
    let wrong = Descriptor::of("x", b"other");
    let error = client.push_blob(&at, &wrong, &source, None).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    let right = Descriptor::of("x", b"content");
    let pushed = client.push_blob(&at, &right, &source, None).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert_eq!(client.blob_bytes(&at, &right, 100).await.unwrap(), b"content");
}

#[tokio::test]
async fn damage_in_a_directory_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let client = over(directory.path());
    let at = reference(HOST, "rules:1");
    let entry = Descriptor::of("x", b"content");
    client.push_blob(&at, &entry, &BlobSource::Bytes("content".into()), None).await.unwrap();
    std::fs::write(layout.blob_path(&entry.digest), b"c0ntent").unwrap();
    let error = client.blob_bytes(&at, &entry, 100).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    std::fs::write(layout.blob_path(&entry.digest), b"cut").unwrap();
    let error = client.blob_bytes(&at, &entry, 100).await.unwrap_err();
    assert!(matches!(error, OciError::SizeMismatch { expected: 7, found: 3, .. }), "{error}");
    std::fs::remove_file(layout.blob_path(&entry.digest)).unwrap();
    let error = client.blob_bytes(&at, &entry, 100).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_no_layout_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let error = over(directory.path()).manifest(&reference(HOST, "a:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Io { .. }), "{error}");
    assert!(error.to_string().contains("oci-layout"), "{error}");
}

/// Publishes, as the registry `HOST` would have it, to a mirror that renames repositories.
async fn reading_goes_to(client: &Client, expected: &Digest) {
    let at: Reference = reference(HOST, "team/rules:1");
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    assert_eq!(pinned.root_digest(), expected);
    assert_eq!(pinned.reference().registry(), HOST, "it keeps its name");
    assert_eq!(client.blob_bytes(&at, pinned.layer(), 100).await.unwrap(), b"layer");
    assert_eq!(client.tags(&at).await.unwrap(), ["1"]);
    assert!(client.referrers(&at, expected, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mirror_is_read_under_another_name() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let at = reference(&registry.host, "cache/example/rules:1");
    let manifest = publish(&client(&registry.host), &at, b"layer").await;
    let digest = Digest::sha256(manifest.to_vec().unwrap());
    let location = Location::Registry(registry.host.clone());
    let (client, heard) = mirrored(location, "team/", "cache/example/");
    reading_goes_to(&client, &digest).await;
    let directory = Location::Layout(registry.directory.path().to_owned());
    let (client, _) = mirrored(directory, "team/", "cache/example/");
    reading_goes_to(&client, &digest).await;
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_mirror_lacks_comes_from_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    Layout::create(directory.path()).unwrap();
    let gone = directory.path().join("gone");
    for location in [directory.path().to_owned(), gone] {
        let registry = Embedded::start(ServeOptions::default()).await;
        let at = reference(&registry.host, "rules:1");
        publish(&client(&registry.host), &at, b"layer").await;
        let (listener, heard) = notices();
        let mut config = ClientConfig { listener, ..patient(&[&registry.host]) };
        let settings = config.registries.get_mut(&registry.host).unwrap();
        let (prefix, replacement) = (String::new(), String::new());
        settings.mirrors.push(Mirror { prefix, replacement, location: Location::Layout(location) });
        let client = Client::new(config).unwrap();
        client.pin(&at, &Platform::host()).await.unwrap();
        let heard = heard.lock().unwrap().clone();
        assert!(matches!(heard.as_slice(), [Notice::MirrorSkipped { .. }]), "{heard:?}");
    }
}
