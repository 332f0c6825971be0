//! Registries that lie or fail to answer: what they say is never taken for the truth, and everything
//! ends. What `faults` and `resume` have is not repeated here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use eyas_artifact::{Descriptor, Digest, Manifest, Platform, media};
use eyas_oci::{Client, Location, Mirror, Notice, OciError, RegistryConfig, Scheme};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::stage::{Head, Reply, Script, config, notices, patient, reference};

fn manifest_of(layer: &[u8]) -> Vec<u8> {
    let config = Descriptor::of(media::RULESFILE_CONFIG, b"{}");
    let layer = Descriptor::of(media::RULESFILE_LAYER, layer);
    Manifest::new(config, vec![layer]).to_vec().unwrap()
}

#[tokio::test]
async fn a_tag_that_moves_between_requests_moves_nothing() {
    let (first, second) = (manifest_of(b"first"), manifest_of(b"second"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let expected = Digest::sha256(&first);
    let script = Script::start(move |head| match head.target.as_str() {
        "/v2/rules/manifests/1" => {
            let body = if count.fetch_add(1, Ordering::SeqCst) == 0 { &first } else { &second };
            Reply::body(body.clone()).header("content-type", media::OCI_MANIFEST)
        }
        target if target.ends_with(&Digest::sha256("first").to_string()) => Reply::body("first"),
        other => panic!("{other} was asked for"),
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    assert_eq!(*pinned.root_digest(), expected);
    let bytes = client.blob_bytes(pinned.reference(), pinned.layer(), 64).await.unwrap();
    assert_eq!(bytes, b"first");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the tag is asked for once");
}

#[tokio::test]
async fn a_storm_of_refusals_has_an_end() {
    for after in ["0", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let script = Script::start(move |_| Reply::status(429).header("retry-after", after)).await;
        let client = Client::new(config(&[&script.host])).unwrap();
        let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
        assert!(matches!(error, OciError::RateLimited { .. }), "{error}");
        assert_eq!(script.seen().len(), 4, "the first and three repetitions");
    }
    let script = Script::start(|_| Reply::status(503).header("retry-after", "86400")).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    assert_eq!(script.seen().len(), 1, "nobody waits for a day");
}

#[tokio::test]
async fn a_connection_that_opens_and_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    let client = Client::new(config(&[&host])).unwrap();
    let error = client.manifest(&reference(&host, "rules:1")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(accepted.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_slow_trickle_is_patiently_taken_as_long_as_it_moves() {
    let layer = vec![b'x'; 12];
    let descriptor = Descriptor::of(media::RULESFILE_LAYER, &layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n").await.unwrap();
        for byte in layer {
            tokio::time::sleep(Duration::from_millis(60)).await;
            stream.write_all(&[byte]).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    // In all longer than a stall may be, each pause shorter.
    let client = Client::new(config(&[&host])).unwrap();
    let bytes = client.blob_bytes(&reference(&host, "rules:1"), &descriptor, 64).await.unwrap();
    assert_eq!(bytes.len(), 12);
}

/// A server that promises a body and sends a byte of it now and then, for ever.
async fn trickle(promised: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {promised}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            });
        }
    });
    host
}

#[tokio::test]
async fn what_trickles_for_ever_has_an_end() {
    const PROMISED: usize = 64 * 1024;
    let host = trickle(PROMISED).await;
    let mut settings = config(&[&host]);
    // Each pause is shorter than a stall; all of it is longer than it may be.
    settings.timeouts.total = Duration::from_millis(900);
    let client = Client::new(settings).unwrap();
    let at = reference(&host, "rules:1");
    let document = client.manifest(&at).await.unwrap_err();
    let descriptor = Descriptor::of(media::RULESFILE_LAYER, &vec![b'x'; PROMISED]);
    let content = client.blob_bytes(&at, &descriptor, PROMISED as u64).await.unwrap_err();
    for error in [document, content] {
        assert!(matches!(error, OciError::TooSlow { received: 1.., .. }), "{error}");
        assert!(error.is_transient() && error.hint().unwrap().contains("timeouts.total"));
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_promised_size() {
    let descriptor = Descriptor::of(media::RULESFILE_LAYER, b"x");
    let script = Script::start(|_| Reply::body("x").endless()).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    let error = client.blob_bytes(&at, &descriptor, 64).await.unwrap_err();
    assert!(matches!(error, OciError::SizeMismatch { expected: 1, .. }), "{error}");
}

#[tokio::test]
async fn redirects_that_go_in_circles_end() {
    let script = Script::start(|head| {
        let next = if head.target.ends_with('a') { "/b" } else { "/a" };
        Reply::status(307).header("location", next)
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Redirect { .. }), "{error}");
    assert_eq!(script.seen().len(), 6);
}

/// A client of `r.example.org`, whose only mirror is `mirror`, and which itself is `origin`.
fn mirrored(mirror: &Script, origin: &Script, only: bool) -> (Client, crate::stage::Heard) {
    let (listener, heard) = notices();
    let mut config = eyas_oci::ClientConfig { listener, ..config(&[&mirror.host, &origin.host]) };
    let mirrors = vec![Mirror {
        prefix: "team/".into(),
        replacement: "cache/".into(),
        location: Location::Registry(mirror.host.clone()),
    }];
    let settings = RegistryConfig {
        scheme: Scheme::PlainHttp,
        mirrors,
        mirrors_only: only,
        ..RegistryConfig::default()
    };
    config.registries.insert(origin.host.clone(), settings);
    (Client::new(config).unwrap(), heard)
}

#[tokio::test]
async fn a_mirror_without_it_is_passed_over_and_one_that_lies_is_not() {
    let document = manifest_of(b"x");
    let digest = Digest::sha256(&document);
    let origin_document = document.clone();
    let origin = move |_: &Head| {
        Reply::body(origin_document.clone()).header("content-type", media::OCI_MANIFEST)
    };
    for (status, goes_on) in [(404, true), (500, true), (403, true), (400, false)] {
        let mirror = Script::start(move |_| Reply::status(status)).await;
        let origin = Script::start(origin.clone()).await;
        let (client, heard) = mirrored(&mirror, &origin, false);
        let at = reference(&origin.host, "team/rules:1").with_digest(digest);
        let outcome = client.manifest(&at).await;
        assert_eq!(outcome.is_ok(), goes_on, "{status}: {outcome:?}");
        assert!(mirror.seen()[0].target.starts_with("/v2/cache/rules/manifests/sha256:"));
        let skipped = |notice: &Notice| matches!(notice, Notice::MirrorSkipped { .. });
        assert_eq!(heard.lock().unwrap().iter().any(skipped), goes_on);
        // What the mirror is not for does not go there.
        let before = mirror.seen().len();
        client.manifest(&reference(&origin.host, "other/rules:1")).await.unwrap();
        assert_eq!(mirror.seen().len(), before);
    }
    let liar = Script::start(|_| Reply::body(manifest_of(b"evil"))).await;
    let truth = Script::start(origin.clone()).await;
    let (client, _) = mirrored(&liar, &truth, false);
    let at = reference(&truth.host, "team/rules:1").with_digest(digest);
    let error = client.manifest(&at).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error}");
    assert!(truth.seen().is_empty(), "a lie ends it");
}

#[tokio::test]
async fn a_rewrite_leaves_the_registry_alone() {
    let mirror = Script::start(|_| Reply::status(404)).await;
    let origin = Script::start(|_| Reply::body("{}")).await;
    let (client, _) = mirrored(&mirror, &origin, true);
    let error = client.manifest(&reference(&origin.host, "team/rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn a_mirror_gets_its_own_credentials() {
    let mirror = Script::start(|head| match head.header("authorization") {
        Some("Basic bWlycm9yOnB3") => Reply::body(manifest_of(b"x")),
        Some(other) => panic!("{other} went to the mirror"),
        None => Reply::status(401).header("www-authenticate", "Basic"),
    })
    .await;
    let origin = Script::start(|_| Reply::body("{}")).await;
    let mut config = patient(&[&mirror.host]);
    for (host, user) in [(&mirror.host, "mirror"), (&origin.host, "origin")] {
        let password = eyas_oci::Secret::new("pw");
        let credential = eyas_oci::Configured::Basic { user: user.into(), password };
        config.credentials.configured.insert(host.clone(), credential);
    }
    let location = Location::Registry(mirror.host.clone());
    let mirrors = vec![Mirror { prefix: String::new(), replacement: String::new(), location }];
    config.registries.insert(origin.host.clone(), RegistryConfig { mirrors, ..Default::default() });
    let client = Client::new(config).unwrap();
    client.manifest(&reference(&origin.host, "rules:1")).await.unwrap();
}
