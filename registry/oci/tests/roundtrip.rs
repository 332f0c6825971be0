//! Everything a client does, against the embedded registry and the distribution's.

use std::sync::{Arc, Mutex};

use eyas_artifact::{Descriptor, Digest, Kind, Manifest, Platform, media};
use eyas_oci::{
    BlobSource, Client, Layout, Metered, OciError, Pushed, fallback_tag,
    server::{RequestListener, ServeOptions},
};

use crate::stage::{DebianRegistry, Embedded, client, publish, reference};

/// What is true of every registry.
async fn whole_way(host: &str, lists_referrers: bool) {
    let client = client(host);
    let at = reference(host, "team/sub/rules:1.0.0");
    let layer: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();

    let absent = client.resolve(&at).await.unwrap_err();
    assert!(matches!(absent, OciError::NotFound { .. }), "{absent}");
    let manifest = publish(&client, &at, &layer).await;
    let bytes = manifest.to_vec().unwrap();

    let resolved = client.resolve(&at).await.unwrap();
    assert_eq!(resolved.digest, Digest::sha256(&bytes));
    assert_eq!(resolved.size, bytes.len() as u64);
    assert_eq!(resolved.media_type, media::OCI_MANIFEST);

    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    assert_eq!(pinned.kind(), Kind::Rulesfile);
    assert_eq!(pinned.manifest(), &manifest);
    assert_eq!(pinned.root_digest(), pinned.manifest_digest());
    assert_eq!(
        pinned.reference().to_string(),
        format!("{host}/team/sub/rules@{}", resolved.digest)
    );

    let mut got = Vec::new();
    let mut steps = Vec::new();
    let mut sink = Metered::new(&mut got, |bytes| steps.push(bytes));
    client.blob(pinned.reference(), pinned.layer(), &mut sink).await.unwrap();
    assert_eq!(got, layer);
    assert_eq!(*steps.last().unwrap(), layer.len() as u64);
    assert!(steps.is_sorted());

    // What is there is not sent again, within a repository and across two.
    let source = BlobSource::Bytes(layer.clone().into());
    let again = client.push_blob(&at, pinned.layer(), &source, None).await.unwrap();
    assert_eq!(again, Pushed::Existed);
    let elsewhere = reference(host, "other/rules:2");
    let mounted = client
        .push_blob(&elsewhere, pinned.layer(), &source, Some("team/sub/rules"))
        .await
        .unwrap();
    assert!(matches!(mounted, Pushed::Mounted | Pushed::Existed), "{mounted:?}");

    referrers(&client, host, &pinned.root_digest().clone(), lists_referrers).await;

    let second = reference(host, "team/sub/rules:0.9.0");
    client.push_manifest(&second, &bytes, media::OCI_MANIFEST).await.unwrap();
    let tags = client.tags(&at).await.unwrap();
    assert!(tags.contains(&"0.9.0".to_owned()) && tags.contains(&"1.0.0".to_owned()), "{tags:?}");
    let missing = client.tags(&reference(host, "nobody/here")).await.unwrap_err();
    assert!(matches!(missing, OciError::NotFound { .. }), "{missing}");
}

/// Two statements about one manifest: both are found, whether the registry lists them or we do.
async fn referrers(client: &Client, host: &str, subject: &Digest, listed: bool) {
    let at = reference(host, "team/sub/rules");
    assert!(client.referrers(&at, subject, None).await.unwrap().is_empty());
    let empty = Descriptor::of(media::OCI_EMPTY, b"{}");
    client.push_blob(&at, &empty, &BlobSource::Bytes("{}".into()), None).await.unwrap();
    let resolved = client.manifest(&at.with_digest(*subject)).await.unwrap();
    let mut pushed = Vec::new();
    for artifact_type in [media::SIGSTORE_BUNDLE, "application/example"] {
        let mut about = Manifest::new(empty.clone(), vec![empty.clone()]);
        about.artifact_type = Some(artifact_type.to_owned());
        about.subject =
            Some(Descriptor::new(media::OCI_MANIFEST, *subject, resolved.bytes.len() as u64));
        let entry = client.push_referrer(&at, &about.to_vec().unwrap()).await.unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some(artifact_type));
        pushed.push(entry.digest);
    }
    let found = client.referrers(&at, subject, None).await.unwrap();
    assert!(pushed.iter().all(|digest| found.iter().any(|entry| entry.digest == *digest)));
    let of_type = client.referrers(&at, subject, Some(media::SIGSTORE_BUNDLE)).await.unwrap();
    // The list by tag is never narrowed.
    assert_eq!(of_type.len(), if listed { 1 } else { 2 });
    let fallback = client.resolve(&at.with_tag(&fallback_tag(subject)).unwrap()).await;
    assert_eq!(fallback.is_err(), listed, "{fallback:?}");
}

#[tokio::test]
async fn the_whole_way_with_the_embedded_registry() {
    let registry = Embedded::start(ServeOptions::default()).await;
    whole_way(&registry.host, true).await;
}

#[tokio::test]
async fn the_whole_way_with_the_distributions_registry() {
    let Some(registry) = DebianRegistry::start("the_whole_way").await else { return };
    // Whether it lists referrers depends on its version: ask it.
    whole_way(&registry.host, lists_referrers(&registry.host).await).await;
}

async fn lists_referrers(host: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let digest = Digest::sha256("any");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET /v2/any/referrers/{digest} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn an_index_leads_to_the_manifest_for_the_platform() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "plugins/demo:1");
    let mut entries = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let config = Descriptor::of(media::PLUGIN_CONFIG, b"{}");
        let layer = Descriptor::of(media::PLUGIN_LAYER, platform.as_bytes());
        for (entry, content) in [(&config, "{}"), (&layer, platform)] {
            let source = BlobSource::Bytes(content.to_owned().into());
            client.push_blob(&at, entry, &source, None).await.unwrap();
        }
        let bytes = Manifest::new(config, vec![layer]).to_vec().unwrap();
        let repository = reference(&registry.host, "plugins/demo");
        client.push_manifest(&repository, &bytes, media::OCI_MANIFEST).await.unwrap();
        let entry = Descriptor::of(media::OCI_MANIFEST, &bytes);
        entries.push(entry.with_platform(platform.parse().unwrap()));
    }
    let index = eyas_artifact::ImageIndex::new(entries.clone()).to_vec().unwrap();
    client.push_manifest(&at, &index, media::OCI_INDEX).await.unwrap();
    let pinned = client.pin(&at, &"linux/arm64".parse().unwrap()).await.unwrap();
    assert_eq!(*pinned.manifest_digest(), entries[1].digest);
    assert_eq!(*pinned.root_digest(), Digest::sha256(&index));
    assert_eq!(pinned.kind(), Kind::Plugin);
    let error = client.pin(&at, &"linux/riscv64".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().ends_with("it has: linux/amd64, linux/arm64"), "{error}");
    assert!(error.hint().unwrap().contains("--platform"));
}

#[tokio::test]
async fn one_artifact_takes_three_requests_on_one_connection() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let on_request: RequestListener =
        Arc::new(move |method, path, _| log.lock().unwrap().push(format!("{method} {path}")));
    let options = ServeOptions { on_request: Some(on_request), ..ServeOptions::default() };
    let registry = Embedded::start(options).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules:1");
    publish(&client, &at, b"layer").await;
    lines.lock().unwrap().clear();
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    client.blob_bytes(pinned.reference(), pinned.config(), 1024).await.unwrap();
    client.blob_bytes(pinned.reference(), pinned.layer(), 1024).await.unwrap();
    assert_eq!(lines.lock().unwrap().len(), 3, "{lines:?}");
    client.resolve(&at).await.unwrap();
    assert_eq!(lines.lock().unwrap().last().unwrap(), "HEAD /v2/rules/manifests/1");
}

#[tokio::test]
async fn a_read_only_registry_changes_nothing() {
    let writable = Embedded::start(ServeOptions::default()).await;
    publish(&client(&writable.host), &reference(&writable.host, "rules:1"), b"layer").await;
    let before = std::fs::read(writable.directory.path().join("index.json")).unwrap();
    let options = ServeOptions { read_only: true, ..ServeOptions::default() };
    let registry = Embedded::over(writable.directory, options).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules:1");
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    let error =
        client.push_manifest(&at, &pinned.root().bytes, media::OCI_MANIFEST).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the registry answered `{at}` with status 405: this registry is read-only")
    );
    let other = Descriptor::of("x", b"y");
    let source = BlobSource::Bytes("y".into());
    assert!(client.push_blob(&at, &other, &source, None).await.is_err());
    assert_eq!(std::fs::read(registry.directory.path().join("index.json")).unwrap(), before);
}

#[tokio::test]
async fn a_manifest_of_absent_blobs_is_refused() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules:1");
    let absent = Descriptor::of(media::RULESFILE_LAYER, b"absent");
    let manifest = Manifest::new(absent.clone(), vec![absent]).to_vec().unwrap();
    let error = client.push_manifest(&at, &manifest, media::OCI_MANIFEST).await.unwrap_err();
    assert!(matches!(error, OciError::Server { status: 400, .. }), "{error}");
    assert!(error.to_string().contains("has not been uploaded"), "{error}");
}

#[tokio::test]
async fn blobs_over_the_limit_are_refused_and_leave_nothing() {
    let options = ServeOptions { max_blob_bytes: 1000, ..ServeOptions::default() };
    let registry = Embedded::start(options).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules:1");
    let push = async |length: usize| {
        let content = vec![7_u8; length];
        let entry = Descriptor::of("x", &content);
        client.push_blob(&at, &entry, &BlobSource::Bytes(content.into()), None).await
    };
    assert_eq!(push(1000).await.unwrap(), Pushed::Uploaded);
    let error = push(1001).await.unwrap_err();
    assert!(matches!(error, OciError::Server { status: 413, .. }), "{error}");
    let layout = Layout::open(registry.directory.path()).unwrap();
    let left = std::fs::read_dir(layout.root().join(".incoming")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| entry.file_name() == "lock"));
}

#[tokio::test]
async fn a_file_is_streamed_to_the_registry() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules:1");
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8).collect();
    let path = registry.directory.path().join("file");
    std::fs::write(&path, &content).unwrap();
    let entry = Descriptor::of("x", &content);
    client.push_blob(&at, &entry, &BlobSource::File(path.clone()), None).await.unwrap();
    assert_eq!(client.blob_bytes(&at, &entry, entry.size).await.unwrap(), content);
    let missing = BlobSource::File(path.join("no"));
    let other = Descriptor::of("x", b"other");
    let error = client.push_blob(&at, &other, &missing, None).await.unwrap_err();
    assert!(matches!(error, OciError::Io { .. }), "{error}");
}
