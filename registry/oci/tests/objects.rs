//! Objects in storage, and documents that are known already.

use std::sync::{Arc, Mutex};

use eyas_artifact::{Descriptor, Manifest, media};
use eyas_oci::{BlobSource, Client, Object, OciError, Variables, server::ServeOptions};
use url::Url;

use crate::stage::{Embedded, Head, Reply, Script, client, config, reference};

const LAYER: &str = "application/vnd.eyas.index.layer.v1+yaml";

fn with(script: &Script, pairs: &[(&str, &str)]) -> Client {
    let mut config = config(&[&script.host]);
    let variables: Variables =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    config.credentials.environment = variables;
    Client::new(config).unwrap()
}

fn versioned(head: &Head) -> Reply {
    match head.header("if-none-match") {
        Some("\"v1\"") => Reply::status(304).header("etag", "\"v1\""),
        _ => Reply::body("- name: a").header("etag", "\"v1\""),
    }
}

#[tokio::test]
async fn a_document_that_is_known_is_not_sent_again() {
    let script = Script::start(versioned).await;
    let client = with(&script, &[]);
    let url = Url::parse(&format!("http://{}/index.yaml", script.host)).unwrap();
    let first = client.document_if_new(&url, 1024, None).await.unwrap().unwrap();
    assert_eq!((first.bytes.as_slice(), first.tag.as_deref()), (&b"- name: a"[..], Some("\"v1\"")));
    assert_eq!(client.document_if_new(&url, 1024, first.tag.as_deref()).await.unwrap(), None);
    assert!(client.document_if_new(&url, 1024, Some("\"v0\"")).await.unwrap().is_some());
    // One that claims to be unchanged to somebody who knows nothing is no document.
    let liar = Script::start(|_| Reply::status(304)).await;
    let url = Url::parse(&format!("http://{}/index.yaml", liar.host)).unwrap();
    assert!(with(&liar, &[]).document(&url, 1024).await.is_err());
}

#[tokio::test]
async fn amazons_storage_is_asked_with_a_signature_or_as_nobody() {
    let script = Script::start(|head| {
        assert_eq!(head.target, "/my-bucket/a/index%20file.yaml");
        versioned(head)
    })
    .await;
    let endpoint = format!("http://{}", script.host);
    let object: Object = "s3://my-bucket/a/index file.yaml".parse().unwrap();
    let nobody = with(&script, &[("AWS_ENDPOINT_URL_S3", &endpoint)]);
    assert!(nobody.object_if_new(&object, 1024, None).await.unwrap().is_some());
    assert_eq!(nobody.object_if_new(&object, 1024, Some("\"v1\"")).await.unwrap(), None);
    assert!(script.seen().iter().all(|head| head.header("authorization").is_none()));
    let keys = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "sk"),
        ("AWS_SESSION_TOKEN", "st"),
        ("AWS_REGION", "eu-west-1"),
    ];
    with(&script, &keys).object_if_new(&object, 1024, None).await.unwrap().unwrap();
    let head = script.seen().pop().unwrap();
    let signed = head.header("authorization").unwrap();
    assert!(signed.contains("/eu-west-1/s3/aws4_request"), "{signed}");
    assert!(
        signed.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token")
    );
    assert_eq!(head.header("x-amz-security-token"), Some("st"));
    assert!(head.header("x-amz-content-sha256").unwrap().starts_with("e3b0c442"));
}

#[tokio::test]
async fn the_region_that_storage_names_is_asked_once() {
    let script = Script::start(|head| {
        match head.header("authorization") {
            Some(signed) if signed.contains("/eu-west-3/s3/") => Reply::body("x"),
            // A redirect to another host is told, not followed: the signature is for this one.
            _ => Reply::status(301)
                .header("location", "http://127.0.0.1:1/")
                .header("x-amz-bucket-region", "eu-west-3"),
        }
    })
    .await;
    let endpoint = format!("http://{}", script.host);
    let keys = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "sk"),
    ];
    let object: Object = "s3://my-bucket/key".parse().unwrap();
    with(&script, &keys).object_if_new(&object, 1024, None).await.unwrap().unwrap();
    assert_eq!(script.seen().len(), 2);
    let stubborn = Script::start(|_| Reply::status(301).header("x-amz-bucket-region", "r")).await;
    let endpoint = format!("http://{}", stubborn.host);
    let client = with(&stubborn, &[("AWS_ENDPOINT_URL_S3", &endpoint)]);
    let error = client.object_if_new(&object, 1024, None).await.unwrap_err();
    assert!(error.to_string().contains("AWS_REGION"), "{error}");
    assert_eq!(stubborn.seen().len(), 2, "no loop");
}

#[tokio::test]
async fn googles_storage_is_asked_as_nobody_then_as_this_machine() {
    let script = Script::start(|head| {
        if head.target.starts_with("/computeMetadata/") {
            return Reply::body(r#"{"access_token":"machine","expires_in":3599}"#);
        }
        assert_eq!(head.target, "/my-bucket/index.yaml");
        match head.header("authorization") {
            Some("Bearer machine") => Reply::body("x"),
            Some(other) => panic!("{other}"),
            None => Reply::status(403),
        }
    })
    .await;
    let pairs =
        [("STORAGE_EMULATOR_HOST", script.host.as_str()), ("GCE_METADATA_HOST", &script.host)];
    let object: Object = "gs://my-bucket/index.yaml".parse().unwrap();
    let document = with(&script, &pairs).object_if_new(&object, 1024, None).await.unwrap();
    assert_eq!(document.unwrap().bytes, b"x");
    assert_eq!(script.seen().len(), 3);
    let closed = Script::start(|_| Reply::status(403)).await;
    let pairs =
        [("STORAGE_EMULATOR_HOST", closed.host.as_str()), ("GCE_METADATA_HOST", &closed.host)];
    assert!(with(&closed, &pairs).object_if_new(&object, 1024, None).await.is_err());
}

#[tokio::test]
async fn an_object_has_a_limit() {
    let script = Script::start(|_| Reply::body(vec![b'x'; 1025])).await;
    let endpoint = format!("http://{}", script.host);
    let client = with(&script, &[("AWS_ENDPOINT_URL_S3", &endpoint)]);
    let object: Object = "s3://my-bucket/key".parse().unwrap();
    let error = client.object_if_new(&object, 1024, None).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { limit: 1024, .. }), "{error}");
    assert_eq!(client.object_if_new(&object, 1025, None).await.unwrap().unwrap().bytes.len(), 1025);
}

#[tokio::test]
async fn a_document_in_a_registry_is_known_by_its_digest() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&paths);
    let on_request: eyas_oci::server::RequestListener =
        Arc::new(move |_, path, _| log.lock().unwrap().push(path.to_owned()));
    let options = ServeOptions { on_request: Some(on_request), ..ServeOptions::default() };
    let registry = Embedded::start(options).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "index:1");
    let (config, layer) =
        (Descriptor::of("application/vnd.oci.empty.v1+json", b"{}"), Descriptor::of(LAYER, b"[]"));
    for (descriptor, bytes) in [(&config, &b"{}"[..]), (&layer, b"[]")] {
        let source = BlobSource::Bytes(bytes.into());
        client.push_blob(&at, descriptor, &source, None).await.unwrap();
    }
    let manifest = Manifest::new(config, vec![layer]).to_vec().unwrap();
    client.push_manifest(&at, &manifest, media::OCI_MANIFEST).await.unwrap();
    let document = client.layer_if_new(&at, LAYER, 1024, None).await.unwrap().unwrap();
    assert_eq!(document.bytes, b"[]");
    paths.lock().unwrap().clear();
    let again = client.layer_if_new(&at, LAYER, 1024, document.tag.as_deref()).await.unwrap();
    assert_eq!((again, paths.lock().unwrap().len()), (None, 1));
    let error = client.layer_if_new(&at, "text/other", 1024, None).await.unwrap_err();
    assert!(matches!(error, OciError::Unsupported { .. }), "{error}");
}
