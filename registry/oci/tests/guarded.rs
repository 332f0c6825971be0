//! The embedded registry with users, with TLS and HTTP/2, and taking things out of it.

use std::sync::{Arc, Mutex};

use eyas_artifact::{Digest, Platform};
use eyas_oci::{
    Client, Configured, OciError, RegistryConfig, Secret,
    server::{ServeOptions, ServerTls, Users},
};
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::stage::{Embedded, client, patient, publish, reference};

/// What `htpasswd -nbB me pw` could have written, with a low cost.
const USERS: &str = "me:$2y$05$abcdefghijklmnopqrstuuXXXX";

fn users(directory: &std::path::Path) -> Arc<Users> {
    let hash = bcrypt::hash_with_salt("pw", 4, [3; 16]).unwrap();
    let path = directory.join("users");
    std::fs::write(&path, USERS).unwrap();
    assert!(matches!(Users::read(&path), Err(OciError::Malformed { .. })), "a broken hash is seen");
    let line = format!("me:{}\n", hash.format_for_version(bcrypt::Version::TwoY));
    std::fs::write(&path, line).unwrap();
    Arc::new(Users::read(&path).unwrap())
}

#[tokio::test]
async fn only_users_come_in() {
    let directory = tempfile::tempdir().unwrap();
    let users = Some(users(directory.path()));
    let registry = Embedded::start(ServeOptions { users, ..ServeOptions::default() }).await;
    let at = reference(&registry.host, "rules:1");
    let nobody = client(&registry.host);
    let error = nobody.manifest(&at).await.unwrap_err();
    assert!(error.to_string().contains("none is known"), "{error}");
    let with = |password: &str| {
        let mut config = patient(&[&registry.host]);
        let password = Secret::new(password);
        let credential = Configured::Basic { user: "me".into(), password };
        config.credentials.configured.insert(registry.host.clone(), credential);
        Client::new(config).unwrap()
    };
    let error = with("no").manifest(&at).await.unwrap_err();
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    let me = with("pw");
    publish(&me, &at, b"layer").await;
    me.pin(&at, &Platform::host()).await.unwrap();
}

/// A private authority and a certificate of it for `localhost`, in files.
fn certificate(directory: &std::path::Path) -> ServerTls {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    write("ca.pem", issuer.pem());
    write("cert.pem", leaf.pem());
    write("key.pem", key.serialize_pem());
    ServerTls::read(&directory.join("cert.pem"), &directory.join("key.pem")).unwrap()
}

#[tokio::test]
async fn by_tls_many_requests_share_one_connection() {
    let directory = tempfile::tempdir().unwrap();
    let tls = Some(certificate(directory.path()));
    let registry = Embedded::start(ServeOptions { tls, ..ServeOptions::default() }).await;
    let host = registry.host.replace("127.0.0.1", "localhost");
    let mut config = patient(&[]);
    let ca_files = vec![directory.path().join("ca.pem")];
    let trusting = RegistryConfig { ca_files, ..RegistryConfig::default() };
    config.registries.insert(host.clone(), trusting);
    let client = Client::new(config).unwrap();
    let at = reference(&host, "rules:1");
    publish(&client, &at, &vec![7; 300_000]).await;
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    let all = (0..32).map(|_| client.blob_bytes(pinned.reference(), pinned.layer(), 1 << 20));
    for bytes in futures_util::future::join_all(all).await {
        assert_eq!(bytes.unwrap().len(), 300_000);
    }
    // The protocol that was agreed on, seen from the other side of the client.
    let pem = std::fs::read(directory.path().join("ca.pem")).unwrap();
    let raw = raw_client()
        .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let answer = raw.get(format!("https://{host}/v2/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
}

#[tokio::test]
async fn one_who_says_nothing_keeps_nobody_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let tls = Some(certificate(directory.path()));
    let registry = Embedded::start(ServeOptions { tls, ..ServeOptions::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(tokio::net::TcpStream::connect(&registry.host).await.unwrap());
    }
    let host = registry.host.replace("127.0.0.1", "localhost");
    let mut config = patient(&[]);
    let ca_files = vec![directory.path().join("ca.pem")];
    let trusting = RegistryConfig { ca_files, ..RegistryConfig::default() };
    config.registries.insert(host.clone(), trusting);
    Client::new(config).unwrap().ping(&host).await.unwrap();
}

#[tokio::test]
async fn certificates_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cert.pem");
    std::fs::write(&path, "rubbish").unwrap();
    let error = ServerTls::read(&path, &path).unwrap_err();
    assert!(error.to_string().contains("cert.pem"), "{error}");
}

/// Any HTTP client but ours.
fn raw_client() -> reqwest::ClientBuilder {
    // Only the first call per process does something.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

async fn delete(host: &str, path: &str) -> u16 {
    let client = raw_client().build().unwrap();
    let request = client.request(Method::DELETE, format!("http://{host}/v2/{path}"));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn tags_manifests_and_blobs_go_in_this_order() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let host = registry.host.as_str();
    let client = client(host);
    let (one, two) = (reference(host, "a/rules:1"), reference(host, "a/rules:2"));
    publish(&client, &one, b"layer").await;
    publish(&client, &two, b"layer").await;
    publish(&client, &reference(host, "b/rules:1"), b"layer").await;
    let pinned = client.pin(&one, &Platform::host()).await.unwrap();
    let (manifest, layer) = (*pinned.root_digest(), pinned.layer().digest);
    assert_eq!(delete(host, "a/rules/manifests/1").await, 202);
    assert_eq!(delete(host, "a/rules/manifests/1").await, 404);
    assert_eq!(client.tags(&two).await.unwrap(), ["2"]);
    let by_digest = one.with_digest(manifest);
    assert!(client.manifest(&by_digest).await.is_ok(), "what had the tag stays");
    assert_eq!(delete(host, &format!("a/rules/manifests/{manifest}")).await, 202);
    assert!(matches!(client.manifest(&two).await, Err(OciError::NotFound { .. })));
    assert!(matches!(client.manifest(&by_digest).await, Err(OciError::NotFound { .. })));
    assert_eq!(delete(host, &format!("a/rules/blobs/{layer}")).await, 409, "b needs it");
    assert_eq!(delete(host, &format!("b/rules/manifests/{manifest}")).await, 202);
    assert_eq!(delete(host, &format!("b/rules/blobs/{layer}")).await, 202);
    assert_eq!(delete(host, &format!("b/rules/blobs/{layer}")).await, 404);
    assert_eq!(delete(host, &format!("b/rules/blobs/{}", Digest::sha256("x"))).await, 404);
}

#[tokio::test]
async fn a_read_only_registry_gives_nothing_up() {
    let writable = Embedded::start(ServeOptions::default()).await;
    publish(&client(&writable.host), &reference(&writable.host, "rules:1"), b"layer").await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let on_request: eyas_oci::server::RequestListener =
        Arc::new(move |method, _, status| log.lock().unwrap().push((method.clone(), status)));
    let options =
        ServeOptions { read_only: true, on_request: Some(on_request), ..ServeOptions::default() };
    let registry = Embedded::over(writable.directory, options).await;
    assert_eq!(delete(&registry.host, "rules/manifests/1").await, 405);
    assert!(client(&registry.host).manifest(&reference(&registry.host, "rules:1")).await.is_ok());
    assert_eq!(seen.lock().unwrap()[0].0, Method::DELETE);
}
