//! A registry that misbehaves: each fault gives its own error, and none is waited for without end.

use std::time::Duration;

use eyas_artifact::{Descriptor, Digest, Platform, media};
use eyas_oci::{Client, ClientConfig, Limits, NetworkKind, Notice, OciError, RetryPolicy};

use crate::stage::{Head, Reply, Script, config, free_port, notices, reference};

/// What comes of asking a server of this behaviour for a manifest.
async fn manifest(play: impl FnMut(&Head) -> Reply + Send + 'static) -> (OciError, Script) {
    let script = Script::start(play).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    (error, script)
}

/// The same for a blob of ten bytes.
async fn blob(play: impl FnMut(&Head) -> Reply + Send + 'static) -> (OciError, Script) {
    let script = Script::start(play).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", b"0123456789");
    let mut sink = Vec::new();
    let error = client.blob(&reference(&script.host, "rules"), &entry, &mut sink).await;
    (error.unwrap_err(), script)
}

fn status(status: u16) -> impl FnMut(&Head) -> Reply + Send + 'static {
    move |_| Reply::status(status)
}

#[tokio::test]
async fn lasting_refusals_are_asked_once() {
    let (error, script) = manifest(status(404)).await;
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("`{}/rules:1` was not found in the registry", script.host)
    );
    assert_eq!(script.seen().len(), 1);
    let (error, script) = manifest(status(403)).await;
    assert!(matches!(error, OciError::Forbidden { .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
    let (error, script) = manifest(status(401)).await;
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
    let (error, script) = manifest(status(418)).await;
    assert!(matches!(error, OciError::Server { status: 418, .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
}

#[tokio::test]
async fn passing_failures_are_repeated_a_bounded_number_of_times() {
    for bad in [500, 502, 503, 504] {
        let (error, script) = manifest(status(bad)).await;
        assert!(matches!(error, OciError::Server { status, .. } if status == bad), "{error}");
        assert_eq!(script.seen().len(), 4, "one try and three repetitions");
        // Repeating does not open a connection each time.
        assert!(script.seen().iter().all(|head| head.connection == 0));
    }
    let (error, script) = manifest(status(429)).await;
    assert!(matches!(error, OciError::RateLimited { retry_after: None, .. }), "{error}");
    assert_eq!(script.seen().len(), 4);
}

#[tokio::test]
async fn a_failure_that_passes_is_not_seen() {
    let mut count = 0;
    let script = Script::start(move |_| {
        count += 1;
        if count < 3 { Reply::status(503) } else { Reply::body("{}") }
    })
    .await;
    let (listener, heard) = notices();
    let client = Client::new(ClientConfig { listener, ..config(&[&script.host]) }).unwrap();
    client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|notice| matches!(notice, Notice::Retry { .. })));
    assert_eq!(heard.len(), 2);
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_the_limit() {
    let (error, script) = manifest(|_| Reply::status(429).header("retry-after", "3600")).await;
    let hour = Some(Duration::from_hours(1));
    assert!(matches!(error, OciError::RateLimited { retry_after, .. } if retry_after == hour));
    assert!(error.to_string().ends_with("next try allowed in 3600 s"), "{error}");
    assert_eq!(script.seen().len(), 1, "too long to wait for");

    let mut first = true;
    let script = Script::start(move |_| {
        if std::mem::take(&mut first) {
            return Reply::status(503).header("retry-after", "1");
        }
        Reply::body("{}")
    })
    .await;
    let (listener, heard) = notices();
    let client = Client::new(ClientConfig { listener, ..config(&[&script.host]) }).unwrap();
    client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
    let heard = heard.lock().unwrap().clone();
    let [Notice::Retry { wait, .. }] = heard.as_slice() else { panic!("{heard:?}") };
    assert!(*wait >= Duration::from_secs(1), "{wait:?}");
}

#[tokio::test]
async fn the_registrys_words_are_passed_on_in_one_line() {
    let body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\n\\u001b[31mway\"}]}";
    let (error, script) = manifest(move |_| Reply::body(body).with_status(403)).await;
    let expected = format!("access to `{}/rules:1` is forbidden: no [31mway", script.host);
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn nobody_there() {
    let host = free_port().to_string();
    let client = Client::new(config(&[&host])).unwrap();
    let error = client.manifest(&reference(&host, "rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Refused, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("listens"), "{error}");
    let client = Client::new(config(&["no-such-host.invalid"])).unwrap();
    let error = client.manifest(&reference("no-such-host.invalid", "a:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Name, .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let script = Script::start(|_| Reply::status(200)).await;
    // A listener that accepts and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let config = ClientConfig { retry: RetryPolicy::never(), ..config(&[&host, &script.host]) };
    let client = Client::new(config).unwrap();
    let error = client.manifest(&reference(&host, "rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Timeout, .. }), "{error:?}");
}

#[tokio::test]
async fn documents_that_stall_break_or_grow() {
    let (error, _) = manifest(|_| Reply::body("{").stall(100)).await;
    assert!(matches!(error, OciError::Stalled { received: 1, .. }), "{error}");
    let (error, script) = manifest(|_| Reply::body("{").cut(100)).await;
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Broken, .. }), "{error:?}");
    assert_eq!(script.seen().len(), 4);
    let (error, script) = manifest(|_| Reply::body("{}").cut(4 * 1024 * 1024 + 1)).await;
    assert!(matches!(error, OciError::TooLarge { found: 4_194_305, .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
    let (error, _) = manifest(|_| Reply::status(200).endless()).await;
    assert!(matches!(error, OciError::TooLarge { limit: 4_194_304, .. }), "{error}");
    // An endless explanation of an error is not read to its end either.
    let (error, _) = manifest(|_| Reply::status(404).endless()).await;
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn the_largest_manifest_is_taken() {
    let edge = usize::try_from(eyas_oci::MAX_MANIFEST_BYTES).unwrap();
    let body = format!("{{}}{}", " ".repeat(edge - 2));
    let script = Script::start(move |_| Reply::body(body.clone())).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let fetched = client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
    assert_eq!(fetched.bytes.len(), edge);
}

#[tokio::test]
async fn a_manifest_of_another_digest_is_refused() {
    let other = Digest::sha256("other").to_string();
    let (error, _) =
        manifest(move |_| Reply::body("{}").header("docker-content-digest", &other)).await;
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    let script = Script::start(|_| Reply::body("{}")).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let pinned = reference(&script.host, "rules").with_digest(Digest::sha256("[]"));
    let error = client.manifest(&pinned).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_artifact_is_said_to_be_none() {
    let cases = [
        ("<html>", media::OCI_MANIFEST, "is malformed: no JSON"),
        ("{}", media::OCI_INDEX, "is malformed"),
        (r#"{"schemaVersion":2,"manifests":[null]}"#, media::OCI_INDEX, "is malformed"),
    ];
    for (body, media_type, expected) in cases {
        let script =
            Script::start(move |_| Reply::body(body).header("content-type", media_type)).await;
        let client = Client::new(config(&[&script.host])).unwrap();
        let at = reference(&script.host, "rules:1");
        let error = client.pin(&at, &Platform::host()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn blobs_of_the_wrong_size_or_content() {
    let (error, script) = blob(|_| Reply::body("012345678")).await;
    assert!(matches!(error, OciError::SizeMismatch { expected: 10, found: 9, .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
    let (error, _) = blob(|_| Reply::body("0123456789a")).await;
    assert!(matches!(error, OciError::SizeMismatch { expected: 10, found: 11, .. }), "{error}");
    let (error, _) = blob(|_| Reply::status(200).endless()).await;
    assert!(matches!(error, OciError::SizeMismatch { expected: 10, .. }), "{error}");
    let (error, script) = blob(|_| Reply::body("012345678X")).await;
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    assert_eq!(script.seen().len(), 1, "it will not be another the next time");
    let (error, _) = blob(|_| Reply::body("0123456789").header("content-encoding", "gzip")).await;
    assert!(error.to_string().contains("encoded as `gzip`"), "{error}");
    let (error, _) = blob(status(404)).await;
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_blob_over_the_limit_is_not_even_asked_for() {
    let script = Script::start(|_| Reply::status(500)).await;
    let limits = Limits { blob_bytes: 9, ..Limits::default() };
    let client = Client::new(ClientConfig { limits, ..config(&[&script.host]) }).unwrap();
    let entry = Descriptor::of("x", b"0123456789");
    let at = reference(&script.host, "rules");
    let error = client.blob(&at, &entry, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { limit: 9, found: 10, .. }), "{error}");
    let error = client.blob_bytes(&at, &Descriptor::of("x", b"12345"), 4).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { limit: 4, found: 5, .. }), "{error}");
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn redirects_have_an_end_and_a_direction() {
    let (error, script) = blob(|_| Reply::status(307).header("location", "/again")).await;
    assert!(matches!(error, OciError::Redirect { reason: "more than 5 redirects", .. }), "{error}");
    assert_eq!(script.seen().len(), 6);
    let (error, _) = blob(|_| Reply::status(302).header("location", "ftp://x/y")).await;
    assert!(matches!(error, OciError::Redirect { .. }), "{error}");
    let (error, _) = blob(|_| Reply::status(302)).await;
    assert!(error.to_string().contains("it says not where to"), "{error}");
    let script = Script::start(|_| Reply::status(307).header("location", "/x")).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    let error = client.push_manifest(&at, b"{}", media::OCI_MANIFEST).await.unwrap_err();
    assert!(error.to_string().contains("only reading follows redirects"), "{error}");
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credentials() {
    let storage = Script::start(|_| Reply::body("0123456789")).await;
    let location = format!("http://{}/blob?X-Signature=secret", storage.host);
    let script = Script::start(move |head| match head.header("authorization") {
        None => Reply::status(401).header("www-authenticate", "Basic"),
        Some(_) => Reply::status(307).header("location", &location),
    })
    .await;
    let mut config = config(&[&script.host, &storage.host]);
    let own = eyas_oci::Configured::Basic { user: "me".into(), password: "pw".to_owned().into() };
    config.credentials.configured.insert(script.host.clone(), own);
    let client = Client::new(config).unwrap();
    let entry = Descriptor::of("x", b"0123456789");
    let mut sink = Vec::new();
    client.blob(&reference(&script.host, "rules"), &entry, &mut sink).await.unwrap();
    assert_eq!(sink, b"0123456789");
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(storage.seen()[0].header("authorization"), None);
    assert_eq!(storage.seen()[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn listings_have_an_end() {
    let mut page = 0;
    let script = Script::start(move |_| {
        page += 1;
        let next = format!("</v2/rules/tags/list?last={page}>; rel=\"next\"");
        Reply::body(format!(r#"{{"tags":["t{page}"]}}"#)).header("link", &next)
    })
    .await;
    let at = reference(&script.host, "rules");
    let limits = Limits { pages: 7, ..Limits::default() };
    let client = Client::new(ClientConfig { limits, ..config(&[&script.host]) }).unwrap();
    let error = client.tags(&at).await.unwrap_err();
    assert!(error.to_string().contains("does not end after 7 pages"), "{error}");
    assert_eq!(script.seen().len(), 7);
    let limits = Limits { tags: 2, ..Limits::default() };
    let client = Client::new(ClientConfig { limits, ..config(&[&script.host]) }).unwrap();
    let error = client.tags(&at).await.unwrap_err();
    assert!(matches!(error, OciError::TooMany { limit: 2, found: 3, .. }), "{error}");
}

#[tokio::test]
async fn pages_of_tags_are_joined_and_null_is_none() {
    let script = Script::start(|head| {
        if head.target.contains("last=b") {
            return Reply::body(r#"{"name":"rules","tags":null}"#);
        }
        Reply::body(r#"{"tags":["a","b"]}"#)
            .header("link", "</v2/rules/tags/list?n=1000&last=b>; rel=\"next\"")
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    assert_eq!(client.tags(&reference(&script.host, "rules")).await.unwrap(), ["a", "b"]);
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn a_head_without_digest_becomes_a_get() {
    for refused in [200, 405] {
        let script = Script::start(move |head| match head.method.as_str() {
            "HEAD" => Reply::status(refused),
            _ => Reply::body("{}").header("content-type", media::OCI_MANIFEST),
        })
        .await;
        let client = Client::new(config(&[&script.host])).unwrap();
        let resolved = client.resolve(&reference(&script.host, "rules:1")).await.unwrap();
        assert_eq!(resolved.digest, Digest::sha256("{}"));
        assert_eq!(script.lines().len(), 2);
    }
}

#[tokio::test]
async fn referrers_are_bounded_and_found_by_tag() {
    let entries: Vec<Descriptor> =
        (0..65_u32).map(|n| Descriptor::of(media::OCI_MANIFEST, &n.to_le_bytes())).collect();
    let index = eyas_artifact::ImageIndex::new(entries).to_vec().unwrap();
    let script = Script::start(move |head| {
        if head.target.contains("/manifests/sha256-") {
            return Reply::body(index.clone()).header("content-type", media::OCI_INDEX);
        }
        Reply::body("<html>a friendly page").header("content-type", "text/html")
    })
    .await;
    let (listener, heard) = notices();
    let client = Client::new(ClientConfig { listener, ..config(&[&script.host]) }).unwrap();
    let subject = Digest::sha256("subject");
    let at = reference(&script.host, "rules");
    let found = client.referrers(&at, &subject, Some("any/type")).await.unwrap();
    assert_eq!(found.len(), 64);
    let heard = heard.lock().unwrap().clone();
    assert!(matches!(heard.as_slice(), [Notice::ReferrersCut { limit: 64, .. }]), "{heard:?}");
}

#[tokio::test]
async fn an_upload_goes_nowhere_else() {
    for location in ["http://elsewhere.invalid/upload", "ftp://127.0.0.1/upload"] {
        let script = Script::start(move |head| match head.method.as_str() {
            "HEAD" => Reply::status(404),
            _ => Reply::status(202).header("location", location),
        })
        .await;
        let client = Client::new(config(&[&script.host])).unwrap();
        let entry = Descriptor::of("x", b"y");
        let source = eyas_oci::BlobSource::Bytes("y".into());
        let at = reference(&script.host, "rules");
        let error = client.push_blob(&at, &entry, &source, None).await.unwrap_err();
        assert!(error.to_string().contains("another host"), "{error}");
    }
}

#[tokio::test]
async fn a_mount_that_is_not_granted_becomes_an_upload() {
    let script = Script::start(|head| match head.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).header("location", "/v2/rules/blobs/uploads/1?state=a%2Fb"),
        _ => Reply::status(201),
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", b"y");
    let source = eyas_oci::BlobSource::Bytes("y".into());
    let at = reference(&script.host, "rules");
    let pushed = client.push_blob(&at, &entry, &source, Some("other")).await.unwrap();
    assert_eq!(pushed, eyas_oci::Pushed::Uploaded);
    let seen = script.seen();
    assert!(seen[1].target.contains("from=other"), "{:?}", script.lines());
    assert!(seen[2].target.starts_with("/v2/rules/blobs/uploads/1?state=a%2Fb&digest=sha256"));
    assert_eq!(seen[2].body, b"y");
}
